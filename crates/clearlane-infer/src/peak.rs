use std::time::{Duration, Instant};

use crate::kernel::isa::Isa;
use crate::{InferError, Path};

/// The most that one core of this CPU computes with a path's instructions, in GFLOP/s: multiplications and additions in
/// registers alone, the best of some tens of milliseconds. What a network reaches is at most this.
pub fn fma_peak(path: Path) -> Result<f64, InferError> {
    let isa = path.isa()?.unwrap_or_else(Isa::best);
    let begin = Instant::now();
    let mut best = 0.0_f64;
    while begin.elapsed() < Duration::from_millis(50) {
        let start = Instant::now();
        let operations = isa.multiply_add(100_000);
        best = best.max(operations as f64 / start.elapsed().as_secs_f64() / 1e9);
    }
    Ok(best)
}
