//! Owns what a living run does at its first failure: a command of the user's, and flags turned off. Must not
//! judge; what it does changes nothing in the run's reports.

use super::console::Console;
use super::exit::WrongUse;
use super::flag_file::FlagFile;
use super::store::{self, Change};
use crate::contract::Contract;
use crate::env_file::State;
use crate::evidence::chain::Kind;
use crate::model::{Finding, Outcome, Verdict};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// So long the end of a run waits for the command; then it goes on by itself.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What is asked for, before the run starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Run by the shell, once.
    pub command: Option<String>,
    /// The env file in which the flag of a feature that fails is turned off.
    pub rollback: Option<PathBuf>,
}

/// What failed, in words for the command's environment; empty where it does not apply.
#[derive(Debug, Clone, Default)]
struct Failure {
    feature: String,
    class: String,
    check: String,
    stream: String,
    field: String,
    detail: String,
    at: String,
}

/// Waits for the first failure, then acts.
#[derive(Debug)]
pub struct OnFail {
    asked: Asked,
    console: Console,
    /// Features that are watched, and their flags, where they have one.
    flags: Vec<(String, String)>,
    /// Where a turned flag is told.
    store: Option<PathBuf>,
    started: bool,
    child: Option<Child>,
    /// Features that were rolled back, each once.
    done: Vec<String>,
    /// The first flag that could not be turned off.
    failed: Option<anyhow::Error>,
}

impl OnFail {
    /// Refuses an env file that cannot be changed, or has none of the flags, before the run starts.
    pub fn new(
        asked: Asked,
        contract: &Contract,
        store: Option<&Path>,
        console: &Console,
    ) -> anyhow::Result<OnFail> {
        let named = contract.features.iter().filter(|feature| !feature.flag.is_empty());
        let flags: Vec<(String, String)> = named.map(|f| (f.name.to_string(), f.flag.clone())).collect();
        if let Some(path) = &asked.rollback {
            let file = FlagFile::read(path)?;
            file.writable()?;
            if !flags.iter().any(|(_, flag)| file.state(flag).is_some()) {
                let names: Vec<&str> = flags.iter().map(|(_, flag)| flag.as_str()).collect();
                let (file, names) = (path.display(), names.join(", "));
                return Err(
                    WrongUse(format!("--rollback-on-fail: {file} has none of the flags {names}")).into()
                );
            }
        }
        Ok(OnFail {
            asked,
            console: console.clone(),
            flags,
            store: store.map(Path::to_path_buf),
            started: false,
            child: None,
            done: Vec::new(),
            failed: None,
        })
    }

    /// A finding that fails a check.
    pub fn finding(&mut self, finding: &Finding) {
        let failure = Failure {
            feature: finding.feature.as_deref().unwrap_or_default().to_string(),
            class: finding.class.name().into(),
            stream: finding.stream.to_string(),
            field: finding.field.clone(),
            detail: finding.detail.clone(),
            at: finding.at.to_string(),
            ..Failure::default()
        };
        self.act(&failure);
    }

    /// Checks that fail without a finding are known at the end alone.
    pub fn verdict(&mut self, outcome: &Outcome) {
        for feature in &outcome.features {
            let failing = feature.checks.iter().find(|check| check.verdict == Some(Verdict::Fail));
            if let Some(check) = failing {
                self.act(&Failure {
                    feature: feature.name.to_string(),
                    check: check.check.into(),
                    detail: check.observed.clone(),
                    at: outcome.last.map(|at| at.to_string()).unwrap_or_default(),
                    ..Failure::default()
                });
            }
        }
    }

    /// Flags first: they are what users see.
    fn act(&mut self, failure: &Failure) {
        if let Some(path) = self.asked.rollback.clone() {
            let concerned = |(feature, _): &&(String, String)| {
                (failure.feature.is_empty() || failure.feature == *feature) && !self.done.contains(feature)
            };
            let concerned: Vec<(String, String)> = self.flags.iter().filter(concerned).cloned().collect();
            for (feature, flag) in concerned {
                if let Err(error) = self.roll_back(&path, &feature, &flag, failure) {
                    self.console.error(&error);
                    self.failed.get_or_insert(error);
                }
                self.done.push(feature);
            }
        }
        if let Some(command) = self.asked.command.clone().filter(|_| !self.started) {
            self.started = true;
            match shell(&command, failure).spawn() {
                Ok(child) => self.child = Some(child),
                Err(error) => self.console.note(&format!("could not run the --on-fail command: {error}")),
            }
        }
    }

    fn roll_back(&self, path: &Path, feature: &str, flag: &str, failure: &Failure) -> anyhow::Result<()> {
        let file = FlagFile::read(path)?;
        if matches!(file.state(flag), None | Some(State::Off)) {
            return Ok(());
        }
        file.disable(flag)?;
        let what = if failure.class.is_empty() { &failure.check } else { &failure.class };
        self.console
            .note(&format!("{flag} turned off in {}, because of {what} in {feature}", path.display()));
        match &self.store {
            Some(folder) => store::record(folder, &Change::now(Kind::Rollback, feature, flag, false)),
            None => Ok(()),
        }
    }

    /// Waits for the command, but not for ever. A flag that could not be turned off is an error.
    pub fn finish(mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            let mut waited = Duration::ZERO;
            let ended = loop {
                match child.try_wait() {
                    Ok(None) if waited < PATIENCE => {
                        sleep(LOOK_AGAIN);
                        waited += LOOK_AGAIN;
                    }
                    ended => break ended,
                }
            };
            match ended {
                Ok(Some(status)) if status.success() => {}
                Ok(Some(status)) => self.console.note(&format!("the --on-fail command ended with {status}")),
                Ok(None) => self.console.note("the --on-fail command still runs, and is left to itself"),
                Err(error) => self.console.note(&format!("the --on-fail command is lost: {error}")),
            }
        }
        self.failed.map_or(Ok(()), |error| Err(error.context("could not roll back")))
    }
}

/// The command with what failed in its environment; what it prints goes to stderr, stdout is for results.
fn shell(command: &str, failure: &Failure) -> Command {
    let (shell, option) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut process = Command::new(shell);
    process.args([option, command]).stdin(Stdio::null()).stdout(Stdio::from(io::stderr()));
    for (name, value) in [
        ("CUTOVER_FEATURE", &failure.feature),
        ("CUTOVER_CLASS", &failure.class),
        ("CUTOVER_CHECK", &failure.check),
        ("CUTOVER_STREAM", &failure.stream),
        ("CUTOVER_FIELD", &failure.field),
        ("CUTOVER_DETAIL", &failure.detail),
        ("CUTOVER_AT", &failure.at),
    ] {
        // What a server sent may hold a zero byte, which no environment can.
        process.env(name, value.replace('\0', ""));
    }
    process
}
