//! `cutover simulate` as a program: one trading session, the network's flags, compressed captures, and
//! what it says of faults that could not strike.

#![cfg(feature = "io")]
#![allow(clippy::disallowed_methods, reason = "what the program wrote is read back")]

use assert_cmd::Command;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

struct Ran {
    code: i32,
    err: String,
}

fn run(folder: &Path, line: &str) -> Ran {
    let mut command = Command::cargo_bin("cutover").unwrap();
    let output = command.current_dir(folder).args(line.split_whitespace()).output().unwrap();
    Ran { code: output.status.code().unwrap(), err: String::from_utf8(output.stderr).unwrap() }
}

fn lines(path: PathBuf) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_trading_session_is_simulated_whole_and_passes_by_its_own_calendar() {
    let folder = tempfile::tempdir().unwrap();
    // A half day, so three hours and a half.
    let ran = run(folder.path(), "simulate half.jsonl --session XNYS:2025-12-24 --accounts 1 --symbols 1");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let lines = lines(folder.path().join("half.jsonl"));
    assert_eq!(lines[0]["at"], "2025-12-24T14:30:00Z");
    assert_eq!(lines[lines.len() - 1]["at"], "2025-12-24T18:00:00Z");
    assert!(lines[0]["contract"].as_str().unwrap().contains("calendar = \"XNYS\""));
    let states = |id: u64| {
        let of_market = lines.iter().filter(move |l| l["body"]["data"]["market_id"] == id);
        let mut states: Vec<&Value> = of_market.map(|line| &line["body"]["data"]["status"]).collect();
        states.dedup();
        states
    };
    assert_eq!(states(1), ["OPEN", "PRECLOSE"]);
    // Tokyo sleeps, London closes at noon on that day.
    assert_eq!(states(2), ["CLOSED"]);
    let ran = run(folder.path(), "replay half.jsonl --report-dir report");
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn what_is_no_session_is_told_with_the_nearest_ones() {
    let folder = tempfile::tempdir().unwrap();
    for (session, says) in [
        ("XNYS:2025-12-25", "the nearest are 2025-12-24 and 2025-12-26"),
        ("XNYS:1900-01-01", "is known from"),
        ("XNSY:2025-12-24", "did you mean"),
        ("XNYS", "CALENDAR:DATE"),
    ] {
        let ran = run(folder.path(), &format!("simulate out.jsonl --session {session}"));
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.err.contains(says), "{session}: {}", ran.err);
    }
    assert!(!folder.path().join("out.jsonl").exists());
}

#[test]
fn compressed_and_plain_hold_the_same_and_the_seed_decides() {
    let folder = tempfile::tempdir().unwrap();
    let options = "--for 10m --seed 5 --fault late --fault swapped_fields --fault connection_drop:at=200s \
                   --connections 2 --latency 40ms --tail 900ms --clock-offset -90s --drift 20ppm";
    for out in ["a.jsonl --truth a.truth", "b.jsonl --truth b.truth", "c.jsonl.zst"] {
        let ran = run(folder.path(), &format!("simulate {out} {options}"));
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("a.jsonl"), read("b.jsonl"));
    assert_eq!(read("a.truth"), read("b.truth"));
    assert!(!read("a.truth").is_empty());
    let packed = read("c.jsonl.zst");
    assert!(packed.len() * 4 < read("a.jsonl").len());
    assert_eq!(zstd::decode_all(&packed[..]).unwrap(), read("a.jsonl"));
    // The server's clock is behind but gains 12 ms in all; messages take at least what was asked for.
    for line in lines(folder.path().join("a.jsonl")) {
        if let Some(time) = line["body"]["data"]["timestamp"].as_str() {
            let at = |text: &str| cutover::model::Timestamp::parse_rfc3339(text).unwrap();
            let lag = at(line["at"].as_str().unwrap()) - at(time);
            assert!(lag.0 >= 90_028_000_000, "{lag}");
        }
    }
}

#[test]
fn faults_that_cannot_strike_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), "simulate a.jsonl --for 5m --fault gap:at=2h --fault binary_frame");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("fault `gap:at=2h` never struck: it begins at"), "{}", ran.err);
    assert!(ran.err.contains("fault `binary_frame` struck"), "{}", ran.err);
    for (fault, says) in [
        ("gap:stream=account_id=9", "stream `account_id=9` is not in the world; known: account_id=123"),
        ("value_mismatch:feature=positions,field=cash", "`quantity`"),
        ("swaped_fields", "did you mean `swapped_fields`?"),
    ] {
        let ran = run(folder.path(), &format!("simulate b.jsonl --fault {fault}"));
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.err.contains(says), "{}", ran.err);
    }
    let quiet = run(folder.path(), "-q simulate c.jsonl --for 5m --fault gap:at=2h");
    assert_eq!((quiet.code, quiet.err.as_str()), (0, ""));
}
