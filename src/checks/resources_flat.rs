//! `resources-flat`: the processes need no more CPU and memory than before, and do not leak.

use super::{Check, Judged, View, failing, notes, verdict};
use crate::engine::resources::{Comparison, Leak};
use crate::model::outcome::ProcessOutcome;
use crate::model::{Class, Phase};

pub const CHECK: Check = Check {
    name: "resources-flat",
    phase: Phase::AfterEnabling,
    classes: &[Class::ResourceIncrease],
    limit: |view| {
        let limits = &view.feature.spec.feature.limits;
        format!("median shift ≤ {} % or p ≥ {}, no leak", limits.shift * 100.0, limits.significance)
    },
    rule: "the medians of CPU and memory are not above the baseline's by more than the limit where Mann and \
           Whitney's test calls it significant, and no memory rises throughout by more than it, in the time \
           watched or in an hour (Mann and Kendall, Theil and Sen)",
    judge,
};

fn judge(view: &View<'_>, check: &Check) -> Judged {
    let resources = view.resources;
    let failed = failing(view, check.classes);
    let lacking = lacking(view);
    let worst = resources.comparisons.iter().max_by(|a, b| a.shift.total_cmp(&b.shift));
    let worst = worst.map(Comparison::in_words);
    let samples: u64 = resources.processes.values().map(|p| p.samples).sum();
    let steepest = resources.leaks.iter().max_by(|a, b| a.growth.total_cmp(&b.growth));
    let restarts: u64 = resources.processes.values().map(|p| p.restarts).sum();
    let restarted = if restarts > 0 { format!("{restarts} restarts") } else { String::new() };
    Judged {
        verdict: verdict(failed.is_some(), &lacking),
        observed: match (failed, worst) {
            (Some(failed), Some(worst)) => format!("{failed}; {worst}"),
            (failed, worst) => failed.or(worst).unwrap_or_else(|| "nothing to compare".into()),
        },
        evidence: format!("{samples} samples of {} processes", resources.processes.len()),
        confidence: steepest.map(Leak::in_words).unwrap_or_default(),
        note: notes(&[&lacking, &restarted]),
        first: resources.processes.values().filter_map(|p| p.first).min(),
        last: resources.processes.values().filter_map(|p| p.last).max(),
    }
}

fn lacking(view: &View<'_>) -> String {
    let resources = view.resources;
    let least = view.feature.spec.feature.limits.min_samples;
    if resources.processes.is_empty() {
        return "no process was sampled".into();
    }
    let Some(baseline) = resources.baseline() else {
        return "no baseline was given (--baseline REPORT|CAPTURE)".into();
    };
    for (name, process) in &resources.processes {
        let Some(before) = baseline.iter().find(|b| *b.process == **name) else {
            let known: Vec<&str> = baseline.iter().map(|b| b.process.as_str()).collect();
            let known = if known.is_empty() { "no process at all".into() } else { known.join(", ") };
            return format!("the baseline has no samples of `{name}`; it has {known}");
        };
        if let Some(short) = short(name, process.samples, before, least) {
            return short;
        }
        if let Some(at) = process.gone {
            return format!("`{name}` was last seen at {}, well before its run's end", at.whole_millis());
        }
    }
    let unseen = baseline.iter().find(|b| !resources.processes.contains_key(&*b.process));
    unseen.map(|b| format!("`{}` of the baseline was not sampled", b.process)).unwrap_or_default()
}

fn short(name: &str, now: u64, baseline: &ProcessOutcome, least: u64) -> Option<String> {
    let side = |count: u64, of: &str| {
        (count < least).then(|| format!("{count} of at least {least} samples of `{name}` in {of}"))
    };
    side(now, "this run").or_else(|| side(baseline.samples, "the baseline"))
}
