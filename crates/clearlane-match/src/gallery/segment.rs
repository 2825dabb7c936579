//! A run of rows with what belongs to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use clearlane_template::{SubjectId, TemplateId};

use super::rows::Rows;
use super::shape::Shape;
use crate::GalleryError;
use crate::codes::{self, Codes, Layout};
use crate::file::FileRows;
use crate::kernel::{AppendBuffer, Appending, BLOCK, RowCount, Step};

/// The subject and template that a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) subject: SubjectId,
    pub(crate) template: TemplateId,
}

/// Where the rows of a segment are.
pub(crate) enum Stored {
    Memory(Rows),
    /// In a file; nothing is ever appended to these.
    File(FileRows),
}

/// Rows, appended one after the other up to a fixed capacity, and never moved. A snapshot sees the first rows, as many as
/// there were when it was taken, but for those that had been withdrawn by then.
///
/// Vectors, owners, withdrawal marks and codes go by one [`RowCount`]. The gallery raises it together with the version that
/// shows the rows; what was written before and never shown is written over.
pub(crate) struct Segment {
    /// Its number, that no other segment of the gallery ever has.
    pub(crate) serial: u32,
    count: Arc<RowCount>,
    /// How many rows it will ever have: its capacity, or what it had when it was sealed.
    limit: AtomicUsize,
    pub(crate) rows: Stored,
    pub(crate) owners: AppendBuffer<Owner>,
    /// The codes for sketches.
    sketch: Codes,
    /// The finer codes for certified searches.
    fine: Option<Codes>,
    /// The version of the gallery in which each row was withdrawn; 0: it was not.
    withdrawn: AppendBuffer<AtomicU64>,
}

impl Segment {
    pub(crate) fn with_capacity(shape: &Shape, serial: u32, rows: usize) -> Result<Self, GalleryError> {
        let count = Arc::new(RowCount::default());
        let stored = Rows::with_capacity(shape.precision, shape.dimension, &count, rows)?;
        Self::with_rows(shape, serial, rows, count, Stored::Memory(stored))
    }

    /// A segment whose rows are in a file; codes and owners are still to be [restored](Self::restore).
    pub(crate) fn of_file(shape: &Shape, serial: u32, rows: usize, stored: FileRows) -> Result<Self, GalleryError> {
        Self::with_rows(shape, serial, rows, Arc::default(), Stored::File(stored))
    }

    fn with_rows(
        shape: &Shape,
        serial: u32,
        rows: usize,
        count: Arc<RowCount>,
        stored: Stored,
    ) -> Result<Self, GalleryError> {
        Ok(Self {
            serial,
            limit: AtomicUsize::new(rows),
            rows: stored,
            owners: AppendBuffer::with_capacity(&count, Step::Row(1), rows)?,
            sketch: Codes::with_capacity(shape.sketch, &count, rows)?,
            fine: shape.fine.map(|layout| Codes::with_capacity(layout, &count, rows)).transpose()?,
            withdrawn: AppendBuffer::with_capacity(&count, Step::Row(1), rows)?,
            count,
        })
    }

    /// The rows of a segment that is in memory.
    pub(crate) fn memory(&self) -> &Rows {
        match &self.rows {
            Stored::Memory(rows) => rows,
            Stored::File(_) => unreachable!("a segment of a file is full"),
        }
    }

    /// The rows in the file, if they are there.
    pub(crate) fn file(&self) -> Option<&FileRows> {
        match &self.rows {
            Stored::Memory(_) => None,
            Stored::File(rows) => Some(rows),
        }
    }

    /// How many rows were published. A snapshot may see fewer.
    pub(crate) fn written(&self) -> usize {
        self.count.get()
    }

    /// How many rows it will ever have.
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Acquire)
    }

    /// How many further rows it will have.
    pub(crate) fn free(&self) -> usize {
        self.limit() - self.written()
    }

    /// Lets no further row in. Only the writer seals.
    pub(crate) fn seal(&self) {
        self.limit.store(self.written(), Ordering::Release);
    }

    /// Writes rows from `first` on, which are not published. The caller has made sure that they fit, and that those before
    /// are published or have been written.
    pub(crate) fn write<'v>(
        &self,
        shape: &Shape,
        first: usize,
        owners: &[Owner],
        vectors: impl Iterator<Item = &'v [f32]>,
    ) {
        let mut appending = self.count.append();
        let stored = self.memory();
        for (row, vector) in (first..).zip(vectors) {
            stored.write(&mut appending, row, vector);
        }
        self.own(&mut appending, shape, first, owners);
    }

    /// Writes rows of other segments in memory from `first` on, as they are stored there; otherwise as [`Self::write`].
    pub(crate) fn copy<'a>(&self, shape: &Shape, first: usize, rows: impl Iterator<Item = (&'a Self, usize)>) {
        let mut appending = self.count.append();
        let mut owners = Vec::new();
        for (to, (segment, row)) in (first..).zip(rows) {
            self.memory().copy(&mut appending, to, segment.memory(), row);
            owners.push(segment.owners.as_slice()[row]);
        }
        self.own(&mut appending, shape, first, &owners);
    }

    /// Encodes the rows that have just been written, and records their owners.
    fn own(&self, appending: &mut Appending<'_>, shape: &Shape, first: usize, owners: &[Owner]) {
        let blocks = first / BLOCK..(first + owners.len()) / BLOCK;
        let (codes, stored): (Vec<_>, _) = (self.all_codes().collect(), self.memory());
        Codes::encode(&codes, appending, blocks, shape, |appending, row, vector| {
            stored.read_unpublished(appending, row, vector);
        });
        self.withdrawn.write(appending, first, owners.iter().map(|_| AtomicU64::new(0)));
        self.owners.write_slice(appending, first, owners);
    }

    /// All codes, those for sketches first.
    pub(crate) fn all_codes(&self) -> impl Iterator<Item = &Codes> {
        [Some(&self.sketch), self.fine.as_ref()].into_iter().flatten()
    }

    /// Writes rows from `first` on from their bytes, which are [encoded](Self::encode_row); otherwise as [`Self::write`].
    pub(crate) fn write_encoded(&self, shape: &Shape, first: usize, owners: &[Owner], rows: &[u8]) {
        let (mut appending, stored) = (self.count.append(), self.memory());
        for (row, bytes) in (first..).zip(rows.chunks_exact(shape.row_bytes())) {
            stored.write_encoded(&mut appending, row, bytes);
        }
        self.own(&mut appending, shape, first, owners);
    }

    /// Gives the bytes of a row, of which there are [`Shape::row_bytes`].
    pub(crate) fn encode_row(&self, row: usize, bytes: &mut [u8]) {
        self.memory().encode(row, bytes);
    }

    /// Adds the bytes of all codes of the whole blocks, one block after the other.
    pub(crate) fn encode_codes(&self, bytes: &mut Vec<u8>) {
        for block in 0..self.written() / BLOCK {
            self.all_codes().for_each(|codes| codes.store(block, bytes));
        }
    }

    /// Writes owners from `first` on, the first row of a block, and codes from the bytes that [`Self::encode_codes`] gave of
    /// these rows, with units of so many bytes in codes of one bit. Otherwise as [`Self::write`].
    pub(crate) fn restore(&self, first: usize, owners: &[Owner], codes: &[u8], unit: usize) {
        let mut appending = self.count.append();
        let size = self.all_codes().map(|codes| codes::stored_bytes(codes.layout())).sum();
        for (block, mut bytes) in (first / BLOCK..).zip(codes.chunks_exact(size)) {
            for codes in self.all_codes() {
                let (own, others) = bytes.split_at(codes::stored_bytes(codes.layout()));
                codes.restore(&mut appending, block, codes.layout().with_unit(unit), own);
                bytes = others;
            }
        }
        self.withdrawn.write(&mut appending, first, owners.iter().map(|_| AtomicU64::new(0)));
        self.owners.write_slice(&mut appending, first, owners);
    }

    /// Shows the first `rows` rows to readers. Nothing here can fail.
    pub(crate) fn publish(&self, rows: usize) {
        if self.written() < rows {
            self.count.append().publish(rows);
        }
    }

    /// The codes of a layout that this gallery keeps.
    pub(crate) fn codes(&self, layout: Layout) -> &Codes {
        self.fine.as_ref().filter(|codes| codes.layout() == layout).unwrap_or(&self.sketch)
    }

    /// Withdraws a row from `version` on.
    pub(crate) fn withdraw(&self, row: usize, version: u64) {
        self.withdrawn.as_slice()[row].store(version, Ordering::Release);
    }

    /// The version in which `row` was withdrawn; 0: it was not.
    pub(crate) fn withdrawn_in(&self, row: usize) -> u64 {
        self.withdrawn.as_slice()[row].load(Ordering::Acquire)
    }

    /// Whether `row` stood in the gallery at `version`.
    pub(crate) fn stands(&self, row: usize, version: u64) -> bool {
        let withdrawn = self.withdrawn_in(row);
        withdrawn == 0 || withdrawn > version
    }
}
