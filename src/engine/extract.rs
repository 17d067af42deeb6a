//! A body walked once along the plan: slots of the values that matter, nothing built.
//!
//! Pure function of plan and text, so bodies may be extracted on any thread and in any order.

use super::plan::{Plan, Role, Route, SidePlan};
use crate::model::json::{Kind, MAX_DEPTH, NotJson, Scanner, Slot, scalar};

/// What a walk found. Reused from body to body; offsets refer to the body's text.
#[derive(Debug, Default)]
pub struct Extraction {
    /// `columns` slots per record.
    pub slots: Vec<Slot>,
    pub records: Vec<RecordSpan>,
    /// `row_columns` slots per row.
    pub row_slots: Vec<Slot>,
    pub roots: Vec<Slot>,
    /// Members nobody declared, in records and rows.
    pub unknown: Vec<Unknown>,
    pub fault: Option<Fault>,
}

#[derive(Debug, Clone, Copy)]
pub struct RecordSpan {
    pub raw: Slot,
    /// What stood where rows are declared.
    pub rows_kind: Kind,
    /// Rows in order: indexes of rows, not of slots.
    pub rows: (u32, u32),
    /// Into `Extraction::unknown`.
    pub unknown: (u32, u32),
    /// The member name under which the record stood (quotes included), for `index`.
    pub name: Slot,
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

/// Where a frame belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routed<'p> {
    Ignored,
    NoType,
    Unknown(String),
    Features(&'p [usize]),
}

/// Finds a frame's type and what it leads to; a frame that leads nowhere is still read whole, so
/// that damage shows.
pub fn route<'p>(plan: &'p Plan, text: &str) -> Result<Routed<'p>, NotJson> {
    let mut scanner = Scanner::new(text);
    let slot = find(&mut scanner, &plan.type_at)?;
    let routed = match slot.kind {
        Kind::Absent | Kind::Null | Kind::Object | Kind::Array => Routed::NoType,
        _ => {
            let kind = slot.scalar(text);
            match plan.route.get(kind.as_ref()) {
                Some(Route::Features(list)) => return Ok(Routed::Features(list)),
                Some(Route::Ignored) => Routed::Ignored,
                None => Routed::Unknown(kind.into_owned()),
            }
        }
    };
    whole(text).map(|()| routed)
}

/// Reads a text whole for its syntax alone.
pub fn whole(text: &str) -> Result<(), NotJson> {
    let mut scanner = Scanner::new(text);
    scanner.value()?;
    if scanner.at_end() { Ok(()) } else { Err(NotJson { offset: scanner.position() }) }
}

/// The first value at a pointer; what follows it is not read.
fn find(scanner: &mut Scanner<'_>, path: &[String]) -> Result<Slot, NotJson> {
    let Some((name, rest)) = path.split_first() else {
        return scanner.value();
    };
    if scanner.peek() != Kind::Object {
        return Ok(Slot::default());
    }
    scanner.enter();
    let mut first = true;
    while let Some((member, escaped)) = scanner.member(&mut first)? {
        if member == name || (escaped && unescaped(member) == *name) {
            return find(scanner, rest);
        }
        scanner.value()?;
    }
    Ok(Slot::default())
}

fn unescaped(name: &str) -> String {
    scalar(&format!("\"{name}\"")).into_owned()
}

/// Walks a body along one side's plan.
pub fn extract(plan: &SidePlan, text: &str, out: &mut Extraction) -> Result<(), NotJson> {
    out.slots.clear();
    out.records.clear();
    out.row_slots.clear();
    out.roots.clear();
    out.roots.resize(plan.roots, Slot::default());
    out.unknown.clear();
    out.fault = None;
    let mut walk =
        Walk { plan, scanner: Scanner::new(text), text, out, names: Vec::new(), found: false, rows: 0 };
    walk.node(plan.root, Level::Root)?;
    if !walk.scanner.at_end() {
        return Err(NotJson { offset: walk.scanner.position() });
    }
    let (found, deepest) = (walk.found, walk.scanner.deepest());
    if deepest > MAX_DEPTH {
        out.fault = Some(Fault::TooDeep);
    } else if !found {
        out.fault.get_or_insert(Fault::NoRecords);
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Record,
    Row,
}

struct Walk<'w> {
    plan: &'w SidePlan,
    scanner: Scanner<'w>,
    text: &'w str,
    out: &'w mut Extraction,
    /// Names of the objects that are open, innermost last: undeclared ones, and those of records by name.
    names: Vec<(u32, u32)>,
    found: bool,
    rows: u32,
}

impl Walk<'_> {
    fn node(&mut self, node: usize, level: Level) -> Result<(), NotJson> {
        let plan = self.plan;
        let at = &plan.nodes[node];
        let kind = self.scanner.peek();
        let start = self.scanner.position();
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
        if let Some(column) = at.capture {
            let slot = Slot { start: start as u32, len: (self.scanner.position() - start) as u32, kind };
            self.capture(column, level, slot);
        }
        Ok(())
    }

    fn capture(&mut self, column: usize, level: Level, slot: Slot) {
        let (slots, width) = match level {
            Level::Root => {
                self.out.roots[column] = slot;
                return;
            }
            Level::Record => (&mut self.out.slots, self.plan.columns.len()),
            Level::Row => (&mut self.out.row_slots, self.plan.row_columns.len()),
        };
        let base = slots.len() - width;
        slots[base + column] = slot;
    }

    fn children(&mut self, node: usize, level: Level, kind: Kind) -> Result<(), NotJson> {
        let leaf = self.plan.nodes[node].children.is_empty() && node > self.plan.row;
        match kind {
            Kind::Object if !leaf => self.members(node, level),
            Kind::Array if !leaf => self.elements(node, level),
            _ => self.scanner.value().map(|_| ()),
        }
    }

    /// Walks an object's members: declared ones on, others over.
    fn members(&mut self, node: usize, level: Level) -> Result<(), NotJson> {
        let plan = self.plan;
        let children = &plan.nodes[node].children;
        let names_before = self.names.len();
        let mut seen = 0_u64;
        let mut next = 0;
        let mut first = true;
        self.scanner.enter();
        while let Some((name, escaped)) = self.scanner.member(&mut first)? {
            // Servers keep their order, so the member after the last one is tried first.
            let found = if escaped {
                let name = unescaped(name);
                children.iter().position(|(n, _)| **n == *name)
            } else if children.get(next).is_some_and(|(n, _)| **n == *name) {
                Some(next)
            } else {
                children.iter().position(|(n, _)| **n == *name)
            };
            match found {
                Some(child) => {
                    next = child + 1;
                    let bit = 1_u64.checked_shl(child as u32).unwrap_or(0);
                    if bit == 0 {
                        // Beyond the bits: looked for among the names at the end.
                        self.names.push(self.place(name));
                    }
                    if seen & bit != 0 {
                        self.out.fault.get_or_insert_with(|| Fault::Duplicate(children[child].0.to_string()));
                        self.scanner.value()?;
                        continue;
                    }
                    seen |= bit;
                    let node = children[child].1;
                    match plan.nodes[node].leaf {
                        // Most members: a value, and nothing to walk in it.
                        Some(column) => {
                            let slot = self.scanner.value()?;
                            self.capture(column, level, slot);
                        }
                        None => self.node(node, level)?,
                    }
                }
                None => {
                    let (start, len) = self.place(name);
                    self.names.push((start, len));
                    if level != Level::Root {
                        let name = Slot { start, len, kind: Kind::String };
                        let row = level == Level::Row;
                        self.out.unknown.push(Unknown { row, node: node as u32, name });
                    }
                    self.scanner.value()?;
                }
            }
        }
        self.find_duplicate(names_before);
        Ok(())
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
                self.out.fault.get_or_insert(Fault::Duplicate(twice));
            }
        }
        self.names.truncate(from);
    }

    /// A pointer may lead through an array by position.
    fn elements(&mut self, node: usize, level: Level) -> Result<(), NotJson> {
        let plan = self.plan;
        let children = &plan.nodes[node].children;
        let mut first = true;
        let mut position = 0_usize;
        self.scanner.enter();
        while self.scanner.element(&mut first)? {
            match children.iter().find(|(name, _)| name.parse() == Ok(position)) {
                Some((_, child)) => self.node(*child, level)?,
                None => self.scanner.value().map(|_| ())?,
            }
            position += 1;
        }
        Ok(())
    }

    fn records(&mut self, kind: Kind) -> Result<(), NotJson> {
        self.found = matches!(kind, Kind::Object | Kind::Array);
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
                    self.record(Slot { start: start - 1, len: len + 2, kind: Kind::String })?;
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

    fn record(&mut self, name: Slot) -> Result<(), NotJson> {
        if self.scanner.peek() != Kind::Object {
            self.scanner.value()?;
            self.out.fault.get_or_insert(Fault::NoObject);
            return Ok(());
        }
        let plan = self.plan;
        let start = self.scanner.position();
        self.out.slots.resize(self.out.slots.len() + plan.columns.len(), Slot::default());
        let (rows, unknown) = (self.rows, self.out.unknown.len() as u32);
        let index = self.out.records.len();
        let raw = Slot { start: start as u32, len: 0, kind: Kind::Object };
        let span = RecordSpan {
            raw,
            rows_kind: Kind::Absent,
            rows: (rows, rows),
            unknown: (unknown, unknown),
            name,
        };
        self.out.records.push(span);
        self.members(plan.record, Level::Record)?;
        let span = &mut self.out.records[index];
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
                self.rows += 1;
                self.members(plan.row, Level::Row)?;
            }
        } else {
            self.scanner.value()?;
        }
        let rows = self.rows;
        if let Some(record) = self.out.records.last_mut() {
            record.rows_kind = seen;
            record.rows.1 = rows;
        }
        Ok(())
    }
}
