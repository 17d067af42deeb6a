//! More than one content under one event time, on either side.

use super::*;

#[test]
fn another_content_under_the_same_event_time_is_compared_too() {
    let shown = |cash: [&'static str; 5], heard: &[(f64, &str)]| {
        let mut script = clean(10);
        script.ws(101.05, ws_body(101.0, "100.00"));
        for (place, cash) in cash.into_iter().enumerate() {
            let sent = 102.0 + 1.5 * place as f64;
            script.rest(sent, sent + 0.1, "balance", rest_body(101.0, cash));
        }
        for (at, cash) in heard {
            script.ws(*at, ws_body(101.0, cash));
        }
        add(&mut script, 11, Some("100.00"), Some("100.00"));
        script.end(125.0).run()
    };
    let told = shown(["100.00", "101.00", "101.00", "101.00", "101.00"], &[]);
    assert_eq!(told.lines(), ["value_mismatch id=1 cash"]);
    let told = shown(["100.00", "101.00", "102.00", "102.00", "102.00"], &[]);
    assert_eq!(told.count(Class::ValueMismatch), 2);
    // The WebSocket said so as well, before REST or up to a settle after it.
    let told = shown(["100.00", "101.00", "101.00", "101.00", "101.00"], &[(105.5, "101.00")]);
    assert_eq!(told.lines(), ["duplicate id=1"]);
    assert_eq!(told.outcome.verdict, Verdict::Pass);
    let told = shown(["100.00", "100.00", "100.00", "100", "1e2"], &[]);
    assert_eq!(told.lines(), Vec::<String>::new());
}

#[test]
fn a_right_message_taken_back_by_a_wrong_one_is_told() {
    let with = |bad: std::ops::Range<u32>, after: f64| {
        let mut script = Script::new(&balances());
        script.open(0.0);
        for k in 0..20 {
            add(&mut script, k, Some("100.00"), Some("100.00"));
            let t = f64::from(k) * 10.0 + 1.0;
            if bad.contains(&k) {
                script.ws(t + after, ws_body(t, "99.00"));
            }
        }
        script.end(205.0).run()
    };
    // Once may be a cache on REST's side: two updates within one tick of the server's clock.
    assert_eq!(with(8..9, 0.5).lines(), ["duplicate id=1"]);
    // Within a settle nobody can tell.
    assert_eq!(with(8..12, 2.5).count(Class::ValueMismatch), 0);
    let told = with(8..12, 0.5);
    assert_eq!((told.count(Class::Duplicate), told.count(Class::ValueMismatch)), (4, 3));
    assert_eq!(told.outcome.features[0].measures.matched, 17);
    assert_eq!(told.verdict("values-match"), Verdict::Fail);
    assert!(told.first(Class::Duplicate).detail.ends_with("with another content"));
}

#[test]
fn a_wrong_message_that_stands_is_told_while_rest_repeats_the_right_one() {
    let mut script = clean(10);
    for k in 0..10 {
        let t = 101.0 + 10.0 * f64::from(k);
        script.ws(t + 0.05, ws_body(101.0, if k == 0 { "100.00" } else { "99.00" }));
        script.rest(t + 4.0, t + 4.1, "balance", rest_body(101.0, "100.00"));
    }
    let told = script.end(203.0).run();
    assert_eq!(told.count(Class::ValueMismatch), 1, "{:?}", told.lines());
    assert_eq!(told.verdict("values-match"), Verdict::Fail);
}

/// Under an event time that lasts, the WebSocket tells a change with its next tick.
#[test]
fn what_changes_under_one_event_time_may_come_with_the_next_tick_and_no_later() {
    for (behind, found) in [(0, false), (1, false), (2, true)] {
        let mut script = Script::new(&balances());
        script.open(0.0);
        for k in 0..20_u32 {
            let t = f64::from(k) * 10.0 + 1.0;
            let cash = |k: u32| if k < 8 { "100.00" } else { "101.00" };
            script.ws(t + 0.05, ws_body(1.0, cash(k.saturating_sub(behind))));
            // REST has it a second before the tick.
            script.rest(t - 1.0, t - 0.9, "balance", rest_body(1.0, cash(k)));
        }
        let told = script.end(205.0).run();
        assert_eq!(told.count(Class::ValueMismatch), usize::from(found), "{behind}: {:?}", told.lines());
        assert_eq!(told.count(Class::Duplicate), 0, "{behind}");
    }
}

#[test]
fn on_change_two_changes_may_share_an_event_time() {
    let text = common::BALANCE.replace("interval =", "cadence = \"on-change\"\ninterval =");
    let mut script = Script::new(&contract(&format!("{HEAD}{text}")));
    script.open(0.0);
    for k in 0..10 {
        let t = f64::from(k) * 10.0 + 1.0;
        script.ws(t + 0.05, ws_body(t, "100.00")).ws(t + 0.15, ws_body(t, "101.00"));
        script.rest(t + 4.0, t + 4.1, "balance", rest_body(t, "101.00"));
    }
    script.ws(91.2, ws_body(91.0, "101.00"));
    let told = script.end(105.0).run();
    assert_eq!(told.lines(), ["duplicate id=1"]);
}
