//! Edits of JSON text in place: everything but the struck bytes stays as it was received.
//! Knows syntax alone, not what a value means.

use crate::model::json::{Kind, Scanner, Slot};
use std::ops::Range;

/// Where a value stands.
pub fn span(slot: Slot) -> Range<usize> {
    slot.start as usize..(slot.start + slot.len) as usize
}

/// `text` with one stretch replaced.
pub fn replaced(text: &str, span: Range<usize>, with: &str) -> String {
    let mut out = String::with_capacity(text.len() + with.len());
    out.push_str(&text[..span.start]);
    out.push_str(with);
    out.push_str(&text[span.end..]);
    out
}

/// The stretch of a member from its name to its value's end.
pub fn member(text: &str, value: Range<usize>) -> Option<Range<usize>> {
    let colon = text[..value.start].trim_end().strip_suffix(':')?.trim_end();
    let name = colon.strip_suffix('"')?;
    // The quotes within a name are escaped, so the first one that is not opens it.
    let open = name.bytes().enumerate().rev().find(|(i, byte)| {
        let escapes = name.as_bytes()[..*i].iter().rev().take_while(|b| **b == b'\\').count();
        *byte == b'"' && escapes % 2 == 0
    })?;
    Some(open.0..value.end)
}

/// A stretch of a list or of an object with the comma that goes when it goes.
pub fn with_comma(text: &str, item: Range<usize>) -> Range<usize> {
    let after = &text[item.end..];
    let space = after.len() - after.trim_start().len();
    if after[space..].starts_with(',') {
        let rest = &after[space + 1..];
        return item.start..item.end + space + 1 + (rest.len() - rest.trim_start().len());
    }
    match text[..item.start].trim_end().strip_suffix(',') {
        Some(before) => before.len()..item.end,
        None => item,
    }
}

/// `text` without a member, given by its value.
pub fn without_member(text: &str, value: Range<usize>) -> Option<String> {
    let member = member(text, value)?;
    Some(replaced(text, with_comma(text, member), ""))
}

/// `text` with a member more at the beginning of an object.
pub fn with_member(text: &str, object: Range<usize>, member: &str) -> String {
    let inner = &text[object.start + 1..object.end - 1];
    let comma = if inner.trim().is_empty() { "" } else { "," };
    let at = object.start + 1;
    replaced(text, at..at, &format!("{member}{comma}"))
}

/// The value at a path of member names (or positions) below a value.
pub fn find(text: &str, below: Slot, path: &[String]) -> Option<Slot> {
    let mut scanner = Scanner::new(text);
    scanner.rewind(below.start as usize);
    let mut here = scanner.value().ok()?;
    for name in path {
        here = children(text, here).into_iter().find(|c| c.name.as_deref() == Some(name.as_str()))?.value;
    }
    Some(here)
}

/// A member of an object or an element of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// The member's name, unescaped; an element's position.
    pub name: Option<String>,
    pub value: Slot,
}

/// The members or elements of a value.
pub fn children(text: &str, of: Slot) -> Vec<Child> {
    let mut scanner = Scanner::new(text);
    scanner.rewind(of.start as usize);
    let mut found = Vec::new();
    let mut first = true;
    match scanner.peek() {
        Kind::Object => {
            scanner.enter();
            while let Ok(Some((name, _))) = scanner.member(&mut first) {
                let name = crate::model::json::scalar(&format!("\"{name}\"")).into_owned();
                let Ok(value) = scanner.value() else { break };
                found.push(Child { name: Some(name), value });
            }
        }
        Kind::Array => {
            scanner.enter();
            while let Ok(true) = scanner.element(&mut first) {
                let Ok(value) = scanner.value() else { break };
                found.push(Child { name: Some(found.len().to_string()), value });
            }
        }
        _ => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot_of(text: &str, value: &str) -> Slot {
        let start = text.find(value).unwrap();
        Slot { start: start as u32, len: value.len() as u32, kind: Kind::Number }
    }

    #[test]
    fn members_go_with_their_comma() {
        for (text, value, expect) in [
            (r#"{"a": 1, "b":2}"#, "1", r#"{"b":2}"#),
            (r#"{"a":1 , "b" : 2 }"#, "2", r#"{"a":1  }"#),
            (r#"{"a":1}"#, "1", "{}"),
            (r#"{"x\"y\\":7,"b":[2]}"#, "7", r#"{"b":[2]}"#),
            (r#"{"b":{"k":[3,4]},"c":5}"#, "[3,4]", r#"{"b":{},"c":5}"#),
        ] {
            let got = without_member(text, span(slot_of(text, value)));
            assert_eq!(got.as_deref(), Some(expect), "{text}");
        }
        // An element of a list has no name.
        assert_eq!(without_member("[1,2]", 1..2), None);
    }

    #[test]
    fn members_come_first() {
        assert_eq!(with_member(r#"{"a":1}"#, 0..7, r#""z":0"#), r#"{"z":0,"a":1}"#);
        assert_eq!(with_member("[{ }]", 1..4, r#""z":0"#), r#"[{"z":0 }]"#);
    }

    #[test]
    fn values_are_found_by_their_path() {
        let text = r#"{"q":{"la\"st":[10,{"v":7}]},"n":1}"#;
        let whole = Slot { start: 0, len: text.len() as u32, kind: Kind::Object };
        let path = |parts: &[&str]| parts.iter().map(|p| p.to_string()).collect::<Vec<_>>();
        let found = |parts: &[&str]| find(text, whole, &path(parts)).map(|slot| slot.raw(text).to_string());
        assert_eq!(found(&["q", "la\"st", "1", "v"]).as_deref(), Some("7"));
        assert_eq!(found(&[]).as_deref(), Some(text));
        assert_eq!(found(&["q", "none"]), None);
        assert_eq!(
            replaced(text, with_comma(text, member(text, 33..34).unwrap()), ""),
            r#"{"q":{"la\"st":[10,{"v":7}]}}"#
        );
    }
}
