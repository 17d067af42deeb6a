//! Fields of a record or of a row: type, tolerance, and where the value comes from on each side.
//!
//! Owns which keys have an effect on which type and role.

use super::calendars::zone;
use super::reader::{At, Table, Text, integer_of};
use super::reshape::reshape;
use super::text::{path_parts, pointer_fault};
use crate::contract::expression::Number;
use crate::contract::{Align, Field, FieldType, Forming, Pointer, Records, Source, Tolerance, spelling};
use crate::model::{Span, Timestamp};
use bigdecimal::{BigDecimal, Zero};
use chrono_tz::Tz;
use std::str::FromStr;
use toml::Spanned;
use toml::de::DeValue;

/// What a field's keys depend on.
#[derive(Clone)]
pub struct Context {
    pub align: Align,
    pub zone: Tz,
    pub in_rows: bool,
    pub key: Vec<String>,
    pub time: Option<String>,
    /// REST shows bars without their time.
    pub rest_untimed: bool,
    /// The request's parameters.
    pub params: Vec<String>,
    /// Where the records stand, per side.
    pub records_rest: Records,
    pub records_ws: Records,
}

const TYPES: [FieldType; 7] = [
    FieldType::String,
    FieldType::Integer,
    FieldType::Decimal,
    FieldType::Boolean,
    FieldType::Timestamp,
    FieldType::Enum,
    FieldType::Countdown,
];

/// All fields in the order of the file; `None` when there is none. One that is wrong was reported and stands
/// there with what could be read, so that what names it finds it.
pub fn fields(table: &Table<'_, '_>, context: &Context) -> Option<Vec<Field>> {
    let members = table.members();
    if members.is_empty() {
        table.error_at_head(
            "`fields` declares no field; add those to compare, as in `cash = { type = \"decimal\" }`",
        );
        return None;
    }
    let fields = members.iter().filter_map(|(name, value)| {
        let mut inner = table.member_table(name, value)?;
        inner.name = format!("field `{}`", name.value);
        let field = field(&inner, name, context);
        inner.finish();
        Some(field)
    });
    Some(fields.collect())
}

fn field(table: &Table<'_, '_>, name: &At<&str>, context: &Context) -> Field {
    if name.value.is_empty() || name.value.contains(|c: char| c.is_control() || matches!(c, ',' | '=')) {
        table.error(name.at.clone(), "a field's name is not empty and has no `,`, `=` or control code");
    }
    let kind = kind(table);
    let is_time = context.time.as_deref() == Some(name.value);
    let assumed = kind.unwrap_or(if is_time { FieldType::Timestamp } else { FieldType::Decimal });
    let values = values(table, kind);
    let tolerance = tolerance(table, kind);
    let optional = table.boolean("optional").is_some_and(|flag| flag.value);
    let compare = table.boolean("compare").is_none_or(|flag| flag.value);
    let is_static = table.boolean("static").is_some_and(|flag| flag.value);
    let forming = forming(table, kind, context);
    let own_zone = zone(table, "zone");
    if kind.is_some_and(|kind| kind != FieldType::Timestamp) {
        table.ineffective("zone", "only a timestamp has a zone");
    }
    let rest = source(table, name.value, Side::Rest, context, kind, &values);
    let ws = source(table, name.value, Side::Ws, context, kind, &values);
    if rest == Some(Source::Absent) && ws == Some(Source::Absent) {
        table.error(name.at.clone(), &format!("field `{}` is on neither side; remove it", name.value));
    }
    let [reshape_rest, reshape_ws] = reshape(table, kind);
    check_role(table, name, context, [&rest, &ws]);
    check_compared(table, compare, [&rest, &ws]);
    let by_name = || Source::Record(vec![name.value.to_string()]);
    Field {
        name: name.value.to_string(),
        kind: assumed,
        tolerance: tolerance.unwrap_or(Tolerance::Exact),
        optional,
        compare,
        values,
        forming,
        is_static,
        zone: own_zone.unwrap_or(context.zone),
        rest: rest.unwrap_or_else(by_name),
        ws: ws.unwrap_or_else(by_name),
        reshape_rest,
        reshape_ws,
    }
}

fn kind(table: &Table<'_, '_>) -> Option<FieldType> {
    let Some(text) = table.text("type") else { return table.lacking("type", "\"decimal\"") };
    let found = TYPES.into_iter().find(|kind| kind.name() == text.value);
    if found.is_none() {
        let cure = spelling::cure(&text.value, TYPES.iter().map(|kind| kind.name()));
        table.error(text.at, &format!("unknown type `{}`; {cure}", text.raw));
    }
    found
}

fn values(table: &Table<'_, '_>, kind: Option<FieldType>) -> Vec<String> {
    let list = table.names("values");
    match kind {
        Some(FieldType::Enum) if !table.has("values") => {
            table.lacking::<()>("values", "[\"OPEN\", \"CLOSED\"]");
        }
        Some(FieldType::Enum) => {
            if let Some(list) = list.as_ref().filter(|list| list.value.is_empty()) {
                table.error(
                    list.at.clone(),
                    "`values` is empty, so nothing could ever be right; name the values",
                );
            }
        }
        Some(kind) => {
            table.ineffective("values", &format!("it belongs to type \"enum\", and this is {}", kind.name()))
        }
        None => {}
    }
    list.map(|list| list.value.into_iter().map(|text| text.value).collect()).unwrap_or_default()
}

/// `None` when it is wrong.
fn tolerance(table: &Table<'_, '_>, kind: Option<FieldType>) -> Option<Tolerance> {
    let Some(value) = table.raw("tolerance") else { return Some(Tolerance::Exact) };
    let text = number_text(table, value)?;
    let wrong = |right: &str| {
        table.error(value.span(), &format!("`tolerance` must be {right}"));
        None
    };
    match kind? {
        kind @ (FieldType::Decimal | FieldType::Integer) => match numeric_tolerance(&text) {
            Some(tolerance) => Some(tolerance),
            None if Span::parse(&text).is_some() => wrong(&format!(
                "a number or a percentage for type {}, as in \"0.005\" or \"0.01%\"",
                kind.name()
            )),
            None => wrong("a positive number or percentage, as in \"0.005\" or \"0.01%\""),
        },
        FieldType::Timestamp | FieldType::Countdown => match Span::parse(&text) {
            Some(Span::ZERO) => Some(Tolerance::Exact),
            Some(span) => Some(Tolerance::Time(span)),
            None => wrong("a duration with its unit, as in \"2s\""),
        },
        kind => {
            table.ineffective("tolerance", &format!("a {} is equal or it is not", kind.name()));
            Some(Tolerance::Exact)
        }
    }
}

/// A tolerance is exact text; a TOML number is taken by its text too.
fn number_text(table: &Table<'_, '_>, value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::Float(number) => Some(number.as_str().to_string()),
        DeValue::Integer(_) => integer_of(value.get_ref()).map(|number| number.to_string()),
        _ => Some(table.member_text("tolerance", value)?.value),
    }
}

fn numeric_tolerance(text: &str) -> Option<Tolerance> {
    let (digits, percent) = match text.trim().strip_suffix('%') {
        Some(digits) => (digits.trim(), true),
        None => (text.trim(), false),
    };
    // A bound beyond any value's digits is a slip of the hand.
    let number = Number::parse(digits)?.to_big();
    if number < BigDecimal::zero() {
        return None;
    }
    Some(match percent {
        _ if number.is_zero() => Tolerance::Exact,
        true => Tolerance::Relative((number * BigDecimal::from_str("0.01").ok()?).normalized()),
        false => Tolerance::Absolute(number),
    })
}

fn forming(table: &Table<'_, '_>, kind: Option<FieldType>, context: &Context) -> Forming {
    const KNOWN: [(&str, Forming); 4] = [
        ("fixed", Forming::Fixed),
        ("grows", Forming::Grows),
        ("shrinks", Forming::Shrinks),
        ("final", Forming::Final),
    ];
    let Some(text) = table.text("forming") else { return Forming::Final };
    if context.align != Align::Bucket {
        table.ineffective("forming", "only a bucket (align = \"bucket\") forms");
    }
    let Some((_, forming)) = KNOWN.into_iter().find(|(name, _)| *name == text.value) else {
        let cure = spelling::cure(&text.value, KNOWN.iter().map(|(name, _)| *name));
        table.error(text.at, &format!("`{}` is no way to form; {cure}", text.raw));
        return Forming::Final;
    };
    let ordered = matches!(kind, None | Some(FieldType::Decimal | FieldType::Integer | FieldType::Timestamp));
    if matches!(forming, Forming::Grows | Forming::Shrinks) && !ordered {
        table.error(text.at, &format!("only a number or a timestamp can be \"{}\"", text.raw));
    }
    forming
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Rest,
    Ws,
}

impl Side {
    fn key(self) -> &'static str {
        match self {
            Side::Rest => "rest",
            Side::Ws => "ws",
        }
    }

    fn records(self, context: &Context) -> &Records {
        match self {
            Side::Rest => &context.records_rest,
            Side::Ws => &context.records_ws,
        }
    }
}

/// `None` when it is wrong.
fn source(
    table: &Table<'_, '_>,
    name: &str,
    side: Side,
    context: &Context,
    kind: Option<FieldType>,
    values: &[String],
) -> Option<Source> {
    let key = side.key();
    let Some(value) = table.raw(key) else { return Some(Source::Record(vec![name.to_string()])) };
    if !context.in_rows && side.records(context).index.as_deref() == Some(name) {
        table.ineffective(key, "`index` gives this field its value, the member's name");
    }
    match value.get_ref() {
        DeValue::Boolean(false) => return Some(Source::Absent),
        DeValue::String(_) => {}
        _ => {
            let right = "a path such as \"quote/last\", \"../account\", \"$/…\", \"@parameter\", \"'constant'\", \
                         or false";
            table.error(value.span(), &format!("`{key}` must be {right}"));
            return None;
        }
    }
    let text = table.member_text(key, value)?;
    match parse_source(&text, side, context, kind, values) {
        Ok(source) => Some(source),
        Err(fault) => {
            table.error(text.at, &format!("`{}`: {fault}", text.raw));
            None
        }
    }
}

fn parse_source(
    text: &Text,
    side: Side,
    context: &Context,
    kind: Option<FieldType>,
    values: &[String],
) -> Result<Source, String> {
    let from = text.value.as_str();
    if let Some(inner) = from.strip_prefix('\'') {
        let constant = inner.strip_suffix('\'').ok_or("a constant ends with `'`, as in \"'USA'\"")?;
        if let Some(kind) = kind.filter(|kind| !fits(constant, *kind, values)) {
            return Err(format!("this constant is no {}", kind.name()));
        }
        return Ok(Source::Constant(constant.to_string()));
    }
    if let Some(name) = from.strip_prefix('@') {
        return match (side, context.in_rows) {
            (Side::Ws, _) => Err("a WebSocket message has no request, so no parameters".into()),
            (_, true) => Err("a row's values come from the row; declare it as a field of the record".into()),
            _ if context.params.iter().any(|param| param == name) => Ok(Source::Param(name.to_string())),
            _ => {
                let cure = spelling::cure(name, context.params.iter().map(String::as_str));
                Err(format!("no parameter `{name}` in `rest.each`; {cure}"))
            }
        };
    }
    // A member's own name may begin with `$` too.
    if let Some(pointer) = from.strip_prefix('$').filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        if context.in_rows {
            return Err("a row's values come from the row; declare it as a field of the record".into());
        }
        if pointer.is_empty() {
            return Err("a pointer from the body's root begins with `$/`".into());
        }
        return match pointer_fault(pointer) {
            None => Ok(Source::Root(Pointer::parse(pointer).unwrap_or_default())),
            Some(fault) => Err(fault.into()),
        };
    }
    if from.starts_with("../") {
        return above(from, side, context);
    }
    path_parts(from).map(Source::Record).map_err(String::from)
}

/// `../account_id`, `../../context`: from the objects around the records.
fn above(from: &str, side: Side, context: &Context) -> Result<Source, String> {
    if context.in_rows {
        return Err("a row's values come from the row; declare it as a field of the record".into());
    }
    let mut path = from;
    let mut levels = 0;
    while let Some(inner) = path.strip_prefix("../") {
        (path, levels) = (inner, levels + 1);
    }
    let around = side.records(context).objects_around();
    if levels > around {
        let objects = if around == 1 { "one object stands" } else { "objects stand" };
        return Err(format!("`..` {levels} times, and {around} {objects} around what `records` points to"));
    }
    Ok(Source::Above(levels, path_parts(path)?))
}

/// Whether a constant's text can be a value of this type.
fn fits(constant: &str, kind: FieldType, values: &[String]) -> bool {
    match kind {
        FieldType::String => true,
        FieldType::Integer => Number::parse(constant).is_some_and(|number| number.to_big().is_integer()),
        FieldType::Decimal | FieldType::Countdown => Number::parse(constant).is_some(),
        FieldType::Boolean => matches!(constant, "true" | "false"),
        FieldType::Timestamp => {
            Timestamp::parse_rfc3339(constant).or_else(|| Timestamp::parse_naive(constant)).is_some()
                || Number::parse(constant).is_some()
        }
        FieldType::Enum => values.is_empty() || values.iter().any(|value| value == constant),
    }
}

/// Key and time align records; they are on both sides, always there, and not compared.
fn check_role(table: &Table<'_, '_>, name: &At<&str>, context: &Context, sources: [&Option<Source>; 2]) {
    let is_key = context.key.iter().any(|key| key == name.value);
    let is_time = context.time.as_deref() == Some(name.value);
    if !is_key && !is_time {
        return;
    }
    let role = if is_key { "key" } else { "time" };
    for key in ["tolerance", "compare", "static", "forming"] {
        let cure = if is_time && key == "tolerance" { " (`time_tolerance` of the feature is)" } else { "" };
        table.ineffective(
            key,
            &format!("`{}` is `{role}`, which aligns and is not compared{cure}", name.value),
        );
    }
    table.ineffective(
        "optional",
        &format!("`{}` is `{role}`, without which nothing can be aligned", name.value),
    );
    let untimed = is_time && !is_key && context.rest_untimed && *sources[0] == Some(Source::Absent);
    if !untimed && sources.iter().any(|source| **source == Some(Source::Absent)) {
        let message =
            format!("`{}` is `{role}` and must come from both sides; `false` takes one away", name.value);
        table.error(name.at.clone(), &message);
    }
}

/// Keys that only matter to a comparison.
fn check_compared(table: &Table<'_, '_>, compare: bool, sources: [&Option<Source>; 2]) {
    let one_sided = sources.iter().any(|source| **source == Some(Source::Absent));
    if one_sided {
        table.ineffective("compare", "a field of one side alone is not compared anyway");
    }
    if one_sided || !compare {
        for key in ["static", "forming"] {
            table.ineffective(key, "this field is not compared");
        }
    }
}

/// A tolerance of a field that is not compared is used only where it stands alone in an invariant.
pub fn check_tolerances(table: &Table<'_, '_>, fields: &[Field], lone: &[usize]) {
    for (i, field) in fields.iter().enumerate() {
        let one_sided = field.rest == Source::Absent || field.ws == Source::Absent;
        if (!field.compare || one_sided) && !lone.contains(&i) {
            for (name, value) in table.members().iter().filter(|(name, _)| name.value == field.name) {
                if let Some(inner) = table.member_table(name, value) {
                    inner.ineffective("tolerance", "this field is not compared");
                }
            }
        }
    }
}
