//! Which threshold gives a false match rate, and how far the scores support the answer.

use serde::Serialize;

use crate::scores::{sorted, threshold_at};
use crate::{Rate, ScoreError};

/// ISO/IEC 19795-1 and Doddington's rule of 30: a rate is known within ±30 % (90 % confidence) once 30 errors are seen.
const RULE_OF_30: u64 = 30;

/// The tail is fitted to this share of the highest scores, but to no fewer than [`TAIL_FEWEST`].
const TAIL_SHARE: f64 = 0.01;
const TAIL_FEWEST: usize = 50;

/// A threshold for a false match rate, from non-mated scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FmrThreshold {
    /// The false match rate that was asked for.
    pub target_fmr: f64,
    /// Scores at or above it match.
    pub threshold: f32,
    /// How it was found.
    pub method: Method,
    /// What the scores themselves show at this threshold.
    pub observed: Rate,
}

/// How a threshold was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "method", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Method {
    /// Counted: enough scores lie above it (30 or more).
    Counted,
    /// Extrapolated: too few scores lie above it, so a generalised Pareto distribution was fitted to the highest ones
    /// (probability-weighted moments; Hosking and Wallis, Technometrics 29, 1987). A shape below 0 would promise an end
    /// of the tail that nobody has seen; it is taken as 0, which errs towards a higher threshold.
    TailFit {
        /// The shape ξ, at least 0.
        shape: f64,
        /// The scale σ.
        scale: f64,
        /// The score above which the fit holds.
        from: f32,
        /// How many scores it rests on.
        excesses: u64,
    },
}

/// Non-mated scores, ready to calibrate thresholds from.
#[derive(Clone, Debug)]
pub struct Calibrator {
    /// Ascending.
    non_mated: Vec<f32>,
}

impl Calibrator {
    /// From non-mated scores in any order; at least one, all finite.
    pub fn new(non_mated: Vec<f32>) -> Result<Self, ScoreError> {
        Ok(Self { non_mated: sorted("non-mated", non_mated)? })
    }

    /// The threshold whose false match rate is `target_fmr`, in (0, 1).
    pub fn at_fmr(&self, target_fmr: f64) -> Result<FmrThreshold, ScoreError> {
        let counted = threshold_at(&self.non_mated, target_fmr)?;
        let (threshold, method) = if target_fmr * self.non_mated.len() as f64 >= RULE_OF_30 as f64 {
            (counted, Method::Counted)
        } else {
            let (quantile, method) = tail_fit(&self.non_mated, target_fmr);
            ((quantile as f32).max(counted), method)
        };
        let below = self.non_mated.partition_point(|&score| score < threshold);
        let observed = Rate::new((self.non_mated.len() - below) as u64, self.non_mated.len() as u64);
        Ok(FmrThreshold { target_fmr, threshold, method, observed })
    }
}

fn tail_fit(ascending: &[f32], target: f64) -> (f64, Method) {
    let total = ascending.len();
    let excesses = ((total as f64 * TAIL_SHARE) as usize).max(TAIL_FEWEST).min(total - 1).max(1);
    let from = ascending[total.saturating_sub(excesses + 1)];
    let tail = &ascending[total - excesses..];
    // b0 and b1 of Hosking and Wallis: the mean excess, and the mean weighted by the share of excesses above each.
    let count = excesses as f64;
    let (mut mean, mut weighted) = (0.0, 0.0);
    for (rank, &score) in tail.iter().enumerate() {
        let excess = f64::from(score) - f64::from(from);
        mean += excess / count;
        weighted += excess * (count - 1.0 - rank as f64) / (count * (count - 1.0).max(1.0));
    }
    let denominator = mean - 2.0 * weighted;
    let fitted = if denominator > 0.0 { 2.0 - mean / denominator } else { 0.0 };
    let (shape, scale) = if fitted > 0.0 { (fitted, 2.0 * mean * weighted / denominator) } else { (0.0, mean) };
    let ratio = target * total as f64 / count;
    let beyond = if shape > 0.0 { scale / shape * (ratio.powf(-shape) - 1.0) } else { -scale * ratio.ln() };
    (f64::from(from) + beyond, Method::TailFit { shape, scale, from, excesses: excesses as u64 })
}
