//! Nothing new on either side: who is quiet, who is dead, and what is frozen.

use super::*;

/// A stream that repeats itself unchanged by the clock is not quiet: it is dead when it falls silent.
#[test]
fn silence_after_unchanged_repeats_is_a_gap_though_rest_is_quiet() {
    let repeats = |n: u32, and: &[u32]| {
        let mut script = Script::new(&balances());
        script.open(0.0);
        for k in 0..40 {
            let t = f64::from(k) * 10.0 + 1.0;
            if k < n || and.contains(&k) {
                script.ws(t + 0.05, ws_body(1.0, "100.00"));
            }
            script.rest(t + 4.0, t + 4.1, "balance", rest_body(1.0, "100.00"));
        }
        script.end(405.0).run()
    };
    let told = repeats(27, &[]);
    assert_eq!(told.lines(), ["gap id=1"]);
    assert_eq!(told.verdict("no-gaps"), Verdict::Fail);
    // One is missing in the middle.
    assert_eq!(repeats(27, &[28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39]).lines(), ["gap id=1"]);
    assert_eq!(repeats(40, &[]).lines(), Vec::<String>::new());
    // Some repeats are no timer.
    assert_eq!(repeats(4, &[20]).lines(), Vec::<String>::new());
}

#[test]
fn a_feed_is_frozen_only_by_messages_that_come_after_newer_versions() {
    // Unchanged on both sides for long; then REST moves on while the connection is down, or the WebSocket follows.
    let mut script = Script::new(&balances());
    script.open(0.0);
    for k in 0..20 {
        let t = f64::from(k) * 10.0 + 1.0;
        script.ws(t + 0.05, ws_body(1.0, "100.00"));
        script.rest(t + 4.0, t + 4.1, "balance", rest_body(1.0, "100.00"));
    }
    script.close(200.0, ClosedBy::Us);
    for k in 20..24 {
        let t = f64::from(k) * 10.0 + 1.0;
        script.rest(t + 4.0, t + 4.1, "balance", rest_body(t, "100.00"));
    }
    script.event(240.5, cutover::model::Event::WsOpen { conn: 0 });
    for k in 24..30 {
        add(&mut script, k, Some("100.00"), Some("100.00"));
    }
    let told = script.end(305.0).run();
    assert_eq!(told.count(Class::Frozen), 0, "{:?}", told.lines());
}
