//! Who still asks an endpoint that is to go away, and in which market sessions a log that would show it was
//! alive. Must not decide a verdict.
//!
//! What is not seen proves something only where it would have been seen. So market time counts as covered
//! between two requests of any path that lie no further apart than `silence`, and a run's time counts only if
//! clients came through here (a WebSocket opened) and REST is served here (something below the path's first
//! directory was asked).

use super::quote;
use super::route::Route;
use crate::calendar::CalendarRule;
use crate::contract::{Feature, Retired};
use crate::model::outcome::{Asked, EndpointOutcome, EndpointSession, SessionsRequired};
use crate::model::{Span, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How cutover's own requests begin to say who they are.
pub const OWN_AGENT: &str = "cutover/";

/// Longer than any market of the shipped calendars stays closed.
const LONGEST_CLOSING: Span = Span::from_secs(30 * 86_400);

const NO_SOCKET: &str = "no WebSocket was opened in it: is it the log that the frontend's requests stand in?";

/// What a request is to one feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A WebSocket that opened, and one that was refused.
    Opened,
    Refused,
    /// It asks for the feature's path.
    Asks,
    Other,
}

/// One request, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Line<'l> {
    pub method: &'l str,
    pub target: &'l str,
    pub agent: Option<&'l str>,
}

/// One feature's endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    limits: Retired,
    required: SessionsRequired,
    calendar: Arc<CalendarRule>,
    route: Route,
    sessions: BTreeMap<i64, Session>,
    /// Requests of the path by whom nobody waits for, and those outside market hours.
    ignored: u64,
    outside: u64,
    /// Why the time of a run does not count.
    doubts: Vec<String>,
    run: Run,
}

#[derive(Debug, Clone, Default)]
struct Session {
    covered: Span,
    asked: Asked,
    expected: Asked,
}

/// What the present run has shown.
#[derive(Debug, Clone, Default)]
struct Run {
    lines: u64,
    opened: bool,
    beside: bool,
    covered: BTreeMap<i64, Span>,
    /// Lines that follow each other closely: the first and the last.
    spell: Option<(Timestamp, Timestamp)>,
}

impl Endpoint {
    /// `None` where the contract does not ask.
    pub fn of(feature: &Feature) -> Option<Endpoint> {
        let limits = feature.limits.retired.clone()?;
        let sessions = limits.sessions.unwrap_or(feature.limits.sessions);
        Some(Endpoint {
            required: SessionsRequired { sessions, coverage: feature.limits.coverage },
            limits,
            calendar: feature.calendar.clone(),
            route: Route::of_feature(feature),
            sessions: BTreeMap::new(),
            ignored: 0,
            outside: 0,
            doubts: Vec::new(),
            run: Run::default(),
        })
    }

    /// `on`: the feature's flag, where it is known. While it is false clients are meant to ask, and what they
    /// do not ask for then proves nothing.
    pub fn line(&mut self, at: Timestamp, line: Line<'_>, role: Role, on: Option<bool>) {
        self.run.lines += 1;
        match self.run.spell {
            Some((from, last)) if at - last <= self.limits.silence => self.run.spell = Some((from, at)),
            _ => {
                self.account(on);
                self.run.spell = Some((at, at));
            }
        }
        match role {
            Role::Opened => self.run.opened = true,
            Role::Refused => {}
            Role::Other => self.run.beside = self.run.beside || self.route.is_beside(line.target),
            Role::Asks => {
                self.run.beside = true;
                self.asked(at, line, on);
            }
        }
    }

    fn asked(&mut self, at: Timestamp, line: Line<'_>, on: Option<bool>) {
        let agent = line.agent.unwrap_or_default();
        let ignored = self.limits.ignore.iter().any(|name| agent.contains(name.as_str()));
        if ignored || agent.starts_with(OWN_AGENT) {
            self.ignored += 1;
            return;
        }
        let session = match self.calendar.segment_at(at) {
            Some(_) => self.calendar.session_at(at),
            None => {
                self.outside += 1;
                // Who asks at night needs it too: it is quiet from the next session on.
                self.calendar.sessions(at - LONGEST_CLOSING, at).pop()
            }
        };
        let Some(session) = session else { return };
        let session = self.sessions.entry(session.day).or_default();
        let asked = if on == Some(false) { &mut session.expected } else { &mut session.asked };
        asked.requests += 1;
        asked.first.get_or_insert(at);
        asked.last = Some(at);
        asked.what = format!("{} {}", line.method, quote(line.target));
    }

    /// The spell is over: its market time was covered.
    fn account(&mut self, on: Option<bool>) {
        let Some((from, to)) = self.run.spell.take() else { return };
        if on == Some(false) {
            return;
        }
        for session in self.calendar.sessions(from, to) {
            let within = session.segments.iter().fold(Span::ZERO, |sum, (open, close)| {
                let (from, to) = ((*open).max(from), (*close).min(to));
                if from < to { sum + (to - from) } else { sum }
            });
            if within > Span::ZERO {
                let covered = self.run.covered.entry(session.day).or_insert(Span::ZERO);
                *covered = *covered + within;
            }
        }
    }

    /// A run ends; what it covered counts if it was the right log.
    pub fn end(&mut self, on: Option<bool>) {
        self.account(on);
        let run = std::mem::take(&mut self.run);
        let doubt = match (run.opened, run.beside) {
            _ if run.lines == 0 || on == Some(false) => return,
            (false, _) => NO_SOCKET.to_string(),
            (true, false) => format!(
                "nothing below {} was asked in it: would a request of the path stand in it?",
                self.route.directory()
            ),
            (true, true) => {
                for (day, covered) in run.covered {
                    let session = self.sessions.entry(day).or_default();
                    session.covered = session.covered + covered;
                }
                return;
            }
        };
        if !self.doubts.contains(&doubt) {
            self.doubts.push(doubt);
        }
    }

    pub fn outcome(&self) -> EndpointOutcome {
        let session = |(day, seen): (&i64, &Session)| {
            let sessions = self.calendar.sessions_on(*day);
            EndpointSession {
                day: *day,
                open: sessions.first().map_or(Timestamp::MIN, |s| s.open()),
                close: sessions.last().map_or(Timestamp::MIN, |s| s.close()),
                length: sessions
                    .iter()
                    .flat_map(|s| &s.segments)
                    .fold(Span::ZERO, |sum, s| sum + (s.1 - s.0)),
                covered: seen.covered,
                asked: seen.asked.clone(),
                expected: seen.expected.clone(),
            }
        };
        EndpointOutcome {
            required: self.required,
            sessions: self.sessions.iter().map(session).collect(),
            ignored: self.ignored,
            outside: self.outside,
            doubts: self.doubts.clone(),
        }
    }
}
