//! One report of all blocks' results.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use clearlane_template::SubjectId;

use super::block::Found;
use super::{DuplicateReport, SubjectPair};
use crate::{ClusterError, Position};

/// The most pairs of a report: some gigabytes of memory where it is made, and more than anybody looks through.
pub(super) const MAX_REPORTED: usize = 10_000_000;

/// Pairs by their subjects: each once, with its best score.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs(HashMap<(SubjectId, SubjectId), SubjectPair>);

impl Pairs {
    pub(super) fn add(&mut self, pair: SubjectPair) {
        let known = self.0.entry((pair.subject, pair.other)).or_insert(pair);
        // Of equal scores the same pair of templates, from whichever side it was found.
        let rank = |pair: &SubjectPair| (Reverse(pair.template), Reverse(pair.other_template));
        if pair.score.total_cmp(&known.score).then_with(|| rank(&pair).cmp(&rank(known))).is_gt() {
            *known = pair;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Best first.
    pub(super) fn sorted(&self) -> Vec<SubjectPair> {
        let mut pairs: Vec<_> = self.0.values().copied().collect();
        let order = |a: &SubjectPair, b: &SubjectPair| {
            b.score.total_cmp(&a.score).then(a.subject.cmp(&b.subject)).then(a.other.cmp(&b.other))
        };
        pairs.sort_unstable_by(order);
        pairs
    }
}

/// Of each partition the oldest position.
#[derive(Clone, Debug, Default)]
pub(super) struct Oldest(BTreeMap<u32, Position>);

impl Oldest {
    pub(super) fn add(&mut self, position: Position) {
        match self.0.entry(position.partition) {
            Entry::Vacant(entry) => _ = entry.insert(position),
            Entry::Occupied(mut entry) if position.head < entry.get().head => _ = entry.insert(position),
            Entry::Occupied(_) => {}
        }
    }

    pub(super) fn positions(&self) -> Vec<Position> {
        self.0.values().copied().collect()
    }
}

/// The results that came.
#[derive(Clone, Debug)]
pub(super) struct Merged {
    pairs: Pairs,
    /// Of which threshold they are, and how many there may be.
    limit: (f32, usize),
    more: BTreeSet<SubjectId>,
    failed: BTreeMap<u32, String>,
    subjects: u64,
    templates: u64,
    oldest: Oldest,
}

impl Merged {
    /// Nothing yet, of a search over those who were enrolled at these positions.
    pub(super) fn new(limit: (f32, usize), positions: Vec<Position>) -> Self {
        let mut oldest = Oldest::default();
        for position in positions {
            oldest.add(position);
        }
        let (pairs, more, failed) = (Pairs::default(), BTreeSet::new(), BTreeMap::new());
        Self { pairs, limit, more, failed, subjects: 0, templates: 0, oldest }
    }

    pub(super) fn add(&mut self, block: u32, found: Result<Found, String>) -> Result<(), ClusterError> {
        match found {
            Ok(found) => {
                self.subjects += u64::from(found.subjects);
                self.templates += u64::from(found.templates);
                self.more.extend(found.more);
                found.positions.into_iter().for_each(|position| self.oldest.add(position));
                found.pairs.into_iter().for_each(|pair| self.pairs.add(pair));
            }
            Err(reason) => _ = self.failed.insert(block, reason),
        }
        let (threshold, most) = self.limit;
        if self.pairs.len() > most { Err(ClusterError::TooManyPairs { threshold, most }) } else { Ok(()) }
    }

    pub(super) fn report(&self) -> DuplicateReport {
        DuplicateReport {
            pairs: self.pairs.sorted(),
            more: self.more.iter().copied().collect(),
            failed: self.failed.clone(),
            subjects: self.subjects,
            templates: self.templates,
            positions: self.oldest.positions(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clearlane_template::TemplateId;

    use super::*;

    #[test]
    fn more_pairs_than_a_report_may_have_are_refused_and_the_same_pair_counts_once() {
        let pair = |other: u64| {
            let (subject, other) = (SubjectId(1), SubjectId(other));
            SubjectPair { subject, template: TemplateId(1), other, other_template: TemplateId(2), score: 0.5 }
        };
        let found = |pairs: Vec<SubjectPair>| Ok(Found { pairs, ..Found::default() });
        let mut merged = Merged::new((0.25, 2), Vec::new());
        merged.add(0, found(vec![pair(2), pair(3)])).unwrap();
        merged.add(1, found(vec![pair(3)])).unwrap();
        let refused = merged.add(2, found(vec![pair(4)]));
        assert!(matches!(refused, Err(ClusterError::TooManyPairs { threshold: 0.25, most: 2 })), "{refused:?}");
    }
}
