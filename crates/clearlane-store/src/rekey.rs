//! A new key for a register: every template protected and sealed anew, while the register is in use.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clearlane_template::SubjectId;
use jiff::Timestamp;
use rayon::prelude::*;

use crate::check::Problem;
use crate::error::Sql as _;
use crate::load::{Opener, checked_row};
use crate::seal::{Place, RegisterKey};
use crate::state::State;
use crate::table::{ENCODING, Table};
use crate::tables::{KeyRow, Sealed, TemplateRow};
use crate::tree::Tree;
use crate::{Erasure, Fault, Key, Register, Result, Row, StoreError};

/// How many rows a transaction renews: other writers wait that long at most.
const CHUNK: usize = 512;

/// The longest pause between two transactions.
const PAUSE: Duration = Duration::from_millis(30);

/// What [`Register::rekey`] did.
#[derive(Clone, Debug, PartialEq)]
pub struct Rekeyed {
    /// How many templates this call renewed.
    pub templates: u64,
    /// Rows that are refused and were left as they are. While there are any, the old key stays in the register's list.
    pub problems: Vec<Problem>,
    /// Whether all that was sealed under the old key is gone from the files.
    pub erasure: Erasure,
}

impl Register {
    /// Gives the register a new key: renews the protection and the seal of every template, and signs the root with it.
    ///
    /// It goes on in small transactions, and may be interrupted anywhere, by a crash too: a second call with the same key
    /// goes on where the first one stopped. Until it is through, both keys are needed. Put the new key where the key
    /// source finds it, before. Other processes go on meanwhile; a loaded gallery has to be loaded again
    /// ([`Changes::reload`](crate::Changes::reload)). `progress` gets how many templates are done, of how many.
    pub fn rekey(&self, to: &Key, mut progress: impl FnMut(u64, u64)) -> Result<Rekeyed> {
        let key = Arc::new(RegisterKey::new(to, self.id()));
        let (slot, total) = self.write(|state| begin(state, &key))?;
        self.core.keys.hold(Arc::clone(&key));
        let mut done = Rekeyed { templates: 0, problems: vec![], erasure: Erasure::Pending };
        let mut after = 0;
        loop {
            let begun = Instant::now();
            if !self.write(|state| renew(state, slot, &key, &mut after, &mut done))? {
                break;
            }
            progress(done.templates, total);
            // Lanes get their turn: whoever waits for the register looks again every few milliseconds.
            thread::sleep(begun.elapsed().min(PAUSE));
        }
        if done.problems.is_empty() {
            self.write(|state| {
                still_current(state, slot)?;
                let mut roster = (*state.roster).clone();
                roster.keys.retain(|known| known.slot >= slot);
                state.connection.execute("DELETE FROM key WHERE slot < ?1", [slot]).sql()?;
                state.note_deletion();
                state.write_roster(roster)
            })?;
        }
        done.erasure = self.erase_now();
        Ok(done)
    }
}

/// Makes the new key the current one, so that all that is written from now on is written under it. Returns its slot, and how
/// many templates are under older ones.
fn begin(state: &mut State<'_>, key: &Arc<RegisterKey>) -> Result<(i64, u64)> {
    let current = state.roster.current()?.clone();
    let slot = if current.id == key.id.0 {
        current.slot
    } else {
        if state.roster.keys.iter().any(|known| known.id == key.id.0) {
            let reason = "it is an older key of this register; take a new one".to_owned();
            return Err(StoreError::Invalid { field: "key", reason });
        }
        let mut roster = (*state.roster).clone();
        roster.reseal(state.key()?, key)?;
        let slot = current.slot + 1;
        roster.keys.push(KeyRow { slot, id: key.id.0, since: Timestamp::now(), encoding: ENCODING });
        state.write_roster(roster)?;
        state.set_key(Arc::clone(key), slot);
        slot
    };
    let query = "SELECT count(*) FROM template WHERE key < ?1";
    let total: i64 = state.connection.query_row(query, [slot], |row| row.get(0)).sql()?;
    Ok((slot, total as u64))
}

/// Renews the next templates of the old keys. Whether there were any.
fn renew(state: &mut State<'_>, slot: i64, key: &RegisterKey, after: &mut i64, done: &mut Rekeyed) -> Result<bool> {
    still_current(state, slot)?;
    let openers = state.roster.models().map(|model| Ok((model.slot, Opener::new(state, model.id)?)));
    let openers = openers.collect::<Result<HashMap<_, _>>>()?;
    let condition = "WHERE id > ?1 AND key < ?2 ORDER BY id LIMIT ?3";
    let ids = state
        .connection
        .prepare_cached(&format!("SELECT id FROM template {condition}"))
        .sql()?
        .query_map([*after, slot, CHUNK as i64], |row| row.get::<_, i64>(0))
        .sql()?
        .collect::<rusqlite::Result<Vec<_>>>()
        .sql()?;
    let rows = TemplateRow::select(state.connection, condition, [*after, slot, CHUNK as i64])?;
    let rows: Vec<_> = rows.into_iter().zip(&ids).map(|(row, id)| checked_row(state, *id, row)).collect();
    let renewed: Vec<_> = rows.into_par_iter().map(|row| renewed(&row?, slot, key, &openers)).collect();
    for renewed in renewed {
        match renewed {
            Ok(row) => {
                row.write(state.connection)?;
                state.set_leaf(Tree::Templates, row.id.0, row.hash());
                // What was sealed under the old key is in the files as yet.
                state.note_deletion();
                done.templates += 1;
            }
            Err(StoreError::Refused { row, fault }) => done.problems.push(Problem { row, fault }),
            Err(error) => return Err(error),
        }
    }
    *after = ids.last().copied().unwrap_or(*after);
    Ok(!ids.is_empty())
}

/// Another change of keys may have begun: only the newest goes on.
fn still_current(state: &State<'_>, slot: i64) -> Result<()> {
    if state.root.key == slot {
        return Ok(());
    }
    let reason = "another change of keys has begun since, and goes on in its place".to_owned();
    Err(StoreError::Invalid { field: "key", reason })
}

fn renewed(row: &TemplateRow, slot: i64, key: &RegisterKey, openers: &HashMap<i64, Opener>) -> Result<TemplateRow> {
    let refused = |fault| Row::Template(row.id).refused(fault);
    let opener = openers.get(&row.model).ok_or_else(|| refused(Fault::Dangling { what: "model" }))?;
    let opened = opener.open_row(row).map_err(refused)?;
    let (template, subject): (_, SubjectId) = (row.id, row.subject);
    let place = Place { template, subject, model: opener.model.id, dimension: opener.model.dimension };
    let sealed = Sealed(key.seal_protected(place, &opened.template)?);
    Ok(TemplateRow { key: slot, sealed, encoding: ENCODING, ..row.clone() })
}
