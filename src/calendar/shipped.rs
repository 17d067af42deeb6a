//! The calendars compiled in, by ISO MIC or alias.
//!
//! Owns the reading of `calendars.toml`, whose facts were compared session by session with the lists in
//! `fixtures/calendar/`. The file is part of the program: it is right, or the tests fail.

use super::definition::{Definition, Hours, Segment, parse_day, parse_weekdays};
use super::{CalendarKind, CalendarRule};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use toml::{Table, Value};

const DATA: &str = include_str!("calendars.toml");

/// What `24/7` may be called; the first is its name.
pub const ALWAYS: [&str; 2] = ["24/7", "24x7"];

/// One calendar of the data file.
#[derive(Debug, Clone, PartialEq)]
pub struct Shipped {
    pub name: String,
    pub aliases: Vec<String>,
    pub definition: Definition,
}

/// All calendars of the data file, by name.
pub fn shipped() -> &'static [Shipped] {
    static SHIPPED: OnceLock<Vec<Shipped>> = OnceLock::new();
    SHIPPED.get_or_init(|| read(DATA).expect("calendars.toml is part of the program and tested"))
}

/// The day on which the data file was made.
pub fn generated() -> &'static str {
    let line = DATA.lines().find_map(|line| line.strip_prefix("generated = "));
    line.map_or("", |day| day.trim_matches('"'))
}

/// The calendar by that name or alias, expanded; the rule keeps the name it was asked by.
pub fn find(name: &str) -> Option<CalendarRule> {
    if ALWAYS.contains(&name) {
        return Some(CalendarRule { name: name.into(), kind: CalendarKind::Always });
    }
    // Expansion was tested for each calendar of the file.
    definition(name)?.expand(name).ok()
}

/// The definition behind a name or alias; `24/7` has none.
pub fn definition(name: &str) -> Option<&'static Definition> {
    let named =
        |shipped: &&Shipped| shipped.name == name || shipped.aliases.iter().any(|alias| alias == name);
    shipped().iter().find(named).map(|shipped| &shipped.definition)
}

/// Every name and alias that `find` knows.
pub fn names() -> Vec<&'static str> {
    let named = |shipped: &'static Shipped| {
        std::iter::once(shipped.name.as_str()).chain(shipped.aliases.iter().map(String::as_str))
    };
    std::iter::once(ALWAYS[0]).chain(shipped().iter().flat_map(named)).collect()
}

fn read(data: &str) -> Result<Vec<Shipped>, String> {
    let file: Table = data.parse().map_err(|error: toml::de::Error| error.to_string())?;
    let calendars = file.get("calendar").and_then(Value::as_table).ok_or("no calendar")?;
    calendars
        .iter()
        .map(|(name, value)| {
            let table = value.as_table().ok_or("not a table")?;
            let aliases = texts(table.get("aliases")).map(String::from).collect();
            let definition = definition_of(table).map_err(|error| format!("{name}: {error}"))?;
            Ok(Shipped { name: name.clone(), aliases, definition })
        })
        .collect()
}

fn definition_of(table: &Table) -> Result<Definition, String> {
    let text = |key: &str| table.get(key).and_then(Value::as_str).ok_or_else(|| format!("no `{key}`"));
    let covered = texts(table.get("covered")).map(parse_day).collect::<Result<Vec<_>, _>>()?;
    let [first, last] = covered[..] else { return Err("`covered` needs two days".into()) };
    Ok(Definition {
        zone: text("tz")?.parse().map_err(|error| format!("{error:?}"))?,
        covered: (first, last),
        days: parse_weekdays(text("days")?)?,
        hours: hours_of(table)?,
        closed: closed_of(table)?,
        special: special_of(table)?,
    })
}

fn hours_of(table: &Table) -> Result<Vec<Hours>, String> {
    let list = table.get("hours").and_then(Value::as_array).ok_or("no `hours`")?;
    list.iter()
        .map(|hours| {
            let from = hours.get("from").and_then(Value::as_str).ok_or("`hours` without `from`")?;
            Ok(Hours { from: parse_day(from)?, segments: segments(hours.get("segments"))? })
        })
        .collect()
}

/// One line a year: `2026 = "01-01 01-19 …"`.
fn closed_of(table: &Table) -> Result<BTreeSet<i64>, String> {
    let years = table.get("closed").and_then(Value::as_table).into_iter().flatten();
    years
        .flat_map(|(year, days)| {
            days.as_str().unwrap_or_default().split(' ').map(move |day| parse_day(&format!("{year}-{day}")))
        })
        .collect()
}

fn special_of(table: &Table) -> Result<BTreeMap<i64, Vec<Segment>>, String> {
    let days = table.get("special").and_then(Value::as_table).into_iter().flatten();
    days.map(|(day, value)| Ok((parse_day(day)?, segments(Some(value))?))).collect()
}

fn segments(value: Option<&Value>) -> Result<Vec<Segment>, String> {
    texts(value).map(Segment::parse).collect()
}

fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}
