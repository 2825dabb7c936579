//! Revoked is gone: from every answer, and from the files.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use clearlane_store::{Enrolment, Erasure, RegisterOptions, StoreError, SweepPlan};
use clearlane_template::{SubjectId, TemplateId};
use jiff::Timestamp;
use jiff::civil::date;
use rusqlite::Connection;
use support::{details, fixture, keyring, model, person, template_of};

/// The sealed bytes of a template, read past the library.
fn sealed(path: &Path, id: TemplateId) -> Vec<u8> {
    let connection = Connection::open(path).unwrap();
    connection.query_row("SELECT sealed FROM template WHERE id = ?1", [id.0 as i64], |row| row.get(0)).unwrap()
}

/// Whether any file of the folder holds these bytes.
fn anywhere(folder: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|file| {
        let content = fs::read(file.unwrap().path()).unwrap();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[test]
fn nothing_of_a_revoked_template_is_left_in_any_file() {
    let f = fixture();
    let people: Vec<Enrolment> = (0..120).map(person).collect();
    let ids: Vec<_> = f.register.enrol_all(&people).unwrap().into_iter().map(Result::unwrap).collect();
    for number in 0..60 {
        f.register.enrol(&person(1000 + number)).unwrap();
    }
    for (subject, templates) in ids.iter().step_by(3) {
        let bytes = sealed(&f.path, templates[0]);
        // Any 32 bytes of it would show a piece of the row.
        let pieces: Vec<_> = bytes.chunks_exact(32).collect();
        assert!(anywhere(f.folder.path(), pieces[2]));
        assert_eq!(f.register.revoke(*subject, "asked for it").unwrap(), Erasure::Complete);
        for piece in pieces {
            assert!(!anywhere(f.folder.path(), piece), "a piece of {subject}'s template is left");
        }
    }
}

/// Pages are split when rows come and merged when they go; no copy of a row must stay behind in one that was left.
#[test]
fn nothing_is_left_either_where_pages_were_merged() {
    let f = fixture();
    let people: Vec<Enrolment> = (0..800).map(person).collect();
    let ids: Vec<_> = f.register.enrol_all(&people).unwrap().into_iter().map(Result::unwrap).collect();
    let rows: Vec<Vec<u8>> = ids.iter().map(|(_, templates)| sealed(&f.path, templates[0])).collect();
    let mut random = support::Random(1);
    let mut left: Vec<usize> = (0..ids.len()).collect();
    while left.len() > 40 {
        let some: Vec<usize> = (0..20).map(|_| left.swap_remove(random.below(left.len() as u64) as usize)).collect();
        let some: Vec<SubjectId> = some.into_iter().map(|at| ids[at].0).collect();
        assert_eq!(f.register.revoke_all(&some, "chosen").unwrap(), Erasure::Complete);
        f.register.enrol(&person(10_000 + left.len() as u64)).unwrap();
    }
    let kept = |at: &usize| left.contains(at);
    let pieces = |keep: bool| -> HashSet<&[u8]> {
        let rows = rows.iter().enumerate().filter(|(at, _)| kept(at) == keep);
        rows.flat_map(|(_, row)| row.chunks_exact(32)).collect()
    };
    let found = |pieces: &HashSet<&[u8]>| -> usize {
        let files = fs::read_dir(f.folder.path()).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
        files.map(|bytes| bytes.windows(32).filter(|window| pieces.contains(window)).count()).sum()
    };
    assert!(found(&pieces(true)) >= 40 * 8, "the search finds what is there");
    assert_eq!(found(&pieces(false)), 0);
}

#[test]
fn no_template_stands_in_any_file_as_its_model_made_it_nor_protected() {
    let f = fixture();
    let template = template_of(model(), 77, 64);
    let (id, _) = f.register.enrol(&Enrolment::new("x").with_template(template.clone())).unwrap();
    let protected = f.register.templates(id, model()).unwrap().remove(0).template;
    for values in [template.as_slice(), protected.as_slice()] {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert!(bytes.chunks_exact(16).all(|piece| !anywhere(f.folder.path(), piece)));
    }
}

#[test]
fn a_revoked_subject_stays_as_a_name_with_a_reason_and_may_be_enrolled_again() {
    let f = fixture();
    let (first, templates) = f.register.enrol(&person(1).with_details(details(&f.register))).unwrap();
    assert_eq!(f.register.revoke(first, "moved away").unwrap(), Erasure::Complete);
    assert!(f.register.subject("person-1").unwrap().is_none());
    let left = f.register.subject_by_id(first).unwrap().unwrap();
    assert_eq!(left.key, "person-1");
    assert_eq!(left.revoked.unwrap().reason, "moved away");
    assert_eq!(left.details, clearlane_store::Details::default());
    assert!(
        matches!(f.register.revoke(first, "again"), Err(StoreError::UnknownSubject { subject }) if subject == first)
    );
    let (second, others) = f.register.enrol(&person(1)).unwrap();
    assert!(second > first && others[0] > templates[0], "ids are never used again");
    assert_eq!(f.register.revoked_subjects().count(), 1);
}

#[test]
fn of_several_revocations_all_happen_or_none() {
    let f = fixture();
    let (id, _) = f.register.enrol(&person(1)).unwrap();
    assert!(matches!(f.register.revoke_all(&[id, SubjectId(99)], "x"), Err(StoreError::UnknownSubject { .. })));
    assert!(f.register.subject("person-1").unwrap().is_some());
    assert_eq!(f.register.templates(id, model()).unwrap().len(), 1);
}

#[test]
fn one_template_or_a_whole_model_can_go_while_the_subject_stays() {
    let f = fixture();
    let (id, templates) = f.register.enrol(&person(1).with_template(support::template(2))).unwrap();
    assert_eq!(f.register.remove_template(templates[0]).unwrap(), (true, Erasure::Complete));
    assert!(!f.register.remove_template(templates[0]).unwrap().0);
    assert_eq!(f.register.templates(id, model()).unwrap()[0].id, templates[1]);
    assert_eq!(f.register.remove_model(model()).unwrap(), (1, Erasure::Complete));
    assert!(matches!(f.register.templates(id, model()), Err(StoreError::OtherModel { .. })));
    assert!(f.register.subject("person-1").unwrap().is_some());
}

#[test]
fn a_sweep_revokes_the_expired_and_the_withdrawn_and_forgets_what_was_revoked_long_ago() {
    let f = fixture();
    let until = |number: u64, day| {
        let mut known = details(&f.register);
        known.expires = day;
        f.register.enrol(&person(number).with_details(known)).unwrap().0
    };
    let yesterday = until(1, Some(date(2026, 2, 28)));
    let today = until(2, Some(date(2026, 3, 1)));
    let never = until(3, None);
    let withdrawn = until(4, None);
    f.register.withdraw_consent(withdrawn, Timestamp::UNIX_EPOCH).unwrap();
    let swept = f.register.sweep(&SweepPlan::new(date(2026, 3, 1), Timestamp::now())).unwrap();
    assert_eq!((swept.expired, swept.withdrawn), (vec![yesterday], vec![withdrawn]));
    assert_eq!((swept.forgotten, swept.erasure), (0, Erasure::Complete));
    let left: Vec<_> = f.register.subjects().map(|subject| subject.unwrap().id).collect();
    assert_eq!(left, [today, never]);
    let later = Timestamp::now() + jiff::SignedDuration::from_hours(1);
    assert_eq!(
        f.register.sweep(&SweepPlan { forget: later, ..SweepPlan::new(date(2026, 3, 1), later) }).unwrap().forgotten,
        2
    );
    assert!(f.register.subject_by_id(yesterday).unwrap().is_none());
}

#[test]
fn erasure_waits_for_a_reader_and_says_so() {
    let f = fixture();
    let (id, templates) = f.register.enrol(&person(1)).unwrap();
    let bytes = sealed(&f.path, templates[0]);
    drop(f.register);
    let register = RegisterOptions::new().wait(std::time::Duration::from_millis(20)).open(&f.path, keyring()).unwrap();
    let reader = Connection::open(&f.path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM template").unwrap();
    assert_eq!(register.revoke(id, "x").unwrap(), Erasure::Pending);
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(register.erase().unwrap(), Erasure::Complete);
    assert!(!anywhere(f.folder.path(), &bytes[..32]));
}
