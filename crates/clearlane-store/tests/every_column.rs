//! Nothing in the file can be altered unnoticed: every column of every table, as the file's own schema lists them, is
//! changed, emptied, copied from another row and copied back from an older file, and every row is taken out, doubled and
//! copied back. A new column or table is tried without a line here.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clearlane_store::{Details, Erasure, ImageDigest, Keyring, NewTemplate, Register};
use clearlane_template::{ModelId, SubjectId};
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use support::{details, fixture, key, passage, person, template, template_of};
use tempfile::TempDir;

/// What may be altered, since nothing is decided by it.
const MEANINGLESS: &[(&str, &str)] =
    &[("sqlite_sequence", "SQLite's own counters of ids: those that count are in the root")];

/// A register of which every table has several rows, all columns filled somewhere, and an older copy of it, of which
/// everything was changed since.
struct Files {
    _folder: TempDir,
    present: PathBuf,
    older: PathBuf,
}

fn files() -> Files {
    let f = fixture();
    let other = ModelId::digest([b"other".as_slice()]);
    let everything = |number: u64| {
        let source = Some(ImageDigest::of(&number.to_le_bytes()));
        let new = NewTemplate { template: template(number), source };
        person(number)
            .with_details(details(&f.register))
            .with_template(new)
            .with_template(template_of(other, number, 32))
    };
    for number in 1..=5 {
        f.register.enrol(&everything(number)).unwrap();
    }
    f.register.append_records(&(1..=6).map(passage).collect::<Vec<_>>()).unwrap();
    for nonce in 0..4 {
        assert!(f.register.spend_claim([nonce; 16], Timestamp::MAX).unwrap());
    }
    assert_eq!(f.register.revoke(SubjectId(4), "lost").unwrap(), Erasure::Complete);
    f.register.check(|_, _| ()).unwrap();
    let older = f.folder.path().join("older");
    f.register.backup(&older, |_, _| ()).unwrap();

    // Everything goes on: a revocation, a withdrawal, other documents, a shorter enrolment, more of everything.
    assert_eq!(f.register.revoke(SubjectId(2), "stolen").unwrap(), Erasure::Complete);
    f.register.withdraw_consent(SubjectId(1), Timestamp::UNIX_EPOCH).unwrap();
    let mut shorter = details(&f.register);
    shorter.expires = Some("2026-01-01".parse().unwrap());
    shorter.documents[0].expires = "2026-01-01".parse().unwrap();
    f.register.update(SubjectId(3), shorter).unwrap();
    f.register.update(SubjectId(5), Details::default()).unwrap();
    f.register.enrol(&everything(6)).unwrap();
    let voids = clearlane_store::NewRecord { voids: Some(6), ..passage(7) };
    f.register.append_records(&[voids, passage(8)]).unwrap();
    assert!(f.register.spend_claim([9; 16], Timestamp::MAX).unwrap());
    assert!(f.register.remove_template(clearlane_template::TemplateId(1)).unwrap().0);
    let third = ModelId::digest([b"third".as_slice()]);
    f.register.add_templates(SubjectId(3), &[template_of(third, 3, 16).into()]).unwrap();
    f.register.rekey(&key(2), |_, _| ()).unwrap();
    f.register.check(|_, _| ()).unwrap();
    let present = f.folder.path().join("present");
    f.register.backup(&present, |_, _| ()).unwrap();
    let support::Fixture { folder, .. } = f;
    Files { _folder: folder, present, older }
}

impl Files {
    /// Whether the present register, altered by `change`, is refused or found unsound. `None`: nothing was altered.
    fn noticed(&self, change: impl FnOnce(&Connection) -> rusqlite::Result<usize>) -> Option<bool> {
        let altered = self.present.with_file_name("altered");
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{suffix}", altered.display()));
        }
        fs::copy(&self.present, &altered).unwrap();
        let connection = Connection::open(&altered).unwrap();
        connection
            .execute_batch(&format!(
                "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; ATTACH '{}' AS older",
                self.older.display()
            ))
            .unwrap();
        // What the file itself forbids was not altered.
        let changed = change(&connection).unwrap_or(0);
        drop(connection);
        (changed > 0).then(|| is_noticed(&altered))
    }

    fn connection(&self) -> Connection {
        Connection::open(&self.present).unwrap()
    }
}

fn is_noticed(path: &Path) -> bool {
    match Register::open(path, Keyring::new(key(2)).with_older(key(1))) {
        Ok(register) => !register.check(|_, _| ()).is_ok_and(|report| report.is_sound()),
        Err(_) => true,
    }
}

fn tables(connection: &Connection) -> Vec<String> {
    let mut statement =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// The columns of a table, and those of its primary key.
fn columns(connection: &Connection, table: &str) -> (Vec<String>, Vec<String>) {
    let mut statement = connection.prepare("SELECT name, pk FROM pragma_table_info(?1) ORDER BY cid").unwrap();
    let rows = statement.query_map([table], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).unwrap();
    let all: Vec<_> = rows.map(Result::unwrap).collect();
    let key = all.iter().filter(|(_, pk)| *pk > 0).map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let key = if key.is_empty() { vec!["rowid".to_owned()] } else { key };
    (all.into_iter().map(|(name, _)| name).collect(), key)
}

/// The primary keys of a table's rows.
fn keys(connection: &Connection, table: &str, key: &[String]) -> Vec<Vec<Value>> {
    let columns = key.join(", ");
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM \"{table}\" ORDER BY {columns}")).unwrap();
    let read = |row: &rusqlite::Row<'_>| (0..key.len()).map(|at| row.get::<_, Value>(at)).collect();
    statement.query_map([], read).unwrap().map(Result::unwrap).collect()
}

fn is(key: &[String], from: usize) -> String {
    key.iter().zip(from..).map(|(name, at)| format!("{name} = ?{at}")).collect::<Vec<_>>().join(" AND ")
}

fn changed(value: &Value) -> Value {
    match value {
        Value::Null => Value::Integer(1),
        Value::Integer(number) => Value::Integer(number ^ 1),
        Value::Real(number) => Value::Real(number + 0.25),
        Value::Text(text) => Value::Text(format!("{text}x")),
        Value::Blob(bytes) if bytes.is_empty() => Value::Blob(vec![1]),
        Value::Blob(bytes) => {
            let mut bytes = bytes.clone();
            *bytes.last_mut().unwrap() ^= 1;
            Value::Blob(bytes)
        }
    }
}

#[test]
fn every_column_of_every_table_is_bound() {
    let files = files();
    let connection = files.connection();
    assert_eq!(files.noticed(|connection| connection.execute("UPDATE root SET version = version", [])), Some(false));
    let (mut tried, mut emptied, mut unnoticed) = (0, BTreeSet::new(), BTreeSet::new());
    let mut attempt = |what: String, table: &str, change: &dyn Fn(&Connection) -> rusqlite::Result<usize>| match files
        .noticed(change)
    {
        Some(true) => tried += 1,
        Some(false) if MEANINGLESS.iter().any(|(known, _)| *known == table) => tried += 1,
        Some(false) => _ = unnoticed.insert(what),
        None => {}
    };
    for table in tables(&connection) {
        let (columns, key) = columns(&connection, &table);
        let rows = keys(&connection, &table, &key);
        assert!(!rows.is_empty(), "{table} is to have rows here");
        for column in &columns {
            let filled: i64 = connection
                .query_row(&format!("SELECT count(\"{column}\") FROM \"{table}\""), [], |row| row.get(0))
                .unwrap();
            if filled == 0 {
                emptied.insert(format!("{table}.{column}"));
            }
            let select = format!("SELECT \"{column}\" FROM \"{table}\" WHERE {}", is(&key, 1));
            let update = format!("UPDATE \"{table}\" SET \"{column}\" = ?1 WHERE {}", is(&key, 2));
            let older = format!("SELECT \"{column}\" FROM older.\"{table}\" WHERE {}", is(&key, 1));
            for (at, row) in rows.iter().enumerate() {
                let value = |connection: &Connection, sql: &str, row: &[Value]| -> rusqlite::Result<Value> {
                    connection.query_row(sql, params_from_iter(row), |row| row.get(0))
                };
                let set = |connection: &Connection, new: Value| -> rusqlite::Result<usize> {
                    if value(connection, &select, row)? == new {
                        return Ok(0);
                    }
                    connection.execute(&update, params_from_iter(std::iter::once(&new).chain(row)))
                };
                let what = |how: &str| format!("{table}.{column} of {row:?} {how}");
                attempt(what("changed"), &table, &|connection| {
                    let new = changed(&value(connection, &select, row)?);
                    set(connection, new)
                });
                attempt(what("nulled"), &table, &|connection| set(connection, Value::Null));
                let another = &rows[(at + 1) % rows.len()];
                attempt(what("copied from another row"), &table, &|connection| {
                    let new = value(connection, &select, another)?;
                    set(connection, new)
                });
                attempt(what("copied from an older file"), &table, &|connection| {
                    let new = value(connection, &older, row)?;
                    set(connection, new)
                });
            }
        }
    }
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
    assert!(emptied.is_empty(), "nothing is tried where nothing stands: {emptied:?}");
    assert!(tried > 500, "{tried}");
}

#[test]
fn every_row_of_every_table_is_bound() {
    let files = files();
    let connection = files.connection();
    let (mut tried, mut unnoticed) = (0, BTreeSet::new());
    for table in tables(&connection) {
        if MEANINGLESS.iter().any(|(known, _)| *known == table) {
            continue;
        }
        let (columns, key) = columns(&connection, &table);
        let condition = is(&key, 1);
        let list = columns.join(", ");
        let rest: Vec<_> = columns.iter().filter(|column| **column != key[0]).cloned().collect();
        let doubled = format!(
            "INSERT INTO \"{table}\" ({0}, {1}) SELECT ?2, {1} FROM \"{table}\" WHERE {0} = ?1 LIMIT 1",
            key[0],
            rest.join(", ")
        );
        let mut attempt =
            |what: String, change: &dyn Fn(&Connection) -> rusqlite::Result<usize>| match files.noticed(change) {
                Some(true) => tried += 1,
                Some(false) => _ = unnoticed.insert(what),
                None => {}
            };
        for row in keys(&connection, &table, &key) {
            attempt(format!("{table} {row:?} taken out"), &|connection| {
                connection.execute(&format!("DELETE FROM \"{table}\" WHERE {condition}"), params_from_iter(&row))
            });
            let other = match &row[0] {
                Value::Integer(number) => Value::Integer(number + 1000),
                other => changed(other),
            };
            attempt(format!("{table} {row:?} doubled"), &|connection| {
                connection.execute(&doubled, params![row[0], other])
            });
        }
        // Those that are gone by now among them.
        let older = Connection::open(&files.older).unwrap();
        for row in keys(&older, &table, &key) {
            attempt(format!("{table} {row:?} copied back"), &|connection| {
                let present = format!("SELECT {list} FROM \"{table}\" WHERE {condition}");
                let older = format!("SELECT {list} FROM older.\"{table}\" WHERE {condition}");
                let read = |sql: &str| {
                    let values = |row: &rusqlite::Row<'_>| {
                        (0..columns.len()).map(|at| row.get::<_, Value>(at)).collect::<rusqlite::Result<Vec<_>>>()
                    };
                    connection.query_row(sql, params_from_iter(&row), values).ok()
                };
                if read(&present) == read(&older) {
                    return Ok(0);
                }
                connection.execute(&format!("REPLACE INTO \"{table}\" ({list}) {older}"), params_from_iter(&row))
            });
        }
        attempt(format!("all of {table} copied back"), &|connection| {
            connection.execute(&format!("DELETE FROM \"{table}\""), [])?;
            connection.execute(&format!("INSERT INTO \"{table}\" ({list}) SELECT {list} FROM older.\"{table}\""), [])
        });
    }
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
    assert!(tried > 100, "{tried}");
}

/// All but one table copied back: whichever is left shows it.
#[test]
fn an_older_file_is_not_the_present_one_with_any_one_table_of_it() {
    let files = files();
    let connection = files.connection();
    let all = tables(&connection);
    for kept in all.iter().filter(|table| !MEANINGLESS.iter().any(|(known, _)| known == table)) {
        // What is the same in both files is no sign of either.
        let differs: bool = {
            connection.execute_batch(&format!("ATTACH '{}' AS older", files.older.display())).unwrap();
            let sql = format!(
                "SELECT EXISTS (SELECT * FROM \"{kept}\" EXCEPT SELECT * FROM older.\"{kept}\")
                 OR EXISTS (SELECT * FROM older.\"{kept}\" EXCEPT SELECT * FROM \"{kept}\")"
            );
            let differs = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
            connection.execute_batch("DETACH older").unwrap();
            differs
        };
        let noticed = files.noticed(|connection| {
            let mut changed = 0;
            for table in all.iter().filter(|table| *table != kept) {
                connection.execute(&format!("DELETE FROM \"{table}\""), [])?;
                changed +=
                    connection.execute(&format!("INSERT INTO \"{table}\" SELECT * FROM older.\"{table}\""), [])?;
            }
            Ok(changed)
        });
        assert_eq!(noticed, Some(differs), "{kept}");
    }
}
