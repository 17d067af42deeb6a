//! Owns `cutover enable`: a feature's flag turned on in an env file, once its gate is open and no other
//! feature is on its way. Must not judge, and must not change anything else.

use super::arguments::Format;
use super::console::Console;
use super::evidence::Given;
use super::exit::{Exit, WrongUse};
use super::flag_file::FlagFile;
use super::standing::{self, Sources, Standing};
use super::store::{self, Change};
use crate::env_file::State;
use crate::evidence::chain::Kind;
use crate::model::{Phase, Verdict};
use crate::report::terminal::clean;
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  cutover enable positions --env-file .env reports/20251219T143000Z-ab12cd34
  cutover enable positions --env-file .env --contract cutover.toml --evidence evidence

The gate of before-enabling decides, by the evidence given. With --contract, the flags of all its features are
looked at: while one is true whose after-enabling is not PASS, no second one is enabled.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The feature whose flag is turned on
    #[arg(value_name = "FEATURE")]
    feature: String,
    #[command(flatten)]
    evidence: Given,
    /// The file with the flag
    #[arg(long, value_name = "FILE")]
    env_file: PathBuf,
    /// Look at this contract's other features too, and judge captures by it
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// How the result is printed
    #[arg(long, value_name = "text|json", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    format: Format,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub feature: String,
    pub env_file: PathBuf,
    pub sources: Sources,
    pub format: Format,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        let env_file = self.env_file;
        let sources =
            Sources { given: self.evidence, contract: self.contract, env_file: Some(env_file.clone()) };
        Settings { feature: self.feature, env_file, sources, format: self.format }
    }
}

pub fn run(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    if settings.sources.given.is_empty() {
        let cure = "give the reports or captures of before-enabling, or --evidence DIR";
        return Err(WrongUse(format!(
            "could not enable {}: no evidence was given; {cure}",
            settings.feature
        ))
        .into());
    }
    // What cannot be changed is told before any evidence is judged.
    let file = FlagFile::read(&settings.env_file)?;
    file.writable()?;
    let all = standing::of(&settings.sources)?;
    let standing = standing::find(&all, &settings.feature)?;
    if standing.flag.is_empty() {
        let why = "the contract gives it no flag; add flag = \"NAME\" to the feature";
        return Err(WrongUse(format!("could not enable {}: {why}", settings.feature)).into());
    }
    let place = file.only(&standing.flag)?;
    if let Some(other) = standing::under_way(&all, &settings.feature) {
        return Err(WrongUse(format!(
            "could not enable {}: {} is true in {} and its after-enabling is {}; one at a time: \
             finish {} first, or roll it back",
            settings.feature,
            other.flag,
            settings.env_file.display(),
            other.verdict(Phase::AfterEnabling),
            other.feature
        ))
        .into());
    }
    let verdict = standing.verdict(Phase::BeforeEnabling);
    if verdict == Verdict::Pass && place.state == State::Off {
        let line = file.enable(&standing.flag)?;
        console.note(&format!("{} turned on in {}, line {line}", standing.flag, settings.env_file.display()));
        if let Some(folder) = &settings.sources.given.store {
            let change = Change::now(Kind::Enable, &settings.feature, &standing.flag, true);
            store::record(folder, &change).context("the flag is on")?;
        }
    }
    print(settings, standing, verdict, place.line, console).context("could not print the result")?;
    Ok(Exit::of(verdict))
}

fn print(
    settings: &Settings,
    standing: &Standing,
    verdict: Verdict,
    line: usize,
    console: &Console,
) -> anyhow::Result<()> {
    let lacking =
        standing.phases.iter().filter(|p| p.phase == Phase::BeforeEnabling).flat_map(|p| &p.lacking);
    let on = verdict == Verdict::Pass || standing.is_on();
    let text = match settings.format {
        Format::Json => {
            let told = serde_json::json!({
                "feature": settings.feature,
                "flag": standing.flag,
                "env_file": settings.env_file,
                "line": line,
                "verdict": verdict.name(),
                "was_on": standing.is_on(),
                "on": on,
                "lacking": lacking.collect::<Vec<_>>(),
                "set_aside": standing.set_aside,
            });
            serde_json::to_string_pretty(&told)? + "\n"
        }
        Format::Text => {
            let state = match (verdict, standing.is_on()) {
                (Verdict::Pass, false) => "enabled",
                (Verdict::Pass, true) => "enabled already",
                (_, false) => "not enabled",
                (_, true) => "left enabled, though its gate is closed; `cutover rollback` turns it off",
            };
            let why: String = lacking.map(|l| format!("  {} {}: {}\n", l.verdict, l.check, l.why)).collect();
            let (file, flag) = (settings.env_file.display(), &standing.flag);
            let aside: String = standing.set_aside.iter().map(|a| format!("  ! {}\n", clean(a))).collect();
            format!(
                "{aside}{why}gate {} before-enabling: {verdict}\n{flag} {state} ({file}:{line})\n",
                settings.feature
            )
        }
    };
    Ok(console.result(text.as_bytes())?)
}
