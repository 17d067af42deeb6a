//! Owns looking for the files beside a report, its captures among them, and hashing them again: captures as
//! they were hashed when they were judged, over the uncompressed lines. Must not judge what they hold.

use super::folder::OTHER_FILES;
use super::store;
use crate::capture::{Block, Blocks};
use crate::evidence::beside::{Folder, Known, There};
use crate::source::open_capture;
use anyhow::Context;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Files that were hashed, with what became of it; each once, however many signatures ask.
#[derive(Debug, Default)]
pub struct Hashed(BTreeMap<PathBuf, Result<String, String>>);

impl Hashed {
    /// A report's folder, of which this is known. Captures in `elsewhere` were just read from files that were
    /// given by themselves.
    pub fn folder(
        &mut self,
        folder: &Path,
        mut known: Vec<Known>,
        elsewhere: &[String],
    ) -> anyhow::Result<Folder> {
        let is_sought = |sha256: &String| !sha256.is_empty() && !elsewhere.contains(sha256);
        known.retain(|known| known.name.is_some() || is_sought(&known.sha256));
        let mut there = Vec::new();
        // Captures take long to hash.
        if known.iter().any(|known| known.name.is_none()) {
            for file in captures_in(folder)? {
                there.push(There { file: shown(&file), name: None, found: self.found(file, capture_digest) });
            }
        }
        let stored = known.iter().filter_map(|known| known.name.as_deref());
        for name in OTHER_FILES.into_iter().chain(stored).collect::<BTreeSet<_>>() {
            let file = folder.join(name);
            // Whatever stands in a file's place is not what the run wrote.
            if file.symlink_metadata().is_ok() {
                let (shown, name) = (shown(&file), Some(name.to_string()));
                there.push(There { file: shown, name, found: self.found(file, digest) });
            }
        }
        Ok(Folder { known, there: Some(there) })
    }

    fn found(
        &mut self,
        file: PathBuf,
        digest: fn(&Path) -> Result<String, String>,
    ) -> Result<String, String> {
        let found = self.0.entry(file);
        found.or_insert_with_key(|file| digest(file)).clone()
    }
}

/// `RUN/capture.jsonl`, `RUN/signoff.csv`: folders may be moved, so those above it are not told.
fn shown(file: &Path) -> String {
    let parts: Vec<_> = file.iter().map(|part| part.to_string_lossy()).collect();
    parts[parts.len().saturating_sub(2)..].join("/")
}

fn captures_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let could_not = || format!("could not read {}", folder.display());
    let mut files = Vec::new();
    for entry in folder.read_dir().with_context(could_not)? {
        let file = entry.with_context(could_not)?.path();
        if file.is_file() && is_capture(&file) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// By its name. What merely has the name of lines of JSON is one where it begins as one, or cannot be read.
fn is_capture(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let Some(stem) = name.strip_suffix(".zst").unwrap_or(&name).strip_suffix(".jsonl") else { return false };
    stem == "capture" || begins_as_one(file).unwrap_or(true)
}

fn begins_as_one(file: &Path) -> std::io::Result<bool> {
    const BEGIN: &[u8] = b"{\"at\":";
    let mut first = [0; BEGIN.len()];
    std::io::Read::read_exact(&mut open_capture(file)?, &mut first)?;
    Ok(first == BEGIN)
}

fn digest(file: &Path) -> Result<String, String> {
    store::digest(file).map_err(|error| error.to_string())
}

/// As a replay of the file would name it.
fn capture_digest(file: &Path) -> Result<String, String> {
    let mut blocks = Blocks::new(open_capture(file).map_err(|error| error.to_string())?);
    let mut block = Block::default();
    while blocks.fill(&mut block) {
        if let Some((_, error)) = block.take_failure() {
            return Err(error.to_string());
        }
    }
    Ok(blocks.sha256())
}
