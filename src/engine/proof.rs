//! What a feature's fields were seen to do: which compared fields changed in pairs that match, and an enum
//! in which ways. A field that never changes proves nothing about the comparison of it.
//! Judges no value; keeps one record per stream and side, no history.

use super::compare::{self, Rules};
use super::content::Content;
use crate::contract::{Feature, Field, FieldType};
use std::collections::BTreeSet;

/// From one value to another.
pub type Way = (String, String);

/// One compared field (of the record, or of its rows) that is not declared `static`.
#[derive(Debug, Clone)]
pub struct FieldProof {
    pub name: String,
    column: usize,
    in_rows: bool,
    enumerated: bool,
    /// Two matched pairs in a row of one stream held values that differ by more than the tolerance.
    pub changed: bool,
    /// Of an enum: the ways it changed on REST, and from one matched pair to the next.
    pub shown: BTreeSet<Way>,
    pub matched: BTreeSet<Way>,
}

impl FieldProof {
    /// Nothing that is still to come can add to it.
    fn is_settled(&self) -> bool {
        self.changed && !self.enumerated
    }
}

#[derive(Debug, Clone)]
pub struct Proof {
    pub fields: Vec<FieldProof>,
    enumerates: bool,
    /// By stream: the last message that matched, and what REST showed last.
    matched: Vec<Option<Content>>,
    shown: Vec<Option<Content>>,
}

impl Proof {
    pub fn new(feature: &Feature, rules: &Rules) -> Proof {
        let row_fields = feature.rows.as_ref().map(|rows| rows.fields.as_slice()).unwrap_or_default();
        let due = |in_rows: bool| {
            let (fields, columns): (&[Field], _) = match in_rows {
                false => (&feature.fields, &rules.columns),
                true => (row_fields, &rules.row_columns),
            };
            fields
                .iter()
                .zip(columns)
                .enumerate()
                .filter(|(_, (field, rule))| rule.compared && !field.is_static)
                .map(move |(column, (_, rule))| FieldProof {
                    name: if in_rows {
                        format!("{}/{}", rules.rows_at.0, rule.name)
                    } else {
                        rule.name.clone()
                    },
                    column,
                    in_rows,
                    enumerated: rule.kind == FieldType::Enum,
                    changed: false,
                    shown: BTreeSet::new(),
                    matched: BTreeSet::new(),
                })
        };
        let fields: Vec<FieldProof> = due(false).chain(due(true)).collect();
        Proof {
            enumerates: fields.iter().any(|f| f.enumerated),
            fields,
            matched: Vec::new(),
            shown: Vec::new(),
        }
    }

    /// A message of a stream equals what REST showed.
    pub fn pair_matched(&mut self, rules: &Rules, stream: u32, message: &Content) {
        if self.fields.iter().all(FieldProof::is_settled) {
            self.matched.clear();
            return;
        }
        let fields = &mut self.fields;
        follow(&mut self.matched, stream, message, |before| {
            changes(
                rules,
                fields,
                |field| !field.is_settled(),
                before,
                message,
                |field, way| {
                    field.changed = true;
                    if field.enumerated {
                        field.matched.insert(way());
                    }
                },
            );
        });
    }

    /// REST showed a record of a stream; only enums care.
    pub fn rest_showed(&mut self, rules: &Rules, stream: u32, record: &Content) {
        if !self.enumerates {
            return;
        }
        let fields = &mut self.fields;
        follow(&mut self.shown, stream, record, |before| {
            changes(
                rules,
                fields,
                |field| field.enumerated,
                before,
                record,
                |field, way| {
                    field.shown.insert(way());
                },
            );
        });
    }

    /// A run ended: what comes next follows nothing.
    pub fn end(&mut self) {
        self.matched.clear();
        self.shown.clear();
    }
}

/// Hands a stream's record before this one to `look`, and keeps this one.
fn follow(kept: &mut Vec<Option<Content>>, stream: u32, next: &Content, look: impl FnOnce(&Content)) {
    let stream = stream as usize;
    if kept.len() <= stream {
        kept.resize_with(stream + 1, || None);
    }
    match &mut kept[stream] {
        Some(before) if before.same_text(next) => {}
        Some(before) => {
            look(before);
            before.clone_from(next);
        }
        none => *none = Some(next.clone()),
    }
}

/// Tells each change of a field that is asked for; rows follow each other by key.
fn changes(
    rules: &Rules,
    fields: &mut [FieldProof],
    asked: impl Fn(&FieldProof) -> bool,
    before: &Content,
    after: &Content,
    mut tell: impl FnMut(&mut FieldProof, &dyn Fn() -> Way),
) {
    let mut rows = None;
    for field in fields.iter_mut().filter(|field| asked(field)) {
        let columns = if field.in_rows { &rules.row_columns } else { &rules.columns };
        let rule = &columns[field.column];
        let (column, in_rows) = (field.column, field.in_rows);
        let mut look = |places: Option<(usize, usize)>| {
            let (a, b) = (before.cell(places.map(|p| p.0), column), after.cell(places.map(|p| p.1), column));
            if compare::changed(rule, a, b) {
                tell(field, &|| (compare::shown(a.1), compare::shown(b.1)));
            }
        };
        if in_rows {
            let rows = rows.get_or_insert_with(|| compare::rows_by_key(rules, before, after));
            rows.iter().for_each(|&places| look(Some(places)));
        } else {
            look(None);
        }
    }
}
