//! Owns `cutover simulate`: the reference world stepped through virtual time into a capture.
//! Must not read a clock: the same arguments give the same bytes.

use super::arguments::{WorldArguments, duration, instant};
use super::console::Console;
use super::exit::Exit;
use crate::model::{Span, Timestamp};
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
    pub seed: u64,
    pub accounts: u32,
    pub symbols: u32,
    /// As typed: CLASS[:key=value,…].
    pub faults: Vec<String>,
    pub truth: Option<PathBuf>,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        Settings {
            out: self.out,
            contract: self.contract,
            from: self.from,
            duration: self.duration,
            seed: self.world.seed,
            accounts: self.world.accounts,
            symbols: self.world.symbols,
            faults: self.world.faults,
            truth: self.world.truth,
        }
    }
}

pub fn run(settings: Settings, console: &Console) -> anyhow::Result<Exit> {
    let _ = (settings, console);
    anyhow::bail!("could not simulate: this build has no reference world yet")
}
