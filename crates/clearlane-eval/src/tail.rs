//! The highest scores as a generalised Pareto distribution: peaks over a threshold.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;

use crate::BySubject;
use crate::bootstrap::{deviation, poisson};
use crate::calibration::ThresholdRange;
use crate::rate::student;

/// The tail is fitted to this share of the highest scores, but to no fewer and no more than stated: of millions the
/// highest are nearer to the limit that the distribution is.
const TAIL_SHARE: f64 = 0.01;
const TAIL_FEWEST: usize = 50;
const TAIL_MOST: usize = 2_000;

/// Simulated samples behind a probability of fit, and resamples behind an interval.
const SIMULATED: usize = 199;
const RESAMPLED: usize = 300;

/// A generalised Pareto distribution of the scores above `from`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TailFit {
    pub(crate) shape: f64,
    pub(crate) scale: f64,
    pub(crate) from: f32,
    pub(crate) excesses: u64,
    pub(crate) goodness: Goodness,
}

/// How well a distribution fits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Goodness {
    /// Anderson and Darling's A² (JASA 49, 1954), which weighs the ends.
    pub anderson_darling: f64,
    /// How often samples of the fitted distribution, fitted again, have an A² as high or higher (parametric bootstrap of
    /// 199 samples; Stute, Gonzáles Manteiga and Presedo Quindimil, Metrika 40, 1993). Scores are taken as independent.
    pub p: f64,
}

impl TailFit {
    /// The fit to the `highest` of `total` scores, descending, one or more.
    pub(crate) fn new(highest: &[f32], total: u64) -> Self {
        let most = highest.len().saturating_sub(1).max(1);
        let excesses = ((total as f64 * TAIL_SHARE) as usize).clamp(TAIL_FEWEST, TAIL_MOST).min(most);
        let from = highest.get(excesses).or(highest.last()).copied().unwrap_or(1.0);
        // Ascending.
        let sample: Vec<f64> = highest.iter().take(excesses).rev().map(|&s| f64::from(s) - f64::from(from)).collect();
        let (shape, scale) = moments(sample.iter().map(|&excess| (excess, 1.0)));
        let goodness = goodness(&sample, shape, scale);
        Self { shape, scale, from, excesses: sample.len() as u64, goodness }
    }

    /// The score that a share of `target` of `total` scores exceeds.
    pub(crate) fn quantile(&self, target: f64, total: u64) -> f64 {
        f64::from(self.from) + excess(self.shape, self.scale, target * total as f64 / self.excesses as f64)
    }

    /// Where that score lies with 95 % confidence: excesses drawn anew, by subject where subjects are known; symmetrical
    /// in the logarithm of the excess.
    pub(crate) fn interval(
        &self,
        target: f64,
        total: u64,
        highest: &[f32],
        subjects: Option<&BySubject<'_>>,
    ) -> Option<ThresholdRange> {
        let estimate = self.quantile(target, total) - f64::from(self.from);
        // Of fewer excesses than a few dozen, or of equal ones, resamples say nothing.
        if self.excesses < TAIL_FEWEST as u64 || self.scale <= 0.0 || estimate <= 0.0 {
            return None;
        }
        let count = self.excesses as usize;
        let sample: Vec<f64> = highest[..count].iter().rev().map(|&s| f64::from(s) - f64::from(self.from)).collect();
        let mut random = StdRng::seed_from_u64(19_795);
        let mut counts = Vec::with_capacity(RESAMPLED);
        let resampled = (0..RESAMPLED).filter_map(|_| {
            let mut draw = || poisson(random.random());
            let (weights, all): (Vec<f64>, f64) = match subjects {
                Some(scores) => {
                    let subjects: Vec<f64> = (0..scores.all_subjects()).map(|_| draw()).collect();
                    let weight = |pair: &crate::Pair| subjects[pair.a as usize] * subjects[pair.b as usize];
                    let weights = scores.highest[..count].iter().rev().map(weight).collect();
                    (weights, scores.weighted_total(&subjects))
                }
                None => ((0..count).map(|_| draw()).collect(), total as f64),
            };
            let weight: f64 = weights.iter().sum();
            counts.push(weight / all);
            let (shape, scale) = moments(sample.iter().copied().zip(weights));
            let quantile = excess(shape, scale, target * all / weight);
            (quantile > 0.0 && quantile.is_finite()).then(|| quantile.ln())
        });
        let logarithms: Vec<f64> = resampled.collect();
        // Products of subjects' weights spread pairs too widely: see `Bootstrap`.
        let shrink = subjects.map_or(1.0, |scores| {
            (scores.variance(count).sqrt() / deviation(&counts)).clamp(1.0 / 3.0_f64.sqrt(), 1.0)
        });
        let half = student(0.95, 60.0) * deviation(&logarithms) * shrink;
        let end = |half: f64| (f64::from(self.from) + estimate * half.exp()) as f32;
        half.is_finite().then(|| ThresholdRange { low: end(-half), high: end(half) })
    }
}

/// What a share of `ratio` of the excesses exceeds.
fn excess(shape: f64, scale: f64, ratio: f64) -> f64 {
    if shape > 0.0 { scale / shape * (ratio.powf(-shape) - 1.0) } else { -scale * ratio.ln() }
}

/// Shape and scale of weighted, ascending excesses, by Hosking and Wallis: from their mean, and the mean weighted by the
/// share of excesses above each.
fn moments(ascending: impl Iterator<Item = (f64, f64)> + Clone) -> (f64, f64) {
    let all: f64 = ascending.clone().map(|(_, weight)| weight).sum();
    let (mut mean, mut weighted, mut below) = (0.0, 0.0, 0.0);
    for (excess, weight) in ascending {
        mean += weight * excess / all;
        // Equal draws of one excess lie above each other by turns.
        let above = all - below - f64::midpoint(weight, 1.0);
        weighted += weight * excess * above.max(0.0) / (all * (all - 1.0).max(1.0));
        below += weight;
    }
    let denominator = mean - 2.0 * weighted;
    let shape = if denominator > 0.0 { 2.0 - mean / denominator } else { 0.0 };
    if shape > 0.0 { (shape, 2.0 * mean * weighted / denominator) } else { (0.0, mean) }
}

fn goodness(ascending: &[f64], shape: f64, scale: f64) -> Goodness {
    if scale <= 0.0 {
        return Goodness { anderson_darling: f64::INFINITY, p: 0.0 };
    }
    let statistic = anderson_darling(ascending, shape, scale);
    let mut random = StdRng::seed_from_u64(30_107);
    let as_high = (0..SIMULATED).filter(|_| {
        let mut sample: Vec<f64> =
            (0..ascending.len()).map(|_| excess(shape, scale, 1.0 - random.random::<f64>())).collect();
        sample.sort_unstable_by(f64::total_cmp);
        let (shape, scale) = moments(sample.iter().map(|&excess| (excess, 1.0)));
        anderson_darling(&sample, shape, scale) >= statistic
    });
    Goodness { anderson_darling: statistic, p: (as_high.count() + 1) as f64 / (SIMULATED + 1) as f64 }
}

fn anderson_darling(ascending: &[f64], shape: f64, scale: f64) -> f64 {
    let count = ascending.len() as f64;
    let above = |excess: f64| {
        let x = excess / scale;
        let above = if shape > 0.0 { (1.0 + shape * x).powf(-1.0 / shape) } else { (-x).exp() };
        above.clamp(1e-300, 1.0 - 1e-16)
    };
    let tails: Vec<f64> = ascending.iter().map(|&excess| above(excess)).collect();
    let terms = tails.iter().zip(tails.iter().rev()).enumerate();
    let sum: f64 = terms.map(|(i, (low, high))| (2 * i + 1) as f64 * (f64::ln_1p(-low) + high.ln())).sum();
    -count - sum / count
}
