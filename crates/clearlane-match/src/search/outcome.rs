//! What a search answers.

use super::best::Candidate;

/// The answer to a search.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SearchOutcome {
    /// The best subjects, best first, ties by template id; at most k, none below the threshold.
    pub candidates: Vec<Candidate>,
    /// Whether the whole gallery was searched.
    pub completeness: Completeness,
    /// What the search did.
    pub stats: SearchStats,
    /// The k and the threshold that were asked for.
    asked: (usize, f32),
}

/// How much of the gallery a search got through before its deadline or its cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// All of it.
    Complete,
    /// A part of it: the rest may hold a better candidate.
    Partial {
        /// Rows that were searched.
        scanned: usize,
        /// Rows that there are, withdrawn ones included.
        total: usize,
    },
}

/// What a search did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchStats {
    /// Rows that were looked at, by code or by vector.
    pub rows_scanned: u64,
    /// Bytes that were read in order: codes, or vectors in an exhaustive search.
    pub bytes_scanned: u64,
    /// Rows that the scan of the codes could not rule out.
    pub survivors: u64,
    /// Rows whose exact score was computed.
    pub scored: u64,
    /// Of these, rows that were read from the gallery's file.
    pub rows_read: u64,
}

/// By how much the best candidate leads the next subject.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Margin {
    /// The difference of the two best subjects' scores.
    Exact(f32),
    /// No second subject reached the threshold: the difference is larger than this.
    MoreThan(f32),
}

impl SearchOutcome {
    pub(super) fn new(
        candidates: Vec<Candidate>,
        completeness: Completeness,
        stats: SearchStats,
        k: usize,
        threshold: f32,
    ) -> Self {
        Self { candidates, completeness, stats, asked: (k, threshold) }
    }

    /// The outcome of a search that was made elsewhere, of a whole gallery: its `k` best subjects, none below the `threshold`, best
    /// first, ties by template id.
    #[must_use]
    pub fn of_elsewhere(candidates: Vec<Candidate>, k: usize, threshold: f32) -> Self {
        Self::new(candidates, Completeness::Complete, SearchStats::default(), k, threshold)
    }

    /// By how much the best candidate leads the next *subject*. `None` where there is no candidate, or where k was 1, so
    /// that the next was not looked for.
    #[must_use]
    pub fn margin(&self) -> Option<Margin> {
        let (k, threshold) = self.asked;
        match self.candidates[..] {
            [best, next, ..] => Some(Margin::Exact(best.score - next.score)),
            [best] if k > 1 => Some(Margin::MoreThan(best.score - threshold)),
            _ => None,
        }
    }

    /// Whether the whole gallery was searched.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.completeness == Completeness::Complete
    }
}

impl SearchStats {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            rows_scanned: self.rows_scanned + other.rows_scanned,
            bytes_scanned: self.bytes_scanned + other.bytes_scanned,
            survivors: self.survivors + other.survivors,
            scored: self.scored + other.scored,
            rows_read: self.rows_read + other.rows_read,
        }
    }
}
