//! Owns `cutover report`: any report again, from reports and captures that are there already.
//! Must not change what was concluded: of one report it shows just that.

use super::arguments::phase;
use super::console::Console;
use super::evidence::{self, Given};
use super::exit::Exit;
use super::folder::write_whole;
use super::results;
use crate::model::{Outcome, Phase};
use crate::report::{Layout, html, json, junit, signoff, summary, text};
use anyhow::Context;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  cutover report reports/20251219T143000Z-ab12cd34
  cutover report reports/20251219T143000Z-ab12cd34 --format summary
  cutover report reports/20251219T143000Z-ab12cd34 --format html -o report.html
  cutover report monday.jsonl.zst tuesday.jsonl.zst --format signoff -o signoff.csv
  cutover report --schema > report.schema.json

The lines of findings.csv are too many for a report to keep; `cutover replay` makes them from a capture.
A page made by this version is the one its run wrote, byte by byte; one of several runs belongs elsewhere.
The exit code is that of the verdict shown.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    evidence: Given,
    /// Print the JSON Schema of report.json instead
    #[arg(long, conflicts_with_all = ["evidence", "store"])]
    schema: bool,
    /// What to make of it: text, html, json, signoff (CSV), summary (Markdown) or junit (XML)
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    format: Rendering,
    /// Write it here instead of printing it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Judge captures by this contract instead of the recorded one
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// The phase captures are judged for (repeatable); by default by each flag
    #[arg(long = "phase", value_name = "PHASE", value_parser = phase(), hide_possible_values = true)]
    phases: Vec<Phase>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rendering {
    Text,
    Html,
    Json,
    Signoff,
    Summary,
    Junit,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub evidence: Given,
    /// The JSON Schema is asked for, and nothing else.
    pub schema: bool,
    pub rendering: Rendering,
    /// `None`: stdout.
    pub output: Option<PathBuf>,
    pub contract: Option<PathBuf>,
    pub phases: Vec<Phase>,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        Settings {
            evidence: self.evidence,
            schema: self.schema,
            rendering: self.format,
            output: self.output,
            contract: self.contract,
            phases: self.phases,
        }
    }
}

/// A file has no terminal: as wide as what goes into a pipe, without colour.
const FILE: Layout = Layout { width: 120, colour: false };

pub fn run(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    if settings.schema {
        console.result(json::PUBLISHED.as_bytes()).context("could not print the schema")?;
        return Ok(Exit::Pass);
    }
    let found = evidence::find(&settings.evidence)?;
    let outcome = evidence::as_judged(&found, settings.contract.as_deref(), &settings.phases)?;
    match &settings.output {
        Some(file) => {
            write_whole(file, &rendered(&outcome, settings.rendering, FILE, settings.contract.as_deref()))?
        }
        None => {
            let layout = Layout { width: console.columns(), colour: console.colour_out };
            let bytes = rendered(&outcome, settings.rendering, layout, settings.contract.as_deref());
            console.result(&bytes).context("could not print the result")?;
        }
    }
    Ok(Exit::of(outcome.verdict))
}

fn rendered(outcome: &Outcome, rendering: Rendering, layout: Layout, contract: Option<&Path>) -> Vec<u8> {
    match rendering {
        Rendering::Text => {
            text::to_text(outcome, layout, &results::again(outcome, contract, None)).into_bytes()
        }
        Rendering::Html => html::to_html(outcome),
        Rendering::Json => json::to_json(outcome),
        Rendering::Signoff => signoff::to_csv(outcome),
        Rendering::Summary => summary::to_markdown(outcome),
        Rendering::Junit => junit::to_xml(outcome),
    }
}
