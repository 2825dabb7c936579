//! A new key renews every template, while the register is in use.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};

use clearlane_store::{DocumentKind, Enrolment, Erasure, Key, Keyring, Problem, Register, Row, StoreError};
use clearlane_template::{SubjectId, TemplateId};
use rusqlite::Connection;
use support::{Fixture, details, fixture, key, model, passage, person, template};

fn filled(people: u64) -> Fixture {
    let f = fixture();
    let people: Vec<Enrolment> = (1..=people).map(|number| person(number).with_details(details(&f.register))).collect();
    f.register.enrol_all(&people).unwrap().into_iter().for_each(|result| _ = result.unwrap());
    f.register.append_record(&passage(1)).unwrap();
    f
}

fn both() -> Keyring {
    Keyring::new(key(2)).with_older(key(1))
}

#[test]
fn after_a_new_key_the_old_one_opens_nothing_and_scores_are_the_same() {
    let f = filled(1200);
    let before = f.register.templates(SubjectId(5), model()).unwrap().remove(0).template;
    let digest = f.register.number_digest(DocumentKind::Passport, "E123").unwrap();
    let position = f.register.position().unwrap();
    let mut last = (0, 0);
    let done = f.register.rekey(&key(2), |done, total| last = (done, total)).unwrap();
    assert_eq!((done.templates, done.problems, done.erasure), (1200, vec![], Erasure::Complete));
    assert_eq!(last, (1200, 1200));
    assert!(f.register.changes(position, model()).unwrap().reload);
    drop(f.register);

    assert!(
        matches!(Register::open(&f.path, Keyring::new(key(1))), Err(StoreError::NoKey { id }) if id == key(2).id())
    );
    let register = Register::open(&f.path, Keyring::new(key(2))).unwrap();
    assert!(register.check(|_, _| ()).unwrap().is_sound());
    let after = register.templates(SubjectId(5), model()).unwrap().remove(0).template;
    assert!(after.score(&before).is_err(), "templates protected by two keys do not match each other");
    let protection = register.protection(model()).unwrap();
    assert!(protection.apply(&template(5)).unwrap().score(&after).unwrap() > 0.999_999);
    assert_eq!(register.number_digest(DocumentKind::Passport, "E123").unwrap(), digest);
    assert_eq!(register.stats().unwrap().keys.len(), 1);
}

#[test]
fn a_change_of_keys_that_was_interrupted_goes_on_where_it_stopped() {
    let f = filled(3000);
    // Stop by a panic in the middle, as a crash would.
    let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        f.register.rekey(&key(2), |done, _| assert!(done < 1000, "stop"))
    }));
    assert!(stopped.is_err());
    drop(f.register);

    assert!(Register::open(&f.path, Keyring::new(key(1))).is_err(), "the new key is the current one already");
    let register = Register::open(&f.path, both()).unwrap();
    let keys = register.stats().unwrap().keys;
    assert!(keys[0].templates > 0 && keys[1].templates >= 1000);
    // In between, everything is usable: mixed rows load as one gallery, and new ones come.
    let mut loaded = 0;
    let protection = register.protection(model()).unwrap();
    register
        .load(model(), |batch, _| {
            assert!(batch.iter().all(|row| row.template.model() == protection.protected_model()));
            loaded += batch.len();
        })
        .unwrap();
    assert_eq!(loaded, 3000);
    assert!(register.check(|_, _| ()).unwrap().is_sound());
    register.enrol(&person(9999)).unwrap();

    let first = AtomicU64::new(u64::MAX);
    let done = register.rekey(&key(2), |_, total| _ = first.fetch_min(total, Ordering::Relaxed)).unwrap();
    assert!(done.templates <= 2000 && done.templates == first.into_inner());
    assert_eq!(register.stats().unwrap().keys.len(), 1);
    drop(register);
    let register = Register::open(&f.path, Keyring::new(key(2))).unwrap();
    assert!(register.check(|_, _| ()).unwrap().is_sound());
    for number in [1, 1500, 3000] {
        let stored = register.templates(SubjectId(number), model()).unwrap();
        let plain = register.protection(model()).unwrap().undo(&stored[0].template).unwrap();
        assert!(plain.score(&template(number)).unwrap() > 0.999_999);
    }
}

#[test]
fn another_process_goes_on_through_a_change_of_keys_if_its_key_source_has_the_new_one() {
    let f = filled(10);
    let other = Register::open(&f.path, both()).unwrap();
    let poor = Register::open(&f.path, Keyring::new(key(1))).unwrap();
    f.register.rekey(&key(2), |_, _| ()).unwrap();
    other.enrol(&person(11)).unwrap();
    assert!(other.check(|_, _| ()).unwrap().is_sound());
    assert!(matches!(poor.enrol(&person(12)), Err(StoreError::NoKey { id }) if id == key(2).id()));
}

#[test]
fn a_row_that_is_refused_is_reported_and_keeps_the_old_key_in_use() {
    let f = filled(10);
    Connection::open(&f.path).unwrap().execute("UPDATE template SET sealed = zeroblob(284) WHERE id = 4", []).unwrap();
    let done = f.register.rekey(&key(2), |_, _| ()).unwrap();
    assert_eq!(done.templates, 9);
    assert!(matches!(done.problems[..], [Problem { row: Row::Template(TemplateId(4)), .. }]));
    assert_eq!(f.register.stats().unwrap().keys.len(), 2);
    // The bad row is taken out; the next call is through.
    assert!(f.register.remove_template(TemplateId(4)).unwrap().0);
    assert!(f.register.rekey(&key(2), |_, _| ()).unwrap().problems.is_empty());
    assert_eq!(f.register.stats().unwrap().keys.len(), 1);
}

#[test]
fn a_key_in_use_before_is_not_taken_again_while_it_is_listed() {
    let f = filled(3);
    Connection::open(&f.path).unwrap().execute("UPDATE template SET sealed = zeroblob(284) WHERE id = 1", []).unwrap();
    f.register.rekey(&key(2), |_, _| ()).unwrap();
    assert!(matches!(f.register.rekey(&key(1), |_, _| ()), Err(StoreError::Invalid { field: "key", .. })));
}

#[test]
fn nothing_sealed_under_the_old_key_is_left_in_the_files() {
    let f = filled(300);
    let connection = Connection::open(&f.path).unwrap();
    let mut statement = connection.prepare("SELECT sealed FROM template WHERE id % 30 = 0").unwrap();
    let old: Vec<Vec<u8>> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    drop(statement);
    connection.close().unwrap();
    let random = Key::random().unwrap();
    assert_eq!(f.register.rekey(&random, |_, _| ()).unwrap().erasure, Erasure::Complete);
    for file in std::fs::read_dir(f.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for sealed in &old {
            assert!(sealed.chunks_exact(32).all(|piece| !bytes.windows(32).any(|window| window == piece)));
        }
    }
}
