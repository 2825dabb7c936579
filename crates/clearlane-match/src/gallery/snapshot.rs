//! A gallery at one moment.

use std::ops::Range;
use std::sync::Arc;

use clearlane_template::{ModelId, Template};

use super::{Segment, Shape, Stored};
use crate::GalleryError;
use crate::file::RowBuffer;
use crate::search::{self, DuplicateCursor, Duplicates, SearchOptions, SearchOutcome};

/// The unit of work of one thread: enough rows that handing it out costs nothing, few enough that all threads get some.
const SPAN_ROWS: usize = 1 << 15;

/// What one version of a gallery consists of.
#[derive(Clone, Default)]
pub(super) struct Version {
    /// Filled in order: a segment has rows only if those before it are full.
    pub(super) segments: Arc<[Arc<Segment>]>,
    /// How many of the first ones have their rows in a file.
    pub(super) on_file: usize,
    /// Counts up by one with every change.
    pub(super) number: u64,
    /// Counts up by one with every compaction: while it stays, rows keep their places.
    pub(super) layout: u64,
    /// Rows in all segments, withdrawn ones included.
    pub(super) rows: usize,
    /// Rows that are enrolled: not withdrawn.
    pub(super) standing: usize,
}

impl Version {
    /// The segments that the rows of these numbers are or will be in, with their places there.
    pub(super) fn places(&self, rows: Range<usize>) -> impl Iterator<Item = (&Arc<Segment>, Range<usize>)> {
        let mut first = 0;
        self.segments.iter().filter_map(move |segment| {
            let start = first;
            first += segment.limit();
            let places = rows.start.max(start)..rows.end.min(first);
            (!places.is_empty()).then(|| (segment, places.start - start..places.end - start))
        })
    }
}

/// A gallery as it stood at one moment. It never changes, and costs nothing to keep but the memory of what has been
/// withdrawn and compacted since.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) shape: Arc<Shape>,
    version: Version,
}

/// The rows of one segment that a snapshot sees, withdrawn ones included.
#[derive(Clone, Copy)]
pub(crate) struct SegmentView<'a> {
    pub(crate) segment: &'a Segment,
    /// How many rows the snapshot sees.
    pub(crate) rows: usize,
    version: u64,
}

impl SegmentView<'_> {
    /// Whether `row` was enrolled when the snapshot was taken.
    pub(crate) fn stands(&self, row: usize) -> bool {
        self.segment.stands(row, self.version)
    }

    /// Gives the stored vectors of some rows, whose numbers ascend, one after the other.
    pub(crate) fn read(&self, shape: &Shape, rows: &[usize], vectors: &mut [f32]) -> Result<(), GalleryError> {
        let vectors = vectors.chunks_exact_mut(shape.dimension);
        match &self.segment.rows {
            Stored::Memory(stored) => rows.iter().zip(vectors).for_each(|(row, vector)| stored.read(*row, vector)),
            Stored::File(stored) => {
                let numbers: Vec<_> = rows.iter().map(|row| stored.number(*row)).collect();
                let mut buffer = RowBuffer::new(shape.precision, shape.dimension, rows.len());
                stored.source().read(&numbers, &mut buffer)?;
                vectors.enumerate().for_each(|(place, vector)| buffer.read(place, vector));
            }
        }
        Ok(())
    }
}

impl Snapshot {
    pub(super) fn new(shape: Arc<Shape>, version: Version) -> Self {
        Self { shape, version }
    }

    /// The k best subjects for `probe`.
    pub fn search(&self, probe: &Template, options: &SearchOptions<'_>) -> Result<SearchOutcome, GalleryError> {
        search::one(self, probe, options)
    }

    /// The k best subjects for each of several probes, in one pass over memory: cheaper than one search after the other.
    pub fn search_batch(
        &self,
        probes: &[Template],
        options: &SearchOptions<'_>,
    ) -> Result<Vec<SearchOutcome>, GalleryError> {
        search::batch(self, probes, options)
    }

    /// Compares all templates with all others, to find subjects that are enrolled under several ids: block by block, from
    /// where an earlier search stopped, or from the start.
    pub fn duplicates<'a>(
        &'a self,
        options: &SearchOptions<'a>,
        from: Option<DuplicateCursor>,
    ) -> Result<Duplicates<'a>, GalleryError> {
        Duplicates::new(self, options, from)
    }

    /// How many templates the snapshot has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.version.standing
    }

    /// Whether the snapshot has no template.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of the gallery's version: it counts up with every change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.number
    }

    /// The model that the templates are of.
    #[must_use]
    pub fn model(&self) -> ModelId {
        self.shape.model
    }

    /// The dimension of the templates.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.shape.dimension
    }

    /// Which arrangement of rows this is: while it stays, rows keep their numbers.
    pub(crate) fn layout(&self) -> u64 {
        self.version.layout
    }

    /// Rows of all segments, withdrawn ones included.
    pub(crate) fn rows(&self) -> usize {
        self.version.rows
    }

    /// The segments, each with the number of its first row in the snapshot.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (usize, SegmentView<'_>)> {
        let mut first = 0;
        self.version.places(0..self.version.rows).map(move |(segment, places)| {
            let start = first;
            first += places.len();
            (start, SegmentView { segment, rows: places.len(), version: self.version.number })
        })
    }

    /// The rows that stand, each with its segment.
    pub(crate) fn standing(&self) -> impl Iterator<Item = (SegmentView<'_>, usize)> {
        let rows = self.segments().flat_map(|(_, view)| (0..view.rows).map(move |row| (view, row)));
        rows.filter(|(view, row)| view.stands(*row))
    }

    /// The segments in memory that no further row comes into.
    pub(super) fn sealed_segments(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.version.segments[self.version.on_file..]
            .iter()
            .filter(|segment| segment.written() > 0 && segment.free() == 0)
    }

    /// All rows cut into the spans that threads work on.
    pub(crate) fn spans(&self) -> Vec<(SegmentView<'_>, Range<usize>)> {
        self.spans_before(self.rows())
    }

    /// The rows with smaller numbers than `end` cut into the spans that threads work on.
    pub(crate) fn spans_before(&self, end: usize) -> Vec<(SegmentView<'_>, Range<usize>)> {
        let cut = |(first, view): (usize, SegmentView<'_>)| {
            let rows = view.rows.min(end.saturating_sub(first));
            (0..rows).step_by(SPAN_ROWS).map(move |start| (start, (start + SPAN_ROWS).min(rows)))
        };
        self.segments().flat_map(|s| cut(s).map(move |(start, end)| (s.1, start..end))).collect()
    }
}
