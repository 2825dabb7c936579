//! What quality is good for: errors that remain when the worst captures are discarded.

use serde::Serialize;

use crate::{Estimate, Rate, ScoreError};

/// A mated comparison with the quality of its captures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QualityComparison {
    /// The comparison score.
    pub score: f32,
    /// The lower quality of its two captures, on any scale; higher is better.
    pub quality: f32,
}

/// A point of an error-versus-discard characteristic.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DiscardPoint {
    /// The share of comparisons asked to be discarded, those of the lowest quality first.
    pub target: f64,
    /// The share that was: comparisons of one quality are discarded together, or not.
    pub discarded: f64,
    /// The lowest quality that remains.
    pub lowest_quality: f32,
    /// The false non-matches among those that remain.
    pub fnmr: Estimate,
}

/// The error-versus-discard characteristic of mated `comparisons` at `threshold` (Grother and Tabassi, "Performance of
/// biometric quality measures", IEEE PAMI 29, 2007; ISO/IEC 29794-1:2024, error versus discard), at each of `targets`
/// in [0, 1). At least one comparison; scores and qualities finite.
pub fn error_versus_discard(
    comparisons: &[QualityComparison],
    threshold: f32,
    targets: &[f64],
) -> Result<Vec<DiscardPoint>, ScoreError> {
    if comparisons.is_empty() {
        return Err(ScoreError::Empty { kind: "mated" });
    }
    for (index, comparison) in comparisons.iter().enumerate() {
        if let Some(&value) = [comparison.score, comparison.quality].iter().find(|value| !value.is_finite()) {
            return Err(ScoreError::NotFinite { kind: "mated", index, value });
        }
    }
    if let Some(&value) = targets.iter().find(|target| !(0.0..1.0).contains(*target)) {
        return Err(ScoreError::Target { value });
    }
    let mut ascending = comparisons.to_vec();
    ascending.sort_by(|a, b| a.quality.total_cmp(&b.quality));
    let total = ascending.len();
    let mut missed = vec![0_u64];
    for comparison in ascending.iter().rev() {
        missed.push(missed[missed.len() - 1] + u64::from(comparison.score < threshold));
    }
    let point = |&target: &f64| {
        let lowest = ascending[((target * total as f64 * (1.0 + 1e-12)) as usize).min(total - 1)].quality;
        let discarded = ascending.partition_point(|comparison| comparison.quality < lowest);
        let remain = total - discarded;
        DiscardPoint {
            target,
            discarded: discarded as f64 / total as f64,
            lowest_quality: lowest,
            fnmr: Rate::new(missed[remain], remain as u64).estimate(),
        }
    };
    Ok(targets.iter().map(point).collect())
}
