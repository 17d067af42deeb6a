//! A body walked once along the plan: slots of the values that matter, nothing built.
//!
//! Pure function of plan and text, so bodies may be extracted on any thread and in any order.

use super::frame::{Routed, find, route, unescaped};
use super::plan::{Member, Node, Plan, Role, SidePlan};
use crate::model::json::{Kind, MAX_DEPTH, NotJson, Scanner, Slot};
use crate::model::text::as_json_string;
use crate::model::{Event, Payload, Timestamp};
use std::borrow::Cow;
use std::ops::Range;

/// What walks found, body after body; cleared and used again. Offsets refer to the text of each body, those of
/// walked columns and of rows to that of their record.
#[derive(Debug, Default)]
pub struct Extraction {
    slots: Vec<Slot>,
    records: Vec<RecordSpan>,
    row_slots: Vec<Slot>,
    roots: Vec<Slot>,
    unknown: Vec<Unknown>,
    /// Paths of leaves, as JSON strings.
    paths: String,
    /// Which member followed which when they were last seen: a server keeps its order. Says where to look
    /// first, never what is found.
    followers: Vec<u32>,
}

/// One record of a body, and where in the extraction its parts stand.
#[derive(Debug, Clone, Copy)]
pub struct RecordSpan {
    pub raw: Slot,
    /// What stood where rows are declared.
    pub rows_kind: Kind,
    /// The member name under which the record stood (quotes included), for `index`; of a leaf, where its path
    /// is kept.
    pub name: Slot,
    /// The event time, where it stands there as RFC 3339; else it is read when it is needed.
    pub event: Option<Timestamp>,
    slots: u32,
    roots: u32,
    rows: (u32, u32),
    unknown: (u32, u32),
}

/// One body in an extraction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Body {
    /// For `Extraction::record`.
    pub records: Range<usize>,
    pub fault: Option<Fault>,
    /// For `Extraction::root_of`.
    roots: usize,
}

impl Extraction {
    /// Forgets all bodies, and keeps the memory.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.records.clear();
        self.row_slots.clear();
        self.roots.clear();
        self.unknown.clear();
        self.paths.clear();
    }

    pub fn record(&self, index: usize) -> &RecordSpan {
        &self.records[index]
    }

    /// The record's columns; of those that are not walked nothing is told. What stands above the records is told by
    /// its place in the body.
    pub fn columns(&self, record: &RecordSpan, plan: &SidePlan) -> &[Slot] {
        &self.slots[record.slots as usize..][..plan.columns.len()]
    }

    /// The columns of the record's rows, row after row.
    pub fn rows(&self, record: &RecordSpan) -> &[Slot] {
        &self.row_slots[record.rows.0 as usize..record.rows.1 as usize]
    }

    /// What the n-th pointer from the body's root found.
    pub fn root(&self, record: &RecordSpan, n: usize) -> Slot {
        self.roots[record.roots as usize + n]
    }

    /// The same of a body, records or none.
    pub fn root_of(&self, body: &Body, n: usize) -> Slot {
        self.roots.get(body.roots + n).copied().unwrap_or_default()
    }

    /// The name under which the record stood in its object, or its path in a tree: a JSON string.
    pub fn name<'t>(&'t self, record: &RecordSpan, plan: &SidePlan, text: &'t str) -> &'t str {
        record.name.raw(if plan.tree.is_some() { &self.paths } else { text })
    }

    /// Members nobody declared, in the record and its rows.
    pub fn unknown(&self, record: &RecordSpan) -> &[Unknown] {
        &self.unknown[record.unknown.0 as usize..record.unknown.1 as usize]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown {
    pub row: bool,
    /// The plan's node in which it stood.
    pub node: u32,
    /// Without quotes.
    pub name: Slot,
}

/// Why a body is `malformed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    Duplicate(String),
    TooDeep,
    /// No object or array where `records` points.
    NoRecords,
    /// An element of the records is no object.
    NoObject,
}

impl Fault {
    pub fn describe(&self) -> String {
        match self {
            Fault::Duplicate(name) => format!("duplicate member `{name}`"),
            Fault::TooDeep => format!("nested over {MAX_DEPTH} levels"),
            Fault::NoRecords => "no object or array where `records` points".into(),
            Fault::NoObject => "an element of the records is no object".into(),
        }
    }
}

/// What an observation's body holds, read before it is judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Of a frame with JSON.
    pub routed: Option<Routed>,
    /// For the feature of an answer, or the first one that a frame leads to.
    pub body: Body,
}

/// Reads an observation's body into `out`; one without JSON has nothing to read.
pub fn read(plan: &Plan, event: &Event<'_>, out: &mut Extraction) -> Result<Reading, NotJson> {
    match event {
        Event::Ws { payload: Payload::Json { text, .. }, .. } => read_message(plan, text, out),
        Event::Rest { payload: Payload::Json { text, .. }, feature, .. } => {
            let body = match plan.feature(feature) {
                Some(i) => extract(&plan.features[i].rest, text, out)?,
                None => whole(text).map(|()| Body::default())?,
            };
            Ok(Reading { routed: None, body })
        }
        _ => Ok(Reading::default()),
    }
}

/// Reads one message; of a list of messages only that it is one.
pub fn read_message(plan: &Plan, text: &str, out: &mut Extraction) -> Result<Reading, NotJson> {
    let routed = route(plan, text)?;
    let body = match plan.leads(&routed).first() {
        Some(&feature) => extract(&plan.features[feature].ws, text, out)?,
        None => Body::default(),
    };
    Ok(Reading { routed: Some(routed), body })
}

/// Reads a text whole for its syntax alone.
pub(super) fn whole(text: &str) -> Result<(), NotJson> {
    let mut scanner = Scanner::new(text);
    scanner.value()?;
    if scanner.at_end() { Ok(()) } else { Err(NotJson { offset: scanner.position() }) }
}

/// Walks a body along one side's plan, and adds what it finds.
pub fn extract(plan: &SidePlan, text: &str, out: &mut Extraction) -> Result<Body, NotJson> {
    let (first, roots) = (out.records.len(), out.roots.len());
    out.roots.resize(roots + plan.roots, Slot::default());
    let mut walk = Walk {
        plan,
        scanner: Scanner::new(text),
        text,
        out,
        names: Vec::new(),
        found: plan.may_lack,
        above: Vec::new(),
        roots,
        base: 0,
        fault: None,
    };
    walk.node(plan.root, Level::Root)?;
    if !walk.scanner.at_end() {
        return Err(NotJson { offset: walk.scanner.position() });
    }
    let fault = match walk.fault {
        _ if walk.scanner.deepest() > MAX_DEPTH => Some(Fault::TooDeep),
        None if !walk.found => Some(Fault::NoRecords),
        fault => fault,
    };
    Ok(Body { records: first..out.records.len(), fault, roots })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Record,
    Row,
}

/// Declared members of one object that are told apart by a bit; those beyond are by name.
const BITS: usize = u64::BITS as usize;

struct Walk<'w> {
    plan: &'w SidePlan,
    scanner: Scanner<'w>,
    text: &'w str,
    out: &'w mut Extraction,
    /// Names of the objects that are open, innermost last: undeclared ones, and those of records by name.
    names: Vec<(u32, u32)>,
    found: bool,
    /// What was taken for the records of the objects that are open: whose records, their column, the value.
    above: Vec<(usize, usize, Slot)>,
    /// Where this body's roots begin.
    roots: usize,
    /// Where the record begins that is walked.
    base: u32,
    fault: Option<Fault>,
}

impl Walk<'_> {
    fn node(&mut self, node: usize, level: Level) -> Result<(), NotJson> {
        let plan = self.plan;
        let at = &plan.nodes[node];
        let kind = self.scanner.peek();
        let start = self.scanner.position();
        let first_record = self.out.records.len();
        match at.role {
            Role::Records => {
                self.records(kind)?;
                if !at.children.is_empty() {
                    // Pointers from the root may lead through the records.
                    self.scanner.rewind(start);
                    self.children(node, level, kind)?;
                }
            }
            Role::Rows => self.rows(kind)?,
            Role::Plain => self.children(node, level, kind)?,
        }
        let slot = Slot { start: start as u32, len: (self.scanner.position() - start) as u32, kind };
        if let Some(column) = at.capture {
            self.capture(column, level, slot);
        }
        if let Some((around, column)) = at.above {
            self.above.push((around, column, slot));
        }
        if at.around {
            self.hand_down(node, first_record);
        }
        Ok(())
    }

    /// Gives the records of an object that was left what was taken for them, wherever in it that stood.
    fn hand_down(&mut self, around: usize, first_record: usize) {
        let Extraction { records, slots, .. } = &mut *self.out;
        self.above.retain(|&(whose, column, slot)| {
            if whose == around {
                for record in &records[first_record..] {
                    slots[record.slots as usize + column] = slot;
                }
            }
            whose != around
        });
    }

    #[inline]
    fn capture(&mut self, column: usize, level: Level, slot: Slot) {
        let (slots, width) = match level {
            Level::Root => {
                self.out.roots[self.roots + column] = slot;
                return;
            }
            Level::Record => (&mut self.out.slots, self.plan.columns.len()),
            Level::Row => (&mut self.out.row_slots, self.plan.row_columns.len()),
        };
        let first = slots.len() - width;
        slots[first + column] = Slot { start: slot.start - self.base, ..slot };
    }

    fn children(&mut self, node: usize, level: Level, kind: Kind) -> Result<(), NotJson> {
        let at = &self.plan.nodes[node];
        let leaf = at.children.is_empty() && at.each.is_none() && node > self.plan.row;
        // Where any element may lead to records, that there is none says that there are none.
        self.found |= at.each.is_some() && matches!(kind, Kind::Object | Kind::Array);
        match kind {
            Kind::Object if !leaf => self.members(node, level),
            Kind::Array if !leaf => self.elements(node, level),
            _ => self.scanner.value().map(|_| ()),
        }
    }

    /// Walks an object's members: declared ones on, others over.
    fn members(&mut self, node: usize, level: Level) -> Result<(), NotJson> {
        let plan = self.plan;
        let at = &plan.nodes[node];
        let names_before = self.names.len();
        let mut seen = 0_u64;
        // The place of the last declared member, counted from 1; 0 before the first.
        let mut last = 0;
        let mut first = true;
        self.scanner.enter();
        loop {
            let expected = self.follower(at, last);
            let mut spelled = "";
            let found = match at.members.get(expected) {
                Some(Member { name: Some(name), .. })
                    if expected < BITS && self.scanner.expect_member(name, &mut first) =>
                {
                    Ok(expected)
                }
                _ => match self.scanner.member(&mut first)? {
                    None => break,
                    Some((name, escaped)) => {
                        spelled = name;
                        self.child(at, last, name, escaped).ok_or(name)
                    }
                },
            };
            match found {
                Ok(child) => {
                    last = child + 1;
                    let bit = 1_u64.checked_shl(child as u32).unwrap_or(0);
                    if bit == 0 {
                        // Beyond the bits: looked for among the names at the end.
                        self.names.push(self.place(spelled));
                    }
                    if seen & bit != 0 {
                        self.fault.get_or_insert_with(|| Fault::Duplicate(at.children[child].0.to_string()));
                        self.scanner.value()?;
                        continue;
                    }
                    seen |= bit;
                    let Member { node, leaf, .. } = at.members[child];
                    match leaf {
                        // Most members: a value, and nothing to walk in it.
                        Some(column) => {
                            let slot = self.scanner.value()?;
                            self.capture(column, level, slot);
                        }
                        None => self.node(node, level)?,
                    }
                }
                Err(name) => {
                    let (start, len) = self.place(name);
                    self.names.push((start, len));
                    if level != Level::Root {
                        let name = Slot { start, len, kind: Kind::String };
                        let row = level == Level::Row;
                        self.out.unknown.push(Unknown { row, node: node as u32, name });
                    }
                    match at.each {
                        Some(each) => self.node(each, level)?,
                        None => self.scanner.value().map(|_| ())?,
                    }
                }
            }
        }
        if self.names.len() > names_before {
            self.find_duplicate(names_before);
        }
        Ok(())
    }

    /// Which child stood after the last one when it was last met; at first, the contract's next.
    #[inline]
    fn follower(&mut self, at: &Node, last: usize) -> usize {
        match self.out.followers.get(at.followers + last) {
            Some(&known) if known > 0 => known as usize - 1,
            _ => last,
        }
    }

    /// The child of this name, remembered as the one that follows the last.
    fn child(&mut self, at: &Node, last: usize, name: &str, escaped: bool) -> Option<usize> {
        let child = if escaped {
            let name = unescaped(name);
            at.children.iter().position(|(n, _)| **n == *name)
        } else {
            at.children.iter().position(|(n, _)| **n == *name)
        }?;
        let place = at.followers + last;
        if self.out.followers.len() <= place {
            self.out.followers.resize(place + 1, 0);
        }
        self.out.followers[place] = child as u32 + 1;
        Some(child)
    }

    /// Where a member's name stands in the text.
    fn place(&self, name: &str) -> (u32, u32) {
        ((name.as_ptr() as usize - self.text.as_ptr() as usize) as u32, name.len() as u32)
    }

    /// Looks for a name that stands twice among the undeclared ones of the object just closed.
    fn find_duplicate(&mut self, from: usize) {
        if self.names.len() > from + 1 {
            let text = self.text;
            let name = |&(start, len): &(u32, u32)| &text[start as usize..(start + len) as usize];
            let names = &mut self.names[from..];
            names.sort_unstable_by(|a, b| name(a).cmp(name(b)));
            if let Some(pair) = names.windows(2).find(|pair| name(&pair[0]) == name(&pair[1])) {
                let twice = name(&pair[0]).to_string();
                self.fault.get_or_insert(Fault::Duplicate(twice));
            }
        }
        self.names.truncate(from);
    }

    /// A pointer may lead through an array by position.
    fn elements(&mut self, node: usize, level: Level) -> Result<(), NotJson> {
        let plan = self.plan;
        let Node { children, each, .. } = &plan.nodes[node];
        let mut first = true;
        let mut position = 0_usize;
        self.scanner.enter();
        while self.scanner.element(&mut first)? {
            let child =
                children.iter().find(|(name, _)| name.parse() == Ok(position)).map(|(_, child)| child);
            match child.or(each.as_ref()) {
                Some(child) => self.node(*child, level)?,
                None => self.scanner.value().map(|_| ())?,
            }
            position += 1;
        }
        Ok(())
    }

    fn records(&mut self, kind: Kind) -> Result<(), NotJson> {
        match kind {
            Kind::Object | Kind::Array => self.found = true,
            Kind::Null => {}
            _ => {
                self.fault.get_or_insert(Fault::NoRecords);
            }
        }
        if self.plan.tree.is_some() {
            return self.tree("", 0);
        }
        let mut first = true;
        match kind {
            Kind::Array => {
                self.scanner.enter();
                while self.scanner.element(&mut first)? {
                    self.record(Slot::default())?;
                }
            }
            Kind::Object if self.plan.index.is_some() => {
                let names_before = self.names.len();
                self.scanner.enter();
                while let Some((name, _)) = self.scanner.member(&mut first)? {
                    let (start, len) = self.place(name);
                    match self.plan.except.iter().any(|except| except == name) {
                        true => self.scanner.value().map(|_| ())?,
                        false => self.record(Slot { start: start - 1, len: len + 2, kind: Kind::String })?,
                    }
                    self.names.push((start, len));
                }
                self.find_duplicate(names_before);
            }
            Kind::Object => self.record(Slot::default())?,
            _ => {
                self.scanner.value()?;
            }
        }
        Ok(())
    }

    /// The leaves at `path` and below, so many levels down.
    fn tree(&mut self, path: &str, level: u32) -> Result<(), NotJson> {
        let plan = self.plan;
        let Some(tree) = &plan.tree else { return Ok(()) };
        // Deeper than that a body is malformed, which the scanner finds.
        if self.scanner.peek() != Kind::Object || level > MAX_DEPTH {
            return self.scanner.value().map(|_| ());
        }
        let mut ahead = Scanner::new(&self.text[self.scanner.position()..]);
        if find(&mut ahead, std::slice::from_ref(&tree.leaf))?.kind != Kind::Absent {
            let name = self.out.paths.len() as u32;
            self.out.paths.push_str(&as_json_string(path));
            let len = self.out.paths.len() as u32 - name;
            return self.record(Slot { start: name, len, kind: Kind::String });
        }
        let mut first = true;
        self.scanner.enter();
        while let Some((name, escaped)) = self.scanner.member(&mut first)? {
            let name = if escaped { Cow::Owned(unescaped(name)) } else { Cow::Borrowed(name) };
            if plan.except.iter().any(|except| **except == *name) {
                self.scanner.value()?;
                continue;
            }
            let below =
                if path.is_empty() { name.into_owned() } else { format!("{path}{}{name}", tree.join) };
            self.tree(&below, level + 1)?;
        }
        Ok(())
    }

    fn record(&mut self, name: Slot) -> Result<(), NotJson> {
        if self.scanner.peek() != Kind::Object {
            self.scanner.value()?;
            self.fault.get_or_insert(Fault::NoObject);
            return Ok(());
        }
        let plan = self.plan;
        let start = self.scanner.position();
        self.base = start as u32;
        let slots = self.out.slots.len();
        self.out.slots.resize(slots + plan.columns.len(), Slot::default());
        let (rows, unknown) = (self.out.row_slots.len() as u32, self.out.unknown.len() as u32);
        let index = self.out.records.len();
        let span = RecordSpan {
            raw: Slot { start: start as u32, len: 0, kind: Kind::Object },
            rows_kind: Kind::Absent,
            name,
            event: None,
            slots: slots as u32,
            roots: self.roots as u32,
            rows: (rows, rows),
            unknown: (unknown, unknown),
        };
        self.out.records.push(span);
        self.members(plan.record, Level::Record)?;
        let time = plan.time.map(|column| self.out.slots[slots + column]);
        let span = &mut self.out.records[index];
        span.event = time
            .filter(|slot| slot.kind == Kind::String)
            .and_then(|slot| Timestamp::parse_rfc3339(&slot.scalar(&self.text[start..])));
        span.raw.len = (self.scanner.position() - start) as u32;
        span.unknown.1 = self.out.unknown.len() as u32;
        Ok(())
    }

    fn rows(&mut self, kind: Kind) -> Result<(), NotJson> {
        let plan = self.plan;
        let mut seen = kind;
        if kind == Kind::Array {
            let mut first = true;
            self.scanner.enter();
            while self.scanner.element(&mut first)? {
                if self.scanner.peek() != Kind::Object {
                    seen = Kind::Object;
                    self.scanner.value()?;
                    continue;
                }
                self.out.row_slots.resize(self.out.row_slots.len() + plan.row_columns.len(), Slot::default());
                self.members(plan.row, Level::Row)?;
            }
        } else {
            self.scanner.value()?;
        }
        let rows = self.out.row_slots.len() as u32;
        if let Some(record) = self.out.records.last_mut() {
            record.rows_kind = seen;
            record.rows.1 = rows;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{BUILTIN, parse};
    use proptest::prelude::*;

    const MEMBERS: [&str; 7] = [
        r#""account_id":7"#,
        r#""timestamp":"2025-12-19T14:30:00Z""#,
        r#""note":{"a":[1]}"#,
        r#""c\u0061sh":3"#,
        r#""cash":12.50"#,
        r#""buying_power":-0.1e1"#,
        r#""account_number":"DU1""#,
    ];

    /// A message of records whose members stand in the given orders, with white space or without.
    fn message(orders: &[Vec<usize>], gap: &str) -> String {
        let record = |order: &Vec<usize>| {
            let members: Vec<&str> = order.iter().map(|&member| MEMBERS[member]).collect();
            format!("{{{}}}", members.join(&format!(",{gap}")))
        };
        let records: Vec<String> = orders.iter().map(record).collect();
        format!(r#"{{"type":"account_balance",{gap}"data":[{}]}}"#, records.join(","))
    }

    /// All that is found of one body, whatever stands before it in the extraction.
    fn found(plan: &Plan, text: &str, out: &mut Extraction) -> String {
        let event =
            Event::Ws { conn: 0, bytes: 0, payload: Payload::Json { text: text.into(), binary: false } };
        let reading = read(plan, &event, out).unwrap();
        let side = &plan.features[0].ws;
        let records = reading.body.records.clone().map(|index| {
            let record = out.record(index);
            let columns = out
                .columns(record, side)
                .iter()
                .map(|slot| (slot.kind, slot.raw(record.raw.raw(text)).to_string()));
            (record.raw, columns.collect::<Vec<_>>(), out.unknown(record).to_vec())
        });
        format!("{:?} {:?} {:?}", reading.routed, records.collect::<Vec<_>>(), reading.body.fault)
    }

    #[test]
    fn an_event_time_is_read_ahead_where_nothing_is_done_to_it() {
        let event = |contract: &str, time: &str| {
            let plan = Plan::compile(&parse("built-in", contract, &|_| None, false).unwrap());
            let text = format!(r#"{{"type":"account_balance","data":{{"timestamp":{time}}}}}"#);
            let mut out = Extraction::default();
            read_message(&plan, &text, &mut out).unwrap();
            out.record(0).event
        };
        let at = Timestamp::parse_rfc3339("2025-12-19T14:30:00Z");
        assert_eq!(event(BUILTIN, r#""2025-12-19T14:30:00Z""#), at);
        assert_eq!(event(BUILTIN, r#""2025-12-19T15:30:00+01:00""#), at);
        // Zones, units and other words are for whoever judges the record.
        for other in ["1766154600", r#""1766154600""#, r#""2025-12-19T14:30:00""#, "null", "{}", "\"\""] {
            assert_eq!(event(BUILTIN, other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_was_read_before_changes_nothing(
            bodies in prop::collection::vec(
                (prop::collection::vec(prop::collection::vec(0..MEMBERS.len(), 0..9), 0..4), " {0,2}"),
                1..6,
            ),
        ) {
            let contract = parse("built-in", BUILTIN, &|_| None, false).unwrap();
            let plan = Plan::compile(&contract);
            let mut shared = Extraction::default();
            for (orders, gap) in &bodies {
                let text = message(orders, gap);
                let alone = found(&plan, &text, &mut Extraction::default());
                prop_assert_eq!(found(&plan, &text, &mut shared), alone, "{}", text);
            }
        }
    }
}
