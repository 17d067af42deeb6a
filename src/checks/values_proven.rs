//! `values-proven`: every compared field that is not `static` was seen to change, so that its being
//! equal on both sides means something.

use super::{Check, Judged, View, notes, sessions_covered, span_of_messages, verdict};
use crate::engine::proof::FieldProof;
use crate::model::Phase;
use crate::model::outcome::FieldProven;

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

/// What the run saw each field do.
pub fn seen(view: &View<'_>) -> Vec<FieldProven> {
    let proven = |field: &FieldProof| FieldProven {
        field: field.name.clone(),
        changed: field.changed,
        shown: field.shown.iter().cloned().collect(),
        matched: field.matched.iter().cloned().collect(),
    };
    view.feature.counts.proof.fields.iter().map(proven).collect()
}

fn judge(view: &View<'_>, _: &Check) -> Judged {
    let sessions = sessions_covered::lacking(&sessions_covered::seen(view), sessions_covered::required(view));
    let (first, last) = span_of_messages(view);
    Judged { first, last, ..of_fields(&seen(view), view.feature.counts.pairs, &sessions) }
}

/// The check over the fields of one run or of several; `sessions` says what is lacking of those.
pub fn of_fields(fields: &[FieldProven], pairs: u64, sessions: &str) -> Judged {
    let open: Vec<String> = fields.iter().filter(|f| !f.is_proven()).map(what_lacks).collect();
    let mut unproven = open.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if open.len() > NAMED {
        unproven.push_str(&format!(" and {} more", open.len() - NAMED));
    }
    let none = if fields.is_empty() { "no field is compared" } else { "" };
    let lacking = notes(&[none, &unproven, sessions]);
    Judged {
        verdict: verdict(false, &lacking),
        observed: format!("{} of {} fields proven", fields.len() - open.len(), fields.len()),
        evidence: format!("{pairs} pairs"),
        confidence: String::new(),
        note: lacking,
        first: None,
        last: None,
    }
}

fn what_lacks(field: &FieldProven) -> String {
    match field.unmatched().next() {
        Some((from, to)) if field.changed => {
            format!("{} was never seen to go from {from} to {to} in a matching pair", field.field)
        }
        _ => format!("{} was never seen to change (`static = true` if it never does)", field.field),
    }
}
