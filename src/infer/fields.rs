//! Which columns of the two sides are one field, by equal values over time and by name; what is left over on
//! each side. Must not decide what a field means.

use super::cell::{Cell, EXPONENT_PLACES};
use super::keys::{Columns, is_time, key_of};
use super::naming::affinity;
use super::pairs::{Pair, sample};
use super::table::{From, Table};
use crate::model::value::Number;
use std::collections::{BTreeMap, BTreeSet};

/// Pairs that every combination of columns is held against.
const SAMPLED: usize = 600;
/// So many different values tell no more than these.
const MOST_DISTINCT: usize = 5;

/// Two columns that are one field.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    pub columns: Columns,
    pub affinity: u8,
    /// Both sides have a value, and how often it is equal, in the pairs that were looked at.
    pub pairs: usize,
    pub equal: usize,
    /// Different values among the equal ones, a few at most.
    pub distinct: usize,
    /// Numbers that fall by a second a second.
    pub counts_down: bool,
    /// Ten to this power times what the WebSocket says is what REST says.
    pub power: i8,
    /// Other columns of the WebSocket that would fit as well.
    pub also: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Matched {
    pub fields: Vec<Match>,
    pub rest_only: Vec<usize>,
    pub ws_only: Vec<usize>,
}

/// Pairs columns of records; `aligned` are those of the key and the time, which pair the records.
pub fn columns(rest: &Table, ws: &Table, pairs: &[Pair], aligned: &[Columns]) -> Matched {
    let free = |table: &Table, side: &dyn Fn(&Columns) -> usize| -> Vec<Side> {
        let inside = (0..table.columns.len()).filter(|&c| matches!(table.columns[c], From::Record(_)));
        let free = inside.filter(|c| aligned.iter().all(|columns| side(columns) != *c));
        let key: Vec<usize> = aligned.iter().map(side).collect();
        free.map(|column| Side::of(table, column, &key)).collect()
    };
    let (on_rest, on_ws) = (free(rest, &|c| c.0), free(ws, &|c| c.1));
    let sampled = sample(pairs, SAMPLED);
    let mut all = Vec::new();
    for r in &on_rest {
        for w in &on_ws {
            let alike = affinity(rest.columns[r.column].name(), ws.columns[w.column].name());
            if r.may_equal(w) || alike >= 3 {
                let plain = compared(rest, ws, &sampled, (r, w), (alike, 0));
                all.push(in_other_units(rest, ws, &sampled, (r, w), &plain).unwrap_or(plain));
            }
        }
    }
    choose(all, &on_rest, &on_ws, ws)
}

/// What is known of a column by itself.
struct Side {
    column: usize,
    numbers: bool,
    times: bool,
    places: usize,
    counts_down: bool,
}

impl Side {
    fn of(table: &Table, column: usize, key: &[usize]) -> Side {
        let numbers = table.all(column, |cell| cell.number.is_some());
        Side {
            column,
            numbers,
            times: is_time(table, column),
            places: table.values(column).map(Cell::places).max().unwrap_or(0),
            counts_down: numbers && counts_down(table, column, key),
        }
    }

    fn may_equal(&self, other: &Side) -> bool {
        self.numbers == other.numbers || (self.times && other.times)
    }
}

/// Half of the last place of the side that writes fewer, where it rounds what the other writes in full.
pub fn rounding(a: usize, b: usize) -> Option<(usize, Number)> {
    let places = a.min(b);
    (places >= 1 && a != b && places < EXPONENT_PLACES)
        .then(|| (places, Number::parse(&format!("0.{}5", "0".repeat(places))).unwrap_or(Number::ZERO)))
}

/// Cents and thousandths, pips, millionths, satoshis; and the other way round.
const POWERS: [i8; 10] = [-2, 2, -3, 3, -4, 4, -6, 6, -8, 8];
/// Pairs in which a unit must show before all are looked at.
const PROBED: usize = 8;

/// Numbers of one name that differ always, and by the same power of ten.
fn in_other_units(
    rest: &Table,
    ws: &Table,
    pairs: &[Pair],
    (r, w): (&Side, &Side),
    plain: &Match,
) -> Option<Match> {
    let amounts = r.numbers && w.numbers && !r.times && !w.times;
    if !amounts || plain.affinity < 2 || plain.equal * 2 > plain.pairs || plain.pairs == 0 {
        return None;
    }
    let probed = sample(pairs, PROBED);
    POWERS.into_iter().find_map(|power| {
        let told = |pairs: &[Pair]| compared(rest, ws, pairs, (r, w), (plain.affinity, power));
        let (few, enough) = (told(&probed), |m: &Match| m.equal > 0 && m.equal * 20 >= m.pairs * 19);
        let all = enough(&few).then(|| told(pairs))?;
        // Nothing is nothing in any unit, and one value may be chance.
        (enough(&all) && all.distinct >= 3).then_some(all)
    })
}

fn compared(
    rest: &Table,
    ws: &Table,
    pairs: &[Pair],
    (r, w): (&Side, &Side),
    (affinity, power): (u8, i8),
) -> Match {
    let slack = match power {
        0 => rounding(r.places, w.places).map_or(Number::ZERO, |(_, slack)| slack),
        _ => Number::ZERO,
    };
    let (mut both, mut equal, mut distinct) = (0, 0, BTreeSet::new());
    for pair in pairs {
        let value = rest.records[pair.rest].cell(r.column);
        let said = || pair.ws.iter().map(|&m| ws.records[m].cell(w.column));
        if !value.is_value() || !said().any(Cell::is_value) {
            continue;
        }
        both += 1;
        if said().any(|cell| same(value, cell, power, &slack)) {
            equal += 1;
            if distinct.len() < MOST_DISTINCT && !distinct.contains(&value.text) {
                distinct.insert(value.text.clone());
            }
        }
    }
    Match {
        columns: (r.column, w.column),
        affinity,
        pairs: both,
        equal,
        distinct: distinct.len(),
        counts_down: r.counts_down && w.counts_down,
        power,
        also: Vec::new(),
    }
}

/// Whether both say the same, once what the WebSocket says is in REST's units.
pub fn same(rest: &Cell, ws: &Cell, power: i8, slack: &Number) -> bool {
    if power == 0 { rest.same(ws, slack) } else { rest.same(&ws.in_units(power), slack) }
}

/// Whether two cells of a field are equal, as its columns are written.
pub fn equal_in(value: &Cell, said: &Cell, rest: &Table, ws: &Table, found: &Match) -> bool {
    let places = |table: &Table, column| table.values(column).map(Cell::places).max().unwrap_or(0);
    let (r, w) = found.columns;
    let slack = match found.power {
        0 => rounding(places(rest, r), places(ws, w)).map_or(Number::ZERO, |(_, slack)| slack),
        _ => Number::ZERO,
    };
    same(value, said, found.power, &slack)
}

impl Match {
    /// In what order matches are taken: 0 is best, `None` is none.
    fn rank(&self) -> Option<u8> {
        let nearly = self.pairs > 0 && self.equal * 20 >= self.pairs * 19;
        let mostly = self.pairs > 0 && self.equal * 10 >= self.pairs * 9;
        match self.affinity {
            3.. if mostly || self.counts_down => Some(0),
            2 if self.counts_down || (nearly && self.distinct >= 2) => Some(1),
            // Names that share little need values that cannot be chance.
            0 | 1 if nearly && self.pairs >= 3 && self.distinct >= 3 => Some(2),
            2 if nearly => Some(3),
            3.. if self.pairs > 0 => Some(4),
            _ => None,
        }
    }

    /// A number in which better matches are greater.
    fn weight(&self) -> (usize, u8, usize) {
        (self.equal * 1000 / self.pairs.max(1), self.affinity, self.distinct)
    }
}

fn choose(mut all: Vec<Match>, on_rest: &[Side], on_ws: &[Side], ws: &Table) -> Matched {
    all.retain(|found| found.rank().is_some());
    all.sort_by(|a, b| {
        a.rank().cmp(&b.rank()).then(b.weight().cmp(&a.weight())).then(a.columns.cmp(&b.columns))
    });
    let mut fields: Vec<Match> = Vec::new();
    for found in &all {
        let (r, w) = found.columns;
        if fields.iter().any(|f| f.columns.0 == r || f.columns.1 == w) {
            continue;
        }
        let rivals = all.iter().filter(|other| {
            other.columns.0 == r && other.columns.1 != w && other.equal == found.equal && found.affinity < 3
        });
        let also = rivals.map(|other| ws.columns[other.columns.1].name().to_string()).collect();
        fields.push(Match { also, ..found.clone() });
    }
    let left = |side: &[Side], own: &dyn Fn(&Match) -> usize| -> Vec<usize> {
        let unused = |column: &usize| fields.iter().all(|found| own(found) != *column);
        side.iter().map(|side| side.column).filter(unused).collect()
    };
    let (rest_only, ws_only) = (left(on_rest, &|f| f.columns.0), left(on_ws, &|f| f.columns.1));
    fields.sort_by_key(|found| found.columns);
    Matched { fields, rest_only, ws_only }
}

/// What a step of a countdown takes at least.
const STEP_SECONDS: f64 = 0.9;

/// Steps from record to record of one entity in which the value fell by the time that went by, more or less two
/// seconds: four of five, and five at least.
fn counts_down(table: &Table, column: usize, key: &[usize]) -> bool {
    let mut last: BTreeMap<Vec<String>, (f64, f64)> = BTreeMap::new();
    let (mut steps, mut falls) = (0_usize, 0_usize);
    for (i, record) in table.records.iter().enumerate() {
        let value = record.cell(column).number.as_ref().and_then(Number::seconds_to_nanos);
        let Some(seconds) = value.map(|nanos| nanos as f64 / 1e9) else { continue };
        let at = record.at.0 as f64 / 1e9;
        let name = key_of(table, i, key.iter().copied());
        let Some((value, since)) = last.get(&name).copied() else {
            last.insert(name, (seconds, at));
            continue;
        };
        // Polls may be closer than the seconds that are counted.
        if at - since >= STEP_SECONDS {
            last.insert(name, (seconds, at));
            steps += 1;
            let fell = value - seconds;
            falls += usize::from(fell > 0.0 && (fell - (at - since)).abs() <= 2.0);
        }
    }
    steps >= 5 && falls * 5 >= steps * 4
}
