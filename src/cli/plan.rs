//! Owns `cutover plan`: what a contract will check, and how long that takes to prove. Must not connect.

use super::arguments::{Format, rate};
use super::console::Console;
use super::exit::Exit;
use super::judging::{load_contract, narrow};
use crate::checks::plan::{Assumed, plan};
use crate::report::plan::{to_json, to_text};
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  cutover plan                                  the built-in contract, one stream a feature
  cutover plan --contract cutover.toml --streams 40
  cutover plan --rate 0.01% --feature positions --format json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The contract; without it the built-in one
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// Only this feature (repeatable)
    #[arg(long = "feature", value_name = "NAME")]
    features: Vec<String>,
    /// How many streams each feature has: accounts, symbols
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    streams: u64,
    /// The rate of wrong values that shall be ruled out, with 95 % confidence
    #[arg(long, value_name = "PERCENT", default_value = "0.1%", value_parser = rate)]
    rate: f64,
    /// How the plan is printed
    #[arg(long, value_name = "text|json", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    format: Format,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub contract: Option<PathBuf>,
    pub features: Vec<String>,
    pub assumed: Assumed,
    pub format: Format,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        let assumed = Assumed { streams: self.streams, rate: self.rate };
        Settings { contract: self.contract, features: self.features, assumed, format: self.format }
    }
}

pub fn run(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let mut contract = load_contract(settings.contract.as_deref(), false)?;
    narrow(&mut contract, &settings.features)?;
    let plan = plan(&contract, settings.assumed);
    let printed = match settings.format {
        Format::Text => to_text(&plan, console.columns()),
        Format::Json => to_json(&plan),
    };
    console.result(printed.as_bytes()).context("could not print the plan")?;
    Ok(Exit::Pass)
}
