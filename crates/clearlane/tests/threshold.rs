//! Thresholds from error rates.
#![allow(clippy::unwrap_used)]

use clearlane::{Calibration, CalibrationError, CalibrationPoint, Population, fmr_for_fpir};
use clearlane_template::ModelId;
use proptest::prelude::*;

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
        let calibration = Calibration::new(ModelId::digest([]), people("somebody"), points.to_vec(), "").unwrap();
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
        Calibration::new(ModelId::digest([]), people("somebody"), points, "")
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
        "model = \"{}\"\n[[populations]]\npopulation = \"somebody\"\nsource = \"by hand\"\n\
         points = [{{ fmr = 0.1, threshold = 0.1 }}, {{ fmr = 0.01, threshold = 0.2 }}]",
        ModelId::digest([])
    );
    let calibration: Calibration = toml::from_str(&text).unwrap();
    let [known] = calibration.populations() else { panic!("{calibration:?}") };
    assert_eq!((known.population().as_str(), known.points().len(), known.source()), ("somebody", 2, "by hand"));
    assert_eq!(toml::from_str::<Calibration>(&toml::to_string(&calibration).unwrap()).unwrap(), calibration);
    for (from, to) in [("0.01", "0.2"), ("somebody", "Some Body"), ("[[populations]]", "[[points]]")] {
        assert!(toml::from_str::<Calibration>(&text.replace(from, to)).is_err(), "{to}");
    }
}

#[test]
fn two_calibrations_are_one_where_they_are_of_one_model_and_of_different_people() {
    let new = |model: &[u8], name| {
        let points = vec![CalibrationPoint { fmr: 0.1, threshold: 0.1 }];
        Calibration::new(ModelId::digest([model]), people(name), points, "").unwrap()
    };
    let twice = new(b"a", "one").and(new(b"a", "one"));
    assert_eq!(twice, Err(CalibrationError::Twice { population: people("one") }));
    assert!(matches!(new(b"a", "one").and(new(b"b", "other")), Err(CalibrationError::OtherModel { .. })));
    let both = new(b"a", "one").and(new(b"a", "other")).unwrap();
    assert_eq!(both.for_populations(&[people("other")]), Ok(new(b"a", "other")));
    let refused = both.for_populations(&[people("other"), people("third")]).unwrap_err();
    assert_eq!((refused.missing, refused.known), (vec![people("third")], vec![people("one"), people("other")]));
    assert!(both.for_populations(&[]).is_err(), "nobody's threshold is none");
}

proptest! {
    /// At every rate, between the points as well as at them, the threshold of several populations is the highest of theirs, a
    /// lower rate never gets a lower one, and a rate that one of them does not reach gets none.
    #[test]
    fn the_strictest_population_counts_at_every_rate(
        curves in prop::collection::vec(curve(), 1..5),
        rates in prop::collection::vec(-13.0..0.0_f64, 1..40),
    ) {
        let model = ModelId::digest([]);
        let each: Vec<_> = curves
            .iter()
            .enumerate()
            .map(|(n, points)| Calibration::new(model, people(&format!("group-{n}")), points.clone(), "").unwrap())
            .collect();
        let all = each.iter().cloned().reduce(|all, next| all.and(next).unwrap()).unwrap();
        let own = curves.iter().flatten().map(|point| point.fmr);
        let mut rates: Vec<f64> = rates.iter().map(|exponent| 10f64.powf(*exponent)).chain(own).collect();
        rates.sort_by(|a, b| b.total_cmp(a));
        let mut before = f32::NEG_INFINITY;
        for rate in rates {
            let alone: Result<Vec<_>, _> = each.iter().map(|one| one.threshold_for_fmr(rate)).collect();
            match alone {
                Ok(alone) => {
                    let naive = alone.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    let (threshold, strictest) = all.strictest_for_fmr(rate).unwrap();
                    prop_assert_eq!(threshold.to_bits(), naive.to_bits());
                    prop_assert_eq!(all.threshold_for_fmr(rate), Ok(threshold));
                    prop_assert_eq!(strictest.threshold_for_fmr(rate), Ok(threshold));
                    prop_assert!(threshold >= before, "{rate:e}: {threshold} after {before}");
                    before = threshold;
                }
                Err(_) => prop_assert!(all.threshold_for_fmr(rate).is_err(), "{rate:e}"),
            }
        }
    }
}

/// Points from lenient to strict.
fn curve() -> impl Strategy<Value = Vec<CalibrationPoint>> {
    prop::collection::vec((0.01..2.0_f64, 0.001..0.12_f32), 1..10).prop_map(|steps| {
        let (mut exponent, mut threshold) = (0.0, -0.2);
        let mut point = |(rate, score): &(f64, f32)| {
            exponent -= rate;
            threshold += score;
            CalibrationPoint { fmr: 10f64.powf(exponent), threshold }
        };
        steps.iter().map(&mut point).collect()
    })
}

fn people(name: &str) -> Population {
    name.parse().unwrap()
}

fn straight() -> Calibration {
    let points = [(1e-2, 0.2), (1e-4, 0.4), (1e-8, 0.8)];
    let points = points.into_iter().map(|(fmr, threshold)| CalibrationPoint { fmr, threshold }).collect();
    Calibration::new(ModelId::digest([]), people("somebody"), points, "a straight line").unwrap()
}
