//! One feature's streams and endpoints: finds the stream of a record, and hands it on.

mod absence;

use super::align_time::Poll;
use super::cadence::Pace;
use super::compare::{self, Rules, key_text};
use super::content::{Content, Spare};
use super::context::{Context, Counts, Deadline, Deadlines, remark};
use super::endpoint::Endpoint;
use super::extract::{Body, Extraction};
use super::intern::Interner;
use super::ledger::{Draft, Ledger};
use super::link::{Link, Opened};
use super::market_status::{MarketWatch, Shown};
use super::plan::SidePlan;
use super::sessions::Sessions;
use super::stream::{Stream, WsRecord};
use crate::contract::{Contract, Feature, Mode, Source};
use crate::model::json::Kind;
use crate::model::value::parse_instant;
use crate::model::{Class, Severity, Span, Timestamp};
use absence::Scopes;
use std::ops::Range;
use std::sync::Arc;

/// The feature as the contract has it.
#[derive(Debug, Clone)]
pub struct Spec {
    pub index: usize,
    pub feature: Feature,
    pub rules: Rules,
    settle: Span,
    /// Columns of the key, and of the event time.
    key: Vec<usize>,
    time: Option<usize>,
    /// Columns of the key that stand around a message's records: a list is whole for one value of each.
    scope: Vec<usize>,
    is_patch: bool,
}

#[derive(Debug, Clone)]
pub struct FeatureState {
    pub name: Arc<str>,
    pub spec: Spec,
    pub streams: Vec<Stream>,
    pub endpoints: Vec<Endpoint>,
    /// The texts in which parameters were met, and whose they are.
    endpoint_params: Interner,
    keys: Interner,
    scopes: Scopes,
    pub counts: Counts,
    pub traffic: Traffic,
    pub last_message: Option<Timestamp>,
    /// When the first answer of the present run came.
    first_answer: Option<Timestamp>,
    pub market_time: Span,
    pub connected_time: Span,
    pub sessions: Sessions,
    market: MarketWatch,
    /// The calendar does not know all of the time that was watched.
    pub beyond_calendar: bool,
    scratch: Content,
    key_bytes: Vec<u8>,
    touched: Vec<u32>,
}

/// What came and went.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    pub polls: u64,
    pub answers: u64,
    pub errors: u64,
    pub skipped: u64,
    pub rest_bytes: u64,
    pub rest_records: u64,
    pub ws_messages: u64,
    pub ws_in_hours: u64,
    pub ws_bytes: u64,
    pub ws_records: u64,
    /// Records of either side that `only` leaves out.
    pub out_of_scope: u64,
    pub first_message: Option<Timestamp>,
    pub last_message: Option<Timestamp>,
}

/// What surrounds a feature while it is judged.
#[derive(Debug)]
pub struct Surroundings<'s> {
    pub timeout: Span,
    pub link: &'s Link,
    pub ledger: &'s mut Ledger,
    pub deadlines: &'s mut Deadlines,
    pub spare: &'s mut Spare,
}

/// An answer of an endpoint, read along the plan.
#[derive(Debug)]
pub struct Answered<'a> {
    pub endpoint: usize,
    pub sent: Timestamp,
    pub received: Timestamp,
    pub text: &'a str,
    pub records: Range<usize>,
    pub extraction: &'a Extraction,
    pub plan: &'a SidePlan,
}

/// A message of this feature, read along the plan.
#[derive(Debug)]
pub struct Frame<'a> {
    pub at: Timestamp,
    pub opened: Opened,
    pub text: &'a str,
    pub body: Body,
    pub extraction: &'a Extraction,
    pub plan: &'a SidePlan,
}

fn context<'c>(
    spec: &'c Spec,
    counts: &'c mut Counts,
    stream: u32,
    around: &'c mut Surroundings<'_>,
) -> Context<'c> {
    Context {
        index: spec.index,
        stream,
        feature: &spec.feature,
        rules: &spec.rules,
        pace: Pace { interval: spec.feature.interval, settle: spec.settle },
        timeout: around.timeout,
        link: around.link,
        ledger: around.ledger,
        deadlines: around.deadlines,
        spare: around.spare,
        counts,
    }
}

impl Spec {
    fn new(index: usize, contract: &Contract, feature: &Feature) -> Spec {
        let column = |name: &String| feature.fields.iter().position(|f| f.name == *name);
        Spec {
            index,
            rules: Rules::new(contract, feature),
            settle: feature.settle,
            key: feature.key.iter().filter_map(column).collect(),
            time: feature.time.as_ref().and_then(column),
            scope: (feature.key.iter().filter_map(column))
                .filter(|&c| matches!(feature.fields[c].ws, Source::Root(_) | Source::Above(..)))
                .collect(),
            is_patch: feature.ws.mode == Mode::Patch,
            feature: feature.clone(),
        }
    }

    fn event_time(&self, content: &Content, near: Timestamp) -> Option<Timestamp> {
        let column = self.time?;
        match content.kind(column) {
            Kind::String | Kind::Number => {
                parse_instant(&content.scalar(column), self.feature.fields[column].zone, near)
            }
            _ => None,
        }
    }

    /// Whether what is first seen at `at` comes well after its feed began.
    fn comes_late(&self, at: Timestamp, feed_began: Option<Timestamp>) -> bool {
        feed_began.is_some_and(|began| at > began + self.feature.interval + self.settle)
    }

    /// `country=USA,symbol=SPY`
    fn label(&self, content: &Content) -> String {
        self.label_of(&self.key, content)
    }

    fn label_of(&self, columns: &[usize], content: &Content) -> String {
        compare::label(columns.iter().map(|&column| {
            let rule = &self.rules.columns[column];
            (rule.name.as_str(), key_text(rule, content.raw(column)))
        }))
    }
}

impl FeatureState {
    /// The drift of the stream that strays farthest from the promise, once one can be told.
    pub fn worst_drift(&self) -> Option<f64> {
        let least = self.spec.feature.limits.min_ticks;
        let measured = self.streams.iter().filter(|s| s.cadence.ticks >= least);
        let drifts = measured.filter_map(|s| s.drift(&self.spec).map(|(_, drift)| drift));
        drifts.max_by(|a, b| a.abs().total_cmp(&b.abs()))
    }

    pub fn new(index: usize, contract: &Contract, feature: &Feature) -> FeatureState {
        let spec = Spec::new(index, contract, feature);
        FeatureState {
            name: feature.name.clone(),
            counts: Counts::new(feature, &spec.rules),
            spec,
            streams: Vec::new(),
            endpoints: Vec::new(),
            endpoint_params: Interner::default(),
            keys: Interner::default(),
            scopes: Scopes::default(),
            traffic: Traffic::default(),
            last_message: None,
            first_answer: None,
            market_time: Span::ZERO,
            connected_time: Span::ZERO,
            sessions: Sessions::default(),
            market: MarketWatch::default(),
            beyond_calendar: false,
            scratch: Content::default(),
            key_bytes: Vec::new(),
            touched: Vec::new(),
        }
    }

    /// The endpoint with these parameters (their JSON text).
    pub fn endpoint(&mut self, params: &str) -> usize {
        if let Some(known) = self.endpoint_params.find(params.as_bytes()) {
            return known as usize;
        }
        // Another text of known parameters, in another order perhaps, or new ones.
        let fresh = Endpoint::new(params);
        let known = self.endpoints.iter().position(|e| e.has_params_of(&fresh));
        let number = known.unwrap_or_else(|| {
            self.endpoints.push(fresh);
            self.endpoints.len() - 1
        });
        self.endpoint_params.insert(params.as_bytes(), number as u32);
        number
    }

    /// The stream of the record in `scratch`; `Err` names the key field that it lacks.
    fn stream(&mut self) -> Result<usize, usize> {
        self.key_bytes.clear();
        for &column in &self.spec.key {
            if !matches!(self.scratch.kind(column), Kind::String | Kind::Number | Kind::Bool) {
                return Err(column);
            }
            self.key_bytes.extend_from_slice(self.scratch.raw(column).as_bytes());
            self.key_bytes.push(0);
        }
        if let Some(number) = self.keys.find(&self.key_bytes) {
            return Ok(number as usize);
        }
        // Another text of a known key, or a new one.
        let label = self.spec.label(&self.scratch);
        let canonical = canonical(&label);
        let number = self.keys.find(&canonical).unwrap_or_else(|| {
            let number = self.streams.len() as u32;
            let scope = self.scopes.enter(&self.spec.label_of(&self.spec.scope, &self.scratch), number);
            self.streams.push(Stream::new(label.into(), scope, &self.spec.feature));
            self.keys.insert(&canonical, number);
            number
        });
        self.keys.insert(&self.key_bytes, number);
        Ok(number as usize)
    }

    fn no_key(&self, column: usize, at: Timestamp, rest: bool, ledger: &mut Ledger) {
        let class = match self.scratch.kind(column) {
            Kind::Absent => Class::MissingField,
            Kind::Null => Class::NullField,
            _ => Class::WrongType,
        };
        let mut draft = Draft::new(class, &Arc::from(""), at);
        draft.field.clone_from(&self.spec.rules.columns[column].name);
        draft.detail =
            if rest { "a record without its key on REST" } else { "a record without its key" }.into();
        draft.severity = rest.then_some(Severity::Warn);
        let record = self.scratch.record().to_string();
        let records = if rest { (record, String::new()) } else { (String::new(), record) };
        ledger.add(self.spec.index, draft, || records);
    }

    /// Counts the record's members that nobody declared, one line per stream and field.
    fn unexpected(
        &mut self,
        stream: usize,
        extraction: &Extraction,
        index: usize,
        side: (&SidePlan, &str),
        at: Timestamp,
        rest: bool,
    ) {
        let (plan, text) = side;
        for unknown in extraction.unknown(extraction.record(index)) {
            let above = &plan.nodes[unknown.node as usize].path;
            let name = unknown.name.raw(text);
            let list = if unknown.row { &self.spec.rules.rows_at } else { &Default::default() };
            let list = if rest { &list.0 } else { &list.1 };
            let field = [list.as_str(), above.as_str(), name].iter().filter(|p| !p.is_empty()).fold(
                String::new(),
                |mut path, part| {
                    if !path.is_empty() {
                        path.push('/');
                    }
                    path.push_str(part);
                    path
                },
            );
            let values =
                || if rest { ("present".into(), String::new()) } else { (String::new(), "present".into()) };
            remark(&mut self.streams[stream].remarks, Class::UnexpectedField, &field, at, values);
        }
    }

    // ---- the two sides ----

    pub fn on_rest(&mut self, answered: Answered<'_>, around: &mut Surroundings<'_>) {
        let Answered { endpoint, sent, received, text, records, extraction, plan } = answered;
        self.traffic.answers += 1;
        let feature = &self.spec.feature;
        self.sessions.answered(endpoint, received, feature.rest.poll, &feature.calendar);
        let feed_began = *self.first_answer.get_or_insert(received);
        let before = self.endpoints[endpoint].last;
        // A list with a record whose key cannot be read may be whole, or not.
        let mut is_whole = self.spec.feature.rest.mode == Mode::Snapshot;
        self.touched.clear();
        self.counts.timeline.at(received).rest += records.len() as u64;
        for index in records {
            self.traffic.rest_records += 1;
            let source = (text, self.endpoints[endpoint].params.as_slice());
            self.scratch.fill(plan, extraction, index, source, around.spare);
            if !self.scratch.in_scope(plan) {
                self.traffic.out_of_scope += 1;
                continue;
            }
            let number = match self.stream() {
                Ok(number) => number,
                Err(column) => {
                    self.no_key(column, received, true, around.ledger);
                    is_whole = false;
                    continue;
                }
            };
            self.unexpected(number, extraction, index, (plan, text), received, true);
            let known = extraction.record(index).event;
            let event = known.or_else(|| self.spec.event_time(&self.scratch, received));
            self.status_shown(number, compare::Side::Rest, sent, received, around.ledger);
            let stream = &mut self.streams[number];
            stream.first_sight(self.spec.comes_late(received, Some(feed_began)));
            // The poll before, where it did not show the stream.
            let absent_before = before
                .filter(|(_, r)| stream.rest_last.is_none_or(|(_, shown)| shown != *r && shown != received));
            let poll = Poll { sent, received, absent_before: absent_before.map(|(s, _)| s) };
            if stream.endpoint.replace(endpoint) != Some(endpoint) {
                self.endpoints[endpoint].streams.insert(number as u32);
            }
            self.counts.proof.rest_showed(&self.spec.rules, number as u32, &self.scratch);
            let mut cx = context(&self.spec, &mut self.counts, number as u32, around);
            stream.on_rest(&mut cx, event, &self.scratch, poll);
            if self.touched.last() != Some(&(number as u32)) {
                self.touched.push(number as u32);
            }
        }
        for &number in &self.touched {
            let mut cx = context(&self.spec, &mut self.counts, number, around);
            let poll = Poll { sent, received, absent_before: None };
            self.streams[number as usize].answer_read(&mut cx, poll);
            self.streams[number as usize].listed(&mut cx, sent, received, true);
        }
        if is_whole {
            // Those that this endpoint showed last, and no longer does.
            for &number in &self.endpoints[endpoint].streams {
                let stream = &mut self.streams[number as usize];
                let is_gone = stream.rest_last.is_some_and(|last| last != (sent, received));
                if stream.endpoint == Some(endpoint) && is_gone {
                    let mut cx = context(&self.spec, &mut self.counts, number, around);
                    stream.listed(&mut cx, sent, received, false);
                }
            }
        }
        let step = self.spec.feature.interval + self.spec.settle;
        self.endpoints[endpoint].answered(sent, received, step);
    }

    pub fn on_message(&mut self, frame: Frame<'_>, around: &mut Surroundings<'_>) {
        let Frame { at, opened, text, extraction, plan, .. } = frame;
        let records = frame.body.records.clone();
        // A list with a record whose key cannot be read may be whole, or not.
        let mut is_whole = true;
        self.touched.clear();
        self.traffic.first_message.get_or_insert(at);
        self.traffic.last_message = Some(at);
        self.traffic.ws_in_hours += u64::from(self.spec.feature.calendar.segment_at(at).is_some());
        self.counts.timeline.at(at).ws += records.len() as u64;
        for index in records {
            self.traffic.ws_records += 1;
            self.scratch.fill(plan, extraction, index, (text, &[]), around.spare);
            if !self.scratch.in_scope(plan) {
                self.traffic.out_of_scope += 1;
                continue;
            }
            let number = match self.stream() {
                Ok(number) => number,
                Err(column) => {
                    self.no_key(column, at, false, around.ledger);
                    is_whole = false;
                    continue;
                }
            };
            self.unexpected(number, extraction, index, (plan, text), at, false);
            if self.streams[number].presence.is_some() {
                self.touched.push(number as u32);
                let cx = context(&self.spec, &mut self.counts, number as u32, around);
                self.streams[number].said_there(&cx, at, true);
            }
            let mut known = extraction.record(index).event;
            if self.spec.is_patch {
                let mut cx = context(&self.spec, &mut self.counts, number as u32, around);
                match self.streams[number].folded(&mut cx, opened.epoch, &self.scratch) {
                    Some(folded) => self.scratch = folded,
                    None => continue,
                }
                known = None;
            }
            let event = known.or_else(|| self.spec.event_time(&self.scratch, at));
            self.streams[number].first_sight(self.spec.comes_late(at, self.first_answer));
            self.status_shown(number, compare::Side::Ws, at, at, around.ledger);
            let record =
                WsRecord { at, epoch: opened.epoch, opened: opened.at, event, content: &self.scratch };
            let mut cx = context(&self.spec, &mut self.counts, number as u32, around);
            self.streams[number].on_ws(&mut cx, record);
        }
        self.told_absent(&frame, is_whole, around);
    }

    pub fn judge(&mut self, deadline: Deadline, around: &mut Surroundings<'_>) {
        let stream = &mut self.streams[deadline.stream as usize];
        let endpoint = endpoint_of(stream, &self.endpoints);
        let mut cx = context(&self.spec, &mut self.counts, deadline.stream, around);
        stream.judge(&mut cx, endpoint, deadline.task, deadline.at);
    }

    pub fn on_close(&mut self, closed: Opened, at: Timestamp, around: &mut Surroundings<'_>) {
        for (number, stream) in self.streams.iter_mut().enumerate() {
            let until = shown_until(stream, &self.endpoints);
            let endpoint = endpoint_of(stream, &self.endpoints);
            let mut cx = context(&self.spec, &mut self.counts, number as u32, around);
            stream.closed(&mut cx, closed.epoch, closed.at, at, (endpoint, until));
        }
    }

    /// Holds the status in `scratch` against the market's calendar.
    fn status_shown(
        &mut self,
        stream: usize,
        side: compare::Side,
        from: Timestamp,
        at: Timestamp,
        ledger: &mut Ledger,
    ) {
        let label = &self.streams[stream].label;
        let shown = Shown { stream, label, side, content: &self.scratch, from, at };
        self.market.shown(self.spec.index, &self.spec.feature, self.spec.settle, &shown, ledger);
    }

    /// An endpoint gave no usable answer.
    pub fn unanswered(&mut self, params: &str, at: Timestamp) {
        let endpoint = self.endpoint(params);
        self.sessions.asked(endpoint, at, &self.spec.feature.calendar);
    }

    pub fn link_is(&mut self, up: bool, at: Timestamp) {
        self.sessions.link_is(up, at, &self.spec.feature.calendar);
    }

    // ---- ends ----

    /// A run ends.
    pub fn end(&mut self, began: Timestamp, at: Timestamp, around: &mut Surroundings<'_>) {
        let calendar = self.spec.feature.calendar.clone();
        self.market_time = self.market_time + calendar.market_time(began, at);
        self.sessions.end(at, &calendar);
        self.market.end(self.spec.index, &self.spec.feature, around.ledger);
        self.beyond_calendar |= !calendar.knows(began, at);
        for (from, to) in around.link.up_times(at) {
            self.connected_time = self.connected_time + calendar.market_time(from, to);
        }
        let opened = around.link.connections().first().map(|o| o.at);
        for (number, stream) in self.streams.iter_mut().enumerate() {
            let until = shown_until(stream, &self.endpoints).min(at);
            stream.gone = until < at;
            watch(stream, &calendar, around.link, (at, until));
            let endpoint = endpoint_of(stream, &self.endpoints);
            let mut cx = context(&self.spec, &mut self.counts, number as u32, around);
            stream.end(&mut cx, endpoint, opened, until);
        }
        let answered = self.endpoints.iter().filter_map(|e| e.last).map(|(sent, _)| sent).max();
        for stream in &mut self.streams {
            // A key that REST had the time to show and never did.
            let known = stream.rest_first.is_some() || stream.shown_by_rest;
            if let (false, Some(first), Some(last)) = (known, stream.ws_first, answered)
                && last > first + self.spec.settle
            {
                stream.unknown_since.get_or_insert(first);
            }
            stream.shown_by_rest |= stream.rest_first.is_some();
            stream.rest_first = None;
            stream.rest_last = None;
            stream.ws_first = None;
        }
        self.endpoints.iter_mut().for_each(Endpoint::end);
        self.counts.proof.end();
        self.first_answer = None;
    }

    /// All runs are over: what is told once per stream.
    pub fn finish(&mut self, ledger: &mut Ledger) {
        let limits = &self.spec.feature.limits;
        for stream in &mut self.streams {
            if let Some(at) = stream.unknown_since.filter(|_| !stream.shown_by_rest) {
                let mut draft = Draft::new(Class::UnknownStream, &stream.label, at);
                draft.severity = super::raised(limits.strict_streams);
                draft.detail = format!("{} messages of a key that REST never shows", stream.ws_records);
                ledger.add(self.spec.index, draft, || (String::new(), String::new()));
            }
            for kept in std::mem::take(&mut stream.remarks) {
                let mut draft = Draft::new(kept.class, &stream.label, kept.at);
                draft.field = kept.field;
                draft.rest = kept.rest;
                draft.ws = kept.ws;
                draft.detail = format!("{} times", kept.count);
                draft.severity =
                    super::raised(limits.strict_types).filter(|_| kept.class == Class::TypeDiffers);
                ledger.add(self.spec.index, draft, || (String::new(), String::new()));
            }
            stream.tell_pace(&self.spec, ledger);
        }
    }

    /// Pace of a stream of this feature.
    pub fn pace(&self) -> Pace {
        Pace { interval: self.spec.feature.interval, settle: self.spec.settle }
    }
}

impl Spec {
    pub fn pace(&self) -> Pace {
        Pace { interval: self.feature.interval, settle: self.settle }
    }
}

/// A stream's label as a key beside the raw ones, told apart by a byte that no JSON text begins with.
fn canonical(label: &str) -> Vec<u8> {
    [&[1], label.as_bytes()].concat()
}

/// The endpoint that shows a stream; where none has, the only one there is.
fn endpoint_of<'e>(stream: &Stream, endpoints: &'e [Endpoint]) -> Option<&'e Endpoint> {
    match (stream.endpoint, endpoints) {
        (Some(i), _) => endpoints.get(i),
        (None, [only]) => Some(only),
        _ => None,
    }
}

/// Until when ticks of a stream were due: REST's last sight of it, where REST shows it no longer.
fn shown_until(stream: &Stream, endpoints: &[Endpoint]) -> Timestamp {
    match (stream.rest_last, stream.endpoint.and_then(|e| endpoints[e].last)) {
        (Some((_, shown)), Some((_, last))) if shown < last => shown,
        _ => Timestamp::MAX,
    }
}

/// Market time with a connection: since the stream's first sight, as long as REST showed it, and without a message
/// of it.
fn watch(
    stream: &mut Stream,
    calendar: &crate::calendar::CalendarRule,
    link: &Link,
    (at, until): (Timestamp, Timestamp),
) {
    let market = |from: Timestamp, to: Timestamp| {
        link.up_times(at).fold(Span::ZERO, |sum, (a, b)| sum + calendar.market_time(a.max(from), b.min(to)))
    };
    if let Some(first) = stream.rest_first.into_iter().chain(stream.ws_first).min() {
        stream.watched = stream.watched + market(first, until);
    }
    if let (Some(first), Some((_, last)), 0) = (stream.rest_first, stream.rest_last, stream.ws_records) {
        stream.unheard = stream.unheard + market(first, last);
    }
}
