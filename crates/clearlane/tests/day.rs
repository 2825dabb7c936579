//! A sample of the simulated day; the whole of it is `clearlane lane simulate`.
#![allow(clippy::unwrap_used)]

mod common;

use clearlane::simulate::{DayPlan, calibration};
use common::policy;

#[test]
fn a_day_admits_travellers_as_themselves_and_no_stranger_and_records_every_passage() {
    let folder = tempfile::tempdir().unwrap();
    let plan = DayPlan { enrolled: 2_000, passages: 1_500, strangers: 0.2, lanes: 3, ..DayPlan::default() };
    let report = plan.run(&folder.path().join("day.register"), policy(""), |_| {}).unwrap();
    assert_eq!((report.passages, report.records), (1_500, 1_500));
    assert_eq!(report.wrong_admissions, 0);
    assert!(report.sound);
    assert_eq!(report.admitted + report.mated_referred + report.strangers, report.passages);
    assert!((200..=400).contains(&report.strangers), "{report:?}");
    // Mated scores are 0.75 ± 0.07: few are under the threshold, which lies three deviations lower.
    assert!(report.threshold < 0.54, "{report:?}");
    assert!(report.mated_referred < 30, "{report:?}");
    assert_eq!(report.metrics.admitted + report.metrics.referred, 1_500);
}

#[test]
fn the_simulated_calibration_is_that_of_random_directions() {
    // Two independent ways: the closed form for four dimensions, and the tests' own sum.
    let four = calibration(4).unwrap();
    for point in four.points() {
        // Four dimensions: P(cos ≥ t) = (arccos t − t √(1 − t²)) / π.
        let t = f64::from(point.threshold);
        let exact = (t.acos() - t * (1.0 - t * t).sqrt()) / std::f64::consts::PI;
        assert!((point.fmr - exact).abs() < 1e-5 * exact + 1e-8, "{point:?}: {exact}");
    }
    let (one, other) = (calibration(common::DIMENSION).unwrap(), common::calibration());
    for fmr in [1e-2, 1e-4, 1e-8, 1e-10] {
        let difference = one.threshold_for_fmr(fmr).unwrap() - other.threshold_for_fmr(fmr).unwrap();
        assert!(difference.abs() < 2e-3, "{fmr}: {difference}");
    }
}
