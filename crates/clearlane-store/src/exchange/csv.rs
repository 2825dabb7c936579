//! Subjects as CSV.

use std::io::BufRead;

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use super::line::{self, Line};
use super::rows::{self, CsvColumns};
use super::{Part, invalid_line};
use crate::{Category, Consent, ConsentScope, Nationality, Result, StoreError};

/// The columns, in the order in which they are written.
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
        let mut writer = rows::writer(Vec::new(), self.header);
        writer.serialize(Columns::new(line)).map_err(|error| failed(error.to_string()))?;
        self.header = false;
        let bytes = writer.into_inner().map_err(|error| failed(error.to_string()))?;
        String::from_utf8(bytes).map_err(|error| failed(error.to_string()))
    }
}

/// The subjects of a text, a row each.
pub(super) fn lines(text: &mut dyn BufRead) -> Result<impl Iterator<Item = Result<Part<Line>>> + '_> {
    let rows = rows::parts::<Columns>(text, COLUMNS)?;
    Ok(rows.map(|row| {
        row.map(|Part { line, last, bytes, content }| {
            let content = content.and_then(|columns| columns.line().map_err(|reason| invalid_line(line, reason)));
            Part { line, last, bytes, content }
        })
    }))
}

const COLUMNS: CsvColumns<'_> = CsvColumns {
    needed: &["key"],
    others: &[
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
    ],
};

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
            text => line::documents(text).map_err(|reason| format!("documents: {reason}"))?,
        };
        let consent = self.consent()?;
        Ok(Line {
            category: self.category,
            birth: self.birth,
            nationality: self.nationality,
            documents,
            consent,
            place: self.place,
            method: self.method,
            expires: self.expires,
            enrolled: self.enrolled,
            ..Line::named(self.key)
        })
    }

    /// A consent says when it was given and to what; half of one is a mistake, and never none.
    fn consent(&self) -> Result<Option<Consent>, String> {
        let scope = [("consent_face", self.consent_face), ("consent_fingerprint", self.consent_fingerprint)];
        let Some(given) = self.consent_given else {
            let withdrawn = self.consent_withdrawn.map(|_| "consent_withdrawn");
            let stated = scope.iter().find(|(_, value)| value.is_some()).map(|(column, _)| *column).or(withdrawn);
            return stated.map_or(Ok(None), |column| Err(format!("{column}: given without consent_given")));
        };
        if let Some((column, _)) = scope.iter().find(|(_, value)| value.is_none()) {
            return Err(format!("{column}: expected true or false together with consent_given, got nothing"));
        }
        let [face, fingerprint] = scope.map(|(_, value)| value == Some(true));
        Ok(Some(Consent { given, scope: ConsentScope { face, fingerprint }, withdrawn: self.consent_withdrawn }))
    }
}
