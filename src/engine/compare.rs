//! Comparing two records field by field (SPEC §5.5), and looking at one for what it lacks.
//!
//! Raw text first, parsed only where it differs. Rows are matched by key, never by position.

use super::content::Content;
use crate::contract::{Contract, Feature, Field, FieldType, Forming, Invariant, Reshape, Tolerance};
use crate::model::json::{Kind, scalar};
use crate::model::text::{as_json_string, is_control};
use crate::model::value::{Number, parse_instant};
use crate::model::{Class, Span, Timestamp};

/// What a feature's fields mean, ready for comparing.
#[derive(Debug, Clone)]
pub struct Rules {
    pub columns: Vec<Rule>,
    pub row_columns: Vec<Rule>,
    pub row_key: Vec<usize>,
    /// Name of the list of rows on each side, for findings.
    pub rows_at: (String, String),
    pub has_rows: bool,
    /// Both sides read every value from the same place inside the record, so equal text is equal content.
    pub same_shape: bool,
    /// Columns of instants that nothing depends on: stamps of the sender's.
    pub stamps: Vec<usize>,
    /// The column of the event time, where it is an instant: who has read it knows that it can be read.
    pub time: Option<usize>,
}

#[derive(Debug, Clone)]
pub struct Rule {
    pub name: String,
    pub kind: FieldType,
    slack: Slack,
    optional: bool,
    /// That there is no value is a value.
    may_be_empty: bool,
    /// Compared between the sides at all.
    pub compared: bool,
    pub on_rest: bool,
    pub on_ws: bool,
    /// Both sides' values stand in bodies and have a JSON type; a constant, a parameter, a member's name and a
    /// word that was replaced have none.
    typed: bool,
    values: Vec<String>,
    pub forming: Forming,
    zone: chrono_tz::Tz,
}

#[derive(Debug, Clone)]
enum Slack {
    Absolute(Number),
    Relative(Number),
    Time(Span),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Rest,
    Ws,
}

/// When each side's value was formed, as far as arrivals tell; for countdowns and naive times.
#[derive(Debug, Clone, Copy)]
pub struct Instants {
    pub rest_sent: Timestamp,
    pub rest_received: Timestamp,
    pub ws: Timestamp,
}

/// One field (or row) that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    pub class: Class,
    /// `symbol=AAPL`, or empty.
    pub row: String,
    pub field: String,
    pub rest: String,
    pub ws: String,
    pub delta: String,
    /// The fault is REST's own: a warning.
    pub rests_own: bool,
}

impl Difference {
    /// What tells one differing place of a record from another.
    pub fn place(&self) -> (&str, &str) {
        (&self.row, &self.field)
    }
}

/// What a comparison found besides differences.
#[derive(Debug, Default)]
pub struct Remarks {
    /// Fields that are equal but of another JSON type (with one sample of each side).
    pub type_differs: Vec<(String, String, String)>,
    /// Columns compared (rows: after the record's columns), once per value.
    pub compared: Vec<usize>,
    /// Columns that could not be compared because REST's value could not be read, and that alone.
    pub unread: Vec<usize>,
    /// Instead: the same text on both sides, so all columns are equal, with so many rows.
    pub same_text: Option<u64>,
}

/// How much of a bucket may be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All fields.
    Whole,
    /// REST's snapshot was not final: only what cannot shrink.
    Forming,
}

/// Something wrong with one record by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Issue {
    pub class: Class,
    pub row: String,
    pub field: String,
    pub value: String,
}

impl Rules {
    pub fn new(contract: &Contract, feature: &Feature) -> Rules {
        let redacted = |field: &Field| contract.redact.contains(&field.name);
        let aligned =
            |name: &str| feature.key.iter().any(|k| k == name) || feature.time.as_deref() == Some(name);
        let columns: Vec<Rule> =
            feature.fields.iter().map(|f| Rule::new(feature, f, aligned(&f.name), redacted(f))).collect();
        let rows = feature.rows.as_ref();
        let row_fields = rows.map(|r| r.fields.as_slice()).unwrap_or_default();
        let row_keys = rows.map(|r| r.key.as_slice()).unwrap_or_default();
        let row_rule = |f: &Field| Rule::new(feature, f, row_keys.contains(&f.name), redacted(f));
        let row_columns = row_fields.iter().map(row_rule).collect();
        let row_key = row_keys.iter().filter_map(|k| row_fields.iter().position(|f| f.name == *k)).collect();
        let alike = |f: &Field| {
            f.rest == f.ws
                && f.reshape_rest == f.reshape_ws
                && matches!(f.rest, crate::contract::Source::Record(_))
        };
        let is_stamp = |rule: &Rule, column: usize| {
            rule.kind == FieldType::Timestamp && !rule.compared && !aligned(&feature.fields[column].name)
        };
        let time = feature.fields.iter().position(|f| feature.time.as_ref() == Some(&f.name));
        Rules {
            time: time.filter(|&column| columns[column].kind == FieldType::Timestamp),
            stamps: (0..columns.len()).filter(|&column| is_stamp(&columns[column], column)).collect(),
            columns,
            row_columns,
            row_key,
            rows_at: rows.map(|r| (r.at_rest.join("/"), r.at_ws.join("/"))).unwrap_or_default(),
            has_rows: rows.is_some(),
            same_shape: feature.fields.iter().chain(row_fields).all(alike)
                && rows.is_none_or(|r| r.at_rest == r.at_ws),
        }
    }
}

impl Rule {
    fn new(feature: &Feature, field: &Field, aligned: bool, redacted: bool) -> Rule {
        use crate::contract::Source;
        let slack = match &field.tolerance {
            Tolerance::Exact if field.kind == FieldType::Timestamp => Slack::Time(Span::ZERO),
            Tolerance::Exact if field.kind == FieldType::Countdown => Slack::Time(Span::ZERO),
            Tolerance::Exact => Slack::Absolute(Number::ZERO),
            Tolerance::Absolute(t) => Slack::Absolute(Number::from(t)),
            Tolerance::Relative(t) => Slack::Relative(Number::from(t)),
            Tolerance::Time(t) => Slack::Time(*t),
        };
        let (on_rest, on_ws) = (field.rest != Source::Absent, field.ws != Source::Absent);
        let in_body =
            |source: &Source| matches!(source, Source::Record(_) | Source::Root(_) | Source::Above(..));
        let worded = |reshape: &Reshape| !reshape.normal.is_empty() || !reshape.map.is_empty();
        let is_name = |index: &Option<String>| index.as_ref() == Some(&field.name);
        Rule {
            name: field.name.clone(),
            // A hash of the value is all that is left of it: equal or not.
            kind: if redacted { FieldType::String } else { field.kind },
            slack,
            optional: field.optional,
            may_be_empty: !field.reshape_rest.empty.is_empty() || !field.reshape_ws.empty.is_empty(),
            compared: field.compare && !aligned && on_rest && on_ws,
            on_rest,
            on_ws,
            typed: in_body(&field.rest)
                && in_body(&field.ws)
                && !worded(&field.reshape_rest)
                && !worded(&field.reshape_ws)
                && !is_name(&feature.rest.records.index)
                && !is_name(&feature.ws.records.index),
            values: if redacted { Vec::new() } else { field.values.clone() },
            forming: field.forming,
            zone: field.zone,
        }
    }

    /// Whether a message's record is not whole without it.
    pub fn is_needed(&self) -> bool {
        self.on_ws && !self.optional && !self.may_be_empty
    }

    fn on(&self, side: Side) -> bool {
        match side {
            Side::Rest => self.on_rest,
            Side::Ws => self.on_ws,
        }
    }

    /// What is wrong with a value by itself.
    fn fault(&self, kind: Kind, raw: &str, near: Timestamp) -> Option<Class> {
        match kind {
            Kind::Absent => return (!self.optional).then_some(Class::MissingField),
            Kind::Null => return (!self.optional && !self.may_be_empty).then_some(Class::NullField),
            Kind::Object | Kind::Array => return Some(Class::WrongType),
            _ => {}
        }
        let readable = match self.kind {
            // A number where text is declared can only be judged beside the other side's value.
            FieldType::String => kind == Kind::String || (kind == Kind::Number && self.on_rest && self.on_ws),
            FieldType::Decimal | FieldType::Countdown if kind == Kind::Number && plain(raw) => true,
            FieldType::Decimal | FieldType::Countdown => {
                kind != Kind::Bool && Number::parse(&scalar(raw)).is_some()
            }
            FieldType::Integer if kind == Kind::Number && raw.bytes().all(|b| b.is_ascii_digit()) => true,
            FieldType::Integer => {
                kind != Kind::Bool && Number::parse(&scalar(raw)).is_some_and(|n| n.is_integral())
            }
            FieldType::Boolean => kind != Kind::Number && matches!(&*scalar(raw), "true" | "false"),
            FieldType::Timestamp => {
                kind != Kind::Bool && parse_instant(&scalar(raw), self.zone, near).is_some()
            }
            FieldType::Enum => {
                if self.values.iter().any(|v| *v == *scalar(raw)) {
                    return None;
                }
                return Some(if kind == Kind::String { Class::BadValue } else { Class::WrongType });
            }
        };
        (!readable).then_some(Class::WrongType)
    }
}

/// A number whose text needs no second look: digits with at most a point.
fn plain(raw: &str) -> bool {
    raw.len() <= 32 && raw.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-')
}

/// What one record lacks or holds in the wrong form. `known_good`: a column that has been read already.
pub fn inspect(
    rules: &Rules,
    content: &Content,
    side: Side,
    near: Timestamp,
    known_good: Option<usize>,
) -> Vec<Issue> {
    let mut issues = Vec::new();
    let mut look = |rule: &Rule, row: Option<usize>, column: usize| {
        if !rule.on(side) {
            return;
        }
        let (kind, raw) = content.cell(row, column);
        if let Some(class) = rule.fault(kind, raw, near) {
            let row = row.map(|r| row_label(rules, content, r)).unwrap_or_default();
            let value = scalar(raw).into_owned();
            issues.push(Issue { class, row, field: rule.name.clone(), value });
        }
    };
    for (column, rule) in rules.columns.iter().enumerate() {
        if known_good != Some(column) {
            look(rule, None, column);
        }
    }
    for row in 0..content.rows() {
        for (column, rule) in rules.row_columns.iter().enumerate() {
            look(rule, Some(row), column);
        }
    }
    if rules.has_rows {
        let class = match content.rows_kind {
            Kind::Array => return issues,
            Kind::Absent => Class::MissingField,
            Kind::Null => Class::NullField,
            _ => Class::WrongType,
        };
        let field = if side == Side::Rest { &rules.rows_at.0 } else { &rules.rows_at.1 };
        issues.push(Issue { class, row: String::new(), field: field.clone(), value: String::new() });
    }
    issues
}

/// `symbol=AAPL` of one row.
fn row_label(rules: &Rules, content: &Content, row: usize) -> String {
    label(rules.row_key.iter().map(|&column| {
        let (_, raw) = content.cell(Some(row), column);
        (rules.row_columns[column].name.as_str(), key_text(&rules.row_columns[column], raw))
    }))
}

/// `country=USA,symbol=SPY`; values with `,` `=` `"` or control codes as JSON strings.
pub fn label<'n>(parts: impl Iterator<Item = (&'n str, String)>) -> String {
    let mut out = String::new();
    for (name, value) in parts {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(name);
        out.push('=');
        if value.chars().any(|c| matches!(c, ',' | '=' | '"') || is_control(c)) {
            out.push_str(&as_json_string(&value));
        } else {
            out.push_str(&value);
        }
    }
    out
}

/// A key's value by its type: `"123"`, `123` and `123.0` are one integer.
pub fn key_text(rule: &Rule, raw: &str) -> String {
    let text = scalar(raw);
    match rule.kind {
        FieldType::Integer | FieldType::Decimal | FieldType::Countdown => match Number::parse(&text) {
            Some(number) => number.to_string(),
            None => text.into_owned(),
        },
        FieldType::Timestamp => match parse_instant(&text, rule.zone, Timestamp(0)) {
            Some(t) => t.to_string(),
            None => text.into_owned(),
        },
        _ => text.into_owned(),
    }
}

/// Compares REST's record with the WebSocket's. No difference: equal.
pub fn compare(
    rules: &Rules,
    rest: &Content,
    ws: &Content,
    at: Instants,
    extent: Extent,
    remarks: &mut Remarks,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    if rules.same_shape && rest.same_text(ws) {
        remarks.same_text = Some(rest.rows() as u64);
        return differences;
    }
    if rules.has_rows && rest.rows_kind != Kind::Array && ws.rows_kind == Kind::Array {
        remarks.unread.extend(rules.columns.len()..rules.columns.len() + rules.row_columns.len());
    }
    remarks.compared.reserve(rules.columns.len() + rest.rows() * rules.row_columns.len());
    let mut cell = |rule: &Rule, column: usize, rows: Option<(usize, usize)>, row: &dyn Fn() -> String| {
        if !rule.compared || (extent == Extent::Forming && rule.forming == Forming::Final) {
            return;
        }
        let a = rest.cell(rows.map(|r| r.0), column);
        let b = ws.cell(rows.map(|r| r.1), column);
        let place = column + if rows.is_some() { rules.columns.len() } else { 0 };
        match equal(rule, a, b, at, extent) {
            Equality::Unread { rests_own } => {
                if rests_own && !rule.optional {
                    remarks.unread.push(place);
                }
            }
            Equality::Same { types_differ } => {
                remarks.compared.push(place);
                if types_differ && rule.typed {
                    remarks.type_differs.push((rule.name.clone(), a.1.to_string(), b.1.to_string()));
                }
            }
            Equality::Differs { class, delta, rests_own } => {
                remarks.compared.push(place);
                differences.push(Difference {
                    class,
                    row: row(),
                    field: rule.name.clone(),
                    rest: scalar(a.1).into_owned(),
                    ws: scalar(b.1).into_owned(),
                    delta,
                    rests_own,
                });
            }
        }
    };
    for (column, rule) in rules.columns.iter().enumerate() {
        cell(rule, column, None, &String::new);
    }
    if rules.has_rows && rest.rows_kind == Kind::Array && ws.rows_kind == Kind::Array {
        let pairing = pair_rows(rules, rest, ws);
        for &(a, b) in &pairing.both {
            for (column, rule) in rules.row_columns.iter().enumerate() {
                cell(rule, column, Some((a, b)), &|| row_label(rules, rest, a));
            }
        }
        if extent == Extent::Whole {
            let alone = |class, content: &Content, row| Difference {
                class,
                row: row_label(rules, content, row),
                field: String::new(),
                rest: if class == Class::MissingRow { "present".into() } else { String::new() },
                ws: if class == Class::ExtraRow { "present".into() } else { String::new() },
                delta: String::new(),
                rests_own: false,
            };
            differences.extend(pairing.rest_only.iter().map(|&r| alone(Class::MissingRow, rest, r)));
            differences.extend(pairing.ws_only.iter().map(|&r| alone(Class::ExtraRow, ws, r)));
        }
    }
    differences
}

/// The rows that stand in both, by key.
pub fn rows_by_key(rules: &Rules, before: &Content, after: &Content) -> Vec<(usize, usize)> {
    pair_rows(rules, before, after).both
}

/// Whether a field went from one readable value to another, by more than its tolerance.
pub fn changed(rule: &Rule, before: (Kind, &str), after: (Kind, &str)) -> bool {
    if before.1 == after.1 {
        return false;
    }
    let number = |cell: (Kind, &str)| Number::parse(&scalar(cell.1)).filter(|_| is_scalar(cell.0));
    if rule.kind == FieldType::Countdown {
        return matches!((number(before), number(after)), (Some(a), Some(b)) if a != b);
    }
    let now = Timestamp(0);
    let at = Instants { rest_sent: now, rest_received: now, ws: now };
    matches!(equal(rule, before, after, at, Extent::Whole), Equality::Differs { .. })
}

/// A value as findings write it.
pub fn shown(raw: &str) -> String {
    scalar(raw).into_owned()
}

struct RowPairs {
    both: Vec<(usize, usize)>,
    rest_only: Vec<usize>,
    ws_only: Vec<usize>,
}

/// Rows by key; of rows with one key the first goes with the first, and so on.
fn pair_rows(rules: &Rules, rest: &Content, ws: &Content) -> RowPairs {
    let raw_key_equal = |a: usize, b: usize| {
        rules.row_key.iter().all(|&c| {
            let (x, y) = (rest.cell(Some(a), c), ws.cell(Some(b), c));
            x.0 != Kind::Absent && x == y
        })
    };
    if rest.rows() == ws.rows() && (0..rest.rows()).all(|i| raw_key_equal(i, i)) {
        return RowPairs {
            both: (0..rest.rows()).map(|i| (i, i)).collect(),
            rest_only: vec![],
            ws_only: vec![],
        };
    }
    let keyed = |content: &Content| -> Vec<(Vec<String>, usize)> {
        let mut keys: Vec<_> = (0..content.rows())
            // A row without its key is a finding of its own and has no partner.
            .filter(|&row| rules.row_key.iter().all(|&c| is_scalar(content.cell(Some(row), c).0)))
            .map(|row| {
                let key = rules
                    .row_key
                    .iter()
                    .map(|&c| key_text(&rules.row_columns[c], content.cell(Some(row), c).1));
                (key.collect(), row)
            })
            .collect();
        keys.sort();
        keys
    };
    let (a, b) = (keyed(rest), keyed(ws));
    let mut pairs = RowPairs { both: vec![], rest_only: vec![], ws_only: vec![] };
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        let order = match (a.get(i), b.get(j)) {
            (Some(x), Some(y)) => x.0.cmp(&y.0),
            (Some(_), None) => std::cmp::Ordering::Less,
            _ => std::cmp::Ordering::Greater,
        };
        match order {
            std::cmp::Ordering::Less => {
                pairs.rest_only.push(a[i].1);
                i += 1;
            }
            std::cmp::Ordering::Greater => {
                pairs.ws_only.push(b[j].1);
                j += 1;
            }
            std::cmp::Ordering::Equal => {
                pairs.both.push((a[i].1, b[j].1));
                i += 1;
                j += 1;
            }
        }
    }
    // In REST's own order, so that findings read like the body.
    pairs.both.sort_unstable();
    pairs.rest_only.sort_unstable();
    pairs.ws_only.sort_unstable();
    pairs
}

fn is_scalar(kind: Kind) -> bool {
    matches!(kind, Kind::Bool | Kind::Number | Kind::String)
}

enum Equality {
    /// Unreadable or absent on a side (on REST alone: `rests_own`): that is a finding of its own.
    Unread {
        rests_own: bool,
    },
    Same {
        types_differ: bool,
    },
    Differs {
        class: Class,
        delta: String,
        rests_own: bool,
    },
}

fn equal(rule: &Rule, rest: (Kind, &str), ws: (Kind, &str), at: Instants, extent: Extent) -> Equality {
    let unread = |rest_reads: bool, ws_reads: bool| Equality::Unread { rests_own: !rest_reads && ws_reads };
    if rule.may_be_empty && (rest.0 == Kind::Null || ws.0 == Kind::Null) {
        return match (rest.0, ws.0) {
            (Kind::Null, Kind::Null) => Equality::Same { types_differ: false },
            (a, b) if is_scalar(a) || is_scalar(b) => {
                Equality::Differs { class: Class::ValueMismatch, delta: String::new(), rests_own: false }
            }
            (a, b) => unread(a == Kind::Null, b == Kind::Null),
        };
    }
    if !is_scalar(rest.0) || !is_scalar(ws.0) {
        return unread(is_scalar(rest.0), is_scalar(ws.0));
    }
    if rest.1 == ws.1 {
        return Equality::Same { types_differ: false };
    }
    let types_differ = rest.0 != ws.0;
    let (a, b) = (scalar(rest.1), scalar(ws.1));
    let verdict = match rule.kind {
        FieldType::String => return equal_text(rest.0, ws.0, &a, &b),
        FieldType::Enum => {
            let known = |text: &str| rule.values.iter().any(|v| v == text);
            if !known(&a) || !known(&b) {
                return unread(known(&a), known(&b));
            }
            (a != b).then(String::new)
        }
        FieldType::Boolean => match (boolean(&a), boolean(&b)) {
            (Some(x), Some(y)) => (x != y).then(String::new),
            (x, y) => return unread(x.is_some(), y.is_some()),
        },
        FieldType::Decimal | FieldType::Integer => {
            let whole = |n: &Number| rule.kind == FieldType::Decimal || n.is_integral();
            match (Number::parse(&a).filter(whole), Number::parse(&b).filter(whole)) {
                (Some(x), Some(y)) => differs_by(rule, &x, &y, extent),
                (x, y) => return unread(x.is_some(), y.is_some()),
            }
        }
        FieldType::Timestamp => {
            let x = parse_instant(&a, rule.zone, at.rest_received);
            let y = parse_instant(&b, rule.zone, at.ws);
            let (Some(x), Some(y)) = (x, y) else { return unread(x.is_some(), y.is_some()) };
            let slack = if let Slack::Time(slack) = rule.slack { slack } else { Span::ZERO };
            ((y - x).abs() > slack).then(|| (y - x).to_string())
        }
        FieldType::Countdown => match (Number::parse(&a), Number::parse(&b)) {
            (Some(x), Some(y)) => countdown(rule, &x, &y, at),
            (x, y) => return unread(x.is_some(), y.is_some()),
        },
    };
    match verdict {
        None => Equality::Same { types_differ },
        Some(delta) => Equality::Differs { class: Class::ValueMismatch, delta, rests_own: false },
    }
}

fn boolean(text: &str) -> Option<bool> {
    text.parse().ok()
}

/// Text is equal by its characters; a number for text is `wrong_type` unless REST gives the same text.
fn equal_text(rest: Kind, ws: Kind, a: &str, b: &str) -> Equality {
    let differs = |class, rests_own| Equality::Differs { class, delta: String::new(), rests_own };
    match () {
        () if rest == Kind::Bool || ws == Kind::Bool => Equality::Unread { rests_own: ws != Kind::Bool },
        () if a == b => Equality::Same { types_differ: rest != ws },
        () if ws != Kind::String => differs(Class::WrongType, false),
        () if rest != Kind::String => differs(Class::WrongType, true),
        () => differs(Class::ValueMismatch, false),
    }
}

/// The difference `ws − rest` where it is beyond the field's tolerance.
fn differs_by(rule: &Rule, rest: &Number, ws: &Number, extent: Extent) -> Option<String> {
    let delta = ws.minus(rest);
    let slack = match &rule.slack {
        Slack::Absolute(slack) => slack.clone(),
        Slack::Relative(fraction) => Number::from(rest.to_big().abs() * fraction.to_big()),
        Slack::Time(_) => Number::ZERO,
    };
    let allowed = delta.abs() <= slack
        || (extent == Extent::Forming
            && match rule.forming {
                Forming::Grows => delta > Number::ZERO,
                Forming::Shrinks => delta < Number::ZERO,
                Forming::Fixed | Forming::Final => false,
            });
    (!allowed).then(|| signed(&delta))
}

/// A difference with its sign, so that a reader sees which side is greater.
fn signed(delta: &Number) -> String {
    if *delta > Number::ZERO { format!("+{delta}") } else { delta.to_string() }
}

/// Seconds that run down: equal when what ran down fits what elapsed (SPEC §5.5).
fn countdown(rule: &Rule, rest: &Number, ws: &Number, at: Instants) -> Option<String> {
    let half = (at.rest_received - at.rest_sent).half();
    let rest_at = at.rest_sent + half;
    let tolerance = if let Slack::Time(slack) = rule.slack { slack } else { Span::ZERO } + half;
    let (Some(r), Some(w)) = (rest.seconds_to_nanos(), ws.seconds_to_nanos()) else {
        return Some(signed(&ws.minus(rest)));
    };
    let (first, second) = if rest_at <= at.ws { (r, w) } else { (w, r) };
    let ran_down = i128::from(first) - i128::from(second);
    let elapsed = (at.ws - rest_at).abs();
    let fits = -i128::from(tolerance.0) <= ran_down && ran_down <= i128::from((elapsed + tolerance).0);
    (!fits).then(|| signed(&ws.minus(rest)))
}

/// Whether two records of one side say the same in every declared field that is compared or aligned.
pub fn same_content(rules: &Rules, a: &Content, b: &Content) -> bool {
    if a.same_text(b) {
        return true;
    }
    let cells_equal = |rule: &Rule, row: Option<usize>, column: usize| {
        if !rule.compared {
            return true;
        }
        let (x, y) = (a.cell(row, column), b.cell(row, column));
        x == y
            || (is_scalar(x.0)
                && is_scalar(y.0)
                && match (Number::parse(&scalar(x.1)), Number::parse(&scalar(y.1))) {
                    (Some(p), Some(q)) => p == q,
                    _ => scalar(x.1) == scalar(y.1),
                })
    };
    a.rows() == b.rows()
        && rules.columns.iter().enumerate().all(|(c, rule)| cells_equal(rule, None, c))
        && (0..a.rows()).all(|r| {
            rules.row_key.iter().all(|&c| a.cell(Some(r), c) == b.cell(Some(r), c))
                && rules.row_columns.iter().enumerate().all(|(c, rule)| cells_equal(rule, Some(r), c))
        })
}

/// Whether REST's record and the WebSocket's say the same at one instant.
pub fn identical(rules: &Rules, rest: &Content, ws: &Content) -> bool {
    let now = Timestamp(0);
    let at = Instants { rest_sent: now, rest_received: now, ws: now };
    compare(rules, rest, ws, at, Extent::Whole, &mut Remarks::default()).is_empty()
}

/// A declared sum that fails in one record.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken {
    pub text: String,
    pub row: String,
    /// The field that stands alone first.
    pub fields: Vec<String>,
    pub values: String,
}

/// The declared sums that fail in a record. One that lacks a value has no answer.
pub fn broken(rules: &Rules, invariants: &[Invariant], content: &Content) -> Vec<Broken> {
    let mut broken = Vec::new();
    for invariant in invariants {
        let mut look = |row: Option<usize>| {
            let columns = if row.is_some() { &rules.row_columns } else { &rules.columns };
            let value = |column: usize| match content.cell(row, column) {
                (Kind::Number | Kind::String, raw) => Number::parse(&scalar(raw)),
                _ => None,
            };
            if invariant.holds(value) == Some(false) {
                let lone = invariant.lone_fields();
                let others = invariant.fields().into_iter().filter(|c| !lone.contains(c));
                let fields = lone.iter().copied().chain(others).map(|c| columns[c].name.clone()).collect();
                let shown = |&c: &usize| format!("{}={}", columns[c].name, scalar(content.cell(row, c).1));
                broken.push(Broken {
                    text: invariant.text.clone(),
                    row: row.map(|r| row_label(rules, content, r)).unwrap_or_default(),
                    values: invariant.fields().iter().map(shown).collect::<Vec<_>>().join(" "),
                    fields,
                });
            }
        };
        match invariant.on_rows {
            true => (0..content.rows()).for_each(|row| look(Some(row))),
            false => look(None),
        }
    }
    broken
}
