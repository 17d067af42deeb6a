//! Which parts of a contract are credentials, and the text without them.
//!
//! Owns the law that a capture and an error message carry none: literal values of `headers`, `query` and
//! of a login's body, user names and passwords in URLs, the query of the WebSocket's URL, and what is called a
//! token, a key or a password in a path's query or in a message, and the values of request parameters that
//! `redact` names. `${NAME}` is no secret and stays; in a `query` so does a request parameter `{name}`.

use super::text::is_word;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Stands where a credential stood.
pub const BLOT: &str = "***";

/// Tables whose values are credentials, wherever they stand under `rest` and `ws`.
const SECRET_TABLES: [&str; 4] = ["headers", "query", "json", "form"];

/// The text with each literal credential replaced in place, else byte for byte.
pub fn recorded_text(text: &str, document: &DeTable<'_>) -> String {
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    each_secret(document, &mut |span, value, params| edits.push((span, blotted(value, params))));
    each_mixed(document, &mut |span, masked| edits.push((span, quoted(&masked))));
    each_redacted(document, &mut |span| edits.push((span, format!("[\"{BLOT}\"]"))));
    edits.sort_by_key(|(span, _)| span.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (span, replacement) in edits {
        if span.start < at || text.get(span.clone()).is_none() {
            continue;
        }
        out.push_str(&text[at..span.start]);
        out.push_str(&replacement);
        at = span.end;
    }
    out.push_str(&text[at..]);
    out
}

/// The byte ranges that an excerpt must not show. More than what is recorded without: a misspelt `header`
/// holds a credential too, so what nobody knows is blotted where credentials may stand.
pub fn secret_spans(document: &DeTable<'_>) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    each_secret(document, &mut |span, value, params| {
        if !matches!(value, DeValue::String(text) if blotted_text(text, params) == **text) {
            spans.push(span);
        }
    });
    each_mixed(document, &mut |span, _| spans.push(span));
    each_redacted(document, &mut |span| spans.push(span));
    each_unknown(document, &mut |span, _, _| spans.push(span));
    spans
}

/// Where a recording's blots stand in the place of credentials: with them nobody can connect.
pub fn blots(document: &DeTable<'_>) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    each_secret(document, &mut |span, value, _| {
        if matches!(value, DeValue::String(text) if text.contains(BLOT)) {
            spans.push(span);
        }
    });
    let at_top =
        |table: &str| document.iter().find(|(key, _)| key.get_ref() == table).map(|(_, value)| value);
    let urls = [("rest", "base_url"), ("ws", "url")].into_iter().filter_map(|(t, m)| member(at_top(t)?, m));
    let features = at_top("feature").map(items).unwrap_or_default();
    let paths = features.into_iter().filter_map(|feature| member(member(feature, "rest")?, "path"));
    for value in urls.chain(paths) {
        if value.get_ref().as_str().is_some_and(|text| text.contains(BLOT)) {
            spans.push(value.span());
        }
    }
    spans
}

const KNOWN_AT_TOP: [&str; 12] = [
    "version",
    "rest",
    "ws",
    "market",
    "timing",
    "feature",
    "redact",
    "reviewers",
    "calendar",
    "waiver",
    "checks",
    "logs",
];

/// Keys of the connections whose values are no credentials; `login` has its own.
const HARMLESS: [&str; 40] = [
    "base_url",
    "timeout",
    "ca",
    "client_cert",
    "client_key",
    "max_body",
    "max_in_flight",
    "most_per_minute",
    "protocols",
    "open",
    "url",
    "type",
    "ignore_types",
    "ignore_has",
    "keepalive_types",
    "type_at",
    "has",
    "max_message",
    "keepalive",
    "reconnect",
    "path",
    "poll",
    "records",
    "index",
    "except",
    "flatten",
    "join",
    "absent",
    "mode",
    "removed",
    "changed",
    "each",
    "method",
    "shows",
    "within",
    "pages",
    "login",
    "only",
    "first",
    "most",
];
const HARMLESS_IN_LOGIN: [&str; 10] =
    ["method", "path", "token", "header", "format", "cookie", "cookies", "param", "renew", "from"];

fn each_unknown(document: &DeTable<'_>, visit: Visit<'_>) {
    for (key, value) in document.iter() {
        match key.get_ref().as_ref() {
            "rest" | "ws" => unknown_under(value, &HARMLESS, visit),
            "feature" => {
                for feature in items(value) {
                    let feeds = ["rest", "ws"].into_iter().filter_map(|side| member(feature, side));
                    feeds.for_each(|feed| unknown_under(feed, &HARMLESS, visit));
                }
            }
            known if KNOWN_AT_TOP.contains(&known) => {}
            _ => each_leaf(value, false, visit),
        }
    }
}

fn unknown_under(value: &Spanned<DeValue<'_>>, harmless: &[&str], visit: Visit<'_>) {
    let Some(table) = value.get_ref().as_table() else { return each_leaf(value, false, visit) };
    for (key, value) in table.iter() {
        match key.get_ref().as_ref() {
            // Their values are blotted by their own rule, which leaves references to be seen.
            name if SECRET_TABLES.contains(&name) => {}
            "login" | "refresh" => unknown_under(value, &HARMLESS_IN_LOGIN, visit),
            name if harmless.contains(&name) => {}
            _ => each_leaf(value, false, visit),
        }
    }
}

/// In a torn file tables cannot be told for sure, so all quoted text near credentials is suspect.
pub fn suspect_spans(text: &str) -> Vec<Range<usize>> {
    const WORDS: [&str; 9] = ["headers", "login", "query", "json", "auth", "token", "pass", "secret", "://"];
    let mut spans = Vec::new();
    let (mut at, mut in_connection, mut braces) = (0, false, 0_i64);
    for line in text.split_inclusive('\n') {
        let lower = line.to_lowercase();
        if line.trim_start().starts_with('[') && !line.contains('=') {
            in_connection = ["rest", "ws", "login", "headers"].iter().any(|word| lower.contains(word));
            braces = 0;
        }
        braces += line.matches('{').count() as i64 - line.matches('}').count() as i64;
        if in_connection || braces > 0 || WORDS.iter().any(|word| lower.contains(word)) {
            if let Some(quote) = line.find(['"', '\'']) {
                spans.push(at + quote + 1..at + line.trim_end().len());
            } else if !line.contains('=') {
                // Perhaps the inside of a torn multi-line string.
                spans.push(at..at + line.trim_end().len());
            }
        }
        at += line.len();
    }
    spans
}

/// Told the value's place, the value, and whether request parameters may stand in it.
type Visit<'v> = &'v mut dyn FnMut(Range<usize>, &DeValue<'_>, bool);

fn each_secret(document: &DeTable<'_>, visit: Visit<'_>) {
    for (key, value) in document.iter() {
        match key.get_ref().as_ref() {
            "rest" | "ws" => secrets_under(value, visit),
            "feature" => {
                for feature in items(value) {
                    for side in ["rest", "ws"] {
                        if let Some(feed) = member(feature, side) {
                            secrets_under(feed, visit);
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

/// The values of parameters whose field, or whose own name, is to be redacted.
fn each_redacted(document: &DeTable<'_>, visit: &mut dyn FnMut(Range<usize>)) {
    let find =
        |name: &str| document.iter().find(|(key, _)| key.get_ref().as_ref() == name).map(|(_, value)| value);
    let (Some(redact), Some(features)) = (find("redact"), find("feature")) else { return };
    let redacted: Vec<&str> = items(redact).into_iter().filter_map(|name| name.get_ref().as_str()).collect();
    for feature in items(features) {
        let field = |name: &str| member(member(feature, "fields")?, name);
        let source = |name: &&str| member(field(name)?, "rest")?.get_ref().as_str()?.strip_prefix('@');
        let sources: Vec<&str> = redacted.iter().filter_map(source).collect();
        let each = member(feature, "rest").and_then(|rest| member(rest, "each"));
        let Some(each) = each.and_then(|each| each.get_ref().as_table()) else { continue };
        for (name, values) in each.iter() {
            let name = name.get_ref().as_ref();
            if redacted.contains(&name) || sources.contains(&name) {
                visit(values.span());
            }
        }
    }
}

/// A lone `[feature]` is an error, but its credentials are credentials.
fn items<'v, 'i>(value: &'v Spanned<DeValue<'i>>) -> Vec<&'v Spanned<DeValue<'i>>> {
    match value.get_ref() {
        DeValue::Array(list) => list.iter().collect(),
        _ => vec![value],
    }
}

fn member<'v, 'i>(value: &'v Spanned<DeValue<'i>>, name: &str) -> Option<&'v Spanned<DeValue<'i>>> {
    let table = value.get_ref().as_table()?;
    table.iter().find(|(key, _)| key.get_ref().as_ref() == name).map(|(_, value)| value)
}

fn secrets_under(value: &Spanned<DeValue<'_>>, visit: Visit<'_>) {
    let Some(table) = value.get_ref().as_table() else { return };
    for (key, value) in table.iter() {
        match key.get_ref().as_ref() {
            name if SECRET_TABLES.contains(&name) => each_leaf(value, name == "query", visit),
            "login" | "refresh" => secrets_under(value, visit),
            _ => {}
        }
    }
}

fn each_leaf(value: &Spanned<DeValue<'_>>, params: bool, visit: Visit<'_>) {
    match value.get_ref() {
        DeValue::Table(table) => table.iter().for_each(|(_, value)| each_leaf(value, params, visit)),
        DeValue::Array(list) => list.iter().for_each(|value| each_leaf(value, params, visit)),
        leaf => visit(value.span(), leaf, params),
    }
}

/// Texts that hold a credential beside other things, with it blotted.
fn each_mixed(document: &DeTable<'_>, visit: &mut dyn FnMut(Range<usize>, String)) {
    let mut mixed = |value: Option<&Spanned<DeValue<'_>>>, mask: fn(&str) -> String| {
        let text = value.and_then(|value| Some((value.span(), value.get_ref().as_str()?)));
        if let Some((span, text)) = text
            && mask(text) != text
        {
            visit(span, mask(text));
        }
    };
    for (key, value) in document.iter() {
        match key.get_ref().as_ref() {
            "rest" => {
                mixed(member(value, "base_url"), masked_url);
                let login = member(value, "login");
                let refresh = login.and_then(|login| member(login, "refresh"));
                for request in [login, refresh].into_iter().flatten() {
                    mixed(member(request, "path"), masked_path);
                }
            }
            "ws" => {
                mixed(member(value, "url"), masked_url);
                mixed(
                    member(value, "keepalive").and_then(|keepalive| member(keepalive, "send")),
                    masked_message,
                );
                for message in member(value, "subscribe").map(items).unwrap_or_default() {
                    mixed(Some(message), masked_message);
                }
                for step in member(value, "open").map(items).unwrap_or_default() {
                    mixed(member(step, "send"), masked_message);
                }
            }
            "feature" => {
                for feature in items(value) {
                    mixed(member(feature, "rest").and_then(|rest| member(rest, "path")), masked_path);
                }
            }
            _ => {}
        }
    }
}

fn blotted(value: &DeValue<'_>, params: bool) -> String {
    match value {
        DeValue::String(text) => quoted(&blotted_text(text, params)),
        _ => quoted(BLOT),
    }
}

/// Blots what stands between references: `Bearer ${TOKEN}` becomes `***${TOKEN}`.
fn blotted_text(text: &str, params: bool) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, reference, after)) = next_reference(rest, params) {
        if !before.is_empty() {
            out.push_str(BLOT);
        }
        out.push_str(reference);
        rest = after;
    }
    if !rest.is_empty() || out.is_empty() {
        out.push_str(BLOT);
    }
    out
}

/// The first `${NAME}` (or, among `params`, `{name}`) with what stands before and after it.
fn next_reference(text: &str, params: bool) -> Option<(&str, &str, &str)> {
    text.char_indices().filter(|(_, c)| *c == '{').find_map(|(open, _)| {
        let close = open + text[open..].find('}')?;
        let variable = text[..open].ends_with('$');
        let start = if variable { open - 1 } else { open };
        let known = is_word(&text[open + 1..close]) && (variable || params);
        known.then(|| (&text[..start], &text[start..=close], &text[close + 1..]))
    })
}

/// Without user name, password and the values of the query.
fn masked_url(url: &str) -> String {
    let (head, query) = url.split_once('?').map_or((url, None), |(head, query)| (head, Some(query)));
    let mut out = head.to_string();
    if let Some((scheme, rest)) = head.split_once("://") {
        let authority_end = rest.find('/').unwrap_or(rest.len());
        if let Some(at) = rest[..authority_end].rfind('@') {
            out = format!("{scheme}://{}{}", blotted_text(&rest[..at], false), &rest[at..]);
        }
    }
    if let Some(query) = query {
        out.push('?');
        out.push_str(&masked_query(query, |_| true, false));
    }
    out
}

/// Without what the query of a path calls a secret; the rest of it says what is asked for.
fn masked_path(path: &str) -> String {
    match path.split_once('?') {
        Some((head, query)) => format!("{head}?{}", masked_query(query, sounds_secret, true)),
        None => path.to_string(),
    }
}

fn masked_query(query: &str, secret: fn(&str) -> bool, params: bool) -> String {
    let mask = |pair: &str| match pair.split_once('=') {
        Some((name, value)) if !value.is_empty() && secret(name) => {
            format!("{name}={}", blotted_text(value, params))
        }
        _ => pair.to_string(),
    };
    query.split('&').map(mask).collect::<Vec<String>>().join("&")
}

/// Without what a JSON message calls a secret, as in `{"type":"auth","token":"…"}`.
fn masked_message(text: &str) -> String {
    let Ok(whole) = serde_json::from_str::<serde_json::Value>(text) else { return text.to_string() };
    let mut masked = whole.clone();
    blot_members(&mut masked, false);
    if masked == whole { text.to_string() } else { masked.to_string() }
}

fn blot_members(value: &mut serde_json::Value, secret: bool) {
    use serde_json::Value;
    match value {
        Value::Object(members) => {
            members.iter_mut().for_each(|(name, value)| blot_members(value, secret || sounds_secret(name)));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| blot_members(value, secret)),
        Value::String(text) if secret => *text = blotted_text(text, false),
        Value::Number(_) if secret => *value = Value::String(BLOT.into()),
        _ => {}
    }
}

/// Whether a member or a parameter of this name is a credential. Better one too many: what is blotted here
/// is needed by no replay.
fn sounds_secret(name: &str) -> bool {
    const WORDS: [&str; 8] =
        ["token", "pass", "secret", "auth", "apikey", "api_key", "credential", "signature"];
    let name = name.to_lowercase();
    WORDS.iter().any(|word| name.contains(word)) || name == "key"
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
