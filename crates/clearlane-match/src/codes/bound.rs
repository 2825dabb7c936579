//! What a code says about a score.
//!
//! Let x be a stored unit vector with code o, a = ⟨x, o⟩, b the length of o at right angles to x, and l = √(a² + b²). Let q
//! be a probe that was rounded to r, A = ⟨q, r⟩ and B the length of r at right angles to q. The scan gives ⟨r, o⟩, and
//!
//! ⟨r, o⟩ = A ⟨q, o⟩ + ⟨r - A q, o⟩,  ⟨q, o⟩ = a ⟨q, x⟩ + ⟨q, o - a x⟩.
//!
//! For a score ⟨q, x⟩ ≥ t > 0, the part of q at right angles to x is at most √(1 - t²) long. So
//!
//! - always, ⟨q, o⟩ ≥ a t - b √(1 - t²) (Cauchy and Schwarz; a is positive, so the right side grows with t), and
//!   ⟨r - A q, o⟩ ≥ -B l;
//! - with the rotation random, ⟨q, o - a x⟩ / (b √(1 - t²)) and ⟨r - A q, o⟩ / (B l) are coordinates of random unit vectors
//!   in d - 1 dimensions: normal in the tail, with deviation 1 / √(d - 1) at most, and each with its own sign.
//!
//! A code whose product with r lies below that bound has a vector whose score lies below t.

use super::BlockFactors;
use super::probe::CodedProbe;
use super::quantise::Factors;

/// By which of the two bounds rows are skipped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Contract {
    /// The bound that always holds.
    Always,
    /// The bound that fails with a probability: so many standard deviations.
    Deviations(f32),
}

impl Contract {
    /// The statistical bound that fails with this probability: the quantile of the standard normal distribution.
    pub(crate) fn with_miss(miss: f64) -> Self {
        let tail = |z: f64| 0.5 * libm::erfc(z / std::f64::consts::SQRT_2);
        let (mut low, mut high) = (0.0, 40.0);
        while high - low > 1e-6 {
            let middle = 0.5 * (low + high);
            if tail(middle) > miss { low = middle } else { high = middle }
        }
        Self::Deviations(high as f32)
    }
}

/// The bound for one probe.
pub(crate) struct Bound {
    contract: Contract,
    along: f32,
    beside: f32,
    dimension: usize,
    /// By how much scores may pass what is true of unit vectors in exact arithmetic.
    slack: f32,
}

/// The bound for one probe and one threshold: products below it are of rows that score below the threshold.
#[derive(Clone, Copy)]
pub(crate) struct Thresholds {
    /// What a row's `along` counts.
    along: f32,
    /// What a row's `beside` takes off.
    beside: f32,
    /// What a row's `length` takes off.
    length: f32,
    /// Whether the two add as independent deviations do, or as lengths.
    independent: bool,
}

impl Bound {
    /// `slack`: how far scores of stored vectors may lie above those of unit vectors, rounding included.
    pub(crate) fn new(probe: &CodedProbe, contract: Contract, slack: f32) -> Self {
        let Factors { along, beside } = probe.factors;
        Self { contract, along, beside, dimension: probe.dimension, slack }
    }

    /// The bound for scores of `threshold` and above. `None` where it says nothing: for thresholds of 0 and less.
    pub(crate) fn at(&self, threshold: f32) -> Option<Thresholds> {
        let t = threshold - self.slack;
        if t <= 0.0 {
            return None;
        }
        let rest = (1.0 - t * t).sqrt();
        let along = self.along * t;
        Some(match self.contract {
            Contract::Always => {
                Thresholds { along, beside: self.along * rest, length: self.beside, independent: false }
            }
            Contract::Deviations(z) => {
                let deviation = z / ((self.dimension - 1).max(1) as f32).sqrt();
                Thresholds {
                    along,
                    beside: self.along * rest * deviation,
                    length: self.beside * deviation,
                    independent: true,
                }
            }
        })
    }
}

impl Thresholds {
    fn product(&self, along: f32, beside: f32, length: f32) -> i32 {
        let (beside, length) = (self.beside * beside, self.length * length);
        let off = if self.independent { (beside * beside + length * length).sqrt() } else { beside + length };
        // One less, since the cast rounds towards zero: never above the bound, and a vector instruction where `floor` is a call.
        (self.along * along - off - 1.0) as i32
    }

    /// The least product of a block's codes that could belong to a row at the threshold.
    pub(crate) fn of_block(&self, block: &BlockFactors) -> i32 {
        self.product(block.least_along, block.most_beside, block.most_length)
    }

    /// The least product of a code that could belong to a row at the threshold.
    pub(crate) fn of_row(&self, row: Factors) -> i32 {
        self.product(row.along, row.beside, row.length())
    }
}
