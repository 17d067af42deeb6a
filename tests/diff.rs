//! `cutover diff` as a program: bodies and recordings, equal, different, and not comparable.

#![cfg(feature = "io")]
#![allow(clippy::disallowed_methods, reason = "files are written for the program to read")]

use assert_cmd::Command;
use serde_json::Value;
use std::fs;
use std::path::Path;

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn run(folder: &Path, line: &str) -> Ran {
    let mut command = Command::cargo_bin("cutover").unwrap();
    let output = command.current_dir(folder).args(line.split_whitespace()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

const BALANCE: &str = r#"{"account_id":1,"account_number":"A","cash":100.00,"buying_power":5,"timestamp":"2025-12-19T14:30:00Z"}"#;

fn check(a: &str, b: &str, options: &str, code: i32, expect: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.json"), a).unwrap();
    fs::write(folder.path().join("b.json"), b).unwrap();
    let ran = run(folder.path(), &format!("diff a.json b.json {options}"));
    assert_eq!(ran.code, code, "{}{}", ran.out, ran.err);
    for text in expect {
        assert!(ran.out.contains(text) || ran.err.contains(text), "{text}\n{}{}", ran.out, ran.err);
    }
}

#[test]
fn bodies_are_compared_by_the_contract() {
    let rest = format!(r#"{{"accounts":[{BALANCE}]}}"#);
    let ws = |record: String| format!(r#"{{"type":"account_balance","data":{record}}}"#);
    let same = ws(BALANCE.replace("100.00", "\"100.001\""));
    let by = "--feature account_balance";
    check(&rest, &same, by, 0, &["equal: 1 records equal, 0 differ"]);
    let differs = ws(BALANCE.replace("100.00", "100.01"));
    check(
        &rest,
        &differs,
        by,
        1,
        &["cash: 100.00 / 100.01 (+0.01)", "-  \"cash\": 100.00", "different: 0 records equal, 1 differ"],
    );
    check(&rest, &ws(BALANCE.replace("\"cash\"", "\"money\"")), by, 1, &["cash: missing_field in B"]);
    let other = ws(BALANCE.replace("\"account_id\":1", "\"account_id\":2"));
    check(
        &rest,
        &other,
        by,
        1,
        &["account_id=1: only in A", "account_id=2: only in B", "1 only in A, 1 only in B"],
    );
    check(&rest, &rest, &format!("{by} --side rest"), 0, &["equal: 1 records equal"]);
    check(&rest, &rest, by, 2, &["could not read b.json as a WebSocket message"]);
    check(&rest, &same, "--feature account_balances", 2, &["did you mean `account_balance`?"]);
    check(
        &rest,
        &same,
        "--feature positions --feature account_balance",
        2,
        &["--feature: account_balance, positions"],
    );
    let empty = r#"{"accounts":[]}"#;
    check(empty, empty, &format!("{by} --side rest"), 3, &["nothing was compared"]);
}

#[test]
fn bodies_without_a_contract_are_compared_value_by_value() {
    check(r#"{"a":1.0,"b":[1]}"#, r#"{"b":[1],"a":1}"#, "", 0, &["equal: every value is the same"]);
    check(r#"{"a":1,"b":2}"#, r#"{"a":1,"b":3}"#, "", 1, &["/b: 2 / 3", "different in 1 places"]);
    check("{", "{}", "", 2, &["could not read a.json: it is no JSON"]);
    check("1", "1", "--side rest", 2, &["--side needs a contract"]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.json"), r#"{"a":"x"}"#).unwrap();
    fs::write(folder.path().join("b.json"), "{}").unwrap();
    let json: Value =
        serde_json::from_str(&run(folder.path(), "diff a.json b.json --format json").out).unwrap();
    assert_eq!(json["equal"], false);
    assert_eq!(json["differences"][0]["path"], "/a");
    assert_eq!(run(folder.path(), "diff a.json nowhere.json").code, 4);
}

#[test]
fn recordings_are_compared_version_by_version() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let simulate = |line: &str| assert_eq!(run(at, &format!("simulate {line}")).code, 0);
    // One world, seen twice: the second for longer, and over another network.
    simulate("a.jsonl --for 4m");
    simulate("b.jsonl.zst --for 5m --latency 50ms");
    simulate("c.jsonl --for 4m --fault value_mismatch:feature=account_balance,field=cash,rate=0.2");
    let features = "--feature account_balance --feature positions";
    let same = run(at, &format!("diff a.jsonl b.jsonl.zst {features}"));
    assert_eq!(same.code, 0, "{}", same.out);
    assert!(
        same.out.contains("0 only in A, 0 only in B") && same.out.contains("outside the other's time"),
        "{}",
        same.out
    );
    let spoiled = run(at, &format!("diff a.jsonl c.jsonl {features} --format json"));
    assert_eq!(spoiled.code, 1);
    let json: Value = serde_json::from_str(&spoiled.out).unwrap();
    let records = json["records"].as_array().unwrap();
    assert!(!records.is_empty());
    for record in records {
        assert_eq!((&record["feature"], &record["side"]), (&"account_balance".into(), &"WebSocket".into()));
        assert_eq!(record["differences"][0]["field"], "cash", "{record}");
    }
    assert!(json["records_equal"].as_u64().unwrap() > 20, "{json}");
    fs::write(at.join("body.json"), "{}").unwrap();
    let mixed = run(at, "diff a.jsonl body.json");
    assert_eq!(mixed.code, 2, "{}", mixed.err);
    assert_eq!(run(at, "diff a.jsonl c.jsonl --side rest").code, 2);
    // Another day has nothing in common with this one.
    simulate("d.jsonl --for 2m --from 2025-12-20T14:30:00Z");
    let apart = run(at, &format!("diff a.jsonl d.jsonl {features}"));
    assert_eq!(apart.code, 3, "{}", apart.out);
}
