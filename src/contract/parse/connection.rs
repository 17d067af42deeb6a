//! `[rest]` and `[ws]`: where the feeds are and how to speak to them.
//!
//! An unset `${NAME}` is tolerated here by commands that do not connect, except in what routes frames.

use super::login::login;
use super::reader::{At, Table, Text};
use super::text::{is_header_name, is_header_value, pointer_fault, url_fault};
use crate::contract::{Keepalive, OpenStep, Pointer, RestSettings, Sign, Tls, WsSettings};
use crate::model::Span;

/// Above any JSON that is polled every few seconds, below what hurts.
const MAX_BODY: u64 = 16 << 20;
const MAX_MESSAGE: u64 = 4 << 20;
const MAX_IN_FLIGHT: usize = 8;
const TIMEOUT: Span = Span::from_secs(5);
/// A server that asks who is there does so at once.
const STEP_TIMEOUT: Span = Span::from_secs(10);
const RECONNECT_FIRST: Span = Span::from_secs(1);
const RECONNECT_MOST: Span = Span::from_secs(30);

pub fn rest(root: &Table<'_, '_>) -> Option<RestSettings> {
    let table = section(root, "rest", "base_url = \"https://api.example.com\"")?;
    let base_url = url(&table, "base_url", ["http", "https"]);
    if let Some(text) = &base_url
        && text.known
        && text.value.contains('?')
    {
        table.error(text.at.clone(), "`base_url` has a query; write `query` in the feature's `rest`");
    }
    let plain = base_url.as_ref().is_some_and(|url| url.known && url.value.starts_with("http://"));
    let settings = RestSettings {
        base_url: base_url.map(|url| url.value.trim_end_matches('/').to_string()).unwrap_or_default(),
        timeout: table.duration("timeout").map_or(TIMEOUT, |span| span.value),
        headers: headers(&table),
        login: login(&table),
        most_per_minute: table.count("most_per_minute").map(|count| count.value),
        tls: tls(&table, plain, "https://"),
        max_body: table.bytes("max_body").map_or(MAX_BODY, |bytes| bytes.value),
        max_in_flight: table.count("max_in_flight").map_or(MAX_IN_FLIGHT, |count| count.value as usize),
    };
    table.finish();
    Some(settings)
}

pub fn ws(root: &Table<'_, '_>) -> Option<WsSettings> {
    let table = section(root, "ws", "url = \"wss://api.example.com/ws\"")?;
    let url = url(&table, "url", ["ws", "wss"]);
    let plain = url.as_ref().is_some_and(|url| url.known && url.value.starts_with("ws://"));
    let (reconnect_first, reconnect_most) = reconnect(&table);
    let settings = WsSettings {
        url: url.map(|url| url.value).unwrap_or_default(),
        type_at: message_type(&table),
        ignored: ignored(&table),
        keepalive_types: texts(&table, "keepalive_types", true),
        headers: headers(&table),
        protocols: protocols(&table),
        open: open_steps(&table),
        subscribe: texts(&table, "subscribe", false),
        keepalive: keepalive(&table),
        max_message: table.bytes("max_message").map_or(MAX_MESSAGE, |bytes| bytes.value),
        tls: tls(&table, plain, "wss://"),
        reconnect_first,
        reconnect_most,
    };
    table.finish();
    Some(settings)
}

fn section<'r, 'e>(root: &Table<'r, 'e>, key: &'static str, example: &str) -> Option<Table<'r, 'e>> {
    match root.table(key) {
        Some(table) => Some(table.tolerating_unset()),
        None if root.has(key) => None,
        None => {
            root.lacks(key, format!("`[{key}]` is lacking; add it with `{example}`"));
            None
        }
    }
}

fn url(table: &Table<'_, '_>, key: &'static str, schemes: [&str; 2]) -> Option<Text> {
    let Some(text) = table.text(key) else {
        return table.lacking(key, &format!("\"{}://…\"", schemes[1]));
    };
    if text.known
        && let Some(fault) = url_fault(&text.value, schemes)
    {
        table.error(text.at, &format!("`{key}` {fault}"));
        return None;
    }
    Some(text)
}

/// Routes every frame, so it must be known in a replay too.
fn message_type(table: &Table<'_, '_>) -> Pointer {
    match table.strict_text("type") {
        Some(text) => pointer_or_report(table, &text),
        None => table.lacking("type", "\"/type\"").unwrap_or_default(),
    }
}

fn protocols(table: &Table<'_, '_>) -> Vec<String> {
    let list = table.names("protocols").map(|list| list.value).unwrap_or_default();
    for text in list.iter().filter(|text| text.known && !is_header_name(&text.value)) {
        table.error(text.at.clone(), &format!("`{}` is no subprotocol's name", text.raw));
    }
    list.into_iter().map(|text| text.value).collect()
}

/// `open = [ { expect = { "/type" = "auth_required" } }, { send = "…" } ]`
fn open_steps(table: &Table<'_, '_>) -> Vec<OpenStep> {
    let steps = table.tables("open");
    steps.into_iter().filter_map(|step| open_step(&step.tolerating_unset())).collect()
}

fn open_step(table: &Table<'_, '_>) -> Option<OpenStep> {
    let send = table.filled_text("send");
    let timeout = table.duration("timeout").map_or(STEP_TIMEOUT, |span| span.value);
    let expect = table.table("expect");
    let step = match (send, expect) {
        (Some(text), None) => {
            table.ineffective("timeout", "nothing is waited for when something is sent");
            Some(OpenStep::Send(text.value))
        }
        (None, Some(expect)) => says(&expect).map(|says| OpenStep::Expect { says, timeout }),
        (Some(_), Some(_)) => {
            table.error_at_head("a step sends or it expects; write two steps");
            None
        }
        (None, None) => {
            table.error_at_head("a step needs `send = \"…\"` or `expect = { \"/type\" = \"auth_ok\" }`");
            None
        }
    };
    table.finish();
    step
}

/// What an expected message says, and where.
fn says(table: &Table<'_, '_>) -> Option<Vec<(Pointer, String)>> {
    let members = table.members();
    if members.is_empty() {
        table.error_at_head(
            "`expect` is empty; give a place and what stands there, as in { \"/type\" = \"auth_ok\" }",
        );
        return None;
    }
    let one = |(name, value): (At<&str>, _)| {
        if let Some(fault) = pointer_fault(name.value) {
            table.error(name.at, &format!("`{}`: {fault}", name.value));
            return None;
        }
        let said = match table.json(name.value, value)? {
            serde_json::Value::String(text) => text,
            value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => value.to_string(),
            _ => {
                table.error(name.at, &format!("what `{}` says is a text, a number or a boolean", name.value));
                return None;
            }
        };
        Some((Pointer::parse(name.value).unwrap_or_default(), said))
    };
    members.into_iter().map(one).collect()
}

/// `ignore_types` and `ignore_has`.
fn ignored(table: &Table<'_, '_>) -> Vec<Sign> {
    let types = texts(table, "ignore_types", true).into_iter().map(|text| Sign::Says { at: None, text });
    let mut ignored: Vec<Sign> = types.collect();
    for text in table.names("ignore_has").map(|list| list.value).unwrap_or_default() {
        ignored.push(Sign::Has(place_or_report(table, &text)));
    }
    ignored
}

/// A pointer to what may or may not be there: not to the whole.
pub fn place_or_report(table: &Table<'_, '_>, text: &Text) -> Pointer {
    if text.value.is_empty() {
        table.error(text.at.clone(), "an empty pointer is the whole frame, which is always there");
    }
    pointer_or_report(table, text)
}

/// Reads a JSON pointer and reports what is none.
pub fn pointer_or_report(table: &Table<'_, '_>, text: &Text) -> Pointer {
    match pointer_fault(&text.value) {
        None => Pointer::parse(&text.value).unwrap_or_default(),
        Some(fault) => {
            table.error(text.at.clone(), &format!("`{}`: {fault}", text.raw));
            Pointer::default()
        }
    }
}

fn texts(table: &Table<'_, '_>, key: &'static str, distinct: bool) -> Vec<String> {
    let list = if distinct { table.names(key) } else { table.texts(key) };
    list.map(|list| list.value.into_iter().map(|text| text.value).collect()).unwrap_or_default()
}

/// `headers = { Name = "value" }`. Values are never quoted in an error.
pub fn headers(table: &Table<'_, '_>) -> Vec<(String, String)> {
    let Some(inner) = table.table("headers").map(Table::tolerating_unset) else { return Vec::new() };
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in inner.members() {
        if !is_header_name(name.value) {
            inner.error(name.at, &format!("`{}` is no header name; use letters, digits and `-`", name.value));
            continue;
        }
        if headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name.value)) {
            inner.error(
                name.at,
                &format!("header `{}` stands twice (case does not count); keep one", name.value),
            );
            continue;
        }
        let Some(text) = inner.member_text(name.value, value) else { continue };
        if !is_header_value(&text.value) {
            let message = format!("the value of header `{}` has control codes or outer spaces", name.value);
            inner.error(text.at, &message);
            continue;
        }
        headers.push((name.value.to_string(), text.value));
    }
    headers
}

fn tls(table: &Table<'_, '_>, plain: bool, secure: &str) -> Tls {
    let read = |key| {
        let text = table.filled_text(key)?;
        if plain {
            table.ineffective(key, &format!("the URL does not begin with {secure}"));
        }
        Some(text.value)
    };
    let tls = Tls { ca: read("ca"), client_cert: read("client_cert"), client_key: read("client_key") };
    for (has, lacks) in [("client_cert", "client_key"), ("client_key", "client_cert")] {
        if table.has(has) && !table.has(lacks) {
            table.ineffective(has, &format!("it needs `{lacks}` beside it"));
        }
    }
    tls
}

/// The request's method; only those that read, or that log in.
pub fn method(table: &Table<'_, '_>, default: &str) -> String {
    const KNOWN: [&str; 4] = ["GET", "POST", "PUT", "PATCH"];
    let Some(text) = table.text("method") else { return default.into() };
    if text.known && !KNOWN.contains(&text.value.as_str()) {
        table.error(
            text.at.clone(),
            &format!("`{}` is no method to use here; known: GET, POST, PUT, PATCH", text.raw),
        );
    }
    text.value
}

/// A path under `base_url`.
pub fn path(table: &Table<'_, '_>) -> String {
    let Some(text) = table.text("path") else {
        return table.lacking("path", "\"/api/…\"").unwrap_or_default();
    };
    if text.known && !text.value.starts_with('/') {
        table.error(text.at.clone(), "`path` begins with `/`; the host stands in `base_url`");
    } else if text.known && text.value.chars().any(|c| c.is_whitespace() || c.is_control() || c == '#') {
        table.error(text.at.clone(), "`path` has white space or `#`; write them percent-encoded");
    }
    text.value
}

fn keepalive(table: &Table<'_, '_>) -> Option<Keepalive> {
    let inner = table.table("keepalive")?;
    let every = match inner.duration("every") {
        Some(span) => Some(span.value),
        None => inner.lacking("every", "\"20s\""),
    };
    let send = inner.filled_text("send").map(|text| text.value);
    let timeout = inner.duration("timeout").map(|span| span.value);
    inner.finish();
    let every = every?;
    Some(Keepalive { every, send, timeout: timeout.unwrap_or(every) })
}

fn reconnect(table: &Table<'_, '_>) -> (Span, Span) {
    let Some(inner) = table.table("reconnect") else { return (RECONNECT_FIRST, RECONNECT_MOST) };
    let first = inner.duration("first");
    let most = inner.duration("most");
    inner.finish();
    let place = first.as_ref().or(most.as_ref()).map(|span| span.at.clone());
    let first = first.map_or(RECONNECT_FIRST, |span| span.value);
    let most = most.map_or(RECONNECT_MOST, |span| span.value);
    if let Some(place) = place
        && first > most
    {
        inner.error(place, &format!("`first` ({first}) is longer than `most` ({most}); swap them"));
    }
    (first, most)
}
