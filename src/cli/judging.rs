//! Owns what live runs and replays share: the contract they judge by, and the engine with its
//! findings streamed into the report. Must not read feeds or files of captures.

use super::console::{Console, variable};
use super::exit::{Exit, WrongUse, wrong_contract};
use super::results::RunReport;
use crate::checks::{Provenance, conclude};
use crate::contract::{BUILTIN, Contract, Feature, Sign, parse};
use crate::engine::Engine;
use crate::model::{Finding, Outcome, Phase, Severity};
use crate::reference::Score;
use anyhow::Context;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What this program calls itself in captures and reports.
pub const TOOL: &str = concat!("cutover ", env!("CARGO_PKG_VERSION"));

#[allow(clippy::disallowed_methods, reason = "the one place where contracts are read")]
/// The contract in a file, or the built-in one. `connects`: whether its variables must be set.
pub fn load_contract(file: Option<&Path>, connects: bool) -> anyhow::Result<Contract> {
    let Some(path) = file else { return read_contract("built-in contract", BUILTIN, connects) };
    let unreadable = |why: &dyn std::fmt::Display| {
        anyhow::Error::new(WrongUse(format!("could not read contract {}: {why}", path.display())))
    };
    let text = String::from_utf8(std::fs::read(path).map_err(|error| unreadable(&error))?);
    let text = text.map_err(|error| {
        let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let (line, column) =
            (good.matches('\n').count() + 1, good.rsplit('\n').next().unwrap_or("").chars().count() + 1);
        unreadable(&format_args!("line {line}, column {column} is no UTF-8; save the file in that encoding"))
    })?;
    read_contract(&path.display().to_string(), &text, connects)
}

pub fn read_contract(name: &str, text: &str, connects: bool) -> anyhow::Result<Contract> {
    parse(name, text, &variable, connects).map_err(|errors| wrong_contract(&errors))
}

/// Leaves only the named features; the message types of the others are known, and ignored.
pub fn narrow(contract: &mut Contract, names: &[String]) -> anyhow::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let known = |name: &String| contract.features.iter().any(|f| *f.name == **name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let all: Vec<&str> = contract.features.iter().map(|f| &*f.name).collect();
        let message = format!("the contract has no feature `{unknown}`; it has {}", all.join(", "));
        return Err(WrongUse(message).into());
    }
    let (kept, left): (Vec<_>, Vec<_>) = std::mem::take(&mut contract.features)
        .into_iter()
        .partition(|f| names.iter().any(|n| **n == *f.name));
    let is_kept = |sign: &Sign| kept.iter().any(|f: &Feature| f.ws.signs.contains(sign));
    let ignored = left.into_iter().flat_map(|f| f.ws.signs).filter(|sign| !is_kept(sign));
    contract.ws.ignored.extend(ignored);
    contract.features = kept;
    Ok(())
}

/// An engine whose findings go to disk as they are made.
#[derive(Debug)]
pub struct Judging {
    pub engine: Engine,
    report: Arc<Mutex<Written>>,
}

#[derive(Debug)]
struct Written {
    report: RunReport,
    /// The first finding that could not be written; reported at the end, so that the fold goes on.
    failed: Option<io::Error>,
    /// Findings that fail a check, one a feature and class, not yet asked for.
    failures: Vec<Finding>,
}

impl Judging {
    pub fn new(contract: Arc<Contract>, report: RunReport) -> Judging {
        let report = Arc::new(Mutex::new(Written { report, failed: None, failures: Vec::new() }));
        let written = Arc::clone(&report);
        let sink = move |finding: &Finding| {
            let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
            if written.failed.is_none() {
                written.failed = written.report.finding(finding).err();
            }
            let same = |known: &Finding| known.feature == finding.feature && known.class == finding.class;
            if finding.severity == Severity::Fail && !finding.waived && !written.failures.iter().any(same) {
                written.failures.push(finding.clone());
            }
        };
        Judging { engine: Engine::new(contract, Box::new(sink)), report }
    }

    /// Findings that fail a check since this was asked last, one a feature and class.
    pub fn failures(&self) -> Vec<Finding> {
        std::mem::take(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner).failures)
    }

    /// Hands the findings so far to the system, so that a kill loses none of them.
    pub fn flush(&self) {
        let mut written = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        if written.failed.is_none() {
            written.failed = written.report.flush().err();
        }
    }

    /// Concludes, writes all files, prints the result.
    pub fn finish(
        self,
        captures: Vec<String>,
        judged: Judged<'_>,
        format: super::arguments::Format,
        console: &Console,
    ) -> anyhow::Result<Exit> {
        let score = judged.score;
        let (outcome, report) = self.conclude(captures, judged)?;
        report.finish(&outcome, score, format, console)
    }

    /// What was concluded, and the report that is still to be written.
    pub fn conclude(
        mut self,
        captures: Vec<String>,
        judged: Judged<'_>,
    ) -> anyhow::Result<(Outcome, RunReport)> {
        self.engine.finish();
        let provenance = Provenance {
            tool: TOOL.into(),
            phases: judged.phases.to_vec(),
            capture_sha256: captures,
            other_contract: judged.other_contract,
            damaged: judged.damaged,
        };
        let outcome = conclude(&self.engine, provenance);
        drop(self.engine);
        let written = Arc::into_inner(self.report).context("could not end the report: it is still in use")?;
        let written = written.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = written.failed {
            return Err(anyhow::Error::new(error).context("could not write the findings"));
        }
        Ok((outcome, written.report))
    }
}

/// How the evidence was judged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Judged<'j> {
    pub phases: &'j [Phase],
    pub other_contract: bool,
    pub damaged: u64,
    /// How the findings fare against a ledger, where one was given.
    pub score: Option<&'j Score>,
}
