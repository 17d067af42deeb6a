//! SPEC §5.3: no shared event time.

mod common;

use common::{HEAD, Script, Told, contract};
use cutover::contract::Contract;
use cutover::model::{Class, ClosedBy, Event, Verdict};
use std::sync::Arc;

fn markets() -> Arc<Contract> {
    markets_with("")
}

fn markets_with(extra: &str) -> Arc<Contract> {
    contract(&format!(
        r#"{HEAD}
[[feature]]
name = "markets"
align = "arrival"
interval = "10s"
key = ["id"]
{extra}
rest = {{ path = "/m", poll = "10s", records = "/markets" }}
ws = {{ type = "market", records = "/data" }}
[feature.fields]
id = {{ type = "integer" }}
status = {{ type = "enum", values = ["OPEN", "CLOSED", "HALT", "AUCTION"] }}
level = {{ type = "integer" }}
left = {{ type = "countdown", tolerance = "2s", optional = true }}
"#
    ))
}

fn rest(status: &str, level: i64, left: f64) -> String {
    format!(r#"{{"markets":[{{"id":1,"status":"{status}","level":{level},"left":{left}}}]}}"#)
}

fn ws(status: &str, level: i64, left: f64) -> String {
    format!(r#"{{"type":"market","data":{{"id":1,"status":"{status}","level":{level},"left":{left}}}}}"#)
}

/// The world: status and level at each instant; seconds left run down from 10,000.
fn feed(
    contract: &Arc<Contract>,
    seconds: u32,
    said: impl Fn(f64) -> (&'static str, i64),
    heard: impl Fn(f64) -> (&'static str, i64),
) -> Script {
    let mut script = Script::new(contract);
    script.open(0.0);
    for k in 0..seconds / 10 {
        let t = f64::from(k) * 10.0 + 1.0;
        let (status, level) = heard(t);
        script.ws(t + 0.05, ws(status, level, 10_000.0 - t.floor()));
        let (status, level) = said(t + 4.05);
        script.rest(t + 4.0, t + 4.1, "markets", rest(status, level, 10_000.0 - (t + 4.05).floor()));
    }
    script
}

fn run(said: impl Fn(f64) -> (&'static str, i64), heard: impl Fn(f64) -> (&'static str, i64)) -> Told {
    feed(&markets(), 200, said, heard).end(203.0).run()
}

#[test]
fn a_change_between_poll_and_push_is_no_finding() {
    // REST saw each change up to 6 s before the next push did, or the push long before the next poll.
    for change in [60.0, 60.9, 61.0, 61.04, 61.06, 62.0, 64.9, 65.06, 67.0, 70.9] {
        let world = |t: f64| if t < change { ("OPEN", 1) } else { ("CLOSED", 2) };
        let told = run(world, world);
        assert_eq!(told.lines(), Vec::<String>::new(), "{change}");
        assert_eq!(told.outcome.verdict, Verdict::Pass, "{change}");
        assert_eq!(told.outcome.features[0].measures.pairs, 20, "{change}");
    }
}

#[test]
fn a_lasting_difference_is_found_at_each_poll() {
    let told = run(|_| ("OPEN", 1), |t| if (100.0..140.0).contains(&t) { ("HALT", 1) } else { ("OPEN", 1) });
    assert!(told.count(Class::ValueMismatch) >= 2, "{:?}", told.lines());
    let finding = told.first(Class::ValueMismatch);
    assert_eq!(
        (finding.field.as_str(), finding.rest.as_str(), finding.ws.as_str()),
        ("status", "OPEN", "HALT")
    );
    assert_eq!(told.verdict("values-match"), Verdict::Fail);
    assert_eq!(told.verdict("no-gaps"), Verdict::Pass);
}

#[test]
fn a_stream_one_step_behind_is_found() {
    // REST moves every 10 s, 3 s before the push that says the same: once is a race, always is not.
    let told =
        run(|t| ("OPEN", ((t - 5.0) / 10.0).ceil() as i64), |t| ("OPEN", ((t - 15.0) / 10.0).ceil() as i64));
    assert!(told.count(Class::ValueMismatch) > 10, "{:?}", told.lines());
}

#[test]
fn a_torn_read_is_told_as_one() {
    let mut script = feed(&markets(), 100, |_| ("OPEN", 1), |_| ("OPEN", 1));
    script
        .ws(101.0, ws("HALT", 2, 9899.0))
        .ws(111.0, ws("CLOSED", 3, 9889.0))
        .ws(121.0, ws("CLOSED", 3, 9879.0));
    script.rest(111.5, 111.6, "markets", rest("HALT", 3, 9888.5));
    let told = script.end(130.0).run();
    assert_eq!(told.lines(), ["torn_read id=1 status"]);
}

#[test]
fn silence_is_missing_and_a_gap() {
    let mut script = Script::new(&markets());
    script.open(0.0);
    for k in 0..20 {
        let t = f64::from(k) * 10.0 + 1.0;
        if k < 10 {
            script.ws(t + 0.05, ws("OPEN", 1, 10_000.0 - t));
        }
        script.rest(t + 4.0, t + 4.1, "markets", rest("OPEN", 1, 10_000.0 - t - 4.0));
    }
    let told = script.end(203.0).run();
    assert!(told.count(Class::MissingOnWs) >= 7, "{:?}", told.lines());
    assert_eq!(told.count(Class::Gap), 1);
    assert_eq!(told.count(Class::ValueMismatch), 0);
}

#[test]
fn what_a_drop_swallows_says_so() {
    let mut script = feed(&markets(), 100, |_| ("OPEN", 1), |_| ("OPEN", 1));
    script.close(100.0, ClosedBy::Network);
    script.rest(105.0, 105.1, "markets", rest("CLOSED", 2, 9895.0));
    script.event(120.0, Event::WsOpen { conn: 0 });
    for k in 0..5 {
        let t = 121.0 + 10.0 * f64::from(k);
        script.ws(t, ws("CLOSED", 2, 10_000.0 - t)).rest(
            t + 4.0,
            t + 4.1,
            "markets",
            rest("CLOSED", 2, 9996.0 - t),
        );
    }
    let told = script.end(168.0).run();
    assert_eq!(told.lines(), ["missing_on_ws id=1", "connection_drop"]);
    assert!(told.first(Class::MissingOnWs).during_drop);
}

#[test]
fn a_countdown_must_fit_what_elapsed() {
    for (off, found) in [(0.0, false), (2.0, false), (-2.0, false), (60.0, true), (-60.0, true)] {
        let mut script = Script::new(&markets());
        script.open(0.0);
        for k in 0..20 {
            let t = f64::from(k) * 10.0 + 1.0;
            script.ws(t + 0.05, ws("OPEN", 1, 10_000.0 - t + off));
            script.rest(t + 4.0, t + 4.1, "markets", rest("OPEN", 1, 10_000.0 - t - 4.0));
        }
        let told = script.end(203.0).run();
        assert_eq!(told.count(Class::ValueMismatch) > 0, found, "{off}: {:?}", told.lines());
    }
}

#[test]
fn a_missed_tick_shows_by_the_countdown_rest_went_on_with() {
    let mut script = Script::new(&markets());
    script.open(0.0);
    for k in 0..20 {
        let t = f64::from(k) * 10.0 + 1.0;
        if k != 9 {
            script.ws(t + 0.05, ws("OPEN", 1, 10_000.0 - t));
        }
        script.rest(t + 4.0, t + 4.1, "markets", rest("OPEN", 1, 10_000.0 - t - 4.0));
    }
    let told = script.end(203.0).run();
    assert_eq!(told.lines(), ["gap id=1"]);
}

#[test]
fn on_change_feeds_may_be_silent_but_not_deaf() {
    let contract = markets_with("cadence = \"on-change\"");
    let script = |push: bool| {
        let mut script = Script::new(&contract);
        script.open(0.0).ws(0.5, ws("OPEN", 0, 0.0).replace(",\"left\":0", ""));
        let level = |t: f64| (t / 100.0).floor() as i64;
        for k in 0..100 {
            let t = f64::from(k) * 10.0 + 1.0;
            if push && k > 0 && level(t) != level(t - 10.0) {
                script.ws(t - 0.9, ws("OPEN", level(t), 0.0).replace(",\"left\":0", ""));
            }
            script.rest(t + 4.0, t + 4.1, "markets", rest("OPEN", level(t), 0.0).replace(",\"left\":0", ""));
        }
        script.end(1003.0).run()
    };
    let told = script(true);
    assert_eq!(told.lines(), Vec::<String>::new());
    assert_eq!(told.outcome.verdict, Verdict::Pass);
    let told = script(false);
    assert_eq!(told.count(Class::MissingOnWs), 9, "{:?}", told.lines());
    assert_eq!(told.verdict("no-gaps"), Verdict::Fail);
}

#[test]
fn the_head_is_not_judged() {
    let mut script = Script::new(&markets());
    script.open(0.0).ws(1.0, ws("OPEN", 1, 9999.0));
    script.rest(5.0, 5.1, "markets", rest("CLOSED", 1, 9995.0));
    script.rest(21.9, 22.0, "markets", rest("CLOSED", 1, 9978.0));
    script.ws(11.0, ws("OPEN", 1, 9989.0)).ws(21.0, ws("OPEN", 1, 9979.0)).ws(31.0, ws("OPEN", 1, 9969.0));
    let told = script.end(36.0).run();
    assert_eq!(told.lines(), Vec::<String>::new());
    assert_eq!(told.outcome.features[0].measures.unjudged_head, 2);
}

#[test]
fn just_after_a_reconnect_what_was_said_before_still_counts() {
    let script = |after: &str| {
        let mut script = feed(&markets(), 100, |_| ("OPEN", 1), |_| ("OPEN", 1));
        script.close(98.0, ClosedBy::Us).event(98.1, Event::WsOpen { conn: 1 });
        // Sent after the downtime and its settle, before the next message is due.
        script.rest(101.5, 101.6, "markets", rest(after, 1, 9898.0));
        for k in 0..3 {
            let t = 107.0 + 10.0 * f64::from(k);
            let text = ws("OPEN", 1, 10_000.0 - t);
            let payload = cutover::model::Payload::Json { text: text.into(), binary: false };
            script.event(t, Event::Ws { conn: 1, bytes: 80, payload });
            script.rest(t + 4.0, t + 4.1, "markets", rest("OPEN", 1, 9996.0 - t));
        }
        script.end(132.0).run()
    };
    assert_eq!(script("OPEN").lines(), Vec::<String>::new());
    let told = script("HALT");
    assert_eq!(told.lines(), ["missing_on_ws id=1"]);
    assert!(told.first(Class::MissingOnWs).during_drop);
}

#[test]
fn a_sum_that_fails_on_rest_is_told_also_where_the_poll_is_not_judged() {
    for cadence in ["periodic", "on-change"] {
        let contract = markets_with(&format!("cadence = \"{cadence}\"\ninvariants = [\"level <= 5\"]"));
        let mut script = Script::new(&contract);
        script.open(0.0).ws(1.0, ws("OPEN", 1, 9999.0));
        script.rest(5.0, 5.1, "markets", rest("OPEN", 9, 9995.0));
        script.ws(11.0, ws("OPEN", 1, 9989.0)).ws(21.0, ws("OPEN", 1, 9979.0));
        let told = script.end(26.0).run();
        assert_eq!(told.lines(), ["invariant id=1 level"], "{cadence}");
        assert_eq!(told.outcome.features[0].measures.unjudged_head, 1, "{cadence}");
    }
}

/// By content alone: a status that never changes is sent by the clock, or only now and then.
#[test]
fn a_tick_of_an_unchanged_status_is_missed_only_where_they_come_by_the_clock() {
    let run = |heard: &dyn Fn(u32) -> bool| {
        let mut script = Script::new(&markets());
        script.open(0.0);
        let body = |text: String| text.replace(",\"left\":0", "");
        for k in 0..30 {
            let t = f64::from(k) * 10.0 + 1.0;
            if heard(k) {
                script.ws(t + 0.05, body(ws("OPEN", 1, 0.0)));
            }
            script.rest(t + 4.0, t + 4.1, "markets", body(rest("OPEN", 1, 0.0)));
        }
        script.end(303.0).run()
    };
    let told = run(&|k| k != 20);
    assert_eq!((told.lines(), told.verdict("no-gaps")), (vec!["gap id=1".to_string()], Verdict::Fail));
    assert_eq!(run(&|_| true).lines(), Vec::<String>::new());
    // Never six in a row: REST has nothing new either.
    assert_eq!(run(&|k| k % 5 != 3).lines(), Vec::<String>::new());
}
