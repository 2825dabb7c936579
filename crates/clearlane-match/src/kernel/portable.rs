//! The kernels in plain Rust. What they compute is what every other kernel has to compute, to the last bit.

use half::f16;

use super::LANES;

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
