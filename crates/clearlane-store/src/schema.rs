//! The schema's versions, and the way from each to the next.

use std::sync::OnceLock;

use rusqlite::Connection;

use crate::Result;
use crate::error::Sql as _;

/// SQLite's `application_id` of a register: "clr1".
pub(crate) const APPLICATION_ID: i32 = i32::from_be_bytes(*b"clr1");

/// What makes each version out of the one before; the first makes version 1 out of an empty file. An entry is never
/// changed once released: files of its version exist.
const MIGRATIONS: &[&str] =
    &[include_str!("../schema/1.sql"), include_str!("../schema/2.sql"), include_str!("../schema/3.sql")];

/// The newest version, which this library reads and writes.
pub(crate) const VERSION: u32 = MIGRATIONS.len() as u32;

/// Makes the tables of the newest version in an empty file. In the caller's transaction.
pub(crate) fn create(connection: &Connection) -> Result<()> {
    advance(connection, 0, VERSION)
}

/// Whether a file's schema is the one that this library makes, to the letter: another table, index, view or trigger, or
/// another constraint, would let statements do something else than they say.
pub(crate) fn is_ours(connection: &Connection) -> Result<bool> {
    Ok(entries(connection)? == made(VERSION)?)
}

/// A table that a file of this version has to have and has not.
pub(crate) fn missing_table(connection: &Connection, version: u32) -> Result<Option<&'static str>> {
    let found = entries(connection)?;
    let missing = |(kind, name, ..): &&Entry| kind == "table" && found.iter().all(|(_, other, ..)| other != name);
    Ok(made(version)?.iter().find(missing).map(|(_, name, ..)| name.as_str()))
}

/// The schema that this library makes for a version.
fn made(version: u32) -> Result<&'static [Entry]> {
    static MADE: OnceLock<Vec<Vec<Entry>>> = OnceLock::new();
    let made = if let Some(made) = MADE.get() {
        made
    } else {
        let fresh = Connection::open_in_memory().sql()?;
        let versions = (0..VERSION).map(|before| {
            advance(&fresh, before, before + 1)?;
            entries(&fresh)
        });
        let versions = versions.collect::<Result<_>>()?;
        MADE.get_or_init(|| versions)
    };
    Ok(version.checked_sub(1).and_then(|at| made.get(at as usize)).map_or(&[], Vec::as_slice))
}

/// A row of `sqlite_schema`: its type, name, table and text.
type Entry = (String, String, String, Option<String>);

fn entries(connection: &Connection) -> Result<Vec<Entry>> {
    let mut statement =
        connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").sql()?;
    let entries = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).sql()?;
    entries.collect::<rusqlite::Result<_>>().sql()
}

/// Brings the tables from one version to another. In the caller's transaction.
pub(crate) fn advance(connection: &Connection, from: u32, to: u32) -> Result<()> {
    for migration in &MIGRATIONS[from as usize..to as usize] {
        connection.execute_batch(migration).sql()?;
    }
    connection.pragma_update(None, "user_version", to).sql()?;
    Ok(())
}
