//! Rounding vectors to a few levels a dimension.
//!
//! `L` vectors are interleaved, one value of each after the other: a vector instruction then works on all of them at once.

use super::outward::{above, below};

/// Sums of 4096 exact products, the most that there are, miss by less than half of this share of what they sum in double
/// precision; so do the few steps that are taken with them here.
const ROUNDING: f64 = 1.0 / (1_u64 << 40) as f64;

/// How a vector x of any length relates to its code o, odd integers -(2ᵇ - 1), ..., -1, 1, ..., 2ᵇ - 1: three sums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    /// ⟨x, o⟩.
    product: f64,
    /// ‖x‖².
    vector: f64,
    /// ‖o‖², without an error: a sum of small integers.
    code: f64,
}

impl Fit {
    /// How vectors relate to their codes.
    #[inline(always)]
    pub(crate) fn of<const L: usize>(vectors: &[[f32; L]], codes: impl Iterator<Item = [f32; L]>) -> [Self; L] {
        let (mut product, mut vector, mut code) = ([0.0_f64; L], [0.0_f64; L], [0.0_f64; L]);
        for (vectors, codes) in vectors.iter().zip(codes) {
            let sums = product.iter_mut().zip(&mut vector).zip(&mut code);
            for (((product, vector), code), (x, o)) in sums.zip(vectors.iter().zip(&codes)) {
                let (x, o) = (f64::from(*x), f64::from(*o));
                *product += x * o;
                *vector += x * x;
                *code += o * o;
            }
        }
        std::array::from_fn(|lane| Self { product: product[lane], vector: vector[lane], code: code[lane] })
    }

    /// What α = ⟨x, o⟩ / ‖x‖² lies between, for o = α x + (a part at right angles to x). `None` unless it is certain to
    /// be positive.
    pub(crate) fn parallel(self) -> Option<[f64; 2]> {
        // Σ |xᵢ oᵢ| is ‖x‖ ‖o‖ at most.
        let error = ROUNDING * (self.vector * self.code).sqrt();
        let low = (self.product - error) / (self.vector * (1.0 + ROUNDING));
        let high = (self.product + error) / (self.vector * (1.0 - ROUNDING));
        (low > 0.0 && high.is_finite()).then_some([low, high])
    }

    /// What the length of the code's part perpendicular to x does not exceed.
    pub(crate) fn perpendicular(self) -> f64 {
        let error = ROUNDING * (self.vector * self.code).sqrt();
        let least = (self.product - error).max(0.0);
        let square = self.code * (1.0 + ROUNDING) - least * least / (self.vector * (1.0 + ROUNDING));
        square.max(0.0).sqrt() * (1.0 + ROUNDING)
    }

    /// What ‖x‖ does not exceed.
    pub(crate) fn norm(self) -> f64 {
        self.vector.sqrt() * (1.0 + ROUNDING)
    }
}

/// What the bound needs to know of a row and its code, rounded to the safe side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factors {
    /// The code's part parallel to the row, in units of the row: α, or less.
    pub(crate) parallel: f32,
    /// The length of the code's part perpendicular to the row, or more.
    pub(crate) perpendicular: f32,
}

impl Factors {
    /// The longest row that is ever ruled out: templates may be longer than 1 by 5e-5, and rounding to half precision adds
    /// 5e-4 at most.
    pub(crate) const NORM: f32 = 1.0 + 1.0 / 1024.0;

    /// With these, no bound rules the row out.
    const UNKNOWN: Self = Self { parallel: 0.0, perpendicular: 1e30 };

    pub(crate) fn new(fit: Fit) -> Self {
        match fit.parallel() {
            Some([least, _]) if fit.norm() <= f64::from(Self::NORM) => {
                Self { parallel: below(least), perpendicular: above(fit.perpendicular()) }
            }
            _ => Self::UNKNOWN,
        }
    }

    /// What the code's length does not exceed: a row is no longer than [`Self::NORM`].
    pub(crate) fn length(self) -> f32 {
        /// `parallel` may lie 2⁻²³ of itself under what it stands for, and three more roundings take less than that.
        const ROUNDING: f32 = 1.0 / (1 << 20) as f32;
        (self.parallel * Self::NORM).hypot(self.perpendicular) * (1.0 + ROUNDING)
    }
}

/// Levels apart, in standard deviations of the values, for 2, 3 and 4 bits: what is best for normal values (Max 1960,
/// table II), with scales around it for vectors that are not.
const STEPS_2: [f32; 5] = [0.80, 0.90, 0.9957, 1.10, 1.22];
const STEPS_3: [f32; 5] = [0.48, 0.53, 0.5860, 0.64, 0.71];
const STEPS_4: [f32; 5] = [0.28, 0.31, 0.3352, 0.37, 0.42];

/// The codes of `bits` bits a dimension (1 to 4) that lie closest in direction to vectors near unit length, of a few scales
/// tried. Their levels 0, ..., 2ᵇ - 1 are written to `levels`.
#[inline(always)]
pub(crate) fn nearest<const L: usize>(vectors: &[[f32; L]], bits: u32, levels: &mut [[u8; L]]) -> [Fit; L] {
    /// Its lowest bits are those of a small integer that is added to it.
    const UNITS: f32 = 8_388_608.0;
    let top = ((1 << bits) - 1) as f32;
    let deviations = (vectors.len() as f32).sqrt();
    let scales = match bits {
        1 => [1.0; L],
        2 => best_scales(vectors, top, STEPS_2.map(|step| deviations / step)),
        3 => best_scales(vectors, top, STEPS_3.map(|step| deviations / step)),
        _ => best_scales(vectors, top, STEPS_4.map(|step| deviations / step)),
    };
    for (levels, vectors) in levels.iter_mut().zip(vectors) {
        for ((level, x), scale) in levels.iter_mut().zip(vectors).zip(&scales) {
            *level = (half_odd(*x, *scale, top) + 0.5 * top + UNITS).to_bits() as u8;
        }
    }
    Fit::of(vectors, levels.iter().map(|levels| levels.map(|level| 2.0 * f32::from(level) - top)))
}

/// For each vector the scale whose code has the largest cosine with it.
#[inline(always)]
fn best_scales<const L: usize>(vectors: &[[f32; L]], top: f32, scales: [f32; 5]) -> [f32; L] {
    let (mut best, mut cosines) = ([scales[2]; L], [f32::NEG_INFINITY; L]);
    for scale in scales {
        let (mut product, mut square) = ([0.0_f32; L], [0.0_f32; L]);
        for vectors in vectors {
            for ((product, square), x) in product.iter_mut().zip(&mut square).zip(vectors) {
                let level = half_odd(*x, scale, top);
                *product += x * level;
                *square += level * level;
            }
        }
        for (lane, (best, most)) in best.iter_mut().zip(&mut cosines).enumerate() {
            let cosine = product[lane] / square[lane].sqrt();
            if cosine > *most {
                (*best, *most) = (scale, cosine);
            }
        }
    }
    best
}

/// The level next to `x · scale` among ±1/2, ±3/2, ..., ±top/2.
#[inline(always)]
fn half_odd(x: f32, scale: f32, top: f32) -> f32 {
    /// Adding and subtracting it rounds a small number to an integer, in code that the compiler can vectorise.
    const ROUND: f32 = 12_582_912.0;
    let rounded = (x * scale - 0.5 + ROUND) - ROUND;
    (rounded + 0.5).clamp(-0.5 * top, 0.5 * top)
}

/// A vector's values rounded to -127, ..., 127, by one scale.
pub(crate) fn to_bytes(vector: &[f32]) -> Vec<i8> {
    let largest = vector.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    vector.iter().map(|x| (x * (127.0 / largest)).round_ties_even() as i8).collect()
}
