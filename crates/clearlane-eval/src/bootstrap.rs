//! Curves with their intervals: the detection error trade-off, had other subjects of the same kind come.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rayon::prelude::*;
use serde::Serialize;

use crate::rate::student;
use crate::{BySubject, Interval, Rate, ScoreError};

/// A point of the trade-off: the false non-match rate where the threshold is set by the false match rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FnmrAtFmr {
    /// The false match rate.
    pub target_fmr: f64,
    /// The threshold that gives it on these scores.
    pub threshold: f32,
    /// The false non-matches there.
    pub fnmr: Rate,
    /// The false non-match rate there.
    pub value: f64,
    /// Where the rate lies with 95 % confidence, the choice of the threshold included.
    pub interval: Interval,
}

/// Resampling of subjects.
#[derive(Clone, Copy, Debug)]
pub struct Bootstrap {
    /// How often; 400 give an interval's ends to about a twentieth of its length.
    pub replicates: usize,
    /// The random numbers' seed: the same seed, the same figures.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { replicates: 400, seed: 19_795 }
    }
}

impl Bootstrap {
    /// The false non-match rate at each of the false match rates `targets`, in (0, 1); those that the comparisons do not
    /// support, or that lie below the scores that are known one by one, are left out.
    ///
    /// Each replicate gives every subject a weight (Poisson of mean 1), and every comparison the product of its subjects'
    /// weights; threshold and rate are found anew. Products spread pairs too widely, by up to √3 (Owen, "The pigeonhole
    /// bootstrap", Annals of Applied Statistics 1, 2007, theorem 2); each replicate's threshold is drawn back by the ratio
    /// of the standard errors that dyads and replicates give the false match rate. The interval is symmetrical in the log odds.
    pub fn fnmr_at_fmr(&self, scores: &BySubject<'_>, targets: &[f64]) -> Result<Vec<FnmrAtFmr>, ScoreError> {
        let (mated, non_mated) = scores.counts();
        if mated == 0 {
            return Err(ScoreError::Empty { kind: "mated" });
        }
        let mut points = Vec::new();
        for &target_fmr in targets {
            let threshold = scores.threshold_at(target_fmr)?;
            if Rate::supports(non_mated, target_fmr) && threshold >= scores.known_from() {
                points.push((target_fmr, threshold));
            }
        }
        let replicates: Vec<Vec<Replicate>> = (0..self.replicates.max(2))
            .into_par_iter()
            .map(|number| {
                let mut random = StdRng::seed_from_u64(self.seed.wrapping_add(number as u64));
                let weights: Vec<f64> = (0..scores.all_subjects()).map(|_| poisson(random.random())).collect();
                replicate(scores, &weights, &points)
            })
            .collect();
        let curve = points.iter().enumerate().map(|(place, &(target_fmr, threshold))| {
            let drawn: Vec<&Replicate> = replicates.iter().filter_map(|points| points.get(place)).collect();
            let fmrs: Vec<f64> = drawn.iter().map(|replicate| replicate.fmr).collect();
            let dyads = scores.variance(scores.matches(threshold)).sqrt();
            let shrink = (dyads / deviation(&fmrs)).clamp(0.0, 1.0);
            let shrink = if shrink.is_finite() { shrink.max(1.0 / 3.0_f64.sqrt()) } else { 1.0 };
            let log_odds: Vec<f64> = drawn
                .iter()
                .map(|replicate| {
                    let moved = f64::from(replicate.threshold) - f64::from(threshold);
                    let at = (f64::from(threshold) + shrink * moved) as f32;
                    replicate.log_odds(scores, at)
                })
                .collect();
            let rate = Rate::new(scores.missed(threshold) as u64, mated);
            let (p, n) = (rate.value(), mated as f64);
            let interval = if rate.events == 0 || rate.events == mated {
                rate.with(rate.clopper_pearson(0.95), crate::IntervalMethod::ClopperPearson).interval
            } else {
                // Half an event more, as in every replicate, so that one without an event has log odds.
                let independent = (1.0 / (n * p * (1.0 - p))).sqrt();
                let half = student(0.95, scores.subjects() as f64 - 1.0) * deviation(&log_odds).max(independent);
                let odds = |shift: f64| 1.0 / (1.0 + (-((p / (1.0 - p)).ln() + shift)).exp());
                Interval { low: odds(-half), high: odds(half) }
            };
            FnmrAtFmr { target_fmr, threshold, fnmr: rate, value: p, interval }
        });
        Ok(curve.collect())
    }
}

struct Replicate {
    /// The threshold that the replicate finds for the target.
    threshold: f32,
    /// The replicate's false match rate at the sample's threshold.
    fmr: f64,
    weights: std::sync::Arc<[f64]>,
    mated: f64,
}

fn replicate(scores: &BySubject<'_>, weights: &[f64], points: &[(f64, f32)]) -> Vec<Replicate> {
    let total = scores.weighted_total(weights);
    let mated: f64 = scores.mated.iter().map(|(subject, _)| weights[*subject as usize]).sum();
    let weights: std::sync::Arc<[f64]> = weights.into();
    let one = |&(target, threshold): &(f64, f32)| {
        let (mut sum, mut fmr, mut found) = (0.0, None, None);
        for pair in &scores.highest {
            if fmr.is_none() && pair.score < threshold {
                fmr = Some(sum / total);
            }
            sum += weights[pair.a as usize] * weights[pair.b as usize];
            if found.is_none() && sum > target * total {
                found = Some(pair.score.next_up());
            }
            if fmr.is_some() && found.is_some() {
                break;
            }
        }
        Replicate {
            threshold: found.unwrap_or_else(|| scores.known_from()),
            fmr: fmr.unwrap_or(sum / total),
            weights: weights.clone(),
            mated,
        }
    };
    points.iter().map(one).collect()
}

impl Replicate {
    fn log_odds(&self, scores: &BySubject<'_>, threshold: f32) -> f64 {
        let missed: f64 = scores.mated[..scores.missed(threshold)].iter().map(|(s, _)| self.weights[*s as usize]).sum();
        ((missed + 0.5) / (self.mated - missed + 0.5)).ln()
    }
}

fn deviation(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt()
}

/// A Poisson number of mean 1 from a uniform one in [0, 1).
fn poisson(uniform: f64) -> f64 {
    let (mut k, mut probability) = (0.0, (-1.0_f64).exp());
    let mut cumulative = probability;
    while uniform > cumulative && k < 20.0 {
        k += 1.0;
        probability /= k;
        cumulative += probability;
    }
    k
}
