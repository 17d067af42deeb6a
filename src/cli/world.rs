//! Owns what `serve`, `demo` and `simulate` share: the reference world that was asked for, its faults,
//! and the ledger of what was injected. Must not inject anything itself.

use super::exit::WrongUse;
use crate::model::Timestamp;
use crate::reference::{Fault, TruthEntry, WorldOptions};
use anyhow::Context;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

pub fn options(seed: u64, accounts: u32, symbols: u32) -> WorldOptions {
    WorldOptions { seed, accounts: accounts as usize, symbols: symbols as usize, ..WorldOptions::default() }
}

/// Faults as typed, before any work is done.
pub fn faults(typed: &[String]) -> anyhow::Result<Vec<Fault>> {
    typed
        .iter()
        .map(|text| Fault::parse(text).map_err(|error| WrongUse(format!("--fault {text}: {error}")).into()))
        .collect()
}

/// `--truth FILE`: a line for each fault as it happens.
#[derive(Debug)]
pub struct TruthFile {
    path: PathBuf,
    file: BufWriter<File>,
    failed: Option<std::io::Error>,
}

impl TruthFile {
    pub fn create(path: Option<&Path>) -> anyhow::Result<Option<TruthFile>> {
        let Some(path) = path else { return Ok(None) };
        let file = File::create(path)
            .with_context(|| format!("could not write the truth into {}", path.display()))?;
        Ok(Some(TruthFile { path: path.into(), file: BufWriter::new(file), failed: None }))
    }

    /// The first failure is kept for the end.
    pub fn write(&mut self, entry: &TruthEntry) {
        if self.failed.is_none() {
            let done = writeln!(self.file, "{}", entry.to_json()).and_then(|()| self.file.flush());
            self.failed = done.err();
        }
    }

    pub fn finish(mut self) -> anyhow::Result<()> {
        let failed = self.failed.take().map_or_else(|| self.file.flush(), Err);
        failed.with_context(|| format!("could not write the truth into {}", self.path.display()))
    }
}

/// How long a fault-free or faulty session looks when none is named: any instant will do, but the same
/// for all who share a seed.
pub fn wall_clock() -> Timestamp {
    crate::source::Clock::start(1).now()
}
