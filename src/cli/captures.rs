//! Owns looking for the captures beside a report, and hashing them again as they were hashed when they were
//! judged: over the uncompressed lines. Must not judge what they hold.

use crate::capture::{Block, Blocks};
use crate::evidence::beside::{Beside, compare};
use crate::source::open_capture;
use anyhow::Context;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A capture's name for people, and its digest or why it has none.
type Found = (String, Result<String, String>);

/// Folders whose captures were hashed; each once, however many signatures ask.
#[derive(Debug, Default)]
pub struct Hashed(BTreeMap<PathBuf, Vec<Found>>);

impl Hashed {
    /// The captures in a report's folder against the digests that the report names. Digests in `elsewhere`
    /// were just read from files that were given by themselves.
    pub fn beside(
        &mut self,
        folder: &Path,
        signed: &[String],
        elsewhere: &[String],
    ) -> anyhow::Result<Beside> {
        let is_sought = |digest: &&String| !digest.is_empty() && !elsewhere.contains(digest);
        let signed: Vec<String> = signed.iter().filter(is_sought).cloned().collect();
        if signed.is_empty() {
            return Ok(Beside::default());
        }
        if !self.0.contains_key(folder) {
            let files = captures_in(folder)?;
            let found = files.into_iter().map(|file| (shown(&file), digest(&file))).collect();
            self.0.insert(folder.to_path_buf(), found);
        }
        Ok(compare(&signed, self.0[folder].clone()))
    }
}

/// `RUN/capture.jsonl`: folders may be moved, so those above it are not told.
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

/// As a replay of the file would name it.
fn digest(file: &Path) -> Result<String, String> {
    let mut blocks = Blocks::new(open_capture(file).map_err(|error| error.to_string())?);
    let mut block = Block::default();
    while blocks.fill(&mut block) {
        if let Some((_, error)) = block.take_failure() {
            return Err(error.to_string());
        }
    }
    Ok(blocks.sha256())
}
