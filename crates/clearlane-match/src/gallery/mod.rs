//! The gallery: templates in memory that are searched while others come and go.
//!
//! A writer appends to the last [`segment`](segment::Segment) or withdraws rows, and then publishes a new version. A
//! [`Snapshot`] is a version: it sees the rows that stood then, whatever happens later. Nobody waits for a search, and no
//! search waits for a writer.

mod compact;
mod filter;
mod index;
mod memory;
mod rows;
mod segment;
mod shape;
mod snapshot;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use clearlane_template::{ModelId, SubjectId, Template, TemplateId};
use parking_lot::{Mutex, RwLock};
use rayon::prelude::*;

use crate::search::{SearchOptions, SearchOutcome};
use crate::{GalleryError, Kernel};
use index::{Index, Place};

pub use compact::Compaction;
pub use filter::SubjectFilter;
pub use memory::MemoryUse;
pub use rows::Precision;
pub use shape::GalleryBuilder;
pub use snapshot::Snapshot;

pub(crate) use segment::{Owner, Segment};
pub(crate) use shape::Shape;
pub(crate) use snapshot::SegmentView;
use snapshot::Version;

/// Bytes that ids, the withdrawal mark and the index take for one template; the index's share is that of a hash table at
/// its usual load.
const BYTES_OF_IDS: usize = 24 + 80;

/// The first segment's rows; each further one has room for as many as stand before it, up to [`MOST_ROWS`].
const FIRST_ROWS: usize = 1 << 12;
/// The most rows of one segment.
const MOST_ROWS: usize = 1 << 21;
/// The most rows of all segments together: search results number rows in 32 bits.
const MOST_ROWS_IN_ALL: u64 = u32::MAX as u64;
/// How many rows are taken from the caller at once.
const ROWS_AT_ONCE: usize = 1 << 15;

/// Templates of one model, in memory, for one-to-many search.
///
/// Cheap to share behind an `Arc`: every method takes `&self`. Searching never waits for enrolling.
pub struct Gallery {
    shape: Arc<Shape>,
    /// Where templates and subjects are; its lock is the writers' lock.
    index: Mutex<Index>,
    /// What snapshots see; locked for a few instructions only.
    published: RwLock<Version>,
    /// Held by the one compaction that may run.
    compacting: Mutex<()>,
}

/// One template to enrol.
#[derive(Clone, Copy, Debug)]
pub struct Enrolment<'a> {
    /// Whose template it is.
    pub subject: SubjectId,
    /// The template's id, not used before.
    pub id: TemplateId,
    /// The template.
    pub template: &'a Template,
}

impl Gallery {
    /// Settings for a gallery of templates of `model`, of `dimension` values each.
    pub fn builder(model: ModelId, dimension: usize) -> GalleryBuilder {
        GalleryBuilder::new(model, dimension)
    }

    fn with_shape(shape: Shape) -> Self {
        Self {
            shape: Arc::new(shape),
            index: Mutex::default(),
            published: RwLock::default(),
            compacting: Mutex::default(),
        }
    }

    /// Adds a template. Searches that start after this returned see it.
    pub fn add(&self, subject: SubjectId, id: TemplateId, template: &Template) -> Result<(), GalleryError> {
        self.extend(&[Enrolment { subject, id, template }])
    }

    /// Adds templates, all of them or, on an error, none. Many at once are encoded by all threads of the current rayon pool.
    pub fn extend(&self, enrolments: &[Enrolment<'_>]) -> Result<(), GalleryError> {
        for enrolment in enrolments {
            self.shape.check(enrolment.template)?;
        }
        let owners: Vec<_> = enrolments.iter().map(|e| Owner { subject: e.subject, template: e.id }).collect();
        self.append(&owners, |rows| {
            Cow::Owned(enrolments[rows].iter().flat_map(|e| e.template.as_slice()).copied().collect())
        })
    }

    /// Adds templates that stand one after the other in a matrix, all of them or, on an error, none: for each pair of ids
    /// one row of [`Self::dimension`] values, a unit vector of the gallery's model. All threads of the current rayon pool
    /// take part.
    pub fn extend_rows(&self, ids: &[(SubjectId, TemplateId)], values: &[f32]) -> Result<(), GalleryError> {
        let dimension = self.dimension();
        if Some(values.len()) != ids.len().checked_mul(dimension) {
            return Err(GalleryError::Matrix { ids: ids.len(), dimension, values: values.len() });
        }
        values.par_chunks_exact(dimension).enumerate().try_for_each(|(row, values)| {
            let template = Template::from_unit(self.model(), values.to_vec());
            template.map(drop).map_err(|source| GalleryError::Row { row, source })
        })?;
        let owners: Vec<_> = ids.iter().map(|&(subject, template)| Owner { subject, template }).collect();
        self.append(&owners, |rows| Cow::Borrowed(&values[rows.start * dimension..rows.end * dimension]))
    }

    /// Makes room for `count` further templates, so that adding them needs no more memory but for the index, and fills as
    /// few segments as it takes.
    pub fn try_reserve(&self, count: usize) -> Result<(), GalleryError> {
        let mut index = self.index.lock();
        let mut writer = self.next_version(&index);
        writer.reserve(&mut index, count)?;
        index.try_reserve(count)?;
        self.publish(writer, 0);
        Ok(())
    }

    /// Appends rows for these owners; `vectors` gives those of some of them.
    fn append<'v>(
        &self,
        owners: &[Owner],
        vectors: impl Fn(Range<usize>) -> Cow<'v, [f32]>,
    ) -> Result<(), GalleryError> {
        let mut index = self.index.lock();
        index.check_new(owners.iter().map(|owner| owner.template))?;
        let mut writer = self.next_version(&index);
        writer.reserve(&mut index, owners.len())?;
        index.try_reserve(owners.len())?;
        for first in (0..owners.len()).step_by(ROWS_AT_ONCE) {
            let rows = first..(first + ROWS_AT_ONCE).min(owners.len());
            writer.append(&owners[rows.clone()], &vectors(rows), |owner, place| index.insert(owner, place));
        }
        self.publish(writer, 0);
        Ok(())
    }

    /// Puts a template in the place of another of the same subject, in one step: no search sees both, or neither.
    pub fn replace(&self, old: TemplateId, new: TemplateId, template: &Template) -> Result<(), GalleryError> {
        self.shape.check(template)?;
        let mut index = self.index.lock();
        let place = index.place(old).ok_or(GalleryError::UnknownTemplate { template: old })?;
        index.check_new([new])?;
        let mut writer = self.next_version(&index);
        writer.reserve(&mut index, 1)?;
        index.try_reserve(1)?;
        let subject = writer.segment(place.serial).owners.as_slice()[place.row()].subject;
        let owner = Owner { subject, template: new };
        writer.append(&[owner], template.as_slice(), |owner, place| index.insert(owner, place));
        index.remove(Owner { subject, template: old });
        writer.withdraw(place);
        self.publish(writer, 1);
        Ok(())
    }

    /// Withdraws one template; its subject keeps the others. Says whose it was.
    pub fn remove(&self, id: TemplateId) -> Result<SubjectId, GalleryError> {
        let mut index = self.index.lock();
        let place = index.place(id).ok_or(GalleryError::UnknownTemplate { template: id })?;
        let writer = self.next_version(&index);
        let subject = writer.segment(place.serial).owners.as_slice()[place.row()].subject;
        index.remove(Owner { subject, template: id });
        writer.withdraw(place);
        self.publish(writer, 1);
        Ok(subject)
    }

    /// Withdraws all templates of a subject, and says how many there were. No search that starts after this returned has
    /// the subject among its candidates.
    pub fn revoke(&self, subject: SubjectId) -> Result<usize, GalleryError> {
        let mut index = self.index.lock();
        let places = index.remove_subject(subject);
        if places.is_empty() {
            return Err(GalleryError::UnknownSubject { subject });
        }
        let writer = self.next_version(&index);
        for place in &places {
            writer.withdraw(*place);
        }
        self.publish(writer, places.len());
        Ok(places.len())
    }

    /// The gallery as it stands now. Costs a few reference counts, whatever the gallery's size.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(Arc::clone(&self.shape), self.published.read().clone())
    }

    /// Searches the gallery as it stands now: [`Snapshot::search`].
    pub fn search(&self, probe: &Template, options: &SearchOptions<'_>) -> Result<SearchOutcome, GalleryError> {
        self.snapshot().search(probe, options)
    }

    /// How many templates stand in the gallery.
    #[must_use]
    pub fn len(&self) -> usize {
        self.published.read().standing
    }

    /// Whether no template stands in the gallery.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many subjects have a template in the gallery.
    #[must_use]
    pub fn subjects(&self) -> usize {
        self.index.lock().subjects()
    }

    /// Whether a template of this id stands in the gallery.
    #[must_use]
    pub fn contains(&self, id: TemplateId) -> bool {
        self.index.lock().place(id).is_some()
    }

    /// The model that the gallery's templates are of.
    #[must_use]
    pub fn model(&self) -> ModelId {
        self.shape.model
    }

    /// The dimension of the gallery's templates.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.shape.dimension
    }

    /// The kernel that searches run on.
    #[must_use]
    pub fn kernel(&self) -> Kernel {
        self.shape.kernel
    }

    /// The memory in use, by part.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        let index = self.index.lock();
        MemoryUse::of(&self.shape, &self.published.read(), &index)
    }

    /// What the next version starts from. Only the holder of the index's lock asks.
    fn next_version(&self, _locked: &Index) -> Writer<'_> {
        let mut version = self.published.read().clone();
        version.number += 1;
        Writer { shape: &self.shape, version }
    }

    fn publish(&self, mut writer: Writer<'_>, withdrawn: usize) {
        writer.version.standing -= withdrawn;
        *self.published.write() = writer.version;
    }
}

/// A version in the making.
struct Writer<'a> {
    shape: &'a Shape,
    version: Version,
}

impl Writer<'_> {
    /// Makes room for `count` rows in the last segment and, where it is too small, in further ones.
    fn reserve(&mut self, index: &mut Index, count: usize) -> Result<(), GalleryError> {
        let (shape, version) = (self.shape, &mut self.version);
        let rows = (version.rows as u64).saturating_add(count as u64);
        if rows > MOST_ROWS_IN_ALL {
            return Err(GalleryError::TooManyTemplates { limit: MOST_ROWS_IN_ALL });
        }
        let needed = rows.saturating_mul(shape.bytes_a_template() as u64);
        if needed > shape.memory_limit {
            return Err(GalleryError::MemoryLimit { needed, limit: shape.memory_limit });
        }
        let room: usize = version.segments.iter().map(|segment| segment.limit()).sum();
        let mut missing = count.saturating_sub(room - version.rows);
        if missing == 0 {
            return Ok(());
        }
        let mut segments = version.segments.to_vec();
        // A caller that brings many at once knows how many; one that adds singly gets room in growing steps.
        let least = if count == 1 { version.rows } else { 0 };
        while missing > 0 {
            let room = least.max(missing).clamp(FIRST_ROWS, MOST_ROWS);
            segments.push(Arc::new(Segment::with_capacity(shape, index.serial(), room)?));
            missing = missing.saturating_sub(room);
        }
        version.segments = segments.into();
        Ok(())
    }

    fn segment(&self, serial: u32) -> &Segment {
        // A place names a segment of the version that the index belongs to.
        let found = self.version.segments.iter().find(|segment| segment.serial == serial);
        found.unwrap_or(&self.version.segments[0])
    }

    /// Appends rows into the first segments with room, and tells where each came to stand. The room is there.
    fn append(&mut self, mut owners: &[Owner], mut vectors: &[f32], mut placed: impl FnMut(Owner, Place)) {
        let segments = &self.version.segments;
        self.version.rows += owners.len();
        self.version.standing += owners.len();
        let mut number = segments.iter().rposition(|segment| segment.written() > 0).unwrap_or(0);
        while !owners.is_empty() {
            let segment = &segments[number];
            let first = segment.written();
            let count = segment.free().min(owners.len());
            let (now, later) = owners.split_at(count);
            let (vectors_now, vectors_later) = vectors.split_at(count * self.shape.dimension);
            segment.extend(self.shape, now, vectors_now);
            for (row, owner) in (first..).zip(now) {
                placed(*owner, Place::new(segment.serial, row));
            }
            (owners, vectors) = (later, vectors_later);
            number += 1;
        }
    }

    fn withdraw(&self, place: Place) {
        self.segment(place.serial).withdraw(place.row(), self.version.number);
    }
}
