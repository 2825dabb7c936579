//! Enrolment: who comes into the register, with which pictures, and who is referred to an officer first.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use clearlane_embed::{ExtractError, Extractor, Frame};
use clearlane_match::SearchOptions;
use clearlane_store::{Details, Enrolment, ImageDigest, NewTemplate, Position, StoreError, Subject};
use clearlane_template::{ModelId, SubjectId, Template, TemplateId};
use jiff::Timestamp;

use crate::policy::{NotAssessed, Policy};
use crate::proof::under;
use crate::reason::Reason;
use crate::references::{References, ReferencesError};
use crate::threshold::{Calibration, CalibrationError};

mod batches;
mod bulk;
mod maker;
mod portrait;
mod reembed;

pub use batches::{BulkProgress, BulkReport, BulkStop, Unfinished, UnusedPicture};
pub use maker::{MadeTemplate, MadeTemplates, TemplateMaker};
pub use reembed::Reembedder;

use portrait::{Chooser, templates};

/// How often an enrolment begins again where other processes enrol at the same time.
const ATTEMPTS: usize = 64;

/// Enrols subjects by the rules of a policy: consent, one face a picture, quality floors, and no face that is enrolled
/// under another identity already.
///
/// Somebody may be in the register without a template, such as by an import of those on file: they are enrolled with what
/// the register knows of them, and what the application says of them is passed over.
pub struct Enroller {
    references: Arc<References>,
    chooser: Chooser,
    /// By which a face is known that is enrolled already; None without rules.
    calibration: Option<Calibration>,
    /// Held from the search for duplicates until the subject is enrolled, so that two applications in this process do not
    /// make each other begin again.
    in_process: Mutex<()>,
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
    /// A subject with templates is enrolled under this key already; nothing was changed.
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
    /// The port was opened without a policy.
    #[error("the port was opened without a policy: no rule says who may be enrolled")]
    NoPolicy,
    /// The port's gallery is kept elsewhere.
    #[error("the port's gallery is kept elsewhere, and nobody is enrolled here: enrol where its register is")]
    RemoteGallery,
    /// The port has no extractor.
    #[error("the port has no extractor to make templates of pictures with")]
    NoExtractor,
    /// The register or the gallery failed.
    #[error(transparent)]
    References(#[from] ReferencesError),
    /// A model failed on a picture.
    #[error("a picture could not be processed: {0}")]
    Extract(#[source] ExtractError),
    /// The calibration gives no threshold for what the policy asks, or is not of everybody whom the policy serves.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The policy has a floor for a quality component that no model of the extractor gives.
    #[error(transparent)]
    NotAssessed(#[from] NotAssessed),
    /// The extractor or a calibration is of another model than what it is to work with.
    #[error("expected the {part} to be of model {wanted:.12}, got {found:.12}")]
    OtherModel {
        /// Which of them.
        part: &'static str,
        /// Its model.
        found: ModelId,
        /// The model that it has to be of.
        wanted: ModelId,
    },
    /// Other processes went on enrolling, so that no search for duplicates was the last word. Nothing was done; try again.
    #[error("other processes went on enrolling: try again")]
    Contended,
    /// Another model covers more of the register: the same face under another name would not be found among those.
    #[error(
        "{covered} subjects have templates of this model and {other} of another, among whom the same face under another name \
         would not be found: re-embed them first, or enrol with that model"
    )]
    CoversFewer {
        /// Subjects with templates of the references' model.
        covered: u64,
        /// Subjects with templates of the other.
        other: u64,
    },
}

impl From<StoreError> for EnrolError {
    fn from(error: StoreError) -> Self {
        Self::References(error.into())
    }
}

impl Enroller {
    /// An enroller into the register of `references`. A picture must show one face only, whatever the extractor selects
    /// in lanes. Of `calibration` those populations count that the policy serves, and none of them may be missing.
    pub fn new(
        policy: Arc<Policy>,
        references: Arc<References>,
        extractor: Extractor,
        calibration: &Calibration,
    ) -> Result<Self, EnrolError> {
        let wanted = references.model();
        let models = [("extractor", extractor.embedder().model_id()), ("calibration", calibration.model())];
        if let Some((part, found)) = models.into_iter().find(|(_, model)| *model != wanted) {
            return Err(EnrolError::OtherModel { part, found, wanted });
        }
        let models = references.register().stats()?.models;
        let covered = models.iter().find(|model| model.id == wanted).map_or(0, |model| model.subjects);
        if let Some(other) = models.iter().map(|model| model.subjects).find(|&other| other > covered) {
            return Err(EnrolError::CoversFewer { covered, other });
        }
        let calibration = calibration.for_policy(&policy).map_err(CalibrationError::from)?;
        let chooser = Chooser::new(policy, extractor, &calibration)?;
        Ok(Self { references, chooser, calibration: Some(calibration), in_process: Mutex::default() })
    }

    /// An enroller without any rule, for tests and evaluations: every face that the extractor selects and accepts becomes a
    /// template, whoever it may be and under whatever name it is enrolled already. Consent is not asked for.
    ///
    /// Whoever has templates of another model only gets some of this one beside them.
    pub fn without_rules(references: Arc<References>, extractor: Extractor) -> Result<Self, EnrolError> {
        let (found, wanted) = (extractor.embedder().model_id(), references.model());
        if found != wanted {
            return Err(EnrolError::OtherModel { part: "extractor", found, wanted });
        }
        let chooser = Chooser::without_rules(extractor);
        Ok(Self { references, chooser, calibration: None, in_process: Mutex::default() })
    }

    /// Enrols one applicant. What is enrolled is on disk when this returns, and lanes that share the references find it.
    pub fn enrol(&self, application: &Application<'_>, now: Timestamp) -> Result<EnrolmentOutcome, EnrolError> {
        let register = self.references.register();
        let known = register.subject(&application.key)?;
        if let Some(subject) = self.enrolled(known.as_ref())? {
            return Ok(EnrolmentOutcome::AlreadyEnrolled { subject });
        }
        let details = known.as_ref().map_or(&application.details, |subject| &subject.details);
        let templates = match self.chooser.with_consent(details, &application.pictures, now)? {
            Ok((portraits, _)) => templates(portraits),
            Err(reasons) => return Ok(EnrolmentOutcome::Refer { reasons }),
        };
        let _guard = self.in_process.lock().unwrap_or_else(PoisonError::into_inner);
        let model = self.references.model();
        let outcome = self.settle(|position| {
            // Another process may have been faster.
            if let Some(subject) = self.enrolled(register.subject(&application.key)?.as_ref())? {
                return Ok(Some(EnrolmentOutcome::AlreadyEnrolled { subject }));
            }
            let threshold = self.duplicate_threshold(1)?;
            let duplicate = threshold.map(|threshold| self.duplicate(&templates, threshold)).transpose()?;
            if let Some(reason) = duplicate.flatten() {
                return Ok(Some(EnrolmentOutcome::Refer { reasons: vec![reason] }));
            }
            if let Some(subject) = &known {
                let known = [(subject.id, templates.clone())];
                let Some((_, added)) = register.enrol_since(position, &[], model, &known)? else { return Ok(None) };
                return Ok(Some(completed(subject.id, added)?));
            }
            let new = enrolment(application.key.clone(), application.details.clone(), templates.clone(), now);
            let Some((enrolled, _)) = register.enrol_since(position, &[new], model, &[])? else { return Ok(None) };
            match enrolled.into_iter().next().ok_or(EnrolError::Contended)? {
                Ok((subject, templates)) => Ok(Some(EnrolmentOutcome::Enrolled { subject, templates })),
                Err(StoreError::AlreadyEnrolled { subject, .. }) => {
                    Ok(Some(EnrolmentOutcome::AlreadyEnrolled { subject }))
                }
                Err(error) => Err(error.into()),
            }
        })?;
        // It is on disk: a gallery that cannot follow now follows at its next refresh.
        if let Err(error) = self.references.refresh() {
            tracing::warn!(%error, "the gallery does not have the new subject yet");
        }
        Ok(outcome)
    }

    /// Looks for duplicates and enrols, which `attempt` does, and begins again where it says `None`: templates came to the
    /// register since the position that it got, and the face may be among them.
    fn settle<T>(&self, mut attempt: impl FnMut(Position) -> Result<Option<T>, EnrolError>) -> Result<T, EnrolError> {
        for _ in 0..ATTEMPTS {
            let position = self.references.register().position()?;
            self.references.refresh()?;
            if let Some(settled) = attempt(position)? {
                return Ok(settled);
            }
        }
        Err(EnrolError::Contended)
    }

    /// The enrolled subject whose face this is, if there is one.
    fn duplicate(&self, templates: &[NewTemplate], threshold: f32) -> Result<Option<Reason>, EnrolError> {
        let options = SearchOptions { threshold, parallel: true, ..SearchOptions::new(1) };
        for new in templates {
            let found = self.references.search(&new.template, &options)?;
            if let Some(best) = found.and_then(|found| found.candidates.into_iter().next()) {
                return Ok(Some(Reason::DuplicateFace { subject: best.subject, score: best.score, threshold }));
            }
        }
        Ok(None)
    }

    /// From which score on a face is somebody's who is enrolled, or one of `applicants` who are looked at together. It grows with the
    /// number of references: a later look at the same pair may be more lenient. None without rules.
    fn duplicate_threshold(&self, applicants: usize) -> Result<Option<f32>, CalibrationError> {
        let (Some(policy), Some(calibration)) = (self.chooser.policy(), &self.calibration) else { return Ok(None) };
        let entries = self.references.len().saturating_add(applicants);
        calibration.threshold_for_fpir(policy.enrolment.duplicate_fpir, entries).map(Some)
    }

    /// The subject, unless it has no template yet. By the rules a template of any model counts: another model's are a
    /// [`Reembedder`]'s matter.
    fn enrolled(&self, known: Option<&Subject>) -> Result<Option<SubjectId>, StoreError> {
        let Some(subject) = known else { return Ok(None) };
        let models = self.references.register().models_of(subject.id)?;
        let counts = |model: &ModelId| self.calibration.is_some() || *model == self.references.model();
        Ok(models.iter().any(counts).then_some(subject.id))
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

/// What came of completing a subject. An empty list: another process was faster.
fn completed(
    subject: SubjectId,
    mut added: Vec<Result<Vec<TemplateId>, StoreError>>,
) -> Result<EnrolmentOutcome, StoreError> {
    match added.pop().transpose()? {
        Some(templates) if !templates.is_empty() => Ok(EnrolmentOutcome::Enrolled { subject, templates }),
        _ => Ok(EnrolmentOutcome::AlreadyEnrolled { subject }),
    }
}

/// Whether two faces may be one person's: all that are not shown to differ.
fn same_face(one: &Template, other: &Template, threshold: f32) -> bool {
    !one.score(other).is_ok_and(|score| under(score, threshold))
}
