//! What the judging of one stream may use: its feature's rules, the link, and where results go.

use super::cadence::Pace;
use super::clock_offset::OffsetBounds;
use super::compare::{self, Broken, Difference, Extent, Instants, Remarks, Rules};
use super::content::{Content, Spare};
use super::ledger::{Draft, Ledger};
use super::link::Link;
use super::proof::Proof;
use crate::contract::Feature;
use crate::model::series::Timeline;
use crate::model::{Class, Severity, Span, Timestamp};
use crate::stats::Histogram;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

/// Something to be judged once its deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// A REST version or poll, by its number within the stream.
    Pending(u64),
    /// A poll that showed something old, by its number.
    Stale(u64),
    /// A bucket, by its event time: the first judging, and one after a revision.
    Bucket(Timestamp),
    Revised(Timestamp),
    /// A step between ticks, by its number.
    Gap(u64),
    /// A poll's word on whether the record is there, by its number.
    Presence(u64),
    /// A request of the frontend, by its number within the feature.
    Request(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    pub at: Timestamp,
    sequence: u64,
    pub feature: usize,
    pub stream: u32,
    pub task: Task,
}

impl Ord for Deadline {
    fn cmp(&self, other: &Deadline) -> Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}
impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Deadline) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Deadlines by instant; those of one instant in the order they were set.
#[derive(Debug, Clone, Default)]
pub struct Deadlines {
    heap: BinaryHeap<Reverse<Deadline>>,
    sequence: u64,
}

impl Deadlines {
    pub fn push(&mut self, at: Timestamp, feature: usize, stream: u32, task: Task) {
        self.heap.push(Reverse(Deadline { at, sequence: self.sequence, feature, stream, task }));
        self.sequence += 1;
    }
    /// The first deadline that lies before `now`: at the deadline still counts.
    pub fn pop_before(&mut self, now: Timestamp) -> Option<Deadline> {
        if self.heap.peek()?.0.at < now { self.heap.pop().map(|Reverse(d)| d) } else { None }
    }
    pub fn clear(&mut self) {
        self.heap.clear();
    }
}

/// What is counted for one feature.
#[derive(Debug, Clone)]
pub struct Counts {
    pub pairs: u64,
    pub matched: u64,
    pub matched_current: u64,
    pub matched_previous: u64,
    pub matched_next: u64,
    /// Polls that were sent when a newer message had come, and showed what was before it.
    pub rest_behind: u64,
    pub mismatched: u64,
    pub unjudged_head: u64,
    pub unjudged_tail: u64,
    pub unfinished: u64,
    pub sparse: u64,
    pub revisions: u64,
    pub missed_ticks: u64,
    pub first_pair: Option<Timestamp>,
    pub last_pair: Option<Timestamp>,
    pub freshness: Histogram,
    pub delay: Histogram,
    pub clock: OffsetBounds,
    /// Per column, rows' columns after the record's.
    pub fields: Vec<FieldCount>,
    pub proof: Proof,
    pub timeline: Timeline,
}

/// How often one column was compared, was found different, and could not be compared because REST's
/// own value could not be read.
#[derive(Debug, Clone, Copy, Default)]
pub struct FieldCount {
    pub compared: u64,
    pub different: u64,
    pub unread: u64,
}

impl Counts {
    pub fn new(feature: &Feature, rules: &Rules) -> Counts {
        let resolution = Span((feature.interval.0 / 1_000).clamp(1_000, 10_000_000));
        let fields = rules.columns.len() + rules.row_columns.len();
        Counts {
            pairs: 0,
            matched: 0,
            matched_current: 0,
            rest_behind: 0,
            matched_previous: 0,
            matched_next: 0,
            mismatched: 0,
            unjudged_head: 0,
            unjudged_tail: 0,
            unfinished: 0,
            sparse: 0,
            revisions: 0,
            missed_ticks: 0,
            first_pair: None,
            last_pair: None,
            freshness: Histogram::new(resolution),
            delay: Histogram::new(resolution),
            clock: OffsetBounds::default(),
            fields: vec![FieldCount::default(); fields],
            proof: Proof::new(feature, rules),
            timeline: Timeline::default(),
        }
    }

    fn pair(&mut self, at: Timestamp, equal: bool) {
        self.pairs += 1;
        self.matched += u64::from(equal);
        self.mismatched += u64::from(!equal);
        self.first_pair.get_or_insert(at);
        self.last_pair = self.last_pair.max(Some(at));
    }

    /// A pair that counted as equal turns out to be none.
    pub fn unmatch(&mut self) {
        self.matched = self.matched.saturating_sub(1);
        self.mismatched += 1;
    }
}

/// A remark that is one line per stream and field, with a count, at the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Remark {
    pub class: Class,
    pub field: String,
    pub count: u64,
    pub at: Timestamp,
    pub rest: String,
    pub ws: String,
}

/// Adds one to the remark of this class and field.
pub fn remark(
    remarks: &mut Vec<Remark>,
    class: Class,
    field: &str,
    at: Timestamp,
    values: impl FnOnce() -> (String, String),
) {
    match remarks.iter_mut().find(|r| r.class == class && r.field == field) {
        Some(remark) => remark.count += 1,
        None => {
            let (rest, ws) = values();
            remarks.push(Remark { class, field: field.to_string(), count: 1, at, rest, ws });
        }
    }
}

/// The surroundings of one stream while it is judged.
#[derive(Debug)]
pub struct Context<'c> {
    pub index: usize,
    pub stream: u32,
    pub feature: &'c Feature,
    pub rules: &'c Rules,
    pub pace: Pace,
    /// How long an answer may have been on its way.
    pub timeout: Span,
    pub link: &'c Link,
    pub ledger: &'c mut Ledger,
    pub deadlines: &'c mut Deadlines,
    pub spare: &'c mut Spare,
    pub counts: &'c mut Counts,
}

/// A pair that was found to differ, and when it was seen.
#[derive(Debug)]
pub struct Pairing<'p> {
    pub label: &'p Arc<str>,
    pub rest: &'p Content,
    pub ws: &'p Content,
    pub event_time: Option<Timestamp>,
    pub at: Timestamp,
    pub during_drop: bool,
}

impl Context<'_> {
    pub fn settle(&self) -> Span {
        self.pace.settle
    }

    pub fn later(&mut self, at: Timestamp, task: Task) {
        self.deadlines.push(at, self.index, self.stream, task);
    }

    pub fn compare(
        &self,
        rest: &Content,
        ws: &Content,
        at: Instants,
        extent: Extent,
    ) -> (Vec<Difference>, Remarks) {
        let mut remarks = Remarks::default();
        let differences = compare::compare(self.rules, rest, ws, at, extent, &mut remarks);
        (differences, remarks)
    }

    /// The declared sums that fail in a record.
    pub fn broken(&self, content: &Content) -> Vec<Broken> {
        compare::broken(self.rules, &self.feature.invariants, content)
    }

    /// Counts a pair that was compared whole, and what was remarked on it.
    pub fn count_pair(&mut self, at: Timestamp, remarks: Remarks, equal: bool, kept: &mut Vec<Remark>) {
        self.counts.pair(at, equal);
        for column in remarks.compared {
            self.counts.fields[column].compared += 1;
        }
        for column in remarks.unread {
            self.counts.fields[column].unread += 1;
        }
        if let Some(rows) = remarks.same_text {
            let columns = self.rules.columns.iter().map(|rule| (rule, 1));
            let all = columns.chain(self.rules.row_columns.iter().map(|rule| (rule, rows)));
            for ((rule, times), count) in all.zip(&mut self.counts.fields) {
                count.compared += if rule.compared { times } else { 0 };
            }
        }
        for (field, rest, ws) in remarks.type_differs {
            remark(kept, Class::TypeDiffers, &field, at, || (rest, ws));
        }
    }

    /// A pair matched: what the message says is held against the stream's matched message before.
    pub fn prove(&mut self, message: &Content) {
        self.counts.proof.pair_matched(self.rules, self.stream, message);
    }

    /// Writes down each difference of a pair.
    pub fn report(&mut self, pair: &Pairing<'_>, differences: &[Difference]) {
        for difference in differences {
            if let Some(column) = self.column_of(difference) {
                self.counts.fields[column].different += 1;
            }
            let mut draft = Draft::new(difference.class, pair.label, pair.at);
            draft.row = difference.row.clone();
            draft.field = difference.field.clone();
            draft.event_time = pair.event_time;
            draft.rest = difference.rest.clone();
            draft.ws = difference.ws.clone();
            draft.delta = difference.delta.clone();
            draft.during_drop = pair.during_drop;
            draft.severity = difference.rests_own.then_some(Severity::Warn);
            let records = || (pair.rest.record().to_string(), pair.ws.record().to_string());
            self.ledger.add(self.index, draft, records);
        }
    }

    fn column_of(&self, difference: &Difference) -> Option<usize> {
        let named = |rules: &[compare::Rule]| rules.iter().position(|r| r.name == difference.field);
        if difference.row.is_empty() {
            named(&self.rules.columns)
        } else {
            named(&self.rules.row_columns).map(|c| c + self.rules.columns.len())
        }
    }

    /// Writes down broken sums, except where a difference of the same values tells the same thing.
    pub fn report_broken(
        &mut self,
        label: &Arc<str>,
        side: compare::Side,
        broken: &mut Vec<Broken>,
        told: &[Difference],
        event_time: Option<Timestamp>,
        at: Timestamp,
    ) {
        if broken.is_empty() {
            return;
        }
        for sum in broken.drain(..) {
            if told.iter().any(|d| d.row == sum.row && sum.fields.contains(&d.field)) {
                continue;
            }
            let mut draft = Draft::new(Class::Invariant, label, at);
            draft.row = sum.row;
            draft.field = sum.fields.first().cloned().unwrap_or_default();
            draft.event_time = event_time;
            let name = match side {
                compare::Side::Rest => {
                    draft.rest = sum.values;
                    "REST"
                }
                compare::Side::Ws => {
                    draft.ws = sum.values;
                    "the WebSocket"
                }
            };
            draft.detail = format!("{} does not hold on {name}", sum.text);
            self.ledger.add(self.index, draft, || (String::new(), String::new()));
        }
    }

    /// A version that never came over the WebSocket.
    pub fn report_missing(
        &mut self,
        label: &Arc<str>,
        rest: &Content,
        event: Option<Timestamp>,
        at: Timestamp,
        drop: bool,
    ) {
        let mut draft = Draft::new(Class::MissingOnWs, label, at);
        draft.event_time = event;
        draft.during_drop = drop;
        draft.detail = if drop { "the connection was down".into() } else { String::new() };
        self.ledger.add(self.index, draft, || (rest.record().to_string(), String::new()));
    }
}
