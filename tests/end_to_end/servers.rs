//! Feeds that do what a test says: the reference server as a process of its own, and one that
//! answers every request alike and whose socket opens and stays silent.

use super::support::{Running, cutover};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use tokio_tungstenite::tungstenite;

/// `cutover serve` on a port of its own.
pub struct Served {
    pub address: SocketAddr,
    _process: Running,
}

pub fn reference(speed: u32) -> Served {
    faulty(speed, &[])
}

/// The same with `--fault` words.
pub fn faulty(speed: u32, faults: &[&str]) -> Served {
    let speed = speed.to_string();
    let words = ["-q", "serve", "--listen", "127.0.0.1:0", "--speed", &speed];
    let mut process = Running::start(&mut cutover(&[&words, faults].concat()));
    let mut line = String::new();
    BufReader::new(process.stdout()).read_line(&mut line).unwrap();
    Served { address: address_in(&line), _process: process }
}

/// Where a server says it listens.
pub fn address_in(line: &str) -> SocketAddr {
    let address = line.split("ws://").nth(1).and_then(|rest| rest.split('/').next());
    address.unwrap_or_else(|| panic!("no address in {line:?}")).parse().unwrap()
}

/// An address where nobody listens.
pub fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// What a server says to a request.
#[derive(Clone)]
pub struct Answer {
    pub status: &'static str,
    pub kind: &'static str,
    pub body: String,
}

/// Answers each request with `answer`; a WebSocket opens, and nothing ever comes.
pub fn answering(answer: Answer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    // The thread ends with the process; it holds nothing but its port.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            // A client that goes away ends its connection, and that is all.
            thread::spawn(move || drop(serve(stream, &answer)));
        }
    });
    address
}

pub fn silent() -> SocketAddr {
    answering(Answer { status: "404 Not Found", kind: "text/plain", body: String::new() })
}

fn serve(mut stream: TcpStream, answer: &Answer) -> io::Result<()> {
    let mut first = [0; 7];
    while stream.peek(&mut first)? < first.len() {
        thread::yield_now();
    }
    if &first == b"GET /ws" { stay_silent(stream) } else { answer_once(&mut stream, answer) }
}

fn stay_silent(stream: TcpStream) -> io::Result<()> {
    let mut socket = tungstenite::accept(stream).map_err(io::Error::other)?;
    // Reading answers pings, and ends when the other side closes.
    while socket.read().is_ok() {}
    Ok(())
}

fn answer_once(stream: &mut TcpStream, answer: &Answer) -> io::Result<()> {
    read_request(stream)?;
    let Answer { status, kind, body } = answer;
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// Reads a whole request: a close with bytes unread would reset the connection.
fn read_request(stream: &mut TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    io::copy(&mut reader.take(length), &mut io::sink()).map(drop)
}
