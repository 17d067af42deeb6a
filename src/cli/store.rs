//! Owns the evidence folder (`--evidence DIR`): plain files, each listed in its chain. Must not judge.

use super::exit::WrongUse;
use super::folder::write_whole;
use crate::evidence::aside::{self, SetAside};
use crate::evidence::beside::Files;
use crate::evidence::chain::{self, Broken, FILE, Kind, Link, VERSION, Why};
use crate::evidence::sign::{Hash, sha256};
use crate::report::json;
use crate::source::clock::Clock;
use anyhow::Context;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Component, Path, PathBuf};

/// A file that was stored, and what it is made from.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'s> {
    pub kind: Kind,
    pub path: &'s Path,
    pub bytes: &'s [u8],
    pub contract_sha256: &'s str,
    pub capture_sha256: &'s [String],
    /// What was written beside it.
    pub files: &'s Files,
}

impl<'s> Stored<'s> {
    /// A file that stands for itself.
    fn small(kind: Kind, path: &'s Path, bytes: &'s [u8]) -> Stored<'s> {
        static NONE: Files = Files::new();
        Stored { kind, path, bytes, contract_sha256: "", capture_sha256: &[], files: &NONE }
    }
}

/// Adds what was stored to the folder's chain, behind whatever others added meanwhile.
pub fn append(folder: &Path, stored: &Stored<'_>) -> anyhow::Result<()> {
    let file = folder.join(FILE);
    let could_not = || format!("could not add to {}", file.display());
    let mut opened =
        OpenOptions::new().create(true).read(true).append(true).open(&file).with_context(could_not)?;
    opened.lock().with_context(could_not)?;
    let mut text = String::new();
    opened.read_to_string(&mut text).with_context(could_not)?;
    chain::read(&text).with_context(could_not)?;
    let below = stored.path.strip_prefix(folder).unwrap_or(stored.path);
    let names: Vec<_> = below.iter().map(|name| name.to_string_lossy()).collect();
    let link = Link {
        evidence: VERSION,
        previous: chain::head(&text),
        kind: stored.kind,
        at: Clock::start(1).now().to_string(),
        file: names.join("/"),
        sha256: sha256(stored.bytes),
        contract_sha256: stored.contract_sha256.into(),
        capture_sha256: stored.capture_sha256.to_vec(),
        files: stored.files.clone(),
    };
    // In one piece: a reader sees the line or nothing of it.
    opened.write_all(link.line().as_bytes()).and_then(|()| opened.sync_all()).with_context(could_not)
}

/// A flag that was turned, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    #[serde(skip)]
    kind: Kind,
    feature: String,
    flag: String,
    on: bool,
    /// RFC 3339, UTC.
    at: String,
}

impl Change {
    pub fn now(kind: Kind, feature: &str, flag: &str, on: bool) -> Change {
        let at = Clock::start(1).now().to_string();
        Change { kind, feature: feature.into(), flag: flag.into(), on, at }
    }
}

/// Stores that a flag was turned, in a small file of its own.
pub fn record(folder: &Path, change: &Change) -> anyhow::Result<()> {
    let bytes = serde_json::to_string_pretty(change).context("could not write the change")? + "\n";
    let path = folder.join(small_file(&change.at, if change.on { "on" } else { "off" }, &change.feature));
    write_whole(&path, bytes.as_bytes())?;
    append(folder, &Stored::small(change.kind, &path, bytes.as_bytes()))
}

/// Stores that the runs of a feature so far count no more, in a small file of its own.
pub fn record_aside(folder: &Path, said: &SetAside) -> anyhow::Result<()> {
    let bytes = serde_json::to_string_pretty(said).context("could not write what is set aside")? + "\n";
    let path = folder.join(small_file(&said.at, "set-aside", &said.feature));
    write_whole(&path, bytes.as_bytes())?;
    append(folder, &Stored::small(Kind::SetAside, &path, bytes.as_bytes()))
}

fn small_file(at: &str, what: &str, feature: &str) -> String {
    let stamp: String = at.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    format!("{stamp}-{what}-{}.json", &sha256(feature.as_bytes())[..8])
}

fn set_aside(file: &Path) -> anyhow::Result<SetAside> {
    let could_not = || format!("could not read {}", file.display());
    let said: SetAside =
        serde_json::from_str(&text_of(file).with_context(could_not)?).with_context(could_not)?;
    if said.set_aside != aside::VERSION {
        let version = said.set_aside;
        anyhow::bail!("{}: its version {version} is unknown to this program", could_not());
    }
    Ok(said)
}

/// A folder whose chain and files were found whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    pub links: Vec<Link>,
    /// The digest of the last line: what is cut off later changes it.
    pub head: String,
}

impl Whole {
    pub fn has_run(&self) -> bool {
        self.links.iter().any(|link| link.kind == Kind::Run)
    }
}

/// Why a folder cannot be relied on, as an error to be told from others.
#[derive(Debug, thiserror::Error)]
pub enum NotWhole {
    #[error("{} is broken in {broken}", .file.display())]
    Chain { file: PathBuf, broken: Broken },
    #[error(
        "{} is not in the chain of {}: store runs with --evidence, or give reports by their own paths",
        .report.display(), .file.display()
    )]
    Unlisted { file: PathBuf, report: PathBuf },
}

/// Reads the chain of a folder and checks every file in it. A folder that is not there is `None`.
pub fn read(folder: &Path) -> anyhow::Result<Option<Whole>> {
    let file = folder.join(FILE);
    let could_not = || format!("could not read {}", file.display());
    let text = match text_of(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound && !folder.exists() => return Ok(None),
        // A folder in which nothing was stored yet may still hold what was put there by hand.
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        text => text.with_context(could_not)?,
    };
    let broken = |broken: Broken| NotWhole::Chain { file: file.clone(), broken };
    let links = chain::read(&text).map_err(broken)?;
    for (n, link) in links.iter().enumerate() {
        let is_below = Path::new(&link.file).components().all(|part| matches!(part, Component::Normal(_)));
        let astray = link.files.keys().find(|name| !is_file_name(name));
        let astray = astray.map(|name| Why::Malformed(format!("`{name}` is no file's name")));
        let why = match digest(&folder.join(&link.file)) {
            _ if !is_below => Some(Why::Malformed(format!("`{}` is no path in the folder", link.file))),
            _ if astray.is_some() => astray,
            Err(error) if error.kind() == ErrorKind::NotFound => Some(Why::Missing(link.file.clone())),
            found => {
                let found = found.with_context(|| format!("could not read {}", link.file))?;
                let (file, stored) = (link.file.clone(), link.sha256.clone());
                (found != stored).then_some(Why::Changed { file, stored, found })
            }
        };
        if let Some(why) = why {
            return Err(broken(Broken { line: n + 1, why }).into());
        }
    }
    for entry in folder.read_dir().with_context(could_not)? {
        let report = entry.with_context(could_not)?.path().join(json::FILE);
        if report.is_file() && !links.iter().any(|link| folder.join(&link.file) == report) {
            return Err(NotWhole::Unlisted { file, report }.into());
        }
    }
    Ok(Some(Whole { links, head: chain::head(&text) }))
}

fn is_file_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
}

/// The reports in a folder, in the order they were stored, and what was set aside of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reports {
    pub reports: Vec<PathBuf>,
    /// What was stored of the files beside each.
    pub files: Vec<Files>,
    /// Each with how many reports were stored before it.
    pub asides: Vec<(SetAside, usize)>,
}

/// A folder without any report is wrong use.
pub fn reports(folder: &Path) -> anyhow::Result<Reports> {
    let mut found = Reports::default();
    for link in read(folder)?.iter().flat_map(|whole| &whole.links) {
        let file = folder.join(&link.file);
        match link.kind {
            Kind::Run => {
                found.reports.push(file);
                found.files.push(link.files.clone());
            }
            Kind::SetAside => found.asides.push((set_aside(&file)?, found.reports.len())),
            Kind::Enable | Kind::Rollback => {}
        }
    }
    match found.reports.is_empty() {
        false => Ok(found),
        true => Err(WrongUse(format!(
            "no run is stored in {0}; store one with `cutover watch --evidence {0}`",
            folder.display()
        ))
        .into()),
    }
}

/// Refuses to store into a folder whose chain is broken, before any work is done for it.
pub fn ready(folder: &Path) -> anyhow::Result<()> {
    read(folder).map(|_| ()).with_context(|| format!("could not store evidence in {}", folder.display()))
}

#[allow(clippy::disallowed_methods, reason = "the one place where the chain and its small files are read")]
fn text_of(file: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(file)
}

#[allow(clippy::disallowed_methods, reason = "stored files are held against their digests")]
pub fn digest(file: &Path) -> std::io::Result<String> {
    let mut hash = Hash::default();
    std::io::copy(&mut File::open(file)?, &mut hash)?;
    Ok(hash.sha256())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(folder: &Path, run: &str, bytes: &[u8]) {
        let path = folder.join(run).join(json::FILE);
        std::fs::create_dir_all(folder.join(run)).unwrap();
        super::super::folder::write_whole(&path, bytes).unwrap();
        append(folder, &Stored { contract_sha256: "c", ..Stored::small(Kind::Run, &path, bytes) }).unwrap();
    }

    #[test]
    fn what_was_stored_is_listed_in_order_until_something_changes() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path();
        assert!(reports(folder).unwrap_err().to_string().contains("no run is stored in"));
        store(folder, "b", b"one");
        store(folder, "a", b"two");
        let first = read(folder).unwrap().unwrap();
        assert_eq!(
            reports(folder).unwrap().reports,
            [folder.join("b/report.json"), folder.join("a/report.json")]
        );
        assert_eq!(first.head, read(folder).unwrap().unwrap().head);

        let broken = || read(folder).unwrap_err().to_string();
        super::super::folder::write_whole(&folder.join("b/report.json"), b"won").unwrap();
        assert!(broken().ends_with(&format!(
            "evidence.jsonl is broken in line 1: b/report.json was changed after it was stored: \
                     {} was stored, {} is there",
            sha256(b"one"),
            sha256(b"won")
        )));
        std::fs::remove_dir_all(folder.join("a")).unwrap();
        super::super::folder::write_whole(&folder.join("b/report.json"), b"one").unwrap();
        assert!(broken().ends_with("line 2: a/report.json is missing"), "{}", broken());
        assert!(ready(folder).unwrap_err().to_string().starts_with("could not store evidence in"));
    }

    #[test]
    fn a_run_that_was_put_there_by_hand_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        store(temp.path(), "a", b"one");
        std::fs::create_dir(temp.path().join("b")).unwrap();
        super::super::folder::write_whole(&temp.path().join("b/report.json"), b"two").unwrap();
        assert!(read(temp.path()).unwrap_err().to_string().contains("b/report.json is not in the chain of"));
        assert_eq!(read(&temp.path().join("absent")).unwrap(), None);
    }
}
