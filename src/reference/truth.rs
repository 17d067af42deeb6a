//! The truth: what was injected, one entry per cause, so that a report can be scored against it.
//! Knows nothing about how a verifier finds it.

use crate::model::{Class, Timestamp};
use std::fmt::Write;

/// One injected fault. Empty strings stand for "does not apply".
#[derive(Debug, Clone, PartialEq)]
pub struct TruthEntry {
    pub class: Class,
    pub feature: &'static str,
    /// `country=USA,symbol=SPY` in the contract's key order.
    pub stream: String,
    /// `symbol=AAPL`.
    pub row: String,
    pub field: &'static str,
    /// The event time of the record that was struck.
    pub event_time: Option<Timestamp>,
    /// When it happened, by the world's clock.
    pub at: Timestamp,
    pub detail: String,
}

impl TruthEntry {
    /// Of the connection, or of nobody in particular.
    pub fn new(class: Class, at: Timestamp) -> TruthEntry {
        TruthEntry {
            class,
            feature: "",
            stream: String::new(),
            row: String::new(),
            field: "",
            event_time: None,
            at,
            detail: String::new(),
        }
    }

    /// One JSON line without its line break (SPEC §9).
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(256);
        let _ = write!(out, "{{\"class\":\"{}\"", self.class.name());
        for (name, value) in
            [("feature", self.feature), ("stream", &self.stream), ("row", &self.row), ("field", self.field)]
        {
            let _ = write!(out, ",\"{name}\":{}", quoted(value));
        }
        match self.event_time {
            Some(time) => drop(write!(out, ",\"event_time\":\"{time}\"")),
            None => out.push_str(",\"event_time\":null"),
        }
        let _ = write!(out, ",\"at\":\"{}\",\"detail\":{}}}", self.at, quoted(&self.detail));
        out
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_json_line() {
        let entry = TruthEntry {
            class: Class::ValueMismatch,
            feature: "positions",
            stream: "account_id=123".into(),
            row: "symbol=AAPL".into(),
            field: "pnl",
            event_time: Timestamp::parse_rfc3339("2025-12-19T14:30:00Z"),
            at: Timestamp::parse_rfc3339("2025-12-19T14:30:00.250Z").unwrap(),
            detail: "sent \"1.00\"".into(),
        };
        assert_eq!(
            entry.to_json(),
            r#"{"class":"value_mismatch","feature":"positions","stream":"account_id=123","row":"symbol=AAPL","field":"pnl","event_time":"2025-12-19T14:30:00Z","at":"2025-12-19T14:30:00.250Z","detail":"sent \"1.00\""}"#
        );
        let none = TruthEntry { event_time: None, ..entry };
        assert!(none.to_json().contains(r#""event_time":null,"at""#));
    }
}
