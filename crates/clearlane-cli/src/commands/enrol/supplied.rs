//! The pictures that a user supplies: read when their subject's turn comes, and an account of those that were not used.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use clearlane::{BulkReport, BulkStop, Picture, Reason, Unfinished, UnusedPicture};
use clearlane_store::ImageDigest;
use serde::Serialize;

use super::plan::Candidate;
use crate::failure::Result;
use crate::output::{ShownPath, shown};
use crate::pictures::{self, PictureArgs};
use crate::reasons;

/// Somebody who got no templates, or a picture of theirs that could not be used.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct Failed {
    subject: String,
    /// The picture, or nothing where the subject itself was refused.
    image: Option<ShownPath>,
    reason: String,
    /// What an officer has to look at, as data.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refer: Vec<Reason>,
}

impl Failed {
    /// In words. A picture's reason begins with its path.
    pub(in crate::commands) fn line(&self) -> String {
        if self.image.is_some() { self.reason.clone() } else { format!("{}: {}", self.subject, self.reason) }
    }

    fn subject(Unfinished { key, stop }: Unfinished) -> Self {
        let (reason, refer) = match stop {
            BulkStop::Refer(refer) => (format!("to an officer: {}", reasons::listed(&refer)), refer),
            BulkStop::Unreadable(words) | BulkStop::Failed(words) => (words, Vec::new()),
        };
        Self { subject: key, image: None, reason, refer }
    }

    fn unused(key: String, picture: &Path, reasons: Vec<Reason>) -> Self {
        let reason = format!("{}: {}", shown(picture), reasons::listed(&reasons));
        Self { subject: key, image: Some(shown(picture)), reason, refer: reasons }
    }
}

/// The candidates' pictures.
pub(in crate::commands) struct Supplied<'c> {
    candidates: &'c [Candidate],
    how: PictureArgs,
    unreadable: Mutex<Vec<Unreadable>>,
}

/// A picture that could not be read.
pub(in crate::commands) struct Unreadable {
    pub(in crate::commands) subject: String,
    pub(in crate::commands) picture: PathBuf,
    /// In words that begin with its path.
    pub(in crate::commands) why: String,
}

impl<'c> Supplied<'c> {
    pub(in crate::commands) fn by(candidates: &'c [Candidate], how: PictureArgs) -> Self {
        Self { candidates, how, unreadable: Mutex::default() }
    }

    /// The pictures of a candidate that can be read; an error where there is none.
    pub(in crate::commands) fn read(&self, candidate: &Candidate) -> Result<Vec<Picture<'static>>, String> {
        let mut read = Vec::new();
        let mut failed = Vec::new();
        for path in &candidate.pictures {
            match self.picture(path) {
                Ok(picture) => read.push(picture),
                Err(failure) => failed.push(Unreadable {
                    subject: candidate.key.clone(),
                    picture: path.clone(),
                    why: failure.message,
                }),
            }
        }
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).extend(failed);
        match read.is_empty() {
            true if candidate.pictures.is_empty() => Err("the subject has no picture".to_owned()),
            true => Err("none of the subject's pictures can be read".to_owned()),
            false => Ok(read),
        }
    }

    fn picture(&self, path: &Path) -> Result<Picture<'static>> {
        let bytes = pictures::read(path)?;
        Ok(Picture { frame: self.how.decode(path, &bytes)?, source: Some(ImageDigest::of(&bytes)) })
    }

    /// All that was not used, pictures first.
    pub(in crate::commands) fn failed(self, report: BulkReport) -> Vec<Failed> {
        let unreadable = self.unreadable.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed(self.candidates, unreadable, report)
    }
}

/// All of the candidates' that was not used, pictures first.
pub(in crate::commands) fn failed(
    candidates: &[Candidate],
    unreadable: Vec<Unreadable>,
    report: BulkReport,
) -> Vec<Failed> {
    let mut failed = unused(candidates, &unreadable, report.unused);
    // Whose pictures are listed as unreadable needs no further line that says so.
    let named: HashSet<String> = unreadable.iter().map(|one| one.subject.clone()).collect();
    let said = |one: &Unfinished| matches!(one.stop, BulkStop::Unreadable(_)) && named.contains(&one.key);
    let subjects = report.unfinished.into_iter().filter(|one| !said(one)).map(Failed::subject);
    failed.extend(unreadable.into_iter().map(|Unreadable { subject, picture, why }| Failed {
        subject,
        image: Some(shown(&picture)),
        reason: why,
        refer: Vec::new(),
    }));
    failed.sort_by(|one, other| (&one.subject, &one.image).cmp(&(&other.subject, &other.image)));
    failed.extend(subjects);
    failed
}

/// Unused pictures by their paths. Their places count those that could be read.
fn unused(candidates: &[Candidate], unreadable: &[Unreadable], unused: Vec<UnusedPicture>) -> Vec<Failed> {
    if unused.is_empty() {
        return Vec::new();
    }
    let by_key: HashMap<&str, &Candidate> =
        candidates.iter().map(|candidate| (candidate.key.as_str(), candidate)).collect();
    let unreadable: HashSet<(&str, &Path)> =
        unreadable.iter().map(|one| (one.subject.as_str(), one.picture.as_path())).collect();
    let path = |key: &str, place: usize| {
        let read = |path: &&PathBuf| !unreadable.contains(&(key, path.as_path()));
        by_key.get(key).and_then(|candidate| candidate.pictures.iter().filter(read).nth(place))
    };
    let named = |UnusedPicture { key, picture, reasons }| {
        let path = path(&key, picture)?;
        Some(Failed::unused(key, path, reasons))
    };
    unused.into_iter().filter_map(named).collect()
}
