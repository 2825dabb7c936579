//! Memory that grows at its end while others read what is already there.
//!
//! What belongs to one run of rows, vectors and codes and owners, lies in several buffers. All of them go by one
//! [`RowCount`]: a row is there in all of them, or in none. Rows beyond it can be written, and written again, until it is
//! raised; so a writer that unwinds half-way has written nothing that readers see, and the next one writes over it.

use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clearlane_simd::Pages;

use super::row_count::{Appending, RowCount};
use super::scan::BLOCK;
use crate::GalleryError;

/// What one step of a buffer is: so many values for each row, or for each block of [`BLOCK`] rows.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    Row(usize),
    Block(usize),
}

/// A buffer of fixed capacity that is only ever appended to. What has been published never moves and never changes, so
/// readers hold plain slices of it while a writer goes on.
///
/// It is wiped when it is dropped, with all that was ever written to it: it holds templates.
pub(crate) struct AppendBuffer<T> {
    pages: Pages,
    count: Arc<RowCount>,
    /// Values of a step.
    values: usize,
    /// Rows of a step, as a power of two.
    shift: u32,
    capacity: usize,
    /// So many values have ever been written, published or not.
    written: AtomicUsize,
    holds: PhantomData<T>,
}

// SAFETY: the buffer owns its values; moving it to another thread moves them.
unsafe impl<T: Send> Send for AppendBuffer<T> {}
// SAFETY: readers share only values of published rows, which nobody writes again; writers exclude each other by `Appending`
// and write only values of rows that are not. Values arrive from any thread that appends, so `T` is `Send` as well as `Sync`.
unsafe impl<T: Send + Sync> Sync for AppendBuffer<T> {}

/// Says how far a writer has come, even if it unwinds.
struct Progress<'a> {
    written: &'a AtomicUsize,
    end: usize,
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.written.fetch_max(self.end, Ordering::Relaxed);
    }
}

impl<T> AppendBuffer<T> {
    /// An empty buffer for what belongs to `rows` rows.
    pub(crate) fn with_capacity(count: &Arc<RowCount>, step: Step, rows: usize) -> Result<Self, GalleryError> {
        const { assert!(!std::mem::needs_drop::<T>() && size_of::<T>() > 0 && align_of::<T>() <= 4096) };
        let (values, shift) = match step {
            Step::Row(values) => (values, 0),
            Step::Block(values) => (values, BLOCK.ilog2()),
        };
        let capacity = (rows >> shift).checked_mul(values);
        let bytes = capacity.and_then(|capacity| capacity.checked_mul(size_of::<T>()));
        let (Some(capacity), Some(bytes)) = (capacity, bytes) else {
            return Err(GalleryError::OutOfMemory { bytes: usize::MAX });
        };
        let pages = Pages::huge(bytes).ok_or(GalleryError::OutOfMemory { bytes })?;
        let (count, written) = (Arc::clone(count), AtomicUsize::new(0));
        Ok(Self { pages, count, values, shift, capacity, written, holds: PhantomData })
    }

    /// What belongs to the published rows.
    pub(crate) fn as_slice(&self) -> &[T] {
        let published = (self.count.get() >> self.shift) * self.values;
        // A buffer that was left out when rows were published stays short: it cannot be written any longer.
        let len = published.min(self.written.load(Ordering::Relaxed));
        // SAFETY: the first `len` values were written before their rows were published (release, acquire), lie within the
        // pages, and are never written again while `self` lives.
        unsafe { std::slice::from_raw_parts(self.base(), len) }
    }

    /// All that has been written, for the writer, which alone may change what is not published.
    pub(crate) fn unpublished<'a>(&'a self, appending: &'a Appending<'_>) -> &'a [T] {
        self.check(appending);
        let len = self.written.load(Ordering::Relaxed);
        // SAFETY: the first `len` values were written by this writer, or by one before it, whose lock this one holds now. To
        // write them again takes the `Appending`, which is borrowed for as long as the slice.
        unsafe { std::slice::from_raw_parts(self.base(), len) }
    }

    /// Writes values of the steps from number `first` on, which are not published, as many as the buffer has room for.
    pub(crate) fn write(&self, appending: &mut Appending<'_>, first: usize, values: impl IntoIterator<Item = T>) {
        let (start, room) = self.place(appending, first);
        let mut progress = Progress { written: &self.written, end: start };
        for value in values.into_iter().take(room) {
            // SAFETY: the place lies within the capacity, and belongs to a row that is not published: nobody reads it. The
            // `Appending` is borrowed alone, so nobody else writes it.
            unsafe { self.base().add(progress.end).write(value) };
            progress.end += 1;
        }
    }

    /// Where the values of step `first` begin, and how many fit from there on.
    fn place(&self, appending: &Appending<'_>, first: usize) -> (usize, usize) {
        self.check(appending);
        let start = first.checked_mul(self.values).filter(|start| *start <= self.written.load(Ordering::Relaxed));
        let start = start.filter(|_| first >= self.count.get() >> self.shift);
        assert!(start.is_some(), "step {first} is published, or one before it was never written");
        let start = start.unwrap_or_default();
        (start, self.capacity - start)
    }

    /// That the rows are this buffer's.
    fn check(&self, appending: &Appending<'_>) {
        assert!(appending.is_of(&self.count), "another segment's rows are being appended");
    }

    pub(super) fn base(&self) -> *mut T {
        self.pages.base().as_ptr().cast()
    }

    /// Overwrites all that was ever written.
    pub(super) fn wipe(&mut self) {
        let written = std::mem::take(self.written.get_mut());
        // `T` needs no drop, as `with_capacity` asserts.
        self.pages.wipe(written * size_of::<T>());
    }
}

impl<T: Copy> AppendBuffer<T> {
    /// Writes values of the steps from number `first` on, which are not published, as many as the buffer has room for.
    pub(crate) fn write_slice(&self, appending: &mut Appending<'_>, first: usize, values: &[T]) {
        let (start, room) = self.place(appending, first);
        let count = values.len().min(room);
        // SAFETY: the places lie within the capacity and belong to rows that are not published: nobody reads them, so they
        // are no part of `values`. The `Appending` is borrowed alone, so nobody else writes them.
        unsafe { ptr::copy_nonoverlapping(values.as_ptr(), self.base().add(start), count) };
        self.written.fetch_max(start + count, Ordering::Relaxed);
    }
}

impl<T> Drop for AppendBuffer<T> {
    fn drop(&mut self) {
        self.wipe();
    }
}
