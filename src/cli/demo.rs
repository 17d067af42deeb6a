//! Owns `cutover demo`: server and watch in one process, over real loopback sockets.
//! Must not take short cuts: what it shows is what `serve` and `watch` do in two processes.

use super::arguments::{Format, MAX_SPEED, ReportArguments, WorldArguments, duration};
use super::console::Console;
use super::exit::Exit;
use super::folder::Place;
use super::judging::load_contract;
use super::live_run::{self, LiveRun};
use super::on_fail::Asked;
use super::watch::Stop;
use super::world::{Running, ServerSettings, TruthFile, WorldSettings, help_with_faults};
use crate::model::Span;
use crate::source::BackendTargets;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  cutover demo                                       PASS in about a minute
  cutover demo --fault value_mismatch:feature=positions,field=pnl,rate=0.02
  cutover demo --fault connection_drop:at=3m --for 24m --speed 24";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = help_with_faults(EXAMPLES))]
pub struct Arguments {
    /// How long to watch, in the world's time: 12m at speed 12 take a minute
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, default_value = "12m")]
    duration: Span,
    /// The world's clock, intervals and limits run this many times as fast
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=MAX_SPEED))]
    speed: u32,
    #[command(flatten)]
    world: WorldArguments,
    /// Record here (.jsonl or .jsonl.zst); by default into the report folder
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Serve a page that follows the run: a port of this machine, or HOST:PORT for others to read too
    #[arg(long, value_name = "[HOST:]PORT", value_parser = super::ui::address)]
    ui: Option<SocketAddr>,
    #[command(flatten)]
    report: ReportArguments,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Of the world's time.
    pub duration: Span,
    pub speed: u32,
    pub world: WorldSettings,
    /// `None`: into the report folder.
    pub record: Option<PathBuf>,
    pub ui: Option<SocketAddr>,
    pub place: Place,
    pub format: Format,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        Settings {
            duration: self.duration,
            speed: self.speed,
            world: self.world.settings(),
            record: self.record,
            ui: self.ui,
            place: self.report.place(),
            format: self.report.format,
        }
    }
}

pub fn run(settings: Settings, console: &Console) -> anyhow::Result<Exit> {
    let mut contract = load_contract(None, false)?;
    let served = ServerSettings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        world: settings.world.options(),
        faults: settings.world.faults()?,
        speed: settings.speed,
        truth: TruthFile::create(settings.world.truth.as_deref())?,
    };
    let runtime = live_run::runtime()?;
    let recorded = runtime.block_on(async {
        let server = Running::start(served).await?;
        contract.rest.base_url = format!("http://{}", server.address);
        contract.ws.url = format!("ws://{}/ws", server.address);
        let run = LiveRun {
            contract: Arc::new(contract),
            contract_file: None,
            stop: Stop::After(settings.duration),
            until_proven: None,
            speed: settings.speed,
            seed: Some(settings.world.seed),
            phases: Vec::new(),
            record: settings.record,
            place: settings.place,
            format: settings.format,
            metrics_listen: None,
            ui: settings.ui,
            backend: BackendTargets::default(),
            baseline: None,
            env_file: None,
            on_fail: Asked::default(),
        };
        let recorded = run.record(console).await;
        server.end(console).await?;
        recorded
    })?;
    recorded.finish(&runtime, console)
}
