//! Owns how a person points at evidence: report folders, reports and captures, read into outcomes.
//! Must not judge what they hold together.

use super::exit::WrongUse;
use super::replay;
use crate::evidence::{NotOneEvidence, merge};
use crate::model::{Outcome, Phase};
use crate::report::json;
use anyhow::Context;
use std::path::{Path, PathBuf};

/// How evidence may be given, for messages.
const FORMS: &str = "give report folders, a folder of them, report.json files or captures";

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

/// What the paths stand for, in the order given; those of a folder by name.
pub fn find(paths: &[PathBuf]) -> anyhow::Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    for path in paths {
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

#[allow(clippy::disallowed_methods, reason = "the one place where reports are read back")]
pub fn read_report(path: &Path) -> anyhow::Result<Outcome> {
    let could_not = || format!("could not read {}", path.display());
    let text = std::fs::read(path).with_context(could_not)?;
    json::from_json(&text).with_context(could_not)
}

/// Reads each piece and counts all as one, judged in these phases.
pub fn gather(pieces: &[Piece], contract: Option<&Path>, phases: &[Phase]) -> anyhow::Result<Outcome> {
    let outcomes = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Report(path) => read_report(path),
            Piece::Capture(path) => replay::judge(path, contract, phases),
        })
        .collect::<anyhow::Result<Vec<Outcome>>>()?;
    merge(&outcomes, phases).map_err(|refusal| match refusal {
        NotOneEvidence::Nothing => WrongUse(format!("no evidence was given; {FORMS}")).into(),
        NotOneEvidence::Overlap { first, second, from, to } => WrongUse(format!(
            "{} and {} overlap from {from} to {to}: what both saw would count twice; leave one out",
            pieces[first].path().display(),
            pieces[second].path().display(),
        ))
        .into(),
    })
}
