//! Owns `cutover replay`: recorded runs judged again, from files alone.
//! Must not need a network, a clock or an environment: the same captures give the same reports.

use super::arguments::{Format, ReportArguments, phase};
use super::baseline;
use super::console::Console;
use super::exit::{Exit, WrongUse};
use super::folder::{Place, run_name};
use super::judging::{Judged, Judging, TOOL, load_contract, narrow, read_contract};
use super::results::RunReport;
use super::score;
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
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  cutover replay reports/20251219T143000Z-ab12/capture.jsonl
  cutover replay monday.jsonl.zst tuesday.jsonl.zst --phase before-deleting
  cutover replay capture.jsonl --contract stricter.toml --format json
  cutover replay capture.jsonl --truth truth.jsonl";

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
    #[arg(long, value_name = "RUN")]
    baseline: Option<PathBuf>,
    /// Threads to work with; how many changes nothing in the reports [default: as many as help]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Score the findings against this ledger of what was really wrong
    #[arg(long, value_name = "LEDGER")]
    truth: Option<PathBuf>,
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
    /// The ledger to score against.
    pub truth: Option<PathBuf>,
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
            truth: self.truth,
            place: self.report.place(),
            format: self.report.format,
        }
    }
}

pub fn run(settings: Settings, console: &Console) -> anyhow::Result<Exit> {
    let truth = settings.truth.as_deref().map(score::read_ledger).transpose()?;
    let mut opened = VecDeque::new();
    // An empty capture, or one torn in its first line, has no contract and no begin to tell.
    for path in &settings.captures {
        opened.push_back(Recording::open(path, settings.skip_damaged)?);
        if opened.back().is_some_and(|recording| recording.start.is_some()) {
            break;
        }
    }
    let started = opened.back().and_then(Recording::started);
    let given = settings.contract.as_deref();
    let mut contract = contract(given, started)?;
    let mut contracts = Contracts::new(&contract, given);
    narrow(&mut contract, &settings.features)?;
    let contract = Arc::new(contract);
    let baseline = settings.baseline.as_ref().map(|path| baseline::load(path, &contract)).transpose()?;
    let report = RunReport::start(&settings.place, &name(started, &contract), given)?;
    let mut judging = Judging::new(contract, report);
    if let Some(baseline) = baseline {
        judging.engine.set_baseline(baseline);
    }
    let mut damaged = 0;
    let mut digests = Vec::new();
    let mut before: Option<&Path> = None;
    for path in &settings.captures {
        let recording = match opened.pop_front() {
            Some(recording) => recording,
            None => Recording::open(path, settings.skip_damaged)?,
        };
        let read = recording.fold(&mut judging.engine, &mut contracts, before, settings.threads)?;
        before = Some(path);
        damaged += read.skipped;
        digests.push(read.sha256);
    }
    let score = match &truth {
        Some(truth) => {
            let contract = judging.engine.contract();
            Some(score::of(&settings.captures, contract, truth, settings.skip_damaged)?)
        }
        None => None,
    };
    let judged =
        Judged { phases: &settings.phases, other_contract: contracts.other, damaged, score: score.as_ref() };
    judging.finish(digests, judged, settings.format, console)
}

/// What one capture proves in these phases, without a report of its own.
pub fn judge(capture: &Path, given: Option<&Path>, phases: &[Phase]) -> anyhow::Result<Outcome> {
    let recording = Recording::open(capture, false)?;
    let contract = contract(given, recording.started())?;
    let contracts = Contracts::new(&contract, given);
    recording.judge(Arc::new(contract), contracts, phases)
}

/// The same by a contract that is known already.
pub fn judge_by(capture: &Path, contract: Arc<Contract>) -> anyhow::Result<Outcome> {
    let contracts = Contracts { given: true, ..Contracts::new(&contract, None) };
    Recording::open(capture, false)?.judge(contract, contracts, &[])
}

/// By its start; a capture that is empty or torn in its first line has none.
pub(super) fn name(started: Option<Started<'_>>, contract: &Contract) -> String {
    let short: String = contract.sha256.chars().take(8).collect();
    started.map_or_else(|| format!("undated-{short}"), |(_, (at, _))| run_name(*at, &short))
}

/// The contract to judge by: the one given, else that of the first capture which has a start, else
/// the built-in one.
pub(super) fn contract(given: Option<&Path>, started: Option<Started<'_>>) -> anyhow::Result<Contract> {
    match (given, started) {
        (Some(path), _) => load_contract(Some(path), false),
        (None, Some((path, (_, start)))) if !start.contract.is_empty() => {
            let mut contract = embedded(path, 1, start)?;
            // The digest is over the file as it was, before credentials were masked.
            if !start.contract_sha256.is_empty() {
                contract.sha256.clone_from(&start.contract_sha256);
            }
            Ok(contract)
        }
        _ => load_contract(None, false),
    }
}

/// A recording that carries a wrong contract is damaged, not wrongly used.
fn embedded(path: &Path, line: u64, start: &Start) -> anyhow::Result<Contract> {
    let name = format!("the contract in line {line} of {}", path.display());
    read_contract(&name, &start.contract, false).map_err(|e| anyhow::anyhow!("{e}"))
}

/// The contract that is judged by, against those that recordings carry.
pub(super) struct Contracts {
    /// Its digest.
    judged: String,
    /// By the user, so that what recordings carry need not be right.
    given: bool,
    /// A recording carries another one.
    pub(super) other: bool,
}

impl Contracts {
    pub(super) fn new(judged: &Contract, given: Option<&Path>) -> Contracts {
        Contracts { judged: judged.sha256.clone(), given: given.is_some(), other: false }
    }

    fn meet(&mut self, path: &Path, line: u64, start: &Start) -> anyhow::Result<()> {
        if start.contract_sha256.is_empty() || start.contract_sha256 == self.judged {
            return Ok(());
        }
        self.other = true;
        if !self.given && !start.contract.is_empty() {
            embedded(path, line, start)?;
        }
        Ok(())
    }
}

/// Where a `start` stands, and what it says.
pub(super) type Started<'s> = (&'s Path, &'s (Timestamp, Start));

/// One capture, opened and its first line read.
pub(super) struct Recording {
    path: PathBuf,
    blocks: Blocks<Box<dyn io::Read + Send>>,
    /// What was read to find the start.
    first: VecDeque<Batch>,
    options: ReaderOptions,
    start: Option<(Timestamp, Start)>,
}

/// Refuses a capture that begins before the one before it ends.
fn in_order(path: &Path, began: Timestamp, ended: Option<(&Path, Timestamp)>) -> anyhow::Result<()> {
    let Some((before, ended)) = ended.filter(|(_, ended)| began < *ended) else { return Ok(()) };
    let message = format!(
        "{} begins at {began}, before {} ends at {ended}; give captures in the order of time, none twice",
        path.display(),
        before.display(),
    );
    Err(WrongUse(message).into())
}

/// What is known of a capture once it is read.
pub(super) struct Read {
    pub(super) skipped: u64,
    pub(super) sha256: String,
}

/// Why a capture was not read to its end.
enum Stopped {
    Damaged(CaptureError),
    Refused(anyhow::Error),
}

impl From<CaptureError> for Stopped {
    fn from(error: CaptureError) -> Stopped {
        Stopped::Damaged(error)
    }
}

impl Recording {
    pub(super) fn open(path: &Path, skip_damaged: bool) -> anyhow::Result<Recording> {
        let could_not = || format!("could not read {}", path.display());
        let mut blocks = Blocks::new(open_capture(path).with_context(could_not)?);
        let options = ReaderOptions { skip_damaged };
        let mut first = VecDeque::new();
        let start = find_start(&mut blocks, options, &mut first).with_context(could_not)?;
        Ok(Recording { path: path.into(), blocks, first, options, start })
    }

    pub(super) fn started(&self) -> Option<Started<'_>> {
        Some((&self.path, self.start.as_ref()?))
    }

    fn judge(
        self,
        contract: Arc<Contract>,
        mut contracts: Contracts,
        phases: &[Phase],
    ) -> anyhow::Result<Outcome> {
        let mut engine = Engine::new(contract, Box::new(|_| {}));
        let read = self.fold(&mut engine, &mut contracts, None, default_threads())?;
        engine.finish();
        let provenance = Provenance {
            tool: TOOL.into(),
            phases: phases.to_vec(),
            capture_sha256: vec![read.sha256],
            other_contract: contracts.other,
            damaged: read.skipped,
        };
        Ok(conclude(&engine, provenance))
    }

    /// `before`: the capture that was read before this one, and must end before it.
    pub(super) fn fold(
        mut self,
        engine: &mut Engine,
        contracts: &mut Contracts,
        before: Option<&Path>,
        threads: NonZeroUsize,
    ) -> anyhow::Result<Read> {
        let mut sequence = Sequence::new(self.options);
        let plan = Arc::clone(engine.plan());
        let mut ended = before.zip(engine.last_at());
        let mut meet = |line: u64, observation: &Observation<'_>| {
            in_order(&self.path, observation.at, ended.take()).map_err(Stopped::Refused)?;
            match &observation.event {
                Event::Start(start) => contracts.meet(&self.path, line, start).map_err(Stopped::Refused),
                _ => Ok(()),
            }
        };
        let fold = |batch: &mut Batch| batch.fold(&mut sequence, engine, &mut meet);
        let read = read_ahead(&mut self.blocks, self.first, &plan, threads, fold);
        read.map_err(|stopped| match stopped {
            Stopped::Damaged(error) => {
                anyhow::Error::new(error).context(format!("could not read {}", self.path.display()))
            }
            Stopped::Refused(error) => error,
        })?;
        // Without its `end` the run was interrupted, whatever follows in another capture.
        match sequence.tail() {
            Tail::Torn | Tail::Empty => engine.end_of_torn_capture(),
            _ => engine.end_of_capture(),
        }
        Ok(Read { skipped: sequence.skipped(), sha256: self.blocks.sha256() })
    }
}

/// Looks for the `start`, which is the first line that counts, and keeps what was read for it in `first`.
/// `None`: there is no such line, or its `start` is damaged and damage is skipped.
fn find_start(
    blocks: &mut Blocks<Box<dyn io::Read + Send>>,
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
