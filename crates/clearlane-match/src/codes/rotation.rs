//! A random rotation, so that no vector's values are arranged against its code.

/// How often signs are drawn and a transform is done.
const ROUNDS: usize = 4;

/// An orthogonal transform drawn at random from a seed: four times, signs are flipped at random, and a Walsh-Hadamard
/// transform is done on the first or, in turn, the last 2ⁿ values, the most that there are. It takes d log d steps and
/// keeps any dimension as it is. (Ailon and Chazelle 2009; the overlapping windows are those of RaBitQ's library.)
#[derive(Clone, Debug)]
pub(crate) struct Rotation {
    /// ±1 for each value in each round.
    signs: Vec<f32>,
    dimension: usize,
}

impl Rotation {
    pub(crate) fn new(dimension: usize, seed: u64) -> Self {
        let mut state = seed;
        let signs =
            (0..ROUNDS * dimension).map(|_| if split_mix(&mut state) >> 63 == 0 { 1.0 } else { -1.0 }).collect();
        Self { signs, dimension }
    }

    pub(crate) fn dimension(&self) -> usize {
        self.dimension
    }

    /// Turns `L` vectors, which stand abreast: one value of each after the other.
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

/// The orthonormal Walsh-Hadamard transform of 2ⁿ values, in place.
#[inline(always)]
fn walsh_hadamard<const L: usize>(values: &mut [[f32; L]]) {
    let mut half = 1;
    while half < values.len() {
        // Sums and differences of values that stand `half` apart.
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
