//! Owns `cutover tap`: a recording proxy between frontend and backend, without the feeds.
//! Must not judge; `replay` does.

use super::arguments::duration;
use super::backend::tap;
use super::console::{Console, variable};
use super::exit::{Exit, WrongUse};
use super::judging::{TOOL, load_contract};
use super::live_run::{flags, runtime, stop_signal};
use super::recording;
use crate::capture::Writer;
use crate::model::{Observation, Span};
use crate::source::{
    BackendTargets, Clock, Feeds, ProxySettings, RunError, RunSettings, TapTarget, run as run_sources,
};
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  cutover tap 127.0.0.1:9000=http://127.0.0.1:8000 -o frontend.jsonl --contract cutover.toml
  WS_FEATURE_POSITIONS=true cutover tap 127.0.0.1:9000=http://127.0.0.1:8000 -o frontend.jsonl --for 30m
  cutover replay frontend.jsonl --phase after-enabling

Point the frontend at the first address; what it asks for is passed on to the second as it is. To have the feeds
in the same capture: cutover watch --tap ADDRESS=URL. Flags are recorded as the environment has them.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Where to listen, and the backend (unencrypted HTTP and WebSocket)
    #[arg(value_name = "ADDRESS=URL", required = true, value_parser = tap)]
    taps: Vec<TapTarget>,
    /// The capture to write (.jsonl or .jsonl.zst)
    #[arg(short, long, value_name = "CAPTURE")]
    out: PathBuf,
    /// The contract; without it the built-in one
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// How long to record; without it until Ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    duration: Option<Span>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub taps: Vec<TapTarget>,
    pub out: PathBuf,
    pub contract: Option<PathBuf>,
    pub duration: Option<Span>,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        Settings { taps: self.taps, out: self.out, contract: self.contract, duration: self.duration }
    }
}

pub fn run(settings: Settings, console: &Console) -> anyhow::Result<Exit> {
    let contract = Arc::new(load_contract(settings.contract.as_deref(), false)?);
    recording::refuse_existing(&settings.out)?;
    let capture = recording::create(&settings.out)?;
    let run_settings = RunSettings {
        tool: TOOL.into(),
        clock: Clock::start(1),
        duration: settings.duration,
        seed: 0,
        feeds: Feeds::None,
        features: None,
        flags: flags(&contract),
        proxies: ProxySettings::from_environment(&variable).map_err(|e| WrongUse(e.to_string()))?,
        backend: BackendTargets { taps: settings.taps, ..BackendTargets::default() },
    };
    let ended = runtime()?.block_on(async {
        let stop = stop_signal(console);
        console.note("recording what passes; Ctrl-C ends it in order");
        let mut nobody = |_: &Observation<'_>| {};
        run_sources(run_settings, contract, Writer::new(capture), &mut nobody, stop).await
    });
    if matches!(ended, Err(RunError::Setup(_))) {
        recording::discard_empty(&settings.out);
    }
    let end = match ended {
        Err(RunError::Setup(setup)) => return Err(WrongUse(setup.to_string()).into()),
        ended => ended.with_context(|| recording::could_not(&settings.out))?,
    };
    let out = settings.out.display();
    console.note(&format!("{} lines; replay them with: cutover replay {out}", end.lines));
    Ok(Exit::Pass)
}
