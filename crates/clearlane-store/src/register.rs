//! The register: opening it, and reading what it holds.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clearlane_template::{ModelId, SubjectId};
use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use crate::error::Sql as _;
use crate::file::{self, Access};
use crate::group_commit::GroupCommit;
use crate::keys::Keys;
use crate::roster::{self, Roster};
use crate::seal::RegisterKey;
use crate::state::{Core, State, Verified};
use crate::table::{ENCODING, Table};
use crate::tables::{KeyRow, RegisterRow, RootRow, SubjectRow};
use crate::{
    DocumentKind, Fault, Key, KeySource, NumberDigest, Result, RootId, Row, StoreError, Subject, TemplateProtection,
    Witness, migrate, rows, schema,
};

/// How long a writer waits for another before it gives up, unless [`RegisterOptions::wait`] says otherwise.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(5);

/// Nobody waits longer, whatever was asked for: SQLite counts milliseconds in 31 bits.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// An open enrolment register: one SQLite file (and its write-ahead log while it is open).
///
/// It may be shared by threads, and the file by processes: any number of readers, and one writer at a time. What a call
/// returned `Ok` for is on disk.
pub struct Register {
    path: PathBuf,
    /// Which file it was when it was opened, whatever is at the path now.
    file: Option<(u64, u64)>,
    pub(crate) wait: Duration,
    id: [u8; 16],
    reader: Mutex<(Connection, Option<Verified>)>,
    // Closed after the reader: the last to close brings the write-ahead log into the file.
    writer: Option<Mutex<Connection>>,
    pub(crate) core: Core,
    pub(crate) group_commit: GroupCommit,
    /// When an erasure was tried last.
    pub(crate) erasing: Mutex<Option<Instant>>,
    witness: Option<Arc<dyn Witness>>,
    /// Whether the witness took over the newest root.
    witnessed: AtomicBool,
}

/// How a register is made, opened or restored.
#[derive(Clone, Default)]
#[must_use]
pub struct RegisterOptions {
    wait: Option<Duration>,
    witness: Option<Arc<dyn Witness>>,
}

impl RegisterOptions {
    /// The defaults: waits for other writers as long as [`DEFAULT_WAIT`], and has no witness.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for another writer as long as this.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Has `witness` remember each new root, and refuses a register that is older than the newest.
    pub fn witness(mut self, witness: impl Witness + 'static) -> Self {
        self.witness = Some(Arc::new(witness));
        self
    }

    /// As [`Register::create`].
    pub fn create(&self, path: impl AsRef<Path>, keys: impl KeySource + 'static) -> Result<Register> {
        let path = path.as_ref();
        let current = keys.key(None)?.ok_or(StoreError::NoCurrentKey)?;
        let id = *roster::random::<16>()?;
        let key = RegisterKey::new(&current, id);
        file::create(path, |connection| {
            let since = Timestamp::now();
            let row = RegisterRow::new(id, since, &key)?;
            row.insert(connection)?;
            KeyRow { slot: 1, id: key.id.0, since, encoding: ENCODING }.insert(connection)?;
            RootRow::new(&id, &Roster::read(connection)?)?.write_signed(connection, &key)
        })?;
        self.open(path, keys)
    }

    /// As [`Register::open`].
    pub fn open(&self, path: impl AsRef<Path>, keys: impl KeySource + 'static) -> Result<Register> {
        self.connect(path.as_ref(), Box::new(keys), Access::Write, Witnessed::Refuses)
    }

    /// As [`Register::open_read_only`].
    pub fn open_read_only(&self, path: impl AsRef<Path>, keys: impl KeySource + 'static) -> Result<Register> {
        self.connect(path.as_ref(), Box::new(keys), Access::Read, Witnessed::Refuses)
    }

    /// Opens a register that was put in place of a newer one on purpose.
    pub(crate) fn open_restored(&self, path: &Path, keys: impl KeySource + 'static) -> Result<Register> {
        self.connect(path, Box::new(keys), Access::Write, Witnessed::IsPassed)
    }

    fn connect(&self, path: &Path, keys: Box<dyn KeySource>, access: Access, newer: Witnessed) -> Result<Register> {
        let wait = self.wait.unwrap_or(DEFAULT_WAIT).min(LONGEST_WAIT);
        let first = file::connect(path, access, wait)?;
        let located = |error: StoreError| error.at(path, wait);
        let found = file::version(&first).map_err(located)?;
        let supported = schema::VERSION;
        if found == 0 {
            return Err(StoreError::Corrupt { path: path.to_owned(), reason: "it has no schema version".to_owned() });
        }
        if found > supported {
            return Err(StoreError::NewerSchema { path: path.to_owned(), found, supported });
        }
        if access == Access::Read && found < supported {
            return Err(StoreError::OlderSchema { path: path.to_owned(), found, supported });
        }
        let core = Core::new(Keys::open(keys, &first).map_err(located)?);
        if access == Access::Write {
            migrate::to_newest(&first, &core).map_err(located)?;
        }
        let id = core.keys.register();
        let (writer, reader) = match access {
            Access::Read => (None, first),
            Access::Write => (Some(Mutex::new(first)), file::connect(path, Access::Read, wait)?),
        };
        let register = Register {
            path: path.to_owned(),
            file: file::identity(path),
            wait,
            id,
            reader: Mutex::new((reader, None)),
            writer,
            core,
            group_commit: GroupCommit::default(),
            erasing: Mutex::default(),
            witness: self.witness.clone(),
            witnessed: AtomicBool::new(true),
        };
        register.begin(newer)?;
        Ok(register)
    }
}

impl fmt::Debug for RegisterOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisterOptions").field("wait", &self.wait).field("witness", &self.witness.is_some()).finish()
    }
}

/// What a witness that has seen a newer root means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Witnessed {
    /// The register is refused.
    Refuses,
    /// The register was put back on purpose: its next version is newer than all that the witness has seen.
    IsPassed,
}

impl Register {
    /// Makes a new register, sealed under the key source's current key, and opens it. It appears under its name whole or
    /// not at all, and only its owner can read it.
    pub fn create(path: impl AsRef<Path>, keys: impl KeySource + 'static) -> Result<Self> {
        RegisterOptions::new().create(path, keys)
    }

    /// Opens a register for reading and writing, and brings it to this version's schema, for which its keys are needed.
    ///
    /// A key source that has keys but not the register's current one is refused; with none at all
    /// ([`Keyring::empty`](crate::Keyring::empty)) what is not sealed can be read, nothing vouches for it, and nothing can
    /// be written.
    pub fn open(path: impl AsRef<Path>, keys: impl KeySource + 'static) -> Result<Self> {
        RegisterOptions::new().open(path, keys)
    }

    /// Opens a register for reading only.
    pub fn open_read_only(path: impl AsRef<Path>, keys: impl KeySource + 'static) -> Result<Self> {
        RegisterOptions::new().open_read_only(path, keys)
    }

    /// Verifies the root, holds it against the witness, and erases what an earlier process left behind.
    fn begin(&self, newer: Witnessed) -> Result<()> {
        // Asked before the root is read: a root is handed over once it is on disk, so what is read then is as new at least.
        let newest = self.witness.as_ref().map(|witness| witness.newest(self.id)).transpose()?.flatten();
        let root = self.read(|state| Ok(state.is_keyed().then_some(state.root.clone())))?;
        let Some(root) = root else { return Ok(()) };
        let found = root.version as u64;
        match newest {
            Some(newest) if newest.version > found || (newest.version == found && newest.code != root.code.0) => {
                if newer == Witnessed::Refuses {
                    return Err(Row::Root.refused(Fault::RolledBack { found, witnessed: newest.version }));
                }
                // Newer than all that was seen, whatever the two have in common.
                self.write(|state| {
                    state.root.version = newest.version as i64 + 1;
                    Ok(())
                })?;
            }
            Some(newest) if newest.version == found => {}
            _ if self.writer.is_some() => self.witness(RootId { version: found, code: root.code.0 }),
            _ => {}
        }
        if self.writer.is_some() && root.deleted > root.erased {
            _ = self.erase_now();
        }
        Ok(())
    }

    /// Hands a root to the witness. It is on disk already, so a witness that fails is no failure of the change: the next
    /// change tries again, and [`Self::is_witnessed`] says so.
    fn witness(&self, root: RootId) {
        if let Some(witness) = &self.witness {
            // The host's own: what it does is no failure of a change that is on disk.
            let noted = catch_unwind(AssertUnwindSafe(|| witness.note(self.id, root)));
            self.witnessed.store(matches!(noted, Ok(Ok(()))), Ordering::Release);
        }
    }

    /// Whether the witness, where there is one, took over the newest root that this process wrote.
    #[must_use]
    pub fn is_witnessed(&self) -> bool {
        self.witnessed.load(Ordering::Acquire)
    }

    /// The newest root, to be remembered elsewhere. `None` where there is no key to verify it with.
    pub fn root(&self) -> Result<Option<RootId>> {
        self.read(|state| {
            let id = RootId { version: state.root.version as u64, code: state.root.code.0 };
            Ok(state.is_keyed().then_some(id))
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A random number that this register got when it was made, and its backups share.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// The protection of a model's templates: probes have to be transformed by it before they are compared with this
    /// register's templates. Holds until the register gets a new key.
    pub fn protection(&self, model: ModelId) -> Result<Arc<TemplateProtection>> {
        self.read(|state| {
            let model = state.roster.model(model)?;
            Ok(state.key()?.protection(model.id, model.dimension))
        })
    }

    /// The secret that seals files which galleries of this register are kept in: derived from the register's present key for
    /// this purpose alone. Once the register gets a new key, such files are of no use, as they must be.
    pub fn gallery_key(&self) -> Result<Key> {
        self.read(|state| Ok(Key::from_bytes(*state.key()?.gallery)))
    }

    /// The subject that is enrolled under `key`.
    pub fn subject(&self, key: &str) -> Result<Option<Subject>> {
        self.read(|state| rows::by_key(state, key))
    }

    /// The subject with this id. One that was revoked is there still, with its revocation and without its details.
    pub fn subject_by_id(&self, id: SubjectId) -> Result<Option<Subject>> {
        self.read(|state| rows::by_id(state, id))
    }

    /// All subjects that are enrolled, in the order of their ids. A row that is refused is an error, and the next one
    /// follows. Nothing is locked meanwhile.
    pub fn subjects(&self) -> Subjects<'_> {
        Subjects { register: self, revoked: false, after: 0, page: VecDeque::new(), done: false }
    }

    /// All subjects that were revoked, in the order of their ids.
    pub fn revoked_subjects(&self) -> Subjects<'_> {
        Subjects { revoked: true, ..self.subjects() }
    }

    /// The keyed digest of a document's number, by which the register finds it again. Case, spaces and punctuation in the
    /// number make no difference.
    pub fn number_digest(&self, kind: DocumentKind, number: &str) -> Result<NumberDigest> {
        let plain: String = number.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect();
        if plain.is_empty() {
            return Err(StoreError::Invalid { field: "document number", reason: "has no letter or digit".to_owned() });
        }
        let secret = self.read(|state| state.roster.number_secret(state.key()?))?;
        let mut hasher = blake3::Hasher::new_keyed(&secret);
        hasher.update(kind.as_str().as_bytes()).update(&[0]).update(plain.as_bytes());
        Ok(NumberDigest(*hasher.finalize().as_bytes()))
    }

    /// The enrolled subject on whose file a document with this number is.
    pub fn holder(&self, digest: NumberDigest) -> Result<Option<SubjectId>> {
        self.read(|state| {
            let mut statement = state
                .connection
                .prepare_cached("SELECT subject FROM document WHERE number_digest = ?1 ORDER BY subject")
                .sql()?;
            let holder = statement.query_row([digest.0], |row| row.get::<_, i64>(0)).optional().sql()?;
            let Some(id) = holder.map(|id| SubjectId(id as u64)) else { return Ok(None) };
            // The index only points there: that it is this document, the subject's own rows have to say.
            let holds = |subject: &Subject| subject.details.documents.iter().any(|one| one.number_digest == digest);
            match rows::by_id(state, id)? {
                Some(subject) if holds(&subject) => Ok(Some(id)),
                _ => Err(Row::Documents.refused(Fault::Unbound)),
            }
        })
    }

    /// Runs `work` on a verified state, in one transaction: all that it changes is kept, signed and on disk when this
    /// returns, or nothing.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&mut State<'_>) -> Result<T>) -> Result<T> {
        self.write_within(self.wait, work)
    }

    /// As [`Self::write`], waiting no longer than `wait` for other writers.
    pub(crate) fn write_within<T>(&self, wait: Duration, work: impl FnOnce(&mut State<'_>) -> Result<T>) -> Result<T> {
        let wait = wait.min(LONGEST_WAIT);
        let until = Instant::now() + wait;
        let locked = || StoreError::Locked { path: self.path.clone(), waited: wait };
        let mut connection = self.writer()?.try_lock_for(wait).ok_or_else(locked)?;
        let run = || {
            self.check_place()?;
            connection.busy_timeout(until.saturating_duration_since(Instant::now())).sql()?;
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).sql()?;
            let mut state = State::newest(&transaction, &self.core)?;
            state.key()?;
            if state.root.witnessed && self.witness.is_none() {
                return Err(StoreError::NeedsWitness { path: self.path.clone() });
            }
            let before = state.root.clone();
            state.root.witnessed |= self.witness.is_some();
            let value = work(&mut state)?;
            let root = if state.is_changed(&before) { Some(state.sign()?) } else { None };
            transaction.commit().sql()?;
            Ok((value, root))
        };
        let (value, root) = self.located(run())?;
        if let Some(root) = root {
            self.core.seen.fetch_max(root.version as i64, Ordering::AcqRel);
            self.witness(root);
        }
        Ok(value)
    }

    /// Runs `work` on one verified state of the register.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&State<'_>) -> Result<T>) -> Result<T> {
        let (connection, verified) = &mut *self.reader.lock();
        self.reading(connection, verified, work)
    }

    /// As [`Self::read`], on a connection of its own: for what takes long, so that nobody waits for it.
    pub(crate) fn read_apart<T>(&self, work: impl FnOnce(&State<'_>) -> Result<T>) -> Result<T> {
        self.reading(&self.another_reader()?, &mut None, work)
    }

    fn reading<T>(
        &self,
        connection: &Connection,
        verified: &mut Option<Verified>,
        work: impl FnOnce(&State<'_>) -> Result<T>,
    ) -> Result<T> {
        let run = || {
            self.check_place()?;
            let transaction = Reading::begin(connection)?;
            work(&State::newest_read(transaction.0, &self.core, verified)?)
        };
        self.located(run())
    }

    /// Whether the file that is open is the one at the path: what is written to one that was moved away is lost to all who
    /// open the other.
    fn check_place(&self) -> Result<()> {
        if self.file == file::identity(&self.path) {
            Ok(())
        } else {
            Err(StoreError::Moved { path: self.path.clone() })
        }
    }

    /// The writing connection, outside any transaction.
    pub(crate) fn with_writer<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.located(work(&self.writer()?.lock()))
    }

    /// Says of which file an error is.
    pub(crate) fn located<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| error.at(&self.path, self.wait))
    }

    /// One more connection to the same file.
    pub(crate) fn another_reader(&self) -> Result<Connection> {
        file::connect(&self.path, Access::Read, self.wait)
    }

    pub(crate) fn writer(&self) -> Result<&Mutex<Connection>> {
        self.writer.as_ref().ok_or_else(|| StoreError::ReadOnly { path: self.path.clone() })
    }
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Register")
            .field("path", &self.path)
            .field("writable", &self.writer.is_some())
            .finish_non_exhaustive()
    }
}

/// A transaction that reads, by statements that were prepared before.
struct Reading<'a>(&'a Connection);

impl<'a> Reading<'a> {
    fn begin(connection: &'a Connection) -> Result<Self> {
        connection.prepare_cached("BEGIN").sql()?.execute([]).sql()?;
        Ok(Self(connection))
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        // Where it fails, the connection's next transaction does.
        _ = self.0.prepare_cached("ROLLBACK").and_then(|mut statement| statement.execute([]));
    }
}

/// Subjects, a page at a time. See [`Register::subjects`].
#[derive(Debug)]
pub struct Subjects<'a> {
    register: &'a Register,
    revoked: bool,
    after: i64,
    page: VecDeque<Result<Subject>>,
    done: bool,
}

impl Iterator for Subjects<'_> {
    type Item = Result<Subject>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && !self.done {
            self.page = match self.next_page() {
                Ok(page) => page,
                Err(error) => VecDeque::from([Err(error)]),
            };
        }
        self.page.pop_front()
    }
}

impl Subjects<'_> {
    const PAGE: usize = 512;

    fn next_page(&mut self) -> Result<VecDeque<Result<Subject>>> {
        // Ends the iteration, unless the page turns out to be a full one.
        self.done = true;
        let (page, last) = self.register.read(|state| {
            let condition = format!(
                "WHERE subject.id > ?1 AND revoked IS {} ORDER BY subject.id LIMIT {}",
                if self.revoked { "NOT NULL" } else { "NULL" },
                Self::PAGE
            );
            let mut statement =
                state.connection.prepare_cached(&format!("{} {condition}", SubjectRow::SELECT)).sql()?;
            let mut found = statement.query([self.after]).sql()?;
            let (mut page, mut last) = (VecDeque::new(), self.after);
            while let Some(row) = found.next().sql()? {
                last = row.get(0).sql()?;
                page.push_back(rows::verified(state, row)?);
            }
            Ok((page, last))
        })?;
        self.after = last;
        self.done = page.len() < Self::PAGE;
        Ok(page)
    }
}
