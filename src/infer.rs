//! A first contract from what was seen alone: REST bodies and messages are paired by shared keys and values, and
//! what is guessed is written down with what speaks for it.
//!
//! Pure: observations in, a contract's text out. Where nothing is known nothing is claimed: a guess that is unsure
//! says so in its comment, and what could not be paired is listed. It must not judge; that is the engine's work,
//! by the contract that people made of this one.

mod cell;
mod feature;
mod fields;
mod keys;
mod latest;
mod meaning;
mod naming;
mod pace;
mod pairs;
mod routing;
mod scope;
mod table;
mod write;

pub use write::{UNSURE, bare};

use crate::model::tree::Tree;
use crate::model::{Event, Observation, Payload, Span, Timestamp};
use feature::{Draft, Tables};
use routing::routing;
use std::collections::{BTreeMap, BTreeSet};
use table::Body;

/// Bytes of bodies that are kept as trees, which take many times as much.
const MOST_BYTES: usize = 24 << 20;
/// Without any poll to measure.
const DEFAULT_POLL: Span = Span::from_secs(2);

const SECOND: i64 = 1_000_000_000;

/// What is known without looking at bodies.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Known {
    /// What was looked at, for the head of the contract.
    pub from: String,
    pub base_url: Option<String>,
    pub ws_url: Option<String>,
    /// In the order of the contract; others follow as they were seen.
    pub endpoints: Vec<KnownEndpoint>,
    /// Further lines of `[rest]` and of `[ws]`, as the contract shall have them.
    pub rest_lines: String,
    pub ws_lines: String,
    /// Types that are known to be signs of life.
    pub keepalive_types: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct KnownEndpoint {
    pub name: String,
    pub path: Option<String>,
    /// Measured where it is not known.
    pub poll: Option<Span>,
    /// Empty: none is known.
    pub flag: String,
    /// Further members of `rest`, as TOML: `query = { a = "b" }`.
    pub rest: Vec<String>,
}

/// What was seen, kept for looking at it from all sides.
#[derive(Debug, Default)]
pub struct Watched {
    endpoints: BTreeMap<String, Vec<Body>>,
    frames: Vec<(Timestamp, Tree)>,
    failed: BTreeMap<String, usize>,
    /// What befell the feeds, and how often.
    troubles: BTreeMap<String, usize>,
    /// Frames and bodies that are no JSON.
    unreadable: usize,
    left_out: usize,
    bytes: usize,
    first: Option<Timestamp>,
    last: Timestamp,
}

/// A contract, and how far it can be trusted.
#[derive(Debug, Clone, PartialEq)]
pub struct Inferred {
    /// `None`: nothing could be paired.
    pub contract: Option<String>,
    pub paired: Vec<Pairing>,
    /// What stands alone on its side, and why.
    pub unpaired: Vec<String>,
    /// Guesses marked in the contract.
    pub unsure: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    pub feature: String,
    pub message_type: String,
    pub pairs: usize,
    pub fields: usize,
}

/// What the writer of the contract says of the whole.
struct Seen {
    answers: usize,
    messages: usize,
    lasted: Span,
    notes: Vec<String>,
}

struct Routed {
    at: Vec<String>,
    evidence: String,
    /// Message types without a partner, and how often they came.
    ignored: Vec<(String, usize)>,
}

struct Paired {
    endpoint: Endpoint,
    kind: String,
    draft: Draft,
}

struct Endpoint {
    name: String,
    path: String,
    poll: Span,
    flag: String,
    /// Parameter to its values as TOML.
    each: Vec<(String, Vec<String>)>,
    /// Further members of `rest`, as TOML.
    more: Vec<String>,
}

impl Inferred {
    /// Adds a remark to the head of the contract.
    pub fn remark(&mut self, line: &str) {
        if let Some(text) = &mut self.contract
            && let Some(head) = text.find("\nversion = ")
        {
            text.insert_str(head + 1, &write::remark_line(line));
        }
    }
}

impl Watched {
    pub fn observe(&mut self, Observation { at, event }: &Observation<'_>) {
        self.first.get_or_insert(*at);
        self.last = *at;
        match event {
            Event::Rest { sent_at, feature, params, payload: Payload::Json { text, .. }, .. } => {
                let Some(tree) = self.keep(text) else { return };
                let params = Tree::read(params).map(|tree| tree.members().to_vec()).unwrap_or_default();
                let body = Body { sent: *sent_at, at: *at, params, tree };
                self.endpoints.entry(feature.to_string()).or_default().push(body);
            }
            Event::RestError { feature, error, status, .. } => {
                *self.failed.entry(feature.to_string()).or_default() += 1;
                self.trouble(&format!("REST {feature}"), error, *status);
            }
            Event::WsError { error, status, .. } => self.trouble("WebSocket", error, *status),
            Event::Ws { payload: Payload::Json { text, .. }, .. } => {
                match self.keep(text) {
                    // A frame that is a list is each of its messages in turn.
                    Some(Tree::List(messages)) => self.frames.extend(messages.into_iter().map(|m| (*at, m))),
                    Some(tree) => self.frames.push((*at, tree)),
                    None => {}
                }
            }
            Event::Ws { .. } => self.unreadable += 1,
            _ => {}
        }
    }

    fn trouble(&mut self, of: &str, error: &str, status: Option<u16>) {
        let status = status.map(|status| format!(" {status}")).unwrap_or_default();
        *self.troubles.entry(format!("{of}: {error} error{status}")).or_default() += 1;
    }

    /// Answers and messages so far.
    pub fn counts(&self) -> (usize, usize) {
        (self.endpoints.values().map(Vec::len).sum(), self.frames.len())
    }

    fn keep(&mut self, text: &str) -> Option<Tree> {
        if self.bytes + text.len() > MOST_BYTES {
            self.left_out += 1;
            return None;
        }
        self.bytes += text.len();
        let tree = Tree::read(text);
        self.unreadable += usize::from(tree.is_none());
        tree
    }

    /// Guesses a contract from all that was seen.
    pub fn infer(self, known: &Known) -> Inferred {
        let trees: Vec<&Tree> = self.frames.iter().map(|(_, tree)| tree).collect();
        let routing = routing(&trees);
        let at = routing.as_ref().map_or(vec!["type".to_string()], |routing| routing.at.clone());
        let mut routed = Routed {
            evidence: match &routing {
                Some(found) => {
                    format!("in {} of {} messages, {} different ones", found.frames, found.of, found.kinds)
                }
                None => format!("{UNSURE}no member was found that tells messages apart"),
            },
            at,
            ignored: Vec::new(),
        };
        let mut seen = Seen {
            answers: self.counts().0,
            messages: self.counts().1,
            lasted: Span(self.last.since(self.first.unwrap_or(self.last)).0 / SECOND * SECOND),
            notes: self.notes(),
        };
        let (kinds, untyped) = by_kind(self.frames, &routed.at);
        if untyped > 0 {
            seen.notes.push(format!("{UNSURE}{untyped} messages have no type, so no feature reads them"));
        }
        let mut unpaired: Vec<String> = Vec::new();
        let mut paired: Vec<Paired> = Vec::new();
        let tables: Vec<(&String, Tables)> =
            kinds.iter().map(|(kind, bodies)| (kind, Tables::of(bodies, &[]))).collect();
        for endpoint in endpoints(known, &self.endpoints, &self.failed) {
            let bodies = self.endpoints.get(&endpoint.name).map(Vec::as_slice).unwrap_or_default();
            let rest = Tables::of(bodies, &query(&endpoint.path));
            let drafts = tables.iter().filter_map(|(kind, ws)| {
                feature::best(&rest, ws, endpoint.poll).map(|draft| ((*kind).clone(), draft))
            });
            let best = drafts.max_by(|(_, a), (_, b)| a.score.total_cmp(&b.score));
            match best {
                Some((kind, mut draft)) => {
                    draft.ws_only.retain(|left| left.source != routed.at.join("/"));
                    paired.push(Paired { endpoint, kind, draft });
                }
                None => unpaired.push(alone(&endpoint, bodies.len(), self.failed.get(&endpoint.name))),
            }
        }
        for (kind, bodies) in &kinds {
            if paired.iter().all(|paired| paired.kind != *kind) && !known.keepalive_types.contains(kind) {
                routed.ignored.push((kind.clone(), bodies.len()));
                unpaired.push(format!("message type {kind}: {} messages, like no REST body", bodies.len()));
            }
        }
        seen.notes.extend(unpaired.iter().map(|what| format!("{UNSURE}not paired: {what}")));
        let troubles = self.troubles.iter().map(|(what, count)| format!("{what}, {count} times"));
        unpaired.extend(troubles.filter(|_| paired.is_empty()));
        if paired.is_empty() && untyped > 0 {
            unpaired.push(format!(
                "{untyped} messages that do not say what they are; where they are changes of a tree, see docs/deltas.md"
            ));
        }
        let contract = (!paired.is_empty()).then(|| write::contract(known, &seen, &routed, &paired));
        Inferred {
            unsure: contract.as_deref().map_or(0, |text| text.matches(UNSURE).count()),
            contract,
            paired: paired.iter().map(Paired::summary).collect(),
            unpaired,
        }
    }

    fn notes(&self) -> Vec<String> {
        let trouble = |(what, count): (&String, &usize)| format!("{UNSURE}{what}, {count} times");
        let mut notes: Vec<String> = self.troubles.iter().map(trouble).collect();
        if self.left_out > 0 {
            let left = self.left_out;
            notes.push(format!(
                "{UNSURE}only the first {} MiB were looked at, {left} bodies were not",
                MOST_BYTES >> 20
            ));
        }
        if self.unreadable > 0 {
            notes.push(format!("{UNSURE}{} bodies or messages are no JSON", self.unreadable));
        }
        notes
    }
}

impl Paired {
    fn summary(&self) -> Pairing {
        let rows = self.draft.rows.as_ref().map_or(0, |rows| rows.fields.len());
        Pairing {
            feature: self.endpoint.name.clone(),
            message_type: self.kind.clone(),
            pairs: self.draft.pairs,
            fields: self.draft.fields.len() + rows,
        }
    }
}

/// Messages by their type, and how many have none that a contract could name.
fn by_kind(frames: Vec<(Timestamp, Tree)>, at: &[String]) -> (BTreeMap<String, Vec<Body>>, usize) {
    let mut kinds: BTreeMap<String, Vec<Body>> = BTreeMap::new();
    let mut untyped = 0;
    for (seen, tree) in frames {
        match tree.at(at) {
            Some(Tree::Text(kind)) if !kind.is_empty() && !kind.contains("${") => {
                let body = Body { sent: seen, at: seen, params: Vec::new(), tree: tree.clone() };
                kinds.entry(kind.clone()).or_default().push(body);
            }
            _ => untyped += 1,
        }
    }
    (kinds, untyped)
}

fn alone(endpoint: &Endpoint, answers: usize, failed: Option<&usize>) -> String {
    let why = match (answers, failed) {
        (0, Some(failed)) => format!("no answer with a body, {failed} failed requests"),
        (0, None) => "it was never answered".into(),
        _ => format!("{answers} answers, and no message type shares keys and values with them"),
    };
    format!("REST {} ({}): {why}", endpoint.name, endpoint.path)
}

/// Known ones first, then those that were merely seen.
fn endpoints(
    known: &Known,
    seen: &BTreeMap<String, Vec<Body>>,
    failed: &BTreeMap<String, usize>,
) -> Vec<Endpoint> {
    let others = seen.keys().chain(failed.keys()).collect::<BTreeSet<_>>().into_iter();
    let others = others.filter(|name| known.endpoints.iter().all(|endpoint| endpoint.name != **name));
    let merely = others.map(|name| KnownEndpoint { name: name.clone(), ..KnownEndpoint::default() });
    let all = known.endpoints.iter().cloned().chain(merely.collect::<Vec<_>>());
    all.map(|endpoint| endpoint_of(endpoint, seen)).collect()
}

fn endpoint_of(known: KnownEndpoint, seen: &BTreeMap<String, Vec<Body>>) -> Endpoint {
    let bodies = seen.get(&known.name).map(Vec::as_slice).unwrap_or_default();
    let first = bodies.first().map(|body| body.params.clone()).unwrap_or_default();
    let polls = bodies.iter().filter(|body| body.params == first).map(|body| body.sent);
    let mut each: Vec<(String, Vec<String>)> = Vec::new();
    for (name, value) in bodies.iter().flat_map(|body| &body.params) {
        let text = match value {
            Tree::Text(text) => write::quoted(text),
            Tree::Number(text) => text.clone(),
            Tree::Bool(flag) => flag.to_string(),
            _ => continue,
        };
        match each.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) if values.contains(&text) => {}
            Some((_, values)) => values.push(text),
            None => each.push((name.clone(), vec![text])),
        }
    }
    let path = known.path.unwrap_or_else(|| {
        each.iter().fold(format!("/{}", known.name), |path, (name, _)| format!("{path}/{{{name}}}"))
    });
    let poll = known.poll.or_else(|| pace::of_polls(polls)).unwrap_or(DEFAULT_POLL);
    Endpoint { name: known.name, path, poll, flag: known.flag, each, more: known.rest }
}

/// The words of a path's query, which may be what REST has only in the request.
fn query(path: &str) -> Vec<(String, String)> {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(_, value)| !value.is_empty() && !value.contains(['%', '{', '+']))
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}
