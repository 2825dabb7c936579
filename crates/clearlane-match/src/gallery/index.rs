//! Where each template and each subject is. Only writers look here.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use clearlane_template::{SubjectId, TemplateId};

use super::{FileIndex, Owner};
use crate::GalleryError;

/// A row of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The segment's serial number.
    pub(super) serial: u32,
    row: u32,
}

impl Place {
    pub(super) fn new(serial: u32, row: usize) -> Self {
        Self { serial, row: row as u32 }
    }

    pub(super) fn row(self) -> usize {
        self.row as usize
    }
}

/// The templates of one subject; most have only one.
#[derive(Clone, Debug)]
enum Templates {
    One(TemplateId),
    Several(Vec<TemplateId>),
}

/// The enrolled templates, by id, and by subject: those of the gallery's file, where it has one, and in hash tables all others.
#[derive(Default)]
pub(super) struct Index {
    pub(super) file: Option<FileIndex>,
    places: HashMap<TemplateId, Place>,
    subjects: HashMap<SubjectId, Templates>,
    /// The serial number of the newest segment.
    next_serial: u32,
}

impl Index {
    /// The index of a gallery that has nothing but so many segments of a file.
    pub(super) fn of_file(file: FileIndex, segments: u32) -> Self {
        Self { file: Some(file), next_serial: segments, ..Self::default() }
    }

    /// That none of these ids is in use, and none given twice.
    pub(super) fn check_new(&self, ids: impl IntoIterator<Item = TemplateId>) -> Result<(), GalleryError> {
        let ids = ids.into_iter();
        let mut seen = HashSet::new();
        let several = ids.size_hint().1 != Some(1);
        for template in ids {
            if self.place(template).is_some() || several && !seen.insert(template) {
                return Err(GalleryError::DuplicateTemplate { template });
            }
        }
        Ok(())
    }

    /// Room for `count` further templates, so that inserting them cannot fail.
    pub(super) fn try_reserve(&mut self, count: usize) -> Result<(), GalleryError> {
        let bytes = count.saturating_mul(size_of::<(SubjectId, Templates)>() + size_of::<(TemplateId, Place)>());
        let refused = |_| GalleryError::OutOfMemory { bytes };
        self.places.try_reserve(count).map_err(refused)?;
        self.subjects.try_reserve(count).map_err(refused)
    }

    /// Enters a template that is in memory.
    pub(super) fn insert(&mut self, owner: Owner, place: Place) {
        self.places.insert(owner.template, place);
        match self.subjects.entry(owner.subject) {
            Entry::Occupied(mut templates) => match templates.get_mut() {
                Templates::One(first) => *templates.get_mut() = Templates::Several(vec![*first, owner.template]),
                Templates::Several(all) => all.push(owner.template),
            },
            Entry::Vacant(templates) => {
                templates.insert(Templates::One(owner.template));
                if let Some(file) = &mut self.file {
                    file.alone = file.alone.saturating_sub(usize::from(file.has(owner.subject, None)));
                }
            }
        }
    }

    /// A serial number for a new segment; those of a file count from 0.
    pub(super) fn serial(&mut self) -> u32 {
        self.next_serial += 1;
        self.next_serial
    }

    /// Says that a template's row has moved; nothing where the template has been withdrawn.
    pub(super) fn moved(&mut self, template: TemplateId, place: Place) {
        if let Some(known) = self.places.get_mut(&template) {
            *known = place;
        }
    }

    pub(super) fn place(&self, template: TemplateId) -> Option<Place> {
        let of_file = || self.file.as_ref()?.place(template);
        self.places.get(&template).copied().or_else(of_file)
    }

    /// Forgets a template, whose row is withdrawn next.
    pub(super) fn remove(&mut self, owner: Owner) {
        let in_memory = self.places.remove(&owner.template).is_some();
        if let Some(file) = &mut self.file
            && !in_memory
        {
            file.withdrawn += 1;
            let others = file.has(owner.subject, Some(owner.template));
            let last = !others && !self.subjects.contains_key(&owner.subject);
            file.alone = file.alone.saturating_sub(usize::from(last));
            return;
        }
        let Some(templates) = self.subjects.get_mut(&owner.subject) else { return };
        match templates {
            Templates::One(_) => {
                self.subjects.remove(&owner.subject);
                if let Some(file) = &mut self.file {
                    file.alone += usize::from(file.has(owner.subject, None));
                }
            }
            Templates::Several(all) => {
                all.retain(|template| *template != owner.template);
                if let [last] = all[..] {
                    *templates = Templates::One(last);
                }
            }
        }
    }

    /// The templates of a subject.
    pub(super) fn templates(&self, subject: SubjectId) -> Vec<TemplateId> {
        let mut templates = match self.subjects.get(&subject) {
            None => Vec::new(),
            Some(Templates::One(template)) => vec![*template],
            Some(Templates::Several(all)) => all.clone(),
        };
        templates.extend(self.file.iter().flat_map(|file| file.templates(subject)));
        templates
    }

    pub(super) fn subjects(&self) -> usize {
        self.subjects.len() + self.file.as_ref().map_or(0, |file| file.alone)
    }

    /// Bytes of all tables, from their capacity.
    pub(super) fn bytes(&self) -> usize {
        let file = self.file.as_ref().map_or(0, FileIndex::bytes);
        file + self.places.capacity() * (size_of::<(TemplateId, Place)>() + 1)
            + self.subjects.capacity() * (size_of::<(SubjectId, Templates)>() + 1)
    }
}
