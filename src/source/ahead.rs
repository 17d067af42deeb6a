//! A capture read by several threads: blocks are read, hashed and taken apart ahead of the fold, which gets
//! them in order.
//!
//! Owns the threads of a replay, how far they may run ahead, and how memory goes round. What a batch holds is
//! a pure function of its block, and batches are folded in order on the caller's thread, so how many threads
//! there are changes nothing but the time. Must not judge.

use crate::capture::Blocks;
use crate::engine::Batch;
use crate::engine::plan::Plan;
use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// More threads find nothing to do: the fold is one thread's work, and takes about as long as all else.
const MOST_THREADS: usize = 3;

/// Text that may be read ahead of the fold: enough to even out the threads' paces.
const AHEAD_BYTES: usize = 1024 * 1024;

/// Memory of a batch with longer lines than this is not kept.
const KEPT_BYTES: usize = 1024 * 1024;

/// As many threads as the machine has and as help.
pub fn default_threads() -> NonZeroUsize {
    let most = NonZeroUsize::new(MOST_THREADS).unwrap_or(NonZeroUsize::MIN);
    thread::available_parallelism().map_or(NonZeroUsize::MIN, |n| n.min(most))
}

/// Gives all batches of `blocks`, `first` before them, to `fold`, in order, until it fails. With one thread
/// all is done on the caller's.
pub fn read_ahead<R: Read + Send, E>(
    blocks: &mut Blocks<R>,
    first: VecDeque<Batch>,
    plan: &Plan,
    threads: NonZeroUsize,
    fold: impl FnMut(&mut Batch) -> Result<(), E>,
) -> Result<(), E> {
    let shared = Shared {
        source: Mutex::new(Source { blocks, first, taken: 0 }),
        queue: Mutex::new(Queue::default()),
        changed: Condvar::new(),
        plan,
    };
    thread::scope(|scope| {
        for number in 1..threads.get() {
            // Without another thread the caller's does the work.
            let builder = thread::Builder::new().name(format!("capture-{number}"));
            let _ = builder.spawn_scoped(scope, || shared.work());
        }
        let _stop = Stop(&shared);
        shared.fold(fold)
    })
}

struct Shared<'s, R> {
    source: Mutex<Source<'s, R>>,
    queue: Mutex<Queue>,
    changed: Condvar,
    plan: &'s Plan,
}

struct Source<'s, R> {
    blocks: &'s mut Blocks<R>,
    first: VecDeque<Batch>,
    taken: u64,
}

#[derive(Default)]
struct Queue {
    /// Read and not folded yet, by number.
    ready: BTreeMap<u64, Batch>,
    /// Length of their texts.
    bytes: usize,
    /// Taken from the source and not ready yet.
    under_way: usize,
    spare: Vec<Batch>,
    /// There is nothing more to take.
    exhausted: bool,
    stopped: bool,
}

impl<R: Read> Shared<'_, R> {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'q>(&self, queue: MutexGuard<'q, Queue>) -> MutexGuard<'q, Queue> {
        self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread that reads ahead.
    fn work(&self) {
        loop {
            let mut queue = self.queue();
            while queue.bytes >= AHEAD_BYTES && !queue.stopped {
                queue = self.wait(queue);
            }
            if queue.stopped || queue.exhausted {
                return;
            }
            self.read_one(queue);
        }
    }

    /// Takes the next block, reads it, and puts it among the ready ones.
    fn read_one(&self, mut queue: MutexGuard<'_, Queue>) {
        queue.under_way += 1;
        let mut batch = queue.spare.pop().unwrap_or_default();
        drop(queue);
        let _under_way = UnderWay(self);
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let number = source.taken;
        let found = match source.first.pop_front() {
            Some(first) => {
                batch = first;
                true
            }
            None => source.blocks.fill(&mut batch.block),
        };
        source.taken += u64::from(found);
        drop(source);
        if !found {
            self.queue().exhausted = true;
            return;
        }
        batch.read(self.plan);
        let mut queue = self.queue();
        queue.bytes += batch.block.bytes();
        queue.ready.insert(number, batch);
    }

    /// Folds batch after batch; where the next one is not ready, helps reading. Where enough is ready behind
    /// it, it is under way.
    fn fold<E>(&self, mut fold: impl FnMut(&mut Batch) -> Result<(), E>) -> Result<(), E> {
        let mut next = 0;
        loop {
            let mut queue = self.queue();
            if let Some(mut batch) = queue.ready.remove(&next) {
                next += 1;
                queue.bytes -= batch.block.bytes();
                drop(queue);
                self.changed.notify_all();
                fold(&mut batch)?;
                if batch.block.bytes() <= KEPT_BYTES {
                    self.queue().spare.push(batch);
                }
            } else if !queue.exhausted && queue.bytes < AHEAD_BYTES {
                self.read_one(queue);
            } else if queue.under_way > 0 {
                drop(self.wait(queue));
            } else {
                return Ok(());
            }
        }
    }
}

/// One block that is under way, until it is ready or its thread has come to grief.
struct UnderWay<'u, 's, R>(&'u Shared<'s, R>);

impl<R> Drop for UnderWay<'_, '_, R> {
    fn drop(&mut self) {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).under_way -= 1;
        self.0.changed.notify_all();
    }
}

/// Sends the threads home, whatever made the fold end.
struct Stop<'u, 's, R>(&'u Shared<'s, R>);

impl<R> Drop for Stop<'_, '_, R> {
    fn drop(&mut self) {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
        self.0.changed.notify_all();
    }
}
