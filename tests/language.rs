//! What the contract language says of values, keys and scope, on bodies as real back ends write them: other
//! words, other precision, other key texts, records that are not in scope, several messages in a frame.

mod common;

use common::{HEAD, Script, Told, contract};
use cutover::contract::parse;
use cutover::model::{Class, Verdict};

/// Positions by symbol: decimal strings on REST, floats on the WebSocket.
fn positions(value: &str, key: &str, feed: &str) -> String {
    format!(
        r#"{HEAD}
[[feature]]
name = "positions"
align = "arrival"
interval = "10s"
key = ["symbol"]
rest = {{ path = "/positions", poll = "10s", records = "/positions"{feed} }}
ws = {{ type = "positions", records = "/data" }}
[feature.fields]
symbol = {{ type = "string"{key} }}
side = {{ type = "enum", values = ["LONG", "SHORT"], optional = true{value} }}
market_value = {{ type = "decimal" }}
is_active = {{ type = "boolean", ws = false, optional = true }}
"#
    )
}

/// Both sides say the same things, in their own ways, for three minutes.
fn told(contract_text: &str, rest: impl Fn(u32) -> String, ws: impl Fn(u32) -> String) -> Told {
    let mut script = Script::new(&contract(contract_text));
    script.open(0.0);
    for k in 0..18 {
        let t = f64::from(k) * 10.0 + 1.0;
        script.ws(t, ws(k));
        script.rest(t + 3.0, t + 3.1, "positions", rest(k));
    }
    script.end(182.0).run()
}

fn clean(told: &Told) {
    assert_eq!(told.lines(), Vec::<String>::new());
    assert_eq!(told.outcome.verdict, Verdict::Pass);
}

#[test]
fn precision_is_rounded_away_before_comparing_and_more_than_that_is_found() {
    let exact = positions("", "", "").replace("market_value = { type = \"decimal\" }", "VALUE");
    let with =
        |value: &str| exact.replace("VALUE", &format!("market_value = {{ type = \"decimal\"{value} }}"));
    let rest = |k: u32| format!(r#"{{"positions":[{{"symbol":"TSLA","market_value":"{}.86"}}]}}"#, 1694 + k);
    let ws = |off: &'static str| {
        move |k: u32| {
            format!(
                r#"{{"type":"positions","data":[{{"symbol":"TSLA","market_value":{}.{off}}}]}}"#,
                1694 + k
            )
        }
    };
    clean(&told(&with(", round = 2"), rest, ws("864192")));
    // On one side is enough where the other has no more places.
    clean(&told(&with(", round = { ws = 2 }"), rest, ws("864192")));
    assert!(told(&with(""), rest, ws("864192")).count(Class::ValueMismatch) > 0);
    assert!(told(&with(", round = 2"), rest, ws("866")).count(Class::ValueMismatch) > 0);
}

#[test]
fn a_unit_is_one_factor_on_one_side() {
    let text = positions("", "", "").replace(
        "market_value = { type = \"decimal\" }",
        "market_value = { type = \"decimal\", scale = { ws = \"0.01\" } }",
    );
    let rest = |k: u32| format!(r#"{{"positions":[{{"symbol":"TSLA","market_value":"{}.86"}}]}}"#, 1694 + k);
    let cents = |add: u32| {
        move |k: u32| {
            let cents = (1694 + k) * 100 + 86 + add;
            format!(r#"{{"type":"positions","data":[{{"symbol":"TSLA","market_value":{cents}}}]}}"#)
        }
    };
    clean(&told(&text, rest, cents(0)));
    let off = told(&text, rest, cents(1));
    assert!(off.count(Class::ValueMismatch) > 0);
    // What is told is what was compared; the record stands beside it as it came.
    let finding = off.findings.iter().find(|f| f.class == Class::ValueMismatch).unwrap();
    assert!(finding.ws.ends_with(".87") && finding.rest.ends_with(".86"), "{} {}", finding.rest, finding.ws);
}

#[test]
fn words_mean_what_the_contract_says() {
    let map =
        ", map = { rest = { long = \"LONG\", short = \"SHORT\" }, ws = { B = \"LONG\", S = \"SHORT\" } }";
    let side = |k: u32, words: [&'static str; 2]| words[(k / 6 % 2) as usize];
    let rest = |words: [&'static str; 2]| {
        move |k: u32| {
            let side = side(k, words);
            format!(r#"{{"positions":[{{"symbol":"TSLA","side":"{side}","market_value":{k}}}]}}"#)
        }
    };
    let ws = |words: [&'static str; 2]| {
        move |k: u32| {
            let side = side(k, words);
            format!(
                r#"{{"type":"positions","data":[{{"symbol":"TSLA","side":"{side}","market_value":{k}}}]}}"#
            )
        }
    };
    let text = positions(map, "", "");
    clean(&told(&text, rest(["long", "short"]), ws(["B", "S"])));
    assert!(told(&text, rest(["long", "short"]), ws(["S", "B"])).count(Class::ValueMismatch) > 0);
    // A word that stands for nothing is a bad value, not a difference to be guessed at.
    assert!(told(&text, rest(["long", "short"]), ws(["B", "X"])).count(Class::BadValue) > 0);
    assert!(told(&positions("", "", ""), rest(["long", "long"]), ws(["B", "B"])).count(Class::BadValue) > 0);
}

#[test]
fn keys_are_made_alike() {
    let rest = |k: u32| format!(r#"{{"positions":[{{"symbol":"/ES","market_value":{k}}}]}}"#);
    let ws = |k: u32| format!(r#"{{"type":"positions","data":[{{"symbol":"es","market_value":{k}}}]}}"#);
    let alike = positions("", ", normal = [\"upper\", \"strip:/\"]", "");
    let told_alike = told(&alike, rest, ws);
    clean(&told_alike);
    assert_eq!(told_alike.outcome.features[0].measures.streams, 1);
    // Without it they are two streams, and one never comes.
    assert_eq!(told(&positions("", "", ""), rest, ws).outcome.verdict, Verdict::Fail);
    // A future and a share whose keys would meet are two streams as long as nobody says otherwise.
    let both = |k: u32| {
        format!(
            r#"{{"positions":[{{"symbol":"/ES","market_value":{k}}},{{"symbol":"ES","market_value":{}}}]}}"#,
            k + 1
        )
    };
    let both_ws = |k: u32| {
        format!(
            r#"{{"type":"positions","data":[{{"symbol":"/ES","market_value":{k}}},{{"symbol":"ES","market_value":{}}}]}}"#,
            k + 1
        )
    };
    clean(&told(&positions("", "", ""), both, both_ws));
}

#[test]
fn records_out_of_scope_are_counted_and_not_judged() {
    let rest = |k: u32| {
        format!(
            r#"{{"positions":[{{"symbol":"TSLA","market_value":{k},"is_active":true}},
                {{"symbol":"OLD","market_value":1,"is_active":false}}]}}"#
        )
    };
    let ws = |k: u32| format!(r#"{{"type":"positions","data":[{{"symbol":"TSLA","market_value":{k}}}]}}"#);
    let told_all = told(&positions("", "", ""), rest, ws);
    assert_eq!(told_all.outcome.verdict, Verdict::Fail, "OLD never comes");
    let told_some = told(&positions("", "", ", only = { is_active = true }"), rest, ws);
    clean(&told_some);
    let measures = &told_some.outcome.features[0].measures;
    assert_eq!((measures.streams, measures.out_of_scope), (1, 18));
    // A scope in which nothing lies proves nothing.
    let nothing = told(&positions("", "", ", only = { symbol = [\"A\", \"B\"] }"), rest, ws);
    assert_ne!(nothing.outcome.verdict, Verdict::Pass);
}

#[test]
fn a_list_of_messages_is_each_of_them() {
    let rest = |k: u32| {
        format!(
            r#"{{"positions":[{{"symbol":"A","market_value":{k}}},{{"symbol":"B","market_value":{k}}}]}}"#
        )
    };
    let message = |symbol: &str, k: u32| {
        format!(r#"{{"type":"positions","data":[{{"symbol":"{symbol}","market_value":{k}}}]}}"#)
    };
    let list = |k: u32| format!("[{}, {}]", message("A", k), message("B", k));
    let told_list = told(&positions("", "", ""), rest, list);
    clean(&told_list);
    assert_eq!(told_list.outcome.features[0].measures.ws_messages, 36);
    assert_eq!(told_list.outcome.connection.frames, 18);
    // What is in the list is judged like any message, and nothing in it is lost.
    let off =
        told(&positions("", "", ""), rest, |k| format!("[{}, {}]", message("A", k), message("B", k + 100)));
    assert!(off.count(Class::ValueMismatch) > 0);
    let strange = told(&positions("", "", ""), rest, |k| {
        format!("[{}, {{\"type\":\"news\"}}, 7, [], {}]", message("A", k), message("B", k))
    });
    assert_eq!((strange.count(Class::UnknownType), strange.outcome.verdict), (3 * 18, Verdict::Pass));
    assert_eq!(told(&positions("", "", ""), rest, |_| "[]".into()).count(Class::UnknownType), 18);
}

#[test]
fn what_has_no_effect_or_no_sense_is_refused_where_it_stands() {
    let base = positions("", "", "");
    let value = "market_value = { type = \"decimal\" }";
    for (from, to, said) in [
        (value, "market_value = { type = \"decimal\", round = -1 }", "`round` must be a number of places"),
        (value, "market_value = { type = \"decimal\", round = { wss = 2 } }", "unknown key `wss`"),
        (value, "market_value = { type = \"decimal\", scale = 0 }", "`scale` must be a positive factor"),
        (value, "market_value = { type = \"string\", round = 2 }", "only a decimal has places"),
        (value, "market_value = { type = \"string\", scale = 2 }", "only a number can be scaled"),
        (value, "market_value = { type = \"string\", normal = [\"uper\"] }", "`uper` is no step"),
        (value, "market_value = { type = \"string\", normal = [\"strip:\"] }", "`strip:` is no step"),
        (value, "market_value = { type = \"string\", map = {} }", "`map` is empty"),
        (value, "market_value = { type = \"timestamp\", map = { a = \"b\" } }", "read by its own rules"),
        (
            "records = \"/positions\"",
            "records = \"/positions\", only = { activ = true }",
            "`only` names unknown field `activ`",
        ),
        (
            "records = \"/positions\"",
            "records = \"/positions\", only = { symbol = { a = 1 } }",
            "must be what the field says",
        ),
        ("records = \"/data\"", "records = \"/data\", only = { is_active = true }", "is not on this side"),
        ("type = \"string\" }", "type = \"string\", normal = [\"upper\"] }", ""),
    ] {
        assert!(base.contains(from), "{from}");
        let text = base.replacen(from, to, 1);
        let errors = match parse("c.toml", &text, &|_| None, false) {
            Ok(_) => String::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        };
        assert!(errors.contains(said) && errors.is_empty() == said.is_empty(), "{to}\n{errors}");
        assert!(errors.is_empty() || errors.contains("c.toml:"), "where: {errors}");
    }
    let redacted = format!("redact = [\"symbol\"]\n{}", positions("", ", normal = [\"upper\"]", ""));
    let errors = parse("c.toml", &redacted, &|_| None, false).unwrap_err();
    assert!(errors[0].to_string().contains("hashed before"), "{}", errors[0]);
}
