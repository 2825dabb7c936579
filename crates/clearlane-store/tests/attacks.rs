//! What a hostile reading tried: files that were prepared, indices that lie, triggers, ids that nobody gave out, and honest
//! processes that get in each other's way.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;

use clearlane_store::{DocumentKind, Enrolment, Fault, Keyring, Register, Row, StoreError};
use clearlane_template::SubjectId;
use support::{Fixture, details, fixture, key, keyring, meddle, model, person, template};

fn is_refused<T>(result: Result<T, StoreError>) -> bool {
    matches!(result.err(), Some(StoreError::Refused { .. }))
}

/// An index that is built over something else than its text says, as the file's writer can have it.
fn index_over(f: &Fixture, name: &str, lie: &str, text: &str) {
    let set =
        |text: &str| format!("UPDATE sqlite_schema SET sql = '{}' WHERE name = '{name}'", text.replace('\'', "''"));
    meddle(&f.path, &format!("PRAGMA writable_schema = ON; {}", set(lie)));
    meddle(&f.path, &format!("REINDEX {name}; PRAGMA writable_schema = ON; {}", set(text)));
}

#[test]
fn an_index_that_lies_names_nobody() {
    let f = fixture();
    let digest = |number: &str| f.register.number_digest(DocumentKind::Passport, number).unwrap();
    for (name, number, seed) in [("alice", "A1", 1), ("mallory", "M1", 2)] {
        let mut known = details(&f.register);
        known.documents[0].number_digest = digest(number);
        f.register.enrol(&Enrolment::new(name).with_details(known).with_template(template(seed))).unwrap();
    }
    assert_eq!(f.register.holder(digest("M1")).unwrap(), Some(SubjectId(2)));
    let mallorys = digest("M1").to_string();
    _ = f.register.revoke(SubjectId(2), "lost").unwrap();
    index_over(
        &f,
        "document_number",
        &format!(
            "CREATE INDEX document_number ON document (CASE subject WHEN 1 THEN x'{mallorys}' ELSE number_digest END)"
        ),
        "CREATE INDEX document_number ON document (number_digest)",
    );
    assert!(is_refused(f.register.holder(digest("M1"))), "in a process that has it open");
    let opened = Register::open(&f.path, keyring()).unwrap();
    assert!(is_refused(opened.holder(digest("M1"))));

    let f = fixture();
    for (name, seed) in [("alice", 1), ("bob", 2)] {
        f.register.enrol(&Enrolment::new(name).with_template(template(seed))).unwrap();
    }
    index_over(
        &f,
        "subject_key",
        "CREATE UNIQUE INDEX subject_key ON subject (CASE key WHEN 'alice' THEN 'bob' ELSE 'alice' END) WHERE revoked IS NULL",
        "CREATE UNIQUE INDEX subject_key ON subject (key) WHERE revoked IS NULL",
    );
    assert!(is_refused(Register::open(&f.path, keyring()).unwrap().subject("alice")));
}

#[test]
fn nothing_in_the_file_runs_and_no_table_is_there_that_is_not_ours() {
    for prepared in [
        "CREATE TRIGGER t BEFORE UPDATE ON subject BEGIN SELECT RAISE(IGNORE); END",
        "CREATE TRIGGER t BEFORE INSERT ON claim BEGIN SELECT RAISE(IGNORE); END",
        "CREATE TABLE loot (sealed); CREATE TRIGGER t BEFORE DELETE ON template BEGIN INSERT INTO loot VALUES (old.sealed); END",
        "CREATE TABLE loot (sealed)",
        "CREATE VIEW v AS SELECT * FROM subject",
        "CREATE INDEX i ON subject (birth)",
        "DROP INDEX subject_expires",
    ] {
        let f = fixture();
        f.register.enrol(&person(1)).unwrap();
        let (lane, subject) = (Register::open(&f.path, keyring()).unwrap(), SubjectId(1));
        meddle(&f.path, prepared);
        // Those that have it open, and those that come.
        let schema = |error: StoreError| matches!(error, StoreError::Refused { row: Row::Schema, .. });
        assert!(schema(lane.subject_by_id(subject).unwrap_err()), "{prepared}");
        assert!(schema(f.register.revoke(subject, "x").unwrap_err()), "{prepared}");
        assert!(schema(f.register.spend_claim([1; 16], jiff::Timestamp::MAX).unwrap_err()), "{prepared}");
        assert!(!f.register.check(|_, _| ()).unwrap().is_sound(), "{prepared}");
        assert!(schema(Register::open(&f.path, keyring()).unwrap_err()), "{prepared}");
    }
}

#[test]
fn of_two_changes_of_keys_the_newer_goes_on_and_no_template_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("port.register");
    drop(Register::create(&path, Keyring::new(key(1))).unwrap());
    let ring = || Keyring::new(key(3)).with_older(key(2)).with_older(key(1));
    let (one, two) = (Register::open(&path, ring()).unwrap(), Register::open(&path, ring()).unwrap());
    let people: Vec<_> = (1..=1600).map(person).collect();
    one.enrol_all(&people).unwrap().into_iter().for_each(|enrolled| _ = enrolled.unwrap());
    let mut first = true;
    let overtaken = one.rekey(&key(2), |_, _| {
        if std::mem::take(&mut first) {
            let begun = || two.rekey(&key(3), |_, _| panic!("stopped after its first rows"));
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(begun)).is_err());
        }
    });
    assert!(matches!(overtaken, Err(StoreError::Invalid { field: "key", .. })));
    assert!(one.rekey(&key(3), |_, _| ()).unwrap().problems.is_empty());
    assert!(one.check(|_, _| ()).unwrap().is_sound());
    let protection = one.protection(model()).unwrap();
    for number in 1..=1600 {
        let stored = one.templates(SubjectId(number), model()).unwrap();
        assert!(protection.apply(&template(number)).unwrap().score(&stored[0].template).unwrap() > 0.999_99);
    }
}

#[test]
fn a_check_that_began_earlier_takes_nothing_back_from_one_that_ended_sound() {
    let f = fixture();
    f.register.enrol(&person(1)).unwrap();
    let other = Register::open(&f.path, keyring()).unwrap();
    let mut first = true;
    let report = f.register.check(|_, _| {
        if std::mem::take(&mut first) {
            other.note_fault().unwrap();
            assert!(other.check(|_, _| ()).unwrap().is_sound());
        }
    });
    assert!(report.unwrap().is_sound());
    assert_eq!(other.last_check().unwrap().unwrap().problems, 0);
}

#[test]
fn ids_that_nobody_gave_out_are_nobodys_and_cost_nothing() {
    let f = fixture();
    for number in 1..=3 {
        f.register.enrol(&person(number)).unwrap();
    }
    for id in [4, 1 << 35, 1 << 35 | 1, u64::MAX] {
        assert_eq!(f.register.subject_by_id(SubjectId(id)).unwrap(), None, "{id}");
        assert_eq!(f.register.record(id).unwrap(), None, "{id}");
    }
    let unbound = |row| {
        f.register.check(|_, _| ()).unwrap().problems.iter().any(|one| one.row == row && one.fault == Fault::Unbound)
    };
    for id in [-1, i64::MIN, 1 << 40, i64::MAX] {
        meddle(&f.path, &format!("INSERT INTO subject (id, key, enrolled, encoding) VALUES ({id}, 'x', 0, 3)"));
        assert!(unbound(Row::Subject(SubjectId(id as u64))), "{id}");
        meddle(
            &f.path,
            &format!(
                "DELETE FROM subject WHERE id = {id}; INSERT INTO template SELECT {id}, subject, model, key, source, sealed, encoding FROM template WHERE id = 1"
            ),
        );
        assert!(unbound(Row::Template(clearlane_template::TemplateId(id as u64))), "{id}");
        meddle(&f.path, &format!("DELETE FROM template WHERE id = {id}"));
    }
    assert!(f.register.check(|_, _| ()).unwrap().is_sound());
}

/// Whatever was done to a file of version 2: it is refused, or what comes of it is sound and goes on.
#[test]
fn what_is_wrong_with_an_earlier_version_is_not_signed() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/2.register");
    let revoked = "INSERT INTO subject (id, key, enrolled, revoked, reason) VALUES";
    for (prepared, is_sound) in [
        ("SELECT 1", true),
        ("DELETE FROM sqlite_sequence WHERE name = 'template'", true),
        ("DELETE FROM sqlite_sequence WHERE name = 'change'", true),
        ("DELETE FROM sqlite_sequence WHERE name = 'subject'", true),
        (&format!("{revoked} (1 << 40, 'x', 0, 1, 'r')"), false),
        (&format!("{revoked} (-1, 'x', 0, 1, 'r')"), false),
        ("UPDATE sqlite_sequence SET seq = 9223372036854775807 WHERE name = 'template'", false),
        (
            "INSERT INTO document SELECT 999, place, kind, number_digest, valid_from, expires, endorsements FROM document LIMIT 1",
            false,
        ),
        ("UPDATE chain SET last = 9223372036854775807", false),
        ("UPDATE chain SET first = -9223372036854775807 - 1", false),
        ("UPDATE subject SET birth = '1990-01-01' WHERE revoked IS NULL", false),
        ("UPDATE record SET lane = 'x' WHERE seq = 2", false),
        ("CREATE TABLE loot (sealed)", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("port.register");
        fs::copy(&data, &path).unwrap();
        meddle(&path, prepared);
        let before = fs::read(&path).unwrap();
        if let Ok(register) = Register::open(&path, keyring()) {
            assert!(is_sound, "{prepared}");
            assert!(register.check(|_, _| ()).unwrap().is_sound(), "{prepared}");
            let (subject, _) = register.enrol(&person(4444)).unwrap();
            assert!(subject.0 > 3, "{prepared}");
            _ = register.revoke(subject, "x").unwrap();
            assert!(register.check(|_, _| ()).unwrap().is_sound(), "{prepared}");
        } else {
            assert!(!is_sound, "{prepared}");
            // It is of its old version still, for whoever mends it.
            let version = |bytes: &[u8]| bytes[60..64].to_vec();
            assert_eq!(version(&fs::read(&path).unwrap()), version(&before), "{prepared}");
        }
    }
}
