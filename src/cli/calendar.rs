//! Owns `cutover calendar`: the sessions of an exchange, and which calendars are known to when. Must not
//! answer beyond a calendar's horizon: that is INCONCLUSIVE.

use super::console::Console;
use super::exit::{Exit, WrongUse};
use super::judging::load_contract;
use crate::calendar::definition::parse_day;
use crate::calendar::listing::{self, Listing};
use crate::calendar::{self, CalendarRule};
use crate::contract::spelling;
use anyhow::Context;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  cutover calendar list                    which calendars are known, and to when
  cutover calendar XNYS --from 2024-01-01 --to 2024-12-31
  cutover calendar XHKG --from 2024-12-01 --to 2024-12-31 --format csv
  cutover calendar MYVENUE --contract cutover.toml

Times are half-open [open, close). Beyond what a calendar knows nothing is printed, and the exit code is 3.";

/// The word that asks for all calendars.
const LIST: &str = "list";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// A MIC, an alias, `24/7`, a [calendar.NAME] of the contract; `list` for all
    #[arg(value_name = "NAME|list")]
    name: String,
    /// First trade date, included; by default the calendar's first
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    from: Option<i64>,
    /// Last trade date, included; by default the calendar's last
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    to: Option<i64>,
    /// A contract whose own calendars are known too
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// How sessions are printed
    #[arg(long, value_name = "text|csv|json", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    #[default]
    #[value(help = None)]
    Text,
    #[value(help = None)]
    Csv,
    #[value(help = None)]
    Json,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub asked: Asked,
    pub contract: Option<PathBuf>,
    pub format: Format,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    List,
    /// Trade dates from and to, both included; days since 1970-01-01.
    Sessions {
        name: String,
        from: Option<i64>,
        to: Option<i64>,
    },
}

impl Arguments {
    pub fn settings(self) -> Settings {
        let asked = match self.name.as_str() {
            LIST => Asked::List,
            _ => Asked::Sessions { name: self.name, from: self.from, to: self.to },
        };
        Settings { asked, contract: self.contract, format: self.format }
    }
}

pub fn run(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let own = match &settings.contract {
        Some(file) => load_contract(Some(file), false)?.calendars,
        None => Vec::new(),
    };
    let printed = match &settings.asked {
        Asked::List => known(&own, settings.format),
        Asked::Sessions { name, from, to } => {
            let rule = named(name, &own)?;
            let (first, last) = range(&rule, *from, *to)?;
            match rule.sessions_of(first, last) {
                Ok(sessions) => {
                    let listing = Listing { rule: &rule, days: (first, last), sessions: &sessions };
                    match settings.format {
                        Format::Text => listing.to_text(),
                        Format::Csv => listing.to_csv(),
                        Format::Json => listing.to_json(),
                    }
                }
                Err(beyond) => {
                    let cure = format!(
                        "ask for less, take a newer cutover, or write a contract with \
                         [calendar.MINE] extends = \"{}\", covered = [first, last] and the days that differ",
                        beyond.calendar
                    );
                    console.error(&anyhow::anyhow!("INCONCLUSIVE: {beyond}; {cure}"));
                    return Ok(Exit::Inconclusive);
                }
            }
        }
    };
    console.result(printed.as_bytes()).context("could not print the calendar")?;
    Ok(Exit::Pass)
}

fn known(own: &[Arc<CalendarRule>], format: Format) -> String {
    let own: Vec<&CalendarRule> = own.iter().map(Arc::as_ref).collect();
    match format {
        Format::Text => listing::known_to_text(&own),
        Format::Csv => listing::known_to_csv(&own),
        Format::Json => listing::known_to_json(&own),
    }
}

fn named(name: &str, own: &[Arc<CalendarRule>]) -> anyhow::Result<CalendarRule> {
    let of_contract = own.iter().find(|rule| rule.name == name).map(|rule| CalendarRule::clone(rule));
    let found = of_contract.or_else(|| calendar::find(name));
    found.ok_or_else(|| {
        let names = calendar::names().into_iter().chain(own.iter().map(|rule| rule.name.as_str()));
        let cure = spelling::cure(name, names);
        let message =
            format!("unknown calendar `{name}`; {cure}; `cutover calendar list` tells what each is");
        WrongUse(message).into()
    })
}

/// What is asked for, or all that is known.
fn range(rule: &CalendarRule, from: Option<i64>, to: Option<i64>) -> anyhow::Result<(i64, i64)> {
    let known = match &rule.kind {
        calendar::CalendarKind::Always => None,
        calendar::CalendarKind::Sessions { days, .. } => Some(*days),
    };
    let (first, last) = match (from.or(known.map(|days| days.0)), to.or(known.map(|days| days.1))) {
        (Some(first), Some(last)) => (first, last),
        _ => return Err(WrongUse(format!("{} has no end; say --from and --to", rule.name)).into()),
    };
    if last < first {
        return Err(WrongUse("--to is before --from".into()).into());
    }
    Ok((first, last))
}
