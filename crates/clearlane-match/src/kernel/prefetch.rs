//! Prefetching memory before it is read.

use super::scan::LINE;

/// Prefetches the cache lines of some values.
pub(crate) fn prefetch<T>(values: &[T]) {
    for line in (0..size_of_val(values)).step_by(LINE) {
        prefetch_line(values.as_ptr().wrapping_byte_add(line));
    }
}

/// Prefetches the cache line of an address, which may be any.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn prefetch_line<T>(address: *const T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch never faults, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
}

/// Prefetches the cache line of an address, which may be any.
#[cfg(target_arch = "aarch64")]
#[inline]
pub(super) fn prefetch_line<T>(address: *const T) {
    // SAFETY: a prefetch never faults, whatever the address, and changes nothing that a program sees.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) address, options(readonly, nostack, preserves_flags));
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn prefetch_line<T>(_address: *const T) {}
