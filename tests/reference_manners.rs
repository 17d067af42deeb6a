//! Every manner of a fault: it strikes where it was asked to, the truth says so, nothing else changes,
//! and the engine reports what SPEC §6 wants of it. A failure prints the fault and the seed.

mod common;

use common::fold;
use cutover::capture::{decode, encode};
use cutover::contract::BUILTIN;
use cutover::model::{Class, ClosedBy, Event, Observation, Payload, Severity, Span, Timestamp};
use cutover::reference::fault::{MANNERS, Place};
use cutover::reference::{Fault, Simulation, SimulationOptions, TruthEntry};
use serde_json::Value;
use std::collections::BTreeMap;

struct Session {
    lines: Vec<String>,
    truth: Vec<TruthEntry>,
    remarks: Vec<String>,
}

fn session_with(faults: &[&str], seed: u64, change: impl Fn(&mut SimulationOptions)) -> Session {
    let from = Timestamp::parse_rfc3339("2025-12-19T14:30:00.250Z").unwrap();
    let mut options = SimulationOptions::new(from, Span::from_secs(600));
    (options.seed, options.world.seed) = (seed, seed);
    options.faults = faults.iter().map(|text| Fault::parse(text).unwrap()).collect();
    change(&mut options);
    let (mut lines, mut truth) = (Vec::new(), Vec::new());
    let remarks = Simulation::new(options).unwrap().run(
        |observation| {
            let mut line = String::new();
            encode(observation, &mut line);
            lines.push(line);
        },
        |entry| truth.push(entry.clone()),
    );
    Session { lines, truth, remarks }
}

fn session(fault: &str, seed: u64) -> Session {
    session_with(&[fault], seed, |_| {})
}

impl Session {
    fn observations(&self) -> Vec<Observation<'_>> {
        self.lines.iter().map(|line| decode(line).unwrap()).collect()
    }

    fn count(&self, is: impl Fn(&Event<'_>) -> bool) -> usize {
        self.observations().iter().filter(|observation| is(&observation.event)).count()
    }

    /// How often a line of this text came.
    fn counted(&self) -> BTreeMap<&str, usize> {
        let mut counted = BTreeMap::new();
        for line in &self.lines {
            *counted.entry(line.as_str()).or_default() += 1;
        }
        counted
    }

    /// The lines that the other session has not.
    fn beside(&self, other: &Session) -> Vec<Value> {
        let known = other.counted();
        let new = self.lines.iter().filter(|line| !known.contains_key(line.as_str()));
        new.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Without the network's own delays: what a fault moves does not move anything else.
fn quiet(options: &mut SimulationOptions) {
    use cutover::reference::{Latency, Network};
    options.network = Network { rest: Latency::NONE, ws: Latency::NONE, ..Network::default() };
}

/// What differs from the world without the fault.
fn difference(fault: &str) -> (Vec<Value>, Vec<Value>, Session) {
    let (clean, struck) = (session_with(&[], 1, quiet), session_with(&[fault], 1, quiet));
    (struck.beside(&clean), clean.beside(&struck), struck)
}

#[test]
fn messages_differ_where_the_truth_says_so_and_nowhere_else() {
    for (fault, entries) in [
        ("swapped_fields:feature=account_balance,every=5", 2),
        ("swapped_fields:field=high,every=2", 2),
        ("swapped_fields:feature=positions,rate=10%", 2),
        ("type_flip:field=account_number,every=5", 1),
        ("type_flip:feature=market_status,every=5", 1),
        ("duplicate_members:feature=positions,every=5", 1),
        ("truncated_frame:stream=market_id=2,every=3", 1),
        ("binary_frame:feature=account_balance,every=5", 0),
        ("off_by_one_minute:stream=SPY,every=3", 1),
    ] {
        let (new, gone, struck) = difference(fault);
        assert_eq!(new.len(), gone.len(), "{fault}");
        assert!(new.len() >= 2, "{fault}: {}", new.len());
        assert_eq!(struck.truth.len(), entries * new.len(), "{fault}");
        assert!(new.iter().all(|line| line["kind"] == "ws"), "{fault}");
        for (index, entry) in struck.truth.iter().enumerate() {
            let line = &new[index / entries];
            assert_eq!(line["at"], entry.at.to_string(), "{fault}");
            let body = line["body"].to_string();
            let value = entry.stream.rsplit('=').next().unwrap();
            assert!(line.get("text").is_some() || body.contains(value), "{fault}: {entry:?}\n{line}");
            assert!(line.get("text").is_some() || body.contains(entry.field), "{fault}: {entry:?}\n{line}");
        }
    }
}

#[test]
fn what_is_sent_is_what_the_manner_promises() {
    let (new, gone, _) = difference("swapped_fields:field=buying_power,every=5");
    for (new, gone) in new.iter().zip(&gone) {
        assert_eq!(new["body"]["data"]["cash"], gone["body"]["data"]["buying_power"]);
        assert_eq!(new["body"]["data"]["buying_power"], gone["body"]["data"]["cash"]);
    }
    let (new, _, _) = difference("type_flip:every=9");
    assert!(new.iter().any(|line| line["body"]["data"]["cash"].is_string()));
    let (new, _, struck) = difference("type_flip:field=account_number,every=9");
    assert!(new.iter().all(|line| line["body"]["data"]["account_number"].is_number()));
    assert!(struck.truth.iter().all(|entry| entry.class == Class::WrongType));
    let (new, gone, _) = difference("binary_frame:every=9");
    for (new, gone) in new.iter().zip(&gone) {
        assert_eq!((&new["binary"], &new["body"]), (&Value::Bool(true), &gone["body"]));
    }
    let struck = session("duplicate_members:feature=account_balance,every=9", 1);
    let twice = |line: &&String| line.matches("\"cash\":").count() == 2 && line.contains("\"kind\":\"ws\"");
    assert_eq!(struck.lines.iter().filter(twice).count(), struck.truth.len());
    let (new, gone, _) = difference("off_by_one_minute:stream=SPY,every=3");
    for (new, gone) in new.iter().zip(&gone) {
        let minute = |line: &Value| {
            Timestamp::parse_rfc3339(line["body"]["data"]["timestamp_minute"].as_str().unwrap()).unwrap()
        };
        assert_eq!(minute(new) - minute(gone), Span::from_secs(60));
        assert_eq!(new["body"]["data"]["close"], gone["body"]["data"]["close"]);
    }
}

#[test]
fn a_stale_snapshot_has_old_values_under_a_new_time() {
    let (new, gone, struck) = difference("stale_snapshot:feature=account_balance,every=5");
    assert!(new.len() > 5);
    let clean = session_with(&[], 1, quiet);
    for (new, gone) in new.iter().zip(&gone) {
        let (new, gone) = (&new["body"]["data"], &gone["body"]["data"]);
        assert_eq!(new["timestamp"], gone["timestamp"]);
        let old = Timestamp::parse_rfc3339(new["timestamp"].as_str().unwrap()).unwrap() - Span::from_secs(30);
        let cash = format!("\"account_id\":{},", new["account_id"]);
        let of_old =
            |line: &&String| line.contains(&cash) && line.contains(&format!("\"timestamp\":\"{old}\""));
        let line: Value = serde_json::from_str(clean.lines.iter().find(of_old).unwrap()).unwrap();
        assert_eq!(line["body"]["data"]["cash"], new["cash"]);
    }
    assert_eq!(struck.truth.len(), 2 * new.len());
}

#[test]
fn additional_frames_are_additional() {
    for (fault, member) in [("garbage_frame", "text"), ("garbage_binary", "base64")] {
        let (new, gone, struck) = difference(&format!("{fault}:feature=positions"));
        assert!(gone.is_empty() && new.len() > 5, "{fault}");
        assert!(new.iter().all(|line| line.get(member).is_some()), "{fault}: {new:?}");
        assert_eq!(new.len(), struck.truth.len());
        assert!(struck.truth.iter().all(|t| (t.class, t.feature.len()) == (Class::Malformed, 0)));
    }
}

#[test]
fn rest_mixes_two_versions_alike_in_every_answer() {
    let (new, gone, struck) = difference("mixed_versions:feature=account_balance,stream=123,every=3");
    assert_eq!((new.len(), gone.len()), (struck.truth.len(), struck.truth.len()));
    assert!(new.len() > 5);
    for ((new, gone), entry) in new.iter().zip(&gone).zip(&struck.truth) {
        let (new, gone) = (&new["body"]["accounts"][0], &gone["body"]["accounts"][0]);
        assert_eq!((&new["cash"], &new["timestamp"]), (&gone["cash"], &gone["timestamp"]));
        assert_ne!(new["buying_power"], gone["buying_power"]);
        assert_eq!(new["timestamp"], entry.event_time.unwrap().to_string());
    }
}

#[test]
fn rest_is_slow_hangs_and_is_limited() {
    let slow = session("slow_rest:feature=positions,every=4,by=3s", 1);
    let lasted = |event: &Event<'_>, at: Timestamp| match event {
        Event::Rest { sent_at, .. } => at - *sent_at,
        _ => Span::ZERO,
    };
    let long = |o: &Observation<'_>| lasted(&o.event, o.at) > Span::from_secs(3);
    let count = slow.observations().iter().filter(|o| long(o)).count();
    assert!(count > 5 && slow.truth.is_empty());
    assert!(slow.remarks[0].contains(&format!("struck {count} times")), "{:?}", slow.remarks);

    let hanging = session("hanging_rest:feature=intraday_bar,every=60", 1);
    let gave_up = |o: &Observation<'_>| match &o.event {
        Event::RestError { sent_at, error, .. } => {
            error == "timeout" && o.at - *sent_at == Span::from_secs(5)
        }
        _ => false,
    };
    assert_eq!(hanging.observations().iter().filter(|o| gave_up(o)).count(), hanging.truth.len());
    // A poll each second finds the one before it still under way.
    assert!(hanging.count(|e| matches!(e, Event::RestSkipped { .. })) >= 4 * hanging.truth.len());

    let limited = session("rate_limited:at=60s,for=30s", 1);
    let refused = limited.count(|e| matches!(e, Event::RestError { status: Some(429), .. }));
    assert_eq!(refused, limited.truth.len());
    assert!((30..=45).contains(&refused), "{refused}");
}

#[test]
fn connections_end_as_they_were_asked_to() {
    let closes = |fault: &str| {
        let session = session(fault, 1);
        let mut found = Vec::new();
        for observation in session.observations() {
            if let Event::WsClose { code, by, .. } = observation.event {
                found.push((code, by));
            }
        }
        assert_eq!(found.len(), session.truth.len(), "{fault}");
        assert!(session.count(|e| matches!(e, Event::WsOpen { .. })) == 2, "{fault}");
        found[0]
    };
    for code in [1001, 1011, 1012] {
        assert_eq!(closes(&format!("connection_drop:at=60s,code={code}")), (code, ClosedBy::Peer));
    }
    assert_eq!(closes("connection_drop:at=60s,code=1006"), (1006, ClosedBy::Network));
    assert_eq!(closes("abrupt_reset:at=60s"), (1006, ClosedBy::Network));
    assert_eq!(closes("half_open:at=60s"), (1006, ClosedBy::Stalled));
    assert_eq!(closes("oversize_frame:at=60s"), (1009, ClosedBy::Us));
    let big = session_with(&["oversize_frame:at=60s"], 1, |options| options.max_message = 1000);
    let told = |e: &Event<'_>| {
        matches!(e, Event::WsError { error, detail, .. }
        if error == "too_big" && detail == "1001 bytes; max_message is 1000")
    };
    assert_eq!(big.count(told), 1);
}

#[test]
fn history_is_told_again_after_a_reconnect() {
    let session = session("replayed_history:feature=positions,at=100s", 1);
    assert_eq!(session.truth.iter().filter(|t| t.class == Class::ConnectionDrop).count(), 1);
    let again: Vec<_> = session.truth.iter().filter(|t| t.class == Class::OutOfOrder).collect();
    assert_eq!(again.len(), 3 * 2);
    let opened = |line: &String| line.contains("\"kind\":\"ws_open\"") && line.contains("\"conn\":1");
    let open = session.lines.iter().position(opened).unwrap();
    for entry in again {
        let time = format!("\"timestamp\":\"{}\"", entry.event_time.unwrap());
        let id = entry.stream.replace("account_id=", "\"account_id\":");
        let is =
            |line: &&String| line.contains(&time) && line.contains(&id) && line.contains("\"kind\":\"ws\"");
        assert_eq!(session.lines[..open].iter().filter(is).count(), 1);
        assert_eq!(session.lines[open..].iter().filter(is).count(), 1);
    }
}

#[test]
fn several_connections_share_the_streams() {
    let three = session_with(&["abrupt_reset:at=60s"], 1, |options| options.connections = 3);
    assert_eq!(three.count(|e| matches!(e, Event::WsOpen { .. })), 4);
    assert_eq!(three.count(|e| matches!(e, Event::WsClose { .. })), 1);
    // Each version comes once, on the connection that carries its stream; heartbeats on all.
    let mut carried: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let mut beating = std::collections::BTreeSet::new();
    for observation in three.observations() {
        let Event::Ws { conn, payload: Payload::Json { text, .. }, .. } = observation.event else { continue };
        let message: Value = serde_json::from_str(&text).unwrap();
        if message["type"] == "heartbeat" {
            beating.insert(conn);
        } else if message["type"] == "account_balance" {
            let conns = carried.entry(message["data"]["account_id"].to_string()).or_default();
            conns.push(conn);
        }
    }
    assert_eq!(beating.len(), 4);
    for (account, mut conns) in carried {
        assert!((59..=60).contains(&conns.len()), "{account}: {conns:?}");
        conns.dedup();
        // One of them was reset, and came back under another number.
        assert!(conns.len() <= 2, "{account}: {conns:?}");
    }
}

#[test]
fn a_clock_that_is_off_shows_in_the_times_of_both_feeds() {
    for (fault, offset) in [("clock_skew", 90), ("clock_skew:by=-2m", -120)] {
        let skewed = session(fault, 1);
        assert!(skewed.truth.is_empty());
        for observation in skewed.observations() {
            let Event::Ws { payload: Payload::Json { text, .. }, .. } = observation.event else { continue };
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["type"] != "positions" {
                continue;
            }
            let time = Timestamp::parse_rfc3339(message["data"]["timestamp"].as_str().unwrap()).unwrap();
            let off = time - observation.at;
            assert!((off - Span::from_secs(offset)).0.abs() < 1_000_000_000, "{off}");
        }
    }
}

#[test]
fn a_fault_that_never_struck_is_told() {
    let told = |fault: &str| session(fault, 1).remarks.join("\n");
    assert!(told("gap:at=2h").contains("after the run's end"));
    assert!(told("out_of_order:at=2025-12-20T00:00:00Z").contains("after the run's end"));
    assert!(told("swapped_fields:rate=0.0001%").contains("never struck: nothing came that it fits"));
    assert!(told("binary_frame").contains("a correct verifier stays silent"));
    assert_eq!(told("gap"), "");
    assert_eq!(session_with(&[], 1, |_| {}).remarks, Vec::<String>::new());
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_the_fault() {
    let all: Vec<&str> = MANNERS.iter().map(|named| named.name).collect();
    for faults in [&all[..7], &all[7..14], &all[14..], &all[..]] {
        let make = |seed| session_with(faults, seed, |options| options.connections = 2);
        let (once, again, other) = (make(3), make(3), make(4));
        assert_eq!(once.lines, again.lines, "{faults:?}");
        assert_eq!(once.truth, again.truth, "{faults:?}");
        assert_ne!(once.lines, other.lines, "{faults:?}");
    }
}

/// What a manner's finding brings along: other evidence of the same cause.
fn brought_along(name: &str, class: Class) -> bool {
    use Class::*;
    match name {
        // Where no poll showed the version, its sum alone tells.
        "swapped_fields" => matches!(class, Invariant),
        "off_by_one_minute" => matches!(class, Gap),
        "duplicate_members" | "truncated_frame" => matches!(class, Gap | MissingOnWs),
        "oversize_frame" | "abrupt_reset" => matches!(class, Gap | MissingOnWs),
        // A status that changed while nothing came stands against the last one heard.
        "half_open" => matches!(class, Gap | MissingOnWs | ValueMismatch),
        "replayed_history" => matches!(class, ConnectionDrop | Gap | MissingOnWs | Jitter),
        "reordered" => matches!(class, Gap | MissingOnWs),
        _ => false,
    }
}

/// Manners of which each entry must be found once.
fn is_one_to_one(class: Class) -> bool {
    class != Class::TypeDiffers
}

#[test]
fn the_engine_reports_each_manner_and_stays_silent_where_it_must() {
    let contract = common::contract(BUILTIN);
    for named in MANNERS {
        let features: Vec<String> = match named.place {
            Place::Connection | Place::Clock => vec![named.name.to_owned()],
            _ => named.features.iter().map(|f| format!("{}:feature={}", named.name, f.name())).collect(),
        };
        for (fault, seed) in features.iter().zip(1..) {
            let session = session_with(&[fault], seed, |options| options.duration = Span::from_secs(720));
            let told = fold(&contract, &session.observations(), false);
            let settled = Timestamp::parse_rfc3339("2025-12-19T14:40:30Z").unwrap();
            let mut found: BTreeMap<Class, usize> = BTreeMap::new();
            for finding in &told.findings {
                if finding.severity > Severity::Info || Some(finding.class) == named.class {
                    *found.entry(finding.class).or_default() += 1;
                }
            }
            let context = format!("{fault}, seed {seed}: found {found:?}");
            let mut entered: BTreeMap<Class, (usize, usize)> = BTreeMap::new();
            for entry in &session.truth {
                let (due, all) = entered.entry(entry.class).or_default();
                *due += usize::from(entry.at < settled);
                *all += 1;
            }
            assert_eq!(named.class.is_none(), entered.is_empty(), "{context}");
            for (class, (due, all)) in &entered {
                let count = found.get(class).copied().unwrap_or_default();
                let fits = if is_one_to_one(*class) { (*due..=*all).contains(&count) } else { count > 0 };
                assert!(fits, "{class}: {due} to {all} are due; {context}");
            }
            for class in found.keys() {
                assert!(
                    entered.contains_key(class) || brought_along(named.name, *class),
                    "{class} was invented; {context}"
                );
            }
        }
    }
}
