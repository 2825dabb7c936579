//! What was altered past the library is refused, and the check names it.
#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write as _;

use clearlane_store::{Fault, Keyring, Problem, Register, Row, StoreError};
use clearlane_template::{SubjectId, TemplateId};
use rusqlite::{Connection, params};
use support::{Fixture, details, fixture, keyring, meddle, model, passage, person};

/// Three subjects with all details, one template each, and some records.
fn filled() -> Fixture {
    let f = fixture();
    for number in 1..=3 {
        f.register.enrol(&person(number).with_details(details(&f.register))).unwrap();
    }
    f.register.append_records(&[passage(1), passage(2)]).unwrap();
    f
}

fn problems(f: &Fixture) -> Vec<Problem> {
    f.register.check(|_, _| ()).unwrap().problems
}

fn refused(f: &Fixture, subject: u64) -> (Row, Fault) {
    match f.register.templates(SubjectId(subject), model()) {
        Err(StoreError::Refused { row, fault }) => (row, fault),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_sound_register_has_no_problems_and_the_check_says_what_it_read() {
    let f = filled();
    let mut steps = Vec::new();
    let report = f.register.check(|done, total| steps.push((done, total))).unwrap();
    assert!(report.is_sound() && report.keyed);
    assert_eq!((report.subjects, report.templates, report.records), (3, 3, 2));
    assert_eq!(steps.last(), Some(&(8, 8)));
    assert!(steps.is_sorted());
    assert_eq!(f.register.last_check().unwrap().unwrap().problems, 0);
}

#[test]
fn every_bit_of_a_sealed_template_counts() {
    let f = filled();
    let connection = Connection::open(&f.path).unwrap();
    let sealed: Vec<u8> =
        connection.query_row("SELECT sealed FROM template WHERE id = 2", [], |row| row.get(0)).unwrap();
    let write =
        |bytes: &[u8]| connection.execute("UPDATE template SET sealed = ?1 WHERE id = 2", params![bytes]).unwrap();
    // Every byte, each in another bit: the nonce, the values and the tag.
    let fault = |at: usize| if (12..sealed.len() - 16).contains(&at) { Fault::Seal } else { Fault::Unbound };
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1 << (at % 8);
        write(&altered);
        assert_eq!(refused(&f, 2), (Row::Template(TemplateId(2)), fault(at)), "byte {at}");
    }
    assert_eq!(problems(&f), [Problem { row: Row::Template(TemplateId(2)), fault: Fault::Unbound }]);
    assert_eq!(f.register.last_check().unwrap().unwrap().problems, 1);
    for length in [0, 11, 27, sealed.len() - 1] {
        write(&sealed[..length]);
        assert_eq!(refused(&f, 2).1, Fault::Unbound, "{length}");
    }
    assert!(matches!(f.register.load(model(), |_, _| ()), Err(StoreError::Refused { .. })));
    write(&sealed);
    assert!(problems(&f).is_empty());
}

#[test]
fn a_template_is_only_where_it_was_put() {
    // Given to another subject, under another id, of another model, with another's content.
    for (change, row) in [
        ("UPDATE template SET subject = 3 WHERE id = 2", 2),
        ("UPDATE template SET id = 9 WHERE id = 2", 9),
        ("UPDATE template SET sealed = (SELECT sealed FROM template WHERE id = 1) WHERE id = 2", 2),
        ("UPDATE template SET model = 7 WHERE id = 2", 2),
    ] {
        let f = filled();
        meddle(&f.path, change);
        let found = problems(&f);
        let expected = Problem { row: Row::Template(TemplateId(row)), fault: Fault::Unbound };
        assert!(found.contains(&expected), "{change}: {found:?}");
    }
}

#[test]
fn a_template_of_another_register_with_the_same_key_does_not_open() {
    let (f, elsewhere) = (filled(), filled());
    let attach = format!("ATTACH '{}' AS elsewhere", elsewhere.path.display());
    meddle(
        &f.path,
        &format!(
            "{attach}; UPDATE template SET sealed = (SELECT sealed FROM elsewhere.template WHERE id = 2) WHERE id = 2"
        ),
    );
    assert_eq!(refused(&f, 2).1, Fault::Unbound);
}

#[test]
fn whatever_the_rules_ask_of_a_subject_cannot_be_altered_unnoticed() {
    for change in [
        "UPDATE subject SET key = 'somebody-else' WHERE id = 2",
        "UPDATE subject SET category = 'hong-kong-resident' WHERE id = 2",
        "UPDATE subject SET birth = '1994-02-28' WHERE id = 2",
        "UPDATE subject SET nationality = 'other' WHERE id = 2",
        "UPDATE subject SET consent_face = 0 WHERE id = 2",
        "UPDATE subject SET consent_withdrawn = 5 WHERE id = 2",
        "UPDATE subject SET consent_given = NULL WHERE id = 2",
        "UPDATE subject SET expires = '2099-01-01' WHERE id = 2",
        "UPDATE subject SET expires = NULL WHERE id = 2",
        "UPDATE subject SET place = NULL WHERE id = 2",
        "UPDATE subject SET enrolled = enrolled - 1 WHERE id = 2",
        "UPDATE document SET kind = 'passport' WHERE subject = 2",
        "UPDATE document SET expires = '2099-01-01' WHERE subject = 2",
        "UPDATE document SET valid_from = NULL WHERE subject = 2",
        "UPDATE document SET number_digest = zeroblob(32) WHERE subject = 2",
        "UPDATE document SET endorsements = replace(endorsements, 'business', 'talent') WHERE subject = 2",
        "UPDATE document SET endorsements = '[]' WHERE subject = 2",
        "DELETE FROM document WHERE subject = 2",
        "INSERT INTO document SELECT 2, 1, kind, number_digest, valid_from, expires, endorsements, encoding FROM document WHERE subject = 1",
    ] {
        let f = filled();
        meddle(&f.path, change);
        let expected = Problem { row: Row::Subject(SubjectId(2)), fault: Fault::Unbound };
        assert_eq!(problems(&f), [expected], "{change}");
        let error = f.register.subject_by_id(SubjectId(2)).unwrap_err();
        assert!(matches!(error, StoreError::Refused { row: Row::Subject(SubjectId(2)), .. }), "{change}");
    }
}

#[test]
fn a_revocation_cannot_be_taken_back_past_the_library() {
    let f = filled();
    assert_eq!(f.register.revoke(SubjectId(2), "lost").unwrap(), clearlane_store::Erasure::Complete);
    meddle(&f.path, "UPDATE subject SET revoked = NULL WHERE id = 2");
    assert!(matches!(f.register.subject("person-2"), Err(StoreError::Refused { .. })));
}

#[test]
fn words_that_are_not_written_here_and_rows_without_their_subject_are_named() {
    let f = filled();
    meddle(
        &f.path,
        "UPDATE subject SET category = 'martian' WHERE id = 1; DELETE FROM document WHERE subject = 3; DELETE FROM subject WHERE id = 3",
    );
    let found = problems(&f);
    assert!(found.contains(&Problem { row: Row::Subject(SubjectId(1)), fault: Fault::Value { column: "category" } }));
    assert!(
        found
            .iter()
            .any(|problem| matches!(&problem.fault, Fault::Structure(text) if text.contains("refers to a subject")))
    );
}

#[test]
fn an_altered_secret_is_named() {
    let f = filled();
    meddle(&f.path, "UPDATE register SET number_secret = zeroblob(60)");
    assert_eq!(problems(&f), [Problem { row: Row::Register, fault: Fault::Unbound }]);
}

#[test]
fn a_damaged_page_is_found() {
    let f = filled();
    drop(f.register);
    let mut bytes = std::fs::read(&f.path).unwrap();
    // The root page of an index, from SQLite's own list of tables: overwritten in the middle.
    let root: i64 = Connection::open(&f.path)
        .unwrap()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'template_subject'", [], |row| row.get(0))
        .unwrap();
    let end = root as usize * 16384;
    bytes[end - 8..end].fill(0xff);
    std::fs::write(&f.path, bytes).unwrap();
    let register = Register::open(&f.path, keyring()).unwrap();
    match register.check(|_, _| ()) {
        Ok(report) => assert!(report.problems.iter().any(|problem| problem.row == Row::File), "{report:?}"),
        Err(error) => assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}"),
    }
}

/// Whatever byte of the file is altered: the register is refused, or the check finds it, or what it answers is the same.
#[test]
fn no_altered_byte_changes_an_answer_unnoticed() {
    let f = filled();
    _ = f.register.revoke(SubjectId(3), "lost").unwrap();
    drop(f.register);
    let answers = |register: &Register| -> Result<String, StoreError> {
        let mut all = format!("{:?} {:?}", register.id(), register.revoked_subjects().count());
        for subject in register.subjects() {
            let subject = subject?;
            let templates = register.templates(subject.id, model())?;
            let values: Vec<_> = templates.iter().map(|stored| (stored.id, stored.template.as_slice())).collect();
            write!(all, "{subject:?} {values:?}").unwrap();
        }
        for record in register.records(clearlane_store::RecordQuery::default()) {
            write!(all, "{:?}", record?).unwrap();
        }
        Ok(all)
    };
    let sound = answers(&Register::open(&f.path, keyring()).unwrap()).unwrap();
    let whole = std::fs::read(&f.path).unwrap();
    // Pages are mostly empty: the bytes that are something are tried.
    let used: Vec<usize> = (0..whole.len()).filter(|&at| whole[at] != 0).collect();
    let (mut random, mut noticed) = (support::Random(4), 0);
    for _ in 0..300 {
        let mut bytes = whole.clone();
        bytes[used[random.below(used.len() as u64) as usize]] ^= 1 << random.below(8);
        std::fs::write(&f.path, &bytes).unwrap();
        let opened = Register::open_read_only(&f.path, keyring());
        let outcome = opened.and_then(|register| Ok((register.check(|_, _| ())?.is_sound(), answers(&register))));
        match outcome {
            Ok((true, answer)) => assert_eq!(answer.unwrap(), sound),
            Ok((false, _)) | Err(_) => noticed += 1,
        }
    }
    assert!(noticed > 150, "{noticed}");
}

#[test]
fn without_a_key_the_check_says_that_it_opened_nothing() {
    let f = filled();
    let place = details(&f.register).place;
    drop(f.register);
    let register = Register::open_read_only(&f.path, Keyring::empty()).unwrap();
    let report = register.check(|_, _| ()).unwrap();
    assert!(report.is_sound() && !report.keyed);
    assert_eq!((report.subjects, report.templates, report.records), (3, 3, 2));
    assert_eq!(register.subject_by_id(SubjectId(1)).unwrap().unwrap().details.place, place);
}
