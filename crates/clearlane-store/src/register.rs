//! The register: opening it, and reading what it holds.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clearlane_template::{ModelId, SubjectId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use crate::file::{self, Access};
use crate::gather::Gathering;
use crate::keys::{self, Keys};
use crate::seal::RegisterKey;
use crate::{
    DocumentKind, Fault, KeyError, KeySource, NumberDigest, Result, Row, StoreError, Subject, Turn, rows, schema,
};

/// How long a writer waits for another before it gives up, unless [`Register::open_with`] says otherwise.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(5);

/// An open enrolment register: one SQLite file (and its write-ahead log while it is open).
///
/// It may be shared by threads, and the file by processes: any number of readers, and one writer at a time. What a call
/// returned `Ok` for is on disk.
pub struct Register {
    path: PathBuf,
    pub(crate) wait: Duration,
    id: [u8; 16],
    reader: Mutex<Connection>,
    // Closed after the reader: the last to close brings the write-ahead log into the file.
    writer: Option<Mutex<Connection>>,
    pub(crate) keys: Keys,
    pub(crate) gathering: Gathering,
}

impl Register {
    /// Makes a new register, sealed under the key source's current key, and opens it. It appears under its name whole or
    /// not at all, and only its owner can read it.
    pub fn create(path: impl AsRef<Path>, keys: impl KeySource + 'static) -> Result<Self> {
        let current = keys.key(None)?.ok_or(StoreError::NoCurrentKey)?;
        let mut random = zeroize::Zeroizing::new([0; 48]);
        getrandom::fill(random.as_mut()).map_err(|error| KeyError::Source(error.to_string()))?;
        let (secret, id) = random.split_at(32);
        let id = <[u8; 16]>::try_from(id).unwrap_or_default();
        file::create(path.as_ref(), |connection| {
            let key = RegisterKey::new(&current, id);
            let now = Timestamp::now().as_millisecond();
            connection.execute("INSERT INTO key (id, since) VALUES (?1, ?2)", params![key.id.0, now])?;
            connection.execute(
                "INSERT INTO register VALUES (1, ?1, ?2, ?3)",
                params![id, now, key.seal(NUMBER_SECRET, secret)?],
            )?;
            Ok(())
        })?;
        Self::open(path, keys)
    }

    /// Opens a register for reading and writing, and brings it to this version's schema.
    ///
    /// A key source that has keys but not the register's current one is refused; with none at all
    /// ([`Keyring::empty`](crate::Keyring::empty)) all that needs no key can be done.
    pub fn open(path: impl AsRef<Path>, keys: impl KeySource + 'static) -> Result<Self> {
        Self::open_with(path, keys, DEFAULT_WAIT)
    }

    /// As [`Self::open`], waiting for another writer as long as `wait`.
    pub fn open_with(path: impl AsRef<Path>, keys: impl KeySource + 'static, wait: Duration) -> Result<Self> {
        Self::connect(path.as_ref(), Box::new(keys), Access::Write, wait)
    }

    /// Opens a register for reading only.
    pub fn open_read_only(path: impl AsRef<Path>, keys: impl KeySource + 'static) -> Result<Self> {
        Self::connect(path.as_ref(), Box::new(keys), Access::Read, DEFAULT_WAIT)
    }

    fn connect(path: &Path, keys: Box<dyn KeySource>, access: Access, wait: Duration) -> Result<Self> {
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
        let (writer, reader) = match access {
            Access::Read if found < supported => {
                return Err(StoreError::OlderSchema { path: path.to_owned(), found, supported });
            }
            Access::Read => (None, first),
            Access::Write => {
                migrate(&first).map_err(located)?;
                (Some(Mutex::new(first)), file::connect(path, Access::Read, wait)?)
            }
        };
        let (id, keys) = identify(&reader, keys).map_err(located)?;
        let gathering = Gathering::default();
        Ok(Self { path: path.to_owned(), wait, id, writer, reader: Mutex::new(reader), keys, gathering })
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

    /// How probes of a model have to be turned before they are compared with this register's templates. Holds until the
    /// register gets a new key.
    pub fn turn(&self, model: ModelId) -> Result<Arc<Turn>> {
        self.read(|connection| {
            let model = keys::model(connection, model)?;
            Ok(self.keys.get(keys::current(connection)?.id)?.turn(model.id, model.dimension))
        })
    }

    /// The subject that is enrolled under `key`.
    pub fn subject(&self, key: &str) -> Result<Option<Subject>> {
        self.read(|connection| match rows::id_of(connection, key)? {
            Some(id) => rows::by_id(connection, &self.keys, id),
            None => Ok(None),
        })
    }

    /// The subject with this id. One that was revoked is there still, with its revocation and without its details.
    pub fn subject_by_id(&self, id: SubjectId) -> Result<Option<Subject>> {
        self.read(|connection| rows::by_id(connection, &self.keys, id))
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
        let secret = self.read(|connection| {
            let key = self.keys.get(keys::current(connection)?.id)?;
            number_secret(connection, &key)
        })?;
        let mut hasher = blake3::Hasher::new_keyed(&secret);
        hasher.update(kind.as_str().as_bytes()).update(&[0]).update(plain.as_bytes());
        Ok(NumberDigest(*hasher.finalize().as_bytes()))
    }

    /// The enrolled subject on whose file a document with this number is.
    pub fn holder(&self, digest: NumberDigest) -> Result<Option<SubjectId>> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT subject FROM document WHERE number_digest = ?1 ORDER BY subject")?;
            let holder = statement.query_row([digest.0], |row| row.get::<_, i64>(0)).optional()?;
            Ok(holder.map(|id| SubjectId(id as u64)))
        })
    }

    /// Runs `work` in one transaction: all of it is kept, and on disk when this returns, or nothing.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let writer = self.writer()?;
        let mut connection = lock(writer);
        let run = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        self.located(run())
    }

    /// Runs `work` on one state of the register.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut connection = lock(&self.reader);
        let run = || {
            let transaction = connection.transaction()?;
            work(&transaction)
        };
        self.located(run())
    }

    /// As [`Self::read`], on a connection of its own: for what takes long, so that nobody waits for it.
    pub(crate) fn read_apart<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut connection = self.another_reader()?;
        let run = || {
            let transaction = connection.transaction()?;
            work(&transaction)
        };
        self.located(run())
    }

    /// The writing connection, outside any transaction.
    pub(crate) fn with_writer<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.located(work(&lock(self.writer()?)))
    }

    /// Says of which file an error is.
    pub(crate) fn located<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| error.at(&self.path, self.wait))
    }

    /// One more connection to the same file.
    pub(crate) fn another_reader(&self) -> Result<Connection> {
        file::connect(&self.path, Access::Read, self.wait)
    }

    fn writer(&self) -> Result<&Mutex<Connection>> {
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
        let (page, last) = self.register.read(|connection| {
            let state = if self.revoked { "NOT NULL" } else { "NULL" };
            let query = format!(
                "{} WHERE subject.id > ?1 AND revoked IS {state} ORDER BY subject.id LIMIT {}",
                rows::SELECT,
                Self::PAGE
            );
            let mut statement = connection.prepare_cached(&query)?;
            let mut found = statement.query([self.after])?;
            let (mut page, mut last) = (VecDeque::new(), self.after);
            while let Some(row) = found.next()? {
                last = row.get(0)?;
                page.push_back(rows::read(connection, &self.register.keys, row)?);
            }
            Ok((page, last))
        })?;
        self.after = last;
        self.done = page.len() < Self::PAGE;
        Ok(page)
    }
}

/// What the sealed secret of the register's own row is bound to.
const NUMBER_SECRET: &[u8] = b"number secret";

/// The secret that document numbers are digested with. It outlives keys, so that digests stay findable.
pub(crate) fn number_secret(connection: &Connection, key: &RegisterKey) -> Result<zeroize::Zeroizing<[u8; 32]>> {
    let sealed: Vec<u8> = connection.query_row("SELECT number_secret FROM register", [], |row| row.get(0))?;
    let plain = key.open(NUMBER_SECRET, &sealed).map_err(|fault| Row::Register.refused(fault))?;
    let length = Fault::Length { found: plain.len(), expected: 32 };
    let secret = <[u8; 32]>::try_from(plain.as_slice()).map_err(|_| Row::Register.refused(length))?;
    Ok(zeroize::Zeroizing::new(secret))
}

/// Seals the number secret anew, under a new key.
pub(crate) fn reseal_number_secret(connection: &Connection, old: &RegisterKey, new: &RegisterKey) -> Result<()> {
    let sealed = new.seal(NUMBER_SECRET, number_secret(connection, old)?.as_ref())?;
    connection.execute("UPDATE register SET number_secret = ?1", [sealed])?;
    Ok(())
}

fn migrate(connection: &Connection) -> Result<()> {
    if file::version(connection)? < schema::VERSION {
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        // Another process may have done it meanwhile.
        schema::migrate(&transaction, file::version(&transaction)?)?;
        transaction.commit()?;
    }
    Ok(())
}

fn identify(connection: &Connection, source: Box<dyn KeySource>) -> Result<([u8; 16], Keys)> {
    let id = connection.query_row("SELECT id FROM register", [], |row| row.get(0))?;
    let keys = Keys::open(source, id, keys::current(connection)?.id)?;
    Ok((id, keys))
}

/// A panic elsewhere rolled its transaction back, so the connection is as good as before.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}
