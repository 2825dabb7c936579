//! 1:N: what searches with and without an enrolled mate say about an identification system.

use crate::ordered::Ordered;
use crate::{Rate, ScoreError};

/// A search whose subject is enrolled: its mate's place in the candidate list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatedSearch {
    /// The mate's rank among subjects, from 1. None where the list did not hold it, or for a failure to acquire.
    pub rank: Option<usize>,
    /// The mate's score; not read where there is no rank.
    pub score: f32,
}

/// The searches of an identification test (ISO/IEC 19795-1:2021).
#[derive(Clone, Debug)]
pub struct Searches {
    mated: Vec<MatedSearch>,
    /// The best score of every non-mated search, ascending; searches without a candidate are −∞ and sort first.
    non_mated: Vec<f32>,
}

impl Searches {
    /// The mated searches of a test, and of each non-mated search the score of its best candidate, if it had one. Either
    /// list may be empty; its rates then have no trials.
    pub fn new(mated: Vec<MatedSearch>, non_mated: Vec<Option<f32>>) -> Result<Self, ScoreError> {
        let unfit = mated.iter().enumerate().find(|(_, search)| search.rank.is_some() && !search.score.is_finite());
        if let Some((index, search)) = unfit {
            return Err(ScoreError::NotFinite { kind: "mated", index, value: search.score });
        }
        let mut best = Vec::with_capacity(non_mated.len());
        for (index, score) in non_mated.into_iter().enumerate() {
            if let Some(value) = score.filter(|score| !score.is_finite()) {
                return Err(ScoreError::NotFinite { kind: "non-mated", index, value });
            }
            best.push(score.unwrap_or(f32::NEG_INFINITY));
        }
        best.sort_unstable_by(f32::total_cmp);
        Ok(Self { mated, non_mated: best })
    }

    /// How many mated and non-mated searches there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.mated.len(), self.non_mated.len())
    }

    /// The true-positive identification rate at rank `k` without a threshold: mates among the first `k` (a point of the
    /// cumulative match characteristic).
    #[must_use]
    pub fn rank(&self, k: usize) -> Rate {
        let found = self.mated.iter().filter(|search| search.rank.is_some_and(|rank| rank <= k)).count();
        Rate::new(found as u64, self.mated.len() as u64)
    }

    /// The false-negative identification rate: mates that are not among the first `k` at or above `threshold`.
    #[must_use]
    pub fn fnir(&self, k: usize, threshold: f32) -> Rate {
        let missed = |search: &&MatedSearch| search.rank.is_none_or(|rank| rank > k) || search.score < threshold;
        Rate::new(self.mated.iter().filter(missed).count() as u64, self.mated.len() as u64)
    }

    /// The false-positive identification rate: non-mated searches with a candidate at or above `threshold`.
    #[must_use]
    pub fn fpir(&self, threshold: f32) -> Rate {
        let below = self.non_mated.partition_point(|&score| score < threshold);
        Rate::new((self.non_mated.len() - below) as u64, self.non_mated.len() as u64)
    }

    /// The lowest threshold whose FPIR on these searches is at most `target`, in (0, 1).
    pub fn threshold_at_fpir(&self, target: f64) -> Result<f32, ScoreError> {
        if self.non_mated.is_empty() {
            return Err(ScoreError::Empty { kind: "non-mated" });
        }
        Ordered::List(self.non_mated.clone()).threshold_at(target)
    }
}
