//! Registers that earlier versions made are read, and brought up to date.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use clearlane_store::{Register, StoreError};
use support::{keyring, model, person, template};

/// `data/1.register`: made by schema version 1, under the tests' key: person-1 with all details and two templates,
/// person-2, who was revoked, and person-3.
#[test]
fn a_register_of_version_1_is_migrated_with_all_that_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.register");
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/1.register"), &path).unwrap();
    let error = Register::open_read_only(&path, keyring()).unwrap_err();
    assert!(matches!(error, StoreError::OlderSchema { found: 1, supported: 2, .. }));

    let register = Register::open(&path, keyring()).unwrap();
    let one = register.subject("person-1").unwrap().unwrap();
    assert_eq!(one.details, support::details(&register));
    let stored = register.templates(one.id, model()).unwrap();
    let turn = register.turn(model()).unwrap();
    for (stored, seed) in stored.iter().zip([1, 11]) {
        assert!(turn.undo(&stored.template).unwrap().score(&template(seed)).unwrap() > 0.999_999);
    }
    assert_eq!(register.revoked_subjects().next().unwrap().unwrap().key, "person-2");
    assert!(register.subject("person-3").unwrap().is_some());

    register.enrol(&person(4)).unwrap();
    register.append_record(&support::passage(1)).unwrap();
    assert!(register.check(|_, _| ()).unwrap().is_sound());
    drop(register);
    assert_eq!(Register::open_read_only(&path, keyring()).unwrap().stats().unwrap().schema, 2);
}
