//! Enrolling those on file: many at once, stopped and resumed at will.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::PoisonError;

use clearlane_store::{Details, NewTemplate, Position, StoreError};
use clearlane_template::SubjectId;
use jiff::Timestamp;
use rayon::prelude::*;

use super::{Application, BATCH, EnrolError, Enroller, Portrait, enrolled, enrolment, same_face};
use crate::reason::Reason;

/// How far a bulk enrolment, or a re-embedding, got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BulkProgress {
    /// Applications that were decided on.
    pub done: u64,
    /// Of these, subjects that got templates now.
    pub enrolled: u64,
    /// The templates of these.
    pub templates: u64,
    /// Of these, those who had templates before: a second run skips them.
    pub already: u64,
    /// Of these, those who are in the report.
    pub unfinished: u64,
}

/// What a bulk enrolment, or a re-embedding, came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BulkReport {
    /// The sums.
    pub progress: BulkProgress,
    /// Whether it went to the end, or was stopped by the progress callback.
    pub stopped: bool,
    /// Those who got no templates: referred or failed, batch by batch.
    pub unfinished: Vec<Unfinished>,
}

/// Somebody who got no templates.
#[derive(Clone, Debug, PartialEq)]
pub struct Unfinished {
    /// The application's key.
    pub key: String,
    /// Why.
    pub stop: BulkStop,
}

/// Why one application of many did not end in the register.
#[derive(Clone, Debug, PartialEq)]
pub enum BulkStop {
    /// An officer has to look at it.
    Refer(Vec<Reason>),
    /// Its pictures could not be read; the reader's own words.
    Unreadable(String),
    /// It is not fit for the register, or a model failed on it.
    Failed(String),
}

/// What became of an application's pictures.
enum Prepared {
    Already,
    Ready(Ready),
    Stopped(String, BulkStop),
}

/// An application that the rules let pass, but for duplicates.
struct Ready {
    key: String,
    place: Place,
    templates: Vec<NewTemplate>,
}

/// An application's key, and how many templates were written for it.
type Written = (String, Result<usize, StoreError>);

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
        mut progress: impl FnMut(&BulkProgress) -> ControlFlow<()>,
    ) -> Result<BulkReport, EnrolError>
    where
        R: FnOnce() -> Result<Application<'static>, String> + Send,
    {
        let mut report = BulkReport::default();
        let mut applications = applications.into_iter();
        loop {
            let batch: Vec<_> = applications.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return Ok(report);
            }
            let prepared: Vec<_> = batch.into_par_iter().map(|(key, read)| self.prepare(key, read, now)).collect();
            self.enrol_batch(prepared, now, &mut report)?;
            if progress(&report.progress).is_break() {
                report.stopped = true;
                return Ok(report);
            }
        }
    }

    fn prepare<R>(&self, key: String, read: R, now: Timestamp) -> Result<Prepared, EnrolError>
    where
        R: FnOnce() -> Result<Application<'static>, String>,
    {
        let register = self.references.register();
        let known = register.subject(&key)?;
        if enrolled(register, known.as_ref())?.is_some() {
            return Ok(Prepared::Already);
        }
        let application = match read() {
            Ok(application) => application,
            Err(words) => return Ok(Prepared::Stopped(key, BulkStop::Unreadable(words))),
        };
        let details = known.as_ref().map_or(&application.details, |subject| &subject.details);
        match self.chooser.portraits(details, &application.pictures, now) {
            Ok(Ok(portraits)) => {
                let templates = portraits.into_iter().map(Portrait::into_template).collect();
                let place = match known {
                    Some(subject) => Place::Known(subject.id),
                    None => Place::New(Box::new(application.details)),
                };
                Ok(Prepared::Ready(Ready { key, place, templates }))
            }
            Ok(Err(reasons)) => Ok(Prepared::Stopped(key, BulkStop::Refer(reasons))),
            Err(error @ EnrolError::Extract(_)) => Ok(Prepared::Stopped(key, BulkStop::Failed(error.to_string()))),
            Err(error) => Err(error),
        }
    }

    fn enrol_batch(
        &self,
        batch: Vec<Result<Prepared, EnrolError>>,
        now: Timestamp,
        report: &mut BulkReport,
    ) -> Result<(), EnrolError> {
        let _guard = self.in_process.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut counts, mut unfinished, mut ready) = (report.progress, Vec::new(), Vec::new());
        let mut order = HashMap::new();
        for (at, prepared) in batch.into_iter().enumerate() {
            counts.done += 1;
            match prepared? {
                Prepared::Already => counts.already += 1,
                Prepared::Stopped(key, stop) => {
                    order.insert(key.clone(), at);
                    unfinished.push(Unfinished { key, stop });
                }
                Prepared::Ready(one) => {
                    order.insert(one.key.clone(), at);
                    ready.push(one);
                }
            }
        }
        let (stored, duplicates) = self.settle(|position| {
            let (accepted, duplicates) = self.without_duplicates(&ready)?;
            Ok(self.store(position, &accepted, now)?.map(|stored| (stored, duplicates)))
        })?;
        unfinished.extend(duplicates);
        for (key, stored) in stored {
            match stored {
                Ok(0) | Err(StoreError::AlreadyEnrolled { .. }) => counts.already += 1,
                Ok(templates) => {
                    counts.enrolled += 1;
                    counts.templates += templates as u64;
                }
                Err(error) => unfinished.push(Unfinished { key, stop: BulkStop::Failed(error.to_string()) }),
            }
        }
        // As they were given, whatever each was stopped by.
        unfinished.sort_by_key(|one| order.get(&one.key));
        counts.unfinished += unfinished.len() as u64;
        report.progress = counts;
        report.unfinished.extend(unfinished);
        self.references.refresh()?;
        Ok(())
    }

    /// Those whose face is nobody else's, neither in the register nor in this batch; and the others.
    fn without_duplicates<'r>(&self, ready: &'r [Ready]) -> Result<(Vec<&'r Ready>, Vec<Unfinished>), EnrolError> {
        let threshold = self.duplicate_threshold()?;
        let (mut accepted, mut duplicates): (Vec<&Ready>, _) = (Vec::new(), Vec::new());
        for one in ready {
            // Those accepted in this batch are not in the gallery yet; their subjects have no number either.
            let twin = accepted.iter().find(|other| {
                let pairs =
                    other.templates.iter().flat_map(|left| one.templates.iter().map(move |right| (left, right)));
                pairs.into_iter().any(|(left, right)| same_face(&left.template, &right.template, threshold))
            });
            let reason = match twin {
                Some(twin) => Some(Reason::DuplicateApplication { key: twin.key.clone() }),
                None => self.duplicate(&one.templates)?,
            };
            match reason {
                Some(reason) => {
                    let stop = BulkStop::Refer(vec![reason]);
                    duplicates.push(Unfinished { key: one.key.clone(), stop });
                }
                None => accepted.push(one),
            }
        }
        Ok((accepted, duplicates))
    }

    /// Writes a batch, unless templates came since `position`.
    fn store(
        &self,
        position: Position,
        accepted: &[&Ready],
        now: Timestamp,
    ) -> Result<Option<Vec<Written>>, StoreError> {
        if accepted.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let (mut new, mut known, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for Ready { key, place, templates } in accepted.iter().copied() {
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
            let new_keys = new.into_iter().map(|enrolment| enrolment.key);
            new_keys.zip(enrolled).chain(keys.into_iter().zip(added)).collect()
        }))
    }
}
