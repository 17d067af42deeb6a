//! Owns the end of a run: findings streamed to disk meanwhile, then every file, what is printed, and
//! the exit code. Must not change what was concluded.

use super::arguments::Format;
use super::console::Console;
use super::exit::Exit;
use super::folder::{PartFile, Place, ReportFolder};
use super::score;
use super::store::{self, Stored};
use crate::evidence::beside::Files;
use crate::evidence::chain::Kind;
use crate::model::drill::Drill;
use crate::model::{Finding, Outcome};
use crate::reference::Score;
use crate::report::drill as drilled;
use crate::report::{FindingsCsv, Layout, advice, findings, html, json, junit, signoff, summary, text};
use anyhow::Context;
use std::io;
use std::path::{Path, PathBuf};

/// The options by which `cutover watch` goes on as this run did: its contract, and where its evidence is kept.
pub fn again(outcome: &Outcome, contract: Option<&Path>, store: Option<&Path>) -> String {
    let word = |path: &Path| {
        let text = path.display().to_string();
        let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%".contains(c);
        if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
    };
    let mut options = match contract {
        Some(file) => format!(" --contract {}", word(file)),
        None => advice::again(outcome),
    };
    if let Some(store) = store {
        options.push_str(&format!(" --evidence {}", word(store)));
    }
    options
}

/// The report of a running run.
#[derive(Debug)]
pub struct RunReport {
    folder: ReportFolder,
    /// The evidence folder that it is chained in.
    store: Option<PathBuf>,
    findings: FindingsCsv<PartFile>,
    /// What is written already.
    files: Files,
    /// The contract file that the run was given.
    contract: Option<PathBuf>,
}

impl RunReport {
    /// Makes the folder and opens `findings.csv`; where that fails no work has been done yet.
    pub fn start(place: &Place, run: &str, contract: Option<&Path>) -> anyhow::Result<RunReport> {
        let store = place.store().map(Path::to_path_buf);
        store.as_deref().map_or(Ok(()), store::ready)?;
        let folder = ReportFolder::create(place, run)?;
        let findings = FindingsCsv::new(folder.stream(findings::FILE)?)
            .with_context(|| format!("could not write {}", folder.path().join(findings::FILE).display()))?;
        Ok(RunReport {
            folder,
            store,
            findings,
            files: Files::new(),
            contract: contract.map(Path::to_path_buf),
        })
    }

    /// Where the run's own files go, its capture among them.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn finding(&mut self, finding: &Finding) -> io::Result<()> {
        self.findings.write(finding)
    }

    /// Hands the findings so far to the system, so that a kill loses none of them.
    pub fn flush(&mut self) -> io::Result<()> {
        self.findings.flush()
    }

    /// Writes all files, prints the result, and gives the exit code of its verdict.
    pub fn finish(
        self,
        outcome: &Outcome,
        score: Option<&Score>,
        format: Format,
        console: &Console,
    ) -> anyhow::Result<Exit> {
        let json = json::to_json(outcome);
        let again = again(outcome, self.contract.as_deref(), self.store.as_deref());
        let folder = self.write(outcome, &json)?;
        let layout = Layout { width: console.columns(), colour: console.colour_out };
        let text = || {
            let score = score.map(|score| format!("\n{}", score::to_text(score))).unwrap_or_default();
            text::to_text(outcome, layout, &again) + &score
        };
        print(text, &with_score(&json, score), folder.path(), format, console)
            .context("could not print the result")?;
        Ok(Exit::of(outcome.verdict))
    }

    /// Writes all files, with the drill's own, and prints what the gate can see.
    pub fn finish_drill(
        mut self,
        outcome: &Outcome,
        drill: &Drill,
        format: Format,
        console: &Console,
    ) -> anyhow::Result<()> {
        let told = drilled::to_json(outcome, drill);
        self.files.insert(drilled::FILE.into(), self.folder.write(drilled::FILE, &told)?);
        let folder = self.write(outcome, &json::to_json(outcome))?;
        let layout = Layout { width: console.columns(), colour: console.colour_out };
        let text = || drilled::to_text(drill, layout);
        print(text, &told, folder.path(), format, console).context("could not print the result")
    }

    /// Writes all files and prints nothing but where they are.
    pub fn leave(self, outcome: &Outcome) -> anyhow::Result<PathBuf> {
        let folder = self.write(outcome, &json::to_json(outcome))?;
        Ok(folder.path().to_path_buf())
    }

    fn write(self, outcome: &Outcome, json: &[u8]) -> anyhow::Result<ReportFolder> {
        let RunReport { folder, store, findings, mut files, .. } = self;
        let file = || format!("could not write {}", folder.path().join(findings::FILE).display());
        files.insert(findings::FILE.into(), findings.finish().with_context(file)?.commit()?);
        for (name, to_bytes) in [
            (signoff::FILE, signoff::to_csv as fn(&Outcome) -> Vec<u8>),
            (summary::FILE, summary::to_markdown),
            (junit::FILE, junit::to_xml),
            (html::FILE, html::to_html),
        ] {
            files.insert(name.into(), folder.write(name, &to_bytes(outcome))?);
        }
        // Last, so that where it stands all of them stand.
        folder.write(json::FILE, json)?;
        if let Some(store) = store {
            let stored = Stored {
                kind: Kind::Run,
                path: &folder.path().join(json::FILE),
                bytes: json,
                contract_sha256: &outcome.contract_sha256,
                capture_sha256: &outcome.capture_sha256,
                files: &files,
            };
            store::append(&store, &stored)?;
        }
        Ok(folder)
    }
}

/// Text, then the folder as the last line; or the JSON alone, because its readers take nothing else.
fn print(
    text: impl Fn() -> String,
    json: &[u8],
    folder: &Path,
    format: Format,
    console: &Console,
) -> io::Result<()> {
    match format {
        Format::Text => console.result(format!("{}\n{}\n", text(), folder.display()).as_bytes()),
        Format::Json => {
            console.result(json)?;
            console.note(&folder.display().to_string());
            Ok(())
        }
    }
}

/// The report with the score as its last member.
fn with_score(json: &[u8], score: Option<&Score>) -> Vec<u8> {
    let mut out = json.trim_ascii_end().to_vec();
    if let (Some(score), Some(b'}')) = (score, out.last()) {
        out.pop();
        let space = out.trim_ascii_end().len();
        out.truncate(space);
        out.extend_from_slice(format!(",\"score\":{}}}", score::to_json(score)).as_bytes());
    }
    out.push(b'\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_finished_run_leaves_all_files() {
        let temp = tempfile::tempdir().unwrap();
        let mut report = RunReport::start(&Place::Under(temp.path().into()), "run", None).unwrap();
        report.finding(&sample::mismatch()).unwrap();
        report.flush().unwrap();
        let dir = report.path().to_path_buf();
        assert!(dir.join("findings.csv.part").exists() && !dir.join("findings.csv").exists());
        report.write(&sample::failing(), b"{}").unwrap();
        let mut names: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(
            names,
            ["findings.csv", "junit.xml", "report.html", "report.json", "signoff.csv", "summary.md"]
        );
    }
}
