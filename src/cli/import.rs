//! Owns `cutover import`: what a browser or a web server recorded becomes a capture.
//! Must not judge; `replay` does.

use super::console::Console;
use super::exit::{Exit, WrongUse};
use super::judging::{TOOL, load_contract};
use super::recording::{self, Recording};
use crate::capture::VERSION;
use crate::contract::Contract;
use crate::model::Start;
use crate::source::{HarError, Imported, import_access_log, import_har, shown_url};
use anyhow::Context;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  cutover import har page.har -o page.jsonl --contract cutover.toml --flag WS_FEATURE_POSITIONS=true
  cutover import access-log access.log.1 access.log -o frontend.jsonl --flag WS_FEATURE_POSITIONS=true
  cutover replay page.jsonl --phase after-enabling";

const HAR: &str = "\
Record with the Network tab of Chrome or Edge (\"Export HAR\") or with Playwright's recordHar; Firefox and
Safari keep no WebSocket messages. Both feeds, as the page saw them, become one capture.

Example:
  cutover import har page.har -o page.jsonl --contract cutover.toml --flag WS_FEATURE_POSITIONS=true";

const ACCESS_LOG: &str = "\
The combined format of nginx and Apache, and JSON lines (nginx, Caddy, Traefik, Envoy). nginx writes the line of a
WebSocket when it ends: log $request_time too, so that the page's load is told from polls.

Example:
  cutover import access-log access.log.1 access.log -o frontend.jsonl --flag WS_FEATURE_POSITIONS=true";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A HAR file with WebSocket messages: both feeds, and what the frontend asked for
    #[command(after_help = HAR)]
    Har {
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        into: Into,
    },
    /// Access logs: what the frontend asked for
    #[command(after_help = ACCESS_LOG)]
    AccessLog {
        /// In any order; rotated ones together
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        into: Into,
    },
}

/// Where to, and what the recording itself does not tell.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Into {
    /// The capture to write (.jsonl or .jsonl.zst)
    #[arg(short, long, value_name = "CAPTURE")]
    out: PathBuf,
    /// The contract; without it the built-in one
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// A flag as it was while this was recorded (repeatable); `websocket-only` cannot be judged without it
    #[arg(long = "flag", value_name = "NAME=true|false", value_parser = flag)]
    flags: Vec<(String, bool)>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Settings {
    Har { file: PathBuf, into: Into },
    AccessLog { files: Vec<PathBuf>, into: Into },
}

impl Arguments {
    pub fn settings(self) -> Settings {
        match self.what {
            What::Har { file, into } => Settings::Har { file, into },
            What::AccessLog { files, into } => Settings::AccessLog { files, into },
        }
    }
}

fn flag(text: &str) -> Result<(String, bool), String> {
    match text.split_once('=') {
        Some((name, "true")) if !name.is_empty() => Ok((name.to_string(), true)),
        Some((name, "false")) if !name.is_empty() => Ok((name.to_string(), false)),
        _ => Err("give NAME=true or NAME=false".into()),
    }
}

pub fn run(settings: Settings, console: &Console) -> anyhow::Result<Exit> {
    let into = match &settings {
        Settings::Har { into, .. } | Settings::AccessLog { into, .. } => into,
    };
    let contract = load_contract(into.contract.as_deref(), false)?;
    known_flags(&contract, &into.flags)?;
    recording::refuse_existing(&into.out)?;
    let imported = match &settings {
        Settings::Har { file, .. } => har(file, &contract)?,
        Settings::AccessLog { files, .. } => access_logs(files, &contract)?,
    };
    let notes = imported.notes.clone();
    let observations = imported
        .observations(start(&contract, into))
        .ok_or_else(|| anyhow::anyhow!("there is nothing in it: no request, no message"))?;
    let mut recording = Recording::create(&into.out)?;
    for observation in observations {
        recording.append(&observation);
    }
    let lines = recording.finish().with_context(|| recording::could_not(&into.out))?;
    for note in notes {
        console.note(&note);
    }
    if into.flags.is_empty() {
        console.note("no --flag was given, so websocket-only cannot be judged from it");
    }
    console.note(&format!("{lines} lines; replay them with: cutover replay {}", into.out.display()));
    Ok(Exit::Pass)
}

fn known_flags(contract: &Contract, flags: &[(String, bool)]) -> anyhow::Result<()> {
    let known: Vec<&str> =
        contract.features.iter().map(|f| f.flag.as_str()).filter(|f| !f.is_empty()).collect();
    match flags.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((unknown, _)) => {
            let message =
                format!("--flag: the contract has no flag `{unknown}`; it has {}", known.join(", "));
            Err(WrongUse(message).into())
        }
        None => Ok(()),
    }
}

fn har(file: &Path, contract: &Contract) -> anyhow::Result<Imported> {
    import_har(&text(file)?, contract).map_err(|error| {
        let wrong_use = matches!(error, HarError::NoMessages { .. });
        let message = format!("could not import {}: {error}", file.display());
        // Another recording is needed, not another try.
        if wrong_use { WrongUse(message).into() } else { anyhow::anyhow!(message) }
    })
}

fn access_logs(files: &[PathBuf], contract: &Contract) -> anyhow::Result<Imported> {
    let mut all = Imported::default();
    for file in files {
        let imported = import_access_log(text(file)?.lines(), contract)
            .with_context(|| format!("could not import {}", file.display()))?;
        all.events.extend(imported.events);
        all.notes.extend(imported.notes.into_iter().map(|note| format!("{}: {note}", file.display())));
        all.from = imported.from;
    }
    Ok(all)
}

#[allow(clippy::disallowed_methods, reason = "the one place where foreign recordings are read")]
fn text(file: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("could not read {}", file.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_string())
}

fn start(contract: &Contract, into: &Into) -> Start {
    Start {
        capture: VERSION,
        tool: TOOL.into(),
        contract: contract.recorded_text.clone(),
        contract_sha256: contract.sha256.clone(),
        feeds: vec![
            ("rest".into(), shown_url(&contract.rest.base_url)),
            ("ws".into(), shown_url(&contract.ws.url)),
        ],
        flags: into.flags.clone(),
    }
}
