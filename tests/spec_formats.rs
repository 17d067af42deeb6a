//! What SPEC §3 and §5.1 say of values, places and records, where a tool that read them otherwise once
//! called an innocent stream faulty, or passed one that it had not compared.

mod common;

use common::{HEAD, Script, Told, contract, stamp};
use cutover::contract::Contract;
use cutover::model::{Class, ClosedBy, Event, Payload, Severity, Verdict};
use std::sync::Arc;

const REST: &str = r#"path = "/f", poll = "10s", records = "/list""#;

/// A feature that pairs by time, with these fields besides `id` and `ts`.
fn feature(rest: &str, fields: &str, tail: &str) -> Arc<Contract> {
    let id = if fields.contains("id = {") { "" } else { "id = { type = \"integer\" }" };
    contract(&format!(
        r#"{HEAD}
[[feature]]
name = "f"
align = "time"
interval = "10s"
key = ["id"]
time = "ts"
rest = {{ {rest} }}
ws = {{ type = "f", records = "/data" }}
[feature.fields]
{id}
ts = {{ type = "timestamp" }}
{fields}
{tail}"#
    ))
}

/// Twelve ticks; `TS` in a body stands for the event time.
fn ticks(contract: &Arc<Contract>, params: &'static str, rest: &str, ws: &str) -> Script {
    let mut script = Script::new(contract);
    script.open(0.0);
    for k in 0..12 {
        let t = 1.0 + 10.0 * f64::from(k);
        let ts = format!("\"{}\"", stamp(t));
        script.ws(t + 0.05, format!(r#"{{"type":"f",{}}}"#, ws.replace("TS", &ts)));
        script.rest_with(t + 4.0, t + 4.05, "f", params, rest.replace("TS", &ts));
    }
    script.end(117.0);
    script
}

fn records(contract: &Arc<Contract>, rest: &str, ws: &str) -> Told {
    let rest = format!(r#"{{"list":[{{"id":1,"ts":TS{rest}}}]}}"#);
    ticks(contract, "{}", &rest, &format!(r#""data":{{"id":1,"ts":TS{ws}}}"#)).run()
}

/// No finding at all, and PASS.
fn check_same(fields: &str, rest: &str, ws: &str) {
    let told = records(&feature(REST, fields, ""), rest, ws);
    assert_eq!(told.at_least(Severity::Info), [] as [&str; 0], "{fields} {rest} {ws}");
    assert_eq!(told.verdict("values-match"), Verdict::Pass, "{fields} {rest} {ws}");
}

fn note(told: &Told, check: &str) -> String {
    told.outcome.features[0].checks.iter().find(|c| c.check == check).unwrap().note.clone()
}

#[test]
fn two_fields_may_be_read_from_one_place() {
    let twice = "v = { type = \"decimal\" }\nw = { type = \"integer\", rest = \"v\", ws = \"v\" }";
    check_same(twice, r#","v":5"#, r#","v":5"#);
    check_same(
        "v = { type = \"decimal\" }\nagain = { type = \"integer\", rest = \"id\", ws = \"id\" }",
        r#","v":5"#,
        r#","v":5"#,
    );
    let rows = "[feature.rows]\nat = \"rows\"\nkey = [\"s\"]\n[feature.rows.fields]\ns = { type = \"string\" }\n\
                v = { type = \"decimal\" }\nw = { type = \"decimal\", rest = \"w\", ws = \"v\" }";
    let contract = feature(REST, "", rows);
    let told = records(&contract, r#","rows":[{"s":"a","v":1,"w":1}]"#, r#","rows":[{"s":"a","v":1}]"#);
    assert_eq!(told.at_least(Severity::Info), [] as [&str; 0]);
    let told = records(&contract, r#","rows":[{"s":"a","v":1,"w":2}]"#, r#","rows":[{"s":"a","v":1}]"#);
    assert_eq!(told.count(Class::ValueMismatch), 12);
    assert_eq!(told.first(Class::ValueMismatch).field, "w");
}

#[test]
fn what_stands_in_no_body_has_no_json_type() {
    let strict = "[checks.required-fields]\nstrict_types = true";
    let (list, data) = (r#"{"list":[{"id":1,"ts":TS}]}"#, r#""data":{"id":1,"ts":TS,"v":5}"#);
    let constant = feature(REST, "v = { type = \"integer\", rest = \"'5'\" }", strict);
    let each = format!("{}, each = {{ v = [\"5\"] }}", REST.replace("/f\"", "/f/{v}\""));
    let parameter = feature(&each, "v = { type = \"integer\", rest = \"@v\" }", strict);
    for (contract, params) in [(&constant, "{}"), (&parameter, r#"{"v":"5"}"#)] {
        let told = ticks(contract, params, list, data).run();
        assert_eq!(told.at_least(Severity::Info), [] as [&str; 0]);
        assert_eq!(told.verdict("values-match"), Verdict::Pass);
    }
    let named = feature(&format!("{REST}, index = \"v\""), "v = { type = \"integer\" }", strict);
    let told = ticks(&named, "{}", r#"{"list":{"5":{"id":1,"ts":TS}}}"#, data).run();
    assert_eq!(told.at_least(Severity::Info), [] as [&str; 0]);
    // In a body it has one.
    let told = records(&feature(REST, "v = { type = \"integer\" }", strict), r#","v":"5""#, r#","v":5"#);
    assert_eq!((told.count(Class::TypeDiffers), told.verdict("required-fields")), (1, Verdict::Fail));
}

#[test]
fn a_boolean_for_text_is_told_once() {
    let told = records(&feature(REST, "v = { type = \"string\" }", ""), r#","v":"true""#, r#","v":true"#);
    assert_eq!((told.count(Class::WrongType), told.count(Class::TypeDiffers)), (12, 0));
}

#[test]
fn a_leap_second_is_an_instant() {
    let fields = "v = { type = \"timestamp\" }";
    check_same(fields, r#","v":"2016-12-31T23:59:60Z""#, r#","v":"2017-01-01T00:00:00Z""#);
    let told = records(
        &feature(REST, fields, ""),
        r#","v":"2017-01-01T00:00:00Z""#,
        r#","v":"2016-12-31T23:58:60Z""#,
    );
    assert_eq!(told.count(Class::WrongType), 12);
}

#[test]
fn values_that_rest_never_has_are_not_proven_to_match() {
    let contract = feature(REST, "v = { type = \"decimal\" }", "");
    for rest in ["", r#","v":null"#, r#","v":"x""#, r#","v":{}"#] {
        let told = records(&contract, rest, r#","v":5"#);
        assert_eq!(told.verdict("values-match"), Verdict::Inconclusive, "{rest}");
        assert_eq!(note(&told, "values-match"), "v was compared 0 of at least 10 times: REST lacks it");
    }
    let rows =
        "[feature.rows]\nat = \"rows\"\nkey = [\"s\"]\n[feature.rows.fields]\ns = { type = \"string\" }";
    let told = records(&feature(REST, "", rows), "", r#","rows":[]"#);
    assert_eq!(told.verdict("values-match"), Verdict::Inconclusive);
    // What is read often enough is proven, whatever else REST lacks.
    let optional =
        feature(REST, "v = { type = \"decimal\" }\nw = { type = \"decimal\", optional = true }", "");
    assert_eq!(records(&optional, r#","v":5"#, r#","v":5,"w":1"#).verdict("values-match"), Verdict::Pass);
    let told = records(&feature(REST, "", ""), "", "");
    assert_eq!(told.verdict("values-match"), Verdict::Inconclusive);
    assert_eq!(note(&told, "values-match"), "the contract compares no field");
}

#[test]
fn duplicates_count_among_records_by_name_and_beyond_64_fields() {
    let contract = feature(&format!("{REST}, index = \"id\""), "v = { type = \"integer\" }", "");
    let twice = r#"{"list":{"1":{"ts":TS,"v":5},"1":{"ts":TS,"v":5}}}"#;
    let told = ticks(&contract, "{}", twice, r#""data":{"id":1,"ts":TS,"v":5}"#).run();
    assert_eq!(told.count(Class::RestError), 12);
    assert!(told.first(Class::RestError).detail.starts_with("duplicate member `1`"));
    let fields: String = (0..70).map(|n| format!("f{n} = {{ type = \"integer\" }}\n")).collect();
    let values: String = (0..70).map(|n| format!(",\"f{n}\":{n}")).collect();
    let contract = feature(REST, &fields, "");
    assert_eq!(records(&contract, &values, &values).at_least(Severity::Info), [] as [&str; 0]);
    let told = records(&contract, &values, &format!("{values},\"f69\":69"));
    assert_eq!(told.first(Class::Malformed).detail, "duplicate member `f69`");
}

#[test]
fn what_the_contract_takes_from_the_root_is_expected_in_a_record_that_is_the_body() {
    let contract = contract(&format!(
        r#"{HEAD}
[[feature]]
name = "f"
align = "time"
interval = "10s"
key = ["id"]
time = "ts"
rest = {{ path = "/f", poll = "10s" }}
ws = {{ type = "f" }}
[feature.fields]
id = {{ type = "integer" }}
ts = {{ type = "timestamp" }}
v = {{ type = "decimal", rest = "$/later/v" }}
"#
    ));
    let told = ticks(&contract, "{}", r#"{"id":1,"ts":TS,"later":{"v":5}}"#, r#""id":1,"ts":TS,"v":5"#).run();
    assert_eq!(told.at_least(Severity::Info), [] as [&str; 0]);
    let told =
        ticks(&contract, "{}", r#"{"id":1,"ts":TS,"later":{"v":5}}"#, r#""id":1,"ts":TS,"v":5,"w":1"#).run();
    assert_eq!(told.at_least(Severity::Info), ["unexpected_field id=1 w"]);
}

#[test]
fn a_304_stands_for_the_same_parameters_in_any_order() {
    let rest = format!("{}, each = {{ a = [1], b = [\"x\"] }}", REST.replace("/f\"", "/f/{a}/{b}\""));
    for (params, errors) in [(r#"{"b":"x","a":1}"#, 0), (r#"{"b":"y","a":1}"#, 1)] {
        let body = r#"{"list":[{"id":1,"ts":TS,"v":5}]}"#;
        let contract = feature(&rest, "v = { type = \"integer\" }", "");
        let mut script = ticks(&contract, r#"{"a":1,"b":"x"}"#, body, r#""data":{"id":1,"ts":TS,"v":5}"#);
        let unchanged = Event::Rest {
            sent_at: common::at(107.0),
            feature: "f".into(),
            params: params.into(),
            status: 304,
            bytes: 0,
            payload: Payload::Empty,
        };
        let told = script.event(107.1, unchanged).run();
        assert_eq!(told.count(Class::RestError), errors, "{params}");
    }
}

#[test]
fn a_key_is_quoted_where_any_reader_would_stumble() {
    let contract = feature(REST, "id = { type = \"string\" }\nv = { type = \"integer\" }", "");
    for (key, label) in [
        (r#""a,b""#, r#"id="a,b""#),
        (r#""\u0085""#, r#"id="\u0085""#),
        (r#""\u202ex""#, r#"id="\u202ex""#),
        (r#""\u2028\"""#, r#"id="\u2028\"""#),
        (r#""/ES é""#, "id=/ES é"),
    ] {
        let body = format!(r#"{{"list":[{{"id":{key},"ts":TS,"v":1}}]}}"#);
        let told = ticks(&contract, "{}", &body, r#""data":[]"#).run();
        assert_eq!(&*told.first(Class::MissingOnWs).stream, label);
    }
}

#[test]
fn polls_of_features_that_nobody_declared_are_counted() {
    let contract = feature(REST, "v = { type = \"integer\" }", "");
    let mut script =
        ticks(&contract, "{}", r#"{"list":[{"id":1,"ts":TS,"v":5}]}"#, r#""data":{"id":1,"ts":TS,"v":5}"#);
    script.rest(50.0, 50.1, "g", r#"{"list":[]}"#);
    script.event(60.0, Event::RestSkipped { feature: "h".into(), params: "{}".into() });
    let told = script.run();
    assert_eq!(told.outcome.notes, ["2 polls were of features that are not judged here, `g` first"]);
}

#[test]
fn each_feature_accepts_a_drop_by_itself() {
    let waiver = "[[waiver]]\nfeature = \"f\"\nclass = \"connection_drop\"\nreason = \"r\"\nowner = \"o\"\nuntil = 2026-12-31\n";
    let second = "[[feature]]\nname = \"g\"\nalign = \"arrival\"\ninterval = \"10s\"\nkey = [\"id\"]\n\
                  rest = { path = \"/g\", poll = \"10s\" }\nws = { type = \"g\" }\nfields = { id = { type = \"integer\" } }\n";
    for (tail, waived, verdicts) in [
        (waiver.to_string(), true, &[Verdict::Pass][..]),
        (format!("{waiver}{second}"), false, &[Verdict::Pass, Verdict::Fail]),
    ] {
        let mut script = Script::new(&feature(REST, "v = { type = \"integer\" }", &tail));
        script.open(0.0).close(50.0, ClosedBy::Peer).event(50.5, Event::WsOpen { conn: 1 }).end(100.0);
        let told = script.run();
        assert_eq!(told.first(Class::ConnectionDrop).waived, waived);
        let drops = |f: usize| {
            let checks = &told.outcome.features[f].checks;
            checks.iter().find(|c| c.check == "no-drops").unwrap().verdict.unwrap()
        };
        assert_eq!((0..verdicts.len()).map(drops).collect::<Vec<_>>(), verdicts);
    }
}

#[test]
fn absurd_numbers_of_the_tool_itself_do_no_harm() {
    let mut script = Script::new(&feature(REST, "v = { type = \"integer\" }", ""));
    script.open(0.0);
    script
        .event(1.0, Event::SelfStall { millis: u64::MAX })
        .event(2.0, Event::SelfStall { millis: i64::MAX as u64 });
    script.event(3.0, Event::WsRtt { conn: 0, micros: u64::MAX }).end(10.0);
    assert!(script.run().outcome.notes.iter().any(|note| note.contains("held up")));
}
