//! Owns `cutover serve`: the reference world on a port until Ctrl-C, or a recording until its end.
//! Must not judge anything.

use super::arguments::{MAX_SPEED, WorldArguments};
use super::console::Console;
use super::exit::Exit;
use super::live_run;
use super::recorded::{self, RecordedSettings};
use super::world::{Running, ServerSettings, TruthFile, WorldSettings, help_with_faults};
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  cutover serve                                    REST and ws://127.0.0.1:8787/ws
  cutover serve --speed 10 --fault gap:feature=positions,rate=0.01 --truth truth.jsonl
  cutover watch --speed 10 --for 10m               in another terminal
  cutover serve --from reports/<run>/capture.jsonl --speed 10   that session, to try a front end against

With --from, a path of the contract shows the last body that the recording has of it by now; recorded errors are
answered as such, frames leave at their instants, and recorded closes close the socket until the recording opens it
again. Timestamps inside the bodies stay as they were recorded, and so do values that were redacted. The clock begins
where every endpoint has had its first answer. Logins are answered with a made-up token. Pages of this machine may
read, those of other origins where --allow-origin names them. At the end of the recording the sockets are closed with
1000 and the server exits with 0; a watch of it has to be shorter (--for), or sees a drop.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = help_with_faults(EXAMPLES))]
pub struct Arguments {
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8787")]
    listen: SocketAddr,
    /// The world's clock, or the recording's, runs this many times as fast
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_SPEED))]
    speed: u32,
    #[command(flatten)]
    world: WorldArguments,
    #[command(flatten)]
    recording: RecordingArguments,
}

/// A recording instead of the reference world.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "A recording")]
struct RecordingArguments {
    /// Serve this recorded session (.jsonl or .jsonl.zst) instead of the reference world
    #[arg(long, value_name = "CAPTURE", conflicts_with_all = ["seed", "accounts", "symbols", "faults", "truth"])]
    from: Option<PathBuf>,
    /// Paths by this contract; without it by the recording's own
    #[arg(long, value_name = "FILE", requires = "from")]
    contract: Option<PathBuf>,
    /// The recording's clock begins when the first client comes
    #[arg(long, requires = "from")]
    wait: bool,
    /// Begin again at the end, until Ctrl-C; sockets are closed with 1012 in between
    #[arg(long = "loop", requires = "from")]
    repeat: bool,
    /// Let pages of this origin read too, e.g. https://app.example.com (repeatable)
    #[arg(long = "allow-origin", value_name = "ORIGIN", requires = "from")]
    origins: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub listen: SocketAddr,
    pub speed: u32,
    pub what: Served,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Served {
    World(WorldSettings),
    Recording(RecordedSettings),
}

impl Arguments {
    pub fn settings(self) -> Settings {
        let RecordingArguments { from, contract, wait, repeat, origins } = self.recording;
        let what = match from {
            Some(capture) => Served::Recording(RecordedSettings {
                capture,
                contract,
                waits: wait,
                repeats: repeat,
                origins,
            }),
            None => Served::World(self.world.settings()),
        };
        Settings { listen: self.listen, speed: self.speed, what }
    }
}

pub fn run(settings: Settings, console: &Console) -> anyhow::Result<Exit> {
    let world = match settings.what {
        Served::World(world) => world,
        Served::Recording(recording) => {
            return recorded::run(settings.listen, settings.speed, recording, console);
        }
    };
    let served = ServerSettings {
        listen: settings.listen,
        world: world.options(),
        faults: world.faults()?,
        speed: settings.speed,
        truth: TruthFile::create(world.truth.as_deref())?,
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
