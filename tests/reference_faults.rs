//! What each fault of the reference world looks like from outside, by an outside reader: serde_json
//! over the simulated session, nothing of the crate's own knowledge.

use cutover::model::{Event, Payload, Span, Timestamp};
use cutover::reference::{Fault, Simulation, SimulationOptions, TruthEntry};
use serde_json::Value;

struct Session {
    /// Arrival, and the message unless it was no JSON.
    ws: Vec<(Timestamp, Option<Value>)>,
    /// Arrival, feature, body.
    rest: Vec<(Timestamp, String, Value)>,
    truth: Vec<TruthEntry>,
}

fn session(fault: &str) -> Session {
    session_with(fault, |_| {})
}

fn session_with(fault: &str, change: impl Fn(&mut SimulationOptions)) -> Session {
    let from = Timestamp::parse_rfc3339("2025-12-19T14:30:00.250Z").unwrap();
    let mut options = SimulationOptions::new(from, Span::from_secs(1800));
    options.faults =
        fault.split_whitespace().map(|text| Fault::parse(text).unwrap_or_else(|e| panic!("{e}"))).collect();
    change(&mut options);
    let mut session = Session { ws: Vec::new(), rest: Vec::new(), truth: Vec::new() };
    Simulation::new(options).unwrap().run(
        |observation| match &observation.event {
            Event::Ws { payload: Payload::Json { text, .. }, .. } => {
                session.ws.push((observation.at, Some(serde_json::from_str(text).unwrap())));
            }
            Event::Ws { .. } => session.ws.push((observation.at, None)),
            Event::Rest { payload: Payload::Json { text, .. }, feature, .. } => {
                let body = serde_json::from_str(text).unwrap();
                session.rest.push((observation.at, feature.to_string(), body));
            }
            _ => {}
        },
        |entry| session.truth.push(entry.clone()),
    );
    session
}

impl Session {
    /// Arrivals and records of one stream, which is found by a member's value.
    fn stream(&self, kind: &str, member: &str, value: impl Into<Value>) -> Vec<(Timestamp, &Value)> {
        let value = value.into();
        self.ws
            .iter()
            .filter_map(|(at, message)| Some((*at, message.as_ref()?)))
            .filter(|(_, message)| message["type"] == kind && message["data"][member] == value)
            .map(|(at, message)| (at, &message["data"]))
            .collect()
    }

    fn records(&self, kind: &str) -> Vec<&Value> {
        let messages = self.ws.iter().filter_map(|(_, message)| message.as_ref());
        messages.filter(|message| message["type"] == kind).map(|message| &message["data"]).collect()
    }

    fn bodies(&self, feature: &str) -> Vec<(Timestamp, &Value)> {
        self.rest.iter().filter(|(_, name, _)| name == feature).map(|(at, _, body)| (*at, body)).collect()
    }
}

fn time(record: &Value) -> Timestamp {
    Timestamp::parse_rfc3339(record["timestamp"].as_str().unwrap()).unwrap()
}

fn cents(value: &Value) -> i64 {
    (value.as_f64().unwrap() * 100.0).round() as i64
}

fn sum_holds(row: &Value) -> bool {
    let gain = cents(&row["current_price"]) - cents(&row["entry_price"]);
    gain * row["quantity"].as_i64().unwrap() == cents(&row["pnl"])
}

#[test]
fn a_clean_session_has_nothing_of_all_this() {
    let clean = session("");
    assert!(clean.truth.is_empty());
    let stream = clean.stream("account_balance", "account_id", 123);
    assert_eq!(stream.len(), 180);
    for pair in stream.windows(2) {
        assert_eq!(time(pair[1].1) - time(pair[0].1), Span::from_secs(10));
        assert_ne!(pair[0].1["cash"], pair[1].1["cash"]);
    }
    for record in clean.records("positions") {
        assert!(record["positions"].as_array().unwrap().iter().all(sum_holds));
    }
    for record in clean.records("intraday_bar") {
        let [open, high, low, close] = ["open", "high", "low", "close"].map(|name| cents(&record[name]));
        assert!(low <= open.min(close) && open.max(close) <= high);
    }
}

#[test]
fn fields_are_left_out_nulled_and_spoilt() {
    type Looks = fn(&Value) -> bool;
    let table: [(&str, &str, Looks); 10] = [
        ("missing_field:field=cash", "account_balance", |r| r.get("cash").is_none()),
        ("missing_field:field=account_id,feature=account_balance", "account_balance", |r| {
            r.get("account_id").is_none()
        }),
        ("null_field:feature=market_status", "market_status", |r| r["status"].is_null()),
        ("wrong_type:field=volume", "intraday_bar", |r| r["volume"] == "n/a"),
        ("bad_value", "market_status", |r| r["status"] == "HALTED"),
        ("type_differs:field=cash", "account_balance", |r| r["cash"].is_string()),
        ("unexpected_field:feature=intraday_bar", "intraday_bar", |r| r["debug"] == 1),
        ("missing_row", "positions", |r| r["positions"].as_array().unwrap().len() == 2),
        ("extra_row", "positions", |r| r["positions"].as_array().unwrap().len() == 4),
        ("unknown_stream:feature=positions", "positions", |r| r["account_id"] == 999_001),
    ];
    for (fault, kind, looks) in table {
        let session = session(fault);
        let struck = session.records(kind).into_iter().filter(|record| looks(record)).count();
        // The last one may still be on its way when the session ends.
        assert!(struck >= 10 && session.truth.len() - struck <= 1, "{fault}: {struck} struck");
    }
}

#[test]
fn a_status_stays_wrong_for_its_episode() {
    let struck = session("value_mismatch:feature=market_status,stream=market_id=2,at=100s");
    let clean = session("");
    let differs = |at: usize| {
        struck.stream("market_status", "market_id", 2)[at].1["status"]
            != clean.stream("market_status", "market_id", 2)[at].1["status"]
    };
    let wrong: Vec<usize> = (0..180).filter(|at| differs(*at)).collect();
    assert_eq!(wrong.len(), 4, "{wrong:?}");
    assert_eq!(wrong[3] - wrong[0], 3);
    assert_eq!(struck.truth.len(), 1);
}

#[test]
fn messages_go_missing_twice_late_and_backwards() {
    let count = session("").ws.len();
    let gap = session("gap:rate=5%");
    assert_eq!(gap.ws.len() + gap.truth.len(), count);
    let malformed = session("malformed:rate=5%");
    let broken = malformed.ws.iter().filter(|(_, message)| message.is_none()).count();
    assert_eq!((broken, malformed.ws.len()), (malformed.truth.len(), count));
    let twice = session("duplicate:feature=account_balance");
    assert_eq!(twice.ws.len(), count + twice.truth.len());
    let unknown = session("unknown_type:feature=account_balance");
    assert_eq!(unknown.ws.len(), count + unknown.truth.len());

    let late = session("late:stream=account_id=123,feature=account_balance,every=9");
    let stream = late.stream("account_balance", "account_id", 123);
    let lags = stream.iter().filter(|(at, record)| *at - time(record) > Span::from_secs(2)).count();
    assert_eq!(lags, late.truth.len());
    assert!(lags > 15);

    let back = session("out_of_order:feature=positions");
    let steps: usize = [123, 234, 345]
        .map(|account| {
            let stream = back.stream("positions", "account_id", account);
            stream.windows(2).filter(|pair| time(pair[1].1) < time(pair[0].1)).count()
        })
        .iter()
        .sum();
    assert_eq!(steps, back.truth.len());
    assert!(steps > 10);
}

#[test]
fn a_frozen_stream_repeats_itself_while_rest_goes_on() {
    let frozen = session("frozen:feature=account_balance,stream=234,at=300s");
    let stream = frozen.stream("account_balance", "account_id", 234);
    let repeats = stream.windows(2).filter(|pair| pair[0].1 == pair[1].1).count();
    assert_eq!(repeats, 5);
    assert_eq!(frozen.truth.len(), 1);
}

#[test]
fn the_pace_of_one_feature_alone_changes_on_both_feeds() {
    let drift = session("interval_drift:feature=positions,by=5%");
    let stream = drift.stream("positions", "account_id", 123);
    for pair in stream.windows(2) {
        assert_eq!(time(pair[1].1) - time(pair[0].1), Span::from_millis(10_500));
    }
    let other = drift.stream("account_balance", "account_id", 123);
    assert!(other.windows(2).all(|pair| time(pair[1].1) - time(pair[0].1) == Span::from_secs(10)));
    let sent: Vec<&Value> = stream.iter().map(|(_, record)| *record).collect();
    for (_, body) in drift.bodies("positions").iter().skip(3) {
        let shown = &body["accounts"][0];
        assert!(sent.contains(&shown) || time(shown) > time(sent[sent.len() - 1]), "{shown}");
    }
    assert_eq!(drift.truth.len(), 3);

    let jitter = session("jitter:feature=account_balance");
    let stream = jitter.stream("account_balance", "account_id", 123);
    let off: Vec<i64> =
        stream.windows(2).map(|p| (time(p[1].1) - time(p[0].1)).0 / 1_000_000 - 10_000).collect();
    assert!(off.iter().all(|ms| (2_000..=4_000).contains(&ms.abs())), "{off:?}");
}

#[test]
fn what_is_wrong_on_both_feeds_is_wrong_alike() {
    let invariant = session("invariant");
    let rows_hold = |record: &&&Value| record["positions"].as_array().unwrap().iter().all(sum_holds);
    let records = invariant.records("positions");
    let wrong: Vec<_> = records.iter().filter(|record| !rows_hold(record)).collect();
    assert!(wrong.len() > 10 && invariant.truth.len() - wrong.len() <= 1);
    let bodies = invariant.bodies("positions");
    let shown_by_rest = |record: &&&&Value| {
        bodies.iter().any(|(_, body)| body["accounts"].as_array().unwrap().contains(record))
    };
    // A poll each ten seconds sees each version of ten seconds, but for the luck of the edges.
    let shown = wrong.iter().filter(shown_by_rest).count();
    assert!(shown * 10 >= wrong.len() * 9, "{shown} of {}", wrong.len());

    let revision = session("revision:stream=SPY,at=200s");
    assert_eq!(revision.truth.len(), 1);
    let minute = revision.truth[0].event_time.unwrap().to_string();
    let bars = revision.stream("intraday_bar", "symbol", "SPY");
    let mut volumes: Vec<i64> = bars
        .iter()
        .filter(|(_, bar)| bar["timestamp_minute"] == *minute)
        .map(|(_, bar)| bar["volume"].as_i64().unwrap())
        .collect();
    assert_eq!(volumes.len(), 2);
    assert!(volumes[0] != volumes[1]);
    let last = volumes.pop().unwrap();
    let shown = revision.bodies("intraday_bar").into_iter().flat_map(|(_, b)| b["bars"].as_array().unwrap());
    let mut of_minute = shown.filter(|bar| bar["timestamp_minute"] == *minute && bar["symbol"] == "SPY");
    assert_eq!(of_minute.next_back().unwrap()["volume"], last);
}

#[test]
fn rest_lags_well_inside_the_life_of_a_version() {
    for (feature, seed) in [("account_balance", 1), ("positions", 1), ("positions", 2), ("positions", 3)] {
        let stale = session_with(&format!("rest_stale:feature={feature}"), |options| options.seed = seed);
        assert!(stale.truth.len() > 10, "{feature} {seed}");
        let mut lagging = 0;
        for (at, body) in stale.bodies(feature) {
            for record in body["accounts"].as_array().unwrap() {
                let newest = stale
                    .stream(feature, "account_id", record["account_id"].clone())
                    .into_iter()
                    .take_while(|(sent, _)| *sent < at)
                    .last();
                let Some((arrived, newest)) = newest.filter(|(_, newest)| time(newest) > time(record)) else {
                    continue;
                };
                // A lag of the network is no lag.
                if at - arrived > Span::from_secs(3) {
                    lagging += 1;
                    assert!(stale.truth.iter().any(|t| t.event_time == Some(time(record))), "{newest}");
                }
            }
        }
        assert!(stale.truth.len() - lagging <= 1, "{feature} {seed}: {lagging} of {}", stale.truth.len());
    }
}

#[test]
fn rest_mixes_states_of_two_versions() {
    let torn = session("torn_read");
    assert!(torn.truth.len() > 10, "{}", torn.truth.len());
    for entry in &torn.truth {
        assert_eq!((entry.feature, entry.field), ("market_status", "status"));
    }
}

#[test]
fn thin_symbols_skip_the_same_minutes_on_both_feeds() {
    let thin = session_with("", |options| {
        options.world.sparse = 2;
        options.world.forming_updates = true;
        options.world.rest_decimal_strings = true;
    });
    let closed = |symbol: &str| {
        let mut minutes: Vec<String> = thin
            .stream("intraday_bar", "symbol", symbol)
            .iter()
            .map(|(_, bar)| bar["timestamp_minute"].as_str().unwrap().to_owned())
            .collect();
        minutes.dedup();
        minutes
    };
    assert!(closed("SPY").len() >= 30);
    let skipping = closed("QQQ");
    assert!((8..25).contains(&skipping.len()), "{skipping:?}");
    let (_, body) = thin.bodies("intraday_bar")[1000];
    for bar in body["bars"].as_array().unwrap().iter().filter(|bar| bar["symbol"] == "QQQ") {
        assert!(skipping.contains(&bar["timestamp_minute"].as_str().unwrap().to_owned()));
        assert!(bar["close"].is_string());
    }
}
