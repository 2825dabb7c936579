//! The chain of crossing records: each record's hash covers the one before it, under a secret of the register's own, and the
//! root has the chain's ends.
//!
//! What it shows: a record that was altered, taken out, put in, or put elsewhere, and records cut off at either end, whenever
//! another is added. Who has the key can write another chain; against that, keep a recent root elsewhere
//! ([`Witness`](crate::Witness)).

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};

use crate::check::Problem;
use crate::error::Sql as _;
use crate::state::State;
use crate::table::Table;
use crate::tables::RecordRow;
use crate::{Erasure, Fault, Key, RecordHash, Register, Result, Row, StoreError};

/// What a verification of the crossing records found.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainReport {
    /// Records that were verified.
    pub records: u64,
    /// Whether there was a key to verify links and ends with. Without one, only gaps are found.
    pub keyed: bool,
    /// All that is wrong, the first bad record first.
    pub problems: Vec<Problem>,
}

impl ChainReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

impl Register {
    /// Deletes the records before `before` (a time limit on keeping them), from the oldest on up to the first that is
    /// newer. The rest of the chain stays verifiable. Returns how many.
    pub fn prune_records(&self, before: Timestamp) -> Result<(u64, Erasure)> {
        let pruned = self.write(|state| {
            check_ends(state)?;
            let kept: Option<i64> = state
                .connection
                .query_row("SELECT min(seq) FROM record WHERE time >= ?1", [before.as_millisecond()], |row| row.get(0))
                .sql()?;
            let first = kept.unwrap_or(state.root.last_record + 1);
            // What goes is verified first: nothing that was altered is let go as if it were old.
            let mut problems = Vec::new();
            follow(state, first, &mut problems, &mut |_| {})?;
            if let Some(Problem { row, fault }) = problems.into_iter().next() {
                return Err(row.refused(fault));
            }
            let Some(hash) = hash_of(state.connection, first - 1)? else { return Ok(0) };
            (state.root.first_record, state.root.hash_before) = (first, hash.0);
            state.note_deletion();
            Ok(state.connection.execute("DELETE FROM record WHERE seq < ?1", [first]).sql()? as u64)
        })?;
        Ok((pruned, self.erase_now()))
    }

    /// Verifies every record and the chain's ends, on one state of the register. `progress` gets how many records are done,
    /// of how many.
    pub fn verify_records(&self, mut progress: impl FnMut(u64, u64)) -> Result<ChainReport> {
        self.read_apart(|state| verify(state, &mut progress))
    }

    /// The secret that records are linked with: what an auditor needs, together with an export, to compute the chain anew. Whoever
    /// has it can also make records that fit, so it is to be guarded like a key, and proves nothing against its holder.
    pub fn record_key(&self) -> Result<Key> {
        self.read(|state| Ok(Key::from_bytes(*state.roster.record_secret(state.key()?)?)))
    }
}

/// What the first record's hash covers as the one before it.
pub(crate) fn start(register: &[u8; 16]) -> [u8; 32] {
    blake3::derive_key("clearlane 2025 crossing record chain", register)
}

/// The hash of a record: BLAKE3, keyed with the register's record secret, over the hash before it and the record's canonical
/// encoding. Records of encoding 1 have one without a key, in key-derivation mode.
pub(crate) fn link(state: &State<'_>, before: &[u8; 32], row: &RecordRow) -> Result<RecordHash> {
    let mut hasher = if row.encoding < 2 {
        blake3::Hasher::new_derive_key("clearlane 2025 crossing record")
    } else {
        blake3::Hasher::new_keyed(state.roster.record_secret(state.key()?)?)
    };
    hasher.update(before).update(row.canonical().as_bytes());
    Ok(RecordHash(*hasher.finalize().as_bytes()))
}

/// The hash that a record's row has.
pub(crate) fn hash_of(connection: &Connection, seq: i64) -> Result<Option<RecordHash>> {
    let mut statement = connection.prepare_cached("SELECT hash FROM record WHERE seq = ?1").sql()?;
    Ok(statement.query_row([seq], |row| row.get(0)).optional().sql()?.map(RecordHash))
}

/// Whether the newest record is the one that the root names, before another is added to it.
pub(crate) fn check_ends(state: &State<'_>) -> Result<()> {
    let newest = "SELECT coalesce(max(seq), ?1 - 1) FROM record";
    let found: i64 =
        state.connection.prepare_cached(newest).sql()?.query_row([state.root.first_record], |row| row.get(0)).sql()?;
    let expected = state.root.last_record;
    if found != expected {
        return Err(Row::Chain.refused(Fault::End { found: found as u64, expected: expected as u64 }));
    }
    let hash = hash_of(state.connection, expected)?.unwrap_or(RecordHash(state.root.hash_before));
    if hash == state.root.record_hash { Ok(()) } else { Err(Row::Record(expected as u64).refused(Fault::Chained)) }
}

/// Whether one record follows from the one before it, and is linked as records of its number are.
pub(crate) fn check_one(state: &State<'_>, row: &RecordRow) -> Result<()> {
    if !state.is_keyed() {
        return Ok(());
    }
    let refused = |fault| Err(Row::Record(row.seq as u64).refused(fault));
    let before = match row.seq {
        seq if seq == state.root.first_record => Some(RecordHash(state.root.hash_before)),
        seq => hash_of(state.connection, seq - 1)?,
    };
    let Some(before) = before else { return refused(Fault::Gap { from: row.seq as u64 - 1 }) };
    if row.seq > state.root.last_record || (row.encoding < 2) != (row.seq < state.root.keyed_from) {
        return refused(Fault::Unbound);
    }
    if link(state, &before.0, row)?.0 == row.hash.0 { Ok(()) } else { refused(Fault::Chained) }
}

pub(crate) fn verify(state: &State<'_>, progress: &mut dyn FnMut(u64, u64)) -> Result<ChainReport> {
    let total: i64 = state.connection.query_row("SELECT count(*) FROM record", [], |row| row.get(0)).sql()?;
    let mut problems = Vec::new();
    let records = follow(state, i64::MAX, &mut problems, &mut |done| progress(done, total as u64))?;
    if problems.is_empty()
        && let Err(StoreError::Refused { row, fault }) = check_ends(state)
    {
        problems.push(Problem { row, fault });
    }
    if let Some(at) =
        state.connection.query_row("SELECT max(seq) FROM record", [], |row| row.get::<_, Option<i64>>(0)).sql()?
        && at != state.root.last_record
        && !problems.iter().any(|problem| problem.row == Row::Chain)
    {
        problems.push(Problem {
            row: Row::Chain,
            fault: Fault::End { found: at as u64, expected: state.root.last_record as u64 },
        });
    }
    Ok(ChainReport { records, keyed: state.is_keyed(), problems })
}

/// Follows the chain from its first record up to, and not with, `until`. Returns how many records were seen.
fn follow(state: &State<'_>, until: i64, problems: &mut Vec<Problem>, progress: &mut dyn FnMut(u64)) -> Result<u64> {
    let mut problem = |seq: i64, fault| problems.push(Problem { row: Row::Record(seq as u64), fault });
    let mut statement =
        state.connection.prepare(&format!("{} WHERE seq < ?1 ORDER BY seq", RecordRow::SELECT)).sql()?;
    let mut rows = statement.query([until]).sql()?;
    let (mut at, mut before, mut seen) = (state.root.first_record - 1, state.root.hash_before, 0);
    while let Some(row) = rows.next().sql()? {
        let seq: i64 = row.get(0).sql()?;
        if seq > at + 1 {
            problem(seq, Fault::Gap { from: (at + 1) as u64 });
        }
        let record = RecordRow::read(row)?;
        let hash = record.as_ref().map_or(before, |record| record.hash.0);
        match record {
            Err(fault) => problem(seq, fault),
            // Only a row that was put in comes before the first.
            Ok(_) if seq <= at => problem(seq, Fault::Chained),
            Ok(record) if state.is_keyed() => {
                if (record.encoding < 2) != (seq < state.root.keyed_from) {
                    problem(seq, Fault::Unbound);
                } else if seq == at + 1 && link(state, &before, &record)?.0 != hash {
                    // After a gap there is nothing to follow from.
                    problem(seq, Fault::Chained);
                }
            }
            Ok(_) => {}
        }
        (at, before, seen) = (seq, hash, seen + 1);
        if seen % 1024 == 0 {
            progress(seen);
        }
    }
    progress(seen);
    Ok(seen)
}
