//! From a finished engine to the frozen outcome: every check of every feature, and the verdicts.

use super::{Check, View, of, sessions_covered, values_proven};
use crate::engine::Engine;
use crate::engine::FeatureState;
use crate::engine::ledger::Tally;
use crate::engine::retired::Endpoint;
use crate::model::outcome::{CheckResult, FeatureOutcome, FieldMeasure, Measures, Outcome, Polling};
use crate::model::{Class, Phase, Severity, Span, Timestamp, Verdict};
use crate::stats::Histogram;

/// What a report says of where its evidence came from.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    pub tool: String,
    /// Phases asked for; empty: before-enabling, and after-enabling too where a flag was true.
    pub phases: Vec<Phase>,
    /// SHA-256 of each capture.
    pub capture_sha256: Vec<String>,
    /// The contract is not the one that the capture carries.
    pub other_contract: bool,
    /// Damaged lines that were skipped on request.
    pub damaged: u64,
}

/// How finely steps from tick to tick are told apart in charts.
const STEPS_PER_INTERVAL: i64 = 2_000;

/// Judges what a finished engine has seen.
pub fn conclude(engine: &Engine, provenance: Provenance) -> Outcome {
    let flags = engine.run.start.as_ref().map(|s| s.flags.as_slice()).unwrap_or_default();
    let features: Vec<FeatureOutcome> = engine
        .features
        .iter()
        .zip(&engine.ledger.features)
        .zip(&engine.frontend.features)
        .map(|((feature, tally), frontend)| {
            let flag = &feature.spec.feature.flag;
            let flag_on = flags.iter().find(|(name, _)| name == flag).map(|(_, on)| *on);
            let view = View {
                feature,
                tally,
                frontend,
                logs: &engine.logs,
                resources: &engine.resources,
                interrupted: engine.run.interrupted,
                keepalives: engine.connection.keepalive_frames,
            };
            let asked = |phase: Phase| match provenance.phases.as_slice() {
                [] => {
                    phase == Phase::BeforeEnabling || (phase == Phase::AfterEnabling && flag_on == Some(true))
                }
                phases => phases.contains(&phase),
            };
            let sessions = sessions_covered::seen(&view);
            let required = sessions_covered::required(&view);
            let whole = sessions_covered::count(&sessions, required);
            let checks: Vec<CheckResult> = of(&feature.spec.feature)
                .map(|check| CheckResult { sessions: whole, ..result(check, &view, asked(check.phase)) })
                .collect();
            FeatureOutcome {
                name: feature.name.clone(),
                flag: flag.clone(),
                flag_on,
                align: feature.spec.feature.align.name(),
                interval: feature.spec.feature.interval,
                verdict: Verdict::of(checks.iter().filter_map(|c| c.verdict)),
                checks,
                measures: measures(feature, tally),
                sessions,
                proofs: values_proven::seen(&view),
                required,
                polling: Polling { without: frontend.without.requested(), with: frontend.with.requested() },
                endpoint: frontend.retired.as_ref().map(Endpoint::outcome),
            }
        })
        .collect();
    let ledger = &engine.ledger;
    Outcome {
        tool: provenance.tool,
        contract_sha256: engine.contract().sha256.clone(),
        other_contract: provenance.other_contract,
        capture_sha256: provenance.capture_sha256,
        feeds: engine.run.start.as_ref().map(|s| s.feeds.clone()).unwrap_or_default(),
        first: engine.run.first,
        last: engine.run.last,
        observations: engine.run.observations,
        interrupted: engine.run.interrupted,
        damaged: provenance.damaged,
        verdict: Verdict::of(features.iter().map(|f| f.verdict)),
        connection: engine.connection_until(engine.run.last.unwrap_or(Timestamp::MIN)),
        processes: engine.processes(),
        findings: ledger.totals.iter().map(|(class, count)| (*class, *count)).collect(),
        findings_fail: ledger.by_severity[Severity::Fail as usize],
        findings_warn: ledger.by_severity[Severity::Warn as usize],
        findings_info: ledger.by_severity[Severity::Info as usize],
        waivers: ledger.waivers(engine.run.last),
        reviewers: engine.contract().reviewers.clone(),
        signed: Vec::new(),
        episodes: ledger.episodes(),
        samples: ledger.samples.clone(),
        notes: run_notes(engine, provenance.other_contract, provenance.damaged),
        drill: None,
        features,
    }
}

fn result(check: &Check, view: &View<'_>, asked: bool) -> CheckResult {
    let mut result = CheckResult {
        check: check.name,
        phase: check.phase,
        verdict: None,
        observed: String::new(),
        limit: (check.limit)(view),
        evidence: String::new(),
        confidence: String::new(),
        rule: check.rule.into(),
        note: String::new(),
        waived: 0,
        first: None,
        last: None,
        sessions: 0,
    };
    if !asked {
        return result;
    }
    let mut judged = (check.judge)(view, check);
    if judged.verdict == Verdict::Pass && view.feature.beyond_calendar {
        judged.verdict = Verdict::Inconclusive;
        let calendar = &view.feature.spec.feature.calendar.name;
        judged.note = super::notes(&[&judged.note, &format!("beyond what calendar {calendar} knows")]);
    }
    result.waived = view.tally.waived(check.classes);
    if result.waived > 0 {
        judged.note = super::notes(&[&format!("{} waived", result.waived), &judged.note]);
    }
    result.verdict = Some(judged.verdict);
    result.observed = judged.observed;
    result.evidence = judged.evidence;
    result.confidence = judged.confidence;
    result.note = judged.note;
    result.first = judged.first;
    result.last = judged.last;
    result
}

fn run_notes(engine: &Engine, other_contract: bool, damaged: u64) -> Vec<String> {
    let mut notes = Vec::new();
    if engine.run.interrupted {
        notes.push(
            "interrupted: the run has no proper end, so nothing that needs the whole run can pass".into(),
        );
    }
    if other_contract {
        notes.push("judged with another contract than the one it was recorded with".into());
    }
    if damaged > 0 {
        let lines = if damaged == 1 { "line was" } else { "lines were" };
        notes.push(format!("{damaged} damaged {lines} skipped"));
    }
    if let Some(feature) = &engine.run.foreign_feature {
        let polls = engine.run.foreign_polls;
        notes.push(format!("{polls} polls were of features that are not judged here, `{feature}` first"));
    }
    let stalled = engine.connection.self_stalled;
    if stalled > engine.contract().settle {
        notes.push(format!("cutover itself was held up for {stalled} in all: what arrived then looks late"));
    }
    for waiver in engine.ledger.waivers(engine.run.last) {
        let of = [waiver.feature.as_str(), &waiver.class, &waiver.field].join(" ");
        if waiver.expired {
            notes.push(format!("the waiver of {} ended on {}", of.trim(), waiver.until));
        } else if waiver.hits == 0 {
            notes.push(format!("the waiver of {} covered nothing", of.trim()));
        }
    }
    notes
}

fn measures(feature: &FeatureState, tally: &Tally) -> Measures {
    let spec = &feature.spec;
    let (counts, traffic) = (&feature.counts, &feature.traffic);
    let worst = feature
        .streams
        .iter()
        .filter(|s| s.cadence.ticks >= 2)
        .filter_map(|s| s.drift(spec).map(|(period, drift)| (period, drift, s.event_pace.period())))
        .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
    let mut jitter = Histogram::new(Span((spec.feature.interval.0 / 10_000).max(1)));
    let mut steps = Histogram::new(Span((spec.feature.interval.0 / STEPS_PER_INTERVAL).max(1)));
    for stream in &feature.streams {
        stream.cadence.add_steps(spec.pace(), &mut steps);
        if let Some(period) = stream.cadence.period() {
            jitter.merge(&stream.cadence.jitter(period, spec.pace()));
        }
    }
    let freshness = counts.freshness.quantiles();
    let by_class = |counts: &[u64]| -> Vec<(Class, u64)> {
        Class::ALL.iter().zip(counts).filter(|(_, n)| **n > 0).map(|(c, n)| (*c, *n)).collect()
    };
    let columns = spec.rules.columns.iter().map(|r| r.name.clone());
    let rows = spec.rules.row_columns.iter().map(|r| format!("{}/{}", spec.rules.rows_at.0, r.name));
    let fields = columns.chain(rows).zip(&counts.fields).filter(|(_, count)| count.compared > 0);
    Measures {
        streams: feature.streams.len() as u64,
        streams_rest: feature.streams.iter().filter(|s| s.shown_by_rest).count() as u64,
        streams_ws: feature.streams.iter().filter(|s| s.ws_records > 0).count() as u64,
        rest_polls: traffic.polls,
        rest_errors: traffic.errors,
        rest_skipped: traffic.skipped,
        rest_bytes: traffic.rest_bytes,
        rest_records: traffic.rest_records,
        rest_versions: feature.streams.iter().map(|s| s.rest_versions).sum(),
        ws_messages: traffic.ws_messages,
        ws_bytes: traffic.ws_bytes,
        ws_records: traffic.ws_records,
        out_of_scope: traffic.out_of_scope,
        ticks: feature.streams.iter().map(|s| s.cadence.ticks).sum(),
        pairs: counts.pairs,
        matched: counts.matched,
        matched_current: counts.matched_current,
        matched_previous: counts.matched_previous,
        matched_next: counts.matched_next,
        mismatched_pairs: counts.mismatched,
        unjudged_head: counts.unjudged_head,
        unjudged_tail: counts.unjudged_tail,
        unfinished: counts.unfinished,
        sparse: counts.sparse,
        revisions: counts.revisions,
        missed_ticks: counts.missed_ticks,
        period_ws: worst.map(|w| w.0),
        period_rest: worst.and_then(|w| w.2),
        drift: worst.map(|w| w.1),
        jitter: jitter.quantiles(),
        freshness_gain: freshness,
        freshness_median: (freshness.count > 0).then_some(freshness.p50),
        delay: counts.delay.quantiles(),
        timeline: counts.timeline.clone(),
        steps: steps.shape(),
        gains: counts.freshness.shape(),
        delays: counts.delay.shape(),
        episodes: tally.episodes,
        market_time: feature.market_time,
        connected_time: feature.connected_time,
        findings: by_class(&tally.all),
        waived: by_class(&tally.waived),
        fields: fields
            .map(|(field, count)| FieldMeasure { field, compared: count.compared, differed: count.different })
            .collect(),
    }
}
