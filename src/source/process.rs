//! Processes of this machine, sampled: CPU seconds since their start and resident memory.
//!
//! Several processes of one name (a server and its workers) are one, their numbers added. Must not:
//! tell a restart from a long life; the counters show it.

use super::clock::Clock;
use super::queue::Queue;
use super::sequencer::stopped;
use crate::model::{Event, Span};
use std::time::Duration;
use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// How often everything beside the feeds is sampled, in the run's time: 30 samples in a minute.
const SAMPLE_EVERY: Span = Span::from_secs(2);

/// In real time no more often than this, however fast the run's clock is.
const AT_MOST_EVERY: Duration = Duration::from_millis(250);

/// Linux keeps so many bytes of a process's name.
const KEPT_OF_NAME: usize = 15;

/// A process to sample, and what it is called in captures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessTarget {
    /// Empty: the process's own name.
    pub label: String,
    pub which: Which,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    Pid(u32),
    Name(String),
}

/// How much a process has used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usage {
    pub(super) cpu_seconds: f64,
    pub(super) rss_bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("could not ask the system for its processes: {0}")]
    System(String),
    #[error("no process has the number {0}; it may have ended, or run on another machine (see --metrics)")]
    NoPid(u32),
    #[error("no process is named `{0}`; give its program's name or its number, or see --metrics")]
    NoName(String),
}

#[derive(Debug)]
pub(super) struct Sampler {
    system: System,
    which: Which,
    pub(super) label: String,
}

impl Sampler {
    /// What cannot be found at the start is a mistake.
    pub(super) fn new(target: &ProcessTarget) -> Result<Sampler, ProcessError> {
        let system = System::new().map_err(|error| ProcessError::System(error.to_string()))?;
        let mut sampler = Sampler { system, which: target.which.clone(), label: String::new() };
        sampler.refresh();
        let found = sampler.found().next().map(|process| process.name().to_string_lossy().into_owned());
        let name = match (&target.which, found) {
            (Which::Pid(pid), None) => return Err(ProcessError::NoPid(*pid)),
            (Which::Name(name), None) => return Err(ProcessError::NoName(name.clone())),
            (Which::Name(name), Some(_)) => name.clone(),
            (Which::Pid(_), Some(name)) => name,
        };
        sampler.label = if target.label.is_empty() { name } else { target.label.clone() };
        Ok(sampler)
    }

    fn refresh(&mut self) {
        let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        match &self.which {
            Which::Pid(pid) => {
                let pids = [Pid::from_u32(*pid)];
                self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, kind);
            }
            Which::Name(_) => {
                self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
            }
        }
    }

    fn found(&self) -> impl Iterator<Item = &Process> {
        self.system.processes().values().filter(|process| match &self.which {
            Which::Pid(pid) => process.pid().as_u32() == *pid,
            Which::Name(name) => {
                let own = process.name().to_string_lossy();
                own == *name || (own.len() == KEPT_OF_NAME && name.starts_with(&*own))
            }
        })
    }

    /// `None`: no such process is there now.
    pub(super) fn sample(&mut self) -> Option<Usage> {
        self.refresh();
        let used = self.found().map(|process| (process.accumulated_cpu_time(), process.memory()));
        let (millis, rss_bytes) = used.reduce(|sum, one| (sum.0 + one.0, sum.1 + one.1))?;
        Some(Usage { cpu_seconds: millis as f64 / 1_000.0, rss_bytes })
    }
}

/// The ticks at which samples are taken.
pub(super) fn ticks(clock: Clock) -> tokio::time::Interval {
    let mut ticks = interval(clock.real(SAMPLE_EVERY).max(AT_MOST_EVERY));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Samples until asked to stop. A process that ends is told once, and sampled again when it is back.
pub(super) async fn follow(
    mut sampler: Sampler,
    clock: Clock,
    queue: Queue,
    mut stop: watch::Receiver<bool>,
) {
    let mut ticks = ticks(clock);
    let mut there = true;
    loop {
        tokio::select! { biased;
            () = stopped(&mut stop) => return,
            _ = ticks.tick() => {}
        }
        let Ok((back, usage)) = tokio::task::spawn_blocking(move || {
            let usage = sampler.sample();
            (sampler, usage)
        })
        .await
        else {
            return;
        };
        sampler = back;
        if there != usage.is_some() {
            there = usage.is_some();
            match there {
                true => tracing::info!("process {} is back", sampler.label),
                false => tracing::warn!("process {} has ended; no samples until it is back", sampler.label),
            }
        }
        if let Some(usage) = usage
            && queue.put(usage.event(&sampler.label)).await.is_err()
        {
            return;
        }
    }
}

impl Usage {
    pub(super) fn event(self, process: &str) -> Event<'static> {
        Event::Sample {
            process: process.to_string().into(),
            cpu_seconds: self.cpu_seconds,
            rss_bytes: self.rss_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(which: Which) -> ProcessTarget {
        ProcessTarget { label: String::new(), which }
    }

    #[test]
    fn a_process_is_found_by_number_and_by_name() {
        let mut own = Sampler::new(&target(Which::Pid(std::process::id()))).unwrap();
        let usage = own.sample().unwrap();
        assert!(usage.rss_bytes > 100_000 && usage.cpu_seconds >= 0.0, "{usage:?}");
        let mut named = Sampler::new(&target(Which::Name(own.label.clone()))).unwrap();
        assert_eq!(named.label, own.label);
        // Others of that name are added.
        assert!(named.sample().unwrap().rss_bytes >= usage.rss_bytes / 2);
    }

    #[test]
    fn a_process_that_is_not_there_is_told_apart_from_one_that_ended() {
        let error = Sampler::new(&target(Which::Name("no-such-process-here".into()))).unwrap_err();
        assert!(error.to_string().starts_with("no process is named `no-such-process-here`"), "{error}");
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let mut sampler = Sampler::new(&target(Which::Pid(child.id()))).unwrap();
        assert!(sampler.sample().is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(sampler.sample(), None);
        let error = Sampler::new(&target(Which::Pid(child.id()))).unwrap_err();
        assert!(error.to_string().starts_with("no process has the number"), "{error}");
    }
}
