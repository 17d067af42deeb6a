use super::*;
use crate::model::Span;
use crate::report::sample;

fn text(outcome: &Outcome) -> String {
    String::from_utf8(to_html(outcome)).unwrap()
}

#[test]
fn verdict_checklist_and_every_section_stand_in_the_page() {
    let page = text(&sample::failing());
    for words in [
        "Checklist",
        "values-match",
        "How to reproduce",
        "Sign-off",
        "value_mismatch in positions, field pnl",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(page.find("Verdict").unwrap() < page.find("id=\"checks\"").unwrap());
    assert_eq!(
        page.matches("<svg").count(),
        page.matches("aria-label=\"").count()
            - page.matches("aria-label=\"Verdict\"").count()
            - page.matches("aria-label=\"Light or dark\"").count()
            - page.matches("aria-label=\"What to do next\"").count()
            - page.matches("aria-label=\"Filter of findings\"").count(),
        "every chart says what it shows"
    );
}

#[test]
fn nothing_is_loaded_and_no_style_stands_outside_the_one() {
    for outcome in [sample::passing(), sample::failing(), sample::inconclusive(), sample::hostile()] {
        let page = text(&outcome);
        for never in ["<link", "<img", "<iframe", "@import", " style=\"", " onclick", " src=\"", "url("] {
            assert!(!page.contains(never), "{never}");
        }
        assert!(page.contains("Content-Security-Policy") && page.contains("default-src &#39;none&#39;"));
    }
}

#[test]
fn what_a_server_sent_is_text() {
    let page = text(&sample::hostile());
    assert_eq!(page.matches("<script>").count(), 1, "the page's own");
    assert!(!page.chars().any(|c| crate::model::text::is_control(c) && c != '\n'), "no control code is left");
}

#[test]
fn what_drifts_is_drawn_and_what_did_not_tick_is_said() {
    let mut outcome = sample::failing();
    assert!(text(&outcome).contains("Drift: arrivals against the promised grid"));
    let measures = &mut outcome.features[0].measures;
    (measures.ticks, measures.streams_ws) = (60, 2);
    for tick in 0..60 {
        // Two streams, each half a second later with each tick but for some jitter.
        let jitter = Span::from_millis(if tick % 2 == 0 { 20 } else { -20 });
        let at = Timestamp(tick * 10_500_000_000);
        measures.timeline.stepped(at, Span::from_millis(500) + jitter);
        measures.timeline.stepped(at, Span::from_millis(500) - jitter);
    }
    let page = text(&outcome);
    assert!(page.contains("between 0s and +30s, +30s at the end"), "the mean of both, without the jitter");
}

#[test]
fn an_empty_run_gives_a_page_too() {
    let mut outcome = sample::inconclusive();
    (outcome.features, outcome.first, outcome.last) = (Vec::new(), None, None);
    assert!(text(&outcome).contains("nothing was seen"));
}
