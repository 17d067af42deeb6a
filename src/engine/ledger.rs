//! Findings as they are made: severity by market hours, waivers, exact counts, capped samples,
//! episodes. Streams every finding on; keeps none but the samples.

use crate::contract::{Contract, Feature};
use crate::model::outcome::{Episode, WaiverOutcome};
use crate::model::time::civil_from_days;
use crate::model::{Class, Finding, Phase, Severity, Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Takes each finding as it is made.
pub type Sink = Box<dyn FnMut(&Finding) + Send>;

/// Samples kept in all, and per class, feature and field.
const MAX_SAMPLES: usize = 200;
const MAX_SAMPLES_ALIKE: u64 = 3;
/// Findings alike further apart than this many seconds (or two intervals) are two episodes.
const EPISODE_GAP_S: i64 = 60;
/// Episodes listed; those beyond are counted only.
const MAX_EPISODES: usize = 1_000;

const CLASSES: usize = Class::ALL.len();

/// Counts of one feature's findings.
#[derive(Debug, Clone)]
pub struct Tally {
    pub all: [u64; CLASSES],
    /// Of severity `fail` and not waived.
    pub failing: [u64; CLASSES],
    pub waived: [u64; CLASSES],
    pub episodes: u64,
    /// Of them, of values that differ.
    pub value_episodes: u64,
    /// Failing findings by trade date (days since 1970-01-01) of the sessions they lie in.
    pub by_session: BTreeMap<i64, u64>,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            all: [0; CLASSES],
            failing: [0; CLASSES],
            waived: [0; CLASSES],
            episodes: 0,
            value_episodes: 0,
            by_session: BTreeMap::new(),
        }
    }
}

impl Tally {
    pub fn all(&self, class: Class) -> u64 {
        self.all[class as usize]
    }
    pub fn failing(&self, classes: &[Class]) -> u64 {
        classes.iter().map(|c| self.failing[*c as usize]).sum()
    }
    pub fn waived(&self, classes: &[Class]) -> u64 {
        classes.iter().map(|c| self.waived[*c as usize]).sum()
    }
}

/// A finding before its severity is known.
#[derive(Debug, Clone)]
pub struct Draft {
    pub class: Class,
    pub stream: Arc<str>,
    pub row: String,
    pub field: String,
    pub event_time: Option<Timestamp>,
    pub at: Timestamp,
    pub rest: String,
    pub ws: String,
    pub delta: String,
    pub during_drop: bool,
    pub detail: String,
    /// Overrides the class's severity (REST's own faults warn, strict contracts fail).
    pub severity: Option<Severity>,
}

impl Draft {
    pub fn new(class: Class, stream: &Arc<str>, at: Timestamp) -> Draft {
        Draft {
            class,
            stream: stream.clone(),
            row: String::new(),
            field: String::new(),
            event_time: None,
            at,
            rest: String::new(),
            ws: String::new(),
            delta: String::new(),
            during_drop: false,
            detail: String::new(),
            severity: None,
        }
    }
}

#[derive(Clone)]
struct OpenEpisode {
    episode: Episode,
    streams: BTreeSet<Arc<str>>,
}

pub struct Ledger {
    sink: Sink,
    contract: Arc<Contract>,
    pub features: Vec<Tally>,
    pub totals: BTreeMap<Class, u64>,
    pub by_severity: [u64; 3],
    waiver_hits: Vec<u64>,
    alike: BTreeMap<(Class, Option<Arc<str>>, String), u64>,
    /// Every finding takes its records along, not the samples alone.
    every_record: bool,
    pub samples: Vec<Finding>,
    open: BTreeMap<(Class, Option<usize>, String), OpenEpisode>,
    closed: Vec<Episode>,
    /// In words, and when it was made.
    pub last_failing: Option<(Timestamp, String)>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("totals", &self.totals).finish_non_exhaustive()
    }
}

impl Ledger {
    pub fn new(contract: Arc<Contract>, sink: Sink) -> Ledger {
        Ledger {
            sink,
            features: vec![Tally::default(); contract.features.len()],
            totals: BTreeMap::new(),
            by_severity: [0; 3],
            waiver_hits: vec![0; contract.waivers.len()],
            alike: BTreeMap::new(),
            every_record: false,
            samples: Vec::new(),
            open: BTreeMap::new(),
            closed: Vec::new(),
            last_failing: None,
            contract,
        }
    }

    /// The same from here on, with nobody to hear of its findings.
    pub fn unheard(&self) -> Ledger {
        Ledger {
            sink: Box::new(|_| {}),
            contract: self.contract.clone(),
            features: self.features.clone(),
            totals: self.totals.clone(),
            by_severity: self.by_severity,
            waiver_hits: self.waiver_hits.clone(),
            alike: self.alike.clone(),
            every_record: self.every_record,
            samples: self.samples.clone(),
            open: self.open.clone(),
            closed: self.closed.clone(),
            last_failing: self.last_failing.clone(),
        }
    }

    pub fn keep_every_record(&mut self) {
        self.every_record = true;
    }

    /// Records one feature's finding; `records` gives both raw records, asked only for samples.
    pub fn add(&mut self, index: usize, draft: Draft, records: impl FnOnce() -> (String, String)) {
        let contract = self.contract.clone();
        let feature = &contract.features[index];
        let in_hours = feature.calendar.segment_at(draft.at).is_some();
        let severity = severity(&draft, in_hours);
        let until = draft.at;
        self.enter(Some(index), draft, severity, (&[index], until), records);
    }

    /// Records a finding of the connection or of a frame without a feature: it counts against every
    /// feature whose market was open at any time from its `at` until `until`.
    pub fn add_common(&mut self, draft: Draft, until: Timestamp) {
        let contract = self.contract.clone();
        let touched: Vec<usize> = (0..contract.features.len())
            .filter(|&i| contract.features[i].calendar.meets(draft.at, until))
            .collect();
        self.add_shared(draft, &touched, until);
    }

    /// Records a finding of no feature that counts against these.
    pub fn add_shared(&mut self, draft: Draft, features: &[usize], until: Timestamp) {
        let severity = severity(&draft, !features.is_empty());
        self.enter(None, draft, severity, (features, until), || (String::new(), String::new()));
    }

    fn enter(
        &mut self,
        index: Option<usize>,
        draft: Draft,
        severity: Severity,
        (counts_for, until): (&[usize], Timestamp),
        records: impl FnOnce() -> (String, String),
    ) {
        let contract = self.contract.clone();
        let feature = index.map(|i| &contract.features[i]);
        *self.totals.entry(draft.class).or_default() += 1;
        self.by_severity[severity as usize] += 1;
        // A finding without a feature counts against each by itself, so each may accept it by itself.
        let mut waived = !counts_for.is_empty();
        for &i in counts_for {
            let accepted = self.waive(&contract.features[i], &draft);
            waived &= accepted;
            let tally = &mut self.features[i];
            tally.all[draft.class as usize] += 1;
            let fails = severity == Severity::Fail && !accepted;
            tally.waived[draft.class as usize] += u64::from(accepted);
            tally.failing[draft.class as usize] += u64::from(fails);
            if fails {
                let calendar = &contract.features[i].calendar;
                for session in calendar.sessions(draft.at, until + Span(1)) {
                    *tally.by_session.entry(session.day).or_default() += 1;
                }
            }
        }
        let failing = severity == Severity::Fail && !waived;
        if failing {
            self.episode(index, feature, &draft);
            self.last_failing = Some((draft.at, in_words(feature, &draft)));
        }
        let name = feature.map(|f| f.name.clone());
        let alike = self.alike.entry((draft.class, name.clone(), draft.field.clone())).or_default();
        *alike += 1;
        let sample = *alike <= MAX_SAMPLES_ALIKE && self.samples.len() < MAX_SAMPLES;
        let (rest_record, ws_record) =
            if sample || self.every_record { records() } else { (String::new(), String::new()) };
        let finding = Finding {
            class: draft.class,
            severity,
            feature: name,
            phase: phase(draft.class),
            stream: draft.stream,
            row: draft.row,
            field: draft.field,
            event_time: draft.event_time,
            at: draft.at,
            rest: draft.rest,
            ws: draft.ws,
            delta: draft.delta,
            during_drop: draft.during_drop,
            waived,
            detail: draft.detail,
            rest_record,
            ws_record,
        };
        (self.sink)(&finding);
        if sample {
            self.samples.push(finding);
        }
    }

    fn waive(&mut self, feature: &Feature, draft: &Draft) -> bool {
        let day = draft.at.0.div_euclid(86_400_000_000_000);
        let mut waived = false;
        for (waiver, hits) in self.contract.waivers.iter().zip(&mut self.waiver_hits) {
            let covers = waiver.feature == *feature.name
                && waiver.class.is_none_or(|class| class == draft.class)
                && (waiver.field.is_empty() || waiver.field == draft.field)
                && day <= waiver.until_day;
            if covers {
                *hits += 1;
                waived = true;
            }
        }
        waived
    }

    fn episode(&mut self, index: Option<usize>, feature: Option<&Feature>, draft: &Draft) {
        let gap = feature.map_or(0, |f| f.interval.0 * 2).max(EPISODE_GAP_S * 1_000_000_000);
        let key = (draft.class, index, draft.field.clone());
        if let Some(open) = self.open.get_mut(&key)
            && (draft.at - open.episode.last).0 <= gap
        {
            open.episode.last = open.episode.last.max(draft.at);
            open.episode.findings += 1;
            open.streams.insert(draft.stream.clone());
            return;
        }
        let features = index.map_or(0..self.features.len(), |i| i..i + 1);
        for i in features {
            self.features[i].episodes += 1;
            self.features[i].value_episodes += u64::from(is_value(draft.class));
        }
        let episode = Episode {
            class: draft.class,
            feature: feature.map(|f| f.name.clone()),
            field: draft.field.clone(),
            first: draft.at,
            last: draft.at,
            findings: 1,
            streams: 1,
        };
        let fresh = OpenEpisode { episode, streams: BTreeSet::from([draft.stream.clone()]) };
        if let Some(done) = self.open.insert(key, fresh) {
            self.close(done);
        }
    }

    fn close(&mut self, done: OpenEpisode) {
        if self.closed.len() < MAX_EPISODES {
            self.closed.push(Episode { streams: done.streams.len() as u64, ..done.episode });
        }
    }

    /// All episodes by their begin.
    pub fn episodes(&self) -> Vec<Episode> {
        let open =
            self.open.values().map(|o| Episode { streams: o.streams.len() as u64, ..o.episode.clone() });
        let mut all: Vec<Episode> = self.closed.iter().cloned().chain(open).collect();
        all.sort_by(|a, b| {
            (a.first, a.class, &a.feature, &a.field).cmp(&(b.first, b.class, &b.feature, &b.field))
        });
        all.truncate(MAX_EPISODES);
        all
    }

    /// What each waiver covered; `last` is the run's last instant.
    pub fn waivers(&self, last: Option<Timestamp>) -> Vec<WaiverOutcome> {
        let day = last.map(|t| t.0.div_euclid(86_400_000_000_000));
        let outcome = |(waiver, hits): (&crate::contract::Waiver, &u64)| {
            let (y, m, d) = civil_from_days(waiver.until_day);
            WaiverOutcome {
                feature: waiver.feature.clone(),
                class: waiver.class.map(|c| c.name().to_string()).unwrap_or_default(),
                field: waiver.field.clone(),
                reason: waiver.reason.clone(),
                owner: waiver.owner.clone(),
                until: format!("{y:04}-{m:02}-{d:02}"),
                hits: *hits,
                expired: day.is_some_and(|day| day > waiver.until_day),
            }
        };
        self.contract.waivers.iter().zip(&self.waiver_hits).map(outcome).collect()
    }
}

/// Classes that `values-match` fails on.
fn is_value(class: Class) -> bool {
    matches!(
        class,
        Class::ValueMismatch | Class::TornRead | Class::MissingRow | Class::ExtraRow | Class::Invariant
    )
}

/// Values are judged at all hours; of everything else that happens outside them only a note is kept.
fn severity(draft: &Draft, in_hours: bool) -> Severity {
    let severity = draft.severity.unwrap_or(draft.class.severity());
    // Nor does a market's status rest.
    let always = is_value(draft.class) || draft.class == Class::CalendarMismatch;
    if in_hours || always { severity } else { Severity::Info }
}

/// The phase whose check the class can fail.
fn phase(class: Class) -> &'static str {
    match class {
        Class::RestStillPolled | Class::ResourceIncrease | Class::LogError => Phase::AfterEnabling.name(),
        _ if class.severity() == Severity::Fail => Phase::BeforeEnabling.name(),
        _ => "",
    }
}

fn in_words(feature: Option<&Feature>, draft: &Draft) -> String {
    let mut words = draft.class.name().to_string();
    let parts = [feature.map_or("", |f| &*f.name), &*draft.stream, &draft.row, &draft.field];
    for part in parts.into_iter().filter(|p| !p.is_empty()) {
        words.push(' ');
        words.push_str(part);
    }
    if !draft.rest.is_empty() || !draft.ws.is_empty() {
        words.push_str(&format!(": REST {} WebSocket {}", draft.rest, draft.ws));
    }
    words
}
