//! A tap between a frontend and its backend: everything passes as it came, and requests are recorded.

use crate::support::*;
use bytes::Bytes;
use cutover::model::Event;
use cutover::source::{BackendTargets, RunSettings, TapTarget};
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::Response;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

/// A run with a tap before `backend`, and where the tap listens.
async fn tapped(backend: SocketAddr) -> (Watched, SocketAddr) {
    let listen = nobody().await;
    let taps = vec![TapTarget { listen, to: backend.to_string() }];
    let settings =
        RunSettings { backend: BackendTargets { taps, ..BackendTargets::default() }, ..settings() };
    let rest = http(|_| async { ok("{}") }).await;
    let mut contract = contract(rest, silent_websocket().await, &["balances"]);
    contract.features[0].rest.poll = cutover::model::Span::from_secs(3_600);
    let mut run = watch_with(contract, settings, usize::MAX);
    run.until("start", |event| matches!(event, Event::Start(_))).await;
    (run, listen)
}

/// `method path status feature` of what was recorded, the latest `count`.
async fn recorded(run: &mut Watched, count: usize) -> Vec<String> {
    for _ in 0..count {
        run.until("request", |event| matches!(event, Event::Frontend { .. })).await;
    }
    let lines = run.seen().iter().filter(|line| line.contains(r#""kind":"frontend""#));
    let tail = |line: &String| line.split_once(r#""method":"#).unwrap().1.trim_end_matches('}').to_string();
    lines.map(tail).collect()
}

/// Sends raw bytes, and reads to the end of the connection.
async fn exchange(to: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end").unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn requests_pass_unchanged_and_are_recorded_with_their_answers() {
    let backend = http(|request| async move {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let words = format!("{} {} {:?}", head.method, head.uri, body);
        let status = if head.uri.path() == "/none" { 404 } else { 200 };
        Response::builder().status(status).body(Full::new(Bytes::from(words))).unwrap()
    })
    .await;
    let (mut run, tap) = tapped(backend).await;
    // Three on one connection, sent at once; the second with a body, the third without an answer's body.
    let bytes = b"GET /balances?token=abcdefgh HTTP/1.1\r\nhost: h\r\n\r\n\
        POST /orders HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n\
        HEAD /none HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    let (through, direct) = (exchange(tap, bytes).await, exchange(backend, bytes).await);
    let plain =
        |text: &str| text.lines().filter(|line| !line.starts_with("date:")).collect::<Vec<_>>().join("\n");
    assert_eq!(plain(&through), plain(&direct));
    assert!(through.contains("POST /orders b\"hello\""), "{through}");
    assert_eq!(
        recorded(&mut run, 3).await,
        [
            r#""GET","path":"/balances?token=***","feature":"balances","status":200"#,
            r#""POST","path":"/orders","status":200"#,
            r#""HEAD","path":"/none","status":404"#,
        ]
    );
    run.finish().await.unwrap();
    run.check_capture();
}

#[tokio::test]
async fn a_websocket_passes_both_ways_and_its_opening_is_recorded() {
    let backend = accept(|stream, _| async move {
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() || message.is_binary() {
                socket.send(message).await.unwrap();
            }
        }
    })
    .await;
    let (mut run, tap) = tapped(backend).await;
    let stream = TcpStream::connect(tap).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(format!("ws://{tap}/ws"), stream).await.unwrap();
    assert_eq!(recorded(&mut run, 1).await, [r#""GET","path":"/ws","status":101"#]);
    // Frames that look like requests are frames.
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n * 31 % 251) as u8).collect();
    for message in [Message::text("GET /balances HTTP/1.1\r\n\r\n"), Message::binary(large)] {
        socket.send(message.clone()).await.unwrap();
        let echoed = tokio::time::timeout(PATIENCE, socket.next()).await.expect("an echo").unwrap().unwrap();
        assert!(echoed == message);
    }
    socket.close(None).await.unwrap();
    run.finish().await.unwrap();
    assert_eq!(recorded(&mut run, 0).await.len(), 1);
}

#[tokio::test]
async fn what_is_no_http_passes_and_what_has_no_answer_is_recorded() {
    let asked = Arc::new(tokio::sync::Notify::new());
    let asks = Arc::clone(&asked);
    let backend = accept(move |mut stream, _| {
        let asks = Arc::clone(&asks);
        async move {
            let mut bytes = vec![0; 1024];
            while let Ok(count @ 1..) = stream.read(&mut bytes).await {
                // Silent to a request; anything else comes back.
                match bytes.starts_with(b"GET") {
                    true => asks.notify_one(),
                    false => stream.write_all(&bytes[..count]).await.unwrap(),
                }
            }
        }
    })
    .await;
    let (mut run, tap) = tapped(backend).await;
    assert_eq!(exchange(tap, b"\x16\x03\x01 hello\r\n\r\n").await, "\u{16}\u{3}\u{1} hello\r\n\r\n");
    assert_eq!(exchange(tap, b"GET /balances HTTP/1.1\r\n\r\n").await, "");
    assert_eq!(recorded(&mut run, 1).await, [r#""GET","path":"/balances","feature":"balances""#]);
    asked.notified().await;
    // One that still waits when the run ends.
    let mut waiting = TcpStream::connect(tap).await.unwrap();
    waiting.write_all(b"GET /late HTTP/1.1\r\n\r\n").await.unwrap();
    tokio::time::timeout(PATIENCE, asked.notified()).await.expect("the request at the backend");
    run.finish().await.unwrap();
    run.check_capture();
    assert!(run.text().contains(r#""path":"/late"}"#), "{}", run.text());
}

#[tokio::test]
async fn a_backend_that_is_down_is_a_bad_gateway() {
    let (mut run, tap) = tapped(nobody().await).await;
    let mut stream = TcpStream::connect(tap).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 502 Bad Gateway"), "{head}");
    assert!(head.contains(&format!("content-length: {}", body.len())), "{answer}");
    run.finish().await.unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_stops_a_run_before_it_starts() {
    let taken = http(|_| async { ok("{}") }).await;
    let taps = vec![TapTarget { listen: taken, to: taken.to_string() }];
    let settings =
        RunSettings { backend: BackendTargets { taps, ..BackendTargets::default() }, ..settings() };
    let mut run = watch_with(contract(taken, taken, &[]), settings, usize::MAX);
    let error = run.ended().await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("could not listen on {taken} for --tap: ")), "{error}");
}
