//! `values-match`: what the WebSocket says equals what REST says.

use super::{Check, Judged, View, failing, notes, verdict};
use crate::model::{Class, Phase, Span};
use crate::stats::{anytime_upper, clopper_pearson_upper};

/// The confidence of the bound on the mismatch rate.
const CONFIDENCE: f64 = 0.95;

pub const BEFORE_ENABLING: Check = check(Phase::BeforeEnabling);
pub const AFTER_ENABLING: Check = check(Phase::AfterEnabling);

const fn check(phase: Phase) -> Check {
    Check {
        name: "values-match",
        phase,
        classes: &[
            Class::ValueMismatch,
            Class::TornRead,
            Class::MissingRow,
            Class::ExtraRow,
            Class::Invariant,
        ],
        limit: |_| "no difference beyond a field's tolerance".into(),
        rule: "every pair of REST version and WebSocket message says the same, and declared sums hold",
        judge,
    }
}

fn judge(view: &View<'_>, check: &Check) -> Judged {
    let counts = &view.feature.counts;
    let least = view.feature.spec.feature.limits.min_pairs;
    let lacking = match counts.pairs {
        pairs if pairs < least => format!("{pairs} of at least {least} pairs"),
        _ => blind(view, least),
    };
    let failed = failing(view, check.classes);
    let differ = format!("{} of {} pairs differ", counts.mismatched, counts.pairs);
    let skipped = |count: u64, what: &str| if count == 0 { String::new() } else { format!("{count} {what}") };
    Judged {
        verdict: verdict(failed.is_some(), &lacking),
        observed: notes(&[&differ, &failed.unwrap_or_default()]),
        evidence: format!("{} pairs", counts.pairs),
        confidence: confidence(
            counts.mismatched,
            counts.pairs,
            view.tally.value_episodes,
            view.feature.market_time,
        ),
        note: notes(&[
            &lacking,
            &skipped(counts.unfinished, "unfinished buckets"),
            &skipped(counts.unjudged_head, "not judged at the head"),
            &skipped(counts.unjudged_tail, "not judged at the tail"),
        ]),
        first: counts.first_pair,
        last: counts.last_pair,
    }
}

/// What the pairs say nothing of: pairs without a value in them prove nothing about values.
fn blind(view: &View<'_>, least: u64) -> String {
    let (spec, fields) = (&view.feature.spec, &view.feature.counts.fields);
    let rules = spec.rules.columns.iter().chain(&spec.rules.row_columns);
    if !spec.rules.has_rows && spec.feature.invariants.is_empty() && !rules.clone().any(|r| r.compared) {
        return "the contract compares no field".into();
    }
    let unread = rules.zip(fields).find(|(_, count)| count.unread > 0 && count.compared < least);
    unread.map_or_else(String::new, |(rule, count)| {
        format!("{} was compared {} of at least {least} times: REST lacks it", rule.name, count.compared)
    })
}

/// What so many pairs say of the rate of wrong ones, and how often it went wrong; of one run or of several.
pub fn confidence(mismatched: u64, pairs: u64, episodes: u64, market_time: Span) -> String {
    let bound = match pairs {
        0 => String::new(),
        _ => {
            let bound = |of: fn(u64, u64, f64) -> f64| bounded(of(mismatched, pairs, CONFIDENCE) * 100.0);
            // The second holds for runs too that ended because of what was seen (`--until-proven`, Ctrl-C).
            let (once, always) = (bound(clopper_pearson_upper), bound(anytime_upper));
            format!("mismatch rate below {once} % (95 %; {always} % whenever it was stopped)")
        }
    };
    let often = match (episodes, market_time) {
        (0, _) | (_, Span(0)) => String::new(),
        _ => format!("{:.1} episodes an hour", episodes as f64 / (market_time.as_secs_f64() / 3600.0)),
    };
    notes(&[&bound, &often])
}

/// Whether `values-match` fails on findings of this class.
pub fn is_of_values(class: Class) -> bool {
    BEFORE_ENABLING.classes.contains(&class)
}

/// A bound with three places, or with as many as its first two digits need, rounded up: it is never nothing.
fn bounded(percent: f64) -> String {
    if percent >= 0.01 || percent <= 0.0 {
        return format!("{percent:.3}");
    }
    let places = 1 - percent.log10().floor() as i32;
    let step = 10_f64.powi(-places);
    format!("{:.*}", places as usize, (percent / step).ceil() * step)
}

#[cfg(test)]
mod tests {
    use super::bounded;

    #[test]
    fn a_small_bound_is_not_written_as_nothing() {
        for (percent, expect) in [
            (39.5644, "39.564"),
            (0.026, "0.026"),
            (0.01, "0.010"),
            (0.000_128_1, "0.00013"),
            (0.009_91, "0.0100"),
        ] {
            assert_eq!(bounded(percent), expect);
        }
    }
}
