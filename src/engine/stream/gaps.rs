//! Silences of a stream (SPEC §5.6): which are gaps, and which REST shows to be sparse.
//! Owns what is pending of them; that a tick is due, `cadence` knows.

use super::super::cadence::{Silence, SilenceKind, VersionId};
use super::super::compare;
use super::super::context::{Context, Task};
use super::super::endpoint::Endpoint;
use super::super::ledger::Draft;
use super::{AlignState, Stream};
use crate::contract::Align;
use crate::model::{Class, Span, Timestamp};

/// REST versions remembered between two ticks; more are counted as more than none.
const NEWS_KEPT: usize = 16;
/// Silences kept until a slow REST gets to them.
const WAITING_KEPT: usize = 32;

#[derive(Debug, Clone, Copy)]
pub(super) struct News {
    pub(super) version: VersionId,
    pub(super) received: Timestamp,
}

#[derive(Debug, Clone)]
pub(super) struct PendingGap {
    pub(super) number: u64,
    pub(super) silence: Silence,
    /// REST versions within it so far.
    pub(super) news: u64,
    /// REST has yet to show the version that ended it, or a newer one.
    pub(super) waits: bool,
}

impl Stream {
    /// A silence over missed ticks waits a settle: REST may yet show what lay within it.
    pub(super) fn hold_gap(&mut self, cx: &mut Context<'_>, silence: Silence) {
        let number = self.next_gap;
        self.next_gap += 1;
        let news = self.news.iter().filter(|n| self.lies_within(cx, n, &silence)).count() as u64;
        self.gaps.push(PendingGap { number, silence, news, waits: false });
        cx.later(silence.to + cx.settle(), Task::Gap(number));
    }

    /// Whether a REST version shows that something was missed in a step: neither end's own version,
    /// unless REST had shown the later end's long before it came.
    fn lies_within(&self, cx: &Context<'_>, news: &News, silence: &Silence) -> bool {
        let (before, after) = match silence.kind {
            SilenceKind::Step { before, after } => (before, after),
            SilenceKind::Head { .. } | SilenceKind::Tail if news.received <= silence.from => return false,
            SilenceKind::Head { after } => (VersionId::Event(Timestamp::MIN), after),
            SilenceKind::Tail => return news.received <= silence.to,
        };
        // A bar forms on REST long before its last message comes.
        let early = cx.feature.align != Align::Bucket && news.received < silence.to - cx.settle();
        match (news.version, before, after) {
            (VersionId::Event(e), VersionId::Event(b), VersionId::Event(a)) => {
                let tolerance = cx.feature.time_tolerance;
                // What a slow REST shows of before the connection was not due in it.
                let is_head = matches!(silence.kind, SilenceKind::Head { .. });
                let before_it = is_head && silence.to - (a - e) < silence.from;
                e > b + tolerance && (e + tolerance < a || early) && !before_it
            }
            (VersionId::Content, _, _) => {
                let shown = match &self.align {
                    AlignState::Arrival(state) => state.rest().zip(state.newest()),
                    _ => None,
                };
                early || !shown.is_some_and(|(rest, ws)| compare::identical(cx.rules, rest, ws))
            }
            _ => true,
        }
    }

    pub(super) fn judge_gap(&mut self, cx: &mut Context<'_>, endpoint: Option<&Endpoint>, number: u64) {
        let Some(i) = self.gaps.iter().position(|g| g.number == number) else { return };
        let mut gap = self.gaps.remove(i);
        if gap.news > 0
            || self.is_timed(cx, endpoint, &gap.silence)
            || !polled_through(cx, endpoint, &gap.silence)
        {
            self.tell_gap(cx, gap.silence);
        } else if gap.waits || self.rest_got_to(cx, &gap.silence) {
            cx.counts.sparse += 1;
        } else {
            gap.waits = true;
            self.gaps.push(gap);
            if self.gaps.len() > WAITING_KEPT {
                self.gaps.remove(0);
                cx.counts.sparse += 1;
            }
        }
    }

    /// Whether REST has shown the version that ended a silence, or a newer one: it would have shown by then what
    /// was born in between.
    fn rest_got_to(&self, cx: &Context<'_>, silence: &Silence) -> bool {
        let (SilenceKind::Step { after: VersionId::Event(after), .. }
        | SilenceKind::Head { after: VersionId::Event(after) }) = silence.kind
        else {
            return true;
        };
        match &self.align {
            AlignState::Time(state) => {
                state.newest_on_rest().is_some_and(|newest| newest + cx.feature.time_tolerance >= after)
            }
            _ => true,
        }
    }

    /// Whether its messages come by the clock, changed or not, and REST showed it all the time: then silence says
    /// that one is missing, whether or not anything changed.
    fn is_timed(&self, cx: &Context<'_>, endpoint: Option<&Endpoint>, silence: &Silence) -> bool {
        let is_shown = endpoint.is_some_and(|e| e.last.is_some() && e.last == self.rest_last);
        let was_absent = self.absent_at.is_some_and(|at| at > silence.from);
        self.timed && cx.feature.align != Align::Bucket && is_shown && !was_absent
    }

    /// Ticks missed at the head or at the tail. A bar is due only where REST showed one that never came,
    /// a version with an event time only where REST was not seen to have none.
    pub(super) fn tell_silence(
        &mut self,
        cx: &mut Context<'_>,
        endpoint: Option<&Endpoint>,
        silence: Silence,
    ) {
        let quiet = match cx.feature.align {
            // One of before the silence, of another session perhaps, was not due in it.
            Align::Bucket => self.missed_bar.is_none_or(|end| end <= silence.from),
            Align::Time => {
                let news = self.news.iter().any(|n| self.lies_within(cx, n, &silence));
                !news && !self.is_timed(cx, endpoint, &silence) && polled_through(cx, endpoint, &silence)
            }
            Align::Arrival => false,
        };
        if quiet {
            cx.counts.sparse += 1;
        } else {
            self.tell_gap(cx, silence);
        }
    }

    /// Of a key that REST does not show nobody knows what is due.
    fn tell_gap(&self, cx: &mut Context<'_>, silence: Silence) {
        if self.rest_first.is_none() {
            return;
        }
        cx.counts.missed_ticks += silence.missed;
        // A silence that ends with a session is still one of that session.
        let at = match cx.feature.calendar.segment_at(silence.to) {
            Some(_) => silence.to,
            None => silence.to - Span(1),
        };
        let mut draft = Draft::new(Class::Gap, &self.label, at);
        draft.detail = format!("from={} to={} missed={}", silence.from, silence.to, silence.missed);
        draft.during_drop = cx.link.down_meets(silence.from, silence.to, Span::ZERO);
        cx.ledger.add(cx.index, draft, || (String::new(), String::new()));
    }

    /// A version that REST had not shown: within a step between ticks it shows that one was missed.
    pub(super) fn note_news(&mut self, cx: &mut Context<'_>, event: Option<Timestamp>, received: Timestamp) {
        let version =
            event.filter(|_| cx.feature.align != Align::Arrival).map_or(VersionId::Content, VersionId::Event);
        let news = News { version, received };
        for i in 0..self.gaps.len() {
            if version != VersionId::Content && self.lies_within(cx, &news, &self.gaps[i].silence) {
                self.gaps[i].news += 1;
            }
            if self.gaps[i].waits && self.rest_got_to(cx, &self.gaps[i].silence) {
                cx.later(received + cx.settle(), Task::Gap(self.gaps[i].number));
            }
        }
        // In a new connection nothing ticked yet, but what was heard before is no news.
        let heard = || self.newest_event.map(VersionId::Event);
        let last = self.cadence.last().map(|tick| tick.version).or_else(heard);
        let ticked = match (version, last) {
            (VersionId::Event(e), Some(VersionId::Event(last))) => e <= last + cx.feature.time_tolerance,
            (VersionId::Content, _) => match &self.align {
                AlignState::Arrival(state) => {
                    state.rest().zip(state.newest()).is_some_and(|(r, w)| compare::identical(cx.rules, r, w))
                }
                _ => false,
            },
            _ => false,
        };
        if !ticked && self.news.len() < NEWS_KEPT {
            self.news.push(news);
        }
    }
}

/// Whether REST's answers leave no stretch of a silence unseen.
fn polled_through(cx: &Context<'_>, endpoint: Option<&Endpoint>, silence: &Silence) -> bool {
    let step = cx.pace.interval + cx.settle();
    endpoint.is_some_and(|e| e.polled_through(silence.from, silence.to, step))
}
