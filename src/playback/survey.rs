//! What a recording has to show, before any of it is shown: its endpoints, and where its clock begins.

use super::step::{Recorded, Step, What};
use crate::contract::Contract;
use crate::model::{Observation, Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// A recording, looked through once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Survey {
    /// By feature and parameters: when each was first answered, however.
    pub endpoints: BTreeMap<(String, String), Timestamp>,
    /// When the first REST body came.
    pub first_body: Option<Timestamp>,
    pub bodies: u64,
    pub frames: u64,
    /// Features that were polled, and that the contract does not have.
    pub strangers: BTreeSet<String>,
    pub last: Option<Timestamp>,
}

impl Survey {
    pub fn see(&mut self, contract: &Contract, observation: &Observation<'_>) {
        self.last = Some(observation.at);
        let Some(Step { at, what }) = Step::of(observation) else { return };
        match what {
            What::Answer { feature, .. } if contract.features.iter().all(|f| *f.name != *feature) => {
                self.strangers.insert(feature);
            }
            What::Answer { feature, params, answer } => {
                if matches!(&answer, Recorded::Body(body) if !body.bytes.is_empty()) {
                    self.bodies += 1;
                    self.first_body.get_or_insert(at);
                }
                self.endpoints.entry((feature, params)).or_insert(at);
            }
            What::Frame { .. } => self.frames += 1,
            _ => {}
        }
    }

    /// Where the clock begins: when every endpoint has been answered, so that nobody is met by an endpoint
    /// that has nothing to show yet. Who was first asked more than a poll (and its time-out) after the first
    /// body is not waited for. `None`: there is no REST body.
    pub fn begins(&self, contract: &Contract) -> Option<Timestamp> {
        let first = self.first_body?;
        let longest = contract.features.iter().map(|f| f.rest.poll).max().unwrap_or(Span::ZERO);
        let until = first.saturating_add(longest).saturating_add(contract.rest.timeout);
        self.endpoints.values().copied().filter(|at| *at <= until).max().map(|at| at.max(first))
    }
}
