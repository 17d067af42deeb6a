//! A recording read ahead of whoever plays it: on a thread of its own, so that no disk holds up a socket,
//! and not further ahead than a little memory allows. Must not know when anything is due.

use super::file::open_capture;
use crate::capture::{CaptureError, Line, Reader, ReaderOptions, Tail, decode_slow};
use crate::model::json::is_json;
use crate::model::{Event, Observation, Payload};
use crate::playback::Step;
use std::io::{self, Read};
use std::path::Path;
use tokio::sync::mpsc;

/// Steps that are handed over together: a step may hold a body of many megabytes, or nearly nothing.
const BATCH_BYTES: usize = 256 * 1024;
/// Batches that wait: one to play while the next is read.
const BATCHES_WAITING: usize = 2;

/// What is read of a recording, in order; the last is its end or what is wrong with it.
#[derive(Debug)]
pub enum ReadSteps {
    Steps(Vec<Step>),
    End(Tail),
    Failed(CaptureError),
}

/// Begins to read a recording.
pub fn read_steps(path: &Path) -> io::Result<mpsc::Receiver<ReadSteps>> {
    let mut reader = Reader::new(open_capture(path)?, ReaderOptions::default());
    let (sender, receiver) = mpsc::channel(BATCHES_WAITING);
    let read = move || {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let done = each_line(&mut reader, |line| {
            let Some(step) = Step::of(&line.observation) else { return true };
            bytes += step.bytes();
            batch.push(step);
            if bytes < BATCH_BYTES {
                return true;
            }
            bytes = 0;
            sender.blocking_send(ReadSteps::Steps(std::mem::take(&mut batch))).is_ok()
        });
        // Nobody takes what follows where the recording is not played on.
        let _ = sender.blocking_send(ReadSteps::Steps(batch));
        let _ = sender.blocking_send(match done {
            Ok(tail) => ReadSteps::End(tail),
            Err(error) => ReadSteps::Failed(error),
        });
    };
    std::thread::Builder::new().name("capture".into()).spawn(read)?;
    Ok(receiver)
}

/// Gives every line of a recording, until it ends, is damaged, or nobody wants more. How the recording ends.
pub fn each_line<R: Read>(
    reader: &mut Reader<R>,
    mut take: impl FnMut(&Line<'_>) -> bool,
) -> Result<Tail, CaptureError> {
    loop {
        let damage = match reader.next() {
            None => return Ok(reader.tail()),
            Some(line) => {
                let line = line?;
                if is_whole(&line.observation) {
                    if !take(&line) {
                        return Ok(Tail::NoEnd);
                    }
                    continue;
                }
                // Members of another writer may stand after the body: then the thorough way reads it.
                match decode_slow(line.text) {
                    Ok(observation) => {
                        if !take(&Line { observation, ..line }) {
                            return Ok(Tail::NoEnd);
                        }
                        continue;
                    }
                    Err(error) => error,
                }
            }
        };
        reader.damaged(damage)?;
    }
}

/// Whether a body that should be JSON is.
fn is_whole(observation: &Observation<'_>) -> bool {
    match &observation.event {
        Event::Rest { payload: Payload::Json { text, .. }, .. }
        | Event::Ws { payload: Payload::Json { text, .. }, .. } => is_json(text),
        _ => true,
    }
}
