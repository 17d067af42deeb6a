//! Owns `cutover watch`: both feeds live, judged until the time is up or Ctrl-C.
//! Must not judge; it joins sources, capture, engine, live view and reports.

use super::arguments::{Format, MAX_SPEED, ReportArguments, duration, instant, phase, rate};
use super::backend::{BACKEND, BackendArguments};
use super::baseline;
use super::console::Console;
use super::exit::Exit;
use super::folder::Place;
use super::judging::{load_contract, narrow};
use super::live_run::{self, LiveRun};
use super::on_fail::Asked;
use crate::model::{Phase, Span, Timestamp};
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  cutover watch --for 10m                                       the built-in contract
  cutover watch --contract cutover.toml --until 21:00           until 21:00 UTC
  cutover watch --contract cutover.toml --until-proven --for 24h    until it is proven, at most a day
  cutover watch --contract cutover.toml --feature positions --phase after-enabling --for 1h
  cutover watch --process daphne --log backend=backend.log --baseline reports/20251219T143000Z-ab12 --for 1h
  cutover watch --contract cutover.toml --env-file .env --rollback-on-fail --on-fail 'notify \"$CUTOVER_FEATURE\"'

Without --for, --until and --until-proven it runs until Ctrl-C, which ends it in order, with a report.

--until-proven looks all the time, so its bound on the rate of wrong values is one that holds however often one
looks; it needs some more pairs than a run of a length that was settled before (`cutover plan` says how many).
What only time can show, such as a stream that never comes, does not end it: give --for as well.";

/// Under this heading help lists flags, and what a failure leads to.
const ON_FAIL: &str = "Flags";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The contract; without it the built-in one
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// How long to watch, e.g. `90s`, `10m`, `6.5h`; with --speed in the feeds' time
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, conflicts_with = "until")]
    duration: Option<Span>,
    /// When to stop: HH:MM or HH:MM:SS in UTC, or an instant in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = Until::parse)]
    until: Option<Until>,
    /// End once all asked is proven, or one failed; under RATE of the values wrong [0.1%]
    #[arg(long, value_name = "RATE", value_parser = rate, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "0.1%")]
    until_proven: Option<f64>,
    /// Watch only this feature (repeatable)
    #[arg(long = "feature", value_name = "NAME")]
    features: Vec<String>,
    /// before-enabling, after-enabling, before-deleting (repeatable); by default by flag
    #[arg(long = "phase", value_name = "PHASE", value_parser = phase(), hide_possible_values = true)]
    phases: Vec<Phase>,
    /// Record here (.jsonl or .jsonl.zst); by default into the report folder
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Draws the polls' phases and the reconnects' jitter; a new one each run without it
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The feeds run N times as fast as promised (`cutover serve --speed N`)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_SPEED))]
    speed: u32,
    /// Serve the run's counts as Prometheus metrics, at HOST:PORT/metrics
    #[arg(long, value_name = "HOST:PORT")]
    metrics_listen: Option<SocketAddr>,
    /// Serve a page that follows the run, to this machine or from HOST to others too
    #[arg(long, value_name = "[HOST:]PORT", value_parser = super::ui::address)]
    ui: Option<SocketAddr>,
    #[command(flatten)]
    backend: BackendArguments,
    /// Hold CPU and memory against this earlier run: its report, report folder or capture
    #[arg(long, value_name = "RUN", help_heading = BACKEND)]
    baseline: Option<PathBuf>,
    /// Read the flags from this file instead of the environment
    #[arg(long, value_name = "FILE", help_heading = ON_FAIL)]
    env_file: Option<PathBuf>,
    /// Run this by the shell, once, at the first failure; $CUTOVER_FEATURE … say what failed
    #[arg(long, value_name = "COMMAND", help_heading = ON_FAIL)]
    on_fail: Option<String>,
    /// Turn the flag of a feature that fails off in --env-file, at once
    #[arg(long, requires = "env_file", help_heading = ON_FAIL)]
    rollback_on_fail: bool,
    #[command(flatten)]
    report: ReportArguments,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub contract: Option<PathBuf>,
    pub stop: Stop,
    /// End before that, once everything asked is proven: the rate of wrong values to rule out.
    pub until_proven: Option<f64>,
    /// Empty: all of the contract.
    pub features: Vec<String>,
    /// Empty: what each feature's flag asks for.
    pub phases: Vec<Phase>,
    /// `None`: into the report folder.
    pub record: Option<PathBuf>,
    pub seed: Option<u64>,
    pub speed: u32,
    pub metrics_listen: Option<SocketAddr>,
    pub ui: Option<SocketAddr>,
    pub backend: BackendArguments,
    pub baseline: Option<PathBuf>,
    /// Where flags are read; `None`: the environment.
    pub env_file: Option<PathBuf>,
    pub on_fail: Asked,
    pub place: Place,
    pub format: Format,
}

/// When a run ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// With Ctrl-C, which then is its proper end.
    Never,
    After(Span),
    At(Until),
}

impl Stop {
    /// The instant of the end for a run that starts `now`.
    pub fn deadline(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Stop::Never => None,
            Stop::After(span) => Some(now + span),
            Stop::At(until) => Some(until.after(now)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    Instant(Timestamp),
    /// Since midnight UTC.
    TimeOfDay(Span),
}

impl Until {
    fn parse(text: &str) -> Result<Until, String> {
        let time_of_day = || {
            let padded = if text.len() == 5 { format!("{text}:00") } else { text.to_string() };
            let on_day_zero = Timestamp::parse_naive(&format!("1970-01-01T{padded}"))?;
            (padded.len() == 8).then_some(Until::TimeOfDay(Span(on_day_zero.0)))
        };
        match instant(text) {
            Ok(at) => Ok(Until::Instant(at)),
            Err(_) => time_of_day().ok_or_else(|| {
                "give HH:MM or HH:MM:SS (UTC), or an instant such as `2025-12-19T21:00:00Z`".into()
            }),
        }
    }

    /// A time of day is its next one after `now`.
    pub fn after(self, now: Timestamp) -> Timestamp {
        const DAY: Span = Span::from_secs(86_400);
        match self {
            Until::Instant(at) => at,
            Until::TimeOfDay(time) => {
                let midnight = Timestamp(now.0 - now.0.rem_euclid(DAY.0));
                let today = midnight + time;
                if today > now { today } else { today + DAY }
            }
        }
    }
}

impl Arguments {
    pub fn settings(self) -> Settings {
        let stop = match (self.duration, self.until) {
            (Some(span), _) => Stop::After(span),
            (None, Some(until)) => Stop::At(until),
            (None, None) => Stop::Never,
        };
        Settings {
            contract: self.contract,
            stop,
            until_proven: self.until_proven,
            features: self.features,
            phases: self.phases,
            record: self.record,
            seed: self.seed,
            speed: self.speed,
            metrics_listen: self.metrics_listen,
            ui: self.ui,
            backend: self.backend,
            baseline: self.baseline,
            on_fail: Asked {
                command: self.on_fail,
                rollback: self.env_file.clone().filter(|_| self.rollback_on_fail),
            },
            env_file: self.env_file,
            place: self.report.place(),
            format: self.report.format,
        }
    }
}

pub fn run(settings: Settings, console: &Console) -> anyhow::Result<Exit> {
    let mut contract = load_contract(settings.contract.as_deref(), true)?;
    narrow(&mut contract, &settings.features)?;
    let contract = Arc::new(contract);
    let baseline = settings.baseline.map(|path| baseline::load(&path, &contract)).transpose()?;
    let run = LiveRun {
        backend: settings.backend.targets(&contract),
        metrics_listen: settings.metrics_listen,
        ui: settings.ui,
        baseline,
        contract,
        contract_file: settings.contract,
        stop: settings.stop,
        until_proven: settings.until_proven,
        speed: settings.speed,
        seed: settings.seed,
        phases: settings.phases,
        record: settings.record,
        place: settings.place,
        format: settings.format,
        env_file: settings.env_file,
        on_fail: settings.on_fail,
    };
    let runtime = live_run::runtime()?;
    let recorded = runtime.block_on(run.record(console))?;
    recorded.finish(&runtime, console)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn until_is_the_next_such_time_in_utc() {
        let now = at("2025-12-19T14:30:00Z");
        for (text, end) in [
            ("16:00", "2025-12-19T16:00:00Z"),
            ("14:30:01", "2025-12-19T14:30:01Z"),
            ("14:30", "2025-12-20T14:30:00Z"),
            ("00:00", "2025-12-20T00:00:00Z"),
            ("2025-12-19T16:00:00-05:00", "2025-12-19T21:00:00Z"),
        ] {
            let stop = Stop::At(Until::parse(text).unwrap());
            assert_eq!(stop.deadline(now), Some(at(end)), "{text}");
        }
        for bad in
            ["", "16", "24:00", "16:00:61", "4pm", "16:00Z", "16:00:00.5", "2025-12-19T16:00:00", "é6:00"]
        {
            assert!(Until::parse(bad).is_err(), "{bad}");
        }
    }
}
