//! Lines of a capture read along the plan before they are judged, a block at a time.
//!
//! Reading a batch is a pure function of its block and the plan, so that it can be done on any thread, ahead
//! of the fold; the fold takes batches in order. Neither knows how many threads there are.

use super::Engine;
use super::extract::{self, Extraction, Reading};
use super::plan::Plan;
use crate::capture::block::{Block, RawLine};
use crate::capture::sequence::{Seen, look};
use crate::capture::{CaptureError, CaptureErrorKind, LineError, Sequence};
use crate::model::Observation;

/// A block of lines and what was read out of them. Its memory is used again.
#[derive(Debug, Default)]
pub struct Batch {
    pub block: Block,
    lines: Vec<Looked>,
    extraction: Extraction,
}

/// One line that is not blank.
#[derive(Debug)]
struct Looked {
    /// Its place in the block.
    index: usize,
    seen: Result<Seen, LineError>,
    /// What its body holds, or why the line is damaged although it looked good.
    reading: Result<Reading, LineError>,
}

impl Batch {
    /// Reads the block's lines and their bodies.
    pub fn read(&mut self, plan: &Plan) {
        self.extraction.clear();
        self.lines.clear();
        for (index, line) in self.block.lines().enumerate() {
            let Some(looked) = look(&line) else { continue };
            let (seen, reading) = match looked {
                Ok(seen) => read_body(plan, &line, seen, &mut self.extraction),
                Err(error) => (Err(error), Ok(Reading::default())),
            };
            self.lines.push(Looked { index, seen, reading });
        }
    }

    /// Folds the batch into `engine`, up to the first line that is an error. `meet` sees each line's number
    /// and observation before it is judged, and may refuse it.
    pub fn fold<E: From<CaptureError>>(
        &mut self,
        sequence: &mut Sequence,
        engine: &mut Engine,
        mut meet: impl FnMut(u64, &Observation<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for Looked { index, seen, reading } in self.lines.drain(..) {
            let line = self.block.line(index);
            let Some(seen) = sequence.admit(line.number, line.is_last, seen)? else { continue };
            match (seen.observation(line.text), reading) {
                (Ok(observation), Ok(reading)) => {
                    meet(line.number, &observation)?;
                    engine.observe_read(&observation, reading, &self.extraction);
                }
                (Err(damage), _) | (_, Err(damage)) => sequence.damaged(line.number, damage)?,
            }
        }
        match self.block.take_failure() {
            Some((line, error)) => Err(CaptureError { line, kind: CaptureErrorKind::Io(error) }.into()),
            None => Ok(()),
        }
    }
}

fn read_body(
    plan: &Plan,
    line: &RawLine<'_>,
    seen: Seen,
    out: &mut Extraction,
) -> (Result<Seen, LineError>, Result<Reading, LineError>) {
    let quick = seen.observation(line.text).map(|found| extract::read(plan, &found.event, out));
    if let Ok(Ok(reading)) = quick {
        return (Ok(seen), Ok(reading));
    }
    // Another writer may have put members behind the body.
    let seen = seen.thorough();
    let reading = seen.observation(line.text).and_then(|found| {
        extract::read(plan, &found.event, out).map_err(|_| LineError::NotJson("its body is no JSON".into()))
    });
    (Ok(seen), reading)
}
