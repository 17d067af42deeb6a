//! Owns the outcomes that the tests of the formats show. Must not stand in anything but tests.

use crate::model::outcome::{
    Asked, CheckResult, ConnectionOutcome, EndpointOutcome, EndpointSession, Episode, FeatureOutcome,
    FieldMeasure, FieldProven, Measures, Outcome, Polling, ProcessOutcome, Quantiles, Requested,
    SessionOutcome, SessionsRequired, WaiverOutcome,
};
use crate::model::{Class, Finding, Phase, Span, Timestamp, Verdict};
use std::sync::Arc;

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

const BEFORE_ENABLING: [(&str, &str, &str); 6] = [
    ("messages-seen", "4 of 4 streams came, 240 messages", "every stream that REST shows came"),
    ("interval-match", "drift +0.1 %, jitter p95 3.2 % of P", "|drift| ≤ 2 %, jitter p95 ≤ 20 % of P"),
    (
        "required-fields",
        "240 messages complete",
        "no missing_field, null_field, wrong_type, bad_value, malformed",
    ),
    ("no-drops", "1 connection, open for 10m", "no connection_drop, connect_failed, stalled"),
    ("no-gaps", "240 ticks, none missed", "no gap, missing_on_ws, out_of_order, frozen"),
    (
        "values-match",
        "1,204 of 1,204 pairs match",
        "no value_mismatch, torn_read, missing_row, extra_row, invariant",
    ),
];

fn check(name: &'static str, observed: &str, limit: &str) -> CheckResult {
    CheckResult {
        check: name,
        phase: Phase::BeforeEnabling,
        verdict: Some(Verdict::Pass),
        observed: observed.into(),
        limit: limit.into(),
        evidence: "1204 pairs".into(),
        confidence: String::new(),
        rule: format!("the rule of {name}"),
        note: String::new(),
        waived: 0,
        first: Some(at("2025-12-19T14:30:00Z")),
        last: Some(at("2025-12-19T14:40:00Z")),
        sessions: 0,
    }
}

fn not_asked(name: &'static str, phase: Phase) -> CheckResult {
    CheckResult {
        verdict: None,
        phase,
        evidence: String::new(),
        first: None,
        last: None,
        ..check(name, "", "")
    }
}

fn feature(name: &str, flag: &str, interval: Span) -> FeatureOutcome {
    let mut checks: Vec<_> =
        BEFORE_ENABLING.iter().map(|(name, seen, limit)| check(name, seen, limit)).collect();
    for name in ["websocket-only", "resources-flat", "logs-clean"] {
        checks.push(not_asked(name, Phase::AfterEnabling));
    }
    checks.push(not_asked("signed-off", Phase::BeforeDeleting));
    FeatureOutcome {
        name: name.into(),
        flag: flag.into(),
        flag_on: Some(false),
        align: "time",
        interval,
        checks,
        verdict: Verdict::Pass,
        measures: Measures {
            streams: 4,
            ws_messages: 240,
            freshness_median: Some(Span(4_912_345_678)),
            pairs: 1204,
            matched: 1204,
            drift: Some(0.001_234_567_89),
            period_ws: Some(Span::from_millis(10_012)),
            jitter: Quantiles { count: 240, p95: Span::from_millis(320), ..Quantiles::default() },
            findings: vec![],
            fields: vec![FieldMeasure { field: "pnl".into(), compared: 1204, differed: 0 }],
            ..Measures::default()
        },
        sessions: vec![SessionOutcome {
            day: 20_441,
            open: at("2025-12-19T14:30:00Z"),
            close: at("2025-12-19T21:00:00Z"),
            length: Span::from_secs(23_400),
            covered: Span::from_secs(600),
            findings: 0,
        }],
        proofs: vec![FieldProven {
            field: "pnl".into(),
            changed: true,
            shown: vec![("OPEN".into(), "CLOSED".into())],
            matched: vec![],
        }],
        required: SessionsRequired { sessions: 2, coverage: 0.995 },
        polling: Polling::default(),
        endpoint: None,
    }
}

/// A feature whose frontend was watched, and whose endpoint was asked once.
pub fn retired() -> Outcome {
    let mut outcome = passing();
    let feature = &mut outcome.features[0];
    let requested =
        |requests, minutes: i32| Requested { requests, watched: Span::from_secs(60 * i64::from(minutes)) };
    feature.polling = Polling { without: requested(60, 10), with: requested(1, 600) };
    let asked = Asked {
        requests: 1,
        first: Some(at("2025-12-19T14:31:00Z")),
        last: Some(at("2025-12-19T14:31:00Z")),
        what: "GET /api/positions".into(),
    };
    let session = &feature.sessions[0];
    feature.endpoint = Some(EndpointOutcome {
        required: feature.required,
        sessions: vec![EndpointSession {
            day: session.day,
            open: session.open,
            close: session.close,
            length: session.length,
            covered: session.length,
            asked,
            expected: Asked::default(),
        }],
        ignored: 7,
        outside: 1,
        doubts: vec!["no WebSocket".into()],
    });
    outcome
}

/// Four features, all PASS.
pub fn passing() -> Outcome {
    Outcome {
        tool: "cutover 0.1.0".into(),
        contract_sha256: "abc123".into(),
        other_contract: false,
        capture_sha256: vec!["c0ffee".into()],
        feeds: vec![
            ("rest".into(), "http://127.0.0.1:8787".into()),
            ("ws".into(), "ws://127.0.0.1:8787/ws".into()),
        ],
        first: Some(at("2025-12-19T14:30:00Z")),
        last: Some(at("2025-12-19T14:40:00Z")),
        observations: 12_345,
        interrupted: false,
        damaged: 0,
        verdict: Verdict::Pass,
        features: vec![
            feature("account_balance", "WS_FEATURE_ACCOUNT_BALANCE", Span::from_secs(10)),
            feature("positions", "WS_FEATURE_POSITIONS", Span::from_secs(10)),
            feature("intraday_bar", "WS_FEATURE_INTRADAY", Span::from_secs(60)),
            feature("market_status", "WS_FEATURE_GLOBAL_MARKET", Span::from_secs(10)),
        ],
        processes: vec![ProcessOutcome {
            process: "backend".into(),
            samples: 3,
            cpu_microcores: vec![12_500, 13_000],
            rss_bytes: vec![188_743_680, 188_747_776, 188_743_680],
            ..ProcessOutcome::default()
        }],
        connection: ConnectionOutcome {
            opens: 1,
            frames: 960,
            bytes: 480_000,
            open_time: Span::from_secs(600),
            ..ConnectionOutcome::default()
        },
        findings: vec![],
        findings_fail: 0,
        findings_warn: 0,
        findings_info: 0,
        waivers: vec![],
        reviewers: vec![],
        signed: vec![],
        episodes: vec![],
        samples: vec![],
        notes: vec![],
        drill: None,
    }
}

pub fn mismatch() -> Finding {
    Finding {
        class: Class::ValueMismatch,
        severity: Class::ValueMismatch.severity(),
        feature: Some("positions".into()),
        phase: "before-enabling",
        stream: "account_id=123".into(),
        row: "symbol=AAPL".into(),
        field: "pnl".into(),
        event_time: Some(at("2025-12-19T14:31:02Z")),
        at: at("2025-12-19T14:31:02.250Z"),
        rest: "1200.00".into(),
        ws: "1250.00".into(),
        delta: "50.00".into(),
        during_drop: false,
        waived: false,
        detail: String::new(),
        rest_record: record("1200.00"),
        ws_record: record("1250.00"),
    }
}

fn record(pnl: &str) -> String {
    format!(
        r#"{{"account_id":123,"timestamp":"2025-12-19T14:31:02Z","positions":[{{"symbol":"AAPL","quantity":10,"entry_price":180.00,"current_price":300.00,"pnl":{pnl}}}]}}"#
    )
}

pub fn drop() -> Finding {
    Finding {
        class: Class::ConnectionDrop,
        severity: Class::ConnectionDrop.severity(),
        feature: None,
        stream: Arc::from(""),
        row: String::new(),
        field: String::new(),
        event_time: None,
        at: at("2025-12-19T14:35:00Z"),
        rest: String::new(),
        ws: String::new(),
        delta: String::new(),
        during_drop: true,
        detail: "code=1006 by=network down=3.2s".into(),
        rest_record: String::new(),
        ws_record: String::new(),
        ..mismatch()
    }
}

fn change(outcome: &mut Outcome, feature: &str, name: &str, verdict: Verdict, observed: &str, note: &str) {
    let feature = outcome.features.iter_mut().find(|f| &*f.name == feature).unwrap();
    let check = feature.checks.iter_mut().find(|c| c.check == name).unwrap();
    check.verdict = Some(verdict);
    check.observed = observed.into();
    check.note = note.into();
    feature.verdict = feature.verdict.max(verdict);
    outcome.verdict = outcome.verdict.max(verdict);
}

/// `positions` FAIL by 24 mismatches of `pnl`, `intraday_bar` INCONCLUSIVE.
pub fn failing() -> Outcome {
    let mut outcome = passing();
    change(&mut outcome, "positions", "values-match", Verdict::Fail, "24 of 1,204 pairs differ", "");
    change(
        &mut outcome,
        "intraday_bar",
        "interval-match",
        Verdict::Inconclusive,
        "drift +0.1 %, 3 ticks",
        "needs 5 ticks a stream; the fewest is 3 (country=USA,symbol=SPY)",
    );
    let values = outcome.features[1].checks.iter_mut().find(|c| c.check == "values-match").unwrap();
    values.confidence = "mismatch rate < 2.8 % (95 %)".into();
    values.waived = 2;
    let measures = &mut outcome.features[1].measures;
    measures.findings = vec![(Class::ValueMismatch, 26)];
    measures.waived = vec![(Class::ValueMismatch, 2)];
    outcome.findings = vec![(Class::ValueMismatch, 26), (Class::Late, 3)];
    outcome.findings_fail = 26;
    outcome.findings_warn = 3;
    outcome.samples = vec![mismatch()];
    outcome.episodes = vec![Episode {
        class: Class::ValueMismatch,
        feature: Some("positions".into()),
        field: "pnl".into(),
        first: at("2025-12-19T14:31:02Z"),
        last: at("2025-12-19T14:39:40Z"),
        findings: 26,
        streams: 4,
    }];
    outcome.waivers = vec![WaiverOutcome {
        feature: "positions".into(),
        class: "value_mismatch".into(),
        field: "pnl".into(),
        reason: "known rounding".into(),
        owner: "ada".into(),
        until: "2025-12-31".into(),
        hits: 2,
        expired: false,
    }];
    outcome
}

/// Nothing failed, and one feature lacks evidence.
pub fn inconclusive() -> Outcome {
    let mut outcome = passing();
    change(
        &mut outcome,
        "intraday_bar",
        "no-gaps",
        Verdict::Inconclusive,
        "3 ticks",
        "needs 5 ticks a stream; the fewest is 3 (country=USA,symbol=SPY)",
    );
    outcome
}

/// As `failing`, with everything a server can send full of what drives a terminal or a spreadsheet.
pub fn hostile() -> Outcome {
    const EVIL: &str = "=1+1\u{1b}[2J\u{9b}31m\u{202e}\n\u{7}<script>alert(1)</script>|`]]>&";
    let mut outcome = failing();
    let finding = &mut outcome.samples[0];
    finding.stream = EVIL.into();
    finding.row = EVIL.into();
    finding.rest = EVIL.into();
    finding.ws = EVIL.into();
    finding.delta = EVIL.into();
    finding.detail = EVIL.into();
    finding.rest_record = format!("{{\"a\":\"{}\"}}", "\u{9b}31m\u{202e}");
    finding.ws_record = EVIL.into();
    outcome.notes = vec![EVIL.into()];
    outcome.feeds[0].1 = EVIL.into();
    for check in &mut outcome.features[0].checks {
        check.observed = EVIL.into();
        check.note = EVIL.into();
    }
    outcome
}
