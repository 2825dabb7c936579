//! All against all: subjects that are enrolled twice.

use clearlane_template::{SubjectId, TemplateId};
use zeroize::Zeroizing;

use super::best::Candidate;
use super::scan::{Found, Scan};
use super::{SearchOptions, check_stop, run};
use crate::GalleryError;
use crate::gallery::{SegmentView, Snapshot};

/// Rows that are searched for in one pass over those before them.
const PROBES: usize = 64;

/// A search for subjects that are enrolled under several ids: an iterator over blocks of rows, each compared with all rows
/// before it.
///
/// Of the [`SearchOptions`], `k` is how many other subjects to name for one template at most. A block that a deadline or a
/// cancellation cut short is not given out; [`Duplicates::cursor`] says where to go on. An error is that of a row in a
/// gallery's file which cannot be read; it is the last that comes.
pub struct Duplicates<'a> {
    snapshot: &'a Snapshot,
    options: SearchOptions<'a>,
    next: usize,
    failed: bool,
}

/// Where a search for duplicates has come to. It holds for snapshots of the same gallery until that is compacted; rows
/// that were added meanwhile are compared too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplicateCursor {
    layout: u64,
    row: usize,
}

/// A template, and another subject that it could belong to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DuplicatePair {
    /// Whose template it is.
    pub subject: SubjectId,
    /// The template.
    pub template: TemplateId,
    /// The other subject, with its best template among those enrolled earlier, and the score.
    pub other: Candidate,
}

/// What comparing one block gave.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DuplicateBlock {
    /// The pairs at or above the threshold, best first for each template.
    pub pairs: Vec<DuplicatePair>,
    /// Rows that have been compared, from the first on; the time goes with the square.
    pub done: usize,
    /// Rows that there are.
    pub total: usize,
}

impl<'a> Duplicates<'a> {
    pub(crate) fn new(
        snapshot: &'a Snapshot,
        options: &SearchOptions<'a>,
        from: Option<DuplicateCursor>,
    ) -> Result<Self, GalleryError> {
        options.check()?;
        if from.is_some_and(|cursor| cursor.layout != snapshot.layout()) {
            return Err(GalleryError::StaleCursor);
        }
        Ok(Self { snapshot, options: *options, next: from.map_or(0, |cursor| cursor.row), failed: false })
    }

    /// Where to go on from, when this search was stopped.
    #[must_use]
    pub fn cursor(&self) -> DuplicateCursor {
        DuplicateCursor { layout: self.snapshot.layout(), row: self.next }
    }

    /// Compares the rows from `start` on in a segment whose first row has the number `first` in the snapshot.
    fn block(
        &self,
        first: usize,
        view: SegmentView<'_>,
        start: usize,
    ) -> Result<(usize, Vec<DuplicatePair>), GalleryError> {
        // Blocks end at multiples of their length, so that the codes of the rows before them are whole.
        let end = (start / PROBES * PROBES + PROBES).min(view.rows);
        let dimension = self.snapshot.shape.dimension;
        let rows: Vec<_> = (start..end).filter(|&row| view.stands(row)).collect();
        let mut vectors = Zeroizing::new(vec![0.0; rows.len() * dimension]);
        view.read(&self.snapshot.shape, &rows, &mut vectors)?;
        let owners: Vec<_> = rows.iter().map(|&row| view.segment.owners.as_slice()[row]).collect();
        let scans: Vec<_> = vectors
            .chunks_exact(dimension)
            .zip(&owners)
            .map(|(vector, owner)| Scan::new(self.snapshot, vector, &self.options).without(owner.subject))
            .collect();
        let whole = start / PROBES * PROBES;
        let mut found: Vec<Found<'_>> = run(&scans, self.snapshot.spans_before(first + whole), &self.options)?;
        for ((scan, found), row) in scans.iter().zip(&mut found).zip(&rows) {
            scan.chunk(found, view, whole..*row);
            scan.finish(found, view);
            scan.settle(found);
            found.sound()?;
        }
        let pairs = owners.iter().zip(found).flat_map(|(owner, found)| {
            let pair = |other| DuplicatePair { subject: owner.subject, template: owner.template, other };
            found.best.into_candidates().into_iter().map(pair)
        });
        Ok((end, pairs.collect()))
    }
}

impl Iterator for Duplicates<'_> {
    type Item = Result<DuplicateBlock, GalleryError>;

    fn next(&mut self) -> Option<Self::Item> {
        let snapshot = self.snapshot;
        let (first, view) = snapshot.segments().find(|(first, view)| !self.failed && self.next < first + view.rows)?;
        let block = self.block(first, view, self.next - first);
        if block.is_ok() && check_stop(&self.options) {
            return None;
        }
        self.failed = block.is_err();
        Some(block.map(|(end, pairs)| {
            self.next = first + end;
            DuplicateBlock { pairs, done: self.next, total: snapshot.rows() }
        }))
    }
}
