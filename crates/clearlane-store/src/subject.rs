//! Who is enrolled, and what the lane's rules need to know of them.

use clearlane_template::{SubjectId, Template, TemplateId};
use jiff::{SignedDuration, Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::words::{Category, DocumentKind, EndorsementKind, Entries, Nationality};
use crate::{ImageDigest, NumberDigest, Result, StoreError};

/// One enrolled person, or what is left of one who was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The register's number for this person, never given to another.
    pub id: SubjectId,
    /// The name under which the world outside knows this person: unique among those who are enrolled.
    pub key: String,
    /// What the rules need to know. Empty once the subject is revoked.
    #[serde(flatten)]
    pub details: Details,
    /// When the person was enrolled.
    pub enrolled: Timestamp,
    /// When and why the person was taken out, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revocation>,
}

/// What the lane's rules need to know of a subject.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Details {
    /// Where the person is resident.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// The day of birth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birth: Option<Date>,
    /// The group of nationalities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nationality: Option<Nationality>,
    /// Travel documents on file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document>,
    /// The consent to the use of face and fingerprints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
    /// Where the person was enrolled, such as a collection point's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// How: such as `collection-point`, `permit-application`, `import`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The last day of this enrolment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Date>,
}

/// A travel document on file. Its number is kept as a keyed digest only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What document it is.
    pub kind: DocumentKind,
    /// Made by [`Register::number_digest`](crate::Register::number_digest).
    pub number_digest: NumberDigest,
    /// The first day on which it is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Date>,
    /// The last day on which it is valid.
    pub expires: Date,
    /// What it allows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endorsements: Vec<Endorsement>,
}

/// An endorsement in a permit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endorsement {
    /// What it is for.
    pub kind: EndorsementKind,
    /// How often it may be used.
    pub entries: Entries,
    /// The first day on which it is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Date>,
    /// The last day on which it is valid.
    pub expires: Date,
}

/// The consent of a subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// When it was given.
    pub given: Timestamp,
    /// To what.
    pub scope: ConsentScope,
    /// When it was withdrawn, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Timestamp>,
}

/// What a subject consented to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentScope {
    /// The use of the face.
    pub face: bool,
    /// The use of fingerprints.
    pub fingerprint: bool,
}

/// When and why a subject was taken out of the register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// When.
    pub time: Timestamp,
    /// Why, in the words of whoever did it.
    pub reason: String,
}

/// A person to be enrolled.
#[derive(Clone, Debug, PartialEq)]
pub struct Enrolment {
    /// The name under which the world outside knows this person.
    pub key: String,
    /// What the rules need to know.
    pub details: Details,
    /// When the person was enrolled.
    pub enrolled: Timestamp,
    /// Templates, of one or several models.
    pub templates: Vec<NewTemplate>,
}

impl Enrolment {
    /// An enrolment under `key`, now, with nothing known yet.
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), details: Details::default(), enrolled: Timestamp::now(), templates: Vec::new() }
    }

    /// The same with `details`.
    #[must_use]
    pub fn with_details(mut self, details: Details) -> Self {
        self.details = details;
        self
    }

    /// The same with one more template.
    #[must_use]
    pub fn with_template(mut self, template: impl Into<NewTemplate>) -> Self {
        self.templates.push(template.into());
        self
    }
}

/// A template to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTemplate {
    /// As its model made it: the register protects and seals it.
    pub template: Template,
    /// The image that it was made from.
    pub source: Option<ImageDigest>,
}

impl From<Template> for NewTemplate {
    fn from(template: Template) -> Self {
        Self { template, source: None }
    }
}

/// A template as the register keeps it, opened.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTemplate {
    /// Its number, never given to another template.
    pub id: TemplateId,
    /// Whose it is.
    pub subject: SubjectId,
    /// *Protected* by the register's [`TemplateProtection`](crate::TemplateProtection), to which it is bound: its model is
    /// [`protected_model`](crate::TemplateProtection::protected_model), and probes have to be transformed likewise before
    /// they are compared with it.
    pub template: Template,
}

/// The longest key, place, method or reason, in bytes.
pub const MAX_TEXT: usize = 256;

/// How far the clock of whoever enrolled a person may be ahead of this machine's.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_hours(24);

/// The most documents of a subject, and endorsements of a document.
pub const MAX_LIST: usize = 64;

impl Enrolment {
    pub(crate) fn check(&self) -> Result<()> {
        check_text("key", &self.key)?;
        let latest = Timestamp::now().saturating_add(CLOCK_TOLERANCE).unwrap_or(Timestamp::MAX);
        if self.enrolled > latest {
            let reason = format!("{} is in the future", self.enrolled);
            return Err(StoreError::Invalid { field: "enrolled", reason });
        }
        self.details.check()
    }
}

impl Details {
    pub(crate) fn check(&self) -> Result<()> {
        for (field, text) in [("place", &self.place), ("method", &self.method)] {
            text.as_deref().map_or(Ok(()), |text| check_text(field, text))?;
        }
        check_count("documents", self.documents.len())?;
        self.documents.iter().zip(1..).try_for_each(|(document, number)| document.check(number))?;
        self.consent.as_ref().map_or(Ok(()), Consent::check)
    }
}

impl Document {
    /// Whether it can be the `number`th document of a subject.
    fn check(&self, number: usize) -> Result<()> {
        check_count("endorsements", self.endorsements.len())?;
        let what = || format!("document {number}");
        check_period("documents.valid_from", what, self.valid_from, self.expires)?;
        self.endorsements.iter().zip(1..).try_for_each(|(endorsement, place)| {
            let what = || format!("document {number}, endorsement {place}");
            check_period("documents.endorsements.valid_from", what, endorsement.valid_from, endorsement.expires)
        })
    }
}

impl Consent {
    fn check(&self) -> Result<()> {
        match self.withdrawn {
            Some(withdrawn) if withdrawn < self.given => {
                let reason = format!("{withdrawn} is before the consent was given, {}", self.given);
                Err(StoreError::Invalid { field: "consent.withdrawn", reason })
            }
            _ => Ok(()),
        }
    }
}

/// A document that ends before it begins is a mistake in one of its dates, and nobody can say in which.
fn check_period(field: &'static str, what: impl Fn() -> String, from: Option<Date>, last: Date) -> Result<()> {
    match from {
        Some(from) if from > last => {
            let reason = format!("{}: {from} is after its last day, {last}", what());
            Err(StoreError::Invalid { field, reason })
        }
        _ => Ok(()),
    }
}

/// Text that is stored is short, and printable on one line.
pub(crate) fn check_text(field: &'static str, text: &str) -> Result<()> {
    let reason = if text.is_empty() {
        format!("expected 1 to {MAX_TEXT} bytes, got none")
    } else if text.len() > MAX_TEXT {
        format!("expected 1 to {MAX_TEXT} bytes, got {}", text.len())
    } else if text.chars().any(char::is_control) {
        "expected a text without control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(StoreError::Invalid { field, reason })
}

fn check_count(field: &'static str, count: usize) -> Result<()> {
    if count <= MAX_LIST {
        return Ok(());
    }
    Err(StoreError::Invalid { field, reason: format!("{count} of them, at most {MAX_LIST} can be stored") })
}
