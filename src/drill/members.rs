//! Mutants of the form of a message: members missing, null, unreadable or undeclared, rows too few or
//! too many, frames that cannot be read, types and keys that nobody knows.

use super::mutant::{Expect, Mutant, Place, Range};
use super::record::{Cell, strange_key, unreadable, whole};
use super::sizes::lacking;
use super::stage::{Side, Sight, Stage};
use super::tape::Edits;
use super::text::{find, member, replaced, span, with_comma, with_member, without_member};
use super::values::{a_row, place, sights_of};
use crate::contract::{FieldType, Source};
use crate::engine::plan::ColumnSource;
use crate::model::json::Kind;
use crate::model::{Class, Span};

/// Levels of nesting that are too many for any reader of ours.
const TOO_DEEP: usize = 200;
/// A member's name that no contract declares.
const STRANGE: &str = "cutover_drill";

pub fn add(range: &mut Range<'_>) {
    for cell in range.stage.cells() {
        broken_members(range, cell);
        bad_values(range, cell);
    }
    lists(range);
    rows(range);
    unreadable_frames(range);
    unexpected_fields(range);
    unknown_types(range);
    unknown_streams(range);
}

/// A message, struck by `edit`.
fn in_message(
    range: &mut Range<'_>,
    what: (Class, &str, &str),
    edit: impl Fn(&Stage, &mut Edits<'_>, &Sight) -> Option<String>,
    expect: &Expect,
) {
    let (class, field, size) = what;
    if !range.asks(class) {
        return;
    }
    for (s, i) in range.pick(&format!("{class} {field} {size}"), &range.messages()) {
        let sight = &range.stage.streams[s].ws[i];
        let mut edits = range.edits();
        if let Some(change) = edit(range.stage, &mut edits, sight) {
            let mutant = Mutant {
                class,
                field: field.into(),
                size: size.into(),
                change,
                place: range.place(s, sight),
                expect: expect.clone(),
                edits,
            };
            range.push(mutant);
        }
    }
}

fn broken_members(range: &mut Range<'_>, cell: Cell) {
    let stage = range.stage;
    let field = stage.field(cell);
    let name = field.name.clone();
    for class in [Class::MissingField, Class::NullField, Class::WrongType] {
        if let Some(why) = stage.untouchable(cell) {
            range.not(class, &name, why);
            continue;
        }
        let is_name = !cell.in_row && stage.side(Side::Ws).index == Some(cell.column);
        if is_name {
            range.not(class, &name, "it is the name of the record's member, so it is always there");
            continue;
        }
        let before = range.mutants.len();
        let nonsense = unreadable(stage.rule(cell).kind);
        let expect = lacking(class, field);
        for (s, i) in range.pick(&format!("{class} {name}"), &range.messages()) {
            let sight = &stage.streams[s].ws[i];
            let row = if cell.in_row { a_row(range, sight, &name) } else { Some(String::new()) };
            let Some(row) = row else { continue };
            let Some((_, raw)) = stage.raw(sight, cell, &row) else { continue };
            let mut edits = range.edits();
            let (changed, change) = match class {
                Class::MissingField => (stage.unset(&mut edits, sight, cell, &row), "left out".to_string()),
                Class::NullField => (stage.set(&mut edits, sight, cell, &row, "null"), "null".into()),
                _ => (stage.set(&mut edits, sight, cell, &row, nonsense), nonsense.to_string()),
            };
            if changed {
                let mutant = Mutant {
                    class,
                    field: name.clone(),
                    size: "in one message".into(),
                    change: if class == Class::MissingField {
                        format!("{raw} {change}")
                    } else {
                        format!("{raw} sent as {change}")
                    },
                    place: Place { row, ..range.place(s, sight) },
                    expect: expect.clone(),
                    edits,
                };
                range.push(mutant);
            }
        }
        if range.mutants.len() == before {
            range.not(class, &name, "no message of the slice has it");
        }
    }
}

fn bad_values(range: &mut Range<'_>, cell: Cell) {
    let stage = range.stage;
    if stage.rule(cell).kind != FieldType::Enum || stage.untouchable(cell).is_some() {
        return;
    }
    let name = stage.field(cell).name.clone();
    for (s, i) in range.pick(&format!("bad {name}"), &range.messages()) {
        let sight = &stage.streams[s].ws[i];
        let row = if cell.in_row { a_row(range, sight, &name) } else { Some(String::new()) };
        let Some(row) = row else { continue };
        let Some((_, raw)) = stage.raw(sight, cell, &row) else { continue };
        let mut edits = range.edits();
        stage.set(&mut edits, sight, cell, &row, "\"CUTOVER-DRILL\"");
        let mutant = Mutant {
            class: Class::BadValue,
            field: name.clone(),
            size: "outside `values`".into(),
            change: format!("{raw} sent as \"CUTOVER-DRILL\""),
            place: Place { row, ..range.place(s, sight) },
            expect: Expect::Seen,
            edits,
        };
        range.push(mutant);
    }
}

/// The whole list of rows missing.
fn lists(range: &mut Range<'_>) {
    let Some(rows) = range.stage.feature().rows.as_ref() else { return };
    let path = rows.at_ws.clone();
    let edit = move |stage: &Stage, edits: &mut Edits<'_>, sight: &Sight| {
        let changed = stage.strike(edits, sight, |_, body| {
            let list = find(body.text, body.record(sight.record)?, &path)?;
            without_member(body.text, span(list))
        });
        changed.then(|| "the list of rows left out".to_string())
    };
    let at = rows.at_ws.join("/");
    in_message(range, (Class::MissingField, &at, "the whole list"), edit, &Expect::Seen);
}

fn rows(range: &mut Range<'_>) {
    let stage = range.stage;
    for class in [Class::MissingRow, Class::ExtraRow] {
        if stage.feature().rows.is_none() {
            range.not(class, "", "its records have no rows");
            continue;
        }
        let before = range.mutants.len();
        for target in range.pick(class.name(), &range.targets) {
            let stream = range.stream(&target);
            let Some(row) = target.ws.last().and_then(|i| a_row(range, &stream.ws[*i], class.name())) else {
                continue;
            };
            let mut edits = range.edits();
            for sight in sights_of(stage, stream, &target) {
                match class {
                    Class::MissingRow => drop_row(stage, &mut edits, sight, &row),
                    _ => add_row(stage, &mut edits, sight, &row),
                };
            }
            let mutant = Mutant {
                class,
                field: String::new(),
                size: "one row".into(),
                change: match class {
                    Class::MissingRow => format!("row {row} left out"),
                    _ => format!("row {row} sent once more under a key of its own"),
                },
                place: place(range, &target, if class == Class::MissingRow { &row } else { "" }),
                expect: Expect::Seen,
                edits,
            };
            range.push(mutant);
        }
        if range.mutants.len() == before {
            range.not(class, "", "no pair of the slice has a row that can be struck");
        }
    }
}

fn drop_row(stage: &Stage, edits: &mut Edits<'_>, sight: &Sight, row: &str) -> bool {
    stage.strike(edits, sight, |side, body| {
        let number = stage.row_of(&body.content(sight.record, &[]), row)?;
        let slot = *stage.row_slots(side, body, sight.record).get(number)?;
        Some(replaced(body.text, with_comma(body.text, span(slot)), ""))
    })
}

fn add_row(stage: &Stage, edits: &mut Edits<'_>, sight: &Sight, row: &str) -> bool {
    stage.strike(edits, sight, |side, body| {
        let number = stage.row_of(&body.content(sight.record, &[]), row)?;
        let slot = *stage.row_slots(side, body, sight.record).get(number)?;
        let (column, key) = stage.rules.row_key.iter().find_map(|&column| {
            let key = body.cell(sight.record, Some(number), column)?;
            Some((column, strange_key(stage.rules.row_columns[column].kind, key.raw(body.text))?))
        })?;
        let cell = body.cell(sight.record, Some(number), column)?;
        let copy = replaced(
            slot.raw(body.text),
            (cell.start - slot.start) as usize..(cell.start - slot.start + cell.len) as usize,
            &key,
        );
        let end = span(slot).end;
        Some(replaced(body.text, end..end, &format!(",{copy}")))
    })
}

fn unreadable_frames(range: &mut Range<'_>) {
    let class = Class::Malformed;
    let twice = |stage: &Stage, edits: &mut Edits<'_>, sight: &Sight| {
        stage
            .strike(edits, sight, |side, body| {
                let columns = &stage.side(side).columns;
                let walked = (0..columns.len()).filter(|c| columns[*c] == ColumnSource::Walked);
                let cell = walked.filter_map(|c| body.cell(sight.record, None, c)).next()?;
                let member = member(body.text, span(cell))?;
                let again = format!("{},", &body.text[member.clone()]);
                Some(replaced(body.text, member.start..member.start, &again))
            })
            .then(|| "a member sent twice".to_string())
    };
    in_message(range, (class, "", "a member twice"), twice, &Expect::Seen);
    let cut = |_: &Stage, edits: &mut Edits<'_>, sight: &Sight| {
        let text = edits.text(sight.body)?;
        let half = (text.len() / 2..text.len()).find(|i| text.is_char_boundary(*i))?;
        let half = text[..half].to_string();
        edits.spoil(sight.body, half);
        Some("the frame cut in half".to_string())
    };
    in_message(range, (class, "", "cut in half"), cut, &Expect::Seen);
    let none = |stage: &Stage, edits: &mut Edits<'_>, sight: &Sight| {
        stage.null_records(edits, sight).then(|| "null where the records stand".to_string())
    };
    in_message(range, (class, "", "no records"), none, &Expect::Seen);
    let deep = |stage: &Stage, edits: &mut Edits<'_>, sight: &Sight| {
        let nest = format!("\"{STRANGE}\":{}{}", "[".repeat(TOO_DEEP), "]".repeat(TOO_DEEP));
        stage
            .strike(edits, sight, |_, body| {
                Some(with_member(body.text, span(body.record(sight.record)?), &nest))
            })
            .then(|| format!("nested {TOO_DEEP} levels deep"))
    };
    in_message(range, (class, "", "nested too deep"), deep, &Expect::Seen);
}

fn unexpected_fields(range: &mut Range<'_>) {
    let edit = |stage: &Stage, edits: &mut Edits<'_>, sight: &Sight| {
        stage
            .strike(edits, sight, |_, body| {
                let member = format!("\"{STRANGE}\":1");
                Some(with_member(body.text, span(body.record(sight.record)?), &member))
            })
            .then(|| format!("a member `{STRANGE}` more"))
    };
    in_message(range, (Class::UnexpectedField, "", "one member"), edit, &Expect::Seen);
}

fn unknown_types(range: &mut Range<'_>) {
    let edit = |stage: &Stage, edits: &mut Edits<'_>, sight: &Sight| {
        let text = edits.text(sight.body)?;
        let at = &stage.contract.ws.type_at.0;
        let kind = find(text, whole(text), at).filter(|slot| slot.kind != Kind::Absent)?;
        let other = replaced(text, span(kind), "\"cutover-drill\"");
        edits.send(sight.body, sight.at + Span::from_millis(1), other);
        Some("another frame with a type that nobody declares".to_string())
    };
    in_message(range, (Class::UnknownType, "", "one frame"), edit, &Expect::Seen);
}

fn unknown_streams(range: &mut Range<'_>) {
    let stage = range.stage;
    let keyed: Option<Cell> = stage
        .cells()
        .into_iter()
        .filter(|c| !c.in_row && stage.feature().key.contains(&stage.field(*c).name))
        .filter(|c| !matches!(stage.field(*c).ws, Source::Root(_)) && stage.untouchable(*c).is_none())
        .find(|c| strange_key(stage.rule(*c).kind, "1").is_some());
    let Some(cell) = keyed else {
        return range.not(Class::UnknownStream, "", "no key field that a message says can be made up");
    };
    let edit = move |stage: &Stage, edits: &mut Edits<'_>, sight: &Sight| {
        let alone = stage.message(edits, sight)?;
        let (_, body) = stage.body(sight.body, &alone)?;
        let slot = body.cell(0, None, cell.column)?;
        let key = strange_key(stage.rule(cell).kind, slot.raw(&alone))?;
        let name = body.plan.index == Some(cell.column) && !key.starts_with('"');
        let key = if name { format!("\"{key}\"") } else { key };
        let other = replaced(&alone, span(slot), &key);
        edits.send(sight.body, sight.at + Span::from_millis(1), other);
        Some(format!("another record under the key {key}"))
    };
    in_message(range, (Class::UnknownStream, "", "one record"), edit, &Expect::Seen);
}
