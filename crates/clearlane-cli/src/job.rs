//! A job over many subjects: its progress, and Ctrl-C after each batch.

use std::ops::ControlFlow;
use std::time::Instant;

use crate::failure::Result;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::progress::Progress;

/// A job that is being done batch by batch; what is done is on disk.
pub(crate) struct Job {
    total: u64,
    progress: Progress,
    interrupt: Interrupt,
    start: Instant,
}

impl Job {
    /// Begins a job over `total` subjects.
    pub(crate) fn begin(total: usize, what: &'static str, output: &Output) -> Result<Self> {
        let (total, interrupt) = (total as u64, Interrupt::listen()?);
        Ok(Self { total, progress: output.progress(total, what), interrupt, start: Instant::now() })
    }

    /// After a batch: so many subjects are done. Breaks where the user asked to stop.
    pub(crate) fn reached(&self, done: u64) -> ControlFlow<()> {
        self.progress.at(done, self.total);
        if self.interrupt.requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Ends the job: the seconds that it took, and whether it was interrupted before all were done.
    pub(crate) fn end(self, done: u64) -> (f64, bool) {
        self.progress.done();
        (self.start.elapsed().as_secs_f64(), done < self.total)
    }
}
