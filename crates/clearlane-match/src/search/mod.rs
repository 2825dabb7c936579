//! The search: spans of a snapshot are scanned, and what could matter is scored and kept.

mod best;
mod options;
mod outcome;
mod scan;

use clearlane_template::Template;
use rayon::prelude::*;

use crate::GalleryError;
use crate::gallery::Snapshot;
use scan::Scan;

pub use best::Candidate;
pub use options::{Mode, SearchOptions};
pub use outcome::{Completeness, Margin, SearchOutcome, SearchStats};

/// The unit of work of one thread: enough rows that handing it out costs nothing, few enough that all threads get some.
const SPAN_ROWS: usize = 1 << 15;

/// Searches for one probe.
pub(crate) fn one(
    snapshot: &Snapshot,
    probe: &Template,
    options: &SearchOptions<'_>,
) -> Result<SearchOutcome, GalleryError> {
    options.check()?;
    snapshot.shape.check(probe)?;
    if snapshot.is_empty() {
        return Err(GalleryError::Empty);
    }
    let scan = Scan::new(snapshot, probe.as_slice(), options);
    let spans = snapshot.spans(SPAN_ROWS);
    let found = if options.parallel {
        spans
            .into_par_iter()
            .fold(|| scan.start(), |found, (view, rows)| scan.span(found, view, rows))
            .reduce(|| scan.start(), scan::Found::merge)
    } else {
        spans.into_iter().fold(scan.start(), |found, (view, rows)| scan.span(found, view, rows))
    };
    let scanned = found.stats.rows_scanned as usize;
    let total = snapshot.rows();
    let completeness = if scanned == total { Completeness::Complete } else { Completeness::Partial { scanned, total } };
    let candidates = found.best.into_candidates();
    Ok(SearchOutcome::new(candidates, completeness, found.stats, options.k, options.threshold))
}
