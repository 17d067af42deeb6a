//! `watch` against feeds that do not do what they should: it says so and never passes.

use super::servers::{Answer, answering, nobody, reference, silent};
use super::support::{Bench, Ran, Report, contract, run};
use std::net::SocketAddr;

/// A watch that is over, and the folder it wrote into.
struct Watched {
    ran: Ran,
    report: Report,
    _bench: Bench,
}

/// Watches for so long, at a speed, with a contract of the test's own.
fn watch(contract: &str, speed: u32, lasting: &str) -> Watched {
    let bench = Bench::new();
    let contract = bench.write("contract.toml", contract);
    let (dir, speed) = (bench.arg("report"), speed.to_string());
    let flags = ["--speed", &speed, "--for", lasting, "--report-dir", &dir];
    let ran = run(&[&["watch", "--contract", &contract], &flags[..]].concat());
    Watched { ran, report: bench.report("report"), _bench: bench }
}

/// A watch of REST that answers so, and of a good stream.
fn watch_answer(status: &'static str, kind: &'static str, body: &str) -> Watched {
    let stream = reference(20);
    let rest = answering(Answer { status, kind, body: body.to_string() });
    watch(&contract(rest, stream.address), 20, "30s")
}

/// No comparison took place, so nothing is proven; the control failed, so the stream is not blamed.
fn control_failed(Watched { ran, report, .. }: &Watched, said: &str) {
    assert_eq!(ran.code, Some(3), "{}\n{}", ran.out, ran.err);
    assert_eq!(report.with_verdict("FAIL"), Vec::<String>::new(), "{}", ran.out);
    assert_eq!(report.check("positions", "values-match")["verdict"], "INCONCLUSIVE");
    let errors: Vec<_> = report.findings().into_iter().filter(|row| row["class"] == "rest_error").collect();
    assert!(!errors.is_empty(), "{}", ran.out);
    assert!(errors.iter().all(|row| row["severity"] == "warn" && row["detail"].contains(said)), "{errors:?}");
}

#[test]
fn a_socket_that_stays_silent_never_passes() {
    let rest = reference(30);
    let Watched { ran, report, _bench } = watch(&contract(rest.address, silent()), 30, "90s");
    assert_eq!(ran.code, Some(1), "{}\n{}", ran.out, ran.err);
    for feature in ["account_balance", "positions", "intraday_bar", "market_status"] {
        let seen = report.check(feature, "messages-seen");
        assert_eq!(seen["verdict"], "FAIL", "{seen:?}");
        assert!(seen["observed"].contains("0 of"), "{seen:?}");
    }
    let passes = report.with_verdict("PASS");
    assert!(passes.iter().all(|row| row.ends_with("no-drops")), "{passes:?}");
    assert!(ran.out.contains("was open and no feature's message came"), "{}", ran.out);
}

#[test]
fn where_nobody_listens_it_says_so() {
    let Watched { ran, report, _bench } = watch(&contract(nobody(), nobody()), 20, "30s");
    assert_eq!(ran.code, Some(1), "{}\n{}", ran.out, ran.err);
    assert_eq!(report.check("positions", "no-drops")["verdict"], "FAIL");
    assert_eq!(report.with_verdict("PASS"), Vec::<String>::new());
    let refused = report.findings().into_iter().find(|row| row["class"] == "connect_failed").unwrap();
    assert!(refused["detail"].contains("refused"), "{refused:?}");
    assert!(ran.out.contains("gave no record: check `base_url`"), "{}", ran.out);
    assert!(ran.out.contains("was never open: check `url`"), "{}", ran.out);
    assert!(ran.out.contains("connect_failed") && ran.out.contains("refused"), "{}", ran.out);
}

#[test]
fn a_storm_of_500s_is_a_failed_control() {
    let watched = watch_answer("500 Internal Server Error", "text/plain", "out of order");
    control_failed(&watched, "500");
}

#[test]
fn html_instead_of_json_is_a_failed_control() {
    let page = "<!DOCTYPE html><title>Sign in</title>";
    let Watched { ran, report, _bench } = watch_answer("200 OK", "text/html", page);
    assert_eq!(ran.code, Some(3), "{}\n{}", ran.out, ran.err);
    assert_eq!(report.with_verdict("FAIL"), Vec::<String>::new(), "{}", ran.out);
    let malformed: Vec<_> = report.findings().into_iter().filter(|row| row["severity"] == "warn").collect();
    assert!(ran.out.contains("gave no record"), "{}", ran.out);
    assert!(malformed.iter().any(|row| row["detail"].contains("<!DOCTYPE html>")), "{malformed:?}");
}

#[test]
fn a_body_over_the_limit_is_a_failed_control() {
    let rest = answering(Answer { status: "200 OK", kind: "application/json", body: " ".repeat(70_000) });
    let stream = reference(20);
    let contract =
        contract(rest, stream.address).replacen("\n[rest]\n", "\n[rest]\nmax_body = \"64 KiB\"\n", 1);
    let watched = watch(&contract, 20, "30s");
    control_failed(&watched, "65536");
}

#[test]
fn a_refused_login_ends_the_run_and_keeps_the_capture() {
    let refusing = |body: &str| {
        answering(Answer { status: "401 Unauthorized", kind: "application/json", body: body.to_string() })
    };
    let Watched { ran, report, _bench } =
        watch(&with_login(refusing(r#"{"detail":"wrong password"}"#)), 1, "30s");
    assert_eq!(ran.code, Some(4), "{}\n{}", ran.out, ran.err);
    assert!(ran.err.contains("log") && ran.err.contains("401"), "{}", ran.err);
    assert!(!ran.err.contains("s3cr3t"), "{}", ran.err);
    let capture = String::from_utf8(report.bytes("capture.jsonl")).unwrap();
    assert!(capture.starts_with(r#"{"kind":"start""#) && capture.contains(r#""reason":"interrupted""#));
    assert!(!capture.contains("s3cr3t"), "credentials never reach the capture");
}

fn with_login(rest: SocketAddr) -> String {
    let login = r#"
[rest]
login = { path = "/login", json = { user = "watcher", password = "s3cr3t" } }
"#;
    contract(rest, silent()).replacen("\n[rest]\n", login, 1)
}
