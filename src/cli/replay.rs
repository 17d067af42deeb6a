//! Owns `cutover replay`: recorded runs judged again, from files alone.
//! Must not need a network, a clock or an environment: the same captures give the same reports.

use super::arguments::{Format, ReportArguments, phase};
use super::console::Console;
use super::exit::{Exit, WrongUse};
use super::folder::{Place, run_name};
use super::judging::{Judged, Judging, TOOL, load_contract, narrow, read_contract};
use super::results::RunReport;
use crate::capture::{LineError, Reader, ReaderOptions, Tail, decode_slow};
use crate::checks::{Provenance, conclude};
use crate::contract::Contract;
use crate::engine::Engine;
use crate::model::{Event, Observation, Outcome, Phase, Start, Timestamp};
use crate::source::CaptureInput;
use anyhow::Context;
use clap::Args;
use std::collections::VecDeque;
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
            place: self.report.place(),
            format: self.report.format,
        }
    }
}

pub fn run(settings: Settings, console: &Console) -> anyhow::Result<Exit> {
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
    let short: String = contract.sha256.chars().take(8).collect();
    let run = started.map_or(format!("undated-{short}"), |(_, (at, _))| run_name(*at, &short));
    let report = RunReport::start(&settings.place, &run)?;
    let mut judging = Judging::new(Arc::new(contract), report);
    let mut damaged = 0;
    let mut digests = Vec::new();
    let mut before: Option<&Path> = None;
    for path in &settings.captures {
        let recording = match opened.pop_front() {
            Some(recording) => recording,
            None => Recording::open(path, settings.skip_damaged)?,
        };
        let read = recording.fold(&mut judging.engine, &mut contracts, before)?;
        before = Some(path);
        damaged += read.skipped;
        digests.push(read.sha256);
    }
    let judged = Judged { phases: &settings.phases, other_contract: contracts.other, damaged };
    judging.finish(digests, judged, settings.format, console)
}

/// What one capture proves in these phases, without a report of its own.
pub fn judge(capture: &Path, given: Option<&Path>, phases: &[Phase]) -> anyhow::Result<Outcome> {
    let recording = Recording::open(capture, false)?;
    let contract = contract(given, recording.started())?;
    let mut contracts = Contracts::new(&contract, given);
    let mut engine = Engine::new(Arc::new(contract), Box::new(|_| {}));
    let read = recording.fold(&mut engine, &mut contracts, None)?;
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

/// The contract to judge by: the one given, else that of the first capture which has a start, else
/// the built-in one.
fn contract(given: Option<&Path>, started: Option<Started<'_>>) -> anyhow::Result<Contract> {
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
struct Contracts {
    /// Its digest.
    judged: String,
    /// By the user, so that what recordings carry need not be right.
    given: bool,
    /// A recording carries another one.
    other: bool,
}

impl Contracts {
    fn new(judged: &Contract, given: Option<&Path>) -> Contracts {
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
type Started<'s> = (&'s Path, &'s (Timestamp, Start));

/// One capture, opened and its first line read.
struct Recording {
    path: PathBuf,
    reader: Reader<CaptureInput>,
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
struct Read {
    skipped: u64,
    sha256: String,
}

impl Recording {
    fn open(path: &Path, skip_damaged: bool) -> anyhow::Result<Recording> {
        let could_not = || format!("could not read {}", path.display());
        let input = CaptureInput::open(path).with_context(could_not)?;
        let mut reader = Reader::hashed_elsewhere(input, ReaderOptions { skip_damaged });
        let start = reader.read_start().with_context(could_not)?;
        Ok(Recording { path: path.into(), reader, start })
    }

    fn started(&self) -> Option<Started<'_>> {
        Some((&self.path, self.start.as_ref()?))
    }

    /// `before`: the capture that was read before this one, and must end before it.
    fn fold(
        mut self,
        engine: &mut Engine,
        contracts: &mut Contracts,
        before: Option<&Path>,
    ) -> anyhow::Result<Read> {
        let could_not = || format!("could not read {}", self.path.display());
        let mut ended = before.zip(engine.last_at());
        if let Some((at, start)) = self.start {
            in_order(&self.path, at, ended.take())?;
            contracts.meet(&self.path, 1, &start)?;
            let observation = Observation { at, event: Event::Start(Box::new(start)) };
            // A start has no body to be damaged.
            let _ = engine.observe(&observation);
        }
        while let Some(line) = self.reader.next() {
            let line = line.with_context(could_not)?;
            in_order(&self.path, line.observation.at, ended.take())?;
            if let Event::Start(start) = &line.observation.event {
                contracts.meet(&self.path, line.number, start)?;
            }
            if engine.observe(&line.observation).is_ok() {
                continue;
            }
            // Another writer may have put members behind the body.
            let damage = match decode_slow(line.text) {
                Ok(observation) if engine.observe(&observation).is_ok() => continue,
                Ok(_) => LineError::NotJson("its body is no JSON".into()),
                Err(damage) => damage,
            };
            self.reader.damaged(damage).with_context(could_not)?;
        }
        // Without its `end` the run was interrupted, whatever follows in another capture.
        match self.reader.tail() {
            Tail::Torn | Tail::Empty => engine.end_of_torn_capture(),
            _ => engine.end_of_capture(),
        }
        let sha256 = self.reader.input().sha256().unwrap_or_default().to_string();
        Ok(Read { skipped: self.reader.skipped(), sha256 })
    }
}
