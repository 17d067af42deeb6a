//! Bodies as tables: where records may stand in them, and each record's scalars by column, with the lists inside
//! records as tables of their own. Must not compare the sides.

use super::cell::{ABSENT, Cell};
use crate::model::Timestamp;
use crate::model::tree::Tree;
use std::collections::{BTreeMap, BTreeSet};

/// Objects inside objects that are looked through.
const MAX_LEVELS: usize = 4;
/// Columns beyond this are no record that anyone compares; what is left out is counted.
const MAX_COLUMNS: usize = 200;

/// A body and when it was seen; a message was sent when it came.
#[derive(Debug, Clone)]
pub struct Body {
    pub sent: Timestamp,
    pub at: Timestamp,
    /// The request's parameters.
    pub params: Vec<(String, Tree)>,
    pub tree: Tree,
}

/// Where the records stand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    pub at: Vec<String>,
    pub form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    List,
    /// Members of an object, named by a key.
    Map,
    Single,
}

/// Where a column's values come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum From {
    Record(Vec<String>),
    Root(Vec<String>),
    Param(String),
    /// A word of the request's query: its name and its text.
    Constant(String, String),
    /// The name under which the record stands.
    Index,
}

#[derive(Debug, Default)]
pub struct Table {
    pub columns: Vec<From>,
    pub records: Vec<Record>,
    /// Lists of objects inside the records, by their path.
    pub lists: Vec<(Vec<String>, Table)>,
}

#[derive(Debug)]
pub struct Record {
    /// The body (of a row: the record) that holds it.
    pub group: usize,
    pub sent: Timestamp,
    pub at: Timestamp,
    cells: Vec<Cell>,
}

impl Record {
    pub fn cell(&self, column: usize) -> &Cell {
        self.cells.get(column).unwrap_or(&ABSENT)
    }
}

impl From {
    /// The last word of where it comes from.
    pub fn name(&self) -> &str {
        match self {
            From::Record(path) | From::Root(path) => path.last().map_or("", String::as_str),
            From::Param(name) | From::Constant(name, _) => name,
            From::Index => "id",
        }
    }

    /// As a contract writes it; `None` where it has no way to.
    pub fn source(&self) -> Option<String> {
        let escaped = |path: &[String]| {
            let parts: Vec<String> = path.iter().map(|p| p.replace('~', "~0").replace('/', "~1")).collect();
            let fits = !parts.is_empty() && parts.iter().all(|p| !p.is_empty() && !p.contains("${"));
            fits.then(|| parts.join("/"))
        };
        match self {
            From::Record(path) => escaped(path).filter(|text| !text.starts_with(['$', '@', '\''])),
            From::Root(path) => escaped(path).map(|text| format!("$/{text}")),
            From::Param(name) => Some(format!("@{name}")),
            From::Constant(_, text) => (!text.contains(['\'', '$'])).then(|| format!("'{text}'")),
            From::Index => None,
        }
    }
}

/// All places in these bodies where records may stand.
pub fn shapes(bodies: &[Body]) -> Vec<Shape> {
    let mut found = BTreeSet::new();
    let mut objects: BTreeMap<Vec<String>, Members> = BTreeMap::new();
    for body in bodies {
        look(&body.tree, &mut Vec::new(), &mut found, &mut objects);
    }
    let maps = objects.into_iter().filter(|(_, members)| members.are_records());
    found.extend(maps.map(|(at, _)| Shape { at, form: Form::Map }));
    found.into_iter().collect()
}

/// What the members of the objects at one place have in common.
#[derive(Default)]
struct Members {
    names: BTreeSet<String>,
    /// Member names that all of their values have.
    common: Option<BTreeSet<String>>,
    other: bool,
}

impl Members {
    fn take(&mut self, members: &[(String, Tree)]) {
        for (name, value) in members {
            self.names.insert(name.clone());
            self.other |= !value.is_object();
            let inner: BTreeSet<String> = value.members().iter().map(|(name, _)| name.clone()).collect();
            self.common = Some(match self.common.take() {
                Some(common) => common.intersection(&inner).cloned().collect(),
                None => inner,
            });
        }
    }

    fn are_records(&self) -> bool {
        self.names.len() >= 2 && !self.other && self.common.as_ref().is_some_and(|common| !common.is_empty())
    }
}

fn look(
    tree: &Tree,
    at: &mut Vec<String>,
    found: &mut BTreeSet<Shape>,
    objects: &mut BTreeMap<Vec<String>, Members>,
) {
    if tree.objects().is_some() {
        found.insert(Shape { at: at.clone(), form: Form::List });
    }
    let members = tree.members();
    if members.iter().any(|(_, value)| value.is_scalar()) {
        found.insert(Shape { at: at.clone(), form: Form::Single });
    }
    if !members.is_empty() {
        objects.entry(at.clone()).or_default().take(members);
    }
    if at.len() < MAX_LEVELS {
        for (name, value) in members {
            at.push(name.clone());
            look(value, at, found, objects);
            at.pop();
        }
    }
}

impl Table {
    /// The records that stand at `shape`; `constants` are columns that every record has.
    pub fn of(bodies: &[Body], shape: &Shape, constants: &[(String, String)]) -> Table {
        let mut table = Table::default();
        for (group, body) in bodies.iter().enumerate() {
            let Some(found) = body.tree.at(&shape.at) else { continue };
            match (shape.form, found) {
                (Form::List, Tree::List(items)) => {
                    items.iter().for_each(|item| table.record(group, body, shape, item, None, constants));
                }
                (Form::Map, Tree::Object(members)) => {
                    for (name, item) in members {
                        table.record(group, body, shape, item, Some(name), constants);
                    }
                }
                (Form::Single, Tree::Object(_)) => table.record(group, body, shape, found, None, constants),
                _ => {}
            }
        }
        table
    }

    fn record(
        &mut self,
        group: usize,
        body: &Body,
        shape: &Shape,
        item: &Tree,
        index: Option<&str>,
        constants: &[(String, String)],
    ) {
        if !item.is_object() {
            return;
        }
        let mut cells = Vec::new();
        if let Some(name) = index {
            self.put(&mut cells, From::Index, Cell::of_text(name));
        }
        self.scalars(&mut cells, item, &mut Vec::new(), body.at, &|path| From::Record(path.to_vec()));
        for (name, value) in &body.params {
            if let Some(cell) = Cell::of(value, body.at) {
                self.put(&mut cells, From::Param(name.clone()), cell);
            }
        }
        for (name, text) in constants {
            self.put(&mut cells, From::Constant(name.clone(), text.clone()), Cell::of_text(text));
        }
        if !(shape.at.is_empty() && shape.form == Form::Single) {
            self.around(&mut cells, &body.tree, &shape.at, body.at);
        }
        let parent = self.records.len();
        self.records.push(Record { group, sent: body.sent, at: body.at, cells });
        self.rows(parent, body, item, &mut Vec::new());
    }

    /// The scalars of an object and of the objects in it.
    fn scalars(
        &mut self,
        cells: &mut Vec<Cell>,
        item: &Tree,
        path: &mut Vec<String>,
        near: Timestamp,
        from: &dyn Fn(&[String]) -> From,
    ) {
        for (name, value) in item.members() {
            path.push(name.clone());
            match Cell::of(value, near) {
                Some(cell) => self.put(cells, from(path), cell),
                None if path.len() < MAX_LEVELS => self.scalars(cells, value, path, near, from),
                None => {}
            }
            path.pop();
        }
    }

    /// The scalars beside the records: in each object on the way to them.
    fn around(&mut self, cells: &mut Vec<Cell>, root: &Tree, at: &[String], near: Timestamp) {
        for level in 0..=at.len() {
            // The last place is the records themselves.
            let Some(object) = root.at(&at[..level]).filter(|_| level < at.len()) else { continue };
            for (name, value) in object.members() {
                if let Some(cell) = Cell::of(value, near) {
                    let mut path = at[..level].to_vec();
                    path.push(name.clone());
                    self.put(cells, From::Root(path), cell);
                }
            }
        }
    }

    fn put(&mut self, cells: &mut Vec<Cell>, from: From, cell: Cell) {
        let next = cells.len();
        // Records of one feed mostly have the same members in the same order.
        let column = match self.columns.get(next) {
            Some(known) if *known == from => next,
            _ => match self.columns.iter().position(|known| *known == from) {
                Some(known) => known,
                None if self.columns.len() < MAX_COLUMNS => {
                    self.columns.push(from);
                    self.columns.len() - 1
                }
                None => return,
            },
        };
        if cells.len() <= column {
            cells.resize(column + 1, Cell::default());
        }
        // Of members with one name the first counts.
        if cells[column] == ABSENT {
            cells[column] = cell;
        }
    }

    /// The lists of objects inside a record, as tables.
    fn rows(&mut self, parent: usize, body: &Body, item: &Tree, path: &mut Vec<String>) {
        for (name, value) in item.members() {
            path.push(name.clone());
            if let Some(rows) = value.objects() {
                let known = self.lists.iter().position(|(at, _)| at == path);
                let list = known.unwrap_or_else(|| {
                    self.lists.push((path.clone(), Table::default()));
                    self.lists.len() - 1
                });
                let table = &mut self.lists[list].1;
                for row in rows {
                    let mut cells = Vec::new();
                    table.scalars(&mut cells, row, &mut Vec::new(), body.at, &|path| {
                        From::Record(path.to_vec())
                    });
                    table.records.push(Record { group: parent, sent: body.sent, at: body.at, cells });
                }
            } else if path.len() < MAX_LEVELS {
                self.rows(parent, body, value, path);
            }
            path.pop();
        }
    }

    /// Every value of a column.
    pub fn values(&self, column: usize) -> impl Iterator<Item = &Cell> {
        self.records.iter().map(move |record| record.cell(column)).filter(|cell| cell.is_value())
    }

    /// Whether every value of a column, and there is one, is so.
    pub fn all(&self, column: usize, is_so: impl Fn(&Cell) -> bool) -> bool {
        let mut values = self.values(column).peekable();
        values.peek().is_some() && values.all(is_so)
    }

    /// How many records lack the column, or have null there.
    pub fn lacking(&self, column: usize) -> usize {
        self.records.iter().filter(|record| !record.cell(column).is_value()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(texts: &[&str]) -> Vec<Body> {
        let body = |text: &&str| Body {
            sent: Timestamp(0),
            at: Timestamp(0),
            params: Vec::new(),
            tree: Tree::read(text).unwrap(),
        };
        texts.iter().map(body).collect()
    }

    fn path(text: &str) -> Vec<String> {
        text.split('/').filter(|part| !part.is_empty()).map(String::from).collect()
    }

    #[test]
    fn records_may_stand_in_lists_objects_and_alone() {
        let found =
            shapes(&bodies(&[r#"{"count":1,"data":{"items":[{"a":1}],"by":{"x":{"v":1},"y":{"v":2}}}}"#]));
        let shape = |at: &str, form| Shape { at: path(at), form };
        assert!(found.contains(&shape("data/items", Form::List)), "{found:?}");
        assert!(found.contains(&shape("data/by", Form::Map)) && found.contains(&shape("", Form::Single)));
        assert!(!found.contains(&shape("data", Form::Map)), "{found:?}");
    }

    #[test]
    fn a_map_is_known_by_what_comes_later() {
        let found = shapes(&bodies(&[r#"{"a":{"s1":{"v":1}}}"#, r#"{"a":{"s2":{"v":1}}}"#]));
        assert!(found.contains(&Shape { at: path("a"), form: Form::Map }), "{found:?}");
    }

    #[test]
    fn columns_follow_members_in_any_order() {
        let bodies =
            bodies(&[r#"{"who":"x","l":[{"a":1,"b":{"c":2}},{"b":{"c":3},"a":4,"r":[{"k":5},{"k":6}]}]}"#]);
        let table =
            Table::of(&bodies, &Shape { at: path("l"), form: Form::List }, &[("m".into(), "USA".into())]);
        let names: Vec<_> = table.columns.iter().map(|from| from.source().unwrap()).collect();
        assert_eq!(names, ["a", "b/c", "'USA'", "$/who"]);
        let texts =
            |record: usize| (0..4).map(|c| table.records[record].cell(c).text.clone()).collect::<Vec<_>>();
        assert_eq!(
            (texts(0), texts(1)),
            (
                vec!["1".into(), "2".into(), "USA".into(), "x".into()],
                vec!["4".into(), "3".into(), "USA".into(), "x".into()]
            )
        );
        assert_eq!(table.lists.len(), 1);
        assert_eq!(table.lists[0].1.records.iter().map(|row| row.group).collect::<Vec<_>>(), [1, 1]);
    }
}
