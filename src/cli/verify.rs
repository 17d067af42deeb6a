//! Owns `cutover verify`: of each signature beside the evidence, whether it holds or what changed.
//! Must not sign.

use super::arguments::Format;
use super::console::Console;
use super::evidence::{self, Gathered};
use super::exit::Exit;
use super::gate;
use crate::checks::signed_off::Standing;
use crate::evidence::sign::{NotASignature, Signature};
use crate::model::{Phase, Verdict};
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  cutover verify reports
  cutover verify reports --format json

Exit 0 where all signatures hold, 1 where one does not, 3 where one covers less than is given, or there is none.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Report folders, a folder of them, report.json files, captures
    #[arg(value_name = "EVIDENCE", required = true)]
    evidence: Vec<PathBuf>,
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
    pub evidence: Vec<PathBuf>,
    pub contract: Option<PathBuf>,
    pub format: Format,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        Settings { evidence: self.evidence, contract: self.contract, format: self.format }
    }
}

/// One signature and what became of it.
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
    let pieces = evidence::find(&settings.evidence)?;
    let mut lines = Vec::new();
    let mut verdicts = Vec::new();
    for (file, read) in evidence::signatures(&settings.evidence)? {
        // A capture is judged in the phases it was signed for; reports say what they say.
        let phase = read.as_ref().ok().and_then(|signature| Phase::parse(&signature.statement.phase));
        let phases = gate::needed(phase.unwrap_or(Phase::BeforeDeleting));
        let gathered = evidence::gather(&pieces, settings.contract.as_deref(), &phases)?;
        let (verdict, line) = line(file, read, &gathered);
        verdicts.push(verdict);
        lines.push(line);
    }
    let page = match settings.format {
        Format::Json => serde_json::to_string_pretty(&lines).context("could not print the result")? + "\n",
        Format::Text if lines.is_empty() => "no signatures beside the evidence\n".into(),
        Format::Text => lines.iter().map(Line::text).collect(),
    };
    console.result(page.as_bytes()).context("could not print the result")?;
    Ok(Exit::of(Verdict::of(verdicts)))
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
            name => format!(" {name}, {} {}, {}", self.feature, self.phase, self.signed_at),
        };
        let word = if self.verdict == Verdict::Pass.name() { "valid" } else { "not valid" };
        let note = if self.note.is_empty() { String::new() } else { format!(": {}", self.note) };
        format!("{}:{who}: {word}{note}\n", self.file)
    }
}
