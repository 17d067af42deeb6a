//! Whether a record is there at all, for feeds that say so: a list that is whole says it of what it leaves out, and a
//! message may name what is gone (`mode`, `removed`). Owns that question of one stream, whatever its values are aligned by.
//!
//! As in SPEC §5.3 a poll's answer is held against what the WebSocket said around it; no other clock is needed. One poll
//! that fits nothing may still be a race that was lost twice, so two in a row are needed.

use super::context::{Context, Task};
use super::ledger::Draft;
use crate::model::{Class, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// Polls in a row that fit nothing the WebSocket said.
const IN_A_ROW: u32 = 2;

#[derive(Debug, Default, Clone)]
pub struct Presence {
    /// What the WebSocket said, and when; `None` since the connection closed.
    said: VecDeque<(Timestamp, Option<bool>)>,
    pending: VecDeque<Poll>,
    next: u64,
    against: u32,
    told: bool,
}

/// An answer that showed the record, or a whole list without it.
#[derive(Debug, Clone, Copy)]
struct Poll {
    number: u64,
    sent: Timestamp,
    received: Timestamp,
    listed: bool,
}

impl Presence {
    pub fn on_rest(&mut self, cx: &mut Context<'_>, sent: Timestamp, received: Timestamp, listed: bool) {
        // A key that stands twice in an answer is no second poll.
        if self.pending.back().is_some_and(|last| (last.sent, last.received) == (sent, received)) {
            return;
        }
        let number = self.next;
        self.next += 1;
        self.pending.push_back(Poll { number, sent, received, listed });
        cx.later(received + cx.pace.interval + cx.settle(), Task::Presence(number));
    }

    /// A message with the record, or one that says that it is gone. What nobody ever sent cannot be gone.
    pub fn on_ws(&mut self, cx: &Context<'_>, at: Timestamp, there: bool) {
        if !there && self.said.is_empty() {
            return;
        }
        self.said.push_back((at, Some(there)));
        let since = cx.pace.interval * 3 + cx.settle() * 3 + cx.timeout;
        let needed = self.pending.front().map_or(at, |poll| poll.sent).min(at) - since;
        // The last word before that, and the one before it, may still be held against a poll.
        while self.said.get(2).is_some_and(|(at, _)| *at <= needed) {
            self.said.pop_front();
        }
    }

    /// No connection is left: from now on nobody knows.
    pub fn closed(&mut self, at: Timestamp) {
        if !self.said.is_empty() {
            self.said.push_back((at, None));
        }
    }

    pub fn judge(&mut self, cx: &mut Context<'_>, label: &Arc<str>, number: u64, last_message: &str) {
        let Some(poll) = self.pending.front().copied().filter(|poll| poll.number == number) else { return };
        self.pending.pop_front();
        if !self.contradicts(cx, poll) {
            self.against = 0;
            self.told = false;
            return;
        }
        self.against += 1;
        if self.against < IN_A_ROW || self.told {
            return;
        }
        self.told = true;
        let (class, detail) = match poll.listed {
            true => (Class::MissingRow, "REST lists it, and the WebSocket said that it is gone"),
            false => (Class::ExtraRow, "the WebSocket goes on with it, and REST lists it no more"),
        };
        let mut draft = Draft::new(class, label, poll.received);
        (draft.rest, draft.ws) = match poll.listed {
            true => ("listed".into(), "gone".into()),
            false => ("not listed".into(), "there".into()),
        };
        draft.detail = detail.into();
        cx.ledger.add(cx.index, draft, || (String::new(), last_message.to_string()));
    }

    /// Whether all that the WebSocket said around a poll differs from it.
    fn contradicts(&self, cx: &Context<'_>, poll: Poll) -> bool {
        let (settle, interval) = (cx.settle(), cx.pace.interval);
        let (from, to) = (poll.sent - settle, poll.received + settle);
        let until = poll.received + interval + settle;
        let Some(last) = self.said.iter().rposition(|(at, _)| *at <= from) else { return false };
        let follower = self.said.iter().position(|(at, _)| *at > to);
        let follower = follower.filter(|i| self.said[*i].0 <= until);
        if cx.feature.ws.tells_removal() {
            // A message that was just superseded still counts: REST may be served from a cache.
            let first = if last > 0 && self.said[last].0 > from - interval { last - 1 } else { last };
            let end = match follower {
                Some(follower) => follower + 1,
                None => self.said.iter().rposition(|(at, _)| *at <= to).unwrap_or(last) + 1,
            };
            return self.said.range(first..end).all(|(_, there)| *there == Some(!poll.listed));
        }
        // Messages cannot say that it is gone: they prove that it is there where they come before and after.
        let Some(follower) = follower.filter(|_| !poll.listed) else { return false };
        let fresh = self.said[last].0 >= from - (interval * 2 + settle);
        fresh && self.said.range(last..=follower).all(|(_, there)| *there == Some(true))
    }

    /// A run ends; what another says is another story.
    pub fn end(&mut self) {
        *self = Presence { next: self.next, ..Presence::default() };
    }
}
