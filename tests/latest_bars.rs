//! Bars of which REST shows the latest closed one alone, without its time and up to a minute late, while the WebSocket
//! sends every state of the forming one: they are known by their values, in order.

mod common;

use common::{HEAD, Script, Told, contract, fold};
use cutover::contract::parse;
use cutover::model::{Class, Severity, Verdict};

fn text() -> String {
    format!(
        r#"{HEAD}
[[feature]]
name = "bars"
align = "bucket"
interval = "60s"
settle = "3s"
key = ["symbol"]
time = "start"
rest = {{ path = "/session", poll = "5s", records = "/intraday_latest", absent = "none", shows = "latest-closed", within = "61s" }}
ws = {{ type = "intraday_bar", records = "/data" }}
[feature.fields]
symbol = {{ type = "string", rest = "$/future", normal = ["strip:/"] }}
start = {{ type = "timestamp", rest = false, ws = "timestamp_minute" }}
open = {{ type = "decimal", ws = "o", forming = "fixed" }}
close = {{ type = "decimal", ws = "c" }}
volume = {{ type = "integer", ws = "v" }}
spread = {{ type = "decimal", round = 4, optional = true }}
"#
    )
}

/// When REST begins to show the bar of a minute: after its end, in seconds; one of seven never.
fn late(minute: u32) -> Option<f64> {
    [Some(1.9), Some(40.0), Some(58.0), None, Some(61.0), Some(0.2), Some(20.0)][minute as usize % 7]
}

struct Day {
    minutes: u32,
    /// The close of a minute's bar on REST, where it is not the WebSocket's.
    wrong: fn(u32) -> Option<f64>,
    /// Whether the WebSocket sends a frame at this second.
    sends: fn(f64) -> bool,
    /// Whether REST still changes at this second.
    flushes: fn(f64) -> bool,
    /// How late the WebSocket's last frame of a minute is.
    last_frame: f64,
}

const DAY: Day = Day { minutes: 16, wrong: |_| None, sends: |_| true, flushes: |_| true, last_frame: -0.4 };

fn close(minute: u32, step: u32) -> f64 {
    4500.0 + f64::from(minute) * 3.0 + f64::from(step) * 0.25
}

fn stamp(minute: u32) -> String {
    common::stamp(f64::from(minute) * 60.0)
}

fn script(day: &Day) -> Script {
    let mut script = Script::new(&contract(&text()));
    let mut events: Vec<(f64, Option<String>)> = Vec::new();
    for minute in 0..day.minutes {
        for step in 0..6_u32 {
            let at = f64::from(minute) * 60.0
                + if step == 5 { 60.0 + day.last_frame } else { f64::from(step) * 10.0 + 1.0 };
            let body = format!(
                r#"{{"type":"intraday_bar","data":{{"symbol":"/ES","timestamp_minute":"{}","o":{:.2},"c":{:.2},"v":{}.0,"spread":0.020000000000038654}}}}"#,
                stamp(minute),
                close(minute, 0),
                close(minute, step),
                step * 7 + 1
            );
            if (day.sends)(at) {
                events.push((at, Some(body)));
            }
        }
    }
    let end = f64::from(day.minutes) * 60.0;
    let polls = (end / 5.0) as u32;
    events.extend((0..polls).map(|k| (f64::from(k) * 5.0 + 2.0, None)));
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    script.open(0.0);
    for (at, message) in events {
        match message {
            Some(body) => {
                script.ws(at, body);
            }
            None => {
                let shown = (0..day.minutes).rev().find(|minute| {
                    late(*minute).is_some_and(|late| {
                        let flushed = f64::from(*minute + 1) * 60.0 + late;
                        flushed <= at && (day.flushes)(flushed)
                    })
                });
                let bar = shown.map_or("null".to_string(), |minute| {
                    let close = (day.wrong)(minute).unwrap_or(close(minute, 5));
                    format!(
                        r#"{{"open":{:.2},"close":{close:.2},"volume":36,"spread":0.02}}"#,
                        self::close(minute, 0)
                    )
                });
                script.rest(
                    at,
                    at + 0.1,
                    "bars",
                    format!(r#"{{"market":"USA","future":"ES","intraday_latest":{bar}}}"#),
                );
            }
        }
    }
    script.end(end + 5.0);
    script
}

fn told(day: &Day) -> Told {
    script(day).run()
}

#[test]
fn bars_are_known_by_their_values_in_order_and_some_are_never_shown() {
    let met = told(&DAY);
    assert_eq!(met.at_least(Severity::Warn), Vec::<String>::new());
    assert_eq!(met.outcome.verdict, Verdict::Pass, "{:?}", met.outcome.features[0].checks);
    let measures = &met.outcome.features[0].measures;
    assert_eq!(measures.mismatched_pairs, 0);
    // Fifteen bars closed; one of seven is never shown, and late ones are overtaken.
    assert!(measures.matched >= 9, "{}", measures.matched);
    assert!(measures.ticks >= 14, "{}", measures.ticks);
}

#[test]
fn rest_may_show_a_bar_just_before_or_after_the_stream_has_closed_it() {
    for last_frame in [-0.001, 0.001, 1.0, 2.2] {
        let met = told(&Day { last_frame, ..DAY });
        assert_eq!(met.at_least(Severity::Warn), Vec::<String>::new(), "{last_frame}");
        assert_eq!(met.outcome.verdict, Verdict::Pass, "{last_frame}");
    }
}

#[test]
fn a_value_that_no_bar_has_is_found() {
    let met = told(&Day { wrong: |minute| (minute == 8).then_some(1.0), ..DAY });
    assert_eq!(met.count(Class::ValueMismatch), 1, "{:?}", met.lines());
    let finding = met.first(Class::ValueMismatch);
    assert_eq!((finding.field.as_str(), finding.rest.as_str()), ("close", "1.00"));
    assert_eq!(met.outcome.verdict, Verdict::Fail);
    // An older bar's value is not this one's.
    let back = told(&Day { wrong: |minute| (minute == 8).then(|| close(5, 5)), ..DAY });
    assert_eq!(back.outcome.verdict, Verdict::Fail);
}

#[test]
fn bars_that_the_stream_never_told_are_missing() {
    let met = told(&Day { sends: |at| at < 400.0, ..DAY });
    assert!(met.count(Class::MissingOnWs) + met.count(Class::ValueMismatch) > 0, "{:?}", met.lines());
    assert_eq!(met.outcome.verdict, Verdict::Fail);
}

#[test]
fn a_control_that_stands_still_proves_nothing() {
    let met = told(&Day { flushes: |at| at < 130.0, ..DAY });
    assert_eq!(met.outcome.verdict, Verdict::Inconclusive, "{:?}", met.lines());
    assert_eq!(met.count(Class::ValueMismatch), 0);
    // Later on, with enough pairs before, it is told.
    let later = told(&Day { flushes: |at| at < 700.0, ..DAY });
    assert_eq!(later.count(Class::RestStale), 1, "{:?}", later.lines());
    let never = told(&Day { flushes: |_| false, ..DAY });
    assert_eq!(never.outcome.verdict, Verdict::Inconclusive);
}

#[test]
fn looking_more_often_changes_nothing() {
    for day in [DAY, Day { wrong: |minute| (minute == 8).then_some(1.0), ..DAY }] {
        let script = script(&day);
        let (plain, often) = (
            fold(script.contract(), &script.observations(), false),
            fold(script.contract(), &script.observations(), true),
        );
        assert_eq!(plain.lines(), often.lines());
        assert_eq!(plain.outcome, often.outcome);
    }
}

#[test]
fn the_language_says_where_it_belongs() {
    let good = text();
    for (from, to, said) in [
        ("shows = \"latest-closed\"", "shows = \"latest\"", "is no shows"),
        (", within = \"61s\"", "", "`within` is lacking"),
        ("shows = \"latest-closed\", ", "", "only with shows = \"latest-closed\""),
        ("align = \"bucket\"", "align = \"time\"", "only a bucket"),
        ("rest = false, ws", "ws = false, rest", "must come from both sides"),
        ("settle = \"3s\"", "settle = \"3\"", "is no duration"),
        ("", "", ""),
    ] {
        let errors = match parse("c.toml", &good.replacen(from, to, 1), &|_| None, false) {
            Ok(_) => String::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        };
        assert!(errors.contains(said) && errors.is_empty() == said.is_empty(), "{to}\n{errors}");
    }
}
