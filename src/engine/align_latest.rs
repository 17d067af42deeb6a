//! Alignment `bucket` where REST shows one bar, the latest that is closed, without saying of when: it is known by its
//! values, in order, among the bars that the WebSocket has closed.
//!
//! REST may be late by the contract's `within`, and may skip bars; that is no finding. A value that no bar has is.

use super::align_time::{Poll, Seen, Sight};
use super::compare::{Broken, Extent, Instants, Side, same_content};
use super::content::Content;
use super::context::{Context, Pairing, Remark, Task};
use super::ledger::Draft;
use crate::engine::align_bucket::BucketTick;
use crate::model::{Class, Span, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// Bars kept at most; `within` reaches over a few.
const KEPT: usize = 256;

#[derive(Debug, Clone, Default)]
pub struct LatestState {
    /// By event time; the last one forms until a newer one comes.
    bars: VecDeque<Bar>,
    /// What REST shows, and when the poll before was sent.
    shown: Option<Content>,
    previous_sent: Option<Timestamp>,
    /// The bar that REST was last found to show.
    matched: Option<Timestamp>,
    /// It shows that bar still.
    stands: bool,
    pending: Vec<Pending>,
    next: u64,
}

#[derive(Debug, Clone)]
struct Bar {
    event: Timestamp,
    content: Content,
    /// Its last message, and the connection that brought it.
    last: Timestamp,
    epoch: u32,
    broken: Vec<Broken>,
}

/// What REST began to show, until the WebSocket has had time to say the same.
#[derive(Debug, Clone)]
struct Pending {
    number: u64,
    content: Content,
    sent: Timestamp,
    received: Timestamp,
    /// When the poll before was sent; none for the first: what it shows may be older than all we heard.
    before: Option<Timestamp>,
    /// When the connection of that time was opened.
    open: Option<Timestamp>,
}

impl LatestState {
    pub fn on_ws(
        &mut self,
        cx: &mut Context<'_>,
        seen: Seen<'_>,
        at: Timestamp,
        epoch: u32,
    ) -> Option<BucketTick> {
        let Seen { label, event, content } = seen;
        let place = self.bars.partition_point(|bar| bar.event < event);
        let broken = cx.broken(content);
        if let Some(bar) = self.bars.get_mut(place).filter(|bar| bar.event == event) {
            (bar.last, bar.epoch, bar.broken) = (at, epoch, broken);
            bar.content.clone_from(content);
            return None;
        }
        let is_newest = place == self.bars.len();
        let closed = self.bars.back().filter(|_| is_newest);
        let tick = closed.map(|bar| BucketTick { at: bar.last, epoch: bar.epoch, event: bar.event });
        self.bars.insert(place, Bar { event, content: content.clone(), last: at, epoch, broken });
        self.forget(cx, label, at);
        tick
    }

    /// Forgets bars that REST may show no more.
    fn forget(&mut self, cx: &mut Context<'_>, label: &Arc<str>, now: Timestamp) {
        let reach = self.reach(cx) + cx.settle() * 2 + cx.feature.rest.poll * 2;
        while let Some(oldest) = self.bars.front() {
            let needed = oldest.last + reach >= now || self.bars.len() == 1;
            if needed && self.bars.len() <= KEPT {
                return;
            }
            if let Some(mut bar) = self.bars.pop_front() {
                cx.report_broken(label, Side::Ws, &mut bar.broken, &[], Some(bar.event), bar.last);
            }
        }
    }

    /// How long after a bar's last message REST may still begin to show it.
    fn reach(&self, cx: &Context<'_>) -> Span {
        cx.pace.interval + cx.feature.rest.latest_within.unwrap_or_default() + cx.settle()
    }

    pub fn on_rest(
        &mut self,
        cx: &mut Context<'_>,
        label: &Arc<str>,
        content: &Content,
        poll: Poll,
    ) -> Sight {
        let before = self.previous_sent.replace(poll.sent);
        if self.shown.as_ref().is_some_and(|shown| same_content(cx.rules, shown, content)) {
            self.stands_still(cx, label, poll);
            return Sight::Again;
        }
        self.stands = false;
        let before = before.filter(|_| self.shown.is_some());
        self.shown = Some(content.clone());
        let number = self.next;
        self.next += 1;
        cx.later(poll.received + cx.settle(), Task::Pending(number));
        self.pending.push(Pending {
            number,
            content: content.clone(),
            sent: poll.sent,
            received: poll.received,
            before,
            open: cx.link.up_since(),
        });
        Sight::Fresh
    }

    /// REST shows a bar although a later one closed so long ago that it had to show that: told once.
    fn stands_still(&mut self, cx: &mut Context<'_>, label: &Arc<str>, poll: Poll) {
        let Some(matched) = self.matched.filter(|_| self.stands) else { return };
        let reach = self.reach(cx);
        let closed = self.bars.iter().rev().skip(1);
        let due = closed.filter(|bar| bar.event > matched).find(|bar| bar.last + reach < poll.sent);
        let Some(due) = due.map(|bar| bar.event) else { return };
        self.stands = false;
        let mut draft = Draft::new(Class::RestStale, label, poll.received);
        draft.event_time = Some(matched);
        draft.detail = format!("REST still shows {matched}, and the bar of {due} is closed for long");
        cx.ledger.add(cx.index, draft, || (String::new(), String::new()));
    }

    pub fn judge(&mut self, cx: &mut Context<'_>, label: &Arc<str>, number: u64, remarks: &mut Vec<Remark>) {
        let Some(i) = self.pending.iter().position(|pending| pending.number == number) else { return };
        let pending = self.pending.remove(i);
        if !self.matches(cx, label, &pending, remarks) {
            self.differs(cx, label, &pending, remarks);
        }
    }

    /// The bars that REST could have begun to show: not before the last one it showed.
    fn candidates(&self, cx: &Context<'_>, pending: &Pending) -> Vec<usize> {
        let reach = self.reach(cx);
        let may_be = |bar: &Bar| {
            self.matched.is_none_or(|matched| bar.event >= matched)
                && bar.last <= pending.received + cx.settle()
                && pending.before.unwrap_or(pending.sent) <= bar.last + reach
        };
        (0..self.bars.len()).filter(|&i| may_be(&self.bars[i])).collect()
    }

    /// Whether a bar is what REST shows: the first in order that is.
    fn matches(
        &mut self,
        cx: &mut Context<'_>,
        label: &Arc<str>,
        pending: &Pending,
        remarks: &mut Vec<Remark>,
    ) -> bool {
        for i in self.candidates(cx, pending) {
            let bar = &mut self.bars[i];
            let (differences, noted) =
                cx.compare(&pending.content, &bar.content, pending.at(bar), Extent::Whole);
            if !differences.is_empty() {
                continue;
            }
            cx.count_pair(pending.received, noted, true, remarks);
            cx.prove(&bar.content);
            cx.counts.freshness.add(pending.received - bar.last);
            let mut broken = cx.broken(&pending.content);
            let (event, at) = (bar.event, pending.received);
            super::align_time::both_broken(cx, label, &mut broken, &mut bar.broken, &[], event, at);
            self.matched = Some(event);
            self.stands = true;
            return true;
        }
        false
    }

    fn differs(
        &mut self,
        cx: &mut Context<'_>,
        label: &Arc<str>,
        pending: &Pending,
        remarks: &mut Vec<Remark>,
    ) {
        // What REST begins to show may have closed so long before.
        let from = pending.sent.saturating_sub(self.reach(cx));
        let heard_all =
            pending.before.is_some() && pending.open.is_some_and(|open| open + cx.settle() < from);
        if !heard_all {
            cx.counts.unjudged_head += 1;
            return;
        }
        let during_drop = cx.link.down_meets(from, pending.received, cx.settle());
        let compared = self.candidates(cx, pending).into_iter().map(|i| {
            let bar = &self.bars[i];
            let (differences, noted) =
                cx.compare(&pending.content, &bar.content, pending.at(bar), Extent::Whole);
            (i, differences, noted)
        });
        // The fewest fields, then the latest.
        let nearest = compared.min_by_key(|(i, differences, _)| (differences.len(), usize::MAX - i));
        let Some((i, differences, noted)) = nearest.filter(|_| !during_drop) else {
            return cx.report_missing(label, &pending.content, None, pending.received, during_drop);
        };
        let bar = &self.bars[i];
        cx.count_pair(pending.received, noted, false, remarks);
        let pairing = Pairing {
            label,
            rest: &pending.content,
            ws: &bar.content,
            event_time: Some(bar.event),
            at: pending.received,
            during_drop,
        };
        cx.report(&pairing, &differences);
    }

    /// The run ends: what is equal counts, the rest could still have become so.
    pub fn end(&mut self, cx: &mut Context<'_>, label: &Arc<str>, remarks: &mut Vec<Remark>) {
        for pending in std::mem::take(&mut self.pending) {
            if !self.matches(cx, label, &pending, remarks) {
                cx.counts.unjudged_tail += 1;
            }
        }
        for mut bar in std::mem::take(&mut self.bars) {
            cx.report_broken(label, Side::Ws, &mut bar.broken, &[], Some(bar.event), bar.last);
        }
        *self = LatestState::default();
    }
}

impl Pending {
    fn at(&self, bar: &Bar) -> Instants {
        Instants { rest_sent: self.sent, rest_received: self.received, ws: bar.last }
    }
}
