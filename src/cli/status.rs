//! Owns `cutover status`: where each feature stands, and the command that brings it one step on.
//! Must not change anything.

use super::arguments::Format;
use super::console::Console;
use super::evidence::Given;
use super::exit::Exit;
use super::standing::{self, Lacking, Sources, Standing};
use crate::env_file::State;
use crate::model::Verdict;
use crate::report::terminal::{Page, Style};
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  cutover status --contract cutover.toml --env-file .env --evidence evidence
  cutover status reports --format json

Flags are read from --env-file, or without it from the environment.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    evidence: Given,
    /// Tell of this contract's features too, and judge captures by it
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// Read the flags from this file
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// How the result is printed
    #[arg(long, value_name = "text|json", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    format: Format,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub sources: Sources,
    pub format: Format,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        let sources = Sources { given: self.evidence, contract: self.contract, env_file: self.env_file };
        Settings { sources, format: self.format }
    }
}

pub fn run(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let all = standing::of(&settings.sources)?;
    let told = all
        .iter()
        .map(|standing| Ok((standing, standing::next(&all, standing, &settings.sources)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let page = match settings.format {
        Format::Json => to_json(&told)?,
        Format::Text => to_text(&told, console),
    };
    console.result(page.as_bytes()).context("could not print the status")?;
    Ok(Exit::Pass)
}

fn word(state: Option<State>) -> &'static str {
    match state {
        None => "not set",
        Some(State::On) => "true",
        Some(State::Off) => "false",
        Some(State::Unclear) => "neither true nor false",
    }
}

fn to_text(told: &[(&Standing, String)], console: &Console) -> String {
    let columns = console.columns();
    let mut page = Page::new(console.colour_out);
    for (standing, next) in told {
        let flag = if standing.flag.is_empty() { "no flag" } else { &standing.flag };
        page.put(Style::Strong, &standing.feature)
            .plain(&format!("  {flag}: {}", word(standing.state)))
            .end();
        for aside in &standing.set_aside {
            page.paragraph(Style::Unsure, "  ! ", aside, columns);
        }
        for phase in &standing.phases {
            let style = match phase.verdict {
                Verdict::Pass => Style::Good,
                Verdict::Inconclusive => Style::Unsure,
                Verdict::Fail => Style::Bad,
            };
            page.plain(&format!("  {:<16}", phase.phase.name())).put(style, phase.verdict.name()).end();
            for Lacking { check, verdict, why } in &phase.lacking {
                let mark = if *verdict == Verdict::Fail.name() { "    ! " } else { "    - " };
                page.paragraph(Style::Plain, mark, &format!("{check}: {why}"), columns);
            }
        }
        // In one line, however long, so that it can be copied.
        page.plain("  next: ").put(Style::Strong, next).end();
    }
    page.finish()
}

fn to_json(told: &[(&Standing, String)]) -> anyhow::Result<String> {
    let features: Vec<_> = told
        .iter()
        .map(|(standing, next)| {
            let phases = standing.phases.iter().map(|phase| {
                serde_json::json!({
                    "phase": phase.phase.name(),
                    "verdict": phase.verdict.name(),
                    "lacking": phase.lacking,
                })
            });
            serde_json::json!({
                "feature": standing.feature,
                "flag": standing.flag,
                "on": match standing.state {
                    Some(State::On) => Some(true),
                    Some(State::Off) => Some(false),
                    _ => None,
                },
                "phases": phases.collect::<Vec<_>>(),
                "set_aside": standing.set_aside,
                "next": next,
            })
        })
        .collect();
    let text = serde_json::to_string_pretty(&serde_json::json!({ "features": features }));
    Ok(text.context("could not print the status")? + "\n")
}
