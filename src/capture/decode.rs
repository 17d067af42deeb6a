//! One line of a capture as an observation.
//!
//! Three doors, from fast to thorough:
//!
//! * [`decode`] takes a canonical line apart by hand and leaves the body *unvalidated*: the engine
//!   walks it once anyway, and says so when it is no JSON. Whatever is not canonical goes the slow way.
//! * [`decode_checked`] is `decode` and validates the body.
//! * [`decode_slow`] reads any member order and white space. A line of another writer may have
//!   members after the body; the fast path then takes too much for the body, which is no JSON. So
//!   whoever finds an invalid body calls this door before calling the line damaged.
//!
//! Must not: open anything, or judge what a body means.

mod fast;

pub(super) use fast::{Shape, scan};

use super::encode::{closed_by_name, end_reason_name, log_state_name};
use super::version;
use crate::model::json::is_json;
use crate::model::observation::NO_PARAMS;
use crate::model::{ClosedBy, EndReason, Event, LogState, Observation, Payload, Start, Timestamp};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// RFC 6455, 7.1.5: no close frame was received.
const ABNORMAL_CLOSURE: u16 = 1006;

const KINDS: &str = "start, rest, rest_error, rest_skipped, ws_open, ws, ws_close, ws_error, ws_rtt, \
                     sample, log, frontend, self_stall, end";

/// What is wrong with a line, and what would be right.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LineError {
    #[error("this is not one JSON object: {0}")]
    NotJson(String),
    #[error("the bytes are not UTF-8")]
    NotUtf8,
    #[error("`kind` is missing; a line names one of: {KINDS}")]
    NoKind,
    #[error("`kind` \"{0}\" is unknown; this cutover knows: {KINDS}")]
    UnknownKind(String),
    #[error("`{member}` of a `{kind}` line is missing; it is {want}")]
    Missing { kind: &'static str, member: &'static str, want: &'static str },
    #[error("`{member}` of a `{kind}` line is {found}; it must be {want}")]
    Wrong { kind: &'static str, member: &'static str, want: &'static str, found: String },
    #[error("{0}")]
    Version(String),
}

/// Decodes a line (without its line break); the body's JSON is not validated.
pub fn decode(line: &str) -> Result<Observation<'_>, LineError> {
    match scan(line) {
        Some(shape) => Ok(shape.observation(line)),
        None => decode_slow(line),
    }
}

/// Decodes a line and validates its body.
pub fn decode_checked(line: &str) -> Result<Observation<'_>, LineError> {
    let observation = decode(line)?;
    match body(&observation.event) {
        Some(text) if !is_json(text) => decode_slow(line),
        _ => Ok(observation),
    }
}

fn body<'o>(event: &'o Event<'_>) -> Option<&'o str> {
    match event {
        Event::Rest { payload: Payload::Json { text, .. }, .. }
        | Event::Ws { payload: Payload::Json { text, .. }, .. } => Some(text),
        _ => None,
    }
}

/// Decodes a line of any writer: any member order, white space, unknown members; all validated.
pub fn decode_slow(line: &str) -> Result<Observation<'_>, LineError> {
    let members = Members::read(line)?;
    let kind = members.kind()?;
    let read = Reading { kind, members };
    if kind == "start" {
        // First of all, so that a newer format is named as such, however it looks.
        if let Some(refusal) = version::refusal(read.number("capture")?) {
            return Err(LineError::Version(refusal));
        }
    }
    Ok(Observation { at: read.instant("at")?, event: read.event()? })
}

/// The members of a line's object, each with its raw value, in the line's order.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    fn read(line: &'a str) -> Result<Members<'a>, LineError> {
        let mut deserializer = serde_json::Deserializer::from_str(line);
        let members = deserializer.deserialize_map(MembersVisitor).map_err(not_json)?;
        deserializer.end().map_err(not_json)?;
        Ok(members)
    }

    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| *value)
    }

    fn kind(&self) -> Result<&'static str, LineError> {
        let raw = self.raw("kind").ok_or(LineError::NoKind)?;
        let found = unquote(raw).ok_or(LineError::NoKind)?;
        let known = KINDS.split(", ").find(|kind| *kind == found);
        known.ok_or_else(|| LineError::UnknownKind(excerpt(&found)))
    }
}

fn not_json(error: serde_json::Error) -> LineError {
    LineError::NotJson(error.to_string())
}

struct MembersVisitor;

impl<'a> Visitor<'a> for MembersVisitor {
    type Value = Members<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
        let mut members = Vec::with_capacity(8);
        while let Some((name, value)) = map.next_entry::<Cow<'a, str>, &'a RawValue>()? {
            if members.iter().any(|(known, _)| *known == name) {
                return Err(serde::de::Error::custom(format_args!("`{}` stands twice", excerpt(&name))));
            }
            members.push((name, value));
        }
        Ok(Members(members))
    }
}

/// Reads members by name and type, with errors that name the kind, the member and what is right.
struct Reading<'a> {
    kind: &'static str,
    members: Members<'a>,
}

impl<'a> Reading<'a> {
    fn event(&self) -> Result<Event<'a>, LineError> {
        Ok(match self.kind {
            "start" => Event::Start(Box::new(self.start()?)),
            "rest" => Event::Rest {
                sent_at: self.instant("sent_at")?,
                feature: self.text("feature")?,
                params: self.params()?,
                status: self.small("status")?,
                bytes: self.bytes()?,
                payload: self.payload()?,
            },
            "rest_error" => Event::RestError {
                sent_at: self.instant("sent_at")?,
                feature: self.text("feature")?,
                params: self.params()?,
                error: self.text("error")?,
                status: self.optional_small("status")?,
                detail: self.text_or_empty("detail")?,
            },
            "rest_skipped" => Event::RestSkipped { feature: self.text("feature")?, params: self.params()? },
            "ws_open" => Event::WsOpen { conn: self.conn()? },
            "ws" => Event::Ws { conn: self.conn()?, bytes: self.bytes()?, payload: self.payload()? },
            "ws_close" => Event::WsClose {
                conn: self.conn()?,
                code: self.optional_small("code")?.unwrap_or(ABNORMAL_CLOSURE),
                reason: self.text_or_empty("reason")?,
                by: self.closed_by()?,
            },
            "ws_error" => Event::WsError {
                conn: self.conn()?,
                error: self.text("error")?,
                status: self.optional_small("status")?,
                detail: self.text_or_empty("detail")?,
            },
            "ws_rtt" => Event::WsRtt { conn: self.conn()?, micros: self.number("micros")? },
            "sample" => Event::Sample {
                process: self.text("process")?,
                cpu_seconds: self.float("cpu_seconds")?,
                rss_bytes: self.number("rss_bytes")?,
            },
            "log" => match self.log_state()? {
                Some(state) => Event::LogState { source: self.text("source")?, state },
                None => Event::Log { source: self.text("source")?, line: self.text("line")? },
            },
            "frontend" => Event::Frontend {
                method: self.text("method")?,
                path: self.text("path")?,
                feature: self.optional_text("feature")?,
                status: self.optional_small("status")?,
                agent: self.optional_text("agent")?,
            },
            "self_stall" => Event::SelfStall { millis: self.number("millis")? },
            _ => Event::End { reason: self.end_reason()? },
        })
    }

    fn start(&self) -> Result<Start, LineError> {
        Ok(Start {
            capture: self.whole::<u32>("capture", "a version number")?,
            tool: self.text_or_empty("tool")?.into_owned(),
            contract: self.text_or_empty("contract")?.into_owned(),
            contract_sha256: self.text_or_empty("contract_sha256")?.into_owned(),
            feeds: self.pairs("feeds", "an object of strings")?,
            flags: self.pairs("flags", "an object of true and false")?,
        })
    }

    fn raw(&self, member: &'static str, want: &'static str) -> Result<&'a RawValue, LineError> {
        self.members.raw(member).ok_or(LineError::Missing { kind: self.kind, member, want })
    }

    fn wrong(&self, member: &'static str, want: &'static str, raw: &RawValue) -> LineError {
        LineError::Wrong { kind: self.kind, member, want, found: excerpt(raw.get()) }
    }

    fn text(&self, member: &'static str) -> Result<Cow<'a, str>, LineError> {
        let want = "a string";
        let raw = self.raw(member, want)?;
        unquote(raw).ok_or_else(|| self.wrong(member, want, raw))
    }

    fn optional_text(&self, member: &'static str) -> Result<Option<Cow<'a, str>>, LineError> {
        match self.members.raw(member) {
            None => Ok(None),
            Some(raw) if raw.get() == "null" => Ok(None),
            Some(_) => self.text(member).map(Some),
        }
    }

    fn text_or_empty(&self, member: &'static str) -> Result<Cow<'a, str>, LineError> {
        Ok(self.optional_text(member)?.unwrap_or_default())
    }

    fn instant(&self, member: &'static str) -> Result<Timestamp, LineError> {
        let want = "an RFC 3339 instant such as \"2025-12-19T14:30:00.250Z\"";
        let raw = self.raw(member, want)?;
        unquote(raw)
            .and_then(|text| Timestamp::parse_rfc3339(&text))
            .ok_or_else(|| self.wrong(member, want, raw))
    }

    fn whole<N: std::str::FromStr>(&self, member: &'static str, want: &'static str) -> Result<N, LineError> {
        let raw = self.raw(member, want)?;
        raw.get().parse().map_err(|_| self.wrong(member, want, raw))
    }

    fn number(&self, member: &'static str) -> Result<u64, LineError> {
        self.whole(member, "a whole number")
    }

    fn small(&self, member: &'static str) -> Result<u16, LineError> {
        self.whole(member, "a whole number up to 65535")
    }

    fn optional_small(&self, member: &'static str) -> Result<Option<u16>, LineError> {
        match self.members.raw(member) {
            None => Ok(None),
            Some(raw) if raw.get() == "null" => Ok(None),
            Some(_) => self.small(member).map(Some),
        }
    }

    /// The received length; of a line that does not tell it, the length of what was received.
    fn bytes(&self) -> Result<u64, LineError> {
        match self.members.raw("bytes") {
            Some(_) => self.number("bytes"),
            None => Ok(match self.payload()? {
                Payload::Json { text, .. } | Payload::Text(text) => text.len() as u64,
                Payload::Base64(text) => text.len() as u64 / 4 * 3,
                Payload::Empty => 0,
            }),
        }
    }

    /// Most runs have one connection at a time, so a line may leave its number out.
    fn conn(&self) -> Result<u32, LineError> {
        if self.members.raw("conn").is_none() {
            return Ok(0);
        }
        self.whole("conn", "the connection's number, counted from 0")
    }

    fn float(&self, member: &'static str) -> Result<f64, LineError> {
        let want = "a number";
        let raw = self.raw(member, want)?;
        let value = raw.get().parse::<f64>().ok().filter(|value| value.is_finite());
        value.ok_or_else(|| self.wrong(member, want, raw))
    }

    fn params(&self) -> Result<Cow<'a, str>, LineError> {
        let want = "an object with the request's parameters, `{}` if there are none";
        let Some(raw) = self.members.raw("params").filter(|raw| raw.get() != "null") else {
            return Ok(Cow::Borrowed(NO_PARAMS));
        };
        if raw.get().starts_with('{') {
            Ok(Cow::Borrowed(raw.get()))
        } else {
            Err(self.wrong("params", want, raw))
        }
    }

    fn payload(&self) -> Result<Payload<'a>, LineError> {
        if let Some(body) = self.members.raw("body") {
            return Ok(Payload::Json { text: Cow::Borrowed(body.get()), binary: self.binary()? });
        }
        if self.members.raw("text").is_some() {
            return self.text("text").map(Payload::Text);
        }
        if self.members.raw("base64").is_some() {
            return self.text("base64").map(Payload::Base64);
        }
        Ok(Payload::Empty)
    }

    fn binary(&self) -> Result<bool, LineError> {
        match self.members.raw("binary") {
            None => Ok(false),
            Some(raw) => match raw.get() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(self.wrong("binary", "true or false", raw)),
            },
        }
    }

    fn log_state(&self) -> Result<Option<LogState>, LineError> {
        let want = "\"open\" or \"lost\"";
        let Some(found) = self.optional_text("state")? else { return Ok(None) };
        let known =
            [LogState::Open, LogState::Lost].into_iter().find(|state| log_state_name(*state) == found);
        match known {
            Some(state) => Ok(Some(state)),
            None => Err(self.wrong("state", want, self.raw("state", want)?)),
        }
    }

    fn closed_by(&self) -> Result<ClosedBy, LineError> {
        let want = "\"peer\", \"us\", \"network\" or \"stalled\"";
        let raw = self.raw("by", want)?;
        let all = [ClosedBy::Peer, ClosedBy::Us, ClosedBy::Network, ClosedBy::Stalled];
        let text = unquote(raw).unwrap_or_default();
        all.into_iter().find(|by| closed_by_name(*by) == text).ok_or_else(|| self.wrong("by", want, raw))
    }

    fn end_reason(&self) -> Result<EndReason, LineError> {
        let want = "\"done\" or \"interrupted\"";
        let raw = self.raw("reason", want)?;
        let text = unquote(raw).unwrap_or_default();
        [EndReason::Done, EndReason::Interrupted]
            .into_iter()
            .find(|reason| end_reason_name(*reason) == text)
            .ok_or_else(|| self.wrong("reason", want, raw))
    }

    fn pairs<T: serde::de::DeserializeOwned>(
        &self,
        member: &'static str,
        want: &'static str,
    ) -> Result<Vec<(String, T)>, LineError> {
        let Some(raw) = self.members.raw(member).filter(|raw| raw.get() != "null") else {
            return Ok(Vec::new());
        };
        let mut deserializer = serde_json::Deserializer::from_str(raw.get());
        deserializer
            .deserialize_map(PairsVisitor(std::marker::PhantomData))
            .map_err(|_| self.wrong(member, want, raw))
    }
}

/// An object as pairs, in its order: a map would sort or scatter what the contract's order fixes.
struct PairsVisitor<T>(std::marker::PhantomData<T>);

impl<'a, T: serde::de::DeserializeOwned> Visitor<'a> for PairsVisitor<T> {
    type Value = Vec<(String, T)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}

/// The text of a JSON string, borrowed where nothing in it is escaped.
fn unquote(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str::<String>(raw.get()).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// What an error message shows of a text that may be long or hostile.
fn excerpt(text: &str) -> String {
    const MOST: usize = 60;
    let mut shown = String::new();
    for c in text.chars().take(MOST) {
        if c.is_control() {
            shown.extend(c.escape_debug());
        } else {
            shown.push(c);
        }
    }
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
