//! Backups, and the register as text.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use clearlane_store::{
    Category, DocumentKind, Enrolment, Format, ImageDigest, Keyring, NewTemplate, Register, StoreError,
};
use clearlane_template::{ModelId, SubjectId};
use support::{Fixture, details, fixture, key, keyring, model, passage, person, template, template_of};

fn filled(people: u64) -> Fixture {
    let f = fixture();
    let people: Vec<Enrolment> = (1..=people).map(|number| person(number).with_details(details(&f.register))).collect();
    f.register.enrol_all(&people).unwrap().into_iter().for_each(|result| _ = result.unwrap());
    f
}

fn export(register: &Register, format: Format, templates: bool) -> String {
    let mut out = Vec::new();
    register.export(&mut out, format, templates, |_, _| ()).unwrap();
    String::from_utf8(out).unwrap()
}

fn subjects(register: &Register) -> Vec<String> {
    register.subjects().map(|subject| format!("{:?}", subject.unwrap())).collect()
}

#[test]
fn a_backup_made_while_a_writer_goes_on_is_one_state_of_the_register() {
    let f = filled(2000);
    f.register.append_record(&passage(1)).unwrap();
    let copy = f.folder.path().join("backup.register");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..100 {
                f.register.enrol(&person(10_000 + number)).unwrap();
            }
        });
        f.register.backup(&copy, |done, total| assert!(done <= total)).unwrap();
        writer.join().unwrap();
    });
    let restored = Register::restore(&copy, f.folder.path().join("restored"), keyring(), |_, _| ()).unwrap();
    assert!(restored.check(|_, _| ()).unwrap().is_sound());
    let here = subjects(&f.register);
    let there = subjects(&restored);
    assert!((2000..=2100).contains(&there.len()));
    assert_eq!(here[..there.len()], there);
    restored.enrol(&person(20_000)).unwrap();
}

#[test]
fn a_backup_replaces_no_file_and_a_damaged_one_is_not_restored() {
    let f = filled(200);
    assert!(matches!(f.register.backup(&f.path, |_, _| ()), Err(StoreError::Exists { .. })));
    let copy = f.folder.path().join("backup.register");
    f.register.backup(&copy, |_, _| ()).unwrap();
    let bytes = fs::read(&copy).unwrap();
    fs::write(&copy, &bytes[..bytes.len() - 20_000]).unwrap();
    let to = f.folder.path().join("restored");
    assert!(matches!(Register::restore(&copy, &to, keyring(), |_, _| ()), Err(StoreError::Corrupt { .. })));
    assert!(!to.exists());
}

#[test]
fn json_lines_with_templates_carry_a_whole_register_to_another_key() {
    let f = filled(1500);
    let other = ModelId::digest([b"another".as_slice()]);
    let source = Some(ImageDigest::of(b"image"));
    f.register.add_templates(SubjectId(1), &[NewTemplate { template: template_of(other, 3, 8), source }]).unwrap();
    let text = export(&f.register, Format::JsonLines, true);

    let path = f.folder.path().join("other.register");
    let register = Register::create(&path, Keyring::new(key(9))).unwrap();
    let imported = register.import(&mut text.as_bytes(), Format::JsonLines, |_| ()).unwrap();
    assert_eq!((imported.enrolled, imported.present, imported.refused.len()), (1500, 0, 0));
    for number in [1, 1500] {
        let stored = register.templates(SubjectId(number), model()).unwrap();
        let plain = register.protection(model()).unwrap().undo(&stored[0].template).unwrap();
        assert!(plain.score(&template(number)).unwrap() > 0.999_999);
        let subject = register.subject_by_id(SubjectId(number)).unwrap().unwrap();
        assert_eq!(subject.details, f.register.subject_by_id(SubjectId(number)).unwrap().unwrap().details);
    }
    let carried = register.templates(SubjectId(1), other).unwrap();
    assert_eq!(register.source(carried[0].id).unwrap(), source);
    // Run again, it finds everybody there.
    let again = register.import(&mut text.as_bytes(), Format::JsonLines, |_| ()).unwrap();
    assert_eq!((again.enrolled, again.present), (0, 1500));
}

#[test]
fn csv_carries_the_subjects() {
    let f = filled(3);
    let text = export(&f.register, Format::Csv, false);
    assert_eq!(text.lines().count(), 4);
    let register = Register::create(f.folder.path().join("other"), keyring()).unwrap();
    let imported = register.import(&mut text.as_bytes(), Format::Csv, |_| ()).unwrap();
    assert_eq!((imported.enrolled, imported.refused.len()), (3, 0), "{imported:?}");
    assert_eq!(subjects(&register), subjects(&f.register));
    assert!(matches!(
        f.register.export(&mut Vec::new(), Format::Csv, true, |_, _| ()),
        Err(StoreError::Invalid { field: "format", .. })
    ));
}

#[test]
fn text_written_by_hand_is_taken_and_document_numbers_are_digested_on_the_way() {
    let f = fixture();
    let text = r#"
        {"key": "a", "category": "macao-resident", "birth": "2004-02-29", "documents":
         [{"kind": "passport", "number": "E 123", "expires": "2030-01-01"}]}"#
        .replace("\n         ", " ");
    let imported = f.register.import(&mut text.as_bytes(), Format::JsonLines, |_| ()).unwrap();
    assert_eq!((imported.enrolled, imported.refused.len()), (1, 0), "{imported:?}");
    let digest = f.register.number_digest(DocumentKind::Passport, "E123").unwrap();
    assert_eq!(f.register.holder(digest).unwrap(), Some(SubjectId(1)));
    let csv = "birth, key\n1990-05-05, b\n";
    f.register.import(&mut csv.as_bytes(), Format::Csv, |_| ()).unwrap();
    let (a, b) = (f.register.subject("a").unwrap().unwrap(), f.register.subject("b").unwrap().unwrap());
    assert_eq!(a.details.category, Some(Category::MacaoResident));
    assert_eq!(b.details.birth.unwrap().to_string(), "1990-05-05");
}

#[test]
fn lines_that_cannot_be_taken_are_reported_with_their_numbers_and_the_rest_is_taken() {
    let f = fixture();
    let text = [
        r#"{"key": "good"}"#,
        r#"{"key": "typo", "categroy": "other"}"#,
        "not json",
        r#"{"key": "no such day", "birth": "2023-02-29"}"#,
        r#"{"key": "number and digest", "documents": [{"kind": "passport", "expires": "2030-01-01"}]}"#,
        r#"{"key": "not a template", "templates": [{"model": "00", "values": "AAAA"}]}"#,
        "",
        r#"{"key": "good too"}"#,
        r#"{"key": "cut"#,
    ]
    .join("\n");
    let imported = f.register.import(&mut text.as_bytes(), Format::JsonLines, |_| ()).unwrap();
    assert_eq!(imported.enrolled, 2);
    assert_eq!(imported.refused.iter().map(|refusal| refusal.line).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 9]);
    let csv = "key,birth\nfine,\nwrong,soon\n";
    let imported = f.register.import(&mut csv.as_bytes(), Format::Csv, |_| ()).unwrap();
    assert_eq!((imported.enrolled, imported.refused[0].line), (1, 3));
    let unknown = f.register.import(&mut "key,brith\na,b\n".as_bytes(), Format::Csv, |_| ()).unwrap_err();
    assert!(matches!(*unknown.source, StoreError::Line { line: 1, .. }));
}

#[test]
fn statistics_say_what_is_there_and_how_far_a_new_model_covers_it() {
    let f = filled(10);
    let next = ModelId::digest([b"next".as_slice()]);
    assert!(f.register.coverage(next).unwrap().share() <= 0.0);
    for number in [1, 2, 5] {
        let new: NewTemplate = template_of(next, number, 128).into();
        f.register.add_templates(SubjectId(number), &[new.clone(), new]).unwrap();
    }
    _ = f.register.revoke(SubjectId(2), "test").unwrap();
    let coverage = f.register.coverage(next).unwrap();
    assert_eq!((coverage.covered, coverage.subjects), (2, 9));
    let missing = f.register.without_template(next, SubjectId(1), 3).unwrap();
    assert_eq!(missing, [SubjectId(3), SubjectId(4), SubjectId(6)]);
    let stats = f.register.stats().unwrap();
    assert_eq!((stats.subjects, stats.revoked, stats.templates), (9, 1, 13));
    let models: Vec<_> = stats.models.iter().map(|model| (model.dimension, model.templates, model.subjects)).collect();
    assert_eq!(models, [(64, 9, 9), (128, 4, 2)]);
    assert_eq!(stats.bytes, {
        drop(f.register);
        fs::metadata(&f.path).unwrap().len()
    });
}

/// A register in use, its files as a `kill -9` leaves them: with a write-ahead log that was not brought into the file.
fn killed(f: &Fixture, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for suffix in ["", "-wal"] {
        let name = format!("port.register{suffix}");
        fs::copy(f.folder.path().join(&name), to.join(&name)).unwrap();
    }
}

#[test]
fn nothing_is_made_where_a_log_of_another_register_would_be_replayed_over_it() {
    let f = filled(300);
    let copy = f.folder.path().join("backup.register");
    f.register.backup(&copy, |_, _| ()).unwrap();
    for number in 1..=100 {
        _ = f.register.revoke(SubjectId(number), "gone").unwrap();
        f.register.append_record(&passage(number as i64)).unwrap();
    }
    let place = f.folder.path().join("killed");
    killed(&f, &place);
    let path = place.join("port.register");
    assert!(fs::metadata(place.join("port.register-wal")).unwrap().len() > 0);
    // The register is moved away, and its log forgotten.
    fs::rename(&path, place.join("moved")).unwrap();
    for suffix in ["-wal", "-journal", "-shm"] {
        let log = place.join(format!("port.register{suffix}"));
        if suffix != "-wal" {
            fs::write(&log, b"left behind").unwrap();
        }
        let is_named = |error: StoreError| matches!(error, StoreError::LeftoverLog { path } if path == log);
        assert!(is_named(Register::restore(&copy, &path, keyring(), |_, _| ()).unwrap_err()), "{suffix}");
        assert!(is_named(Register::create(&path, keyring()).unwrap_err()), "{suffix}");
        assert!(is_named(f.register.backup(&path, |_, _| ()).unwrap_err()), "{suffix}");
        assert!(!path.exists());
        fs::rename(&log, place.join(format!("moved{suffix}"))).unwrap();
    }
    let restored = Register::restore(&copy, &path, keyring(), |_, _| ()).unwrap();
    assert!(restored.check(|_, _| ()).unwrap().is_sound());
    assert_eq!(restored.stats().unwrap().subjects, 300);
    // What was moved with its log is whole.
    for suffix in ["-journal", "-shm"] {
        fs::remove_file(place.join(format!("moved{suffix}"))).unwrap();
    }
    let moved = Register::open(place.join("moved"), keyring()).unwrap();
    assert!(moved.check(|_, _| ()).unwrap().is_sound());
    assert_eq!((moved.stats().unwrap().subjects, moved.stats().unwrap().records), (200, 100));
}

#[test]
fn a_log_that_was_put_to_another_file_by_hand_is_found() {
    let f = filled(300);
    let copy = f.folder.path().join("backup.register");
    f.register.backup(&copy, |_, _| ()).unwrap();
    let newest = |register: &Register| (register.stats().unwrap().subjects, register.stats().unwrap().records);
    let backup = newest(&f.register);
    let (mut refused, mut states) = (0, Vec::new());
    for round in 0..12 {
        for number in 1..=8 {
            _ = f.register.revoke(SubjectId(8 * round + number), "gone").unwrap();
            f.register.append_record(&passage(number as i64)).unwrap();
        }
        states.push(newest(&f.register));
        let place = f.folder.path().join(format!("killed-{round}"));
        killed(&f, &place);
        fs::copy(&copy, place.join("port.register")).unwrap();
        let opened = Register::open(place.join("port.register"), keyring());
        match opened.and_then(|register| Ok((register.check(|_, _| ())?.is_sound(), newest(&register)))) {
            // A log that holds all that came since makes of the backup what the register is.
            Ok((true, found)) => assert!(found == backup || states.contains(&found), "{found:?} never was"),
            Ok((false, _)) | Err(_) => refused += 1,
        }
    }
    assert!(refused > 0);
}
