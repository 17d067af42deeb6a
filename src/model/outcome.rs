//! What a run concluded: frozen, ordered, complete; the only input of every report format.

use super::drill::Drill;
use super::finding::{Class, Finding};
use super::series::{Shape, Timeline};
use super::time::{Span, Timestamp, civil_from_days};
use std::fmt;
use std::sync::Arc;

/// PASS, FAIL or INCONCLUSIVE; ordered so that the worst of several is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    Pass,
    Inconclusive,
    Fail,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "PASS",
            Verdict::Inconclusive => "INCONCLUSIVE",
            Verdict::Fail => "FAIL",
        }
    }
    /// FAIL if any fails, else INCONCLUSIVE if any is, else PASS; nothing at all is INCONCLUSIVE.
    pub fn of(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        verdicts.into_iter().max().unwrap_or(Verdict::Inconclusive)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    BeforeEnabling,
    AfterEnabling,
    BeforeDeleting,
}

impl Phase {
    pub const ALL: [Phase; 3] = [Phase::BeforeEnabling, Phase::AfterEnabling, Phase::BeforeDeleting];
    pub fn name(self) -> &'static str {
        match self {
            Phase::BeforeEnabling => "before-enabling",
            Phase::AfterEnabling => "after-enabling",
            Phase::BeforeDeleting => "before-deleting",
        }
    }
    pub fn parse(text: &str) -> Option<Phase> {
        Phase::ALL.into_iter().find(|phase| phase.name() == text)
    }
}

/// One checklist item of one feature in one phase.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckResult {
    pub check: &'static str,
    pub phase: Phase,
    /// `None`: not asked in this run.
    pub verdict: Option<Verdict>,
    /// What was seen, in words with numbers: `2 of 1,204 pairs differ`.
    pub observed: String,
    /// What would pass: `no value_mismatch, torn_read, missing_row, extra_row, invariant`.
    pub limit: String,
    /// How much was seen: `1204 pairs`; the number first.
    pub evidence: String,
    /// The confidence statement where there is one: `mismatch rate < 0.25 % (95 %)`.
    pub confidence: String,
    /// The rule in one sentence.
    pub rule: String,
    /// Anything a reader must know: what is lacking, `2 waived`, exempt streams.
    pub note: String,
    /// Findings covered by a waiver that this check would otherwise have failed on.
    pub waived: u64,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    /// Full market sessions seen; 0 where none was whole.
    pub sessions: u64,
}

/// Quantiles of a distribution of spans.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Quantiles {
    pub count: u64,
    pub p50: Span,
    pub p95: Span,
    pub p99: Span,
    pub max: Span,
}

/// The feed's clock minus ours: within `error` of `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOffset {
    pub offset: Span,
    pub error: Span,
}

/// What was counted and measured for one feature.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measures {
    pub streams: u64,
    pub streams_rest: u64,
    pub streams_ws: u64,
    pub rest_polls: u64,
    pub rest_errors: u64,
    pub rest_skipped: u64,
    pub rest_bytes: u64,
    pub rest_records: u64,
    pub rest_versions: u64,
    pub ws_messages: u64,
    pub ws_bytes: u64,
    pub ws_records: u64,
    /// Records of either side that the contract's `only` leaves out.
    pub out_of_scope: u64,
    pub ticks: u64,
    pub pairs: u64,
    pub matched: u64,
    /// `arrival`: which candidate was equal.
    pub matched_current: u64,
    pub matched_previous: u64,
    pub matched_next: u64,
    pub mismatched_pairs: u64,
    pub unjudged_head: u64,
    pub unjudged_tail: u64,
    pub unfinished: u64,
    pub sparse: u64,
    pub revisions: u64,
    pub missed_ticks: u64,
    /// Period by least squares over all streams, and its drift against the promise (a fraction).
    pub period_ws: Option<Span>,
    pub period_rest: Option<Span>,
    pub drift: Option<f64>,
    pub jitter: Quantiles,
    /// First sight on REST minus arrival on the WebSocket, per version (positive: the stream is fresher).
    pub freshness_gain: Quantiles,
    pub freshness_median: Option<Span>,
    /// Arrival on the WebSocket minus event time, above the stream's smallest.
    pub delay: Quantiles,
    /// For charts: records over time, and what the steps from tick to tick, the gains and the delays look like.
    pub timeline: Timeline,
    pub steps: Shape,
    pub gains: Shape,
    pub delays: Shape,
    /// Episodes (bursts) of failing findings, and market time watched.
    pub episodes: u64,
    pub market_time: Span,
    pub connected_time: Span,
    /// Findings by class: all, and those that were waived.
    pub findings: Vec<(Class, u64)>,
    pub waived: Vec<(Class, u64)>,
    /// Per compared field: pairs compared, of them different.
    pub fields: Vec<FieldMeasure>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct FieldMeasure {
    pub field: String,
    pub compared: u64,
    pub differed: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FeatureOutcome {
    pub name: Arc<str>,
    pub flag: String,
    /// The flag's state at the start of the run, where it was recorded.
    pub flag_on: Option<bool>,
    pub align: &'static str,
    pub interval: Span,
    pub checks: Vec<CheckResult>,
    pub verdict: Verdict,
    pub measures: Measures,
    /// Sessions watched, in part or whole, in the order of time.
    pub sessions: Vec<SessionOutcome>,
    /// What compared fields that are not static were seen to do.
    pub proofs: Vec<FieldProven>,
    pub required: SessionsRequired,
    /// How often the frontend asked for the feature's path.
    pub polling: Polling,
    /// Who still asks for it, where the contract wants to know.
    pub endpoint: Option<EndpointOutcome>,
}

/// The frontend's requests of a feature's path, while its flag was false and while it was true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Polling {
    pub without: Requested,
    pub with: Requested,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Requested {
    pub requests: u64,
    /// For how long the frontend was watched.
    pub watched: Span,
}

impl Requested {
    /// `None` where nothing was watched.
    pub fn per_minute(self) -> Option<f64> {
        let minutes = self.watched.as_secs_f64() / 60.0;
        (minutes > 0.0).then(|| self.requests as f64 / minutes)
    }

    pub fn plus(self, more: Requested) -> Requested {
        Requested { requests: self.requests + more.requests, watched: self.watched + more.watched }
    }
}

/// What logs say of an endpoint that is to go away.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointOutcome {
    pub required: SessionsRequired,
    /// Sessions in which it was asked, or in which a log showed that it was not; in the order of time.
    pub sessions: Vec<EndpointSession>,
    /// Requests by whom the contract ignores and by cutover itself, and outside market hours.
    pub ignored: u64,
    pub outside: u64,
    /// Why the time of some log does not count.
    pub doubts: Vec<String>,
}

/// One market session of it.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointSession {
    pub day: i64,
    pub open: Timestamp,
    pub close: Timestamp,
    pub length: Span,
    /// Market time in which a log showed that it was alive.
    pub covered: Span,
    /// Requests; and those made while the feature's flag was false.
    pub asked: Asked,
    pub expected: Asked,
}

/// Requests of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    pub requests: u64,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    /// The last: `GET /api/balances`.
    pub what: String,
}

impl Asked {
    /// With what was asked later.
    pub fn plus(&self, later: &Asked) -> Asked {
        Asked {
            requests: self.requests + later.requests,
            first: self.first.or(later.first),
            last: later.last.or(self.last),
            what: if later.requests > 0 { later.what.clone() } else { self.what.clone() },
        }
    }
}

impl EndpointSession {
    /// `2025-12-19`
    pub fn date(&self) -> String {
        date(self.day)
    }

    pub fn is_full(&self, required: SessionsRequired) -> bool {
        self.length > Span::ZERO && self.covered.0 as f64 >= self.length.0 as f64 * required.coverage
    }
}

fn date(day: i64) -> String {
    let (y, m, d) = civil_from_days(day);
    format!("{y:04}-{m:02}-{d:02}")
}

/// How many sessions the contract asks for, and how much of each must be covered (a fraction).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SessionsRequired {
    pub sessions: u64,
    pub coverage: f64,
}

/// One market session (of `24/7`, one UTC day) of one feature.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionOutcome {
    /// The trade date, as days since 1970-01-01.
    pub day: i64,
    pub open: Timestamp,
    pub close: Timestamp,
    /// Market time of the session, and how much of it was covered.
    pub length: Span,
    pub covered: Span,
    /// Failing findings in it.
    pub findings: u64,
}

impl SessionOutcome {
    /// `2025-12-19`
    pub fn date(&self) -> String {
        date(self.day)
    }

    /// Whether it is covered as far as the contract asks.
    pub fn is_full(&self, required: SessionsRequired) -> bool {
        self.length > Span::ZERO && self.covered.0 as f64 >= self.length.0 as f64 * required.coverage
    }
}

/// One compared field: whether matching pairs saw it change, and an enum in which ways.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldProven {
    pub field: String,
    pub changed: bool,
    /// From one value to another: on REST, and in matching pairs.
    pub shown: Vec<(String, String)>,
    pub matched: Vec<(String, String)>,
}

impl FieldProven {
    /// What an enum did on REST and in no matching pair.
    pub fn unmatched(&self) -> impl Iterator<Item = &(String, String)> {
        self.shown.iter().filter(|way| !self.matched.contains(way))
    }

    pub fn is_proven(&self) -> bool {
        self.changed && self.unmatched().next().is_none()
    }
}

/// The connection over the run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnectionOutcome {
    pub opens: u64,
    pub closes: u64,
    pub errors: u64,
    pub frames: u64,
    pub bytes: u64,
    pub ignored_frames: u64,
    /// Of a type that shows that the server lives, and nothing more.
    pub keepalive_frames: u64,
    pub unknown_frames: u64,
    pub malformed_frames: u64,
    pub open_time: Span,
    /// When it was open, in order; of very many the closest are told as one.
    pub open: Vec<(Timestamp, Timestamp)>,
    pub rtt: Quantiles,
    /// The feed's clock minus ours, where what was seen bounds it.
    pub clock_offset: Option<ClockOffset>,
    pub self_stalls: u64,
    pub self_stalled: Span,
}

/// Periods that are kept.
const MOST_PERIODS: usize = 240;

impl ConnectionOutcome {
    /// A later period in which it was open; past the bound the two closest become one.
    pub fn add_open(&mut self, from: Timestamp, to: Timestamp) {
        self.open.push((from, to));
        if self.open.len() > MOST_PERIODS {
            let pause = |i: &usize| self.open[i + 1].0 - self.open[*i].1;
            let shortest = (0..self.open.len() - 1).min_by_key(pause).unwrap_or(0);
            let (_, end) = self.open.remove(shortest + 1);
            self.open[shortest].1 = end;
        }
    }
}

/// What one process used over the run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProcessOutcome {
    pub process: String,
    /// In market hours; those outside are counted apart and not kept.
    pub samples: u64,
    pub outside: u64,
    /// How often its counters began anew.
    pub restarts: u64,
    /// All samples, or of a long run every 2nd, 4th, …: in millionths of a core between two samples
    /// that follow each other, and in bytes.
    pub cpu_microcores: Vec<u64>,
    pub rss_bytes: Vec<u64>,
}

/// What is measured of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    Cpu,
    Memory,
}

impl Quantity {
    pub const ALL: [Quantity; 2] = [Quantity::Cpu, Quantity::Memory];
    /// As the `field` of a finding.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::Cpu => "cpu",
            Quantity::Memory => "rss_bytes",
        }
    }
    pub fn words(self) -> &'static str {
        match self {
            Quantity::Cpu => "CPU",
            Quantity::Memory => "memory",
        }
    }
    /// A value with its unit: `12.50 % of a core`, `180.0 MiB`.
    pub fn amount(self, value: f64) -> String {
        match self {
            Quantity::Cpu => format!("{:.2} % of a core", value / 10_000.0),
            Quantity::Memory => format!("{:.1} MiB", value / f64::from(1 << 20)),
        }
    }
}

impl ProcessOutcome {
    pub fn values(&self, quantity: Quantity) -> &[u64] {
        match quantity {
            Quantity::Cpu => &self.cpu_microcores,
            Quantity::Memory => &self.rss_bytes,
        }
    }
}

/// Findings close together in time of one class, feature and field.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    pub class: Class,
    pub feature: Option<Arc<str>>,
    pub field: String,
    pub first: Timestamp,
    pub last: Timestamp,
    pub findings: u64,
    pub streams: u64,
}

/// A waiver of the contract and what it covered.
#[derive(Debug, Clone, PartialEq)]
pub struct WaiverOutcome {
    pub feature: String,
    pub class: String,
    pub field: String,
    pub reason: String,
    pub owner: String,
    pub until: String,
    pub hits: u64,
    pub expired: bool,
}

/// A reviewer's signature that was checked and holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBy {
    pub feature: Arc<str>,
    pub phase: Phase,
    pub reviewer: String,
    pub signed_at: Timestamp,
}

/// Everything a report may show.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub tool: String,
    pub contract_sha256: String,
    /// Set when the run was judged with another contract than the one recorded in the capture.
    pub other_contract: bool,
    /// SHA-256 of the capture files, in the order they were read (of the uncompressed lines).
    pub capture_sha256: Vec<String>,
    pub feeds: Vec<(String, String)>,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    pub observations: u64,
    /// The run did not reach its `end` as `done`.
    pub interrupted: bool,
    /// Damaged lines skipped on request.
    pub damaged: u64,
    pub verdict: Verdict,
    pub features: Vec<FeatureOutcome>,
    pub connection: ConnectionOutcome,
    /// By name.
    pub processes: Vec<ProcessOutcome>,
    /// Exact counts of all findings by class, and by severity.
    pub findings: Vec<(Class, u64)>,
    pub findings_fail: u64,
    pub findings_warn: u64,
    pub findings_info: u64,
    pub waivers: Vec<WaiverOutcome>,
    /// Who has to sign, as the contract names them: `ann`, or with a key `ann ed25519:BASE64`.
    pub reviewers: Vec<String>,
    /// Whose signature covers this evidence; known of merged evidence alone, and of no report.
    pub signed: Vec<SignedBy>,
    pub episodes: Vec<Episode>,
    /// The worst findings with their records: a capped sample, in the order they were found.
    pub samples: Vec<Finding>,
    /// Remarks that belong to the whole run: interrupted, another contract, beyond a calendar's horizon.
    pub notes: Vec<String>,
    /// What the gate can see, where the recording was drilled.
    pub drill: Option<Drill>,
}

/// Where a running feature stands: what a live view shows.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureProgress {
    pub name: Arc<str>,
    pub messages: u64,
    pub pairs: u64,
    /// Since the feature's last WebSocket message.
    pub age: Option<Span>,
    pub interval: Span,
    pub drift: Option<f64>,
    pub mismatches: u64,
    pub findings_fail: u64,
    /// The worst verdict so far that more evidence cannot undo: FAIL, else none.
    pub failed: bool,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    pub at: Option<Timestamp>,
    /// Whether a connection is open now, and since when that is so; `None` before the first open.
    pub connected: bool,
    pub since: Option<Timestamp>,
    pub opens: u64,
    pub features: Vec<FeatureProgress>,
    /// The last failing finding in words, and when it was made.
    pub last_finding: Option<(Timestamp, String)>,
}
