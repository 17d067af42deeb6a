//! What processes used: CPU and memory by sample, held against a baseline and looked over for a leak.
//! Must not decide a verdict. Memory is bounded: of a long run every 2nd, 4th, … sample is kept, so that
//! what is kept has the distribution of the whole.

use super::compare::label;
use super::ledger::{Draft, Ledger};
use crate::contract::{Contract, Limits};
use crate::model::outcome::{ProcessOutcome, Quantity};
use crate::model::{Class, Span, Timestamp};
use crate::stats::{mann_kendall_rise, mann_whitney, median, theil_sen};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Samples kept of a process: between half as many and so many. Far more than any test needs.
const MOST_KEPT: usize = 1_024;

/// CPU below a hundredth of a core is no ground for a ratio: systems count it in ticks of 10 ms.
const LEAST_CPU: f64 = 10_000.0;

/// A trend is looked for in the medians of so many stretches, so that what lasts for a few samples
/// (and makes neighbours alike) does not look like one.
const STRETCHES: usize = 64;

/// A leak that would pass the limit within so long is one, however short the run.
const LEAK_WITHIN: Span = Span::from_secs(3_600);

/// Each half of a leak rises at least so fast, as a fraction of the whole's slope: a warm-up and a step do not.
const EACH_HALF: f64 = 0.25;

/// A process is gone when its last sample is older than so many of its usual intervals.
const INTERVALS_MISSED: i64 = 10;

#[derive(Debug, Clone)]
pub struct Resources {
    contract: Arc<Contract>,
    pub processes: BTreeMap<Box<str>, Process>,
    baseline: Option<Vec<ProcessOutcome>>,
    pub comparisons: Vec<Comparison>,
    pub leaks: Vec<Leak>,
}

#[derive(Debug, Clone, Default)]
pub struct Process {
    /// In market hours of any feature; the others are counted and not judged.
    pub samples: u64,
    pub outside: u64,
    pub restarts: u64,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    /// When it was last seen in a run that went on without it.
    pub gone: Option<Timestamp>,
    kept: Vec<Point>,
    /// One in so many is kept.
    stride: u64,
    /// Counts times without a restart and without the end of a run.
    life: u32,
    before: Option<Before>,
    /// The present run's first sample, and how many there were.
    run: Option<(Timestamp, i64)>,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    at: Timestamp,
    life: u32,
    /// Millionths of a core since the sample before; `None` of the first of a life.
    cpu: Option<u64>,
    rss: u64,
}

#[derive(Debug, Clone, Copy)]
struct Before {
    at: Timestamp,
    cpu_seconds: f64,
}

/// One quantity of one process against the baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub process: Box<str>,
    pub quantity: Quantity,
    pub baseline: f64,
    pub median: f64,
    /// A fraction of the baseline; positive is more.
    pub shift: f64,
    /// That chance alone makes them so different (two-sided).
    pub p: f64,
}

/// How the memory of one process went in the life that rose most surely.
#[derive(Debug, Clone, PartialEq)]
pub struct Leak {
    pub process: Box<str>,
    /// A fraction of its median: over the time watched, or an hour if that is longer.
    pub growth: f64,
    pub over: Span,
    /// That a memory without a trend rises so (one-sided).
    pub p: f64,
    pub each_half: bool,
}

impl Comparison {
    pub fn breaches(&self, limits: &Limits) -> bool {
        self.shift > limits.shift && self.p < limits.significance
    }
}

impl Leak {
    pub fn breaches(&self, limits: &Limits) -> bool {
        self.growth > limits.shift && self.p < limits.significance && self.each_half
    }
}

impl Resources {
    pub fn new(contract: Arc<Contract>) -> Resources {
        Resources {
            contract,
            processes: BTreeMap::new(),
            baseline: None,
            comparisons: Vec::new(),
            leaks: Vec::new(),
        }
    }

    /// What an earlier run used, to hold this one against.
    pub fn set_baseline(&mut self, processes: Vec<ProcessOutcome>) {
        self.baseline = Some(processes);
    }

    pub fn baseline(&self) -> Option<&[ProcessOutcome]> {
        self.baseline.as_deref()
    }

    pub fn sample(&mut self, at: Timestamp, name: &str, cpu_seconds: f64, rss_bytes: u64) {
        let in_hours = self.contract.features.iter().any(|f| f.calendar.segment_at(at).is_some());
        self.processes.entry(name.into()).or_default().sample(at, cpu_seconds, rss_bytes, in_hours);
    }

    pub fn end(&mut self, at: Timestamp) {
        self.processes.values_mut().for_each(|process| process.end(at));
    }

    /// All runs are over: holds what was used against the baseline, and looks for leaks.
    pub fn finish(&mut self, ledger: &mut Ledger) {
        for (name, process) in &self.processes {
            let baseline = self.baseline.iter().flatten().find(|b| *b.process == **name);
            let now = process.outcome(name);
            if let Some(baseline) = baseline {
                let compared = Quantity::ALL.iter().filter_map(|q| compare(name, *q, baseline, &now));
                self.comparisons.extend(compared);
            }
            self.leaks.extend(process.leak(name));
            self.tell(name, process, ledger);
        }
    }

    /// One finding per process and quantity, for the features whose limits it breaks.
    fn tell(&self, name: &str, process: &Process, ledger: &mut Ledger) {
        let Some(last) = process.kept.last().map(|p| p.at) else { return };
        for quantity in Quantity::ALL {
            let shift = self.comparisons.iter().find(|c| *c.process == *name && c.quantity == quantity);
            let leak = self.leaks.iter().find(|l| *l.process == *name && quantity == Quantity::Memory);
            let breaches = |limits: &Limits| {
                shift.is_some_and(|s| s.breaches(limits)) || leak.is_some_and(|l| l.breaches(limits))
            };
            let features: Vec<usize> = (0..self.contract.features.len())
                .filter(|&i| breaches(&self.contract.features[i].limits))
                .collect();
            if features.is_empty() {
                continue;
            }
            let limits = &self.contract.features[features[0]].limits;
            let reasons = [
                shift.filter(|s| s.breaches(limits)).map(Comparison::in_words),
                leak.filter(|l| l.breaches(limits)).map(Leak::in_words),
            ];
            let label = label([("process", name.to_string())].into_iter());
            let mut draft = Draft::new(Class::ResourceIncrease, &Arc::from(label), last);
            draft.field = quantity.name().into();
            draft.delta = shift.map(|s| percent(s.shift)).unwrap_or_default();
            draft.detail = reasons.into_iter().flatten().collect::<Vec<_>>().join("; ");
            ledger.add_shared(draft, &features, last);
        }
    }

    pub fn outcomes(&self) -> Vec<ProcessOutcome> {
        self.processes.iter().map(|(name, process)| process.outcome(name)).collect()
    }
}

impl Process {
    fn sample(&mut self, at: Timestamp, cpu_seconds: f64, rss: u64, in_hours: bool) {
        // A counter that runs backwards belongs to another process of the same name.
        if self.before.is_some_and(|before| cpu_seconds < before.cpu_seconds) {
            self.restarts += 1;
            self.life += 1;
            self.before = None;
        }
        let cpu = self.before.filter(|before| at > before.at).map(|before| {
            let share = (cpu_seconds - before.cpu_seconds) / (at - before.at).as_secs_f64();
            (share * 1e6).round() as u64
        });
        self.before = Some(Before { at, cpu_seconds });
        self.run = Some(self.run.map_or((at, 1), |(first, count)| (first, count + 1)));
        if !in_hours {
            self.outside += 1;
            return;
        }
        self.first.get_or_insert(at);
        self.last = Some(at);
        self.stride = self.stride.max(1);
        if self.samples.is_multiple_of(self.stride) {
            self.kept.push(Point { at, life: self.life, cpu, rss });
        }
        self.samples += 1;
        if self.kept.len() > MOST_KEPT {
            self.stride *= 2;
            let mut index = 0;
            self.kept.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
    }

    fn end(&mut self, at: Timestamp) {
        let (Some((first, count)), Some(before)) = (self.run.take(), self.before.take()) else { return };
        self.life += 1;
        let usual = Span((before.at - first).0 / (count - 1).max(1));
        if count > 1 && (at - before.at).0 / INTERVALS_MISSED > usual.0 {
            self.gone.get_or_insert(before.at);
        }
    }

    fn outcome(&self, name: &str) -> ProcessOutcome {
        ProcessOutcome {
            process: name.to_string(),
            samples: self.samples,
            outside: self.outside,
            restarts: self.restarts,
            cpu_microcores: self.kept.iter().filter_map(|p| p.cpu).collect(),
            rss_bytes: self.kept.iter().map(|p| p.rss).collect(),
        }
    }

    /// The memory's trend, life by life; the surest one that grows.
    fn leak(&self, name: &str) -> Option<Leak> {
        let lives = self.kept.chunk_by(|a, b| a.life == b.life);
        let leaks = lives.filter_map(|life| leak(name, life));
        leaks.min_by(|a, b| a.p.total_cmp(&b.p))
    }
}

fn compare(
    name: &str,
    quantity: Quantity,
    baseline: &ProcessOutcome,
    now: &ProcessOutcome,
) -> Option<Comparison> {
    let floats = |process: &ProcessOutcome| -> Vec<f64> {
        process.values(quantity).iter().map(|v| *v as f64).collect()
    };
    let (before, after) = (floats(baseline), floats(now));
    let (was, is) = (median(&before)?, median(&after)?);
    let least = if quantity == Quantity::Cpu { LEAST_CPU } else { 1.0 };
    Some(Comparison {
        process: name.into(),
        quantity,
        baseline: was,
        median: is,
        shift: (is - was) / was.max(least),
        p: mann_whitney(&before, &after).p,
    })
}

/// `None` where there are too few points to tell a half from the other.
fn leak(name: &str, life: &[Point]) -> Option<Leak> {
    let (from, to) = (life.first()?.at, life.last()?.at);
    let size = life.len().div_ceil(STRETCHES);
    let stretches: Vec<(f64, f64)> = life
        .chunks(size)
        .filter_map(|points| {
            let rss: Vec<f64> = points.iter().map(|p| p.rss as f64).collect();
            let middle = points[points.len() / 2].at;
            Some(((middle - from).as_secs_f64(), median(&rss)?))
        })
        .collect();
    if stretches.len() < 8 {
        return None;
    }
    let rss: Vec<f64> = stretches.iter().map(|(_, rss)| *rss).collect();
    let level = median(&rss).filter(|level| *level > 0.0)?;
    let slope = theil_sen(&stretches)?;
    let halves = stretches.split_at(stretches.len() / 2);
    let each_half =
        [halves.0, halves.1].iter().all(|half| theil_sen(half).is_some_and(|s| s >= EACH_HALF * slope));
    let over = (to - from).max(LEAK_WITHIN);
    Some(Leak {
        process: name.into(),
        growth: slope * over.as_secs_f64() / level,
        over,
        p: mann_kendall_rise(&rss),
        each_half,
    })
}

impl Comparison {
    pub fn in_words(&self) -> String {
        format!(
            "{} of {} {}: median {} against {} of the baseline (p {})",
            self.quantity.words(),
            self.process,
            percent(self.shift),
            self.quantity.amount(self.median),
            self.quantity.amount(self.baseline),
            probability(self.p)
        )
    }
}

impl Leak {
    pub fn in_words(&self) -> String {
        let over = self.over;
        format!(
            "memory of {} grows {} in {over} (p {})",
            self.process,
            percent(self.growth),
            probability(self.p)
        )
    }
}

/// `+12.5 %`
pub fn percent(fraction: f64) -> String {
    format!("{:+.1} %", fraction * 100.0)
}

fn probability(p: f64) -> String {
    if p < 0.001 { "< 0.001".into() } else { format!("= {p:.3}") }
}
