//! Owns what `serve`, `demo` and `simulate` share: the reference world that was asked for, its faults,
//! and the ledger of what was injected. Must not inject anything itself.

use super::console::Console;
use super::exit::WrongUse;
use crate::reference::{Fault, TruthEntry, WorldOptions, fault};
use crate::server::{Server, ServerOptions};
use crate::source::Clock;
use anyhow::Context;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The world that was asked for, as typed.
#[derive(Debug, Clone, PartialEq)]
pub struct WorldSettings {
    pub seed: u64,
    pub accounts: u32,
    pub symbols: u32,
    /// CLASS[:key=value,…].
    pub faults: Vec<String>,
    pub truth: Option<PathBuf>,
}

impl WorldSettings {
    pub fn options(&self) -> WorldOptions {
        WorldOptions {
            seed: self.seed,
            accounts: self.accounts as usize,
            symbols: self.symbols as usize,
            ..WorldOptions::default()
        }
    }

    /// Faults, read before any work is done.
    pub fn faults(&self) -> anyhow::Result<Vec<Fault>> {
        let parse = |text: &String| {
            Fault::parse(text).map_err(|error| WrongUse(format!("--fault {text}: {error}")).into())
        };
        self.faults.iter().map(parse).collect()
    }
}

/// Examples, and below them every fault that can be asked for: what `--help` shows.
pub fn help_with_faults(examples: &str) -> String {
    format!("{examples}\n\n{}", fault::help())
}

/// `--truth FILE`: a line for each fault as it happens.
#[derive(Debug)]
pub struct TruthFile {
    path: PathBuf,
    file: BufWriter<File>,
    failed: Option<io::Error>,
}

impl TruthFile {
    #[allow(clippy::disallowed_methods, reason = "the one place where ledgers are created")]
    pub fn create(path: Option<&Path>) -> anyhow::Result<Option<TruthFile>> {
        let Some(path) = path else { return Ok(None) };
        let file = File::create(path)
            .with_context(|| format!("could not write the truth into {}", path.display()))?;
        Ok(Some(TruthFile { path: path.into(), file: BufWriter::new(file), failed: None }))
    }

    /// The first failure is kept for the end.
    pub fn write(&mut self, entry: &TruthEntry) {
        if self.failed.is_none() {
            let done = writeln!(self.file, "{}", entry.to_json()).and_then(|()| self.file.flush());
            self.failed = done.err();
        }
    }

    pub fn finish(mut self) -> anyhow::Result<()> {
        let failed = self.failed.take().map_or_else(|| self.file.flush(), Err);
        failed.with_context(|| format!("could not write the truth into {}", self.path.display()))
    }
}

/// What the reference server is to serve.
#[derive(Debug)]
pub struct ServerSettings {
    pub listen: SocketAddr,
    pub world: WorldOptions,
    pub faults: Vec<Fault>,
    pub speed: u32,
    pub truth: Option<TruthFile>,
}

/// A running reference server, and how to end it.
#[derive(Debug)]
pub struct Running {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Vec<String>>,
    truth: Arc<Mutex<Option<TruthFile>>>,
}

impl Running {
    pub async fn start(settings: ServerSettings) -> anyhow::Result<Running> {
        let truth = Arc::new(Mutex::new(settings.truth));
        let ledger = Arc::clone(&truth);
        let options = ServerOptions {
            listen: settings.listen,
            world: settings.world,
            faults: settings.faults,
            speed: f64::from(settings.speed),
            start: Clock::start(1).now(),
            truth: Some(Box::new(move |entry: &TruthEntry| {
                if let Some(truth) = ledger.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                    truth.write(entry);
                }
            })),
        };
        let server = Server::bind(options).await.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => anyhow::Error::new(WrongUse(format!("--fault: {error}"))),
            _ => anyhow::anyhow!("could not {error}"),
        })?;
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async {
            // Whoever drops the other end wants it stopped too.
            let _ = stopped.await;
        }));
        Ok(Running { address, stop, task, truth })
    }

    /// Stops it, and says what a person should know of its faults besides the truth.
    pub async fn end(self, console: &Console) -> anyhow::Result<()> {
        // A server that has ended by itself needs no stop.
        let _ = self.stop.send(());
        let remarks = self.task.await.context("the reference server broke down")?;
        remarks.iter().for_each(|remark| console.note(remark));
        let truth = self.truth.lock().unwrap_or_else(PoisonError::into_inner).take();
        truth.map_or(Ok(()), TruthFile::finish)
    }
}
