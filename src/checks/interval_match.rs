//! `interval-match`: the stream keeps the promised interval, and REST's real one.

use super::{Check, Judged, View, failing, minimum, notes, span_of_messages, verdict};
use crate::contract::Cadence;
use crate::model::{Class, Phase, Verdict};

pub const CHECK: Check = Check {
    name: "interval-match",
    phase: Phase::BeforeEnabling,
    classes: &[Class::IntervalDrift, Class::Jitter],
    limit: |view| {
        let feature = &view.feature.spec.feature;
        let percent = |fraction: f64| format!("{} %", (fraction * 1e6).round() / 1e4);
        format!(
            "|drift| ≤ {}, jitter p95 ≤ {} of {}",
            percent(feature.limits.drift),
            percent(feature.limits.jitter),
            feature.interval
        )
    },
    rule: "the least-squares period of each stream against the promise and against REST's own, and how far steps stray from it",
    judge,
};

/// `+5.00`, `-0.21`; what rounds to nothing has no sign.
fn signed(percent: f64) -> String {
    let text = format!("{percent:+.2}");
    if text.ends_with("0.00") && text.len() == 5 { "0.00".into() } else { text }
}

fn judge(view: &View<'_>, check: &Check) -> Judged {
    let (first, last) = span_of_messages(view);
    let spec = &view.feature.spec;
    if spec.feature.cadence == Cadence::OnChange {
        return Judged {
            verdict: Verdict::Pass,
            observed: "not applicable: sent on change".into(),
            evidence: String::new(),
            confidence: String::new(),
            note: String::new(),
            first,
            last,
        };
    }
    let least = spec.feature.limits.min_ticks;
    let min = minimum(view, least, |s| s.cadence.ticks);
    let pieces = view.feature.streams.iter().filter(|s| s.shown_by_rest && s.cadence.ticks >= least);
    let pieces = pieces.filter(|s| s.drift(spec).is_none()).count();
    let lacking = match (min.lacking(least, "ticks"), pieces) {
        (lacking, 0) => lacking,
        (lacking, n) => notes(&[&lacking, &format!("{n} streams never ticked twice in one connection")]),
    };
    let failed = failing(view, check.classes);
    let measured = view.feature.streams.iter().filter(|s| s.cadence.ticks >= 2);
    let worst = measured
        .clone()
        .filter_map(|s| s.drift(spec).map(|(period, drift)| (s, period, drift)))
        .max_by(|a, b| a.2.abs().total_cmp(&b.2.abs()));
    let jitter = measured
        .filter_map(|s| {
            s.drift(spec).map(|(period, _)| s.cadence.jitter(period, spec.pace()).quantiles().p95)
        })
        .max();
    let observed = match (worst, jitter) {
        (Some((stream, period, drift)), Some(jitter)) => {
            format!(
                "drift {} % ({}, {}), jitter p95 {:.1} %",
                signed(drift * 100.0),
                period.estimate_of(spec.feature.interval),
                stream.label,
                jitter.0 as f64 / spec.feature.interval.0 as f64 * 100.0
            )
        }
        _ => "no two ticks of any stream".into(),
    };
    Judged {
        verdict: verdict(failed.is_some(), &lacking),
        observed: notes(&[&failed.unwrap_or_default(), &observed]),
        evidence: format!("{} ticks", view.feature.streams.iter().map(|s| s.cadence.ticks).sum::<u64>()),
        confidence: String::new(),
        note: notes(&[&lacking, &min.exempt_note()]),
        first,
        last,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_has_no_sign() {
        for (percent, told) in
            [(-0.001, "0.00"), (0.0, "0.00"), (-0.21, "-0.21"), (5.0, "+5.00"), (10.0, "+10.00")]
        {
            assert_eq!(super::signed(percent), told);
        }
    }
}
