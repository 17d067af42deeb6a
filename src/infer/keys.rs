//! What tells entities apart on both sides, and which event time both carry. Must not look at other values.

use super::cell::{Cell, Kind, SAME_INSTANT};
use super::naming::{affinity, is_time_like, key_likeness};
use super::table::{From, Table};
use std::collections::{BTreeMap, BTreeSet};

/// Columns that stand for each other: REST's, and the WebSocket's.
pub type Columns = (usize, usize);

/// Records that are looked at to tell whether a key is one.
const LOOKED_AT: usize = 4000;
/// Candidates for a key, the likeliest first: three of them at a time are tried.
const MOST_CANDIDATES: usize = 8;
/// Longer texts are no names of anything.
const LONGEST_NAME: usize = 64;

/// The event time that both sides carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedTime {
    pub columns: Columns,
    /// Of REST's versions while the stream spoke of the entity, those with a message of the same instant.
    pub matched: usize,
    pub of: usize,
}

/// One record's key.
pub fn key_of(table: &Table, record: usize, columns: impl Iterator<Item = usize>) -> Vec<String> {
    columns.map(|column| table.records[record].cell(column).identity()).collect()
}

/// The columns that name an entity on both sides; empty: each side shows one entity without a name.
/// `timed`: records of one key may stand side by side if their times differ, as bars do.
pub fn key(rest: &Table, ws: &Table, timed: bool) -> Option<Vec<Columns>> {
    let alone = largest_group(rest) == 1 && largest_group(ws) == 1;
    let candidates = candidates(rest, ws, alone);
    let minimal = sets(candidates.len()).find_map(|set| {
        let columns: Vec<Columns> = set.iter().map(|&i| candidates[i]).collect();
        tells_apart(rest, &columns, |c| c.0, timed).then_some(())?;
        tells_apart(ws, &columns, |c| c.1, timed).then_some(columns)
    });
    match minimal {
        Some(mut columns) => {
            extend(rest, ws, &mut columns, &candidates);
            Some(columns)
        }
        None => alone.then(Vec::new),
    }
}

fn largest_group(table: &Table) -> usize {
    let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
    table.records.iter().for_each(|record| *sizes.entry(record.group).or_default() += 1);
    sizes.into_values().max().unwrap_or(0)
}

/// One, two and three of `count`, the first ones first.
fn sets(count: usize) -> impl Iterator<Item = Vec<usize>> {
    let ones = (0..count).map(|a| vec![a]);
    let twos = (0..count).flat_map(move |a| (a + 1..count).map(move |b| vec![a, b]));
    let threes = (0..count)
        .flat_map(move |a| (a + 1..count).flat_map(move |b| (b + 1..count).map(move |c| vec![a, b, c])));
    ones.chain(twos).chain(threes)
}

/// Pairs of columns that may name entities, the likeliest first.
fn candidates(rest: &Table, ws: &Table, alone: bool) -> Vec<Columns> {
    let names = |table: &Table| -> Vec<(usize, BTreeSet<String>)> {
        let columns = (0..table.columns.len()).filter(|&column| may_name(table, column));
        columns.map(|column| (column, table.values(column).map(Cell::identity).collect())).collect()
    };
    let (on_rest, on_ws) = (names(rest), names(ws));
    let mut found = Vec::new();
    for (r, shown) in &on_rest {
        for (w, said) in &on_ws {
            let (a, b) = (rest.columns[*r].name(), ws.columns[*w].name());
            let alike = affinity(a, b);
            let likeness = key_likeness(a).max(key_likeness(b));
            let shared = shown.intersection(said).count();
            let enough = match alike {
                // Names that say nothing need values that do.
                0 | 1 => shared >= 2 && shared * 5 >= shown.len().min(said.len()) * 4,
                _ => shared >= 1 && shared * 2 >= shown.len().min(said.len()),
            };
            let numbers = rest.all(*r, |cell| cell.number.is_some());
            let named = match (alone, numbers) {
                (true, _) => likeness >= 2 && alike >= 1,
                // An amount may be whole, and differ from record to record; it is no key.
                (false, true) => likeness >= 2,
                (false, false) => likeness >= 1 || alike >= 3,
            };
            if enough && named {
                let inside = !matches!(rest.columns[*r], From::Root(_)) as u8;
                found.push(((likeness, alike, inside, shared), (*r, *w)));
            }
        }
    }
    // By rank; among equals the first column, as a table's author puts the key first.
    found.sort_by(|(a, x), (b, y)| b.cmp(a).then(x.cmp(y)));
    let mut chosen: Vec<Columns> = Vec::new();
    for (_, (r, w)) in found {
        if chosen.len() < MOST_CANDIDATES && chosen.iter().all(|(a, b)| *a != r && *b != w) {
            chosen.push((r, w));
        }
    }
    chosen
}

/// Words and whole numbers.
fn may_name(table: &Table, column: usize) -> bool {
    let likeness = key_likeness(table.columns[column].name());
    table.lacking(column) * 100 <= table.records.len()
        && table.all(column, |cell| {
            let short = cell.text.len() <= LONGEST_NAME && !cell.text.is_empty();
            short
                && matches!(cell.kind, Kind::Text | Kind::Number)
                && !cell.has_point()
                && (cell.instant.is_none() || likeness >= 3)
        })
}

/// Whether no body has two records of one key, or none of one key and instant.
fn tells_apart(table: &Table, columns: &[Columns], side: impl Fn(&Columns) -> usize, timed: bool) -> bool {
    let records = table.records.len().min(LOOKED_AT);
    let unique = |time: Option<usize>| {
        let mut seen = BTreeSet::new();
        (0..records).all(|record| {
            let key = key_of(table, record, columns.iter().map(&side).chain(time));
            seen.insert((table.records[record].group, key))
        })
    };
    let mut times = (0..table.columns.len()).filter(|&column| timed && is_time(table, column));
    unique(None) || times.any(|column| unique(Some(column)))
}

/// Adds what both sides call a key and what tells entities apart that share the key so far.
fn extend(rest: &Table, ws: &Table, key: &mut Vec<Columns>, candidates: &[Columns]) {
    for &(r, w) in candidates {
        let (a, b) = (&rest.columns[r], &ws.columns[w]);
        let certain = key_likeness(a.name()) >= 2 && key_likeness(b.name()) >= 2;
        if key.contains(&(r, w)) || !certain {
            continue;
        }
        // Whose list it is: one account was seen, and another's records are not this one's.
        let of_list = affinity(a.name(), b.name()) >= 3
            && matches!((a, b), (From::Record(_), From::Root(_)) | (From::Root(_), From::Record(_)));
        let divides = |table: &Table, own: &dyn Fn(&Columns) -> usize, column: usize| {
            let mut of: BTreeMap<Vec<String>, String> = BTreeMap::new();
            (0..table.records.len()).any(|record| {
                let value = table.records[record].cell(column).identity();
                let known =
                    of.entry(key_of(table, record, key.iter().map(own))).or_insert_with(|| value.clone());
                *known != value
            })
        };
        if of_list || divides(rest, &|c| c.0, r) || divides(ws, &|c| c.1, w) {
            key.push((r, w));
        }
    }
}

/// Whether a column holds instants.
pub fn is_time(table: &Table, column: usize) -> bool {
    let numbers_may = is_time_like(table.columns[column].name());
    table.all(column, |cell| cell.instant.is_some() && (cell.kind == Kind::Text || numbers_may))
}

/// Messages that came so long before the instant they name tell of what is to come, if others came longer before
/// it, or less long.
const AHEAD_SECONDS: f64 = 2.0;
/// First messages of an instant, at least, to say so.
const FEWEST_AHEAD: usize = 3;

/// Whether messages name instants that lie ahead of them, some farther and some less: the next opening, an expiry. A
/// server whose clock is ahead is so by one span, or by one that grows evenly.
fn is_to_come(table: &Table, column: usize, key: &[Columns]) -> bool {
    let mut first: BTreeMap<(Vec<String>, i64), (f64, f64)> = BTreeMap::new();
    let Some(began) = table.records.first().map(|record| record.at) else { return false };
    for (i, record) in table.records.iter().enumerate() {
        if let Some(instant) = record.cell(column).instant {
            let name = key_of(table, i, key.iter().map(|c| c.1));
            let point = ((record.at - began).as_secs_f64(), (instant - record.at).as_secs_f64());
            first.entry((name, instant.0)).or_insert(point);
        }
    }
    let points: Vec<(f64, f64)> = first.into_values().collect();
    // The middle half of all: what lies before it, and how wide it is.
    let middle = |mut values: Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        let skipped = values.len() / 4;
        (values[skipped], values[values.len() - 1 - skipped] - values[skipped])
    };
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
    let (at, ahead) = (mean(&|p| p.0), mean(&|p| p.1));
    let spread = mean(&|p| (p.0 - at) * (p.0 - at));
    let slope = if spread > 0.0 { mean(&|p| (p.0 - at) * (p.1 - ahead)) / spread } else { 0.0 };
    points.len() >= FEWEST_AHEAD
        && middle(points.iter().map(|p| p.1).collect()).0 > AHEAD_SECONDS
        && middle(points.iter().map(|p| p.1 - slope * p.0).collect()).1 > AHEAD_SECONDS
}

/// The event time that both sides carry: that of REST's versions is that of messages, and it moves.
pub fn shared_time(rest: &Table, ws: &Table, key: &[Columns]) -> Option<SharedTime> {
    let times = |table: &Table| -> Vec<usize> {
        (0..table.columns.len()).filter(|&column| is_time(table, column)).collect()
    };
    let instants = |table: &Table, column: usize, side: &dyn Fn(&Columns) -> usize| {
        let mut by_key: BTreeMap<Vec<String>, BTreeSet<i64>> = BTreeMap::new();
        for (i, record) in table.records.iter().enumerate() {
            if let Some(instant) = record.cell(column).instant {
                by_key.entry(key_of(table, i, key.iter().map(side))).or_default().insert(instant.0);
            }
        }
        by_key
    };
    let mut best: Option<((usize, u8), SharedTime)> = None;
    let on_ws: Vec<_> = times(ws)
        .into_iter()
        .filter(|&column| !is_to_come(ws, column, key))
        .map(|column| (column, instants(ws, column, &|c| c.1)))
        .collect();
    for r in times(rest) {
        let shown = instants(rest, r, &|c| c.0);
        for (w, said) in &on_ws {
            let Some(time) = shared(&shown, said, (r, *w)) else { continue };
            let rank = (time.matched, affinity(rest.columns[r].name(), ws.columns[*w].name()));
            if best.is_none_or(|(known, _)| rank > known) {
                best = Some((rank, time));
            }
        }
    }
    best.map(|(_, time)| time)
}

type Instants = BTreeMap<Vec<String>, BTreeSet<i64>>;

fn shared(shown: &Instants, said: &Instants, columns: Columns) -> Option<SharedTime> {
    let (mut matched, mut of, mut moves) = (0, 0, false);
    for (key, instants) in shown {
        let Some(said) = said.get(key) else { continue };
        moves |= said.len() >= 2 || instants.len() >= 2;
        let (Some(first), Some(last)) = (said.first(), said.last()) else { continue };
        for instant in instants.range(*first..=*last) {
            of += 1;
            let near = instant - SAME_INSTANT.0..=instant + SAME_INSTANT.0;
            matched += usize::from(said.range(near).next().is_some());
        }
    }
    // Two equal stamps may be chance; four of five must have a partner, for a message may be lost.
    (moves && matched >= 2 && matched * 5 >= of * 4).then_some(SharedTime { columns, matched, of })
}
