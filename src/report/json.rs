//! Owns `report.json`: everything an outcome holds, under a versioned schema with members in a fixed
//! order. Must not round a count, nor print a float whose digits depend on how it was computed.
//!
//! Instants are RFC 3339 (UTC), spans whole nanoseconds (`_ns`), fractions decimals of eight digits;
//! what was not measured is `null`, never 0. Records stand as strings: the very text that came in.

use crate::model::outcome::{
    CheckResult, ConnectionOutcome, Episode, FeatureOutcome, FieldMeasure, Measures, Outcome, Quantiles,
    WaiverOutcome,
};
use crate::model::text::is_control;
use crate::model::{Class, Finding, Span, Timestamp};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

pub const FILE: &str = "report.json";

/// History: 1, the first. A member may be added under the same number; renaming or removing one, or
/// changing what it means, takes the next.
pub const SCHEMA: u32 = 1;

/// The whole file, indented, with a line break at its end.
pub fn to_json(outcome: &Outcome) -> Vec<u8> {
    let mut text = serde_json::to_string_pretty(&Report::of(outcome)).expect("plain structs become JSON");
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

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    tool: &'a str,
    verdict: &'static str,
    first: Option<Instant>,
    last: Option<Instant>,
    observations: u64,
    interrupted: bool,
    damaged_lines: u64,
    contract_sha256: &'a str,
    other_contract: bool,
    capture_sha256: &'a [String],
    feeds: Vec<Feed<'a>>,
    notes: &'a [String],
    features: Vec<Feature<'a>>,
    connection: Connection,
    findings: Findings<'a>,
    waivers: Vec<Waiver<'a>>,
}

#[derive(Serialize)]
struct Feed<'a> {
    feed: &'a str,
    address: &'a str,
}

#[derive(Serialize)]
struct Feature<'a> {
    feature: &'a str,
    flag: &'a str,
    flag_on: Option<bool>,
    align: &'static str,
    interval_ns: i64,
    verdict: &'static str,
    checks: Vec<Check<'a>>,
    measures: Measured<'a>,
}

#[derive(Serialize)]
struct Check<'a> {
    check: &'static str,
    phase: &'static str,
    /// `PASS`, `FAIL`, `INCONCLUSIVE` or `not asked`.
    verdict: &'static str,
    observed: &'a str,
    limit: &'a str,
    evidence: &'a str,
    confidence: &'a str,
    rule: &'a str,
    note: &'a str,
    waived: u64,
    first: Option<Instant>,
    last: Option<Instant>,
    sessions: u64,
}

#[derive(Serialize)]
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
    drift: Option<Box<RawValue>>,
    jitter: Spread,
    freshness_gain: Spread,
    freshness_median_ns: Option<i64>,
    delay: Spread,
    episodes: u64,
    market_time_ns: i64,
    connected_time_ns: i64,
    findings: Counts<'a>,
    waived: Counts<'a>,
    fields: Vec<Field<'a>>,
}

#[derive(Serialize)]
struct Field<'a> {
    field: &'a str,
    compared: u64,
    differed: u64,
}

#[derive(Serialize)]
struct Connection {
    opens: u64,
    closes: u64,
    errors: u64,
    frames: u64,
    bytes: u64,
    ignored_frames: u64,
    unknown_frames: u64,
    malformed_frames: u64,
    open_time_ns: i64,
    rtt: Spread,
    self_stalls: u64,
    self_stalled_ns: i64,
}

#[derive(Serialize)]
struct Findings<'a> {
    fail: u64,
    warn: u64,
    info: u64,
    by_class: Counts<'a>,
    episodes: Vec<Burst<'a>>,
    samples: Vec<Sample<'a>>,
}

#[derive(Serialize)]
struct Burst<'a> {
    class: &'static str,
    feature: Option<&'a str>,
    field: &'a str,
    first: Instant,
    last: Instant,
    findings: u64,
    streams: u64,
}

#[derive(Serialize)]
struct Sample<'a> {
    class: &'static str,
    severity: &'static str,
    feature: Option<&'a str>,
    phase: &'static str,
    stream: &'a str,
    row: &'a str,
    field: &'a str,
    event_time: Option<Instant>,
    at: Instant,
    rest: &'a str,
    ws: &'a str,
    delta: &'a str,
    during_drop: bool,
    waived: bool,
    detail: &'a str,
    rest_record: &'a str,
    ws_record: &'a str,
}

#[derive(Serialize)]
struct Waiver<'a> {
    feature: &'a str,
    class: &'a str,
    field: &'a str,
    reason: &'a str,
    owner: &'a str,
    until: &'a str,
    hits: u64,
    expired: bool,
}

/// Quantiles; `null` each where nothing was measured.
#[derive(Serialize)]
struct Spread {
    count: u64,
    p50_ns: Option<i64>,
    p95_ns: Option<i64>,
    p99_ns: Option<i64>,
    max_ns: Option<i64>,
}

struct Instant(Timestamp);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Counts by class as one object, in the order of the outcome.
struct Counts<'a>(&'a [(Class, u64)]);

impl Serialize for Counts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (class, count) in self.0 {
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

impl<'a> Report<'a> {
    fn of(outcome: &'a Outcome) -> Report<'a> {
        Report {
            schema: SCHEMA,
            tool: &outcome.tool,
            verdict: outcome.verdict.name(),
            first: instant(outcome.first),
            last: instant(outcome.last),
            observations: outcome.observations,
            interrupted: outcome.interrupted,
            damaged_lines: outcome.damaged,
            contract_sha256: &outcome.contract_sha256,
            other_contract: outcome.other_contract,
            capture_sha256: &outcome.capture_sha256,
            feeds: outcome.feeds.iter().map(|(feed, address)| Feed { feed, address }).collect(),
            notes: &outcome.notes,
            features: outcome.features.iter().map(Feature::of).collect(),
            connection: Connection::of(&outcome.connection),
            findings: Findings::of(outcome),
            waivers: outcome.waivers.iter().map(Waiver::of).collect(),
        }
    }
}

impl<'a> Feature<'a> {
    fn of(feature: &'a FeatureOutcome) -> Feature<'a> {
        Feature {
            feature: &feature.name,
            flag: &feature.flag,
            flag_on: feature.flag_on,
            align: feature.align,
            interval_ns: feature.interval.0,
            verdict: feature.verdict.name(),
            checks: feature.checks.iter().map(Check::of).collect(),
            measures: Measured::of(&feature.measures),
        }
    }
}

impl<'a> Check<'a> {
    fn of(check: &'a CheckResult) -> Check<'a> {
        Check {
            check: check.check,
            phase: check.phase.name(),
            verdict: check.verdict.map_or(super::signoff::NOT_ASKED, |verdict| verdict.name()),
            observed: &check.observed,
            limit: &check.limit,
            evidence: &check.evidence,
            confidence: &check.confidence,
            rule: &check.rule,
            note: &check.note,
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
            episodes: m.episodes,
            market_time_ns: m.market_time.0,
            connected_time_ns: m.connected_time.0,
            findings: Counts(&m.findings),
            waived: Counts(&m.waived),
            fields: m.fields.iter().map(Field::of).collect(),
        }
    }
}

impl<'a> Field<'a> {
    fn of(measure: &'a FieldMeasure) -> Field<'a> {
        Field { field: &measure.field, compared: measure.compared, differed: measure.differed }
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
            unknown_frames: c.unknown_frames,
            malformed_frames: c.malformed_frames,
            open_time_ns: c.open_time.0,
            rtt: Spread::of(&c.rtt),
            self_stalls: c.self_stalls,
            self_stalled_ns: c.self_stalled.0,
        }
    }
}

impl<'a> Findings<'a> {
    fn of(outcome: &'a Outcome) -> Findings<'a> {
        Findings {
            fail: outcome.findings_fail,
            warn: outcome.findings_warn,
            info: outcome.findings_info,
            by_class: Counts(&outcome.findings),
            episodes: outcome.episodes.iter().map(Burst::of).collect(),
            samples: outcome.samples.iter().map(Sample::of).collect(),
        }
    }
}

impl<'a> Burst<'a> {
    fn of(episode: &'a Episode) -> Burst<'a> {
        Burst {
            class: episode.class.name(),
            feature: episode.feature.as_deref(),
            field: &episode.field,
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
            class: finding.class.name(),
            severity: finding.severity.name(),
            feature: finding.feature.as_deref(),
            phase: finding.phase,
            stream: &finding.stream,
            row: &finding.row,
            field: &finding.field,
            event_time: instant(finding.event_time),
            at: Instant(finding.at),
            rest: &finding.rest,
            ws: &finding.ws,
            delta: &finding.delta,
            during_drop: finding.during_drop,
            waived: finding.waived,
            detail: &finding.detail,
            rest_record: &finding.rest_record,
            ws_record: &finding.ws_record,
        }
    }
}

impl<'a> Waiver<'a> {
    fn of(waiver: &'a WaiverOutcome) -> Waiver<'a> {
        Waiver {
            feature: &waiver.feature,
            class: &waiver.class,
            field: &waiver.field,
            reason: &waiver.reason,
            owner: &waiver.owner,
            until: &waiver.until,
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
