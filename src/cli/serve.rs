//! Owns `cutover serve`: the reference world on a port until Ctrl-C.
//! Must not judge anything.

use super::arguments::{MAX_SPEED, WorldArguments};
use super::console::Console;
use super::exit::Exit;
use super::live_run;
use super::world::{Running, ServerSettings, TruthFile, WorldSettings, help_with_faults};
use clap::Args;
use std::net::SocketAddr;

const EXAMPLES: &str = "\
Examples:
  cutover serve                                    REST and ws://127.0.0.1:8787/ws
  cutover serve --speed 10 --fault gap:feature=positions,rate=0.01 --truth truth.jsonl
  cutover watch --speed 10 --for 10m               in another terminal";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = help_with_faults(EXAMPLES))]
pub struct Arguments {
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8787")]
    listen: SocketAddr,
    /// The world's clock runs this many times as fast
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_SPEED))]
    speed: u32,
    #[command(flatten)]
    world: WorldArguments,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub listen: SocketAddr,
    pub speed: u32,
    pub world: WorldSettings,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        Settings { listen: self.listen, speed: self.speed, world: self.world.settings() }
    }
}

pub fn run(settings: Settings, console: &Console) -> anyhow::Result<Exit> {
    let served = ServerSettings {
        listen: settings.listen,
        world: settings.world.options(),
        faults: settings.world.faults()?,
        speed: settings.speed,
        truth: TruthFile::create(settings.world.truth.as_deref())?,
    };
    live_run::runtime()?.block_on(async {
        let server = Running::start(served).await?;
        let at = server.address;
        console.result(format!("REST http://{at}/api/  WebSocket ws://{at}/ws\n").as_bytes())?;
        console.note("Ctrl-C ends it");
        // Only an end of the watch itself could fail here, and it has none before a stop.
        let _ = live_run::stop_signal(console).wait_for(|stop| *stop).await;
        server.end(console).await?;
        Ok(Exit::Pass)
    })
}
