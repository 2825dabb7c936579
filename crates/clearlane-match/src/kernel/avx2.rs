//! Kernels for processors with AVX2, FMA and F16C: nearly every x86-64 since 2013.

use std::arch::x86_64::{
    __m256, __m256i, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadl_epi64, _mm_loadu_si128, _mm_movehdup_ps,
    _mm_movehl_ps, _mm256_add_epi8, _mm256_add_epi16, _mm256_add_epi32, _mm256_add_ps, _mm256_and_si256,
    _mm256_blendv_epi8, _mm256_broadcastsi128_si256, _mm256_castps256_ps128, _mm256_castsi256_ps, _mm256_cmpeq_epi16,
    _mm256_cmpgt_epi32, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtph_ps, _mm256_extractf128_ps,
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_max_epu16,
    _mm256_movemask_epi8, _mm256_movemask_ps, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_setzero_ps, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_srli_epi16,
    _mm256_storeu_si256, _mm256_sub_epi16,
};

use half::f16;

use super::LANES;
use super::prefetch::prefetch_ahead;
use super::scan::{BLOCK, LevelProbe, PlaneProbe, SUMMED, Survivor, push};

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
    let half = _mm256_set1_epi8(15);
    let low_bytes = _mm256_set1_epi16(255);
    for (number, (block, threshold)) in blocks.chunks_exact(probe.block_bytes()).zip(thresholds).enumerate() {
        // Sums of a code and its neighbour, the neighbour's times 256, modulo 2¹⁶; and of the neighbours alone.
        let mut both = _mm256_setzero_si256();
        let mut odd = _mm256_setzero_si256();
        let units = block.as_chunks::<BLOCK>().0.as_chunks::<SUMMED>().0;
        for (units, tables) in units.iter().zip(probe.tables.as_chunks::<SUMMED>().0) {
            prefetch_ahead(units.as_flattened());
            let mut sums = _mm256_setzero_si256();
            for (unit, [low, high]) in units.iter().zip(tables) {
                let codes = load_32(unit);
                let low = _mm256_shuffle_epi8(load_table(low), _mm256_and_si256(codes, half));
                let high = _mm256_shuffle_epi8(load_table(high), _mm256_and_si256(_mm256_srli_epi16::<4>(codes), half));
                sums = _mm256_add_epi8(sums, _mm256_add_epi8(low, high));
            }
            both = _mm256_add_epi16(both, sums);
            odd = _mm256_add_epi16(odd, _mm256_srli_epi16::<8>(sums));
        }
        let even = _mm256_sub_epi16(both, _mm256_slli_epi16::<8>(odd));
        let Ok(most) = u16::try_from(probe.differing(*threshold).min(i32::from(u16::MAX))) else { continue };
        let most = _mm256_set1_epi16(most as i16);
        let [even_mask, odd_mask] = [even, odd].map(|counts| _mm256_cmpeq_epi16(_mm256_max_epu16(counts, most), most));
        let mask = _mm256_movemask_epi8(_mm256_blendv_epi8(odd_mask, even_mask, low_bytes)) as u32;
        if mask != 0 {
            let mut counts = [0; BLOCK];
            for (first, sums) in [even, odd].into_iter().enumerate() {
                let mut wide = [0_u16; BLOCK / 2];
                // SAFETY: `wide` has 16 values of 2 bytes.
                unsafe { _mm256_storeu_si256(wide.as_mut_ptr().cast(), sums) };
                counts.iter_mut().skip(first).step_by(2).zip(wide).for_each(|(count, sum)| *count = i32::from(sum));
            }
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
    /// Registers of a line of all codes.
    const PARTS: usize = BLOCK / 8;
    /// So many products of 16 bits, each at most 2 · 15 · 127, add up without an overflow.
    const SUMMED: usize = 8;
    let field = _mm256_set1_epi8((1 << BITS) - 1);
    let ones = _mm256_set1_epi16(1);
    let quads = probe.quads.as_chunks::<FIELDS>().0;
    for (number, (block, threshold)) in blocks.chunks_exact(probe.block_bytes()).zip(thresholds).enumerate() {
        let mut totals = [_mm256_setzero_si256(); PARTS];
        let lines = block.as_chunks::<{ PARTS * 32 }>().0;
        for (lines, quads) in lines.chunks(SUMMED / FIELDS).zip(quads.chunks(SUMMED / FIELDS)) {
            let mut sums = [_mm256_setzero_si256(); PARTS];
            for (line, quads) in lines.iter().zip(quads) {
                for (codes, sum) in line.as_chunks::<32>().0.iter().zip(&mut sums) {
                    let mut codes = load_32(codes);
                    for quad in quads {
                        let values = _mm256_set1_epi32(i32::from_le_bytes(quad.map(|value| value as u8)));
                        let pairs = _mm256_maddubs_epi16(_mm256_and_si256(codes, field), values);
                        *sum = _mm256_add_epi16(*sum, pairs);
                        codes = _mm256_srli_epi16::<BITS>(codes);
                    }
                }
            }
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total = _mm256_add_epi32(*total, _mm256_madd_epi16(sum, ones));
            }
        }
        let mut counts = [0; BLOCK];
        for (total, counts) in totals.iter().zip(counts.as_chunks_mut::<8>().0) {
            // SAFETY: `counts` has 8 values of 4 bytes.
            unsafe { _mm256_storeu_si256(counts.as_mut_ptr().cast(), *total) };
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

/// Bytes of a block.
#[inline]
#[target_feature(enable = "avx2")]
fn load_32(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: there are 32 bytes.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// A table in both halves of a register, where `vpshufb` looks things up.
#[inline]
#[target_feature(enable = "avx2")]
fn load_table(table: &[u8; 16]) -> __m256i {
    // SAFETY: there are 16 bytes.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
}
