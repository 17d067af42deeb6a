//! Which records of the two sides speak of one thing at one time, by each way of aligning. Rougher than the
//! engine, which judges; here it is enough that most are right.

use super::cell::SAME_INSTANT;
use super::keys::{Columns, SharedTime, key_of};
use super::table::Table;
use crate::model::Span;
use std::collections::BTreeMap;

/// A REST record and the messages that may have said the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub rest: usize,
    pub ws: Vec<usize>,
}

/// A message may be this much ahead of REST or behind it.
const SETTLE: Span = Span::from_secs(2);

type ByKey = BTreeMap<Vec<String>, Vec<usize>>;

fn by_key(table: &Table, key: &[Columns], side: impl Fn(&Columns) -> usize) -> ByKey {
    let mut found = ByKey::new();
    for record in 0..table.records.len() {
        found.entry(key_of(table, record, key.iter().map(&side))).or_default().push(record);
    }
    found
}

/// Each record that REST shows, with the messages of its event time.
pub fn by_time(rest: &Table, ws: &Table, key: &[Columns], time: SharedTime) -> Vec<Pair> {
    let (shown, said) = (by_key(rest, key, |c| c.0), by_key(ws, key, |c| c.1));
    let mut pairs = Vec::new();
    for (name, records) in &shown {
        let Some(messages) = said.get(name) else { continue };
        let instant = |table: &Table, record: usize, column| table.records[record].cell(column).instant;
        let mut times: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for &message in messages {
            if let Some(at) = instant(ws, message, time.columns.1) {
                times.entry(at.0).or_default().push(message);
            }
        }
        for &record in records {
            let Some(at) = instant(rest, record, time.columns.0) else { continue };
            let near = times.range(at.0 - SAME_INSTANT.0..=at.0 + SAME_INSTANT.0);
            let ws: Vec<usize> = near.flat_map(|(_, messages)| messages).copied().collect();
            if !ws.is_empty() {
                pairs.push(Pair { rest: record, ws });
            }
        }
    }
    pairs
}

/// The last that each side says of a bucket, of those that REST no longer shows as its newest.
pub fn by_bucket(rest: &Table, ws: &Table, key: &[Columns], time: SharedTime) -> Vec<Pair> {
    let all = by_time(rest, ws, key, time);
    let bucket = |pair: &Pair| rest.records[pair.rest].cell(time.columns.0).instant;
    let name = |pair: &Pair| key_of(rest, pair.rest, key.iter().map(|c| c.0));
    let mut last: BTreeMap<(Vec<String>, _), Pair> = BTreeMap::new();
    let mut newest = BTreeMap::new();
    for (record, shown) in rest.records.iter().enumerate() {
        let name = key_of(rest, record, key.iter().map(|c| c.0));
        let at = shown.cell(time.columns.0).instant;
        newest.entry(name).and_modify(|known| *known = at.max(*known)).or_insert(at);
    }
    for mut pair in all {
        let latest = pair.ws.iter().copied().max();
        pair.ws = latest.into_iter().collect();
        // Records come in the order of bodies, so a later snapshot takes the place of an earlier one.
        last.insert((name(&pair), bucket(&pair)), pair);
    }
    last.retain(|(name, at), _| newest.get(name) != Some(at));
    last.into_values().collect()
}

/// Each record that REST shows, with the last message before the request and those until shortly after it.
pub fn by_arrival(rest: &Table, ws: &Table, key: &[Columns]) -> Vec<Pair> {
    let (shown, said) = (by_key(rest, key, |c| c.0), by_key(ws, key, |c| c.1));
    let mut pairs = Vec::new();
    for (name, records) in &shown {
        let Some(messages) = said.get(name) else { continue };
        for &record in records {
            let poll = &rest.records[record];
            let before = |span: Span| {
                let at = poll.sent.saturating_sub(span);
                messages.partition_point(|&message| ws.records[message].at < at)
            };
            let first = before(SETTLE).saturating_sub(1);
            let end = messages.partition_point(|&m| ws.records[m].at <= poll.at.saturating_add(SETTLE));
            // What REST shows before the stream first spoke is not known to it.
            if before(Span::ZERO) > 0 && first < end {
                pairs.push(Pair { rest: record, ws: messages[first..end].to_vec() });
            }
        }
    }
    pairs
}

/// At most so many, evenly over the whole.
pub fn sample(pairs: &[Pair], most: usize) -> Vec<Pair> {
    let step = pairs.len().div_ceil(most.max(1)).max(1);
    pairs.iter().step_by(step).cloned().collect()
}

/// The rows of paired records, paired by their own key.
pub fn of_rows(pairs: &[Pair], rest: &Table, ws: &Table, key: &[Columns]) -> Vec<Pair> {
    let rows = |table: &Table| {
        let mut of: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (row, record) in table.records.iter().enumerate() {
            of.entry(record.group).or_default().push(row);
        }
        of
    };
    let (on_rest, on_ws) = (rows(rest), rows(ws));
    let mut found = Vec::new();
    for pair in pairs {
        for &row in on_rest.get(&pair.rest).into_iter().flatten() {
            let name = key_of(rest, row, key.iter().map(|c| c.0));
            let candidates = pair.ws.iter().flat_map(|message| on_ws.get(message).into_iter().flatten());
            let same = candidates.filter(|&&r| key_of(ws, r, key.iter().map(|c| c.1)) == name);
            let ws: Vec<usize> = same.copied().collect();
            if !ws.is_empty() {
                found.push(Pair { rest: row, ws });
            }
        }
    }
    found
}
