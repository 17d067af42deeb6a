//! Market sessions (SPEC §3 `[market]`): when is a market open, in UTC, from data compiled in.
//!
//! Never a guess: a question beyond what the data covers is answered with `Unknown`.

use crate::model::{Span, Timestamp};

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
    Sessions { segments: Vec<(Timestamp, Timestamp)>, covered: (Timestamp, Timestamp) },
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
}
