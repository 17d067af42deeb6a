//! `late` (SPEC §6): versions that arrive long after the stream's quickest.

use super::super::context::Context;
use super::super::ledger::Draft;
use super::{AlignState, Stream};
use crate::model::{Class, Span, Timestamp};

/// The greatest delays that passed for timely, kept in case a smaller one than the smallest yet comes.
const GREATEST_KEPT: usize = 8;

/// Arrival minus event time, above the smallest seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Delays {
    pub(super) smallest: Option<Span>,
    /// Delay, arrival, event time; in no order.
    pub(super) greatest: Vec<(Span, Timestamp, Timestamp)>,
    /// The least of them, once they are as many as are kept.
    pub(super) least_kept: Option<Span>,
}

impl Delays {
    fn keep(&mut self, delay: (Span, Timestamp, Timestamp)) {
        if self.greatest.len() == GREATEST_KEPT
            && let Some(least) = self.greatest.iter_mut().min()
        {
            *least = delay;
        } else {
            self.greatest.push(delay);
        }
        let is_full = self.greatest.len() == GREATEST_KEPT;
        self.least_kept = self.greatest.iter().map(|(delay, _, _)| *delay).min().filter(|_| is_full);
    }

    /// Those that are late by this limit, which are kept no longer.
    fn beyond(&mut self, limit: Span) -> Vec<(Span, Timestamp, Timestamp)> {
        let (late, timely): (Vec<_>, Vec<_>) =
            self.greatest.drain(..).partition(|(delay, _, _)| *delay > limit);
        self.greatest = timely;
        if !late.is_empty() {
            self.least_kept = None;
        }
        late
    }
}

impl Stream {
    /// Whether the delay of this event time means anything. The first message of a bar that is sent while
    /// it forms comes with its first trade; one that was judged missing tells by itself that it is late.
    pub(super) fn tells_delay(&self, event: Timestamp) -> bool {
        match &self.align {
            AlignState::Bucket(state) => state.sends_once(event) && !state.is_missing(event),
            AlignState::Latest(_) => false,
            _ => true,
        }
    }

    /// `late`: the first arrival of a version beyond `max_delay` above the stream's smallest delay.
    pub(super) fn delay(
        &mut self,
        cx: &mut Context<'_>,
        at: Timestamp,
        event: Timestamp,
        first_after_open: bool,
    ) {
        let first_arrival = self.newest_event.is_none_or(|newest| event > newest);
        if !first_arrival || first_after_open {
            return;
        }
        let delay = at - event;
        let known = self.delays.smallest;
        let smallest = known.map_or(delay, |s| s.min(delay));
        self.delays.smallest = Some(smallest);
        cx.counts.delay.add(delay - smallest);
        let limit = smallest + cx.feature.max_delay;
        if delay > limit {
            self.late(cx, at, event, delay - smallest);
        } else if self.delays.least_kept.is_none_or(|least| delay > least) {
            self.delays.keep((delay, at, event));
        }
        if known.is_some_and(|known| smallest < known) {
            // What passed for timely before the smallest delay was known.
            let mut late = self.delays.beyond(limit);
            late.sort_unstable_by_key(|(_, at, _)| *at);
            for (delay, at, event) in late {
                self.late(cx, at, event, delay - smallest);
            }
        }
    }

    fn late(&self, cx: &mut Context<'_>, at: Timestamp, event: Timestamp, behind: Span) {
        let mut draft = Draft::new(Class::Late, &self.label, at);
        draft.event_time = Some(event);
        draft.delta = behind.to_string();
        draft.detail = format!("{behind} above the stream's smallest delay");
        cx.ledger.add(cx.index, draft, || (String::new(), String::new()));
    }
}
