//! One stream: all records of one feature with one key. Its state is small and does not grow with
//! the run: the alignment's last versions, the cadence, counters.

mod delays;
mod frozen;
mod gaps;
mod pace;

use super::align_arrival::{Answer, ArrivalState};
use super::align_bucket::{BucketState, BucketTick};
use super::align_latest::LatestState;
use super::align_time::{Poll, Seen, Sight, TimeState};
use super::cadence::{CadenceState, EventPace, SegmentId, SilenceKind, Tick, VersionId};
use super::compare::{self, Issue, Side, same_content};
use super::content::Content;
use super::context::{Context, Remark, Task};
use super::endpoint::Endpoint;
use super::ledger::Draft;
use super::presence::Presence;
use crate::contract::{Align, Cadence, Feature, Mode};
use crate::model::json::Kind;
use crate::model::{Class, Severity, Span, Timestamp};
use delays::Delays;
use frozen::Streak;
use gaps::{News, PendingGap};
use std::sync::Arc;

#[derive(Debug, Clone)]
pub struct Stream {
    pub label: Arc<str>,
    /// Of the part of its key that stands around a message's records.
    pub scope: u32,
    /// The endpoint that shows it.
    pub endpoint: Option<usize>,
    pub rest_first: Option<Timestamp>,
    /// The last poll that showed it: sent, received.
    pub rest_last: Option<(Timestamp, Timestamp)>,
    pub rest_versions: u64,
    /// REST versions seen first in a poll after the stream's first.
    pub born_versions: u64,
    pub ws_first: Option<Timestamp>,
    pub ws_last: Option<Timestamp>,
    pub ws_records: u64,
    /// Of them, within market hours.
    pub ws_in_hours: u64,
    pub cadence: CadenceState,
    pub event_pace: EventPace,
    pub remarks: Vec<Remark>,
    /// Market time with a connection since REST first showed it, while no message of it came.
    pub unheard: Span,
    /// It appeared well after its feed did.
    pub latecomer: bool,
    /// REST no longer showed it when the run ended.
    pub gone: bool,
    /// Market time with a connection from its first sight until the end, or until it was gone.
    pub watched: Span,
    /// REST has shown it in any run.
    pub shown_by_rest: bool,
    /// Its first message, where REST had the time to show its key and did not.
    pub unknown_since: Option<Timestamp>,
    /// Where either side says what is gone.
    pub presence: Option<Box<Presence>>,
    /// What patches are folded onto, and of which connection it is.
    patched: Option<Box<(u32, Content)>>,
    align: AlignState,
    /// REST versions first shown since the last tick.
    news: Vec<News>,
    /// The end of the last bar that was judged missing since the last tick.
    missed_bar: Option<Timestamp>,
    gaps: Vec<PendingGap>,
    next_gap: u64,
    delays: Delays,
    streak: Streak,
    /// It has repeated itself unchanged, tick after tick.
    timed: bool,
    /// The last answered poll that did not show it, as far as one that did tells.
    absent_at: Option<Timestamp>,
    last_ws: Option<(Timestamp, Content)>,
    last_event: Option<Timestamp>,
    newest_event: Option<Timestamp>,
    last_epoch: Option<u32>,
    issues_ws: Vec<Issue>,
    /// The last REST record without an event time.
    untimed: Option<Content>,
    last_tick: Option<Timestamp>,
}

#[derive(Debug, Clone)]
enum AlignState {
    Time(TimeState),
    Arrival(ArrivalState),
    Bucket(BucketState),
    /// Bars of which REST shows the latest closed one, without its time.
    Latest(LatestState),
}

/// A WebSocket record with what its frame tells.
#[derive(Debug, Clone, Copy)]
pub struct WsRecord<'r> {
    pub at: Timestamp,
    pub epoch: u32,
    pub opened: Timestamp,
    pub event: Option<Timestamp>,
    pub content: &'r Content,
}

impl Stream {
    pub fn new(label: Arc<str>, scope: u32, feature: &Feature) -> Stream {
        let tells_absence = feature.rest.mode == Mode::Snapshot || feature.ws.tells_removal();
        let align = match feature.align {
            Align::Time => AlignState::Time(TimeState::default()),
            Align::Arrival => AlignState::Arrival(ArrivalState::default()),
            Align::Bucket if feature.rest.latest_within.is_some() => {
                AlignState::Latest(LatestState::default())
            }
            Align::Bucket => AlignState::Bucket(BucketState::default()),
        };
        Stream {
            label,
            scope,
            endpoint: None,
            rest_first: None,
            rest_last: None,
            rest_versions: 0,
            born_versions: 0,
            ws_first: None,
            ws_last: None,
            ws_records: 0,
            ws_in_hours: 0,
            cadence: CadenceState::default(),
            event_pace: EventPace::default(),
            remarks: Vec::new(),
            unheard: Span::ZERO,
            latecomer: false,
            gone: false,
            watched: Span::ZERO,
            shown_by_rest: false,
            unknown_since: None,
            presence: tells_absence.then(Box::default),
            patched: None,
            align,
            news: Vec::new(),
            missed_bar: None,
            gaps: Vec::new(),
            next_gap: 0,
            delays: Delays::default(),
            streak: Streak::default(),
            timed: false,
            absent_at: None,
            last_ws: None,
            last_event: None,
            newest_event: None,
            last_epoch: None,
            issues_ws: Vec::new(),
            untimed: None,
            last_tick: None,
        }
    }

    /// Notes, at its first sight on either side, whether it came well after its feed began.
    pub fn first_sight(&mut self, late: bool) {
        if !self.shown_by_rest && self.rest_first.is_none() && self.ws_records == 0 {
            self.latecomer = late;
        }
    }

    /// Since when it could have ticked in a connection opened at `opened`: the connection is open,
    /// and the stream is known.
    fn known_from(&self, opened: Timestamp) -> Option<Timestamp> {
        match (self.rest_first, self.ws_first) {
            (Some(rest), _) if self.ws_first.is_none_or(|ws| rest < ws) => Some(rest.max(opened)),
            (_, Some(ws)) => Some(ws.max(opened)),
            (rest, None) => rest.map(|rest| rest.max(opened)),
        }
    }

    // ---- the WebSocket's side ----

    /// The record that a patch leaves, of all that this connection said of the stream; `None` while not all of it
    /// is known.
    pub fn folded(&mut self, cx: &mut Context<'_>, epoch: u32, patch: &Content) -> Option<Content> {
        let names: Vec<&str> = cx.rules.columns.iter().map(|rule| rule.name.as_str()).collect();
        let before = self.patched.as_deref().filter(|(of, _)| *of == epoch).map(|(_, before)| before);
        let folded = match before {
            Some(before) => patch.onto(before, &names),
            None => patch.clone(),
        };
        self.patched = Some(Box::new((epoch, folded.clone())));
        let mut columns = cx.rules.columns.iter().enumerate();
        let whole = columns.all(|(column, rule)| !rule.is_needed() || folded.kind(column) != Kind::Absent)
            && (!cx.rules.has_rows || folded.rows_kind != Kind::Absent);
        if !whole {
            cx.counts.unjudged_head += 1;
        }
        whole.then_some(folded)
    }

    /// Whether a message says that the record is there, or that it is gone.
    pub fn said_there(&mut self, cx: &Context<'_>, at: Timestamp, there: bool) {
        if let Some(presence) = &mut self.presence {
            presence.on_ws(cx, at, there);
        }
        if !there {
            self.patched = None;
        }
    }

    /// Whether an answer lists it.
    pub fn listed(&mut self, cx: &mut Context<'_>, sent: Timestamp, received: Timestamp, listed: bool) {
        if let Some(presence) = &mut self.presence {
            presence.on_rest(cx, sent, received, listed);
        }
    }

    pub fn on_ws(&mut self, cx: &mut Context<'_>, record: WsRecord<'_>) {
        let WsRecord { at, epoch, event, content, .. } = record;
        let first_after_open = self.last_epoch != Some(epoch);
        self.ws_records += 1;
        self.ws_in_hours += u64::from(cx.feature.calendar.segment_at(at).is_some());
        self.ws_first.get_or_insert(at);
        self.inspect_ws(cx, at, event, content);
        if let Some(event) = event.filter(|e| self.tells_delay(*e)) {
            self.delay(cx, at, event, first_after_open);
        }
        self.order(cx, at, event);
        self.repeat(cx, record);
        self.frozen_ws(cx, record);
        let mut closed = None;
        match (&mut self.align, event) {
            (AlignState::Arrival(state), _) => {
                state.on_ws(cx, &self.label, at, epoch, content, &mut self.remarks);
            }
            (AlignState::Time(state), Some(event)) => {
                state.on_ws(cx, Seen { label: &self.label, event, content }, at, &mut self.remarks);
            }
            (AlignState::Bucket(state), Some(event)) => {
                state.on_ws(cx, Seen { label: &self.label, event, content }, at, epoch);
            }
            (AlignState::Latest(state), Some(event)) => {
                closed = state.on_ws(cx, Seen { label: &self.label, event, content }, at, epoch);
            }
            // Without its event time it cannot be aligned; that is a finding already.
            (_, None) => {}
        }
        if let Some(tick) = closed {
            self.bucket_tick(cx, tick);
        }
        self.tick(cx, record);
        self.last_epoch = Some(epoch);
        self.ws_last = Some(at);
        self.last_event = event;
        match &mut self.last_ws {
            Some((last, kept)) => {
                *last = at;
                if !kept.same_text(content) {
                    cx.spare.give(std::mem::replace(kept, content.clone()));
                }
            }
            None => self.last_ws = Some((at, content.clone())),
        }
    }

    fn inspect_ws(
        &mut self,
        cx: &mut Context<'_>,
        at: Timestamp,
        event: Option<Timestamp>,
        content: &Content,
    ) {
        if !self.last_ws.as_ref().is_some_and(|(_, last)| last.same_text(content)) {
            self.issues_ws = compare::inspect(cx.rules, content, Side::Ws, at, event.and(cx.rules.time));
        }
        for issue in &self.issues_ws {
            let mut draft = Draft::new(issue.class, &self.label, at);
            draft.row.clone_from(&issue.row);
            draft.field.clone_from(&issue.field);
            draft.ws.clone_from(&issue.value);
            draft.event_time = event;
            cx.ledger.add(cx.index, draft, || (String::new(), content.record().to_string()));
        }
    }

    /// `out_of_order`, for `time` alone.
    fn order(&mut self, cx: &mut Context<'_>, at: Timestamp, event: Option<Timestamp>) {
        let Some(event) = event else { return };
        if let Some(newest) = self.newest_event
            && cx.feature.align == Align::Time
            && event + cx.feature.time_tolerance < newest
        {
            let mut draft = Draft::new(Class::OutOfOrder, &self.label, at);
            draft.event_time = Some(event);
            draft.ws = event.to_string();
            draft.detail = format!("after {newest}");
            cx.ledger.add(cx.index, draft, || (String::new(), String::new()));
        }
        self.newest_event = self.newest_event.max(Some(event));
    }

    /// `duplicate`: the same version again within half an interval.
    fn repeat(&mut self, cx: &mut Context<'_>, record: WsRecord<'_>) {
        let WsRecord { at, event, content, epoch, .. } = record;
        let Some((last, kept)) = &self.last_ws else { return };
        if self.streak.told || self.last_epoch != Some(epoch) || (at - *last).0 * 2 >= cx.pace.interval.0 {
            return;
        }
        let is_periodic = cx.feature.cadence == Cadence::Periodic;
        let repeated = match &self.align {
            // The version is its event time; on change, two changes may share one.
            AlignState::Time(_) => {
                event.is_some()
                    && event == self.last_event
                    && (is_periodic || same_content(cx.rules, kept, content))
            }
            AlignState::Arrival(_) => {
                is_periodic && same_content(cx.rules, kept, content)
                    || kept.same_text_but(content, &cx.rules.stamps)
            }
            AlignState::Bucket(state) => event.is_some_and(|e| state.repeats(cx, e, at, content)),
            // Repeating an unchanged bar while it forms is no duplicate.
            AlignState::Latest(_) => false,
        };
        if repeated {
            let mut draft = Draft::new(Class::Duplicate, &self.label, at);
            draft.event_time = event;
            draft.delta = (at - *last).to_string();
            let other = matches!(self.align, AlignState::Time(_)) && !same_content(cx.rules, kept, content);
            let with = if other { ", with another content" } else { "" };
            draft.detail = format!("{} after the same version{with}", at - *last);
            cx.ledger.add(cx.index, draft, || (String::new(), content.record().to_string()));
        }
    }

    fn tick(&mut self, cx: &mut Context<'_>, record: WsRecord<'_>) {
        if cx.feature.align == Align::Bucket {
            return;
        }
        let version = match (&self.align, record.event) {
            (AlignState::Time(_), Some(event)) => VersionId::Event(event),
            (AlignState::Arrival(_), _) => VersionId::Content,
            _ => VersionId::Unknown,
        };
        self.count_tick(cx, record.at, record.epoch, record.opened, version);
    }

    fn count_tick(
        &mut self,
        cx: &mut Context<'_>,
        at: Timestamp,
        epoch: u32,
        opened: Timestamp,
        version: VersionId,
    ) {
        if cx.feature.cadence == Cadence::OnChange {
            return;
        }
        let Some((session_open, _)) = cx.feature.calendar.segment_at(at) else { return };
        // A second connection beside the first may say the same again, or take the stream over.
        let beside = |tick: &Tick| tick.segment.epoch != epoch && cx.link.epoch_is_open(tick.segment.epoch);
        let echo = |tick: &Tick| (at - tick.at).0 * 2 < cx.pace.interval.0;
        if self.cadence.last().is_some_and(|tick| beside(&tick) && echo(&tick)) {
            return;
        }
        let tick = Tick { at, version, segment: SegmentId { epoch, session_open } };
        let known_from = self.known_from(opened);
        let arrived = self.cadence.arrived(tick, cx.pace, &cx.feature.calendar, known_from);
        for silence in arrived.silences {
            match silence.kind {
                SilenceKind::Step { .. } => self.hold_gap(cx, silence),
                _ if cx.feature.align == Align::Time => self.hold_gap(cx, silence),
                _ => self.tell_silence(cx, None, silence),
            }
        }
        cx.counts.timeline.stepped(at, arrived.late);
        if arrived.tick {
            self.last_tick = Some(at);
            self.missed_bar = None;
            match version {
                VersionId::Event(event) => {
                    self.news.retain(|n| matches!(n.version, VersionId::Event(e) if e > event));
                }
                _ => self.news.clear(),
            }
        }
    }

    // ---- REST's side ----

    pub fn on_rest(&mut self, cx: &mut Context<'_>, event: Option<Timestamp>, content: &Content, poll: Poll) {
        let first_answer = self.rest_first.is_none_or(|first| first == poll.received);
        self.rest_first.get_or_insert(poll.received);
        self.rest_last = Some((poll.sent, poll.received));
        self.absent_at = self.absent_at.max(poll.absent_before);
        let Stream { label, align, remarks, .. } = self;
        let sight = match (align, event) {
            (AlignState::Arrival(state), _) => {
                let Poll { sent, received, absent_before } = poll;
                state.on_rest(cx, Answer { label, sent, received, content, absent_before }, remarks)
            }
            (AlignState::Time(state), Some(event)) => {
                state.on_rest(cx, Seen { label, event, content }, poll, remarks)
            }
            (AlignState::Bucket(state), Some(event)) => {
                state.on_rest(cx, Seen { label, event, content }, poll)
            }
            (AlignState::Latest(state), _) => state.on_rest(cx, label, content, poll),
            // Without its event time it cannot be aligned; that is told once for each content.
            (_, None) if self.untimed.as_ref().is_some_and(|last| last.same_text(content)) => Sight::Again,
            (_, None) => {
                self.untimed.get_or_insert_default().clone_from(content);
                Sight::Changed
            }
        };
        if matches!(sight, Sight::Fresh | Sight::Changed) {
            self.inspect_rest(cx, event, content, poll.received);
        }
        if sight.is_fresh() {
            self.rest_versions += 1;
            if let Some(event) = event {
                self.event_pace.version(event, cx.pace.interval);
            }
            let is_latest = matches!(self.align, AlignState::Latest(_));
            if !first_answer && is_latest {
                // REST is late by as much as it likes: what it shows is no news of this moment.
                self.born_versions += 1;
            } else if !first_answer {
                self.born_versions += 1;
                self.note_news(cx, event, poll.received);
                self.frozen_rest(cx, event, poll);
            }
        }
    }

    /// A whole answer is read that showed this stream.
    pub fn answer_read(&mut self, cx: &mut Context<'_>, poll: Poll) {
        if let AlignState::Bucket(state) = &mut self.align {
            state.answer_read(cx, poll);
        }
    }

    /// REST's own faults are warnings.
    fn inspect_rest(
        &mut self,
        cx: &mut Context<'_>,
        event: Option<Timestamp>,
        content: &Content,
        at: Timestamp,
    ) {
        for issue in compare::inspect(cx.rules, content, Side::Rest, at, event.and(cx.rules.time)) {
            let mut draft = Draft::new(issue.class, &self.label, at);
            draft.row = issue.row;
            draft.field = issue.field;
            draft.rest = issue.value;
            draft.event_time = event;
            draft.severity = Some(Severity::Warn);
            draft.detail = "on REST".into();
            cx.ledger.add(cx.index, draft, || (content.record().to_string(), String::new()));
        }
    }

    // ---- deadlines, ends ----

    pub fn judge(&mut self, cx: &mut Context<'_>, endpoint: Option<&Endpoint>, task: Task, at: Timestamp) {
        let label = self.label.clone();
        match (&mut self.align, task) {
            (AlignState::Time(state), Task::Pending(n)) => state.judge(cx, &label, n, &mut self.remarks),
            (AlignState::Time(state), Task::Stale(n)) => state.judge_stale(n, &mut self.remarks),
            (AlignState::Arrival(state), Task::Pending(n)) => state.judge(cx, &label, n, &mut self.remarks),
            (AlignState::Latest(state), Task::Pending(n)) => state.judge(cx, &label, n, &mut self.remarks),
            (AlignState::Bucket(state), Task::Bucket(event)) => {
                let tick = state.judge(cx, &label, event, &mut self.remarks);
                if state.is_missing(event) {
                    self.missed_bar = self.missed_bar.max(Some(event + cx.pace.interval));
                }
                if let Some(tick) = tick {
                    self.bucket_tick(cx, tick);
                }
            }
            (AlignState::Bucket(state), Task::Revised(event)) => {
                state.judge_revised(cx, &label, event, at, &mut self.remarks);
            }
            (_, Task::Gap(n)) => self.judge_gap(cx, endpoint, n),
            (_, Task::Presence(n)) => {
                let last = self.last_ws.as_ref().map_or("", |(_, content)| content.record());
                if let Some(presence) = &mut self.presence {
                    presence.judge(cx, &label, n, last);
                }
            }
            _ => {}
        }
    }

    fn bucket_tick(&mut self, cx: &mut Context<'_>, tick: BucketTick) {
        let opened = cx.link.opened_at(tick.epoch).unwrap_or(tick.at);
        self.count_tick(cx, tick.at, tick.epoch, opened, VersionId::Event(tick.event));
    }

    /// A connection closed: what was due on it by then was due. `shown_by`: the endpoint that shows the
    /// stream, and until when it did.
    pub fn closed(
        &mut self,
        cx: &mut Context<'_>,
        epoch: u32,
        opened: Timestamp,
        at: Timestamp,
        shown_by: (Option<&Endpoint>, Timestamp),
    ) {
        if let AlignState::Arrival(state) = &mut self.align {
            state.closed(epoch, at);
        }
        if !cx.link.is_open() {
            self.streak = Streak::default();
        }
        if let Some(presence) = self.presence.as_mut().filter(|_| !cx.link.is_open()) {
            presence.closed(at);
        }
        let ticks_here = match self.cadence.last() {
            Some(tick) => tick.segment.epoch == epoch,
            None => !cx.link.is_open(),
        };
        if ticks_here {
            let (endpoint, until) = shown_by;
            self.end_segment(cx, endpoint, opened, at.min(until));
        }
    }

    fn end_segment(
        &mut self,
        cx: &mut Context<'_>,
        endpoint: Option<&Endpoint>,
        opened: Timestamp,
        to: Timestamp,
    ) {
        if cx.feature.cadence == Cadence::OnChange {
            return;
        }
        let mut known_from = self.known_from(opened);
        if cx.feature.align == Align::Bucket {
            // A bar that is not judged yet shows that the stream lives.
            known_from = known_from.max(self.ws_last.filter(|last| *last >= opened));
        }
        for silence in self.cadence.ended(to, cx.pace, &cx.feature.calendar, known_from) {
            self.tell_silence(cx, endpoint, silence);
        }
        self.news.clear();
        self.missed_bar = None;
    }

    /// The run ends. `opened`: when the connection that is still open was opened.
    pub fn end(
        &mut self,
        cx: &mut Context<'_>,
        endpoint: Option<&Endpoint>,
        opened: Option<Timestamp>,
        to: Timestamp,
    ) {
        let label = self.label.clone();
        let ticks = match &mut self.align {
            AlignState::Time(state) => {
                state.end(cx, &label, &mut self.remarks);
                Vec::new()
            }
            AlignState::Arrival(state) => {
                state.end(cx, &label);
                Vec::new()
            }
            AlignState::Bucket(state) => state.end(cx, &label, &mut self.remarks),
            AlignState::Latest(state) => {
                state.end(cx, &label, &mut self.remarks);
                Vec::new()
            }
        };
        for tick in ticks {
            self.bucket_tick(cx, tick);
        }
        for number in self.gaps.iter().map(|g| g.number).collect::<Vec<_>>() {
            // What REST has not shown by now it shows no more.
            self.gaps.iter_mut().for_each(|gap| gap.waits = true);
            self.judge_gap(cx, endpoint, number);
        }
        if let Some(opened) = opened {
            self.end_segment(cx, endpoint, opened, to);
        }
        self.cadence.pause();
        self.event_pace.pause();
        self.news.clear();
        self.streak = Streak::default();
        self.timed = false;
        self.absent_at = None;
        self.ws_last = None;
        // Another run may have another clock.
        self.delays = Delays::default();
        self.last_ws = None;
        self.last_event = None;
        self.newest_event = None;
        self.last_epoch = None;
        self.untimed = None;
        self.patched = None;
        if let Some(presence) = &mut self.presence {
            presence.end();
        }
    }
}
