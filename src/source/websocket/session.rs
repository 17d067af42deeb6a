//! One open connection, from its first message to its last.
//!
//! Owns reading in batches, keepalive, the notice that a connection has fallen silent, and what
//! its end is called. A close `by us` is one that we chose (the run's end, a message over the
//! limit); everything else that a browser would see as a lost connection is `peer`, `network` or
//! `stalled`.

use super::Pulse;
use super::dial::{Opened, Socket};
use crate::model::{ClosedBy, Event, Payload};
use crate::source::body::{payload, text_payload};
use crate::source::queue::{Arrival, BATCH_BYTES, BATCH_EVENTS, QueueClosed};
use crate::source::sequencer::{Wiring, stopped};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

/// How long the closing handshake may take; what comes in the meantime is no longer of the run.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// A timer that is so late tells that this program was held up, and says nothing about the peer.
const HELD_UP_FROM: Duration = Duration::from_millis(100);

/// A close frame without a code (RFC 6455, 7.1.5), and a connection that ended without one.
const NO_CODE: u16 = 1005;
const NO_CLOSE_FRAME: u16 = 1006;

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Ended {
    AsAsked,
    /// `heard`: whether a message had come.
    Lost {
        heard: bool,
    },
}

/// The last words about a connection.
struct Loss {
    code: u16,
    reason: String,
    by: ClosedBy,
    /// Told before the close: what kind of error, and its detail.
    error: Option<(&'static str, String)>,
    /// What we tell the peer.
    say: Option<CloseCode>,
}

pub(super) struct Session<'w> {
    wiring: &'w Wiring,
    socket: Socket,
    conn: u32,
    pulse: Pulse,
    batch: Vec<Arrival>,
    batch_bytes: usize,
    heard: bool,
    /// What came before the connection counted as open.
    early: Vec<Message>,
    subscribe: Vec<String>,
    /// When a ping was sent that nothing may have followed yet. Silence counts from there: a quiet stream has nothing to
    /// say before it is asked.
    asked: Option<Instant>,
    /// Silence before that was ours: we were held up.
    listening_since: Instant,
    /// The ping under way.
    ping: Option<(u64, Instant)>,
    pings: u64,
}

impl<'w> Session<'w> {
    pub(super) fn new(wiring: &'w Wiring, opened: Opened, conn: u32) -> Session<'w> {
        let Opened { socket, early, token } = opened;
        let fill = |text: &String| token.fill(text, str::to_string);
        let mut pulse = Pulse::of(wiring);
        pulse.send = pulse.send.as_ref().map(fill);
        Session {
            pulse,
            early,
            subscribe: wiring.contract.ws.subscribe.iter().map(fill).collect(),
            wiring,
            socket,
            conn,
            batch: Vec::new(),
            batch_bytes: 0,
            heard: false,
            asked: None,
            listening_since: Instant::now(),
            ping: None,
            pings: 0,
        }
    }

    pub(super) async fn follow(mut self, stop: &mut watch::Receiver<bool>) -> Result<Ended, QueueClosed> {
        self.wiring.queue.put(Event::WsOpen { conn: self.conn }).await?;
        for message in std::mem::take(&mut self.early) {
            if let ControlFlow::Break(loss) = self.take(Some(Ok(message))) {
                return self.lose(loss).await;
            }
        }
        self.hand_over().await?;
        for text in std::mem::take(&mut self.subscribe) {
            if let ControlFlow::Break(loss) = self.send(Message::text(text)).await {
                return self.lose(loss).await;
            }
        }
        let mut pulse = interval_at(Instant::now() + self.pulse.every, self.pulse.every);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let silent_at =
                self.unanswered().map(|asked| asked.max(self.listening_since) + self.pulse.timeout);
            let step = tokio::select! { biased;
                () = stopped(stop) => return self.close_as_asked().await,
                _ = pulse.tick() => self.beat().await,
                message = self.socket.next() => self.take_batch(message).await?,
                () = sleep_until(silent_at.unwrap_or_else(Instant::now)), if silent_at.is_some() => {
                    self.silence_since(silent_at)
                }
            };
            if let ControlFlow::Break(loss) = step {
                return self.lose(loss).await;
            }
        }
    }

    /// Takes a message and all that came with it, and hands them over together.
    async fn take_batch(
        &mut self,
        first: Option<Result<Message, Error>>,
    ) -> Result<ControlFlow<Loss>, QueueClosed> {
        let mut step = self.take(first);
        while step.is_continue() && self.batch.len() < BATCH_EVENTS && self.batch_bytes < BATCH_BYTES {
            // What is in the buffer already; the waker that counts is set by the next wait.
            match self.socket.next().now_or_never() {
                Some(message) => step = self.take(message),
                None => break,
            }
        }
        self.hand_over().await?;
        Ok(step)
    }

    async fn hand_over(&mut self) -> Result<(), QueueClosed> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if !self.wiring.queue.put_batch(batch).await?.is_zero() {
            // The peer could not reach us while we waited: that silence was ours.
            self.listening_since = Instant::now();
        }
        Ok(())
    }

    fn take(&mut self, message: Option<Result<Message, Error>>) -> ControlFlow<Loss> {
        match message {
            Some(Ok(Message::Text(text))) => {
                let payload = text_payload(text.as_str().to_string(), false, self.redactor());
                self.keep(text.len(), payload);
            }
            Some(Ok(Message::Binary(bytes))) => {
                let payload = payload(bytes.to_vec(), true, self.redactor());
                self.keep(bytes.len(), payload);
            }
            Some(Ok(Message::Pong(echo))) => self.take_pong(&echo),
            // The answer is on its way already; a raw frame is never handed out by `next`.
            Some(Ok(Message::Ping(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(frame))) => return ControlFlow::Break(closed_by_peer(frame)),
            Some(Err(error)) => return ControlFlow::Break(self.broken(error)),
            None => return ControlFlow::Break(self.broken(Error::ConnectionClosed)),
        }
        ControlFlow::Continue(())
    }

    fn redactor(&self) -> Option<&'w crate::source::redact::Redactor> {
        self.wiring.redactor.as_deref()
    }

    fn keep(&mut self, bytes: usize, payload: Payload<'static>) {
        self.heard = true;
        self.batch_bytes += bytes;
        self.put(Event::Ws { conn: self.conn, bytes: bytes as u64, payload });
    }

    /// Into the batch, as arrived with the socket's last read.
    fn put(&mut self, event: Event<'static>) {
        let at = self.wiring.clock.at(self.socket.get_ref().last_read());
        self.batch.push(Arrival { at, event });
    }

    fn take_pong(&mut self, echo: &[u8]) {
        let Some((number, sent)) = self.ping else { return };
        if echo == number.to_be_bytes() {
            let real = self.socket.get_ref().last_read().saturating_duration_since(sent);
            let micros = (self.wiring.clock.span(real).0 / 1_000) as u64;
            self.put(Event::WsRtt { conn: self.conn, micros });
            self.ping = None;
        }
    }

    /// Since when we wait for a sign of life.
    fn unanswered(&self) -> Option<Instant> {
        self.asked.filter(|asked| self.socket.get_ref().last_read() < *asked)
    }

    /// A protocol ping, and the contract's own message if it has one.
    async fn beat(&mut self) -> ControlFlow<Loss> {
        self.asked = self.unanswered().or_else(|| Some(Instant::now()));
        self.pings += 1;
        self.ping = Some((self.pings, Instant::now()));
        self.send(Message::Ping(self.pings.to_be_bytes().to_vec().into())).await?;
        match self.pulse.send.clone() {
            Some(text) => self.send(Message::text(text)).await,
            None => ControlFlow::Continue(()),
        }
    }

    async fn send(&mut self, message: Message) -> ControlFlow<Loss> {
        match timeout(self.pulse.timeout, self.socket.send(message)).await {
            Ok(Ok(())) => ControlFlow::Continue(()),
            // The peer began to close; the reader finds its close frame next.
            Ok(Err(Error::Protocol(ProtocolError::SendAfterClosing))) => ControlFlow::Continue(()),
            Ok(Err(error)) => ControlFlow::Break(self.broken(error)),
            Err(_) => ControlFlow::Break(self.stalled()),
        }
    }

    /// Nothing came for the whole time-out after a ping: a stall, unless it was us who did not listen.
    fn silence_since(&mut self, silent_at: Option<Instant>) -> ControlFlow<Loss> {
        if silent_at.is_none_or(|at| at.elapsed() > HELD_UP_FROM) {
            self.listening_since = Instant::now();
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(self.stalled())
    }

    fn stalled(&self) -> Loss {
        Loss {
            code: NO_CLOSE_FRAME,
            reason: format!("no sign of life for {:?} after a ping", self.pulse.timeout),
            by: ClosedBy::Stalled,
            error: None,
            say: None,
        }
    }

    fn broken(&self, error: Error) -> Loss {
        match error {
            Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => Loss {
                code: 1009,
                reason: "message over max_message".to_string(),
                by: ClosedBy::Us,
                error: Some(("too_big", format!("{size} bytes; max_message is {max_size}"))),
                say: Some(CloseCode::Size),
            },
            // A browser must fail such a connection (RFC 6455, 8.1), so it counts as lost.
            Error::Utf8(_) => Loss {
                code: 1007,
                reason: "a text message is not UTF-8".to_string(),
                by: ClosedBy::Network,
                error: Some(("protocol", "a text message is not UTF-8".to_string())),
                say: Some(CloseCode::Invalid),
            },
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) | Error::ConnectionClosed => {
                gone("ended without a close frame".to_string())
            }
            Error::Io(error) => gone(error.to_string()),
            Error::Protocol(error) => Loss {
                code: 1002,
                reason: error.to_string(),
                by: ClosedBy::Network,
                error: Some(("protocol", error.to_string())),
                say: Some(CloseCode::Protocol),
            },
            other => gone(other.to_string()),
        }
    }

    /// Records why, says goodbye where it makes sense, and lets go.
    async fn lose(mut self, loss: Loss) -> Result<Ended, QueueClosed> {
        let conn = self.conn;
        let mask = |text: &str| self.wiring.secrets.mask(text);
        let mut last = Vec::new();
        if let Some((error, detail)) = &loss.error {
            let detail = mask(detail).into();
            last.push(Event::WsError { conn, error: (*error).into(), status: None, detail });
        }
        let reason = mask(&loss.reason).into();
        last.push(Event::WsClose { conn, code: loss.code, reason, by: loss.by });
        let at = self.wiring.clock.now();
        self.batch.extend(last.into_iter().map(|event| Arrival { at, event }));
        self.hand_over().await?;
        if loss.by != ClosedBy::Stalled {
            self.say_goodbye(loss.say).await;
        }
        Ok(Ended::Lost { heard: self.heard })
    }

    async fn close_as_asked(mut self) -> Result<Ended, QueueClosed> {
        let by = ClosedBy::Us;
        self.wiring.queue.put(Event::WsClose { conn: self.conn, code: 1000, reason: "".into(), by }).await?;
        self.say_goodbye(Some(CloseCode::Normal)).await;
        Ok(Ended::AsAsked)
    }

    /// Sends our close frame, or the answer to the peer's, and waits a little for the end.
    async fn say_goodbye(&mut self, say: Option<CloseCode>) {
        let goodbye = async {
            if let Some(code) = say {
                let frame = CloseFrame { code, reason: "".into() };
                if self.socket.close(Some(frame)).await.is_err() {
                    return;
                }
            }
            while let Some(Ok(_)) = self.socket.next().await {}
        };
        let _ = timeout(CLOSE_WAIT, goodbye).await;
    }
}

fn closed_by_peer(frame: Option<CloseFrame>) -> Loss {
    let (code, reason) = match frame {
        Some(frame) => (u16::from(frame.code), frame.reason.as_str().to_string()),
        None => (NO_CODE, String::new()),
    };
    Loss { code, reason, by: ClosedBy::Peer, error: None, say: None }
}

fn gone(reason: String) -> Loss {
    Loss { code: NO_CLOSE_FRAME, reason, by: ClosedBy::Network, error: None, say: None }
}
