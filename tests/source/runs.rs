//! Whole runs: how they end, TLS on both feeds, and what happens when the tool itself has trouble.

use crate::support::*;
use bytes::Bytes;
use cutover::capture::{Tail, Writer, decode_checked};
use cutover::contract::Tls;
use cutover::model::{EndReason, Event, Observation, Span, Timestamp};
use cutover::source::{Clock, Judge, ProxySettings, RunError, RunSettings, run};
use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::Response;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn a_run_without_a_duration_is_done_when_asked_to_stop() {
    let rest = http(|_| async { ok("{}") }).await;
    let mut run = watch_contract(contract(rest, silent_websocket().await, &["x"]));
    run.until("answer", is_rest).await;
    let end = run.finish().await.unwrap();
    assert_eq!((end.reason, end.lines as usize), (EndReason::Done, run.seen().len()));
    assert_eq!(run.check_capture().0, Tail::Ended(EndReason::Done));
    let kinds: Vec<&str> = run.seen().iter().map(|line| line.split('"').nth(3).unwrap()).collect();
    assert_eq!(kinds[0], "start");
    assert_eq!(kinds[kinds.len() - 2..], ["ws_close", "end"]);
    assert!(run.seen()[0].contains(&format!(r#""feeds":{{"rest":"http://{rest}/","ws":"ws://"#)));
}

#[tokio::test]
async fn a_run_with_a_duration_ends_by_itself_or_is_interrupted() {
    let rest = http(|_| async { ok("{}") }).await;
    let ws = silent_websocket().await;
    let timed = |duration| cutover::source::RunSettings {
        clock: Clock::start(60),
        duration: Some(Span::from_secs(duration)),
        ..settings()
    };
    // Eighteen seconds of the clock are three tenths of a second.
    let mut run = watch_with(contract(rest, ws, &["x"]), timed(18), usize::MAX);
    let end = run.ended().await.unwrap();
    assert_eq!(end.reason, EndReason::Done);
    assert!((end.ended - end.started) >= Span::from_secs(18));

    let mut run = watch_with(contract(rest, ws, &["x"]), timed(360_000), usize::MAX);
    run.until("answer", is_rest).await;
    assert_eq!(run.finish().await.unwrap().reason, EndReason::Interrupted);
    assert_eq!(run.check_capture().0, Tail::Ended(EndReason::Interrupted));
}

#[tokio::test]
async fn polls_under_way_are_waited_for_and_none_is_begun() {
    let release = Arc::new(tokio::sync::Notify::new());
    let held = Arc::clone(&release);
    let rest = http(move |_| {
        let held = Arc::clone(&held);
        async move {
            held.notified().await;
            ok("\"at last\"")
        }
    })
    .await;
    let mut run = watch_contract(contract(rest, silent_websocket().await, &["x"]));
    run.until("skipped", |event| matches!(event, Event::RestSkipped { .. })).await;
    run.stop.send_replace(true);
    release.notify_one();
    let end = run.ended().await.unwrap();
    assert_eq!(end.reason, EndReason::Done);
    let answers = run.seen().iter().filter(|line| line.contains("\"at last\"")).count();
    assert_eq!(answers, 1);
}

#[tokio::test]
async fn a_full_disk_ends_the_run_without_a_verdict() {
    let rest = http(|_| async { ok("{}") }).await;
    let ws = silent_websocket().await;
    let clock = Clock::start(1_000);
    let settings = cutover::source::RunSettings { clock, ..settings() };
    let mut run = watch_with(contract(rest, ws, &["x"]), settings, 2_000);
    let error = run.ended().await.unwrap_err();
    assert!(matches!(error, RunError::Capture(_)), "{error}");
    assert!(error.to_string().starts_with("could not write the capture: no storage space"), "{error}");
    assert!(run.text().contains(r#""kind":"start""#));
}

#[tokio::test]
async fn a_judge_that_is_slow_is_seen_in_the_capture() {
    let ws = accept(|stream, _| async move {
        let mut socket = accept_async(stream).await.unwrap();
        socket.send(Message::text("1")).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    let (stop, stopped) = watch::channel(false);
    let mut judge = Slow { stop, stalls: Vec::new(), ticks: Vec::new() };
    let writer = Writer::new(Vec::new());
    let contract = Arc::new(contract(ws, ws, &[]));
    let ended = run(settings(), contract, writer, &mut judge, stopped);
    tokio::time::timeout(PATIENCE, ended).await.expect("a stall").unwrap();
    assert!(judge.stalls[0] >= 300, "{:?}", judge.stalls);
    assert!(judge.ticks.is_sorted() && !judge.ticks.is_empty());
}

/// Holds the run up at each message, until that is seen.
struct Slow {
    stop: watch::Sender<bool>,
    stalls: Vec<u64>,
    ticks: Vec<Timestamp>,
}

impl Judge for Slow {
    fn observe(&mut self, observation: &Observation<'_>) {
        match observation.event {
            // Not a wait for something: this is the very trouble that is tested.
            Event::Ws { .. } => std::thread::sleep(Duration::from_millis(300)),
            Event::SelfStall { millis } => {
                self.stalls.push(millis);
                self.stop.send_replace(true);
            }
            _ => {}
        }
    }

    fn tick(&mut self, now: Timestamp) {
        self.ticks.push(now);
    }
}

#[tokio::test]
async fn a_contract_that_cannot_be_connected_with_is_refused_before_anything_is_written() {
    let somebody = silent_websocket().await;
    let good = || contract(somebody, somebody, &["x"]);
    let mut bad_header = good();
    bad_header.ws.headers = vec![("X-Key".to_string(), "secret\n".to_string())];
    let mut bad_url = good();
    bad_url.rest.base_url = "ws://h".to_string();
    let mut bad_ca = good();
    bad_ca.rest.tls.ca = Some("nowhere.pem".to_string());
    let mut half = good();
    half.rest.tls.client_key = Some("key.pem".to_string());
    for (contract, expect) in [
        (bad_header, "header `X-Key` of [ws] cannot be sent: its value holds line breaks"),
        (bad_url, "base_url of [rest] is no usable URL: its scheme is `ws`"),
        (bad_ca, "[rest]: could not read `ca` from nowhere.pem: "),
        (half, "[rest]: `client_key` is set, but `client_cert` is not"),
    ] {
        let mut run = watch_contract(contract);
        let error = run.ended().await.unwrap_err();
        assert!(matches!(error, RunError::Setup(_)) && error.to_string().starts_with(expect), "{error}");
        assert_eq!(run.text(), "");
    }
}

/// A host that only a proxy knows: loopback addresses never go through one.
const BEHIND: &str = "feed.example";

/// An authority, a server certificate and a client certificate, as files in a folder.
struct Pki {
    folder: tempfile::TempDir,
    server: rustls::ServerConfig,
}

fn pki() -> Pki {
    let folder = tempfile::tempdir().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(params, ca_key);
    let signed = |names: &[&str]| {
        let key = rcgen::KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let params = rcgen::CertificateParams::new(names).unwrap();
        (params.signed_by(&key, &issuer).unwrap(), key)
    };
    let (server, server_key) = signed(&["localhost", BEHIND]);
    let (client, client_key) = signed(&["cutover"]);
    for (name, text) in [("ca", ca.pem()), ("client", client.pem()), ("key", client_key.serialize_pem())] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![server.der().clone()],
            PrivateKeyDer::try_from(server_key.serialize_der()).unwrap(),
        )
        .unwrap();
    Pki { folder, server }
}

/// REST and a WebSocket over TLS.
async fn tls_feeds(server: &rustls::ServerConfig) -> (SocketAddr, SocketAddr) {
    let acceptor = TlsAcceptor::from(Arc::new(server.clone()));
    let rest_acceptor = acceptor.clone();
    let rest = accept(move |stream, _| {
        let acceptor = rest_acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let answer = Response::new(Full::new(Bytes::from_static(b"\"over tls\"")));
            let service = service_fn(move |_| {
                let answer = answer.clone();
                async move { Ok::<_, std::convert::Infallible>(answer) }
            });
            let builder = hyper::server::conn::http1::Builder::new();
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await;
    let ws = accept(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let mut socket = accept_async(stream).await.unwrap();
            socket.send(Message::text("\"over wss\"")).await.unwrap();
            while let Some(Ok(_)) = socket.next().await {}
        }
    })
    .await;
    (rest, ws)
}

/// Until both feeds have said what they say.
async fn until_both(run: &mut Watched) {
    let (mut over_tls, mut over_wss) = (false, false);
    while !(over_tls && over_wss) {
        let line = run.until("both feeds", |event| json_of(event).is_some()).await;
        over_tls |= line.contains("\"over tls\"");
        over_wss |= line.contains("\"over wss\"");
    }
}

/// A proxy that tells what it was asked, and leads to this machine wherever it is asked to.
async fn proxy() -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let (told, heard) = tokio::sync::mpsc::unbounded_channel();
    let address = accept(move |mut stream, _| {
        let told = told.clone();
        async move {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { return };
                asked.push(byte);
            }
            let asked = String::from_utf8(asked).unwrap();
            let target = asked.split(' ').nth(1).unwrap().trim_start_matches("http://").to_string();
            let authority = target.split('/').next().unwrap();
            let port: u16 = authority.rsplit(':').next().unwrap().parse().unwrap();
            let is_tunnel = asked.starts_with("CONNECT ");
            told.send(asked).unwrap();
            if !is_tunnel {
                let answer =
                    "HTTP/1.1 200 OK\r\ncontent-length: 14\r\nconnection: close\r\n\r\n\"by the proxy\"";
                let _ = stream.write_all(answer.as_bytes()).await;
                return;
            }
            stream.write_all(b"HTTP/1.1 200 Fine\r\n\r\n").await.unwrap();
            let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut server).await;
        }
    })
    .await;
    (address, heard)
}

#[tokio::test]
async fn both_feeds_go_through_the_proxy() {
    let pki = pki();
    let (rest, ws) = tls_feeds(&pki.server).await;
    let (proxy, mut heard) = proxy().await;
    let path = |name: &str| Some(pki.folder.path().join(name).to_str().unwrap().to_string());
    let own = Tls { ca: path("ca"), client_cert: path("client"), client_key: path("key") };
    let mut behind = contract(rest, ws, &["x"]);
    behind.rest.base_url = format!("https://{BEHIND}:{}", rest.port());
    behind.ws.url = format!("wss://{BEHIND}:{}/", ws.port());
    (behind.rest.tls, behind.ws.tls) = (own.clone(), own);
    let through = |variable: &'static str, except: &'static str| {
        let environment = move |name: &str| match name {
            _ if name == variable => Some(format!("http://anna:proxy-secret@{proxy}")),
            "NO_PROXY" => Some(except.to_string()),
            _ => None,
        };
        RunSettings { proxies: ProxySettings::from_environment(&environment).unwrap(), ..settings() }
    };
    let mut run = watch_with(behind.clone(), through("HTTPS_PROXY", ""), usize::MAX);
    until_both(&mut run).await;
    run.finish().await.unwrap();
    assert!(!run.text().contains("proxy-secret"));
    let asked: Vec<String> = (0..2).map(|_| heard.try_recv().unwrap()).collect();
    for port in [rest.port(), ws.port()] {
        let request =
            asked.iter().find(|text| text.starts_with(&format!("CONNECT {BEHIND}:{port} HTTP/1.1\r\n")));
        let request = request.unwrap_or_else(|| panic!("{port}: {asked:?}")).to_lowercase();
        assert!(request.contains("proxy-authorization: basic yw5uytpwcm94es1zzwnyzxq="), "{request}");
    }

    // Without TLS the proxy itself asks.
    let mut plain = behind.clone();
    plain.rest.base_url = format!("http://{BEHIND}:{}", rest.port());
    plain.rest.tls = Tls::default();
    let mut run = watch_with(plain, through("ALL_PROXY", ""), usize::MAX);
    let line = run.until("poll", is_rest).await;
    assert!(line.contains("\"by the proxy\""), "{line}");
    run.finish().await.unwrap();
    let request = loop {
        let asked = heard.recv().await.unwrap();
        if asked.starts_with("GET ") {
            break asked;
        }
    };
    assert!(request.starts_with(&format!("GET http://{BEHIND}:{}/", rest.port())), "{request}");
    assert!(request.to_lowercase().contains("proxy-authorization: basic"), "{request}");
    assert!(!run.text().contains("proxy-secret"));

    // What is excepted is asked directly, and nobody knows it.
    let mut run = watch_with(behind, through("ALL_PROXY", "other.example, .example"), usize::MAX);
    let line = run.until("poll", is_rest).await;
    assert!(line.contains(r#""error":"connect""#), "{line}");
    run.finish().await.unwrap();
}

#[tokio::test]
async fn both_feeds_speak_tls_with_an_own_authority_and_a_client_certificate() {
    let pki = pki();
    let (rest, ws) = tls_feeds(&pki.server).await;
    let path = |name: &str| Some(pki.folder.path().join(name).to_str().unwrap().to_string());
    let own = Tls { ca: path("ca"), client_cert: path("client"), client_key: path("key") };
    let mut good = contract(rest, ws, &["x"]);
    good.rest.base_url = format!("https://localhost:{}", rest.port());
    good.ws.url = format!("wss://localhost:{}/", ws.port());
    let mut stranger = good.clone();
    (good.rest.tls, good.ws.tls) = (own.clone(), own);

    let mut run = watch_contract(good);
    until_both(&mut run).await;
    run.finish().await.unwrap();

    // With the roots of the system alone, nobody knows this authority.
    stranger.ws.reconnect_first = Span::from_millis(10);
    let mut run = watch_contract(stranger);
    let line =
        run.until("tls error", |event| matches!(event, Event::WsError { error, .. } if error == "tls")).await;
    assert!(line.contains("UnknownIssuer"), "{line}");
    let line = run.until("failed poll", is_rest).await;
    assert!(line.contains(r#""error":"connect""#) && line.contains("UnknownIssuer"), "{line}");
    run.finish().await.unwrap();
    assert!(run.seen().iter().all(|line| decode_checked(line).is_ok()));
}

/// REST over HTTP/2, which TLS settles, at an IPv6 address; the stream there too.
#[tokio::test]
async fn http_2_and_ipv6_are_spoken() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
    let rest = listener.local_addr().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["::1".to_string()]).unwrap().self_signed(&key).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca");
    std::fs::write(&ca, certificate.pem()).unwrap();
    let mut server =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(server));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
                let version = format!("\"{:?}\"", request.version());
                Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(version))))
            });
            let builder = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let ws = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut socket = accept_async(stream).await.unwrap();
            socket.send(Message::text("\"over IPv6\"")).await.unwrap();
            tokio::spawn(async move { while let Some(Ok(_)) = socket.next().await {} });
        }
    });
    let mut contract = contract(rest, ws, &["x"]);
    contract.rest.base_url = format!("https://{rest}");
    contract.rest.tls = Tls { ca: ca.to_str().map(str::to_string), ..Tls::default() };
    let mut run = watch_contract(contract);
    let (mut over_2, mut over_6) = (false, false);
    while !(over_2 && over_6) {
        let line = run.until("both feeds", |event| json_of(event).is_some()).await;
        over_2 |= line.contains("\"HTTP/2.0\"");
        over_6 |= line.contains("\"over IPv6\"");
    }
    run.finish().await.unwrap();
}

/// Tokens that were given out, and until when each is good.
#[derive(Default)]
struct Tokens {
    given: Vec<tokio::time::Instant>,
    refused: usize,
    logins: usize,
}

const GOOD_FOR: std::time::Duration = std::time::Duration::from_millis(1_000);

impl Tokens {
    fn issue(&mut self) -> String {
        self.given.push(tokio::time::Instant::now());
        format!(
            r#"{{"access":"secret-access-{}","refresh":"secret-refresh","expires_in":1}}"#,
            self.given.len()
        )
    }

    fn is_good(&self, token: &str) -> bool {
        let number = token.rsplit('-').next().and_then(|number| number.parse::<usize>().ok());
        let given = number.and_then(|number| self.given.get(number.checked_sub(1)?));
        given.is_some_and(|given| given.elapsed() < GOOD_FOR)
    }
}

/// Logins, refreshes, and the balances that both feeds show.
async fn guarded(
    request: hyper::Request<hyper::body::Incoming>,
    tokens: Arc<Mutex<Tokens>>,
    cash: impl Fn() -> u64,
) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_string();
    let bearer = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_string());
    let body = http_body_util::BodyExt::collect(request.into_body()).await.unwrap().to_bytes();
    let mut tokens = tokens.lock().unwrap();
    match path.as_str() {
        "/login" if body == "user=anna&password=secret-password" => {
            tokens.logins += 1;
            ok(tokens.issue())
        }
        "/refresh" if body == "refresh=secret-refresh" => ok(tokens.issue()),
        "/balances" if bearer.as_deref().is_some_and(|b| tokens.is_good(b)) => {
            ok(format!(r#"{{"accounts":[{{"id":1,"cash":"{}.50"}}]}}"#, cash()))
        }
        _ => {
            tokens.refused += 1;
            status(401, "application/json", "{}")
        }
    }
}

/// The whole command against feeds that ask who is there: TLS with an own authority and a client certificate, a
/// login whose token ends again and again, a dialogue before the stream, a subscription, pings of the server's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_goes_on_while_its_token_ends_and_ends_again() {
    let pki = pki();
    let tokens = Arc::new(Mutex::new(Tokens::default()));
    let began = tokio::time::Instant::now();
    let cash = move || began.elapsed().as_millis() as u64 / 500;
    let acceptor = TlsAcceptor::from(Arc::new(pki.server.clone()));
    let (rest_acceptor, rest_tokens) = (acceptor.clone(), tokens.clone());
    let rest = accept(move |stream, _| {
        let (acceptor, tokens) = (rest_acceptor.clone(), rest_tokens.clone());
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| {
                let tokens = tokens.clone();
                async move { Ok::<_, std::convert::Infallible>(guarded(request, tokens, cash).await) }
            });
            let builder = hyper::server::conn::http1::Builder::new();
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await;
    let ws_tokens = tokens.clone();
    let ws = accept(move |stream, _| {
        let (acceptor, tokens) = (acceptor.clone(), ws_tokens.clone());
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let mut socket = accept_async(stream).await.unwrap();
            socket.send(Message::text(r#"{"type":"auth_required"}"#)).await.unwrap();
            let Some(Ok(Message::Text(said))) = socket.next().await else { return };
            let said: serde_json::Value = serde_json::from_str(&said).unwrap();
            if !tokens.lock().unwrap().is_good(said["access_token"].as_str().unwrap()) {
                return;
            }
            socket.send(Message::text(r#"{"type":"auth_ok"}"#)).await.unwrap();
            let Some(Ok(Message::Text(said))) = socket.next().await else { return };
            assert_eq!(said.as_str(), r#"{"subscribe":"balances"}"#);
            let mut told = None;
            let mut tick = tokio::time::interval(std::time::Duration::from_millis(20));
            loop {
                tokio::select! {
                    _ = tick.tick() => {
                        let now = cash();
                        if told.replace(now) != Some(now) {
                            let text = format!(r#"{{"type":"balances","data":[{{"id":1,"cash":{now}.5}}]}}"#);
                            if socket.send(Message::text(text)).await.is_err() {
                                return;
                            }
                        }
                    }
                    message = socket.next() => match message {
                        Some(Ok(Message::Text(_))) => {
                            let _ = socket.send(Message::text(r#"{"type":"pong"}"#)).await;
                        }
                        Some(Ok(_)) => {}
                        _ => return,
                    },
                }
            }
        }
    })
    .await;
    let folder = pki.folder.path();
    let contract = format!(
        r#"version = 1
[rest]
base_url = "https://localhost:{}"
ca = "{folder}/ca"
client_cert = "{folder}/client"
client_key = "{folder}/key"
[rest.login]
path = "/login"
form = {{ user = "anna", password = "${{PASSWORD}}" }}
refresh = {{ path = "/refresh", form = {{ refresh = "{{refresh}}" }} }}
[ws]
url = "wss://localhost:{}/ws"
type = "/type"
ca = "{folder}/ca"
client_cert = "{folder}/client"
client_key = "{folder}/key"
open = [
  {{ expect = {{ "/type" = "auth_required" }} }},
  {{ send = '{{"type":"auth","access_token":"{{token}}"}}' }},
  {{ expect = {{ "/type" = "auth_ok" }}, timeout = "5s" }},
]
subscribe = ['{{"subscribe":"balances"}}']
keepalive = {{ every = "500ms", send = '{{"type":"ping"}}', timeout = "20s" }}
keepalive_types = ["pong"]
[market]
calendar = "24/7"
[timing]
settle = "1500ms"
[[feature]]
name = "balances"
align = "arrival"
interval = "500ms"
cadence = "on-change"
key = ["id"]
rest = {{ path = "/balances", poll = "250ms", records = "/accounts" }}
ws = {{ type = "balances", records = "/data" }}
[feature.fields]
id = {{ type = "integer" }}
cash = {{ type = "decimal" }}
"#,
        rest.port(),
        ws.port(),
        folder = folder.display(),
    );
    std::fs::write(folder.join("cutover.toml"), contract).unwrap();
    let at = folder.to_path_buf();
    let output = tokio::task::spawn_blocking(move || {
        std::process::Command::new(env!("CARGO_BIN_EXE_cutover"))
            .args(["watch", "--contract", "cutover.toml", "--for", "5s", "--format", "json", "-vv"])
            .current_dir(at)
            .env("PASSWORD", "secret-password")
            .env_remove("RUST_LOG")
            .output()
            .unwrap()
    });
    let output = tokio::time::timeout(2 * PATIENCE, output).await.expect("the run ends").unwrap();
    let (out, log) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let report: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{log}"));
    let feature = &report["features"][0];
    {
        let tokens = tokens.lock().unwrap();
        assert!(tokens.given.len() >= 3 && tokens.logins == 1, "{} of {}", tokens.logins, tokens.given.len());
    }
    let check = |name: &str| {
        let checks = feature["checks"].as_array().unwrap();
        checks.iter().find(|check| check["check"] == name).unwrap()["verdict"].clone()
    };
    assert_eq!(
        (check("values-match"), check("messages-seen"), check("no-drops")),
        ("PASS".into(), "PASS".into(), "PASS".into()),
        "{out}\n{log}"
    );
    assert_eq!(report["connection"]["opens"], 1, "a socket is asked once");
    assert!(report["connection"]["keepalive_frames"].as_u64().unwrap() > 0);
    // Nothing that was given in confidence is told to anybody.
    let mut told = out + &log;
    for entry in walk(folder) {
        let bytes = std::fs::read(&entry).unwrap();
        let plain = zstd::stream::decode_all(&bytes[..]).unwrap_or(bytes);
        told.push_str(&String::from_utf8_lossy(&plain));
    }
    assert!(told.contains("ws_open"), "the capture is among what was looked at");
    assert!(
        !told.contains("secret-"),
        "{}",
        told.lines().filter(|line| line.contains("secret-")).collect::<Vec<_>>().join("\n")
    );
}

/// All files below a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { files.extend(walk(&entry)) } else { files.push(entry) }
    }
    files
}
