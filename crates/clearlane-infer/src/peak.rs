use std::time::{Duration, Instant};

use clearlane_simd::Isa;

use crate::kernel::set::KernelSet;

/// The most that one core of this CPU computes with an instruction set, in GFLOP/s: multiplications and additions in
/// registers alone, the best of some tens of milliseconds. What a network reaches is at most this.
#[must_use]
pub fn fma_peak(isa: Isa) -> f64 {
    let kernels = KernelSet::of(isa);
    let begin = Instant::now();
    let mut best = 0.0_f64;
    while begin.elapsed() < Duration::from_millis(50) {
        let start = Instant::now();
        let operations = kernels.multiply_add(100_000);
        best = best.max(operations as f64 / start.elapsed().as_secs_f64() / 1e9);
    }
    best
}
