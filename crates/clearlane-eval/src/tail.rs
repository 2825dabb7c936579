//! The highest scores as a generalised Pareto distribution: peaks over a threshold.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;

use crate::calibration::ThresholdRange;

/// The tail is fitted to this share of the highest scores, but to no fewer and no more than stated: of millions the
/// highest are nearer to the limit that the distribution is.
const TAIL_SHARE: f64 = 0.01;
const TAIL_FEWEST: usize = 50;
const TAIL_MOST: usize = 2_000;

/// Simulated samples behind a probability of fit.
const SIMULATED: usize = 199;

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
        let (shape, scale) = moments(&sample);
        let goodness = goodness(&sample, shape, scale);
        Self { shape, scale, from, excesses: sample.len() as u64, goodness }
    }

    /// The score that a share of `target` of `total` scores exceeds.
    pub(crate) fn quantile(&self, target: f64, total: u64) -> f64 {
        f64::from(self.from) + excess(self.shape, self.scale, target * total as f64 / self.excesses as f64)
    }

    /// Where that score lies with 95 % confidence, by the profile of the likelihood over the shape, 0 or more (Coles, "An
    /// Introduction to Statistical Modeling of Extreme Values", 2001, section 4.3.3). `effect` is how many times wider than
    /// of independent scores the variance of their number is.
    pub(crate) fn interval(&self, target: f64, total: u64, highest: &[f32], effect: f64) -> Option<ThresholdRange> {
        let estimate = self.quantile(target, total) - f64::from(self.from);
        // Of fewer excesses than a few dozen, or of equal ones, the likelihood says nothing.
        if self.excesses < TAIL_FEWEST as u64 || self.scale <= 0.0 || estimate <= 0.0 {
            return None;
        }
        let ratio = target * total as f64 / self.excesses as f64;
        let sample: Vec<f64> =
            highest[..self.excesses as usize].iter().map(|&score| f64::from(score) - f64::from(self.from)).collect();
        let profile = |logarithm: f64| {
            let (_, most) =
                maximum(0.0, 2.0, |shape| log_likelihood(&sample, shape, scale(logarithm.exp(), shape, ratio)));
            most
        };
        let (low, high) = (estimate.ln() - 3.0, estimate.ln() + 3.0);
        let (best, most) = maximum(low, high, profile);
        // Half of the quantile of χ² with one degree of freedom.
        let least = most - 1.920_73 * effect.max(1.0);
        let end = |mut outside: f64| {
            let mut inside = best;
            for _ in 0..20 {
                let middle = f64::midpoint(inside, outside);
                if profile(middle) >= least { inside = middle } else { outside = middle }
            }
            f64::from(self.from) + inside.exp()
        };
        let estimate = f64::from(self.from) + estimate;
        // No score is above 1.
        let high = end(high).min(1.0).max(estimate);
        Some(ThresholdRange { low: end(low).min(estimate) as f32, high: high as f32 })
    }
}

fn log_likelihood(excesses: &[f64], shape: f64, scale: f64) -> f64 {
    let sum: f64 = if shape > SMALL {
        (1.0 + 1.0 / shape) * excesses.iter().map(|excess| f64::ln_1p(shape * excess / scale)).sum::<f64>()
    } else {
        excesses.iter().sum::<f64>() / scale
    };
    -(excesses.len() as f64) * scale.ln() - sum
}

/// The scale at which a share of `ratio` of the excesses exceeds `excess`.
fn scale(excess: f64, shape: f64, ratio: f64) -> f64 {
    if shape > SMALL { excess * shape / (ratio.powf(-shape) - 1.0) } else { excess / -ratio.ln() }
}

/// Below this shape the distribution is the exponential one, to the accuracy of its formulas.
const SMALL: f64 = 1e-6;

/// Where a function with one peak is highest between two ends, and its value there (golden section).
fn maximum(mut low: f64, mut high: f64, value: impl Fn(f64) -> f64) -> (f64, f64) {
    let part = (3.0 - 5.0_f64.sqrt()) / 2.0;
    let (mut left, mut right) = (low + part * (high - low), high - part * (high - low));
    let (mut at_left, mut at_right) = (value(left), value(right));
    for _ in 0..22 {
        if at_left >= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = low + part * (high - low);
            at_left = value(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = high - part * (high - low);
            at_right = value(right);
        }
    }
    if at_left >= at_right { (left, at_left) } else { (right, at_right) }
}

/// What a share of `ratio` of the excesses exceeds.
fn excess(shape: f64, scale: f64, ratio: f64) -> f64 {
    if shape > 0.0 { scale / shape * (ratio.powf(-shape) - 1.0) } else { -scale * ratio.ln() }
}

/// Shape and scale of ascending excesses, by Hosking and Wallis: from their mean, and the mean weighted by the share of
/// excesses above each.
fn moments(ascending: &[f64]) -> (f64, f64) {
    let count = ascending.len() as f64;
    let (mut mean, mut weighted) = (0.0, 0.0);
    for (rank, &excess) in ascending.iter().enumerate() {
        mean += excess / count;
        weighted += excess * (count - 1.0 - rank as f64) / (count * (count - 1.0).max(1.0));
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
        let (shape, scale) = moments(&sample);
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
