//! Mutants: what is changed where, what the contract says of it, and the choice of places by a seed.
//! Decides nothing about how the gate answers.

use super::stage::{Sight, Stage, StreamSights};
use super::tape::Edits;
use crate::contract::Align;
use crate::model::drill::NotDrilled;
use crate::model::{Class, Span, Timestamp};
use crate::reference::random::hash;

/// What the contract says the gate should make of a mutant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// It should be seen.
    Seen,
    /// It is allowed, so nothing may be told.
    Within(String),
    /// The contract looks away: why.
    Unseen(String),
    /// It may be seen or not; why not.
    Unsure(String),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub stream: String,
    pub row: String,
    pub event: Option<Timestamp>,
    pub at: Timestamp,
}

#[derive(Debug, Clone)]
pub struct Mutant<'s> {
    pub class: Class,
    pub field: String,
    pub size: String,
    pub change: String,
    pub place: Place,
    pub expect: Expect,
    pub edits: Edits<'s>,
}

/// A place where a value can be struck so that the gate compares it: what the WebSocket said that a
/// REST answer is held against. Indexes into the stream's sights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub stream: usize,
    pub ws: Vec<usize>,
    pub rest: Vec<usize>,
    pub event: Option<Timestamp>,
    pub at: Timestamp,
}

/// Gathers the mutants of one feature.
#[derive(Debug)]
pub struct Range<'s> {
    pub stage: &'s Stage,
    seed: u64,
    places: usize,
    classes: Vec<Class>,
    pub targets: Vec<Target>,
    pub mutants: Vec<Mutant<'s>>,
    pub none: Vec<NotDrilled>,
}

impl<'s> Range<'s> {
    /// `classes`: only these; empty for all.
    pub fn new(stage: &'s Stage, seed: u64, places: usize, classes: &[Class]) -> Range<'s> {
        let mut targets = targets(stage);
        keep_some(&mut targets, |t| stage.in_hours(t.at));
        keep_some(&mut targets, |t| is_inner(stage, t.at));
        let classes = classes.to_vec();
        Range { stage, seed, places, classes, targets, mutants: Vec::new(), none: Vec::new() }
    }

    pub fn asks(&self, class: Class) -> bool {
        self.classes.is_empty() || self.classes.contains(&class)
    }

    pub fn edits(&self) -> Edits<'s> {
        Edits::new(&self.stage.tape)
    }

    /// Adds a mutant that changes something.
    pub fn push(&mut self, mutant: Mutant<'s>) {
        if !mutant.edits.is_empty() && self.asks(mutant.class) {
            self.mutants.push(mutant);
        }
    }

    pub fn not(&mut self, class: Class, field: &str, why: impl Into<String>) {
        if self.asks(class) {
            let feature = self.stage.feature().name.clone();
            self.none.push(NotDrilled { feature, class, field: field.into(), why: why.into() });
        }
    }

    /// Up to `places` of a list, spread over it; which ones follows from the seed and the purpose.
    pub fn pick<T: Clone>(&self, purpose: &str, list: &[T]) -> Vec<T> {
        self.pick_n(purpose, list, self.places)
    }

    pub fn pick_n<T: Clone>(&self, purpose: &str, list: &[T], most: usize) -> Vec<T> {
        let count = most.min(list.len());
        let offset = self.draw(purpose, list.len());
        (0..count).map(|i| list[(offset + i * list.len() / count) % list.len()].clone()).collect()
    }

    /// A number below `bound` that belongs to a purpose.
    pub fn draw(&self, purpose: &str, bound: usize) -> usize {
        let what = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        if bound == 0 { 0 } else { (hash(self.seed, what, 0) % bound as u64) as usize }
    }

    /// Messages where a single one can be struck: within market hours and not at the ends, where
    /// there are such.
    pub fn messages(&self) -> Vec<(usize, usize)> {
        let stage = self.stage;
        let mut all: Vec<(usize, usize)> = stage
            .streams
            .iter()
            .enumerate()
            // Of a key that REST never shows nothing is promised.
            .filter(|(_, s)| !s.rest.is_empty())
            .flat_map(|(s, stream)| (0..stream.ws.len()).map(move |i| (s, i)))
            .collect();
        keep_some(&mut all, |(s, i)| stage.in_hours(stage.streams[*s].ws[*i].at));
        keep_some(&mut all, |(s, i)| is_inner(stage, stage.streams[*s].ws[*i].at));
        all
    }

    pub fn stream(&self, target: &Target) -> &'s StreamSights {
        &self.stage.streams[target.stream]
    }

    pub fn place(&self, stream: usize, sight: &Sight) -> Place {
        Place {
            stream: self.stage.streams[stream].label.clone(),
            row: String::new(),
            event: sight.event,
            at: sight.at,
        }
    }
}

/// Keeps what fits, unless nothing does.
pub fn keep_some<T>(list: &mut Vec<T>, fits: impl Fn(&T) -> bool) {
    if list.iter().any(&fits) {
        list.retain(fits);
    }
}

/// Away from both ends of the slice, where not everything is judged.
fn is_inner(stage: &Stage, at: Timestamp) -> bool {
    let feature = stage.feature();
    let margin = feature.interval * 2 + stage.settle() * 2 + feature.rest.poll;
    let (first, last) = stage.bounds();
    at >= first + margin && at + margin <= last
}

/// How long a wrong value must stand in an `arrival` feature until some poll can equal nothing else:
/// messages live for two intervals and a settle, the one before counts too, and one that follows.
pub fn standing(stage: &Stage) -> Span {
    let feature = stage.feature();
    feature.interval * 5 + stage.settle() * 4 + feature.rest.poll * 2
}

fn targets(stage: &Stage) -> Vec<Target> {
    let mut found = Vec::new();
    for (number, stream) in stage.streams.iter().enumerate() {
        match stage.feature().align {
            Align::Time => versions_shown(stage, number, stream, &mut found),
            Align::Bucket => buckets_closed(number, stream, &mut found),
            Align::Arrival => windows(stage, number, stream, &mut found),
        }
    }
    found.sort_by_key(|t| (t.at, t.stream));
    found
}

/// Versions that both sides show.
fn versions_shown(stage: &Stage, number: usize, stream: &StreamSights, found: &mut Vec<Target>) {
    let tolerance = stage.feature().time_tolerance;
    let mut seen = std::collections::BTreeSet::new();
    for event in stream.rest.iter().filter_map(|s| s.event) {
        if !seen.insert(event) {
            continue;
        }
        let near = |s: &Sight| s.event.is_some_and(|e| (e - event).abs() <= tolerance);
        let same = |s: &Sight| s.event == Some(event);
        let ws = places(&stream.ws, near);
        let rest = places(&stream.rest, same);
        if let Some(first) = ws.first() {
            let at = stream.ws[*first].at;
            found.push(Target { stream: number, ws, rest, event: Some(event), at });
        }
    }
}

/// Buckets whose last REST snapshot is final: REST shows a later one in the same answer or before it.
fn buckets_closed(number: usize, stream: &StreamSights, found: &mut Vec<Target>) {
    let mut first_shown: std::collections::BTreeMap<Timestamp, Timestamp> = Default::default();
    for sight in &stream.rest {
        if let Some(event) = sight.event {
            first_shown.entry(event).or_insert(sight.sent);
        }
    }
    for &event in first_shown.keys() {
        let rest = places(&stream.rest, |s| s.event == Some(event));
        let ws = places(&stream.ws, |s| s.event == Some(event));
        let later = first_shown.range(event + Span(1)..).map(|(_, sent)| *sent).min();
        let last_sent = rest.last().map(|i| stream.rest[*i].sent);
        let is_final = matches!((later, last_sent), (Some(later), Some(last)) if later <= last);
        if let (true, Some(last)) = (is_final, ws.last()) {
            let at = stream.ws[*last].at;
            found.push(Target { stream: number, ws, rest, event: Some(event), at });
        }
    }
}

/// Stretches of messages during which some poll can equal nothing else.
fn windows(stage: &Stage, number: usize, stream: &StreamSights, found: &mut Vec<Target>) {
    let (lasting, (_, end)) = (standing(stage), stage.bounds());
    for (i, first) in stream.ws.iter().enumerate() {
        let until = first.at + lasting;
        if until + stage.feature().interval > end {
            break;
        }
        let ws: Vec<usize> = (i..stream.ws.len()).take_while(|j| stream.ws[*j].at <= until).collect();
        let rest = places(&stream.rest, |s| s.at >= first.at && s.at <= until);
        if !rest.is_empty() {
            found.push(Target { stream: number, ws, rest, event: None, at: first.at });
        }
    }
}

fn places(sights: &[Sight], fits: impl Fn(&Sight) -> bool) -> Vec<usize> {
    (0..sights.len()).filter(|i| fits(&sights[*i])).collect()
}
