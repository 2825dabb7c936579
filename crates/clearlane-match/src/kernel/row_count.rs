//! How many rows readers may see. `interleavings/` tries it in every order that the memory model allows.

use std::ptr;

use crate::sync::{AtomicUsize, Mutex, MutexGuard, Ordering};

/// How many rows there are, for all buffers that hold a part of them.
#[derive(Default)]
pub(crate) struct RowCount {
    published: AtomicUsize,
    writer: Mutex<()>,
}

/// The right to write rows beyond those that are published, which one writer holds at a time.
pub(crate) struct Appending<'a> {
    count: &'a RowCount,
    _alone: MutexGuard<'a, ()>,
}

impl RowCount {
    /// How many rows are published.
    pub(crate) fn get(&self) -> usize {
        self.published.load(Ordering::Acquire)
    }

    /// Waits until no other writer appends.
    pub(crate) fn append(&self) -> Appending<'_> {
        Appending { count: self, _alone: self.writer.lock() }
    }
}

impl Appending<'_> {
    /// Whether the rows are this count's.
    pub(crate) fn is_of(&self, count: &RowCount) -> bool {
        ptr::eq(self.count, count)
    }

    /// Shows readers the first `rows` rows, for good. All buffers have been written so far.
    pub(crate) fn publish(self, rows: usize) {
        self.count.published.fetch_max(rows, Ordering::Release);
    }
}
