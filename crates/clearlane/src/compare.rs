//! Templates compared one to one and one to many, with the reason for every refusal.

use std::time::Instant;

use clearlane_embed::Quality;
use clearlane_match::{Candidate, Completeness, Margin, Mode, SearchOptions, SearchOutcome};
use clearlane_template::{SubjectId, Template, TemplateError};
use serde::Serialize;

use crate::decision::StageTimes;
use crate::proof::{leads, reaches};
use crate::reason::Reason;
use crate::references::{References, ReferencesError};

/// The outcome of a 1:1 comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// Whether the probe is that of the reference's subject.
    pub verified: bool,
    /// The comparison score.
    pub score: f32,
    /// What it had to reach.
    pub threshold: f32,
    /// Why not, where it is not.
    pub reasons: Vec<Reason>,
}

/// Compares a probe with one reference.
pub fn verify(probe: &Template, reference: &Template, threshold: f32) -> Result<Verification, TemplateError> {
    let score = probe.score(reference)?;
    let verified = reaches(score, threshold);
    let reasons = if verified { Vec::new() } else { vec![Reason::NotMatched { score, threshold }] };
    Ok(Verification { verified, score, threshold, reasons })
}

/// How an identification is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IdentifyOptions {
    /// The least comparison score of a candidate who is identified.
    pub threshold: f32,
    /// By how much the candidate must lead the next subject.
    pub margin: f32,
    /// How many candidates to list at most, 2 at least: without a second there is no margin.
    pub candidates: usize,
    /// The least score of those who are listed, where it is lower than what `threshold` and `margin` need.
    pub list_from: Option<f32>,
    /// By which contract the search may skip references.
    pub mode: Mode,
    /// When the search must end.
    pub deadline: Option<Instant>,
    /// Whether to use all threads of the current rayon pool.
    pub parallel: bool,
}

/// The outcome of a 1:N search.
#[derive(Clone, Debug, PartialEq)]
pub struct Identification {
    /// Who it is: `None` for any of the `reasons`.
    pub subject: Option<SubjectId>,
    /// The best subjects, best first.
    pub candidates: Vec<Candidate>,
    /// By how much the first candidate leads; where no other was near, at least by this much.
    pub margin: Option<f32>,
    /// The threshold that was used.
    pub threshold: f32,
    /// Whether all references were searched.
    pub completeness: Completeness,
    /// Why nobody is identified.
    pub reasons: Vec<Reason>,
    /// The quality of the face, where it was extracted with the search. [`Quality::doubts`] says what makes the scores doubtful.
    pub quality: Option<Quality>,
    /// How long the search took, and the extraction where it was done with it.
    pub times: StageTimes,
}

impl IdentifyOptions {
    /// Identification at `threshold` and `margin`, by [`Mode::Certified`], on the calling thread, with no deadline.
    #[must_use]
    pub const fn new(threshold: f32, margin: f32) -> Self {
        let mode = Mode::Certified;
        Self { threshold, margin, candidates: 2, list_from: None, mode, deadline: None, parallel: false }
    }

    /// How far down the search has to look, so that a runner-up inside of the margin is seen. NaN, which no search takes,
    /// where threshold or margin is not finite: nobody could be shown to reach them.
    fn search_threshold(&self) -> f32 {
        let needed = self.threshold - self.margin;
        if !needed.is_finite() {
            return f32::NAN;
        }
        self.list_from.map_or(needed, |from| from.min(needed)).clamp(-1.0, 1.0)
    }

    /// The search that this takes.
    pub(crate) fn search(&self) -> SearchOptions<'static> {
        SearchOptions {
            threshold: self.search_threshold(),
            mode: self.mode,
            deadline: self.deadline,
            parallel: self.parallel,
            ..SearchOptions::new(self.candidates.max(2))
        }
    }
}

impl References {
    /// Says who the probe is of: the one candidate at or above the threshold, ahead of the next subject by the margin,
    /// in a search of all references. Anything less identifies nobody, and says why. A threshold or margin that is not
    /// finite is an error.
    pub fn identify(&self, probe: &Template, options: &IdentifyOptions) -> Result<Identification, ReferencesError> {
        let start = Instant::now();
        let Some(outcome) = self.search(probe, &options.search())? else {
            return Ok(Identification::of_nobody(options.threshold));
        };
        let times = StageTimes { search: start.elapsed(), ..StageTimes::default() };
        Ok(Identification::judged(outcome, options, times))
    }
}

impl Identification {
    /// What the outcome of a search comes to.
    pub(crate) fn judged(outcome: SearchOutcome, options: &IdentifyOptions, times: StageTimes) -> Self {
        let margin = outcome.margin().map(|(Margin::Exact(margin) | Margin::MoreThan(margin))| margin);
        let mut reasons = Vec::new();
        if let Completeness::Partial { scanned, total } = outcome.completeness {
            reasons.push(Reason::PartialSearch { scanned, total });
        }
        match outcome.candidates[..] {
            [best, ref others @ ..] if reaches(best.score, options.threshold) => {
                let rival = others.first().filter(|other| !leads(best.score, other.score, options.margin));
                reasons.extend(rival.map(|rival| Reason::MarginTooSmall {
                    runner_up: rival.subject,
                    margin: best.score - rival.score,
                    required: options.margin,
                }));
            }
            _ => reasons.push(Reason::NoCandidate { threshold: options.threshold }),
        }
        Self {
            subject: outcome.candidates.first().filter(|_| reasons.is_empty()).map(|best| best.subject),
            candidates: outcome.candidates,
            margin,
            threshold: options.threshold,
            completeness: outcome.completeness,
            reasons,
            quality: None,
            times,
        }
    }

    pub(crate) fn of_nobody(threshold: f32) -> Self {
        Self {
            subject: None,
            candidates: Vec::new(),
            margin: None,
            threshold,
            completeness: Completeness::Complete,
            reasons: vec![Reason::NoCandidate { threshold }],
            quality: None,
            times: StageTimes::default(),
        }
    }
}
