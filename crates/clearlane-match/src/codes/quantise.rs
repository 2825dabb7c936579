//! Rounding vectors to a few levels a dimension.
//!
//! `L` vectors stand abreast, one value of each after the other: a vector instruction then works on all of them at once.

/// How a vector x stands to its code o, odd integers -(2ᵇ - 1), ..., -1, 1, ..., 2ᵇ - 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factors {
    /// ⟨x, o⟩: the code's length along x.
    pub(crate) along: f32,
    /// The code's length at right angles to x.
    pub(crate) beside: f32,
}

impl Factors {
    /// The factors of unit vectors with their codes.
    #[inline(always)]
    pub(crate) fn of<const L: usize>(vectors: &[[f32; L]], codes: impl Iterator<Item = [f32; L]>) -> [Self; L] {
        let (mut along, mut square) = ([0.0_f64; L], [0.0_f64; L]);
        for (vectors, codes) in vectors.iter().zip(codes) {
            for (((along, square), x), o) in along.iter_mut().zip(&mut square).zip(vectors).zip(&codes) {
                *along += f64::from(*x) * f64::from(*o);
                *square += f64::from(*o) * f64::from(*o);
            }
        }
        std::array::from_fn(|lane| {
            let (along, square) = (along[lane], square[lane]);
            Self { along: along as f32, beside: (square - along * along).max(0.0).sqrt() as f32 }
        })
    }

    /// The code's length.
    pub(crate) fn length(self) -> f32 {
        self.along.hypot(self.beside)
    }
}

/// Levels apart, in standard deviations of the values, for 2, 3 and 4 bits: what is best for normal values (Max 1960,
/// table II), with scales around it for vectors that are not.
const STEPS_2: [f32; 5] = [0.80, 0.90, 0.9957, 1.10, 1.22];
const STEPS_3: [f32; 5] = [0.48, 0.53, 0.5860, 0.64, 0.71];
const STEPS_4: [f32; 5] = [0.28, 0.31, 0.3352, 0.37, 0.42];

/// The codes of `bits` bits a dimension (1 to 4) that lie closest in direction to unit vectors, of a few scales tried.
/// Their levels 0, ..., 2ᵇ - 1 are written to `levels`.
#[inline(always)]
pub(crate) fn nearest<const L: usize>(vectors: &[[f32; L]], bits: u32, levels: &mut [[u8; L]]) -> [Factors; L] {
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
    Factors::of(vectors, levels.iter().map(|levels| levels.map(|level| 2.0 * f32::from(level) - top)))
}

/// For each vector the scale whose code has the largest cosine with it.
#[inline(always)]
fn best_scales<const L: usize>(vectors: &[[f32; L]], top: f32, scales: [f32; 5]) -> [f32; L] {
    let (mut best, mut cosines) = ([scales[2]; L], [f32::NEG_INFINITY; L]);
    for scale in scales {
        let (mut along, mut square) = ([0.0_f32; L], [0.0_f32; L]);
        for vectors in vectors {
            for ((along, square), x) in along.iter_mut().zip(&mut square).zip(vectors) {
                let level = half_odd(*x, scale, top);
                *along += x * level;
                *square += level * level;
            }
        }
        for (lane, (best, most)) in best.iter_mut().zip(&mut cosines).enumerate() {
            let cosine = along[lane] / square[lane].sqrt();
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

/// A unit vector's values rounded to -127, ..., 127, by one scale.
pub(crate) fn to_bytes(vector: &[f32]) -> Vec<i8> {
    let largest = vector.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    vector.iter().map(|x| (x * (127.0 / largest)).round_ties_even() as i8).collect()
}
