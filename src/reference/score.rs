//! Findings held against the truth: what was injected and found, what was missed, what was invented.
//! Pure; judges a report, never a run, and knows nothing of how either was made.
//!
//! A finding tells an entry when both have the same class and nothing that both name differs: feature,
//! stream, row, field, event time (within the feature's `time_tolerance`). Where one has no event time the
//! arrival decides: the finding's `at` lies within a window after the entry's (`rule`). One finding tells
//! one entry, except where it says itself that it counts several.

mod rule;

use super::truth::TruthEntry;
use crate::contract::Contract;
use crate::model::{Class, Event, Finding, Observation, Severity, Span, Timestamp};
use rule::{Pace, Rule, Shape, Shown};
use std::collections::{BTreeMap, BTreeSet};

/// A finding, and when it was told: the `at` of the observation at which it was judged, which comes after
/// its own `at` by up to a settle or two.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub finding: Finding,
    pub told_at: Timestamp,
}

/// What a run covered: needed to know what was due, and how long nothing was wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Covered {
    pub first: Timestamp,
    pub last: Timestamp,
    /// Streams of each feature, in the contract's order.
    pub streams: Vec<u64>,
    pub sights: Sights,
}

/// What the watcher could see at all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sights {
    /// The windows [sent, received] of each feature's answered polls. What a message said is held against REST
    /// only where a poll showed it ("a WebSocket version that no poll shows is no finding", §5.2), and a silence
    /// is a gap only where REST showed what was missed (§5.6).
    polls: BTreeMap<String, Vec<(Timestamp, Timestamp)>>,
    /// From when a connection fell silent to when the next one began: what was under way then is lost, and ticks
    /// are counted within one connection (§5.6). The last one may go on.
    breaks: Vec<(Timestamp, Option<Timestamp>)>,
    last_frame: Option<Timestamp>,
}

impl Sights {
    pub fn note(&mut self, observation: &Observation<'_>) {
        let at = observation.at;
        match &observation.event {
            Event::Rest { sent_at, feature, .. } => match self.polls.get_mut(&**feature) {
                Some(windows) => windows.push((*sent_at, at)),
                None => drop(self.polls.insert(feature.to_string(), vec![(*sent_at, at)])),
            },
            Event::Ws { .. } => self.last_frame = Some(at),
            Event::WsOpen { .. } => match self.breaks.last_mut() {
                Some((_, until @ None)) => *until = Some(at),
                _ => self.breaks.push((at, Some(at))),
            },
            Event::WsClose { .. } => self.breaks.push((self.last_frame.unwrap_or(at), None)),
            _ => {}
        }
    }

    fn windows(&self, feature: &str) -> &[(Timestamp, Timestamp)] {
        self.polls.get(feature).map_or(&[], Vec::as_slice)
    }

    /// Whether a poll is sure to have shown what stood from `from` to `to`: it was formed in that time.
    fn showed(&self, feature: &str, from: Timestamp, to: Timestamp) -> bool {
        self.windows(feature).iter().any(|&(sent, received)| from <= sent && received < to)
    }

    /// Whether the answer came in that was formed at `at`.
    fn answered(&self, feature: &str, at: Timestamp) -> bool {
        self.windows(feature).iter().any(|&(sent, received)| sent <= at && at <= received)
    }

    fn first_open(&self) -> Option<Timestamp> {
        self.breaks.first().and_then(|(_, rose)| *rose)
    }

    fn broke(&self, from: Timestamp, to: Timestamp) -> bool {
        self.breaks.iter().any(|(fell, rose)| *fell <= to && rose.is_none_or(|rose| from <= rose))
    }
}

/// How one class fared.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassScore {
    pub class: Class,
    pub injected: usize,
    /// Of them, whose evidence had to be in before the run ended.
    pub due: usize,
    /// Of those that were due.
    pub found: usize,
    /// Of those that were not due; told all the same.
    pub found_early: usize,
    /// Cannot be told of their feature: `late` where no event time is, `gap` where no tick is due.
    pub out_of_reach: usize,
    /// Due and not told.
    pub missed: Vec<TruthEntry>,
    /// Findings above info of this class that tell an entry, or more of one's cause.
    pub true_findings: usize,
    /// Findings above info of this class that nothing in the ledger explains.
    pub invented: Vec<Finding>,
    /// From each found entry's `at` to when it was first told, in order of length.
    pub delays: Vec<Span>,
}

impl ClassScore {
    fn new(class: Class) -> ClassScore {
        ClassScore {
            class,
            injected: 0,
            due: 0,
            found: 0,
            found_early: 0,
            out_of_reach: 0,
            missed: Vec::new(),
            true_findings: 0,
            invented: Vec::new(),
            delays: Vec::new(),
        }
    }

    /// A fraction; `None` where nothing was due.
    pub fn recall(&self) -> Option<f64> {
        (self.due > 0).then(|| self.found as f64 / self.due as f64)
    }

    /// A fraction; `None` where nothing was told.
    pub fn precision(&self) -> Option<f64> {
        let told = self.true_findings + self.invented.len();
        (told > 0).then(|| self.true_findings as f64 / told as f64)
    }

    /// The delay that so many percent of those found do not exceed (nearest rank).
    pub fn delay(&self, percent: usize) -> Option<Span> {
        let rank = (self.delays.len() * percent).div_ceil(100).max(1);
        self.delays.get(rank - 1).copied()
    }

    fn absorb(&mut self, other: ClassScore) {
        self.injected += other.injected;
        self.due += other.due;
        self.found += other.found;
        self.found_early += other.found_early;
        self.out_of_reach += other.out_of_reach;
        self.missed.extend(other.missed);
        self.true_findings += other.true_findings;
        self.invented.extend(other.invented);
        self.delays.extend(other.delays);
        self.delays.sort_unstable();
    }
}

/// How a run, or several together, fared against the truth.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Score {
    /// Classes that were injected or told, in the order of SPEC §6.
    pub classes: Vec<ClassScore>,
    /// Hours of streams that the ledger leaves alone, summed.
    pub clean_stream_hours: f64,
    /// Invented findings of such streams, and of the connection.
    pub false_alarms: usize,
}

impl Score {
    /// All classes in one.
    pub fn total(&self) -> ClassScore {
        let mut total = ClassScore::new(Class::ValueMismatch);
        self.classes.iter().for_each(|class| total.absorb(class.clone()));
        total
    }

    /// Nothing was missed and nothing invented.
    pub fn is_perfect(&self) -> bool {
        self.classes.iter().all(|class| class.missed.is_empty() && class.invented.is_empty())
    }

    /// `None` where no stream was clean.
    pub fn false_alarms_per_clean_stream_hour(&self) -> Option<f64> {
        (self.clean_stream_hours > 0.0).then(|| self.false_alarms as f64 / self.clean_stream_hours)
    }

    /// Adds the score of another run.
    pub fn absorb(&mut self, other: Score) {
        for class in other.classes {
            self.class_mut(class.class).absorb(class);
        }
        self.clean_stream_hours += other.clean_stream_hours;
        self.false_alarms += other.false_alarms;
    }

    fn class_mut(&mut self, class: Class) -> &mut ClassScore {
        let index = match self.classes.binary_search_by_key(&class, |c| c.class) {
            Ok(index) => index,
            Err(index) => {
                self.classes.insert(index, ClassScore::new(class));
                index
            }
        };
        &mut self.classes[index]
    }
}

/// An entry with its rule, and what was told of it so far.
#[derive(Debug)]
struct Case<'t> {
    entry: &'t TruthEntry,
    rule: Rule,
    pace: Pace,
    due: bool,
    /// When it was first told.
    told: Option<Timestamp>,
    /// Until when findings may belong to it; an episode grows with each.
    until: Timestamp,
}

impl<'t> Case<'t> {
    fn new(contract: &Contract, entry: &'t TruthEntry, covered: &Covered) -> Case<'t> {
        let feature = contract.features.iter().find(|f| *f.name == *entry.feature);
        let pace = feature.map_or_else(|| Pace::slowest(contract), |feature| Pace::of(contract, feature));
        let rule = Rule::of(entry.class, &pace);
        // Outside market hours cadence and the connection are nobody's business.
        let open = |f: &crate::contract::Feature| f.calendar.segment_at(entry.at).is_some();
        let in_hours = feature.map_or_else(|| contract.features.iter().any(open), open);
        // What is told by both feeds needs both.
        let from = covered.sights.first_open().filter(|_| !rule.of_link).unwrap_or(covered.first) + rule.head;
        let to = match rule.shape {
            // A change of pace is told from the slope over all of the run: most of it must have changed.
            Shape::WholeRun => covered.first + (covered.last - covered.first).half(),
            _ => covered.last - rule.tail,
        };
        let until_next = entry.at.saturating_add(pace.interval);
        let shown = || match rule.shown {
            Shown::Nothing => true,
            Shown::Version => covered.sights.showed(&entry.feature, entry.at, until_next),
            Shown::Itself => covered.sights.answered(&entry.feature, entry.at),
        };
        let around = pace.interval + pace.settle;
        let broke = || covered.sights.broke(entry.at - around, entry.at + around);
        let due = in_hours
            && rule.shape != Shape::OutOfReach
            && (from..=to).contains(&entry.at)
            && shown()
            && (rule.of_link || rule.shape == Shape::WholeRun || !broke());
        let until = match rule.shape {
            Shape::WholeRun => Timestamp::MAX,
            _ => entry.at.saturating_add(rule.after),
        };
        Case { entry, rule, pace, due, told: None, until }
    }

    /// Whether nothing that both name differs, the class aside.
    fn names(&self, finding: &Finding) -> bool {
        let entry = self.entry;
        let same = |a: &str, b: &str| a.is_empty() || b.is_empty() || a == b;
        same(&entry.feature, finding.feature.as_deref().unwrap_or("")) && same(&entry.stream, &finding.stream)
    }

    fn names_place(&self, finding: &Finding) -> bool {
        let entry = self.entry;
        let same = |a: &str, b: &str| a.is_empty() || b.is_empty() || a == b;
        // `torn_read` names all fields that were torn.
        same(&entry.row, &finding.row)
            && (same(&entry.field, &finding.field) || finding.field.split(' ').any(|f| f == entry.field))
    }

    /// Whether the times fit: the event times where both have one, else the arrivals.
    fn meets(&self, finding: &Finding) -> bool {
        let gap = (finding.class == Class::Gap).then(|| span_of_gap(finding)).flatten();
        match (self.entry.event_time, finding.event_time, gap) {
            _ if self.rule.shape == Shape::WholeRun => true,
            (Some(a), Some(b), _) if self.rule.shape != Shape::Episode => {
                (a - b).abs() <= self.pace.tolerance
            }
            // The message was due within the silence, and left out of it.
            (_, _, Some((from, to, _))) => {
                from <= self.until.max(self.entry.at + self.pace.settle)
                    && self.entry.at <= to + self.pace.settle
            }
            // Counted lines bear the time of the first; the others lie after it.
            _ if self.rule.shape == Shape::Counted => finding.at <= self.until,
            _ => (self.entry.at - self.rule.before..=self.until).contains(&finding.at),
        }
    }

    fn tells(&self, finding: &Finding) -> bool {
        finding.class == self.entry.class
            && self.names(finding)
            && self.names_place(finding)
            && self.meets(finding)
    }

    fn explains(&self, finding: &Finding) -> bool {
        // A bar that was lost bears the time when REST first showed it, an interval before it was due.
        let early = if self.entry.feature.is_empty() { self.pace.interval } else { Span::ZERO };
        // What a lost message leads to is told once REST has shown it.
        let shown = self.until.max(self.entry.at.saturating_add(self.pace.shown()));
        // What is told of the whole run has no time of its own.
        let of_run = matches!(finding.class, Class::IntervalDrift | Class::Jitter);
        let meets = of_run
            || self.meets(finding)
            || (self.entry.at - self.rule.before - early..=shown).contains(&finding.at);
        self.rule.brings.contains(&finding.class) && self.names(finding) && meets
    }

    /// An episode goes on as long as findings of it follow each other.
    fn prolong(&mut self, finding: &Finding) {
        if self.rule.shape == Shape::Episode || finding.during_drop {
            self.until = self.until.max(finding.at.saturating_add(self.pace.episode_gap()));
        }
    }
}

/// `from=… to=… missed=N` of a `gap`.
fn span_of_gap(finding: &Finding) -> Option<(Timestamp, Timestamp, usize)> {
    let part = |name: &str| finding.detail.split(' ').find_map(|word| word.strip_prefix(name));
    let instant = |name| part(name).and_then(Timestamp::parse_rfc3339);
    Some((instant("from=")?, instant("to=")?, part("missed=")?.parse().ok()?))
}

/// How many entries a finding tells by its own account.
fn counts(finding: &Finding, shape: Shape) -> usize {
    let leading = || finding.detail.split(' ').next().and_then(|word| word.parse().ok());
    match (shape, finding.class) {
        (Shape::Counted, Class::Gap) => span_of_gap(finding).map_or(1, |(_, _, missed)| missed),
        (Shape::Counted, _) => leading().unwrap_or(1),
        _ => 1,
    }
}

/// Holds findings against the truth, both in any order.
pub fn score(contract: &Contract, truth: &[TruthEntry], findings: &[Told], covered: &Covered) -> Score {
    let mut cases: Vec<Case> = truth.iter().map(|entry| Case::new(contract, entry, covered)).collect();
    cases.sort_by_key(|case| case.entry.at);
    let mut result = Score::default();
    let mut findings: Vec<&Told> = findings.iter().collect();
    findings.sort_by_key(|told| told.finding.at);
    let dirty = Dirty::of(truth);
    for Told { finding, told_at } in findings {
        let true_one = attribute(&mut cases, finding, *told_at);
        if finding.severity == Severity::Info {
            continue;
        }
        let class = result.class_mut(finding.class);
        if true_one {
            class.true_findings += 1;
        } else {
            class.invented.push(finding.clone());
            result.false_alarms += usize::from(!dirty.has(finding));
        }
    }
    for case in &cases {
        let class = result.class_mut(case.entry.class);
        class.injected += 1;
        class.due += usize::from(case.due);
        class.out_of_reach += usize::from(case.rule.shape == Shape::OutOfReach);
        match case.told {
            Some(at) => {
                class.found += usize::from(case.due);
                class.found_early += usize::from(!case.due);
                class.delays.push(at - case.entry.at);
            }
            None if case.due => class.missed.push(case.entry.clone()),
            None => {}
        }
    }
    result.classes.iter_mut().for_each(|class| class.delays.sort_unstable());
    let hours = (covered.last - covered.first).as_secs_f64() / 3600.0;
    result.clean_stream_hours = dirty.clean_streams(contract, covered) as f64 * hours;
    result
}

/// Gives a finding to the entries it tells; else to one it repeats or stands beside. Whether there was any.
fn attribute(cases: &mut [Case<'_>], finding: &Finding, told_at: Timestamp) -> bool {
    let mut left = None;
    // A line that counts many counts first what had to be told.
    for sure in [true, false] {
        for case in cases.iter_mut() {
            let turn = case.due || case.rule.shape != Shape::Counted;
            if turn == sure && case.told.is_none() && case.tells(finding) {
                let left = left.get_or_insert_with(|| counts(finding, case.rule.shape));
                if *left == 0 {
                    break;
                }
                *left -= 1;
                case.told = Some(told_at);
                case.prolong(finding);
            }
        }
    }
    if left.is_some() {
        return true;
    }
    let repeats =
        |case: &Case<'_>| matches!(case.rule.shape, Shape::Episode | Shape::Counted) && case.tells(finding);
    // The last cause before it is the likeliest.
    match cases.iter_mut().rev().find(|case| repeats(case) || case.explains(finding)) {
        Some(case) => {
            case.prolong(finding);
            true
        }
        None => false,
    }
}

/// Streams that the ledger names.
struct Dirty<'t> {
    /// Feature and stream; an empty stream is all of a feature's, an empty feature all of the run's.
    named: BTreeSet<(&'t str, &'t str)>,
}

impl<'t> Dirty<'t> {
    fn of(truth: &'t [TruthEntry]) -> Dirty<'t> {
        // A frame that no feature owns, and a key that REST never shows, touch no stream of either feed.
        let touches = |e: &&TruthEntry| !matches!(e.class, Class::UnknownType | Class::UnknownStream);
        Dirty { named: truth.iter().filter(touches).map(|e| (&*e.feature, &*e.stream)).collect() }
    }

    fn has(&self, finding: &Finding) -> bool {
        let feature = finding.feature.as_deref().unwrap_or("");
        [("", ""), (feature, ""), (feature, &*finding.stream)].iter().any(|place| self.named.contains(place))
    }

    fn clean_streams(&self, contract: &Contract, covered: &Covered) -> u64 {
        if self.named.contains(&("", "")) {
            return 0;
        }
        let of_feature = contract.features.iter().zip(&covered.streams).map(|(feature, streams)| {
            let named = self.named.iter().filter(|(f, _)| **f == *feature.name).count() as u64;
            let all = self.named.contains(&(&*feature.name, ""));
            if all { 0 } else { streams.saturating_sub(named) }
        });
        of_feature.sum()
    }
}
