//! SPEC §7, after enabling: what the frontend asked for, what processes used, what the logs said.

mod common;

use common::{HEAD, Script, Told, at, contract, fold};
use cutover::checks::{Provenance, conclude};
use cutover::contract::Contract;
use cutover::engine::Engine;
use cutover::evidence::merge;
use cutover::model::outcome::ProcessOutcome;
use cutover::model::{Class, Event, LogState, Observation, Outcome, Phase, Severity, Verdict};
use cutover::report::json;
use std::sync::Arc;

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

/// Shares the path of `balance`.
const TWIN: &str = r#"
[[feature]]
name = "buying_power"
flag = "WS_FEATURE_POWER"
align = "time"
interval = "10s"
key = ["id"]
time = "ts"
rest = { path = "/api/balances", poll = "10s", records = "/accounts" }
ws = { type = "power", records = "/data" }
[feature.fields]
id = { type = "integer" }
power = { type = "decimal" }
ts = { type = "timestamp" }
"#;

fn with(extra: &str) -> Arc<Contract> {
    contract(&format!("{HEAD}{extra}{FEATURE}"))
}

fn script(on: bool) -> Script {
    let mut script = Script::new(&with(""));
    script.flag("WS_FEATURE_BALANCE", on);
    script
}

fn request(script: &mut Script, t: f64, path: &str, status: Option<u16>) {
    let event = Event::Frontend {
        method: "GET".into(),
        path: path.to_string().into(),
        feature: None,
        status,
        agent: None,
    };
    script.event(t, event);
}

/// A page that loads at `t`: its data first, then its WebSocket.
fn page(script: &mut Script, t: f64) {
    request(script, t, "/", Some(200));
    request(script, t + 0.3, "/api/balances", Some(200));
    request(script, t + 0.5, "/ws?token=***", Some(101));
}

fn told(script: &mut Script, end: f64, phase: Phase) -> (Told, Outcome) {
    let told = script.end(end).run();
    (told, judged(script.contract(), &script.observations(), phase, None))
}

fn judged(
    contract: &Arc<Contract>,
    observations: &[Observation<'_>],
    phase: Phase,
    baseline: Option<Vec<ProcessOutcome>>,
) -> Outcome {
    let mut engine = Engine::new(contract.clone(), Box::new(|_| {}));
    if let Some(baseline) = baseline {
        engine.set_baseline(baseline);
    }
    for observation in observations {
        engine.observe(observation).unwrap();
    }
    engine.finish();
    conclude(&engine, Provenance { phases: vec![phase], ..Provenance::default() })
}

/// Verdict, observed and note of a check of the first feature.
fn check<'o>(outcome: &'o Outcome, name: &str) -> (Verdict, &'o str, &'o str) {
    let result = outcome.features[0].checks.iter().find(|c| c.check == name && c.verdict.is_some()).unwrap();
    (result.verdict.unwrap(), &result.observed, &result.note)
}

// ---- websocket-only ----

fn websocket_only(script: &mut Script, end: f64) -> (Verdict, String, String) {
    let (told, outcome) = told(script, end, Phase::AfterEnabling);
    assert_eq!(told.count(Class::RestStillPolled) as u64, polls(&outcome));
    let (verdict, observed, note) = check(&outcome, "websocket-only");
    (verdict, observed.into(), note.into())
}

fn polls(outcome: &Outcome) -> u64 {
    let counts = &outcome.features[0].measures.findings;
    counts.iter().find(|(class, _)| *class == Class::RestStillPolled).map_or(0, |(_, count)| *count)
}

#[test]
fn a_page_that_loads_once_and_lives_on_the_websocket_passes() {
    let mut script = script(true);
    page(&mut script, 1.0);
    // It reconnects, and asks again for what it may have missed.
    request(&mut script, 100.0, "/ws", Some(101));
    request(&mut script, 100.2, "/api/balances/", Some(200));
    // Other requests are none of the feature's.
    for (t, path) in [(20.0, "/api/balances/7"), (30.0, "/api/orders"), (40.0, "/static/balances")] {
        request(&mut script, t, path, Some(200));
    }
    let preflight = Event::Frontend {
        method: "OPTIONS".into(),
        path: "/api/balances".into(),
        feature: None,
        status: None,
        agent: None,
    };
    script.event(50.0, preflight);
    let (verdict, observed, note) = websocket_only(&mut script, 200.0);
    assert_eq!(
        (verdict, observed.as_str(), note.as_str()),
        (Verdict::Pass, "no poll, 2 loads of a page", "")
    );
}

#[test]
fn a_timer_that_goes_on_is_found_from_its_second_request() {
    let mut script = script(true);
    page(&mut script, 1.0);
    for k in 1..=5 {
        request(&mut script, 1.3 + 10.0 * f64::from(k), "/api/balances?_=5", Some(200));
    }
    let (verdict, observed, _) = websocket_only(&mut script, 100.0);
    assert_eq!((verdict, observed.as_str()), (Verdict::Fail, "5 rest_still_polled, 1 loads of a page"));
    let found = script.run();
    assert_eq!(found.first(Class::RestStillPolled).detail, "GET /api/balances?_=5, status 200");
    assert_eq!(found.first(Class::RestStillPolled).at, at(11.3));
}

#[test]
fn polls_of_many_pages_are_not_hidden_among_their_loads() {
    // A new page each 7 s loads once; one of them polls as well.
    let pages = |polls: bool| {
        let mut script = script(true);
        for k in 0..20 {
            page(&mut script, 1.0 + 7.0 * f64::from(k));
            if polls {
                request(&mut script, 4.0 + 7.0 * f64::from(k), "/api/balances", Some(200));
            }
        }
        websocket_only(&mut script, 150.0)
    };
    assert_eq!(pages(false).0, Verdict::Pass);
    assert_eq!(pages(true).0, Verdict::Fail);
}

#[test]
fn two_requests_of_one_load_are_one_too_many() {
    let mut script = script(true);
    page(&mut script, 1.0);
    request(&mut script, 2.0, "/api/balances", Some(200));
    request(&mut script, 2.1, "/api/balances?page=2", Some(200));
    let (verdict, observed, _) = websocket_only(&mut script, 100.0);
    assert_eq!((verdict, observed.as_str()), (Verdict::Fail, "1 rest_still_polled, 2 loads of a page"));
}

#[test]
fn without_evidence_it_is_inconclusive_and_says_why() {
    let lacking = |script: &mut Script, end: f64| {
        let (verdict, _, note) = websocket_only(script, end);
        assert_eq!(verdict, Verdict::Inconclusive, "{note}");
        note
    };
    assert_eq!(lacking(&mut script(true), 100.0), "no request of the frontend was seen (see cutover import)");
    let mut untold = Script::new(&with(""));
    page(&mut untold, 1.0);
    assert_eq!(lacking(&mut untold, 100.0), "the recording does not tell the flag's state");
    let mut unnamed = Script::new(&contract(&format!("{HEAD}{}", FEATURE.replace("flag =", "# flag ="))));
    page(&mut unnamed, 1.0);
    assert_eq!(lacking(&mut unnamed, 100.0), "the contract names no flag of this feature");
    let mut off = script(false);
    page(&mut off, 1.0);
    assert_eq!(lacking(&mut off, 100.0), "the frontend was seen only while the flag was false");
    let mut unopened = script(true);
    request(&mut unopened, 1.0, "/", Some(200));
    assert_eq!(lacking(&mut unopened, 100.0), "the frontend was not seen to open the WebSocket");
    let mut short = script(true);
    page(&mut short, 1.0);
    let note = lacking(&mut short, 12.0);
    assert!(note.starts_with("watched for 10.5s after the WebSocket opened; it takes 15s"), "{note}");
    // What comes right before the end may be the load of a page whose socket is about to open.
    let mut late = script(true);
    page(&mut late, 1.0);
    request(&mut late, 99.0, "/api/balances", Some(200));
    let (verdict, _, note) = websocket_only(&mut late, 100.0);
    assert_eq!(verdict, Verdict::Pass);
    assert_eq!(note, "1 requests at the end of a run, too late to tell loads from polls");
    // Without its end nobody knows what followed.
    let mut killed = script(true);
    page(&mut killed, 1.0);
    killed.event(100.0, Event::WsRtt { conn: 0, micros: 1 });
    let outcome = judged(killed.contract(), &killed.observations(), Phase::AfterEnabling, None);
    assert_eq!(check(&outcome, "websocket-only").0, Verdict::Inconclusive);
}

#[test]
fn a_refused_websocket_fails() {
    let mut script = script(true);
    for k in 0..5 {
        request(&mut script, 1.0 + f64::from(k), "/ws", Some(403));
    }
    let (verdict, observed, _) = websocket_only(&mut script, 100.0);
    assert_eq!((verdict, observed.as_str()), (Verdict::Fail, "no poll, 5 WebSockets refused (status 403)"));
}

#[test]
fn a_path_that_a_feature_shares_which_still_polls_proves_nothing() {
    let shared = |power: bool| {
        let mut script = Script::new(&contract(&format!("{HEAD}{FEATURE}{TWIN}")));
        script.flag("WS_FEATURE_BALANCE", true).flag("WS_FEATURE_POWER", power);
        page(&mut script, 1.0);
        for k in 1..=5 {
            request(&mut script, 1.3 + 10.0 * f64::from(k), "/api/balances", Some(200));
        }
        let (_, outcome) = told(&mut script, 100.0, Phase::AfterEnabling);
        let (verdict, _, note) = check(&outcome, "websocket-only");
        (verdict, note.to_string())
    };
    let (verdict, note) = shared(false);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(note.starts_with("6 requests of a path that a feature shares"), "{note}");
    assert_eq!(shared(true).0, Verdict::Fail);
}

#[test]
fn the_flags_effect_is_shown_from_before_to_after() {
    let run = |script: &mut Script, from: f64, every: f64, sockets: bool| {
        for k in 0..12 {
            let t = from + every * f64::from(k);
            request(script, t, "/api/balances", Some(200));
            if sockets {
                request(script, t + 0.2, "/ws", Some(101));
            }
        }
    };
    let two_runs = |after: &dyn Fn(&mut Script)| {
        let mut before = script(false);
        run(&mut before, 1.0, 10.0, false);
        let mut all = before.end(121.0).observations();
        let mut script = Script::new(&with(""));
        script.begins(200.0).flag("WS_FEATURE_BALANCE", true);
        after(&mut script);
        all.extend(script.end(321.0).observations());
        judged(&with(""), &all, Phase::AfterEnabling, None)
    };
    let quiet = two_runs(&|script| page(script, 201.0));
    assert_eq!(check(&quiet, "websocket-only").0, Verdict::Pass);
    let shown = &quiet.features[0].checks.iter().find(|c| c.check == "websocket-only").unwrap().confidence;
    assert_eq!(shown, "6.0 REST requests a minute without the flag, 0.5 with it");
    // Each request beside a WebSocket that opens: loads or polls, the flag changed nothing.
    let same = two_runs(&|script| run(script, 201.0, 10.0, true));
    let (verdict, _, note) = check(&same, "websocket-only");
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(note.starts_with("the flag changed too little: 6.0 REST requests a minute"), "{note}");
}

#[test]
fn the_flags_effect_is_shown_over_runs_that_were_judged_each_by_itself() {
    // As `gate` has it: reports of a shadow run and of one after enabling.
    let report = |script: &Script, n: u32| {
        let judged = judged(&with(""), &script.observations(), Phase::AfterEnabling, None);
        let mut read = json::from_json(&json::to_json(&judged)).unwrap();
        read.capture_sha256 = vec![n.to_string()];
        read
    };
    let run = |on: bool, begins: f64, fill: &dyn Fn(&mut Script, f64)| {
        let mut script = script(on);
        script.begins(begins);
        fill(&mut script, begins);
        script.end(begins + 120.0);
        script
    };
    let polls = |script: &mut Script, from: f64| {
        (0..12).for_each(|k| request(script, from + 10.0 * f64::from(k), "/api/balances", Some(200)));
    };
    let loads = |script: &mut Script, from: f64| {
        for k in 0..12 {
            let t = from + 10.0 * f64::from(k);
            request(script, t, "/api/balances", Some(200));
            request(script, t + 0.2, "/ws", Some(101));
        }
    };
    let before = report(&run(false, 0.0, &polls), 0);
    let gate = |after: &Script| {
        let merged = merge(&[before.clone(), report(after, 1)], &[Phase::AfterEnabling]).unwrap();
        let found = merged.features[0].checks.iter().find(|c| c.check == "websocket-only").unwrap();
        (found.verdict.unwrap(), found.confidence.clone(), found.note.clone())
    };
    let (verdict, effect, note) = gate(&run(true, 200.0, &page));
    assert_eq!((verdict, &*note), (Verdict::Pass, ""));
    assert_eq!(effect, "6.0 REST requests a minute without the flag, 0.5 with it");
    // By itself, the run with the flag passes: each request stands beside a WebSocket that opens.
    let same = run(true, 200.0, &loads);
    assert_eq!(check(&report(&same, 1), "websocket-only").0, Verdict::Pass);
    let (verdict, effect, note) = gate(&same);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert_eq!(effect, "6.0 REST requests a minute without the flag, 6.0 with it");
    assert!(note.starts_with("the flag changed too little: 6.0 REST requests a minute"), "{note}");
    let both = run(true, 200.0, &|script, from| {
        page(script, from);
        polls(script, from + 1.0);
    });
    let (verdict, effect, _) = gate(&both);
    assert_eq!(verdict, Verdict::Fail);
    assert_eq!(effect, "6.0 REST requests a minute without the flag, 6.5 with it");
    // Never watched with the flag: nothing to tell.
    let (verdict, effect, _) = gate(&run(false, 200.0, &polls));
    assert_eq!((verdict, &*effect), (Verdict::Inconclusive, ""));
}

#[test]
fn outside_market_hours_a_poll_is_a_note() {
    // XNYS closes at 21:00Z, 23,400 s after the scripts' zero.
    let mut script = Script::new(&contract(&format!("{}{FEATURE}", HEAD.replace("24/7", "XNYS"))));
    script.flag("WS_FEATURE_BALANCE", true);
    page(&mut script, 1.0);
    request(&mut script, 23_500.0, "/api/balances", Some(200));
    let found = script.end(23_600.0).run();
    assert_eq!(found.first(Class::RestStillPolled).severity, Severity::Info);
}

// ---- logs-clean ----

const SOURCE: &str = "[logs]\nsources = { prod = \"prod.log\" }\n";

fn log(script: &mut Script, t: f64, source: &'static str, line: &'static str) {
    script.event(t, Event::Log { source: source.into(), line: line.into() });
}

fn logs_clean(extra: &str, end: f64, fill: impl Fn(&mut Script)) -> (Verdict, String, String) {
    let mut script = Script::new(&with(extra));
    script.flag("WS_FEATURE_BALANCE", true);
    fill(&mut script);
    let (_, outcome) = told(&mut script, end, Phase::AfterEnabling);
    let (verdict, observed, note) = check(&outcome, "logs-clean");
    (verdict, observed.into(), note.into())
}

#[test]
fn a_log_without_a_matching_line_is_clean() {
    let clean = logs_clean(SOURCE, 100.0, |script| {
        log(script, 1.0, "prod", "INFO websocket connected");
        log(script, 2.0, "prod", "ERROR could not send a mail");
    });
    assert_eq!(clean, (Verdict::Pass, "none".into(), String::new()));
    // A log that is quiet because nothing is wrong, and was read all the time.
    let state = |state| Event::LogState { source: "prod".into(), state };
    let quiet = logs_clean(SOURCE, 100.0, |script| {
        script.event(0.0, state(LogState::Open));
        script.event(50.0, state(LogState::Lost)).event(51.0, state(LogState::Open));
    });
    assert_eq!(quiet.0, Verdict::Pass);
}

#[test]
fn a_matching_line_fails_whatever_its_case() {
    for line in [
        "WebSocket connection failed: 1006",
        "2025-12-19 14:30:00 ERROR daphne: wss://host/ws refused",
        "Fatal: could not broadcast to 5 clients",
    ] {
        let mut script = Script::new(&with(""));
        script.flag("WS_FEATURE_BALANCE", true);
        script.event(1.0, Event::Log { source: "app".into(), line: line.into() });
        let (found, outcome) = told(&mut script, 100.0, Phase::AfterEnabling);
        assert_eq!(check(&outcome, "logs-clean").0, Verdict::Fail, "{line}");
        let finding = found.first(Class::LogError);
        assert_eq!((&*finding.stream, finding.detail.as_str()), ("source=app", line));
    }
    let own = "[logs]\nerrors = [\"boom\"]\n";
    assert_eq!(logs_clean(own, 10.0, |s| log(s, 1.0, "a", "websocket error")).0, Verdict::Pass);
    assert_eq!(logs_clean(own, 10.0, |s| log(s, 1.0, "a", "it went boom")).0, Verdict::Fail);
}

#[test]
fn a_log_that_was_not_read_proves_nothing() {
    assert_eq!(logs_clean("", 10.0, |_| {}).2, "no log was read");
    let other = logs_clean(SOURCE, 10.0, |s| log(s, 1.0, "other", "fine"));
    assert_eq!((other.0, other.2.as_str()), (Verdict::Inconclusive, "log `prod` was never read"));
    let lost = logs_clean(SOURCE, 10.0, |script| {
        log(script, 1.0, "prod", "fine");
        script.event(2.0, Event::LogState { source: "prod".into(), state: LogState::Lost });
    });
    assert_eq!(lost.0, Verdict::Inconclusive);
    assert_eq!(lost.2, "log `prod` vanished at 2025-12-19T14:30:02Z and did not come back");
}

#[test]
fn production_logs_wait_for_their_sessions_but_fail_at_once() {
    let production = |line: &'static str| {
        let mut script = Script::new(&with(SOURCE));
        log(&mut script, 1.0, "prod", line);
        let (_, outcome) = told(&mut script, 10.0, Phase::BeforeDeleting);
        check(&outcome, "prod-logs-clean").0
    };
    assert_eq!(production("fine"), Verdict::Inconclusive);
    assert_eq!(production("websocket error"), Verdict::Fail);
}

// ---- resources-flat ----

/// A sample each second: CPU of a core, and memory in MiB, by second.
fn sampled(seconds: u32, cpu: impl Fn(u32) -> f64, mib: impl Fn(u32) -> f64) -> Script {
    let mut script = script(true);
    let mut used = 5.0;
    for k in 0..seconds {
        used += cpu(k);
        let event = Event::Sample {
            process: "backend".into(),
            cpu_seconds: used,
            rss_bytes: (mib(k) * 1_048_576.0) as u64,
        };
        script.event(f64::from(k), event);
    }
    script.end(f64::from(seconds));
    script
}

/// Noise that repeats and has no trend.
fn noise(k: u32) -> f64 {
    f64::from((k * 7_919 + (k % 101) * (k % 101) * 31) % 101) / 101.0 - 0.5
}

fn flat(seconds: u32) -> Script {
    sampled(seconds, |k| 0.2 + 0.05 * noise(k), |k| 180.0 + noise(k + 3))
}

fn used(script: &Script) -> Vec<ProcessOutcome> {
    fold(script.contract(), &script.observations(), false).outcome.processes
}

fn resources(script: &Script, baseline: Option<&Script>) -> Outcome {
    // What is folded once more with `advance` in between is the same.
    script.run();
    judged(script.contract(), &script.observations(), Phase::AfterEnabling, baseline.map(used))
}

#[test]
fn noise_around_the_same_level_is_flat() {
    let outcome = resources(&flat(120), Some(&flat(90)));
    let (verdict, observed, note) = check(&outcome, "resources-flat");
    assert_eq!((verdict, note), (Verdict::Pass, ""), "{observed}");
    assert_eq!(outcome.findings_fail, 0);
    // Far less than before is no increase.
    let less = sampled(120, |k| 0.1 + 0.05 * noise(k), |k| 90.0 + noise(k));
    assert_eq!(check(&resources(&less, Some(&flat(90))), "resources-flat").0, Verdict::Pass);
    // An idle process that uses a little more than nothing has no ratio.
    let idle = |cpu: f64| sampled(60, move |_| cpu, |_| 100.0);
    assert_eq!(check(&resources(&idle(0.000_5), Some(&idle(0.0))), "resources-flat").0, Verdict::Pass);
}

#[test]
fn a_shift_beyond_the_limit_fails() {
    let more_cpu = sampled(120, |k| 0.25 + 0.05 * noise(k), |k| 180.0 + noise(k));
    let outcome = resources(&more_cpu, Some(&flat(90)));
    assert_eq!(check(&outcome, "resources-flat").0, Verdict::Fail);
    let found = &outcome.samples[0];
    assert_eq!(
        (found.class, &*found.stream, found.field.as_str()),
        (Class::ResourceIncrease, "process=backend", "cpu")
    );
    assert!(
        found.detail.starts_with("CPU of backend +2") && found.detail.contains("p < 0.001"),
        "{}",
        found.detail
    );
    let more_memory = sampled(120, |k| 0.2 + 0.05 * noise(k), |k| 220.0 + noise(k));
    let outcome = resources(&more_memory, Some(&flat(90)));
    assert_eq!(outcome.samples.iter().map(|f| f.field.as_str()).collect::<Vec<_>>(), ["rss_bytes"]);
    // Within the limit, however significant.
    let little = sampled(120, |k| 0.2 + 0.05 * noise(k), |k| 190.0 + noise(k));
    assert_eq!(check(&resources(&little, Some(&flat(90))), "resources-flat").0, Verdict::Pass);
    // Beyond it, but no more than chance: the spread is far wider than the shift.
    let wild = |shift: f64| sampled(32, move |k| 0.2 + shift + 0.35 * noise(k), |_| 180.0);
    assert_eq!(check(&resources(&wild(0.03), Some(&wild(0.0))), "resources-flat").0, Verdict::Pass);
}

#[test]
fn a_leak_fails_and_a_warm_up_does_not() {
    let memory = |mib: &dyn Fn(u32) -> f64| {
        let script = sampled(600, |k| 0.2 + 0.05 * noise(k), |k| 180.0 + noise(k) + mib(k));
        let outcome = resources(&script, Some(&flat(90)));
        let found: Vec<String> = outcome.samples.iter().map(|f| f.detail.clone()).collect();
        (check(&outcome, "resources-flat").0, found)
    };
    // 6 MiB in ten minutes: a third within their reach of the limit, and 20 % in an hour.
    let (verdict, found) = memory(&|k| f64::from(k) * 0.01);
    assert_eq!(verdict, Verdict::Fail);
    assert!(found[0].starts_with("memory of backend grows +1") && found[0].contains("in 1h"), "{found:?}");
    // A saw-tooth of a garbage collector whose floor rises.
    assert_eq!(memory(&|k| f64::from(k) * 0.02 + f64::from(k % 40) * 0.2).0, Verdict::Fail);
    let sawtooth = |k: u32| f64::from(k % 40) * 0.2;
    let warm_up = |k: u32| 10.0 * (1.0 - (-f64::from(k) / 60.0).exp());
    let step = |k: u32| if k > 400 { 12.0 } else { 0.0 };
    let shapes: [&dyn Fn(u32) -> f64; 5] = [&|_| 0.0, &sawtooth, &warm_up, &step, &|k| -f64::from(k) * 0.05];
    for (n, shape) in shapes.into_iter().enumerate() {
        assert_eq!(memory(shape), (Verdict::Pass, vec![]), "shape {n}");
    }
}

#[test]
fn a_restart_is_no_negative_cpu_and_no_leak() {
    let mut script = script(true);
    for k in 0..120_u32 {
        // Both lives use a fifth of a core; the second begins with less memory, and with its counter at 0.
        let life = k % 60;
        let event = Event::Sample {
            process: "backend".into(),
            cpu_seconds: f64::from(life) * 0.2,
            rss_bytes: 188_743_680 + u64::from(k / 60) * 4_096,
        };
        script.event(f64::from(k), event);
    }
    script.end(120.0);
    let baseline = sampled(60, |_| 0.2, |_| 180.0);
    let outcome = resources(&script, Some(&baseline));
    assert_eq!(
        check(&outcome, "resources-flat"),
        (Verdict::Pass, check(&outcome, "resources-flat").1, "1 restarts")
    );
    let process = &outcome.processes[0];
    assert_eq!((process.restarts, process.samples, process.cpu_microcores.len()), (1, 120, 118));
    assert!(process.cpu_microcores.iter().all(|cpu| *cpu == 200_000));
}

#[test]
fn without_samples_or_baseline_it_is_inconclusive() {
    let note = |outcome: &Outcome| {
        let (verdict, _, note) = check(outcome, "resources-flat");
        assert_eq!(verdict, Verdict::Inconclusive, "{note}");
        note.to_string()
    };
    let mut none = script(true);
    none.end(100.0);
    assert_eq!(note(&resources(&none, Some(&flat(90)))), "no process was sampled");
    assert_eq!(note(&resources(&flat(90), None)), "no baseline was given (--baseline REPORT|CAPTURE)");
    let short = note(&resources(&flat(29), Some(&flat(90))));
    assert_eq!(short, "29 of at least 30 samples of `backend` in this run");
    let short = note(&resources(&flat(90), Some(&flat(29))));
    assert_eq!(short, "29 of at least 30 samples of `backend` in the baseline");
    let mut other = used(&flat(90));
    other[0].process = "worker".into();
    let outcome = judged(&with(""), &flat(90).observations(), Phase::AfterEnabling, Some(other));
    assert_eq!(note(&outcome), "the baseline has no samples of `backend`; it has worker");
    // It ended long before its run did.
    let mut gone = flat(60);
    gone.drop_last().end(400.0);
    let note = note(&resources(&gone, Some(&flat(90))));
    assert!(note.starts_with("`backend` was last seen at 2025-12-19T14:30:59"), "{note}");
}

#[test]
fn samples_of_a_long_run_are_thinned_and_counted_exactly() {
    let outcome =
        resources(&sampled(20_000, |k| 0.2 + 0.05 * noise(k), |k| 180.0 + noise(k + 3)), Some(&flat(90)));
    let process = &outcome.processes[0];
    assert_eq!(process.samples, 20_000);
    assert!((512..=1_024).contains(&process.rss_bytes.len()), "{}", process.rss_bytes.len());
    assert_eq!(check(&outcome, "resources-flat").0, Verdict::Pass);
}

#[test]
fn samples_outside_market_hours_are_counted_and_not_judged() {
    let contract = contract(&format!("{}{FEATURE}", HEAD.replace("24/7", "XNYS")));
    let mut script = Script::new(&contract);
    script.begins(40_000.0);
    for k in 0..50 {
        let event = Event::Sample { process: "p".into(), cpu_seconds: f64::from(k), rss_bytes: 1 };
        script.event(40_000.0 + f64::from(k), event);
    }
    let process = &script.end(40_050.0).run().outcome.processes[0];
    assert_eq!((process.samples, process.outside, process.rss_bytes.len()), (0, 50, 0));
}
