//! A new key for a register: every template turned and sealed anew, while the register is in use.

use clearlane_template::{SubjectId, TemplateId};
use jiff::Timestamp;
use rayon::prelude::*;
use rusqlite::{Transaction, params};
use std::sync::Arc;
use zeroize::Zeroizing;

use crate::check::Problem;
use crate::keys::{self, ModelSlot, Slot};
use crate::load::Opener;
use crate::seal::{Place, RegisterKey};
use crate::{Erasure, Fault, Key, Register, Result, Row, StoreError, chain, register, rows};

/// How many rows a transaction renews: other writers wait that long at most.
const CHUNK: usize = 512;

/// What [`Register::rekey`] did.
#[derive(Clone, Debug, PartialEq)]
pub struct Rekeyed {
    /// How many templates this call renewed.
    pub templates: u64,
    /// How many subjects it authenticated anew.
    pub subjects: u64,
    /// Rows that are refused and were left as they are. While there are any, the old key stays in the register's list.
    pub problems: Vec<Problem>,
    /// Whether all that was sealed under the old key is gone from the files.
    pub erasure: Erasure,
}

impl Register {
    /// Gives the register a new key: renews the turn and the seal of every template, and all authentication codes.
    ///
    /// It goes on in small transactions, and may be interrupted anywhere, by a crash too: a second call with the same key
    /// goes on where the first one stopped. Until it is through, both keys are needed. Put the new key where the key
    /// source finds it, before. Other processes go on meanwhile; a loaded gallery has to be loaded again
    /// ([`Changes::reload`](crate::Changes::reload)). `progress` gets how many templates are done, of how many.
    pub fn rekey(&self, to: &Key, mut progress: impl FnMut(u64, u64)) -> Result<Rekeyed> {
        let key = Arc::new(RegisterKey::new(to, self.id()));
        let (slot, total) = self.write(|transaction| self.begin(transaction, &key))?;
        self.keys.hold(Arc::clone(&key));
        let mut done = Rekeyed { templates: 0, subjects: 0, problems: vec![], erasure: Erasure::Pending };
        let mut after = 0;
        while self.write(|transaction| self.renew_templates(transaction, slot, &key, &mut after, &mut done))? {
            progress(done.templates, total);
        }
        after = 0;
        while self.write(|transaction| self.renew_subjects(transaction, slot, &key, &mut after, &mut done))? {}
        if done.problems.is_empty() {
            self.write(|transaction| Ok(transaction.execute("DELETE FROM key WHERE slot < ?1", [slot.slot])?))?;
        }
        done.erasure = self.erase_now();
        Ok(done)
    }

    /// Makes the new key the current one, so that all that is written from now on is written under it.
    fn begin(&self, transaction: &Transaction<'_>, key: &RegisterKey) -> Result<(Slot, u64)> {
        let (old, old_key) = self.current_key(transaction)?;
        let slot = if old.id == key.id {
            old
        } else {
            if keys::slots(transaction)?.iter().any(|slot| slot.id == key.id) {
                let reason = "it is an older key of this register; take a new one".to_owned();
                return Err(StoreError::Invalid { field: "key", reason });
            }
            let since = Timestamp::now().as_millisecond();
            transaction.execute("INSERT INTO key (id, since) VALUES (?1, ?2)", params![key.id.0, since])?;
            let slot = Slot { slot: transaction.last_insert_rowid(), id: key.id };
            register::reseal_number_secret(transaction, &old_key, key)?;
            chain::reseal(transaction, &self.keys, self.id(), slot, key)?;
            slot
        };
        let query = "SELECT count(*) FROM template WHERE key < ?1";
        let total: i64 = transaction.query_row(query, [slot.slot], |row| row.get(0))?;
        Ok((slot, total as u64))
    }

    /// Renews the next templates of the old keys. Whether there were any.
    fn renew_templates(
        &self,
        transaction: &Transaction<'_>,
        slot: Slot,
        key: &RegisterKey,
        after: &mut i64,
        done: &mut Rekeyed,
    ) -> Result<bool> {
        let models = keys::models(transaction)?;
        let openers = models.into_iter().map(|model| Ok((model, Opener::new(transaction, &self.keys, model.id)?)));
        let openers = openers.collect::<Result<Vec<(ModelSlot, Opener)>>>()?;
        let mut statement = transaction.prepare_cached(
            "SELECT id, subject, model, key, sealed FROM template WHERE id > ?1 AND key < ?2 ORDER BY id LIMIT ?3",
        )?;
        let rows = statement.query_map(params![*after, slot.slot, CHUNK as i64], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, i64>(2)?,
                row.get::<_, i64>(3)?,
                row.get::<_, Vec<u8>>(4)?,
            ))
        })?;
        let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        let renewed: Vec<_> = rows
            .par_iter()
            .map_init(Zeroizing::default, |scratch, (id, subject, model, old, sealed)| {
                let (template, subject) = (TemplateId(*id as u64), SubjectId(*subject as u64));
                let (model, opener) = openers
                    .iter()
                    .find(|(known, _)| known.slot == *model)
                    .ok_or_else(|| Row::Template(template).refused(Fault::Dangling { what: "model" }))?;
                let opened = opener
                    .open(template, subject, *old, sealed, scratch)
                    .map_err(|fault| Row::Template(template).refused(fault))?;
                let place = Place { template, subject, model: model.id, dimension: model.dimension };
                key.seal_turned(place, &opened.template)
            })
            .collect();
        let mut update = transaction.prepare_cached("UPDATE template SET key = ?2, sealed = ?3 WHERE id = ?1")?;
        for (row, renewed) in rows.iter().zip(renewed) {
            *after = row.0;
            match renewed {
                Ok(sealed) => {
                    update.execute(params![row.0, slot.slot, sealed])?;
                    done.templates += 1;
                }
                Err(StoreError::Refused { row, fault }) => done.problems.push(Problem { row, fault }),
                Err(error) => return Err(error),
            }
        }
        Ok(!rows.is_empty())
    }

    /// Authenticates the next subjects of the old keys anew. Whether there were any.
    fn renew_subjects(
        &self,
        transaction: &Transaction<'_>,
        slot: Slot,
        key: &RegisterKey,
        after: &mut i64,
        done: &mut Rekeyed,
    ) -> Result<bool> {
        let mut statement = transaction.prepare_cached(&format!(
            "{} WHERE subject.id > ?1 AND code_key < ?2 ORDER BY subject.id LIMIT {CHUNK}",
            rows::SELECT
        ))?;
        let mut found = statement.query(params![*after, slot.slot])?;
        let mut subjects = Vec::new();
        while let Some(row) = found.next()? {
            *after = row.get(0)?;
            subjects.push(rows::read(transaction, &self.keys, row)?);
        }
        let any = !subjects.is_empty();
        for subject in subjects {
            match subject {
                Ok(subject) => {
                    rows::write_code(transaction, &subject, slot, key)?;
                    done.subjects += 1;
                }
                Err(StoreError::Refused { row, fault }) => done.problems.push(Problem { row, fault }),
                Err(error) => return Err(error),
            }
        }
        Ok(any)
    }
}
