//! A gallery that is kept elsewhere: what a lane asks of it, and what it may believe.

use std::time::Instant;

use clearlane_match::{Candidate, Mode, SearchOutcome};
use clearlane_store::Details;
use clearlane_template::{ModelId, Template};
use jiff::{SignedDuration, Timestamp};

use crate::compare::{Identification, IdentifyOptions};
use crate::decision::StageTimes;
use crate::reason::Reason;

/// A gallery that is kept elsewhere, such as a cluster's, for [`PortBuilder::remote_gallery`](crate::PortBuilder::remote_gallery).
///
/// Lanes of a port with one search it in place of the templates in the port's own register, which keeps their crossing records,
/// and judge by the details that it gives. An answer is whole or none; a lane without a whole one refers the traveller, and so it
/// does where the answer is older than the policy's `comparison.gallery-age-ms` when the decision is made. Nobody is compared one to
/// one there: claims and documents refer.
pub trait RemoteGallery: Send + Sync {
    /// The model of its templates.
    fn model(&self) -> ModelId;

    /// How many templates it has, as far as is known; 0 where nothing is known yet. A gallery that says too few gets asked for
    /// candidates of too low a score, which does no harm: [`RemoteAnswer::templates`] decides.
    fn templates(&self) -> usize;

    /// Searches all of it, and answers by the deadline.
    fn search(&self, probe: &Template, question: &RemoteQuestion) -> Result<RemoteAnswer, RemoteIncomplete>;
}

/// What is asked of a [`RemoteGallery`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RemoteQuestion {
    /// How many subjects to find at most.
    pub k: usize,
    /// The least score of a candidate, in [-1, 1].
    pub threshold: f32,
    /// By which contract templates may be skipped.
    pub mode: Mode,
    /// When the answer has to be there; `None` where its asker waits.
    pub deadline: Option<Instant>,
    /// How old the answer may be.
    pub max_age: SignedDuration,
}

/// The answer of the whole of a [`RemoteGallery`].
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteAnswer {
    /// The best subjects, best score first, ties by template id; at most k, none below the threshold.
    pub candidates: Vec<Candidate>,
    /// What is known of the candidates, in their order.
    pub details: Vec<Details>,
    /// How many templates were searched.
    pub templates: usize,
    /// What the answer is of: whatever was acknowledged before this time is in it, by the clock of whoever keeps the gallery.
    pub as_of: Timestamp,
}

/// Why a [`RemoteGallery`] gives no whole answer: in words, for the officer and the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gallery did not answer in full: {why}")]
pub struct RemoteIncomplete {
    /// What is missing, and why.
    pub why: String,
}

/// What a remote gallery says of the subject whom it found.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) details: Details,
    pub(crate) as_of: Timestamp,
    pub(crate) max_age: SignedDuration,
}

impl Word {
    /// Why it is not believed at `now`, where it is not.
    pub(crate) fn outdated(&self, now: Timestamp) -> Option<Reason> {
        (now.duration_since(self.as_of) > self.max_age)
            .then(|| Reason::GalleryOutdated { as_of: self.as_of, max_age_ms: self.max_age.as_millis() as u64 })
    }
}

/// An identification by whichever gallery a port has.
pub(crate) struct Searched {
    pub(crate) found: Identification,
    /// What a remote gallery says of the first candidate.
    pub(crate) word: Option<Word>,
    /// How many templates were searched.
    pub(crate) templates: usize,
}

/// Says who the probe is of, as [`References::identify`](crate::References::identify) does.
pub(crate) fn identify(
    gallery: &dyn RemoteGallery,
    probe: &Template,
    options: &IdentifyOptions,
    max_age: SignedDuration,
) -> Searched {
    let search = options.search();
    let question = RemoteQuestion {
        k: search.k,
        threshold: search.threshold,
        mode: search.mode,
        deadline: search.deadline,
        max_age,
    };
    let start = Instant::now();
    let answer = gallery.search(probe, &question).and_then(RemoteAnswer::whole);
    let times = StageTimes { search: start.elapsed(), ..StageTimes::default() };
    match answer {
        Ok(RemoteAnswer { candidates, details, templates, as_of }) => {
            let word = details.into_iter().next().map(|details| Word { details, as_of, max_age });
            let outcome = SearchOutcome::of_elsewhere(candidates, search.k, search.threshold);
            Searched { found: Identification::judged(outcome, options, times), word, templates }
        }
        Err(RemoteIncomplete { why }) => {
            tracing::warn!(why, "the gallery did not answer in full");
            let reasons = vec![Reason::GalleryIncomplete { why }];
            let found = Identification { reasons, times, ..Identification::of_nobody(options.threshold) };
            Searched { found, word: None, templates: 0 }
        }
    }
}

impl RemoteAnswer {
    /// Each candidate has its details: an answer without is none.
    fn whole(self) -> Result<Self, RemoteIncomplete> {
        if self.details.len() == self.candidates.len() {
            return Ok(self);
        }
        let why = format!("{} candidates came with details of {}", self.candidates.len(), self.details.len());
        Err(RemoteIncomplete { why })
    }
}
