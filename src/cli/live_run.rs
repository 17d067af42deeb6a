//! Owns a run over living feeds, as `watch` and `demo` share it: record first, judge second, show
//! meanwhile, and end in order on Ctrl-C. Must not decide what is judged, nor print results itself.

use super::arguments::Format;
use super::console::{Console, variable};
use super::exit::{Exit, WrongUse};
use super::flag_file::FlagFile;
use super::folder::{Place, run_name};
use super::judging::{Judged, Judging, TOOL};
use super::live::Live;
use super::on_fail::{Asked, OnFail};
use super::recording;
use super::results::RunReport;
use super::ui::Ui;
use super::until_proven::UntilProven;
use super::watch::Stop;
use crate::capture::Writer;
use crate::contract::Contract;
use crate::env_file::{self, State};
use crate::model::outcome::{ProcessOutcome, Progress};
use crate::model::{Event, Observation, Phase, Timestamp};
use crate::report::prometheus;
use crate::report::terminal::clean;
use crate::server::page::{Page, Served, serve};
use crate::source::{BackendTargets, Clock, Feeds, Judge, ProxySettings, RunEnd, RunError, RunSettings, run};
use anyhow::Context;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// The capture's name inside a report folder.
pub const CAPTURE: &str = "capture.jsonl";

/// What a run needs to know before it starts.
#[derive(Debug)]
pub struct LiveRun {
    pub contract: Arc<Contract>,
    /// Where it was read; `None`: it is built in.
    pub contract_file: Option<PathBuf>,
    pub stop: Stop,
    /// End before that, once everything asked is proven: the rate of wrong values to rule out.
    pub until_proven: Option<f64>,
    pub speed: u32,
    /// `None`: a new one.
    pub seed: Option<u64>,
    pub phases: Vec<Phase>,
    pub record: Option<PathBuf>,
    pub place: Place,
    pub format: Format,
    /// Where to serve metrics of the run.
    pub metrics_listen: Option<SocketAddr>,
    /// Where to serve the page that follows the run.
    pub ui: Option<SocketAddr>,
    /// What is watched beside the feeds.
    pub backend: BackendTargets,
    /// Where flags are read; `None`: the environment.
    pub env_file: Option<PathBuf>,
    pub on_fail: Asked,
    /// What an earlier run's processes used.
    pub baseline: Option<Vec<ProcessOutcome>>,
}

/// A run that is over and recorded, but not concluded.
#[derive(Debug)]
pub struct Recorded {
    judging: Judging,
    end: RunEnd,
    phases: Vec<Phase>,
    format: Format,
    on_fail: OnFail,
    ui: Option<Ui>,
}

pub fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("could not start the runtime")
}

impl LiveRun {
    /// Watches until the time is up, everything is proven where that was asked, or Ctrl-C.
    pub async fn record(self, console: &Console) -> anyhow::Result<Recorded> {
        let clock = Clock::start(self.speed);
        let now = clock.now();
        // Also what tells apart runs that start in one second.
        let seed = self.seed.unwrap_or(now.0.unsigned_abs() ^ u64::from(std::process::id()));
        let ends = self.stop.deadline(now);
        if let Some(past) = ends.filter(|ends| *ends <= now) {
            return Err(WrongUse(format!("--until {past} is past; it is {} now", now.whole_millis())).into());
        }
        if let Some(path) = self.planned_capture() {
            recording::refuse_existing(&path)?;
        }
        let on_fail = OnFail::new(self.on_fail, &self.contract, self.place.store(), console)?;
        let flags = match &self.env_file {
            Some(path) => flags_in(&FlagFile::read(path)?, &self.contract),
            None => flags(&self.contract),
        };
        let (progress, newest) = watch::channel(None);
        let metrics = match self.metrics_listen {
            Some(listen) => Some(metrics(listen, newest, console).await?),
            None => None,
        };
        let ui = match self.ui {
            Some(listen) => Some(Ui::start(listen, &self.phases, console).await?),
            None => None,
        };
        let report = RunReport::start(
            &self.place,
            &run_name(now, &format!("{:04x}", seed & 0xffff)),
            self.contract_file.as_deref(),
        )?;
        let path = self.record.unwrap_or_else(|| report.path().join(CAPTURE));
        let capture = recording::create(&path)?;
        let proxies = ProxySettings::from_environment(&variable).map_err(|e| WrongUse(e.to_string()))?;
        let settings = RunSettings {
            tool: TOOL.into(),
            clock,
            duration: ends.map(|end| end - now),
            seed,
            feeds: Feeds::Both,
            features: None,
            flags,
            proxies,
            backend: self.backend,
        };
        let mut judge = Watching {
            judging: Judging::new(Arc::clone(&self.contract), report),
            live: Some(Live::start(console, &self.contract, now, ends)),
            progress,
            on_fail,
            ui,
            until_proven: self.until_proven.map(|rate| UntilProven::new(rate, &self.phases, console)),
        };
        if let Some(baseline) = self.baseline {
            judge.judging.engine.set_baseline(baseline);
        }
        let stop = stop_signal(console);
        let ended = run(settings, self.contract, Writer::new(capture), &mut judge, stop).await;
        if let Some(live) = judge.live.take() {
            live.finish();
        }
        drop(metrics);
        if matches!(ended, Err(RunError::Setup(_))) {
            recording::discard_empty(&path);
        }
        let end = ended.map_err(|error| wrong(error, &path))?;
        Ok(Recorded {
            judging: judge.judging,
            end,
            phases: self.phases,
            format: self.format,
            on_fail: judge.on_fail,
            ui: judge.ui,
        })
    }
}

impl LiveRun {
    /// Where the capture will be, where that is known before the report folder is made.
    fn planned_capture(&self) -> Option<PathBuf> {
        match (&self.record, &self.place) {
            (Some(path), _) => Some(path.clone()),
            (None, Place::Exact(dir)) => Some(dir.join(CAPTURE)),
            (None, Place::Under(_) | Place::Stored(_)) => None,
        }
    }
}

impl Recorded {
    /// Writes the reports, prints the result, and shows it to whoever follows.
    pub fn finish(self, runtime: &Runtime, console: &Console) -> anyhow::Result<Exit> {
        let judged = Judged { phases: &self.phases, ..Judged::default() };
        let (outcome, report) = self.judging.conclude(vec![self.end.capture_sha256], judged)?;
        let mut on_fail = self.on_fail;
        on_fail.verdict(&outcome);
        let exit = report.finish(&outcome, None, self.format, console)?;
        if let Some(ui) = self.ui {
            runtime.block_on(ui.end(&outcome));
        }
        on_fail.finish()?;
        Ok(exit)
    }
}

/// Serves the newest progress; before the first there is nothing to tell, and the page is not there.
async fn metrics(
    listen: SocketAddr,
    newest: watch::Receiver<Option<Progress>>,
    console: &Console,
) -> anyhow::Result<Served> {
    let pages = move |path: &str| {
        let progress = newest.borrow();
        let page = progress.as_ref().filter(|_| path == "/metrics")?;
        Some(Page::Text(prometheus::CONTENT_TYPE, prometheus::to_text(page)))
    };
    let served = serve(listen, Arc::new(pages)).await;
    let served = served.map_err(|error| WrongUse(format!("could not serve metrics: {error}")))?;
    console.note(&format!("metrics on http://{}/metrics", served.address));
    Ok(served)
}

/// What cannot be set up was typed wrongly; anything else kept the tool from its work.
fn wrong(error: RunError, path: &std::path::Path) -> anyhow::Error {
    match error {
        RunError::Setup(setup) => WrongUse(setup.to_string()).into(),
        RunError::Capture(_) => anyhow::Error::new(error).context(recording::could_not(path)),
        other => anyhow::Error::new(other).context("could not watch"),
    }
}

/// Each feature's flag and its state in the environment.
pub fn flags(contract: &Contract) -> Vec<(String, bool)> {
    states(contract, |name| variable(name).map(|value| env_file::state(&value)))
}

fn flags_in(file: &FlagFile, contract: &Contract) -> Vec<(String, bool)> {
    states(contract, |name| file.state(name))
}

fn states(contract: &Contract, state: impl Fn(&str) -> Option<State>) -> Vec<(String, bool)> {
    let on = |name: &str| state(name) == Some(State::On);
    let mut flags: Vec<(String, bool)> = Vec::new();
    for feature in contract.features.iter().filter(|f| !f.flag.is_empty()) {
        if flags.iter().all(|(name, _)| *name != feature.flag) {
            flags.push((feature.flag.clone(), on(&feature.flag)));
        }
    }
    flags
}

/// Shows `true` once Ctrl-C (or a polite kill) asks to stop. A second Ctrl-C ends the program at once;
/// what was recorded is on disk.
pub fn stop_signal(console: &Console) -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    let console = console.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = asked_to_stop() => {}
            () = terminal_gone() => {}
        }
        console.note("ending in order; Ctrl-C again ends at once");
        stop.send_replace(true);
        // A terminal that goes may say so twice.
        asked_to_stop().await;
        std::process::exit(Exit::Unable as i32);
    });
    stopped
}

#[cfg(unix)]
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut polite) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = polite.recv() => {}
    }
}

/// The terminal was closed, or the connection to it was lost: what was seen so far is worth a report. Not where that
/// is to be ignored, as under `nohup`.
#[cfg(unix)]
async fn terminal_gone() {
    use tokio::signal::unix::{SignalKind, signal};
    if !is_hangup_ignored()
        && let Ok(mut hangup) = signal(SignalKind::hangup())
    {
        hangup.recv().await;
        return;
    }
    std::future::pending().await
}

/// By what the system tells of this process; where it does not, hangups are left as they are.
#[cfg(unix)]
#[allow(clippy::disallowed_methods, reason = "the process's own state")]
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    mask.is_none_or(|mask| mask & 1 != 0)
}

#[cfg(not(unix))]
async fn terminal_gone() {
    std::future::pending().await
}

#[cfg(not(unix))]
async fn asked_to_stop() {
    let _ = tokio::signal::ctrl_c().await;
}

/// What befalls the feeds, for -v; what each message says stands in the capture.
fn log(Observation { at, event }: &Observation<'_>) {
    let at = at.whole_millis();
    match event {
        Event::WsOpen { conn } => tracing::info!("{at} WebSocket open, conn={conn}"),
        Event::WsClose { conn, code, reason, by } => {
            tracing::info!("{at} WebSocket closed, conn={conn} by={by:?} code={code} {}", clean(reason));
        }
        Event::WsError { conn, error, detail, .. } => {
            tracing::info!("{at} WebSocket {error} error, conn={conn} {}", clean(detail));
        }
        Event::RestError { feature, error, detail, .. } => {
            tracing::info!("{at} REST {error} error, {feature} {}", clean(detail));
        }
        Event::RestSkipped { feature, .. } => tracing::info!("{at} REST poll skipped, {feature}"),
        Event::Log { source, line } => tracing::debug!("{at} log {source}: {}", clean(line)),
        Event::SelfStall { millis } => tracing::info!("{at} held up for {millis} ms"),
        _ => {}
    }
}

/// The engine and the live view, following a run together.
#[derive(Debug)]
struct Watching {
    judging: Judging,
    live: Option<Live>,
    /// For whoever asks meanwhile.
    progress: watch::Sender<Option<Progress>>,
    on_fail: OnFail,
    ui: Option<Ui>,
    until_proven: Option<UntilProven>,
}

impl Judge for Watching {
    fn observe(&mut self, observation: &Observation<'_>) {
        log(observation);
        // A body was found to be JSON before it was recorded as JSON.
        let _ = self.judging.engine.observe(observation);
        for finding in self.judging.failures() {
            self.on_fail.finding(&finding);
        }
    }

    /// Only shows: an observation that came in earlier may still be in the queue, so nothing is judged
    /// by the clock.
    fn tick(&mut self, now: Timestamp) {
        self.judging.flush();
        let progress = self.judging.engine.progress();
        if let Some(live) = &mut self.live {
            live.update(&progress, now);
        }
        self.progress.send_replace(Some(progress));
        if let Some(ui) = &mut self.ui {
            ui.update(&self.judging.engine);
        }
    }

    fn is_done(&mut self) -> bool {
        self.until_proven.as_mut().is_some_and(|until| until.is_over(&self.judging.engine))
    }
}
