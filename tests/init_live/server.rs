//! A server in a few lines: a second of its world is a second of real time; at each one it says what is new on every
//! WebSocket, and answers requests with what is so. Each shape's seconds begin at a moment of their own, so that its
//! many clients are not all woken at once.

use crate::shapes::{SHAPES, Shape};
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

/// Listens until it is dropped.
pub struct Server {
    pub address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    pub fn start() -> Server {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream));
            }
        });
        Server { address, _runtime: runtime }
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// How long after a full second this shape's begin.
fn phase(shape: &Shape) -> Duration {
    let place = SHAPES.iter().position(|other| other.name == shape.name).unwrap_or(0);
    Duration::from_secs(1) * place as u32 / SHAPES.len() as u32
}

async fn answer(mut stream: TcpStream) {
    let mut head = [0; 4096];
    // Looked at and left there for the handshake.
    let length = loop {
        match stream.peek(&mut head).await {
            Ok(0) | Err(_) => return,
            Ok(length) if head[..length].windows(4).any(|four| four == b"\r\n\r\n") => break length,
            Ok(_) => tokio::task::yield_now().await,
        }
    };
    let text = String::from_utf8_lossy(&head[..length]).into_owned();
    let found = |shape: &&Shape| text.starts_with(&format!("GET /{}/", shape.name));
    let Some(shape) = SHAPES.iter().find(found) else { return };
    if text.to_lowercase().contains("upgrade: websocket") {
        talk(stream, shape).await;
        return;
    }
    let _ = stream.read(&mut head).await;
    let body = (shape.rest)((now() - phase(shape)).as_secs());
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn talk(stream: TcpStream, shape: &Shape) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    loop {
        let second = (now() - phase(shape)).as_secs() + 1;
        let wait = (Duration::from_secs(second) + phase(shape)).saturating_sub(now());
        tokio::select! {
            () = tokio::time::sleep(wait) => {
                for text in (shape.ws)(second) {
                    if socket.send(Message::text(text)).await.is_err() {
                        return;
                    }
                }
            }
            message = socket.next() => if !matches!(message, Some(Ok(_))) { return },
        }
    }
}
