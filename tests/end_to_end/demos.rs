//! `demo` as the README shows it: clean it passes, and each of the first faults fails the one check
//! it is about, of the one feature it strikes.

use super::support::{Bench, Ran, Report, Row, Running, cutover, run};

/// 7 minutes hold five ticks of each bar. At this speed a settle lasts 125 ms: what a loaded machine
/// holds up for less is no finding.
const RUN: [&str; 5] = ["demo", "--for", "7m", "--speed", "16"];

/// One demo and what must come of it.
struct Case {
    name: &'static str,
    faults: &'static [&'static str],
    /// `feature check` of all rows that fail; every other asked row passes.
    fails: &'static [&'static str],
    look: fn(&Report),
}

const CASES: [Case; 4] = [
    Case { name: "clean", faults: &[], fails: &[], look: nothing_is_found },
    Case {
        name: "two_features",
        faults: &["value_mismatch:feature=positions,field=pnl", "gap:feature=account_balance"],
        fails: &["account_balance no-gaps", "positions values-match"],
        look: mismatches_and_gaps_are_named,
    },
    Case {
        name: "two_others",
        faults: &["missing_field:feature=market_status", "interval_drift:feature=positions"],
        fails: &["positions interval-match", "market_status required-fields"],
        look: missing_fields_and_drift_are_named,
    },
    Case {
        name: "drops",
        faults: &["connection_drop"],
        fails: &[
            "account_balance no-drops",
            "positions no-drops",
            "intraday_bar no-drops",
            "market_status no-drops",
        ],
        look: drops_are_named,
    },
];

/// All at once, because they mostly wait.
#[test]
fn each_fault_fails_its_check_and_no_other() {
    let bench = Bench::new();
    let running: Vec<_> = CASES.iter().map(|case| start(&bench, case)).collect();
    let ran: Vec<_> = running.into_iter().map(Running::finish).collect();
    for (case, ran) in CASES.iter().zip(ran) {
        verdicts_are_right(case, &ran, &bench.report(case.name));
        (case.look)(&bench.report(case.name));
    }
    a_replay_says_the_same_byte_for_byte(&bench);
}

fn start(bench: &Bench, case: &Case) -> Running {
    let dir = bench.arg(case.name);
    let faults = case.faults.iter().flat_map(|fault| ["--fault", fault]);
    let arguments: Vec<_> = RUN.into_iter().chain(["--report-dir", &dir]).chain(faults).collect();
    Running::start(&mut cutover(&arguments))
}

fn verdicts_are_right(case: &Case, ran: &Ran, report: &Report) {
    let context = format!("{}\n{}\n{}", case.name, ran.out, ran.err);
    let (code, verdict) = if case.fails.is_empty() { (0, "PASS") } else { (1, "FAIL") };
    assert_eq!(ran.code, Some(code), "{context}");
    let lines: Vec<_> = ran.out.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.last().copied(), report.dir.to_str(), "{context}");
    assert!(lines.iter().any(|line| line.starts_with(verdict)), "{context}");
    assert_eq!(
        report.files(),
        [
            "capture.jsonl",
            "findings.csv",
            "junit.xml",
            "report.html",
            "report.json",
            "signoff.csv",
            "summary.md"
        ]
    );
    let fails: Vec<_> =
        report.with_verdict("FAIL").into_iter().filter(|row| !brought_along(case, row)).collect();
    assert_eq!(fails, case.fails, "{context}");
    assert_eq!(report.with_verdict("INCONCLUSIVE"), Vec::<String>::new(), "{context}");
    assert!(report.with_verdict("PASS").len() + report.with_verdict("FAIL").len() == 24, "{context}");
    assert_eq!(report.json()["verdict"], verdict, "{context}");
}

/// What is sent while the connection is down is lost: a drop may cost a version, which is its own evidence.
fn brought_along(case: &Case, row: &str) -> bool {
    case.name == "drops" && row.ends_with("no-gaps")
}

fn nothing_is_found(report: &Report) {
    let fails = |row: &Row| row["severity"] == "fail";
    assert_eq!(report.findings().into_iter().find(fails), None);
}

/// The findings of one class; each is of one feature.
fn of(report: &Report, class: &str, feature: &str) -> Vec<Row> {
    let rows: Vec<_> = report.findings().into_iter().filter(|row| row["class"] == class).collect();
    assert!(!rows.is_empty(), "no {class}");
    assert!(rows.iter().all(|row| row["feature"] == feature && row["severity"] == "fail"), "{rows:?}");
    rows
}

fn mismatches_and_gaps_are_named(report: &Report) {
    for row in of(report, "value_mismatch", "positions") {
        assert!(row["stream"].starts_with("account_id="), "{row:?}");
        assert!(row["row"].starts_with("symbol="), "{row:?}");
        assert_eq!(row["field"], "pnl");
        let value = |side: &str| row[side].parse::<f64>().unwrap();
        let delta = value("ws") - value("rest");
        assert!(delta.abs() > 0.005 && (delta - value("delta")).abs() < 1e-9, "{row:?}");
    }
    for row in of(report, "gap", "account_balance") {
        assert!(row["stream"].starts_with("account_id="), "{row:?}");
        assert!(row["detail"].contains("from=") && row["detail"].contains("missed="), "{row:?}");
    }
}

fn missing_fields_and_drift_are_named(report: &Report) {
    for row in of(report, "missing_field", "market_status") {
        assert!(row["stream"].starts_with("market_id="), "{row:?}");
        assert_eq!(row["field"], "status");
    }
    for row in of(report, "interval_drift", "positions") {
        assert!(row["stream"].starts_with("account_id=") && row["delta"].starts_with('+'), "{row:?}");
    }
    let observed = &report.check("positions", "interval-match")["observed"];
    assert!(observed.contains("drift +") && observed.contains("interval_drift"), "{observed}");
}

fn drops_are_named(report: &Report) {
    let rows = of(report, "connection_drop", "");
    assert!(rows.iter().all(|row| row["detail"].contains("code=1006")), "{rows:?}");
}

fn a_replay_says_the_same_byte_for_byte(bench: &Bench) {
    for case in &CASES {
        let live = bench.report(case.name);
        let again = bench.report(&format!("{}_again", case.name));
        let capture = live.dir.join("capture.jsonl");
        let ran = run(&["replay", capture.to_str().unwrap(), "--report-dir", again.dir.to_str().unwrap()]);
        assert_eq!(ran.code, Some(i32::from(!case.fails.is_empty())), "{}", ran.err);
        for file in super::support::REPORT_FILES {
            assert!(live.bytes(file) == again.bytes(file), "{} of {} differs in its replay", file, case.name);
        }
    }
}
