//! The check of a whole register: structure, seals, authentication codes and the chain of records, row by row.

use std::collections::HashMap;

use clearlane_template::{SubjectId, TemplateId};
use jiff::Timestamp;
use rayon::prelude::*;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::keys;
use crate::load::Opener;
use crate::{Fault, Register, Result, Row, StoreError, chain, rows};

/// Something that is wrong with a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The row.
    pub row: Row,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Subjects that were read, revoked ones included.
    pub subjects: u64,
    /// Templates that were opened.
    pub templates: u64,
    /// Crossing records that were verified.
    pub records: u64,
    /// Whether there was a key to open seals with. Without one, templates and authentication codes are not checked.
    pub keyed: bool,
    /// All that is wrong.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// How the last check of a register ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LastCheck {
    /// When it was.
    pub time: Timestamp,
    /// How many problems it found.
    pub problems: u64,
}

/// How many templates are opened between two reports of progress.
const CHUNK: usize = 4096;

impl Register {
    /// Checks all of the register, on one state of it, on all threads of the current rayon pool. `progress` gets how many
    /// rows are done, of how many.
    ///
    /// An error means that the check could not be made; what it finds wrong is in the report. Where the register is open
    /// for writing, the outcome is noted for [`Self::last_check`].
    pub fn check(&self, mut progress: impl FnMut(u64, u64)) -> Result<Report> {
        let report = self.read_apart(|connection| {
            let mut report =
                Report { subjects: 0, templates: 0, records: 0, keyed: true, problems: structure(connection)? };
            let count = |table: &str| -> Result<u64> {
                let count = format!("SELECT count(*) FROM {table}");
                Ok(connection.query_row(&count, [], |row| row.get::<_, i64>(0))? as u64)
            };
            let total = count("subject")? + count("template")? + count("record")?;
            self.check_secret(connection, &mut report)?;
            self.check_subjects(connection, &mut report, &mut |done| progress(done, total))?;
            let before = report.subjects;
            if report.keyed {
                self.check_templates(connection, &mut report, &mut |done| progress(before + done, total))?;
            }
            let before = before + report.templates;
            let mut chain_progress = |done, _| progress(before + done, total);
            let chain = chain::verify(connection, &self.keys, self.id(), &mut chain_progress)?;
            report.records = chain.records;
            report.problems.extend(chain.problems);
            Ok(report)
        })?;
        let noted = self.write(|transaction| {
            let values = params![Timestamp::now().as_millisecond(), report.problems.len() as i64];
            transaction.execute("REPLACE INTO inspection VALUES (1, ?1, ?2)", values)?;
            Ok(())
        });
        match noted {
            Ok(()) | Err(StoreError::ReadOnly { .. }) => Ok(report),
            Err(error) => Err(error),
        }
    }

    /// How the last check ended, whichever process made it.
    pub fn last_check(&self) -> Result<Option<LastCheck>> {
        self.read(|connection| {
            let query = "SELECT time, problems FROM inspection";
            let last = connection.query_row(query, [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?))).optional()?;
            Ok(last.and_then(|(time, problems)| {
                Timestamp::from_millisecond(time).ok().map(|time| LastCheck { time, problems: problems as u64 })
            }))
        })
    }

    fn check_secret(&self, connection: &Connection, report: &mut Report) -> Result<()> {
        report.keyed = false;
        if let Some(key) = self.keys.get_unless_absent(keys::current(connection)?.id)? {
            report.keyed = true;
            note(crate::register::number_secret(connection, &key), report)?;
        }
        Ok(())
    }

    fn check_subjects(
        &self,
        connection: &Connection,
        report: &mut Report,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let mut statement = connection.prepare(&format!("{} ORDER BY subject.id", rows::SELECT))?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            note(rows::read(connection, &self.keys, row)?, report)?;
            report.subjects += 1;
            if report.subjects.is_multiple_of(CHUNK as u64) {
                progress(report.subjects);
            }
        }
        progress(report.subjects);
        Ok(())
    }

    fn check_templates(
        &self,
        connection: &Connection,
        report: &mut Report,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let models = keys::models(connection)?;
        let openers = models.iter().map(|model| Ok((model.slot, Opener::new(connection, &self.keys, model.id)?)));
        let openers = openers.collect::<Result<HashMap<_, _>>>()?;
        let mut statement = connection.prepare("SELECT id, subject, model, key, sealed FROM template ORDER BY id")?;
        let mut rows = statement.query([])?;
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            while chunk.len() < CHUNK
                && let Some(row) = rows.next()?
            {
                let ids = (TemplateId(row.get::<_, i64>(0)? as u64), SubjectId(row.get::<_, i64>(1)? as u64));
                chunk.push((ids, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?, row.get::<_, Vec<u8>>(4)?));
            }
            if chunk.is_empty() {
                return Ok(());
            }
            let faults =
                chunk.par_iter().map_init(Zeroizing::default, |scratch, ((id, subject), model, key, sealed)| {
                    let opener = openers.get(model).ok_or(Fault::Dangling { what: "model" });
                    let opened = opener.and_then(|opener| opener.open(*id, *subject, *key, sealed, scratch));
                    opened.err().map(|fault| Problem { row: Row::Template(*id), fault })
                });
            report.problems.extend(faults.collect::<Vec<_>>().into_iter().flatten());
            report.templates += chunk.len() as u64;
            progress(report.templates);
        }
    }
}

/// A row that is refused is a problem; any other error ends the check.
fn note<T>(result: Result<T>, report: &mut Report) -> Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(StoreError::Refused { row, fault }) => {
            report.problems.push(Problem { row, fault });
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// What SQLite finds wrong with the file, and rows that refer to nothing.
fn structure(connection: &Connection) -> Result<Vec<Problem>> {
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    let texts = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let texts = texts.into_iter().filter(|text| text != "ok");
    let mut problems: Vec<_> = texts.map(|text| Problem { row: Row::File, fault: Fault::Structure(text) }).collect();
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table, id, parent) = (row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, String>(2)?);
        let text = format!("row {} of table {table} refers to a {parent} that is missing", id.unwrap_or_default());
        problems.push(Problem { row: Row::File, fault: Fault::Structure(text) });
    }
    Ok(problems)
}
