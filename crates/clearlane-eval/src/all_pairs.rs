//! All captures against all, in memory that does not grow with the pairs.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use serde::Serialize;

use crate::distribution::FINEST;
use crate::{BySubject, Distribution, Sample, ScoreError, Scores};

/// Captures whose rows are walked together, and captures that they are compared with while these stay in the cache.
const ROWS: usize = 64;
const COLUMNS: usize = 512;

/// Bins where groups are told apart, or captures are few: edges 2⁻¹⁶ apart, 1 MiB a pair of groups and thread.
const BITS_BY_GROUP: u32 = 17;
const FEW: usize = 1_000;

/// The highest non-mated comparisons that are kept one by one, of all groups together.
const HIGHEST: usize = 1 << 20;

/// A comparison of two captures, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// The one capture.
    pub a: u32,
    /// The other.
    pub b: u32,
    /// Their comparison score.
    pub score: f32,
}

/// All comparisons of a sample: mated ones as they are; of non-mated ones the distribution, and the highest one by one.
#[derive(Clone, Debug)]
pub struct AllPairs {
    pub(crate) sample: Sample,
    /// By unordered pair of groups.
    pub(crate) cells: Vec<Cell>,
}

/// The comparisons between two groups, or within one.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) mated: Vec<Pair>,
    pub(crate) non_mated: Distribution,
    pub(crate) highest: Highest,
}

/// The highest comparisons, all from some score on.
#[derive(Clone, Debug)]
pub(crate) struct Highest {
    most: usize,
    pub(crate) pairs: Vec<Pair>,
    /// Those below this score may be missing.
    pub(crate) from: f32,
}

impl AllPairs {
    /// Compares all captures of `sample`. `scores(a, first, out)` gives the scores of capture `a` with those from `first`
    /// on, as many as `out` has places, each in [-1, 1]; it is called on all threads of the current rayon pool.
    ///
    /// Memory: 8 MiB a thread, or 1 MiB for each pair of groups and thread; 12 bytes a mated comparison, and for a million
    /// of the highest non-mated ones a thread.
    pub fn compare(sample: Sample, scores: impl Fn(usize, usize, &mut [f32]) + Sync) -> Self {
        Self::compare_bounded(sample, scores, HIGHEST)
    }

    fn compare_bounded(sample: Sample, scores: impl Fn(usize, usize, &mut [f32]) + Sync, most: usize) -> Self {
        let captures = sample.captures();
        // As many tallies as threads work at a time, and no more.
        let free: Mutex<Vec<Vec<Cell>>> = Mutex::default();
        let take = || free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        (0..captures.div_ceil(ROWS)).into_par_iter().for_each(|block| {
            let mut tally = take().unwrap_or_else(|| empty(&sample, most));
            block_of_rows(&sample, block * ROWS, &scores, &mut tally);
            free.lock().unwrap_or_else(PoisonError::into_inner).push(tally);
        });
        let mut tallies = free.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter();
        let mut cells = tallies.next().unwrap_or_else(|| empty(&sample, most));
        for tally in tallies {
            for (cell, other) in cells.iter_mut().zip(tally) {
                cell.merge(other);
            }
        }
        for cell in &mut cells {
            // Threads take rows as they come; what is reported does not depend on it.
            cell.mated.sort_unstable_by_key(|pair| (pair.a, pair.b));
            cell.highest.finish();
        }
        Self { sample, cells }
    }

    /// What was compared.
    #[must_use]
    pub fn sample(&self) -> &Sample {
        &self.sample
    }

    /// The mated comparisons.
    pub fn mated(&self) -> impl Iterator<Item = &Pair> {
        self.cells.iter().flat_map(|cell| &cell.mated)
    }

    /// The distribution of all non-mated comparisons.
    #[must_use]
    pub fn non_mated(&self) -> Distribution {
        merged(&self.cells.iter().collect::<Vec<_>>())
    }

    /// The rates of all comparisons together.
    pub fn scores(&self) -> Result<Scores, ScoreError> {
        let mated: Vec<f32> = self.mated().map(|pair| pair.score).collect();
        let non_mated = self.non_mated();
        Scores::binned(Distribution::of("mated", &mated, non_mated.bits())?, non_mated)
    }

    /// Intervals for all comparisons together that heed that comparisons of one subject depend on each other.
    #[must_use]
    pub fn by_subject(&self) -> BySubject<'_> {
        self.between((0..self.sample.groups().len()).flat_map(|b| (0..=b).map(move |a| (a as u16, b as u16))))
    }

    /// The same for the comparisons between pairs of groups, by their places in [`Sample::groups`]; a group with itself are
    /// the comparisons within it.
    ///
    /// # Panics
    ///
    /// Where there is no such group.
    #[must_use]
    pub fn between(&self, groups: impl IntoIterator<Item = (u16, u16)>) -> BySubject<'_> {
        BySubject::new(self, groups)
    }
}

/// The distribution of the non-mated comparisons of some cells.
pub(crate) fn merged(cells: &[&Cell]) -> Distribution {
    let mut all = cells.first().map_or_else(|| Distribution::new(FINEST), |cell| cell.non_mated.clone());
    for cell in cells.iter().skip(1) {
        all.merge(&cell.non_mated);
    }
    all
}

fn empty(sample: &Sample, most: usize) -> Vec<Cell> {
    let cells = sample.cells();
    let bits = if cells > 1 || sample.captures() < FEW { BITS_BY_GROUP } else { FINEST };
    // A sample without captures has no cells.
    let most = most / cells.max(1);
    (0..cells)
        .map(|_| Cell {
            mated: Vec::new(),
            non_mated: Distribution::new(bits),
            highest: Highest { most, pairs: Vec::new(), from: -1.0 },
        })
        .collect()
}

fn block_of_rows(sample: &Sample, first: usize, scores: impl Fn(usize, usize, &mut [f32]), cells: &mut [Cell]) {
    let captures = sample.captures();
    let mut out = [0.0; COLUMNS];
    for columns in (first / COLUMNS * COLUMNS..captures).step_by(COLUMNS) {
        for row in first..(first + ROWS).min(captures) {
            let start = columns.max(row + 1);
            let end = (columns + COLUMNS).min(captures);
            if start >= end {
                continue;
            }
            let out = &mut out[..end - start];
            scores(row, start, out);
            let (subject, group) = (sample.subjects[row], sample.groups[row]);
            for (column, &score) in (start..end).zip(&*out) {
                let cell = &mut cells[Sample::cell(group, sample.groups[column])];
                let pair = Pair { a: row as u32, b: column as u32, score };
                if sample.subjects[column] == subject {
                    cell.mated.push(pair);
                } else {
                    cell.non_mated.add(score);
                    cell.highest.add(pair);
                }
            }
        }
    }
}

impl Cell {
    fn merge(&mut self, other: Self) {
        self.mated.extend(other.mated);
        self.non_mated.merge(&other.non_mated);
        self.highest.from = self.highest.from.max(other.highest.from);
        for pair in other.highest.pairs {
            self.highest.add(pair);
        }
    }
}

impl Highest {
    #[inline]
    fn add(&mut self, pair: Pair) {
        if pair.score >= self.from {
            self.pairs.push(pair);
            if self.pairs.len() > 2 * self.most + 64 {
                self.cut();
            }
        }
    }

    /// Leaves out the lowest, and all others of their score.
    fn cut(&mut self) {
        if self.pairs.len() > self.most {
            let most = self.most;
            let (_, highest_left_out, _) = self.pairs.select_nth_unstable_by(most, |a, b| b.score.total_cmp(&a.score));
            self.from = highest_left_out.score.next_up();
        }
        let from = self.from;
        self.pairs.retain(|pair| pair.score >= from);
    }

    fn finish(&mut self) {
        self.cut();
        self.pairs.sort_unstable_by(|x, y| y.score.total_cmp(&x.score).then((x.a, x.b).cmp(&(y.a, y.b))));
    }
}
