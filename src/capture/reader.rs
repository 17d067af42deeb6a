//! A whole capture, line by line: what is torn, what is damaged, what is out of order.
//!
//! Owns the rules of SPEC §4 about files: a torn last line, a missing `end` and an empty file are
//! an interrupted run; damage in the middle, a decreasing `at`, an unknown kind or a newer version
//! is an error with its line number, or skipped and counted. Works over any `BufRead`, keeps one
//! line in memory, and opens nothing.
//!
//! A body's JSON is not validated here, except on the last line (where a tear must be told from
//! damage): the engine walks each body once. Finds it that a body is no JSON, the caller tries
//! `decode_slow(line.text)`, and if that fails too, calls [`Reader::damaged`].

use super::decode::{self, LineError, decode_checked, decode_slow, scan};
use crate::model::{EndReason, Event, Observation, Start, Timestamp};
use ring::digest;
use std::io::{self, BufRead};

#[derive(Debug, Clone, Copy, Default)]
pub struct ReaderOptions {
    /// Skip and count damaged lines (a decreasing `at` too) instead of ending with an error.
    pub skip_damaged: bool,
}

/// One line and what it says.
#[derive(Debug, PartialEq)]
pub struct Line<'a> {
    /// Counted from 1.
    pub number: u64,
    /// Without the line break.
    pub text: &'a str,
    pub observation: Observation<'a>,
}

#[derive(Debug, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct CaptureError {
    pub line: u64,
    pub kind: CaptureErrorKind,
}

#[derive(Debug, thiserror::Error)]
pub enum CaptureErrorKind {
    #[error("could not read on: {0}")]
    Io(io::Error),
    #[error("{0}")]
    Damaged(LineError),
    #[error("`at` is {at}, earlier than {before} of the line before; lines must be in time order")]
    Decreasing { at: Timestamp, before: Timestamp },
    #[error("a capture begins with a `start` line, but this is `{0}`")]
    NoStart(&'static str),
    #[error("a second `start` before an `end`; replay the captures as files of their own")]
    SecondStart,
    #[error("`{0}` after `end`; only another `start` may follow")]
    AfterEnd(&'static str),
}

/// How a capture ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// With an `end` line of this reason.
    Ended(EndReason),
    /// No `end`: killed between two lines, or still being written.
    NoEnd,
    /// No `end`, and the last line was torn.
    Torn,
    /// Nothing in it.
    Empty,
}

impl Tail {
    /// Whether the run counts as interrupted.
    pub fn is_interrupted(self) -> bool {
        self != Tail::Ended(EndReason::Done)
    }
}

/// Where in the order of `start`, lines, `end` the reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    BeforeStart,
    Within,
    AfterEnd(EndReason),
}

/// What decides about a line, without borrowing from it.
#[derive(Debug, Clone, Copy)]
enum Found {
    Canonical(decode::Shape),
    Other,
}

pub struct Reader<R> {
    input: Hashing<R>,
    options: ReaderOptions,
    /// The present line, without its line break; its memory is used again for the next.
    text: String,
    number: u64,
    skipped: u64,
    last_at: Option<Timestamp>,
    place: Place,
    torn: bool,
    finished: bool,
    /// The present line is still to be given out.
    held: Option<Found>,
}

impl<R: BufRead> Reader<R> {
    pub fn new(input: R, options: ReaderOptions) -> Reader<R> {
        Reader::over(Hashing::new(input, true), options)
    }

    /// For an input that hashes by itself, on another core perhaps; `sha256` has nothing to say then.
    pub fn hashed_elsewhere(input: R, options: ReaderOptions) -> Reader<R> {
        Reader::over(Hashing::new(input, false), options)
    }

    fn over(input: Hashing<R>, options: ReaderOptions) -> Reader<R> {
        Reader {
            input,
            options,
            text: String::new(),
            number: 0,
            skipped: 0,
            last_at: None,
            place: Place::BeforeStart,
            torn: false,
            finished: false,
            held: None,
        }
    }

    /// Reads the first line. `None`: the capture is empty or torn in its first line, or its `start`
    /// is damaged and damage is skipped; the line that stands there instead comes with `next`.
    pub fn read_start(&mut self) -> Result<Option<(Timestamp, Start)>, CaptureError> {
        let Some(found) = self.find()? else { return Ok(None) };
        match self.lend(found)?.observation {
            Observation { at, event: Event::Start(start) } => Ok(Some((at, *start))),
            _ => {
                self.held = Some(found);
                Ok(None)
            }
        }
    }

    /// The next line; `None` at the end of the capture and after an error.
    #[allow(clippy::should_implement_trait, reason = "the line borrows from the reader")]
    pub fn next(&mut self) -> Option<Result<Line<'_>, CaptureError>> {
        match self.find() {
            Ok(Some(found)) => Some(self.lend(found)),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// Goes on to the next good line.
    fn find(&mut self) -> Result<Option<Found>, CaptureError> {
        if let Some(found) = self.held.take() {
            return Ok(Some(found));
        }
        loop {
            match self.advance()? {
                Some(Ok(found)) => return Ok(Some(found)),
                Some(Err(kind)) => self.skip(kind)?,
                None => return Ok(None),
            }
        }
    }

    /// The present line, lent out.
    fn lend(&self, found: Found) -> Result<Line<'_>, CaptureError> {
        let text = self.text.as_str();
        let observation = match found {
            Found::Canonical(shape) => shape.observation(text),
            // Read a second time: the first look, in a loop, could not lend the line out.
            Found::Other => decode_slow(text).map_err(|error| CaptureError {
                line: self.number,
                kind: CaptureErrorKind::Damaged(error),
            })?,
        };
        Ok(Line { number: self.number, text, observation })
    }

    /// The present line turned out to be damaged after all (its body is no JSON and `decode_slow`
    /// does not help): counted when damage is skipped, else the error to end with.
    pub fn damaged(&mut self, error: LineError) -> Result<(), CaptureError> {
        self.skip(CaptureErrorKind::Damaged(error))
    }

    /// Lines read so far.
    pub fn lines(&self) -> u64 {
        self.number
    }

    /// Damaged lines skipped so far.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How the capture ended; says the truth once `next` has given `None`.
    pub fn tail(&self) -> Tail {
        match self.place {
            _ if self.number == 0 && !self.torn => Tail::Empty,
            Place::AfterEnd(reason) if !self.torn => Tail::Ended(reason),
            _ if self.torn => Tail::Torn,
            _ => Tail::NoEnd,
        }
    }

    /// SHA-256 over the uncompressed bytes, in hexadecimal, once `next` has given `None`; before
    /// that, over what was read ahead so far. Empty where the input is hashed elsewhere.
    pub fn sha256(&self) -> String {
        self.input.hash.as_ref().map(|hash| hexadecimal(hash.clone().finish().as_ref())).unwrap_or_default()
    }

    /// What is read from.
    pub fn input(&self) -> &R {
        &self.input.inner
    }

    fn skip(&mut self, kind: CaptureErrorKind) -> Result<(), CaptureError> {
        let never = matches!(
            kind,
            CaptureErrorKind::Io(_)
                | CaptureErrorKind::Damaged(LineError::Version(_))
                | CaptureErrorKind::SecondStart
                | CaptureErrorKind::AfterEnd(_)
        );
        if self.options.skip_damaged && !never {
            self.skipped += 1;
            return Ok(());
        }
        self.finished = true;
        Err(CaptureError { line: self.number, kind })
    }

    /// Reads one line and looks at it: outer error for input that fails, inner for a bad line.
    #[allow(clippy::type_complexity, reason = "three outcomes of one step, taken apart at once")]
    fn advance(&mut self) -> Result<Option<Result<Found, CaptureErrorKind>>, CaptureError> {
        loop {
            if self.finished {
                return Ok(None);
            }
            let Some((is_utf8, is_whole)) = self.read_line()? else { return Ok(None) };
            if is_utf8 && self.text.trim_ascii().is_empty() {
                continue;
            }
            let is_last = !is_whole || self.at_end()?;
            let found = self.look(is_utf8, is_last);
            if is_last {
                self.finished = true;
                if let Err(CaptureErrorKind::Damaged(LineError::NotJson(_) | LineError::NotUtf8)) = found {
                    self.torn = true;
                    return Ok(None);
                }
            }
            return Ok(Some(found));
        }
    }

    /// Fills `text` with the next line: whether it is UTF-8, and whether its line break was there.
    fn read_line(&mut self) -> Result<Option<(bool, bool)>, CaptureError> {
        let mut bytes = std::mem::take(&mut self.text).into_bytes();
        bytes.clear();
        let read = match self.input.read_until(b'\n', &mut bytes) {
            // A compressed capture that was torn ends so: what came before it still counts.
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
            _ => Ok(()),
        };
        if let Err(error) = read {
            self.finished = true;
            return Err(CaptureError { line: self.number + 1, kind: CaptureErrorKind::Io(error) });
        }
        if bytes.is_empty() {
            self.finished = true;
            return Ok(None);
        }
        self.number += 1;
        let is_whole = bytes.last() == Some(&b'\n');
        if is_whole {
            bytes.pop();
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        match String::from_utf8(bytes) {
            Ok(text) => {
                self.text = text;
                Ok(Some((true, is_whole)))
            }
            Err(_) => Ok(Some((false, is_whole))),
        }
    }

    fn at_end(&mut self) -> Result<bool, CaptureError> {
        match self.input.fill_buf() {
            Ok(bytes) => Ok(bytes.is_empty()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
            // The next read meets the error again and reports it; this line still counts.
            Err(_) => Ok(false),
        }
    }

    fn look(&mut self, is_utf8: bool, is_last: bool) -> Result<Found, CaptureErrorKind> {
        if !is_utf8 {
            return Err(CaptureErrorKind::Damaged(LineError::NotUtf8));
        }
        if !is_last && let Some(shape) = scan(&self.text) {
            self.put_in_order(shape.at, Mark::Other, shape.kind())?;
            return Ok(Found::Canonical(shape));
        }
        let observation = decode_checked(&self.text).map_err(CaptureErrorKind::Damaged)?;
        let mark = match observation.event {
            Event::Start(_) => Mark::Start,
            Event::End { reason } => Mark::End(reason),
            _ => Mark::Other,
        };
        let (at, kind) = (observation.at, super::encode::kind_name(&observation.event));
        // The last line may be canonical up to a body that is none: only what agrees is.
        let shape = scan(&self.text).filter(|shape| shape.observation(&self.text) == observation);
        self.put_in_order(at, mark, kind)?;
        Ok(shape.map_or(Found::Other, Found::Canonical))
    }

    /// Checks the order of times and of `start`, lines, `end`; nothing changes if it is wrong.
    fn put_in_order(
        &mut self,
        at: Timestamp,
        mark: Mark,
        kind: &'static str,
    ) -> Result<(), CaptureErrorKind> {
        let place = match (self.place, mark) {
            (Place::Within, Mark::Start) => return Err(CaptureErrorKind::SecondStart),
            (Place::AfterEnd(_), Mark::Other | Mark::End(_)) => return Err(CaptureErrorKind::AfterEnd(kind)),
            // Without its damaged `start`, the rest of a capture can still be read.
            // Once a damaged `start` was skipped, the rest of a capture can still be read.
            (Place::BeforeStart, Mark::Other | Mark::End(_)) if self.skipped == 0 => {
                return Err(CaptureErrorKind::NoStart(kind));
            }
            _ => mark.place(),
        };
        if let Some(before) = self.last_at.filter(|before| at < *before) {
            return Err(CaptureErrorKind::Decreasing { at, before });
        }
        self.last_at = Some(at);
        self.place = place;
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
enum Mark {
    Start,
    End(EndReason),
    Other,
}

impl Mark {
    fn place(self) -> Place {
        match self {
            Mark::End(reason) => Place::AfterEnd(reason),
            Mark::Start | Mark::Other => Place::Within,
        }
    }
}

impl<R> std::fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("number", &self.number)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// Hashes what passes through, a whole buffer at a time: line by line would take twice as long.
struct Hashing<R> {
    inner: R,
    hash: Option<digest::Context>,
    /// How much of the present buffer is hashed already.
    hashed: usize,
}

impl<R: BufRead> Hashing<R> {
    fn new(inner: R, is_wanted: bool) -> Hashing<R> {
        Hashing { inner, hash: is_wanted.then(|| digest::Context::new(&digest::SHA256)), hashed: 0 }
    }
}

impl<R: BufRead> io::Read for Hashing<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(out.len());
        out[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Hashing<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let buffer = self.inner.fill_buf()?;
        if let Some(hash) = &mut self.hash
            && buffer.len() > self.hashed
        {
            hash.update(&buffer[self.hashed..]);
            self.hashed = buffer.len();
        }
        Ok(buffer)
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
        self.hashed = self.hashed.saturating_sub(count);
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
    use super::*;

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
