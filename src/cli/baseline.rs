//! Owns `--baseline`: what an earlier run's processes used, from its report or its capture.
//! Must not compare anything.

use super::exit::WrongUse;
use super::{evidence, replay};
use crate::contract::Contract;
use crate::model::outcome::ProcessOutcome;
use crate::report::json;
use crate::source::open_capture;
use anyhow::Context;
use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

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
    // A report is written indented: its first line is a brace alone.
    let is_report = input.fill_buf().context("could not read it")?.starts_with(b"{\n");
    let outcome =
        if is_report { evidence::read_report(path) } else { replay::judge_by(path, contract.clone()) };
    Ok(outcome?.processes)
}
