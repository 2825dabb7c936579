//! One probe's way through a span of rows: the codes rule most rows out; the others wait until their vectors are in the
//! cache, and are scored.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use clearlane_template::SubjectId;

use super::best::{Best, Candidate};
use super::distant::Distant;
use super::{CHUNK_ROWS, Mode, SearchOptions, SearchStats};
use crate::codes::{Bound, CodedProbe, Contract, Layout};
use crate::file::RowBuffer;
use crate::gallery::{Owner, SegmentView, Shape, Snapshot, Stored};
use crate::kernel::{BLOCK, Survivor};
use crate::{GalleryError, Kernel};

/// Rows that are prefetched before the first of them is scored: enough to hide the memory's latency, few enough to be in the
/// cache still.
const WAITING_ROWS: usize = 16;

/// One probe's search, shared by the threads that work on it.
pub(super) struct Scan<'a> {
    pub(super) shape: &'a Shape,
    pub(super) kernel: Kernel,
    pub(super) probe: &'a [f32],
    pub(super) coded: Option<(Layout, CodedProbe, Bound)>,
    pub(super) options: &'a SearchOptions<'a>,
    /// A subject that is not looked for.
    without: Option<SubjectId>,
    /// The best bound that any thread found: the bits of a float that is not negative.
    shared_bound: AtomicU32,
}

/// What one thread found so far for one probe.
pub(super) struct Found<'a> {
    pub(super) best: Best,
    pub(super) stats: SearchStats,
    /// Rows that were collected from a file to be read.
    pub(super) distant: Vec<Distant<'a>>,
    /// Rows of these that were not read, since the search was to stop.
    pub(super) unread: u64,
    /// What became of a row that could not be read: the search has no answer.
    pub(super) failure: Option<GalleryError>,
    pub(super) buffer: Option<RowBuffer>,
    survivors: Vec<Survivor>,
    /// Rows of the current span that survived the last chunk, and of which all that is known was prefetched.
    survived: Vec<Survivor>,
    /// Rows of the current span whose vectors were prefetched.
    waiting: Vec<usize>,
}

/// How many times the bound is held against one row: the probabilities that it fails add up.
fn tests(layout: Layout) -> f64 {
    if layout.is_refined() { 2.0 } else { 1.0 }
}

impl<'a> Scan<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, probe: &'a [f32], options: &'a SearchOptions<'a>) -> Self {
        let shape = &*snapshot.shape;
        let plan = match options.mode {
            Mode::Sketch { miss } => Some((shape.sketch, Contract::with_miss(miss / tests(shape.sketch)))),
            Mode::Certified if shape.certified => Some((shape.fine.unwrap_or(shape.sketch), Contract::Always)),
            Mode::Certified | Mode::Exhaustive => None,
        };
        let coded = plan.map(|(layout, contract)| {
            let coded = CodedProbe::new(probe, layout, &shape.rotation);
            let bound = Bound::new(&coded, contract);
            (layout, coded, bound)
        });
        Self { shape, kernel: shape.kernel, probe, coded, options, without: None, shared_bound: AtomicU32::new(0) }
    }

    /// The search with this subject left out.
    pub(super) fn without(self, subject: SubjectId) -> Self {
        Self { without: Some(subject), ..self }
    }

    pub(super) fn start(&self) -> Found<'a> {
        Found {
            best: Best::new(self.options.k, self.options.threshold),
            stats: SearchStats::default(),
            distant: Vec::new(),
            unread: 0,
            failure: None,
            buffer: None,
            survivors: Vec::new(),
            survived: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Scans rows of one segment: at most [`CHUNK_ROWS`], the first of them the first of a block.
    pub(super) fn chunk(&self, found: &mut Found<'a>, view: SegmentView<'a>, rows: Range<usize>) {
        found.stats.rows_scanned += rows.len() as u64;
        let scanned = self.scan_codes(found, view, rows.clone()).unwrap_or(rows.start);
        self.score_all(found, view, scanned..rows.end);
        self.share(&found.best);
    }

    /// Rules out and scores the rows that wait. The span ends, or the search.
    pub(super) fn finish(&self, found: &mut Found<'a>, view: SegmentView<'a>) {
        self.rule_out(found, view);
        self.score_waiting(found, view);
        self.share(&found.best);
    }

    /// Scans the codes of the whole blocks among the rows, and says up to which row that went. `None` where codes cannot
    /// rule anything out.
    fn scan_codes(&self, found: &mut Found<'a>, view: SegmentView<'a>, rows: Range<usize>) -> Option<usize> {
        let (layout, coded, bound) = self.coded.as_ref()?;
        let thresholds = bound.at(self.bound(&found.best))?;
        let codes = view.segment.codes(*layout);
        let blocks = rows.start / BLOCK..rows.end / BLOCK;
        let mut products = [0; CHUNK_ROWS / BLOCK];
        let products = &mut products[..blocks.len()];
        for (product, factors) in products.iter_mut().zip(codes.block_factors(blocks.clone())) {
            *product = thresholds.of_block(factors);
        }
        let bytes = codes.bytes(blocks.clone());
        let mut survivors = std::mem::take(&mut found.survivors);
        coded.scan(self.kernel, bytes, products, &mut survivors);
        found.stats.bytes_scanned += (bytes.len() + size_of_val(products)) as u64;
        found.stats.survivors += survivors.len() as u64;
        self.rule_out(found, view);
        for survivor in survivors.drain(..) {
            let row = blocks.start * BLOCK + survivor.row as usize;
            codes.prefetch(row);
            found.survived.push(Survivor { row: row as u32, ..survivor });
        }
        found.survivors = survivors;
        Some(blocks.end * BLOCK)
    }

    /// Rules out what can be by what is known of each row, its factors and its second bits: of the rows that survived the
    /// chunk before this one. Scanning this one has given that the time to arrive.
    fn rule_out(&self, found: &mut Found<'a>, view: SegmentView<'a>) {
        let Some((layout, coded, bound)) = &self.coded else { return };
        let codes = view.segment.codes(*layout);
        let mut survived = std::mem::take(&mut found.survived);
        if let Some(refinement) = codes.refinement() {
            refinement.refine(self.kernel, coded, &mut survived);
        }
        let thresholds = bound.at(self.bound(&found.best));
        for survivor in survived.drain(..) {
            let factors = codes.row_factors(survivor.row as usize);
            if thresholds.is_none_or(|thresholds| survivor.product >= thresholds.of_row(factors)) {
                self.wait(found, view, survivor);
            }
        }
        found.survived = survived;
    }

    /// Prefetches a row's vector, to score it when it has arrived.
    fn wait(&self, found: &mut Found<'a>, view: SegmentView<'a>, survivor: Survivor) {
        match &view.segment.rows {
            Stored::Memory(rows) => {
                rows.prefetch(survivor.row as usize);
                found.waiting.push(survivor.row as usize);
                if found.waiting.len() == WAITING_ROWS {
                    self.score_waiting(found, view);
                }
            }
            Stored::File(file) => self.collect(found, view, file, survivor),
        }
    }

    fn score_waiting(&self, found: &mut Found<'a>, view: SegmentView<'a>) {
        let Stored::Memory(rows) = &view.segment.rows else { return };
        let waiting = std::mem::take(&mut found.waiting);
        for row in &waiting {
            let mut score = [0.0];
            rows.score(self.kernel, self.probe, *row, &mut score);
            self.offer(found, view, *row, score[0]);
        }
        found.stats.scored += waiting.len() as u64;
        found.waiting = waiting;
        found.waiting.clear();
    }

    fn score_all(&self, found: &mut Found<'a>, view: SegmentView<'a>, rows: Range<usize>) {
        const AT_ONCE: usize = 64;
        let stored = match &view.segment.rows {
            Stored::Memory(stored) => stored,
            Stored::File(file) => return self.read_all(found, view, file, rows),
        };
        found.stats.scored += rows.len() as u64;
        found.stats.bytes_scanned += (rows.len() * self.shape.row_bytes()) as u64;
        for start in rows.clone().step_by(AT_ONCE) {
            let mut scores = [0.0; AT_ONCE];
            let scores = &mut scores[..AT_ONCE.min(rows.end - start)];
            stored.score(self.kernel, self.probe, start, scores);
            for (row, score) in (start..).zip(&*scores) {
                self.offer(found, view, row, *score);
            }
        }
    }

    /// Keeps a row's score, if it matters and the row may be found.
    pub(super) fn offer(&self, found: &mut Found<'a>, view: SegmentView<'a>, row: usize, score: f32) {
        if score < found.best.bound() || !self.is_wanted(view, row) {
            return;
        }
        let owner = view.segment.owners.as_slice()[row];
        found.best.push(Candidate { subject: owner.subject, template: owner.template, score });
    }

    /// Whether a row may be found, whatever its score.
    pub(super) fn is_wanted(&self, view: SegmentView<'a>, row: usize) -> bool {
        if !view.stands(row) {
            return false;
        }
        let Owner { subject, .. } = view.segment.owners.as_slice()[row];
        self.without != Some(subject) && self.options.filter.is_none_or(|filter| filter.contains(subject))
    }

    /// What a score has to reach to matter to any thread.
    pub(super) fn bound(&self, best: &Best) -> f32 {
        best.bound().max(f32::from_bits(self.shared_bound.load(Ordering::Relaxed)))
    }

    /// Tells the other threads this one's bound. A bound above the threshold means that k subjects reach it; bits of floats
    /// that are not negative are ordered as the floats are.
    pub(super) fn share(&self, best: &Best) {
        if best.bound() > 0.0 {
            self.shared_bound.fetch_max(best.bound().to_bits(), Ordering::Relaxed);
        }
    }
}

impl Found<'_> {
    pub(super) fn merge(mut self, mut other: Self) -> Self {
        self.distant.append(&mut other.distant);
        Self {
            best: self.best.merge(other.best),
            stats: self.stats.plus(other.stats),
            unread: self.unread + other.unread,
            failure: self.failure.or(other.failure),
            ..self
        }
    }

    /// Itself, unless a row could not be read.
    pub(super) fn sound(&mut self) -> Result<(), GalleryError> {
        self.failure.take().map_or(Ok(()), Err)
    }
}
