//! Enrolling, and what changes of a subject afterwards.

use clearlane_template::{ModelId, SubjectId, TemplateId};
use jiff::Timestamp;

use crate::error::Sql as _;
use crate::roster::ModelSlot;
use crate::seal::Place;
use crate::state::State;
use crate::table::{ENCODING, Table, count_ahead};
use crate::tables::{ModelRow, Sealed, TemplateRow};
use crate::tree::{PLACES, Tree};
use crate::{Details, Enrolment, NewTemplate, Position, Register, Result, StoreError, Subject, load, rows};

/// Who was enrolled, and the templates in the order in which they were given.
pub type Enrolled = (SubjectId, Vec<TemplateId>);

/// What came of new subjects, and of those who were there without templates.
pub type EnrolledAll = (Vec<Result<Enrolled>>, Vec<Result<Vec<TemplateId>>>);

impl Register {
    /// Enrols one subject with its templates. All of it is on disk when this returns.
    pub fn enrol(&self, enrolment: &Enrolment) -> Result<Enrolled> {
        self.write(|state| enrol(state, enrolment))
    }

    /// Enrols many subjects in one transaction, which costs one wait for the disk. A subject that cannot be enrolled is
    /// an error in its place, and the others are enrolled; an error of the file leaves none of them.
    pub fn enrol_all(&self, enrolments: &[Enrolment]) -> Result<Vec<Result<Enrolled>>> {
        self.write(|state| enrol_each(state, enrolments))
    }

    /// Enrols new subjects, and gives others who have none yet their templates of `model`, in one transaction, unless templates
    /// came since `position`: then nothing is done, and `None` says so. So nobody is enrolled whose face another process
    /// enrolled after it was looked for. What came of each is as of [`Self::enrol_all`] and [`Self::add_missing_templates`].
    pub fn enrol_since(
        &self,
        position: Position,
        new: &[Enrolment],
        model: ModelId,
        known: &[(SubjectId, Vec<NewTemplate>)],
    ) -> Result<Option<EnrolledAll>> {
        self.write(|state| {
            if !position.holds_templates_of(state) {
                return Ok(None);
            }
            Ok(Some((enrol_each(state, new)?, add_missing_each(state, model, known)?)))
        })
    }

    /// Adds templates to a subject that is enrolled, such as those of another model or of another picture.
    pub fn add_templates(&self, subject: SubjectId, templates: &[NewTemplate]) -> Result<Vec<TemplateId>> {
        self.write(|state| {
            enrolled(state, subject)?;
            store_templates(state, subject, templates)
        })
    }

    /// Gives many subjects their templates of a model that they have none of yet, in one transaction: how a register goes
    /// over to a new model ([`Register::without_template`] says whom it lacks, [`Register::coverage`] how far it got). A
    /// subject that has some already, since another process was faster, gets no more, and an empty list stands in its
    /// place; one that cannot have them is an error in its place, and the others get theirs.
    pub fn add_missing_templates(
        &self,
        model: ModelId,
        templates: &[(SubjectId, Vec<NewTemplate>)],
    ) -> Result<Vec<Result<Vec<TemplateId>>>> {
        self.write(|state| add_missing_each(state, model, templates))
    }

    /// The models that a subject has templates of.
    pub fn models_of(&self, subject: SubjectId) -> Result<Vec<ModelId>> {
        self.read(|state| models_of(state, subject))
    }

    /// Replaces what is known of a subject.
    pub fn update(&self, subject: SubjectId, details: Details) -> Result<()> {
        details.check()?;
        self.change(subject, |known| known.details = details)
    }

    /// Notes that a subject withdrew its consent. The lane refers it from then on; the next [`Self::sweep`] revokes it. A
    /// withdrawal is never refused: one before the consent was given, by a clock that is wrong, counts as of that moment.
    pub fn withdraw_consent(&self, subject: SubjectId, time: Timestamp) -> Result<()> {
        self.change(subject, |known| {
            if let Some(consent) = &mut known.details.consent {
                consent.withdrawn = Some(time.max(consent.given));
            }
        })
    }

    fn change(&self, id: SubjectId, change: impl FnOnce(&mut Subject)) -> Result<()> {
        self.write(|state| {
            let mut subject = enrolled(state, id)?;
            change(&mut subject);
            rows::write(state, &subject)?;
            // What was known of the subject before is in the files as yet.
            state.note_deletion();
            state.note_change(id, None)
        })
    }
}

fn enrol(state: &mut State<'_>, enrolment: &Enrolment) -> Result<Enrolled> {
    enrolment.check()?;
    if let Some(subject) = rows::id_of(state, &enrolment.key)? {
        return Err(StoreError::AlreadyEnrolled { key: enrolment.key.clone(), subject });
    }
    state.root.last_subject = next(state.root.last_subject)?;
    let subject = Subject {
        id: SubjectId(state.root.last_subject as u64),
        key: enrolment.key.clone(),
        details: enrolment.details.clone(),
        enrolled: enrolment.enrolled,
        revoked: None,
    };
    rows::insert(state, &subject)?;
    let templates = store_templates(state, subject.id, &enrolment.templates)?;
    Ok((subject.id, templates))
}

fn enrol_each(state: &mut State<'_>, enrolments: &[Enrolment]) -> Result<Vec<Result<Enrolled>>> {
    enrolments.iter().map(|enrolment| whole_or_refused(state, |state| enrol(state, enrolment))).collect()
}

fn add_missing(
    state: &mut State<'_>,
    model: ModelId,
    subject: SubjectId,
    templates: &[NewTemplate],
) -> Result<Vec<TemplateId>> {
    if let Some(other) = templates.iter().map(|new| new.template.model()).find(|other| *other != model) {
        return Err(StoreError::OtherModel { wanted: model, present: vec![other] });
    }
    enrolled(state, subject)?;
    if models_of(state, subject)?.contains(&model) {
        return Ok(Vec::new());
    }
    store_templates(state, subject, templates)
}

fn add_missing_each(
    state: &mut State<'_>,
    model: ModelId,
    templates: &[(SubjectId, Vec<NewTemplate>)],
) -> Result<Vec<Result<Vec<TemplateId>>>> {
    let add = |(subject, new): &(SubjectId, Vec<NewTemplate>)| {
        whole_or_refused(state, |state| add_missing(state, model, *subject, new))
    };
    templates.iter().map(add).collect()
}

/// The subject, unless it is not enrolled or revoked.
pub(crate) fn enrolled(state: &State<'_>, id: SubjectId) -> Result<Subject> {
    let subject = rows::by_id(state, id)?.filter(|subject| subject.revoked.is_none());
    subject.ok_or(StoreError::UnknownSubject { subject: id })
}

/// Does all of `work` or nothing of it, within a transaction that goes on. The inner error is the subject's own; the outer
/// one is the file's.
pub(crate) fn whole_or_refused<T>(
    state: &mut State<'_>,
    work: impl FnOnce(&mut State<'_>) -> Result<T>,
) -> Result<Result<T>> {
    let savepoint = state.savepoint();
    state.connection.execute_batch("SAVEPOINT one").sql()?;
    match work(state) {
        Err(error) if error.is_of_register() => Err(error),
        Err(error) => {
            state.connection.execute_batch("ROLLBACK TO one; RELEASE one").sql()?;
            state.back_to(savepoint);
            Ok(Err(error))
        }
        Ok(done) => {
            state.connection.execute_batch("RELEASE one").sql()?;
            Ok(Ok(done))
        }
    }
}

/// The models of a subject's templates, each of which is verified.
fn models_of(state: &State<'_>, subject: SubjectId) -> Result<Vec<ModelId>> {
    let templates = load::rows_of(state, subject)?;
    let has = |model: &ModelSlot| templates.iter().any(|template| template.model == model.slot);
    Ok(state.roster.models().filter(has).map(|model| model.id).collect())
}

fn store_templates(state: &mut State<'_>, subject: SubjectId, templates: &[NewTemplate]) -> Result<Vec<TemplateId>> {
    let key = std::sync::Arc::clone(state.key()?);
    let mut ids = Vec::with_capacity(templates.len());
    for NewTemplate { template, source } in templates {
        let model = model_or_new(state, template.model(), template.dimension())?;
        state.root.last_template = next(state.root.last_template)?;
        let id = TemplateId(state.root.last_template as u64);
        let place = Place { template: id, subject, model: model.id, dimension: model.dimension };
        let sealed = Sealed(key.seal_template(place, template)?);
        let (model, key) = (model.slot, state.root.key);
        let row = TemplateRow { id, subject, model, key, source: *source, sealed, encoding: ENCODING };
        row.insert(state.connection)?;
        count_ahead(state.connection, "template", id.0 as i64)?;
        state.set_leaf(Tree::Templates, id.0, row.hash());
        ids.push(id);
    }
    Ok(ids)
}

/// The place of a model, made where it is new.
fn model_or_new(state: &mut State<'_>, id: ModelId, dimension: usize) -> Result<ModelSlot> {
    if let Some(model) = state.roster.models().find(|model| model.id == id) {
        if model.dimension != dimension {
            return Err(StoreError::OtherDimension { model: id, expected: model.dimension, found: dimension });
        }
        return Ok(model);
    }
    let mut roster = (*state.roster).clone();
    let slot = roster.models.last().map_or(1, |newest| newest.slot + 1);
    roster.models.push(ModelRow { slot, id, dimension: dimension as i64, encoding: ENCODING });
    state.write_roster(roster)?;
    Ok(ModelSlot { slot, id, dimension })
}

/// The id after `last`.
fn next(last: i64) -> Result<i64> {
    let full = || StoreError::Invalid { field: "register", reason: format!("it has given out all its {PLACES} ids") };
    Some(last + 1).filter(|next| (*next as u64) < PLACES).ok_or_else(full)
}
