//! The chain of crossing records: each record's hash covers the one before it, and the chain's ends are authenticated
//! with the register's key.
//!
//! What it shows: a record that was altered, taken out, put in, or put elsewhere, and records cut off at either end. Who
//! has the key can write another chain; who has an old copy of the whole file can put it back. Against both, keep a
//! recent hash elsewhere.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::canonical::Canonical;
use crate::check::Problem;
use crate::keys::{self, Keys, Slot};
use crate::record::{self, NewRecord, RecordQuery};
use crate::seal::RegisterKey;
use crate::{Erasure, Fault, KeyId, Register, Result, Row, StoreError};

/// What a verification of the crossing records found.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainReport {
    /// Records that were verified.
    pub records: u64,
    /// Whether there was a key to authenticate the chain's ends with. Without one, whoever cut records off and wrote the ends
    /// anew is not found out.
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

/// Where the chain begins and ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The oldest record that is kept.
    pub(crate) first: i64,
    /// The hash of the one before it.
    pub(crate) before: [u8; 32],
    /// The newest record.
    pub(crate) last: i64,
    /// Its hash.
    pub(crate) hash: [u8; 32],
}

impl Register {
    /// Deletes the records before `before` (a time limit on keeping them), from the oldest on up to the first that is
    /// newer. The rest of the chain stays verifiable. Returns how many.
    pub fn prune_records(&self, before: Timestamp) -> Result<(u64, Erasure)> {
        let pruned = self.write(|transaction| {
            let mut ends = ends(transaction, self.id())?;
            let kept: Option<i64> = transaction.query_row(
                "SELECT min(seq) FROM record WHERE time >= ?1",
                [before.as_millisecond()],
                |row| row.get(0),
            )?;
            let first = kept.unwrap_or(ends.last + 1);
            let hash = "SELECT hash FROM record WHERE seq = ?1";
            if let Some(hash) = transaction.query_row(hash, [first - 1], |row| row.get(0)).optional()? {
                (ends.first, ends.before) = (first, hash);
                let (slot, key) = self.current_key(transaction)?;
                write_ends(transaction, &ends, slot, &key)?;
            }
            Ok(transaction.execute("DELETE FROM record WHERE seq < ?1", [first])? as u64)
        })?;
        Ok((pruned, self.erase_now()))
    }

    /// Verifies every record and the chain's ends, on one state of the register. `progress` gets how many records are done,
    /// of how many.
    pub fn verify_records(&self, mut progress: impl FnMut(u64, u64)) -> Result<ChainReport> {
        self.read_apart(|connection| verify(connection, &self.keys, self.id(), &mut progress))
    }
}

/// The hash of a record: BLAKE3 in key-derivation mode over the hash before it and the record's canonical encoding.
pub(crate) fn link(before: &[u8; 32], seq: i64, record: &NewRecord) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("clearlane 2025 crossing record");
    hasher.update(before).update(record.canonical(seq).as_bytes());
    *hasher.finalize().as_bytes()
}

/// The chain's ends as they are noted; before the first record, a chain of none that begins with the register's own id.
pub(crate) fn ends(connection: &Connection, register: [u8; 16]) -> Result<Ends> {
    let mut statement = connection.prepare_cached("SELECT first, before, last, hash FROM chain")?;
    let ends = statement.query_row([], |row| {
        Ok(Ends { first: row.get(0)?, before: row.get(1)?, last: row.get(2)?, hash: row.get(3)? })
    });
    let start = blake3::derive_key("clearlane 2025 crossing record chain", &register);
    Ok(ends.optional()?.unwrap_or(Ends { first: 1, before: start, last: 0, hash: start }))
}

pub(crate) fn write_ends(connection: &Connection, ends: &Ends, slot: Slot, key: &RegisterKey) -> Result<()> {
    connection.prepare_cached("REPLACE INTO chain VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
        ends.first,
        ends.before,
        ends.last,
        ends.hash,
        slot.slot,
        key.code(&ends.canonical())
    ])?;
    Ok(())
}

/// Authenticates the chain's ends under a new key, once they were found authentic under the old one.
pub(crate) fn reseal(
    connection: &Connection,
    keys: &Keys,
    register: [u8; 16],
    slot: Slot,
    key: &RegisterKey,
) -> Result<()> {
    if let Some(fault) = ends_fault(connection, keys, register)? {
        return Err(Row::Chain.refused(fault));
    }
    let ends = ends(connection, register)?;
    if ends.last > 0 { write_ends(connection, &ends, slot, key) } else { Ok(()) }
}

pub(crate) fn verify(
    connection: &Connection,
    keys: &Keys,
    register: [u8; 16],
    progress: &mut dyn FnMut(u64, u64),
) -> Result<ChainReport> {
    let keyed = keys.get_unless_absent(keys::current(connection)?.id)?.is_some();
    let ends = ends(connection, register)?;
    let mut problems = Vec::new();
    let mut problem = |row, fault| problems.push(Problem { row, fault });
    let total: i64 = connection.query_row("SELECT count(*) FROM record", [], |row| row.get(0))?;
    let mut stored = connection.prepare("SELECT hash FROM record WHERE seq = ?1")?;
    let (mut at, mut hash, mut seen) = (ends.first - 1, ends.before, 0);
    loop {
        let page = record::select(
            connection,
            &RecordQuery::default(),
            if seen == 0 { i64::MIN } else { at },
            "ASC LIMIT 1024",
        )?;
        if page.is_empty() {
            break;
        }
        for (seq, record) in page {
            let row = Row::Record(seq as u64);
            if seq > at + 1 {
                problem(row, Fault::Gap { from: (at + 1) as u64 });
            }
            match record {
                // After a gap there is nothing to follow from.
                Ok(record) if seq == at + 1 && link(&hash, seq, &record.passage) != record.hash.0 => {
                    problem(row, Fault::Chained);
                }
                // Only a row that was put in comes before the first.
                Ok(_) if seq <= at => problem(row, Fault::Chained),
                Ok(_) => {}
                Err(StoreError::Refused { fault, .. }) => problem(row, fault),
                Err(error) => return Err(error),
            }
            hash = stored.query_row([seq], |row| row.get(0))?;
            (at, seen) = (seq, seen + 1);
        }
        progress(seen, total as u64);
    }
    if at != ends.last {
        problem(Row::Chain, Fault::End { found: at as u64, expected: ends.last as u64 });
    } else if hash != ends.hash {
        problem(Row::Record(at as u64), Fault::Chained);
    }
    if let Some(fault) = ends_fault(connection, keys, register)? {
        problem(Row::Chain, fault);
    }
    Ok(ChainReport { records: seen, keyed, problems })
}

/// What is wrong with the note of the chain's ends itself.
fn ends_fault(connection: &Connection, keys: &Keys, register: [u8; 16]) -> Result<Option<Fault>> {
    let query = "SELECT key.id, code FROM chain LEFT JOIN key ON key.slot = code_key";
    let code =
        connection.query_row(query, [], |row| Ok((row.get::<_, Option<[u8; 8]>>(0)?, row.get::<_, Vec<u8>>(1)?)));
    let Some((key, code)) = code.optional()? else { return Ok(None) };
    let Some(key) = key else { return Ok(Some(Fault::Dangling { what: "key" })) };
    let authentic = match keys.get_unless_absent(KeyId(key))? {
        Some(key) => key.is_code(&ends(connection, register)?.canonical(), &code),
        None => true,
    };
    Ok((!authentic).then_some(Fault::Authentication))
}

impl Ends {
    fn canonical(&self) -> Canonical {
        Canonical::new("chain 1").number(self.first).bytes(&self.before).number(self.last).bytes(&self.hash)
    }
}
