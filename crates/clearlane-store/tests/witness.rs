//! Witnesses outside of the file: what they tell, and what they do not get in the way of.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use clearlane_store::{
    Enrolment, Erasure, Fault, Register, RegisterOptions, RootId, Row, StoreError, Witness, WitnessError, WitnessFile,
};
use clearlane_template::SubjectId;
use support::{fixture, keyring, passage, person};

#[test]
fn a_whole_older_file_is_told_from_the_present_one_by_a_witness_and_by_who_saw_the_present_one() {
    let f = fixture();
    let options = f.witnessed();
    let register = options.open(&f.path, keyring()).unwrap();
    register.enrol(&person(1)).unwrap();
    let older = f.folder.path().join("older");
    register.backup(&older, |_, _| ()).unwrap();
    assert_eq!(register.revoke(SubjectId(1), "lost").unwrap(), Erasure::Complete);
    assert!(register.is_witnessed());
    // Put back under a process that has it open: it has seen a newer version.
    let bytes = fs::read(&older).unwrap();
    fs::write(&f.path, &bytes).unwrap();
    let rolled_back = |error: &StoreError| matches!(error, StoreError::Refused { row: Row::Root, fault: Fault::RolledBack { found, witnessed } } if found < witnessed);
    match register.subject_by_id(SubjectId(1)) {
        Err(error) => assert!(rolled_back(&error) || matches!(error, StoreError::Corrupt { .. }), "{error:?}"),
        Ok(subject) => assert!(subject.unwrap().revoked.is_some(), "it answers from what it had read"),
    }
    drop((register, f.register));
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", f.path.display()));
    }
    fs::write(&f.path, &bytes).unwrap();
    assert!(rolled_back(&options.open(&f.path, keyring()).unwrap_err()));
    assert!(Register::open(&f.path, keyring()).is_ok(), "without a witness nobody can tell");

    // To restore is to go back on purpose: the witness takes over what was restored, and nothing older or other after it.
    let restored = f.folder.path().join("restored");
    let register = options.restore(&older, &restored, keyring(), |_, _| ()).unwrap();
    assert!(register.subject("person-1").unwrap().is_some());
    register.enrol(&Enrolment::new("another")).unwrap();
    drop(register);
    assert!(options.open(&restored, keyring()).is_ok());
    assert!(rolled_back(&options.open(&f.path, keyring()).unwrap_err()));
    let elsewhere = RegisterOptions::new().witness(WitnessFile::new(&older));
    assert!(matches!(elsewhere.open(&restored, keyring()), Err(StoreError::Witness(_))));
}

/// A witness at which another process commits just when it is asked.
struct Racing(Mutex<Register>);

impl Witness for Racing {
    fn newest(&self, _: [u8; 16]) -> Result<Option<RootId>, WitnessError> {
        let other = self.0.lock().unwrap();
        let newest = other.root().unwrap();
        other.enrol(&person(77)).unwrap();
        Ok(newest)
    }

    fn note(&self, _: [u8; 16], _: RootId) -> Result<(), WitnessError> {
        Ok(())
    }
}

#[test]
fn a_register_in_use_is_not_taken_for_an_older_one() {
    let f = fixture();
    let other = Register::open(&f.path, keyring()).unwrap();
    RegisterOptions::new().witness(Racing(Mutex::new(other))).open(&f.path, keyring()).unwrap();
    let options = f.witnessed();
    let (writer, done) = (options.open(&f.path, keyring()).unwrap(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                writer.append_record(&passage(1)).unwrap();
            }
        });
        let opened = (0..60).try_for_each(|_| options.open_read_only(&f.path, keyring()).map(drop));
        done.store(true, Ordering::Release);
        opened.unwrap();
    });
}

#[test]
fn a_register_with_a_witness_is_not_written_without_it() {
    let f = fixture();
    let options = f.witnessed();
    let register = options.open(&f.path, keyring()).unwrap();
    register.enrol(&person(1)).unwrap();
    // Otherwise an older file could be written to until it is newer than all that the witness has seen.
    let without = Register::open(&f.path, keyring()).unwrap();
    assert!(matches!(without.enrol(&person(2)), Err(StoreError::NeedsWitness { .. })));
    assert!(without.subject("person-1").unwrap().is_some());
    assert!(without.check(|_, _| ()).unwrap().is_sound());
}

#[test]
fn lines_of_a_witness_that_were_cut_hide_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roots");
    let (witness, root) = (WitnessFile::new(&path), |version| RootId { version, code: [version as u8; 32] });
    assert_eq!(witness.newest([1; 16]).unwrap(), None);
    fs::write(&path, "clearlane-ro").unwrap();
    assert_eq!(witness.newest([1; 16]).unwrap(), None);
    for version in 1..=3 {
        witness.note([1; 16], root(version)).unwrap();
        assert_eq!(witness.newest([1; 16]).unwrap(), Some(root(version)));
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("clearlane-root 0101");
        fs::write(&path, text).unwrap();
    }
    assert!(matches!(witness.newest([2; 16]), Err(WitnessError::Other { .. })));
}
