//! Whether what the feeds say has the form that the contract expects: types of messages, records, fields.

use super::values::{limits, pace, races, repeats, sides, values};
use super::words::{counted, some};
use super::{Case, Complaint, Edit, Place, Weight};
use crate::contract::{Cadence, Feature, Field, Pointer, Sign, Source};
use crate::model::{Class, Event, Finding, Payload};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

impl Case<'_> {
    pub(super) fn complain(
        &self,
        out: &mut Vec<Complaint>,
        code: &'static str,
        weight: Weight,
        about: &str,
        (found, cure): (String, String),
        edits: Vec<Edit>,
    ) {
        out.push(Complaint { code, weight, about: about.into(), found, cure, edits });
    }

    pub(super) fn found(&self, feature: &Feature, class: Class) -> impl Iterator<Item = &Finding> {
        let name = feature.name.clone();
        self.findings.iter().filter(move |f| f.class == class && f.feature.as_deref() == Some(&*name))
    }

    pub(super) fn guessed(&self, feature: &Feature) -> Option<&Feature> {
        self.guess.as_ref()?.features.iter().find(|guessed| guessed.name == feature.name)
    }
}

// ---- frames ----

/// Messages that lead to no feature.
pub fn frames(case: &Case<'_>, out: &mut Vec<Complaint>) {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in case.findings.iter().filter(|f| f.class == Class::UnknownType) {
        *kinds.entry(&finding.ws).or_default() += 1;
    }
    let typeless = kinds.remove("").unwrap_or(0);
    let at = format!("/{}", case.contract.ws.type_at.0.join("/"));
    if typeless > 0 {
        let guess =
            case.guess.as_ref().map(|guess| &guess.ws.type_at).filter(|at| **at != case.contract.ws.type_at);
        let edits = guess.map(|at| Edit {
            place: Place::Feed("ws"),
            key: "type".into(),
            value: quoted(&format!("/{}", at.0.join("/"))),
        });
        let found =
            format!("{} say nothing at {at}, where `type` of [ws] looks", counted(typeless, "message"));
        let cure = match &edits {
            Some(edit) => format!("their type stands at {}", edit.value),
            None => {
                "know them by what stands in them: `has` of a feature's `ws`, or `ignore_has` of [ws]".into()
            }
        };
        let weight = if edits.is_some() { Weight::Fault } else { Weight::Hint };
        case.complain(out, "ws-no-type", weight, "WebSocket", (found, cure), edits.into_iter().collect());
    }
    let wanted: Vec<String> = case.contract.features.iter().filter_map(|f| better_type(case, f)).collect();
    let strange: Vec<(&str, usize)> =
        kinds.into_iter().filter(|(kind, _)| !wanted.iter().any(|wanted| wanted == kind)).collect();
    if strange.is_empty() {
        return;
    }
    let names: Vec<String> = strange.iter().map(|(kind, count)| format!("{kind} ({count})")).collect();
    let ignored = case.contract.ws.ignored.iter().filter_map(|sign| match sign {
        Sign::Says { at: None, text } => Some(text.as_str()),
        _ => None,
    });
    let list: Vec<String> = ignored.chain(strange.iter().map(|(kind, _)| *kind)).map(quoted).collect();
    let edit = Edit {
        place: Place::Feed("ws"),
        key: "ignore_types".into(),
        value: format!("[{}]", list.join(", ")),
    };
    let found = format!("types that the contract does not know: {}", some(&names, 6));
    let cure =
        "a type that nobody needs belongs in `ignore_types`, a sign of life in `keepalive_types`".into();
    case.complain(out, "ws-undeclared", Weight::Hint, "WebSocket", (found, cure), vec![edit]);
}

/// The type under which a feature's values come, where it is not the declared one.
fn better_type(case: &Case<'_>, feature: &Feature) -> Option<String> {
    let [Sign::Says { text: declared, at: None }] = &feature.ws.signs[..] else { return None };
    let silent = case.outcome.features.iter().any(|f| f.name == feature.name && f.measures.ws_messages == 0);
    let [Sign::Says { text, .. }] = &case.guessed(feature)?.ws.signs[..] else { return None };
    let mut taken = case.contract.features.iter().flat_map(|other| &other.ws.signs);
    let is_free = taken.all(|sign| match sign {
        Sign::Says { text: taken, .. } => taken != text,
        Sign::Has(_) => true,
    });
    (silent && text != declared && is_free).then(|| text.clone())
}

// ---- features ----

pub fn feature(case: &Case<'_>, index: usize, out: &mut Vec<Complaint>) {
    let feature = &case.contract.features[index];
    let measures = &case.outcome.features[index].measures;
    let name = &*feature.name;
    records(case, feature, out);
    if measures.ws_messages == 0 && case.outcome.connection.frames > 0 {
        never_came(case, feature, out);
    }
    if measures.rest_records == 0 && measures.rest_polls > measures.rest_errors {
        let no_list = case.found(feature, Class::RestError).next().is_some();
        if !no_list {
            let found = format!(
                "{} answers, and none has a record",
                counted((measures.rest_polls - measures.rest_errors) as usize, "poll")
            );
            let cure = "an empty list proves nothing: ask for an account, a symbol or a market that has data (`each`, `query`)";
            case.complain(out, "rest-empty", Weight::Fault, name, (found, cure.into()), Vec::new());
        }
    }
    fields(case, feature, out);
    sides(case, index, out);
    values(case, feature, out);
    repeats(case, feature, out);
    races(case, index, out);
    pace(case, index, out);
    limits(case, index, out);
}

/// Records that are not where the contract looks for them.
fn records(case: &Case<'_>, feature: &Feature, out: &mut Vec<Complaint>) {
    let lost = |class: Class| {
        let words = "no object or array where `records` points";
        case.found(feature, class).find(|f| f.detail.contains(words) || f.detail.contains("is no object"))
    };
    let sides = [
        ("rest", "REST", lost(Class::RestError), &feature.rest.records.at),
        ("ws", "the WebSocket", lost(Class::Malformed), &feature.ws.records.at),
    ];
    for (side, words, lost, at) in sides {
        if lost.is_none() {
            continue;
        }
        let guess = case.guessed(feature).map(|guess| match side {
            "rest" => guess.rest.records.at.clone(),
            _ => guess.ws.records.at.clone(),
        });
        let body = bodies(case, feature, side).into_iter().next();
        let places = body.as_ref().map(lists).unwrap_or_default();
        let better = guess.filter(|guess| guess != at).or_else(|| places.first().map(|(at, _)| at.clone()));
        let shown: Vec<String> =
            places.iter().map(|(at, count)| format!("{} ({count})", pointer(at))).collect();
        let found = format!(
            "{words} has no record at {}; lists of objects stand at {}",
            pointer(at),
            if shown.is_empty() { "no place".to_string() } else { some(&shown, 4) }
        );
        let cure = match &better {
            Some(at) => format!("records = {}", quoted(&plain(at))),
            None => "a list that may lack is declared with `absent = \"none\"`".into(),
        };
        let edits = better.map(|at| Edit {
            place: Place::Side(feature.name.to_string(), side),
            key: "records".into(),
            value: quoted(&plain(&at)),
        });
        let code = if side == "rest" { "rest-records" } else { "ws-records" };
        case.complain(out, code, Weight::Fault, &feature.name, (found, cure), edits.into_iter().collect());
    }
}

/// `/data`, or words for the whole body.
fn pointer(at: &Pointer) -> String {
    if at.0.is_empty() { "the body's root".into() } else { plain(at) }
}

fn plain(at: &Pointer) -> String {
    at.0.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect()
}

/// A few bodies of one side of a feature.
fn bodies(case: &Case<'_>, feature: &Feature, side: &str) -> Vec<Value> {
    let text = |observation: &crate::model::Observation<'_>| match &observation.event {
        Event::Rest { feature: of, payload: Payload::Json { text, .. }, .. }
            if side == "rest" && **of == *feature.name =>
        {
            Some(text.to_string())
        }
        Event::Ws { payload: Payload::Json { text, .. }, .. } if side == "ws" => Some(text.to_string()),
        _ => None,
    };
    let read = |text: String| serde_json::from_str::<Value>(&text).ok();
    let is_known = |body: &Value, sign: &Sign| match sign {
        Sign::Says { at, text } => {
            let at = at.as_ref().unwrap_or(&case.contract.ws.type_at);
            at.text(body).as_ref() == Some(text)
        }
        Sign::Has(at) => at.find(body).is_some(),
    };
    let is_own = |body: &Value| side == "rest" || feature.ws.signs.iter().any(|sign| is_known(body, sign));
    case.observations.iter().filter_map(text).filter_map(read).filter(is_own).take(3).collect()
}

/// Where lists of objects stand in a body, the longest first.
fn lists(body: &Value) -> Vec<(Pointer, usize)> {
    let mut found = Vec::new();
    look(body, &mut Vec::new(), &mut found);
    found.sort_by_key(|(at, count): &(Pointer, usize)| (std::cmp::Reverse(*count), at.0.len()));
    found
}

fn look(value: &Value, at: &mut Vec<String>, found: &mut Vec<(Pointer, usize)>) {
    match value {
        Value::Array(items) if items.first().is_some_and(Value::is_object) => {
            found.push((Pointer(at.clone()), items.len()));
        }
        Value::Object(members) if at.len() < 6 => {
            for (name, value) in members {
                at.push(name.clone());
                look(value, at, found);
                at.pop();
            }
        }
        _ => {}
    }
}

fn never_came(case: &Case<'_>, feature: &Feature, out: &mut Vec<Complaint>) {
    let signs = feature.ws.signs.iter().map(|sign| match sign {
        Sign::Says { text, .. } => format!("of type {text}"),
        Sign::Has(at) => format!("with {}", pointer(at)),
    });
    let what = format!("no message {}", signs.collect::<Vec<_>>().join(" or "));
    let mut came: BTreeMap<String, usize> = BTreeMap::new();
    for observation in case.observations {
        let Event::Ws { payload: Payload::Json { text, .. }, .. } = &observation.event else { continue };
        let Ok(body) = serde_json::from_str::<Value>(text) else { continue };
        let kind = case.contract.ws.type_at.find(&body).and_then(Value::as_str).unwrap_or("without a type");
        *came.entry(kind.to_string()).or_default() += 1;
    }
    let came: Vec<String> = came.into_iter().map(|(kind, count)| format!("{kind} ({count})")).collect();
    let found = format!("{what} came; what came: {}", some(&came, 6));
    if let Some(kind) = better_type(case, feature) {
        let edit = Edit {
            place: Place::Side(feature.name.to_string(), "ws"),
            key: "type".into(),
            value: quoted(&kind),
        };
        let cure = format!("messages of type {kind} carry what REST shows: type = {}", quoted(&kind));
        return case.complain(out, "ws-other-type", Weight::Fault, &feature.name, (found, cure), vec![edit]);
    }
    if feature.cadence == Cadence::OnChange {
        let cure = "nothing is due before something changes: watch through a change";
        return case.complain(
            out,
            "ws-nothing-yet",
            Weight::Limit,
            &feature.name,
            (found, cure.into()),
            Vec::new(),
        );
    }
    let cure = "this feature's messages are not sent, or not to this client, while others are: look at its producer, its \
                `subscribe`, and the server's log for an exception that was swallowed. A flag that is on would leave the \
                page without data";
    case.complain(out, "ws-type-missing", Weight::Fault, &feature.name, (found, cure.into()), Vec::new());
}

/// Fields that lack on a side, or are of another type.
fn fields(case: &Case<'_>, feature: &Feature, out: &mut Vec<Complaint>) {
    let mut seen: Vec<(String, bool)> = Vec::new();
    for class in [Class::MissingField, Class::NullField, Class::WrongType, Class::BadValue] {
        for finding in case.found(feature, class) {
            // REST's own faults are its warnings.
            let on_rest = finding.severity == crate::model::Severity::Warn;
            let place = (finding.field.clone(), on_rest);
            if seen.contains(&place) {
                continue;
            }
            seen.push(place);
            let count = case.found(feature, class).filter(|f| f.field == finding.field).count();
            lacks(case, feature, (class, finding, on_rest, count), out);
        }
    }
}

fn lacks(
    case: &Case<'_>,
    feature: &Feature,
    (class, finding, on_rest, count): (Class, &Finding, bool, usize),
    out: &mut Vec<Complaint>,
) {
    let (side, words) = if on_rest { ("rest", "REST") } else { ("ws", "the WebSocket") };
    let field = &finding.field;
    let declared = feature.fields.iter().find(|f| f.name == *field);
    let partner = declared.and_then(|declared| partner(case.guessed(feature)?, declared, on_rest));
    let place = || Place::Field(feature.name.to_string(), field.clone());
    let value = if on_rest { &finding.rest } else { &finding.ws };
    let shown = if value.is_empty() { String::new() } else { format!(", e.g. {}", quoted(value)) };
    let what = match class {
        Class::MissingField => "is not there",
        Class::NullField => "is null",
        Class::WrongType => "is of another type",
        _ => "has a value that is not among `values`",
    };
    let found = format!("`{field}` {what} on {words} ({count} records{shown})");
    if let Some((source, guess)) = partner {
        if class == Class::MissingField
            && let Some(source) = source
        {
            let edit = Edit { place: place(), key: side.into(), value: quoted(&source) };
            let cure = format!("{words} calls it `{source}`: {side} = {}", quoted(&source));
            return case.complain(
                out,
                "field-other-name",
                Weight::Fault,
                &feature.name,
                (found, cure),
                vec![edit],
            );
        }
        if class == Class::WrongType && declared.is_some_and(|declared| declared.kind != guess.kind) {
            let edit = Edit { place: place(), key: "type".into(), value: quoted(guess.kind.name()) };
            let cure =
                format!("by its values it is {}: type = {}", guess.kind.name(), quoted(guess.kind.name()));
            return case.complain(
                out,
                "field-other-type",
                Weight::Fault,
                &feature.name,
                (found, cure),
                vec![edit],
            );
        }
    }
    let cure = match class {
        Class::MissingField if on_rest => {
            format!("if only the WebSocket has it: rest = false; if it may lack: optional = true (`{field}`)")
        }
        Class::MissingField => format!(
            "whatever shows `{field}` would lose it after the cutover: have the server send it; if nobody needs it, ws = false"
        ),
        Class::NullField => {
            "optional = true where that is right, or `empty` where null, \"\" and absence are one".into()
        }
        Class::WrongType => "correct `type`, or name the place of the value on this side".into(),
        _ => "add it to `values`, or say with `map` what it stands for".into(),
    };
    let code = match class {
        Class::MissingField => "field-missing",
        Class::NullField => "field-null",
        Class::WrongType => "field-wrong-type",
        _ => "field-bad-value",
    };
    case.complain(out, code, Weight::Fault, &feature.name, (found, cure), Vec::new());
}

/// The guessed field with the same place on the other side, and its place on this one where that is another.
fn partner<'g>(guess: &'g Feature, declared: &Field, on_rest: bool) -> Option<(Option<String>, &'g Field)> {
    let other = |field: &'g Field| if on_rest { &field.ws } else { &field.rest };
    let own = |field: &'g Field| if on_rest { &field.rest } else { &field.ws };
    let wanted = if on_rest { &declared.ws } else { &declared.rest };
    let found = guess.fields.iter().find(|field| other(field) == wanted)?;
    let source = match own(found) {
        Source::Record(path) => Some(path.join("/")),
        Source::Root(at) => Some(format!("${}", plain(at))),
        _ => None,
    };
    let declared_own = if on_rest { &declared.rest } else { &declared.ws };
    Some((source.filter(|_| own(found) != declared_own), found))
}
