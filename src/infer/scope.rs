//! Which records a side speaks of: those that say something (`only`), and all that there are (`mode = "snapshot"`).
//! Must not pair anything.

use super::cell::Kind;
use super::feature::{Field, Names, Only, aligning};
use super::fields::Matched;
use super::keys::{Columns, key_of};
use super::meaning::{Evidence, is_word};
use super::table::{Form, From, Shape, Table};
use super::write::quoted;
use crate::contract::FieldType;
use std::collections::{BTreeMap, BTreeSet};

type Key = Vec<String>;

fn keys(table: &Table, key: &[Columns], side: impl Fn(&Columns) -> usize) -> BTreeSet<Key> {
    (0..table.records.len()).map(|record| key_of(table, record, key.iter().map(&side))).collect()
}

/// A column of REST that alone has, of the streams that both sides show, one value that no other stream has. It is
/// a mark or a word that several share, and no field that both sides carry.
pub fn only(evidence: &Evidence<'_>, matched: &Matched, names: &mut Names) -> Option<(usize, Only, Field)> {
    let (rest, key) = (evidence.rest, evidence.key);
    let shown = keys(rest, key, |c| c.0);
    let said = keys(evidence.ws, key, |c| c.1);
    let told = shown.intersection(&said).count();
    if key.is_empty() || told == 0 || told == shown.len() {
        return None;
    }
    let mut found = matched.rest_only.iter().copied().filter_map(|column| {
        let From::Record(_) = &rest.columns[column] else { return None };
        let (mut inside, mut outside) = (BTreeSet::new(), BTreeSet::new());
        for (i, record) in rest.records.iter().enumerate() {
            let cell = record.cell(column);
            let is_told = said.contains(&key_of(rest, i, key.iter().map(|c| c.0)));
            if is_told { &mut inside } else { &mut outside }.insert((cell.kind, cell.text.as_str()));
        }
        let all = inside.len() + outside.len();
        let (&(kind, value), true) = (inside.first()?, inside.len() == 1) else { return None };
        let is_mark = match kind {
            Kind::Bool => true,
            Kind::Text => is_word(value) && all < shown.len(),
            _ => false,
        };
        (is_mark && outside.is_disjoint(&inside)).then(|| (kind, column, value.to_string()))
    });
    let (kind, column, value) = found.next()?;
    let source = rest.columns[column].source()?;
    let name = names.take(rest.columns[column].name());
    let word = match kind {
        Kind::Bool => value.clone(),
        _ => quoted(&value),
    };
    let mut guess = aligning();
    guess.kind = if kind == Kind::Bool { FieldType::Boolean } else { FieldType::String };
    guess.evidence = "for `only`".into();
    let only = Only {
        field: name.clone(),
        value: word,
        evidence: format!(
            "only is a guess: the WebSocket tells of {told} of REST's {} streams, and they alone have that",
            shown.len()
        ),
    };
    let rest = (source != name).then_some(source);
    Some((column, only, Field { name, rest, ws: None, lacks: Some("ws"), guess }))
}

/// Whether both sides' bodies hold all there is: what left one list left the other, and nothing else did.
pub fn whole(evidence: &Evidence<'_>, rest_shape: &Shape, ws_shape: &Shape) -> Option<String> {
    let is_list = |shape: &Shape| matches!(shape.form, Form::List | Form::Map);
    if !is_list(rest_shape) || !is_list(ws_shape) {
        return None;
    }
    let rest = left(evidence.rest, evidence.key, |c| c.0);
    let ws = left(evidence.ws, evidence.key, |c| c.1);
    (!rest.is_empty() && rest == ws).then(|| {
        format!("snapshot is a guess: {} of the streams left both lists, and no other left one", rest.len())
    })
}

/// What was in one body and not in the next that speaks of the same.
fn left(table: &Table, key: &[Columns], side: impl Fn(&Columns) -> usize) -> BTreeSet<Key> {
    // What stands around a list says what it is a list of.
    let around = |column: &usize| !matches!(table.columns[*column], From::Record(_) | From::Index);
    let of: Vec<usize> = key.iter().map(&side).filter(around).collect();
    let mut bodies: BTreeMap<(Key, usize), BTreeSet<Key>> = BTreeMap::new();
    for (i, record) in table.records.iter().enumerate() {
        let of = key_of(table, i, of.iter().copied());
        bodies.entry((of, record.group)).or_default().insert(key_of(table, i, key.iter().map(&side)));
    }
    let mut gone = BTreeSet::new();
    let mut before: Option<(&Key, &BTreeSet<Key>)> = None;
    for ((of, _), held) in &bodies {
        if let Some((_, known)) = before.filter(|(scope, _)| *scope == of) {
            gone.extend(known.difference(held).cloned());
        }
        before = Some((of, held));
    }
    gone
}
