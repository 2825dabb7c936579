//! Subjects as CSV.

use std::io::BufRead;

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use super::line::Line;
use crate::{Category, Consent, ConsentScope, Nationality, Result, StoreError};

/// The columns, in the order in which they are written. They are read in any order, and all but `key` may be missing.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Columns {
    key: String,
    #[serde(default)]
    category: Option<Category>,
    #[serde(default)]
    birth: Option<Date>,
    #[serde(default)]
    nationality: Option<Nationality>,
    /// A JSON list.
    #[serde(default)]
    documents: String,
    #[serde(default)]
    consent_given: Option<Timestamp>,
    #[serde(default)]
    consent_face: Option<bool>,
    #[serde(default)]
    consent_fingerprint: Option<bool>,
    #[serde(default)]
    consent_withdrawn: Option<Timestamp>,
    #[serde(default)]
    place: Option<String>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    expires: Option<Date>,
    #[serde(default)]
    enrolled: Option<Timestamp>,
}

/// Makes rows one by one; the first comes with the header before it.
pub(super) struct Writer {
    header: bool,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { header: true }
    }

    pub(super) fn row(&mut self, line: &Line) -> Result<String> {
        let failed = |error: String| StoreError::Invalid { field: "key", reason: error };
        let mut writer = ::csv::WriterBuilder::new().has_headers(self.header).from_writer(Vec::new());
        writer.serialize(Columns::new(line)).map_err(|error| failed(error.to_string()))?;
        self.header = false;
        let bytes = writer.into_inner().map_err(|error| failed(error.to_string()))?;
        String::from_utf8(bytes).map_err(|error| failed(error.to_string()))
    }
}

/// Rows with the numbers of their lines.
pub(super) fn rows(text: &mut dyn BufRead) -> Result<impl Iterator<Item = Result<(u64, Result<Line>)>> + '_> {
    let mut reader = ::csv::ReaderBuilder::new().trim(::csv::Trim::All).from_reader(text);
    // A misspelt column would lose what stands in it without a word.
    let headers = reader.headers().map_err(|error| failed(&error))?.clone();
    if let Some(unknown) = headers.iter().find(|name| !COLUMNS.contains(name)) {
        let reason = format!("`{unknown}` is none of the columns {}", COLUMNS.join(", "));
        return Err(StoreError::Line { line: 1, reason });
    }
    Ok(reader.into_records().map(move |record| {
        let record = match record {
            Ok(record) => record,
            Err(error) if error.is_io_error() => return Err(failed(&error)),
            Err(error) => return Ok((error.position().map_or(0, ::csv::Position::line), Err(failed(&error)))),
        };
        let line = record.position().map_or(0, ::csv::Position::line);
        let invalid = |reason: String| StoreError::Line { line, reason };
        let columns = record.deserialize::<Columns>(Some(&headers)).map_err(|error| invalid(error.to_string()));
        Ok((line, columns.and_then(|columns| columns.line().map_err(invalid))))
    }))
}

const COLUMNS: [&str; 13] = [
    "key",
    "category",
    "birth",
    "nationality",
    "documents",
    "consent_given",
    "consent_face",
    "consent_fingerprint",
    "consent_withdrawn",
    "place",
    "method",
    "expires",
    "enrolled",
];

fn failed(error: &::csv::Error) -> StoreError {
    let line = error.position().map_or(1, ::csv::Position::line);
    StoreError::Line { line, reason: error.to_string() }
}

impl Columns {
    fn new(line: &Line) -> Self {
        let consent = line.consent.as_ref();
        Self {
            key: line.key.clone(),
            category: line.category,
            birth: line.birth,
            nationality: line.nationality,
            // Words, digests and dates only: there is no way for this to fail.
            documents: serde_json::to_string(&line.documents).unwrap_or_default(),
            consent_given: consent.map(|consent| consent.given),
            consent_face: consent.map(|consent| consent.scope.face),
            consent_fingerprint: consent.map(|consent| consent.scope.fingerprint),
            consent_withdrawn: consent.and_then(|consent| consent.withdrawn),
            place: line.place.clone(),
            method: line.method.clone(),
            expires: line.expires,
            enrolled: line.enrolled,
        }
    }

    fn line(self) -> Result<Line, String> {
        let documents = match self.documents.as_str() {
            "" => Vec::new(),
            text => serde_json::from_str(text).map_err(|error| format!("documents: {error}"))?,
        };
        let scope = ConsentScope {
            face: self.consent_face.unwrap_or_default(),
            fingerprint: self.consent_fingerprint.unwrap_or_default(),
        };
        let withdrawn = self.consent_withdrawn;
        Ok(Line {
            category: self.category,
            birth: self.birth,
            nationality: self.nationality,
            documents,
            consent: self.consent_given.map(|given| Consent { given, scope, withdrawn }),
            place: self.place,
            method: self.method,
            expires: self.expires,
            enrolled: self.enrolled,
            ..Line::named(self.key)
        })
    }
}
