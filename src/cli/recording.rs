//! Owns how a command creates its capture: never over an earlier one, and refused before any work.
//! Must not know what is recorded.

use super::exit::WrongUse;
use crate::capture::{Writer, encode};
use crate::model::Observation;
use crate::source::{CaptureSink, create_capture};
use anyhow::Context;
use std::io;
use std::path::Path;

/// Refuses a file that stands there already, while nothing has been touched for the run.
pub fn refuse_existing(path: &Path) -> anyhow::Result<()> {
    if path.is_file() { Err(exists(path)) } else { Ok(()) }
}

pub fn create(path: &Path) -> anyhow::Result<Box<dyn CaptureSink>> {
    match create_capture(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
        created => created.with_context(|| could_not(path)),
    }
}

/// What could not be done, for the error that follows.
pub fn could_not(path: &Path) -> String {
    format!("could not record into {}", path.display())
}

fn exists(path: &Path) -> anyhow::Error {
    let why = "it exists already, and a capture is never overwritten; move it away or record elsewhere";
    WrongUse(format!("{}: {why}", could_not(path))).into()
}

/// A capture being written; the first failure ends it, and is told at the end.
pub struct Recording {
    writer: Writer<Box<dyn CaptureSink>>,
    line: String,
    failed: Option<io::Error>,
}

impl Recording {
    pub fn create(path: &Path) -> anyhow::Result<Recording> {
        Ok(Recording { writer: Writer::new(create(path)?), line: String::new(), failed: None })
    }

    pub fn append(&mut self, observation: &Observation<'_>) {
        if self.failed.is_none() {
            self.line.clear();
            encode(observation, &mut self.line);
            self.failed = self.writer.append(observation.at, &self.line).err();
        }
    }

    /// How many lines were written.
    pub fn finish(self) -> io::Result<u64> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let lines = self.writer.lines();
        self.writer.finish()?.finish()?;
        Ok(lines)
    }
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").field("failed", &self.failed).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // what was kept is read back
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    #[test]
    fn an_earlier_capture_is_kept() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("capture.jsonl");
        refuse_existing(&path).unwrap();
        drop(create(&path).unwrap());
        std::fs::write(&path, "evidence").unwrap();
        for error in [refuse_existing(&path).unwrap_err(), create(&path).err().unwrap()] {
            assert_eq!(Exit::of_error(&error), Exit::WrongUse);
            assert!(error.to_string().contains("capture.jsonl: it exists already"), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "evidence");
        let folder = create(temp.path()).err().unwrap();
        assert!(folder.to_string().starts_with("could not record into"), "{folder}");
    }
}
