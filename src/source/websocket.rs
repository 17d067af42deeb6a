//! The WebSocket side: one connection at a time, dialled again and again for as long as the run is.
//!
//! Owns when to dial and the numbering of connections: `conn` counts opened ones from 0, and an
//! error before an open carries the number the connection would have had. `dial` opens one,
//! `session` follows it until it ends.

mod dial;
mod dialogue;
mod session;
mod wire;

use super::clock::{Random, duration};
use super::rest::Session as Login;
use super::sequencer::{SetupError, Wiring, stopped};
use crate::model::Event;
use dial::{DialError, Dialler};
use session::{Ended, Session};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Real waiting does not go below this, however fast the run's clock is.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Stream {
    wiring: Wiring,
    dialler: Dialler,
}

impl Stream {
    /// `login` gives the token that the contract may ask for.
    pub(super) fn new(wiring: &Wiring, login: Arc<Login>) -> Result<Stream, SetupError> {
        Ok(Stream { dialler: Dialler::new(wiring, login)?, wiring: wiring.clone() })
    }

    /// Follows the stream until told to stop.
    pub(super) async fn follow(self, mut stop: watch::Receiver<bool>) {
        let mut backoff = Backoff::new(&self.wiring);
        let mut conn = 0;
        loop {
            let dialled = tokio::select! { biased;
                () = stopped(&mut stop) => return,
                dialled = self.dialler.dial() => dialled,
            };
            match dialled {
                Ok(opened) => {
                    let session = Session::new(&self.wiring, opened, conn);
                    conn += 1;
                    match session.follow(&mut stop).await {
                        Ok(Ended::Lost { heard }) => backoff.after_connection(heard),
                        Ok(Ended::AsAsked) | Err(_) => return,
                    }
                }
                Err(error) => {
                    if self.report(conn, error).await.is_err() {
                        return;
                    }
                }
            }
            tokio::select! { biased;
                () = stopped(&mut stop) => return,
                () = tokio::time::sleep(backoff.next()) => {}
            }
        }
    }

    async fn report(&self, conn: u32, error: DialError) -> Result<Duration, super::queue::QueueClosed> {
        let detail = self.wiring.secrets.mask(&error.detail);
        tracing::debug!("could not open the WebSocket: {}: {detail}", error.kind);
        let event =
            Event::WsError { conn, error: error.kind.into(), status: error.status, detail: detail.into() };
        self.wiring.queue.put(event).await
    }
}

/// How long to wait before the next dial: doubling, with jitter, so that many clients that were
/// dropped at once do not come back at once.
#[derive(Debug)]
struct Backoff {
    first: Duration,
    most: Duration,
    present: Duration,
    random: Random,
}

impl Backoff {
    fn new(wiring: &Wiring) -> Backoff {
        let ws = &wiring.contract.ws;
        let real = |span| wiring.clock.real(span).max(SHORTEST_WAIT);
        let first = real(ws.reconnect_first);
        let most = real(ws.reconnect_most).max(first);
        Backoff { first, most, present: first, random: Random::new(wiring.seed, "reconnect") }
    }

    /// A connection over which something came was a good one: begin anew. One that opens and is
    /// closed at once, again and again, is not.
    fn after_connection(&mut self, heard: bool) {
        if heard {
            self.present = self.first;
        }
    }

    fn next(&mut self) -> Duration {
        let wait = self.present.mul_f64(0.5 + self.random.fraction() / 2.0);
        self.present = (self.present * 2).min(self.most);
        wait
    }
}

/// Keepalive in real time.
#[derive(Debug, Clone)]
struct Pulse {
    every: Duration,
    timeout: Duration,
    send: Option<String>,
}

impl Pulse {
    /// Without `keepalive` in the contract: protocol pings, which every server must answer, often
    /// enough for the usual 60 s of idle proxies; two unanswered ones are a stall.
    const DEFAULT_EVERY: Duration = Duration::from_secs(10);
    const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);

    /// A fast clock shortens both, but not to where the network's own delays look like a stall.
    const SHORTEST_EVERY: Duration = Duration::from_millis(100);
    const SHORTEST_TIMEOUT: Duration = Duration::from_secs(2);

    fn of(wiring: &Wiring) -> Pulse {
        let speed = wiring.clock.speed();
        let (every, timeout, send) = match &wiring.contract.ws.keepalive {
            Some(keepalive) => {
                (duration(keepalive.every), duration(keepalive.timeout), keepalive.send.clone())
            }
            None => (Pulse::DEFAULT_EVERY, Pulse::DEFAULT_TIMEOUT, None),
        };
        if speed == 1 {
            return Pulse { every: every.max(SHORTEST_WAIT), timeout, send };
        }
        Pulse {
            every: (every / speed).max(Pulse::SHORTEST_EVERY.min(every)),
            timeout: (timeout / speed).max(Pulse::SHORTEST_TIMEOUT.min(timeout)),
            send,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_doubles_up_to_the_most_and_begins_anew() {
        let second = Duration::from_secs(1);
        let random = Random::new(1, "reconnect");
        let mut backoff = Backoff { first: second, most: 5 * second, present: second, random };
        for most in [1, 2, 4, 5, 5, 5] {
            let wait = backoff.next();
            assert!(wait >= second * most / 2 && wait <= second * most, "{wait:?} of {most} s");
        }
        backoff.after_connection(false);
        assert!(backoff.next() > 2 * second);
        backoff.after_connection(true);
        assert!(backoff.next() <= second);
    }
}
