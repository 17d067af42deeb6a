//! One REST endpoint with one set of parameters: when it was asked and answered.

use crate::model::{Span, Timestamp};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The request's parameters: name and JSON text, by name.
    pub params: Vec<(String, String)>,
    /// The last answer of status 200, for 304; with its length.
    pub last_body: Option<String>,
    pub first_sent: Option<Timestamp>,
    /// The last answered poll: sent, received.
    pub last: Option<(Timestamp, Timestamp)>,
    /// Streams that it showed last, or did once.
    pub streams: BTreeSet<u32>,
    /// Answered polls' starts further apart than the step: from, to.
    holes: Vec<(Timestamp, Timestamp)>,
}

impl Endpoint {
    pub fn new(params: &str) -> Endpoint {
        let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(params).unwrap_or_default();
        let params = members.into_iter().map(|(name, value)| (name, value.get().to_string())).collect();
        Endpoint {
            params,
            last_body: None,
            first_sent: None,
            last: None,
            streams: BTreeSet::new(),
            holes: Vec::new(),
        }
    }

    /// Whether the two say the same parameters, in whatever order.
    pub fn has_params_of(&self, other: &Endpoint) -> bool {
        self.params == other.params
    }

    /// A poll was answered. `step`: how far apart starts may be to count as polled through.
    pub fn answered(&mut self, sent: Timestamp, received: Timestamp, step: Span) {
        if let Some((before, _)) = self.last
            && sent - before > step
        {
            self.holes.push((before, sent));
        }
        self.first_sent.get_or_insert(sent);
        self.last = Some((sent, received));
    }

    /// Whether answered polls' starts were never further apart than `step` from `from` to `to`.
    pub fn polled_through(&self, from: Timestamp, to: Timestamp, step: Span) -> bool {
        let (Some(first), Some((last, _))) = (self.first_sent, self.last) else { return false };
        first <= from + step
            && to - last <= step
            && self.holes.iter().rev().take_while(|(_, until)| *until > from).all(|(since, _)| *since >= to)
    }

    /// A run ended: the next one's polls are no continuation.
    pub fn end(&mut self) {
        let (params, streams) = (std::mem::take(&mut self.params), std::mem::take(&mut self.streams));
        *self = Endpoint { params, streams, ..Endpoint::new("{}") };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polled_through_needs_every_stretch() {
        let s = |n: i64| Timestamp(n * 1_000_000_000);
        let mut endpoint = Endpoint::new("{\"account_id\":123}");
        assert_eq!(endpoint.params, [("account_id".to_string(), "123".to_string())]);
        let step = Span::from_secs(12);
        assert!(!endpoint.polled_through(s(0), s(20), step));
        for sent in [5, 15, 25, 60, 70] {
            endpoint.answered(s(sent), s(sent + 1), step);
        }
        assert!(endpoint.polled_through(s(0), s(24), step));
        assert!(!endpoint.polled_through(s(20), s(40), step));
        assert!(!endpoint.polled_through(s(30), s(50), step));
        assert!(endpoint.polled_through(s(60), s(80), step));
        assert!(!endpoint.polled_through(s(60), s(83), step));
    }
}
