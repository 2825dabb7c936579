//! Many subjects, batch by batch: their pictures on all threads, then all of the batch in one transaction.

use std::collections::HashMap;
use std::ops::ControlFlow;

use clearlane_store::StoreError;
use rayon::prelude::*;

use super::EnrolError;
use super::portrait::Unused;
use crate::reason::Reason;

/// Subjects that are processed together.
const BATCH: usize = 64;

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
    /// Pictures of which no template was made, though others of the same subject were used.
    pub unused: Vec<UnusedPicture>,
}

/// Somebody who got no templates.
#[derive(Clone, Debug, PartialEq)]
pub struct Unfinished {
    /// The application's key.
    pub key: String,
    /// Why.
    pub stop: BulkStop,
}

/// A picture that could not be used, of a subject that got templates of others.
#[derive(Clone, Debug, PartialEq)]
pub struct UnusedPicture {
    /// The application's key.
    pub key: String,
    /// The picture's place in the application, from 0.
    pub picture: usize,
    /// Why.
    pub reasons: Vec<Reason>,
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

impl BulkStop {
    /// A model that failed on a picture.
    pub(super) fn of(error: &EnrolError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What became of one subject's pictures.
pub(super) enum Prepared<R> {
    Already,
    /// What is to be written, and the pictures that it is not made of.
    Ready(R, Vec<Unused>),
    Stopped(BulkStop),
}

impl<R> Prepared<R> {
    pub(super) fn refer(reasons: Vec<Reason>) -> Self {
        Self::Stopped(BulkStop::Refer(reasons))
    }

    /// A model that failed on a picture concerns this subject alone; any other error ends the job.
    pub(super) fn failed(error: EnrolError) -> Result<Self, EnrolError> {
        match error {
            EnrolError::Extract(_) => Ok(Self::Stopped(BulkStop::of(&error))),
            error => Err(error),
        }
    }
}

/// What writing came to for one subject of a batch: the templates that it got now, or why it got none.
pub(super) type Written = (String, Result<usize, BulkStop>);

/// Templates written, or why there are none. One who has some already, by a faster process, got none now.
pub(super) fn written(key: String, stored: Result<usize, StoreError>) -> Written {
    let outcome = match stored {
        Err(StoreError::AlreadyEnrolled { .. }) => Ok(0),
        stored => stored.map_err(|error| BulkStop::Failed(error.to_string())),
    };
    (key, outcome)
}

/// Prepares each of `subjects` on any thread of the current rayon pool, and writes batch after batch. `progress` is called
/// when all that it counts is on disk, and stops by `ControlFlow::Break`.
pub(super) fn run<S: Send, R: Send>(
    subjects: impl IntoIterator<Item = (String, S)>,
    prepare: impl Fn(&str, S) -> Result<Prepared<R>, EnrolError> + Sync,
    mut write: impl FnMut(Vec<(String, R)>) -> Result<Vec<Written>, EnrolError>,
    mut progress: impl FnMut(&BulkProgress) -> ControlFlow<()>,
) -> Result<BulkReport, EnrolError> {
    let mut report = BulkReport::default();
    let mut subjects = subjects.into_iter();
    loop {
        let batch: Vec<_> = subjects.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(report);
        }
        let prepared: Vec<_> = batch
            .into_par_iter()
            .map(|(key, subject)| {
                let prepared = prepare(&key, subject);
                (key, prepared)
            })
            .collect();
        one(prepared, &mut write, &mut report)?;
        if progress(&report.progress).is_break() {
            report.stopped = true;
            return Ok(report);
        }
    }
}

/// One batch: an error leaves the report as it was before.
pub(super) fn one<R>(
    batch: Vec<(String, Result<Prepared<R>, EnrolError>)>,
    write: &mut impl FnMut(Vec<(String, R)>) -> Result<Vec<Written>, EnrolError>,
    report: &mut BulkReport,
) -> Result<(), EnrolError> {
    let (mut counts, mut unfinished, mut unused, mut ready) = (report.progress, Vec::new(), Vec::new(), Vec::new());
    let mut order = HashMap::new();
    for (at, (key, prepared)) in batch.into_iter().enumerate() {
        counts.done += 1;
        order.insert(key.clone(), at);
        match prepared? {
            Prepared::Already => counts.already += 1,
            Prepared::Stopped(stop) => unfinished.push(Unfinished { key, stop }),
            Prepared::Ready(one, without) => {
                let named = without.into_iter().map(|Unused { picture, reasons }| UnusedPicture {
                    key: key.clone(),
                    picture,
                    reasons,
                });
                unused.extend(named);
                ready.push((key, one));
            }
        }
    }
    for (key, outcome) in if ready.is_empty() { Vec::new() } else { write(ready)? } {
        match outcome {
            Ok(0) => counts.already += 1,
            Ok(templates) => {
                counts.enrolled += 1;
                counts.templates += templates as u64;
            }
            Err(stop) => unfinished.push(Unfinished { key, stop }),
        }
    }
    // As they were given, whatever each was stopped by.
    unfinished.sort_by_key(|one| order.get(&one.key).copied());
    unused.retain(|one| unfinished.iter().all(|stopped| stopped.key != one.key));
    counts.unfinished += unfinished.len() as u64;
    report.progress = counts;
    report.unfinished.extend(unfinished);
    report.unused.extend(unused);
    Ok(())
}
