//! Runs that end early: by Ctrl-C, by a terminal that goes, by a kill that leaves no time, by a torn last line.

#![cfg(unix)]

use super::servers::{Served, reference};
use super::support::{Bench, Ran, Report, Running, cutover, run, wait_for};
use cutover::source::open_capture;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Command;

/// A watch under way; its first messages are on disk.
struct Watching {
    bench: Bench,
    running: Running,
    _server: Served,
}

impl Watching {
    fn start(more: &[&str]) -> Watching {
        Watching::start_as(cutover, more)
    }

    fn start_as(command: impl Fn(&[&str]) -> Command, more: &[&str]) -> Watching {
        let server = reference(20);
        let bench = Bench::new();
        let contract = bench.contract(server.address, server.address);
        let dir = bench.arg("live");
        let fixed = ["watch", "--contract", &contract, "--speed", "20", "--report-dir", &dir];
        let running = Running::start(&mut command(&[&fixed, more].concat()));
        let mut watching = Watching { bench, running, _server: server };
        watching.wait_for_messages();
        watching
    }

    /// Enough of both feeds for a comparison.
    fn wait_for_messages(&mut self) {
        let capture = self.bench.path("live/capture.jsonl");
        wait_for("messages in the capture", || {
            assert!(!self.running.has_ended(), "the watch has ended by itself");
            let text = fs::read_to_string(&capture).unwrap_or_default();
            let seen = |kind: &str| text.matches(&format!("{{\"kind\":\"{kind}\"")).count();
            (seen("ws") >= 20 && seen("rest") >= 10).then_some(())
        });
    }

    fn interrupt(self) -> (Ran, Bench) {
        self.end_by("INT")
    }

    fn end_by(self, signal: &str) -> (Ran, Bench) {
        self.running.signal(signal);
        (self.running.finish(), self.bench)
    }

    fn kill(self) -> Bench {
        assert_eq!(self.running.kill().code(), None, "a signal ended it");
        self.bench
    }
}

fn end_reason(report: &Report) -> String {
    let capture = String::from_utf8(report.bytes("capture.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(capture.lines().last().unwrap()).unwrap();
    assert_eq!(last["kind"], "end");
    last["reason"].as_str().unwrap().to_string()
}

fn replay(bench: &Bench, capture: &str) -> (Ran, Report) {
    let ran = run(&["replay", &bench.arg(capture), "--report-dir", &bench.arg("again")]);
    (ran, bench.report("again"))
}

#[test]
fn ctrl_c_is_the_proper_end_of_a_run_without_a_duration() {
    let (ran, bench) = Watching::start(&[]).interrupt();
    let report = bench.report("live");
    assert_eq!(end_reason(&report), "done");
    assert_eq!(ran.code, Some(3), "too short to prove anything: {}\n{}", ran.out, ran.err);
    assert_eq!(report.json()["interrupted"], false);
    assert_eq!(report.check("positions", "no-drops")["verdict"], "PASS");
    assert!(!ran.out.contains("interrupted"), "{}", ran.out);
    assert!(ran.err.contains("ending in order"), "{}", ran.err);
}

#[test]
fn ctrl_c_before_the_time_is_up_is_an_interruption() {
    let (ran, bench) = Watching::start(&["--for", "10h"]).interrupt();
    let report = bench.report("live");
    assert_eq!(end_reason(&report), "interrupted");
    assert_eq!(ran.code, Some(3), "{}\n{}", ran.out, ran.err);
    assert_eq!(report.json()["interrupted"], true);
    assert_eq!(report.check("positions", "no-drops")["verdict"], "INCONCLUSIVE");
    assert!(ran.out.contains("interrupted"), "{}", ran.out);
    let (again, replayed) = replay(&bench, "live/capture.jsonl");
    assert_eq!(again.code, Some(3));
    assert_eq!(report.bytes("report.json"), replayed.bytes("report.json"));
}

/// As a shell starts it, whatever started this test; `trap` is what the shell does first.
fn behind(trap: &'static str) -> impl Fn(&[&str]) -> Command {
    move |arguments| {
        let plain = cutover(arguments);
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{trap} exec \"$0\" \"$@\"")).arg(plain.get_program());
        command.args(plain.get_args());
        for (name, _) in plain.get_envs() {
            command.env_remove(name);
        }
        command
    }
}

#[test]
fn a_terminal_that_goes_leaves_a_report() {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or("1");
    if u64::from_str_radix(ignored.trim(), 16).unwrap() & 1 != 0 {
        // A child cannot be told of a hangup that its parents ignore.
        return;
    }
    let (ran, bench) = Watching::start(&["--for", "10h"]).end_by("HUP");
    let report = bench.report("live");
    assert_eq!(end_reason(&report), "interrupted");
    assert_eq!(ran.code, Some(3), "{}\n{}", ran.out, ran.err);
    assert!(ran.err.contains("ending in order"), "{}", ran.err);
}

#[test]
fn under_nohup_a_terminal_that_goes_ends_nothing() {
    let watching = Watching::start_as(behind("trap '' HUP;"), &["--for", "10h"]);
    watching.running.signal("HUP");
    let before = fs::read(watching.bench.path("live/capture.jsonl")).unwrap().len();
    wait_for("more messages", || {
        let now = fs::read(watching.bench.path("live/capture.jsonl")).unwrap().len();
        (now > before + 10_000).then_some(())
    });
    let (ran, bench) = watching.interrupt();
    assert_eq!(end_reason(&bench.report("live")), "interrupted");
    assert_eq!(ran.code, Some(3), "{}\n{}", ran.out, ran.err);
}

#[test]
fn what_a_kill_leaves_can_be_replayed() {
    let bench = Watching::start(&["--for", "10h"]).kill();
    let live = bench.report("live");
    assert!(!live.files().contains(&"report.json".to_string()), "nothing looks like a report");
    let (ran, report) = replay(&bench, "live/capture.jsonl");
    judged_as_interrupted(&ran, &report);
}

#[test]
fn a_torn_last_line_costs_that_line_alone() {
    let bench = Watching::start(&["--for", "10h"]).kill();
    let whole = fs::read(bench.path("live/capture.jsonl")).unwrap();
    let ends: Vec<usize> = (0..whole.len()).filter(|i| whole[*i] == b'\n').collect();
    let before = ends[ends.len() - 2];
    let count = |bytes: &[u8]| {
        bench.write("torn.jsonl", bytes);
        let (ran, report) = replay(&bench, "torn.jsonl");
        judged_as_interrupted(&ran, &report);
        report.json()["observations"].clone()
    };
    let full = count(&whole[..=before]);
    assert_eq!(count(&whole[..before + 30]), full, "30 bytes into the last line");
}

#[test]
fn a_compressed_capture_survives_a_kill_too() {
    let server = reference(20);
    let bench = Bench::new();
    let contract = bench.contract(server.address, server.address);
    let (capture, dir) = (bench.arg("live.jsonl.zst"), bench.arg("live"));
    let arguments =
        ["watch", "--contract", &contract, "--speed", "20", "--report-dir", &dir, "--record", &capture];
    let running = Running::start(&mut cutover(&arguments));
    wait_for("messages in the compressed capture", || {
        let Ok(lines) = open_capture(capture.as_ref()).map(BufReader::new) else { return None };
        // What follows the last flush cannot be read yet.
        let seen = lines.lines().map_while(Result::ok).filter(|line| line.starts_with(r#"{"kind":"ws""#));
        (seen.count() >= 20).then_some(())
    });
    running.kill();
    let (ran, report) = replay(&bench, "live.jsonl.zst");
    judged_as_interrupted(&ran, &report);
    assert!(report.json()["observations"].as_u64() > Some(20));
}

fn judged_as_interrupted(ran: &Ran, report: &Report) {
    assert_eq!(ran.code, Some(3), "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("interrupted"), "{}", ran.out);
    assert_eq!(report.json()["interrupted"], true);
    assert_eq!(report.check("positions", "no-drops")["verdict"], "INCONCLUSIVE");
    assert_eq!(report.check("positions", "messages-seen")["feature"], "positions");
}
