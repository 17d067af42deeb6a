//! The logs that were read: lines by source, and those that match `[logs] errors`.
//! Must not decide what a clean log is worth.

use super::compare::label;
use super::ledger::{Draft, Ledger};
use super::quote;
use crate::contract::Logs;
use crate::model::{Class, LogState, Timestamp};
use regex_lite::Regex;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Clone)]
pub struct LogWatch {
    errors: Vec<Regex>,
    /// Those of the contract, and those that were met.
    pub sources: BTreeMap<Box<str>, LogSource>,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub struct LogSource {
    pub lines: u64,
    pub matching: u64,
    /// It could be read: it was open, or a line of it came.
    pub read: bool,
    /// Since when it cannot be read any more.
    lost: Option<Timestamp>,
    /// The first such time that lasted to the end of its run.
    pub lost_for_good: Option<Timestamp>,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
}

impl LogWatch {
    pub fn new(logs: &Logs) -> LogWatch {
        LogWatch {
            // The contract exists only if each is a regular expression.
            errors: logs.errors.iter().filter_map(|text| Regex::new(text).ok()).collect(),
            sources: logs
                .sources
                .iter()
                .map(|(name, _)| (name.as_str().into(), LogSource::default()))
                .collect(),
        }
    }

    fn source(&mut self, name: &str) -> &mut LogSource {
        self.sources.entry(name.into()).or_default()
    }

    pub fn line(&mut self, at: Timestamp, name: &str, line: &str, ledger: &mut Ledger) {
        let matches = self.errors.iter().any(|error| error.is_match(line));
        let source = self.source(name);
        source.read = true;
        source.lost = None;
        source.lines += 1;
        source.first.get_or_insert(at);
        source.last = Some(at);
        if matches {
            source.matching += 1;
            let label = label([("source", name.to_string())].into_iter());
            let mut draft = Draft::new(Class::LogError, &Arc::from(label), at);
            draft.detail = quote(line);
            ledger.add_common(draft, at);
        }
    }

    pub fn state(&mut self, at: Timestamp, name: &str, state: LogState) {
        let source = self.source(name);
        match state {
            LogState::Open => {
                source.read = true;
                source.lost = None;
                source.first.get_or_insert(at);
            }
            LogState::Lost => {
                source.lost.get_or_insert(at);
            }
        }
    }

    pub fn end(&mut self, at: Timestamp) {
        for source in self.sources.values_mut() {
            let lost = source.lost.take();
            source.lost_for_good = source.lost_for_good.or(lost);
            if source.read {
                source.last = source.last.max(Some(at));
            }
        }
    }
}
