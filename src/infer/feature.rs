//! One endpoint beside one message type: where the records stand on both sides, what names them, how they align,
//! and which fields they share. The best reading of all is kept. Must not write the contract.

use super::cell::Kind;
use super::fields::{self, Match, Matched};
use super::keys::{self, Columns, SharedTime, key_of};
use super::latest::{Latest, latest};
use super::meaning::{Evidence, FEW, Guess};
use super::pace::{self, Pace};
use super::pairs::{self, Pair};
use super::scope;
use super::table::{Body, Form, From, Shape, Table, shapes};
use crate::contract::{Align, FieldType};
use crate::model::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Everything guessed of a feature.
#[derive(Debug, Clone)]
pub struct Draft {
    pub rest: Side,
    pub ws: Side,
    pub align: Align,
    pub align_evidence: String,
    pub pace: Pace,
    pub key: Vec<Field>,
    pub time: Option<Field>,
    pub fields: Vec<Field>,
    pub rest_only: Vec<LeftOver>,
    pub ws_only: Vec<LeftOver>,
    pub rows: Option<Rows>,
    pub pairs: usize,
    pub only: Option<Only>,
    /// Why both lists are whole, where they are.
    pub whole: Option<String>,
    /// How late REST showed the latest closed bar, where that is what it shows.
    pub late: Option<Span>,
    /// How much speaks for this reading.
    pub score: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    pub shape: Shape,
    /// The field that holds the name under which a record stands.
    pub index: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    /// As the contract writes it, where it is not the name itself.
    pub rest: Option<String>,
    pub ws: Option<String>,
    /// The side that has no such value: `rest` or `ws`.
    pub lacks: Option<&'static str>,
    pub guess: Guess,
}

/// What REST's records say that the WebSocket tells of, and what speaks for that.
#[derive(Debug, Clone, PartialEq)]
pub struct Only {
    pub field: String,
    /// As TOML.
    pub value: String,
    pub evidence: String,
}

/// A member that only one side has.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftOver {
    pub source: String,
    pub kind: FieldType,
    pub sample: String,
}

#[derive(Debug, Clone)]
pub struct Rows {
    pub rest: Vec<String>,
    pub ws: Vec<String>,
    pub key: Vec<Field>,
    pub fields: Vec<Field>,
    pub rest_only: Vec<LeftOver>,
    pub ws_only: Vec<LeftOver>,
    pub pairs: usize,
}

/// One side's bodies as every table that they may be.
#[derive(Debug)]
pub struct Tables(Vec<(Shape, Table)>);

impl Tables {
    pub fn of(bodies: &[Body], constants: &[(String, String)]) -> Tables {
        let table = |shape: Shape| {
            let table = Table::of(bodies, &shape, constants);
            (shape, table)
        };
        Tables(shapes(bodies).into_iter().map(table).filter(|(_, t)| !t.records.is_empty()).collect())
    }
}

/// The best way to read an endpoint and a message type as one feature; `None`: they share nothing.
pub fn best(rest: &Tables, ws: &Tables, poll: Span) -> Option<Draft> {
    let mut best: Option<Draft> = None;
    for (rest_shape, shown) in &rest.0 {
        for (ws_shape, said) in &ws.0 {
            let draft = draft((rest_shape, shown), (ws_shape, said), poll);
            if let Some(draft) = draft
                && best.as_ref().is_none_or(|known| draft.score > known.score)
            {
                best = Some(draft);
            }
        }
    }
    best
}

fn draft(
    (rest_shape, rest): (&Shape, &Table),
    (ws_shape, ws): (&Shape, &Table),
    poll: Span,
) -> Option<Draft> {
    let key = keys::key(rest, ws, true)?;
    let time = keys::shared_time(rest, ws, &key);
    let aligned = align(rest, ws, &key, time)?;
    let mut fixed = key.clone();
    fixed.extend(aligned.time.map(|time| time.columns));
    let matched = fields::columns(rest, ws, &aligned.pairs, &fixed);
    let rows = rows(rest, ws, &aligned.pairs);
    let score = score(&matched.fields) + rows.as_ref().map_or(0.0, |(_, score)| *score);
    if score <= 0.0 {
        return None;
    }
    // Two records without a name and a time are alike by values that move, or by chance.
    let moves = |found: &Match| found.distinct >= 2 || found.counts_down;
    if key.is_empty() && aligned.time.is_none() && rows.is_none() && !matched.fields.iter().any(moves) {
        return None;
    }
    // An entity with a name and a common time are evidence of their own.
    let (named, timed) = (!key.is_empty(), aligned.time.is_some());
    let score = score + f64::from(u8::from(named) + u8::from(timed));
    let pace = match (aligned.align, aligned.time) {
        _ if aligned.latest.is_some() => aligned.latest.as_ref()?.pace.clone(),
        (Align::Bucket, Some(time)) => pace::of_buckets(rest, time.columns.0)?,
        _ => pace::of_messages(ws, &key, poll),
    };
    let evidence = Evidence { rest, ws, pairs: &aligned.pairs, key: &key };
    let mut names = Names::default();
    let key_fields: Vec<Field> = match key.is_empty() {
        true => vec![nameless(&mut names)],
        false => {
            key.iter().map(|&columns| key_field(&evidence, columns, &mut names)).collect::<Option<_>>()?
        }
    };
    let index = |table: &Table, own: &dyn Fn(&Columns) -> usize| {
        let place = key.iter().position(|columns| table.columns[own(columns)] == From::Index);
        place.map(|place| key_fields[place].name.clone())
    };
    let sides = (
        Side { shape: rest_shape.clone(), index: index(rest, &|c| c.0) },
        Side { shape: ws_shape.clone(), index: index(ws, &|c| c.1) },
    );
    // An object whose members are records has a name for each, which must then be the key.
    let named = |side: &Side| side.shape.form != Form::Map || side.index.is_some();
    if !named(&sides.0) || !named(&sides.1) {
        return None;
    }
    let time_field = match aligned.time {
        Some(time) => Some(time_field(&evidence, time, &mut names)?),
        None => match &aligned.latest {
            Some(latest) => Some(bar_time(&evidence, latest.time, &mut names)?),
            None => None,
        },
    };
    let score = score - DETOUR * detours(&matched, &key, rest, ws) as f64;
    let bucket_time = aligned.time.filter(|_| aligned.align == Align::Bucket).map(|time| time.columns);
    let (mut fields, mut rest_only, mut ws_only) = described(&evidence, &matched, bucket_time, &mut names);
    if let Some(latest) = &aligned.latest {
        let source = ws.columns[latest.time].source();
        ws_only.retain(|left| Some(&left.source) != source.as_ref());
    }
    let only = scope::only(&evidence, &matched, &mut names);
    let only = only.map(|(column, only, field)| {
        let source = rest.columns[column].source();
        rest_only.retain(|left| Some(&left.source) != source.as_ref());
        fields.push(field);
        only
    });
    let whole = scope::whole(&evidence, rest_shape, ws_shape);
    Some(Draft {
        only,
        whole,
        late: aligned.latest.as_ref().map(|latest| latest.late),
        rest: sides.0,
        ws: sides.1,
        align: aligned.align,
        align_evidence: aligned.evidence,
        pace,
        key: key_fields,
        time: time_field,
        fields,
        rest_only,
        ws_only,
        rows: rows.map(|(rows, _)| rows),
        pairs: aligned.pairs.len(),
        score,
    })
}

/// Of two readings that say the same, the one whose fields stand in the records themselves is the better.
const DETOUR: f64 = 0.01;

/// Members between records and their values, over all fields.
fn detours(matched: &Matched, key: &[Columns], rest: &Table, ws: &Table) -> usize {
    let long = |from: &From| match from {
        From::Record(path) | From::Root(path) => path.len() - 1,
        _ => 0,
    };
    let fields = matched.fields.iter().map(|found| &found.columns);
    fields.chain(key).map(|(r, w)| long(&rest.columns[*r]) + long(&ws.columns[*w])).sum()
}

struct Aligned {
    align: Align,
    time: Option<SharedTime>,
    pairs: Vec<Pair>,
    evidence: String,
    latest: Option<Latest>,
}

fn align(rest: &Table, ws: &Table, key: &[Columns], time: Option<SharedTime>) -> Option<Aligned> {
    let timed = time.and_then(|time| by_time(rest, ws, key, time));
    let mut latest = if timed.is_none() { latest(rest, ws, key) } else { None };
    let aligned = timed.unwrap_or_else(|| match &mut latest {
        Some(found) => Aligned {
            align: Align::Bucket,
            time: None,
            pairs: std::mem::take(&mut found.pairs),
            evidence: std::mem::take(&mut found.evidence),
            latest: latest.take(),
        },
        None => Aligned {
            align: Align::Arrival,
            time: None,
            pairs: pairs::by_arrival(rest, ws, key),
            evidence: "no event time that both sides carry and that moves".into(),
            latest: None,
        },
    });
    (!aligned.pairs.is_empty()).then_some(aligned)
}

/// By event time; `None` where one instant stands for changing content and yet names no bucket.
fn by_time(rest: &Table, ws: &Table, key: &[Columns], time: SharedTime) -> Option<Aligned> {
    let shared = format!("{} of {} event times that REST showed came as messages", time.matched, time.of);
    let (forming, of) = forming(rest, ws, key, time);
    // A few corrections are not yet a bar that grows.
    if forming * 5 < of || forming == 0 {
        let pairs = pairs::by_time(rest, ws, key, time);
        return Some(Aligned { align: Align::Time, time: Some(time), pairs, evidence: shared, latest: None });
    }
    pace::of_buckets(rest, time.columns.0)?;
    let evidence = format!("{shared}; {forming} of {of} changed while they had one time, as bars do");
    let pairs = pairs::by_bucket(rest, ws, key, time);
    Some(Aligned { align: Align::Bucket, time: Some(time), pairs, evidence, latest: None })
}

/// How many event times one side showed with more than one content, of how many.
fn forming(rest: &Table, ws: &Table, key: &[Columns], time: SharedTime) -> (usize, usize) {
    let mut seen: BTreeMap<(bool, Vec<String>, Timestamp), BTreeSet<String>> = BTreeMap::new();
    for (table, column, is_rest) in [(rest, time.columns.0, true), (ws, time.columns.1, false)] {
        for (i, record) in table.records.iter().enumerate() {
            let Some(instant) = record.cell(column).instant else { continue };
            let inside = (0..table.columns.len()).filter(|&c| matches!(table.columns[c], From::Record(_)));
            let content = inside.map(|c| record.cell(c).text.as_str()).collect::<Vec<_>>().join("\n");
            let name = key_of(table, i, key.iter().map(|c| if is_rest { c.0 } else { c.1 }));
            let contents = seen.entry((is_rest, name, instant)).or_default();
            if contents.len() < 2 {
                contents.insert(content);
            }
        }
    }
    let side = |rest: bool| {
        let own = seen.iter().filter(|((is_rest, ..), _)| *is_rest == rest);
        own.fold((0, 0), |(changed, of), (_, contents)| (changed + usize::from(contents.len() > 1), of + 1))
    };
    // The side that shows more of it tells.
    [side(true), side(false)]
        .into_iter()
        .max_by_key(|(changed, of)| changed * 1000 / of.max(&1))
        .unwrap_or_default()
}

/// Fields whose values differ from each other say more than those that never change.
fn score(fields: &[Match]) -> f64 {
    let one = |found: &Match| {
        let share = found.equal as f64 / found.pairs.max(1) as f64;
        let telling = if found.distinct >= 2 || found.counts_down { 1.0 } else { 0.2 };
        let named = f64::from(found.affinity) * 0.05;
        (share + if found.counts_down { 0.5 } else { 0.0 }) * (telling + named)
    };
    fields.iter().map(one).sum()
}

fn rows(rest: &Table, ws: &Table, pairs: &[Pair]) -> Option<(Rows, f64)> {
    let mut best: Option<(Rows, f64)> = None;
    for (rest_at, shown) in &rest.lists {
        for (ws_at, said) in &ws.lists {
            let Some(key) = keys::key(shown, said, false).filter(|key| !key.is_empty()) else { continue };
            let row_pairs = pairs::of_rows(pairs, shown, said, &key);
            let matched = fields::columns(shown, said, &row_pairs, &key);
            let score = score(&matched.fields);
            if score <= 0.0 || best.as_ref().is_some_and(|(_, known)| *known >= score) {
                continue;
            }
            let evidence = Evidence { rest: shown, ws: said, pairs: &row_pairs, key: &key };
            let mut names = Names::default();
            let keyed = key.iter().map(|&columns| key_field(&evidence, columns, &mut names)).collect();
            let Some(key) = keyed else { continue };
            let (fields, rest_only, ws_only) = described(&evidence, &matched, None, &mut names);
            let (rest, ws) = (rest_at.clone(), ws_at.clone());
            best = Some((Rows { rest, ws, key, fields, rest_only, ws_only, pairs: row_pairs.len() }, score));
        }
    }
    best
}

/// Names of fields, each once.
#[derive(Default)]
pub struct Names(BTreeSet<String>);

impl Names {
    pub fn take(&mut self, wanted: &str) -> String {
        let plain: String = wanted
            .chars()
            .map(|c| if c.is_control() || matches!(c, ',' | '=' | '$') { '_' } else { c })
            .collect();
        let plain = if plain.is_empty() { "field".to_string() } else { plain };
        let mut name = plain.clone();
        let mut number = 2;
        while !self.0.insert(name.clone()) {
            name = format!("{plain}_{number}");
            number += 1;
        }
        name
    }
}

/// The field's name, and each side's source where it is not that name.
fn placed(
    evidence: &Evidence<'_>,
    (r, w): Columns,
    names: &mut Names,
) -> Option<(String, [Option<String>; 2])> {
    let (rest, ws) = (&evidence.rest.columns[r], &evidence.ws.columns[w]);
    let wanted = if *rest == From::Index { ws.name() } else { rest.name() };
    // A column without a way to write it is none.
    let written = |from: &From| if *from == From::Index { Some(None) } else { from.source().map(Some) };
    let sources = [written(rest)?, written(ws)?];
    let name = names.take(wanted);
    Some((name.clone(), sources.map(|source| source.filter(|source| *source != name))))
}

fn key_field(evidence: &Evidence<'_>, columns: Columns, names: &mut Names) -> Option<Field> {
    let (name, [rest, ws]) = placed(evidence, columns, names)?;
    let (mut shown, mut said) = (BTreeSet::new(), BTreeSet::new());
    shown.extend(evidence.rest.values(columns.0).map(|cell| cell.identity()));
    said.extend(evidence.ws.values(columns.1).map(|cell| cell.identity()));
    let shared = shown.intersection(&said).count();
    let guess = Guess {
        kind: evidence.of_key(columns),
        evidence: format!(
            "REST has {} of them, the WebSocket {}, {shared} are in both",
            shown.len(),
            said.len()
        ),
        unsure: shared < shown.len() || shared < said.len(),
        ..aligning()
    };
    Some(Field { name, rest, ws, lacks: None, guess })
}

fn time_field(evidence: &Evidence<'_>, time: SharedTime, names: &mut Names) -> Option<Field> {
    let (name, [rest, ws]) = placed(evidence, time.columns, names)?;
    let naive = |table: &Table, column| {
        let zoneless = |text: &str| Timestamp::parse_rfc3339(text).is_none();
        table.values(column).any(|cell| cell.kind == Kind::Text && zoneless(&cell.text))
    };
    let naive = naive(evidence.rest, time.columns.0) || naive(evidence.ws, time.columns.1);
    let mut guess = Guess {
        kind: FieldType::Timestamp,
        evidence: format!("equal for {} of {} of REST's versions", time.matched, time.of),
        unsure: time.matched < FEW || time.matched < time.of,
        ..aligning()
    };
    if naive {
        guess.evidence += "; without an offset, read as UTC";
        guess.unsure = true;
    }
    Some(Field { name, rest, ws, lacks: None, guess })
}

/// The time of bars that REST shows without theirs.
fn bar_time(evidence: &Evidence<'_>, column: usize, names: &mut Names) -> Option<Field> {
    let from = &evidence.ws.columns[column];
    let name = names.take(from.name());
    let ws = from.source().filter(|source| *source != name);
    let evidence = "only the WebSocket says which bar it is".into();
    let guess = Guess { kind: FieldType::Timestamp, evidence, ..aligning() };
    Some(Field { name, rest: None, ws, lacks: Some("rest"), guess })
}

/// One entity without a name on either side.
fn nameless(names: &mut Names) -> Field {
    let constant = Some("'all'".to_string());
    let guess = Guess {
        kind: FieldType::String,
        evidence: "nothing names the one record that each side shows; if there can be more, name their key"
            .into(),
        unsure: true,
        ..aligning()
    };
    Field { name: names.take("feed"), rest: constant.clone(), ws: constant, lacks: None, guess }
}

/// Of a field that is there to align records, or to choose among them.
pub fn aligning() -> Guess {
    Guess {
        kind: FieldType::String,
        tolerance: None,
        round: None,
        power: 0,
        map: Vec::new(),
        values: Vec::new(),
        forming: None,
        is_static: false,
        optional: false,
        compare: true,
        evidence: String::new(),
        unsure: false,
    }
}

fn described(
    evidence: &Evidence<'_>,
    matched: &Matched,
    bucket: Option<Columns>,
    names: &mut Names,
) -> (Vec<Field>, Vec<LeftOver>, Vec<LeftOver>) {
    let field = |found: &Match| {
        let (name, [rest, ws]) = placed(evidence, found.columns, names)?;
        let mut guess = evidence.of_field(found);
        if let Some(time) = bucket
            && guess.kind == FieldType::Decimal
            && let Some(forming) = evidence.forming(found, time)
        {
            guess.forming = Some(forming);
        }
        Some(Field { name, rest, ws, lacks: None, guess })
    };
    let fields = matched.fields.iter().filter_map(field).collect();
    let left = |table: &Table, columns: &[usize]| -> Vec<LeftOver> {
        columns.iter().filter_map(|&column| left_over(table, column)).collect()
    };
    (fields, left(evidence.rest, &matched.rest_only), left(evidence.ws, &matched.ws_only))
}

fn left_over(table: &Table, column: usize) -> Option<LeftOver> {
    let from = &table.columns[column];
    let kind = match () {
        () if keys::is_time(table, column) => FieldType::Timestamp,
        () if table.all(column, |cell| cell.kind == Kind::Bool) => FieldType::Boolean,
        () if table.all(column, |cell| cell.number.is_some()) => FieldType::Decimal,
        () => FieldType::String,
    };
    let source = from.source().unwrap_or_else(|| from.name().to_string());
    let sample = table.values(column).next().map_or("null".into(), |cell| cell.text.clone());
    Some(LeftOver { source, kind, sample })
}
