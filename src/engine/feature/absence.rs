//! Which records a message leaves out of a list that is whole, or names as gone.

use super::{FeatureState, Frame, Spec, Surroundings, canonical, context};
use crate::contract::Mode;
use crate::engine::compare::{self, key_text};
use crate::engine::frame;
use crate::engine::intern::Interner;
use crate::engine::plan::ColumnSource;
use crate::engine::reshape::reshaped;
use crate::model::json::Kind;
use std::collections::BTreeSet;

/// Streams by the part of their key that stands around a message's records: for each such part a list is whole.
#[derive(Debug, Clone, Default)]
pub struct Scopes {
    numbers: Interner,
    streams: Vec<Vec<u32>>,
}

impl Scopes {
    /// Enters a stream; the number of its scope.
    pub fn enter(&mut self, scope: &str, stream: u32) -> u32 {
        let number = self.numbers.find(scope.as_bytes()).unwrap_or_else(|| {
            let number = self.streams.len() as u32;
            self.numbers.insert(scope.as_bytes(), number);
            self.streams.push(Vec::new());
            number
        });
        self.streams[number as usize].push(stream);
        number
    }
}

impl FeatureState {
    /// What a message says of records that are not in it. `is_whole`: the keys of all that are could be read, and
    /// their streams are those touched.
    pub(super) fn told_absent(&mut self, frame: &Frame<'_>, is_whole: bool, around: &mut Surroundings<'_>) {
        if is_whole && self.spec.feature.ws.mode == Mode::Snapshot {
            self.left_out(frame, around);
        }
        self.removed(frame, around);
    }

    /// A list was whole: what it could have held and did not is gone.
    fn left_out(&mut self, frame: &Frame<'_>, around: &mut Surroundings<'_>) {
        let listed: BTreeSet<u32> = self.touched.iter().copied().collect();
        let mut scopes: BTreeSet<u32> =
            listed.iter().map(|&number| self.streams[number as usize].scope).collect();
        let outside = self.spec.scope.iter().map(|&column| {
            let text = self.spec.outside(column, frame)?;
            Some((self.spec.rules.columns[column].name.as_str(), text))
        });
        // An empty list says for whom it is by what stands around it alone.
        if let Some(parts) = outside.collect::<Option<Vec<_>>>() {
            scopes.extend(self.scopes.numbers.find(compare::label(parts.into_iter()).as_bytes()));
        }
        for scope in scopes {
            for &number in self.scopes.streams[scope as usize].iter().filter(|&n| !listed.contains(n)) {
                let cx = context(&self.spec, &mut self.counts, number, around);
                self.streams[number as usize].said_there(&cx, frame.at, false);
            }
        }
    }

    /// A message names what is gone: by a key, a list of keys, or an object of which they are the members.
    fn removed(&mut self, frame: &Frame<'_>, around: &mut Surroundings<'_>) {
        let Some(root) = frame.plan.removed else { return };
        let slot = frame.extraction.root_of(&frame.body, root);
        for key in named(slot.kind, slot.raw(frame.text)) {
            let parts = self.spec.key.iter().map(|&column| {
                let rule = &self.spec.rules.columns[column];
                let reshape = &self.spec.feature.fields[column].reshape_ws;
                let text = match self.spec.scope.contains(&column) {
                    true => self.spec.outside(column, frame)?,
                    false => key_text(rule, &reshaped(reshape, kind_of(&key), &key).unwrap_or(key.clone())),
                };
                Some((rule.name.as_str(), text))
            });
            let Some(parts) = parts.collect::<Option<Vec<_>>>() else { continue };
            let label = compare::label(parts.into_iter());
            if let Some(number) = self.keys.find(&canonical(&label)) {
                let cx = context(&self.spec, &mut self.counts, number, around);
                self.streams[number as usize].said_there(&cx, frame.at, false);
            }
        }
    }
}

impl Spec {
    /// A part of the key that stands beside the records, at the body's root.
    fn outside(&self, column: usize, frame: &Frame<'_>) -> Option<String> {
        let ColumnSource::Root(root) = frame.plan.columns[column] else { return None };
        let slot = frame.extraction.root_of(&frame.body, root);
        let is_key = matches!(slot.kind, Kind::String | Kind::Number | Kind::Bool);
        let reshape = &self.feature.fields[column].reshape_ws;
        let raw = slot.raw(frame.text);
        let raw = || reshaped(reshape, slot.kind, raw).unwrap_or_else(|| raw.into());
        is_key.then(|| key_text(&self.rules.columns[column], &raw()))
    }
}

/// The keys in a list of them, the members' names of an object, or the one key that stands there: their JSON texts.
fn named(kind: Kind, raw: &str) -> Vec<String> {
    match kind {
        Kind::Array => frame::elements(raw).map(String::from).collect(),
        Kind::Object => frame::members(raw).map(|name| format!("\"{name}\"")).collect(),
        Kind::String | Kind::Number => vec![raw.to_string()],
        _ => Vec::new(),
    }
}

fn kind_of(raw: &str) -> Kind {
    if raw.starts_with('"') { Kind::String } else { Kind::Number }
}
