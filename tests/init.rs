//! `cutover init` as a program: from a recording, from feeds, and what it refuses.

#![cfg(feature = "io")]
#![allow(clippy::disallowed_methods, reason = "what the program wrote is read back")]

use assert_cmd::Command;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn run(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::cargo_bin("cutover").unwrap();
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    let output = command.current_dir(folder).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn a_recording_becomes_a_contract_that_judges_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    assert_eq!(run(at, &words("simulate s.jsonl --for 10m --seed 3")).code, 0);
    let ran = run(at, &words("init --from s.jsonl -o guessed.toml"));
    assert_eq!(ran.code, 0, "{}", ran.err);
    for line in ["wrote guessed.toml: 4 features", "  not paired: message type heartbeat", "  positions PASS"]
    {
        assert!(ran.out.contains(line), "{line}\n{}", ran.out);
    }
    let text = fs::read_to_string(at.join("guessed.toml")).unwrap();
    // What the recorded contract knew beside the features is kept.
    for line in
        ["path = \"/api/bars\"", "flag = \"WS_FEATURE_INTRADAY\"", "timeout = \"5s\"", "#   positions PASS"]
    {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let replayed = run(at, &words("replay s.jsonl --contract guessed.toml --report-dir r"));
    assert_eq!(replayed.code, 0, "{}{}", replayed.out, replayed.err);
    assert_eq!(run(at, &words("plan --contract guessed.toml")).code, 0);
    let again = run(at, &words("init --from s.jsonl guessed.toml"));
    assert_eq!(again.code, 2);
    assert!(again.err.contains("it exists already"), "{}", again.err);
    let printed = run(at, &words("init --from s.jsonl -"));
    assert_eq!((printed.code, printed.out), (0, text));
    let json = run(at, &words("init --from s.jsonl --force guessed.toml --format json"));
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["features"][1]["feature"], "positions");
    assert_eq!(json["features"][1]["verdict"], "PASS");
    assert!(json["unsure"].as_u64().unwrap() > 0, "{json}");
}

#[test]
fn without_a_pair_there_is_no_contract() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("empty.jsonl"), "").unwrap();
    let ran = run(at, &words("init --from empty.jsonl"));
    assert_eq!((ran.code, ran.out.as_str()), (3, "nothing could be paired, so no contract was written\n"));
    assert!(!at.join("cutover.toml").exists());
    let missing = run(at, &words("init --from nowhere.jsonl"));
    assert_eq!(missing.code, 4, "{}", missing.err);
    for wrong in [
        "init --rest http://h/a",
        "init --ws ws://h",
        "init --from x.jsonl --ws ws://h --rest http://h",
        "init --rest nowhere --ws ws://127.0.0.1:1",
        "init --rest http://h/a --rest http://i/a --ws ws://h",
        "init --rest http://h/a --ws ws://h --header nothing",
    ] {
        assert_eq!(run(at, &words(wrong)).code, 2, "{wrong}");
    }
}

/// The reference server, ended when the test is over.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(arguments: &str) -> Server {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_cutover"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let start = line.find("127.0.0.1:").unwrap_or_else(|| panic!("{line}"));
        let address: String =
            line[start..].chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
        Server { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn living_feeds_become_a_contract() {
    let folder = tempfile::tempdir().unwrap();
    // A minute of the world takes three seconds.
    let server = Server::start("--speed 20");
    let rest = |path: &str| format!("http://{}/api/{path}", server.address);
    let (balances, bars, none) = (rest("balances"), rest("bars"), rest("none"));
    let ws = format!("ws://{}/ws?token=secret-4711&v=2", server.address);
    let mut arguments =
        words("init live.toml --for 10s --poll 200ms --record seen.jsonl --header Authorization:secret");
    arguments.extend([
        "--header",
        "Origin: http://page.example",
        "--ws",
        &ws,
        "--rest",
        &balances,
        "--rest",
        &bars,
        "--rest",
        &none,
    ]);
    let ran = run(folder.path(), &arguments);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    for line in [
        "balances with message type account_balance",
        "bars with message type intraday_bar",
        "not paired: REST none",
    ] {
        assert!(ran.out.contains(line), "{line}\n{}", ran.out);
    }
    let text = fs::read_to_string(folder.path().join("live.toml")).unwrap();
    assert!(text.contains("path = \"/api/balances\", poll = \"200ms\", records = \"/accounts\""), "{text}");
    assert!(text.contains("align = \"bucket\"") && text.contains("align = \"time\""), "{text}");
    assert!(!text.contains("secret") && !text.contains("***"), "{text}");
    for line in [
        "headers = { \"Authorization\" = \"${AUTHORIZATION}\", \"Origin\" = \"http://page.example\" }   # UNSURE: ",
        "/ws?token=${TOKEN}&v=2\"",
        "# UNSURE: what was given is not written here; set TOKEN",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let seen = fs::read_to_string(folder.path().join("seen.jsonl")).unwrap();
    assert!(seen.ends_with("\"reason\":\"done\"}\n") && !seen.contains("secret"));
}

#[test]
fn feeds_that_are_not_there_are_told() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing listens on a port that was just given up.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (rest, ws) = (format!("http://127.0.0.1:{port}/a"), format!("ws://127.0.0.1:{port}/ws"));
    let ran = run(folder.path(), &["init", "--for", "1s", "--poll", "300ms", "--rest", &rest, "--ws", &ws]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    for line in [
        "nothing could be paired",
        "WebSocket: connect error",
        "not paired: REST a",
        "cure: a: /a: connect",
        "nobody answers at http://127.0.0.1:",
        "cure: WebSocket: it never opens: connect",
    ] {
        assert!(ran.out.contains(line), "{line}\n{}", ran.out);
    }
}
