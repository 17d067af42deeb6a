//! The server's life: bind, accept, send the world's messages at their instants, stop in order.
//! Every task belongs to one set, so that none outlives the server.

use super::clock::Clock;
use super::http;
use super::metrics::Metrics;
use super::socket::{self, Client, Outgoing, Upgrade};
use crate::model::Timestamp;
use crate::reference::fault::clock_skew;
use crate::reference::{Fault, Origin, Sent, TruthEntry, WorldOptions};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Where injected faults are told, as they happen.
pub type TruthSink = Box<dyn FnMut(&TruthEntry) + Send>;

pub struct ServerOptions {
    /// Port 0 takes any that is free.
    pub listen: SocketAddr,
    pub world: WorldOptions,
    pub faults: Vec<Fault>,
    /// The world's clock runs so many times as fast as the real one.
    pub speed: f64,
    /// The world's time at the start: the caller's now.
    pub start: Timestamp,
    pub truth: Option<TruthSink>,
}

impl ServerOptions {
    pub fn new(listen: SocketAddr, start: Timestamp) -> ServerOptions {
        let world = WorldOptions::default();
        ServerOptions { listen, world, faults: Vec::new(), speed: 1.0, start, truth: None }
    }
}

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("listen", &self.listen)
            .field("world", &self.world)
            .field("faults", &self.faults)
            .field("speed", &self.speed)
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

/// What the tasks of a server share.
pub(super) struct Shared {
    origin: Mutex<Origin>,
    clients: Mutex<Vec<Client>>,
    truth: Mutex<Option<TruthSink>>,
    pub clock: Clock,
    pub metrics: Metrics,
    pub upgrades: mpsc::Sender<Upgrade>,
}

/// A thread that panicked while it held a lock left whole values behind: each is set in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Asks the origin at the world's now, then tells what was injected meanwhile.
    pub fn ask<T>(&self, question: impl FnOnce(&mut Origin, Timestamp) -> T) -> T {
        let mut origin = lock(&self.origin);
        let answer = question(&mut origin, self.clock.now());
        let mut sink = lock(&self.truth);
        for entry in origin.drain_truth() {
            self.metrics.faults.fetch_add(1, Ordering::Relaxed);
            if let Some(sink) = sink.as_mut() {
                sink(&entry);
            }
        }
        answer
    }

    pub fn register(&self, client: Client) {
        lock(&self.clients).push(client);
    }

    fn is_heard(&self) -> bool {
        !lock(&self.clients).is_empty()
    }

    /// Hands a message to every client; one whose queue is full is too slow and is let go.
    fn broadcast(&self, outgoing: &Outgoing) {
        lock(&self.clients).retain(|client| match client.queue.try_send(outgoing.clone()) {
            Ok(()) => {
                self.metrics.ws_messages.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.metrics.ws_slow_clients.fetch_add(1, Ordering::Relaxed);
                tracing::warn!("a WebSocket client is too slow: its queue is full, the connection is closed");
                false
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        });
    }
}

pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    upgrades: mpsc::Receiver<Upgrade>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Handshakes that wait for their socket to be taken over.
const UPGRADES_WAITING: usize = 64;
/// More are refused, so that a client without an end cannot take the machine.
const MOST_CONNECTIONS: usize = 1024;
/// After an accept that failed (too many open files): try again soon, not at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Before the others get their turn: a world that outruns the machine must still be stopped.
const SENT_AT_ONCE: usize = 256;
/// Connections get this long to end in order.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

impl Server {
    /// Takes the port and starts the world's clock. Errors name the address or the option.
    pub async fn bind(options: ServerOptions) -> io::Result<Server> {
        let invalid = |problem: String| io::Error::new(io::ErrorKind::InvalidInput, problem);
        if !(options.speed.is_finite() && options.speed > 0.0) {
            return Err(invalid(format!("speed {} must be above 0", options.speed)));
        }
        let (offset, drift_ppm) = clock_skew(&options.faults);
        let (start, speed) = (options.start + offset, options.speed * (1.0 + drift_ppm as f64 / 1e6));
        let origin =
            Origin::new(options.world, options.faults, start).map_err(|error| invalid(error.to_string()))?;
        let listener = TcpListener::bind(options.listen).await.map_err(|error| {
            io::Error::new(error.kind(), format!("listen on {}: {error}", options.listen))
        })?;
        let address = listener.local_addr()?;
        let (sender, upgrades) = mpsc::channel(UPGRADES_WAITING);
        let shared = Arc::new(Shared {
            origin: Mutex::new(origin),
            clients: Mutex::new(Vec::new()),
            truth: Mutex::new(options.truth),
            clock: Clock::new(start, speed),
            metrics: Metrics::default(),
            upgrades: sender,
        });
        Ok(Server { listener, address, shared, upgrades })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is ready, then ends every connection. Nothing is left running. Returns
    /// what a person should know of the faults besides the truth (`Origin::remarks`).
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Vec<String> {
        let (stopping, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(send_messages(Arc::clone(&self.shared), stopped.clone()));
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if tasks.len() < MOST_CONNECTIONS => {
                        tasks.spawn(serve_connection(stream, Arc::clone(&self.shared), stopped.clone()));
                    }
                    Ok(_) => tracing::warn!("over {MOST_CONNECTIONS} connections; one was refused"),
                    Err(error) => {
                        tracing::warn!("could not accept a connection: {error}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(upgrade) = self.upgrades.recv() => {
                    tasks.spawn(socket::serve(upgrade, Arc::clone(&self.shared), stopped.clone()));
                }
                Some(_) = tasks.join_next() => {}
            }
        }
        drop(self.listener);
        let _ = stopping.send(true);
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_GRACE, all_ended).await.is_err() {
            tasks.shutdown().await;
        }
        self.shared.ask(|origin, now| origin.remarks(now))
    }
}

async fn serve_connection(stream: TcpStream, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    // Messages are small and due now; waiting to fill a packet would show as lateness.
    let _ = stream.set_nodelay(true);
    let connection = http::connection(stream, shared);
    tokio::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => if let Err(error) = result {
            tracing::debug!("connection: {error}");
        },
        () = stop(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Waits until the server is asked to stop.
pub(super) async fn stop(stopped: &mut watch::Receiver<bool>) {
    // An error means that the server itself is gone.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// One byte more than the built-in contract's `max_message`.
const OVERSIZE_BYTES: usize = (4 << 20) + 1;

/// A message that is JSON, and too big.
fn oversize() -> Utf8Bytes {
    let (head, tail) = ("{\"type\":\"heartbeat\",\"padding\":\"", "\"}");
    format!("{head}{}{tail}", "x".repeat(OVERSIZE_BYTES - head.len() - tail.len())).into()
}

/// Sends each message when its instant has come.
async fn send_messages(shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    loop {
        let next = shared.clock.instant(shared.ask(|origin, _| origin.next_at()));
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = stop(&mut stopped) => return,
        }
        for _ in 0..SENT_AT_ONCE {
            let heard = shared.is_heard();
            let left = shared.ask(|origin, now| {
                origin.set_heard(heard);
                origin.pop(now)
            });
            let Some(left) = left else { break };
            shared.broadcast(&match left.sent {
                Sent::Message(text) | Sent::Broken(text) => Outgoing::Text(text.into()),
                Sent::Binary(text) => Outgoing::Binary(text.into()),
                Sent::Garbage(bytes) => Outgoing::Binary(bytes.into()),
                Sent::Oversize => Outgoing::Text(oversize()),
                Sent::Close(ending) => Outgoing::Close(ending),
                Sent::Stall => Outgoing::Stall,
            });
        }
        tokio::task::yield_now().await;
    }
}
