//! Pairs of captures: what a 1:1 test compares.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::ListError;
use crate::{Capture, Captures};

/// The folds of a test whose list does not say which pair is in which.
const FOLDS: usize = 10;

/// The most pairs of a list: IJB-C, the largest public one, has 15.7 million.
pub(super) const MAX_PAIRS: usize = 1 << 25;

/// A 1:1 test: captures, and which of them are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairTest {
    /// The captures that occur, each once, in the order in which the list first names them.
    pub captures: Captures,
    /// The pairs, in the list's order.
    pub pairs: Vec<CapturePair>,
    /// How many folds there are. Where the list does not say, ten: a tenth of the mated and a tenth of the non-mated pairs
    /// each, in the list's order. Fewer where there are fewer than ten pairs of either kind.
    pub folds: usize,
}

/// Two captures that are to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapturePair {
    /// The place of the one among the captures.
    pub left: usize,
    /// The place of the other.
    pub right: usize,
    /// Whether both show one person.
    pub mated: bool,
    /// The pair's fold, from 0.
    pub fold: usize,
}

/// A test that is being read.
#[derive(Debug)]
pub(super) struct Builder<'t> {
    captures: Captures,
    places: HashMap<Picture<'t>, usize>,
    pairs: Vec<CapturePair>,
}

/// What a list says of a picture: its path, or of whom it is the how-manieth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Picture<'t> {
    Path(&'t str),
    Numbered(&'t str, u32),
}

impl<'t> Builder<'t> {
    pub(super) fn new(columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Self { captures: Captures { columns, captures: Vec::new() }, places: HashMap::new(), pairs: Vec::new() }
    }

    /// The place of a picture, which `capture` describes where it is new.
    pub(super) fn place(&mut self, picture: Picture<'t>, capture: impl FnOnce() -> Capture) -> usize {
        match self.places.entry(picture) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(place) => {
                self.captures.captures.push(capture());
                *place.insert(self.captures.captures.len() - 1)
            }
        }
    }

    /// A pair whose fold the list says.
    pub(super) fn pair_in(&mut self, line: usize, pair: CapturePair) -> Result<(), ListError> {
        if self.pairs.len() == MAX_PAIRS {
            return Err(ListError::TooMany { line, limit: MAX_PAIRS });
        }
        self.pairs.push(pair);
        Ok(())
    }

    /// A pair whose fold its place in the list says.
    pub(super) fn pair(&mut self, line: usize, left: usize, right: usize, mated: bool) -> Result<(), ListError> {
        self.pair_in(line, CapturePair { left, right, mated, fold: 0 })
    }

    /// The test, if it has pairs, with the folds that its list says.
    pub(super) fn build_in(self, folds: usize) -> Result<PairTest, ListError> {
        if self.pairs.is_empty() {
            return Err(ListError::Empty);
        }
        Ok(PairTest { captures: self.captures, pairs: self.pairs, folds })
    }

    /// The test, if it has pairs, in folds by their places.
    pub(super) fn build(self) -> Result<PairTest, ListError> {
        let mut test = self.build_in(1)?;
        test.fold();
        Ok(test)
    }
}

impl PairTest {
    /// Puts the pairs in folds, by their places among those of their kind: lists that alternate between blocks of mated and
    /// non-mated pairs come to the folds that are meant, and so do those with all of one kind first.
    pub(super) fn fold(&mut self) {
        let count = |mated| self.pairs.iter().filter(|pair| pair.mated == mated).count();
        let totals = [count(false), count(true)];
        self.folds = FOLDS.min(totals[0].max(totals[1])).max(1);
        let mut seen = [0_usize; 2];
        for pair in &mut self.pairs {
            let kind = usize::from(pair.mated);
            pair.fold = seen[kind] * self.folds / totals[kind];
            seen[kind] += 1;
        }
    }
}
