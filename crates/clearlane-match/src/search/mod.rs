//! The search: spans of a snapshot are scanned, and what could matter is scored and kept.

mod best;
mod distant;
mod duplicates;
mod options;
mod outcome;
mod scan;

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Instant;

use clearlane_template::Template;
use rayon::prelude::*;

use crate::GalleryError;
use crate::gallery::{SegmentView, Snapshot};
use scan::{Found, Scan};

pub use best::Candidate;
pub use duplicates::{DuplicateBlock, DuplicateCursor, DuplicatePair, Duplicates};
pub use options::{Mode, SearchOptions};
pub use outcome::{Completeness, Margin, SearchOutcome, SearchStats};

/// Rows between two looks at the clock, and that all probes of a batch go over before the next: their codes stay in the
/// second-level cache meanwhile.
const CHUNK_ROWS: usize = 1 << 11;
/// The same where whole vectors are read.
const CHUNK_VECTORS: usize = 1 << 8;

/// Searches for one probe.
pub(crate) fn one(
    snapshot: &Snapshot,
    probe: &Template,
    options: &SearchOptions<'_>,
) -> Result<SearchOutcome, GalleryError> {
    let mut outcomes = batch(snapshot, std::slice::from_ref(probe), options)?;
    outcomes.pop().ok_or(GalleryError::Empty)
}

/// Searches for several probes in one pass over memory.
pub(crate) fn batch(
    snapshot: &Snapshot,
    probes: &[Template],
    options: &SearchOptions<'_>,
) -> Result<Vec<SearchOutcome>, GalleryError> {
    options.check()?;
    probes.iter().try_for_each(|probe| snapshot.shape.check(probe))?;
    if snapshot.is_empty() {
        return Err(GalleryError::Empty);
    }
    let scans: Vec<_> = probes.iter().map(|probe| Scan::new(snapshot, probe.as_slice(), options)).collect();
    let found = run(&scans, snapshot.spans(), options)?;
    Ok(found.into_iter().map(|found| outcome(snapshot, found, options)).collect())
}

/// Scans spans for all probes, on as many threads as the options allow.
fn run<'a>(
    scans: &[Scan<'a>],
    spans: Vec<(SegmentView<'a>, Range<usize>)>,
    options: &SearchOptions<'_>,
) -> Result<Vec<Found<'a>>, GalleryError> {
    let start = || scans.iter().map(Scan::start).collect::<Vec<_>>();
    let step = |found, (view, rows)| span(scans, found, view, rows, options);
    let mut found = if options.parallel {
        spans.into_par_iter().fold(start, step).reduce(start, |a, b| a.into_iter().zip(b).map(merge).collect())
    } else {
        spans.into_iter().fold(start(), step)
    };
    for (scan, found) in scans.iter().zip(&mut found) {
        scan.settle(found);
        found.sound()?;
    }
    Ok(found)
}

/// Scans rows of one segment for all probes, as many as the deadline allows.
fn span<'a>(
    scans: &[Scan<'a>],
    mut found: Vec<Found<'a>>,
    view: SegmentView<'a>,
    rows: Range<usize>,
    options: &SearchOptions<'_>,
) -> Vec<Found<'a>> {
    let length = if options.mode == Mode::Exhaustive { CHUNK_VECTORS } else { CHUNK_ROWS };
    for start in rows.clone().step_by(length) {
        if check_stop(options) || found.iter().any(|found| found.failure.is_some()) {
            break;
        }
        let chunk = start..(start + length).min(rows.end);
        for (scan, found) in scans.iter().zip(&mut found) {
            scan.chunk(found, view, chunk.clone());
        }
    }
    for (scan, found) in scans.iter().zip(&mut found) {
        scan.finish(found, view);
    }
    found
}

fn check_stop(options: &SearchOptions<'_>) -> bool {
    options.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed))
        || options.deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

fn merge<'a>((a, b): (Found<'a>, Found<'a>)) -> Found<'a> {
    a.merge(b)
}

fn outcome(snapshot: &Snapshot, found: Found<'_>, options: &SearchOptions<'_>) -> SearchOutcome {
    let (scanned, total) = ((found.stats.rows_scanned - found.unread) as usize, snapshot.rows());
    let completeness = if scanned == total { Completeness::Complete } else { Completeness::Partial { scanned, total } };
    SearchOutcome::new(found.best.into_candidates(), completeness, found.stats, options.k, options.threshold)
}
