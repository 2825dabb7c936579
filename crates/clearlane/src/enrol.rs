//! Enrolment: who comes into the register, with which pictures, and who is referred to an officer first.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use clearlane_embed::{ExtractError, Extraction, Extractor, Frame, Selection};
use clearlane_match::SearchOptions;
use clearlane_store::{Details, Enrolment, ImageDigest, NewTemplate, StoreError};
use clearlane_template::{ModelId, SubjectId, Template, TemplateId};
use jiff::Timestamp;

use crate::capture::{rank, too_low};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::references::{References, ReferencesError};
use crate::threshold::{Calibration, CalibrationError};

mod bulk;

pub use bulk::{BulkProgress, BulkReport, BulkStop, Unfinished};

/// Enrols subjects by the rules of a policy: consent, one face a picture, quality floors, and no face that is enrolled
/// under another identity already.
pub struct Enroller {
    policy: Arc<Policy>,
    references: Arc<References>,
    extractor: Extractor,
    /// The threshold at which two pictures of one application show one person.
    agreement: f32,
    calibration: Calibration,
    /// Held from the search for duplicates until the subject is enrolled, so that two applications cannot miss each other.
    turnstile: Mutex<()>,
}

/// Somebody to be enrolled.
#[derive(Clone, Debug)]
pub struct Application<'a> {
    /// The name under which the world outside knows this person.
    pub key: String,
    /// What the rules need to know.
    pub details: Details,
    /// One or several pictures of this person.
    pub pictures: Vec<Picture<'a>>,
}

/// A picture of an applicant.
#[derive(Clone, Debug)]
pub struct Picture<'a> {
    /// The picture.
    pub frame: Frame<'a>,
    /// The digest of the file it came from, kept beside the template.
    pub source: Option<ImageDigest>,
}

/// What an application came to.
#[derive(Clone, Debug, PartialEq)]
pub enum EnrolmentOutcome {
    /// The subject is in the register and will be found.
    Enrolled {
        /// The register's number for the subject.
        subject: SubjectId,
        /// Its templates, of the best picture first.
        templates: Vec<TemplateId>,
    },
    /// A subject is enrolled under this key already; nothing was changed.
    AlreadyEnrolled {
        /// That subject.
        subject: SubjectId,
    },
    /// An officer has to look at the application.
    Refer {
        /// Why, all that applies.
        reasons: Vec<Reason>,
    },
}

/// Why an application could not be decided on. Nothing of it is in the register.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// The register or the gallery failed.
    #[error(transparent)]
    References(#[from] ReferencesError),
    /// A model failed on a picture.
    #[error("a picture could not be processed: {0}")]
    Extract(#[source] ExtractError),
    /// The calibration gives no threshold for the search for duplicates.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The extractor or the calibration is of another model than the references.
    #[error("the {part} is of model {found:.12}, the references are of {references:.12}")]
    OtherModel {
        /// Which of them.
        part: &'static str,
        /// Its model.
        found: ModelId,
        /// The references' model.
        references: ModelId,
    },
}

impl From<StoreError> for EnrolError {
    fn from(error: StoreError) -> Self {
        Self::References(error.into())
    }
}

impl Enroller {
    /// An enroller into the register of `references`. A picture must show one face only, whatever the extractor selects
    /// in lanes.
    pub fn new(
        policy: Arc<Policy>,
        references: Arc<References>,
        extractor: Extractor,
        calibration: Calibration,
    ) -> Result<Self, EnrolError> {
        let wanted = references.model();
        let models = [("extractor", extractor.embedder().model_id()), ("calibration", calibration.model())];
        if let Some((part, found)) = models.into_iter().find(|(_, model)| *model != wanted) {
            return Err(EnrolError::OtherModel { part, found, references: wanted });
        }
        let agreement = calibration.threshold_for_fmr(policy.enrolment.agreement_fmr)?;
        let extractor = extractor.with_selection(Selection::Only);
        Ok(Self { policy, references, extractor, agreement, calibration, turnstile: Mutex::default() })
    }

    /// Enrols one applicant. What is enrolled is on disk when this returns, and lanes that share the references find it.
    pub fn enrol(&self, application: &Application<'_>, now: Timestamp) -> Result<EnrolmentOutcome, EnrolError> {
        if let Some(subject) = self.references.register().subject(&application.key)? {
            return Ok(EnrolmentOutcome::AlreadyEnrolled { subject: subject.id });
        }
        let templates = match self.templates(&application.details, &application.pictures, now)? {
            Ok(templates) => templates,
            Err(reasons) => return Ok(EnrolmentOutcome::Refer { reasons }),
        };
        let _turn = self.turnstile.lock().unwrap_or_else(PoisonError::into_inner);
        self.references.refresh()?;
        if let Some(reason) = self.duplicate(&templates)? {
            return Ok(EnrolmentOutcome::Refer { reasons: vec![reason] });
        }
        let enrolment = enrolment(application.key.clone(), application.details.clone(), templates, now);
        let enrolled = self.references.register().enrol(&enrolment);
        let outcome = outcome(enrolled)?;
        self.references.refresh()?;
        Ok(outcome)
    }

    /// The templates of the best pictures, or why there are none.
    fn templates(
        &self,
        details: &Details,
        pictures: &[Picture<'_>],
        now: Timestamp,
    ) -> Result<Result<Vec<NewTemplate>, Vec<Reason>>, EnrolError> {
        let rule = &self.policy.enrolment;
        let mut reasons = self.policy.consent_refuses(details.consent.as_ref(), now);
        let (mut good, mut refused) = (Vec::new(), Vec::new());
        for picture in pictures {
            match self.extractor.extract(&picture.frame) {
                Ok(extraction) => match too_low(&rule.quality, &extraction.quality) {
                    low if low.is_empty() => good.push((extraction, picture.source)),
                    low => refused.extend(low),
                },
                Err(error) => refused.push(unusable(error)?),
            }
        }
        if good.is_empty() {
            reasons.extend(if refused.is_empty() { vec![Reason::NoFace] } else { refused });
        }
        if !reasons.is_empty() {
            return Ok(Err(reasons));
        }
        good.sort_by_key(|(extraction, _)| std::cmp::Reverse(rank(&extraction.quality)));
        if let Some(reason) = self.disagreement(&good)? {
            return Ok(Err(vec![reason]));
        }
        let best = good.into_iter().take(rule.templates);
        Ok(Ok(best.map(|(extraction, source)| NewTemplate { template: extraction.template, source }).collect()))
    }

    fn disagreement(&self, good: &[(Extraction, Option<ImageDigest>)]) -> Result<Option<Reason>, EnrolError> {
        let threshold = self.agreement;
        for (index, (one, _)) in good.iter().enumerate() {
            for (other, _) in &good[..index] {
                let score = one.template.score(&other.template).map_err(StoreError::from)?;
                if score < threshold {
                    return Ok(Some(Reason::FramesDisagree { score, threshold }));
                }
            }
        }
        Ok(None)
    }

    /// The enrolled subject whose face this is, if there is one.
    fn duplicate(&self, templates: &[NewTemplate]) -> Result<Option<Reason>, EnrolError> {
        let threshold = self.duplicate_threshold()?;
        let options = SearchOptions { threshold, parallel: true, ..SearchOptions::new(1) };
        for new in templates {
            let found = self.references.search(&new.template, &options)?;
            if let Some(best) = found.and_then(|found| found.candidates.into_iter().next()) {
                return Ok(Some(Reason::DuplicateFace { subject: best.subject, score: best.score, threshold }));
            }
        }
        Ok(None)
    }

    fn duplicate_threshold(&self) -> Result<f32, CalibrationError> {
        self.calibration.threshold_for_fpir(self.policy.enrolment.duplicate_fpir, self.references.len())
    }
}

impl fmt::Debug for Enroller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enroller").field("references", &self.references).finish_non_exhaustive()
    }
}

fn enrolment(key: String, details: Details, templates: Vec<NewTemplate>, now: Timestamp) -> Enrolment {
    Enrolment { key, details, enrolled: now, templates }
}

fn outcome(enrolled: Result<(SubjectId, Vec<TemplateId>), StoreError>) -> Result<EnrolmentOutcome, StoreError> {
    match enrolled {
        Ok((subject, templates)) => Ok(EnrolmentOutcome::Enrolled { subject, templates }),
        Err(StoreError::AlreadyEnrolled { subject, .. }) => Ok(EnrolmentOutcome::AlreadyEnrolled { subject }),
        Err(error) => Err(error),
    }
}

/// A picture without one usable face is the applicant's matter; a model that fails is not.
fn unusable(error: ExtractError) -> Result<Reason, EnrolError> {
    match error {
        ExtractError::NoFace | ExtractError::Align(_) => Ok(Reason::NoFace),
        ExtractError::SeveralFaces { count } => Ok(Reason::SeveralFaces { faces: count }),
        ExtractError::FaceTooSmall { eye_distance, minimum } => Ok(Reason::FaceTooSmall { eye_distance, minimum }),
        ExtractError::FaceCut { outside } => Ok(Reason::FaceCut { outside }),
        error => Err(EnrolError::Extract(error)),
    }
}

fn same_face(one: &Template, other: &Template, threshold: f32) -> bool {
    one.score(other).is_ok_and(|score| score >= threshold)
}
