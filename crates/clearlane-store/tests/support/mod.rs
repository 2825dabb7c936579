//! What the tests share: a register in a folder of its own, and templates that are somebody's.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use clearlane_store::{
    Category, Consent, ConsentScope, Details, Direction, Document, DocumentKind, Endorsement, EndorsementKind,
    Enrolment, Entries, Format, ImportError, Imported, Key, Keyring, Nationality, NewRecord, Outcome, Register,
    RegisterOptions, WitnessFile,
};
use clearlane_template::{ModelId, SubjectId, Template};
use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

/// A register in a folder that goes when this does.
pub struct Fixture {
    pub folder: TempDir,
    pub path: PathBuf,
    pub register: Register,
}

impl Fixture {
    /// With a witness in the same folder.
    pub fn witnessed(&self) -> RegisterOptions {
        RegisterOptions::new().witness(WitnessFile::new(self.folder.path().join("roots")))
    }
}

/// Alters a register's file past the library.
pub fn meddle(path: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.pragma_update(None, "foreign_keys", "OFF").unwrap();
    connection.execute_batch(sql).unwrap();
}

pub fn key(byte: u8) -> Key {
    Key::from_bytes([byte; 32])
}

pub fn keyring() -> Keyring {
    Keyring::new(key(1))
}

pub fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("port.register");
    let register = Register::create(&path, keyring()).unwrap();
    Fixture { folder, path, register }
}

pub fn model() -> ModelId {
    ModelId::digest([b"model".as_slice()])
}

/// Random numbers that depend on nothing but their seed: splitmix64 (Steele, Lea & Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// A template that depends on nothing but its seed; sums of uniform values tend towards a normal law.
pub fn template_of(model: ModelId, seed: u64, dimension: usize) -> Template {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1));
    let mut uniform = || (random.next() >> 11) as f32 / (1_u64 << 53) as f32 - 0.5;
    let values = (0..dimension).map(|_| (0..6).map(|_| uniform()).sum()).collect();
    Template::normalised(model, values).unwrap()
}

pub fn template(seed: u64) -> Template {
    template_of(model(), seed, 64)
}

/// Subject `number`, with one template.
pub fn person(number: u64) -> Enrolment {
    Enrolment::new(format!("person-{number}")).with_template(template(number))
}

/// Everything that can be known of a subject.
pub fn details(register: &Register) -> Details {
    let number_digest = register.number_digest(DocumentKind::ExitEntryPermitHkMacao, "C1234 5678").unwrap();
    Details {
        category: Some(Category::MainlandResident),
        birth: Some(date(2004, 2, 29)),
        nationality: Some(Nationality::Chinese),
        documents: vec![Document {
            kind: DocumentKind::ExitEntryPermitHkMacao,
            number_digest,
            valid_from: Some(date(2024, 1, 1)),
            expires: date(2034, 1, 1),
            endorsements: vec![Endorsement {
                kind: EndorsementKind::Business,
                entries: Entries::Multiple,
                valid_from: None,
                expires: date(2027, 6, 30),
            }],
        }],
        consent: Some(Consent {
            given: Timestamp::from_second(1_732_060_800).unwrap(),
            scope: ConsentScope { face: true, fingerprint: true },
            withdrawn: None,
        }),
        place: Some("Shenzhen Bay, hall 2".to_owned()),
        method: Some("collection-point".to_owned()),
        expires: Some(date(2029, 11, 20)),
    }
}

/// A passage of subject 1, admitted, the `number`th of the day.
pub fn passage(number: i64) -> NewRecord {
    NewRecord {
        time: Timestamp::from_second(1_732_060_800 + 10 * number).unwrap(),
        port: "shenzhen-bay".to_owned(),
        lane: format!("lane-{}", number % 4),
        direction: if number % 2 == 0 { Direction::Exit } else { Direction::Entry },
        outcome: Outcome::Admit,
        subject: Some(SubjectId(1)),
        score: Some(0.71),
        threshold: Some(0.42),
        margin: Some(0.3),
        model: Some(model()),
        reasons: String::new(),
        voids: None,
    }
}

/// Everything that can be known of a subject.
pub fn full(register: &Register) -> Details {
    let mut details = details(register);
    details.documents[0].endorsements.push(Endorsement {
        kind: EndorsementKind::Talent,
        entries: Entries::Multiple,
        valid_from: Some(date(2024, 2, 1)),
        expires: date(2030, 1, 1),
    });
    let consent = details.consent.as_mut().unwrap();
    consent.withdrawn = Some(consent.given + SignedDuration::from_hours(1));
    details
}

/// Imports a text into a register of its own.
pub fn import(text: &[u8], format: Format) -> Result<Imported, ImportError> {
    fixture().register.import(&mut &*text, format, |_| ())
}
