//! `messages-seen`: every stream that REST shows came over the WebSocket.

use super::{Check, Judged, View, failing, minimum, notes, span_of_messages, verdict};
use crate::contract::Cadence;
use crate::engine::stream::Stream;
use crate::model::{Class, Phase};

pub const CHECK: Check = Check {
    name: "messages-seen",
    phase: Phase::BeforeEnabling,
    classes: &[Class::UnknownStream],
    limit: |view| {
        format!("every stream of REST, {} messages each", view.feature.spec.feature.limits.min_messages)
    },
    rule: "every stream that REST shows came over the WebSocket",
    judge,
};

fn judge(view: &View<'_>, check: &Check) -> Judged {
    let least = view.feature.spec.feature.limits.min_messages;
    let unheard: Vec<&Stream> = view.feature.streams.iter().filter(|s| was_due(view, s)).collect();
    let shown = view.feature.streams.iter().filter(|s| s.shown_by_rest).count();
    let came = view.feature.streams.iter().filter(|s| s.shown_by_rest && s.ws_records > 0).count();
    let min = minimum(view, least, |s| s.ws_in_hours);
    let lacking = min.lacking(least, "messages");
    let strangers = failing(view, check.classes);
    let silent = match unheard.first() {
        None => String::new(),
        Some(first) => {
            format!("{} never came, first {} (unheard for {})", unheard.len(), first.label, first.unheard)
        }
    };
    let (first, last) = span_of_messages(view);
    Judged {
        verdict: verdict(!unheard.is_empty() || strangers.is_some(), &lacking),
        observed: notes(&[
            &format!("{came} of {shown} streams came"),
            &silent,
            &strangers.unwrap_or_default(),
        ]),
        evidence: format!("{} messages", view.feature.traffic.ws_messages),
        confidence: String::new(),
        note: notes(&[&lacking, &min.exempt_note(), &alive_without_data(view)]),
        first,
        last,
    }
}

/// A socket that answers and delivers nothing looks well to whoever watches the socket.
fn alive_without_data(view: &View<'_>) -> String {
    match (view.feature.traffic.ws_messages, view.keepalives) {
        (0, signs @ 1..) => format!("{signs} signs of life of the server came, and no message"),
        _ => String::new(),
    }
}

/// REST showed it longer than a message may take, with the connection open and the market too.
fn was_due(view: &View<'_>, stream: &Stream) -> bool {
    let pace = view.feature.spec.pace();
    let promised = match view.feature.spec.feature.cadence {
        Cadence::Periodic => true,
        // Nothing is due before something changes.
        Cadence::OnChange => stream.born_versions > 0,
    };
    promised
        && stream.shown_by_rest
        && stream.ws_records == 0
        && stream.unheard > pace.interval + pace.settle * 2
}
