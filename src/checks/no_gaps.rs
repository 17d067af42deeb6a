//! `no-gaps`: nothing that was due, or that REST showed, failed to come.

use super::{Check, Judged, View, failing, minimum, notes, span_of_messages, verdict};
use crate::contract::Cadence;
use crate::model::{Class, Phase};

pub const CHECK: Check = Check {
    name: "no-gaps",
    phase: Phase::BeforeEnabling,
    classes: &[Class::Gap, Class::MissingOnWs, Class::OutOfOrder, Class::Frozen],
    limit: |_| "no gap, nothing missing, out of order or frozen".into(),
    rule: "no tick was missed, no version of REST failed to come, in order and moving",
    judge,
};

fn judge(view: &View<'_>, check: &Check) -> Judged {
    let feature = &view.feature.spec.feature;
    let least = feature.limits.min_ticks;
    // Streams that never changed could have missed nothing, so they prove nothing.
    let moving = view.feature.streams.iter().filter(|s| s.born_versions > 0);
    let versions: u64 = moving.map(|s| s.rest_versions).sum();
    let ticks: u64 = view.feature.streams.iter().map(|s| s.cadence.ticks).sum();
    let (lacking, exempt, evidence) = match feature.cadence {
        Cadence::Periodic => {
            let min = minimum(view, least, |s| s.cadence.ticks);
            (min.lacking(least, "ticks"), min.exempt_note(), format!("{ticks} ticks"))
        }
        Cadence::OnChange if versions < least => (
            format!("{versions} of at least {least} versions on REST"),
            String::new(),
            format!("{versions} versions"),
        ),
        Cadence::OnChange => (String::new(), String::new(), format!("{versions} versions")),
    };
    let failed = failing(view, check.classes);
    let missed = match view.feature.counts.missed_ticks {
        0 => String::new(),
        n => format!("{n} ticks missed"),
    };
    let sparse = match view.feature.counts.sparse {
        0 => String::new(),
        n => format!("{n} silences in which REST had nothing new either"),
    };
    let (first, last) = span_of_messages(view);
    Judged {
        verdict: verdict(failed.is_some(), &lacking),
        observed: notes(&[&failed.unwrap_or_else(|| "none".into()), &missed]),
        evidence,
        confidence: String::new(),
        note: notes(&[&lacking, &exempt, &sparse]),
        first,
        last,
    }
}
