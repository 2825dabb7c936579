//! One state of the register, verified down from its root: what all reading and writing goes through.
//!
//! The root is authenticated by the register's current key, counts versions up, and binds everything else: rows of subjects,
//! templates and claims by [trees](crate::tree), changes by a running hash, records by the ends of their chain, and the few
//! rows of the [roster](crate::roster) by a digest. A writer verifies the root, and the path to what it changes, before it
//! signs the next version, in one transaction.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use clearlane_template::{SubjectId, TemplateId};
use rusqlite::{Connection, Row as SqlRow};

use crate::error::Sql as _;
use crate::keys::Keys;
use crate::roster::Roster;
use crate::seal::RegisterKey;
use crate::table::{ENCODING, Table, count_ahead};
use crate::tables::{ChangeRow, Derived, RootRow};
use crate::tree::{self, Hash, NONE, NodeCache, Nodes, Tree};
use crate::{Fault, Result, RootId, Row, StoreError, schema};

/// What an open register knows whatever its state: its keys, and what of earlier states is still worth knowing.
pub(crate) struct Core {
    pub(crate) keys: Keys,
    pub(crate) nodes: NodeCache,
    /// The roster that was read last, for as long as the root names it.
    roster: Mutex<Option<([u8; 32], Arc<Roster>)>>,
    /// The highest version that was seen: the file never goes back behind it.
    pub(crate) seen: AtomicI64,
    /// Up to which version the files hold nothing that was deleted, as far as is known here.
    pub(crate) erased: AtomicI64,
    /// The root that was verified last.
    root: Mutex<Option<RootRow>>,
    /// SQLite's number of the schema that was found to be this library's.
    schema: AtomicI64,
}

/// A verified state, for as long as its transaction lasts.
pub(crate) struct State<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) core: &'a Core,
    pub(crate) root: RootRow,
    pub(crate) roster: Arc<Roster>,
    /// The current key; `None` where the register was opened without any: then nothing vouches for the root.
    key: Option<Arc<RegisterKey>>,
    /// Leaves that were set and are not in their trees yet, the newest last.
    set: Vec<(Tree, u64, Hash)>,
}

/// What a connection that only reads has verified, and of which version of the file, as SQLite counts them for it.
pub(crate) struct Verified {
    version: i64,
    root: RootRow,
    roster: Arc<Roster>,
    key: Option<Arc<RegisterKey>>,
}

/// Where a state stood, to be gone back to together with a savepoint of its transaction.
pub(crate) struct Savepoint {
    root: RootRow,
    roster: Arc<Roster>,
    set: usize,
}

impl Core {
    pub(crate) fn new(keys: Keys) -> Self {
        Self {
            keys,
            nodes: NodeCache::default(),
            roster: Mutex::default(),
            seen: AtomicI64::new(0),
            erased: AtomicI64::new(0),
            root: Mutex::default(),
            schema: AtomicI64::new(-1),
        }
    }

    /// Holds the file's schema against this library's, whenever it was changed.
    fn check_schema(&self, connection: &Connection) -> Result<()> {
        let mut statement = connection.prepare_cached("PRAGMA schema_version").sql()?;
        let version = statement.query_row([], |row| row.get::<_, i64>(0)).sql()?;
        if self.schema.load(Ordering::Acquire) != version {
            if !schema::is_ours(connection)? {
                return Err(Row::Schema.refused(Fault::Unbound));
            }
            self.schema.store(version, Ordering::Release);
        }
        Ok(())
    }

    /// Whether a root bears its key's code. One that is in every column the one that was verified last does: a root names its
    /// key.
    fn is_authentic(&self, root: &RootRow, key: &RegisterKey) -> bool {
        let mut verified = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.as_ref() == Some(root) {
            return true;
        }
        let authentic = key.is_code(&root.canonical(), &root.code.0);
        if authentic {
            *verified = Some(root.clone());
        }
        authentic
    }

    /// The roster that a root names: from memory where it is known.
    fn roster(&self, connection: &Connection, root: &RootRow) -> Result<Arc<Roster>> {
        let mut known = self.roster.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((hash, roster)) = &*known
            && *hash == root.roster
        {
            return Ok(Arc::clone(roster));
        }
        let roster = Roster::read(connection)?;
        if roster.hash() != root.roster {
            return Err(Row::Register.refused(Fault::Unbound));
        }
        let roster = Arc::new(roster);
        *known = Some((root.roster, Arc::clone(&roster)));
        Ok(roster)
    }
}

impl<'a> State<'a> {
    /// A state that is yet to be signed, of a register that has had none.
    pub(crate) fn new(
        connection: &'a Connection,
        core: &'a Core,
        root: RootRow,
        roster: Arc<Roster>,
        key: Arc<RegisterKey>,
    ) -> Self {
        Self { connection, core, root, roster, key: Some(key), set: Vec::new() }
    }

    /// The state that a new transaction sees: the newest. `Err` where it is not one that the register's key vouches for, or
    /// where it is older than one that was there before.
    pub(crate) fn newest(connection: &'a Connection, core: &'a Core) -> Result<Self> {
        // Taken before the transaction reads anything: what is committed meanwhile is no sign of going back.
        let seen = core.seen.load(Ordering::Acquire);
        Self::read(connection, core)?.not_before(seen)
    }

    /// As [`Self::newest`], on a connection that only reads: as long as nobody writes to the file, neither it nor its schema
    /// is read again.
    pub(crate) fn newest_read(
        connection: &'a Connection,
        core: &'a Core,
        verified: &mut Option<Verified>,
    ) -> Result<Self> {
        let seen = core.seen.load(Ordering::Acquire);
        let version = connection.prepare_cached("PRAGMA data_version").sql()?.query_row([], |row| row.get(0)).sql()?;
        if let Some(Verified { root, roster, key, .. }) = verified.as_ref().filter(|known| known.version == version) {
            let (root, roster, key) = (root.clone(), Arc::clone(roster), key.clone());
            return Self { connection, core, root, roster, key, set: Vec::new() }.not_before(seen);
        }
        let state = Self::read(connection, core)?.not_before(seen)?;
        let (root, roster, key) = (state.root.clone(), Arc::clone(&state.roster), state.key.clone());
        *verified = Some(Verified { version, root, roster, key });
        Ok(state)
    }

    /// The state, unless it is older than one that was seen.
    fn not_before(self, seen: i64) -> Result<Self> {
        if self.is_keyed() {
            self.core.seen.fetch_max(self.root.version, Ordering::AcqRel);
            if self.root.version < seen {
                let (found, witnessed) = (self.root.version as u64, seen as u64);
                return Err(Row::Root.refused(Fault::RolledBack { found, witnessed }));
            }
        }
        Ok(self)
    }

    /// The state that a transaction sees, which may be one that has gone on for long.
    pub(crate) fn read(connection: &'a Connection, core: &'a Core) -> Result<Self> {
        core.check_schema(connection)?;
        let root = stored_root(connection)?;
        let roster = core.roster(connection, &root)?;
        let current = roster.current()?;
        let key = core.keys.get_unless_absent(current.key_id())?;
        if let Some(key) = &key
            && (current.slot != root.key || !core.is_authentic(&root, key))
        {
            return Err(Row::Root.refused(Fault::Authentication));
        }
        Ok(Self { connection, core, root, roster, key, set: Vec::new() })
    }

    /// The current key.
    pub(crate) fn key(&self) -> Result<&Arc<RegisterKey>> {
        let Some(key) = &self.key else { return Err(StoreError::NoKey { id: self.roster.current()?.key_id() }) };
        Ok(key)
    }

    /// Whether there is a key to verify anything with.
    pub(crate) fn is_keyed(&self) -> bool {
        self.key.is_some()
    }

    /// The hash that a row must have.
    pub(crate) fn leaf(&self, tree: Tree, place: u64) -> Result<Hash> {
        if let Some((_, _, hash)) = self.set.iter().rev().find(|(in_tree, at, _)| (*in_tree, *at) == (tree, place)) {
            return Ok(*hash);
        }
        tree.leaf(self.nodes(), self.tree_root(tree), place)
    }

    /// Hands the rows of a range of ids to `each`, in their order, as a statement has them, each with its id and the leaf that
    /// it should have: one that was put in has none. `None` stands for a row that has a leaf and is not there.
    pub(crate) fn rows<R: Table>(
        &self,
        tree: Tree,
        ids: RangeInclusive<i64>,
        mut each: impl FnMut(u64, Option<&SqlRow<'_>>, Hash) -> Result<()>,
    ) -> Result<()> {
        let (first, last) = ids.into_inner();
        let end = last as u64 + 1;
        let mut leaves = tree.leaves(self.nodes(), self.tree_root(tree), first as u64..end)?;
        let select = format!("{} WHERE id BETWEEN ?1 AND ?2 ORDER BY id", R::SELECT);
        let mut statement = self.connection.prepare_cached(&select).sql()?;
        let mut rows = statement.query([first, last]).sql()?;
        while let Some(row) = rows.next().sql()? {
            let id = row.get::<_, i64>(0).sql()? as u64;
            while let Some(place) = leaves.ahead_of(id) {
                each(place, None, NONE)?;
            }
            each(id, Some(row), leaves.at(id))?;
        }
        while let Some(place) = leaves.ahead_of(end) {
            each(place, None, NONE)?;
        }
        Ok(())
    }

    /// Says that a row has this hash from now on; [`NONE`]: that there is none.
    pub(crate) fn set_leaf(&mut self, tree: Tree, place: u64, hash: Hash) {
        self.set.push((tree, place, hash));
    }

    pub(crate) fn nodes(&self) -> Nodes<'_> {
        Nodes { connection: self.connection, cache: &self.core.nodes }
    }

    pub(crate) fn tree_root(&self, tree: Tree) -> &Hash {
        match tree {
            Tree::Subjects => &self.root.subjects,
            Tree::Templates => &self.root.templates,
            Tree::Claims => &self.root.claims,
        }
    }

    /// Notes a change of what was there, for those who follow: of a template, or of its subject where there is none.
    pub(crate) fn note_change(&mut self, subject: SubjectId, template: Option<TemplateId>) -> Result<()> {
        let row = ChangeRow { seq: self.root.last_change + 1, subject, template, encoding: ENCODING };
        row.insert(self.connection)?;
        count_ahead(self.connection, "change", row.seq)?;
        self.root.last_change = row.seq;
        self.root.change_hash = row.hash(&self.root.change_hash);
        Ok(())
    }

    /// Notes that something was deleted: the files hold it until [`Register::erase`].
    pub(crate) fn note_deletion(&mut self) {
        self.root.deleted = self.root.version + 1;
    }

    /// Writes the roster's changed rows.
    pub(crate) fn write_roster(&mut self, roster: Roster) -> Result<()> {
        roster.register.write(self.connection)?;
        roster.keys.iter().try_for_each(|key| key.write(self.connection))?;
        roster.models.iter().try_for_each(|model| model.write(self.connection))?;
        self.root.roster = roster.hash();
        self.roster = Arc::new(roster);
        Ok(())
    }

    /// Goes over to another current key.
    pub(crate) fn set_key(&mut self, key: Arc<RegisterKey>, slot: i64) {
        self.root.key = slot;
        self.key = Some(key);
    }

    pub(crate) fn savepoint(&self) -> Savepoint {
        Savepoint { root: self.root.clone(), roster: Arc::clone(&self.roster), set: self.set.len() }
    }

    pub(crate) fn back_to(&mut self, savepoint: Savepoint) {
        self.root = savepoint.root;
        self.roster = savepoint.roster;
        self.set.truncate(savepoint.set);
    }

    /// Brings the leaves into their trees and signs the next version. Returns its id.
    pub(crate) fn sign(mut self) -> Result<RootId> {
        for tree in tree::TREES {
            let mut leaves: Vec<_> =
                self.set.iter().filter(|set| set.0 == tree).map(|(_, place, hash)| (*place, *hash)).collect();
            // The newest of a place counts: a stable sort keeps their order.
            leaves.sort_by_key(|(place, _)| *place);
            let newest = leaves.chunk_by(|a, b| a.0 == b.0).filter_map(|same| same.last().copied());
            let root = tree.set(self.nodes(), self.tree_root(tree), &newest.collect::<Vec<_>>())?;
            match tree {
                Tree::Subjects => self.root.subjects = root,
                Tree::Templates => self.root.templates = root,
                Tree::Claims => self.root.claims = root,
            }
        }
        self.root.version += 1;
        self.root.erased = self.root.erased.max(self.core.erased.load(Ordering::Acquire)).min(self.root.deleted);
        let key = Arc::clone(self.key()?);
        self.root.write_signed(self.connection, &key)?;
        Ok(RootId { version: self.root.version as u64, code: self.root.code.0 })
    }

    /// Whether anything was changed.
    pub(crate) fn is_changed(&self, since: &RootRow) -> bool {
        !self.set.is_empty() || self.root != *since
    }
}

impl ChangeRow {
    /// The hash of all changes up to this one.
    pub(crate) fn hash(&self, before: &Hash) -> Hash {
        let mut hasher = blake3::Hasher::new_derive_key("clearlane 2026 register change");
        hasher.update(before).update(self.canonical().as_bytes());
        *hasher.finalize().as_bytes()
    }
}

impl RootRow {
    /// The root of a register that holds nothing yet.
    pub(crate) fn new(register: &[u8; 16], roster: &Roster) -> Result<Self> {
        let start = crate::chain::start(register);
        Ok(Self {
            only: 1,
            version: 0,
            key: roster.current()?.slot,
            subjects: NONE,
            templates: NONE,
            claims: NONE,
            roster: roster.hash(),
            last_subject: 0,
            last_template: 0,
            last_change: 0,
            change_hash: NONE,
            first_record: 1,
            hash_before: start,
            last_record: 0,
            record_hash: crate::RecordHash(start),
            keyed_from: 1,
            clock: None,
            faults: 0,
            cleared: 0,
            checked: None,
            problems: 0,
            deleted: 0,
            erased: 0,
            witnessed: false,
            code: Derived([0; 32]),
            encoding: ENCODING,
        })
    }

    /// Writes the root, signed with a key.
    pub(crate) fn write_signed(&mut self, connection: &Connection, key: &RegisterKey) -> Result<()> {
        self.code = Derived(key.code(&self.canonical()));
        self.write(connection)
    }
}

/// The root as it stands.
fn stored_root(connection: &Connection) -> Result<RootRow> {
    let mut statement = connection.prepare_cached(RootRow::SELECT).sql()?;
    let mut rows = statement.query([]).sql()?;
    let mut root = Err(Fault::Dangling { what: "root" });
    // Where there are several, the last is not the one that was signed.
    while let Some(row) = rows.next().sql()? {
        root = RootRow::read(row)?;
    }
    root.map_err(|fault| Row::Root.refused(fault))
}
