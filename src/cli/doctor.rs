//! Owns `cutover doctor`: tries a contract against its feeds for a few seconds, or against a capture, and says what to
//! change. Must not judge, nor look for what is wrong itself.

use super::arguments::{Format, duration};
use super::console::Console;
use super::exit::{Exit, WrongUse};
use super::judging::{TOOL, load_contract, narrow, read_contract};
use super::live_run::{runtime, stop_signal};
use crate::capture::{Reader, ReaderOptions, Writer};
use crate::contract::Contract;
use crate::doctor::{Complaint, Examined, Weight, examine, patched};
use crate::drill::tape::owned;
use crate::model::{Observation, Span, Timestamp};
use crate::report::Layout;
use crate::report::doctor::{Change, to_json, to_text};
use crate::source::{
    BackendTargets, CaptureSink, Clock, Feeds, Judge, LoginError, ProxySettings, RunError, RunSettings,
    open_capture, run as follow,
};
use anyhow::Context;
use clap::Args;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  cutover doctor --contract cutover.toml
  cutover doctor --contract cutover.toml --for 60s --feature positions
  cutover doctor --from monday.jsonl.zst                      what a recording shows, by its own contract
  cutover doctor --from monday.jsonl.zst --contract cutover.toml --format json

It exits with 1 where something is to cure, with 3 where a feature has nothing to compare, and with 0 otherwise.";

/// Bodies of a few seconds; beyond it the rest is not looked at.
const MOST_BYTES: usize = 256 << 20;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The contract to try; without it the built-in one, or that of --from
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// Look at this recording instead of the feeds
    #[arg(long, value_name = "CAPTURE", conflicts_with_all = ["duration", "speed"])]
    from: Option<PathBuf>,
    /// How long to try; several intervals of the slowest feature tell most
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, default_value = "15s", id = "duration")]
    duration: Span,
    /// Only this feature (repeatable)
    #[arg(long = "feature", value_name = "NAME")]
    features: Vec<String>,
    /// The feeds run N times as fast as promised (`cutover serve --speed N`)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    speed: u32,
    /// How the result is printed
    #[arg(long, value_name = "text|json", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    format: Format,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub contract: Option<PathBuf>,
    pub from: Option<PathBuf>,
    pub duration: Span,
    pub features: Vec<String>,
    pub speed: u32,
    pub format: Format,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        let Arguments { contract, from, duration, features, speed, format } = self;
        Settings { contract, from, duration, features, speed, format }
    }
}

pub fn run(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let (contract, seen) = match &settings.from {
        Some(path) => recorded(path, settings)?,
        None => {
            let mut contract = load_contract(settings.contract.as_deref(), true)?;
            narrow(&mut contract, &settings.features)?;
            let contract = Arc::new(contract);
            let seen = runtime()?.block_on(tried(settings, contract.clone(), console))?;
            (contract, seen)
        }
    };
    let mut examined = examine(&contract, &seen.observations);
    if let Some(refused) = &seen.refused {
        examined.complaints.insert(0, login(refused));
    }
    if seen.left_out > 0 {
        console.note(&format!(
            "{} observations beyond {} MiB were not looked at",
            seen.left_out,
            MOST_BYTES >> 20
        ));
    }
    let name = match &settings.contract {
        Some(path) => path.display().to_string(),
        None => "cutover.toml".to_string(),
    };
    let edits: Vec<_> = examined.complaints.iter().flat_map(|complaint| complaint.edits.clone()).collect();
    let after = patched(&contract.recorded_text, &edits);
    let change = after.as_deref().map(|after| Change { name: &name, before: &contract.recorded_text, after });
    let printed = match settings.format {
        Format::Json => format!("{:#}\n", to_json(&examined, change)),
        Format::Text => {
            let layout = Layout { width: console.columns(), colour: console.colour_out };
            to_text(&examined, change, layout)
        }
    };
    console.result(printed.as_bytes()).context("could not print the result")?;
    Ok(exit(&examined))
}

fn exit(examined: &Examined) -> Exit {
    if examined.complaints.iter().any(|complaint| complaint.weight == Weight::Fault) {
        return Exit::Fail;
    }
    if examined.features.iter().any(|feature| feature.pairs == 0) { Exit::Inconclusive } else { Exit::Pass }
}

/// A login that is refused ends a run before anything else is tried.
fn login(refused: &LoginError) -> Complaint {
    let cure = match refused {
        LoginError::Refused { status: 400 | 415 | 422, .. } => {
            "the server does not understand the login: `form` instead of `json`, or other names in it"
        }
        LoginError::Refused { status: 401 | 403, .. } => {
            "check user and password (`${NAME}` of the environment), and whether a CSRF token is wanted"
        }
        LoginError::Refused { status: 404 | 405, .. } => "check `path` (a last `/`?) and `method` of `login`",
        LoginError::Refused { .. } => "check `path` and the body of `login`",
        LoginError::NoToken { .. } => {
            "check where the answer has its token (`token`), or whether it sets cookies instead (cookies = true)"
        }
    };
    Complaint {
        code: "login",
        weight: Weight::Fault,
        about: "REST".into(),
        found: refused.to_string(),
        cure: cure.into(),
        edits: Vec::new(),
    }
}

/// What came, and what kept more from coming.
#[derive(Debug, Default)]
struct Seen {
    observations: Vec<Observation<'static>>,
    bytes: usize,
    left_out: usize,
    refused: Option<LoginError>,
}

impl Seen {
    fn keep(&mut self, observation: &Observation<'_>, bytes: usize) {
        if self.bytes + bytes > MOST_BYTES {
            self.left_out += 1;
            return;
        }
        self.bytes += bytes;
        self.observations.push(owned(observation));
    }
}

fn recorded(path: &Path, settings: &Settings) -> anyhow::Result<(Arc<Contract>, Seen)> {
    let could_not = || format!("could not read {}", path.display());
    let mut reader = Reader::new(open_capture(path).with_context(could_not)?, ReaderOptions::default());
    let mut seen = Seen::default();
    let mut own = None;
    while let Some(line) = reader.next() {
        let line = line.with_context(could_not)?;
        if let crate::model::Event::Start(start) = &line.observation.event {
            own.get_or_insert(start.contract.clone());
        }
        seen.keep(&line.observation, line.text.len());
    }
    let mut contract = match (&settings.contract, own) {
        (Some(file), _) => load_contract(Some(file), false)?,
        (None, Some(text)) if !text.is_empty() => read_contract("the recorded contract", &text, false)?,
        _ => {
            let message = format!("{} holds no contract; give one with --contract", path.display());
            return Err(WrongUse(message).into());
        }
    };
    narrow(&mut contract, &settings.features)?;
    Ok((Arc::new(contract), seen))
}

async fn tried(settings: &Settings, contract: Arc<Contract>, console: &Console) -> anyhow::Result<Seen> {
    let clock = Clock::start(settings.speed);
    let run = RunSettings {
        tool: TOOL.into(),
        duration: Some(settings.duration),
        seed: clock.now().0.unsigned_abs() ^ u64::from(std::process::id()),
        feeds: Feeds::Both,
        features: None,
        flags: Vec::new(),
        proxies: ProxySettings::from_environment(&super::console::variable)
            .map_err(|error| WrongUse(error.to_string()))?,
        backend: BackendTargets::default(),
        clock,
    };
    console.note(&format!("trying both feeds for {}", settings.duration));
    let mut trying = Trying(Seen::default());
    let stop = stop_signal(console);
    match follow(run, contract, Writer::new(Nowhere), &mut trying, stop).await {
        Ok(_) => {}
        Err(RunError::Login(refused)) => trying.0.refused = Some(refused),
        Err(RunError::Setup(setup)) => return Err(WrongUse(setup.to_string()).into()),
        Err(other) => return Err(anyhow::Error::new(other).context("could not try the feeds")),
    }
    Ok(trying.0)
}

struct Trying(Seen);

impl Judge for Trying {
    fn observe(&mut self, observation: &Observation<'_>) {
        let bytes = match &observation.event {
            crate::model::Event::Rest { bytes, .. } | crate::model::Event::Ws { bytes, .. } => {
                *bytes as usize
            }
            _ => 0,
        };
        self.0.keep(observation, bytes);
    }

    fn tick(&mut self, _now: Timestamp) {}
}

/// Nobody asked for a capture.
#[derive(Debug)]
struct Nowhere;

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl CaptureSink for Nowhere {
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}
