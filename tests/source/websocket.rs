//! The WebSocket side: what servers do to connections, and what is recorded of it.

use crate::support::*;
use cutover::capture::decode_checked;
use cutover::contract::{Contract, Keepalive};
use cutover::model::{ClosedBy, Event, Payload, Span};
use cutover::source::ProxySettings;
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, accept_async};

fn only_ws(ws: SocketAddr) -> Contract {
    // No feature, no poll: nothing but the stream.
    contract(ws, ws, &[])
}

async fn follow(mut socket: WebSocketStream<TcpStream>) -> Option<Message> {
    let mut last = None;
    while let Some(Ok(message)) = socket.next().await {
        last = Some(message);
    }
    last
}

fn is_close(event: &Event<'_>) -> bool {
    matches!(event, Event::WsClose { .. })
}

#[tokio::test]
async fn messages_are_recorded_and_the_end_is_a_close_frame() {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let ws = accept(move |stream, _| {
        let told = told.clone();
        async move {
            let mut socket = accept_async(stream).await.unwrap();
            let subscribed = socket.next().await.unwrap().unwrap();
            told.send(subscribed).unwrap();
            socket.send(Message::text("{\"type\":\n\"a\"}")).await.unwrap();
            socket.send(Message::binary(&b"[1.50]"[..])).await.unwrap();
            socket.send(Message::binary(&b"\x00\xff"[..])).await.unwrap();
            socket.send(Message::text("not json\u{2028}")).await.unwrap();
            told.send(follow(socket).await.unwrap()).unwrap();
        }
    })
    .await;
    let mut contract = only_ws(ws);
    contract.ws.subscribe = vec!["{\"subscribe\":1}".to_string()];
    contract.ws.headers = vec![("Origin".to_string(), "https://page".to_string())];
    let mut run = watch_contract(contract);
    run.until_many(4, "message", is_ws).await;
    let end = run.finish().await.unwrap();
    assert_eq!(heard.recv().await.unwrap(), Message::text("{\"subscribe\":1}"));
    let close = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    assert_eq!(heard.recv().await.unwrap(), Message::Close(Some(close)));
    let parts: Vec<&str> =
        run.seen().iter().map(|line| line.split_once(",\"conn\":0").map_or("", |p| p.1)).collect();
    assert_eq!(
        parts[1..],
        [
            "}",
            r#","bytes":13,"body":{"type": "a"}}"#,
            r#","bytes":6,"binary":true,"body":[1.50]}"#,
            r#","bytes":2,"base64":"AP8="}"#,
            ",\"bytes\":11,\"text\":\"not json\u{2028}\"}",
            r#","code":1000,"reason":"","by":"us"}"#,
            "",
        ]
    );
    let (tail, sha256) = run.check_capture();
    assert_eq!((sha256, tail.is_interrupted()), (end.capture_sha256, false));
    assert!(run.seen().last().unwrap().contains(r#""kind":"end""#));
}

#[tokio::test]
async fn a_lost_connection_is_dialled_again_and_numbered() {
    let ws = accept(|stream, number| async move {
        let mut socket = accept_async(stream).await.unwrap();
        socket.send(Message::text(format!("{number}"))).await.unwrap();
        match number {
            0 => {
                let frame = CloseFrame { code: CloseCode::Error, reason: "no handler".into() };
                socket.close(Some(frame)).await.unwrap();
            }
            1 => socket.close(None).await.unwrap(),
            // Gone without a word.
            2 => return,
            _ => {}
        }
        follow(socket).await;
    })
    .await;
    let mut run = watch_contract(only_ws(ws));
    for (code, reason, by) in [
        (1011, "no handler", ClosedBy::Peer),
        (1005, "", ClosedBy::Peer),
        (1006, "ended without a close frame", ClosedBy::Network),
    ] {
        let line = run.until("close", is_close).await;
        let Event::WsClose { code: found, reason: said, by: who, .. } = decode_checked(&line).unwrap().event
        else {
            panic!()
        };
        assert_eq!((found, said.as_ref(), who), (code, reason, by));
    }
    run.until("fourth", |event| matches!(event, Event::Ws { conn: 3, payload: Payload::Json { text, .. }, .. } if text == "3")).await;
    run.finish().await.unwrap();
    let opens: Vec<_> = run.seen().iter().filter(|line| line.contains("ws_open")).collect();
    assert_eq!(opens.len(), 4);
}

#[tokio::test]
async fn a_socket_that_shows_no_sign_of_life_is_stalled() {
    // It answers neither pings nor anything else, because it never reads.
    let ws = accept(|stream, _| async move {
        let socket = accept_async(stream).await.unwrap();
        std::future::pending::<()>().await;
        drop(socket);
    })
    .await;
    let mut contract = only_ws(ws);
    contract.ws.keepalive =
        Some(Keepalive { every: Span::from_millis(50), send: None, timeout: Span::from_millis(300) });
    let mut run = watch_contract(contract);
    let line = run.until("stall", is_close).await;
    assert!(
        line.contains(r#""code":1006,"reason":"no sign of life for 300ms after a ping","by":"stalled""#),
        "{line}"
    );
    run.until("next connection", |event| matches!(event, Event::WsOpen { conn: 1 })).await;
    run.finish().await.unwrap();
}

#[tokio::test]
async fn a_quiet_socket_that_answers_pings_stays_open() {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let ws = accept(move |stream, _| {
        let told = told.clone();
        async move {
            let mut socket = accept_async(stream).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                let _ = told.send(message);
            }
        }
    })
    .await;
    let mut contract = only_ws(ws);
    let send = Some("{\"type\":\"ping\"}".to_string());
    contract.ws.keepalive =
        Some(Keepalive { every: Span::from_millis(20), send, timeout: Span::from_secs(20) });
    let mut run = watch_contract(contract);
    run.until_many(5, "round trip", |event| matches!(event, Event::WsRtt { conn: 0, .. })).await;
    run.finish().await.unwrap();
    assert!(!run.seen().iter().any(|line| line.contains("stalled")));
    assert!(matches!(heard.recv().await, Some(Message::Ping(_))));
    assert_eq!(heard.recv().await, Some(Message::text("{\"type\":\"ping\"}")));
}

/// Silence is told by pings that nothing follows, so a time-out may be shorter than the time between them.
#[tokio::test]
async fn a_quiet_socket_is_asked_before_it_is_called_stalled() {
    let ws = accept(|stream, _| async move {
        let mut socket = accept_async(stream).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    let mut contract = only_ws(ws);
    contract.ws.keepalive =
        Some(Keepalive { every: Span::from_millis(700), send: None, timeout: Span::from_millis(500) });
    let mut run = watch_contract(contract);
    run.until_many(2, "round trip", |event| matches!(event, Event::WsRtt { conn: 0, .. })).await;
    run.finish().await.unwrap();
    assert!(!run.seen().iter().any(|line| line.contains("stalled")), "{:?}", run.seen());
}

/// A server that sends raw bytes after the handshake.
async fn raw_frames(bytes: &'static [u8]) -> SocketAddr {
    accept(move |stream, _| async move {
        let mut stream = accept_async(stream).await.unwrap().into_inner();
        let _ = stream.write_all(bytes).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await
}

#[tokio::test]
async fn broken_frames_are_errors_and_end_the_connection() {
    for (frames, error, close) in [
        (
            &b"\x81\x03a\xffb"[..],
            r#""error":"protocol","detail":"a text message is not UTF-8"#,
            r#""code":1007,"reason":"a text message is not UTF-8","by":"network""#,
        ),
        (b"\xc1\x02{}", r#""error":"protocol","detail":"Reserved bits"#, r#""code":1002"#),
        (b"\x81\x82\0\0\0\0{}", r#""error":"protocol","detail":"Received a masked frame"#, r#""code":1002"#),
        (
            b"\x82\x7f\0\0\0\0\0\x02\0\0",
            r#""error":"too_big","detail":"131072 bytes; max_message is 65536"#,
            r#""code":1009,"reason":"message over max_message","by":"us""#,
        ),
    ] {
        let mut run = watch_contract(only_ws(raw_frames(frames).await));
        let line = run.until("error", |event| matches!(event, Event::WsError { conn: 0, .. })).await;
        assert!(line.contains(error), "{line}");
        let line = run.until("close", is_close).await;
        assert!(line.contains(close), "{line}");
        run.until("next connection", |event| matches!(event, Event::WsOpen { conn: 1 })).await;
        run.finish().await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_handshake_tells_status_and_kind_and_no_secret() {
    for (answer, expect) in [
        (
            "HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\ncontent-length: 24\r\n\r\nbad token s3cret-s3cret\r\n",
            r#""conn":0,"error":"handshake","status":403,"detail":"text/plain; bad token ***"}"#,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
            r#""error":"handshake","status":200,"detail":"text/html; <html>"}"#,
        ),
        (
            "HTTP/1.1 301 Moved\r\nlocation: http://x/?token=abc\r\ncontent-length: 0\r\n\r\n",
            r#""error":"handshake","status":301,"detail":"no content type; a redirect, not followed"}"#,
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: x\r\n\r\n",
            r#""error":"handshake","detail":"WebSocket protocol error: Key mismatch"#,
        ),
        ("SSH-2.0-OpenSSH_9.6\r\n", r#""error":"handshake","detail":"WebSocket protocol error: httparse"#),
    ] {
        let ws = accept(move |mut stream, _| async move {
            let _ = stream.read(&mut [0; 2048]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let mut contract = only_ws(ws);
        contract.ws.url.push_str("?token=s3cret-s3cret");
        let mut run = watch_contract(contract);
        let line = run.until("refusal", |event| matches!(event, Event::WsError { .. })).await;
        assert!(line.contains(expect), "{line}");
        run.until("second try", |event| matches!(event, Event::WsError { conn: 0, .. })).await;
        run.finish().await.unwrap();
        assert!(!run.text().contains("s3cret"));
    }
    let mut run = watch_contract(only_ws(nobody().await));
    let line = run.until("refusal", |event| matches!(event, Event::WsError { .. })).await;
    assert!(line.contains(r#""conn":0,"error":"connect","detail":"Connection refused"#), "{line}");
    run.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_recorded_whole_and_in_order() {
    const COUNT: usize = 30_000;
    let ws = accept(|stream, _| async move {
        let mut socket = accept_async(stream).await.unwrap();
        for number in 0..COUNT {
            socket.feed(Message::text(format!("{{\"n\":{number}}}"))).await.unwrap();
        }
        socket.flush().await.unwrap();
        follow(socket).await;
    })
    .await;
    let mut run = watch_contract(only_ws(ws));
    run.until("last", |event| json_of(event) == Some(format!("{{\"n\":{}}}", COUNT - 1))).await;
    run.finish().await.unwrap();
    let numbers: Vec<String> =
        run.seen().iter().filter_map(|line| json_of(&decode_checked(line).unwrap().event)).collect();
    assert_eq!(numbers.len(), COUNT);
    assert!(numbers.iter().enumerate().all(|(number, text)| *text == format!("{{\"n\":{number}}}")));
    run.check_capture();
}

#[tokio::test]
async fn the_stream_goes_through_the_proxy_too() {
    let ws = accept(|stream, _| async move {
        let mut socket = accept_async(stream).await.unwrap();
        socket.send(Message::text("1")).await.unwrap();
        follow(socket).await;
    })
    .await;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let proxy = accept(move |mut stream, number| {
        let told = told.clone();
        async move {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(stream.read_u8().await.unwrap());
            }
            told.send(String::from_utf8(asked).unwrap()).unwrap();
            if number == 0 {
                stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.unwrap();
                return;
            }
            stream.write_all(b"HTTP/1.1 200 Fine\r\n\r\n").await.unwrap();
            let mut server = TcpStream::connect(ws).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut server).await;
        }
    })
    .await;
    let mut contract = only_ws(ws);
    // Loopback addresses never go through a proxy, so the host has a name that only the proxy knows.
    contract.ws.url = "ws://feed.example:81/ws".to_string();
    let environment = |name: &str| (name == "HTTP_PROXY").then(|| format!("http://u:pass@{proxy}"));
    let mut settings = settings();
    settings.proxies = ProxySettings::from_environment(&environment).unwrap();
    let mut run = watch_with(contract, settings, usize::MAX);
    let refused = run.until("refusal", |event| matches!(event, Event::WsError { .. })).await;
    assert!(
        refused.contains(r#""error":"connect","status":407,"detail":"proxy: CONNECT was refused""#),
        "{refused}"
    );
    run.until("message", is_ws).await;
    run.finish().await.unwrap();
    let asked = heard.recv().await.unwrap();
    assert!(asked.starts_with("CONNECT feed.example:81 HTTP/1.1\r\nHost: feed.example:81\r\n"), "{asked}");
    assert!(asked.contains("Proxy-Authorization: Basic dTpwYXNz\r\n"), "{asked}");
}
