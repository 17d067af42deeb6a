//! Bodies of other shapes than the built-in contract's: records in nested lists, in trees, keyed by name, none at
//! all; frames known by a number, by what stands in them, by nothing. Each as a real back end sends it.

mod common;

use common::{HEAD, Script, Told, contract};
use cutover::contract::parse;
use cutover::model::{Class, Verdict};

/// Three minutes in which REST and the WebSocket say what they are told to, every ten seconds.
fn told(contract_text: &str, rest: impl Fn(u32) -> String, ws: impl Fn(u32) -> Vec<String>) -> Told {
    let mut script = Script::new(&contract(contract_text));
    script.open(0.0);
    for k in 0..18 {
        let t = f64::from(k) * 10.0 + 1.0;
        for (n, frame) in ws(k).into_iter().enumerate() {
            script.ws(t + n as f64 * 0.01, frame);
        }
        script.rest(t + 3.0, t + 3.1, "values", rest(k));
    }
    script.end(182.0).run()
}

fn clean(told: &Told) {
    assert_eq!(told.lines(), Vec::<String>::new());
    assert_eq!(told.outcome.verdict, Verdict::Pass);
}

fn refused(text: &str) -> String {
    match parse("c.toml", text, &|_| None, false) {
        Ok(_) => String::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}

/// Changes by path and source over the WebSocket, a tree of all paths on REST.
fn tree() -> String {
    let head = HEAD.replace("ignore_types = [\"heartbeat\"]", "ignore_has = [\"/roles\"]");
    format!(
        r#"{head}
[[feature]]
name = "values"
align = "arrival"
interval = "10s"
key = ["path", "source"]
rest = {{ path = "/self", poll = "10s", records = "/vessel", flatten = "value", join = ".", index = "path", except = ["design"] }}
ws = {{ has = "/updates", records = "/updates/*/values/*" }}
[feature.fields]
path = {{ type = "string" }}
source = {{ type = "string", rest = "$source", ws = "../$source" }}
context = {{ type = "string", rest = false, ws = "../../context" }}
value = {{ type = "decimal" }}
"#
    )
}

fn tree_rest(k: u32) -> String {
    let leaf = |source: &str, value: u32| {
        format!(r#"{{"meta":{{"units":"m/s"}},"$source":"{source}","value":{value}}}"#)
    };
    format!(
        r#"{{"vessel":{{"navigation":{{"speed":{},"course":{}}},"design":{{"value":1}},"depth":{},"name":"x","list":[1]}}}}"#,
        leaf("gps", k),
        leaf("compass", k + 1),
        leaf("sounder", k + 2)
    )
}

fn tree_ws(off: u32) -> impl Fn(u32) -> Vec<String> {
    move |k| {
        // What the records need from around them stands before and behind them.
        vec![format!(
            r#"{{"updates":[
                {{"$source":"gps","values":[{{"path":"navigation.speed","value":{k}}}]}},
                {{"meta":[{{"path":"navigation.speed","value":"m/s"}}],"$source":"gps"}},
                {{"values":[{{"path":"navigation.course","value":{}}}],"$source":"compass"}},
                {{"values":[],"$source":"compass"}},
                {{"values":[{{"path":"depth","value":{}}}],"$source":"sounder"}}],"context":"vessels.self"}}"#,
            k + 1,
            k + 2 + off * 50
        )]
    }
}

#[test]
fn changes_in_nested_lists_are_the_leaves_of_a_tree() {
    let met = told(&tree(), tree_rest, tree_ws(0));
    assert_eq!(met.at_least(cutover::model::Severity::Warn), Vec::<String>::new());
    assert_eq!(met.outcome.verdict, Verdict::Pass);
    assert_eq!(met.outcome.features[0].measures.streams, 3);
    let off = told(&tree(), tree_rest, tree_ws(1));
    assert!(off.count(Class::ValueMismatch) > 0 && off.outcome.verdict == Verdict::Fail);
    assert_eq!(&*off.first(Class::ValueMismatch).stream, "path=depth,source=sounder");
    // The record around it is nobody's: without its source a change belongs to no stream.
    let nameless = told(&tree(), tree_rest, |k| {
        vec![format!(
            r#"{{"updates":[{{"values":[{{"path":"depth","value":{k}}}]}}],"context":"vessels.self"}}"#
        )]
    });
    assert!(nameless.count(Class::MissingField) > 0 && nameless.outcome.verdict == Verdict::Fail);
}

#[test]
fn frames_are_known_by_what_stands_in_them() {
    let hello = r#"{"name":"server","roles":["master"],"timestamp":"2025-12-19T14:30:00Z"}"#;
    let with = |frame: &'static str| move |k: u32| [vec![frame.to_string()], tree_ws(0)(k)].concat();
    let welcome = told(&tree(), tree_rest, with(hello));
    assert_eq!((welcome.count(Class::UnknownType), welcome.outcome.connection.ignored_frames), (0, 18));
    // `null` is not there.
    let null = told(&tree(), tree_rest, with(r#"{"updates":null,"name":"server"}"#));
    assert_eq!(null.count(Class::UnknownType), 18);
    // No list where the records should be.
    let scalar = told(&tree(), tree_rest, with(r#"{"updates":7}"#));
    assert_eq!(scalar.count(Class::Malformed), 18);
}

#[test]
fn a_frame_may_carry_several_features() {
    let feature = |name: &str| {
        format!(
            r#"
[[feature]]
name = "{name}"
align = "arrival"
interval = "10s"
key = ["id"]
rest = {{ path = "/{name}", poll = "10s", records = "/{name}" }}
ws = {{ has = "/data/{name}", records = "/data/{name}" }}
[feature.fields]
id = {{ type = "integer" }}
cash = {{ type = "decimal" }}
"#
        )
    };
    let text = format!("{HEAD}{}{}", feature("values"), feature("others"));
    let session = |frame: &dyn Fn(u32) -> String| {
        let mut script = Script::new(&contract(&text));
        script.open(0.0);
        for k in 0..18 {
            let t = f64::from(k) * 10.0 + 1.0;
            script.ws(t, frame(k));
            for name in ["values", "others"] {
                script.rest(t + 3.0, t + 3.1, name, format!(r#"{{"{name}":[{{"id":1,"cash":{k}}}]}}"#));
            }
        }
        script.end(182.0).run()
    };
    let both = session(&|k| {
        format!(r#"{{"data":{{"values":[{{"id":1,"cash":{k}}}],"others":[{{"id":1,"cash":{k}}}]}}}}"#)
    });
    assert_eq!(both.at_least(cutover::model::Severity::Warn), Vec::<String>::new());
    assert_eq!(both.outcome.verdict, Verdict::Pass);
    assert!(both.outcome.features.iter().all(|f| f.measures.pairs == 18), "each has its own");
    let one = session(&|k| format!(r#"{{"data":{{"values":[{{"id":1,"cash":{k}}}]}}}}"#));
    let verdicts: Vec<Verdict> = one.outcome.features.iter().map(|f| f.verdict).collect();
    assert_eq!(verdicts, [Verdict::Pass, Verdict::Fail], "what does not come is not there");
}

/// Pushes under the number of a request, records in the envelope of an event; a list of states on REST.
fn states(rest: &str) -> String {
    format!(
        r#"{HEAD}
[[feature]]
name = "values"
align = "arrival"
interval = "10s"
key = ["entity_id"]
rest = {{ path = "/api/states", poll = "10s", records = ""{rest} }}
ws = {{ type = 7, type_at = "/id", records = "/event/data/new_state", absent = "none" }}
[feature.fields]
entity_id = {{ type = "string" }}
state = {{ type = "string" }}
"#
    )
}

#[test]
fn pushes_are_known_by_the_number_of_their_request() {
    let rest = |k: u32| format!(r#"[{{"entity_id":"sensor.r1","state":"{k}"}}]"#);
    let push = |id: u32, state: &str| {
        format!(
            r#"{{"id":{id},"type":"event","event":{{"data":{{"entity_id":"sensor.r1","new_state":{state}}}}}}}"#
        )
    };
    let record = |k: u32| format!(r#"{{"entity_id":"sensor.r1","state":"{k}"}}"#);
    clean(&told(&states(""), rest, |k| vec![push(7, &record(k))]));
    // Of another request's answers nothing is known.
    let other = told(&states(""), rest, |k| vec![push(8, &record(k))]);
    assert_eq!((other.count(Class::UnknownType), other.outcome.verdict), (18, Verdict::Fail));
    // Something was deleted: no record, and no fault.
    let null = told(&states(""), rest, |k| vec![push(7, &record(k)), push(7, "null")]);
    clean(&null);
    let strict = states("").replace(", absent = \"none\"", "");
    assert_eq!(
        told(&strict, rest, |k| vec![push(7, &record(k)), push(7, "null")]).count(Class::Malformed),
        18
    );
    // Neither is a number a record.
    assert_eq!(
        told(&states(""), rest, |k| vec![push(7, &record(k)), push(7, "7")]).count(Class::Malformed),
        18
    );
}

#[test]
fn members_that_are_no_records_are_left_out() {
    let text = states(", index = \"entity_id\", except = [\"count\", \"self\"]");
    let rest = |k: u32| format!(r#"{{"count":1,"self":{{"state":"x"}},"sensor.r1":{{"state":"{k}"}}}}"#);
    let ws = |k: u32| {
        vec![format!(
            r#"{{"id":7,"event":{{"data":{{"new_state":{{"entity_id":"sensor.r1","state":"{k}"}}}}}}}}"#
        )]
    };
    clean(&told(&text, rest, ws));
    let without = text.replace(", except = [\"count\", \"self\"]", "");
    assert!(told(&without, rest, ws).count(Class::RestError) > 0, "a number is no record");
}

#[test]
fn a_sign_of_life_is_no_data() {
    let head = HEAD.replace("ignore_types", "keepalive_types = [\"pong\"]\nignore_types");
    let text = states("").replace(HEAD, &head);
    let rest = |k: u32| format!(r#"[{{"entity_id":"sensor.r1","state":"{k}"}}]"#);
    // After the first minute the server answers pings, and sends nothing.
    let ws = |k: u32| {
        let pong = r#"{"type":"pong","timestamp":1}"#.to_string();
        let push = format!(
            r#"{{"id":7,"event":{{"data":{{"new_state":{{"entity_id":"sensor.r1","state":"{k}"}}}}}}}}"#
        );
        if k < 6 { vec![push, pong] } else { vec![pong] }
    };
    let silent = told(&text, rest, ws);
    assert_eq!(silent.outcome.verdict, Verdict::Fail);
    assert_eq!(silent.count(Class::UnknownType), 0);
    let connection = &silent.outcome.connection;
    assert_eq!((connection.keepalive_frames, connection.ignored_frames), (18, 0));
    let never = told(&text, rest, |_| vec![r#"{"type":"pong"}"#.to_string()]);
    assert_eq!(never.verdict("messages-seen"), Verdict::Fail);
    let check = never.outcome.features[0].checks.iter().find(|c| c.check == "messages-seen").unwrap();
    assert!(check.note.contains("18 signs of life"), "{}", check.note);
}

#[test]
fn the_ways_to_say_nothing_are_one() {
    let text = states("").replace(
        "state = { type = \"string\" }",
        "state = { type = \"string\" }\nlast = { type = \"decimal\", empty = [\"null\", \"absent\", \"\", \"-\"] }",
    );
    let ways = ["", r#","last":null"#, r#","last":"""#, r#","last":"-""#];
    let rest = |k: u32| format!(r#"[{{"entity_id":"a","state":"{k}"{}}}]"#, ways[k as usize % 4]);
    let push = |k: u32, last: &str| {
        vec![format!(
            r#"{{"id":7,"event":{{"data":{{"new_state":{{"entity_id":"a","state":"{k}"{last}}}}}}}}}"#
        )]
    };
    clean(&told(&text, rest, |k| push(k, ways[(k as usize / 4) % 4])));
    // Nothing is not a number.
    let differs = told(&text, rest, |k| push(k, r#","last":0"#));
    assert!(differs.count(Class::ValueMismatch) > 0);
    let differs =
        told(&text, |k| format!(r#"[{{"entity_id":"a","state":"{k}","last":0}}]"#), |k| push(k, ""));
    assert!(differs.count(Class::ValueMismatch) > 0);
    // Another word is no number.
    assert!(told(&text, rest, |k| push(k, r#","last":"n/a""#)).count(Class::WrongType) > 0);
    // Without the rule what is lacking is lacking.
    let strict = text.replace(", empty = [\"null\", \"absent\", \"\", \"-\"]", "");
    assert!(told(&strict, rest, |k| push(k, "")).count(Class::MissingField) > 0);
}

#[test]
fn a_message_sent_twice_with_two_stamps_is_one() {
    let text =
        states("").replace("interval = \"10s\"", "interval = \"10s\"\ncadence = \"on-change\"").replace(
            "state = { type = \"string\" }",
            "state = { type = \"string\" }\nsent = { type = \"timestamp\", rest = false }",
        );
    let rest = |k: u32| format!(r#"[{{"entity_id":"a","state":"{k}"}}]"#);
    let push = |k: u32, sent: u32, more: u32| {
        format!(
            r#"{{"id":7,"event":{{"data":{{"new_state":{{"entity_id":"a","sent":{},"state":"{k}","more":{more}}}}}}}}}"#,
            1_766_154_600 + k * 10 + sent
        )
    };
    let twice = told(&text, rest, |k| vec![push(k, 0, 1), push(k, 1, 1)]);
    assert_eq!((twice.count(Class::Duplicate), twice.outcome.verdict), (18, Verdict::Pass));
    // Whatever else changed, it is not the same again.
    assert_eq!(told(&text, rest, |k| vec![push(k, 0, 1), push(k, 1, 2)]).count(Class::Duplicate), 0);
}

#[test]
fn what_has_no_effect_or_no_sense_is_refused_where_it_stands() {
    for (from, to, said) in [
        ("type = 7", "type = 7, has = \"/event\"", "`has` says already"),
        ("type = 7, type_at = \"/id\"", "has = \"\"", "`has` is empty"),
        ("type_at = \"/id\"", "type_at = \"id\"", "begins with `/`"),
        ("absent = \"none\"", "absent = \"nothing\"", "nothing that an absent list"),
        ("absent = \"none\"", "join = \".\"", "only the names of a flattened tree"),
        ("absent = \"none\"", "except = [\"a\"]", "that `index` names"),
        ("absent = \"none\"", "flatten = \"value\"", "`flatten` needs `index`"),
        (
            "state = { type = \"string\" }",
            "state = { type = \"string\", ws = \"../../../../x\" }",
            "3 objects stand around",
        ),
        (
            "state = { type = \"string\" }",
            "state = { type = \"string\", rest = \"../x\" }",
            "0 objects stand around",
        ),
        ("state = { type = \"string\" }", "state = { type = \"string\", ws = \"../../../x\" }", ""),
        ("state = { type = \"string\" }", "state = { type = \"string\", empty = \"\" }", "must be a list"),
        ("state = { type = \"string\" }", "state = { type = \"string\", empty = [] }", "`empty` is empty"),
    ] {
        let base = states("");
        assert!(base.contains(from), "{from}");
        let errors = refused(&base.replacen(from, to, 1));
        assert!(errors.contains(said) && errors.is_empty() == said.is_empty(), "{to}\n{errors}");
    }
    let keepalive = HEAD.replace("[\"heartbeat\"]", "[\"heartbeat\"]\nkeepalive_types = [\"values\"]");
    let text =
        states("").replace(HEAD, &keepalive).replace("type = 7, type_at = \"/id\"", "type = \"values\"");
    assert!(refused(&text).contains("what feature `values` reads"), "{}", refused(&text));
}

#[test]
fn ways_in_are_checked_before_anybody_is_asked() {
    let login = |login: &str, ws: &str| {
        let head = HEAD
            .replacen("[ws]", &format!("login = {{ path = \"/login\"{login} }}\n[ws]"), 1)
            .replacen("type = \"/type\"", &format!("type = \"/type\"\n{ws}"), 1);
        states("").replace(HEAD, &head)
    };
    for (inner, ws, said) in [
        ("", "", ""),
        (", form = { a = \"b\" }, cookie = \"jwt\", renew = \"25m\"", "", ""),
        (", refresh = { path = \"/r\", json = { refresh = \"{refresh}\" }, from = \"/refresh\" }", "", ""),
        (", json = { a = 1 }, form = { a = \"b\" }", "", "`json` is sent already"),
        (", method = \"GET\", form = { a = \"b\" }", "", "a GET request has no body"),
        (", cookie = \"a b\"", "", "no cookie's name"),
        (", cookie = \"jwt\", header = \"X\"", "", "`cookie` says already"),
        (", cookies = true, token = \"/access\"", "", "there is no token to look for"),
        (", refresh = { json = { a = 1 } }", "", "`path` is lacking"),
        (", renew = 25", "", "a duration"),
        ("", "open = [{ send = \"{token}\" }, { expect = { \"/type\" = \"ok\" }, timeout = \"3s\" }]", ""),
        ("", "open = [{ send = \"a\", timeout = \"3s\" }]", "nothing is waited for"),
        ("", "open = [{ send = \"a\", expect = { \"/a\" = 1 } }]", "write two steps"),
        ("", "open = [{ expect = {} }]", "`expect` is empty"),
        ("", "open = [{ expect = { type = \"ok\" } }]", "begins with `/`"),
        ("", "open = [{ expect = { \"/a\" = [] } }]", "a text, a number or a boolean"),
        ("", "open = [{}]", "a step needs"),
        ("", "protocols = [\"a b\"]", "no subprotocol's name"),
        (", cookies = true", "subscribe = [\"{token}\"]", "gives a token; add one"),
    ] {
        let errors = refused(&login(inner, ws));
        assert!(errors.contains(said) && errors.is_empty() == said.is_empty(), "{inner} {ws}\n{errors}");
    }
    let nobody = states("").replace("type = \"/type\"", "type = \"/type\"\nsubscribe = [\"{token}\"]");
    assert!(
        refused(&nobody).contains("`{token}` in `subscribe` of [ws]: no `login`"),
        "{}",
        refused(&nobody)
    );
    let pages = |pages: &str| states(&format!(", pages = {pages}"));
    assert_eq!(refused(&pages("{ next = \"/next\", most = 5 }")), "");
    assert!(refused(&pages("{ most = 5 }")).contains("`next` is lacking"));
    assert!(refused(&pages("{ next = \"\" }")).contains("empty pointer"));
}
