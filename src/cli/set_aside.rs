//! Owns `cutover set-aside`: a feature begins anew in a folder of evidence, after what failed was repaired.
//! The earlier runs stay in the chain and are told; nothing is deleted. Must not judge.

use super::arguments::Format;
use super::console::Console;
use super::evidence::{self, Given};
use super::exit::{Exit, WrongUse};
use super::store;
use crate::evidence::aside::{self, SetAside};
use crate::model::Phase;
use crate::report::terminal::clean;
use crate::source::clock::Clock;
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  cutover set-aside positions --evidence evidence --by ann --reason 'pnl is rounded alike since build 812'

The runs of this feature that are stored so far count no more, for no phase; what is stored from now on does.
They stay in the folder and its chain, and every gate, status, report and signature tells that they were set
aside, when, by whom and why. Runs of other features are not touched.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The feature that begins anew
    #[arg(value_name = "FEATURE")]
    feature: String,
    /// The folder of evidence
    #[arg(long, value_name = "DIR")]
    evidence: PathBuf,
    /// Who answers for it
    #[arg(long, value_name = "NAME", value_parser = words)]
    by: String,
    /// What was repaired, or why the runs prove nothing
    #[arg(long, value_name = "TEXT", value_parser = words)]
    reason: String,
    /// How the result is printed
    #[arg(long, value_name = "text|json", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    format: Format,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub feature: String,
    pub evidence: PathBuf,
    pub by: String,
    pub reason: String,
    pub format: Format,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        Settings {
            feature: self.feature,
            evidence: self.evidence,
            by: self.by,
            reason: self.reason,
            format: self.format,
        }
    }
}

fn words(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it must say something".into()),
        words => Ok(words.into()),
    }
}

pub fn run(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let Settings { feature, evidence: folder, .. } = settings;
    let given = Given { store: Some(folder.clone()), ..Given::default() };
    let before = evidence::gather(&evidence::find(&given)?, None, &Phase::ALL)?;
    if !before.has_run_of(feature) {
        let known: Vec<String> = before.features().into_iter().map(|(name, _)| name).collect();
        let why = format!("no run of it counts; the runs in {} judge {}", folder.display(), known.join(", "));
        return Err(WrongUse(format!("could not set {feature} aside: {why}")).into());
    }
    let said = SetAside {
        set_aside: aside::VERSION,
        feature: feature.clone(),
        at: Clock::start(1).now().to_string(),
        by: settings.by.clone(),
        reason: settings.reason.clone(),
    };
    store::record_aside(folder, &said)?;
    // As everyone reads it from now on.
    let after = evidence::gather(&evidence::find(&given)?, None, &Phase::ALL)?.evidence(feature);
    let aside = after.set_aside.last().context("what was set aside is not in the chain")?;
    let text = match settings.format {
        Format::Text => format!("{}\n", clean(&aside.words(feature))),
        Format::Json => serde_json::to_string_pretty(aside).context("could not print the result")? + "\n",
    };
    console.result(text.as_bytes()).context("could not print the result")?;
    Ok(Exit::Pass)
}
