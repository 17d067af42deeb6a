//! Signatures over evidence: the digest of a set of runs, a statement that names it, its ed25519 signature,
//! and what became of it since. Must not open a file nor read a clock.

use super::aside::Aside;
use super::beside::{Files, Folder};
use crate::checks::signed_off::{CHECK, Standing, of_reviewers};
use crate::model::outcome::{Outcome, SignedBy};
use crate::model::{Phase, Timestamp, Verdict};
use base64::prelude::{BASE64_STANDARD, Engine};
use ring::digest::{Context, SHA256};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::io;

/// History: 1, the first.
pub const VERSION: u32 = 1;

/// One run as it is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// For people: the folder or file; not part of the digest, folders may be moved.
    pub name: String,
    pub report_sha256: String,
    pub contract_sha256: String,
    pub capture_sha256: Vec<String>,
    /// What else the run wrote beside its report. Earlier signatures do not have it.
    #[serde(default, skip_serializing_if = "Files::is_empty")]
    pub files: Files,
}

/// A run that was given, whether it fails a check of the feature, and what is known of its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenRun {
    pub run: Run,
    pub failed: bool,
    pub folder: Folder,
}

/// Everything that is given of one feature.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    /// What counts.
    pub runs: Vec<GivenRun>,
    /// What counts no more, in the order it was set aside.
    pub set_aside: Vec<Aside>,
}

/// What is signed: its compact JSON, members in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    pub feature: String,
    pub phase: String,
    pub reviewer: String,
    /// RFC 3339, UTC.
    pub signed_at: String,
    pub evidence_sha256: String,
    pub runs: Vec<Run>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<Aside>,
}

/// A signature file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    pub signature: u32,
    pub statement: Statement,
    pub public_key: String,
    pub ed25519: String,
}

/// Why a text is no signature, after "could not read FILE:" or in the note of the check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotASignature {
    #[error("it is no signature file: {0}")]
    Malformed(String),
    #[error("signature version {0} is unknown to this program, which reads version {VERSION}")]
    Version(u32),
    #[error("the signature does not fit what it says: it was forged, or changed after it was made")]
    Forged,
    #[error("its digest is not that of the runs it lists")]
    OtherDigest,
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    let mut hash = Hash::default();
    hash.0.update(bytes);
    hash.sha256()
}

/// The same of what is written to it.
pub struct Hash(Context);

impl Default for Hash {
    fn default() -> Hash {
        Hash(Context::new(&SHA256))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash")
    }
}

impl io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Hash {
    pub fn sha256(self) -> String {
        self.0.finish().as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes everything");
            text
        })
    }
}

/// The digest of a set of runs for a feature and phase, and of what was set aside; the order and the names of
/// the runs do not count.
pub fn evidence_sha256(feature: &str, phase: &str, runs: &[Run], set_aside: &[Aside]) -> String {
    let mut lines: Vec<String> = runs.iter().map(Run::line).collect();
    lines.sort();
    lines.dedup();
    lines.extend(set_aside.iter().map(Aside::line));
    sha256(format!("cutover evidence {VERSION}\n{feature:?} {phase}\n{}\n", lines.join("\n")).as_bytes())
}

/// `NAME` and the key that the contract declares for it, if any.
pub fn reviewer(text: &str) -> (&str, Option<&str>) {
    text.split_once(" ed25519:").map_or((text, None), |(name, key)| (name, Some(key)))
}

pub fn public_key(key: &Ed25519KeyPair) -> String {
    BASE64_STANDARD.encode(key.public_key().as_ref())
}

/// Signs what this evidence says.
pub fn sign(
    key: &Ed25519KeyPair,
    (feature, phase): (&str, Phase),
    (reviewer, at): (&str, Timestamp),
    evidence: &Evidence,
) -> Signature {
    let mut runs: Vec<Run> = evidence.runs.iter().map(|given| given.run.clone()).collect();
    runs.sort_by(|a, b| a.report_sha256.cmp(&b.report_sha256));
    runs.dedup_by(|a, b| a.report_sha256 == b.report_sha256);
    let statement = Statement {
        feature: feature.into(),
        phase: phase.name().into(),
        reviewer: reviewer.into(),
        signed_at: at.to_string(),
        evidence_sha256: evidence_sha256(feature, phase.name(), &runs, &evidence.set_aside),
        runs,
        set_aside: evidence.set_aside.clone(),
    };
    let ed25519 = BASE64_STANDARD.encode(key.sign(&statement.text()).as_ref());
    Signature { signature: VERSION, statement, public_key: public_key(key), ed25519 }
}

impl Run {
    /// One line of what a signature's digest is made from; of a run without files as it was before there were any.
    fn line(&self) -> String {
        let Run { report_sha256, contract_sha256, .. } = self;
        let mut line = format!("{report_sha256} {contract_sha256} {}", self.capture_sha256.join(","));
        for (name, sha256) in &self.files {
            write!(line, " {name:?} {sha256}").expect("a String takes everything");
        }
        line
    }
}

impl Statement {
    fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain structs become JSON")
    }

    fn concerns(&self, feature: &str, phase: Phase) -> bool {
        self.feature == feature && self.phase == phase.name()
    }
}

impl Signature {
    /// The whole file.
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("plain structs become JSON");
        text.push(b'\n');
        text
    }

    /// A signature that its own key made over its own statement; whose key that is, is not known yet.
    pub fn from_json(text: &[u8]) -> Result<Signature, NotASignature> {
        let read: Signature =
            serde_json::from_slice(text).map_err(|error| NotASignature::Malformed(error.to_string()))?;
        if read.signature != VERSION {
            return Err(NotASignature::Version(read.signature));
        }
        let key = BASE64_STANDARD.decode(&read.public_key).map_err(|_| NotASignature::Forged)?;
        let made = BASE64_STANDARD.decode(&read.ed25519).map_err(|_| NotASignature::Forged)?;
        let said = &read.statement;
        UnparsedPublicKey::new(&ED25519, key)
            .verify(&said.text(), &made)
            .map_err(|_| NotASignature::Forged)?;
        if Timestamp::parse_rfc3339(&said.signed_at).is_none() {
            return Err(NotASignature::Malformed(format!("`{}` is no RFC 3339 instant", said.signed_at)));
        }
        if said.evidence_sha256 != evidence_sha256(&said.feature, &said.phase, &said.runs, &said.set_aside) {
            return Err(NotASignature::OtherDigest);
        }
        Ok(read)
    }

    /// What became of it: against the evidence that is given now and the reviewers of its contract.
    pub fn standing(&self, evidence: &Evidence, reviewers: &[String]) -> Standing {
        let Evidence { runs, set_aside } = evidence;
        let name = &self.statement.reviewer;
        let Some((_, declared)) = reviewers.iter().map(|r| reviewer(r)).find(|(known, _)| known == name)
        else {
            return Standing::Broken("the contract names no such reviewer".into());
        };
        if declared.is_some_and(|key| key != self.public_key) {
            let used = &self.public_key;
            return Standing::Broken(format!(
                "signed with an unknown key, {used}; the contract declares another"
            ));
        }
        let signed = &self.statement.runs;
        let (mut broken, mut lacking) = (Vec::new(), Vec::new());
        for gone in signed.iter().filter(|s| !runs.iter().any(|given| same_run(s, &given.run))) {
            lacking.push(format!("{} was signed and is not given", gone.name));
        }
        for given in runs.iter().filter(|given| !signed.iter().any(|s| covers(s, &given.run))) {
            let name = &given.run.name;
            let known = signed.iter().any(|s| s.contract_sha256 == given.run.contract_sha256);
            match (signed.iter().find(|s| same_run(s, &given.run)), given.failed) {
                (Some(before), _) => broken.push(changed(before, &given.run)),
                (None, true) => broken.push(format!("{name} came after the signature, and fails")),
                (None, _) if !known => {
                    broken.push(format!("{name} came after the signature, by another contract"))
                }
                _ => lacking.push(format!("{name} came after the signature; sign again")),
            }
        }
        let Statement { feature, set_aside: known, .. } = &self.statement;
        for aside in set_aside.iter().filter(|aside| !known.contains(aside)) {
            lacking.push(format!("{}, after the signature; sign again", aside.words(feature)));
        }
        for aside in known.iter().filter(|aside| !set_aside.contains(aside)) {
            lacking.push(format!("{}, as was signed; that is not given", aside.words(feature)));
        }
        let none = Files::new();
        let mut unchecked = Vec::new();
        for given in runs {
            let files = signed.iter().find(|s| same_run(s, &given.run)).map_or(&none, |s| &s.files);
            let beside = given.folder.beside(files);
            broken.extend(beside.changed.iter().map(|changed| format!("{} {}", changed.file, changed.why())));
            unchecked.extend(beside.remark(&given.run.name));
        }
        let unknown = declared.is_none().then(|| "key not declared in the contract".to_string());
        match (broken.is_empty(), lacking.is_empty()) {
            (false, _) => Standing::Broken(broken.join(", ")),
            (true, false) => Standing::Lacking(lacking.join(", ")),
            (true, true) => {
                Standing::Valid(unknown.into_iter().chain(unchecked).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Files are held against what is there.
fn covers(signed: &Run, given: &Run) -> bool {
    (&signed.report_sha256, &signed.contract_sha256, &signed.capture_sha256)
        == (&given.report_sha256, &given.contract_sha256, &given.capture_sha256)
}

/// The same recording or report, whatever was done to it; a changed report may name other captures.
fn same_run(signed: &Run, given: &Run) -> bool {
    signed.report_sha256 == given.report_sha256
        || (!signed.capture_sha256.is_empty() && signed.capture_sha256 == given.capture_sha256)
        || signed.name == given.name
}

fn changed(signed: &Run, given: &Run) -> String {
    let (what, was, is) = match () {
        () if signed.contract_sha256 != given.contract_sha256 => {
            let what = "is judged by another contract than was signed";
            (what, signed.contract_sha256.clone(), given.contract_sha256.clone())
        }
        () if signed.capture_sha256 != given.capture_sha256 => {
            let what = "is made from another capture than was signed";
            (what, signed.capture_sha256.join(" "), given.capture_sha256.join(" "))
        }
        () => {
            let what = "was changed after it was signed";
            (what, signed.report_sha256.clone(), given.report_sha256.clone())
        }
    };
    format!("{} {what}: {was} was signed, {is} is there", given.name)
}

/// The outcome with `signed-off` judged for the feature, from the signature files by name.
pub fn sign_off(
    mut outcome: Outcome,
    feature: &str,
    evidence: &Evidence,
    files: &[(String, Result<Signature, NotASignature>)],
) -> Outcome {
    // One that does not hold may claim any feature: it counts against every one.
    let stray: Vec<String> =
        files.iter().filter_map(|(file, read)| Some(format!("{file}: {}", read.as_ref().err()?))).collect();
    let good = || files.iter().filter_map(|(_, read)| read.as_ref().ok());
    let mut standings = Vec::new();
    for text in &outcome.reviewers {
        let name = reviewer(text).0;
        let own =
            good().filter(|s| s.statement.concerns(feature, CHECK.phase) && s.statement.reviewer == name);
        let judged: Vec<(&Signature, Standing)> =
            own.map(|s| (s, s.standing(evidence, &outcome.reviewers))).collect();
        let valid = judged.iter().find(|(_, standing)| matches!(standing, Standing::Valid(_)));
        let broken = judged.iter().find(|(_, standing)| matches!(standing, Standing::Broken(_)));
        let standing = match broken.or(valid).or(judged.first()) {
            Some((signature, standing)) => {
                if let Standing::Valid(_) = standing {
                    let said = &signature.statement;
                    outcome.signed.push(SignedBy {
                        feature: feature.into(),
                        phase: CHECK.phase,
                        reviewer: name.into(),
                        signed_at: Timestamp::parse_rfc3339(&said.signed_at).expect("read as an instant"),
                    });
                }
                standing.clone()
            }
            None => Standing::Lacking("has not signed".into()),
        };
        standings.push((name.to_string(), standing));
    }
    let concerns = |name: &str| name.is_empty() || name == feature;
    let waivers = outcome.waivers.iter().filter(|w| concerns(&w.feature)).count();
    let judged = of_reviewers(&standings, &stray, waivers);
    let aside: Vec<String> = evidence.set_aside.iter().map(|aside| aside.words(feature)).collect();
    for found in outcome.features.iter_mut().filter(|f| *f.name == *feature) {
        let asked = found.checks.iter_mut().filter(|c| c.check == CHECK.name && c.verdict.is_some());
        for check in asked {
            check.verdict = Some(judged.verdict);
            check.observed = judged.observed.clone();
            check.evidence = judged.evidence.clone();
            check.note = judged.note.clone();
        }
        // Whoever signs the sheet sees what does not count, whatever phase was asked.
        for check in found.checks.iter_mut().filter(|c| c.check == CHECK.name && !aside.is_empty()) {
            let note = std::iter::once(check.note.as_str()).filter(|note| !note.is_empty());
            check.note = note.chain(aside.iter().map(String::as_str)).collect::<Vec<_>>().join("; ");
        }
        found.verdict = Verdict::of(found.checks.iter().filter_map(|c| c.verdict));
    }
    outcome.verdict = Verdict::of(outcome.features.iter().map(|f| f.verdict));
    outcome
}

#[cfg(test)]
mod tests;
