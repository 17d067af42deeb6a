//! A run with its backend beside it, its replay, and what it is held against.

use super::support::{Bench, Ran, run};
use cutover::capture::{Writer, encode};
use cutover::model::{EndReason, Event, Observation, Start, Timestamp};
use std::fs;

/// A capture of two minutes with a sample each second and a clean log; `mib` of memory.
fn capture(bench: &Bench, name: &str, mib: u64) -> String {
    let at = |second: u64| Timestamp(1_766_154_600_000_000_000 + second as i64 * 1_000_000_000);
    let flags = vec![("WS_FEATURE_POSITIONS".to_string(), true)];
    let mut events = vec![(at(0), Event::Start(Box::new(Start { capture: 1, flags, ..Start::default() })))];
    for k in 0..120 {
        let sample = Event::Sample {
            process: "backend".into(),
            cpu_seconds: k as f64 * 0.2,
            rss_bytes: (mib << 20) + k % 7 * 4_096,
        };
        events.push((at(k), sample));
        events.push((at(k), Event::Log { source: "app".into(), line: "INFO fine".into() }));
    }
    events.push((at(120), Event::End { reason: EndReason::Done }));
    let mut writer = Writer::new(Vec::new());
    for (at, event) in events {
        let mut line = String::new();
        encode(&Observation { at, event }, &mut line);
        writer.append(at, &line).unwrap();
    }
    bench.write(name, writer.finish().unwrap())
}

fn replay(bench: &Bench, capture: &str, folder: &str, more: &[&str]) -> Ran {
    let folder = bench.arg(folder);
    let arguments =
        ["replay", capture, "--phase", "after-enabling", "--feature", "positions", "--report-dir", &folder];
    run(&[&arguments, more].concat())
}

fn verdict(bench: &Bench, folder: &str, check: &str) -> String {
    let text = fs::read_to_string(bench.path(folder).join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let checks = report["features"][0]["checks"].as_array().unwrap();
    let found = checks.iter().find(|c| c["check"] == check && c["phase"] == "after-enabling").unwrap();
    found["verdict"].as_str().unwrap().to_string()
}

#[test]
fn a_report_its_folder_and_its_capture_are_the_same_baseline() {
    let bench = Bench::new();
    let before = capture(&bench, "before.jsonl", 180);
    let after = capture(&bench, "after.jsonl", 183);
    replay(&bench, &before, "before", &[]);
    assert_eq!(verdict(&bench, "before", "resources-flat"), "INCONCLUSIVE");
    assert_eq!(verdict(&bench, "before", "logs-clean"), "PASS");
    let mut reports = Vec::new();
    for baseline in [bench.arg("before"), bench.arg("before/report.json"), before.clone()] {
        let ran = replay(&bench, &after, "after", &["--baseline", &baseline]);
        assert_eq!(ran.code, Some(3), "{}", ran.err);
        assert_eq!(verdict(&bench, "after", "resources-flat"), "PASS");
        reports.push(fs::read(bench.path("after").join("report.json")).unwrap());
    }
    assert!(reports.windows(2).all(|pair| pair[0] == pair[1]));
    let more = capture(&bench, "more.jsonl", 240);
    let ran = replay(&bench, &more, "more", &["--baseline", &before]);
    assert_eq!((ran.code, verdict(&bench, "more", "resources-flat").as_str()), (Some(1), "FAIL"));
    let findings = fs::read_to_string(bench.path("more").join("findings.csv")).unwrap();
    assert!(
        findings.contains("resource_increase,fail,,after-enabling,process=backend,,rss_bytes"),
        "{findings}"
    );
}

#[test]
fn what_is_no_baseline_is_refused_in_words() {
    let bench = Bench::new();
    let after = capture(&bench, "after.jsonl", 180);
    let empty = bench.arg("empty.jsonl");
    run(&["simulate", &empty, "--for", "1m"]);
    let newer = bench.write("newer.json", "{\"schema\": 99, \"processes\": []}");
    for (baseline, code, words) in [
        (bench.arg("nowhere"), 2, "could not read baseline"),
        (bench.write("text.json", "hello\n"), 2, "it is neither a report.json nor a capture"),
        (newer, 4, "report schema 99 is unknown to this program"),
        (empty, 2, "has no samples of a process; record it with"),
    ] {
        let ran = replay(&bench, &after, "report", &["--baseline", &baseline]);
        assert!(ran.code == Some(code) && ran.err.contains(words), "{:?} {}", ran.code, ran.err);
    }
}

#[test]
fn a_run_that_cannot_begin_leaves_nothing_in_the_way_of_the_next() {
    let bench = Bench::new();
    let folder = bench.arg("report");
    for arguments in [["--log", "app=/no/such/app.log"], ["--process", "no-such-process-here"]] {
        let ran = run(&[&["watch", "--for", "1s", "--report-dir", &folder], &arguments[..]].concat());
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        assert!(
            ran.err.contains("no-such-process-here") || ran.err.contains("could not open log app="),
            "{}",
            ran.err
        );
        assert!(!bench.path("report").join("capture.jsonl").exists());
    }
}
