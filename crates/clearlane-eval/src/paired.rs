//! Two matchers on the same comparisons: how much they differ, and whether chance would explain it.

use serde::Serialize;
use statrs::function::beta::beta_reg;

use crate::{Accuracy, AccuracyDifference, Comparison, Rate, ScoreError, Scores, cross_validated_accuracy};

/// A comparison that two matchers have scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedComparison {
    /// Its fold, from 0.
    pub fold: usize,
    /// Whether both images show one person.
    pub mated: bool,
    /// The one matcher's score.
    pub a: f32,
    /// The other's, on its own scale.
    pub b: f32,
}

/// Two matchers side by side. Differences are the one's figure less the other's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairedReport {
    /// Mated comparisons.
    pub mated: u64,
    /// Non-mated comparisons.
    pub non_mated: u64,
    /// The one's accuracy over the folds; none where there are fewer than two.
    pub accuracy_a: Option<Accuracy>,
    /// The other's.
    pub accuracy_b: Option<Accuracy>,
    /// The difference over the same folds.
    pub accuracy_less: Option<AccuracyDifference>,
    /// Each matcher set to a false match rate of its own scores.
    pub points: Vec<PairedPoint>,
}

/// Two matchers, each at its threshold for one false match rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PairedPoint {
    /// The false match rate.
    pub target_fmr: f64,
    /// The one's threshold.
    pub threshold_a: f32,
    /// The other's.
    pub threshold_b: f32,
    /// Mated comparisons that the one misses.
    pub fnmr_a: Rate,
    /// Those that the other misses.
    pub fnmr_b: Rate,
    /// Those that the one alone misses.
    pub missed_by_a_alone: u64,
    /// Those that the other alone misses.
    pub missed_by_b_alone: u64,
    /// How likely a difference as large or larger would be between matchers that miss equally often: McNemar's test, exact and
    /// two-sided (Q. McNemar, Psychometrika 12, 1947). Comparisons are taken as independent, and the thresholds as given.
    pub p: f64,
}

impl PairedReport {
    /// The report of `comparisons`, with a point at each of `targets` (false match rates, in (0, 1)). At least one comparison of each
    /// kind; scores finite.
    pub fn new(comparisons: &[PairedComparison], targets: &[f64]) -> Result<Self, ScoreError> {
        let one = |score: fn(&PairedComparison) -> f32| -> Vec<Comparison> {
            let comparison = |c: &PairedComparison| Comparison { fold: c.fold, mated: c.mated, score: score(c) };
            comparisons.iter().map(comparison).collect()
        };
        let (a, b) = (one(|c| c.a), one(|c| c.b));
        let scores = |of: &[Comparison]| {
            let kind = |mated: bool| of.iter().filter(|c| c.mated == mated).map(|c| c.score).collect();
            Scores::new(kind(true), kind(false))
        };
        let (scores_a, scores_b) = (scores(&a)?, scores(&b)?);
        let folds = comparisons.iter().map(|c| c.fold).max().unwrap_or(0);
        let accuracy = |of: &[Comparison]| (folds > 0).then(|| cross_validated_accuracy(of)).transpose();
        let (accuracy_a, accuracy_b) = (accuracy(&a)?, accuracy(&b)?);
        let accuracy_less = accuracy_a.as_ref().zip(accuracy_b.as_ref()).and_then(|(a, b)| a.less(b));
        let point = |&target_fmr: &f64| {
            let (at_a, at_b) = (scores_a.at_fmr(target_fmr)?, scores_b.at_fmr(target_fmr)?);
            let mated = || comparisons.iter().filter(|c| c.mated);
            let misses = |c: &PairedComparison| (c.a < at_a.threshold, c.b < at_b.threshold);
            let missed_by_a_alone = mated().filter(|c| misses(c) == (true, false)).count() as u64;
            let missed_by_b_alone = mated().filter(|c| misses(c) == (false, true)).count() as u64;
            Ok(PairedPoint {
                target_fmr,
                threshold_a: at_a.threshold,
                threshold_b: at_b.threshold,
                fnmr_a: at_a.fnmr,
                fnmr_b: at_b.fnmr,
                missed_by_a_alone,
                missed_by_b_alone,
                p: mcnemar(missed_by_a_alone, missed_by_b_alone),
            })
        };
        let (mated, non_mated) = scores_a.counts();
        let points = targets.iter().map(point).collect::<Result<_, ScoreError>>()?;
        Ok(Self { mated, non_mated, accuracy_a, accuracy_b, accuracy_less, points })
    }
}

/// Twice the probability that a fair coin falls on the rarer side so seldom, at most 1.
fn mcnemar(a: u64, b: u64) -> f64 {
    let (fewer, total) = (a.min(b), a + b);
    if total == 0 {
        return 1.0;
    }
    // P(X <= k) of n tosses is the regularised incomplete beta function at one half (NIST Digital Library of Mathematical
    // Functions, 8.17.5).
    (2.0 * beta_reg((total - fewer) as f64, fewer as f64 + 1.0, 0.5)).min(1.0)
}
