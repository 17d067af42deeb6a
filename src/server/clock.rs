//! The world's clock: real time since the start, so many times as fast. The only clock of this room.

use crate::model::{Span, Timestamp};
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: Instant,
    start: Timestamp,
    speed: f64,
}

impl Clock {
    /// The world's `start` is now.
    pub fn new(start: Timestamp, speed: f64) -> Clock {
        Clock { began: Instant::now(), start, speed }
    }

    pub fn now(&self) -> Timestamp {
        let elapsed_ns = self.began.elapsed().as_nanos() as f64;
        self.start + Span((elapsed_ns * self.speed) as i64)
    }

    /// How long a span of the world takes in reality.
    pub fn real(&self, span: Span) -> Duration {
        Duration::from_nanos((span.0.max(0) as f64 / self.speed) as u64)
    }

    /// The real instant at which the world's clock has reached `at`.
    pub fn instant(&self, at: Timestamp) -> Instant {
        let ahead_ns = (at - self.start).0.max(0) as f64 / self.speed;
        // A microsecond more, so that rounding never wakes us too early.
        self.began + Duration::from_nanos(ahead_ns as u64) + Duration::from_micros(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_world_runs_so_many_times_as_fast() {
        let start = Timestamp(1_700_000_000_000_000_000);
        let clock = Clock::new(start, 20.0);
        let wait = clock.instant(start + Span::from_secs(10)) - clock.began;
        assert_eq!(wait, Duration::from_micros(500_001));
        assert_eq!(clock.instant(start - Span::from_secs(10)), clock.began + Duration::from_micros(1));
        assert!(clock.now() >= start);
    }
}
