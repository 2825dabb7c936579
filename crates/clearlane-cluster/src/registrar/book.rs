//! What the registrar knows the stream to hold.

use std::collections::HashMap;

use super::audit::Audit;
use crate::gallery::GalleryConfig;
use crate::multiset::{Element, Sum};
use crate::partition::partition_of;
use clearlane_template::SubjectId;

/// The latest message of one subject.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) element: Element,
    pub(super) enrolled: bool,
    /// Whether the state with this element stands in the stream, and nobody else's message in its place.
    pub(super) stands: bool,
}

/// One partition as the next head says it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    pub(super) sum: Sum,
    pub(super) subjects: u64,
    /// The sequence of its latest head; 0 where there is none.
    pub(super) head: u64,
}

/// All subjects and partitions, and how far the stream is known.
pub(super) struct Book {
    partitions: u32,
    entries: HashMap<u64, Entry>,
    pub(super) parts: Vec<Part>,
    /// The last sequence that is accounted for.
    pub(super) last_sequence: u64,
    /// Of the newest head.
    pub(super) head_number: u64,
    pub(super) head_time: i64,
}

impl Book {
    pub(super) fn new(config: &GalleryConfig) -> Self {
        Self {
            partitions: config.partitions,
            entries: HashMap::new(),
            parts: vec![Part::default(); config.partitions as usize],
            last_sequence: 0,
            head_number: 0,
            head_time: i64::MIN,
        }
    }

    pub(super) fn get(&self, subject: SubjectId) -> Option<&Entry> {
        self.entries.get(&subject.0)
    }

    /// Those whom the stream has as enrolled.
    pub(super) fn enrolled(&self) -> impl Iterator<Item = SubjectId> {
        self.entries.iter().filter(|(_, entry)| entry.enrolled).map(|(subject, _)| SubjectId(*subject))
    }

    /// The stream holds this state of a subject now.
    pub(super) fn set(&mut self, subject: SubjectId, entry: Entry) {
        let part = &mut self.parts[partition_of(subject, self.partitions) as usize];
        match self.entries.insert(subject.0, entry) {
            Some(before) => part.sum.remove(&before.element),
            None => part.subjects += 1,
        }
        part.sum.add(&entry.element);
    }

    /// A subject's own state stands at another sequence than was known. Returns whether it is its own.
    pub(super) fn repeated(&mut self, subject: SubjectId, sequence: u64, element: &Element) -> bool {
        match self.entries.get_mut(&subject.0).filter(|entry| entry.element == *element) {
            Some(entry) => {
                entry.sequence = entry.sequence.max(sequence);
                true
            }
            None => false,
        }
    }

    /// The brokers lost all messages from a sequence on. Returns whose state may be among them: it has to be published again.
    pub(super) fn lost(&mut self, from: u64) -> Vec<SubjectId> {
        let lost = self.entries.iter_mut().filter(|(_, entry)| entry.sequence >= from);
        let lost = lost.map(|(subject, entry)| {
            entry.stands = false;
            SubjectId(*subject)
        });
        lost.collect()
    }

    /// What the stream was found to hold of a partition, as far as it was read. Returns whose state is missing, or not the one that the
    /// brokers acknowledged: it has to be published again.
    pub(super) fn missing(&mut self, audit: &Audit) -> Vec<SubjectId> {
        let partitions = self.partitions;
        let missing = self.entries.iter_mut().filter(|(subject, entry)| {
            // What came after reading began may not have been read.
            let read =
                partition_of(SubjectId(**subject), partitions) == audit.partition && entry.sequence <= audit.until;
            read && entry.stands && audit.found.get(subject) != Some(&entry.element)
        });
        let missing = missing.map(|(subject, entry)| {
            entry.stands = false;
            SubjectId(*subject)
        });
        missing.collect()
    }

    /// Somebody else's message stands where this subject's should. Returns whether the subject is one of ours: its state has
    /// to be published again then.
    pub(super) fn overwritten(&mut self, subject: SubjectId, sequence: u64) -> bool {
        match self.entries.get_mut(&subject.0) {
            // Once more, where reading on failed after it was found.
            Some(entry) if entry.sequence < sequence || !entry.stands => {
                (entry.sequence, entry.stands) = (sequence, false);
                true
            }
            _ => false,
        }
    }
}
