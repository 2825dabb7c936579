//! Subjects as rows: how they are written, read, and verified.

use std::ops::RangeInclusive;

use clearlane_template::SubjectId;
use rusqlite::{OptionalExtension as _, Row as SqlRow};

use crate::error::Sql as _;
use crate::state::State;
use crate::table::{ENCODING, Table};
use crate::tables::{DocumentRow, Endorsements, SubjectRow};
use crate::tree::{self, Hash, NONE, Tree};
use crate::{Consent, ConsentScope, Details, Document, Fault, Result, Revocation, Row, StoreError, Subject};

/// Writes a new subject's row and documents.
pub(crate) fn insert(state: &mut State<'_>, subject: &Subject) -> Result<()> {
    let (row, documents) = rows_of(subject);
    row.insert(state.connection)?;
    bind(state, &row, &documents)
}

/// Writes a subject's row and documents, in place of what is there.
pub(crate) fn write(state: &mut State<'_>, subject: &Subject) -> Result<()> {
    let (row, documents) = rows_of(subject);
    row.write(state.connection)?;
    state
        .connection
        .prepare_cached("DELETE FROM document WHERE subject = ?1")
        .sql()?
        .execute([subject.id.0 as i64])
        .sql()?;
    bind(state, &row, &documents)
}

fn bind(state: &mut State<'_>, row: &SubjectRow, documents: &[DocumentRow]) -> Result<()> {
    documents.iter().try_for_each(|document| document.insert(state.connection))?;
    state.set_leaf(Tree::Subjects, row.id.0, hash(row, documents));
    Ok(())
}

/// The subject with this id, revoked or not, if the register has it as it is.
pub(crate) fn by_id(state: &State<'_>, id: SubjectId) -> Result<Option<Subject>> {
    let row = SubjectRow::select(state.connection, "WHERE id = ?1", [id.0 as i64])?.pop();
    match row {
        Some(row) => checked(state, id, row)?.map(Some),
        None if state.leaf(Tree::Subjects, id.0)? == NONE => Ok(None),
        None => Err(Row::Subject(id).refused(Fault::Missing)),
    }
}

/// The documents of a range of subjects, each with its subject's id, in their order.
pub(crate) fn documents_of(
    state: &State<'_>,
    subjects: RangeInclusive<i64>,
) -> Result<Vec<(u64, Result<DocumentRow, Fault>)>> {
    let select = format!("{} WHERE subject BETWEEN ?1 AND ?2 ORDER BY subject, place", DocumentRow::SELECT);
    let mut statement = state.connection.prepare_cached(&select).sql()?;
    let mut rows = statement.query([*subjects.start(), *subjects.end()]).sql()?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().sql()? {
        found.push((row.get::<_, i64>(0).sql()? as u64, DocumentRow::read(row)?));
    }
    Ok(found)
}

/// The subject of a row of a statement that begins with the table's columns. The outer error is the file's or the key
/// source's, the inner one the row's own.
pub(crate) fn verified(state: &State<'_>, row: &SqlRow<'_>) -> Result<Result<Subject>> {
    let id = SubjectId(row.get::<_, i64>(0).sql()? as u64);
    checked(state, id, SubjectRow::read(row)?)
}

fn checked(state: &State<'_>, id: SubjectId, row: Result<SubjectRow, Fault>) -> Result<Result<Subject>> {
    let (row, documents) = match row.map(|row| (row, documents(state, id))) {
        Ok((row, documents)) => match documents? {
            Ok(documents) => (row, documents),
            Err(fault) => return Ok(Err(Row::Subject(id).refused(fault))),
        },
        Err(fault) => return Ok(Err(Row::Subject(id).refused(fault))),
    };
    match state.leaf(Tree::Subjects, id.0) {
        Ok(leaf) if leaf == hash(&row, &documents) => Ok(Ok(subject(row, documents))),
        Ok(_) => Ok(Err(Row::Subject(id).refused(Fault::Unbound))),
        Err(error @ StoreError::Refused { .. }) => Ok(Err(error)),
        Err(error) => Err(error),
    }
}

fn documents(state: &State<'_>, id: SubjectId) -> Result<Result<Vec<DocumentRow>, Fault>> {
    let documents = DocumentRow::select(state.connection, "WHERE subject = ?1 ORDER BY place", [id.0 as i64])?;
    Ok(documents.into_iter().collect())
}

/// The subject that is enrolled under this key.
pub(crate) fn by_key(state: &State<'_>, key: &str) -> Result<Option<Subject>> {
    let Some(id) = id_of(state, key)? else { return Ok(None) };
    match by_id(state, id)? {
        // The index only points there: whose key it is, the subject's own row has to say.
        Some(subject) if subject.key == key && subject.revoked.is_none() => Ok(Some(subject)),
        _ => Err(Row::Subject(id).refused(Fault::Unbound)),
    }
}

/// The id of the subject that is enrolled under this key, by the index alone.
pub(crate) fn id_of(state: &State<'_>, key: &str) -> Result<Option<SubjectId>> {
    let mut statement =
        state.connection.prepare_cached("SELECT id FROM subject WHERE key = ?1 AND revoked IS NULL").sql()?;
    statement.query_row([key], |row| Ok(SubjectId(row.get::<_, i64>(0)? as u64))).optional().sql()
}

/// Takes a subject out: all that is known of it goes, but who it was, and when and why it went.
pub(crate) fn revoke(state: &mut State<'_>, subject: Subject, revocation: &Revocation) -> Result<()> {
    let revoked = Some(revocation.clone());
    write(state, &Subject { details: Details::default(), revoked, ..subject })
}

/// The leaf of a subject's rows.
pub(crate) fn hash(row: &SubjectRow, documents: &[DocumentRow]) -> Hash {
    let mut rows = row.canonical();
    for document in documents {
        document.encode(&mut rows);
    }
    tree::leaf(&rows)
}

pub(crate) fn rows_of(subject: &Subject) -> (SubjectRow, Vec<DocumentRow>) {
    let Subject { id, key, details, enrolled, revoked } = subject.clone();
    let Details { category, birth, nationality, documents, consent, place, method, expires } = details;
    let row = SubjectRow {
        id,
        key,
        category,
        birth,
        nationality,
        consent_given: consent.as_ref().map(|consent| consent.given),
        consent_face: consent.as_ref().map(|consent| consent.scope.face),
        consent_finger: consent.as_ref().map(|consent| consent.scope.fingerprint),
        consent_withdrawn: consent.and_then(|consent| consent.withdrawn),
        place,
        method,
        expires,
        enrolled,
        revoked: revoked.as_ref().map(|revocation| revocation.time),
        reason: revoked.map(|revocation| revocation.reason),
        encoding: ENCODING,
    };
    let documents = documents.into_iter().zip(0..).map(|(document, place)| {
        let Document { kind, number_digest, valid_from, expires, endorsements } = document;
        let endorsements = Endorsements(endorsements);
        DocumentRow { subject: id, place, kind, number_digest, valid_from, expires, endorsements, encoding: ENCODING }
    });
    (row, documents.collect())
}

fn subject(row: SubjectRow, documents: Vec<DocumentRow>) -> Subject {
    let consent = row.consent_given.map(|given| Consent {
        given,
        scope: ConsentScope {
            face: row.consent_face.unwrap_or_default(),
            fingerprint: row.consent_finger.unwrap_or_default(),
        },
        withdrawn: row.consent_withdrawn,
    });
    let documents = documents.into_iter().map(|row| Document {
        kind: row.kind,
        number_digest: row.number_digest,
        valid_from: row.valid_from,
        expires: row.expires,
        endorsements: row.endorsements.0,
    });
    let details = Details {
        category: row.category,
        birth: row.birth,
        nationality: row.nationality,
        documents: documents.collect(),
        consent,
        place: row.place,
        method: row.method,
        expires: row.expires,
    };
    let revoked = row.revoked.map(|time| Revocation { time, reason: row.reason.unwrap_or_default() });
    Subject { id: row.id, key: row.key, details, enrolled: row.enrolled, revoked }
}
