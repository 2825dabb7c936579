//! Thresholds that are fitted on some subjects and checked on others, on scores of known rates.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{HashMap, HashSet};

use clearlane_eval::{AllPairs, Capture, Captures, Halves, Presumed, Sample, Verdict};
use support::{WORLD, World, normal};

const PEOPLE: World = World { subjects: 400, captures: 2, ..WORLD };

/// Independent scores, those of two captures in the part that is checked higher by `raised`.
fn compared(captures: &Captures, columns: &[&str], raised: f32) -> AllPairs {
    let is_checked: Vec<bool> = captures.captures.iter().map(|capture| capture.labels[0] == "check").collect();
    AllPairs::compare(Sample::new(captures, columns).unwrap(), |a, first, out| {
        for (b, out) in (first..).zip(out) {
            let more = if is_checked[a] && is_checked[b] { raised } else { 0.0 };
            *out = (0.15 * normal(&[3, a.min(b) as u64, a.max(b) as u64])) as f32 + more;
        }
    })
}

#[test]
fn no_subject_is_in_both_parts_and_each_part_has_its_share() {
    for share in [0.1, 0.5] {
        let split = Halves::split(&PEOPLE.captures(), share);
        assert_eq!(split.columns, ["part", "group"]);
        let mut parts: HashMap<&str, HashSet<&str>> = HashMap::new();
        for Capture { subject, labels, .. } in &split.captures {
            parts.entry(subject.as_deref().unwrap()).or_default().insert(&labels[0]);
        }
        assert!(parts.values().all(|parts| parts.len() == 1));
        let fitted = parts.values().filter(|parts| parts.contains("fit")).count();
        assert_eq!(fitted, (share * 400.0) as usize);
    }
}

#[test]
fn somebody_is_left_to_fit_to_and_to_check_by_whatever_the_share() {
    for subjects in [2, 3, 10] {
        for share in [0.001, 0.999] {
            let split = Halves::split(&World { subjects, ..PEOPLE }.captures(), share);
            let part = |name: &str| split.captures.iter().filter(|capture| capture.labels[0] == name).count();
            assert!(part("fit") > 0 && part("check") > 0, "{subjects} subjects at {share}");
        }
    }
}

#[test]
fn a_threshold_holds_among_people_like_those_it_was_fitted_to_and_is_found_too_low_among_others() {
    let split = Halves::split(&PEOPLE.captures(), 0.5);
    for (raised, verdict) in [(0.0, Verdict::Held), (0.2, Verdict::TooLow)] {
        let pairs = compared(&split, &Halves::columns(&[]), raised);
        let halves = Halves::new(&pairs, Presumed::Known, 0.01, &[5, 1_000]).unwrap();
        let [small, large] = halves.points.as_slice() else { panic!("{halves:?}") };
        // 79,600 comparisons show a rate of 2e-3, and none of 1e-5.
        assert_eq!((small.fitted_to, small.extrapolated, large.extrapolated), (79_600, false, true));
        assert_eq!((small.verdict, small.fmr.rate.trials), (verdict, 79_600), "{small:?}");
        let implied = 1.0 - (1.0 - small.fmr.rate.value()).powi(5);
        assert!((small.fpir - implied).abs() < 1e-12);
        if verdict == Verdict::Held {
            // One false match in a hundred thousand comparisons: these say little of it.
            assert_eq!(large.verdict, Verdict::Unknown, "{large:?}");
            assert!(small.fpir_interval.low <= 0.01 && small.fpir_interval.high >= 0.01, "{small:?}");
        }
    }
}

#[test]
fn without_identities_both_bounds_are_checked_in_each_group() {
    let capture = |index: usize| Capture {
        picture: index.to_string(),
        subject: None,
        labels: vec![["a", "b"][index % 2].to_owned(), ["f", "m"][index / 2 % 2].to_owned()],
    };
    let columns = ["group", "sex"].map(str::to_owned).to_vec();
    let captures = Captures { columns, captures: (0..800).map(capture).collect() };
    let pairs = compared(&Halves::split(&captures, 0.5), &Halves::columns(&["group", "sex"]), 0.0);
    let presumed = Presumed::BySex { column: "sex", near_copies_from: 0.5 };
    let halves = Halves::new(&pairs, presumed, 0.01, &[2]).unwrap();
    let groups: Vec<_> = halves.points.iter().map(|point| point.group.as_str()).collect();
    let kinds = ["all", "a", "b"].map(|group| [format!("{group}, two sexes"), format!("{group}, one sex")]);
    assert_eq!(groups, kinds.concat());
    // All comparisons of the part are of two sexes or of one, but for near-copies.
    let [two, one] = [&halves.points[0], &halves.points[1]];
    let (copies, whole) = (400 * 399 / 2 - two.fmr.rate.trials - one.fmr.rate.trials, two.fitted_to + one.fitted_to);
    assert!(copies < 200 && whole <= 400 * 399 / 2, "{halves:?}");
}
