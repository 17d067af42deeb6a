//! Logs, processes and metrics pages beside the feeds.

use crate::support::*;
use cutover::model::{Event, LogState, Span};
use cutover::source::{BackendTargets, Clock, LogTarget, MetricsTarget, ProcessTarget, RunSettings, Which};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn with(backend: BackendTargets) -> RunSettings {
    // As fast as samples are taken at all.
    RunSettings { backend, clock: Clock::start(60), ..settings() }
}

fn log(name: &str, path: &Path, must_exist: bool) -> BackendTargets {
    let target = LogTarget { name: name.into(), path: path.into(), must_exist };
    BackendTargets { logs: vec![target], ..BackendTargets::default() }
}

fn append(path: &Path, text: &str) {
    fs::OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn is_state(event: &Event<'_>, wanted: LogState) -> bool {
    matches!(event, Event::LogState { state, .. } if *state == wanted)
}

#[tokio::test]
async fn a_log_is_followed_through_its_rotation_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    append(&path, "before the run\n");
    let rest = http(|_| async { ok("{}") }).await;
    let settings = with(log("app", &path, true));
    let mut run = watch_with(contract(rest, silent_websocket().await, &[]), settings, usize::MAX);
    run.until("open log", |event| is_state(event, LogState::Open)).await;
    append(&path, "one\n");
    let line = run.until("line", |event| matches!(event, Event::Log { .. })).await;
    assert!(line.ends_with(r#","source":"app","line":"one"}"#), "{line}");
    fs::rename(&path, folder.path().join("app.log.1")).unwrap();
    run.until("lost log", |event| is_state(event, LogState::Lost)).await;
    append(&path, "two, token=abcdef\n");
    let line = run.until("line", |event| matches!(event, Event::Log { .. })).await;
    assert!(line.contains(r#""line":"two, token=***""#), "{line}");
    // What is written last, without a line break, counts.
    append(&path, "the end");
    run.finish().await.unwrap();
    run.check_capture();
    let lines: Vec<&String> = run.seen().iter().filter(|line| line.contains(r#""kind":"log""#)).collect();
    assert!(lines.last().unwrap().contains(r#""line":"the end""#), "{lines:?}");
    assert!(!run.text().contains("before the run"));
}

#[tokio::test]
async fn processes_and_metrics_pages_are_sampled() {
    let scrapes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&scrapes);
    let rest = http(move |request| {
        let count = counted.fetch_add(u64::from(request.uri().path() == "/metrics"), Ordering::Relaxed);
        async move {
            // Once in a while the page cannot be read; that is no sample, and no end.
            match count % 3 {
                1 => status(503, "text/plain", "busy"),
                _ => ok(format!(
                    "process_cpu_seconds_total {count}.5\nprocess_resident_memory_bytes 1048576\n"
                )),
            }
        }
    })
    .await;
    let backend = BackendTargets {
        processes: vec![ProcessTarget { label: "own".into(), which: Which::Pid(std::process::id()) }],
        metrics: vec![MetricsTarget { label: String::new(), url: format!("http://{rest}/metrics") }],
        ..BackendTargets::default()
    };
    let mut run = watch_with(contract(rest, silent_websocket().await, &[]), with(backend), usize::MAX);
    let of = |name: String| move |event: &Event<'_>| matches!(event, Event::Sample { process, .. } if *process == *name);
    run.until("own sample", of("own".into())).await;
    run.until("own sample", of("own".into())).await;
    let line = run.until("page's sample", of(rest.to_string())).await;
    assert!(line.contains(r#""rss_bytes":1048576"#) && line.contains(".5,"), "{line}");
    run.until("page's sample", of(rest.to_string())).await;
    run.finish().await.unwrap();
    run.check_capture();
}

#[tokio::test]
async fn what_is_not_there_stops_a_run_before_it_starts() {
    let folder = tempfile::tempdir().unwrap();
    let rest = http(|_| async { ok("<html>") }).await;
    let ws = silent_websocket().await;
    let page = |label: &str| MetricsTarget { label: label.into(), url: format!("http://{rest}/metrics") };
    let own = |label: &str| ProcessTarget { label: label.into(), which: Which::Pid(std::process::id()) };
    let pages = |metrics| BackendTargets { metrics, ..BackendTargets::default() };
    let gone = MetricsTarget { label: String::new(), url: format!("http://{}/m", nobody().await) };
    for (backend, expect) in [
        (log("app", &folder.path().join("none.log"), true), "could not open log app="),
        (log("app", folder.path(), true), "could not open log app="),
        (pages(vec![page("")]), "has no `process_cpu_seconds_total`"),
        (pages(vec![gone]), "could not read http://"),
        (
            BackendTargets { processes: vec![own("a"), own("a")], ..BackendTargets::default() },
            "two processes are called `a`",
        ),
    ] {
        let mut run = watch_with(contract(rest, ws, &[]), with(backend), usize::MAX);
        let error = run.ended().await.unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
        assert_eq!(run.text(), "", "nothing was recorded");
    }
}

#[tokio::test]
async fn a_log_of_the_contract_that_is_not_there_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("late.log");
    let rest = http(|_| async { ok("{}") }).await;
    let settings = RunSettings { duration: Some(Span::from_secs(36_000)), ..with(log("late", &path, false)) };
    let mut run = watch_with(contract(rest, silent_websocket().await, &[]), settings, usize::MAX);
    run.until("lost log", |event| is_state(event, LogState::Lost)).await;
    append(&path, "here\n");
    run.until("open log", |event| is_state(event, LogState::Open)).await;
    run.until("line", |event| matches!(event, Event::Log { line, .. } if line == "here")).await;
    run.finish().await.unwrap();
}
