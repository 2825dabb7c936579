//! How fast this machine reads memory: what a scan is measured against.

use std::hint::black_box;
use std::time::Instant;

use super::{AppendBuffer, prefetch};
use crate::GalleryError;

/// More than the last-level caches of most machines hold.
const BYTES: usize = 512 << 20;
const PASSES: usize = 5;
/// Values read between two prefetches, and how far ahead these go.
const STEP: usize = 512;

/// The read bandwidth of this many threads together, in bytes a second: the best of five passes over 512 MiB, laid out and
/// read ahead as the codes of a gallery are.
pub fn read_bandwidth(threads: usize) -> Result<f64, GalleryError> {
    let values = BYTES / size_of::<u64>();
    let buffer = AppendBuffer::with_capacity(values)?;
    buffer.extend((0..values as u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    let part = values.div_ceil(threads.max(1));
    let pass = || {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for part in buffer.as_slice().chunks(part) {
                scope.spawn(|| black_box(fold(part)));
            }
        });
        BYTES as f64 / start.elapsed().as_secs_f64()
    };
    Ok((0..PASSES).map(|_| pass()).fold(0.0, f64::max))
}

fn fold(values: &[u64]) -> u64 {
    let mut lanes = [0_u64; 32];
    for (i, step) in values.chunks(STEP).enumerate() {
        let ahead = ((i + 2) * STEP).min(values.len());
        prefetch(&values[ahead..(ahead + STEP).min(values.len())]);
        for eight in step.chunks(lanes.len()) {
            for (lane, value) in lanes.iter_mut().zip(eight) {
                *lane ^= value;
            }
        }
    }
    lanes.iter().fold(0, |all, lane| all ^ lane)
}
