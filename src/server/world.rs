//! The reference world as a server: its routes, and its messages at their instants. Bodies come from the
//! origin; nothing here knows what is in them.

use super::clock::Clock;
use super::http::{self, Answer, JSON, body, error};
use super::hub::{Hub, lock};
use super::listen::{Listening, stop};
use super::socket::{Close, Outgoing};
use crate::model::{Span, Timestamp};
use crate::reference::fault::clock_skew;
use crate::reference::inject::Ending;
use crate::reference::{Fault, Feature, Lane, Origin, Sent, TruthEntry, WorldOptions};
use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
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
struct Shared {
    origin: Mutex<Origin>,
    truth: Mutex<Option<TruthSink>>,
    clock: Clock,
    hub: Arc<Hub>,
}

impl Shared {
    /// Asks the origin at the world's now, then tells what was injected meanwhile.
    fn ask<T>(&self, question: impl FnOnce(&mut Origin, Timestamp) -> T) -> T {
        let mut origin = lock(&self.origin);
        let answer = question(&mut origin, self.clock.now());
        let mut sink = lock(&self.truth);
        for entry in origin.drain_truth() {
            self.hub.metrics.faults.fetch_add(1, Ordering::Relaxed);
            if let Some(sink) = sink.as_mut() {
                sink(&entry);
            }
        }
        answer
    }
}

pub struct Server {
    listening: Listening,
    shared: Arc<Shared>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// Before the others get their turn: a world that outruns the machine must still be stopped.
const SENT_AT_ONCE: usize = 256;

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
        let listening = Listening::bind(options.listen).await?;
        let shared = Arc::new(Shared {
            origin: Mutex::new(origin),
            truth: Mutex::new(options.truth),
            clock: Clock::new(start, speed),
            hub: Arc::clone(&listening.hub),
        });
        Ok(Server { listening, shared })
    }

    pub fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// Serves until `shutdown` is ready, then ends every connection. Nothing is left running. Returns
    /// what a person should know of the faults besides the truth (`Origin::remarks`).
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Vec<String> {
        let answering = Arc::clone(&self.shared);
        let answers = move |request| -> futures_util::future::BoxFuture<'static, Answer> {
            let shared = Arc::clone(&answering);
            Box::pin(async move { answer(request, &shared).await })
        };
        let sending = Arc::clone(&self.shared);
        let driver = |stopped| send_messages(sending, stopped);
        self.listening.run(Arc::new(answers), driver, shutdown).await;
        self.shared.ask(|origin, now| origin.remarks(now))
    }
}

/// One byte more than the built-in contract's `max_message`.
const OVERSIZE_BYTES: usize = (4 << 20) + 1;

/// A message that is JSON, and too big.
fn oversize() -> Utf8Bytes {
    let (head, tail) = ("{\"type\":\"heartbeat\",\"padding\":\"", "\"}");
    format!("{head}{}{tail}", "x".repeat(OVERSIZE_BYTES - head.len() - tail.len())).into()
}

fn close(ending: Ending) -> Outgoing {
    let close = match ending {
        Ending::Code(code) => Close::Frame { code: Some(code), reason: Utf8Bytes::from_static("injected") },
        Ending::Plain => Close::Plain,
        Ending::Reset => Close::Reset,
    };
    Outgoing::Close(close)
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
            let heard = shared.hub.is_heard();
            let left = shared.ask(|origin, now| {
                origin.set_heard(heard);
                origin.pop(now)
            });
            let Some(left) = left else { break };
            shared.hub.broadcast(&match left.sent {
                Sent::Message(text) | Sent::Broken(text) => Outgoing::Text(text.into()),
                Sent::Binary(text) => Outgoing::Binary(text.into()),
                Sent::Garbage(bytes) => Outgoing::Binary(bytes.into()),
                Sent::Oversize => Outgoing::Text(oversize()),
                Sent::Close(ending) => close(ending),
                Sent::Stall => Outgoing::Stall,
            });
        }
        tokio::task::yield_now().await;
    }
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Answer {
    let (path, mut answer) = route(request, shared);
    match answer.extensions_mut().remove::<HeldBack>() {
        Some(HeldBack::For(real)) => tokio::time::sleep(real).await,
        Some(HeldBack::ForEver) => std::future::pending().await,
        None => {}
    }
    shared.hub.metrics.count_request(path, answer.status().as_u16());
    answer
}

/// A note on an answer that must not leave at once.
#[derive(Debug, Clone, Copy)]
enum HeldBack {
    For(Duration),
    /// Until the client goes.
    ForEver,
}

/// The route as a metric's label, and the answer.
fn route(request: Request<Incoming>, shared: &Shared) -> (&'static str, Answer) {
    let path = request.uri().path();
    let feature = Feature::from_path(path);
    let label = match (feature, path) {
        (Some(feature), _) => feature.path(),
        (None, "/ws" | "/ws/") => "/ws",
        (None, "/healthz") => "/healthz",
        (None, "/metrics") => "/metrics",
        (None, "/") => "/",
        _ => {
            let problem = "no such path; there are /api/balances, /api/positions, /api/bars, \
                           /api/markets, /ws, /healthz and /metrics";
            return ("other", error(StatusCode::NOT_FOUND, problem));
        }
    };
    if request.method() != Method::GET {
        let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, "GET only");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return (label, answer);
    }
    let answer = match (feature, label) {
        (Some(feature), _) => records(feature, shared),
        (None, "/ws") => upgrade(request, shared),
        (None, "/metrics") => {
            body(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", shared.hub.metrics.text())
        }
        (None, "/") => body(StatusCode::OK, "text/plain; charset=utf-8", INDEX),
        _ => body(StatusCode::OK, "text/plain; charset=utf-8", "ok\n"),
    };
    (label, answer)
}

const INDEX: &str = "cutover reference server: /api/balances /api/positions /api/bars /api/markets \
                     /ws /healthz /metrics\n";

fn records(feature: Feature, shared: &Shared) -> Answer {
    let mut text = String::new();
    let formed = shared.ask(|origin, now| origin.respond(feature, now, &mut text));
    let status = StatusCode::from_u16(formed.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = body(status, JSON, text);
    if let Some(wait_s) = formed.retry_after_s {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait_s));
    }
    if formed.hangs {
        answer.extensions_mut().insert(HeldBack::ForEver);
    } else if formed.delay > Span::ZERO {
        answer.extensions_mut().insert(HeldBack::For(shared.clock.real(formed.delay)));
    }
    answer
}

fn upgrade(request: Request<Incoming>, shared: &Shared) -> Answer {
    let answer = match http::handshake(&request) {
        Ok(answer) => answer,
        Err(problem) => return *problem,
    };
    match shared.ask(|origin, now| origin.handshake(now, Lane::ONLY)) {
        Ok(history) => http::upgrade(request, answer, history, None, &shared.hub),
        Err(status) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            error(status, "handshake refused")
        }
    }
}
