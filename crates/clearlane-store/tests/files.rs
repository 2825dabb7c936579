//! Files that are no registers, or no longer whole, and two writers at one.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Duration;

use clearlane_store::{Key, KeyError, KeyId, Keyring, Register, RegisterOptions, StoreError};
use support::{fixture, key, keyring, person};

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn a_register_is_never_made_over_another_file() {
    let f = fixture();
    let before = fs::read(&f.path).unwrap();
    assert!(matches!(Register::create(&f.path, keyring()), Err(StoreError::Exists { path }) if path == f.path));
    assert_eq!(fs::read(&f.path).unwrap(), before);
}

#[test]
fn a_failed_creation_leaves_no_file_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("port.register");
    assert!(matches!(Register::create(&path, Keyring::empty()), Err(StoreError::NoCurrentKey)));
    assert!(matches!(Register::create(folder.path().join("no/such/folder"), keyring()), Err(StoreError::Io { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_is_no_register_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let foreign = folder.path().join("foreign");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let foreign = fs::read(foreign).unwrap();
    for content in [b"".as_slice(), b"short", &[0; 5000], &foreign] {
        fs::write(&path, content).unwrap();
        assert!(matches!(Register::open(&path, keyring()), Err(StoreError::NotARegister { .. })));
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    assert!(matches!(Register::open(folder.path(), keyring()), Err(StoreError::NotARegister { .. })));
    assert!(matches!(Register::open(folder.path().join("missing"), keyring()), Err(StoreError::Io { .. })));
}

#[test]
fn a_register_of_a_newer_version_is_refused() {
    let f = fixture();
    drop(f.register);
    overwrite(&f.path, 60, &999_u32.to_be_bytes());
    let error = Register::open(&f.path, keyring()).unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 999, .. }));
}

#[test]
fn a_truncated_register_is_said_to_be_damaged() {
    let f = fixture();
    for number in 0..200 {
        f.register.enrol(&person(number)).unwrap();
    }
    drop(f.register);
    let whole = fs::read(&f.path).unwrap();
    for length in [101, 512, 4096, whole.len() / 2, whole.len() - 1] {
        fs::write(&f.path, &whole[..length]).unwrap();
        let error = Register::open(&f.path, keyring()).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{length}: {error:?}");
    }
}

#[test]
fn the_wrong_key_is_named() {
    let f = fixture();
    drop(f.register);
    let error = Register::open(&f.path, Keyring::new(key(2))).unwrap_err();
    assert!(matches!(error, StoreError::NoKey { id } if id == key(1).id()));
}

#[test]
fn a_second_writer_waits_and_then_is_told() {
    let f = fixture();
    let other = rusqlite::Connection::open(&f.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let second = RegisterOptions::new().wait(Duration::from_millis(50)).open(&f.path, keyring()).unwrap();
    assert!(matches!(second.enrol(&person(1)), Err(StoreError::Locked { waited, .. }) if waited.as_millis() == 50));
    // Readers are not kept out, and the writer goes on when the other is done.
    assert!(second.subject("person-1").unwrap().is_none());
    other.execute_batch("COMMIT").unwrap();
    second.enrol(&person(1)).unwrap();
    // What one process wrote, another sees at once.
    assert!(f.register.subject("person-1").unwrap().is_some());
}

#[test]
fn writers_and_readers_at_once_lose_nothing() {
    let f = fixture();
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let path = &f.path;
            scope.spawn(move || {
                let register = Register::open(path, keyring()).unwrap();
                for number in 0..30 {
                    register.enrol(&person(100 * writer + number)).unwrap();
                    register.append_record(&support::passage(1)).unwrap();
                }
            });
        }
        // A reader sees each time at least what it saw before.
        let (mut seen, reader) = (0, Register::open_read_only(&f.path, keyring()).unwrap());
        while seen < 90 {
            let found = reader.subjects().map(Result::unwrap).count();
            assert!(found >= seen);
            seen = found;
        }
    });
    let report = f.register.check(|_, _| ()).unwrap();
    assert!(report.is_sound());
    assert_eq!((report.subjects, report.templates, report.records), (90, 90, 90));
}

#[test]
fn threads_that_share_a_register_take_no_newer_state_for_a_roll_back() {
    let f = fixture();
    f.register.enrol(&person(1)).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    while !done.load(std::sync::atomic::Ordering::Acquire) {
                        f.register.position().unwrap();
                        f.register.subject("person-1").unwrap().unwrap();
                        f.register.load(support::model(), |_, _| ()).unwrap();
                    }
                })
            })
            .collect();
        let written = (2..150).try_for_each(|number| f.register.enrol(&person(number)).map(drop));
        done.store(true, std::sync::atomic::Ordering::Release);
        for reader in readers {
            reader.join().unwrap();
        }
        written.unwrap();
    });
}

#[test]
fn a_register_opened_for_reading_is_not_written() {
    let f = fixture();
    let reader = Register::open_read_only(&f.path, keyring()).unwrap();
    assert!(matches!(reader.enrol(&person(1)), Err(StoreError::ReadOnly { .. })));
}

#[test]
fn keys_come_from_a_file_the_environment_or_a_closure() {
    let f = fixture();
    drop(f.register);
    let file = f.folder.path().join("keys");
    fs::write(&file, format!("# the port's keys\n{}\n{}\n", &*key(2).to_hex(), &*key(1).to_hex())).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Keyring::from_file(&file), Err(KeyError::Exposed { mode: 0o644, .. })));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let ring = Keyring::from_file(&file).unwrap();
    assert_eq!(ring.current().unwrap().id(), key(2).id());
    Register::open(&f.path, ring).unwrap();
    Register::open(&f.path, |id: Option<KeyId>| Ok(id.filter(|id| *id == key(1).id()).map(|_| key(1)))).unwrap();
    let broken = |_: Option<KeyId>| -> Result<Option<Key>, KeyError> { Err(KeyError::Source("no answer".into())) };
    assert!(matches!(Register::open(&f.path, broken), Err(StoreError::Key(KeyError::Source(_)))));
    assert!(matches!(Keyring::from_env("CLEARLANE_NO_SUCH_VARIABLE"), Err(KeyError::Variable { .. })));
    for text in ["", "# none", "12", &"g".repeat(64), &"0".repeat(66)] {
        assert!(Keyring::parse(text).is_err(), "{text:?}");
    }
    assert!(!format!("{:?}", key(7)).contains("0707"));
}
