//! `values-proven`: every compared field that is not `static` was seen to change, so that its being
//! equal on both sides means something.

use super::{Check, Judged, View, notes, sessions_covered, span_of_messages, verdict};
use crate::engine::proof::FieldProof;
use crate::model::Phase;

pub const CHECK: Check = Check {
    name: "values-proven",
    phase: Phase::BeforeDeleting,
    classes: &[],
    limit: |_| "every compared field changed, an enum in each way that REST showed".into(),
    rule: "every compared field that is not static was seen to change in matching pairs, over those sessions",
    judge,
};

/// Fields named in the note; those beyond are counted.
const NAMED: usize = 6;

fn judge(view: &View<'_>, _: &Check) -> Judged {
    let fields = &view.feature.counts.proof.fields;
    let open: Vec<String> = fields.iter().filter(|f| !f.is_proven()).map(what_lacks).collect();
    let mut unproven = open.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if open.len() > NAMED {
        unproven.push_str(&format!(" and {} more", open.len() - NAMED));
    }
    let none = if fields.is_empty() { "no field is compared" } else { "" };
    let sessions = sessions_covered::lacking(view, &sessions_covered::seen(view));
    let lacking = notes(&[none, &unproven, &sessions]);
    let (first, last) = span_of_messages(view);
    Judged {
        verdict: verdict(false, &lacking),
        observed: format!("{} of {} fields proven", fields.len() - open.len(), fields.len()),
        evidence: format!("{} pairs", view.feature.counts.pairs),
        confidence: String::new(),
        note: lacking,
        first,
        last,
    }
}

fn what_lacks(field: &FieldProof) -> String {
    match field.unmatched().next() {
        Some((from, to)) if field.changed => {
            format!("{} was never seen to go from {from} to {to} in a matching pair", field.name)
        }
        _ => format!("{} was never seen to change (`static = true` if it never does)", field.name),
    }
}
