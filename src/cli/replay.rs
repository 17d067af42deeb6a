//! Owns `cutover replay`: recorded runs judged again, from files alone.
//! Must not need a network, a clock or an environment: the same captures give the same reports.

use super::arguments::{Format, ReportArguments, phase};
use super::baseline;
use super::console::Console;
use super::exit::{Exit, WrongUse};
use super::folder::{Place, run_name};
use super::judging::{Judged, Judging, TOOL, load_contract, narrow, read_contract};
use super::results::RunReport;
use crate::capture::sequence::look;
use crate::capture::{Blocks, CaptureError, ReaderOptions, Sequence, Tail};
use crate::checks::{Provenance, conclude};
use crate::contract::Contract;
use crate::engine::{Batch, Engine};
use crate::model::{Event, Observation, Outcome, Phase, Start, Timestamp};
use crate::source::ahead::{default_threads, read_ahead};
use crate::source::open_capture;
use anyhow::Context;
use clap::Args;
use std::collections::VecDeque;
use std::io::BufRead;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  cutover replay reports/20251219T143000Z-ab12/capture.jsonl
  cutover replay monday.jsonl.zst tuesday.jsonl.zst --phase before-deleting
  cutover replay capture.jsonl --contract stricter.toml --format json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Captures (.jsonl or .jsonl.zst), in the order of time
    #[arg(value_name = "CAPTURE", required = true)]
    captures: Vec<PathBuf>,
    /// Judge by this contract instead of the recorded one; the report says so
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// Judge only this feature (repeatable)
    #[arg(long = "feature", value_name = "NAME")]
    features: Vec<String>,
    /// before-enabling, after-enabling, before-deleting (repeatable); by default by each flag
    #[arg(long = "phase", value_name = "PHASE", value_parser = phase(), hide_possible_values = true)]
    phases: Vec<Phase>,
    /// Skip, count and report damaged lines instead of stopping at the first
    #[arg(long)]
    skip_damaged: bool,
    /// Hold CPU and memory against this earlier run: its report, report folder or capture
    #[arg(long, value_name = "REPORT|CAPTURE")]
    baseline: Option<PathBuf>,
    /// Threads to work with; how many changes nothing in the reports [default: as many as help]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    #[command(flatten)]
    report: ReportArguments,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// At least one.
    pub captures: Vec<PathBuf>,
    pub contract: Option<PathBuf>,
    /// Empty: all of the contract.
    pub features: Vec<String>,
    /// Empty: what each feature's flag asks for.
    pub phases: Vec<Phase>,
    pub skip_damaged: bool,
    pub baseline: Option<PathBuf>,
    pub threads: NonZeroUsize,
    pub place: Place,
    pub format: Format,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        Settings {
            captures: self.captures,
            contract: self.contract,
            features: self.features,
            phases: self.phases,
            skip_damaged: self.skip_damaged,
            baseline: self.baseline,
            threads: self.threads.unwrap_or_else(default_threads),
            place: self.report.place(),
            format: self.report.format,
        }
    }
}

pub fn run(settings: Settings, console: &Console) -> anyhow::Result<Exit> {
    let first = Recording::open(&settings.captures[0], settings.skip_damaged)?;
    let (mut contract, own) = contract(settings.contract.as_deref(), &first)?;
    narrow(&mut contract, &settings.features)?;
    let contract = Arc::new(contract);
    let baseline = settings.baseline.as_ref().map(|path| baseline::load(path, &contract)).transpose()?;
    let short: String = contract.sha256.chars().take(8).collect();
    let report = RunReport::start(&settings.place, &name(&first, &short))?;
    let mut judging = Judging::new(contract, report);
    if let Some(baseline) = baseline {
        judging.engine.set_baseline(baseline);
    }
    let mut damaged = 0;
    let mut digests = Vec::new();
    let mut other_contract = false;
    let mut ended: Option<Timestamp> = None;
    let mut next = Some(first);
    for (i, path) in settings.captures.iter().enumerate() {
        let recording = match next.take() {
            Some(recording) => recording,
            None => Recording::open(path, settings.skip_damaged)?,
        };
        if let Some(ended) = ended.filter(|ended| recording.began < *ended) {
            let message = format!(
                "{} begins at {}, before {} ends at {ended}; give captures in the order of time, none twice",
                path.display(),
                recording.began,
                settings.captures[i - 1].display(),
            );
            return Err(WrongUse(message).into());
        }
        other_contract |= recording.contract_sha256.as_deref().is_some_and(|sha| sha != own);
        let read = recording.fold(&mut judging.engine, settings.threads)?;
        ended = judging.engine.last_at();
        damaged += read.skipped;
        digests.push(read.sha256);
    }
    let judged = Judged { phases: &settings.phases, other_contract, damaged };
    judging.finish(digests, judged, settings.format, console)
}

/// What one capture proves in these phases, without a report of its own.
pub fn judge(capture: &Path, given: Option<&Path>, phases: &[Phase]) -> anyhow::Result<Outcome> {
    let recording = Recording::open(capture, false)?;
    let (contract, own) = contract(given, &recording)?;
    let other_contract = recording.contract_sha256.as_deref().is_some_and(|sha| sha != own);
    recording.judge(Arc::new(contract), other_contract, phases)
}

/// The same by a contract that is known already.
pub fn judge_by(capture: &Path, contract: Arc<Contract>) -> anyhow::Result<Outcome> {
    Recording::open(capture, false)?.judge(contract, false, &[])
}

/// By its start; a capture that is torn in its first line has none.
fn name(first: &Recording, short: &str) -> String {
    match &first.start {
        Some(_) => run_name(first.began, short),
        None => format!("undated-{short}"),
    }
}

/// The contract to judge by, and its digest: the one given, else the first capture's own, else the
/// built-in one.
fn contract(given: Option<&Path>, first: &Recording) -> anyhow::Result<(Contract, String)> {
    let contract = match (given, &first.start) {
        (Some(path), _) => load_contract(Some(path), false)?,
        (None, Some(start)) if !start.contract.is_empty() => {
            let name = format!("the contract in line 1 of {}", first.path.display());
            // A recording that carries a wrong contract is damaged, not wrongly used.
            let mut contract =
                read_contract(&name, &start.contract, false).map_err(|e| anyhow::anyhow!("{e}"))?;
            // The digest is over the file as it was, before credentials were masked.
            if !start.contract_sha256.is_empty() {
                contract.sha256.clone_from(&start.contract_sha256);
            }
            contract
        }
        _ => load_contract(None, false)?,
    };
    let sha256 = contract.sha256.clone();
    Ok((contract, sha256))
}

/// One capture, opened and its first line read.
struct Recording {
    path: PathBuf,
    blocks: Blocks<Box<dyn BufRead + Send>>,
    /// What was read to find the start.
    first: VecDeque<Batch>,
    options: ReaderOptions,
    start: Option<Start>,
    began: Timestamp,
    contract_sha256: Option<String>,
}

/// What is known of a capture once it is read.
struct Read {
    skipped: u64,
    sha256: String,
}

impl Recording {
    fn open(path: &Path, skip_damaged: bool) -> anyhow::Result<Recording> {
        let could_not = || format!("could not read {}", path.display());
        let mut blocks = Blocks::new(open_capture(path).with_context(could_not)?);
        let options = ReaderOptions { skip_damaged };
        let mut first = VecDeque::new();
        let started = find_start(&mut blocks, options, &mut first).with_context(could_not)?;
        let began = started.as_ref().map_or(Timestamp(0), |(at, _)| *at);
        let start = started.map(|(_, start)| start);
        let contract_sha256 = start.as_ref().map(|s| s.contract_sha256.clone()).filter(|s| !s.is_empty());
        Ok(Recording { path: path.into(), blocks, first, options, start, began, contract_sha256 })
    }

    fn judge(
        self,
        contract: Arc<Contract>,
        other_contract: bool,
        phases: &[Phase],
    ) -> anyhow::Result<Outcome> {
        let mut engine = Engine::new(contract, Box::new(|_| {}));
        let read = self.fold(&mut engine, default_threads())?;
        engine.finish();
        let provenance = Provenance {
            tool: TOOL.into(),
            phases: phases.to_vec(),
            capture_sha256: vec![read.sha256],
            other_contract,
            damaged: read.skipped,
        };
        Ok(conclude(&engine, provenance))
    }

    fn fold(mut self, engine: &mut Engine, threads: NonZeroUsize) -> anyhow::Result<Read> {
        let mut sequence = Sequence::new(self.options);
        let plan = Arc::clone(engine.plan());
        let fold = |batch: &mut Batch| batch.fold(&mut sequence, engine);
        read_ahead(&mut self.blocks, self.first, &plan, threads, fold)
            .with_context(|| format!("could not read {}", self.path.display()))?;
        // Without its `end` the run was interrupted, whatever follows in another capture.
        match sequence.tail() {
            Tail::Torn => engine.end_of_torn_capture(),
            _ => engine.end_of_capture(),
        }
        Ok(Read { skipped: sequence.skipped(), sha256: self.blocks.sha256() })
    }
}

/// Looks for the `start`, which is the first line that counts, and keeps what was read for it in `first`.
/// `None`: there is no such line, or its `start` is damaged and damage is skipped.
fn find_start(
    blocks: &mut Blocks<Box<dyn BufRead + Send>>,
    options: ReaderOptions,
    first: &mut VecDeque<Batch>,
) -> Result<Option<(Timestamp, Start)>, CaptureError> {
    let mut sequence = Sequence::new(options);
    loop {
        let mut batch = Batch::default();
        if !blocks.fill(&mut batch.block) {
            return Ok(None);
        }
        first.push_back(batch);
        let block = &first[first.len() - 1].block;
        for line in block.lines() {
            let Some(looked) = look(&line) else { continue };
            let Some(seen) = sequence.admit(line.number, line.is_last, looked)? else { continue };
            return match seen.observation(line.text) {
                Ok(Observation { at, event: Event::Start(start) }) => Ok(Some((at, *start))),
                _ => Ok(None),
            };
        }
    }
}
