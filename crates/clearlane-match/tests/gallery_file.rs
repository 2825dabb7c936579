//! A gallery whose rows are in a file finds what one in memory finds, whatever comes and goes.

#![allow(clippy::unwrap_used, reason = "a test fails where there is nothing to unwrap")]

mod support;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use clearlane_match::{
    Completeness, Enrolment, Gallery, GalleryBuilder, GalleryError, GalleryFileError, Kernel, Mode, Precision,
    SearchOptions, SearchOutcome, Snapshot, SubjectFilter,
};
use clearlane_template::{SubjectId, Template, TemplateId};
use support::{Enrolled, Random, assert_same, enrolled, gallery, model, naive};

const SECRET: [u8; 32] = [0x5e; 32];
const MODES: [Mode; 3] = [Mode::Exhaustive, Mode::Certified, Mode::SKETCH];
const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::F16, Precision::I8];

fn builder(dimension: usize, precision: Precision) -> GalleryBuilder {
    Gallery::builder(model(), dimension).precision(precision)
}

/// Writes a file of these templates, as one does that has them one after the other.
fn write(builder: GalleryBuilder, path: &Path, people: &[Enrolled], tag: &[u8]) {
    let mut file = builder.create_file(path, &SECRET).unwrap();
    for people in people.chunks(700) {
        let enrolments: Vec<_> =
            people.iter().map(|e| Enrolment { subject: e.subject, id: e.id, template: &e.template }).collect();
        file.extend(&enrolments).unwrap();
    }
    file.finish(tag).unwrap();
}

/// That both find the same, to the bit, in every way that one can ask.
fn assert_equal(on_file: &Snapshot, in_memory: &Snapshot, probes: &[Template]) {
    let some: SubjectFilter = (0..4000).step_by(3).map(SubjectId).collect();
    assert_eq!(on_file.len(), in_memory.len());
    for mode in MODES {
        for (k, threshold) in [(1, 0.4), (50, 0.2), (7, -1.0), (20, 0.05)] {
            for (parallel, filter) in [(false, None), (true, None), (false, Some(&some)), (true, Some(&some))] {
                let options = SearchOptions { mode, threshold, parallel, filter, ..SearchOptions::new(k) };
                let found = on_file.search_batch(probes, &options).unwrap();
                let expected = in_memory.search_batch(probes, &options).unwrap();
                for ((found, expected), probe) in found.iter().zip(&expected).zip(probes) {
                    assert_eq!(found.candidates, expected.candidates, "{mode:?} {k} {threshold} {parallel}");
                    assert_eq!(found.completeness, Completeness::Complete);
                    assert_eq!(found.candidates, on_file.search(probe, &options).unwrap().candidates);
                }
            }
        }
    }
}

#[test]
fn a_gallery_on_file_finds_what_one_in_memory_finds_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(50);
    for (dimension, count) in [(512, 1500), (200, 3001), (128, 9000), (17, 70), (64, 0)] {
        let people = enrolled(&mut random, count, dimension, 2);
        let mut probes: Vec<_> = (0..3).map(|_| random.template(dimension)).collect();
        if let Some(known) = people.get(count / 2) {
            probes.push(random.mate(&known.template, 0.6));
        }
        for (precision, certified) in PRECISIONS.into_iter().zip([true, false, false]) {
            let builder = builder(dimension, precision).certified_codes(certified);
            let path = folder.path().join("people.gallery");
            write(builder.clone(), &path, &people, b"a tag");
            let (on_file, tag) = builder.clone().open_file(&path, &SECRET).unwrap();
            assert_eq!(tag, b"a tag");
            let in_memory = gallery(builder, &people);
            assert_eq!(on_file.subjects(), in_memory.subjects());
            if count > 0 {
                assert_equal(&on_file.snapshot(), &in_memory.snapshot(), &probes);
                let memory = on_file.memory();
                assert_eq!((memory.rows, memory.codes), (0, in_memory.memory().codes));
            } else {
                assert_eq!(on_file.search(&probes[0], &SearchOptions::new(1)).unwrap_err(), GalleryError::Empty);
            }
        }
    }
}

#[test]
fn every_kernel_reads_the_file_that_another_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(51);
    for (dimension, budget) in [(512, 64), (100, 16), (128, 64), (256, 64)] {
        let people = enrolled(&mut random, 2000, dimension, 1);
        let probes = [random.mate(&people[700].template, 0.5), random.template(dimension)];
        let builder = builder(dimension, Precision::I8).code_budget(budget);
        let in_memory = gallery(builder.clone(), &people).snapshot();
        for writing in Kernel::available() {
            let path = folder.path().join("people.gallery");
            write(builder.clone().kernel(writing), &path, &people, b"");
            for reading in Kernel::available() {
                let (on_file, _) = builder.clone().kernel(reading).open_file(&path, &SECRET).unwrap();
                assert_equal(&on_file.snapshot(), &in_memory, &probes);
            }
        }
    }
}

/// A model of a gallery: what is in it, in a list.
struct Both {
    on_file: Gallery,
    in_memory: Gallery,
    list: Vec<Enrolled>,
}

impl Both {
    fn each<T: PartialEq + std::fmt::Debug>(&self, work: impl Fn(&Gallery) -> T) -> T {
        let [found, expected] = [&self.on_file, &self.in_memory].map(work);
        assert_eq!(found, expected);
        found
    }
}

#[test]
fn what_comes_and_goes_after_the_file_was_opened_is_found_and_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.gallery");
    let mut random = Random(52);
    let dimension = 64;
    for parallel in [true, false] {
        let settings = || builder(dimension, Precision::F32).parallel(parallel);
        let people = enrolled(&mut random, 1200, dimension, 3);
        write(settings(), &path, &people, b"");
        let (on_file, _) = settings().open_file(&path, &SECRET).unwrap();
        let mut both = Both { on_file, in_memory: gallery(settings(), &people), list: people };
        for round in 0..300 {
            let (subject, id) = (SubjectId(random.next() % 500), TemplateId(random.next() % 1600));
            let template = random.template(dimension);
            let known = both.list.iter().position(|e| e.id == id);
            match round % 5 {
                0 => match both.each(|gallery| gallery.revoke(subject)) {
                    Ok(count) => {
                        both.list.retain(|e| e.subject != subject);
                        assert!((1..10).contains(&count));
                    }
                    Err(error) => assert_eq!(error, GalleryError::UnknownSubject { subject }),
                },
                1 => match both.each(|gallery| gallery.remove(id)) {
                    Ok(subject) => assert_eq!(both.list.swap_remove(known.unwrap()).subject, subject),
                    Err(error) => assert_eq!((error, known), (GalleryError::UnknownTemplate { template: id }, None)),
                },
                2 => {
                    let new = TemplateId(10_000 + round);
                    if both.each(|gallery| gallery.replace(id, new, &template)).is_ok() {
                        let subject = both.list.swap_remove(known.unwrap()).subject;
                        both.list.push(Enrolled { subject, id: new, template });
                    }
                }
                _ => match both.each(|gallery| gallery.add(subject, id, &template)) {
                    Ok(()) => both.list.push(Enrolled { subject, id, template }),
                    Err(error) => {
                        assert_eq!(error, GalleryError::DuplicateTemplate { template: id });
                        assert!(known.is_some());
                    }
                },
            }
            both.each(Gallery::len);
            both.each(Gallery::subjects);
            both.each(|gallery| gallery.contains(id));
            if round % 50 == 49 {
                let probe = random.mate(&both.list[7].template, 0.7);
                assert_equal(&both.on_file.snapshot(), &both.in_memory.snapshot(), std::slice::from_ref(&probe));
                for mode in MODES {
                    let options = SearchOptions { mode, ..SearchOptions::new(40) };
                    let found = both.on_file.search(&probe, &options).unwrap().candidates;
                    assert_same(&found, &naive(&both.list, &probe, 40, -1.0));
                }
            }
            if round == 200 {
                both.on_file.compact().unwrap();
                both.in_memory.compact().unwrap();
            }
        }
        // What is left goes into another file, the one before being open still.
        both.on_file.write_file(&path, &SECRET, b"again").unwrap();
        let (again, tag) = settings().open_file(&path, &SECRET).unwrap();
        assert_eq!(tag, b"again");
        assert_eq!((again.len(), again.subjects()), (both.list.len(), both.in_memory.subjects()));
        let probes = [random.template(dimension), random.mate(&both.list[3].template, 0.6)];
        assert_equal(&again.snapshot(), &both.in_memory.snapshot(), &probes);
        assert_equal(&both.on_file.snapshot(), &both.in_memory.snapshot(), &probes);
    }
}

#[test]
fn a_gallery_in_memory_is_written_whatever_the_order_of_its_templates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.gallery");
    let mut random = Random(53);
    for precision in PRECISIONS {
        let mut people = enrolled(&mut random, 3000, 96, 1);
        people.reverse();
        let in_memory = gallery(builder(96, precision), &people);
        in_memory.revoke(SubjectId(77)).unwrap();
        in_memory.write_file(&path, &SECRET, b"").unwrap();
        let (on_file, _) = builder(96, precision).open_file(&path, &SECRET).unwrap();
        assert!(!on_file.contains(TemplateId(77)));
        assert_equal(&on_file.snapshot(), &in_memory.snapshot(), &[random.mate(&people[5].template, 0.6)]);
    }
}

#[test]
fn duplicates_are_found_across_the_file_and_what_came_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.gallery");
    let mut random = Random(54);
    let people = enrolled(&mut random, 300, 64, 1);
    write(builder(64, Precision::F32), &path, &people[..200], b"");
    let (on_file, _) = builder(64, Precision::F32).open_file(&path, &SECRET).unwrap();
    let in_memory = gallery(builder(64, Precision::F32), &people);
    for e in &people[200..] {
        on_file.add(e.subject, e.id, &e.template).unwrap();
    }
    let twin = random.mate(&people[20].template, 0.9);
    for gallery in [&on_file, &in_memory] {
        gallery.add(SubjectId(900), TemplateId(900), &twin).unwrap();
    }
    for mode in MODES {
        let options = SearchOptions { mode, threshold: 0.3, ..SearchOptions::new(100) };
        let pairs = |gallery: &Gallery| {
            let snapshot = gallery.snapshot();
            let blocks = snapshot.duplicates(&options, None).unwrap();
            let mut pairs: Vec<_> = blocks.flat_map(|block| block.unwrap().pairs).collect();
            pairs.sort_by_key(|pair| (pair.template, pair.other.template));
            pairs
        };
        let found = pairs(&on_file);
        assert!(found.iter().any(|pair| pair.template.0 == 900 && pair.other.template.0 == 20));
        assert_eq!(found, pairs(&in_memory));
    }
}

#[test]
fn a_search_that_has_no_time_to_read_its_rows_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.gallery");
    let mut random = Random(55);
    let people = enrolled(&mut random, 5000, 64, 1);
    write(builder(64, Precision::I8), &path, &people, b"");
    let (on_file, _) = builder(64, Precision::I8).open_file(&path, &SECRET).unwrap();
    let probe = random.mate(&people[5].template, 0.6);
    let (cancel, now) = (AtomicBool::new(true), Instant::now());
    let asked = SearchOptions { mode: Mode::SKETCH, threshold: 0.2, ..SearchOptions::new(10) };
    let stopped = |outcome: SearchOutcome| outcome.completeness == Completeness::Partial { scanned: 0, total: 5000 };
    for parallel in [false, true] {
        let asked = SearchOptions { parallel, ..asked };
        assert!(stopped(on_file.search(&probe, &SearchOptions { cancel: Some(&cancel), ..asked }).unwrap()));
        assert!(stopped(on_file.search(&probe, &SearchOptions { deadline: Some(now), ..asked }).unwrap()));
        let whole = on_file.search(&probe, &asked).unwrap();
        assert!(whole.is_complete() && whole.stats.rows_read > 0 && whole.stats.rows_read < 500, "{whole:?}");
    }
}

#[test]
fn a_file_may_be_renamed_or_deleted_while_its_gallery_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.gallery");
    let mut random = Random(56);
    let people = enrolled(&mut random, 300, 64, 1);
    write(builder(64, Precision::F32), &path, &people, b"");
    let (on_file, _) = builder(64, Precision::F32).open_file(&path, &SECRET).unwrap();
    std::fs::remove_file(&path).unwrap();
    write(builder(64, Precision::F32), &path, &people[..10], b"");
    let options = SearchOptions { mode: Mode::Exhaustive, ..SearchOptions::new(300) };
    let found = on_file.search(&people[0].template, &options).unwrap().candidates;
    assert_same(&found, &naive(&people, &people[0].template, 300, -1.0));
}

#[test]
fn templates_of_a_file_come_in_the_order_of_their_ids_and_the_tag_is_short() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.gallery");
    let template = Random(57).template(20);
    let create = || builder(20, Precision::I8).create_file(&path, &SECRET).unwrap();
    let enrolment = |id| Enrolment { subject: SubjectId(1), id: TemplateId(id), template: &template };
    let mut file = create();
    file.extend(&[enrolment(5)]).unwrap();
    for wrong in [5, 4] {
        let refused = file.extend(&[enrolment(wrong)]).unwrap_err();
        assert!(matches!(refused, GalleryFileError::Order { template, after }
            if template == TemplateId(wrong) && after == TemplateId(5)));
    }
    // What was refused changed nothing.
    file.extend(&[enrolment(6)]).unwrap();
    file.finish(&[7; 4096]).unwrap();
    let (gallery, tag) = builder(20, Precision::I8).open_file(&path, &SECRET).unwrap();
    assert_eq!((gallery.len(), gallery.subjects(), tag), (2, 1, vec![7; 4096]));
    assert!(matches!(create().finish(&[7; 4097]), Err(GalleryFileError::Tag { found: 4097, most: 4096 })));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_memory_limit_counts_what_a_file_brings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.gallery");
    let mut random = Random(58);
    let people = enrolled(&mut random, 1000, 64, 1);
    write(builder(64, Precision::F32), &path, &people, b"");
    let refused = builder(64, Precision::F32).memory_limit(50_000).open_file(&path, &SECRET).map(|_| ()).unwrap_err();
    assert!(matches!(refused, GalleryFileError::Gallery(GalleryError::MemoryLimit { limit: 50_000, .. })));
    let (on_file, _) = builder(64, Precision::F32).memory_limit(200_000).open_file(&path, &SECRET).unwrap();
    let added = (2000..9000).take_while(|i| on_file.add(SubjectId(*i), TemplateId(*i), &people[0].template).is_ok());
    assert!((1..500).contains(&added.count()));
    assert!(on_file.memory().total() <= 200_000, "{:?}", on_file.memory());
}
