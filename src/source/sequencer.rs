//! The one door: an observation is stamped, appended to the capture, and judged, in this order.
//!
//! Owns a run from its `start` line to its `end`: starting the sources, the order of shutdown, and
//! the watchdog that notices when the tool itself is held up. The judge sees each observation as
//! decoded from the very line that was written, so a replay sees the same. If an append fails, the
//! run ends with an error and without a verdict.

use super::backend::{Backend, BackendError, BackendTargets};
use super::clock::Clock;
use super::file::CaptureSink;
use super::proxy::{ProxyError, ProxySettings};
use super::queue::{Arrival, Queue, queue, stall};
use super::redact::{Redactor, places};
use super::rest::{LoginError, RestFeeds};
use super::secret::{Secrets, shown_url};
use super::tls::TlsError;
use super::websocket::Stream;
use crate::capture::{LineError, VERSION, Writer, decode, encode};
use crate::contract::Contract;
use crate::model::{EndReason, Event, Observation, Span, Start, Timestamp};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// How often the judge hears the time and quiet captures are flushed: smooth for the eye, and a
/// quarter of the second that a kill may cost.
const TICK_EVERY: Duration = Duration::from_millis(250);

/// How often the watchdog looks, and how late it must be to call it a stall.
const WATCH_EVERY: Duration = Duration::from_millis(100);
const STALL_FROM: Duration = Duration::from_millis(250);

/// Who follows a run: usually the engine and the live view together.
pub trait Judge: Send {
    /// Sees each observation once, in order, after it was recorded.
    fn observe(&mut self, observation: &Observation<'_>);

    /// Hears the time every so often, for a live view; must not change any result.
    fn tick(&mut self, now: Timestamp) {
        let _ = now;
    }

    /// Whether all that was to be seen is seen, asked after each `tick`: the run then ends in order, as done.
    fn is_done(&mut self) -> bool {
        false
    }
}

impl<F: FnMut(&Observation<'_>) + Send> Judge for F {
    fn observe(&mut self, observation: &Observation<'_>) {
        self(observation);
    }
}

/// What the caller decides about a run.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// What made the capture, e.g. `cutover 0.1.0`.
    pub tool: String,
    /// The run's clock, with its speed.
    pub clock: Clock,
    /// How long to run, in the clock's time; `None` until asked to stop.
    pub duration: Option<Span>,
    /// Draws the phases of the polls and the jitter of reconnects.
    pub seed: u64,
    pub feeds: Feeds,
    /// Names of the features to poll; `None` polls all.
    pub features: Option<Vec<String>>,
    /// Each feature's flag and its state, for the `start` line.
    pub flags: Vec<(String, bool)>,
    pub proxies: ProxySettings,
    /// What is watched beside the feeds.
    pub backend: BackendTargets,
}

/// Whether a run connects to what the contract compares, or only watches beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Feeds {
    #[default]
    Both,
    /// REST alone.
    Rest,
    None,
}

/// How a run ended, and what it left.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEnd {
    pub reason: EndReason,
    pub started: Timestamp,
    pub ended: Timestamp,
    pub lines: u64,
    /// Uncompressed.
    pub bytes: u64,
    pub capture_sha256: String,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Nothing was started: the contract or the environment must be changed.
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Login(LoginError),
    #[error("could not write the capture: {0}; the run ended without a verdict")]
    Capture(io::Error),
    #[error("could not read back a line of the capture: {0}")]
    ReadBack(LineError),
    #[error("a source broke down: {0}")]
    Source(String),
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("{place} is no usable URL: {reason}")]
    Url { place: String, reason: String },
    #[error("header `{name}` of {place} cannot be sent: {reason}")]
    Header { place: String, name: String, reason: String },
    #[error("`method` of {place} is no HTTP method")]
    Method { place: String },
    #[error("{place}: {error}")]
    Tls { place: &'static str, error: TlsError },
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error("could not set up the HTTP client: {0}")]
    Client(String),
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// What every source needs to know.
#[derive(Debug, Clone)]
pub(super) struct Wiring {
    pub(super) contract: Arc<Contract>,
    pub(super) clock: Clock,
    pub(super) queue: Queue,
    pub(super) secrets: Secrets,
    pub(super) redactor: Option<Arc<Redactor>>,
    pub(super) proxies: ProxySettings,
    pub(super) seed: u64,
}

/// Runs the sources of `contract` until `stop` shows `true`, the duration is over, or the judge is done.
///
/// An asked stop ends a run without a duration as `done`, one with a duration as `interrupted`.
pub async fn run<W: CaptureSink>(
    settings: RunSettings,
    contract: Arc<Contract>,
    capture: Writer<W>,
    judge: &mut (impl Judge + ?Sized),
    stop: watch::Receiver<bool>,
) -> Result<RunEnd, RunError> {
    let clock = settings.clock;
    let (queue, arrivals) = queue(clock);
    let wiring = Wiring {
        secrets: Secrets::of(&contract),
        redactor: Redactor::new(&places(&contract)).map(Arc::new),
        contract: Arc::clone(&contract),
        proxies: settings.proxies.clone(),
        seed: settings.seed,
        clock,
        queue,
    };
    let (feeds, stream) = match settings.feeds {
        Feeds::Both => {
            let feeds = RestFeeds::new(&wiring, settings.features.as_deref())?;
            let stream = Stream::new(&wiring, feeds.session())?;
            (Some(feeds), Some(stream))
        }
        Feeds::Rest => (Some(RestFeeds::new(&wiring, settings.features.as_deref())?), None),
        Feeds::None => (None, None),
    };
    let backend = Backend::open(&settings.backend, &wiring).await?;

    let began = Instant::now();
    let mut door = Door::new(capture, judge, clock.at(began));
    door.put(Arrival { at: clock.at(began), event: start(&settings, &contract) })?;
    if let Some(feeds) = &feeds
        && let Err(refused) = feeds.log_in().await
    {
        door.end(clock.now(), EndReason::Interrupted)?;
        return Err(RunError::Login(refused));
    }
    let mut crew = Crew::start(feeds, stream, backend, wiring);
    let deadline = settings.duration.map(|span| began + clock.real(span));
    let reason = crew.follow(&mut door, arrivals, deadline, stop, clock).await?;
    door.end(clock.now(), reason)
}

fn start(settings: &RunSettings, contract: &Contract) -> Event<'static> {
    Event::Start(Box::new(Start {
        capture: VERSION,
        tool: settings.tool.clone(),
        contract: contract.recorded_text.clone(),
        contract_sha256: contract.sha256.clone(),
        feeds: vec![
            ("rest".to_string(), shown_url(&contract.rest.base_url)),
            ("ws".to_string(), shown_url(&contract.ws.url)),
        ],
        flags: settings.flags.clone(),
    }))
}

/// Stamp, record, judge.
struct Door<'j, W: io::Write, J: ?Sized> {
    writer: Writer<W>,
    judge: &'j mut J,
    started: Timestamp,
    /// No observation is earlier than this, whatever its source says.
    last_at: Timestamp,
    line: String,
}

impl<'j, W: CaptureSink, J: Judge + ?Sized> Door<'j, W, J> {
    fn new(writer: Writer<W>, judge: &'j mut J, started: Timestamp) -> Door<'j, W, J> {
        Door { writer, judge, started, last_at: started, line: String::new() }
    }

    fn put(&mut self, arrival: Arrival) -> Result<(), RunError> {
        let at = arrival.at.max(self.last_at);
        self.last_at = at;
        self.line.clear();
        encode(&Observation { at, event: arrival.event }, &mut self.line);
        self.writer.append(at, &self.line).map_err(RunError::Capture)?;
        self.judge.observe(&decode(&self.line).map_err(RunError::ReadBack)?);
        Ok(())
    }

    /// A whole batch; being slow at it is an observation too.
    fn put_batch(&mut self, batch: Vec<Arrival>, clock: Clock) -> Result<(), RunError> {
        let since = Instant::now();
        for arrival in batch {
            self.put(arrival)?;
        }
        let taken = since.elapsed();
        if taken > STALL_FROM {
            self.put(Arrival { at: clock.now(), event: stall(clock, taken) })?;
        }
        Ok(())
    }

    /// Whether the run may go on.
    fn tick(&mut self, now: Timestamp) -> Result<bool, RunError> {
        self.writer.flush_when_due(now).map_err(RunError::Capture)?;
        self.judge.tick(now);
        Ok(!self.judge.is_done())
    }

    fn end(mut self, now: Timestamp, reason: EndReason) -> Result<RunEnd, RunError> {
        self.put(Arrival { at: now, event: Event::End { reason } })?;
        let end = RunEnd {
            reason,
            started: self.started,
            ended: self.last_at,
            lines: self.writer.lines(),
            bytes: self.writer.bytes(),
            capture_sha256: self.writer.sha256(),
        };
        let mut sink = self.writer.finish().map_err(RunError::Capture)?;
        sink.finish().map_err(RunError::Capture)?;
        Ok(end)
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Running,
    /// No new polls; those in flight are waited for.
    Draining,
    /// The socket is being closed; what is in the queue still counts.
    Closing,
}

/// The running sources. Dropping it ends them all.
struct Crew {
    polls: JoinSet<()>,
    socket: JoinSet<()>,
    stop_polls: watch::Sender<bool>,
    stop_socket: watch::Sender<bool>,
}

impl Crew {
    fn start(feeds: Option<RestFeeds>, stream: Option<Stream>, backend: Backend, wiring: Wiring) -> Crew {
        let (stop_polls, polls_stopped) = watch::channel(false);
        let (stop_socket, socket_stopped) = watch::channel(false);
        let mut polls = JoinSet::new();
        if let Some(feeds) = feeds {
            feeds.start(&mut polls, &polls_stopped);
        }
        let mut socket = JoinSet::new();
        backend.start(&mut socket, &wiring, &socket_stopped);
        if let Some(stream) = stream {
            socket.spawn(stream.follow(socket_stopped.clone()));
        }
        socket.spawn(watch_event_loop(wiring.clock, wiring.queue, socket_stopped));
        Crew { polls, socket, stop_polls, stop_socket }
    }

    /// Puts in line what the sources see, until they all have ended.
    async fn follow<W: CaptureSink, J: Judge + ?Sized>(
        &mut self,
        door: &mut Door<'_, W, J>,
        mut arrivals: mpsc::Receiver<Vec<Arrival>>,
        deadline: Option<Instant>,
        mut stop: watch::Receiver<bool>,
        clock: Clock,
    ) -> Result<EndReason, RunError> {
        let mut stage = Stage::Running;
        let mut reason = EndReason::Done;
        let mut tick = interval(TICK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // In this order, so that a flood of arrivals cannot hold up a stop or a flush.
            tokio::select! { biased;
                _ = tick.tick() => if !door.tick(clock.now())? && stage == Stage::Running {
                    stage = self.drain();
                },
                () = stopped(&mut stop), if stage == Stage::Running => {
                    reason = if deadline.is_some() { EndReason::Interrupted } else { EndReason::Done };
                    stage = self.drain();
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)),
                    if stage == Stage::Running && deadline.is_some() => stage = self.drain(),
                ended = self.polls.join_next(),
                    if stage == Stage::Draining || !self.polls.is_empty() => match ended {
                        None => stage = self.close(),
                        Some(ended) => check(ended, stage)?,
                    },
                Some(ended) = self.socket.join_next() => check(ended, stage)?,
                batch = arrivals.recv() => match batch {
                    Some(batch) => door.put_batch(batch, clock)?,
                    None => return Ok(reason),
                },
            }
        }
    }

    fn drain(&self) -> Stage {
        self.stop_polls.send_replace(true);
        Stage::Draining
    }

    fn close(&self) -> Stage {
        self.stop_socket.send_replace(true);
        Stage::Closing
    }
}

/// A source ends when it is told to; anything else is a fault of this program.
fn check(ended: Result<(), JoinError>, stage: Stage) -> Result<(), RunError> {
    match ended {
        Err(error) => Err(RunError::Source(error.to_string())),
        Ok(()) if stage == Stage::Running => Err(RunError::Source("it ended too early".to_string())),
        Ok(()) => Ok(()),
    }
}

/// Resolves once `stop` shows `true`; never, if nobody is left who could ask.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Notices when no task of this program could run for a while: arrival times are late then.
async fn watch_event_loop(clock: Clock, queue: Queue, mut stop: watch::Receiver<bool>) {
    loop {
        let due = Instant::now() + WATCH_EVERY;
        tokio::select! { biased;
            () = stopped(&mut stop) => return,
            () = sleep_until(due) => {}
        }
        let late = due.elapsed();
        if late > STALL_FROM && queue.put(stall(clock, late)).await.is_err() {
            return;
        }
    }
}
