//! The one queue between the sources and the sequencer: bounded, in batches, and never silent.
//!
//! A source that finds it full waits (so a WebSocket's peer feels the back-pressure in its own
//! send buffer), and what it waited is recorded as a `self_stall`.

use super::clock::Clock;
use crate::model::{Event, Timestamp};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

/// Batches that may wait for the sequencer. With `BATCH_BYTES` this bounds what a held-up disk can
/// pile up in memory (16 MiB and the messages that alone are larger), at a second's worth of a
/// busy stream.
const QUEUE_BATCHES: usize = 64;

/// A source hands over a batch when it holds so many observations …
pub(super) const BATCH_EVENTS: usize = 256;

/// … or so many bytes of bodies: twice the socket's read buffer.
pub(super) const BATCH_BYTES: usize = 256 * 1024;

/// Waiting for the queue any longer than this is recorded: well below the shortest settle in use,
/// well above what an idle machine's scheduler takes.
const STALL_FROM: Duration = Duration::from_millis(100);

/// Something seen, and when it arrived.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) at: Timestamp,
    pub(super) event: Event<'static>,
}

/// The sequencer is gone: the run is over, and so is the source.
#[derive(Debug)]
pub(super) struct QueueClosed;

/// A source's end of the queue.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    sender: mpsc::Sender<Vec<Arrival>>,
    clock: Clock,
}

pub(super) fn queue(clock: Clock) -> (Queue, mpsc::Receiver<Vec<Arrival>>) {
    let (sender, receiver) = mpsc::channel(QUEUE_BATCHES);
    (Queue { sender, clock }, receiver)
}

impl Queue {
    /// Puts one event in line, as arriving now.
    pub(super) async fn put(&self, event: Event<'static>) -> Result<Duration, QueueClosed> {
        self.put_batch(vec![Arrival { at: self.clock.now(), event }]).await
    }

    /// Puts a batch in line; says how long it had to wait.
    pub(super) async fn put_batch(&self, batch: Vec<Arrival>) -> Result<Duration, QueueClosed> {
        let batch = match self.sender.try_send(batch) {
            Ok(()) => return Ok(Duration::ZERO),
            Err(TrySendError::Closed(_)) => return Err(QueueClosed),
            Err(TrySendError::Full(batch)) => batch,
        };
        let since = Instant::now();
        self.sender.send(batch).await.map_err(|_| QueueClosed)?;
        let waited = since.elapsed();
        if waited > STALL_FROM {
            let stall = Arrival { at: self.clock.now(), event: stall(self.clock, waited) };
            self.sender.send(vec![stall]).await.map_err(|_| QueueClosed)?;
        }
        Ok(waited)
    }
}

/// The observation that the tool was held up for so long, in the run's time.
pub(super) fn stall(clock: Clock, real: Duration) -> Event<'static> {
    Event::SelfStall { millis: (clock.span(real).0 / 1_000_000) as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_makes_the_source_wait_and_is_seen() {
        let (queue, mut receiver) = queue(Clock::start(1));
        for conn in 0..QUEUE_BATCHES {
            queue.put(Event::WsOpen { conn: conn as u32 }).await.unwrap();
        }
        let late = tokio::spawn(async move { queue.put(Event::WsOpen { conn: 999 }).await.unwrap() });
        // Held up for as long as it takes to be seen, not for a time that a test would guess.
        let since = Instant::now();
        while since.elapsed() <= STALL_FROM * 2 {
            tokio::task::yield_now().await;
        }
        let mut events = Vec::new();
        while let Some(batch) = receiver.recv().await {
            events.extend(batch.into_iter().map(|arrival| arrival.event));
        }
        assert!(late.await.unwrap() > STALL_FROM);
        assert_eq!(events.len(), QUEUE_BATCHES + 2);
        assert!(matches!(events.last(), Some(Event::SelfStall { millis }) if *millis >= 100), "{events:?}");
    }
}
