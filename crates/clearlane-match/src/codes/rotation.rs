//! A random rotation, so that no vector can be chosen for a poor code.

use zeroize::Zeroizing;

use crate::GalleryError;

/// How often signs are drawn and a transform is done.
const ROUNDS: usize = 4;

/// An orthogonal transform drawn at random: four times, signs are flipped at random, and a Walsh-Hadamard transform is done
/// on the first or, in turn, the last 2ⁿ values, the most that there are. It takes d log d steps and keeps any dimension as
/// it is. (Ailon and Chazelle 2009; the overlapping windows are those of RaBitQ's library.)
///
/// The signs are a secret: an attacker who knows them can look for faces that a statistical bound rules out.
pub(crate) struct Rotation {
    /// ±1 for each value in each round.
    signs: Zeroizing<Vec<f32>>,
    dimension: usize,
}

impl Rotation {
    /// An unpredictable rotation: every sign is a bit of the system's randomness.
    pub(crate) fn random(dimension: usize) -> Result<Self, GalleryError> {
        let mut bytes = Zeroizing::new(vec![0_u8; Self::bytes(dimension)]);
        getrandom::fill(&mut bytes).map_err(|_| GalleryError::NoEntropy)?;
        Self::from_bytes(dimension, &bytes).ok_or(GalleryError::NoEntropy)
    }

    /// The rotation of a seed, the same in every run.
    pub(crate) fn of_seed(dimension: usize, seed: u64) -> Self {
        let mut state = seed;
        Self::drawn(dimension, |_| split_mix(&mut state) >> 63 == 1)
    }

    /// Bytes of [`Self::to_bytes`].
    pub(crate) const fn bytes(dimension: usize) -> usize {
        (ROUNDS * dimension).div_ceil(8)
    }

    /// The signs, one bit each.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let byte = |signs: &[f32]| signs.iter().rev().fold(0, |byte, sign| byte << 1 | u8::from(*sign < 0.0));
        Zeroizing::new(self.signs.chunks(8).map(byte).collect())
    }

    /// The rotation whose bytes these are, or begin with. `None` where they are too few.
    pub(crate) fn from_bytes(dimension: usize, bytes: &[u8]) -> Option<Self> {
        let enough = bytes.len() >= Self::bytes(dimension);
        enough.then(|| Self::drawn(dimension, |i| bytes[i / 8] >> (i % 8) & 1 == 1))
    }

    fn drawn(dimension: usize, mut negative: impl FnMut(usize) -> bool) -> Self {
        let signs = (0..ROUNDS * dimension).map(|i| if negative(i) { -1.0 } else { 1.0 }).collect();
        Self { signs: Zeroizing::new(signs), dimension }
    }

    pub(crate) fn dimension(&self) -> usize {
        self.dimension
    }

    /// How many roundings, one after the other, a value goes through at most: the sums of each transform, its scale (a root,
    /// a quotient, a product), and, before all, the widening of an integer row. Each changes a vector by 2⁻²⁴ of its length
    /// at most.
    pub(crate) fn roundings(&self) -> usize {
        ROUNDS * (self.dimension.ilog2() as usize + 3) + 1
    }

    /// Rotates `L` vectors, which are interleaved: one value of each after the other.
    #[inline(always)]
    pub(crate) fn apply<const L: usize>(&self, vectors: &mut [[f32; L]]) {
        let window = 1 << self.dimension.ilog2();
        for (round, signs) in self.signs.chunks_exact(self.dimension).enumerate() {
            for (values, sign) in vectors.iter_mut().zip(signs) {
                for value in values {
                    *value *= sign;
                }
            }
            let first = if round % 2 == 0 { 0 } else { self.dimension - window };
            walsh_hadamard(&mut vectors[first..first + window]);
        }
    }
}

#[cfg(test)]
impl Rotation {
    /// Rotates a vector back: transforms and signs are their own inverses.
    pub(super) fn undo(&self, vector: &mut [f32]) {
        let window = 1 << self.dimension.ilog2();
        for (round, signs) in self.signs.chunks_exact(self.dimension).enumerate().rev() {
            let first = if round % 2 == 0 { 0 } else { self.dimension - window };
            walsh_hadamard::<1>(vector[first..first + window].as_chunks_mut().0);
            vector.iter_mut().zip(signs).for_each(|(value, sign)| *value *= sign);
        }
    }
}

/// The orthonormal Walsh-Hadamard transform of 2ⁿ values, in place.
#[inline(always)]
fn walsh_hadamard<const L: usize>(values: &mut [[f32; L]]) {
    let mut half = 1;
    while half < values.len() {
        // Sums and differences of values that are `half` apart.
        for pair in values.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.as_flattened_mut().iter_mut().zip(high.as_flattened_mut()) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
    let scale = 1.0 / (values.len() as f32).sqrt();
    for value in values.as_flattened_mut() {
        *value *= scale;
    }
}

/// The generator `SplitMix64` (Steele, Lea and Flood 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
