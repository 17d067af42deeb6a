//! The contract compiled for extraction: per feature and side a trie of member names whose leaves
//! are columns. It knows where values stand, not what they mean.

use crate::contract::{Contract, Feature, Field, Only, Pointer, Reshape, Source};
use crate::model::json::MemberName;
use std::sync::Arc;

/// Columns of a record follow the contract's fields, columns of a row its row fields.
pub type Column = usize;

/// All features' plans, and how a frame finds its feature.
#[derive(Debug)]
pub struct Plan {
    pub features: Vec<FeaturePlan>,
    pub type_at: Vec<String>,
    /// Message types, a few.
    route: Vec<(String, Route)>,
    /// Names of the features, in the contract's order.
    names: Vec<Arc<str>>,
    /// Indexes into `features` of those that read one message type.
    groups: Vec<Vec<usize>>,
}

/// What a message type leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    Ignored,
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
    /// Records are members of an object, named by this column's value.
    pub index: Option<Column>,
    pub columns: Vec<ColumnSource>,
    pub row_columns: Vec<ColumnSource>,
    pub roots: usize,
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
    pub role: Role,
    /// What is taken from it, where there is nothing to walk in it.
    pub leaf: Option<usize>,
    /// The path from the record (or row) to here, for naming members nobody declared.
    pub path: String,
    /// The children's names as most texts write them.
    pub spelled: Vec<Option<MemberName>>,
    /// Where a reader keeps which child followed which: one place for the first, and one after each child.
    pub followers: usize,
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
        let type_at = contract.ws.type_at.0.clone();
        let mut route: Vec<(String, Route)> = Vec::new();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for kind in &contract.ws.ignore_types {
            route.push((kind.clone(), Route::Ignored));
        }
        for (i, feature) in contract.features.iter().enumerate() {
            let declared = route.iter().find_map(|(kind, route)| match route {
                Route::Features(group) if *kind == feature.ws.kind => Some(*group),
                _ => None,
            });
            match declared {
                Some(group) => groups[group].push(i),
                None => {
                    // A declared feature wins over an ignored type of the same name.
                    route.retain(|(kind, _)| *kind != feature.ws.kind);
                    route.push((feature.ws.kind.clone(), Route::Features(groups.len())));
                    groups.push(vec![i]);
                }
            }
        }
        let mut features: Vec<FeaturePlan> =
            contract.features.iter().map(|f| FeaturePlan::compile(f, &type_at)).collect();
        let mut followers = 0;
        for side in features.iter_mut().flat_map(|f| [&mut f.rest, &mut f.ws]) {
            side.place_followers(&mut followers);
        }
        let names = contract.features.iter().map(|f| f.name.clone()).collect();
        Plan { features, type_at, route, names, groups }
    }

    /// What a message type leads to, where it is known.
    pub fn route(&self, kind: &str) -> Option<Route> {
        self.route.iter().find(|(known, _)| known == kind).map(|(_, route)| *route)
    }

    /// The features of a group: indexes into `features`.
    pub fn group(&self, group: usize) -> &[usize] {
        &self.groups[group]
    }

    /// The feature of this name.
    pub fn feature(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| **n == *name)
    }
}

impl SidePlan {
    fn place_followers(&mut self, next: &mut usize) {
        for node in &mut self.nodes {
            node.followers = *next;
            *next += node.children.len() + 1;
            node.spelled = node.children.iter().map(|(name, _)| MemberName::new(name)).collect();
        }
    }
}

impl FeaturePlan {
    fn compile(feature: &Feature, type_at: &[String]) -> FeaturePlan {
        let rows = feature.rows.as_ref();
        let mut rest = Builder::new(
            &feature.rest.records,
            feature.rest.index.as_deref(),
            &feature.fields,
            |field| &field.rest,
            rows.map(|r| (r.at_rest.as_slice(), r.fields.as_slice())),
        );
        let mut ws = Builder::new(
            &feature.ws.records,
            feature.ws.index.as_deref(),
            &feature.fields,
            |field| &field.ws,
            rows.map(|r| (r.at_ws.as_slice(), r.fields.as_slice())),
        );
        // The type is no unexpected member, and a second one is a duplicate.
        ws.path(ws.plan.root, type_at);
        ws.declare(&feature.ws.records, type_at);
        for field in &feature.fields {
            for (side, records, source) in
                [(&mut rest, &feature.rest.records, &field.rest), (&mut ws, &feature.ws.records, &field.ws)]
            {
                if let Source::Root(pointer) = source {
                    side.declare(records, &pointer.0);
                }
            }
        }
        let reshaped = |fields: &[Field], side: fn(&Field) -> &Reshape| -> Vec<(Column, Reshape)> {
            let all = fields.iter().map(side).enumerate().filter(|(_, reshape)| !reshape.is_none());
            all.map(|(column, reshape)| (column, reshape.clone())).collect()
        };
        let row_fields = rows.map(|r| r.fields.as_slice()).unwrap_or_default();
        let [mut rest, mut ws] = [rest.finish(), ws.finish()];
        rest.reshaped = reshaped(&feature.fields, |field| &field.reshape_rest);
        rest.row_reshaped = reshaped(row_fields, |field| &field.reshape_rest);
        rest.only.clone_from(&feature.rest.only);
        ws.reshaped = reshaped(&feature.fields, |field| &field.reshape_ws);
        ws.row_reshaped = reshaped(row_fields, |field| &field.reshape_ws);
        ws.only.clone_from(&feature.ws.only);
        FeaturePlan { rest, ws }
    }
}

struct Builder {
    plan: SidePlan,
}

impl Builder {
    fn new(
        records: &Pointer,
        index: Option<&str>,
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
            columns: Vec::new(),
            row_columns: Vec::new(),
            roots: 0,
            reshaped: Vec::new(),
            row_reshaped: Vec::new(),
            only: Vec::new(),
            outside: false,
            has_rows: rows.is_some(),
        };
        let mut builder = Builder { plan };
        let at = builder.path(0, &records.0);
        builder.plan.nodes[at].role = Role::Records;
        for (column, field) in fields.iter().enumerate() {
            let source = match side(field) {
                // The member name stands for the field, whatever its own source says.
                _ if index == Some(field.name.as_str()) => {
                    builder.plan.index = Some(column);
                    ColumnSource::Index
                }
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

    fn finish(mut self) -> SidePlan {
        for node in &mut self.plan.nodes {
            if node.children.is_empty() && node.role == Role::Plain {
                node.leaf = node.capture;
            }
        }
        self.plan
    }

    fn column(&mut self, entry: usize, column: Column, source: &Source) -> ColumnSource {
        match source {
            Source::Record(path) => {
                let node = self.path(entry, path);
                self.capture(node, column)
            }
            Source::Root(pointer) => {
                let node = self.path(self.plan.root, &pointer.0);
                let root = match self.plan.nodes[node].capture {
                    Some(root) => root,
                    None => {
                        self.plan.nodes[node].capture = Some(self.plan.roots);
                        self.plan.roots += 1;
                        self.plan.roots - 1
                    }
                };
                ColumnSource::Root(root)
            }
            Source::Param(name) => ColumnSource::Param(name.clone()),
            Source::Constant(text) => {
                ColumnSource::Constant(serde_json::to_string(text).unwrap_or_else(|_| "\"\"".into()))
            }
            Source::Absent => ColumnSource::Absent,
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
    fn declare(&mut self, records: &Pointer, path: &[String]) {
        if let (Some(inside), None) = (path.strip_prefix(records.0.as_slice()), self.plan.index) {
            self.path(self.plan.record, inside);
        }
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
