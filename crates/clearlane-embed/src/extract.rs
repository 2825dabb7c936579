//! From a frame to a template: each stage in turn, with the time that it took.

use std::sync::Arc;

use clearlane_template::{ModelId, Template};
use serde::{Deserialize, Serialize};
use tracing::debug_span;

use crate::align::{self, AlignError, AlignedFace, FacePatch};
use crate::detect::{Detector, Face, Orientation};
use crate::embed::Embedder;
use crate::error::{ExtractError, ModelError};
use crate::frame::Frame;
use crate::geometry::{BoundingBox, Point};
use crate::pad::Pad;
use crate::quality::{self, Component, Occlusion, Quality};
use crate::rotation::Rotation;
use crate::stage::{Stage, Timings};

/// The text that stands for how a picture becomes a frame, a frame the detector's input, and how networks are computed, in
/// [`Extractor::recipe`]: a change there, in this crate, in the decoders or in the kernels under it, means another number here.
const DECODING: &str = concat!("clearlane-embed ", env!("CARGO_PKG_VERSION"), ", decoding and networks 4");

/// Which face of a frame is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    /// The only one; several are an error. For enrolment.
    #[default]
    Only,
    /// The largest: the traveller who stands at the gate, before those who wait behind.
    Largest,
    /// The one whose box's centre is nearest to the frame's centre: photographs of datasets.
    Central,
}

/// Detects, aligns, assesses and embeds the face of a frame. `Send + Sync`: one extractor serves any number of threads,
/// with the same results. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Extractor {
    detector: Arc<Detector>,
    embedder: Arc<Embedder>,
    pad: Option<Arc<Pad>>,
    occlusion: Option<Arc<Occlusion>>,
    selection: Selection,
    orientation: Orientation,
    minimum_eye_distance: f32,
    maximum_outside: f32,
}

/// What a frame gave.
#[derive(Clone, Debug)]
pub struct Extraction {
    /// The selected face, in the coordinates of the upright picture.
    pub face: Face,
    /// By how much the picture had to be turned to stand upright: the frame's own rotation, or the one that was found.
    pub rotation: Rotation,
    /// The part of the face's box outside of the frame, in [0, 1]; 1 where a landmark is outside.
    pub outside: f32,
    /// How many faces were found.
    pub faces: usize,
    /// The size of the largest other face relative to the selected one, as lengths: √(area / area) of their boxes, above 1
    /// where it is the larger. `None` where the face is alone.
    pub second: Option<f32>,
    /// The face as the embedder saw it.
    pub aligned: AlignedFace,
    /// Its quality.
    pub quality: Quality,
    /// Its PAD score, in [0, 1], 1 for a bona fide face; `None` without a PAD stage: not assessed.
    pub pad: Option<f32>,
    /// Its template.
    pub template: Template,
    /// The time that each stage took.
    pub timings: Timings,
}

/// What a frame shows before a template is made of it: see [`Extractor::observe`].
#[derive(Clone, Debug)]
pub struct Observation {
    /// The selected face, in the coordinates of the upright picture.
    pub face: Face,
    /// By how much the picture had to be turned to stand upright: the frame's own rotation, or the one that was found.
    pub rotation: Rotation,
    /// The part of the face's box outside of the frame, in [0, 1]; 1 where a landmark is outside.
    pub outside: f32,
    /// How many faces were found.
    pub faces: usize,
    /// As [`Extraction::second`].
    pub second: Option<f32>,
    /// The face as the embedder will see it.
    pub aligned: AlignedFace,
    /// Its quality.
    pub quality: Quality,
    /// As [`Extraction::pad`].
    pub pad: Option<f32>,
    /// The time that each stage took.
    pub timings: Timings,
}

impl Extractor {
    /// An extractor of these models that takes the only face of a frame, of any size, at most a quarter of it outside.
    #[must_use]
    pub fn new(detector: impl Into<Arc<Detector>>, embedder: impl Into<Arc<Embedder>>) -> Self {
        Self {
            detector: detector.into(),
            embedder: embedder.into(),
            pad: None,
            occlusion: None,
            selection: Selection::default(),
            orientation: Orientation::default(),
            minimum_eye_distance: 0.0,
            maximum_outside: 0.25,
        }
    }

    /// The same extractor with another way to select the face.
    #[must_use]
    pub fn with_selection(mut self, selection: Selection) -> Self {
        self.selection = selection;
        self
    }

    /// The same extractor with another way to know how frames stand.
    #[must_use]
    pub fn with_orientation(mut self, orientation: Orientation) -> Self {
        self.orientation = orientation;
        self
    }

    /// The same extractor with a PAD stage.
    #[must_use]
    pub fn with_pad(mut self, pad: impl Into<Arc<Pad>>) -> Self {
        self.pad = Some(pad.into());
        self
    }

    /// The same extractor, with what covers a face among its quality components.
    #[must_use]
    pub fn with_occlusion(mut self, occlusion: impl Into<Arc<Occlusion>>) -> Self {
        self.occlusion = Some(occlusion.into());
        self
    }

    /// The same extractor, refusing faces with fewer pixels between the eyes.
    #[must_use]
    pub fn with_minimum_eye_distance(mut self, pixels: f32) -> Self {
        self.minimum_eye_distance = pixels;
        self
    }

    /// The same extractor, refusing faces with more than this part of their box, in [0, 1], outside the frame. A landmark
    /// outside counts as a whole face outside.
    #[must_use]
    pub fn with_maximum_outside(mut self, part: f32) -> Self {
        self.maximum_outside = part;
        self
    }

    /// The detector.
    #[must_use]
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// The embedder.
    #[must_use]
    pub fn embedder(&self) -> &Embedder {
        &self.embedder
    }

    /// Whether it can assess a quality component: those of [`Component::OCCLUSION`] only with a model that gives them.
    #[must_use]
    pub fn assesses(&self, component: Component) -> bool {
        let given = |occlusion: &Arc<Occlusion>| occlusion.components().contains(&component);
        !Component::OCCLUSION.contains(&component) || self.occlusion.as_ref().is_some_and(given)
    }

    /// The digest of all that a template depends on beside the picture: both models, the settings, and the way in which
    /// pictures are decoded. Where it is the same, so is the template of the same picture file on the same machine, read by
    /// [`Frame::decode`] within the same limits; a caller who keeps templates keeps them under it. A frame of the file's pixels has
    /// another by some last digits: of a large JPEG the detector sees a picture that the decoder made small.
    #[must_use]
    pub fn recipe(&self) -> [u8; 32] {
        let Self {
            detector,
            embedder,
            selection,
            orientation,
            minimum_eye_distance,
            maximum_outside,
            pad: _,
            occlusion: _,
        } = self;
        let settings =
            format!("{selection:?} {orientation:?} eyes {minimum_eye_distance:?} outside {maximum_outside:?}");
        let parts = [DECODING, &detector.recipe(), &embedder.recipe(), &settings];
        *ModelId::digest(parts.map(str::as_bytes)).as_bytes()
    }

    /// The same digest of all that a quality depends on: how components are measured, and the model for occlusion.
    #[must_use]
    pub fn quality_recipe(&self) -> [u8; 32] {
        let occlusion = self.occlusion.as_ref().map_or("", |occlusion| occlusion.recipe());
        let (recipe, measuring) = (self.recipe(), Quality::recipe());
        *ModelId::digest([&recipe, measuring.as_bytes(), occlusion.as_bytes()]).as_bytes()
    }

    /// The template of the selected face of a frame, and everything else that was found out about it.
    pub fn extract(&self, frame: &Frame<'_>) -> Result<Extraction, ExtractError> {
        self.complete(self.observe_where(frame, |face, outside| self.limits(face, outside))?)
    }

    /// As [`Extractor::extract`], but of a face that is too small, cut or not upright as well, for a caller who has to judge every face.
    /// [`Extractor::limits`] says whether it is.
    pub fn extract_any(&self, frame: &Frame<'_>) -> Result<Extraction, ExtractError> {
        self.complete(self.observe(frame)?)
    }

    /// The templates of up to `most` faces of a frame, the largest first, and everything else that was found out about each. Faces
    /// beyond the extractor's [limits](Extractor::limits) are left out, and so are those whose landmarks give no alignment; which
    /// [`Selection`] it has does not matter. Without a face there is none. The time of the detection stands with each.
    pub fn extract_all(&self, frame: &Frame<'_>, most: usize) -> Result<Vec<Extraction>, ExtractError> {
        let span = debug_span!("extract-all", width = frame.width(), height = frame.height());
        let _entered = span.enter();
        let mut timings = Timings::default();
        let (frame, faces) = timings.timed(Stage::Detect, || self.detect(frame))?;
        let outside = |face: &Face| face.outside(frame.width(), frame.height());
        let mut usable: Vec<&Face> = faces.iter().filter(|face| self.limits(face, outside(face)).is_ok()).collect();
        usable.sort_by(|a, b| b.bounding_box.area().total_cmp(&a.bounding_box.area()));
        let mut extractions = Vec::new();
        for face in usable {
            if extractions.len() == most {
                break;
            }
            match self.observe_face(&frame, face, &faces, timings) {
                Ok(observation) => extractions.push(self.complete(observation)?),
                Err(ExtractError::Align(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(extractions)
    }

    /// All that a frame shows but the template, which is half of the work: for a caller who may not need one of every frame.
    /// A face that is too small, cut or not upright is observed as well: see [`Extractor::limits`].
    pub fn observe(&self, frame: &Frame<'_>) -> Result<Observation, ExtractError> {
        self.observe_where(frame, |_, _| Ok(()))
    }

    /// Whether a face of which this part lies outside of its frame is as large as the extractor asks, as far inside, and upright;
    /// the error says why not.
    pub fn limits(&self, face: &Face, outside: f32) -> Result<(), ExtractError> {
        if !face.is_plausible() {
            return Err(ExtractError::NotUpright);
        }
        let inside = outside <= self.maximum_outside;
        if !inside {
            return Err(ExtractError::FaceCut { outside });
        }
        let eye_distance = face.eye_distance();
        let large = eye_distance >= self.minimum_eye_distance;
        if !large {
            return Err(ExtractError::FaceTooSmall { eye_distance, minimum: self.minimum_eye_distance });
        }
        Ok(())
    }

    fn observe_where(
        &self,
        frame: &Frame<'_>,
        accept: impl FnOnce(&Face, f32) -> Result<(), ExtractError>,
    ) -> Result<Observation, ExtractError> {
        let span = debug_span!("extract", width = frame.width(), height = frame.height());
        let _entered = span.enter();
        let mut timings = Timings::default();
        let (frame, faces) = timings.timed(Stage::Detect, || self.detect(frame))?;
        let face = self.select(&frame, &faces)?;
        accept(face, face.outside(frame.width(), frame.height()))?;
        self.observe_face(&frame, face, &faces, timings)
    }

    /// What a frame shows of `face`, one of its `faces`, which took these times until now.
    fn observe_face(
        &self,
        frame: &Frame<'_>,
        face: &Face,
        faces: &[Face],
        mut timings: Timings,
    ) -> Result<Observation, ExtractError> {
        let outside = face.outside(frame.width(), frame.height());
        let second = second(face, faces);
        frame.look_around(self.surroundings(frame, face)?);
        let (patch, aligned) = timings.timed(Stage::Align, || {
            let patch = FacePatch::new(frame, &face.landmarks)?;
            let aligned = patch.aligned();
            Ok::<_, AlignError>((patch, aligned))
        })?;
        let quality = timings.timed(Stage::Quality, || {
            let quality = Quality::of_patch(frame, &patch, &aligned, face, faces)?;
            let covered = self.occlusion.as_ref().map(|occlusion| occlusion.assess(&aligned)).transpose()?;
            Ok::<_, ExtractError>(quality.with(covered.into_iter().flatten()))
        })?;
        let pad = match &self.pad {
            Some(pad) => Some(timings.timed(Stage::Pad, || pad.assess(frame, face))?),
            None => None,
        };
        let (faces, face, rotation) = (faces.len(), face.clone(), frame.rotation());
        Ok(Observation { face, rotation, outside, faces, second, aligned, quality, pad, timings })
    }

    /// What is looked at of a frame, as it lies in memory, once its face is known.
    fn surroundings(&self, frame: &Frame<'_>, face: &Face) -> Result<BoundingBox, AlignError> {
        let seen = align::from_aligned(frame, &face.landmarks)?.bounds(&quality::seen());
        let seen = self.pad.as_ref().map_or(seen, |pad| {
            let box_seen = pad.seen(&face.bounding_box, [frame.width(), frame.height()]);
            seen.union(&frame.to_memory().map_or(box_seen, |turned| turned.bounds(&box_seen)))
        });
        // Samples lie between pixels.
        Ok(seen.widened(4.0))
    }

    /// The faces of a frame, and the frame as it stands.
    fn detect<'f>(&self, frame: &'f Frame<'_>) -> Result<(Frame<'f>, Vec<Face>), ModelError> {
        let (rotation, faces) = self.detector.detect_standing(frame, self.orientation)?;
        Ok((frame.view().with_rotation(rotation), faces))
    }

    /// The template of an observed face. Its time is added to the observation's.
    pub fn embed(&self, observation: &mut Observation) -> Result<Template, ExtractError> {
        let Observation { aligned, timings, .. } = observation;
        let template = timings.timed(Stage::Embed, || self.embedder.embed(aligned))?;
        let total_us = timings.total().as_micros() as u64;
        tracing::debug!(faces = observation.faces, total_us, "extracted");
        Ok(template)
    }

    fn complete(&self, mut observation: Observation) -> Result<Extraction, ExtractError> {
        let template = self.embed(&mut observation)?;
        let Observation { face, rotation, outside, faces, second, aligned, quality, pad, timings } = observation;
        Ok(Extraction { face, rotation, outside, faces, second, aligned, quality, pad, template, timings })
    }

    fn select<'f>(&self, frame: &Frame<'_>, faces: &'f [Face]) -> Result<&'f Face, ExtractError> {
        let centre = Point::new(frame.width() as f32 / 2.0, frame.height() as f32 / 2.0);
        let from_centre = |face: &Face| face.bounding_box.centre().distance(centre);
        let face = match self.selection {
            Selection::Only if faces.len() > 1 => return Err(ExtractError::SeveralFaces { count: faces.len() }),
            Selection::Only => faces.first(),
            Selection::Largest => faces.iter().max_by(|a, b| a.bounding_box.area().total_cmp(&b.bounding_box.area())),
            Selection::Central => faces.iter().min_by(|a, b| from_centre(a).total_cmp(&from_centre(b))),
        };
        face.ok_or(ExtractError::NoFace)
    }
}

/// The size of the largest of the other faces relative to this one's.
fn second(face: &Face, faces: &[Face]) -> Option<f32> {
    let others = faces.iter().filter(|other| !std::ptr::eq(*other, face));
    let largest = others.map(|other| other.bounding_box.area()).max_by(f32::total_cmp)?;
    Some((largest / face.bounding_box.area()).sqrt())
}

#[cfg(all(test, feature = "builtin"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{DecodeLimits, Models};

    /// A face in the middle of a large picture: the surroundings of a face are a small part of it.
    #[test]
    fn of_a_large_jpeg_no_more_is_decoded_than_the_face_needs() {
        let models = Models::builtin().unwrap();
        let detector = models.detector(models.default_detector().unwrap()).unwrap();
        let extractor = Extractor::new(detector, models.embedder(models.default_embedder().unwrap()).unwrap());
        let face = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/fictional/enrolled/f0000/plain-1.jpg");
        let face = image::open(face).unwrap().into_rgb8();
        let mut picture = image::RgbImage::from_pixel(1280, 960, image::Rgb([90, 100, 110]));
        image::imageops::replace(&mut picture, &face, 500, 300);
        let mut jpeg = Vec::new();
        image::codecs::jpeg::JpegEncoder::new(&mut jpeg).encode_image(&picture).unwrap();
        let frame = Frame::decode(&jpeg, &DecodeLimits::default()).unwrap();
        extractor.extract(&frame).unwrap();
        assert!(!frame.is_made(), "all pixels were made");
    }
}
