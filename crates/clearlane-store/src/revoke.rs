//! Taking subjects and templates out for good.

use std::time::Duration;

use clearlane_template::{ModelId, SubjectId, TemplateId};
use jiff::{Timestamp, civil::Date};
use rusqlite::{Connection, ToSql, params};

use crate::subject::check_text;
use crate::{Register, Result, Revocation, StoreError, keys, rows};

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
        self.write(|transaction| {
            for &subject in subjects {
                if !is_enrolled(transaction, subject)? {
                    return Err(StoreError::UnknownSubject { subject });
                }
                revoke_in(transaction, subject, &revocation)?;
            }
            Ok(())
        })?;
        Ok(self.erase_now())
    }

    /// Deletes one template and leaves its subject enrolled. Whether there was one is returned too.
    pub fn remove_template(&self, template: TemplateId) -> Result<(bool, Erasure)> {
        let removed = self.write(|transaction| {
            let id = template.0 as i64;
            transaction.execute(
                "INSERT INTO change (subject, template) SELECT subject, id FROM template WHERE id = ?1",
                [id],
            )?;
            Ok(transaction.execute("DELETE FROM template WHERE id = ?1", [id])? > 0)
        })?;
        Ok((removed, self.erase_now()))
    }

    /// Deletes all templates of a model, such as one that was replaced. Returns how many.
    pub fn remove_model(&self, model: ModelId) -> Result<(u64, Erasure)> {
        let removed = self.write(|transaction| {
            let slot = keys::model(transaction, model)?.slot;
            transaction.execute(
                "INSERT INTO change (subject, template) SELECT subject, id FROM template WHERE model = ?1",
                [slot],
            )?;
            let removed = transaction.execute("DELETE FROM template WHERE model = ?1", [slot])?;
            transaction.execute("DELETE FROM model WHERE slot = ?1", [slot])?;
            Ok(removed as u64)
        })?;
        Ok((removed, self.erase_now()))
    }

    /// Revokes every subject whose enrolment ended before `today`, or who withdrew the consent; and forgets those entirely
    /// that were revoked before `forget`. To be run daily.
    pub fn sweep(&self, today: Date, forget: Timestamp) -> Result<Sweep> {
        let (expired, withdrawn, forgotten) = self.write(|transaction| {
            let withdrawn = "SELECT id FROM subject WHERE consent_withdrawn <= ?1 AND revoked IS NULL ORDER BY id";
            let now = Timestamp::now().as_millisecond();
            let withdrawn = revoke_found(transaction, withdrawn, &now, "consent withdrawn")?;
            let expired = "SELECT id FROM subject WHERE expires < ?1 AND revoked IS NULL ORDER BY id";
            let expired = revoke_found(transaction, expired, &today.to_string(), "expired")?;
            let forgotten =
                transaction.execute("DELETE FROM subject WHERE revoked < ?1", [forget.as_millisecond()])? as u64;
            Ok((expired, withdrawn, forgotten))
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

    fn erase_within(&self, wait: Duration) -> Result<Erasure> {
        self.with_writer(|connection| {
            connection.busy_timeout(wait)?;
            let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
            connection.busy_timeout(self.wait)?;
            Ok(if busy? == 0 { Erasure::Complete } else { Erasure::Pending })
        })
    }
}

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

fn is_enrolled(transaction: &Connection, subject: SubjectId) -> Result<bool> {
    let mut statement =
        transaction.prepare_cached("SELECT EXISTS (SELECT 1 FROM subject WHERE id = ?1 AND revoked IS NULL)")?;
    Ok(statement.query_row([subject.0 as i64], |row| row.get(0))?)
}

fn revoke_found(transaction: &Connection, query: &str, value: &dyn ToSql, reason: &str) -> Result<Vec<SubjectId>> {
    let revocation = Revocation { time: Timestamp::now(), reason: reason.to_owned() };
    let mut statement = transaction.prepare(query)?;
    let ids = statement.query_map([value], |row| Ok(SubjectId(row.get::<_, i64>(0)? as u64)))?;
    let ids = ids.collect::<rusqlite::Result<Vec<_>>>()?;
    ids.iter().try_for_each(|&subject| revoke_in(transaction, subject, &revocation))?;
    Ok(ids)
}

fn revoke_in(transaction: &Connection, subject: SubjectId, revocation: &Revocation) -> Result<()> {
    let id = subject.0 as i64;
    transaction
        .prepare_cached("INSERT INTO change (subject, template) SELECT subject, id FROM template WHERE subject = ?1")?
        .execute([id])?;
    transaction.prepare_cached("INSERT INTO change (subject) VALUES (?1)")?.execute(params![id])?;
    transaction.prepare_cached("DELETE FROM template WHERE subject = ?1")?.execute([id])?;
    rows::erase(transaction, subject, revocation)
}
