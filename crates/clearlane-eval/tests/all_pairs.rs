//! All pairs in bins against all pairs in lists, and what follows from labels.
#![allow(clippy::unwrap_used)]

mod support;

use clearlane_eval::report::AllAgainstAll;
use clearlane_eval::{
    AllPairs, ByGroup, Capture, Captures, GroupError, PresumedByGroup, PresumedError, Sample, ScoreError, Scores,
    thinned,
};
use support::{WORLD, World, normal};

/// Its scores one by one: mated and non-mated, with the groups of both.
type Listed = (Vec<f32>, Vec<(f32, usize, usize)>);

fn score(a: usize, b: usize) -> f32 {
    (0.2 * normal(&[7, a.min(b) as u64, a.max(b) as u64])).clamp(-1.0, 1.0) as f32
}

fn listed(captures: &Captures) -> Listed {
    let (mut mated, mut non_mated) = (Vec::new(), Vec::new());
    let all = &captures.captures;
    for a in 0..all.len() {
        for b in a + 1..all.len() {
            if all[a].subject.is_some() && all[a].subject == all[b].subject {
                mated.push(score(a, b));
            } else {
                let group = |capture: &Capture| capture.labels[0].parse().unwrap();
                non_mated.push((score(a, b), group(&all[a]), group(&all[b])));
            }
        }
    }
    (mated, non_mated)
}

fn binned(captures: &Captures, columns: &[&str]) -> AllPairs {
    let sample = Sample::new(captures, columns).unwrap();
    AllPairs::compare(sample, |a, first, out| {
        out.iter_mut().enumerate().for_each(|(i, out)| *out = score(a, first + i));
    })
}

const PEOPLE: World = World { subjects: 130, captures: 3, groups: 3, ..WORLD };

#[test]
fn binned_rates_are_those_of_the_lists_at_every_threshold_that_bins_give() {
    let (mated, non_mated) = listed(&PEOPLE.captures());
    let list = Scores::new(mated, non_mated.iter().map(|(score, ..)| *score).collect()).unwrap();
    for columns in [&[][..], &["group"]] {
        let bins = binned(&PEOPLE.captures(), columns).scores().unwrap();
        assert_eq!(bins.counts(), list.counts());
        for target in [0.3, 0.1, 0.01, 1e-3] {
            let (ours, exact) = (bins.at_fmr(target).unwrap(), list.at_fmr(target).unwrap());
            assert!(ours.threshold >= exact.threshold && ours.threshold < exact.threshold + 3e-5, "{ours:?} {exact:?}");
            assert!(ours.fmr.value() <= target);
            assert_eq!((ours.fmr, ours.fnmr), (list.fmr(ours.threshold), list.fnmr(ours.threshold)));
        }
        for point in thinned(&bins.det(), 100) {
            assert_eq!(
                (point.fmr, point.fnmr),
                (list.fmr(point.threshold).value(), list.fnmr(point.threshold).value())
            );
        }
        assert!((bins.eer() - list.eer()).abs() < 1e-3 && (bins.auc() - list.auc()).abs() < 1e-3);
    }
}

#[test]
fn groups_have_the_rates_of_their_own_comparisons() {
    let (_, non_mated) = listed(&PEOPLE.captures());
    let groups = ByGroup::new(&binned(&PEOPLE.captures(), &["group"]), &[0.35, 0.45], &[0.01]).unwrap();
    let count = |a: usize, b: usize, threshold: f32| {
        let between = |(_, x, y): &&(f32, usize, usize)| (*x, *y) == (a, b) || (*y, *x) == (a, b);
        let all: Vec<_> = non_mated.iter().filter(between).collect();
        (all.iter().filter(|(score, ..)| *score >= threshold).count() as u64, all.len() as u64)
    };
    for (index, group) in groups.groups.iter().enumerate() {
        for rates in &group.rates {
            assert_eq!((rates.fmr.rate.events, rates.fmr.rate.trials), count(index, index, rates.threshold));
        }
        let threshold = &group.thresholds[0];
        assert_eq!((threshold.observed.events, threshold.observed.trials), count(index, index, threshold.threshold));
        assert!(threshold.observed.value() <= 0.01);
    }
    for (pair, (a, b)) in groups.across.iter().zip([(0, 1), (0, 2), (1, 2)]) {
        assert_eq!((pair.fmr[0].rate.events, pair.fmr[0].rate.trials), count(a, b, 0.35));
    }
    let rates: Vec<f64> = groups.groups.iter().map(|group| group.rates[0].fmr.value.unwrap()).collect();
    let ratios = groups.differentials[0].fmr.as_ref().unwrap();
    let (worst, best) = (rates.iter().copied().fold(0.0, f64::max), rates.iter().copied().fold(1.0, f64::min));
    assert!((ratios.worst_to_best.unwrap() - worst / best).abs() < 1e-12);
    let mean = rates.iter().product::<f64>().cbrt();
    assert!((ratios.worst_to_mean.unwrap() - worst / mean).abs() < 1e-9);
    let most = groups.groups.iter().map(|group| group.thresholds[0].threshold).fold(0.0, f32::max);
    assert_eq!(groups.worst[0].threshold.threshold, most);
}

#[test]
fn without_identities_the_two_sexes_bound_from_below_and_one_sex_from_above_without_near_copies() {
    let captures = (0..200).map(|index| Capture {
        picture: index.to_string(),
        subject: None,
        labels: vec![["m", "f"][index % 2].to_owned(), ["x", "y"][index / 2 % 2].to_owned()],
    });
    let captures = Captures { columns: vec!["sex".to_owned(), "origin".to_owned()], captures: captures.collect() };
    let sample = Sample::new(&captures, &["origin", "sex"]).unwrap();
    // Captures 0 and 4 are copies: of one origin and sex.
    let pairs = AllPairs::compare(sample, |a, first, out| {
        for (b, out) in (first..).zip(out) {
            *out = if (a, b) == (0, 4) { 0.99 } else { score(a, b) };
        }
    });
    let bounds = PresumedByGroup::new(&pairs, "sex", 0.95, &[0.3], &[0.05]).unwrap();
    assert_eq!(bounds.columns, ["origin"]);
    let origin = |index: usize| index / 2 % 2;
    let count = |group: usize, same_sex: bool| {
        let pairs = (0..200).flat_map(|a| (a + 1..200).map(move |b| (a, b)));
        let pairs: Vec<_> = pairs
            .filter(|&(a, b)| {
                origin(a) == group && origin(b) == group && ((a % 2 == b % 2) == same_sex) && (a, b) != (0, 4)
            })
            .collect();
        (pairs.iter().filter(|&&(a, b)| score(a, b) >= 0.3).count() as u64, pairs.len() as u64)
    };
    for (index, group) in bounds.groups.iter().enumerate() {
        assert_eq!(group.near_copies, u64::from(index == 0));
        for (rates, same_sex) in [(&group.upper, true), (&group.lower, false)] {
            let rate = rates.fmr[0].rate;
            assert_eq!((rate.events, rate.trials), count(index, same_sex));
        }
    }
    let error = PresumedByGroup::new(&pairs, "age", 0.95, &[0.3], &[0.05]).unwrap_err();
    assert!(matches!(error, PresumedError::Group(GroupError::Column { .. })));
}

#[test]
fn nothing_is_reported_that_the_comparisons_do_not_show() {
    let pairs = binned(&PEOPLE.captures(), &[]);
    let report = AllAgainstAll::new(&pairs, &[1e-2, 1e-3, 1e-4, 1e-5], &[1e-2, 1e-6]).unwrap();
    // 75,000 comparisons show 30 false matches at 4e-4.
    let shown: Vec<f64> = report.fnmr_at_fmr.iter().map(|point| point.target_fmr).collect();
    assert_eq!(shown, [1e-2, 1e-3]);
    assert!((report.lowest_fmr - 30.0 / report.non_mated as f64).abs() < 1e-12);
    assert_eq!(report.mated_histogram.iter().sum::<u64>(), report.mated);
    assert_eq!(report.non_mated_histogram.iter().sum::<u64>(), report.non_mated);
    assert!(report.det.len() <= 300);
    assert!(report.calibration[0].warnings.is_empty() && !report.calibration[1].warnings.is_empty());
}

#[test]
fn groups_that_are_not_there_or_too_many_and_tests_without_comparisons_are_refused() {
    let captures = World { groups: 40, ..PEOPLE }.captures();
    let refused = |columns: &[&str]| Sample::new(&captures, columns).unwrap_err();
    assert!(matches!(refused(&["age"]), GroupError::Column { available, .. } if available == ["group"]));
    assert!(matches!(refused(&["group"]), GroupError::TooMany { groups: 40, .. }));
    let alone = Captures { captures: captures.captures[..1].to_vec(), ..captures.clone() };
    assert!(matches!(binned(&alone, &[]).scores(), Err(ScoreError::Empty { .. })));
}
