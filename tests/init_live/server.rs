//! A server in a few lines: a second of its world is a second of real time; at each one it says what is new on every
//! WebSocket, and answers requests with what is so.

use crate::shapes::{SHAPES, Shape};
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
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
        let (tell, second) = watch::channel(now().as_secs());
        runtime.spawn(async move {
            loop {
                // To the beginning of the next second.
                tokio::time::sleep(Duration::from_secs(now().as_secs() + 1) - now()).await;
                tell.send_replace(now().as_secs());
            }
        });
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, second.clone()));
            }
        });
        Server { address, _runtime: runtime }
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

async fn answer(mut stream: TcpStream, second: watch::Receiver<u64>) {
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
        talk(stream, shape, second).await;
        return;
    }
    let _ = stream.read(&mut head).await;
    let body = (shape.rest)(*second.borrow());
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn talk(stream: TcpStream, shape: &Shape, mut second: watch::Receiver<u64>) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    loop {
        tokio::select! {
            changed = second.changed() => {
                let now = *second.borrow_and_update();
                for text in if changed.is_ok() { (shape.ws)(now) } else { return } {
                    if socket.send(Message::text(text)).await.is_err() {
                        return;
                    }
                }
            }
            message = socket.next() => if !matches!(message, Some(Ok(_))) { return },
        }
    }
}
