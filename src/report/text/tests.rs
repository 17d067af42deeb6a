//! The text result at several widths, with and without colour, and with hostile content.

use super::*;
use crate::model::Class;
use crate::model::text::is_control;
use crate::report::sample;
use crate::report::terminal::width;

fn text(outcome: &Outcome, width: usize) -> String {
    to_text(outcome, Layout { width, colour: false }, "")
}

fn widest(text: &str) -> usize {
    text.lines().map(width).max().unwrap_or(0)
}

fn without_colour(text: &str) -> String {
    let mut plain = String::new();
    let mut parts = text.split("\u{1b}[");
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        plain.push_str(part.split_once('m').expect("only colours are sent").1);
    }
    plain
}

#[test]
fn it_fits_its_width_and_sends_no_codes() {
    for outcome in [sample::passing(), sample::failing(), sample::inconclusive(), sample::hostile()] {
        for width in [60, 80, 100, 120, 160] {
            let text = text(&outcome, width);
            assert!(widest(&text) <= width, "{} > {width}\n{text}", widest(&text));
            assert!(!text.chars().any(|c| is_control(c) && c != '\n'), "{text:?}");
            assert!(!text.lines().any(|line| line.ends_with(' ')), "{text}");
        }
    }
}

#[test]
fn colour_changes_no_text() {
    for outcome in [sample::passing(), sample::failing(), sample::hostile()] {
        let coloured = to_text(&outcome, Layout { width: 100, colour: true }, "");
        assert!(coloured.contains('\u{1b}'));
        assert_eq!(without_colour(&coloured), text(&outcome, 100));
    }
}

#[test]
fn a_failure_reads_as_one() {
    let coloured = to_text(&sample::failing(), Layout { width: 80, colour: true }, "");
    assert!(coloured.contains("\u{1b}[1;31mFAIL\u{1b}[0m"));
    let text = text(&sample::failing(), 80);
    let verdicts: Vec<_> = text.lines().filter(|line| line.starts_with("FAIL")).collect();
    assert_eq!(verdicts, ["FAIL  1 of 4 features fails: positions (values-match)"; 2]);
    let last: Vec<_> = text.lines().rev().take(2).collect();
    assert_eq!(
        last,
        [
            "      1 of 4 features is not proven: intraday_bar (interval-match)",
            "FAIL  1 of 4 features fails: positions (values-match)"
        ]
    );
    for part in [
        "value_mismatch in positions, field pnl: 26",
        "REST 1200.00, WebSocket 1250.00, difference 50.00",
        "account_id=123, symbol=AAPL",
        "--- REST",
        "+++ WebSocket",
        "-      \"pnl\": 1200.00,",
        "+      \"pnl\": 1250.00,",
        "do not enable WS_FEATURE_POSITIONS",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_pass_and_a_lack_of_evidence_say_what_they_are() {
    let pass = text(&sample::passing(), 80);
    assert!(pass.contains("\nPASS  4 features, 24 checks, all pass\n"), "{pass}");
    assert!(!pass.contains("FAIL") && !pass.contains("Findings"), "{pass}");
    let lacking = text(&sample::inconclusive(), 80);
    assert!(lacking.contains("\nINCONCLUSIVE  1 of 4 features is not proven"), "{lacking}");
    assert!(lacking.contains("no-gaps (before-enabling) lacks evidence: needs 5 ticks a"), "{lacking}");
}

#[test]
fn what_a_run_lacks_is_remarked_once() {
    let mut outcome = sample::passing();
    (outcome.interrupted, outcome.other_contract, outcome.damaged) = (true, true, 1);
    outcome.notes = vec!["interrupted: no end".into(), "beyond the horizon of XNYS".into()];
    let text = text(&outcome, 120);
    let remarks: Vec<_> = text.lines().filter(|line| line.starts_with("! ")).collect();
    assert_eq!(remarks, ["! interrupted: no end", "! beyond the horizon of XNYS"]);
}

#[test]
fn many_kinds_of_findings_stay_readable() {
    let mut outcome = sample::failing();
    for (i, class) in Class::ALL.iter().enumerate() {
        let mut finding = sample::mismatch();
        (finding.class, finding.severity) = (*class, class.severity());
        finding.field = format!("field_{i}");
        outcome.samples.push(finding);
    }
    let text = text(&outcome, 80);
    assert_eq!(text.lines().filter(|line| line.starts_with("5. ")).count(), 1);
    assert!(!text.contains("\n6. ") && text.contains("\nbesides: "));
    assert!(!text.contains("rest_stale"), "what is merely worth knowing stands in findings.csv");
}

#[test]
fn one_check_in_two_phases_is_told_apart() {
    let mut outcome = sample::failing();
    for feature in &mut outcome.features {
        let mut again = feature.checks.iter().find(|c| c.check == "values-match").unwrap().clone();
        again.phase = Phase::AfterEnabling;
        feature.checks.insert(6, again);
    }
    for width in [80, 160] {
        let text = text(&outcome, width);
        assert_eq!(text.matches(" values-match (before-enabling)").count(), 4, "{text}");
        assert_eq!(text.matches(" values-match (after-enabling)").count(), 4);
        assert!(text.contains("positions (values-match)\n"), "named once\n{text}");
        assert!(widest(&text) <= width);
        let limits: Vec<_> = text.lines().filter(|line| line.starts_with(" values-match  ")).collect();
        assert_eq!(limits.len(), usize::from(width == 80), "the same limit once\n{text}");
    }
    let text = text(&sample::failing(), 160);
    assert!(text.contains(
        "not asked: after-enabling (websocket-only, resources-flat, logs-clean); before-deleting (signed-off)"
    ));
}

#[test]
fn an_empty_run_is_said() {
    let mut outcome = sample::passing();
    outcome.features.clear();
    (outcome.first, outcome.last, outcome.observations) = (None, None, 0);
    outcome.verdict = Verdict::Inconclusive;
    let text = text(&outcome, 80);
    assert!(text.starts_with("cutover 0.1.0\nseen nothing, 0 observations\n"), "{text}");
    assert!(text.contains("INCONCLUSIVE  no check was asked, so nothing is proven"), "{text}");
}

#[test]
fn spans_are_rounded_for_people() {
    for (nanos, expected) in [
        (4_912_345_678, "4.91s"),
        (615_432_000_000, "615s"),
        (600_000_000_000, "10m"),
        (1_234_567, "1.23ms"),
        (999, "999ns"),
        (0, "0s"),
    ] {
        assert_eq!(rounded(Span(nanos)).to_string(), expected);
    }
}

/// Prints the samples for a look: `cargo test --lib look_at_the_text -- --ignored --nocapture`.
#[test]
#[ignore = "for the eye"]
fn look_at_the_text() {
    for outcome in [sample::passing(), sample::failing(), sample::inconclusive()] {
        for width in [80, 160] {
            println!("{}\n{}", "#".repeat(width), text(&outcome, width));
        }
    }
}
