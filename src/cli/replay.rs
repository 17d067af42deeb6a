//! Owns `cutover replay`: recorded runs judged again, from files alone.
//! Must not need a network, a clock or an environment: the same captures give the same reports.

use super::arguments::{Format, ReportArguments, phase};
use super::console::Console;
use super::exit::Exit;
use super::folder::Place;
use crate::model::Phase;
use clap::Args;
use std::path::PathBuf;

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
    /// Threads; how many changes no result [default: as many as there are cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
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
    /// `None`: as many as there are cores.
    pub threads: Option<u32>,
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
            threads: self.threads,
            place: self.report.place(),
            format: self.report.format,
        }
    }
}

pub fn run(settings: Settings, console: &Console) -> anyhow::Result<Exit> {
    let _ = (settings, console);
    anyhow::bail!("could not replay: this build cannot read captures yet")
}
