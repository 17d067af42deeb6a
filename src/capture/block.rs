//! A capture's bytes as blocks of whole lines: read, hashed, and checked to be UTF-8, many lines at once.
//!
//! Owns where lines begin and end, and what the end of an input means; not what a line says. A block owns
//! its text, so that another thread can read it. Opens nothing.

use super::reader::hexadecimal;
use memchr::{memchr, memrchr};
use ring::digest;
use std::io::{self, Read};

/// A block is as long as its lines need, but hardly longer than this: it and what is read out of it stay in
/// the cache of one core.
const BLOCK_BYTES: usize = 64 * 1024;

/// Lines of a capture, whole, in one text. Its memory is used again.
#[derive(Debug, Default)]
pub struct Block {
    text: String,
    lines: Vec<Place>,
    /// The input ends with this block.
    ends: bool,
    /// Lines before this block.
    before: u64,
    /// What came instead of the next line.
    failed: Option<io::Error>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    /// Without the line break.
    end: usize,
    is_utf8: bool,
}

/// One line of a block, not looked at yet.
#[derive(Debug, Clone, Copy)]
pub struct RawLine<'b> {
    /// Counted from 1.
    pub number: u64,
    /// Without its line break; empty where the bytes are not UTF-8.
    pub text: &'b str,
    pub is_utf8: bool,
    /// Nothing follows it.
    pub is_last: bool,
}

impl Block {
    /// How many lines it has, blank ones among them.
    pub fn len(&self) -> usize {
        self.lines.len()
    }
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
    /// Length of its text.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }
    pub fn line(&self, index: usize) -> RawLine<'_> {
        let Place { start, end, is_utf8 } = self.lines[index];
        RawLine {
            number: self.before + index as u64 + 1,
            text: &self.text[start..end],
            is_utf8,
            is_last: self.ends && index + 1 == self.lines.len(),
        }
    }
    pub fn lines(&self) -> impl Iterator<Item = RawLine<'_>> {
        (0..self.len()).map(|index| self.line(index))
    }
    /// Why there is no line after these, and the number it would have; told once.
    pub fn take_failure(&mut self) -> Option<(u64, io::Error)> {
        let number = self.before + self.lines.len() as u64 + 1;
        self.failed.take().map(|error| (number, error))
    }

    fn place_lines(&mut self, bytes: Vec<u8>) {
        self.lines.clear();
        match String::from_utf8(bytes) {
            Ok(text) => {
                self.text = text;
                self.place(0);
            }
            Err(error) => self.place_damaged(&error.into_bytes()),
        }
    }

    /// Each line from `from` on, by its line break.
    fn place(&mut self, from: usize) {
        let bytes = self.text.as_bytes();
        let mut start = from;
        while start < bytes.len() {
            let end = memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |length| start + length);
            let carriage = usize::from(end > start && bytes[end - 1] == b'\r');
            self.lines.push(Place { start, end: end - carriage, is_utf8: true });
            start = end + 1;
        }
    }

    /// Of bytes that are not all UTF-8, keeps the lines that are.
    fn place_damaged(&mut self, bytes: &[u8]) {
        self.text = String::with_capacity(bytes.len());
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let start = self.text.len();
            match std::str::from_utf8(line) {
                Ok(text) => {
                    self.text.push_str(text);
                    self.place(start);
                }
                Err(_) => self.lines.push(Place { start, end: start, is_utf8: false }),
            }
        }
    }
}

/// Reads blocks one after another.
pub struct Blocks<R> {
    input: R,
    hash: digest::Context,
    /// The beginning of the next block's first line.
    carried: Vec<u8>,
    lines: u64,
    ended: bool,
}

impl<R: Read> Blocks<R> {
    pub fn new(input: R) -> Blocks<R> {
        Blocks {
            input,
            hash: digest::Context::new(&digest::SHA256),
            carried: Vec::new(),
            lines: 0,
            ended: false,
        }
    }

    /// Reads the next block into `block`; false when there is none.
    pub fn fill(&mut self, block: &mut Block) -> bool {
        if self.ended {
            return false;
        }
        let mut bytes = std::mem::take(&mut block.text).into_bytes();
        bytes.clear();
        bytes.append(&mut self.carried);
        block.failed = None;
        let mut cut = memrchr(b'\n', &bytes).map_or(0, |last| last + 1);
        // Something must be left over, so that the input's last line is known to be the last.
        while !self.ended && (cut == 0 || cut == bytes.len() || bytes.len() < BLOCK_BYTES) {
            let known = bytes.len();
            block.failed = self.read_more(&mut bytes);
            if let Some(last) = memrchr(b'\n', &bytes[known..]) {
                cut = known + last + 1;
            }
        }
        if !self.ended || block.failed.is_some() {
            // What stands before a failure and has no end is no line.
            self.carried.extend_from_slice(&bytes[cut..]);
            bytes.truncate(cut);
        }
        block.ends = self.ended && block.failed.is_none();
        block.before = self.lines;
        block.place_lines(bytes);
        self.lines += block.len() as u64;
        true
    }

    fn read_more(&mut self, bytes: &mut Vec<u8>) -> Option<io::Error> {
        let known = bytes.len();
        // Room that is not written to before something is read into it.
        bytes.reserve(BLOCK_BYTES);
        let result = self.input.by_ref().take(BLOCK_BYTES as u64).read_to_end(bytes);
        self.hash.update(&bytes[known..]);
        self.ended = bytes.len() == known || result.is_err();
        // A compressed capture that was torn ends so: what came before it still counts.
        result.err().filter(|error| error.kind() != io::ErrorKind::UnexpectedEof)
    }

    /// SHA-256 over the bytes read so far, in hexadecimal: of the whole input once there is no more block.
    pub fn sha256(&self) -> String {
        hexadecimal(self.hash.clone().finish().as_ref())
    }
}

impl<R> std::fmt::Debug for Blocks<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocks")
            .field("lines", &self.lines)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives out a few bytes at a time, and fails at the end if it is to.
    struct Dribble<'d> {
        bytes: &'d [u8],
        step: usize,
        fails: bool,
    }

    impl Read for Dribble<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.step.min(out.len()).min(self.bytes.len());
            if count == 0 && self.fails {
                return Err(io::Error::other("broken"));
            }
            out[..count].copy_from_slice(&self.bytes[..count]);
            self.bytes = &self.bytes[count..];
            Ok(count)
        }
    }

    type Seen = (u64, Option<String>, bool);

    fn read(bytes: &[u8], step: usize, fails: bool) -> (Vec<Seen>, Option<u64>, String) {
        let mut blocks = Blocks::new(Dribble { bytes, step, fails });
        let mut block = Block::default();
        let (mut lines, mut failed) = (Vec::new(), None);
        while blocks.fill(&mut block) {
            let seen = |l: RawLine<'_>| (l.number, l.is_utf8.then(|| l.text.to_string()), l.is_last);
            lines.extend(block.lines().map(seen));
            failed = block.take_failure().map(|(number, _)| number);
        }
        (lines, failed, blocks.sha256())
    }

    proptest! {
        #[test]
        fn lines_are_those_of_the_text(
            parts in prop::collection::vec((any::<u8>(), 0..40_000_usize, "(\r?\n|\n\n)"), 0..8),
            tail in prop::option::of(0..40_000_usize),
            step in 1..200_000_usize,
            fails in any::<bool>(),
        ) {
            let mut bytes = Vec::new();
            for (byte, length, end) in &parts {
                bytes.extend(std::iter::repeat_n(*byte, *length));
                bytes.extend_from_slice(end.as_bytes());
            }
            bytes.extend(std::iter::repeat_n(b'x', tail.unwrap_or(0)));
            let mut expected: Vec<Seen> = Vec::new();
            for (i, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
                if fails && line.last() != Some(&b'\n') {
                    continue;
                }
                let text = std::str::from_utf8(line).ok().map(|text| {
                    let text = text.strip_suffix('\n').unwrap_or(text);
                    text.strip_suffix('\r').unwrap_or(text).to_string()
                });
                expected.push((i as u64 + 1, text, false));
            }
            if let Some(last) = expected.last_mut().filter(|_| !fails) {
                last.2 = true;
            }
            let (lines, failed, hash) = read(&bytes, step, fails);
            prop_assert_eq!(failed, fails.then_some(expected.len() as u64 + 1));
            prop_assert!(lines == expected);
            prop_assert_eq!(hash, hexadecimal(digest::digest(&digest::SHA256, &bytes).as_ref()));
        }
    }
}
