//! `signed-off`: every reviewer signed this very evidence, and no waiver is left. One run cannot know who
//! will sign it, so the signatures are judged over the evidence of all runs. Must not check a signature.

use super::{Check, Judged, notes, verdict};
use crate::model::{Phase, Verdict};

pub const CHECK: Check = Check {
    name: "signed-off",
    phase: Phase::BeforeDeleting,
    classes: &[],
    limit: |_| String::new(),
    rule: "every reviewer signed this very evidence, and no waiver is left",
    judge: |_, _| {
        judged(Verdict::Inconclusive, "nothing", "0 signatures".into(), "no signature was given".into())
    },
};

/// What became of a reviewer's signature, with the words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It covers exactly this evidence; a remark, or nothing.
    Valid(String),
    /// Something is lacking that a signature could still give.
    Lacking(String),
    /// It is false, or what it covers was changed since.
    Broken(String),
}

/// The verdict over the reviewers by name, signatures that belong to nobody, and the waivers that are left.
pub fn of_reviewers(reviewers: &[(String, Standing)], stray: &[String], waivers: usize) -> Judged {
    let mut failing: Vec<String> = stray.to_vec();
    let (mut lacking, mut remarks, mut valid) = (Vec::new(), Vec::new(), 0);
    for (name, standing) in reviewers {
        match standing {
            Standing::Valid(remark) => {
                valid += 1;
                remarks.extend((!remark.is_empty()).then(|| format!("{name}: {remark}")));
            }
            Standing::Lacking(what) => lacking.push(format!("{name}: {what}")),
            Standing::Broken(why) => failing.push(format!("{name}: {why}")),
        }
    }
    if waivers > 0 {
        failing.push(format!("waivers left: {waivers}; before-deleting allows none"));
    }
    if reviewers.is_empty() {
        lacking.push("the contract names no reviewers".into());
    }
    let told = [failing.join("; "), lacking.join("; "), remarks.join("; ")];
    let note = notes(&[&told[0], &told[1], &told[2]]);
    let observed = format!("signed by {valid} of {}", reviewers.len());
    judged(verdict(!failing.is_empty(), &told[1]), &observed, format!("{valid} signatures"), note)
}

fn judged(verdict: Verdict, observed: &str, evidence: String, note: String) -> Judged {
    let confidence = String::new();
    Judged { verdict, observed: observed.into(), evidence, confidence, note, first: None, last: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_passes_fails_and_lacks() {
        let valid = ("ann".to_string(), Standing::Valid(String::new()));
        let lacking = ("bob".to_string(), Standing::Lacking("has not signed".into()));
        let broken = ("bob".to_string(), Standing::Broken("forged".into()));
        let one = std::slice::from_ref(&valid);
        assert_eq!(of_reviewers(one, &[], 0).verdict, Verdict::Pass);
        assert_eq!(of_reviewers(one, &[], 1).verdict, Verdict::Fail);
        assert_eq!(of_reviewers(one, &["x.json: damaged".into()], 0).verdict, Verdict::Fail);
        assert_eq!(of_reviewers(&[], &[], 0).note, "the contract names no reviewers");
        assert_eq!(of_reviewers(&[], &[], 0).verdict, Verdict::Inconclusive);
        let missing = of_reviewers(&[valid.clone(), lacking.clone()], &[], 0);
        assert_eq!((missing.verdict, &*missing.note), (Verdict::Inconclusive, "bob: has not signed"));
        let forged = of_reviewers(&[valid, broken], &[], 0);
        assert_eq!((forged.verdict, &*forged.observed), (Verdict::Fail, "signed by 1 of 2"));
    }
}
