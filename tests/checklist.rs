//! SPEC §6 and §7: market hours, waivers, flags and phases, verdicts.

mod common;

use common::{BALANCE as FEATURE, HEAD, Script, Told, contract, stamp};
use cutover::contract::Contract;
use cutover::model::{Class, ClosedBy, Event, Phase, Severity, Verdict};
use std::sync::Arc;

fn with(extra: &str) -> Arc<Contract> {
    contract(&format!("{HEAD}{extra}{FEATURE}"))
}

/// XNYS closes at 21:00Z, 23,400 s after the scripts' zero.
fn new_york() -> Arc<Contract> {
    contract(&format!("{}{FEATURE}", HEAD.replace("24/7", "XNYS")))
}

fn pair(script: &mut Script, t: f64, ws: Option<&str>) {
    let body = |cash: &str| format!(r#"{{"id":1,"cash":{cash},"ts":"{}"}}"#, stamp(t));
    if let Some(cash) = ws {
        script.ws(t + 0.05, format!(r#"{{"type":"balance","data":{}}}"#, body(cash)));
    }
    script.rest(t + 4.0, t + 4.1, "balance", format!(r#"{{"accounts":[{}]}}"#, body("5")));
}

fn run(contract: &Arc<Contract>, from: f64, n: u32, ws: impl Fn(u32) -> Option<&'static str>) -> Told {
    let mut script = Script::new(contract);
    script.open(from);
    for k in 0..n {
        pair(&mut script, from + 1.0 + 10.0 * f64::from(k), ws(k));
    }
    script.end(from + 10.0 * f64::from(n) + 3.0).run()
}

#[test]
fn outside_market_hours_silence_is_a_note_but_values_are_judged() {
    // The last tick of the session is 5 s before its close; nothing comes after.
    let quiet = run(&new_york(), 23_400.0 - 206.0, 40, |k| (k <= 20).then_some("5"));
    assert_eq!(quiet.lines(), Vec::<String>::new());
    assert!(quiet.count(Class::MissingOnWs) > 10);
    assert!(quiet.findings.iter().all(|f| f.severity == Severity::Info));
    assert_eq!(quiet.outcome.verdict, Verdict::Pass);
    let wrong = run(&new_york(), 23_400.0 - 206.0, 40, |k| Some(if k == 30 { "6" } else { "5" }));
    assert_eq!(wrong.lines(), ["value_mismatch id=1 cash"]);
    assert_eq!(wrong.outcome.verdict, Verdict::Fail);
}

#[test]
fn a_market_closed_throughout_proves_nothing() {
    let told = run(&new_york(), 40_000.0, 40, |_| Some("5"));
    assert_eq!(told.lines(), Vec::<String>::new());
    for check in ["messages-seen", "interval-match", "required-fields", "no-drops", "no-gaps"] {
        assert_eq!(told.verdict(check), Verdict::Inconclusive, "{check}");
    }
    assert_eq!(told.outcome.verdict, Verdict::Inconclusive);
}

#[test]
fn beyond_the_calendar_nothing_passes() {
    let decade = 10.0 * 366.0 * 86_400.0;
    let told = run(&new_york(), decade, 40, |_| Some("5"));
    assert_eq!(told.outcome.verdict, Verdict::Inconclusive);
    assert_eq!(told.verdict("values-match"), Verdict::Inconclusive);
}

#[test]
fn a_drop_counts_when_any_of_its_downtime_is_market_time() {
    let script = |close: f64, open: f64| {
        let mut script = Script::new(&new_york());
        script.open(-2000.0);
        script.close(close, ClosedBy::Peer).event(open, Event::WsOpen { conn: 1 });
        script.end(open + 5.0).run().first(Class::ConnectionDrop).severity
    };
    assert_eq!(script(-1000.0, -500.0), Severity::Info);
    assert_eq!(script(-1000.0, 1.0), Severity::Fail);
    assert_eq!(script(100.0, 200.0), Severity::Fail);
    assert_eq!(script(23_400.0, 23_500.0), Severity::Info);
}

#[test]
fn a_close_by_us_is_no_drop_and_a_refusal_is_a_finding() {
    let mut script = Script::new(&with(""));
    let refused =
        Event::WsError { conn: 0, error: "handshake".into(), status: Some(403), detail: "Origin".into() };
    script.event(0.0, refused).open(1.0).close(50.0, ClosedBy::Us).event(51.0, Event::WsOpen { conn: 0 });
    script.close(60.0, ClosedBy::Stalled);
    let told = script.end(70.0).run();
    assert_eq!(told.lines(), ["connect_failed", "stalled"]);
    assert_eq!(told.first(Class::ConnectFailed).detail, "conn=0 handshake, status 403: Origin");
}

#[test]
fn waived_findings_fail_nothing_and_are_counted() {
    let waiver = |until: &str, field: &str| {
        with(&format!(
            "[[waiver]]\nfeature = \"balance\"\nclass = \"value_mismatch\"\nfield = \"{field}\"\n\
             reason = \"known\"\nowner = \"ann\"\nuntil = \"{until}\"\n"
        ))
    };
    let wrong = |k: u32| Some(if k == 15 { "6" } else { "5" });
    let told = run(&waiver("2026-01-31", "cash"), 0.0, 20, wrong);
    assert!(told.findings[0].waived);
    assert_eq!(told.outcome.verdict, Verdict::Pass);
    let check = told.outcome.features[0].checks.iter().find(|c| c.check == "values-match").unwrap();
    assert_eq!((check.waived, check.note.as_str()), (1, "1 waived"));
    assert_eq!(told.outcome.waivers[0].hits, 1);
    let told = run(&waiver("2025-12-18", "cash"), 0.0, 20, wrong);
    assert_eq!(told.outcome.verdict, Verdict::Fail);
    assert!(told.outcome.notes.iter().any(|n| n.contains("ended on 2025-12-18")), "{:?}", told.outcome.notes);
    let told = run(&waiver("2026-01-31", "cash"), 0.0, 20, |_| Some("5"));
    assert!(told.outcome.notes.iter().any(|n| n.contains("covered nothing")), "{:?}", told.outcome.notes);
}

#[test]
fn after_enabling_is_asked_where_the_flag_is_true() {
    let mut script = Script::new(&with(""));
    script.flag("WS_FEATURE_BALANCE", true).open(0.0);
    for k in 0..20 {
        pair(&mut script, 1.0 + 10.0 * f64::from(k), Some("5"));
    }
    let told = script.end(203.0).run();
    let asked = |phase| {
        told.outcome.features[0].checks.iter().filter(|c| c.phase == phase && c.verdict.is_some()).count()
    };
    assert_eq!(
        [asked(Phase::BeforeEnabling), asked(Phase::AfterEnabling), asked(Phase::BeforeDeleting)],
        [6, 4, 0]
    );
    // Nothing was seen of the frontend: that is no PASS.
    assert_eq!(told.outcome.verdict, Verdict::Inconclusive);
}

#[test]
fn the_minimum_guards_pass_only() {
    let told = run(&with(""), 0.0, 4, |_| Some("5"));
    assert_eq!(told.outcome.verdict, Verdict::Inconclusive);
    let note =
        |check: &str| told.outcome.features[0].checks.iter().find(|c| c.check == check).unwrap().note.clone();
    assert_eq!(note("values-match"), "4 of at least 10 pairs");
    assert_eq!(note("no-gaps"), "1 of 1 streams have fewer than 5 ticks (id=1 has 4)");
    let told = run(&with(""), 0.0, 4, |k| Some(if k == 2 { "6" } else { "5" }));
    assert_eq!(told.outcome.verdict, Verdict::Fail);
}

#[test]
fn a_stream_seen_too_late_is_exempt() {
    let mut script = Script::new(&with(""));
    script.open(0.0);
    let body = |id: u32, t: f64| format!(r#"{{"id":{id},"cash":5,"ts":"{}"}}"#, stamp(t));
    for k in 0..20 {
        let t = 1.0 + 10.0 * f64::from(k);
        let ids: Vec<u32> = if k >= 17 { vec![1, 2] } else { vec![1] };
        let records: Vec<String> = ids.iter().map(|id| body(*id, t)).collect();
        script.ws(t + 0.05, format!(r#"{{"type":"balance","data":[{}]}}"#, records.join(",")));
        script.rest(t + 4.0, t + 4.1, "balance", format!(r#"{{"accounts":[{}]}}"#, records.join(",")));
    }
    let told = script.end(203.0).run();
    assert_eq!(told.lines(), Vec::<String>::new());
    assert_eq!(told.outcome.verdict, Verdict::Pass);
}

#[test]
fn a_stream_that_lived_briefly_is_exempt_and_proves_nothing() {
    let session = |longer: bool| {
        let mut script = Script::new(&with(""));
        script.open(0.0);
        let body = |id: u32, t: f64| format!(r#"{{"id":{id},"cash":5,"ts":"{}"}}"#, stamp(t));
        for k in 0..20 {
            let t = 1.0 + 10.0 * f64::from(k);
            // Each order lives for two ticks; the first account stays.
            let order = 2 + k / 2;
            let ids: Vec<u32> = if longer { vec![1, order] } else { vec![order] };
            let records: Vec<String> = ids.iter().map(|id| body(*id, t)).collect();
            script.ws(t + 0.05, format!(r#"{{"type":"balance","data":[{}]}}"#, records.join(",")));
            script.rest(t + 4.0, t + 4.1, "balance", format!(r#"{{"accounts":[{}]}}"#, records.join(",")));
        }
        let told = script.end(203.0).run();
        let check = told.outcome.features[0].checks.iter().find(|c| c.check == "messages-seen").unwrap();
        (told.at_least(cutover::model::Severity::Fail), check.verdict, check.note.clone())
    };
    let (failing, verdict, note) = session(true);
    assert_eq!((failing, verdict), (Vec::new(), Some(Verdict::Pass)), "{note}");
    assert_eq!(note, "10 streams seen too late or too briefly to judge");
    let (failing, verdict, note) = session(false);
    assert_eq!((failing, verdict), (Vec::new(), Some(Verdict::Inconclusive)), "{note}");
    assert!(note.starts_with("REST showed no stream in time"), "{note}");
}

#[test]
fn rest_that_fails_is_a_warning_and_no_mismatch() {
    let mut script = Script::new(&with(""));
    script.open(0.0);
    for k in 0..20 {
        pair(&mut script, 1.0 + 10.0 * f64::from(k), Some("5"));
    }
    let error = Event::RestError {
        sent_at: common::at(50.0),
        feature: "balance".into(),
        params: "{}".into(),
        error: "status".into(),
        status: Some(503),
        detail: "text/html".into(),
    };
    script.event(51.0, error).rest(52.0, 52.1, "balance", r#"{"accounts":null}"#);
    script.rest(52.5, 52.6, "balance", r#"{"accounts":[]}"#);
    let told = script.end(203.0).run();
    assert_eq!(told.lines(), ["rest_error", "rest_error"]);
    assert_eq!(told.outcome.verdict, Verdict::Pass);
}
