//! From the pictures of one person to those that are kept as templates, by the policy's rules.

use std::cmp::Reverse;
use std::sync::Arc;

use clearlane_embed::{ExtractError, Extraction, Extractor, Selection};
use clearlane_store::{Details, ImageDigest, NewTemplate, StoreError};
use clearlane_template::Template;
use jiff::Timestamp;

use super::{EnrolError, Picture};
use crate::capture::{rank, too_low};
use crate::policy::Policy;
use crate::proof::reaches;
use crate::reason::Reason;
use crate::threshold::{Calibration, CalibrationError};

/// A picture that is good enough, and what it gave.
pub(super) struct Portrait {
    pub(super) extraction: Extraction,
    pub(super) source: Option<ImageDigest>,
}

impl Portrait {
    pub(super) fn into_template(self) -> NewTemplate {
        NewTemplate { template: self.extraction.template, source: self.source }
    }
}

/// Chooses portraits: consent, one face a picture, all of one person, quality floors, and the best of them.
pub(super) struct Chooser {
    policy: Arc<Policy>,
    extractor: Extractor,
    /// The threshold at which two pictures show one person.
    agreement: f32,
}

impl Chooser {
    /// A picture must show one face only, whatever the extractor selects in lanes. `served` is a calibration for those whom the
    /// policy serves alone.
    pub(super) fn new(
        policy: Arc<Policy>,
        extractor: Extractor,
        served: &Calibration,
    ) -> Result<Self, CalibrationError> {
        let agreement = served.threshold_for_fmr(policy.enrolment.agreement_fmr)?;
        Ok(Self { policy, extractor: extractor.with_selection(Selection::Only), agreement })
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The best portraits, the best one first, or why there are none.
    pub(super) fn portraits(
        &self,
        details: &Details,
        pictures: &[Picture<'_>],
        now: Timestamp,
    ) -> Result<Result<Vec<Portrait>, Vec<Reason>>, EnrolError> {
        let rule = &self.policy.enrolment;
        let mut reasons = self.policy.consent_refuses(details.consent.as_ref(), now);
        let (mut good, mut unfit, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for Picture { frame, source } in pictures {
            let extraction = match self.extractor.extract_any(frame) {
                Ok(extraction) => extraction,
                Err(error) => {
                    refused.push(unusable(error)?);
                    continue;
                }
            };
            let mut low = too_low(&rule.quality, &extraction.quality);
            if let Err(error) = self.extractor.limits(frame, &extraction.face) {
                low.insert(0, unusable(error)?);
            }
            if low.is_empty() {
                good.push(Portrait { extraction, source: *source });
            } else {
                refused.extend(low);
                unfit.push(extraction.template);
            }
        }
        if good.is_empty() {
            reasons.extend(if refused.is_empty() { vec![Reason::NoFace] } else { refused });
        }
        if !reasons.is_empty() {
            return Ok(Err(reasons));
        }
        good.sort_by_key(|portrait| Reverse(rank(&portrait.extraction.quality)));
        let templates = good.iter().map(|portrait| &portrait.extraction.template).chain(&unfit);
        if let Some(reason) = self.disagreement(&templates.collect::<Vec<_>>())? {
            return Ok(Err(vec![reason]));
        }
        good.truncate(rule.templates);
        Ok(Ok(good))
    }

    /// Whoever is in a picture counts, whether or not a template of it is kept.
    fn disagreement(&self, seen: &[&Template]) -> Result<Option<Reason>, EnrolError> {
        let threshold = self.agreement;
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
