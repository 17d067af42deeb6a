//! A tap between frontend and backend: a port that passes every byte on as it came, both ways, and
//! records the requests it sees go by.
//!
//! What passes is never parsed before it is sent on, changed, or held up by what is recorded: reading
//! along is a sniffer's work (`sniff`), and one that cannot follow only stops reading. Must not: judge.

use super::clock::Clock;
use super::import::Routes;
use super::queue::{Arrival, Queue};
use super::sequencer::stopped;
use super::sniff::{Asked, Sniffer};
use crate::model::Timestamp;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// A backend that does not answer a connection within this is down; browsers wait longer.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// After a connection that could not be accepted (too many open files), so as not to spin.
const AFTER_REFUSAL: Duration = Duration::from_millis(50);

const CHUNK_BYTES: usize = 64 * 1024;

const BAD_GATEWAY: &[u8] = b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/plain\r\ncontent-length: 46\r\n\
    connection: close\r\n\r\ncutover's tap could not reach the backend here";

/// Where the frontend comes to, and where the backend is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapTarget {
    pub listen: SocketAddr,
    /// `host:port`
    pub to: String,
}

#[derive(Debug)]
pub(super) struct Tap {
    listener: TcpListener,
    to: Arc<str>,
    routes: Arc<Routes>,
}

impl Tap {
    pub(super) async fn bind(target: &TapTarget, routes: Arc<Routes>) -> io::Result<Tap> {
        let listener = TcpListener::bind(target.listen).await?;
        tracing::info!("tap: {} passes on to {}", listener.local_addr()?, target.to);
        Ok(Tap { listener, to: target.to.as_str().into(), routes })
    }

    /// Passes on what comes until asked to stop.
    pub(super) async fn follow(self, clock: Clock, queue: Queue, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! { biased;
                () = stopped(&mut stop) => break,
                Some(_) = connections.join_next() => continue,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((frontend, _)) => {
                    let seen = Seen {
                        routes: Arc::clone(&self.routes),
                        clock,
                        queue: queue.clone(),
                        waiting: Mutex::default(),
                        upgraded: AtomicBool::new(false),
                    };
                    connections.spawn(connection(frontend, Arc::clone(&self.to), seen, stop.clone()));
                }
                Err(error) => {
                    tracing::warn!("tap: could not accept a connection: {error}");
                    sleep(AFTER_REFUSAL).await;
                }
            }
        }
        // Each has been asked to stop too, and tells what it still knows.
        while connections.join_next().await.is_some() {}
    }
}

/// What both directions of a connection know of its requests.
struct Seen {
    routes: Arc<Routes>,
    clock: Clock,
    queue: Queue,
    /// Requests without an answer yet, in order.
    waiting: Mutex<VecDeque<(Timestamp, Asked)>>,
    /// What follows is no HTTP any more.
    upgraded: AtomicBool,
}

impl Seen {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<(Timestamp, Asked)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The oldest waiting request was answered so, or not at all.
    fn answered(&self, status: Option<u16>) -> Option<(Asked, Arrival)> {
        let (at, asked) = self.waiting().pop_front()?;
        let event = self.routes.frontend(&asked.method, &asked.target, status, asked.agent.as_deref());
        Some((asked, Arrival { at, event }))
    }

    async fn put(&self, batch: Vec<Arrival>) {
        if !batch.is_empty() {
            // A closed queue is the end of the run; what passes, passes.
            let _ = self.queue.put_batch(batch).await;
        }
    }
}

async fn connection(mut frontend: TcpStream, to: Arc<str>, seen: Seen, mut stop: watch::Receiver<bool>) {
    let backend = match timeout(CONNECT_WITHIN, TcpStream::connect(&*to)).await {
        Ok(Ok(backend)) => backend,
        refused => {
            let why = refused.map_or_else(
                |late| late.to_string(),
                |r| r.map_or_else(|e| e.to_string(), |_| String::new()),
            );
            tracing::warn!("tap: could not reach {to}: {why}");
            let _ = frontend.write_all(BAD_GATEWAY).await;
            return;
        }
    };
    // Small frames must not wait for each other.
    let _ = (frontend.set_nodelay(true), backend.set_nodelay(true));
    let (from_frontend, to_frontend) = frontend.into_split();
    let (from_backend, to_backend) = backend.into_split();
    let both = async {
        tokio::join!(requests(from_frontend, to_backend, &seen), answers(from_backend, to_frontend, &seen));
    };
    tokio::select! { biased;
        () = stopped(&mut stop) => {}
        () = both => {}
    }
    let unanswered: Vec<Arrival> =
        std::iter::from_fn(|| seen.answered(None)).map(|(_, arrival)| arrival).collect();
    seen.put(unanswered).await;
}

/// From the frontend to the backend. Requests are noted before they are sent on, so that no answer
/// can overtake its request; noting waits for nothing.
async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, seen: &Seen) {
    let mut sniffer = Sniffer::requests();
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        if !seen.upgraded.load(Ordering::Acquire) {
            let at = seen.clock.now();
            sniffer.read(&chunk[..count], |head| {
                let (asked, next) = head.asked()?;
                seen.waiting().push_back((at, asked));
                Some(next)
            });
        }
        if to.write_all(&chunk[..count]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

/// From the backend to the frontend. An answer is sent on before it is recorded.
async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, seen: &Seen) {
    let mut sniffer = Sniffer::answers();
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        let mut batch = Vec::new();
        sniffer.read(&chunk[..count], |head| {
            let status = head.status()?;
            if super::sniff::is_interim(status) {
                return Some(super::sniff::Next::Head);
            }
            let (asked, arrival) = seen.answered(Some(status))?;
            batch.push(arrival);
            let next = head.after(status, &asked);
            if next == super::sniff::Next::Opaque && status == super::sniff::SWITCHED {
                seen.upgraded.store(true, Ordering::Release);
            }
            Some(next)
        });
        if to.write_all(&chunk[..count]).await.is_err() {
            break;
        }
        seen.put(batch).await;
    }
    let _ = to.shutdown().await;
}
