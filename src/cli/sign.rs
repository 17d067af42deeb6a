//! Owns `cutover sign`: a reviewer's signature over evidence whose gate passes but for the signatures,
//! and the key to make it with. Must not judge.

use super::arguments::phase;
use super::beside::Hashed;
use super::console::Console;
use super::evidence::Given;
use super::exit::{Exit, WrongUse};
use super::folder::write_whole;
use super::{evidence, gate, signing_key};
use crate::checks::signed_off::CHECK;
use crate::evidence::beside::Files;
use crate::evidence::sign::{Signature, public_key, reviewer, sha256, sign};
use crate::model::{Outcome, Phase, Verdict};
use crate::report::terminal::clean;
use crate::source::clock::Clock;
use anyhow::Context;
use clap::Args;
use ring::signature::Ed25519KeyPair;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  cutover sign --new-key ann.key --as ann
  cutover sign --feature positions --phase before-deleting --as ann --key ann.key reports

The signature is kept in `signatures` in the first folder given. A key file may be an OpenSSH ed25519 key
without a passphrase. `signed-off` wants signatures of before-deleting.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    evidence: Given,
    /// The feature that is signed
    #[arg(long, value_name = "NAME", required_unless_present = "new_key")]
    feature: Option<String>,
    /// before-enabling, after-enabling or before-deleting
    #[arg(long, value_name = "PHASE", value_parser = phase(), hide_possible_values = true)]
    #[arg(required_unless_present = "new_key")]
    phase: Option<Phase>,
    /// The reviewer, as the contract names them
    #[arg(long = "as", value_name = "NAME")]
    reviewer: String,
    /// The reviewer's private key
    #[arg(long, value_name = "FILE", required_unless_present = "new_key")]
    key: Option<PathBuf>,
    /// Make a key in this file, and print what the contract declares of it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "feature", "phase", "evidence", "store", "contract"])]
    new_key: Option<PathBuf>,
    /// Judge captures by this contract instead of the recorded one
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settings {
    NewKey { file: PathBuf, reviewer: String },
    Sign(What),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct What {
    pub evidence: Given,
    pub feature: String,
    pub phase: Phase,
    pub reviewer: String,
    pub key: PathBuf,
    pub contract: Option<PathBuf>,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        match (self.new_key, self.feature, self.phase, self.key) {
            (None, Some(feature), Some(phase), Some(key)) => Settings::Sign(What {
                evidence: self.evidence,
                feature,
                phase,
                reviewer: self.reviewer,
                key,
                contract: self.contract,
            }),
            (file, ..) => Settings::NewKey { file: file.unwrap_or_default(), reviewer: self.reviewer },
        }
    }
}

pub fn run(settings: Settings, console: &Console) -> anyhow::Result<Exit> {
    match settings {
        Settings::NewKey { file, reviewer } => {
            let key = signing_key::create(&file)?;
            let line = format!("reviewers = [\"{reviewer} ed25519:{}\"]\n", public_key(&key));
            console.result(line.as_bytes()).context("could not print the key")?;
        }
        Settings::Sign(what) => sign_evidence(&what, console)?,
    }
    Ok(Exit::Pass)
}

fn sign_evidence(what: &What, console: &Console) -> anyhow::Result<()> {
    let key = signing_key::read(&what.key)?;
    let found = evidence::find(&what.evidence)?;
    let mut gathered = evidence::gather(&found, what.contract.as_deref(), &gate::needed(what.phase))?;
    gathered.look_beside(&mut Hashed::default())?;
    let given = gathered.evidence(&what.feature);
    for folder in given.runs.iter().map(|given| &given.folder) {
        if let Some(changed) = folder.beside(&Files::new()).changed.first() {
            return Err(WrongUse(format!("could not sign: {} {}", changed.file, changed.why())).into());
        }
        if let Some((file, why)) = folder.unread() {
            return Err(WrongUse(format!("could not sign: {file} cannot be read: {why}")).into());
        }
    }
    let outcome = gate::narrowed(gathered.outcome(&what.feature)?, &what.feature, &found.pieces)?;
    may_sign(&outcome, what, &key)?;
    let now = Clock::start(1).now();
    let signature = sign(&key, (&what.feature, what.phase), (&what.reviewer, now), &given);
    let folder = evidence::signature_folder(&what.evidence);
    std::fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    let file = folder.join(file_name(what));
    write_whole(&file, &signature.to_json())?;
    let text = told(&signature, &file);
    console.result(text.as_bytes()).context("could not print what was signed")
}

/// Who may not sign, and what nobody may.
fn may_sign(outcome: &Outcome, what: &What, key: &Ed25519KeyPair) -> anyhow::Result<()> {
    let refusal = |why: String| Err(WrongUse(format!("could not sign: {why}")).into());
    let reviewers: Vec<(&str, Option<&str>)> = outcome.reviewers.iter().map(|r| reviewer(r)).collect();
    let names: Vec<&str> = reviewers.iter().map(|(name, _)| *name).collect();
    match reviewers.iter().find(|(name, _)| *name == what.reviewer) {
        None if names.is_empty() => {
            return refusal(format!(
                "the contract of the evidence names no reviewers; add reviewers = [\"{}\"] and judge again",
                what.reviewer
            ));
        }
        None => {
            return refusal(format!(
                "{} is no reviewer; the contract names {}",
                what.reviewer,
                names.join(", ")
            ));
        }
        Some((_, Some(declared))) if *declared != public_key(key) => {
            return refusal(format!("{} is not the key that the contract declares", what.key.display()));
        }
        Some(_) => {}
    }
    let checks = outcome.features.iter().flat_map(|f| &f.checks).filter(|c| c.check != CHECK.name);
    for check in checks {
        if let Some(verdict) = check.verdict.filter(|verdict| *verdict != Verdict::Pass) {
            let (name, phase) = (check.check, check.phase.name());
            return refusal(format!("{name} ({phase}) is {verdict}: {}; {}", check.observed, check.note));
        }
    }
    if what.phase == CHECK.phase && !outcome.waivers.is_empty() {
        return refusal(format!(
            "{} waivers are left; {} allows none",
            outcome.waivers.len(),
            what.phase.name()
        ));
    }
    Ok(())
}

/// One file a signature; a name that is no file name is told apart by its digest.
fn file_name(what: &What) -> String {
    let plain = |name: &str| match name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        true => name.to_string(),
        false => sha256(name.as_bytes())[..16].to_string(),
    };
    format!("{}-{}-{}.json", plain(&what.feature), what.phase.name(), plain(&what.reviewer))
}

fn told(signature: &Signature, file: &Path) -> String {
    let said = &signature.statement;
    let mut text = format!(
        "{} {}, signed by {} at {}\nevidence {}\n",
        said.feature, said.phase, said.reviewer, said.signed_at, said.evidence_sha256
    );
    for run in &said.runs {
        text.push_str(&format!("  {}  report {}\n", run.name, run.report_sha256));
        text.push_str(&format!("    contract {}\n", run.contract_sha256));
        run.capture_sha256.iter().for_each(|capture| text.push_str(&format!("    capture {capture}\n")));
        run.files.iter().for_each(|(name, sha256)| text.push_str(&format!("    {name} {sha256}\n")));
    }
    for aside in &said.set_aside {
        text.push_str(&format!("  {}\n", clean(&aside.words(&said.feature))));
    }
    text + &format!("{}\n", file.display())
}
