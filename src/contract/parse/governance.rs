//! What people decide about a contract: timing, redaction, reviewers, waivers, log patterns.

use super::all_fields;
use super::reader::{Table, Text};
use crate::calendar::definition::parse_day;
use crate::contract::{Align, Feature, FieldType, Logs, Sign, Waiver, spelling};
use crate::model::{Class, Span};
use base64::prelude::{BASE64_STANDARD, Engine};

const SETTLE: Span = Span::from_secs(2);

/// Lines that tell of a lost WebSocket, whatever the framework.
const LOG_ERRORS: [&str; 2] = [
    r"(?i)websocket.*(error|fail|closed|refused|timeout|1006)",
    r"(?i)(error|fatal|panic).*(websocket|wss?://|broadcast)",
];

pub struct Timing {
    pub settle: Span,
    pub time_tolerance: Option<Span>,
}

pub fn timing(root: &Table<'_, '_>) -> Timing {
    let Some(table) = root.table("timing") else { return Timing { settle: SETTLE, time_tolerance: None } };
    let timing = Timing {
        settle: table.duration("settle").map_or(SETTLE, |span| span.value),
        time_tolerance: table.span_or_zero("time_tolerance").map(|span| span.value),
    };
    table.finish();
    timing
}

/// The file's tolerance is a default for features that pair by event time.
pub fn check_timing(root: &Table<'_, '_>, features: &[Feature]) {
    if features.iter().all(|feature| feature.align != Align::Time)
        && let Some(table) = root.table("timing")
    {
        table.ineffective("time_tolerance", "no feature has align = \"time\"");
    }
}

pub fn logs(root: &Table<'_, '_>) -> Option<Logs> {
    let default = || LOG_ERRORS.map(String::from).to_vec();
    let Some(table) = root.table("logs") else {
        return (!root.has("logs")).then(|| Logs { sources: Vec::new(), errors: default() });
    };
    let sources = sources(&table);
    let errors = match table.names("errors") {
        Some(list) if list.value.is_empty() => {
            table.error(
                list.at,
                "`errors` is empty, so no line could ever match; remove it to use the default",
            );
            Vec::new()
        }
        Some(list) => list.value.into_iter().filter_map(|text| pattern(&table, text)).collect(),
        None => default(),
    };
    table.finish();
    Some(Logs { sources, errors })
}

fn sources(table: &Table<'_, '_>) -> Vec<(String, String)> {
    let Some(inner) = table.table("sources") else { return Vec::new() };
    let mut sources = Vec::new();
    for (name, value) in inner.members() {
        match inner.member_text(name.value, value) {
            Some(path) if path.value.is_empty() => {
                inner.error(path.at, &format!("log source `{}` has an empty path", name.value));
            }
            Some(path) => sources.push((name.value.to_string(), path.value)),
            None => {}
        }
    }
    sources
}

fn pattern(table: &Table<'_, '_>, text: Text) -> Option<String> {
    match regex_lite::Regex::new(&text.value) {
        Ok(_) => Some(text.value),
        Err(fault) => {
            let message = text.said(format!("not a regular expression: {fault}"));
            table.error(text.at, &message);
            None
        }
    }
}

/// Names of fields; only text can be replaced by a hash and still be what its type says.
pub fn redact(root: &Table<'_, '_>, features: Option<&[Feature]>) -> Option<Vec<String>> {
    let Some(list) = root.names("redact") else { return (!root.has("redact")).then(Vec::new) };
    for text in &list.value {
        let Some(features) = features else { continue };
        let known = || features.iter().flat_map(all_fields);
        let named: Vec<_> = known().filter(|field| field.name == text.value).collect();
        if named.is_empty() {
            let names: Vec<&str> = known().map(|field| field.name.as_str()).collect();
            let cure = spelling::cure(&text.value, names);
            root.error(text.at.clone(), &format!("`redact` names unknown field `{}`; {cure}", text.raw));
        }
        let is_index = |feature: &&Feature| {
            let indexes = [&feature.rest.records.index, &feature.ws.records.index];
            indexes.contains(&&Some(text.value.clone()))
        };
        if let Some(feature) = features.iter().find(is_index) {
            let message = format!(
                "`{}` is `index` of {}: its values are names of members, and those stay as they are; \
                 remove it here, or the `index`",
                text.raw, feature.name
            );
            root.error(text.at.clone(), &message);
        }
        if named.iter().any(|field| !(field.reshape_rest.is_none() && field.reshape_ws.is_none())) {
            let message = format!(
                "`{}` is hashed before `normal` or `map` could make both sides alike; take them away, or it",
                text.raw
            );
            root.error(text.at.clone(), &message);
        }
        let hashable = |kind| matches!(kind, FieldType::String | FieldType::Integer);
        if let Some(field) = named.iter().find(|field| !hashable(field.kind)) {
            let kind = field.kind.name();
            let message = format!(
                "`{}` is a {kind}; a hash in its place could not be compared; \
                 only string and integer fields can be redacted",
                text.raw
            );
            root.error(text.at.clone(), &message);
        }
    }
    Some(list.value.into_iter().map(|text| text.value).collect())
}

pub fn reviewers(root: &Table<'_, '_>) -> Option<Vec<String>> {
    match root.names("reviewers") {
        Some(list) => Some(list.value.into_iter().map(|text| reviewer(root, text)).collect()),
        None => (!root.has("reviewers")).then(Vec::new),
    }
}

/// `ann`, or with the key that her signatures must be made with: `ann ed25519:BASE64`.
fn reviewer(root: &Table<'_, '_>, text: Text) -> String {
    if let Some((name, key)) = text.value.split_once(" ed25519:") {
        let whole = BASE64_STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 32);
        if name.trim().is_empty() || !whole {
            let message = text.said("a reviewer with a key is `NAME ed25519:BASE64` of 32 bytes".into());
            root.error(text.at, &message);
        }
    }
    text.value
}

pub fn waivers(root: &Table<'_, '_>, features: Option<&[Feature]>) -> Option<Vec<Waiver>> {
    let read: Vec<_> = root.tables("waiver").iter().map(|table| waiver(table, features)).collect();
    read.into_iter().collect()
}

fn waiver(table: &Table<'_, '_>, features: Option<&[Feature]>) -> Option<Waiver> {
    let required = |key: &'static str, example: &str| match table.filled_text(key) {
        Some(text) => Some(text),
        None => table.lacking(key, example),
    };
    let feature = required("feature", "\"positions\"");
    let class = class(table);
    let field = table.filled_text("field");
    let (reason, owner) =
        (required("reason", "\"why it is accepted\""), required("owner", "\"who accepts it\""));
    let until = until(table);
    table.finish();
    if let (Some(features), Some(feature)) = (features, &feature) {
        check_names(table, features, feature, field.as_ref());
    }
    Some(Waiver {
        feature: feature?.value,
        class: class?,
        field: field.map(|text| text.value).unwrap_or_default(),
        reason: reason?.value,
        owner: owner?.value,
        until_day: until?,
    })
}

/// `None` when wrong, `Some(None)` when absent: every class.
fn class(table: &Table<'_, '_>) -> Option<Option<Class>> {
    let Some(text) = table.text("class") else { return (!table.has("class")).then_some(None) };
    let class = Class::parse(&text.value);
    if class.is_none() {
        let cure = spelling::cure(&text.value, Class::ALL.iter().map(|class| class.name()));
        table.error(text.at, &format!("unknown class `{}`; {cure}", text.raw));
    }
    class.map(Some)
}

/// A day as a string or as a TOML date.
fn until(table: &Table<'_, '_>) -> Option<i64> {
    let Some(value) = table.raw("until") else { return table.lacking("until", "\"2026-12-31\"") };
    let text = match value.get_ref().as_datetime() {
        Some(date) => date.to_string(),
        None => table.member_text("until", value)?.value,
    };
    parse_day(&text).map_err(|fault| table.error(value.span(), &format!("`until`: {fault}"))).ok()
}

fn check_names(table: &Table<'_, '_>, features: &[Feature], feature: &Text, field: Option<&Text>) {
    let Some(found) = features.iter().find(|known| *known.name == *feature.value) else {
        let cure = spelling::cure(&feature.value, features.iter().map(|known| known.name.as_ref()));
        table.error(feature.at.clone(), &format!("unknown feature `{}`; {cure}", feature.raw));
        return;
    };
    let Some(field) = field else { return };
    if !all_fields(found).any(|known| known.name == field.value) {
        let names: Vec<&str> = all_fields(found).map(|known| known.name.as_str()).collect();
        let cure = spelling::cure(&field.value, names);
        table.error(field.at.clone(), &format!("unknown field `{}` of {}; {cure}", field.raw, feature.raw));
    }
}

/// A type cannot be ignored, or be a sign of life alone, and be a feature's at once.
pub fn check_ignored_types(root: &Table<'_, '_>, features: &[Feature]) {
    let Some(ws) = root.table("ws") else { return };
    let lists = ["ignore_types", "keepalive_types"].into_iter().filter_map(|key| ws.texts(key));
    for text in lists.flat_map(|list| list.value) {
        let sign = Sign::Says { at: None, text: text.value };
        if let Some(feature) = features.iter().find(|feature| feature.ws.signs.contains(&sign)) {
            let message =
                format!("type `{}` is what feature `{}` reads; it cannot be ignored", text.raw, feature.name);
            root.error(text.at, &message);
        }
    }
}
