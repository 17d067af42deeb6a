//! REST lags behind the WebSocket by several intervals, as a cache does.

use super::*;

/// REST shows what was born `lag` seconds ago, as a cache would; it is asked every `poll` seconds.
fn lagging(lag: f64, poll: f64, until: f64, ws: impl Fn(u32) -> Option<&'static str>) -> Script {
    let mut script = Script::new(&balances());
    script.open(0.5);
    for k in 0.. {
        let t = f64::from(k) * 10.0 - 99.0;
        if t > until {
            break;
        }
        if let (true, Some(cash)) = (t > 0.5, ws(k)) {
            script.ws(t + 0.05, ws_body(t, cash));
        }
    }
    let mut sent = 0.7;
    while sent < until {
        let shown = ((sent - lag + 99.0) / 10.0).floor() * 10.0 - 99.0;
        script.rest(sent, sent + 0.1, "balance", rest_body(shown, "100.00"));
        sent += poll;
    }
    script
}

#[test]
fn a_slow_rest_shows_at_the_start_what_was_said_before_we_listened() {
    for (lag, poll) in [(15.0, 10.0), (3.0, 1.0), (9.5, 1.0), (25.0, 5.0), (60.0, 10.0)] {
        let told = lagging(lag, poll, 200.0, |_| Some("100.00")).end(203.0).run();
        assert_eq!(told.lines(), Vec::<String>::new(), "{lag} {poll}");
        assert_eq!(told.outcome.verdict, Verdict::Pass, "{lag} {poll}");
        // The first message that is lost while we listen is missing all the same.
        let told = lagging(lag, poll, 200.0, |k| (k != 11).then_some("100.00")).end(203.0).run();
        assert_eq!(told.count(Class::MissingOnWs), 1, "{lag} {poll}: {:?}", told.lines());
    }
}

#[test]
fn what_a_slow_rest_shows_is_held_against_what_was_said_long_ago() {
    for lag in [15.0, 35.0, 60.0, 120.0] {
        let wrong = |k| Some(if k == 18 { "101.00" } else { "100.00" });
        let told = lagging(lag, 10.0, 400.0, wrong).end(403.0).run();
        assert_eq!(told.lines(), ["value_mismatch id=1 cash"], "{lag}");
        let told = lagging(lag, 10.0, 400.0, |k| (k != 18).then_some("100.00")).end(403.0).run();
        let mut lines = told.lines();
        lines.sort();
        assert_eq!(lines, ["gap id=1", "missing_on_ws id=1"], "{lag}");
    }
}
