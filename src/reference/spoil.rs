//! Wrong values: what a member truly is in a version, and something plausible that it is not.
//! Decides how a value is spoiled, never when.

use super::body::{Edits, FieldEdit, as_text, write_cents};
use super::feature::{FieldKind, FieldShape};
use super::inject::Tick;
use super::world::{Owner, Position, STATUSES, STEPS_PER_MINUTE, World, country};

pub(super) fn position(world: &World, tick: &Tick, row: usize) -> Option<Position> {
    match world.streams()[tick.stream].owner {
        Owner::Positions(account) => Some(world.position(account, row, tick.k)),
        _ => None,
    }
}

pub(super) fn row_name(world: &World, tick: &Tick, row: usize) -> String {
    position(world, tick, row).map_or(String::new(), |p| format!("symbol={}", world.symbol(p.symbol)))
}

/// A member's true value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'w> {
    Cents(i64),
    Integer(i64),
    Text(&'w str),
}

impl Value<'_> {
    pub(super) fn raw(self) -> String {
        match self {
            Value::Cents(cents) => raw_cents(cents),
            Value::Integer(value) => value.to_string(),
            Value::Text(text) => format!("\"{text}\""),
        }
    }
}

pub(super) fn raw_cents(cents: i64) -> String {
    let mut out = String::new();
    as_text(&mut out, |out| write_cents(out, cents));
    out
}

/// As it stands in a body; an account number has its letters there.
pub(super) fn raw(value: Value<'_>, field: FieldShape) -> String {
    match value {
        Value::Integer(number) if field.kind == FieldKind::Text => format!("\"DU{number}\""),
        value => value.raw(),
    }
}

/// Puts a value in the place of a field's own.
pub(super) fn edit(
    edits: &mut Edits,
    row: Option<usize>,
    field: FieldShape,
    value: Value<'_>,
    decimal_strings: bool,
) {
    let raw = match raw(value, field) {
        raw if decimal_strings && field.kind == FieldKind::Decimal => format!("\"{raw}\""),
        raw => raw,
    };
    edits.fields.push(FieldEdit { row, name: field.name, raw: Some(raw) });
}

/// The fields of a record (or of one of its rows) that differ in another version, with what they are
/// there.
pub(super) fn differing<'w>(
    world: &'w World,
    tick: &Tick,
    other: &Tick,
    row: Option<usize>,
) -> Vec<(FieldShape, Value<'w>)> {
    let Some(feature) = world.streams()[tick.stream].feature() else { return Vec::new() };
    let fields = feature.fields().iter().filter(|field| field.in_row == row.is_some());
    fields
        .filter_map(|field| {
            let here = true_value(world, tick, row, *field)?;
            let there = true_value(world, other, row, *field)?;
            (here.raw() != there.raw()).then_some((*field, there))
        })
        .collect()
}

/// JSON that no reading of the kind accepts.
pub(super) fn unreadable(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text | FieldKind::Key => "17",
        FieldKind::Enum => "[17]",
        _ => "\"n/a\"",
    }
}

pub(super) fn true_value<'w>(
    world: &'w World,
    tick: &Tick,
    row: Option<usize>,
    field: FieldShape,
) -> Option<Value<'w>> {
    let value = match world.streams()[tick.stream].owner {
        Owner::Balance(account) => {
            let balance = world.balance(account, tick.k);
            match field.name {
                "cash" => Value::Cents(balance.cash_cents),
                "buying_power" => Value::Cents(balance.buying_power_cents),
                "account_number" => Value::Integer(balance.account_number),
                _ => return None,
            }
        }
        Owner::Positions(_) => {
            let position = position(world, tick, row?)?;
            match field.name {
                "quantity" => Value::Integer(position.quantity),
                "entry_price" => Value::Cents(position.entry_cents),
                "current_price" => Value::Cents(position.current_cents),
                "pnl" => Value::Cents(position.pnl_cents),
                _ => return None,
            }
        }
        Owner::Bar(symbol) => {
            let bar = world.bar(symbol, tick.k, STEPS_PER_MINUTE);
            match field.name {
                "open" => Value::Cents(bar.open_cents),
                "high" => Value::Cents(bar.high_cents),
                "low" => Value::Cents(bar.low_cents),
                "close" => Value::Cents(bar.close_cents),
                "volume" => Value::Integer(bar.volume),
                _ => return None,
            }
        }
        Owner::Market(market) => {
            let market = world.market(market, tick.k);
            match field.name {
                "status" => Value::Text(market.status),
                "country" => Value::Text(country(market.country)),
                "seconds_to_next_event" => Value::Integer(market.seconds_to_next_event),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(value)
}

/// A wrong but plausible value; `None` where none can be made without breaking something else.
pub(super) fn another(
    world: &World,
    tick: &Tick,
    field: FieldShape,
    value: Value<'_>,
    draw: u64,
) -> Option<String> {
    let away = 100 + (draw % 900) as i64;
    Some(match (field.name, value) {
        // Open and close must stay between low and high: go to the farther of the two.
        ("open" | "close", Value::Cents(cents)) => {
            let Owner::Bar(symbol) = world.streams()[tick.stream].owner else { return None };
            let bar = world.bar(symbol, tick.k, STEPS_PER_MINUTE);
            let farther =
                if bar.high_cents - cents > cents - bar.low_cents { bar.high_cents } else { bar.low_cents };
            ((farther - cents).abs() >= 2).then(|| raw_cents(farther))?
        }
        ("low", Value::Cents(cents)) => raw_cents(cents - away),
        ("high", Value::Cents(cents)) => raw_cents(cents + away),
        (_, Value::Cents(cents)) => raw_cents(if draw >> 63 == 0 { cents + away } else { cents - away }),
        // Beyond what passes between two messages, and beyond the tolerance.
        ("seconds_to_next_event", Value::Integer(seconds)) => (seconds + 900).to_string(),
        ("account_number", Value::Integer(number)) => format!("\"DU{}\"", number + 1),
        (_, Value::Integer(number)) => (number + away).to_string(),
        ("status", Value::Text(status)) => {
            let next =
                STATUSES.iter().position(|name| *name == status).map_or(0, |i| (i + 1) % STATUSES.len());
            format!("\"{}\"", STATUSES[next])
        }
        (_, Value::Text(text)) => format!("\"{text}X\""),
    })
}
