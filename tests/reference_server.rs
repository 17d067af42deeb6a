//! The reference server over real loopback sockets, read by outside readers: a bare TCP client for
//! HTTP, the WebSocket library's client, serde_json. Nothing sleeps to be right: each test waits for
//! what must come, with a limit that only a broken server meets.

#![cfg(feature = "io")]

use cutover::model::{Class, Timestamp};
use cutover::reference::{Fault, TruthEntry, WorldOptions};
use cutover::server::{Server, ServerOptions};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

const LIMIT: Duration = Duration::from_secs(30);

struct Running {
    address: SocketAddr,
    truth: mpsc::Receiver<TruthEntry>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Vec<String>>,
}

impl Running {
    async fn start(speed: f64, faults: &[&str]) -> Running {
        Running::start_world(speed, faults, WorldOptions::default()).await
    }

    async fn start_world(speed: f64, faults: &[&str], world: WorldOptions) -> Running {
        let start = Timestamp::parse_rfc3339("2025-12-19T14:30:00Z").unwrap();
        let (sender, truth) = mpsc::channel();
        let server = Server::bind(ServerOptions {
            speed,
            world,
            faults: faults.iter().map(|text| Fault::parse(text).unwrap()).collect(),
            truth: Some(Box::new(move |entry| drop(sender.send(entry.clone())))),
            ..ServerOptions::new("127.0.0.1:0".parse().unwrap(), start)
        })
        .await
        .unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(async { drop(stopped.await) }));
        Running { address, truth, stop, task }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        request(self.address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
    }

    async fn connect(&self) -> Result<WebSocketStream<TcpStream>, Error> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (socket, _) = within(client_async(format!("ws://{}/ws", self.address), stream)).await?;
        Ok(socket)
    }

    /// Stops it; what it says of its faults.
    async fn end(self) -> Vec<String> {
        self.stop.send(()).unwrap();
        let remarks = within(self.task).await.unwrap();
        assert!(TcpStream::connect(self.address).await.is_err());
        remarks
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("nothing came in time")
}

async fn request(address: SocketAddr, text: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn next_json(socket: &mut WebSocketStream<TcpStream>) -> Value {
    loop {
        match within(socket.next()).await.unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            _ => continue,
        }
    }
}

#[tokio::test]
async fn every_endpoint_answers_in_the_contracts_shape() {
    let server = Running::start(1.0, &[]).await;
    for (path, list, count, members) in [
        ("/api/balances", "accounts", 3, &["account_id", "account_number", "cash", "timestamp"][..]),
        ("/api/positions", "accounts", 3, &["account_id", "timestamp", "positions"]),
        ("/api/bars?x=1", "bars", 16, &["country", "symbol", "timestamp_minute", "open", "volume"]),
        ("/api/markets", "markets", 5, &["market_id", "country", "status", "seconds_to_next_event"]),
    ] {
        let (status, body) = server.get(path).await;
        assert_eq!(status, 200);
        let body: Value = serde_json::from_str(&body).unwrap();
        let records = body[list].as_array().unwrap();
        assert_eq!(records.len(), count, "{path}");
        assert!(members.iter().all(|name| records[0].get(name).is_some()), "{path}: {}", records[0]);
    }
    assert_eq!(server.get("/healthz").await, (200, "ok\n".to_owned()));
    let (status, metrics) = server.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("requests_total{path=\"/api/bars\",status=\"200\"} 1"), "{metrics}");
    assert_eq!(server.get("/api/nothing").await.0, 404);
    assert_eq!(server.get("/ws").await.0, 426);
    let posted = request(server.address, "POST /api/bars HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert_eq!(posted.await.0, 405);
    server.end().await;
}

#[tokio::test]
async fn the_stream_carries_every_type_and_rest_agrees() {
    let server = Running::start(100.0, &[]).await;
    let mut socket = server.connect().await.unwrap();
    let mut missing = vec!["account_balance", "positions", "intraday_bar", "market_status", "heartbeat"];
    while !missing.is_empty() {
        let message = next_json(&mut socket).await;
        missing.retain(|kind| message["type"] != *kind);
    }
    socket.send(Message::text(r#"{"type":"ping","timestamp":5}"#)).await.unwrap();
    while next_json(&mut socket).await["type"] != "pong" {}
    let (_, metrics) = server.get("/metrics").await;
    assert!(metrics.contains("cutover_reference_ws_clients 1"), "{metrics}");
    server.end().await;
}

#[tokio::test]
async fn two_clients_get_the_same_messages() {
    let server = Running::start(50.0, &[]).await;
    let mut a = server.connect().await.unwrap();
    // It is heard by the server for sure once it has got something.
    next_json(&mut a).await;
    let mut b = server.connect().await.unwrap();
    // The first has heard more: find the other's first message, then follow.
    let first = next_json(&mut b).await;
    while next_json(&mut a).await != first {}
    for _ in 0..30 {
        assert_eq!(next_json(&mut a).await, next_json(&mut b).await);
    }
    server.end().await;
}

#[tokio::test]
async fn a_drop_closes_the_socket_and_is_entered_in_the_truth() {
    let server = Running::start(100.0, &["connection_drop:every=200"]).await;
    let mut socket = server.connect().await.unwrap();
    let end = loop {
        match within(socket.next()).await {
            Some(Ok(Message::Close(frame))) => panic!("a close frame came: {frame:?}"),
            Some(Ok(_)) => {}
            end => break end,
        }
    };
    // What a client sees that would report 1006.
    assert!(!matches!(end, Some(Err(Error::ConnectionClosed))), "{end:?}");
    assert_eq!(server.truth.recv_timeout(LIMIT).unwrap().class, Class::ConnectionDrop);
    // It may come back.
    let mut again = server.connect().await.unwrap();
    next_json(&mut again).await;
    server.end().await;
}

#[tokio::test]
async fn a_drop_with_a_code_says_so() {
    let server = Running::start(100.0, &["connection_drop:every=20,code=1011"]).await;
    let mut socket = server.connect().await.unwrap();
    loop {
        match within(socket.next()).await.unwrap().unwrap() {
            Message::Close(frame) => break assert_eq!(u16::from(frame.unwrap().code), 1011),
            _ => continue,
        }
    }
    server.end().await;
}

/// What a client sees at last.
async fn last_of(socket: &mut WebSocketStream<TcpStream>) -> Result<Option<u16>, Error> {
    loop {
        match within(socket.next()).await {
            Some(Ok(Message::Close(frame))) => return Ok(frame.map(|frame| frame.code.into())),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error),
            None => return Err(Error::ConnectionClosed),
        }
    }
}

#[tokio::test]
async fn connections_end_by_code_by_reset_and_without_a_word() {
    for (fault, code) in [("code=1001", Some(1001)), ("code=1012", Some(1012)), ("code=1006", None)] {
        let server = Running::start(100.0, &[&format!("connection_drop:every=20,{fault}")]).await;
        let mut socket = server.connect().await.unwrap();
        match (last_of(&mut socket).await, code) {
            (Ok(seen), Some(_)) => assert_eq!(seen, code),
            // What a client reports as 1006.
            (Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)), None) => {}
            (other, _) => panic!("{fault}: {other:?}"),
        }
        server.end().await;
    }
    let server = Running::start(100.0, &["abrupt_reset:every=20"]).await;
    let mut socket = server.connect().await.unwrap();
    match last_of(&mut socket).await {
        Err(Error::Io(error)) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        other => panic!("{other:?}"),
    }
    assert_eq!(server.truth.recv_timeout(LIMIT).unwrap().class, Class::ConnectionDrop);
    server.end().await;
}

#[tokio::test]
async fn frames_come_in_binary_as_garbage_and_too_big() {
    let faults = ["binary_frame:every=3", "garbage_frame:every=5", "garbage_binary:every=7"];
    let server = Running::start(100.0, &faults).await;
    let mut socket = server.connect().await.unwrap();
    let (mut binary, mut text_garbage, mut binary_garbage) = (0, 0, 0);
    while binary == 0 || text_garbage == 0 || binary_garbage == 0 {
        match within(socket.next()).await.unwrap().unwrap() {
            Message::Binary(bytes) if serde_json::from_slice::<Value>(&bytes).is_ok() => binary += 1,
            Message::Binary(_) => binary_garbage += 1,
            Message::Text(text) if serde_json::from_str::<Value>(&text).is_err() => text_garbage += 1,
            _ => {}
        }
    }
    server.end().await;

    let server = Running::start(100.0, &["oversize_frame:every=20"]).await;
    let mut socket = server.connect().await.unwrap();
    let size = loop {
        match within(socket.next()).await.unwrap().unwrap() {
            Message::Text(text) if text.len() > 100_000 => break text.len(),
            _ => {}
        }
    };
    // A byte over the built-in contract's limit; a client without one goes on.
    assert_eq!(size, (4 << 20) + 1);
    next_json(&mut socket).await;
    assert_eq!(server.truth.recv_timeout(LIMIT).unwrap().class, Class::Malformed);
    server.end().await;
}

#[tokio::test]
async fn a_half_open_socket_says_nothing_and_does_not_end() {
    let server = Running::start(100.0, &["half_open:every=20"]).await;
    let mut socket = server.connect().await.unwrap();
    while server.truth.try_recv().is_err() {
        let _ = tokio::time::timeout(Duration::from_millis(20), socket.next()).await;
    }
    // What was on its way may still come; no end does, and a close frame finds no answer.
    while let Ok(message) = tokio::time::timeout(Duration::from_millis(300), socket.next()).await {
        assert!(!message.unwrap().unwrap().is_close());
    }
    let _ = socket.send(Message::Close(None)).await;
    assert!(tokio::time::timeout(Duration::from_millis(300), socket.next()).await.is_err());
    server.end().await;
}

#[tokio::test]
async fn history_is_told_again_to_whoever_comes_back() {
    let server = Running::start(100.0, &["replayed_history:feature=positions,at=60s"]).await;
    let mut socket = server.connect().await.unwrap();
    assert!(last_of(&mut socket).await.is_err());
    let mut socket = server.connect().await.unwrap();
    let mut times = Vec::new();
    while times.len() < 6 {
        let message = next_json(&mut socket).await;
        assert_eq!(message["type"], "positions");
        times.push(message["data"]["timestamp"].as_str().unwrap().to_owned());
    }
    let entered: Vec<TruthEntry> = server.truth.try_iter().filter(|t| t.class == Class::OutOfOrder).collect();
    let entered: Vec<String> = entered.iter().map(|entry| entry.event_time.unwrap().to_string()).collect();
    assert_eq!(entered, times);
    server.end().await;
}

#[tokio::test]
async fn rest_is_limited_slow_and_hangs() {
    let faults =
        ["rate_limited:feature=positions,at=0s,for=9h", "hanging_rest:feature=intraday_bar,at=0s,for=9h"];
    let slow = "slow_rest:feature=account_balance,at=0s,for=9h,by=4s";
    let server = Running::start(10.0, &[faults[0], faults[1], slow]).await;
    let text = "GET /api/positions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.to_lowercase().contains("\r\nretry-after: 5\r\n"), "{answer}");

    // Four of the world's seconds at ten times the speed.
    let began = std::time::Instant::now();
    assert_eq!(server.get("/api/balances").await.0, 200);
    assert!(began.elapsed() >= Duration::from_millis(400));

    let hanging = tokio::time::timeout(Duration::from_millis(700), server.get("/api/bars")).await;
    assert!(hanging.is_err());
    assert_eq!(server.truth.try_iter().filter(|t| t.class == Class::RestError).count(), 2);
    server.end().await;
}

#[tokio::test]
async fn a_server_tells_which_faults_never_struck_and_has_its_clock_off() {
    let server = Running::start(1.0, &["gap:at=5h", "clock_skew:by=1h"]).await;
    let (_, body) = server.get("/api/balances").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    let time = Timestamp::parse_rfc3339(body["accounts"][0]["timestamp"].as_str().unwrap()).unwrap();
    assert!(time > Timestamp::parse_rfc3339("2025-12-19T15:29:40Z").unwrap(), "{time}");
    let remarks = server.end().await;
    assert!(remarks[0].contains("`gap:at=5h` never struck"), "{remarks:?}");
}

#[tokio::test]
async fn a_stalled_socket_stays_open_and_silent() {
    let server = Running::start(100.0, &["stalled:at=30s"]).await;
    let mut socket = server.connect().await.unwrap();
    let mut stalled = None;
    while stalled.is_none() {
        // Silence alone proves nothing: the ledger says when it began.
        let _ = tokio::time::timeout(Duration::from_millis(20), socket.next()).await;
        stalled = server.truth.try_recv().ok();
    }
    assert_eq!(stalled.unwrap().class, Class::Stalled);
    // Others are served, and what they get does not reach the silent one.
    let mut other = server.connect().await.unwrap();
    for _ in 0..20 {
        next_json(&mut other).await;
    }
    let _ = socket.send(Message::Ping(vec![1].into())).await;
    let mut left = 0;
    while let Ok(Some(Ok(message))) = tokio::time::timeout(Duration::from_millis(300), socket.next()).await {
        assert!(!message.is_pong() && !message.is_close());
        left += 1;
    }
    // Only what was on its way when the silence began.
    assert!(left < 100, "{left}");
    server.end().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go_and_harms_nobody() {
    let world = WorldOptions { accounts: 20, positions: 100, ..WorldOptions::default() };
    let server = Running::start_world(500.0, &[], world).await;
    let stuck = server.connect().await.unwrap();
    let mut reader = server.connect().await.unwrap();
    let reading = tokio::spawn(async move { while let Some(Ok(_)) = reader.next().await {} });
    within(async {
        while server.get("/metrics").await.1.contains("cutover_reference_ws_slow_clients_total 0\n") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let (_, metrics) = server.get("/metrics").await;
    assert!(metrics.contains("cutover_reference_ws_connections_total 2"), "{metrics}");
    assert!(!reading.is_finished());
    drop(stuck);
    server.end().await;
    within(reading).await.unwrap();
}

#[tokio::test]
async fn refused_handshakes_are_answered_503() {
    let server = Running::start(1.0, &["connect_failed:for=1h"]).await;
    match server.connect().await {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 503),
        other => panic!("{other:?}"),
    }
    assert_eq!(server.truth.recv_timeout(LIMIT).unwrap().class, Class::ConnectFailed);
    server.end().await;
}

#[tokio::test]
async fn a_struck_value_differs_from_rest_and_is_entered() {
    let server = Running::start(50.0, &["value_mismatch:feature=account_balance,every=2"]).await;
    let mut socket = server.connect().await.unwrap();
    let mut truth = Vec::new();
    let (entry, cash) = loop {
        let message = next_json(&mut socket).await;
        truth.extend(server.truth.try_iter());
        let data = &message["data"];
        let stream = format!("account_id={}", data["account_id"]);
        let time = data["timestamp"].as_str().and_then(Timestamp::parse_rfc3339);
        let is_struck = |entry: &&TruthEntry| entry.stream == stream && entry.event_time == time;
        if let Some(entry) = truth.iter().find(is_struck).filter(|_| message["type"] == "account_balance") {
            break (entry.clone(), data["cash"].clone());
        }
    };
    let sent = entry.detail.split(' ').nth(1).unwrap();
    assert_eq!(cash, serde_json::from_str::<Value>(sent).unwrap());
    assert_eq!((entry.feature, entry.field), ("account_balance", "cash"));
    server.end().await;
}

#[tokio::test]
async fn wrong_options_and_taken_ports_are_said() {
    let server = Running::start(1.0, &[]).await;
    let start = Timestamp(0);
    let taken = Server::bind(ServerOptions::new(server.address, start)).await.unwrap_err();
    assert!(taken.to_string().contains(&server.address.to_string()), "{taken}");
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let still = ServerOptions { speed: 0.0, ..ServerOptions::new(any, start) };
    assert!(Server::bind(still).await.unwrap_err().to_string().contains("above 0"));
    server.end().await;
}
