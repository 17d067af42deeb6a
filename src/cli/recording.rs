//! Owns how a command creates its capture: never over an earlier one, and refused before any work.
//! Must not know what is recorded.

use super::exit::WrongUse;
use crate::capture::encode;
use crate::model::Observation;
use crate::source::{CaptureSink, create_capture};
use anyhow::Context;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Refuses a file that stands there already, while nothing has been touched for the run.
pub fn refuse_existing(path: &Path) -> anyhow::Result<()> {
    if path.is_file() { Err(exists(path)) } else { Ok(()) }
}

/// A run that could not begin leaves no empty capture in the way of the next.
pub fn discard_empty(path: &Path) {
    if path.metadata().is_ok_and(|found| found.is_file() && found.len() == 0) {
        // What stays is told when the next run meets it.
        let _ = std::fs::remove_file(path);
    }
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

/// Lines that are handed to the writing thread together.
const CHUNK_BYTES: usize = 1 << 20;
/// Chunks between the two threads: one being filled, one being written, two to even out their paces.
const CHUNKS_WAITING: usize = 4;

/// A capture being written on a thread of its own; the first failure ends it, and is told at the end.
pub struct Recording {
    chunk: String,
    lines: u64,
    full: SyncSender<String>,
    empty: Receiver<String>,
    thread: JoinHandle<io::Result<()>>,
    failed: bool,
}

impl Recording {
    pub fn create(path: &Path) -> anyhow::Result<Recording> {
        Recording::into(create(path)?)
    }

    fn into(mut sink: Box<dyn CaptureSink>) -> anyhow::Result<Recording> {
        let (full, chunks) = sync_channel::<String>(CHUNKS_WAITING);
        let (returned, empty) = sync_channel(CHUNKS_WAITING);
        let write = move || {
            for mut chunk in chunks {
                sink.write_all(chunk.as_bytes())?;
                chunk.clear();
                // Where nobody waits for it, it goes.
                let _ = returned.try_send(chunk);
            }
            sink.finish()
        };
        let thread = std::thread::Builder::new().name("capture".into()).spawn(write);
        let thread = thread.context("could not start the writing thread")?;
        let chunk = String::with_capacity(CHUNK_BYTES * 3 / 2);
        Ok(Recording { chunk, lines: 0, full, empty, thread, failed: false })
    }

    pub fn append(&mut self, observation: &Observation<'_>) {
        if self.failed {
            return;
        }
        encode(observation, &mut self.chunk);
        self.chunk.push('\n');
        self.lines += 1;
        if self.chunk.len() >= CHUNK_BYTES {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let next = self.empty.try_recv().unwrap_or_else(|_| String::with_capacity(CHUNK_BYTES * 3 / 2));
        // A thread that has ended has failed, and says why when it is joined.
        self.failed = self.full.send(std::mem::replace(&mut self.chunk, next)).is_err();
    }

    /// How many lines were written.
    pub fn finish(mut self) -> io::Result<u64> {
        self.hand_over();
        drop(self.full);
        match self.thread.join() {
            Ok(written) => written.map(|()| self.lines),
            Err(_) => Err(io::Error::other("the writing thread broke down")),
        }
    }
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").field("lines", &self.lines).finish_non_exhaustive()
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

    /// A disk that is full.
    struct Full;

    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl CaptureSink for Full {
        fn finish(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_told() {
        let mut recording = Recording::into(Box::new(Full)).unwrap();
        let end = crate::model::Event::End { reason: crate::model::EndReason::Done };
        for _ in 0..20_000 {
            recording.append(&Observation { at: crate::model::Timestamp(0), event: end.clone() });
        }
        assert_eq!(recording.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
