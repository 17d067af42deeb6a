//! Owns `report.json`: everything an outcome holds, under a versioned schema with members in a fixed
//! order. Must not round a count, nor print a float whose digits depend on how it was computed.
//!
//! Instants are RFC 3339 (UTC), spans whole nanoseconds (`_ns`), fractions decimals of eight digits;
//! what was not measured is `null`, never 0. Records stand as strings: the very text that came in.

use super::drill;
use crate::model::outcome::{
    Asked, CheckResult, ConnectionOutcome, EndpointOutcome, EndpointSession, Episode, FeatureOutcome,
    FieldMeasure, FieldProven, Measures, Outcome, Polling, ProcessOutcome, Quantiles, SessionOutcome,
    SessionsRequired, WaiverOutcome,
};
use crate::model::text::is_control;
use crate::model::{Class, Finding, Span, Timestamp};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

mod read;
mod series;

pub use read::{NotAReport, from_json};

pub const FILE: &str = "report.json";

/// History: 1, the first. A member may be added under the same number; renaming or removing one, or
/// changing what it means, takes the next.
pub const SCHEMA: u32 = 1;

/// The JSON Schema (draft 2020-12) of that number, as it is published; a test holds it against the structs below.
pub const PUBLISHED: &str = include_str!("json/report.schema.json");

/// The whole file, indented, with a line break at its end.
pub fn to_json(outcome: &Outcome) -> Vec<u8> {
    indented(&Report::of(outcome))
}

/// A file of our own: indented, harmless on a terminal, with a line break at its end.
pub(super) fn indented(file: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_string_pretty(file).expect("plain structs become JSON");
    text.push('\n');
    if text.chars().any(needs_escape) { escaped(&text).into_bytes() } else { text.into_bytes() }
}

/// serde_json escapes C0 controls only; the others drive terminals too, where the report is printed.
fn needs_escape(c: char) -> bool {
    is_control(c) && !c.is_ascii_control() || c == '\u{7f}'
}

/// Outside strings JSON is ASCII, so every such character stands in a string and may be escaped.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if needs_escape(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Report<'a> {
    schema: u32,
    tool: Cow<'a, str>,
    verdict: Cow<'a, str>,
    first: Option<Instant>,
    last: Option<Instant>,
    observations: u64,
    interrupted: bool,
    damaged_lines: u64,
    contract_sha256: Cow<'a, str>,
    other_contract: bool,
    capture_sha256: Cow<'a, [String]>,
    feeds: Vec<Feed<'a>>,
    notes: Cow<'a, [String]>,
    features: Vec<Feature<'a>>,
    connection: Connection,
    processes: Vec<Process<'a>>,
    findings: Findings<'a>,
    waivers: Vec<Waiver<'a>>,
    /// Who has to sign; absent where the contract names nobody.
    #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
    reviewers: Cow<'a, [String]>,
    /// What the gate can see; there where the recording was drilled. It is told of one recording, so
    /// nothing that merges reports reads it.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    drill: Option<drill::Section<'a>>,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Feed<'a> {
    feed: Cow<'a, str>,
    address: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Feature<'a> {
    feature: Cow<'a, str>,
    flag: Cow<'a, str>,
    flag_on: Option<bool>,
    align: Cow<'a, str>,
    interval_ns: i64,
    verdict: Cow<'a, str>,
    checks: Vec<Check<'a>>,
    measures: Measured<'a>,
    sessions: Vec<Watched>,
    proofs: Vec<Proven<'a>>,
    sessions_required: u64,
    #[cfg_attr(test, schemars(with = "Option<f64>"))]
    coverage_required: Option<Box<RawValue>>,
    /// What the frontend asked for; absent where no frontend was watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    polling: Option<Polled>,
    /// Who still asks the endpoint; absent where the contract has no `[checks.rest-retired]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    endpoint: Option<Endpoint>,
}

/// The frontend's requests of the feature's path, while its flag was false and while it was true.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Polled {
    requests_without: u64,
    watched_without_ns: i64,
    requests_with: u64,
    watched_with_ns: i64,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Endpoint {
    sessions_required: u64,
    #[cfg_attr(test, schemars(with = "Option<f64>"))]
    coverage_required: Option<Box<RawValue>>,
    sessions: Vec<Unasked>,
    ignored: u64,
    outside_hours: u64,
    doubts: Vec<String>,
}

/// A market session, as far as a log shows who asked the endpoint in it.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Unasked {
    date: String,
    open: Instant,
    close: Instant,
    length_ns: i64,
    covered_ns: i64,
    asked: Requests,
    /// While the feature's flag was false.
    expected: Requests,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Requests {
    requests: u64,
    first: Option<Instant>,
    last: Option<Instant>,
    /// The last: `GET /api/balances`.
    what: String,
}

/// A market session, as far as it was watched.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Watched {
    date: String,
    open: Instant,
    close: Instant,
    length_ns: i64,
    covered_ns: i64,
    full: bool,
    findings: u64,
}

/// What a compared field was seen to do; ways as `[from, to]`.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Proven<'a> {
    field: Cow<'a, str>,
    changed: bool,
    shown: Cow<'a, [(String, String)]>,
    matched: Cow<'a, [(String, String)]>,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Check<'a> {
    check: Cow<'a, str>,
    phase: Cow<'a, str>,
    /// `PASS`, `FAIL`, `INCONCLUSIVE` or `not asked`.
    verdict: Cow<'a, str>,
    observed: Cow<'a, str>,
    limit: Cow<'a, str>,
    evidence: Cow<'a, str>,
    confidence: Cow<'a, str>,
    rule: Cow<'a, str>,
    note: Cow<'a, str>,
    waived: u64,
    first: Option<Instant>,
    last: Option<Instant>,
    sessions: u64,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Measured<'a> {
    streams: u64,
    streams_rest: u64,
    streams_ws: u64,
    rest_polls: u64,
    rest_errors: u64,
    rest_skipped: u64,
    rest_bytes: u64,
    rest_records: u64,
    rest_versions: u64,
    ws_messages: u64,
    ws_bytes: u64,
    ws_records: u64,
    #[serde(default)]
    out_of_scope: u64,
    ticks: u64,
    missed_ticks: u64,
    sparse: u64,
    pairs: u64,
    matched: u64,
    matched_current: u64,
    matched_previous: u64,
    matched_next: u64,
    mismatched_pairs: u64,
    unjudged_head: u64,
    unjudged_tail: u64,
    unfinished: u64,
    revisions: u64,
    period_ws_ns: Option<i64>,
    period_rest_ns: Option<i64>,
    #[cfg_attr(test, schemars(with = "Option<f64>"))]
    drift: Option<Box<RawValue>>,
    jitter: Spread,
    freshness_gain: Spread,
    freshness_median_ns: Option<i64>,
    delay: Spread,
    /// For charts; reports of before have none.
    #[serde(default)]
    timeline: Option<series::Bins>,
    #[serde(default)]
    steps: series::Bars,
    #[serde(default)]
    gains: series::Bars,
    #[serde(default)]
    delays: series::Bars,
    episodes: u64,
    market_time_ns: i64,
    connected_time_ns: i64,
    findings: Counts<'a>,
    waived: Counts<'a>,
    fields: Vec<Field<'a>>,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Field<'a> {
    field: Cow<'a, str>,
    compared: u64,
    differed: u64,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Connection {
    opens: u64,
    closes: u64,
    errors: u64,
    frames: u64,
    bytes: u64,
    ignored_frames: u64,
    #[serde(default, skip_serializing_if = "u64_is_zero")]
    keepalive_frames: u64,
    unknown_frames: u64,
    malformed_frames: u64,
    open_time_ns: i64,
    #[serde(default)]
    open: Vec<(Instant, Instant)>,
    rtt: Spread,
    clock_offset: Option<Offset>,
    self_stalls: u64,
    self_stalled_ns: i64,
}

/// Written only where a contract names such types.
fn u64_is_zero(count: &u64) -> bool {
    *count == 0
}

/// The feed's clock minus ours: within `error_ns` of `offset_ns`.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Offset {
    offset_ns: i64,
    error_ns: i64,
}

/// The samples stand here too, so that a report can be the baseline of a later run.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Process<'a> {
    process: Cow<'a, str>,
    samples: u64,
    outside_hours: u64,
    restarts: u64,
    cpu_microcores: Cow<'a, [u64]>,
    rss_bytes: Cow<'a, [u64]>,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Findings<'a> {
    fail: u64,
    warn: u64,
    info: u64,
    by_class: Counts<'a>,
    episodes: Vec<Burst<'a>>,
    samples: Vec<Sample<'a>>,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Burst<'a> {
    class: Cow<'a, str>,
    feature: Option<Cow<'a, str>>,
    field: Cow<'a, str>,
    first: Instant,
    last: Instant,
    findings: u64,
    streams: u64,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Sample<'a> {
    class: Cow<'a, str>,
    severity: Cow<'a, str>,
    feature: Option<Cow<'a, str>>,
    phase: Cow<'a, str>,
    stream: Cow<'a, str>,
    row: Cow<'a, str>,
    field: Cow<'a, str>,
    event_time: Option<Instant>,
    at: Instant,
    rest: Cow<'a, str>,
    ws: Cow<'a, str>,
    delta: Cow<'a, str>,
    during_drop: bool,
    waived: bool,
    detail: Cow<'a, str>,
    rest_record: Cow<'a, str>,
    ws_record: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Waiver<'a> {
    feature: Cow<'a, str>,
    class: Cow<'a, str>,
    field: Cow<'a, str>,
    reason: Cow<'a, str>,
    owner: Cow<'a, str>,
    until: Cow<'a, str>,
    hits: u64,
    expired: bool,
}

/// Quantiles; `null` each where nothing was measured.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Spread {
    count: u64,
    p50_ns: Option<i64>,
    p95_ns: Option<i64>,
    p99_ns: Option<i64>,
    max_ns: Option<i64>,
}

#[derive(Clone, Copy)]
struct Instant(Timestamp);

#[cfg(test)]
mod schema;

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Counts by class as one object, in the order of the outcome.
struct Counts<'a>(Cow<'a, [(Class, u64)]>);

impl Serialize for Counts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (class, count) in self.0.iter() {
            map.serialize_entry(class.name(), count)?;
        }
        map.end()
    }
}

/// A fraction as a JSON number of eight digits, so that its text says no more than was measured.
fn fraction(value: f64) -> Option<Box<RawValue>> {
    let text = format!("{value:.8}");
    let text = if text.bytes().all(|b| matches!(b, b'-' | b'0' | b'.')) { "0.00000000".into() } else { text };
    value.is_finite().then(|| RawValue::from_string(text).expect("a decimal is JSON"))
}

fn instant(t: Option<Timestamp>) -> Option<Instant> {
    t.map(Instant)
}

fn nanos(span: Option<Span>) -> Option<i64> {
    span.map(|span| span.0)
}

fn text(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

impl<'a> Report<'a> {
    fn of(outcome: &'a Outcome) -> Report<'a> {
        Report {
            schema: SCHEMA,
            tool: text(&outcome.tool),
            verdict: text(outcome.verdict.name()),
            first: instant(outcome.first),
            last: instant(outcome.last),
            observations: outcome.observations,
            interrupted: outcome.interrupted,
            damaged_lines: outcome.damaged,
            contract_sha256: text(&outcome.contract_sha256),
            other_contract: outcome.other_contract,
            capture_sha256: (&outcome.capture_sha256).into(),
            feeds: outcome
                .feeds
                .iter()
                .map(|(feed, address)| Feed { feed: text(feed), address: text(address) })
                .collect(),
            notes: (&outcome.notes).into(),
            features: outcome.features.iter().map(Feature::of).collect(),
            connection: Connection::of(&outcome.connection),
            processes: outcome.processes.iter().map(Process::of).collect(),
            findings: Findings::of(outcome),
            waivers: outcome.waivers.iter().map(Waiver::of).collect(),
            reviewers: (&outcome.reviewers).into(),
            drill: outcome.drill.as_ref().map(drill::Section::of),
        }
    }
}

impl<'a> Feature<'a> {
    fn of(feature: &'a FeatureOutcome) -> Feature<'a> {
        Feature {
            feature: text(&feature.name),
            flag: text(&feature.flag),
            flag_on: feature.flag_on,
            align: text(feature.align),
            interval_ns: feature.interval.0,
            verdict: text(feature.verdict.name()),
            checks: feature.checks.iter().map(Check::of).collect(),
            measures: Measured::of(&feature.measures),
            sessions: feature.sessions.iter().map(|s| Watched::of(s, feature.required)).collect(),
            proofs: feature.proofs.iter().map(Proven::of).collect(),
            sessions_required: feature.required.sessions,
            coverage_required: fraction(feature.required.coverage),
            polling: Polled::of(feature.polling),
            endpoint: feature.endpoint.as_ref().map(Endpoint::of),
        }
    }
}

impl Polled {
    fn of(polling: Polling) -> Option<Polled> {
        (polling != Polling::default()).then_some(Polled {
            requests_without: polling.without.requests,
            watched_without_ns: polling.without.watched.0,
            requests_with: polling.with.requests,
            watched_with_ns: polling.with.watched.0,
        })
    }
}

impl Endpoint {
    fn of(endpoint: &EndpointOutcome) -> Endpoint {
        let session = |session: &EndpointSession| Unasked {
            date: session.date(),
            open: Instant(session.open),
            close: Instant(session.close),
            length_ns: session.length.0,
            covered_ns: session.covered.0,
            asked: Requests::of(&session.asked),
            expected: Requests::of(&session.expected),
        };
        Endpoint {
            sessions_required: endpoint.required.sessions,
            coverage_required: fraction(endpoint.required.coverage),
            sessions: endpoint.sessions.iter().map(session).collect(),
            ignored: endpoint.ignored,
            outside_hours: endpoint.outside,
            doubts: endpoint.doubts.clone(),
        }
    }
}

impl Requests {
    fn of(asked: &Asked) -> Requests {
        Requests {
            requests: asked.requests,
            first: instant(asked.first),
            last: instant(asked.last),
            what: asked.what.clone(),
        }
    }
}

impl Watched {
    fn of(session: &SessionOutcome, required: SessionsRequired) -> Watched {
        Watched {
            date: session.date(),
            open: Instant(session.open),
            close: Instant(session.close),
            length_ns: session.length.0,
            covered_ns: session.covered.0,
            full: session.is_full(required),
            findings: session.findings,
        }
    }
}

impl<'a> Proven<'a> {
    fn of(field: &'a FieldProven) -> Proven<'a> {
        Proven {
            field: text(&field.field),
            changed: field.changed,
            shown: (&field.shown).into(),
            matched: (&field.matched).into(),
        }
    }
}

impl<'a> Check<'a> {
    fn of(check: &'a CheckResult) -> Check<'a> {
        Check {
            check: text(check.check),
            phase: text(check.phase.name()),
            verdict: text(check.verdict.map_or(super::signoff::NOT_ASKED, |verdict| verdict.name())),
            observed: text(&check.observed),
            limit: text(&check.limit),
            evidence: text(&check.evidence),
            confidence: text(&check.confidence),
            rule: text(&check.rule),
            note: text(&check.note),
            waived: check.waived,
            first: instant(check.first),
            last: instant(check.last),
            sessions: check.sessions,
        }
    }
}

impl<'a> Measured<'a> {
    fn of(m: &'a Measures) -> Measured<'a> {
        Measured {
            streams: m.streams,
            streams_rest: m.streams_rest,
            streams_ws: m.streams_ws,
            rest_polls: m.rest_polls,
            rest_errors: m.rest_errors,
            rest_skipped: m.rest_skipped,
            rest_bytes: m.rest_bytes,
            rest_records: m.rest_records,
            rest_versions: m.rest_versions,
            ws_messages: m.ws_messages,
            ws_bytes: m.ws_bytes,
            ws_records: m.ws_records,
            out_of_scope: m.out_of_scope,
            ticks: m.ticks,
            missed_ticks: m.missed_ticks,
            sparse: m.sparse,
            pairs: m.pairs,
            matched: m.matched,
            matched_current: m.matched_current,
            matched_previous: m.matched_previous,
            matched_next: m.matched_next,
            mismatched_pairs: m.mismatched_pairs,
            unjudged_head: m.unjudged_head,
            unjudged_tail: m.unjudged_tail,
            unfinished: m.unfinished,
            revisions: m.revisions,
            period_ws_ns: nanos(m.period_ws),
            period_rest_ns: nanos(m.period_rest),
            drift: m.drift.and_then(fraction),
            jitter: Spread::of(&m.jitter),
            freshness_gain: Spread::of(&m.freshness_gain),
            freshness_median_ns: nanos(m.freshness_median),
            delay: Spread::of(&m.delay),
            timeline: series::Bins::of(&m.timeline),
            steps: series::Bars::of(&m.steps),
            gains: series::Bars::of(&m.gains),
            delays: series::Bars::of(&m.delays),
            episodes: m.episodes,
            market_time_ns: m.market_time.0,
            connected_time_ns: m.connected_time.0,
            findings: Counts((&m.findings).into()),
            waived: Counts((&m.waived).into()),
            fields: m.fields.iter().map(Field::of).collect(),
        }
    }
}

impl<'a> Field<'a> {
    fn of(measure: &'a FieldMeasure) -> Field<'a> {
        Field { field: text(&measure.field), compared: measure.compared, differed: measure.differed }
    }
}

impl Connection {
    fn of(c: &ConnectionOutcome) -> Connection {
        Connection {
            opens: c.opens,
            closes: c.closes,
            errors: c.errors,
            frames: c.frames,
            bytes: c.bytes,
            ignored_frames: c.ignored_frames,
            keepalive_frames: c.keepalive_frames,
            unknown_frames: c.unknown_frames,
            malformed_frames: c.malformed_frames,
            open_time_ns: c.open_time.0,
            open: c.open.iter().map(|(from, to)| (Instant(*from), Instant(*to))).collect(),
            rtt: Spread::of(&c.rtt),
            clock_offset: c.clock_offset.map(|o| Offset { offset_ns: o.offset.0, error_ns: o.error.0 }),
            self_stalls: c.self_stalls,
            self_stalled_ns: c.self_stalled.0,
        }
    }
}

impl<'a> Process<'a> {
    fn of(process: &'a ProcessOutcome) -> Process<'a> {
        Process {
            process: text(&process.process),
            samples: process.samples,
            outside_hours: process.outside,
            restarts: process.restarts,
            cpu_microcores: (&process.cpu_microcores).into(),
            rss_bytes: (&process.rss_bytes).into(),
        }
    }
}

impl<'a> Findings<'a> {
    fn of(outcome: &'a Outcome) -> Findings<'a> {
        Findings {
            fail: outcome.findings_fail,
            warn: outcome.findings_warn,
            info: outcome.findings_info,
            by_class: Counts((&outcome.findings).into()),
            episodes: outcome.episodes.iter().map(Burst::of).collect(),
            samples: outcome.samples.iter().map(Sample::of).collect(),
        }
    }
}

impl<'a> Burst<'a> {
    fn of(episode: &'a Episode) -> Burst<'a> {
        Burst {
            class: text(episode.class.name()),
            feature: episode.feature.as_deref().map(text),
            field: text(&episode.field),
            first: Instant(episode.first),
            last: Instant(episode.last),
            findings: episode.findings,
            streams: episode.streams,
        }
    }
}

impl<'a> Sample<'a> {
    fn of(finding: &'a Finding) -> Sample<'a> {
        Sample {
            class: text(finding.class.name()),
            severity: text(finding.severity.name()),
            feature: finding.feature.as_deref().map(text),
            phase: text(finding.phase),
            stream: text(&finding.stream),
            row: text(&finding.row),
            field: text(&finding.field),
            event_time: instant(finding.event_time),
            at: Instant(finding.at),
            rest: text(&finding.rest),
            ws: text(&finding.ws),
            delta: text(&finding.delta),
            during_drop: finding.during_drop,
            waived: finding.waived,
            detail: text(&finding.detail),
            rest_record: text(&finding.rest_record),
            ws_record: text(&finding.ws_record),
        }
    }
}

impl<'a> Waiver<'a> {
    fn of(waiver: &'a WaiverOutcome) -> Waiver<'a> {
        Waiver {
            feature: text(&waiver.feature),
            class: text(&waiver.class),
            field: text(&waiver.field),
            reason: text(&waiver.reason),
            owner: text(&waiver.owner),
            until: text(&waiver.until),
            hits: waiver.hits,
            expired: waiver.expired,
        }
    }
}

impl Spread {
    fn of(q: &Quantiles) -> Spread {
        let measured = |span: Span| (q.count > 0).then_some(span.0);
        Spread {
            count: q.count,
            p50_ns: measured(q.p50),
            p95_ns: measured(q.p95),
            p99_ns: measured(q.p99),
            max_ns: measured(q.max),
        }
    }
}

#[cfg(test)]
mod tests;
