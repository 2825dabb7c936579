//! Scores of other matchers (a fingerprint's) beside the face's, and the rule that fuses them.

use clearlane_template::SubjectId;
use serde::Deserialize;

use crate::policy::{FusionRule, Likelihood};
use crate::reason::Reason;

/// Another matcher's comparison of this traveller with one subject's reference.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The matcher, by its name in the policy.
    pub matcher: String,
    /// Whose reference it compared with.
    pub subject: SubjectId,
    /// Its score, on its own scale; higher speaks for the subject.
    pub score: f64,
}

/// The face's candidate, as fusion sees it.
pub(crate) struct Face {
    pub(crate) subject: SubjectId,
    pub(crate) score: f32,
    /// What the face would have to reach alone.
    pub(crate) threshold: f32,
}

impl FusionRule {
    /// The lowest face score that can be admitted when the face alone needs `threshold`: a search must look this far down.
    pub(crate) fn search_threshold(&self, threshold: f32) -> f32 {
        match self {
            Self::Both { .. } => threshold,
            Self::Either { face_floor, .. } | Self::Weighted { face_floor, .. } => face_floor.min(threshold),
        }
    }

    /// Why `face` with `evidence` is not enough; empty where it is.
    pub(crate) fn judge(&self, face: &Face, evidence: &[Evidence]) -> Vec<Reason> {
        match self {
            Self::Both { matchers } => {
                let others = matchers.iter().filter_map(|(name, least)| passes(name, *least, face, evidence).err());
                face_passes(face, face.threshold).err().into_iter().chain(others).collect()
            }
            Self::Either { face_floor, matchers } => {
                let Err(too_low) = face_passes(face, face.threshold) else { return Vec::new() };
                let others: Vec<_> =
                    matchers.iter().map(|(name, least)| passes(name, *least, face, evidence)).collect();
                if face.score >= *face_floor && others.iter().any(Result::is_ok) {
                    return Vec::new();
                }
                std::iter::once(too_low).chain(others.into_iter().filter_map(Result::err)).collect()
            }
            Self::Weighted { face_floor, face: calibration, matchers, threshold } => {
                let mut reasons: Vec<_> = face_passes(face, *face_floor).err().into_iter().collect();
                let mut log_likelihood = calibration.log_ratio(f64::from(face.score));
                for (matcher, calibration) in matchers {
                    match find(matcher, face.subject, evidence) {
                        Ok(score) => log_likelihood += calibration.log_ratio(score),
                        Err(reason) => reasons.push(reason),
                    }
                }
                if reasons.is_empty() && log_likelihood < *threshold {
                    reasons.push(Reason::FusionTooLow { log_likelihood, threshold: *threshold });
                }
                reasons
            }
        }
    }
}

impl Likelihood {
    fn log_ratio(self, score: f64) -> f64 {
        self.weight * (self.slope * score + self.intercept)
    }
}

fn face_passes(face: &Face, threshold: f32) -> Result<(), Reason> {
    if face.score >= threshold { Ok(()) } else { Err(Reason::NotMatched { score: face.score, threshold }) }
}

fn passes(matcher: &str, threshold: f64, face: &Face, evidence: &[Evidence]) -> Result<(), Reason> {
    let score = find(matcher, face.subject, evidence)?;
    if score >= threshold {
        Ok(())
    } else {
        Err(Reason::EvidenceTooLow { matcher: matcher.to_owned(), score, threshold })
    }
}

/// The score of `matcher` for `subject`. Where a matcher gives several, the lowest counts: evidence cannot be improved by
/// trying again within one passage.
fn find(matcher: &str, subject: SubjectId, evidence: &[Evidence]) -> Result<f64, Reason> {
    let matcher_name = || matcher.to_owned();
    let mut lowest: Option<f64> = None;
    for item in evidence.iter().filter(|item| item.matcher == matcher) {
        if item.subject != subject {
            return Err(Reason::EvidenceOfAnother { matcher: matcher_name() });
        }
        if !item.score.is_finite() {
            return Err(Reason::EvidenceInvalid { matcher: matcher_name() });
        }
        lowest = Some(lowest.map_or(item.score, |score| score.min(item.score)));
    }
    lowest.ok_or_else(|| Reason::EvidenceMissing { matcher: matcher_name() })
}
