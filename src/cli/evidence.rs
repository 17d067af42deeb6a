//! Owns how a person points at evidence: report folders, reports and captures, read into outcomes.
//! Must not judge what they hold together.

use super::captures::Hashed;
use super::exit::WrongUse;
use super::{replay, store};
use crate::evidence::beside::Beside;
use crate::evidence::sign::{GivenRun, NotASignature, Run, Signature, sha256};
use crate::evidence::{NotOneEvidence, merge};
use crate::model::{Outcome, Phase, Verdict};
use crate::report::json;
use anyhow::Context;
use clap::Args;
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

/// What was given, in order: stored runs as they were stored, those of other folders by name.
pub fn find(given: &Given) -> anyhow::Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    if let Some(store) = &given.store {
        pieces.extend(store::reports(store)?.into_iter().map(Piece::Report));
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
    Ok(pieces)
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

/// All runs as one outcome, and each as it can be signed.
#[derive(Debug)]
pub struct Gathered {
    pub outcome: Outcome,
    runs: Vec<Gotten>,
}

/// One run as it was read.
#[derive(Debug)]
struct Gotten {
    run: Run,
    outcome: Outcome,
    /// What stands of its captures; nothing is known before `look_beside`.
    beside: Beside,
}

impl Gathered {
    /// The runs, with whether they fail a check of the feature.
    pub fn runs(&self, feature: &str) -> Vec<GivenRun> {
        let failed = |outcome: &Outcome| {
            outcome.features.iter().any(|f| *f.name == *feature && f.verdict == Verdict::Fail)
        };
        let given = |gotten: &Gotten| GivenRun {
            run: gotten.run.clone(),
            failed: failed(&gotten.outcome),
            beside: gotten.beside.clone(),
        };
        self.runs.iter().map(given).collect()
    }

    /// Hashes the captures that stand beside the reports again, as long as that takes.
    pub fn look_beside(&mut self, pieces: &[Piece], hashed: &mut Hashed) -> anyhow::Result<()> {
        let given = |(piece, gotten): (&Piece, &Gotten)| match piece {
            Piece::Capture(_) => gotten.outcome.capture_sha256.clone(),
            Piece::Report(_) => Vec::new(),
        };
        let elsewhere: Vec<String> = pieces.iter().zip(&self.runs).flat_map(given).collect();
        for (piece, gotten) in pieces.iter().zip(&mut self.runs) {
            let Piece::Report(path) = piece else { continue };
            let signed = &gotten.outcome.capture_sha256;
            gotten.beside = match path.ends_with(json::FILE) {
                true => hashed.beside(&folder_of(path), signed, &elsewhere)?,
                // In a folder of many reports it cannot be told whose a capture is.
                false => Beside { absent: signed.clone(), ..Beside::default() },
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
    }
}

/// Reads each piece and counts all as one, judged in these phases.
pub fn gather(pieces: &[Piece], contract: Option<&Path>, phases: &[Phase]) -> anyhow::Result<Gathered> {
    let runs = read(pieces, contract, phases)?;
    let outcomes: Vec<Outcome> = runs.iter().map(|(_, outcome)| outcome.clone()).collect();
    let outcome = merge(&outcomes, phases).map_err(|refusal| refused(&refusal, pieces))?;
    let gotten = |(run, outcome)| Gotten { run, outcome, beside: Beside::default() };
    Ok(Gathered { outcome, runs: runs.into_iter().map(gotten).collect() })
}

/// What the pieces say, in the phases they were judged in: one as it is, several as one.
pub fn as_judged(pieces: &[Piece], contract: Option<&Path>, phases: &[Phase]) -> anyhow::Result<Outcome> {
    let mut outcomes: Vec<Outcome> = read(pieces, contract, phases)?.into_iter().map(|(_, o)| o).collect();
    if outcomes.len() == 1 {
        return Ok(outcomes.remove(0));
    }
    let checks = || outcomes.iter().flat_map(|o| &o.features).flat_map(|f| &f.checks);
    let asked = |phase: &Phase| checks().any(|check| check.phase == *phase && check.verdict.is_some());
    let phases: Vec<Phase> = Phase::ALL.into_iter().filter(asked).collect();
    merge(&outcomes, &phases).map_err(|refusal| refused(&refusal, pieces))
}

/// Each piece by itself; captures are judged, in these phases.
fn read(pieces: &[Piece], contract: Option<&Path>, phases: &[Phase]) -> anyhow::Result<Vec<(Run, Outcome)>> {
    let one = |piece: &Piece| {
        let (outcome, bytes) = match piece {
            Piece::Report(path) => report_and_bytes(path)?,
            Piece::Capture(path) => {
                let outcome = replay::judge(path, contract, phases)?;
                let bytes = json::to_json(&outcome);
                (outcome, bytes)
            }
        };
        Ok((run_of(piece, &outcome, &bytes), outcome))
    };
    pieces.iter().map(one).collect()
}

fn refused(refusal: &NotOneEvidence, pieces: &[Piece]) -> anyhow::Error {
    let message = match refusal {
        NotOneEvidence::Nothing => format!("no evidence was given; {FORMS}"),
        NotOneEvidence::Overlap { first, second, from, to } => format!(
            "{} and {} overlap from {from} to {to}: what both saw would count twice; leave one out",
            pieces[*first].path().display(),
            pieces[*second].path().display(),
        ),
    };
    WrongUse(message).into()
}
