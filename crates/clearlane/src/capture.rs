//! From the frames of one passage to one probe.

use std::time::Instant;

use clearlane_embed::{Component, ExtractError, Extraction, Extractor, Frame, Quality};
use clearlane_template::Template;

use crate::decision::StageTimes;
use crate::policy::CaptureRule;
use crate::reason::Reason;

/// What the frames of one passage gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// The probe: the mean of the templates of the best frames.
    pub probe: Template,
    /// The lowest PAD score of these frames, in [0, 1]; `None` where it was not assessed.
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

    /// Takes the best of `frames`, which must show one person: each pair of templates scores `agreement` or more. Frames
    /// that are not reached before the deadline are left out, but never all.
    pub(crate) fn take(
        extractor: &Extractor,
        frames: &[Frame<'_>],
        rule: &CaptureRule,
        agreement: f32,
        deadline: Instant,
        times: &mut StageTimes,
    ) -> Result<Self, Vec<Reason>> {
        let (mut good, mut refusals) = (Vec::new(), Vec::new());
        for (index, frame) in frames.iter().enumerate() {
            if index > 0 && Instant::now() >= deadline {
                break;
            }
            match extractor.extract(frame) {
                Ok(extraction) => {
                    add_times(times, &extraction);
                    match too_low(&rule.quality, &extraction.quality) {
                        reasons if reasons.is_empty() => good.push(extraction),
                        reasons => refusals.push((rank(&extraction.quality), reasons)),
                    }
                }
                Err(error) => refuse(&error, &mut refusals)?,
            }
        }
        good.sort_by_key(|extraction| std::cmp::Reverse(rank(&extraction.quality)));
        good.truncate(rule.best_frames);
        if good.is_empty() {
            // The frame that came nearest tells the traveller what to do.
            let nearest = refusals.into_iter().max_by_key(|(rank, _)| *rank);
            return Err(nearest.map_or_else(|| vec![Reason::NoFace], |(_, reasons)| reasons));
        }
        one_person(&good, agreement)?;
        let probe = Template::mean(good.iter().map(|extraction| &extraction.template))
            .map_err(|_| vec![Reason::InternalError { stage: "embed" }])?;
        let pad = good.iter().map(|extraction| extraction.liveness).reduce(lowest).flatten();
        Ok(Self { probe, pad, times: *times })
    }
}

impl CaptureRule {
    /// Why a PAD score is not enough.
    pub(crate) fn pad_refuses(&self, pad: Option<f32>) -> Option<Reason> {
        match pad {
            _ if !self.pad_required => None,
            None => Some(Reason::PadNotAssessed),
            Some(score) if score >= self.pad_threshold => None,
            Some(score) => Some(Reason::PadFailed { score, threshold: self.pad_threshold }),
        }
    }
}

/// The quality floors that a face does not reach.
pub(crate) fn too_low(floors: &[(Component, f32)], quality: &Quality) -> Vec<Reason> {
    let value = |measure| quality.get(measure).map_or(0.0, |found| f32::from(found.value));
    let below = floors.iter().filter(|(measure, floor)| value(*measure) < *floor);
    below
        .map(|&(measure, floor)| Reason::QualityTooLow { measure: measure.name(), value: value(measure), floor })
        .collect()
}

/// Frames are ranked by their weakest component, then by the sum of all.
pub(crate) fn rank(quality: &Quality) -> (u8, u32) {
    let weakest = quality.weakest().map_or(0, |measure| measure.value);
    (weakest, quality.measures().iter().map(|measure| u32::from(measure.value)).sum())
}

/// A frame without a usable face leaves the decision to the others. One with several, or one at which a model failed, ends
/// the passage: nothing may be made of the rest.
fn refuse(error: &ExtractError, refusals: &mut Vec<((u8, u32), Vec<Reason>)>) -> Result<(), Vec<Reason>> {
    let unusable = match *error {
        ExtractError::NoFace | ExtractError::Align(_) => return Ok(()),
        ExtractError::FaceTooSmall { eye_distance, minimum } => Reason::FaceTooSmall { eye_distance, minimum },
        ExtractError::FaceCut { outside } => Reason::FaceCut { outside },
        ExtractError::SeveralFaces { count } => return Err(vec![Reason::SeveralFaces { faces: count }]),
        ref failure => {
            tracing::error!(error = %failure, "a frame could not be processed");
            return Err(vec![Reason::InternalError { stage: "capture" }]);
        }
    };
    refusals.push(((0, 0), vec![unusable]));
    Ok(())
}

fn one_person(captures: &[Extraction], agreement: f32) -> Result<(), Vec<Reason>> {
    for (index, one) in captures.iter().enumerate() {
        for other in &captures[..index] {
            let score = one.template.score(&other.template);
            let score = score.map_err(|_| vec![Reason::InternalError { stage: "embed" }])?;
            if score < agreement {
                return Err(vec![Reason::FramesDisagree { score, threshold: agreement }]);
            }
        }
    }
    Ok(())
}

/// One frame that was not assessed leaves the passage not assessed.
fn lowest(one: Option<f32>, other: Option<f32>) -> Option<f32> {
    one.zip(other).map(|(one, other)| one.min(other))
}

fn add_times(times: &mut StageTimes, extraction: &Extraction) {
    let taken = extraction.timings;
    times.detect += taken.detect;
    times.align += taken.align;
    times.quality += taken.quality;
    times.pad += taken.liveness;
    times.embed += taken.embed;
}
