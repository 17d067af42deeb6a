//! What a drill found: recordings that were spoiled on purpose, and whether the gate closed.

use super::finding::Class;
use super::time::Timestamp;
use std::sync::Arc;

/// What became of one mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// The gate closed: a check failed.
    Caught,
    /// The gate stayed closed for want of evidence: a check became INCONCLUSIVE.
    Held,
    /// Told in the report, and no check fails on it.
    Reported,
    /// Within what the contract allows, and nothing was told.
    Quiet,
    /// Not seen, and why is known.
    Explained,
    /// Not seen, and nothing explains it.
    Missed,
    /// Within what the contract allows, and the gate closed.
    FalseAlarm,
}

impl Seen {
    pub const ALL: [Seen; 7] = [
        Seen::Caught,
        Seen::Held,
        Seen::Reported,
        Seen::Quiet,
        Seen::Explained,
        Seen::Missed,
        Seen::FalseAlarm,
    ];

    /// The name used in files.
    pub fn name(self) -> &'static str {
        match self {
            Seen::Caught => "caught",
            Seen::Held => "held",
            Seen::Reported => "reported",
            Seen::Quiet => "quiet",
            Seen::Explained => "explained",
            Seen::Missed => "missed",
            Seen::FalseAlarm => "false_alarm",
        }
    }

    /// Whether it speaks against the gate.
    pub fn is_wrong(self) -> bool {
        matches!(self, Seen::Missed | Seen::FalseAlarm)
    }
}

/// One spoiled recording. Empty strings stand for "does not apply".
#[derive(Debug, Clone, PartialEq)]
pub struct DrilledMutant {
    pub feature: Arc<str>,
    pub class: Class,
    pub field: String,
    /// `just above the tolerance`, `3 in a row`, …
    pub size: String,
    /// What was changed, in words with both values.
    pub change: String,
    pub stream: String,
    pub row: String,
    pub event_time: Option<Timestamp>,
    pub at: Timestamp,
    pub seen: Seen,
    /// Classes of the findings that the untouched slice does not have.
    pub by: Vec<Class>,
    /// The checks that no longer pass.
    pub checks: Vec<&'static str>,
    /// Why it was not seen, or what to change in the contract.
    pub why: String,
}

/// A class (of a field) that was not tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotDrilled {
    pub feature: Arc<str>,
    pub class: Class,
    pub field: String,
    pub why: String,
}

/// The part of the recording that a feature's mutants were made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrilledSlice {
    pub feature: Arc<str>,
    pub first: Timestamp,
    pub last: Timestamp,
    pub observations: u64,
}

/// All mutants of one recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Drill {
    pub seed: u64,
    pub places: u64,
    pub slices: Vec<DrilledSlice>,
    pub mutants: Vec<DrilledMutant>,
    pub not_drilled: Vec<NotDrilled>,
}

impl Drill {
    pub fn count(&self, seen: Seen) -> u64 {
        self.mutants.iter().filter(|m| m.seen == seen).count() as u64
    }

    /// Nothing was missed, and nothing alarmed without cause.
    pub fn is_clean(&self) -> bool {
        !self.mutants.iter().any(|m| m.seen.is_wrong())
    }
}
