//! `no-drops`: the connection holds through market time.

use super::{Check, Judged, View, failing, span_of_messages, verdict};
use crate::model::{Class, Phase, Span};

pub const CHECK: Check = Check {
    name: "no-drops",
    phase: Phase::BeforeEnabling,
    classes: &[Class::ConnectionDrop, Class::ConnectFailed, Class::Stalled],
    limit: |_| "no drop, refusal or stall".into(),
    rule: "no connection was dropped, refused or silent in market time",
    judge,
};

fn judge(view: &View<'_>, check: &Check) -> Judged {
    let connected = view.feature.connected_time;
    let lacking = match (connected > Span::ZERO, view.interrupted) {
        (false, _) => "no market time with the connection open",
        (true, true) => "the run was interrupted: what followed is not known",
        (true, false) => "",
    };
    let failed = failing(view, check.classes);
    let (first, last) = span_of_messages(view);
    Judged {
        verdict: verdict(failed.is_some(), lacking),
        observed: failed.unwrap_or_else(|| "none".into()),
        evidence: format!(
            "{} connected of {} market time",
            whole_seconds(connected),
            whole_seconds(view.feature.market_time)
        ),
        confidence: String::new(),
        note: lacking.into(),
        first,
        last,
    }
}

/// To the second, as a person would say it; what is shorter stays as it is.
fn whole_seconds(span: Span) -> Span {
    const SECOND: i64 = 1_000_000_000;
    if span.0 < 10 * SECOND { span } else { Span(span.0 / SECOND * SECOND) }
}
