//! The contract compiled for extraction: per feature and side a trie of member names whose leaves
//! are columns. It knows where values stand, not what they mean.

use super::frame::Routed;
use crate::contract::{Contract, Feature, Field, Only, Records, Reshape, Sign, Source, Tree};
use crate::model::json::MemberName;
use std::sync::Arc;

/// Columns of a record follow the contract's fields, columns of a row its row fields.
pub type Column = usize;

/// All features' plans, and how a frame finds its feature.
#[derive(Debug)]
pub struct Plan {
    pub features: Vec<FeaturePlan>,
    /// Where frames may say what they are, in this order; `[ws] type` is the last.
    pub says: Vec<Says>,
    /// Places that say what a frame is by being there.
    pub has: Vec<(Vec<String>, Route)>,
    /// Names of the features, in the contract's order.
    names: Vec<Arc<str>>,
    /// Indexes into `features` of those that read one kind of frame.
    groups: Vec<Vec<usize>>,
}

/// One place where frames say what they are.
#[derive(Debug)]
pub struct Says {
    pub at: Vec<String>,
    /// The one step of `at`, where it is one: most frames begin with it.
    pub head: Option<MemberName>,
    /// Message types, a few.
    routes: Vec<(String, Route)>,
}

impl Says {
    fn new(at: Vec<String>) -> Says {
        let head = if let [step] = at.as_slice() { MemberName::new(step) } else { None };
        Says { at, head, routes: Vec::new() }
    }

    /// What a message type leads to, where it is known.
    pub fn route(&self, kind: &str) -> Option<Route> {
        self.routes.iter().find(|(known, _)| known == kind).map(|(_, route)| *route)
    }
}

/// What the sign of a frame leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    Ignored,
    Keepalive,
    /// A group of features.
    Features(usize),
}

#[derive(Debug)]
pub struct FeaturePlan {
    pub rest: SidePlan,
    pub ws: SidePlan,
}

/// How one side's bodies are walked.
#[derive(Debug)]
pub struct SidePlan {
    pub nodes: Vec<Node>,
    /// Entry of the whole body, of a record, of a row.
    pub root: usize,
    pub record: usize,
    pub row: usize,
    /// Records are members of an object, named by this column's value; not those of `except`.
    pub index: Option<Column>,
    pub except: Vec<String>,
    /// Records are the leaves of a tree.
    pub tree: Option<Tree>,
    /// No records at all, not even an empty list, are none.
    pub may_lack: bool,
    /// The column of the event time, where the walk itself finds it as it is meant.
    pub time: Option<Column>,
    pub columns: Vec<ColumnSource>,
    pub row_columns: Vec<ColumnSource>,
    pub roots: usize,
    /// Of them, the one that names the records that are gone.
    pub removed: Option<usize>,
    /// Columns of the record, and of its rows, whose values are written anew before anything is made of them.
    pub reshaped: Vec<(Column, Reshape)>,
    pub row_reshaped: Vec<(Column, Reshape)>,
    /// What a record in scope says.
    pub only: Vec<Only>,
    /// Any column is filled from elsewhere than its own place in the record.
    pub outside: bool,
    pub has_rows: bool,
}

/// Where a column's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnSource {
    /// Captured by the walk of the record (or row).
    Walked,
    /// Stands where an earlier column stands.
    Shared(Column),
    /// The n-th pointer from the body's root.
    Root(usize),
    /// Captured by the walk outside the record, in an object around it.
    Above,
    /// The member name under which the record stood.
    Index,
    Param(String),
    /// A JSON string, quotes included.
    Constant(String),
    /// Not on this side.
    Absent,
}

/// A place in a body: its members that matter, and what is taken from it.
#[derive(Debug, Default)]
pub struct Node {
    pub children: Vec<(Box<str>, usize)>,
    pub capture: Option<usize>,
    /// Every element of a list and member of an object that no child names.
    pub each: Option<usize>,
    /// Taken from here for the records within another place: that node, and their column.
    pub above: Option<(usize, Column)>,
    /// Records within may take values from here.
    pub around: bool,
    pub role: Role,
    /// The path from the record (or row) to here, for naming members nobody declared.
    pub path: String,
    /// The children again, for the walk.
    pub members: Vec<Member>,
    /// Where a reader keeps which child followed which: one place for the first, and one after each child.
    pub followers: usize,
}

/// A child: all that a walk needs of it, close together.
#[derive(Debug)]
pub struct Member {
    /// As most texts write it.
    pub name: Option<MemberName>,
    pub node: usize,
    /// What is taken from it, where there is nothing to walk in it.
    pub leaf: Option<usize>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    #[default]
    Plain,
    Records,
    Rows,
}

impl Plan {
    pub fn compile(contract: &Contract) -> Plan {
        let mut signs = Signs::new(contract.ws.type_at.0.clone());
        for sign in &contract.ws.ignored {
            signs.lead(sign, Route::Ignored);
        }
        for kind in &contract.ws.keepalive_types {
            signs.lead(&Sign::Says { at: None, text: kind.clone() }, Route::Keepalive);
        }
        for (i, feature) in contract.features.iter().enumerate() {
            for sign in &feature.ws.signs {
                signs.feature(sign, i);
            }
        }
        let type_at = &contract.ws.type_at.0;
        let mut features: Vec<FeaturePlan> =
            contract.features.iter().map(|f| FeaturePlan::compile(f, type_at)).collect();
        let mut followers = 0;
        for side in features.iter_mut().flat_map(|f| [&mut f.rest, &mut f.ws]) {
            side.place_members(&mut followers);
        }
        let names = contract.features.iter().map(|f| f.name.clone()).collect();
        let Signs { mut says, has, groups } = signs;
        says.rotate_left(1);
        Plan { features, says, has, names, groups }
    }

    /// The features of a group: indexes into `features`.
    pub fn group(&self, group: usize) -> &[usize] {
        &self.groups[group]
    }

    /// The features that a frame is for.
    pub fn leads<'p>(&'p self, routed: &'p Routed) -> &'p [usize] {
        match routed {
            Routed::Features(group) => self.group(*group),
            Routed::Several(features) => features,
            _ => &[],
        }
    }

    /// The feature of this name.
    pub fn feature(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| **n == *name)
    }
}

/// Signs as they are declared, and what they lead to.
struct Signs {
    /// `[ws] type` is the first.
    says: Vec<Says>,
    has: Vec<(Vec<String>, Route)>,
    groups: Vec<Vec<usize>>,
}

impl Signs {
    fn new(type_at: Vec<String>) -> Signs {
        Signs { says: vec![Says::new(type_at)], has: Vec::new(), groups: Vec::new() }
    }

    /// Where a sign leads, made where it is new.
    fn lead(&mut self, sign: &Sign, fresh: Route) -> &mut Route {
        let (routes, name) = match sign {
            Sign::Has(at) => {
                let known = self.has.iter().position(|(known, _)| *known == at.0);
                let place = known.unwrap_or_else(|| {
                    self.has.push((at.0.clone(), fresh));
                    self.has.len() - 1
                });
                return &mut self.has[place].1;
            }
            Sign::Says { at, text } => {
                let own = at.as_ref().map_or_else(|| self.says[0].at.clone(), |at| at.0.clone());
                let known = self.says.iter().position(|says| says.at == own);
                let place = known.unwrap_or_else(|| {
                    self.says.push(Says::new(own));
                    self.says.len() - 1
                });
                (&mut self.says[place].routes, text)
            }
        };
        let known = routes.iter().position(|(known, _)| known == name);
        let place = known.unwrap_or_else(|| {
            routes.push((name.clone(), fresh));
            routes.len() - 1
        });
        &mut routes[place].1
    }

    fn feature(&mut self, sign: &Sign, feature: usize) {
        let fresh = Route::Features(self.groups.len());
        let route = self.lead(sign, fresh);
        match *route {
            Route::Features(group) if *route != fresh => self.groups[group].push(feature),
            // A declared feature wins over what is ignored by the same sign.
            _ => {
                *route = fresh;
                self.groups.push(vec![feature]);
            }
        }
    }
}

impl SidePlan {
    fn place_members(&mut self, next: &mut usize) {
        let leaf = |node: &Node| {
            let walked = node.role != Role::Plain || node.each.is_some() || node.above.is_some();
            node.capture.filter(|_| node.children.is_empty() && !walked)
        };
        let leaves: Vec<Option<usize>> = self.nodes.iter().map(leaf).collect();
        for node in &mut self.nodes {
            node.followers = *next;
            *next += node.children.len() + 1;
            let member = |(name, node): &(Box<str>, usize)| {
                let name = MemberName::new(name);
                Member { name, node: *node, leaf: leaves[*node] }
            };
            node.members = node.children.iter().map(member).collect();
        }
    }
}

impl FeaturePlan {
    fn compile(feature: &Feature, type_at: &[String]) -> FeaturePlan {
        let rows = feature.rows.as_ref();
        let mut rest = Builder::new(
            &feature.rest.records,
            &feature.fields,
            |field| &field.rest,
            rows.map(|r| (r.at_rest.as_slice(), r.fields.as_slice())),
        );
        let mut ws = Builder::new(
            &feature.ws.records,
            &feature.fields,
            |field| &field.ws,
            rows.map(|r| (r.at_ws.as_slice(), r.fields.as_slice())),
        );
        // The type is no unexpected member, and a second one is a duplicate.
        let own_signs = feature.ws.signs.iter().filter_map(|sign| match sign {
            Sign::Says { at, .. } => at.as_ref().map(|at| at.0.as_slice()),
            Sign::Has(_) => None,
        });
        for at in std::iter::once(type_at).chain(own_signs) {
            ws.path(ws.plan.root, at);
            ws.declare(&feature.ws.records, at);
        }
        for field in &feature.fields {
            for (side, records, source) in
                [(&mut rest, &feature.rest.records, &field.rest), (&mut ws, &feature.ws.records, &field.ws)]
            {
                if let Source::Root(pointer) = source {
                    side.declare(records, &pointer.0);
                }
            }
        }
        if let Some(changed) = &feature.ws.changed {
            ws.within(changed);
        }
        if let Some(removed) = &feature.ws.removed {
            ws.plan.removed = Some(ws.root(&removed.0));
        }
        let reshaped = |fields: &[Field], side: fn(&Field) -> &Reshape| -> Vec<(Column, Reshape)> {
            let all = fields.iter().map(side).enumerate().filter(|(_, reshape)| !reshape.is_none());
            all.map(|(column, reshape)| (column, reshape.clone())).collect()
        };
        let row_fields = rows.map(|r| r.fields.as_slice()).unwrap_or_default();
        let [mut rest, mut ws] = [rest.plan, ws.plan];
        rest.reshaped = reshaped(&feature.fields, |field| &field.reshape_rest);
        rest.row_reshaped = reshaped(row_fields, |field| &field.reshape_rest);
        rest.only.clone_from(&feature.rest.only);
        ws.reshaped = reshaped(&feature.fields, |field| &field.reshape_ws);
        ws.row_reshaped = reshaped(row_fields, |field| &field.reshape_ws);
        ws.only.clone_from(&feature.ws.only);
        let time = feature.fields.iter().position(|field| feature.time.as_ref() == Some(&field.name));
        for side in [&mut rest, &mut ws] {
            side.time = time.filter(|time| {
                side.columns[*time] == ColumnSource::Walked
                    && side.reshaped.iter().all(|(column, _)| column != time)
            });
        }
        FeaturePlan { rest, ws }
    }
}

struct Builder {
    plan: SidePlan,
}

impl Builder {
    fn new(
        records: &Records,
        fields: &[Field],
        side: impl Fn(&Field) -> &Source,
        rows: Option<(&[String], &[Field])>,
    ) -> Builder {
        let plan = SidePlan {
            nodes: vec![Node::default(), Node::default(), Node::default()],
            root: 0,
            record: 1,
            row: 2,
            index: None,
            except: records.except.clone(),
            tree: records.tree.clone(),
            may_lack: records.may_lack,
            time: None,
            columns: Vec::new(),
            row_columns: Vec::new(),
            roots: 0,
            removed: None,
            reshaped: Vec::new(),
            row_reshaped: Vec::new(),
            only: Vec::new(),
            outside: false,
            has_rows: rows.is_some(),
        };
        let mut builder = Builder { plan };
        let at = builder.steps(&records.at.0);
        builder.plan.nodes[at].role = Role::Records;
        for (column, field) in fields.iter().enumerate() {
            let source = match side(field) {
                // The member name stands for the field, whatever its own source says.
                _ if records.index.as_ref() == Some(&field.name) => {
                    builder.plan.index = Some(column);
                    ColumnSource::Index
                }
                Source::Above(levels, path) => builder.above(records.above(*levels), path, column),
                source => builder.column(1, column, source),
            };
            builder.plan.outside |= source != ColumnSource::Walked && source != ColumnSource::Absent;
            builder.plan.columns.push(source);
        }
        if let Some((at, fields)) = rows {
            let node = builder.path(1, at);
            builder.plan.nodes[node].role = Role::Rows;
            for (column, field) in fields.iter().enumerate() {
                let source = builder.column(2, column, side(field));
                builder.plan.row_columns.push(source);
            }
        }
        builder
    }

    fn column(&mut self, entry: usize, column: Column, source: &Source) -> ColumnSource {
        match source {
            Source::Record(path) => {
                let node = self.path(entry, path);
                self.capture(node, column)
            }
            Source::Root(pointer) => ColumnSource::Root(self.root(&pointer.0)),
            Source::Param(name) => ColumnSource::Param(name.clone()),
            Source::Constant(text) => {
                ColumnSource::Constant(serde_json::to_string(text).unwrap_or_else(|_| "\"\"".into()))
            }
            // Taken with the records, whose place says from where; a row has none.
            Source::Above(..) | Source::Absent => ColumnSource::Absent,
        }
    }

    /// What stands at a pointer from the body's root, by its number.
    fn root(&mut self, pointer: &[String]) -> usize {
        let node = self.path(self.plan.root, pointer);
        let roots = &mut self.plan.roots;
        *self.plan.nodes[node].capture.get_or_insert_with(|| {
            *roots += 1;
            *roots - 1
        })
    }

    /// A record's values may stand in this member of it as well.
    fn within(&mut self, member: &str) {
        let record = self.plan.record;
        self.plan.nodes[record].children.push((member.into(), record));
    }

    /// A column from an object around the records.
    fn above(&mut self, around: &[String], path: &[String], column: Column) -> ColumnSource {
        let around = self.steps(around);
        let node = self.path(around, path);
        match self.plan.nodes[node].above {
            Some((_, earlier)) => ColumnSource::Shared(earlier),
            None => {
                self.plan.nodes[around].around = true;
                self.plan.nodes[node].above = Some((around, column));
                ColumnSource::Above
            }
        }
    }

    fn capture(&mut self, node: usize, column: Column) -> ColumnSource {
        match self.plan.nodes[node].capture {
            Some(earlier) => ColumnSource::Shared(earlier),
            None => {
                self.plan.nodes[node].capture = Some(column);
                ColumnSource::Walked
            }
        }
    }

    /// What a pointer from the root takes out of the record itself is no unexpected member of it.
    fn declare(&mut self, records: &Records, path: &[String]) {
        if let (Some(inside), None) = (path.strip_prefix(records.at.0.as_slice()), self.plan.index) {
            self.path(self.plan.record, inside);
        }
    }

    /// The node at steps from the root, of which `*` is every element or member.
    fn steps(&mut self, steps: &[String]) -> usize {
        steps.iter().fold(self.plan.root, |at, step| match step.as_str() {
            "*" => self.plan.nodes[at].each.unwrap_or_else(|| {
                let each = self.plan.nodes.len();
                self.plan.nodes.push(Node::default());
                self.plan.nodes[at].each = Some(each);
                each
            }),
            _ => self.path(at, std::slice::from_ref(step)),
        })
    }

    /// The node at `path` below `entry`, made where it is new.
    fn path(&mut self, entry: usize, path: &[String]) -> usize {
        path.iter().fold(entry, |at, name| {
            if let Some((_, child)) = self.plan.nodes[at].children.iter().find(|(n, _)| **n == **name) {
                return *child;
            }
            let above = &self.plan.nodes[at].path;
            let path = if above.is_empty() { name.clone() } else { format!("{above}/{name}") };
            let child = self.plan.nodes.len();
            self.plan.nodes.push(Node { path, ..Node::default() });
            self.plan.nodes[at].children.push((name.as_str().into(), child));
            child
        })
    }
}
