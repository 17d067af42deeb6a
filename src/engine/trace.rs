//! What was seen of one stream around an instant, raw: polls, messages, and what happened to the connection.
//!
//! Owns which observations belong to a stream, by the same plan as the judging; it judges nothing. Observations
//! outside its window are only passed over, and a record shown again is counted, not kept, so that memory is
//! bounded by `MAX_EVENTS`.

use super::compare::{Rules, Side, key_text, label};
use super::content::Content;
use super::extract::{Extraction, extract};
use super::frame::{Routed, route};
use super::plan::Plan;
use crate::contract::{Align, Contract, Feature};
use crate::model::json::Kind;
use crate::model::observation::NO_PARAMS;
use crate::model::value::parse_instant;
use crate::model::{Event, Observation, Payload, Timestamp};
use std::sync::Arc;

/// More than a person reads.
const MAX_EVENTS: usize = 500;

/// What to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Focus {
    /// Its place in the contract; none for what concerns the connection alone.
    pub feature: Option<usize>,
    /// As in findings.csv; empty for what has no stream.
    pub stream: Arc<str>,
    pub event_time: Option<Timestamp>,
    /// When the finding was made: what was seen then is never counted away.
    pub at: Timestamp,
    pub from: Timestamp,
    pub to: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Arrival; of a poll the end of its window.
    pub at: Timestamp,
    pub what: What,
    /// How often the same was shown again, and when last.
    pub again: u64,
    pub until: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A record of the stream in an answer; `None`: answered without it.
    Poll {
        sent: Timestamp,
        event_time: Option<Timestamp>,
        record: Option<String>,
    },
    PollFailed {
        sent: Timestamp,
        why: String,
    },
    Message {
        event_time: Option<Timestamp>,
        record: String,
    },
    /// A frame that cannot be read as a message.
    Frame {
        text: String,
    },
    /// The connection, the run, the tool: in words.
    Happened(String),
}

#[derive(Debug)]
pub struct Trace {
    contract: Arc<Contract>,
    plan: Arc<Plan>,
    focus: Focus,
    seen: Vec<Seen>,
    left_out: u64,
    /// A later bucket was shown: on REST, on the WebSocket.
    later: [bool; 2],
    extraction: Extraction,
    columns: Option<Columns>,
}

/// How the focused feature's records are told apart.
#[derive(Debug)]
struct Columns {
    rules: Rules,
    key: Vec<usize>,
    time: Option<usize>,
}

impl Trace {
    pub fn new(contract: Arc<Contract>, focus: Focus) -> Trace {
        let columns = focus.feature.map(|index| {
            let feature = &contract.features[index];
            let column = |name: &String| feature.fields.iter().position(|field| field.name == *name);
            Columns {
                rules: Rules::new(&contract, feature),
                key: feature.key.iter().filter_map(column).collect(),
                time: feature.time.as_ref().and_then(column),
            }
        });
        Trace {
            plan: Arc::new(Plan::compile(&contract)),
            contract,
            focus,
            seen: Vec::new(),
            left_out: 0,
            later: [false; 2],
            extraction: Extraction::default(),
            columns,
        }
    }

    /// What was seen, in the order in which it was, and how much more there was.
    pub fn finish(self) -> (Vec<Seen>, u64) {
        (self.seen, self.left_out)
    }

    pub fn observe(&mut self, observation: &Observation<'_>) {
        let at = observation.at;
        if at < self.focus.from || at > self.focus.to {
            return;
        }
        match &observation.event {
            Event::Rest { sent_at, feature, params, status, payload, .. } if self.concerns(feature) => {
                self.poll(at, *sent_at, params, *status, payload);
            }
            Event::RestError { sent_at, feature, error, status, detail, .. } if self.concerns(feature) => {
                let status = status.map(|status| format!(", status {status}")).unwrap_or_default();
                let why = format!("{error}{status} {detail}").trim_end().to_string();
                self.push(at, What::PollFailed { sent: *sent_at, why });
            }
            Event::RestSkipped { feature, .. } if self.concerns(feature) => {
                self.happened(at, "a due poll could not start in time".into());
            }
            Event::Ws { payload, .. } => self.frame(at, payload),
            Event::WsOpen { conn } => self.happened(at, format!("connection {conn} opened")),
            Event::WsClose { conn, code, reason, by } => {
                let reason = if reason.is_empty() { String::new() } else { format!(", {reason}") };
                let by = format!("{by:?}").to_lowercase();
                self.happened(at, format!("connection {conn} closed by {by}, code {code}{reason}"));
            }
            Event::WsError { conn, error, status, detail } => {
                let status = status.map(|status| format!(", status {status}")).unwrap_or_default();
                self.happened(at, format!("connection {conn} failed: {error}{status} {detail}"));
            }
            Event::SelfStall { millis } => {
                self.happened(at, format!("this tool was held up for {millis} ms"))
            }
            Event::Start(_) => self.happened(at, "the run began".into()),
            Event::End { reason } => self.happened(at, format!("the run ended: {reason:?}").to_lowercase()),
            _ => {}
        }
    }

    fn is_it(&self, at: Timestamp) -> bool {
        at == self.focus.at
    }

    fn concerns(&self, feature: &str) -> bool {
        self.focus.feature.is_some_and(|index| *self.contract.features[index].name == *feature)
    }

    fn poll(&mut self, at: Timestamp, sent: Timestamp, params: &str, status: u16, payload: &Payload<'_>) {
        let Some(index) = self.focus.feature else { return };
        let Payload::Json { text, .. } = payload else {
            let why =
                if status == 304 { "not modified (304)".into() } else { format!("no JSON, status {status}") };
            self.push(at, What::PollFailed { sent, why });
            return;
        };
        if self.focus.stream.is_empty() {
            // The finding has no stream, so the body itself is what it is about.
            let record = self.is_it(at).then(|| text.to_string());
            return self.push(at, What::Poll { sent, event_time: None, record });
        }
        let params = if params.is_empty() { NO_PARAMS } else { params };
        let params = super::endpoint::Endpoint::new(params).params;
        let records = self.records(index, Side::Rest, text, &params, at);
        let bars = self.contract.features[index].align == Align::Bucket;
        let none = (records.is_empty() && !bars).then_some((None, None));
        let shown = records.into_iter().map(|(event, record)| (event, Some(record)));
        for (event_time, record) in shown.chain(none) {
            self.push(at, What::Poll { sent, event_time, record });
        }
    }

    fn frame(&mut self, at: Timestamp, payload: &Payload<'_>) {
        let text = match payload {
            Payload::Json { text, .. } => text,
            Payload::Text(text) | Payload::Base64(text) => {
                return self.push(at, What::Frame { text: text.to_string() });
            }
            Payload::Empty => return self.push(at, What::Frame { text: String::new() }),
        };
        let plan = self.plan.clone();
        let index = match (route(&plan, text), self.focus.feature) {
            (Ok(routed), Some(index)) if plan.leads(&routed).contains(&index) => index,
            (Ok(Routed::Ignored | Routed::Keepalive | Routed::Messages), None) => return,
            // What concerns no feature shows the frame itself.
            (Ok(_), None) if self.is_it(at) => {
                return self.push(at, What::Frame { text: text.to_string() });
            }
            _ => return,
        };
        if self.focus.stream.is_empty() && self.is_it(at) {
            self.push(at, What::Frame { text: text.to_string() });
        }
        for (event_time, record) in self.records(index, Side::Ws, text, &[], at) {
            self.push(at, What::Message { event_time, record });
        }
    }

    /// The stream's records in a body, with their event times.
    fn records(
        &mut self,
        index: usize,
        side: Side,
        text: &str,
        params: &[(String, String)],
        at: Timestamp,
    ) -> Vec<(Option<Timestamp>, String)> {
        let Some(columns) = &self.columns else { return Vec::new() };
        let plan = match side {
            Side::Rest => &self.plan.features[index].rest,
            Side::Ws => &self.plan.features[index].ws,
        };
        let feature = &self.contract.features[index];
        let mut found = Vec::new();
        self.extraction.clear();
        let Ok(body) = extract(plan, text, &mut self.extraction) else { return found };
        for record in body.records {
            let content = Content::of(plan, &self.extraction, record, text, params);
            let event = columns.event_time(feature, &content, at);
            if columns.label(&content) != *self.focus.stream {
                continue;
            }
            // Of bars only the bucket itself matters, and the first later one, which makes it final.
            if let (Align::Bucket, Some(event), Some(focus)) = (feature.align, event, self.focus.event_time)
                && (event < focus || event > focus && std::mem::replace(&mut self.later[side as usize], true))
            {
                continue;
            }
            found.push((event, content.record().to_string()));
        }
        found
    }

    fn happened(&mut self, at: Timestamp, words: String) {
        self.push(at, What::Happened(words));
    }

    fn push(&mut self, at: Timestamp, what: What) {
        let focused = self.focus.at;
        let full = self.seen.len() >= MAX_EVENTS;
        let alike = self.seen.iter_mut().rev().find(|seen| same_kind(&seen.what, &what));
        match alike {
            Some(seen) if says_the_same(&seen.what, &what) && at != focused && seen.at != focused => {
                seen.again += 1;
                seen.until = at;
            }
            _ if full => self.left_out += 1,
            _ => self.seen.push(Seen { at, what, again: 0, until: at }),
        }
    }
}

impl Columns {
    fn label(&self, content: &Content) -> String {
        label(self.key.iter().map(|&column| {
            let rule = &self.rules.columns[column];
            (rule.name.as_str(), key_text(rule, content.raw(column)))
        }))
    }

    fn event_time(&self, feature: &Feature, content: &Content, near: Timestamp) -> Option<Timestamp> {
        let column = self.time?;
        match content.kind(column) {
            Kind::String | Kind::Number => {
                parse_instant(&content.scalar(column), feature.fields[column].zone, near)
            }
            _ => None,
        }
    }
}

/// Of one side, and of one bucket where there are several in a body.
fn same_kind(a: &What, b: &What) -> bool {
    match (a, b) {
        (What::Poll { event_time: a, .. }, What::Poll { event_time: b, .. })
        | (What::Message { event_time: a, .. }, What::Message { event_time: b, .. }) => a == b,
        _ => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}

fn says_the_same(a: &What, b: &What) -> bool {
    match (a, b) {
        (What::Poll { record: a, .. }, What::Poll { record: b, .. }) => a == b,
        (What::Message { record: a, .. }, What::Message { record: b, .. }) => a == b,
        (What::PollFailed { why: a, .. }, What::PollFailed { why: b, .. }) => a == b,
        _ => false,
    }
}
