//! `cutover drill` as a person runs it: what it prints and leaves behind, and which recordings it refuses.

use super::support::{Bench, run};

fn session(bench: &Bench, name: &str, more: &[&str]) -> String {
    let path = bench.arg(name);
    let ran = run(&[&["simulate", path.as_str()], more].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    path
}

#[test]
fn the_table_goes_into_the_report_whatever_the_threads() {
    let bench = Bench::new();
    let path = session(&bench, "clean.jsonl.zst", &["--for", "4m"]);
    let drill = |dir: &str, threads: &str| {
        let dir = bench.arg(dir);
        let chosen = ["--feature", "account_balance", "--class", "value_mismatch", "--class", "duplicate"];
        let how = ["--threads", threads, "--format", "json", "--report-dir", dir.as_str()];
        run(&[&["drill", path.as_str()], &chosen[..], &how[..]].concat())
    };
    let (one, three) = (drill("one", "1"), drill("three", "3"));
    assert_eq!(one.code, Some(0), "{}{}", one.out, one.err);
    assert_eq!(one.out, three.out, "threads changed the result");
    let report = bench.report("one");
    assert_eq!(one.out.as_bytes(), report.bytes("drill.json"));
    let drill: serde_json::Value = serde_json::from_str(&one.out).unwrap();
    assert_eq!((&drill["schema"], &drill["clean"], &drill["seed"]), (&1.into(), &true.into(), &1.into()));
    let totals = &drill["totals"];
    let sum: u64 = ["caught", "held", "reported", "quiet", "explained", "missed", "false_alarm"]
        .iter()
        .map(|seen| totals[seen].as_u64().unwrap())
        .sum();
    let mutants = drill["mutants"].as_array().unwrap();
    assert!(sum > 5 && totals["mutants"] == sum && mutants.len() as u64 == sum, "{totals}");
    assert!(mutants.iter().all(|m| m["class"] == "value_mismatch" || m["class"] == "duplicate"));
    // The same table, in what people and other tools read.
    let json = report.json();
    assert_eq!(json["verdict"], "PASS");
    assert_eq!(json["drill"]["totals"], *totals);
    let summary = String::from_utf8(report.bytes("summary.md")).unwrap();
    assert!(summary.contains("## What this gate can see") && summary.contains("just above the tolerance"));
}

#[test]
fn the_text_says_what_is_seen() {
    let bench = Bench::new();
    let path = session(&bench, "clean.jsonl", &["--for", "4m"]);
    let dir = bench.arg("report");
    let chosen = ["--feature", "positions", "--class", "missing_row", "--class", "torn_read"];
    let ran = run(&[&["drill", path.as_str(), "--report-dir", &dir], &chosen[..]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("2 mutants: 2 caught"), "{}", ran.out);
    assert!(ran.out.contains("missing_row") && ran.out.contains("not tried: torn_read"), "{}", ran.out);
    assert!(ran.out.ends_with(&format!("{dir}\n")) && !ran.out.contains('\u{1b}'), "{}", ran.out);
}

#[test]
fn a_recording_that_fails_is_refused_and_what_passes_in_it_is_drilled() {
    let bench = Bench::new();
    let fault = "value_mismatch:feature=positions,field=pnl";
    let path = session(&bench, "bad.jsonl", &["--for", "4m", "--fault", fault]);
    let dir = bench.arg("report");
    let chosen = ["--feature", "account_balance", "--feature", "positions", "--class", "null_field"];
    let ran = run(&[&["drill", path.as_str(), "--report-dir", &dir], &chosen[..]].concat());
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{}", ran.err);
    for words in ["must pass", "positions (values-match FAIL", "--feature account_balance", &dir] {
        assert!(ran.err.contains(words), "{words} in {}", ran.err);
    }
    assert_eq!(bench.report("report").json()["verdict"], "FAIL");
    let ran =
        run(&["drill", &path, "--report-dir", &dir, "--feature", "account_balance", "--class", "null_field"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
}

#[test]
fn too_little_evidence_is_refused() {
    let bench = Bench::new();
    let short = session(&bench, "short.jsonl", &["--for", "30s"]);
    let dir = bench.arg("report");
    let ran = run(&["drill", &short, "--report-dir", &dir, "--feature", "account_balance"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("INCONCLUSIVE") && ran.err.contains("of at least"), "{}", ran.err);
    // Long enough as a whole, and its slice is not.
    let long = session(&bench, "long.jsonl", &["--for", "4m"]);
    let ran = run(&["drill", &long, "--report-dir", &dir, "--feature", "account_balance", "--for", "20s"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("the slice from") && ran.err.contains("--for"), "{}", ran.err);
    let ran = run(&[
        "drill",
        &long,
        "--report-dir",
        &dir,
        "--feature",
        "account_balance",
        "--from",
        "2030-01-01T00:00:00Z",
    ]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("--from"), "{}", ran.err);
    let ran = run(&["drill", &long, "--class", "nonsense"]);
    assert!(ran.code == Some(2) && ran.err.contains("value_mismatch"), "{}", ran.err);
}
