//! Kernels for 64-bit Arm with Advanced SIMD: all that run an operating system.
//!
//! Lines are read byte by byte, lowest first: a `Neon` token proves that order too.

use std::arch::aarch64::{
    float32x4_t, int32x4_t, uint8x16_t, uint16x8_t, uint32x4_t, vadd_f32, vaddq_f32, vaddq_u8, vaddvq_u32,
    vaddw_high_u8, vaddw_u8, vandq_u8, vandq_u32, vcgeq_s32, vcleq_s32, vcvtq_f32_s32, vdupq_n_f32, vdupq_n_s16,
    vdupq_n_s32, vdupq_n_u8, vdupq_n_u16, vfmaq_f32, vget_high_f32, vget_high_s8, vget_high_s16, vget_low_f32,
    vget_low_s8, vget_low_s16, vget_low_u8, vget_low_u16, vld1q_f32, vld1q_s8, vld1q_s32, vld1q_u8, vld1q_u16,
    vld1q_u32, vmlal_high_s8, vmlal_s8, vmovl_high_u16, vmovl_s8, vmovl_s16, vmovl_u16, vpadalq_s16, vpaddq_s32,
    vpadds_f32, vqtbl1q_u8, vreinterpretq_s8_s32, vreinterpretq_s8_u8, vreinterpretq_s32_u32, vshrq_n_u8, vst1q_s32,
};
use std::arch::asm;

use half::f16;

use super::LANES;
use super::prefetch::prefetch_ahead;
use super::scan::{BLOCK, LINE, LevelProbe, PlaneProbe, SUMMED, Survivor, group_lines, push};

macro_rules! score_rows {
    ($name:ident, $element:ty, $zero:expr, $load:ident) => {
        #[target_feature(enable = "neon")]
        pub(super) fn $name(probe: &[f32], rows: &[$element], scores: &mut [f32]) {
            let (probe_blocks, probe_rest) = probe.as_chunks::<LANES>();
            let mut probe_tail = [0.0_f32; LANES];
            probe_tail[..probe_rest.len()].copy_from_slice(probe_rest);
            for (row, score) in rows.chunks_exact(probe.len()).zip(scores) {
                let mut sums = [[vdupq_n_f32(0.0); 4]; 4];
                let (row_blocks, row_rest) = row.as_chunks::<LANES>();
                for (p, x) in probe_blocks.iter().zip(row_blocks) {
                    for (i, sums) in sums.iter_mut().enumerate() {
                        *sums = mul_add(load_f32(p, i), $load(x, i), *sums);
                    }
                }
                if !row_rest.is_empty() {
                    let mut row_tail = [$zero; LANES];
                    row_tail[..row_rest.len()].copy_from_slice(row_rest);
                    for (i, sums) in sums.iter_mut().enumerate() {
                        *sums = mul_add(load_f32(&probe_tail, i), $load(&row_tail, i), *sums);
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

/// Sixteen values in four registers.
type Sixteen = [float32x4_t; 4];

/// Values `16 i` to `16 i + 15` of the block.
#[inline]
#[target_feature(enable = "neon")]
fn load_f32(block: &[f32; LANES], i: usize) -> Sixteen {
    let part = &block[16 * i..16 * i + 16];
    // SAFETY: `part` has 16 values, and 4 are read at 0, 4, 8 and 12.
    [0, 4, 8, 12].map(|at| unsafe { vld1q_f32(part.as_ptr().add(at)) })
}

/// Values `16 i` to `16 i + 15` of the block.
#[inline]
#[target_feature(enable = "neon")]
fn load_f16(block: &[f16; LANES], i: usize) -> Sixteen {
    let part = &block[16 * i..16 * i + 16];
    // SAFETY: `part` has 16 values of 2 bytes, and 8 are read at 0 and 8.
    let [[a, b], [c, d]] = [0, 8].map(|at| widen_f16(unsafe { vld1q_u16(part.as_ptr().add(at).cast()) }));
    [a, b, c, d]
}

/// The values of eight `f16`. The instructions are ones that all processors with Advanced SIMD have; their intrinsics are
/// younger than the oldest compiler that this crate is for.
#[inline]
#[target_feature(enable = "neon")]
fn widen_f16(halves: uint16x8_t) -> [float32x4_t; 2] {
    let (low, high);
    // SAFETY: the instructions convert from register to register.
    unsafe {
        asm!(
            "fcvtl {low:v}.4s, {halves:v}.4h",
            "fcvtl2 {high:v}.4s, {halves:v}.8h",
            halves = in(vreg) halves,
            low = out(vreg) low,
            high = lateout(vreg) high,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    [low, high]
}

/// Values `16 i` to `16 i + 15` of the block.
#[inline]
#[target_feature(enable = "neon")]
fn load_i8(block: &[i8; LANES], i: usize) -> Sixteen {
    let part = &block[16 * i..16 * i + 16];
    // SAFETY: `part` has 16 values of 1 byte.
    let bytes = unsafe { vld1q_s8(part.as_ptr()) };
    let (a, b) = (vmovl_s8(vget_low_s8(bytes)), vmovl_s8(vget_high_s8(bytes)));
    [vget_low_s16(a), vget_high_s16(a), vget_low_s16(b), vget_high_s16(b)].map(|four| vcvtq_f32_s32(vmovl_s16(four)))
}

#[inline]
#[target_feature(enable = "neon")]
fn mul_add(a: Sixteen, b: Sixteen, sums: Sixteen) -> Sixteen {
    std::array::from_fn(|i| vfmaq_f32(sums[i], a[i], b[i]))
}

/// The sum of 64 lanes, in the order of the portable kernel.
#[inline]
#[target_feature(enable = "neon")]
fn fold(sums: [Sixteen; 4]) -> f32 {
    let [a, b, c, d] =
        std::array::from_fn(|i| vaddq_f32(vaddq_f32(sums[0][i], sums[1][i]), vaddq_f32(sums[2][i], sums[3][i])));
    let four = vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d));
    vpadds_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)))
}

#[target_feature(enable = "neon")]
pub(super) fn scan_planes(probe: &PlaneProbe, blocks: &[u8], thresholds: &[i32], survivors: &mut Vec<Survivor>) {
    let half = vdupq_n_u8(15);
    for (number, (block, threshold)) in blocks.chunks_exact(probe.block_bytes()).zip(thresholds).enumerate() {
        let mut totals = [vdupq_n_u16(0); BLOCK / 8];
        let units = block.as_chunks::<BLOCK>().0.as_chunks::<SUMMED>().0;
        for (units, tables) in units.iter().zip(probe.tables.as_chunks::<SUMMED>().0) {
            prefetch_ahead(units.as_flattened());
            let mut sums = [vdupq_n_u8(0); BLOCK / 16];
            for (unit, tables) in units.iter().zip(tables) {
                let [low, high] = [load_16(&tables[0]), load_16(&tables[1])];
                for (sum, codes) in sums.iter_mut().zip(unit.as_chunks::<16>().0) {
                    let codes = load_16(codes);
                    let low = vqtbl1q_u8(low, vandq_u8(codes, half));
                    let high = vqtbl1q_u8(high, vshrq_n_u8::<4>(codes));
                    *sum = vaddq_u8(*sum, vaddq_u8(low, high));
                }
            }
            for (sum, totals) in sums.into_iter().zip(totals.as_chunks_mut::<2>().0) {
                *totals = [vaddw_u8(totals[0], vget_low_u8(sum)), vaddw_high_u8(totals[1], sum)];
            }
        }
        let mut counts = [0; BLOCK];
        for (total, counts) in totals.into_iter().zip(counts.as_chunks_mut::<4>().0.as_chunks_mut::<2>().0) {
            store(vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(total))), &mut counts[0]);
            store(vreinterpretq_s32_u32(vmovl_high_u16(total)), &mut counts[1]);
        }
        let most = vdupq_n_s32(probe.differing(*threshold));
        let mask = mask(&counts, |counts| vcleq_s32(counts, most));
        if mask != 0 {
            push(survivors, number, mask, &counts, |count| probe.product(count));
        }
    }
}

#[target_feature(enable = "neon")]
pub(super) fn scan_levels(probe: &LevelProbe, blocks: &[u8], thresholds: &[i32], survivors: &mut Vec<Survivor>) {
    if probe.bits == 4 {
        scan_fields::<2, 4>(probe, blocks, thresholds, survivors);
    } else {
        scan_fields::<4, 2>(probe, blocks, thresholds, survivors);
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn scan_fields<const FIELDS: usize, const BITS: i32>(
    probe: &LevelProbe,
    blocks: &[u8],
    thresholds: &[i32],
    survivors: &mut Vec<Survivor>,
) {
    /// So many lines add up to at most 16 · 15 · 127 or 32 · 3 · 127: the 16-bit sums do not overflow.
    const LINES: usize = 8;
    let field = vdupq_n_u8((1 << BITS) - 1);
    let quads = probe.quads.as_chunks::<FIELDS>().0;
    for (number, (block, threshold)) in blocks.chunks_exact(probe.block_bytes()).zip(thresholds).enumerate() {
        let mut counts = [0; BLOCK];
        for (group, counts) in counts.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            // Two sums a code, two codes a register.
            let mut totals = [[vdupq_n_s32(0); 2]; 4];
            let mut lines = group_lines(block, group, BLOCK / 16);
            for quads in quads.chunks(LINES) {
                let mut sums = [[vdupq_n_s16(0); 2]; 4];
                for (quads, line) in quads.iter().zip(&mut lines) {
                    for (mut codes, [low, high]) in load_line(line).into_iter().zip(&mut sums) {
                        for quad in quads {
                            let quad = i32::from_le_bytes(quad.map(|value| value as u8));
                            let values = vreinterpretq_s8_s32(vdupq_n_s32(quad));
                            let levels = vreinterpretq_s8_u8(vandq_u8(codes, field));
                            *low = vmlal_s8(*low, vget_low_s8(levels), vget_low_s8(values));
                            *high = vmlal_high_s8(*high, levels, values);
                            codes = vshrq_n_u8::<BITS>(codes);
                        }
                    }
                }
                for (totals, sums) in totals.iter_mut().zip(sums) {
                    *totals = std::array::from_fn(|i| vpadalq_s16(totals[i], sums[i]));
                }
            }
            for ([low, high], counts) in totals.into_iter().zip(counts.as_chunks_mut::<4>().0) {
                store(vpaddq_s32(low, high), counts);
            }
        }
        let least = vdupq_n_s32(probe.levels(*threshold));
        let mask = mask(&counts, |counts| vcgeq_s32(counts, least));
        if mask != 0 {
            push(survivors, number, mask, &counts, |count| probe.product(count));
        }
    }
}

/// The bits of a block's codes, by what a comparison of four at a time sets to ones.
#[inline]
#[target_feature(enable = "neon")]
fn mask(counts: &[i32; BLOCK], survive: impl Fn(int32x4_t) -> uint32x4_t) -> u32 {
    // SAFETY: the array has 4 values.
    let bits = unsafe { vld1q_u32([1, 2, 4, 8].as_ptr()) };
    let masks = counts.as_chunks::<4>().0.iter().map(|counts| {
        // SAFETY: `counts` has 4 values of 4 bytes.
        let counts = unsafe { vld1q_s32(counts.as_ptr()) };
        vaddvq_u32(vandq_u32(survive(counts), bits))
    });
    masks.rev().fold(0, |mask, four| mask << 4 | four)
}

#[inline]
#[target_feature(enable = "neon")]
fn store(values: int32x4_t, to: &mut [i32; 4]) {
    // SAFETY: `to` has 4 values of 4 bytes.
    unsafe { vst1q_s32(to.as_mut_ptr(), values) };
}

#[inline]
#[target_feature(enable = "neon")]
fn load_line(line: &[u8; LINE]) -> [uint8x16_t; 4] {
    // SAFETY: a line has 64 bytes, and 16 are read at 0, 16, 32 and 48.
    [0, 16, 32, 48].map(|at| unsafe { vld1q_u8(line.as_ptr().add(at)) })
}

#[inline]
#[target_feature(enable = "neon")]
fn load_16(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: there are 16 bytes.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}
