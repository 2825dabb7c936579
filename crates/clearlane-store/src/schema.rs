//! The schema's versions, and the way from each to the next.

use rusqlite::Connection;

use crate::Result;

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

/// Brings the tables from one version to another. In the caller's transaction.
pub(crate) fn advance(connection: &Connection, from: u32, to: u32) -> Result<()> {
    for migration in &MIGRATIONS[from as usize..to as usize] {
        connection.execute_batch(migration)?;
    }
    connection.pragma_update(None, "user_version", to)?;
    Ok(())
}
