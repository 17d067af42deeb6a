//! Appends lines to a capture, flushes them in time, and keeps the hash of what was written.
//!
//! Owns the buffer and the flush rule. Opens nothing and reads no clock: the caller hands in a
//! sink and the `at` of each line. A write error is returned, and after it nothing more is written.

use crate::model::{Span, Timestamp};
use ring::digest;
use std::io::{self, Write};

/// A kill loses at most what came after the last flush (SPEC §4).
pub const FLUSH_EVERY: Span = Span::from_secs(1);

/// Collected before a write: large enough that a busy stream costs few system calls.
const BUFFER_BYTES: usize = 64 * 1024;

/// A capture under construction.
pub struct Writer<W: Write> {
    sink: W,
    buffer: Vec<u8>,
    hash: digest::Context,
    last_flush: Option<Timestamp>,
    lines: u64,
    bytes: u64,
    failed: bool,
}

impl<W: Write> Writer<W> {
    pub fn new(sink: W) -> Writer<W> {
        Writer {
            sink,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            hash: digest::Context::new(&digest::SHA256),
            last_flush: None,
            lines: 0,
            bytes: 0,
            failed: false,
        }
    }

    /// Appends `line` (without a line break), seen at `at`, and flushes when a second has passed.
    pub fn append(&mut self, at: Timestamp, line: &str) -> io::Result<()> {
        self.refuse_after_failure()?;
        let from = self.buffer.len();
        self.buffer.extend_from_slice(line.as_bytes());
        self.buffer.push(b'\n');
        self.hash.update(&self.buffer[from..]);
        self.lines += 1;
        self.bytes += (self.buffer.len() - from) as u64;
        if self.buffer.len() >= BUFFER_BYTES {
            self.drain()?;
        }
        self.flush_when_due(at)
    }

    /// Flushes when a second has passed since the last flush; for quiet times between lines.
    pub fn flush_when_due(&mut self, now: Timestamp) -> io::Result<()> {
        match self.last_flush {
            None => {
                // The first line says what the run is: it must not be lost to an early kill.
                self.last_flush = Some(now);
                self.flush()
            }
            Some(last) if now.since(last) >= FLUSH_EVERY => {
                self.last_flush = Some(now);
                self.flush()
            }
            Some(_) => Ok(()),
        }
    }

    /// Hands all lines to the sink and flushes it; a compressing sink ends a block here.
    pub fn flush(&mut self) -> io::Result<()> {
        self.refuse_after_failure()?;
        self.drain()?;
        let result = self.sink.flush();
        self.failed = result.is_err();
        result
    }

    fn drain(&mut self) -> io::Result<()> {
        let result = self.sink.write_all(&self.buffer);
        self.failed = result.is_err();
        self.buffer.clear();
        result
    }

    /// Lines after a lost one would make a torn line in the middle look like damage.
    fn refuse_after_failure(&self) -> io::Result<()> {
        if self.failed { Err(io::Error::other("an earlier write to the capture failed")) } else { Ok(()) }
    }

    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Uncompressed bytes, line breaks included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// SHA-256 over the uncompressed bytes so far, in hexadecimal: what `Reader` finds in the file.
    pub fn sha256(&self) -> String {
        super::reader::hexadecimal(self.hash.clone().finish().as_ref())
    }

    /// Flushes and gives the sink back, to be finished by who made it.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        Ok(self.sink)
    }
}

impl<W: Write> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("lines", &self.lines)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `room` bytes, then is full; counts flushes.
    #[derive(Default)]
    struct Disk {
        room: usize,
        written: Vec<u8>,
        flushes: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room - self.written.len());
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.written.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }
        fn flush(&mut self) -> io::Result<()> {
            self.flushes += 1;
            Ok(())
        }
    }

    #[test]
    fn lines_are_flushed_at_least_each_second() {
        let mut writer = Writer::new(Disk { room: 1 << 20, ..Disk::default() });
        let second = |s: i64| Timestamp(s * 1_000_000_000);
        writer.append(second(0), "first").unwrap();
        assert_eq!(writer.sink.written, b"first\n");
        writer.append(Timestamp(999_999_999), "second").unwrap();
        assert_eq!(writer.sink.written, b"first\n");
        writer.append(second(1), "third").unwrap();
        assert_eq!(writer.sink.written, b"first\nsecond\nthird\n");
        writer.append(Timestamp(1_500_000_000), "fourth").unwrap();
        writer.flush_when_due(second(2)).unwrap();
        assert_eq!((writer.sink.flushes, writer.lines(), writer.bytes()), (3, 4, 26));
        assert!(writer.sink.written.ends_with(b"fourth\n"));
    }

    #[test]
    fn a_full_disk_is_an_error_and_nothing_follows() {
        let mut writer = Writer::new(Disk { room: 8, ..Disk::default() });
        writer.append(Timestamp(0), "first").unwrap();
        let error = writer.append(Timestamp(2_000_000_000), "second").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(writer.append(Timestamp(2_000_000_000), "third").is_err());
        assert_eq!(writer.sink.written, b"first\nse");
        assert!(writer.finish().is_err());
    }
}
