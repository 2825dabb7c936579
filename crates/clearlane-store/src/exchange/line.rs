//! One subject as text.

use clearlane_template::{ModelId, Template};
use data_encoding::BASE64;
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::objects;
use crate::{
    Category, Consent, Details, Document, DocumentKind, Endorsement, Enrolment, ImageDigest, Nationality, NewTemplate,
    NumberDigest, Register, Result, StoreError, Subject,
};

/// A subject as it is exchanged.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    /// Told on the way out; on the way in the register gives its own.
    #[serde(default)]
    pub(super) id: u64,
    pub(super) key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) category: Option<Category>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) birth: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) nationality: Option<Nationality>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) documents: Vec<DocumentLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) consent: Option<Consent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) place: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) enrolled: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) templates: Vec<TemplateLine>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentLine {
    kind: DocumentKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number_digest: Option<NumberDigest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_from: Option<Date>,
    expires: Date,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    endorsements: Vec<Endorsement>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TemplateLine {
    model: ModelId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<ImageDigest>,
    /// The unit vector, as little-endian `f32` in Base64.
    values: Zeroizing<String>,
}

impl Line {
    /// A subject of a line of JSON.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let line = serde_json::from_slice(text).map_err(|error| at_column(&error))?;
        objects::check(text, &LISTS, false).map_err(|error| at_column(&error))?;
        Ok(line)
    }

    /// A subject of whom nothing but the key is known.
    pub(super) fn named(key: String) -> Self {
        Self {
            id: 0,
            key,
            category: None,
            birth: None,
            nationality: None,
            documents: Vec::new(),
            consent: None,
            place: None,
            method: None,
            expires: None,
            enrolled: None,
            templates: Vec::new(),
        }
    }

    pub(super) fn new(subject: Subject) -> Self {
        let Details { category, birth, nationality, documents, consent, place, method, expires } = subject.details;
        let documents = documents.into_iter().map(|document| DocumentLine {
            kind: document.kind,
            number: None,
            number_digest: Some(document.number_digest),
            valid_from: document.valid_from,
            expires: document.expires,
            endorsements: document.endorsements,
        });
        Self {
            id: subject.id.0,
            category,
            birth,
            nationality,
            documents: documents.collect(),
            consent,
            place,
            method,
            expires,
            enrolled: Some(subject.enrolled),
            ..Self::named(subject.key)
        }
    }

    /// Adds a template as its model made it.
    pub(super) fn add_template(&mut self, template: &Template, source: Option<ImageDigest>) {
        let mut bytes = Zeroizing::new(Vec::with_capacity(4 * template.dimension()));
        for value in template.as_slice() {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        let values = Zeroizing::new(BASE64.encode(&bytes));
        self.templates.push(TemplateLine { model: template.model(), source, values });
    }

    /// The line's text, its end included.
    pub(super) fn json(&self) -> Zeroizing<String> {
        // Text, numbers and lists only: there is no way for this to fail.
        let mut text = Zeroizing::new(serde_json::to_string(self).unwrap_or_default());
        text.push('\n');
        text
    }

    /// The enrolment that the line asks for.
    pub(super) fn enrolment(self, register: &Register) -> Result<Enrolment> {
        let documents = self.documents.into_iter().map(|document| document.stored(register));
        let details = Details {
            category: self.category,
            birth: self.birth,
            nationality: self.nationality,
            documents: documents.collect::<Result<_>>()?,
            consent: self.consent,
            place: self.place,
            method: self.method,
            expires: self.expires,
        };
        let templates = self.templates.iter().map(TemplateLine::template).collect::<Result<_>>()?;
        let enrolled = self.enrolled.unwrap_or_else(Timestamp::now);
        Ok(Enrolment { key: self.key, details, enrolled, templates })
    }
}

/// The documents of a column of CSV.
pub(super) fn documents(text: &str) -> Result<Vec<DocumentLine>, String> {
    let documents = serde_json::from_str(text).map_err(|error| at_column(&error))?;
    objects::check(text.as_bytes(), &LISTS, true).map_err(|error| at_column(&error))?;
    Ok(documents)
}

/// The fields of a line that are lists.
const LISTS: [&str; 3] = ["documents", "endorsements", "templates"];

/// What is wrong with a text, and where in its line.
fn at_column(error: &serde_json::Error) -> String {
    let (text, column) = (error.to_string(), error.column());
    let place = format!(" at line {} column {column}", error.line());
    text.strip_suffix(&place).map_or(text.clone(), |problem| format!("column {column}: {problem}"))
}

impl DocumentLine {
    fn stored(self, register: &Register) -> Result<Document> {
        let number_digest = match (self.number, self.number_digest) {
            (Some(number), None) => register.number_digest(self.kind, &Zeroizing::new(number))?,
            (None, Some(digest)) => digest,
            _ => {
                let reason = "a document has either a number or a number_digest".to_owned();
                return Err(StoreError::Invalid { field: "documents", reason });
            }
        };
        Ok(Document {
            kind: self.kind,
            number_digest,
            valid_from: self.valid_from,
            expires: self.expires,
            endorsements: self.endorsements,
        })
    }
}

impl TemplateLine {
    fn template(&self) -> Result<NewTemplate> {
        let invalid = |reason: &str| StoreError::Invalid { field: "templates", reason: reason.to_owned() };
        let bytes = BASE64.decode(self.values.as_bytes()).map_err(|_| invalid("values are not Base64"))?;
        let bytes = Zeroizing::new(bytes);
        let (values, []) = bytes.as_chunks::<4>() else {
            return Err(invalid("values are not whole numbers of 4 bytes"));
        };
        let values = values.iter().map(|&value| f32::from_le_bytes(value)).collect();
        Ok(NewTemplate { template: Template::from_unit(self.model, values)?, source: self.source })
    }
}
