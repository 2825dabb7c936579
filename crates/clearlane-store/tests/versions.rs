//! Registers that earlier versions made are read, and brought up to date.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::PathBuf;

use clearlane_store::{RecordQuery, Register, StoreError};
use jiff::Timestamp;
use support::{details, keyring, model, passage, person, template};
use tempfile::TempDir;

fn copy_of(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::copy(format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR")), &path).unwrap();
    (folder, path)
}

/// `data/2.register`: made by schema version 2, under the tests' key: as the one of version 1, with three crossing records
/// and a spent claim. Another way to derive keys, seal, protect, encode or chain would not read it.
#[test]
fn a_register_of_version_2_is_read_with_its_seals_and_its_chain() {
    let (_folder, path) = copy_of("2.register");
    let register = Register::open(&path, keyring()).unwrap();
    let report = register.check(|_, _| ()).unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    assert_eq!((report.subjects, report.templates, report.records), (3, 3, 3));
    holds_what_version_1_held(&register);
    assert!(register.records(RecordQuery::default()).map(|record| record.unwrap().passage).eq((1..=3).map(passage)));
    assert!(!register.spend_claim([9; 16], Timestamp::MAX).unwrap());
}

/// `data/1.register`: made by schema version 1, under the tests' key: person-1 with all details and two templates,
/// person-2, who was revoked, and person-3.
#[test]
fn a_register_of_version_1_is_migrated_with_all_that_it_holds() {
    let (_folder, path) = copy_of("1.register");
    let error = Register::open_read_only(&path, keyring()).unwrap_err();
    assert!(matches!(error, StoreError::OlderSchema { found: 1, supported: 3, .. }));

    let register = Register::open(&path, keyring()).unwrap();
    holds_what_version_1_held(&register);
    register.enrol(&person(4)).unwrap();
    register.append_record(&passage(1)).unwrap();
    assert!(register.check(|_, _| ()).unwrap().is_sound());
    drop(register);
    assert_eq!(Register::open_read_only(&path, keyring()).unwrap().stats().unwrap().schema, 3);
}

fn holds_what_version_1_held(register: &Register) {
    let one = register.subject("person-1").unwrap().unwrap();
    assert_eq!(one.details, details(register));
    let stored = register.templates(one.id, model()).unwrap();
    let protection = register.protection(model()).unwrap();
    for (stored, seed) in stored.iter().zip([1, 11]) {
        assert!(protection.undo(&stored.template).unwrap().score(&template(seed)).unwrap() > 0.999_999);
    }
    assert_eq!(register.revoked_subjects().next().unwrap().unwrap().key, "person-2");
    assert!(register.subject("person-3").unwrap().is_some());
}
