//! What became of a mutant: its judgement held against that of the untouched slice, and, where the
//! gate stays open, why. Judges nothing anew.

use super::mutant::{Expect, Mutant};
use super::stage::{Judgement, Stage, judge};
use crate::model::drill::{DrilledMutant, Seen};
use crate::model::outcome::Measures;
use crate::model::{Class, Finding, Severity, Verdict};
use std::collections::BTreeMap;

/// Replays a mutant and says what the gate made of it.
pub fn score(stage: &Stage, mutant: &Mutant<'_>) -> DrilledMutant {
    let judged = judge(&stage.contract, &mutant.edits.play());
    let fresh = fresh(&stage.clean.findings, &judged.findings);
    let (seen, why) = answer(stage, mutant, &judged, &fresh);
    let mut by: Vec<Class> = fresh.iter().map(|f| f.class).collect();
    by.sort_unstable();
    by.dedup();
    let failed = judged.outcome.checks.iter().filter(|c| c.verdict.is_some_and(|v| v != Verdict::Pass));
    DrilledMutant {
        feature: stage.feature().name.clone(),
        class: mutant.class,
        field: mutant.field.clone(),
        size: mutant.size.clone(),
        change: mutant.change.clone(),
        stream: mutant.place.stream.clone(),
        row: mutant.place.row.clone(),
        event_time: mutant.place.event,
        at: mutant.place.at,
        seen,
        by,
        checks: failed.map(|c| c.check).collect(),
        why,
    }
}

/// The findings that the untouched slice does not have: all of them follow from what was changed.
fn fresh<'f>(clean: &'f [Finding], mutant: &'f [Finding]) -> Vec<&'f Finding> {
    let key = |f: &'f Finding| (f.class, &*f.stream, &f.row, &f.field, f.at, &f.detail, f.waived);
    let mut known: BTreeMap<_, usize> = BTreeMap::new();
    for finding in clean {
        *known.entry(key(finding)).or_default() += 1;
    }
    let mut fresh = Vec::new();
    for finding in mutant {
        match known.get_mut(&key(finding)) {
            Some(left) if *left > 0 => *left -= 1,
            _ => fresh.push(finding),
        }
    }
    fresh
}

/// Classes that tell the same cause as the injected one (SPEC §5.5: what may stand together, and
/// what a fault is where its own name does not apply).
pub fn stands_for(injected: Class) -> &'static [Class] {
    use Class::*;
    match injected {
        ValueMismatch | TornRead => &[ValueMismatch, TornRead],
        Invariant => &[Invariant, ValueMismatch],
        MissingOnWs | Gap => &[MissingOnWs, Gap, Frozen],
        Malformed => &[Malformed],
        Frozen => &[Frozen, MissingOnWs, Gap, ValueMismatch],
        Late => &[Late, MissingOnWs],
        Revision => &[Revision, ValueMismatch],
        MissingRow => &[MissingRow],
        ExtraRow => &[ExtraRow],
        MissingField => &[MissingField],
        NullField => &[NullField],
        WrongType => &[WrongType],
        BadValue => &[BadValue],
        OutOfOrder => &[OutOfOrder],
        IntervalDrift => &[IntervalDrift],
        Jitter => &[Jitter],
        ConnectionDrop => &[ConnectionDrop],
        ConnectFailed => &[ConnectFailed],
        Stalled => &[Stalled],
        RestStillPolled => &[RestStillPolled],
        ResourceIncrease => &[ResourceIncrease],
        LogError => &[LogError],
        CalendarMismatch => &[CalendarMismatch],
        Duplicate => &[Duplicate],
        UnknownType => &[UnknownType],
        RestError => &[RestError],
        UnknownStream => &[UnknownStream],
        TypeDiffers => &[TypeDiffers],
        UnexpectedField => &[UnexpectedField],
        RestStale => &[RestStale],
    }
}

/// Whether a finding tells of the mutant: the class or what stands for it, at its stream or at none.
fn tells(mutant: &Mutant<'_>, finding: &Finding) -> bool {
    let anywhere = finding.stream.is_empty() || mutant.place.stream.is_empty();
    // Of several sums it is the one that was broken.
    if mutant.class == Class::Invariant && finding.class == Class::Invariant {
        return finding.detail.starts_with(&mutant.field);
    }
    // A key that is wrong makes another stream of it.
    let moved = matches!(mutant.class, Class::WrongType | Class::UnknownStream);
    stands_for(mutant.class).contains(&finding.class)
        && (anywhere || moved || *finding.stream == *mutant.place.stream)
}

fn answer(stage: &Stage, mutant: &Mutant<'_>, judged: &Judgement, fresh: &[&Finding]) -> (Seen, String) {
    let telling: Vec<&Finding> = fresh.iter().copied().filter(|f| tells(mutant, f)).collect();
    let closes = |f: &&&Finding| f.severity == Severity::Fail && !f.waived;
    let verdict = judged.outcome.verdict;
    match &mutant.expect {
        Expect::Within(limit) => within(mutant, judged, &telling, (fresh, limit)),
        _ if verdict == Verdict::Fail => (Seen::Caught, otherwise(&telling, fresh)),
        _ if verdict == Verdict::Inconclusive => (Seen::Held, lacking(judged)),
        // What fails without a check that says so would be a fault of the checklist.
        _ if telling.iter().any(|f| closes(&f)) => {
            (Seen::Missed, "a failing finding that no check fails on".into())
        }
        _ if !telling.is_empty() => (Seen::Reported, softened(stage, mutant, &telling)),
        Expect::Unseen(why) | Expect::Unsure(why) => (Seen::Explained, why.clone()),
        Expect::Seen => match unjudged(&stage.clean.outcome.measures, &judged.outcome.measures) {
            Some(why) => (Seen::Explained, why),
            None => (Seen::Missed, advice(mutant.class).to_string()),
        },
    }
}

/// What is within a limit may not be told; another check may still be the tighter one.
fn within(
    mutant: &Mutant<'_>,
    judged: &Judgement,
    telling: &[&Finding],
    (fresh, limit): (&[&Finding], &str),
) -> (Seen, String) {
    // Some findings stand for a class only where that itself is at fault.
    let own = telling.iter().find(|f| f.class == mutant.class && f.severity >= mutant.class.severity());
    match (own, judged.outcome.verdict) {
        (Some(finding), _) => (
            Seen::FalseAlarm,
            format!("{limit}, and yet: {} {}", finding.class, finding.detail).trim().to_string(),
        ),
        (None, Verdict::Pass) => (Seen::Quiet, limit.to_string()),
        (None, Verdict::Fail) => {
            let tighter = match failing(fresh).as_slice() {
                [] => "a check fails by itself".to_string(),
                classes => classes.join(", "),
            };
            (Seen::Explained, format!("{limit}; here another rule is tighter: {tighter}"))
        }
        (None, Verdict::Inconclusive) => (Seen::Held, lacking(judged)),
    }
}

/// Where the gate closed on another class alone.
fn otherwise(telling: &[&Finding], fresh: &[&Finding]) -> String {
    if telling.iter().any(|f| f.severity == Severity::Fail && !f.waived) {
        return String::new();
    }
    match failing(fresh).as_slice() {
        [] => "a check fails by itself, without a finding".into(),
        classes => format!("as {}", classes.join(", ")),
    }
}

/// The classes of the findings that fail a check.
fn failing(fresh: &[&Finding]) -> Vec<&'static str> {
    let mut classes: Vec<Class> =
        fresh.iter().filter(|f| f.severity == Severity::Fail && !f.waived).map(|f| f.class).collect();
    classes.sort_unstable();
    classes.dedup();
    classes.into_iter().map(Class::name).collect()
}

fn lacking(judged: &Judgement) -> String {
    let notes: Vec<String> = judged
        .outcome
        .checks
        .iter()
        .filter(|c| c.verdict == Some(Verdict::Inconclusive))
        .map(|c| format!("{}: {}", c.check, c.note))
        .collect();
    notes.join("; ")
}

/// Why what was told fails no check.
fn softened(stage: &Stage, mutant: &Mutant<'_>, telling: &[&Finding]) -> String {
    if let Some(waived) = telling.iter().find(|f| f.waived) {
        let contract = &stage.contract;
        let covers = |w: &&crate::contract::Waiver| {
            (w.feature.is_empty() || w.feature == *stage.feature().name)
                && w.class.is_none_or(|class| class == waived.class)
                && (w.field.is_empty() || w.field == waived.field)
        };
        return match contract.waivers.iter().find(covers) {
            Some(w) => format!("waived by {}: {}", w.owner, w.reason),
            None => "waived".into(),
        };
    }
    let strongest = telling.iter().map(|f| f.severity).max().unwrap_or(Severity::Info);
    let class = mutant.class;
    match class {
        _ if class.severity() > strongest => "outside market hours it is a note, and fails no check".into(),
        Class::UnknownStream => {
            "a warning; `[checks.messages-seen] strict_streams = true` would fail on it".into()
        }
        Class::TypeDiffers => {
            "a note; `[checks.required-fields] strict_types = true` would fail on it".into()
        }
        _ if strongest == Severity::Warn => "a warning; it fails no check".into(),
        _ => "a note; it fails no check".into(),
    }
}

/// What the engine said of itself that it did not judge, and would have judged in the untouched slice.
fn unjudged(clean: &Measures, mutant: &Measures) -> Option<String> {
    let grown = |a: u64, b: u64| b > a;
    match () {
        () if grown(clean.sparse, mutant.sparse) => {
            Some("REST, polled all the while, showed nothing new either: no tick was due".into())
        }
        () if grown(clean.unjudged_tail, mutant.unjudged_tail) => {
            Some("too near to the end of the slice to be judged".into())
        }
        () if grown(clean.unjudged_head, mutant.unjudged_head) => {
            Some("too near to the beginning of a connection to be judged".into())
        }
        () if grown(clean.unfinished, mutant.unfinished) => {
            Some("REST showed no final snapshot of the bucket".into())
        }
        () => None,
    }
}

/// What to look at where nothing explains that the gate stayed open.
fn advice(class: Class) -> &'static str {
    match class {
        Class::ValueMismatch | Class::TornRead => {
            "look at the field's `rest` and `ws` sources and its `tolerance`"
        }
        Class::Invariant => "look at `invariants` and the tolerance of the field that stands alone",
        Class::MissingRow | Class::ExtraRow => "look at `[feature.rows]`: `at` and `key`",
        Class::MissingOnWs | Class::Gap | Class::Frozen | Class::OutOfOrder => {
            "look at `time`, `interval`, `cadence` and `time_tolerance`"
        }
        Class::IntervalDrift | Class::Jitter => "look at `[checks.interval-match]`",
        Class::Late => "look at `max_delay` and `time`",
        _ => "look at the feature's `ws` source, `key` and fields",
    }
}
