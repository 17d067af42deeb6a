//! The checklist (SPEC §7): one file an item, one table of all in report order, and what follows for
//! a feature and a run. A check sees what the engine counted; it cannot know whether a run is live.

mod conclude;
mod interval_match;
pub mod logs_clean;
mod messages_seen;
mod no_drops;
mod no_gaps;
pub mod plan;
pub mod proven;
mod required_fields;
mod resources_flat;
pub mod rest_retired;
pub mod sessions_covered;
pub mod signed_off;
pub mod values_match;
pub mod values_proven;
pub mod websocket_only;

pub use conclude::{Provenance, conclude};

use crate::contract::Feature;
use crate::engine::FeatureState;
use crate::engine::frontend::Requests;
use crate::engine::ledger::Tally;
use crate::engine::logs::LogWatch;
use crate::engine::resources::Resources;
use crate::engine::stream::Stream;
use crate::model::{Class, Phase, Timestamp, Verdict};

/// What a check may look at.
#[derive(Debug, Clone, Copy)]
pub struct View<'v> {
    pub feature: &'v FeatureState,
    pub tally: &'v Tally,
    pub frontend: &'v Requests,
    pub logs: &'v LogWatch,
    pub resources: &'v Resources,
    pub interrupted: bool,
    /// Messages that show that the server lives, and nothing more.
    pub keepalives: u64,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    pub verdict: Verdict,
    pub observed: String,
    pub evidence: String,
    pub confidence: String,
    pub note: String,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
}

/// One item of the checklist.
#[derive(Debug)]
pub struct Check {
    pub name: &'static str,
    pub phase: Phase,
    /// Findings of these classes fail it.
    pub classes: &'static [Class],
    pub limit: fn(&View<'_>) -> String,
    pub rule: &'static str,
    pub judge: fn(&View<'_>, &Check) -> Judged,
}

/// All items, in report order; `of` says which a feature is asked.
pub const CHECKS: &[Check] = &[
    messages_seen::CHECK,
    interval_match::CHECK,
    required_fields::CHECK,
    no_drops::CHECK,
    no_gaps::CHECK,
    values_match::BEFORE_ENABLING,
    websocket_only::CHECK,
    values_match::AFTER_ENABLING,
    resources_flat::CHECK,
    logs_clean::AFTER_ENABLING,
    sessions_covered::CHECK,
    values_proven::CHECK,
    logs_clean::BEFORE_DELETING,
    rest_retired::CHECK,
    signed_off::CHECK,
];

/// The items that a feature's contract asks for: all, and whether its endpoint may go away where it says so.
pub fn of(feature: &Feature) -> impl Iterator<Item = &'static Check> {
    let retires = feature.limits.retired.is_some();
    CHECKS.iter().filter(move |check| retires || check.name != rest_retired::CHECK.name)
}

/// Findings that fail a check, in words: `3 gap, 1 frozen`; `None` where there is none.
fn failing(view: &View<'_>, classes: &[Class]) -> Option<String> {
    let counts: Vec<String> = classes
        .iter()
        .map(|class| (class, view.tally.failing(&[*class])))
        .filter(|(_, count)| *count > 0)
        .map(|(class, count)| format!("{count} {class}"))
        .collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

/// FAIL on findings at any count, INCONCLUSIVE while something lacks, else PASS.
fn verdict(failed: bool, lacking: &str) -> Verdict {
    match (failed, lacking.is_empty()) {
        (true, _) => Verdict::Fail,
        (false, false) => Verdict::Inconclusive,
        (false, true) => Verdict::Pass,
    }
}

/// Streams that must reach a minimum, those that were seen too late or too briefly to, and those that lack.
struct Minimum<'v> {
    due: usize,
    exempt: usize,
    short: Vec<(&'v Stream, u64)>,
}

/// Who of REST's streams has not reached `minimum` by `count`.
fn minimum<'v>(view: &View<'v>, minimum: u64, count: impl Fn(&Stream) -> u64) -> Minimum<'v> {
    let pace = view.feature.spec.pace();
    let needed = pace.interval * minimum as i64 + pace.interval.half().max(pace.settle);
    let mut result = Minimum { due: 0, exempt: 0, short: Vec::new() };
    for stream in view.feature.streams.iter().filter(|s| s.shown_by_rest) {
        match count(stream) {
            reached if reached >= minimum => result.due += 1,
            // An order that lived for seconds can no more reach it than one that came at the end.
            _ if (stream.latecomer || stream.gone) && stream.watched < needed => result.exempt += 1,
            reached => {
                result.due += 1;
                result.short.push((stream, reached));
            }
        }
    }
    result
}

impl Minimum<'_> {
    /// What is lacking, in words; empty when nothing is.
    fn lacking(&self, minimum: u64, what: &str) -> String {
        match (self.due, self.short.first()) {
            (0, _) => "REST showed no stream in time".into(),
            (_, None) => String::new(),
            (due, Some((stream, reached))) => format!(
                "{} of {due} streams have fewer than {minimum} {what} ({} has {reached})",
                self.short.len(),
                stream.label
            ),
        }
    }

    fn exempt_note(&self) -> String {
        match self.exempt {
            0 => String::new(),
            n => format!("{n} streams seen too late or too briefly to judge"),
        }
    }
}

/// Remarks in one line.
fn notes(parts: &[&str]) -> String {
    parts.iter().filter(|p| !p.is_empty()).copied().collect::<Vec<_>>().join("; ")
}

/// The feature's first and last message.
fn span_of_messages(view: &View<'_>) -> (Option<Timestamp>, Option<Timestamp>) {
    (view.feature.traffic.first_message, view.feature.traffic.last_message)
}
