//! When the versions of one stream are born: a nominal grid, and what the faults `interval_drift`
//! and `jitter` do to it. Both feeds follow this grid, so a stretched interval alone makes no
//! version differ or go missing. Integers of nanoseconds; nothing accumulates.

use super::random::{MILLION, hash};
use crate::model::{Span, Timestamp};

/// A change of pace from one nominal instant to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tempo {
    pub from: Timestamp,
    pub until: Timestamp,
    /// How much longer each interval lasts, in parts per million; negative is shorter.
    pub stretch_ppm: i64,
    /// How far versions sway around the grid, in parts per million of the period.
    pub sway_ppm: i64,
}

/// A stream's grid: version `k` is born at `phase + k × period` since the epoch, unless a tempo
/// says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    pub period: Span,
    pub phase: Span,
    pub tempo: Option<Tempo>,
    /// For the sway.
    pub seed: u64,
}

impl Grid {
    pub fn new(period: Span, phase: Span, seed: u64) -> Grid {
        Grid { period, phase, tempo: None, seed }
    }

    /// When version `k` is born.
    pub fn time(&self, k: i64) -> Timestamp {
        let nominal = Timestamp(self.phase.0 + k * self.period.0);
        match &self.tempo {
            None => nominal,
            Some(tempo) => tempo.warp(nominal) + tempo.sway(self, nominal, k),
        }
    }

    /// The last version born at or before `at`.
    pub fn version_at(&self, at: Timestamp) -> i64 {
        let Some(tempo) = &self.tempo else {
            return (at.0 - self.phase.0).div_euclid(self.period.0);
        };
        let mut k = (tempo.unwarp(at).0 - self.phase.0).div_euclid(self.period.0);
        while self.time(k) > at {
            k -= 1;
        }
        while self.time(k + 1) <= at {
            k += 1;
        }
        k
    }
}

impl Tempo {
    fn stretched(&self, length_ns: i64) -> i64 {
        (i128::from(length_ns) * i128::from(self.stretch_ppm) / i128::from(MILLION)) as i64
    }

    fn warp(&self, nominal: Timestamp) -> Timestamp {
        if nominal <= self.from {
            return nominal;
        }
        let stretched = nominal.min(self.until).since(self.from).0;
        nominal + Span(self.stretched(stretched))
    }

    /// Near enough to the inverse of `warp`; `version_at` walks the rest.
    fn unwarp(&self, at: Timestamp) -> Timestamp {
        if at <= self.from {
            return at;
        }
        let length = i128::from(at.since(self.from).0);
        let million = i128::from(MILLION);
        let inside = self.from + Span((length * million / (million + i128::from(self.stretch_ppm))) as i64);
        if inside <= self.until {
            return inside;
        }
        at - Span(self.stretched(self.until.since(self.from).0))
    }

    /// Alternates around the grid, so that the slope over many versions stays what it was.
    fn sway(&self, grid: &Grid, nominal: Timestamp, k: i64) -> Span {
        if self.sway_ppm == 0 || nominal <= self.from || nominal > self.until {
            return Span::ZERO;
        }
        let most = i128::from(grid.period.0) * i128::from(self.sway_ppm) / i128::from(MILLION);
        let share = 600 + (hash(grid.seed, 0x5a, k) % 400) as i128;
        let size = (most * share / 1000) as i64;
        Span(if k % 2 == 0 { size } else { -size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_lives_from_its_birth_to_the_next() {
        let plain = Grid::new(Span::from_secs(10), Span::from_millis(1234), 1);
        let tempo = |stretch_ppm, sway_ppm| Tempo {
            from: Timestamp(1_000_000_000_000),
            until: Timestamp(2_000_000_000_000),
            stretch_ppm,
            sway_ppm,
        };
        for tempo in [None, Some(tempo(50_000, 0)), Some(tempo(-50_000, 0)), Some(tempo(0, 200_000))] {
            let grid = Grid { tempo, ..plain };
            for k in 80..260 {
                let born = grid.time(k);
                assert!(grid.time(k + 1) > born, "{tempo:?} {k}");
                assert_eq!(grid.version_at(born), k, "{tempo:?} {k}");
                assert_eq!(grid.version_at(Timestamp(born.0 - 1)), k - 1, "{tempo:?} {k}");
            }
        }
    }

    #[test]
    fn a_stretched_interval_is_longer_by_its_share() {
        let tempo = Tempo { from: Timestamp(0), until: Timestamp::MAX, stretch_ppm: 50_000, sway_ppm: 0 };
        let grid = Grid { tempo: Some(tempo), ..Grid::new(Span::from_secs(10), Span::ZERO, 1) };
        assert_eq!(grid.time(8) - grid.time(7), Span::from_millis(10_500));
    }
}
