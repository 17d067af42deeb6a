//! The run's clock: UTC at the start, from there on monotonic, and N times as fast if asked.
//!
//! The wall clock is read once, so that a step of it in the middle of a run cannot make instants
//! decrease or intervals wrong. Everything a run records is in this time; everything it waits for
//! is in real time, which `real` converts to.

use crate::model::{Span, Timestamp};
use std::time::Duration;
use tokio::time::Instant;

/// A handle to the run's clock; copies of it tell the same time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Timestamp,
    started: Instant,
    speed: u32,
}

impl Clock {
    /// A clock that shows the wall clock's time now and runs `speed` times as fast from here on.
    #[allow(clippy::disallowed_types, reason = "the one reading of the wall clock in a run")]
    pub fn start(speed: u32) -> Clock {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let nanos = since_epoch.map_or(0, |duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX));
        Clock::start_at(Timestamp(nanos), speed)
    }

    /// A clock that shows `origin` now: for a run that shares its time with a reference world.
    pub fn start_at(origin: Timestamp, speed: u32) -> Clock {
        Clock { origin, started: Instant::now(), speed: speed.max(1) }
    }

    pub fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    /// What the clock showed at `instant`.
    pub fn at(&self, instant: Instant) -> Timestamp {
        self.origin.saturating_add(self.span(instant.saturating_duration_since(self.started)))
    }

    /// How long a real duration is on this clock.
    pub fn span(&self, real: Duration) -> Span {
        let nanos = i64::try_from(real.as_nanos()).unwrap_or(i64::MAX);
        Span(nanos.saturating_mul(i64::from(self.speed)))
    }

    /// How long a span of this clock takes in reality.
    pub fn real(&self, span: Span) -> Duration {
        Duration::from_nanos(span.0.max(0) as u64) / self.speed
    }

    pub fn speed(&self) -> u32 {
        self.speed
    }
}

/// A span as real time, whatever the clock's speed: for time-outs.
pub(super) fn duration(span: Span) -> Duration {
    Duration::from_nanos(span.0.max(0) as u64)
}

/// Deterministic pseudo-random numbers for phases and jitter (splitmix64, Steele et al. 2014).
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// A sequence of its own for each `name` under one seed.
    pub(super) fn new(seed: u64, name: &str) -> Random {
        // FNV-1a of the name: stable across versions and platforms.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Random(seed ^ hash)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in [0, 1).
    pub(super) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_multiplies_what_has_passed() {
        let clock = Clock::start_at(Timestamp(1_000), 60);
        let later = clock.started + Duration::from_millis(5);
        assert_eq!(clock.at(later), Timestamp(1_000 + 300_000_000));
        assert_eq!(clock.at(clock.started), Timestamp(1_000));
        assert_eq!(clock.real(Span::from_secs(60)), Duration::from_secs(1));
    }

    #[test]
    fn splitmix_gives_its_published_numbers() {
        let mut random = Random(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
        let fraction = Random::new(7, "balance").fraction();
        assert!((0.0..1.0).contains(&fraction));
        assert_ne!(fraction, Random::new(7, "positions").fraction());
    }
}
