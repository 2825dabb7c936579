//! Files that are not what was written: none gives an answer, and none takes the process down.

#![allow(clippy::unwrap_used, reason = "a test fails where there is nothing to unwrap")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clearlane_match::{
    Enrolment, Gallery, GalleryBuilder, GalleryError, GalleryFileError, GalleryFilePart, Mode, Precision, SearchOptions,
};
use clearlane_template::{ModelId, SubjectId, Template, TemplateId};
use support::{Enrolled, Random, enrolled, model};

const SECRET: [u8; 32] = [0x5e; 32];
const D: usize = 64;
const ROWS: usize = 8192 + 70;

/// Where things are in a file of [`ROWS`] rows of [`D`] bytes, by FORMAT.md.
const HEADER: usize = 104 + 4 + 4096 + 2048 + 16;
const ROW: usize = D + 4 + 16;
const BLOCK: usize = 2 * 32 * 8 + 32 * 8 + 12;
const FIRST_CODES: usize = HEADER + 8192 * ROW;
const SECOND_PIECE: usize = FIRST_CODES + 8192 * 16 + 8192 / 32 * BLOCK + 16;
const SECOND_CODES: usize = SECOND_PIECE + 70 * ROW;
const ORDER: usize = SECOND_CODES + 70 * 16 + 70 / 32 * BLOCK + 16;
const END: usize = ORDER + ROWS * 4 + 16;

fn builder() -> GalleryBuilder {
    Gallery::builder(model(), D).precision(Precision::I8).certified_codes(false).code_budget(8)
}

fn write(path: &Path, people: &[Enrolled]) {
    let mut file = builder().create_file(path, &SECRET).unwrap();
    let enrolments: Vec<_> =
        people.iter().map(|e| Enrolment { subject: e.subject, id: e.id, template: &e.template }).collect();
    file.extend(&enrolments).unwrap();
    file.finish(b"tag").unwrap();
}

/// A folder with a file in it, its bytes, and who is in it.
fn written() -> (tempfile::TempDir, PathBuf, Vec<u8>, Vec<Enrolled>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.gallery");
    let people = enrolled(&mut Random(60), ROWS, D, 1);
    write(&path, &people);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len(), END, "FORMAT.md says where things are");
    (folder, path, bytes, people)
}

fn open(path: &Path) -> Result<Gallery, GalleryFileError> {
    builder().open_file(path, &SECRET).map(|(gallery, _)| gallery)
}

/// What opening says of these bytes, or what a search says that reads all rows.
fn refusal(path: &Path, bytes: &[u8], probe: &Template) -> Result<GalleryFileError, GalleryError> {
    fs::write(path, bytes).unwrap();
    let gallery = match open(path) {
        Err(refused) => return Ok(refused),
        Ok(gallery) => gallery,
    };
    let mut refused = Vec::new();
    for (mode, parallel) in [(Mode::Exhaustive, false), (Mode::Exhaustive, true), (Mode::SKETCH, false)] {
        let options = SearchOptions { mode, parallel, ..SearchOptions::new(10) };
        refused.extend(gallery.search(probe, &options).err());
    }
    assert!(refused.len() >= 2, "an altered file was searched through");
    Err(refused.swap_remove(0))
}

#[test]
fn a_file_of_which_any_byte_was_altered_is_refused() {
    let (_folder, path, bytes, people) = written();
    let probe = people[9000 % ROWS].template.clone();
    assert!(open(&path).unwrap().search(&probe, &SearchOptions::new(1)).is_ok());
    // Every byte of what comes first, and some of each part: its first, its last, and between.
    let parts = [HEADER, FIRST_CODES, SECOND_PIECE, SECOND_CODES, ORDER, END];
    let mut at: Vec<usize> = (0..160).collect();
    at.extend(parts.iter().flat_map(|part| [part - 17, part - 16, part - 1]));
    at.extend(parts[..5].iter().flat_map(|part| [*part, part + 1, part + ROW - 1]));
    let mut random = Random(61);
    at.extend((0..60).map(|_| random.next() as usize % END));
    for at in at {
        let mut altered = bytes.clone();
        altered[at] ^= 1 << (random.next() % 8);
        let row = |start| (at - start) / ROW;
        let refused = refusal(&path, &altered, &probe);
        let part = |expected| matches!(&refused, Ok(GalleryFileError::Sealed { part, .. }) if *part == expected);
        let is_row =
            |expected| matches!(&refused, Err(GalleryError::AlteredRow { row, .. }) if *row == expected as u64);
        let as_expected = match at {
            0..8 => matches!(refused, Ok(GalleryFileError::NotAGallery { .. })),
            8..12 => matches!(refused, Ok(GalleryFileError::Version { .. })),
            12..=17 | 19 => matches!(refused, Ok(GalleryFileError::Setting { .. })),
            40..72 => matches!(refused, Ok(GalleryFileError::OtherModel { .. })),
            _ if at < HEADER => part(GalleryFilePart::Header),
            _ if at < FIRST_CODES => is_row(row(HEADER)),
            _ if at < SECOND_PIECE => part(GalleryFilePart::Codes(0)),
            _ if at < SECOND_CODES => is_row(8192 + row(SECOND_PIECE)),
            _ if at < ORDER => part(GalleryFilePart::Codes(1)),
            _ => part(GalleryFilePart::Order(0)),
        };
        assert!(as_expected, "byte {at}: {refused:?}");
    }
}

#[test]
fn a_file_that_was_cut_or_added_to_is_refused() {
    let (_folder, path, bytes, people) = written();
    let probe = &people[0].template;
    for part in [0, 104, HEADER, FIRST_CODES, SECOND_PIECE, SECOND_CODES, ORDER, END] {
        for length in [part.saturating_sub(1), part, part + 1, part + ROW] {
            let mut cut = bytes.clone();
            cut.resize(length, 0);
            if length == END {
                continue;
            }
            let refused = refusal(&path, &cut, probe);
            if length < 8 {
                assert!(matches!(refused, Ok(GalleryFileError::NotAGallery { .. })));
                continue;
            }
            // What is shorter than a header does not say how long it was.
            let expected = if length < HEADER { HEADER } else { END } as u64;
            assert!(matches!(refused, Ok(GalleryFileError::Length { found, expected: e, .. })
                if found == length as u64 && e == expected));
        }
    }
    // One that is cut while it is open is an error of the search that meets it.
    fs::write(&path, &bytes).unwrap();
    let gallery = open(&path).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(SECOND_PIECE as u64).unwrap();
    let options = SearchOptions { mode: Mode::Exhaustive, ..SearchOptions::new(1) };
    let refused = gallery.search(probe, &options).unwrap_err();
    assert!(matches!(refused, GalleryError::UnreadableRow { row: 8192, .. }), "{refused:?}");
}

#[test]
fn parts_that_changed_places_are_refused() {
    let (folder, path, bytes, people) = written();
    let probe = &people[0].template;
    let other = folder.path().join("other.gallery");
    write(&other, &people);
    let other = fs::read(&other).unwrap();
    let exchange = |a: usize, b: usize, length: usize| {
        let mut altered = bytes.clone();
        altered[a..a + length].copy_from_slice(&bytes[b..b + length]);
        altered[b..b + length].copy_from_slice(&bytes[a..a + length]);
        altered
    };
    let rows = exchange(HEADER + 5 * ROW, HEADER + 900 * ROW, ROW);
    assert!(matches!(refusal(&path, &rows, probe), Err(GalleryError::AlteredRow { row: 5, .. })));
    let far = exchange(HEADER + 5 * ROW, SECOND_PIECE + 5 * ROW, ROW);
    assert!(matches!(refusal(&path, &far, probe), Err(GalleryError::AlteredRow { row: 5, .. })));
    let mut codes = bytes.clone();
    codes.copy_within(FIRST_CODES..FIRST_CODES + (ORDER - SECOND_CODES), SECOND_CODES);
    let second = |part| part == GalleryFilePart::Codes(1);
    assert!(matches!(refusal(&path, &codes, probe), Ok(GalleryFileError::Sealed { part, .. }) if second(part)));
    // What another file of the same templates has, under the same secret, is not this one's.
    for (start, end) in [(HEADER, HEADER + ROW), (FIRST_CODES, SECOND_PIECE), (ORDER, END), (0, HEADER), (104, HEADER)]
    {
        let mut mixed = bytes.clone();
        mixed[start..end].copy_from_slice(&other[start..end]);
        assert!(refusal(&path, &mixed, probe).is_err() == (end == HEADER + ROW));
    }
}

#[test]
fn a_file_with_another_secret_or_other_settings_is_refused() {
    let (_folder, path, ..) = written();
    let settings = |refused: Result<_, GalleryFileError>| {
        assert!(matches!(refused.map(|_: (Gallery, Vec<u8>)| ()), Err(GalleryFileError::Setting { .. })));
    };
    let mut other = SECRET;
    other[31] ^= 1;
    let refused = builder().open_file(&path, &other).map(|_| ()).unwrap_err();
    assert!(matches!(&refused, GalleryFileError::Sealed { part: GalleryFilePart::Header, .. }));
    assert!(refused.to_string().contains("people.gallery") && refused.to_string().contains("secret"), "{refused}");
    settings(builder().precision(Precision::F32).open_file(&path, &SECRET));
    settings(builder().certified_codes(true).open_file(&path, &SECRET));
    settings(builder().code_budget(64).open_file(&path, &SECRET));
    settings(Gallery::builder(model(), 65).precision(Precision::I8).open_file(&path, &SECRET));
    let other = Gallery::builder(ModelId::digest([b"other".as_slice()]), D).open_file(&path, &SECRET);
    assert!(matches!(other.map(|_| ()), Err(GalleryFileError::OtherModel { .. })));
    let missing = open(Path::new("/no/such/people.gallery")).map(|_| ()).unwrap_err();
    assert!(matches!(missing, GalleryFileError::Read { .. }));
}

#[test]
fn no_bytes_make_a_gallery_panic_or_take_memory_that_the_file_does_not_have() {
    let (_folder, path, bytes, _) = written();
    let mut random = Random(62);
    for round in 0..400 {
        let mut altered = bytes[..HEADER + random.next() as usize % 5000].to_vec();
        if round % 2 == 0 {
            altered[20..].iter_mut().for_each(|byte| *byte = random.next() as u8);
        } else {
            // Counts of rows and subjects as large as can be.
            altered[24..40].iter_mut().for_each(|byte| *byte = random.next() as u8);
        }
        fs::write(&path, &altered).unwrap();
        assert!(open(&path).is_err());
    }
}

/// Says to a test that was started by another what to write to.
const PATH: &str = "CLEARLANE_GALLERY_FILE_TEST";

#[test]
fn a_writer_that_is_killed_or_dropped_leaves_no_file_of_that_name_and_the_one_before() {
    if let Some(path) = std::env::var_os(PATH) {
        let people = enrolled(&mut Random(63), 9000, D, 1);
        let mut file = builder().create_file(path, &SECRET).unwrap();
        for e in &people {
            file.extend(&[Enrolment { subject: e.subject, id: e.id, template: &e.template }]).unwrap();
        }
        // No destructor runs: as if the process were killed.
        std::process::abort();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.gallery");
    let kill = || {
        let name = "a_writer_that_is_killed_or_dropped_leaves_no_file_of_that_name_and_the_one_before";
        let mut child = Command::new(std::env::current_exe().unwrap());
        let status = child.args(["--exact", name]).env(PATH, &path).output().unwrap().status;
        assert!(!status.success());
    };
    kill();
    assert!(!path.exists());
    let people = enrolled(&mut Random(64), 100, D, 1);
    write(&path, &people);
    kill();
    drop(builder().create_file(&path, &SECRET).unwrap());
    assert_eq!(open(&path).unwrap().len(), 100);
}

#[test]
fn several_writers_of_one_name_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.gallery");
    let people = enrolled(&mut Random(65), 500, D, 1);
    std::thread::scope(|scope| {
        for count in [100, 200, 300, 500] {
            let (path, people) = (&path, &people[..count]);
            scope.spawn(move || write(path, people));
        }
    });
    assert!([100, 200, 300, 500].contains(&open(&path).unwrap().len()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_disk_that_is_full_is_an_error_that_names_the_file() {
    let refused = builder().create_file("/no/such/folder/people.gallery", &SECRET).map(|_| ()).unwrap_err();
    assert!(matches!(refused, GalleryFileError::Write { .. }));
    assert!(refused.to_string().contains("/no/such/folder/people.gallery"), "{refused}");
    let template = Random(66).template(D);
    let enrolment = Enrolment { subject: SubjectId(1), id: TemplateId(1), template: &template };
    // The folder is gone when the file is to get its name.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.gallery");
    let mut file = builder().create_file(&path, &SECRET).unwrap();
    file.extend(&[enrolment]).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(file.finish(b""), Err(GalleryFileError::Write { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
