//! Writers that unwind half-way: what they wrote belongs to no subject, and all other subjects keep their own row.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use clearlane_template::{ModelId, SubjectId, Template, TemplateId};

use super::{FIRST_ROWS, Gallery, Owner, Precision, Segment};
use crate::kernel::BLOCK;
use crate::{GalleryError, Mode, SearchOptions};

const D: usize = 20;

fn model() -> ModelId {
    ModelId::from_bytes([3; 32])
}

/// The template of an id: no two have nearly the same direction.
fn face(id: u64) -> Template {
    let value = |d: u64| {
        let z = (id * D as u64 + d + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (z >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    Template::normalised(model(), (0..D as u64).map(value).collect()).unwrap()
}

fn add(gallery: &Gallery, ids: std::ops::Range<u64>) {
    for id in ids {
        gallery.add(SubjectId(id), TemplateId(id), &face(id)).unwrap();
    }
}

/// Appends templates of these ids until the vector of one of them is asked for, and unwinds.
fn unwind(gallery: &Gallery, ids: std::ops::Range<u64>, at: usize) {
    let owners: Vec<_> = ids.clone().map(|id| Owner { subject: SubjectId(id), template: TemplateId(id) }).collect();
    let faces: Vec<_> = ids.map(face).collect();
    let append =
        || gallery.append(&owners, |row| if row == at { resume_unwind(Box::new(())) } else { faces[row].as_slice() });
    assert!(catch_unwind(AssertUnwindSafe(append)).is_err());
}

/// That the gallery has these templates and no others, each with its own identity and score.
fn check(gallery: &Gallery, ids: impl Iterator<Item = u64>) {
    let snapshot = gallery.snapshot();
    let ids: Vec<u64> = ids.collect();
    let count = ids.len();
    assert_eq!((snapshot.len(), gallery.subjects()), (count, count));
    let probes: Vec<_> = ids.iter().copied().map(face).collect();
    for mode in [Mode::Exhaustive, Mode::Certified, Mode::SKETCH] {
        let options = SearchOptions { mode, threshold: 0.9, ..SearchOptions::new(1) };
        for (&id, outcome) in ids.iter().zip(snapshot.search_batch(&probes, &options).unwrap()) {
            let best = outcome.candidates[0];
            assert_eq!((best.subject, best.template), (SubjectId(id), TemplateId(id)));
            assert!(best.score > 0.999, "{best:?}");
            assert!(outcome.is_complete());
        }
    }
    let everybody = snapshot.search(&probes[0], &SearchOptions::new(count + 10)).unwrap().candidates;
    assert_eq!(everybody.len(), count);
}

#[test]
fn an_append_that_unwinds_leaves_every_earlier_and_later_template_its_identity_and_score() {
    for precision in [Precision::F32, Precision::F16, Precision::I8] {
        for before in [0, 1, 31, 32, 50] {
            for at in [0, 1, BLOCK - 1, BLOCK, 70, 99] {
                let gallery = Gallery::builder(model(), D).precision(precision).build().unwrap();
                add(&gallery, 0..before);
                unwind(&gallery, 1000..1100, at);
                assert_eq!(gallery.len() as u64, before);
                assert!(!gallery.contains(TemplateId(1000)));
                assert_eq!(
                    gallery.remove(TemplateId(1000)),
                    Err(GalleryError::UnknownTemplate { template: TemplateId(1000) })
                );
                add(&gallery, before..before + 40);
                // An id that was not taken in is free.
                add(&gallery, 1000..1001);
                check(&gallery, (0..before + 40).chain([1000]));
                gallery.revoke(SubjectId(before)).unwrap();
                gallery.replace(TemplateId(1000), TemplateId(before), &face(before)).unwrap();
                assert_eq!(gallery.remove(TemplateId(before)), Ok(SubjectId(1000)));
                check(&gallery, (0..before + 40).filter(|id| *id != before));
            }
        }
    }
}

#[test]
fn an_append_over_several_segments_that_unwinds_leaves_nothing_in_any_of_them() {
    let first = FIRST_ROWS as u64;
    let gallery = Gallery::builder(model(), D).build().unwrap();
    add(&gallery, 0..first - 3);
    for at in [1, 3, 4, 2 * FIRST_ROWS - 1] {
        unwind(&gallery, 3 * first..5 * first, at);
    }
    add(&gallery, first - 3..first + 100);
    unwind(&gallery, 3 * first..5 * first, 500);
    add(&gallery, first + 100..first + 200);
    check(&gallery, 0..first + 200);
    gallery.revoke(SubjectId(7)).unwrap();
    gallery.compact().unwrap();
    check(&gallery, (0..first + 200).filter(|id| *id != 7));
}

#[test]
fn a_copy_that_unwinds_is_written_over() {
    let gallery = Gallery::builder(model(), D).precision(Precision::I8).build().unwrap();
    add(&gallery, 0..100);
    let snapshot = gallery.snapshot();
    let old = snapshot.segments().next().unwrap().1.segment;
    let copy = Segment::with_capacity(&gallery.shape, 9, 100).unwrap();
    let broken = (0..100).map(|row| if row == 37 { resume_unwind(Box::new(())) } else { (old, 99 - row) });
    assert!(catch_unwind(AssertUnwindSafe(|| copy.copy(&gallery.shape, 0, broken))).is_err());
    assert_eq!((copy.written(), copy.owners.as_slice().len()), (0, 0));
    copy.copy(&gallery.shape, 0, (0..100).map(|row| (old, row)));
    copy.publish(100);
    let mut rows = [[0; D + 4]; 2];
    for row in 0..100 {
        copy.encode_row(row, &mut rows[0]);
        old.encode_row(row, &mut rows[1]);
        assert_eq!((copy.owners.as_slice()[row], rows[0]), (old.owners.as_slice()[row], rows[1]));
    }
}
