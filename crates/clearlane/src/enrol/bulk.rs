//! Enrolling those on file: many at once, stopped and resumed at will.

use std::ops::ControlFlow;

use clearlane_store::{Details, Enrolment, NewTemplate};
use jiff::Timestamp;
use rayon::prelude::*;

use super::{Application, EnrolError, Enroller, EnrolmentOutcome, enrolment, outcome, same_face};
use crate::reason::Reason;

/// Applications that are processed together: their pictures on all threads, their subjects in one transaction.
const BATCH: usize = 64;

/// How far a bulk enrolment got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BulkProgress {
    /// Applications that were decided on.
    pub done: u64,
    /// Of these, subjects that were enrolled now.
    pub enrolled: u64,
    /// Of these, those who were enrolled before: a second run skips them.
    pub already: u64,
    /// Of these, those who are in the report.
    pub unfinished: u64,
}

/// What a bulk enrolment came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BulkReport {
    /// The sums.
    pub progress: BulkProgress,
    /// Whether it went to the end, or was stopped by the progress callback.
    pub stopped: bool,
    /// Those who were not enrolled, in the order of the applications.
    pub unfinished: Vec<Unfinished>,
}

/// Somebody who was not enrolled.
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
    Ready(String, Details, Vec<NewTemplate>),
    Stopped(String, BulkStop),
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
        if self.references.register().subject(&key)?.is_some() {
            return Ok(Prepared::Already);
        }
        let application = match read() {
            Ok(application) => application,
            Err(words) => return Ok(Prepared::Stopped(key, BulkStop::Unreadable(words))),
        };
        match self.templates(&application.details, &application.pictures, now) {
            Ok(Ok(templates)) => Ok(Prepared::Ready(key, application.details, templates)),
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
        let _turn = self.turnstile.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.references.refresh()?;
        let threshold = self.duplicate_threshold()?;
        let mut accepted: Vec<Enrolment> = Vec::new();
        let mut stop = |progress: &mut BulkProgress, key: String, stop: BulkStop| {
            progress.unfinished += 1;
            report.unfinished.push(Unfinished { key, stop });
        };
        let mut counts = report.progress;
        for prepared in batch {
            counts.done += 1;
            match prepared? {
                Prepared::Already => counts.already += 1,
                Prepared::Stopped(key, why) => stop(&mut counts, key, why),
                Prepared::Ready(key, details, templates) => {
                    // Those accepted in this batch are not in the gallery yet; their subjects have no number either.
                    let twin = accepted.iter().find(|other| {
                        let pairs = other.templates.iter().flat_map(|one| templates.iter().map(move |two| (one, two)));
                        pairs.into_iter().any(|(one, two)| same_face(&one.template, &two.template, threshold))
                    });
                    match (twin, self.duplicate(&templates)?) {
                        (Some(twin), _) => {
                            let reason = Reason::DuplicateApplication { key: twin.key.clone() };
                            stop(&mut counts, key, BulkStop::Refer(vec![reason]));
                        }
                        (None, Some(reason)) => stop(&mut counts, key, BulkStop::Refer(vec![reason])),
                        (None, None) => accepted.push(enrolment(key, details, templates, now)),
                    }
                }
            }
        }
        let enrolled = self.references.register().enrol_all(&accepted)?;
        for (enrolment, enrolled) in accepted.into_iter().zip(enrolled) {
            match outcome(enrolled) {
                Ok(EnrolmentOutcome::Enrolled { .. }) => counts.enrolled += 1,
                Ok(_) => counts.already += 1,
                Err(error) => stop(&mut counts, enrolment.key, BulkStop::Failed(error.to_string())),
            }
        }
        report.progress = counts;
        self.references.refresh()?;
        Ok(())
    }
}
