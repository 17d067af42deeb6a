//! `report.json` as an outside reader sees it: strict structs of its own, nothing besides them.

use super::*;
use crate::report::sample;
use serde::Deserialize;
use std::collections::BTreeMap;

mod reader {
    use super::{BTreeMap, Deserialize};

    type Instant = String;
    type Counts = BTreeMap<String, u64>;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Report {
        pub schema: u32,
        pub tool: String,
        pub verdict: String,
        pub first: Option<Instant>,
        pub last: Option<Instant>,
        pub observations: u64,
        pub interrupted: bool,
        pub damaged_lines: u64,
        pub contract_sha256: String,
        pub other_contract: bool,
        pub capture_sha256: Vec<String>,
        pub feeds: Vec<Feed>,
        pub notes: Vec<String>,
        pub features: Vec<Feature>,
        pub connection: Connection,
        pub processes: Vec<Process>,
        pub findings: Findings,
        pub waivers: Vec<Waiver>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Process {
        pub process: String,
        pub samples: u64,
        pub outside_hours: u64,
        pub restarts: u64,
        pub cpu_microcores: Vec<u64>,
        pub rss_bytes: Vec<u64>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Feed {
        pub feed: String,
        pub address: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Feature {
        pub feature: String,
        pub flag: String,
        pub flag_on: Option<bool>,
        pub align: String,
        pub interval_ns: i64,
        pub verdict: String,
        pub checks: Vec<Check>,
        pub measures: Measured,
        pub sessions: Vec<Session>,
        pub proofs: Vec<Proof>,
        pub sessions_required: u64,
        pub coverage_required: f64,
        pub polling: Option<Polling>,
        pub endpoint: Option<Endpoint>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Polling {
        pub requests_without: u64,
        pub watched_without_ns: i64,
        pub requests_with: u64,
        pub watched_with_ns: i64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Endpoint {
        pub sessions_required: u64,
        pub coverage_required: f64,
        pub sessions: Vec<Unasked>,
        pub ignored: u64,
        pub outside_hours: u64,
        pub doubts: Vec<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Unasked {
        pub date: String,
        pub open: Instant,
        pub close: Instant,
        pub length_ns: i64,
        pub covered_ns: i64,
        pub asked: Requests,
        pub expected: Requests,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Requests {
        pub requests: u64,
        pub first: Option<Instant>,
        pub last: Option<Instant>,
        pub what: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Session {
        pub date: String,
        pub open: Instant,
        pub close: Instant,
        pub length_ns: i64,
        pub covered_ns: i64,
        pub full: bool,
        pub findings: u64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Proof {
        pub field: String,
        pub changed: bool,
        pub shown: Vec<[String; 2]>,
        pub matched: Vec<[String; 2]>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Check {
        pub check: String,
        pub phase: String,
        pub verdict: String,
        pub observed: String,
        pub limit: String,
        pub evidence: String,
        pub confidence: String,
        pub rule: String,
        pub note: String,
        pub waived: u64,
        pub first: Option<Instant>,
        pub last: Option<Instant>,
        pub sessions: u64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Measured {
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
        pub out_of_scope: u64,
        pub ticks: u64,
        pub missed_ticks: u64,
        pub sparse: u64,
        pub pairs: u64,
        pub matched: u64,
        pub matched_current: u64,
        pub matched_previous: u64,
        pub matched_next: u64,
        pub mismatched_pairs: u64,
        pub unjudged_head: u64,
        pub unjudged_tail: u64,
        pub unfinished: u64,
        pub revisions: u64,
        pub period_ws_ns: Option<i64>,
        pub period_rest_ns: Option<i64>,
        pub drift: Option<f64>,
        pub jitter: Spread,
        pub freshness_gain: Spread,
        pub freshness_median_ns: Option<i64>,
        pub delay: Spread,
        pub timeline: Option<Bins>,
        pub steps: Bars,
        pub gains: Bars,
        pub delays: Bars,
        pub episodes: u64,
        pub market_time_ns: i64,
        pub connected_time_ns: i64,
        pub findings: Counts,
        pub waived: Counts,
        pub fields: Vec<Field>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Bins {
        pub first: String,
        pub width_ns: i64,
        pub rest: Vec<u64>,
        pub ws: Vec<u64>,
        pub late_ns: Vec<i64>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Bars {
        pub from_ns: i64,
        pub width_ns: i64,
        pub counts: Vec<u64>,
        pub beyond: u64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Field {
        pub field: String,
        pub compared: u64,
        pub differed: u64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Connection {
        pub opens: u64,
        pub closes: u64,
        pub errors: u64,
        pub frames: u64,
        pub bytes: u64,
        pub ignored_frames: u64,
        #[serde(default)]
        pub keepalive_frames: u64,
        pub unknown_frames: u64,
        pub malformed_frames: u64,
        pub open_time_ns: i64,
        pub open: Vec<(String, String)>,
        pub rtt: Spread,
        pub clock_offset: Option<Offset>,
        pub self_stalls: u64,
        pub self_stalled_ns: i64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Offset {
        pub offset_ns: i64,
        pub error_ns: i64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Findings {
        pub fail: u64,
        pub warn: u64,
        pub info: u64,
        pub by_class: Counts,
        pub episodes: Vec<Burst>,
        pub samples: Vec<Sample>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Burst {
        pub class: String,
        pub feature: Option<String>,
        pub field: String,
        pub first: Instant,
        pub last: Instant,
        pub findings: u64,
        pub streams: u64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Sample {
        pub class: String,
        pub severity: String,
        pub feature: Option<String>,
        pub phase: String,
        pub stream: String,
        pub row: String,
        pub field: String,
        pub event_time: Option<Instant>,
        pub at: Instant,
        pub rest: String,
        pub ws: String,
        pub delta: String,
        pub during_drop: bool,
        pub waived: bool,
        pub detail: String,
        pub rest_record: String,
        pub ws_record: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Waiver {
        pub feature: String,
        pub class: String,
        pub field: String,
        pub reason: String,
        pub owner: String,
        pub until: String,
        pub hits: u64,
        pub expired: bool,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // that each member is there, with this type, is what is tested
    pub struct Spread {
        pub count: u64,
        pub p50_ns: Option<i64>,
        pub p95_ns: Option<i64>,
        pub p99_ns: Option<i64>,
        pub max_ns: Option<i64>,
    }
}

fn read(outcome: &Outcome) -> reader::Report {
    serde_json::from_slice(&to_json(outcome)).unwrap()
}

#[test]
fn everything_comes_back() {
    let report = read(&sample::failing());
    assert_eq!((report.schema, report.tool.as_str(), report.verdict.as_str()), (1, "cutover 0.1.0", "FAIL"));
    assert_eq!(report.first.as_deref(), Some("2025-12-19T14:30:00Z"));
    assert_eq!(report.feeds[1].address, "ws://127.0.0.1:8787/ws");
    let positions = &report.features[1];
    assert_eq!((positions.feature.as_str(), positions.interval_ns), ("positions", 10_000_000_000));
    assert_eq!(positions.measures.findings["value_mismatch"], 26);
    assert_eq!(positions.measures.fields[0].compared, 1204);
    let values = positions.checks.iter().find(|c| c.check == "values-match").unwrap();
    assert_eq!((values.verdict.as_str(), values.waived), ("FAIL", 2));
    assert_eq!(positions.checks.iter().filter(|c| c.verdict == "not asked").count(), 4);
    assert_eq!(report.findings.by_class["late"], 3);
    assert_eq!(report.findings.episodes[0].streams, 4);
    assert_eq!(report.findings.samples[0].rest_record, sample::mismatch().rest_record);
    assert_eq!(report.waivers[0].owner, "ada");
}

#[test]
fn what_was_not_measured_is_null() {
    let mut outcome = sample::passing();
    outcome.features[0].measures.drift = None;
    outcome.features[1].measures.drift = Some(f64::NAN);
    let report = read(&outcome);
    let measures = &report.features[0].measures;
    assert!(measures.drift.is_none() && report.features[1].measures.drift.is_none());
    assert_eq!((measures.jitter.count, measures.jitter.p95_ns), (240, Some(320_000_000)));
    assert_eq!((measures.delay.count, measures.delay.p50_ns), (0, None));
    assert_eq!(measures.period_rest_ns, None);
}

#[test]
fn fractions_have_a_fixed_number_of_digits() {
    for (value, text) in [
        (0.001_234_567_89, Some("0.00123457")),
        (-0.02, Some("-0.02000000")),
        (0.1 + 0.2, Some("0.30000000")),
        (-1e-12, Some("0.00000000")),
        (f64::NAN, None),
        (f64::INFINITY, None),
    ] {
        assert_eq!(fraction(value).as_deref().map(RawValue::get), text);
    }
}

#[test]
fn hostile_text_survives_and_is_harmless() {
    let outcome = sample::hostile();
    let text = String::from_utf8(to_json(&outcome)).unwrap();
    assert!(!text.chars().any(|c| is_control(c) && c != '\n'), "only line breaks between members");
    assert_eq!(read(&outcome).findings.samples[0].stream, &*outcome.samples[0].stream);
    assert_eq!(read(&outcome).findings.samples[0].rest_record, outcome.samples[0].rest_record);
}

#[test]
fn the_same_outcome_gives_the_same_bytes() {
    assert_eq!(to_json(&sample::failing()), to_json(&sample::failing()));
}

#[test]
fn what_was_written_is_read_back_whole() {
    for outcome in [sample::passing(), sample::failing(), sample::hostile(), sample::retired()] {
        let text = to_json(&outcome);
        let again = from_json(&text).unwrap();
        assert_eq!(String::from_utf8(to_json(&again)).unwrap(), String::from_utf8(text).unwrap());
    }
}

#[test]
fn a_timeline_comes_back_and_one_of_before_its_drift_was_kept_too() {
    let mut outcome = sample::failing();
    let timeline = &mut outcome.features[0].measures.timeline;
    for second in 0..4 {
        timeline.at(Timestamp(second * 1_000_000_000)).ws += 1;
        timeline.stepped(Timestamp(second * 1_000_000_000), Span(1 - second));
    }
    let text = String::from_utf8(to_json(&outcome)).unwrap();
    let again = from_json(text.as_bytes()).unwrap();
    assert_eq!(again.features[0].measures.timeline, outcome.features[0].measures.timeline);
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("late_ns")).collect();
    let before = lines.join("\n").replace("\"ws\": [1,1,1,1],", "\"ws\": [1,1,1,1]");
    let before = from_json(before.as_bytes()).unwrap();
    assert_eq!(before.features[0].measures.timeline.offsets(1), [Span::ZERO; 4]);
    let fewer = text.replace("[1,0,-1,-2]", "[1,0,-1]");
    assert!(fewer != text && from_json(fewer.as_bytes()).is_err());
}

#[test]
fn what_is_no_report_is_refused_with_the_reason() {
    let text = String::from_utf8(to_json(&sample::failing())).unwrap();
    let refusal = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        from_json(text.replace(from, to).as_bytes()).unwrap_err().to_string()
    };
    assert_eq!(
        refusal("\"schema\": 1", "\"schema\": 9"),
        "report schema 9 is unknown to this program, which reads schema 1; a newer cutover can"
    );
    assert!(refusal("no-gaps", "no-gasp").contains("`no-gasp` as check"));
    assert!(refusal("\"FAIL\"", "\"FALL\"").contains("`FALL` as verdict"));
    assert!(refusal("2025-12-19T14:30:00Z", "yesterday").contains("`yesterday` is no RFC 3339 instant"));
    for text in ["", "[]", "{}", "{\"schema\":1}", "{\"schema\":-1}"] {
        assert!(from_json(text.as_bytes()).is_err(), "{text}");
    }
}
