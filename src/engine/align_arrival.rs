//! Alignment `arrival` (SPEC §5.3): no shared event time, so a REST snapshot, formed somewhere while
//! its request was under way, is held against the messages that lived then.

use super::align_time::Sight;
use super::compare::{Broken, Difference, Extent, Instants, Remarks, Side};
use super::content::Content;
use super::context::{Context, Pairing, Remark, Task};
use crate::contract::Cadence;
use crate::model::{Class, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// Messages kept at most; a poll waits for a few seconds, so only a flood reaches this.
const KEPT: usize = 4_096;

#[derive(Debug, Clone, Default)]
pub struct ArrivalState {
    messages: VecDeque<Message>,
    pending: Vec<Pending>,
    next_message: u64,
    next_poll: u64,
    /// The last poll matched only by the message that followed: the poll's number, the message's.
    followed: Option<(u64, u64)>,
    /// REST's content now, its number, and when the last poll was sent that showed another one.
    rest: Option<RestNow>,
    /// The REST content last reported as missing or (on change) as different.
    reported: Option<u64>,
}

#[derive(Debug, Clone)]
struct RestNow {
    content: Content,
    version: u64,
    sent: Timestamp,
    other_sent: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Message {
    at: Timestamp,
    epoch: u32,
    closed: Option<Timestamp>,
    content: Content,
    broken: Vec<Broken>,
}

#[derive(Debug, Clone)]
struct Pending {
    number: u64,
    sent: Timestamp,
    received: Timestamp,
    /// When the connection of that time was opened.
    open: Option<Timestamp>,
    version: u64,
    other_sent: Option<Timestamp>,
    content: Content,
    broken: Vec<Broken>,
    /// The message that followed.
    follower: Option<u64>,
}

impl Pending {
    fn instants(&self, ws: Timestamp) -> Instants {
        Instants { rest_sent: self.sent, rest_received: self.received, ws }
    }
}

/// A poll's answer for one stream.
#[derive(Debug)]
pub struct Answer<'a> {
    pub label: &'a Arc<str>,
    pub sent: Timestamp,
    pub received: Timestamp,
    pub content: &'a Content,
    /// When the poll before was sent, where it did not show the stream.
    pub absent_before: Option<Timestamp>,
}

impl ArrivalState {
    /// The newest message's content.
    pub fn newest(&self) -> Option<&Content> {
        self.messages.back().map(|m| &m.content)
    }
    /// REST's present content.
    pub fn rest(&self) -> Option<&Content> {
        self.rest.as_ref().map(|r| &r.content)
    }

    /// Until when the `i`-th message lived.
    fn life_end(&self, cx: &Context<'_>, i: usize) -> Timestamp {
        let message = &self.messages[i];
        let next = self.messages.get(i + 1).map_or(Timestamp::MAX, |m| m.at);
        let aged = match cx.feature.cadence {
            Cadence::Periodic => message.at + cx.pace.interval * 2 + cx.settle(),
            // Silence says that nothing changed.
            Cadence::OnChange => Timestamp::MAX,
        };
        next.min(aged).min(message.closed.unwrap_or(Timestamp::MAX))
    }

    /// The messages that lived around `[sent, received]`: the first one's place and how many.
    fn alive(&self, cx: &Context<'_>, sent: Timestamp, received: Timestamp) -> std::ops::Range<usize> {
        let (from, to) = (sent - cx.settle(), received + cx.settle());
        let end = self.messages.iter().rposition(|m| m.at <= to).map_or(0, |i| i + 1);
        let mut start = end;
        while start > 0 && self.life_end(cx, start - 1) > from {
            start -= 1;
        }
        start..end
    }

    /// What a poll may equal: the live messages and the one before them.
    fn candidates(&self, cx: &Context<'_>, sent: Timestamp, received: Timestamp) -> std::ops::Range<usize> {
        let alive = self.alive(cx, sent, received);
        match cx.feature.cadence {
            // Just after a reconnect no message is due yet: what was said before the drop still counts.
            Cadence::Periodic if alive.is_empty() && !just_opened(cx, cx.link.up_since(), sent) => alive,
            _ => alive.start.saturating_sub(1)..alive.end,
        }
    }

    pub fn on_rest(&mut self, cx: &mut Context<'_>, answer: Answer<'_>, remarks: &mut Vec<Remark>) -> Sight {
        let Answer { label, sent, received, content, absent_before } = answer;
        let changed = self.note_rest(cx, sent, content, absent_before);
        let sight = if changed { Sight::Fresh } else { Sight::Again };
        let mut broken = if changed { cx.broken(content) } else { Vec::new() };
        let (version, other_sent) = self.rest.as_ref().map_or((0, None), |r| (r.version, r.other_sent));
        let number = self.next_poll;
        self.next_poll += 1;
        let newest_then = self.messages.iter().rposition(|m| m.at <= received);
        for i in self.candidates(cx, sent, received).rev() {
            let instants = Instants { rest_sent: sent, rest_received: received, ws: self.messages[i].at };
            let (differences, noted) =
                cx.compare(content, &self.messages[i].content, instants, Extent::Whole);
            if differences.is_empty() {
                match newest_then {
                    Some(newest) if i == newest => cx.counts.matched_current += 1,
                    _ => cx.counts.matched_previous += 1,
                }
                let said_before = self.messages.iter().rposition(|m| m.at < sent);
                cx.counts.rest_behind += u64::from(said_before.is_some_and(|newest| i < newest));
                let message = &mut self.messages[i];
                if changed {
                    cx.counts.freshness.add(received - message.at);
                }
                super::align_time::both_broken(
                    cx,
                    label,
                    &mut broken,
                    &mut message.broken,
                    &[],
                    received,
                    received,
                );
                cx.prove(&message.content);
                self.matched(cx, received, noted, remarks);
                return sight;
            }
        }
        let open = cx.link.up_since();
        let content = content.clone();
        cx.later(received + cx.pace.interval + cx.settle(), Task::Pending(number));
        let pending =
            Pending { number, sent, received, open, version, other_sent, content, broken, follower: None };
        self.pending.push(pending);
        sight
    }

    /// Keeps REST's present content; whether it is new.
    fn note_rest(
        &mut self,
        cx: &Context<'_>,
        sent: Timestamp,
        content: &Content,
        absent_before: Option<Timestamp>,
    ) -> bool {
        match &mut self.rest {
            Some(now) if super::compare::same_content(cx.rules, &now.content, content) => {
                now.sent = sent;
                false
            }
            Some(now) => {
                let other_sent = Some(now.sent);
                *now = RestNow { content: content.clone(), version: now.version + 1, sent, other_sent };
                true
            }
            None => {
                self.rest =
                    Some(RestNow { content: content.clone(), version: 0, sent, other_sent: absent_before });
                true
            }
        }
    }

    fn matched(&mut self, cx: &mut Context<'_>, at: Timestamp, noted: Remarks, remarks: &mut Vec<Remark>) {
        cx.count_pair(at, noted, true, remarks);
        self.reported = None;
    }

    pub fn on_ws(
        &mut self,
        cx: &mut Context<'_>,
        label: &Arc<str>,
        at: Timestamp,
        epoch: u32,
        content: &Content,
        remarks: &mut Vec<Remark>,
    ) {
        let mut broken = cx.broken(content);
        let number = self.next_message;
        self.next_message += 1;
        let mut i = 0;
        while i < self.pending.len() {
            let pending = &mut self.pending[i];
            let within = at <= pending.received + cx.settle();
            let follows = !within && pending.follower.is_none();
            if follows {
                pending.follower = Some(number);
            }
            if !(within || follows) {
                i += 1;
                continue;
            }
            let (differences, noted) =
                cx.compare(&pending.content, content, pending.instants(at), Extent::Whole);
            if !differences.is_empty() {
                i += 1;
                continue;
            }
            let mut pending = self.pending.remove(i);
            if follows && self.lags(&pending, number) {
                self.lagging(cx, label, pending, remarks);
                continue;
            }
            if follows {
                self.followed = Some((pending.number, number));
            }
            cx.counts.matched_next += 1;
            cx.counts.freshness.add(pending.received - at);
            super::align_time::both_broken(cx, label, &mut pending.broken, &mut broken, &[], at, at);
            cx.prove(content);
            self.matched(cx, pending.received, noted, remarks);
        }
        self.messages.push_back(Message { at, epoch, closed: None, content: content.clone(), broken });
        self.forget(cx, label, at);
    }

    /// Whether the poll before was matched only by following, and by another message.
    fn lags(&self, pending: &Pending, message: u64) -> bool {
        self.followed.is_some_and(|(poll, by)| poll + 1 == pending.number && by != message)
    }

    /// REST saw the change first, again: the stream is a step behind.
    fn lagging(
        &mut self,
        cx: &mut Context<'_>,
        label: &Arc<str>,
        pending: Pending,
        remarks: &mut Vec<Remark>,
    ) {
        self.followed = pending.follower.map(|by| (pending.number, by));
        self.decide(cx, label, pending, remarks);
    }

    pub fn judge(&mut self, cx: &mut Context<'_>, label: &Arc<str>, number: u64, remarks: &mut Vec<Remark>) {
        if let Some(i) = self.pending.iter().position(|p| p.number == number) {
            let pending = self.pending.remove(i);
            self.decide(cx, label, pending, remarks);
        }
    }

    /// A poll that equals no message in time.
    fn decide(
        &mut self,
        cx: &mut Context<'_>,
        label: &Arc<str>,
        mut pending: Pending,
        remarks: &mut Vec<Remark>,
    ) {
        let settle = cx.settle();
        let (sent, received) = (pending.sent, pending.received);
        let first_open = cx.link.first_open();
        if cx.feature.cadence == Cadence::OnChange {
            self.decide_on_change(cx, label, pending, remarks);
            return;
        }
        let down = cx.link.down_meets(sent - settle, received + settle, crate::model::Span::ZERO);
        let heard = !self.alive(cx, sent, received).is_empty();
        if down || !heard {
            let down = down || just_opened(cx, pending.open.filter(|open| Some(*open) != first_open), sent);
            let due = due_since(cx, sent).is_some_and(|from| sent >= from + cx.pace.interval + settle);
            if !(down || due) {
                cx.counts.unjudged_head += 1;
            } else {
                self.missing(cx, label, &pending, down);
            }
            let at = pending.received;
            cx.report_broken(label, Side::Rest, &mut pending.broken, &[], None, at);
            return;
        }
        let judgeable = pending.open.is_some_and(|open| sent >= open + cx.pace.interval * 2 + settle);
        if !judgeable {
            cx.counts.unjudged_head += 1;
            cx.report_broken(label, Side::Rest, &mut pending.broken, &[], None, received);
            return;
        }
        self.differ(cx, label, pending, remarks);
    }

    /// On change, only a REST content that was born while we listened can be missing or different.
    fn decide_on_change(
        &mut self,
        cx: &mut Context<'_>,
        label: &Arc<str>,
        mut pending: Pending,
        remarks: &mut Vec<Remark>,
    ) {
        if self.reported == Some(pending.version) {
            return;
        }
        let listening = cx.link.first_open().map(|open| open + cx.settle());
        let Some(other) = pending.other_sent.filter(|other| listening.is_some_and(|from| *other > from))
        else {
            cx.counts.unjudged_head += 1;
            cx.report_broken(label, Side::Rest, &mut pending.broken, &[], None, pending.received);
            return;
        };
        let since = other - cx.settle();
        let until = pending.received + cx.pace.interval + cx.settle();
        let pushed = self.messages.iter().any(|m| m.at >= since && m.at <= until);
        if pushed {
            self.reported = Some(pending.version);
            self.differ(cx, label, pending, remarks);
        } else {
            let drop = cx.link.down_meets(other, pending.received, cx.settle());
            self.missing(cx, label, &pending, drop);
            cx.report_broken(label, Side::Rest, &mut pending.broken, &[], None, pending.received);
        }
    }

    /// Each missed content is one line, however many polls show it.
    fn missing(&mut self, cx: &mut Context<'_>, label: &Arc<str>, pending: &Pending, drop: bool) {
        if self.reported != Some(pending.version) {
            self.reported = Some(pending.version);
            cx.report_missing(label, &pending.content, None, pending.received, drop);
        }
    }

    fn differ(
        &mut self,
        cx: &mut Context<'_>,
        label: &Arc<str>,
        mut pending: Pending,
        remarks: &mut Vec<Remark>,
    ) {
        let candidates = self.candidates(cx, pending.sent, pending.received);
        let judged: Vec<(usize, Vec<Difference>, Remarks)> = candidates
            .map(|i| {
                let message = &self.messages[i];
                let (d, r) = cx.compare(
                    &pending.content,
                    &message.content,
                    pending.instants(message.at),
                    Extent::Whole,
                );
                (i, d, r)
            })
            .collect();
        let torn = judged.len() > 1
            && judged[0]
                .1
                .iter()
                .all(|d| judged.iter().any(|(_, other, _)| other.iter().all(|o| o.place() != d.place())));
        let Some((i, differences, noted)) =
            judged.into_iter().min_by_key(|(i, d, _)| (d.len(), std::cmp::Reverse(*i)))
        else {
            cx.counts.unjudged_head += 1;
            return;
        };
        cx.count_pair(pending.received, noted, false, remarks);
        let message = &mut self.messages[i];
        let pair = Pairing {
            label,
            rest: &pending.content,
            ws: &message.content,
            event_time: None,
            at: pending.received,
            during_drop: false,
        };
        if torn {
            let fields: Vec<&str> = differences.iter().map(|d| d.field.as_str()).collect();
            let torn = Difference {
                class: Class::TornRead,
                row: String::new(),
                field: fields.join(" "),
                rest: differences.first().map(|d| d.rest.clone()).unwrap_or_default(),
                ws: differences.first().map(|d| d.ws.clone()).unwrap_or_default(),
                delta: String::new(),
                rests_own: false,
            };
            cx.report(&pair, &[torn]);
        } else {
            cx.report(&pair, &differences);
        }
        let at = pending.received;
        super::align_time::both_broken(
            cx,
            label,
            &mut pending.broken,
            &mut message.broken,
            &differences,
            at,
            at,
        );
    }

    /// A connection closed: its messages live no longer.
    pub fn closed(&mut self, epoch: u32, at: Timestamp) {
        for message in self.messages.iter_mut().filter(|m| m.epoch == epoch && m.closed.is_none()) {
            message.closed = Some(at);
        }
    }

    /// Forgets messages that no poll can meet any more.
    fn forget(&mut self, cx: &mut Context<'_>, label: &Arc<str>, at: Timestamp) {
        let oldest = self.pending.first().map_or(at, |p| p.sent).min(at - cx.timeout);
        let needed = oldest - cx.settle();
        while self.messages.len() > 2 && (self.life_end(cx, 1) <= needed || self.messages.len() > KEPT) {
            if let Some(mut message) = self.messages.pop_front() {
                cx.report_broken(label, Side::Ws, &mut message.broken, &[], None, message.at);
                cx.spare.give(message.content);
            }
        }
    }

    /// The run ends: what waits for a message that may have followed stays unjudged.
    pub fn end(&mut self, cx: &mut Context<'_>, label: &Arc<str>) {
        for mut pending in std::mem::take(&mut self.pending) {
            cx.counts.unjudged_tail += 1;
            cx.report_broken(label, Side::Rest, &mut pending.broken, &[], None, pending.received);
        }
        for mut message in std::mem::take(&mut self.messages) {
            cx.report_broken(label, Side::Ws, &mut message.broken, &[], None, message.at);
        }
        *self =
            ArrivalState { next_message: self.next_message, next_poll: self.next_poll, ..Default::default() };
    }
}

/// Whether a poll was sent before the first message of a connection was due.
fn just_opened(cx: &Context<'_>, open: Option<Timestamp>, sent: Timestamp) -> bool {
    open.is_some_and(|open| sent < open + cx.pace.interval + cx.settle())
}

/// Since when messages were due at a poll: we listened, and the market was open.
fn due_since(cx: &Context<'_>, sent: Timestamp) -> Option<Timestamp> {
    let session = cx.feature.calendar.segment_at(sent).map(|(open, _)| open);
    cx.link.first_open().map(|open| session.map_or(open, |session| open.max(session)))
}
