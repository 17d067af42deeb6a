//! `cutover explain`: the finding of that line, both sides' raw records around it, and the rule.

#![allow(clippy::disallowed_methods, reason = "tests write the captures they explain")]

use assert_cmd::Command;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn cutover(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    let output = command.args(arguments).env_remove("RUST_LOG").env("COLUMNS", "80").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn fixture(name: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name).join(file)
}

fn explained(arguments: &[&str]) -> Value {
    let (code, out, err) = cutover(&[&["explain"], arguments, &["--format", "json"]].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn each_line_of_findings_csv_is_the_finding_of_its_number() {
    for case in ["pnl-differs", "bar-missing"] {
        let capture = fixture("fixtures", case).join("capture.jsonl");
        let findings = fixture("reports", case).join("findings.csv");
        let mut rows = csv::Reader::from_path(findings).unwrap();
        let head = rows.headers().unwrap().clone();
        for (i, row) in rows.records().enumerate() {
            let row = row.unwrap();
            let json = explained(&[capture.to_str().unwrap(), &(i + 1).to_string()]);
            assert_eq!(json["number"].as_u64(), Some(i as u64 + 1));
            for column in ["class", "severity", "feature", "stream", "row", "field", "at", "delta"] {
                let cell = &row[head.iter().position(|name| name == column).unwrap()];
                // A cell that a spreadsheet would run has an apostrophe before it.
                assert_eq!(
                    json["finding"][column].as_str(),
                    Some(cell.trim_start_matches('\'')),
                    "{case} {i} {column}"
                );
            }
        }
    }
}

#[test]
fn the_timeline_shows_both_sides_and_the_deadline() {
    let capture = fixture("fixtures", "pnl-differs").join("capture.jsonl");
    let json = explained(&[capture.to_str().unwrap()]);
    let timeline = json["timeline"].as_array().unwrap();
    let at = |line: &Value| line["at"].as_str().unwrap().to_string();
    assert!(timeline.is_sorted_by_key(at), "in the order of time");
    let compared: Vec<&Value> = timeline.iter().filter(|line| line["compared"] == true).collect();
    let kinds: Vec<&str> = compared.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ws", "rest"]);
    for line in &compared {
        assert_eq!(line["event_time"], json["finding"]["event_time"]);
        assert!(line["record"].as_str().unwrap().contains("\"account_id\":123"), "{line}");
    }
    assert_eq!(compared[1]["at"], json["finding"]["at"]);
    assert!(compared[1]["sent_at"].as_str().unwrap() < compared[1]["at"].as_str().unwrap());
    assert!(timeline.iter().any(|line| line["text"] == "deadline: received + settle"));
    assert!(timeline.iter().all(|line| !line["record"].to_string().contains("\\\"account_id\\\":456")));
    assert_eq!(json["rule"]["spec"], "5.2");
    assert_eq!(json["differs"][0]["field"], "pnl");
}

#[test]
fn a_report_folder_explains_its_own_run() {
    let temp = tempfile::tempdir().unwrap();
    let run = temp.path().to_str().unwrap();
    let (code, _, err) = cutover(&["explain", run]);
    assert_eq!(code, 2);
    assert!(err.contains("it holds no capture.jsonl"), "{err}");
    std::fs::copy(
        fixture("fixtures", "pnl-differs").join("capture.jsonl"),
        temp.path().join("capture.jsonl"),
    )
    .unwrap();
    let (code, text, _) = cutover(&["explain", run, "2"]);
    assert_eq!(code, 0);
    assert!(text.starts_with("value_mismatch (fail)  finding 2\n"), "{text}");
    assert!(
        text.contains("rule (SPEC 5.2)") && text.contains("here P = 10s, settle = 2s, aligned by time"),
        "{text}"
    );
}

#[test]
fn a_choice_narrows_what_is_counted() {
    let capture = fixture("fixtures", "pnl-differs").join("capture.jsonl");
    let capture = capture.to_str().unwrap();
    let all: Vec<Value> = (1..=3).map(|n| explained(&[capture, &n.to_string()])).collect();
    let second = all[1]["finding"]["at"].as_str().unwrap();
    assert_eq!(explained(&[capture, "--at", second])["number"], 2);
    assert_eq!(explained(&[capture, "--at", second, "--finding", "2"])["number"], 3);
    assert_eq!(explained(&[capture, "--class", "value_mismatch", "--field", "pnl", "3"])["number"], 3);
    for (arguments, expect) in [
        (&["4"][..], "only 3 of its 3 findings match"),
        (&["--class", "gap"], "none of its 3 findings matches"),
        (&["--feature", "position"], "did you mean `positions`?"),
        (&["--class", "gapp"], "did you mean `gap`?"),
        (&["0"], "invalid value"),
    ] {
        let (code, out, err) = cutover(&[&["explain", capture], arguments].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(err.contains(expect), "{arguments:?}: {err}");
    }
    let clean = fixture("fixtures", "clean").join("capture.jsonl");
    assert!(cutover(&["explain", clean.to_str().unwrap()]).2.contains("it has no finding"));
    assert_eq!(cutover(&["explain", "no/such.jsonl"]).0, 4);
}

#[test]
fn every_kind_of_finding_is_explained_in_eighty_columns() {
    for (fault, class, shows) in [
        (
            "value_mismatch:feature=market_status,field=status,rate=0.2",
            "value_mismatch",
            "deadline: received + P",
        ),
        (
            "value_mismatch:feature=intraday_bar,rate=1",
            "value_mismatch",
            "deadline: a settle after REST showed",
        ),
        ("missing_on_ws:feature=account_balance,rate=0.1", "missing_on_ws", "deadline: received + settle"),
        ("connection_drop:at=120s,for=20s", "connection_drop", "closed by"),
        ("gap:feature=positions,rate=0.1", "gap", "rule (SPEC 5.6)"),
        ("malformed:feature=positions,rate=0.2", "malformed", "a frame that no feature takes"),
        ("rest_error:feature=positions,rate=0.2", "rest_error", "gave nothing"),
        ("unknown_type:feature=positions,rate=0.2", "unknown_type", "a frame that no feature takes"),
        ("missing_field:feature=account_balance,field=cash,rate=0.2", "missing_field", "account_balance"),
        ("frozen:feature=account_balance,at=120s,for=60s", "frozen", ", again at 14:32:12.224"),
    ] {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("capture.jsonl");
        let file = file.to_str().unwrap();
        let (code, _, err) = cutover(&["simulate", file, "--for", "6m", "--seed", "3", "--fault", fault]);
        assert_eq!(code, 0, "{fault}: {err}");
        let (code, text, err) = cutover(&["explain", file, "--class", class]);
        assert_eq!((code, err.as_str()), (0, ""), "{fault}");
        assert!(text.starts_with(class) && text.contains(shows), "{fault}\n{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{fault}\n{text}");
        assert_eq!(text, cutover(&["explain", file, "--class", class]).1, "the same again");
    }
}

#[test]
fn the_sessions_events_stand_on_the_timeline() {
    let temp = tempfile::tempdir().unwrap();
    let path = |name: &str| temp.path().join(name).to_str().unwrap().to_string();
    let xnys = cutover::contract::BUILTIN.replace("calendar = \"24/7\"", "calendar = \"XNYS\"");
    std::fs::write(path("c.toml"), xnys).unwrap();
    let fault = "value_mismatch:feature=positions,field=pnl,rate=1";
    let (file, contract) = (path("capture.jsonl"), path("c.toml"));
    let simulate = ["simulate", &file, "--contract", &contract, "--for", "2m", "--fault", fault];
    let (code, _, err) = cutover(&[&simulate[..], &["--from", "2025-12-19T14:29:40Z"]].concat());
    assert_eq!(code, 0, "{err}");
    let (_, text, _) = cutover(&["explain", &file]);
    assert!(text.contains("14:30:00.000 XNYS opens"), "{text}");
}
