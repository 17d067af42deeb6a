//! An observation as one line of JSON, in exactly the member order of SPEC §4 and without spaces.
//!
//! The body is always the last member and stands verbatim, so that the decoder's fast path can
//! take it as a slice. Writes nothing by itself: it appends to a buffer, without a line break.

use crate::model::time::InstantText;
use crate::model::value::WholeText;
use crate::model::{ClosedBy, EndReason, Event, LogState, Observation, Payload, Start, Timestamp};
use std::fmt::Write as _;

/// Appends the line of `observation` to `line`, without the line break.
pub fn encode(observation: &Observation<'_>, line: &mut String) {
    let mut out = Object { line };
    out.begin(kind_name(&observation.event), observation.at);
    match &observation.event {
        Event::Start(start) => encode_start(start, &mut out),
        Event::Rest { sent_at, feature, params, status, bytes, payload } => {
            out.request(*sent_at, feature, params);
            out.number("status", u64::from(*status));
            out.number("bytes", *bytes);
            encode_payload(payload, &mut out);
        }
        Event::RestError { sent_at, feature, params, error, status, detail } => {
            out.request(*sent_at, feature, params);
            out.failure(error, *status, detail);
        }
        Event::RestSkipped { feature, params } => {
            out.text("feature", feature);
            out.raw("params", params);
        }
        Event::WsOpen { conn } => out.number("conn", u64::from(*conn)),
        Event::Ws { conn, bytes, payload } => {
            out.number("conn", u64::from(*conn));
            out.number("bytes", *bytes);
            encode_payload(payload, &mut out);
        }
        Event::WsClose { conn, code, reason, by } => {
            out.number("conn", u64::from(*conn));
            out.number("code", u64::from(*code));
            out.text("reason", reason);
            out.text("by", closed_by_name(*by));
        }
        Event::WsError { conn, error, status, detail } => {
            out.number("conn", u64::from(*conn));
            out.failure(error, *status, detail);
        }
        Event::WsRtt { conn, micros } => {
            out.number("conn", u64::from(*conn));
            out.number("micros", *micros);
        }
        Event::Sample { process, cpu_seconds, rss_bytes } => {
            out.text("process", process);
            out.float("cpu_seconds", *cpu_seconds);
            out.number("rss_bytes", *rss_bytes);
        }
        Event::Log { source, line } => {
            out.text("source", source);
            out.text("line", line);
        }
        Event::LogState { source, state } => {
            out.text("source", source);
            out.text("line", "");
            out.text("state", log_state_name(*state));
        }
        Event::Frontend { method, path, feature, status, agent } => {
            out.text("method", method);
            out.text("path", path);
            if let Some(feature) = feature {
                out.text("feature", feature);
            }
            if let Some(status) = status {
                out.number("status", u64::from(*status));
            }
            if let Some(agent) = agent {
                out.text("agent", agent);
            }
        }
        Event::SelfStall { millis } => out.number("millis", *millis),
        Event::End { reason } => out.text("reason", end_reason_name(*reason)),
    }
    out.line.push('}');
}

/// The `kind` of an event, as it stands in a capture.
pub fn kind_name(event: &Event<'_>) -> &'static str {
    match event {
        Event::Start(_) => "start",
        Event::Rest { .. } => "rest",
        Event::RestError { .. } => "rest_error",
        Event::RestSkipped { .. } => "rest_skipped",
        Event::WsOpen { .. } => "ws_open",
        Event::Ws { .. } => "ws",
        Event::WsClose { .. } => "ws_close",
        Event::WsError { .. } => "ws_error",
        Event::WsRtt { .. } => "ws_rtt",
        Event::Sample { .. } => "sample",
        Event::Log { .. } | Event::LogState { .. } => "log",
        Event::Frontend { .. } => "frontend",
        Event::SelfStall { .. } => "self_stall",
        Event::End { .. } => "end",
    }
}

pub(super) fn closed_by_name(by: ClosedBy) -> &'static str {
    match by {
        ClosedBy::Peer => "peer",
        ClosedBy::Us => "us",
        ClosedBy::Network => "network",
        ClosedBy::Stalled => "stalled",
    }
}

pub(super) fn log_state_name(state: LogState) -> &'static str {
    match state {
        LogState::Open => "open",
        LogState::Lost => "lost",
    }
}

pub(super) fn end_reason_name(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Done => "done",
        EndReason::Interrupted => "interrupted",
    }
}

fn encode_start(start: &Start, out: &mut Object<'_>) {
    out.number("capture", u64::from(start.capture));
    out.text("tool", &start.tool);
    out.text("contract", &start.contract);
    out.text("contract_sha256", &start.contract_sha256);
    out.name("feeds");
    out.line.push('{');
    for (index, (name, url)) in start.feeds.iter().enumerate() {
        out.entry(index, name);
        push_string(out.line, url);
    }
    out.line.push('}');
    out.name("flags");
    out.line.push('{');
    for (index, (name, on)) in start.flags.iter().enumerate() {
        out.entry(index, name);
        out.line.push_str(if *on { "true" } else { "false" });
    }
    out.line.push('}');
}

fn encode_payload(payload: &Payload<'_>, out: &mut Object<'_>) {
    match payload {
        Payload::Json { text, binary } => {
            if *binary {
                out.line.push_str(",\"binary\":true");
            }
            out.raw("body", text);
        }
        Payload::Text(text) => out.text("text", text),
        Payload::Base64(text) => out.text("base64", text),
        Payload::Empty => {}
    }
}

/// The line under construction: an object that is already open.
struct Object<'l> {
    line: &'l mut String,
}

impl Object<'_> {
    fn begin(&mut self, kind: &str, at: Timestamp) {
        self.line.push_str("{\"kind\":\"");
        self.line.push_str(kind);
        self.line.push('"');
        self.instant("at", at);
    }

    fn request(&mut self, sent_at: Timestamp, feature: &str, params: &str) {
        self.instant("sent_at", sent_at);
        self.text("feature", feature);
        self.raw("params", params);
    }

    fn failure(&mut self, error: &str, status: Option<u16>, detail: &str) {
        self.text("error", error);
        if let Some(status) = status {
            self.number("status", u64::from(status));
        }
        self.text("detail", detail);
    }

    fn name(&mut self, name: &str) {
        self.line.push_str(",\"");
        self.line.push_str(name);
        self.line.push_str("\":");
    }

    /// The name of the entry `index` of an object inside the line.
    fn entry(&mut self, index: usize, name: &str) {
        if index > 0 {
            self.line.push(',');
        }
        push_string(self.line, name);
        self.line.push(':');
    }

    fn instant(&mut self, name: &str, at: Timestamp) {
        self.name(name);
        self.line.push('"');
        self.line.push_str(InstantText::new(at).as_str());
        self.line.push('"');
    }

    fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        self.line.push_str(WholeText::new(value).as_str());
    }

    /// A number that is not finite has no JSON form; `null` makes the line say so when it is read.
    fn float(&mut self, name: &str, value: f64) {
        self.name(name);
        if value.is_finite() {
            let _ = write!(self.line, "{value:?}");
        } else {
            self.line.push_str("null");
        }
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        push_string(self.line, text);
    }

    /// JSON text verbatim. The sources have made line breaks between tokens spaces; one that is
    /// left would tear the file, so it becomes a space here at the latest.
    fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        if memchr::memchr2(b'\n', b'\r', json.as_bytes()).is_none() {
            self.line.push_str(json);
        } else {
            self.line.extend(json.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }));
        }
    }
}

/// Appends `text` as a JSON string.
pub fn push_string(line: &mut String, text: &str) {
    line.push('"');
    let mut plain_from = 0;
    for (index, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        line.push_str(&text[plain_from..index]);
        plain_from = index + 1;
        match byte {
            b'"' => line.push_str("\\\""),
            b'\\' => line.push_str("\\\\"),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            other => {
                let _ = write!(line, "\\u{other:04x}");
            }
        }
    }
    line.push_str(&text[plain_from..]);
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observation::NO_PARAMS;

    fn check(event: Event<'_>, expect: &str) {
        let mut line = String::new();
        encode(&Observation { at: Timestamp(1_766_154_600_250_000_000), event }, &mut line);
        let expect = expect.replacen(",AT", ",\"at\":\"2025-12-19T14:30:00.250Z\"", 1);
        assert_eq!(line, expect);
    }

    fn json(text: &str) -> Payload<'_> {
        Payload::Json { text: text.into(), binary: false }
    }

    #[test]
    fn every_kind_has_the_member_order_of_the_specification() {
        let sent_at = Timestamp(1_766_154_600_000_000_000);
        let start = Start {
            capture: 1,
            tool: "cutover 0.1.0".into(),
            contract: "a\n\"b\"".into(),
            contract_sha256: "ff".into(),
            feeds: vec![("rest".into(), "http://h".into()), ("ws".into(), "ws://h/ws".into())],
            flags: vec![("WS_FEATURE_X".into(), false)],
        };
        check(
            Event::Start(Box::new(start)),
            r#"{"kind":"start",AT,"capture":1,"tool":"cutover 0.1.0","contract":"a\n\"b\"","contract_sha256":"ff","feeds":{"rest":"http://h","ws":"ws://h/ws"},"flags":{"WS_FEATURE_X":false}}"#,
        );
        check(
            Event::Rest {
                sent_at,
                feature: "f".into(),
                params: r#"{"id":1}"#.into(),
                status: 200,
                bytes: 9,
                payload: json("[1,\n 2.50]"),
            },
            r#"{"kind":"rest",AT,"sent_at":"2025-12-19T14:30:00Z","feature":"f","params":{"id":1},"status":200,"bytes":9,"body":[1,  2.50]}"#,
        );
        check(
            Event::RestError {
                sent_at,
                feature: "f".into(),
                params: NO_PARAMS.into(),
                error: "status".into(),
                status: Some(503),
                detail: "".into(),
            },
            r#"{"kind":"rest_error",AT,"sent_at":"2025-12-19T14:30:00Z","feature":"f","params":{},"error":"status","status":503,"detail":""}"#,
        );
        check(
            Event::RestSkipped { feature: "f".into(), params: NO_PARAMS.into() },
            r#"{"kind":"rest_skipped",AT,"feature":"f","params":{}}"#,
        );
        check(Event::WsOpen { conn: 7 }, r#"{"kind":"ws_open",AT,"conn":7}"#);
        check(
            Event::Ws { conn: 0, bytes: 2, payload: Payload::Json { text: "{}".into(), binary: true } },
            r#"{"kind":"ws",AT,"conn":0,"bytes":2,"binary":true,"body":{}}"#,
        );
        check(
            Event::Ws { conn: 0, bytes: 2, payload: Payload::Text("\u{1}\t\u{2028}".into()) },
            "{\"kind\":\"ws\",AT,\"conn\":0,\"bytes\":2,\"text\":\"\\u0001\\t\u{2028}\"}",
        );
        check(
            Event::WsClose { conn: 0, code: 1006, reason: "".into(), by: ClosedBy::Network },
            r#"{"kind":"ws_close",AT,"conn":0,"code":1006,"reason":"","by":"network"}"#,
        );
        check(
            Event::WsError { conn: 1, error: "tls".into(), status: None, detail: "d".into() },
            r#"{"kind":"ws_error",AT,"conn":1,"error":"tls","detail":"d"}"#,
        );
        check(
            Event::Sample { process: "p".into(), cpu_seconds: 1.0, rss_bytes: 5 },
            r#"{"kind":"sample",AT,"process":"p","cpu_seconds":1.0,"rss_bytes":5}"#,
        );
        check(Event::End { reason: EndReason::Done }, r#"{"kind":"end",AT,"reason":"done"}"#);
    }
}
