//! Scores in order, as a list or as a distribution: what all rates are read from.

use crate::{Distribution, ScoreError};

/// Scores of one kind.
#[derive(Clone, Debug)]
pub(crate) enum Ordered {
    /// Every score, ascending.
    List(Vec<f32>),
    /// Counts by bin; a score is known by its bin's lower edge.
    Binned(Distribution),
}

impl Ordered {
    /// From scores in any order; at least one, all finite.
    pub(crate) fn list(kind: &'static str, mut scores: Vec<f32>) -> Result<Self, ScoreError> {
        if scores.is_empty() {
            return Err(ScoreError::Empty { kind });
        }
        if let Some((index, &value)) = scores.iter().enumerate().find(|(_, score)| !score.is_finite()) {
            return Err(ScoreError::NotFinite { kind, index, value });
        }
        scores.sort_unstable_by(f32::total_cmp);
        Ok(Self::List(scores))
    }

    /// From a distribution of one score or more.
    pub(crate) fn binned(kind: &'static str, distribution: Distribution) -> Result<Self, ScoreError> {
        if distribution.total() == 0 { Err(ScoreError::Empty { kind }) } else { Ok(Self::Binned(distribution)) }
    }

    pub(crate) fn total(&self) -> u64 {
        match self {
            Self::List(scores) => scores.len() as u64,
            Self::Binned(distribution) => distribution.total(),
        }
    }

    /// How many lie below `threshold`.
    pub(crate) fn below(&self, threshold: f32) -> u64 {
        match self {
            Self::List(scores) => scores.partition_point(|&score| score < threshold) as u64,
            Self::Binned(distribution) => distribution.below(threshold),
        }
    }

    /// The distinct scores, ascending, and how many there are of each.
    pub(crate) fn steps(&self) -> Box<dyn Iterator<Item = (f32, u64)> + '_> {
        match self {
            Self::List(scores) => Box::new(scores.chunk_by(|a, b| a == b).map(|equal| (equal[0], equal.len() as u64))),
            Self::Binned(distribution) => Box::new(distribution.bins()),
        }
    }

    /// Counts in `bars` equal bars over [-1, 1], scores outside in the nearest.
    pub(crate) fn histogram(&self, bars: usize) -> Vec<u64> {
        let mut histogram = vec![0; bars.max(1)];
        let last = histogram.len() - 1;
        for (score, count) in self.steps() {
            let bar = (f64::midpoint(f64::from(score), 1.0) * histogram.len() as f64) as usize;
            histogram[bar.min(last)] += count;
        }
        histogram
    }

    /// The lowest threshold that a score of `value` does not reach.
    pub(crate) fn above(&self, value: f32) -> f32 {
        match self {
            Self::List(_) => value.next_up(),
            Self::Binned(distribution) => distribution.next_edge(value),
        }
    }

    /// The lowest threshold that at most a share of `target`, in (0, 1), reaches.
    pub(crate) fn threshold_at(&self, target: f64) -> Result<f32, ScoreError> {
        if !(target > 0.0 && target < 1.0) {
            return Err(ScoreError::Target { value: target });
        }
        let allowed = allowed(target, self.total());
        let highest_refused = match self {
            Self::List(scores) => scores[scores.len() - 1 - (allowed as usize).min(scores.len() - 1)],
            Self::Binned(distribution) => {
                let mut above = 0;
                let mut descending = distribution.bins().rev();
                let refused = descending.find(|(_, count)| {
                    above += count;
                    above > allowed
                });
                refused.or_else(|| distribution.bins().next()).map_or(-1.0, |(edge, _)| edge)
            }
        };
        Ok(self.above(highest_refused))
    }
}

/// How many of `total` a rate of `target` allows.
pub(crate) fn allowed(target: f64, total: u64) -> u64 {
    // The small factor keeps 0.29 × 100 at 29, where floating point gives 28.999….
    (target * total as f64 * (1.0 + 1e-12)) as u64
}
