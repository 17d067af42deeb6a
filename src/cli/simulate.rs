//! Owns `cutover simulate`: the reference world stepped through virtual time into a capture.
//! Must not read a clock: the same arguments give the same bytes.

use super::arguments::{WorldArguments, duration, instant};
use super::console::Console;
use super::exit::{Exit, WrongUse};
use super::judging::{TOOL, load_contract};
use super::recording::{self, Recording};
use super::world::{TruthFile, WorldSettings};
use crate::capture::VERSION;
use crate::contract::Contract;
use crate::model::{Span, Start, Timestamp};
use crate::reference::{Poll, Simulation, SimulationOptions};
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  cutover simulate session.jsonl.zst --for 6.5h
  cutover simulate bad.jsonl --for 1h --fault gap:feature=positions,rate=0.01 --truth truth.jsonl
  cutover replay session.jsonl.zst";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The capture to write (.jsonl or .jsonl.zst)
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// The contract; without it the built-in one
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// When the session begins (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = instant, default_value = "2025-12-19T14:30:00Z")]
    from: Timestamp,
    /// How long it lasts, in the world's time
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, default_value = "10m")]
    duration: Span,
    #[command(flatten)]
    world: WorldArguments,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub out: PathBuf,
    pub contract: Option<PathBuf>,
    pub from: Timestamp,
    pub duration: Span,
    pub world: WorldSettings,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        Settings {
            out: self.out,
            contract: self.contract,
            from: self.from,
            duration: self.duration,
            world: self.world.settings(),
        }
    }
}

pub fn run(settings: Settings, console: &Console) -> anyhow::Result<Exit> {
    let contract = load_contract(settings.contract.as_deref(), false)?;
    let mut options = SimulationOptions::new(settings.from, settings.duration);
    options.world = settings.world.options();
    options.faults = settings.world.faults()?;
    options.polls = polls(&contract);
    options.seed = settings.world.seed;
    options.start = start(&contract);
    let simulation = Simulation::new(options).map_err(|error| WrongUse(format!("--fault: {error}")))?;
    let mut truth = TruthFile::create(settings.world.truth.as_deref())?;
    let mut recording = Recording::create(&settings.out)?;
    simulation.run(
        |observation| recording.append(observation),
        |entry| {
            if let Some(truth) = &mut truth {
                truth.write(entry);
            }
        },
    );
    let lines = recording.finish().with_context(|| recording::could_not(&settings.out))?;
    truth.map_or(Ok(()), TruthFile::finish)?;
    console.note(&format!("{lines} lines; replay them with: cutover replay {}", settings.out.display()));
    Ok(Exit::Pass)
}

/// The contract's polls of what the reference world serves.
fn polls(contract: &Contract) -> Vec<Poll> {
    contract
        .features
        .iter()
        .map(|f| Poll { feature: f.name.to_string(), path: f.rest.path.clone(), every: f.rest.poll })
        .collect()
}

fn start(contract: &Contract) -> Start {
    Start {
        capture: VERSION,
        tool: TOOL.into(),
        contract: contract.recorded_text.clone(),
        contract_sha256: contract.sha256.clone(),
        feeds: vec![("rest".into(), "simulated".into()), ("ws".into(), "simulated".into())],
        flags: contract
            .features
            .iter()
            .filter(|f| !f.flag.is_empty())
            .map(|f| (f.flag.clone(), false))
            .collect(),
    }
}
