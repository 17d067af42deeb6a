//! One feature alone with its slice: what was said when about which stream, where the values stand
//! in the bodies, and what the gate says of the untouched slice. Changes nothing.

use super::tape::json;
use crate::checks::{Provenance, conclude};
use crate::contract::{Contract, Feature};
use crate::engine::compare::{self, Rules, key_text};
use crate::engine::content::Content;
use crate::engine::endpoint::Endpoint;
use crate::engine::extract::{self, Extraction, RecordSpan};
use crate::engine::frame::route;
use crate::engine::plan::{ColumnSource, Plan, SidePlan};
use crate::engine::{Engine, Sink};
use crate::model::json::{Kind, Slot};
use crate::model::outcome::FeatureOutcome;
use crate::model::value::parse_instant;
use crate::model::{Event, Finding, Observation, Phase, Span, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// One record of one stream in one body.
#[derive(Debug, Clone, PartialEq)]
pub struct Sight {
    /// The observation's index in the slice.
    pub body: usize,
    /// Which of the body's records.
    pub record: usize,
    pub at: Timestamp,
    /// When the request was sent; `at` for a message.
    pub sent: Timestamp,
    pub event: Option<Timestamp>,
}

/// What each side said of one stream, in the order of arrival.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamSights {
    pub label: String,
    pub ws: Vec<Sight>,
    pub rest: Vec<Sight>,
}

/// What the gate says of a recording.
#[derive(Debug)]
pub struct Judgement {
    pub findings: Vec<Finding>,
    pub outcome: FeatureOutcome,
    /// Of each stream with enough ticks: its label, the period, and REST's own.
    pub periods: Vec<(String, Span, Option<Span>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Rest,
    Ws,
}

/// One feature, ready to be drilled.
#[derive(Debug)]
pub struct Stage {
    /// Of this one feature alone.
    pub contract: Arc<Contract>,
    pub plan: Plan,
    pub rules: Rules,
    pub tape: Vec<Observation<'static>>,
    /// By label.
    pub streams: Vec<StreamSights>,
    pub clean: Judgement,
}

/// The contract of one feature; the others' message types are known, and ignored.
pub fn alone(contract: &Contract, feature: usize) -> Contract {
    let mut narrow = contract.clone();
    let kept = narrow.features.swap_remove(feature);
    let others = std::mem::take(&mut narrow.features).into_iter().flat_map(|f| f.ws.signs);
    narrow.ws.ignored.extend(others.filter(|sign| !kept.ws.signs.contains(sign)));
    narrow.features = vec![kept];
    narrow
}

/// Judges a recording of one feature for `before-enabling`.
pub fn judge(contract: &Arc<Contract>, tape: &[Observation<'_>]) -> Judgement {
    let found = Arc::new(Mutex::new(Vec::new()));
    let kept = found.clone();
    let sink: Sink = Box::new(move |finding: &Finding| {
        kept.lock().unwrap_or_else(PoisonError::into_inner).push(finding.clone());
    });
    let mut engine = Engine::new(contract.clone(), sink);
    for observation in tape {
        // What was recorded as JSON was read before, and mutants that are none are no JSON payloads.
        let _ = engine.observe(observation);
    }
    engine.finish();
    let provenance = Provenance { phases: vec![Phase::BeforeEnabling], ..Provenance::default() };
    let outcome = conclude(&engine, provenance).features.swap_remove(0);
    let state = &engine.features[0];
    let least = state.spec.feature.limits.min_ticks;
    let periods = state.streams.iter().filter(|s| s.cadence.ticks >= least).filter_map(|s| {
        let rest = s.event_pace.period().filter(|_| s.event_pace.versions >= least);
        s.cadence.period().map(|period| (s.label.to_string(), period, rest))
    });
    let periods = periods.collect();
    drop(engine);
    let findings = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
    Judgement { findings, outcome, periods }
}

/// A body read along its plan.
#[derive(Debug)]
pub struct Body<'b> {
    pub text: &'b str,
    pub plan: &'b SidePlan,
    extraction: Extraction,
    /// How many.
    pub records: usize,
}

impl<'b> Body<'b> {
    /// `None` for what is no readable body of the feature.
    pub fn read(plan: &'b SidePlan, text: &'b str) -> Option<Body<'b>> {
        let mut extraction = Extraction::default();
        let body = extract::extract(plan, text, &mut extraction).ok()?;
        let records = body.records.len();
        body.fault.is_none().then_some(Body { text, plan, extraction, records })
    }

    /// Where a value of the record (or of one of its rows) stands, if it stands in this body.
    pub fn cell(&self, record: usize, row: Option<usize>, column: usize) -> Option<Slot> {
        let span = self.span(record)?;
        let slot = match row {
            Some(row) => match self.plan.row_columns.get(column)? {
                ColumnSource::Walked => {
                    let place = row * self.plan.row_columns.len() + column;
                    in_body(span, *self.extraction.rows(span).get(place)?)
                }
                ColumnSource::Shared(earlier) => return self.cell(record, Some(row), *earlier),
                _ => return None,
            },
            None => match self.plan.columns.get(column)? {
                ColumnSource::Walked => in_body(span, self.extraction.columns(span, self.plan)[column]),
                ColumnSource::Above => self.extraction.columns(span, self.plan)[column],
                ColumnSource::Shared(earlier) => return self.cell(record, None, *earlier),
                ColumnSource::Root(root) => self.extraction.root(span, *root),
                ColumnSource::Index => self.name(record)?,
                ColumnSource::Param(_) | ColumnSource::Constant(_) | ColumnSource::Absent => return None,
            },
        };
        (slot.kind != Kind::Absent).then_some(slot)
    }

    pub fn record(&self, record: usize) -> Option<Slot> {
        self.span(record).map(|span| span.raw)
    }

    /// The name under which a record stands, for `index`.
    pub fn name(&self, record: usize) -> Option<Slot> {
        self.span(record).filter(|_| self.plan.tree.is_none()).map(|span| span.name)
    }

    fn span(&self, record: usize) -> Option<&RecordSpan> {
        (record < self.records).then(|| self.extraction.record(record))
    }

    pub fn content(&self, record: usize, params: &[(String, String)]) -> Content {
        Content::of(self.plan, &self.extraction, record, self.text, params)
    }
}

/// The place in its body of what the record holds there.
fn in_body(record: &RecordSpan, slot: Slot) -> Slot {
    Slot { start: slot.start + record.raw.start, ..slot }
}

impl Stage {
    /// `contract` has one feature, and `tape` is its slice.
    pub fn new(contract: Contract, tape: Vec<Observation<'static>>) -> Stage {
        let contract = Arc::new(contract);
        let rules = Rules::new(&contract, &contract.features[0]);
        let plan = Plan::compile(&contract);
        let clean = judge(&contract, &tape);
        let mut stage = Stage { contract, plan, rules, tape, streams: Vec::new(), clean };
        stage.streams = stage.survey();
        stage
    }

    pub fn feature(&self) -> &Feature {
        &self.contract.features[0]
    }

    pub fn side(&self, side: Side) -> &SidePlan {
        match side {
            Side::Rest => &self.plan.features[0].rest,
            Side::Ws => &self.plan.features[0].ws,
        }
    }

    pub fn settle(&self) -> Span {
        self.feature().settle
    }

    /// The first and the last instant.
    pub fn bounds(&self) -> (Timestamp, Timestamp) {
        let at = |o: Option<&Observation<'_>>| o.map_or(Timestamp(0), |o| o.at);
        (at(self.tape.first()), at(self.tape.last()))
    }

    pub fn in_hours(&self, at: Timestamp) -> bool {
        self.feature().calendar.segment_at(at).is_some()
    }

    /// A body of the slice, or a changed one in its place.
    pub fn body<'b>(&'b self, index: usize, text: &'b str) -> Option<(Side, Body<'b>)> {
        let side = match &self.tape.get(index)?.event {
            Event::Rest { .. } => Side::Rest,
            Event::Ws { .. } => match route(&self.plan, text) {
                Ok(routed) if !self.plan.leads(&routed).is_empty() => Side::Ws,
                _ => return None,
            },
            _ => return None,
        };
        Body::read(self.side(side), text).map(|body| (side, body))
    }

    /// A request's parameters: name and JSON text.
    fn params(&self, index: usize) -> Vec<(String, String)> {
        match &self.tape[index].event {
            Event::Rest { params, .. } => Endpoint::new(params).params,
            _ => Vec::new(),
        }
    }

    /// A record as it was received.
    pub fn content(&self, sight: &Sight) -> Option<Content> {
        let (_, body) = self.body(sight.body, json(&self.tape[sight.body])?)?;
        (sight.record < body.records).then(|| body.content(sight.record, &self.params(sight.body)))
    }

    fn survey(&self) -> Vec<StreamSights> {
        let feature = self.feature();
        let column = |name: &String| feature.fields.iter().position(|f| f.name == *name);
        let key: Vec<usize> = feature.key.iter().filter_map(column).collect();
        let time = feature.time.as_ref().and_then(column);
        let mut streams: BTreeMap<String, StreamSights> = BTreeMap::new();
        for (index, observation) in self.tape.iter().enumerate() {
            let Some((side, body)) = json(observation).and_then(|text| self.body(index, text)) else {
                continue;
            };
            let params = self.params(index);
            let sent = match &observation.event {
                Event::Rest { sent_at, .. } => *sent_at,
                _ => observation.at,
            };
            for record in 0..body.records {
                let content = body.content(record, &params);
                let scalar = |c: usize| matches!(content.kind(c), Kind::String | Kind::Number | Kind::Bool);
                if !key.iter().all(|c| scalar(*c)) {
                    continue;
                }
                let label = compare::label(key.iter().map(|&c| {
                    let rule = &self.rules.columns[c];
                    (rule.name.as_str(), key_text(rule, content.raw(c)))
                }));
                let event = time
                    .filter(|c| scalar(*c))
                    .and_then(|c| parse_instant(&content.scalar(c), feature.fields[c].zone, observation.at));
                let sight = Sight { body: index, record, at: observation.at, sent, event };
                let stream = streams
                    .entry(label.clone())
                    .or_insert_with(|| StreamSights { label, ..StreamSights::default() });
                match side {
                    Side::Rest => stream.rest.push(sight),
                    Side::Ws => stream.ws.push(sight),
                }
            }
        }
        streams.into_values().collect()
    }
}
