//! What comes and goes, and who sees it.

#![allow(clippy::unwrap_used, reason = "a test fails where there is nothing to unwrap")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clearlane_match::{
    Completeness, Enrolment, Gallery, GalleryError, Margin, Mode, Precision, SearchOptions, SubjectFilter,
};
use clearlane_template::{ModelId, SubjectId, Template, TemplateId};
use support::{Random, assert_same, enrolled, gallery, model, naive};

const D: usize = 48;
const MODES: [Mode; 3] = [Mode::Exhaustive, Mode::Certified, Mode::SKETCH];

fn all(k: usize, mode: Mode) -> SearchOptions<'static> {
    SearchOptions { mode, ..SearchOptions::new(k) }
}

#[test]
fn candidates_are_the_k_best_subjects_of_a_naive_sort() {
    let mut random = Random(1);
    let people = enrolled(&mut random, 3000, D, 3);
    let gallery = gallery(Gallery::builder(model(), D), &people);
    for k in [1, 2, 10, 100, 5000] {
        let probe = random.mate(&people[k % 3000].template, 0.7);
        for threshold in [-1.0, 0.0, 0.3] {
            for parallel in [false, true] {
                let options = SearchOptions { threshold, parallel, ..all(k, Mode::Exhaustive) };
                let outcome = gallery.search(&probe, &options).unwrap();
                assert_same(&outcome.candidates, &naive(&people, &probe, k, threshold));
                assert!(outcome.is_complete());
            }
        }
    }
}

#[test]
fn a_subject_with_several_templates_is_one_candidate_with_its_best_score() {
    let mut random = Random(2);
    let face = random.template(D);
    let people = gallery(Gallery::builder(model(), D), &[]);
    for (id, score) in [(1, 0.5), (2, 0.9), (3, 0.7)] {
        people.add(SubjectId(7), TemplateId(id), &random.mate(&face, score)).unwrap();
    }
    people.add(SubjectId(8), TemplateId(4), &random.mate(&face, 0.8)).unwrap();
    for mode in MODES {
        let outcome = people.search(&face, &all(10, mode)).unwrap();
        let found: Vec<_> = outcome.candidates.iter().map(|c| (c.subject.0, c.template.0)).collect();
        assert_eq!(found, [(7, 2), (8, 4)]);
        assert!(matches!(outcome.margin(), Some(Margin::Exact(m)) if (m - 0.1).abs() < 1e-3));
    }
    assert_eq!((people.len(), people.subjects()), (4, 2));
}

#[test]
fn equal_scores_are_ordered_by_template_id() {
    let mut random = Random(3);
    let face = random.template(D);
    let people = Gallery::builder(model(), D).build().unwrap();
    for id in [40, 10, 30, 20] {
        people.add(SubjectId(100 - id), TemplateId(id), &face).unwrap();
    }
    for mode in MODES {
        let outcome = people.search(&face, &all(3, mode)).unwrap();
        assert_eq!(outcome.candidates.iter().map(|c| c.template.0).collect::<Vec<_>>(), [10, 20, 30]);
    }
}

#[test]
fn revoked_subject_is_never_a_candidate() {
    let mut random = Random(4);
    let people = enrolled(&mut random, 200, D, 2);
    let gallery = gallery(Gallery::builder(model(), D), &people);
    let before = gallery.snapshot();
    for subject in 0..100 {
        assert_eq!(gallery.revoke(SubjectId(subject)).unwrap(), 2);
        assert_eq!(gallery.len(), 198 - 2 * subject as usize);
        let probe = &people[2 * subject as usize].template;
        for mode in MODES {
            match gallery.search(probe, &all(200, mode)) {
                Ok(outcome) => assert!(outcome.candidates.iter().all(|c| c.subject.0 > subject)),
                Err(error) => assert!(subject == 99 && error == GalleryError::Empty),
            }
            assert_eq!(
                before.search(probe, &all(200, mode)).unwrap().candidates.len(),
                100,
                "the older snapshot stands"
            );
        }
    }
    assert_eq!(gallery.revoke(SubjectId(3)), Err(GalleryError::UnknownSubject { subject: SubjectId(3) }));
}

#[test]
fn a_search_sees_the_old_template_or_the_new_one_and_never_both_or_neither() {
    let mut random = Random(5);
    let face = random.template(D);
    let people = Gallery::builder(model(), D).build().unwrap();
    people.add(SubjectId(1), TemplateId(0), &face).unwrap();
    people.add(SubjectId(2), TemplateId(u64::MAX), &random.mate(&face, 0.1)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for id in 0..2000 {
                people.replace(TemplateId(id), TemplateId(id + 1), &face).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        let mut last = 0;
        while !done.load(Ordering::Relaxed) {
            let outcome = people.search(&face, &all(5, Mode::SKETCH)).unwrap();
            assert_eq!(outcome.candidates.len(), 2);
            assert_eq!(outcome.candidates[0].subject, SubjectId(1));
            assert!(outcome.candidates[0].template.0 >= last, "versions go forward");
            last = outcome.candidates[0].template.0;
        }
    });
    assert_eq!(people.len(), 2);
}

#[test]
fn removing_a_template_leaves_the_subjects_others() {
    let mut random = Random(6);
    let people = enrolled(&mut random, 6, D, 3);
    let gallery = gallery(Gallery::builder(model(), D), &people);
    assert_eq!(gallery.remove(TemplateId(1)), Ok(SubjectId(0)));
    assert_eq!(gallery.remove(TemplateId(1)), Err(GalleryError::UnknownTemplate { template: TemplateId(1) }));
    assert!(gallery.contains(TemplateId(0)) && !gallery.contains(TemplateId(1)));
    assert_eq!(gallery.revoke(SubjectId(0)), Ok(2));
    assert_eq!((gallery.len(), gallery.subjects()), (3, 1));
}

#[test]
fn only_subjects_that_the_filter_lets_through_are_found() {
    let mut random = Random(7);
    let people = enrolled(&mut random, 500, D, 1);
    let gallery = gallery(Gallery::builder(model(), D), &people);
    let filter: SubjectFilter = (0..500).filter(|s| s % 3 == 0).map(SubjectId).collect();
    let allowed: Vec<_> = people.into_iter().filter(|e| filter.contains(e.subject)).collect();
    for mode in MODES {
        let probe = random.template(D);
        let options = SearchOptions { filter: Some(&filter), ..all(20, mode) };
        assert_same(&gallery.search(&probe, &options).unwrap().candidates, &naive(&allowed, &probe, 20, -1.0));
    }
}

#[test]
fn a_search_that_has_to_stop_says_how_far_it_came() {
    let mut random = Random(8);
    let people = enrolled(&mut random, 3000, D, 1);
    let gallery = gallery(Gallery::builder(model(), D), &people);
    let probe = random.template(D);
    let cancel = AtomicBool::new(true);
    let stopping = [
        SearchOptions { deadline: Some(Instant::now()), ..SearchOptions::new(1) },
        SearchOptions { cancel: Some(&cancel), ..SearchOptions::new(1) },
    ];
    for options in stopping {
        for mode in MODES {
            let outcome = gallery.search(&probe, &SearchOptions { mode, ..options }).unwrap();
            assert_eq!(outcome.completeness, Completeness::Partial { scanned: 0, total: 3000 });
            assert!(outcome.candidates.is_empty());
        }
    }
}

#[test]
fn compaction_gives_back_what_withdrawn_rows_take_and_changes_no_answer() {
    let mut random = Random(13);
    let people = enrolled(&mut random, 9000, D, 2);
    let gallery = gallery(Gallery::builder(model(), D), &people);
    let gone = |subject: u64| subject.is_multiple_of(3);
    for subject in (0..4500).filter(|subject| gone(*subject)) {
        gallery.revoke(SubjectId(subject)).unwrap();
    }
    let left: Vec<_> = people.into_iter().filter(|e| !gone(e.subject.0)).collect();
    let before = (gallery.snapshot(), gallery.memory());
    let compaction = gallery.compact().unwrap();
    assert_eq!((compaction.rows_before, compaction.rows_after), (9000, 6000));
    let after = gallery.memory();
    assert!(before.1.withdrawn > 0 && after.withdrawn == 0 && after.rows * 3 == before.1.rows * 2);
    for i in 0..20 {
        let probe = random.mate(&left[i * 100].template, 0.8);
        for mode in MODES {
            let expected = naive(&left, &probe, 10, -1.0);
            assert_same(&gallery.search(&probe, &all(10, mode)).unwrap().candidates, &expected);
            assert_same(&before.0.search(&probe, &all(10, mode)).unwrap().candidates, &expected);
        }
    }
    gallery.revoke(left[0].subject).unwrap();
    gallery.replace(left[2].id, TemplateId(100_000), &left[0].template).unwrap();
    let outcome = gallery.search(&left[0].template, &all(1, Mode::Certified)).unwrap();
    assert_eq!(outcome.candidates[0].template, TemplateId(100_000));
    assert_eq!(gallery.compact().unwrap().rows_after, gallery.len());
}

#[test]
fn withdrawn_rows_are_given_back_once_they_take_a_quarter_of_the_memory() {
    let (mut random, dimension) = (Random(17), 512);
    let people = enrolled(&mut random, 30_000, dimension, 1);
    let gallery = gallery(Gallery::builder(model(), dimension), &people);
    let mut subjects = people.iter().map(|enrolment| enrolment.subject);
    while !gallery.memory().is_wasteful() {
        assert_eq!(gallery.tidy().unwrap(), None);
        for subject in subjects.by_ref().take(500) {
            gallery.revoke(subject).unwrap();
        }
    }
    let (memory, left) = (gallery.memory(), gallery.len());
    assert!(memory.withdrawn > 16 << 20 && memory.withdrawn * 4 > memory.total() && left > 15_000, "{memory:?}");
    let compaction = gallery.tidy().unwrap().unwrap();
    assert_eq!((compaction.rows_before, compaction.rows_after), (30_000, left));
    assert_eq!((gallery.memory().withdrawn, gallery.tidy().unwrap()), (0, None));
}

#[test]
fn searches_stay_right_beside_writers_and_compaction() {
    let mut random = Random(14);
    let people = enrolled(&mut random, 4000, D, 1);
    let gallery = gallery(Gallery::builder(model(), D), &people[..2000]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (old, new) in people[..1900].iter().zip(&people[2000..]) {
                gallery.add(new.subject, new.id, &new.template).unwrap();
                gallery.revoke(old.subject).unwrap();
                assert_eq!(gallery.len(), 2000);
            }
            done.store(true, Ordering::Relaxed);
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                gallery.compact().unwrap();
            }
        });
        let mut probe = 0;
        while !done.load(Ordering::Relaxed) {
            probe = (probe + 7) % 4000;
            let snapshot = gallery.snapshot();
            let answers = MODES.map(|mode| snapshot.search(&people[probe].template, &all(5, mode)).unwrap().candidates);
            assert_eq!(answers[0], answers[1]);
            assert_eq!(answers[0], answers[2]);
            assert!((2000..=2001).contains(&snapshot.len()));
            let always = &people[1950];
            let found = snapshot.search(&always.template, &all(1, Mode::SKETCH)).unwrap();
            assert_eq!(found.candidates[0].subject, always.subject);
        }
    });
    gallery.compact().unwrap();
    let left: Vec<_> =
        people.into_iter().enumerate().filter(|(i, _)| (1900..3900).contains(i)).map(|(_, e)| e).collect();
    assert_eq!(gallery.len(), left.len());
    let probe = random.template(D);
    for mode in MODES {
        let found = gallery.search(&probe, &all(2000, mode)).unwrap().candidates;
        assert_same(&found, &naive(&left, &probe, 2000, -1.0));
    }
}

#[test]
fn many_added_at_once_are_found_like_those_added_singly() {
    let mut random = Random(15);
    let people = enrolled(&mut random, 5000, D, 1);
    let enrolments: Vec<_> =
        people.iter().map(|e| Enrolment { subject: e.subject, id: e.id, template: &e.template }).collect();
    let listed = Gallery::builder(model(), D).build().unwrap();
    listed.extend(&enrolments).unwrap();
    let rows = Gallery::builder(model(), D).build().unwrap();
    rows.try_reserve(5000).unwrap();
    let ids: Vec<_> = people.iter().map(|e| (e.subject, e.id)).collect();
    let values: Vec<f32> = people.iter().flat_map(|e| e.template.as_slice()).copied().collect();
    rows.extend_rows(&ids[..3333], &values[..3333 * D]).unwrap();
    rows.extend_rows(&ids[3333..], &values[3333 * D..]).unwrap();
    let probe = random.mate(&people[4321].template, 0.7);
    for mode in MODES {
        for gallery in [&listed, &rows] {
            let found = gallery.search(&probe, &all(20, mode)).unwrap().candidates;
            assert_same(&found, &naive(&people, &probe, 20, -1.0));
        }
    }
    let mut broken = values[..3 * D].to_vec();
    broken[D + 5] = f32::NAN;
    let ids = [10_000, 10_001, 10_002].map(|id| (SubjectId(id), TemplateId(id)));
    assert!(matches!(rows.extend_rows(&ids, &broken), Err(GalleryError::Row { row: 1, .. })));
    assert!(matches!(rows.extend_rows(&ids, &broken[1..]), Err(GalleryError::Matrix { .. })));
    assert_eq!(rows.len(), 5000);
}

#[test]
fn the_margin_is_over_the_next_subject() {
    let mut random = Random(9);
    let face = random.template(D);
    let people = Gallery::builder(model(), D).build().unwrap();
    people.add(SubjectId(1), TemplateId(1), &random.mate(&face, 0.8)).unwrap();
    people.add(SubjectId(1), TemplateId(2), &random.mate(&face, 0.79)).unwrap();
    let options = SearchOptions { threshold: 0.3, ..SearchOptions::new(2) };
    let alone = people.search(&face, &options).unwrap().margin();
    assert!(matches!(alone, Some(Margin::MoreThan(m)) if (m - 0.5).abs() < 1e-3), "{alone:?}");
    assert_eq!(
        people.search(&face, &SearchOptions { threshold: 0.3, ..SearchOptions::new(1) }).unwrap().margin(),
        None
    );
    assert_eq!(people.search(&face, &SearchOptions { threshold: 0.9, ..options }).unwrap().margin(), None);
}

#[test]
fn bad_input_is_refused_and_changes_nothing() {
    let mut random = Random(10);
    let face = random.template(D);
    let people = Gallery::builder(model(), D).build().unwrap();
    assert_eq!(people.search(&face, &SearchOptions::new(1)).unwrap_err(), GalleryError::Empty);
    people.add(SubjectId(1), TemplateId(1), &face).unwrap();

    let other = Template::from_unit(ModelId::digest([b"another".as_slice()]), face.as_slice().to_vec()).unwrap();
    let short = random.template(D - 1);
    assert!(matches!(people.add(SubjectId(2), TemplateId(2), &other), Err(GalleryError::OtherModel { .. })));
    assert!(matches!(people.add(SubjectId(2), TemplateId(2), &short), Err(GalleryError::OtherDimension { .. })));
    assert!(matches!(people.search(&other, &SearchOptions::new(1)), Err(GalleryError::OtherModel { .. })));
    assert!(matches!(people.search(&short, &SearchOptions::new(1)), Err(GalleryError::OtherDimension { .. })));
    let twice = GalleryError::DuplicateTemplate { template: TemplateId(1) };
    assert_eq!(people.add(SubjectId(2), TemplateId(1), &face).unwrap_err(), twice);
    assert_eq!(people.replace(TemplateId(1), TemplateId(1), &face).unwrap_err(), twice);
    let new = |id| Enrolment { subject: SubjectId(9), id: TemplateId(id), template: &face };
    let twice = GalleryError::DuplicateTemplate { template: TemplateId(5) };
    assert_eq!(people.extend(&[new(5), new(6), new(5)]).unwrap_err(), twice);
    assert_eq!(people.search(&face, &SearchOptions::new(0)).unwrap_err(), GalleryError::NoCandidatesAskedFor);
    for threshold in [f32::NAN, 1.5, -1.01, f32::INFINITY] {
        let options = SearchOptions { threshold, ..SearchOptions::new(1) };
        assert!(matches!(people.search(&face, &options), Err(GalleryError::Threshold { .. })));
    }
    for miss in [0.0, 0.5, f64::NAN, -1.0] {
        let options = SearchOptions { mode: Mode::Sketch { miss }, ..SearchOptions::new(1) };
        assert!(matches!(people.search(&face, &options), Err(GalleryError::Miss { .. })));
    }
    assert!(matches!(Gallery::builder(model(), 0).build(), Err(GalleryError::Dimension { .. })));
    assert!(matches!(Gallery::builder(model(), 5000).build(), Err(GalleryError::Dimension { .. })));
    assert_eq!((people.len(), people.subjects()), (1, 1));
}

#[test]
fn a_gallery_does_not_grow_beyond_its_memory_limit() {
    let mut random = Random(11);
    let people = Gallery::builder(model(), D).memory_limit(100_000).build().unwrap();
    let added =
        (0..10_000).take_while(|i| people.add(SubjectId(*i), TemplateId(*i), &random.template(D)).is_ok()).count();
    assert!((200..600).contains(&added), "{added}");
    assert!(people.memory().total() <= 100_000, "{:?}", people.memory());
    let refused = people.add(SubjectId(0), TemplateId(u64::MAX), &random.template(D));
    assert!(matches!(refused, Err(GalleryError::MemoryLimit { limit: 100_000, .. })));
    assert_eq!(people.len(), added);
}

#[test]
fn smaller_precisions_keep_scores_within_what_they_state() {
    let mut random = Random(12);
    for dimension in [1, 63, 64, 65, 128, 200] {
        let people = enrolled(&mut random, 300, dimension, 1);
        let probe = random.template(dimension);
        for (precision, stated) in [(Precision::F32, 1e-6), (Precision::F16, 5e-4), (Precision::I8, 0.0)] {
            let gallery = gallery(Gallery::builder(model(), dimension).precision(precision), &people);
            let outcome = gallery.search(&probe, &all(300, Mode::Exhaustive)).unwrap();
            assert_eq!(outcome.candidates.len(), 300);
            for candidate in outcome.candidates {
                let stored = &people[candidate.template.0 as usize].template;
                let largest = stored.as_slice().iter().fold(0.0_f32, |m, v| m.max(v.abs()));
                let stated = if precision == Precision::I8 {
                    0.5 * (dimension as f32).sqrt() / 127.0 * largest + 1e-6
                } else {
                    stated
                };
                let error = (candidate.score - stored.score(&probe).unwrap()).abs();
                assert!(error <= stated, "{precision:?} at {dimension}: {error} > {stated}");
            }
        }
    }
}
