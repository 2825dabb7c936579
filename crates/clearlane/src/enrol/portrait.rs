//! From the pictures of one person to those that are kept as templates, by the policy's rules.

use std::cmp::Reverse;
use std::sync::Arc;

use clearlane_embed::{ExtractError, Extraction, Extractor, Selection};
use clearlane_store::{Details, ImageDigest, NewTemplate, StoreError};
use clearlane_template::{ModelId, Template};
use jiff::Timestamp;

use super::{EnrolError, Picture};
use crate::capture::{rank, too_low};
use crate::policy::Policy;
use crate::proof::reaches;
use crate::reason::Reason;
use crate::threshold::Calibration;

/// A picture that is good enough, and what it gave.
pub(super) struct Portrait {
    pub(super) extraction: Extraction,
    pub(super) source: Option<ImageDigest>,
}

impl Unused {
    pub(super) fn into_pair(self) -> (usize, Vec<Reason>) {
        (self.picture, self.reasons)
    }
}

impl From<(usize, Vec<Reason>)> for Unused {
    fn from((picture, reasons): (usize, Vec<Reason>)) -> Self {
        Self { picture, reasons }
    }
}

impl Portrait {
    fn into_template(self) -> NewTemplate {
        NewTemplate { template: self.extraction.template, source: self.source }
    }
}

/// A picture that no portrait was made of.
pub(super) struct Unused {
    /// Its place among those of the application.
    pub(super) picture: usize,
    pub(super) reasons: Vec<Reason>,
}

/// What the pictures of one person came to: portraits, the best one first, and the pictures that are none; or why there is none.
pub(super) type Portraits = Result<(Vec<Portrait>, Vec<Unused>), Vec<Reason>>;

/// The templates to keep.
pub(super) fn templates(portraits: Vec<Portrait>) -> Vec<NewTemplate> {
    portraits.into_iter().map(Portrait::into_template).collect()
}

/// Chooses portraits: consent, one face a picture, all of one person, quality floors, and the best of them; or, without
/// rules, whatever shows a face.
pub(super) struct Chooser {
    extractor: Extractor,
    rules: Option<Rules>,
}

struct Rules {
    policy: Arc<Policy>,
    /// The threshold at which two pictures show one person.
    agreement: f32,
}

impl Chooser {
    /// A picture must show one face only, whatever the extractor selects in lanes. `served` is a calibration for those whom the
    /// policy serves alone.
    pub(super) fn new(policy: Arc<Policy>, extractor: Extractor, served: &Calibration) -> Result<Self, EnrolError> {
        Policy::assessed(&policy.enrolment.quality, &extractor)?;
        let agreement = served.threshold_for_fmr(policy.enrolment.agreement_fmr)?;
        let extractor = extractor.with_selection(Selection::Only);
        Ok(Self { extractor, rules: Some(Rules { policy, agreement }) })
    }

    /// Of every picture the face that the extractor selects.
    pub(super) fn without_rules(extractor: Extractor) -> Self {
        Self { extractor, rules: None }
    }

    pub(super) fn policy(&self) -> Option<&Policy> {
        self.rules.as_ref().map(|rules| rules.policy.as_ref())
    }

    pub(super) fn model(&self) -> ModelId {
        self.extractor.embedder().model_id()
    }

    pub(super) fn dimension(&self) -> usize {
        self.extractor.embedder().dimension()
    }

    /// A digest of all that a portrait and its rank depend on: see [`Extractor::quality_recipe`].
    pub(super) fn recipe(&self) -> [u8; 32] {
        self.extractor.quality_recipe()
    }

    /// The threshold at which two pictures show one person, where there are rules.
    pub(super) fn agreement(&self) -> Option<f32> {
        self.rules.as_ref().map(|rules| rules.agreement)
    }

    /// The portraits of one who consents, as the rules ask.
    pub(super) fn with_consent(
        &self,
        details: &Details,
        pictures: &[Picture<'_>],
        now: Timestamp,
    ) -> Result<Portraits, EnrolError> {
        let refused = self.policy().map(|policy| policy.consent_refuses(details.consent.as_ref(), now));
        let mut reasons = refused.unwrap_or_default();
        match self.portraits(pictures, &[])? {
            Err(others) => reasons.extend(others),
            found if reasons.is_empty() => return Ok(found),
            Ok(_) => {}
        }
        Ok(Err(reasons))
    }

    /// The portraits, whether or not their subject consents. Floors are not asked of a picture that is `enrolled` from already: what
    /// was good enough then would else leave somebody without a template.
    pub(super) fn portraits(
        &self,
        pictures: &[Picture<'_>],
        enrolled: &[ImageDigest],
    ) -> Result<Portraits, EnrolError> {
        match &self.rules {
            Some(rules) => self.by_rules(rules, pictures, enrolled),
            None => self.all(pictures),
        }
    }

    /// A portrait of each picture that gives a template.
    fn all(&self, pictures: &[Picture<'_>]) -> Result<Portraits, EnrolError> {
        let (mut portraits, mut unused) = (Vec::new(), Vec::new());
        for (picture, Picture { frame, source }) in pictures.iter().enumerate() {
            match self.extractor.extract(frame) {
                Ok(extraction) => portraits.push(Portrait { extraction, source: *source }),
                Err(error) => unused.push(Unused { picture, reasons: vec![unusable(error)?] }),
            }
        }
        Ok(if portraits.is_empty() { Err(reasons_of(unused)) } else { Ok((portraits, unused)) })
    }

    fn by_rules(
        &self,
        rules: &Rules,
        pictures: &[Picture<'_>],
        enrolled: &[ImageDigest],
    ) -> Result<Portraits, EnrolError> {
        let rule = &rules.policy.enrolment;
        let (mut good, mut unfit, mut unused) = (Vec::new(), Vec::new(), Vec::new());
        for (picture, Picture { frame, source }) in pictures.iter().enumerate() {
            let extraction = match self.extractor.extract_any(frame) {
                Ok(extraction) => extraction,
                Err(error) => {
                    unused.push(Unused { picture, reasons: vec![unusable(error)?] });
                    continue;
                }
            };
            let again = source.is_some_and(|source| enrolled.contains(&source));
            let mut low = if again { Vec::new() } else { too_low(&rule.quality, &extraction.quality) };
            if let Err(error) = self.extractor.limits(&extraction.face, extraction.outside) {
                low.insert(0, unusable(error)?);
            }
            if low.is_empty() {
                good.push(Portrait { extraction, source: *source });
            } else {
                unused.push(Unused { picture, reasons: low });
                unfit.push(extraction.template);
            }
        }
        if good.is_empty() {
            return Ok(Err(reasons_of(unused)));
        }
        good.sort_by_key(|portrait| Reverse(rank(&portrait.extraction.quality)));
        let templates = good.iter().map(|portrait| &portrait.extraction.template).chain(&unfit);
        if let Some(reason) = disagreement(&templates.collect::<Vec<_>>(), rules.agreement)? {
            return Ok(Err(vec![reason]));
        }
        good.truncate(rule.templates);
        Ok(Ok((good, unused)))
    }
}

/// What is wrong with all pictures of somebody of whom none can be used.
fn reasons_of(unused: Vec<Unused>) -> Vec<Reason> {
    if unused.is_empty() {
        return vec![Reason::NoFace];
    }
    unused.into_iter().flat_map(|unused| unused.reasons).collect()
}

/// Whoever is in a picture counts, whether or not a template of it is kept.
fn disagreement(seen: &[&Template], threshold: f32) -> Result<Option<Reason>, EnrolError> {
    for (index, one) in seen.iter().enumerate() {
        for other in &seen[..index] {
            let score = one.score(other).map_err(StoreError::from)?;
            if !reaches(score, threshold) {
                return Ok(Some(Reason::FramesDisagree { score, threshold }));
            }
        }
    }
    Ok(None)
}

/// A picture without one usable face is the applicant's matter; a model that fails is not.
fn unusable(error: ExtractError) -> Result<Reason, EnrolError> {
    match error {
        ExtractError::NoFace | ExtractError::Align(_) => Ok(Reason::NoFace),
        ExtractError::SeveralFaces { count } => Ok(Reason::SeveralFaces { faces: count }),
        ExtractError::FaceTooSmall { eye_distance, minimum } => Ok(Reason::FaceTooSmall { eye_distance, minimum }),
        ExtractError::NotUpright => Ok(Reason::FaceNotUpright),
        ExtractError::FaceCut { outside } => Ok(Reason::FaceCut { outside }),
        error => Err(EnrolError::Extract(error)),
    }
}
