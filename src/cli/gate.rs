//! Owns `cutover gate`: may this feature enter this phase's next step, by the evidence given? For CI:
//! seconds, no network, exit by verdict. Must not gather evidence of its own.

use super::arguments::{Format, duration, phase};
use super::beside::Hashed;
use super::console::{Console, variable};
use super::evidence::{self, Given, Piece};
use super::exit::{Exit, WrongUse};
use super::folder::write_whole;
use super::results;
use crate::checks::signed_off::CHECK;
use crate::evidence::sign::sign_off;
use crate::model::{Class, FeatureOutcome, Finding, Outcome, Phase, Severity, Span, Verdict};
use crate::report::{Layout, annotations, html, json, junit, signoff, summary, text};
use anyhow::Context;
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  cutover gate --feature positions --phase before-enabling reports/20251219T143000Z-ab12cd34
  cutover gate --feature positions --phase before-deleting --evidence evidence
  cutover gate --feature positions --phase after-enabling monday.jsonl.zst --github --junit gate.xml

A phase needs the phases before it. A check fails where it fails in any run, passes where it passes in
some and fails in none; sessions and values seen to change add up over runs.";

/// How often evidence that is still being gathered is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    evidence: Given,
    /// The feature that wants to pass
    #[arg(long, value_name = "NAME")]
    feature: String,
    /// before-enabling, after-enabling or before-deleting
    #[arg(long, value_name = "PHASE", value_parser = phase(), hide_possible_values = true)]
    phase: Phase,
    /// Judge captures by this contract instead of the recorded one
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// Look again for so long while the verdict is INCONCLUSIVE: evidence is still being gathered
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    wait: Option<Span>,
    /// Write the checks as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the result as Markdown
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Write the result as one page of HTML, charts and all
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the checks as the sign-off sheet, with who signed
    #[arg(long, value_name = "FILE")]
    signoff: Option<PathBuf>,
    /// Annotate the GitHub job, and add to its step summary
    #[arg(long)]
    github: bool,
    /// How the result is printed
    #[arg(long, value_name = "text|json", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    format: Format,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub evidence: Given,
    pub feature: String,
    pub phase: Phase,
    pub contract: Option<PathBuf>,
    pub wait: Option<Span>,
    pub junit: Option<PathBuf>,
    pub summary: Option<PathBuf>,
    pub html: Option<PathBuf>,
    pub signoff: Option<PathBuf>,
    pub github: bool,
    pub format: Format,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        Settings {
            evidence: self.evidence,
            feature: self.feature,
            phase: self.phase,
            contract: self.contract,
            wait: self.wait,
            junit: self.junit,
            summary: self.summary,
            html: self.html,
            signoff: self.signoff,
            github: self.github,
            format: self.format,
        }
    }
}

pub fn run(settings: Settings, console: &Console) -> anyhow::Result<Exit> {
    let outcome = patiently(&settings, console)?;
    for (file, to_bytes) in [
        (&settings.junit, junit::to_xml as fn(&Outcome) -> Vec<u8>),
        (&settings.summary, summary::to_markdown),
        (&settings.html, html::to_html),
        (&settings.signoff, signoff::to_csv),
    ] {
        if let Some(file) = file {
            write_whole(file, &to_bytes(&outcome))?;
        }
    }
    print(&settings, &outcome, console).context("could not print the result")?;
    Ok(Exit::of(outcome.verdict))
}

/// The verdict now; with `--wait`, the first one that more evidence cannot turn into a PASS, or the last.
fn patiently(settings: &Settings, console: &Console) -> anyhow::Result<Outcome> {
    let mut left = Duration::from_nanos(settings.wait.map_or(0, |wait| wait.0.max(0) as u64));
    let mut said = false;
    loop {
        let judged =
            judge(&settings.evidence, settings.contract.as_deref(), &settings.feature, settings.phase);
        let lacking = match &judged {
            Ok(outcome) => outcome.verdict == Verdict::Inconclusive,
            // What is still being written is not there, or not whole.
            Err(_) => true,
        };
        if !lacking || left.is_zero() {
            return judged;
        }
        if !said {
            console.note("the evidence does not suffice yet; looking again until it does");
            said = true;
        }
        let pause = LOOK_AGAIN.min(left);
        sleep(pause);
        left -= pause;
    }
}

/// What the evidence says of one feature up to a phase, signatures and all.
pub fn judge(given: &Given, contract: Option<&Path>, feature: &str, phase: Phase) -> anyhow::Result<Outcome> {
    let found = evidence::find(given)?;
    let mut gathered = evidence::gather(&found, contract, &needed(phase))?;
    let signatures = evidence::signatures(given)?;
    // Captures take long to hash: only where somebody signed what they prove.
    if phase == CHECK.phase && !signatures.is_empty() {
        gathered.look_beside(&mut Hashed::default())?;
    }
    let outcome = narrowed(gathered.outcome(feature)?, feature, &found.pieces)?;
    Ok(sign_off(outcome, feature, &gathered.evidence(feature), &signatures))
}

/// A phase needs the phases before it.
pub fn needed(phase: Phase) -> Vec<Phase> {
    Phase::ALL.into_iter().filter(|before| *before <= phase).collect()
}

/// The one feature alone, with what concerns it.
pub fn narrowed(outcome: Outcome, feature: &str, pieces: &[Piece]) -> anyhow::Result<Outcome> {
    let known: Vec<String> = outcome.features.iter().map(|f| f.name.to_string()).collect();
    let (features, others): (Vec<FeatureOutcome>, Vec<FeatureOutcome>) =
        outcome.features.into_iter().partition(|f| *f.name == *feature);
    let Some(verdict) = features.first().map(|f| f.verdict) else {
        let given = if pieces.len() == 1 { "the evidence" } else { "none of the evidence" };
        let message = match known.is_empty() {
            true => format!("{given} judges no feature at all"),
            false => format!("{given} says nothing of a feature `{feature}`; it judges {}", known.join(", ")),
        };
        return Err(WrongUse(message).into());
    };
    let concerns = |of: Option<&str>| of.is_none_or(|name| name == feature);
    let findings: Vec<(Class, u64)> = outcome
        .findings
        .iter()
        .map(|(class, count)| {
            let of = |f: &FeatureOutcome| {
                f.measures.findings.iter().find(|(c, _)| c == class).map_or(0, |(_, n)| *n)
            };
            (*class, count.saturating_sub(others.iter().map(of).sum()))
        })
        .collect();
    let all_sampled = outcome.samples.len() as u64 == outcome.findings.iter().map(|(_, n)| n).sum::<u64>();
    let samples: Vec<Finding> =
        outcome.samples.into_iter().filter(|s| concerns(s.feature.as_deref())).collect();
    // Exact where all findings are at hand; else by what their classes are at most.
    let with = |severity: Severity| match all_sampled {
        true => samples.iter().filter(|s| s.severity == severity).count() as u64,
        false => findings.iter().filter(|(class, _)| class.severity() == severity).map(|(_, n)| n).sum(),
    };
    Ok(Outcome {
        verdict,
        features,
        findings_fail: with(Severity::Fail),
        findings_warn: with(Severity::Warn),
        findings_info: with(Severity::Info),
        findings,
        samples,
        episodes: outcome.episodes.into_iter().filter(|e| concerns(e.feature.as_deref())).collect(),
        waivers: outcome
            .waivers
            .into_iter()
            .filter(|w| w.feature.is_empty() || w.feature == feature)
            .collect(),
        ..outcome
    })
}

fn print(settings: &Settings, outcome: &Outcome, console: &Console) -> anyhow::Result<()> {
    match settings.format {
        Format::Json => console.result(&json::to_json(outcome))?,
        Format::Text => {
            let again = results::again(outcome, settings.contract.as_deref(), None);
            let layout = Layout { width: console.columns(), colour: console.colour_out };
            let state = if outcome.verdict == Verdict::Pass { "open" } else { "closed" };
            let page = text::to_text(outcome, layout, &again);
            let gate = format!("gate {} {}: {state}", settings.feature, settings.phase.name());
            console.result(format!("{page}{gate}\n").as_bytes())?;
        }
    }
    if settings.github {
        let lines = annotations::to_annotations(outcome);
        match settings.format {
            // GitHub reads both streams; JSON stays alone on its own.
            Format::Json => lines.lines().for_each(|line| console.note(line)),
            Format::Text => console.result(lines.as_bytes())?,
        }
        if let Some(file) = variable("GITHUB_STEP_SUMMARY").filter(|file| !file.is_empty()) {
            append(Path::new(&file), &summary::to_markdown(outcome))?;
        }
    }
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "a summary that other steps write to as well")]
fn append(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let open = std::fs::OpenOptions::new().create(true).append(true).open(file);
    open.and_then(|mut file| file.write_all(bytes))
        .with_context(|| format!("could not write {}", file.display()))
}
