//! `report.json` read back into the outcome it was written from: the same members, the other way round.
//! Must not guess: what this version does not know is an error that says so.

use super::{
    Burst, Check, Connection, Counts, Endpoint, Feature, Field, Instant, Measured, Polled, Process, Proven,
    Report, Requests, SCHEMA, Sample, Spread, Unasked, Waiver, Watched, series,
};
use crate::checks::CHECKS;
use crate::contract::Align;
use crate::model::outcome::{
    Asked, CheckResult, ClockOffset, ConnectionOutcome, EndpointOutcome, EndpointSession, Episode,
    FeatureOutcome, FieldMeasure, FieldProven, Measures, Outcome, Polling, ProcessOutcome, Quantiles,
    Requested, SessionOutcome, SessionsRequired, WaiverOutcome,
};
use crate::model::series::Timeline;
use crate::model::{Class, Finding, Phase, Severity, Span, Timestamp, Verdict};
use crate::report::signoff::NOT_ASKED;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Why a text is no report, after "could not read FILE:".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAReport {
    #[error("{0}")]
    Malformed(String),
    #[error("report schema {0} is unknown to this program, which reads schema {SCHEMA}; a newer cutover can")]
    Schema(u64),
    #[error("it says `{found}` as {what}; this version of cutover knows no such {what}")]
    Unknown { what: &'static str, found: String },
}

/// The outcome that a report holds.
pub fn from_json(text: &[u8]) -> Result<Outcome, NotAReport> {
    #[derive(Deserialize)]
    struct Head {
        schema: u64,
    }
    let malformed = |error: serde_json::Error| NotAReport::Malformed(error.to_string());
    let head: Head = serde_json::from_slice(text).map_err(malformed)?;
    if head.schema != u64::from(SCHEMA) {
        return Err(NotAReport::Schema(head.schema));
    }
    let report: Report<'_> = serde_json::from_slice(text).map_err(malformed)?;
    report.outcome()
}

/// The word among those that this version knows.
fn known<T>(what: &'static str, found: &str, meaning: Option<T>) -> Result<T, NotAReport> {
    meaning.ok_or_else(|| NotAReport::Unknown { what, found: found.to_string() })
}

fn verdict(name: &str) -> Result<Verdict, NotAReport> {
    let all = [Verdict::Pass, Verdict::Inconclusive, Verdict::Fail];
    known("verdict", name, all.into_iter().find(|verdict| verdict.name() == name))
}

fn all<T, U>(list: Vec<T>, each: impl Fn(T) -> Result<U, NotAReport>) -> Result<Vec<U>, NotAReport> {
    list.into_iter().map(each).collect()
}

fn time(instant: Option<Instant>) -> Option<Timestamp> {
    instant.map(|instant| instant.0)
}

impl Report<'_> {
    fn outcome(self) -> Result<Outcome, NotAReport> {
        Ok(Outcome {
            tool: self.tool.into_owned(),
            contract_sha256: self.contract_sha256.into_owned(),
            other_contract: self.other_contract,
            capture_sha256: self.capture_sha256.into_owned(),
            feeds: self.feeds.into_iter().map(|f| (f.feed.into_owned(), f.address.into_owned())).collect(),
            first: time(self.first),
            last: time(self.last),
            observations: self.observations,
            interrupted: self.interrupted,
            damaged: self.damaged_lines,
            verdict: verdict(&self.verdict)?,
            features: all(self.features, Feature::outcome)?,
            connection: self.connection.outcome(),
            processes: self.processes.into_iter().map(Process::outcome).collect(),
            findings: self.findings.by_class.0.into_owned(),
            findings_fail: self.findings.fail,
            findings_warn: self.findings.warn,
            findings_info: self.findings.info,
            waivers: self.waivers.into_iter().map(Waiver::outcome).collect(),
            reviewers: self.reviewers.into_owned(),
            signed: Vec::new(),
            episodes: all(self.findings.episodes, Burst::outcome)?,
            samples: all(self.findings.samples, Sample::outcome)?,
            notes: self.notes.into_owned(),
            drill: None,
        })
    }
}

impl Feature<'_> {
    fn outcome(self) -> Result<FeatureOutcome, NotAReport> {
        let aligns = [Align::Time, Align::Arrival, Align::Bucket].map(Align::name);
        Ok(FeatureOutcome {
            name: Arc::from(&*self.feature),
            flag: self.flag.into_owned(),
            flag_on: self.flag_on,
            align: known("align", &self.align, aligns.into_iter().find(|name| **name == *self.align))?,
            interval: Span(self.interval_ns),
            verdict: verdict(&self.verdict)?,
            checks: all(self.checks, Check::outcome)?,
            measures: self.measures.outcome()?,
            sessions: all(self.sessions, Watched::outcome)?,
            proofs: self.proofs.into_iter().map(Proven::outcome).collect(),
            required: required(self.sessions_required, self.coverage_required),
            polling: self.polling.map(Polled::outcome).unwrap_or_default(),
            endpoint: self.endpoint.map(Endpoint::outcome).transpose()?,
        })
    }
}

fn required(sessions: u64, coverage: Option<Box<RawValue>>) -> SessionsRequired {
    // Where it cannot be read nothing is covered.
    let coverage = coverage.and_then(|c| c.get().parse().ok()).unwrap_or(f64::INFINITY);
    SessionsRequired { sessions, coverage }
}

/// The trade date, as days since 1970-01-01.
fn day(date: &str) -> Result<i64, NotAReport> {
    let midnight = Timestamp::parse_rfc3339(&format!("{date}T00:00:00Z"));
    known("date", date, midnight.map(|t| t.0.div_euclid(86_400_000_000_000)))
}

impl Polled {
    fn outcome(self) -> Polling {
        Polling {
            without: Requested { requests: self.requests_without, watched: Span(self.watched_without_ns) },
            with: Requested { requests: self.requests_with, watched: Span(self.watched_with_ns) },
        }
    }
}

impl Endpoint {
    fn outcome(self) -> Result<EndpointOutcome, NotAReport> {
        Ok(EndpointOutcome {
            required: required(self.sessions_required, self.coverage_required),
            sessions: all(self.sessions, Unasked::outcome)?,
            ignored: self.ignored,
            outside: self.outside_hours,
            doubts: self.doubts,
        })
    }
}

impl Unasked {
    fn outcome(self) -> Result<EndpointSession, NotAReport> {
        Ok(EndpointSession {
            day: day(&self.date)?,
            open: self.open.0,
            close: self.close.0,
            length: Span(self.length_ns),
            covered: Span(self.covered_ns),
            asked: self.asked.outcome(),
            expected: self.expected.outcome(),
        })
    }
}

impl Requests {
    fn outcome(self) -> Asked {
        Asked { requests: self.requests, first: time(self.first), last: time(self.last), what: self.what }
    }
}

impl Watched {
    fn outcome(self) -> Result<SessionOutcome, NotAReport> {
        Ok(SessionOutcome {
            day: day(&self.date)?,
            open: self.open.0,
            close: self.close.0,
            length: Span(self.length_ns),
            covered: Span(self.covered_ns),
            findings: self.findings,
        })
    }
}

impl Proven<'_> {
    fn outcome(self) -> FieldProven {
        FieldProven {
            field: self.field.into_owned(),
            changed: self.changed,
            shown: self.shown.into_owned(),
            matched: self.matched.into_owned(),
        }
    }
}

impl Check<'_> {
    fn outcome(self) -> Result<CheckResult, NotAReport> {
        let phase = known("phase", &self.phase, Phase::parse(&self.phase))?;
        let table = CHECKS.iter().find(|check| check.phase == phase && *check.name == *self.check);
        let verdict = match &*self.verdict {
            NOT_ASKED => None,
            name => Some(verdict(name)?),
        };
        Ok(CheckResult {
            check: known("check", &self.check, table)?.name,
            phase,
            verdict,
            observed: self.observed.into_owned(),
            limit: self.limit.into_owned(),
            evidence: self.evidence.into_owned(),
            confidence: self.confidence.into_owned(),
            rule: self.rule.into_owned(),
            note: self.note.into_owned(),
            waived: self.waived,
            first: time(self.first),
            last: time(self.last),
            sessions: self.sessions,
        })
    }
}

impl Measured<'_> {
    fn outcome(self) -> Result<Measures, NotAReport> {
        Ok(Measures {
            streams: self.streams,
            streams_rest: self.streams_rest,
            streams_ws: self.streams_ws,
            rest_polls: self.rest_polls,
            rest_errors: self.rest_errors,
            rest_skipped: self.rest_skipped,
            rest_bytes: self.rest_bytes,
            rest_records: self.rest_records,
            rest_versions: self.rest_versions,
            ws_messages: self.ws_messages,
            ws_bytes: self.ws_bytes,
            ws_records: self.ws_records,
            out_of_scope: self.out_of_scope,
            ticks: self.ticks,
            missed_ticks: self.missed_ticks,
            sparse: self.sparse,
            pairs: self.pairs,
            matched: self.matched,
            matched_current: self.matched_current,
            matched_previous: self.matched_previous,
            matched_next: self.matched_next,
            mismatched_pairs: self.mismatched_pairs,
            unjudged_head: self.unjudged_head,
            unjudged_tail: self.unjudged_tail,
            unfinished: self.unfinished,
            revisions: self.revisions,
            period_ws: self.period_ws_ns.map(Span),
            period_rest: self.period_rest_ns.map(Span),
            drift: self.drift.and_then(|drift| drift.get().parse().ok()),
            jitter: self.jitter.outcome(),
            freshness_gain: self.freshness_gain.outcome(),
            freshness_median: self.freshness_median_ns.map(Span),
            delay: self.delay.outcome(),
            timeline: self.timeline.map_or(Ok(Timeline::default()), series::Bins::outcome)?,
            steps: self.steps.outcome(),
            gains: self.gains.outcome(),
            delays: self.delays.outcome(),
            episodes: self.episodes,
            market_time: Span(self.market_time_ns),
            connected_time: Span(self.connected_time_ns),
            findings: self.findings.0.into_owned(),
            waived: self.waived.0.into_owned(),
            fields: self.fields.into_iter().map(Field::outcome).collect(),
        })
    }
}

impl Field<'_> {
    fn outcome(self) -> FieldMeasure {
        FieldMeasure { field: self.field.into_owned(), compared: self.compared, differed: self.differed }
    }
}

impl Connection {
    fn outcome(self) -> ConnectionOutcome {
        ConnectionOutcome {
            opens: self.opens,
            closes: self.closes,
            errors: self.errors,
            frames: self.frames,
            bytes: self.bytes,
            ignored_frames: self.ignored_frames,
            keepalive_frames: self.keepalive_frames,
            unknown_frames: self.unknown_frames,
            malformed_frames: self.malformed_frames,
            open_time: Span(self.open_time_ns),
            open: self.open.into_iter().map(|(from, to)| (from.0, to.0)).collect(),
            rtt: self.rtt.outcome(),
            self_stalls: self.self_stalls,
            self_stalled: Span(self.self_stalled_ns),
            clock_offset: self
                .clock_offset
                .map(|o| ClockOffset { offset: Span(o.offset_ns), error: Span(o.error_ns) }),
        }
    }
}

impl Process<'_> {
    fn outcome(self) -> ProcessOutcome {
        ProcessOutcome {
            process: self.process.into_owned(),
            samples: self.samples,
            outside: self.outside_hours,
            restarts: self.restarts,
            cpu_microcores: self.cpu_microcores.into_owned(),
            rss_bytes: self.rss_bytes.into_owned(),
        }
    }
}

impl Burst<'_> {
    fn outcome(self) -> Result<Episode, NotAReport> {
        Ok(Episode {
            class: known("class", &self.class, Class::parse(&self.class))?,
            feature: self.feature.map(|name| Arc::from(&*name)),
            field: self.field.into_owned(),
            first: self.first.0,
            last: self.last.0,
            findings: self.findings,
            streams: self.streams,
        })
    }
}

impl Sample<'_> {
    fn outcome(self) -> Result<Finding, NotAReport> {
        let severities = [Severity::Info, Severity::Warn, Severity::Fail];
        let severity = severities.into_iter().find(|severity| severity.name() == self.severity);
        let phase = match &*self.phase {
            "" => "",
            name => known("phase", name, Phase::parse(name))?.name(),
        };
        Ok(Finding {
            class: known("class", &self.class, Class::parse(&self.class))?,
            severity: known("severity", &self.severity, severity)?,
            feature: self.feature.map(|name| Arc::from(&*name)),
            phase,
            stream: Arc::from(&*self.stream),
            row: self.row.into_owned(),
            field: self.field.into_owned(),
            event_time: time(self.event_time),
            at: self.at.0,
            rest: self.rest.into_owned(),
            ws: self.ws.into_owned(),
            delta: self.delta.into_owned(),
            during_drop: self.during_drop,
            waived: self.waived,
            detail: self.detail.into_owned(),
            rest_record: self.rest_record.into_owned(),
            ws_record: self.ws_record.into_owned(),
        })
    }
}

impl Waiver<'_> {
    fn outcome(self) -> WaiverOutcome {
        WaiverOutcome {
            feature: self.feature.into_owned(),
            class: self.class.into_owned(),
            field: self.field.into_owned(),
            reason: self.reason.into_owned(),
            owner: self.owner.into_owned(),
            until: self.until.into_owned(),
            hits: self.hits,
            expired: self.expired,
        }
    }
}

impl Spread {
    fn outcome(self) -> Quantiles {
        let span = |ns: Option<i64>| Span(ns.unwrap_or_default());
        Quantiles {
            count: self.count,
            p50: span(self.p50_ns),
            p95: span(self.p95_ns),
            p99: span(self.p99_ns),
            max: span(self.max_ns),
        }
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Instant, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let instant = Timestamp::parse_rfc3339(&text).map(Instant);
        instant.ok_or_else(|| D::Error::custom(format!("`{text}` is no RFC 3339 instant")))
    }
}

impl<'de> Deserialize<'de> for Counts<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByClass;
        impl<'de> Visitor<'de> for ByClass {
            type Value = Vec<(Class, u64)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("counts by class")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut counts = Vec::new();
                while let Some((name, count)) = map.next_entry::<Cow<'_, str>, u64>()? {
                    let class = Class::parse(&name);
                    let class =
                        class.ok_or_else(|| A::Error::custom(format!("no class `{name}` is known")))?;
                    counts.push((class, count));
                }
                Ok(counts)
            }
        }
        deserializer.deserialize_map(ByClass).map(|counts| Counts(counts.into()))
    }
}
