//! Prefetching memory before it is read, into the second-level cache. The first level keeps track of too few lines that are on
//! their way: the memory's bandwidth times its latency is more, and scans would wait for room.

use super::scan::LINE;

/// How far ahead of a scan memory is prefetched, in bytes: far enough for its latency, near enough to be there still.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const AHEAD: usize = 8 << 10;

/// Prefetches the cache lines of some values.
pub(crate) fn prefetch<T>(values: &[T]) {
    for line in (0..size_of_val(values)).step_by(LINE) {
        prefetch_line(values.as_ptr().wrapping_byte_add(line));
    }
}

/// Prefetches, for each line of what a scan is reading, the one that lies [`AHEAD`] of it. For scans that are done with a line before the
/// processor's own prefetching has brought the next, those of one bit a value. With it a scan of four bits took 1.2 to 1.4 times as long on a
/// Zen 4 that reads 29 GB/s.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline]
pub(super) fn prefetch_ahead(lines: &[u8]) {
    for line in (0..lines.len()).step_by(LINE) {
        prefetch_line(lines.as_ptr().wrapping_byte_add(line + AHEAD));
    }
}

/// Prefetches the cache line of an address, which may be any.
#[cfg(target_arch = "x86_64")]
#[inline]
fn prefetch_line<T>(address: *const T) {
    use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
    // SAFETY: a prefetch never faults, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) };
}

/// Prefetches the cache line of an address, which may be any.
#[cfg(target_arch = "aarch64")]
#[inline]
fn prefetch_line<T>(address: *const T) {
    // SAFETY: a prefetch never faults, whatever the address, and changes nothing that a program sees.
    unsafe {
        std::arch::asm!("prfm pldl2keep, [{0}]", in(reg) address, options(readonly, nostack, preserves_flags));
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn prefetch_line<T>(_address: *const T) {}
