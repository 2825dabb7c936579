//! From the pictures of one person to those that are kept as templates, by the policy's rules.

use std::cmp::Reverse;
use std::sync::Arc;

use clearlane_embed::{ExtractError, Extraction, Extractor, Selection};
use clearlane_store::{Details, ImageDigest, NewTemplate, StoreError};
use jiff::Timestamp;

use super::{EnrolError, Picture};
use crate::capture::{rank, too_low};
use crate::policy::Policy;
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

/// Chooses portraits: consent, one face a picture, quality floors, all of one person, and the best of them.
pub(super) struct Chooser {
    policy: Arc<Policy>,
    extractor: Extractor,
    /// The threshold at which two pictures show one person.
    agreement: f32,
}

impl Chooser {
    /// A picture must show one face only, whatever the extractor selects in lanes.
    pub(super) fn new(
        policy: Arc<Policy>,
        extractor: Extractor,
        calibration: &Calibration,
    ) -> Result<Self, CalibrationError> {
        let agreement = calibration.threshold_for_fmr(policy.enrolment.agreement_fmr)?;
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
        let (mut good, mut refused) = (Vec::new(), Vec::new());
        for picture in pictures {
            match self.extractor.extract(&picture.frame) {
                Ok(extraction) => match too_low(&rule.quality, &extraction.quality) {
                    low if low.is_empty() => good.push(Portrait { extraction, source: picture.source }),
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
        good.sort_by_key(|portrait| Reverse(rank(&portrait.extraction.quality)));
        if let Some(reason) = self.disagreement(&good)? {
            return Ok(Err(vec![reason]));
        }
        good.truncate(rule.templates);
        Ok(Ok(good))
    }

    fn disagreement(&self, good: &[Portrait]) -> Result<Option<Reason>, EnrolError> {
        let threshold = self.agreement;
        for (index, one) in good.iter().enumerate() {
            for other in &good[..index] {
                let score = one.extraction.template.score(&other.extraction.template).map_err(StoreError::from)?;
                if score < threshold {
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
