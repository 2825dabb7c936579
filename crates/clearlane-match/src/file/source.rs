//! The rows that stay in the file.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::layout::Places;
use super::pread;
use super::row_buffer::RowBuffer;
use super::seal::{Kind, Seal};
use crate::GalleryError;

/// Rows that lie so close are read together: what lies between costs less than another call.
const GAP: u64 = 4 << 10;
/// The most bytes that are read at once, unless a single row has more.
const READ_BYTES: u64 = 256 << 10;

/// A gallery's file, open for as long as a gallery or a snapshot has rows in it; it may be renamed or unlinked meanwhile.
pub(crate) struct RowSource {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) seal: Seal,
    pub(super) places: Places,
}

/// The rows of one segment, in the file from one of its rows on.
#[derive(Clone)]
pub(crate) struct FileRows {
    source: Arc<RowSource>,
    first: u64,
}

impl FileRows {
    pub(super) fn new(source: Arc<RowSource>, first: u64) -> Self {
        Self { source, first }
    }

    pub(crate) fn source(&self) -> &RowSource {
        &self.source
    }

    /// The number in the file of the segment's row.
    pub(crate) fn number(&self, row: usize) -> u64 {
        self.first + row as u64
    }
}

impl RowSource {
    /// Has the system fetch rows that will be read soon.
    pub(crate) fn fetch(&self, rows: impl Iterator<Item = u64>) {
        for row in rows {
            pread::fetch(&self.file, self.places.row(row), self.places.row_bytes() as u64);
        }
    }

    /// Reads and opens rows, whose numbers ascend, into the buffer, which then has these and no others.
    pub(crate) fn read(&self, rows: &[u64], buffer: &mut RowBuffer) -> Result<(), GalleryError> {
        buffer.clear();
        let mut sealed = std::mem::take(&mut buffer.sealed);
        self.read_each(rows, &mut sealed, |row| buffer.push(row))?;
        buffer.sealed = sealed;
        Ok(())
    }

    /// Reads and opens rows, whose numbers ascend, and gives the bytes of each to `sink`.
    pub(crate) fn read_each(
        &self,
        rows: &[u64],
        sealed: &mut Zeroizing<Vec<u8>>,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<(), GalleryError> {
        let size = self.places.row_bytes();
        let mut rest = rows;
        while let Some(&first) = rest.first() {
            let start = self.places.row(first);
            let end = |row| self.places.row(row) + size as u64;
            let near =
                |pair: &&[u64]| self.places.row(pair[1]) <= end(pair[0]) + GAP && end(pair[1]) <= start + READ_BYTES;
            let (together, others) = rest.split_at(1 + rest.windows(2).take_while(near).count());
            let length = (end(together[together.len() - 1]) - start) as usize;
            if sealed.len() < length {
                // A new one: what was opened in the old one must not be left behind.
                *sealed = Zeroizing::new(vec![0; length.max(READ_BYTES as usize)]);
            }
            let unreadable = |error: io::Error| {
                let (path, kind) = (self.path.clone(), error.kind());
                GalleryError::UnreadableRow { path, row: first, kind }
            };
            pread::read_exact_at(&self.file, &mut sealed[..length], start).map_err(unreadable)?;
            for &row in together {
                let at = (self.places.row(row) - start) as usize;
                let opened = self.seal.open(Kind::Row, row, &[], &mut sealed[at..at + size]);
                sink(opened.map_err(|_| GalleryError::AlteredRow { path: self.path.clone(), row })?);
            }
            rest = others;
        }
        Ok(())
    }
}
