//! The truth: what was injected, one entry per cause, so that a report can be scored against it; written
//! as JSON lines and read back. Knows nothing about how a verifier finds it.

use crate::model::{Class, Timestamp};
use std::borrow::Cow;
use std::fmt::Write;

/// One injected fault. Empty strings stand for "does not apply".
#[derive(Debug, Clone, PartialEq)]
pub struct TruthEntry {
    pub class: Class,
    pub feature: Cow<'static, str>,
    /// `country=USA,symbol=SPY` in the contract's key order.
    pub stream: String,
    /// `symbol=AAPL`.
    pub row: String,
    pub field: Cow<'static, str>,
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
            feature: "".into(),
            stream: String::new(),
            row: String::new(),
            field: "".into(),
            event_time: None,
            at,
            detail: String::new(),
        }
    }

    /// One JSON line without its line break (SPEC §9).
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(256);
        let _ = write!(out, "{{\"class\":\"{}\"", self.class.name());
        for (name, value) in [
            ("feature", &*self.feature),
            ("stream", &self.stream),
            ("row", &self.row),
            ("field", &self.field),
        ] {
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

/// A line of a ledger as it is written: `class` and `at` are needed, the rest may be absent, empty or null.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    class: String,
    feature: Option<String>,
    stream: Option<String>,
    row: Option<String>,
    field: Option<String>,
    event_time: Option<String>,
    at: String,
    detail: Option<String>,
}

/// A line of a ledger that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LedgerError {
    /// Counted from 1.
    pub line: usize,
    pub problem: String,
}

/// Reads a whole ledger, one entry a line (SPEC §9); empty lines are none.
pub fn parse_ledger(text: &str) -> Result<Vec<TruthEntry>, LedgerError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(n, line)| parse_entry(line).map_err(|problem| LedgerError { line: n + 1, problem })).collect()
}

fn parse_entry(line: &str) -> Result<TruthEntry, String> {
    let line: Line = serde_json::from_str(line)
        .map_err(|e| format!("is no entry of a ledger: {e}; an entry is {{\"class\":…,\"at\":…}}"))?;
    let class = Class::parse(&line.class).ok_or_else(|| {
        let known: Vec<&str> = Class::ALL.iter().map(|class| class.name()).collect();
        format!("`{}` is no class of findings; known: {}", line.class, known.join(", "))
    })?;
    let instant = |name: &str, text: &str| {
        let wrong =
            || format!("`{name}` is `{text}`; it must be an RFC 3339 time such as 2025-12-19T14:30:00Z");
        Timestamp::parse_rfc3339(text).ok_or_else(wrong)
    };
    Ok(TruthEntry {
        class,
        feature: line.feature.unwrap_or_default().into(),
        stream: line.stream.unwrap_or_default(),
        row: line.row.unwrap_or_default(),
        field: line.field.unwrap_or_default().into(),
        event_time: line
            .event_time
            .filter(|text| !text.is_empty())
            .map(|text| instant("event_time", &text))
            .transpose()?,
        at: instant("at", &line.at)?,
        detail: line.detail.unwrap_or_default(),
    })
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
            feature: "positions".into(),
            stream: "account_id=123".into(),
            row: "symbol=AAPL".into(),
            field: "pnl".into(),
            event_time: Timestamp::parse_rfc3339("2025-12-19T14:30:00Z"),
            at: Timestamp::parse_rfc3339("2025-12-19T14:30:00.250Z").unwrap(),
            detail: "sent \"1.00\"".into(),
        };
        assert_eq!(
            entry.to_json(),
            r#"{"class":"value_mismatch","feature":"positions","stream":"account_id=123","row":"symbol=AAPL","field":"pnl","event_time":"2025-12-19T14:30:00Z","at":"2025-12-19T14:30:00.250Z","detail":"sent \"1.00\""}"#
        );
        let none = TruthEntry { event_time: None, ..entry.clone() };
        assert!(none.to_json().contains(r#""event_time":null,"at""#));
        let ledger = format!("{}\n\n{}\n", entry.to_json(), none.to_json());
        assert_eq!(parse_ledger(&ledger), Ok(vec![entry, none]));
    }

    #[test]
    fn a_wrong_ledger_says_where_and_what_would_be_right() {
        for (line, says) in [
            ("{\"class\":\"gap\"}", "missing field `at`"),
            ("{\"class\":\"gapp\",\"at\":\"2025-12-19T14:30:00Z\"}", "`gapp` is no class"),
            ("{\"class\":\"gap\",\"at\":\"today\"}", "`at` is `today`; it must be an RFC 3339 time"),
            ("{\"class\":\"gap\",\"at\":\"2025-12-19T14:30:00Z\",\"when\":1}", "unknown field `when`"),
            ("class,severity", "is no entry of a ledger"),
        ] {
            let error = parse_ledger(&format!("\n{line}\n")).unwrap_err();
            assert_eq!(error.line, 2);
            assert!(error.to_string().contains(says), "{line}: {error}");
        }
    }
}
