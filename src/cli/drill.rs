//! Owns `cutover drill`: a recording that passes is spoiled in every known way, and the gate is asked
//! what it sees. Reads, shares the mutants out over threads, shows progress. Must not judge.

use super::arguments::{Format, ReportArguments, duration, instant};
use super::console::Console;
use super::exit::{Exit, WrongUse};
use super::folder::Place;
use super::judging::{Judged, Judging, narrow};
use super::replay::{Contracts, Recording, contract, name};
use super::results::RunReport;
use crate::capture::{Reader, ReaderOptions, decode_checked};
use crate::contract::Contract;
use crate::drill::{Bounds, Mutant, Plan, Slicer, Stage, alone, mutants, score};
use crate::model::drill::{Drill, DrilledMutant, DrilledSlice};
use crate::model::outcome::FeatureOutcome;
use crate::model::{Class, Outcome, Phase, Span, Timestamp, Verdict};
use crate::source::ahead::default_threads;
use crate::source::open_capture;
use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const EXAMPLES: &str = "\
Examples:
  cutover drill reports/20251219T143000Z-ab12/capture.jsonl
  cutover drill session.jsonl.zst --contract looser.toml --feature positions
  cutover drill session.jsonl --class value_mismatch --places 5 --format json

Exit codes:
  0 every mutant is caught or its escape explained   1 one is neither, or a false alarm
  2 wrong use, or the recording does not pass by itself   4 the tool could not do its work";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// A capture that passes (.jsonl or .jsonl.zst)
    #[arg(value_name = "CAPTURE")]
    capture: PathBuf,
    /// Drill this contract instead of the recorded one
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// Drill only this feature (repeatable)
    #[arg(long = "feature", value_name = "NAME")]
    features: Vec<String>,
    /// Try only this class of findings, e.g. value_mismatch (repeatable)
    #[arg(long = "class", value_name = "CLASS", value_parser = class)]
    classes: Vec<Class>,
    /// Where each feature's slice begins; by default where its market is first open
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Option<Timestamp>,
    /// How long that slice lasts
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, default_value = "30m")]
    duration: Span,
    /// Observations that a slice holds at most
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..))]
    most: u32,
    /// Places at which each fault is put
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    places: u32,
    /// The places follow from this number
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Threads; by default one a core
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Skip, count and report damaged lines instead of stopping at the first
    #[arg(long)]
    skip_damaged: bool,
    #[command(flatten)]
    report: ReportArguments,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub capture: PathBuf,
    pub contract: Option<PathBuf>,
    /// Empty: all of the contract.
    pub features: Vec<String>,
    pub bounds: Bounds,
    pub plan: Plan,
    /// None: one a core.
    pub threads: Option<NonZeroUsize>,
    pub skip_damaged: bool,
    pub place: Place,
    pub format: Format,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        Settings {
            capture: self.capture,
            contract: self.contract,
            features: self.features,
            bounds: Bounds { from: self.from, lasting: self.duration, most: self.most as usize },
            plan: Plan { seed: self.seed, places: self.places as usize, classes: self.classes },
            threads: self.threads,
            skip_damaged: self.skip_damaged,
            place: self.report.place(),
            format: self.report.format,
        }
    }
}

fn class(text: &str) -> Result<Class, String> {
    Class::parse(text).ok_or_else(|| {
        let all: Vec<&str> = Class::ALL.iter().map(|class| class.name()).collect();
        format!("a class is one of {}", all.join(", "))
    })
}

pub fn run(settings: Settings, console: &Console) -> anyhow::Result<Exit> {
    let recording = Recording::open(&settings.capture, settings.skip_damaged)?;
    let mut contract = contract(settings.contract.as_deref(), recording.started())?;
    let mut contracts = Contracts::new(&contract, settings.contract.as_deref());
    narrow(&mut contract, &settings.features)?;
    let contract = Arc::new(contract);
    let report = RunReport::start(
        &settings.place,
        &format!("drill-{}", name(recording.started(), &contract)),
        settings.contract.as_deref(),
    )?;
    let mut judging = Judging::new(contract.clone(), report);
    let read = recording.fold(&mut judging.engine, &mut contracts, None, default_threads())?;
    let judged = Judged {
        phases: &[Phase::BeforeEnabling],
        other_contract: contracts.other,
        damaged: read.skipped,
        score: None,
    };
    let (mut outcome, report) = judging.conclude(vec![read.sha256], judged)?;
    if let Some(message) = unfit(&outcome) {
        let folder = report.leave(&outcome)?;
        return Err(WrongUse(format!("{message}; its report is in {}", folder.display())).into());
    }
    let stages = stages(&contract, slices(&contract, &settings)?, &settings)?;
    let drill = drill(&stages, &settings, console);
    let exit = if drill.is_clean() { Exit::Pass } else { Exit::Fail };
    outcome.drill = Some(drill.clone());
    report.finish_drill(&outcome, &drill, settings.format, console)?;
    Ok(exit)
}

/// Why a recording cannot be drilled: of what fails already nothing more can be seen.
fn unfit(outcome: &Outcome) -> Option<String> {
    let (passing, failing): (Vec<_>, Vec<_>) =
        outcome.features.iter().partition(|f| f.verdict == Verdict::Pass);
    if failing.is_empty() {
        return None;
    }
    let failing: Vec<String> = failing.into_iter().map(not_passing).collect();
    let cure = match passing.as_slice() {
        [] => String::new(),
        names => {
            let names: Vec<String> = names.iter().map(|f| format!("--feature {}", f.name)).collect();
            format!("; what passes can be drilled: {}", names.join(" "))
        }
    };
    Some(format!("the recording must pass before it is spoiled, and does not: {}{cure}", failing.join("; ")))
}

/// `positions (values-match FAIL: 2 of 30 pairs differ)`
fn not_passing(feature: &FeatureOutcome) -> String {
    let checks = feature.checks.iter().filter_map(|check| {
        let verdict = check.verdict.filter(|verdict| *verdict != Verdict::Pass)?;
        let why = if check.note.is_empty() { &check.observed } else { &check.note };
        Some(format!("{} {verdict}: {why}", check.check))
    });
    format!("{} ({})", feature.name, checks.collect::<Vec<_>>().join(", "))
}

/// Each feature's slice of the recording, read up to where the last of them ends.
fn slices(contract: &Arc<Contract>, settings: &Settings) -> anyhow::Result<Vec<Slicer>> {
    let mut slicers: Vec<Slicer> =
        (0..contract.features.len()).map(|i| Slicer::new(contract, i, settings.bounds)).collect();
    let could_not = || format!("could not read {}", settings.capture.display());
    let input = open_capture(&settings.capture).with_context(could_not)?;
    let options = ReaderOptions { skip_damaged: settings.skip_damaged };
    let mut reader = Reader::new(input, options);
    while let Some(line) = reader.next() {
        let line = line.with_context(could_not)?;
        // A line that is damaged after all has been counted by the judging before.
        if let Ok(observation) = decode_checked(line.text) {
            slicers.iter_mut().for_each(|slicer| slicer.observe(&observation));
        }
        if slicers.iter().all(Slicer::has_ended) {
            break;
        }
    }
    Ok(slicers)
}

/// Each feature with its slice, which must pass by itself.
fn stages(contract: &Arc<Contract>, slicers: Vec<Slicer>, settings: &Settings) -> anyhow::Result<Vec<Stage>> {
    let mut stages = Vec::new();
    for (i, slicer) in slicers.into_iter().enumerate() {
        let feature = &contract.features[i].name;
        let Some(slice) = slicer.finish() else {
            let message = format!("nothing of {feature} was recorded from there on; see --from");
            return Err(WrongUse(message).into());
        };
        let stage = Stage::new(alone(contract, i), slice);
        let outcome = &stage.clean.outcome;
        if outcome.verdict != Verdict::Pass {
            let (first, last) = stage.bounds();
            let message = format!(
                "the slice from {first} to {last} does not pass by itself: {}; take a longer one with --for \
                 (now {}) or --most (now {}), or another one with --from",
                not_passing(outcome),
                settings.bounds.lasting,
                settings.bounds.most,
            );
            return Err(WrongUse(message).into());
        }
        stages.push(stage);
    }
    Ok(stages)
}

fn drill(stages: &[Stage], settings: &Settings, console: &Console) -> Drill {
    let mut work: Vec<(&Stage, Mutant<'_>)> = Vec::new();
    let mut not_drilled = Vec::new();
    for stage in stages {
        let (mutants, none) = mutants(stage, &settings.plan);
        work.extend(mutants.into_iter().map(|mutant| (stage, mutant)));
        not_drilled.extend(none);
    }
    let slice = |stage: &Stage| {
        let (first, last) = stage.bounds();
        DrilledSlice {
            feature: stage.feature().name.clone(),
            first,
            last,
            observations: stage.tape.len() as u64,
        }
    };
    Drill {
        seed: settings.plan.seed,
        places: settings.plan.places as u64,
        slices: stages.iter().map(slice).collect(),
        mutants: score_all(&work, settings.threads, console),
        not_drilled,
    }
}

/// Scores all mutants, in their order whatever thread was first.
fn score_all(
    work: &[(&Stage, Mutant<'_>)],
    threads: Option<NonZeroUsize>,
    console: &Console,
) -> Vec<DrilledMutant> {
    let threads = threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let bar = console.progress().add(bar(work.len()));
    let next = AtomicUsize::new(0);
    let scored: Mutex<Vec<(usize, DrilledMutant)>> = Mutex::new(Vec::with_capacity(work.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(work.len()) {
            scope.spawn(|| {
                while let Some((i, (stage, mutant))) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, work.get(i)?)))
                {
                    let told = score(stage, mutant);
                    scored.lock().unwrap_or_else(PoisonError::into_inner).push((i, told));
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let mut scored = scored.into_inner().unwrap_or_else(PoisonError::into_inner);
    scored.sort_by_key(|(i, _)| *i);
    scored.into_iter().map(|(_, told)| told).collect()
}

fn bar(length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("drilling {wide_bar} {pos}/{len} mutants, {eta} left");
    ProgressBar::new(length as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
