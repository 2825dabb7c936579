//! What the modes promise, against an exhaustive search and against a naive one.

#![allow(clippy::unwrap_used, reason = "a test fails where there is nothing to unwrap")]

mod support;

use clearlane_match::{Gallery, Kernel, Mode, Precision, SearchOptions};
use clearlane_template::{SubjectId, Template, TemplateId};
use proptest::prelude::*;
use support::{Enrolled, Random, assert_same, enrolled, gallery, model, naive, off_unit};

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::F16, Precision::I8];

/// That a certified search gives the list of an exhaustive one, for several thresholds, numbers of candidates and threads.
fn check_certified(gallery: &Gallery, probe: &Template) {
    for threshold in [-1.0, 0.0, 0.2, 0.6, 0.95, 1.0] {
        for k in [1, 7, 400] {
            let exhaustive = SearchOptions { threshold, mode: Mode::Exhaustive, ..SearchOptions::new(k) };
            let expected = gallery.search(probe, &exhaustive).unwrap().candidates;
            for parallel in [false, true] {
                let certified = SearchOptions { mode: Mode::Certified, parallel, ..exhaustive };
                assert_eq!(gallery.search(probe, &certified).unwrap().candidates, expected, "{threshold} {k}");
            }
        }
    }
}

/// Entries that a bound could fail on: near ties, duplicates, antipodes, mates at all scores, axes, and sign patterns, on
/// which one-bit codes are exact or as bad as they get.
fn adversarial(random: &mut Random, probe: &Template, count: usize) -> Vec<Enrolled> {
    let dimension = probe.dimension();
    let unit = |values: Vec<f32>| Template::normalised(model(), values).unwrap();
    let mut face = random.template(dimension);
    (0..count)
        .map(|i| {
            let template = match i % 8 {
                0 => random.mate(probe, 0.6 + 1e-5 * (i as f32 / count as f32)),
                1 => probe.clone(),
                2 => unit(probe.as_slice().iter().map(|value| -value).collect()),
                3 => random.mate(probe, i as f32 / count as f32),
                4 => unit((0..dimension).map(|d| f32::from(u8::from(d == i % dimension))).collect()),
                5 => unit((0..dimension).map(|_| if random.next().is_multiple_of(2) { 1.0 } else { -1.0 }).collect()),
                6 => face.clone(),
                _ => {
                    face = random.template(dimension);
                    face.clone()
                }
            };
            Enrolled { subject: SubjectId(i as u64 / 2), id: TemplateId((count - i) as u64), template }
        })
        .collect()
}

#[test]
fn certified_search_finds_what_exhaustive_search_finds_in_adversarial_galleries() {
    let mut random = Random(20);
    for dimension in [1, 2, 3, 16, 60, 64, 100, 128, 200, 256, 512] {
        let probe = random.template(dimension);
        let people = adversarial(&mut random, &probe, 400);
        for precision in PRECISIONS {
            let gallery = gallery(Gallery::builder(model(), dimension).precision(precision), &people);
            check_certified(&gallery, &probe);
            check_certified(&gallery, &people[3].template);
        }
    }
}

#[test]
fn certified_search_finds_what_exhaustive_search_finds_at_the_very_score_of_every_row() {
    // Whole blocks of one row each, so that nothing else loosens its bound, and the threshold at each score in turn; norms
    // at both ends of what a template may have.
    const NORMS: [f64; 3] = [0.999_950_1, 1.0, 1.000_049_9];
    let mut random = Random(24);
    for dimension in [1, 2, 3, 4, 5, 6, 7, 8, 12, 17, 31, 32, 33, 64] {
        for precision in PRECISIONS {
            let people: Vec<_> = (0..30 * 32_u64)
                .scan(random.template(dimension), |face, i| {
                    if i.is_multiple_of(32) {
                        *face = off_unit(&random.template(dimension), NORMS[i as usize / 32 % 3]);
                    }
                    Some(Enrolled { subject: SubjectId(i), id: TemplateId(i), template: face.clone() })
                })
                .collect();
            let builder = Gallery::builder(model(), dimension).precision(precision);
            let gallery = gallery(builder.fixed_seed(dimension as u64), &people).snapshot();
            for i in 0..if dimension <= 4 { 60 } else { 12 } {
                let probe = off_unit(&random.template(dimension), NORMS[i % 3]);
                let search = |threshold, mode| {
                    let options = SearchOptions { threshold, mode, ..SearchOptions::new(people.len()) };
                    gallery.search(&probe, &options).unwrap().candidates
                };
                let all = search(-1.0, Mode::Exhaustive);
                for candidate in all.iter().step_by(32) {
                    let count = all.iter().filter(|other| other.score >= candidate.score).count();
                    let found = search(candidate.score, Mode::Certified);
                    let at = format!("{precision:?} at {dimension}, threshold {}", candidate.score);
                    assert_eq!(found.len(), count, "{at}");
                    assert!(found == all[..count], "{at}");
                }
            }
        }
    }
}

#[test]
fn galleries_share_no_rotation_unless_they_are_told_to_and_find_the_same() {
    let mut random = Random(25);
    let people = enrolled(&mut random, 2048, 64, 1);
    let probes: Vec<_> = (0..8).map(|i| random.mate(&people[200 * i].template, 0.6)).collect();
    let search = |builder, mode| {
        let options = SearchOptions { threshold: 0.1, mode, ..SearchOptions::new(300) };
        let outcomes = gallery(builder, &people).snapshot().search_batch(&probes, &options).unwrap();
        let work: Vec<_> = outcomes.iter().map(|outcome| outcome.stats.survivors).collect();
        (work, outcomes.into_iter().map(|outcome| outcome.candidates).collect::<Vec<_>>())
    };
    for mode in [Mode::Certified, Mode::SKETCH] {
        let [one, other] = [0, 1].map(|_| search(Gallery::builder(model(), 64), mode));
        assert_ne!(one.0, other.0, "{mode:?}: what survives depends on the rotation");
        let [fixed, again] = [0, 1].map(|_| search(Gallery::builder(model(), 64).fixed_seed(5), mode));
        assert_eq!(fixed, again);
        let exhaustive = search(Gallery::builder(model(), 64), Mode::Exhaustive).1;
        assert!([one.1, other.1, fixed.1].iter().all(|lists| *lists == exhaustive), "{mode:?}");
    }
}

#[test]
fn every_mode_and_kernel_finds_the_k_best_of_a_naive_sort() {
    let mut random = Random(21);
    for dimension in [64, 128, 160, 256, 512, 1024] {
        let people = enrolled(&mut random, 1500, dimension, 1);
        let probes: Vec<_> = (0..4).map(|i| random.mate(&people[300 * i].template, 0.6)).collect();
        for kernel in Kernel::available() {
            let gallery = gallery(Gallery::builder(model(), dimension).kernel(kernel), &people);
            for mode in [Mode::Exhaustive, Mode::Certified, Mode::SKETCH] {
                let options = SearchOptions { mode, threshold: 0.1, ..SearchOptions::new(10) };
                let batch = gallery.snapshot().search_batch(&probes, &options).unwrap();
                for (probe, outcome) in probes.iter().zip(batch) {
                    assert_same(&outcome.candidates, &naive(&people, probe, 10, 0.1));
                    assert_eq!(
                        gallery.search(probe, &options).unwrap(),
                        outcome,
                        "a batch answers as single searches do"
                    );
                }
            }
        }
    }
}

#[test]
fn the_same_list_comes_from_every_kernel_to_the_last_bit() {
    let mut random = Random(22);
    let people = enrolled(&mut random, 1000, 200, 1);
    let probe = random.mate(&people[5].template, 0.5);
    for precision in PRECISIONS {
        for mode in [Mode::Exhaustive, Mode::Certified, Mode::SKETCH] {
            let lists = Kernel::available().into_iter().map(|kernel| {
                let builder = Gallery::builder(model(), 200).kernel(kernel).precision(precision);
                let options = SearchOptions { mode, ..SearchOptions::new(50) };
                gallery(builder, &people).search(&probe, &options).unwrap().candidates
            });
            let lists: Vec<_> = lists.collect();
            assert!(lists.iter().all(|list| *list == lists[0]));
        }
    }
}

#[test]
fn codes_rule_most_rows_out() {
    let mut random = Random(23);
    for (dimension, most) in [(128, 0.05), (256, 0.03), (512, 0.05)] {
        let people = enrolled(&mut random, 6400, dimension, 1);
        let gallery = gallery(Gallery::builder(model(), dimension), &people);
        let probe = random.mate(&people[0].template, 0.6);
        for mode in [Mode::Certified, Mode::SKETCH] {
            let options = SearchOptions { mode, threshold: 0.35, ..SearchOptions::new(10) };
            let stats = gallery.search(&probe, &options).unwrap().stats;
            assert_eq!(stats.rows_scanned, 6400);
            assert!((stats.scored as f64) < most * 6400.0, "{mode:?} at {dimension}: {stats:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn certified_search_finds_what_exhaustive_search_finds(
        dimension in 1_usize..300,
        count in 1_usize..300,
        seed: u64,
        precision in prop::sample::select(PRECISIONS.to_vec()),
        rotation: u64,
    ) {
        let mut random = Random(seed);
        let probe = random.template(dimension);
        let people = adversarial(&mut random, &probe, count);
        let builder = Gallery::builder(model(), dimension).precision(precision).fixed_seed(rotation).code_budget(1024);
        check_certified(&gallery(builder, &people), &random.mate(&probe, 0.8));
    }
}
