//! A whole capture, line by line, for those who want to see the lines; who judges them takes blocks.
//!
//! Works over any `Read`, keeps one block in memory, and opens nothing. The rules are `Sequence`'s.

use super::block::{Block, Blocks};
use super::decode::LineError;
use super::sequence::{CaptureError, CaptureErrorKind, ReaderOptions, Seen, Sequence, Tail, look};
use crate::model::{Event, Observation, Start, Timestamp};
use std::io::Read;

/// One line and what it says.
#[derive(Debug, PartialEq)]
pub struct Line<'a> {
    /// Counted from 1.
    pub number: u64,
    /// Without the line break.
    pub text: &'a str,
    pub observation: Observation<'a>,
}

#[derive(Debug)]
pub struct Reader<R> {
    blocks: Blocks<R>,
    block: Block,
    sequence: Sequence,
    /// The next line of the block.
    next: usize,
    finished: bool,
    /// The present line is still to be given out.
    held: Option<Seen>,
}

impl<R: Read> Reader<R> {
    pub fn new(input: R, options: ReaderOptions) -> Reader<R> {
        Reader {
            blocks: Blocks::new(input),
            block: Block::default(),
            sequence: Sequence::new(options),
            next: 0,
            finished: false,
            held: None,
        }
    }

    /// Reads the first line. `None`: the capture is empty or torn in its first line, or its `start`
    /// is damaged and damage is skipped; the line that stands there instead comes with `next`.
    pub fn read_start(&mut self) -> Result<Option<(Timestamp, Start)>, CaptureError> {
        let Some(seen) = self.find()? else { return Ok(None) };
        match self.lend(seen)?.observation {
            Observation { at, event: Event::Start(start) } => Ok(Some((at, *start))),
            _ => {
                self.held = Some(seen);
                Ok(None)
            }
        }
    }

    /// The next line; `None` at the end of the capture and after an error.
    #[allow(clippy::should_implement_trait, reason = "the line borrows from the reader")]
    pub fn next(&mut self) -> Option<Result<Line<'_>, CaptureError>> {
        match self.find() {
            Ok(Some(seen)) => Some(self.lend(seen)),
            Ok(None) => None,
            Err(error) => {
                self.finished = true;
                Some(Err(error))
            }
        }
    }

    /// Goes on to the next line that counts.
    fn find(&mut self) -> Result<Option<Seen>, CaptureError> {
        if let Some(seen) = self.held.take() {
            return Ok(Some(seen));
        }
        while !self.finished {
            if self.next == self.block.len() {
                if let Some((line, error)) = self.block.take_failure() {
                    return Err(CaptureError { line, kind: CaptureErrorKind::Io(error) });
                }
                self.finished = !self.blocks.fill(&mut self.block);
                self.next = 0;
                continue;
            }
            let line = self.block.line(self.next);
            self.next += 1;
            if let Some(looked) = look(&line)
                && let Some(seen) = self.sequence.admit(line.number, line.is_last, looked)?
            {
                return Ok(Some(seen));
            }
        }
        Ok(None)
    }

    /// The present line, lent out.
    fn lend(&self, seen: Seen) -> Result<Line<'_>, CaptureError> {
        let line = self.block.line(self.next - 1);
        let damaged = |error| CaptureError { line: line.number, kind: CaptureErrorKind::Damaged(error) };
        let observation = seen.observation(line.text).map_err(damaged)?;
        Ok(Line { number: line.number, text: line.text, observation })
    }

    /// The present line turned out to be damaged after all: see `Sequence::damaged`.
    pub fn damaged(&mut self, error: LineError) -> Result<(), CaptureError> {
        let line = self.block.line(self.next - 1).number;
        let skipped = self.sequence.damaged(line, error);
        self.finished |= skipped.is_err();
        skipped
    }

    /// Damaged lines skipped so far.
    pub fn skipped(&self) -> u64 {
        self.sequence.skipped()
    }

    /// How the capture ended; says the truth once `next` has given `None`.
    pub fn tail(&self) -> Tail {
        self.sequence.tail()
    }

    /// SHA-256 over the uncompressed bytes, in hexadecimal, once `next` has given `None`; before
    /// that, over what was read ahead so far.
    pub fn sha256(&self) -> String {
        self.blocks.sha256()
    }
}

/// Bytes as lower-case hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::decode_slow;
    use super::*;
    use crate::model::EndReason;
    use std::io;

    const START: &str = r#"{"kind":"start","at":"2025-12-19T14:30:00Z","capture":1,"tool":"t","contract":"","contract_sha256":"","feeds":{},"flags":{}}"#;
    const OPEN: &str = r#"{"kind":"ws_open","at":"2025-12-19T14:30:01Z","conn":0}"#;
    const WS: &str = r#"{"kind":"ws","at":"2025-12-19T14:30:02Z","conn":0,"bytes":2,"body":{}}"#;
    const END: &str = r#"{"kind":"end","at":"2025-12-19T14:30:09Z","reason":"done"}"#;

    /// Reads it all: the lines' numbers, the tail, how many were skipped, and the error.
    fn read(bytes: &[u8], skip_damaged: bool) -> (Vec<u64>, Tail, u64, Option<String>) {
        // A small buffer, so that lines cross its border.
        let input = io::BufReader::with_capacity(16, bytes);
        let mut reader = Reader::new(input, ReaderOptions { skip_damaged });
        let mut numbers = Vec::new();
        let mut error = None;
        while let Some(line) = reader.next() {
            match line {
                Ok(line) => {
                    assert_eq!(decode_slow(line.text).unwrap(), line.observation);
                    numbers.push(line.number);
                }
                Err(found) => error = Some(found.to_string()),
            }
        }
        (numbers, reader.tail(), reader.skipped(), error)
    }

    fn check(lines: &[&str], numbers: &[u64], tail: Tail) {
        let text = lines.join("\n");
        assert_eq!(read(text.as_bytes(), false), (numbers.to_vec(), tail, 0, None), "{text}");
    }

    fn check_error(lines: &[&str], expect: &str, skipped: u64) {
        let text = lines.join("\n");
        let (_, _, _, error) = read(text.as_bytes(), false);
        let error = error.expect(&text);
        assert!(error.contains(expect), "{error}");
        let (_, _, found, error) = read(text.as_bytes(), true);
        assert_eq!((found, error.is_some()), (skipped, skipped == 0), "{text}");
    }

    #[test]
    fn tails_are_told_apart() {
        check(&[""], &[], Tail::Empty);
        check(&[START, OPEN, WS, END, ""], &[1, 2, 3, 4], Tail::Ended(EndReason::Done));
        check(&[START, OPEN, WS, END], &[1, 2, 3, 4], Tail::Ended(EndReason::Done));
        check(&[START, OPEN, WS, ""], &[1, 2, 3], Tail::NoEnd);
        check(&[START, OPEN, WS], &[1, 2, 3], Tail::NoEnd);
        check(&[START, OPEN, &WS[..30]], &[1, 2], Tail::Torn);
        check(&[START, OPEN, &WS[..WS.len() - 1]], &[1, 2], Tail::Torn);
        check(&[START, OPEN, &WS[..WS.len() - 2], ""], &[1, 2], Tail::Torn);
        check(&[START, OPEN, "\0\0\0\0"], &[1, 2], Tail::Torn);
        check(&[&START[..9]], &[], Tail::Torn);
        check(&[START, "", OPEN, "\r", END], &[1, 3, 5], Tail::Ended(EndReason::Done));
        let crlf = [START, OPEN, WS, END, ""].join("\r\n");
        assert_eq!(read(crlf.as_bytes(), false).0, [1, 2, 3, 4]);
    }

    #[test]
    fn a_kill_at_any_byte_loses_the_torn_line_alone() {
        let text = [START, OPEN, WS, WS, ""].join("\n");
        for cut in 0..text.len() {
            let whole = text[..cut].matches('\n').count() as u64;
            let (numbers, tail, _, error) = read(&text.as_bytes()[..cut], false);
            assert_eq!(error, None);
            assert!(tail.is_interrupted());
            let complete_without_break = text.as_bytes()[cut] == b'\n';
            assert_eq!(numbers.len() as u64, whole + u64::from(complete_without_break), "cut at {cut}");
        }
    }

    #[test]
    fn damage_is_an_error_with_its_line_or_counted() {
        check_error(&[START, "{\"kind\":", OPEN, END], "line 2: this is not one JSON object", 1);
        check_error(&[START, "{\"kind\":\"x\"}", END], "line 2: `kind` \"x\" is unknown", 1);
        check_error(&[START, WS, OPEN, END], "line 3: `at` is 2025-12-19T14:30:01Z, earlier than", 1);
        check_error(&[OPEN, WS, END], "line 1: a capture begins with a `start` line", 1);
        check_error(&[START, START, END], "line 2: a second `start`", 0);
        check_error(&[START, END, &END.replace("end", "log")], "line 3: ", 1);
        check_error(&[START, END, END], "line 3: `end` after `end`", 0);
        let newer = START.replace("\"capture\":1", "\"capture\":9");
        check_error(
            &[&newer, END],
            "this capture is version 9; this cutover reads 1; use a newer cutover",
            0,
        );
        let (numbers, _, skipped, _) = read(b"{\"kind\":\"\xff\"}\n{}", true);
        assert_eq!((numbers.len(), skipped), (0, 2));
    }

    #[test]
    fn a_damaged_body_is_reported_by_who_walks_it() {
        let bad = WS.replace("{}}", "{]}");
        let text = [START, &bad, END].join("\n");
        for skip_damaged in [false, true] {
            let mut reader = Reader::new(text.as_bytes(), ReaderOptions { skip_damaged });
            assert!(reader.read_start().unwrap().is_some());
            let line = reader.next().unwrap().unwrap();
            let error = decode_slow(line.text).unwrap_err();
            let result = reader.damaged(error);
            assert_eq!(result.is_ok(), skip_damaged);
            assert_eq!((reader.skipped(), reader.next().is_some()), (u64::from(skip_damaged), skip_damaged));
        }
    }

    #[test]
    fn members_after_a_body_are_found_on_the_last_line_too() {
        let odd = WS.replace("{}}", "{},\"more\":1}");
        check(&[START, &odd], &[1, 2], Tail::NoEnd);
    }

    #[test]
    fn captures_may_follow_each_other_in_one_file() {
        let later = |line: &str| line.replace("T14:", "T15:");
        check(&[START, END, &later(START), &later(END)], &[1, 2, 3, 4], Tail::Ended(EndReason::Done));
    }

    #[test]
    fn reader_and_writer_agree_on_the_hash() {
        let mut writer = super::super::Writer::new(Vec::new());
        for line in [START, OPEN, END] {
            writer.append(Timestamp(0), line).unwrap();
        }
        let written = writer.sha256();
        let bytes = writer.finish().unwrap();
        let mut reader = Reader::new(bytes.as_slice(), ReaderOptions::default());
        while reader.next().is_some() {}
        assert_eq!(reader.sha256(), written);
    }
}
