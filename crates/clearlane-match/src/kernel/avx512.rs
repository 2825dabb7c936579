//! Kernels for processors with AVX-512 (F, BW, VL, VNNI, VPOPCNTDQ): Intel since Ice Lake, AMD since Zen 4.

use std::arch::x86_64::{
    __m512, _mm_loadu_si128, _mm256_loadu_si256, _mm512_add_ps, _mm512_castps512_ps256, _mm512_cvtepi8_epi32,
    _mm512_cvtepi32_ps, _mm512_cvtph_ps, _mm512_extractf32x8_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_setzero_ps,
};

use half::f16;

use super::LANES;

/// Proof that the processor has what these kernels need.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx512vpopcntdq")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma");
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
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        fn $name(probe: &[f32], rows: &[$element], scores: &mut [f32]) {
            let (probe_blocks, probe_rest) = probe.as_chunks::<LANES>();
            let mut probe_tail = [0.0_f32; LANES];
            probe_tail[..probe_rest.len()].copy_from_slice(probe_rest);
            for (row, score) in rows.chunks_exact(probe.len()).zip(scores) {
                let mut sums = [_mm512_setzero_ps(); 4];
                let (row_blocks, row_rest) = row.as_chunks::<LANES>();
                for (p, x) in probe_blocks.iter().zip(row_blocks) {
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum = _mm512_fmadd_ps(load_f32(p, i), $load(x, i), *sum);
                    }
                }
                if !row_rest.is_empty() {
                    let mut row_tail = [$zero; LANES];
                    row_tail[..row_rest.len()].copy_from_slice(row_rest);
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum = _mm512_fmadd_ps(load_f32(&probe_tail, i), $load(&row_tail, i), *sum);
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

/// Values `16 i` to `16 i + 15` of the block.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_f32(block: &[f32; LANES], i: usize) -> __m512 {
    let part = &block[16 * i..16 * i + 16];
    // SAFETY: `part` has 16 values.
    unsafe { _mm512_loadu_ps(part.as_ptr()) }
}

/// Values `16 i` to `16 i + 15` of the block.
#[inline]
#[target_feature(enable = "avx512f,avx2")]
fn load_f16(block: &[f16; LANES], i: usize) -> __m512 {
    let part = &block[16 * i..16 * i + 16];
    // SAFETY: `part` has 16 values of 2 bytes.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(part.as_ptr().cast()) })
}

/// Values `16 i` to `16 i + 15` of the block.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_i8(block: &[i8; LANES], i: usize) -> __m512 {
    let part = &block[16 * i..16 * i + 16];
    // SAFETY: `part` has 16 values of 1 byte.
    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(unsafe { _mm_loadu_si128(part.as_ptr().cast()) }))
}

/// The sum of 64 lanes, in the order of the portable kernel.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx2")]
fn fold(sums: [__m512; 4]) -> f32 {
    let sum = _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3]));
    super::avx2::fold_halves(_mm512_castps512_ps256(sum), _mm512_extractf32x8_ps::<1>(sum))
}
