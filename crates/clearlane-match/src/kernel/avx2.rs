//! Kernels for processors with AVX2, FMA and F16C: nearly every x86-64 since 2013.

use std::arch::x86_64::{
    __m256, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadl_epi64, _mm_loadu_si128, _mm_movehdup_ps, _mm_movehl_ps,
    _mm256_add_ps, _mm256_castps256_ps128, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtph_ps,
    _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps,
};

use half::f16;

use super::LANES;

/// Proof that the processor has what these kernels need.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn new() -> Option<Self> {
        let has =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        has.then_some(Self(()))
    }

    pub(super) fn score_f32(self, probe: &[f32], rows: &[f32], scores: &mut [f32]) {
        // SAFETY: `self` proves the features.
        unsafe { score_f32(probe, rows, scores) }
    }

    pub(super) fn score_f16(self, probe: &[f32], rows: &[f16], scores: &mut [f32]) {
        // SAFETY: `self` proves the features.
        unsafe { score_f16(probe, rows, scores) }
    }

    pub(super) fn score_i8(self, probe: &[f32], rows: &[i8], scores: &mut [f32]) {
        // SAFETY: `self` proves the features.
        unsafe { score_i8(probe, rows, scores) }
    }
}

macro_rules! score_rows {
    ($name:ident, $element:ty, $zero:expr, $load:ident) => {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn $name(probe: &[f32], rows: &[$element], scores: &mut [f32]) {
            let (probe_blocks, probe_rest) = probe.as_chunks::<LANES>();
            let mut probe_tail = [0.0_f32; LANES];
            probe_tail[..probe_rest.len()].copy_from_slice(probe_rest);
            for (row, score) in rows.chunks_exact(probe.len()).zip(scores) {
                let mut sums = [_mm256_setzero_ps(); 8];
                let (row_blocks, row_rest) = row.as_chunks::<LANES>();
                for (p, x) in probe_blocks.iter().zip(row_blocks) {
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum = _mm256_fmadd_ps(load_f32(p, i), $load(x, i), *sum);
                    }
                }
                if !row_rest.is_empty() {
                    let mut row_tail = [$zero; LANES];
                    row_tail[..row_rest.len()].copy_from_slice(row_rest);
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum = _mm256_fmadd_ps(load_f32(&probe_tail, i), $load(&row_tail, i), *sum);
                    }
                }
                *score = fold(sums);
            }
        }
    };
}

score_rows!(score_f32, f32, 0.0, load_f32);
score_rows!(score_f16, f16, f16::ZERO, load_f16);
score_rows!(score_i8, i8, 0, load_i8);

/// Values `8 i` to `8 i + 7` of the block.
#[inline]
#[target_feature(enable = "avx2")]
fn load_f32(block: &[f32; LANES], i: usize) -> __m256 {
    let part = &block[8 * i..8 * i + 8];
    // SAFETY: `part` has 8 values.
    unsafe { _mm256_loadu_ps(part.as_ptr()) }
}

/// Values `8 i` to `8 i + 7` of the block.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn load_f16(block: &[f16; LANES], i: usize) -> __m256 {
    let part = &block[8 * i..8 * i + 8];
    // SAFETY: `part` has 8 values of 2 bytes.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(part.as_ptr().cast()) })
}

/// Values `8 i` to `8 i + 7` of the block.
#[inline]
#[target_feature(enable = "avx2")]
fn load_i8(block: &[i8; LANES], i: usize) -> __m256 {
    let part = &block[8 * i..8 * i + 8];
    // SAFETY: `part` has 8 values of 1 byte, and 8 bytes are read.
    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(unsafe { _mm_loadl_epi64(part.as_ptr().cast()) }))
}

/// The sum of 64 lanes, in the order of the portable kernel.
#[inline]
#[target_feature(enable = "avx2")]
fn fold(sums: [__m256; 8]) -> f32 {
    let quarter =
        |a: usize| _mm256_add_ps(_mm256_add_ps(sums[a], sums[a + 2]), _mm256_add_ps(sums[a + 4], sums[a + 6]));
    fold_halves(quarter(0), quarter(1))
}

/// The sum of the last 16 lanes, halves onto halves.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn fold_halves(low: __m256, high: __m256) -> f32 {
    let eight = _mm256_add_ps(low, high);
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}
