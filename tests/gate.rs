//! `cutover gate` as CI runs it: from reports and captures alone, exit by verdict.

#![allow(clippy::disallowed_methods, reason = "a test writes and reads files")]

use assert_cmd::Command;
use tempfile::TempDir;

fn cutover(folder: &TempDir, words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.current_dir(folder.path()).env_remove("GITHUB_STEP_SUMMARY").env("NO_COLOR", "1");
    let output = command.args(words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A simulated quarter of an hour, and its report.
fn evidence(folder: &TempDir, name: &str, from: &str, faults: &[&str]) {
    let capture = format!("{name}.jsonl");
    let mut words = vec!["simulate", &capture, "--from", from, "--for", "15m", "-q"];
    for fault in faults {
        words.extend(["--fault", fault]);
    }
    assert_eq!(cutover(folder, &words).0, 0);
    let (code, _, _) = cutover(folder, &["replay", &capture, "-q", "--report-dir", &format!("runs/{name}")]);
    assert_eq!(code, i32::from(!faults.is_empty()));
}

const POSITIONS: [&str; 5] = ["gate", "--feature", "positions", "--phase", "before-enabling"];

fn gate(folder: &TempDir, more: &[&str]) -> (i32, String, String) {
    cutover(folder, &[&POSITIONS, more].concat())
}

#[test]
fn what_another_feature_found_is_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let faults = ["duplicate:feature=market_status", "value_mismatch:feature=market_status"];
    evidence(&folder, "a", "2025-12-19T14:30:00Z", &faults);
    let (code, text, _) = gate(&folder, &["runs/a"]);
    assert_eq!(code, 0, "{text}");
    assert!(!text.contains("duplicate") && !text.contains("Findings"), "{text}");
    let (_, json, _) = gate(&folder, &["runs/a", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["findings"]["fail"], &json["findings"]["warn"]), (&0.into(), &0.into()));
    let market =
        ["gate", "--feature", "market_status", "--phase", "before-enabling", "runs/a", "--format", "json"];
    let (code, json, _) = cutover(&folder, &market);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let counts = |name: &str| json["findings"][name].as_u64().unwrap();
    assert!(code == 1 && counts("fail") > 0 && counts("warn") > 0, "{}", json["findings"]);
}

#[test]
fn it_opens_on_clean_evidence_and_closes_on_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    evidence(&folder, "a", "2025-12-19T14:30:00Z", &[]);
    let (code, text, _) = gate(&folder, &["runs/a"]);
    assert_eq!((code, text.lines().last()), (0, Some("gate positions before-enabling: open")));
    // A report and the capture it was made from are one evidence.
    let (code, text, _) = gate(&folder, &["runs/a/report.json", "a.jsonl"]);
    assert_eq!(code, 0);
    assert!(text.contains("1 given more than once, counted once"), "{text}");
    evidence(&folder, "b", "2025-12-20T14:30:00Z", &["value_mismatch:feature=positions"]);
    let (code, text, _) = gate(
        &folder,
        &["runs", "--junit", "gate.xml", "--summary", "gate.md", "--html", "gate.html", "--github"],
    );
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("gate positions before-enabling: closed"), "{text}");
    assert!(text.contains("::error title=positions before-enabling values-match::FAIL"), "{text}");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(read("gate.xml").contains("<failure message="));
    assert!(read("gate.md").starts_with("# cutover") && read("gate.md").contains("**FAIL**"));
    // The page of the merged outcome: both runs' evidence, and this feature alone.
    let page = read("gate.html");
    for seen in ["<title>cutover", "FAIL</title>", "value_mismatch in positions", "class=\"timeline\""] {
        assert!(page.contains(seen), "{seen}");
    }
    assert!(!page.contains("market_status"));
    assert_eq!(page.matches("capture, SHA-256 of its lines").count(), 2);
    // The other features' failures are not this one's.
    let words = ["gate", "--feature", "market_status", "--phase", "before-enabling", "runs"];
    assert_eq!(cutover(&folder, &words).0, 0);
}

#[test]
fn a_phase_needs_those_before_it_and_lacking_evidence_keeps_it_closed() {
    let folder = tempfile::tempdir().unwrap();
    evidence(&folder, "a", "2025-12-19T14:30:00Z", &[]);
    for (evidence, lacking) in [("runs/a", "no run judged it"), ("a.jsonl", "0 of at least 2 full")] {
        let words = ["gate", "--feature", "positions", "--phase", "before-deleting", evidence];
        let (code, text, _) = cutover(&folder, &words);
        assert_eq!(code, 3, "{text}");
        assert!(text.contains(lacking), "{text}");
        assert!(text.contains("values-match (before-enabling)"), "{text}");
    }
}

#[test]
fn json_is_alone_on_stdout_and_a_step_summary_is_added_to() {
    let folder = tempfile::tempdir().unwrap();
    evidence(&folder, "a", "2025-12-19T14:30:00Z", &[]);
    let summary = folder.path().join("step.md");
    std::fs::write(&summary, "before\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.current_dir(folder.path()).env("GITHUB_STEP_SUMMARY", &summary);
    let output = command.args(POSITIONS).args(["runs/a", "--github", "--format", "json"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"], "PASS");
    assert_eq!(report["features"].as_array().unwrap().len(), 1);
    assert!(String::from_utf8(output.stderr).unwrap().contains("::notice title=cutover::"));
    assert!(std::fs::read_to_string(&summary).unwrap().starts_with("before\n# cutover"));
}

#[test]
fn what_cannot_be_evidence_is_refused_with_its_cure() {
    let folder = tempfile::tempdir().unwrap();
    evidence(&folder, "a", "2025-12-19T14:30:00Z", &[]);
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::write(folder.path().join("other.json"), "{\"schema\":99}").unwrap();
    for (given, code, words) in [
        ("empty", 2, "no report.json in empty"),
        ("other.json", 4, "report schema 99 is unknown to this program"),
        ("absent.jsonl", 4, "could not read absent.jsonl"),
    ] {
        let (told, out, error) = gate(&folder, &[given]);
        assert_eq!((told, &*out), (code, ""), "{error}");
        assert!(error.contains(words), "{error}");
    }
    let unknown = ["gate", "--feature", "position", "--phase", "before-enabling", "runs/a"];
    let (code, _, error) = cutover(&folder, &unknown);
    assert_eq!(code, 2);
    assert!(error.contains("it judges account_balance, positions"), "{error}");
    // A longer recording of the same time.
    let longer = ["simulate", "c.jsonl", "--from", "2025-12-19T14:40:00Z", "--for", "15m", "-q"];
    assert_eq!(cutover(&folder, &longer).0, 0);
    let (code, _, error) = gate(&folder, &["runs/a", "c.jsonl"]);
    assert_eq!(code, 2);
    assert!(error.contains("overlap from 2025-12-19T14:40:00Z to 2025-12-19T14:45:00Z"), "{error}");
}
