//! `rest-retired`: nobody asks the feature's REST endpoint any more, so that it may go away. Asked where the
//! contract has a table `[checks.rest-retired]`.

use super::{Check, Judged, View, notes, verdict};
use crate::model::Phase;
use crate::model::outcome::{Asked, EndpointOutcome, EndpointSession};
use crate::model::{Span, Timestamp};

pub const CHECK: Check = Check {
    name: "rest-retired",
    phase: Phase::BeforeDeleting,
    classes: &[],
    limit: |view| {
        let silence = view.feature.spec.feature.limits.retired.as_ref().map_or(Span::ZERO, |r| r.silence);
        view.frontend.retired.as_ref().map_or_else(String::new, |endpoint| {
            let required = endpoint.outcome().required;
            format!(
                "no request for {} full sessions, {} % covered by logs (silence {silence} at most)",
                required.sessions,
                required.coverage * 100.0
            )
        })
    },
    rule: "nobody but cutover and whom the contract ignores asked the feature's REST path, page loads included, \
           for enough full market sessions up to the last, in logs that show that they were alive",
    judge: |view: &View<'_>, _| match &view.frontend.retired {
        Some(endpoint) => of_endpoint(&endpoint.outcome(), view.interrupted),
        None => nothing(),
    },
};

/// Of a feature whose contract does not ask.
fn nothing() -> Judged {
    Judged {
        verdict: verdict(false, "-"),
        observed: String::new(),
        evidence: String::new(),
        confidence: String::new(),
        note: "the contract has no [checks.rest-retired]".into(),
        first: None,
        last: None,
    }
}

/// The check over the sessions of one run or of several.
pub fn of_endpoint(seen: &EndpointOutcome, interrupted: bool) -> Judged {
    let is_asked = |s: &&EndpointSession| s.asked.requests + s.expected.requests > 0;
    let latest = seen.sessions.iter().rev().find(is_asked);
    // What was asked and is not any more, is not: it counts from the session after the last request.
    let since = latest.map_or(i64::MIN, |s| s.day);
    let after: Vec<&EndpointSession> = seen.sessions.iter().filter(|s| s.day > since).collect();
    let quiet: Vec<&EndpointSession> = after.iter().copied().filter(|s| s.is_full(seen.required)).collect();
    let failed = quiet.is_empty() && latest.is_some_and(|s| s.asked.requests > 0);
    let lacking = lacking(seen, &quiet, &after);
    let interrupted = if interrupted { "the run was interrupted: what followed is not known" } else { "" };
    let lacking = notes(&[&lacking, interrupted]);
    let first = quiet.first().map(|s| s.open).or(seen.sessions.first().map(|s| s.open));
    Judged {
        verdict: verdict(failed, &lacking),
        observed: observed(seen, quiet.is_empty()),
        evidence: format!("{} full sessions without a request", quiet.len()),
        confidence: String::new(),
        note: lacking,
        first,
        last: seen.sessions.last().map(|s| s.close),
    }
}

/// What was asked, by whom nobody waits for, and when nobody asks for proof.
fn observed(seen: &EndpointOutcome, none_since: bool) -> String {
    let sum = |of: fn(&EndpointSession) -> &Asked| {
        seen.sessions.iter().map(of).fold(Asked::default(), |all, asked| all.plus(asked))
    };
    let (asked, expected) = (sum(|s| &s.asked), sum(|s| &s.expected));
    let said = |asked: &Asked, what: &str| match (asked.first, asked.last, asked.requests) {
        (Some(first), Some(last), n @ 2..) => {
            format!("{n} requests{what}, {} to {}, the last {}", shown(first), shown(last), asked.what)
        }
        (Some(first), ..) => format!("1 request{what}, {}: {}", shown(first), asked.what),
        _ => String::new(),
    };
    let counted = |count: u64, what: &str| if count == 0 { String::new() } else { format!("{count} {what}") };
    let none = match (asked.requests + expected.requests, none_since) {
        (0, _) => "no request",
        (_, false) => "no request since",
        (_, true) => "",
    };
    notes(&[
        none,
        &said(&asked, ""),
        &said(&expected, " while the flag was false"),
        &counted(seen.outside, "outside market hours"),
        &counted(seen.ignored, "by cutover or ignored clients"),
    ])
}

fn shown(at: Timestamp) -> Timestamp {
    at.whole_millis()
}

/// What keeps it from passing, in words.
fn lacking(seen: &EndpointOutcome, quiet: &[&EndpointSession], after: &[&EndpointSession]) -> String {
    let (counted, least) = (quiet.len() as u64, seen.required.sessions);
    if counted >= least {
        return String::new();
    }
    if seen.sessions.is_empty() && seen.doubts.is_empty() {
        return "no request of the frontend was seen in a market session (see cutover import)".into();
    }
    let partial = after.iter().filter(|s| !s.is_full(seen.required) && s.length > Span::ZERO);
    let partial = partial.max_by_key(|s| s.covered).map_or_else(String::new, |s| {
        // Rounded down, as in `sessions-covered`.
        let share = (s.covered.0 as f64 / s.length.0 as f64 * 1000.0).floor() / 10.0;
        format!("{} is {share:.1} % covered", s.date())
    });
    let few = format!("{counted} of at least {least} full sessions without a request");
    let all = [few.as_str(), &partial].into_iter().chain(seen.doubts.iter().map(String::as_str));
    notes(&all.collect::<Vec<_>>())
}
