//! SPEC §5.2: both sides carry the event time.

#[path = "../common/mod.rs"]
mod common;
mod quiet;
mod rest_lags;
mod said_twice;

use common::{HEAD, Script, contract, stamp};
use cutover::model::{Class, ClosedBy, Span, Verdict};

fn balances() -> std::sync::Arc<cutover::contract::Contract> {
    with_interval("10s")
}

fn with_interval(interval: &str) -> std::sync::Arc<cutover::contract::Contract> {
    contract(&format!(
        r#"{HEAD}
[[feature]]
name = "balance"
align = "time"
interval = "{interval}"
key = ["id"]
time = "ts"
rest = {{ path = "/b", poll = "10s", records = "/accounts" }}
ws = {{ type = "balance", records = "/data" }}
[feature.fields]
id = {{ type = "integer" }}
cash = {{ type = "decimal", tolerance = "0.005" }}
ts = {{ type = "timestamp" }}
"#
    ))
}

fn rest_body(event: f64, cash: &str) -> String {
    format!(r#"{{"accounts":[{{"id":1,"cash":{cash},"ts":"{}"}}]}}"#, stamp(event))
}

fn ws_body(event: f64, cash: &str) -> String {
    format!(r#"{{"type":"balance","data":{{"id":1,"cash":{cash},"ts":"{}"}}}}"#, stamp(event))
}

/// `n` intervals: version k is born at 10k and pushed 50 ms later, REST is polled at 10k + 4.
fn clean(n: u32) -> Script {
    let mut script = Script::new(&balances());
    script.open(0.0);
    for k in 0..n {
        add(&mut script, k, Some("100.00"), Some("100.00"));
    }
    script
}

fn add(script: &mut Script, k: u32, rest: Option<&str>, ws: Option<&str>) {
    let t = f64::from(k) * 10.0 + 1.0;
    if let Some(cash) = ws {
        script.ws(t + 0.05, ws_body(t, cash));
    }
    if let Some(cash) = rest {
        script.rest(t + 4.0, t + 4.1, "balance", rest_body(t, cash));
    }
}

#[test]
fn equal_feeds_pass() {
    let told = clean(12).end(125.0).run();
    assert_eq!(told.lines(), Vec::<String>::new());
    assert_eq!(told.outcome.features[0].measures.pairs, 12);
    assert_eq!(told.outcome.verdict, Verdict::Pass);
}

#[test]
fn a_difference_is_one_finding_with_both_values() {
    let mut script = clean(10);
    add(&mut script, 10, Some("100.00"), Some("100.01"));
    add(&mut script, 11, Some("100.00"), Some("100.005"));
    let told = script.end(125.0).run();
    assert_eq!(told.lines(), ["value_mismatch id=1 cash"]);
    let finding = told.first(Class::ValueMismatch);
    assert_eq!(
        (finding.rest.as_str(), finding.ws.as_str(), finding.delta.as_str()),
        ("100.00", "100.01", "+0.01")
    );
    assert_eq!(told.verdict("values-match"), Verdict::Fail);
    assert_eq!(told.verdict("no-gaps"), Verdict::Pass);
}

#[test]
fn any_message_of_the_event_time_may_be_the_equal_one() {
    let mut script = clean(10);
    script.ws(101.02, ws_body(101.0, "99.00")).ws(101.9, ws_body(101.0, "100.00"));
    script.rest(105.0, 105.1, "balance", rest_body(101.0, "100.00"));
    let told = script.end(113.0).run();
    assert_eq!(told.count(Class::ValueMismatch), 0);
}

#[test]
fn a_version_that_never_came_is_missing_and_a_gap() {
    let mut script = clean(6);
    add(&mut script, 6, Some("100.00"), None);
    for k in 7..12 {
        add(&mut script, k, Some("100.00"), Some("100.00"));
    }
    let told = script.end(125.0).run();
    assert_eq!(told.lines(), ["missing_on_ws id=1", "gap id=1"]);
    assert_eq!(told.verdict("no-gaps"), Verdict::Fail);
    assert_eq!(told.verdict("values-match"), Verdict::Pass);
    assert!(told.first(Class::Gap).detail.ends_with("missed=1"), "{}", told.first(Class::Gap).detail);
}

#[test]
fn the_websocket_may_come_up_to_a_settle_after_rest_and_no_later() {
    for (delay, missing) in [(1.9, 0), (2.0, 0), (2.1, 1)] {
        let mut script = clean(10);
        script.rest(101.1, 101.2, "balance", rest_body(101.0, "100.00"));
        script.ws(101.2 + delay, ws_body(101.0, "100.00"));
        add(&mut script, 11, Some("100.00"), Some("100.00"));
        let told = script.end(125.0).run();
        assert_eq!(told.count(Class::MissingOnWs), missing, "{delay}");
    }
}

#[test]
fn nothing_is_missing_that_was_born_before_we_listened() {
    let mut script = Script::new(&balances());
    // REST shows a version for long, then the connection opens; its next version comes.
    script.rest(0.5, 0.6, "balance", rest_body(-8.0, "1")).open(0.7);
    script.rest(2.0, 2.1, "balance", rest_body(2.0, "1"));
    script.rest(10.5, 10.6, "balance", rest_body(2.0, "1"));
    let told = script.end(20.0).run();
    assert_eq!(told.count(Class::MissingOnWs), 0);
    assert_eq!(told.outcome.features[0].measures.unjudged_head, 2);
}

#[test]
fn what_is_missed_during_a_drop_stands_and_says_so() {
    let mut script = clean(4);
    script.close(40.0, ClosedBy::Network);
    add(&mut script, 4, Some("100.00"), None);
    script.event(45.0, cutover::model::Event::WsOpen { conn: 0 });
    for k in 5..12 {
        add(&mut script, k, Some("100.00"), Some("100.00"));
    }
    let told = script.end(125.0).run();
    assert_eq!(told.lines(), ["connection_drop", "missing_on_ws id=1"]);
    assert!(told.first(Class::MissingOnWs).during_drop);
    assert_eq!(told.verdict("no-drops"), Verdict::Fail);
}

#[test]
fn rest_undersamples_without_a_finding() {
    let mut script = Script::new(&with_interval("1s"));
    script.open(0.0);
    for k in 0..120 {
        let t = 1.0 + f64::from(k);
        script.ws(t + 0.05, ws_body(t, &format!("{k}")));
        if k % 10 == 5 {
            script.rest(t + 0.5, t + 0.6, "balance", rest_body(t, &format!("{k}")));
        }
    }
    let told = script.end(122.0).run();
    assert_eq!(told.lines(), Vec::<String>::new());
}

#[test]
fn a_stale_poll_is_a_remark() {
    let mut script = clean(10);
    script.rest(98.9, 99.0, "balance", rest_body(81.0, "100.00"));
    // Within a settle of the next version nobody can tell.
    script.rest(99.5, 99.9, "balance", rest_body(81.0, "100.00")).ws(101.05, ws_body(101.0, "100.00"));
    let told = script.end(104.0).run();
    assert_eq!(told.lines(), Vec::<String>::new());
    assert_eq!(told.first(Class::RestStale).detail, "1 times");
}

#[test]
fn order_and_repetition() {
    let mut script = clean(10);
    script.ws(101.05, ws_body(101.0, "100.00")).ws(101.2, ws_body(101.0, "100.00"));
    script.ws(111.05, ws_body(111.0, "100.00")).ws(112.0, ws_body(91.0, "100.00"));
    script.rest(115.0, 115.1, "balance", rest_body(111.0, "100.00"));
    let told = script.end(120.0).run();
    assert_eq!(told.lines(), ["duplicate id=1", "out_of_order id=1"]);
    assert_eq!(told.verdict("no-gaps"), Verdict::Fail);
}

#[test]
fn a_late_version_is_a_warning() {
    let mut script = clean(40);
    script.ws(401.05 + 2.5, ws_body(401.0, "100.00"));
    script.rest(405.0, 405.1, "balance", rest_body(401.0, "100.00"));
    let told = script.end(412.0).run();
    assert_eq!(told.lines(), ["late id=1"]);
    assert_eq!(told.first(Class::Late).delta, "2.5s");
}

/// The stream's quickest message may come after the late one, and after many others.
#[test]
fn late_is_by_the_smallest_delay_of_all_the_run() {
    let mut script = Script::new(&balances());
    script.open(0.0);
    for k in 0..40_u32 {
        let born = f64::from(k) * 10.0 + 1.0;
        let delay = match k {
            12 => 2.4,
            30 => 0.05,
            _ => 0.5 + f64::from(k % 7) * 0.01,
        };
        script.ws(born + delay, ws_body(born, "100.00"));
        script.rest(born + 4.0, born + 4.1, "balance", rest_body(born, "100.00"));
    }
    let told = script.end(402.0).run();
    assert_eq!(told.lines(), ["late id=1"]);
    assert_eq!(
        (told.first(Class::Late).delta.as_str(), told.first(Class::Late).at),
        ("2.35s", common::at(123.4))
    );
}

#[test]
fn a_frozen_feed_is_told_once() {
    let mut script = clean(6);
    for k in 6..12 {
        let t = f64::from(k) * 10.0 + 1.0;
        script.ws(t + 0.05, ws_body(51.0, "100.00"));
        script.rest(t + 4.0, t + 4.1, "balance", rest_body(t, "100.00"));
    }
    let told = script.end(121.0).run();
    assert_eq!(told.count(Class::Frozen), 1);
    assert_eq!(told.count(Class::Duplicate), 0);
    assert!(told.count(Class::MissingOnWs) >= 4);
}

#[test]
fn other_number_text_other_order_and_strings_are_equal() {
    let mut script = clean(10);
    let body =
        format!(r#"{{"type":"balance","data":{{"ts":"{}","cash":"1.0000e2","id":"1"}}}}"#, stamp(101.0));
    script.ws(101.05, body).rest(105.0, 105.1, "balance", rest_body(101.0, "100.00"));
    let told = script.end(112.0).run();
    assert_eq!(told.lines(), Vec::<String>::new());
    let finding = told.first(Class::TypeDiffers);
    assert_eq!((finding.field.as_str(), finding.detail.as_str()), ("cash", "1 times"));
}

#[test]
fn fields_that_lack() {
    let mut script = clean(10);
    script.ws(101.05, format!(r#"{{"type":"balance","data":{{"id":1,"ts":"{}"}}}}"#, stamp(101.0)));
    script
        .ws(111.05, format!(r#"{{"type":"balance","data":{{"id":1,"cash":null,"ts":"{}"}}}}"#, stamp(111.0)));
    script.ws(
        121.05,
        format!(r#"{{"type":"balance","data":{{"id":1,"cash":"NaN","ts":"{}"}}}}"#, stamp(121.0)),
    );
    script.ws(131.05, r#"{"type":"balance","data":{"id":1,"cash":5}}"#);
    script.ws(131.06, r#"{"type":"balance","data":{"cash":5}}"#);
    for k in 10..13 {
        add(&mut script, k, Some("100.00"), None);
    }
    let told = script.end(134.0).run();
    assert_eq!(
        told.lines(),
        [
            "missing_field id=1 cash",
            "null_field id=1 cash",
            "wrong_type id=1 cash",
            "missing_field id=1 ts",
            "missing_field id",
        ]
    );
    assert_eq!(told.verdict("required-fields"), Verdict::Fail);
    assert_eq!(told.verdict("values-match"), Verdict::Pass);
}

#[test]
fn frames_that_cannot_be_read() {
    let mut script = clean(10);
    script.ws_text(101.0, "not json").ws(101.1, r#"{"type":"balance","data":5}"#);
    script.ws(101.2, r#"{"type":"balance","data":[]}"#).ws(101.3, r#"{"type":"news"}"#).ws(101.4, "[1]");
    script.ws(101.5, r#"{"type":"heartbeat"}"#);
    script.ws(101.6, r#"{"type":"balance","data":{"id":1,"id":1}}"#);
    script.ws(101.7, format!(r#"{{"type":"balance","x":{}{},"data":[]}}"#, "[".repeat(128), "]".repeat(128)));
    script.ws(101.8, format!(r#"{{"type":"balance","x":{}{},"data":[]}}"#, "[".repeat(127), "]".repeat(127)));
    let told = script.end(105.0).run();
    assert_eq!(
        told.lines(),
        ["malformed", "malformed", "unknown_type", "unknown_type", "malformed", "malformed"]
    );
    assert_eq!(told.outcome.connection.ignored_frames, 1);
}

#[test]
fn a_key_that_rest_never_shows_is_a_warning() {
    let mut script = clean(10);
    for k in 0..10 {
        let t = 2.0 + 10.0 * f64::from(k);
        script.ws(t, format!(r#"{{"type":"balance","data":{{"id":2,"cash":1,"ts":"{}"}}}}"#, stamp(t)));
    }
    let told = script.end(104.0).run();
    assert_eq!(told.lines(), ["unknown_stream id=2"]);
    assert_eq!(told.outcome.verdict, Verdict::Pass);
}

#[test]
fn a_stream_that_never_comes_fails_messages_seen() {
    let mut script = Script::new(&balances());
    script.open(0.0);
    for k in 0..12 {
        add(&mut script, k, Some("1"), None);
    }
    let told = script.end(125.0).run();
    assert_eq!(told.verdict("messages-seen"), Verdict::Fail);
    assert_eq!(told.verdict("no-gaps"), Verdict::Fail);
    assert_eq!(told.verdict("values-match"), Verdict::Inconclusive);
}

#[test]
fn vacuous_runs_never_pass() {
    let nothing = Script::new(&balances()).end(100.0).run();
    let only_open = Script::new(&balances()).open(0.0).end(100.0).run();
    let mut only_rest = Script::new(&balances());
    let mut only_ws = Script::new(&balances());
    only_ws.open(0.0);
    for k in 0..12 {
        add(&mut only_rest, k, Some("1"), None);
        add(&mut only_ws, k, None, Some("1"));
    }
    for told in [nothing, only_open, only_rest.end(125.0).run(), only_ws.end(125.0).run()] {
        assert_ne!(told.outcome.verdict, Verdict::Pass);
        for check in ["messages-seen", "interval-match", "no-gaps", "values-match"] {
            assert_ne!(told.verdict(check), Verdict::Pass, "{check}");
        }
    }
}

#[test]
fn an_interrupted_run_never_passes_no_drops() {
    let told = clean(12).run();
    assert!(told.outcome.interrupted);
    assert_eq!(told.verdict("no-drops"), Verdict::Inconclusive);
    assert_eq!(told.verdict("values-match"), Verdict::Pass);
}

#[test]
fn drift_of_three_percent_fails() {
    for (stretch, verdict) in
        [(1.0, Verdict::Pass), (1.015, Verdict::Pass), (1.03, Verdict::Fail), (0.97, Verdict::Fail)]
    {
        let mut script = Script::new(&balances());
        script.open(0.0);
        for k in 0..20 {
            let t = 1.0 + 10.0 * stretch * f64::from(k);
            script.ws(t + 0.05, ws_body(t, "1"));
            script.rest(t + 1.0, t + 1.1, "balance", rest_body(t, "1"));
        }
        let told = script.end(1.0 + 10.0 * stretch * 19.0 + 4.0).run();
        assert_eq!(told.verdict("interval-match"), verdict, "{stretch}");
        assert_eq!(told.verdict("no-gaps"), Verdict::Pass, "{stretch}");
    }
}

#[test]
fn several_connections_are_several_cadences() {
    use cutover::model::{Event, Payload};
    // The same messages over two connections at once; the second closes and opens as it likes.
    let mut script = clean(0);
    script.event(0.5, Event::WsOpen { conn: 1 });
    for k in 0..20 {
        add(&mut script, k, Some("100.00"), Some("100.00"));
        let t = f64::from(k) * 10.0 + 1.0;
        let text = ws_body(t, "100.00");
        let payload = Payload::Json { text: text.into(), binary: false };
        script.event(t + 0.07, Event::Ws { conn: 1, bytes: 90, payload });
    }
    let closed = Event::WsClose { conn: 1, code: 1000, reason: "".into(), by: ClosedBy::Us };
    script.event(95.0, closed).event(96.0, Event::WsOpen { conn: 1 });
    let told = script.end(203.0).run();
    assert_eq!(told.lines(), Vec::<String>::new());
    assert_eq!(told.outcome.features[0].measures.ticks, 20);
    assert_eq!(told.outcome.verdict, Verdict::Pass);
}

#[test]
fn keys_may_stand_in_the_request_alone() {
    let each = contract(&format!(
        r#"{HEAD}
[[feature]]
name = "balance"
align = "time"
interval = "10s"
key = ["id", "market"]
time = "ts"
rest = {{ path = "/b/{{account}}", poll = "10s", records = "/data", each = {{ account = ["7", 8] }} }}
ws = {{ type = "balance", records = "/data" }}
[feature.fields]
id = {{ type = "integer", rest = "@account", ws = "account/id" }}
market = {{ type = "string", rest = "'USA'", ws = "$/market" }}
cash = {{ type = "decimal", rest = "money/cash", tolerance = "0.01%" }}
ts = {{ type = "timestamp", rest = "$/as_of" }}
"#
    ));
    let script = |off: &str| {
        let mut script = Script::new(&each);
        script.open(0.0);
        for k in 0..12 {
            let t = f64::from(k) * 10.0 + 1.0;
            for (params, id) in [(r#"{"account":"7"}"#, 7), (r#"{"account":8}"#, 8)] {
                let ts = stamp(t);
                let cash = if id == 8 { off } else { "20000" };
                script.ws(
                    t + 0.05,
                    format!(r#"{{"market":"USA","data":{{"account":{{"id":{id}}},"cash":{cash},"ts":"{ts}"}},"type":"balance"}}"#),
                );
                let body = format!(r#"{{"data":[{{"money":{{"cash":"20000.00"}}}}],"as_of":"{ts}"}}"#);
                script.rest_with(t + 4.0, t + 4.1, "balance", params, body);
            }
        }
        script.end(123.0).run()
    };
    for (off, found) in [("20002", false), ("20002.01", true), ("19998", false), ("19997.99", true)] {
        let told = script(off);
        assert_eq!(told.count(Class::ValueMismatch), if found { 12 } else { 0 }, "{off}: {:?}", told.lines());
        assert_eq!(told.outcome.features[0].measures.pairs, 24);
        assert_eq!(told.outcome.features[0].measures.streams, 2);
        if found {
            assert_eq!(&*told.first(Class::ValueMismatch).stream, "id=8,market=USA");
        }
    }
}

#[test]
fn a_304_stands_for_the_last_body() {
    use cutover::model::{Event, Payload};
    let mut script = clean(10);
    let not_modified = |sent: f64| Event::Rest {
        sent_at: common::at(sent),
        feature: "balance".into(),
        params: "{}".into(),
        status: 304,
        bytes: 0,
        payload: Payload::Empty,
    };
    script.event(96.1, not_modified(96.0)).event(97.1, not_modified(97.0));
    let no_content = Event::Rest {
        sent_at: common::at(97.5),
        feature: "balance".into(),
        params: "{}".into(),
        status: 204,
        bytes: 0,
        payload: Payload::Empty,
    };
    script.event(97.6, no_content);
    let told = script.end(104.0).run();
    assert_eq!(told.lines(), ["rest_error"]);
    assert_eq!(told.outcome.features[0].measures.rest_polls, 13);
    assert_eq!(told.outcome.features[0].measures.pairs, 10);
}

/// Versions at 0, 10 and from then on each 30 s, on both sides; REST is polled each 10 s until `end`.
fn quiet(polled_until: f64, also_on_rest: Option<f64>, end: f64) -> Script {
    let mut script = Script::new(&balances());
    script.open(0.0);
    for k in [0.0, 10.0, 40.0, 70.0, 100.0, 130.0] {
        script.ws(k + 1.05, ws_body(k + 1.0, &format!("{k}")));
    }
    for poll in (0..).map(|k| 5.0 + 10.0 * f64::from(k)).take_while(|t| *t < polled_until) {
        let born = [0.0, 10.0, 40.0, 70.0, 100.0, 130.0].into_iter().chain(also_on_rest);
        let k = born.filter(|k| k + 1.0 < poll).fold(0.0, f64::max);
        script.rest(poll, poll + 0.1, "balance", rest_body(k + 1.0, &format!("{k}")));
    }
    script.end(end);
    script
}

#[test]
fn a_quiet_stream_is_as_quiet_at_the_tail_as_within() {
    // 28 s without a message, and REST had nothing new either.
    let told = quiet(158.0, None, 159.0).run();
    assert_eq!(told.lines(), Vec::<String>::new());
    assert_eq!(told.outcome.features[0].measures.sparse, 5);
    // REST had something new.
    let told = quiet(158.0, Some(141.0), 159.0).run();
    assert_eq!(told.lines(), ["missing_on_ws id=1", "gap id=1"]);
    // Nobody looked.
    let told = quiet(138.0, None, 159.0).run();
    assert_eq!(told.lines(), ["gap id=1"]);
}

#[test]
fn a_quiet_stream_is_as_quiet_after_a_reconnect() {
    let mut script = quiet(158.0, None, 159.0);
    let told = script.close(72.0, ClosedBy::Us).open(72.5).run();
    assert_eq!(told.lines(), Vec::<String>::new());
    // What REST shows first in the head was missed there, unless it is what the tick then says.
    let mut script = quiet(158.0, Some(80.0), 159.0);
    let told = script.close(72.0, ClosedBy::Us).open(72.5).run();
    assert_eq!(told.lines(), ["missing_on_ws id=1", "gap id=1"]);
}

#[test]
fn the_feeds_clock_is_told_with_its_error() {
    for offset in [-3600.0, 0.0, 40.0] {
        let mut script = Script::new(&balances());
        script.open(0.0);
        for k in 0..20 {
            let t = f64::from(k) * 10.0 + 1.0;
            script.ws(t + 0.05, ws_body(t + offset, "1"));
            script.rest(t - 1.0, t - 0.9, "balance", rest_body(t - 10.0 + offset, "1"));
            script.rest(t + 4.0, t + 4.1, "balance", rest_body(t + offset, "1"));
        }
        let told = script.end(200.0).run();
        assert_eq!(told.lines(), Vec::<String>::new());
        let clock = told.outcome.connection.clock_offset.unwrap();
        // From 50 ms of transit below it, to the last poll a second before and a settle above it.
        assert_eq!(clock.error, Span::from_millis(1_525));
        assert_eq!(clock.offset, Span::from_millis((offset * 1e3) as i64 + 1_475));
    }
    // Event times that leave no room for any clock give none.
    let told = clean(5).ws(60.0, ws_body(1_000.0, "1")).end(61.0).run();
    assert_eq!(told.outcome.connection.clock_offset, None);
}
