//! Kernels for processors with AVX-512 (F, BW, VL, VNNI, VPOPCNTDQ): Intel since Ice Lake, AMD since Zen 4.

use std::arch::x86_64::{
    __m512, __m512i, _mm_loadu_si128, _mm256_loadu_si256, _mm256_storeu_si256, _mm512_add_epi32, _mm512_add_epi64,
    _mm512_add_ps, _mm512_and_si512, _mm512_castps512_ps256, _mm512_cmpge_epi32_mask, _mm512_cmple_epi64_mask,
    _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps, _mm512_cvtepi64_epi32, _mm512_cvtph_ps, _mm512_dpbusd_epi32,
    _mm512_extractf32x8_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_popcnt_epi64,
    _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_srli_epi16,
    _mm512_storeu_si512, _mm512_xor_si512,
};

use half::f16;

use super::LANES;
use super::prefetch::prefetch_ahead;
use super::scan::{BLOCK, LINE, LevelProbe, PLANES, PlaneProbe, Survivor, push};

macro_rules! score_rows {
    ($name:ident, $element:ty, $zero:expr, $load:ident) => {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        pub(super) fn $name(probe: &[f32], rows: &[$element], scores: &mut [f32]) {
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

#[target_feature(enable = "avx512f,avx512vpopcntdq")]
pub(super) fn scan_planes(probe: &PlaneProbe, blocks: &[u8], thresholds: &[i32], survivors: &mut Vec<Survivor>) {
    const GROUPS: usize = BLOCK / 8;
    for (number, (block, threshold)) in blocks.chunks_exact(probe.block_bytes()).zip(thresholds).enumerate() {
        let mut planes = [[_mm512_setzero_si512(); PLANES]; GROUPS];
        for (line, words) in probe.words.iter().enumerate() {
            let words = words.map(|word| _mm512_set1_epi64(word as i64));
            for (group, planes) in planes.iter_mut().enumerate() {
                // SAFETY: a block has `GROUPS` lines for each of the probe's words.
                let codes = unsafe { line_of(block, line * GROUPS + group) };
                prefetch_ahead(codes);
                let codes = load_line(codes);
                for (plane, word) in planes.iter_mut().zip(words) {
                    *plane = _mm512_add_epi64(*plane, _mm512_popcnt_epi64(_mm512_xor_si512(codes, word)));
                }
            }
        }
        let most = _mm512_set1_epi64(i64::from(probe.differing(*threshold)));
        let mut counts = [_mm512_setzero_si512(); GROUPS];
        for (count, planes) in counts.iter_mut().zip(planes) {
            for plane in planes.into_iter().rev() {
                *count = _mm512_add_epi64(_mm512_add_epi64(*count, *count), plane);
            }
        }
        let masks = counts.map(|count| _mm512_cmple_epi64_mask(count, most));
        let mask = u32::from_le_bytes(masks);
        if mask != 0 {
            let mut all = [0; BLOCK];
            for (count, out) in counts.iter().zip(all.as_chunks_mut::<8>().0) {
                // SAFETY: `out` has 8 values of 4 bytes.
                unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), _mm512_cvtepi64_epi32(*count)) };
            }
            push(survivors, number, mask, &all, |count| probe.product(count));
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn scan_levels(probe: &LevelProbe, blocks: &[u8], thresholds: &[i32], survivors: &mut Vec<Survivor>) {
    if probe.bits == 4 {
        scan_fields::<2, 4>(probe, blocks, thresholds, survivors);
    } else {
        scan_fields::<4, 2>(probe, blocks, thresholds, survivors);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn scan_fields<const FIELDS: usize, const BITS: u32>(
    probe: &LevelProbe,
    blocks: &[u8],
    thresholds: &[i32],
    survivors: &mut Vec<Survivor>,
) {
    const GROUPS: usize = BLOCK / 16;
    let field = _mm512_set1_epi8((1 << BITS) - 1);
    let quads = probe.quads.as_chunks::<FIELDS>().0;
    for (number, (block, threshold)) in blocks.chunks_exact(probe.block_bytes()).zip(thresholds).enumerate() {
        let mut sums = [[_mm512_setzero_si512(); FIELDS]; GROUPS];
        for (line, quads) in quads.iter().enumerate() {
            // No `map`: what a closure gives back in a vector register would go through memory.
            let mut values = [_mm512_setzero_si512(); FIELDS];
            for (values, quad) in values.iter_mut().zip(quads) {
                *values = _mm512_set1_epi32(i32::from_le_bytes(quad.map(|value| value as u8)));
            }
            for (group, sums) in sums.iter_mut().enumerate() {
                // SAFETY: a block has `GROUPS` lines for each `FIELDS` of the probe's quads.
                let mut codes = load_line(unsafe { line_of(block, line * GROUPS + group) });
                for (sum, values) in sums.iter_mut().zip(values) {
                    *sum = _mm512_dpbusd_epi32(*sum, _mm512_and_si512(codes, field), values);
                    codes = _mm512_srli_epi16::<BITS>(codes);
                }
            }
        }
        let least = _mm512_set1_epi32(probe.levels(*threshold));
        let sums = sums.map(|sums| sums[1..].iter().fold(sums[0], |sum, part| _mm512_add_epi32(sum, *part)));
        let [low, high] = sums.map(|sum| u32::from(_mm512_cmpge_epi32_mask(sum, least)));
        let mask = low | high << 16;
        if mask != 0 {
            let mut all = [0; BLOCK];
            for (sum, out) in sums.iter().zip(all.as_chunks_mut::<16>().0) {
                // SAFETY: `out` has 16 values of 4 bytes.
                unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), *sum) };
            }
            push(survivors, number, mask, &all, |count| probe.product(count));
        }
    }
}

/// Line `line` of a block.
///
/// # Safety
/// The block has more than `line` lines.
#[inline]
unsafe fn line_of(block: &[u8], line: usize) -> &[u8; LINE] {
    debug_assert!(line < block.len() / LINE);
    // SAFETY: the line lies within the block, says the caller.
    unsafe { block.as_chunks().0.get_unchecked(line) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_line(line: &[u8; LINE]) -> __m512i {
    // SAFETY: a line has 64 bytes.
    unsafe { _mm512_loadu_si512(line.as_ptr().cast()) }
}
