//! Enrolment by the rules of a policy.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use clearlane::{Application, Picture, Port};
use clearlane_embed::{DecodeLimits, Frame};
use clearlane_store::ImageDigest;
use jiff::Timestamp;

use super::plan::Candidate;
use super::{Failed, Report};
use crate::failure::{Exit, Failure, Result};
use crate::job::Job;
use crate::output::Output;
use crate::pictures;

pub(super) fn run(port: &Port, candidates: &[Candidate], output: &Output) -> Result<Report> {
    let enroller = port.enroller()?;
    let (job, unreadable) = (Job::begin(candidates.len(), "enrolling", output)?, Unreadable::default());
    let applications = candidates.iter().map(|candidate| {
        let unreadable = &unreadable;
        let read = move || {
            let pictures = unreadable.read(candidate)?;
            Ok(Application { key: candidate.key.clone(), details: candidate.details.clone(), pictures })
        };
        (candidate.key.clone(), read)
    });
    let report = enroller.enrol_many(applications, Timestamp::now(), |reached| job.reached(reached.done))?;
    let (seconds, interrupted) = job.end(report.progress.done);
    Ok(Report {
        subjects: candidates.len(),
        enrolled: report.progress.enrolled as usize,
        templates: report.progress.templates as usize,
        passed_over: report.progress.already as usize,
        failed: unreadable.with(report.unfinished.into_iter().map(Failed::from)),
        interrupted,
        seconds,
    })
}

/// Pictures that could not be read, noted while the subject's others are used.
#[derive(Default)]
pub(in crate::commands) struct Unreadable(Mutex<Vec<Failed>>);

impl Unreadable {
    /// The pictures of a candidate that can be read; an error where there is none.
    pub(in crate::commands) fn read(&self, candidate: &Candidate) -> Result<Vec<Picture<'static>>, String> {
        let mut read = Vec::new();
        let mut failed = Vec::new();
        for path in &candidate.pictures {
            match picture(path) {
                Ok(picture) => read.push(picture),
                Err(failure) => failed.push(Failed::picture(&candidate.key, path, failure.message)),
            }
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(failed);
        match read.is_empty() {
            true if candidate.pictures.is_empty() => Err("the subject has no picture".to_owned()),
            true => Err("none of the subject's pictures can be read".to_owned()),
            false => Ok(read),
        }
    }

    /// All of them, and others after them.
    pub(in crate::commands) fn with(self, others: impl Iterator<Item = Failed>) -> Vec<Failed> {
        let mut failed = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.sort_by(|one, other| (&one.subject, &one.image).cmp(&(&other.subject, &other.image)));
        failed.extend(others);
        failed
    }
}

fn picture(path: &Path) -> Result<Picture<'static>> {
    let bytes = pictures::read(path)?;
    let frame =
        Frame::decode(&bytes, &DecodeLimits::default()).map_err(|error| Failure::at(Exit::Input, path, &error))?;
    Ok(Picture { frame, source: Some(ImageDigest::of(&bytes)) })
}
