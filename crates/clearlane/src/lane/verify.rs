//! The 1:1 lanes: a document's portrait, or a claim, says who the traveller should be.

use std::time::{Duration, Instant};

use clearlane_embed::{Extractor, Frame};
use clearlane_store::DocumentKind;
use clearlane_template::SubjectId;
use tracing::debug_span;

use super::{Compared, Course, Lane, guarded, timed};
use crate::capture::Capture;
use crate::claim::{ReadBudget, read_claim_text};
use crate::decision::{Comparison, Passage};
use crate::evidence::Evidence;
use crate::proof::reaches;
use crate::reason::Reason;
use crate::references::ReferencesError;

/// A document that the traveller shows, as its reader gives it.
#[derive(Clone, Copy, Debug)]
pub struct ShownDocument<'a> {
    /// Its kind.
    pub kind: DocumentKind,
    /// Its number. It is looked up in the register as a keyed digest and goes nowhere else.
    pub number: &'a str,
    /// The portrait in its chip.
    pub portrait: &'a Frame<'a>,
}

impl Lane {
    /// The traveller shows a document (1:1): are they the one of its portrait and of its holder's enrolment, and may they pass
    /// with this document? That it is genuine is for its reader to say.
    pub fn verify_document(
        &self,
        document: &ShownDocument<'_>,
        frames: &[Frame<'_>],
        evidence: &[Evidence],
        budget: Option<Duration>,
    ) -> Passage {
        let mut course = self.start(budget);
        let _span = self.span("document");
        let compared = guarded("document", || self.document(document, frames, &mut course));
        self.conclude(course, compared.unwrap_or_else(Compared::refused), evidence)
    }

    /// The traveller shows a claim (1:1), in one of the frames: is it good, are they the one it names, and may they pass?
    ///
    /// A claim that is found good is used up by this, whatever the decision.
    pub fn verify_claim(
        &self,
        claim_frames: &[Frame<'_>],
        frames: &[Frame<'_>],
        evidence: &[Evidence],
        budget: Option<Duration>,
    ) -> Passage {
        let mut course = self.start(budget);
        let _span = self.span("claim");
        let compared = guarded("claim", || {
            let deadline = course.deadline;
            let text = timed(debug_span!("claim"), &mut course.times.claim, || {
                claim_frames.iter().find_map(|frame| claim_text(frame, deadline))
            });
            let subject = self.claim(&text.ok_or_else(|| vec![Reason::NoClaim])?, &mut course)?;
            let capture = self.capture(frames, &mut course)?;
            Ok(self.compare_with(subject, &capture, &mut course))
        });
        self.conclude(course, compared.unwrap_or_else(Compared::refused), evidence)
    }

    /// As [`Lane::verify_claim`], from the claim's text and a capture that was made elsewhere.
    pub fn verify_claim_capture(
        &self,
        text: &str,
        capture: &Capture,
        evidence: &[Evidence],
        budget: Option<Duration>,
    ) -> Passage {
        let mut course = self.start(budget);
        let _span = self.span("claim");
        course.times = capture.times;
        let compared = guarded("claim", || {
            let subject = self.claim(text, &mut course)?;
            Ok(self.compare_with(subject, capture, &mut course))
        });
        self.conclude(course, compared.unwrap_or_else(Compared::refused), evidence)
    }

    /// The register here knows nothing of whom a gallery elsewhere has, and of nobody whether they were revoked since.
    fn one_to_one(&self) -> Result<(), Vec<Reason>> {
        let why = || "a gallery that is kept elsewhere compares nobody one to one".to_owned();
        self.port.remote.as_ref().map_or(Ok(()), |_| Err(vec![Reason::GalleryIncomplete { why: why() }]))
    }

    fn document(
        &self,
        document: &ShownDocument<'_>,
        frames: &[Frame<'_>],
        course: &mut Course,
    ) -> Result<Compared, Vec<Reason>> {
        self.one_to_one()?;
        let subject = self.holder(document, course)?;
        let capture = self.capture(frames, course)?;
        let portrait = portrait(self.extractor()?, document.portrait)?;
        let score = timed(debug_span!("search", entries = 1), &mut course.times.search, || {
            capture.probe.score(&portrait.probe)
        });
        let score = score.map_err(|_| vec![Reason::InternalError { stage: "comparison".into() }])?;
        // The portrait says whom the document shows, the register who is enrolled: the face has to be both.
        let mut compared = self.compare_with(subject, &capture, course);
        if let Some(comparison) = compared.comparison.as_mut().filter(|enrolled| !reaches(score, enrolled.score)) {
            comparison.score = score;
        }
        Ok(compared)
    }

    fn holder(&self, document: &ShownDocument<'_>, course: &mut Course) -> Result<SubjectId, Vec<Reason>> {
        let register = self.port.references.register();
        let digest = register.number_digest(document.kind, document.number);
        match digest.and_then(|digest| Ok((digest, register.holder(digest)?))) {
            Ok((digest, Some(subject))) => {
                course.document = Some(digest);
                Ok(subject)
            }
            Ok((_, None)) => Err(vec![Reason::NotEnrolled]),
            Err(error) => {
                self.port.references.note(&error);
                tracing::error!(%error, "the register could not be read");
                Err(vec![Reason::InternalError { stage: "register".into() }])
            }
        }
    }

    /// Checks a claim, which is used up when the passage is recorded.
    fn claim(&self, text: &str, course: &mut Course) -> Result<SubjectId, Vec<Reason>> {
        self.one_to_one()?;
        timed(debug_span!("claim"), &mut course.times.claim, || {
            let register = self.port.references.register().id();
            let claim = self.port.claims.verify(text, register, &self.id, course.time);
            let claim = claim.map_err(|refusal| vec![Reason::ClaimRefused { refusal }])?;
            Ok(course.claim.insert(claim).subject)
        })
    }

    fn compare_with(&self, subject: SubjectId, capture: &Capture, course: &mut Course) -> Compared {
        match timed(debug_span!("search", entries = 1), &mut course.times.search, || {
            self.port.references.score(subject, &capture.probe)
        }) {
            Ok(Some(score)) => self.compared(subject, capture, score),
            Ok(None) => Compared::refused(vec![Reason::NotEnrolled]),
            Err(error) => {
                if let ReferencesError::Store(error) = &error {
                    self.port.references.note(error);
                }
                tracing::error!(%error, "the comparison failed");
                Compared::refused(vec![Reason::InternalError { stage: "comparison".into() }])
            }
        }
    }

    fn compared(&self, subject: SubjectId, capture: &Capture, score: f32) -> Compared {
        let mut reasons: Vec<_> = self.rules.policy.capture.pad_refuses(capture.pad).into_iter().collect();
        let Ok(threshold) = self.rules.calibration.threshold_for_fmr(self.rules.policy.comparison.fmr) else {
            reasons.push(Reason::ThresholdUnknown { entries: 1 });
            return Compared::refused(reasons);
        };
        Compared {
            comparison: Some(Comparison { subject, score, threshold, margin: None }),
            template: None,
            word: None,
            reasons,
        }
    }
}

/// The text of a frame's claim. A frame that cannot be read by the deadline has none; that the budget is exceeded is said
/// where the passage is decided.
fn claim_text(frame: &Frame<'_>, deadline: Instant) -> Option<String> {
    read_claim_text(frame, &mut ReadBudget::until(deadline)).unwrap_or_else(|stopped| {
        tracing::warn!(%stopped, "a frame was not searched for a claim to its end");
        None
    })
}

/// A portrait is no live capture: neither the lane's quality floors nor PAD apply to it.
fn portrait(extractor: &Extractor, picture: &Frame<'_>) -> Result<Capture, Vec<Reason>> {
    match extractor.extract(picture) {
        Ok(extraction) => Ok(Capture::new(extraction.template, None)),
        Err(error) => {
            tracing::warn!(%error, "no template from the portrait of a document");
            Err(vec![Reason::PortraitUnusable])
        }
    }
}
