//! Before deleting (SPEC §7): whole and clean market sessions, and values that were seen to change.

mod common;

use common::{HEAD, Script, Told, at, stamp};
use cutover::checks::{Provenance, conclude};
use cutover::contract::Contract;
use cutover::engine::Engine;
use cutover::model::outcome::SessionOutcome;
use cutover::model::{ClosedBy, EndReason, Event, Observation, Outcome, Phase, Verdict};
use std::sync::Arc;

/// A session of 600 s every day, from the scripts' zero on.
const HOURS: &str = r#"
[calendar.SHORT]
tz = "UTC"
covered = ["2025-12-01", "2025-12-31"]
days = "Mon-Sun"
hours = [{ from = "2025-12-01", segments = ["14:30-14:40"] }]
"#;
const FEATURE: &str = r#"
[[feature]]
name = "balance"
flag = "WS_FEATURE_BALANCE"
align = "time"
interval = "10s"
key = ["id"]
time = "ts"
rest = { path = "/b", poll = "10s", records = "/accounts" }
ws = { type = "balance", records = "/data" }
[feature.fields]
id = { type = "integer" }
number = { type = "string" STATIC }
cash = { type = "decimal", tolerance = "0.005" }
ts = { type = "timestamp" }
"#;
const DAY: f64 = 86_400.0;

fn contract(is_static: bool) -> Arc<Contract> {
    let feature = FEATURE.replace(" STATIC", if is_static { ", static = true" } else { "" });
    common::contract(&format!("{}{HOURS}{feature}", HEAD.replace("24/7", "SHORT")))
}

struct Day {
    /// Pairs every ten seconds from `from` to `to`, in seconds after the session's begin.
    from: f64,
    to: f64,
    cash: fn(u32) -> f64,
    wrong: Option<u32>,
}

impl Default for Day {
    fn default() -> Day {
        Day { from: -50.0, to: 660.0, cash: |k| 5.0 + f64::from(k), wrong: None }
    }
}

/// One run over one day's session.
fn run(day: f64, told: &Day) -> Vec<Observation<'static>> {
    let mut script = Script::new(&contract(true));
    let zero = day * DAY;
    script.open(zero + told.from - 1.0);
    let mut k = 0;
    while told.from + 10.0 * f64::from(k) < told.to {
        let t = zero + told.from + 10.0 * f64::from(k);
        let body = |cash: f64| format!(r#"{{"id":1,"number":"A1","cash":{cash},"ts":"{}"}}"#, stamp(t));
        let cash = (told.cash)(k);
        let sent = cash + if told.wrong == Some(k) { 1.0 } else { 0.0 };
        script.ws(t + 0.05, format!(r#"{{"type":"balance","data":{}}}"#, body(sent)));
        script.rest(t + 4.0, t + 4.1, "balance", format!(r#"{{"accounts":[{}]}}"#, body(cash)));
        k += 1;
    }
    script.end(zero + told.to + 5.0);
    let mut observations = script.observations();
    // A start of its own day.
    observations[0].at = observations[1].at;
    observations
}

fn judge(contract: &Arc<Contract>, runs: &[Vec<Observation<'static>>]) -> Outcome {
    let mut engine = Engine::new(contract.clone(), Box::new(|_| {}));
    for run in runs {
        run.iter().for_each(|observation| engine.observe(observation).unwrap());
        engine.end_of_capture();
    }
    engine.finish();
    conclude(&engine, Provenance { phases: vec![Phase::BeforeDeleting], ..Provenance::default() })
}

fn result(outcome: &Outcome, check: &str) -> (Verdict, String, u64) {
    let told = outcome.features[0].checks.iter().find(|c| c.check == check).unwrap();
    (told.verdict.unwrap(), format!("{}; {}", told.observed, told.note), told.sessions)
}

fn full(outcome: &Outcome, session: &SessionOutcome) -> bool {
    session.is_full(outcome.features[0].required)
}

#[test]
fn two_whole_clean_sessions_are_covered() {
    let outcome = judge(&contract(true), &[run(0.0, &Day::default()), run(1.0, &Day::default())]);
    let (verdict, words, sessions) = result(&outcome, "sessions-covered");
    assert_eq!((verdict, sessions), (Verdict::Pass, 2), "{words}");
    let seen: Vec<(String, bool)> =
        outcome.features[0].sessions.iter().map(|s| (s.date(), full(&outcome, s))).collect();
    assert_eq!(seen, [("2025-12-19".to_string(), true), ("2025-12-20".to_string(), true)]);
    assert_eq!(result(&outcome, "values-proven").0, Verdict::Pass);
}

#[test]
fn one_session_is_not_enough_and_says_so() {
    let outcome = judge(&contract(true), &[run(0.0, &Day::default())]);
    let (verdict, words, sessions) = result(&outcome, "sessions-covered");
    assert_eq!((verdict, sessions), (Verdict::Inconclusive, 1));
    assert!(words.contains("1 of at least 2 full, clean sessions"), "{words}");
    // Proven over too few sessions is not proven.
    assert_eq!(result(&outcome, "values-proven").0, Verdict::Inconclusive);
}

#[test]
fn a_session_adds_up_over_captures_and_the_hole_between_them_counts() {
    let part = |from: f64, to: f64| run(0.0, &Day { from, to, ..Day::default() });
    let cover = |runs: &[Vec<Observation<'static>>]| {
        let outcome = judge(&contract(true), runs);
        let session = &outcome.features[0].sessions[0];
        (full(&outcome, session), session.covered.0 / 1_000_000)
    };
    // From the first answer at 24.1 s on: less than 99.5 %.
    let late = cover(&[part(20.0, 660.0)]);
    assert_eq!(late, (false, 575_900));
    let whole = cover(&[part(-50.0, 300.0), part(306.0, 660.0)]);
    // The first run ends at 305 s, the second's first answer comes at 310.1 s.
    assert_eq!(whole, (false, 594_900));
    assert!(cover(&[part(-50.0, 660.0)]).0);
}

#[test]
fn time_without_a_connection_or_with_a_stale_answer_is_not_covered() {
    let mut dropped = run(0.0, &Day::default());
    let place = dropped.iter().position(|o| o.at > at(101.0)).unwrap();
    let close = Event::WsClose { conn: 0, code: 1000, reason: "".into(), by: ClosedBy::Us };
    dropped.insert(place, Observation { at: at(101.0), event: close });
    dropped.insert(place + 1, Observation { at: at(103.0), event: Event::WsOpen { conn: 0 } });
    dropped.sort_by_key(|o| o.at);
    let covered =
        |run: Vec<Observation<'static>>| judge(&contract(true), &[run]).features[0].sessions[0].covered;
    assert_eq!(covered(dropped).0 / 1_000_000, 598_000);
    // Answers at 94.1 and 134.1 s: fresh up to 114.1 s.
    let mut stale = run(0.0, &Day::default());
    stale.retain(|o| !matches!(o.event, Event::Rest { .. }) || o.at < at(95.0) || o.at > at(130.0));
    assert_eq!(covered(stale).0 / 1_000_000, 580_000);
}

#[test]
fn an_endpoint_that_only_fails_covers_nothing() {
    let mut run = run(0.0, &Day::default());
    let error = Event::RestError {
        sent_at: at(-60.0),
        feature: "balance".into(),
        params: r#"{"account_id":2}"#.into(),
        error: "timeout".into(),
        status: None,
        detail: "".into(),
    };
    run.insert(2, Observation { at: run[1].at, event: error });
    assert!(judge(&contract(true), &[run]).features[0].sessions.is_empty());
}

#[test]
fn a_session_with_a_failing_finding_fails_also_where_it_is_not_whole() {
    for to in [660.0, 300.0] {
        let dirty = run(2.0, &Day { wrong: Some(20), to, ..Day::default() });
        let runs = [run(0.0, &Day::default()), run(1.0, &Day::default()), dirty];
        let (verdict, words, sessions) = result(&judge(&contract(true), &runs), "sessions-covered");
        assert_eq!((verdict, sessions), (Verdict::Fail, 2));
        assert!(words.contains("2025-12-21 has 1 failing findings"), "{words}");
    }
}

#[test]
fn an_interrupted_run_never_covers_its_sessions() {
    let mut second = run(1.0, &Day::default());
    let Some(Observation { event: Event::End { reason }, .. }) = second.last_mut() else { panic!() };
    *reason = EndReason::Interrupted;
    let outcome = judge(&contract(true), &[run(0.0, &Day::default()), second]);
    let (verdict, words, _) = result(&outcome, "sessions-covered");
    assert_eq!(verdict, Verdict::Inconclusive, "{words}");
}

#[test]
fn a_field_that_never_changes_is_not_proven_unless_it_is_static() {
    let days = [run(0.0, &Day::default()), run(1.0, &Day::default())];
    let (verdict, words, _) = result(&judge(&contract(false), &days), "values-proven");
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(words.contains("1 of 2 fields proven; number was never seen to change"), "{words}");
    // A change within the tolerance is none.
    let still = Day { cash: |k| 5.0 + 0.001 * f64::from(k % 2), ..Day::default() };
    let (verdict, words, _) =
        result(&judge(&contract(true), &[run(0.0, &still), run(1.0, &still)]), "values-proven");
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(words.contains("cash was never seen to change"), "{words}");
}

#[test]
fn a_change_that_never_matched_proves_nothing() {
    // The one value that is different is wrong on the WebSocket.
    let once = Day { cash: |k| if k == 20 { 6.0 } else { 5.0 }, wrong: Some(20), ..Day::default() };
    let (_, words, _) = result(&judge(&contract(true), &[run(0.0, &once)]), "values-proven");
    assert!(words.contains("0 of 1 fields proven"), "{words}");
}

const STATUS: &str = r#"
[[feature]]
name = "status"
flag = "WS_FEATURE_STATUS"
align = "arrival"
interval = "10s"
key = ["id"]
rest = { path = "/m", poll = "10s", records = "/markets" }
ws = { type = "status", records = "/data" }
[feature.fields]
id = { type = "integer" }
state = { type = "enum", values = ["OPEN", "CLOSED", "HOLIDAY"] }
"#;

/// What REST and the WebSocket say, ten seconds apart.
fn status(states: &[(&str, &str)]) -> Told {
    let contract = common::contract(&format!("{HEAD}{STATUS}"));
    let mut script = Script::new(&contract);
    script.open(0.0);
    for (k, (rest, ws)) in states.iter().enumerate() {
        let t = 1.0 + 10.0 * k as f64;
        script.ws(t, format!(r#"{{"type":"status","data":{{"id":1,"state":"{ws}"}}}}"#));
        script.rest(t + 4.0, t + 4.1, "status", format!(r#"{{"markets":[{{"id":1,"state":"{rest}"}}]}}"#));
    }
    script.end(10.0 * states.len() as f64 + 5.0).run()
}

#[test]
fn an_enum_is_proven_in_each_way_that_rest_showed() {
    let same = |state| (state, state);
    let seen = |told: Told| told.outcome.features[0].proofs[0].clone();
    let open = |to: &str| ("OPEN".to_string(), to.to_string());
    let both = seen(status(&[same("OPEN"), same("OPEN"), same("OPEN"), same("CLOSED"), same("CLOSED")]));
    assert!(both.changed);
    assert_eq!((both.shown, both.matched), (vec![open("CLOSED")], vec![open("CLOSED")]));
    let never = seen(status(&[same("OPEN"); 5]));
    assert!(!never.changed && never.shown.is_empty());
    // REST showed a holiday that no message told.
    let missed = seen(status(&[
        same("OPEN"),
        same("OPEN"),
        same("CLOSED"),
        same("CLOSED"),
        same("OPEN"),
        same("OPEN"),
        same("OPEN"),
        ("HOLIDAY", "OPEN"),
        ("HOLIDAY", "OPEN"),
        ("HOLIDAY", "OPEN"),
    ]));
    assert!(missed.shown.contains(&open("HOLIDAY")) && !missed.matched.contains(&open("HOLIDAY")));
}
