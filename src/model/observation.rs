//! What can be observed: one thing seen at one instant. The only input of the engine (SPEC §4).
//!
//! An observation borrows from the capture line it was read from where it can.

use super::time::Timestamp;
use std::borrow::Cow;

/// One thing seen at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation<'a> {
    /// When we saw it: UTC, never decreasing within a run.
    pub at: Timestamp,
    pub event: Event<'a>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    Start(Box<Start>),
    /// An answered poll; `at` is when the answer was complete.
    Rest {
        sent_at: Timestamp,
        feature: Cow<'a, str>,
        params: Cow<'a, str>,
        status: u16,
        bytes: u64,
        payload: Payload<'a>,
    },
    /// A poll without a usable answer: `error` is `timeout`, `connect`, `status`, `body` or `too_big`.
    RestError {
        sent_at: Timestamp,
        feature: Cow<'a, str>,
        params: Cow<'a, str>,
        error: Cow<'a, str>,
        status: Option<u16>,
        detail: Cow<'a, str>,
    },
    /// A due poll that could not start in time.
    RestSkipped {
        feature: Cow<'a, str>,
        params: Cow<'a, str>,
    },
    WsOpen {
        conn: u32,
    },
    Ws {
        conn: u32,
        bytes: u64,
        payload: Payload<'a>,
    },
    WsClose {
        conn: u32,
        code: u16,
        reason: Cow<'a, str>,
        by: ClosedBy,
    },
    /// `error` is `handshake`, `connect`, `tls`, `protocol`, `too_big`, …
    WsError {
        conn: u32,
        error: Cow<'a, str>,
        status: Option<u16>,
        detail: Cow<'a, str>,
    },
    WsRtt {
        conn: u32,
        micros: u64,
    },
    /// One process's resources: CPU seconds since its start, resident bytes.
    Sample {
        process: Cow<'a, str>,
        cpu_seconds: f64,
        rss_bytes: u64,
    },
    Log {
        source: Cow<'a, str>,
        line: Cow<'a, str>,
    },
    /// A log source can be read from here on, or can no longer be read.
    LogState {
        source: Cow<'a, str>,
        state: LogState,
    },
    /// A request that the frontend made; `status` is what it got, where that is known (101 for a
    /// WebSocket that opened), `agent` who it said it was.
    Frontend {
        method: Cow<'a, str>,
        path: Cow<'a, str>,
        feature: Option<Cow<'a, str>>,
        status: Option<u16>,
        agent: Option<Cow<'a, str>>,
    },
    /// The tool itself was held up.
    SelfStall {
        millis: u64,
    },
    End {
        reason: EndReason,
    },
}

/// The first line of a capture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Start {
    /// The capture format's version.
    pub capture: u32,
    pub tool: String,
    /// The contract's TOML before `${…}` is filled in, credentials masked.
    pub contract: String,
    /// Over the contract file's raw bytes, in hexadecimal.
    pub contract_sha256: String,
    /// Feed name (`rest`, `ws`) to what it is (its URL without credentials), in order.
    pub feeds: Vec<(String, String)>,
    /// Flag name to its state at the start, in order.
    pub flags: Vec<(String, bool)>,
}

/// What a body was.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload<'a> {
    /// Syntactically valid JSON on one line; `binary` when it came in a binary frame.
    Json { text: Cow<'a, str>, binary: bool },
    /// UTF-8 that is not JSON.
    Text(Cow<'a, str>),
    /// Bytes that are not UTF-8, in base64.
    Base64(Cow<'a, str>),
    /// No body (304, 204).
    Empty,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    Peer,
    Us,
    Network,
    Stalled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogState {
    Open,
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    Done,
    Interrupted,
}

/// `params` of a request without parameters.
pub const NO_PARAMS: &str = "{}";
