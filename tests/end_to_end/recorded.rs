//! `serve --from`: a recording as live endpoints. A watch of it says what a replay says; errors, closes and
//! the times before the first answer come as they were recorded.

use super::servers::address_in;
use super::support::{Bench, PATIENCE, Ran, Report, Running, contract, cutover, run, wait_for};
use cutover::capture::encode;
use cutover::model::{ClosedBy, EndReason, Event, Observation, Payload, Span, Start, Timestamp};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::client::{IntoClientRequest, client};
use tokio_tungstenite::tungstenite::{Error, HandshakeError, Message, WebSocket};

/// A recording being served.
struct Served {
    address: SocketAddr,
    process: Running,
}

fn serve(capture: &str, more: &[&str]) -> Served {
    let fixed = ["serve", "--from", capture, "--listen", "127.0.0.1:0"];
    let mut process = Running::start(&mut cutover(&[&fixed, more].concat()));
    let mut line = String::new();
    BufReader::new(process.stdout()).read_line(&mut line).unwrap();
    if line.is_empty() {
        let mut said = String::new();
        process.stderr().read_to_string(&mut said).unwrap();
        panic!("nothing is served: {said}");
    }
    Served { address: address_in(&line), process }
}

impl Served {
    /// What it said on stderr, once it has ended by itself.
    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.process.stderr().read_to_string(&mut said).unwrap();
        (self.process.wait().code(), said)
    }

    fn ask(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer.to_lowercase())
    }

    fn get(&self, target: &str) -> (u16, String) {
        self.ask(&format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
    }

    /// An open socket, or the status of a refusal.
    fn connect(&self, path: &str, origin: &str) -> Result<WebSocket<TcpStream>, u16> {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        request.headers_mut().insert("sec-websocket-protocol", "first, second".parse().unwrap());
        match client(request, stream) {
            Ok((socket, answer)) => {
                assert_eq!(answer.headers()["sec-websocket-protocol"], "first");
                Ok(socket)
            }
            Err(HandshakeError::Failure(Error::Http(answer))) => Err(answer.status().as_u16()),
            Err(other) => panic!("{other}"),
        }
    }
}

/// The texts until the end, and how it ended: the close frame's code.
fn listen(socket: &mut WebSocket<TcpStream>) -> (Vec<String>, Option<u16>) {
    let mut texts = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => texts.push(text.to_string()),
            Ok(Message::Close(frame)) => {
                while socket.read().is_ok() {}
                return (texts, frame.map(|frame| frame.code.into()));
            }
            Ok(_) => {}
            Err(Error::Io(error)) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
                return (texts, None);
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// A feature with parameters, and one without.
const CONTRACT: &str = r#"
version = 1
[rest]
base_url = "http://127.0.0.1:1"
timeout = "1s"
[ws]
url = "ws://127.0.0.1:1/stream"
type = "/type"
[market]
calendar = "24/7"
[timing]
settle = "2s"
[[feature]]
name = "balance"
flag = "F"
align = "time"
interval = "1s"
key = ["id"]
time = "ts"
rest = { path = "/accounts/{id}", poll = "1s", each = { id = [1, 2] }, records = "" }
ws = { type = "balance", records = "/data" }
[feature.fields]
id = { type = "integer", rest = "@id" }
cash = { type = "decimal" }
ts = { type = "timestamp" }
"#;

fn at(millis: i64) -> Timestamp {
    Timestamp(1_766_154_600_000_000_000) + Span::from_millis(millis)
}

/// A recording written by hand: its events, by milliseconds after its start.
fn recording(events: &[(i64, Event<'static>)]) -> String {
    let start = Start { capture: 1, tool: "test".into(), contract: CONTRACT.into(), ..Start::default() };
    let mut text = String::new();
    let mut put = |at, event| {
        encode(&Observation { at, event }, &mut text);
        text.push('\n');
    };
    put(at(0), Event::Start(Box::new(start)));
    events.iter().for_each(|(millis, event)| put(at(*millis), event.clone()));
    text
}

fn rest(id: u32, text: &'static str) -> Event<'static> {
    Event::Rest {
        sent_at: at(0),
        feature: "balance".into(),
        params: format!("{{\"id\":{id}}}").into(),
        status: 200,
        bytes: text.len() as u64,
        payload: Payload::Json { text: text.into(), binary: false },
    }
}

fn refused(id: u32, status: u16) -> Event<'static> {
    Event::RestError {
        sent_at: at(0),
        feature: "balance".into(),
        params: format!("{{\"id\":{id}}}").into(),
        error: "status".into(),
        status: Some(status),
        detail: "text/html".into(),
    }
}

fn frame(text: &'static str) -> Event<'static> {
    let payload = Payload::Json { text: text.into(), binary: false };
    Event::Ws { conn: 0, bytes: text.len() as u64, payload }
}

fn close(code: u16, by: ClosedBy) -> Event<'static> {
    Event::WsClose { conn: 0, code, reason: "recorded".into(), by }
}

const OPEN: Event<'static> = Event::WsOpen { conn: 0 };
const END: Event<'static> = Event::End { reason: EndReason::Done };

/// As of the demos: what a loaded machine holds up for less than 125 ms is no finding.
const SPEED: &str = "16";
const FAULT: &str = "value_mismatch:feature=positions,field=pnl";

/// A session of 9 minutes, recorded; a watch of 7 of them.
struct Session {
    name: &'static str,
    capture: String,
    watching: Running,
    _served: Served,
}

fn watch(bench: &Bench, name: &'static str, file: &str, faults: &[&str]) -> Session {
    let capture = bench.arg(file);
    let ran = run(&[&["simulate", &capture, "--for", "9m"], faults].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let served = serve(&capture, &["--speed", SPEED, "--wait"]);
    let contract = bench.write(&format!("{name}.toml"), contract(served.address, served.address));
    let dir = bench.arg(name);
    let flags = ["--contract", &contract, "--speed", SPEED, "--for", "7m", "--report-dir", &dir];
    let watching = Running::start(&mut cutover(&[&["watch"], &flags[..]].concat()));
    Session { name, capture, watching, _served: served }
}

/// What the watch of a recording said, and what a replay of it says.
fn both(bench: &Bench, session: Session) -> (Ran, Report, Ran, Report) {
    let Session { name, capture, watching, _served } = session;
    let live = watching.finish();
    let again = format!("{name}-again");
    let replayed = run(&["replay", &capture, "--report-dir", &bench.arg(&again)]);
    (live, bench.report(name), replayed, bench.report(&again))
}

#[test]
fn a_watch_of_a_recording_says_what_its_replay_says() {
    let bench = Bench::new();
    // Both at once, because they mostly wait; one of them compressed.
    let clean = watch(&bench, "clean", "clean.jsonl", &[]);
    let faulty = watch(&bench, "faulty", "faulty.jsonl.zst", &["--fault", FAULT]);
    for (session, code, fails) in [(clean, 0, &[][..]), (faulty, 1, &["positions values-match"])] {
        let (live, report, replayed, again) = both(&bench, session);
        let context = format!("{}\n{}\n{}\n{}", live.out, live.err, replayed.out, replayed.err);
        assert_eq!((live.code, replayed.code), (Some(code), Some(code)), "{context}");
        for report in [&report, &again] {
            assert_eq!(report.with_verdict("FAIL"), fails, "{context}");
            assert_eq!(report.with_verdict("INCONCLUSIVE"), Vec::<String>::new(), "{context}");
        }
        assert_eq!(report.with_verdict("PASS"), again.with_verdict("PASS"), "{context}");
        let found =
            |report: &Report| report.findings().iter().filter(|row| row["severity"] == "fail").count();
        assert_eq!(found(&report) > 0, code == 1);
    }
}

/// Neither is in a recording, and a watch of it needs both.
#[test]
fn logins_and_dialogues_are_answered() {
    let bench = Bench::new();
    let with = |text: String| {
        let login =
            r#"login = { method = "POST", path = "/login", json = { user = "me" }, token = "/access" }"#;
        let open = r#"open = [{ send = "hello {token}" }, { expect = { "/event" = "welcome" } }]"#;
        let text = text.replacen("[ws]", &format!("{login}\n[ws]\n{open}"), 1);
        assert!(text.contains(login) && text.contains(open));
        text
    };
    let nobody = "127.0.0.1:1".parse().unwrap();
    let recorded = bench.write("recorded.toml", with(contract(nobody, nobody)));
    let capture = bench.arg("capture.jsonl");
    let ran = run(&["simulate", &capture, "--for", "3m", "--contract", &recorded]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let served = serve(&capture, &["--speed", SPEED, "--wait"]);
    let asked = bench.write("asked.toml", with(contract(served.address, served.address)));
    let dir = bench.arg("report");
    let flags = ["--contract", &asked, "--speed", SPEED, "--for", "90s", "--report-dir", &dir];
    let ran = run(&[&["watch"], &flags[..]].concat());
    let report = bench.report("report");
    assert_eq!(report.with_verdict("FAIL"), Vec::<String>::new(), "{}", ran.out);
    for check in ["no-drops", "messages-seen", "required-fields"] {
        assert_eq!(report.check("positions", check)["verdict"], "PASS", "{}\n{}", ran.out, ran.err);
    }
    assert!(report.findings().iter().all(|row| row["class"] != "rest_error"), "{}", ran.out);
}

#[test]
fn answers_stand_as_recorded_until_the_recording_ends() {
    let bench = Bench::new();
    let capture = recording(&[
        (0, OPEN),
        (100, rest(1, "{\"cash\":1}")),
        (1_500, refused(1, 503)),
        (2_700, rest(1, "{\"cash\":2}")),
        // Long after the first: nobody waits for it.
        (3_900, rest(2, "{\"cash\":3}")),
        (5_000, close(1000, ClosedBy::Us)),
        (5_000, END),
    ]);
    let served = serve(&bench.write("capture.jsonl", capture), &["--wait"]);
    assert_eq!(served.get("/healthz").0, 200);
    let (status, about) = served.get("/");
    assert!(status == 200 && about.contains("get /accounts/1") && about.contains("/stream"), "{about}");
    let (status, unknown) = served.get("/accounts/3");
    assert!(status == 404 && unknown.contains("get /accounts/2"), "{unknown}");
    assert_eq!(served.ask("POST /accounts/1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").0, 405);
    // So far nobody has asked for anything that there is, so the clock stands.
    let (status, early) = served.get("/accounts/2");
    assert!(status == 503 && early.contains("retry-after: 1") && early.contains("not come"), "{early}");
    let mut seen: Vec<(u16, String)> = Vec::new();
    let since = Instant::now();
    while seen.len() < 3 {
        assert!(since.elapsed() < PATIENCE, "{seen:?}");
        let (status, answer) = served.get("/accounts/1?x=1");
        let body = answer.split_once("\r\n\r\n").unwrap().1.to_string();
        if seen.last().is_none_or(|last| last.1 != body) {
            assert!(answer.contains("x-recorded-at: 2025-12-19t14:30:0"), "{answer}");
            assert_eq!(answer.contains("retry-after"), status == 503, "{answer}");
            seen.push((status, body));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((seen[0].0, &*seen[0].1), (200, "{\"cash\":1}"));
    assert!(seen[1].0 == 503 && seen[1].1.contains("as recorded at"), "{seen:?}");
    assert_eq!((seen[2].0, &*seen[2].1), (200, "{\"cash\":2}"));
    wait_for("the late answer", || served.get("/accounts/2").1.ends_with("{\"cash\":3}").then_some(()));
    let (code, said) = served.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2 endpoints and 0 frames") && said.contains("the recording is over"), "{said}");
}

#[test]
fn sockets_are_closed_refused_and_opened_as_recorded() {
    let bench = Bench::new();
    let capture = recording(&[
        (0, OPEN),
        (100, rest(1, "{}")),
        (100, frame("{\"type\":\"before\"}")),
        (1_500, frame("{\"type\":\"balance\",\"n\":1}")),
        (1_600, frame("{\"type\":\"balance\",\"n\":2}")),
        (1_700, close(1011, ClosedBy::Peer)),
        (5_000, OPEN),
        (7_000, frame("{\"type\":\"balance\",\"n\":3}")),
        (7_100, close(1006, ClosedBy::Network)),
        (7_200, OPEN),
        (9_500, frame("{\"type\":\"balance\",\"n\":4}")),
    ]);
    let served = serve(&bench.write("capture.jsonl", capture), &["--wait"]);
    let here = "http://localhost:3000";
    assert_eq!(served.connect("/stream", "https://elsewhere.example").err(), Some(403));
    let mut socket = served.connect("/stream?token=any", here).unwrap();
    // What was recorded before the clock began is not said again.
    let heard = [1, 2].map(|n| format!("{{\"type\":\"balance\",\"n\":{n}}}"));
    assert_eq!(listen(&mut socket), (heard.to_vec(), Some(1011)));
    assert_eq!(served.connect("/stream", here).err(), Some(503));
    let again = || wait_for("the next open", || served.connect("/stream", here).ok());
    assert_eq!(listen(&mut again()), (vec!["{\"type\":\"balance\",\"n\":3}".to_string()], None));
    let last = listen(&mut again());
    assert_eq!(last, (vec!["{\"type\":\"balance\",\"n\":4}".to_string()], Some(1000)));
    let (code, said) = served.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("it was interrupted"), "{said}");
}

#[test]
fn pages_of_this_machine_may_read_and_others_when_named() {
    let bench = Bench::new();
    let capture = bench.write("capture.jsonl", recording(&[(0, rest(1, "{}")), (60_000, END)]));
    let served = serve(&capture, &["--allow-origin", "https://app.example.com"]);
    let ask = |line: &str, origin: &str| {
        served.ask(&format!("{line} HTTP/1.1\r\nhost: x\r\norigin: {origin}\r\nconnection: close\r\n\r\n")).1
    };
    for (origin, may) in
        [("http://127.0.0.1:3000", true), ("https://app.example.com", true), ("https://evil.example", false)]
    {
        let answer = ask("GET /accounts/1", origin);
        assert_eq!(answer.contains(&format!("access-control-allow-origin: {origin}")), may, "{answer}");
    }
    let preflight = served.ask(
        "OPTIONS /accounts/1 HTTP/1.1\r\nhost: x\r\norigin: http://localhost:3000\r\n\
         access-control-request-method: GET\r\naccess-control-request-headers: authorization\r\n\
         connection: close\r\n\r\n",
    );
    assert_eq!(preflight.0, 204);
    assert!(preflight.1.contains("access-control-allow-headers: authorization"), "{}", preflight.1);
}

#[cfg(unix)]
#[test]
fn a_loop_begins_again_until_it_is_asked_to_stop() {
    let bench = Bench::new();
    let events = [(0, OPEN), (100, rest(1, "{}")), (1_600, frame("{\"n\":1}")), (1_700, END)];
    let served = serve(&bench.write("capture.jsonl", recording(&events)), &["--loop"]);
    let open = || wait_for("an open socket", || served.connect("/stream", "http://localhost").ok());
    let mut rounds = 0;
    while rounds < 2 {
        // A socket that opened between the frame and the end hears nothing in that round.
        let (texts, code) = listen(&mut open());
        assert!(matches!(code, Some(1001 | 1012)), "{code:?}");
        rounds += texts.len();
    }
    served.process.signal("INT");
    let (code, said) = served.end();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn what_cannot_be_served_is_said_before_anything_is() {
    let bench = Bench::new();
    let whole = recording(&[(0, rest(1, "{}")), (10, frame("{}")), (20, END)]);
    let damaged = whole.replace("\"body\":{}}", "\"body\":{]}");
    let no_rest = bench.write("no_rest.jsonl", recording(&[(0, OPEN), (10, frame("{}")), (20, END)]));
    let whole = bench.write("whole.jsonl", whole);
    let other = bench.write("other.toml", CONTRACT.replace("name = \"balance\"", "name = \"other\""));
    for (arguments, code, words) in [
        (vec![bench.arg("nowhere.jsonl")], 4, &["nowhere.jsonl", "No such file"][..]),
        (vec![bench.write("text.jsonl", "hello\nworld\n")], 4, &["text.jsonl", "line 1"]),
        (vec![bench.write("damaged.jsonl", damaged)], 4, &["damaged.jsonl", "line 2"]),
        (vec![bench.write("empty.jsonl", "")], 2, &["empty.jsonl", "it is empty"]),
        (vec![no_rest], 2, &["no_rest.jsonl", "there is no REST body in it"]),
        (vec![whole.clone(), "--contract".into(), other], 2, &["only of balance"]),
        (vec![whole.clone(), "--seed".into(), "3".into()], 2, &["--seed"]),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ran = run(&[&["serve", "--listen", "127.0.0.1:0", "--from"], &arguments[..]].concat());
        assert_eq!((ran.code, ran.out.as_str()), (Some(code), ""), "{arguments:?}: {}", ran.err);
        assert!(words.iter().all(|word| ran.err.contains(word)), "{arguments:?}: {}", ran.err);
    }
    assert_eq!(run(&["serve", "--loop"]).code, Some(2));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = run(&["serve", "--from", &whole, "--listen", &address]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(fs::metadata(&whole).is_ok() && ran.err.contains(&address), "{}", ran.err);
}
