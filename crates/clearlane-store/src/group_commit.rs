//! Group commit: passages that lanes conclude at the same time share one transaction, and so one wait for the disk. Each is
//! judged within it: what is recorded is decided on the very state of the register that the record is added to.

mod queue;

use std::sync::Arc;
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

/// A passage that waits for its record, or for why there is none.
type Passage = queue::Waiting<Arc<Verdict>, Result<Record>>;

/// The passages that wait for the next transaction.
pub(crate) type GroupCommit = queue::Queue<Arc<Verdict>, Result<Record>>;

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
        let is_locked = |error: &StoreError| matches!(error, StoreError::Locked { .. });
        let written = self.group_commit.commit(verdict, until, |batch| self.conclude_all(batch), is_locked)?;
        let locked = || StoreError::Locked { path: self.path().to_owned(), waited: self.wait };
        written.unwrap_or_else(|| Err(locked()))
    }

    /// Judges and writes a batch, waiting for other processes as long as all in it have time.
    fn conclude_all(&self, batch: &[Arc<Passage>]) -> Result<Vec<Result<Record>>> {
        let now = Instant::now();
        // Those whose time is over already are written for as well, but nobody waits less for them.
        let left = batch.iter().map(|waiting| waiting.until.saturating_duration_since(now));
        let wait = left.filter(|left| !left.is_zero()).min().unwrap_or_default();
        self.write_within(wait, |state| {
            chain::check_ends(state)?;
            let conclude = |waiting: &Arc<Passage>| {
                whole_or_refused(state, |state| {
                    let passage = (waiting.job)(&mut Standing(state))?;
                    passage.check()?;
                    record::append(state, &passage)
                })
            };
            batch.iter().map(conclude).collect()
        })
    }
}
