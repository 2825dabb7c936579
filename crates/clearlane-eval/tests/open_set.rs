//! Thresholds for a false positive identification rate hold on scores that they were not fitted to, of every group.
#![allow(clippy::unwrap_used)]

mod support;

use clearlane_eval::{CalibrationWarning, Calibrator, Rate};
use support::{cumulative, normal};

#[test]
fn thresholds_at_an_fpir_fitted_on_one_half_hold_on_the_other_for_galleries_of_a_thousand_to_a_million() {
    // Two groups, of whom the second's non-mated scores are wider.
    for (group, deviation) in [(0, 0.10), (1, 0.13)] {
        let half = |half: u64| (0..300_000).map(move |i| (deviation * normal(&[group, half, i])) as f32);
        let calibrator = Calibrator::new(half(0).collect()).unwrap();
        let other: Vec<f32> = half(1).collect();
        for gallery in [1_000, 10_000, 100_000, 1_000_000] {
            let calibrated = calibrator.at_fpir(0.01, gallery).unwrap();
            let reached = other.iter().filter(|&&score| score >= calibrated.threshold).count();
            let seen = Rate::new(reached as u64, other.len() as u64);
            assert!(seen.clopper_pearson(0.95).low <= calibrated.target_fmr, "{seen:?}: {calibrated:?}");
            // The other half alone is too small to show that the rarest rates hold: the distribution itself does.
            let fmr = 1.0 - cumulative(f64::from(calibrated.threshold) / deviation);
            let fpir = -f64::exp_m1(gallery as f64 * f64::ln_1p(-fmr));
            assert!(fpir <= 0.013, "FPIR {fpir} in a gallery of {gallery}: {calibrated:?}");
            let extrapolated =
                calibrated.warnings.iter().any(|warning| matches!(warning, CalibrationWarning::Extrapolated { .. }));
            assert_eq!(extrapolated, !Rate::supports(other.len() as u64, calibrated.target_fmr));
        }
    }
}
