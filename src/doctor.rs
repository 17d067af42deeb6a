//! What is wrong between a contract and the feeds it speaks of, and what to change.
//!
//! Pure: a contract and a few seconds of observations in, complaints out. The engine finds what does not fit, `infer`
//! guesses how it would fit, and this room says so in words, with a cure. It must not judge: a verdict over a few
//! seconds is worth nothing.

mod connection;
mod edit;
mod shape;
mod values;
mod words;

pub use edit::{Edit, Place, patched};

use crate::checks::{Provenance, conclude};
use crate::contract::{Contract, parse};
use crate::engine::Engine;
use crate::infer::{Known, KnownEndpoint, Watched};
use crate::model::{Finding, Observation, Outcome, Span};
use std::sync::{Arc, Mutex, PoisonError};

/// How much a complaint matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Nothing is proven until it is cured.
    Fault,
    /// It works, and somebody should look.
    Hint,
    /// What these endpoints cannot show, however long they are watched.
    Limit,
}

impl Weight {
    pub fn name(self) -> &'static str {
        match self {
            Weight::Fault => "fault",
            Weight::Hint => "hint",
            Weight::Limit => "limit",
        }
    }
}

/// One thing that was found, and what to do about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Complaint {
    /// A stable name, as in `ws-origin`.
    pub code: &'static str,
    pub weight: Weight,
    /// `REST`, `WebSocket`, or features' names.
    pub about: String,
    pub found: String,
    pub cure: String,
    /// How the contract would have to be, where that can be said.
    pub edits: Vec<Edit>,
}

/// All that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Examined {
    /// The worst first, then in the order in which feeds work: REST, the WebSocket, what they say.
    pub complaints: Vec<Complaint>,
    pub answers: u64,
    pub messages: u64,
    pub lasted: Span,
    pub features: Vec<Fitness>,
}

/// How far one feature came.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitness {
    pub name: String,
    pub answers: u64,
    pub messages: u64,
    pub streams_rest: u64,
    pub streams_ws: u64,
    pub pairs: u64,
    pub matched: u64,
    /// Measured between messages of one stream.
    pub period: Option<Span>,
    pub promised: Span,
}

/// What complaints are made from.
struct Case<'c> {
    contract: &'c Contract,
    observations: &'c [Observation<'static>],
    outcome: Outcome,
    findings: Vec<Finding>,
    /// A contract guessed from the same observations; features have the same names.
    guess: Option<Contract>,
    /// Streams by feature: shown by REST, and told by the WebSocket.
    streams: Vec<Vec<Sighted>>,
    /// By feature: polls that showed what was before a message that had come already.
    behind: Vec<u64>,
}

struct Sighted {
    label: String,
    rest: bool,
    ws: bool,
}

/// Examines what came while the contract was tried.
pub fn examine(contract: &Arc<Contract>, observations: &[Observation<'static>]) -> Examined {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let sink = kept.clone();
    let mut engine = Engine::new(
        contract.clone(),
        Box::new(move |finding: &Finding| {
            sink.lock().unwrap_or_else(PoisonError::into_inner).push(finding.clone());
        }),
    );
    let mut watched = Watched::default();
    for observation in observations {
        // A body that is no JSON was not recorded as JSON.
        let _ = engine.observe(observation);
        watched.observe(observation);
    }
    engine.end_of_capture();
    engine.finish();
    let streams = engine.features.iter().map(|feature| {
        let sighted = feature.streams.iter().map(|stream| Sighted {
            label: stream.label.to_string(),
            rest: stream.shown_by_rest,
            ws: stream.ws_records > 0,
        });
        sighted.collect()
    });
    let streams = streams.collect();
    let behind = engine.features.iter().map(|feature| feature.counts.rest_behind).collect();
    let outcome = conclude(&engine, Provenance::default());
    let findings = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
    let guess = watched.infer(&known(contract)).contract;
    let guess = guess.and_then(|text| parse("the guess", &text, &|_| None, false).ok());
    let case = Case { contract, observations, outcome, findings, guess, streams, behind };
    case.examined()
}

/// What the contract tells the guess.
fn known(contract: &Contract) -> Known {
    let endpoints = contract.features.iter().map(|feature| KnownEndpoint {
        name: feature.name.to_string(),
        path: Some(feature.rest.path.clone()),
        poll: Some(feature.rest.poll),
        ..KnownEndpoint::default()
    });
    Known { endpoints: endpoints.collect(), ..Known::default() }
}

impl Case<'_> {
    fn examined(&self) -> Examined {
        let mut complaints = Vec::new();
        connection::rest(self, &mut complaints);
        connection::websocket(self, &mut complaints);
        shape::frames(self, &mut complaints);
        for index in 0..self.contract.features.len() {
            shape::feature(self, index, &mut complaints);
        }
        values::clocks(self, &mut complaints);
        let mut complaints = merged(complaints);
        complaints.sort_by_key(|complaint| complaint.weight);
        let (first, last) = (self.observations.first(), self.observations.last());
        let features = self.outcome.features.iter().map(|feature| {
            let m = &feature.measures;
            Fitness {
                name: feature.name.to_string(),
                answers: m.rest_polls.saturating_sub(m.rest_errors),
                messages: m.ws_messages,
                streams_rest: m.streams_rest,
                streams_ws: m.streams_ws,
                pairs: m.pairs,
                matched: m.matched,
                period: m.period_ws,
                promised: feature.interval,
            }
        });
        let features: Vec<Fitness> = features.collect();
        Examined {
            complaints,
            answers: features.iter().map(|feature| feature.answers).sum(),
            messages: self.outcome.connection.frames,
            lasted: first.zip(last).map_or(Span::ZERO, |(first, last)| last.at.since(first.at)),
            features,
        }
    }
}

/// The same of several features is one complaint.
fn merged(complaints: Vec<Complaint>) -> Vec<Complaint> {
    let mut kept: Vec<Complaint> = Vec::new();
    for complaint in complaints {
        let same = |other: &&mut Complaint| {
            other.code == complaint.code && other.found == complaint.found && other.cure == complaint.cure
        };
        match kept.iter_mut().find(same) {
            Some(other) => {
                other.about = format!("{}, {}", other.about, complaint.about);
                other.edits.extend(complaint.edits);
            }
            None => kept.push(complaint),
        }
    }
    kept
}
