//! The kernels in plain Rust. What they compute is what every other kernel has to compute, to the last bit.

use half::f16;

use super::LANES;
use super::scan::{BLOCK, LevelProbe, PlaneProbe, Survivor, group_lines, push};

macro_rules! score_rows {
    ($name:ident, $element:ty, $widen:expr) => {
        pub(super) fn $name(probe: &[f32], rows: &[$element], scores: &mut [f32]) {
            for (row, score) in rows.chunks_exact(probe.len()).zip(scores) {
                let mut lanes = [0.0_f32; LANES];
                for (probe, row) in probe.chunks(LANES).zip(row.chunks(LANES)) {
                    for ((lane, p), x) in lanes.iter_mut().zip(probe).zip(row) {
                        *lane = p.mul_add($widen(*x), *lane);
                    }
                }
                *score = fold(lanes);
            }
        }
    };
}

score_rows!(score_f32, f32, |x: f32| x);
score_rows!(score_f16, f16, f16::to_f32);
score_rows!(score_i8, i8, f32::from);

/// The sum of the lanes, in the order in which 16 lanes of a wide register fold: four registers into one, then halves
/// onto halves.
fn fold(lanes: [f32; LANES]) -> f32 {
    let mut sums = [0.0_f32; 16];
    for (i, sum) in sums.iter_mut().enumerate() {
        *sum = (lanes[i] + lanes[i + 16]) + (lanes[i + 32] + lanes[i + 48]);
    }
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
    }
    sums[0]
}

pub(super) fn scan_planes(probe: &PlaneProbe, blocks: &[u8], thresholds: &[i32], survivors: &mut Vec<Survivor>) {
    for (number, (block, threshold)) in blocks.chunks_exact(probe.block_bytes()).zip(thresholds).enumerate() {
        let mut counts = [0; BLOCK];
        for (group, counts) in counts.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            for (line, planes) in group_lines(block, group, BLOCK / 8).zip(&probe.words) {
                for (word, count) in line.as_chunks::<8>().0.iter().zip(&mut *counts) {
                    let word = u64::from_le_bytes(*word);
                    for (plane, bits) in planes.iter().enumerate() {
                        *count += ((word ^ bits).count_ones() << plane) as i32;
                    }
                }
            }
        }
        let most = probe.differing(*threshold);
        let mask = mask(counts, |count| count <= most);
        push(survivors, number, mask, &counts, |count| probe.product(count));
    }
}

pub(super) fn scan_levels(probe: &LevelProbe, blocks: &[u8], thresholds: &[i32], survivors: &mut Vec<Survivor>) {
    let fields = probe.fields();
    let field = (1 << probe.bits) - 1;
    for (number, (block, threshold)) in blocks.chunks_exact(probe.block_bytes()).zip(thresholds).enumerate() {
        let mut counts = [0; BLOCK];
        for (group, counts) in counts.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            for (line, quads) in group_lines(block, group, BLOCK / 16).zip(probe.quads.chunks_exact(fields)) {
                for (code, count) in line.as_chunks::<4>().0.iter().zip(&mut *counts) {
                    for (i, quad) in quads.iter().enumerate() {
                        for (byte, value) in code.iter().zip(quad) {
                            let level = byte >> (i as u32 * probe.bits) & field;
                            *count += i32::from(level) * i32::from(*value);
                        }
                    }
                }
            }
        }
        let least = probe.levels(*threshold);
        let mask = mask(counts, |count| count >= least);
        push(survivors, number, mask, &counts, |count| probe.product(count));
    }
}

fn mask(counts: [i32; BLOCK], survives: impl Fn(i32) -> bool) -> u32 {
    counts.iter().rev().fold(0, |mask, count| mask << 1 | u32::from(survives(*count)))
}
