//! Thresholds from error rates.
#![allow(clippy::unwrap_used)]

use clearlane::{Calibration, CalibrationError, CalibrationPoint, fmr_for_fpir};
use clearlane_template::ModelId;

#[test]
fn the_rate_of_one_comparison_gives_the_rate_of_a_whole_search() {
    for entries in [1_usize, 2, 10, 1_000, 1_000_000] {
        for fpir in [0.3, 0.01, 0.003, 1e-5] {
            let fmr = fmr_for_fpir(fpir, entries);
            // Somebody who is not enrolled is found by no search if every comparison rejects them.
            let rejected = (0..entries).fold(1.0_f64, |rejected, _| rejected * (1.0 - fmr));
            assert!((1.0 - rejected - fpir).abs() < 1e-9 * entries as f64 + 1e-12, "{entries} entries at {fpir}");
        }
    }
}

#[test]
fn a_larger_gallery_and_a_lower_rate_need_a_higher_threshold() {
    let calibration = straight();
    let threshold = |fpir, entries| calibration.threshold_for_fpir(fpir, entries).unwrap();
    assert!(threshold(1e-3, 10) < threshold(1e-3, 100));
    assert!(threshold(1e-3, 100) < threshold(1e-4, 100));
}

#[test]
fn thresholds_between_points_lie_on_a_straight_line_over_the_logarithm() {
    let calibration = straight();
    // By hand: a tenth of the rate is 0.1 more in threshold.
    for (fmr, threshold) in [(1e-2, 0.2), (1e-3, 0.3), (1e-5, 0.5), (1e-8, 0.8)] {
        assert!((calibration.threshold_for_fmr(fmr).unwrap() - threshold).abs() < 1e-6, "{fmr}");
    }
    let middle = calibration.threshold_for_fmr(10f64.powf(-3.5)).unwrap();
    assert!((middle - 0.35).abs() < 1e-6);
}

#[test]
fn a_rate_that_was_not_calibrated_gives_no_threshold() {
    let refused = straight().threshold_for_fmr(1e-9);
    assert!(matches!(refused, Err(CalibrationError::Uncalibrated { lowest, .. }) if lowest <= 1e-8), "{refused:?}");
    assert!(straight().threshold_for_fpir(1e-5, 1_000_000).is_err());
    for none in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e-3, 1.1, f64::MAX] {
        let refused = straight().threshold_for_fmr(none);
        assert!(matches!(refused, Err(CalibrationError::NotARate { .. })), "{none}: {refused:?}");
    }
    for none in [f64::NAN, f64::INFINITY, -1e-3, 1.1, 0.0, f64::from_bits(1)] {
        assert!(straight().threshold_for_fpir(none, 10).is_err(), "{none}");
    }
}

/// The logarithms of two rates may be equal though the rates are not.
#[test]
fn a_threshold_is_a_number_between_those_of_its_points_however_close_they_are() {
    for fmr in [1e-300, 1e-9, 0.3, f64::MIN_POSITIVE] {
        let next = |rate: f64| f64::from_bits(rate.to_bits() + 1);
        let rates = [next(next(next(fmr))), next(next(fmr)), next(fmr), fmr];
        let points = [(rates[0], 0.2), (rates[3], 0.4)];
        let points = points.map(|(fmr, threshold)| CalibrationPoint { fmr, threshold });
        let calibration = Calibration::new(ModelId::digest([]), points.to_vec(), "").unwrap();
        for rate in rates {
            let threshold = calibration.threshold_for_fmr(rate).unwrap();
            assert!((0.2..=0.4).contains(&threshold), "{rate:e}: {threshold}");
        }
    }
}

#[test]
fn a_rate_above_the_calibrated_ones_gets_the_most_lenient_threshold_that_is_known() {
    assert!((straight().threshold_for_fmr(0.5).unwrap() - 0.2).abs() < 1e-6);
}

#[test]
fn points_that_contradict_each_other_are_no_calibration() {
    let new = |points: &[(f64, f32)]| {
        let points = points.iter().map(|&(fmr, threshold)| CalibrationPoint { fmr, threshold }).collect();
        Calibration::new(ModelId::digest([]), points, "")
    };
    assert_eq!(new(&[]), Err(CalibrationError::NoPoints));
    assert_eq!(new(&[(0.1, 0.1)]).unwrap().threshold_for_fmr(0.1), Ok(0.1));
    for (points, index) in [
        ([(0.1, 0.1), (0.1, 0.2)], 1),
        ([(0.1, 0.2), (0.01, 0.2)], 1),
        ([(0.1, 0.2), (0.01, 0.1)], 1),
        ([(0.01, 0.1), (0.1, 0.2)], 1),
    ] {
        assert_eq!(new(&points), Err(CalibrationError::NotMonotonic { index }), "{points:?}");
    }
    for bad in [(0.0, 0.1), (1.1, 0.1), (f64::NAN, 0.1), (0.1, 1.1), (0.1, f32::NAN)] {
        assert!(matches!(new(&[bad, (0.001, 0.5)]), Err(CalibrationError::OutOfRange { index: 0, .. })), "{bad:?}");
    }
}

#[test]
fn a_calibration_is_read_from_toml() {
    let text = format!(
        "model = \"{}\"\nsource = \"by hand\"\npoints = [{{ fmr = 0.1, threshold = 0.1 }}, {{ fmr = 0.01, threshold = 0.2 }}]",
        ModelId::digest([])
    );
    let calibration: Calibration = toml::from_str(&text).unwrap();
    assert_eq!((calibration.points().len(), calibration.source()), (2, "by hand"));
    assert!(toml::from_str::<Calibration>(&text.replace("0.01", "0.2")).is_err());
}

fn straight() -> Calibration {
    let points = [(1e-2, 0.2), (1e-4, 0.4), (1e-8, 0.8)];
    let points = points.into_iter().map(|(fmr, threshold)| CalibrationPoint { fmr, threshold }).collect();
    Calibration::new(ModelId::digest([]), points, "a straight line").unwrap()
}
