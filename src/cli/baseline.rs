//! Owns `--baseline`: what an earlier run's processes used, from its report or its capture.
//! Must not compare anything.

use super::exit::WrongUse;
use crate::capture::{Reader, ReaderOptions};
use crate::contract::Contract;
use crate::engine::Engine;
use crate::model::outcome::ProcessOutcome;
use crate::report::json;
use crate::source::{CaptureInput, open_capture};
use anyhow::Context;
use serde::Deserialize;
use std::io::{BufRead, Read};
use std::path::Path;
use std::sync::Arc;

/// A capture's first line holds the contract, and nothing else of any length.
const LONGEST_FIRST_LINE: u64 = 16 * 1024 * 1024;

/// What a report tells of its processes; all else in it is of no concern here.
#[derive(Deserialize)]
struct Report {
    schema: u32,
    #[serde(default)]
    processes: Vec<Process>,
}

#[derive(Deserialize)]
struct Process {
    process: String,
    samples: u64,
    #[serde(default)]
    outside_hours: u64,
    #[serde(default)]
    restarts: u64,
    cpu_microcores: Vec<u64>,
    rss_bytes: Vec<u64>,
}

/// The processes of a report (`report.json`, or the folder that holds one) or of a capture, which is read
/// by `contract`'s market hours. One without samples is wrong use: it can never be a baseline.
pub fn load(path: &Path, contract: &Arc<Contract>) -> anyhow::Result<Vec<ProcessOutcome>> {
    let path = if path.is_dir() { path.join(json::FILE) } else { path.to_path_buf() };
    let processes =
        read(&path, contract).with_context(|| format!("could not read baseline {}", path.display()))?;
    if processes.iter().all(|process| process.samples == 0) {
        let cure = "record it with `watch --process` or `watch --metrics`";
        return Err(
            WrongUse(format!("baseline {} has no samples of a process; {cure}", path.display())).into()
        );
    }
    Ok(processes)
}

fn read(path: &Path, contract: &Arc<Contract>) -> anyhow::Result<Vec<ProcessOutcome>> {
    let mut input = open_capture(path).map_err(|error| WrongUse(error.to_string()))?;
    let neither = || WrongUse("it is neither a report.json nor a capture".into());
    let mut text = Vec::new();
    input.by_ref().take(LONGEST_FIRST_LINE).read_until(b'\n', &mut text)?;
    // Each line of a capture names its kind; a report's first one is a brace, or all of it.
    if memchr::memmem::find(&text, b"\"kind\"").is_some() {
        return from_capture(path, contract);
    }
    input.read_to_end(&mut text)?;
    let report: Report = serde_json::from_slice(&text).map_err(|_| neither())?;
    if report.schema != json::SCHEMA {
        let message = format!("its schema is {}; this cutover reads {}", report.schema, json::SCHEMA);
        return Err(WrongUse(message).into());
    }
    let outcome = |process: Process| ProcessOutcome {
        process: process.process,
        samples: process.samples,
        outside: process.outside_hours,
        restarts: process.restarts,
        cpu_microcores: process.cpu_microcores,
        rss_bytes: process.rss_bytes,
    };
    Ok(report.processes.into_iter().map(outcome).collect())
}

fn from_capture(path: &Path, contract: &Arc<Contract>) -> anyhow::Result<Vec<ProcessOutcome>> {
    let mut reader = Reader::hashed_elsewhere(CaptureInput::open(path)?, ReaderOptions::default());
    let mut engine = Engine::new(Arc::clone(contract), Box::new(|_| {}));
    reader.read_start()?;
    while let Some(line) = reader.next() {
        // A damaged body is no concern of the samples.
        let _ = engine.observe(&line?.observation);
    }
    engine.end_of_capture();
    Ok(engine.processes())
}
