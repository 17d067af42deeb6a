//! What browsers and web servers recorded, as captures: judged like any other, and refused with a reason.

#![allow(clippy::disallowed_methods, reason = "recordings are files")]

mod common;

use assert_cmd::Command;
use common::{HEAD, at, contract, stamp, told};
use cutover::contract::Contract;
use cutover::model::{Class, Event, Observation, Payload, Start, Verdict};
use cutover::source::{Imported, import_access_log, import_har};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

const FEATURE: &str = r#"
[[feature]]
name = "balance"
flag = "WS_FEATURE_BALANCE"
align = "time"
interval = "10s"
key = ["id"]
time = "ts"
rest = { path = "/api/balances/{id}", poll = "10s", records = "", each = { id = [1] } }
ws = { type = "balance", records = "/data" }
[feature.fields]
id = { type = "integer", rest = "@id" }
cash = { type = "decimal" }
ts = { type = "timestamp" }
"#;

fn balance() -> Arc<Contract> {
    contract(&format!("{HEAD}{FEATURE}"))
}

fn entry(t: f64, url: &str, status: u16, body: Option<String>) -> Value {
    let mut content = json!({"size": 10, "mimeType": "application/json"});
    if let Some(body) = body {
        content["text"] = body.into();
    }
    json!({
        "startedDateTime": stamp(t), "time": 80.5, "request": {"method": "GET", "url": url, "headers": []},
        "response": {"status": status, "headers": [], "content": content}, "pageref": "page_1",
    })
}

fn seconds(t: f64) -> f64 {
    common::START as f64 / 1e9 + t
}

fn receive(t: f64, data: &str) -> Value {
    json!({"type": "receive", "time": seconds(t), "opcode": 1, "data": data})
}

/// The page's WebSocket, with what it received.
fn socket(t: f64, messages: &[Value]) -> Value {
    let mut socket = entry(t, "ws://app.example/ws?token=eyJhbGciOi", 101, None);
    socket["_resourceType"] = "websocket".into();
    socket["_webSocketMessages"] = messages.into();
    socket
}

fn har(entries: &[Value]) -> String {
    json!({"log": {"version": "1.2", "creator": {"name": "WebInspector", "version": "537.36"}, "entries": entries}})
        .to_string()
}

/// A page of 200 s: a version each 10 s, polled 4 s later where `polled` says so.
fn page(polled: impl Fn(u32) -> bool) -> Vec<Value> {
    let body = |k: u32| format!(r#""cash":{k}.50,"ts":"{}""#, stamp(1.0 + 10.0 * f64::from(k)));
    let message = |k| {
        receive(1.05 + 10.0 * f64::from(k), &format!(r#"{{"type":"balance","data":{{"id":1,{}}}}}"#, body(k)))
    };
    let mut messages: Vec<Value> = (0..20).map(message).collect();
    messages.insert(
        3,
        json!({"type": "send", "time": seconds(30.0), "opcode": 1, "data": "{\"type\":\"ping\"}"}),
    );
    let mut entries = vec![entry(-5.0, "https://app.example/", 200, None), socket(0.0, &messages)];
    let poll = |k: u32| {
        entry(
            5.0 + 10.0 * f64::from(k),
            "https://app.example/api/balances/1",
            200,
            Some(format!("{{{}}}", body(k))),
        )
    };
    entries.extend((0..20).filter(|k| polled(*k)).map(poll));
    entries.push(entry(203.0, "https://app.example/api/orders", 200, None));
    entries
}

fn start(on: bool) -> Start {
    Start { capture: 1, flags: vec![("WS_FEATURE_BALANCE".into(), on)], ..Start::default() }
}

fn observations(imported: Imported, on: bool) -> Vec<Observation<'static>> {
    imported.observations(start(on)).unwrap().collect()
}

fn events(observations: &[Observation<'static>], wanted: fn(&Event<'_>) -> bool) -> Vec<Event<'static>> {
    observations.iter().map(|o| o.event.clone()).filter(wanted).collect()
}

#[test]
fn a_page_with_both_feeds_is_judged_like_a_live_run() {
    let imported = import_har(&har(&page(|_| true)), &balance()).unwrap();
    assert_eq!(imported.notes, ["a HAR does not tell when or why a WebSocket closes"]);
    let seen = observations(imported, false);
    let told = told(&balance(), |engine| seen.iter().for_each(|o| engine.observe(o).unwrap()));
    assert_eq!(told.lines(), Vec::<String>::new());
    assert_eq!(told.outcome.verdict, Verdict::Pass, "{:?}", told.outcome.features[0].checks);
    assert_eq!(told.outcome.features[0].measures.pairs, 20);
    // The tokens of its URLs are gone.
    let opened = events(&seen, |e| matches!(e, Event::Frontend { status: Some(101), .. }));
    assert!(matches!(&opened[0], Event::Frontend { path, .. } if path == "/ws?token=***"), "{opened:?}");
    assert_eq!(
        events(&seen, |e| matches!(e, Event::Ws { .. })).len(),
        20,
        "what the page sent is no message"
    );
}

#[test]
fn what_the_page_still_polls_is_found() {
    let verdict = |polled: fn(u32) -> bool| {
        let seen = observations(import_har(&har(&page(polled)), &balance()).unwrap(), true);
        let told = told(&balance(), |engine| seen.iter().for_each(|o| engine.observe(o).unwrap()));
        (told.verdict("websocket-only"), told.count(Class::RestStillPolled))
    };
    assert_eq!(verdict(|_| false), (Verdict::Pass, 0));
    assert_eq!(verdict(|k| k == 0), (Verdict::Pass, 0), "the load of the page");
    assert_eq!(verdict(|k| k % 4 == 0), (Verdict::Fail, 4));
}

#[test]
fn answers_of_every_kind_are_recorded_as_what_they_were() {
    let url = "https://app.example/api/balances/1?_=5";
    let mut binary = entry(3.0, url, 200, Some("eyJjYXNoIjoxfQ==".into()));
    binary["response"]["content"]["encoding"] = "base64".into();
    let mut refused = entry(4.0, url, 0, None);
    refused["response"]["_error"] = "net::ERR_CONNECTION_REFUSED".into();
    let entries =
        [entry(1.0, url, 200, None), entry(2.0, url, 503, None), binary, refused, entry(5.0, url, 304, None)];
    let imported = import_har(&har(&entries), &balance()).unwrap();
    assert!(imported.notes.contains(&"1 answers have no body: the browser had dropped them".to_string()));
    let seen = observations(imported, false);
    let rest = events(&seen, |e| matches!(e, Event::Rest { .. } | Event::RestError { .. }));
    let words = |event: &Event<'_>| match event {
        Event::RestError { error, detail, params, .. } => format!("{error} {detail} {params}"),
        Event::Rest { status, payload: Payload::Json { text, .. }, .. } => format!("{status} {text}"),
        Event::Rest { status, payload, .. } => format!("{status} {payload:?}"),
        _ => String::new(),
    };
    assert_eq!(
        rest.iter().map(words).collect::<Vec<_>>(),
        [
            r#"body the HAR has no body {"id":1}"#,
            r#"status  {"id":1}"#,
            r#"200 {"cash":1}"#,
            r#"connect net::ERR_CONNECTION_REFUSED {"id":1}"#,
            "304 Empty"
        ]
    );
    let answered = seen.iter().find(|o| matches!(o.event, Event::Rest { .. })).unwrap();
    assert_eq!(answered.at, at(3.0805));
}

#[test]
fn a_socket_that_falls_silent_before_the_next_was_dropped() {
    let closes = |second_page: &str| {
        let mut second = socket(60.0, &[receive(61.0, "{}")]);
        second["pageref"] = second_page.into();
        let entries = [socket(0.0, &[receive(1.0, "{}")]), second, socket(90.0, &[])];
        let seen = observations(import_har(&har(&entries), &balance()).unwrap(), false);
        let words = |o: &Observation<'_>| match &o.event {
            Event::WsClose { conn, code, .. } => {
                Some(format!("{conn} {code} {}", (o.at - at(0.0)).as_secs_f64()))
            }
            _ => None,
        };
        seen.iter().filter_map(words).collect::<Vec<_>>()
    };
    assert_eq!(closes("page_1"), ["0 1006 1", "1 1006 61", "2 1000 90"]);
    // A page that was left is not a connection that was lost.
    assert_eq!(closes("page_2"), ["0 1006 1", "1 1000 90", "2 1000 90"]);
    let mut refused = socket(0.0, &[]);
    refused["response"]["status"] = 403.into();
    let seen = observations(import_har(&har(&[refused]), &balance()).unwrap(), false);
    assert!(seen.iter().any(|o| matches!(&o.event, Event::WsError { status: Some(403), .. })));
}

#[test]
fn a_har_that_cannot_be_used_says_why() {
    let error = |text: &str| import_har(text, &balance()).unwrap_err().to_string();
    let whole = har(&page(|_| true));
    assert!(error(&whole[..whole.len() / 2]).starts_with("it ends in the middle ("));
    assert!(error("{\"name\":1}").starts_with("it is no HAR file: missing field `log`"));
    assert!(error("<html>").starts_with("it is no HAR file"));
    let mut firefox = entry(0.0, "wss://app.example/ws", 101, None);
    firefox["_securityState"] = "secure".into();
    let text = har(&[firefox]).replace("WebInspector", "Firefox");
    let said = error(&text);
    assert!(
        said.starts_with("Firefox 537.36 recorded the WebSocket wss://app.example/ws without its messages"),
        "{said}"
    );
    let said = error(&har(&[entry(0.0, "https://h/", 200, None)]).replace("2025-12-19T", "19.12.2025 "));
    assert!(said.contains("entry 1 (https://h/): `startedDateTime`"), "{said}");
    let elsewhere = import_har(&whole.replace("/ws?", "/hmr?"), &balance()).unwrap();
    assert!(
        elsewhere.notes[0].starts_with("no WebSocket goes to the contract's path; there is one to ws://app")
    );
}

// ---- access logs ----

fn requests(lines: &str) -> (Vec<String>, Vec<String>) {
    let imported = import_access_log(lines.lines(), &balance()).unwrap();
    let notes = imported.notes.clone();
    let words = |o: &Observation<'_>| match &o.event {
        Event::Frontend { method, path, feature, status, .. } => {
            let seconds = (o.at - at(0.0)).as_secs_f64();
            Some(format!(
                "{seconds} {method} {path} {} {}",
                status.unwrap_or(0),
                feature.as_deref().unwrap_or("-")
            ))
        }
        _ => None,
    };
    (observations(imported, true).iter().filter_map(words).collect(), notes)
}

#[test]
fn who_asked_is_kept_where_a_line_tells() {
    let imported = import_access_log(
        concat!(
            r#"h - - [19/Dec/2025:14:30:01 +0000] "GET /a HTTP/1.1" 200 5 "https://h/\"x" "kube-probe/1.29" rt=0.1"#,
            "\n",
            r#"h - - [19/Dec/2025:14:30:02 +0000] "GET /a HTTP/1.1" 200 5 "-" "-""#,
            "\n",
            r#"h - - [19/Dec/2025:14:30:03 +0000] "GET /a HTTP/1.1" 200 5"#,
            "\n",
            r#"{"time":"2025-12-19T14:30:04Z","method":"GET","uri":"/a","http_user_agent":"cutover/0.1.0"}"#,
            "\n",
            r#"{"ts":1766154605,"request":{"method":"GET","uri":"/b","headers":{"User-Agent":["curl/8"]}}}"#,
        )
        .lines(),
        &balance(),
    )
    .unwrap();
    let agent = |o: &Observation<'_>| match &o.event {
        Event::Frontend { agent, .. } => Some(agent.as_deref().unwrap_or("nobody").to_string()),
        _ => None,
    };
    let agents: Vec<String> = observations(imported, true).iter().filter_map(agent).collect();
    assert_eq!(agents, ["kube-probe/1.29", "nobody", "nobody", "cutover/0.1.0", "curl/8"]);
}

#[test]
fn lines_of_many_servers_are_requests() {
    let (found, notes) = requests(concat!(
        r#"10.0.0.1 - - [19/Dec/2025:14:30:01 +0000] "GET /api/balances/7?token=abc HTTP/1.1" 200 512 "-" "Mozilla""#,
        "\n",
        r#"10.0.0.1 - bob [19/Dec/2025:15:30:02 +0100] "POST /api/orders HTTP/2.0" 201 12"#,
        "\n",
        r#"app:443 10.0.0.1 - - [19/Dec/2025:09:00:03 -0530] "GET /ws HTTP/1.1" 101 9000 "-" "x y" rt=1.500"#,
        "\n",
        r#"{"time":"2025-12-19T14:30:04Z","request":"GET /a HTTP/1.1","status":"304","request_time":"0.250"}"#,
        "\n",
        r#"{"level":"info","ts":1766154605.5,"request":{"method":"GET","uri":"/b"},"status":200,"duration":0.5}"#,
        "\n",
        r#"{"StartUTC":"2025-12-19T14:30:06.125Z","RequestMethod":"GET","RequestPath":"/c","DownstreamStatus":200,"Duration":99}"#,
        "\n",
        "\n"
    ));
    assert_eq!(
        found,
        [
            "1 GET /api/balances/7?token=*** 200 balance",
            "1.5 GET /ws 101 -",
            "2 POST /api/orders 201 -",
            "3.75 GET /a 304 -",
            "5 GET /b 200 -",
            "6.125 GET /c 200 -",
        ]
    );
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn an_access_log_shows_what_the_frontend_does() {
    let line = |t: u32, request: &str, status: u16| {
        format!(
            "h - - [19/Dec/2025:14:{:02}:{:02} +0000] \"GET {request} HTTP/1.1\" {status} 1 rt=0.000\n",
            30 + t / 60,
            t % 60
        )
    };
    let quiet = line(1, "/api/balances/1", 200) + &line(2, "/ws", 101) + &line(100, "/api/orders", 200);
    let polled = quiet.clone() + &line(30, "/api/balances/1", 200);
    let verdict = |lines: &str| {
        let seen = observations(import_access_log(lines.lines(), &balance()).unwrap(), true);
        told(&balance(), |engine| seen.iter().for_each(|o| engine.observe(o).unwrap()))
            .verdict("websocket-only")
    };
    assert_eq!((verdict(&quiet), verdict(&polled)), (Verdict::Pass, Verdict::Fail));
}

#[test]
fn what_an_access_log_cannot_tell_is_said() {
    let (_, notes) = requests(concat!(
        r#"h - - [19/Dec/2025:14:30:01 +0000] "GET /ws HTTP/1.1" 101 1"#,
        "\n",
        "Traceback (most recent call last):\n",
        r#"h - - [99/Dec/2025:14:30:01 +0000] "GET /ws HTTP/1.1" 101 1"#,
        "\n",
    ));
    assert_eq!(notes[0], "2 lines are no requests, e.g. line 2: `Traceback (most recent call last):`");
    assert!(notes[1].starts_with("1 WebSockets stand at the time of their line"), "{}", notes[1]);
    let error = import_access_log("a\nb\n".lines(), &balance()).unwrap_err().to_string();
    assert!(error.starts_with("none of its 2 lines is a request, e.g. line 1: `a`"), "{error}");
}

// ---- the command ----

fn import(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::cargo_bin("cutover")
        .unwrap()
        .current_dir(folder)
        .arg("import")
        .args(arguments)
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_command_writes_a_capture_that_replays() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("c.toml"), format!("{HEAD}{FEATURE}")).unwrap();
    std::fs::write(at("page.har"), har(&page(|k| k == 0))).unwrap();
    let har = [
        "har",
        "page.har",
        "-o",
        "page.jsonl.zst",
        "--contract",
        "c.toml",
        "--flag",
        "WS_FEATURE_BALANCE=true",
    ];
    let (code, said) = import(folder.path(), &har);
    assert!(code == 0 && said.contains("replay them with: cutover replay page.jsonl.zst"), "{said}");
    let replay = Command::cargo_bin("cutover")
        .unwrap()
        .current_dir(folder.path())
        .args(["replay", "page.jsonl.zst", "--report-dir", "report", "--phase", "after-enabling"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&std::fs::read(at("report/report.json")).unwrap()).unwrap();
    let checks = report["features"][0]["checks"].as_array().unwrap();
    let only = checks.iter().find(|c| c["check"] == "websocket-only").unwrap();
    assert_eq!((only["verdict"].as_str(), replay.status.code()), (Some("PASS"), Some(3)), "{only}");
    // Never over an earlier one.
    assert_eq!(import(folder.path(), &har).0, 2);
}

#[test]
fn wrong_use_and_bad_files_have_their_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("half.har"), "{\"log\":{\"entries\":[").unwrap();
    std::fs::write(folder.path().join("app.log"), "no request\n").unwrap();
    for (arguments, expect, words) in [
        (&["har", "none.har", "-o", "x.jsonl"][..], 4, "could not read none.har"),
        (&["har", "half.har", "-o", "x.jsonl"], 4, "could not import half.har: it ends in the middle"),
        (&["access-log", "app.log", "-o", "x.jsonl"], 4, "could not import app.log: none of its 1 lines"),
        (
            &["har", "half.har", "-o", "x.jsonl", "--flag", "NO=true"],
            2,
            "the contract has no flag `NO`; it has",
        ),
        (&["har", "half.har", "-o", "x.jsonl", "--flag", "NO"], 2, "NAME=true"),
        (&["har", "half.har"], 2, "--out"),
    ] {
        let (code, said) = import(folder.path(), arguments);
        assert!(code == expect && said.contains(words), "{arguments:?}: {code} {said}");
        assert!(!folder.path().join("x.jsonl").exists());
    }
}
