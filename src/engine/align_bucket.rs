//! Alignment `bucket` (SPEC §5.4): the event time names a bucket (a bar's minute), and both sides may
//! show it while it forms. A bucket is judged once, a settle after REST first showed a later one.

use super::align_time::{Poll, Seen, Sight, both_broken};
use super::compare::{Broken, Extent, Instants, Side, same_content};
use super::content::Content;
use super::context::{Context, Pairing, Remark, Task};
use super::ledger::Draft;
use crate::model::{Class, Span, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// Judged buckets kept for revisions.
const JUDGED_KEPT: usize = 5;
/// Buckets kept at most in all.
const KEPT: usize = 256;

#[derive(Debug, Clone, Default)]
pub struct BucketState {
    /// By event time.
    buckets: VecDeque<Bucket>,
    /// The newest bucket that REST has shown.
    newest_on_rest: Option<Timestamp>,
    /// The poll in which REST first showed the stream, and the newest bucket in that answer.
    first_answer: Option<(Timestamp, Timestamp)>,
    /// When the last poll before the present one was sent.
    previous_sent: Option<Timestamp>,
    /// Buckets up to this event time are forgotten.
    forgotten: Option<Timestamp>,
    /// The present answer shows, for the first time, a bucket older than one shown before.
    filled_in: bool,
}

#[derive(Debug, Clone)]
struct Bucket {
    event: Timestamp,
    rest: Option<Snapshot>,
    /// The poll that first showed it: sent, received; and when the poll before was sent.
    first_shown: Option<Shown>,
    /// When REST first showed a later bucket, and the newest that it then showed.
    passed: Option<Timestamp>,
    passed_by: Option<Timestamp>,
    ws: Option<Content>,
    ws_first: Option<Timestamp>,
    ws_last: Option<(Timestamp, u32)>,
    broken_ws: Vec<Broken>,
    judged: bool,
    /// Its tick has been counted.
    ticked: bool,
    missing: bool,
    /// The WebSocket told it when REST was more than a bucket further.
    history: bool,
    /// When a change after judging is to be judged anew.
    rejudge: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Shown {
    sent: Timestamp,
    received: Timestamp,
    before: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Snapshot {
    content: Content,
    sent: Timestamp,
    received: Timestamp,
}

/// The tick that a judged bucket is: its last message before it was judged.
#[derive(Debug, Clone, Copy)]
pub struct BucketTick {
    pub at: Timestamp,
    pub epoch: u32,
    pub event: Timestamp,
}

impl BucketState {
    fn place(&mut self, event: Timestamp) -> &mut Bucket {
        let i = self.buckets.partition_point(|b| b.event < event);
        if self.buckets.get(i).is_none_or(|b| b.event != event) {
            let bucket = Bucket {
                event,
                rest: None,
                first_shown: None,
                passed: None,
                passed_by: None,
                ws: None,
                ws_first: None,
                ws_last: None,
                broken_ws: Vec::new(),
                judged: false,
                ticked: false,
                missing: false,
                history: false,
                rejudge: None,
            };
            self.buckets.insert(i, bucket);
        }
        &mut self.buckets[i]
    }

    fn find(&mut self, event: Timestamp) -> Option<&mut Bucket> {
        let i = self.buckets.binary_search_by_key(&event, |b| b.event).ok()?;
        self.buckets.get_mut(i)
    }

    /// Judged missing, and not heard of since.
    pub fn is_missing(&self, event: Timestamp) -> bool {
        let place = self.buckets.binary_search_by_key(&event, |b| b.event);
        place.is_ok_and(|i| self.buckets[i].missing && self.buckets[i].ws.is_none())
    }

    fn is_forgotten(&self, event: Timestamp) -> bool {
        self.forgotten.is_some_and(|f| event <= f)
    }

    /// Whether the stream told the bucket before this one in a single message: it sends bars when they are
    /// closed, not while they form.
    pub fn sends_once(&self, event: Timestamp) -> bool {
        let before = self.buckets.partition_point(|b| b.event < event).checked_sub(1);
        before.is_some_and(|i| {
            let bucket = &self.buckets[i];
            bucket.ws_first.is_some() && bucket.ws_first == bucket.ws_last.map(|l| l.0)
        })
    }

    /// Whether the bucket's last message came within half an interval and said the same, in a stream
    /// that sends each bucket once: repeating an unchanged bar while it forms is no duplicate.
    pub fn repeats(&self, cx: &Context<'_>, event: Timestamp, at: Timestamp, content: &Content) -> bool {
        let Ok(i) = self.buckets.binary_search_by_key(&event, |b| b.event) else { return false };
        let bucket = &self.buckets[i];
        self.sends_once(event)
            && bucket.ws.as_ref().is_some_and(|ws| same_content(cx.rules, ws, content))
            && bucket.ws_last.is_some_and(|(last, _)| (at - last).0 * 2 < cx.pace.interval.0)
    }

    pub fn on_rest(&mut self, cx: &mut Context<'_>, seen: Seen<'_>, poll: Poll) -> Sight {
        let Seen { label, event, content } = seen;
        if self.is_forgotten(event) {
            return Sight::Again;
        }
        match &mut self.first_answer {
            None => self.first_answer = Some((poll.received, event)),
            Some((received, newest)) if *received == poll.received => *newest = event.max(*newest),
            Some(_) => {}
        }
        let before = poll.absent_before.or(self.previous_sent);
        let is_older = self.newest_on_rest.is_some_and(|newest| event < newest);
        let bucket = self.place(event);
        let fresh = bucket.first_shown.is_none();
        let filled_in = fresh && is_older;
        if filled_in {
            // Passed, and perhaps judged with nothing to hold it against.
            (bucket.passed, bucket.judged) = (None, false);
        }
        if fresh {
            bucket.first_shown = Some(Shown { sent: poll.sent, received: poll.received, before });
        }
        let changed = match &mut bucket.rest {
            // An answer that another one overtook is not REST's last word.
            Some(snapshot) if poll.sent < snapshot.sent => false,
            Some(snapshot) => {
                let changed = !same_content(cx.rules, &snapshot.content, content);
                snapshot.sent = poll.sent;
                snapshot.received = poll.received;
                if !snapshot.content.same_text(content) {
                    snapshot.content.clone_from(content);
                }
                changed
            }
            None => {
                let (sent, received) = (poll.sent, poll.received);
                bucket.rest = Some(Snapshot { content: content.clone(), sent, received });
                true
            }
        };
        if changed && bucket.judged && !fresh {
            self.revised(cx, label, event, poll.received, Side::Rest);
        }
        self.filled_in |= filled_in;
        self.newest_on_rest = self.newest_on_rest.max(Some(event));
        match (fresh, changed) {
            (true, _) => Sight::Fresh,
            (false, true) => Sight::Changed,
            (false, false) => Sight::Again,
        }
    }

    /// An answer is read whole: buckets that a later one has now passed get their deadline.
    pub fn answer_read(&mut self, cx: &mut Context<'_>, poll: Poll) {
        self.previous_sent = Some(poll.sent);
        let Some(newest) = self.newest_on_rest else { return };
        // Oldest first: what is due at one instant is judged, and ticks, in order.
        let end = self.buckets.partition_point(|b| b.event < newest);
        let first = match std::mem::take(&mut self.filled_in) {
            true => 0,
            false => self.buckets.iter().take(end).rposition(|b| b.passed.is_some()).map_or(0, |i| i + 1),
        };
        for bucket in self.buckets.range_mut(first..end).filter(|b| b.passed.is_none()) {
            bucket.passed = Some(poll.received);
            bucket.passed_by = Some(newest);
            cx.deadlines.push(
                poll.received + cx.pace.settle,
                cx.index,
                cx.stream,
                Task::Bucket(bucket.event),
            );
        }
    }

    pub fn on_ws(&mut self, cx: &mut Context<'_>, seen: Seen<'_>, at: Timestamp, epoch: u32) {
        let Seen { label, event, content } = seen;
        if self.is_forgotten(event) {
            return;
        }
        let passed_by = self.newest_on_rest;
        let bucket = self.place(event);
        let known = bucket.ws.is_some();
        let changed = bucket.ws.as_ref().is_none_or(|ws| !same_content(cx.rules, ws, content));
        if bucket.missing && !known {
            let mut draft = Draft::new(Class::Late, label, at);
            draft.event_time = Some(event);
            draft.detail = "after it was judged missing".into();
            cx.ledger.add(cx.index, draft, || (String::new(), content.record().to_string()));
        }
        bucket.ws_first.get_or_insert(at);
        bucket.ws_last = Some((at, epoch));
        if bucket.ws.as_ref().is_none_or(|ws| !ws.same_text(content)) {
            bucket.ws.get_or_insert_default().clone_from(content);
            let broken = cx.broken(content);
            if !broken.is_empty() {
                bucket.broken_ws = broken;
            }
        }
        if bucket.judged {
            if changed && known {
                self.revised(cx, label, event, at, Side::Ws);
            }
        } else if bucket.passed.is_none() && passed_by.is_some_and(|newest| event < newest) {
            // REST passed it without our having heard of it.
            bucket.passed = Some(at);
            bucket.history = passed_by.is_some_and(|newest| event + cx.pace.interval < newest);
            cx.later(at + cx.pace.settle, Task::Bucket(event));
        }
        self.forget(cx, label);
    }

    pub fn judge(
        &mut self,
        cx: &mut Context<'_>,
        label: &Arc<str>,
        event: Timestamp,
        remarks: &mut Vec<Remark>,
    ) -> Option<BucketTick> {
        let extent = self.extent(cx.settle(), event);
        let first_answer = self.first_answer;
        let delay = self.greatest_delay();
        let bucket = self.find(event).filter(|b| !b.judged)?;
        bucket.judged = true;
        let tick = bucket.ws_last.map(|(at, epoch)| BucketTick { at, epoch, event });
        let tick = tick.filter(|_| !std::mem::replace(&mut bucket.ticked, true));
        match (&bucket.rest, &bucket.ws) {
            (Some(_), Some(_)) => bucket.compare(cx, label, extent, true, remarks),
            (Some(_), None) => bucket.absent(cx, label, first_answer, delay),
            _ => {}
        }
        let tick = tick.filter(|_| self.find(event).is_some_and(|b| b.rest.is_some() || !b.history));
        self.forget(cx, label);
        tick
    }

    /// How long after its event time a bucket's last message came, at most, of those kept.
    fn greatest_delay(&self) -> Option<Span> {
        self.buckets.iter().filter_map(|b| b.ws_last.map(|(last, _)| last - b.event)).max()
    }

    /// Whether REST's last snapshot is final.
    fn extent(&self, settle: Span, event: Timestamp) -> Extent {
        let Ok(i) = self.buckets.binary_search_by_key(&event, |b| b.event) else { return Extent::Forming };
        let bucket = &self.buckets[i];
        let Some(snapshot) = &bucket.rest else { return Extent::Forming };
        let passed = |later: &Bucket| later.first_shown.is_some_and(|s| s.sent <= snapshot.sent);
        let settled = bucket.ws_last.is_some_and(|(last, _)| snapshot.sent >= last + settle);
        if settled || self.buckets.iter().skip(i + 1).any(passed) { Extent::Whole } else { Extent::Forming }
    }

    /// Something changed after judging: counted or told, and judged anew where the other side must follow.
    fn revised(
        &mut self,
        cx: &mut Context<'_>,
        label: &Arc<str>,
        event: Timestamp,
        at: Timestamp,
        side: Side,
    ) {
        let revise_for = cx.feature.revise_for;
        let Some(bucket) = self.find(event) else { return };
        let (Some(rest), Some(ws)) = (&bucket.rest, &bucket.ws) else { return };
        let instants = Instants { rest_sent: rest.sent, rest_received: rest.received, ws: at };
        if cx.compare(&rest.content, ws, instants, Extent::Whole).0.is_empty() {
            // One side followed the other: that is the same revision.
            bucket.rejudge = None;
            return;
        }
        let judged_at = bucket.passed.unwrap_or(at) + cx.pace.settle;
        if at <= judged_at + revise_for {
            cx.counts.revisions += 1;
        } else {
            let mut draft = Draft::new(Class::Revision, label, at);
            draft.event_time = Some(event);
            draft.detail = match side {
                Side::Rest => "REST changed a bar after it was final".into(),
                Side::Ws => "the WebSocket changed a bar after it was final".into(),
            };
            let records = || (rest.content.record().to_string(), ws.record().to_string());
            cx.ledger.add(cx.index, draft, records);
        }
        let deadline = at + cx.pace.interval + cx.pace.settle;
        bucket.rejudge = Some(deadline);
        cx.later(deadline, Task::Revised(event));
    }

    pub fn judge_revised(
        &mut self,
        cx: &mut Context<'_>,
        label: &Arc<str>,
        event: Timestamp,
        at: Timestamp,
        remarks: &mut Vec<Remark>,
    ) {
        let Some(bucket) = self.find(event) else { return };
        if bucket.rejudge != Some(at) {
            return;
        }
        bucket.rejudge = None;
        let asked_since = match (&bucket.rest, bucket.ws_last) {
            (Some(rest), Some((last, _))) => rest.sent >= last || rest.received + cx.pace.interval >= at,
            _ => false,
        };
        // Where REST was not asked since the WebSocket changed, nothing is known.
        if asked_since {
            bucket.compare(cx, label, Extent::Whole, true, remarks);
        }
        self.forget(cx, label);
    }

    /// Forgets all but the last judged buckets.
    fn forget(&mut self, cx: &mut Context<'_>, label: &Arc<str>) {
        let mut judged = self.buckets.iter().filter(|b| b.judged).count();
        while let Some(oldest) = self.buckets.front() {
            let done = oldest.judged && oldest.rejudge.is_none() && judged > JUDGED_KEPT;
            if !done && self.buckets.len() <= KEPT {
                return;
            }
            judged -= usize::from(oldest.judged);
            if let Some(mut bucket) = self.buckets.pop_front() {
                self.forgotten = self.forgotten.max(Some(bucket.event));
                bucket.tell_broken(cx, label);
            }
        }
    }

    /// The run ends. A bucket that REST has passed but whose settle is not over counts where it is
    /// equal; where it differs, only if the WebSocket had gone on to a later bucket, since its last
    /// message may still have been on its way.
    pub fn end(
        &mut self,
        cx: &mut Context<'_>,
        label: &Arc<str>,
        remarks: &mut Vec<Remark>,
    ) -> Vec<BucketTick> {
        let mut ticks = Vec::new();
        let events: Vec<Timestamp> = self.buckets.iter().filter(|b| !b.judged).map(|b| b.event).collect();
        let newest_on_ws = self.buckets.iter().filter(|b| b.ws.is_some()).map(|b| b.event).max();
        for event in events {
            let extent = self.extent(cx.settle(), event);
            let Some(bucket) = self.find(event) else { continue };
            let (Some(_), Some(passed)) = (&bucket.rest, bucket.passed) else {
                cx.counts.unjudged_tail += u64::from(bucket.rest.is_some());
                continue;
            };
            let complete =
                newest_on_ws > Some(event) || bucket.ws_last.is_some_and(|(last, _)| last >= passed);
            if bucket.ws.is_some() && (complete || bucket.equal(cx, extent)) {
                bucket.compare(cx, label, extent, true, remarks);
                let last = bucket.ws_last.filter(|_| !bucket.ticked);
                ticks.extend(last.map(|(at, epoch)| BucketTick { at, epoch, event }));
            } else {
                cx.counts.unjudged_tail += 1;
            }
        }
        for mut bucket in std::mem::take(&mut self.buckets) {
            bucket.tell_broken(cx, label);
        }
        *self = BucketState::default();
        ticks
    }
}

impl Bucket {
    fn equal(&self, cx: &Context<'_>, extent: Extent) -> bool {
        let (Some(rest), Some(ws)) = (&self.rest, &self.ws) else { return false };
        let at = self.ws_last.map_or(rest.received, |(last, _)| last);
        let instants = Instants { rest_sent: rest.sent, rest_received: rest.received, ws: at };
        cx.compare(&rest.content, ws, instants, extent).0.is_empty()
    }

    /// Compares both sides' last word; `count` it as a pair where REST's is final.
    fn compare(
        &mut self,
        cx: &mut Context<'_>,
        label: &Arc<str>,
        extent: Extent,
        count: bool,
        remarks: &mut Vec<Remark>,
    ) {
        let (Some(rest), Some(ws)) = (&self.rest, &self.ws) else { return };
        let at = self.ws_last.map_or(rest.received, |(last, _)| last);
        let instants = Instants { rest_sent: rest.sent, rest_received: rest.received, ws: at };
        let (differences, noted) = cx.compare(&rest.content, ws, instants, extent);
        match extent {
            Extent::Forming => cx.counts.unfinished += 1,
            Extent::Whole if count => {
                cx.count_pair(rest.received, noted, differences.is_empty(), remarks);
                if differences.is_empty() {
                    cx.prove(ws);
                }
                // A bar is told when it is final: on REST once a later one shows, here with its last message.
                if let (Some(passed), Some((last, _))) = (self.passed, self.ws_last) {
                    cx.counts.freshness.add(passed - last);
                }
            }
            Extent::Whole => {}
        }
        let pair = Pairing {
            label,
            rest: &rest.content,
            ws,
            event_time: Some(self.event),
            at: rest.received,
            during_drop: cx.link.down_meets(at, self.passed.unwrap_or(at), cx.settle()),
        };
        cx.report(&pair, &differences);
        let at = rest.received;
        let mut broken = cx.broken(&rest.content);
        both_broken(cx, label, &mut broken, &mut self.broken_ws, &differences, self.event, at);
    }

    /// REST showed it, the WebSocket never did.
    fn absent(
        &mut self,
        cx: &mut Context<'_>,
        label: &Arc<str>,
        first_answer: Option<(Timestamp, Timestamp)>,
        delay: Option<Span>,
    ) {
        let (Some(rest), Some(shown)) = (&self.rest, self.first_shown) else { return };
        let listening = cx.link.first_open().map(|open| open + cx.settle());
        let heard_all = listening.is_some_and(|from| shown.sent > from);
        // What a stream's first answer lists besides its newest may be history.
        let history = first_answer.is_some_and(|(first, newest)| {
            first == shown.received && (self.event != newest || self.was_over(shown.sent, cx.pace.interval))
        });
        // A slow REST shows for the first time what the WebSocket had said before we listened.
        let before_us = matches!((delay, listening), (Some(delay), Some(from)) if self.event + delay < from);
        if !heard_all || history || before_us {
            cx.counts.unjudged_head += 1;
            return;
        }
        self.missing = true;
        let from = shown.before.unwrap_or(shown.sent);
        let drop = cx.link.down_meets(from + Span(1), self.passed.unwrap_or(shown.received), cx.settle());
        cx.report_missing(label, &rest.content, Some(self.event), shown.received, drop);
    }

    /// Whether the bucket was over when REST was asked at `sent`, by REST's own times: it began to show a
    /// later one at `passed`, so that at `sent` its clock stood no further before that one's begin than the
    /// time between. An illiquid symbol's newest bar may have closed long before anybody listened.
    fn was_over(&self, sent: Timestamp, interval: Span) -> bool {
        let (Some(passed), Some(later)) = (self.passed, self.passed_by) else { return false };
        later - (passed - sent) >= self.event + interval
    }

    fn tell_broken(&mut self, cx: &mut Context<'_>, label: &Arc<str>) {
        let at = self.ws_last.map(|l| l.0).or(self.rest.as_ref().map(|r| r.received)).unwrap_or(self.event);
        cx.report_broken(label, Side::Ws, &mut self.broken_ws, &[], Some(self.event), at);
    }
}
