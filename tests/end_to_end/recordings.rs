//! Replays of recordings that are damaged, foreign or out of order; and what stops any run at once:
//! a wrong contract, a taken port, a folder or a disk that takes nothing.

use super::common;
use super::servers::nobody;
use super::support::{Bench, Ran, run};
use cutover::contract::BUILTIN;
use std::fs;
use std::net::TcpListener;

/// A simulated session of five minutes; the same bytes each time.
fn session(bench: &Bench, name: &str, from: &str) -> String {
    let path = bench.arg(name);
    let ran = run(&["simulate", &path, "--for", "5m", "--from", from]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    path
}

fn replay(bench: &Bench, arguments: &[&str]) -> Ran {
    let dir = bench.arg("report");
    run(&[&["replay", "--report-dir", &dir], arguments].concat())
}

/// Refused before any work, and in words.
fn refused(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!((ran.code, ran.out.as_str()), (Some(code), ""), "{}", ran.err);
    assert!(ran.err.starts_with("cutover: "), "{}", ran.err);
    for word in words {
        assert!(ran.err.contains(word), "{word} in {}", ran.err);
    }
}

const MONDAY: &str = "2025-12-15T14:30:00Z";
const TUESDAY: &str = "2025-12-16T14:30:00Z";

#[test]
fn an_empty_capture_proves_nothing() {
    let bench = Bench::new();
    let ran = replay(&bench, &[&bench.write("empty.jsonl", "")]);
    assert_eq!(ran.code, Some(3), "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("interrupted"), "{}", ran.out);
    assert_eq!(bench.report("report").with_verdict("PASS"), Vec::<String>::new());
}

#[test]
fn a_capture_that_cannot_be_read_is_named() {
    let bench = Bench::new();
    refused(&replay(&bench, &[&bench.arg("nowhere.jsonl")]), 4, &["nowhere.jsonl", "No such file"]);
    fs::create_dir(bench.path("folder.jsonl")).unwrap();
    refused(&replay(&bench, &[&bench.arg("folder.jsonl")]), 4, &["folder.jsonl"]);
    refused(&replay(&bench, &[&bench.write("text.jsonl", "hello\nworld\n")]), 4, &["text.jsonl", "line 1"]);
    let binary = bench.write("binary.jsonl", [0xff, 0xfe, b'\n', b'x', b'\n']);
    refused(&replay(&bench, &[&binary]), 4, &["binary.jsonl", "line 1"]);
}

#[test]
fn a_damaged_line_is_named_or_skipped_and_counted() {
    let bench = Bench::new();
    let path = session(&bench, "session.jsonl", MONDAY);
    let clean = replay(&bench, &[&path]);
    let code = clean.code;
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    let half = &lines[59][..lines[59].len() / 2];
    lines.insert(59, half);
    bench.write("damaged.jsonl", lines.join("\n") + "\n");
    let damaged = bench.arg("damaged.jsonl");
    refused(&replay(&bench, &[&damaged]), 4, &["damaged.jsonl", "line 60"]);
    let skipped = replay(&bench, &[&damaged, "--skip-damaged"]);
    assert_eq!(skipped.code, code, "{}\n{}", skipped.out, skipped.err);
    assert!(skipped.out.contains("1 damaged line was skipped"), "{}", skipped.out);
    assert_eq!(bench.report("report").json()["damaged_lines"], 1);
}

/// Half a session appended to a whole one, say.
#[test]
fn what_is_torn_behind_an_end_is_interrupted_too() {
    let bench = Bench::new();
    let path = session(&bench, "session.jsonl", MONDAY);
    let text = fs::read_to_string(&path).unwrap();
    let ran = replay(&bench, &[&bench.write("torn.jsonl", text.clone() + &text[..100])]);
    assert_eq!(ran.code, Some(3), "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("interrupted"), "{}", ran.out);
    assert_eq!(bench.report("report").check("positions", "no-drops")["verdict"], "INCONCLUSIVE");
}

#[test]
fn an_earlier_capture_is_never_overwritten() {
    let bench = Bench::new();
    let path = session(&bench, "session.jsonl", MONDAY);
    let before = fs::read(&path).unwrap();
    refused(&run(&["simulate", &path]), 2, &["session.jsonl: it exists already"]);
    let (contract, dir) = (bench.contract(nobody(), nobody()), bench.arg("report"));
    let watch = ["watch", "--contract", &contract, "--for", "1s", "--report-dir", &dir];
    refused(&run(&[&watch[..], &["--record", &path]].concat()), 2, &["session.jsonl: it exists already"]);
    assert!(!bench.path("report").exists(), "nothing was touched");
    fs::create_dir(bench.path("report")).unwrap();
    fs::copy(&path, bench.path("report/capture.jsonl")).unwrap();
    bench.write("report/signoff.csv", "signed");
    refused(&run(&watch), 2, &["capture.jsonl: it exists already"]);
    assert_eq!(bench.report("report").files(), ["capture.jsonl", "signoff.csv"]);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_newer_capture_is_refused() {
    let bench = Bench::new();
    let path = session(&bench, "session.jsonl", MONDAY);
    let newer = fs::read_to_string(&path).unwrap().replacen("\"capture\":1", "\"capture\":2", 1);
    refused(
        &replay(&bench, &[&bench.write("newer.jsonl", newer)]),
        4,
        &["newer.jsonl", "line 1", "version 2"],
    );
}

#[test]
fn captures_stand_in_the_order_of_time() {
    let bench = Bench::new();
    let monday = session(&bench, "monday.jsonl", MONDAY);
    let tuesday = session(&bench, "tuesday.jsonl.zst", TUESDAY);
    let both = replay(&bench, &[&monday, &tuesday]);
    assert_ne!(both.code, Some(2), "{}", both.err);
    refused(&replay(&bench, &[&tuesday, &monday]), 2, &["monday.jsonl begins at", "order of time"]);
    refused(&replay(&bench, &[&monday, &monday]), 2, &["monday.jsonl begins at", "none twice"]);
}

/// A run killed before its first flush, among others.
#[test]
fn an_empty_capture_among_others_is_interrupted_wherever_it_stands() {
    let bench = Bench::new();
    let (monday, empty) = (session(&bench, "monday.jsonl", MONDAY), bench.write("empty.jsonl", ""));
    let torn = bench.write("torn.jsonl", &fs::read_to_string(&monday).unwrap()[..40]);
    let alone = replay(&bench, &[&monday]);
    assert_eq!(bench.report("report").check("positions", "no-drops")["verdict"], "PASS", "{}", alone.out);
    for captures in [[&empty, &monday], [&monday, &empty], [&torn, &monday], [&monday, &torn]] {
        let ran = replay(&bench, &captures.map(String::as_str));
        assert_eq!(ran.code, Some(3), "{captures:?}: {}{}", ran.out, ran.err);
        let report = bench.report("report");
        assert_eq!(report.check("positions", "no-drops")["verdict"], "INCONCLUSIVE", "{captures:?}");
        assert_eq!(report.check("positions", "values-match")["verdict"], "PASS", "{captures:?}");
    }
}

#[test]
fn a_wrong_contract_in_any_capture_is_named() {
    let bench = Bench::new();
    let (monday, tuesday) =
        (session(&bench, "monday.jsonl", MONDAY), session(&bench, "tuesday.jsonl", TUESDAY));
    let text = fs::read_to_string(&tuesday).unwrap();
    let start: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let changed = |contract: &str| {
        let mut start = start.clone();
        (start["contract"], start["contract_sha256"]) = (contract.into(), "ab".repeat(32).into());
        format!("{start}\n{}", text.split_once('\n').unwrap().1)
    };
    let wrong = bench.write("wrong.jsonl", changed("version = 1\n"));
    refused(&replay(&bench, &[&monday, &wrong]), 4, &["line 1 of", "wrong.jsonl", "`[rest]` is lacking"]);
    let both = fs::read_to_string(&monday).unwrap() + &changed("version = 1\n");
    let line = format!("line {} of", fs::read_to_string(&monday).unwrap().lines().count() + 1);
    refused(&replay(&bench, &[&bench.write("both.jsonl", both)]), 4, &[&line, "both.jsonl"]);
    // With a contract of the user's own it need not be right; that it is another one is said once.
    let own = bench.write("own.toml", BUILTIN);
    for arguments in [
        vec![&monday, &wrong, "--contract", &own],
        vec![&monday, &bench.write("o.jsonl", changed(&format!("{BUILTIN}\n")))],
    ] {
        let ran = replay(&bench, &arguments);
        assert_ne!(ran.code, Some(4), "{}", ran.err);
        assert_eq!(ran.out.matches("another contract").count(), 1, "{}", ran.out);
    }
}

#[test]
fn what_was_typed_wrongly_is_told_with_what_would_be_right() {
    let bench = Bench::new();
    let path = session(&bench, "session.jsonl", MONDAY);
    refused(
        &replay(&bench, &[&path, "--feature", "position"]),
        2,
        &["`position`", "account_balance, positions"],
    );
    let fault =
        |fault: &str| run(&["demo", "--for", "1s", "--fault", fault, "--report-dir", &bench.arg("report")]);
    refused(&fault("value_mismatsch"), 2, &["value_mismatsch", "value_mismatch"]);
    refused(&fault("gap:feature=nothing"), 2, &["nothing", "positions"]);
    refused(&fault("value_mismatch:feature=positions,field=nothing"), 2, &["nothing", "pnl"]);
    refused(&fault("gap:rate=2"), 2, &["rate"]);
    let contract = bench.contract(nobody(), nobody());
    let past = run(&["watch", "--contract", &contract, "--until", "2020-01-01T00:00:00Z"]);
    refused(&past, 2, &["2020-01-01T00:00:00Z is past"]);
}

#[test]
fn a_wrong_contract_is_told_with_its_place() {
    let bench = Bench::new();
    let wrong = BUILTIN.replacen("poll = \"10s\"", "pol = \"10s\"", 1);
    let line = 1 + wrong.lines().position(|line| line.contains("pol = ")).unwrap();
    let column = 1 + wrong.lines().nth(line - 1).unwrap().find("pol = ").unwrap();
    let path = bench.write("wrong.toml", &wrong);
    let place = format!("wrong.toml:{line}:{column}");
    refused(&run(&["watch", "--contract", &path, "--for", "1s"]), 2, &[&place, "`pol`", "`poll`"]);
    let nowhere = bench.arg("nowhere.toml");
    refused(&run(&["watch", "--contract", &nowhere, "--for", "1s"]), 2, &["nowhere.toml"]);
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(&run(&["serve", "--listen", &address]), 4, &[&address, "in use"]);
}

#[test]
fn a_report_folder_that_takes_no_files_stops_a_run_at_its_start() {
    let bench = Bench::new();
    let file = bench.write("file", "not a folder");
    let contract = bench.contract(nobody(), nobody());
    for place in ["--reports", "--report-dir"] {
        let ran = run(&["watch", "--contract", &contract, place, &file]);
        refused(&ran, 4, &[&file, "--reports", "not a directory"]);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "not a folder");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_ends_a_run_without_a_verdict() {
    let bench = Bench::new();
    let ran = run(&["demo", "--for", "10m", "--record", "/dev/full", "--report-dir", &bench.arg("report")]);
    refused(&ran, 4, &["/dev/full", "No space left"]);
    let files = bench.report("report").files();
    assert!(!files.iter().any(|name| name == "report.json" || name == "signoff.csv"), "{files:?}");
}

/// The script that other tests write by hand is a capture like any other.
#[test]
fn a_capture_keeps_its_contract() {
    let bench = Bench::new();
    let path = session(&bench, "session.jsonl", MONDAY);
    let other = BUILTIN.replacen("settle = \"2s\"", "settle = \"3s\"", 1);
    assert_ne!(other, BUILTIN);
    common::contract(&other);
    let ran = replay(&bench, &[&path, "--contract", &bench.write("other.toml", other)]);
    assert!(ran.out.contains("another contract"), "{}", ran.out);
    assert_eq!(bench.report("report").json()["other_contract"], true);
}
