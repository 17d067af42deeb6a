//! Owns `--session CALENDAR:DATE`: exactly one trading session of an exchange, and what the markets of
//! the reference world do meanwhile. Must not read a clock.

use super::exit::WrongUse;
use crate::calendar::{self, CalendarKind, CalendarRule, Session};
use crate::contract::spelling::cure;
use crate::model::time::civil_from_days;
use crate::model::{Span, Timestamp};
use crate::reference::world::country;

/// A session that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct MarketSession {
    /// As typed: `XNYS`.
    pub calendar: String,
    pub session: Session,
}

/// So long before it opens a market is in PREOPEN, so long before it closes in PRECLOSE.
const PREOPEN: Span = Span::from_secs(3600);
const PRECLOSE: Span = Span::from_secs(600);
/// Hours are told from so long before a session to so long after it: the next event always lies in it.
const DAYS_AROUND: i64 = 7;

impl MarketSession {
    pub fn find(text: &str) -> Result<MarketSession, WrongUse> {
        let wrong = |problem: String| WrongUse(format!("--session {text}: {problem}"));
        let Some((name, date)) = text.rsplit_once(':') else {
            return Err(wrong("write CALENDAR:DATE, such as XNYS:2025-12-19".into()));
        };
        let rule = calendar::find(name)
            .ok_or_else(|| wrong(format!("`{name}` is no calendar; {}", cure(name, calendar::names()))))?;
        let day = calendar::definition::parse_day(date).map_err(wrong)?;
        let session = session_of(&rule, day).map_err(wrong)?;
        Ok(MarketSession { calendar: name.to_owned(), session })
    }

    pub fn length(&self) -> Span {
        self.session.close() - self.session.open()
    }

    /// What each market of the world does around the session, by its own country's exchange.
    pub fn hours(&self, markets: usize) -> Vec<Vec<(Timestamp, &'static str)>> {
        let around = self.session.day - DAYS_AROUND..=self.session.day + DAYS_AROUND;
        (0..markets).map(|market| states(exchange(country(market)), around.clone())).collect()
    }
}

fn exchange(country: &str) -> &'static str {
    match country {
        "JPN" => "XTKS",
        "GBR" => "XLON",
        "DEU" => "XETR",
        "HKG" => "XHKG",
        _ => "XNYS",
    }
}

/// The session of a trade date; where there is none, the error names the nearest ones.
fn session_of(rule: &CalendarRule, day: i64) -> Result<Session, String> {
    let (name, date) = (&rule.name, date_of(day));
    let CalendarKind::Sessions { sessions, covered, .. } = &rule.kind else {
        let midnight = midnight(day);
        return rule.session_at(midnight).ok_or_else(|| format!("{name} has no session on {date}"));
    };
    let next = sessions.partition_point(|session| session.day < day);
    if let Some(session) = sessions.get(next).filter(|session| session.day == day) {
        return Ok(session.clone());
    }
    let (before, after) = (next.checked_sub(1).and_then(|last| sessions.get(last)), sessions.get(next));
    Err(match (before, after) {
        (Some(before), Some(after)) => {
            let (before, after) = (date_of(before.day), date_of(after.day));
            format!("{name} has no session on {date}; the nearest are {before} and {after}")
        }
        _ => format!("{name} is known from {} to {}, not on {date}", covered.0, covered.1),
    })
}

/// A market's states, in order; of several that begin at one instant the last holds.
fn states(exchange: &str, days: std::ops::RangeInclusive<i64>) -> Vec<(Timestamp, &'static str)> {
    let Some(CalendarRule { kind: CalendarKind::Sessions { sessions, .. }, .. }) = calendar::find(exchange)
    else {
        return Vec::new();
    };
    let mut states = vec![(midnight(*days.start()), "CLOSED")];
    for day in days.clone() {
        // 1970-01-01 was a Thursday; 2 and 3 are Saturday and Sunday.
        let is_weekend = matches!(day.rem_euclid(7), 2 | 3);
        if !is_weekend && sessions.binary_search_by_key(&day, |session| session.day).is_err() {
            states.extend([(midnight(day), "HOLIDAY"), (midnight(day + 1), "CLOSED")]);
        }
    }
    for session in sessions.iter().filter(|session| days.contains(&session.day)) {
        states.push((session.open() - PREOPEN, "PREOPEN"));
        for (open, close) in &session.segments {
            states.extend([(*open, "OPEN"), (*close, "CLOSED")]);
        }
        states.push((session.close() - PRECLOSE, "PRECLOSE"));
    }
    states.sort_by_key(|(from, _)| *from);
    states
}

fn midnight(day: i64) -> Timestamp {
    Timestamp(day.saturating_mul(86_400_000_000_000))
}

fn date_of(day: i64) -> String {
    let (year, month, day) = civil_from_days(day);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::days_from_civil;
    use crate::reference::world::{World, WorldOptions};

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn a_session_is_found_by_calendar_and_date() {
        let session = MarketSession::find("XNYS:2025-12-19").unwrap();
        assert_eq!(session.session.open(), at("2025-12-19T14:30:00Z"));
        assert_eq!(session.length(), Span::from_secs(6 * 3600 + 1800));
        // A half day, in summer time, and a day of no exchange.
        let half = MarketSession::find("XNYS:2025-07-03").unwrap();
        assert_eq!(half.length(), Span::from_secs(3 * 3600 + 1800));
        let endless = MarketSession::find("24/7:2025-12-25").unwrap();
        assert_eq!(
            (endless.session.open(), endless.length()),
            (at("2025-12-25T00:00:00Z"), Span::from_secs(86_400))
        );
        assert_eq!(endless.session.day, days_from_civil(2025, 12, 25));
    }

    #[test]
    fn what_is_no_session_is_told_with_the_cure() {
        for (text, says) in [
            ("XNYS", "XNYS:2025-12-19"),
            ("XNSY:2025-12-19", "did you mean"),
            ("XNYS:2025-12-25", "the nearest are 2025-12-24 and 2025-12-26"),
            ("XNYS:2025-12-20", "2025-12-19 and 2025-12-22"),
            ("XNYS:2025-13-01", "does not exist"),
            ("XNYS:Friday", "is not a date"),
            ("XNYS:1901-01-02", "is known from"),
        ] {
            let error = MarketSession::find(text).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains(text), "{text}: {error}");
        }
    }

    #[test]
    fn markets_follow_their_exchanges() {
        let session = MarketSession::find("XNYS:2025-12-24").unwrap();
        let hours = session.hours(5);
        let world = World::new(WorldOptions { hours, ..WorldOptions::default() });
        let state = |market: usize, text: &str| {
            let market = world.market_at(market, at(text));
            (market.status, market.seconds_to_next_event)
        };
        // New York closes early on that day, at 18:00 UTC, and is closed on the next.
        assert_eq!(state(0, "2025-12-24T14:00:00Z"), ("PREOPEN", 1800));
        assert_eq!(state(0, "2025-12-24T14:30:00Z"), ("OPEN", 3 * 3600 + 20 * 60));
        assert_eq!(state(0, "2025-12-24T17:55:00Z"), ("PRECLOSE", 300));
        assert_eq!(state(0, "2025-12-24T18:00:00Z"), ("CLOSED", 6 * 3600));
        assert_eq!(state(0, "2025-12-25T12:00:00Z").0, "HOLIDAY");
        // Tokyo has its break.
        assert_eq!(state(1, "2025-12-24T02:00:00Z"), ("OPEN", 1800));
        assert_eq!(state(1, "2025-12-24T03:00:00Z").0, "CLOSED");
        assert_eq!(state(1, "2025-12-27T03:00:00Z").0, "CLOSED");
    }
}
