//! The stored case of a Django Channels / DRF application: one contract of at most sixty lines, a capture of that shape,
//! and its verdict. `cargo test --test django renew -- --ignored` writes the capture anew.

#![allow(clippy::disallowed_methods, reason = "stored cases are files")]

mod common;

use common::{Script, Told, fold};
use cutover::capture::{Reader, ReaderOptions, encode};
use cutover::contract::{Contract, parse};
use cutover::model::{Class, Event, Observation, Severity, Start, Verdict};
use cutover::report::signoff;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MINUTES: u32 = 17;
const TEXT: &str = include_str!("../fixtures/django/contract.toml");

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/django")
}

fn django() -> Arc<Contract> {
    Arc::new(
        parse("contract.toml", TEXT, &|_| None, false)
            .unwrap_or_else(|errors| panic!("{}", errors[0].render())),
    )
}

/// The state of the k-th quarter of a minute.
fn cents(k: u32) -> i64 {
    9_994_900 + i64::from(k * 7919 % 100_003)
}

fn dollars(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// How late REST shows the bar of a minute, in seconds after its end; one of seven never.
fn late(minute: u32) -> Option<f64> {
    [Some(1.9), Some(40.0), Some(58.0), None, Some(60.0), Some(0.2), Some(20.0)][minute as usize % 7]
}

fn bar(symbol: u32, minute: u32, step: u32) -> [i64; 5] {
    let base = 450_000 + i64::from(symbol) * 90_000 + i64::from(minute) * 300;
    let tick = |step: u32| i64::from(step * 37 % 11) * 25 - 100;
    let seen: Vec<i64> = (0..=step).map(tick).collect();
    let (high, low) = (*seen.iter().max().unwrap(), *seen.iter().min().unwrap());
    [base + tick(0), base + high, base + low, base + tick(step), i64::from(step) * 70 + 1]
}

fn status(minute: u32) -> &'static str {
    if (5..11).contains(&minute) { "CLOSED" } else { "OPEN" }
}

/// What becomes of the k-th balance's message.
type Spoil = fn(u32, String) -> String;

/// Both feeds for a quarter of an hour; `spoil` may change a message.
fn session(spoil: Spoil) -> Script {
    let mut events: Vec<(f64, Option<&'static str>, &'static str, String)> = Vec::new();
    let mut ws = |at: f64, text: String| events.push((at, None, "", text));
    let end = f64::from(MINUTES) * 60.0;
    for k in 0..MINUTES * 4 {
        let at = f64::from(k) * 15.0 + 0.4;
        let (cash, net) = (dollars(cents(k)), dollars(cents(k) + 500_000));
        let stamp = common::stamp(at);
        ws(
            at,
            spoil(
                k,
                format!(
                    r#"{{"type":"balances","data":{{"broker":"PAPER","account_key":"PAPER-1","net_liq":{net},"cash":{cash},"equity":{net},"stock_buying_power":{net},"option_buying_power":0.0,"day_trading_buying_power":{net},"updated_at":"{stamp}","type":"balances","account_id":"PAPER-1"}}}}"#
                ),
            ),
        );
        ws(
            at + 0.1,
            format!(
                r#"{{"type":"positions","data":{{"broker":"PAPER","account_key":"PAPER-1","positions":[{{"symbol":"TSLA","quantity":7.0,"avg_price":242.123456,"market_value":{cash}4192,"realized_pl_open":0.0}}],"updated_at":"{stamp}","type":"positions"}}}}"#
            ),
        );
    }
    for minute in 0..MINUTES {
        for symbol in 0..2 {
            for step in 0..6 {
                let at = f64::from(minute) * 60.0 + f64::from(step) * 10.0 + 2.0 + f64::from(symbol) * 0.5;
                let [o, h, l, c, v] = bar(symbol, minute, step);
                let name = ["/ES", "/YM"][symbol as usize];
                ws(
                    at,
                    format!(
                        r#"{{"type":"intraday_bar","data":{{"timestamp_minute":"{}","o":{},"h":{},"l":{},"c":{},"v":{v}.0,"spread":0.020000000000038654,"country":"GLOBAL","symbol":"{name}"}}}}"#,
                        common::stamp(f64::from(minute) * 60.0),
                        dollars(o),
                        dollars(h),
                        dollars(l),
                        dollars(c)
                    ),
                );
            }
        }
        ws(f64::from(minute) * 60.0 + 33.0, r#"{"type":"pong","timestamp":1}"#.into());
        ws(f64::from(minute) * 60.0 + 35.0, r#"{"type":"quote_tick","data":{"symbol":"/ES"}}"#.into());
        if minute == 0 || status(minute) != status(minute - 1) {
            ws(
                f64::from(minute) * 60.0 + 0.2,
                format!(
                    r#"{{"type":"global_markets_tick","data":{{"server_time_utc":"{}","markets":[{{"key":"tokyo","name":"Tokyo","status":"{}","next_transition_utc":"2025-12-19T23:03:00+00:00"}}]}}}}"#,
                    common::stamp(f64::from(minute) * 60.0),
                    status(minute)
                ),
            );
        }
    }
    let mut rest = |at: f64, feature: &'static str, params: &'static str, text: String| {
        events.push((at, Some(params), feature, text))
    };
    for poll in 0..(end / 5.0) as u32 {
        let at = f64::from(poll) * 5.0 + 3.0;
        let k = (at / 15.0) as u32;
        let (cash, net) = (dollars(cents(k)), dollars(cents(k) + 500_000));
        rest(
            at,
            "account_balance",
            "{}",
            format!(
                r#"{{"account_key":"PAPER-1","currency":"USD","cash":"{cash}","equity":"{net}","net_liq":"{net}","buying_power":"{net}","day_trade_bp":"{net}","updated_at":"{}Z"}}"#,
                "2025-12-19T14:30:00"
            ),
        );
        rest(
            at + 0.2,
            "positions",
            "{}",
            format!(
                r#"{{"positions":[{{"id":3,"account_key":"PAPER-1","symbol":"TSLA","quantity":"7.0000","avg_price":"242.123456","market_value":"{cash}","realized_pl_total":"0.00"}}]}}"#
            ),
        );
        for symbol in 0..2 {
            let shown = (0..MINUTES)
                .rev()
                .find(|m| late(*m).is_some_and(|late| f64::from(*m + 1) * 60.0 + late <= at));
            let name = ["ES", "YM"][symbol as usize];
            let latest = shown.map_or("null".to_string(), |minute| {
                let [o, h, l, c, v] = bar(symbol, minute, 5);
                format!(
                    r#"{{"open":{},"high":{},"low":{},"close":{},"volume":{v},"spread":0.02}}"#,
                    dollars(o),
                    dollars(h),
                    dollars(l),
                    dollars(c)
                )
            });
            rest(
                at + 0.3,
                "intraday_bar",
                [r#"{"future":"ES"}"#, r#"{"future":"YM"}"#][symbol as usize],
                format!(r#"{{"market":"USA","future":"{name}","intraday_latest":{latest}}}"#),
            );
        }
        if poll % 2 == 0 {
            let minute = (at / 60.0) as u32;
            rest(
                at + 0.4,
                "market_status",
                "{}",
                format!(
                    r#"[{{"id":1,"key":"tokyo","name":"Tokyo","is_active":true,"status":"{}","next_transition_utc":"2025-12-19T23:03:00Z"}},{{"id":2,"key":"closed_down","name":"Old","is_active":false,"status":"CLOSED","next_transition_utc":null}}]"#,
                    status(minute)
                ),
            );
        }
    }
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut script = Script::new(&django());
    script.open(0.0);
    for (at, params, feature, text) in events {
        match params {
            None => {
                script.ws(at, text);
            }
            Some(params) => {
                script.rest_with(at, at + 0.05, feature, params, text);
            }
        }
    }
    script.end(end + 4.0);
    script
}

fn verdicts(told: &Told) -> Vec<(String, Verdict)> {
    told.outcome.features.iter().map(|f| (f.name.to_string(), f.verdict)).collect()
}

#[test]
fn one_small_contract_reads_the_whole_application() {
    assert!(TEXT.lines().count() <= 60, "{}", TEXT.lines().count());
    let text = std::fs::read_to_string(folder().join("capture.jsonl")).unwrap();
    let mut reader = Reader::new(text.as_bytes(), ReaderOptions::default());
    let mut observations = Vec::new();
    while let Some(line) = reader.next() {
        observations.push(cutover::drill::tape::owned(&line.unwrap().observation));
    }
    let met = fold(&django(), &observations, false);
    assert_eq!(met.at_least(Severity::Warn), Vec::<String>::new());
    let verdict = [Verdict::Pass, Verdict::Pass, Verdict::Pass, Verdict::Inconclusive];
    let names = ["account_balance", "positions", "intraday_bar", "market_status"];
    assert_eq!(verdicts(&met), names.map(String::from).into_iter().zip(verdict).collect::<Vec<_>>());
    let stored = std::fs::read(folder().join("signoff.csv")).unwrap();
    assert_eq!(String::from_utf8(signoff::to_csv(&met.outcome)).unwrap(), String::from_utf8(stored).unwrap());
    assert_eq!(met.outcome.connection.keepalive_frames, u64::from(MINUTES));
}

/// REAL.md's faults, on this application: each is found, and the feature that has it fails.
#[test]
fn what_really_went_wrong_there_is_found() {
    let cases: [(&str, Spoil, Class); 3] = [
        (
            "a value lags",
            |k, text| if k == 20 { text.replace("\"cash\":", "\"cash\":1") } else { text },
            Class::ValueMismatch,
        ),
        (
            "a name of the other version",
            |_, text| text.replace("stock_buying_power", "buying_power"),
            Class::MissingField,
        ),
        (
            "nothing is sent after a while",
            |k, text| if k > 20 { r#"{"type":"pong"}"#.into() } else { text },
            Class::MissingOnWs,
        ),
    ];
    for (what, spoil, class) in cases {
        let met = session(spoil).run();
        assert!(met.count(class) > 0, "{what}: {:?}", met.lines());
        assert_eq!(verdicts(&met)[0].1, Verdict::Fail, "{what}");
    }
}

#[test]
#[ignore = "writes the stored case"]
fn renew() {
    let script = session(|_, text| text);
    let mut out = String::new();
    let mut line = String::new();
    let contract = django();
    let start = Start {
        capture: cutover::capture::VERSION,
        tool: "cutover test".into(),
        contract: contract.recorded_text.clone(),
        contract_sha256: contract.sha256.clone(),
        ..Start::default()
    };
    let first = script.observations();
    let begins = first.first().map(|o| o.at).unwrap();
    let start = Observation { at: begins, event: Event::Start(Box::new(start)) };
    for observation in
        std::iter::once(&start).chain(first.iter().filter(|o| !matches!(o.event, Event::Start(_))))
    {
        line.clear();
        encode(observation, &mut line);
        out.push_str(&line);
        if !line.ends_with('\n') {
            out.push('\n');
        }
    }
    std::fs::write(folder().join("capture.jsonl"), out).unwrap();
    let met = script.run();
    std::fs::write(folder().join("signoff.csv"), signoff::to_csv(&met.outcome)).unwrap();
}
