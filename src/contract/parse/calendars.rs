//! `[market]` and `[calendar.NAME]`: which hours count.
//!
//! Owns the lookup of a name among the file's own calendars and those compiled in; what makes a calendar
//! sound is decided in `calendar::definition`.

use super::reader::{At, Table, Text};
use crate::calendar::definition::{Changes, parse_day, parse_weekdays};
use crate::calendar::{self, CalendarRule, Definition, Hours, Segment};
use crate::contract::spelling;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeValue;

/// The file's own calendars by name; `None` where one is wrong, which was reported.
pub struct Calendars {
    own: BTreeMap<String, Option<(Definition, Arc<CalendarRule>)>>,
}

impl Calendars {
    pub fn read(root: &Table<'_, '_>) -> Calendars {
        let mut calendars = Calendars { own: BTreeMap::new() };
        let Some(section) = root.table("calendar") else { return calendars };
        let members = section.members();
        let tables: Vec<_> = members
            .iter()
            .filter_map(|(name, value)| Some((name, section.member_table(name, value)?)))
            .collect();
        let named: Vec<&str> = members.iter().map(|(name, _)| name.value).collect();
        let mut waiting: Vec<usize> = (0..tables.len()).collect();
        // A calendar that extends another of the file waits until that one is read.
        while !waiting.is_empty() {
            let ready =
                |i: &usize| match tables[*i].1.raw("extends").and_then(|value| value.get_ref().as_str()) {
                    Some(base) => !named.contains(&base) || calendars.own.contains_key(base),
                    None => true,
                };
            let (now, later): (Vec<usize>, Vec<usize>) = waiting.iter().copied().partition(ready);
            if now.is_empty() {
                for i in &later {
                    tables[*i]
                        .1
                        .error(tables[*i].0.at.clone(), "`extends` leads back to this calendar itself");
                    calendars.own.insert(tables[*i].0.value.into(), None);
                }
                break;
            }
            for i in now {
                let (name, table) = &tables[i];
                let found = calendars.own_calendar(name, table);
                calendars.own.insert(name.value.into(), found);
            }
            waiting = later;
        }
        calendars
    }

    /// The file's own calendars that are sound.
    pub fn rules(&self) -> Vec<Arc<CalendarRule>> {
        self.own.values().flatten().map(|(_, rule)| rule.clone()).collect()
    }

    fn own_calendar(
        &self,
        name: &At<&str>,
        table: &Table<'_, '_>,
    ) -> Option<(Definition, Arc<CalendarRule>)> {
        if calendar::names().contains(&name.value) {
            let message = format!(
                "`{0}` is a calendar that is built in; name yours otherwise, with `extends = \"{0}\"`",
                name.value
            );
            table.error(name.at.clone(), &message);
        }
        let definition = if table.has("extends") { self.extended(table) } else { Self::defined(table) };
        table.finish();
        let definition = definition?;
        match definition.expand(name.value) {
            Ok(rule) => Some((definition, Arc::new(rule))),
            Err(fault) => {
                table.error(name.at.clone(), &format!("calendar `{}`: {fault}", name.value));
                None
            }
        }
    }

    fn extended(&self, table: &Table<'_, '_>) -> Option<Definition> {
        let base = table.text("extends");
        let (add_closed, add_special) = (days(table, "add_closed"), special(table, "add_special"));
        let (remove, covered) = (days(table, "remove"), covered(table));
        let changes = Changes {
            add_closed: add_closed?,
            add_special: add_special?,
            remove: remove?,
            covered: covered?,
        };
        let base = base?;
        let definition = match self.own.get(&base.value) {
            Some(own) => own.as_ref()?.0.clone(),
            None => match calendar::shipped::definition(&base.value) {
                Some(shipped) => shipped.clone(),
                None => {
                    table.error(
                        base.at,
                        &format!("unknown calendar `{}`; {}", base.raw, self.cure(&base.value)),
                    );
                    return None;
                }
            },
        };
        match definition.extended(&changes) {
            Ok(definition) => Some(definition),
            Err(fault) => {
                table.error_at_head(&fault);
                None
            }
        }
    }

    fn defined(table: &Table<'_, '_>) -> Option<Definition> {
        let zone = zone(table, "tz");
        if !table.has("tz") {
            table.lacking::<()>("tz", "\"America/New_York\"");
        }
        let covered = covered(table);
        if !table.has("covered") {
            table.lacking::<()>("covered", "[\"2026-01-01\", \"2026-12-31\"]");
        }
        let days = match table.text("days") {
            Some(text) => {
                let days = parse_weekdays(&text.value);
                days.map_err(|fault| table.error(text.at.clone(), &text.said(fault))).ok()
            }
            None => table.lacking("days", "\"Mon-Fri\""),
        };
        let hours = hours(table);
        let (closed, special) = (closed(table), special(table, "special"));
        Some(Definition {
            zone: zone?,
            covered: covered??,
            days: days?,
            hours: hours?,
            closed: closed?,
            special: special?,
        })
    }

    /// The calendar by name, or a report with the nearest name.
    pub fn named(&self, table: &Table<'_, '_>, key: &'static str) -> Option<Arc<CalendarRule>> {
        self.known(table, table.text(key)?)
    }

    /// The same of a name that was read already.
    pub fn known(&self, table: &Table<'_, '_>, text: Text) -> Option<Arc<CalendarRule>> {
        match self.own.get(&text.value) {
            Some(own) => own.as_ref().map(|(_, rule)| rule.clone()),
            None => match calendar::find(&text.value) {
                Some(rule) => Some(Arc::new(rule)),
                None => {
                    let cure = self.cure(&text.value);
                    table.error(text.at, &format!("unknown calendar `{}`; {cure}", text.raw));
                    None
                }
            },
        }
    }

    fn cure(&self, name: &str) -> String {
        let own: Vec<&str> = self.own.keys().map(String::as_str).collect();
        let known = calendar::names().into_iter().chain(own);
        if spelling::nearest(name, known.clone()).is_empty() {
            return format!("{}, or define [calendar.NAME]", spelling::cure(name, known));
        }
        spelling::cure(name, known)
    }
}

/// `[market] calendar`, by default 24/7: taking a closed market for open can only be too strict.
pub fn market(root: &Table<'_, '_>, calendars: &Calendars) -> Arc<CalendarRule> {
    let Some(table) = root.table("market") else { return Arc::new(CalendarRule::always()) };
    let rule = calendars.named(&table, "calendar");
    table.finish();
    rule.unwrap_or_else(|| Arc::new(CalendarRule::always()))
}

/// An IANA time zone.
pub fn zone(table: &Table<'_, '_>, key: &'static str) -> Option<chrono_tz::Tz> {
    let text = table.text(key)?;
    match text.value.parse() {
        Ok(zone) => Some(zone),
        Err(_) => {
            let known = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
            let cure = match spelling::nearest(&text.value, known.clone()).is_empty() {
                true => "write it as in \"America/New_York\"".into(),
                false => spelling::cure(&text.value, known),
            };
            table.error(text.at, &format!("unknown time zone `{}`; {cure}", text.raw));
            None
        }
    }
}

/// `None` when wrong, `Some(None)` when absent.
fn covered(table: &Table<'_, '_>) -> Option<Option<(i64, i64)>> {
    let Some(value) = table.raw("covered") else { return Some(None) };
    let days = day_list(table, "covered", value)?;
    match days[..] {
        [(first, _), (last, _)] if first <= last => Some(Some((first, last))),
        _ => {
            let message = "`covered` is the first and the last day, both included, \
                           as in [\"2026-01-01\", \"2026-12-31\"]";
            table.error(value.span(), message);
            None
        }
    }
}

fn days(table: &Table<'_, '_>, key: &'static str) -> Option<BTreeSet<i64>> {
    let Some(value) = table.raw(key) else { return Some(BTreeSet::new()) };
    let mut days = BTreeSet::new();
    for (day, at) in day_list(table, key, value)? {
        if !days.insert(day) {
            table.error(at, &format!("a day stands twice in `{key}`; keep one"));
        }
    }
    Some(days)
}

/// Dates as strings or as TOML dates, each with its place.
fn day_list(
    table: &Table<'_, '_>,
    key: &str,
    value: &Spanned<DeValue<'_>>,
) -> Option<Vec<(i64, std::ops::Range<usize>)>> {
    let Some(list) = value.get_ref().as_array() else {
        table.error(value.span(), &format!("`{key}` is a list of days, as in [\"2026-12-24\"]"));
        return None;
    };
    let days: Vec<_> = list
        .iter()
        .map(|item| {
            let text = match item.get_ref() {
                DeValue::Datetime(date) => date.to_string(),
                _ => table.member_text(key, item)?.value,
            };
            match parse_day(&text) {
                Ok(day) => Some((day, item.span())),
                Err(fault) => {
                    table.error(item.span(), &fault);
                    None
                }
            }
        })
        .collect();
    days.into_iter().collect()
}

/// Closed days as a list, or a line a year: `2026 = "01-01 12-25"`.
fn closed(table: &Table<'_, '_>) -> Option<BTreeSet<i64>> {
    let by_year = matches!(table.raw("closed").map(Spanned::get_ref), Some(DeValue::Table(_)));
    if !by_year {
        return days(table, "closed");
    }
    let years = table.table("closed")?;
    let mut days = BTreeSet::new();
    for (year, value) in years.members() {
        let text = years.member_text(year.value, value)?;
        for day in text.value.split_whitespace() {
            match parse_day(&format!("{}-{day}", year.value)) {
                Ok(day) if days.insert(day) => {}
                Ok(_) => years.error(text.at.clone(), &format!("{day} stands twice in {}", year.value)),
                Err(fault) => years.error(text.at.clone(), &fault),
            }
        }
    }
    Some(days)
}

/// `{ 2026-12-24 = ["09:30-13:00"] }`
fn special(table: &Table<'_, '_>, key: &'static str) -> Option<BTreeMap<i64, Vec<Segment>>> {
    if !table.has(key) {
        table.raw(key);
        return Some(BTreeMap::new());
    }
    let inner = table.table(key)?;
    let mut special = BTreeMap::new();
    for (name, value) in inner.members() {
        let segments = segment_list(&inner, name.value, value);
        match parse_day(name.value) {
            Ok(day) => _ = special.insert(day, segments?),
            Err(fault) => inner.error(name.at, &fault),
        }
    }
    Some(special)
}

fn segment_list(table: &Table<'_, '_>, key: &str, value: &Spanned<DeValue<'_>>) -> Option<Vec<Segment>> {
    let Some(list) = value.get_ref().as_array() else {
        table.error(value.span(), &format!("`{key}` is a list of segments, as in [\"09:30-16:00\"]"));
        return None;
    };
    if list.is_empty() {
        table.error(
            value.span(),
            &format!("`{key}` has no segment; a closed day stands in `closed` or `add_closed`"),
        );
        return None;
    }
    let segments: Vec<_> = list
        .iter()
        .map(|item| {
            let text = table.member_text(key, item)?;
            Segment::parse(&text.value).map_err(|fault| table.error(text.at, &fault)).ok()
        })
        .collect();
    segments.into_iter().collect()
}

fn hours(table: &Table<'_, '_>) -> Option<Vec<Hours>> {
    let mut hours = Vec::new();
    if !table.has("hours") {
        table.raw("hours");
        table.lacks(
            "hours",
            "`hours` is lacking; \
             add `hours = [{ from = \"2020-01-01\", segments = [\"09:30-16:00\"] }]`"
                .into(),
        );
        return None;
    }
    for entry in table.tables("hours") {
        let from = match entry.text("from") {
            Some(text) => parse_day(&text.value).map_err(|fault| entry.error(text.at, &fault)).ok(),
            None => entry.lacking("from", "\"2020-01-01\""),
        };
        let segments = match entry.raw("segments") {
            Some(value) => segment_list(&entry, "segments", value),
            None => entry.lacking("segments", "[\"09:30-16:00\"]"),
        };
        entry.finish();
        hours.push(Hours { from: from?, segments: segments? });
    }
    Some(hours)
}
