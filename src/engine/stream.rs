//! One stream: all records of one feature with one key. Its state is small and does not grow with
//! the run: the alignment's last versions, the cadence, counters.

use super::align_arrival::{Answer, ArrivalState};
use super::align_bucket::{BucketState, BucketTick};
use super::align_time::{Poll, Seen, Sight, TimeState};
use super::cadence::{CadenceState, EventPace, SegmentId, Silence, SilenceKind, Tick, VersionId};
use super::compare::{self, Issue, Side, same_content};
use super::content::Content;
use super::context::{Context, Remark, Task};
use super::endpoint::Endpoint;
use super::feature::Spec;
use super::ledger::{Draft, Ledger};
use crate::contract::{Align, Cadence, Feature};
use crate::model::{Class, Severity, Span, Timestamp};
use std::sync::Arc;

/// First delays kept until the stream's smallest is known.
const EARLY_DELAYS: usize = 8;
/// REST versions remembered between two ticks; more are counted as more than none.
const NEWS_KEPT: usize = 16;

#[derive(Debug)]
pub struct Stream {
    pub label: Arc<str>,
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
    /// Market time with a connection since its first sight.
    pub watched: Span,
    /// REST has shown it in any run.
    pub shown_by_rest: bool,
    /// Its first message, where REST had the time to show its key and did not.
    pub unknown_since: Option<Timestamp>,
    align: AlignState,
    /// REST versions first shown since the last tick.
    news: Vec<News>,
    /// A bar was judged missing since the last tick.
    missed_since_tick: bool,
    gaps: Vec<PendingGap>,
    next_gap: u64,
    delays: Delays,
    streak: Streak,
    last_ws: Option<(Timestamp, Content)>,
    last_event: Option<Timestamp>,
    newest_event: Option<Timestamp>,
    last_epoch: Option<u32>,
    issues_ws: Vec<Issue>,
    /// The last REST record without an event time.
    untimed: Option<Content>,
    last_tick: Option<Timestamp>,
}

#[derive(Debug)]
enum AlignState {
    Time(TimeState),
    Arrival(ArrivalState),
    Bucket(BucketState),
}

#[derive(Debug, Clone, Copy)]
struct News {
    version: VersionId,
    received: Timestamp,
}

#[derive(Debug)]
struct PendingGap {
    number: u64,
    silence: Silence,
    /// REST versions within it so far.
    news: u64,
}

/// Arrival minus event time, above the smallest seen.
#[derive(Debug, Default)]
struct Delays {
    smallest: Option<Span>,
    early: Vec<(Span, Timestamp, Timestamp)>,
}

/// Messages in a row that repeat one version.
#[derive(Debug, Default)]
struct Streak {
    since: Option<Timestamp>,
    last: Option<Timestamp>,
    messages: u64,
    rest_newer: u64,
    told: bool,
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
    pub fn new(label: Arc<str>, feature: &Feature) -> Stream {
        let align = match feature.align {
            Align::Time => AlignState::Time(TimeState::default()),
            Align::Arrival => AlignState::Arrival(ArrivalState::default()),
            Align::Bucket => AlignState::Bucket(BucketState::default()),
        };
        Stream {
            label,
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
            watched: Span::ZERO,
            shown_by_rest: false,
            unknown_since: None,
            align,
            news: Vec::new(),
            missed_since_tick: false,
            gaps: Vec::new(),
            next_gap: 0,
            delays: Delays::default(),
            streak: Streak::default(),
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
            // Without its event time it cannot be aligned; that is a finding already.
            (_, None) => {}
        }
        self.tick(cx, record);
        self.last_epoch = Some(epoch);
        self.ws_last = Some(at);
        self.last_event = event;
        match &mut self.last_ws {
            Some((last, kept)) => {
                *last = at;
                if !kept.same_text(content) {
                    kept.clone_from(content);
                }
            }
            None => self.last_ws = Some((at, content.clone())),
        }
    }

    /// Whether the delay of this event time means anything. The first message of a bar that is sent while
    /// it forms comes with its first trade; one that was judged missing tells by itself that it is late.
    fn tells_delay(&self, event: Timestamp) -> bool {
        match &self.align {
            AlignState::Bucket(state) => state.sends_once(event) && !state.is_missing(event),
            _ => true,
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
            self.issues_ws = compare::inspect(cx.rules, content, Side::Ws, at);
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

    /// `late`: the first arrival of a version beyond `max_delay` above the stream's smallest delay.
    fn delay(&mut self, cx: &mut Context<'_>, at: Timestamp, event: Timestamp, first_after_open: bool) {
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
        } else if self.delays.early.len() < EARLY_DELAYS {
            self.delays.early.push((delay, at, event));
        }
        if known.is_some_and(|known| smallest < known) {
            // What passed for timely before the smallest delay was known.
            let (late, early) = self.delays.early.drain(..).partition(|(d, _, _)| *d > limit);
            self.delays.early = early;
            let late: Vec<(Span, Timestamp, Timestamp)> = late;
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
        let repeated = match &self.align {
            AlignState::Time(_) => event == self.last_event && same_content(cx.rules, kept, content),
            AlignState::Arrival(_) => {
                cx.feature.cadence == Cadence::Periodic && same_content(cx.rules, kept, content)
                    || kept.same_text(content)
            }
            AlignState::Bucket(state) => event.is_some_and(|e| state.repeats(cx, e, at, content)),
        };
        if repeated {
            let mut draft = Draft::new(Class::Duplicate, &self.label, at);
            draft.event_time = event;
            draft.delta = (at - *last).to_string();
            draft.detail = format!("{} after the same version", at - *last);
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
        if arrived.tick {
            self.last_tick = Some(at);
            self.missed_since_tick = false;
            match version {
                VersionId::Event(event) => {
                    self.news.retain(|n| matches!(n.version, VersionId::Event(e) if e > event));
                }
                _ => self.news.clear(),
            }
        }
    }

    // ---- gaps ----

    /// A silence over missed ticks waits a settle: REST may yet show what lay within it.
    fn hold_gap(&mut self, cx: &mut Context<'_>, silence: Silence) {
        let number = self.next_gap;
        self.next_gap += 1;
        let news = self.news.iter().filter(|n| self.lies_within(cx, n, &silence)).count() as u64;
        self.gaps.push(PendingGap { number, silence, news });
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
                e > b + tolerance && (e + tolerance < a || early)
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

    pub fn judge_gap(&mut self, cx: &mut Context<'_>, endpoint: Option<&Endpoint>, number: u64) {
        let Some(i) = self.gaps.iter().position(|g| g.number == number) else { return };
        let gap = self.gaps.remove(i);
        if gap.news == 0 && polled_through(cx, endpoint, &gap.silence) {
            cx.counts.sparse += 1;
        } else {
            self.tell_gap(cx, gap.silence);
        }
    }

    /// Ticks missed at the head or at the tail. A bar is due only where REST showed one that never came,
    /// a version with an event time only where REST was not seen to have none.
    fn tell_silence(&mut self, cx: &mut Context<'_>, endpoint: Option<&Endpoint>, silence: Silence) {
        let quiet = match cx.feature.align {
            Align::Bucket => !self.missed_since_tick,
            Align::Time => {
                let news = self.news.iter().any(|n| self.lies_within(cx, n, &silence));
                !news && polled_through(cx, endpoint, &silence)
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

    // ---- REST's side ----

    pub fn on_rest(&mut self, cx: &mut Context<'_>, event: Option<Timestamp>, content: &Content, poll: Poll) {
        let first_answer = self.rest_first.is_none_or(|first| first == poll.received);
        self.rest_first.get_or_insert(poll.received);
        self.rest_last = Some((poll.sent, poll.received));
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
            if !first_answer {
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
        for issue in compare::inspect(cx.rules, content, Side::Rest, at) {
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

    /// A version that REST had not shown: within a step between ticks it shows that one was missed.
    fn note_news(&mut self, cx: &Context<'_>, event: Option<Timestamp>, received: Timestamp) {
        let version =
            event.filter(|_| cx.feature.align != Align::Arrival).map_or(VersionId::Content, VersionId::Event);
        let news = News { version, received };
        for i in 0..self.gaps.len() {
            if version != VersionId::Content && self.lies_within(cx, &news, &self.gaps[i].silence) {
                self.gaps[i].news += 1;
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

    // ---- frozen ----

    fn frozen_ws(&mut self, cx: &mut Context<'_>, record: WsRecord<'_>) {
        let same = match (&self.align, &self.last_ws) {
            (_, None) => false,
            (AlignState::Arrival(_), Some((_, last))) => same_content(cx.rules, last, record.content),
            (_, Some(_)) => record.event.is_some() && record.event == self.last_event,
        };
        if !same {
            self.streak = Streak { since: Some(record.at), ..Streak::default() };
        }
        self.streak.messages += 1;
        self.streak.last = Some(record.at);
        self.tell_frozen(cx, record.event, record.at);
    }

    fn frozen_rest(&mut self, cx: &mut Context<'_>, event: Option<Timestamp>, poll: Poll) {
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
        self.tell_frozen(cx, self.last_event, poll.received);
    }

    fn tell_frozen(&mut self, cx: &mut Context<'_>, event: Option<Timestamp>, at: Timestamp) {
        let (Some(since), Some(last)) = (self.streak.since, self.streak.last) else { return };
        let streak = &self.streak;
        let long = last - since >= cx.pace.interval * 2;
        if streak.told || streak.messages < 3 || !long || streak.rest_newer < 2 {
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

    // ---- pace over all runs ----

    /// The stream's period and its drift against the promise; with too few ticks for the check none.
    pub fn drift(&self, spec: &Spec) -> Option<(Span, f64)> {
        let period = self.cadence.period()?;
        let interval = spec.feature.interval;
        Some((period, (period - interval).0 as f64 / interval.0 as f64))
    }

    /// `interval_drift` and `jitter`, against the promise and against what REST really does.
    pub fn tell_pace(&self, spec: &Spec, ledger: &mut Ledger) {
        let limits = &spec.feature.limits;
        if self.cadence.ticks < limits.min_ticks
            || spec.feature.cadence == Cadence::OnChange
            || !self.shown_by_rest
        {
            return;
        }
        let (Some((period, drift)), Some(at)) = (self.drift(spec), self.last_tick) else { return };
        let interval = spec.feature.interval;
        let rest = self.event_pace.period().filter(|_| self.event_pace.versions >= limits.min_ticks);
        let apart = |a: Span, b: Span| (a - b).0 as f64 / b.0 as f64;
        // A breach of REST alone is no finding.
        let against_rest = rest
            .filter(|rest| apart(*rest, interval).abs() <= limits.drift)
            .map(|rest| (rest, apart(period, rest)))
            .filter(|(_, apart)| apart.abs() > limits.drift);
        if drift.abs() > limits.drift || against_rest.is_some() {
            let mut draft = Draft::new(Class::IntervalDrift, &self.label, at);
            draft.rest = rest.map(|r| r.estimate_of(interval).to_string()).unwrap_or_default();
            draft.ws = period.estimate_of(interval).to_string();
            draft.delta = format!("{:+.2}%", drift * 100.0);
            draft.detail = match against_rest {
                Some((rest, apart)) if drift.abs() <= limits.drift => {
                    format!("{:+.2}% against REST's {}", apart * 100.0, rest.estimate_of(interval))
                }
                _ => format!("promised {interval}, over {} ticks", self.cadence.ticks),
            };
            ledger.add(spec.index, draft, || (String::new(), String::new()));
        }
        let jitter = self.cadence.jitter(period, spec.pace()).quantiles();
        if jitter.p95.0 as f64 > limits.jitter * interval.0 as f64 {
            let mut draft = Draft::new(Class::Jitter, &self.label, at);
            draft.ws = jitter.p95.to_string();
            draft.delta = format!("{:.1}%", jitter.p95.0 as f64 / interval.0 as f64 * 100.0);
            draft.detail = format!("95 % of steps within {}, the greatest {}", jitter.p95, jitter.max);
            ledger.add(spec.index, draft, || (String::new(), String::new()));
        }
    }

    // ---- deadlines, ends ----

    pub fn judge(&mut self, cx: &mut Context<'_>, endpoint: Option<&Endpoint>, task: Task, at: Timestamp) {
        let label = self.label.clone();
        match (&mut self.align, task) {
            (AlignState::Time(state), Task::Pending(n)) => state.judge(cx, &label, n, &mut self.remarks),
            (AlignState::Time(state), Task::Stale(n)) => state.judge_stale(n, &mut self.remarks),
            (AlignState::Arrival(state), Task::Pending(n)) => state.judge(cx, &label, n, &mut self.remarks),
            (AlignState::Bucket(state), Task::Bucket(event)) => {
                let tick = state.judge(cx, &label, event, &mut self.remarks);
                self.missed_since_tick |= state.is_missing(event);
                if let Some(tick) = tick {
                    self.bucket_tick(cx, tick);
                }
            }
            (AlignState::Bucket(state), Task::Revised(event)) => {
                state.judge_revised(cx, &label, event, at, &mut self.remarks);
            }
            (_, Task::Gap(n)) => self.judge_gap(cx, endpoint, n),
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
        self.missed_since_tick = false;
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
        };
        for tick in ticks {
            self.bucket_tick(cx, tick);
        }
        for number in self.gaps.iter().map(|g| g.number).collect::<Vec<_>>() {
            self.judge_gap(cx, endpoint, number);
        }
        if let Some(opened) = opened {
            self.end_segment(cx, endpoint, opened, to);
        }
        self.cadence.pause();
        self.event_pace.pause();
        self.news.clear();
        self.streak = Streak::default();
        self.ws_last = None;
        // Another run may have another clock.
        self.delays = Delays::default();
        self.last_ws = None;
        self.last_event = None;
        self.newest_event = None;
        self.last_epoch = None;
        self.untimed = None;
    }
}

/// Whether REST's answers leave no stretch of a silence unseen.
fn polled_through(cx: &Context<'_>, endpoint: Option<&Endpoint>, silence: &Silence) -> bool {
    let step = cx.pace.interval + cx.settle();
    endpoint.is_some_and(|e| e.polled_through(silence.from, silence.to, step))
}
