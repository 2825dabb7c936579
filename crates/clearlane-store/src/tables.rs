//! The tables' columns. `schema/` has the same in SQL; the tests hold the two side by side.

use clearlane_template::{ModelId, SubjectId, TemplateId};
use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::types::{Value, ValueRef};

use crate::canonical::Canonical;
use crate::seal;
use crate::table::{Field, as_text, table};
use crate::words::{Category, Direction, DocumentKind, Nationality, Outcome};
use crate::{Endorsement, ImageDigest, NumberDigest, RecordHash};

table! {
    /// What this register is.
    RegisterRow in "register" {
        only: i64 = 3,
        /// A random number that it got when it was made.
        id: [u8; 16] = 3,
        created: Timestamp = 3,
        /// What document numbers are digested with, sealed.
        number_secret: Vec<u8> = 3,
        /// What the records' chain is linked with, sealed.
        record_secret: Vec<u8> = 3,
    }
}

table! {
    /// A key in use; the newest is the current one.
    KeyRow in "key" {
        slot: i64 = 3,
        id: [u8; 8] = 3,
        since: Timestamp = 3,
    }
}

table! {
    /// A model of which there are templates.
    ModelRow in "model" {
        slot: i64 = 3,
        id: ModelId = 3,
        dimension: i64 = 3,
    }
}

table! {
    /// A subject, or what is left of one who was revoked.
    SubjectRow in "subject" {
        id: SubjectId = 3,
        key: String = 3,
        category: Option<Category> = 3,
        birth: Option<Date> = 3,
        nationality: Option<Nationality> = 3,
        consent_given: Option<Timestamp> = 3,
        consent_face: Option<bool> = 3,
        consent_finger: Option<bool> = 3,
        consent_withdrawn: Option<Timestamp> = 3,
        place: Option<String> = 3,
        method: Option<String> = 3,
        expires: Option<Date> = 3,
        enrolled: Timestamp = 3,
        revoked: Option<Timestamp> = 3,
        reason: Option<String> = 3,
    }
}

table! {
    /// A subject's document.
    DocumentRow in "document" {
        subject: SubjectId = 3,
        place: i64 = 3,
        kind: DocumentKind = 3,
        number_digest: NumberDigest = 3,
        valid_from: Option<Date> = 3,
        expires: Date = 3,
        endorsements: Endorsements = 3,
    }
}

table! {
    /// A template.
    /// (Loading reads it by the order of its columns.)
    TemplateRow in "template" {
        id: TemplateId = 3,
        subject: SubjectId = 3,
        /// The model's slot.
        model: i64 = 3,
        /// The key's slot.
        key: i64 = 3,
        source: Option<ImageDigest> = 3,
        sealed: Sealed = 3,
    }
}

table! {
    /// A change other than by a new row.
    ChangeRow in "change" {
        seq: i64 = 3,
        subject: SubjectId = 3,
        template: Option<TemplateId> = 3,
    }
}

table! {
    /// A claim that was used.
    ClaimRow in "claim" {
        nonce: [u8; 16] = 3,
        keep_until: Timestamp = 3,
    }
}

table! {
    /// A crossing record.
    RecordRow in "record" {
        seq: i64 = 1,
        time: Timestamp = 1,
        port: String = 1,
        lane: String = 1,
        direction: Direction = 1,
        outcome: Outcome = 1,
        subject: Option<SubjectId> = 1,
        score: Option<f32> = 1,
        threshold: Option<f32> = 1,
        margin: Option<f32> = 1,
        model: Option<ModelId> = 1,
        reasons: String = 1,
        /// The record that this one takes back.
        voids: Option<i64> = 3,
        hash: Derived = 1,
    }
}

table! {
    /// The root: what everything else is bound to.
    RootRow in "root" {
        only: i64 = 3,
        /// Counts every change.
        version: i64 = 3,
        /// The slot of the key that authenticates it.
        key: i64 = 3,
        /// The roots of the trees.
        subjects: [u8; 32] = 3,
        templates: [u8; 32] = 3,
        claims: [u8; 32] = 3,
        /// The digest of the rows of `register`, `key` and `model`.
        roster: [u8; 32] = 3,
        /// The newest ids that were given out.
        last_subject: i64 = 3,
        last_template: i64 = 3,
        /// The newest change, and the hash of all of them.
        last_change: i64 = 3,
        change_hash: [u8; 32] = 3,
        /// The oldest record that is kept, and the hash of the one before it.
        first_record: i64 = 3,
        hash_before: [u8; 32] = 3,
        /// The newest record, and its hash.
        last_record: i64 = 3,
        record_hash: RecordHash = 3,
        /// The first record whose link is keyed.
        keyed_from: i64 = 3,
        /// The newest plausible time of a record.
        clock: Option<Timestamp> = 3,
        /// Faults that were noted, and how many of them a check has looked into since.
        faults: i64 = 3,
        cleared: i64 = 3,
        /// The last check.
        checked: Option<Timestamp> = 3,
        problems: i64 = 3,
        /// The version of the newest deletion, and up to which version the files hold nothing that was deleted.
        deleted: i64 = 3,
        erased: i64 = 3,
        /// Whether a witness follows it, without which nothing is written any more.
        witnessed: bool = 3,
        code: Derived = 3,
    }
}

as_text!(Category Nationality DocumentKind Direction Outcome);

/// A document's endorsements, as a JSON list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Endorsements(pub(crate) Vec<Endorsement>);

impl Endorsements {
    fn text(&self) -> String {
        // Words and dates only: there is no way for this to fail.
        serde_json::to_string(&self.0).unwrap_or_default()
    }
}

impl Field for Endorsements {
    fn stored(&self) -> Value {
        Value::Text(self.text())
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        let text = value.as_str().ok()?;
        serde_json::from_str(text).ok().map(Self).filter(|read| read.text() == text)
    }

    fn encode(&self, row: &mut Canonical) {
        row.text(&self.text());
    }
}

/// A template, sealed. Its nonce and its tag stand for it: nobody without the key can make another that they fit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sealed(pub(crate) Vec<u8>);

impl Field for Sealed {
    fn stored(&self) -> Value {
        Value::Blob(self.0.clone())
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        value.as_blob().ok().map(|sealed| Self(sealed.to_vec()))
    }

    fn encode_stored(value: ValueRef<'_>, row: &mut Canonical) -> Option<()> {
        value.as_blob().ok().map(|sealed| encode_sealed(sealed, row))
    }

    fn encode(&self, row: &mut Canonical) {
        encode_sealed(&self.0, row);
    }
}

fn encode_sealed(sealed: &[u8], row: &mut Canonical) {
    let (nonce, tag) = seal::ends(sealed);
    row.number(sealed.len() as i64).bytes(nonce).bytes(tag);
}

/// What was made of all the other columns, and is no part of the encoding that it is made of: a record's hash, the root's
/// code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Derived(pub(crate) [u8; 32]);

impl Field for Derived {
    fn stored(&self) -> Value {
        self.0.stored()
    }

    fn read(value: ValueRef<'_>) -> Option<Self> {
        Field::read(value).map(Self)
    }

    fn encode(&self, _: &mut Canonical) {}
}
