//! Passages that lanes record at the same time share one transaction, and so one wait for the disk.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::{NewRecord, Record, Register, Result, StoreError};

/// Records that wait for whoever writes next.
#[derive(Default)]
pub(crate) struct Gathering {
    state: Mutex<State>,
    written: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Arc<Waiting>>,
    /// Whether somebody writes.
    writing: bool,
}

/// A record, and the number that it got once it is on disk.
struct Waiting {
    record: NewRecord,
    seq: OnceLock<u64>,
}

/// Who writes, for as long as they do: however that ends, the others are woken.
struct Writing<'a>(&'a Gathering);

impl Register {
    /// Records one passage, durably. Returns the record's number.
    ///
    /// Threads that share this register and record at the same time wait for the disk together: one writes for all who
    /// wait, the next for all who came meanwhile. Each returns once its own record is on disk, or could not be written.
    pub fn append_record(&self, record: &NewRecord) -> Result<u64> {
        record.check()?;
        let own = Arc::new(Waiting { record: record.clone(), seq: OnceLock::new() });
        let Some((_writing, mut batch)) = self.gathering.join(&own) else {
            return Ok(own.seq.get().copied().unwrap_or_default());
        };
        let mut written = self.append_waiting(&batch);
        // One record that cannot be written is no reason for the others: each tries again by itself.
        if batch.len() > 1 && !matches!(written, Ok(_) | Err(StoreError::Locked { .. })) {
            batch = vec![Arc::clone(&own)];
            written = self.append_waiting(&batch);
        }
        let mut seq = 0;
        for (waiting, record) in batch.iter().zip(written?) {
            seq = if Arc::ptr_eq(waiting, &own) { record.seq } else { seq };
            // Nobody else has set it: a record is taken along by one at a time.
            let _ = waiting.seq.set(record.seq);
        }
        Ok(seq)
    }

    fn append_waiting(&self, batch: &[Arc<Waiting>]) -> Result<Vec<Record>> {
        let records: Vec<_> = batch.iter().map(|waiting| &waiting.record).collect();
        self.write(|transaction| self.append(transaction, &records))
    }
}

impl Gathering {
    /// Waits until `own` is written, which is `None`, or until it is the caller's turn to write: all who wait, `own` among
    /// them.
    fn join(&self, own: &Arc<Waiting>) -> Option<(Writing<'_>, Vec<Arc<Waiting>>)> {
        let mut state = self.lock();
        state.waiting.push(Arc::clone(own));
        while state.writing {
            state = self.written.wait(state).unwrap_or_else(PoisonError::into_inner);
            if own.seq.get().is_some() {
                return None;
            }
        }
        state.writing = true;
        let mut batch = mem::take(&mut state.waiting);
        // Somebody who failed has taken it along before.
        if !batch.iter().any(|waiting| Arc::ptr_eq(waiting, own)) {
            batch.push(Arc::clone(own));
        }
        Some((Writing(self), batch))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.lock().writing = false;
        self.0.written.notify_all();
    }
}
