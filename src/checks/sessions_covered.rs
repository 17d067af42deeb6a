//! `sessions-covered`: enough whole market sessions were watched, and each was clean by itself.

use super::{Check, Judged, View, notes, verdict};
use crate::model::outcome::{SessionOutcome, SessionsRequired};
use crate::model::{Class, Phase, Span, Timestamp};
use std::collections::BTreeSet;

pub const CHECK: Check = Check {
    name: "sessions-covered",
    phase: Phase::BeforeDeleting,
    classes: &[],
    limit: |view| {
        let SessionsRequired { sessions, coverage } = required(view);
        format!("{sessions} full sessions, {} % covered", coverage * 100.0)
    },
    rule: "enough full market sessions, each with the connection open and REST answering, and clean by itself",
    judge: |view, _| of_sessions(&seen(view), required(view), view.interrupted),
};

pub fn required(view: &View<'_>) -> SessionsRequired {
    let limits = &view.feature.spec.feature.limits;
    SessionsRequired { sessions: limits.sessions, coverage: limits.coverage }
}

/// Every session that was watched, in part or whole, in the order of time.
pub fn seen(view: &View<'_>) -> Vec<SessionOutcome> {
    let feature = view.feature;
    let (covered, findings) = (&feature.sessions.covered, &view.tally.by_session);
    let days: BTreeSet<i64> = covered.keys().chain(findings.keys()).copied().collect();
    // A pace is measured over all sessions together: where it fails, none is clean.
    let pace = view.tally.failing(&[Class::IntervalDrift, Class::Jitter]);
    let outcome = |day: i64| {
        let sessions = feature.spec.feature.calendar.sessions_on(day);
        SessionOutcome {
            day,
            open: sessions.first().map_or(Timestamp::MIN, |s| s.open()),
            close: sessions.last().map_or(Timestamp::MIN, |s| s.close()),
            length: sessions.iter().flat_map(|s| &s.segments).fold(Span::ZERO, |sum, s| sum + (s.1 - s.0)),
            covered: covered.get(&day).copied().unwrap_or(Span::ZERO),
            findings: findings.get(&day).copied().unwrap_or(0).max(pace),
        }
    };
    days.into_iter().map(outcome).collect()
}

/// How many of them count: whole, and clean.
pub fn count(sessions: &[SessionOutcome], required: SessionsRequired) -> u64 {
    sessions.iter().filter(|s| s.is_full(required) && s.findings == 0).count() as u64
}

/// What is lacking of the sessions that a claim over sessions needs; empty when nothing is.
pub fn lacking(sessions: &[SessionOutcome], required: SessionsRequired) -> String {
    let (counted, least) = (count(sessions, required), required.sessions);
    let best = sessions.iter().filter(|s| !s.is_full(required)).max_by_key(|s| s.covered);
    let partial = match best {
        Some(s) if s.length > Span::ZERO => {
            // Rounded down: 99.49 must not read as the 99.5 that would pass.
            let share = (s.covered.0 as f64 / s.length.0 as f64 * 1000.0).floor() / 10.0;
            format!("; {} is {share:.1} % covered", s.date())
        }
        _ => String::new(),
    };
    match counted >= least {
        true => String::new(),
        false => format!("{counted} of at least {least} full, clean sessions{partial}"),
    }
}

/// The check over the sessions of one run or of several.
pub fn of_sessions(sessions: &[SessionOutcome], required: SessionsRequired, interrupted: bool) -> Judged {
    let dirty: Vec<String> = sessions
        .iter()
        .filter(|s| s.findings > 0)
        .map(|s| format!("{} has {} failing findings", s.date(), s.findings))
        .collect();
    let interrupted = if interrupted { "the run was interrupted: what followed is not known" } else { "" };
    let lacking = notes(&[&lacking(sessions, required), interrupted]);
    let full = sessions.iter().filter(|s| s.is_full(required)).count();
    Judged {
        verdict: verdict(!dirty.is_empty(), &lacking),
        observed: notes(&[&format!("{full} full of {} sessions", sessions.len()), &dirty.join(", ")]),
        evidence: format!("{} sessions", count(sessions, required)),
        confidence: String::new(),
        note: lacking,
        first: sessions.first().map(|s| s.open),
        last: sessions.last().map(|s| s.close),
    }
}
