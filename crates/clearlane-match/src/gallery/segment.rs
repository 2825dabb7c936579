//! A run of rows with what belongs to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use clearlane_template::{SubjectId, TemplateId};

use super::rows::Rows;
use super::shape::Shape;
use crate::GalleryError;
use crate::codes::{Codes, Layout};
use crate::kernel::{AppendBuffer, Appending, BLOCK, RowCount, Step};

/// The subject and template that a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) subject: SubjectId,
    pub(crate) template: TemplateId,
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
    pub(crate) rows: Rows,
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
        Ok(Self {
            serial,
            limit: AtomicUsize::new(rows),
            rows: Rows::with_capacity(shape.precision, shape.dimension, &count, rows)?,
            owners: AppendBuffer::with_capacity(&count, Step::Row(1), rows)?,
            sketch: Codes::with_capacity(shape.sketch, &count, rows)?,
            fine: shape.fine.map(|layout| Codes::with_capacity(layout, &count, rows)).transpose()?,
            withdrawn: AppendBuffer::with_capacity(&count, Step::Row(1), rows)?,
            count,
        })
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
        for (row, vector) in (first..).zip(vectors) {
            self.rows.write(&mut appending, row, vector);
        }
        self.own(&mut appending, shape, first, owners);
    }

    /// Writes rows of other segments from `first` on, as they are stored there; otherwise as [`Self::write`].
    pub(crate) fn copy<'a>(&self, shape: &Shape, first: usize, rows: impl Iterator<Item = (&'a Self, usize)>) {
        let mut appending = self.count.append();
        let mut owners = Vec::new();
        for (to, (segment, row)) in (first..).zip(rows) {
            self.rows.copy(&mut appending, to, &segment.rows, row);
            owners.push(segment.owners.as_slice()[row]);
        }
        self.own(&mut appending, shape, first, &owners);
    }

    /// Encodes the rows that have just been written, and records their owners.
    fn own(&self, appending: &mut Appending<'_>, shape: &Shape, first: usize, owners: &[Owner]) {
        let blocks = first / BLOCK..(first + owners.len()) / BLOCK;
        let codes: Vec<&Codes> = [Some(&self.sketch), self.fine.as_ref()].into_iter().flatten().collect();
        Codes::encode(&codes, appending, blocks, shape, |appending, row, vector| {
            self.rows.read_unpublished(appending, row, vector);
        });
        self.withdrawn.write(appending, first, owners.iter().map(|_| AtomicU64::new(0)));
        self.owners.write_slice(appending, first, owners);
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
