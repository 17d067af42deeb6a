//! Owns how a person points at evidence: report folders, reports and captures, read into outcomes.
//! Must not judge what they hold together.

use super::beside::Hashed;
use super::exit::WrongUse;
use super::{replay, store};
use crate::evidence::aside::{Aside, SetAside};
use crate::evidence::beside::{Files, Folder, Known};
use crate::evidence::sign::{Evidence, GivenRun, NotASignature, Run, Signature, sha256};
use crate::evidence::{NotOneEvidence, merge};
use crate::model::{FeatureOutcome, Outcome, Phase, Verdict};
use crate::report::json;
use anyhow::Context;
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How evidence may be given, for messages.
const FORMS: &str =
    "give report folders, a folder of them, report.json files, captures, or the folder of --evidence";

/// Evidence as it is given on the command line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct Given {
    /// Report folders, a folder of them, report.json files, captures
    #[arg(value_name = "EVIDENCE")]
    pub evidence: Vec<PathBuf>,
    /// All runs stored in this folder (`watch --evidence DIR`); its chain has to be whole
    #[arg(long = "evidence", value_name = "DIR")]
    pub store: Option<PathBuf>,
}

impl Given {
    pub fn is_empty(&self) -> bool {
        self.evidence.is_empty() && self.store.is_none()
    }

    /// The same on a command line, for advice.
    pub fn words(&self) -> Vec<String> {
        let store = self.store.iter().flat_map(|store| ["--evidence".into(), store.display().to_string()]);
        store.chain(self.evidence.iter().map(|path| path.display().to_string())).collect()
    }

    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.store.iter().chain(&self.evidence)
    }
}

/// One piece of evidence: a report, or a capture that is judged when it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Report(PathBuf),
    Capture(PathBuf),
}

impl Piece {
    pub fn path(&self) -> &Path {
        match self {
            Piece::Report(path) | Piece::Capture(path) => path,
        }
    }
}

/// What was found of what was given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    pub pieces: Vec<Piece>,
    /// What was set aside in the folder of `--evidence`, each with how many pieces were stored before it.
    asides: Vec<(SetAside, usize)>,
    /// What the chain of `--evidence` says of the files beside its reports.
    files: BTreeMap<PathBuf, Files>,
}

/// What was given, in order: stored runs as they were stored, those of other folders by name.
pub fn find(given: &Given) -> anyhow::Result<Found> {
    let (mut pieces, mut asides, mut files) = (Vec::new(), Vec::new(), BTreeMap::new());
    if let Some(store) = &given.store {
        let stored = store::reports(store)?;
        files.extend(stored.reports.iter().cloned().zip(stored.files));
        pieces.extend(stored.reports.into_iter().map(Piece::Report));
        asides = stored.asides;
    }
    for path in &given.evidence {
        if path.is_dir() {
            let reports = reports_in(path)?;
            if reports.is_empty() {
                let message = format!("no {} in {} or in its folders; {FORMS}", json::FILE, path.display());
                return Err(WrongUse(message).into());
            }
            pieces.extend(reports.into_iter().map(Piece::Report));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            pieces.push(Piece::Report(path.clone()));
        } else {
            pieces.push(Piece::Capture(path.clone()));
        }
    }
    Ok(Found { pieces, asides, files })
}

/// The report of a folder, or those of the folders in it.
fn reports_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let own = folder.join(json::FILE);
    if own.exists() {
        return Ok(vec![own]);
    }
    let could_not = || format!("could not read {}", folder.display());
    let mut reports = Vec::new();
    for entry in folder.read_dir().with_context(could_not)? {
        let report = entry.with_context(could_not)?.path().join(json::FILE);
        if report.exists() {
            reports.push(report);
        }
    }
    reports.sort();
    Ok(reports)
}

pub fn read_report(path: &Path) -> anyhow::Result<Outcome> {
    Ok(report_and_bytes(path)?.0)
}

#[allow(clippy::disallowed_methods, reason = "the one place where reports are read back")]
fn report_and_bytes(path: &Path) -> anyhow::Result<(Outcome, Vec<u8>)> {
    let could_not = || format!("could not read {}", path.display());
    let text = std::fs::read(path).with_context(could_not)?;
    Ok((json::from_json(&text).with_context(could_not)?, text))
}

/// The folder of signatures beside the reports.
const SIGNATURES: &str = "signatures";

/// Where a signature of this evidence is kept: in the first folder given, or beside the first file.
pub fn signature_folder(given: &Given) -> PathBuf {
    given.paths().next().map(|path| folder_of(path).join(SIGNATURES)).unwrap_or_else(|| SIGNATURES.into())
}

pub fn folder_of(path: &Path) -> PathBuf {
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    folder.filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf()
}

/// A signature file by its path, or why it is none.
pub type SignatureFile = (String, Result<Signature, NotASignature>);

/// The signatures beside the evidence, and of a run's own folder those beside the folder too.
#[allow(clippy::disallowed_methods, reason = "the one place where signatures are read")]
pub fn signatures(given: &Given) -> anyhow::Result<Vec<SignatureFile>> {
    let mut files = Vec::new();
    for path in given.paths() {
        let own = folder_of(path);
        let above = own.join(json::FILE).exists().then(|| own.join(".."));
        for folder in [Some(own), above].into_iter().flatten().map(|f| f.join(SIGNATURES)) {
            let Ok(folder) = folder.canonicalize() else { continue };
            let could_not = || format!("could not read {}", folder.display());
            for entry in folder.read_dir().with_context(could_not)? {
                let file = entry.with_context(could_not)?.path();
                if file.extension().is_some_and(|extension| extension == "json") {
                    files.push(file);
                }
            }
        }
    }
    files.sort();
    files.dedup();
    let read = |file: PathBuf| {
        let text = std::fs::read(&file).with_context(|| format!("could not read {}", file.display()))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        Ok((format!("{SIGNATURES}/{name}"), Signature::from_json(&text)))
    };
    files.into_iter().map(read).collect()
}

/// What befell a report by the signatures that name its run, where its bytes are other ones now.
#[allow(clippy::disallowed_methods, reason = "a report that is no report any more still has a digest")]
pub fn changed_since(piece: &Piece, files: &[SignatureFile]) -> anyhow::Result<Option<String>> {
    let path = piece.path();
    let bytes = std::fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
    let (name, found) = (name_of(piece), sha256(&bytes));
    let signed = files.iter().filter_map(|(_, read)| read.as_ref().ok()).flat_map(|s| &s.statement.runs);
    let other = signed.filter(|run| run.name == name).find(|run| run.report_sha256 != found);
    Ok(other.map(|run| {
        format!("was changed after it was signed: {} was signed, {found} is there", run.report_sha256)
    }))
}

/// All runs, to be counted as one, and each as it can be signed.
#[derive(Debug)]
pub struct Gathered {
    runs: Vec<Gotten>,
    /// What was set aside of which feature.
    asides: Vec<(String, Aside)>,
    phases: Vec<Phase>,
}

/// One run as it was read.
#[derive(Debug)]
struct Gotten {
    piece: Piece,
    run: Run,
    outcome: Outcome,
    /// What was stored of the files beside its report.
    files: Files,
    /// What is known of its folder: nothing before `look_beside`.
    folder: Folder,
    /// Features of which it counts no more.
    aside: Vec<String>,
}

impl Gotten {
    fn counts_for(&self, feature: &str) -> bool {
        !self.aside.iter().any(|name| name == feature)
    }

    fn feature(&self, name: &str) -> Option<&FeatureOutcome> {
        self.outcome.features.iter().find(|f| *f.name == *name)
    }

    /// Without the features of which it counts no more.
    fn rest(&self) -> Outcome {
        let stays = |name: Option<&str>| name.is_none_or(|name| self.counts_for(name));
        let mut outcome = self.outcome.clone();
        outcome.features.retain(|f| self.counts_for(&f.name));
        outcome.samples.retain(|s| stays(s.feature.as_deref()));
        outcome.episodes.retain(|e| stays(e.feature.as_deref()));
        outcome.verdict = Verdict::of(outcome.features.iter().map(|f| f.verdict));
        outcome
    }
}

impl Gathered {
    /// What counts of the feature: each run with whether it fails a check of it, and what was set aside.
    pub fn evidence(&self, feature: &str) -> Evidence {
        let given = |gotten: &Gotten| GivenRun {
            run: Run { files: gotten.folder.to_sign(), ..gotten.run.clone() },
            failed: gotten.feature(feature).is_some_and(|f| f.verdict == Verdict::Fail),
            folder: gotten.folder.clone(),
        };
        let set_aside = self.asides.iter().filter(|(name, _)| name == feature);
        Evidence {
            runs: self.runs.iter().filter(|gotten| gotten.counts_for(feature)).map(given).collect(),
            set_aside: set_aside.map(|(_, aside)| aside.clone()).collect(),
        }
    }

    /// What counts of the feature as one outcome, of whatever else the same runs judged too.
    pub fn outcome(&self, feature: &str) -> anyhow::Result<Outcome> {
        let counted: Vec<&Gotten> = self.runs.iter().filter(|g| g.counts_for(feature)).collect();
        let judged = counted.iter().any(|gotten| gotten.feature(feature).is_some());
        if !judged && let Some(aside) = self.evidence(feature).set_aside.last() {
            let why = format!("{}, and no run of it was stored since", aside.words(feature));
            return Err(WrongUse(why).into());
        }
        let outcomes: Vec<Outcome> = counted.iter().map(|gotten| gotten.outcome.clone()).collect();
        let mut merged = merged(&outcomes, &self.phases, &counted)?;
        self.tell_asides(&mut merged, |name| name == feature);
        Ok(merged)
    }

    /// The features that any run judges, the newest run's first, with the flag that run gives it.
    pub fn features(&self) -> Vec<(String, String)> {
        let mut newest: Vec<&Gotten> = self.runs.iter().collect();
        newest.sort_by_key(|gotten| std::cmp::Reverse(gotten.outcome.first));
        let mut all: Vec<(String, String)> = Vec::new();
        for feature in newest.iter().flat_map(|gotten| &gotten.outcome.features) {
            if all.iter().all(|(name, _)| **name != *feature.name) {
                all.push((feature.name.to_string(), feature.flag.clone()));
            }
        }
        all
    }

    /// Whether a run still counts for the feature.
    pub fn has_run_of(&self, feature: &str) -> bool {
        self.runs.iter().any(|gotten| gotten.counts_for(feature) && gotten.feature(feature).is_some())
    }

    /// Who has to sign, by the contract of the newest run.
    pub fn reviewers(&self) -> Vec<String> {
        let newest = self.runs.iter().max_by_key(|gotten| gotten.outcome.first);
        newest.map(|gotten| gotten.outcome.reviewers.clone()).unwrap_or_default()
    }

    fn tell_asides(&self, outcome: &mut Outcome, concerns: impl Fn(&str) -> bool) {
        let told = self.asides.iter().filter(|(name, _)| concerns(name));
        outcome.notes.splice(0..0, told.map(|(name, aside)| aside.words(name)));
    }

    /// Hashes the files that stand beside the reports again, their captures too, as long as that takes.
    pub fn look_beside(&mut self, hashed: &mut Hashed) -> anyhow::Result<()> {
        let given = self.runs.iter().filter(|gotten| matches!(gotten.piece, Piece::Capture(_)));
        let elsewhere: Vec<String> = given.flat_map(|gotten| gotten.outcome.capture_sha256.clone()).collect();
        for gotten in &mut self.runs {
            let Piece::Report(path) = &gotten.piece else { continue };
            let known = Known::of(&gotten.outcome.capture_sha256, &gotten.files);
            gotten.folder = match path.ends_with(json::FILE) {
                true => hashed.folder(&folder_of(path), known, &elsewhere)?,
                // In a folder of many reports it cannot be told whose a capture or a page is.
                false => Folder { known, there: Some(Vec::new()) },
            };
        }
        Ok(())
    }
}

/// What a run is called: folders may be moved together with their signatures.
fn name_of(piece: &Piece) -> String {
    let path = match piece {
        Piece::Report(path) if path.ends_with(json::FILE) => path.parent().unwrap_or(path),
        piece => piece.path(),
    };
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn run_of(piece: &Piece, outcome: &Outcome, report: &[u8]) -> Run {
    Run {
        name: name_of(piece),
        report_sha256: sha256(report),
        contract_sha256: outcome.contract_sha256.clone(),
        capture_sha256: outcome.capture_sha256.clone(),
        files: Files::new(),
    }
}

/// Reads each piece, captures judged in these phases, and tells what of it was set aside.
pub fn gather(found: &Found, contract: Option<&Path>, phases: &[Phase]) -> anyhow::Result<Gathered> {
    let mut runs = Vec::new();
    for piece in &found.pieces {
        let files = found.files.get(piece.path()).cloned().unwrap_or_default();
        runs.push(Gotten { files, ..read(piece, contract, phases)? });
    }
    let mut asides = Vec::new();
    for (said, before) in &found.asides {
        let name = &said.feature;
        let counts = |gotten: &&mut Gotten| gotten.counts_for(name) && gotten.feature(name).is_some();
        let mut taken = Vec::new();
        for gotten in runs.iter_mut().take(*before).filter(counts) {
            gotten.aside.push(name.clone());
            taken.push(gotten.run.report_sha256.clone());
        }
        asides.push((name.clone(), said.of(taken)));
    }
    Ok(Gathered { runs, asides, phases: phases.to_vec() })
}

/// What the pieces say, in the phases they were judged in: one as it is, several as one.
pub fn as_judged(found: &Found, contract: Option<&Path>, phases: &[Phase]) -> anyhow::Result<Outcome> {
    let gathered = gather(found, contract, phases)?;
    let whole = |gotten: &&Gotten| gotten.outcome.features.iter().any(|f| gotten.counts_for(&f.name));
    let mut counted: Vec<&Gotten> = gathered.runs.iter().filter(whole).collect();
    if counted.is_empty() {
        counted.extend(gathered.runs.last());
    }
    let mut outcomes: Vec<Outcome> = counted.iter().map(|gotten| gotten.rest()).collect();
    let mut outcome = match outcomes.len() {
        1 => outcomes.remove(0),
        _ => {
            let checks = || outcomes.iter().flat_map(|o| &o.features).flat_map(|f| &f.checks);
            let asked =
                |phase: &Phase| checks().any(|check| check.phase == *phase && check.verdict.is_some());
            let phases: Vec<Phase> = Phase::ALL.into_iter().filter(asked).collect();
            merged(&outcomes, &phases, &counted)?
        }
    };
    gathered.tell_asides(&mut outcome, |_| true);
    Ok(outcome)
}

fn read(piece: &Piece, contract: Option<&Path>, phases: &[Phase]) -> anyhow::Result<Gotten> {
    let (outcome, bytes) = match piece {
        Piece::Report(path) => report_and_bytes(path)?,
        Piece::Capture(path) => {
            let outcome = replay::judge(path, contract, phases)?;
            let bytes = json::to_json(&outcome);
            (outcome, bytes)
        }
    };
    let run = run_of(piece, &outcome, &bytes);
    let (files, folder) = (Files::new(), Folder::default());
    Ok(Gotten { piece: piece.clone(), run, outcome, files, folder, aside: Vec::new() })
}

fn merged(outcomes: &[Outcome], phases: &[Phase], from: &[&Gotten]) -> anyhow::Result<Outcome> {
    let name = |at: usize| from[at].piece.path().display();
    merge(outcomes, phases).map_err(|refusal| {
        let message = match refusal {
            NotOneEvidence::Nothing => format!("no evidence was given; {FORMS}"),
            NotOneEvidence::Overlap { first, second, from, to } => format!(
                "{} and {} overlap from {from} to {to}: what both saw would count twice; leave one out, or \
                 set the earlier one aside (`cutover set-aside`)",
                name(first),
                name(second),
            ),
        };
        WrongUse(message).into()
    })
}
