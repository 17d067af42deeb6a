//! A contract guessed from a session must read that session: it parses, and nothing that fails follows from it.
//! What cannot be guessed must be said.

mod common;

use common::{Told, fold};
use cutover::contract::{Align, Contract, FieldType, Sign, Source, parse};
use cutover::infer::{Inferred, Known, UNSURE, Watched};
use cutover::model::{Event, Observation, Payload, Severity, Span, Timestamp, Verdict};
use cutover::reference::{Simulation, SimulationOptions};
use std::borrow::Cow;
use std::sync::Arc;

/// A session with its bodies rewritten, and without its contract.
fn session(
    options: SimulationOptions,
    rewrite: impl Fn(Option<&str>, &str) -> String,
) -> Vec<Observation<'static>> {
    let mut seen = Vec::new();
    let body = |feature: Option<&str>, payload: &Payload<'_>| -> Payload<'static> {
        match payload {
            Payload::Json { text, binary } => {
                Payload::Json { text: rewrite(feature, text).into(), binary: *binary }
            }
            other => panic!("a clean session has no {other:?}"),
        }
    };
    Simulation::new(options).unwrap().run(
        |Observation { at, event }| {
            let event = match event {
                Event::Start(start) => Event::Start(start.clone()),
                Event::Rest { sent_at, feature, params, status, bytes, payload } => Event::Rest {
                    sent_at: *sent_at,
                    feature: Cow::Owned(feature.to_string()),
                    params: Cow::Owned(params.to_string()),
                    status: *status,
                    bytes: *bytes,
                    payload: body(Some(feature), payload),
                },
                Event::WsOpen { conn } => Event::WsOpen { conn: *conn },
                Event::Ws { conn, bytes, payload } => {
                    Event::Ws { conn: *conn, bytes: *bytes, payload: body(None, payload) }
                }
                Event::WsRtt { conn, micros } => Event::WsRtt { conn: *conn, micros: *micros },
                Event::End { reason } => Event::End { reason: *reason },
                other => panic!("a clean session has no {other:?}"),
            };
            seen.push(Observation { at: *at, event });
        },
        |_| {},
    );
    seen
}

fn options(seed: u64, minutes: i64) -> SimulationOptions {
    let from = Timestamp::parse_rfc3339("2025-12-19T14:30:00Z").unwrap();
    let mut options = SimulationOptions::new(from, Span::from_secs(minutes * 60));
    (options.seed, options.world.seed) = (seed, seed);
    options
}

fn infer(seen: &[Observation<'_>]) -> (Inferred, String) {
    let mut watched = Watched::default();
    seen.iter().for_each(|observation| watched.observe(observation));
    let inferred = watched.infer(&Known { from: "a test".into(), ..Known::default() });
    let text = inferred.contract.clone().unwrap_or_else(|| panic!("nothing paired: {:?}", inferred.unpaired));
    (inferred, text)
}

fn read(text: &str) -> Arc<Contract> {
    let parsed = parse("guessed", text, &|_| None, false);
    Arc::new(
        parsed.unwrap_or_else(|errors| {
            panic!("{}\n{text}", errors.iter().map(|e| e.render()).collect::<String>())
        }),
    )
}

/// Guesses a contract and judges the session by it.
fn judged(seen: &[Observation<'_>]) -> (Arc<Contract>, String, Told) {
    let (_, text) = infer(seen);
    let contract = read(&text);
    let told = fold(&contract, seen, false);
    (contract, text, told)
}

fn failing(told: &Told) -> Vec<String> {
    let failing = told.findings.iter().filter(|finding| finding.severity == Severity::Fail);
    failing
        .map(|f| {
            format!(
                "{} {:?} {} {} {} {}|{} {}",
                f.class, f.feature, f.stream, f.row, f.field, f.rest, f.ws, f.detail
            )
        })
        .collect()
}

fn feature<'c>(contract: &'c Contract, name: &str) -> &'c cutover::contract::Feature {
    contract.features.iter().find(|feature| *feature.name == *name).unwrap_or_else(|| panic!("no {name}"))
}

/// Nothing failing, and as much evidence as the session holds.
fn check_clean(seen: &[Observation<'_>], features: usize) -> (Arc<Contract>, String) {
    let (contract, text, told) = judged(seen);
    assert_eq!(failing(&told), Vec::<String>::new(), "{text}");
    assert_ne!(told.outcome.verdict, Verdict::Fail, "{text}");
    assert_eq!(contract.features.len(), features, "{text}");
    (contract, text)
}

#[test]
fn a_clean_session_is_read_whole() {
    for seed in 1..=2 {
        let seen = session(options(seed, 10), |_, text| text.to_string());
        let (contract, text) = check_clean(&seen, 4);
        let aligns = ["account_balance", "positions", "intraday_bar", "market_status"]
            .map(|name| (feature(&contract, name).align, feature(&contract, name).interval));
        let ten = Span::from_secs(10);
        let expect = [
            (Align::Time, ten),
            (Align::Time, ten),
            (Align::Bucket, Span::from_secs(60)),
            (Align::Arrival, ten),
        ];
        assert_eq!(aligns, expect, "{text}");
        let balance = feature(&contract, "account_balance");
        assert_eq!(balance.ws.records.at.0, ["data"], "{text}");
        assert_eq!(
            (balance.key.as_slice(), balance.time.as_deref()),
            (&["account_id".to_string()][..], Some("timestamp"))
        );
        let kinds = |name: &str| {
            let field = |field: &cutover::contract::Field| (field.name.clone(), field.kind);
            feature(&contract, name).fields.iter().map(field).collect::<Vec<_>>()
        };
        assert!(kinds("account_balance").contains(&("cash".into(), FieldType::Decimal)), "{text}");
        assert!(
            kinds("market_status").contains(&("seconds_to_next_event".into(), FieldType::Countdown)),
            "{text}"
        );
        let rows = feature(&contract, "positions").rows.as_ref().expect(&text);
        assert_eq!((rows.key.as_slice(), rows.fields.len()), (&["symbol".to_string()][..], 5), "{text}");
        assert!(text.contains("ignore_types = [\"heartbeat\"]"), "{text}");
        assert!(text.contains(&format!("{UNSURE}not paired: message type heartbeat")), "{text}");
    }
}

#[test]
fn the_same_observations_give_the_same_contract() {
    let seen = session(options(5, 5), |_, text| text.to_string());
    assert_eq!(infer(&seen), infer(&seen));
}

#[test]
fn sessions_of_other_worlds_are_read_too() {
    let mut thin = options(7, 15);
    thin.world.forming_updates = true;
    thin.world.sparse = 1;
    check_clean(&session(thin, |_, text| text.to_string()), 4);
    let mut live = options(8, 10);
    live.world.live_markets = true;
    check_clean(&session(live, |_, text| text.to_string()), 4);
    let mut one = options(9, 10);
    (one.world.accounts, one.world.symbols, one.world.markets) = (1, 1, 1);
    check_clean(&session(one, |_, text| text.to_string()), 4);
}

#[test]
fn decimal_strings_on_rest_are_decimals() {
    let mut options = options(2, 10);
    options.world.rest_decimal_strings = true;
    let (contract, text) = check_clean(&session(options, |_, text| text.to_string()), 4);
    let cash = feature(&contract, "account_balance").fields.iter().find(|f| f.name == "cash").expect(&text);
    assert_eq!(cash.kind, FieldType::Decimal);
}

/// The members of the stream, as another team would call them.
fn renamed(text: &str) -> String {
    [
        ("\"account_id\"", "\"acct\""),
        ("\"cash\"", "\"settled\""),
        ("\"buying_power\"", "\"bp\""),
        ("\"timestamp_minute\"", "\"t\""),
        ("\"timestamp\"", "\"asof\""),
        ("\"open\"", "\"o\""),
        ("\"high\"", "\"h\""),
        ("\"low\"", "\"l\""),
        ("\"close\"", "\"c\""),
        ("\"volume\"", "\"v\""),
        ("\"positions\":[", "\"holdings\":["),
        ("\"current_price\"", "\"mark\""),
        ("\"pnl\"", "\"unrealized\""),
        ("\"market_id\"", "\"mkt\""),
    ]
    .iter()
    .fold(text.to_string(), |text, (from, to)| text.replace(from, to))
}

#[test]
fn renames_are_found_by_values() {
    let rewrite = |feature: Option<&str>, text: &str| match feature {
        None => renamed(text),
        Some(_) => text.to_string(),
    };
    let (contract, text) = check_clean(&session(options(3, 10), rewrite), 4);
    let source = |name: &str, field: &str| {
        let feature = feature(&contract, name);
        let rows = feature.rows.iter().flat_map(|rows| &rows.fields);
        let field = feature.fields.iter().chain(rows).find(|f| f.name == field);
        match &field.unwrap_or_else(|| panic!("no such field\n{text}")).ws {
            Source::Record(path) => path.join("/"),
            other => panic!("{other:?}"),
        }
    };
    for (name, field, ws) in [
        ("account_balance", "account_id", "acct"),
        ("account_balance", "cash", "settled"),
        ("account_balance", "buying_power", "bp"),
        ("account_balance", "timestamp", "asof"),
        ("positions", "current_price", "mark"),
        ("positions", "pnl", "unrealized"),
        ("intraday_bar", "timestamp_minute", "t"),
        ("intraday_bar", "open", "o"),
        ("intraday_bar", "high", "h"),
        ("intraday_bar", "low", "l"),
        ("intraday_bar", "close", "c"),
        ("intraday_bar", "volume", "v"),
        ("market_status", "market_id", "mkt"),
    ] {
        assert_eq!(source(name, field), ws, "{name} {field}\n{text}");
    }
    assert!(text.contains("renamed, with several values"), "{text}");
    assert_eq!(feature(&contract, "positions").rows.as_ref().expect(&text).at_ws, ["holdings"]);
}

#[test]
fn records_may_be_members_named_by_their_key() {
    let by_id = |feature: Option<&str>, text: &str| {
        let mut body: serde_json::Value = serde_json::from_str(text).unwrap();
        if feature == Some("account_balance") {
            let accounts = body["accounts"].as_array().unwrap().iter();
            let members = accounts.map(|account| {
                let mut account = account.clone();
                let id = account.as_object_mut().unwrap().remove("account_id").unwrap();
                (id.to_string(), account)
            });
            body["accounts"] = serde_json::Value::Object(members.collect());
        }
        body.to_string()
    };
    let (contract, text) = check_clean(&session(options(4, 10), by_id), 4);
    let balance = feature(&contract, "account_balance");
    assert_eq!(balance.rest.records.index.as_deref(), Some("account_id"), "{text}");
    assert_eq!(balance.fields.iter().filter(|f| f.name != "account_id").count(), 4, "{text}");
}

/// The stream writes more places of `cash` than REST shows: these behind its two.
fn cash_with(more: &str) -> (Arc<Contract>, String) {
    let longer = |feature: Option<&str>, text: &str| {
        let Some(start) = text.find("\"cash\":").filter(|_| feature.is_none()) else {
            return text.to_string();
        };
        let end = start + text[start..].find(',').unwrap();
        let (whole, cents) = text[start..end].split_once('.').unwrap_or((&text[start..end], ""));
        format!("{}{whole}.{cents:0<2}{more}{}", &text[..start], &text[end..])
    };
    check_clean(&session(options(6, 10), longer), 4)
}

#[test]
fn what_rest_rounds_is_rounded_or_gets_a_tolerance() {
    let line = |text: &str| text.lines().find(|line| line.starts_with("cash = ")).unwrap().to_string();
    let (_, text) = cash_with("31");
    assert!(line(&text).contains("round = 2") && !line(&text).contains("tolerance"), "{text}");
    assert!(line(&text).contains("when rounded to REST's 2 places, exactly in 0"), "{text}");
    // A tie that REST cuts off is no rounding half to even.
    let (_, text) = cash_with("5");
    assert!(line(&text).contains("tolerance = \"0.005\"") && !line(&text).contains("round = "), "{text}");
    assert!(line(&text).contains("half of the last of REST's 2 places"), "{text}");
}

/// One system of many: what REST and the stream show at each of so many seconds, `None` where one is silent.
fn observed(
    seconds: i64,
    show: impl Fn(i64) -> (Vec<(&'static str, String)>, Vec<String>),
) -> Vec<Observation<'static>> {
    let at = |millis: i64| Timestamp(common::START + millis * 1_000_000);
    let json = |text: String| Payload::Json { text: text.into(), binary: false };
    let start = Event::Start(Box::new(cutover::model::Start { capture: 1, ..Default::default() }));
    let mut seen = vec![
        Observation { at: at(0), event: start },
        Observation { at: at(1), event: Event::WsOpen { conn: 0 } },
    ];
    for second in 1..=seconds {
        let (answers, messages) = show(second);
        for text in messages {
            let event = Event::Ws { conn: 0, bytes: text.len() as u64, payload: json(text) };
            seen.push(Observation { at: at(second * 1000 + 100), event });
        }
        for (feature, text) in answers {
            let event = Event::Rest {
                sent_at: at(second * 1000 + 550),
                feature: feature.into(),
                params: "{}".into(),
                status: 200,
                bytes: text.len() as u64,
                payload: json(text),
            };
            seen.push(Observation { at: at(second * 1000 + 600), event });
        }
    }
    let end = Event::End { reason: cutover::model::EndReason::Done };
    seen.push(Observation { at: at((seconds + 1) * 1000), event: end });
    seen
}

/// A Django application's shapes: decimal strings beside floats, other names, a publish time of its own, lists in
/// an envelope, markets in other words, sent on change only.
#[test]
fn a_real_back_ends_shapes_are_read() {
    let seen = observed(600, |second| {
        // Each ten seconds something changes; REST is asked each five.
        let k = second / 10;
        let stamp = |millis: i64| Timestamp(common::START + second * 1_000_000_000 + millis * 1_000_000);
        let cash = 4_310_603 + k * 177;
        let status = ["OPEN", "CLOSED"][(k / 4 % 2) as usize];
        let spoken = ["open", "closed"][(k / 4 % 2) as usize];
        let mut rest = Vec::new();
        let mut ws = Vec::new();
        if second % 5 == 2 {
            rest.push((
                "balances",
                format!(
                    r#"[{{"account_key":"PAPER-1","currency":"USD","cash":"{}.{:02}","net_liq":"{}.00","buying_power":"{}.50","day_trade_bp":"{}.25","updated_at":"{}"}}]"#,
                    cash / 100, cash % 100, 99_949 + k * 3, 399_796 - k * 7, 88_000 + k * 11, stamp(-40),
                ),
            ));
            rest.push((
                "global-markets",
                format!(
                    r#"[{{"id":1,"key":"tokyo","name":"Tokyo","status":"{status}"}},{{"id":2,"key":"london","name":"London","status":"CLOSED"}}]"#
                ),
            ));
        }
        if second % 10 == 0 {
            ws.push(format!(
                r#"{{"type":"balances","data":{{"broker":"PAPER","account_key":"PAPER-1","net_liq":{}.0,"cash":{}.{:02},"stock_buying_power":{}.5,"day_trading_buying_power":{}.25,"updated_at":"{}","type":"balances"}}}}"#,
                99_949 + k * 3, cash / 100, cash % 100, 399_796 - k * 7, 88_000 + k * 11, stamp(3),
            ));
        }
        if second % 40 == 0 {
            ws.push(format!(
                r#"{{"type":"global_markets_tick","data":{{"server_time_utc":"{}","markets":[{{"key":"tokyo","name":"Tokyo","status":"{spoken}"}},{{"key":"london","name":"London","status":"closed"}}]}}}}"#,
                stamp(0),
            ));
        }
        if second % 15 == 0 {
            ws.push(r#"{"type":"pong","timestamp":1}"#.into());
        }
        (rest, ws)
    });
    let (contract, text) = check_clean(&seen, 2);
    let source = |name: &str, field: &str| {
        let found = feature(&contract, name).fields.iter().find(|f| f.name == field);
        found.unwrap_or_else(|| panic!("no {field}\n{text}")).ws.clone()
    };
    let member = |name: &str| Source::Record(vec![name.into()]);
    assert_eq!(source("balances", "buying_power"), member("stock_buying_power"), "{text}");
    assert_eq!(source("balances", "day_trade_bp"), member("day_trading_buying_power"), "{text}");
    assert_eq!(feature(&contract, "balances").key, ["account_key"], "{text}");
    let stamp = feature(&contract, "balances").fields.iter().find(|f| f.name == "updated_at").expect(&text);
    assert!(!stamp.compare, "{text}");
    assert_eq!(feature(&contract, "global-markets").key, ["key"], "{text}");
    assert_eq!(feature(&contract, "global-markets").ws.records.at.0, ["data", "markets"], "{text}");
    assert!(text.contains(r#"map = { ws = { closed = "CLOSED", open = "OPEN" } }"#), "{text}");
    assert!(text.contains("# currency = { type = \"string\", ws = false }   # only REST has it"), "{text}");
    assert!(text.contains("ignore_types = [\"pong\"]"), "{text}");
}

/// What stands around a list is part of its records' names; a schedule is no event time, and one number that never
/// moves is no feature.
#[test]
fn what_only_looks_like_a_name_or_a_time_is_none() {
    let seen = observed(300, |second| {
        let k = second / 5;
        let (mut rest, mut ws) = (Vec::new(), Vec::new());
        // Each market changes when its own time has come, and then names its next one.
        let market =
            |every: i64| (["OPEN", "CLOSED"][(second / every % 2) as usize], (second / every + 1) * every);
        let stamp = |at: i64| Timestamp(common::START + at * 1_000_000_000);
        let [(tokyo, t), (london, l)] = [market(37), market(53)];
        let markets = format!(
            r#"[{{"key":"tokyo","status":"{tokyo}","next_transition_utc":"{}"}},{{"key":"london","status":"{london}","next_transition_utc":"{}"}}]"#,
            stamp(t),
            stamp(l)
        );
        let held = |account: &str| {
            let row = |symbol: &str, each: i64| {
                let (held, value) = (7 + k % each, 1_694 + k * each);
                format!(r#"{{{account}"symbol":"{symbol}","quantity":"{held}","market_value":"{value}.25"}}"#)
            };
            [row("TSLA", 3), row("AAPL", 4)].join(",")
        };
        if second % 3 == 0 {
            let rows = held(r#""account_key":"P-1","#);
            rest.push(("positions", format!(r#"{{"positions":[{rows}]}}"#)));
            rest.push(("markets", markets.clone()));
            rest.push(("session", format!(r#"{{"latest":{{"open":{k}.5,"spread":0.5}}}}"#)));
        }
        if second % 5 == 0 {
            let list = format!(r#"{{"account_key":"P-1","positions":[{}]}}"#, held(""));
            ws.push(format!(r#"{{"type":"positions","data":{list}}}"#));
            ws.push(format!(r#"{{"type":"intraday_bar","data":{{"o":{}.25,"spread":0.5}}}}"#, k * 2));
        }
        if second % 37 == 0 || second % 53 == 0 {
            ws.push(format!(r#"{{"type":"markets","data":{{"markets":{markets}}}}}"#));
        }
        (rest, ws)
    });
    let (contract, text) = check_clean(&seen, 2);
    let positions = feature(&contract, "positions");
    assert_eq!(positions.key, ["symbol", "account_key"], "{text}");
    let account = positions.fields.iter().find(|f| f.name == "account_key").expect(&text);
    assert!(matches!(&account.ws, Source::Root(at) if at.0 == ["data", "account_key"]), "{text}");
    let markets = feature(&contract, "markets");
    assert_eq!((markets.align, markets.time.as_deref()), (Align::Arrival, None), "{text}");
    assert!(text.contains("not paired: REST session"), "{text}");
}

/// Bars that the stream tells while they form, and of which REST shows the latest closed one, without its time.
#[test]
fn the_latest_closed_bar_is_known_by_its_values() {
    let session = |wrong: &'static str| {
        observed(300, move |second| {
            let stamp = |at: i64| Timestamp(common::START + at * 1_000_000_000);
            // Ten seconds a bar; what it says grows until its end.
            let bar = |start: i64, upto: i64| {
                let (open, volume) = (4_500 + start * 3, (upto - start) * 7 + start);
                (open, open + volume % 11, volume)
            };
            let (mut rest, mut ws) = (Vec::new(), Vec::new());
            if second % 2 == 0 {
                let start = second / 10 * 10;
                let (o, c, v) = bar(start, second);
                ws.push(format!(
                    r#"{{"type":"intraday_bar","data":{{"symbol":"/ES","t":"{}","o":{o}.25,"c":{c}.5,"v":{v}.0}}}}"#,
                    stamp(start)
                ));
            }
            // A flush shows a bar four seconds after its end.
            let start = (second - 4) / 10 * 10 - 10;
            if second % 2 == 1 && start >= 0 {
                let (o, c, v) = bar(start, start + 8);
                let c = if start == 200 { format!("{c}{wrong}") } else { c.to_string() };
                rest.push((
                    "session",
                    format!(
                        r#"{{"intraday_latest":{{"symbol":"/ES","open":{o}.25,"close":{c}.5,"volume":{v}}}}}"#
                    ),
                ));
            }
            (rest, ws)
        })
    };
    let (contract, text) = check_clean(&session(""), 1);
    assert!(text.contains("shows = \"latest-closed\", within = "), "{text}");
    assert!(text.lines().any(|line| line.contains("shows = ") && line.contains(UNSURE)), "{text}");
    let bars = feature(&contract, "session");
    assert_eq!((bars.align, bars.time.as_deref()), (Align::Bucket, Some("t")), "{text}");
    let told = fold(&contract, &session(""), false);
    let values = |told: &Told| {
        told.outcome.features[0].checks.iter().find(|check| check.check == "values-match").unwrap().verdict
    };
    assert_eq!(values(&told), Some(Verdict::Pass), "{text}");
    assert_eq!(values(&fold(&contract, &session("7"), false)), Some(Verdict::Fail), "{text}");
}

#[test]
fn a_true_disagreement_is_marked_and_still_compared() {
    let wrong = |feature: Option<&str>, text: &str| match feature {
        Some(_) => text.to_string(),
        None => text.replace("\"buying_power\":", "\"buying_power\":7"),
    };
    let seen = session(options(1, 10), wrong);
    let (contract, text, told) = judged(&seen);
    let field =
        feature(&contract, "account_balance").fields.iter().find(|f| f.name == "buying_power").expect(&text);
    assert!(field.compare, "{text}");
    assert!(text.lines().any(|line| line.starts_with("buying_power") && line.contains(UNSURE)), "{text}");
    assert!(
        failing(&told).iter().all(|line| line.starts_with("value_mismatch") && line.contains("buying_power"))
    );
    assert!(!failing(&told).is_empty());
}

#[test]
fn what_stands_alone_is_listed() {
    let rewrite = |feature: Option<&str>, text: &str| match feature {
        Some("account_balance") => text.replace("\"cash\"", "\"pl_percent\":1.5,\"cash\""),
        Some("positions") => r#"{"nothing":"to see"}"#.to_string(),
        _ => text.to_string(),
    };
    let seen = session(options(1, 5), rewrite);
    let (inferred, text) = infer(&seen);
    assert_eq!(inferred.paired.len(), 3, "{text}");
    assert!(
        text.contains(
            "# pl_percent = { type = \"decimal\", ws = false }   # only REST has it, e.g. 1.5: lost"
        ),
        "{text}"
    );
    for alone in ["not paired: REST positions", "not paired: message type positions"] {
        assert!(
            text.lines().any(|line| line.starts_with("# UNSURE: ") && line.contains(alone)),
            "{alone}\n{text}"
        );
    }
    assert_eq!(inferred.unsure, text.matches(UNSURE).count());
    assert!(text.contains(&format!("Marked unsure, {} times", inferred.unsure)), "{text}");
}

#[test]
fn from_too_little_nothing_is_claimed() {
    let seen = session(options(1, 10), |_, text| text.to_string());
    for count in [0, 1, 5] {
        let mut watched = Watched::default();
        seen.iter().take(count).for_each(|observation| watched.observe(observation));
        let inferred = watched.infer(&Known::default());
        assert_eq!(inferred.contract, None, "{count}");
    }
    let rest_alone: Vec<_> =
        seen.into_iter().filter(|seen| !matches!(seen.event, Event::Ws { .. })).collect();
    let mut watched = Watched::default();
    rest_alone.iter().for_each(|observation| watched.observe(observation));
    let inferred = watched.infer(&Known::default());
    assert_eq!((inferred.contract, inferred.unpaired.len()), (None, 4));
}

#[test]
fn hostile_names_and_values_leave_a_contract_that_parses() {
    let names =
        ["a\nb", "x = 1 # y", "${HOME}", "$ref", "@who", "'q", "a/b~c", "", "k,=", "ü\u{7f}\u{202e}", "\"\\"];
    let seen = observed(120, |second| {
        let members = |shift: i64| {
            let member = |(i, name): (usize, &&str)| {
                let name = serde_json::Value::from(*name);
                format!("{name}:{}.{}", second / 5 * 7 + i as i64 * 1000, shift)
            };
            names.iter().enumerate().map(member).collect::<Vec<_>>().join(",")
        };
        let alone = serde_json::Value::from("evil\n[[feature]] {unsure} UNSURE: \u{7f}");
        let rest = format!(
            r#"{{"items":[{{"id":"\n${{X}}","only":{alone},{}}},{{"id":"b'","only":1,{}}}]}}"#,
            members(1),
            members(2)
        );
        let ws =
            |id: &str, shift| format!(r#"{{"type":"t\n${{Y}}","data":{{"id":"{id}",{}}}}}"#, members(shift));
        let other = |id: &str, shift| ws(id, shift).replace(r"t\n${Y}", r#"t\" \n}"#);
        let pushed = vec![ws(r"\n${X}", 1), other(r"\n${X}", 1), other("b'", 2)];
        (vec![("items", rest)], if second % 5 == 0 { pushed } else { Vec::new() })
    });
    let (inferred, text) = infer(&seen);
    let contract = read(&text);
    assert_eq!(contract.features.len(), 1, "{text}");
    assert_eq!(contract.features[0].ws.signs, [Sign::Says { at: None, text: "t\" \n}".into() }]);
    assert!(inferred.unpaired.is_empty(), "{:?}", inferred.unpaired);
    assert!(text.contains("messages have no type"), "{text}");
    assert!(text.lines().all(|line| !line.starts_with("[[feature]] {")), "{text}");
}
