//! Two bodies, or two recordings, laid side by side: which records stand in both, and where those differ by the
//! contract's comparing. Must not judge a run: nothing is aligned in time here, and nothing is waited for.

use super::compare::{Difference, Extent, Instants, Remarks, Rules, Side, compare, inspect, key_text, label};
use super::content::Content;
use super::endpoint::Endpoint;
use super::extract::{Extraction, extract};
use super::frame::route;
use super::plan::Plan;
use crate::contract::{Align, Contract};
use crate::model::json::Kind;
use crate::model::tree::Tree;
use crate::model::value::{Number, parse_instant};
use crate::model::{Class, Event, Observation, Payload, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What tells a record from the others of its bodies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub feature: Arc<str>,
    /// `REST` or `WebSocket` where both are compared, each with its like; else empty.
    pub side: &'static str,
    pub stream: String,
    /// Where records of one stream are told apart by it.
    pub event_time: Option<Timestamp>,
}

/// The records of a body or of a recording, each place's last one.
#[derive(Debug, Default)]
pub struct Items {
    found: BTreeMap<Place, Item>,
    /// Records of a body that share their place with another one.
    pub repeated: u64,
}

#[derive(Debug)]
struct Item {
    side: Side,
    feature: usize,
    at: Timestamp,
    event_time: Option<Timestamp>,
    content: Content,
}

/// One place, where the two differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Contrast {
    pub place: Place,
    /// As received; empty where there is none.
    pub a: String,
    pub b: String,
    /// Of records in both; REST's part is A's. Empty where one stands alone.
    pub differences: Vec<Difference>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Contrasted {
    pub contrasts: Vec<Contrast>,
    pub equal: u64,
    /// Versions before or after all that the other recording has of their stream.
    pub outside: u64,
}

impl Contrasted {
    pub fn is_equal(&self) -> bool {
        self.contrasts.is_empty()
    }
}

/// Reads records by a contract.
#[derive(Debug)]
pub struct Contraster {
    contract: Arc<Contract>,
    plan: Plan,
    rules: Vec<Rules>,
    extraction: Extraction,
}

impl Contraster {
    pub fn new(contract: Arc<Contract>) -> Contraster {
        Contraster {
            plan: Plan::compile(&contract),
            rules: contract.features.iter().map(|feature| Rules::new(&contract, feature)).collect(),
            contract,
            extraction: Extraction::default(),
        }
    }

    /// The records of one body; an error says why it has none.
    pub fn body(&mut self, feature: usize, side: Side, text: &str) -> Result<Items, String> {
        let mut items = Items::default();
        let bars = self.contract.features[feature].align == Align::Bucket;
        let read = Read { feature, side, named: "", timed: bars, at: Timestamp(0), params: "" };
        let seen = self.read(&read, text, &mut items)?;
        items.repeated = seen - items.found.len() as u64;
        Ok(items)
    }

    /// Adds what an observation of a recording shows; what it cannot be read for shows nothing.
    pub fn observe(&mut self, observation: &Observation<'_>, items: &mut Items) {
        let at = observation.at;
        let timed = |feature: usize| self.contract.features[feature].align != Align::Arrival;
        match &observation.event {
            Event::Rest { feature, params, payload: Payload::Json { text, .. }, .. } => {
                let Some(feature) = self.plan.feature(feature) else { return };
                let timed = timed(feature);
                let read = Read { feature, side: Side::Rest, named: "REST", timed, at, params };
                // A body without records is the judge's concern.
                let _ = self.read(&read, text, items);
            }
            Event::Ws { payload: Payload::Json { text, .. }, .. } => {
                let Ok(routed) = route(&self.plan, text) else { return };
                for feature in self.plan.leads(&routed).to_vec() {
                    let timed = self.contract.features[feature].align != Align::Arrival;
                    let read = Read { feature, side: Side::Ws, named: "WebSocket", timed, at, params: "" };
                    let _ = self.read(&read, text, items);
                }
            }
            _ => {}
        }
    }

    /// How many records were read.
    fn read(&mut self, read: &Read<'_>, text: &str, items: &mut Items) -> Result<u64, String> {
        let feature = &self.contract.features[read.feature];
        let plan = match read.side {
            Side::Rest => &self.plan.features[read.feature].rest,
            Side::Ws => &self.plan.features[read.feature].ws,
        };
        let params = Endpoint::new(read.params).params;
        self.extraction.clear();
        let body = extract(plan, text, &mut self.extraction)
            .map_err(|error| format!("it is no JSON from byte {} on", error.offset))?;
        if let Some(fault) = body.fault {
            return Err(fault.describe());
        }
        let rules = &self.rules[read.feature];
        let column = |name: &String| feature.fields.iter().position(|field| field.name == *name);
        let time = feature.time.as_ref().and_then(column);
        let mut seen = 0;
        for record in body.records {
            let content = Content::of(plan, &self.extraction, record, text, &params);
            if !content.in_scope(plan) {
                continue;
            }
            let key = feature.key.iter().filter_map(column);
            let stream = label(key.map(|column| {
                let rule = &rules.columns[column];
                (rule.name.as_str(), key_text(rule, content.raw(column)))
            }));
            let event_time =
                time.filter(|&column| matches!(content.kind(column), Kind::String | Kind::Number));
            let event_time = event_time.and_then(|column| {
                parse_instant(&content.scalar(column), feature.fields[column].zone, read.at)
            });
            let place = Place {
                feature: feature.name.clone(),
                side: read.named,
                stream,
                event_time: event_time.filter(|_| read.timed),
            };
            let item = Item { side: read.side, feature: read.feature, at: read.at, event_time, content };
            items.found.insert(place, item);
            seen += 1;
        }
        Ok(seen)
    }

    /// Where A and B differ, in the order of places.
    pub fn contrast(&self, a: &Items, b: &Items) -> Contrasted {
        let mut all = Contrasted::default();
        let mut places: Vec<&Place> = a.found.keys().chain(b.found.keys()).collect();
        places.sort();
        places.dedup();
        for place in places {
            let raw =
                |item: Option<&Item>| item.map(|item| item.content.record().to_string()).unwrap_or_default();
            let (left, right) = (a.found.get(place), b.found.get(place));
            let differences = match (left, right) {
                (Some(left), Some(right)) => self.differences(left, right),
                (Some(_), None) if b.is_beyond(place) => {
                    all.outside += 1;
                    continue;
                }
                (None, Some(_)) if a.is_beyond(place) => {
                    all.outside += 1;
                    continue;
                }
                _ => Vec::new(),
            };
            if left.is_some() && right.is_some() && differences.is_empty() {
                all.equal += 1;
                continue;
            }
            all.contrasts.push(Contrast { place: place.clone(), a: raw(left), b: raw(right), differences });
        }
        all
    }

    fn differences(&self, a: &Item, b: &Item) -> Vec<Difference> {
        let rules = &self.rules[a.feature];
        let at = Instants { rest_sent: a.at, rest_received: a.at, ws: b.at };
        let mut found = compare(rules, &a.content, &b.content, at, Extent::Whole, &mut Remarks::default());
        // What cannot be read is not compared, and must not look equal.
        for (item, is_a) in [(a, true), (b, false)] {
            for issue in inspect(rules, &item.content, item.side, item.at, None) {
                let known = found.iter().any(|d| d.row == issue.row && d.field == issue.field);
                let other = inspect(
                    rules,
                    if is_a { &b.content } else { &a.content },
                    if is_a { b.side } else { a.side },
                    item.at,
                    None,
                );
                if known || other.contains(&issue) {
                    continue;
                }
                let shown = |own: bool| if own { issue.value.clone() } else { String::new() };
                found.push(Difference {
                    class: issue.class,
                    row: issue.row.clone(),
                    field: issue.field.clone(),
                    rest: shown(is_a),
                    ws: shown(!is_a),
                    delta: format!("in {}", if is_a { "A" } else { "B" }),
                    rests_own: false,
                });
            }
        }
        if let (Some(x), Some(y)) = (a.event_time, b.event_time)
            && (y - x).abs() > self.contract.features[a.feature].time_tolerance
        {
            let field = self.contract.features[a.feature].time.clone().unwrap_or_default();
            found.push(Difference {
                class: Class::ValueMismatch,
                row: String::new(),
                field,
                rest: x.to_string(),
                ws: y.to_string(),
                delta: (y - x).to_string(),
                rests_own: false,
            });
        }
        found
    }
}

struct Read<'r> {
    feature: usize,
    side: Side,
    named: &'static str,
    /// Records of one stream are told apart by their event time.
    timed: bool,
    at: Timestamp,
    params: &'r str,
}

impl Items {
    /// Whether the place lies before or after all that this recording has of its stream, and it has some.
    fn is_beyond(&self, place: &Place) -> bool {
        let Some(time) = place.event_time else { return false };
        let from = Place { event_time: Some(Timestamp::MIN), ..place.clone() };
        let to = Place { event_time: Some(Timestamp::MAX), ..place.clone() };
        let mut times = self.found.range(from..=to).filter_map(|(place, _)| place.event_time);
        let first = times.next();
        let last = times.next_back().or(first);
        !place.side.is_empty() && first.zip(last).is_some_and(|(first, last)| time < first || time > last)
    }

    pub fn len(&self) -> usize {
        self.found.len()
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

/// Where two bodies differ that no contract describes: the path, and both values. Members by name, elements by
/// position, numbers by value.
pub fn trees(a: &Tree, b: &Tree) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    walk(a, b, &mut String::new(), &mut found);
    found
}

fn walk(a: &Tree, b: &Tree, path: &mut String, found: &mut Vec<(String, String, String)>) {
    let mut inside = |name: &str, x: Option<&Tree>, y: Option<&Tree>, path: &mut String| {
        let length = path.len();
        path.push('/');
        path.push_str(&name.replace('~', "~0").replace('/', "~1"));
        match (x, y) {
            (Some(x), Some(y)) => walk(x, y, path, found),
            (x, y) => found.push((path.clone(), shown(x), shown(y))),
        }
        path.truncate(length);
    };
    match (a, b) {
        (Tree::Object(x), Tree::Object(y)) => {
            for (name, value) in x {
                inside(name, Some(value), b.member(name), path);
            }
            for (name, value) in y.iter().filter(|(name, _)| a.member(name).is_none()) {
                inside(name, None, Some(value), path);
            }
        }
        (Tree::List(x), Tree::List(y)) => {
            for place in 0..x.len().max(y.len()) {
                inside(&place.to_string(), x.get(place), y.get(place), path);
            }
        }
        (Tree::Number(x), Tree::Number(y)) if x == y || same_number(x, y) => {}
        _ if a == b => {}
        _ => found.push((path.clone(), shown(Some(a)), shown(Some(b)))),
    }
}

fn same_number(a: &str, b: &str) -> bool {
    Number::parse(a).is_some_and(|number| Some(number) == Number::parse(b))
}

/// A scalar as JSON writes it; a structure by its size.
fn shown(tree: Option<&Tree>) -> String {
    match tree {
        None => String::new(),
        Some(Tree::Null) => "null".into(),
        Some(Tree::Bool(flag)) => flag.to_string(),
        Some(Tree::Number(text)) => text.clone(),
        Some(Tree::Text(text)) => serde_json::Value::from(text.as_str()).to_string(),
        Some(Tree::List(items)) => format!("[{} elements]", items.len()),
        Some(Tree::Object(members)) => format!("{{{} members}}", members.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{BUILTIN, parse};

    fn contraster() -> Contraster {
        Contraster::new(Arc::new(parse("built-in", BUILTIN, &|_| None, false).unwrap()))
    }

    fn check(rest: &str, ws: &str, expect: &[&str]) {
        let mut contraster = contraster();
        let a = contraster.body(1, Side::Rest, rest).unwrap();
        let b = contraster.body(1, Side::Ws, ws).unwrap();
        let contrasted = contraster.contrast(&a, &b);
        let mut lines = Vec::new();
        for Contrast { place, differences, a, b } in &contrasted.contrasts {
            if differences.is_empty() {
                lines.push(format!("{} only in {}", place.stream, if b.is_empty() { "A" } else { "B" }));
            }
            assert!(!a.is_empty() || !b.is_empty());
            let line =
                |d: &Difference| format!("{} {} {} {}|{} {}", d.class, d.row, d.field, d.rest, d.ws, d.delta);
            lines.extend(differences.iter().map(line));
        }
        assert_eq!(lines, expect);
    }

    const REST: &str = r#"{"accounts":[{"account_id":1,"timestamp":"2025-12-19T14:30:00Z","positions":[{"symbol":"A","quantity":2,"entry_price":1.00,"current_price":1.50,"pnl":1.00}]}]}"#;

    fn ws(from: &str, to: &str) -> String {
        let record = REST.trim_start_matches(r#"{"accounts":["#).trim_end_matches("]}");
        let record = format!("{record}]}}]}}").replace("}]}]}", "}]}");
        format!(r#"{{"type":"positions","data":{record}}}"#).replace(from, to)
    }

    #[test]
    fn records_differ_by_the_contracts_comparing() {
        check(REST, &ws("", ""), &[]);
        check(REST, &ws("1.50", "1.504"), &[]);
        check(REST, &ws("1.50", "1.506"), &["value_mismatch symbol=A current_price 1.50|1.506 +0.006"]);
        check(
            REST,
            &ws(r#""symbol":"A""#, r#""symbol":"B""#),
            &["missing_row symbol=A  present| ", "extra_row symbol=B  |present "],
        );
        check(
            REST,
            &ws(r#""account_id":1"#, r#""account_id":"2""#),
            &["account_id=1 only in A", "account_id=2 only in B"],
        );
        check(
            REST,
            &ws("14:30:00", "14:30:10"),
            &["value_mismatch  timestamp 2025-12-19T14:30:00Z|2025-12-19T14:30:10Z 10s"],
        );
    }

    #[test]
    fn what_cannot_be_read_is_not_equal() {
        check(REST, &ws(r#""pnl":1.00"#, r#""profit":1.00"#), &["missing_field symbol=A pnl | in B"]);
        check(REST, &ws(r#""pnl":1.00"#, r#""pnl":"much""#), &["wrong_type symbol=A pnl |much in B"]);
        let mut contraster = contraster();
        assert!(contraster.body(0, Side::Rest, "{}").unwrap_err().contains("where `records` points"));
        assert!(contraster.body(0, Side::Rest, "{").unwrap_err().contains("no JSON"));
        let twice = r#"{"accounts":[{"account_id":1},{"account_id":1}]}"#;
        assert_eq!(contraster.body(0, Side::Rest, twice).unwrap().repeated, 1);
    }

    #[test]
    fn without_a_contract_values_are_what_counts() {
        let tree = |text: &str| Tree::read(text).unwrap();
        let found = trees(
            &tree(r#"{"a":1.50,"b":[1,2],"c":null,"d":"x"}"#),
            &tree(r#"{"d":"x","b":[1,3,4],"a":1.5,"e":{}}"#),
        );
        let lines: Vec<String> = found.iter().map(|(path, a, b)| format!("{path} {a}|{b}")).collect();
        assert_eq!(lines, ["/b/1 2|3", "/b/2 |4", "/c null|", "/e |{0 members}"]);
        assert_eq!(trees(&tree("[1e2]"), &tree("[100]")), []);
    }
}
