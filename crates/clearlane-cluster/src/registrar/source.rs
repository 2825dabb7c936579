//! What the register holds, as states: all of it once, then what changed. Blocking.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use clearlane_store::{Position, Register, StoreError, StoredTemplate, TemplateProtection};
use clearlane_template::{SubjectId, Template, TemplateId};

use super::book::Book;
use crate::ClusterError;
use crate::gallery::GalleryConfig;
use crate::keys::Keys;
use crate::state::{self, SealedState};

/// A register, and how far it was read.
pub(super) struct Source {
    register: Arc<Register>,
    config: GalleryConfig,
    keys: Arc<Keys>,
    position: Position,
    owners: HashMap<TemplateId, SubjectId>,
}

type Templates = Vec<(TemplateId, Template)>;

impl Source {
    pub(super) fn new(register: Arc<Register>, config: GalleryConfig, keys: Arc<Keys>) -> Self {
        Self { register, config, keys, position: Position::default(), owners: HashMap::new() }
    }

    /// Reads all of the register, and says which subjects stand in the stream otherwise, those who are gone first.
    pub(super) fn differences(&mut self, book: &Book) -> Result<Vec<SubjectId>, ClusterError> {
        let mut all: HashMap<SubjectId, Vec<StoredTemplate>> = HashMap::new();
        let mut sink = |batch: Vec<StoredTemplate>, _| {
            for template in batch {
                all.entry(template.subject).or_default().push(template);
            }
        };
        // What comes while this reads is found as a change afterwards.
        let before = self.register.position()?;
        self.position = match self.register.load(self.config.model, &mut sink) {
            Ok(position) => position,
            // No template of this model has come yet.
            Err(StoreError::OtherModel { .. }) => before,
            Err(error) => return Err(error.into()),
        };
        let protection = self.protection()?;
        self.owners = all.values().flatten().map(|template| (template.id, template.subject)).collect();
        let mut gone: BTreeSet<SubjectId> = book.enrolled().collect();
        let mut other = Vec::new();
        for subject in self.register.subjects() {
            let subject = subject?;
            gone.remove(&subject.id);
            let templates = plain(protection.as_deref(), all.remove(&subject.id).unwrap_or_default())?;
            let element = match state::element_of(&self.keys, subject.id, Some(&subject.details), &templates) {
                // It stands there as gone.
                Err(ClusterError::TooLarge { .. }) => state::element_of(&self.keys, subject.id, None, &[])?,
                element => element?,
            };
            if book.get(subject.id).is_none_or(|entry| !entry.stands || entry.element != element) {
                other.push(subject.id);
            }
        }
        Ok(gone.into_iter().chain(other).collect())
    }

    /// Which subjects changed since this was asked last, by whichever process. `None`: all have to be compared, since the
    /// register has a new key.
    pub(super) fn changed(&mut self) -> Result<Option<BTreeSet<SubjectId>>, ClusterError> {
        if self.register.position()? == self.position {
            return Ok(Some(BTreeSet::new()));
        }
        let changes = match self.register.changes(self.position, self.config.model) {
            Ok(changes) => changes,
            // Templates came, and the register has none of this model: all of them may have gone.
            Err(StoreError::OtherModel { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        self.position = changes.position;
        if changes.reload {
            return Ok(None);
        }
        let mut changed: BTreeSet<SubjectId> = changes.subjects.into_iter().collect();
        for template in changes.added {
            self.owners.insert(template.id, template.subject);
            changed.insert(template.subject);
        }
        changed.extend(changes.removed.iter().filter_map(|template| self.owners.remove(template)));
        Ok(Some(changed))
    }

    /// The present states of subjects, sealed. Subjects whose state stands in the stream already are left out.
    pub(super) fn states(
        &self,
        subjects: impl IntoIterator<Item = SubjectId>,
        book: &Book,
    ) -> Result<Vec<SealedState>, ClusterError> {
        let protection = self.protection()?;
        let mut states = Vec::new();
        for id in subjects {
            let subject = self.register.subject_by_id(id)?.filter(|subject| subject.revoked.is_none());
            let known = book.get(id);
            let templates = match &subject {
                Some(_) => self.templates(protection.as_deref(), id)?,
                None => Vec::new(),
            };
            let details = subject.as_ref().map(|subject| &subject.details);
            let state = match state::seal(&self.keys, &self.config, id, details, &templates) {
                Err(error @ ClusterError::TooLarge { .. }) => {
                    tracing::error!(subject = id.0, %error, "a subject cannot be published, and is not found");
                    state::seal(&self.keys, &self.config, id, None, &[])?
                }
                state => state?,
            };
            if known.is_none_or(|known| !known.stands || known.element != state.element) {
                states.push(state);
            }
        }
        Ok(states)
    }

    fn templates(&self, protection: Option<&TemplateProtection>, id: SubjectId) -> Result<Templates, ClusterError> {
        match self.register.templates(id, self.config.model) {
            Ok(templates) => plain(protection, templates),
            Err(StoreError::OtherModel { .. }) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// The protection of the register's templates, where it has any of the model.
    fn protection(&self) -> Result<Option<Arc<TemplateProtection>>, ClusterError> {
        match self.register.protection(self.config.model) {
            Ok(protection) if protection.dimension() != self.config.dimension as usize => {
                Err(ClusterError::OtherDimension {
                    expected: self.config.dimension as usize,
                    found: protection.dimension(),
                })
            }
            Ok(protection) => Ok(Some(protection)),
            Err(StoreError::OtherModel { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Templates as their model made them, in the order of their ids: probes come from lanes that have not the register's key.
fn plain(protection: Option<&TemplateProtection>, stored: Vec<StoredTemplate>) -> Result<Templates, ClusterError> {
    let Some(protection) = protection else { return Ok(Vec::new()) };
    let mut templates = stored
        .into_iter()
        .map(|stored| Ok((stored.id, protection.undo(&stored.template)?)))
        .collect::<Result<Templates, ClusterError>>()?;
    templates.sort_unstable_by_key(|(id, _)| *id);
    Ok(templates)
}
