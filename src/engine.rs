//! The engine: a fold over observations, with a small state per stream.
//!
//! It owns no clock, opens nothing, spawns nothing and cannot fail. Its time is the `at` of the last
//! observation; what has a deadline is judged at the first observation beyond it. `advance` may be
//! called at any time in between, or never: the result is the same.

pub mod align_arrival;
pub mod align_bucket;
mod align_latest;
pub mod align_time;
pub mod batch;
pub mod cadence;
pub mod clock_offset;
pub mod compare;
pub mod content;
pub mod context;
pub mod contrast;
pub mod endpoint;
pub mod extract;
mod feature;
pub mod frame;
pub mod frontend;
pub mod intern;
pub mod ledger;
pub mod link;
pub mod logs;
pub mod market_status;
pub mod plan;
mod presence;
pub mod proof;
pub mod reshape;
pub mod resources;
pub mod retired;
pub mod route;
pub mod sessions;
pub mod stream;
pub mod trace;

pub use batch::Batch;
use content::Spare;
pub use extract::Extraction;
pub use feature::FeatureState;
use feature::Surroundings;
pub use ledger::Sink;

use crate::contract::Contract;
use crate::model::json::NotJson;
use crate::model::outcome::{ConnectionOutcome, FeatureProgress, ProcessOutcome, Progress};
use crate::model::{
    Class, ClosedBy, EndReason, Event, Observation, Payload, Severity, Span, Start, Timestamp,
};
use crate::stats::Histogram;
use clock_offset::OffsetBounds;
use context::{Deadlines, Task};
use extract::{Body, Reading};
use frame::Routed;
use frontend::{Frontend, Request};
use ledger::{Draft, Ledger};
use link::Link;
use logs::LogWatch;
use plan::Plan;
use resources::Resources;
use std::sync::Arc;

/// Length of what is quoted of a server's text in a finding, in characters.
const QUOTED: usize = 200;

#[derive(Debug)]
pub struct Engine {
    contract: Arc<Contract>,
    plan: Arc<Plan>,
    link: Link,
    pub(crate) ledger: Ledger,
    pub(crate) features: Vec<FeatureState>,
    deadlines: Deadlines,
    spare: Spare,
    /// The body of the present observation, where it is read here.
    extraction: Extraction,
    /// A body read a second time: for another feature of its type, or kept for a 304.
    again: Extraction,
    pub(crate) run: RunState,
    pub(crate) frontend: Frontend,
    pub(crate) logs: LogWatch,
    pub(crate) resources: Resources,
    pub(crate) connection: ConnectionOutcome,
    rtt: Histogram,
    /// Drops whose end is not known yet: a drop counts when any part of its downtime is market time.
    drops: Vec<(u32, Draft)>,
}

/// What is known of the run as a whole.
#[derive(Debug, Clone, Default)]
pub struct RunState {
    pub start: Option<Start>,
    pub first: Option<Timestamp>,
    /// The watermark.
    pub last: Option<Timestamp>,
    pub observations: u64,
    /// Observations since the last `end`.
    pub running: bool,
    pub interrupted: bool,
    /// When the present run began.
    pub began: Option<Timestamp>,
    /// Polls of features that are not judged here, and the first of those.
    pub foreign_polls: u64,
    pub foreign_feature: Option<String>,
}

impl Engine {
    /// `sink` takes every finding as it is made.
    pub fn new(contract: Arc<Contract>, sink: Sink) -> Engine {
        let plan = Arc::new(Plan::compile(&contract));
        let features =
            contract.features.iter().enumerate().map(|(i, f)| FeatureState::new(i, &contract, f)).collect();
        Engine {
            plan,
            link: Link::default(),
            ledger: Ledger::new(contract.clone(), sink),
            features,
            deadlines: Deadlines::default(),
            spare: Spare::default(),
            extraction: Extraction::default(),
            again: Extraction::default(),
            run: RunState::default(),
            frontend: Frontend::new(&contract),
            logs: LogWatch::new(&contract.logs),
            resources: Resources::new(contract.clone()),
            connection: ConnectionOutcome::default(),
            rtt: Histogram::new(Span::from_micros(10)),
            drops: Vec::new(),
            contract,
        }
    }

    /// The features, and what surrounds them while they are judged.
    fn parts(&mut self) -> (&mut [FeatureState], Surroundings<'_>) {
        let around = Surroundings {
            timeout: self.contract.rest.timeout,
            link: &self.link,
            ledger: &mut self.ledger,
            deadlines: &mut self.deadlines,
            spare: &mut self.spare,
        };
        (&mut self.features, around)
    }

    /// Findings take both raw records along, all of them rather than the samples; for `explain`.
    pub fn keep_every_record(&mut self) {
        self.ledger.keep_every_record();
    }

    /// What an earlier run used, for `resources-flat`; to be told before `finish`.
    pub fn set_baseline(&mut self, processes: Vec<ProcessOutcome>) {
        self.resources.set_baseline(processes);
    }

    /// What each process used so far.
    pub fn processes(&self) -> Vec<ProcessOutcome> {
        self.resources.outcomes()
    }

    pub fn contract(&self) -> &Arc<Contract> {
        &self.contract
    }

    /// Judges what was due before `now`. Never changes a result, only when it is known.
    pub fn advance(&mut self, now: Timestamp) {
        while let Some(deadline) = self.deadlines.pop_before(now) {
            if let Task::Request(number) = deadline.task {
                self.frontend.judge(deadline.feature, number, &mut self.ledger);
                continue;
            }
            let (features, mut around) = self.parts();
            features[deadline.feature].judge(deadline, &mut around);
        }
    }

    /// What it would be if the run ended here, in order; this one goes on. Findings of the other go nowhere.
    pub fn as_if_ended(&self) -> Engine {
        let mut ended = Engine {
            contract: Arc::clone(&self.contract),
            plan: Arc::clone(&self.plan),
            link: self.link.clone(),
            ledger: self.ledger.unheard(),
            features: self.features.clone(),
            deadlines: self.deadlines.clone(),
            spare: Spare::default(),
            extraction: Extraction::default(),
            again: Extraction::default(),
            run: self.run.clone(),
            frontend: self.frontend.clone(),
            logs: self.logs.clone(),
            resources: self.resources.clone(),
            connection: self.connection.clone(),
            rtt: self.rtt.clone(),
            drops: self.drops.clone(),
        };
        if let (Some(last), true) = (ended.run.last, ended.run.running) {
            ended.end(last, false);
        }
        ended.finish();
        ended
    }

    /// The plan that bodies are read along.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Folds one observation in. The only error is a body that is no JSON although it was recorded
    /// as JSON: the line is damaged, and nothing of it has been taken.
    pub fn observe(&mut self, observation: &Observation<'_>) -> Result<(), NotJson> {
        let mut extraction = std::mem::take(&mut self.extraction);
        extraction.clear();
        // A body is read before anything is judged, so that a damaged line leaves no trace.
        let reading = extract::read(&self.plan, &observation.event, &mut extraction);
        let observed = reading.map(|reading| self.observe_read(observation, reading, &extraction));
        self.extraction = extraction;
        observed
    }

    /// Folds in one observation whose body has been read along this engine's plan, on whatever thread.
    pub fn observe_read(&mut self, observation: &Observation<'_>, reading: Reading, extraction: &Extraction) {
        let at = observation.at;
        self.advance(at);
        self.note(at);
        let Reading { routed, body } = reading;
        match &observation.event {
            Event::Start(start) => self.on_start(start, at),
            Event::Rest { sent_at, feature, params, status, bytes, payload } => {
                self.on_rest(at, *sent_at, feature, params, *status, *bytes, payload, (body, extraction));
            }
            Event::RestError { feature, params, error, status, detail, .. } => {
                self.rest_error(at, feature, params, error, *status, detail);
            }
            Event::RestSkipped { feature, .. } => match self.feature(feature) {
                Some(i) => self.features[i].traffic.skipped += 1,
                None => self.foreign_poll(feature),
            },
            Event::WsOpen { conn } => self.on_open(*conn, at),
            Event::Ws { conn, bytes, payload } => {
                self.on_frame(at, *conn, *bytes, payload, routed, (body, extraction));
            }
            Event::WsClose { conn, code, reason, by } => self.on_close(at, *conn, *code, reason, *by),
            Event::WsError { conn, error, status, detail } => {
                self.on_ws_error(at, *conn, error, *status, detail)
            }
            Event::WsRtt { micros, .. } => {
                self.rtt.add(Span::from_micros(i64::try_from(*micros).unwrap_or(i64::MAX)));
            }
            Event::SelfStall { millis } => {
                self.connection.self_stalls += 1;
                self.connection.self_stalled = self.connection.self_stalled
                    + Span::from_millis(i64::try_from(*millis).unwrap_or(i64::MAX));
            }
            Event::Sample { process, cpu_seconds, rss_bytes } => {
                self.resources.sample(at, process, *cpu_seconds, *rss_bytes);
            }
            Event::Log { source, line } => self.logs.line(at, source, line, &mut self.ledger),
            Event::LogState { source, state } => self.logs.state(at, source, *state),
            Event::Frontend { method, path, feature, status, agent } => {
                let request = Request {
                    method,
                    target: path,
                    feature: feature.as_deref(),
                    status: *status,
                    agent: agent.as_deref(),
                };
                self.frontend.observe(at, request, &mut self.ledger, &mut self.deadlines);
            }
            Event::End { reason } => self.end(at, *reason == EndReason::Interrupted),
        }
    }

    /// A capture is read to its end: without an `end` of its own its run was interrupted.
    pub fn end_of_capture(&mut self) {
        match (self.run.last, self.run.running) {
            (Some(last), true) => self.end(last, true),
            (None, _) => self.run.interrupted = true,
            _ => {}
        }
    }

    /// A capture whose last line is torn was interrupted, even where an `end` stands before it; so was
    /// one with nothing in it.
    pub fn end_of_torn_capture(&mut self) {
        self.end_of_capture();
        self.run.interrupted = true;
    }

    /// The watermark: the newest observation.
    pub fn last_at(&self) -> Option<Timestamp> {
        self.run.last
    }

    /// No more observations: a run without its `end` was interrupted.
    pub fn finish(&mut self) {
        self.end_of_capture();
        self.connection.rtt = self.rtt.quantiles();
        let clocks = self.features.iter().map(|f| f.counts.clock);
        self.connection.clock_offset = clocks.reduce(OffsetBounds::and).and_then(OffsetBounds::estimate);
        for feature in &mut self.features {
            feature.finish(&mut self.ledger);
        }
        self.resources.finish(&mut self.ledger);
    }

    fn note(&mut self, at: Timestamp) {
        self.run.observations += 1;
        self.run.first.get_or_insert(at);
        self.run.last = Some(at);
        if !self.run.running {
            self.run.running = true;
            self.run.began = Some(at);
        }
    }

    fn on_start(&mut self, start: &Start, at: Timestamp) {
        self.run.began = Some(at);
        self.frontend.start(start);
        if self.run.start.is_none() {
            self.run.start = Some(start.clone());
        }
    }

    fn feature(&self, name: &str) -> Option<usize> {
        self.plan.feature(name)
    }

    /// A recording of more features than the contract declares, or than were asked for.
    fn foreign_poll(&mut self, feature: &str) {
        self.run.foreign_polls += 1;
        self.run.foreign_feature.get_or_insert_with(|| quote(feature));
    }

    // ---- REST ----

    #[allow(clippy::too_many_arguments)]
    fn on_rest(
        &mut self,
        at: Timestamp,
        sent: Timestamp,
        feature: &str,
        params: &str,
        status: u16,
        bytes: u64,
        payload: &Payload<'_>,
        read: (Body, &Extraction),
    ) {
        let Some(i) = self.feature(feature) else { return self.foreign_poll(feature) };
        self.features[i].traffic.polls += 1;
        self.features[i].traffic.rest_bytes += bytes;
        let unusable = match (status, payload) {
            (304, _) => None,
            (200..=299, Payload::Json { .. }) if status != 204 => None,
            (204, _) | (200..=299, Payload::Empty) => Some("no body"),
            (200..=299, _) => Some("the body is not JSON"),
            _ => Some("status"),
        };
        let params = if params.is_empty() { crate::model::observation::NO_PARAMS } else { params };
        if let Some(why) = unusable {
            let quoted = match payload {
                Payload::Text(text) => quote(text),
                _ => String::new(),
            };
            self.rest_error(at, feature, params, why, Some(status), &quoted);
            return;
        }
        let endpoint = self.features[i].endpoint(params);
        let kept;
        let text: &str = match payload {
            Payload::Json { text, .. } if status != 304 => text,
            _ => match self.features[i].endpoints[endpoint].last_body.clone() {
                Some(body) => {
                    kept = body;
                    &kept
                }
                None => {
                    self.rest_error(at, feature, params, "status 304 before any body", Some(304), "");
                    return;
                }
            },
        };
        if status != 304 {
            let last = self.features[i].endpoints[endpoint].last_body.get_or_insert_default();
            last.clear();
            last.push_str(text);
        }
        let plan = &self.plan.features[i].rest;
        // A new body has been read already; a kept one was read with the answer that brought it.
        let (body, extraction) = if status == 304 {
            self.again.clear();
            match extract::extract(plan, text, &mut self.again) {
                Ok(body) => (body, &self.again),
                Err(_) => return,
            }
        } else {
            read
        };
        if let Some(fault) = body.fault {
            self.rest_error(at, feature, params, &fault.describe(), Some(status), "");
            return;
        }
        let records = body.records;
        let answered = feature::Answered { endpoint, sent, received: at, text, records, extraction, plan };
        let mut around = Surroundings {
            timeout: self.contract.rest.timeout,
            link: &self.link,
            ledger: &mut self.ledger,
            deadlines: &mut self.deadlines,
            spare: &mut self.spare,
        };
        self.features[i].on_rest(answered, &mut around);
    }

    fn rest_error(
        &mut self,
        at: Timestamp,
        feature: &str,
        params: &str,
        error: &str,
        status: Option<u16>,
        detail: &str,
    ) {
        let Some(i) = self.feature(feature) else { return self.foreign_poll(feature) };
        self.features[i].traffic.errors += 1;
        let known = if params.is_empty() { crate::model::observation::NO_PARAMS } else { params };
        self.features[i].unanswered(known, at);
        let mut draft = Draft::new(Class::RestError, &Arc::from(""), at);
        let mut words = error.to_string();
        if let Some(status) = status.filter(|s| *s != 0) {
            words.push_str(&format!(", status {status}"));
        }
        if params != crate::model::observation::NO_PARAMS && !params.is_empty() {
            words.push_str(&format!(", params {params}"));
        }
        if !detail.is_empty() {
            words.push_str(&format!(": {}", quote(detail)));
        }
        draft.detail = words;
        self.ledger.add(i, draft, || (String::new(), String::new()));
    }

    // ---- the WebSocket ----

    fn on_open(&mut self, conn: u32, at: Timestamp) {
        self.connection.opens += 1;
        self.link.open(conn, at);
        self.features.iter_mut().for_each(|feature| feature.link_is(true, at));
        for (_, draft) in std::mem::take(&mut self.drops) {
            self.ledger.add_common(draft, at);
        }
    }

    fn on_frame(
        &mut self,
        at: Timestamp,
        conn: u32,
        bytes: u64,
        payload: &Payload<'_>,
        routed: Option<Routed>,
        read: (Body, &Extraction),
    ) {
        self.connection.frames += 1;
        self.connection.bytes += bytes;
        if self.link.opened(conn).is_none() {
            // A recording that begins in the middle of a connection.
            self.on_open(conn, at);
        }
        match (payload, routed) {
            (Payload::Json { text, .. }, Some(routed)) => match routed {
                Routed::Ignored => self.connection.ignored_frames += 1,
                Routed::NoType => self.unknown_type(at, "", text),
                Routed::Unknown(kind) => self.unknown_type(at, &kind, text),
                Routed::Keepalive => self.connection.keepalive_frames += 1,
                Routed::Features(_) | Routed::Several(_) => {
                    self.on_message(at, conn, bytes, text, &routed, read);
                }
                Routed::Messages => self.on_messages(at, conn, text),
            },
            (Payload::Text(text), _) => self.malformed(at, format!("not JSON: {}", quote(text))),
            (Payload::Base64(text), _) => self.malformed(at, format!("not text; in base64: {}", quote(text))),
            (Payload::Empty, _) => self.malformed(at, "an empty frame".into()),
            (Payload::Json { .. }, None) => {}
        }
    }

    /// Several messages in one frame: each as if it had come alone, in their order.
    fn on_messages(&mut self, at: Timestamp, conn: u32, text: &str) {
        let plan = Arc::clone(&self.plan);
        let mut extraction = Extraction::default();
        for message in frame::elements(text) {
            extraction.clear();
            let Ok(Reading { routed: Some(routed), body }) =
                extract::read_message(&plan, message, &mut extraction)
            else {
                return;
            };
            let bytes = message.len() as u64;
            match routed {
                Routed::Features(_) | Routed::Several(_) => {
                    self.on_message(at, conn, bytes, message, &routed, (body, &extraction))
                }
                Routed::Ignored | Routed::Keepalive => {}
                Routed::Unknown(kind) => self.unknown_type(at, &kind, message),
                // Lists in lists are nobody's messages.
                Routed::NoType | Routed::Messages => self.unknown_type(at, "", message),
            }
        }
    }

    fn unknown_type(&mut self, at: Timestamp, kind: &str, text: &str) {
        self.connection.unknown_frames += 1;
        let mut draft = Draft::new(Class::UnknownType, &Arc::from(""), at);
        draft.ws = kind.to_string();
        draft.detail = match kind {
            "" => format!("no type in {}", quote(text)),
            _ => "a type that the contract neither declares nor ignores".into(),
        };
        self.ledger.add_common(draft, at);
    }

    fn malformed(&mut self, at: Timestamp, detail: String) {
        self.connection.malformed_frames += 1;
        let mut draft = Draft::new(Class::Malformed, &Arc::from(""), at);
        draft.detail = detail;
        self.ledger.add_common(draft, at);
    }

    /// A message of some features; the first one's body has been read already.
    fn on_message(
        &mut self,
        at: Timestamp,
        conn: u32,
        bytes: u64,
        text: &str,
        routed: &Routed,
        read: (Body, &Extraction),
    ) {
        let Some(opened) = self.link.opened(conn) else { return };
        let mut first = Some(read);
        for &i in self.plan.leads(routed) {
            let plan = &self.plan.features[i].ws;
            let (body, extraction) = match first.take() {
                Some(read) => read,
                None => {
                    self.again.clear();
                    match extract::extract(plan, text, &mut self.again) {
                        Ok(body) => (body, &self.again),
                        Err(_) => return,
                    }
                }
            };
            let feature = &mut self.features[i];
            feature.traffic.ws_messages += 1;
            feature.traffic.ws_bytes += bytes;
            feature.last_message = Some(at);
            if let Some(fault) = body.fault {
                self.connection.malformed_frames += 1;
                let mut draft = Draft::new(Class::Malformed, &Arc::from(""), at);
                draft.detail = fault.describe();
                let record = quote(text);
                self.ledger.add(i, draft, || (String::new(), record));
                continue;
            }
            let frame = feature::Frame { at, opened, text, body, extraction, plan };
            let mut around = Surroundings {
                timeout: self.contract.rest.timeout,
                link: &self.link,
                ledger: &mut self.ledger,
                deadlines: &mut self.deadlines,
                spare: &mut self.spare,
            };
            feature.on_message(frame, &mut around);
        }
    }

    fn on_close(&mut self, at: Timestamp, conn: u32, code: u16, reason: &str, by: ClosedBy) {
        self.connection.closes += 1;
        let closed = self.link.close(conn, at);
        let up = self.link.is_open();
        self.features.iter_mut().for_each(|feature| feature.link_is(up, at));
        let class = match by {
            ClosedBy::Us => None,
            ClosedBy::Peer | ClosedBy::Network => Some(Class::ConnectionDrop),
            ClosedBy::Stalled => Some(Class::Stalled),
        };
        if let Some(class) = class {
            let mut draft = Draft::new(class, &Arc::from(""), at);
            let who = match by {
                ClosedBy::Peer => "closed by the server",
                ClosedBy::Stalled => "no sign of life",
                _ => "lost",
            };
            draft.detail = format!("conn={conn} code={code} {who}");
            if !reason.is_empty() {
                draft.detail.push_str(&format!(": {}", quote(reason)));
            }
            draft.during_drop = true;
            if self.link.is_open() {
                self.ledger.add_common(draft, at);
            } else {
                self.drops.push((conn, draft));
            }
        }
        if let Some(closed) = closed {
            let (features, mut around) = self.parts();
            for feature in features {
                feature.on_close(closed, at, &mut around);
            }
        }
    }

    fn on_ws_error(&mut self, at: Timestamp, conn: u32, error: &str, status: Option<u16>, detail: &str) {
        self.connection.errors += 1;
        let status = status.map(|s| format!(", status {s}")).unwrap_or_default();
        let words = format!("{error}{status}{}{}", if detail.is_empty() { "" } else { ": " }, quote(detail));
        if self.link.opened(conn).is_some() {
            // What breaks an open connection is told by its close; a frame over the limit is its own.
            if error == "too_big" {
                self.malformed(at, words);
            }
            return;
        }
        let mut draft = Draft::new(Class::ConnectFailed, &Arc::from(""), at);
        draft.detail = format!("conn={conn} {words}");
        draft.during_drop = true;
        self.drops.push((conn, draft));
    }

    // ---- the end of a run ----

    /// Cadence and pending state end here; counts go on, for the next capture.
    fn end(&mut self, at: Timestamp, interrupted: bool) {
        self.run.running = false;
        self.run.interrupted |= interrupted;
        for (_, draft) in std::mem::take(&mut self.drops) {
            self.ledger.add_common(draft, at);
        }
        let began = self.run.began.unwrap_or(at);
        let (features, mut around) = self.parts();
        for feature in features {
            feature.end(began, at, &mut around);
        }
        self.connection = self.connection_until(at);
        self.frontend.end(at);
        self.logs.end(at);
        self.resources.end(at);
        self.deadlines.clear();
        self.link = Link::default();
        self.run.began = None;
    }

    /// The connection over all runs, the present one up to `at`.
    pub fn connection_until(&self, at: Timestamp) -> ConnectionOutcome {
        let mut connection = self.connection.clone();
        for (from, to) in self.link.up_times(at) {
            connection.open_time = connection.open_time + (to - from);
            connection.add_open(from, to);
        }
        connection
    }

    /// Where the run stands, for a live view.
    pub fn progress(&self) -> Progress {
        let now = self.run.last;
        let features = self.features.iter().enumerate().map(|(i, f)| {
            let tally = &self.ledger.features[i];
            let failing: u64 = tally.failing.iter().sum();
            FeatureProgress {
                name: f.name.clone(),
                messages: f.traffic.ws_messages,
                pairs: f.counts.pairs,
                age: now.zip(f.last_message).map(|(now, last)| now - last),
                interval: self.contract.features[i].interval,
                drift: f.worst_drift(),
                mismatches: f.counts.mismatched,
                findings_fail: failing,
                failed: failing > 0,
            }
        });
        Progress {
            at: now,
            connected: self.link.is_open(),
            since: self.link.since(),
            opens: self.connection.opens,
            features: features.collect(),
            last_finding: self.ledger.last_failing.clone(),
        }
    }
}

/// The beginning of what a server sent.
fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

/// Warnings that a strict contract raises.
pub(crate) fn raised(strict: bool) -> Option<Severity> {
    strict.then_some(Severity::Fail)
}
