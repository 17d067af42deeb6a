//! `cutover report`, `completions` and `man`: what is there already, in another form.

#![allow(clippy::disallowed_methods, reason = "a test writes and reads files")]

use assert_cmd::Command;
use std::path::Path;
use tempfile::TempDir;

fn cutover(folder: &TempDir, words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    let output = command.current_dir(folder.path()).env("NO_COLOR", "1").args(words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn simulated(folder: &TempDir, name: &str, from: &str) {
    let words = ["simulate", name, "--from", from, "--for", "5m", "-q", "--fault", "value_mismatch:every=7"];
    assert_eq!(cutover(folder, &words).0, 0);
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_report_is_rendered_again_as_the_run_rendered_it() {
    let folder = tempfile::tempdir().unwrap();
    simulated(&folder, "a.jsonl", "2025-12-19T14:30:00Z");
    let (code, printed, _) = cutover(&folder, &["replay", "a.jsonl", "--report-dir", "run"]);
    assert_eq!(code, 1);
    let run = folder.path().join("run");
    // From the report and from the capture alike.
    for from in ["run", "run/report.json", "a.jsonl"] {
        for (format, file) in [
            ("json", "report.json"),
            ("signoff", "signoff.csv"),
            ("summary", "summary.md"),
            ("junit", "junit.xml"),
            ("html", "report.html"),
        ] {
            let (code, out, _) = cutover(&folder, &["report", from, "--format", format]);
            assert_eq!(code, 1, "the verdict's");
            assert!(out == read(&run.join(file)), "{from} as {format}");
        }
    }
    let (_, text, _) = cutover(&folder, &["report", "run"]);
    assert_eq!(text.trim_end(), printed.trim_end().strip_suffix("run").unwrap().trim_end());
    assert_eq!(cutover(&folder, &["report", "run", "-o", "again.txt"]).1, "");
    assert_eq!(read(&folder.path().join("again.txt")), text);
}

#[test]
fn several_are_one_and_overlapping_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    simulated(&folder, "a.jsonl", "2025-12-19T14:30:00Z");
    simulated(&folder, "b.jsonl", "2025-12-19T15:30:00Z");
    simulated(&folder, "c.jsonl", "2025-12-19T14:33:00Z");
    let json = |words: &[&str]| -> serde_json::Value {
        serde_json::from_str(&cutover(&folder, &[words, &["--format", "json"]].concat()).1).unwrap()
    };
    let [a, b] = ["a.jsonl", "b.jsonl"].map(|one| json(&["report", one])["observations"].as_u64().unwrap());
    let both = json(&["report", "a.jsonl", "b.jsonl"]);
    assert_eq!((&both["observations"], &both["verdict"]), (&(a + b).into(), &"FAIL".into()));
    // What no run was asked for stands as that, not as lacking evidence.
    let asked = both.to_string();
    assert!(asked.contains("not asked") && !asked.contains("no run judged it"));
    let (code, _, err) = cutover(&folder, &["report", "a.jsonl", "c.jsonl"]);
    assert!(code == 2 && err.contains("overlap"), "{err}");
}

#[test]
fn what_is_no_report_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("report.json"), "{}").unwrap();
    for (words, code, said) in [
        (&["report"][..], 2, "no evidence was given"),
        (&["report", "nowhere"], 4, "nowhere"),
        (&["report", "report.json"], 4, "report.json"),
        (&["report", "report.json", "--format", "findings"], 2, "findings"),
        (&["report", "--schema", "report.json"], 2, "--schema"),
        (&["man", "nothing"], 2, "no command is named `nothing`"),
        (&["completions", "csh"], 2, "csh"),
    ] {
        let (got, out, err) = cutover(&folder, words);
        assert!((got, out.as_str()) == (code, "") && err.contains(said), "{words:?} {got} {err}");
    }
}

#[test]
fn the_schema_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, _) = cutover(&folder, &["report", "--schema"]);
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &schema["$schema"]), (0, &"https://json-schema.org/draft/2020-12/schema".into()));
}

#[test]
fn each_command_has_a_manual_page_and_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(cutover(&folder, &["man", "--dir", "man1"]), (0, "man1\n".into(), String::new()));
    let (_, completions, _) = cutover(&folder, &["completions", "bash"]);
    let (_, help, _) = cutover(&folder, &["--help"]);
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.len() > 15, "{help}");
    for name in commands {
        let page = read(&folder.path().join("man1").join(format!("cutover-{name}.1")));
        assert!(page.contains(&format!(".TH cutover-{name} 1")) && page.contains("Example"), "{name}");
        assert_eq!(cutover(&folder, &["man", name]).1, page);
        assert!(
            completions.contains(&format!("cutover__subcmd__{}", name.replace('-', "__subcmd__"))),
            "{name}"
        );
    }
    assert!(read(&folder.path().join("man1/cutover.1")).contains(".TH cutover 1"));
}
