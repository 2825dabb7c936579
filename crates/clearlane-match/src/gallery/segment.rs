//! A run of rows with what belongs to them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use clearlane_template::{SubjectId, TemplateId};

use super::rows::Rows;
use super::shape::Shape;
use crate::GalleryError;
use crate::codes::{Codes, Layout};
use crate::kernel::{AppendBuffer, BLOCK};

/// Who a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) subject: SubjectId,
    pub(crate) template: TemplateId,
}

/// Rows, appended one after the other up to a fixed capacity, and never moved. A snapshot sees the first rows, as many as
/// there were when it was taken, but for those that had been withdrawn by then.
pub(crate) struct Segment {
    /// Its number, that no other segment of the gallery ever has.
    pub(crate) serial: u32,
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
        Ok(Self {
            serial,
            limit: AtomicUsize::new(rows),
            rows: Rows::with_capacity(shape.precision, shape.dimension, rows)?,
            owners: AppendBuffer::with_capacity(rows)?,
            sketch: Codes::with_capacity(shape.sketch, rows)?,
            fine: shape.fine.map(|layout| Codes::with_capacity(layout, rows)).transpose()?,
            withdrawn: AppendBuffer::with_capacity(rows)?,
        })
    }

    /// How many rows were written. A snapshot may see fewer.
    pub(crate) fn written(&self) -> usize {
        self.owners.as_slice().len()
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

    /// Appends rows: `vectors` one after the other. The caller has made sure that they fit, and is the only writer.
    pub(crate) fn extend(&self, shape: &Shape, owners: &[Owner], vectors: &[f32]) {
        self.rows.extend(vectors);
        self.own(shape, owners);
    }

    /// Encodes the rows that have just been written, and says whose they are.
    fn own(&self, shape: &Shape, owners: &[Owner]) {
        let blocks = (self.written() + owners.len()) / BLOCK;
        let codes: Vec<&Codes> = [Some(&self.sketch), self.fine.as_ref()].into_iter().flatten().collect();
        Codes::encode_up_to(&codes, blocks, &shape.rotation, |row, vector| self.rows.read(row, vector));
        self.withdrawn.extend(owners.iter().map(|_| AtomicU64::new(0)));
        self.owners.extend_from_slice(owners);
    }

    /// Appends rows of other segments, as they are stored there.
    pub(crate) fn copy_from<'a>(&self, shape: &Shape, rows: impl Iterator<Item = (&'a Self, usize)> + Clone) {
        rows.clone().for_each(|(segment, row)| self.rows.copy_from(&segment.rows, row));
        let owners: Vec<_> = rows.map(|(segment, row)| segment.owners.as_slice()[row]).collect();
        self.own(shape, &owners);
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
