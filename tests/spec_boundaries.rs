//! Boundaries of SPEC §5 where an innocent stream was once called faulty, or a fault went by.

mod common;

use common::{HEAD, Script, contract, stamp};
use cutover::contract::Contract;
use cutover::model::{Class, ClosedBy, Event, Payload};
use std::sync::Arc;

fn feature(head: &str, align: &str, interval: &str, poll: &str, fields: &str) -> Arc<Contract> {
    let time = if align == "arrival" { "" } else { "time = \"ts\"" };
    let ts = if align == "arrival" { "" } else { "ts = { type = \"timestamp\" }" };
    contract(&format!(
        r#"{head}
[[feature]]
name = "f"
align = "{align}"
interval = "{interval}"
key = ["id"]
{time}
rest = {{ path = "/f", poll = "{poll}", records = "/list" }}
ws = {{ type = "f", records = "/data" }}
[feature.fields]
id = {{ type = "integer" }}
{ts}
{fields}
"#
    ))
}

const VALUE: &str = "v = { type = \"integer\" }";

fn record(event: Option<f64>, v: i64) -> String {
    let ts = event.map(|e| format!(r#","ts":"{}""#, stamp(e))).unwrap_or_default();
    format!(r#"{{"id":1{ts},"v":{v}}}"#)
}

fn frame(conn: u32, record: &str) -> Event<'static> {
    let text = format!(r#"{{"type":"f","data":{record}}}"#);
    Event::Ws { conn, bytes: text.len() as u64, payload: Payload::Json { text: text.into(), binary: false } }
}

fn answer(script: &mut Script, sent: f64, records: &[String]) {
    script.rest(sent, sent + 0.05, "f", format!(r#"{{"list":[{}]}}"#, records.join(",")));
}

fn closed_by_us(script: &mut Script, at: f64, conn: u32) {
    script.event(at, Event::WsClose { conn, code: 1000, reason: "".into(), by: ClosedBy::Us });
}

fn check(what: &str, script: &Script, expect: &[&str]) {
    assert_eq!(script.run().lines(), expect, "{what}");
}

/// Bars each minute, REST polled at `poll`; connection 0 is closed by us before the run's end.
fn bars(script: &mut Script, from: u32, minutes: u32, poll: usize) {
    let start = f64::from(from) * 60.0;
    script.open(start);
    for second in (0..minutes * 60).step_by(poll) {
        let m = from + second / 60;
        let list: Vec<String> =
            (m.max(from + 1) - 1..=m).map(|m| record(Some(f64::from(m) * 60.0), i64::from(m))).collect();
        answer(script, start + f64::from(second) + 0.3, &list);
    }
    for m in from..from + minutes - 1 {
        let minute = f64::from(m) * 60.0;
        script.event(minute + 60.1, frame(0, &record(Some(minute), i64::from(m))));
    }
    // Before the last bar's judgement is due.
    closed_by_us(script, start + f64::from(minutes - 1) * 60.0 + 1.0, 0);
    script.end(start + f64::from(minutes) * 60.0);
}

#[test]
fn a_bar_judged_after_its_connection_closed_reaches_into_no_other_capture() {
    let mut script = Script::new(&feature(HEAD, "bucket", "60s", "1s", VALUE));
    bars(&mut script, 0, 8, 1);
    bars(&mut script, 100, 8, 1);
    check("two captures", &script, &[]);
}

#[test]
fn a_connection_that_closes_ends_no_cadence_of_another() {
    let mut script = Script::new(&feature(HEAD, "time", "10s", "10s", VALUE));
    script.open(0.0).event(95.0, Event::WsOpen { conn: 1 });
    for k in 0..30 {
        let t = 1.0 + 10.0 * f64::from(k);
        let conn = u32::from(t > 95.0);
        script.event(t + 0.05, frame(conn, &record(Some(t), i64::from(k))));
        answer(&mut script, t + 4.0, &[record(Some(t), i64::from(k))]);
    }
    closed_by_us(&mut script, 147.0, 0);
    check("overlapping connections", script.end(297.0), &[]);
}

#[test]
fn what_rest_shows_before_the_first_message_after_a_reconnect_is_not_missing() {
    let mut script = Script::new(&feature(HEAD, "arrival", "10s", "10s", VALUE));
    script.open(0.0);
    for k in 0..30 {
        let t = 1.0 + 10.0 * f64::from(k);
        script.event(t + 0.05, frame(u32::from(t > 93.0), &record(None, i64::from(k))));
        // Between two ticks, with the content of the tick before.
        answer(&mut script, t + 5.0, &[record(None, i64::from(k))]);
    }
    closed_by_us(&mut script, 92.0, 0);
    script.event(92.5, Event::WsOpen { conn: 1 });
    check("closed by us", script.end(297.0), &[]);
}

#[test]
fn nothing_is_missing_before_the_first_tick_of_a_session_is_due() {
    let mut script = Script::new(&feature(&HEAD.replace("24/7", "XNYS"), "arrival", "10s", "10s", VALUE));
    script.open(-600.0);
    for k in -50..30 {
        let t = 8.0 + 10.0 * f64::from(k);
        if k >= 0 {
            script.event(t + 0.05, frame(0, &record(None, i64::from(k))));
        }
        // REST moves on at other instants before the session, where nothing is sent.
        answer(&mut script, t - 5.0, &[record(None, i64::from(k - 1))]);
    }
    check("session open", script.end(305.0), &[]);
}

#[test]
fn bars_between_slow_polls_are_ticks() {
    let mut script = Script::new(&feature(HEAD, "bucket", "60s", "130s", VALUE));
    script.open(0.0);
    for m in 0..30_u32 {
        let minute = f64::from(m) * 60.0;
        if m > 0 {
            script.event(minute + 0.1, frame(0, &record(Some(minute - 60.0), i64::from(m - 1))));
        }
        if m % 2 == 0 {
            answer(&mut script, minute + 0.5, &[record(Some(minute), i64::from(m))]);
        }
    }
    let told = script.end(1800.0).run();
    assert_eq!(told.count(Class::Gap), 0, "{:?}", told.lines());
}

#[test]
fn an_answer_that_was_overtaken_is_not_rests_last_word() {
    let mut script = Script::new(&feature(HEAD, "bucket", "60s", "1s", VALUE));
    script.open(0.0);
    for m in 0..12_u32 {
        let minute = f64::from(m) * 60.0;
        let bar = |m: u32, v: i64| record(Some(f64::from(m) * 60.0), v);
        for s in (0..60).step_by(5) {
            let last = m.checked_sub(1).map(|m| bar(m, 60));
            let list: Vec<String> = last.into_iter().chain([bar(m, s)]).collect();
            answer(&mut script, minute + s as f64 + 0.3, &list);
        }
        // Asked before the minute was over, answered after the next one was shown.
        let late = format!(r#"{{"list":[{}]}}"#, bar(m, 58));
        script.rest(minute + 58.0, minute + 60.8, "f", late);
        script.event(minute + 60.1, frame(0, &bar(m, 60)));
    }
    check("overtaken", script.end(721.0), &[]);
}

#[test]
fn a_number_for_text_that_rest_does_not_have_is_of_a_wrong_type() {
    let fields = "v = { type = \"integer\" }\nnote = { type = \"string\", rest = false }";
    let mut script = Script::new(&feature(HEAD, "time", "10s", "10s", fields));
    script.open(0.0);
    for k in 0..12 {
        let t = 1.0 + 10.0 * f64::from(k);
        let note = if k == 6 { "5" } else { "\"5\"" };
        let told = record(Some(t), 1).replace("}", &format!(r#","note":{note}}}"#));
        script.event(t + 0.05, frame(0, &told));
        answer(&mut script, t + 4.0, &[record(Some(t), 1)]);
    }
    check("one-sided text", script.end(117.0), &["wrong_type id=1 note"]);
}
