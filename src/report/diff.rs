//! Owns how two records are laid side by side: the unified diff of their indented JSON.
//! Must not change a scalar: numbers and strings stand as they came in.
//!
//! Members are sorted by name, because their order is no difference; scalars are exact text.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use similar::TextDiff;
use std::borrow::Cow;

/// Beyond this a record is no longer something a person reads, and the diff takes time.
const MAX_RECORD_BYTES: usize = 256 * 1024;
/// Deeper values stand on one line; without a bound a hostile record could exhaust the stack.
const MAX_DEPTH: usize = 32;
const CONTEXT_LINES: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Both,
    Rest,
    Ws,
    /// File and hunk headers.
    Header,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DiffLine {
    pub side: Side,
    pub text: String,
}

/// The unified diff from the REST record to the WebSocket record; an empty text is no record.
/// Nothing at all when both are empty, the same or too long to read.
pub(super) fn records(rest: &str, ws: &str) -> Vec<DiffLine> {
    sides(["REST", "WebSocket"], rest, ws)
}

/// The same from one text to another, by their names.
pub(super) fn sides(names: [&str; 2], rest: &str, ws: &str) -> Vec<DiffLine> {
    if rest.len().max(ws.len()) > MAX_RECORD_BYTES {
        return Vec::new();
    }
    let (old, new) = (indented(rest), indented(ws));
    let diff = TextDiff::from_lines(old.as_str(), new.as_str());
    let unified = diff
        .unified_diff()
        .context_radius(CONTEXT_LINES)
        .header(&label(names[0], rest), &label(names[1], ws))
        .to_string();
    unified.lines().enumerate().map(|(i, line)| DiffLine { side: side(i, line), text: line.into() }).collect()
}

/// The lines of a unified diff beside each other: REST left, WebSocket right, without the names of the sides.
pub(super) fn beside(lines: &[DiffLine]) -> Vec<(Option<DiffLine>, Option<DiffLine>)> {
    let mut pairs: Vec<(Option<DiffLine>, Option<DiffLine>)> = Vec::new();
    // The first pair that still lacks its right side.
    let mut lacking = 0;
    for line in lines.iter().skip(2) {
        match line.side {
            Side::Both | Side::Header => {
                pairs.push((Some(line.clone()), Some(line.clone())));
                lacking = pairs.len();
            }
            Side::Rest => pairs.push((Some(line.clone()), None)),
            Side::Ws => match pairs.get_mut(lacking) {
                Some(pair) => {
                    pair.1 = Some(line.clone());
                    lacking += 1;
                }
                None => {
                    pairs.push((None, Some(line.clone())));
                    lacking = pairs.len();
                }
            },
        }
    }
    pairs
}

fn label(name: &str, record: &str) -> String {
    if record.is_empty() { format!("{name} (nothing)") } else { name.to_string() }
}

fn side(index: usize, line: &str) -> Side {
    match line.as_bytes().first() {
        // The first two lines name the sides.
        _ if index < 2 => Side::Header,
        Some(b'@') => Side::Header,
        Some(b'-') => Side::Rest,
        Some(b'+') => Side::Ws,
        _ => Side::Both,
    }
}

/// Indented JSON, a scalar or an empty list a line; text that is not JSON as it is.
fn indented(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    if text.is_empty() {
        return out;
    }
    match serde_json::from_str::<&RawValue>(text) {
        Ok(value) => write_value(value.get(), 0, &mut out),
        Err(_) => out.push_str(text),
    }
    out.push('\n');
    out
}

fn write_value(raw: &str, depth: usize, out: &mut String) {
    let parsed = match raw.as_bytes().first() {
        Some(b'{') if depth < MAX_DEPTH => {
            serde_json::from_str::<Members<'_>>(raw).map(|Members(mut members)| {
                members.sort_by(|(a, _), (b, _)| a.cmp(b));
                let members = members.into_iter().map(|(name, value)| (Some(name), value)).collect();
                write_list(['{', '}'], members, depth, out);
            })
        }
        Some(b'[') if depth < MAX_DEPTH => serde_json::from_str::<Vec<&RawValue>>(raw).map(|items| {
            write_list(['[', ']'], items.into_iter().map(|item| (None, item)).collect(), depth, out);
        }),
        _ => {
            out.push_str(raw);
            Ok(())
        }
    };
    if parsed.is_err() {
        out.push_str(raw);
    }
}

type Item<'a> = (Option<Cow<'a, str>>, &'a RawValue);

fn write_list([open, close]: [char; 2], items: Vec<Item<'_>>, depth: usize, out: &mut String) {
    out.push(open);
    let last = items.len();
    for (i, (name, value)) in items.into_iter().enumerate() {
        break_line(depth + 1, out);
        if let Some(name) = name {
            out.push_str(&serde_json::to_string(&name).expect("a string becomes JSON"));
            out.push_str(": ");
        }
        write_value(value.get(), depth + 1, out);
        if i + 1 < last {
            out.push(',');
        } else {
            break_line(depth, out);
        }
    }
    out.push(close);
}

fn break_line(depth: usize, out: &mut String) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str("  ");
    }
}

/// An object's members as text, repeated names and all.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(rest: &str, ws: &str) -> String {
        records(rest, ws).iter().map(|line| format!("{}\n", line.text)).collect()
    }

    #[test]
    fn the_one_difference_stands_out() {
        let diff = text(r#"{"b":1.50,"a":[{"x":1e5}]}"#, r#"{"a":[{"x":1e5}],"b":1.5}"#);
        assert_eq!(
            diff,
            "--- REST\n+++ WebSocket\n@@ -4,5 +4,5 @@\n       \"x\": 1e5\n     }\n   ],\n-  \"b\": 1.50\n\
             +  \"b\": 1.5\n }\n"
        );
    }

    #[test]
    fn each_line_knows_its_side() {
        let sides: Vec<_> = records("-1", "+").into_iter().map(|line| line.side).collect();
        assert_eq!(sides, [Side::Header, Side::Header, Side::Header, Side::Rest, Side::Ws]);
    }

    #[test]
    fn both_sides_stand_beside_each_other() {
        let lines = records("{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":1,\"b\":7,\"c\":3,\"d\":4}");
        let text =
            |line: &Option<DiffLine>| line.as_ref().map_or(String::new(), |l| l.text[1..].trim().to_string());
        let pairs: Vec<_> = beside(&lines)[1..].iter().map(|(rest, ws)| (text(rest), text(ws))).collect();
        let pair = |a: &str, b: &str| (a.to_string(), b.to_string());
        assert_eq!(
            pairs,
            [
                pair("{", "{"),
                pair("\"a\": 1,", "\"a\": 1,"),
                pair("\"b\": 2,", "\"b\": 7,"),
                pair("\"c\": 3", "\"c\": 3,"),
                pair("", "\"d\": 4"),
                pair("}", "}"),
            ]
        );
        assert!(beside(&[]).is_empty());
    }

    #[test]
    fn one_missing_side_is_said() {
        assert!(text(r#"{"a":1}"#, "").starts_with("--- REST\n+++ WebSocket (nothing)\n"));
        assert_eq!(text("", ""), "");
        assert_eq!(text("{}", "{}"), "");
    }

    #[test]
    fn odd_records_do_no_harm() {
        assert_eq!(indented("{}"), "{}\n");
        assert_eq!(indented(r#"{"a":[]}"#), "{\n  \"a\": []\n}\n");
        assert_eq!(indented(r#"{"a":1,"a":2}"#), "{\n  \"a\": 1,\n  \"a\": 2\n}\n");
        assert_eq!(indented("<html>"), "<html>\n");
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert_eq!(indented(&deep).lines().count(), 2 * MAX_DEPTH + 1);
        assert!(records(&"[".repeat(100_000), "").len() < 10);
        assert!(records(&"x".repeat(MAX_RECORD_BYTES + 1), "").is_empty());
    }
}
