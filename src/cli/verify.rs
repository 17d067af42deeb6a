//! Owns `cutover verify`: of each signature beside the evidence, whether it holds or what changed.
//! Must not sign.

use super::arguments::Format;
use super::console::Console;
use super::evidence::{self, Gathered, Given};
use super::exit::Exit;
use super::gate;
use super::standing;
use super::store::{self, NotWhole};
use crate::checks::signed_off::Standing;
use crate::evidence::chain;
use crate::evidence::sign::{NotASignature, Signature};
use crate::model::{Phase, Verdict};
use anyhow::Context;
use clap::Args;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  cutover verify reports
  cutover verify --evidence evidence --format json

Exit 0 where all signatures (and the chain of --evidence) hold, 1 where one does not, 3 where one covers less than is given, or there is none.";

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

/// One signature and what became of it, or the chain of a folder.
#[derive(serde::Serialize)]
struct Line {
    file: String,
    feature: String,
    phase: String,
    reviewer: String,
    signed_at: String,
    verdict: &'static str,
    note: String,
}

pub fn run(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let mut lines = Vec::new();
    let mut chain = Verdict::Pass;
    if let Some(folder) = &settings.evidence.store {
        let line = chain_line(folder)?;
        chain = line.0;
        lines.push(line.1);
    }
    let mut verdicts = Vec::new();
    if chain == Verdict::Pass && !standing::nothing_yet(&settings.evidence)? {
        of_signatures(settings, &mut verdicts, &mut lines)?;
    }
    let page = match settings.format {
        Format::Json => serde_json::to_string_pretty(&lines).context("could not print the result")? + "\n",
        Format::Text => {
            let none = if verdicts.is_empty() && chain == Verdict::Pass { NO_SIGNATURES } else { "" };
            lines.iter().map(Line::text).collect::<String>() + none
        }
    };
    console.result(page.as_bytes()).context("could not print the result")?;
    Ok(Exit::of(chain.max(Verdict::of(verdicts))))
}

/// Whether a folder's chain holds; its last digest is what has to be kept elsewhere.
fn chain_line(folder: &Path) -> anyhow::Result<(Verdict, Line)> {
    let (verdict, note) = match store::read(folder) {
        Ok(Some(whole)) => {
            (Verdict::Pass, format!("{} lines, the last is {}", whole.links.len(), whole.head))
        }
        Ok(None) => (Verdict::Inconclusive, format!("there is no folder {}", folder.display())),
        Err(error) if error.is::<NotWhole>() => (Verdict::Fail, error.to_string()),
        Err(error) => return Err(error),
    };
    let file = chain::FILE.to_string();
    let [feature, phase, reviewer, signed_at] = Default::default();
    Ok((verdict, Line { file, feature, phase, reviewer, signed_at, verdict: verdict.name(), note }))
}

fn of_signatures(
    settings: &Settings,
    verdicts: &mut Vec<Verdict>,
    lines: &mut Vec<Line>,
) -> anyhow::Result<()> {
    let pieces = evidence::find(&settings.evidence)?;
    for (file, read) in evidence::signatures(&settings.evidence)? {
        // A capture is judged in the phases it was signed for; reports say what they say.
        let phase = read.as_ref().ok().and_then(|signature| Phase::parse(&signature.statement.phase));
        let phases = gate::needed(phase.unwrap_or(Phase::BeforeDeleting));
        let gathered = evidence::gather(&pieces, settings.contract.as_deref(), &phases)?;
        let (verdict, line) = line(file, read, &gathered);
        verdicts.push(verdict);
        lines.push(line);
    }
    Ok(())
}

fn line(file: String, read: Result<Signature, NotASignature>, gathered: &Gathered) -> (Verdict, Line) {
    let (said, standing) = match read {
        Ok(signature) => {
            let runs = gathered.runs(&signature.statement.feature);
            let standing = signature.standing(&runs, &gathered.outcome.reviewers);
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
