//! Taking subjects and templates out for good.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clearlane_template::{ModelId, SubjectId, TemplateId};
use jiff::{Timestamp, civil::Date};
use rusqlite::ToSql;

use crate::enrol::enrolled as enrolled_subject;
use crate::error::Sql as _;
use crate::state::State;
use crate::subject::check_text;
use crate::tree::{NONE, Tree};
use crate::{Register, Result, Revocation, StoreError, Subject, clock, file, rows};

/// Whether all of what was deleted is gone from the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Erasure {
    /// Neither the register nor its write-ahead log holds any of it. (What a disk keeps of overwritten blocks is beyond a
    /// program's reach; it is sealed.)
    Complete,
    /// A reader in another process still uses the write-ahead log. [`Register::erase`] tries again.
    Pending,
}

impl Register {
    /// Takes a subject out: its templates, documents and details are deleted and overwritten at once. What stays is its
    /// key and id, and when and why it went, so that records that name the id can be explained.
    pub fn revoke(&self, subject: SubjectId, reason: &str) -> Result<Erasure> {
        self.revoke_all(&[subject], reason)
    }

    /// Takes several subjects out, all or none.
    pub fn revoke_all(&self, subjects: &[SubjectId], reason: &str) -> Result<Erasure> {
        check_text("reason", reason)?;
        let revocation = Revocation { time: Timestamp::now(), reason: reason.to_owned() };
        self.write(|state| {
            for &subject in subjects {
                let subject = enrolled_subject(state, subject)?;
                revoke(state, subject, &revocation)?;
            }
            Ok(())
        })?;
        Ok(self.erase_now())
    }

    /// Deletes one template and leaves its subject enrolled. Whether there was one is returned too.
    pub fn remove_template(&self, template: TemplateId) -> Result<(bool, Erasure)> {
        let removed = self.write(|state| Ok(remove_templates(state, "id = ?1", template.0 as i64)? > 0))?;
        Ok((removed, self.erase_now()))
    }

    /// Deletes all templates of a model, such as one that was replaced. Returns how many.
    pub fn remove_model(&self, model: ModelId) -> Result<(u64, Erasure)> {
        let removed = self.write(|state| {
            let slot = state.roster.model(model)?.slot;
            let removed = remove_templates(state, "model = ?1", slot)?;
            let mut roster = (*state.roster).clone();
            roster.models.retain(|model| model.slot != slot);
            state.connection.execute("DELETE FROM model WHERE slot = ?1", [slot]).sql()?;
            state.write_roster(roster)?;
            Ok(removed)
        })?;
        Ok((removed, self.erase_now()))
    }

    /// Revokes every subject whose enrolment ended before the plan's day, or who withdrew the consent; and forgets those
    /// entirely that were revoked long enough ago. To be run daily.
    ///
    /// What goes is gone for good, so a plan that a wrong clock might have made is refused unless it is confirmed: see
    /// [`StoreError::ImplausibleClock`] and [`StoreError::SweepTooLarge`].
    pub fn sweep(&self, plan: &SweepPlan) -> Result<Sweep> {
        let (expired, withdrawn, forgotten) = self.write(|state| {
            if !plan.confirmed {
                clock::plausible(state.root.clock, plan.now)?;
            }
            let withdrawn = "consent_withdrawn <= ?1 AND revoked IS NULL";
            let withdrawn = found(state, withdrawn, &plan.now.as_millisecond())?;
            let expired = "expires < ?1 AND revoked IS NULL";
            let mut expired = found(state, expired, &plan.today.to_string())?;
            expired.retain(|subject| !withdrawn.contains(subject));
            let enrolled = "SELECT count(*) FROM subject WHERE revoked IS NULL";
            let enrolled = state.connection.query_row(enrolled, [], |row| row.get::<_, i64>(0)).sql()? as u64;
            let leaving = (expired.len() + withdrawn.len()) as u64;
            if !plan.confirmed && leaving > MOST_AT_ONCE && leaving * MOST_SHARE > enrolled {
                return Err(StoreError::SweepTooLarge { leaving, enrolled });
            }
            for (subjects, reason) in [(&withdrawn, "consent withdrawn"), (&expired, "expired")] {
                let revocation = Revocation { time: plan.now, reason: reason.to_owned() };
                for &subject in subjects {
                    let subject = enrolled_subject(state, subject)?;
                    revoke(state, subject, &revocation)?;
                }
            }
            let forgotten = found(state, "revoked < ?1", &plan.forget.as_millisecond())?;
            for &subject in &forgotten {
                rows::by_id(state, subject)?;
                state
                    .connection
                    .prepare_cached("DELETE FROM subject WHERE id = ?1")
                    .sql()?
                    .execute([subject.0 as i64])
                    .sql()?;
                state.set_leaf(Tree::Subjects, subject.0, NONE);
                state.note_deletion();
            }
            Ok((expired, withdrawn, forgotten.len() as u64))
        })?;
        Ok(Sweep { expired, withdrawn, forgotten, erasure: self.erase_now() })
    }

    /// Brings all changes into the register's main file and empties the write-ahead log, so that nothing deleted is left
    /// in it. Waits for readers in other processes as long as for writers.
    pub fn erase(&self) -> Result<Erasure> {
        self.erase_within(self.wait)
    }

    /// What was deleted is deleted, whether or not the log can be emptied now.
    pub(crate) fn erase_now(&self) -> Erasure {
        self.erase_within(SHORT_WAIT).unwrap_or(Erasure::Pending)
    }

    /// Whether the files may hold something that was deleted, by whichever process. Where they do it is tried to erase it
    /// now, without waiting, and at most once a second: to be called from time to time, as a lane's refresh does.
    pub fn erasure(&self) -> Result<Erasure> {
        let root = self.read(|state| Ok(state.root.clone()))?;
        if root.deleted <= root.erased.max(self.core.erased.load(Ordering::Acquire)) {
            return Ok(Erasure::Complete);
        }
        // An empty log holds nothing, whoever emptied it.
        if file::log_is_empty(self.path()) {
            return Ok(Erasure::Complete);
        }
        let mut last = self.erasing.lock();
        if self.writer().is_err() || last.is_some_and(|last| last.elapsed() < RETRY) {
            return Ok(Erasure::Pending);
        }
        *last = Some(Instant::now());
        Ok(self.erase_within(Duration::ZERO).unwrap_or(Erasure::Pending))
    }

    fn erase_within(&self, wait: Duration) -> Result<Erasure> {
        let seen = self.core.seen.load(Ordering::Acquire);
        self.with_writer(|connection| {
            connection.busy_timeout(wait).sql()?;
            let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
            connection.busy_timeout(self.wait).sql()?;
            if busy.sql()? > 0 {
                return Ok(Erasure::Pending);
            }
            // It is noted in the register with the next change.
            self.core.erased.fetch_max(seen, Ordering::AcqRel);
            Ok(Erasure::Complete)
        })
    }
}

/// What a [`Register::sweep`] goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepPlan {
    /// The day, in the time zone of the policy. An enrolment ends after its last day.
    pub today: Date,
    /// The time: consents that were withdrawn until then count.
    pub now: Timestamp,
    /// Who was revoked before this time is forgotten entirely.
    pub forget: Timestamp,
    /// Somebody has looked at the clock and at how many will go.
    pub confirmed: bool,
}

impl SweepPlan {
    /// A sweep of `today`, in the policy's time zone, that forgets nobody.
    #[must_use]
    pub fn new(today: Date, now: Timestamp) -> Self {
        Self { today, now, forget: Timestamp::MIN, confirmed: false }
    }
}

/// So many may leave in one sweep, whatever their share.
const MOST_AT_ONCE: u64 = 20;

/// And this part of those who are enrolled: a tenth.
const MOST_SHARE: u64 = 10;

/// How long a retry of an erasure waits for the next.
const RETRY: Duration = Duration::from_secs(1);

/// Lets lanes that look up a subject finish, but not another process that loads a gallery.
const SHORT_WAIT: Duration = Duration::from_millis(200);

/// What [`Register::sweep`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// The subjects whose enrolment had ended.
    pub expired: Vec<SubjectId>,
    /// The subjects who had withdrawn their consent.
    pub withdrawn: Vec<SubjectId>,
    /// How many revoked subjects were forgotten entirely.
    pub forgotten: u64,
    /// Whether all of it is gone from the files.
    pub erasure: Erasure,
}

fn found(state: &State<'_>, condition: &str, value: &dyn ToSql) -> Result<Vec<SubjectId>> {
    let query = format!("SELECT id FROM subject WHERE {condition} ORDER BY id");
    let mut statement = state.connection.prepare(&query).sql()?;
    let ids = statement.query_map([value], |row| Ok(SubjectId(row.get::<_, i64>(0)? as u64))).sql()?;
    ids.collect::<rusqlite::Result<_>>().sql()
}

fn revoke(state: &mut State<'_>, subject: Subject, revocation: &Revocation) -> Result<()> {
    let id = subject.id;
    remove_templates(state, "subject = ?1", id.0 as i64)?;
    state.note_change(id, None)?;
    state.note_deletion();
    rows::revoke(state, subject, revocation)
}

/// Deletes the templates that a condition names. Returns how many.
fn remove_templates(state: &mut State<'_>, condition: &str, value: i64) -> Result<u64> {
    let query = format!("SELECT id, subject FROM template WHERE {condition} ORDER BY id");
    let ids = state
        .connection
        .prepare_cached(&query)
        .sql()?
        .query_map([value], |row| Ok((TemplateId(row.get::<_, i64>(0)? as u64), row.get::<_, i64>(1)?)))
        .sql()?
        .collect::<rusqlite::Result<Vec<_>>>()
        .sql()?;
    for &(template, subject) in &ids {
        state.note_change(SubjectId(subject as u64), Some(template))?;
        state.set_leaf(Tree::Templates, template.0, NONE);
        state.note_deletion();
    }
    state
        .connection
        .prepare_cached(&format!("DELETE FROM template WHERE {condition}"))
        .sql()?
        .execute([value])
        .sql()?;
    Ok(ids.len() as u64)
}
