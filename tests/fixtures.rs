//! The stored cases: `fixtures/<case>/` replayed must give `reports/<case>/`, byte for byte.
//!
//! After a wanted change of an engine rule or a format, make the reports anew and read what changed:
//! `cargo test --test fixtures renew -- --ignored && git diff reports`. Nothing is made by a plain test.

#![allow(clippy::disallowed_methods, reason = "stored cases are files")]

use cutover::capture::{Reader, ReaderOptions, Writer, decode_slow, encode};
use cutover::checks::{Provenance, conclude};
use cutover::contract::parse;
use cutover::engine::Engine;
use cutover::model::{Finding, Outcome, Span, Start, Timestamp, Verdict};
use cutover::reference::{
    Covered, Fault, Poll, Sights, Simulation, SimulationOptions, Told, WorldOptions, parse_ledger, score,
};
use cutover::report::{FindingsCsv, findings, html, json, signoff};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A case: its contract, its session, and what must come of it.
struct Case {
    name: &'static str,
    why: &'static str,
    contract: &'static str,
    minutes: i64,
    fault: Option<&'static str>,
    /// What is unusual about the world.
    world: fn(&mut WorldOptions),
    /// When it begins.
    from: &'static str,
    /// Captures of as many minutes each, an hour apart.
    captures: i64,
    /// What becomes of a line before it is stored.
    line: fn(&str) -> String,
    /// Bytes cut off the end, as a kill leaves it.
    cut: usize,
    verdict: Verdict,
}

/// Of what is nothing unusual.
const PLAIN: Case = Case {
    name: "",
    why: "",
    contract: include_str!("../fixtures/positions.toml"),
    minutes: 3,
    fault: None,
    world: |_| {},
    from: "2025-12-19T14:30:00Z",
    captures: 1,
    line: str::to_string,
    cut: 0,
    verdict: Verdict::Pass,
};

/// Of these the page is stored too; of all of them it would be the same style sheet many times over.
const PAGES: [&str; 3] = ["clean", "pnl-differs", "drop"];

fn is_stored(case: &Case, name: &str) -> bool {
    name != html::FILE || PAGES.contains(&case.name)
}

const CASES: &[Case] = &[
    Case { name: "clean", why: "Positions on both sides say the same: every check passes.", ..PLAIN },
    Case {
        name: "pnl-differs",
        why: "One row's pnl differs now and then: one finding each, though the declared sum fails too.",
        fault: Some("value_mismatch:feature=positions,field=pnl,every=5"),
        verdict: Verdict::Fail,
        ..PLAIN
    },
    Case {
        name: "bar-missing",
        why: "A closed bar never comes: it is missing on the WebSocket, and a gap.",
        contract: include_str!("../fixtures/bars.toml"),
        minutes: 8,
        fault: Some("gap:feature=intraday_bar,every=4"),
        verdict: Verdict::Fail,
        ..PLAIN
    },
    Case {
        name: "killed",
        why: "The run was killed in the middle of a line: interrupted, and no-drops cannot pass.",
        cut: 150,
        verdict: Verdict::Inconclusive,
        ..PLAIN
    },
    Case {
        name: "torn-read",
        why: "REST shows the state of one version with the countdown of another: no message says both.",
        contract: include_str!("../fixtures/markets.toml"),
        minutes: 15,
        fault: Some("torn_read"),
        world: |world| world.markets = 5,
        verdict: Verdict::Fail,
        ..PLAIN
    },
    Case {
        name: "late-revision",
        why: "A closed bar gets another volume on both feeds long after it was final: told, and no check fails; eight minutes are too few bars to pass.",
        contract: include_str!("../fixtures/bars.toml"),
        minutes: 8,
        fault: Some("revision:feature=intraday_bar,every=3"),
        verdict: Verdict::Inconclusive,
        ..PLAIN
    },
    Case {
        name: "frozen",
        why: "The stream repeats one version while REST goes on: frozen once, and each version missing.",
        minutes: 4,
        fault: Some("frozen:feature=positions,at=60s,for=50s"),
        verdict: Verdict::Fail,
        ..PLAIN
    },
    Case {
        name: "drop",
        why: "The connection is lost and comes back: one drop, and what was missed during it says so.",
        minutes: 4,
        fault: Some("connection_drop:at=60s,for=15s"),
        verdict: Verdict::Fail,
        ..PLAIN
    },
    Case {
        name: "waived",
        why: "What a waiver covers fails nothing and is counted; another waiver is past its day and without a hit.",
        contract: include_str!("../fixtures/positions-waived.toml"),
        fault: Some("value_mismatch:feature=positions,field=pnl,every=5"),
        ..PLAIN
    },
    Case {
        name: "on-change",
        why: "A feature that sends on change has no ticks: no interval is judged, and no gap told.",
        contract: include_str!("../fixtures/markets-on-change.toml"),
        minutes: 4,
        ..PLAIN
    },
    Case {
        name: "decimal-strings",
        why: "REST writes decimals as strings: the same values, remarked on once a field.",
        world: |world| world.rest_decimal_strings = true,
        ..PLAIN
    },
    Case {
        name: "two-captures",
        why: "Two runs of a feature, an hour apart, judged as one: the hour between them is no gap and no drop.",
        captures: 2,
        ..PLAIN
    },
    Case {
        name: "summer-time",
        why: "The first session after New York's clocks went forward: it opens at 13:30 UTC, an hour sooner than the \
              session before, and a message lost in its first minutes is lost in market hours.",
        contract: include_str!("../fixtures/positions-new-york.toml"),
        fault: Some("gap:feature=positions,at=100s,for=15s"),
        from: "2026-03-09T13:29:00Z",
        verdict: Verdict::Fail,
        ..PLAIN
    },
    Case {
        name: "sparse",
        why: "A symbol that trades so thinly that minutes pass without a bar, on either feed: told as sparse, and no gap.",
        contract: include_str!("../fixtures/bars.toml"),
        minutes: 10,
        world: |world| (world.symbols, world.sparse) = (2, 1),
        ..PLAIN
    },
    Case {
        name: "redacted",
        why: "Account numbers were replaced by a keyed hash before anything was stored: equal values stay equal.",
        contract: include_str!("../fixtures/balances-redacted.toml"),
        line: |line| line.replace("\"DU6262883\"", "\"redacted:8d3f0c55a1b2e794\""),
        ..PLAIN
    },
];

/// `capture.jsonl`, `capture-2.jsonl`, …
fn file_of(capture: usize) -> String {
    if capture == 0 { "capture.jsonl".into() } else { format!("capture-{}.jsonl", capture + 1) }
}

fn captures(case: &Case) -> Vec<Vec<u8>> {
    let read = |n| std::fs::read(folder("fixtures", case).join(file_of(n))).unwrap();
    (0..case.captures as usize).map(read).collect()
}

fn folder(kind: &str, case: &Case) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(case.name)
}

/// Names, and what stands in them.
type Files = Vec<(&'static str, Vec<u8>)>;

/// What a replay of a case's captures writes, and what it told.
fn replay(captures: &[Vec<u8>]) -> (Files, Outcome, Vec<Finding>) {
    let mut readers: Vec<_> =
        captures.iter().map(|bytes| Reader::new(bytes.as_slice(), ReaderOptions::default())).collect();
    let starts: Vec<_> = readers.iter_mut().map(|reader| reader.read_start().unwrap().unwrap()).collect();
    let first = &starts[0].1;
    let mut contract = parse("fixture", &first.contract, &|_| None, false).unwrap();
    contract.sha256.clone_from(&first.contract_sha256);
    let csv = Arc::new(Mutex::new(FindingsCsv::new(Vec::new()).unwrap()));
    let sink = Arc::clone(&csv);
    let told: Arc<Mutex<Vec<Finding>>> = Arc::default();
    let kept = Arc::clone(&told);
    let take = move |f: &Finding| {
        sink.lock().unwrap().write(f).unwrap();
        kept.lock().unwrap().push(f.clone());
    };
    let mut engine = Engine::new(Arc::new(contract), Box::new(take));
    for (reader, (at, start)) in readers.iter_mut().zip(starts) {
        let event = cutover::model::Event::Start(Box::new(start));
        engine.observe(&cutover::model::Observation { at, event }).unwrap();
        while let Some(line) = reader.next() {
            let line = line.unwrap();
            if engine.observe(&line.observation).is_err() {
                engine.observe(&decode_slow(line.text).unwrap()).unwrap();
            }
        }
    }
    engine.finish();
    let provenance = Provenance {
        tool: "cutover (fixture)".into(),
        capture_sha256: readers.iter_mut().map(|reader| reader.sha256()).collect(),
        ..Provenance::default()
    };
    let outcome = conclude(&engine, provenance);
    drop(engine);
    let csv = Arc::into_inner(csv).unwrap().into_inner().unwrap().finish().unwrap();
    let files = vec![
        (signoff::FILE, signoff::to_csv(&outcome)),
        (findings::FILE, csv),
        (json::FILE, json::to_json(&outcome)),
        (html::FILE, html::to_html(&outcome)),
    ];
    let findings = std::mem::take(&mut *told.lock().unwrap());
    (files, outcome, findings)
}

#[test]
fn every_case_gives_its_stored_reports() {
    for case in CASES {
        let (files, outcome, _) = replay(&captures(case));
        assert_eq!(outcome.verdict, case.verdict, "{}", case.name);
        for (name, bytes) in files.into_iter().filter(|(name, _)| is_stored(case, name)) {
            let stored = std::fs::read_to_string(folder("reports", case).join(name)).unwrap();
            let made = String::from_utf8(bytes).unwrap();
            for (n, (made, stored)) in made.lines().zip(stored.lines()).enumerate() {
                assert_eq!(made, stored, "reports/{}/{name}:{}", case.name, n + 1);
            }
            assert!(made == stored, "reports/{}/{name} has another length", case.name);
        }
    }
}

/// Each case's report tells all of its ledger, and nothing else.
#[test]
fn every_case_tells_its_truth() {
    for case in CASES {
        let captures = captures(case);
        let ledger = std::fs::read_to_string(folder("fixtures", case).join("truth.jsonl")).unwrap();
        let truth = parse_ledger(&ledger).unwrap();
        let (_, outcome, findings) = replay(&captures);
        let told: Vec<Told> = findings.into_iter().map(|f| Told { told_at: f.at, finding: f }).collect();
        let covered = Covered {
            first: outcome.first.unwrap(),
            last: outcome.last.unwrap(),
            streams: outcome.features.iter().map(|f| f.measures.streams).collect(),
            sights: sights(&captures),
        };
        let contract = parse("fixture", case.contract, &|_| None, false).unwrap();
        let score = score(&contract, &truth, &told, &covered);
        assert!(score.is_perfect(), "{}: {:#?}", case.name, score.total());
        assert_eq!(score.total().found > 0, case.fault.is_some(), "{}", case.name);
    }
}

fn sights(captures: &[Vec<u8>]) -> Sights {
    let mut sights = Sights::default();
    for capture in captures {
        let mut reader = Reader::new(capture.as_slice(), ReaderOptions::default());
        reader.read_start().unwrap();
        while let Some(line) = reader.next() {
            sights.note(&line.unwrap().observation);
        }
    }
    sights
}

/// A small session of one account, one symbol and one market: the n-th capture and its ledger.
fn session(case: &Case, number: i64) -> (Vec<u8>, String) {
    let contract = parse("fixture", case.contract, &|_| None, false).unwrap();
    let from = Timestamp::parse_rfc3339(case.from).unwrap() + Span::from_secs(3_600 * number);
    let mut options = SimulationOptions::new(from, Span::from_secs(case.minutes * 60));
    (options.world.accounts, options.world.positions) = (1, 2);
    (options.world.symbols, options.world.markets) = (1, 1);
    (case.world)(&mut options.world);
    options.faults = case.fault.iter().map(|f| Fault::parse(f).unwrap()).collect();
    let poll = |f: &cutover::contract::Feature| Poll {
        feature: f.name.to_string(),
        path: f.rest.path.clone(),
        every: f.rest.poll,
    };
    options.polls = contract.features.iter().map(poll).collect();
    options.start = Start {
        capture: 1,
        tool: "cutover (fixture)".into(),
        contract: contract.recorded_text.clone(),
        contract_sha256: contract.sha256.clone(),
        ..Start::default()
    };
    let mut writer = Writer::new(Vec::new());
    let (mut line, mut truth) = (String::new(), String::new());
    let append = |observation: &cutover::model::Observation<'_>| {
        line.clear();
        encode(observation, &mut line);
        writer.append(observation.at, &(case.line)(&line)).unwrap();
    };
    Simulation::new(options).unwrap().run(append, |entry| truth.push_str(&(entry.to_json() + "\n")));
    let mut bytes = writer.finish().unwrap();
    bytes.truncate(bytes.len() - case.cut);
    (bytes, truth)
}

#[test]
#[ignore = "writes fixtures/ and reports/"]
fn renew() {
    for case in CASES {
        let (fixture, report) = (folder("fixtures", case), folder("reports", case));
        std::fs::create_dir_all(&fixture).unwrap();
        std::fs::create_dir_all(&report).unwrap();
        let mut ledger = String::new();
        for number in 0..case.captures {
            let (capture, truth) = session(case, number);
            std::fs::write(fixture.join(file_of(number as usize)), capture).unwrap();
            ledger.push_str(&truth);
        }
        std::fs::write(fixture.join("truth.jsonl"), ledger).unwrap();
        std::fs::write(fixture.join("contract.toml"), case.contract).unwrap();
        std::fs::write(fixture.join("WHY.md"), format!("{}\n", case.why)).unwrap();
        for (name, bytes) in replay(&captures(case)).0.into_iter().filter(|(name, _)| is_stored(case, name)) {
            std::fs::write(report.join(name), bytes).unwrap();
        }
    }
}
