//! The grid: each class that the reference world can inject, in each feature it can strike, by seeds. The
//! bounded grid of the tests and the full one of `cargo bench --bench accuracy` are this same code.

use crate::common;
use crate::session::{judge, line, options, simulate};
use cutover::contract::{BUILTIN, Contract};
use cutover::model::{Class, Severity, Span, Verdict};
use cutover::reference::{
    ClassScore, Covered, Fault, Feature, Poll, Score, Sights, SimulationOptions, Told, score,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Minutes of a session of the grid.
const MINUTES: i64 = 15;

/// One place of the grid: one fault class in one feature (or in the connection) of one seeded session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub class: Class,
    pub feature: Option<Feature>,
    pub seed: u64,
}

/// What came of one place.
#[derive(Debug)]
pub struct Result {
    pub place: Place,
    pub score: Score,
    /// Anything that must not be: missed, invented, a replay that differs, a wrong verdict.
    pub problems: Vec<String>,
}

impl Result {
    /// What must not be, under the command that shows it again.
    pub fn wrong(&self) -> Option<String> {
        let problems = self.problems.join("\n  ");
        (!self.problems.is_empty()).then(|| format!("{}\n  {problems}", self.place.command()))
    }
}

/// All classes that can be injected in all features where they make sense.
pub fn places(seeds: impl Iterator<Item = u64> + Clone) -> Vec<Place> {
    let mut places = Vec::new();
    for class in Class::ALL {
        let Ok(fault) = Fault::parse(class.name()) else { continue };
        let features: Vec<Option<Feature>> = match fault.features.as_slice() {
            [] => vec![None],
            features => features.iter().copied().map(Some).collect(),
        };
        for feature in features {
            places.extend(seeds.clone().map(|seed| Place { class: *class, feature, seed }));
        }
    }
    places
}

impl Place {
    pub fn feature_name(&self) -> &'static str {
        self.feature.map_or("", Feature::name)
    }

    /// The command that shows this place alone.
    pub fn command(&self) -> String {
        let feature = self.feature.map(|f| format!(" --feature {}", f.name())).unwrap_or_default();
        format!("cargo bench --bench accuracy -- --class {}{feature} --seed {}", self.class, self.seed)
    }

    fn fault(&self) -> Fault {
        let feature = self.feature.map(|f| format!(":feature={}", f.name())).unwrap_or_default();
        Fault::parse(&format!("{}{feature}", self.class)).unwrap()
    }

    pub fn run(self, contract: &Arc<Contract>) -> Result {
        let mut options = options(self.seed, MINUTES);
        options.faults = vec![self.fault()];
        if self.class == Class::RestStale {
            // Only an answer in the middle of a version's life can be stale enough to be known as such.
            let often = |poll: Poll| Poll { every: poll.every.min(Span::from_secs(3)), ..poll };
            options.polls = options.polls.into_iter().map(often).collect();
        }
        let (told, score) = match scored(contract, options) {
            Ok(scored) => scored,
            Err(problem) => return Result { place: self, score: Score::default(), problems: vec![problem] },
        };
        let mut problems = wrong(&score);
        for feature in &told.outcome.features {
            let expect = self.expect(&feature.name, &score);
            if feature.verdict != expect {
                problems.push(format!("{} is {}, not {expect}", feature.name, feature.verdict));
            }
        }
        Result { place: self, score, problems }
    }

    /// Who is struck fails, if by anything that fails; everybody else passes. Connection and frame findings
    /// have no feature and count against every one.
    fn expect(&self, feature: &str, score: &Score) -> Verdict {
        let struck = self.feature.is_none_or(|f| f.name() == feature) || self.class == Class::Malformed;
        let due = score.classes.iter().any(|c| c.class == self.class && c.due > 0);
        // What stands beside it may fail where it warns only: a bar that comes too late was missing.
        let beside = |c: &ClassScore| c.class.severity() == Severity::Fail && c.true_findings > 0;
        let fails = self.class.severity() == Severity::Fail && due || score.classes.iter().any(beside);
        if struck && fails { Verdict::Fail } else { Verdict::Pass }
    }
}

/// A session judged, and held against its ledger.
fn scored(
    contract: &Arc<Contract>,
    options: SimulationOptions,
) -> std::result::Result<(common::Told, Score), String> {
    let (seen, truth) = simulate(options);
    let told = judge(contract, &seen)?;
    let outcome = &told.outcome;
    let mut sights = Sights::default();
    seen.iter().for_each(|observation| sights.note(observation));
    let covered = Covered {
        first: outcome.first.unwrap(),
        last: outcome.last.unwrap(),
        streams: outcome.features.iter().map(|f| f.measures.streams).collect(),
        sights,
    };
    let stamped = told.findings.iter().zip(&told.told_at);
    let findings: Vec<Told> =
        stamped.map(|(finding, told_at)| Told { finding: finding.clone(), told_at: *told_at }).collect();
    let score = score(contract, &truth, &findings, &covered);
    if truth.is_empty() {
        return Err("nothing was injected".to_string());
    }
    Ok((told, score))
}

/// What was missed and what was invented.
fn wrong(score: &Score) -> Vec<String> {
    let missed = |class: &ClassScore| -> Vec<String> {
        class.missed.iter().map(|entry| format!("missed {}", entry.to_json())).collect()
    };
    let invented = |class: &ClassScore| -> Vec<String> {
        class.invented.iter().map(|finding| format!("invented {}", line(finding))).collect()
    };
    score.classes.iter().flat_map(|class| [missed(class), invented(class)].concat()).collect()
}

/// Two classes at once in all features, by the seed; the pace is not among them, which moves all the others.
pub fn problem_of_two(contract: &Arc<Contract>, seed: u64) -> Option<String> {
    let known = |class: &&Class| !matches!(class, Class::IntervalDrift | Class::Jitter | Class::RestStale);
    let faults = Class::ALL.iter().filter(known).filter_map(|class| Fault::parse(class.name()).ok());
    let faults: Vec<Fault> = faults.collect();
    let first = seed as usize * 7 % faults.len();
    let second = (first + 1 + seed as usize * 11 % (faults.len() - 1)) % faults.len();
    let mut options = options(seed, MINUTES);
    options.faults = vec![faults[first].clone(), faults[second].clone()];
    let names = format!(
        "cargo bench --bench accuracy -- --pair {seed}\n  {} and {}",
        faults[first].text, faults[second].text
    );
    match scored(contract, options) {
        Ok((_, score)) if score.is_perfect() => None,
        Ok((_, score)) => Some(format!("{names}\n  {}", wrong(&score).join("\n  "))),
        Err(problem) => Some(format!("{names}: {problem}")),
    }
}

/// Classes and features of which nothing was ever due, although their class can be told of them: of these the grid
/// shows nothing.
pub fn never_due(results: &[Result]) -> Vec<String> {
    let mut cells = BTreeMap::<(Class, &str), (usize, usize)>::new();
    for result in results {
        let own = result.score.classes.iter().find(|c| c.class == result.place.class);
        let (due, reachable) = own.map_or((0, 0), |c| (c.due, c.injected - c.out_of_reach));
        let cell = cells.entry((result.place.class, result.place.feature_name())).or_default();
        *cell = (cell.0 + due, cell.1 + reachable);
    }
    let empty = cells.iter().filter(|(_, (due, reachable))| *due == 0 && *reachable > 0);
    empty.map(|((class, feature), _)| format!("{} {feature}", class.name())).collect()
}

pub fn contract() -> Arc<Contract> {
    common::contract(BUILTIN)
}

/// The grid and its totals.
pub fn table(results: &[Result]) -> String {
    let (mut cells, mut sum) = (BTreeMap::<(Class, &str), Score>::new(), Score::default());
    for result in results {
        let cell = cells.entry((result.place.class, result.place.feature_name())).or_default();
        cell.absorb(result.score.clone());
        sum.absorb(result.score.clone());
    }
    let mut out = format!(
        "{} sessions\n{:<33} {:>8} {:>6} {:>6} {:>8}  {:>13} {:>9}  delay to detection\n",
        results.len(),
        "class feature",
        "injected",
        "due",
        "found",
        "recall",
        "true+invented",
        "precision"
    );
    for ((class, feature), score) in &cells {
        let own = score.classes.iter().find(|c| c.class == *class);
        out.extend(own.map(|own| row(&format!("{class} {feature}"), own)));
    }
    out.push_str("\nall findings by class\n");
    out.extend(sum.classes.iter().map(|class| row(class.class.name(), class)));
    out += &row("total", &sum.total());
    match sum.false_alarms_per_clean_stream_hour() {
        Some(rate) => {
            let (alarms, hours) = (sum.false_alarms, sum.clean_stream_hours);
            out += &format!("false alarms per clean stream-hour: {rate} ({alarms} in {hours:.0} h)\n");
        }
        None => out.push_str("no stream was clean\n"),
    }
    out
}

fn row(name: &str, score: &ClassScore) -> String {
    let percent = |part: Option<f64>| part.map_or("-".to_string(), |p| format!("{:.2} %", p * 100.0));
    let delay = |p| score.delay(p).map_or("-".to_string(), |d| format!("{:.1} s", d.as_secs_f64()));
    let reach = match score.out_of_reach {
        0 => String::new(),
        n => format!("  {n} cannot be told of that feature"),
    };
    format!(
        "{name:<33} {:>8} {:>6} {:>6} {:>8}  {:>13} {:>9}  p50 {:>7} p95 {:>7} max {:>7}{reach}\n",
        score.injected,
        score.due,
        score.found,
        percent(score.recall()),
        format!("{}+{}", score.true_findings, score.invented.len()),
        percent(score.precision()),
        delay(50),
        delay(95),
        delay(100),
    )
}
