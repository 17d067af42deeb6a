//! Items whose evidence this version does not gather yet. Asked for, they are INCONCLUSIVE and say
//! what is lacking; they never pass.

use super::{Check, Judged, View};
use crate::model::{Class, Phase, Verdict};

pub const WEBSOCKET_ONLY: Check = check(
    "websocket-only",
    Phase::AfterEnabling,
    &[Class::RestStillPolled],
    "the frontend opened the WebSocket and never polled the feature's REST path while its flag is true",
    |_, _| lacking("no request of the frontend was judged"),
);
pub const RESOURCES_FLAT: Check = check(
    "resources-flat",
    Phase::AfterEnabling,
    &[Class::ResourceIncrease],
    "CPU and memory against the baseline: no significant shift, no leak",
    |_, _| lacking("no samples were held against a baseline"),
);
pub const LOGS_CLEAN: Check = check(
    "logs-clean",
    Phase::AfterEnabling,
    &[Class::LogError],
    "no line of the logs matches [logs] errors",
    |_, _| lacking("no log was read"),
);
pub const PROD_LOGS_CLEAN: Check = check(
    "prod-logs-clean",
    Phase::BeforeDeleting,
    &[Class::LogError],
    "no line of production's logs over those sessions matches [logs] errors",
    |_, _| lacking("no log was read"),
);
pub const SIGNED_OFF: Check = check(
    "signed-off",
    Phase::BeforeDeleting,
    &[],
    "every reviewer signed this very evidence, and no waiver is left",
    |_, _| lacking("no signature was given"),
);

const fn check(
    name: &'static str,
    phase: Phase,
    classes: &'static [Class],
    rule: &'static str,
    judge: fn(&View<'_>, &Check) -> Judged,
) -> Check {
    Check { name, phase, classes, limit: |_| String::new(), rule, judge }
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
