//! All against all.

#![allow(clippy::unwrap_used, reason = "a test fails where there is nothing to unwrap")]

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use clearlane_match::{Gallery, GalleryError, Mode, SearchOptions, Snapshot};
use clearlane_template::{SubjectId, TemplateId};
use support::{Enrolled, Random, enrolled, gallery, model};

const D: usize = 64;

/// Random people, of whom some are enrolled again under another id.
fn people(random: &mut Random) -> Vec<Enrolled> {
    let mut people = enrolled(random, 900, D, 2);
    for i in 0..40 {
        let template = random.mate(&people[i * 17].template, 0.8);
        people.push(Enrolled { subject: SubjectId(10_000 + i as u64), id: TemplateId(10_000 + i as u64), template });
    }
    people
}

/// Pairs of subjects with two templates at or above the threshold, by comparing each with each.
fn naive(people: &[Enrolled], threshold: f32) -> BTreeSet<(u64, u64)> {
    let mut pairs = BTreeSet::new();
    for (i, a) in people.iter().enumerate() {
        for b in &people[..i] {
            if a.subject != b.subject && a.template.score(&b.template).unwrap() >= threshold {
                pairs.insert((a.subject.0.min(b.subject.0), a.subject.0.max(b.subject.0)));
            }
        }
    }
    pairs
}

fn found(snapshot: &Snapshot, options: &SearchOptions<'_>) -> BTreeSet<(u64, u64)> {
    let blocks = snapshot.duplicates(options, None).unwrap();
    let pairs = blocks.flat_map(|block| block.unwrap().pairs).map(|pair| (pair.subject.0, pair.other.subject.0));
    pairs.map(|(a, b)| (a.min(b), a.max(b))).collect()
}

#[test]
fn every_pair_of_subjects_above_the_threshold_is_found() {
    let mut random = Random(30);
    let people = people(&mut random);
    let gallery = gallery(Gallery::builder(model(), D), &people);
    for threshold in [0.35, 0.7] {
        let expected = naive(&people, threshold);
        assert!(expected.len() >= 30);
        for mode in [Mode::Exhaustive, Mode::Certified, Mode::SKETCH] {
            for parallel in [false, true] {
                let options = SearchOptions { threshold, mode, parallel, ..SearchOptions::new(900) };
                assert_eq!(found(&gallery.snapshot(), &options), expected);
            }
        }
    }
}

#[test]
fn a_stopped_search_for_duplicates_goes_on_where_it_stopped() {
    let mut random = Random(31);
    let people = people(&mut random);
    let all = gallery(Gallery::builder(model(), D), &people);
    let options = SearchOptions { threshold: 0.5, ..SearchOptions::new(900) };
    let expected: Vec<_> =
        all.snapshot().duplicates(&options, None).unwrap().flat_map(|block| block.unwrap().pairs).collect();

    let growing = gallery(Gallery::builder(model(), D), &people[..500]);
    let mut pairs = Vec::new();
    let first = growing.snapshot();
    let mut blocks = first.duplicates(&options, None).unwrap();
    pairs.extend(blocks.by_ref().take(3).flat_map(|block| block.unwrap().pairs));
    let cancel = AtomicBool::new(true);
    let stopped = SearchOptions { cancel: Some(&cancel), ..options };
    assert!(first.duplicates(&stopped, Some(blocks.cursor())).unwrap().next().is_none());
    pairs.extend(blocks.by_ref().flat_map(|block| block.unwrap().pairs));
    let cursor = blocks.cursor();
    for e in &people[500..] {
        growing.add(e.subject, e.id, &e.template).unwrap();
    }
    let later = growing.snapshot();
    let mut blocks = later.duplicates(&options, Some(cursor)).unwrap();
    let last = blocks.by_ref().map(Result::unwrap).inspect(|block| pairs.extend(block.pairs.clone())).last().unwrap();
    assert_eq!((last.done, last.total), (940, 940));
    assert_eq!(pairs, expected);

    growing.revoke(SubjectId(0)).unwrap();
    growing.compact().unwrap();
    assert_eq!(growing.snapshot().duplicates(&options, Some(cursor)).err(), Some(GalleryError::StaleCursor));
}
