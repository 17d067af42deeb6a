//! Owns where each feature stands on its way: what its flag says, which phases its evidence has passed, what
//! is lacking, and what to do next. Must not change anything.

use super::beside::Hashed;
use super::console::variable;
use super::evidence::{self, Given};
use super::exit::WrongUse;
use super::flag_file::FlagFile;
use super::judging::load_contract;
use super::store;
use crate::checks::plan::{Assumed, plan};
use crate::env_file::{self, State};
use crate::evidence::sign::sign_off;
use crate::model::outcome::{CheckResult, FeatureOutcome, Outcome};
use crate::model::{Phase, Span, Verdict};
use std::path::{Path, PathBuf};

/// A feature, its flag and its phases.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    pub feature: String,
    pub flag: String,
    /// `None`: nothing gives the flag a value.
    pub state: Option<State>,
    /// In order.
    pub phases: Vec<PhaseStanding>,
    /// Runs that count no more, in words: when, by whom and why.
    pub set_aside: Vec<String>,
    /// Who has to sign, as the evidence's contract names them.
    reviewers: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PhaseStanding {
    pub phase: Phase,
    pub verdict: Verdict,
    /// Checks that do not pass, each with what was seen.
    pub lacking: Vec<Lacking>,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Lacking {
    pub check: &'static str,
    pub verdict: &'static str,
    pub why: String,
}

/// Where features stand, by what is given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    pub given: Given,
    pub contract: Option<PathBuf>,
    /// Without one, the environment tells.
    pub env_file: Option<PathBuf>,
}

impl Standing {
    pub fn is_on(&self) -> bool {
        self.state == Some(State::On)
    }

    pub fn verdict(&self, phase: Phase) -> Verdict {
        self.phases.iter().find(|p| p.phase == phase).map_or(Verdict::Inconclusive, |p| p.verdict)
    }

    /// Its flag is true, and what has to be seen since is not yet seen, or is wrong.
    pub fn is_being_enabled(&self) -> bool {
        // What is neither true nor false may be true to its reader.
        matches!(self.state, Some(State::On | State::Unclear))
            && self.verdict(Phase::AfterEnabling) != Verdict::Pass
    }
}

/// All features of the evidence, and of the contract where one is given or there is no evidence.
pub fn of(sources: &Sources) -> anyhow::Result<Vec<Standing>> {
    let file = sources.env_file.as_deref().map(FlagFile::read).transpose()?;
    let state = |flag: &str| match (&file, flag) {
        (_, "") => None,
        (Some(file), flag) => file.state(flag),
        (None, flag) => variable(flag).map(|value| env_file::state(&value)),
    };
    let nothing = nothing_yet(&sources.given)?;
    let mut all = if nothing { Vec::new() } else { judged(sources)? };
    if sources.contract.is_some() || nothing {
        let contract = load_contract(sources.contract.as_deref(), false)?;
        for feature in &contract.features {
            if all.iter().all(|known| *known.feature != *feature.name) {
                all.push(unseen(&feature.name, &feature.flag, &contract.reviewers));
            }
        }
    }
    for standing in &mut all {
        standing.state = state(&standing.flag);
    }
    Ok(all)
}

/// Nothing is given, or a folder in which no run is stored yet.
pub fn nothing_yet(given: &Given) -> anyhow::Result<bool> {
    let Some(folder) = &given.store else { return Ok(given.is_empty()) };
    let has_run = store::read(folder)?.is_some_and(|whole| whole.has_run());
    Ok(!has_run && given.evidence.is_empty())
}

/// Everything given, in all phases, with its signatures; each feature by the runs that count for it.
fn judged(sources: &Sources) -> anyhow::Result<Vec<Standing>> {
    let found = evidence::find(&sources.given)?;
    let mut gathered = evidence::gather(&found, sources.contract.as_deref(), &Phase::ALL)?;
    let files = evidence::signatures(&sources.given)?;
    if !files.is_empty() {
        gathered.look_beside(&mut Hashed::default())?;
    }
    let mut all = Vec::new();
    for (name, flag) in gathered.features() {
        let evidence = gathered.evidence(&name);
        let standing = match gathered.has_run_of(&name) {
            true => {
                let outcome = sign_off(gathered.outcome(&name)?, &name, &evidence, &files);
                let feature = outcome.features.iter().find(|f| *f.name == *name);
                of_feature((&outcome, feature.expect("a run judges it")))
            }
            false => unseen(&name, &flag, &gathered.reviewers()),
        };
        let set_aside = evidence.set_aside.iter().map(|aside| aside.words(&name)).collect();
        all.push(Standing { set_aside, ..standing });
    }
    Ok(all)
}

fn of_feature((outcome, feature): (&Outcome, &FeatureOutcome)) -> Standing {
    let phase = |phase: Phase| {
        let checks = || feature.checks.iter().filter(|check| check.phase == phase);
        let verdict = Verdict::of(checks().filter_map(|check| check.verdict));
        PhaseStanding { phase, verdict, lacking: checks().filter_map(lacking).collect() }
    };
    Standing {
        feature: feature.name.to_string(),
        flag: feature.flag.clone(),
        state: None,
        phases: Phase::ALL.map(phase).to_vec(),
        set_aside: Vec::new(),
        reviewers: outcome.reviewers.clone(),
    }
}

fn lacking(check: &CheckResult) -> Option<Lacking> {
    let verdict = check.verdict.filter(|verdict| *verdict != Verdict::Pass)?;
    let parts = [check.observed.as_str(), &check.note];
    let why = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    Some(Lacking { check: check.check, verdict: verdict.name(), why })
}

fn unseen(feature: &str, flag: &str, reviewers: &[String]) -> Standing {
    let phase = |phase| {
        let why = "no evidence was given".into();
        let nothing = Lacking { check: "all", verdict: Verdict::Inconclusive.name(), why };
        PhaseStanding { phase, verdict: Verdict::Inconclusive, lacking: vec![nothing] }
    };
    Standing {
        feature: feature.into(),
        flag: flag.into(),
        state: None,
        phases: Phase::ALL.map(phase).to_vec(),
        set_aside: Vec::new(),
        reviewers: reviewers.to_vec(),
    }
}

/// The feature by its name; an unknown one is wrong use.
pub fn find<'s>(all: &'s [Standing], feature: &str) -> anyhow::Result<&'s Standing> {
    all.iter().find(|standing| standing.feature == feature).ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|standing| standing.feature.as_str()).collect();
        WrongUse(format!(
            "the evidence says nothing of a feature `{feature}`; it judges {}",
            known.join(", ")
        ))
        .into()
    })
}

/// A feature other than this one whose flag is true and whose after-enabling is not done: one at a time.
pub fn under_way<'s>(all: &'s [Standing], but: &str) -> Option<&'s Standing> {
    all.iter().find(|other| other.feature != but && other.is_being_enabled())
}

/// What brings a feature one step on: a command line, or why there is none.
pub fn next(all: &[Standing], standing: &Standing, sources: &Sources) -> anyhow::Result<String> {
    let verdict = |phase| standing.verdict(phase);
    let steps = Steps { standing, sources };
    Ok(match standing.is_on() {
        _ if standing.flag.is_empty() => "none: the contract gives it no flag".into(),
        // What fails stays in the evidence: nothing that follows opens a gate.
        false if standing.phases.iter().any(|phase| phase.verdict == Verdict::Fail) => steps.anew(),
        false => match verdict(Phase::BeforeEnabling) {
            Verdict::Pass => match under_way(all, &standing.feature) {
                Some(other) => {
                    format!("none yet: {} is in its after-enabling phase; one at a time", other.feature)
                }
                None => steps.flag_command("enable", &sources.given.words()),
            },
            _ => steps.watch(Phase::BeforeEnabling)?,
        },
        true if verdict(Phase::BeforeEnabling) != Verdict::Pass
            || verdict(Phase::AfterEnabling) == Verdict::Fail =>
        {
            steps.rollback()
        }
        true if verdict(Phase::AfterEnabling) != Verdict::Pass => steps.watch(Phase::AfterEnabling)?,
        true => match verdict(Phase::BeforeDeleting) {
            Verdict::Pass => "none: the evidence allows to delete its REST timer".into(),
            Verdict::Fail => steps.anew(),
            Verdict::Inconclusive => match steps.only_signatures() {
                true => steps.sign(),
                false => steps.watch(Phase::BeforeDeleting)?,
            },
        },
    })
}

struct Steps<'s> {
    standing: &'s Standing,
    sources: &'s Sources,
}

impl Steps<'_> {
    fn phase(&self, phase: Phase) -> &[Lacking] {
        self.standing.phases.iter().find(|p| p.phase == phase).map_or(&[], |p| &p.lacking)
    }

    fn only_signatures(&self) -> bool {
        let lacking = self.phase(Phase::BeforeDeleting);
        !lacking.is_empty()
            && lacking.iter().all(|l| l.check == "signed-off")
            && !self.standing.reviewers.is_empty()
    }

    fn contract_words(&self) -> Vec<String> {
        match &self.sources.contract {
            Some(path) => vec!["--contract".into(), path.display().to_string()],
            // Without evidence all is told of the built-in contract, which is every command's own.
            None if self.sources.given.is_empty() => vec![],
            None => vec!["--contract".into(), "cutover.toml".into()],
        }
    }

    fn env_file(&self) -> String {
        self.sources.env_file.as_deref().unwrap_or(Path::new(".env")).display().to_string()
    }

    fn flag_command(&self, command: &str, more: &[String]) -> String {
        let words = [command, &self.standing.feature, "--env-file", &self.env_file()].map(str::to_string);
        line(words.into_iter().chain(more.iter().cloned()))
    }

    fn rollback(&self) -> String {
        self.flag_command("rollback", &self.contract_words())
    }

    fn sign(&self) -> String {
        let phase = Phase::BeforeDeleting.name();
        let words = [
            "sign",
            "--feature",
            &self.standing.feature,
            "--phase",
            phase,
            "--as",
            "NAME",
            "--key",
            "NAME.key",
        ];
        line(words.map(str::to_string).into_iter().chain(self.sources.given.words()))
    }

    /// Where the evidence fails.
    fn anew(&self) -> String {
        let Some(store) = &self.sources.given.store else {
            return "none by this evidence: after the repair, watch anew and give the new runs alone".into();
        };
        let words = ["set-aside", &self.standing.feature, "--evidence", &store.display().to_string()];
        let who = ["--by", "NAME", "--reason", "WHY"];
        format!("after the repair: {}", line(words.into_iter().chain(who).map(str::to_string)))
    }

    /// Watching adds to the evidence.
    fn watch(&self, phase: Phase) -> anyhow::Result<String> {
        let mut words: Vec<String> = vec!["watch".into()];
        words.extend(self.contract_words());
        words.extend(["--feature", &self.standing.feature, "--phase", phase.name()].map(str::to_string));
        words.extend(["--for".into(), self.time_needed(phase)?.to_string()]);
        let lacks = |check: &str| self.phase(phase).iter().any(|l| l.check == check || l.check == "all");
        if phase == Phase::AfterEnabling {
            for (check, more) in [
                ("websocket-only", ["--tap", "ADDRESS=URL"].as_slice()),
                ("resources-flat", &["--process", "NAME", "--baseline", "RUN"]),
                ("logs-clean", &["--log", "NAME=PATH"]),
            ] {
                words.extend(more.iter().filter(|_| lacks(check)).map(|word| (*word).to_string()));
            }
        }
        if self.phase(phase).iter().any(|l| l.check == "rest-retired") {
            words.extend(["--tap", "ADDRESS=URL"].map(str::to_string));
        }
        if let Some(store) = &self.sources.given.store {
            words.extend(["--evidence".into(), store.display().to_string()]);
        }
        Ok(line(words))
    }

    /// By the contract's promises, where it is known; sessions are watched one a run.
    fn time_needed(&self, phase: Phase) -> anyhow::Result<Span> {
        const HOUR: Span = Span::from_secs(3600);
        const MINUTE: i64 = 60_000_000_000;
        let contract = match (&self.sources.contract, self.sources.given.is_empty()) {
            (None, false) => return Ok(if phase == Phase::BeforeDeleting { HOUR * 24 } else { HOUR }),
            (path, _) => load_contract(path.as_deref(), false)?,
        };
        let planned = plan(&contract, Assumed { streams: 1, rate: 0.001 });
        let feature = planned.features.iter().find(|f| f.name == self.standing.feature);
        let span = feature.map_or(HOUR, |feature| match phase {
            Phase::BeforeDeleting => feature.session,
            phase => feature.judged(phase).unwrap_or(HOUR),
        });
        // Whole minutes, and one more to connect in.
        Ok(Span((span.0 / MINUTE + 2) * MINUTE))
    }
}

/// A command line; a word that a shell would take apart is quoted.
fn line(words: impl IntoIterator<Item = String>) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:@%+,".contains(c);
    let quoted = |word: String| match !word.is_empty() && word.chars().all(plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    std::iter::once("cutover".to_string()).chain(words.into_iter().map(quoted)).collect::<Vec<_>>().join(" ")
}
