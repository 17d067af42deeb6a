//! One record as it is kept: its text and where its columns stand in it. Read once, then shared: whoever keeps
//! a record keeps the same memory.

use super::extract::Extraction;
use super::plan::{Column, ColumnSource, SidePlan};
use super::reshape::reshaped;
use crate::contract::{Only, Reshape};
use crate::model::json::{Kind, Slot};
use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

/// Memory of records that nobody keeps any more, for those that come.
#[derive(Debug, Default, Clone)]
pub struct Spare(Vec<Content>);

impl Spare {
    /// Records come and go one by one, but for the ends of sessions.
    const MOST: usize = 64;

    /// Takes over a record's memory, unless somebody else keeps the record.
    pub fn give(&mut self, mut content: Content) {
        if self.0.len() < Spare::MOST && Arc::get_mut(&mut content.0).is_some() {
            self.0.push(content);
        }
    }

    fn take(&mut self) -> Content {
        self.0.pop().unwrap_or_default()
    }
}

/// A record cut out of a body, with what came from outside it appended. Cloning it copies nothing.
#[derive(Debug, Default, Clone)]
pub struct Content(Arc<Record>);

#[derive(Debug, Default)]
pub struct Record {
    text: String,
    /// The columns, then the rows' columns row by row.
    slots: Vec<Slot>,
    columns: u32,
    row_columns: u32,
    record_len: u32,
    pub rows_kind: Kind,
}

impl Deref for Content {
    type Target = Record;
    fn deref(&self) -> &Record {
        &self.0
    }
}

impl Content {
    /// The `index`-th record of an extraction from `body`.
    pub fn of(
        plan: &SidePlan,
        extraction: &Extraction,
        index: usize,
        body: &str,
        params: &[(String, String)],
    ) -> Content {
        let mut record = Record::default();
        record.fill(plan, extraction, index, body, params);
        Content(Arc::new(record))
    }

    /// Takes the `index`-th record of an extraction, into the memory that is there unless somebody keeps it; else
    /// into spare memory.
    pub fn fill(
        &mut self,
        plan: &SidePlan,
        extraction: &Extraction,
        index: usize,
        (body, params): (&str, &[(String, String)]),
        spare: &mut Spare,
    ) {
        if Arc::get_mut(&mut self.0).is_none() {
            *self = spare.take();
        }
        // Nobody else has it now.
        if let Some(record) = Arc::get_mut(&mut self.0) {
            record.fill(plan, extraction, index, body, params);
        }
    }

    /// What a patch makes of the record before: what it leaves out is as it was. Its text is put together under the
    /// columns' names.
    pub fn onto(&self, before: &Content, names: &[&str]) -> Content {
        let (new, old) = (&*self.0, &*before.0);
        let mut record = Record { columns: new.columns, row_columns: new.row_columns, ..Record::default() };
        record.text.push('{');
        for (column, name) in names.iter().enumerate() {
            let from = if new.kind(column) == Kind::Absent { old } else { new };
            let slot = from.slot(column);
            if slot.kind == Kind::Absent {
                record.slots.push(Slot::default());
                continue;
            }
            if record.text.len() > 1 {
                record.text.push(',');
            }
            record.text.push_str(&crate::model::text::as_json_string(name));
            record.text.push(':');
            let start = record.text.len() as u32;
            // Of what is no value only the kind is kept.
            record.text.push_str(match slot.kind {
                Kind::Object => "{}",
                Kind::Array => "[]",
                _ => from.raw(column),
            });
            let len = record.text.len() as u32 - start;
            record.slots.push(Slot { start, len, kind: slot.kind });
        }
        record.text.push('}');
        record.record_len = record.text.len() as u32;
        let from = if new.rows_kind == Kind::Absent { old } else { new };
        record.rows_kind = from.rows_kind;
        for slot in &from.slots[from.columns as usize..] {
            let start = record.text.len() as u32;
            record.text.push_str(slot.raw(&from.text));
            record.slots.push(Slot { start, ..*slot });
        }
        Content(Arc::new(record))
    }

    /// Byte for byte the same, with what came from outside the record.
    pub fn same_text(&self, other: &Content) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.text == other.text
    }
}

impl Record {
    /// The same text, whatever stands in some columns of either.
    pub fn same_text_but(&self, other: &Record, columns: &[Column]) -> bool {
        if columns.is_empty() {
            return self.text == other.text;
        }
        self.without(columns) == other.without(columns)
    }

    /// The text in pieces around some columns' values.
    fn without(&self, columns: &[Column]) -> Vec<&str> {
        let mut cut: Vec<Slot> = columns.iter().map(|&column| self.slots[column]).collect();
        cut.retain(|slot| slot.len > 0);
        cut.sort_unstable_by_key(|slot| slot.start);
        let mut from = 0;
        let mut pieces = Vec::with_capacity(cut.len() + 1);
        for slot in cut {
            pieces.push(self.text.get(from..slot.start as usize).unwrap_or_default());
            from = (slot.start + slot.len) as usize;
        }
        pieces.push(&self.text[from..]);
        pieces
    }

    fn fill(
        &mut self,
        plan: &SidePlan,
        extraction: &Extraction,
        index: usize,
        body: &str,
        params: &[(String, String)],
    ) {
        let record = extraction.record(index);
        self.text.clear();
        // Not much more than is needed, in what may be kept for long.
        if self.text.capacity() / 2 > record.raw.len as usize {
            self.text = String::new();
        }
        self.text.reserve_exact(record.raw.len as usize);
        self.text.push_str(record.raw.raw(body));
        self.record_len = record.raw.len;
        self.columns = plan.columns.len() as u32;
        self.row_columns = plan.row_columns.len() as u32;
        self.rows_kind = record.rows_kind;
        self.slots.clear();
        let columns = extraction.columns(record, plan);
        let slots = columns.len() + extraction.rows(record).len();
        if self.slots.capacity() / 2 > slots {
            self.slots = Vec::new();
        }
        self.slots.reserve_exact(slots);
        if plan.outside {
            for (source, slot) in plan.columns.iter().zip(columns) {
                let slot = match source {
                    ColumnSource::Walked => *slot,
                    ColumnSource::Shared(earlier) => self.slots[*earlier],
                    ColumnSource::Root(root) => self.append(extraction.root(record, *root), body),
                    ColumnSource::Above => self.append(*slot, body),
                    ColumnSource::Index => match extraction.name(record, plan, body) {
                        "" => Slot::default(),
                        name => self.append_raw(name),
                    },
                    ColumnSource::Param(name) => match params.iter().find(|(n, _)| n == name) {
                        Some((_, raw)) => self.append_raw(raw),
                        None => Slot::default(),
                    },
                    ColumnSource::Constant(raw) => self.append_raw(raw),
                    ColumnSource::Absent => Slot::default(),
                };
                self.slots.push(slot);
            }
        } else {
            self.slots.extend_from_slice(columns);
        }
        for (column, reshape) in &plan.reshaped {
            self.reshape(*column, reshape);
        }
        if self.row_columns == 0 {
            return;
        }
        for row in extraction.rows(record).chunks_exact(plan.row_columns.len()) {
            let row_start = self.slots.len();
            for (source, slot) in plan.row_columns.iter().zip(row) {
                let slot = match source {
                    ColumnSource::Constant(raw) => self.append_raw(raw),
                    ColumnSource::Shared(earlier) => self.slots[row_start + earlier],
                    _ => *slot,
                };
                self.slots.push(slot);
            }
            for (column, reshape) in &plan.row_reshaped {
                self.reshape(row_start + column, reshape);
            }
        }
    }

    /// Writes the value in a slot anew, behind the record.
    fn reshape(&mut self, place: usize, reshape: &Reshape) {
        let slot = self.slots[place];
        if let Some(raw) = reshaped(reshape, slot.kind, slot.raw(&self.text)) {
            self.slots[place] = self.append_raw(&raw);
        }
    }

    /// Whether the contract wants this record judged at all.
    pub fn in_scope(&self, plan: &SidePlan) -> bool {
        let says = |only: &Only| {
            let scalar = self.scalar(only.column);
            only.values.iter().any(|value| **value == *scalar)
        };
        plan.only.iter().all(says)
    }

    fn append(&mut self, slot: Slot, body: &str) -> Slot {
        match slot.kind {
            Kind::Absent => Slot::default(),
            // Not a value to compare: its kind says so, its text is not kept.
            Kind::Object | Kind::Array => Slot { start: 0, len: 0, kind: slot.kind },
            kind => {
                let start = self.text.len() as u32;
                self.text.push_str(slot.raw(body));
                Slot { start, len: slot.len, kind }
            }
        }
    }

    fn append_raw(&mut self, raw: &str) -> Slot {
        let start = self.text.len() as u32;
        self.text.push_str(raw);
        let kind = match raw.as_bytes().first() {
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            Some(b'[') => Kind::Array,
            Some(b'{') => Kind::Object,
            _ => Kind::Number,
        };
        Slot { start, len: raw.len() as u32, kind }
    }

    /// The record as received.
    pub fn record(&self) -> &str {
        &self.text[..self.record_len as usize]
    }

    pub fn slot(&self, column: Column) -> Slot {
        self.slots[column]
    }
    pub fn kind(&self, column: Column) -> Kind {
        self.slots[column].kind
    }
    pub fn raw(&self, column: Column) -> &str {
        self.slots[column].raw(&self.text)
    }
    pub fn scalar(&self, column: Column) -> Cow<'_, str> {
        self.slots[column].scalar(&self.text)
    }

    pub fn rows(&self) -> usize {
        match self.row_columns {
            0 => 0,
            width => (self.slots.len() - self.columns as usize) / width as usize,
        }
    }
    fn row_slot(&self, row: usize, column: Column) -> Slot {
        self.slots[self.columns as usize + row * self.row_columns as usize + column]
    }
    /// A cell of the record (`row` none) or of one of its rows: its kind and its raw text.
    #[inline]
    pub fn cell(&self, row: Option<usize>, column: Column) -> (Kind, &str) {
        let slot = match row {
            None => self.slots[column],
            Some(row) => self.row_slot(row, column),
        };
        (slot.kind, slot.raw(&self.text))
    }
}
