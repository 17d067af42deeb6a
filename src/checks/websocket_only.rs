//! `websocket-only`: since the flag is true, the frontend lives on the WebSocket.

use super::{Check, Judged, View, failing, notes, verdict};
use crate::engine::frontend::Seen;
use crate::model::outcome::{CheckResult, Polling};
use crate::model::{Class, Phase, Verdict};

/// Requests since the flag is true, loads and all, as a fraction of those before: above it, the flag
/// changed too little to tell loads from polls.
const STILL_POLLING: f64 = 0.5;

pub const CHECK: Check = Check {
    name: "websocket-only",
    phase: Phase::AfterEnabling,
    classes: &[Class::RestStillPolled],
    limit: |_| "the WebSocket opened, no poll".into(),
    rule: "the frontend opened the WebSocket and never polled the feature's REST path while its flag is true; \
           one request of each target within max(settle, poll/2) of a WebSocket's opening is the load of a page",
    judge,
};

fn judge(view: &View<'_>, check: &Check) -> Judged {
    let with = &view.frontend.with;
    let polled = failing(view, check.classes);
    let refused = with.opened == 0 && with.refused > 0;
    let lacking = lacking(view);
    let mut observed = vec![polled.clone().unwrap_or_else(|| "no poll".into())];
    if with.loads > 0 {
        observed.push(format!("{} loads of a page", with.loads));
    }
    if with.refused > 0 {
        observed.push(format!("{} WebSockets refused (status {})", with.refused, with.refusal));
    }
    Judged {
        verdict: verdict(polled.is_some() || refused, &lacking),
        observed: observed.join(", "),
        evidence: format!("{} requests, {} WebSockets opened, in {}", with.lines, with.opened, with.watched),
        confidence: effect(polling(view)),
        note: notes(&[&lacking, unjudged(with).as_str()]),
        first: with.first,
        last: with.last,
    }
}

/// What keeps the check from passing, in words.
fn lacking(view: &View<'_>) -> String {
    let (frontend, with) = (view.frontend, &view.frontend.with);
    let poll = view.feature.spec.feature.rest.poll;
    let due = poll + frontend.load_window;
    if !frontend.flag_lacking().is_empty() {
        return frontend.flag_lacking().into();
    }
    if with.opened == 0 {
        return "the frontend was not seen to open the WebSocket".into();
    }
    if with.watched_open < due {
        return format!(
            "watched for {} after the WebSocket opened; it takes {due} to see that no poll follows",
            with.watched_open
        );
    }
    if with.shared > 0 {
        return format!(
            "{} requests of a path that a feature shares whose flag is not true: they may be its polls",
            with.shared
        );
    }
    if let Some(too_little) = too_little(polling(view)) {
        return too_little;
    }
    match view.interrupted {
        true => "the run was interrupted: what followed is not known".into(),
        false => String::new(),
    }
}

fn polling(view: &View<'_>) -> Polling {
    Polling { without: view.frontend.without.requested(), with: view.frontend.with.requested() }
}

/// The check over several runs: the flag's effect shows between them, one watched without it and one with.
pub fn over_runs(judged: CheckResult, polling: Polling) -> CheckResult {
    // Nothing was judged where the frontend was never watched with the flag.
    let confidence = match polling.with.per_minute() {
        Some(_) => effect(polling),
        None => judged.confidence.clone(),
    };
    match too_little(polling) {
        Some(why) if judged.verdict == Some(Verdict::Pass) => CheckResult {
            verdict: Some(Verdict::Inconclusive),
            note: notes(&[&why, &judged.note]),
            confidence,
            ..judged
        },
        _ => CheckResult { confidence, ..judged },
    }
}

/// Why requests with the flag cannot be told from polls, where they are nearly as many as without it.
fn too_little(polling: Polling) -> Option<String> {
    let (before, since) = (polling.without.per_minute()?, polling.with.per_minute()?);
    let is_little = before > 0.0 && since > STILL_POLLING * before;
    is_little.then(|| format!("the flag changed too little: {}", rates(before, since)))
}

/// The flag's effect, where the frontend was watched without it too.
fn effect(polling: Polling) -> String {
    match (polling.without.per_minute(), polling.with.per_minute()) {
        (Some(before), Some(since)) => rates(before, since),
        (None, Some(_)) => "its polls were never seen without the flag".into(),
        _ => String::new(),
    }
}

fn rates(before: f64, since: f64) -> String {
    format!("{before:.1} REST requests a minute without the flag, {since:.1} with it")
}

fn unjudged(seen: &Seen) -> String {
    match seen.unjudged {
        0 => String::new(),
        n => format!("{n} requests at the end of a run, too late to tell loads from polls"),
    }
}
