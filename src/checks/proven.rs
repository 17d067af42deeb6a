//! Whether a run that ends by itself may end: everything asked is proven, or something failed for good.
//!
//! Only where a run stops is decided here, and nothing of it reaches a report: what a run concludes follows
//! from its observations alone, so its replay says the same. Values are proven by the bound that holds however
//! often one looks (`stats::anytime_upper`); the other checks by the evidence that a PASS needs.

use super::plan::CONFIDENCE;
use super::{CHECKS, Provenance, conclude, signed_off};
use crate::engine::Engine;
use crate::model::{CheckResult, Phase, Span, Timestamp, Verdict};
use crate::stats::anytime_upper;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What fails without a finding, a pace or a silence, may still come right; after so many intervals without a
/// look at which it was right, nobody waits any longer.
const PATIENCE_INTERVALS: i64 = 10;

/// Why a run may end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    Proven,
    /// Feature and check.
    Failed(Arc<str>, &'static str),
}

/// What is asked of a run, and since when what fails.
#[derive(Debug, Clone)]
pub struct Proving {
    rate: f64,
    phases: Vec<Phase>,
    failing: BTreeMap<(usize, &'static str, Phase), Timestamp>,
}

impl Proving {
    /// `rate`: of wrong values, which shall be ruled out; `phases` as in `Provenance`.
    pub fn new(rate: f64, phases: &[Phase]) -> Proving {
        Proving { rate, phases: phases.to_vec(), failing: BTreeMap::new() }
    }

    /// Looks at a running run as if it ended here; `None`: more has to be seen. A signature is nothing that a
    /// run can bring about, so `signed-off` is not waited for.
    pub fn look(&mut self, engine: &Engine) -> Option<Ending> {
        let now = engine.last_at()?;
        let ended = engine.as_if_ended();
        let provenance = Provenance { phases: self.phases.clone(), ..Provenance::default() };
        let outcome = conclude(&ended, provenance);
        let mut proven = true;
        for (i, feature) in outcome.features.iter().enumerate() {
            let counts = &engine.features[i].counts;
            proven &= anytime_upper(counts.mismatched, counts.pairs, CONFIDENCE) <= self.rate;
            let patience = feature.interval * PATIENCE_INTERVALS;
            for check in feature.checks.iter().filter(|check| check.check != signed_off::CHECK.name) {
                proven &= matches!(check.verdict, None | Some(Verdict::Pass));
                if self.has_failed_for_good(engine, (i, check), now, patience) {
                    return Some(Ending::Failed(feature.name.clone(), check.check));
                }
            }
        }
        proven.then_some(Ending::Proven)
    }

    /// By a finding that was made already, and stays; or for longer than anybody waits.
    fn has_failed_for_good(
        &mut self,
        engine: &Engine,
        (feature, result): (usize, &CheckResult),
        now: Timestamp,
        patience: Span,
    ) -> bool {
        let key = (feature, result.check, result.phase);
        if result.verdict != Some(Verdict::Fail) {
            self.failing.remove(&key);
            return false;
        }
        let since = *self.failing.entry(key).or_insert(now);
        let check = CHECKS.iter().find(|check| (check.name, check.phase) == (result.check, result.phase));
        let is_found = check.is_some_and(|c| engine.ledger.features[feature].failing(c.classes) > 0);
        is_found || now - since >= patience
    }
}
