//! A running watch, scraped.

use super::servers::{nobody, reference};
use super::support::{Bench, Running, cutover, run, wait_for};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

fn request(address: &str, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The value of one line of the page.
fn value(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn a_running_watch_tells_a_scraper_where_it_stands() {
    let server = reference(20);
    let bench = Bench::new();
    let contract = bench.contract(server.address, server.address);
    let dir = bench.arg("live");
    let words = ["watch", "--contract", &contract, "--speed", "20", "--report-dir", &dir];
    let mut running =
        Running::start(&mut cutover(&[&words[..], &["--metrics-listen", "127.0.0.1:0"]].concat()));
    let mut said = BufReader::new(running.stderr()).lines().map(Result::unwrap);
    let address = said.find_map(|line| {
        Some(line.strip_prefix("metrics on http://")?.strip_suffix("/metrics")?.to_string())
    });
    let address = address.expect("where the metrics are");
    let page = wait_for("pairs in the metrics", || {
        let page = request(&address, "GET", "/metrics");
        let pairs = value(&page, "cutover_pairs_total{feature=\"positions\"}");
        (pairs.unwrap_or(0.0) > 0.0).then_some(page)
    });
    assert!(page.starts_with("HTTP/1.1 200 OK") && page.contains("text/plain; version=0.0.4"), "{page}");
    assert_eq!(value(&page, "cutover_ws_connected"), Some(1.0));
    assert!(value(&page, "cutover_ws_messages_total{feature=\"market_status\"}") > Some(0.0));
    assert!(request(&address, "GET", "/").starts_with("HTTP/1.1 404"));
    assert!(request(&address, "POST", "/metrics").starts_with("HTTP/1.1 405"));
    running.signal("INT");
    assert!(said.count() < 100, "it ends, and the page with it");
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn a_port_in_use_is_said_before_anything_is_recorded() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    let bench = Bench::new();
    let contract = bench.contract(nobody(), nobody());
    let ran =
        run(&["watch", "--contract", &contract, "--reports", &bench.arg("r"), "--metrics-listen", &port]);
    assert!(
        ran.code == Some(2) && ran.err.contains("could not serve metrics") && ran.err.contains(&port),
        "{}",
        ran.err
    );
    assert!(!bench.path("r").exists());
}
