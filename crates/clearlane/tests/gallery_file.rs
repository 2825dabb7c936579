//! References whose rows are in a file: a cache that follows the register, and is worth nothing to whoever changes it.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clearlane::search::{Mode, Precision, SearchOptions};
use clearlane::{References, ReferencesError};
use clearlane_store::{Key, Keyring, Register};
use clearlane_template::{ModelId, SubjectId, Template};
use common::{Port, eligible, enrolment, face, model};

const MODES: [Mode; 3] = [Mode::Exhaustive, Mode::Certified, Mode::SKETCH];

fn load(register: Arc<Register>, path: &Path) -> References {
    References::load_on_file(register, model(), path, |gallery| gallery, |_, _| {}).unwrap()
}

fn file(port: &Port) -> PathBuf {
    port.folder.path().join("port.gallery")
}

/// Who is found for a traveller's face, in every mode.
fn found(references: &References, n: u64) -> Option<SubjectId> {
    let of_mode = MODES.map(|mode| {
        let options = SearchOptions { threshold: 0.5, mode, ..SearchOptions::new(2) };
        let outcome = references.search(&face(n), &options).unwrap();
        outcome.and_then(|outcome| outcome.candidates.first().map(|best| best.subject))
    });
    assert!(of_mode.iter().all(|found| *found == of_mode[0]), "{of_mode:?}");
    of_mode[0]
}

#[test]
fn references_on_file_find_what_those_in_memory_find() {
    let port = Port::with(60);
    let on_file = load(port.register.clone(), &file(&port));
    let settings = |gallery: clearlane::search::GalleryBuilder| gallery.precision(Precision::I8);
    let in_memory = References::load_with(port.register.clone(), model(), settings, |_, _| {}).unwrap();
    assert_eq!((on_file.len(), on_file.subjects()), (60, 60));
    for n in 0..70 {
        for mode in MODES {
            let options = SearchOptions { mode, ..SearchOptions::new(20) };
            let candidates =
                |references: &References| references.search(&face(n), &options).unwrap().unwrap().candidates;
            assert_eq!(candidates(&on_file), candidates(&in_memory));
        }
    }
}

#[test]
fn the_file_is_opened_again_and_what_changed_since_is_brought_in() {
    let port = Port::with(30);
    let path = file(&port);
    let first = load(port.register.clone(), &path);
    let bytes = fs::read(&path).unwrap();
    port.register.enrol(&enrolment(30, eligible())).unwrap();
    let _ = port.register.revoke(port.subject(7), "moved").unwrap();
    for references in [&first, &load(port.register.clone(), &path), &load(Arc::new(port.another()), &path)] {
        references.refresh().unwrap();
        assert_eq!(references.len(), 30);
        assert_eq!(found(references, 7), None);
        assert_eq!(found(references, 30), Some(port.subject(30)));
        assert_eq!(found(references, 8), Some(port.subject(8)));
    }
    assert_eq!(fs::read(&path).unwrap(), bytes, "the file was made anew, and need not have been");
}

#[test]
fn an_older_file_in_the_place_of_a_newer_one_brings_nobody_back() {
    let port = Port::with(20);
    let path = file(&port);
    drop(load(port.register.clone(), &path));
    let older = fs::read(&path).unwrap();
    let _ = port.register.revoke(port.subject(5), "lost").unwrap();
    fs::remove_file(&path).unwrap();
    let newer = load(port.register.clone(), &path);
    assert_eq!((newer.len(), found(&newer, 5)), (19, None));
    fs::write(&path, older).unwrap();
    let again = load(port.register.clone(), &path);
    assert_eq!((again.len(), found(&again, 5)), (19, None));
    assert_eq!(found(&again, 6), Some(port.subject(6)));
}

#[test]
fn a_file_that_was_altered_or_cut_is_made_anew() {
    let port = Port::with(20);
    let path = file(&port);
    drop(load(port.register.clone(), &path));
    let sound = fs::read(&path).unwrap();
    let mut altered = sound.clone();
    altered[5000] ^= 1;
    let mut codes = sound.clone();
    *codes.last_mut().unwrap() ^= 1;
    for damaged in [altered, codes, sound[..sound.len() / 2].to_vec(), sound[..50].to_vec(), Vec::new()] {
        fs::write(&path, &damaged).unwrap();
        let references = load(port.register.clone(), &path);
        assert_eq!((references.len(), found(&references, 3)), (20, Some(port.subject(3))));
        assert_ne!(fs::read(&path).unwrap(), damaged);
    }
}

#[test]
fn what_is_no_gallery_file_is_left_as_it_is() {
    let port = Port::with(3);
    let path = file(&port);
    let letter = b"something else".repeat(999);
    fs::write(&path, &letter).unwrap();
    let open = || References::load_on_file(port.register.clone(), model(), &path, |gallery| gallery, |_, _| {});
    let refused = open().err().unwrap();
    assert!(matches!(refused, ReferencesError::NotAGallery(_)), "{refused}");
    assert!(refused.to_string().contains("name another path"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), letter);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(open(), Err(ReferencesError::NotAGallery(_))));
}

#[test]
fn a_new_key_makes_the_file_useless() {
    let port = Port::with(20);
    let path = file(&port);
    drop(load(port.register.clone(), &path));
    let (older, known) = (fs::read(&path).unwrap(), Some(port.subject(3)));
    let new = Key::random().unwrap();
    let ring = Keyring::new(new.clone()).with_older(port.key.clone());
    Register::open(port.path(), ring.clone()).unwrap().rekey(&new, |_, _| {}).unwrap();
    let register = Arc::new(Register::open(port.path(), ring).unwrap());
    let again = load(Arc::clone(&register), &path);
    assert_eq!((again.len(), found(&again, 3)), (20, known));
    assert_ne!(fs::read(&path).unwrap(), older);
    // Put back, it does not open under the new key.
    fs::write(&path, &older).unwrap();
    let again = load(register, &path);
    assert_eq!((again.len(), found(&again, 3)), (20, known));
}

#[test]
fn a_file_of_another_register_or_of_a_history_that_was_given_up_is_made_anew() {
    let port = Port::with(20);
    let path = file(&port);
    let other = Port::with(25);
    drop(load(other.register.clone(), &path));
    let references = load(port.register.clone(), &path);
    assert_eq!((references.len(), found(&references, 3), found(&references, 22)), (20, Some(port.subject(3)), None));

    // A backup is gone back to after two more were enrolled, and two others get their ids.
    let backup = port.folder.path().join("backup.register");
    port.register.backup(&backup, |_, _| {}).unwrap();
    for n in [20, 21] {
        port.register.enrol(&enrolment(n, eligible())).unwrap();
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(load(port.register.clone(), &path).len(), 22);
    let restored = Arc::new(Register::open(&backup, Keyring::new(port.key.clone())).unwrap());
    for others in [[].as_slice(), &[40, 41], &[42]] {
        for n in others {
            restored.enrol(&enrolment(*n, eligible())).unwrap();
        }
        let references = load(Arc::clone(&restored), &path);
        for lost in [20, 21] {
            assert_eq!(found(&references, lost), None, "somebody of a lost history is found");
        }
        for n in [40, 41, 42].iter().take(references.len() - 20) {
            assert_eq!(
                found(&references, *n),
                restored.subject(&format!("traveller {n}")).unwrap().map(|known| known.id)
            );
        }
        // And the file of the lost history again.
        fs::remove_file(&path).unwrap();
        drop(load(port.register.clone(), &path));
    }
}

#[test]
fn two_who_changed_places_in_a_restored_register_are_told_apart() {
    let port = Port::with(20);
    let path = file(&port);
    let backup = port.folder.path().join("backup.register");
    port.register.backup(&backup, |_, _| {}).unwrap();
    let restored = Arc::new(Register::open(&backup, Keyring::new(port.key.clone())).unwrap());
    for (register, order) in [(&port.register, [20, 21, 22]), (&restored, [21, 20, 22])] {
        for n in order {
            register.enrol(&enrolment(n, eligible())).unwrap();
        }
    }
    drop(load(port.register.clone(), &path));
    // All ids are the same, and so is the newest template, bit by bit; 20 and 21 have each other's.
    let references = load(Arc::clone(&restored), &path);
    for n in [20, 21, 22] {
        let known = restored.subject(&format!("traveller {n}")).unwrap().unwrap();
        assert_eq!(found(&references, n), Some(known.id), "traveller {n}");
    }
}

#[test]
fn templates_of_another_model_that_came_after_a_restore_are_not_taken_for_this_models() {
    let port = Port::with(20);
    let path = file(&port);
    let backup = port.folder.path().join("backup.register");
    port.register.backup(&backup, |_, _| {}).unwrap();
    let restored = Arc::new(Register::open(&backup, Keyring::new(port.key.clone())).unwrap());
    let other = Template::normalised(ModelId::digest([b"another".as_slice()]), vec![1.0; 128]).unwrap();
    port.register.add_templates(port.subject(0), &[other.into()]).unwrap();
    drop(load(port.register.clone(), &path));
    restored.enrol(&enrolment(40, eligible())).unwrap();
    let references = load(Arc::clone(&restored), &path);
    assert_eq!(found(&references, 40), restored.subject("traveller 40").unwrap().map(|known| known.id));
}

#[test]
fn references_are_kept_in_memory_where_the_file_cannot_be_written() {
    let port = Port::with(10);
    let references = load(port.register.clone(), Path::new("/no/such/folder/port.gallery"));
    assert_eq!((references.len(), found(&references, 3)), (10, Some(port.subject(3))));
}
