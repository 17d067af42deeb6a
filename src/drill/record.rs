//! Strikes on one record: a value in another form, the record out of its frame, the record alone.
//! Works along the compiled plan, so that it fits every contract.

use super::stage::{Body, Side, Sight, Stage};
use super::tape::Edits;
use super::text::{children, find, replaced, span, with_comma, without_member};
use crate::contract::{Field, FieldType, Source};
use crate::engine::compare::{Rule, key_text, label};
use crate::engine::content::Content;
use crate::engine::plan::{Column, ColumnSource};
use crate::model::json::{Kind, Slot};

/// A field of the record, or of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    pub in_row: bool,
    pub column: Column,
}

impl Stage {
    /// All declared fields.
    pub fn cells(&self) -> Vec<Cell> {
        let record = (0..self.rules.columns.len()).map(|column| Cell { in_row: false, column });
        let rows = (0..self.rules.row_columns.len()).map(|column| Cell { in_row: true, column });
        record.chain(rows).collect()
    }

    pub fn field(&self, cell: Cell) -> &Field {
        match (&self.feature().rows, cell.in_row) {
            (Some(rows), true) => &rows.fields[cell.column],
            _ => &self.feature().fields[cell.column],
        }
    }

    pub fn rule(&self, cell: Cell) -> &Rule {
        if cell.in_row { &self.rules.row_columns[cell.column] } else { &self.rules.columns[cell.column] }
    }

    /// Whether the field serves to align: the key, a row's key, the event time.
    pub fn aligns(&self, cell: Cell) -> bool {
        let (feature, name) = (self.feature(), &self.field(cell).name);
        match (&feature.rows, cell.in_row) {
            (Some(rows), true) => rows.key.contains(name),
            _ => feature.key.contains(name) || feature.time.as_deref() == Some(name),
        }
    }

    /// Why the field cannot be struck in a message; `None` where it can.
    pub fn untouchable(&self, cell: Cell) -> Option<String> {
        let field = self.field(cell);
        if !(field.reshape_rest.is_none() && field.reshape_ws.is_none()) {
            return Some(
                "the contract writes it anew; what a message would have to say is not told backwards".into(),
            );
        }
        let columns =
            if cell.in_row { &self.side(Side::Ws).row_columns } else { &self.side(Side::Ws).columns };
        match &columns[cell.column] {
            ColumnSource::Constant(text) => {
                Some(format!("the contract sets it to {text}; no message says it"))
            }
            ColumnSource::Absent => Some("`ws = false`: no message carries it".into()),
            ColumnSource::Param(_) => Some("it is the request's parameter; no message says it".into()),
            ColumnSource::Shared(earlier) => {
                let named = self.field(Cell { column: *earlier, ..cell });
                Some(format!("it stands where {} stands, and is struck with it", named.name))
            }
            ColumnSource::Index if self.side(Side::Ws).tree.is_some() => {
                Some("it is the path of a leaf, which no message says in one piece".into())
            }
            ColumnSource::Walked | ColumnSource::Root(_) | ColumnSource::Above | ColumnSource::Index => None,
        }
    }

    /// Why the two sides' values are not compared; `None` where they are.
    pub fn uncompared(&self, cell: Cell) -> Option<String> {
        let field = self.field(cell);
        match () {
            () if self.rule(cell).compared => None,
            () if !field.compare => Some("`compare = false`".into()),
            () if field.rest == Source::Absent => {
                Some("`rest = false`: there is nothing to hold it against".into())
            }
            () => Some("it serves to align and is not compared".into()),
        }
    }

    /// `symbol=AAPL` of a row.
    pub fn row_label(&self, content: &Content, row: usize) -> String {
        label(self.rules.row_key.iter().map(|&column| {
            let rule = &self.rules.row_columns[column];
            (rule.name.as_str(), key_text(rule, content.cell(Some(row), column).1))
        }))
    }

    pub fn row_of(&self, content: &Content, label: &str) -> Option<usize> {
        (0..content.rows()).find(|row| self.row_label(content, *row) == label)
    }

    /// A value of a record as received; of the row with this label.
    pub fn raw(&self, sight: &Sight, cell: Cell, row: &str) -> Option<(Kind, String)> {
        let content = self.content(sight)?;
        let row = if cell.in_row { Some(self.row_of(&content, row)?) } else { None };
        let (kind, raw) = content.cell(row, cell.column);
        Some((kind, raw.to_string()))
    }

    /// Puts another text in a value's place; whether that changed anything.
    pub fn set(&self, edits: &mut Edits<'_>, sight: &Sight, cell: Cell, row: &str, raw: &str) -> bool {
        self.strike(edits, sight, |_, body| {
            let slot = self.slot(body, sight, cell, row)?;
            // A member's name is always text.
            let name = body.plan.index == Some(cell.column) && !cell.in_row && !raw.starts_with('"');
            let raw = if name { format!("\"{raw}\"") } else { raw.to_string() };
            Some(replaced(body.text, span(slot), &raw))
        })
    }

    /// Takes a member out; whether there was one.
    pub fn unset(&self, edits: &mut Edits<'_>, sight: &Sight, cell: Cell, row: &str) -> bool {
        self.strike(edits, sight, |_, body| {
            without_member(body.text, span(self.slot(body, sight, cell, row)?))
        })
    }

    fn slot(&self, body: &Body<'_>, sight: &Sight, cell: Cell, row: &str) -> Option<Slot> {
        let row = match cell.in_row {
            true => Some(self.row_of(&body.content(sight.record, &[]), row)?),
            false => None,
        };
        body.cell(sight.record, row, cell.column)
    }

    /// Rewrites the body that a sight stands in; whether that changed anything.
    pub fn strike(
        &self,
        edits: &mut Edits<'_>,
        sight: &Sight,
        edit: impl FnOnce(Side, &Body<'_>) -> Option<String>,
    ) -> bool {
        let Some(text) = edits.text(sight.body).map(str::to_string) else { return false };
        let Some((side, body)) = self.body(sight.body, &text) else { return false };
        match edit(side, &body) {
            Some(changed) if changed != text => {
                edits.rewrite(sight.body, changed);
                true
            }
            _ => false,
        }
    }

    /// Where a record's rows stand in a body, one by one.
    pub fn row_slots(&self, side: Side, body: &Body<'_>, record: usize) -> Vec<Slot> {
        let Some(rows) = &self.feature().rows else { return Vec::new() };
        let at = if side == Side::Rest { &rows.at_rest } else { &rows.at_ws };
        let list = body.record(record).and_then(|slot| find(body.text, slot, at));
        let rows = list.map(|list| children(body.text, list)).unwrap_or_default();
        rows.into_iter().map(|child| child.value).filter(|slot| slot.kind == Kind::Object).collect()
    }

    /// Where the records stand in a body.
    fn container(&self, side: Side, text: &str) -> Option<Slot> {
        let feature = self.feature();
        let at = if side == Side::Rest { &feature.rest.records } else { &feature.ws.records };
        if at.tree.is_some() || at.at.0.iter().any(|step| step == "*") {
            return None;
        }
        find(text, whole(text), &at.at.0)
    }

    /// A frame like the one it stands in, with this record alone.
    pub fn alone(&self, side: Side, body: &Body<'_>, record: usize) -> Option<String> {
        let raw = body.record(record)?.raw(body.text);
        let list = self.container(side, body.text)?;
        let inner = match (list.kind, body.plan.index) {
            (Kind::Array, _) => format!("[{raw}]"),
            (Kind::Object, Some(_)) => {
                format!("{{{}:{raw}}}", body.name(record)?.raw(body.text))
            }
            _ => return Some(body.text.to_string()),
        };
        Some(replaced(body.text, span(list), &inner))
    }

    /// The message of this record alone.
    pub fn message(&self, edits: &Edits<'_>, sight: &Sight) -> Option<String> {
        let text = edits.text(sight.body)?;
        let (side, body) = self.body(sight.body, text)?;
        self.alone(side, &body, sight.record)
    }

    /// Takes a record out of its frame (and the frame, where it was the only one). Of several records
    /// of one frame take the last one first.
    pub fn take(&self, edits: &mut Edits<'_>, sight: &Sight) -> bool {
        let Some(text) = edits.text(sight.body).map(str::to_string) else { return false };
        let Some((_, body)) = self.body(sight.body, &text) else { return false };
        let Some(raw) = body.record(sight.record) else { return false };
        if body.records == 1 {
            edits.remove(sight.body);
            return true;
        }
        let less = match body.plan.index {
            Some(_) => without_member(&text, span(raw)),
            None => Some(replaced(&text, with_comma(&text, span(raw)), "")),
        };
        less.map(|less| edits.rewrite(sight.body, less)).is_some()
    }

    /// Puts a record's text in another one's place.
    pub fn put(&self, edits: &mut Edits<'_>, sight: &Sight, record: &str) -> bool {
        self.strike(edits, sight, |_, body| {
            Some(replaced(body.text, span(body.record(sight.record)?), record))
        })
    }

    pub fn null_records(&self, edits: &mut Edits<'_>, sight: &Sight) -> bool {
        self.strike(edits, sight, |side, body| {
            let list = self.container(side, body.text)?;
            (list.start > 0).then(|| replaced(body.text, span(list), "null"))
        })
    }

    /// The record as it was received.
    pub fn record_text(&self, sight: &Sight) -> Option<String> {
        self.content(sight).map(|content| content.record().to_string())
    }
}

pub fn whole(text: &str) -> Slot {
    let body = text.trim();
    let start = text.len() - text.trim_start().len();
    let kind = if body.starts_with('{') { Kind::Object } else { Kind::Array };
    Slot { start: start as u32, len: body.len() as u32, kind }
}

/// JSON that no reading of the type accepts.
pub fn unreadable(kind: FieldType) -> &'static str {
    match kind {
        FieldType::String | FieldType::Enum => "[17]",
        _ => "\"n/a\"",
    }
}

/// A key's value that nobody has; `None` where the type has no such.
pub fn strange_key(kind: FieldType, raw: &str) -> Option<String> {
    let quoted = raw.starts_with('"');
    match kind {
        FieldType::Integer | FieldType::Decimal if quoted => Some("\"987654321987\"".into()),
        FieldType::Integer | FieldType::Decimal => Some("987654321987".into()),
        FieldType::String => Some("\"CUTOVER-DRILL\"".into()),
        _ => None,
    }
}
