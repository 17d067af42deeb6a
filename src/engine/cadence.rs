//! Ticks of one stream (SPEC §5.6): the promised interval, gaps, drift and jitter.
//!
//! Owns when a stream ticked; knows nothing of what the messages said beyond their version.

use crate::calendar::CalendarRule;
use crate::model::{Span, Timestamp};
use crate::stats::{Histogram, Segment, Slope};

/// Step lengths (in ticks) whose jitter is kept apart.
const DISTINCT_STEPS: usize = 64;

/// What tells one version of a stream from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionId {
    Event(Timestamp),
    /// By content: which one, only a comparison tells.
    Content,
    Unknown,
}

/// Ticks are counted within one connection and one market session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentId {
    pub epoch: u32,
    pub session_open: Timestamp,
}

#[derive(Debug, Clone, Copy)]
pub struct Tick {
    pub at: Timestamp,
    pub version: VersionId,
    pub segment: SegmentId,
}

/// The feature's numbers that matter here.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub interval: Span,
    pub settle: Span,
}

impl Pace {
    /// How late a tick may be at the head and at the tail.
    fn lateness(&self) -> Span {
        self.interval.half().max(self.settle)
    }

    /// Ticks due after `from` that are late at `to`.
    pub fn missed(&self, from: Timestamp, to: Timestamp) -> u64 {
        let over = (to - from - self.lateness()).0;
        if over <= 0 { 0 } else { ((over - 1) / self.interval.0).max(0) as u64 }
    }
}

/// A silence that was too long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Silence {
    pub from: Timestamp,
    pub to: Timestamp,
    pub missed: u64,
    pub kind: SilenceKind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SilenceKind {
    /// Up to the first tick, with its version where there is one.
    Head {
        after: VersionId,
    },
    /// From tick to tick, with the versions at both ends.
    Step {
        before: VersionId,
        after: VersionId,
    },
    Tail,
}

/// What a message was to the cadence.
#[derive(Debug, Clone, Default)]
pub struct Arrived {
    pub tick: bool,
    /// How much later it came than the steps since the last tick promise.
    pub late: Span,
    pub silences: Vec<Silence>,
}

#[derive(Debug, Clone, Default)]
pub struct CadenceState {
    pub ticks: u64,
    last: Option<Tick>,
    index: i64,
    segment: Segment,
    slope: Slope,
    /// Δ − kP of steps, for k = 1 and for each greater k met.
    residuals: Vec<(i64, Histogram)>,
}

impl CadenceState {
    pub fn last(&self) -> Option<Tick> {
        self.last
    }

    /// Whether a message at `at` comes sooner than half an interval after the last tick.
    pub fn too_soon(&self, at: Timestamp, segment: SegmentId, pace: Pace) -> bool {
        self.last.is_some_and(|last| {
            last.segment == segment && (at - last.at).0.saturating_mul(2) < pace.interval.0
        })
    }

    /// A message. `known_from` is since when the stream could have ticked in this connection.
    pub fn arrived(
        &mut self,
        tick: Tick,
        pace: Pace,
        calendar: &CalendarRule,
        known_from: Option<Timestamp>,
    ) -> Arrived {
        let mut arrived = Arrived::default();
        if self.too_soon(tick.at, tick.segment, pace) {
            return arrived;
        }
        arrived.tick = true;
        self.ticks += 1;
        match self.last {
            Some(last) if last.segment == tick.segment => {
                let step = (tick.at - last.at).0;
                let k = steps(step, pace.interval);
                self.index += k;
                self.segment.add(self.index, tick.at);
                arrived.late = Span(step - k * pace.interval.0);
                self.residual(k, arrived.late, pace);
                if k >= 2 {
                    let kind = SilenceKind::Step { before: last.version, after: tick.version };
                    arrived.silences.push(Silence {
                        from: last.at,
                        to: tick.at,
                        missed: (k - 1) as u64,
                        kind,
                    });
                }
            }
            _ => {
                let head = SilenceKind::Head { after: tick.version };
                self.silence(tick.at, head, pace, calendar, known_from, &mut arrived.silences);
                self.begin_segment(tick.at);
            }
        }
        self.last = Some(tick);
        arrived
    }

    fn begin_segment(&mut self, at: Timestamp) {
        self.slope.add(&self.segment);
        self.segment = Segment::default();
        self.index = 0;
        self.segment.add(0, at);
    }

    fn residual(&mut self, k: i64, residual: Span, pace: Pace) {
        let place = match self.residuals.iter().position(|(steps, _)| *steps == k) {
            Some(place) => place,
            // Steps over very many ticks are rare; what is beyond counts with the last.
            None if self.residuals.len() >= DISTINCT_STEPS => DISTINCT_STEPS - 1,
            None => {
                let width = Span((pace.interval.0 / 10_000).max(1));
                self.residuals.push((k, Histogram::new(width)));
                self.residuals.len() - 1
            }
        };
        self.residuals[place].1.add(residual);
    }

    /// The connection, the session or the run ends at `to`: what was due by then and did not come.
    pub fn ended(
        &mut self,
        to: Timestamp,
        pace: Pace,
        calendar: &CalendarRule,
        known_from: Option<Timestamp>,
    ) -> Vec<Silence> {
        let mut silences = Vec::new();
        self.silence(to, SilenceKind::Tail, pace, calendar, known_from, &mut silences);
        self.pause();
        silences
    }

    /// Walks the market sessions from the last tick (or from when ticks became due) to `to`.
    /// `last_kind` says what the silence in the session of `to` itself is.
    fn silence(
        &self,
        to: Timestamp,
        last_kind: SilenceKind,
        pace: Pace,
        calendar: &CalendarRule,
        known_from: Option<Timestamp>,
        out: &mut Vec<Silence>,
    ) {
        // A tick of an earlier connection is no reference: what ended there was settled there.
        let reference = match (self.last, known_from) {
            (Some(last), Some(from)) => Some(last.at.max(from)),
            (None, Some(from)) => Some(from),
            _ => None,
        };
        let Some(mut from) = reference else { return };
        while from < to {
            let Some((open, close)) = calendar.segment_at(from).or_else(|| calendar.segment_after(from))
            else {
                return;
            };
            if open >= to {
                return;
            }
            let since = from.max(open);
            let until = to.min(close);
            let missed = pace.missed(since, until);
            if missed > 0 {
                let ticked = self.last.is_some_and(|last| last.at == since);
                let kind = match last_kind {
                    SilenceKind::Head { .. } if until < to || ticked => SilenceKind::Tail,
                    SilenceKind::Tail if !ticked => SilenceKind::Head { after: VersionId::Unknown },
                    kind => kind,
                };
                out.push(Silence { from: since, to: until, missed, kind });
            }
            if close >= to {
                return;
            }
            from = close;
        }
    }

    /// A run ended: its last tick is no reference for the next one's.
    pub fn pause(&mut self) {
        self.slope.add(&self.segment);
        self.segment = Segment::default();
        self.last = None;
    }

    /// The period by least squares over all segments so far.
    pub fn period(&self) -> Option<Span> {
        let mut slope = self.slope.clone();
        slope.add(&self.segment);
        slope.period_ns().map(|ns| Span(ns.round() as i64))
    }

    /// Δ over all steps: into `steps`.
    pub fn add_steps(&self, pace: Pace, steps: &mut Histogram) {
        for (k, residuals) in &self.residuals {
            for (value, count) in residuals.values() {
                steps.add_times(value + pace.interval * *k, count);
            }
        }
    }

    /// |Δ − kP̂| over all steps.
    pub fn jitter(&self, period: Span, pace: Pace) -> Histogram {
        let mut jitter = Histogram::new(Span((pace.interval.0 / 10_000).max(1)));
        for (k, residuals) in &self.residuals {
            let shift = (period - pace.interval) * *k;
            for (value, count) in residuals.values() {
                jitter.add_times((value - shift).abs(), count);
            }
        }
        jitter
    }
}

/// How many intervals a step is, half up. Steps beyond a century are as good as one.
fn steps(step: i64, interval: Span) -> i64 {
    let step = step.clamp(0, i64::MAX / 4);
    (2 * step + interval.0) / (2 * interval.0)
}

/// REST's own event times, so that "same interval" is judged against what REST really does.
#[derive(Debug, Clone, Default)]
pub struct EventPace {
    last: Option<Timestamp>,
    index: i64,
    segment: Segment,
    slope: Slope,
    pub versions: u64,
}

impl EventPace {
    /// A new version's event time. Steps back are no ticks.
    pub fn version(&mut self, event: Timestamp, interval: Span) {
        if let Some(last) = self.last {
            let step = (event - last).0;
            if step <= 0 {
                return;
            }
            let k = steps(step, interval);
            if k == 0 {
                return;
            }
            self.index += k;
        }
        self.versions += 1;
        self.last = Some(event);
        self.segment.add(self.index, event);
    }

    /// A pause that is no step: the run ended, the market closed.
    pub fn pause(&mut self) {
        self.slope.add(&self.segment);
        self.segment = Segment::default();
        self.index = 0;
        self.last = None;
    }

    pub fn period(&self) -> Option<Span> {
        let mut slope = self.slope.clone();
        slope.add(&self.segment);
        slope.period_ns().map(|ns| Span(ns.round() as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { interval: Span::from_secs(10), settle: Span::from_secs(2) };
    const SEGMENT: SegmentId = SegmentId { epoch: 0, session_open: Timestamp::MIN };

    fn at(seconds: f64) -> Timestamp {
        Timestamp((seconds * 1e9) as i64)
    }

    fn run(arrivals: &[f64], end: f64) -> (CadenceState, Vec<Silence>) {
        let mut state = CadenceState::default();
        let mut silences = Vec::new();
        let always = CalendarRule::always();
        for &a in arrivals {
            let tick = Tick { at: at(a), version: VersionId::Event(at(a)), segment: SEGMENT };
            silences.extend(state.arrived(tick, PACE, &always, Some(at(0.0))).silences);
        }
        silences.extend(state.ended(at(end), PACE, &always, Some(at(0.0))));
        (state, silences)
    }

    #[test]
    fn steps_heads_and_tails() {
        let missed = |arrivals: &[f64], end: f64| -> Vec<u64> {
            run(arrivals, end).1.iter().map(|s| s.missed).collect()
        };
        assert_eq!(missed(&[5.0, 15.0, 25.0], 39.9), Vec::<u64>::new());
        assert_eq!(missed(&[5.0, 25.0], 30.0), [1]);
        assert_eq!(missed(&[5.0, 35.1], 40.0), [2]);
        // Half up: 15 s is two ticks, 14.9 s one.
        assert_eq!(missed(&[5.0, 20.0], 25.0), [1]);
        assert_eq!(missed(&[5.0, 19.9], 25.0), Vec::<u64>::new());
        // The head is late beyond 10 + 5 s, the tail likewise.
        assert_eq!(missed(&[15.0, 25.0], 40.0), Vec::<u64>::new());
        assert_eq!(missed(&[15.1, 25.1], 40.2), [1, 1]);
        assert_eq!(missed(&[], 100.0), [9]);
    }

    #[test]
    fn period_and_jitter() {
        let arrivals: Vec<f64> = (0..20).map(|i| 1.0 + 10.5 * f64::from(i)).collect();
        let (state, _) = run(&arrivals, 201.0);
        assert_eq!(state.period(), Some(Span::from_millis(10_500)));
        let jitter = state.jitter(Span::from_millis(10_500), PACE).quantiles();
        assert_eq!(jitter.count, 19);
        assert!(jitter.max < Span::from_millis(2), "{jitter:?}");
    }

    #[test]
    fn too_soon_is_no_tick() {
        let (state, silences) = run(&[1.0, 1.2, 11.0, 15.9, 21.0], 25.0);
        assert_eq!((state.ticks, silences.len()), (3, 0));
    }
}
