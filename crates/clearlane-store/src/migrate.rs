//! The way of a register from an older version to this one: verified by what that version had, and bound to a root.
//!
//! It is one transaction. Interrupted anywhere, the file is of its old version still, and is migrated when it is opened next.

use std::collections::BTreeMap;
use std::sync::Arc;

use clearlane_template::{MAX_DIMENSION, TemplateId};
use rayon::prelude::*;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use crate::canonical::Canonical;
use crate::check::{self, Problem};
use crate::error::Sql as _;
use crate::load::Opener;
use crate::roster::Roster;
use crate::seal::RegisterKey;
use crate::state::{Core, State};
use crate::table::Table;
use crate::tables::{ChangeRow, ClaimRow, DocumentRow, RegisterRow, RootRow, SubjectRow, TemplateRow};
use crate::tree::{NONE, PLACES, Tree};
use crate::{Fault, RecordHash, Result, Row, StoreError, chain, claim, file, rows, schema};

/// The last version whose rows bear codes of their own.
const CODED: u32 = 2;

/// More ids than any register has given out.
const MOST: i64 = PLACES as i64;

/// Templates that are opened together.
const CHUNK: i64 = 4096;

/// Brings a register to the newest version.
pub(crate) fn to_newest(connection: &Connection, core: &Core) -> Result<()> {
    if file::version(connection)? >= schema::VERSION {
        return Ok(());
    }
    // Tables are made anew under their names; a transaction cannot change this.
    connection.pragma_update(None, "foreign_keys", "OFF").sql()?;
    let migrated = migrate(connection, core);
    connection.pragma_update(None, "foreign_keys", "ON").sql()?;
    migrated
}

fn migrate(connection: &Connection, core: &Core) -> Result<()> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate).sql()?;
    let found = file::version(&transaction)?;
    // Another process may have done it meanwhile.
    if found < schema::VERSION {
        schema::advance(&transaction, found, CODED)?;
        let earlier = Earlier::read(&transaction)?;
        schema::advance(&transaction, CODED, schema::VERSION)?;
        let mut problems = Vec::new();
        bind(&transaction, core, &earlier, &mut problems)?;
        if problems.is_empty() {
            // Once more by what holds from now on, before anything is kept.
            problems = check::check(&State::read(&transaction, core)?, &mut |_, _| ())?.problems;
        }
        if let Some(Problem { row, fault }) = problems.first().cloned() {
            return Err(StoreError::Unsound { found, row, fault, problems: problems.len() as u64 });
        }
        transaction.commit().sql()?;
    }
    Ok(())
}

/// What a register of version 2 has that later ones have not: codes, and the counters of ids.
struct Earlier {
    /// Of each enrolled subject's row, and the slot of its key.
    codes: BTreeMap<u64, (i64, Vec<u8>)>,
    chain: Option<EarlierChain>,
    counters: BTreeMap<String, i64>,
}

struct EarlierChain {
    first: i64,
    before: [u8; 32],
    last: i64,
    hash: [u8; 32],
    key: i64,
    code: Vec<u8>,
}

impl Earlier {
    fn read(connection: &Connection) -> Result<Self> {
        let mut codes = BTreeMap::new();
        let mut statement = connection
            .prepare("SELECT id, code_key, code FROM subject WHERE revoked IS NULL AND code IS NOT NULL")
            .sql()?;
        let mut rows = statement.query([]).sql()?;
        while let Some(row) = rows.next().sql()? {
            codes.insert(
                row.get::<_, i64>(0).sql()? as u64,
                (row.get::<_, Option<i64>>(1).sql()?.unwrap_or_default(), row.get(2).sql()?),
            );
        }
        let chain = connection.query_row("SELECT first, before, last, hash, code_key, code FROM chain", [], |row| {
            let (first, before, last) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(EarlierChain { first, before, last, hash: row.get(3)?, key: row.get(4)?, code: row.get(5)? })
        });
        let mut counters = BTreeMap::new();
        let mut statement = connection.prepare("SELECT name, seq FROM sqlite_sequence").sql()?;
        let mut rows = statement.query([]).sql()?;
        while let Some(row) = rows.next().sql()? {
            counters.insert(row.get(0).sql()?, row.get(1).sql()?);
        }
        Ok(Self { codes, chain: chain.optional().sql()?, counters })
    }

    /// The newest id that a table has given out: SQLite's own counter, unless there are newer rows.
    fn counter(&self, connection: &Connection, table: &str, id: &str) -> Result<i64> {
        let newest = connection
            .query_row(&format!("SELECT max({id}) FROM {table}"), [], |row| row.get::<_, Option<i64>>(0))
            .sql()?;
        let last = self.counters.get(table).copied().unwrap_or(0).max(newest.unwrap_or(0));
        // No register has come near, and places of trees end there.
        let refused = || Row::Register.refused(Fault::Value { column: "id" });
        Some(last).filter(|last| (0..MOST).contains(last)).ok_or_else(refused)
    }
}

/// Verifies all that version 2 authenticates, and binds it to a first root.
fn bind(connection: &Connection, core: &Core, earlier: &Earlier, problems: &mut Vec<Problem>) -> Result<()> {
    let mut roster = Roster::read(connection)?;
    let current = core.keys.get(roster.current()?.key_id())?;
    if roster.models().any(|model| !(1..=MAX_DIMENSION).contains(&model.dimension)) {
        problems.push(Problem { row: Row::Register, fault: Fault::Value { column: "dimension" } });
        return Ok(());
    }
    roster.register.record_secret = RegisterRow::new_record_secret(&current)?;
    roster.register.write(connection)?;
    let mut root = RootRow::new(&roster.register.id, &roster)?;
    root.last_subject = earlier.counter(connection, "subject", "id")?;
    root.last_template = earlier.counter(connection, "template", "id")?;
    let keys = roster.keys.iter().map(|row| Ok((row.slot, core.keys.get(row.key_id())?)));
    let keys = keys.collect::<Result<BTreeMap<_, _>>>()?;
    if let Some(chain) = &earlier.chain {
        // Nothing is done by its numbers before they are known to be its own.
        if !keys.get(&chain.key).is_some_and(|key| key.is_code(&chain.canonical(), &chain.code)) {
            problems.push(Problem { row: Row::Chain, fault: Fault::Authentication });
            return Ok(());
        }
        (root.first_record, root.hash_before) = (chain.first, chain.before);
        (root.last_record, root.record_hash) = (chain.last, RecordHash(chain.hash));
        root.keyed_from = chain.last + 1;
        let time = "SELECT time FROM record WHERE seq = ?1";
        let time = connection.query_row(time, [chain.last], |row| row.get(0)).optional().sql()?;
        root.clock = time.and_then(|time| jiff::Timestamp::from_millisecond(time).ok());
    }
    let mut state = State::new(connection, core, root, Arc::new(roster), current);
    note(state.roster.number_secret(state.key()?).map(drop), problems)?;
    bind_subjects(&mut state, earlier, &keys, problems)?;
    bind_templates(&mut state, problems)?;
    bind_claims(&mut state)?;
    bind_changes(&mut state, earlier)?;
    problems.extend(chain::verify(&state, &mut |_, _| ())?.problems);
    state.sign()?;
    Ok(())
}

fn bind_subjects(
    state: &mut State<'_>,
    earlier: &Earlier,
    keys: &BTreeMap<i64, Arc<RegisterKey>>,
    problems: &mut Vec<Problem>,
) -> Result<()> {
    let mut after = i64::MIN;
    loop {
        let page = SubjectRow::select(state.connection, "WHERE id > ?1 ORDER BY id LIMIT 1024", [after])?;
        let ids = "SELECT id FROM subject WHERE id > ?1 ORDER BY id LIMIT 1024";
        let ids = state
            .connection
            .prepare_cached(ids)
            .sql()?
            .query_map([after], |row| row.get::<_, i64>(0))
            .sql()?
            .collect::<rusqlite::Result<Vec<_>>>()
            .sql()?;
        let Some(last) = ids.last() else { return Ok(()) };
        for (row, id) in page.into_iter().zip(&ids) {
            let documents = DocumentRow::select(state.connection, "WHERE subject = ?1 ORDER BY place", [*id])?;
            let documents = documents.into_iter().collect::<Result<Vec<_>, _>>();
            let checked = row.and_then(|row| Ok((row, documents?))).and_then(|(row, documents)| {
                let code = earlier.codes.get(&row.id.0).and_then(|(slot, code)| Some((keys.get(slot)?, code)));
                // Version 2 vouches for nothing of those who were revoked.
                let vouched = row.revoked.is_some()
                    || code.is_some_and(|(key, code)| key.is_code(&earlier_canonical(&row, &documents), code));
                if vouched { Ok((row, documents)) } else { Err(Fault::Authentication) }
            });
            let subject = clearlane_template::SubjectId(*id as u64);
            if *id < 1 {
                problems.push(Problem { row: Row::Subject(subject), fault: Fault::Value { column: "id" } });
                continue;
            }
            match checked {
                Ok((row, documents)) => state.set_leaf(Tree::Subjects, subject.0, rows::hash(&row, &documents)),
                Err(fault) => problems.push(Problem { row: Row::Subject(subject), fault }),
            }
        }
        after = *last;
    }
}

fn bind_templates(state: &mut State<'_>, problems: &mut Vec<Problem>) -> Result<()> {
    let openers = state.roster.models().map(|model| Ok((model.slot, Opener::new(state, model.id)?)));
    let openers = openers.collect::<Result<BTreeMap<_, _>>>()?;
    for from in (1..=state.root.last_template).step_by(CHUNK as usize) {
        let mut rows = Vec::new();
        state.rows::<TemplateRow>(
            Tree::Templates,
            from..=state.root.last_template.min(from + CHUNK - 1),
            |id, row, _| {
                rows.push((TemplateId(id), check::read_or_missing(row)?));
                Ok(())
            },
        )?;
        let hashes: Vec<_> = rows
            .into_par_iter()
            .map(|(id, row): (_, Result<TemplateRow, _>)| {
                let check = || {
                    let row = row?;
                    let opener = openers.get(&row.model).ok_or(Fault::Dangling { what: "model" })?;
                    opener.open_row(&row)?;
                    Ok(row.hash())
                };
                (id, check())
            })
            .collect();
        for (id, hash) in hashes {
            match hash {
                Ok(hash) => state.set_leaf(Tree::Templates, id.0, hash),
                Err(fault) => problems.push(Problem { row: Row::Template(id), fault }),
            }
        }
    }
    Ok(())
}

fn bind_claims(state: &mut State<'_>) -> Result<()> {
    let claims = ClaimRow::select(state.connection, "ORDER BY nonce", [])?;
    let claims = claims.into_iter().collect::<Result<Vec<_>, _>>().map_err(|fault| Row::Claims(0).refused(fault))?;
    for sharing in claims.chunk_by(|a, b| claim::place(&a.nonce) == claim::place(&b.nonce)) {
        state.set_leaf(Tree::Claims, claim::place(&sharing[0].nonce), claim::hash(sharing));
    }
    Ok(())
}

fn bind_changes(state: &mut State<'_>, earlier: &Earlier) -> Result<()> {
    let mut hash = NONE;
    for row in ChangeRow::select(state.connection, "ORDER BY seq", [])? {
        hash = row.map_err(|fault| Row::Changes.refused(fault))?.hash(&hash);
    }
    let last = earlier.counter(state.connection, "change", "seq")?;
    (state.root.last_change, state.root.change_hash) = (last, hash);
    Ok(())
}

fn note(result: Result<()>, problems: &mut Vec<Problem>) -> Result<()> {
    match result {
        Err(StoreError::Refused { row, fault }) => {
            problems.push(Problem { row, fault });
            Ok(())
        }
        result => result,
    }
}

impl EarlierChain {
    fn canonical(&self) -> Canonical {
        let mut encoded = Canonical::new();
        encoded.text("chain 1").number(self.first).bytes(&self.before).number(self.last).bytes(&self.hash);
        encoded
    }
}

/// What the codes of versions 1 and 2 cover.
fn earlier_canonical(row: &SubjectRow, documents: &[DocumentRow]) -> Canonical {
    use crate::table::Field as _;
    let mut encoded = Canonical::new();
    let to = &mut encoded;
    to.text("subject 1").number(row.id.0 as i64).text(&row.key).number(row.enrolled.as_millisecond());
    row.category.encode(to);
    row.birth.encode(to);
    row.nationality.encode(to);
    if let Some(given) = row.consent_given {
        let scope = [row.consent_face, row.consent_finger].map(Option::unwrap_or_default);
        to.number(given.as_millisecond()).number(scope[0].into()).number(scope[1].into());
        row.consent_withdrawn.encode(to);
    } else {
        to.absent();
    }
    row.place.encode(to);
    row.method.encode(to);
    row.expires.encode(to);
    to.number(documents.len() as i64);
    for document in documents {
        document.kind.encode(to);
        document.number_digest.encode(to);
        document.valid_from.encode(to);
        document.expires.encode(to);
        document.endorsements.encode(to);
    }
    encoded
}
