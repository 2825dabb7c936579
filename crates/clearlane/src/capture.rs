//! From the frames of one passage to one probe.

use clearlane_embed::{Component, ExtractError, Extractor, Frame, Quality};
use clearlane_template::Template;

use crate::decision::StageTimes;
use crate::policy::{CaptureRule, PadRule};
use crate::proof::reaches;
use crate::reason::Reason;

mod track;

use track::Track;

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
}

/// Frames are ranked by the weakest component that bears on recognition, then by the sum of these.
type Rank = (u8, u32);

/// The frames of a passage, taken one by one: the best of them make the probe, and all are judged.
///
/// Whatever its quality, its size or the part of it that the border cuts, a face in any frame counts: each PAD score
/// counts, and no further face in any frame may be larger beside the traveller's than the rule allows. A frame that shows no
/// face says nothing.
///
/// Every pair of frames must show one person. In a stream a poor frame, of which no good template can be made, may be shown to
/// be the same person's by the track instead: the face's box moves from frame to frame without a leap, from the poor frame to
/// a later good one that agrees with all others. Poor frames before the first good one of a stream are not compared: whoever
/// they show has left, or is led by the track to the good one. Stills have no track.
pub(crate) struct Watch {
    agreement: f32,
    /// `None` for stills.
    track: Option<Track>,
    /// The PAD scores of all frames with a face.
    pad: Vec<Option<f32>>,
    /// Templates of good frames, the best first.
    good: Vec<(Rank, Template)>,
    /// Templates of poor frames for which no good one of their track speaks.
    poor: Vec<Poor>,
    /// Why the poor frame that came nearest to being good was not.
    nearest: Option<(Rank, Vec<Reason>)>,
    /// The lowest score of two good frames that do not agree.
    doubt: Option<f32>,
}

/// A face of whose quality no probe is made.
struct Poor {
    template: Template,
    /// The number of the track that it is on.
    track: u32,
    /// Its lowest score with another frame, where that does not reach the agreement.
    doubt: Option<f32>,
}

/// What one frame showed.
pub(crate) enum Sight {
    NoFace,
    /// A face that is not fit for the probe, and why.
    Poor(Vec<Reason>),
    Good,
}

impl Watch {
    /// For frames that may be of any order and moment.
    pub(crate) fn of_stills(agreement: f32) -> Self {
        Self { agreement, track: None, pad: Vec::new(), good: Vec::new(), poor: Vec::new(), nearest: None, doubt: None }
    }

    /// For the frames of one camera, in the order in which it gives them.
    pub(crate) fn of_stream(agreement: f32) -> Self {
        Self { track: Some(Track::default()), ..Self::of_stills(agreement) }
    }

    /// Takes the next frame. An error is why the passage is referred, whatever else comes.
    pub(crate) fn frame(
        &mut self,
        extractor: &Extractor,
        frame: &Frame<'_>,
        rule: &CaptureRule,
        times: &mut StageTimes,
    ) -> Result<Sight, Vec<Reason>> {
        let mut observation = match extractor.observe(frame) {
            Ok(observation) => observation,
            Err(ExtractError::NoFace) => {
                if let Some(track) = &mut self.track {
                    track.lose();
                }
                return Ok(Sight::NoFace);
            }
            Err(error) => return Err(vec![refused(&error)]),
        };
        let (rank, reasons) = match extractor.limits(&observation.face, observation.outside) {
            Err(error) => ((0, 0), vec![refused(&error)]),
            Ok(()) => (rank(&observation.quality), too_low(&rule.quality, &observation.quality)),
        };
        let alone = rule.alone(observation.second);
        if let Some(track) = &mut self.track {
            track.follow(&observation.face.bounding_box);
        }
        // A poor frame before the first good one needs no template: see `Watch`.
        let embed = alone && (reasons.is_empty() || self.track.is_none() || !self.good.is_empty());
        let template = embed.then(|| extractor.embed(&mut observation)).transpose();
        times.extraction += observation.timings;
        if !alone {
            return Err(vec![Reason::SeveralFaces { faces: observation.faces }]);
        }
        let template = template.map_err(|error| vec![refused(&error)])?;
        self.pad.push(observation.pad);
        match template {
            Some(template) if reasons.is_empty() => {
                self.add_good(rank, template)?;
                return Ok(Sight::Good);
            }
            Some(template) => self.add_poor(template)?,
            None => {}
        }
        if self.nearest.as_ref().is_none_or(|(nearest, _)| rank >= *nearest) {
            self.nearest = Some((rank, reasons.clone()));
        }
        Ok(Sight::Poor(reasons))
    }

    /// How many frames are fit for the probe.
    pub(crate) fn good(&self) -> usize {
        self.good.len()
    }

    /// Whether a frame does not agree with another, and no good one speaks for it as yet.
    pub(crate) fn doubts(&self) -> bool {
        self.doubt.is_some() || self.poor.iter().any(|poor| poor.doubt.is_some())
    }

    /// How many frames showed a face.
    pub(crate) fn faces(&self) -> usize {
        self.pad.len()
    }

    /// The PAD score of all frames so far, by the rule.
    pub(crate) fn pad(&self, rule: &CaptureRule) -> Option<f32> {
        rule.pad_of(&self.pad)
    }

    /// The probe of the best frames, or why there is none.
    pub(crate) fn capture(&self, rule: &CaptureRule, times: StageTimes) -> Result<Capture, Vec<Reason>> {
        if self.good.is_empty() {
            // The frame that came nearest tells the traveller what to do.
            return Err(self.nearest.as_ref().map_or_else(|| vec![Reason::NoFace], |(_, reasons)| reasons.clone()));
        }
        let doubts = self.poor.iter().filter_map(|poor| poor.doubt).chain(self.doubt);
        if let Some(score) = doubts.min_by(f32::total_cmp) {
            return Err(vec![self.disagree(score)]);
        }
        let best = self.good.iter().take(rule.best_frames).map(|(_, template)| template);
        let probe = Template::mean(best).map_err(|_| vec![Reason::InternalError { stage: "embed".into() }])?;
        Ok(Capture { probe, pad: self.pad(rule), times })
    }

    fn add_good(&mut self, rank: Rank, template: Template) -> Result<(), Vec<Reason>> {
        let agreement = self.agreement;
        if let Some(track) = &self.track {
            // It speaks for the poor ones that the track led here from.
            self.poor.retain(|poor| poor.track != track.number);
        }
        for poor in &mut self.poor {
            poor.doubt = lower(poor.doubt, doubt(&poor.template, &template, agreement)?);
        }
        for (_, other) in &self.good {
            self.doubt = lower(self.doubt, doubt(other, &template, agreement)?);
        }
        if let (Some(score), Some(_)) = (self.doubt, &self.track) {
            // No later frame of a stream makes up for two good ones of different people.
            return Err(vec![self.disagree(score)]);
        }
        let place = self.good.partition_point(|(other, _)| *other >= rank);
        self.good.insert(place, (rank, template));
        Ok(())
    }

    fn add_poor(&mut self, template: Template) -> Result<(), Vec<Reason>> {
        let others = self.good.iter().map(|(_, other)| other).chain(self.poor.iter().map(|poor| &poor.template));
        let mut lowest = None;
        for other in others {
            lowest = lower(lowest, doubt(other, &template, self.agreement)?);
        }
        let track = self.track.as_ref().map_or(0, |track| track.number);
        self.poor.push(Poor { template, track, doubt: lowest });
        Ok(())
    }

    fn disagree(&self, score: f32) -> Reason {
        Reason::FramesDisagree { score, threshold: self.agreement }
    }
}

/// The score of two frames that does not show one person.
fn doubt(one: &Template, other: &Template, agreement: f32) -> Result<Option<f32>, Vec<Reason>> {
    let score = one.score(other).map_err(|_| vec![Reason::InternalError { stage: "embed".into() }])?;
    Ok(Some(score).filter(|score| !reaches(*score, agreement)))
}

fn lower(one: Option<f32>, other: Option<f32>) -> Option<f32> {
    one.into_iter().chain(other).min_by(f32::total_cmp)
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
    fn alone(&self, second: Option<f32>) -> bool {
        second.is_none_or(|size| reaches(self.second_face, size))
    }
}

/// The quality floors that a face does not reach.
pub(crate) fn too_low(floors: &[(Component, f32)], quality: &Quality) -> Vec<Reason> {
    let value = |measure| quality.get(measure).map_or(0.0, |found| f32::from(found.value));
    let below = floors.iter().filter(|(measure, floor)| !reaches(value(*measure), *floor));
    below.map(|&(measure, floor)| Reason::QualityTooLow { measure, value: value(measure), floor }).collect()
}

pub(crate) fn rank(quality: &Quality) -> Rank {
    let values = || {
        let measures = quality.measures().iter().filter(|measure| measure.component.bears_on_recognition());
        measures.map(|measure| measure.value)
    };
    (values().min().unwrap_or(0), values().map(u32::from).sum())
}

/// A face that is not fit for the probe, or what ends the passage: nothing may be made of a frame at which a model failed, or
/// of its neighbours.
fn refused(error: &ExtractError) -> Reason {
    match *error {
        ExtractError::FaceTooSmall { eye_distance, minimum } => Reason::FaceTooSmall { eye_distance, minimum },
        ExtractError::FaceCut { outside } => Reason::FaceCut { outside },
        ExtractError::NotUpright => Reason::FaceNotUpright,
        ExtractError::SeveralFaces { count } => Reason::SeveralFaces { faces: count },
        ref failure => {
            tracing::error!(error = %failure, "a frame could not be processed");
            Reason::InternalError { stage: "capture".into() }
        }
    }
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
