//! What is watched beside the feeds: logs, processes, metrics pages.
//!
//! Owns that each is there when a run starts: what is missing then was mistyped, and would be found
//! out only when the run is over.

use super::log::{self, Cleaner, LogTarget, Tail};
use super::metrics::{self, MetricsError, MetricsTarget, Page};
use super::process::{self, ProcessError, ProcessTarget, Sampler};
use super::sequencer::{SetupError, Wiring};
use std::io;
use tokio::sync::watch;
use tokio::task::JoinSet;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct BackendTargets {
    pub logs: Vec<LogTarget>,
    pub processes: Vec<ProcessTarget>,
    pub metrics: Vec<MetricsTarget>,
}

#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    #[error("could not open log {name}={path}: {error}")]
    Log { name: String, path: String, error: io::Error },
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    #[error("two {what} are called `{name}`; give each its own name, as in {example}")]
    TwoOfOneName { what: &'static str, name: String, example: &'static str },
}

#[derive(Debug)]
pub(super) struct Backend {
    logs: Vec<(LogTarget, Tail)>,
    processes: Vec<Sampler>,
    pages: Vec<Page>,
}

impl Backend {
    pub(super) async fn open(targets: &BackendTargets, wiring: &Wiring) -> Result<Backend, SetupError> {
        let mut logs = Vec::new();
        for target in &targets.logs {
            let (tail, opened) = Tail::open(&target.path);
            match opened {
                Err(error) if target.must_exist => {
                    let path = target.path.display().to_string();
                    return Err(BackendError::Log { name: target.name.clone(), path, error }.into());
                }
                _ => logs.push((target.clone(), tail)),
            }
        }
        let sampler = |target: &ProcessTarget| Sampler::new(target).map_err(BackendError::from);
        let processes = targets.processes.iter().map(sampler).collect::<Result<Vec<_>, _>>()?;
        let mut pages = Vec::new();
        for target in &targets.metrics {
            let page = Page::new(target, &wiring.contract, &wiring.proxies)?;
            page.fetch().await.map_err(BackendError::from)?;
            pages.push(page);
        }
        let sampled =
            processes.iter().map(|p| p.label.as_str()).chain(pages.iter().map(|p| p.label.as_str()));
        distinct("processes", "--process api=4711", sampled)?;
        distinct("logs", "--log api=api.log", targets.logs.iter().map(|log| log.name.as_str()))?;
        Ok(Backend { logs, processes, pages })
    }

    pub(super) fn start(self, tasks: &mut JoinSet<()>, wiring: &Wiring, stop: &watch::Receiver<bool>) {
        let (clock, queue) = (wiring.clock, &wiring.queue);
        for (target, tail) in self.logs {
            let cleaner =
                Cleaner::new(wiring.secrets.clone(), wiring.redactor.clone(), &wiring.contract.redact);
            tasks.spawn(log::follow(target, tail, cleaner, clock, queue.clone(), stop.clone()));
        }
        for sampler in self.processes {
            tasks.spawn(process::follow(sampler, clock, queue.clone(), stop.clone()));
        }
        for page in self.pages {
            tasks.spawn(metrics::follow(page, clock, queue.clone(), stop.clone()));
        }
    }
}

fn distinct<'n>(
    what: &'static str,
    example: &'static str,
    names: impl Iterator<Item = &'n str>,
) -> Result<(), BackendError> {
    let mut sorted: Vec<&str> = names.collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(BackendError::TwoOfOneName { what, name: pair[0].to_string(), example }),
        None => Ok(()),
    }
}
