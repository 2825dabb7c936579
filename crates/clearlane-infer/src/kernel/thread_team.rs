//! Several threads on one run.
//!
//! A run is a list of tasks in waves; a wave's tasks are independent of each other, and depend on all waves before. Each
//! thread begins with its own share of a wave, so that it finds what it wrote itself in its cache, and then takes what
//! others have not begun. Only threads that run take tasks, so a thread that the pool never starts delays none. `interleavings/` tries
//! it in every order that the memory model allows.

use std::ops::Range;

use crate::InferError;
use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering, PoisonError, spin_loop, yield_now};

/// What a task does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Loads the image.
    Load,
    Step(usize),
    /// Zeroes floats of the arena that no step uses any more.
    Wipe(Range<usize>),
}

/// A part of a step.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) work: Work,
    pub(crate) rows: Range<usize>,
    /// Groups of output blocks for a dense convolution, planes for other operators.
    pub(crate) parts: Range<usize>,
    /// How many tasks there are in the waves before.
    pub(crate) after: usize,
}

/// The threads on one run.
pub(crate) struct ThreadTeam<'a> {
    tasks: &'a [Task],
    run: &'a (dyn Fn(&Task) -> Result<(), InferError> + Sync),
    threads: usize,
    taken: Vec<AtomicBool>,
    finished: AtomicUsize,
    failure: Mutex<Option<InferError>>,
}

impl<'a> ThreadTeam<'a> {
    pub(crate) fn new(
        tasks: &'a [Task],
        threads: usize,
        run: &'a (dyn Fn(&Task) -> Result<(), InferError> + Sync),
    ) -> Self {
        let taken = tasks.iter().map(|_| AtomicBool::new(false)).collect();
        Self { tasks, run, threads, taken, finished: AtomicUsize::new(0), failure: Mutex::new(None) }
    }

    /// Works as one of the threads, counted from 0, until every task is taken.
    pub(crate) fn work(&self, thread: usize) {
        for wave in self.tasks.chunk_by(|a, b| a.after == b.after) {
            let Some(first) = wave.first().map(|task| task.after) else { continue };
            self.wait(first);
            let (taken, share) = (&self.taken[first..first + wave.len()], thread * wave.len() / self.threads);
            for index in (share..wave.len()).chain(0..share) {
                if !taken[index].load(Ordering::Relaxed) && !taken[index].swap(true, Ordering::Relaxed) {
                    let _finished = Finished(&self.finished);
                    if let Err(error) = (self.run)(&wave[index]) {
                        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    }
                }
            }
        }
    }

    /// Waits until others have finished what they took, and gives the run's outcome.
    pub(crate) fn outcome(&self) -> Result<(), InferError> {
        self.wait(self.tasks.len());
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }

    fn wait(&self, tasks: usize) {
        let mut spins = 0_u32;
        while self.finished.load(Ordering::Acquire) < tasks {
            spins += 1;
            if spins.is_multiple_of(4096) {
                yield_now();
            } else {
                spin_loop();
            }
        }
    }
}

/// Counts a task as finished when dropped, even one that panicked: others would wait for it for ever.
struct Finished<'a>(&'a AtomicUsize);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}
