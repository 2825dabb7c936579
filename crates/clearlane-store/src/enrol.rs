//! Enrolling, and what changes of a subject afterwards.

use clearlane_template::{ModelId, SubjectId, TemplateId};
use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::keys::{self, Slot};
use crate::seal::{Place, RegisterKey};
use crate::{Details, Enrolment, NewTemplate, Register, Result, StoreError, Subject, rows};

/// Who was enrolled, and the templates in the order in which they were given.
pub type Enrolled = (SubjectId, Vec<TemplateId>);

impl Register {
    /// Enrols one subject with its templates. All of it is on disk when this returns.
    pub fn enrol(&self, enrolment: &Enrolment) -> Result<Enrolled> {
        self.write(|transaction| self.enrol_in(transaction, enrolment))
    }

    /// Enrols many subjects in one transaction, which costs one wait for the disk. A subject that cannot be enrolled is
    /// an error in its place, and the others are enrolled; an error of the file leaves none of them.
    pub fn enrol_all(&self, enrolments: &[Enrolment]) -> Result<Vec<Result<Enrolled>>> {
        self.write(|transaction| {
            let enrol = |enrolment| whole_or_refused(transaction, || self.enrol_in(transaction, enrolment));
            enrolments.iter().map(enrol).collect()
        })
    }

    /// Adds templates to a subject that is enrolled, such as those of another model or of another picture.
    pub fn add_templates(&self, subject: SubjectId, templates: &[NewTemplate]) -> Result<Vec<TemplateId>> {
        self.write(|transaction| {
            self.enrolled(transaction, subject)?;
            let (_, key) = self.current_key(transaction)?;
            store_templates(transaction, subject, templates, &key)
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
        self.write(|transaction| {
            let add = |(subject, new): &(SubjectId, Vec<NewTemplate>)| {
                whole_or_refused(transaction, || self.add_missing_in(transaction, model, *subject, new))
            };
            templates.iter().map(add).collect()
        })
    }

    fn add_missing_in(
        &self,
        transaction: &Connection,
        model: ModelId,
        subject: SubjectId,
        templates: &[NewTemplate],
    ) -> Result<Vec<TemplateId>> {
        if let Some(other) = templates.iter().map(|new| new.template.model()).find(|other| *other != model) {
            return Err(StoreError::OtherModel { wanted: model, present: vec![other] });
        }
        self.enrolled(transaction, subject)?;
        if models_of(transaction, subject)?.contains(&model) {
            return Ok(Vec::new());
        }
        let (_, key) = self.current_key(transaction)?;
        store_templates(transaction, subject, templates, &key)
    }

    /// The models that a subject has templates of.
    pub fn models_of(&self, subject: SubjectId) -> Result<Vec<ModelId>> {
        self.read(|connection| models_of(connection, subject))
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
        self.write(|transaction| {
            let mut subject = self.enrolled(transaction, id)?;
            let (slot, key) = self.current_key(transaction)?;
            change(&mut subject);
            rows::write_details(transaction, &subject, slot, &key)?;
            transaction.prepare_cached("INSERT INTO change (subject) VALUES (?1)")?.execute([id.0 as i64])?;
            Ok(())
        })
    }

    pub(crate) fn enrol_in(&self, transaction: &Connection, enrolment: &Enrolment) -> Result<Enrolled> {
        enrolment.check()?;
        if let Some(subject) = rows::id_of(transaction, &enrolment.key)? {
            return Err(StoreError::AlreadyEnrolled { key: enrolment.key.clone(), subject });
        }
        let (slot, key) = self.current_key(transaction)?;
        let mut subject = Subject {
            id: SubjectId(0),
            key: enrolment.key.clone(),
            details: enrolment.details.clone(),
            enrolled: enrolment.enrolled,
            revoked: None,
        };
        rows::insert(transaction, &mut subject, slot, &key)?;
        let templates = store_templates(transaction, subject.id, &enrolment.templates, &key)?;
        Ok((subject.id, templates))
    }

    /// The key under which new rows are written, which another process may have changed since the register was opened.
    pub(crate) fn current_key(&self, connection: &Connection) -> Result<(Slot, std::sync::Arc<RegisterKey>)> {
        let slot = keys::current(connection)?;
        Ok((slot, self.keys.get(slot.id)?))
    }

    /// The subject, unless it is not enrolled or revoked.
    pub(crate) fn enrolled(&self, connection: &Connection, id: SubjectId) -> Result<Subject> {
        let subject = rows::by_id(connection, &self.keys, id)?.filter(|subject| subject.revoked.is_none());
        subject.ok_or(StoreError::UnknownSubject { subject: id })
    }
}

/// Does all of `work` or nothing of it, within a transaction that goes on. The inner error is the subject's own; the outer
/// one is the file's.
fn whole_or_refused<T>(transaction: &Connection, work: impl FnOnce() -> Result<T>) -> Result<Result<T>> {
    transaction.execute_batch("SAVEPOINT one")?;
    match work() {
        Err(error) if error.is_of_register() => Err(error),
        Err(error) => {
            transaction.execute_batch("ROLLBACK TO one; RELEASE one")?;
            Ok(Err(error))
        }
        Ok(done) => {
            transaction.execute_batch("RELEASE one")?;
            Ok(Ok(done))
        }
    }
}

fn models_of(connection: &Connection, subject: SubjectId) -> Result<Vec<ModelId>> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM model WHERE EXISTS
         (SELECT 1 FROM template WHERE subject = ?1 AND template.model = model.slot) ORDER BY slot",
    )?;
    let ids = statement.query_map([subject.0 as i64], |row| Ok(ModelId::from_bytes(row.get(0)?)))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

fn store_templates(
    transaction: &Connection,
    subject: SubjectId,
    templates: &[NewTemplate],
    key: &RegisterKey,
) -> Result<Vec<TemplateId>> {
    let slot = keys::current(transaction)?;
    let mut insert = transaction.prepare_cached("INSERT INTO template VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    let mut ids = Vec::with_capacity(templates.len());
    for NewTemplate { template, source } in templates {
        let model = keys::model_or_new(transaction, template.model(), template.dimension())?;
        let id = keys::next_template(transaction)?;
        let place = Place { template: id, subject, model: model.id, dimension: model.dimension };
        let sealed = key.seal_template(place, template)?;
        let source = source.map(|digest| digest.0);
        insert.execute(params![id.0 as i64, subject.0 as i64, model.slot, slot.slot, source, sealed])?;
        ids.push(id);
    }
    Ok(ids)
}
