//! 1:1: what mated and non-mated comparison scores say about a matcher.

use serde::Serialize;

use crate::Rate;

/// The comparison scores of a test, mated and non-mated, ready for every rate of ISO/IEC 19795-1:2021.
#[derive(Clone, Debug)]
pub struct Scores {
    /// Ascending.
    mated: Vec<f32>,
    /// Ascending.
    non_mated: Vec<f32>,
}

/// The scores or the target of a figure make no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// There are no scores of this kind.
    #[error("no {kind} scores: a rate needs at least one")]
    Empty {
        /// `mated` or `non-mated`.
        kind: &'static str,
    },
    /// A score is NaN or infinite.
    #[error("{kind} score {index}: expected a finite value, got {value}")]
    NotFinite {
        /// `mated` or `non-mated`.
        kind: &'static str,
        /// Its place among those given.
        index: usize,
        /// The score.
        value: f32,
    },
    /// A rate that was asked for lies outside (0, 1).
    #[error("expected a target rate between 0 and 1, got {value}")]
    Target {
        /// The target.
        value: f64,
    },
    /// A fold holds no comparison, or there are fewer than two folds.
    #[error("expected two or more folds, none empty, got {folds} with {empty} empty")]
    Folds {
        /// How many folds the comparisons name.
        folds: usize,
        /// How many of them have no comparison.
        empty: usize,
    },
}

/// A point of the detection error trade-off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DetPoint {
    /// Scores at or above it match.
    pub threshold: f32,
    /// The false match rate there.
    pub fmr: f64,
    /// The false non-match rate there.
    pub fnmr: f64,
}

/// The matcher set to a false match rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OperatingPoint {
    /// The false match rate asked for.
    pub target_fmr: f64,
    /// The lowest threshold with at most that rate on these scores.
    pub threshold: f32,
    /// The false matches there.
    pub fmr: Rate,
    /// The false non-matches there; the true accept rate (TAR) is one minus it.
    pub fnmr: Rate,
}

impl OperatingPoint {
    /// The share of mated comparisons that match.
    #[must_use]
    pub fn tar(&self) -> f64 {
        1.0 - self.fnmr.value()
    }
}

impl Scores {
    /// The scores of a test, in any order; at least one of each kind, all finite.
    pub fn new(mated: Vec<f32>, non_mated: Vec<f32>) -> Result<Self, ScoreError> {
        Ok(Self { mated: sorted("mated", mated)?, non_mated: sorted("non-mated", non_mated)? })
    }

    /// How many mated and non-mated scores there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.mated.len(), self.non_mated.len())
    }

    /// False matches at `threshold`: non-mated scores at or above it.
    #[must_use]
    pub fn fmr(&self, threshold: f32) -> Rate {
        let total = self.non_mated.len();
        Rate::new((total - below(&self.non_mated, threshold)) as u64, total as u64)
    }

    /// False non-matches at `threshold`: mated scores below it.
    #[must_use]
    pub fn fnmr(&self, threshold: f32) -> Rate {
        Rate::new(below(&self.mated, threshold) as u64, self.mated.len() as u64)
    }

    /// The lowest threshold whose false match rate on these scores is at most `target_fmr`, in (0, 1), with the rates
    /// that it gives.
    pub fn at_fmr(&self, target_fmr: f64) -> Result<OperatingPoint, ScoreError> {
        let threshold = threshold_at(&self.non_mated, target_fmr)?;
        Ok(OperatingPoint { target_fmr, threshold, fmr: self.fmr(threshold), fnmr: self.fnmr(threshold) })
    }

    /// The whole trade-off, by ascending threshold: one point at every distinct score and one above the highest.
    #[must_use]
    pub fn det(&self) -> Vec<DetPoint> {
        let (mated, non_mated) = (self.mated.len() as f64, self.non_mated.len() as f64);
        let point = |threshold, missed: usize, rejected: usize| DetPoint {
            threshold,
            fmr: (non_mated - rejected as f64) / non_mated,
            fnmr: missed as f64 / mated,
        };
        let mut points = Vec::new();
        let (mut m, mut n) = (0, 0);
        while m < self.mated.len() || n < self.non_mated.len() {
            let next = |scores: &[f32], at: usize| scores.get(at).copied().unwrap_or(f32::INFINITY);
            let threshold = next(&self.mated, m).min(next(&self.non_mated, n));
            points.push(point(threshold, m, n));
            m += run(&self.mated[m..], threshold);
            n += run(&self.non_mated[n..], threshold);
        }
        let highest = points.last().map_or(0.0, |last| last.threshold);
        points.push(point(highest.next_up(), m, n));
        points
    }

    /// The equal error rate: where FMR and FNMR meet, on the straight line between the two points of the DET around it.
    #[must_use]
    pub fn eer(&self) -> f64 {
        let mut before = DetPoint { threshold: f32::NEG_INFINITY, fmr: 1.0, fnmr: 0.0 };
        for point in self.det() {
            let gap = point.fnmr - point.fmr;
            if gap >= 0.0 {
                let share = (before.fmr - before.fnmr) / (before.fmr - before.fnmr + gap);
                return before.fmr + share * (point.fmr - before.fmr);
            }
            before = point;
        }
        before.fmr
    }

    /// The area under the receiver operating characteristic: the probability that a mated score exceeds a non-mated
    /// one, ties counted as half (Mann and Whitney's U over the number of pairs).
    #[must_use]
    pub fn auc(&self) -> f64 {
        // Twice the wins, in integers: exact up to 2^63 pairs.
        let twice: u128 = self
            .mated
            .iter()
            .map(|&score| (below(&self.non_mated, score) + at_most(&self.non_mated, score)) as u128)
            .sum();
        twice as f64 / (2.0 * self.mated.len() as f64 * self.non_mated.len() as f64)
    }
}

/// The lowest threshold that at most `target` of the ascending `non_mated` scores reach.
pub(crate) fn threshold_at(non_mated: &[f32], target: f64) -> Result<f32, ScoreError> {
    if !(target > 0.0 && target < 1.0) {
        return Err(ScoreError::Target { value: target });
    }
    // The small factor keeps 0.29 × 100 at 29, where floating point gives 28.999….
    let allowed = (target * non_mated.len() as f64 * (1.0 + 1e-12)) as usize;
    let highest_refused = non_mated[non_mated.len() - 1 - allowed.min(non_mated.len() - 1)];
    Ok(highest_refused.next_up())
}

pub(crate) fn sorted(kind: &'static str, mut scores: Vec<f32>) -> Result<Vec<f32>, ScoreError> {
    if scores.is_empty() {
        return Err(ScoreError::Empty { kind });
    }
    if let Some((index, &value)) = scores.iter().enumerate().find(|(_, score)| !score.is_finite()) {
        return Err(ScoreError::NotFinite { kind, index, value });
    }
    scores.sort_unstable_by(f32::total_cmp);
    Ok(scores)
}

fn below(ascending: &[f32], threshold: f32) -> usize {
    ascending.partition_point(|&score| score < threshold)
}

fn at_most(ascending: &[f32], threshold: f32) -> usize {
    ascending.partition_point(|&score| score <= threshold)
}

/// How many of the first scores equal `value`.
fn run(ascending: &[f32], value: f32) -> usize {
    ascending.iter().take_while(|&&score| score == value).count()
}
