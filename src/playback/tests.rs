//! What a recording shows at each instant, without a socket and without a clock.

use super::*;
use crate::contract::parse;
use crate::model::{ClosedBy, EndReason, Event, Observation, Payload};

const HEAD: &str = r#"
version = 1
[rest]
base_url = "http://127.0.0.1:1/v1"
timeout = "1s"
login = { method = "POST", path = "/login", json = { user = "u" }, token = "/data/access" }
[ws]
url = "wss://127.0.0.1:1/feed/stream?token=x"
type = "/type"
open = [{ expect = { "/event" = "connected", "/data/ok" = "yes" } }]
[market]
calendar = "24/7"
[timing]
settle = "2s"
"#;

fn feature(name: &str, rest: &str) -> String {
    format!(
        r#"
[[feature]]
name = "{name}"
flag = "F_{name}"
align = "time"
interval = "10s"
key = ["id"]
time = "ts"
rest = {{ {rest}, poll = "10s", records = "/accounts" }}
ws = {{ type = "{name}", records = "/data" }}
[feature.fields]
id = {{ type = "integer" }}
cash = {{ type = "decimal", tolerance = "0.005" }}
ts = {{ type = "timestamp" }}
"#
    )
}

fn contract(features: &[String]) -> Contract {
    let text = format!("{HEAD}{}", features.concat());
    parse("test.toml", &text, &|_| None, false).unwrap_or_else(|errors| {
        panic!("{}", errors.iter().map(crate::contract::ContractError::render).collect::<String>())
    })
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(1_766_154_600_000_000_000) + Span::from_secs(seconds)
}

fn rest(feature: &'static str, params: &'static str, status: u16, text: &'static str) -> Event<'static> {
    let payload = match text {
        "" => Payload::Empty,
        text => Payload::Json { text: text.into(), binary: false },
    };
    let (sent_at, bytes) = (at(0), text.len() as u64);
    Event::Rest { sent_at, feature: feature.into(), params: params.into(), status, bytes, payload }
}

fn failed(feature: &'static str, error: &'static str, status: Option<u16>) -> Event<'static> {
    let (params, detail) = ("{}".into(), "text/html".into());
    Event::RestError { sent_at: at(0), feature: feature.into(), params, error: error.into(), status, detail }
}

fn closed(code: u16) -> Event<'static> {
    Event::WsClose { conn: 0, code, reason: "gone".into(), by: ClosedBy::Peer }
}

fn frame(text: &'static str) -> Event<'static> {
    let payload = Payload::Json { text: text.into(), binary: false };
    Event::Ws { conn: 0, bytes: text.len() as u64, payload }
}

/// A recording, and how far it has been played.
struct Played {
    playback: Playback,
    begins: Option<Timestamp>,
    left: Vec<(Timestamp, Event<'static>)>,
}

impl Played {
    fn new(contract: &Contract, events: Vec<(i64, Event<'static>)>) -> Played {
        let left: Vec<_> = events.into_iter().map(|(seconds, event)| (at(seconds), event)).collect();
        let mut survey = Survey::default();
        for (at, event) in &left {
            survey.see(contract, &Observation { at: *at, event: event.clone() });
        }
        let begins = survey.begins(contract);
        Played { playback: Playback::new(contract, &survey), begins, left }
    }

    /// Everything up to this second; what left meanwhile.
    fn to(&mut self, seconds: i64) -> Vec<Leaves> {
        let reached = self.left.iter().take_while(|(when, _)| *when <= at(seconds)).count();
        let events: Vec<_> = self.left.drain(..reached).collect();
        let steps = events.into_iter().filter_map(|(at, event)| Step::of(&Observation { at, event }));
        steps.filter_map(|step| self.playback.take(step)).collect()
    }

    fn get(&self, target: &str) -> (u16, String) {
        let answer = self.playback.answer("GET", target);
        (answer.body.status, String::from_utf8(answer.body.bytes.to_vec()).unwrap())
    }
}

#[test]
fn the_last_recorded_answer_stands_until_the_next() {
    let contract = contract(&[feature("balance", "path = \"/accounts\"")]);
    let mut played = Played::new(
        &contract,
        vec![
            (1, rest("balance", "{}", 200, "{\"n\":1}")),
            (11, failed("balance", "status", Some(503))),
            (21, rest("balance", "{}", 304, "")),
            (31, failed("balance", "timeout", None)),
            (41, failed("balance", "status", Some(302))),
            (51, failed("balance", "status", Some(429))),
            (61, rest("balance", "{}", 200, "{\"n\":2}")),
            (71, rest("balance", "{}", 204, "")),
        ],
    );
    let early = played.playback.answer("GET", "/accounts");
    assert_eq!((early.body.status, early.retry), (503, Some(Span::from_secs(10))));
    for (second, status, says) in [
        (1, 200, "{\"n\":1}"),
        (10, 200, "{\"n\":1}"),
        (11, 503, "status 503 (text/html)"),
        (21, 200, "{\"n\":1}"),
        (31, 503, "timeout: text/html"),
        (41, 503, "status 302"),
        (51, 429, "status 429"),
        (61, 200, "{\"n\":2}"),
        (71, 204, ""),
    ] {
        played.to(second);
        let (found, body) = played.get("/accounts?cachebuster=1");
        assert_eq!(found, status, "{second}: {body}");
        assert!(body.contains(says), "{second}: {body}");
        // Below the path of base_url too.
        assert_eq!(played.get("/v1/accounts/"), (found, body));
    }
    let at_2 = played.playback.answer("HEAD", "/accounts");
    assert_eq!((at_2.recorded, at_2.is_known), (Some(at(71)), true));
}

#[test]
fn requests_are_told_apart_by_parameters_and_query() {
    let contract = contract(&[
        feature("balance", "path = \"/a/{id}/x\", each = { id = [1, 2] }"),
        feature(
            "kind",
            "path = \"/q\", each = { k = [\"a b\", \"c\"] }, query = { kind = \"{k}\", token = \"***\" }",
        ),
        feature("order", "path = \"/orders\", method = \"POST\""),
    ]);
    let mut played = Played::new(
        &contract,
        vec![
            (1, rest("balance", "{\"id\":1}", 200, "\"one\"")),
            (1, rest("balance", "{\"id\":2}", 200, "\"two\"")),
            (1, rest("kind", "{\"k\":\"a b\"}", 200, "\"ab\"")),
            (1, rest("kind", "{\"k\":\"c\"}", 200, "\"c\"")),
            (1, rest("order", "{}", 200, "\"order\"")),
            (1, rest("stranger", "{}", 200, "0")),
        ],
    );
    played.to(9);
    for (target, status, says) in [
        ("/a/1/x", 200, "\"one\""),
        ("/v1/a/2/x", 200, "\"two\""),
        ("/a/3/x", 404, "nothing was recorded at this path"),
        ("/a/1", 404, "\"GET /a/1/x\""),
        ("/other/a/1/x", 404, "/feed/stream"),
        ("/q?kind=a%20b", 200, "\"ab\""),
        ("/q?kind=c&token=mine", 200, "\"c\""),
        ("/q?kind=d", 404, "nothing was recorded for this query"),
        ("/orders", 405, "POST only"),
        ("/", 200, "a recording"),
        ("/feed/stream", 426, "handshake"),
        ("/v1/login", 404, "nothing"),
    ] {
        let (found, body) = played.get(target);
        assert_eq!(found, status, "{target}: {body}");
        assert!(body.contains(says), "{target}: {body}");
    }
    assert_eq!(played.playback.answer("POST", "/orders").body.status, 200);
    let login = played.playback.answer("POST", "/v1/login");
    assert_eq!(&*login.body.bytes, br#"{"data":{"access":"recording"}}"#);
}

/// What a value was that was redacted is not known; where only one was recorded, it must have been that.
#[test]
fn a_redacted_parameter_that_is_alone_may_be_any() {
    let contract = contract(&[feature("balance", "path = \"/a/{id}/x\", each = { id = [\"***\"] }")]);
    let one = || rest("balance", "{\"id\":\"redacted:aa\"}", 200, "\"one\"");
    let other = || rest("balance", "{\"id\":\"redacted:bb\"}", 200, "\"two\"");
    let mut alone = Played::new(&contract, vec![(1, one())]);
    alone.to(1);
    assert_eq!(alone.get("/a/123/x").0, 200);
    let mut both = Played::new(&contract, vec![(1, one()), (1, other())]);
    both.to(1);
    assert_eq!(both.get("/a/123/x").0, 404);
    assert_eq!(both.get("/a/redacted%3Abb/x"), (200, "\"two\"".to_string()));
}

#[test]
fn features_of_one_path_show_the_newest_answer_of_any() {
    let contract = contract(&[feature("balance", "path = \"/a\""), feature("positions", "path = \"/a\"")]);
    let mut played = Played::new(
        &contract,
        vec![
            (1, rest("balance", "{}", 200, "1")),
            (2, rest("positions", "{}", 200, "2")),
            (3, rest("balance", "{}", 200, "3")),
        ],
    );
    for (second, body) in [(1, "1"), (2, "2"), (3, "3")] {
        played.to(second);
        assert_eq!(played.get("/a").1, body);
    }
}

#[test]
fn the_socket_opens_closes_and_is_refused_as_recorded() {
    let contract = contract(&[feature("balance", "path = \"/a\"")]);
    let refused = Event::WsError {
        conn: 1,
        error: "handshake".into(),
        status: Some(403),
        detail: String::new().into(),
    };
    let mut played = Played::new(
        &contract,
        vec![
            (1, rest("balance", "{}", 200, "1")),
            (2, Event::WsOpen { conn: 0 }),
            (3, frame("{\"a\":1}")),
            (4, closed(1011)),
            (5, refused),
            (6, Event::WsOpen { conn: 1 }),
            (7, Event::WsOpen { conn: 2 }),
            (8, Event::WsClose { conn: 1, code: 1006, reason: "x".into(), by: ClosedBy::Network }),
            (9, Event::End { reason: EndReason::Done }),
            (10, Event::Start(Box::default())),
        ],
    );
    let status = |played: &Played| played.playback.handshake().map_err(|answer| answer.body.status);
    assert_eq!(status(&played), Err(503));
    assert_eq!(played.to(2), []);
    assert_eq!(status(&played).unwrap(), [r#"{"data":{"ok":"yes"},"event":"connected"}"#]);
    assert_eq!(played.to(3), [Leaves::Frame(Frame::Text("{\"a\":1}".into()))]);
    assert_eq!(played.to(4), [Leaves::Close { ending: Ending::Code(1011), reason: "gone".into() }]);
    assert_eq!(status(&played), Err(503));
    played.to(5);
    assert_eq!(status(&played), Err(403));
    played.to(7);
    assert_eq!(played.to(8), [Leaves::Close { ending: Ending::Reset, reason: "x".into() }]);
    assert!(status(&played).is_ok(), "another connection is still open");
    assert!(matches!(played.to(9)[..], [Leaves::Close { ending: Ending::Code(1001), .. }]));
    assert_eq!(played.to(10), []);
    assert_eq!(status(&played), Err(503));
    assert!(played.playback.is_socket("/feed/stream?token=y") && !played.playback.is_socket("/stream"));
    played.playback.rewind();
    assert_eq!(played.get("/a").0, 503);
}

#[test]
fn codes_that_no_close_frame_may_carry_are_told_otherwise() {
    for (code, ending) in [
        (1000, Ending::Code(1000)),
        (4001, Ending::Code(4001)),
        (1005, Ending::NoCode),
        (1006, Ending::Reset),
        (1015, Ending::Reset),
        (999, Ending::Reset),
        (2500, Ending::Reset),
    ] {
        assert_eq!(Ending::of(code), ending, "{code}");
    }
    assert_eq!(shortened("é".repeat(100)).len(), 122);
}

#[test]
fn the_clock_begins_when_every_endpoint_has_an_answer() {
    let contract = contract(&[feature("balance", "path = \"/a\""), feature("positions", "path = \"/b\"")]);
    let begins = |events| Played::new(&contract, events).begins;
    let one = |second| (second, rest("balance", "{}", 200, "1"));
    let other = |second| (second, rest("positions", "{}", 200, "1"));
    assert_eq!(begins(vec![one(3), other(7), one(13)]), Some(at(7)));
    // Later than a poll and its time-out: that one was started late, or answers nobody.
    assert_eq!(begins(vec![one(3), other(15)]), Some(at(3)));
    // An error is an answer too, but where the recording has no body it has nothing to serve.
    assert_eq!(begins(vec![one(3), (5, failed("positions", "status", Some(503)))]), Some(at(5)));
    assert_eq!(begins(vec![(5, failed("positions", "status", Some(503)))]), None);
    assert_eq!(begins(vec![(5, frame("{}")), (6, rest("stranger", "{}", 200, "1"))]), None);
    assert_eq!(begins(vec![(5, rest("balance", "{}", 200, ""))]), None);
}

#[test]
fn pages_are_given_one_by_one() {
    let by_param = "path = \"/p\", pages = { next = \"/next\", param = \"page\" }";
    let by_url = "path = \"/u\", pages = { next = \"/links/next\" }";
    let contract = contract(&[feature("param", by_param), feature("url", by_url)]);
    let numbered = "[{\"next\":2,\"n\":1},{\"next\":3,\"n\":2},{\"next\":null,\"n\":3}]";
    let linked = "[{\"links\":{\"next\":\"https://h/v1/u?after=x%2Fy\"},\"n\":1},{\"links\":{},\"n\":2}]";
    let events = vec![(1, rest("param", "{}", 200, numbered)), (1, rest("url", "{}", 200, linked))];
    let mut played = Played::new(&contract, events);
    played.to(1);
    for (target, n) in [
        ("/p", 1),
        ("/p?page=2", 2),
        ("/p?page=3&x=1", 3),
        ("/p?page=9", 1),
        ("/u", 1),
        ("/v1/u?after=x/y", 2),
    ] {
        let body = played.get(target).1;
        assert!(body.starts_with('{') && body.ends_with(&format!("\"n\":{n}}}")), "{target}: {body}");
    }
}
