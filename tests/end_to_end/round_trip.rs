//! Random worlds, faults and interleavings: what the engine is told directly, and what it is told
//! from a capture of the same observations, gives one outcome, however often it hears the time.

use super::common::{self, Told, told};
use cutover::capture::{Reader, ReaderOptions, Tail, encode};
use cutover::contract::BUILTIN;
use cutover::engine::Engine;
use cutover::model::{EndReason, Observation, Span, Timestamp};
use cutover::reference::{Fault, Simulation, SimulationOptions};
use proptest::prelude::*;

/// Sessions in a usual test run; PROPTEST_CASES asks for more.
const CASES: u32 = 24;

/// What a session follows from; printed when it fails.
#[derive(Debug, Clone)]
struct Session {
    seed: u64,
    seconds: i64,
    faults: Vec<&'static str>,
    interleave_ms: i64,
    offset_s: i64,
    forming_updates: bool,
    rest_decimal_strings: bool,
    live_markets: bool,
    /// Draws when the engine hears the time.
    advance_seed: u64,
    /// Where a kill cuts the capture, in parts per million.
    cut_ppm: usize,
}

const FAULTS: [&str; 24] = [
    "value_mismatch",
    "missing_row",
    "extra_row",
    "missing_field",
    "null_field",
    "wrong_type",
    "bad_value",
    "malformed",
    "missing_on_ws",
    "gap",
    "out_of_order",
    "frozen",
    "duplicate",
    "late",
    "unknown_type",
    "unknown_stream",
    "type_differs",
    "interval_drift",
    "rest_error",
    "rest_stale",
    "torn_read",
    "revision",
    "connection_drop:at=70s",
    "stalled:at=90s",
];

fn session() -> impl Strategy<Value = Session> {
    let world = (any::<bool>(), any::<bool>(), any::<bool>());
    let faults = prop::sample::subsequence(FAULTS.to_vec(), 0..4);
    let network = (0..400_i64, -90..90_i64);
    let driven = (any::<u64>(), 0..1_000_000_usize);
    (any::<u64>(), 30..240_i64, faults, network, world, driven).prop_map(
        |(seed, seconds, faults, (interleave_ms, offset_s), world, (advance_seed, cut_ppm))| Session {
            seed,
            seconds,
            faults,
            interleave_ms,
            offset_s,
            forming_updates: world.0,
            rest_decimal_strings: world.1,
            live_markets: world.2,
            advance_seed,
            cut_ppm,
        },
    )
}

impl Session {
    fn simulation(&self) -> Simulation {
        let from = Timestamp(common::START + (self.seed % 60_000) as i64 * 1_000_003);
        let mut options = SimulationOptions::new(from, Span::from_secs(self.seconds));
        options.seed = self.seed;
        options.world.seed = self.seed;
        options.world.forming_updates = self.forming_updates;
        options.world.rest_decimal_strings = self.rest_decimal_strings;
        options.world.live_markets = self.live_markets;
        options.interleave = Span::from_millis(self.interleave_ms);
        options.network.clock_offset = Span::from_secs(self.offset_s);
        options.faults = self.faults.iter().map(|text| Fault::parse(text).unwrap()).collect();
        Simulation::new(options).unwrap()
    }

    /// What the engine concludes when told directly, and the same observations as a capture.
    fn directly(&self) -> (Told, String) {
        let mut capture = String::new();
        let told = told(&common::contract(BUILTIN), |engine| {
            let see = |observation: &Observation<'_>| {
                engine.observe(observation).unwrap();
                encode(observation, &mut capture);
                capture.push('\n');
            };
            self.simulation().run(see, |_| {});
        });
        (told, capture)
    }
}

/// What the engine concludes from a capture; before each line it hears the time as often as drawn.
fn from_capture(capture: &str, advance_seed: u64) -> Told {
    let mut draw = Draw(advance_seed | 1);
    told(&common::contract(BUILTIN), |engine| {
        let mut reader = Reader::new(capture.as_bytes(), ReaderOptions::default());
        let mut before: Option<Timestamp> = None;
        while let Some(line) = reader.next() {
            let line = line.unwrap();
            let at = line.observation.at;
            advance(engine, before.unwrap_or(at), at, &mut draw);
            engine.observe(&line.observation).unwrap();
            before = Some(at);
        }
        engine.end_of_capture();
        assert_eq!(reader.tail(), Tail::Ended(EndReason::Done));
    })
}

fn advance(engine: &mut Engine, from: Timestamp, to: Timestamp, draw: &mut Draw) {
    let mut now = from;
    for _ in 0..draw.below(4) {
        now += Span(draw.below((to - now).0 as u64 + 1) as i64);
        engine.advance(now);
    }
}

/// Numbers that follow from a seed (xorshift).
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What a kill leaves: every whole line is read, and nothing is an error.
fn cut_capture_reads_up_to_its_cut(capture: &str, cut_ppm: usize) {
    let kept = &capture.as_bytes()[..capture.len() * cut_ppm / 1_000_000];
    let whole = kept.iter().filter(|byte| **byte == b'\n').count() as u64;
    let mut reader = Reader::new(kept, ReaderOptions::default());
    let mut read = 0;
    while let Some(line) = reader.next() {
        line.unwrap();
        read += 1;
    }
    // The last line may be whole but for its line break.
    assert!(read == whole || read == whole + 1, "{read} lines read of {whole}");
    assert!(reader.tail().is_interrupted());
}

fn cases() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(CASES), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_replayed_session_is_the_session(session in session()) {
        let (live, capture) = session.directly();
        let replayed = from_capture(&capture, session.advance_seed);
        prop_assert_eq!(&live.findings, &replayed.findings);
        prop_assert_eq!(&live.outcome, &replayed.outcome);
        cut_capture_reads_up_to_its_cut(&capture, session.cut_ppm);
    }
}
