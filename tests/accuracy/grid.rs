//! The grid: each class that the reference world can inject, in each feature it can strike, by seeds. The
//! bounded grid of the tests and the full one of `cargo bench --bench accuracy` are this same code.

use crate::common;
use crate::session::{judge, line, options, simulate};
use cutover::contract::{BUILTIN, Contract};
use cutover::model::{Class, Severity, Verdict};
use cutover::reference::{Covered, Fault, Feature, Score, score};
use std::sync::Arc;

/// Minutes of a session of the grid.
const MINUTES: i64 = 15;

/// One place of the grid: one fault class in one feature (or in the connection) of one seeded session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub class: Class,
    pub feature: Option<Feature>,
    pub seed: u64,
}

/// What came of one place.
#[derive(Debug)]
pub struct Result {
    pub place: Place,
    pub score: Score,
    /// Anything that must not be: missed, invented, a replay that differs, a wrong verdict.
    pub problems: Vec<String>,
}

/// All classes that can be injected in all features where they make sense.
pub fn places(seeds: impl Iterator<Item = u64> + Clone) -> Vec<Place> {
    let mut places = Vec::new();
    for class in Class::ALL {
        let Ok(fault) = Fault::parse(class.name()) else { continue };
        let features: Vec<Option<Feature>> = match fault.features.as_slice() {
            [] => vec![None],
            features => features.iter().copied().map(Some).collect(),
        };
        for feature in features {
            places.extend(seeds.clone().map(|seed| Place { class: *class, feature, seed }));
        }
    }
    places
}

impl Place {
    pub fn feature_name(&self) -> &'static str {
        self.feature.map_or("", Feature::name)
    }

    /// The command that shows this place alone.
    pub fn command(&self) -> String {
        let feature = self.feature.map(|f| format!(" --feature {}", f.name())).unwrap_or_default();
        format!("cargo bench --bench accuracy -- --class {}{feature} --seed {}", self.class, self.seed)
    }

    fn fault(&self) -> Fault {
        let feature = self.feature.map(|f| format!(":feature={}", f.name())).unwrap_or_default();
        Fault::parse(&format!("{}{feature}", self.class)).unwrap()
    }

    pub fn run(self, contract: &Arc<Contract>) -> Result {
        let mut options = options(self.seed, MINUTES);
        options.faults = vec![self.fault()];
        let (seen, truth) = simulate(options);
        let told = match judge(contract, &seen) {
            Ok(told) => told,
            Err(problem) => return Result { place: self, score: Score::default(), problems: vec![problem] },
        };
        let outcome = &told.outcome;
        let covered = Covered {
            first: outcome.first.unwrap(),
            last: outcome.last.unwrap(),
            streams: outcome.features.iter().map(|f| f.measures.streams).collect(),
        };
        let score = score(contract, &truth, &told.findings, &covered);
        let mut problems = Vec::new();
        if truth.is_empty() {
            problems.push("nothing was injected".to_string());
        }
        for class in &score.classes {
            problems.extend(class.missed.iter().map(|entry| format!("missed {}", entry.to_json())));
            problems.extend(class.invented.iter().map(|finding| format!("invented {}", line(finding))));
        }
        for feature in &outcome.features {
            let expect = self.expect(&feature.name, &score);
            if feature.verdict != expect {
                problems.push(format!("{} is {}, not {expect}", feature.name, feature.verdict));
            }
        }
        Result { place: self, score, problems }
    }

    /// Who is struck fails, if by anything that fails; everybody else passes. Connection and frame findings
    /// have no feature and count against every one.
    fn expect(&self, feature: &str, score: &Score) -> Verdict {
        let struck = self.feature.is_none_or(|f| f.name() == feature) || self.class == Class::Malformed;
        let due = score.classes.iter().any(|c| c.class == self.class && c.due > 0);
        let fails = self.class.severity() == Severity::Fail && due;
        if struck && fails { Verdict::Fail } else { Verdict::Pass }
    }
}

pub fn contract() -> Arc<Contract> {
    common::contract(BUILTIN)
}
