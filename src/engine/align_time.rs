//! Alignment `time` (SPEC §5.2): both sides carry the event time.

use super::compare::{Broken, Extent, Instants, Side, same_content};
use super::content::Content;
use super::context::{Context, Pairing, Remark, Task, remark};
use crate::model::{Class, Span, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// REST versions remembered as already shown.
const SHOWN: usize = 8;
/// WebSocket versions kept while REST has not caught up: all young ones up to the most, and of the old ones so
/// many that a slow control can lag by as many intervals. What REST shows of forgotten ones is not judged.
const KEPT: usize = 4_096;
const OLD_KEPT: usize = 32;

#[derive(Debug, Clone, Default)]
pub struct TimeState {
    versions: VecDeque<Version>,
    /// Newest event time on the WebSocket, and when it first arrived.
    newest: Option<(Timestamp, Timestamp)>,
    /// Versions up to this event time may have been forgotten.
    forgotten: Option<Timestamp>,
    /// The first message: its event time and its arrival.
    first: Option<(Timestamp, Timestamp)>,
    shown: VecDeque<Shown>,
    /// The content under the newest event time that REST has shown.
    current: Option<(Timestamp, Content)>,
    /// The last version that equalled only what the WebSocket had taken back by then, and whether it was told.
    taken_back: Option<(Timestamp, bool)>,
    pending: Vec<Pending>,
    stale: Vec<Stale>,
    next: u64,
}

#[derive(Debug, Clone)]
struct Version {
    event: Timestamp,
    first: Timestamp,
    last: Timestamp,
    content: Content,
    broken: Vec<Broken>,
}

/// A REST version and the last poll that showed it.
#[derive(Debug, Clone)]
struct Shown {
    event: Timestamp,
    sent: Timestamp,
}

#[derive(Debug, Clone)]
struct Pending {
    number: u64,
    event: Timestamp,
    sent: Timestamp,
    received: Timestamp,
    /// When the last poll was sent that showed an older version, or not the stream.
    older: Option<Timestamp>,
    content: Content,
    broken: Vec<Broken>,
    /// Without a partner in time; whether one was due is judged when the stream's first message has had its time.
    alone: bool,
}

#[derive(Debug, Clone)]
struct Stale {
    number: u64,
    received: Timestamp,
    event: Timestamp,
    newest: Timestamp,
}

/// One side's record at its instant.
#[derive(Debug)]
pub struct Seen<'s> {
    pub label: &'s Arc<str>,
    pub event: Timestamp,
    pub content: &'s Content,
}

/// What a REST record was to its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// A version that REST had not shown.
    Fresh,
    /// Fresh, and letter by letter what the WebSocket had said before.
    Heard,
    /// A version shown before, with another content.
    Changed,
    /// Nothing new.
    Again,
}

impl Sight {
    pub fn is_fresh(self) -> bool {
        matches!(self, Sight::Fresh | Sight::Heard)
    }
}

/// When a poll was sent and answered, and the poll before it where that did not show the stream.
#[derive(Debug, Clone, Copy)]
pub struct Poll {
    pub sent: Timestamp,
    pub received: Timestamp,
    pub absent_before: Option<Timestamp>,
}

impl TimeState {
    /// The newest event time that REST has shown.
    pub fn newest_on_rest(&self) -> Option<Timestamp> {
        self.current.as_ref().map(|(event, _)| *event)
    }

    pub fn on_ws(&mut self, cx: &mut Context<'_>, seen: Seen<'_>, at: Timestamp, remarks: &mut Vec<Remark>) {
        let Seen { label, event, content } = seen;
        let known = self.versions.iter_mut().rev().find(|v| v.event == event && v.content.same_text(content));
        if let Some(version) = known {
            version.last = at;
            return;
        }
        cx.counts.clock.seen(event, at);
        self.first.get_or_insert((event, at));
        if self.newest.is_none_or(|(newest, _)| event > newest) {
            self.newest = Some((event, at));
        }
        let tolerance = cx.feature.time_tolerance;
        let mut broken = cx.broken(content);
        let mut i = 0;
        while i < self.pending.len() {
            if self.pending[i].alone || (self.pending[i].event - event).abs() > tolerance {
                i += 1;
                continue;
            }
            let pending = &self.pending[i];
            let instants = Instants { rest_sent: pending.sent, rest_received: pending.received, ws: at };
            let (differences, noted) = cx.compare(&pending.content, content, instants, Extent::Whole);
            if !differences.is_empty() {
                i += 1;
                continue;
            }
            let mut pending = self.pending.remove(i);
            cx.count_pair(pending.received, noted, true, remarks);
            cx.prove(content);
            cx.counts.freshness.add(pending.received - at);
            both_broken(cx, label, &mut pending.broken, &mut broken, &[], event, at);
        }
        let content = content.clone();
        self.versions.push_back(Version { event, first: at, last: at, content, broken });
        self.forget(cx, label, at);
    }

    pub fn on_rest(
        &mut self,
        cx: &mut Context<'_>,
        seen: Seen<'_>,
        poll: Poll,
        remarks: &mut Vec<Remark>,
    ) -> Sight {
        let Seen { label, event, content } = seen;
        self.look_for_stale(cx, event, poll);
        let shown = self.shown.iter_mut().find(|s| s.event == event);
        let again = shown.map(|shown| shown.sent = shown.sent.max(poll.sent)).is_some();
        if again {
            let Some((_, now)) = self.current.as_mut().filter(|(now, _)| *now == event) else {
                return Sight::Again;
            };
            if same_content(cx.rules, now, content) {
                self.hold_against_last(cx, Seen { label, event, content }, poll);
                return Sight::Again;
            }
            cx.spare.give(std::mem::replace(now, content.clone()));
        }
        // Another content under the same event time is compared like a version; only the first can be missing.
        let older =
            self.shown.iter().filter(|s| s.event < event).map(|s| s.sent).max().max(poll.absent_before);
        let older = older.filter(|_| !again);
        if !again {
            self.first_shown(cx, event, content, poll, older);
        }
        let tolerance = cx.feature.time_tolerance;
        // What the WebSocket said letter by letter has been looked at already.
        let heard = cx.rules.same_shape
            && self.versions.iter().any(|v| v.event == event && v.content.same_text(content));
        let mut broken = if heard { Vec::new() } else { cx.broken(content) };
        let sight = match (again, heard) {
            (true, _) => Sight::Changed,
            (false, true) => Sight::Heard,
            (false, false) => Sight::Fresh,
        };
        for version in self.versions.iter_mut().rev().filter(|v| (v.event - event).abs() <= tolerance) {
            let instants = Instants { rest_sent: poll.sent, rest_received: poll.received, ws: version.first };
            let (differences, noted) = cx.compare(content, &version.content, instants, Extent::Whole);
            if differences.is_empty() {
                cx.count_pair(poll.received, noted, true, remarks);
                cx.prove(&version.content);
                if !again {
                    cx.counts.freshness.add(poll.received - version.first);
                }
                both_broken(cx, label, &mut broken, &mut version.broken, &[], event, poll.received);
                self.hold_against_last(cx, Seen { label, event, content }, poll);
                return sight;
            }
        }
        let number = self.next;
        self.next += 1;
        // What changed under its event time the WebSocket tells with its next tick, as with bars (SPEC §5.4).
        let wait = if again { cx.pace.interval + cx.settle() } else { cx.settle() };
        cx.later(poll.received + wait, Task::Pending(number));
        self.pending.push(Pending {
            number,
            event,
            sent: poll.sent,
            received: poll.received,
            older,
            content: content.clone(),
            broken,
            alone: false,
        });
        sight
    }

    /// REST shows an event time for the first time.
    fn first_shown(
        &mut self,
        cx: &mut Context<'_>,
        event: Timestamp,
        content: &Content,
        poll: Poll,
        older: Option<Timestamp>,
    ) {
        cx.counts.clock.seen(event, poll.received);
        if let Some(older) = older {
            cx.counts.clock.unseen(event, older, cx.settle());
        }
        self.shown.push_back(Shown { event, sent: poll.sent });
        if self.shown.len() > SHOWN {
            self.shown.pop_front();
        }
        if self.current.as_ref().is_none_or(|(now, _)| *now < event)
            && let Some((_, passed)) = self.current.replace((event, content.clone()))
        {
            cx.spare.give(passed);
        }
    }

    /// A poll's content that equals what the WebSocket said of this event time, but took back more than a settle
    /// before the poll was sent. Once that is a race or a cache; for two versions in a row, or for longer than a
    /// message lives, it is a difference.
    fn hold_against_last(&mut self, cx: &mut Context<'_>, seen: Seen<'_>, poll: Poll) {
        let Seen { label, event, content } = seen;
        let of_it = || self.versions.iter().filter(|v| v.event == event);
        let Some(last) = of_it().max_by_key(|v| v.last) else { return };
        let before = of_it().map(|v| v.last).filter(|at| *at < last.last).max();
        let since = before.map_or(last.first, |before| last.first.max(before));
        let instants = Instants { rest_sent: poll.sent, rest_received: poll.received, ws: last.last };
        let differences = match before {
            Some(_) => cx.compare(content, &last.content, instants, Extent::Whole).0,
            None => Vec::new(),
        };
        let said = |v: &Version| cx.compare(content, &v.content, instants, Extent::Whole).0.is_empty();
        if differences.is_empty() || !of_it().any(said) {
            self.taken_back = None;
            return;
        }
        if poll.sent <= since + cx.settle() {
            return;
        }
        let lasting = poll.sent >= since + cx.pace.interval * 2 + cx.settle();
        let (told, again) = match self.taken_back {
            Some((of, told)) if of == event => (told, false),
            of_another => (false, of_another.is_some()),
        };
        self.taken_back = Some((event, told || lasting || again));
        if told || !(lasting || again) {
            return;
        }
        cx.counts.unmatch();
        let event_time = Some(event);
        let at = poll.received;
        let pair = Pairing { label, rest: content, ws: &last.content, event_time, at, during_drop: false };
        cx.report(&pair, &differences);
    }

    pub fn judge(&mut self, cx: &mut Context<'_>, label: &Arc<str>, number: u64, remarks: &mut Vec<Remark>) {
        let Some(i) = self.pending.iter().position(|p| p.number == number) else { return };
        let pending = self.pending.remove(i);
        match self.partner(cx.feature.time_tolerance, pending.event) {
            Some(version) if !pending.alone => self.mismatch(cx, label, pending, version, remarks),
            _ => self.absent(cx, label, pending),
        }
    }

    /// No message came in time: missing, if one was due.
    fn absent(&mut self, cx: &mut Context<'_>, label: &Arc<str>, mut pending: Pending) {
        let listening = cx.link.first_open().map(|open| open + cx.settle());
        let born = matches!((pending.older, listening), (Some(older), Some(from)) if older > from);
        // Until its first message nobody knows how far REST is behind.
        let heard_by = listening.map(|from| from + cx.pace.interval + cx.settle());
        if let (true, false, None, Some(heard_by)) = (born, pending.alone, self.first, heard_by)
            && pending.received + cx.settle() < heard_by
        {
            pending.alone = true;
            cx.later(heard_by, Task::Pending(pending.number));
            self.pending.push(pending);
            return;
        }
        cx.report_broken(label, Side::Rest, &mut pending.broken, &[], Some(pending.event), pending.received);
        // A slow REST shows for the first time what the WebSocket had said before we listened.
        let was_due = |(event, at): (Timestamp, Timestamp)| at - (event - pending.event);
        let before_us = matches!((self.first, listening), (Some(first), Some(from))
            if pending.event < first.0 && was_due(first) < from);
        let remembered = self.forgotten.is_none_or(|f| pending.event > f + cx.feature.time_tolerance);
        if !born || before_us || !remembered {
            cx.counts.unjudged_head += 1;
            return;
        }
        let from = pending.older.unwrap_or(pending.received);
        let drop = cx.link.down_meets(from + Span(1), pending.received, cx.settle());
        cx.report_missing(label, &pending.content, Some(pending.event), pending.received, drop);
    }

    /// The version to hold against an event time: the nearest, of these the last to arrive.
    fn partner(&self, tolerance: Span, event: Timestamp) -> Option<usize> {
        (0..self.versions.len()).filter(|&i| (self.versions[i].event - event).abs() <= tolerance).min_by_key(
            |&i| ((self.versions[i].event - event).abs(), std::cmp::Reverse(self.versions[i].last)),
        )
    }

    fn mismatch(
        &mut self,
        cx: &mut Context<'_>,
        label: &Arc<str>,
        mut pending: Pending,
        version: usize,
        remarks: &mut Vec<Remark>,
    ) {
        let version = &mut self.versions[version];
        let instants =
            Instants { rest_sent: pending.sent, rest_received: pending.received, ws: version.first };
        let (differences, noted) = cx.compare(&pending.content, &version.content, instants, Extent::Whole);
        cx.count_pair(pending.received, noted, differences.is_empty(), remarks);
        let pair = Pairing {
            label,
            rest: &pending.content,
            ws: &version.content,
            event_time: Some(pending.event),
            at: pending.received,
            during_drop: false,
        };
        cx.report(&pair, &differences);
        both_broken(
            cx,
            label,
            &mut pending.broken,
            &mut version.broken,
            &differences,
            pending.event,
            pending.received,
        );
    }

    /// A poll that shows an older version although a newer one had long been out on the WebSocket.
    fn look_for_stale(&mut self, cx: &mut Context<'_>, event: Timestamp, poll: Poll) {
        let Some((newest, first)) = self.newest else { return };
        let is_older = newest > event + cx.feature.time_tolerance;
        cx.counts.rest_behind += u64::from(is_older && poll.sent > first);
        if is_older && poll.sent > first + cx.settle() {
            let number = self.next;
            self.next += 1;
            self.stale.push(Stale { number, received: poll.received, event, newest });
            cx.later(poll.received + cx.settle(), Task::Stale(number));
        }
    }

    pub fn judge_stale(&mut self, number: u64, remarks: &mut Vec<Remark>) {
        let Some(i) = self.stale.iter().position(|s| s.number == number) else { return };
        let stale = self.stale.remove(i);
        if self.newest.is_some_and(|(newest, _)| newest == stale.newest) {
            let values = || (stale.event.to_string(), stale.newest.to_string());
            remark(remarks, Class::RestStale, "", stale.received, values);
        }
    }

    /// Forgets what REST has passed, and what it will hardly show any more.
    fn forget(&mut self, cx: &mut Context<'_>, label: &Arc<str>, at: Timestamp) {
        let tolerance = cx.feature.time_tolerance;
        let passed = self.shown.iter().map(|s| s.event).max();
        let horizon = at - (cx.feature.rest.poll * 2 + cx.timeout + cx.settle() * 2 + cx.pace.interval);
        while self.versions.len() > 1 {
            let oldest = &self.versions[0];
            let behind = passed.is_some_and(|p| oldest.event + tolerance < p)
                && self.pending.iter().all(|p| (p.event - oldest.event).abs() > tolerance);
            let old = oldest.last < horizon && self.versions.len() > OLD_KEPT;
            if !(behind || old || self.versions.len() > KEPT) {
                return;
            }
            if let Some(mut version) = self.versions.pop_front() {
                self.forgotten = self.forgotten.max(Some(version.event));
                let event = Some(version.event);
                cx.report_broken(label, Side::Ws, &mut version.broken, &[], event, version.first);
                cx.spare.give(version.content);
            }
        }
    }

    /// The run ends: what has a partner is compared, the rest stays unjudged.
    pub fn end(&mut self, cx: &mut Context<'_>, label: &Arc<str>, remarks: &mut Vec<Remark>) {
        for mut pending in std::mem::take(&mut self.pending) {
            match self.partner(cx.feature.time_tolerance, pending.event) {
                Some(version) => self.mismatch(cx, label, pending, version, remarks),
                None => {
                    cx.counts.unjudged_tail += 1;
                    let event = Some(pending.event);
                    cx.report_broken(label, Side::Rest, &mut pending.broken, &[], event, pending.received);
                }
            }
        }
        for mut version in std::mem::take(&mut self.versions) {
            cx.report_broken(label, Side::Ws, &mut version.broken, &[], Some(version.event), version.first);
        }
        *self = TimeState { next: self.next, ..TimeState::default() };
    }
}

/// Broken sums of both sides of one version: the same on both is one cause.
pub fn both_broken(
    cx: &mut Context<'_>,
    label: &Arc<str>,
    rest: &mut Vec<Broken>,
    ws: &mut Vec<Broken>,
    told: &[super::compare::Difference],
    event: Timestamp,
    at: Timestamp,
) {
    if rest.is_empty() && ws.is_empty() {
        return;
    }
    ws.retain(|b| !rest.iter().any(|a| a.text == b.text && a.row == b.row));
    cx.report_broken(label, Side::Rest, rest, told, Some(event), at);
    cx.report_broken(label, Side::Ws, ws, told, Some(event), at);
}
