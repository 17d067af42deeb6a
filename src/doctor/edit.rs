//! Changes of a contract's text: a key set where it stands, or added where it would. Everything else stays as people
//! wrote it.

use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One key and its new value, as TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub place: Place,
    pub key: String,
    pub value: String,
}

/// The table in which the key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `[rest]` or `[ws]`.
    Feed(&'static str),
    /// A table in one of these: `headers` of `[ws]`.
    In(&'static str, &'static str),
    Feature(String),
    /// `rest` or `ws` of a feature.
    Side(String, &'static str),
    Field(String, String),
}

/// The text with the edits that can be made; `None` where none can.
pub fn patched(text: &str, edits: &[Edit]) -> Option<String> {
    let mut out = text.to_string();
    for edit in edits {
        if let Some(changed) = applied(&out, edit) {
            out = changed;
        }
    }
    (out != text).then_some(out)
}

fn applied(text: &str, edit: &Edit) -> Option<String> {
    let document = DeTable::parse(text).ok()?;
    let root = document.get_ref();
    let (table, head) = match &edit.place {
        Place::Feed(feed) => found(member(root, feed)?)?,
        Place::In(feed, inner) => match member(found(member(root, feed)?)?.0, inner) {
            Some(value) => found(value)?,
            None => {
                let (_, head) = found(member(root, feed)?)?;
                let line = format!("{inner} = {{ {} = {} }}", name(&edit.key), edit.value);
                return Some(inserted(text, head, &line));
            }
        },
        Place::Feature(feature) => found(feature_of(root, feature)?)?,
        Place::Side(feature, side) => found(member(found(feature_of(root, feature)?)?.0, side)?)?,
        Place::Field(feature, field) => {
            let fields = member(found(feature_of(root, feature)?)?.0, "fields")?;
            found(member(found(fields)?.0, field)?)?
        }
    };
    if let Some(value) = member(table, &edit.key) {
        let span = value.span();
        return (text[span.clone()] != *edit.value)
            .then(|| format!("{}{}{}", &text[..span.start], edit.value, &text[span.end..]));
    }
    Some(inserted(text, head, &format!("{} = {}", name(&edit.key), edit.value)))
}

/// Adds a member to the table that stands or begins at `head`.
fn inserted(text: &str, head: Range<usize>, member: &str) -> String {
    if text[head.clone()].starts_with('{') {
        let inner = &text[head.start + 1..head.end - 1];
        let (before, after) = (&text[..head.end - 1], &text[head.end - 1..]);
        let trimmed = before.trim_end();
        let comma = if inner.trim().is_empty() || inner.trim_end().ends_with(',') { "" } else { "," };
        return format!("{trimmed}{comma} {member} {after}");
    }
    let line_end = text[head.start..].find('\n').map_or(text.len(), |at| head.start + at + 1);
    format!("{}{member}\n{}", &text[..line_end], &text[line_end..])
}

type Found<'d> = (&'d DeTable<'d>, Range<usize>);

fn found<'d>(value: &'d Spanned<DeValue<'d>>) -> Option<Found<'d>> {
    Some((value.get_ref().as_table()?, value.span()))
}

fn member<'d>(table: &'d DeTable<'d>, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
    table.iter().find(|(name, _)| name.get_ref().as_ref() == key).map(|(_, value)| value)
}

fn feature_of<'d>(root: &'d DeTable<'d>, name: &str) -> Option<&'d Spanned<DeValue<'d>>> {
    let DeValue::Array(features) = member(root, "feature")?.get_ref() else { return None };
    features.iter().find(|feature| {
        let table = feature.get_ref().as_table();
        let own = table.and_then(|table| member(table, "name"));
        own.and_then(|own| own.get_ref().as_str()) == Some(name)
    })
}

/// A key as TOML writes it.
fn name(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if bare { key.to_string() } else { format!("\"{key}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# ours
version = 1
[rest]
base_url = "http://h"   # the staging one
[ws]
url = "ws://h/ws"
[[feature]]
name = "a"
rest = { path = "/a", records = "" }
ws = { type = "b" }
[feature.fields]
cash = { type = "integer" }
"#;

    fn edit(place: Place, key: &str, value: &str) -> Edit {
        Edit { place, key: key.into(), value: value.into() }
    }

    #[test]
    fn a_key_is_set_where_it_stands_and_added_where_it_would() {
        let side = |side| Place::Side("a".into(), side);
        for (edit, expect) in [
            (
                edit(Place::Feed("rest"), "base_url", "\"http://x\""),
                "base_url = \"http://x\"   # the staging one\n",
            ),
            (edit(Place::Feed("ws"), "ignore_types", "[\"pong\"]"), "[ws]\nignore_types = [\"pong\"]\nurl"),
            (
                edit(Place::In("ws", "headers"), "Origin", "\"http://h\""),
                "[ws]\nheaders = { Origin = \"http://h\" }\n",
            ),
            (edit(side("ws"), "type", "\"c\""), "ws = { type = \"c\" }\n"),
            (edit(side("ws"), "records", "\"/data\""), "ws = { type = \"b\", records = \"/data\" }\n"),
            (
                edit(Place::Field("a".into(), "cash".into()), "ws", "\"c\""),
                "cash = { type = \"integer\", ws = \"c\" }\n",
            ),
            (
                edit(Place::Feature("a".into()), "align", "\"arrival\""),
                "[[feature]]\nalign = \"arrival\"\nname",
            ),
        ] {
            let changed = patched(TEXT, std::slice::from_ref(&edit)).unwrap();
            assert!(changed.contains(expect), "{edit:?}\n{changed}");
            assert!(changed.starts_with("# ours\n") && DeTable::parse(&changed).is_ok());
        }
        let more = TEXT.replace("url = \"ws", "headers = { A = \"b\" }\nurl = \"ws");
        let origin = edit(Place::In("ws", "headers"), "Origin", "\"o\"");
        assert!(patched(&more, &[origin]).unwrap().contains("headers = { A = \"b\", Origin = \"o\" }"));
        assert_eq!(patched(TEXT, &[edit(Place::Feature("z".into()), "align", "1")]), None);
        assert_eq!(patched(TEXT, &[edit(side("ws"), "type", "\"b\"")]), None);
    }
}
