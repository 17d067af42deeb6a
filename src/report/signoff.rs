//! Owns `signoff.csv` (SPEC §8): a row per feature and check, for people who sign it.
//! Must not judge: a check that was not asked stands as `not asked`, with empty cells.

use super::cell::guarded;
use crate::model::outcome::SignedBy;
use crate::model::{CheckResult, FeatureOutcome, Outcome};

pub const FILE: &str = "signoff.csv";

pub const COLUMNS: [&str; 18] = [
    "feature",
    "flag",
    "phase",
    "check",
    "verdict",
    "observed",
    "limit",
    "evidence",
    "confidence",
    "first",
    "last",
    "sessions",
    "capture_sha256",
    "contract_sha256",
    "tool",
    "reviewer",
    "signed_at",
    "note",
];

/// What stands for the verdict of a check that this run was not asked for.
pub const NOT_ASKED: &str = "not asked";

/// The whole file.
pub fn to_csv(outcome: &Outcome) -> Vec<u8> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let captures = outcome.capture_sha256.join(" ");
    csv.write_record(COLUMNS).expect("a Vec takes every row");
    for feature in &outcome.features {
        for check in &feature.checks {
            csv.write_record(row(outcome, &captures, feature, check)).expect("every row has all columns");
        }
    }
    csv.into_inner().expect("a Vec flushes")
}

fn row(
    outcome: &Outcome,
    captures: &str,
    feature: &FeatureOutcome,
    check: &CheckResult,
) -> [String; COLUMNS.len()] {
    let cell = |text: &str| guarded(text).into_owned();
    let instant = |t: Option<crate::model::Timestamp>| t.map(|t| t.to_string()).unwrap_or_default();
    let asked = check.verdict.is_some();
    let signed = |what: fn(&SignedBy) -> String| {
        let covers = |by: &&SignedBy| asked && by.feature == feature.name && check.phase <= by.phase;
        outcome.signed.iter().filter(covers).map(what).collect::<Vec<_>>().join(" ")
    };
    [
        cell(&feature.name),
        cell(&feature.flag),
        check.phase.name().to_string(),
        check.check.to_string(),
        check.verdict.map_or(NOT_ASKED, |verdict| verdict.name()).to_string(),
        cell(&check.observed),
        cell(&check.limit),
        cell(&check.evidence),
        cell(&check.confidence),
        instant(check.first),
        instant(check.last),
        if asked { check.sessions.to_string() } else { String::new() },
        cell(captures),
        cell(&outcome.contract_sha256),
        cell(&outcome.tool),
        // Nobody has signed when a run ends; of merged evidence it is known who has.
        cell(&signed(|by| by.reviewer.clone())),
        signed(|by| by.signed_at.to_string()),
        cell(&noted(check)),
    ]
}

/// The note, with the number of waived findings where the note does not give it.
fn noted(check: &CheckResult) -> String {
    match (check.waived, check.note.as_str()) {
        (0, note) => note.to_string(),
        (waived, "") => format!("{waived} waived"),
        (_, note) if note.contains("waived") => note.to_string(),
        (waived, note) => format!("{waived} waived; {note}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    /// The outside reader: every column by name, nothing besides.
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Row {
        feature: String,
        flag: String,
        phase: String,
        check: String,
        verdict: String,
        observed: String,
        limit: String,
        evidence: String,
        confidence: String,
        first: String,
        last: String,
        sessions: Option<u64>,
        capture_sha256: String,
        contract_sha256: String,
        tool: String,
        reviewer: String,
        signed_at: String,
        note: String,
    }

    fn rows(outcome: &Outcome) -> Vec<Row> {
        let bytes = to_csv(outcome);
        csv::Reader::from_reader(bytes.as_slice()).deserialize().map(Result::unwrap).collect()
    }

    #[test]
    fn the_header_is_the_specification_s() {
        let text = String::from_utf8(to_csv(&sample::failing())).unwrap();
        assert_eq!(
            text.lines().next().unwrap(),
            "feature,flag,phase,check,verdict,observed,limit,evidence,confidence,first,last,sessions,\
             capture_sha256,contract_sha256,tool,reviewer,signed_at,note"
        );
    }

    #[test]
    fn a_row_per_feature_and_check() {
        let outcome = sample::failing();
        let rows = rows(&outcome);
        assert_eq!(rows.len(), outcome.features.iter().map(|f| f.checks.len()).sum::<usize>());
        let values = rows.iter().find(|r| r.feature == "positions" && r.check == "values-match").unwrap();
        assert_eq!(values.flag, "WS_FEATURE_POSITIONS");
        assert_eq!((values.phase.as_str(), values.verdict.as_str()), ("before-enabling", "FAIL"));
        assert_eq!(values.observed, "24 of 1,204 pairs differ");
        assert!(values.limit.starts_with("no value_mismatch"));
        assert_eq!(values.evidence, "1204 pairs");
        assert_eq!(values.confidence, "mismatch rate < 2.8 % (95 %)");
        assert_eq!(values.first, "2025-12-19T14:30:00Z");
        assert_eq!(values.last, "2025-12-19T14:40:00Z");
        assert_eq!(values.sessions, Some(0));
        assert_eq!(values.capture_sha256, "c0ffee");
        assert_eq!(values.contract_sha256, "abc123");
        assert_eq!(values.tool, "cutover 0.1.0");
        assert_eq!((values.reviewer.as_str(), values.signed_at.as_str()), ("", ""));
        assert_eq!(values.note, "2 waived");
    }

    #[test]
    fn what_was_not_asked_says_so_and_nothing_else() {
        let rows = rows(&sample::failing());
        let logs = rows.iter().find(|r| r.check == "logs-clean").unwrap();
        assert_eq!((logs.verdict.as_str(), logs.phase.as_str()), ("not asked", "after-enabling"));
        assert_eq!((logs.observed.as_str(), logs.sessions), ("", None));
    }

    #[test]
    fn a_formula_in_an_observation_runs_nothing() {
        let mut outcome = sample::failing();
        outcome.features[0].checks[0].observed = "=1+1".into();
        outcome.features[0].checks[0].note = "@two\nlines".into();
        let rows = rows(&outcome);
        assert_eq!((rows[0].observed.as_str(), rows[0].note.as_str()), ("'=1+1", "\"@two\\nlines\""));
    }
}
