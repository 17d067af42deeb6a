//! Contracts that are wrong, and what each error says.

use super::*;
use proptest::prelude::*;

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
fn one_cause_is_one_error() {
    // A misspelt key is not reported as absent too, nor does a wrong field spoil what names it.
    check("key      = [\"account_id\"]", "kye = [\"account_id\"]", &["did you mean `key`?"]);
    check("[ws]", "[wss]", &["did you mean `ws`?"]);
    check(VOLUME, "volume = { typ = \"decimal\" }", &["did you mean `type`?"]);
    check("open   = { type = \"decimal\"", "open = { type = \"decimals\"", &["did you mean `decimal`?"]);
    check(
        "timestamp      = { type = \"timestamp\" }",
        "timestamp = { type = \"time\" }",
        &["unknown type `time`"],
    );
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
        (CASH, "cash = { type = \"decimal\", ws = \"$/x~\" }", "in a JSON pointer `~`"),
        (CASH, "cash = { type = \"decimal\", ws = \"../../cash\" }", "one object stands around"),
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
fn a_tolerance_of_time_needs_a_feature_that_pairs_by_time() {
    let head = &BUILTIN[..BUILTIN.find("[[feature]]").unwrap()];
    let status = &BUILTIN[BUILTIN.rfind("[[feature]]").unwrap()..];
    let text = format!("{head}\n{status}").replace(SETTLE, "settle = \"2s\"\ntime_tolerance = \"1s\"\n");
    check_text(&text, &["`time_tolerance` has no effect: no feature has align = \"time\""], "timing");
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
        ("settle = \"2s\"\nx_tolerance = \"1s\"\n".into(), "unknown key `x_tolerance`"),
        (format!("{SETTLE}[logs]\nerrors = []\n"), "`errors` is empty"),
        (format!("{SETTLE}[logs.sources]\nprod = \"\"\n"), "has an empty path"),
    ] {
        check(SETTLE, &to, &[expect]);
    }
    let by_name = "rest = { path = \"/b\", poll = \"1s\", index = \"account_id\" }";
    let text =
        edited(BALANCE_REST, by_name).replacen("version = 1", "version = 1\nredact = [\"account_id\"]", 1);
    check_text(
        &text,
        &["`account_id` is `index` of account_balance: its values are names of members"],
        by_name,
    );
    for (to, expect) in [
        ("version = 1\nredact = [\"account_numbr\"]", "did you mean `account_number`?"),
        (
            "version = 1\nredact = [\"cash\"]",
            "`cash` is a decimal; a hash in its place could not be compared",
        ),
        ("version = 1\nredact = \"account_number\"", "write a list of strings"),
        (
            "version = 1\n[checks.interval-match]\ndrift = 1",
            "`drift` must lie between 0% and 100%; write it as in",
        ),
        ("version = 1\n[checks.interval-match]\ndrift = \"1\"", "`drift` must lie between 0% and 100%"),
        ("version = 1\nreviewers = [\"\"]", "an empty name in `reviewers`"),
        ("version = 1\nreviewers = [\"ann\", \"ann\"]", "`ann` stands twice"),
        ("version = 1\nreviewers = [\"ann ed25519:AAAA\"]", "`NAME ed25519:BASE64` of 32 bytes"),
    ] {
        check("version = 1", to, &[expect]);
    }
}

#[test]
fn all_errors_come_at_once_in_the_order_of_the_file() {
    let text = edited("timeout  = \"5s\"", "timeout = 5")
        .replace(SETTLE, "settle = \"x\"\n")
        .replace(CASH, "cash = { type = \"money\" }")
        .replace("pnl == (current_price", "pnl == (current_prize")
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

    /// Lines dropped, doubled and moved, strings exchanged: valid TOML mostly, wrong contracts mostly.
    #[test]
    fn no_arrangement_makes_the_parser_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_u8..4), 1..5)
    ) {
        let mut lines: Vec<String> = BUILTIN.lines().filter(|line| !line.starts_with('#')).map(String::from).collect();
        for (from, to, kind) in edits {
            let (from, to) = (from.index(lines.len()), to.index(lines.len()));
            match kind {
                0 => _ = lines.remove(from),
                1 => lines.swap(from, to),
                2 => lines.insert(to, lines[from].clone()),
                _ => {
                    let source = lines[from].split('"').nth(1).unwrap_or("${X}").to_string();
                    let target = lines[to].split('"').nth(1).unwrap_or_default().to_string();
                    lines[to] = lines[to].replacen(&target, &source, 1);
                }
            }
        }
        let text = lines.join("\n");
        match read(&text) {
            Ok(contract) => prop_assert!(read(&contract.recorded_text).is_ok()),
            Err(errors) => prop_assert!(!errors.is_empty()),
        }
    }
}
