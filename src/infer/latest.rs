//! REST that shows one bar of each stream, the latest that is closed, and not of when: known by its values among the
//! last states of the bars that the WebSocket told. Must not describe fields.

use super::fields::{self, Matched};
use super::keys::{Columns, is_time, key_of};
use super::pace::{self, Pace};
use super::pairs::Pair;
use super::table::{From, Table};
use crate::model::{Span, Timestamp};
use std::collections::BTreeMap;

/// Closed bars among which one may be meant.
const REACH: usize = 4;
/// Bars that have to be found before they are believed.
const ENOUGH: usize = 3;

/// How REST's bars were found.
pub struct Latest {
    /// The WebSocket's column that says which bar it is.
    pub time: usize,
    pub pairs: Vec<Pair>,
    pub pace: Pace,
    /// How long after a bar's end REST began to show it, at most.
    pub late: Span,
    pub evidence: String,
}

/// A bar as the WebSocket told it.
struct Bar {
    /// Its last message, and when the first of the next bar came.
    last: usize,
    closed: Timestamp,
}

/// What REST began to show, and the polls that showed it.
struct Version {
    records: Vec<usize>,
    /// Whether another was seen before it, so that it is known to be new.
    is_new: bool,
}

pub fn latest(rest: &Table, ws: &Table, key: &[Columns]) -> Option<Latest> {
    let times = (0..ws.columns.len()).filter(|&column| is_time(ws, column));
    times.filter_map(|time| by(rest, ws, key, time)).max_by_key(|found| found.pairs.len())
}

fn by(rest: &Table, ws: &Table, key: &[Columns], time: usize) -> Option<Latest> {
    let pace = pace::of_buckets(ws, time)?;
    let bars = bars(ws, key, time)?;
    let versions = versions(rest, key);
    let candidates = |name: &[String], record: usize| -> Vec<usize> {
        let known = bars.get(name).map(Vec::as_slice).unwrap_or_default();
        let closed = known.iter().rev().filter(|bar| bar.closed <= rest.records[record].at);
        closed.take(REACH).map(|bar| bar.last).collect()
    };
    let mut pairs = Vec::new();
    for (name, versions) in &versions {
        for version in versions.iter().filter(|version| version.is_new) {
            let first = version.records[0];
            let ws = candidates(name, first);
            pairs.extend((!ws.is_empty()).then_some(Pair { rest: first, ws }));
        }
    }
    let matched = fields::columns(rest, ws, &pairs, key);
    let mut found = Latest { time, pairs: Vec::new(), pace, late: Span::ZERO, evidence: String::new() };
    let (mut of, mut known) = (0, 0);
    for (name, versions) in &versions {
        let mut before: Option<Timestamp> = None;
        for version in versions.iter().filter(|version| version.is_new) {
            let first = version.records[0];
            let meant = candidates(name, first);
            if meant.is_empty() {
                continue;
            }
            of += 1;
            let meant = meant.into_iter().find(|&message| equal(rest, ws, &matched, first, message));
            let Some(message) = meant else { continue };
            let start = ws.records[message].cell(time).instant?;
            // In order, each once.
            if before.is_some_and(|before| before >= start) {
                continue;
            }
            before = Some(start);
            known += 1;
            let end = start.saturating_add(found.pace.interval);
            found.late = found.late.max(rest.records[first].at.since(end));
            found.pairs.extend(version.records.iter().map(|&rest| Pair { rest, ws: vec![message] }));
        }
    }
    found.evidence = format!(
        "{known} of {of} bars that REST began to show are the last state of one that the WebSocket told, in order"
    );
    (known >= ENOUGH && known * 5 >= of * 4).then_some(found)
}

/// Whether all that the two have in common is equal, and more than one thing is.
fn equal(rest: &Table, ws: &Table, matched: &Matched, record: usize, message: usize) -> bool {
    let telling = matched.fields.iter().filter(|found| found.equal * 20 >= found.pairs * 19);
    let mut seen = 0;
    telling.into_iter().all(|found| {
        let (r, w) = found.columns;
        seen += 1;
        fields::equal_in(rest.records[record].cell(r), ws.records[message].cell(w), rest, ws, found)
    }) && seen >= 2
}

/// The bars of each stream, without the one that still forms; `None` where few of them changed while they did.
fn bars(ws: &Table, key: &[Columns], time: usize) -> Option<BTreeMap<Vec<String>, Vec<Bar>>> {
    let mut told: BTreeMap<Vec<String>, BTreeMap<Timestamp, Vec<usize>>> = BTreeMap::new();
    for (i, record) in ws.records.iter().enumerate() {
        let start = record.cell(time).instant?;
        let of = told.entry(key_of(ws, i, key.iter().map(|c| c.1))).or_default();
        of.entry(start).or_default().push(i);
    }
    let all = told.values().flat_map(BTreeMap::values);
    let (forming, of) = all.fold((0, 0), |(forming, of), m| (forming + usize::from(m.len() > 1), of + 1));
    if forming * 2 < of {
        return None;
    }
    let closed = |starts: BTreeMap<Timestamp, Vec<usize>>| -> Vec<Bar> {
        let starts: Vec<_> = starts.into_iter().collect();
        let pairs = starts.windows(2).filter_map(|two| {
            let next = *two[1].1.first()?;
            Some(Bar { last: *two[0].1.last()?, closed: ws.records[next].at })
        });
        pairs.collect()
    };
    Some(told.into_iter().map(|(name, starts)| (name, closed(starts))).collect())
}

fn versions(rest: &Table, key: &[Columns]) -> BTreeMap<Vec<String>, Vec<Version>> {
    let inside: Vec<usize> =
        (0..rest.columns.len()).filter(|&c| matches!(rest.columns[c], From::Record(_))).collect();
    let mut shown: BTreeMap<Vec<String>, Vec<Version>> = BTreeMap::new();
    for i in 0..rest.records.len() {
        let of = shown.entry(key_of(rest, i, key.iter().map(|c| c.0))).or_default();
        let same = |a: usize, b: usize| {
            inside.iter().all(|&c| rest.records[a].cell(c).text == rest.records[b].cell(c).text)
        };
        match of.last_mut() {
            Some(version) if same(version.records[0], i) => version.records.push(i),
            last => {
                let is_new = last.is_some();
                of.push(Version { records: vec![i], is_new });
            }
        }
    }
    shown
}
