//! The part of a recording that one feature's mutants are made of: bounded in time, in observations
//! and in bytes, and a whole recording by itself. Fed observation by observation.

use super::tape::{json, owned};
use crate::contract::Contract;
use crate::engine::frame::{Routed, route};
use crate::engine::plan::Plan;
use crate::model::{EndReason, Event, Observation, Payload, Span, Timestamp};
use std::sync::Arc;

/// Bytes of bodies that one slice may hold, so that memory stays bounded whatever is recorded.
const MOST_BYTES: u64 = 64 << 20;

/// How much is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Where it begins; without it where the feature's market is first open.
    pub from: Option<Timestamp>,
    pub lasting: Span,
    /// Observations at most.
    pub most: usize,
}

/// Takes a feature's slice out of a recording.
#[derive(Debug)]
pub struct Slicer {
    contract: Arc<Contract>,
    feature: usize,
    plan: Plan,
    bounds: Bounds,
    start: Option<Observation<'static>>,
    /// Connections that were opened before the slice begins.
    open: Vec<u32>,
    /// From when on it takes; known at the first observation.
    from: Option<Timestamp>,
    taken: Vec<Observation<'static>>,
    began: bool,
    bytes: u64,
    ended: bool,
}

impl Slicer {
    /// `feature`: its index in the contract.
    pub fn new(contract: &Arc<Contract>, feature: usize, bounds: Bounds) -> Slicer {
        Slicer {
            contract: contract.clone(),
            feature,
            plan: Plan::compile(contract),
            bounds,
            start: None,
            open: Vec::new(),
            from: None,
            taken: Vec::new(),
            began: false,
            bytes: 0,
            ended: false,
        }
    }

    pub fn observe(&mut self, observation: &Observation<'_>) {
        if self.ended {
            return;
        }
        let at = observation.at;
        let from = *self.from.get_or_insert_with(|| {
            self.bounds.from.unwrap_or_else(|| {
                let calendar = &self.contract.features[self.feature].calendar;
                let open = calendar.segment_at(at).or_else(|| calendar.segment_after(at));
                // Where the market never opens there is nothing better than the beginning.
                open.map_or(at, |(open, _)| open.max(at))
            })
        });
        match &observation.event {
            Event::Start(_) => self.start = Some(owned(observation)),
            event if !self.began && at < from => self.before(event),
            event => {
                self.begin(at);
                let full = self.taken.len() >= self.bounds.most || self.bytes >= MOST_BYTES;
                if at > from + self.bounds.lasting || full || matches!(event, Event::End { .. }) {
                    self.end(at.min(from + self.bounds.lasting));
                } else if self.concerns(event) {
                    self.bytes += json(observation).map_or(0, |text| text.len() as u64);
                    self.taken.push(owned(observation));
                }
            }
        }
    }

    /// Nothing more is taken.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    fn before(&mut self, event: &Event<'_>) {
        match event {
            Event::WsOpen { conn } => self.open.push(*conn),
            Event::WsClose { conn, .. } => self.open.retain(|c| c != conn),
            _ => {}
        }
    }

    fn begin(&mut self, at: Timestamp) {
        if std::mem::replace(&mut self.began, true) {
            return;
        }
        if let Some(start) = self.start.take() {
            self.taken.push(Observation { at, event: start.event });
        }
        let open = self.open.iter().map(|conn| Observation { at, event: Event::WsOpen { conn: *conn } });
        self.taken.extend(open);
    }

    fn end(&mut self, at: Timestamp) {
        self.ended = true;
        let at = self.taken.last().map_or(at, |last| last.at.max(at));
        self.taken.push(Observation { at, event: Event::End { reason: EndReason::Done } });
    }

    /// Whether it can make a difference to this feature.
    fn concerns(&self, event: &Event<'_>) -> bool {
        let own = |feature: &str| *self.contract.features[self.feature].name == *feature;
        match event {
            Event::Rest { feature, .. }
            | Event::RestError { feature, .. }
            | Event::RestSkipped { feature, .. } => own(feature),
            Event::Ws { payload: Payload::Json { text, .. }, .. } => match route(&self.plan, text) {
                Ok(Routed::Ignored | Routed::Keepalive) => false,
                Ok(Routed::NoType | Routed::Unknown(_) | Routed::Messages) | Err(_) => true,
                Ok(routed) => self.plan.leads(&routed).contains(&self.feature),
            },
            Event::Ws { .. } | Event::WsOpen { .. } | Event::WsClose { .. } | Event::WsError { .. } => true,
            Event::SelfStall { .. } => true,
            Event::WsRtt { .. }
            | Event::Sample { .. }
            | Event::Log { .. }
            | Event::LogState { .. }
            | Event::Frontend { .. } => false,
            Event::Start(_) | Event::End { .. } => false,
        }
    }

    /// What was taken; `None` where the recording ended before the slice began.
    pub fn finish(mut self) -> Option<Vec<Observation<'static>>> {
        if let (true, false, Some(last)) = (self.began, self.ended, self.taken.last()) {
            self.end(last.at);
        }
        self.began.then_some(self.taken)
    }
}
