//! `cutover calendar` as a user meets it: the given session lists, the horizon, a contract's own calendars.

#![allow(clippy::disallowed_methods, reason = "a test reads lists and writes a contract")]

use assert_cmd::Command;
use serde_json::Value;

fn calendar(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    let output = command.arg("calendar").args(arguments).env_remove("RUST_LOG").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn list(name: &str) -> String {
    let file = format!("{}/fixtures/calendar/{name}.csv", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn the_csv_is_the_given_list() {
    for name in ["XNYS", "XLON", "XETR", "XTKS", "XHKG"] {
        assert_eq!(calendar(&[name, "--format", "csv"]), (0, list(name), String::new()), "{name}");
    }
    let (_, year, _) = calendar(&["NASDAQ", "--from", "2024-01-01", "--to", "2024-12-31", "--format", "csv"]);
    let expect: Vec<String> = list("XNYS")
        .lines()
        .filter(|line| line.starts_with("session") || line.starts_with("2024"))
        .map(String::from)
        .collect();
    assert_eq!(year.lines().collect::<Vec<_>>(), expect);
    assert_eq!(expect.len(), 253);
}

#[test]
fn the_day_of_mourning_of_2025_is_closed() {
    let (code, text, _) = calendar(&["XNYS", "--from", "2025-01-08", "--to", "2025-01-10"]);
    assert_eq!(code, 0);
    assert!(
        text.contains("2025-01-08 Wed") && text.contains("2025-01-10 Fri") && !text.contains("2025-01-09")
    );
}

#[test]
fn beyond_the_horizon_nothing_is_printed() {
    let (code, out, err) = calendar(&["XNYS", "--from", "2028-12-01", "--to", "2029-01-31"]);
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(
        err.contains(
            "INCONCLUSIVE: XNYS is known from 2020-01-01 to 2028-12-31, and nothing is known of 2029-01-01"
        ),
        "{err}"
    );
    assert!(err.contains("extends = \"XNYS\""), "{err}");
    assert_eq!(calendar(&["XNYS", "--from", "2019-12-31", "--to", "2020-01-31"]).0, 3);
}

#[test]
fn wrong_words_are_told() {
    for (arguments, expect) in [
        (&["XNYC"][..], "did you mean `XNYS`?"),
        (&["24/7"], "say --from and --to"),
        (&["XNYS", "--from", "2024-02-30"], "2024-02-30 does not exist"),
        (&["XNYS", "--from", "2024-02-03", "--to", "2024-02-02"], "--to is before --from"),
        (&["XNYS", "--contract", "no/such.toml"], "could not read contract no/such.toml"),
    ] {
        let (code, out, err) = calendar(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(err.contains(expect), "{arguments:?}: {err}");
    }
}

#[test]
fn a_contract_brings_its_own_calendars() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("c.toml");
    let own = r#"
[calendar.MINE]
extends = "XNYS"
add_closed = ["2024-12-23"]
add_special = { 2024-12-26 = ["10:00-12:00"] }
covered = ["2024-12-01", "2029-12-31"]
"#;
    std::fs::write(&file, format!("{}{own}", cutover::contract::BUILTIN)).unwrap();
    let file = file.to_str().unwrap();
    let (code, csv, err) = calendar(&[
        "MINE",
        "--contract",
        file,
        "--from",
        "2024-12-20",
        "--to",
        "2024-12-27",
        "--format",
        "csv",
    ]);
    assert_eq!((code, err.as_str()), (0, ""));
    let expect = [
        "session,open_utc,close_utc,break_start_utc,break_end_utc",
        "2024-12-20,2024-12-20T14:30:00Z,2024-12-20T21:00:00Z,,",
        "2024-12-24,2024-12-24T14:30:00Z,2024-12-24T18:00:00Z,,",
        "2024-12-26,2024-12-26T15:00:00Z,2024-12-26T17:00:00Z,,",
        "2024-12-27,2024-12-27T14:30:00Z,2024-12-27T21:00:00Z,,",
    ];
    assert_eq!(csv.lines().collect::<Vec<_>>(), expect);
    let (_, known, _) = calendar(&["list", "--contract", file]);
    assert!(
        known.contains("MINE        2024-12-01  2029-12-31  America/New_York  of the contract"),
        "{known}"
    );
}

#[test]
fn everything_that_is_known_is_listed() {
    let (code, json, _) = calendar(&["list", "--format", "json"]);
    assert_eq!(code, 0);
    let json: Value = serde_json::from_str(&json).unwrap();
    let names: Vec<&str> =
        json["calendars"].as_array().unwrap().iter().map(|c| c["calendar"].as_str().unwrap()).collect();
    for name in [
        "XNYS",
        "XTKS",
        "XLON",
        "XHKG",
        "XSHG",
        "XETR",
        "XTSE",
        "XBOM",
        "XNSE",
        "CME_EQUITY",
        "CME_RATES",
        "CME_FX",
        "CME_ENERGY",
        "FX",
        "24/7",
        "24/5",
    ] {
        assert!(names.contains(&name), "{name}");
        let (code, out, _) =
            calendar(&[name, "--from", "2026-11-02", "--to", "2026-11-06", "--format", "json"]);
        let json: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, json["calendar"].as_str()), (0, Some(name)));
        assert!(json["sessions"].as_array().unwrap().len() >= 4, "{name}");
    }
    let (_, csv, _) = calendar(&["list", "--format", "csv"]);
    assert_eq!(csv.lines().count(), names.len() + 1);
}
