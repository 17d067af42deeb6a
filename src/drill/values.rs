//! Mutants of values: each compared field made wrong by amounts around its tolerance, two fields
//! exchanged, the same value in another JSON type.

use super::mutant::{Expect, Mutant, Place, Range, Target};
use super::record::Cell;
use super::sizes::{Setting, Wrong, number, other_type, wrongs};
use super::stage::{Sight, Stage, StreamSights};
use crate::contract::{Align, FieldType};
use crate::model::json::Kind;
use crate::model::{Class, Span, Timestamp};
use bigdecimal::Zero;

pub fn add(range: &mut Range<'_>) {
    for cell in range.stage.cells() {
        mismatches(range, cell);
        other_types(range, cell);
    }
    swaps(range);
}

/// One value in one record, with what REST says in its place.
struct Struck {
    target: Target,
    row: String,
    rest: String,
    ws: String,
}

fn targets_of(range: &Range<'_>, cell: Cell, purpose: &str) -> Vec<Struck> {
    let stage = range.stage;
    let name = &stage.field(cell).name;
    let targets = range.pick(&format!("{purpose} {name}"), &range.targets);
    targets.into_iter().filter_map(|target| struck(range, target, cell, name)).collect()
}

fn struck(range: &Range<'_>, target: Target, cell: Cell, purpose: &str) -> Option<Struck> {
    let (stage, stream) = (range.stage, range.stream(&target));
    let ws_sight = &stream.ws[*target.ws.last()?];
    let row = match cell.in_row {
        true => a_row(range, ws_sight, purpose)?,
        false => String::new(),
    };
    let rest = match stage.feature().align {
        // The last snapshot of a bucket is the one that counts.
        Align::Bucket => target.rest.last()?,
        _ => target.rest.first()?,
    };
    let (ws_kind, ws) = stage.raw(ws_sight, cell, &row)?;
    // What is not compared need not stand on REST.
    let rest = match stage.uncompared(cell) {
        None => stage.raw(&stream.rest[*rest], cell, &row),
        Some(_) => Some((ws_kind, ws.clone())),
    };
    let (rest_kind, rest) = rest?;
    let scalar = |kind| matches!(kind, Kind::Bool | Kind::Number | Kind::String);
    (scalar(ws_kind) && scalar(rest_kind)).then_some(Struck { target, row, rest, ws })
}

/// One row of a record, by its label.
pub fn a_row(range: &Range<'_>, sight: &Sight, purpose: &str) -> Option<String> {
    let content = range.stage.content(sight)?;
    let row = range.draw(&format!("row {purpose}"), content.rows());
    (row < content.rows()).then(|| range.stage.row_label(&content, row))
}

/// The messages that must be wrong for the gate to see it.
pub fn sights_of<'s>(stage: &Stage, stream: &'s StreamSights, target: &Target) -> Vec<&'s Sight> {
    match stage.feature().align {
        Align::Bucket => target.ws.last().map(|i| &stream.ws[*i]).into_iter().collect(),
        _ => target.ws.iter().map(|i| &stream.ws[*i]).collect(),
    }
}

fn mismatches(range: &mut Range<'_>, cell: Cell) {
    let (stage, class) = (range.stage, Class::ValueMismatch);
    let field = stage.field(cell);
    if stage.aligns(cell) {
        return range.not(
            class,
            &field.name,
            "it serves to align: a wrong one is another stream, row or version",
        );
    }
    if let Some(why) = stage.untouchable(cell) {
        return range.not(class, &field.name, why);
    }
    let list = targets_of(range, cell, "value");
    if list.is_empty() {
        return range.not(class, &field.name, "no value of it stands on both sides in a pair of the slice");
    }
    for (n, struck) in list.iter().enumerate() {
        let uncompared = stage.uncompared(cell);
        let mut wrongs = wrongs(&setting(stage, range.stream(&struck.target), cell, struck));
        if let Some(why) = &uncompared {
            // One is enough to show it, and the greatest shows it best.
            wrongs.drain(..wrongs.len().saturating_sub(1));
            wrongs.iter_mut().for_each(|wrong| wrong.expect = Expect::Unseen(why.clone()));
        }
        if wrongs.is_empty() && n == 0 {
            range.not(class, &field.name, "there is no other value that its type allows");
        }
        for wrong in &wrongs {
            one_mismatch(range, cell, struck, wrong);
        }
        if stage.feature().align == Align::Arrival && uncompared.is_none() && n == 0 {
            one_message(range, cell, struck, wrongs.last());
        }
    }
    if stage.feature().align == Align::Time && stage.uncompared(cell).is_none() {
        between_polls(range, cell);
    }
}

fn setting<'s>(stage: &'s Stage, stream: &StreamSights, cell: Cell, struck: &'s Struck) -> Setting<'s> {
    let feature = stage.feature();
    let still = feature.align == Align::Arrival && {
        let same = |sight: &Sight, value: &str| {
            stage.raw(sight, cell, &struck.row).is_some_and(|(_, raw)| number(&raw) == number(value))
        };
        struck.target.ws.iter().all(|i| same(&stream.ws[*i], &struck.ws))
            && struck.target.rest.iter().all(|i| same(&stream.rest[*i], &struck.ws))
    };
    Setting {
        field: stage.field(cell),
        kind: stage.rule(cell).kind,
        align: feature.align,
        rest: &struck.rest,
        ws: &struck.ws,
        at: struck.target.at,
        still,
        elapsed: feature.interval * 2 + stage.settle() * 2 + stage.contract.rest.timeout,
    }
}

pub fn place(range: &Range<'_>, target: &Target, row: &str) -> Place {
    Place { stream: range.stream(target).label.clone(), row: row.into(), event: target.event, at: target.at }
}

fn one_mismatch(range: &mut Range<'_>, cell: Cell, struck: &Struck, wrong: &Wrong) {
    let (stage, stream) = (range.stage, range.stream(&struck.target));
    let mut edits = range.edits();
    let mut last = String::new();
    for sight in sights_of(stage, stream, &struck.target) {
        let Some((_, raw)) = stage.raw(sight, cell, &struck.row) else { continue };
        if let Some(spoiled) = wrong.how.apply(&raw) {
            stage.set(&mut edits, sight, cell, &struck.row, &spoiled);
            last = format!("{raw} sent as {spoiled}");
        }
    }
    let moves = stage.feature().align == Align::Arrival && !is_still(stage, stream, cell, struck);
    let expect = match &wrong.expect {
        Expect::Seen
            if moves && wrong.size != "10 % off" && stage.rule(cell).kind != FieldType::Countdown =>
        {
            let why = "the value moves from message to message, and REST may equal the one before or after";
            Expect::Unsure(why.into())
        }
        expect => expect.clone(),
    };
    let mutant = Mutant {
        class: Class::ValueMismatch,
        field: stage.field(cell).name.clone(),
        size: wrong.size.clone(),
        change: last,
        place: place(range, &struck.target, &struck.row),
        expect,
        edits,
    };
    range.push(mutant);
}

fn is_still(stage: &Stage, stream: &StreamSights, cell: Cell, struck: &Struck) -> bool {
    setting(stage, stream, cell, struck).still
        || matches!(stage.rule(cell).kind, FieldType::Enum | FieldType::Boolean | FieldType::String)
}

/// `arrival`: a single wrong message among right ones.
fn one_message(range: &mut Range<'_>, cell: Cell, struck: &Struck, wrong: Option<&Wrong>) {
    let (stage, stream) = (range.stage, range.stream(&struck.target));
    let (Some(wrong), Some(i)) = (wrong, struck.target.ws.get(struck.target.ws.len() / 2)) else { return };
    let sight = &stream.ws[*i];
    let Some(raw) = stage.raw(sight, cell, &struck.row).map(|(_, raw)| raw) else { return };
    let Some(spoiled) = wrong.how.apply(&raw) else { return };
    let mut edits = range.edits();
    stage.set(&mut edits, sight, cell, &struck.row, &spoiled);
    let why =
        "without an event time a poll may equal the message before or after: one wrong message is no proof";
    let mutant = Mutant {
        class: Class::ValueMismatch,
        field: stage.field(cell).name.clone(),
        size: "in one message alone".into(),
        change: format!("{raw} sent as {spoiled}"),
        place: Place { row: struck.row.clone(), ..range.place(struck.target.stream, sight) },
        expect: Expect::Unsure(why.into()),
        edits,
    };
    range.push(mutant);
}

/// `time`: a version that REST shows in no poll.
fn between_polls(range: &mut Range<'_>, cell: Cell) {
    let stage = range.stage;
    let tolerance = stage.feature().time_tolerance;
    let polled = |(s, i): &(usize, usize)| {
        let stream = &stage.streams[*s];
        let shows =
            |e: Timestamp| stream.rest.iter().filter_map(|r| r.event).any(|x| (x - e).abs() <= tolerance);
        stream.ws[*i].event.is_none_or(shows)
    };
    let unseen: Vec<(usize, usize)> = range.messages().into_iter().filter(|m| !polled(m)).collect();
    let name = stage.field(cell).name.clone();
    for (s, i) in range.pick_n(&format!("unpolled {name}"), &unseen, 1) {
        let sight = &stage.streams[s].ws[i];
        let row = if cell.in_row { a_row(range, sight, &name) } else { Some(String::new()) };
        let Some(row) = row else { continue };
        let Some((_, raw)) = stage.raw(sight, cell, &row) else { continue };
        let field = stage.field(cell);
        let kind = stage.rule(cell).kind;
        let (align, at, elapsed) = (Align::Time, sight.at, Span::ZERO);
        let setting = Setting { field, kind, align, rest: &raw, ws: &raw, at, still: false, elapsed };
        let Some(spoiled) = wrongs(&setting).pop().and_then(|wrong| wrong.how.apply(&raw)) else { continue };
        let mut edits = range.edits();
        stage.set(&mut edits, sight, cell, &row, &spoiled);
        let why = "REST shows this version in no poll: there is nothing to hold it against";
        let mutant = Mutant {
            class: Class::ValueMismatch,
            field: name.clone(),
            size: "between two polls".into(),
            change: format!("{raw} sent as {spoiled}"),
            place: Place { row, ..range.place(s, sight) },
            expect: Expect::Unsure(why.into()),
            edits,
        };
        range.push(mutant);
    }
}

fn other_types(range: &mut Range<'_>, cell: Cell) {
    let (stage, class) = (range.stage, Class::TypeDiffers);
    let name = stage.field(cell).name.clone();
    let numeric = matches!(
        stage.rule(cell).kind,
        FieldType::Decimal | FieldType::Integer | FieldType::Countdown | FieldType::Boolean
    );
    if stage.aligns(cell) || stage.untouchable(cell).is_some() || !numeric {
        return;
    }
    for struck in targets_of(range, cell, "type").into_iter().take(1) {
        let other = other_type(stage.rule(cell).kind, &struck.ws);
        let alike = struck.rest.starts_with('"') == struck.ws.starts_with('"');
        let Some(other) = other.filter(|_| alike) else {
            range.not(class, &name, "the two sides differ in type already");
            continue;
        };
        let stream = range.stream(&struck.target);
        let mut edits = range.edits();
        for sight in sights_of(stage, stream, &struck.target) {
            let raw = stage.raw(sight, cell, &struck.row).map(|(_, raw)| raw);
            if let Some(other) = raw.and_then(|raw| other_type(stage.rule(cell).kind, &raw)) {
                stage.set(&mut edits, sight, cell, &struck.row, &other);
            }
        }
        let mutant = Mutant {
            class,
            field: name.clone(),
            size: "the same value in another type".into(),
            change: format!("{} sent as {other}", struck.ws),
            place: place(range, &struck.target, &struck.row),
            expect: stage.uncompared(cell).map_or(Expect::Seen, Expect::Unseen),
            edits,
        };
        range.push(mutant);
    }
}

/// Two fields of one type exchanged: the mistake of a mapping.
fn swaps(range: &mut Range<'_>) {
    let stage = range.stage;
    for in_row in [false, true] {
        let cells: Vec<Cell> = stage
            .cells()
            .into_iter()
            .filter(|c| c.in_row == in_row && stage.untouchable(*c).is_none())
            .filter(|c| stage.uncompared(*c).is_none())
            .collect();
        for (n, a) in cells.iter().enumerate() {
            let kind = |c: &Cell| stage.rule(*c).kind;
            let numeric = matches!(kind(a), FieldType::Decimal | FieldType::Integer | FieldType::String);
            if let Some(b) = cells[n + 1..].iter().find(|b| numeric && kind(b) == kind(a)) {
                swap(range, *a, *b);
            }
        }
    }
}

fn swap(range: &mut Range<'_>, a: Cell, b: Cell) {
    let stage = range.stage;
    let (first, second) = (stage.field(a).name.clone(), stage.field(b).name.clone());
    for struck in targets_of(range, a, "swap").into_iter().take(1) {
        let stream = range.stream(&struck.target);
        let mut edits = range.edits();
        let (mut change, mut differ) = (String::new(), false);
        for sight in sights_of(stage, stream, &struck.target) {
            let values = stage.raw(sight, a, &struck.row).zip(stage.raw(sight, b, &struck.row));
            let Some(((_, x), (_, y))) = values else { continue };
            differ |= far_apart(stage, a, &x, &y) && far_apart(stage, b, &x, &y);
            stage.set(&mut edits, sight, a, &struck.row, &y);
            stage.set(&mut edits, sight, b, &struck.row, &x);
            change = format!("{first} {x} and {second} {y} exchanged");
        }
        if !differ {
            let why = format!("its value and that of {second} are alike within the tolerance");
            range.not(Class::ValueMismatch, &format!("{first} and {second}"), why);
            continue;
        }
        let mutant = Mutant {
            class: Class::ValueMismatch,
            field: format!("{first} and {second}"),
            size: "exchanged".into(),
            change,
            place: place(range, &struck.target, &struck.row),
            expect: Expect::Seen,
            edits,
        };
        range.push(mutant);
    }
}

fn far_apart(stage: &Stage, cell: Cell, x: &str, y: &str) -> bool {
    use crate::contract::Tolerance;
    match (number(x), number(y)) {
        (Some(p), Some(q)) => {
            let apart = (&p - &q).abs();
            match &stage.field(cell).tolerance {
                Tolerance::Absolute(t) => apart > *t,
                Tolerance::Relative(t) => apart > p.abs() * t && apart > q.abs() * t,
                Tolerance::Exact | Tolerance::Time(_) => !apart.is_zero(),
            }
        }
        _ => x != y,
    }
}
