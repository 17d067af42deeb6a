//! What stands on stdout and what on stderr: results there, progress here, colour for terminals alone.

use super::support::{Bench, Ran, cutover, run};

fn session(bench: &Bench) -> String {
    let path = bench.arg("session.jsonl");
    let fault = "value_mismatch:feature=positions,field=pnl";
    assert_eq!(run(&["simulate", &path, "--for", "5m", "--fault", fault]).code, Some(0));
    path
}

fn replay(bench: &Bench, more: &[&str]) -> Ran {
    let (path, dir) = (session(bench), bench.arg("report"));
    run(&[&["replay", &path, "--report-dir", &dir], more].concat())
}

#[test]
fn json_is_the_report_and_nothing_else() {
    let bench = Bench::new();
    let ran = replay(&bench, &["--format", "json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert_eq!(ran.out.as_bytes(), bench.report("report").bytes("report.json"));
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["verdict"], "FAIL");
    assert!(ran.err.contains(&bench.arg("report")), "{}", ran.err);
}

#[test]
fn quiet_leaves_stderr_empty() {
    let bench = Bench::new();
    let ran = replay(&bench, &["-q"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""));
    assert!(ran.out.ends_with(&format!("{}\n", bench.arg("report"))), "{}", ran.out);
    let dir = bench.arg("demo");
    let demo =
        run(&["-q", "demo", "--for", "20s", "--speed", "20", "--report-dir", &dir, "--format", "json"]);
    assert_eq!((demo.code, demo.err.as_str()), (Some(3), ""), "too short to prove anything");
    serde_json::from_str::<serde_json::Value>(&demo.out).unwrap();
}

#[test]
fn verbose_tells_what_befalls_the_feeds() {
    let bench = Bench::new();
    let dir = bench.arg("report");
    let ran = run(&["-v", "demo", "--for", "20s", "--speed", "20", "--report-dir", &dir]);
    assert!(
        ran.err.contains("WebSocket open, conn=0") && ran.err.contains("WebSocket closed"),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains('\u{1b}'), "{}", ran.err);
}

#[test]
fn a_pipe_gets_no_escape_codes() {
    let bench = Bench::new();
    let ran = replay(&bench, &[]);
    assert!(ran.out.contains("FAIL") && ran.out.contains("REST "), "{}", ran.out);
    assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{}{}", ran.out, ran.err);
}

#[test]
fn colour_is_given_where_it_is_asked_for() {
    let bench = Bench::new();
    let plain = replay(&bench, &[]).out;
    let (path, dir) = (bench.arg("session.jsonl"), bench.arg("report"));
    let arguments = ["replay", &path, "--report-dir", &dir];
    let always = run(&[&arguments[..], &["--color", "always"]].concat()).out;
    assert!(always.contains("\u{1b}[1;31mFAIL\u{1b}[0m"), "{always}");
    let no_color: Ran = cutover(&arguments).env("NO_COLOR", "1").output().unwrap().into();
    assert_eq!(no_color.out, plain);
}
