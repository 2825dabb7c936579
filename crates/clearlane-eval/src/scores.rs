//! 1:1: what mated and non-mated comparison scores say about a matcher.

use serde::Serialize;

use crate::ordered::Ordered;
use crate::{Distribution, Rate};

/// The comparison scores of a test, mated and non-mated, ready for every rate of ISO/IEC 19795-1:2021.
///
/// They are lists, or, where they would be too many, distributions: then thresholds are bin edges, and the rates at them
/// exact.
#[derive(Clone, Debug)]
pub struct Scores {
    mated: Ordered,
    non_mated: Ordered,
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
        Ok(Self { mated: Ordered::list("mated", mated)?, non_mated: Ordered::list("non-mated", non_mated)? })
    }

    /// The scores of a test that were counted as they came; at least one of each kind.
    pub fn binned(mated: Distribution, non_mated: Distribution) -> Result<Self, ScoreError> {
        Ok(Self { mated: Ordered::binned("mated", mated)?, non_mated: Ordered::binned("non-mated", non_mated)? })
    }

    /// How many mated and non-mated scores there are.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.mated.total(), self.non_mated.total())
    }

    /// False matches at `threshold`: non-mated scores at or above it. Of distributions, at or above the edge under it.
    #[must_use]
    pub fn fmr(&self, threshold: f32) -> Rate {
        let total = self.non_mated.total();
        Rate::new(total - self.non_mated.below(threshold), total)
    }

    /// False non-matches at `threshold`: mated scores below it. Of distributions, below the edge under it.
    #[must_use]
    pub fn fnmr(&self, threshold: f32) -> Rate {
        Rate::new(self.mated.below(threshold), self.mated.total())
    }

    /// The lowest threshold whose false match rate on these scores is at most `target_fmr`, in (0, 1), with the rates
    /// that it gives.
    pub fn at_fmr(&self, target_fmr: f64) -> Result<OperatingPoint, ScoreError> {
        let threshold = self.non_mated.threshold_at(target_fmr)?;
        Ok(OperatingPoint { target_fmr, threshold, fmr: self.fmr(threshold), fnmr: self.fnmr(threshold) })
    }

    /// The whole trade-off, by ascending threshold: one point at every distinct score and one above the highest.
    #[must_use]
    pub fn det(&self) -> Vec<DetPoint> {
        let (mated, non_mated) = self.counts();
        let point = |threshold, missed: u64, rejected: u64| DetPoint {
            threshold,
            fmr: (non_mated - rejected) as f64 / non_mated as f64,
            fnmr: missed as f64 / mated as f64,
        };
        let mut points: Vec<DetPoint> = Vec::new();
        let (mut m, mut n) = (0, 0);
        for (threshold, mated, non_mated) in self.steps() {
            points.push(point(threshold, m, n));
            m += mated;
            n += non_mated;
        }
        let highest = points.last().map_or(0.0, |last| last.threshold);
        points.push(point(self.non_mated.above(highest), m, n));
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
    /// one, ties counted as half (Mann and Whitney's U over the number of pairs). Of distributions, scores in one bin are
    /// a tie.
    #[must_use]
    pub fn auc(&self) -> f64 {
        // Twice the wins, in integers: exact.
        let (mut twice, mut below) = (0_u128, 0_u64);
        for (_, mated, non_mated) in self.steps() {
            twice += u128::from(mated) * u128::from(2 * below + non_mated);
            below += non_mated;
        }
        let (mated, non_mated) = self.counts();
        twice as f64 / (2.0 * mated as f64 * non_mated as f64)
    }

    /// Mated scores in `bars` equal bars over [-1, 1].
    #[must_use]
    pub fn mated_histogram(&self, bars: usize) -> Vec<u64> {
        self.mated.histogram(bars)
    }

    /// Non-mated scores, likewise.
    #[must_use]
    pub fn non_mated_histogram(&self, bars: usize) -> Vec<u64> {
        self.non_mated.histogram(bars)
    }

    /// The distinct scores of both kinds, ascending, with how many mated and non-mated ones there are of each.
    fn steps(&self) -> impl Iterator<Item = (f32, u64, u64)> {
        let (mut mated, mut non_mated) = (self.mated.steps().peekable(), self.non_mated.steps().peekable());
        std::iter::from_fn(move || {
            let next = |step: Option<&(f32, u64)>| step.map_or(f32::INFINITY, |step| step.0);
            let score = next(mated.peek()).min(next(non_mated.peek()));
            if score == f32::INFINITY {
                return None;
            }
            let m = mated.next_if(|step| step.0 == score).map_or(0, |step| step.1);
            let n = non_mated.next_if(|step| step.0 == score).map_or(0, |step| step.1);
            Some((score, m, n))
        })
    }
}

/// `points` thinned to at most `most`, 2 or more, evenly in the logarithm of FMR, and the first and the last: for a picture, and for a
/// document that need not hold millions.
#[must_use]
pub fn thinned(points: &[DetPoint], most: usize) -> Vec<DetPoint> {
    if points.len() <= most {
        return points.to_vec();
    }
    let least = points.iter().map(|point| point.fmr).filter(|&fmr| fmr > 0.0).fold(1.0, f64::min);
    // Half of them by FMR and half by FNMR, since each is flat where the other falls.
    let half = (most.saturating_sub(2) / 2).max(1);
    let least_missed = points.iter().map(|point| point.fnmr).filter(|&fnmr| fnmr > 0.0).fold(1.0, f64::min);
    let level = |least: f64, step: usize| least.powf(step as f64 / half as f64);
    let mut kept = vec![0, points.len() - 1];
    for step in 0..half {
        kept.push(points.partition_point(|point| point.fmr > level(least, step)).min(points.len() - 1));
        kept.push(points.partition_point(|point| point.fnmr < level(least_missed, step)).min(points.len() - 1));
    }
    kept.sort_unstable();
    kept.dedup();
    kept.into_iter().map(|index| points[index]).collect()
}
