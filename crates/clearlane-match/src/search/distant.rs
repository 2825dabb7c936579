//! Rows in a gallery's file: those that the codes could not rule out are collected, and read together.
//!
//! A read takes as long as the scan of thousands of codes, from the page cache, and as that of a hundred thousand from a disk.
//! So the rows with the best estimates are read first: where they give k good scores, the others are held against these before
//! they are read. The others are read in the order of the file, many at a time.

use rayon::prelude::*;

use super::check_stop;
use super::scan::{Found, Scan};
use crate::file::{FileRows, RowBuffer};
use crate::gallery::SegmentView;
use crate::kernel::Survivor;

/// Rows that one thread collects before it reads them.
const COLLECTED_ROWS: usize = 1 << 12;
/// Rows that are read, opened and scored together, between two looks at the clock.
const READ_ROWS: usize = 256;
/// Rows that are read before all others, and as many more as there may be candidates.
const PROMISING_ROWS: usize = 16;

/// A row in a file that could matter.
#[derive(Clone, Copy)]
pub(super) struct Distant<'a> {
    view: SegmentView<'a>,
    file: &'a FileRows,
    row: u32,
    product: i32,
    /// What the scores of a probe's rows are ordered like, as far as codes can tell.
    estimate: f32,
}

impl<'a> Scan<'a> {
    /// Collects a row, to read it with others.
    pub(super) fn collect(&self, found: &mut Found<'a>, view: SegmentView<'a>, file: &'a FileRows, survivor: Survivor) {
        let Some((layout, ..)) = &self.coded else { return };
        let Survivor { row, product } = survivor;
        if !self.is_wanted(view, row as usize) {
            return;
        }
        let estimate = product as f32 / view.segment.codes(*layout).row_factors(row as usize).parallel;
        found.distant.push(Distant { view, file, row, product, estimate });
        if found.distant.len() >= COLLECTED_ROWS {
            self.read_collected(found, false);
        }
    }

    /// Reads and scores what was collected. The search ends.
    pub(super) fn settle(&self, found: &mut Found<'a>) {
        self.read_collected(found, self.options.parallel);
        self.share(&found.best);
    }

    fn read_collected(&self, found: &mut Found<'a>, parallel: bool) {
        let mut rows = std::mem::take(&mut found.distant);
        self.drop_ruled_out(found, &mut rows);
        let promising = PROMISING_ROWS + self.options.k.min(READ_ROWS - PROMISING_ROWS);
        if rows.len() > promising {
            rows.select_nth_unstable_by(promising, |a, b| b.estimate.total_cmp(&a.estimate));
            let mut others = rows.split_off(promising);
            self.read(found, &mut rows);
            found.best.tighten();
            self.share(&found.best);
            self.drop_ruled_out(found, &mut others);
            rows = others;
        }
        rows.sort_unstable_by_key(Distant::number);
        if parallel && rows.len() > READ_ROWS {
            let batches = rows.par_chunks_mut(READ_ROWS);
            let step = |mut found, batch: &mut [Distant<'a>]| {
                self.read(&mut found, batch);
                found
            };
            let others = batches.fold(|| self.start(), step).reduce(|| self.start(), Found::merge);
            let before = std::mem::replace(found, self.start());
            *found = before.merge(others);
        } else {
            rows.chunks_mut(READ_ROWS).for_each(|batch| self.read(found, batch));
        }
        // Its room serves the next ones.
        rows.clear();
        if found.distant.capacity() < rows.capacity() {
            found.distant = rows;
        }
    }

    /// Reads and scores rows, unless the search is to stop.
    fn read(&self, found: &mut Found<'a>, rows: &mut [Distant<'a>]) {
        if found.failure.is_some() || check_stop(self.options) {
            found.unread += rows.len() as u64;
            return;
        }
        rows.sort_unstable_by_key(Distant::number);
        let Some(first) = rows.first() else { return };
        let numbers: Vec<_> = rows.iter().map(Distant::number).collect();
        // The slowest part, waiting for a disk, is one wait for all of them.
        first.file.source().fetch(numbers.iter().copied());
        let mut buffer = found.buffer.take().unwrap_or_else(|| self.buffer());
        for (rows, numbers) in rows.chunks(READ_ROWS).zip(numbers.chunks(READ_ROWS)) {
            let scores = self.score_read(found, rows[0].file, numbers, &mut buffer);
            for (row, score) in rows.iter().zip(scores) {
                self.offer(found, row.view, row.row as usize, score);
            }
        }
        found.buffer = Some(buffer);
        self.share(&found.best);
    }

    /// Reads and scores rows of a segment that no code rules out, from `start` to `end`.
    pub(super) fn read_all(
        &self,
        found: &mut Found<'a>,
        view: SegmentView<'a>,
        file: &FileRows,
        rows: std::ops::Range<usize>,
    ) {
        let mut buffer = found.buffer.take().unwrap_or_else(|| self.buffer());
        let (mut wanted, mut numbers) = (Vec::with_capacity(READ_ROWS), Vec::with_capacity(READ_ROWS));
        for start in rows.clone().step_by(READ_ROWS) {
            if found.failure.is_some() {
                break;
            }
            wanted.clear();
            wanted.extend((start..rows.end.min(start + READ_ROWS)).filter(|row| self.is_wanted(view, *row)));
            numbers.clear();
            numbers.extend(wanted.iter().map(|row| file.number(*row)));
            let scores = self.score_read(found, file, &numbers, &mut buffer);
            found.stats.bytes_scanned += (scores.len() * self.shape.row_bytes()) as u64;
            for (row, score) in wanted.iter().zip(scores) {
                self.offer(found, view, *row, score);
            }
        }
        found.buffer = Some(buffer);
    }

    /// The scores of rows of the file; none where they cannot be read.
    fn score_read(&self, found: &mut Found<'a>, file: &FileRows, numbers: &[u64], buffer: &mut RowBuffer) -> Vec<f32> {
        if let Err(failure) = file.source().read(numbers, buffer) {
            found.failure = Some(failure);
            return Vec::new();
        }
        let mut scores = vec![0.0; buffer.len()];
        buffer.score(self.kernel, self.probe, &mut scores);
        found.stats.scored += scores.len() as u64;
        found.stats.rows_read += scores.len() as u64;
        scores
    }

    fn buffer(&self) -> RowBuffer {
        RowBuffer::new(self.shape.precision, self.shape.dimension, READ_ROWS)
    }

    /// Keeps the rows whose codes do not rule them out by what is known now. For a sketch it is no further chance to miss one: it
    /// is the same product, and a row that belongs in the list reaches the highest bound that there ever is.
    fn drop_ruled_out(&self, found: &Found<'a>, rows: &mut Vec<Distant<'a>>) {
        let Some((layout, _, bound)) = &self.coded else { return };
        let Some(thresholds) = bound.at(self.bound(&found.best)) else { return };
        rows.retain(|row| {
            row.product >= thresholds.of_row(row.view.segment.codes(*layout).row_factors(row.row as usize))
        });
    }
}

impl Distant<'_> {
    /// Its number in the file.
    fn number(&self) -> u64 {
        self.file.number(self.row as usize)
    }
}
