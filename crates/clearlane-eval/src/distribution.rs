//! The distribution of many scores in memory that does not grow with them.

use crate::ScoreError;

/// Counts of comparison scores in equal bins over [-1, 1], and one bin more for exactly 1.
///
/// A bin holds the scores from its lower edge up to the next edge, so that counts at or above an edge are exact. The edges
/// are exact in `f32`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    bits: u32,
    counts: Vec<u64>,
    total: u64,
}

/// The finest bins: edges 2⁻¹⁹ apart, 8 MiB.
pub const FINEST: u32 = 20;

impl Distribution {
    /// No scores yet, in 2^`bits` bins; `bits` is taken as no less than 1 and no more than [`FINEST`].
    #[must_use]
    pub fn new(bits: u32) -> Self {
        let bits = bits.clamp(1, FINEST);
        Self { bits, counts: vec![0; (1 << bits) + 1], total: 0 }
    }

    /// The distribution of these scores, each in [-1, 1]; a value outside is counted in the nearest bin.
    pub fn of(kind: &'static str, scores: &[f32], bits: u32) -> Result<Self, ScoreError> {
        let mut distribution = Self::new(bits);
        for (index, &value) in scores.iter().enumerate() {
            if !value.is_finite() {
                return Err(ScoreError::NotFinite { kind, index, value });
            }
            distribution.add(value);
        }
        Ok(distribution)
    }

    /// Counts a score. One outside of [-1, 1] goes to the nearest bin, and one that is not a number to the highest: an error
    /// that no one can overlook errs to the safe side.
    #[inline]
    pub fn add(&mut self, score: f32) {
        let bin = if score.is_nan() { self.counts.len() - 1 } else { self.bin(score) };
        self.counts[bin] += 1;
        self.total += 1;
    }

    /// Counts all that `other` holds, which has the same bins.
    ///
    /// # Panics
    ///
    /// Where its bins are others.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.bits, other.bits, "distributions of the same bins");
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
    }

    /// The logarithm to base 2 of how many bins there are.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// How many scores there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many lie below `threshold`: exactly so at an edge, and elsewhere below the edge under it.
    #[must_use]
    pub fn below(&self, threshold: f32) -> u64 {
        if threshold.is_nan() || threshold > self.edge(self.counts.len() - 1) {
            return self.total;
        }
        // Thresholds are high: fewer bins lie above.
        self.total - self.counts[self.bin(threshold)..].iter().sum::<u64>()
    }

    /// Leaves out the `count` highest scores.
    pub(crate) fn cut_highest(&mut self, mut count: u64) {
        for bin in self.counts.iter_mut().rev() {
            let out = count.min(*bin);
            *bin -= out;
            self.total -= out;
            count -= out;
        }
    }

    /// Every bin that is not empty: its lower edge and its count, ascending.
    #[must_use]
    pub fn bins(&self) -> impl DoubleEndedIterator<Item = (f32, u64)> {
        self.counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(bin, &count)| (self.edge(bin), count))
    }

    /// The edge above `edge`.
    #[must_use]
    pub fn next_edge(&self, edge: f32) -> f32 {
        self.edge(self.bin(edge) + 1)
    }

    #[inline]
    fn bin(&self, score: f32) -> usize {
        let bins = self.counts.len() - 1;
        // In f64 the sum is exact; a negative value becomes 0.
        (((f64::from(score) + 1.0) * (bins / 2) as f64) as usize).min(bins)
    }

    fn edge(&self, bin: usize) -> f32 {
        (bin as f64 / ((self.counts.len() - 1) / 2) as f64 - 1.0) as f32
    }
}
