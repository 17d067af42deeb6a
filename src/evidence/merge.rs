//! Outcomes of several runs as one: every count once, nothing averaged.
//!
//! A check of all runs fails where it fails in any, passes where it passes in some and fails in none, and
//! is INCONCLUSIVE otherwise. What builds up over runs, sessions and values seen to change, is judged over
//! all of them. Runs that overlap in time are refused: what one of them saw would count twice.

use crate::checks::{
    CHECKS, Judged, logs_clean, rest_retired, sessions_covered, values_match, values_proven, websocket_only,
};
use crate::model::outcome::{
    CheckResult, ConnectionOutcome, EndpointOutcome, EndpointSession, Episode, FeatureOutcome, FieldMeasure,
    FieldProven, Measures, Outcome, Polling, Quantiles, SessionOutcome, WaiverOutcome,
};
use crate::model::{Class, Phase, Span, Timestamp, Verdict};
use std::collections::BTreeMap;

/// Samples and episodes kept of all runs together; counts are exact.
const MAX_SAMPLES: usize = 200;
const MAX_EPISODES: usize = 1_000;
const NOT_JUDGED: &str = "no run judged it";

/// Why outcomes cannot be counted together; the numbers say which, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotOneEvidence {
    Nothing,
    Overlap { first: usize, second: usize, from: Timestamp, to: Timestamp },
}

/// One outcome of all, judged in `phases`. Exactly the same evidence given twice counts once.
pub fn merge(outcomes: &[Outcome], phases: &[Phase]) -> Result<Outcome, NotOneEvidence> {
    let each_once = in_order(outcomes)?;
    let runs: Vec<&Outcome> = each_once.iter().collect();
    let newest = *runs.last().ok_or(NotOneEvidence::Nothing)?;
    let mut names: Vec<&str> = Vec::new();
    for feature in runs.iter().rev().flat_map(|run| &run.features) {
        if !names.contains(&&*feature.name) {
            names.push(&feature.name);
        }
    }
    let features: Vec<FeatureOutcome> = names.iter().map(|name| feature(&runs, name, phases)).collect();
    Ok(Outcome {
        tool: newest.tool.clone(),
        contract_sha256: newest.contract_sha256.clone(),
        other_contract: runs.iter().any(|run| run.other_contract),
        capture_sha256: runs.iter().flat_map(|run| run.capture_sha256.iter().cloned()).collect(),
        feeds: newest.feeds.clone(),
        first: runs.iter().filter_map(|run| run.first).min(),
        last: runs.iter().filter_map(|run| run.last).max(),
        observations: runs.iter().map(|run| run.observations).sum(),
        interrupted: runs.iter().any(|run| run.interrupted),
        damaged: runs.iter().map(|run| run.damaged).sum(),
        verdict: Verdict::of(features.iter().map(|f| f.verdict)),
        features,
        connection: connection(&runs),
        processes: runs.iter().flat_map(|run| run.processes.iter().cloned()).collect(),
        findings: by_class(runs.iter().map(|run| run.findings.as_slice())),
        findings_fail: runs.iter().map(|run| run.findings_fail).sum(),
        findings_warn: runs.iter().map(|run| run.findings_warn).sum(),
        findings_info: runs.iter().map(|run| run.findings_info).sum(),
        waivers: waivers(&runs),
        reviewers: newest.reviewers.clone(),
        signed: Vec::new(),
        episodes: runs.iter().flat_map(|run| run.episodes.iter().cloned()).take(MAX_EPISODES).collect(),
        samples: runs.iter().flat_map(|run| run.samples.iter().cloned()).take(MAX_SAMPLES).collect(),
        notes: notes(&runs, outcomes.len()),
        drill: None,
    })
}

/// The runs in the order of time, each once.
fn in_order(outcomes: &[Outcome]) -> Result<Vec<Outcome>, NotOneEvidence> {
    let mut runs: Vec<(usize, Outcome)> = Vec::new();
    for (i, outcome) in outcomes.iter().enumerate() {
        let same = |(_, known): &&mut (usize, Outcome)| {
            !outcome.capture_sha256.is_empty()
                && outcome.capture_sha256 == known.capture_sha256
                && outcome.contract_sha256 == known.contract_sha256
        };
        match runs.iter_mut().find(same) {
            Some((_, known)) => judged_again(known, outcome),
            None => runs.push((i, outcome.clone())),
        }
    }
    runs.sort_by_key(|(i, run)| (run.first, *i));
    for pair in runs.windows(2) {
        let [(first, a), (second, b)] = pair else { continue };
        if let (Some(ended), Some(from)) = (a.last, b.first)
            && from < ended
        {
            let to = b.last.map_or(ended, |last| last.min(ended));
            return Err(NotOneEvidence::Overlap { first: *first, second: *second, from, to });
        }
    }
    Ok(runs.into_iter().map(|(_, run)| run).collect())
}

/// The same captures judged twice, in other phases, features or against another baseline: counts are the
/// same, and no judging hides what the other one found.
fn judged_again(known: &mut Outcome, again: &Outcome) {
    for feature in &again.features {
        let Some(before) = known.features.iter_mut().find(|f| f.name == feature.name) else {
            known.features.push(feature.clone());
            continue;
        };
        for check in &feature.checks {
            let told = before.checks.iter_mut().find(|c| c.check == check.check && c.phase == check.phase);
            if let Some(told) = told.filter(|told| weight(check.verdict) > weight(told.verdict)) {
                told.clone_from(check);
            }
        }
        for session in &feature.sessions {
            if let Some(seen) = before.sessions.iter_mut().find(|s| s.day == session.day) {
                seen.findings = seen.findings.max(session.findings);
            }
        }
    }
    known
        .notes
        .extend(again.notes.iter().filter(|note| !known.notes.contains(note)).cloned().collect::<Vec<_>>());
}

/// Which of two verdicts on one check stands: as over runs, FAIL before PASS before what is lacking.
fn weight(verdict: Option<Verdict>) -> u8 {
    match verdict {
        None => 0,
        Some(Verdict::Inconclusive) => 1,
        Some(Verdict::Pass) => 2,
        Some(Verdict::Fail) => 3,
    }
}

fn feature(runs: &[&Outcome], name_of_feature: &str, phases: &[Phase]) -> FeatureOutcome {
    let of_run = |run: &&Outcome| {
        let found = run.features.iter().find(|f| *f.name == *name_of_feature)?;
        Some((run.interrupted, found.clone()))
    };
    let parts: Vec<(bool, FeatureOutcome)> = runs.iter().filter_map(of_run).collect();
    let newest = &parts.last().expect("a name comes from one of the runs").1;
    let required = newest.required;
    let sessions = sessions(&parts);
    let proofs = proofs(parts.iter().map(|(_, f)| f));
    let measures = parts.iter().map(|(_, f)| &f.measures).fold(Measures::default(), plus);
    let endpoint = endpoint(&parts);
    let polling = parts.iter().fold(Polling::default(), |sum, (_, f)| Polling {
        without: sum.without.plus(f.polling.without),
        with: sum.with.plus(f.polling.with),
    });
    let whole = sessions_covered::count(&sessions, required);
    let lacking = sessions_covered::lacking(&sessions, required);
    let checks: Vec<CheckResult> = CHECKS
        .iter()
        .filter(|check| check.name != rest_retired::CHECK.name || endpoint.is_some())
        .map(|check| {
            let results: Vec<&CheckResult> = parts
                .iter()
                .filter_map(|(_, f)| {
                    f.checks.iter().find(|c| c.check == check.name && c.phase == check.phase)
                })
                .collect();
            let merged = match check.name {
                _ if !phases.contains(&check.phase) => not_asked(&results),
                name if name == sessions_covered::CHECK.name => {
                    judged(&results, sessions_covered::of_sessions(&sessions, required, false))
                }
                name if name == values_proven::CHECK.name => {
                    judged(&results, values_proven::of_fields(&proofs, measures.pairs, &lacking))
                }
                name if name == rest_retired::CHECK.name => match &endpoint {
                    Some(endpoint) => judged(&results, rest_retired::of_endpoint(endpoint, false)),
                    None => of_results(&results),
                },
                name if name == websocket_only::CHECK.name => {
                    websocket_only::over_runs(of_results(&results), polling)
                }
                name if name == values_match::BEFORE_ENABLING.name => {
                    values(runs, name_of_feature, check.phase, of_results(&results))
                }
                name if name == logs_clean::BEFORE_DELETING.name => logs(&parts, &results, &lacking),
                _ => of_results(&results),
            };
            CheckResult {
                check: check.name,
                phase: check.phase,
                rule: check.rule.into(),
                sessions: whole,
                ..merged
            }
        })
        .collect();
    FeatureOutcome {
        name: newest.name.clone(),
        flag: newest.flag.clone(),
        flag_on: newest.flag_on,
        align: newest.align,
        interval: newest.interval,
        verdict: Verdict::of(checks.iter().filter_map(|c| c.verdict)),
        checks,
        measures,
        sessions,
        proofs,
        required,
        polling,
        endpoint,
    }
}

/// What is known of the endpoint, as the newest contract asks it; nothing where that does not ask. Of an
/// interrupted run only the requests count.
fn endpoint(parts: &[(bool, FeatureOutcome)]) -> Option<EndpointOutcome> {
    let newest = parts.last()?.1.endpoint.as_ref()?;
    let mut by_day: BTreeMap<i64, EndpointSession> = BTreeMap::new();
    let mut all = EndpointOutcome {
        required: newest.required,
        sessions: Vec::new(),
        ignored: 0,
        outside: 0,
        doubts: Vec::new(),
    };
    for (interrupted, seen) in parts.iter().filter_map(|(i, f)| Some((*i, f.endpoint.as_ref()?))) {
        all.ignored += seen.ignored;
        all.outside += seen.outside;
        let new = seen.doubts.iter().filter(|doubt| !all.doubts.contains(doubt));
        let new: Vec<String> = new.cloned().collect();
        all.doubts.extend(new);
        for session in &seen.sessions {
            let covered = if interrupted { Span::ZERO } else { session.covered };
            by_day
                .entry(session.day)
                .and_modify(|known| {
                    known.covered = known.covered + covered;
                    known.asked = known.asked.plus(&session.asked);
                    known.expected = known.expected.plus(&session.expected);
                })
                .or_insert(EndpointSession { covered, ..session.clone() });
        }
    }
    all.sessions = by_day.into_values().collect();
    Some(all)
}

/// With what all pairs say together of the rate of wrong ones, of the runs in which they were judged.
fn values(runs: &[&Outcome], feature: &str, phase: Phase, judged: CheckResult) -> CheckResult {
    let (mut mismatched, mut pairs, mut episodes, mut time) = (0, 0, 0, Span::ZERO);
    let (mut counted, mut all_listed) = (0, true);
    for run in runs {
        let Some(found) = run.features.iter().find(|f| *f.name == *feature) else { continue };
        let mut own = found.checks.iter().filter(|c| c.check == values_match::BEFORE_ENABLING.name);
        if !own.any(|c| c.phase == phase && c.verdict.is_some()) {
            continue;
        }
        counted += 1;
        let measures = &found.measures;
        (mismatched, pairs) = (mismatched + measures.mismatched_pairs, pairs + measures.pairs);
        time = time + measures.market_time;
        let own = |e: &&Episode| e.feature.as_deref().is_none_or(|name| name == feature);
        let listed: Vec<&Episode> = run.episodes.iter().filter(own).collect();
        all_listed &= listed.len() as u64 >= measures.episodes;
        episodes += listed.iter().filter(|e| values_match::is_of_values(e.class)).count() as u64;
    }
    if counted < 2 {
        return judged;
    }
    // A report lists so many episodes and no more: of a part nothing is said an hour.
    let episodes = if all_listed { episodes } else { 0 };
    let told = values_match::confidence(mismatched, pairs, episodes, time);
    CheckResult { confidence: format!("{pairs} pairs of {counted} runs: {told}"), ..judged }
}

/// Sessions by their day; of an interrupted run only the findings count, because what followed is not known.
fn sessions(parts: &[(bool, FeatureOutcome)]) -> Vec<SessionOutcome> {
    let mut by_day: BTreeMap<i64, SessionOutcome> = BTreeMap::new();
    for (interrupted, feature) in parts {
        for session in &feature.sessions {
            let covered = if *interrupted { Span::ZERO } else { session.covered };
            by_day
                .entry(session.day)
                .and_modify(|known| {
                    known.covered = known.covered + covered;
                    known.findings += session.findings;
                })
                .or_insert(SessionOutcome { covered, ..session.clone() });
        }
    }
    by_day.into_values().collect()
}

fn proofs<'f>(parts: impl Iterator<Item = &'f FeatureOutcome>) -> Vec<FieldProven> {
    let mut all: Vec<FieldProven> = Vec::new();
    for proof in parts.flat_map(|feature| &feature.proofs) {
        match all.iter_mut().find(|known| known.field == proof.field) {
            Some(known) => {
                known.changed |= proof.changed;
                let ways = [(&mut known.shown, &proof.shown), (&mut known.matched, &proof.matched)];
                for (known, more) in ways {
                    known.extend(more.iter().cloned());
                    known.sort();
                    known.dedup();
                }
            }
            None => all.push(proof.clone()),
        }
    }
    all
}

// ---- one check over runs ----

fn blank(results: &[&CheckResult]) -> CheckResult {
    CheckResult {
        check: "",
        phase: Phase::BeforeEnabling,
        verdict: None,
        observed: String::new(),
        limit: results.last().map(|r| r.limit.clone()).unwrap_or_default(),
        evidence: String::new(),
        confidence: String::new(),
        rule: String::new(),
        note: String::new(),
        waived: results.iter().map(|r| r.waived).sum(),
        first: results.iter().filter_map(|r| r.first).min(),
        last: results.iter().filter_map(|r| r.last).max(),
        sessions: 0,
    }
}

fn not_asked(results: &[&CheckResult]) -> CheckResult {
    CheckResult { waived: 0, first: None, last: None, ..blank(results) }
}

fn judged(results: &[&CheckResult], judged: Judged) -> CheckResult {
    CheckResult {
        verdict: Some(judged.verdict),
        observed: judged.observed,
        evidence: judged.evidence,
        confidence: judged.confidence,
        note: judged.note,
        first: judged.first.or_else(|| results.iter().filter_map(|r| r.first).min()),
        last: judged.last.or_else(|| results.iter().filter_map(|r| r.last).max()),
        ..blank(results)
    }
}

/// Logs over the sessions of all runs: as many sessions as are asked for, with logs that were read and clean.
fn logs(parts: &[(bool, FeatureOutcome)], results: &[&CheckResult], lacking: &str) -> CheckResult {
    let merged = of_results(results);
    if merged.verdict == Some(Verdict::Fail) || merged.note == NOT_JUDGED {
        return merged;
    }
    let covers = |f: &FeatureOutcome| f.sessions.iter().any(|s| s.is_full(f.required));
    // What a run by itself lacks of sessions it does not lack here.
    let unread = |f: &FeatureOutcome| {
        let alone = sessions_covered::lacking(&f.sessions, f.required);
        let told = f.checks.iter().find(|c| c.check == logs_clean::BEFORE_DELETING.name)?;
        let clean = told.verdict == Some(Verdict::Pass) || (told.verdict.is_some() && told.note == alone);
        (!clean).then(|| if told.verdict.is_none() { NOT_JUDGED.to_string() } else { told.note.clone() })
    };
    // Sessions whose logs nobody read prove nothing here, and take nothing from those that were read.
    let read: Vec<_> = parts.iter().filter(|(_, f)| !covers(f) || unread(f).is_none()).cloned().collect();
    let enough = parts.last().is_some_and(|(_, f)| {
        lacking.is_empty() && sessions_covered::lacking(&sessions(&read), f.required).is_empty()
    });
    let first = parts.iter().filter(|(_, f)| covers(f)).find_map(|(_, f)| unread(f)).unwrap_or_default();
    let note: Vec<&str> = [first.as_str(), lacking].into_iter().filter(|words| !words.is_empty()).collect();
    let (verdict, note) = match enough {
        true => (Verdict::Pass, String::new()),
        false => (Verdict::Inconclusive, note.join("; ")),
    };
    CheckResult { verdict: Some(verdict), note, ..merged }
}

/// The worst that counts: any FAIL, else any PASS, else what is lacking everywhere.
fn of_results(results: &[&CheckResult]) -> CheckResult {
    let asked: Vec<&CheckResult> = results.iter().copied().filter(|r| r.verdict.is_some()).collect();
    let of = |verdict| asked.iter().copied().filter(move |r| r.verdict == Some(verdict));
    let telling =
        of(Verdict::Fail).next().or_else(|| of(Verdict::Pass).next_back()).or(asked.last().copied());
    let Some(telling) = telling else {
        return CheckResult {
            verdict: Some(Verdict::Inconclusive),
            observed: "nothing".into(),
            evidence: "0 runs".into(),
            note: NOT_JUDGED.into(),
            ..blank(results)
        };
    };
    if asked.len() == 1 {
        return CheckResult { rule: String::new(), ..telling.clone() };
    }
    let count = |verdict, word: &str| match of(verdict).count() {
        0 => String::new(),
        n => format!("{n} {word}"),
    };
    let counts = [
        count(Verdict::Fail, "fail"),
        count(Verdict::Inconclusive, "inconclusive"),
        count(Verdict::Pass, "pass"),
    ];
    let counts = counts.into_iter().filter(|c| !c.is_empty()).collect::<Vec<_>>().join(", ");
    let when = telling.first.map(|t| format!(" ({t})")).unwrap_or_default();
    CheckResult {
        verdict: telling.verdict,
        observed: format!("{}{when}", telling.observed),
        evidence: format!("{} runs: {counts}; {}", asked.len(), telling.evidence),
        confidence: telling.confidence.clone(),
        note: telling.note.clone(),
        ..blank(results)
    }
}

// ---- counts ----

fn by_class<'c>(lists: impl Iterator<Item = &'c [(Class, u64)]>) -> Vec<(Class, u64)> {
    let mut all: BTreeMap<Class, u64> = BTreeMap::new();
    for (class, count) in lists.flatten() {
        *all.entry(*class).or_default() += count;
    }
    all.into_iter().collect()
}

/// Counts add up. Of distributions, which do not, the worse one stands.
fn plus(a: Measures, b: &Measures) -> Measures {
    let strays = |drift: Option<f64>| drift.map_or(-1.0, f64::abs);
    let worse = if strays(b.drift) > strays(a.drift) { b } else { &a };
    let (period_ws, period_rest, drift) = (worse.period_ws, worse.period_rest, worse.drift);
    let gain = match (a.freshness_gain.count, b.freshness_gain.count) {
        (0, _) => b,
        (_, 0) => &a,
        _ if b.freshness_gain.p50 < a.freshness_gain.p50 => b,
        _ => &a,
    };
    let (freshness_gain, freshness_median) = (gain.freshness_gain, gain.freshness_median);
    let (steps, gains) = (worse.steps.clone(), gain.gains.clone());
    let delays = if b.delay.p95 > a.delay.p95 { b } else { &a }.delays.clone();
    let mut timeline = a.timeline.clone();
    timeline.add(&b.timeline);
    let mut fields: Vec<FieldMeasure> = a.fields.clone();
    for more in &b.fields {
        match fields.iter_mut().find(|known| known.field == more.field) {
            Some(known) => {
                known.compared += more.compared;
                known.differed += more.differed;
            }
            None => fields.push(more.clone()),
        }
    }
    Measures {
        // The same streams in each run: the most that one of them saw.
        streams: a.streams.max(b.streams),
        streams_rest: a.streams_rest.max(b.streams_rest),
        streams_ws: a.streams_ws.max(b.streams_ws),
        rest_polls: a.rest_polls + b.rest_polls,
        rest_errors: a.rest_errors + b.rest_errors,
        rest_skipped: a.rest_skipped + b.rest_skipped,
        rest_bytes: a.rest_bytes + b.rest_bytes,
        rest_records: a.rest_records + b.rest_records,
        rest_versions: a.rest_versions + b.rest_versions,
        ws_messages: a.ws_messages + b.ws_messages,
        ws_bytes: a.ws_bytes + b.ws_bytes,
        ws_records: a.ws_records + b.ws_records,
        out_of_scope: a.out_of_scope + b.out_of_scope,
        ticks: a.ticks + b.ticks,
        pairs: a.pairs + b.pairs,
        matched: a.matched + b.matched,
        matched_current: a.matched_current + b.matched_current,
        matched_previous: a.matched_previous + b.matched_previous,
        matched_next: a.matched_next + b.matched_next,
        mismatched_pairs: a.mismatched_pairs + b.mismatched_pairs,
        unjudged_head: a.unjudged_head + b.unjudged_head,
        unjudged_tail: a.unjudged_tail + b.unjudged_tail,
        unfinished: a.unfinished + b.unfinished,
        sparse: a.sparse + b.sparse,
        revisions: a.revisions + b.revisions,
        missed_ticks: a.missed_ticks + b.missed_ticks,
        period_ws,
        period_rest,
        drift,
        jitter: wider(a.jitter, b.jitter),
        freshness_gain,
        freshness_median,
        delay: wider(a.delay, b.delay),
        timeline,
        steps,
        gains,
        delays,
        episodes: a.episodes + b.episodes,
        market_time: a.market_time + b.market_time,
        connected_time: a.connected_time + b.connected_time,
        findings: by_class([a.findings.as_slice(), &b.findings].into_iter()),
        waived: by_class([a.waived.as_slice(), &b.waived].into_iter()),
        fields,
    }
}

fn wider(a: Quantiles, b: Quantiles) -> Quantiles {
    let worse = if b.p95 > a.p95 { b } else { a };
    Quantiles { count: a.count + b.count, ..worse }
}

fn connection(runs: &[&Outcome]) -> ConnectionOutcome {
    let mut all = ConnectionOutcome::default();
    for run in runs {
        run.connection.open.iter().for_each(|(from, to)| all.add_open(*from, *to));
    }
    let open = std::mem::take(&mut all.open);
    let sum = runs.iter().map(|run| &run.connection).fold(all, |a, b| ConnectionOutcome {
        opens: a.opens + b.opens,
        closes: a.closes + b.closes,
        errors: a.errors + b.errors,
        frames: a.frames + b.frames,
        bytes: a.bytes + b.bytes,
        ignored_frames: a.ignored_frames + b.ignored_frames,
        keepalive_frames: a.keepalive_frames + b.keepalive_frames,
        unknown_frames: a.unknown_frames + b.unknown_frames,
        malformed_frames: a.malformed_frames + b.malformed_frames,
        open_time: a.open_time + b.open_time,
        rtt: wider(a.rtt, b.rtt),
        self_stalls: a.self_stalls + b.self_stalls,
        self_stalled: a.self_stalled + b.self_stalled,
        // Clocks wander from run to run: the newest that is known.
        clock_offset: b.clock_offset.or(a.clock_offset),
        open: Vec::new(),
    });
    ConnectionOutcome { open, ..sum }
}

fn waivers(runs: &[&Outcome]) -> Vec<WaiverOutcome> {
    let mut all: Vec<WaiverOutcome> = Vec::new();
    for waiver in runs.iter().flat_map(|run| &run.waivers) {
        let same = |known: &&mut WaiverOutcome| {
            (&known.feature, &known.class, &known.field) == (&waiver.feature, &waiver.class, &waiver.field)
                && known.until == waiver.until
        };
        match all.iter_mut().find(same) {
            Some(known) => {
                known.hits += waiver.hits;
                known.expired |= waiver.expired;
            }
            None => all.push(waiver.clone()),
        }
    }
    all
}

/// What changed from run to run, and what each remarked.
fn notes(runs: &[&Outcome], given: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if given > runs.len() {
        notes.push(format!("{} given more than once, counted once", given - runs.len()));
    }
    for pair in runs.windows(2) {
        let since = pair[1].first.map(|t| format!(" from {t} on")).unwrap_or_default();
        let short = |sha: &str| sha.chars().take(8).collect::<String>();
        if pair[0].contract_sha256 != pair[1].contract_sha256 {
            let (a, b) = (short(&pair[0].contract_sha256), short(&pair[1].contract_sha256));
            notes.push(format!("another contract{since}: {b}, before it {a}"));
        }
        if pair[0].feeds != pair[1].feeds {
            notes.push(format!("other feeds{since}"));
        }
        if pair[0].tool != pair[1].tool {
            notes.push(format!("another tool{since}: {}, before it {}", pair[1].tool, pair[0].tool));
        }
    }
    for note in runs.iter().flat_map(|run| &run.notes) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    notes
}

#[cfg(test)]
mod tests;
