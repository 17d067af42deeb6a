//! A session in virtual time: the origin, the network and a watcher, stepped from event to event.
//! Yields what the watcher would have recorded, as observations in order of `at`, and the truth.
//!
//! Reads no clock and opens nothing; memory does not grow with the session. The encoder of captures
//! is another room's: this one yields observations.

use super::fault::{Fault, FaultError};
use super::feature::Feature;
use super::network::{Clocks, Network};
use super::origin::{Origin, Sent};
use super::random::{Random, hash};
use super::truth::TruthEntry;
use super::world::WorldOptions;
use crate::model::observation::NO_PARAMS;
use crate::model::{ClosedBy, EndReason, Event, Observation, Payload, Span, Start, Timestamp};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// One polled endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// The contract's name of the feature.
    pub feature: String,
    pub path: String,
    pub every: Span,
}

impl Poll {
    /// The polls of the built-in contract.
    pub fn builtin() -> Vec<Poll> {
        let every = |feature| match feature {
            Feature::IntradayBar => Span::from_secs(1),
            _ => Span::from_secs(10),
        };
        Feature::ALL
            .into_iter()
            .map(|feature| Poll {
                feature: feature.name().to_owned(),
                path: feature.path().to_owned(),
                every: every(feature),
            })
            .collect()
    }
}

#[derive(Debug, Clone)]
pub struct SimulationOptions {
    pub world: WorldOptions,
    pub faults: Vec<Fault>,
    pub polls: Vec<Poll>,
    pub network: Network,
    pub from: Timestamp,
    pub duration: Span,
    /// Of polls and delays; the world has its own.
    pub seed: u64,
    /// Up to this much more delay on everything, to mix the order in which both feeds arrive.
    pub interleave: Span,
    /// A request that takes longer fails with `timeout`.
    pub rest_timeout: Span,
    /// The first observation's contents.
    pub start: Start,
}

impl SimulationOptions {
    /// The built-in contract's session, with nothing wrong.
    pub fn new(from: Timestamp, duration: Span) -> SimulationOptions {
        SimulationOptions {
            world: WorldOptions::default(),
            faults: Vec::new(),
            polls: Poll::builtin(),
            network: Network::default(),
            from,
            duration,
            seed: 1,
            interleave: Span::ZERO,
            rest_timeout: Span::from_secs(5),
            start: Start { capture: 1, ..Start::default() },
        }
    }
}

/// What happens next on the watcher's side of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Connect,
    Connected,
    Refused(u16),
    /// The head of the delivery queue arrives.
    Deliver,
    Poll(usize),
    /// A request reaches the server.
    Form(usize),
    Answer(usize),
    RoundTrip,
    StallEnds(u32),
}

#[derive(Debug)]
enum Delivery {
    Message(String),
    Cut(String),
    Close(Option<u16>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Down,
    /// Shaking hands; the server sends already.
    Opening,
    Open,
    /// Open and silent.
    Stalled,
}

/// A poll's state; one request at a time.
#[derive(Debug)]
struct Endpoint {
    feature: String,
    path: String,
    every: Span,
    sent_at: Timestamp,
    waiting: bool,
    status: u16,
    body: String,
}

#[derive(Debug)]
pub struct Simulation {
    origin: Origin,
    clocks: Clocks,
    network: Network,
    random: Random,
    interleave: Span,
    rest_timeout: Span,
    from: Timestamp,
    end: Timestamp,
    start: Start,
    endpoints: Vec<Endpoint>,
    /// What is to come, by instant, then by the order in which it was planned.
    steps: BinaryHeap<Reverse<(Timestamp, u64, Step)>>,
    order: u64,
    /// On the wire, in order; the instants never decrease.
    wire: VecDeque<(Timestamp, Delivery)>,
    wire_free_at: Timestamp,
    link: Link,
    conn: u32,
    truth: Vec<TruthEntry>,
}

/// The round trip of the socket is measured this often.
const ROUND_TRIP_EVERY: Span = Span::from_secs(20);

impl Simulation {
    pub fn new(options: SimulationOptions) -> Result<Simulation, FaultError> {
        let clocks = Clocks::new(&options.network, options.from);
        let origin = Origin::new(options.world, options.faults, clocks.server(options.from))?;
        let endpoints = options
            .polls
            .into_iter()
            .map(|poll| Endpoint {
                feature: poll.feature,
                path: poll.path,
                every: poll.every.max(Span::from_millis(1)),
                sent_at: options.from,
                waiting: false,
                status: 0,
                body: String::new(),
            })
            .collect();
        let mut simulation = Simulation {
            origin,
            clocks,
            network: options.network,
            random: Random::new(options.seed),
            interleave: options.interleave,
            rest_timeout: options.rest_timeout,
            from: options.from,
            end: options.from + options.duration,
            start: options.start,
            endpoints,
            steps: BinaryHeap::new(),
            order: 0,
            wire: VecDeque::new(),
            wire_free_at: options.from,
            link: Link::Down,
            conn: 0,
            truth: Vec::new(),
        };
        simulation.plan_first_steps(options.seed);
        Ok(simulation)
    }

    /// Polls lie on an absolute grid with a seeded phase (SPEC §4).
    fn plan_first_steps(&mut self, seed: u64) {
        self.plan(self.from, Step::Connect);
        self.plan(self.from + ROUND_TRIP_EVERY, Step::RoundTrip);
        for index in 0..self.endpoints.len() {
            let every = self.endpoints[index].every.0;
            let phase = (hash(seed, 0x9011, index as i64) % every as u64) as i64;
            let late = (self.from.0 - phase).rem_euclid(every);
            let first = if late == 0 { self.from } else { self.from + Span(every - late) };
            self.plan(first, Step::Poll(index));
        }
    }

    fn plan(&mut self, at: Timestamp, step: Step) {
        self.order += 1;
        self.steps.push(Reverse((at, self.order, step)));
    }

    fn delay(&mut self, latency: super::network::Latency) -> Span {
        let more = self.random.below(self.interleave.0.max(0) as u64);
        latency.draw(&mut self.random) + Span(more as i64)
    }

    /// Runs the session: each observation in order of `at`, then what was injected until then.
    pub fn run(mut self, mut observe: impl FnMut(&Observation<'_>), mut inject: impl FnMut(&TruthEntry)) {
        let start = Event::Start(Box::new(std::mem::take(&mut self.start)));
        observe(&Observation { at: self.from, event: start });
        while let Some(at) = self.next_at().filter(|at| *at <= self.end) {
            if self.clocks.ours(self.origin.next_at()) <= at {
                self.take_from_origin(at);
            } else if let Some(Reverse((_, _, step))) = self.steps.pop() {
                self.step(at, step, &mut observe);
            }
            self.truth.extend(self.origin.drain_truth());
            for mut entry in self.truth.drain(..) {
                // A ledger is read beside the capture, which knows our clock alone.
                entry.at = self.clocks.ours(entry.at);
                inject(&entry);
            }
        }
        observe(&Observation { at: self.end, event: Event::End { reason: EndReason::Done } });
    }

    fn next_at(&self) -> Option<Timestamp> {
        let sends = self.clocks.ours(self.origin.next_at());
        Some(self.steps.peek().map_or(sends, |Reverse((at, ..))| sends.min(*at)))
    }

    /// What leaves the server by now goes on the wire; with nobody connected it is lost.
    fn take_from_origin(&mut self, now: Timestamp) {
        while let Some((_, sent)) = self.origin.pop(self.clocks.server(now)) {
            let listening = matches!(self.link, Link::Opening | Link::Open);
            match sent {
                Sent::Message(text) if listening => self.put_on_wire(now, Delivery::Message(text)),
                Sent::Cut(text) if listening => self.put_on_wire(now, Delivery::Cut(text)),
                Sent::Message(text) | Sent::Cut(text) => self.origin.recycle(text),
                Sent::Close(code) if listening || self.link == Link::Stalled => {
                    self.put_on_wire(now, Delivery::Close(code));
                }
                Sent::Stall if listening => {
                    self.link = Link::Stalled;
                    self.plan(now + self.network.stall_timeout, Step::StallEnds(self.conn));
                }
                _ => {}
            }
        }
    }

    /// One connection is one ordered stream of bytes: nothing arrives before what was sent earlier.
    fn put_on_wire(&mut self, now: Timestamp, delivery: Delivery) {
        let at = (now + self.delay(self.network.ws)).max(self.wire_free_at);
        self.wire_free_at = at;
        self.wire.push_back((at, delivery));
        self.plan(at, Step::Deliver);
    }

    fn step(&mut self, at: Timestamp, step: Step, observe: &mut impl FnMut(&Observation<'_>)) {
        match step {
            Step::Connect => self.connect(at),
            Step::Connected => {
                if self.link == Link::Opening {
                    self.link = Link::Open;
                }
                observe(&Observation { at, event: Event::WsOpen { conn: self.conn } });
            }
            Step::Refused(status) => {
                let event = Event::WsError {
                    conn: self.conn,
                    error: Cow::Borrowed("handshake"),
                    status: Some(status),
                    detail: Cow::Borrowed("refused"),
                };
                observe(&Observation { at, event });
                self.reconnect(at);
            }
            Step::Deliver => self.deliver(at, observe),
            Step::Poll(index) => self.poll(at, index, observe),
            Step::Form(index) => self.form(at, index),
            Step::Answer(index) => self.answer(at, index, observe),
            Step::RoundTrip => self.round_trip(at, observe),
            Step::StallEnds(conn) if conn == self.conn && self.link == Link::Stalled => {
                self.close(at, 1006, ClosedBy::Stalled, observe);
            }
            Step::StallEnds(_) => {}
        }
    }

    fn connect(&mut self, at: Timestamp) {
        let there = at + self.delay(self.network.rest);
        let answered = there + self.delay(self.network.rest);
        match self.origin.handshake(self.clocks.server(at)) {
            Ok(()) => {
                self.link = Link::Opening;
                // The answer to the handshake is first on the wire.
                self.wire_free_at = answered;
                self.plan(answered, Step::Connected);
            }
            Err(status) => self.plan(answered, Step::Refused(status)),
        }
    }

    fn reconnect(&mut self, at: Timestamp) {
        self.link = Link::Down;
        self.conn += 1;
        let pause = self.delay(self.network.reconnect);
        self.plan(at + pause, Step::Connect);
    }

    fn close(&mut self, at: Timestamp, code: u16, by: ClosedBy, observe: &mut impl FnMut(&Observation<'_>)) {
        let event = Event::WsClose { conn: self.conn, code, reason: Cow::Borrowed(""), by };
        observe(&Observation { at, event });
        // What was still on the wire is lost; its steps find it empty.
        self.wire.clear();
        self.reconnect(at);
    }

    fn deliver(&mut self, at: Timestamp, observe: &mut impl FnMut(&Observation<'_>)) {
        if self.wire.front().is_none_or(|(due, _)| *due > at) {
            return;
        }
        let Some((_, delivery)) = self.wire.pop_front() else { return };
        match delivery {
            Delivery::Message(text) => {
                let (conn, bytes) = (self.conn, text.len() as u64);
                observe(&Observation { at, event: Event::Ws { conn, bytes, payload: json(&text) } });
                self.origin.recycle(text);
            }
            Delivery::Cut(text) => {
                let payload = Payload::Text(Cow::Borrowed(&text));
                let (conn, bytes) = (self.conn, text.len() as u64);
                observe(&Observation { at, event: Event::Ws { conn, bytes, payload } });
            }
            Delivery::Close(Some(code)) => self.close(at, code, ClosedBy::Peer, observe),
            Delivery::Close(None) => self.close(at, 1006, ClosedBy::Network, observe),
        }
    }

    fn poll(&mut self, at: Timestamp, index: usize, observe: &mut impl FnMut(&Observation<'_>)) {
        let next = at + self.endpoints[index].every;
        self.plan(next, Step::Poll(index));
        if self.endpoints[index].waiting {
            let event = Event::RestSkipped {
                feature: Cow::Borrowed(&self.endpoints[index].feature),
                params: Cow::Borrowed(NO_PARAMS),
            };
            return observe(&Observation { at, event });
        }
        let there = self.delay(self.network.rest);
        let endpoint = &mut self.endpoints[index];
        (endpoint.waiting, endpoint.sent_at) = (true, at);
        self.plan(at + there, Step::Form(index));
    }

    fn form(&mut self, at: Timestamp, index: usize) {
        let endpoint = &mut self.endpoints[index];
        match Feature::from_path(&endpoint.path) {
            Some(feature) => {
                let now = self.clocks.server(at);
                endpoint.status = self.origin.respond(feature, now, &mut endpoint.body);
            }
            None => {
                endpoint.status = 404;
                endpoint.body.clear();
            }
        }
        let back = self.delay(self.network.rest);
        self.plan(at + back, Step::Answer(index));
    }

    fn answer(&mut self, at: Timestamp, index: usize, observe: &mut impl FnMut(&Observation<'_>)) {
        let timeout = self.rest_timeout;
        let endpoint = &mut self.endpoints[index];
        endpoint.waiting = false;
        let (feature, params) = (Cow::Borrowed(endpoint.feature.as_str()), Cow::Borrowed(NO_PARAMS));
        let (sent_at, status) = (endpoint.sent_at, endpoint.status);
        let error = |error, status| Event::RestError {
            sent_at,
            feature: Cow::Borrowed(endpoint.feature.as_str()),
            params: Cow::Borrowed(NO_PARAMS),
            error: Cow::Borrowed(error),
            status,
            detail: Cow::Borrowed(""),
        };
        let event = if at - sent_at > timeout {
            error("timeout", None)
        } else if status != 200 {
            error("status", Some(status))
        } else {
            let bytes = endpoint.body.len() as u64;
            Event::Rest { sent_at, feature, params, status, bytes, payload: json(&endpoint.body) }
        };
        observe(&Observation { at, event });
    }

    fn round_trip(&mut self, at: Timestamp, observe: &mut impl FnMut(&Observation<'_>)) {
        self.plan(at + ROUND_TRIP_EVERY, Step::RoundTrip);
        let there_and_back = self.delay(self.network.ws) + self.delay(self.network.ws);
        if self.link == Link::Open {
            let micros = (there_and_back.0 / 1_000) as u64;
            observe(&Observation { at, event: Event::WsRtt { conn: self.conn, micros } });
        }
    }
}

/// What the origin writes is JSON on one line.
fn json(text: &str) -> Payload<'_> {
    Payload::Json { text: Cow::Borrowed(text), binary: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Class;

    fn options(faults: &[&str]) -> SimulationOptions {
        let from = Timestamp::parse_rfc3339("2025-12-19T14:30:00.250Z").unwrap();
        let faults = faults.iter().map(|text| Fault::parse(text).unwrap()).collect();
        SimulationOptions { faults, ..SimulationOptions::new(from, Span::from_secs(600)) }
    }

    fn run(options: SimulationOptions) -> (Vec<Observation<'static>>, Vec<TruthEntry>) {
        let (mut seen, mut truth) = (Vec::new(), Vec::new());
        let simulation = Simulation::new(options).unwrap();
        simulation.run(|observation| seen.push(owned(observation)), |entry| truth.push(entry.clone()));
        (seen, truth)
    }

    /// Only what the tests look at is copied.
    fn owned(observation: &Observation<'_>) -> Observation<'static> {
        let text = |payload: &Payload<'_>| match payload {
            Payload::Json { text, binary } => {
                Payload::Json { text: Cow::Owned(text.to_string()), binary: *binary }
            }
            Payload::Text(text) => Payload::Text(Cow::Owned(text.to_string())),
            _ => Payload::Empty,
        };
        let own = |text: &Cow<'_, str>| Cow::Owned(text.to_string());
        let event = match &observation.event {
            Event::Rest { sent_at, feature, params, status, bytes, payload } => Event::Rest {
                sent_at: *sent_at,
                feature: own(feature),
                params: own(params),
                status: *status,
                bytes: *bytes,
                payload: text(payload),
            },
            Event::Ws { conn, bytes, payload } => {
                Event::Ws { conn: *conn, bytes: *bytes, payload: text(payload) }
            }
            Event::RestSkipped { feature, params } => {
                Event::RestSkipped { feature: own(feature), params: own(params) }
            }
            Event::RestError { sent_at, feature, params, error, status, detail } => Event::RestError {
                sent_at: *sent_at,
                feature: own(feature),
                params: own(params),
                error: own(error),
                status: *status,
                detail: own(detail),
            },
            Event::WsClose { conn, code, reason, by } => {
                Event::WsClose { conn: *conn, code: *code, reason: own(reason), by: *by }
            }
            Event::WsError { conn, error, status, detail } => {
                Event::WsError { conn: *conn, error: own(error), status: *status, detail: own(detail) }
            }
            Event::WsOpen { conn } => Event::WsOpen { conn: *conn },
            Event::WsRtt { conn, micros } => Event::WsRtt { conn: *conn, micros: *micros },
            Event::Start(start) => Event::Start(start.clone()),
            Event::End { reason } => Event::End { reason: *reason },
            _ => unreachable!("the simulation makes no other"),
        };
        Observation { at: observation.at, event }
    }

    fn count(seen: &[Observation<'_>], is: impl Fn(&Event<'_>) -> bool) -> usize {
        seen.iter().filter(|observation| is(&observation.event)).count()
    }

    #[test]
    fn a_clean_session_is_in_order_and_whole() {
        let (seen, truth) = run(options(&[]));
        assert!(truth.is_empty());
        assert!(seen.windows(2).all(|pair| pair[0].at <= pair[1].at));
        assert!(matches!(seen[0].event, Event::Start(_)));
        assert!(matches!(seen.last().unwrap().event, Event::End { .. }));
        assert_eq!(count(&seen, |event| matches!(event, Event::WsOpen { .. })), 1);
        assert_eq!(count(&seen, |event| matches!(event, Event::WsClose { .. })), 0);
        // 60 polls of three features and 600 of the bars.
        let answered = count(&seen, |event| matches!(event, Event::Rest { .. }));
        assert!((778..=780).contains(&answered), "{answered}");
        let json = count(&seen, |event| matches!(event, Event::Ws { payload: Payload::Json { .. }, .. }));
        // A minute of two accounts' streams, markets, bars and heartbeats.
        assert!((10 * (36 + 30 + 4 + 12) - 4..=10 * 82).contains(&json), "{json}");
    }

    #[test]
    fn the_same_seed_gives_the_same_session() {
        let faults = ["value_mismatch:rate=0.05", "connection_drop", "late"];
        let make = |seed| SimulationOptions { seed, interleave: Span::from_millis(700), ..options(&faults) };
        assert_eq!(run(make(4)), run(make(4)));
        assert_ne!(run(make(4)).0, run(make(5)).0);
    }

    #[test]
    fn disorder_and_clocks_never_turn_time_back() {
        for seed in 0..8 {
            let mut options =
                options(&["connection_drop:every=40", "stalled:every=90", "malformed:rate=0.1"]);
            options.seed = seed;
            options.interleave = Span::from_secs(3);
            options.network.clock_offset = Span::from_secs(seed as i64 - 4);
            options.network.clock_drift_ppm = 50 * seed as i64;
            let (seen, _) = run(options);
            assert!(seen.windows(2).all(|pair| pair[0].at <= pair[1].at));
            // A connection opens before it speaks and is silent once it is closed.
            let mut open = None;
            for observation in &seen {
                match observation.event {
                    Event::WsOpen { conn } => {
                        assert_eq!(open, None);
                        open = Some(conn);
                    }
                    Event::Ws { conn, .. } => assert_eq!(open, Some(conn)),
                    Event::WsClose { conn, .. } => assert_eq!(open.take(), Some(conn)),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn faults_of_the_connection_are_seen_and_entered() {
        let (seen, truth) = run(options(&["connection_drop:at=60s,code=1011", "connection_drop:at=120s"]));
        let closed = |code, by| {
            count(
                &seen,
                |event| matches!(event, Event::WsClose { code: c, by: b, .. } if *c == code && *b == by),
            )
        };
        assert_eq!((closed(1011, ClosedBy::Peer), closed(1006, ClosedBy::Network)), (1, 1));
        assert_eq!(truth.len(), 2);
        let (seen, truth) = run(options(&["stalled:at=120s", "connect_failed"]));
        assert_eq!(count(&seen, |e| matches!(e, Event::WsClose { by: ClosedBy::Stalled, .. })), 1);
        assert!(count(&seen, |e| matches!(e, Event::WsError { status: Some(503), .. })) > 3);
        assert!(truth.iter().any(|entry| entry.class == Class::ConnectFailed));
    }

    #[test]
    fn faults_of_rest_are_seen_and_entered() {
        let (seen, truth) = run(options(&["rest_error:every=10,feature=positions,code=500"]));
        let failed = count(&seen, |e| matches!(e, Event::RestError { status: Some(500), .. }));
        assert_eq!(failed, truth.len());
        assert!(failed >= 5);
    }
}
