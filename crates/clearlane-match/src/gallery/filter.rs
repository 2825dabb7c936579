//! Restricting a search to some subjects.

use clearlane_template::SubjectId;
use roaring::RoaringTreemap;

/// The subjects that a search may find: those of a port, a category, a list. A compressed bitmap over subject ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubjectFilter(RoaringTreemap);

impl SubjectFilter {
    /// A filter that lets no subject through.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a subject through.
    pub fn insert(&mut self, subject: SubjectId) {
        self.0.insert(subject.0);
    }

    /// Lets a subject through no longer.
    pub fn remove(&mut self, subject: SubjectId) {
        self.0.remove(subject.0);
    }

    /// Whether the filter lets a subject through.
    #[must_use]
    pub fn contains(&self, subject: SubjectId) -> bool {
        self.0.contains(subject.0)
    }

    /// How many subjects the filter lets through.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether the filter lets no subject through.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<SubjectId> for SubjectFilter {
    fn from_iter<I: IntoIterator<Item = SubjectId>>(subjects: I) -> Self {
        Self(subjects.into_iter().map(|subject| subject.0).collect())
    }
}

impl Extend<SubjectId> for SubjectFilter {
    fn extend<I: IntoIterator<Item = SubjectId>>(&mut self, subjects: I) {
        self.0.extend(subjects.into_iter().map(|subject| subject.0));
    }
}
