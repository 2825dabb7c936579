//! How fast this machine reads memory: what a scan is measured against.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use clearlane_simd::{Loops, vectorised};

use super::{AppendBuffer, RowCount, Step};
use crate::GalleryError;

/// More than the last-level caches of most machines hold.
const BYTES: usize = 512 << 20;
const PASSES: usize = 7;

/// The read bandwidth of this many threads together, in bytes a second: the best of seven passes over 512 MiB, straight on,
/// in the widest registers that there are, from memory that is laid out as the codes of a gallery are.
pub fn read_bandwidth(threads: usize) -> Result<f64, GalleryError> {
    let values = BYTES / size_of::<u64>();
    let count = Arc::new(RowCount::default());
    let buffer = AppendBuffer::with_capacity(&count, Step::Row(1), values)?;
    let mut appending = count.append();
    buffer.write(&mut appending, 0, (0..values as u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    appending.publish(values);
    let part = values.div_ceil(threads.max(1));
    let pass = || {
        let start = Instant::now();
        if threads > 1 {
            std::thread::scope(|scope| {
                for part in buffer.as_slice().chunks(part) {
                    scope.spawn(|| black_box(vectorised(Fold(part))));
                }
            });
        } else {
            black_box(vectorised(Fold(buffer.as_slice())));
        }
        BYTES as f64 / start.elapsed().as_secs_f64()
    };
    Ok((0..PASSES).map(|_| pass()).fold(0.0, f64::max))
}

/// Reads all values; the compiler makes it the widest loads that it may use, four at a time.
struct Fold<'a>(&'a [u64]);

impl Loops for Fold<'_> {
    type Output = u64;

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it takes on its caller's instruction set")]
    fn run(self) -> u64 {
        self.0.iter().fold(0, |all, value| all ^ value)
    }
}
