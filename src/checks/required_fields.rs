//! `required-fields`: every message carries every required field in a readable form.

use super::{Check, Judged, View, failing, span_of_messages, verdict};
use crate::model::{Class, Phase};

pub const CHECK: Check = Check {
    name: "required-fields",
    phase: Phase::BeforeEnabling,
    classes: &[
        Class::MissingField,
        Class::NullField,
        Class::WrongType,
        Class::BadValue,
        Class::Malformed,
        Class::TypeDiffers,
    ],
    limit: |view| match view.feature.spec.feature.limits.strict_types {
        true => "none missing, null, of a wrong or another type, malformed".into(),
        false => "none missing, null, of a wrong type, malformed".into(),
    },
    rule: "no message lacks a required field or holds one that cannot be read",
    judge,
};

fn judge(view: &View<'_>, check: &Check) -> Judged {
    let least = view.feature.spec.feature.limits.min_required_messages;
    let messages = view.feature.traffic.ws_in_hours;
    let lacking = match messages {
        m if m >= least => String::new(),
        m => format!("{m} of at least {least} messages within market hours"),
    };
    let failed = failing(view, check.classes);
    let (first, last) = span_of_messages(view);
    Judged {
        verdict: verdict(failed.is_some(), &lacking),
        observed: failed.unwrap_or_else(|| "none".into()),
        evidence: format!("{} records", view.feature.traffic.ws_records),
        confidence: String::new(),
        note: lacking,
        first,
        last,
    }
}
