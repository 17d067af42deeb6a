//! Round trips of arbitrary observations, the agreement of both paths, and what errors say.

use super::*;
use crate::capture::encode;
use crate::model::observation::NO_PARAMS;
use proptest::prelude::*;

fn line_of(observation: &Observation<'_>) -> String {
    let mut line = String::new();
    encode(observation, &mut line);
    line
}

fn hostile() -> impl Strategy<Value = Cow<'static, str>> {
    prop_oneof![
        any::<String>(),
        Just("\u{0}\u{1f}\"\\\n\r\t\u{2028}\u{feff}\u{7f}}]".to_string()),
        Just("\",\"body\":{".to_string()),
        Just(String::new()),
    ]
    .prop_map(Cow::Owned)
}

fn json() -> impl Strategy<Value = Cow<'static, str>> {
    let leaf = prop_oneof![
        Just("null".to_string()),
        Just("true".to_string()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("a string")),
    ];
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[ {} ]", items.join(", "))),
            prop::collection::vec((any::<String>(), inner), 0..4).prop_map(|members| {
                let members: Vec<String> = members
                    .into_iter()
                    .map(|(name, value)| {
                        format!("{}:{value}", serde_json::to_string(&name).expect("a string"))
                    })
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    tree.prop_map(Cow::Owned)
}

fn params() -> impl Strategy<Value = Cow<'static, str>> {
    prop_oneof![
        Just(Cow::Borrowed(NO_PARAMS)),
        (any::<String>(), json()).prop_map(|(name, value)| {
            Cow::Owned(format!("{{{}: {value}}}", serde_json::to_string(&name).expect("a string")))
        }),
    ]
}

fn payload() -> impl Strategy<Value = Payload<'static>> {
    prop_oneof![
        (json(), any::<bool>()).prop_map(|(text, binary)| Payload::Json { text, binary }),
        hostile().prop_map(Payload::Text),
        "[A-Za-z0-9+/]{0,8}={0,2}".prop_map(|text| Payload::Base64(text.into())),
        Just(Payload::Empty),
    ]
}

fn at() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp)
}

fn start() -> impl Strategy<Value = Start> {
    let text = || any::<String>();
    let feeds = prop::collection::vec((text(), text()), 0..3);
    let flags = prop::collection::vec((text(), any::<bool>()), 0..3);
    (text(), text(), text(), feeds, flags).prop_map(|(tool, contract, contract_sha256, feeds, flags)| Start {
        capture: 1,
        tool,
        contract,
        contract_sha256,
        feeds,
        flags,
    })
}

fn event() -> impl Strategy<Value = Event<'static>> {
    let closed_by =
        prop::sample::select(vec![ClosedBy::Peer, ClosedBy::Us, ClosedBy::Network, ClosedBy::Stalled]);
    let reason = prop::sample::select(vec![EndReason::Done, EndReason::Interrupted]);
    let status = || prop::option::of(any::<u16>());
    prop_oneof![
        start().prop_map(|start| Event::Start(Box::new(start))),
        (at(), hostile(), params(), any::<u16>(), any::<u64>(), payload()).prop_map(
            |(sent_at, feature, params, status, bytes, payload)| Event::Rest {
                sent_at,
                feature,
                params,
                status,
                bytes,
                payload
            }
        ),
        (at(), hostile(), params(), hostile(), status(), hostile()).prop_map(
            |(sent_at, feature, params, error, status, detail)| Event::RestError {
                sent_at,
                feature,
                params,
                error,
                status,
                detail
            }
        ),
        (hostile(), params()).prop_map(|(feature, params)| Event::RestSkipped { feature, params }),
        any::<u32>().prop_map(|conn| Event::WsOpen { conn }),
        (any::<u32>(), any::<u64>(), payload()).prop_map(|(conn, bytes, payload)| Event::Ws {
            conn,
            bytes,
            payload
        }),
        (any::<u32>(), any::<u16>(), hostile(), closed_by)
            .prop_map(|(conn, code, reason, by)| Event::WsClose { conn, code, reason, by }),
        (any::<u32>(), hostile(), status(), hostile())
            .prop_map(|(conn, error, status, detail)| Event::WsError { conn, error, status, detail }),
        (any::<u32>(), any::<u64>()).prop_map(|(conn, micros)| Event::WsRtt { conn, micros }),
        (hostile(), prop::num::f64::NORMAL | prop::num::f64::ZERO, any::<u64>())
            .prop_map(|(process, cpu_seconds, rss_bytes)| Event::Sample { process, cpu_seconds, rss_bytes }),
        (hostile(), hostile()).prop_map(|(source, line)| Event::Log { source, line }),
        (hostile(), prop::sample::select(vec![LogState::Open, LogState::Lost]))
            .prop_map(|(source, state)| Event::LogState { source, state }),
        (hostile(), hostile(), prop::option::of(hostile()), status(), prop::option::of(hostile())).prop_map(
            |(method, path, feature, status, agent)| Event::Frontend { method, path, feature, status, agent }
        ),
        any::<u64>().prop_map(|millis| Event::SelfStall { millis }),
        reason.prop_map(|reason| Event::End { reason }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(at in at(), event in event()) {
        let observation = Observation { at, event };
        let line = line_of(&observation);
        prop_assert!(!line.contains('\n'), "{line}");
        prop_assert_eq!(decode(&line).unwrap(), observation.clone(), "{}", line);
        prop_assert_eq!(decode_checked(&line).unwrap(), observation.clone(), "{}", line);
        prop_assert_eq!(decode_slow(&line).unwrap(), observation, "{}", line);
    }

    #[test]
    fn no_text_is_too_strange(at in at(), event in event(), cut in any::<prop::sample::Index>()) {
        let line = line_of(&Observation { at, event });
        let mut end = cut.index(line.len());
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        prop_assert!(matches!(decode_checked(&line[..end]), Err(LineError::NotJson(_))));
    }

    #[test]
    fn any_text_ends_in_a_value_or_an_error(text in any::<String>()) {
        let _ = decode(&text);
        let _ = decode_checked(&format!("{{\"kind\":\"ws\",{text}}}"));
    }
}

#[test]
fn the_fast_path_takes_canonical_lines_alone() {
    let ws = r#"{"kind":"ws","at":"2025-12-19T14:30:00Z","conn":0,"bytes":7,"body":{"a":1}}"#;
    let rest = r#"{"kind":"rest","at":"2025-12-19T14:30:00Z","sent_at":"2025-12-19T14:30:00Z","feature":"f","params":{"a":"}\"{"},"status":200,"bytes":7,"body":[]}"#;
    for line in [ws, rest] {
        assert!(scan(line).is_some(), "{line}");
        for (from, to) in [
            ("\"kind\":", "\"kind\": "),
            ("\"bytes\":7", "\"bytes\":07"),
            ("\"bytes\":7", "\"bytes\":99999999999999999999"),
            ("Z\",", "\","),
            ("\"body\"", "\"bodz\""),
            ("\"at\"", "\"a\\u0074\""),
        ] {
            let other = line.replacen(from, to, 1);
            assert!(scan(&other).is_none(), "{other}");
        }
    }
}

#[test]
fn members_after_the_body_are_found_at_the_second_try() {
    let line =
        r#"{"kind":"ws","at":"2025-12-19T14:30:00Z","conn":3,"bytes":7,"body":{"a":1},"binary":true,"x":[]}"#;
    let expect =
        Event::Ws { conn: 3, bytes: 7, payload: Payload::Json { text: r#"{"a":1}"#.into(), binary: true } };
    assert_eq!(decode_checked(line).unwrap().event, expect);
    assert_eq!(decode_slow(line).unwrap().event, expect);
}

#[test]
fn other_writers_may_order_and_space_as_they_like() {
    let line = " { \"bytes\" : 2 ,\t\"body\" : [ 1 ] , \"conn\":0, \"at\":\"2025-12-19T15:30:00+01:00\", \"kind\":\"ws\"} ";
    let observation = decode(line).unwrap();
    assert_eq!(observation.at.to_string(), "2025-12-19T14:30:00Z");
    let payload = Payload::Json { text: "[ 1 ]".into(), binary: false };
    assert_eq!(observation.event, Event::Ws { conn: 0, bytes: 2, payload });
}

#[test]
fn errors_name_the_member_and_what_would_be_right() {
    for (line, expect) in [
        ("", "not one JSON object"),
        ("[]", "not one JSON object"),
        ("{}", "`kind` is missing"),
        (r#"{"kind":"was"}"#, "`kind` \"was\" is unknown; this cutover knows: start, rest,"),
        (r#"{"kind":"ws_open","conn":0}"#, "`at` of a `ws_open` line is missing; it is an RFC 3339"),
        (
            r#"{"kind":"ws_open","at":"yesterday","conn":0}"#,
            "`at` of a `ws_open` line is \"yesterday\"; it must be an RFC 3339",
        ),
        (r#"{"kind":"ws_open","at":"2025-12-19T14:30:00Z","conn":-1}"#, "`conn` of a `ws_open` line is -1"),
        (r#"{"kind":"ws_open","at":"2025-12-19T14:30:00Z","conn":0,"conn":0}"#, "`conn` stands twice"),
        (r#"{"kind":"end","at":"2025-12-19T14:30:00Z","reason":"x"}"#, "it must be \"done\" or"),
        (r#"{"kind":"start","capture":2}"#, "this capture is version 2; this cutover reads 1; use a newer"),
    ] {
        let message = decode(line).expect_err(line).to_string();
        assert!(message.contains(expect), "{line}: {message}");
    }
}

#[test]
fn a_very_deep_body_does_not_overflow() {
    let body = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let payload = Payload::Json { text: body.into(), binary: false };
    let observation = Observation { at: Timestamp(0), event: Event::Ws { conn: 0, bytes: 1, payload } };
    let line = line_of(&observation);
    assert_eq!(decode_checked(&line).unwrap(), observation);
    assert_eq!(decode_slow(&line).unwrap(), observation);
}
