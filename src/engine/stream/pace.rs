//! A stream's period over all runs: `interval_drift` and `jitter` (SPEC §5.6).

use super::super::feature::Spec;
use super::super::ledger::{Draft, Ledger};
use super::Stream;
use crate::contract::Cadence;
use crate::model::{Class, Span};

impl Stream {
    /// The stream's period and its drift against the promise; with too few ticks for the check none.
    pub fn drift(&self, spec: &Spec) -> Option<(Span, f64)> {
        let period = self.cadence.period()?;
        let interval = spec.feature.interval;
        Some((period, (period - interval).0 as f64 / interval.0 as f64))
    }

    /// `interval_drift` and `jitter`, against the promise and against what REST really does.
    pub fn tell_pace(&self, spec: &Spec, ledger: &mut Ledger) {
        let limits = &spec.feature.limits;
        if self.cadence.ticks < limits.min_ticks
            || spec.feature.cadence == Cadence::OnChange
            || !self.shown_by_rest
        {
            return;
        }
        let (Some((period, drift)), Some(at)) = (self.drift(spec), self.last_tick) else { return };
        let interval = spec.feature.interval;
        let rest = self.event_pace.period().filter(|_| self.event_pace.versions >= limits.min_ticks);
        let apart = |a: Span, b: Span| (a - b).0 as f64 / b.0 as f64;
        // A breach of REST alone is no finding.
        let against_rest = rest
            .filter(|rest| apart(*rest, interval).abs() <= limits.drift)
            .map(|rest| (rest, apart(period, rest)))
            .filter(|(_, apart)| apart.abs() > limits.drift);
        if drift.abs() > limits.drift || against_rest.is_some() {
            let mut draft = Draft::new(Class::IntervalDrift, &self.label, at);
            draft.rest = rest.map(|r| r.estimate_of(interval).to_string()).unwrap_or_default();
            draft.ws = period.estimate_of(interval).to_string();
            draft.delta = format!("{:+.2}%", drift * 100.0);
            draft.detail = match against_rest {
                Some((rest, apart)) if drift.abs() <= limits.drift => {
                    format!("{:+.2}% against REST's {}", apart * 100.0, rest.estimate_of(interval))
                }
                _ => format!("promised {interval}, over {} ticks", self.cadence.ticks),
            };
            ledger.add(spec.index, draft, || (String::new(), String::new()));
        }
        let jitter = self.cadence.jitter(period, spec.pace()).quantiles();
        if jitter.p95.0 as f64 > limits.jitter * interval.0 as f64 {
            let mut draft = Draft::new(Class::Jitter, &self.label, at);
            draft.ws = jitter.p95.to_string();
            draft.delta = format!("{:.1}%", jitter.p95.0 as f64 / interval.0 as f64 * 100.0);
            draft.detail = format!("95 % of steps within {}, the greatest {}", jitter.p95, jitter.max);
            ledger.add(spec.index, draft, || (String::new(), String::new()));
        }
    }
}
