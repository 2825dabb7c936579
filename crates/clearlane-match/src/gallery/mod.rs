//! The gallery: templates in memory that are searched while others come and go.
//!
//! A writer appends to the last [`segment`](segment::Segment) or withdraws rows, and then publishes a new version. A
//! [`Snapshot`] is a version: it sees the rows that were enrolled then, whatever happens later. No writer waits for a search,
//! and no search for a writer.

mod compact;
mod file_index;
mod filter;
mod index;
mod memory;
mod rows;
mod segment;
mod shape;
mod snapshot;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use clearlane_template::{ModelId, SubjectId, Template, TemplateId};
use parking_lot::{Mutex, RwLock};

use crate::search::{SearchOptions, SearchOutcome};
use crate::{GalleryError, Kernel};
use index::{Index, Place};

pub use compact::Compaction;
pub use filter::SubjectFilter;
pub use memory::MemoryUse;
pub use rows::Precision;
pub use shape::GalleryBuilder;
pub use snapshot::Snapshot;

pub(crate) use file_index::FileIndex;
pub(crate) use rows::score_slice;
pub(crate) use segment::{Owner, Segment, Stored};
pub(crate) use shape::Shape;
pub(crate) use snapshot::SegmentView;
use snapshot::Version;

/// Bytes that ids, the withdrawal mark and the index take for one template; the index's share is that of a hash table at
/// its usual load.
const BYTES_OF_IDS: usize = 24 + 80;
/// The same of a template whose row is in a file: ids, mark, and its place in the order by subject.
const BYTES_OF_IDS_ON_FILE: usize = 24 + 4;

/// The first segment's rows; each further one has room for as many as there are before it, up to [`MOST_ROWS`].
const FIRST_ROWS: usize = 1 << 12;
/// The most rows of one segment.
pub(crate) const MOST_ROWS: usize = 1 << 21;
/// The most rows of all segments together: search results number rows in 32 bits.
pub(crate) const MOST_ROWS_IN_ALL: u64 = u32::MAX as u64;

/// Templates of one model, for one-to-many search: in memory, or with their rows in a
/// [file](GalleryBuilder::open_file) and only what is added later in memory.
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

    /// A gallery whose first segments' rows are in a file.
    fn of_file(shape: Shape, segments: Vec<Arc<Segment>>, file: FileIndex) -> Self {
        let rows = file.rows();
        let version =
            Version { rows, standing: rows, on_file: segments.len(), segments: segments.into(), ..Version::default() };
        let index = Index::of_file(file, version.on_file as u32);
        Self { index: Mutex::new(index), published: RwLock::new(version), ..Self::with_shape(shape) }
    }

    /// Adds a template. Searches that start after this returned see it.
    pub fn add(&self, subject: SubjectId, id: TemplateId, template: &Template) -> Result<(), GalleryError> {
        self.extend(&[Enrolment { subject, id, template }])
    }

    /// Adds templates, all of them or, on an error, none. Many at once are encoded by all threads of the current rayon pool,
    /// unless the builder was told [otherwise](GalleryBuilder::parallel).
    pub fn extend(&self, enrolments: &[Enrolment<'_>]) -> Result<(), GalleryError> {
        for enrolment in enrolments {
            self.shape.check(enrolment.template)?;
        }
        let owners: Vec<_> = enrolments.iter().map(|e| Owner { subject: e.subject, template: e.id }).collect();
        self.append(&owners, |row| enrolments[row].template.as_slice())
    }

    /// Adds templates that lie one after the other in a matrix, all of them or, on an error, none: for each pair of ids
    /// one row of [`Self::dimension`] values, a unit vector of the gallery's model. All threads of the current rayon pool
    /// take part, unless the builder was told [otherwise](GalleryBuilder::parallel).
    pub fn extend_rows(&self, ids: &[(SubjectId, TemplateId)], values: &[f32]) -> Result<(), GalleryError> {
        self.shape.check_rows(ids.len(), values)?;
        let dimension = self.dimension();
        let owners: Vec<_> = ids.iter().map(|&(subject, template)| Owner { subject, template }).collect();
        self.append(&owners, |row| &values[row * dimension..(row + 1) * dimension])
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

    /// Appends rows for these owners; `vector` gives that of each.
    fn append<'v>(&self, owners: &[Owner], vector: impl Fn(usize) -> &'v [f32]) -> Result<(), GalleryError> {
        let mut index = self.index.lock();
        index.check_new(owners.iter().map(|owner| owner.template))?;
        let mut writer = self.next_version(&index);
        writer.reserve(&mut index, owners.len())?;
        index.try_reserve(owners.len())?;
        writer.append(owners, vector);
        // Until here, whatever fails or unwinds leaves the gallery as it was; from here on, nothing does.
        writer.enter(&mut index, owners);
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
        let (segment, Owner { subject, .. }) = writer.find(place, old)?;
        let owners = [Owner { subject, template: new }];
        writer.append(&owners, |_| template.as_slice());
        // Until here, whatever fails or unwinds leaves the gallery as it was; from here on, nothing does.
        writer.enter(&mut index, &owners);
        index.remove(Owner { subject, template: old });
        segment.withdraw(place.row(), writer.version.number);
        self.publish(writer, 1);
        Ok(())
    }

    /// Withdraws one template; its subject keeps the others. Returns the subject.
    pub fn remove(&self, id: TemplateId) -> Result<SubjectId, GalleryError> {
        let mut index = self.index.lock();
        let place = index.place(id).ok_or(GalleryError::UnknownTemplate { template: id })?;
        let writer = self.next_version(&index);
        let (segment, owner) = writer.find(place, id)?;
        // From here on, nothing fails or unwinds.
        index.remove(owner);
        segment.withdraw(place.row(), writer.version.number);
        self.publish(writer, 1);
        Ok(owner.subject)
    }

    /// Withdraws all templates of a subject, and returns how many there were. No search that starts after this returned has
    /// the subject among its candidates.
    pub fn revoke(&self, subject: SubjectId) -> Result<usize, GalleryError> {
        let mut index = self.index.lock();
        let templates = index.templates(subject);
        if templates.is_empty() {
            return Err(GalleryError::UnknownSubject { subject });
        }
        let writer = self.next_version(&index);
        let rows = templates.iter().map(|&template| {
            let place = index.place(template).ok_or(GalleryError::UnknownTemplate { template })?;
            Ok((writer.find(place, template)?.0, place.row()))
        });
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        // From here on, nothing fails or unwinds.
        for ((segment, row), &template) in rows.iter().zip(&templates) {
            index.remove(Owner { subject, template });
            segment.withdraw(*row, writer.version.number);
        }
        self.publish(writer, rows.len());
        Ok(rows.len())
    }

    /// The gallery as it is now. Costs a few reference counts, whatever the gallery's size.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(Arc::clone(&self.shape), self.published.read().clone())
    }

    /// Searches the gallery as it is now: [`Snapshot::search`].
    pub fn search(&self, probe: &Template, options: &SearchOptions<'_>) -> Result<SearchOutcome, GalleryError> {
        self.snapshot().search(probe, options)
    }

    /// How many templates are enrolled.
    #[must_use]
    pub fn len(&self) -> usize {
        self.published.read().standing
    }

    /// Whether no template is enrolled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many subjects have a template in the gallery.
    #[must_use]
    pub fn subjects(&self) -> usize {
        self.index.lock().subjects()
    }

    /// Whether a template of this id is enrolled.
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

    /// Shows the version, and the rows that it has, to later snapshots. Nothing here can fail.
    fn publish(&self, mut writer: Writer<'_>, withdrawn: usize) {
        writer.version.standing -= withdrawn;
        for (segment, rows) in writer.version.places(0..writer.version.rows) {
            segment.publish(rows.end);
        }
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
        let on_file = index.file.as_ref().map_or(0, FileIndex::rows) as u64;
        let in_memory = rows.saturating_sub(on_file).saturating_mul(shape.bytes_a_template() as u64);
        let needed = in_memory.saturating_add(on_file * shape.bytes_on_file() as u64);
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

    /// The segment of a template's place, and the owner of its row: the template's.
    fn find(&self, place: Place, template: TemplateId) -> Result<(Arc<Segment>, Owner), GalleryError> {
        let segment = self.version.segments.iter().find(|segment| segment.serial == place.serial);
        let found = segment.and_then(|segment| Some((segment, *segment.owners.as_slice().get(place.row())?)));
        match found {
            Some((segment, owner)) if owner.template == template => Ok((Arc::clone(segment), owner)),
            _ => Err(GalleryError::UnknownTemplate { template }),
        }
    }

    /// Writes rows for these owners after the last one of the version; the room is there.
    fn append<'v>(&mut self, owners: &[Owner], vector: impl Fn(usize) -> &'v [f32]) {
        let mut next = 0;
        for (segment, rows) in self.version.places(self.version.rows..self.version.rows + owners.len()) {
            let now = next..next + rows.len();
            segment.write(self.shape, rows.start, &owners[now.clone()], now.clone().map(&vector));
            next = now.end;
        }
        self.version.rows += owners.len();
        self.version.standing += owners.len();
    }

    /// Enters the owners of the last rows in the index, which has room for them.
    fn enter(&self, index: &mut Index, owners: &[Owner]) {
        let mut owners = owners.iter();
        for (segment, rows) in self.version.places(self.version.rows - owners.len()..self.version.rows) {
            for (row, owner) in rows.zip(&mut owners) {
                index.insert(*owner, Place::new(segment.serial, row));
            }
        }
    }
}
