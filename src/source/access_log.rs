//! Access logs as requests of the frontend: the combined format of nginx and Apache, and JSON lines.
//!
//! Owns how a line becomes a request. Must not: judge it, or tell one client from another.

use super::import::{Imported, Routes};
use crate::contract::Contract;
use crate::model::time::days_from_civil;
use crate::model::{Span, Timestamp};
use regex_lite::Regex;
use serde_json::Value;
use std::sync::LazyLock;

/// Members of JSON lines, as nginx, Apache, Caddy, Traefik, Envoy and pino are commonly told to write them.
const TIME: [&str; 9] =
    ["time", "@timestamp", "timestamp", "time_iso8601", "time_local", "StartUTC", "start_time", "ts", "msec"];
const STARTS: [&str; 2] = ["StartUTC", "start_time"];
const METHOD: [&str; 5] = ["method", "request_method", "RequestMethod", "verb", "http_method"];
const TARGET: [&str; 7] =
    ["request_uri", "uri", "RequestPath", "path", "url", "target", "x-envoy-original-path"];
const STATUS: [&str; 6] = ["status", "response_code", "DownstreamStatus", "status_code", "response", "code"];
const AGENT: [&str; 7] = [
    "http_user_agent",
    "user_agent",
    "userAgent",
    "user-agent",
    "request_User-Agent",
    "request_user_agent",
    "agent",
];
/// Seconds that the request took.
const SECONDS: [&str; 3] = ["request_time", "duration", "duration_s"];

const SWITCHED: u16 = 101;

#[derive(Debug, thiserror::Error)]
#[error(
    "none of its {lines} lines is a request, e.g. line 1: `{first}`; the combined format of nginx and Apache is \
     read, and JSON lines with a time, a method, a path and a status"
)]
pub struct AccessLogError {
    lines: u64,
    first: String,
}

struct Line {
    /// When the request came.
    at: Timestamp,
    method: String,
    target: String,
    status: Option<u16>,
    agent: Option<String>,
    /// The instant may be that of the answer: the line does not tell how long it took.
    or_end: bool,
}

/// Reads the lines of access logs, in any order.
pub fn import_access_log<'l>(
    lines: impl Iterator<Item = &'l str>,
    contract: &Contract,
) -> Result<Imported, AccessLogError> {
    let routes = Routes::new(contract);
    let mut imported = Imported { from: "access log".to_string(), ..Imported::default() };
    let (mut number, mut strange, mut first, mut ends) = (0_u64, 0_u64, None, 0_u64);
    for text in lines {
        number += 1;
        let text = text.trim();
        let read = if text.starts_with('{') { json(text) } else { combined(text) };
        let Some(line) = read else {
            if !text.is_empty() {
                strange += 1;
                first.get_or_insert((number, text.chars().take(120).collect::<String>()));
            }
            continue;
        };
        ends += u64::from(line.or_end && line.status == Some(SWITCHED) && routes.is_socket(&line.target));
        imported
            .events
            .push((line.at, routes.frontend(&line.method, &line.target, line.status, line.agent.as_deref())));
    }
    if imported.events.is_empty() {
        let first = first.map(|(_, text)| text).unwrap_or_default();
        return Err(AccessLogError { lines: number, first });
    }
    if let Some((at, text)) = first {
        imported.notes.push(format!("{strange} lines are no requests, e.g. line {at}: `{text}`"));
    }
    if ends > 0 {
        imported.notes.push(format!(
            "{ends} WebSockets stand at the time of their line, which nginx writes when they end: a page's load \
             then looks like a poll; log JSON lines with $request_time to tell them apart"
        ));
    }
    Ok(imported)
}

/// `host ident user [19/Dec/2025:14:30:00 +0000] "GET /path HTTP/1.1" 200 512 "referer" "agent" …`, with
/// or without what stands before and after, and with `rt=0.005` or `request_time=0.005` anywhere behind.
fn combined(text: &str) -> Option<Line> {
    static FORM: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"\[([^\]]+)\] "([A-Z]+) (\S+)(?: HTTP/[\d.]+)?" (\d{3})(?: |$)(.*)"#).ok()
    });
    static TAKEN: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"\b(?:rt|request_time)="?(\d+(?:\.\d+)?)\b"#).ok());
    static AGENT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"^\S+ "(?:[^"\\]|\\.)*" "((?:[^"\\]|\\.)*)""#).ok());
    let found = FORM.as_ref()?.captures(text)?;
    let part = |index: usize| found.get(index).map_or("", |m| m.as_str());
    let taken = TAKEN.as_ref()?.captures(part(5)).and_then(|c| c.get(1)?.as_str().parse::<f64>().ok());
    Some(Line {
        at: before(clf_instant(part(1))?, taken),
        method: part(2).to_string(),
        target: part(3).to_string(),
        status: part(4).parse().ok(),
        agent: AGENT.as_ref()?.captures(part(5)).and_then(|c| Some(c.get(1)?.as_str().to_string())),
        or_end: taken.is_none(),
    })
}

fn json(text: &str) -> Option<Line> {
    let value: Value = serde_json::from_str(text).ok()?;
    let inner = value.get("request").filter(|request| request.is_object());
    let member = |names: &[&str]| {
        let places = [Some(&value), inner];
        places.into_iter().flatten().find_map(|object| {
            names.iter().find_map(|name| object.get(name).filter(|v| v.is_string() || v.is_number()).cloned())
        })
    };
    let words = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let at = instant(&member(&TIME)?)?;
    // `"request": "GET /path HTTP/1.1"`
    let line = value.get("request").and_then(Value::as_str).map(str::to_string);
    let mut parts = line.iter().flat_map(|line| line.split(' '));
    let (line_method, line_target) = (parts.next(), parts.next());
    let method = member(&METHOD).map(words).or_else(|| line_method.map(str::to_string))?;
    let target = member(&TARGET).map(words).or_else(|| line_target.map(str::to_string))?;
    let number = |value: Value| words(value).parse::<f64>().ok();
    let is_start = STARTS.iter().any(|name| value.get(name).is_some());
    let taken = member(&SECONDS).and_then(number).filter(|_| !is_start);
    Some(Line {
        at: before(at, taken),
        method,
        target,
        status: member(&STATUS).map(words).and_then(|status| status.parse().ok()),
        agent: member(&AGENT).map(words).or_else(|| header(inner)),
        or_end: taken.is_none() && !is_start,
    })
}

/// `"request": {"headers": {"User-Agent": ["curl/8"]}}`
fn header(request: Option<&Value>) -> Option<String> {
    let headers = request?.get("headers")?.as_object()?;
    let (_, value) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("user-agent"))?;
    value.as_str().or_else(|| value.get(0)?.as_str()).map(str::to_string)
}

fn before(at: Timestamp, seconds: Option<f64>) -> Timestamp {
    let seconds = seconds.filter(|s| s.is_finite() && *s >= 0.0).unwrap_or_default();
    at.saturating_sub(Span((seconds * 1e9).min(1e17) as i64))
}

/// An instant as text in RFC 3339 or the common log format, or as a number of seconds, milliseconds, ….
fn instant(value: &Value) -> Option<Timestamp> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
    Timestamp::parse_rfc3339(&text)
        .or_else(|| clf_instant(&text))
        .or_else(|| crate::model::value::parse_instant(&text, chrono_tz::UTC, Timestamp(0)))
}

/// `19/Dec/2025:14:30:00 +0000`
fn clf_instant(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (local, offset) = text.split_once(' ')?;
    let mut parts = local.splitn(4, ['/', ':']);
    let day: u32 = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u32 + 1;
    let year: i64 = parts.next()?.parse().ok().filter(|year| (1970..2200).contains(year))?;
    let clock: Vec<i64> = parts.next()?.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hour, minute, second] = clock[..] else { return None };
    let (sign, digits) = (offset.get(..1)?, offset.get(1..)?);
    let ahead: i64 = digits.parse().ok().filter(|_| digits.len() == 4)?;
    let ahead = (ahead / 100 * 60 + ahead % 100) * if sign == "-" { -60 } else { 60 };
    let in_range = (1..=31).contains(&day) && (0..24).contains(&hour) && (0..60).contains(&minute);
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - ahead;
    (in_range && (0..=60).contains(&second)).then_some(Timestamp(seconds * 1_000_000_000))
}
