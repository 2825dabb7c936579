//! Freeing the memory of withdrawn rows.

use std::sync::Arc;

use parking_lot::MutexGuard;

use super::index::Place;
use super::{Gallery, MOST_ROWS, Segment, Snapshot};
use crate::GalleryError;

/// What a compaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compaction {
    /// Rows before, withdrawn ones included.
    pub rows_before: usize,
    /// Rows after.
    pub rows_after: usize,
    /// Segments before and after: what adding little by little left is put together too.
    pub segments: [usize; 2],
}

/// Rows are copied, and the writers' lock is asked for, in steps of so many.
const ROWS_AT_ONCE: usize = 1 << 13;

impl Gallery {
    /// Copies what is enrolled out of segments with withdrawn rows and out of small ones into new segments, and wipes the old
    /// ones once no snapshot holds them.
    ///
    /// It runs at the same time as searches and writers, on the calling thread and, unless the
    /// builder was told [otherwise](crate::GalleryBuilder::parallel), the current rayon pool; writers wait only while a new
    /// segment takes the place of old ones. It takes as much further memory as one segment, two million templates at
    /// most.
    ///
    /// What a gallery has of a [file](crate::GalleryBuilder::open_file) stays as it is, withdrawn rows included: to be rid of
    /// them, [write the file anew](Gallery::write_file).
    pub fn compact(&self) -> Result<Compaction, GalleryError> {
        self.compact_alone(&self.compacting.lock())
    }

    /// As [`Self::compact`], by whoever holds the lock of compactions.
    fn compact_alone(&self, _compacting: &MutexGuard<'_, ()>) -> Result<Compaction, GalleryError> {
        let before = {
            // From here on, existing rows keep their number; new rows get a new segment.
            let _index = self.index.lock();
            let version = self.published.read();
            version.segments.iter().filter(|segment| segment.written() > 0).for_each(|segment| segment.seal());
            (version.rows, version.segments.len())
        };
        for group in groups(&self.snapshot()) {
            self.rewrite(&group)?;
        }
        let version = self.published.read();
        Ok(Compaction { rows_before: before.0, rows_after: version.rows, segments: [before.1, version.segments.len()] })
    }

    /// [Compacts](Self::compact) where withdrawn rows take [too much](crate::MemoryUse::is_wasteful) and nobody does so already;
    /// `None` where there was nothing to do.
    pub fn tidy(&self) -> Result<Option<Compaction>, GalleryError> {
        let Some(compacting) = self.compacting.try_lock() else { return Ok(None) };
        if self.memory().is_wasteful() { self.compact_alone(&compacting).map(Some) } else { Ok(None) }
    }

    /// Puts one segment in the place of a run of adjacent ones.
    fn rewrite(&self, group: &[Arc<Segment>]) -> Result<(), GalleryError> {
        let at = self.snapshot();
        let standing: Vec<(usize, usize)> = group
            .iter()
            .enumerate()
            .flat_map(|(number, segment)| (0..segment.written()).map(move |row| (number, row)))
            .filter(|&(number, row)| group[number].stands(row, at.version()))
            .collect();
        let serial = self.index.lock().serial();
        let copy = Segment::with_capacity(&self.shape, serial, standing.len())?;
        for (step, rows) in standing.chunks(ROWS_AT_ONCE).enumerate() {
            copy.copy(&self.shape, step * ROWS_AT_ONCE, rows.iter().map(|&(number, row)| (&*group[number], row)));
        }
        copy.publish(standing.len());
        let copy = Arc::new(copy);

        let mut index = self.index.lock();
        let mut writer = self.next_version(&index);
        let version = &mut writer.version;
        version.layout += 1;
        version.rows -= group.iter().map(|segment| segment.written()).sum::<usize>() - standing.len();
        let in_group = |segment: &Arc<Segment>| group.iter().any(|old| Arc::ptr_eq(old, segment));
        let start = version.segments.iter().position(in_group).unwrap_or(0);
        let mut segments: Vec<_> = version.segments.iter().filter(|segment| !in_group(segment)).cloned().collect();
        if !standing.is_empty() {
            segments.insert(start, Arc::clone(&copy));
        }
        version.segments = segments.into();
        // From here on, nothing fails or unwinds.
        for (row, (&(number, old), owner)) in standing.iter().zip(copy.owners.as_slice()).enumerate() {
            match group[number].withdrawn_in(old) {
                0 => index.moved(owner.template, Place::new(serial, row)),
                version => copy.withdraw(row, version),
            }
        }
        self.publish(writer, 0);
        Ok(())
    }
}

/// Runs of adjacent segments that are worth a copy: those that fit in one segment together, and single ones that have
/// withdrawn rows. All their rows are written.
fn groups(snapshot: &Snapshot) -> Vec<Vec<Arc<Segment>>> {
    let mut groups: Vec<(Vec<Arc<Segment>>, usize, usize)> = Vec::new();
    for segment in snapshot.sealed_segments() {
        let rows = segment.written();
        let standing = (0..rows).filter(|&row| segment.stands(row, snapshot.version())).count();
        match groups.last_mut() {
            Some((group, all, together)) if *together + standing <= MOST_ROWS => {
                group.push(Arc::clone(segment));
                *all += rows;
                *together += standing;
            }
            _ => groups.push((vec![Arc::clone(segment)], rows, standing)),
        }
    }
    let worth = |(group, all, standing): &(Vec<_>, usize, usize)| group.len() > 1 || all > standing;
    groups.into_iter().filter(worth).map(|(group, ..)| group).collect()
}
