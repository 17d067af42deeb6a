//! How many threads read a capture changes nothing: reports, errors and what was judged before them are the
//! same bytes as those of a reader that takes one line at a time.
#![allow(clippy::disallowed_methods, reason = "stored cases are files")]

use cutover::capture::{
    Blocks, CaptureError, CaptureErrorKind, LineError, Reader, ReaderOptions, Sequence, Tail,
};
use cutover::capture::{Writer, decode_slow, encode};
use cutover::checks::{Provenance, conclude};
use cutover::contract::{BUILTIN, Contract, parse};
use cutover::engine::{Batch, Engine};
use cutover::model::{Event, Finding, Observation, Payload, Span, Start, Timestamp};
use cutover::reference::{Fault, Simulation, SimulationOptions};
use cutover::report::{FindingsCsv, json, signoff};
use cutover::source::ahead::read_ahead;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// All that a replay leaves.
#[derive(Debug, PartialEq)]
struct Left {
    error: Option<String>,
    tail: Tail,
    skipped: u64,
    sha256: String,
    findings: String,
    signoff: String,
    report: String,
}

/// Runs `fold` over an engine, which gives the error, the rules' state and the digest, and concludes.
fn judged(
    contract: &Arc<Contract>,
    fold: impl FnOnce(&mut Engine) -> (Option<String>, Tail, u64, String),
) -> Left {
    let csv = Arc::new(Mutex::new(FindingsCsv::new(Vec::new()).unwrap()));
    let sink = Arc::clone(&csv);
    let write = move |f: &Finding| sink.lock().unwrap().write(f).unwrap();
    let mut engine = Engine::new(Arc::clone(contract), Box::new(write));
    let (error, tail, skipped, sha256) = fold(&mut engine);
    engine.finish();
    let outcome = conclude(&engine, Provenance { damaged: skipped, ..Provenance::default() });
    drop(engine);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Left {
        error,
        tail,
        skipped,
        sha256,
        findings: text(Arc::into_inner(csv).unwrap().into_inner().unwrap().finish().unwrap()),
        signoff: text(signoff::to_csv(&outcome)),
        report: text(json::to_json(&outcome)),
    }
}

/// One line at a time, each judged before the next is read.
fn line_by_line(contract: &Arc<Contract>, capture: &[u8], options: ReaderOptions) -> Left {
    judged(contract, |engine| {
        let mut reader = Reader::new(capture, options);
        let mut error = None;
        while error.is_none()
            && let Some(line) = reader.next()
        {
            let damage = match line {
                Err(found) => {
                    error = Some(found.to_string());
                    continue;
                }
                Ok(line) if engine.observe(&line.observation).is_ok() => continue,
                Ok(line) => match decode_slow(line.text) {
                    Ok(observation) if engine.observe(&observation).is_ok() => continue,
                    Ok(_) => LineError::NotJson("its body is no JSON".into()),
                    Err(damage) => damage,
                },
            };
            error = reader.damaged(damage).err().map(|e| e.to_string());
        }
        (error, reader.tail(), reader.skipped(), reader.sha256())
    })
}

fn by_threads(contract: &Arc<Contract>, capture: &[u8], options: ReaderOptions, threads: usize) -> Left {
    judged(contract, |engine| {
        let mut blocks = Blocks::new(capture);
        let mut sequence = Sequence::new(options);
        let plan = Arc::clone(engine.plan());
        let threads = NonZeroUsize::new(threads).unwrap();
        let fold = |batch: &mut Batch| batch.fold(&mut sequence, engine, |_, _| Ok::<(), CaptureError>(()));
        let error = read_ahead(&mut blocks, VecDeque::new(), &plan, threads, fold).err();
        (error.map(|e| e.to_string()), sequence.tail(), sequence.skipped(), blocks.sha256())
    })
}

/// Compares 1, 2 and 4 threads with a reader of lines; what was read ahead of an error is not compared.
fn check(name: &str, contract: &Arc<Contract>, capture: &[u8]) -> [Left; 2] {
    [false, true].map(|skip_damaged| {
        let options = ReaderOptions { skip_damaged };
        let mut expected = line_by_line(contract, capture, options);
        for threads in [1, 2, 4] {
            let mut found = by_threads(contract, capture, options, threads);
            if expected.error.is_some() {
                found.sha256.clear();
                expected.sha256.clear();
            }
            assert!(
                found == expected,
                "{name}, {threads} threads:\n{:#?}\n{:#?}",
                found.error,
                expected.error
            );
        }
        expected
    })
}

#[test]
fn fixtures_give_the_same_bytes() {
    let mut seen = 0;
    for folder in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")).unwrap() {
        let file = folder.unwrap().path().join("capture.jsonl");
        let Ok(capture) = std::fs::read(&file) else { continue };
        let Ok(Some((_, start))) = Reader::new(capture.as_slice(), ReaderOptions::default()).read_start()
        else {
            continue;
        };
        let contract = parse("fixture", &start.contract, &|_| None, false).unwrap();
        check(&file.display().to_string(), &Arc::new(contract), &capture);
        seen += 1;
    }
    assert!(seen >= 4, "{seen} fixtures");
}

/// A session of several blocks; `restyle` changes what is written of each observation.
fn session(accounts: usize, faults: &[&str], restyle: impl Fn(&mut Observation<'_>)) -> Vec<u8> {
    let from = Timestamp::parse_rfc3339("2025-12-19T14:30:00Z").unwrap();
    let mut options = SimulationOptions::new(from, Span::from_secs(240));
    (options.world.accounts, options.world.symbols) = (accounts, 3);
    options.faults = faults.iter().map(|f| Fault::parse(f).unwrap()).collect();
    options.start = Start { capture: 1, tool: "test".into(), contract: BUILTIN.into(), ..Start::default() };
    let mut writer = Writer::new(Vec::new());
    let mut line = String::new();
    let each = |observation: &Observation<'_>| {
        let mut observation = observation.clone();
        restyle(&mut observation);
        line.clear();
        encode(&observation, &mut line);
        writer.append(observation.at, &line).unwrap();
    };
    Simulation::new(options).unwrap().run(each, |_| {});
    writer.finish().unwrap()
}

const FAULTS: [&str; 6] = [
    "value_mismatch:every=40",
    "gap:every=60",
    "malformed:every=70",
    "connection_drop:at=120s",
    "missing_field:every=90",
    "type_differs:every=30",
];

fn builtin() -> Arc<Contract> {
    Arc::new(parse("built-in", BUILTIN, &|_| None, false).unwrap())
}

#[test]
fn faulty_sessions_give_the_same_bytes() {
    let plain = session(12, &FAULTS, |_| {});
    assert!(plain.len() > 4 * 65_536, "{} bytes are too few blocks", plain.len());
    let [left, _] = check("plain", &builtin(), &plain);
    assert!(left.error.is_none() && left.findings.lines().count() > 20, "{}", left.findings);

    // REST sorts its members and trims its numbers: no two records are the same text, but most are equal.
    let unlike = session(12, &FAULTS, |observation| {
        if let Event::Rest { payload: Payload::Json { text, .. }, .. } = &mut observation.event {
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            *text = Cow::Owned(value.to_string());
        }
    });
    let [unlike, _] = check("unlike", &builtin(), &unlike);
    let classes = |left: &Left| -> Vec<String> {
        let lines = left.findings.lines().filter(|l| l.starts_with("value_mismatch") || l.starts_with("gap"));
        lines.map(|l| l.split(",detail").next().unwrap().chars().take(90).collect()).collect()
    };
    assert_eq!(classes(&unlike).len(), classes(&left).len());
}

type Damage<'d> = Box<dyn Fn(&[u8]) -> Vec<u8> + 'd>;

#[test]
fn damage_stops_or_is_skipped_at_the_same_line() {
    let whole = session(3, &FAULTS[..1], |_| {});
    assert!(whole.len() > 2 * 65_536, "{} bytes are too few blocks", whole.len());
    let lines: Vec<&[u8]> = whole.split_inclusive(|b| *b == b'\n').collect();
    let body_cut = |line: &[u8]| [&line[..line.len() - 3], b"\n"].concat();
    let damages: [(&str, Damage<'_>); 8] = [
        ("no JSON", Box::new(|_| b"{\"kind\":\n".to_vec())),
        ("not UTF-8", Box::new(|line| [&line[..20], b"\xff\xfe", &line[20..]].concat())),
        ("a body that is no JSON", Box::new(body_cut)),
        (
            "unknown kind",
            Box::new(|line| String::from_utf8_lossy(line).replacen("\"ws\"", "\"wz\"", 1).into()),
        ),
        (
            "earlier",
            Box::new(|line| String::from_utf8_lossy(line).replacen("2025-12-19", "2025-12-18", 1).into()),
        ),
        ("blank lines", Box::new(|line| [b"\n \r\n", line].concat())),
        (
            "a second start",
            Box::new(|line| [&whole[..whole.iter().position(|b| *b == b'\n').unwrap() + 1], line].concat()),
        ),
        ("members behind the body", Box::new(|line| [&line[..line.len() - 2], b",\"more\":[1]}\n"].concat())),
    ];
    for (name, damage) in &damages {
        // Near the beginning, in the middle of everything, on the last line but one, on the last.
        for place in [1, 2, lines.len() / 2, lines.len() - 2, lines.len() - 1] {
            let mut capture = lines[..place].concat();
            capture.extend_from_slice(&damage(lines[place]));
            capture.extend_from_slice(&lines[place + 1..].concat());
            let [stopped, skipped] = check(&format!("{name} at {place}"), &builtin(), &capture);
            match *name {
                "blank lines" | "members behind the body" => {
                    assert_eq!(skipped.skipped, 0, "{name} at {place}")
                }
                "a second start" => assert!(stopped.error.is_some() && skipped.error.is_some()),
                _ if place == lines.len() - 1 => {}
                "unknown kind" | "a body that is no JSON" if stopped.error.is_none() => {
                    // The line was of another kind.
                }
                _ => assert!(skipped.skipped == 1 && stopped.error.is_some(), "{name} at {place}"),
            }
        }
    }
}

#[test]
fn an_input_that_fails_is_judged_up_to_there() {
    struct Failing<'c>(&'c [u8]);
    impl std::io::Read for Failing<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(out) {
                Ok(0) => Err(std::io::Error::other("the disk is gone")),
                read => read,
            }
        }
    }
    let whole = session(3, &[], |_| {});
    let cut = whole.len() / 2;
    let lines = whole[..cut].iter().filter(|b| **b == b'\n').count() as u64;
    for threads in 1..=4 {
        let mut engine = Engine::new(builtin(), Box::new(|_: &Finding| {}));
        let mut sequence = Sequence::new(ReaderOptions::default());
        let plan = Arc::clone(engine.plan());
        let fold =
            |batch: &mut Batch| batch.fold(&mut sequence, &mut engine, |_, _| Ok::<(), CaptureError>(()));
        let mut blocks = Blocks::new(Failing(&whole[..cut]));
        let threads = NonZeroUsize::new(threads).unwrap();
        let error = read_ahead(&mut blocks, VecDeque::new(), &plan, threads, fold).unwrap_err();
        assert_eq!(error.line, lines + 1);
        assert!(matches!(error.kind, CaptureErrorKind::Io(_)), "{error}");
        assert!(engine.last_at().is_some());
    }
}
