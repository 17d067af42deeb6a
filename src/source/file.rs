//! Files of captures: plain `.jsonl` or zstd-compressed `.jsonl.zst`.
//!
//! Owns opening and creating them, and what compression means for a kill: a flush ends a block, so
//! a reader gets all that was flushed, and a torn tail reads as far as it goes.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

/// Smaller and faster than level 3 on captures (measured: 8.1 : 1 at 700 MB/s).
const ZSTD_LEVEL: i32 = 1;

/// The first bytes of a zstd frame (RFC 8878).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Read at once by those who read little at a time; who reads as much at once is not copied for.
const READ_BYTES: usize = 64 * 1024;

/// Where a capture is written to.
pub trait CaptureSink: Write + Send {
    /// Ends the file in order and hands it to the disk.
    fn finish(&mut self) -> io::Result<()>;
}

impl CaptureSink for File {
    fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        match self.sync_all() {
            // A pipe has no disk to bring anything to.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            done => done,
        }
    }
}

/// For tests and for runs whose capture stays in memory.
impl CaptureSink for Vec<u8> {
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: CaptureSink + ?Sized> CaptureSink for Box<S> {
    fn finish(&mut self) -> io::Result<()> {
        (**self).finish()
    }
}

struct Compressed<W: Write>(zstd::Encoder<'static, W>);

impl<W: Write> Write for Compressed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
    /// Ends a block: what was written so far can be read whatever happens next.
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: CaptureSink> CaptureSink for Compressed<W> {
    fn finish(&mut self) -> io::Result<()> {
        self.0.do_finish()?;
        self.0.get_mut().finish()
    }
}

/// Creates a capture; a name that ends in `.zst` is compressed. An existing file is an error: a
/// capture is evidence and is never overwritten. A pipe or a device that stands there is written to.
#[allow(clippy::disallowed_methods, reason = "this file owns opening captures")]
pub fn create_capture(path: &Path) -> io::Result<Box<dyn CaptureSink>> {
    let is_new = !keeps_nothing(path);
    let file = File::options().write(true).create_new(is_new).open(path)?;
    if is_zstd_name(path) { Ok(Box::new(compressed(file)?)) } else { Ok(Box::new(file)) }
}

/// Whether something that is no file stands there, so that writing overwrites nothing.
fn keeps_nothing(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir())
}

fn compressed<W: CaptureSink>(sink: W) -> io::Result<Compressed<W>> {
    Ok(Compressed(zstd::Encoder::new(sink, ZSTD_LEVEL)?))
}

fn is_zstd_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zst"))
}

/// Opens a capture, to be read in large pieces; whether it is compressed is told by its first bytes, not by its name.
pub fn open_capture(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    uncompressed(open_file(path)?)
}

#[allow(clippy::disallowed_methods, reason = "this file owns opening captures")]
fn open_file(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    // Opening a folder succeeds on some systems; say what is wrong before the first read does.
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(file)
}

fn uncompressed(input: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut first = Vec::with_capacity(ZSTD_MAGIC.len());
    let mut input = input;
    input.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut first)?;
    let is_zstd = first == ZSTD_MAGIC;
    let whole = io::Cursor::new(first).chain(input);
    if !is_zstd {
        return Ok(Box::new(whole));
    }
    Ok(Box::new(zstd::Decoder::with_buffer(BufReader::with_capacity(READ_BYTES, whole))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Reader, ReaderOptions, Tail, Writer, encode};
    use crate::model::{EndReason, Event, Observation, Start, Timestamp};
    use std::sync::{Arc, Mutex};

    /// What has reached the disk, visible to the test while the capture is written.
    #[derive(Default, Clone)]
    struct Disk(Arc<Mutex<Vec<u8>>>);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl CaptureSink for Disk {
        fn finish(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines() -> Vec<(Timestamp, String)> {
        let start = Event::Start(Box::new(Start { capture: 1, ..Start::default() }));
        let mut events = vec![start];
        events.extend((0..2_000).map(|conn| Event::WsOpen { conn }));
        events.push(Event::End { reason: EndReason::Done });
        let at = |index: usize| Timestamp(index as i64 * 10_000_000);
        let encoded = events.into_iter().enumerate().map(|(index, event)| {
            let mut line = String::new();
            encode(&Observation { at: at(index), event }, &mut line);
            (at(index), line)
        });
        encoded.collect()
    }

    fn read(bytes: Vec<u8>) -> (u64, Tail) {
        let input = uncompressed(io::Cursor::new(bytes)).unwrap();
        let mut reader = Reader::new(input, ReaderOptions::default());
        let mut good = 0;
        while let Some(line) = reader.next() {
            line.unwrap();
            good += 1;
        }
        (good, reader.tail())
    }

    #[test]
    fn a_torn_compressed_capture_reads_as_far_as_it_was_flushed() {
        let disk = Disk::default();
        let mut writer = Writer::new(compressed(disk.clone()).unwrap());
        let mut flushed = Vec::new();
        for (at, line) in lines() {
            let before = disk.0.lock().unwrap().len();
            writer.append(at, &line).unwrap();
            let after = disk.0.lock().unwrap().len();
            if after > before {
                flushed.push((writer.lines(), after));
            }
        }
        writer.finish().unwrap().finish().unwrap();
        let bytes = disk.0.lock().unwrap().clone();
        assert!(flushed.len() > 15, "flushed {} times", flushed.len());
        for (count, size) in flushed {
            let (good, tail) = read(bytes[..size].to_vec());
            assert!(good >= count && tail.is_interrupted(), "{good} of {count}, {tail:?}");
        }
        for cut in (0..bytes.len()).step_by(97) {
            assert!(read(bytes[..cut].to_vec()).1.is_interrupted(), "cut at {cut}");
        }
        assert_eq!(read(bytes), (2_002, Tail::Ended(EndReason::Done)));
    }

    #[test]
    fn plain_files_are_told_by_their_bytes_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.jsonl", "a.jsonl.zst"] {
            let path = folder.path().join(name);
            let mut writer = Writer::new(create_capture(&path).unwrap());
            for (at, line) in lines() {
                writer.append(at, &line).unwrap();
            }
            let written = writer.sha256();
            writer.finish().unwrap().finish().unwrap();
            assert_eq!(create_capture(&path).err().map(|e| e.kind()), Some(io::ErrorKind::AlreadyExists));
            let moved = folder.path().join("other");
            std::fs::rename(&path, &moved).unwrap();
            let mut reader = Reader::new(open_capture(&moved).unwrap(), ReaderOptions::default());
            while reader.next().is_some() {}
            assert_eq!((reader.tail(), reader.sha256()), (Tail::Ended(EndReason::Done), written));
        }
        assert_eq!(open_capture(folder.path()).err().map(|e| e.kind()), Some(io::ErrorKind::IsADirectory));
    }
}
