//! Owns `cutover rollback`: a feature's flag turned off at once, without a gate; then its REST endpoint is
//! watched until it serves again, and the drill is recorded. Must not judge the stream.

use super::arguments::{Format, ReportArguments};
use super::console::{Console, variable};
use super::exit::{Exit, WrongUse};
use super::flag_file::FlagFile;
use super::folder::{Place, ReportFolder, run_name};
use super::judging::{TOOL, load_contract, narrow};
use super::live_run::{CAPTURE, flags, runtime, stop_signal};
use super::recording;
use super::store::{self, Stored};
use crate::capture::Writer;
use crate::contract::{Contract, Feature};
use crate::engine::Engine;
use crate::evidence::beside::Files;
use crate::evidence::chain::Kind;
use crate::model::{Event, Observation, Span, Timestamp, Verdict};
use crate::report::terminal::clean;
use crate::source::{
    BackendTargets, Clock, Feeds, Judge, ProxySettings, RunEnd, RunError, RunSettings, run as watch_sources,
};
use anyhow::Context;
use clap::Args;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

const EXAMPLES: &str = "\
Examples:
  cutover rollback positions --env-file .env --contract cutover.toml
  cutover rollback positions --env-file .env --contract cutover.toml --evidence evidence

The flag is turned off first, whatever follows. Then the feature's REST endpoint is polled until every request
was answered with records, for at most a poll, a timeout and a settle of the contract.

Exit 0 where REST serves again, 1 where it does not in that time, 3 after Ctrl-C before either was seen.";

/// The file that tells how a rollback went.
const FILE: &str = "rollback.json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The feature whose flag is turned off
    #[arg(value_name = "FEATURE")]
    feature: String,
    /// The file with the flag
    #[arg(long, value_name = "FILE")]
    env_file: PathBuf,
    /// The contract; without it the built-in one
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    #[command(flatten)]
    report: ReportArguments,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub feature: String,
    pub env_file: PathBuf,
    pub contract: Option<PathBuf>,
    pub place: Place,
    pub format: Format,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        Settings {
            feature: self.feature,
            env_file: self.env_file,
            contract: self.contract,
            place: self.report.place(),
            format: self.report.format,
        }
    }
}

/// How a rollback went, as it is stored.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
struct Drill {
    rollback: u32,
    feature: String,
    flag: String,
    /// Lines of the env file in which it was turned off.
    lines: Vec<usize>,
    verdict: &'static str,
    /// RFC 3339, UTC.
    off_at: String,
    served_at: Option<String>,
    took_ms: Option<i64>,
    limit_ms: i64,
    /// Requests that were answered with records, of those that have to be.
    answered: usize,
    due: usize,
    /// What went wrong first, if anything did.
    error: String,
    contract_sha256: String,
    capture_sha256: String,
}

/// A flag that is off by now.
struct Off {
    flag: String,
    lines: Vec<usize>,
    at: Timestamp,
}

pub fn run(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let clock = Clock::start(1);
    let off = turn_off(settings, &clock)?;
    let places = off.lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let where_off = format!("{} is off ({}:{places})", off.flag, settings.env_file.display());
    console.note(&where_off);
    watched(settings, &off, clock, console)
        .with_context(|| format!("{where_off}, but its REST endpoint was not watched"))
}

/// First of all: nothing that is only needed to watch may keep the flag on.
fn turn_off(settings: &Settings, clock: &Clock) -> anyhow::Result<Off> {
    let contract = load_contract(settings.contract.as_deref(), false)?;
    let flag = feature(&contract, &settings.feature)?.flag.clone();
    if flag.is_empty() {
        let why = "the contract gives it no flag";
        return Err(WrongUse(format!("could not roll back {}: {why}", settings.feature)).into());
    }
    let lines = FlagFile::read(&settings.env_file)?.disable(&flag)?;
    Ok(Off { flag, lines, at: clock.now() })
}

fn feature<'c>(contract: &'c Contract, name: &str) -> anyhow::Result<&'c Feature> {
    contract.features.iter().find(|feature| *feature.name == *name).ok_or_else(|| {
        let all: Vec<&str> = contract.features.iter().map(|f| &*f.name).collect();
        WrongUse(format!("the contract has no feature `{name}`; it has {}", all.join(", "))).into()
    })
}

fn watched(settings: &Settings, off: &Off, clock: Clock, console: &Console) -> anyhow::Result<Exit> {
    let mut contract = load_contract(settings.contract.as_deref(), true)?;
    narrow(&mut contract, std::slice::from_ref(&settings.feature))?;
    let feature = feature(&contract, &settings.feature)?;
    let limit = feature.rest.poll + contract.rest.timeout + contract.settle;
    let due = feature.rest.each.iter().map(|(_, values)| values.len()).product();
    let contract = Arc::new(contract);
    if let Some(folder) = settings.place.store() {
        store::ready(folder)?;
    }
    let folder = ReportFolder::create(&settings.place, &format!("{}-rollback", run_name(off.at, "")))?;
    let path = folder.path().join(CAPTURE);
    let capture = recording::create(&path)?;
    let (stop, stopped) = watch::channel(false);
    let mut serving = Serving {
        engine: Engine::new(Arc::clone(&contract), Box::new(|_| {})),
        answered: BTreeSet::new(),
        due,
        limit: off.at + limit,
        served_at: None,
        error: String::new(),
        stop,
    };
    let run_settings = RunSettings {
        tool: TOOL.into(),
        clock,
        duration: None,
        seed: off.at.0.unsigned_abs(),
        feeds: Feeds::Rest,
        features: None,
        flags: flags(&contract)
            .into_iter()
            .map(|(flag, on)| (flag.clone(), on && flag != off.flag))
            .collect(),
        proxies: ProxySettings::from_environment(&variable).map_err(|e| WrongUse(e.to_string()))?,
        backend: BackendTargets::default(),
    };
    let (ended, asked) = runtime()?.block_on(async {
        let asked = stop_signal(console);
        let (mut told, stop) = (asked.clone(), serving.stop.clone());
        tokio::spawn(async move {
            if told.wait_for(|asked| *asked).await.is_ok() {
                stop.send_replace(true);
            }
        });
        let ended =
            watch_sources(run_settings, Arc::clone(&contract), Writer::new(capture), &mut serving, stopped);
        (ended.await, *asked.borrow())
    });
    let end = ended_in_order(ended, &mut serving)?;
    let drill = drill(settings, off, limit, &serving, (asked, end), &contract);
    let bytes = serde_json::to_vec_pretty(&drill).context("could not write the drill")?;
    folder.write(FILE, &bytes)?;
    if let Some(store) = settings.place.store() {
        let stored = Stored {
            kind: Kind::Rollback,
            path: &folder.path().join(FILE),
            bytes: &bytes,
            contract_sha256: &drill.contract_sha256,
            capture_sha256: std::slice::from_ref(&drill.capture_sha256),
            files: &Files::new(),
        };
        store::append(store, &stored)?;
    }
    print(settings, &drill, &folder, console).context("could not print the result")?;
    Ok(match drill.verdict {
        verdict if verdict == Verdict::Pass.name() => Exit::Pass,
        verdict if verdict == Verdict::Fail.name() => Exit::Fail,
        _ => Exit::Inconclusive,
    })
}

/// A login that is refused is an endpoint that does not serve; the rest kept the tool from its work.
fn ended_in_order(ended: Result<RunEnd, RunError>, serving: &mut Serving) -> anyhow::Result<Option<RunEnd>> {
    match ended {
        Ok(end) => Ok(Some(end)),
        Err(RunError::Login(refused)) => {
            serving.error = refused.to_string();
            Ok(None)
        }
        Err(RunError::Setup(setup)) => Err(WrongUse(setup.to_string()).into()),
        Err(other) => Err(other.into()),
    }
}

fn drill(
    settings: &Settings,
    off: &Off,
    limit: Span,
    serving: &Serving,
    (asked, end): (bool, Option<RunEnd>),
    contract: &Contract,
) -> Drill {
    let verdict = match serving.served_at {
        Some(_) => Verdict::Pass,
        None if asked => Verdict::Inconclusive,
        None => Verdict::Fail,
    };
    Drill {
        rollback: 1,
        feature: settings.feature.clone(),
        flag: off.flag.clone(),
        lines: off.lines.clone(),
        verdict: verdict.name(),
        off_at: off.at.to_string(),
        served_at: serving.served_at.map(|at| at.to_string()),
        took_ms: serving.served_at.map(|at| millis(at - off.at)),
        limit_ms: millis(limit),
        answered: serving.answered.len(),
        due: serving.due,
        error: serving.error.clone(),
        contract_sha256: contract.sha256.clone(),
        capture_sha256: end.map(|end| end.capture_sha256).unwrap_or_default(),
    }
}

fn millis(span: Span) -> i64 {
    span.0 / 1_000_000
}

fn print(settings: &Settings, drill: &Drill, folder: &ReportFolder, console: &Console) -> anyhow::Result<()> {
    if settings.format == Format::Json {
        console.result((serde_json::to_string_pretty(drill)? + "\n").as_bytes())?;
        console.note(&folder.path().display().to_string());
        return Ok(());
    }
    let Drill { feature, flag, answered, due, .. } = drill;
    let limit = Span::from_millis(drill.limit_ms);
    let error =
        if drill.error.is_empty() { String::new() } else { format!("; first: {}", clean(&drill.error)) };
    let told = match drill.took_ms {
        Some(took) => {
            let took = Span::from_millis(took);
            format!("REST of {feature} serves again, {took} after {flag} was turned off (at most {limit})")
        }
        None => format!(
            "REST of {feature} was not seen to serve within {limit} after {flag} was turned off: \
             {answered} of {due} requests were answered with records{error}"
        ),
    };
    let text = format!("{}  {told}\n\n{}\n", drill.verdict, folder.path().display());
    Ok(console.result(text.as_bytes())?)
}

/// Waits until every request was answered with records, or the time is up.
struct Serving {
    engine: Engine,
    /// Parameters of requests that were.
    answered: BTreeSet<String>,
    due: usize,
    limit: Timestamp,
    served_at: Option<Timestamp>,
    error: String,
    stop: watch::Sender<bool>,
}

impl Judge for Serving {
    fn observe(&mut self, observation: &Observation<'_>) {
        let records = |engine: &Engine| engine.features.first().map_or(0, |f| f.traffic.rest_records);
        let before = records(&self.engine);
        // A body was found to be JSON before it was recorded as JSON.
        let _ = self.engine.observe(observation);
        match &observation.event {
            Event::Rest { params, .. } if records(&self.engine) > before => {
                self.answered.insert(params.to_string());
            }
            Event::Rest { .. } if self.error.is_empty() => self.error = "an answer without records".into(),
            Event::RestError { error, status, detail, .. } if self.error.is_empty() => {
                let status = status.map(|status| format!(" {status}")).unwrap_or_default();
                self.error = format!("{error}{status} {detail}").trim_end().to_string();
            }
            _ => {}
        }
        let in_time = observation.at <= self.limit;
        if self.served_at.is_none() && in_time && self.answered.len() >= self.due {
            self.served_at = Some(observation.at);
            self.stop.send_replace(true);
        }
    }

    fn tick(&mut self, now: Timestamp) {
        if now > self.limit {
            self.stop.send_replace(true);
        }
    }
}
