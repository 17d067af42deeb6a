use super::definition::{Changes, parse_day};
use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap_or_else(|| panic!("{text}"))
}

fn rule(name: &str) -> CalendarRule {
    find(name).unwrap_or_else(|| panic!("{name}"))
}

fn segment(text: &str) -> Segment {
    Segment::parse(text).unwrap()
}

/// What a session list says: `session,open_utc,close_utc,break_start_utc,break_end_utc`.
fn golden(csv: &str) -> Vec<(i64, Vec<(Timestamp, Timestamp)>)> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_end().split(',').collect();
        let (open, close) = (at(cells[1]), at(cells[2]));
        let segments = match cells[3] {
            "" => vec![(open, close)],
            pause => vec![(open, at(pause)), (at(cells[4]), close)],
        };
        (parse_day(cells[0]).unwrap(), segments)
    };
    csv.lines().skip(1).map(row).collect()
}

#[test]
fn every_session_of_the_golden_lists_is_there_and_no_other() {
    for (name, csv) in [
        ("XNYS", include_str!("../../fixtures/calendar/XNYS.csv")),
        ("XLON", include_str!("../../fixtures/calendar/XLON.csv")),
        ("XETR", include_str!("../../fixtures/calendar/XETR.csv")),
        ("XTKS", include_str!("../../fixtures/calendar/XTKS.csv")),
        ("XHKG", include_str!("../../fixtures/calendar/XHKG.csv")),
    ] {
        let expect = golden(csv);
        let until = expect.last().unwrap().1.last().unwrap().1;
        let found: Vec<_> = rule(name)
            .sessions(Timestamp(0), until)
            .into_iter()
            .map(|session| (session.day, session.segments))
            .collect();
        for (found, expect) in found.iter().zip(&expect) {
            assert_eq!(found, expect, "{name} {}", definition::day_text(expect.0));
        }
        assert_eq!(found.len(), expect.len(), "{name}");
    }
}

#[test]
fn every_shipped_calendar_expands_and_covers_what_it_says() {
    for shipped in shipped() {
        let rule =
            shipped.definition.expand(&shipped.name).unwrap_or_else(|e| panic!("{}: {e}", shipped.name));
        let CalendarKind::Sessions { segments, covered, sessions, .. } = &rule.kind else { panic!() };
        assert!(!sessions.is_empty());
        assert!(segments.first().unwrap().0 >= covered.0 && segments.last().unwrap().1 <= covered.1);
        assert!(segments.is_sorted_by(|a, b| a.1 < b.0), "{}", shipped.name);
    }
    let mut known = names();
    known.sort_unstable();
    assert!(known.is_sorted_by(|a, b| a < b), "a name stands twice: {known:?}");
}

#[test]
fn sessions_around_clock_changes_half_days_and_breaks() {
    // Calendar, an instant inside, its segment.
    for (name, inside, open, close) in [
        ("XNYS", "2024-03-08T15:00:00Z", "2024-03-08T14:30:00Z", "2024-03-08T21:00:00Z"),
        ("XNYS", "2024-03-11T15:00:00Z", "2024-03-11T13:30:00Z", "2024-03-11T20:00:00Z"),
        ("XNYS", "2024-11-01T15:00:00Z", "2024-11-01T13:30:00Z", "2024-11-01T20:00:00Z"),
        ("XNYS", "2024-11-04T15:00:00Z", "2024-11-04T14:30:00Z", "2024-11-04T21:00:00Z"),
        ("XNYS", "2024-12-24T15:00:00Z", "2024-12-24T14:30:00Z", "2024-12-24T18:00:00Z"),
        ("XLON", "2024-03-28T10:00:00Z", "2024-03-28T08:00:00Z", "2024-03-28T16:30:00Z"),
        ("XLON", "2024-04-02T10:00:00Z", "2024-04-02T07:00:00Z", "2024-04-02T15:30:00Z"),
        ("XLON", "2024-10-25T10:00:00Z", "2024-10-25T07:00:00Z", "2024-10-25T15:30:00Z"),
        ("XLON", "2024-10-28T10:00:00Z", "2024-10-28T08:00:00Z", "2024-10-28T16:30:00Z"),
        ("XETR", "2024-12-30T10:00:00Z", "2024-12-30T08:00:00Z", "2024-12-30T13:00:00Z"),
        ("XTSE", "2024-12-24T15:00:00Z", "2024-12-24T14:30:00Z", "2024-12-24T18:00:00Z"),
        ("XHKG", "2024-12-24T02:00:00Z", "2024-12-24T01:30:00Z", "2024-12-24T04:00:00Z"),
        ("XHKG", "2024-12-27T06:00:00Z", "2024-12-27T05:00:00Z", "2024-12-27T08:00:00Z"),
        ("XSHG", "2024-09-30T05:30:00Z", "2024-09-30T05:00:00Z", "2024-09-30T07:00:00Z"),
        ("XTKS", "2024-11-05T04:00:00Z", "2024-11-05T03:30:00Z", "2024-11-05T06:30:00Z"),
        ("XNSE", "2026-11-08T09:00:00Z", "2026-11-08T08:50:00Z", "2026-11-08T10:00:00Z"),
        ("XNSE", "2024-03-02T04:00:00Z", "2024-03-02T03:45:00Z", "2024-03-02T04:30:00Z"),
        ("XNSE", "2024-03-02T06:30:00Z", "2024-03-02T06:00:00Z", "2024-03-02T07:00:00Z"),
        ("CME_EQUITY", "2024-03-11T15:00:00Z", "2024-03-10T22:00:00Z", "2024-03-11T21:00:00Z"),
        ("CME_EQUITY", "2024-11-04T15:00:00Z", "2024-11-03T23:00:00Z", "2024-11-04T22:00:00Z"),
        ("CME_EQUITY", "2024-11-29T15:00:00Z", "2024-11-28T23:00:00Z", "2024-11-29T18:15:00Z"),
        ("CME_EQUITY", "2026-03-09T15:00:00Z", "2026-03-08T22:00:00Z", "2026-03-09T21:00:00Z"),
        ("CME_EQUITY", "2025-11-03T15:00:00Z", "2025-11-02T23:00:00Z", "2025-11-03T22:00:00Z"),
        ("CME_EQUITY", "2025-11-28T15:00:00Z", "2025-11-27T23:00:00Z", "2025-11-28T18:15:00Z"),
        ("24/5", "2024-03-13T15:00:00Z", "2024-03-11T00:00:00Z", "2024-03-16T00:00:00Z"),
    ] {
        assert_eq!(rule(name).segment_at(at(inside)), Some((at(open), at(close))), "{name} {inside}");
        assert_eq!(rule(name).state_at(at(open)), MarketState::Open);
        assert_eq!(rule(name).state_at(at(close)), MarketState::Closed);
    }
}

#[test]
fn closed_days_and_what_lies_beyond_the_data() {
    for (name, t, state) in [
        ("XNYS", "2025-01-09T16:00:00Z", MarketState::Closed),
        ("XNYS", "2025-01-08T16:00:00Z", MarketState::Open),
        ("XLON", "2023-05-08T10:00:00Z", MarketState::Closed),
        ("XHKG", "2023-09-01T02:00:00Z", MarketState::Closed),
        ("XHKG", "2020-08-19T02:00:00Z", MarketState::Closed),
        ("XHKG", "2020-08-19T06:00:00Z", MarketState::Open),
        ("XHKG", "2024-12-27T04:30:00Z", MarketState::Closed),
        ("XTKS", "2020-10-01T02:00:00Z", MarketState::Closed),
        ("XNYS", "2019-12-31T16:00:00Z", MarketState::Unknown),
        ("XNYS", "2020-01-01T04:59:59Z", MarketState::Unknown),
        ("XNYS", "2020-01-01T05:00:00Z", MarketState::Closed),
        ("XNSE", "2024-03-02T05:00:00Z", MarketState::Closed),
        ("XNSE", "2027-01-04T05:00:00Z", MarketState::Unknown),
        ("CME_EQUITY", "2025-01-09T14:00:00Z", MarketState::Open),
        ("CME_EQUITY", "2025-01-09T14:30:00Z", MarketState::Closed),
        ("CME_FX", "2025-01-09T18:00:00Z", MarketState::Open),
        ("XBOM", "2024-01-20T05:00:00Z", MarketState::Open),
        ("24/7", "1999-01-01T00:00:00Z", MarketState::Open),
    ] {
        assert_eq!(rule(name).state_at(at(t)), state, "{name} {t}");
    }
}

#[test]
fn an_evening_that_belongs_to_an_uncovered_trade_date_is_unknown() {
    let definition = Definition {
        zone: chrono_tz::America::Chicago,
        covered: (parse_day("2025-06-02").unwrap(), parse_day("2025-06-04").unwrap()),
        days: [true, true, true, true, true, false, false],
        hours: vec![Hours { from: 0, segments: vec![segment("-1d 17:00-16:00")] }],
        closed: Default::default(),
        special: Default::default(),
    };
    let rule = definition.expand("GLOBEX").unwrap();
    for (t, state) in [
        ("2025-06-01T21:59:59Z", MarketState::Unknown),
        ("2025-06-01T22:00:00Z", MarketState::Open),
        ("2025-06-04T21:30:00Z", MarketState::Closed),
        ("2025-06-04T22:00:00Z", MarketState::Unknown),
    ] {
        assert_eq!(rule.state_at(at(t)), state, "{t}");
    }
}

#[test]
fn a_split_day_is_one_session_of_two_segments() {
    let base = shipped::definition("XNSE").unwrap().clone();
    let saturday = parse_day("2025-03-01").unwrap();
    let changes = Changes {
        add_special: [(saturday, vec![segment("09:15-10:00"), segment("11:30-12:30")])].into(),
        ..Changes::default()
    };
    let rule = base.extended(&changes).unwrap().expand("MINE").unwrap();
    let [session] = &rule.sessions(at("2025-03-01T00:00:00Z"), at("2025-03-02T00:00:00Z"))[..] else {
        panic!()
    };
    assert_eq!(session.kind, SessionKind::ExtraDay);
    let expect = [
        (at("2025-03-01T03:45:00Z"), at("2025-03-01T04:30:00Z")),
        (at("2025-03-01T06:00:00Z"), at("2025-03-01T07:00:00Z")),
    ];
    assert_eq!(session.segments, expect);
}

#[test]
fn events_follow_each_other() {
    use MarketEvent::*;
    for (name, t, event) in [
        ("XNYS", "2024-12-24T14:00:00Z", Some(("2024-12-24T14:30:00Z", Open))),
        ("XNYS", "2024-12-24T14:30:00Z", Some(("2024-12-24T18:00:00Z", Close))),
        ("XNYS", "2024-12-24T18:00:00Z", Some(("2024-12-26T14:30:00Z", Open))),
        ("XHKG", "2024-12-27T02:00:00Z", Some(("2024-12-27T04:00:00Z", BreakStart))),
        ("XHKG", "2024-12-27T04:00:00Z", Some(("2024-12-27T05:00:00Z", BreakEnd))),
        ("XHKG", "2024-12-27T05:00:00Z", Some(("2024-12-27T08:00:00Z", Close))),
        ("24/5", "2024-03-13T00:00:00Z", Some(("2024-03-16T00:00:00Z", Close))),
        ("24/7", "2024-03-13T00:00:00Z", None),
        ("XNYS", "2099-01-01T00:00:00Z", None),
    ] {
        let expect = event.map(|(t, event)| (at(t), event));
        assert_eq!(rule(name).next_event(at(t)), expect, "{name} {t}");
    }
}

#[test]
fn market_time_and_meeting() {
    let (from, to) = (at("2024-12-24T00:00:00Z"), at("2024-12-27T00:00:00Z"));
    assert_eq!(rule("XNYS").market_time(from, to), Span::from_secs(10 * 3600));
    assert_eq!(rule("XNYS").market_time(to, from), Span::ZERO);
    assert!(!rule("XNYS").meets(at("2024-12-25T00:00:00Z"), at("2024-12-26T00:00:00Z")));
    assert!(rule("XNYS").meets(at("2024-12-25T00:00:00Z"), at("2024-12-26T14:30:00Z")));
    assert!(rule("XNYS").knows(from, to));
    assert!(!rule("XNYS").knows(from, at("2099-01-01T00:00:00Z")));
    let day = rule("24/7").sessions(at("2024-12-24T12:00:00Z"), at("2024-12-26T00:00:00Z"));
    assert_eq!(day.len(), 2);
    assert_eq!(day[0].open(), at("2024-12-24T00:00:00Z"));
}

#[test]
fn segments_and_days_say_what_is_wrong() {
    for (text, error) in [
        ("9:30-16:00", "is not a segment"),
        ("09:30", "is not a segment"),
        ("09:30-24:01", "is not a segment"),
        ("16:00-09:30", "ends before it begins"),
        ("-2d 09:30-16:00", "is not a segment"),
    ] {
        assert!(Segment::parse(text).unwrap_err().contains(error), "{text}");
    }
    for (text, error) in [
        ("2024-02-30", "does not exist"),
        ("2024-13-01", "does not exist"),
        ("24-01-01", "is not a date"),
        ("2024-01-01x", "is not a date"),
        ("２０24-1-1", "is not a date"),
    ] {
        assert!(parse_day(text).unwrap_err().contains(error), "{text}");
    }
}

#[test]
fn an_unsound_calendar_is_refused() {
    let day = |text| parse_day(text).unwrap();
    let base = || shipped::definition("XNYS").unwrap().clone();
    let broken = |change: &dyn Fn(&mut Definition)| {
        let mut definition = base();
        change(&mut definition);
        definition.expand("BROKEN").unwrap_err()
    };
    for (error, expect) in [
        (broken(&|d| d.covered = (10, 5)), "ends (1970-01-06) before"),
        (broken(&|d| d.covered.1 += 365 * 100), "longer than"),
        (broken(&|d| d.hours.clear()), "no `hours` are in effect on 2020-01-02"),
        (broken(&|d| d.hours[0].segments.clear()), "without a segment"),
        (broken(&|d| _ = d.closed.insert(day("2024-12-24"))), "both closed and special"),
        (broken(&|d| _ = d.closed.insert(day("2024-12-22"))), "no trading weekday"),
        (broken(&|d| _ = d.closed.insert(day("2019-12-30"))), "outside `covered`"),
        (broken(&|d| d.hours[0].segments.push(segment("15:00-17:00"))), "overlap"),
        (broken(&|d| d.hours[0].segments = vec![segment("-1d 09:00-16:00")]), "overlap"),
        (
            broken(&|d| _ = d.special.insert(day("2024-03-10"), vec![segment("02:30-16:00")])),
            "inside a clock change",
        ),
    ] {
        assert!(error.contains(expect), "{error}");
    }
}

#[test]
fn what_a_contract_changes_wins() {
    let day = |text| parse_day(text).unwrap();
    let changes = Changes {
        add_closed: [day("2025-06-13")].into(),
        add_special: [(day("2025-01-09"), vec![segment("10:00-11:00")])].into(),
        remove: [day("2024-12-24")].into(),
        covered: Some((day("2024-12-01"), day("2025-12-31"))),
    };
    let rule =
        shipped::definition("XNYS").unwrap().clone().extended(&changes).unwrap().expand("MINE").unwrap();
    for (t, state) in [
        ("2025-06-13T16:00:00Z", MarketState::Closed),
        ("2025-01-09T15:30:00Z", MarketState::Open),
        ("2025-01-09T17:00:00Z", MarketState::Closed),
        ("2024-12-24T20:00:00Z", MarketState::Open),
        ("2024-11-29T16:00:00Z", MarketState::Unknown),
    ] {
        assert_eq!(rule.state_at(at(t)), state, "{t}");
    }
    for (changes, expect) in [
        (Changes { remove: [day("2024-12-23")].into(), ..Default::default() }, "an ordinary day already"),
        (Changes { add_closed: [day("2024-12-22")].into(), ..Default::default() }, "closed anyway"),
        (Changes { add_closed: [day("2034-12-22")].into(), ..Default::default() }, "outside `covered`"),
    ] {
        let error = shipped::definition("XNYS").unwrap().clone().extended(&changes).unwrap_err();
        assert!(error.contains(expect), "{error}");
    }
}

#[test]
fn a_session_says_how_it_differs() {
    let day = |text| parse_day(text).unwrap();
    for (name, session, kind) in [
        ("XNYS", "2024-12-23", SessionKind::Regular),
        ("XNYS", "2024-12-24", SessionKind::EarlyClose),
        ("XHKG", "2024-12-24", SessionKind::EarlyClose),
        ("XHKG", "2020-08-19", SessionKind::LateOpen),
        ("XNSE", "2024-03-02", SessionKind::ExtraDay),
        ("XNSE", "2024-11-01", SessionKind::OtherHours),
        ("XTKS", "2024-11-05", SessionKind::Regular),
        ("24/7", "2024-12-25", SessionKind::Regular),
    ] {
        let sessions = rule(name).sessions_of(day(session), day(session)).unwrap();
        assert_eq!(sessions.iter().map(|s| s.kind).collect::<Vec<_>>(), [kind], "{name} {session}");
    }
}

#[test]
fn trade_dates_are_all_known_or_none_is_told() {
    let day = |text| parse_day(text).unwrap();
    let asked = |from, to| rule("XNYS").sessions_of(day(from), day(to));
    // The last known day itself is known; 2028-12-31 is a Sunday.
    assert_eq!(asked("2028-12-29", "2028-12-31").unwrap().len(), 1);
    assert_eq!(asked("2024-12-25", "2024-12-25").unwrap(), []);
    for (from, to, lacking) in [
        ("2028-12-29", "2029-01-01", "2029-01-01"),
        ("2030-06-01", "2030-06-02", "2030-06-01"),
        ("2019-12-31", "2020-01-05", "2019-12-31"),
    ] {
        let error = asked(from, to).unwrap_err();
        assert_eq!(error.day, day(lacking), "{from} {to}");
        assert_eq!(
            error.to_string(),
            format!("XNYS is known from 2020-01-01 to 2028-12-31, and nothing is known of {lacking}")
        );
    }
    // A Globex session belongs to its trade date, not to the evening on which it opens.
    let monday = day("2024-03-11");
    let sessions = rule("CME_EQUITY").sessions_of(monday, monday).unwrap();
    assert_eq!(
        sessions.iter().map(|s| (s.day, s.open())).collect::<Vec<_>>(),
        [(monday, at("2024-03-10T22:00:00Z"))]
    );
}
