//! What the frontend asked for: when it opened the WebSocket, and each feature's REST requests while
//! its flag is true and while it is not. Tells polls from the load of a page. Must not decide a verdict.
//!
//! A page is allowed to load once what the stream has no snapshot of: one request of each target for
//! each WebSocket that opened within `load_window` before or after it. Every other is a poll.

use super::context::{Deadlines, Task};
use super::ledger::{Draft, Ledger};
use super::quote;
use super::retired::{Endpoint, Line, Role};
use super::route::Route;
use crate::contract::Contract;
use crate::model::outcome::Requested;
use crate::model::{Class, Span, Start, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// The status of a WebSocket that opened: RFC 6455; over HTTP/2 it is 200 to a CONNECT (RFC 8441).
const SWITCHED: u16 = 101;

/// Deadlines of the frontend belong to no stream.
const NO_STREAM: u32 = u32::MAX;

/// One request, as a source saw it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    pub method: &'r str,
    /// With its query; a whole URL is read as well.
    pub target: &'r str,
    /// What the source took it for.
    pub feature: Option<&'r str>,
    pub status: Option<u16>,
    /// Who asked, in its own words.
    pub agent: Option<&'r str>,
}

#[derive(Debug, Clone)]
pub struct Frontend {
    /// As the contract has it, and as the present run's start names it. Where neither tells the path,
    /// a WebSocket is known by its status alone.
    contracted: Option<Route>,
    socket: Option<Route>,
    routes: Vec<Route>,
    pub features: Vec<Requests>,
    /// The first request of the present run.
    began: Option<Timestamp>,
    /// Requests and WebSockets of all runs, whatever the flags were.
    pub lines: u64,
}

/// One feature's side of it.
#[derive(Debug, Clone)]
pub struct Requests {
    name: Arc<str>,
    flag: String,
    method: String,
    /// How near to the opening of a WebSocket a request counts as a page's load.
    pub load_window: Span,
    /// The flag in the present run, where it is known, and whether it ever was.
    on: Option<bool>,
    told: bool,
    /// What was seen while the flag was true, and while it was false.
    pub with: Seen,
    pub without: Seen,
    /// Openings that can still excuse a request, with the targets that each has excused.
    openings: VecDeque<(Timestamp, Vec<Box<str>>)>,
    /// Requests that an opening to come may still excuse.
    pending: VecDeque<Pending>,
    numbered: u64,
    /// Where the contract asks whether the endpoint may go away.
    pub retired: Option<Endpoint>,
}

/// Requests of a feature's path, and what surrounded them.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Seen {
    /// Requests of the frontend, of whatever path, the WebSocket's among them.
    pub lines: u64,
    /// WebSockets that opened, and that were refused.
    pub opened: u64,
    pub refused: u64,
    /// The status of the last refusal.
    pub refusal: u16,
    /// Requests of the feature's path: polls, loads of a page, those of a path that a feature shares
    /// which still needs it, and those whose nature the end left open.
    pub polls: u64,
    pub loads: u64,
    pub shared: u64,
    pub unjudged: u64,
    /// From a run's first request to its end; from its first opening to its end, the longest.
    pub watched: Span,
    pub watched_open: Span,
    first_open: Option<Timestamp>,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Pending {
    number: u64,
    at: Timestamp,
    target: Box<str>,
    words: String,
}

impl Seen {
    /// Requests of the feature's path, whatever their nature.
    pub fn requested(&self) -> Requested {
        let requests = self.polls + self.loads + self.shared + self.unjudged;
        Requested { requests, watched: self.watched }
    }
}

impl Frontend {
    pub fn new(contract: &Contract) -> Frontend {
        let features = contract.features.iter().map(|feature| Requests {
            name: feature.name.clone(),
            flag: feature.flag.clone(),
            method: feature.rest.method.clone(),
            load_window: feature.rest.poll.half().max(feature.settle),
            on: None,
            told: false,
            with: Seen::default(),
            without: Seen::default(),
            openings: VecDeque::new(),
            pending: VecDeque::new(),
            numbered: 0,
            retired: Endpoint::of(feature),
        });
        Frontend {
            contracted: Route::of_url(&contract.ws.url),
            socket: None,
            routes: contract.features.iter().map(Route::of_feature).collect(),
            features: features.collect(),
            began: None,
            lines: 0,
        }
    }

    /// A run begins.
    pub fn start(&mut self, start: &Start) {
        let url = start.feeds.iter().find(|(feed, _)| feed == "ws");
        self.socket = url.and_then(|(_, url)| Route::of_url(url));
        let flags = &start.flags;
        for feature in &mut self.features {
            feature.on = flags.iter().find(|(name, _)| *name == feature.flag).map(|(_, on)| *on);
            feature.told |= feature.on.is_some();
        }
    }

    pub fn observe(
        &mut self,
        at: Timestamp,
        request: Request<'_>,
        ledger: &mut Ledger,
        deadlines: &mut Deadlines,
    ) {
        self.lines += 1;
        self.began.get_or_insert(at);
        for seen in self.features.iter_mut().filter_map(Requests::seen) {
            seen.lines += 1;
            seen.first.get_or_insert(at);
            seen.last = Some(at);
        }
        if self.is_handshake(&request) {
            let opened = request.status.is_none_or(|status| status == SWITCHED || status == 200);
            self.retiring(at, &request, Some(if opened { Role::Opened } else { Role::Refused }));
            for feature in &mut self.features {
                feature.socket(at, opened, request.status.unwrap_or_default());
            }
            return;
        }
        self.retiring(at, &request, None);
        let asked = self.asked(&request);
        let needed = asked.iter().any(|&i| self.features[i].on != Some(true));
        for i in asked {
            self.features[i].request(i, at, &request, needed, (ledger, deadlines));
        }
    }

    /// Tells the endpoints that are to go away of a request. Those that serve GET serve HEAD too.
    fn retiring(&mut self, at: Timestamp, request: &Request<'_>, role: Option<Role>) {
        if self.features.iter().all(|feature| feature.retired.is_none()) {
            return;
        }
        let method = if request.method == "HEAD" { "GET" } else { request.method };
        let asked = match role {
            Some(_) => Vec::new(),
            None => self.asked(&Request { method, ..*request }),
        };
        let line = Line { method: request.method, target: request.target, agent: request.agent };
        for (i, feature) in self.features.iter_mut().enumerate() {
            let role = role.unwrap_or(if asked.contains(&i) { Role::Asks } else { Role::Other });
            if let Some(endpoint) = &mut feature.retired {
                endpoint.line(at, line, role, feature.on);
            }
        }
    }

    /// A WebSocket's request. Where the path tells nothing, its status has to.
    fn is_handshake(&self, request: &Request<'_>) -> bool {
        let by_status = request.status == Some(SWITCHED);
        let by_path = match self.socket.as_ref().or(self.contracted.as_ref()) {
            None => by_status,
            Some(root) if root.is_root() => by_status && root.matches(request.target),
            Some(path) => path.matches(request.target),
        };
        by_path && matches!(request.method, "GET" | "CONNECT")
    }

    /// The features that a request polls: by its path, where several share it by their query; where no
    /// path fits, the one that its source took it for.
    fn asked(&self, request: &Request<'_>) -> Vec<usize> {
        let of_path: Vec<usize> = (0..self.routes.len())
            .filter(|&i| self.features[i].method == request.method && self.routes[i].matches(request.target))
            .collect();
        if of_path.is_empty() {
            let named = |f: &Requests| request.feature == Some(&*f.name) && f.method == request.method;
            return self.features.iter().position(named).into_iter().collect();
        }
        let of_query: Vec<usize> =
            of_path.iter().copied().filter(|&i| self.routes[i].query_fits(request.target)).collect();
        if of_query.is_empty() { of_path } else { of_query }
    }

    /// Nothing that opened in time excuses the request: it is a poll.
    pub fn judge(&mut self, feature: usize, number: u64, ledger: &mut Ledger) {
        let requests = &mut self.features[feature];
        let Some(index) = requests.pending.iter().position(|p| p.number == number) else { return };
        let Some(poll) = requests.pending.remove(index) else { return };
        requests.with.polls += 1;
        let mut draft = Draft::new(Class::RestStillPolled, &Arc::from(""), poll.at);
        draft.detail = poll.words;
        ledger.add(feature, draft, || (String::new(), String::new()));
    }

    /// A run ends; what an opening after it might have excused stays open.
    pub fn end(&mut self, at: Timestamp) {
        let began = self.began.take();
        for feature in &mut self.features {
            let waiting = std::mem::take(&mut feature.pending).len() as u64;
            feature.openings.clear();
            let on = feature.on;
            if let Some(endpoint) = &mut feature.retired {
                endpoint.end(on);
            }
            let Some(seen) = feature.seen() else { continue };
            seen.unjudged += waiting;
            if let Some(began) = began {
                seen.watched = seen.watched + (at - began);
            }
            if let Some(opened) = seen.first_open.take() {
                seen.watched_open = seen.watched_open.max(at - opened);
            }
        }
        self.features.iter_mut().for_each(|f| f.on = None);
    }
}

impl Requests {
    fn seen(&mut self) -> Option<&mut Seen> {
        self.on.map(|on| if on { &mut self.with } else { &mut self.without })
    }

    fn socket(&mut self, at: Timestamp, opened: bool, status: u16) {
        let Some(seen) = self.seen() else { return };
        if !opened {
            seen.refused += 1;
            seen.refusal = status;
            return;
        }
        seen.opened += 1;
        seen.first_open.get_or_insert(at);
        // All that wait are near enough: later than that they were judged.
        let mut excused: Vec<Box<str>> = Vec::new();
        self.pending.retain(|waiting| {
            let load = !excused.contains(&waiting.target);
            if load {
                excused.push(waiting.target.clone());
            }
            !load
        });
        self.with.loads += excused.len() as u64;
        self.forget_openings(at);
        self.openings.push_back((at, excused));
    }

    fn request(
        &mut self,
        index: usize,
        at: Timestamp,
        request: &Request<'_>,
        needed: bool,
        (_, deadlines): (&mut Ledger, &mut Deadlines),
    ) {
        match self.on {
            Some(true) if needed => self.with.shared += 1,
            Some(true) => {
                self.forget_openings(at);
                let fresh = |(_, excused): &&mut (Timestamp, Vec<Box<str>>)| {
                    excused.iter().all(|target| **target != *request.target)
                };
                if let Some((_, excused)) = self.openings.iter_mut().find(fresh) {
                    excused.push(request.target.into());
                    self.with.loads += 1;
                    return;
                }
                let status = request.status.map(|s| format!(", status {s}")).unwrap_or_default();
                let words = format!("{} {}{status}", request.method, quote(request.target));
                let number = self.numbered;
                self.numbered += 1;
                self.pending.push_back(Pending { number, at, target: request.target.into(), words });
                deadlines.push(at + self.load_window, index, NO_STREAM, Task::Request(number));
            }
            Some(false) => self.without.polls += 1,
            None => {}
        }
    }

    fn forget_openings(&mut self, now: Timestamp) {
        let since = now - self.load_window;
        while self.openings.front().is_some_and(|(at, _)| *at < since) {
            self.openings.pop_front();
        }
    }

    /// Why nothing can be said of this flag, or nothing where something can.
    pub fn flag_lacking(&self) -> &'static str {
        match (self.flag.is_empty(), self.told, self.with.lines, self.without.lines) {
            (true, ..) => "the contract names no flag of this feature",
            (_, false, ..) => "the recording does not tell the flag's state",
            (_, _, 0, 0) => "no request of the frontend was seen (see cutover import)",
            (_, _, 0, _) => "the frontend was seen only while the flag was false",
            _ => "",
        }
    }
}
