//! Memory that grows at its end while others read what is already there.

use std::alloc::{Layout, alloc, dealloc};
use std::hint::black_box;
use std::mem::{align_of, size_of};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::GalleryError;

/// Buffers of at least this size are aligned to it and ask the system for huge pages: a scan then misses the TLB once in
/// 2 MiB, which is worth a third of one core's read bandwidth.
const HUGE_PAGE: usize = 2 << 20;
const CACHE_LINE: usize = 64;

/// A buffer of fixed capacity that is only ever appended to. What has been appended never moves and never changes, so
/// readers hold plain slices of it while a writer goes on. The system gives memory to it as it is first written to.
///
/// It is wiped when it is dropped: it holds templates.
pub(crate) struct AppendBuffer<T> {
    base: NonNull<T>,
    layout: Layout,
    capacity: usize,
    published: AtomicUsize,
    writer: Mutex<()>,
}

// SAFETY: the buffer owns its values; moving it to another thread moves them.
unsafe impl<T: Send> Send for AppendBuffer<T> {}
// SAFETY: readers share only values below `published`, which nobody writes again; writers exclude each other by `writer`
// and write only at or above it. Values arrive from any thread that appends, so `T: Send` is wanted besides `T: Sync`.
unsafe impl<T: Send + Sync> Sync for AppendBuffer<T> {}

impl<T> AppendBuffer<T> {
    /// An empty buffer for `capacity` values.
    pub(crate) fn with_capacity(capacity: usize) -> Result<Self, GalleryError> {
        const { assert!(!std::mem::needs_drop::<T>() && size_of::<T>() > 0) };
        let bytes =
            capacity.max(1).checked_mul(size_of::<T>()).ok_or(GalleryError::OutOfMemory { bytes: usize::MAX })?;
        let align = if bytes >= HUGE_PAGE { HUGE_PAGE } else { CACHE_LINE.max(align_of::<T>()) };
        let size = bytes.div_ceil(align).saturating_mul(align);
        let layout = Layout::from_size_align(size, align).map_err(|_| GalleryError::OutOfMemory { bytes })?;
        // SAFETY: the layout's size is at least `align`, so not zero.
        let raw = unsafe { alloc(layout) };
        let base = NonNull::new(raw.cast::<T>()).ok_or(GalleryError::OutOfMemory { bytes })?;
        advise_huge_pages(raw, layout);
        Ok(Self { base, layout, capacity, published: AtomicUsize::new(0), writer: Mutex::new(()) })
    }

    /// What has been appended so far.
    pub(crate) fn as_slice(&self) -> &[T] {
        let len = self.published.load(Ordering::Acquire);
        // SAFETY: the first `len` values were written before `published` was set to it (release, acquire), lie within
        // the allocation, and are never written again while `self` lives.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), len) }
    }

    /// Appends the values that fit, all of them unless the buffer is full, and says how many did.
    pub(crate) fn extend(&self, values: impl IntoIterator<Item = T>) -> usize {
        let _writer = self.writer.lock();
        let start = self.published.load(Ordering::Relaxed);
        let mut len = start;
        for value in values.into_iter().take(self.capacity - start) {
            // SAFETY: `len < capacity`, so the place lies within the allocation; it is not published, and the writer's
            // lock is held, so nobody else reads or writes it.
            unsafe { self.base.as_ptr().add(len).write(value) };
            len += 1;
        }
        self.published.store(len, Ordering::Release);
        len - start
    }
}

impl<T: Copy> AppendBuffer<T> {
    /// Appends the values that fit, all of them unless the buffer is full, and says how many did.
    pub(crate) fn extend_from_slice(&self, values: &[T]) -> usize {
        let _writer = self.writer.lock();
        let start = self.published.load(Ordering::Relaxed);
        let count = values.len().min(self.capacity - start);
        // SAFETY: `start + count <= capacity`; the places are not published and the writer's lock is held, so they do not
        // overlap with `values` or with anything that is read.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), self.base.as_ptr().add(start), count) };
        self.published.store(start + count, Ordering::Release);
        count
    }
}

impl<T> Drop for AppendBuffer<T> {
    fn drop(&mut self) {
        let len = *self.published.get_mut();
        // SAFETY: the first `len` values were written and are no longer shared; `T` needs no drop (asserted above). The
        // memory came from `alloc` with this very layout.
        unsafe {
            std::ptr::write_bytes(self.base.as_ptr(), 0, len);
            // The wipe must not be taken for a dead store before the free.
            dealloc(black_box(self.base.as_ptr()).cast(), self.layout);
        }
    }
}

#[cfg(target_os = "linux")]
fn advise_huge_pages(base: *mut u8, layout: Layout) {
    if layout.size() >= HUGE_PAGE {
        // SAFETY: the range is one whole allocation of ours; the advice changes how it is mapped, not what it holds.
        // Where the system refuses, small pages serve.
        unsafe { libc::madvise(base.cast(), layout.size(), libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_base: *mut u8, _layout: Layout) {}
