//! SPEC §5.4: bars.

mod common;

use common::{HEAD, Script, contract, stamp};
use cutover::contract::Contract;
use cutover::model::{Class, Severity, Verdict};
use std::sync::Arc;

fn bars() -> Arc<Contract> {
    bars_with("")
}

fn bars_with(extra: &str) -> Arc<Contract> {
    contract(&format!(
        r#"{HEAD}
[[feature]]
name = "bars"
align = "bucket"
interval = "60s"
key = ["symbol"]
time = "minute"
{extra}
rest = {{ path = "/bars", poll = "1s", records = "/bars" }}
ws = {{ type = "bar", records = "/data" }}
invariants = ["low <= close", "close <= high"]
[feature.fields]
symbol = {{ type = "string" }}
minute = {{ type = "timestamp" }}
high = {{ type = "decimal", forming = "grows" }}
low = {{ type = "decimal", forming = "shrinks" }}
close = {{ type = "decimal", tolerance = "0.005" }}
volume = {{ type = "decimal", forming = "grows" }}
"#
    ))
}

/// A bar of minute `m` after `s` seconds of it.
fn bar(m: u32, s: u32) -> String {
    let (high, low, close) = (101 + s / 20, 100 - s / 30, 100 + s % 2);
    let (minute, volume) = (stamp(f64::from(m) * 60.0), s * 10 + 10);
    format!(
        r#"{{"symbol":"SPY","minute":"{minute}","high":{high},"low":{low},"close":{close},"volume":{volume}}}"#
    )
}

fn ws(bar: &str) -> String {
    format!(r#"{{"type":"bar","data":{bar}}}"#)
}

fn rest(bars: &[String]) -> String {
    format!(r#"{{"bars":[{}]}}"#, bars.join(","))
}

/// REST each second: the forming bar and the last two closed ones.
fn poll(script: &mut Script, second: u32, closed: impl Fn(u32) -> String) {
    let (m, s) = (second / 60, second % 60);
    let mut bars: Vec<String> = (m.saturating_sub(2)..m).map(closed).collect();
    bars.push(bar(m, s));
    let t = f64::from(second) + 0.3;
    script.rest(t, t + 0.05, "bars", rest(&bars));
}

fn closed(m: u32) -> String {
    bar(m, 59)
}

fn feed(
    contract: &Arc<Contract>,
    minutes: u32,
    ws_bar: impl Fn(u32) -> Option<String>,
    rest_bar: impl Fn(u32) -> String,
) -> Script {
    let mut script = Script::new(contract);
    script.open(0.0);
    for second in 0..minutes * 60 {
        poll(&mut script, second, &rest_bar);
        if second % 60 == 0
            && second > 0
            && let Some(bar) = ws_bar(second / 60 - 1)
        {
            script.ws(f64::from(second) + 0.1, ws(&bar));
        }
    }
    script.end(f64::from(minutes) * 60.0);
    script
}

#[test]
fn closed_bars_match() {
    let told = feed(&bars(), 12, |m| Some(closed(m)), closed).run();
    assert_eq!(told.lines(), Vec::<String>::new());
    assert_eq!(told.outcome.verdict, Verdict::Pass);
    assert_eq!(told.outcome.features[0].measures.pairs, 11);
}

#[test]
fn forming_bars_on_both_sides_match() {
    let mut script = Script::new(&bars());
    script.open(0.0);
    for second in 0..720 {
        poll(&mut script, second, closed);
        script.ws(f64::from(second) + 0.9, ws(&bar(second / 60, second % 60)));
    }
    let told = script.end(720.0).run();
    assert_eq!(told.at_least(Severity::Info), Vec::<String>::new());
    assert_eq!(told.outcome.verdict, Verdict::Pass);
}

#[test]
fn a_wrong_bar_is_found_once_per_field() {
    let wrong = |m| if m == 7 { closed(m).replace("\"volume\":600", "\"volume\":700") } else { closed(m) };
    let told = feed(&bars(), 12, |m| Some(wrong(m)), closed).run();
    assert_eq!(told.lines(), ["value_mismatch symbol=SPY volume"]);
    assert_eq!(told.first(Class::ValueMismatch).delta, "+100");
}

#[test]
fn a_bar_that_never_came_is_missing_and_a_gap() {
    let told = feed(&bars(), 12, |m| (m != 7).then(|| closed(m)), closed).run();
    assert_eq!(told.lines(), ["missing_on_ws symbol=SPY", "gap symbol=SPY"]);
    assert_eq!(told.verdict("values-match"), Verdict::Pass);
}

/// REST alone, from the third second on: the minute `first` until the minute `then` begins.
fn silent_since(first: u32, then: u32) -> Script {
    let mut script = Script::new(&bars());
    script.open(120.0);
    for second in 123..420 {
        let newest = if second / 60 >= then { then } else { first };
        let t = f64::from(second) + 0.3;
        script.rest(t, t + 0.05, "bars", rest(&[closed(newest)]));
    }
    script.end(420.0);
    script
}

#[test]
fn the_newest_bar_of_a_first_response_is_missing_unless_it_was_over_by_then() {
    // Minute 2 forms at 123 s: it should have come.
    let told = silent_since(2, 3).run();
    assert_eq!(told.count(Class::MissingOnWs), 1);
    // Minute 0 was over at 60 s, before anybody listened; the symbol trades again in minute 4.
    let told = silent_since(0, 4).run();
    assert_eq!(told.lines(), Vec::<String>::new());
    assert!(told.outcome.features[0].measures.unjudged_head >= 1);
}

#[test]
fn a_missing_bar_that_comes_is_late_and_stands() {
    let mut script = feed(&bars(), 12, |m| (m != 7).then(|| closed(m)), closed);
    script.ws(487.0, ws(&closed(7)));
    let told = script.run();
    assert_eq!(told.count(Class::MissingOnWs), 1);
    assert_eq!(told.count(Class::Late), 1);
}

#[test]
fn rest_that_was_not_final_is_held_only_to_what_cannot_shrink() {
    // REST shows the forming bar alone, so its last word of a minute is a second old.
    let script = |wrong: bool| {
        let mut script = Script::new(&bars());
        script.open(0.0);
        for second in 0..720 {
            let (m, s) = (second / 60, second % 60);
            let t = f64::from(second) + 0.3;
            script.rest(t, t + 0.05, "bars", rest(&[bar(m, s)]));
            if s == 0 && second > 0 {
                let last = bar(m - 1, 60);
                let last =
                    if wrong && m == 8 { last.replace("\"volume\":610", "\"volume\":10") } else { last };
                script.ws(f64::from(second) + 0.1, ws(&last));
            }
        }
        script.end(720.0).run()
    };
    let told = script(false);
    assert_eq!(told.lines(), Vec::<String>::new());
    assert_eq!(told.outcome.features[0].measures.unfinished, 11);
    assert_eq!(told.verdict("values-match"), Verdict::Inconclusive);
    assert_eq!(script(true).lines(), ["value_mismatch symbol=SPY volume"]);
}

#[test]
fn a_minute_without_trades_is_no_gap() {
    let traded = |m: u32| m % 3 != 1;
    let mut script = Script::new(&bars());
    script.open(0.0);
    for second in 0..1800_u32 {
        let m = second / 60;
        let bars: Vec<String> = (m.saturating_sub(4)..m).filter(|m| traded(*m)).map(closed).collect();
        let forming = traded(m).then(|| bar(m, second % 60));
        let t = f64::from(second) + 0.3;
        script.rest(t, t + 0.05, "bars", rest(&[bars, forming.into_iter().collect()].concat()));
        if second % 60 == 0 && second > 0 && traded(m - 1) {
            script.ws(f64::from(second) + 0.1, ws(&closed(m - 1)));
        }
    }
    let told = script.end(1800.0).run();
    assert_eq!(told.lines(), Vec::<String>::new());
    assert_eq!(told.outcome.verdict, Verdict::Pass);
    assert!(told.outcome.features[0].measures.sparse > 0);
}

#[test]
fn revisions_are_followed_or_told() {
    let revised = |m: u32| closed(m).replace("\"volume\":600", "\"volume\":601");
    let script = |follow: bool, contract: &Arc<Contract>| {
        let mut script = Script::new(contract);
        script.open(0.0);
        for second in 0..720 {
            poll(&mut script, second, |m| if m == 6 && second >= 450 { revised(m) } else { closed(m) });
            if second % 60 == 0 && second > 0 {
                script.ws(f64::from(second) + 0.1, ws(&closed(second / 60 - 1)));
            }
        }
        if follow {
            script.ws(450.5, ws(&revised(6)));
        }
        script.end(720.0).run()
    };
    assert_eq!(script(true, &bars()).lines(), ["revision symbol=SPY"]);
    assert_eq!(script(false, &bars()).lines(), ["revision symbol=SPY", "value_mismatch symbol=SPY volume"]);
    let tolerant = bars_with("revise_for = \"2m\"");
    let told = script(true, &tolerant);
    assert_eq!(told.lines(), Vec::<String>::new());
    assert_eq!(told.outcome.features[0].measures.revisions, 1);
}

#[test]
fn a_broken_sum_is_told_unless_a_difference_tells_it() {
    let odd = |m: u32| closed(m).replace("\"close\":101", "\"close\":90");
    // On both sides alike: the sum is what fails. On one: the difference.
    let told = feed(
        &bars(),
        12,
        |m| Some(if m == 7 { odd(m) } else { closed(m) }),
        |m| if m == 7 { odd(m) } else { closed(m) },
    )
    .run();
    assert_eq!(told.lines(), ["invariant symbol=SPY low"]);
    let told = feed(&bars(), 12, |m| Some(if m == 7 { odd(m) } else { closed(m) }), closed).run();
    assert_eq!(told.lines(), ["value_mismatch symbol=SPY close"]);
}

#[test]
fn a_thinly_traded_bar_that_forms_late_in_its_minute_is_not_late() {
    let mut script = Script::new(&bars());
    script.open(0.0);
    // Nothing is traded before a second of the minute that differs from bar to bar.
    let first_trade = |m: u32| [2, 40, 11, 55, 27][m as usize % 5];
    for second in 0..720_u32 {
        let (m, s) = (second / 60, second % 60);
        let mut list: Vec<String> = (m.saturating_sub(2)..m).map(closed).collect();
        if s >= first_trade(m) {
            list.push(bar(m, s));
            script.ws(f64::from(second) + 0.1, ws(&bar(m, s)));
        }
        let t = f64::from(second) + 0.3;
        script.rest(t, t + 0.05, "bars", rest(&list));
    }
    let told = script.end(720.0).run();
    assert_eq!(told.count(Class::Late), 0, "{:?}", told.lines());
}

/// REST each second: closed bars alone, minute 7 only after minute 9 was judged.
fn filled_in(ws_bar: impl Fn(u32) -> Option<String>) -> Script {
    let mut script = Script::new(&bars());
    script.open(0.0);
    for second in 0..14 * 60 {
        let shows = |m: &u32| *m != 7 || second > 10 * 60 + 20;
        let bars: Vec<String> = (0..second / 60).rev().take(4).filter(shows).map(closed).collect();
        let t = f64::from(second) + 0.3;
        script.rest(t, t + 0.05, "bars", rest(&bars));
        if second % 60 == 0
            && second > 0
            && let Some(bar) = ws_bar(second / 60 - 1)
        {
            script.ws(f64::from(second) + 0.1, ws(&bar));
        }
    }
    script.end(14.0 * 60.0);
    script
}

#[test]
fn a_bar_that_rest_fills_in_later_is_judged_like_any_other() {
    let told = filled_in(|m| Some(closed(m))).run();
    assert_eq!(told.lines(), Vec::<String>::new());
    assert_eq!(told.outcome.verdict, Verdict::Pass);
    let wrong =
        |m| closed(m).replace("\"volume\":600", if m == 7 { "\"volume\":700" } else { "\"volume\":600" });
    let told = filled_in(|m| Some(wrong(m))).run();
    assert_eq!(told.lines(), ["value_mismatch symbol=SPY volume"]);
    let told = filled_in(|m| (m != 7).then(|| closed(m))).run();
    assert_eq!(told.count(Class::MissingOnWs), 1, "{:?}", told.lines());
    assert_eq!(told.verdict("no-gaps"), Verdict::Fail);
}

#[test]
fn what_a_slow_rest_shows_of_before_we_listened_is_not_missing() {
    // REST shows closed bars 30 s late; the WebSocket sends them at once, and we listen from 4:10 on.
    let run = |lost: u32| {
        let mut script = Script::new(&bars());
        script.open(250.0);
        for second in 251..18 * 60 {
            let over = (second - 30) / 60;
            let bars: Vec<String> = (over - 2..over).map(closed).collect();
            let t = f64::from(second) + 0.3;
            script.rest(t, t + 0.05, "bars", rest(&bars));
            if second % 60 == 0 && second / 60 - 1 != lost {
                script.ws(f64::from(second) + 0.1, ws(&closed(second / 60 - 1)));
            }
        }
        script.end(18.0 * 60.0);
        script.run()
    };
    let told = run(99);
    assert_eq!(told.lines(), Vec::<String>::new());
    assert_eq!(told.outcome.verdict, Verdict::Pass);
    assert_eq!(run(6).count(Class::MissingOnWs), 1);
}
