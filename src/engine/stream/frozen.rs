//! `frozen` (SPEC §5.6): messages that repeat one version while REST shows newer ones.

use super::super::align_time::Poll;
use super::super::compare::{self, same_content};
use super::super::context::Context;
use super::super::ledger::Draft;
use super::{AlignState, Stream, WsRecord};
use crate::model::{Class, Span, Timestamp};

/// So many unchanged messages in a row, each a tick after the last, are those of a timer.
const TIMED: u32 = 5;

/// Messages in a row that repeat one version.
#[derive(Debug, Clone, Default)]
pub(super) struct Streak {
    pub(super) since: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    pub(super) messages: u64,
    pub(super) rest_newer: u64,
    /// When REST had shown two newer.
    pub(super) passed: Option<Timestamp>,
    /// Messages in a row that came a tick after the one before.
    on_time: u32,
    pub(super) told: bool,
}

impl Stream {
    pub(super) fn frozen_ws(&mut self, cx: &mut Context<'_>, record: WsRecord<'_>) {
        let same = match (&self.align, &self.last_ws) {
            (_, None) => false,
            (AlignState::Arrival(_), Some((_, last))) => same_content(cx.rules, last, record.content),
            (_, Some(_)) => record.event.is_some() && record.event == self.last_event,
        };
        if !same || self.streak.since.is_none() {
            self.streak = Streak { since: Some(record.at), ..Streak::default() };
        }
        let step = self.streak.last.map_or(Span::ZERO, |last| record.at - last);
        if step * 2 >= cx.pace.interval {
            let on_time = step * 2 < cx.pace.interval * 3;
            self.streak.on_time = if on_time { self.streak.on_time + 1 } else { 0 };
            self.timed |= self.streak.on_time >= TIMED;
        }
        self.streak.messages += 1;
        self.streak.last = Some(record.at);
        self.tell_frozen(cx, record.event, record.at);
    }

    pub(super) fn frozen_rest(&mut self, cx: &mut Context<'_>, event: Option<Timestamp>, poll: Poll) {
        let Some(since) = self.streak.since else { return };
        let newer = match (&self.align, event, self.last_event) {
            (AlignState::Arrival(state), _, _) => {
                poll.sent > since + cx.settle()
                    && state
                        .rest()
                        .zip(state.newest())
                        .is_some_and(|(r, w)| !compare::identical(cx.rules, r, w))
            }
            (_, Some(event), Some(last)) => event > last + cx.feature.time_tolerance,
            _ => false,
        };
        self.streak.rest_newer += u64::from(newer);
        if newer && self.streak.rest_newer == 2 {
            self.streak.passed = Some(poll.received);
        }
    }

    /// A message that comes after the second newer version and still repeats the old one. Silence is
    /// not frozen: it is a gap.
    fn tell_frozen(&mut self, cx: &mut Context<'_>, event: Option<Timestamp>, at: Timestamp) {
        let (Some(since), Some(last)) = (self.streak.since, self.streak.last) else { return };
        let streak = &self.streak;
        let long = last - since >= cx.pace.interval * 2;
        let passed = streak.passed.is_some_and(|passed| last >= passed);
        if streak.told || streak.messages < 3 || !long || !passed {
            return;
        }
        let mut draft = Draft::new(Class::Frozen, &self.label, at);
        draft.event_time = event;
        draft.detail = format!(
            "{} messages from {since} repeat one version while REST showed {} newer",
            streak.messages, streak.rest_newer
        );
        self.streak.told = true;
        cx.ledger.add(cx.index, draft, || (String::new(), String::new()));
    }
}
