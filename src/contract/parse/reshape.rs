//! How a value is written on one side, and what it means: `normal`, `map`, `scale`, `round`, `empty` of a field.
//!
//! Each stands for both sides, or as `{ rest = …, ws = … }` for either.

use super::reader::{Table, Text};
use crate::contract::expression::Number;
use crate::contract::{Empty, FieldType, Normal, Reshape, spelling};
use bigdecimal::{BigDecimal, Zero};
use toml::Spanned;
use toml::de::DeValue;

/// More places than any money or price has.
const MOST_PLACES: i64 = 30;
const SIDES: [&str; 2] = ["rest", "ws"];

/// What is done to the value of REST, and of the WebSocket.
pub fn reshape(table: &Table<'_, '_>, kind: Option<FieldType>) -> [Reshape; 2] {
    let mut sides = [Reshape::default(), Reshape::default()];
    for (i, normal) in both(table, "normal", normal).into_iter().enumerate() {
        sides[i].normal = normal.unwrap_or_default();
    }
    for (i, map) in map(table).into_iter().enumerate() {
        sides[i].map = map;
    }
    for (i, scale) in both(table, "scale", scale).into_iter().enumerate() {
        sides[i].scale = scale;
    }
    for (i, round) in both(table, "round", round).into_iter().enumerate() {
        sides[i].round = round;
    }
    for (i, empty) in both(table, "empty", empty).into_iter().enumerate() {
        sides[i].empty = empty.unwrap_or_default();
    }
    let Some(kind) = kind else { return sides };
    if !matches!(kind, FieldType::Decimal | FieldType::Integer) {
        table.ineffective("scale", &format!("only a number can be scaled, and this is {}", kind.name()));
    }
    if kind != FieldType::Decimal {
        table.ineffective("round", &format!("only a decimal has places, and this is {}", kind.name()));
    }
    if matches!(kind, FieldType::Timestamp | FieldType::Countdown) {
        for key in ["normal", "map"] {
            table.ineffective(key, &format!("a {} is read by its own rules", kind.name()));
        }
    }
    sides
}

type Value<'r> = &'r Spanned<DeValue<'r>>;

/// A key's value for both sides, or one for each.
fn both<'r, T: Clone>(
    table: &Table<'r, '_>,
    key: &'static str,
    read: impl Fn(&Table<'r, '_>, &str, Value<'r>) -> Option<T>,
) -> [Option<T>; 2] {
    let Some(value) = table.raw(key) else { return [None, None] };
    if !matches!(value.get_ref(), DeValue::Table(_)) {
        let one = read(table, key, value);
        return [one.clone(), one];
    }
    let Some(inner) = table.table(key) else { return [None, None] };
    let sides = SIDES.map(|side| inner.raw(side).and_then(|value| read(&inner, side, value)));
    inner.finish();
    sides
}

fn normal(table: &Table<'_, '_>, key: &str, value: Value<'_>) -> Option<Vec<Normal>> {
    let DeValue::Array(items) = value.get_ref() else {
        table
            .error(value.span(), &format!("`{key}` must be a list of steps, as in [\"upper\", \"strip:/\"]"));
        return None;
    };
    items.iter().map(|item| step(table, &table.member_text(key, item)?)).collect()
}

fn step(table: &Table<'_, '_>, text: &Text) -> Option<Normal> {
    let mut parts = text.value.splitn(3, ':');
    let step = match (parts.next().unwrap_or_default(), parts.next(), parts.next()) {
        ("upper", None, None) => Some(Normal::Upper),
        ("lower", None, None) => Some(Normal::Lower),
        ("trim", None, None) => Some(Normal::Trim),
        ("strip", Some(prefix), None) if !prefix.is_empty() => Some(Normal::Strip(prefix.into())),
        ("replace", Some(from), Some(to)) if !from.is_empty() => {
            Some(Normal::Replace(from.into(), to.into()))
        }
        _ => None,
    };
    if step.is_none() {
        let known = "\"upper\", \"lower\", \"trim\", \"strip:PREFIX\", \"replace:FROM:TO\"";
        table.error(text.at.clone(), &format!("`{}` is no step; known: {known}", text.raw));
    }
    step
}

/// `map = { open = "OPEN" }`, or `map = { ws = { open = "OPEN" } }`.
fn map(table: &Table<'_, '_>) -> [Vec<(String, String)>; 2] {
    let Some(inner) = table.table("map") else { return Default::default() };
    let members = inner.members();
    if members.is_empty() {
        inner.error_at_head("`map` is empty; give what a server says and what it stands for");
    }
    let a_side = |(name, value): &(super::reader::At<&str>, Value<'_>)| {
        SIDES.contains(&name.value) && matches!(value.get_ref(), DeValue::Table(_))
    };
    if !members.iter().any(a_side) {
        let words = words(&inner);
        return [words.clone(), words];
    }
    if let Some((name, _)) = members.iter().find(|member| !a_side(member)) {
        let cure = spelling::cure(name.value, SIDES);
        inner.error(name.at.clone(), &format!("`{}` stands beside whole sides; {cure}", name.value));
    }
    SIDES.map(|side| inner.table(side).map(|words_of| words(&words_of)).unwrap_or_default())
}

fn words(table: &Table<'_, '_>) -> Vec<(String, String)> {
    let pair = |(name, value): (super::reader::At<&str>, Value<'_>)| {
        Some((name.value.to_string(), table.member_text(name.value, value)?.value))
    };
    table.members().into_iter().filter_map(pair).collect()
}

/// `empty = ["null", "absent", ""]`
fn empty(table: &Table<'_, '_>, key: &str, value: Value<'_>) -> Option<Vec<Empty>> {
    let DeValue::Array(items) = value.get_ref() else {
        let right = "a list of what says that there is no value, as in [\"null\", \"absent\", \"\"]";
        table.error(value.span(), &format!("`{key}` must be {right}"));
        return None;
    };
    if items.is_empty() {
        table.error(value.span(), &format!("`{key}` is empty; remove it, or name what says nothing"));
    }
    let word = |text: String| match text.as_str() {
        "absent" => Empty::Absent,
        "null" => Empty::Null,
        _ => Empty::Text(text),
    };
    items.iter().map(|item| Some(word(table.member_text(key, item)?.value))).collect()
}

fn scale(table: &Table<'_, '_>, key: &str, value: Value<'_>) -> Option<BigDecimal> {
    let text = match value.get_ref() {
        DeValue::Float(number) => number.as_str().to_string(),
        DeValue::Integer(_) => super::reader::integer_of(value.get_ref())?.to_string(),
        _ => table.member_text(key, value)?.value,
    };
    let factor =
        Number::parse(&text).map(|number| number.to_big()).filter(|factor| *factor > BigDecimal::zero());
    if factor.is_none() {
        table.error(value.span(), &format!("`{key}` must be a positive factor, as in \"0.01\""));
    }
    factor
}

fn round(table: &Table<'_, '_>, key: &str, value: Value<'_>) -> Option<u32> {
    let places =
        super::reader::integer_of(value.get_ref()).filter(|places| (0..=MOST_PLACES).contains(places));
    if places.is_none() {
        table.error(
            value.span(),
            &format!("`{key}` must be a number of places from 0 to {MOST_PLACES}, as in 2"),
        );
    }
    places.map(|places| places as u32)
}
