//! What a code says about a score.
//!
//! # In exact arithmetic
//!
//! Let x be a stored vector, of any length u = ‖x‖ up to U ([`Factors::NORM`]), and o its code: o = α x + o', with
//! α = ⟨x, o⟩ / u² and o' at right angles to x, of length b. Let q be a probe of any length v, and r what it was rounded to:
//! r = β q + r', with β = ⟨q, r⟩ / v² and r' at right angles to q, of length B. Let l be the length of o. The scan gives
//!
//! ⟨r, o⟩ = β ⟨q, o⟩ + ⟨r', o⟩,  ⟨q, o⟩ = α ⟨q, x⟩ + ⟨q, o'⟩.
//!
//! The part of q parallel to x is ⟨q, x⟩ / u long. So where ⟨q, x⟩ ≥ τ > 0, the part at right angles to x, the only one that o'
//! meets, is at most w = √(v² - τ² / U²) long, and
//!
//! - always, ⟨q, o'⟩ ≥ -b w and ⟨r', o⟩ ≥ -B l (Cauchy and Schwarz). With α and β positive, for every row whose ⟨q, x⟩ is τ
//!   or more, ⟨r, o⟩ ≥ β (α τ - b w) - B l;
//! - with the rotation random, ⟨q, o'⟩ / (b w) and ⟨r', o⟩ / (B l) are coordinates of random unit vectors in d - 1 dimensions,
//!   or shorter: normal in the tail, with deviation 1 / √(d - 1) at most, and each with its own sign. So
//!   ⟨r, o⟩ ≥ β α τ - z / √(d - 1) · √((β b w)² + (B l)²), but for what z deviations leave out.
//!
//! A code whose product with r lies below that bound has a vector whose ⟨q, x⟩ lies below τ. Nothing here takes x or q for a
//! unit vector: α, β, b, B and v are those of the vectors as they are, and U is held against each row when it is encoded. A
//! longer row, or one whose α is not certain to be positive, is never ruled out ([`Factors::new`]); a probe whose β is not
//! certain to be positive rules nothing out, nor does a τ near 0 or below.
//!
//! # In floating point
//!
//! e = 2⁻²⁴ is what one rounding of single precision changes at most, as a share.
//!
//! - *The score.* A search keeps rows whose score, as computed, is the threshold t or more. Each term of it is rounded
//!   [`score_roundings`] times at most, n: it misses ⟨q, x⟩ by n e Σ|qᵢ xᵢ| ≤ n e u v at most (Higham, Accuracy and Stability
//!   of Numerical Algorithms, section 3.1). To cut it at 1 keeps it at or above t, since t is not above 1.
//! - *The rotation.* x and q above are the vectors that were quantised: the results of the rotation in single precision,
//!   which is not quite orthogonal. Each of its m steps ([`Rotation::roundings`](super::Rotation::roundings)) rounds each value
//!   once, so moves a vector by e times its length at most, and a product of two vectors by 2 m e u v. The widening of
//!   integer rows to single precision is one of the steps.
//! - So a row that is kept has ⟨q, x⟩ ≥ τ = t - (n + 2 m) e U v. Terms of second order (below 10⁻⁴ of these at 4096
//!   dimensions) and what is too small for normal numbers are within a further sixty-fourth: [`Bound::new`].
//! - *The factors.* α, b, β, B and v come from sums in double precision, whose error is bounded and counted, and are then
//!   rounded to the safe side: α down, b, B and v up, β down where it multiplies α and up where it multiplies b ([`Fit`](super::Fit)). l
//!   follows from α, U and b, rounded up.
//! - *A block.* Its bound is made of its rows' least α, most b and most l: comparisons, which do not round.
//! - *The bound itself* takes eight roundings in single precision, so [`Thresholds`] are smaller, and what is taken off is
//!   larger, by 16 e: [`ROUNDING`]. The cast to an integer rounds towards zero, so one is taken off before.
//! - ⟨r, o⟩ is a sum of integers below 2²⁴ and has no error.

use super::BlockFactors;
use super::outward::{above, below};
use super::probe::CodedProbe;
use super::quantise::Factors;
use crate::kernel::score_roundings;

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

/// By how much the constants of a bound are moved to the safe side, as a share of them.
const ROUNDING: f64 = 1.0 / (1 << 20) as f64;
/// The least τ that rules anything out: far above what a product of two floats needs to be a normal number.
const LEAST_REACH: f64 = 1.0 / 1024.0;
/// The least w², so that its own rounding is a small share of it, and that rows which are never ruled out are not.
const LEAST_REST: f64 = 1.0 / (1 << 20) as f64;

/// The bound for one probe.
pub(crate) struct Bound {
    contract: Contract,
    /// What β lies between; `None` where the probe rules nothing out.
    parallel: Option<[f64; 2]>,
    /// B.
    perpendicular: f64,
    /// v.
    norm: f64,
    /// By how much a computed score may lie above ⟨q, x⟩ of the rotated vectors.
    error: f64,
    dimension: usize,
}

/// The bound for one probe and one threshold: products below it are of rows that score below the threshold.
#[derive(Clone, Copy)]
pub(crate) struct Thresholds {
    /// The factor of a row's `parallel`, which is added.
    parallel: f32,
    /// The factor of a row's `perpendicular`, which is taken off.
    perpendicular: f32,
    /// The factor of a row's `length`, which is taken off.
    length: f32,
    /// Whether the two add as independent deviations do, or as lengths.
    independent: bool,
}

impl Bound {
    pub(crate) fn new(probe: &CodedProbe, contract: Contract) -> Self {
        /// e, and a sixty-fourth more.
        const ONE_ROUNDING: f64 = (1.0 + 1.0 / 64.0) / (1 << 24) as f64;
        let CodedProbe { fit, dimension, roundings, .. } = *probe;
        let norm = fit.norm();
        let roundings = score_roundings(dimension) + 2 * roundings;
        let error = roundings as f64 * ONE_ROUNDING * norm * f64::from(Factors::NORM);
        Self { contract, parallel: fit.parallel(), perpendicular: fit.perpendicular(), norm, error, dimension }
    }

    /// The bound for computed scores of `threshold` and above. `None` where it says nothing: for thresholds near 0 and less.
    pub(crate) fn at(&self, threshold: f32) -> Option<Thresholds> {
        let reach = f64::from(threshold) - self.error;
        let [least, most] = self.parallel.filter(|_| reach >= LEAST_REACH)?;
        let on_row = reach / f64::from(Factors::NORM);
        let rest = (self.norm * self.norm - on_row * on_row).max(LEAST_REST).sqrt();
        let (deviation, independent) = match self.contract {
            Contract::Always => (1.0, false),
            Contract::Deviations(z) => (f64::from(z) / ((self.dimension - 1).max(1) as f64).sqrt(), true),
        };
        Some(Thresholds {
            parallel: below(least * reach * (1.0 - ROUNDING)),
            perpendicular: above(most * rest * deviation * (1.0 + ROUNDING)),
            length: above(self.perpendicular * deviation * (1.0 + ROUNDING)),
            independent,
        })
    }
}

impl Thresholds {
    fn product(&self, parallel: f32, perpendicular: f32, length: f32) -> i32 {
        let (perpendicular, length) = (self.perpendicular * perpendicular, self.length * length);
        let off = if self.independent {
            (perpendicular * perpendicular + length * length).sqrt()
        } else {
            perpendicular + length
        };
        // One less, since the cast rounds towards zero: never above the bound, and a vector instruction where `floor` is a call.
        (self.parallel * parallel - off - 1.0) as i32
    }

    /// The least product of a block's codes that could belong to a row at the threshold.
    pub(crate) fn of_block(&self, block: &BlockFactors) -> i32 {
        self.product(block.least_parallel, block.most_perpendicular, block.most_length)
    }

    /// The least product of a code that could belong to a row at the threshold.
    pub(crate) fn of_row(&self, row: Factors) -> i32 {
        self.product(row.parallel, row.perpendicular, row.length())
    }
}
