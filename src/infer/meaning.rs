//! What a field means: its type, tolerance, values, how it behaves while a bucket forms, and in words how sure
//! that is. Must not pair columns.

use super::cell::{Cell, Kind};
use super::fields::{Match, rounding, same};
use super::keys::{Columns, is_time, key_of};
use super::naming::{is_state_like, key_likeness, words};
use super::pairs::Pair;
use super::table::Table;
use crate::contract::FieldType;
use crate::model::value::Number;
use bigdecimal::RoundingMode;
use std::collections::{BTreeMap, BTreeSet};

/// So many words are a set of states; more are names.
const MOST_STATES: usize = 8;

/// What is guessed of a field, apart from its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Guess {
    pub kind: FieldType,
    /// As the contract writes it.
    pub tolerance: Option<String>,
    /// Decimal places to which both sides are rounded first.
    pub round: Option<usize>,
    /// Ten to this power makes the WebSocket's numbers REST's; 0: they are.
    pub power: i8,
    /// The WebSocket's words and REST's for them.
    pub map: Vec<(String, String)>,
    pub values: Vec<String>,
    pub forming: Option<&'static str>,
    pub is_static: bool,
    pub optional: bool,
    pub compare: bool,
    /// What speaks for the guess, in words and counts.
    pub evidence: String,
    pub unsure: bool,
}

/// Both sides' tables and how their records pair.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'e> {
    pub rest: &'e Table,
    pub ws: &'e Table,
    pub pairs: &'e [Pair],
    pub key: &'e [Columns],
}

impl Evidence<'_> {
    /// The type of a column that aligns records.
    pub fn of_key(&self, (r, w): Columns) -> FieldType {
        let number = |cell: &Cell| cell.kind == Kind::Number;
        let whole = |cell: &Cell| cell.number.as_ref().is_some_and(Number::is_integral);
        let numbers = self.rest.all(r, number) || self.ws.all(w, number);
        match numbers && self.rest.all(r, whole) && self.ws.all(w, whole) {
            true => FieldType::Integer,
            false => FieldType::String,
        }
    }

    pub fn of_field(&self, found: &Match) -> Guess {
        let (r, w) = found.columns;
        let kind = self.kind(found);
        let mut guess = Guess {
            kind,
            tolerance: None,
            round: None,
            power: found.power,
            map: Vec::new(),
            values: Vec::new(),
            forming: None,
            is_static: false,
            optional: false,
            compare: true,
            evidence: String::new(),
            unsure: false,
        };
        match kind {
            FieldType::Countdown => {
                guess.tolerance = Some("2s".into());
                guess.evidence = "falls by a second a second on both sides".into();
            }
            FieldType::Timestamp => self.instants(found, &mut guess),
            FieldType::Decimal | FieldType::Integer => self.numbers(found, &mut guess),
            _ => self.counted(found, &Number::ZERO, &mut guess),
        }
        if matches!(kind, FieldType::String | FieldType::Enum) && found.equal < found.pairs {
            guess.map = self.words_for(found);
        }
        if kind == FieldType::Enum {
            guess.values = match guess.map.is_empty() {
                true => self.words(r, w).into_iter().collect(),
                false => self
                    .rest
                    .values(r)
                    .map(|cell| cell.text.clone())
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect(),
            };
            guess.evidence += "; values are those seen, add what else may come";
        }
        if !guess.map.is_empty() {
            guess.evidence += "; but each word of the WebSocket goes with one of REST";
        }
        guess.is_static = self.never_changes(found, &guess);
        if guess.is_static {
            guess.evidence += "; never changed, so static is a guess";
        }
        self.renamed(found, &mut guess);
        let lacking = (self.rest.lacking(r), self.ws.lacking(w));
        if lacking != (0, 0) {
            guess.optional = true;
            guess.evidence += &format!(
                "; no value in {} of {} records of REST and {} of {} of the WebSocket",
                lacking.0,
                self.rest.records.len(),
                lacking.1,
                self.ws.records.len()
            );
        }
        guess
    }

    fn kind(&self, found: &Match) -> FieldType {
        let (r, w) = found.columns;
        let both = |is_so: &dyn Fn(&Cell) -> bool| self.rest.all(r, is_so) && self.ws.all(w, is_so);
        let either =
            |is_so: &dyn Fn(&Cell) -> bool| self.rest.values(r).any(is_so) || self.ws.values(w).any(is_so);
        if both(&|cell| matches!(cell.text.as_str(), "true" | "false")) && either(&|c| c.kind == Kind::Bool) {
            return FieldType::Boolean;
        }
        if is_time(self.rest, r) && is_time(self.ws, w) {
            return FieldType::Timestamp;
        }
        if both(&|cell| cell.number.is_some()) {
            // Digits in quotes on both sides are a name, such as an account's.
            let quoted = both(&|cell| cell.kind == Kind::Text) && !either(&Cell::has_point);
            return match () {
                () if found.counts_down => FieldType::Countdown,
                () if quoted => FieldType::String,
                () if !either(&Cell::has_point) && self.likeness(found) >= 2 => FieldType::Integer,
                () => FieldType::Decimal,
            };
        }
        if both(&|cell| cell.kind == Kind::Text && is_word(&cell.text)) && self.is_state(found) {
            return FieldType::Enum;
        }
        FieldType::String
    }

    fn likeness(&self, found: &Match) -> u8 {
        let (r, w) = found.columns;
        key_likeness(self.rest.columns[r].name()).max(key_likeness(self.ws.columns[w].name()))
    }

    fn words(&self, r: usize, w: usize) -> BTreeSet<String> {
        self.rest.values(r).chain(self.ws.values(w)).map(|cell| cell.text.clone()).collect()
    }

    /// A few words, each seen often, that an entity changes between.
    fn is_state(&self, found: &Match) -> bool {
        let (r, w) = found.columns;
        let words = self.words(r, w);
        let seen = self.rest.records.len() + self.ws.records.len();
        (2..=MOST_STATES).contains(&words.len())
            && seen >= words.len() * 5
            && (self.changes(found) || is_state_like(self.rest.columns[r].name()))
    }

    /// Whether any entity was seen with two values.
    fn changes(&self, found: &Match) -> bool {
        let changes = |table: &Table, column: usize, own: &dyn Fn(&Columns) -> usize| {
            let mut first: BTreeMap<Vec<String>, &str> = BTreeMap::new();
            table.records.iter().enumerate().any(|(i, record)| {
                let cell = record.cell(column);
                let key = key_of(table, i, self.key.iter().map(own));
                cell.is_value() && *first.entry(key).or_insert(&cell.text) != cell.text
            })
        };
        changes(self.rest, found.columns.0, &|c| c.0) || changes(self.ws, found.columns.1, &|c| c.1)
    }

    /// What is static may be a name or a mark, never an amount or a state that happened to stand still.
    fn never_changes(&self, found: &Match, guess: &Guess) -> bool {
        let is_mark = match guess.kind {
            FieldType::String => !is_state_like(self.rest.columns[found.columns.0].name()),
            FieldType::Integer => true,
            _ => false,
        };
        is_mark && !guess.unsure && guess.compare && found.equal >= 3 && !self.changes(found)
    }

    /// Over all pairs: those with a value on both sides, those equal within a slack.
    fn equal(&self, found: &Match, slack: &Number) -> (usize, usize) {
        let (r, w) = found.columns;
        let (mut both, mut equal) = (0, 0);
        for pair in self.pairs {
            let value = self.rest.records[pair.rest].cell(r);
            let said = || pair.ws.iter().map(|&m| self.ws.records[m].cell(w));
            if value.is_value() && said().any(Cell::is_value) {
                both += 1;
                equal += usize::from(said().any(|cell| same(value, cell, found.power, slack)));
            }
        }
        (equal, both)
    }

    fn counted(&self, found: &Match, slack: &Number, guess: &mut Guess) {
        let (equal, both) = self.equal(found, slack);
        guess.evidence = format!("equal in {equal} of {both} pairs");
        guess.unsure |= equal < both || both < FEW;
        if equal == both && both < FEW {
            guess.evidence += ", which are few";
        }
    }

    fn numbers(&self, found: &Match, guess: &mut Guess) {
        let (r, w) = found.columns;
        if found.power != 0 {
            self.counted(found, &Number::ZERO, guess);
            guess.evidence += ", in other units";
            // Or one side is wrong by that much.
            guess.unsure = true;
            return;
        }
        let (exact, both) = self.equal(found, &Number::ZERO);
        let places = |table: &Table, column| table.values(column).map(Cell::places).max().unwrap_or(0);
        let (on_rest, on_ws) = (places(self.rest, r), places(self.ws, w));
        match rounding(on_rest, on_ws) {
            Some((kept, slack)) if exact < both => {
                let (rounded, _) = self.equal(found, &slack);
                if rounded > exact {
                    self.counted(found, &slack, guess);
                    let coarser = if kept == on_rest { "REST" } else { "the WebSocket" };
                    // Where rounding by the contract's rule explains all, it is the narrower guess.
                    if self.rounded(found, kept) == both {
                        guess.round = Some(kept);
                        guess.evidence +=
                            &format!(" when rounded to {coarser}'s {kept} places, exactly in {exact}");
                    } else {
                        guess.tolerance = Some(slack.to_string());
                        guess.evidence +=
                            &format!(" to half of the last of {coarser}'s {kept} places, exactly in {exact}");
                    }
                    return;
                }
                self.counted(found, &Number::ZERO, guess);
            }
            _ => self.counted(found, &Number::ZERO, guess),
        }
    }

    /// Pairs that are equal once both sides are rounded, half to even.
    fn rounded(&self, found: &Match, places: usize) -> usize {
        let (r, w) = found.columns;
        let rounded = |cell: &Cell| {
            let number = cell.number.as_ref()?.to_big();
            Some(number.with_scale_round(places as i64, RoundingMode::HalfEven))
        };
        let equal = |pair: &&Pair| {
            let value = rounded(self.rest.records[pair.rest].cell(r));
            value.is_some() && pair.ws.iter().any(|&m| rounded(self.ws.records[m].cell(w)) == value)
        };
        self.pairs.iter().filter(equal).count()
    }

    /// REST's word for each word of the WebSocket, where each always stands for one other: two at least, so that
    /// it is a language and not one disagreement.
    fn words_for(&self, found: &Match) -> Vec<(String, String)> {
        let (r, w) = found.columns;
        let word = |table: &Table, record: usize, column: usize| -> Option<String> {
            let cell = table.records[record].cell(column);
            (cell.kind == Kind::Text).then(|| cell.text.clone())
        };
        // Which message an answer goes with is not sure, so the one before it votes.
        let mut votes: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for pair in self.pairs {
            let before = |&&m: &&usize| self.ws.records[m].at <= self.rest.records[pair.rest].at;
            let Some(&message) = pair.ws.iter().rev().find(before).or(pair.ws.first()) else { continue };
            if let Some((value, said)) = word(self.rest, pair.rest, r).zip(word(self.ws, message, w)) {
                *votes.entry(said).or_default().entry(value).or_default() += 1;
            }
        }
        let mut meant: BTreeMap<&str, &str> = BTreeMap::new();
        for (said, values) in &votes {
            let Some((value, most)) = values.iter().max_by_key(|(_, count)| **count) else { continue };
            // A few may be ahead or behind.
            if most * 3 < values.values().sum::<usize>() * 2 {
                return Vec::new();
            }
            meant.insert(said, value);
        }
        let different: BTreeSet<_> = meant.values().collect();
        let explains = |pair: &&Pair| {
            let value = word(self.rest, pair.rest, r);
            let said = pair.ws.iter().filter_map(|&m| word(self.ws, m, w));
            let mut in_rests = said.map(|said| meant.get(said.as_str()).copied());
            value.is_none_or(|value| in_rests.any(|word| word == Some(value.as_str())))
        };
        let changed: Vec<_> = meant.iter().filter(|(said, word)| said != word).collect();
        let is_language = different.len() == meant.len() && changed.len() >= 2;
        let explained = self.pairs.iter().filter(explains).count();
        match is_language && explained * 20 >= self.pairs.len() * 19 {
            true => changed.into_iter().map(|(said, word)| (said.to_string(), word.to_string())).collect(),
            false => Vec::new(),
        }
    }

    fn instants(&self, found: &Match, guess: &mut Guess) {
        let (r, w) = found.columns;
        let apart = |pair: &Pair| {
            let value = self.rest.records[pair.rest].cell(r).instant?;
            let said = pair.ws.iter().filter_map(|&m| self.ws.records[m].cell(w).instant);
            said.map(|instant| instant.since(value).abs()).min()
        };
        let apart: Vec<_> = self.pairs.iter().filter_map(apart).collect();
        let equal = apart.iter().filter(|span| span.0 == 0).count();
        let most = apart.iter().max().copied().unwrap_or_default();
        self.counted(found, &Number::ZERO, guess);
        if most.0 > 0 && most <= super::cell::SAME_INSTANT {
            guess.tolerance = Some("1ms".into());
            guess.evidence += " to the millisecond";
        } else if equal * 2 < apart.len() {
            guess.compare = false;
            guess.unsure = true;
            guess.evidence = format!(
                "differs in {} of {} pairs, by up to {most}: each side's own stamp, not compared",
                apart.len() - equal,
                apart.len()
            );
        }
    }

    /// Says how a name that is not the same came to be paired.
    fn renamed(&self, found: &Match, guess: &mut Guess) {
        if found.affinity >= 4 {
            return;
        }
        let values = match found.distinct {
            1 => {
                guess.unsure = true;
                "but with one value only"
            }
            2 => {
                guess.unsure |= found.affinity < 2;
                "with 2 values"
            }
            _ => "with several values",
        };
        guess.evidence += &format!("; renamed, {values}");
        if !found.also.is_empty() {
            guess.unsure = true;
            guess.evidence += &format!(", would fit as well: {}", found.also.join(", "));
        }
    }

    /// What a number did from snapshot to snapshot of one bucket, on both sides together.
    pub fn forming(&self, found: &Match, time: Columns) -> Option<&'static str> {
        let (mut steps, mut up, mut down) = (0, 0, 0);
        for (table, column, time, rest_side) in
            [(self.rest, found.columns.0, time.0, true), (self.ws, found.columns.1, time.1, false)]
        {
            let mut last: BTreeMap<(Vec<String>, i64), usize> = BTreeMap::new();
            for (i, record) in table.records.iter().enumerate() {
                let Some(bucket) = record.cell(time).instant else { continue };
                let own = |c: &Columns| if rest_side { c.0 } else { c.1 };
                let name = key_of(table, i, self.key.iter().map(own));
                let Some(before) = last.insert((name, bucket.0), i).map(|i| &table.records[i]) else {
                    continue;
                };
                let moved = (0..table.columns.len()).any(|c| before.cell(c).text != record.cell(c).text);
                let (Some(a), Some(b)) = (&before.cell(column).number, &record.cell(column).number) else {
                    continue;
                };
                steps += usize::from(moved);
                up += usize::from(b > a);
                down += usize::from(b < a);
            }
        }
        let name = words(self.rest.columns[found.columns.0].name()).concat();
        let called = |names: &[&str]| names.contains(&name.as_str());
        // By behaviour alone it takes many steps; a name that says so makes few enough.
        let enough = |named: bool| if named { 3 } else { 20 };
        match (up, down) {
            (0, 0) if steps >= enough(called(&["open", "o"])) => Some("fixed"),
            (1.., 0) if up >= enough(called(&["high", "h", "volume", "v", "vol"])) => Some("grows"),
            (0, 1..) if down >= enough(called(&["low", "l"])) => Some("shrinks"),
            _ => None,
        }
    }
}

/// Fewer pairs than this prove little.
pub const FEW: usize = 5;

/// A word such as states are called by.
pub fn is_word(text: &str) -> bool {
    text.len() <= 24
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}
