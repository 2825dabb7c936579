//! Samples out of coefficients: the inverse DCT at full size, and at a half, a quarter and an eighth of it.

use std::num::Wrapping;

use clearlane_infer::Loops;

type Int = Wrapping<i32>;

/// Fractional bits of the constants, and those that the first pass leaves in its results.
const CONST_BITS: u32 = 13;
const PASS_BITS: u32 = 2;

/// Samples of a row of blocks, each `side` × `side` of them: the integer transform of Loeffler, Ligtenberg and Moschytz
/// (1989, "Practical fast 1-D DCT algorithms with 11 multiplications") as libjpeg's `jidctint.c` and `jidctred.c` round it, so
/// that results are the same to the bit.
pub(super) struct InverseRow<'a> {
    pub(super) blocks: &'a [[i16; 64]],
    pub(super) quantiser: &'a [u16; 64],
    /// 1, 2, 4 or 8.
    pub(super) side: usize,
    pub(super) out: &'a mut [u8],
    /// Samples from one row to the next.
    pub(super) stride: usize,
}

impl Loops for InverseRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        match self.side {
            8 => self.each(eight),
            4 => self.each(four),
            2 => self.each(two),
            _ => self.each(|values| [[level(values[0].0, 3)]]),
        }
    }
}

impl InverseRow<'_> {
    #[inline(always)]
    fn each<const N: usize>(self, inverse: impl Fn(&[Int; 64]) -> [[u8; N]; N]) {
        for (index, block) in self.blocks.iter().enumerate() {
            let flat = block[1..].iter().fold(0, |any, value| any | value) == 0;
            let samples = if flat {
                [[level(i32::from(block[0]) * i32::from(self.quantiser[0]), 3); N]; N]
            } else {
                let mut values = [Wrapping(0); 64];
                for ((value, &coefficient), &step) in values.iter_mut().zip(block).zip(self.quantiser) {
                    *value = Wrapping(i32::from(coefficient) * i32::from(step));
                }
                inverse(&values)
            };
            for (y, row) in samples.iter().enumerate() {
                self.out[y * self.stride + N * index..][..N].copy_from_slice(row);
            }
        }
    }
}

/// The sample for a value with so many fractional bits: rounded, around 128, and held to a byte.
#[inline(always)]
fn level(value: i32, bits: u32) -> u8 {
    ((value.wrapping_add(1 << (bits - 1)) >> bits) + 128).clamp(0, 255) as u8
}

#[inline(always)]
fn rounded(value: Int, bits: u32) -> Int {
    Wrapping((value.0.wrapping_add(1 << (bits - 1))) >> bits)
}

/// A constant with [`CONST_BITS`] fractional bits.
const fn fixed(value: f64) -> Int {
    Wrapping((value * (1 << CONST_BITS) as f64 + 0.5) as i32)
}

/// One dimension of the transform: eight values, with [`CONST_BITS`] more fractional bits.
#[inline(always)]
fn transform(value: [Int; 8]) -> [Int; 8] {
    let [v0, v1, v2, v3, v4, v5, v6, v7] = value;
    let both = (v2 + v6) * fixed(0.541_196_100);
    let even_2 = both - v6 * fixed(1.847_759_065);
    let even_3 = both + v2 * fixed(0.765_366_865);
    let even_0 = (v0 + v4) << CONST_BITS as usize;
    let even_1 = (v0 - v4) << CONST_BITS as usize;
    let even = [even_0 + even_3, even_1 + even_2, even_1 - even_2, even_0 - even_3];

    let five = (v7 + v3 + v5 + v1) * fixed(1.175_875_602);
    let (one, two) = ((v7 + v1) * fixed(0.899_976_223), (v5 + v3) * fixed(2.562_915_447));
    let three = five - (v7 + v3) * fixed(1.961_570_560);
    let four = five - (v5 + v1) * fixed(0.390_180_644);
    let odd = [
        v1 * fixed(1.501_321_110) - one + four,
        v3 * fixed(3.072_711_026) - two + three,
        v5 * fixed(2.053_119_869) - two + four,
        v7 * fixed(0.298_631_336) - one + three,
    ];
    [
        even[0] + odd[0],
        even[1] + odd[1],
        even[2] + odd[2],
        even[3] + odd[3],
        even[3] - odd[3],
        even[2] - odd[2],
        even[1] - odd[1],
        even[0] - odd[0],
    ]
}

#[inline(always)]
fn eight(values: &[Int; 64]) -> [[u8; 8]; 8] {
    let mut columns = [Wrapping(0); 64];
    for x in 0..8 {
        let results = transform(std::array::from_fn(|y| values[8 * y + x]));
        for (y, result) in results.into_iter().enumerate() {
            columns[8 * y + x] = rounded(result, CONST_BITS - PASS_BITS);
        }
    }
    let across = transposed(&columns);
    let mut samples = [0; 64];
    for y in 0..8 {
        let results = transform(std::array::from_fn(|x| across[8 * x + y]));
        for (x, result) in results.into_iter().enumerate() {
            samples[8 * x + y] = level(result.0, CONST_BITS + PASS_BITS + 3);
        }
    }
    let samples = transposed(&samples);
    std::array::from_fn(|y| std::array::from_fn(|x| samples[8 * y + x]))
}

/// Rows become columns.
#[inline(always)]
fn transposed<T: Copy + Default>(values: &[T; 64]) -> [T; 64] {
    let mut transposed = [T::default(); 64];
    for y in 0..8 {
        for x in 0..8 {
            transposed[8 * x + y] = values[8 * y + x];
        }
    }
    transposed
}

/// One dimension of the transform to half its size, with one bit more: value 4 has no part in it.
#[inline(always)]
fn transform_to_four([v0, v1, v2, v3, _, v5, v6, v7]: [Int; 8]) -> [Int; 4] {
    let even = v0 << (CONST_BITS + 1) as usize;
    let slope = v2 * fixed(1.847_759_065) - v6 * fixed(0.765_366_865);
    let inner =
        v5 * fixed(1.451_774_981) - v7 * fixed(0.211_164_243) - v3 * fixed(2.172_734_803) + v1 * fixed(1.061_594_337);
    let outer =
        v3 * fixed(0.899_976_223) - v7 * fixed(0.509_795_579) - v5 * fixed(0.601_344_887) + v1 * fixed(2.562_915_447);
    [even + slope + outer, even - slope + inner, even - slope - inner, even + slope - outer]
}

#[inline(always)]
fn four(values: &[Int; 64]) -> [[u8; 4]; 4] {
    let mut columns = [Wrapping(0); 32];
    for x in 0..8 {
        let results = transform_to_four(std::array::from_fn(|y| values[8 * y + x]));
        for (y, result) in results.into_iter().enumerate() {
            columns[8 * y + x] = rounded(result, CONST_BITS - PASS_BITS + 1);
        }
    }
    std::array::from_fn(|y| {
        transform_to_four(std::array::from_fn(|x| columns[8 * y + x]))
            .map(|result| level(result.0, CONST_BITS + PASS_BITS + 4))
    })
}

/// One dimension of the transform to a quarter of its size, with two bits more.
#[inline(always)]
fn transform_to_two([v0, v1, _, v3, _, v5, _, v7]: [Int; 8]) -> [Int; 2] {
    let even = v0 << (CONST_BITS + 2) as usize;
    let odd =
        v5 * fixed(0.850_430_095) - v7 * fixed(0.720_959_822) - v3 * fixed(1.272_758_580) + v1 * fixed(3.624_509_785);
    [even + odd, even - odd]
}

#[inline(always)]
fn two(values: &[Int; 64]) -> [[u8; 2]; 2] {
    let mut columns = [Wrapping(0); 16];
    for x in 0..8 {
        let results = transform_to_two(std::array::from_fn(|y| values[8 * y + x]));
        for (y, result) in results.into_iter().enumerate() {
            columns[8 * y + x] = rounded(result, CONST_BITS - PASS_BITS + 2);
        }
    }
    std::array::from_fn(|y| {
        transform_to_two(std::array::from_fn(|x| columns[8 * y + x]))
            .map(|result| level(result.0, CONST_BITS + PASS_BITS + 5))
    })
}
