//! Sessions and calendars as text, CSV and JSON: what `cutover calendar` prints.
//!
//! Owns the formats; the sessions come from a `CalendarRule`, and where a calendar knows nothing there is
//! nothing to print. Local time appears in the text format alone.

use super::definition::day_text;
use super::{CalendarKind, CalendarRule, NANOS_PER_DAY, Session, SessionKind, shipped};
use crate::model::Timestamp;
use chrono::{DateTime, NaiveDateTime};
use chrono_tz::{IANA_TZDB_VERSION, Tz};
use serde_json::{Value, json};

/// Sessions of one calendar, trade dates `days.0` to `days.1`.
#[derive(Debug, Clone, Copy)]
pub struct Listing<'c> {
    pub rule: &'c CalendarRule,
    pub days: (i64, i64),
    pub sessions: &'c [Session],
}

impl Listing<'_> {
    /// `session,open_utc,close_utc,break_start_utc,break_end_utc`, half-open; empty means no break, and a
    /// session with several breaks has a row for each.
    pub fn to_csv(&self) -> String {
        let mut csv = String::from("session,open_utc,close_utc,break_start_utc,break_end_utc\n");
        for session in self.sessions {
            let breaks: Vec<String> = match session.segments.len() {
                1 => vec![",".into()],
                _ => session.segments.windows(2).map(|two| format!("{},{}", two[0].1, two[1].0)).collect(),
            };
            for pause in breaks {
                let (open, close) = (session.open(), session.close());
                csv.push_str(&format!("{},{open},{close},{pause}\n", day_text(session.day)));
            }
        }
        csv
    }

    pub fn to_json(&self) -> String {
        let sessions: Vec<Value> = self
            .sessions
            .iter()
            .map(|session| {
                let segment = |(open, close): &(Timestamp, Timestamp)| json!({"open": open.to_string(), "close": close.to_string()});
                json!({
                    "session": day_text(session.day),
                    "kind": session.kind.name(),
                    "segments": session.segments.iter().map(segment).collect::<Vec<_>>(),
                })
            })
            .collect();
        let mut json = described(self.rule);
        json["from"] = day_text(self.days.0).into();
        json["to"] = day_text(self.days.1).into();
        json["sessions"] = sessions.into();
        lines(&json)
    }

    /// A line a session: trade date, weekday, hours there and in UTC, and what is not as ever.
    pub fn to_text(&self) -> String {
        let zone = zone(self.rule);
        let rows: Vec<[String; 4]> = self
            .sessions
            .iter()
            .map(|session| {
                let kind = if session.kind == SessionKind::Regular { "" } else { session.kind.name() };
                [
                    format!("{} {}", day_text(session.day), weekday(session.day)),
                    hours(session, zone),
                    hours(session, Tz::UTC),
                    kind.into(),
                ]
            })
            .collect();
        let (first, last) = (day_text(self.days.0), day_text(self.days.1));
        let count = match rows.len() {
            1 => "1 session".into(),
            n => format!("{n} sessions"),
        };
        let head = format!("{}, {first} to {last}: {count}\n\n", self.rule.name);
        head + &columns(["session", zone.name(), "UTC", ""], &rows)
    }
}

/// What is known, and to when: the calendars compiled in, and a contract's own.
pub fn known_to_text(own: &[&CalendarRule]) -> String {
    let mut rows = vec![[
        shipped::ALWAYS[0].into(),
        "always".into(),
        "always".into(),
        "UTC".into(),
        shipped::ALWAYS[1..].join(" "),
    ]];
    for shipped in shipped::shipped() {
        let (first, last) = shipped.definition.covered;
        let zone = shipped.definition.zone.name().into();
        rows.push([shipped.name.clone(), day_text(first), day_text(last), zone, shipped.aliases.join(" ")]);
    }
    for rule in own {
        let (from, until) = known_days(rule);
        rows.push([rule.name.clone(), from, until, zone(rule).name().into(), "of the contract".into()]);
    }
    let head = ["calendar", "known from", "until", "zone", "also called"];
    columns(head, &rows)
        + &format!("\ndata of {}, time zones of tzdb {IANA_TZDB_VERSION}\n", shipped::generated())
}

/// The same as one JSON document.
pub fn known_to_json(own: &[&CalendarRule]) -> String {
    let mut calendars = vec![
        json!({"calendar": shipped::ALWAYS[0], "aliases": &shipped::ALWAYS[1..], "zone": "UTC", "known": null}),
    ];
    for shipped in shipped::shipped() {
        let (first, last) = shipped.definition.covered;
        calendars.push(json!({
            "calendar": shipped.name,
            "aliases": shipped.aliases,
            "zone": shipped.definition.zone.name(),
            "known": [day_text(first), day_text(last)],
        }));
    }
    calendars.extend(own.iter().map(|rule| {
        let mut json = described(rule);
        json["of_contract"] = true.into();
        json
    }));
    lines(&json!({
        "generated": shipped::generated(),
        "tzdb": IANA_TZDB_VERSION,
        "calendars": calendars,
    }))
}

/// The same as `calendar,known_from,known_until,zone`.
pub fn known_to_csv(own: &[&CalendarRule]) -> String {
    let mut csv = String::from("calendar,known_from,known_until,zone\n");
    csv.push_str(&format!("{},,,UTC\n", shipped::ALWAYS[0]));
    for shipped in shipped::shipped() {
        let (first, last) = shipped.definition.covered;
        let zone = shipped.definition.zone.name();
        csv.push_str(&format!("{},{},{},{zone}\n", shipped.name, day_text(first), day_text(last)));
    }
    for rule in own {
        let (from, until) = known_days(rule);
        csv.push_str(&format!("{},{from},{until},{}\n", rule.name, zone(rule).name()));
    }
    csv
}

fn described(rule: &CalendarRule) -> Value {
    let known = match &rule.kind {
        CalendarKind::Always => Value::Null,
        CalendarKind::Sessions { days, .. } => json!([day_text(days.0), day_text(days.1)]),
    };
    json!({ "calendar": rule.name, "zone": zone(rule).name(), "known": known })
}

fn known_days(rule: &CalendarRule) -> (String, String) {
    match &rule.kind {
        CalendarKind::Always => ("always".into(), "always".into()),
        CalendarKind::Sessions { days, .. } => (day_text(days.0), day_text(days.1)),
    }
}

fn zone(rule: &CalendarRule) -> Tz {
    match &rule.kind {
        CalendarKind::Always => Tz::UTC,
        CalendarKind::Sessions { zone, .. } => *zone,
    }
}

/// `09:30-12:00 13:00-16:00`; `-1d 17:00-16:00` where it opens on the day before its trade date.
fn hours(session: &Session, zone: Tz) -> String {
    let edge = |t: Timestamp| {
        let local = local(t, zone);
        let day = local.and_utc().timestamp().div_euclid(NANOS_PER_DAY / 1_000_000_000);
        let seconds = if t.0 % 60_000_000_000 == 0 { "" } else { ":%S" };
        (day - session.day, local.format(&format!("%H:%M{seconds}")).to_string())
    };
    let segment = |(open, close): &(Timestamp, Timestamp)| {
        let ((before, open), (after, close)) = (edge(*open), edge(*close));
        let open = if before == 0 { open } else { format!("{before:+}d {open}") };
        match after {
            // Midnight belongs to the day that it ends.
            1 if close == "00:00" => format!("{open}-24:00"),
            after if after == before || after == 0 => format!("{open}-{close}"),
            after => format!("{open}-{after:+}d {close}"),
        }
    };
    session.segments.iter().map(segment).collect::<Vec<_>>().join(" ")
}

fn local(t: Timestamp, zone: Tz) -> NaiveDateTime {
    DateTime::from_timestamp_nanos(t.0).with_timezone(&zone).naive_local()
}

fn weekday(day: i64) -> &'static str {
    // 1970-01-01 was a Thursday.
    ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][day.rem_euclid(7) as usize]
}

/// Left-aligned columns, two spaces between them, nothing behind the last word of a line.
fn columns<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let widest = |i: usize| rows.iter().map(|row| row[i].len()).chain([head[i].len()]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(widest).collect();
    let line = |cells: [&str; N]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}  "));
        padded.collect::<String>().trim_end().to_string() + "\n"
    };
    line(head) + &rows.iter().map(|row| line(row.each_ref().map(String::as_str))).collect::<String>()
}

fn lines(json: &Value) -> String {
    format!("{json:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::definition::parse_day;
    use crate::calendar::find;

    fn text(name: &str, from: &str, to: &str) -> String {
        let rule = find(name).unwrap();
        let days = (parse_day(from).unwrap(), parse_day(to).unwrap());
        let sessions = rule.sessions_of(days.0, days.1).unwrap();
        Listing { rule: &rule, days, sessions: &sessions }.to_text()
    }

    #[test]
    fn text_shows_local_hours_and_utc() {
        let hours = text("XHKG", "2024-12-23", "2024-12-27");
        let expect = "\
XHKG, 2024-12-23 to 2024-12-27: 3 sessions

session         Asia/Hong_Kong           UTC
2024-12-23 Mon  09:30-12:00 13:00-16:00  01:30-04:00 05:00-08:00
2024-12-24 Tue  09:30-12:00              01:30-04:00              early close
2024-12-27 Fri  09:30-12:00 13:00-16:00  01:30-04:00 05:00-08:00
";
        assert_eq!(hours, expect);
        let globex = text("CME_FX", "2024-11-04", "2024-11-04");
        assert!(globex.contains("2024-11-04 Mon  -1d 17:00-16:00  -1d 23:00-22:00\n"), "{globex}");
        let whole = text("24/7", "2024-11-04", "2024-11-04");
        assert!(whole.contains("1 session\n") && whole.contains("Mon  00:00-24:00"), "{whole}");
    }

    #[test]
    fn csv_has_a_row_for_each_break() {
        let at = |seconds: i64| Timestamp(seconds * 1_000_000_000);
        let rule = CalendarRule::always();
        let segments = vec![(at(0), at(10)), (at(20), at(30)), (at(40), at(50))];
        let session = Session { day: 0, segments, kind: SessionKind::Regular };
        let csv = Listing { rule: &rule, days: (0, 0), sessions: &[session] }.to_csv();
        let ends = "1970-01-01,1970-01-01T00:00:00Z,1970-01-01T00:00:50Z";
        let breaks =
            ["1970-01-01T00:00:10Z,1970-01-01T00:00:20Z", "1970-01-01T00:00:30Z,1970-01-01T00:00:40Z"];
        let rows: Vec<String> = breaks.iter().map(|pause| format!("{ends},{pause}")).collect();
        assert_eq!(csv.lines().skip(1).collect::<Vec<_>>(), rows);
    }
}
