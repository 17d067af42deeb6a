//! The rules of SPEC §4 about whole captures: what is torn, what is damaged, what is out of order.
//!
//! `look` says what one line is by itself, on any thread; `Sequence` takes the lines in order and says which
//! of them count. A torn last line, a missing `end` and an empty file are an interrupted run; damage in the
//! middle, a decreasing `at`, an unknown kind or a newer version is an error with its line number, or skipped
//! and counted.
//!
//! A body's JSON is not validated here, except on the last line (where a tear must be told from damage):
//! whoever judges walks each body once. Finds it that a body is no JSON, it tries `decode_slow`, and if that
//! fails too, calls [`Sequence::damaged`].

use super::block::RawLine;
use super::decode::{LineError, Shape, decode_checked, decode_slow, scan};
use crate::model::{EndReason, Event, Observation, Timestamp};
use std::io;

#[derive(Debug, Clone, Copy, Default)]
pub struct ReaderOptions {
    /// Skip and count damaged lines (a decreasing `at` too) instead of ending with an error.
    pub skip_damaged: bool,
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

/// What one line is by itself, without borrowing from it.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    at: Timestamp,
    place: Place,
    is_start: bool,
    kind: &'static str,
    /// Of a canonical line.
    shape: Option<Shape>,
}

impl Seen {
    /// The observation of the very line that was looked at; its body is not validated.
    pub fn observation<'a>(&self, line: &'a str) -> Result<Observation<'a>, LineError> {
        match &self.shape {
            Some(shape) => Ok(shape.observation(line)),
            None => decode_slow(line),
        }
    }

    /// The same line read the thorough way: what stands behind the body is no part of it.
    pub fn thorough(self) -> Seen {
        Seen { shape: None, ..self }
    }
}

/// Looks at one line by itself; `None` for a blank one.
pub fn look(line: &RawLine<'_>) -> Option<Result<Seen, LineError>> {
    if !line.is_utf8 {
        return Some(Err(LineError::NotUtf8));
    }
    if !line.is_last
        && let Some(shape) = scan(line.text)
    {
        let (at, kind) = (shape.at, shape.kind());
        return Some(Ok(Seen { at, place: Place::Within, is_start: false, kind, shape: Some(shape) }));
    }
    if line.text.trim_ascii().is_empty() {
        return None;
    }
    Some(decode_checked(line.text).map(|observation| {
        let place = match observation.event {
            Event::End { reason } => Place::AfterEnd(reason),
            _ => Place::Within,
        };
        let is_start = matches!(observation.event, Event::Start(_));
        let (at, kind) = (observation.at, super::encode::kind_name(&observation.event));
        // The last line may be canonical up to a body that is none: only what agrees is.
        let shape = scan(line.text).filter(|shape| shape.observation(line.text) == observation);
        Seen { at, place, is_start, kind, shape }
    }))
}

/// Takes the lines of a capture in order.
#[derive(Debug, Clone)]
pub struct Sequence {
    options: ReaderOptions,
    lines: u64,
    skipped: u64,
    last_at: Option<Timestamp>,
    place: Place,
    torn: bool,
}

impl Sequence {
    pub fn new(options: ReaderOptions) -> Sequence {
        Sequence { options, lines: 0, skipped: 0, last_at: None, place: Place::BeforeStart, torn: false }
    }

    /// Takes what the next line was found to be. `None` when it does not count: skipped, or torn.
    pub fn admit(
        &mut self,
        line: u64,
        is_last: bool,
        looked: Result<Seen, LineError>,
    ) -> Result<Option<Seen>, CaptureError> {
        self.lines = line;
        let kind = match looked {
            Ok(seen) => match self.put_in_order(&seen) {
                Ok(()) => return Ok(Some(seen)),
                Err(kind) => kind,
            },
            Err(LineError::NotJson(_) | LineError::NotUtf8) if is_last => {
                self.torn = true;
                return Ok(None);
            }
            Err(error) => CaptureErrorKind::Damaged(error),
        };
        self.skip(line, kind).map(|()| None)
    }

    /// A line that was admitted turned out to be damaged after all (its body is no JSON and `decode_slow`
    /// does not help): counted when damage is skipped, else the error to end with.
    pub fn damaged(&mut self, line: u64, error: LineError) -> Result<(), CaptureError> {
        self.skip(line, CaptureErrorKind::Damaged(error))
    }

    /// Damaged lines skipped so far.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How the capture ended; says the truth once all lines have been taken.
    pub fn tail(&self) -> Tail {
        match self.place {
            _ if self.torn => Tail::Torn,
            _ if self.lines == 0 => Tail::Empty,
            Place::AfterEnd(reason) => Tail::Ended(reason),
            _ => Tail::NoEnd,
        }
    }

    fn skip(&mut self, line: u64, kind: CaptureErrorKind) -> Result<(), CaptureError> {
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
        Err(CaptureError { line, kind })
    }

    /// Checks the order of times and of `start`, lines, `end`; nothing changes if it is wrong.
    fn put_in_order(&mut self, seen: &Seen) -> Result<(), CaptureErrorKind> {
        match (self.place, seen.is_start) {
            (Place::Within, true) => return Err(CaptureErrorKind::SecondStart),
            (Place::AfterEnd(_), false) => return Err(CaptureErrorKind::AfterEnd(seen.kind)),
            // Once a damaged `start` was skipped, the rest of a capture can still be read.
            (Place::BeforeStart, false) if self.skipped == 0 => {
                return Err(CaptureErrorKind::NoStart(seen.kind));
            }
            _ => {}
        }
        if let Some(before) = self.last_at.filter(|before| seen.at < *before) {
            return Err(CaptureErrorKind::Decreasing { at: seen.at, before });
        }
        self.last_at = Some(seen.at);
        self.place = seen.place;
        Ok(())
    }
}
