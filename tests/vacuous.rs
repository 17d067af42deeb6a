//! Runs that saw nothing, or too little: no check of the whole table may say PASS without its minimum
//! (SPEC §7). Each run states which checks still pass, because what they need was seen.

mod common;

use common::{BALANCE as FEATURE, HEAD, Script, at, contract, stamp};
use cutover::checks::{CHECKS, Provenance, conclude};
use cutover::contract::Contract;
use cutover::engine::Engine;
use cutover::model::{Event, Observation, Payload, Phase, Verdict};
use std::sync::Arc;

/// Enough for every item of `before-enabling`, were it whole.
const PAIRS: usize = 20;
const BEFORE: [&str; 6] =
    ["messages-seen", "interval-match", "required-fields", "no-drops", "no-gaps", "values-match"];
/// A connection that stays open in market time is all that `no-drops` needs.
const OPEN: [&str; 1] = ["no-drops"];
const NOTHING: [&str; 0] = [];

/// Asks for the items too that are asked only where a contract says so.
const ALL: &str = "[checks.rest-retired]\n";

/// XNYS closes at 21:00Z, 23,400 s after the scripts' zero.
const NIGHT: f64 = 40_000.0;

fn session(from: f64) -> Vec<Observation<'static>> {
    let mut script = Script::new(&own());
    script.open(from);
    for k in 0..PAIRS {
        let t = from + 1.0 + 10.0 * k as f64;
        let record = format!(r#"{{"id":1,"cash":{k},"ts":"{}"}}"#, stamp(t));
        script.ws(t + 0.05, format!(r#"{{"type":"balance","data":{record}}}"#));
        script.rest(t + 4.0, t + 4.1, "balance", format!(r#"{{"accounts":[{record}]}}"#));
    }
    script.end(from + 10.0 * PAIRS as f64 + 3.0).observations()
}

fn own() -> Arc<Contract> {
    contract(&format!("{HEAD}{ALL}{FEATURE}"))
}

fn new_york() -> Arc<Contract> {
    contract(&format!("{}{ALL}{FEATURE}", HEAD.replace("24/7", "XNYS")))
}

fn other_type() -> Arc<Contract> {
    contract(&format!("{HEAD}{ALL}{}", FEATURE.replace("type = \"balance\"", "type = \"balances\"")))
}

/// The checks that pass, asked for all phases.
fn passing(contract: &Arc<Contract>, seen: &[Observation<'_>]) -> (Vec<&'static str>, Verdict) {
    let mut engine = Engine::new(contract.clone(), Box::new(|_| {}));
    seen.iter().for_each(|observation| engine.observe(observation).unwrap());
    engine.finish();
    let provenance = Provenance { phases: Phase::ALL.to_vec(), ..Provenance::default() };
    let outcome = conclude(&engine, provenance);
    let checks = &outcome.features[0].checks;
    let asked: Vec<&str> = checks.iter().filter(|c| c.verdict.is_some()).map(|c| c.check).collect();
    let table: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(asked, table, "a check was not asked");
    let mut passing: Vec<&'static str> =
        checks.iter().filter(|c| c.verdict == Some(Verdict::Pass)).map(|c| c.check).collect();
    // It stands in two phases and sees the same in both.
    passing.dedup();
    let twice = passing.iter().filter(|c| **c == "values-match").count();
    if twice == 2 {
        passing.pop();
    }
    (passing, outcome.verdict)
}

fn only(keep: impl Fn(&Event<'_>) -> bool) -> Vec<Observation<'static>> {
    session(0.0).into_iter().filter(|o| keep(&o.event)).collect()
}

/// A frontend that was seen for a moment: it asked for nothing of the feature's.
fn with_page() -> Vec<Observation<'static>> {
    let line = |t, path: &'static str, status| {
        let (feature, agent, status) = (None, None, Some(status));
        let event = Event::Frontend { method: "GET".into(), path: path.into(), feature, status, agent };
        Observation { at: at(t), event }
    };
    let mut seen = session(0.0);
    seen.extend([line(2.0, "/", 200), line(2.5, "/ws", 101)]);
    seen.sort_by_key(|observation| observation.at);
    seen
}

fn changed(change: impl Fn(&mut Event<'static>)) -> Vec<Observation<'static>> {
    let mut seen = session(0.0);
    seen.iter_mut().for_each(|observation| change(&mut observation.event));
    seen
}

/// A name, a contract, what was seen, and the checks that may pass all the same.
type Case = (&'static str, Arc<Contract>, Vec<Observation<'static>>, &'static [&'static str]);

#[test]
fn a_run_that_saw_too_little_never_passes() {
    let is_message = |event: &Event<'_>| matches!(event, Event::Ws { .. });
    let is_answer = |event: &Event<'_>| matches!(event, Event::Rest { .. });
    let first_message = session(0.0).iter().position(|o| is_message(&o.event)).unwrap();
    let one_message = || {
        let numbered = session(0.0).into_iter().enumerate();
        numbered.filter(|(i, o)| !is_message(&o.event) || *i == first_message).map(|(_, o)| o).collect()
    };
    let unknown = |event: &mut Event<'static>| {
        if let Event::Ws { payload: Payload::Json { text, .. }, .. } = event {
            *text = text.replace("balance", "probe").into();
        }
    };
    let errors = |event: &mut Event<'static>| match event {
        Event::Rest { sent_at, feature, params, .. } => {
            *event = Event::RestError {
                sent_at: *sent_at,
                feature: feature.clone(),
                params: params.clone(),
                error: "connect".into(),
                status: None,
                detail: "".into(),
            };
        }
        Event::Ws { conn, .. } | Event::WsOpen { conn } => {
            *event = Event::WsError { conn: *conn, error: "connect".into(), status: None, detail: "".into() };
        }
        _ => {}
    };
    // Opened two seconds before the end: whatever REST shows was born before we listened.
    let head = || -> Vec<Observation<'static>> {
        let mut seen = only(|event| !is_message(event) && !matches!(event, Event::WsOpen { .. }));
        let place = seen.len() - 1;
        let open = Observation { at: at(10.0 * PAIRS as f64 + 1.0), event: Event::WsOpen { conn: 0 } };
        seen.insert(place, open);
        seen
    };
    let cases: Vec<Case> = vec![
        ("nothing amiss", own(), session(0.0), &BEFORE),
        ("no messages", own(), only(|e| !is_message(e)), &OPEN),
        ("no REST", own(), only(|e| !is_answer(e)), &["required-fields", "no-drops"]),
        ("one message", own(), one_message(), &OPEN),
        ("an empty file", own(), Vec::new(), &NOTHING),
        // What was seen was seen; how it would have gone on is not known.
        (
            "interrupted",
            own(),
            only(|e| !matches!(e, Event::End { .. })),
            &["messages-seen", "interval-match", "required-fields", "no-gaps", "values-match"],
        ),
        ("a type that matches nothing", other_type(), session(0.0), &OPEN),
        ("closed throughout", new_york(), session(NIGHT), &["values-match"]),
        ("unknown types alone", own(), changed(unknown), &OPEN),
        ("errors alone", own(), changed(errors), &NOTHING),
        ("a start line alone", own(), session(0.0)[..1].to_vec(), &NOTHING),
        ("start and end", own(), only(|e| matches!(e, Event::Start(_) | Event::End { .. })), &NOTHING),
        ("all before we listened", own(), head(), &OPEN),
        ("a page that opens its WebSocket and is seen no more", own(), with_page(), &BEFORE),
    ];
    for (name, contract, seen, expect) in cases {
        let (passing, verdict) = passing(&contract, &seen);
        assert_eq!(passing, expect, "{name}");
        assert_ne!(verdict, Verdict::Pass, "{name}: not all of the checklist was seen");
    }
}
