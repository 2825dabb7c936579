//! Enrolling those on file: many at once, stopped and resumed at will.

use std::ops::ControlFlow;
use std::sync::PoisonError;

use clearlane_store::{Details, NewTemplate, Position, StoreError};
use clearlane_template::SubjectId;
use jiff::Timestamp;

use super::batches::{self, BulkProgress, BulkReport, BulkStop, Prepared, Written, written};
use super::portrait::templates;
use super::{Application, EnrolError, Enroller, enrolment, same_face};
use crate::reason::Reason;

/// An application that the rules let pass, but for duplicates.
struct Ready {
    place: Place,
    templates: Vec<NewTemplate>,
}

/// An application's key, and what is to be written for it.
type Keyed = (String, Ready);

/// Whose templates they will be.
enum Place {
    /// A new subject's.
    New(Box<Details>),
    /// Those of one who is in the register without any.
    Known(SubjectId),
}

impl Enroller {
    /// Enrols all `applications`: each yields the key to enrol under, and a reader of the rest, which runs on any thread of
    /// the current rayon pool.
    ///
    /// `progress` is called after each batch, when all that it counts is on disk; it stops the enrolment by
    /// `ControlFlow::Break`. A second run over the same applications goes on where the first stopped, since those who are
    /// enrolled are skipped without reading their pictures.
    ///
    /// An application that fails is in the report, and the others go on; an error of the register ends it all, and what
    /// was counted until then is on disk.
    pub fn enrol_many<R>(
        &self,
        applications: impl IntoIterator<Item = (String, R)>,
        now: Timestamp,
        progress: impl FnMut(&BulkProgress) -> ControlFlow<()>,
    ) -> Result<BulkReport, EnrolError>
    where
        R: FnOnce() -> Result<Application<'static>, String> + Send,
    {
        let prepare = |key: &str, read: R| self.prepare(key, read, now);
        batches::run(applications, prepare, |ready| self.write(&ready, now), progress)
    }

    fn prepare<R>(&self, key: &str, read: R, now: Timestamp) -> Result<Prepared<Ready>, EnrolError>
    where
        R: FnOnce() -> Result<Application<'static>, String>,
    {
        let known = self.references.register().subject(key)?;
        if self.enrolled(known.as_ref())?.is_some() {
            return Ok(Prepared::Already);
        }
        let application = match read() {
            Ok(application) => application,
            Err(words) => return Ok(Prepared::Stopped(BulkStop::Unreadable(words))),
        };
        let details = known.as_ref().map_or(&application.details, |subject| &subject.details);
        match self.chooser.with_consent(details, &application.pictures, now) {
            Ok(Ok((portraits, unused))) => {
                let place = match known {
                    Some(subject) => Place::Known(subject.id),
                    None => Place::New(Box::new(application.details)),
                };
                Ok(Prepared::Ready(Ready { place, templates: templates(portraits) }, unused))
            }
            Ok(Err(reasons)) => Ok(Prepared::refer(reasons)),
            Err(error) => Prepared::failed(error),
        }
    }

    /// Writes those of a batch whose face is nobody else's.
    fn write(&self, ready: &[Keyed], now: Timestamp) -> Result<Vec<Written>, EnrolError> {
        let _guard = self.in_process.lock().unwrap_or_else(PoisonError::into_inner);
        let outcomes = self.settle(|position| {
            let (accepted, mut outcomes) = self.without_duplicates(ready)?;
            let Some(stored) = self.store(position, &accepted, now)? else { return Ok(None) };
            outcomes.extend(stored);
            Ok(Some(outcomes))
        })?;
        self.references.refresh()?;
        Ok(outcomes)
    }

    /// Those whose face is nobody else's, neither in the register nor in this batch; and the others.
    fn without_duplicates<'r>(&self, ready: &'r [Keyed]) -> Result<(Vec<&'r Keyed>, Vec<Written>), EnrolError> {
        let threshold = self.duplicate_threshold(ready.len())?;
        let (mut accepted, mut duplicates): (Vec<&Keyed>, _) = (Vec::new(), Vec::new());
        for one in ready {
            let (key, Ready { templates, .. }) = one;
            // Another process, or an earlier application of this batch, may have enrolled them meanwhile.
            let known = self.references.register().subject(key)?;
            if self.enrolled(known.as_ref())?.is_some() || accepted.iter().any(|(other, _)| other == key) {
                duplicates.push((key.clone(), Ok(0)));
                continue;
            }
            let Some(threshold) = threshold else {
                accepted.push(one);
                continue;
            };
            // Those accepted in this batch are not in the gallery yet; their subjects have no number either.
            let twin = accepted.iter().find(|(_, other)| {
                let pairs = other.templates.iter().flat_map(|left| templates.iter().map(move |right| (left, right)));
                pairs.into_iter().any(|(left, right)| same_face(&left.template, &right.template, threshold))
            });
            let reason = match twin {
                Some((twin, _)) => Some(Reason::DuplicateApplication { key: twin.clone() }),
                None => self.duplicate(templates, threshold)?,
            };
            match reason {
                Some(reason) => duplicates.push((key.clone(), Err(BulkStop::Refer(vec![reason])))),
                None => accepted.push(one),
            }
        }
        Ok((accepted, duplicates))
    }

    /// Writes a batch, unless templates came since `position`.
    fn store(
        &self,
        position: Position,
        accepted: &[&Keyed],
        now: Timestamp,
    ) -> Result<Option<Vec<Written>>, StoreError> {
        if accepted.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let (mut new, mut known, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for (key, Ready { place, templates }) in accepted.iter().copied() {
            match place {
                Place::New(details) => {
                    new.push(enrolment(key.clone(), (**details).clone(), templates.clone(), now));
                }
                Place::Known(subject) => {
                    keys.push(key.clone());
                    known.push((*subject, templates.clone()));
                }
            }
        }
        let register = self.references.register();
        let stored = register.enrol_since(position, &new, self.references.model(), &known)?;
        Ok(stored.map(|(enrolled, added)| {
            let enrolled = enrolled.into_iter().map(|enrolled| enrolled.map(|(_, templates)| templates.len()));
            let added = added.into_iter().map(|added| added.map(|templates| templates.len()));
            let keys = new.into_iter().map(|enrolment| enrolment.key).chain(keys);
            keys.zip(enrolled.chain(added)).map(|(key, stored)| written(key, stored)).collect()
        }))
    }
}
