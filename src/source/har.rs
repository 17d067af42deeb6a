//! HAR files (HTTP Archive 1.2) with `_webSocketMessages`, as Chrome's DevTools and Playwright write
//! them: both feeds as one page saw them, on one clock.
//!
//! Owns how an entry becomes observations. Must not: guess what the file does not tell; a HAR keeps
//! no close of a WebSocket, and says so in a note.

use super::body::{payload, text_payload};
use super::import::{Imported, Routes};
use super::redact::{Redactor, places};
use crate::contract::Contract;
use crate::model::{ClosedBy, Event, Payload, Timestamp};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

/// Browsers and their tools do not agree on padding.
const FORGIVING: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// RFC 6455: of a WebSocket that opened; its opcodes; a close without a word, and one in order.
const SWITCHED: u16 = 101;
const TEXT: i64 = 1;
const BINARY: i64 = 2;
const ABNORMAL: u16 = 1006;
const NORMAL: u16 = 1000;

/// Seconds beyond this are milliseconds.
const MOST_SECONDS: f64 = 1e11;

#[derive(Debug, thiserror::Error)]
pub enum HarError {
    #[error("it ends in the middle ({0}); the export was cut off, so export it again")]
    CutOff(String),
    #[error("it is no HAR file: {0}")]
    NotHar(String),
    #[error(
        "{creator} recorded the WebSocket {url} without its messages; record with the DevTools of Chrome or \
         Edge (Network, \"Export HAR\"), or with Playwright's recordHar"
    )]
    NoMessages { creator: String, url: String },
    #[error("entry {entry} ({url}): `{member}` is {found}; it must be {want}")]
    Wrong { entry: usize, url: String, member: &'static str, found: String, want: &'static str },
}

#[derive(Deserialize)]
struct Har {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    #[serde(default)]
    creator: Creator,
    entries: Vec<Entry>,
}

#[derive(Deserialize, Default)]
struct Creator {
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: String,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "startedDateTime")]
    started: String,
    /// Milliseconds; -1 where it is not known.
    time: Option<f64>,
    request: Request,
    response: Option<Response>,
    pageref: Option<String>,
    #[serde(rename = "_resourceType")]
    resource_type: Option<String>,
    #[serde(rename = "_webSocketMessages")]
    messages: Option<Vec<Message>>,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    url: String,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    status: i64,
    #[serde(default)]
    content: Content,
    #[serde(rename = "_error")]
    error: Option<String>,
    #[serde(rename = "_failureText")]
    failure: Option<String>,
}

#[derive(Deserialize, Default)]
struct Content {
    text: Option<String>,
    encoding: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    direction: String,
    /// Since the epoch, in seconds.
    time: f64,
    opcode: Option<i64>,
    data: Option<String>,
}

/// Reads a HAR file's text.
pub fn import_har(text: &str, contract: &Contract) -> Result<Imported, HarError> {
    let har: Har = serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => HarError::CutOff(error.to_string()),
        _ => HarError::NotHar(error.to_string()),
    })?;
    let mut reading = Reading {
        routes: Routes::new(contract),
        redactor: Redactor::new(&places(contract)),
        creator: format!("{} {}", har.log.creator.name, har.log.creator.version).trim().to_string(),
        imported: Imported::default(),
        sockets: Vec::new(),
        polls: 0,
        bodiless: 0,
        elsewhere: Vec::new(),
    };
    for (index, entry) in har.log.entries.iter().enumerate() {
        reading.entry(index + 1, entry)?;
    }
    Ok(reading.finish())
}

struct Reading {
    routes: Routes,
    redactor: Option<Redactor>,
    creator: String,
    imported: Imported,
    /// Those of the contract, as they opened.
    sockets: Vec<Socket>,
    polls: u64,
    bodiless: u64,
    /// Paths of WebSockets that are not the contract's.
    elsewhere: Vec<String>,
}

struct Socket {
    page: Option<String>,
    opened: Timestamp,
    last: Option<Timestamp>,
}

impl Reading {
    fn put(&mut self, at: Timestamp, event: Event<'static>) {
        self.imported.events.push((at, event));
    }

    fn entry(&mut self, number: usize, entry: &Entry) -> Result<(), HarError> {
        let url = &entry.request.url;
        let wrong = |member, found: &str, want| HarError::Wrong {
            entry: number,
            url: super::secret::shown_url(url),
            member,
            found: found.to_string(),
            want,
        };
        let started = Timestamp::parse_rfc3339(&entry.started)
            .ok_or_else(|| wrong("startedDateTime", &entry.started, "an instant with its offset"))?;
        let status = entry.response.as_ref().and_then(|r| u16::try_from(r.status).ok()).filter(|s| *s > 0);
        let is_socket = entry.resource_type.as_deref() == Some("websocket")
            || entry.messages.is_some()
            || url.starts_with("ws://")
            || url.starts_with("wss://");
        self.put(started, self.routes.frontend(&entry.request.method, url, status, None));
        match is_socket || status == Some(SWITCHED) {
            true => self.socket(entry, started, status).map_err(|fault| match fault {
                Fault::NoMessages => {
                    HarError::NoMessages { creator: self.creator.clone(), url: super::secret::shown_url(url) }
                }
                Fault::Time(found) => wrong("_webSocketMessages/time", &found, "seconds since 1970"),
            }),
            false => {
                self.answer(entry, started, status);
                Ok(())
            }
        }
    }

    /// The answers of a feature's requests.
    fn answer(&mut self, entry: &Entry, sent_at: Timestamp, status: Option<u16>) {
        let millis = entry.time.filter(|t| t.is_finite() && *t > 0.0).unwrap_or_default();
        let at = sent_at.saturating_add(crate::model::Span((millis * 1e6).min(1e17) as i64));
        let polls: Vec<(String, String)> = self
            .routes
            .polls(&entry.request.method, &entry.request.url)
            .map(|poll| (poll.feature.clone(), poll.params.clone()))
            .collect();
        for (feature, params) in polls {
            self.polls += 1;
            let params = self.redactor.as_ref().map_or(params.clone(), |redactor| redactor.redact(&params));
            let event = self.answered(entry, sent_at, status, feature, params);
            self.put(at, event);
        }
    }

    fn answered(
        &mut self,
        entry: &Entry,
        sent_at: Timestamp,
        status: Option<u16>,
        feature: String,
        params: String,
    ) -> Event<'static> {
        let failed = |error: &'static str, detail: String| Event::RestError {
            sent_at,
            feature: feature.clone().into(),
            params: params.clone().into(),
            error: error.into(),
            status,
            detail: detail.into(),
        };
        let response = entry.response.as_ref();
        let Some(status) = status else {
            let why = response.and_then(|r| r.error.as_ref().or(r.failure.as_ref())).cloned();
            return failed("connect", why.unwrap_or_else(|| "the HAR has no answer".into()));
        };
        if !(200..300).contains(&status) && status != 304 {
            return failed("status", String::new());
        }
        let content = response.map(|r| &r.content);
        let text = content.and_then(|c| c.text.clone()).filter(|text| !text.is_empty());
        let is_base64 = content.is_some_and(|c| c.encoding.as_deref() == Some("base64"));
        let bytes = match (text, is_base64) {
            (Some(text), true) => FORGIVING.decode(&text).ok(),
            (text, _) => text.map(String::into_bytes),
        };
        let Some(bytes) = bytes.filter(|_| status != 304) else {
            if !matches!(status, 204 | 304) {
                self.bodiless += 1;
                return failed("body", "the HAR has no body".into());
            }
            return Event::Rest {
                sent_at,
                feature: feature.into(),
                params: params.into(),
                status,
                bytes: 0,
                payload: Payload::Empty,
            };
        };
        Event::Rest {
            sent_at,
            feature: feature.into(),
            params: params.into(),
            status,
            bytes: bytes.len() as u64,
            payload: payload(bytes, false, self.redactor.as_ref()),
        }
    }

    fn socket(&mut self, entry: &Entry, started: Timestamp, status: Option<u16>) -> Result<(), Fault> {
        let url = &entry.request.url;
        if !self.routes.is_socket(url) {
            self.elsewhere.push(super::secret::shown_url(url));
            return Ok(());
        }
        let conn = self.sockets.len() as u32;
        let messages = entry.messages.as_deref();
        if status != Some(SWITCHED) && messages.is_none_or(<[Message]>::is_empty) {
            let why = entry.response.as_ref().and_then(|r| r.error.as_ref().or(r.failure.as_ref()));
            let detail = why.cloned().unwrap_or_default().into();
            self.put(started, Event::WsError { conn, error: "handshake".into(), status, detail });
            return Ok(());
        }
        let messages = messages.ok_or(Fault::NoMessages)?;
        self.put(started, Event::WsOpen { conn });
        let mut last = None;
        for message in messages.iter().filter(|m| m.direction == "receive") {
            let at = instant(message.time).ok_or_else(|| Fault::Time(message.time.to_string()))?.max(started);
            let Some((bytes, payload)) = self.received(message) else { continue };
            last = last.max(Some(at));
            self.put(at, Event::Ws { conn, bytes, payload });
        }
        self.sockets.push(Socket { page: entry.pageref.clone(), opened: started, last });
        Ok(())
    }

    fn received(&self, message: &Message) -> Option<(u64, Payload<'static>)> {
        let data = message.data.clone().unwrap_or_default();
        match message.opcode.unwrap_or(TEXT) {
            TEXT => Some((data.len() as u64, text_payload(data, false, self.redactor.as_ref()))),
            BINARY => {
                let bytes = FORGIVING.decode(&data).unwrap_or_else(|_| data.into_bytes());
                Some((bytes.len() as u64, payload(bytes, true, self.redactor.as_ref())))
            }
            // Pings, pongs and closes are none of the feed's messages.
            _ => None,
        }
    }

    /// Where the file ends, and what it cannot tell.
    fn finish(mut self) -> Imported {
        let end = self.imported.events.iter().map(|(at, _)| *at).max().unwrap_or(Timestamp(0));
        let lost = self.close_sockets(end);
        let mut notes = Vec::new();
        if self.polls == 0 {
            notes.push("no request goes to a REST path of the contract".to_string());
        }
        if self.bodiless > 0 {
            notes.push(format!("{} answers have no body: the browser had dropped them", self.bodiless));
        }
        match (self.sockets.len(), self.elsewhere.first()) {
            (0, None) => notes.push("no WebSocket opened in it".to_string()),
            (0, Some(other)) => {
                notes.push(format!("no WebSocket goes to the contract's path; there is one to {other}"));
            }
            _ => notes.push("a HAR does not tell when or why a WebSocket closes".to_string()),
        }
        if lost > 0 {
            notes.push(format!(
                "{lost} WebSockets fell silent before their page opened another: taken as dropped then"
            ));
        }
        self.imported.notes = notes;
        self.imported.from = format!("HAR of {}", if self.creator.is_empty() { "?" } else { &self.creator });
        self.imported
    }

    /// A socket lasts until its page opens another, or to the end; how many a page had to replace.
    fn close_sockets(&mut self, end: Timestamp) -> u64 {
        let mut lost = 0;
        let closes: Vec<(Timestamp, Event<'static>)> = self
            .sockets
            .iter()
            .enumerate()
            .map(|(conn, socket)| {
                let same_page = |s: &&Socket| s.page == socket.page;
                let next = self.sockets[conn + 1..].iter().find(same_page).map(|s| s.opened);
                let replaced = next.zip(socket.last).filter(|(next, last)| last < next);
                lost += u64::from(replaced.is_some());
                let (at, code, by, reason) = match (replaced, next) {
                    (Some((_, last)), _) => {
                        (last, ABNORMAL, ClosedBy::Network, "no message since, and the page opened another")
                    }
                    // Two at a time, or one that the page gave up before it said anything.
                    (None, Some(next)) if socket.last.is_none() => (next, NORMAL, ClosedBy::Us, "never used"),
                    (None, _) => (end, NORMAL, ClosedBy::Us, "the HAR ends"),
                };
                (at, Event::WsClose { conn: conn as u32, code, reason: reason.into(), by })
            })
            .collect();
        self.imported.events.extend(closes);
        lost
    }
}

enum Fault {
    NoMessages,
    Time(String),
}

/// Seconds or milliseconds since the epoch.
fn instant(time: f64) -> Option<Timestamp> {
    let seconds = if time > MOST_SECONDS { time / 1e3 } else { time };
    (seconds.is_finite() && seconds > 0.0 && seconds < 9e9).then(|| {
        // Whole microseconds: more is not in the file's digits.
        Timestamp((seconds * 1e6).round() as i64 * 1_000)
    })
}
