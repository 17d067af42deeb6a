//! Records that go away: lists that are whole, messages that name what is gone, and patches of what was sent before
//! (`mode`, `removed`, `changed`).

mod common;

use common::{HEAD, Script, Told, contract};
use cutover::contract::parse;
use cutover::model::{ClosedBy, Verdict};

/// Orders of two accounts, of which each poll and each message shows one.
fn orders(rest_mode: &str, ws_mode: &str) -> String {
    format!(
        r#"{HEAD}
[[feature]]
name = "orders"
align = "arrival"
interval = "10s"
key = ["account", "id"]
rest = {{ path = "/orders/{{account}}", poll = "10s", each = {{ account = [1, 2] }}, mode = "{rest_mode}" }}
ws = {{ type = "orders", records = "/orders", mode = "{ws_mode}" }}
[feature.fields]
account = {{ type = "integer", rest = "@account", ws = "$/account" }}
id = {{ type = "string" }}
price = {{ type = "decimal" }}
"#
    )
}

/// Which orders of an account a side shows at a second.
type Shows = fn(account: u32, second: f64) -> &'static [&'static str];

const BOTH: [&str; 2] = ["a", "b"];

fn list(ids: &[&str]) -> String {
    let orders: Vec<String> = ids.iter().map(|id| format!(r#"{{"id":"{id}","price":"1.50"}}"#)).collect();
    format!("[{}]", orders.join(","))
}

/// Polls every ten seconds from 3 s, messages every ten seconds from 5 s; an upsert says nothing of an empty list.
fn script(contract_text: &str, rest: Shows, ws: Shows) -> Script {
    let mut script = Script::new(&contract(contract_text));
    script.open(0.0);
    for tick in 0..30 {
        let base = f64::from(tick) * 10.0;
        for (account, params) in [(1, r#"{"account":1}"#), (2, r#"{"account":2}"#)] {
            let asked = base + 3.0 + f64::from(account) * 0.1;
            script.rest_with(asked, asked + 0.05, "orders", params, list(rest(account, asked)));
            let sent = base + 5.0 + f64::from(account) * 0.1;
            let body = list(ws(account, sent));
            script.ws(sent, format!(r#"{{"type":"orders","account":{account},"orders":{body}}}"#));
        }
    }
    script.end(300.0);
    script
}

/// Of account 1: `a` goes between a poll and a message, and comes back later; of account 2 everything goes.
fn moving(account: u32, second: f64) -> &'static [&'static str] {
    match (account, second) {
        (1, s) if (104.0..184.0).contains(&s) => &["b"],
        (2, s) if s >= 204.0 => &[],
        _ => &BOTH,
    }
}

#[test]
fn what_goes_and_comes_on_both_sides_is_no_finding() {
    for (rest, ws) in
        [("snapshot", "snapshot"), ("snapshot", "upsert"), ("upsert", "snapshot"), ("upsert", "upsert")]
    {
        let told = script(&orders(rest, ws), moving, moving).run();
        assert_eq!(told.lines(), [""; 0], "{rest} {ws}");
        assert_eq!(told.verdict("values-match"), Verdict::Pass);
        assert_eq!(told.verdict("no-gaps"), Verdict::Pass, "{rest} {ws}");
    }
}

#[test]
fn a_feed_that_is_a_poll_behind_is_no_finding() {
    let behind: Shows = |account, second| moving(account, second - 9.0);
    let told = script(&orders("snapshot", "snapshot"), behind, moving).run();
    assert_eq!(told.lines(), [""; 0]);
    let told = script(&orders("snapshot", "snapshot"), moving, behind).run();
    assert_eq!(told.lines(), [""; 0]);
}

#[test]
fn what_only_the_websocket_says_is_gone_is_missing() {
    let gone: Shows = |account, second| if account == 1 && second > 100.0 { &["b"] } else { &BOTH };
    let told = script(&orders("snapshot", "snapshot"), |_, _| &BOTH, gone).run();
    assert!(told.lines().contains(&"missing_row account=1,id=a".to_string()), "{:?}", told.lines());
    assert!(told.lines().iter().all(|line| line.contains("account=1,id=a")), "{:?}", told.lines());
    assert_eq!(told.verdict("values-match"), Verdict::Fail);
    // Whoever lists by upserts alone says nothing by leaving out.
    let told = script(&orders("snapshot", "upsert"), |_, _| &BOTH, gone).run();
    assert!(!told.lines().iter().any(|line| line.starts_with("missing_row")), "{:?}", told.lines());
}

#[test]
fn what_only_rest_lists_no_more_is_extra() {
    let gone: Shows = |account, second| if account == 2 && second > 100.0 { &["a"] } else { &BOTH };
    for mode in ["snapshot", "upsert"] {
        let told = script(&orders("snapshot", mode), gone, |_, _| &BOTH).run();
        assert_eq!(told.lines(), ["extra_row account=2,id=b"], "{mode}");
        assert_eq!(told.verdict("values-match"), Verdict::Fail);
    }
    let told = script(&orders("upsert", "snapshot"), gone, |_, _| &BOTH).run();
    assert_eq!(told.lines(), [""; 0], "REST said nothing");
}

/// One poll that fits nothing may be a race, however often the record stands in it.
#[test]
fn a_key_that_stands_twice_in_an_answer_is_one_poll() {
    let twice: Shows = |account, s| match account {
        1 if s < 108.0 => &["a", "b", "a"],
        1 => &["b"],
        _ => &BOTH,
    };
    let gone: Shows = |account, s| if account == 1 && s > 84.0 { &["b"] } else { &BOTH };
    let told = script(&orders("snapshot", "snapshot"), twice, gone).run();
    assert!(!told.lines().iter().any(|line| line.starts_with("missing_row")), "{:?}", told.lines());
    // A poll more is no race any longer.
    let longer: Shows = |account, s| if account == 1 && s > 118.0 { &["b"] } else { &BOTH };
    let told = script(&orders("snapshot", "snapshot"), longer, gone).run();
    assert!(told.lines().contains(&"missing_row account=1,id=a".to_string()), "{:?}", told.lines());
}

#[test]
fn an_empty_list_is_whole_for_its_own_account_alone() {
    let told = script(
        &orders("snapshot", "snapshot"),
        |account, s| if account == 1 && s > 104.0 { &[] } else { &BOTH },
        |account, s| if account == 1 && s > 104.0 { &[] } else { &BOTH },
    )
    .run();
    assert_eq!(told.lines(), [""; 0]);
}

#[test]
fn a_list_with_a_record_that_has_no_key_says_nothing_of_the_others() {
    let mut script = Script::new(&contract(&orders("snapshot", "snapshot")));
    script.open(0.0);
    for tick in 0..30 {
        let base = f64::from(tick) * 10.0;
        script.rest_with(base + 3.0, base + 3.1, "orders", r#"{"account":1}"#, list(&BOTH));
        let body =
            if tick < 10 { list(&BOTH) } else { r#"[{"price":"1.50"},{"id":"b","price":"1.50"}]"#.into() };
        script.ws(base + 5.0, format!(r#"{{"type":"orders","account":1,"orders":{body}}}"#));
    }
    let told = script.end(300.0).run();
    assert!(!told.lines().iter().any(|line| line.starts_with("missing_row")), "{:?}", told.lines());
}

#[test]
fn nothing_is_known_while_the_connection_is_down() {
    let mut script = Script::new(&contract(&orders("snapshot", "snapshot")));
    script.open(0.0);
    for tick in 0..12 {
        let base = f64::from(tick) * 10.0;
        let shown: &[&str] = if tick < 6 { &BOTH } else { &["b"] };
        script.rest_with(base + 3.0, base + 3.1, "orders", r#"{"account":1}"#, list(shown));
        if tick < 5 {
            script.ws(base + 5.0, format!(r#"{{"type":"orders","account":1,"orders":{}}}"#, list(&BOTH)));
        }
    }
    script.close(48.0, ClosedBy::Peer);
    let told = script.end(120.0).run();
    assert!(!told.lines().iter().any(|line| line.contains("row")), "{:?}", told.lines());
}

/// Entities: all of them first, then the members that changed, then the names of those that are gone.
fn entities() -> String {
    format!(
        r#"{HEAD}
[[feature]]
name = "entities"
align = "arrival"
interval = "10s"
cadence = "on-change"
key = ["entity_id"]
rest = {{ path = "/api/states", poll = "5s", mode = "snapshot" }}
ws = {{ has = ["/event/a", "/event/c", "/event/r"], records = "/event/*", index = "entity_id", mode = "patch", changed = "+", removed = "/event/r" }}
[feature.fields]
entity_id = {{ type = "string" }}
state = {{ type = "string", ws = "s" }}
unit = {{ type = "string", ws = "u" }}
"#
    )
}

/// Polls every five seconds; what the WebSocket says stands in `events`.
fn house(shows: fn(f64) -> String, events: &[(f64, &str)]) -> Told {
    let mut script = Script::new(&contract(&entities()));
    script.open(0.0);
    for tick in 0..40 {
        let at = f64::from(tick) * 5.0 + 1.0;
        script.rest(at, at + 0.1, "entities", shows(at));
    }
    for (at, event) in events {
        script.ws(*at, format!(r#"{{"id":2,"event":{event}}}"#));
    }
    script.end(200.0).run()
}

const ALL: &str = r#"{"a":{"light":{"s":"off","u":"lx"},"door":{"s":"shut","u":"-"}}}"#;

fn states(light: &str, door: bool) -> String {
    let door = if door { r#",{"entity_id":"door","state":"shut","unit":"-"}"# } else { "" };
    format!(r#"[{{"entity_id":"light","state":"{light}","unit":"lx"}}{door}]"#)
}

fn turning(at: f64) -> &'static str {
    const STATES: [&str; 7] = ["off", "on", "dim", "red", "blue", "off", "on"];
    STATES[((at - 7.0) / 20.0).floor().clamp(-1.0, 5.0) as usize + usize::from(at >= 7.0)]
}

fn changes() -> Vec<(f64, String)> {
    (0..6)
        .map(|k| {
            let at = 7.5 + f64::from(k) * 20.0;
            (at, format!(r#"{{"c":{{"light":{{"+":{{"s":"{}"}}}}}}}}"#, turning(at)))
        })
        .collect()
}

#[test]
fn a_patch_is_folded_onto_what_was_sent_before() {
    let changes = changes();
    let mut events = vec![(0.5, ALL)];
    events.extend(changes.iter().map(|(at, event)| (*at, event.as_str())));
    let told = house(|at| states(turning(at), true), &events);
    assert_eq!(told.lines(), [""; 0]);
    assert_eq!(told.verdict("values-match"), Verdict::Pass);
    assert_eq!(told.verdict("required-fields"), Verdict::Pass);

    // The unit, which no patch names, is still held against REST's.
    let told =
        house(|at| states(turning(at), true).replace("lx", if at > 100.0 { "lm" } else { "lx" }), &events);
    assert!(told.lines().iter().any(|line| line.ends_with("entity_id=light unit")), "{:?}", told.lines());
    assert_eq!(told.verdict("values-match"), Verdict::Fail);
}

#[test]
fn a_patch_of_what_was_never_sent_whole_is_not_judged() {
    let changes = changes();
    let events: Vec<(f64, &str)> = changes.iter().map(|(at, event)| (*at, event.as_str())).collect();
    let told = house(|at| states(turning(at), true), &events);
    assert!(!told.lines().iter().any(|line| line.contains("missing_field")), "{:?}", told.lines());
    assert_ne!(told.verdict("values-match"), Verdict::Pass);
    assert_ne!(told.outcome.features[0].verdict, Verdict::Pass);
}

#[test]
fn what_a_message_names_as_gone_has_to_go_on_rest_too() {
    for gone in [r#"{"r":["door"]}"#, r#"{"r":"door"}"#, r#"{"r":{"door":null}}"#] {
        let events = [(0.5, ALL), (61.5, gone)];
        let told = house(|at| states("off", at < 61.0), &events);
        assert_eq!(told.lines(), [""; 0], "{gone}");
        let told = house(|_| states("off", true), &events);
        assert_eq!(told.lines(), ["missing_row entity_id=door"], "{gone}");
    }
    // And what comes again is there again.
    let again = r#"{"a":{"door":{"s":"shut","u":"-"}}}"#;
    let told = house(
        |at| states("off", !(61.0..121.0).contains(&at)),
        &[(0.5, ALL), (61.5, r#"{"r":["door"]}"#), (121.5, again)],
    );
    assert_eq!(told.lines(), [""; 0]);
    // REST lost it, and nobody said so.
    let told = house(|at| states("off", at < 61.0), &[(0.5, ALL)]);
    assert_eq!(told.lines(), ["extra_row entity_id=door"]);
}

#[test]
fn modes_that_say_nothing_are_refused() {
    let whole = entities();
    let cases = [
        ("mode = \"snapshot\" }", "mode = \"patch\" }", "`patch` is no mode of this side"),
        ("mode = \"patch\", changed", "mode = \"upsert\", changed", "it is where a patch stands in a record"),
        (
            "mode = \"patch\", changed = \"+\"",
            "mode = \"snapshot\"",
            "a snapshot says what is gone by leaving it out",
        ),
        ("mode = \"patch\"", "mode = \"pach\"", "is no mode of this side"),
        ("has = [\"/event/a\", \"/event/c\", \"/event/r\"]", "has = []", "`has` names no place"),
        ("key = [\"entity_id\"]", "key = [\"entity_id\", \"unit\"]", "`removed` names records by one field"),
    ];
    for (from, to, why) in cases {
        let text = whole.replace(from, to);
        assert_ne!(text, whole, "{from}");
        let errors = parse("test", &text, &|_| None, false).unwrap_err();
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(all.iter().any(|error| error.contains(why)), "{from} -> {to}: {all:?}");
    }
}
