//! Subjects as rows: how they are written, read, and authenticated.

use clearlane_template::SubjectId;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, params};

use crate::canonical::Canonical;
use crate::keys::{Keys, Slot};
use crate::seal::RegisterKey;
use crate::subject::parsed;
use crate::{
    Category, Consent, ConsentScope, Details, Document, Fault, KeyId, Nationality, NumberDigest, Result, Revocation,
    Row, Subject,
};

/// The columns that [`read`] wants, from `subject` left-joined to `key`.
pub(crate) const SELECT: &str =
    "SELECT subject.id, subject.key, category, birth, nationality, consent_given, consent_face,
    consent_finger, consent_withdrawn, place, method, expires, enrolled, revoked, reason, key.id, code
    FROM subject LEFT JOIN key ON key.slot = code_key";

/// Writes a new subject's row and documents.
pub(crate) fn insert(connection: &Connection, subject: &mut Subject, slot: Slot, key: &RegisterKey) -> Result<()> {
    connection
        .prepare_cached("INSERT INTO subject (key, enrolled) VALUES (?1, ?2)")?
        .execute(params![subject.key, subject.enrolled.as_millisecond()])?;
    subject.id = SubjectId(connection.last_insert_rowid() as u64);
    write_details(connection, subject, slot, key)
}

/// Writes what is known of an enrolled subject anew, and its authentication code.
pub(crate) fn write_details(connection: &Connection, subject: &Subject, slot: Slot, key: &RegisterKey) -> Result<()> {
    let Details { category, birth, nationality, documents, consent, place, method, expires } = &subject.details;
    let id = subject.id.0 as i64;
    connection
        .prepare_cached(
            "UPDATE subject SET category = ?2, birth = ?3, nationality = ?4, consent_given = ?5, consent_face = ?6,
             consent_finger = ?7, consent_withdrawn = ?8, place = ?9, method = ?10, expires = ?11, code_key = ?12,
             code = ?13 WHERE id = ?1",
        )?
        .execute(params![
            id,
            category.map(Category::as_str),
            birth.map(|date| date.to_string()),
            nationality.map(Nationality::as_str),
            consent.as_ref().map(|consent| consent.given.as_millisecond()),
            consent.as_ref().map(|consent| consent.scope.face),
            consent.as_ref().map(|consent| consent.scope.fingerprint),
            consent.as_ref().and_then(|consent| consent.withdrawn).map(Timestamp::as_millisecond),
            place,
            method,
            expires.map(|date| date.to_string()),
            slot.slot,
            key.code(&canonical(subject)),
        ])?;
    connection.prepare_cached("DELETE FROM document WHERE subject = ?1")?.execute([id])?;
    let mut statement = connection.prepare_cached("INSERT INTO document VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for (place, document) in documents.iter().enumerate() {
        statement.execute(params![
            id,
            place as i64,
            document.kind.as_str(),
            document.number_digest.0,
            document.valid_from.map(|date| date.to_string()),
            document.expires.to_string(),
            endorsements_text(document),
        ])?;
    }
    Ok(())
}

/// Authenticates a subject that did not change anew.
pub(crate) fn write_code(connection: &Connection, subject: &Subject, slot: Slot, key: &RegisterKey) -> Result<()> {
    let mut update = connection.prepare_cached("UPDATE subject SET code_key = ?2, code = ?3 WHERE id = ?1")?;
    update.execute(params![subject.id.0 as i64, slot.slot, key.code(&canonical(subject))])?;
    Ok(())
}

/// A subject's row, its documents included, and verified where there is a key. The outer error is the file's or the key
/// source's, the inner one the row's own.
pub(crate) fn read(connection: &Connection, keys: &Keys, row: &SqlRow<'_>) -> Result<Result<Subject>> {
    let id = SubjectId(row.get::<_, i64>(0)? as u64);
    let subject = match fields(connection, row, id)? {
        Ok(subject) => subject,
        Err(fault) => return Ok(Err(Row::Subject(id).refused(fault))),
    };
    if subject.revoked.is_some() {
        return Ok(Ok(subject));
    }
    let refused = Ok(Err(Row::Subject(id).refused(Fault::Authentication)));
    let (Some(key), Some(code)) = (row.get::<_, Option<[u8; 8]>>(15)?, row.get::<_, Option<Vec<u8>>>(16)?) else {
        return refused;
    };
    match keys.get_unless_absent(KeyId(key))? {
        Some(key) if !key.is_code(&canonical(&subject), &code) => refused,
        _ => Ok(Ok(subject)),
    }
}

/// The subject with this id, revoked or not.
pub(crate) fn by_id(connection: &Connection, keys: &Keys, id: SubjectId) -> Result<Option<Subject>> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE subject.id = ?1"))?;
    let mut rows = statement.query([id.0 as i64])?;
    rows.next()?.map(|row| read(connection, keys, row)?).transpose()
}

/// The id of the subject that is enrolled under this key.
pub(crate) fn id_of(connection: &Connection, key: &str) -> Result<Option<SubjectId>> {
    let mut statement = connection.prepare_cached("SELECT id FROM subject WHERE key = ?1 AND revoked IS NULL")?;
    Ok(statement.query_row([key], |row| Ok(SubjectId(row.get::<_, i64>(0)? as u64))).optional()?)
}

/// Takes a subject out: all that is known of it goes, but who it was, and when and why it went.
pub(crate) fn erase(connection: &Connection, id: SubjectId, revocation: &Revocation) -> Result<()> {
    let id = id.0 as i64;
    connection.prepare_cached("DELETE FROM document WHERE subject = ?1")?.execute([id])?;
    connection
        .prepare_cached(
            "UPDATE subject SET category = NULL, birth = NULL, nationality = NULL, consent_given = NULL,
             consent_face = NULL, consent_finger = NULL, consent_withdrawn = NULL, place = NULL, method = NULL,
             expires = NULL, code_key = NULL, code = NULL, revoked = ?2, reason = ?3 WHERE id = ?1",
        )?
        .execute(params![id, revocation.time.as_millisecond(), revocation.reason])?;
    Ok(())
}

fn fields(connection: &Connection, row: &SqlRow<'_>, id: SubjectId) -> Result<Result<Subject, Fault>> {
    let text = |index| row.get::<_, Option<String>>(index);
    let (category, birth, nationality, expires) = (text(2)?, text(3)?, text(4)?, text(11)?);
    let (given, face, fingerprint, withdrawn): (Option<i64>, Option<bool>, Option<bool>, Option<i64>) =
        (row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?);
    let (key, place, method) = (row.get(1)?, text(9)?, text(10)?);
    let (enrolled, revoked, reason) = (row.get(12)?, row.get::<_, Option<i64>>(13)?, text(14)?);
    let documents = documents(connection, id)?;
    let assemble = || {
        let consent = match given {
            None => None,
            Some(given) => Some(Consent {
                given: time("consent_given", given)?,
                scope: ConsentScope { face: face.unwrap_or_default(), fingerprint: fingerprint.unwrap_or_default() },
                withdrawn: withdrawn.map(|at| time("consent_withdrawn", at)).transpose()?,
            }),
        };
        let details = Details {
            category: category.map(|text| parsed("category", &text)).transpose()?,
            birth: birth.map(|text| parsed("birth", &text)).transpose()?,
            nationality: nationality.map(|text| parsed("nationality", &text)).transpose()?,
            documents: documents?,
            consent,
            place,
            method,
            expires: expires.map(|text| parsed("expires", &text)).transpose()?,
        };
        let revoked = revoked.map(|at| time("revoked", at)).transpose()?;
        let revoked = revoked.map(|time| Revocation { time, reason: reason.unwrap_or_default() });
        Ok(Subject { id, key, details, enrolled: time("enrolled", enrolled)?, revoked })
    };
    Ok(assemble())
}

fn documents(connection: &Connection, id: SubjectId) -> Result<Result<Vec<Document>, Fault>> {
    let mut statement = connection.prepare_cached(
        "SELECT kind, number_digest, valid_from, expires, endorsements FROM document WHERE subject = ?1 ORDER BY place",
    )?;
    let mut rows = statement.query([id.0 as i64])?;
    let mut documents = Vec::new();
    while let Some(row) = rows.next()? {
        let (kind, digest, from, expires, endorsements): (String, [u8; 32], Option<String>, String, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
        let assemble = || {
            Ok(Document {
                kind: parsed("document kind", &kind)?,
                number_digest: NumberDigest(digest),
                valid_from: from.map(|text| parsed("document's first day", &text)).transpose()?,
                expires: parsed("document's last day", &expires)?,
                endorsements: serde_json::from_str(&endorsements)
                    .map_err(|_| Fault::Value { column: "endorsements" })?,
            })
        };
        match assemble() {
            Ok(document) => documents.push(document),
            Err(fault) => return Ok(Err(fault)),
        }
    }
    Ok(Ok(documents))
}

/// What a subject's authentication code covers: everything.
fn canonical(subject: &Subject) -> Canonical {
    let Details { category, birth, nationality, documents, consent, place, method, expires } = &subject.details;
    let date = |row: Canonical, date: jiff::civil::Date| row.text(&date.to_string());
    let time = |row: Canonical, time: Timestamp| row.number(time.as_millisecond());
    let row = Canonical::new("subject 1")
        .number(subject.id.0 as i64)
        .text(&subject.key)
        .number(subject.enrolled.as_millisecond())
        .optional(*category, |row, word| row.text(word.as_str()))
        .optional(*birth, date)
        .optional(*nationality, |row, word| row.text(word.as_str()))
        .optional(consent.as_ref(), |row, consent| {
            row.number(consent.given.as_millisecond())
                .number(consent.scope.face.into())
                .number(consent.scope.fingerprint.into())
                .optional(consent.withdrawn, time)
        })
        .optional(place.as_deref(), Canonical::text)
        .optional(method.as_deref(), Canonical::text)
        .optional(*expires, date)
        .number(documents.len() as i64);
    documents.iter().fold(row, |row, document| {
        row.text(document.kind.as_str())
            .bytes(&document.number_digest.0)
            .optional(document.valid_from, date)
            .text(&document.expires.to_string())
            .text(&endorsements_text(document))
    })
}

fn endorsements_text(document: &Document) -> String {
    // Words and dates only: there is no way for this to fail.
    serde_json::to_string(&document.endorsements).unwrap_or_default()
}

fn time(column: &'static str, milliseconds: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_millisecond(milliseconds).map_err(|_| Fault::Value { column })
}
