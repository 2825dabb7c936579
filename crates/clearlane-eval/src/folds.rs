//! Accuracy by cross-validation, as LFW's View 2 defines it.

use serde::Serialize;

use crate::ScoreError;

/// One scored pair of a cross-validated test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Its fold, from 0.
    pub fold: usize,
    /// Whether both images show one person.
    pub mated: bool,
    /// The comparison score.
    pub score: f32,
}

/// A cross-validated accuracy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// The mean of the folds' accuracies, in [0, 1].
    pub mean: f64,
    /// The standard error of that mean: the folds' sample standard deviation over the root of their number.
    pub standard_error: f64,
    /// Each fold.
    pub folds: Vec<Fold>,
}

/// One fold, judged by the threshold that the others chose.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fold {
    /// The threshold chosen on all other folds.
    pub threshold: f32,
    /// The share of this fold's pairs that it judges rightly, in [0, 1].
    pub accuracy: f64,
}

/// How much more accurate one matcher is than another on the same folds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AccuracyDifference {
    /// The mean over the folds of the one's accuracy less the other's, in [-1, 1].
    pub mean: f64,
    /// The standard error of that mean. Where both go wrong on the same pairs, it is less than that of either.
    pub standard_error: f64,
}

impl Accuracy {
    /// This accuracy less another, on the same folds of the same pairs; `None` where their numbers of folds differ.
    #[must_use]
    pub fn less(&self, other: &Self) -> Option<AccuracyDifference> {
        let pairs = self.folds.iter().zip(&other.folds);
        let differences: Vec<f64> = pairs.map(|(ours, theirs)| ours.accuracy - theirs.accuracy).collect();
        let (mean, standard_error) = mean_and_standard_error(&differences);
        (self.folds.len() == other.folds.len()).then_some(AccuracyDifference { mean, standard_error })
    }
}

/// The mean accuracy over the folds, each judged at the threshold that is best on all others (Huang et al., "Labeled
/// Faces in the Wild", UMass technical report 07-49, 2007, section 4).
///
/// Candidates for a threshold lie half-way between neighbouring distinct scores of the other folds, and beyond both
/// ends; of those that are best equally, the middle one is taken.
pub fn cross_validated_accuracy(comparisons: &[Comparison]) -> Result<Accuracy, ScoreError> {
    if let Some((index, comparison)) = comparisons.iter().enumerate().find(|(_, c)| !c.score.is_finite()) {
        let kind = if comparison.mated { "mated" } else { "non-mated" };
        return Err(ScoreError::NotFinite { kind, index, value: comparison.score });
    }
    // Folds beyond the number of comparisons would leave some empty, whatever their number.
    let folds = comparisons.iter().map(|comparison| comparison.fold).max().map_or(0, |last| last.saturating_add(1));
    let filled = {
        let mut named: Vec<usize> = comparisons.iter().map(|comparison| comparison.fold).collect();
        named.sort_unstable();
        named.dedup();
        named.len()
    };
    if folds < 2 || filled < folds {
        return Err(ScoreError::Folds { folds, empty: folds - filled });
    }

    let mut ascending = comparisons.to_vec();
    ascending.sort_by(|a, b| a.score.total_cmp(&b.score));
    let folds: Vec<Fold> = (0..folds)
        .map(|fold| {
            let threshold = best_threshold(ascending.iter().filter(|comparison| comparison.fold != fold));
            let tested = ascending.iter().filter(|comparison| comparison.fold == fold);
            let (right, total) = tested.fold((0_usize, 0_usize), |(right, total), comparison| {
                (right + usize::from((comparison.score >= threshold) == comparison.mated), total + 1)
            });
            Fold { threshold, accuracy: right as f64 / total as f64 }
        })
        .collect();

    let accuracies: Vec<f64> = folds.iter().map(|fold| fold.accuracy).collect();
    let (mean, standard_error) = mean_and_standard_error(&accuracies);
    Ok(Accuracy { mean, standard_error, folds })
}

fn mean_and_standard_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

/// The threshold that judges most of the `ascending` comparisons rightly.
fn best_threshold<'a>(ascending: impl Iterator<Item = &'a Comparison>) -> f32 {
    // How many more are right than at a threshold below every score, as the threshold passes one score after another.
    let (mut gain, mut best) = (0_i64, 0_i64);
    let mut candidates = Vec::new();
    let mut previous: Option<f32> = None;
    let mut consider = |threshold: f32, gain: i64| {
        if gain > best {
            best = gain;
            candidates.clear();
        }
        if gain == best {
            candidates.push(threshold);
        }
    };
    for comparison in ascending {
        match previous {
            None => consider(comparison.score, gain),
            Some(score) if score < comparison.score => consider(between(score, comparison.score), gain),
            Some(_) => {}
        }
        gain += if comparison.mated { -1 } else { 1 };
        previous = Some(comparison.score);
    }
    consider(previous.map_or(0.0, f32::next_up), gain);
    candidates[candidates.len() / 2]
}

/// A value above `low` and at most `high`.
fn between(low: f32, high: f32) -> f32 {
    let middle = low + (high - low) / 2.0;
    if middle > low { middle } else { high }
}
