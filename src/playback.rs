//! A recorded session as live endpoints: which answer stands now, what leaves over the socket, and whether
//! a socket may open.
//!
//! Its time is that of the steps it takes, one after another, as they were recorded. Memory grows with the
//! number of endpoints, not with the length of the recording. Must not open, wait, or know a socket.

mod address;
mod page;
mod step;
mod survey;
mod welcome;

pub use step::{Body, Frame, JSON, Recorded, Step, TEXT, What};
pub use survey::Survey;

use crate::contract::{Contract, Pages};
use crate::engine::route::Route;
use crate::model::{Span, Timestamp};
use address::Address;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use welcome::Login;

/// Where the socket is when the contract does not say.
const DEFAULT_SOCKET: &str = "/ws";
/// Endpoints that a list names; the others are counted.
const MOST_LISTED: usize = 50;

#[derive(Debug)]
pub struct Playback {
    endpoints: Vec<Endpoint>,
    /// Their places by feature and parameters.
    places: BTreeMap<(String, String), usize>,
    logins: Vec<Login>,
    greetings: Vec<String>,
    socket: Route,
    socket_path: String,
    /// The recorded connections that are open.
    open: BTreeSet<u32>,
    /// The status with which a handshake was refused, since the last one that was not.
    refusal: Option<u16>,
    /// Whether any was open so far.
    has_opened: bool,
    now: Timestamp,
}

#[derive(Debug)]
struct Endpoint {
    address: Address,
    /// How soon something else may stand here.
    poll: Span,
    pages: Option<Pages>,
    /// The last body that was recorded.
    body: Option<(Timestamp, Body)>,
    /// What was recorded after it instead of an answer.
    trouble: Option<(Timestamp, Trouble)>,
}

#[derive(Debug)]
struct Trouble {
    status: u16,
    said: String,
}

/// What is answered to a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub body: Body,
    /// When it was recorded.
    pub recorded: Option<Timestamp>,
    /// Ask again after so much of the recording's time.
    pub retry: Option<Span>,
    pub allow: Option<String>,
    pub cookie: Option<String>,
    /// Whether the recording has what was asked for.
    pub is_known: bool,
}

/// What leaves over the socket, to everybody who is connected.
#[derive(Debug, Clone, PartialEq)]
pub enum Leaves {
    Frame(Frame),
    Close { ending: Ending, reason: String },
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Code(u16),
    /// A close frame that gives no code.
    NoCode,
    Reset,
}

impl Ending {
    /// The recorded code, where a close frame may carry it (RFC 6455, 7.4).
    fn of(code: u16) -> Ending {
        match code {
            1005 => Ending::NoCode,
            1000..=1003 | 1007..=1014 | 3000..=4999 => Ending::Code(code),
            _ => Ending::Reset,
        }
    }
}

const GOING_AWAY: u16 = 1001;
/// A close frame's reason has at most 123 bytes.
const MOST_REASON: usize = 123;

impl Playback {
    /// `survey`: of the recording that is played.
    pub fn new(contract: &Contract, survey: &Survey) -> Playback {
        let mut endpoints = Vec::new();
        let mut places = BTreeMap::new();
        for feature in &contract.features {
            let own = || survey.endpoints.keys().filter(|(name, _)| **name == *feature.name);
            let alone = own().count() == 1;
            for (name, params) in own() {
                places.insert((name.clone(), params.clone()), endpoints.len());
                let address = Address::new(contract, feature, params, alone);
                let (poll, pages) = (feature.rest.poll, feature.rest.pages.clone());
                endpoints.push(Endpoint { address, poll, pages, body: None, trouble: None });
            }
        }
        let (socket, socket_path) = socket(&contract.ws.url);
        Playback {
            endpoints,
            places,
            logins: Login::all(contract),
            greetings: welcome::greetings(contract),
            socket,
            socket_path,
            open: BTreeSet::new(),
            refusal: None,
            has_opened: false,
            now: Timestamp::MIN,
        }
    }

    pub fn socket_path(&self) -> &str {
        &self.socket_path
    }

    pub fn endpoints(&self) -> usize {
        self.endpoints.len()
    }

    /// As it was before the first step: the recording is played again.
    pub fn rewind(&mut self) {
        for endpoint in &mut self.endpoints {
            (endpoint.body, endpoint.trouble) = (None, None);
        }
        self.open.clear();
        (self.refusal, self.has_opened, self.now) = (None, false, Timestamp::MIN);
    }

    /// What was recorded next has come; what leaves because of it.
    pub fn take(&mut self, step: Step) -> Option<Leaves> {
        self.now = step.at;
        match step.what {
            What::Answer { feature, params, answer } => {
                let place = *self.places.get(&(feature, params))?;
                self.endpoints[place].take(step.at, answer);
                None
            }
            What::Open { conn } => {
                self.opened(conn);
                None
            }
            What::Frame { conn, frame } => {
                // Whatever recorded it, a connection that says something is open.
                self.opened(conn);
                Some(Leaves::Frame(frame))
            }
            What::Close { conn, code, reason } => {
                self.open.remove(&conn);
                Some(Leaves::Close { ending: Ending::of(code), reason: shortened(reason) })
            }
            What::Refusal { status } => {
                self.refusal = status.filter(|status| (400..=599).contains(status));
                None
            }
            What::Start | What::End => {
                let was_open = !self.open.is_empty();
                self.open.clear();
                let reason = "the recorded run ends here".to_string();
                was_open.then_some(Leaves::Close { ending: Ending::Code(GOING_AWAY), reason })
            }
        }
    }

    fn opened(&mut self, conn: u32) {
        self.open.insert(conn);
        (self.refusal, self.has_opened) = (None, true);
    }

    /// Whether the socket stands at this target.
    pub fn is_socket(&self, target: &str) -> bool {
        self.socket.is(target)
    }

    /// Whether a socket may open now, and what is said over it first; else what is answered instead.
    pub fn handshake(&self) -> Result<Vec<String>, Box<Answer>> {
        if !self.open.is_empty() {
            return Ok(self.greetings.clone());
        }
        let said = match (self.refusal, self.has_opened) {
            (Some(status), _) => format!("the recording had the handshake refused, status {status}"),
            (None, true) => "the recorded connection is down".to_string(),
            (None, false) => "the recorded connection is not open yet".to_string(),
        };
        let answer = Answer::error(self.refusal.unwrap_or(503), &said);
        Err(Box::new(Answer { retry: Some(Span::from_secs(1)), is_known: true, ..answer }))
    }

    /// What stands at this target now.
    pub fn answer(&self, method: &str, target: &str) -> Answer {
        // Several features may be cut out of one answer: the newest of theirs is the newest there is.
        let asked = self.endpoints.iter().filter(|endpoint| endpoint.address.is_asked(method, target));
        if let Some(endpoint) = asked.max_by_key(|endpoint| endpoint.since()) {
            return endpoint.answer(target);
        }
        if let Some((body, cookie)) = self.logins.iter().find_map(|login| login.answer(method, target)) {
            return Answer { cookie, is_known: true, ..Answer::plain(body) };
        }
        self.unknown(method, target)
    }

    fn unknown(&self, method: &str, target: &str) -> Answer {
        if self.is_socket(target) {
            return Answer::error(426, "this is the WebSocket's path, and this is no WebSocket handshake");
        }
        let here: Vec<&Address> =
            self.endpoints.iter().map(|e| &e.address).filter(|address| address.is_path_of(target)).collect();
        if !here.is_empty() {
            if here.iter().all(|address| !address.allows(method)) {
                let allowed: BTreeSet<&str> = here.iter().map(|address| &*address.method).collect();
                let allow = allowed.into_iter().collect::<Vec<_>>().join(", ");
                return Answer { allow: Some(allow.clone()), ..Answer::error(405, &format!("{allow} only")) };
            }
            return self.listed(404, "nothing was recorded for this query");
        }
        if target == "/" || target.starts_with("/?") {
            return self.listed(200, "a recording, served by cutover");
        }
        self.listed(404, "nothing was recorded at this path")
    }

    /// A text, and what there is.
    fn listed(&self, status: u16, said: &str) -> Answer {
        let all = self.endpoints.iter();
        let rest: Vec<String> = all
            .take(MOST_LISTED)
            .map(|endpoint| format!("{} {}", endpoint.address.method, endpoint.address.shown))
            .collect();
        let more = self.endpoints.len() - rest.len();
        let name = if status == 200 { "about" } else { "error" };
        let mut list = json!({ name: said, "rest": rest, "websocket": self.socket_path });
        if more > 0 {
            list["more"] = more.into();
        }
        if self.now != Timestamp::MIN {
            list["now"] = self.now.whole_millis().to_string().into();
        }
        Answer::json(status, &list)
    }
}

impl Endpoint {
    fn take(&mut self, at: Timestamp, answer: Recorded) {
        self.trouble = match answer {
            Recorded::Body(body) => {
                self.body = Some((at, body));
                None
            }
            Recorded::Unchanged => None,
            Recorded::Status { status, detail } => {
                Some((at, Trouble { status, said: format!("status {status} ({detail})") }))
            }
            Recorded::Nothing { why } => Some((at, Trouble { status: 503, said: why })),
        };
    }

    /// Since when it shows what it shows.
    fn since(&self) -> Option<Timestamp> {
        self.trouble.as_ref().map(|(at, _)| *at).max(self.body.as_ref().map(|(at, _)| *at))
    }

    fn answer(&self, target: &str) -> Answer {
        let answer = match (&self.trouble, &self.body) {
            (Some((at, trouble)), _) => {
                let said = format!("as recorded at {}: {}", at.whole_millis(), trouble.said);
                let retry = matches!(trouble.status, 429 | 503).then_some(self.poll);
                Answer { recorded: Some(*at), retry, ..Answer::error(trouble.status, &said) }
            }
            (None, Some((at, body))) => {
                let pages = self.pages.as_ref();
                let body = pages.map_or_else(|| body.clone(), |pages| page::asked(pages, body, target));
                Answer { recorded: Some(*at), ..Answer::plain(body) }
            }
            (None, None) => {
                let said = "the recording has not come to this endpoint's first answer yet";
                Answer { retry: Some(self.poll), ..Answer::error(503, said) }
            }
        };
        Answer { is_known: true, ..answer }
    }
}

impl Answer {
    fn plain(body: Body) -> Answer {
        Answer { body, recorded: None, retry: None, allow: None, cookie: None, is_known: false }
    }

    fn json(status: u16, value: &serde_json::Value) -> Answer {
        let bytes = value.to_string().into_bytes().into();
        Answer::plain(Body { status, kind: JSON, bytes })
    }

    fn error(status: u16, said: &str) -> Answer {
        Answer::json(status, &json!({ "error": said }))
    }
}

/// The socket's path in a URL, and as it is shown.
fn socket(url: &str) -> (Route, String) {
    match Route::of_url(url) {
        Some(route) => {
            let path = url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
            let path = path.unwrap_or("/").split(['?', '#']).next().unwrap_or("/").to_string();
            (route, path)
        }
        None => (Route::of_request(DEFAULT_SOCKET, Vec::new()), DEFAULT_SOCKET.to_string()),
    }
}

fn shortened(mut reason: String) -> String {
    let mut end = reason.len().min(MOST_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.truncate(end);
    reason
}

#[cfg(test)]
mod tests;
