//! Group commit: passages that lanes conclude at the same time share one transaction, and so one wait for the disk. Each is
//! judged within it: what is recorded is decided on the very state of the register that the record is added to.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clearlane_template::{SubjectId, TemplateId};
use jiff::Timestamp;

use crate::enrol::whole_or_refused;
use crate::register::LONGEST_WAIT;
use crate::state::State;
use crate::tree::{NONE, Tree};
use crate::{NewRecord, Record, Register, Result, StoreError, Subject, chain, claim, clock, record, rows};

/// Decides on one passage, from the register as it stands at the moment of the record.
///
/// It may be asked again, where the transaction that it was asked in is not kept: only the answer that is recorded counts.
/// It runs on whichever thread writes, and should take microseconds.
pub type Verdict = dyn Fn(&mut Standing<'_, '_>) -> Result<NewRecord> + Send + Sync;

/// The register as it stands while a passage is judged. Nobody changes it until the record is written.
pub struct Standing<'s, 'a>(&'s mut State<'a>);

impl Standing<'_, '_> {
    /// The subject with this id, as the register has it at this moment: revoked, changed or enrolled.
    pub fn subject(&self, id: SubjectId) -> Result<Option<Subject>> {
        rows::by_id(self.0, id)
    }

    /// Whether the register has the template with this id, at this moment.
    pub fn holds_template(&self, id: TemplateId) -> Result<bool> {
        Ok(self.0.leaf(Tree::Templates, id.0)? != NONE)
    }

    /// Uses up the claim with this nonce, which is good until `until`, together with the record. `false`: it was used
    /// before.
    pub fn spend_claim(&mut self, nonce: [u8; 16], until: Timestamp) -> Result<bool> {
        claim::spend(self.0, nonce, until)
    }

    /// Whether no fault was noted since a check that found nothing wrong, by whichever process.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.0.root.checked.is_some() && self.0.root.faults == self.0.root.cleared
    }

    /// The time by which a passage is judged: `now`, or the newest record's where a clock is behind it by a little. An
    /// error where a clock that says `now` cannot be right ([`StoreError::ImplausibleClock`]).
    pub fn time(&self, now: Timestamp) -> Result<Timestamp> {
        clock::plausible(self.0.root.clock, now)?;
        Ok(self.0.root.clock.map_or(now, |newest| newest.max(now)))
    }

    /// The register's id, which claims name.
    #[must_use]
    pub fn register(&self) -> [u8; 16] {
        self.0.core.keys.register()
    }
}

/// The passages that wait for the next transaction.
#[derive(Default)]
pub(crate) struct GroupCommit {
    state: Mutex<Queue>,
    written: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Arc<Waiting>>,
    /// Whether somebody writes.
    writing: bool,
}

/// A passage that waits, and its record once that is on disk, or why it is not.
struct Waiting {
    verdict: Arc<Verdict>,
    /// For how long.
    until: Instant,
    done: Mutex<Option<Result<Record>>>,
}

/// Who writes, for as long as they do, and for whom: however that ends, those who have no answer wait on, and all are woken.
struct Writing<'a> {
    group_commit: &'a GroupCommit,
    batch: Vec<Arc<Waiting>>,
}

impl Register {
    /// Records one passage, durably. Returns the record's number.
    ///
    /// Threads that share this register and record at the same time wait for the disk together: see [`Self::conclude`].
    pub fn append_record(&self, record: &NewRecord) -> Result<u64> {
        record.check()?;
        let record = record.clone();
        Ok(self.conclude(Arc::new(move |_| Ok(record.clone())), self.wait)?.seq)
    }

    /// Judges one passage and records what it came to, in one transaction, and returns the record once it is on disk.
    /// Whatever is committed before is seen by the verdict, and whatever comes later comes after the record.
    ///
    /// Threads that share this register and conclude at the same time wait for the disk together: one judges and writes
    /// for all who wait, the next for all who came meanwhile. Each returns once its own record is on disk, or could not be
    /// written. Waits no longer than `wait` for another process that writes; the disk itself may take its time.
    pub fn conclude(&self, verdict: Arc<Verdict>, wait: Duration) -> Result<Record> {
        let until = Instant::now() + wait.min(LONGEST_WAIT);
        let own = Arc::new(Waiting { verdict, until, done: Mutex::default() });
        loop {
            let Some(writing) = self.group_commit.join(&own) else { return own.take(self) };
            let mut written = self.conclude_all(&writing.batch);
            // One passage that cannot be written is no reason for the others: each tries again by itself.
            if writing.batch.len() > 1
                && written.as_ref().is_err_and(|error| !matches!(error, StoreError::Locked { .. }))
            {
                written = self.conclude_all(std::slice::from_ref(&own));
                if let Ok(records) = &mut written
                    && let Some(record) = records.pop()
                {
                    return record;
                }
            }
            match written {
                Ok(records) => {
                    for (waiting, record) in writing.batch.iter().zip(records) {
                        *lock(&waiting.done) = Some(record);
                    }
                    return own.take(self);
                }
                // Somebody among those who waited had less time: who has more tries again.
                Err(StoreError::Locked { .. }) if Instant::now() < until => drop(writing),
                Err(error) => return Err(error),
            }
        }
    }

    /// Judges and writes a batch, waiting for other processes as long as all in it have time.
    fn conclude_all(&self, batch: &[Arc<Waiting>]) -> Result<Vec<Result<Record>>> {
        let now = Instant::now();
        // Those whose time is over already are written for as well, but nobody waits less for them.
        let left = batch.iter().map(|waiting| waiting.until.saturating_duration_since(now));
        let wait = left.filter(|left| !left.is_zero()).min().unwrap_or_default();
        self.write_within(wait, |state| {
            chain::check_ends(state)?;
            let conclude = |waiting: &Arc<Waiting>| {
                whole_or_refused(state, |state| {
                    let passage = (waiting.verdict)(&mut Standing(state))?;
                    passage.check()?;
                    record::append(state, &passage)
                })
            };
            batch.iter().map(conclude).collect()
        })
    }
}

impl Waiting {
    fn take(&self, register: &Register) -> Result<Record> {
        let locked = || StoreError::Locked { path: register.path().to_owned(), waited: register.wait };
        lock(&self.done).take().unwrap_or_else(|| Err(locked()))
    }

    fn is_done(&self) -> bool {
        lock(&self.done).is_some()
    }
}

impl GroupCommit {
    /// Waits until `own` is written, or its time is over before anybody took it along, which is `None`; or until it is the
    /// caller's turn to write for all who wait, `own` among them.
    fn join(&self, own: &Arc<Waiting>) -> Option<Writing<'_>> {
        let is_own = |waiting: &Arc<Waiting>| Arc::ptr_eq(waiting, own);
        let mut queue = lock(&self.state);
        queue.waiting.push(Arc::clone(own));
        while queue.writing {
            let left = own.until.saturating_duration_since(Instant::now());
            let taken = !queue.waiting.iter().any(is_own);
            // Whoever took it along waits no longer than all of theirs have time; the disk may take its own.
            queue = if taken {
                self.written.wait(queue).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.written.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0
            };
            if own.is_done() {
                return None;
            }
            if Instant::now() >= own.until && queue.writing {
                let before = queue.waiting.len();
                queue.waiting.retain(|waiting| !is_own(waiting));
                if queue.waiting.len() < before {
                    return None;
                }
            }
        }
        queue.writing = true;
        // `own` first: whoever writes is answered by what they return, and does not wait on.
        let (mut batch, others): (Vec<_>, Vec<_>) = mem::take(&mut queue.waiting).into_iter().partition(is_own);
        batch.extend(others);
        Some(Writing { group_commit: self, batch })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut queue = lock(&self.group_commit.state);
        queue.writing = false;
        queue.waiting.extend(self.batch.drain(..).skip(1).filter(|waiting| !waiting.is_done()));
        drop(queue);
        self.group_commit.written.notify_all();
    }
}
