//! Kernels for processors with AVX2, FMA and F16C: nearly every x86-64 since 2013.

use std::arch::x86_64::{
    __m256, __m256i, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadl_epi64, _mm_loadu_si128, _mm_movehdup_ps,
    _mm_movehl_ps, _mm_setr_epi8, _mm256_add_epi8, _mm256_add_epi32, _mm256_add_epi64, _mm256_add_ps, _mm256_and_si256,
    _mm256_broadcastsi128_si256, _mm256_castps256_ps128, _mm256_castsi256_ps, _mm256_cmpgt_epi32, _mm256_cvtepi8_epi32,
    _mm256_cvtepi32_ps, _mm256_cvtph_ps, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_movemask_ps, _mm256_sad_epu8, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_srli_epi16, _mm256_storeu_si256, _mm256_xor_si256,
};

use half::f16;

use super::LANES;
use super::prefetch::prefetch_line;
use super::scan::{AHEAD, BLOCK, LINE, LevelProbe, PLANES, PlaneProbe, Survivor, group_lines, push};

macro_rules! score_rows {
    ($name:ident, $element:ty, $zero:expr, $load:ident) => {
        #[target_feature(enable = "avx2,fma,f16c")]
        pub(super) fn $name(probe: &[f32], rows: &[$element], scores: &mut [f32]) {
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

#[target_feature(enable = "avx2")]
pub(super) fn scan_planes(probe: &PlaneProbe, blocks: &[u8], thresholds: &[i32], survivors: &mut Vec<Survivor>) {
    for (number, (block, threshold)) in blocks.chunks_exact(probe.block_bytes()).zip(thresholds).enumerate() {
        let mut counts = [0; BLOCK];
        for (group, counts) in counts.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let mut sums = [[_mm256_setzero_si256(); PLANES]; 2];
            for (line, words) in group_lines(block, group, BLOCK / 8).zip(&probe.words) {
                prefetch_line(line.as_ptr().wrapping_add(AHEAD));
                for (codes, sums) in load_line(line).into_iter().zip(&mut sums) {
                    for (sum, word) in sums.iter_mut().zip(words) {
                        let differing = _mm256_xor_si256(codes, _mm256_set1_epi64x(*word as i64));
                        *sum = _mm256_add_epi64(*sum, count_ones(differing));
                    }
                }
            }
            for (sums, counts) in sums.iter().zip(counts.as_chunks_mut::<4>().0) {
                let mut sum = _mm256_setzero_si256();
                for plane in sums.iter().rev() {
                    sum = _mm256_add_epi64(_mm256_add_epi64(sum, sum), *plane);
                }
                let mut wide = [0_i64; 4];
                // SAFETY: `wide` has 4 values of 8 bytes.
                unsafe { _mm256_storeu_si256(wide.as_mut_ptr().cast(), sum) };
                *counts = wide.map(|count| count as i32);
            }
        }
        let most = probe.differing(*threshold);
        let mask = mask(&counts, |counts| !mask_8(_mm256_cmpgt_epi32(counts, _mm256_set1_epi32(most))));
        if mask != 0 {
            push(survivors, number, mask, &counts, |count| probe.product(count));
        }
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn scan_levels(probe: &LevelProbe, blocks: &[u8], thresholds: &[i32], survivors: &mut Vec<Survivor>) {
    if probe.bits == 4 {
        scan_fields::<2, 4>(probe, blocks, thresholds, survivors);
    } else {
        scan_fields::<4, 2>(probe, blocks, thresholds, survivors);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn scan_fields<const FIELDS: usize, const BITS: i32>(
    probe: &LevelProbe,
    blocks: &[u8],
    thresholds: &[i32],
    survivors: &mut Vec<Survivor>,
) {
    let field = _mm256_set1_epi8((1 << BITS) - 1);
    let ones = _mm256_set1_epi16(1);
    let quads = probe.quads.as_chunks::<FIELDS>().0;
    for (number, (block, threshold)) in blocks.chunks_exact(probe.block_bytes()).zip(thresholds).enumerate() {
        let mut counts = [0; BLOCK];
        for (group, counts) in counts.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let mut sums = [_mm256_setzero_si256(); 2];
            for (line, quads) in group_lines(block, group, BLOCK / 16).zip(quads) {
                prefetch_line(line.as_ptr().wrapping_add(AHEAD));
                for (mut codes, sum) in load_line(line).into_iter().zip(&mut sums) {
                    for quad in quads {
                        let values = _mm256_set1_epi32(i32::from_le_bytes(quad.map(|value| value as u8)));
                        // At most 2 · 15 · 127: the 16-bit sums do not saturate.
                        let pairs = _mm256_maddubs_epi16(_mm256_and_si256(codes, field), values);
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
                        codes = _mm256_srli_epi16::<BITS>(codes);
                    }
                }
            }
            for (sum, counts) in sums.iter().zip(counts.as_chunks_mut::<8>().0) {
                // SAFETY: `counts` has 8 values of 4 bytes.
                unsafe { _mm256_storeu_si256(counts.as_mut_ptr().cast(), *sum) };
            }
        }
        let below = _mm256_set1_epi32(probe.levels(*threshold).saturating_sub(1));
        let mask = mask(&counts, |counts| mask_8(_mm256_cmpgt_epi32(counts, below)));
        if mask != 0 {
            push(survivors, number, mask, &counts, |count| probe.product(count));
        }
    }
}

/// The bits of a block's codes, eight at a time.
#[inline]
#[target_feature(enable = "avx2")]
fn mask(counts: &[i32; BLOCK], eight: impl Fn(__m256i) -> u8) -> u32 {
    let masks = counts.as_chunks::<8>().0.iter().map(|counts| {
        // SAFETY: `counts` has 8 values of 4 bytes.
        eight(unsafe { _mm256_loadu_si256(counts.as_ptr().cast()) })
    });
    masks.rev().fold(0, |mask, eight| mask << 8 | u32::from(eight))
}

/// One bit for each lane of a comparison.
#[inline]
#[target_feature(enable = "avx2")]
fn mask_8(lanes: __m256i) -> u8 {
    _mm256_movemask_ps(_mm256_castsi256_ps(lanes)) as u8
}

/// How many bits are set in each 64-bit lane, by a table of half bytes (Muła, Kurz and Lemire 2018).
#[inline]
#[target_feature(enable = "avx2")]
fn count_ones(bits: __m256i) -> __m256i {
    let table = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    let half = _mm256_set1_epi8(15);
    let low = _mm256_shuffle_epi8(table, _mm256_and_si256(bits, half));
    let high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16::<4>(bits), half));
    _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256())
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_line(line: &[u8; LINE]) -> [__m256i; 2] {
    let (low, high) = line.split_at(LINE / 2);
    // SAFETY: each half of a line has 32 bytes.
    unsafe { [_mm256_loadu_si256(low.as_ptr().cast()), _mm256_loadu_si256(high.as_ptr().cast())] }
}
