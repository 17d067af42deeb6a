//! Reads TOML tables key by key, with places, and collects what is wrong.
//!
//! Owns `${NAME}`, unknown and absent keys and the wording of type errors. A getter that finds a wrong value
//! reports it and answers `None`, so that callers go on and find the next error. Messages quote what the file
//! says, never what the environment filled in.

use super::Environment;
use super::place::Fault;
use super::text::{Filled, fill};
use crate::contract::spelling;
use crate::model::Span;
use std::cell::RefCell;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One file being read: its environment and its errors so far.
pub struct Reader<'e> {
    text: &'e str,
    environment: Environment<'e>,
    connects: bool,
    faults: RefCell<Vec<Fault>>,
    /// What the environment answered: value and name.
    answers: RefCell<Vec<(String, String)>>,
}

/// A value and the bytes of the file that it stands in.
#[derive(Debug, Clone, PartialEq)]
pub struct At<T> {
    pub value: T,
    pub at: Range<usize>,
}

/// A string with `${…}` filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    pub value: String,
    /// As the file says it.
    pub raw: String,
    pub at: Range<usize>,
    /// False where an unset variable was tolerated: `value` is the text as it is and cannot be judged.
    pub known: bool,
}

/// Whether an unset variable is tolerated when the command does not connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unset {
    IsAnError,
    MayStay,
}

/// A table being read.
pub struct Table<'r, 'e> {
    reader: &'r Reader<'e>,
    entries: &'r DeTable<'r>,
    /// How messages call it: `[rest]`, `feature "positions"`.
    pub name: String,
    at: Range<usize>,
    unset: Unset,
    known: RefCell<Vec<&'static str>>,
    /// Required keys that are absent, with what to say of them.
    lacks: RefCell<Vec<(String, String)>>,
}

impl<'e> Reader<'e> {
    pub fn new(text: &'e str, environment: Environment<'e>, connects: bool) -> Reader<'e> {
        let (faults, answers) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        Reader { text, environment, connects, faults, answers }
    }

    pub fn error(&self, at: Range<usize>, message: &str) {
        self.faults.borrow_mut().push(Fault { start: at.start, end: at.end, message: message.to_string() });
    }

    /// The errors, in whose messages values of the environment stand as `${NAME}` again.
    pub fn into_errors(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        for (value, name) in self.answers.into_inner() {
            // A shorter one is no secret, and replacing it would garble the message.
            if value.len() >= 4 {
                for fault in &mut faults {
                    fault.message = fault.message.replace(&value, &format!("${{{name}}}"));
                }
            }
        }
        faults
    }

    fn lookup(&self, name: &str) -> Option<String> {
        let value = (self.environment)(name)?;
        self.answers.borrow_mut().push((value.clone(), name.to_string()));
        Some(value)
    }

    fn text(&self, raw: &str, at: Range<usize>, unset: Unset) -> Option<Text> {
        match fill(raw, &|name| self.lookup(name)) {
            Filled::Text(value) => Some(Text { value, raw: raw.to_string(), at, known: true }),
            Filled::Unset(_) if unset == Unset::MayStay && !self.connects => {
                Some(Text { value: raw.to_string(), raw: raw.to_string(), at, known: false })
            }
            Filled::Unset(name) => {
                self.error(
                    at,
                    &format!("environment variable `{name}` is not set; set it, or write the value"),
                );
                None
            }
            Filled::Malformed => {
                self.error(at, "`${` begins an environment variable, as in `${NAME}`, and this is none");
                None
            }
        }
    }
}

impl Text {
    /// A message that quotes parts of the value, unless the environment gave some of it.
    pub fn said(&self, message: String) -> String {
        if self.raw == self.value {
            return message;
        }
        format!("`{}` is not right once its variables are filled in", self.raw)
    }

    /// The string's text begins after its quote; inside, only unescaped text has places of its own.
    pub fn inside(&self, reader: &Table<'_, '_>, offset: usize) -> Range<usize> {
        let start = self.at.start + 1;
        let literal = reader.reader.text.get(start..).is_some_and(|text| text.starts_with(&self.raw));
        if literal && self.raw == self.value && offset <= self.raw.len() {
            start + offset..start + offset + 1
        } else {
            self.at.clone()
        }
    }
}

impl<'r, 'e> Table<'r, 'e> {
    pub fn root(reader: &'r Reader<'e>, entries: &'r DeTable<'r>) -> Table<'r, 'e> {
        Table {
            reader,
            entries,
            name: "the contract".into(),
            at: 0..0,
            unset: Unset::IsAnError,
            known: RefCell::new(Vec::new()),
            lacks: RefCell::new(Vec::new()),
        }
    }

    pub fn entries(&self) -> &'r DeTable<'r> {
        self.entries
    }

    /// From here on an unset variable is tolerated unless the command connects.
    pub fn tolerating_unset(mut self) -> Table<'r, 'e> {
        self.unset = Unset::MayStay;
        self
    }

    /// From here on an unset variable is an error again: what follows decides verdicts.
    pub fn strict_text(&self, key: &'static str) -> Option<Text> {
        self.text_by(key, Unset::IsAnError)
    }

    pub fn error(&self, at: Range<usize>, message: &str) {
        self.reader.error(at, message);
    }

    pub fn error_at_head(&self, message: &str) {
        self.error(self.at.clone(), message);
    }

    pub fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    fn find(&self, key: &str) -> Option<(Range<usize>, &'r Spanned<DeValue<'r>>)> {
        let mut entries = self.entries.iter();
        entries.find(|(name, _)| name.get_ref().as_ref() == key).map(|(name, value)| (name.span(), value))
    }

    fn value(&self, key: &'static str) -> Option<&'r Spanned<DeValue<'r>>> {
        // Some keys are asked for twice, once for each form they may have.
        if !self.known.borrow().contains(&key) {
            self.known.borrow_mut().push(key);
        }
        self.find(key).map(|(_, value)| value)
    }

    fn wrong(&self, key: &str, found: &Spanned<DeValue<'_>>, right: &str) {
        let article = if found.get_ref().type_str().starts_with(['a', 'i']) { "an" } else { "a" };
        self.error(
            found.span(),
            &format!("`{key}` is {article} {}; write {right}", found.get_ref().type_str()),
        );
    }

    /// Reports that a required key is absent; the answer is `None` either way.
    pub fn lacking<T>(&self, key: &str, example: &str) -> Option<T> {
        if !self.has(key) {
            self.lacks(key, format!("`{key}` is lacking in {}; add `{key} = {example}`", self.name));
        }
        None
    }

    /// Notes an absent key; `finish` reports it unless it stands there misspelt.
    pub fn lacks(&self, key: &str, message: String) {
        self.lacks.borrow_mut().push((key.to_string(), message));
    }

    /// Reports a key that stands here but can have no effect.
    pub fn ineffective(&self, key: &str, why: &str) {
        if let Some((at, _)) = self.find(key) {
            self.error(at, &format!("`{key}` has no effect: {why}; remove it"));
        }
    }

    fn text_by(&self, key: &'static str, unset: Unset) -> Option<Text> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::String(raw) => self.reader.text(raw, value.span(), unset),
            _ => {
                self.wrong(key, value, "a string");
                None
            }
        }
    }

    pub fn text(&self, key: &'static str) -> Option<Text> {
        self.text_by(key, self.unset)
    }

    /// A string that must say something.
    pub fn filled_text(&self, key: &'static str) -> Option<Text> {
        let text = self.text(key)?;
        if text.value.trim().is_empty() {
            self.error(text.at, &format!("`{key}` is empty; write its text, or remove it"));
            return None;
        }
        Some(text)
    }

    pub fn boolean(&self, key: &'static str) -> Option<At<bool>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Boolean(answer) => Some(At { value: *answer, at: value.span() }),
            _ => {
                self.wrong(key, value, "`true` or `false`");
                None
            }
        }
    }

    pub fn integer(&self, key: &'static str) -> Option<At<i64>> {
        let value = self.value(key)?;
        if let Some(number) = integer_of(value.get_ref()) {
            return Some(At { value: number, at: value.span() });
        }
        self.wrong(key, value, "a whole number");
        None
    }

    /// A whole number of at least one.
    pub fn count(&self, key: &'static str) -> Option<At<u64>> {
        let number = self.integer(key)?;
        match u64::try_from(number.value) {
            Ok(count) if count > 0 => Some(At { value: count, at: number.at }),
            _ => {
                self.error(number.at, &format!("`{key}` must be at least 1"));
                None
            }
        }
    }

    /// A duration such as `"10s"`; zero is refused.
    pub fn duration(&self, key: &'static str) -> Option<At<Span>> {
        let span = self.span_or_zero(key)?;
        if span.value == Span::ZERO {
            self.error(span.at, &format!("`{key}` must be longer than zero, as in \"10s\""));
            return None;
        }
        Some(span)
    }

    /// A duration; `"0s"` too.
    pub fn span_or_zero(&self, key: &'static str) -> Option<At<Span>> {
        let value = self.value(key)?;
        let DeValue::String(raw) = value.get_ref() else {
            self.wrong(key, value, "a duration with its unit, as in \"10s\" or \"250ms\"");
            return None;
        };
        let text = self.reader.text(raw, value.span(), self.unset)?;
        match Span::parse(&text.value) {
            Some(span) => Some(At { value: span, at: text.at }),
            None if !text.known => None,
            None => {
                let raw = &text.raw;
                self.error(
                    text.at,
                    &format!("`{raw}` is no duration; write it with its unit, as in \"10s\" or \"250ms\""),
                );
                None
            }
        }
    }

    /// A number, or a percentage in a string: `0.02` or `"2%"`, as a fraction.
    pub fn fraction(&self, key: &'static str) -> Option<At<f64>> {
        let value = self.value(key)?;
        let at = value.span();
        let found = match value.get_ref() {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(_) => integer_of(value.get_ref()).map(|number| number as f64),
            DeValue::String(raw) => fraction_of(&self.reader.text(raw, at.clone(), self.unset)?.value),
            _ => None,
        };
        match found.filter(|fraction| (0.0..=1.0).contains(fraction)) {
            Some(value) => Some(At { value, at }),
            None => {
                self.error(at, &format!("`{key}` must lie between 0% and 100%; write it as in \"2%\""));
                None
            }
        }
    }

    /// Bytes: a whole number, or a string such as `"16 MiB"`.
    pub fn bytes(&self, key: &'static str) -> Option<At<u64>> {
        let value = self.value(key)?;
        let at = value.span();
        let found = match value.get_ref() {
            DeValue::String(raw) => {
                let text = self.reader.text(raw, at.clone(), self.unset)?;
                if !text.known {
                    return None;
                }
                super::text::bytes_of(&text.value)
            }
            other => integer_of(other).and_then(|number| u64::try_from(number).ok()),
        };
        match found.filter(|bytes| *bytes > 0) {
            Some(value) => Some(At { value, at }),
            None => {
                self.error(at, &format!("`{key}` is no size; write bytes, or a string such as \"16 MiB\""));
                None
            }
        }
    }

    /// A list of strings.
    pub fn texts(&self, key: &'static str) -> Option<At<Vec<Text>>> {
        let value = self.value(key)?;
        let DeValue::Array(list) = value.get_ref() else {
            self.wrong(key, value, "a list of strings, as in [\"…\"]");
            return None;
        };
        let mut texts = Vec::new();
        let mut whole = true;
        for item in list.iter() {
            match item.get_ref() {
                DeValue::String(raw) => match self.reader.text(raw, item.span(), self.unset) {
                    Some(text) => texts.push(text),
                    None => whole = false,
                },
                _ => {
                    self.wrong(key, item, "strings in this list");
                    whole = false;
                }
            }
        }
        whole.then(|| At { value: texts, at: value.span() })
    }

    /// A list of strings, none empty, none twice.
    pub fn names(&self, key: &'static str) -> Option<At<Vec<Text>>> {
        let list = self.texts(key)?;
        let mut good = true;
        for (i, text) in list.value.iter().enumerate() {
            if text.value.is_empty() {
                self.error(text.at.clone(), &format!("an empty name in `{key}`; remove it"));
                good = false;
            } else if list.value[..i].iter().any(|other| other.value == text.value) {
                self.error(text.at.clone(), &format!("`{}` stands twice in `{key}`; keep one", text.raw));
                good = false;
            }
        }
        good.then_some(list)
    }

    pub fn table(&self, key: &'static str) -> Option<Table<'r, 'e>> {
        let value = self.value(key)?;
        self.table_of(key, value, key)
    }

    /// A value that is a table or else another thing, decided by the caller.
    pub fn raw(&self, key: &'static str) -> Option<&'r Spanned<DeValue<'r>>> {
        self.value(key)
    }

    fn table_of(&self, key: &str, value: &'r Spanned<DeValue<'r>>, name: &str) -> Option<Table<'r, 'e>> {
        let DeValue::Table(entries) = value.get_ref() else {
            self.wrong(key, value, "a table");
            return None;
        };
        Some(Table {
            reader: self.reader,
            entries,
            name: self.child_name(name),
            // A table made by dotted keys has no place of its own.
            at: if value.span().is_empty() { self.key_place(entries) } else { value.span() },
            unset: self.unset,
            known: RefCell::new(Vec::new()),
            lacks: RefCell::new(Vec::new()),
        })
    }

    fn key_place(&self, entries: &DeTable<'_>) -> Range<usize> {
        entries.iter().map(|(key, _)| key.span()).min_by_key(|span| span.start).unwrap_or(self.at.clone())
    }

    fn child_name(&self, name: &str) -> String {
        match self.name.as_str() {
            "the contract" => format!("[{name}]"),
            parent => match parent.strip_suffix(']') {
                Some(parent) => format!("{parent}.{name}]"),
                None => format!("`{name}` of {parent}"),
            },
        }
    }

    /// `[[key]]`: a list of tables.
    pub fn tables(&self, key: &'static str) -> Vec<Table<'r, 'e>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(list) = value.get_ref() else {
            self.wrong(key, value, &format!("`[[{key}]]`, a list of tables"));
            return Vec::new();
        };
        list.iter().filter_map(|item| self.table_of(key, item, key)).collect()
    }

    /// The members of a table whose keys are names of the user's, in the order of the file.
    pub fn members(&self) -> Vec<(At<&'r str>, &'r Spanned<DeValue<'r>>)> {
        let mut members: Vec<_> = self
            .entries
            .iter()
            .map(|(key, value)| (At { value: key.get_ref().as_ref(), at: key.span() }, value))
            .collect();
        members.sort_by_key(|(key, _)| key.at.start);
        members
    }

    /// A member as a table.
    pub fn member_table(&self, key: &At<&'r str>, value: &'r Spanned<DeValue<'r>>) -> Option<Table<'r, 'e>> {
        let mut table = self.table_of(key.value, value, key.value)?;
        table.at = key.at.clone();
        Some(table)
    }

    /// A member as a string.
    pub fn member_text(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<Text> {
        match value.get_ref() {
            DeValue::String(raw) => self.reader.text(raw, value.span(), self.unset),
            _ => {
                self.wrong(key, value, "a string");
                None
            }
        }
    }

    /// Any value as JSON, strings filled in.
    pub fn json(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<serde_json::Value> {
        use serde_json::Value;
        match value.get_ref() {
            DeValue::String(raw) => {
                Some(Value::String(self.reader.text(raw, value.span(), self.unset)?.value))
            }
            DeValue::Boolean(answer) => Some(Value::Bool(*answer)),
            DeValue::Integer(_) => match integer_of(value.get_ref()) {
                Some(number) => Some(Value::from(number)),
                None => {
                    self.error(
                        value.span(),
                        &format!("a number of `{key}` does not fit 64 bits; write a string"),
                    );
                    None
                }
            },
            DeValue::Float(number) => {
                match number.as_str().parse().ok().and_then(serde_json::Number::from_f64) {
                    Some(number) => Some(Value::Number(number)),
                    None => {
                        self.error(
                            value.span(),
                            &format!("a number of `{key}` is not finite; JSON has no such"),
                        );
                        None
                    }
                }
            }
            DeValue::Datetime(instant) => Some(Value::String(instant.to_string())),
            DeValue::Array(list) => {
                let items: Vec<_> = list.iter().map(|item| self.json(key, item)).collect();
                items.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
            }
            DeValue::Table(table) => {
                let members: Vec<_> = table
                    .iter()
                    .map(|(name, value)| Some((name.get_ref().to_string(), self.json(key, value)?)))
                    .collect();
                members.into_iter().collect::<Option<serde_json::Map<_, _>>>().map(Value::Object)
            }
        }
    }

    /// Reports what was never asked for (unknown keys, with the nearest known one) and what is absent.
    pub fn finish(&self) {
        let known = self.known.borrow();
        for (key, message) in self.lacks.borrow().iter() {
            let meant = |word: &str| spelling::nearest(word, known.iter().copied()).contains(&key.as_str());
            if !self.members().iter().any(|(word, _)| !known.contains(&word.value) && meant(word.value)) {
                self.error_at_head(message);
            }
        }
        for (key, _) in self.members() {
            if !known.contains(&key.value) {
                let cure = spelling::cure(key.value, known.iter().copied());
                let place =
                    if self.name == "the contract" { String::new() } else { format!(" in {}", self.name) };
                self.error(key.at, &format!("unknown key `{}`{place}; {cure}", key.value));
            }
        }
    }
}

pub fn integer_of(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn fraction_of(text: &str) -> Option<f64> {
    let text = text.trim();
    match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0),
        None => text.parse().ok(),
    }
}
