//! Who is connected: hands each message to every WebSocket client, and lets go who cannot follow.

use super::metrics::Metrics;
use super::socket::{Client, Outgoing, Upgrade};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

pub(super) struct Hub {
    clients: Mutex<Clients>,
    pub metrics: Metrics,
    pub upgrades: mpsc::Sender<Upgrade>,
}

#[derive(Default)]
struct Clients {
    list: Vec<Client>,
    /// How often all were closed.
    closed: u64,
}

/// A thread that panicked while it held a lock left whole values behind: each is set in one step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    pub fn new(upgrades: mpsc::Sender<Upgrade>) -> Hub {
        Hub { clients: Mutex::default(), metrics: Metrics::default(), upgrades }
    }

    /// False where all were closed since the handshake: so is this one.
    pub fn register(&self, client: Client, since: Option<u64>) -> bool {
        let mut clients = lock(&self.clients);
        let stays = since.is_none_or(|since| since == clients.closed);
        if stays {
            clients.list.push(client);
        }
        stays
    }

    /// Whether anybody is connected.
    pub fn is_heard(&self) -> bool {
        !lock(&self.clients).list.is_empty()
    }

    /// How often all were closed so far.
    pub fn closed(&self) -> u64 {
        lock(&self.clients).closed
    }

    /// Hands a message to every client; one whose queue is full is too slow and is let go.
    pub fn broadcast(&self, outgoing: &Outgoing) {
        let mut clients = lock(&self.clients);
        clients.closed += u64::from(matches!(outgoing, Outgoing::Close { .. }));
        clients.list.retain(|client| match client.queue.try_send(outgoing.clone()) {
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

    /// Waits until every client that is connected now has gone, but not longer than this.
    pub async fn all_gone(&self, at_most: Duration) {
        let queues: Vec<_> = lock(&self.clients).list.iter().map(|client| client.queue.clone()).collect();
        let all = async {
            for queue in queues {
                queue.closed().await;
            }
        };
        // Who has not gone by then is not waited for.
        let _ = tokio::time::timeout(at_most, all).await;
    }
}
