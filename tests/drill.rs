//! The drill on simulated sessions and on captures of another shape: what is caught, what is
//! explained, and that every mutant is what it says.

#![allow(clippy::disallowed_methods, reason = "a seed may be asked for")]

mod common;

use common::{HEAD, Script, at};
use cutover::contract::{BUILTIN, Contract};
use cutover::drill::{Bounds, Mutant, Plan, Slicer, Stage, alone, mutants, score};
use cutover::model::drill::{DrilledMutant, NotDrilled, Seen};
use cutover::model::{Class, Event, Observation, Payload, Span, Timestamp, Verdict};
use cutover::reference::{Simulation, SimulationOptions};
use std::sync::Arc;

const BOUNDS: Bounds = Bounds { from: None, lasting: Span::from_secs(3_600), most: 100_000 };

/// A simulated session of the built-in world, sliced for one feature.
fn simulated(contract: &Arc<Contract>, feature: &str, minutes: i64) -> Stage {
    let from = Timestamp::parse_rfc3339("2025-12-19T14:30:00Z").unwrap();
    simulated_with(contract, feature, SimulationOptions::new(from, Span::from_secs(minutes * 60)))
}

fn simulated_with(contract: &Arc<Contract>, feature: &str, options: SimulationOptions) -> Stage {
    let index = contract.features.iter().position(|f| *f.name == *feature).unwrap();
    let mut slicer = Slicer::new(contract, index, BOUNDS);
    Simulation::new(options).unwrap().run(|observation| slicer.observe(observation), |_| {});
    Stage::new(alone(contract, index), slicer.finish().unwrap())
}

fn scripted(contract: &Arc<Contract>, script: &Script) -> Stage {
    let mut slicer = Slicer::new(contract, 0, BOUNDS);
    script.observations().iter().for_each(|observation| slicer.observe(observation));
    Stage::new(alone(contract, 0), slicer.finish().unwrap())
}

fn plan(classes: &[Class]) -> Plan {
    Plan { seed: 1, places: 2, classes: classes.to_vec() }
}

fn drill(stage: &Stage, classes: &[Class]) -> (Vec<DrilledMutant>, Vec<NotDrilled>) {
    assert_eq!(stage.clean.outcome.verdict, Verdict::Pass, "{:#?}", stage.clean.outcome.checks);
    let (mutants, none) = mutants(stage, &plan(classes));
    (mutants.iter().map(|mutant| score(stage, mutant)).collect(), none)
}

fn wrong(told: &[DrilledMutant]) -> Vec<&DrilledMutant> {
    told.iter().filter(|m| m.seen.is_wrong()).collect()
}

/// The one answer that all mutants of a field (and size, where one is named) got, and why.
fn answer<'m>(told: &'m [DrilledMutant], class: Class, field: &str, size: &str) -> (Seen, &'m str) {
    let mut list = told
        .iter()
        .filter(|m| m.class == class && m.field == field && (size.is_empty() || m.size == size))
        .map(|m| (m.seen, m.why.as_str()));
    let first = list.next().unwrap_or_else(|| panic!("no {class} of {field}, {size}"));
    for other in list {
        assert_eq!(other.0, first.0, "{class} of {field}: {} and {}", other.1, first.1);
    }
    first
}

// ---- the built-in contract ----

#[test]
fn a_clean_session_hides_nothing_from_the_built_in_contract() {
    let contract = common::contract(BUILTIN);
    for (feature, minutes) in
        [("account_balance", 10), ("positions", 10), ("intraday_bar", 15), ("market_status", 10)]
    {
        let stage = simulated(&contract, feature, minutes);
        let (list, none) = mutants(&stage, &Plan { seed: 1, places: 1, classes: Vec::new() });
        let told: Vec<DrilledMutant> = list.iter().map(|mutant| score(&stage, mutant)).collect();
        assert!(wrong(&told).is_empty(), "{:#?}", wrong(&told));
        // Every class is tried or said not to be.
        for class in Class::ALL {
            let tried = told.iter().any(|m| m.class == *class);
            let said = none.iter().any(|n| n.class == *class && !n.why.is_empty());
            assert!(tried || said, "{feature}: nothing of {class}");
        }
        // What fails a gate by its class is caught somewhere, at its greatest at least.
        for class in Class::ALL.iter().filter(|c| c.severity() == cutover::model::Severity::Fail) {
            let mut tried = told.iter().filter(|m| m.class == *class).peekable();
            if tried.peek().is_some() {
                assert!(tried.any(|m| m.seen == Seen::Caught), "{feature}: {class} is never caught");
            }
        }
    }
}

#[test]
#[ignore = "varied worlds: cargo test --test drill varied -- --ignored"]
fn varied_sessions_hide_nothing_either() {
    let contract = common::contract(BUILTIN);
    let from = Timestamp::parse_rfc3339("2025-12-19T14:30:00Z").unwrap();
    let mut failed = Vec::new();
    // `SEED=3` for one of them.
    let asked: Option<u64> = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in asked.map_or(2..8, |seed| seed..seed + 1) {
        for feature in ["account_balance", "positions", "intraday_bar", "market_status"] {
            let mut options = SimulationOptions::new(from, Span::from_secs(1_200));
            options.seed = seed;
            options.world.seed = seed;
            options.interleave = Span::from_millis((seed as i64 * 37) % 400);
            options.world.sparse = (seed % 3) as usize;
            options.world.forming_updates = seed % 2 == 1;
            options.world.rest_decimal_strings = seed % 3 == 1;
            options.world.live_markets = seed % 5 == 1;
            options.network.clock_offset = Span::from_secs((seed as i64 % 5 - 2) * 45);
            let stage = simulated_with(&contract, feature, options);
            let (list, _) = mutants(&stage, &Plan { seed, places: 2, classes: Vec::new() });
            let told: Vec<DrilledMutant> = list.iter().map(|mutant| score(&stage, mutant)).collect();
            println!("seed {seed} {feature} {}: {}", stage.clean.outcome.verdict, told.len());
            failed.extend(wrong(&told).into_iter().map(|m| format!("seed {seed}: {m:#?}")));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn limits_are_tried_on_both_sides() {
    let contract = common::contract(BUILTIN);
    let (told, _) = drill(&simulated(&contract, "account_balance", 10), &[]);
    let seen = |class, field: &str, size: &str| answer(&told, class, field, size).0;
    assert_eq!(seen(Class::ValueMismatch, "cash", "at the tolerance"), Seen::Quiet);
    assert_eq!(seen(Class::ValueMismatch, "cash", "just above the tolerance"), Seen::Caught);
    for direction in ["slower", "faster"] {
        assert_eq!(
            seen(Class::IntervalDrift, "", &format!("just within the limit, {direction}")),
            Seen::Quiet
        );
        assert_eq!(
            seen(Class::IntervalDrift, "", &format!("just beyond the limit, {direction}")),
            Seen::Caught
        );
    }
    assert_eq!(seen(Class::Jitter, "", "just within the limit"), Seen::Quiet);
    assert_eq!(seen(Class::Jitter, "", "just beyond the limit"), Seen::Caught);
    assert_eq!(seen(Class::Late, "", "just within max_delay"), Seen::Quiet);
    assert_eq!(seen(Class::Late, "", "just beyond max_delay"), Seen::Reported);
    assert_eq!(seen(Class::MissingOnWs, "", "just beyond its settle"), Seen::Caught);
    assert_eq!(seen(Class::ConnectionDrop, "", "closed by us"), Seen::Quiet);
}

// ---- every mutant is what it says ----

/// Leaves of a JSON value by their path.
fn leaves(value: &serde_json::Value, path: &str, out: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(members) => {
            members.iter().for_each(|(name, value)| leaves(value, &format!("{path}/{name}"), out));
        }
        serde_json::Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, value)| leaves(value, &format!("{path}/{i}"), out));
        }
        leaf => out.push((path.to_string(), leaf.to_string())),
    }
}

fn body(observation: &Observation<'_>) -> Option<String> {
    match &observation.event {
        Event::Ws { payload: Payload::Json { text, .. }, .. }
        | Event::Rest { payload: Payload::Json { text, .. }, .. } => Some(text.to_string()),
        _ => None,
    }
}

/// Leaves that differ between two bodies.
fn differing(a: &str, b: &str) -> usize {
    let read = |text: &str| {
        let mut out = Vec::new();
        leaves(&serde_json::from_str(text).unwrap(), "", &mut out);
        out
    };
    let (a, b) = (read(a), read(b));
    let only = |x: &[(String, String)], y: &[(String, String)]| x.iter().filter(|l| !y.contains(l)).count();
    only(&a, &b).max(only(&b, &a))
}

/// Leaves that the second body has more.
fn extra(a: &str, b: &str) -> usize {
    let count = |text: &str| {
        let mut out = Vec::new();
        leaves(&serde_json::from_str(text).unwrap(), "", &mut out);
        out.len()
    };
    count(b).saturating_sub(count(a))
}

/// Observations that the mutant lacks, and that it has more.
fn changed<'t>(
    stage: &'t Stage,
    played: &'t [Observation<'t>],
) -> (Vec<&'t Observation<'t>>, Vec<&'t Observation<'t>>) {
    let gone = stage.tape.iter().filter(|o| !played.contains(o)).map(|o| o as &Observation<'_>).collect();
    let fresh = played.iter().filter(|o| !stage.tape.contains(o)).collect();
    (gone, fresh)
}

fn check_mutant(stage: &Stage, mutant: &Mutant<'_>) {
    let played = mutant.edits.play();
    let context = format!("{} {} {}: {}", mutant.class, mutant.field, mutant.size, mutant.change);
    assert!(played.windows(2).all(|w| w[0].at <= w[1].at), "{context}: time turns back");
    assert!(matches!(played.last().unwrap().event, Event::End { .. }), "{context}: no end");
    let (gone, fresh) = changed(stage, &played);
    assert!(!gone.is_empty() || !fresh.is_empty(), "{context}: nothing changed");
    let one_leaf = |n: usize| {
        assert_eq!((gone.len(), fresh.len()), (1, 1), "{context}");
        let (a, b) = (body(gone[0]).unwrap(), body(fresh[0]).unwrap());
        assert_eq!(differing(&a, &b), n, "{context}: {a} {b}");
        assert_eq!(gone[0].at, fresh[0].at);
    };
    match mutant.class {
        Class::ValueMismatch if mutant.size == "exchanged" => one_leaf(2),
        Class::ValueMismatch | Class::TypeDiffers | Class::NullField | Class::BadValue => one_leaf(1),
        Class::MissingField if mutant.size == "in one message" => one_leaf(1),
        Class::UnexpectedField => one_leaf(1),
        Class::Duplicate => {
            assert_eq!((gone.len(), fresh.len()), (0, 1), "{context}");
            let sent = body(fresh[0]).unwrap();
            // Of a frame with several records it is one of them.
            let holds =
                |o: &Observation<'_>| body(o).is_some_and(|b| differing(&sent, &b) == extra(&sent, &b));
            assert!(stage.tape.iter().any(holds), "{context}: no copy");
        }
        Class::UnknownType | Class::UnknownStream | Class::OutOfOrder => {
            assert_eq!((gone.len(), fresh.len()), (0, 1), "{context}");
        }
        Class::RestError | Class::RestStale => assert_eq!((gone.len(), fresh.len()), (1, 1), "{context}"),
        Class::MissingOnWs | Class::Gap if !mutant.size.contains("settle") => {
            // Frames are gone, or have less in them.
            assert!(!gone.is_empty() && fresh.len() <= gone.len(), "{context}");
            assert!(gone.iter().all(|o| matches!(o.event, Event::Ws { .. })), "{context}");
            for less in &fresh {
                let before = gone.iter().find(|o| o.at == less.at).unwrap();
                let (a, b) = (body(before).unwrap(), body(less).unwrap());
                assert!(b.len() < a.len() && differing(&a, &b) > 0, "{context}");
            }
        }
        Class::IntervalDrift | Class::Jitter => {
            let texts = |list: &[Observation<'_>]| list.iter().filter_map(body).collect::<Vec<_>>();
            assert_eq!(texts(&played), texts(&stage.tape), "{context}: more than the pace");
        }
        Class::ConnectionDrop | Class::Stalled | Class::ConnectFailed => {
            let closes = |list: &[Observation<'_>]| {
                list.iter().filter(|o| matches!(o.event, Event::WsClose { .. })).count()
            };
            assert_eq!(closes(&played), closes(&stage.tape) + 1, "{context}");
            let rest = |list: &[Observation<'_>]| {
                list.iter().filter(|o| matches!(o.event, Event::Rest { .. })).count()
            };
            assert_eq!(rest(&played), rest(&stage.tape), "{context}");
        }
        _ => {}
    }
}

#[test]
fn every_mutant_changes_what_it_says_and_nothing_else() {
    let contract = common::contract(BUILTIN);
    let (quotes, script) = (common::contract(&quotes("")), quotes_seen());
    for stage in [simulated(&contract, "positions", 8), scripted(&quotes, &script)] {
        let (mutants, _) = mutants(&stage, &plan(&[]));
        assert!(mutants.len() > 50, "{}", mutants.len());
        mutants.iter().for_each(|mutant| check_mutant(&stage, mutant));
    }
}

#[test]
fn the_places_follow_from_the_seed() {
    let contract = common::contract(BUILTIN);
    let stage = simulated(&contract, "account_balance", 8);
    let places = |seed| {
        let (mutants, _) = mutants(&stage, &Plan { seed, places: 2, classes: vec![Class::ValueMismatch] });
        mutants.iter().map(|m| (m.place.at, m.change.clone())).collect::<Vec<_>>()
    };
    assert_eq!(places(7), places(7));
    assert_ne!(places(7), places(8));
}

// ---- another shape: records by name, nested values, decimals as text, a parameter ----

fn quotes(more: &str) -> String {
    quotes_with(
        "last = { type = \"decimal\", tolerance = \"0.01%\", rest = \"quote/last\", ws = \"p/l\" }",
        more,
    )
}

fn quotes_with(last: &str, more: &str) -> String {
    let head = HEAD.replace("type = \"/type\"", "type = \"/h/kind\"");
    format!(
        r#"{head}
[[feature]]
name = "quotes"
align = "time"
interval = "5s"
key = ["desk", "id"]
time = "t"
rest = {{ path = "/q/{{desk}}", poll = "5s", records = "/items", index = "id", each = {{ desk = [7] }} }}
ws = {{ type = "q", records = "/d", index = "id" }}
[feature.fields]
desk = {{ type = "integer", rest = "@desk", ws = "$/h/desk" }}
id = {{ type = "string" }}
t = {{ type = "timestamp", rest = "quote/t", ws = "p/t" }}
{last}
lots = {{ type = "integer", rest = "quote/lots", ws = "p/lots" }}
venue = {{ type = "string", compare = false }}
note = {{ type = "string", optional = true }}
{more}"#
    )
}

/// Two instruments at five-second steps for five minutes.
fn quotes_seen() -> Script {
    let contract = common::contract(&quotes(""));
    let mut script = Script::new(&contract);
    script.open(0.0);
    for k in 0..60 {
        let t = 5.0 * f64::from(k) + 1.0;
        let millis = at(t).0 / 1_000_000;
        let item = |name: &str, quote: &str, base: u32| {
            let last = f64::from(base) + f64::from(k) * 0.25;
            format!(
                r#""{name}": {{"{quote}": {{"last": "{last:.2}", "t": {millis}, "lots": {}}}, "venue": "X", "note": "n"}}"#,
                100 + k
            )
        };
        let (a, b) = (item("/ES", "quote", 4000), item("ZN", "quote", 110));
        script.rest_with(t + 0.5, t + 0.6, "quotes", "{\"desk\":7}", format!("{{\"items\": {{{a}, {b}}}}}"));
        let (a, b) = (item("/ES", "p", 4000), item("ZN", "p", 110));
        let (a, b) = (a.replace("\"last\"", "\"l\""), b.replace("\"last\"", "\"l\""));
        script.ws(t + 0.1, format!(r#"{{"h": {{"kind": "q", "desk": 7}}, "d": {{{a}, {b}}}}}"#));
    }
    script.end(302.0);
    script
}

#[test]
fn any_shape_can_be_drilled() {
    let contract = common::contract(&quotes(""));
    let (told, none) = drill(&scripted(&contract, &quotes_seen()), &[]);
    assert!(wrong(&told).is_empty(), "{:#?}", wrong(&told));
    let caught =
        |class, field: &str| assert_eq!(answer(&told, class, field, "").0, Seen::Caught, "{class} {field}");
    caught(Class::ValueMismatch, "lots");
    caught(Class::MissingField, "last");
    caught(Class::WrongType, "t");
    caught(Class::NullField, "desk");
    assert_eq!(answer(&told, Class::ValueMismatch, "last", "at the tolerance").0, Seen::Quiet);
    assert_eq!(answer(&told, Class::ValueMismatch, "last", "just above the tolerance").0, Seen::Caught);
    // The decimal stays text, and one record goes without the other that its frame holds.
    let above = told.iter().find(|m| m.field == "last" && m.size == "just above the tolerance").unwrap();
    assert!(above.change.contains("sent as \""), "{}", above.change);
    let (seen, why) = answer(&told, Class::ValueMismatch, "venue", "");
    assert_eq!((seen, why), (Seen::Explained, "`compare = false`"));
    let (seen, why) = answer(&told, Class::MissingField, "note", "");
    assert_eq!(seen, Seen::Explained);
    assert!(why.contains("optional"), "{why}");
    assert_eq!(answer(&told, Class::UnknownStream, "", "").0, Seen::Reported);
    assert!(none.iter().any(|n| n.class == Class::MissingField && n.field == "id" && n.why.contains("name")));
}

// ---- contracts that look away, each in its way ----

#[test]
fn a_huge_tolerance_is_told() {
    let last = r#"last = { type = "decimal", tolerance = "100000", rest = "quote/last", ws = "p/l" }"#;
    let contract = common::contract(&quotes_with(last, ""));
    let (told, _) = drill(&scripted(&contract, &quotes_seen()), &[Class::ValueMismatch]);
    assert!(wrong(&told).is_empty(), "{:#?}", wrong(&told));
    for size in ["1 % off", "10 % off"] {
        let (seen, why) = answer(&told, Class::ValueMismatch, "last", size);
        assert_eq!(seen, Seen::Explained, "{size}: {why}");
        assert!(why.contains("within the tolerance of 100000"), "{why}");
    }
    assert_eq!(answer(&told, Class::ValueMismatch, "last", "just above the tolerance").0, Seen::Caught);
}

#[test]
fn a_waiver_is_told() {
    let waiver = r#"
[[waiver]]
feature = "quotes"
class = "value_mismatch"
field = "last"
reason = "rounding upstream"
owner = "Ann"
until = 2030-01-01
"#;
    let contract = common::contract(&quotes(&waiver.replace("2030-01-01", "\"2030-01-01\"")));
    let (told, _) = drill(&scripted(&contract, &quotes_seen()), &[Class::ValueMismatch]);
    let (seen, why) = answer(&told, Class::ValueMismatch, "last", "10 % off");
    assert_eq!((seen, why), (Seen::Reported, "waived by Ann: rounding upstream"));
    assert_eq!(answer(&told, Class::ValueMismatch, "lots", "").0, Seen::Caught);
    assert!(wrong(&told).is_empty(), "{:#?}", wrong(&told));
}

#[test]
fn a_source_that_is_switched_off_is_told() {
    let last = r#"last = { type = "decimal", rest = false, ws = "p/l" }"#;
    let contract = common::contract(&quotes_with(last, ""));
    let (told, _) = drill(&scripted(&contract, &quotes_seen()), &[Class::ValueMismatch, Class::NullField]);
    assert!(wrong(&told).is_empty(), "{:#?}", wrong(&told));
    let (seen, why) = answer(&told, Class::ValueMismatch, "last", "");
    assert_eq!(seen, Seen::Explained);
    assert!(why.contains("`rest = false`"), "{why}");
    // Its form is judged still.
    assert_eq!(answer(&told, Class::NullField, "last", "").0, Seen::Caught);
}

#[test]
fn strict_contracts_fail_on_what_others_tell() {
    let strict = "[feature.checks.required-fields]\nstrict_types = true\n[feature.checks.messages-seen]\nstrict_streams = true\n";
    let contract = common::contract(&quotes(strict));
    let classes = [Class::TypeDiffers, Class::UnknownStream];
    let (told, _) = drill(&scripted(&contract, &quotes_seen()), &classes);
    assert_eq!(answer(&told, Class::TypeDiffers, "lots", "").0, Seen::Caught);
    assert_eq!(answer(&told, Class::UnknownStream, "", "").0, Seen::Caught);
    let (told, _) = drill(&scripted(&common::contract(&quotes("")), &quotes_seen()), &classes);
    let (seen, why) = answer(&told, Class::TypeDiffers, "lots", "");
    assert_eq!(seen, Seen::Reported);
    assert!(why.contains("strict_types"), "{why}");
}

// ---- the answers themselves ----

#[test]
fn what_nothing_explains_is_a_miss_and_what_is_allowed_is_no_alarm() {
    use cutover::drill::Expect;
    let contract = common::contract(&quotes(""));
    let stage = scripted(&contract, &quotes_seen());
    let (list, _) = mutants(&stage, &plan(&[Class::ValueMismatch]));
    // Held against the wrong promise, the same mutants are misses and false alarms.
    let harmless = list.iter().find(|m| m.field == "venue").unwrap();
    let missed = score(&stage, &Mutant { expect: Expect::Seen, ..harmless.clone() });
    assert_eq!(missed.seen, Seen::Missed);
    assert!(missed.why.contains("look at"), "{}", missed.why);
    let caught = list.iter().find(|m| m.field == "lots").unwrap();
    let alarm = score(&stage, &Mutant { expect: Expect::Within("it may".into()), ..caught.clone() });
    assert_eq!(alarm.seen, Seen::FalseAlarm);
    assert!(alarm.why.starts_with("it may, and yet: value_mismatch"), "{}", alarm.why);
}

// ---- slices ----

#[test]
fn a_slice_is_bounded_and_whole() {
    let contract = common::contract(BUILTIN);
    let from = Timestamp::parse_rfc3339("2025-12-19T14:30:00Z").unwrap();
    let cut = |bounds: Bounds| {
        let mut slicer = Slicer::new(&contract, 0, bounds);
        let options = SimulationOptions::new(from, Span::from_secs(600));
        Simulation::new(options).unwrap().run(|observation| slicer.observe(observation), |_| {});
        slicer.finish()
    };
    let minute = Span::from_secs(60);
    let tape = cut(Bounds { from: Some(from + minute), lasting: minute * 2, most: 1_000 }).unwrap();
    assert!(matches!(tape[0].event, Event::Start(_)) && matches!(tape[1].event, Event::WsOpen { conn: 0 }));
    assert!(matches!(tape.last().unwrap().event, Event::End { .. }));
    assert!(tape[0].at >= from + minute && tape.last().unwrap().at <= from + minute * 3);
    let own = |o: &Observation<'_>| match &o.event {
        Event::Rest { feature, .. } => feature == "account_balance",
        Event::Ws { payload: Payload::Json { text, .. }, .. } => text.contains("account_balance"),
        _ => true,
    };
    assert!(tape.iter().all(own));
    assert_eq!(cut(Bounds { from: None, lasting: minute * 9, most: 50 }).unwrap().len(), 51);
    // Beyond the end there is nothing.
    assert!(cut(Bounds { from: Some(from + minute * 60), lasting: minute, most: 50 }).is_none());
}
