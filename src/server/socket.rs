//! One WebSocket client: its bounded queue, its socket, and how the connection ends. Messages are
//! handed on as they come; nothing here knows what is in them.

use super::hub::Hub;
use super::listen::stop;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// A handshake that was answered; its socket follows.
#[derive(Debug)]
pub struct Upgrade {
    pub socket: OnUpgrade,
    /// What is sent before anything else.
    pub history: Vec<String>,
    /// How often all clients had been closed when it was let in; `None`: that does not matter.
    pub since: Option<u64>,
}

/// What the broadcaster knows of a client. Dropping it lets the client go, even one that is stuck.
#[derive(Debug)]
pub struct Client {
    pub queue: mpsc::Sender<Outgoing>,
    _alive: oneshot::Sender<()>,
}

#[derive(Debug, Clone)]
pub enum Outgoing {
    Text(Utf8Bytes),
    Binary(Bytes),
    Close(Close),
    Stall,
}

/// How a connection ends.
#[derive(Debug, Clone)]
pub enum Close {
    Frame {
        code: Option<u16>,
        reason: Utf8Bytes,
    },
    /// Without a close frame.
    Plain,
    /// By a TCP reset.
    Reset,
}

/// Messages that wait for one client: minutes of the default world, seconds of a large one.
const QUEUE: usize = 4096;
/// How long the other side may take to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
const BUFFER_BYTES: usize = 16 << 10;
/// What a client may send in one message: it has little to say.
const MESSAGE_BYTES: usize = 64 << 10;
/// What the library may hold back for one client before a write fails: a message over every reader's
/// limit must fit.
const UNSENT_BYTES: usize = 6 << 20;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

pub async fn serve(upgrade: Upgrade, hub: Arc<Hub>, mut stopped: watch::Receiver<bool>) {
    let Ok(Ok(upgraded)) = tokio::time::timeout(CLOSE_TIMEOUT, upgrade.socket).await else { return };
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(UNSENT_BYTES)
        .max_message_size(Some(MESSAGE_BYTES))
        .max_frame_size(Some(MESSAGE_BYTES));
    let mut socket = Socket::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let (queue, mut messages) = mpsc::channel(QUEUE);
    let (alive, let_go) = oneshot::channel();
    if !hub.register(Client { queue, _alive: alive }, upgrade.since) {
        // It came just too late to be closed with the others.
        return;
    }
    hub.metrics.ws_connections.fetch_add(1, Ordering::Relaxed);
    hub.metrics.ws_clients.fetch_add(1, Ordering::Relaxed);
    let ended = tokio::select! {
        _ = let_go => Ended::Plainly,
        ended = converse(&mut socket, upgrade.history, &mut messages) => ended,
        () = stop(&mut stopped) => {
            close(&mut socket, Some(1001), Utf8Bytes::from_static("the server stops")).await;
            Ended::Plainly
        }
    };
    if ended == Ended::ByReset {
        reset(socket);
    }
    hub.metrics.ws_clients.fetch_sub(1, Ordering::Relaxed);
}

/// What becomes of the socket after the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// It is dropped.
    Plainly,
    ByReset,
}

/// Until either side ends it.
async fn converse(
    socket: &mut Socket,
    history: Vec<String>,
    messages: &mut mpsc::Receiver<Outgoing>,
) -> Ended {
    for text in history {
        if socket.feed(Message::text(text)).await.is_err() {
            return Ended::Plainly;
        }
    }
    if socket.flush().await.is_err() {
        return Ended::Plainly;
    }
    loop {
        tokio::select! {
            outgoing = messages.recv() => match outgoing {
                Some(outgoing) => {
                    if let Err(ended) = send_all(socket, outgoing, messages).await {
                        return ended;
                    }
                }
                None => return Ended::Plainly,
            },
            incoming = socket.next() => match incoming {
                Some(Ok(Message::Text(text))) => {
                    if let Some(pong) = pong(&text)
                        && socket.send(pong).await.is_err()
                    {
                        return Ended::Plainly;
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ended::Plainly,
            },
        }
    }
}

/// Writes what waits in one go: a flush for each message costs ten times as much. What must not be
/// written together with it ends the conversation at once, as it would have a moment later.
async fn send_all(
    socket: &mut Socket,
    first: Outgoing,
    messages: &mut mpsc::Receiver<Outgoing>,
) -> Result<(), Ended> {
    let lost = |_| Ended::Plainly;
    let mut next = Some(first);
    while let Some(outgoing) = next {
        match outgoing {
            Outgoing::Text(text) => socket.feed(Message::Text(text)).await.map_err(lost)?,
            Outgoing::Binary(bytes) => socket.feed(Message::Binary(bytes)).await.map_err(lost)?,
            end => {
                socket.flush().await.map_err(lost)?;
                match end {
                    Outgoing::Stall => fall_silent(socket, messages).await,
                    Outgoing::Close(Close::Frame { code, reason }) => close(socket, code, reason).await,
                    Outgoing::Close(Close::Reset) => return Err(Ended::ByReset),
                    // Without a close frame: the socket is simply dropped.
                    _ => {}
                }
                return Err(Ended::Plainly);
            }
        }
        next = messages.try_recv().ok();
    }
    socket.flush().await.map_err(lost)
}

/// Gives the connection up by a TCP reset: nothing that is still unsent is sent.
fn reset(socket: Socket) {
    let upgraded = socket.into_inner().into_inner();
    // It is a plain TCP stream below; were it not, it would be dropped, and end without a reset.
    if let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>()
        && let Err(error) = parts.io.inner().set_zero_linger()
    {
        tracing::warn!("could not reset a connection: {error}");
    }
}

/// An application's ping gets its own text back as a pong.
fn pong(text: &str) -> Option<Message> {
    text.contains("\"ping\"").then(|| Message::text(text.replacen("\"ping\"", "\"pong\"", 1)))
}

async fn close(socket: &mut Socket, code: Option<u16>, reason: Utf8Bytes) {
    let frame = code.map(|code| CloseFrame { code: CloseCode::from(code), reason });
    let answered = async {
        if socket.close(frame).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, answered).await;
}

/// Open, and nothing more: no messages, no pongs. Bytes are still taken off the socket, below the
/// protocol, so that its end is noticed.
async fn fall_silent(socket: &mut Socket, messages: &mut mpsc::Receiver<Outgoing>) {
    let mut ignored = [0_u8; 1024];
    loop {
        tokio::select! {
            read = socket.get_mut().read(&mut ignored) => if matches!(read, Ok(0) | Err(_)) {
                return;
            },
            outgoing = messages.recv() => if matches!(outgoing, None | Some(Outgoing::Close(_))) {
                return;
            },
        }
    }
}
