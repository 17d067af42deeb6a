//! Owns `cutover explain`: one finding of a recorded run, with what both sides said around it and the rule that
//! decided. Must not judge otherwise than `replay` does: it replays the same capture by the same contract.

use super::arguments::{Format, instant};
use super::console::Console;
use super::exit::{Exit, WrongUse};
use super::replay::{Contracts, Recording, contract};
use crate::capture::{Reader, ReaderOptions};
use crate::contract::{Contract, spelling};
use crate::engine::Engine;
use crate::engine::trace::{Focus, Trace};
use crate::model::{Class, Finding, Severity, Timestamp};
use crate::report::Layout;
use crate::report::explain::{Explanation, to_json, to_text, window};
use crate::source::ahead::default_threads;
use crate::source::open_capture;
use anyhow::Context;
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const EXAMPLES: &str = "\
Examples:
  cutover explain reports/20251219T143000Z-ab12        its first failing finding
  cutover explain reports/20251219T143000Z-ab12 12     the 12th line of its findings.csv
  cutover explain capture.jsonl --class gap --feature positions 2
  cutover explain capture.jsonl --stream account_id=123 --at 2025-12-19T14:31:00Z --format json

Lines of findings.csv count from 1, its head aside. With --class, --feature, --stream, --field or --at, N counts
among those that match.";

/// The captures that a run leaves in its folder.
const CAPTURES: [&str; 2] = ["capture.jsonl", "capture.jsonl.zst"];

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// A capture, or the report folder of a run that recorded one
    #[arg(value_name = "CAPTURE|FOLDER")]
    run: PathBuf,
    /// Which finding, from 1; by default the first failing one
    #[arg(value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "finding")]
    number: Option<u64>,
    /// The same as N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    finding: Option<u64>,
    /// Only findings of this class
    #[arg(long, value_name = "CLASS", value_parser = class)]
    class: Option<Class>,
    /// Only findings of this feature
    #[arg(long, value_name = "NAME")]
    feature: Option<String>,
    /// Only findings of this stream, written as in findings.csv
    #[arg(long, value_name = "KEY=VALUE,…")]
    stream: Option<String>,
    /// Only findings of this field
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    /// Only findings from this instant on
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    at: Option<Timestamp>,
    /// Judge by this contract instead of the recorded one
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// How it is printed
    #[arg(long, value_name = "text|json", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    format: Format,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub run: PathBuf,
    pub wanted: Wanted,
    pub contract: Option<PathBuf>,
    pub format: Format,
}

/// Which finding is asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wanted {
    /// From 1, among those that match; none is the first failing one, else the first.
    pub number: Option<u64>,
    pub class: Option<Class>,
    pub feature: Option<String>,
    pub stream: Option<String>,
    pub field: Option<String>,
    pub at: Option<Timestamp>,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        let wanted = Wanted {
            number: self.number.or(self.finding),
            class: self.class,
            feature: self.feature,
            stream: self.stream,
            field: self.field,
            at: self.at,
        };
        Settings { run: self.run, wanted, contract: self.contract, format: self.format }
    }
}

fn class(text: &str) -> Result<Class, String> {
    let known = Class::ALL.iter().map(|class| class.name());
    Class::parse(text).ok_or_else(|| spelling::cure(text, known))
}

pub fn run(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let capture = capture(&settings.run)?;
    let recording = Recording::open(&capture, false)?;
    let contract = Arc::new(contract(settings.contract.as_deref(), recording.started())?);
    let chosen = find(recording, &contract, &settings.wanted)?;
    let Some((number, finding)) = chosen.found() else {
        let all = chosen.seen;
        let what = match (all, chosen.matching) {
            (0, _) => "it has no finding".to_string(),
            (_, 0) => format!("none of its {all} findings matches"),
            (_, matching) => format!("only {matching} of its {all} findings match"),
        };
        return Err(WrongUse(format!("could not explain {}: {what}", capture.display())).into());
    };
    let (from, to) = window(&contract, finding);
    let focus = Focus {
        feature: contract.features.iter().position(|f| Some(&f.name) == finding.feature.as_ref()),
        stream: finding.stream.clone(),
        event_time: finding.event_time,
        at: finding.at,
        from,
        to,
    };
    let sessions = session_events(&contract, &focus);
    let mut trace = Trace::new(contract.clone(), focus);
    let could_not = || format!("could not read {}", capture.display());
    let mut reader = Reader::new(open_capture(&capture).with_context(could_not)?, ReaderOptions::default());
    while let Some(line) = reader.next() {
        trace.observe(&line.with_context(could_not)?.observation);
    }
    let (seen, left_out) = trace.finish();
    let explanation = Explanation {
        contract: &contract,
        number,
        finding,
        alike: &chosen.alike,
        seen: &seen,
        left_out,
        sessions: &sessions,
    };
    let printed = match settings.format {
        Format::Json => to_json(&explanation),
        Format::Text => {
            to_text(&explanation, Layout { width: console.columns(), colour: console.colour_out })
        }
    };
    console.result(printed.as_bytes()).context("could not print the explanation")?;
    Ok(Exit::Pass)
}

/// The capture itself, or the one in a report folder.
fn capture(run: &Path) -> anyhow::Result<PathBuf> {
    if !run.is_dir() {
        return Ok(run.into());
    }
    let found = CAPTURES.iter().map(|name| run.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        let message = format!(
            "could not explain {}: it holds no {}; a replay leaves none, so give the capture itself",
            run.display(),
            CAPTURES[0]
        );
        WrongUse(message).into()
    })
}

/// The finding that is asked for, kept while a capture is judged again.
#[derive(Debug, Default)]
struct Chosen {
    seen: u64,
    matching: u64,
    wanted: Option<(u64, Finding)>,
    /// Without a number: the first that matches, should none fail.
    first: Option<(u64, Finding)>,
    /// All of the same pair: of one class of trouble, stream, instant and event time.
    alike: Vec<Finding>,
}

impl Chosen {
    fn take(&mut self, wanted: &Wanted, finding: &Finding) {
        self.seen += 1;
        if let Some((_, kept)) = self.found()
            && (&kept.feature, &kept.stream, kept.at, kept.event_time)
                == (&finding.feature, &finding.stream, finding.at, finding.event_time)
        {
            self.alike.push(finding.clone());
        }
        if !wanted.matches(finding) {
            return;
        }
        self.matching += 1;
        let failing = finding.severity == Severity::Fail && !finding.waived;
        let is_it = match wanted.number {
            Some(number) => number == self.matching,
            None => failing && self.wanted.is_none(),
        };
        let kept = || Some((self.seen, finding.clone()));
        if is_it {
            self.wanted = kept();
            self.alike = vec![finding.clone()];
        } else if wanted.number.is_none() && self.first.is_none() && self.wanted.is_none() {
            self.first = kept();
            self.alike = vec![finding.clone()];
        }
    }

    fn found(&self) -> Option<(u64, &Finding)> {
        self.wanted.as_ref().or(self.first.as_ref()).map(|(number, finding)| (*number, finding))
    }
}

impl Wanted {
    fn matches(&self, finding: &Finding) -> bool {
        self.class.is_none_or(|class| class == finding.class)
            && self.feature.as_deref().is_none_or(|feature| finding.feature.as_deref() == Some(feature))
            && self.stream.as_deref().is_none_or(|stream| *finding.stream == *stream)
            && self.field.as_deref().is_none_or(|field| finding.field == field)
            && self.at.is_none_or(|at| finding.at >= at)
    }
}

fn find(recording: Recording, contract: &Arc<Contract>, wanted: &Wanted) -> anyhow::Result<Chosen> {
    if let Some(unknown) =
        wanted.feature.as_ref().filter(|name| contract.features.iter().all(|f| *f.name != ***name))
    {
        let cure = spelling::cure(unknown, contract.features.iter().map(|f| &*f.name));
        return Err(WrongUse(format!("the contract has no feature `{unknown}`; {cure}")).into());
    }
    let chosen = Arc::new(Mutex::new(Chosen::default()));
    let (taking, asked) = (Arc::clone(&chosen), wanted.clone());
    let sink = move |finding: &Finding| {
        taking.lock().unwrap_or_else(PoisonError::into_inner).take(&asked, finding);
    };
    let mut engine = Engine::new(contract.clone(), Box::new(sink));
    engine.keep_every_record();
    let mut contracts = Contracts::new(contract, None);
    recording.fold(&mut engine, &mut contracts, None, default_threads())?;
    engine.finish();
    drop(engine);
    let chosen = Arc::into_inner(chosen).context("could not end the judging: it is still in use")?;
    Ok(chosen.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn session_events(contract: &Contract, focus: &Focus) -> Vec<(Timestamp, String)> {
    let Some(index) = focus.feature else { return Vec::new() };
    let calendar = &contract.features[index].calendar;
    let mut events = Vec::new();
    let mut next = calendar.next_event(focus.from);
    while let Some((at, event)) = next.filter(|(at, _)| *at <= focus.to) {
        events.push((at, format!("{} {}", calendar.name, event.verb())));
        next = calendar.next_event(at);
    }
    events
}
