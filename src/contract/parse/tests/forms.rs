//! Contracts that are right, and what they are read as.

use super::*;
use crate::calendar::MarketState;
use crate::contract::{Align, Cadence, Forming, Keepalive, Pointer, Sign, Source, Tolerance, builtin};
use crate::model::{Class, Timestamp};

#[test]
fn the_built_in_contract_is_what_the_specification_says() {
    let contract = builtin::builtin(&|_| None).unwrap();
    assert_eq!(contract.rest.base_url, "http://127.0.0.1:8787");
    assert_eq!(contract.rest.timeout, Span::from_secs(5));
    assert_eq!((contract.rest.max_body, contract.rest.max_in_flight), (16 << 20, 8));
    assert_eq!((contract.ws.max_message, contract.ws.type_at.0.join("/")), (4 << 20, "type".into()));
    let ignored = ["heartbeat", "pong"].map(|text| Sign::Says { at: None, text: text.into() });
    assert_eq!(contract.ws.ignored, ignored);
    assert_eq!(
        (contract.ws.reconnect_first, contract.ws.reconnect_most),
        (Span::from_secs(1), Span::from_secs(30))
    );
    assert_eq!(contract.settle, Span::from_secs(2));
    let matches = |line: &str| {
        contract.logs.errors.iter().any(|pattern| regex_lite::Regex::new(pattern).unwrap().is_match(line))
    };
    assert!(
        matches("WebSocket closed with 1006") && matches("ERROR in wss://h/ws") && !matches("websocket open")
    );
    let names: Vec<&str> = contract.features.iter().map(|feature| feature.name.as_ref()).collect();
    assert_eq!(names, ["account_balance", "positions", "intraday_bar", "market_status"]);
    let [balance, positions, bars, status] = &contract.features[..] else { panic!() };
    assert_eq!(balance.flag, "WS_FEATURE_ACCOUNT_BALANCE");
    assert_eq!((balance.align, balance.cadence), (Align::Time, Cadence::Periodic));
    assert_eq!((balance.time_tolerance, balance.max_delay), (Span::from_secs(1), Span::from_secs(2)));
    let fields: Vec<&str> = balance.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(fields, ["account_id", "account_number", "cash", "buying_power", "timestamp"]);
    assert_eq!(balance.fields[2].tolerance, Tolerance::Absolute("0.005".parse().unwrap()));
    let rows = positions.rows.as_ref().unwrap();
    assert_eq!(
        (rows.at_rest.as_slice(), rows.at_ws.as_slice()),
        (&["positions".into()][..], &["positions".into()][..])
    );
    assert_eq!((rows.key.as_slice(), rows.fields.len()), (&["symbol".to_string()][..], 5));
    assert!(positions.invariants[0].on_rows);
    assert_eq!((bars.interval, bars.rest.poll), (Span::from_secs(60), Span::from_secs(1)));
    assert_eq!(bars.time_tolerance, Span::from_secs(1));
    let forming: Vec<Forming> = bars.fields[3..].iter().map(|field| field.forming).collect();
    assert_eq!(forming, [Forming::Fixed, Forming::Grows, Forming::Shrinks, Forming::Final, Forming::Grows]);
    assert_eq!(bars.invariants.len(), 4);
    assert_eq!((status.time.as_deref(), status.fields[2].values.len()), (None, 5));
    assert_eq!(status.fields[3].tolerance, Tolerance::Time(Span::from_secs(2)));
    assert_eq!(contract.recorded_text, BUILTIN, "it holds no credentials");
    assert_eq!(contract.sha256, sha256(BUILTIN));
    assert_eq!(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn every_other_key_is_read() {
    let contract = good(
        "ignore_types = [\"heartbeat\", \"pong\"]",
        r#"subscribe = ['{"op":"subscribe"}', "x"]
keepalive = { every = "20s", send = "ping" }
max_message = "1 MiB"
reconnect = { first = "2s", most = "1m" }"#,
    );
    assert_eq!(contract.ws.subscribe.len(), 2);
    let twenty = Span::from_secs(20);
    assert_eq!(
        contract.ws.keepalive,
        Some(Keepalive { every: twenty, send: Some("ping".into()), timeout: twenty })
    );
    assert_eq!((contract.ws.max_message, contract.ws.reconnect_most), (1 << 20, Span::from_secs(60)));

    let contract = good(
        "base_url = \"http://127.0.0.1:8787\"",
        "base_url = \"https://h/api/\"\nca = \"ca.pem\"\nclient_cert = \"c\"\nclient_key = \"k\"\nmax_body = 1000\nmax_in_flight = 2",
    );
    assert_eq!(contract.rest.base_url, "https://h/api");
    assert_eq!(
        (contract.rest.tls.ca.as_deref(), contract.rest.max_body, contract.rest.max_in_flight),
        (Some("ca.pem"), 1000, 2)
    );

    let contract = good(
        "align    = \"bucket\"",
        "align = \"bucket\"\nrevise_for = \"5s\"\nmax_delay = \"3s\"\nzone = \"America/New_York\"\ncadence = \"on-change\"",
    );
    let bars = &contract.features[2];
    assert_eq!(
        (bars.revise_for, bars.max_delay, bars.cadence),
        (Span::from_secs(5), Span::from_secs(3), Cadence::OnChange)
    );
    assert_eq!(bars.fields[2].zone, chrono_tz::America::New_York);

    let contract = good(
        SETTLE,
        "settle = \"1s\"\ntime_tolerance = \"300ms\"\n[checks.interval-match]\ndrift = \"1 %\"\n[checks.sessions-covered]\nsessions = 3\n",
    );
    assert!(contract.features.iter().all(|feature| feature.time_tolerance == Span::from_millis(300)));
    assert!(
        contract.features.iter().all(|feature| feature.limits.drift == 0.01 && feature.limits.sessions == 3)
    );
    let contract = good(
        "[feature.fields]",
        "[feature.checks.interval-match]\njitter = 0.3\nmin_ticks = 9\n[feature.checks.required-fields]\nmin_messages = 7\nstrict_types = true\n[feature.fields]",
    );
    let limits = &contract.features[0].limits;
    assert_eq!(
        (limits.jitter, limits.min_ticks, limits.min_required_messages, limits.min_messages),
        (0.3, 9, 7, 3)
    );
    assert!(limits.strict_types && !contract.features[1].limits.strict_types);

    let contract =
        good("version = 1", "version = 1\nredact = [\"account_number\"]\nreviewers = [\"ann\", \"bob\"]");
    assert_eq!((contract.redact.len(), contract.reviewers.len()), (1, 2));
    let contract = good(
        SETTLE,
        "settle = \"2s\"\n[logs]\nsources = { prod = \"a.log\", web = \"b.log\" }\nerrors = [\"x+\"]\n[[waiver]]\nfeature = \"positions\"\nclass = \"gap\"\nfield = \"pnl\"\nreason = \"r\"\nowner = \"o\"\nuntil = 2026-12-31\n[[waiver]]\nfeature = \"positions\"\nreason = \"r\"\nowner = \"o\"\nuntil = \"1970-01-02\"\n",
    );
    assert_eq!((contract.logs.sources.len(), contract.logs.errors.as_slice()), (2, &["x+".to_string()][..]));
    assert_eq!((contract.waivers[0].class, contract.waivers[0].field.as_str()), (Some(Class::Gap), "pnl"));
    assert_eq!((contract.waivers[1].class, contract.waivers[1].until_day), (None, 1));
}

#[test]
fn sources_types_and_tolerances_are_read() {
    let path = |parts: &[&str]| Source::Record(parts.iter().map(|part| part.to_string()).collect());
    for (to, rest, ws) in [
        ("{ type = \"decimal\" }", path(&["cash"]), path(&["cash"])),
        ("{ type = \"decimal\", rest = \"a/b~1c/0\", ws = false }", path(&["a", "b/c", "0"]), Source::Absent),
        (
            "{ type = \"decimal\", ws = \"$/x/y\" }",
            path(&["cash"]),
            Source::Root(Pointer(vec!["x".into(), "y".into()])),
        ),
        ("{ type = \"decimal\", ws = \"'5e4'\" }", path(&["cash"]), Source::Constant("5e4".into())),
        ("{ type = \"string\", rest = \"''\" }", Source::Constant("".into()), path(&["cash"])),
    ] {
        let contract = good(CASH, &format!("cash = {to}"));
        assert_eq!((&field(&contract, "cash").rest, &field(&contract, "cash").ws), (&rest, &ws), "{to}");
    }
    let relative = Tolerance::Relative("0.0001".parse().unwrap());
    for (to, tolerance) in [
        ("{ type = \"decimal\", tolerance = \"0.01%\" }", relative.clone()),
        ("{ type = \"decimal\", tolerance = \" 0.010 % \" }", relative),
        ("{ type = \"decimal\", tolerance = 0.5 }", Tolerance::Absolute("0.5".parse().unwrap())),
        ("{ type = \"integer\", tolerance = 1 }", Tolerance::Absolute("1".parse().unwrap())),
        ("{ type = \"integer\", tolerance = \"0\" }", Tolerance::Exact),
        ("{ type = \"timestamp\", tolerance = \"500ms\" }", Tolerance::Time(Span::from_millis(500))),
        ("{ type = \"boolean\", optional = true, static = true }", Tolerance::Exact),
    ] {
        assert_eq!(field(&good(CASH, &format!("cash = {to}")), "cash").tolerance, tolerance, "{to}");
    }
    let text = edited(BALANCE_REST, "rest = { path = \"/b\", poll = \"1s\", each = { n = [\"x\"] } }");
    let text = text.replacen(CASH, "cash = { type = \"string\", rest = \"@n\" }", 1);
    assert_eq!(field(&read(&text).unwrap(), "cash").rest, Source::Param("n".into()));
    let contract = good(BALANCE_REST, "rest = { path = \"/b\", poll = \"1s\", index = \"account_id\" }");
    assert_eq!(contract.features[0].rest.records.index.as_deref(), Some("account_id"));
}

#[test]
fn tables_may_be_written_in_any_form() {
    let dotted = "rest.path = \"/api/balances\"\nrest.poll = \"10s\"\nrest.records = \"/accounts\"";
    let tables = "[feature.rest]\npath = \"/api/balances\"\npoll = \"10s\"\nrecords = \"/accounts\"\n[feature.ws]\ntype = \"account_balance\"\nrecords = \"/data\"";
    let plain = read(BUILTIN).unwrap();
    assert_eq!(good(BALANCE_REST, dotted).features, plain.features);
    let text = edited(BALANCE_REST, "").replacen(BALANCE_WS, tables, 1);
    assert_eq!(read(&text).unwrap().features, plain.features);
    assert_eq!(read(&BUILTIN.replace('\n', "\r\n")).unwrap().features, plain.features);
    assert_eq!(read(&format!("\u{feff}{BUILTIN}")).unwrap().features, plain.features);
    check(BALANCE_REST, "rest.path = \"/api/balances\"", &["`poll` is lacking in `rest`"]);
    let contract = good("at  = \"positions\"", "at = { rest = \"a/items\", ws = \"positions\" }");
    assert_eq!(contract.features[1].rows.as_ref().unwrap().at_rest, ["a", "items"]);
}

#[test]
fn own_calendars() {
    let own = "calendar = \"MINE\"\n[calendar.MINE]\nextends = \"XNYS\"\nadd_closed = [\"2025-06-13\", 2025-06-16]\nadd_special = { 2025-06-17 = [\"10:00-11:00\"] }\nremove = [\"2025-01-09\"]\n[calendar.NEXT]\nextends = \"MINE\"\ncovered = [\"2025-01-01\", \"2025-12-31\"]";
    let contract = good("calendar = \"24/7\"", own);
    let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
    for (t, state) in [
        ("2025-06-13T16:00:00Z", MarketState::Closed),
        ("2025-06-16T16:00:00Z", MarketState::Closed),
        ("2025-06-17T14:30:00Z", MarketState::Open),
        ("2025-06-17T16:00:00Z", MarketState::Closed),
        ("2025-01-09T16:00:00Z", MarketState::Open),
    ] {
        assert_eq!(contract.features[0].calendar.state_at(at(t)), state, "{t}");
    }
    let whole = "calendar = \"MINE\"\n[calendar.MINE]\ntz = \"Asia/Tokyo\"\ncovered = [\"2026-01-01\", \"2026-12-31\"]\ndays = \"Mon-Sat\"\nclosed = { 2026 = \"01-01 12-31\" }\nhours = [{ from = \"2026-01-01\", segments = [\"09:00-11:30\", \"12:30-24:00\"] }]";
    assert_eq!(good("calendar = \"24/7\"", whole).features[0].calendar.name, "MINE");
    assert_eq!(
        good("align    = \"time\"", "align = \"time\"\ncalendar = \"NYSE\"").features[0].calendar.name,
        "NYSE"
    );
    for (from, to, expect) in [
        (
            "extends = \"XNYS\"",
            "extends = \"XNSY\"",
            "unknown calendar `XNSY`; did you mean `XNSE` or `XNYS`?",
        ),
        ("extends = \"MINE\"", "extends = \"NEXT\"", "leads back to this calendar itself"),
        ("extends = \"XNYS\"", "extends = \"XNYS\"\ntz = \"UTC\"", "unknown key `tz` in [calendar.MINE]"),
        ("[calendar.NEXT]", "[calendar.XLON]", "`XLON` is a calendar that is built in"),
        ("\"2025-06-13\"", "\"2025-06-14\"", "`add_closed` names 2025-06-14, which is closed anyway"),
        ("\"2025-06-13\"", "\"2025-6-13\"", "is not a date"),
        ("[\"10:00-11:00\"]", "[\"11:00-10:00\"]", "ends before it begins"),
        ("[\"10:00-11:00\"]", "[]", "has no segment"),
        ("\"2025-12-31\"]", "]", "`covered` is the first and the last day"),
    ] {
        check("calendar = \"24/7\"", &own.replacen(from, to, 1), &[expect]);
    }
    for (from, to, expect) in [
        ("tz = \"Asia/Tokyo\"\n", "", "`tz` is lacking"),
        ("Asia/Tokyo", "Asia/Tokio", "did you mean `Asia/Tokyo`?"),
        ("Mon-Sat", "Mon-Sst", "`Sst` is not a weekday"),
        ("01-01 12-31", "01-04 12-31", "2026-01-04 is in `closed` but no trading weekday"),
        ("from = \"2026-01-01\"", "from = \"2026-02-01\"", "no `hours` are in effect on 2026-01-02"),
        ("12:30-24:00", "11:00-24:00", "overlap"),
    ] {
        check("calendar = \"24/7\"", &whole.replacen(from, to, 1), &[expect]);
    }
}
