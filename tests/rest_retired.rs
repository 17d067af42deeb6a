//! `rest-retired`: an endpoint may go away once nobody asked it for so many whole sessions, and logs that
//! would show it were alive all the time.

mod common;

use common::{HEAD, Script, contract};
use cutover::checks::{Provenance, conclude};
use cutover::contract::Contract;
use cutover::engine::Engine;
use cutover::evidence::{NotOneEvidence, merge};
use cutover::model::{EndReason, Event, Observation, Outcome, Phase, Span, Verdict};
use cutover::report::json;
use std::sync::Arc;

/// A session of 600 s every day, from the scripts' zero on.
const HOURS: &str = r#"
[calendar.SHORT]
tz = "UTC"
covered = ["2025-12-01", "2025-12-31"]
days = "Mon-Sun"
hours = [{ from = "2025-12-01", segments = ["14:30-14:40"] }]
"#;
const FEATURE: &str = r#"
[[feature]]
name = "balance"
flag = "WS_FEATURE_BALANCE"
align = "time"
interval = "10s"
key = ["id"]
time = "ts"
rest = { path = "/api/balances", poll = "10s", records = "/accounts" }
ws = { type = "balance", records = "/data" }
[feature.fields]
id = { type = "integer" }
cash = { type = "decimal" }
ts = { type = "timestamp" }
"#;
const RETIRED: &str = "[checks.rest-retired]\nsilence = \"30s\"\n";
const PATH: &str = "/api/balances";
const DAY: f64 = 86_400.0;

fn own(table: &str) -> Arc<Contract> {
    contract(&format!("{}{HOURS}{table}{FEATURE}", HEAD.replace("24/7", "SHORT")))
}

/// What an access log of one day shows, in seconds after the session's begin.
struct Log {
    day: u32,
    on: Option<bool>,
    from: f64,
    to: f64,
    every: f64,
    /// What keeps the log going, and who asks for it.
    alive: (&'static str, &'static str),
    /// When a page opens its WebSocket, and what it gets.
    socket: Option<(&'static str, u16)>,
    more: Vec<(f64, &'static str, &'static str, &'static str)>,
}

impl Default for Log {
    fn default() -> Log {
        Log {
            day: 0,
            on: Some(true),
            from: -60.0,
            to: 660.0,
            every: 20.0,
            alive: ("/api/orders", "Mozilla/5.0"),
            socket: Some(("/ws?token=***", 101)),
            more: Vec::new(),
        }
    }
}

fn quiet(day: u32) -> Log {
    Log { day, ..Log::default() }
}

/// The path is asked, so long after the session's begin.
fn asked(day: u32, seconds: f64) -> Log {
    Log { more: vec![(seconds, "GET", PATH, "Mozilla/5.0")], ..quiet(day) }
}

impl Log {
    fn run(&self) -> Vec<Observation<'static>> {
        let mut script = Script::new(&own(RETIRED));
        if let Some(on) = self.on {
            script.flag("WS_FEATURE_BALANCE", on);
        }
        let zero = f64::from(self.day) * DAY;
        let line = |script: &mut Script,
                    t: f64,
                    method: &'static str,
                    path: &'static str,
                    status,
                    agent: &'static str| {
            let event = Event::Frontend {
                method: method.into(),
                path: path.into(),
                feature: None,
                status: Some(status),
                agent: Some(agent.into()),
            };
            script.event(zero + t, event);
        };
        let mut t = self.from;
        while t <= self.to {
            line(&mut script, t, "GET", self.alive.0, 200, self.alive.1);
            t += self.every;
        }
        if let Some((path, status)) = self.socket {
            line(&mut script, self.from + 1.0, "GET", path, status, "Mozilla/5.0");
        }
        for (t, method, path, agent) in &self.more {
            line(&mut script, *t, method, path, 200, agent);
        }
        script.begins(zero + self.from).end(zero + self.to);
        script.observations()
    }
}

/// Judged in one go, as a replay of several captures.
fn judge(contract: &Arc<Contract>, runs: &[Vec<Observation<'static>>]) -> Outcome {
    let mut engine = Engine::new(contract.clone(), Box::new(|_| {}));
    for run in runs {
        run.iter().for_each(|observation| engine.observe(observation).unwrap());
        engine.end_of_capture();
    }
    engine.finish();
    conclude(&engine, Provenance { phases: vec![Phase::BeforeDeleting], ..Provenance::default() })
}

/// Judged each by itself, through a report of its own, and merged.
fn gate(contract: &Arc<Contract>, runs: &[Vec<Observation<'static>>]) -> Result<Outcome, NotOneEvidence> {
    let alone = |run: &Vec<Observation<'static>>| {
        let mut outcome = judge(contract, std::slice::from_ref(run));
        outcome.capture_sha256 = vec![format!("{:?}", run[0].at)];
        json::from_json(&json::to_json(&outcome)).unwrap()
    };
    merge(&runs.iter().map(alone).collect::<Vec<_>>(), &[Phase::BeforeDeleting])
}

fn told(outcome: &Outcome) -> (Verdict, String) {
    let check = outcome.features[0].checks.iter().find(|c| c.check == "rest-retired").unwrap();
    (check.verdict.unwrap(), format!("{}; {}; {}", check.observed, check.evidence, check.note))
}

/// The same in one replay and over reports.
fn judged(table: &str, logs: &[Log]) -> (Verdict, String) {
    let runs: Vec<_> = logs.iter().map(Log::run).collect();
    let contract = own(table);
    let whole = told(&judge(&contract, &runs));
    assert_eq!(told(&gate(&contract, &runs).unwrap()), whole);
    whole
}

#[test]
fn it_is_asked_where_the_contract_says_so_and_stands_before_the_signatures() {
    let checks = |table: &str| {
        let outcome = judge(&own(table), &[quiet(0).run()]);
        outcome.features[0].checks.iter().map(|c| c.check).collect::<Vec<_>>()
    };
    assert!(!checks("").contains(&"rest-retired"));
    let asked = checks("[checks.rest-retired]\n");
    assert_eq!(asked[asked.len() - 3..], ["prod-logs-clean", "rest-retired", "signed-off"]);
    // A contract that does not ask leaves nothing of it in the report.
    let report = json::to_json(&judge(&own(""), &[quiet(0).run()]));
    assert!(!String::from_utf8(report).unwrap().contains("\"endpoint\""));
}

#[test]
fn an_endpoint_that_nobody_asked_for_two_whole_sessions_is_retired() {
    let (verdict, words) = judged(RETIRED, &[quiet(0), quiet(1)]);
    assert_eq!((verdict, &*words), (Verdict::Pass, "no request; 2 full sessions without a request; "));
    // As many as the contract says.
    let three = format!("{RETIRED}sessions = 3\n");
    let (verdict, words) = judged(&three, &[quiet(0), quiet(1)]);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(words.contains("2 of at least 3 full sessions without a request"), "{words}");
    let by_default = format!("{RETIRED}[checks.sessions-covered]\nsessions = 1\n");
    assert_eq!(judged(&by_default, &[quiet(0)]).0, Verdict::Pass);
    // Whatever the flag was, as long as it was not false.
    let untold = || Log { on: None, ..quiet(0) };
    assert_eq!(judged(&by_default, &[untold()]).0, Verdict::Pass);
}

#[test]
fn a_request_fails_it_a_pages_load_among_them() {
    // Right beside a WebSocket that opens: a load to `websocket-only`, a request here.
    let load = Log { more: vec![(-58.9, "GET", "/static/app.js", ""), (0.5, "GET", PATH, "")], ..quiet(1) };
    for second in [asked(1, 300.0), load, Log { to: 320.0, ..asked(1, 300.0) }] {
        let (verdict, words) = judged(RETIRED, &[quiet(0), second]);
        assert_eq!(verdict, Verdict::Fail, "{words}");
        assert!(
            words.starts_with("1 request, 2025-12-20T14:3") && words.contains(": GET /api/balances"),
            "{words}"
        );
    }
    let many = Log {
        more: vec![
            (10.0, "GET", PATH, "Mozilla"),
            (20.0, "HEAD", "/prefix/api/balances/?page=2", "kube-probe/1.2"),
            (599.0, "GET", "/api/balances?x=\u{7}", "curl/8 cutover/1"),
        ],
        ..quiet(0)
    };
    let (verdict, words) = judged(RETIRED, &[many]);
    assert_eq!(verdict, Verdict::Fail);
    let expect = "3 requests, 2025-12-19T14:30:10Z to 2025-12-19T14:39:59Z, the last GET /api/balances?x=";
    assert!(words.starts_with(expect), "{words}");
    // Another method, another path, a preflight: none of the endpoint's.
    let others = Log {
        more: vec![
            (10.0, "POST", PATH, ""),
            (20.0, "OPTIONS", PATH, ""),
            (30.0, "GET", "/api/balances/7", ""),
        ],
        ..quiet(0)
    };
    assert_eq!(judged(RETIRED, &[others, quiet(1)]).0, Verdict::Pass);
}

#[test]
fn sessions_count_from_the_last_request_on() {
    // While pages load once (after-enabling), then not any more.
    let (verdict, words) = judged(RETIRED, &[quiet(0), asked(1, 5.0), quiet(2), quiet(3)]);
    assert_eq!(verdict, Verdict::Pass, "{words}");
    assert!(
        words.starts_with("no request since; 1 request, 2025-12-20T14:30:05Z: GET /api/balances"),
        "{words}"
    );
    let (verdict, words) = judged(RETIRED, &[quiet(0), asked(1, 5.0), quiet(2)]);
    assert_eq!(verdict, Verdict::Inconclusive, "{words}");
    assert!(words.contains("1 of at least 2 full sessions without a request"), "{words}");
    // Quiet sessions before a request prove nothing, nor does a part of one after it.
    let part = Log { to: 300.0, ..quiet(3) };
    assert_eq!(judged(RETIRED, &[quiet(0), quiet(1), asked(2, 5.0), part]).0, Verdict::Fail);
}

#[test]
fn while_the_flag_is_false_requests_are_meant_to_be_and_silence_proves_nothing() {
    let off = |log: Log| Log { on: Some(false), ..log };
    let (verdict, words) = judged(RETIRED, &[off(quiet(0)), off(quiet(1))]);
    assert_eq!(verdict, Verdict::Inconclusive, "{words}");
    assert!(words.contains("no request of the frontend was seen in a market session"), "{words}");
    let (verdict, words) = judged(RETIRED, &[off(asked(0, 5.0)), quiet(1), quiet(2)]);
    assert_eq!(verdict, Verdict::Pass);
    assert!(words.contains("1 request while the flag was false, 2025-12-19T14:30:05Z"), "{words}");
    // A rollback in between: it was needed again.
    let (verdict, words) = judged(RETIRED, &[quiet(0), quiet(1), off(asked(2, 5.0))]);
    assert_eq!(verdict, Verdict::Inconclusive, "{words}");
}

#[test]
fn cutover_itself_and_ignored_clients_are_no_clients() {
    let monitored = |day| Log {
        more: vec![(100.0, "GET", PATH, "cutover/0.1.0"), (200.0, "GET", PATH, "kube-probe/1.29")],
        ..quiet(day)
    };
    let ignoring = format!("{RETIRED}ignore = [\"kube-probe\"]\n");
    let (verdict, words) = judged(&ignoring, &[monitored(0), monitored(1)]);
    assert_eq!(verdict, Verdict::Pass, "{words}");
    assert!(words.contains("4 by cutover or ignored clients"), "{words}");
    assert_eq!(judged(RETIRED, &[monitored(0), monitored(1)]).0, Verdict::Fail);
    // A canary alone keeps a quiet server's log alive, and shows that the path would stand in it.
    let canary = |day| Log { alive: (PATH, "kube-probe/1.29"), ..quiet(day) };
    assert_eq!(judged(&ignoring, &[canary(0), canary(1)]).0, Verdict::Pass);
}

#[test]
fn a_log_that_was_not_alive_all_the_time_covers_nothing_of_that() {
    for (what, log, share) in [
        ("only the first minute", Log { to: 60.0, ..quiet(1) }, "10.0 %"),
        ("it ends early", Log { to: 590.0, ..quiet(1) }, "96.6 %"),
        ("it begins late", Log { from: 20.0, ..quiet(1) }, "96.6 %"),
        ("rarely a line", Log { every: 31.0, ..quiet(1) }, ""),
    ] {
        let (verdict, words) = judged(RETIRED, &[quiet(0), log]);
        assert_eq!(verdict, Verdict::Inconclusive, "{what}: {words}");
        assert!(words.contains("1 of at least 2 full sessions without a request"), "{what}: {words}");
        let share = if share.is_empty() { String::new() } else { format!("2025-12-20 is {share} covered") };
        assert!(words.contains(&share), "{what}: {words}");
    }
    // A hole where a rotated file is missing.
    let mut holed = quiet(1).run();
    holed.retain(|o| !(200.0..300.0).contains(&((o.at - common::at(DAY)).as_secs_f64())));
    let (verdict, words) = told(&judge(&own(RETIRED), &[quiet(0).run(), holed]));
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(words.contains("2025-12-20 is 80.0 % covered"), "{words}");
    // No line in any session, and none at all.
    let night = Log { from: 5_000.0, to: 6_000.0, ..quiet(0) };
    for runs in [vec![night.run()], vec![]] {
        let (verdict, words) = told(&judge(&own(RETIRED), &runs));
        assert_eq!(verdict, Verdict::Inconclusive);
        assert!(words.contains("no request of the frontend was seen"), "{words}");
    }
}

#[test]
fn a_log_that_may_be_another_servers_proves_nothing() {
    let socket = "no WebSocket was opened in it";
    let beside = "nothing below /api was asked in it";
    for (what, log, why) in [
        ("no WebSocket", Log { socket: None, ..quiet(1) }, socket),
        ("another WebSocket", Log { socket: Some(("/hmr", 101)), ..quiet(1) }, socket),
        ("refused", Log { socket: Some(("/ws", 403)), ..quiet(1) }, socket),
        ("another prefix", Log { alive: ("/v2/balances", "x"), ..quiet(1) }, beside),
        ("a server of sockets alone", Log { alive: ("/healthz", "x"), ..quiet(1) }, beside),
    ] {
        let (verdict, words) = judged(RETIRED, &[quiet(0), log]);
        assert_eq!(verdict, Verdict::Inconclusive, "{what}: {words}");
        assert!(words.contains(why), "{what}: {words}");
    }
}

#[test]
fn an_interrupted_run_covers_nothing_and_its_requests_count() {
    let torn = |log: Log| {
        let mut run = log.run();
        let Some(Observation { event: Event::End { reason }, .. }) = run.last_mut() else { panic!() };
        *reason = EndReason::Interrupted;
        run
    };
    let contract = own(RETIRED);
    let outcome = judge(&contract, &[quiet(0).run(), torn(quiet(1))]);
    assert_eq!(told(&outcome).0, Verdict::Inconclusive);
    assert_eq!(told(&gate(&contract, &[quiet(0).run(), torn(quiet(1))]).unwrap()).0, Verdict::Inconclusive);
    assert_eq!(told(&gate(&contract, &[quiet(0).run(), torn(asked(1, 5.0))]).unwrap()).0, Verdict::Fail);
}

#[test]
fn it_adds_up_over_captures_and_overlaps_are_refused() {
    // Two halves of a day are one session; one day that is there twice is one.
    let half = |from, to| Log { from, to, ..quiet(1) }.run();
    let contract = own(RETIRED);
    let runs = [quiet(0).run(), half(-60.0, 300.0), half(300.0, 660.0)];
    assert_eq!(told(&gate(&contract, &runs).unwrap()).0, Verdict::Pass);
    let twice = [quiet(0).run(), quiet(0).run()];
    let (verdict, words) = told(&gate(&contract, &twice).unwrap());
    assert_eq!((verdict, words.contains("1 of at least 2")), (Verdict::Inconclusive, true), "{words}");
    let refused = gate(&contract, &[quiet(0).run(), half(-60.0, 300.0), half(280.0, 660.0)]).unwrap_err();
    let NotOneEvidence::Overlap { from, to, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(to - from, Span::from_secs(20));
}

#[test]
fn who_asks_while_the_market_is_closed_needs_it_too() {
    // Before the first session: two quiet ones follow.
    let (verdict, words) = judged(RETIRED, &[asked(0, -30.0), quiet(1)]);
    assert_eq!(verdict, Verdict::Pass);
    assert!(words.contains("1 outside market hours"), "{words}");
    // In the night between the two: one follows.
    let (verdict, words) = judged(RETIRED, &[asked(0, 630.0), quiet(1)]);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(words.contains("1 of at least 2 full sessions without a request"), "{words}");
    // Behind the last: none does.
    let (verdict, words) = judged(RETIRED, &[quiet(0), asked(1, 630.0)]);
    assert_eq!(verdict, Verdict::Fail);
    assert!(words.contains("1 request") && words.contains("1 outside market hours"), "{words}");
}

#[test]
fn what_the_contract_says_wrongly_is_told() {
    for (table, words) in [
        ("[checks.rest-retired]\nsessions = 0\n", "`sessions` must be at least 1"),
        ("[checks.rest-retired]\nsilence = \"0s\"\n", "`silence` must be longer than zero"),
        ("[checks.rest-retired]\nignore = [\"\"]\n", "an empty name in `ignore`"),
        ("[checks.rest-retired]\nafter = 1\n", "after"),
        ("[checks.rest-retire]\n", "rest-retired"),
    ] {
        let text = format!("{HEAD}{table}{FEATURE}");
        let errors = cutover::contract::parse("test.toml", &text, &|_| None, false).unwrap_err();
        let told: String = errors.iter().map(|error| error.render()).collect();
        assert!(told.contains(words), "{told}");
    }
    // One feature alone, by its own table.
    let table = "[feature.checks.rest-retired]\nsessions = 1\n";
    let alone = contract(&format!("{HEAD}{FEATURE}{table}"));
    let retired = alone.features[0].limits.retired.clone().unwrap();
    assert_eq!((retired.sessions, retired.silence), (Some(1), Span::from_secs(300)));
}
