//! From the frames of one passage to one probe.

use std::time::Instant;

use clearlane_embed::{Component, ExtractError, Extraction, Extractor, Frame, Quality, Stage};
use clearlane_template::Template;

use crate::decision::StageTimes;
use crate::policy::{CaptureRule, PadRule};
use crate::proof::reaches;
use crate::reason::Reason;

/// What the frames of one passage gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// The probe: the mean of the templates of the best frames.
    pub probe: Template,
    /// The lowest PAD score of all frames with a face, in [0, 1]; `None` where one of them was not assessed.
    pub pad: Option<f32>,
    /// How long it took.
    pub times: StageTimes,
}

impl Capture {
    /// A capture made elsewhere: a probe of the lane's model, and its PAD score if one was assessed.
    #[must_use]
    pub fn new(probe: Template, pad: Option<f32>) -> Self {
        Self { probe, pad, times: StageTimes::default() }
    }

    /// Takes the probe of `frames`, the best of which it is made of, and judges all.
    ///
    /// Whatever its quality, its size or the part of it that the border cuts, a face in any frame counts: each pair of
    /// templates must score `agreement` or more, each PAD score counts, and no further face in any frame may be larger
    /// beside the traveller's than the rule allows. A frame that shows no face says nothing. Frames that are not reached
    /// before the deadline are left out, but never all; the passage then exceeds its budget.
    pub(crate) fn take(
        extractor: &Extractor,
        frames: &[Frame<'_>],
        rule: &CaptureRule,
        agreement: f32,
        deadline: Instant,
        times: &mut StageTimes,
    ) -> Result<Self, Vec<Reason>> {
        let (mut seen, mut good, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
        for (index, frame) in frames.iter().enumerate() {
            if index > 0 && Instant::now() >= deadline {
                break;
            }
            let extraction = match extractor.extract_any(frame) {
                Ok(extraction) => extraction,
                Err(ExtractError::NoFace) => continue,
                Err(error) => return Err(vec![refused(&error)]),
            };
            add_times(times, &extraction);
            if !rule.alone(&extraction) {
                return Err(vec![Reason::SeveralFaces { faces: extraction.faces }]);
            }
            let rank = rank(&extraction.quality);
            match extractor.limits(frame, &extraction.face) {
                Err(error) => refusals.push(((0, 0), vec![refused(&error)])),
                Ok(()) => match too_low(&rule.quality, &extraction.quality) {
                    reasons if reasons.is_empty() => good.push((rank, seen.len())),
                    reasons => refusals.push((rank, reasons)),
                },
            }
            seen.push(extraction);
        }
        if good.is_empty() {
            // The frame that came nearest tells the traveller what to do.
            let nearest = refusals.into_iter().max_by_key(|(rank, _)| *rank);
            return Err(nearest.map_or_else(|| vec![Reason::NoFace], |(_, reasons)| reasons));
        }
        one_person(&seen, agreement)?;
        good.sort_by_key(|&(rank, _)| std::cmp::Reverse(rank));
        let best = good.iter().take(rule.best_frames).map(|&(_, index)| &seen[index].template);
        let probe = Template::mean(best).map_err(|_| vec![Reason::InternalError { stage: "embed" }])?;
        let scores: Vec<_> = seen.iter().map(|extraction| extraction.pad).collect();
        Ok(Self { probe, pad: rule.pad_of(&scores), times: *times })
    }
}

impl CaptureRule {
    /// Why a PAD score is not enough.
    pub(crate) fn pad_refuses(&self, pad: Option<f32>) -> Option<Reason> {
        match (self.pad, pad) {
            (PadRule::Off, _) | (PadRule::IfAssessed, None) => None,
            (PadRule::Required, None) => Some(Reason::PadNotAssessed),
            (PadRule::IfAssessed | PadRule::Required, Some(score)) if self.bona_fide(score) => None,
            (PadRule::IfAssessed | PadRule::Required, Some(score)) => {
                Some(Reason::PadFailed { score, threshold: self.pad_threshold })
            }
        }
    }

    /// The PAD score of a passage by those of its frames: one that fails if any does, none if a frame was not assessed, and
    /// else the lowest. A frame that was not assessed hides no attack in another.
    fn pad_of(&self, scores: &[Option<f32>]) -> Option<f32> {
        let assessed = || scores.iter().flatten().copied();
        let failed = assessed().filter(|score| !self.bona_fide(*score)).min_by(f32::total_cmp);
        let lowest = assessed().min_by(f32::total_cmp).filter(|_| scores.iter().all(Option::is_some));
        failed.or(lowest)
    }

    /// Whether a score is a probability that reaches the threshold.
    fn bona_fide(&self, score: f32) -> bool {
        reaches(score, self.pad_threshold) && reaches(1.0, score)
    }

    /// Whether the traveller's face is alone, or every further one is small enough beside it.
    fn alone(&self, extraction: &Extraction) -> bool {
        extraction.second.is_none_or(|size| reaches(self.second_face, size))
    }
}

/// The quality floors that a face does not reach.
pub(crate) fn too_low(floors: &[(Component, f32)], quality: &Quality) -> Vec<Reason> {
    let value = |measure| quality.get(measure).map_or(0.0, |found| f32::from(found.value));
    let below = floors.iter().filter(|(measure, floor)| !reaches(value(*measure), *floor));
    below
        .map(|&(measure, floor)| Reason::QualityTooLow { measure: measure.name(), value: value(measure), floor })
        .collect()
}

/// Frames are ranked by their weakest component, then by the sum of all.
pub(crate) fn rank(quality: &Quality) -> (u8, u32) {
    let weakest = quality.weakest().map_or(0, |measure| measure.value);
    (weakest, quality.measures().iter().map(|measure| u32::from(measure.value)).sum())
}

/// A face that is not fit for the probe, or what ends the passage: nothing may be made of a frame at which a model failed, or
/// of its neighbours.
fn refused(error: &ExtractError) -> Reason {
    match *error {
        ExtractError::FaceTooSmall { eye_distance, minimum } => Reason::FaceTooSmall { eye_distance, minimum },
        ExtractError::FaceCut { outside } => Reason::FaceCut { outside },
        ExtractError::SeveralFaces { count } => Reason::SeveralFaces { faces: count },
        ref failure => {
            tracing::error!(error = %failure, "a frame could not be processed");
            Reason::InternalError { stage: "capture" }
        }
    }
}

/// Every frame with every other: the lowest score that does not reach the agreement is the reason.
fn one_person(seen: &[Extraction], agreement: f32) -> Result<(), Vec<Reason>> {
    let mut lowest: Option<f32> = None;
    for (index, one) in seen.iter().enumerate() {
        for other in &seen[..index] {
            let score = one.template.score(&other.template);
            let score = score.map_err(|_| vec![Reason::InternalError { stage: "embed" }])?;
            if !reaches(score, agreement) {
                lowest = Some(lowest.map_or(score, |lowest| lowest.min(score)));
            }
        }
    }
    lowest.map_or(Ok(()), |score| Err(vec![Reason::FramesDisagree { score, threshold: agreement }]))
}

fn add_times(times: &mut StageTimes, extraction: &Extraction) {
    let taken = extraction.timings;
    times.detect += taken[Stage::Detect];
    times.align += taken[Stage::Align];
    times.quality += taken[Stage::Quality];
    times.pad += taken[Stage::Pad];
    times.embed += taken[Stage::Embed];
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORES: [f32; 12] =
        [0.0, 0.3, 0.5, 0.7, 1.0, -0.5, 1.5, f32::MIN_POSITIVE, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];

    fn rule(pad: PadRule, pad_threshold: f32) -> CaptureRule {
        CaptureRule { quality: Vec::new(), best_frames: 1, agreement_fmr: 1e-3, second_face: 0.5, pad, pad_threshold }
    }

    /// The rule in other words: `Required` asks every frame for a good score, `IfAssessed` every frame that has one.
    #[test]
    fn pad_of_a_passage_is_what_each_of_its_frames_says() {
        let frames: Vec<Option<f32>> = std::iter::once(None).chain(SCORES.map(Some)).collect();
        // The thresholds that a policy may have, and those that are none.
        let none = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
        for threshold in [0.0, f32::MIN_POSITIVE, 0.3, 0.5, 1.0].into_iter().chain(none) {
            let good = |score: f32| threshold.is_finite() && score >= threshold && score <= 1.0;
            for (&one, &two, &three) in triples(&frames) {
                let scores = [one, two, three];
                let every = scores.iter().all(|score| score.is_some_and(good));
                let assessed = scores.iter().flatten().all(|score| good(*score));
                for (pad, passes) in [(PadRule::Required, every), (PadRule::IfAssessed, assessed), (PadRule::Off, true)]
                {
                    let rule = rule(pad, threshold);
                    let refused = rule.pad_refuses(rule.pad_of(&scores));
                    assert_eq!(refused.is_none(), passes, "{pad:?} at {threshold}: {scores:?}: {refused:?}");
                }
            }
        }
    }

    fn triples<T>(list: &[T]) -> impl Iterator<Item = (&T, &T, &T)> {
        list.iter()
            .flat_map(move |one| list.iter().flat_map(move |two| list.iter().map(move |three| (one, two, three))))
    }
}
