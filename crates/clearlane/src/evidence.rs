//! Scores of other matchers (a fingerprint's) beside the face's, and the rule that fuses them.

use clearlane_template::SubjectId;
use serde::Deserialize;

use crate::policy::{FusionRule, Likelihood};
use crate::proof::reaches;
use crate::reason::Reason;

/// How far from 0 a matcher's score may lie. With the limits that a policy has for calibrations, no sum of log-likelihood
/// ratios comes near the largest number.
pub(crate) const SCORE_LIMIT: f64 = 1e9;

/// Another matcher's comparison of this traveller with one subject's reference.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The matcher, by its name in the policy.
    pub matcher: String,
    /// Whose reference it compared with.
    pub subject: SubjectId,
    /// Its score, on its own scale, within ±1e9; higher speaks for the subject. Any other refers the traveller.
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
            Self::FaceOnly | Self::Both { .. } => threshold,
            Self::Either { face_floor, .. } | Self::Weighted { face_floor, .. } => face_floor.min(threshold),
        }
    }

    /// Why `face` with `evidence` is not enough; empty where it is.
    pub(crate) fn judge(&self, face: &Face, evidence: &[Evidence]) -> Vec<Reason> {
        match self {
            Self::FaceOnly => face_passes(face, face.threshold).err().into_iter().collect(),
            Self::Both { matchers } => {
                let others = matchers.iter().filter_map(|(name, least)| passes(name, *least, face, evidence).err());
                face_passes(face, face.threshold).err().into_iter().chain(others).collect()
            }
            Self::Either { face_floor, matchers } => {
                let Err(too_low) = face_passes(face, face.threshold) else { return Vec::new() };
                let others: Vec<_> =
                    matchers.iter().map(|(name, least)| passes(name, *least, face, evidence)).collect();
                if reaches(face.score, *face_floor) && others.iter().any(Result::is_ok) {
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
                if reasons.is_empty() && !reaches(log_likelihood, *threshold) {
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
    if reaches(face.score, threshold) { Ok(()) } else { Err(Reason::NotMatched { score: face.score, threshold }) }
}

fn passes(matcher: &str, threshold: f64, face: &Face, evidence: &[Evidence]) -> Result<(), Reason> {
    let score = find(matcher, face.subject, evidence)?;
    if reaches(score, threshold) {
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
        if !reaches(SCORE_LIMIT, item.score.abs()) {
            return Err(Reason::EvidenceInvalid { matcher: matcher_name() });
        }
        lowest = Some(lowest.map_or(item.score, |score| score.min(item.score)));
    }
    lowest.ok_or_else(|| Reason::EvidenceMissing { matcher: matcher_name() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers at which rules go wrong, and some at which they do not.
    const NUMBERS: [f64; 22] = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        -f64::MIN_POSITIVE,
        5e-324,
        -5e-324,
        0.0,
        -0.0,
        -1.0,
        -0.3,
        0.3,
        0.4,
        0.5,
        1.0,
        2.0,
        40.0,
        1e9,
        1e10,
        1e200,
    ];

    /// The n-th draw of a fixed sequence (`SplitMix64`).
    struct Draws(u64);

    impl Draws {
        fn number(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            NUMBERS[((mixed ^ (mixed >> 31)) % NUMBERS.len() as u64) as usize]
        }

        fn likelihood(&mut self) -> Likelihood {
            Likelihood { slope: self.number(), intercept: self.number(), weight: self.number() }
        }
    }

    /// The rules as a page of text would state them.
    fn admits(rule: &FusionRule, face: &Face, scores: [f64; 2]) -> bool {
        let finite = |numbers: &[f64]| numbers.iter().all(|number| number.abs() <= f64::MAX);
        let least = |value: f64, least: f64| finite(&[value, least]) && value >= least;
        let score = f64::from(face.score);
        let alone = least(score, f64::from(face.threshold));
        let passes = |matchers: &[(String, f64)]| -> Vec<bool> {
            let each = scores.iter().zip(matchers);
            each.map(|(score, (_, threshold))| score.abs() <= 1e9 && least(*score, *threshold)).collect()
        };
        match rule {
            FusionRule::FaceOnly => alone,
            FusionRule::Both { matchers } => alone && passes(matchers).iter().all(|passes| *passes),
            FusionRule::Either { face_floor, matchers } => {
                alone || (least(score, f64::from(*face_floor)) && passes(matchers).iter().any(|passes| *passes))
            }
            FusionRule::Weighted { face_floor, face, matchers, threshold } => {
                let parts =
                    std::iter::once((score, *face)).chain(scores.into_iter().zip(matchers.iter().map(|(_, l)| *l)));
                let mut sum = 0.0;
                for (score, Likelihood { slope, intercept, weight }) in parts {
                    let term = slope * score + intercept;
                    sum += weight * term;
                    if !finite(&[score, slope, intercept, weight, term, sum]) {
                        return false;
                    }
                }
                let taken = scores.iter().all(|score| score.abs() <= 1e9);
                taken && least(score, f64::from(*face_floor)) && least(sum, *threshold)
            }
        }
    }

    #[test]
    fn no_rule_admits_on_a_number_that_is_none_and_each_admits_by_its_statement() {
        let mut draws = Draws(20_241_120);
        let subject = SubjectId(7);
        let names = ["fingerprint", "iris"];
        let mut admitted = [0; 4];
        for round in 0..400_000 {
            let face = Face { subject, score: draws.number() as f32, threshold: draws.number() as f32 };
            let scores = [draws.number(), draws.number()];
            let kind = round % 4;
            let rule = match kind {
                0 => FusionRule::FaceOnly,
                1 => FusionRule::Both { matchers: names.map(|name| (name.to_owned(), draws.number())).to_vec() },
                2 => FusionRule::Either {
                    face_floor: draws.number() as f32,
                    matchers: names.map(|name| (name.to_owned(), draws.number())).to_vec(),
                },
                _ => FusionRule::Weighted {
                    face_floor: draws.number() as f32,
                    face: draws.likelihood(),
                    matchers: names.map(|name| (name.to_owned(), draws.likelihood())).to_vec(),
                    threshold: draws.number(),
                },
            };
            let evidence: Vec<_> = names
                .iter()
                .zip(scores)
                .map(|(name, score)| Evidence { matcher: (*name).to_owned(), subject, score })
                .collect();
            let found = rule.judge(&face, &evidence).is_empty();
            let (score, threshold) = (face.score, face.threshold);
            assert_eq!(found, admits(&rule, &face, scores), "{rule:?}: {score} of {threshold}, {scores:?}");
            admitted[kind] += i32::from(found);
        }
        assert!(admitted.iter().all(|count| *count > 100), "too few admissions to compare: {admitted:?}");
    }

    /// Every calibration that a policy may state, with every score that is taken, adds up to a number.
    #[test]
    fn within_the_limits_of_policies_and_scores_no_sum_overflows() {
        let largest = Likelihood { slope: 1e6, intercept: 1e6, weight: 1e6 };
        for score in [SCORE_LIMIT, -SCORE_LIMIT] {
            let sum: f64 = (0..1_000).map(|_| largest.log_ratio(score)).sum();
            assert!(sum.is_finite(), "{sum}");
        }
    }
}
