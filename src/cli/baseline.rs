//! Owns `--baseline`: what an earlier run's processes used, from its report or its capture.
//! Must not compare anything.

use super::exit::WrongUse;
use super::{evidence, replay};
use crate::contract::Contract;
use crate::model::outcome::ProcessOutcome;
use crate::report::json;
use crate::source::open_capture;
use anyhow::Context;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

/// A capture's first line holds the contract, and nothing else of any length.
const LONGEST_FIRST_LINE: u64 = 16 * 1024 * 1024;

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
    let input = open_capture(path).map_err(|error| WrongUse(error.to_string()))?;
    let mut first = Vec::new();
    BufReader::new(input).take(LONGEST_FIRST_LINE).read_until(b'\n', &mut first)?;
    if !first.trim_ascii_start().starts_with(b"{") {
        return Err(WrongUse("it is neither a report.json nor a capture".into()).into());
    }
    // Each line of a capture names its kind; a report's first one is a brace, or all of it.
    let is_capture = memchr::memmem::find(&first, b"\"kind\"").is_some();
    let outcome =
        if is_capture { replay::judge_by(path, contract.clone()) } else { evidence::read_report(path) };
    Ok(outcome?.processes)
}
