//! `market = { status, open, closed, calendars }` of a feature: what its status says of its market.
//!
//! Owns what makes such a declaration fit to be held against a calendar; that a status is judged at all is
//! the contract's decision, because only its writer knows what the words mean.

use super::calendars::Calendars;
use super::reader::Table;
use crate::calendar::{CalendarKind, CalendarRule};
use crate::contract::{Field, FieldType, MarketStatus, spelling};
use std::sync::Arc;

/// `None` where it is absent or wrong, which was reported.
pub fn market(
    table: &Table<'_, '_>,
    fields: &[Field],
    calendar: Option<&Arc<CalendarRule>>,
    calendars: &Calendars,
) -> Option<MarketStatus> {
    let inner = table.table("market")?;
    let column = status(&inner, fields);
    let field = column.map(|column| &fields[column]);
    let (open, closed) = (values(&inner, "open", field), values(&inner, "closed", field));
    if let (Some(open), Some(closed)) = (&open, &closed)
        && let Some(both) = open.iter().find(|value| closed.contains(value))
    {
        inner.error_at_head(&format!("`{both}` says both open and closed; keep one"));
    }
    let by_stream = by_stream(&inner, calendars);
    let endless = |rule: &Arc<CalendarRule>| rule.kind == CalendarKind::Always;
    match &by_stream {
        Some(list) if list.is_empty() && calendar.is_some_and(endless) => inner.error_at_head(
            "`market` holds a status against sessions, and 24/7 has none; set the feature's `calendar`, or \
             `calendars = { \"market_id=1\" = \"XNYS\" }`",
        ),
        Some(list) if list.iter().any(|(_, rule)| endless(rule)) => {
            inner.error_at_head("`calendars` names 24/7, which has no sessions to hold a status against");
        }
        _ => {}
    }
    inner.finish();
    Some(MarketStatus { column: column?, open: open?, closed: closed?, calendars: by_stream? })
}

fn status(table: &Table<'_, '_>, fields: &[Field]) -> Option<usize> {
    let Some(text) = table.text("status") else { return table.lacking("status", "\"status\"") };
    let enums = || fields.iter().filter(|field| field.kind == FieldType::Enum);
    match fields.iter().position(|field| field.name == text.value && field.kind == FieldType::Enum) {
        Some(column) => Some(column),
        None => {
            let cure =
                spelling::cure(&text.value, enums().map(|field| field.name.as_str()).collect::<Vec<_>>());
            table.error(text.at, &format!("`{}` is no field of type \"enum\"; {cure}", text.raw));
            None
        }
    }
}

/// Some of the field's `values`.
fn values(table: &Table<'_, '_>, key: &'static str, field: Option<&Field>) -> Option<Vec<String>> {
    let Some(list) = table.names(key) else {
        return if table.has(key) { None } else { table.lacking(key, "[\"OPEN\"]") };
    };
    for text in &list.value {
        if let Some(field) = field.filter(|field| !field.values.contains(&text.value)) {
            let cure = spelling::cure(&text.value, field.values.iter().map(String::as_str));
            table.error(text.at.clone(), &format!("`{}` is no value of `{}`; {cure}", text.raw, field.name));
        }
    }
    Some(list.value.into_iter().map(|text| text.value).collect())
}

/// `{ "market_id=1" = "XNYS" }`: streams as they are called in findings.
fn by_stream(table: &Table<'_, '_>, calendars: &Calendars) -> Option<Vec<(String, Arc<CalendarRule>)>> {
    if !table.has("calendars") {
        table.raw("calendars");
        return Some(Vec::new());
    }
    let inner = table.table("calendars")?;
    let named = inner.members().into_iter().map(|(name, value)| {
        let text = inner.member_text(name.value, value)?;
        if !name.value.contains('=') {
            inner.error(name.at, "a stream is called as in findings.csv, e.g. \"market_id=1\"");
            return None;
        }
        Some((name.value.to_string(), calendars.known(&inner, text)?))
    });
    // All are read, so that every error is told in one go.
    named.collect::<Vec<_>>().into_iter().collect()
}
