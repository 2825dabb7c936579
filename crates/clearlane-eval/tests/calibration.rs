//! Thresholds for a false match rate: counted where the scores are many, extrapolated to the safe side where few.
#![allow(clippy::unwrap_used)]

use clearlane_eval::{Calibrator, FmrThreshold, Method, ScoreError};
use proptest::prelude::*;

fn calibrate(non_mated: Vec<f32>, target_fmr: f64) -> Result<FmrThreshold, ScoreError> {
    Calibrator::new(non_mated)?.at_fmr(target_fmr)
}

/// The quantiles of a normal distribution with the mean 0 and the deviation 0.12, `count` of them, evenly: a sample
/// without luck.
fn normal_scores(count: usize) -> Vec<f32> {
    (0..count).map(|i| (0.12 * quantile((i as f64 + 0.5) / count as f64)) as f32).collect()
}

fn quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-9.0, 9.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if cumulative(middle) < p { low = middle } else { high = middle }
    }
    low
}

/// Φ by Marsaglia's series (Journal of Statistical Software 11, 2004).
fn cumulative(x: f64) -> f64 {
    let (mut sum, mut term, mut n) = (x, x, 1.0);
    while term.abs() > 1e-17 && n < 400.0 {
        n += 2.0;
        term *= x * x / n;
        sum += term;
    }
    (0.5 + sum * (-0.5 * x * x - 0.918_938_533_204_672_7).exp()).clamp(0.0, 1.0)
}

fn normal_tail(probability: &str) -> f64 {
    let figures: serde_json::Value = serde_json::from_str(include_str!("data/figures.json")).unwrap();
    figures["normal_tail"][probability].as_f64().unwrap()
}

#[test]
fn a_rate_that_the_scores_show_often_enough_is_counted() {
    let calibration = calibrate(normal_scores(50_000), 1e-2).unwrap();
    assert_eq!(calibration.method, Method::Counted);
    assert_eq!(calibration.observed.events, 500);
    assert!((f64::from(calibration.threshold) - 0.12 * normal_tail("0.01")).abs() < 1e-3, "{calibration:?}");
}

#[test]
fn a_rarer_rate_is_extrapolated_and_never_to_a_lower_threshold_than_the_true_one() {
    for target in ["1e-05", "1e-06"] {
        let calibration = calibrate(normal_scores(50_000), target.parse().unwrap()).unwrap();
        let truth = 0.12 * normal_tail(target);
        let threshold = f64::from(calibration.threshold);
        assert!(matches!(calibration.method, Method::TailFit { shape, .. } if shape >= 0.0));
        assert!(threshold >= truth && threshold < truth + 0.1, "{threshold} for {truth}");
    }
}

#[test]
fn a_heavy_tail_is_followed_and_not_cut() {
    // A Pareto tail with ξ = 1/3: P(score > x) = (1 + x / (3 · 0.02))^-3, whose quantiles are known in closed form.
    let at = |p: f64| 0.06 * (p.powf(-1.0 / 3.0) - 1.0);
    let scores = (0..20_000).map(|i| at((i as f64 + 0.5) / 20_000.0) as f32).collect();
    let calibration = calibrate(scores, 1e-5).unwrap();
    let ratio = f64::from(calibration.threshold) / at(1e-5);
    assert!((0.75..1.35).contains(&ratio), "{ratio}: {calibration:?}");
}

#[test]
fn equal_scores_and_single_scores_still_give_a_threshold_above_them() {
    for scores in [vec![0.3], vec![0.3; 5], vec![0.3; 1000]] {
        let calibration = calibrate(scores, 1e-4).unwrap();
        assert!(calibration.threshold > 0.3, "{calibration:?}");
        assert_eq!(calibration.observed.events, 0);
    }
}

#[test]
fn impossible_targets_and_scores_are_refused() {
    for target in [0.0, 1.0, -0.1, f64::NAN] {
        assert!(matches!(calibrate(vec![0.1], target), Err(ScoreError::Target { .. })));
    }
    assert!(matches!(calibrate(vec![], 0.1), Err(ScoreError::Empty { .. })));
    assert!(matches!(calibrate(vec![0.1, f32::NAN], 0.1), Err(ScoreError::NotFinite { index: 1, .. })));
}

proptest! {
    #[test]
    fn a_counted_threshold_keeps_its_rate_and_none_lower_does(
        scores in prop::collection::vec(-20_i8..20, 100..600), target in 0.31_f64..0.9,
    ) {
        let scores: Vec<f32> = scores.into_iter().map(|score| f32::from(score) / 20.0).collect();
        let total = scores.len() as f64;
        let calibration = calibrate(scores.clone(), target).unwrap();
        let rate = |threshold: f32| scores.iter().filter(|&&score| score >= threshold).count() as f64 / total;
        prop_assert_eq!(calibration.method, Method::Counted);
        prop_assert!(rate(calibration.threshold) <= target);
        prop_assert!(rate(calibration.threshold.next_down()) > target);
    }
}
