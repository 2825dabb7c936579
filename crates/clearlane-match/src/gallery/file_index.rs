//! Where the templates and subjects of a file are: by binary search, in four bytes a row where hash tables take eighty.

use std::sync::Arc;

use clearlane_template::{SubjectId, TemplateId};

use super::index::Place;
use super::{MOST_ROWS, Owner, Segment};

/// The rows of a gallery's file, by template and by subject.
pub(crate) struct FileIndex {
    /// All but the last have [`MOST_ROWS`] rows; template ids ascend over all of them.
    segments: Vec<Arc<Segment>>,
    /// The rows in the order of their subjects.
    order: Vec<u32>,
    /// Subjects with a row that stands, and whose templates are all in the file.
    pub(super) alone: usize,
    /// Rows that were withdrawn.
    pub(super) withdrawn: usize,
}

impl FileIndex {
    pub(crate) fn new(segments: Vec<Arc<Segment>>, order: Vec<u32>, subjects: usize) -> Self {
        Self { segments, order, alone: subjects, withdrawn: 0 }
    }

    /// Rows that there are, withdrawn ones included.
    pub(super) fn rows(&self) -> usize {
        self.order.len()
    }

    fn segment(&self, row: usize) -> (&Segment, usize) {
        (&self.segments[row / MOST_ROWS], row % MOST_ROWS)
    }

    fn owner(&self, row: usize) -> Owner {
        let (segment, row) = self.segment(row);
        segment.owners.as_slice()[row]
    }

    fn stands(&self, row: usize) -> bool {
        let (segment, row) = self.segment(row);
        segment.withdrawn_in(row) == 0
    }

    /// The place of a template's row, unless it was withdrawn.
    pub(super) fn place(&self, template: TemplateId) -> Option<Place> {
        let number = self
            .segments
            .partition_point(|segment| segment.owners.as_slice().last().is_some_and(|last| last.template < template));
        let segment = self.segments.get(number)?;
        let row = segment.owners.as_slice().binary_search_by_key(&template, |owner| owner.template).ok()?;
        (segment.withdrawn_in(row) == 0).then(|| Place::new(segment.serial, row))
    }

    /// A subject's templates that stand.
    pub(super) fn templates(&self, subject: SubjectId) -> impl Iterator<Item = TemplateId> {
        let first = self.order.partition_point(|row| self.owner(*row as usize).subject < subject);
        let rows = self.order[first..].iter().map(|row| *row as usize);
        let rows = rows.take_while(move |row| self.owner(*row).subject == subject).filter(|row| self.stands(*row));
        rows.map(|row| self.owner(row).template)
    }

    /// Whether a subject has a template that stands, other than this one.
    pub(super) fn has(&self, subject: SubjectId, but: Option<TemplateId>) -> bool {
        self.templates(subject).any(|template| Some(template) != but)
    }

    pub(super) fn bytes(&self) -> usize {
        self.order.capacity() * size_of::<u32>()
    }
}
