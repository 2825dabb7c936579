//! The file itself: made whole or not at all, and never touched unless it is a register.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clearlane_template::without_temporary_name;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::Sql as _;
use crate::schema::{self, APPLICATION_ID};
use crate::{Result, StoreError};

/// Seven sealed templates of 512 values fill such a page to nine tenths.
const PAGE_SIZE: u32 = 16 * 1024;

/// Makes a new register under a temporary name and then names it `path`, so that no half-made file ever bears that name.
/// `fill` writes the first rows.
pub(crate) fn create(path: &Path, fill: impl FnOnce(&Connection) -> Result<()>) -> Result<()> {
    check_free(path)?;
    write_then_name(path, |temporary| {
        let connection = Connection::open(temporary).sql()?;
        connection.pragma_update(None, "page_size", PAGE_SIZE).sql()?;
        connection.pragma_update(None, "synchronous", "FULL").sql()?;
        connection.pragma_update(None, "application_id", APPLICATION_ID).sql()?;
        let transaction = connection.unchecked_transaction().sql()?;
        schema::create(&transaction)?;
        fill(&transaction)?;
        transaction.commit().sql()?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).sql()?;
        connection.close().map_err(|(_, error)| StoreError::sqlite(error))
    })
}

/// Whether a register's write-ahead log holds nothing.
pub(crate) fn log_is_empty(path: &Path) -> bool {
    let log = companion(path, "-wal");
    fs::metadata(&log).map_or_else(|_| !log.exists(), |log| log.len() == 0)
}

/// Which file is at a path: its device and its number there. `None` where the system does not say.
pub(crate) fn identity(path: &Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// What the names of SQLite's own files add to a database's: a log or journal that is left there would be taken for a new
/// file's own.
const COMPANIONS: [&str; 3] = ["-wal", "-journal", "-shm"];

/// Whether a new register can have this name: there is no such file, and no log or journal of an earlier one.
pub(crate) fn check_free(path: &Path) -> Result<()> {
    if path.try_exists().map_err(StoreError::io(path))? {
        return Err(StoreError::Exists { path: path.to_owned() });
    }
    for suffix in COMPANIONS {
        let companion = companion(path, suffix);
        if companion.try_exists().map_err(StoreError::io(path))? {
            return Err(StoreError::LeftoverLog { path: companion });
        }
    }
    Ok(())
}

fn companion(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Lets `write` make a file in the directory of `path`, and gives it that name when it is whole and on disk. Only its
/// owner can read it.
pub(crate) fn write_then_name(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let temporary = tempfile::Builder::new().prefix(".clearlane-").tempfile_in(directory);
    let temporary = temporary.map_err(without_temporary_name).map_err(StoreError::io(path))?;
    write(temporary.path()).map_err(|error| error.at(path, Duration::ZERO))?;
    // Once more, since writing may have taken long.
    check_free(path)?;
    let file = temporary.persist_noclobber(path).map_err(|error| StoreError::io(path)(error.error))?;
    file.sync_all().map_err(StoreError::io(path))?;
    // A new name is durable once its directory is; only Unix lets a directory be opened for that.
    if cfg!(unix) {
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(StoreError::io(path))?;
    }
    Ok(())
}

/// Whether a connection may write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// Opens a register's file. It is looked at for reading only first, so that any other file is left alone.
///
/// All of it goes through SQLite: closing a handle of one's own on a database file would drop the locks of this process's
/// other connections to it (<https://sqlite.org/howtocorrupt.html>, 2.2).
pub(crate) fn connect(path: &Path, access: Access, wait: Duration) -> Result<Connection> {
    if fs::metadata(path).map_err(StoreError::io(path))?.is_dir() {
        return Err(StoreError::NotARegister { path: path.to_owned(), reason: "it is a directory" });
    }
    let look = || -> Result<Connection> {
        let connection = open(path, Access::Read, wait)?;
        check_application(path, &connection)?;
        check_length(path, &connection)?;
        if let Some(table) = schema::missing_table(&connection, version(&connection)?)? {
            return Err(StoreError::Corrupt { path: path.to_owned(), reason: format!("it has no table `{table}`") });
        }
        Ok(connection)
    };
    let connect = || -> Result<Connection> {
        let looked = look().map_err(|error| error.at(path, wait));
        match (looked, access) {
            (looked, Access::Read) => return looked,
            // What is to be rolled back is looked at as it is: a register of ours is, by whoever writes.
            (Err(StoreError::CutOff { .. }), Access::Write) => check_application(path, &unchanging(path)?)?,
            (looked, Access::Write) => drop(looked?),
        }
        let connection = open(path, access, wait)?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).sql()?;
        Ok(connection)
    };
    connect().map_err(|error| error.at(path, wait))
}

/// Statements that a connection keeps prepared: all that this library has for one row each.
const STATEMENTS: usize = 64;

fn open(path: &Path, access: Access, wait: Duration) -> Result<Connection> {
    let flags = match access {
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).sql()?;
    connection.busy_timeout(wait).sql()?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Nothing in a file runs but what this library asks for.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).sql()?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false).sql()?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).sql()?;
    // A prepared statement is not prepared again for other values.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).sql()?;
    for (pragma, value) in [
        ("synchronous", "FULL"),
        ("foreign_keys", "ON"),
        ("secure_delete", "ON"),
        ("cell_size_check", "ON"),
        ("trusted_schema", "OFF"),
        // What is sorted for a query is not written to a file of its own.
        ("temp_store", "MEMORY"),
    ] {
        connection.pragma_update(None, pragma, value).sql()?;
    }
    Ok(connection)
}

/// A connection that takes the file for one that nobody changes, and looks for no log or journal.
fn unchanging(path: &Path) -> Result<Connection> {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => uri.push(char::from(*byte)),
            // Writing to a String cannot fail.
            byte => _ = write!(uri, "%{byte:02X}"),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri, flags).sql()
}

/// The schema version of an open file.
pub(crate) fn version(connection: &Connection) -> Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).sql()
}

/// SQLite itself does not miss the end of the last page.
fn check_length(path: &Path, connection: &Connection) -> Result<()> {
    // A log may be emptied into the file between the two looks: what is wrong then is right at the next.
    let look = || length(path, connection);
    look().or_else(|_| look())
}

fn length(path: &Path, connection: &Connection) -> Result<()> {
    let pages: u64 = connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).sql()? as u64;
    let page_size: u64 = connection.query_row("PRAGMA page_size", [], |row| row.get::<_, i64>(0)).sql()? as u64;
    let found = fs::metadata(path).map_err(StoreError::io(path))?.len();
    // While there is a write-ahead log, pages may be in it that the file has not got yet.
    let logged = !log_is_empty(path);
    if found < pages * page_size && !logged {
        let reason = format!("{found} bytes are there, {} belong", pages * page_size);
        return Err(StoreError::Corrupt { path: path.to_owned(), reason });
    }
    Ok(())
}

fn check_application(path: &Path, connection: &Connection) -> Result<()> {
    let refused = |reason| Err(StoreError::NotARegister { path: path.to_owned(), reason });
    match connection.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0)).sql()? {
        APPLICATION_ID => Ok(()),
        _ if fs::metadata(path).map_err(StoreError::io(path))?.len() == 0 => refused("it is empty"),
        _ => refused("it is the SQLite file of another application"),
    }
}
