//! Owns what `init` looks at before it guesses: a recording, or both feeds for a while; and how the guess fares on
//! the very same observations. Must not guess.

use super::console::{Console, variable};
use super::exit::WrongUse;
use super::judging::{TOOL, read_contract};
use super::live_run::{runtime, stop_signal};
use super::recording;
use crate::capture::{Reader, ReaderOptions, Writer};
use crate::checks::{Provenance, conclude};
use crate::contract::Contract;
use crate::doctor::{Weight, examine};
use crate::drill::tape::owned;
use crate::engine::Engine;
use crate::infer::{Inferred, Known, KnownEndpoint, Watched, bare};
use crate::model::{Event, Observation, Outcome, Span, Start, Timestamp, Verdict};
use crate::source::{
    BackendTargets, CaptureSink, Clock, Feeds, Judge, ProxySettings, RunError, RunSettings, is_public_header,
    open_capture, run, without_credentials,
};
use anyhow::Context;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Between two lines that tell how far it is.
const TELL_EVERY: Span = Span::from_secs(15);

/// Feeds that nothing is known of but where they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Addresses {
    /// One a feature, all of one host.
    pub rest: Vec<String>,
    pub ws: String,
    /// `Name: value`, sent to both.
    pub headers: Vec<String>,
    pub subscribe: Vec<String>,
    pub poll: Span,
    pub duration: Span,
    pub record: Option<PathBuf>,
}

/// A guess, and what the observations it was made from are by it.
#[derive(Debug)]
pub struct Guessed {
    pub inferred: Inferred,
    /// Of the contract, where there is one.
    pub outcome: Option<Outcome>,
    /// Where there is none: what kept a feed from telling anything, and what to do.
    pub cures: Vec<String>,
}

pub fn from_capture(path: &Path) -> anyhow::Result<Guessed> {
    let open = || open_capture(path);
    let could_not = || format!("could not read {}", path.display());
    let mut known = Known::default();
    let mut watched = Watched::default();
    each(open().with_context(could_not)?, |observation| {
        if let Event::Start(start) = &observation.event {
            known = recorded(start);
        }
        watched.observe(observation);
    })
    .with_context(could_not)?;
    known.from = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    judged(watched.infer(&known), || open().with_context(could_not))
}

pub fn from_feeds(addresses: &Addresses, console: &Console) -> anyhow::Result<Guessed> {
    let (known, provisional) = provisional(addresses)?;
    let contract = Arc::new(read_contract("what was typed", &provisional, true)?);
    let kept = Memory::default();
    let sink: Box<dyn CaptureSink> = match &addresses.record {
        Some(path) => recording::create(path)?,
        None => Box::new(kept.clone()),
    };
    let watched = runtime()?.block_on(watch(addresses, contract.clone(), sink, console))?;
    let open = || -> anyhow::Result<Box<dyn Read>> {
        Ok(match &addresses.record {
            Some(path) => Box::new(open_capture(path)?),
            None => Box::new(io::Cursor::new(kept.take())),
        })
    };
    let inferred = watched.infer(&known);
    if inferred.contract.is_some() {
        return judged(inferred, open);
    }
    let cures = cures(&contract, open()?)?;
    Ok(Guessed { inferred, outcome: None, cures })
}

/// What doctor says of the connections alone.
fn cures(contract: &Arc<Contract>, input: impl Read) -> anyhow::Result<Vec<String>> {
    let mut connecting = Vec::new();
    each(input, |observation| {
        let about = matches!(
            observation.event,
            Event::RestError { .. } | Event::WsOpen { .. } | Event::WsError { .. } | Event::WsClose { .. }
        );
        if about && connecting.len() < MOST_CONNECTING {
            connecting.push(owned(observation));
        }
    })?;
    let complaints = examine(contract, &connecting).complaints.into_iter();
    let faults =
        complaints.filter(|c| c.weight == Weight::Fault && REACHING.iter().any(|r| c.code.starts_with(r)));
    Ok(faults
        .map(|complaint| {
            let origin = complaint.edits.iter().find(|edit| edit.key == "Origin");
            let how = origin.map(|edit| format!(" (--header 'Origin: {}')", edit.value.trim_matches('"')));
            format!("{}: {}; {}{}", complaint.about, complaint.found, complaint.cure, how.unwrap_or_default())
        })
        .collect())
}

/// Observations of connections that are looked at.
const MOST_CONNECTING: usize = 1_000;
/// How codes of complaints begin that are about reaching a feed.
const REACHING: [&str; 3] = ["rest-", "ws-", "tls-"];

fn each(input: impl Read, mut take: impl FnMut(&Observation<'_>)) -> anyhow::Result<()> {
    let mut reader = Reader::new(input, ReaderOptions::default());
    while let Some(line) = reader.next() {
        take(&line?.observation);
    }
    Ok(())
}

/// Holds the guess against what it was made from, and says in its head what came of it.
fn judged<R: Read>(
    mut inferred: Inferred,
    open: impl FnOnce() -> anyhow::Result<R>,
) -> anyhow::Result<Guessed> {
    let Some(text) = inferred.contract.clone() else {
        return Ok(Guessed { inferred, outcome: None, cures: Vec::new() });
    };
    let contract = read_contract("the guessed contract", &text, false)
        .map_err(|error| anyhow::anyhow!("the guess came out wrong, which is a bug of cutover: {error}"))?;
    let mut engine = Engine::new(Arc::new(contract), Box::new(|_| {}));
    each(open()?, |observation| {
        // A body was found to be JSON before it was recorded as JSON.
        let _ = engine.observe(observation);
    })?;
    engine.end_of_capture();
    engine.finish();
    let provenance = Provenance { tool: TOOL.into(), ..Provenance::default() };
    let outcome = conclude(&engine, provenance);
    let verdicts = verdicts(&outcome);
    inferred.remark("Judged by this contract, the same observations give:");
    verdicts.iter().for_each(|line| inferred.remark(&format!("  {line}")));
    Ok(Guessed { inferred, outcome: Some(outcome), cures: Vec::new() })
}

/// A line a feature: its verdict, and each check that fails with what was observed.
pub fn verdicts(outcome: &Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    for feature in &outcome.features {
        let failed = feature.checks.iter().filter(|check| check.verdict == Some(Verdict::Fail));
        let failed: Vec<String> =
            failed.map(|check| format!("{}: {}", check.check, check.observed)).collect();
        let why = if failed.is_empty() { String::new() } else { format!(" ({})", failed.join("; ")) };
        lines.push(format!("{} {}{why}", feature.name, feature.verdict.name()));
    }
    lines
}

/// What the contract in a recording tells beside its features.
fn recorded(start: &Start) -> Known {
    let Ok(contract) = read_contract("recorded", &start.contract, false) else { return Known::default() };
    let table: toml::Table = start.contract.parse().unwrap_or_default();
    let lines = |section: &str, without: &[&str]| -> String {
        let section = table.get(section).and_then(toml::Value::as_table);
        let kept = section.into_iter().flatten().filter(|(key, _)| !without.contains(&key.as_str()));
        kept.map(|(key, value)| format!("{}{}\n", member(key, value), hidden(value))).collect()
    };
    let features = table.get("feature").and_then(toml::Value::as_array);
    let more = |name: &str| -> Vec<String> {
        let own = features
            .into_iter()
            .flatten()
            .find(|f| f.get("name").and_then(toml::Value::as_str) == Some(name));
        let rest = own.and_then(|feature| feature.get("rest")).and_then(toml::Value::as_table);
        let kept = rest.into_iter().flatten().filter(|(key, _)| REQUEST_KEYS.contains(&key.as_str()));
        kept.map(|(key, value)| member(key, value)).collect()
    };
    let text = |section: &str, key: &str| -> Option<String> {
        Some(table.get(section)?.get(key)?.as_str()?.to_string())
    };
    Known {
        from: String::new(),
        base_url: text("rest", "base_url"),
        ws_url: text("ws", "url"),
        endpoints: contract.features.iter().map(|feature| endpoint(feature, more(&feature.name))).collect(),
        rest_lines: lines("rest", &["base_url"]),
        ws_lines: lines("ws", &["url", "type", "ignore_types"]),
        keepalive_types: contract.ws.keepalive_types.clone(),
    }
}

/// What a feature's `rest` says of the request alone.
const REQUEST_KEYS: [&str; 3] = ["method", "query", "headers"];

fn endpoint(feature: &crate::contract::Feature, rest: Vec<String>) -> KnownEndpoint {
    KnownEndpoint {
        name: feature.name.to_string(),
        path: Some(feature.rest.path.clone()),
        poll: Some(feature.rest.poll),
        flag: feature.flag.clone(),
        rest,
    }
}

/// `key = value`, on one line.
fn member(key: &str, value: &toml::Value) -> String {
    format!("{} = {value}", bare(key))
}

/// Recordings hide credentials.
fn hidden(value: &toml::Value) -> &'static str {
    if value.to_string().contains("***") {
        "   # UNSURE: the recording hides a credential here; write ${NAME}"
    } else {
        ""
    }
}

/// The contract by which both feeds are recorded, before anything is known of what they say.
fn provisional(addresses: &Addresses) -> anyhow::Result<(Known, String)> {
    let mut base = None;
    let mut endpoints: Vec<KnownEndpoint> = Vec::new();
    for url in &addresses.rest {
        let (host, path) = parted(url)?;
        if base.get_or_insert(host.clone()) != &host {
            let message = format!(
                "--rest {} is on another host than the first; give each host a run of its own",
                without_credentials(url)
            );
            return Err(WrongUse(message).into());
        }
        let mut name = named(&path);
        let taken = |name: &str| endpoints.iter().any(|endpoint| endpoint.name == name);
        if taken(&name) {
            name = (2..).map(|number| format!("{name}_{number}")).find(|name| !taken(name)).unwrap_or(name);
        }
        endpoints.push(KnownEndpoint {
            name,
            path: Some(path),
            poll: Some(addresses.poll),
            ..KnownEndpoint::default()
        });
    }
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let headers = headers(&addresses.headers)?;
    let lines = |value: &mut dyn FnMut(&str, &str) -> String| {
        let all: Vec<String> = headers
            .iter()
            .map(|(name, text)| format!("{} = {}", quoted(name), quoted(&value(name, text))))
            .collect();
        if all.is_empty() { String::new() } else { format!("headers = {{ {} }}", all.join(", ")) }
    };
    let given = lines(&mut |_, text| text.to_string());
    let mut asked = Asked::default();
    let kept = lines(&mut |name, text| asked.header(name, text));
    let kept = if kept.is_empty() { kept } else { kept + &asked.note() + "\n" };
    let subscribe: Vec<String> = addresses.subscribe.iter().map(|text| quoted(text)).collect();
    let subscribe = if subscribe.is_empty() {
        String::new()
    } else {
        format!("subscribe = [{}]\n", subscribe.join(", "))
    };
    let base = base.unwrap_or_default();
    let mut text = format!(
        "version = 1\n[rest]\nbase_url = {}\n{given}\n[ws]\nurl = {}\ntype = \"/type\"\n{given}\n{subscribe}",
        quoted(&base),
        quoted(&addresses.ws),
    );
    for endpoint in &endpoints {
        let path = quoted(endpoint.path.as_deref().unwrap_or_default());
        text += &format!(
            "[[feature]]\nname = {}\nalign = \"arrival\"\ninterval = \"{poll}\"\nkey = [\"feed\"]\n\
             rest = {{ path = {path}, poll = \"{poll}\" }}\nws = {{ type = {} }}\n[feature.fields]\n\
             feed = {{ type = \"string\", rest = \"'all'\", ws = \"'all'\" }}\n",
            quoted(&endpoint.name),
            quoted(&endpoint.name),
            poll = addresses.poll,
        );
    }
    let mut asked = Asked::default();
    let ws_url = asked.url(&addresses.ws);
    let about_url = asked.note();
    let about_url = if about_url.is_empty() { about_url } else { format!("#{}\n", &about_url[4..]) };
    let known = Known {
        from: format!("{} and {}", without_credentials(&base), crate::source::shown_url(&addresses.ws)),
        base_url: Some(without_credentials(&base)),
        ws_url: Some(ws_url),
        endpoints: endpoints
            .into_iter()
            .map(|e| KnownEndpoint { path: e.path.map(|p| without_credentials(&p)), ..e })
            .collect(),
        rest_lines: kept.clone(),
        ws_lines: about_url + &kept + &subscribe,
        keepalive_types: Vec::new(),
    };
    Ok((known, text))
}

/// Credentials that were given as they are: the contract that is written has variables for them.
#[derive(Default)]
struct Asked(Vec<String>);

impl Asked {
    fn header(&mut self, name: &str, text: &str) -> String {
        if text.contains("${") || is_public_header(name) { text.to_string() } else { self.variable(name) }
    }

    /// The URL with what its query calls a secret as variables.
    fn url(&mut self, url: &str) -> String {
        let Some((head, query)) = url.split_once('?') else { return url.to_string() };
        let pair = |pair: &str| match pair.split_once('=') {
            Some((name, value)) if !value.contains("${") && without_credentials(pair) != pair => {
                format!("{name}={}", self.variable(name))
            }
            _ => pair.to_string(),
        };
        format!("{head}?{}", query.split('&').map(pair).collect::<Vec<_>>().join("&"))
    }

    fn variable(&mut self, name: &str) -> String {
        let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let name: String = name.chars().map(upper).collect();
        self.0.push(name.clone());
        format!("${{{name}}}")
    }

    fn note(&self) -> String {
        match self.0.as_slice() {
            [] => String::new(),
            names => format!("   # UNSURE: what was given is not written here; set {}", names.join(" and ")),
        }
    }
}

/// A URL's scheme and host, and its path with its query.
fn parted(url: &str) -> anyhow::Result<(String, String)> {
    let wrong = || {
        WrongUse(format!(
            "--rest {} is no URL such as https://api.example.com/accounts",
            without_credentials(url)
        ))
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(at);
    let path = if path.starts_with('/') { path.to_string() } else { format!("/{path}") };
    if host.is_empty() { Err(wrong().into()) } else { Ok((format!("{scheme}://{host}"), path)) }
}

/// A feature's name from the last word of its path.
fn named(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let last = path.split('/').rfind(|part| !part.is_empty()).unwrap_or("root");
    last.chars().map(|c| if c.is_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '_' }).collect()
}

fn headers(given: &[String]) -> anyhow::Result<Vec<(String, String)>> {
    let part = |text: &String| {
        let (name, value) = text.split_once(':').ok_or_else(|| {
            // What stands there may be a credential.
            WrongUse("--header needs a name and a value, as in 'Authorization: Bearer ${TOKEN}'".into())
        })?;
        Ok((name.trim().to_string(), value.trim().to_string()))
    };
    given.iter().map(part).collect()
}

async fn watch(
    addresses: &Addresses,
    contract: Arc<Contract>,
    sink: Box<dyn CaptureSink>,
    console: &Console,
) -> anyhow::Result<Watched> {
    let clock = Clock::start(1);
    let now = clock.now();
    let settings = RunSettings {
        tool: TOOL.into(),
        duration: Some(addresses.duration),
        seed: now.0.unsigned_abs() ^ u64::from(std::process::id()),
        feeds: Feeds::Both,
        features: None,
        flags: Vec::new(),
        proxies: ProxySettings::from_environment(&variable).map_err(|error| WrongUse(error.to_string()))?,
        backend: BackendTargets::default(),
        clock,
    };
    let count = addresses.rest.len();
    console.note(&format!("watching {count} REST endpoints and the stream for {}", addresses.duration));
    let mut watching =
        Watching { watched: Watched::default(), console: console.clone(), next: now + TELL_EVERY };
    let stop = stop_signal(console);
    run(settings, contract, Writer::new(sink), &mut watching, stop).await.map_err(|error| match error {
        RunError::Setup(setup) => anyhow::Error::new(WrongUse(setup.to_string())),
        other => anyhow::Error::new(other).context("could not watch"),
    })?;
    Ok(watching.watched)
}

struct Watching {
    watched: Watched,
    console: Console,
    next: Timestamp,
}

impl Judge for Watching {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.watched.observe(observation);
    }

    fn tick(&mut self, now: Timestamp) {
        if now >= self.next {
            self.next = now + TELL_EVERY;
            let (answers, messages) = self.watched.counts();
            self.console.note(&format!("{answers} answers, {messages} messages so far"));
        }
    }
}

/// A capture that nobody asked to keep.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl CaptureSink for Memory {
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(rest: &[&str]) -> Addresses {
        Addresses {
            rest: rest.iter().map(|url| url.to_string()).collect(),
            ws: "wss://h/ws/?token=abc".into(),
            headers: vec!["Authorization: Bearer abc".into(), "X-Key: ${KEY}".into()],
            subscribe: vec![r#"{"op":"sub"}"#.into()],
            poll: Span::from_secs(2),
            duration: Span::from_secs(60),
            record: None,
        }
    }

    #[test]
    fn what_was_typed_is_a_contract_to_record_by() {
        let (known, text) =
            provisional(&addresses(&["https://h/api/a/?x=1", "https://h/v2/a", "https://h"])).unwrap();
        let names: Vec<_> =
            known.endpoints.iter().map(|e| (e.name.as_str(), e.path.as_deref().unwrap())).collect();
        assert_eq!(names, [("a", "/api/a/?x=1"), ("a_2", "/v2/a"), ("root", "/")]);
        crate::contract::parse("typed", &text, &|_| Some("value".into()), true).unwrap();
        let kept = format!("{known:?}");
        assert!(text.contains("Bearer abc") && !kept.contains("abc"), "{kept}");
        assert!(known.ws_lines.contains("\"X-Key\" = \"${KEY}\""), "{kept}");
    }

    #[test]
    fn what_cannot_be_watched_is_refused() {
        for rest in [&["nowhere"][..], &["https://a/x", "https://b/x"], &["https:///x"]] {
            assert!(provisional(&addresses(rest)).unwrap_err().is::<WrongUse>(), "{rest:?}");
        }
    }
}
