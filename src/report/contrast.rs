//! Owns how two bodies or recordings are shown side by side: what differs by the contract, and both records. Must
//! not compare.

use super::diff;
use super::terminal::{Page, Style, clean, shortened};
use super::text::Layout;
use crate::engine::contrast::{Contrast, Contrasted};
use crate::model::Class;
use serde_json::{Value, json};

/// More than a person reads; all of them are in JSON.
const MOST_SHOWN: usize = 20;

/// What was compared, by the names that were typed.
#[derive(Debug, Clone, Copy)]
pub struct Named<'n> {
    pub a: &'n str,
    pub b: &'n str,
    /// Anything a reader must know, as that a record stands twice.
    pub notes: &'n [String],
}

pub fn to_text(named: Named<'_>, contrasted: &Contrasted, layout: Layout) -> String {
    let mut page = Page::new(layout.colour);
    for contrast in contrasted.contrasts.iter().take(MOST_SHOWN) {
        one(&mut page, named, contrast, layout.width);
    }
    let more = contrasted.contrasts.len().saturating_sub(MOST_SHOWN);
    if more > 0 {
        page.plain(&format!("and {more} more records; --format json has them all")).end().end();
    }
    for note in named.notes {
        page.put(Style::Unsure, &clean(note)).end();
    }
    let (only_a, only_b, differ) = counts(contrasted);
    let (style, verdict) = match contrasted.is_equal() {
        true => (Style::Good, "equal"),
        false => (Style::Bad, "different"),
    };
    page.put(style, verdict);
    page.plain(&format!(
        ": {} records equal, {differ} differ, {only_a} only in A, {only_b} only in B",
        contrasted.equal
    ));
    if contrasted.outside > 0 {
        page.plain(&format!(", {} from outside the other's time", contrasted.outside));
    }
    page.end();
    page.finish()
}

fn counts(contrasted: &Contrasted) -> (usize, usize, usize) {
    let count = |is_so: &dyn Fn(&Contrast) -> bool| contrasted.contrasts.iter().filter(|c| is_so(c)).count();
    (count(&|c| c.b.is_empty()), count(&|c| c.a.is_empty()), count(&|c| !c.a.is_empty() && !c.b.is_empty()))
}

fn one(page: &mut Page, named: Named<'_>, contrast: &Contrast, width: usize) {
    let place = &contrast.place;
    let time = place.event_time.map(|time| format!(" of {time}")).unwrap_or_default();
    let side = if place.side.is_empty() { String::new() } else { format!("{} ", place.side) };
    let head = format!("{side}{} {}{time}", place.feature, place.stream);
    page.put(Style::Strong, &clean(&head));
    let alone = match (contrast.a.is_empty(), contrast.b.is_empty()) {
        (_, true) => Some("A"),
        (true, _) => Some("B"),
        _ => None,
    };
    if let Some(alone) = alone {
        page.plain(&format!(": only in {alone}")).end();
    } else {
        page.end();
    }
    for difference in &contrast.differences {
        let row = if difference.row.is_empty() { String::new() } else { format!("{} ", difference.row) };
        let values = match difference.class {
            Class::MissingRow => "only in A".into(),
            Class::ExtraRow => "only in B".into(),
            Class::ValueMismatch => format!("{} / {} ({})", difference.rest, difference.ws, difference.delta),
            class => format!("{class} {} {}{}", difference.delta, difference.rest, difference.ws),
        };
        let line = format!("  {row}{}: {values}", difference.field);
        page.put(Style::Bad, &shortened(&clean(&line), width)).end();
    }
    for line in diff::sides([named.a, named.b], &contrast.a, &contrast.b) {
        let style = match line.side {
            diff::Side::Header => Style::Faint,
            diff::Side::Rest => Style::Bad,
            diff::Side::Ws => Style::Good,
            diff::Side::Both => Style::Plain,
        };
        page.put(style, &shortened(&clean(&line.text), width)).end();
    }
    page.end();
}

pub fn to_json(named: Named<'_>, contrasted: &Contrasted) -> String {
    let (only_a, only_b, differ) = counts(contrasted);
    let records: Vec<Value> = contrasted.contrasts.iter().map(record).collect();
    let all = json!({
        "a": named.a,
        "b": named.b,
        "equal": contrasted.is_equal(),
        "records_equal": contrasted.equal,
        "records_differ": differ,
        "only_in_a": only_a,
        "only_in_b": only_b,
        "outside": contrasted.outside,
        "notes": named.notes,
        "records": records,
    });
    format!("{all:#}\n")
}

fn record(contrast: &Contrast) -> Value {
    let raw = |text: &str| -> Value { if text.is_empty() { Value::Null } else { text.into() } };
    let differences: Vec<Value> = contrast
        .differences
        .iter()
        .map(|d| json!({"class": d.class.name(), "row": d.row, "field": d.field, "a": d.rest, "b": d.ws, "delta": d.delta}))
        .collect();
    json!({
        "feature": contrast.place.feature.as_ref(),
        "side": contrast.place.side,
        "stream": contrast.place.stream,
        "event_time": contrast.place.event_time.map(|time| time.to_string()),
        "a": raw(&contrast.a),
        "b": raw(&contrast.b),
        "differences": differences,
    })
}

/// Where two bodies differ that no contract describes.
pub fn trees_to_text(
    named: Named<'_>,
    a: &str,
    b: &str,
    found: &[(String, String, String)],
    layout: Layout,
) -> String {
    let mut page = Page::new(layout.colour);
    for (path, x, y) in found.iter().take(MOST_SHOWN) {
        let shown = |text: &str| if text.is_empty() { "nothing".to_string() } else { text.to_string() };
        let line =
            format!("  {}: {} / {}", if path.is_empty() { "the whole" } else { path }, shown(x), shown(y));
        page.put(Style::Bad, &shortened(&clean(&line), layout.width)).end();
    }
    if !found.is_empty() {
        for line in diff::sides([named.a, named.b], a, b) {
            page.plain(&shortened(&clean(&line.text), layout.width)).end();
        }
        page.end();
    }
    match found.len() {
        0 => page.put(Style::Good, "equal").plain(": every value is the same").end(),
        count => page.put(Style::Bad, "different").plain(&format!(" in {count} places")).end(),
    };
    page.finish()
}

pub fn trees_to_json(named: Named<'_>, found: &[(String, String, String)]) -> String {
    let differences: Vec<Value> =
        found.iter().map(|(path, a, b)| json!({"path": path, "a": a, "b": b})).collect();
    let all = json!({"a": named.a, "b": named.b, "equal": found.is_empty(), "differences": differences});
    format!("{all:#}\n")
}
