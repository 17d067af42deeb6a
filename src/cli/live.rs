//! Owns what a running run shows on stderr: a line a feature and one for the connection on a
//! terminal, a plain line now and then elsewhere, nothing when quiet. Must not judge or print results.

#![allow(clippy::disallowed_types)] // how often a line is shown is told by the machine's clock

use super::console::Console;
use crate::model::outcome::{FeatureProgress, Progress};
use crate::model::{Span, Timestamp};
use crate::report::terminal::{Page, Style, clean, shortened, width};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// Between two plain lines, where stderr is no terminal: a log stays short.
const PLAIN_EVERY: Duration = Duration::from_secs(15);
/// Columns of a feature's name.
const NAME_COLUMNS: usize = 17;
/// Columns of the whole: the view is cut by the terminal, not broken, but this much is always seen.
const COLUMNS: usize = 79;

/// A live view; whoever runs the run hands it the newest `Progress` about five times a second.
#[derive(Debug)]
pub struct Live {
    view: View,
    colour: bool,
    began: Timestamp,
    ends: Option<Timestamp>,
}

#[derive(Debug)]
enum View {
    Silent,
    Lines { console: Console, next: Instant },
    Bars { console: Console, connection: ProgressBar, features: Vec<ProgressBar> },
}

impl Live {
    pub fn start(console: &Console, began: Timestamp, ends: Option<Timestamp>) -> Live {
        let view = match (console.quiet, console.live) {
            (true, _) => View::Silent,
            (false, false) => View::Lines { console: console.clone(), next: Instant::now() + PLAIN_EVERY },
            (false, true) => View::Bars {
                console: console.clone(),
                connection: console.progress().add(bar()),
                features: Vec::new(),
            },
        };
        Live { view, colour: console.colour_err, began, ends }
    }

    pub fn update(&mut self, progress: &Progress, now: Timestamp) {
        let elapsed = elapsed(self.began, now, self.ends);
        match &mut self.view {
            View::Silent => {}
            View::Lines { console, next } => {
                let now = Instant::now();
                if now >= *next {
                    *next = now + PLAIN_EVERY;
                    console.note(&plain_line(progress));
                }
            }
            View::Bars { console, connection, features } => {
                while features.len() < progress.features.len() {
                    // Above the connection's line, which stays the last.
                    features.push(console.progress().insert_before(connection, bar()));
                }
                for (bar, feature) in features.iter().zip(&progress.features) {
                    bar.set_message(feature_line(feature, self.colour));
                }
                connection.set_message(connection_line(progress, &elapsed, self.colour));
            }
        }
    }

    /// Takes the view away; what it showed stands in the report.
    pub fn finish(self) {
        if let View::Bars { console, connection, features } = self.view {
            features.iter().chain([&connection]).for_each(ProgressBar::finish_and_clear);
            // The report is printed all the same if the terminal has gone.
            let _ = console.progress().clear();
        }
    }
}

/// A line of text that indicatif cuts at the terminal's width.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new_spinner().with_style(style)
}

fn feature_line(feature: &FeatureProgress, colour: bool) -> String {
    let mut page = Page::new(colour);
    let (state, tone) = match (feature.failed, feature.messages) {
        (true, _) => ("FAIL", Style::Bad),
        (false, 0) => ("none", Style::Unsure),
        (false, _) => ("    ", Style::Plain),
    };
    page.put(tone, state).plain(" ").plain(&padded(&feature.name, NAME_COLUMNS));
    page.plain(&format!(" {:>5} msg {:>5} pairs age ", short(feature.messages), short(feature.pairs)));
    let late = feature.age.is_some_and(|age| age > feature.interval * 2);
    let age = format!("{:>5}", feature.age.map_or("-".into(), seconds));
    page.put(if late { Style::Unsure } else { Style::Plain }, &age);
    let drift = feature.drift.map_or("-".into(), percent);
    page.plain(&format!(" {drift:>7} drift "));
    let tone = if feature.mismatches > 0 { Style::Bad } else { Style::Plain };
    page.put(tone, &format!("{:>5} diff", short(feature.mismatches)));
    page.finish()
}

fn connection_line(progress: &Progress, elapsed: &str, colour: bool) -> String {
    let mut page = Page::new(colour);
    let (state, tone) = connection(progress);
    page.plain(&format!("     {elapsed}  ")).put(tone, &state);
    if let Some(finding) = &progress.last_finding {
        let room = COLUMNS.saturating_sub(width(elapsed) + width(&state) + 15);
        page.plain(", last: ").plain(&shortened(&clean(finding), room));
    }
    page.finish()
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
        (true, opens) => (format!("connected, opened {opens} times"), Style::Unsure),
        (false, 0) => ("not connected yet".into(), Style::Unsure),
        (false, _) => ("NOT CONNECTED".into(), Style::Bad),
    }
}

/// All of it on one line, for a log.
fn plain_line(progress: &Progress) -> String {
    let at = progress.at.map(|at| format!("{} ", whole_seconds(at))).unwrap_or_default();
    let mut line = format!("{at}{}", connection(progress).0);
    for feature in &progress.features {
        let FeatureProgress { name, messages, pairs, mismatches, .. } = feature;
        let age = feature.age.map(|age| format!(", last {} ago", seconds(age))).unwrap_or_default();
        let fail = if feature.failed { ", FAIL" } else { "" };
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
            opens: 1,
            features: vec![feature()],
            last_finding: None,
        }
    }

    #[test]
    fn a_feature_takes_one_line_of_fixed_columns() {
        assert_eq!(
            feature_line(&feature(), false),
            "     account_balance    1234 msg  1200 pairs age  3.2s   +0.1% drift     0 diff"
        );
        let mut wild = feature();
        wild.name = "a_very_long_\u{1b}name[2J_that_never_ends".into();
        (wild.messages, wild.pairs, wild.mismatches) = (u64::MAX, 99_999_999, 100_000);
        (wild.age, wild.drift, wild.failed) = (Some(Span(i64::MAX)), Some(-9.999), true);
        let line = feature_line(&wild, false);
        assert!(line.starts_with("FAIL a_very_long_name…") && !line.contains('\u{1b}'), "{line}");
        for line in [line, feature_line(&feature(), false)] {
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
        let mut progress = progress();
        assert_eq!(connection_line(&progress, "0:07", false), "     0:07  connected");
        (progress.opens, progress.last_finding) = (3, Some("gap in positions ".repeat(20)));
        let line = connection_line(&progress, "0:07 of 6:30:00", false);
        let begin = "     0:07 of 6:30:00  connected, opened 3 times, last: gap in positions";
        assert!(line.starts_with(begin) && width(&line) <= COLUMNS, "{line}");
        progress.connected = false;
        assert!(connection_line(&progress, "0:07", false).starts_with("     0:07  NOT CONNECTED"));
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
        let mut live = Live::start(&console, Timestamp(0), None);
        let mut progress = progress();
        progress.features.push(FeatureProgress { name: "positions".into(), failed: true, ..feature() });
        for i in 0..30 {
            progress.features[0].messages += i;
            progress.last_finding =
                Some(format!("value_mismatch in positions, number {i} {}", "x".repeat(90)));
            live.update(&progress, Timestamp(i as i64 * 1_000_000_000));
            if i == 15 {
                console.note("a line above the view");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        live.finish();
    }
}
