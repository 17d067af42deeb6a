//! A recording as a server: each recorded step at its instant, and what stands then to whoever asks. What a
//! step means is decided in `playback`; who reads the recording, and from where, is for others to say.

use super::clock::Clock;
use super::http::{self, Answer, Answers, body, error};
use super::hub::{Hub, lock};
use super::listen::{Listening, SHUTDOWN_GRACE, stop};
use super::socket::{Close, Outgoing};
use super::visitor::{Welcome, is_preflight};
use crate::capture::{CaptureError, Tail};
use crate::model::{Span, Timestamp};
use crate::playback::{self, Ending, Frame, Leaves, Playback, Step, TEXT, What};
use crate::source::ReadSteps;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, HeaderName, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL, SET_COOKIE, UPGRADE,
};
use hyper::{Request, StatusCode};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// A recording being read from its beginning.
pub type Steps = mpsc::Receiver<ReadSteps>;

/// Begins to read it, each time it is played.
pub type Reading = Box<dyn FnMut() -> io::Result<Steps> + Send>;

pub struct RecordingOptions {
    /// Port 0 takes any that is free.
    pub listen: SocketAddr,
    /// The recording's clock runs so many times as fast as the real one.
    pub speed: f64,
    /// What is to be played, before its first step.
    pub playback: Playback,
    /// Where the recording's clock begins; what was recorded earlier stands already.
    pub begins: Timestamp,
    /// The clock begins when the first client comes.
    pub waits: bool,
    /// Plays again and again.
    pub repeats: bool,
    /// Pages of these origins may read besides those of this machine.
    pub origins: Vec<String>,
    /// Begins to read the recording.
    pub read: Reading,
}

impl fmt::Debug for RecordingOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingOptions").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// How it ended.
#[derive(Debug)]
pub enum Ended {
    /// It was asked to stop.
    Stopped,
    Over(Tail),
    Damaged(CaptureError),
    Unreadable(io::Error),
}

/// What the tasks of a server share.
struct Shared {
    played: Mutex<Played>,
    hub: Arc<Hub>,
    welcome: Welcome,
    /// Somebody has asked for something that there is.
    came: Notify,
    /// What was recorded before the clock begins stands; until then nobody is answered.
    ready: watch::Sender<bool>,
}

struct Played {
    playback: Playback,
    /// Before it begins, it stands at nothing.
    clock: Clock,
}

pub struct RecordedServer {
    listening: Listening,
    shared: Arc<Shared>,
    driving: Driving,
    read: Reading,
}

/// How it is driven.
#[derive(Clone, Copy)]
struct Driving {
    speed: f64,
    begins: Timestamp,
    waits: bool,
    repeats: bool,
}

impl fmt::Debug for RecordedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedServer").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// Before the others get their turn: a recording that outruns the machine must still be stopped.
const TAKEN_AT_ONCE: usize = 256;
/// So late, in real time, it is worth a word.
const LATE_FROM: Duration = Duration::from_secs(2);
/// A recording of nothing but one instant must not keep the machine busy.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(100);
/// RFC 6455's codes: all was said, and come again at once.
const NORMAL: u16 = 1000;
const RESTART: u16 = 1012;
/// When an answer was recorded.
const RECORDED_AT: HeaderName = HeaderName::from_static("x-recorded-at");

impl RecordedServer {
    /// Takes the port. Errors name the address.
    pub async fn bind(options: RecordingOptions) -> io::Result<RecordedServer> {
        let listening = Listening::bind(options.listen).await?;
        let RecordingOptions { speed, begins, waits, repeats, read, .. } = options;
        let played = Played { playback: options.playback, clock: Clock::new(begins, speed) };
        let shared = Arc::new(Shared {
            played: Mutex::new(played),
            hub: Arc::clone(&listening.hub),
            welcome: Welcome(options.origins),
            came: Notify::new(),
            ready: watch::Sender::new(false),
        });
        Ok(RecordedServer { listening, shared, driving: Driving { speed, begins, waits, repeats }, read })
    }

    pub fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// Serves until the recording ends or `shutdown` is ready, then ends every connection.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Ended {
        let answering = Arc::clone(&self.shared);
        let answers: Answers = Arc::new(move |request| {
            let shared = Arc::clone(&answering);
            Box::pin(async move {
                // The sender is as alive as we are.
                let _ = shared.ready.subscribe().wait_for(|ready| *ready).await;
                answer(request, &shared)
            })
        });
        let (told, mut ended) = oneshot::channel();
        let (shared, driving, read) = (self.shared, self.driving, self.read);
        let driver = |mut stopped: watch::Receiver<bool>| async move {
            let ended = tokio::select! { biased;
                () = stop(&mut stopped) => return,
                ended = play(&shared, driving, read) => ended,
            };
            // Whoever does not listen any more has stopped it.
            let _ = told.send(ended);
        };
        let mut how = Ended::Stopped;
        let over = async {
            tokio::select! {
                () = shutdown => {}
                Ok(ended) = &mut ended => how = ended,
            }
        };
        self.listening.run(answers, driver, over).await;
        how
    }
}

/// Plays the recording to its end, or for ever.
async fn play(shared: &Shared, mut driving: Driving, mut read: Reading) -> Ended {
    loop {
        let steps = match read() {
            Ok(steps) => steps,
            Err(error) => return Ended::Unreadable(error),
        };
        let tail = match play_once(shared, driving, steps).await {
            Ok(tail) => tail,
            Err(error) => return Ended::Damaged(error),
        };
        let (code, reason) = match driving.repeats {
            true => (RESTART, "the recording begins again"),
            false => (NORMAL, "the recording has ended"),
        };
        let reason = Utf8Bytes::from_static(reason);
        {
            let mut played = lock(&shared.played);
            shared.ready.send_replace(!driving.repeats);
            if driving.repeats {
                played.playback.rewind();
            }
            shared.hub.broadcast(&Outgoing::Close(Close::Frame { code: Some(code), reason }));
        }
        shared.hub.all_gone(SHUTDOWN_GRACE).await;
        if !driving.repeats {
            return Ended::Over(tail);
        }
        // Nobody waits for a second first client.
        driving.waits = false;
        tokio::time::sleep(BETWEEN_ROUNDS).await;
    }
}

async fn play_once(shared: &Shared, driving: Driving, mut steps: Steps) -> Result<Tail, CaptureError> {
    let mut clock: Option<Clock> = None;
    let (mut taken, mut is_late) = (0, false);
    while let Some(read) = steps.recv().await {
        let batch = match read {
            ReadSteps::Steps(batch) => batch,
            ReadSteps::End(tail) => return Ok(tail),
            ReadSteps::Failed(error) => return Err(error),
        };
        for step in batch {
            if step.at > driving.begins {
                let begun = match (clock, &step.what) {
                    (Some(_), What::Start) => {
                        // Another run in the same file: nobody waits for what lies between.
                        set(shared, Clock::new(step.at, driving.speed))
                    }
                    (Some(clock), _) => clock,
                    (None, _) => {
                        shared.ready.send_replace(true);
                        if driving.waits {
                            shared.came.notified().await;
                        }
                        set(shared, Clock::new(driving.begins, driving.speed))
                    }
                };
                clock = Some(begun);
                let due = begun.instant(step.at);
                if due > Instant::now() {
                    tokio::time::sleep_until(due).await;
                } else if !is_late && due.elapsed() > LATE_FROM {
                    is_late = true;
                    tracing::warn!("the recording is played late; a lower --speed would do it justice");
                }
            }
            take(shared, step, clock.is_some());
            taken += 1;
            if taken % TAKEN_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
    // Who reads it has come to grief, and said why on its way.
    Ok(Tail::NoEnd)
}

fn set(shared: &Shared, clock: Clock) -> Clock {
    lock(&shared.played).clock = clock;
    clock
}

/// A step has come: what stands changes, and what leaves, leaves, with no handshake between the two.
fn take(shared: &Shared, step: Step, is_running: bool) {
    let mut played = lock(&shared.played);
    let Some(leaves) = played.playback.take(step) else { return };
    if is_running {
        shared.hub.broadcast(&outgoing(leaves));
    }
}

fn outgoing(leaves: Leaves) -> Outgoing {
    match leaves {
        Leaves::Frame(Frame::Text(text)) => Outgoing::Text(text.into()),
        Leaves::Frame(Frame::Binary(bytes)) => Outgoing::Binary(bytes.into()),
        Leaves::Close { ending, reason } => Outgoing::Close(match ending {
            Ending::Code(code) => Close::Frame { code: Some(code), reason: reason.into() },
            Ending::NoCode => Close::Frame { code: None, reason: Utf8Bytes::from_static("") },
            Ending::Reset => Close::Reset,
        }),
    }
}

fn answer(request: Request<Incoming>, shared: &Shared) -> Answer {
    let asked = request.headers().clone();
    let mut answer = match is_preflight(&request) {
        true => body(StatusCode::NO_CONTENT, TEXT, Bytes::new()),
        false => route(request, shared),
    };
    shared.welcome.admit(&asked, &mut answer);
    answer
}

fn route(request: Request<Incoming>, shared: &Shared) -> Answer {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_string();
    let played = lock(&shared.played);
    if request.headers().contains_key(UPGRADE) && played.playback.is_socket(&target) {
        drop(played);
        return upgrade(request, shared);
    }
    let answer = played.playback.answer(request.method().as_str(), &target);
    let clock = played.clock;
    drop(played);
    if !answer.is_known && target == "/healthz" {
        return body(StatusCode::OK, TEXT, "ok\n");
    }
    if answer.is_known {
        shared.came.notify_one();
    }
    said(answer, clock)
}

fn said(answer: playback::Answer, clock: Clock) -> Answer {
    let status = StatusCode::from_u16(answer.body.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut said = body(status, answer.body.kind, Bytes::from_owner(answer.body.bytes));
    let headers = said.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(wait) = answer.retry {
        headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(clock, wait)));
    }
    let text = |text: String| HeaderValue::try_from(text).ok();
    if let Some(at) = answer.recorded.and_then(|at| text(at.to_string())) {
        headers.insert(RECORDED_AT, at);
    }
    if let Some(allow) = answer.allow.and_then(text) {
        headers.insert(ALLOW, allow);
    }
    if let Some(cookie) = answer.cookie.and_then(text) {
        headers.insert(SET_COOKIE, cookie);
    }
    said
}

/// `Retry-After` counts in seconds, and none would be at once.
fn whole_seconds(clock: Clock, span: Span) -> u64 {
    clock.real(span).as_secs_f64().ceil().max(1.0) as u64
}

fn upgrade(request: Request<Incoming>, shared: &Shared) -> Answer {
    let mut answer = match http::handshake(&request) {
        Ok(answer) => answer,
        Err(problem) => return *problem,
    };
    if !shared.welcome.is_welcome(request.headers()) {
        let why = "pages of this origin are not welcome; `serve --allow-origin` names those that are";
        return error(StatusCode::FORBIDDEN, why);
    }
    let (greetings, since) = {
        let played = lock(&shared.played);
        match played.playback.handshake() {
            Ok(greetings) => (greetings, shared.hub.closed()),
            Err(refused) => return said(*refused, played.clock),
        }
    };
    if let Some(protocol) = request.headers().get(SEC_WEBSOCKET_PROTOCOL).and_then(first) {
        // A browser that offers some gives up where none is chosen.
        answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    shared.came.notify_one();
    http::upgrade(request, answer, greetings, Some(since), &shared.hub)
}

/// The first of a list.
fn first(list: &HeaderValue) -> Option<HeaderValue> {
    let first = list.to_str().ok()?.split(',').next()?.trim();
    HeaderValue::from_str(first).ok()
}
