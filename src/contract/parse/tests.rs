use super::*;
use crate::calendar::MarketState;
use crate::contract::{Align, BUILTIN, Cadence, Forming, Keepalive, Pointer, Source, Tolerance, builtin};
use crate::model::{Class, Timestamp};
use proptest::prelude::*;

fn environment(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some("s3cr3t-from-environment".into()),
        "HOST" => Some("feed.example.com".into()),
        "SETTLE" => Some("3s".into()),
        "BAD" => Some("n0-duration".into()),
        _ => None,
    }
}

fn read(text: &str) -> Result<Contract, Vec<ContractError>> {
    parse("c.toml", text, &environment, true)
}

/// The built-in contract with one passage replaced.
fn edited(from: &str, to: &str) -> String {
    assert!(BUILTIN.contains(from), "the built-in contract has no {from:?}");
    BUILTIN.replacen(from, to, 1)
}

fn good(from: &str, to: &str) -> Contract {
    read(&edited(from, to)).unwrap_or_else(|errors| {
        let rendered: Vec<String> = errors.iter().map(ContractError::render).collect();
        panic!("{from:?} -> {to:?}\n{}", rendered.join("\n"))
    })
}

/// Exactly these errors, in this order; each names at least this text.
fn check(from: &str, to: &str, expect: &[&str]) {
    check_text(&edited(from, to), expect, to);
}

fn check_text(text: &str, expect: &[&str], case: &str) {
    let errors = read(text).expect_err(case);
    let lines: Vec<String> = errors.iter().map(|error| error.to_string()).collect();
    assert_eq!(errors.len(), expect.len(), "{case:?}: {lines:#?}");
    for (line, expect) in lines.iter().zip(expect) {
        assert!(line.contains(expect), "{case:?}: {line:?} lacks {expect:?}");
    }
    for error in &errors {
        assert!(error.line >= 1 && error.column >= 1 && error.length >= 1, "{case:?}: {error:?}");
        assert!(!format!("{error:?}{}", error.render()).contains("s3cr3t"), "{case:?}: {error:?}");
    }
}

const CASH: &str = r#"cash           = { type = "decimal", tolerance = "0.005" }"#;
const BALANCE_REST: &str = r#"rest     = { path = "/api/balances", poll = "10s", records = "/accounts" }"#;
const BALANCE_WS: &str = r#"ws       = { type = "account_balance", records = "/data" }"#;
const STATUS: &str =
    r#"status    = { type = "enum", values = ["OPEN", "CLOSED", "PREOPEN", "PRECLOSE", "HOLIDAY"] }"#;
const VOLUME: &str = r#"volume = { type = "decimal", forming = "grows" }"#;
const SETTLE: &str = "settle = \"2s\"\n";

fn field<'c>(contract: &'c Contract, name: &str) -> &'c crate::contract::Field {
    contract.features.iter().flat_map(all_fields).find(|field| field.name == name).unwrap()
}

#[test]
fn the_built_in_contract_is_what_the_specification_says() {
    let contract = builtin::builtin(&|_| None).unwrap();
    assert_eq!(contract.rest.base_url, "http://127.0.0.1:8787");
    assert_eq!(contract.rest.timeout, Span::from_secs(5));
    assert_eq!((contract.rest.max_body, contract.rest.max_in_flight), (16 << 20, 8));
    assert_eq!((contract.ws.max_message, contract.ws.type_at.0.join("/")), (4 << 20, "type".into()));
    assert_eq!(contract.ws.ignore_types, ["heartbeat", "pong"]);
    assert_eq!(
        (contract.ws.reconnect_first, contract.ws.reconnect_most),
        (Span::from_secs(1), Span::from_secs(30))
    );
    assert_eq!(contract.settle, Span::from_secs(2));
    assert_eq!(contract.logs.errors.len(), 2);
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
fn syntax_and_version() {
    for (from, to, expect) in [
        ("version = 1", "version = 2", "c.toml:"),
        ("timeout  = \"5s\"", "timeout  = \"5s", "not TOML"),
        ("timeout  = \"5s\"", "timeout  = ", "not TOML"),
    ] {
        let errors = read(&edited(from, to)).unwrap_err();
        assert!(errors[0].to_string().contains(expect), "{errors:?}");
    }
    check(
        "version = 1",
        "version = 7",
        &["contract version 7 is unknown to this program, which reads version 1; a newer"],
    );
    check("version = 1", "version = 0", &["no such version"]);
    check("version = 1", "version = \"1\"", &["`version` is a string; write a whole number"]);
    check("version = 1\n", "", &["`version` is lacking; begin the file with `version = 1`"]);
    check("version = 1", "version = 1\nversion = 1", &["repeated key `version`"]);
    check("[market]", "[rest]", &["repeated key `rest`", "unknown key `calendar`"]);
    check_text(
        "",
        &["`[rest]` is lacking", "`[ws]` is lacking", "`version` is lacking", "no feature is declared"],
        "empty",
    );
    check_text("\u{0}", &["not TOML", "not TOML"], "a control code");
}

#[test]
fn unknown_keys_name_the_nearest() {
    for (from, to, expect) in [
        (SETTLE, "settle = \"2s\"\ntime_tolerence = \"1s\"\n", "did you mean `time_tolerance`?"),
        ("[market]", "[markets]", "unknown key `markets`; did you mean `market`?"),
        ("timeout ", "time_out", "unknown key `time_out` in [rest]; did you mean `timeout`?"),
        ("ignore_types ", "ignored_types", "in [ws]; did you mean `ignore_types`?"),
        (
            "flag     = \"WS_FEATURE_POSITIONS\"",
            "flags = \"X\"",
            "in feature \"positions\"; did you mean `flag`?",
        ),
        (
            CASH,
            "cash = { type = \"decimal\", tolerence = \"0.005\" }",
            "in field `cash`; did you mean `tolerance`?",
        ),
        ("[market]", "[zzz]\n[market]", "unknown key `zzz`; known here: `version`, `rest`"),
        (SETTLE, "settle = \"2s\"\n[logs]\nsource = {}\n", "in [logs]; did you mean `sources`?"),
        (
            SETTLE,
            "settle = \"2s\"\n[checks.interval-match]\ndrif = \"1%\"\n",
            "in [checks.interval-match]; did you mean `drift`?",
        ),
        (
            SETTLE,
            "settle = \"2s\"\n[checks.interval_match]\ndrift = \"1%\"\n",
            "unknown check `interval_match`; did you mean `interval-match`?",
        ),
        (BALANCE_WS, "ws = { type = \"account_balance\", record = \"/data\" }", "did you mean `records`?"),
    ] {
        check(from, to, &[expect]);
    }
}

#[test]
fn wrong_values_say_what_would_be_right() {
    for (from, to, expect) in [
        ("base_url = \"http://127.0.0.1:8787\"", "base_url = \"127.0.0.1:8787\"", "`base_url` is no URL"),
        (
            "base_url = \"http://127.0.0.1:8787\"",
            "base_url = \"ws://h\"",
            "must begin with http:// or https://",
        ),
        ("base_url = \"http://127.0.0.1:8787\"", "base_url = \"http://\"", "names no host"),
        ("base_url = \"http://127.0.0.1:8787\"", "base_url = \"http://h:99999\"", "port that is no number"),
        ("base_url = \"http://127.0.0.1:8787\"", "base_url = \"http://h/?a=b\"", "has a query"),
        ("base_url = \"http://127.0.0.1:8787\"\n", "", "`base_url` is lacking in [rest]"),
        ("timeout  = \"5s\"", "timeout = \"5\"", "`5` is no duration; write it with its unit"),
        ("timeout  = \"5s\"", "timeout = \"0s\"", "must be longer than zero"),
        ("timeout  = \"5s\"", "timeout = \"${BAD}\"", "`${BAD}` is no duration"),
        (
            "timeout  = \"5s\"",
            "max_body = \"16 MB\"\nmax_in_flight = 0",
            "`max_in_flight` must be at least 1",
        ),
        ("timeout  = \"5s\"", "max_body = \"16 miles\"", "`max_body` is no size"),
        ("timeout  = \"5s\"", "max_body = -1", "`max_body` is no size"),
        ("timeout  = \"5s\"", "ca = \"ca.pem\"", "`ca` has no effect: the URL does not begin with https://"),
        (
            "url          = \"ws://127.0.0.1:8787/ws\"",
            "url = \"http://h/ws\"",
            "must begin with ws:// or wss://",
        ),
        (
            "url          = \"ws://127.0.0.1:8787/ws\"",
            "url = \"wss://h/ws\"\nclient_cert = \"c.pem\"",
            "it needs `client_key`",
        ),
        ("type         = \"/type\"", "type = \"type\"", "a JSON pointer begins with `/`"),
        ("type         = \"/type\"", "type = \"/a~2\"", "`~` is written `~0`"),
        (
            "ignore_types = [\"heartbeat\", \"pong\"]",
            "ignore_types = [\"pong\", \"pong\"]",
            "`pong` stands twice",
        ),
        ("ignore_types = [\"heartbeat\", \"pong\"]", "ignore_types = \"pong\"", "is a string; write a list"),
        ("ignore_types = [\"heartbeat\", \"pong\"]", "ignore_types = [1]", "write strings in this list"),
        ("ignore_types = [\"heartbeat\", \"pong\"]", "ignore_types = [\"positions\"]", "cannot be ignored"),
        (
            "ignore_types = [\"heartbeat\", \"pong\"]",
            "keepalive = {}",
            "`every` is lacking in [ws.keepalive]",
        ),
        (
            "ignore_types = [\"heartbeat\", \"pong\"]",
            "reconnect = { first = \"1m\" }",
            "longer than `most` (30s)",
        ),
        (
            "calendar = \"24/7\"",
            "calendar = \"XNSY\"",
            "unknown calendar `XNSY`; did you mean `XNSE` or `XNYS`?",
        ),
        ("calendar = \"24/7\"", "calendar = 24", "`calendar` is an integer"),
        (SETTLE, "settle = 2\n", "write a duration with its unit"),
        (
            "name     = \"positions\"",
            "name = \"account_balance\"",
            "a second feature is named `account_balance`",
        ),
        ("name     = \"positions\"\n", "", "`name` is lacking in [feature]"),
        ("name     = \"positions\"", "name = \"my positions\"", "a feature's name is made of"),
        ("flag     = \"WS_FEATURE_POSITIONS\"", "flag = \"WS-X\"", "cannot be an environment variable"),
        ("align    = \"time\"", "align = \"tyme\"", "`tyme` is no align; did you mean `time`?"),
        (
            "align    = \"arrival\"",
            "align = \"arrival\"\ncadence = \"on change\"",
            "did you mean `on-change`?",
        ),
        ("interval = \"10s\"", "interval = \"ten\"", "`ten` is no duration"),
        ("interval = \"10s\"\n", "", "`interval` is lacking"),
        ("key      = [\"account_id\"]\n", "", "`key` is lacking"),
        ("key      = [\"account_id\"]", "key = []", "`key` is empty"),
        (
            "key      = [\"account_id\"]",
            "key = [\"acount_id\"]",
            "not declared in `fields`; did you mean `account_id`?",
        ),
        (
            "key      = [\"account_id\"]",
            "key = [\"account_id\", \"timestamp\"]",
            "is `time` and part of `key`",
        ),
        (
            "time     = \"timestamp\"\n",
            "",
            "needs `time`, the field that carries the event time; add `time = \"timestamp\"`",
        ),
        ("time     = \"timestamp\"", "time = \"cash\"", "has no effect"),
        (
            "time     = \"timestamp\"",
            "time = \"account_number\"",
            "must be a timestamp, and `account_number` is a string",
        ),
        ("time     = \"timestamp\"", "time = \"when\"", "`time` names `when`"),
        (BALANCE_REST, "", "`rest` is lacking in feature \"account_balance\""),
        (BALANCE_WS, "", "`ws` is lacking in feature \"account_balance\""),
        (BALANCE_REST, "rest = \"/api\"", "`rest` is a string; write a table"),
        (BALANCE_REST, "rest = { path = \"api\", poll = \"1s\" }", "`path` begins with `/`"),
        (BALANCE_REST, "rest = { path = \"/a b\", poll = \"1s\" }", "has white space"),
        (BALANCE_REST, "rest = { path = \"/a\" }", "`poll` is lacking in `rest` of feature"),
        (
            BALANCE_REST,
            "rest = { path = \"/a\", poll = \"1s\", method = \"DELETE\" }",
            "`DELETE` is no method to use",
        ),
        (BALANCE_REST, "rest = { path = \"/a\", poll = \"1s\", records = \"a\" }", "a JSON pointer begins"),
        (
            BALANCE_REST,
            "rest = { path = \"/a\", poll = \"1s\", index = \"id\" }",
            "`index` names unknown field `id`",
        ),
        (BALANCE_REST, "rest = { path = \"/a/{x}\", poll = \"1s\" }", "`{x}` in `path` is no parameter"),
        (
            BALANCE_REST,
            "rest = { path = \"/a\", poll = \"1s\", each = { x = [1] } }",
            "`x` has no effect: neither `path`",
        ),
        (
            BALANCE_REST,
            "rest = { path = \"/a/{x}\", poll = \"1s\", each = { x = 1 } }",
            "needs a list of values, as in x = [123",
        ),
        (BALANCE_REST, "rest = { path = \"/a/{x}\", poll = \"1s\", each = { x = [1, 1] } }", "stands twice"),
        (
            BALANCE_REST,
            "rest = { path = \"/a/{x}\", poll = \"1s\", each = { x = [[1]] } }",
            "are strings, numbers or booleans",
        ),
        (
            BALANCE_REST,
            "rest = { path = \"/a\", poll = \"1s\", query = { x = [1] } }",
            "of a query is a string",
        ),
    ] {
        check(from, to, &[expect]);
    }
}

#[test]
fn fields_and_rows_that_are_wrong() {
    for (from, to, expect) in [
        (CASH, "cash = {}", "`type` is lacking in field `cash`"),
        (CASH, "cash = \"decimal\"", "`cash` is a string; write a table"),
        (CASH, "cash = { type = \"decimals\" }", "unknown type `decimals`; did you mean `decimal`?"),
        (CASH, "cash = { type = \"decimal\", tolerance = \"-1\" }", "a positive number or percentage"),
        (
            CASH,
            "cash = { type = \"decimal\", tolerance = \"2s\" }",
            "a number or a percentage for type decimal",
        ),
        (CASH, "cash = { type = \"decimal\", tolerance = true }", "`tolerance` is a boolean"),
        (CASH, "cash = { type = \"decimal\", tolerance = nan }", "must be a positive number"),
        (
            CASH,
            "cash = { type = \"string\", tolerance = \"1\" }",
            "`tolerance` has no effect: a string is equal or it is not",
        ),
        (
            CASH,
            "cash = { type = \"decimal\", values = [\"1\"] }",
            "`values` has no effect: it belongs to type \"enum\"",
        ),
        (CASH, "cash = { type = \"decimal\", zone = \"UTC\" }", "only a timestamp has a zone"),
        (
            CASH,
            "cash = { type = \"decimal\", forming = \"grows\" }",
            "only a bucket (align = \"bucket\") forms",
        ),
        (
            CASH,
            "cash = { type = \"decimal\", compare = false, tolerance = \"1\" }",
            "`tolerance` has no effect: this field is not compared",
        ),
        (CASH, "cash = { type = \"decimal\", compare = false, static = true }", "`static` has no effect"),
        (CASH, "cash = { type = \"decimal\", ws = false, compare = false }", "a field of one side alone"),
        (CASH, "cash = { type = \"decimal\", ws = false, rest = false }", "is on neither side"),
        (CASH, "cash = { type = \"decimal\", ws = true }", "or false"),
        (CASH, "cash = { type = \"decimal\", ws = \"/cash\" }", "has no leading `/`"),
        (CASH, "cash = { type = \"decimal\", ws = \"a//b\" }", "parted by `/`"),
        (CASH, "cash = { type = \"decimal\", ws = \"$\" }", "begins with `$/`"),
        (CASH, "cash = { type = \"decimal\", ws = \"$x\" }", "a JSON pointer begins"),
        (CASH, "cash = { type = \"decimal\", ws = \"@x\" }", "has no request"),
        (CASH, "cash = { type = \"decimal\", rest = \"@x\" }", "no parameter `x` in `rest.each`"),
        (CASH, "cash = { type = \"decimal\", ws = \"'1\" }", "a constant ends with `'`"),
        (CASH, "cash = { type = \"decimal\", ws = \"'one'\" }", "this constant is no decimal"),
        (CASH, "cash = { type = \"integer\", ws = \"'1.5'\" }", "this constant is no integer"),
        (STATUS, "status = { type = \"enum\" }", "`values` is lacking in field `status`"),
        (STATUS, "status = { type = \"enum\", values = [] }", "`values` is empty"),
        (STATUS, "status = { type = \"enum\", values = [\"A\", \"A\"] }", "`A` stands twice"),
        (STATUS, "status = { type = \"enum\", values = [\"A\"], ws = \"'B'\" }", "this constant is no enum"),
        ("tolerance = \"2s\"", "tolerance = \"2\"", "must be a duration with its unit, as in \"2s\""),
        (VOLUME, "volume = { type = \"decimal\", forming = \"grow\" }", "did you mean `grows`?"),
        (
            VOLUME,
            "volume = { type = \"string\", forming = \"grows\" }",
            "only a number or a timestamp can be \"grows\"",
        ),
        (
            "timestamp      = { type = \"timestamp\" }",
            "timestamp = { type = \"timestamp\", tolerance = \"1s\" }",
            "`time_tolerance` of the feature is",
        ),
        (
            "timestamp      = { type = \"timestamp\" }",
            "timestamp = { type = \"timestamp\", optional = true }",
            "without which nothing can be aligned",
        ),
        (
            "timestamp      = { type = \"timestamp\" }",
            "timestamp = { type = \"timestamp\", zone = \"America/New_Yrok\" }",
            "did you mean `America/New_York`?",
        ),
        (
            "account_id     = { type = \"integer\" }",
            "account_id = { type = \"integer\", ws = false }",
            "must come from both sides",
        ),
        (
            "account_id     = { type = \"integer\" }",
            "account_id = { type = \"integer\", compare = false }",
            "`account_id` is `key`, which aligns",
        ),
        ("at  = \"positions\"\n", "", "`at` is lacking in `rows`"),
        ("at  = \"positions\"", "at = \"/positions\"", "has no leading `/`"),
        ("at  = \"positions\"", "at = { rest = \"items\" }", "`ws` is lacking in `at`"),
        ("at  = \"positions\"", "at = \"$/positions\"", "is a path inside the record"),
        (
            "key = [\"symbol\"]",
            "key = [\"symbols\"]",
            "not declared in the rows' `fields`; did you mean `symbol`?",
        ),
        ("key = [\"symbol\"]", "key = []", "`key` of rows is empty"),
        (
            "symbol        = { type = \"string\" }",
            "symbol = { type = \"string\", ws = \"$/symbol\" }",
            "a row's values come from the row",
        ),
        ("invariants = [\"pnl ==", "invariants = [\"pnl =", "write `==` for equal"),
        (
            "invariants = [\"pnl == ",
            "invariants = [\"account_id == pnl + ",
            "mixes `account_id` of the record",
        ),
        (
            "invariants = [\"low <= open\"",
            "invariants = [\"country <= open\"",
            "`country` is no number but a string",
        ),
        ("invariants = [\"low <= open\"", "invariants = [\"low <= close\"", "stands twice in `invariants`"),
    ] {
        check(from, to, &[expect]);
    }
}

#[test]
fn a_countdown_cannot_be_a_key() {
    let expect = ["changes by itself and cannot be a key", "`tolerance` has no effect"];
    check("key      = [\"market_id\"]", "key = [\"seconds_to_next_event\"]", &expect);
}

#[test]
fn keys_without_effect_are_errors() {
    for (from, to, expect) in [
        (
            "align    = \"arrival\"",
            "align = \"arrival\"\nrevise_for = \"1s\"",
            "`revise_for` has no effect: only a bucket",
        ),
        ("align    = \"time\"", "align = \"time\"\nrevise_for = \"1s\"", "`revise_for` has no effect"),
        ("align    = \"arrival\"", "align = \"arrival\"\nmax_delay = \"1s\"", "`max_delay` has no effect"),
        (
            "align    = \"arrival\"",
            "align = \"arrival\"\ntime_tolerance = \"1s\"",
            "`time_tolerance` has no effect",
        ),
        (
            "align    = \"bucket\"",
            "align = \"bucket\"\ntime_tolerance = \"1s\"",
            "`time_tolerance` has no effect",
        ),
        (
            "align    = \"arrival\"",
            "align = \"arrival\"\nzone = \"UTC\"",
            "`zone` has no effect: no field is a timestamp",
        ),
        (
            "align    = \"time\"",
            "align = \"time\"\ntime_tolerance = \"10s\"",
            "must be shorter than the interval (10s)",
        ),
        (
            "key      = [\"market_id\"]",
            "key = [\"market_id\"]\ntime = \"status\"",
            "`time` has no effect: align = \"arrival\"",
        ),
        ("[feature.fields]", "[feature.checks.no-drops]\n[feature.fields]", "check `no-drops` has no limits"),
        ("[feature.fields]", "[feature.checks.x]\n[feature.fields]", "unknown check `x`"),
        (
            "[feature.fields]",
            "[feature.checks.values-match]\nmin_pairs = 0\n[feature.fields]",
            "must be at least 1",
        ),
        (
            "[feature.fields]",
            "[feature.checks.interval-match]\ndrift = 2\n[feature.fields]",
            "between 0% and 100%",
        ),
        ("[feature.fields]", "[feature.checks.interval-match]\ndrift = 0.0\n[feature.fields]", "of zero"),
        (
            "[feature.fields]",
            "[feature.checks.required-fields]\nstrict_types = 1\n[feature.fields]",
            "write `true` or `false`",
        ),
        (
            "[feature.fields]",
            "[feature.checks]\ninterval-match = { min_ticks = 3 }\nno-gaps = { min_ticks = 4 }\n[feature.fields]",
            "is one number; make them equal",
        ),
        (
            "[feature.fields]",
            "cadence = \"on-change\"\n[feature.checks.interval-match]\ndrift = \"1%\"\n[feature.fields]",
            "an \"on-change\" feature has no ticks",
        ),
    ] {
        check(from, to, &[expect]);
    }
}

#[test]
fn governance_that_is_wrong() {
    let waiver = |keys: &str| {
        format!("{SETTLE}[[waiver]]\nfeature = \"positions\"\nreason = \"r\"\nowner = \"o\"\n{keys}\n")
    };
    for (to, expect) in [
        (waiver("until = \"2026-12-31\"\nclass = \"gaps\""), "unknown class `gaps`; did you mean `gap`?"),
        (
            waiver("until = \"2026-12-31\"\nfield = \"pnll\""),
            "unknown field `pnll` of positions; did you mean `pnl`?",
        ),
        (waiver("until = \"31.12.2026\""), "`until`: `31.12.2026` is not a date"),
        (waiver("until = \"2026-02-30\""), "does not exist"),
        (waiver(""), "`until` is lacking"),
        (waiver("until = \"2026-12-31\"\nfield = \"\""), "`field` is empty"),
        (
            waiver("until = \"2026-12-31\"").replace("\"positions\"", "\"position\""),
            "did you mean `positions`?",
        ),
        (waiver("until = \"2026-12-31\"").replace("owner = \"o\"\n", ""), "`owner` is lacking"),
        (format!("{SETTLE}[logs]\nerrors = [\"(\"]\n"), "not a regular expression"),
        (format!("{SETTLE}[logs]\nerrors = []\n"), "`errors` is empty"),
        (format!("{SETTLE}[logs.sources]\nprod = \"\"\n"), "has an empty path"),
    ] {
        check(SETTLE, &to, &[expect]);
    }
    for (to, expect) in [
        ("version = 1\nredact = [\"account_numbr\"]", "did you mean `account_number`?"),
        (
            "version = 1\nredact = [\"cash\"]",
            "`cash` is a decimal; a hash in its place could not be compared",
        ),
        ("version = 1\nredact = \"account_number\"", "write a list of strings"),
        ("version = 1\nreviewers = [\"\"]", "an empty name in `reviewers`"),
        ("version = 1\nreviewers = [\"ann\", \"ann\"]", "`ann` stands twice"),
    ] {
        check("version = 1", to, &[expect]);
    }
}

#[test]
fn credentials_are_filled_in_and_never_shown() {
    let rest = |keys: &str| format!("timeout  = \"5s\"\n{keys}");
    for (keys, expect) in [
        ("headers = { Authorization = \"${TOKN}\" }", "environment variable `TOKN` is not set"),
        ("headers = { \"Bad Name\" = \"s3cr3t\" }", "`Bad Name` is no header name"),
        ("headers = { A = \"s3cr3t\\n\" }", "the value of header `A` has control codes"),
        ("headers = { A = \" ${TOKEN}\" }", "the value of header `A` has control codes or outer spaces"),
        ("headers = { A = \"s3cr3t\", a = \"s3cr3t\" }", "header `a` stands twice"),
        ("headers = { A = \"s3cr3t\", B = 1 }", "`B` is an integer; write a string"),
        ("headers = \"s3cr3t\"", "`headers` is a string"),
        (
            "login = { path = \"/l\", json = { p = \"s3cr3t\" }, format = \"Bearer\" }",
            "`format` must show by `{}`",
        ),
        ("login = { json = { p = \"s3cr3t\" } }", "`path` is lacking in [rest.login]"),
        ("login = { method = \"GET\", path = \"/l\", json = { p = \"s3cr3t\" } }", "`json` has no effect"),
        ("login = { path = \"/l\", json = { p = \"s3cr3t\", n = nan } }", "is not finite"),
        ("login = { path = \"/l\", json = { p = \"s3cr3t\" }, tokn = \"/t\" }", "did you mean `token`?"),
        (
            "login = { path = \"/l\", json = { p = \"s3cr3t\" }, header = \"a b\" }",
            "`header` is no header name",
        ),
        ("headers = { A = \"${\" }", "begins an environment variable"),
        ("headers = { A = \"${a-b}\" }", "begins an environment variable"),
    ] {
        check("timeout  = \"5s\"", &rest(keys), &[expect]);
    }
    // A torn file shows nothing near credentials either.
    for keys in [
        "headers = { A = \"s3cr3t }",
        "headers = { A = \"\"\"\ns3cr3t\n",
        "login = { path = \"/l\", json = { password = \"s3cr3t\", x = } }",
    ] {
        let errors = read(&edited("timeout  = \"5s\"", keys)).unwrap_err();
        assert!(!format!("{errors:?}").contains("s3cr3t"), "{errors:#?}");
    }
}

#[test]
fn an_unset_variable_is_an_error_only_where_it_is_needed() {
    let text = edited("timeout  = \"5s\"", "timeout = \"${T}\"\nheaders = { A = \"x ${UNSET}\" }")
        .replace("http://127.0.0.1:8787", "${BASE}");
    let place = |error: &ContractError| (error.line, error.column, error.message.clone());
    let errors = parse("c.toml", &text, &environment, true).unwrap_err();
    let names: Vec<_> = errors.iter().map(place).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names[0].2.contains("`BASE` is not set") && names[2].2.contains("`UNSET` is not set"));
    let contract = parse("c.toml", &text, &environment, false).unwrap();
    assert_eq!(contract.rest.base_url, "${BASE}");
    assert_eq!(contract.rest.timeout, Span::from_secs(5));
    assert_eq!(contract.rest.headers, [("A".to_string(), "x ${UNSET}".to_string())]);
    // What is set is filled in either way.
    let text = edited("127.0.0.1:8787/ws", "${HOST}/ws");
    assert_eq!(parse("c.toml", &text, &environment, false).unwrap().ws.url, "ws://feed.example.com/ws");
    // Elsewhere, and in what routes frames, it is needed always.
    for (from, to) in
        [("settle = \"2s\"", "settle = \"${S}\""), ("type         = \"/type\"", "type = \"${S}\"")]
    {
        let errors = parse("c.toml", &edited(from, to), &environment, false).unwrap_err();
        assert!(errors[0].message.contains("environment variable `S` is not set"), "{errors:?}");
    }
    assert_eq!(good("settle = \"2s\"", "settle = \"${SETTLE}\"").settle, Span::from_secs(3));
}

#[test]
fn the_recorded_text_holds_no_credentials_and_parses_again() {
    let text = edited(
        "timeout  = \"5s\"",
        r#"timeout  = "5s"   # kept
headers = { Authorization = "Bearer ${TOKEN}", X-Api-Key = 's3cr3t', "X.Y" = """s3cr3t
s3cr3t""" , Plain = "${TOKEN}" }
login = { path = "/login", json = { user = "s3cr3t", nested = { pin = 1234567, list = ["s3cr3t", "${TOKEN}"] } } }"#,
    )
    .replace("url          = \"ws://127.0.0.1:8787/ws\"", "url = \"ws://s3cr3t:s3cr3t@h/ws?token=s3cr3t&x=${TOKEN}\"\nheaders.Origin = \"s3cr3t\"")
    .replace(
        BALANCE_REST,
        "rest = { path = \"/b/{a}\", poll = \"1s\", records = \"/accounts\", each = { a = [1, \"x\"], b = [true] },\n  query = { b = \"{b}\", k = \"s3cr3t\", n = 5 }, headers = { K = \"s3cr3t\" } }",
    );
    // A line break inside a header's value is refused, so this contract is read without it.
    let text = text.replace("\"\"\"s3cr3t\ns3cr3t\"\"\"", "\"\"\"s3cr3t\"\"\"");
    let contract = read(&text).unwrap_or_else(|errors| panic!("{}", errors[0].render()));
    let recorded = &contract.recorded_text;
    assert!(!recorded.contains("s3cr3t") && !recorded.contains("1234567"), "{recorded}");
    for kept in [
        "timeout  = \"5s\"   # kept\n",
        "headers = { Authorization = \"***${TOKEN}\", X-Api-Key = \"***\", \"X.Y\" = \"***\" , Plain = \"${TOKEN}\" }",
        "json = { user = \"***\", nested = { pin = \"***\", list = [\"***\", \"${TOKEN}\"] } }",
        "url = \"ws://***@h/ws?token=***&x=${TOKEN}\"\nheaders.Origin = \"***\"",
        "query = { b = \"{b}\", k = \"***\", n = \"***\" }, headers = { K = \"***\" }",
    ] {
        assert!(recorded.contains(kept), "{kept}\n{recorded}");
    }
    let again = read(recorded).unwrap_or_else(|errors| panic!("{}", errors[0].render()));
    assert_eq!(again.recorded_text, *recorded, "masking again changes nothing");
    assert_eq!(
        (again.features[0].fields.as_slice(), &again.settle),
        (contract.features[0].fields.as_slice(), &contract.settle)
    );
    assert_eq!(contract.rest.headers[0].1, "Bearer s3cr3t-from-environment");
    let login = contract.rest.login.unwrap();
    assert_eq!(
        (login.method.as_str(), login.token, login.header.as_str()),
        ("POST", Pointer(vec!["access".into()]), "Authorization")
    );
    assert_eq!(login.json.unwrap()["nested"]["list"][1], "s3cr3t-from-environment");
    assert_eq!(contract.features[0].rest.each[0], ("a".into(), vec![1.into(), "x".into()]));
    let query = &contract.features[0].rest.query;
    assert_eq!(
        query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"),
        "b={b}&k=s3cr3t&n=5"
    );
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
    assert_eq!(contract.features[0].rest.index.as_deref(), Some("account_id"));
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

#[test]
fn all_errors_come_at_once_in_the_order_of_the_file() {
    let text = edited("timeout  = \"5s\"", "timeout = 5")
        .replace(SETTLE, "settle = \"x\"\n")
        .replace(CASH, "cash = { type = \"money\" }")
        .replace("name     = \"market_status\"", "nam = \"market_status\"");
    let errors = read(&text).unwrap_err();
    let lines: Vec<usize> = errors.iter().map(|error| error.line).collect();
    assert!(lines.is_sorted(), "{lines:?}");
    assert_eq!(errors.len(), 5, "{errors:#?}");
}

#[test]
fn an_error_is_shown_with_its_line_and_a_mark() {
    let line = BUILTIN.lines().position(|line| line.starts_with("interval")).unwrap() + 1;
    let errors = read(&edited("interval = \"10s\"", "interval = \"10x\"")).unwrap_err();
    let gutter = " ".repeat(line.to_string().len());
    let expect = format!(
        "error: `10x` is no duration; write it with its unit, as in \"10s\" or \"250ms\"\n\
         {gutter}--> c.toml:{line}:12\n{gutter} |\n{line} | interval = \"10x\"\n{gutter} |            ^^^^^\n"
    );
    assert_eq!(errors[0].render(), expect);
    let error = ContractError {
        file: "c.toml".into(),
        line: 7,
        column: 3,
        message: "bad".into(),
        excerpt: "\té\u{1b}[31mx".into(),
        length: 99,
    };
    assert_eq!(error.render(), "error: bad\n --> c.toml:7:3\n  |\n7 | \té [31mx\n  | \t ^^^^^^^\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Bytes deleted, doubled or replaced anywhere: an answer or errors with places, never a panic.
    #[test]
    fn no_text_makes_the_parser_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), "[\\[\\]{}=\"'#$\\n/@é0-9a-z.,-]{0,3}", 0_usize..6), 1..6)
    ) {
        let mut text: Vec<char> = BUILTIN.chars().collect();
        for (at, with, cut) in edits {
            let at = at.index(text.len().max(1)).min(text.len());
            let end = (at + cut).min(text.len());
            text.splice(at..end, with.chars());
        }
        let text: String = text.into_iter().collect();
        match read(&text) {
            Ok(contract) => prop_assert!(read(&contract.recorded_text).is_ok()),
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(error.line <= text.lines().count() + 1);
                    error.render();
                }
            }
        }
    }
}
