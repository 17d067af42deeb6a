//! `calendar_mismatch`: the status that both sides show against the market's calendar. The script's zero is
//! 2025-12-19T14:30:00Z, when XNYS opens on a Friday; it closes at 21:00Z.

mod common;

use common::{HEAD, Script, Told, contract};
use cutover::contract::{Contract, parse};
use cutover::model::{Class, Severity, Verdict};
use std::sync::Arc;

const MARKET: &str = r#"market = { status = "status", open = ["OPEN"], closed = ["CLOSED", "HOLIDAY"] }"#;
const OPEN: f64 = 0.0;
const CLOSE: f64 = 6.5 * 3600.0;

fn text(market: &str, calendar: &str) -> String {
    format!(
        r#"{HEAD}
[[feature]]
name = "markets"
align = "arrival"
interval = "10s"
key = ["id"]
calendar = "{calendar}"
{market}
rest = {{ path = "/m", poll = "10s", records = "/markets" }}
ws = {{ type = "market", records = "/data" }}
[feature.fields]
id = {{ type = "integer" }}
status = {{ type = "enum", values = ["OPEN", "CLOSED", "PREOPEN", "HOLIDAY"] }}
"#
    )
}

fn xnys() -> Arc<Contract> {
    contract(&text(MARKET, "XNYS"))
}

/// Both sides every ten seconds from `from` to `to`, of one market.
fn feed(
    contract: &Arc<Contract>,
    id: u32,
    from: f64,
    to: f64,
    rest: impl Fn(f64) -> &'static str,
    ws: impl Fn(f64) -> &'static str,
) -> Told {
    let mut script = Script::new(contract);
    script.open(from - 5.0);
    let mut t = from;
    while t + 4.1 < to {
        let body = |said: &str| format!(r#"{{"id":{id},"status":"{said}"}}"#);
        script.ws(t + 0.05, format!(r#"{{"type":"market","data":{}}}"#, body(ws(t))));
        script.rest(t + 4.0, t + 4.1, "markets", format!(r#"{{"markets":[{}]}}"#, body(rest(t + 4.0))));
        t += 10.0;
    }
    script.end(to).run()
}

/// What is right, changing some seconds after the session's events.
fn late_by(delay: f64) -> impl Fn(f64) -> &'static str + Copy {
    move |t| if (OPEN + delay..CLOSE + delay).contains(&t) { "OPEN" } else { "CLOSED" }
}

#[test]
fn a_right_status_is_silent_around_open_and_close() {
    for event in [OPEN, CLOSE] {
        for delay in [-1.5, 0.0, 3.0, 9.0] {
            for shift in [0.0, 2.5, 7.0] {
                let right = late_by(delay);
                let told = feed(&xnys(), 1, event - 100.0 + shift, event + 100.0, right, right);
                assert_eq!(told.count(Class::CalendarMismatch), 0, "{event} {delay}: {:?}", told.lines());
            }
        }
    }
}

#[test]
fn both_sides_wrong_is_one_finding_an_episode() {
    let never = |_: f64| "CLOSED";
    let told = feed(&xnys(), 1, -60.0, 300.0, never, never);
    assert_eq!(told.lines(), ["calendar_mismatch id=1 status"]);
    let finding = told.first(Class::CalendarMismatch);
    assert_eq!((finding.severity, &*finding.rest, &*finding.ws), (Severity::Warn, "CLOSED", "CLOSED"));
    assert_eq!(finding.detail, "XNYS is open until 2025-12-19T21:00:00Z");
    // The first that cannot be a status of before the open: asked for an interval and a settle after it.
    assert_eq!(finding.at, common::at(14.1));
    assert_eq!(told.verdict("values-match"), Verdict::Pass);
    // Wrong, right, wrong again: two episodes.
    let twice = |t: f64| if (100.0..160.0).contains(&t) { "OPEN" } else { "CLOSED" };
    assert_eq!(feed(&xnys(), 1, -60.0, 300.0, twice, twice).count(Class::CalendarMismatch), 2);
}

#[test]
fn a_status_is_judged_outside_market_hours_too() {
    let open = |_: f64| "OPEN";
    let told = feed(&xnys(), 1, CLOSE + 600.0, CLOSE + 800.0, open, open);
    let finding = told.first(Class::CalendarMismatch);
    assert_eq!((finding.severity, told.count(Class::CalendarMismatch)), (Severity::Warn, 1));
    assert_eq!(finding.detail, "XNYS is closed until 2025-12-22T14:30:00Z");
}

#[test]
fn one_side_alone_is_named() {
    let wrong = |_: f64| "CLOSED";
    let told = feed(&xnys(), 1, 100.0, 300.0, late_by(0.0), wrong);
    let finding = told.first(Class::CalendarMismatch);
    assert_eq!((&*finding.rest, &*finding.ws, told.count(Class::CalendarMismatch)), ("", "CLOSED", 1));
    assert!(told.count(Class::ValueMismatch) > 0);
}

#[test]
fn what_is_not_declared_or_not_known_is_not_judged() {
    let wrong = |_: f64| "CLOSED";
    // No `market`: the words could mean anything.
    assert_eq!(feed(&contract(&text("", "XNYS")), 1, 100.0, 300.0, wrong, wrong).lines().len(), 0);
    // A value that says neither.
    let neither = |_: f64| "PREOPEN";
    assert_eq!(feed(&xnys(), 1, 100.0, 300.0, neither, neither).lines().len(), 0);
    // Beyond the horizon.
    let own = "\n[calendar.OLD]\nextends = \"XNYS\"\ncovered = [\"2024-01-01\", \"2024-12-31\"]\n";
    let old = contract(&format!("{}{own}", text(MARKET, "OLD")));
    assert_eq!(feed(&old, 1, 100.0, 300.0, wrong, wrong).count(Class::CalendarMismatch), 0);
    // Tokyo's break, on Friday 2025-12-19 from 02:30Z to 03:30Z: feeds differ in what they call it.
    let tokyo = contract(&text(MARKET, "XTKS"));
    let noon = -11.75 * 3600.0;
    for said in [|_: f64| "OPEN", |_: f64| "CLOSED"] {
        assert_eq!(feed(&tokyo, 1, noon, noon + 300.0, said, said).count(Class::CalendarMismatch), 0);
    }
}

#[test]
fn several_markets_have_a_calendar_each() {
    let several = MARKET.replace(" }", r#", calendars = { "id=1" = "XNYS", "id=2" = "XTKS" } }"#);
    let contract = contract(&text(&several, "24/7"));
    let open = |_: f64| "OPEN";
    // New York is open, Tokyo is not, and nobody says what the third is.
    for (id, found) in [(1, 0), (2, 1), (3, 0)] {
        let told = feed(&contract, id, 100.0, 300.0, open, open);
        assert_eq!(told.count(Class::CalendarMismatch), found, "{id}");
    }
}

#[test]
fn one_side_after_the_other_is_one_episode() {
    // The WebSocket opens early; by the time it is right, REST is late.
    let late = |t: f64| if t < 150.0 { "CLOSED" } else { "OPEN" };
    let told = feed(&xnys(), 1, -60.0, 400.0, late, |_| "OPEN");
    let finding = told.first(Class::CalendarMismatch);
    assert_eq!((&*finding.rest, &*finding.ws, told.count(Class::CalendarMismatch)), ("", "OPEN", 1));
}

#[test]
fn a_wrong_declaration_says_what_would_be_right() {
    for (market, calendar, expect) in [
        (MARKET, "24/7", "24/7 has none; set the feature's `calendar`"),
        (r#"market = { open = ["OPEN"], closed = [] }"#, "XNYS", "`status` is lacking"),
        (r#"market = { status = "id", open = ["OPEN"], closed = [] }"#, "XNYS", "no field of type \"enum\""),
        (r#"market = { status = "status", open = ["OPNE"], closed = [] }"#, "XNYS", "did you mean `OPEN`?"),
        (
            r#"market = { status = "status", open = ["OPEN"], closed = ["OPEN"] }"#,
            "XNYS",
            "both open and closed",
        ),
        (
            r#"market = { status = "status", open = ["OPEN"], closed = [], grace = "1s" }"#,
            "XNYS",
            "unknown key `grace`",
        ),
        (
            r#"market = { status = "status", open = ["OPEN"], closed = [], calendars = { "id=1" = "XNYC" } }"#,
            "XNYS",
            "did you mean `XNYS`?",
        ),
        (
            r#"market = { status = "status", open = ["OPEN"], closed = [], calendars = { USA = "XNYS" } }"#,
            "XNYS",
            "as in findings.csv",
        ),
    ] {
        let errors = parse("c.toml", &text(market, calendar), &|_| None, false).unwrap_err();
        let told: String = errors.iter().map(|error| error.render()).collect();
        assert!(told.contains(expect), "{market}: {told}");
    }
}
