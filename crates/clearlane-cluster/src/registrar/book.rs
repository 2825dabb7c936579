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

    /// Whose state is not in what was read of a partition, is another one there, or is there and should not be: it has to be published
    /// again.
    pub(super) fn missing(&self, audit: &Audit) -> Vec<SubjectId> {
        let of_it = |subject: u64| partition_of(SubjectId(subject), self.partitions) == audit.partition;
        let missing = self.entries.iter().filter(|(subject, entry)| {
            // What came after the last message may not have been there to be read.
            let read = entry.stands && entry.sequence <= audit.until && of_it(**subject);
            read && audit.found.get(subject) != Some(&entry.element)
        });
        let unknown = audit.found.keys().filter(|subject| !self.entries.contains_key(subject));
        missing.map(|(subject, _)| *subject).chain(unknown.copied()).map(SubjectId).collect()
    }

    /// These states do not stand in the stream.
    pub(super) fn miss(&mut self, subjects: &[SubjectId]) {
        for subject in subjects {
            if let Some(entry) = self.entries.get_mut(&subject.0) {
                entry.stands = false;
            }
        }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;

    use clearlane_template::ModelId;

    use super::*;

    const PARTITIONS: u32 = 3;

    fn book(subjects: std::ops::Range<u64>) -> Book {
        let model = ModelId::digest([b"the tests' model".as_slice()]);
        let config = GalleryConfig { register: [1; 16], epoch: [2; 16], partitions: PARTITIONS, model, dimension: 4 };
        let mut book = Book::new(&config);
        for subject in subjects {
            let entry = Entry { sequence: subject, element: [subject as u8; 32], enrolled: true, stands: true };
            book.set(SubjectId(subject), entry);
        }
        book
    }

    /// What a sound stream gives of a partition.
    fn audit(book: &Book, partition: u32, until: u64) -> Audit {
        let of_it = |subject: &u64| partition_of(SubjectId(*subject), PARTITIONS) == partition;
        let found = book.entries.iter().filter(|(subject, _)| of_it(subject));
        let found: HashMap<_, _> = found.map(|(subject, entry)| (*subject, entry.element)).collect();
        Audit { partition, until, found }
    }

    #[test]
    fn what_a_partition_lacks_or_has_otherwise_or_too_much_is_named_and_nothing_else() {
        let mut book = book(1..100);
        for partition in 0..PARTITIONS {
            let sound = audit(&book, partition, 99);
            assert_eq!(book.missing(&sound), []);
            let mut subjects: Vec<_> = sound.found.keys().copied().collect();
            subjects.sort_unstable();
            let [gone, older, late, known] = subjects[subjects.len() - 4..] else { unreachable!() };
            let unknown =
                (1000..2000).find(|subject| partition_of(SubjectId(*subject), PARTITIONS) == partition).unwrap();
            let mut found = audit(&book, partition, late - 1);
            found.found.remove(&gone);
            found.found.insert(older, [255; 32]);
            // Not read that far.
            found.found.remove(&late);
            found.found.remove(&known);
            found.found.insert(unknown, [7; 32]);
            let mut missing = book.missing(&found);
            missing.sort_unstable();
            assert_eq!(missing, [gone, older, unknown].map(SubjectId));
            // It is said once: what was missed waits to be published.
            book.miss(&missing);
            assert_eq!(book.missing(&found), [SubjectId(unknown)]);
        }
    }
}
