//! The market sessions of one feature: how much of each was covered (SPEC §7 `sessions-covered`): the
//! connection open, and the last REST answer no older than two polls. Sessions add up over captures.

use crate::calendar::CalendarRule;
use crate::model::{Span, Timestamp};
use std::collections::BTreeMap;

/// How many polls old REST's last answer may be.
const FRESH_POLLS: i64 = 2;

#[derive(Debug, Clone, Default)]
pub struct Sessions {
    /// By trade date, as days since 1970-01-01: the market time that was covered.
    pub covered: BTreeMap<i64, Span>,
    /// Up to when all is accounted for in the present run.
    mark: Option<Timestamp>,
    connected: bool,
    /// By endpoint: until when its last answer is fresh; none before its first.
    fresh_until: Vec<Option<Timestamp>>,
}

impl Sessions {
    /// The link came up, or went down.
    pub fn link_is(&mut self, up: bool, at: Timestamp, calendar: &CalendarRule) {
        self.account(at, calendar);
        self.connected = up;
    }

    /// An endpoint was asked: it must be fresh from now on.
    pub fn asked(&mut self, endpoint: usize, at: Timestamp, calendar: &CalendarRule) {
        if self.fresh_until.len() <= endpoint {
            self.account(at, calendar);
            self.fresh_until.resize(endpoint + 1, None);
        }
    }

    pub fn answered(&mut self, endpoint: usize, at: Timestamp, poll: Span, calendar: &CalendarRule) {
        self.asked(endpoint, at, calendar);
        self.account(at, calendar);
        self.fresh_until[endpoint] = Some(at + poll * FRESH_POLLS);
    }

    /// A run ended: nothing is known of the time up to the next.
    pub fn end(&mut self, at: Timestamp, calendar: &CalendarRule) {
        self.account(at, calendar);
        *self = Sessions { covered: std::mem::take(&mut self.covered), ..Sessions::default() };
    }

    /// Adds what was covered since the mark to the sessions it lies in.
    fn account(&mut self, now: Timestamp, calendar: &CalendarRule) {
        let Some(mark) = self.mark.replace(now) else { return };
        let fresh = match self.fresh_until.iter().min() {
            Some(Some(until)) if self.connected => now.min(*until),
            _ => return,
        };
        if fresh <= mark {
            return;
        }
        for session in calendar.sessions(mark, fresh) {
            let within = session.segments.iter().fold(Span::ZERO, |sum, (open, close)| {
                let (from, to) = ((*open).max(mark), (*close).min(fresh));
                if from < to { sum + (to - from) } else { sum }
            });
            if within > Span::ZERO {
                let covered = self.covered.entry(session.day).or_insert(Span::ZERO);
                *covered = *covered + within;
            }
        }
    }
}
