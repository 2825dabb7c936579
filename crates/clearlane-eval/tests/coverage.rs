//! Intervals cover the truth as often as they say: a thousand draws of worlds whose rates are known.
#![allow(clippy::unwrap_used)]

mod support;

use clearlane_eval::{Bootstrap, Calibrator, Interval, Rate};
use rayon::prelude::*;
use support::{WORLD, World, normal, uniform};

const DRAWS: u64 = 1_000;

/// How often a draw's intervals hold the truth, kind by kind.
fn shares<const N: usize>(draw: impl Fn(u64) -> [bool; N] + Sync + Send) -> [f64; N] {
    let held: Vec<[bool; N]> = (0..DRAWS).into_par_iter().map(&draw).collect();
    std::array::from_fn(|kind| held.iter().filter(|held| held[kind]).count() as f64 / DRAWS as f64)
}

fn assert_covers(share: f64, what: &str) {
    println!("{what}: {share:.3}");
    assert!((0.93..=0.97).contains(&share), "{what}: covers the truth in {share:.3} of the draws");
}

fn holds(interval: Interval, truth: f64) -> bool {
    interval.low <= truth && truth <= interval.high
}

fn range_holds(low: f32, high: f32, truth: f64) -> bool {
    f64::from(low) <= truth && truth <= f64::from(high)
}

#[test]
fn of_independent_trials_wilson_covers_and_clopper_pearson_covers_no_less_than_it_says() {
    let [wilson, exact] = shares(|draw| {
        let events = (0..400).filter(|&trial| uniform(&[draw, trial]) < 0.08).count();
        let rate = Rate::new(events as u64, 400);
        [holds(rate.wilson(0.95), 0.08), holds(rate.clopper_pearson(0.95), 0.08)]
    });
    assert_covers(wilson, "Wilson");
    // Never below its confidence, but for the luck of a thousand draws (two standard errors); often above.
    assert!(exact >= 0.95 - 0.014, "Clopper and Pearson: {exact}");
}

#[test]
fn where_no_error_is_seen_the_rule_of_three_covers() {
    // At a rate of 3/N no error is seen in one of twenty samples: then alone the limit lies at the rate.
    let [covered] = shares(|draw| {
        let events = (0..300).filter(|&trial| uniform(&[draw, trial]) < 0.0101).count();
        [Rate::new(events as u64, 300).rule_of_three().is_none_or(|limit| limit >= 0.0101)]
    });
    assert_covers(covered, "rule of three");
}

#[test]
fn rates_thresholds_and_curves_by_subject_cover() {
    let threshold = WORLD.threshold(0.05) as f32;
    let names = ["FMR", "FNMR", "threshold for a FMR", "FNMR at a FMR (bootstrap)"];
    let covered = shares(|draw| {
        let pairs = WORLD.draw(draw);
        let scores = pairs.by_subject();
        let range = scores.threshold(0.05).unwrap().unwrap();
        let bootstrap = Bootstrap { replicates: 200, seed: draw };
        let curve = bootstrap.fnmr_at_fmr(&scores, &[0.02]).unwrap();
        [
            holds(scores.fmr(threshold).interval, 0.05),
            holds(scores.fnmr(0.3).interval, WORLD.fnmr(0.3)),
            range_holds(range.low, range.high, WORLD.threshold(0.05)),
            holds(curve[0].interval, WORLD.fnmr(WORLD.threshold(0.02))),
        ]
    });
    names.iter().zip(covered).for_each(|(name, share)| assert_covers(share, name));
}

#[test]
fn where_subjects_share_nothing_intervals_by_subject_are_no_wider_than_they_must_be() {
    let world = World { shared: 0.0, ..WORLD };
    let threshold = world.threshold(0.02) as f32;
    let [covered] = shares(|draw| [holds(world.draw(draw).by_subject().fmr(threshold).interval, 0.02)]);
    assert_covers(covered, "FMR, nothing shared");
}

#[test]
fn rates_and_thresholds_of_groups_cover_within_and_across() {
    let world = World { subjects: 100, groups: 2, step: 0.05, ..WORLD };
    let names = ["FMR within 0", "FMR within 1", "FMR across", "FNMR of 1", "threshold of 1"];
    let covered = shares(|draw| {
        let pairs = world.draw(draw);
        let between = |a, b| pairs.between([(a, b)]);
        let threshold = 0.22;
        let fmr =
            |a: u16, b: u16| holds(between(a, b).fmr(threshold).interval, world.fmr(threshold, a.into(), b.into()));
        let range = between(1, 1).threshold(0.05).unwrap().unwrap();
        [
            fmr(0, 0),
            fmr(1, 1),
            fmr(0, 1),
            holds(between(1, 1).fnmr(0.3).interval, world.fnmr(0.3)),
            range_holds(range.low, range.high, world.threshold(0.05) + world.step),
        ]
    });
    names.iter().zip(covered).for_each(|(name, share)| assert_covers(share, name));
}

#[test]
fn thresholds_of_independent_scores_cover_counted_and_extrapolated() {
    // Above 0.2 a generalised Pareto tail, ξ = 0.15 and σ = 0.03, that one score in fifty reaches.
    let beyond = |p: f64| 0.2 + 0.03 / 0.15 * ((p / 0.02).powf(-0.15) - 1.0);
    let [counted, extrapolated] = shares(|draw| {
        let score = |index: u64| {
            let p = uniform(&[draw, index]);
            if p < 0.02 { beyond(p) } else { 0.2 - 0.3 * p }
        };
        let calibrator = Calibrator::new((0..20_000).map(|index| score(index) as f32).collect()).unwrap();
        [5e-3, 2e-4].map(|target| {
            let range = calibrator.at_fmr(target).unwrap().interval.unwrap();
            range_holds(range.low, range.high, beyond(target))
        })
    });
    assert_covers(counted, "threshold, counted");
    assert_covers(extrapolated, "threshold, extrapolated");
}

#[test]
fn a_fit_passes_where_the_tail_is_of_its_kind_and_fails_where_it_is_not() {
    let fitted = |scores: Vec<f32>| {
        let threshold = Calibrator::new(scores).unwrap().at_fmr(1e-6).unwrap();
        threshold.warnings.iter().any(|warning| matches!(warning, clearlane_eval::CalibrationWarning::PoorFit { .. }))
    };
    let exponential = |draw: u64| (0..20_000).map(|i| (-0.04 * uniform(&[draw, i]).ln()) as f32).collect();
    let poor = (0..200).filter(|&draw| fitted(exponential(draw))).count();
    assert!(poor <= 24, "{poor} of 200 good fits are called poor, where one in twenty should");
    // A twin: one score in three hundred lies around 0.8, far above all others.
    let twins = (0..20_000).map(|i| if i % 300 == 0 { 0.8 } else { 0.0 } + 0.02 * normal(&[i])).map(|s| s as f32);
    assert!(fitted(twins.collect()));
}
