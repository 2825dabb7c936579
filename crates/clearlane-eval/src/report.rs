//! Figures as documents: what `eval` prints and stores.

use serde::Serialize;

use crate::{
    Accuracy, Comparison, Interval, OperatingPoint, Rate, ScoreError, Scores, Searches, cross_validated_accuracy,
};

/// The confidence of every interval in a report.
pub const CONFIDENCE: f64 = 0.95;

/// A 1:1 test with folds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// Mated comparisons.
    pub mated: usize,
    /// Non-mated comparisons.
    pub non_mated: usize,
    /// Cross-validated accuracy.
    pub accuracy: Accuracy,
    /// Area under the ROC.
    pub auc: f64,
    /// Equal error rate.
    pub eer: f64,
    /// The matcher set to each false match rate that was asked for.
    pub operating_points: Vec<Point>,
}

/// An operating point with its confidence intervals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Threshold and rates.
    #[serde(flatten)]
    pub at: OperatingPoint,
    /// True accept rate.
    pub tar: f64,
    /// Where the true accept rate lies with 95 % confidence (Wilson).
    pub tar_interval: Interval,
    /// Where the false match rate lies with 95 % confidence (Clopper and Pearson).
    pub fmr_interval: Interval,
}

impl Verification {
    /// The report of `comparisons`, with an operating point at each of `targets` (false match rates, in (0, 1)).
    pub fn new(comparisons: &[Comparison], targets: &[f64]) -> Result<Self, ScoreError> {
        let scores = scores(comparisons)?;
        let operating_points = points(&scores, targets)?;
        let (mated, non_mated) = scores.counts();
        let accuracy = cross_validated_accuracy(comparisons)?;
        Ok(Self { mated, non_mated, accuracy, auc: scores.auc(), eer: scores.eer(), operating_points })
    }
}

/// The matcher set to each of `targets` (false match rates, in (0, 1)), with its intervals.
pub fn points(scores: &Scores, targets: &[f64]) -> Result<Vec<Point>, ScoreError> {
    targets.iter().map(|&target| scores.at_fmr(target).map(point)).collect()
}

/// The scores of `comparisons`, whatever their fold.
pub fn scores(comparisons: &[Comparison]) -> Result<Scores, ScoreError> {
    let of = |mated: bool| comparisons.iter().filter(|c| c.mated == mated).map(|c| c.score).collect();
    Scores::new(of(true), of(false))
}

/// A 1:N test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Identification {
    /// Enrolled subjects.
    pub gallery: usize,
    /// Searches whose subject is enrolled.
    pub mated: usize,
    /// Searches whose subject is not.
    pub non_mated: usize,
    /// The mate found among the first k, without a threshold.
    pub ranks: Vec<RankRate>,
    /// The system set to each false-positive identification rate that was asked for.
    pub operating_points: Vec<SearchPoint>,
}

/// A point of the cumulative match characteristic.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RankRate {
    /// Among the first so many candidates.
    pub k: usize,
    /// Mates found there.
    pub found: Rate,
    /// Their share.
    pub rate: f64,
    /// Where it lies with 95 % confidence (Wilson).
    pub interval: Interval,
}

/// An identification system set to a false-positive identification rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SearchPoint {
    /// The rate asked for.
    pub target_fpir: f64,
    /// The lowest threshold that keeps it on these searches.
    pub threshold: f32,
    /// What these searches show there.
    pub fpir: Rate,
    /// Mates that do not come first, or come below the threshold.
    pub fnir: Rate,
    /// Where FNIR lies with 95 % confidence (Wilson).
    pub fnir_interval: Interval,
}

impl Identification {
    /// The report of `searches` against `gallery` subjects, at each of `ks` ranks and `targets` (FPIR, in (0, 1)).
    pub fn new(gallery: usize, searches: &Searches, ks: &[usize], targets: &[f64]) -> Result<Self, ScoreError> {
        let rank = |&k: &usize| {
            let found = searches.rank(k);
            RankRate { k, found, rate: found.value(), interval: found.wilson(CONFIDENCE) }
        };
        let point = |&target_fpir: &f64| {
            let threshold = searches.threshold_at_fpir(target_fpir)?;
            let (fpir, fnir) = (searches.fpir(threshold), searches.fnir(1, threshold));
            Ok(SearchPoint { target_fpir, threshold, fpir, fnir, fnir_interval: fnir.wilson(CONFIDENCE) })
        };
        let (mated, non_mated) = searches.counts();
        let operating_points = targets.iter().map(point).collect::<Result<_, _>>()?;
        Ok(Self { gallery, mated, non_mated, ranks: ks.iter().map(rank).collect(), operating_points })
    }
}

fn point(at: OperatingPoint) -> Point {
    let accepted = Rate::new(at.fnmr.trials - at.fnmr.events, at.fnmr.trials);
    Point {
        at,
        tar: accepted.value(),
        tar_interval: accepted.wilson(CONFIDENCE),
        fmr_interval: at.fmr.clopper_pearson(CONFIDENCE),
    }
}
