//! `doctor` on contracts and feeds that are wrong in one way each: it names that way and its cure, and what it
//! proposes reads the feeds better. Beside each, what a whole run says of the same feeds.

#![allow(clippy::disallowed_methods, reason = "tests write the files they need")]

mod common;

use common::{HEAD, Script, contract};
use cutover::doctor::{Examined, Weight, examine, patched};
use cutover::model::{ClosedBy, Event, Verdict};

const POSITIONS: &str = r#"
[[feature]]
name = "positions"
align = "arrival"
interval = "10s"
key = ["symbol"]
rest = { path = "/positions", poll = "10s", records = "/positions" }
ws = { type = "positions", records = "/data" }
[feature.fields]
symbol = { type = "string" }
side = { type = "enum", values = ["LONG", "SHORT"] }
value = { type = "decimal" }
"#;

fn text() -> String {
    format!("{HEAD}{POSITIONS}")
}

/// What both feeds say at the k-th tick: a REST body, and frames with their delay after it in seconds.
struct Feeds {
    rest: fn(u32) -> String,
    ws: fn(u32) -> Vec<(f64, String)>,
    /// What befalls the connection besides.
    connection: fn(&mut Script),
}

fn rest(k: u32) -> String {
    format!(
        r#"{{"positions":[{{"symbol":"ES","side":"LONG","value":"{}.25"}},{{"symbol":"NQ","side":"{}","value":"7"}}]}}"#,
        100 + k,
        ["LONG", "SHORT"][k as usize % 2]
    )
}

fn frame(k: u32) -> String {
    format!(
        r#"{{"type":"positions","data":[{{"symbol":"ES","side":"LONG","value":{}.25}},{{"symbol":"NQ","side":"{}","value":7}}]}}"#,
        100 + k,
        ["LONG", "SHORT"][k as usize % 2]
    )
}

const HEALTHY: Feeds = Feeds { rest, ws: |k| vec![(0.0, frame(k))], connection: |_| {} };

fn script(contract_text: &str, feeds: &Feeds) -> Script {
    let mut script = Script::new(&contract(contract_text));
    script.open(0.0);
    for k in 0..18 {
        let t = f64::from(k) * 10.0 + 1.0;
        for (delay, text) in (feeds.ws)(k) {
            script.ws(t + delay, text);
        }
        script.rest(t + 3.0, t + 3.1, "positions", (feeds.rest)(k));
    }
    (feeds.connection)(&mut script);
    script.end(182.0);
    script
}

fn examined(contract_text: &str, feeds: &Feeds) -> (Examined, Verdict) {
    let script = script(contract_text, feeds);
    let verdict = script.run().outcome.verdict;
    (examine(script.contract(), &script.observations()), verdict)
}

/// What a whole run comes to: the checks that give it its verdict, or the findings that fail none.
fn run_says(contract_text: &str, feeds: &Feeds) -> String {
    let outcome = script(contract_text, feeds).run().outcome;
    let checks = outcome.features.iter().flat_map(|f| &f.checks);
    let decisive = checks.filter(|c| c.verdict == Some(outcome.verdict));
    let said: Vec<String> = match outcome.verdict {
        Verdict::Pass => outcome
            .findings
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(class, n)| format!("{n} `{class}`"))
            .collect(),
        Verdict::Fail => decisive.map(|c| format!("`{}`: {}", c.check, c.observed)).collect(),
        Verdict::Inconclusive => decisive.map(|c| format!("`{}`", c.check)).collect(),
    };
    [vec![outcome.verdict.to_string()], said].concat().join("<br>")
}

fn faults(examined: &Examined) -> Vec<&'static str> {
    examined.complaints.iter().filter(|c| c.weight == Weight::Fault).map(|c| c.code).collect()
}

/// How the contract is wrong, what feeds say, the code, a phrase of the cure, and the verdict of a whole run.
struct Row {
    /// In words.
    what: &'static str,
    edits: &'static [(&'static str, &'static str)],
    feeds: Feeds,
    code: &'static str,
    cure: &'static str,
    verdict: Verdict,
    /// The proposed contract cures it.
    cured: bool,
}

fn contract_row(
    what: &'static str,
    from: &'static str,
    to: &'static str,
    code: &'static str,
    cure: &'static str,
) -> Row {
    let edits: &'static [_] = Box::leak(Box::new([(from, to)]));
    Row { what, edits, feeds: HEALTHY, code, cure, verdict: Verdict::Fail, cured: true }
}

fn feed_row(
    what: &'static str,
    ws: fn(u32) -> Vec<(f64, String)>,
    code: &'static str,
    cure: &'static str,
) -> Row {
    Row { what, edits: &[], feeds: Feeds { ws, ..HEALTHY }, code, cure, verdict: Verdict::Fail, cured: false }
}

fn rows() -> Vec<Row> {
    vec![
        contract_row(
            "the message type is called otherwise",
            "type = \"positions\"",
            "type = \"position\"",
            "ws-other-type",
            "type = \"positions\"",
        ),
        Row {
            // Nothing can be read on the control's side, so nothing is proven either way.
            verdict: Verdict::Inconclusive,
            ..contract_row(
                "`records` of `rest` points nowhere",
                "records = \"/positions\"",
                "records = \"/list\"",
                "rest-records",
                "records = \"/positions\"",
            )
        },
        contract_row(
            "`records` of `ws` points nowhere",
            "records = \"/data\"",
            "records = \"/body\"",
            "ws-records",
            "records = \"/data\"",
        ),
        contract_row(
            "a field is called otherwise in messages",
            "value = { type = \"decimal\" }",
            "value = { type = \"decimal\", ws = \"amount\" }",
            "field-other-name",
            "ws = \"value\"",
        ),
        contract_row(
            "a field's `type` is too narrow",
            "value = { type = \"decimal\" }",
            "value = { type = \"integer\" }",
            "field-other-type",
            "type = \"decimal\"",
        ),
        contract_row(
            "messages come at another pace than `interval`",
            "interval = \"10s\"",
            "interval = \"30s\"",
            "pace",
            "interval = \"10s\"",
        ),
        Row {
            cured: false,
            ..contract_row(
                "an enum has a value that is not in `values`",
                "values = [\"LONG\", \"SHORT\"]",
                "values = [\"LONG\"]",
                "field-bad-value",
                "`values`",
            )
        },
        Row {
            cured: false,
            feeds: Feeds {
                rest: |k| rest(k).replace("\"value\"", &format!("\"pl\":{}.5,\"value\"", 3 * k)),
                ..HEALTHY
            },
            ..contract_row(
                "messages lack a field that REST gives",
                "value = { type = \"decimal\" }",
                "value = { type = \"decimal\" }\npl = { type = \"decimal\" }",
                "field-missing",
                "would lose it",
            )
        },
        // Types nobody declared are no fault, and are told.
        Row {
            feeds: Feeds {
                ws: |k| vec![(0.0, frame(k)), (0.1, r#"{"type":"quote_tick"}"#.into())],
                ..HEALTHY
            },
            verdict: Verdict::Pass,
            ..contract_row("messages of a type that nobody declared", "", "", "ws-undeclared", "ignore_types")
        },
        Row {
            feeds: Feeds { ws: |k| vec![(0.0, frame(k).replace("\"type\"", "\"kind\""))], ..HEALTHY },
            ..contract_row(
                "messages carry their type elsewhere",
                "",
                "",
                "ws-no-type",
                "their type stands at \"/kind\"",
            )
        },
        Row {
            cured: true,
            ..feed_row(
                "keys are written otherwise on one side",
                |k| vec![(0.0, frame(k).replace("\"ES\"", "\"/es\"").replace("\"NQ\"", "\"/nq\""))],
                "key-written-otherwise",
                "[\"upper\", \"strip:/\"]",
            )
        },
        feed_row(
            "keys are other names on one side",
            |k| vec![(0.0, frame(k).replace("\"ES\"", "\"1\"").replace("\"NQ\"", "\"2\""))],
            "key-disjoint",
            "a `map` from one to the other",
        ),
        Row {
            cured: true,
            ..feed_row(
                "one side rounds",
                |k| vec![(0.0, frame(k).replace(".25", ".250192"))],
                "value-rounded",
                "round = 2",
            )
        },
        Row {
            cured: true,
            ..feed_row(
                "one side counts in cents",
                |k| {
                    vec![(
                        0.0,
                        format!(
                            r#"{{"type":"positions","data":[{{"symbol":"ES","side":"LONG","value":{}25}},{{"symbol":"NQ","side":"{}","value":700}}]}}"#,
                            100 + k,
                            ["LONG", "SHORT"][k as usize % 2]
                        ),
                    )]
                },
                "value-scaled",
                "scale = { ws = \"0.01\" }",
            )
        },
        feed_row(
            "values differ, and stay different",
            |k| vec![(0.0, frame(k).replace(".25", ".75"))],
            "value-differs",
            "cutover explain",
        ),
        feed_row(
            "messages never come for some keys of REST",
            |k| vec![(0.0, frame(k).split(r#",{"symbol":"NQ""#).next().unwrap().to_string() + "]}")],
            "ws-lacks-streams",
            "only = { is_active = true }",
        ),
        // F1: the group forgets the client, the socket stays open and answers pings.
        Row {
            edits: &[("[\"heartbeat\"]", "[\"heartbeat\"]\nkeepalive_types = [\"pong\"]")],
            ..feed_row(
                "F1: messages stop, and the socket answers pings",
                |k| if k < 2 { vec![(0.0, frame(k))] } else { vec![(0.0, r#"{"type":"pong"}"#.into())] },
                "ws-stops",
                "CHANNEL_GROUP_EXPIRY",
            )
        },
        // F2: a broadcast without a handler closes every client.
        Row {
            feeds: Feeds {
                ws: |k| vec![(0.0, frame(k))],
                connection: |script| {
                    script.event(
                        181.0,
                        Event::WsClose { conn: 0, code: 1011, reason: "".into(), by: ClosedBy::Peer },
                    );
                },
                ..HEALTHY
            },
            cured: false,
            ..contract_row(
                "F2: the server closes every client with 1011",
                "",
                "",
                "ws-closed-by-error",
                "a message without a handler",
            )
        },
        // F3: the handshake is fine, and nothing ever comes.
        feed_row(
            "F3: the handshake is fine, and nothing comes",
            |_| Vec::new(),
            "ws-silent",
            "is the process that broadcasts running?",
        ),
        // The socket lives, and no feature does.
        Row {
            edits: &[("[\"heartbeat\"]", "[\"heartbeat\"]\nkeepalive_types = [\"pong\"]")],
            ..feed_row(
                "nothing comes but signs of life",
                |_| vec![(0.0, r#"{"type":"pong"}"#.into())],
                "ws-only-keepalive",
                "the socket lives and the feeds do not",
            )
        },
        // F4, F7: one producer fails, others go on.
        feed_row(
            "F4, F7: other types come, this feature's never",
            |k| {
                vec![
                    (0.0, format!(r#"{{"type":"heartbeat","n":{k}}}"#)),
                    (0.5, r#"{"type":"bars","data":[]}"#.into()),
                ]
            },
            "ws-type-missing",
            "an exception that was swallowed",
        ),
        // F5: one group for all. By SPEC 6 it is a warning, unless `strict_streams` says otherwise.
        Row {
            verdict: Verdict::Pass,
            ..feed_row(
                "F5: messages of keys that REST never gives",
                |k| vec![(0.0, frame(k).replace("]}", r#",{"symbol":"PAPER-2","side":"LONG","value":1}]}"#))],
                "ws-strangers",
                "stop there",
            )
        },
        // F6: two schedulers. Nothing is lost or wrong, so a run passes, with a warning for each.
        Row {
            verdict: Verdict::Pass,
            ..feed_row(
                "F6: everything comes twice",
                |k| vec![(0.0, frame(k)), (0.4, frame(k))],
                "ws-twice",
                "two schedulers",
            )
        },
        // F8: a broadcast before the commit. REST follows within a settle, so nothing is found.
        Row {
            feeds: Feeds {
                rest: |k| rest(if k % 5 == 4 { k - 1 } else { k }),
                ws: |k| vec![(2.9, frame(k))],
                ..HEALTHY
            },
            verdict: Verdict::Pass,
            cured: false,
            ..contract_row(
                "F8: now and then REST shows what was before a message, for a moment",
                "",
                "",
                "ws-ahead",
                "send on commit",
            )
        },
        Row {
            feeds: Feeds {
                rest: |_| r#"{"positions":[]}"#.into(),
                ws: |_| vec![(0.0, r#"{"type":"positions","data":[]}"#.into())],
                ..HEALTHY
            },
            verdict: Verdict::Inconclusive,
            cured: false,
            ..contract_row("both sides are empty", "", "", "rest-empty", "an empty list proves nothing")
        },
    ]
}

#[test]
fn each_fault_is_named_with_its_cure() {
    for row in rows() {
        let wrong = row.edits.iter().fold(text(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        let (found, verdict) = examined(&wrong, &row.feeds);
        let told: Vec<_> = found.complaints.iter().map(|c| (c.code, &c.found, &c.cure)).collect();
        let complaint = found.complaints.iter().find(|c| c.code == row.code);
        let complaint = complaint.unwrap_or_else(|| panic!("{} {:?}\n{told:#?}", row.code, row.edits));
        assert!(complaint.cure.contains(row.cure), "{}: {}", row.code, complaint.cure);
        assert_eq!(verdict, row.verdict, "{} {told:#?}", row.code);
        if row.verdict == Verdict::Fail {
            assert_eq!(faults(&found).first(), Some(&row.code), "{told:#?}");
        }
        if row.cured {
            let edits: Vec<_> = found.complaints.iter().flat_map(|c| c.edits.clone()).collect();
            let better =
                patched(&wrong, &edits).unwrap_or_else(|| panic!("{}: nothing is proposed", row.code));
            let (after, verdict) = examined(&better, &row.feeds);
            assert_eq!(
                (faults(&after), verdict),
                (Vec::new(), Verdict::Pass),
                "{}\n{better}\n{:?}",
                row.code,
                after.complaints
            );
        }
    }
}

/// One row a fault: what is wrong, what `doctor` calls it and says of it, and what a run of `watch` comes to.
fn table() -> String {
    let mut table =
        String::from("| what is wrong | `doctor` | its cure | `watch` |\n| --- | --- | --- | --- |\n");
    for row in rows() {
        let wrong = row.edits.iter().fold(text(), |text, (from, to)| text.replacen(from, to, 1));
        let (found, _) = examined(&wrong, &row.feeds);
        let complaint = found.complaints.iter().find(|c| c.code == row.code).unwrap();
        let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
        let run = run_says(&wrong, &row.feeds);
        let cells = [row.what, &format!("`{}`", row.code), &complaint.cure, &run].map(cell);
        table.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    table
}

const PAGE: &str = "docs/doctor.md";
const TABLE: (&str, &str) = ("<!-- begin: made by tests/doctor.rs -->\n", "<!-- end -->\n");

/// The page around its table, and the table.
fn page() -> (String, String, String) {
    let page = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).unwrap();
    let (before, rest) = page.split_once(TABLE.0).unwrap();
    let (table, after) = rest.split_once(TABLE.1).unwrap();
    (before.to_string(), table.to_string(), after.to_string())
}

#[test]
fn the_page_says_what_doctor_says() {
    assert_eq!(page().1, table(), "cargo test --test doctor renew -- --ignored");
}

#[test]
#[ignore = "writes docs/doctor.md"]
fn renew() {
    let (before, _, after) = page();
    let whole = format!("{before}{}{}{}{after}", TABLE.0, table(), TABLE.1);
    std::fs::write(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE), whole).unwrap();
}

#[test]
fn healthy_feeds_give_nothing_to_cure() {
    let (found, verdict) = examined(&text(), &HEALTHY);
    assert_eq!((found.complaints.as_slice(), verdict), (&[][..], Verdict::Pass));
    // A poll under way when a message comes may show either; that is not even worth a word.
    let racing = Feeds {
        rest: |k| rest(if k % 5 == 4 { k - 1 } else { k }),
        ws: |k| vec![(3.05, frame(k))],
        ..HEALTHY
    };
    let (found, verdict) = examined(&text(), &racing);
    assert_eq!((found.complaints.as_slice(), verdict), (&[][..], Verdict::Pass));
}

#[test]
fn what_cannot_be_shown_is_told_as_a_limit() {
    let slow = text().replacen("poll = \"10s\"", "poll = \"20s\"", 1);
    let (found, _) = examined(&slow, &HEALTHY);
    assert!(found.complaints.iter().any(|c| c.code == "limit-poll" && c.weight == Weight::Limit));
    let still = Feeds { rest: |_| rest(0), ws: |_| vec![(0.0, frame(0))], ..HEALTHY };
    let (found, _) = examined(&text(), &still);
    assert!(found.complaints.iter().any(|c| c.code == "limit-nothing-changed"), "{:?}", found.complaints);
    assert_eq!(faults(&found), Vec::<&str>::new());
}
