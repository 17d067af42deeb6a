//! A session in virtual time: the origin, the network and a watcher, stepped from event to event.
//! Yields what the watcher would have recorded, as observations in order of `at`, and the truth.
//!
//! Reads no clock and opens nothing; memory does not grow with the session. The encoder of captures
//! is another room's: this one yields observations.

mod polling;
mod socket;

#[cfg(test)]
mod tests;

use super::fault::{Fault, FaultError, clock_skew};
use super::feature::Feature;
use super::network::{Clocks, Latency, Network};
use super::origin::{Lane, Origin};
use super::random::{Random, hash};
use super::truth::TruthEntry;
use super::world::WorldOptions;
use crate::model::{EndReason, Event, Observation, Payload, Span, Start, Timestamp};
use polling::Endpoint;
use socket::Socket;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

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
    /// A message of more bytes makes us close with 1009.
    pub max_message: u64,
    /// Parallel connections that share the streams among them.
    pub connections: usize,
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
            max_message: 4 << 20,
            connections: 1,
            start: Start { capture: 1, ..Start::default() },
        }
    }
}

/// What happens next on the watcher's side of the network. A number is the connection's or the
/// endpoint's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Connect(usize),
    Connected(usize),
    Refused(usize, u16),
    Poll(usize),
    /// A request reaches the server.
    Form(usize),
    Answer(usize),
    RoundTrip(usize),
    StallEnds(usize, u32),
}

/// What comes next, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Origin,
    Step,
    /// The head of a connection's wire arrives.
    Delivery(usize),
}

#[derive(Debug)]
pub struct Simulation {
    origin: Origin,
    clocks: Clocks,
    network: Network,
    random: Random,
    interleave: Span,
    rest_timeout: Span,
    max_message: u64,
    from: Timestamp,
    end: Timestamp,
    start: Start,
    endpoints: Vec<Endpoint>,
    sockets: Vec<Socket>,
    /// The number of the next connection.
    next_conn: u32,
    /// What is to come, by instant, then by the order in which it was planned.
    steps: BinaryHeap<Reverse<(Timestamp, u64, Step)>>,
    order: u64,
}

/// The round trip of a socket is measured this often.
const ROUND_TRIP_EVERY: Span = Span::from_secs(20);

impl Simulation {
    pub fn new(mut options: SimulationOptions) -> Result<Simulation, FaultError> {
        let (offset, drift_ppm) = clock_skew(&options.faults);
        options.network.clock_offset = options.network.clock_offset + offset;
        options.network.clock_drift_ppm += drift_ppm;
        let clocks = Clocks::new(&options.network, options.from);
        let origin = Origin::new(options.world, options.faults, clocks.server(options.from))?;
        let of = options.connections.max(1);
        let mut simulation = Simulation {
            origin,
            clocks,
            network: options.network,
            random: Random::new(options.seed),
            interleave: options.interleave,
            rest_timeout: options.rest_timeout,
            max_message: options.max_message,
            from: options.from,
            end: options.from + options.duration,
            start: options.start,
            endpoints: options.polls.into_iter().map(|poll| Endpoint::new(poll, options.from)).collect(),
            sockets: (0..of).map(|index| Socket::new(Lane { index, of }, options.from)).collect(),
            next_conn: of as u32,
            steps: BinaryHeap::new(),
            order: 0,
        };
        simulation.plan_first_steps(options.seed);
        Ok(simulation)
    }

    /// Polls lie on an absolute grid with a seeded phase (SPEC §4).
    fn plan_first_steps(&mut self, seed: u64) {
        for socket in 0..self.sockets.len() {
            self.plan(self.from, Step::Connect(socket));
            self.plan(self.from + ROUND_TRIP_EVERY, Step::RoundTrip(socket));
        }
        for index in 0..self.endpoints.len() {
            let every = self.endpoints[index].every.0;
            let phase = (hash(seed, 0x9011, index as i64) % every as u64) as i64;
            let late = (self.from.0 - phase).rem_euclid(every);
            let first = if late == 0 { self.from } else { self.from + Span(every - late) };
            self.plan(first, Step::Poll(index));
        }
    }

    fn plan(&mut self, at: Timestamp, step: Step) {
        let order = self.next_order();
        self.steps.push(Reverse((at, order, step)));
    }

    fn next_order(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    fn delay(&mut self, latency: Latency) -> Span {
        let more = self.random.below(self.interleave.0.max(0) as u64);
        latency.draw(&mut self.random) + Span(more as i64)
    }

    /// Runs the session: each observation in order of `at`, then what was injected until then. Returns
    /// what a person should know of the faults besides (`Origin::remarks`).
    pub fn run(
        mut self,
        mut observe: impl FnMut(&Observation<'_>),
        mut inject: impl FnMut(&TruthEntry),
    ) -> Vec<String> {
        let start = Event::Start(Box::new(std::mem::take(&mut self.start)));
        observe(&Observation { at: self.from, event: start });
        loop {
            let (at, next) = self.next();
            if at > self.end {
                break;
            }
            match next {
                Next::Origin => self.take_from_origin(at),
                Next::Delivery(socket) => self.deliver(at, socket, &mut observe),
                Next::Step => {
                    if let Some(Reverse((_, _, step))) = self.steps.pop() {
                        self.step(at, step, &mut observe);
                    }
                }
            }
            self.origin.drain_truth().for_each(|entry| inject(&entry));
        }
        observe(&Observation { at: self.end, event: Event::End { reason: EndReason::Done } });
        self.origin.remarks(self.clocks.server(self.end))
    }

    /// The server first, then what was planned first.
    fn next(&self) -> (Timestamp, Next) {
        let (mut first, mut next) = ((Timestamp::MAX, u64::MAX), Next::Step);
        if let Some(Reverse((at, order, _))) = self.steps.peek() {
            first = (*at, *order);
        }
        for (index, socket) in self.sockets.iter().enumerate() {
            if let Some(arrival) = socket.next_arrival().filter(|arrival| *arrival < first) {
                (first, next) = (arrival, Next::Delivery(index));
            }
        }
        let sends = self.clocks.ours(self.origin.next_at());
        if sends <= first.0 { (sends, Next::Origin) } else { (first.0, next) }
    }

    fn step(&mut self, at: Timestamp, step: Step, observe: &mut impl FnMut(&Observation<'_>)) {
        match step {
            Step::Connect(socket) => self.connect(at, socket),
            Step::Connected(socket) => self.connected(at, socket, observe),
            Step::Refused(socket, status) => self.refused(at, socket, status, observe),
            Step::Poll(index) => self.poll(at, index, observe),
            Step::Form(index) => self.form(at, index),
            Step::Answer(index) => self.answer(at, index, observe),
            Step::RoundTrip(socket) => self.round_trip(at, socket, observe),
            Step::StallEnds(socket, conn) => self.stall_ends(at, socket, conn, observe),
        }
    }
}

/// What the origin writes is JSON on one line.
fn json(text: &str, binary: bool) -> Payload<'_> {
    Payload::Json { text: Cow::Borrowed(text), binary }
}
