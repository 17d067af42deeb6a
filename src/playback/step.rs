//! What a recorded observation is to somebody who is served the recording: an answer that stands from
//! now on, a frame, a socket that opens or closes. Owned, so that it can be read ahead.

use crate::model::{Event, Observation, Payload, Timestamp};
use base64::prelude::{BASE64_STANDARD, Engine};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub at: Timestamp,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Another recording begins, in the same file.
    Start,
    /// REST answered so.
    Answer {
        feature: String,
        params: String,
        answer: Recorded,
    },
    Open {
        conn: u32,
    },
    Frame {
        conn: u32,
        frame: Frame,
    },
    Close {
        conn: u32,
        code: u16,
        reason: String,
    },
    /// A connection could not be opened; with which status, if there was one.
    Refusal {
        status: Option<u16>,
    },
    End,
}

/// What a poll got.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    Body(Body),
    /// 304: what stood, stands.
    Unchanged,
    /// A status that is no success.
    Status {
        status: u16,
        detail: String,
    },
    /// No answer that could be used; why, in the recording's words.
    Nothing {
        why: String,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    pub status: u16,
    pub kind: &'static str,
    pub bytes: Arc<[u8]>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
}

pub const JSON: &str = "application/json";
pub const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";

/// A status that a server answers with and that is no success; a redirect leads nowhere here.
const FAILURES: std::ops::RangeInclusive<u16> = 400..=599;

impl Step {
    /// `None`: nothing that a client could notice.
    pub fn of(observation: &Observation<'_>) -> Option<Step> {
        let what = match &observation.event {
            Event::Start(_) => What::Start,
            Event::Rest { feature, params, status, payload, .. } => {
                let answer = match (status, payload) {
                    (304, _) => Recorded::Unchanged,
                    (status, payload) => Recorded::Body(body(*status, payload)),
                };
                What::Answer { feature: feature.to_string(), params: params.to_string(), answer }
            }
            Event::RestError { feature, params, error, status, detail, .. } => {
                let answer = match status {
                    Some(status) if error == "status" && FAILURES.contains(status) => {
                        Recorded::Status { status: *status, detail: detail.to_string() }
                    }
                    Some(status) => Recorded::Nothing { why: format!("{error} (status {status}): {detail}") },
                    None => Recorded::Nothing { why: format!("{error}: {detail}") },
                };
                What::Answer { feature: feature.to_string(), params: params.to_string(), answer }
            }
            Event::WsOpen { conn } => What::Open { conn: *conn },
            Event::Ws { conn, payload, .. } => What::Frame { conn: *conn, frame: frame(payload) },
            Event::WsClose { conn, code, reason, .. } => {
                What::Close { conn: *conn, code: *code, reason: reason.to_string() }
            }
            Event::WsError { status, .. } => What::Refusal { status: *status },
            Event::End { .. } => What::End,
            _ => return None,
        };
        Some(Step { at: observation.at, what })
    }

    /// How much memory it holds, roughly.
    pub fn bytes(&self) -> usize {
        let held = match &self.what {
            What::Answer { answer: Recorded::Body(body), .. } => body.bytes.len(),
            What::Frame { frame: Frame::Text(text), .. } => text.len(),
            What::Frame { frame: Frame::Binary(bytes), .. } => bytes.len(),
            _ => 0,
        };
        held + size_of::<Step>()
    }
}

fn body(status: u16, payload: &Payload<'_>) -> Body {
    let (kind, bytes): (_, Arc<[u8]>) = match payload {
        Payload::Json { text, .. } => (JSON, text.as_bytes().into()),
        Payload::Text(text) => (TEXT, text.as_bytes().into()),
        Payload::Base64(text) => (BYTES, decoded(text).into()),
        Payload::Empty => (TEXT, Arc::default()),
    };
    Body { status, kind, bytes }
}

fn frame(payload: &Payload<'_>) -> Frame {
    match payload {
        Payload::Json { text, binary: false } | Payload::Text(text) => Frame::Text(text.to_string()),
        Payload::Json { text, binary: true } => Frame::Binary(text.as_bytes().to_vec()),
        Payload::Base64(text) => Frame::Binary(decoded(text)),
        Payload::Empty => Frame::Text(String::new()),
    }
}

/// What is no base64 was damaged after it was recorded: it goes out as it stands.
fn decoded(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).unwrap_or_else(|_| text.as_bytes().to_vec())
}
