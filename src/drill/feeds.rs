//! Mutants of REST, and of both sides alike: polls that fail, show something old or something torn,
//! declared sums that fail, bars that change after they were final.

use super::mutant::{Expect, Mutant, Place, Range, Target};
use super::record::Cell;
use super::sizes::{Setting, number, wrongs};
use super::stage::{Sight, Stage, StreamSights};
use super::tape::Edits;
use super::text::{replaced, span};
use super::values::{a_row, place};
use crate::contract::{Align, Invariant, Number};
use crate::engine::compare::{Extent, Instants, Remarks, compare};
use crate::engine::content::Content;
use crate::model::json::scalar;
use crate::model::{Class, Event, Span, Timestamp};
use bigdecimal::BigDecimal;

/// How often a step is doubled in search of one that breaks a sum.
const DOUBLINGS: usize = 60;
/// How long after its last judging a bar is changed.
const AFTERWARDS: Span = Span::from_secs(1);

pub fn add(range: &mut Range<'_>) {
    failed_polls(range);
    stale_polls(range);
    torn_polls(range);
    sums(range);
    revisions(range);
}

fn failed_polls(range: &mut Range<'_>) {
    let class = Class::RestError;
    let stage = range.stage;
    let answers: Vec<usize> = (0..stage.tape.len())
        .filter(|i| matches!(stage.tape[*i].event, Event::Rest { .. }) && stage.in_hours(stage.tape[*i].at))
        .collect();
    for index in range.pick("failed polls", &answers) {
        let Event::Rest { sent_at, feature, params, .. } = &stage.tape[index].event else { continue };
        let mut edits = range.edits();
        let failed = Event::RestError {
            sent_at: *sent_at,
            feature: feature.as_ref().into(),
            params: params.as_ref().into(),
            error: "status".into(),
            status: Some(503),
            detail: "".into(),
        };
        edits.replace(index, failed);
        let place = Place { at: stage.tape[index].at, ..Place::default() };
        let change = "answered with status 503".to_string();
        range.push(Mutant {
            class,
            field: String::new(),
            size: "one poll".into(),
            change,
            place,
            expect: Expect::Seen,
            edits,
        });
    }
}

/// `time`: a poll that shows an older version although a newer one had long been out.
fn stale_polls(range: &mut Range<'_>) {
    let (stage, class) = (range.stage, Class::RestStale);
    if stage.feature().align != Align::Time {
        return range.not(class, "", "what is old can be told in `time` features alone");
    }
    let (settle, tolerance) = (stage.settle(), stage.feature().time_tolerance);
    let mut fitting = Vec::new();
    for (s, stream) in stage.streams.iter().enumerate() {
        for (i, poll) in stream.rest.iter().enumerate().skip(1) {
            let before = &stream.rest[i - 1];
            let (Some(old), Some(now)) = (before.event, poll.event) else { continue };
            // The version that it shows was the newest on the WebSocket all the while.
            let first = stream.ws.iter().find(|m| m.event.is_some_and(|e| e > old + tolerance));
            let newer = stream.ws.iter().find(|m| m.event.is_some_and(|e| e > now));
            let long_out = first.is_some_and(|m| poll.sent > m.at + settle);
            let still = newer.is_none_or(|m| m.at > poll.at + settle);
            if old + tolerance < now && long_out && still && stage.in_hours(poll.at) {
                fitting.push((s, i));
            }
        }
    }
    if fitting.is_empty() {
        range.not(class, "", "no poll lies more than a settle inside the life of a version");
    }
    for (s, i) in range.pick("stale", &fitting) {
        let stream = &stage.streams[s];
        let mut edits = range.edits();
        if let Some(old) = stage.record_text(&stream.rest[i - 1]) {
            stage.put(&mut edits, &stream.rest[i], &old);
        }
        let change = "the poll shows what the one before showed".to_string();
        let place = range.place(s, &stream.rest[i]);
        range.push(Mutant {
            class,
            field: String::new(),
            size: "one poll".into(),
            change,
            place,
            expect: Expect::Seen,
            edits,
        });
    }
}

/// `arrival`: a poll with one field of one message and another of the next.
fn torn_polls(range: &mut Range<'_>) {
    let (stage, class) = (range.stage, Class::TornRead);
    if stage.feature().align != Align::Arrival {
        return range.not(class, "", "an event time tells which version a poll shows");
    }
    let mut found = Vec::new();
    for (s, stream) in stage.streams.iter().enumerate() {
        for i in 1..stream.ws.len() {
            if let Some(torn) = torn(range, s, stream, i) {
                found.push(torn);
            }
        }
    }
    if found.is_empty() {
        range.not(class, "", "two compared fields never change at once beside a poll of the slice");
    }
    for (s, poll, cell, row, value) in range.pick("torn", &found) {
        let sight = &stage.streams[s].rest[poll];
        let mut edits = range.edits();
        stage.set(&mut edits, sight, cell, &row, &value);
        let field = stage.field(cell).name.clone();
        let change = format!("{field} of the message beside it: {value}");
        let place = Place { row, ..range.place(s, sight) };
        range.push(Mutant {
            class,
            field,
            size: "one field".into(),
            change,
            place,
            expect: Expect::Seen,
            edits,
        });
    }
}

type Torn = (usize, usize, Cell, String, String);

/// The poll that shows one of two messages, and the field of the other one to put into it.
fn torn(range: &Range<'_>, s: usize, stream: &StreamSights, i: usize) -> Option<Torn> {
    let stage = range.stage;
    let (before, after) = (&stream.ws[i - 1], &stream.ws[i]);
    let next = stream.ws.get(i + 1)?.at;
    let settle = stage.settle();
    // Both messages must be what the poll may equal.
    let beside = |p: &usize| {
        let poll = &stream.rest[*p];
        poll.at + settle >= after.at && poll.sent < next && poll.at > before.at && stage.in_hours(poll.at)
    };
    let (a, b) = (stage.content(before)?, stage.content(after)?);
    let poll = (0..stream.rest.len()).find(beside)?;
    let rest = stage.content(&stream.rest[poll])?;
    let differing = differences(stage, &stream.rest[poll], &a, &b, before.at);
    let [first, _, ..] = differing.as_slice() else { return None };
    let cell = *first;
    // The poll equals one of the two; the other one's value goes into it.
    let other =
        if differences(stage, &stream.rest[poll], &rest, &b, after.at).is_empty() { before } else { after };
    let own = if std::ptr::eq(other, before) { &b } else { &a };
    differences(stage, &stream.rest[poll], &rest, own, after.at).is_empty().then_some(())?;
    let (_, value) = stage.raw(other, cell, "")?;
    Some((s, poll, cell, String::new(), value))
}

/// The compared fields of the record in which two contents differ.
fn differences(stage: &Stage, poll: &Sight, a: &Content, b: &Content, at: Timestamp) -> Vec<Cell> {
    let instants = Instants { rest_sent: poll.sent, rest_received: poll.at, ws: at };
    let found = compare(&stage.rules, a, b, instants, Extent::Whole, &mut Remarks::default());
    let cells = stage.cells();
    let named = |name: &str| cells.iter().find(|c| !c.in_row && stage.field(**c).name == *name).copied();
    found.iter().filter(|d| d.row.is_empty()).filter_map(|d| named(&d.field)).collect()
}

// ---- declared sums ----

fn sums(range: &mut Range<'_>) {
    let stage = range.stage;
    if stage.feature().invariants.is_empty() {
        return range.not(Class::Invariant, "", "the contract declares no sum");
    }
    if range.targets.is_empty() {
        return range.not(Class::Invariant, "", "no version of the slice stands on both sides");
    }
    for invariant in &stage.feature().invariants {
        let before = range.mutants.len();
        for target in range.pick(&invariant.text, &range.targets) {
            break_sum(range, invariant, &target);
        }
        if range.mutants.len() == before {
            range.not(
                Class::Invariant,
                &invariant.text,
                "no value of the slice breaks it that both sides could show",
            );
        }
    }
}

fn break_sum(range: &mut Range<'_>, invariant: &Invariant, target: &Target) {
    let (stage, stream) = (range.stage, range.stream(target));
    let Some(sight) = target.ws.last().map(|i| &stream.ws[*i]) else { return };
    let row = if invariant.on_rows { a_row(range, sight, &invariant.text) } else { Some(String::new()) };
    let (Some(row), Some(content)) = (row, stage.content(sight)) else { return };
    let index = if invariant.on_rows { stage.row_of(&content, &row) } else { None };
    let touchable = |column: &usize| {
        let cell = Cell { in_row: invariant.on_rows, column: *column };
        stage.untouchable(cell).is_none() && !stage.aligns(cell)
    };
    let Some(column) = invariant.fields().into_iter().find(touchable) else { return };
    let cell = Cell { in_row: invariant.on_rows, column };
    let (_, raw) = content.cell(index, column);
    // Without an event time nobody can tell which poll shows which message.
    let rest: &[usize] = if stage.feature().align == Align::Arrival { &[] } else { &target.rest };
    let ws: &[usize] = if rest.is_empty() { &target.ws[target.ws.len() - 1..] } else { &target.ws };
    let struck = || ws.iter().map(|i| &stream.ws[*i]).chain(rest.iter().map(|i| &stream.rest[*i]));
    // What forms a bar has other values beside this one, and is held against the sum as well.
    let others = struck().filter_map(|sight| stage.content(sight));
    let others: Vec<Held> = others
        .map(|content| {
            let index = if invariant.on_rows { stage.row_of(&content, &row) } else { None };
            (content, index)
        })
        .collect();
    let last = (content.clone(), index);
    let Some((edge, beyond)) = breaking(stage, invariant, (&last, &others), cell, raw) else { return };
    for (size, value, expect) in [
        ("just within its slack", edge, Expect::Within("the sum still holds".into())),
        ("just beyond its slack", Some(beyond), Expect::Seen),
    ] {
        let Some(value) = value else { continue };
        let mut edits = range.edits();
        // Both sides say the same, so that the sum alone is wrong.
        for sight in struck() {
            stage.set(&mut edits, sight, cell, &row, &value);
        }
        let sides = if rest.is_empty() { "the WebSocket" } else { "both sides" };
        let change = format!("{}: {raw} sent as {value} on {sides}", stage.field(cell).name);
        let place = place(range, target, &row);
        let (field, size) = (invariant.text.clone(), size.to_string());
        range.push(Mutant { class: Class::Invariant, field, size, change, place, expect, edits });
    }
}

/// A record that is held against a sum, and the row of it where the sum is of rows.
type Held = (Content, Option<usize>);

/// Texts of a value with which a sum still holds (where there is one), and fails.
fn breaking(
    stage: &Stage,
    invariant: &Invariant,
    (last, all): (&Held, &[Held]),
    cell: Cell,
    raw: &str,
) -> Option<(Option<String>, String)> {
    let base = number(raw)?;
    let holds_in = |(content, row): &Held, value: &BigDecimal| {
        invariant.holds(|column| match column == cell.column {
            true => Some(Number::from(value.clone())),
            false => Number::parse(&scalar(content.cell(*row, column).1)),
        })
    };
    // The last one is sure to be judged; any of them may be.
    let holds = |value: &BigDecimal| holds_in(last, value);
    let holds_in_all = |value: &BigDecimal| all.iter().all(|record| holds_in(record, value) == Some(true));
    if holds(&base) != Some(true) {
        return None;
    }
    let field = stage.field(cell);
    let setting = Setting {
        field,
        kind: stage.rule(cell).kind,
        align: Align::Time,
        rest: raw,
        ws: raw,
        at: Timestamp(0),
        still: false,
        elapsed: Span::ZERO,
    };
    // The tolerance itself, and the least beyond it.
    let steps: Vec<BigDecimal> = wrongs(&setting)
        .iter()
        .filter_map(|wrong| number(&wrong.how.apply(raw)?))
        .map(|value| (value - &base).abs())
        .collect();
    let written = |value: &BigDecimal| {
        let plain = Number::from(value.clone()).to_string();
        if raw.starts_with('"') { format!("\"{plain}\"") } else { plain }
    };
    for sign in [1, -1] {
        let toward = |step: &BigDecimal| &base + step * BigDecimal::from(sign);
        let mut held = None;
        let mut grown: Vec<BigDecimal> = steps.clone();
        let last = steps.last()?.clone();
        grown.extend((1..DOUBLINGS).map(|n| &last * BigDecimal::from(1_u64 << n)));
        for step in &grown {
            let value = toward(step);
            match holds(&value) {
                Some(true) if holds_in_all(&value) => held = Some(written(&value)),
                Some(true) => {}
                Some(false) => return Some((held, written(&value))),
                None => break,
            }
        }
    }
    None
}

// ---- bars ----

fn revisions(range: &mut Range<'_>) {
    let (stage, class) = (range.stage, Class::Revision);
    if stage.feature().align != Align::Bucket {
        return range.not(class, "", "only bars become final");
    }
    let closed: Vec<(Target, Timestamp)> =
        range.targets.iter().filter_map(|t| Some((t.clone(), judged_at(range, t)?))).collect();
    if closed.is_empty() {
        return range.not(class, "", "no bar of the slice became final");
    }
    let cell = stage.cells().into_iter().rev().find(|c| {
        !c.in_row && !stage.aligns(*c) && stage.uncompared(*c).is_none() && stage.untouchable(*c).is_none()
    });
    let Some(cell) = cell else { return range.not(class, "", "no compared field can be struck") };
    for (size, both) in [("both sides change it", true), ("the WebSocket alone changes it", false)] {
        for (target, judged) in range.pick(&format!("revision {both}"), &closed) {
            let (stream, at) = (range.stream(&target), judged + stage.feature().revise_for + AFTERWARDS);
            let Some(sight) = target.ws.last().map(|i| &stream.ws[*i]) else { continue };
            let Some((edits, change)) = revised(range, &target, sight, cell, at, both) else { continue };
            let place = Place { at, ..place(range, &target, "") };
            let field = stage.field(cell).name.clone();
            let expect = Expect::Seen;
            range.push(Mutant { class, field, size: size.into(), change, place, expect, edits });
        }
    }
}

/// When a bucket was judged: a settle after REST first showed a later one.
fn judged_at(range: &Range<'_>, target: &Target) -> Option<Timestamp> {
    let event = target.event?;
    let rest = range.stream(target).rest.iter();
    rest.filter(|r| r.event.is_some_and(|e| e > event))
        .map(|r| r.at)
        .min()
        .map(|at| at + range.stage.settle())
}

fn revised<'s>(
    range: &Range<'s>,
    target: &Target,
    sight: &Sight,
    cell: Cell,
    at: Timestamp,
    both: bool,
) -> Option<(Edits<'s>, String)> {
    let (stage, stream) = (range.stage, range.stream(target));
    let (_, raw) = stage.raw(sight, cell, "")?;
    let setting = Setting {
        field: stage.field(cell),
        kind: stage.rule(cell).kind,
        align: Align::Bucket,
        rest: &raw,
        ws: &raw,
        at,
        still: false,
        elapsed: Span::ZERO,
    };
    let value = wrongs(&setting).pop()?.how.apply(&raw)?;
    let mut edits = range.edits();
    let alone = stage.message(&edits, sight)?;
    let (_, body) = stage.body(sight.body, &alone)?;
    let slot = body.cell(0, None, cell.column)?;
    edits.send(sight.body, at, replaced(&alone, span(slot), &value));
    if both {
        for poll in target.rest.iter().map(|i| &stream.rest[*i]).filter(|poll| poll.sent >= at) {
            stage.set(&mut edits, poll, cell, "", &value);
        }
    }
    Some((edits, format!("{raw} sent as {value} after it was final")))
}
