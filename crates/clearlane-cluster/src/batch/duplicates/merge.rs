//! One report of all blocks' results.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use clearlane_template::SubjectId;

use super::block::Found;
use super::{DuplicateReport, SubjectPair};
use crate::Position;

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
#[derive(Clone, Debug, Default)]
pub(super) struct Merged {
    pairs: Pairs,
    more: BTreeSet<SubjectId>,
    failed: BTreeMap<u32, String>,
    subjects: u64,
    templates: u64,
    oldest: Oldest,
}

impl Merged {
    pub(super) fn add(&mut self, block: u32, found: Result<Found, String>) {
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
