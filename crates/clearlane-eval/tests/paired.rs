//! Two matchers on the same comparisons.
#![allow(clippy::unwrap_used)]

use clearlane_eval::{PairedComparison, PairedReport};

/// Mated comparisons that both find, that only the one or only the other finds, and that neither does; all in ten folds, beside
/// as many non-mated ones of low scores.
fn comparisons(both: usize, only_a: usize, only_b: usize, neither: usize) -> Vec<PairedComparison> {
    let kinds = [(both, 0.9, 0.8), (only_a, 0.9, 0.1), (only_b, 0.2, 0.8), (neither, 0.2, 0.1)];
    let mated = kinds.into_iter().flat_map(|(count, a, b)| std::iter::repeat_n((true, a, b), count));
    let total = both + only_a + only_b + neither;
    let non_mated =
        (0..total).map(|at| (false, 0.3 + at as f32 / total as f32 / 10.0, 0.2 + at as f32 / total as f32 / 10.0));
    let all = mated.chain(non_mated).enumerate();
    all.map(|(at, (mated, a, b))| PairedComparison { fold: at % 10, mated, a, b }).collect()
}

#[test]
fn what_only_one_of_them_misses_decides_whether_they_differ() {
    // Exact two-sided binomial tests of scipy.stats.binomtest(min, total, 0.5): (2, 14), (0, 5), (7, 15).
    for (only_a, only_b, p) in [(12, 2, 0.012_939_453_125), (5, 0, 0.0625), (8, 7, 1.0), (0, 0, 1.0)] {
        let report = PairedReport::new(&comparisons(100, only_a, only_b, 6), &[1e-2]).unwrap();
        let point = report.points[0];
        assert_eq!((point.missed_by_b_alone, point.missed_by_a_alone), (only_a as u64, only_b as u64));
        assert_eq!((point.fnmr_a.events, point.fnmr_b.events), ((only_b + 6) as u64, (only_a + 6) as u64));
        assert!((point.p - p).abs() < 1e-12, "{only_a} and {only_b}: {}", point.p);
    }
}

#[test]
fn a_matcher_does_not_differ_from_itself() {
    let same: Vec<_> = comparisons(50, 5, 3, 2).into_iter().map(|c| PairedComparison { b: c.a, ..c }).collect();
    let report = PairedReport::new(&same, &[1e-1, 1e-2]).unwrap();
    assert_eq!(report.accuracy_a, report.accuracy_b);
    assert_eq!(report.accuracy_less.unwrap().mean, 0.0);
    assert!(report.points.iter().all(|point| point.p == 1.0 && point.threshold_a == point.threshold_b));
}

#[test]
fn one_fold_gives_rates_and_no_accuracy_over_folds() {
    let one: Vec<_> = comparisons(50, 5, 3, 2).into_iter().map(|c| PairedComparison { fold: 0, ..c }).collect();
    let report = PairedReport::new(&one, &[1e-1]).unwrap();
    assert!(report.accuracy_a.is_none() && report.accuracy_less.is_none() && report.points.len() == 1);
    assert!(PairedReport::new(&[], &[1e-1]).is_err());
}
