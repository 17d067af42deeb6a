//! Owns what a running run shows on stderr: on a terminal the connection, a table of features and the last
//! finding, elsewhere a plain line now and then, nothing when quiet. Must not judge or print results.

#![allow(clippy::disallowed_types)] // how often a line is shown is told by the machine's clock

use super::console::Console;
use crate::calendar::CalendarRule;
use crate::contract::Contract;
use crate::model::outcome::{FeatureProgress, Progress};
use crate::model::{Span, Timestamp};
use crate::report::terminal::{Page, Style, clean, shortened, width};
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two plain lines, where stderr is no terminal: a log stays short.
const PLAIN_EVERY: Duration = Duration::from_secs(15);
/// Columns of a feature's name.
const NAME_COLUMNS: usize = 15;
/// Columns of the table: the view is cut by the terminal, not broken, and 80 columns show this much.
#[cfg(test)]
const COLUMNS: usize = 79;
/// Over the columns that `feature_line` fills.
const HEAD: &str = "     feature          last  every    of   drift messages  pairs differ findings";

/// A live view; whoever runs the run hands it the newest `Progress` about five times a second.
#[derive(Debug)]
pub struct Live {
    view: View,
    colour: bool,
    began: Timestamp,
    ends: Option<Timestamp>,
    /// Each market that opens and closes, once.
    markets: Vec<Arc<CalendarRule>>,
}

#[derive(Debug)]
enum View {
    Silent,
    Lines { console: Console, next: Instant },
    Bars(Bars),
}

/// From top to bottom: what is looked for first stands first.
#[derive(Debug)]
struct Bars {
    console: Console,
    connection: ProgressBar,
    head: ProgressBar,
    features: Vec<ProgressBar>,
    last: ProgressBar,
}

impl Live {
    pub fn start(console: &Console, contract: &Contract, began: Timestamp, ends: Option<Timestamp>) -> Live {
        let view = match (console.quiet, console.live) {
            (true, _) => View::Silent,
            (false, false) => View::Lines { console: console.clone(), next: Instant::now() + PLAIN_EVERY },
            (false, true) => View::Bars(Bars::start(console, contract.features.len())),
        };
        let mut markets: Vec<Arc<CalendarRule>> = Vec::new();
        for feature in &contract.features {
            if feature.calendar.next_event(began).is_some() && !markets.contains(&feature.calendar) {
                markets.push(Arc::clone(&feature.calendar));
            }
        }
        Live { view, colour: console.colour_err, began, ends, markets }
    }

    pub fn update(&mut self, progress: &Progress, now: Timestamp) {
        match &mut self.view {
            View::Silent => {}
            View::Lines { console, next } => {
                let instant = Instant::now();
                if instant >= *next {
                    *next = instant + PLAIN_EVERY;
                    console.note(&plain_line(progress));
                }
            }
            View::Bars(bars) => {
                let elapsed = elapsed(self.began, now, self.ends);
                let market = next_event(&self.markets, now).unwrap_or_default();
                bars.connection.set_message(connection_line(progress, now, &elapsed, &market, self.colour));
                for (bar, feature) in bars.features.iter().zip(&progress.features) {
                    bar.set_message(feature_line(feature, self.colour));
                }
                bars.last.set_message(last_line(progress, now, self.colour));
            }
        }
    }

    /// Takes the view away; what it showed stands in the report.
    pub fn finish(self) {
        if let View::Bars(Bars { console, connection, head, features, last }) = self.view {
            [&connection, &head, &last].into_iter().chain(&features).for_each(ProgressBar::finish_and_clear);
            // The report is printed all the same if the terminal has gone.
            let _ = console.progress().clear();
        }
    }
}

impl Bars {
    fn start(console: &Console, features: usize) -> Bars {
        let add = || console.progress().add(bar());
        let (connection, head) = (add(), add());
        let mut page = Page::new(console.colour_err);
        page.put(Style::Faint, HEAD);
        head.set_message(page.finish());
        let features = (0..features).map(|_| add()).collect();
        Bars { console: console.clone(), connection, head, features, last: add() }
    }
}

/// A line of text that indicatif cuts at the terminal's width.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new_spinner().with_style(style)
}

/// One row under `HEAD`.
fn feature_line(feature: &FeatureProgress, colour: bool) -> String {
    let mut page = Page::new(colour);
    let (state, tone) = match (feature.failed, feature.messages) {
        (true, _) => ("FAIL", Style::Bad),
        (false, 0) => ("none", Style::Unsure),
        (false, _) => ("    ", Style::Plain),
    };
    page.put(tone, state).plain(" ").plain(&padded(&feature.name, NAME_COLUMNS));
    let late = feature.age.is_some_and(|age| age > feature.interval * 2);
    let age = format!(" {:>5}", feature.age.map_or("-".into(), seconds));
    page.put(if late { Style::Unsure } else { Style::Plain }, &age);
    let every = feature.drift.map(|drift| Span((feature.interval.0 as f64 * (1.0 + drift)) as i64));
    page.plain(&format!(" {:>6} {:>5}", every.map_or("-".into(), period), seconds(feature.interval)));
    page.plain(&format!(" {:>7}", feature.drift.map_or("-".into(), percent)));
    page.plain(&format!(" {:>8} {:>6}", short(feature.messages), short(feature.pairs)));
    let bad = |count: u64| if count > 0 { Style::Bad } else { Style::Plain };
    page.put(bad(feature.mismatches), &format!(" {:>6}", short(feature.mismatches)));
    page.put(bad(feature.findings_fail), &format!(" {:>8}", short(feature.findings_fail)));
    page.finish()
}

/// Whether the socket is up stands first: without it nothing below moves.
fn connection_line(progress: &Progress, now: Timestamp, elapsed: &str, market: &str, colour: bool) -> String {
    let mut page = Page::new(colour);
    let (state, tone) = connection(progress);
    let so_long = progress.since.map(|since| format!(" for {}", stopwatch(now - since))).unwrap_or_default();
    page.plain("     ").put(tone, &format!("{state}{so_long}")).plain(&format!("   {elapsed}"));
    if !market.is_empty() {
        page.plain(&format!("   {market}"));
    }
    page.finish()
}

/// The last failing finding, and how long ago it was made.
fn last_line(progress: &Progress, now: Timestamp, colour: bool) -> String {
    let mut page = Page::new(colour);
    match &progress.last_finding {
        None => page.put(Style::Faint, "     no failing finding so far"),
        Some((at, finding)) => {
            page.plain(&format!("     {} ago: ", seconds(now - *at))).put(Style::Bad, finding)
        }
    };
    page.finish()
}

/// The next opening or closing of any market: `XNYS opens in 0:48`.
fn next_event(markets: &[Arc<CalendarRule>], now: Timestamp) -> Option<String> {
    let events = markets.iter().filter_map(|market| Some((market.next_event(now)?, market)));
    let ((at, event), market) = events.min_by_key(|((at, _), _)| *at)?;
    let left = at - now;
    let days = left.0 / Span::from_secs(86_400).0;
    let left = if days > 1 { format!("{days} days") } else { stopwatch(left) };
    Some(format!("{} {} in {left}", market.name, event.verb()))
}

/// `3:12 of 10:00`, in the feeds' time; without an end `3:12`.
fn elapsed(began: Timestamp, now: Timestamp, ends: Option<Timestamp>) -> String {
    let so_far = now - began;
    match ends.map(|ends| ends - began) {
        // The last polls are waited for after the end.
        Some(whole) => format!("{} of {}", stopwatch(so_far.min(whole)), stopwatch(whole)),
        None => stopwatch(so_far),
    }
}

/// `0:07`, `12:30`, `6:30:00`.
fn stopwatch(span: Span) -> String {
    let seconds = span.0.max(0) / 1_000_000_000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

fn connection(progress: &Progress) -> (String, Style) {
    match (progress.connected, progress.opens) {
        (true, 1) => ("connected".into(), Style::Good),
        (true, opens) => (format!("connected, opened {opens} times,"), Style::Unsure),
        (false, 0) => ("not connected yet".into(), Style::Unsure),
        (false, _) => ("NOT CONNECTED".into(), Style::Bad),
    }
}

/// All of it on one line, for a log.
fn plain_line(progress: &Progress) -> String {
    let at = progress.at.map(|at| format!("{} ", whole_seconds(at))).unwrap_or_default();
    let mut line = format!("{at}{}", connection(progress).0.trim_end_matches(','));
    for feature in &progress.features {
        let FeatureProgress { name, messages, pairs, mismatches, .. } = feature;
        let age = feature.age.map(|age| format!(", last {} ago", seconds(age))).unwrap_or_default();
        let fail = if feature.failed { format!(", FAIL ({})", feature.findings_fail) } else { String::new() };
        line.push_str(&format!(
            "; {name}: {messages} messages, {pairs} pairs, {mismatches} differ{age}{fail}"
        ));
    }
    line
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp(at.0 - at.0.rem_euclid(1_000_000_000))
}

fn padded(text: &str, columns: usize) -> String {
    let text = shortened(&clean(text), columns).into_owned();
    let gap = columns.saturating_sub(width(&text));
    text + &" ".repeat(gap)
}

/// At most seven columns: `+0.1%`; what rounds to nothing has no sign.
fn percent(fraction: f64) -> String {
    let text = format!("{:+.1}%", (fraction * 100.0).clamp(-999.9, 999.9));
    if text == "-0.0%" || text == "+0.0%" { "0.0%".into() } else { text }
}

/// At most six columns: `0.25s`, `10.0s`, `999.9s`; finer than `seconds`, because drift shows in it.
fn period(span: Span) -> String {
    match span.as_secs_f64().max(0.0) {
        s if s < 10.0 => format!("{s:.2}s"),
        s if s < 999.95 => format!("{s:.1}s"),
        _ => seconds(span),
    }
}

/// At most five columns: `3.2s`, `95s`, `12m`, `3h`, `99h+`.
fn seconds(span: Span) -> String {
    match span.as_secs_f64().max(0.0) {
        s if s < 10.0 => format!("{s:.1}s"),
        s if s < 120.0 => format!("{s:.0}s"),
        s if s < 7200.0 => format!("{:.0}m", s / 60.0),
        s if s < 360_000.0 => format!("{:.0}h", s / 3600.0),
        _ => "99h+".into(),
    }
}

/// At most five columns: `99999`, `1234k`, `9999M`.
fn short(count: u64) -> String {
    match count {
        0..=99_999 => count.to_string(),
        100_000..=9_999_999 => format!("{}k", count / 1000),
        _ => format!("{}M", (count / 1_000_000).min(9999)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature() -> FeatureProgress {
        FeatureProgress {
            name: "account_balance".into(),
            messages: 1234,
            pairs: 1200,
            age: Some(Span::from_millis(3200)),
            interval: Span::from_secs(10),
            drift: Some(0.0012),
            mismatches: 0,
            findings_fail: 0,
            failed: false,
        }
    }

    fn progress() -> Progress {
        Progress {
            at: Timestamp::parse_rfc3339("2025-12-19T14:31:02.5Z"),
            connected: true,
            since: Timestamp::parse_rfc3339("2025-12-19T14:30:00Z"),
            opens: 1,
            features: vec![feature()],
            last_finding: None,
        }
    }

    #[test]
    fn a_feature_takes_one_line_of_fixed_columns() {
        let line = feature_line(&feature(), false);
        assert_eq!(HEAD, "     feature          last  every    of   drift messages  pairs differ findings");
        assert_eq!(line, "     account_balance  3.2s  10.0s   10s   +0.1%     1234   1200      0        0");
        let mut wild = feature();
        wild.name = "a_very_long_\u{1b}name[2J_that_never_ends".into();
        (wild.messages, wild.pairs, wild.mismatches) = (u64::MAX, 99_999_999, 100_000);
        (wild.age, wild.drift, wild.failed) = (Some(Span(i64::MAX)), Some(-9.999), true);
        (wild.interval, wild.findings_fail) = (Span::from_secs(1_000_000), u64::MAX);
        let line = feature_line(&wild, false);
        assert!(line.starts_with("FAIL a_very_long_na…") && !line.contains('\u{1b}'), "{line}");
        for line in [line, feature_line(&feature(), false), HEAD.into()] {
            assert!(width(&line) <= COLUMNS, "{} {line}", width(&line));
        }
    }

    #[test]
    fn no_drift_has_no_sign() {
        assert_eq!([0.0, -0.0004, 0.0004].map(percent), ["0.0%"; 3]);
        assert_eq!([0.0012, -0.05, 99.0].map(percent), ["+0.1%", "-5.0%", "+999.9%"]);
    }

    #[test]
    fn the_connection_is_said_without_colour() {
        let now = Timestamp::parse_rfc3339("2025-12-19T14:31:02.5Z").unwrap();
        let mut progress = progress();
        let line = |progress: &Progress, market| connection_line(progress, now, "0:07", market, false);
        assert_eq!(line(&progress, ""), "     connected for 1:02   0:07");
        progress.opens = 3;
        let said = line(&progress, "XNYS closes in 6:28:57");
        assert_eq!(said, "     connected, opened 3 times, for 1:02   0:07   XNYS closes in 6:28:57");
        progress.connected = false;
        assert_eq!(line(&progress, ""), "     NOT CONNECTED for 1:02   0:07");
        (progress.opens, progress.since) = (0, None);
        assert_eq!(line(&progress, ""), "     not connected yet   0:07");
    }

    #[test]
    fn the_last_finding_says_how_old_it_is() {
        let now = Timestamp::parse_rfc3339("2025-12-19T14:31:02.5Z").unwrap();
        let mut progress = progress();
        assert_eq!(last_line(&progress, now, false), "     no failing finding so far");
        progress.last_finding = Some((now - Span::from_secs(3), "gap in \u{1b}[2Jpositions".into()));
        assert_eq!(last_line(&progress, now, false), "     3.0s ago: gap in [2Jpositions");
    }

    #[test]
    fn the_next_event_of_any_market_is_told() {
        let named = |name| Arc::new(crate::calendar::shipped::find(name).unwrap());
        let markets = [named("XNYS"), named("XLON")];
        let at = |text| Timestamp::parse_rfc3339(text).unwrap();
        let said = |text| next_event(&markets, at(text)).unwrap();
        assert_eq!(said("2025-12-19T14:29:12Z"), "XNYS opens in 0:48");
        assert_eq!(said("2025-12-19T14:30:00Z"), "XLON closes in 2:00:00");
        assert_eq!(said("2025-12-20T00:00:00Z"), "XLON opens in 2 days");
        assert_eq!(next_event(&[Arc::new(CalendarRule::always())], at("2025-12-19T14:29:12Z")), None);
    }

    #[test]
    fn the_time_is_told_as_on_a_stopwatch() {
        let at = |seconds| Timestamp(Span::from_secs(seconds).0);
        assert_eq!(elapsed(at(0), at(192), Some(at(600))), "3:12 of 10:00");
        assert_eq!(elapsed(at(0), at(601), Some(at(600))), "10:00 of 10:00");
        assert_eq!(elapsed(at(5), at(3 * 3600 + 12), None), "3:00:07");
    }

    #[test]
    fn a_log_gets_one_line() {
        assert_eq!(
            plain_line(&progress()),
            "2025-12-19T14:31:02Z connected; account_balance: 1234 messages, 1200 pairs, 0 differ, last 3.2s ago"
        );
    }

    /// Draws for three seconds; on a terminal: `cargo test look_at_the_view -- --ignored --nocapture`.
    #[test]
    #[ignore = "for the eye"]
    fn look_at_the_view() {
        use crate::cli::arguments::{ColorChoice, Global};
        let console = Console::open(&Global { quiet: false, verbose: 0, color: ColorChoice::Auto });
        let mut live =
            Live::start(&console, &crate::contract::builtin(&|_| None).unwrap(), Timestamp(0), None);
        let mut progress = progress();
        progress.features.push(FeatureProgress { name: "positions".into(), failed: true, ..feature() });
        for i in 0..30 {
            progress.features[0].messages += i;
            let now = Timestamp(i as i64 * 1_000_000_000);
            let finding = format!("value_mismatch in positions, number {i} {}", "x".repeat(90));
            progress.last_finding = Some((now, finding));
            live.update(&progress, now);
            if i == 15 {
                console.note("a line above the view");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        live.finish();
    }
}
