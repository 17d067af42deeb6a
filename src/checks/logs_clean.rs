//! `logs-clean` and `prod-logs-clean`: nothing in the logs tells of a broken WebSocket.

use super::{Check, Judged, View, failing, sessions_covered, verdict};
use crate::engine::logs::LogSource;
use crate::model::{Class, Phase};

pub const AFTER_ENABLING: Check = Check {
    name: "logs-clean",
    phase: Phase::AfterEnabling,
    classes: &[Class::LogError],
    limit: |_| "no matching line".into(),
    rule: "no line of a log matches [logs] errors",
    judge: |view, check| judge(view, check, ""),
};

pub const BEFORE_DELETING: Check = Check {
    name: "prod-logs-clean",
    phase: Phase::BeforeDeleting,
    classes: &[Class::LogError],
    limit: |_| "no matching line".into(),
    rule: "no line of production's logs over those sessions matches [logs] errors",
    judge: |view, check| {
        judge(
            view,
            check,
            &sessions_covered::lacking(&sessions_covered::seen(view), sessions_covered::required(view)),
        )
    },
};

/// `sessions`: what is lacking of the sessions that the logs have to cover.
fn judge(view: &View<'_>, check: &Check, sessions: &str) -> Judged {
    let sources = &view.logs.sources;
    let failed = failing(view, check.classes);
    let lacking = [lacking(view).as_str(), sessions]
        .into_iter()
        .find(|words| !words.is_empty())
        .unwrap_or_default()
        .to_string();
    let lines: u64 = sources.values().map(|source| source.lines).sum();
    let named = |(name, source): (&Box<str>, &LogSource)| format!("{name} {}", source.lines);
    let each: Vec<String> = sources.iter().filter(|(_, s)| s.read).map(named).collect();
    Judged {
        verdict: verdict(failed.is_some(), &lacking),
        observed: failed.unwrap_or_else(|| "none".into()),
        evidence: match each.len() {
            0 | 1 => format!("{lines} lines"),
            _ => format!("{lines} lines ({})", each.join(", ")),
        },
        confidence: String::new(),
        note: lacking,
        first: sources.values().filter_map(|s| s.first).min(),
        last: sources.values().filter_map(|s| s.last).max(),
    }
}

fn lacking(view: &View<'_>) -> String {
    let sources = &view.logs.sources;
    if sources.is_empty() {
        return "no log was read".into();
    }
    if let Some((name, _)) = sources.iter().find(|(_, source)| !source.read) {
        return format!("log `{name}` was never read");
    }
    let lost = sources.iter().find_map(|(name, source)| Some((name, source.lost_for_good?)));
    match (lost, view.interrupted) {
        (Some((name, at)), _) => {
            format!("log `{name}` vanished at {} and did not come back", at.whole_millis())
        }
        (None, true) => "the run was interrupted: what followed is not known".into(),
        (None, false) => String::new(),
    }
}
