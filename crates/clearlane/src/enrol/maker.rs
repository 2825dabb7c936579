//! Templates of supplied pictures by the rules of a policy, made without any register: what a re-embedding can have done on
//! any machine.

use std::fmt;
use std::sync::Arc;

use clearlane_embed::{Embedder, Extractor};
use clearlane_store::{ImageDigest, NewTemplate};
use clearlane_template::{ModelId, Template};
use sha2::{Digest as _, Sha256};

use super::portrait::{Chooser, Portrait, Unused};
use super::{EnrolError, Picture};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::threshold::{Calibration, CalibrationError};

/// Makes a new model's templates of pictures, by a policy's rules of enrolment, for a [`Reembedder`](super::Reembedder) to
/// judge and to write.
pub struct TemplateMaker {
    policy: Arc<Policy>,
    chooser: Chooser,
    earlier: Option<Earlier>,
}

/// The model that knows the subjects already.
struct Earlier {
    embedder: Embedder,
    /// The threshold at which two pictures show one person.
    threshold: f32,
}

/// What the pictures of one subject came to.
#[derive(Clone, Debug, PartialEq)]
pub enum MadeTemplates {
    /// Some of them can be used.
    Usable {
        /// The templates to keep, of the best picture first.
        templates: Vec<MadeTemplate>,
        /// The pictures of which none is kept since they are not good enough: their place among those supplied, and why.
        unused: Vec<(usize, Vec<Reason>)>,
    },
    /// None can be used, or they show different people: an officer has to look at them.
    Refer(Vec<Reason>),
}

/// A template, and what shows whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct MadeTemplate {
    /// The new model's template.
    pub template: Template,
    /// The digest of the file that it was made of.
    pub source: Option<ImageDigest>,
    /// The earlier model's template of the same picture, to be compared with what the register has of the subject.
    pub earlier: Option<Template>,
}

impl TemplateMaker {
    /// Makes templates with the model of `extractor`, of which `calibration` is, for those at the least whom the policy serves. A
    /// picture must show one face only, whatever the extractor selects.
    pub fn new(policy: Arc<Policy>, extractor: Extractor, calibration: &Calibration) -> Result<Self, EnrolError> {
        of_model("calibration", calibration, extractor.embedder().model_id())?;
        let calibration = calibration.for_policy(&policy).map_err(CalibrationError::from)?;
        let chooser = Chooser::new(Arc::clone(&policy), extractor, &calibration)?;
        Ok(Self { policy, chooser, earlier: None })
    }

    /// The same, with templates of an earlier model beside those of the new one.
    pub fn with_earlier(mut self, embedder: Embedder, calibration: &Calibration) -> Result<Self, EnrolError> {
        of_model("earlier calibration", calibration, embedder.model_id())?;
        let calibration = calibration.for_policy(&self.policy).map_err(CalibrationError::from)?;
        let threshold = calibration.threshold_for_fmr(self.policy.enrolment.agreement_fmr)?;
        self.earlier = Some(Earlier { embedder, threshold });
        Ok(self)
    }

    /// The model that templates are made with.
    #[must_use]
    pub fn model(&self) -> ModelId {
        self.chooser.model()
    }

    /// The earlier model, where there is one.
    #[must_use]
    pub fn earlier_model(&self) -> Option<ModelId> {
        self.earlier.as_ref().map(|earlier| earlier.embedder.model_id())
    }

    /// How many values its templates have.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.chooser.dimension()
    }

    /// How many values the earlier model's templates have, where there is one.
    #[must_use]
    pub fn earlier_dimension(&self) -> Option<usize> {
        self.earlier.as_ref().map(|earlier| earlier.embedder.dimension())
    }

    /// A digest of all that decides what is made of a picture and which are chosen, the extractor's models and settings included: two
    /// makers with the same one give the same. The policy's rules of consent are the register's matter.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"clearlane template maker 2");
        hash.update(self.chooser.recipe());
        hash.update([u8::from(self.earlier.is_some())]);
        if let Some(Earlier { embedder, threshold }) = &self.earlier {
            hash.update(embedder.model_id().as_bytes());
            hash.update(threshold.to_le_bytes());
        }
        let rule = &self.policy.enrolment;
        hash.update((rule.templates as u64).to_le_bytes());
        hash.update(self.chooser.agreement().unwrap_or(-1.0).to_le_bytes());
        for (component, floor) in &rule.quality {
            hash.update(component.name());
            hash.update([0]);
            hash.update(floor.to_le_bytes());
        }
        hash.finalize().into()
    }

    /// What the pictures of one person come to; `compared` where the earlier model's templates are wanted too. Of pictures with one of
    /// the digests `enrolled` ([`Reembedder::enrolled_from`](super::Reembedder::enrolled_from)) no quality is asked again: a policy whose
    /// floors were raised meanwhile takes nobody out of the gallery.
    pub fn make(
        &self,
        pictures: &[Picture<'_>],
        enrolled: &[ImageDigest],
        compared: bool,
    ) -> Result<MadeTemplates, EnrolError> {
        let (portraits, unused) = match self.chooser.portraits(pictures, enrolled)? {
            Ok(found) => found,
            Err(reasons) => return Ok(MadeTemplates::Refer(reasons)),
        };
        let earlier = self.earlier.as_ref().filter(|_| compared);
        let made = |Portrait { extraction, source }| {
            let earlier = earlier.map(|earlier| earlier.embedder.embed(&extraction.aligned)).transpose();
            Ok(MadeTemplate { template: extraction.template, source, earlier: earlier.map_err(EnrolError::Extract)? })
        };
        let templates = portraits.into_iter().map(made).collect::<Result<_, EnrolError>>()?;
        Ok(MadeTemplates::Usable { templates, unused: unused.into_iter().map(Unused::into_pair).collect() })
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The threshold at which two templates of the earlier model show one person.
    pub(super) fn earlier_threshold(&self) -> Option<f32> {
        self.earlier.as_ref().map(|earlier| earlier.threshold)
    }
}

impl MadeTemplate {
    pub(super) fn into_new(self) -> NewTemplate {
        NewTemplate { template: self.template, source: self.source }
    }
}

impl fmt::Debug for TemplateMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemplateMaker").field("model", &self.model()).finish_non_exhaustive()
    }
}

fn of_model(part: &'static str, calibration: &Calibration, model: ModelId) -> Result<(), EnrolError> {
    match calibration.model() {
        found if found == model => Ok(()),
        found => Err(EnrolError::OtherModel { part, found, wanted: model }),
    }
}
