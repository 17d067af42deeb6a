//! Items whose evidence this version does not gather yet. Asked for, they are INCONCLUSIVE and say
//! what is lacking; they never pass.

use super::{Check, Judged, View};
use crate::model::{Phase, Verdict};

pub const SIGNED_OFF: Check = check(
    "signed-off",
    Phase::BeforeDeleting,
    "every reviewer signed this very evidence, and no waiver is left",
    |_, _| lacking("no signature was given"),
);

const fn check(
    name: &'static str,
    phase: Phase,
    rule: &'static str,
    judge: fn(&View<'_>, &Check) -> Judged,
) -> Check {
    Check { name, phase, classes: &[], limit: |_| String::new(), rule, judge }
}

fn lacking(what: &str) -> Judged {
    Judged {
        verdict: Verdict::Inconclusive,
        observed: "nothing".into(),
        evidence: "0".into(),
        confidence: String::new(),
        note: what.into(),
        first: None,
        last: None,
    }
}
