//! Registers whose files were damaged, under a session of operations.

use std::path::Path;
use std::sync::LazyLock;

use clearlane_store::{
    Details, Direction, Enrolment, Key, Keyring, NewRecord, Outcome, RecordQuery, Register, RegisterOptions, SweepPlan,
};
use clearlane_template::{ModelId, SubjectId, Template, TemplateId};
use jiff::Timestamp;
use jiff::civil::date;
use tempfile::TempDir;

use crate::Steer;

fn keys() -> Keyring {
    Keyring::new(Key::from_bytes([1; 32]))
}

fn model() -> ModelId {
    ModelId::digest([b"model".as_slice()])
}

/// A folder in memory where the system has one: what is tried here waits for no disk.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap()
}

fn person(number: u64) -> Enrolment {
    let values = (0..64).map(|at| ((number * 31 + at * at * 7) % 13) as f32 - 5.5).collect();
    Enrolment::new(format!("person-{number}")).with_template(Template::normalised(model(), values).unwrap())
}

fn passage() -> NewRecord {
    NewRecord {
        time: Timestamp::from_second(1_732_060_800).unwrap(),
        port: "gongbei".to_owned(),
        lane: "lane-1".to_owned(),
        direction: Direction::Exit,
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

/// The file of a sound register of the present version, with a little of everything.
fn sound_file() -> Vec<u8> {
    let folder = folder();
    let path = folder.path().join("port.register");
    let register = Register::create(&path, keys()).unwrap();
    for number in 1..=3 {
        register.enrol(&person(number)).unwrap();
    }
    let _ = register.revoke(SubjectId(3), "moved").unwrap();
    register.append_records(&[passage()]).unwrap();
    register.spend_claim([9; 16], Timestamp::MAX).unwrap();
    let _ = register.erase().unwrap();
    drop(register);
    std::fs::read(path).unwrap()
}

/// The file that the bytes are or, where they do not begin as one, what they make of a sound one: each part that is written over has four
/// bytes that say where, one that says how long it is, and its bytes.
fn file(bytes: &[u8]) -> Vec<u8> {
    static SOUND: LazyLock<Vec<u8>> = LazyLock::new(sound_file);
    if bytes.starts_with(b"SQLite format 3") {
        return bytes.to_vec();
    }
    let (mut file, mut steer) = (SOUND.clone(), Steer::new(bytes));
    while !steer.is_over() {
        let at = steer.number() as usize % file.len();
        let length = usize::from(steer.byte()).min(file.len() - at);
        let part = steer.take(length);
        file[at..at + part.len()].copy_from_slice(part);
    }
    file
}

/// The bytes make a register's file. Whatever they are, each operation works or says what is wrong, and a register whose check finds
/// nothing wrong has subjects that can be read.
pub(crate) fn registers(bytes: &[u8]) {
    let folder = folder();
    let path = folder.path().join("port.register");
    std::fs::write(&path, file(bytes)).unwrap();
    let options = RegisterOptions::new().wait(std::time::Duration::from_millis(50));
    // Without keys, for reading, and with keys for both.
    if let Ok(register) = options.open_read_only(&path, Keyring::empty()) {
        let _ = register.stats();
        register.subjects().take(20).for_each(drop);
    }
    if let Ok(register) = options.open_read_only(&path, keys()) {
        read(&register);
    }
    let Ok(register) = options.open(&path, keys()) else { return };
    let sound = register.check(|_, _| ()).is_ok_and(|report| report.is_sound());
    let subjects: Result<Vec<_>, _> = register.subjects().take(20).collect();
    assert!(!sound || subjects.is_ok(), "a sound register's subjects cannot be read: {subjects:?}");
    read(&register);
    let enrolled = register.enrol(&person(9));
    if let Ok(enrolled) = &enrolled {
        assert_eq!(register.subject_by_id(enrolled.0).unwrap().unwrap().key, "person-9");
    }
    assert!(!sound || enrolled.is_ok(), "nobody can be enrolled in a sound register: {enrolled:?}");
    let _ = register.update(SubjectId(1), Details::default());
    let _ = register.withdraw_consent(SubjectId(2), Timestamp::MAX);
    let _ = register.append_records(&[passage(), passage()]);
    let _ = register.spend_claim([3; 16], Timestamp::MAX);
    let _ = register.revoke(SubjectId(1), "moved");
    let _ = register.remove_template(TemplateId(2));
    let _ = register.sweep(&SweepPlan::new(date(2026, 1, 1), Timestamp::from_second(1_767_225_600).unwrap()));
    let _ = register.prune_records(Timestamp::from_second(1_732_060_801).unwrap());
    let _ = register.rekey(&Key::from_bytes([1; 32]), |_, _| ());
    let _ = register.backup(folder.path().join("copy"), |_, _| ());
    let after = register.check(|_, _| ());
    // What this process did to a sound register leaves a sound one.
    assert!(!sound || after.as_ref().is_ok_and(clearlane_store::Report::is_sound), "{after:?}");
}

/// Everything that is read of a register.
fn read(register: &Register) {
    let _ = (register.stats(), register.root(), register.coverage(model()), register.last_check());
    register.subjects().take(20).for_each(drop);
    register.revoked_subjects().take(20).for_each(drop);
    register.records(RecordQuery::default()).take(20).for_each(drop);
    let _ = (register.subject("person-1"), register.record(1), register.verify_records(|_, _| ()));
    let _ = (register.templates(SubjectId(1), model()), register.sources(SubjectId(1)));
    let _ = register.load(model(), |_, _| ());
    let _ = register.last_record(&RecordQuery { subject: Some(SubjectId(1)), ..RecordQuery::default() });
}
