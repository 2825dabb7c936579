//! The error rates against what scikit-learn and scipy say of the same scores (`data/figures.py` computed them).
#![allow(clippy::unwrap_used)]

use clearlane_eval::{Accuracy, Comparison, Fold, Rate, Scores, cross_validated_accuracy};
use serde_json::Value;

fn figures() -> Value {
    serde_json::from_str(include_str!("data/figures.json")).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|score| number(score) as f32).collect()
}

fn assert_close(ours: f64, theirs: f64, tolerance: f64) {
    assert!((ours - theirs).abs() <= tolerance, "{ours} is not {theirs}");
}

fn for_each_curve(check: impl Fn(&Scores, &Value)) {
    for curve in figures()["curves"].as_array().unwrap() {
        check(&Scores::new(floats(&curve["mated"]), floats(&curve["non_mated"])).unwrap(), curve);
    }
}

#[test]
fn auc_is_scikit_learns() {
    for_each_curve(|scores, theirs| assert_close(scores.auc(), number(&theirs["auc"]), 1e-12));
}

#[test]
fn eer_is_where_scipy_finds_the_interpolated_roc_to_cross() {
    for_each_curve(|scores, theirs| assert_close(scores.eer(), number(&theirs["eer"]), 1e-9));
}

#[test]
fn tar_at_far_is_the_last_point_of_scikit_learns_roc_within_the_target() {
    for_each_curve(|scores, theirs| {
        for (target, point) in theirs["tar_at_far"].as_object().unwrap() {
            let ours = scores.at_fmr(target.parse().unwrap()).unwrap();
            assert_close(ours.tar(), number(&point["tar"]), 1e-12);
            assert_close(ours.fmr.value(), number(&point["far"]), 1e-12);
        }
    });
}

#[test]
fn det_agrees_with_the_rates_at_each_of_its_thresholds_and_runs_from_all_to_nothing() {
    for_each_curve(|scores, _| {
        let det = scores.det();
        for point in &det {
            assert_close(point.fmr, scores.fmr(point.threshold).value(), 0.0);
            assert_close(point.fnmr, scores.fnmr(point.threshold).value(), 0.0);
        }
        let (first, last) = (det[0], det[det.len() - 1]);
        assert_eq!((first.fmr, first.fnmr, last.fmr, last.fnmr), (1.0, 0.0, 0.0, 1.0));
        assert!(det.windows(2).all(|pair| pair[0].threshold < pair[1].threshold));
    });
}

#[test]
fn ten_fold_accuracy_is_that_of_a_search_over_every_threshold() {
    let theirs = &figures()["ten_folds"];
    let column = |name: &str| theirs[name].as_array().unwrap().clone();
    let comparisons: Vec<Comparison> = column("fold")
        .iter()
        .zip(column("mated"))
        .zip(column("score"))
        .map(|((fold, mated), score)| Comparison {
            fold: fold.as_u64().unwrap() as usize,
            mated: mated.as_bool().unwrap(),
            score: number(&score) as f32,
        })
        .collect();
    let ours = cross_validated_accuracy(&comparisons).unwrap();
    for (fold, accuracy) in ours.folds.iter().zip(column("accuracies")) {
        assert_close(fold.accuracy, number(&accuracy), 1e-12);
    }
    assert_close(ours.mean, number(&theirs["mean"]), 1e-12);
    assert_close(ours.standard_error, number(&theirs["standard_error"]), 1e-12);
}

#[test]
fn the_difference_of_two_accuracies_is_that_of_their_folds() {
    // By hand: differences of 0.1 and 0.04 have the mean 0.07 and the sample deviation 0.06 / sqrt 2.
    let accuracy = |folds: &[f64]| {
        let folds = folds.iter().map(|&accuracy| Fold { threshold: 0.0, accuracy }).collect();
        Accuracy { mean: 0.0, standard_error: 0.0, folds }
    };
    let difference = accuracy(&[0.9, 0.84]).less(&accuracy(&[0.8, 0.8])).unwrap();
    assert_close(difference.mean, 0.07, 1e-12);
    assert_close(difference.standard_error, 0.03, 1e-12);
    assert_eq!(accuracy(&[0.9, 0.84]).less(&accuracy(&[0.8])), None);
}

#[test]
fn intervals_are_scipys_binomial_ones() {
    for theirs in figures()["intervals"].as_array().unwrap() {
        let rate = Rate::new(theirs["events"].as_u64().unwrap(), theirs["trials"].as_u64().unwrap());
        let confidence = number(&theirs["confidence"]);
        for (ours, name) in [(rate.wilson(confidence), "wilson"), (rate.clopper_pearson(confidence), "exact")] {
            assert_close(ours.low, number(&theirs[name][0]), 1e-9);
            assert_close(ours.high, number(&theirs[name][1]), 1e-9);
        }
    }
}

#[test]
fn no_trials_say_nothing() {
    let interval = Rate::new(0, 0).clopper_pearson(0.95);
    assert_eq!((interval.low, interval.high), (0.0, 1.0));
}
