//! A calendar as people write it (local wall time, a zone, exceptions by date) and its expansion to UTC.
//!
//! Owns what makes a calendar sound: ordered segments, no overlap, no edge inside a clock change. It reads no
//! TOML: `shipped` and the contract's parser fill it in, so both kinds of calendar obey the same rules.

use super::{CalendarKind, CalendarRule, Session, SessionKind};
use crate::model::Timestamp;
use crate::model::time::{civil_from_days, days_from_civil};
use chrono::{DateTime, LocalResult, NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use std::collections::{BTreeMap, BTreeSet};

/// Seconds from the local midnight that begins the session's day; negative on the day before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wall(pub i32);

/// One open stretch of a day, half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub open: Wall,
    pub close: Wall,
}

/// The segments of an ordinary day, in effect from a day on.
#[derive(Debug, Clone, PartialEq)]
pub struct Hours {
    pub from: i64,
    pub segments: Vec<Segment>,
}

/// Days are counted from 1970-01-01.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    pub zone: Tz,
    /// First and last day, both included.
    pub covered: (i64, i64),
    /// Monday first.
    pub days: [bool; 7],
    /// In order of `from`.
    pub hours: Vec<Hours>,
    pub closed: BTreeSet<i64>,
    /// Replaces the whole day.
    pub special: BTreeMap<i64, Vec<Segment>>,
}

/// What a contract changes in a calendar that it extends.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    pub add_closed: BTreeSet<i64>,
    pub add_special: BTreeMap<i64, Vec<Segment>>,
    /// Days that shall follow the template again.
    pub remove: BTreeSet<i64>,
    pub covered: Option<(i64, i64)>,
}

/// Expanding costs memory by the day; no exchange publishes further than a few years.
const MOST_YEARS: i64 = 60;
const DAY_S: i32 = 86_400;
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Reads `2026-12-24`; the error says what would be right.
pub fn parse_day(text: &str) -> Result<i64, String> {
    let bytes = text.as_bytes();
    let shape = bytes.len() == 10
        && bytes
            .iter()
            .enumerate()
            .all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() });
    let wrong = || format!("`{text}` is not a date; write it as in 2026-12-24");
    if !shape {
        return Err(wrong());
    }
    let (year, month, day) = (&text[..4], &text[5..7], &text[8..]);
    let (year, month, day) = (number(year)?, number(month)?, number(day)?);
    let days = days_from_civil(i64::from(year), month, day);
    if !(1..=12).contains(&month) || civil_from_days(days) != (i64::from(year), month, day) {
        return Err(format!("{text} does not exist in the calendar"));
    }
    Ok(days)
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

/// Writes a day as `2026-12-24`.
pub fn day_text(day: i64) -> String {
    let (year, month, day) = civil_from_days(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Reads `Mon-Fri`, `Sun-Thu` or `Mon Wed Fri`.
pub fn parse_weekdays(text: &str) -> Result<[bool; 7], String> {
    let index = |name: &str| {
        WEEKDAYS.iter().position(|day| *day == name).ok_or_else(|| {
            format!("`{name}` is not a weekday; use Mon Tue Wed Thu Fri Sat Sun, as in \"Mon-Fri\"")
        })
    };
    let mut days = [false; 7];
    for part in text.split_whitespace() {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (index(first)?, index(last)?);
        let mut day = first;
        days[day] = true;
        while day != last {
            day = (day + 1) % 7;
            days[day] = true;
        }
    }
    if days.contains(&true) { Ok(days) } else { Err("no weekday is named; write \"Mon-Fri\"".into()) }
}

impl Segment {
    /// Reads `09:30-16:00`, `-1d 17:00-16:00` (opens on the day before) or `00:00-24:00`.
    pub fn parse(text: &str) -> Result<Segment, String> {
        let wrong = || format!("`{text}` is not a segment; write \"09:30-16:00\" or \"-1d 17:00-16:00\"");
        let (before, hours) = match text.strip_prefix("-1d ") {
            Some(hours) => (DAY_S, hours),
            None => (0, text),
        };
        let (open, close) = hours.split_once('-').ok_or_else(wrong)?;
        let open = Wall(wall_seconds(open).ok_or_else(wrong)? - before);
        let close = Wall(wall_seconds(close).ok_or_else(wrong)?);
        if close <= open {
            return Err(format!(
                "`{text}` ends before it begins; for an open on the day before write \"-1d …\""
            ));
        }
        Ok(Segment { open, close })
    }
}

/// `09:30` or `09:30:15`, up to `24:00`, in seconds.
fn wall_seconds(text: &str) -> Option<i32> {
    let mut parts = text.split(':');
    let mut two = || {
        let part = parts.next()?;
        (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<i32>().ok())?
    };
    let (hour, minute) = (two()?, two()?);
    let second = if text.len() > 5 { two()? } else { 0 };
    let seconds = hour * 3600 + minute * 60 + second;
    (parts.next().is_none() && minute < 60 && second < 60 && seconds <= DAY_S).then_some(seconds)
}

impl Definition {
    /// Applies a contract's changes. Its special days win over its closed ones, both over what is extended.
    pub fn extended(mut self, changes: &Changes) -> Result<Definition, String> {
        if let Some(covered) = changes.covered {
            self.covered = covered;
        }
        for day in &changes.remove {
            let (closed, special) = (self.closed.remove(day), self.special.remove(day));
            if !closed && special.is_none() {
                return Err(format!("`remove` names {}, which is an ordinary day already", day_text(*day)));
            }
        }
        for day in &changes.add_closed {
            if changes.add_special.contains_key(day) {
                return Err(format!("{} stands in `add_closed` and in `add_special`", day_text(*day)));
            }
            if self.special.remove(day).is_none() && !self.is_weekday(*day) {
                return Err(format!("`add_closed` names {}, which is closed anyway", day_text(*day)));
            }
            if self.is_weekday(*day) {
                self.closed.insert(*day);
            }
        }
        for (day, segments) in &changes.add_special {
            self.closed.remove(day);
            self.special.insert(*day, segments.clone());
        }
        let (first, last) = self.covered;
        let mut named = changes.add_closed.iter().chain(changes.add_special.keys()).chain(&changes.remove);
        if let Some(day) = named.find(|day| !(first..=last).contains(*day)) {
            return Err(format!("{} lies outside `covered`, so it has no effect", day_text(*day)));
        }
        // What the extended calendar knows beyond a narrowed `covered` no longer counts.
        self.closed.retain(|day| (first..=last).contains(day));
        self.special.retain(|day, _| (first..=last).contains(day));
        Ok(self)
    }

    /// Expands to UTC, or says what is unsound.
    pub fn expand(&self, name: &str) -> Result<CalendarRule, String> {
        self.check()?;
        let mut sessions: Vec<Session> = Vec::new();
        for day in self.covered.0..=self.covered.1 {
            let Some(walls) = self.segments_of(day)? else { continue };
            let segments = walls.iter().map(|s| self.to_utc(day, *s)).collect::<Result<Vec<_>, _>>()?;
            let session = Session { day, segments, kind: self.kind_of(day, walls) };
            let after = sessions.last().map_or(Timestamp::MIN, Session::close);
            let ends = session.segments.iter().flat_map(|(open, close)| [*open, *close]);
            if !std::iter::once(after).chain(ends).is_sorted() {
                return Err(format!("the segments of {} overlap or stand out of order", day_text(day)));
            }
            sessions.push(session);
        }
        let covered = self.covered_utc(&sessions);
        let segments = merged(&sessions);
        let (days, zone) = (self.covered, self.zone);
        let kind = CalendarKind::Sessions { segments, covered, days, zone, sessions };
        Ok(CalendarRule { name: name.into(), kind })
    }

    fn check(&self) -> Result<(), String> {
        let (first, last) = self.covered;
        if last < first {
            return Err(format!(
                "`covered` ends ({}) before it begins ({})",
                day_text(last),
                day_text(first)
            ));
        }
        if last - first > MOST_YEARS * 366 {
            return Err(format!("`covered` is longer than {MOST_YEARS} years"));
        }
        if self.hours.iter().any(|hours| hours.segments.is_empty()) {
            return Err("`hours` without a segment; name closed days in `closed`".into());
        }
        if !self.hours.is_sorted_by(|a, b| a.from < b.from) {
            return Err("`hours` are out of order: each `from` must be later than the one before".into());
        }
        if let Some(day) = self.closed.iter().find(|day| self.special.contains_key(*day)) {
            return Err(format!("{} is both closed and special", day_text(*day)));
        }
        if let Some(day) = self.closed.iter().find(|day| !self.is_weekday(**day)) {
            return Err(format!("{} is in `closed` but no trading weekday anyway", day_text(*day)));
        }
        let mut named = self.closed.iter().chain(self.special.keys());
        match named.find(|day| !(first..=last).contains(*day)) {
            Some(day) => Err(format!("{} lies outside `covered`, so it has no effect", day_text(*day))),
            None => Ok(()),
        }
    }

    fn is_weekday(&self, day: i64) -> bool {
        // 1970-01-01 was a Thursday, and Monday is day 0 here.
        self.days[(day + 3).rem_euclid(7) as usize]
    }

    fn template_on(&self, day: i64) -> Option<&Hours> {
        self.hours[..self.hours.partition_point(|hours| hours.from <= day)].last()
    }

    /// The day's segments; `None` on a closed day.
    fn segments_of(&self, day: i64) -> Result<Option<&[Segment]>, String> {
        if let Some(segments) = self.special.get(&day) {
            return Ok((!segments.is_empty()).then_some(segments.as_slice()));
        }
        if self.closed.contains(&day) || !self.is_weekday(day) {
            return Ok(None);
        }
        match self.template_on(day) {
            Some(hours) => Ok(Some(&hours.segments)),
            None => Err(format!("no `hours` are in effect on {}", day_text(day))),
        }
    }

    fn kind_of(&self, day: i64, segments: &[Segment]) -> SessionKind {
        let ends = |segments: &[Segment]| Some((segments.first()?.open, segments.last()?.close));
        let ordinary = self.template_on(day).map_or(&[][..], |hours| &hours.segments);
        match (ends(segments), ends(ordinary)) {
            _ if !self.is_weekday(day) => SessionKind::ExtraDay,
            _ if segments == ordinary => SessionKind::Regular,
            (Some(is), Some(ever)) if is.0 == ever.0 && is.1 < ever.1 => SessionKind::EarlyClose,
            (Some(is), Some(ever)) if is.0 > ever.0 && is.1 == ever.1 => SessionKind::LateOpen,
            _ => SessionKind::OtherHours,
        }
    }

    fn to_utc(&self, day: i64, segment: Segment) -> Result<(Timestamp, Timestamp), String> {
        let edge = |wall: Wall| match self.zone.from_local_datetime(&naive(day, wall)?) {
            LocalResult::Single(instant) => Some(Timestamp(instant.timestamp_nanos_opt()?)),
            _ => None,
        };
        match (edge(segment.open), edge(segment.close)) {
            (Some(open), Some(close)) => Ok((open, close)),
            _ => Err(format!("a segment of {} begins or ends inside a clock change", day_text(day))),
        }
    }

    /// A trade date owns the time from its template's open, so a Globex evening beyond the last covered day
    /// is unknown rather than closed.
    fn covered_utc(&self, sessions: &[Session]) -> (Timestamp, Timestamp) {
        let edge = |day: i64| {
            let segments = self.template_on(day).map_or(&[][..], |hours| &hours.segments);
            let open = segments.first().map_or(Wall(0), |segment| segment.open.min(Wall(0)));
            self.earliest(day, open)
        };
        let (first, last) = (edge(self.covered.0), edge(self.covered.1 + 1));
        let open = sessions.first().map_or(first, Session::open);
        let close = sessions.last().map_or(last, Session::close);
        (first.min(open), last.max(close))
    }

    /// The first instant at or after a wall time; midnight itself may be skipped by a clock change.
    fn earliest(&self, day: i64, wall: Wall) -> Timestamp {
        let quarters = (0..16).map(|quarter| Wall(wall.0 + quarter * 900));
        let mut found = quarters.filter_map(|wall| {
            let instant = self.zone.from_local_datetime(&naive(day, wall)?).earliest()?;
            instant.timestamp_nanos_opt().map(Timestamp)
        });
        found.next().unwrap_or(Timestamp(day.saturating_mul(super::NANOS_PER_DAY)))
    }
}

fn naive(day: i64, wall: Wall) -> Option<NaiveDateTime> {
    let seconds = day.checked_mul(i64::from(DAY_S))?.checked_add(i64::from(wall.0))?;
    DateTime::from_timestamp(seconds, 0).map(|instant| instant.naive_utc())
}

/// All segments in order, those that touch made one: a week of 24-hour days has two events, not ten.
fn merged(sessions: &[Session]) -> Vec<(Timestamp, Timestamp)> {
    let mut segments: Vec<(Timestamp, Timestamp)> = Vec::new();
    for (open, close) in sessions.iter().flat_map(|session| &session.segments) {
        match segments.last_mut() {
            Some(last) if last.1 == *open => last.1 = *close,
            _ => segments.push((*open, *close)),
        }
    }
    segments
}
