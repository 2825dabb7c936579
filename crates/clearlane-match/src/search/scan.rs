//! One probe's way through a span of rows.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::best::{Best, Candidate};
use super::{SearchOptions, SearchStats};
use crate::Kernel;
use crate::gallery::{SegmentView, Snapshot};

/// Rows between two looks at the clock: a few microseconds of codes, some tens of vectors.
const CHUNK_ROWS: usize = 256;

/// One probe's search, shared by the threads that work on it.
pub(super) struct Scan<'a> {
    probe: &'a [f32],
    kernel: Kernel,
    row_bytes: usize,
    options: &'a SearchOptions<'a>,
}

/// What one thread found so far.
pub(super) struct Found {
    pub(super) best: Best,
    pub(super) stats: SearchStats,
    stopped: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(snapshot: &Snapshot, probe: &'a [f32], options: &'a SearchOptions<'a>) -> Self {
        let row_bytes = snapshot.shape.row_bytes();
        Self { probe, kernel: snapshot.shape.kernel, row_bytes, options }
    }

    pub(super) fn start(&self) -> Found {
        Found { best: Best::new(self.options.k, self.options.threshold), stats: SearchStats::default(), stopped: false }
    }

    /// Scans rows of one segment, as many as the deadline allows.
    pub(super) fn span(&self, mut found: Found, view: SegmentView<'_>, rows: Range<usize>) -> Found {
        for start in rows.clone().step_by(CHUNK_ROWS) {
            found.stopped = found.stopped || self.must_stop();
            if found.stopped {
                break;
            }
            self.score_all(&mut found, view, start..(start + CHUNK_ROWS).min(rows.end));
        }
        found
    }

    fn score_all(&self, found: &mut Found, view: SegmentView<'_>, rows: Range<usize>) {
        let mut scores = [0.0; CHUNK_ROWS];
        let scores = &mut scores[..rows.len()];
        view.segment.rows.score(self.kernel, self.probe, rows.start, scores);
        for (row, score) in rows.clone().zip(&*scores) {
            self.offer(found, view, row, *score);
        }
        found.stats.rows_scanned += rows.len() as u64;
        found.stats.scored += rows.len() as u64;
        found.stats.bytes_scanned += (rows.len() * self.row_bytes) as u64;
    }

    /// Keeps a row's score, if it matters and the row may be found.
    fn offer(&self, found: &mut Found, view: SegmentView<'_>, row: usize, score: f32) {
        if score < found.best.bound() || !view.stands(row) {
            return;
        }
        let owner = view.segment.owners.as_slice()[row];
        if self.options.filter.is_none_or(|filter| filter.contains(owner.subject)) {
            found.best.push(Candidate { subject: owner.subject, template: owner.template, score });
        }
    }

    fn must_stop(&self) -> bool {
        self.options.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed))
            || self.options.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

impl Found {
    pub(super) fn merge(self, other: Self) -> Self {
        Self {
            best: self.best.merge(other.best),
            stats: self.stats.plus(other.stats),
            stopped: self.stopped || other.stopped,
        }
    }
}
