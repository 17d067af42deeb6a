//! Owns `cutover verify`: of the chain, of each file beside a report and of each signature, whether it holds
//! or what changed.
//! Must not sign.

use super::arguments::Format;
use super::beside::Hashed;
use super::console::Console;
use super::evidence::{self, Gathered, Given, Piece, SignatureFile};
use super::exit::Exit;
use super::gate;
use super::standing;
use super::store::{self, NotWhole};
use crate::checks::signed_off::Standing;
use crate::evidence::beside::{Beside, Files, Known};
use crate::evidence::chain;
use crate::evidence::sign::{NotASignature, Signature};
use crate::model::{Phase, Verdict};
use crate::report::json;
use anyhow::Context;
use clap::Args;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  cutover verify reports
  cutover verify --evidence evidence --format json

Captures beside their reports are hashed again, and so is what else a run wrote there, by the digests that
the chain or a signature has of it. What is not there is told, and is no failure.

Exit 0 where all signatures (and the chain of --evidence) hold, 1 where one does not or a file was changed,
3 where a signature covers less than is given, or there is none.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    evidence: Given,
    /// Judge captures by this contract instead of the recorded one
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// How the result is printed
    #[arg(long, value_name = "text|json", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    format: Format,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub evidence: Given,
    pub contract: Option<PathBuf>,
    pub format: Format,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        Settings { evidence: self.evidence, contract: self.contract, format: self.format }
    }
}

const NO_SIGNATURES: &str = "no signatures beside the evidence\n";

/// One signature and what became of it, the chain of a folder, or a file that was changed.
#[derive(Default, serde::Serialize)]
struct Line {
    file: String,
    feature: String,
    phase: String,
    reviewer: String,
    signed_at: String,
    verdict: &'static str,
    note: String,
}

/// Lines in the order they are printed, each with what it says of the whole.
type Lines = Vec<(Verdict, Line)>;

pub fn run(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let mut hashed = Hashed::default();
    let mut lines = match &settings.evidence.store {
        Some(folder) => of_chain(folder, &mut hashed)?,
        None => Lines::new(),
    };
    let mut signatures = Lines::new();
    let stands = lines.first().is_none_or(|(chain, _)| *chain == Verdict::Pass);
    if stands && !standing::nothing_yet(&settings.evidence)? {
        let files = evidence::signatures(&settings.evidence)?;
        let (unread, of_reports) = of_reports(settings, &files, &mut hashed)?;
        lines.extend(of_reports);
        // What cannot be read has no digests to hold a signature against.
        if !unread {
            signatures = of_signatures(settings, files, &mut hashed)?;
        }
    }
    let none = signatures.is_empty();
    lines.append(&mut signatures);
    let worst = lines.iter().map(|(verdict, _)| *verdict).max().unwrap_or(Verdict::Inconclusive);
    let whole = if none { worst.max(Verdict::Inconclusive) } else { worst };
    let told: Vec<&Line> = lines.iter().map(|(_, line)| line).collect();
    let page = match settings.format {
        Format::Json => serde_json::to_string_pretty(&told).context("could not print the result")? + "\n",
        Format::Text => {
            let none = if none && worst != Verdict::Fail && stands { NO_SIGNATURES } else { "" };
            told.into_iter().map(Line::text).collect::<String>() + none
        }
    };
    console.result(page.as_bytes()).context("could not print the result")?;
    Ok(Exit::of(whole))
}

/// Whether a folder's chain holds, and the files beside its reports that do not; the chain's last digest is what has
/// to be kept elsewhere.
fn of_chain(folder: &Path, hashed: &mut Hashed) -> anyhow::Result<Lines> {
    let chain = |verdict, note| (verdict, Line::of(chain::FILE, verdict, note));
    let whole = match store::read(folder) {
        Ok(Some(whole)) => whole,
        Ok(None) => {
            let note = format!("there is no folder {}", folder.display());
            return Ok(vec![chain(Verdict::Inconclusive, note)]);
        }
        Err(error) if error.is::<NotWhole>() => return Ok(vec![chain(Verdict::Fail, error.to_string())]),
        Err(error) => return Err(error),
    };
    let (mut absent, mut changed) = (Vec::new(), Lines::new());
    for link in &whole.links {
        let known = Known::of(&link.capture_sha256, &link.files);
        if !known.is_empty() {
            let run = evidence::folder_of(&folder.join(&link.file));
            let beside = hashed.folder(&run, known, &[])?.beside(&Files::new());
            changed.extend(of_files(&beside));
            absent.extend(beside.absent);
        }
    }
    let note = format!("{} lines, the last is {}{}", whole.links.len(), whole.head, unchecked(&absent));
    Ok(std::iter::once(chain(Verdict::Pass, note)).chain(changed).collect())
}

/// How much of all runs is not there; each signature tells which.
fn unchecked(absent: &[Known]) -> String {
    let captures = absent.iter().filter(|known| known.name.is_none()).count();
    let counted = [("capture", captures), ("other file", absent.len() - captures)];
    let words: Vec<String> = counted
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }))
        .collect();
    match absent.len() {
        0 => String::new(),
        1 => format!("; {} is not there to be checked", words.join("")),
        _ => format!("; {} are not there to be checked", words.join(" and ")),
    }
}

fn of_files(beside: &Beside) -> impl Iterator<Item = (Verdict, Line)> {
    let of = |file: &str, why| (Verdict::Fail, Line::of(file, Verdict::Fail, why));
    beside.changed.iter().map(move |changed| of(&changed.file, changed.why()))
}

/// Of reports that stand in no chain: whether one cannot be read any more, and captures that were changed.
fn of_reports(
    settings: &Settings,
    files: &[SignatureFile],
    hashed: &mut Hashed,
) -> anyhow::Result<(bool, Lines)> {
    let (mut unread, mut lines) = (false, Lines::new());
    for piece in evidence::find(&Given { store: None, ..settings.evidence.clone() })?.pieces {
        let Piece::Report(path) = &piece else { continue };
        match evidence::read_report(path) {
            Ok(outcome) if path.ends_with(json::FILE) => {
                let folder = evidence::folder_of(path);
                let known = Known::of(&outcome.capture_sha256, &Files::new());
                lines.extend(of_files(&hashed.folder(&folder, known, &[])?.beside(&Files::new())));
            }
            Ok(_) => {}
            Err(error) => {
                let Some(why) = evidence::changed_since(&piece, files)? else { return Err(error) };
                unread = true;
                lines.push((
                    Verdict::Fail,
                    Line::of(&path.display().to_string(), Verdict::Fail, format!("{why}; {error:#}")),
                ));
            }
        }
    }
    Ok((unread, lines))
}

fn of_signatures(
    settings: &Settings,
    files: Vec<SignatureFile>,
    hashed: &mut Hashed,
) -> anyhow::Result<Lines> {
    let found = evidence::find(&settings.evidence)?;
    let mut lines = Lines::new();
    for (file, read) in files {
        // A capture is judged in the phases it was signed for; reports say what they say.
        let phase = read.as_ref().ok().and_then(|signature| Phase::parse(&signature.statement.phase));
        let phases = gate::needed(phase.unwrap_or(Phase::BeforeDeleting));
        let mut gathered = evidence::gather(&found, settings.contract.as_deref(), &phases)?;
        gathered.look_beside(hashed)?;
        lines.push(line(file, read, &gathered));
    }
    Ok(lines)
}

fn line(file: String, read: Result<Signature, NotASignature>, gathered: &Gathered) -> (Verdict, Line) {
    let (said, standing) = match read {
        Ok(signature) => {
            let given = gathered.evidence(&signature.statement.feature);
            let standing = signature.standing(&given, &gathered.reviewers());
            (Some(signature.statement), standing)
        }
        Err(why) => (None, Standing::Broken(why.to_string())),
    };
    let (verdict, note) = match standing {
        Standing::Valid(remark) => (Verdict::Pass, remark),
        Standing::Lacking(what) => (Verdict::Inconclusive, what),
        Standing::Broken(why) => (Verdict::Fail, why),
    };
    let [feature, phase, reviewer, signed_at] =
        said.map_or_else(Default::default, |s| [s.feature, s.phase, s.reviewer, s.signed_at]);
    (verdict, Line { file, feature, phase, reviewer, signed_at, verdict: verdict.name(), note })
}

impl Line {
    /// Of a file that is no signature.
    fn of(file: &str, verdict: Verdict, note: String) -> Line {
        Line { file: file.into(), verdict: verdict.name(), note, ..Line::default() }
    }

    fn text(&self) -> String {
        let who = match self.reviewer.as_str() {
            "" => String::new(),
            name => format!(": {name}, {} {}, {}", self.feature, self.phase, self.signed_at),
        };
        let word = if self.verdict == Verdict::Pass.name() { "valid" } else { "not valid" };
        let note = if self.note.is_empty() { String::new() } else { format!(": {}", self.note) };
        format!("{}{who}: {word}{note}\n", self.file)
    }
}
