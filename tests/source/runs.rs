//! Whole runs: how they end, TLS on both feeds, and what happens when the tool itself has trouble.

use crate::support::*;
use bytes::Bytes;
use cutover::capture::{Tail, Writer, decode_checked};
use cutover::contract::Tls;
use cutover::model::{EndReason, Event, Observation, Span, Timestamp};
use cutover::source::{Clock, Judge, RunError, run};
use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::Response;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use std::sync::Arc;
use std::time::Duration;
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
    let signed = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_string()]).unwrap();
        (params.signed_by(&key, &issuer).unwrap(), key)
    };
    let (server, server_key) = signed("localhost");
    let (client, client_key) = signed("cutover");
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

#[tokio::test]
async fn both_feeds_speak_tls_with_an_own_authority_and_a_client_certificate() {
    let pki = pki();
    let acceptor = TlsAcceptor::from(Arc::new(pki.server.clone()));
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
    let path = |name: &str| Some(pki.folder.path().join(name).to_str().unwrap().to_string());
    let own = Tls { ca: path("ca"), client_cert: path("client"), client_key: path("key") };
    let mut good = contract(rest, ws, &["x"]);
    good.rest.base_url = format!("https://localhost:{}", rest.port());
    good.ws.url = format!("wss://localhost:{}/", ws.port());
    let mut stranger = good.clone();
    (good.rest.tls, good.ws.tls) = (own.clone(), own);

    let mut run = watch_contract(good);
    let (mut over_tls, mut over_wss) = (false, false);
    while !(over_tls && over_wss) {
        let line = run.until("both feeds", |event| json_of(event).is_some()).await;
        over_tls |= line.contains("\"over tls\"");
        over_wss |= line.contains("\"over wss\"");
    }
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
