//! Runs that end by themselves, long before `--for`.

use super::servers::{Served, faulty, reference};
use super::support::{Bench, REPORT_FILES, Ran, run};

/// An hour of the world would take three minutes.
const SPEED: u32 = 20;

fn watch(bench: &Bench, server: &Served, name: &str, more: &[&str]) -> Ran {
    let contract = bench.contract(server.address, server.address);
    let (dir, speed) = (bench.arg(name), SPEED.to_string());
    let words = ["watch", "--contract", &contract, "--speed", &speed, "--for", "1h", "--report-dir", &dir];
    run(&[&words, more].concat())
}

/// How long the run lasted, in the world's seconds; it ended in order.
fn lasted(bench: &Bench, name: &str) -> f64 {
    let capture = String::from_utf8(bench.report(name).bytes("capture.jsonl")).unwrap();
    let end = capture.lines().last().unwrap();
    assert!(end.contains("\"kind\":\"end\"") && end.contains("\"done\""), "{end}");
    let at = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = line["at"].as_str().unwrap().to_string();
        cutover::model::Timestamp::parse_rfc3339(&text).unwrap()
    };
    (at(end) - at(capture.lines().next().unwrap())).as_secs_f64()
}

#[test]
fn it_ends_once_all_is_proven_and_its_replay_says_the_same() {
    let (server, bench) = (reference(SPEED), Bench::new());
    let ran = watch(&bench, &server, "live", &["--feature", "positions", "--until-proven=10%"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("enough was seen of everything asked; ending in order"), "{}", ran.err);
    // 30 clean pairs of two accounts take 15 intervals.
    let lasted = lasted(&bench, "live");
    assert!((140.0..1_800.0).contains(&lasted), "{lasted}");
    let live = bench.report("live");
    let told = live.check("positions", "values-match");
    let bound = told["confidence"].split_once("(95 %; ").unwrap().1.split_once(" % whenever").unwrap().0;
    assert!(bound.parse::<f64>().unwrap() <= 10.0, "{told:?}");

    let capture = bench.arg("live/capture.jsonl");
    let again = bench.arg("again");
    let replayed = run(&["replay", &capture, "--feature", "positions", "--report-dir", &again]);
    assert_eq!(replayed.code, Some(0), "{}", replayed.err);
    for file in REPORT_FILES {
        assert!(live.bytes(file) == bench.report("again").bytes(file), "{file} differs in its replay");
    }
}

#[test]
fn it_ends_once_something_failed_for_good() {
    let server = faulty(SPEED, &["--fault", "value_mismatch:feature=positions,at=60s"]);
    let bench = Bench::new();
    let ran = watch(&bench, &server, "live", &["--feature", "positions", "--until-proven"]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("values-match of positions failed for good; ending in order"), "{}", ran.err);
    let lasted = lasted(&bench, "live");
    assert!(lasted < 1_800.0, "{lasted}");
    assert_eq!(bench.report("live").check("positions", "values-match")["verdict"], "FAIL");
}
