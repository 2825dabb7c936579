//! The check of a whole register: structure, seals, authentication codes and the chain of records, row by row.

use std::collections::HashMap;

use clearlane_template::{SubjectId, TemplateId};
use jiff::Timestamp;
use rayon::prelude::*;
use rusqlite::{Connection, Row as SqlRow};
use serde::Serialize;

use crate::error::Sql as _;
use crate::load::Opener;
use crate::roster::Roster;
use crate::state::State;
use crate::table::Table;
use crate::tables::{ChangeRow, ClaimRow, DocumentRow, SubjectRow, TemplateRow};
use crate::tree::{self, NONE, TREES, Tree};
use crate::{Fault, Register, Result, Row, StoreError, chain, claim, rows};

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

/// How many rows are read together, between two reports of progress.
const CHUNK: i64 = 1024;

impl Register {
    /// Checks all of the register, on one state of it, on all threads of the current rayon pool. `progress` gets how many
    /// rows are done, of how many.
    ///
    /// An error means that the check could not be made; what it finds wrong is in the report. Where the register is open
    /// for writing, the outcome is noted for [`Self::last_check`].
    pub fn check(&self, mut progress: impl FnMut(u64, u64)) -> Result<Report> {
        let (report, faults) = match self.read_apart(|state| Ok((check(state, &mut progress)?, state.root.faults))) {
            Ok(done) => done,
            // The root itself is not the register's: that is all that can be said, and nothing can be noted.
            Err(StoreError::Refused { row, fault }) => {
                let problems = vec![Problem { row, fault }];
                return Ok(Report { subjects: 0, templates: 0, records: 0, keyed: true, problems });
            }
            Err(error) => return Err(error),
        };
        let noted = self.write(|state| {
            state.root.checked = Some(Timestamp::now());
            state.root.problems = report.problems.len() as i64;
            if report.is_sound() {
                // What was noted while the check went on is not cleared by it.
                state.root.cleared = state.root.cleared.max(faults);
            } else {
                state.root.faults += 1;
            }
            Ok(())
        });
        match noted {
            Ok(()) | Err(StoreError::ReadOnly { .. } | StoreError::NoKey { .. } | StoreError::NeedsWitness { .. }) => {
                Ok(report)
            }
            Err(error) => Err(error),
        }
    }

    /// Notes that a row was found that is not as it was written: no lane opens, in whichever process, until a check that
    /// began later finds nothing wrong.
    pub fn note_fault(&self) -> Result<()> {
        self.write(|state| {
            state.root.faults += 1;
            Ok(())
        })
    }

    /// How the last check ended, whichever process made it. A fault that was noted since counts as a problem.
    pub fn last_check(&self) -> Result<Option<LastCheck>> {
        self.read(|state| {
            let open = state.root.faults > state.root.cleared;
            let problems = (state.root.problems as u64).max(u64::from(open));
            Ok(state.root.checked.map(|time| LastCheck { time, problems }))
        })
    }
}

pub(crate) fn check(state: &State<'_>, progress: &mut dyn FnMut(u64, u64)) -> Result<Report> {
    let keyed = state.is_keyed();
    let mut report = Report { subjects: 0, templates: 0, records: 0, keyed, problems: structure(state.connection)? };
    let count = |table: &str| -> Result<u64> {
        let count = format!("SELECT count(*) FROM {table}");
        Ok(state.connection.query_row(&count, [], |row| row.get::<_, i64>(0)).sql()? as u64)
    };
    let total = count("subject")? + count("template")? + count("record")?;
    // Past what is in memory: the rows themselves.
    match Roster::read(state.connection) {
        Ok(roster) if roster.hash() == state.root.roster => {}
        Ok(_) => report.problems.push(Problem { row: Row::Register, fault: Fault::Unbound }),
        Err(error) => note(Err(error), &mut report)?,
    }
    if keyed {
        let key = state.key()?;
        note(state.roster.number_secret(key).map(drop), &mut report)?;
        note(state.roster.record_secret(key).map(drop), &mut report)?;
    }
    check_trees(state, &mut report)?;
    let enrolled = check_subjects(state, &mut report, &mut |done| progress(done, total))?;
    let before = report.subjects;
    check_templates(state, &enrolled, &mut report, &mut |done| progress(before + done, total))?;
    check_claims(state, &mut report)?;
    check_changes(state, &mut report)?;
    let before = before + report.templates;
    let chain = chain::verify(state, &mut |done, _| progress(before + done, total))?;
    report.records = chain.records;
    report.problems.extend(chain.problems);
    Ok(report)
}

/// Every node is reached from the root, and no other is there.
fn check_trees(state: &State<'_>, report: &mut Report) -> Result<()> {
    let mut reached = 0;
    for tree in TREES {
        match tree.count(state.nodes(), state.tree_root(tree)) {
            Ok(count) => reached += count,
            Err(StoreError::Refused { row, fault }) => {
                report.problems.push(Problem { row, fault });
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    if tree::strays(state.connection, reached)? {
        report.problems.push(Problem { row: Row::Nodes, fault: Fault::Unbound });
    }
    Ok(())
}

/// Returns who is enrolled: their ids, sorted.
fn check_subjects(state: &State<'_>, report: &mut Report, progress: &mut dyn FnMut(u64)) -> Result<Vec<u64>> {
    let last = state.root.last_subject;
    strays(state, "subject", last, |id| Row::Subject(SubjectId(id)), report)?;
    let mut enrolled = Vec::new();
    let mut seen = 0;
    let read = |from| {
        let ids = from..=last.min(from + CHUNK - 1);
        let mut documents = rows::documents_of(state, ids.clone())?.into_iter().peekable();
        let mut chunk = Vec::with_capacity(CHUNK as usize);
        state.rows::<SubjectRow>(Tree::Subjects, ids, |id, row, leaf| {
            let row = read_or_missing::<SubjectRow>(row)?;
            seen += u64::from(row != Err(Fault::Missing));
            if row.as_ref().is_ok_and(|row| row.revoked.is_none()) {
                enrolled.push(id);
            }
            while documents.next_if(|(of, _)| *of < id).is_some() {}
            let own = std::iter::from_fn(|| documents.next_if(|(of, _)| *of == id)).map(|(_, document)| document);
            let own = own.collect::<Result<Vec<_>, _>>();
            chunk.push((id, row.and_then(|row| Ok((row, own?))), leaf));
            Ok(())
        })?;
        progress(seen);
        Ok(chunk)
    };
    let verify = |(id, rows, leaf): (_, Result<(SubjectRow, Vec<DocumentRow>), _>, _)| {
        let unbound = |(row, documents): (SubjectRow, Vec<_>)| rows::hash(&row, &documents) != leaf;
        let fault = rows.map_or_else(Some, |rows| unbound(rows).then_some(Fault::Unbound));
        fault.map(|fault| Problem { row: Row::Subject(SubjectId(id)), fault })
    };
    verify_while_reading(last, read, verify, report)?;
    report.subjects = seen;
    missing(state, Tree::Subjects, last as u64 + 1..tree::PLACES, report)?;
    // A document of somebody who is not there.
    let strays = "SELECT count(*) FROM document WHERE subject NOT IN (SELECT id FROM subject)";
    if state.connection.query_row(strays, [], |row| row.get::<_, i64>(0)).sql()? > 0 {
        report.problems.push(Problem { row: Row::Documents, fault: Fault::Unbound });
    }
    Ok(enrolled)
}

/// The row, which may be missing.
pub(crate) fn read_or_missing<R: Table>(row: Option<&SqlRow<'_>>) -> Result<Result<R, Fault>> {
    row.map_or(Ok(Err(Fault::Missing)), R::read)
}

/// Reads chunks of rows, by the first of their ids up to `last`, while the threads of the rayon pool verify the ones before.
fn verify_while_reading<T: Send>(
    last: i64,
    mut read: impl FnMut(i64) -> Result<Vec<T>>,
    verify: impl Fn(T) -> Option<Problem> + Sync,
    report: &mut Report,
) -> Result<()> {
    let mut chunk = Vec::new();
    for from in (1..=last).step_by(CHUNK as usize).map(Some).chain([None]) {
        let mut problems = Vec::new();
        let next = rayon::in_place_scope(|scope| {
            let verified = chunk.into_par_iter().filter_map(&verify);
            scope.spawn(|_| problems = verified.collect());
            from.map_or(Ok(Vec::new()), &mut read)
        });
        report.problems.extend(problems);
        chunk = match next {
            Ok(next) => next,
            // A node that is wrong was named before.
            Err(StoreError::Refused { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
    }
    Ok(())
}

/// Names rows whose ids were never given out.
fn strays(state: &State<'_>, table: &str, last: i64, named: impl Fn(u64) -> Row, report: &mut Report) -> Result<()> {
    let query = format!("SELECT id FROM {table} WHERE id < 1 OR id > ?1 LIMIT 64");
    let mut statement = state.connection.prepare(&query).sql()?;
    for id in statement.query_map([last], |row| row.get::<_, i64>(0)).sql()? {
        report.problems.push(Problem { row: named(id.sql()? as u64), fault: Fault::Unbound });
    }
    Ok(())
}

/// Names the rows that a tree has and the table has not, in a range without rows.
fn missing(state: &State<'_>, tree: Tree, places: std::ops::Range<u64>, report: &mut Report) -> Result<()> {
    if places.is_empty() {
        return Ok(());
    }
    let found = tree.each(state.nodes(), state.tree_root(tree), places, &mut |place, _| {
        let row = if tree == Tree::Subjects { Row::Subject(SubjectId(place)) } else { Row::Claims(place) };
        report.problems.push(Problem { row, fault: Fault::Missing });
    });
    // A node that is wrong was named before.
    match found {
        Err(StoreError::Refused { .. }) => Ok(()),
        found => found,
    }
}

fn check_templates(
    state: &State<'_>,
    enrolled: &[u64],
    report: &mut Report,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let keyed = state.is_keyed();
    let openers = if keyed {
        let openers = state.roster.models().map(|model| Ok((model.slot, Opener::new(state, model.id)?)));
        openers.collect::<Result<HashMap<_, _>>>()?
    } else {
        HashMap::new()
    };
    let last = state.root.last_template;
    strays(state, "template", last, |id| Row::Template(TemplateId(id)), report)?;
    let mut seen = 0;
    let read = |from| {
        let mut chunk = Vec::with_capacity(CHUNK as usize);
        state.rows::<TemplateRow>(Tree::Templates, from..=last.min(from + CHUNK - 1), |id, row, leaf| {
            let row = read_or_missing::<TemplateRow>(row)?;
            seen += u64::from(row != Err(Fault::Missing));
            chunk.push((id, row, leaf));
            Ok(())
        })?;
        progress(seen);
        Ok(chunk)
    };
    let verify = |(id, row, leaf): (_, Result<TemplateRow, _>, _)| {
        let check = || -> Result<(), Fault> {
            let row = row?;
            if row.hash() != leaf {
                return Err(Fault::Unbound);
            }
            // Of nobody, or of somebody who was revoked: a revocation deletes them.
            if enrolled.binary_search(&row.subject.0).is_err() {
                return Err(Fault::Dangling { what: "subject" });
            }
            if keyed {
                let opener = openers.get(&row.model).ok_or(Fault::Dangling { what: "model" })?;
                opener.open_row(&row)?;
            }
            Ok(())
        };
        check().err().map(|fault| Problem { row: Row::Template(TemplateId(id)), fault })
    };
    verify_while_reading(last, read, verify, report)?;
    report.templates = seen;
    Ok(())
}

fn check_claims(state: &State<'_>, report: &mut Report) -> Result<()> {
    let rows = ClaimRow::select(state.connection, "ORDER BY nonce", [])?;
    let rows: Vec<_> = match rows.into_iter().collect::<Result<_, Fault>>() {
        Ok(rows) => rows,
        Err(fault) => {
            report.problems.push(Problem { row: Row::Claims(0), fault });
            return Ok(());
        }
    };
    let mut next = 0;
    for sharing in rows.chunk_by(|a, b| claim::place(&a.nonce) == claim::place(&b.nonce)) {
        let place = claim::place(&sharing[0].nonce);
        missing(state, Tree::Claims, next..place, report)?;
        match state.leaf(Tree::Claims, place) {
            Ok(leaf) if leaf == claim::hash(sharing) => {}
            Ok(_) | Err(StoreError::Refused { .. }) => {
                report.problems.push(Problem { row: Row::Claims(place), fault: Fault::Unbound });
            }
            Err(error) => return Err(error),
        }
        next = place + 1;
    }
    missing(state, Tree::Claims, next..tree::PLACES, report)
}

fn check_changes(state: &State<'_>, report: &mut Report) -> Result<()> {
    let mut hash = NONE;
    let mut statement = state.connection.prepare(&format!("{} ORDER BY seq", ChangeRow::SELECT)).sql()?;
    let mut rows = statement.query([]).sql()?;
    while let Some(row) = rows.next().sql()? {
        match ChangeRow::read(row)? {
            Ok(row) => hash = row.hash(&hash),
            Err(fault) => {
                report.problems.push(Problem { row: Row::Changes, fault });
                return Ok(());
            }
        }
    }
    if hash != state.root.change_hash {
        report.problems.push(Problem { row: Row::Changes, fault: Fault::Unbound });
    }
    Ok(())
}

/// A row that is refused is a problem; any other error ends the check.
fn note(result: Result<()>, report: &mut Report) -> Result<()> {
    match result {
        Err(StoreError::Refused { row, fault }) => {
            report.problems.push(Problem { row, fault });
            Ok(())
        }
        result => result,
    }
}

/// How often SQLite's check is repeated at most until it says the same twice.
const ATTEMPTS: usize = 3;

/// What SQLite finds wrong with the file, and rows that refer to nothing.
fn structure(connection: &Connection) -> Result<Vec<Problem>> {
    let mut statement = connection.prepare("PRAGMA integrity_check").sql()?;
    let mut find = || statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>();
    let mut texts = find().sql()?;
    // SQLite's check tells of damage and of a page that could not be read in words alone, but damage is there the next time
    // too. A disk that fails for good is found when the rows are read.
    for _ in 0..ATTEMPTS {
        if texts == ["ok"] {
            break;
        }
        let before = std::mem::replace(&mut texts, find().sql()?);
        if before == texts {
            break;
        }
    }
    let texts = texts.into_iter().filter(|text| text != "ok");
    let mut problems: Vec<_> = texts.map(|text| Problem { row: Row::File, fault: Fault::Structure(text) }).collect();
    let mut statement = connection.prepare("PRAGMA foreign_key_check").sql()?;
    let mut rows = statement.query([]).sql()?;
    while let Some(row) = rows.next().sql()? {
        let (table, id, parent) =
            (row.get::<_, String>(0).sql()?, row.get::<_, Option<i64>>(1).sql()?, row.get::<_, String>(2).sql()?);
        let text = format!("row {} of table {table} refers to a {parent} that is missing", id.unwrap_or_default());
        problems.push(Problem { row: Row::File, fault: Fault::Structure(text) });
    }
    Ok(problems)
}
