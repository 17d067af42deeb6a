//! Market sessions (SPEC §3 `[market]`): when is a market open, in UTC, from data compiled in.
//!
//! Owns the lookups on a resolved calendar; `definition` turns local wall times into it, `shipped` holds the
//! data compiled in. Intervals are half-open and instants UTC; local time appears only while a calendar is
//! read and printed. Never a guess: a question beyond what the data covers is answered with `Unknown`.

pub mod definition;
pub mod listing;
pub mod shipped;

#[cfg(test)]
mod tests;

pub use definition::{Definition, Hours, Segment, Wall};
pub use shipped::{Shipped, find, names, shipped};

use crate::model::{Span, Timestamp};
use chrono_tz::Tz;

/// A resolved calendar: what a feature's `calendar = "…"` means.
#[derive(Debug, Clone, PartialEq)]
pub struct CalendarRule {
    /// As named in the contract: `24/7`, `XNYS`, `MYVENUE`.
    pub name: String,
    pub kind: CalendarKind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum CalendarKind {
    /// One endless session.
    Always,
    /// Open segments, sorted, not overlapping, half-open `[open, close)`, within `covered` (half-open too).
    /// Segments that touch are one; `sessions` holds the same time cut into trading sessions.
    Sessions {
        segments: Vec<(Timestamp, Timestamp)>,
        covered: (Timestamp, Timestamp),
        /// The same as trade dates, first and last, both included.
        days: (i64, i64),
        /// For people; everything else here is UTC.
        zone: Tz,
        sessions: Vec<Session>,
    },
}

/// One trading session: the segments that belong to one trade date, e.g. both sides of a lunch break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The trade date, as days since 1970-01-01. A session that opens on Sunday evening is Monday's.
    pub day: i64,
    /// In order, never empty.
    pub segments: Vec<(Timestamp, Timestamp)>,
    pub kind: SessionKind,
}

/// How a session differs from the ordinary one of its day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    Regular,
    /// Opens as ever and ends before the ordinary close: a half day.
    EarlyClose,
    /// Begins after the ordinary open and ends as ever.
    LateOpen,
    /// On a day that is no trading day, e.g. a Saturday.
    ExtraDay,
    OtherHours,
}

impl SessionKind {
    pub fn name(self) -> &'static str {
        match self {
            SessionKind::Regular => "regular",
            SessionKind::EarlyClose => "early close",
            SessionKind::LateOpen => "late open",
            SessionKind::ExtraDay => "extra day",
            SessionKind::OtherHours => "other hours",
        }
    }
}

/// A question beyond what a calendar knows: the answer is not "closed", it is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{calendar} is known from {} to {}, and nothing is known of {}",
    definition::day_text(.known.0), definition::day_text(.known.1), definition::day_text(*.day))]
pub struct BeyondHorizon {
    pub calendar: String,
    /// The first day asked for that is not known.
    pub day: i64,
    /// First and last known trade date.
    pub known: (i64, i64),
}

impl Session {
    pub fn open(&self) -> Timestamp {
        self.segments.first().map_or(Timestamp::MIN, |segment| segment.0)
    }

    pub fn close(&self) -> Timestamp {
        self.segments.last().map_or(Timestamp::MIN, |segment| segment.1)
    }
}

/// A boundary between open and closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarketEvent {
    Open,
    BreakStart,
    BreakEnd,
    Close,
}

impl MarketEvent {
    /// What a market does then: `XNYS opens`.
    pub fn verb(self) -> &'static str {
        match self {
            MarketEvent::Open => "opens",
            MarketEvent::BreakStart => "breaks",
            MarketEvent::BreakEnd => "resumes",
            MarketEvent::Close => "closes",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarketState {
    Open,
    Closed,
    /// Beyond the calendar's horizon.
    Unknown,
}

impl CalendarRule {
    pub fn always() -> CalendarRule {
        CalendarRule { name: "24/7".into(), kind: CalendarKind::Always }
    }

    pub fn state_at(&self, t: Timestamp) -> MarketState {
        match &self.kind {
            CalendarKind::Always => MarketState::Open,
            CalendarKind::Sessions { covered, .. } if t < covered.0 || t >= covered.1 => MarketState::Unknown,
            CalendarKind::Sessions { .. } => match self.segment_at(t) {
                Some(_) => MarketState::Open,
                None => MarketState::Closed,
            },
        }
    }

    /// The state that held throughout `[from, to]`; `Unknown` where it changed, in a break, and beyond the horizon.
    pub fn throughout(&self, from: Timestamp, to: Timestamp) -> MarketState {
        let open = self.segment_at(from).is_some_and(|(_, close)| to < close);
        match self.knows(from, to) {
            true if open => MarketState::Open,
            true if self.sessions(from, to + Span(1)).is_empty() => MarketState::Closed,
            _ => MarketState::Unknown,
        }
    }

    /// The open segment that contains `t`.
    pub fn segment_at(&self, t: Timestamp) -> Option<(Timestamp, Timestamp)> {
        match &self.kind {
            CalendarKind::Always => Some((Timestamp::MIN, Timestamp::MAX)),
            CalendarKind::Sessions { segments, .. } => {
                let next = segments.partition_point(|(open, _)| *open <= t);
                segments[..next].last().copied().filter(|(_, close)| t < *close)
            }
        }
    }

    /// The first open segment that begins after `t`.
    pub fn segment_after(&self, t: Timestamp) -> Option<(Timestamp, Timestamp)> {
        match &self.kind {
            CalendarKind::Always => None,
            CalendarKind::Sessions { segments, .. } => {
                segments.get(segments.partition_point(|(open, _)| *open <= t)).copied()
            }
        }
    }

    /// Whether any part of `[from, to]` is market time.
    pub fn meets(&self, from: Timestamp, to: Timestamp) -> bool {
        match &self.kind {
            CalendarKind::Always => true,
            CalendarKind::Sessions { segments, .. } => {
                let next = segments.partition_point(|(_, close)| *close <= from);
                segments.get(next).is_some_and(|(open, _)| *open <= to)
            }
        }
    }

    /// Market time within `[from, to)`.
    pub fn market_time(&self, from: Timestamp, to: Timestamp) -> Span {
        if to <= from {
            return Span::ZERO;
        }
        match &self.kind {
            CalendarKind::Always => to - from,
            CalendarKind::Sessions { segments, .. } => {
                let first = segments.partition_point(|(_, close)| *close <= from);
                segments[first..]
                    .iter()
                    .take_while(|(open, _)| *open < to)
                    .fold(Span::ZERO, |sum, (open, close)| sum + ((*close).min(to) - (*open).max(from)))
            }
        }
    }

    /// Whether `[from, to]` lies within what the calendar knows.
    pub fn knows(&self, from: Timestamp, to: Timestamp) -> bool {
        match &self.kind {
            CalendarKind::Always => true,
            CalendarKind::Sessions { covered, .. } => covered.0 <= from && to < covered.1,
        }
    }

    /// A calendar of plain segments, each a session of its own (labelled by its opening day in UTC).
    pub fn of_segments(
        name: &str,
        segments: Vec<(Timestamp, Timestamp)>,
        covered: (Timestamp, Timestamp),
    ) -> CalendarRule {
        let sessions = segments
            .iter()
            .map(|segment| Session {
                day: utc_day(segment.0),
                segments: vec![*segment],
                kind: SessionKind::Regular,
            })
            .collect();
        let days = (utc_day(covered.0), utc_day(Timestamp(covered.1.0 - 1)));
        let kind = CalendarKind::Sessions { segments, covered, days, zone: Tz::UTC, sessions };
        CalendarRule { name: name.into(), kind }
    }

    /// The trading sessions that meet `[from, to)`, whole ones; of `24/7`, the UTC days.
    pub fn sessions(&self, from: Timestamp, to: Timestamp) -> Vec<Session> {
        if to <= from {
            return Vec::new();
        }
        match &self.kind {
            CalendarKind::Always => (utc_day(from)..=utc_day(Timestamp(to.0 - 1))).map(utc_session).collect(),
            CalendarKind::Sessions { sessions, .. } => {
                let first = sessions.partition_point(|session| session.close() <= from);
                sessions[first..].iter().take_while(|session| session.open() < to).cloned().collect()
            }
        }
    }

    /// The sessions of the trade dates `first` to `last`, both included; all or none, so that a list that
    /// ends at the horizon is not taken for one in which nothing follows.
    pub fn sessions_of(&self, first: i64, last: i64) -> Result<Vec<Session>, BeyondHorizon> {
        let CalendarKind::Sessions { days: known, sessions, .. } = &self.kind else {
            return Ok((first..=last).map(utc_session).collect());
        };
        if first < known.0 || last > known.1 {
            let day = if first < known.0 { first } else { first.max(known.1 + 1) };
            return Err(BeyondHorizon { calendar: self.name.clone(), day, known: *known });
        }
        let from = sessions.partition_point(|session| session.day < first);
        Ok(sessions[from..].iter().take_while(|session| session.day <= last).cloned().collect())
    }

    /// The sessions of a trade date (days since 1970-01-01): one, where the calendar knows it and trades.
    pub fn sessions_on(&self, day: i64) -> Vec<Session> {
        self.sessions_of(day, day).unwrap_or_default()
    }

    /// The session whose span, breaks included, contains `t`.
    pub fn session_at(&self, t: Timestamp) -> Option<Session> {
        match &self.kind {
            CalendarKind::Always => Some(utc_session(utc_day(t))),
            CalendarKind::Sessions { sessions, .. } => {
                let next = sessions.partition_point(|session| session.close() <= t);
                sessions.get(next).filter(|session| session.open() <= t).cloned()
            }
        }
    }

    /// The first boundary strictly after `t`; `None` for `24/7` and beyond the horizon.
    pub fn next_event(&self, t: Timestamp) -> Option<(Timestamp, MarketEvent)> {
        let CalendarKind::Sessions { segments, .. } = &self.kind else { return None };
        let (open, close) = *segments.get(segments.partition_point(|(_, close)| *close <= t))?;
        if t < open {
            let inside = self.session_at(open).is_some_and(|session| session.open() < open);
            Some((open, if inside { MarketEvent::BreakEnd } else { MarketEvent::Open }))
        } else {
            let inside = self.session_at(close).is_some_and(|session| session.open() < close);
            Some((close, if inside { MarketEvent::BreakStart } else { MarketEvent::Close }))
        }
    }

    /// What the calendar knows, half-open; `None` where it knows everything.
    pub fn covered(&self) -> Option<(Timestamp, Timestamp)> {
        match &self.kind {
            CalendarKind::Always => None,
            CalendarKind::Sessions { covered, .. } => Some(*covered),
        }
    }
}

const NANOS_PER_DAY: i64 = 86_400_000_000_000;

fn utc_day(t: Timestamp) -> i64 {
    t.0.div_euclid(NANOS_PER_DAY)
}

/// A UTC day as a session of `24/7`, cut at the ends of time.
fn utc_session(day: i64) -> Session {
    let open = Timestamp(day.saturating_mul(NANOS_PER_DAY));
    Session { day, segments: vec![(open, open + Span(NANOS_PER_DAY))], kind: SessionKind::Regular }
}
