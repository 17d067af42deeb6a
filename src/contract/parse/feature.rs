//! `[[feature]]`: one thing that is cut over.
//!
//! Owns what the keys of a feature mean together: which need which, which have no effect beside which.

use super::calendars::{Calendars, zone};
use super::connection::{headers, method, path, place_or_report, pointer_or_report};
use super::field::{self, Context};
use super::reader::{At, Table, Text, integer_of};
use super::records::{changed, mode, records, removed};
use super::text::{is_word, placeholders};
use super::{default_time_tolerance, limits, market, rows};
use crate::calendar::CalendarRule;
use crate::contract::expression::Invariant;
use crate::contract::{
    Align, Cadence, Feature, Field, FieldType, Limits, Mode, Only, Pages, RestFeed, Sign, Source, WsFeed,
    spelling,
};
use crate::model::Span;
use std::sync::Arc;
use toml::de::DeValue;

const MAX_DELAY: Span = Span::from_secs(2);
/// Of one poll: with more, polling is not how this feature is shown.
const MOST_PAGES: u64 = 20;

/// What holds where a feature says nothing.
pub struct Defaults {
    pub calendar: Arc<CalendarRule>,
    pub time_tolerance: Option<Span>,
    pub limits: Limits,
    pub settle: Span,
}

/// All features, or `None` when any is wrong.
pub fn features(root: &Table<'_, '_>, defaults: &Defaults, calendars: &Calendars) -> Option<Vec<Feature>> {
    let tables = root.tables("feature");
    if tables.is_empty() && !root.has("feature") {
        root.lacks("feature", "no feature is declared; add a `[[feature]]`, as `cutover init` shows".into());
        return None;
    }
    let mut names: Vec<String> = Vec::new();
    let mut features = Vec::new();
    for mut table in tables {
        if let Some(name) = name(&table) {
            table.name = format!("feature \"{}\"", name.value);
            if names.contains(&name.value) {
                table.error(name.at, &format!("a second feature is named `{}`; name it otherwise", name.raw));
            }
            names.push(name.value);
        }
        features.push(feature(&table, defaults, calendars));
        table.finish();
    }
    features.into_iter().collect()
}

fn name(table: &Table<'_, '_>) -> Option<Text> {
    let Some(text) = table.text("name") else { return table.lacking("name", "\"positions\"") };
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if text.value.is_empty() || !text.value.chars().all(plain) {
        table.error(text.at, "a feature's name is made of letters, digits, `_`, `-` and `.`");
        return None;
    }
    Some(text)
}

fn feature(table: &Table<'_, '_>, defaults: &Defaults, calendars: &Calendars) -> Option<Feature> {
    let name = table.text("name");
    let flag = flag(table);
    let align = align(table);
    let interval = match table.duration("interval") {
        Some(span) => Some(span.value),
        None => table.lacking("interval", "\"10s\""),
    };
    let cadence = cadence(table);
    let key = key(table);
    let time = table.filled_text("time");
    let calendar = match calendars.named(table, "calendar") {
        Some(rule) => Some(rule),
        None => (!table.has("calendar")).then(|| defaults.calendar.clone()),
    };
    let feature_zone = zone(table, "zone");
    let rest = table.table("rest");
    let ws = table.table("ws");
    let mut rest_feed = match &rest {
        Some(rest) => rest_feed(rest),
        None => table.lacking("rest", "{ path = \"/api/…\", poll = \"10s\", records = \"/…\" }"),
    };
    let mut ws_feed = match &ws {
        Some(ws) => ws_feed(ws),
        None => table.lacking("ws", "{ type = \"…\", records = \"/data\" }"),
    };
    let context = Context {
        align: align.unwrap_or(Align::Time),
        zone: feature_zone.unwrap_or(chrono_tz::UTC),
        in_rows: false,
        key: key.as_ref().map(names_of).unwrap_or_default(),
        time: time.as_ref().map(|time| time.value.clone()),
        rest_untimed: rest_feed.as_ref().is_some_and(|rest| rest.latest_within.is_some()),
        params: rest_feed.iter().flat_map(|rest| &rest.each).map(|(name, _)| name.clone()).collect(),
        records_rest: rest_feed.as_ref().map(|rest| rest.records.clone()).unwrap_or_default(),
        records_ws: ws_feed.as_ref().map(|ws| ws.records.clone()).unwrap_or_default(),
    };
    let field_table = table.table("fields");
    let fields = match &field_table {
        Some(inner) => field::fields(inner, &context),
        None => table.lacking("fields", "{ account_id = { type = \"integer\" } }"),
    };
    let rows_table = table.table("rows");
    let rows = rows_table.as_ref().map(|inner| rows::rows(inner, &context));
    let whole_rows = rows.as_ref().and_then(Option::as_ref);
    let row_fields = whole_rows.map(|rows| rows.fields.as_slice()).unwrap_or_default();
    let invariants = match (&fields, &rows) {
        (Some(fields), None | Some(Some(_))) => invariants(table, fields, row_fields),
        _ => table.names("invariants").map(|_| Vec::new()).unwrap_or_default(),
    };
    if let (Some(rest), true) = (&rest, context.rest_untimed && context.align != Align::Bucket) {
        rest.ineffective("shows", "only a bucket (align = \"bucket\") is closed");
    }
    if let Some(fields) = &fields {
        check_roles(table, &context, key.as_ref(), time.as_ref(), align, fields);
        check_zone(table, fields, row_fields);
        let lone = |on_rows| {
            invariants.iter().filter(move |i| i.on_rows == on_rows).flat_map(Invariant::lone_fields)
        };
        if let Some(inner) = &field_table {
            field::check_tolerances(inner, fields, &lone(false).collect::<Vec<_>>());
        }
        if let Some(inner) = rows_table.as_ref().and_then(|rows| rows.table("fields")) {
            field::check_tolerances(&inner, row_fields, &lone(true).collect::<Vec<_>>());
        }
        if let (Some(rest_table), Some(rest)) = (&rest, &mut rest_feed) {
            check_each(rest_table, rest, fields);
            rest.only = only(rest_table, fields, |field| &field.rest);
        }
        if let (Some(ws_table), Some(ws)) = (&ws, &mut ws_feed) {
            ws.only = only(ws_table, fields, |field| &field.ws);
            check_removed(ws_table, ws, &context.key, fields);
        }
        for (feed, records) in [(&rest, &context.records_rest), (&ws, &context.records_ws)] {
            if let (Some(feed), Some(index)) = (feed, &records.index) {
                check_index(feed, index, fields);
            }
        }
    }
    let market =
        fields.as_deref().and_then(|fields| market::market(table, fields, calendar.as_ref(), calendars));
    let windows = windows(table, align, interval, defaults);
    let limits = limits::of_feature(table, &defaults.limits, cadence);
    Some(Feature {
        name: name?.value.as_str().into(),
        flag,
        align: align?,
        interval: interval?,
        cadence,
        key: names_of(&key?),
        time: time.map(|time| time.value),
        calendar: calendar?,
        time_tolerance: windows.time_tolerance,
        max_delay: windows.max_delay,
        revise_for: windows.revise_for,
        settle: windows.settle,
        zone: feature_zone.unwrap_or(chrono_tz::UTC),
        rest: rest_feed?,
        ws: ws_feed?,
        fields: fields?,
        rows: match rows {
            Some(rows) => Some(rows?),
            None => None,
        },
        invariants,
        market,
        limits,
    })
}

fn flag(table: &Table<'_, '_>) -> String {
    let Some(text) = table.filled_text("flag") else { return String::new() };
    if !is_word(&text.value) {
        table.error(
            text.at,
            &format!("`{}` cannot be an environment variable; use letters, digits and `_`", text.raw),
        );
    }
    text.value
}

/// One of a few words.
fn choice<T: Copy>(table: &Table<'_, '_>, key: &'static str, known: &[(&'static str, T)]) -> Option<T> {
    let text = table.text(key)?;
    let found = known.iter().find(|(name, _)| *name == text.value);
    if found.is_none() {
        let cure = spelling::cure(&text.value, known.iter().map(|(name, _)| *name));
        table.error(text.at, &format!("`{}` is no {key}; {cure}", text.raw));
    }
    found.map(|(_, value)| *value)
}

fn align(table: &Table<'_, '_>) -> Option<Align> {
    let known = [("time", Align::Time), ("arrival", Align::Arrival), ("bucket", Align::Bucket)];
    match choice(table, "align", &known) {
        Some(align) => Some(align),
        None => table.lacking("align", "\"time\""),
    }
}

fn cadence(table: &Table<'_, '_>) -> Cadence {
    let known = [("periodic", Cadence::Periodic), ("on-change", Cadence::OnChange)];
    choice(table, "cadence", &known).unwrap_or(Cadence::Periodic)
}

fn key(table: &Table<'_, '_>) -> Option<At<Vec<Text>>> {
    let Some(list) = table.names("key") else { return table.lacking("key", "[\"account_id\"]") };
    if list.value.is_empty() {
        let message = "`key` is empty; name what tells records apart, or declare a constant such as \
                       `feed = { type = \"string\", rest = \"'all'\", ws = \"'all'\" }`";
        table.error(list.at, message);
        return None;
    }
    Some(list)
}

fn names_of(list: &At<Vec<Text>>) -> Vec<String> {
    list.value.iter().map(|text| text.value.clone()).collect()
}

struct Windows {
    settle: Span,
    time_tolerance: Span,
    max_delay: Span,
    revise_for: Span,
}

fn windows(
    table: &Table<'_, '_>,
    align: Option<Align>,
    interval: Option<Span>,
    defaults: &Defaults,
) -> Windows {
    let own_tolerance = table.span_or_zero("time_tolerance");
    let max_delay = table.duration("max_delay");
    let revise_for = table.span_or_zero("revise_for");
    if align.is_some_and(|align| align != Align::Time) {
        table.ineffective("time_tolerance", "only align = \"time\" pairs by event time");
    }
    if align == Some(Align::Arrival) {
        table.ineffective("max_delay", "with align = \"arrival\" there is no event time to be late against");
    }
    if align.is_some_and(|align| align != Align::Bucket) {
        table.ineffective("revise_for", "only a bucket (align = \"bucket\") is final and can be revised");
    }
    let interval = interval.unwrap_or(Span::from_secs(10));
    if let Some(found) = &own_tolerance
        && found.value >= interval
    {
        let message = format!(
            "`time_tolerance` must be shorter than the interval ({interval}), or neighbours would pair"
        );
        table.error(found.at.clone(), &message);
    }
    // The file's own default is for all features, so it is cut to each one's interval rather than refused.
    let shared = defaults.time_tolerance.map(|span| span.min(interval.half()));
    let settle = table.duration("settle").map_or(defaults.settle, |span| span.value);
    Windows {
        settle,
        time_tolerance: own_tolerance
            .map(|span| span.value)
            .or(shared)
            .unwrap_or_else(|| default_time_tolerance(interval)),
        max_delay: max_delay.map_or(MAX_DELAY, |span| span.value),
        revise_for: revise_for.map_or(Span::ZERO, |span| span.value),
    }
}

fn rest_feed(table: &Table<'_, '_>) -> Option<RestFeed> {
    let path = path(table);
    let poll = match table.duration("poll") {
        Some(span) => Some(span.value),
        None => table.lacking("poll", "\"10s\""),
    };
    let feed = RestFeed {
        path,
        poll: poll.unwrap_or(Span::from_secs(1)),
        records: records(table),
        each: each(table),
        method: method(table, "GET"),
        query: query(table),
        headers: headers(table),
        latest_within: latest_within(table),
        pages: pages(table),
        only: Vec::new(),
        mode: mode(table, &[Mode::Upsert, Mode::Snapshot]),
    };
    // Read once the fields are known.
    table.raw("only");
    table.finish();
    poll.map(|_| feed)
}

fn ws_feed(table: &Table<'_, '_>) -> Option<WsFeed> {
    let signs = signs(table);
    let records = records(table);
    let mode = mode(table, &[Mode::Upsert, Mode::Snapshot, Mode::Patch]);
    let (removed, changed) = (removed(table, mode), changed(table, mode));
    // Read once the fields are known.
    table.raw("only");
    table.finish();
    Some(WsFeed { signs: signs?, records, only: Vec::new(), mode, removed, changed })
}

/// `type = "positions"`, `type = 7` with `type_at = "/id"`, `has = "/event/c"`, or a list of such places.
fn signs(table: &Table<'_, '_>) -> Option<Vec<Sign>> {
    if table.has("has") {
        for key in ["type", "type_at"] {
            table.ineffective(key, "`has` says already which frames are this feature's");
        }
        let one = matches!(table.raw("has").map(|value| value.get_ref()), Some(DeValue::String(_)));
        let places = match one {
            true => table.filled_text("has").into_iter().collect(),
            false => {
                let list = table.names("has")?;
                if list.value.is_empty() {
                    table.error(list.at, "`has` names no place; give one or more, such as `[\"/event/a\"]`");
                    return None;
                }
                list.value
            }
        };
        return Some(places.iter().map(|text| Sign::Has(place_or_report(table, text))).collect());
    }
    let at = table.filled_text("type_at").map(|text| pointer_or_report(table, &text));
    let number = table.raw("type").and_then(|value| match value.get_ref() {
        DeValue::Integer(_) => integer_of(value.get_ref()).map(|number| number.to_string()),
        _ => None,
    });
    let text = number.or_else(|| table.filled_text("type").map(|text| text.value));
    match text {
        Some(text) => Some(vec![Sign::Says { at, text }]),
        None => table.lacking("type", "\"positions\""),
    }
}

/// What is gone is named by one field of the key; the others stand at the message's root.
fn check_removed(table: &Table<'_, '_>, ws: &WsFeed, key: &[String], fields: &[Field]) {
    let Some(text) = table.filled_text("removed").filter(|_| ws.removed.is_some()) else { return };
    let own = fields.iter().filter(|f| key.contains(&f.name) && !matches!(f.ws, Source::Root(_)));
    let own: Vec<&str> = own.map(|field| field.name.as_str()).collect();
    if own.len() != 1 {
        let message = format!(
            "`removed` names records by one field, and the key has {} that do not stand at the message's root: {}",
            own.len(),
            own.join(", ")
        );
        table.error(text.at, &message);
    }
}

/// `each = { account_id = [123, 456] }`
fn each(table: &Table<'_, '_>) -> Vec<(String, Vec<serde_json::Value>)> {
    let Some(inner) = table.table("each") else { return Vec::new() };
    let mut each = Vec::new();
    for (name, value) in inner.members() {
        if !is_word(name.value) {
            inner.error(
                name.at,
                &format!("parameter `{}` must be made of letters, digits and `_`", name.value),
            );
            continue;
        }
        let mut values: Vec<serde_json::Value> = Vec::new();
        match value.get_ref() {
            DeValue::Array(list) if !list.is_empty() => {
                for item in list.iter() {
                    if matches!(item.get_ref(), DeValue::Array(_) | DeValue::Table(_)) {
                        inner.error(item.span(), "a parameter's values are strings, numbers or booleans");
                        continue;
                    }
                    let Some(scalar) = inner.json(name.value, item) else { continue };
                    if values.contains(&scalar) {
                        inner.error(
                            item.span(),
                            &format!("a value of `{}` stands twice; keep one", name.value),
                        );
                    }
                    values.push(scalar);
                }
            }
            _ => {
                let message = format!("`{0}` needs a list of values, as in {0} = [123, 456]", name.value);
                inner.error(value.span(), &message);
            }
        }
        each.push((name.value.to_string(), values));
    }
    each
}

/// `shows = "latest-closed", within = "61s"`
fn latest_within(table: &Table<'_, '_>) -> Option<Span> {
    let shows = choice(table, "shows", &[("all", false), ("latest-closed", true)]).unwrap_or(false);
    let within = table.duration("within").map(|span| span.value);
    if !shows {
        table.ineffective("within", "only with shows = \"latest-closed\" can a bar be late");
        return None;
    }
    within.or_else(|| table.lacking("within", "\"61s\""))
}

/// `pages = { next = "/next", most = 20 }`
fn pages(table: &Table<'_, '_>) -> Option<Pages> {
    let inner = table.table("pages")?;
    let next = match inner.text("next") {
        Some(text) => place_or_report(&inner, &text),
        None => inner.lacking("next", "\"/next\"").unwrap_or_default(),
    };
    let param = inner.filled_text("param").map(|text| text.value);
    let most = inner.count("most").map_or(MOST_PAGES, |count| count.value);
    inner.finish();
    Some(Pages { next, param, most })
}

/// Values may be credentials, so they are never quoted in an error.
fn query(table: &Table<'_, '_>) -> Vec<(String, String)> {
    let Some(inner) = table.table("query").map(Table::tolerating_unset) else { return Vec::new() };
    let mut query = Vec::new();
    for (name, value) in inner.members() {
        match inner.json(name.value, value) {
            Some(serde_json::Value::String(text)) => query.push((name.value.to_string(), text)),
            Some(scalar @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => {
                query.push((name.value.to_string(), scalar.to_string()));
            }
            Some(_) => inner.error(
                value.span(),
                &format!("`{}` of a query is a string, a number or a boolean", name.value),
            ),
            None => {}
        }
    }
    query
}

/// A parameter that changes no request has no effect; one in a path that nobody declares cannot be filled.
fn check_each(table: &Table<'_, '_>, rest: &RestFeed, fields: &[Field]) {
    let in_path = placeholders(&rest.path);
    let in_query: Vec<&str> = rest.query.iter().flat_map(|(_, value)| placeholders(value)).collect();
    let declared = |name: &str| rest.each.iter().any(|(param, _)| param == name);
    if let Some(path) = table.text("path")
        && let Some(unknown) = in_path.iter().find(|name| !declared(name))
    {
        let known: Vec<&str> = rest.each.iter().map(|(name, _)| name.as_str()).collect();
        let cure = spelling::cure(unknown, known);
        table.error(path.at, &format!("`{{{unknown}}}` in `path` is no parameter of `each`; {cure}"));
    }
    let Some(inner) = table.table("each") else { return };
    for (name, _) in &rest.each {
        let in_field =
            fields.iter().any(|field| matches!(&field.rest, Source::Param(param) if param == name));
        if !in_path.contains(&name.as_str()) && !in_query.contains(&name.as_str()) && !in_field {
            inner.ineffective(
                name,
                &format!("neither `path` nor `query` has `{{{name}}}`, nor a field `@{name}`"),
            );
        }
    }
}

/// `only = { is_active = true, kind = ["EQ", "FUT"] }`: which records of a side are in scope.
fn only(table: &Table<'_, '_>, fields: &[Field], source: impl Fn(&Field) -> &Source) -> Vec<Only> {
    let Some(inner) = table.table("only") else { return Vec::new() };
    let mut only = Vec::new();
    for (name, value) in inner.members() {
        let Some(column) = fields.iter().position(|field| field.name == name.value) else {
            let cure = spelling::cure(name.value, fields.iter().map(|field| field.name.as_str()));
            inner.error(name.at, &format!("`only` names unknown field `{}`; {cure}", name.value));
            continue;
        };
        if *source(&fields[column]) == Source::Absent {
            inner.error(
                name.at,
                &format!("`{}` is not on this side, so no record would be in scope", name.value),
            );
            continue;
        }
        let given = match inner.json(name.value, value) {
            Some(serde_json::Value::Array(list)) if !list.is_empty() => list,
            Some(one) => vec![one],
            None => continue,
        };
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => Some(text.clone()),
            serde_json::Value::Number(_) | serde_json::Value::Bool(_) => Some(value.to_string()),
            _ => None,
        };
        match given.iter().map(text).collect::<Option<Vec<String>>>() {
            Some(values) => only.push(Only { column, values }),
            None => inner.error(
                value.span(),
                &format!("`{}` must be what the field says in scope, or a list of that", name.value),
            ),
        }
    }
    only
}

fn check_index(table: &Table<'_, '_>, index: &str, fields: &[Field]) {
    if fields.iter().any(|field| field.name == index) {
        return;
    }
    if let Some(text) = table.text("index") {
        let cure = spelling::cure(index, fields.iter().map(|field| field.name.as_str()));
        table.error(text.at, &format!("`index` names unknown field `{}`; {cure}", text.raw));
    }
}

/// Key and time: declared, of a fitting type, on both sides.
fn check_roles(
    table: &Table<'_, '_>,
    context: &Context,
    key: Option<&At<Vec<Text>>>,
    time: Option<&Text>,
    align: Option<Align>,
    fields: &[Field],
) {
    for text in key.iter().flat_map(|key| &key.value) {
        let Some(field) = declared(table, text, "key", fields) else { continue };
        if field.kind == FieldType::Countdown {
            table.error(
                text.at.clone(),
                &format!("countdown `{}` changes by itself and cannot be a key", text.raw),
            );
        }
        if context.time.as_ref() == Some(&field.name) {
            let message = format!(
                "`{}` is `time` and part of `key`; then each version is a stream of its own",
                text.raw
            );
            table.error(text.at.clone(), &message);
        }
    }
    match (align, time) {
        (Some(Align::Arrival), Some(_)) => {
            let why = "align = \"arrival\" compares arrivals; \
                       with an event time on both sides use align = \"time\"";
            table.ineffective("time", why);
        }
        (Some(align @ (Align::Time | Align::Bucket)), None) if !table.has("time") => {
            let timestamps = fields.iter().find(|field| field.kind == FieldType::Timestamp);
            let example = timestamps.map_or("timestamp", |field| field.name.as_str());
            let message = format!(
                "align = \"{}\" needs `time`, the field that carries the event time; \
                 add `time = \"{example}\"`, or use align = \"arrival\"",
                align.name()
            );
            table.error_at_head(&message);
        }
        (_, Some(time)) => {
            let Some(field) = declared(table, time, "time", fields) else { return };
            if field.kind != FieldType::Timestamp {
                let message =
                    format!("`time` must be a timestamp, and `{}` is a {}", time.raw, field.kind.name());
                table.error(time.at.clone(), &message);
            }
        }
        _ => {}
    }
}

fn declared<'f>(table: &Table<'_, '_>, text: &Text, role: &str, fields: &'f [Field]) -> Option<&'f Field> {
    let found = fields.iter().find(|field| field.name == text.value);
    if found.is_none() {
        let cure = spelling::cure(&text.value, fields.iter().map(|field| field.name.as_str()));
        let message = format!("`{role}` names `{}`, which is not declared in `fields`; {cure}", text.raw);
        table.error(text.at.clone(), &message);
    }
    found
}

fn check_zone(table: &Table<'_, '_>, fields: &[Field], row_fields: &[Field]) {
    let timestamps = || fields.iter().chain(row_fields).filter(|field| field.kind == FieldType::Timestamp);
    if timestamps().next().is_none() {
        table.ineffective("zone", "no field is a timestamp");
    }
}

fn invariants(table: &Table<'_, '_>, fields: &[Field], row_fields: &[Field]) -> Vec<Invariant> {
    let Some(list) = table.names("invariants") else { return Vec::new() };
    list.value
        .iter()
        .filter_map(|text| match Invariant::parse(&text.value, fields, row_fields) {
            Ok(invariant) => Some(invariant),
            Err(fault) => {
                table
                    .error(text.inside(table, fault.at), &text.said(format!("invariant: {}", fault.message)));
                None
            }
        })
        .collect()
}
