//! Finding faces: boxes, five landmarks and scores, in the coordinates of the upright frame.

mod plausible;
mod retinaface;
mod scales;
mod scrfd;
mod shapes;
mod standing;
mod yunet;

use std::ops::RangeInclusive;
use std::sync::Arc;

use clearlane_infer::{InferError, Network, Options};
use clearlane_template::ModelId;
use ndarray::ArrayD;
pub use scales::SmallestFace;
use scales::View;
use serde::{Deserialize, Serialize};
use shapes::{Shape, Shapes};
pub use standing::Orientation;

use crate::error::ModelError;
use crate::frame::Frame;
use crate::geometry::{BoundingBox, Point};
use crate::manifest::{InputSpec, ModelEntry, Task};
use crate::tensor::{Input, Letterbox, scale_into};

/// A face that a detector found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Face {
    /// The face's box. It may reach beyond the frame.
    pub bounding_box: BoundingBox,
    /// Eyes, nose tip and mouth corners; of each pair the one on the left of the picture first.
    pub landmarks: [Point; 5],
    /// The detector's score, in (0, 1].
    pub score: f32,
}

impl Face {
    /// The distance between the eyes in pixels.
    #[must_use]
    pub fn eye_distance(&self) -> f32 {
        self.landmarks[0].distance(self.landmarks[1])
    }

    /// The longer side of the box, in pixels.
    #[must_use]
    pub fn longer_side(&self) -> f32 {
        self.bounding_box.width().max(self.bounding_box.height())
    }

    fn overlap(&self, other: &Self) -> f32 {
        self.bounding_box.overlap(&other.bounding_box)
    }

    /// The part of the face's box that lies outside a frame of this size, in [0, 1]; 1 where a landmark is outside.
    #[must_use]
    pub fn outside(&self, width: u32, height: u32) -> f32 {
        let frame = BoundingBox { x0: -0.5, y0: -0.5, x1: width as f32 - 0.5, y1: height as f32 - 0.5 };
        let area = self.bounding_box.area();
        if area <= 0.0 || !self.landmarks.iter().all(|point| frame.contains(*point)) {
            return 1.0;
        }
        1.0 - self.bounding_box.intersection(&frame).area() / area
    }
}

/// How a family of detectors lays out its outputs. A new family is one file, and a line in [`FAMILIES`].
trait Family: Send + Sync {
    /// Adds every face of at least `min_score`, in input pixels. An error says what does not fit.
    fn decode(
        &self,
        outputs: &[ArrayD<f32>],
        input: &InputSpec,
        min_score: f32,
        faces: &mut Vec<Face>,
    ) -> Result<(), String>;
}

const FAMILIES: &[(&str, &dyn Family)] =
    &[("scrfd", &scrfd::Scrfd), ("yunet", &yunet::YuNet), ("retinaface", &retinaface::RetinaFace)];

/// Faces that one frame may give before overlaps are removed; the rest, of lower score, is dropped. A crowd has hundreds;
/// a broken model could mark every cell, and removing overlaps takes time with the square of their number.
const MAX_CANDIDATES: usize = 2048;

/// A frame that is narrower, in pixels, shows no face.
const NARROWEST: u32 = 12;

/// A box is given where it is so much smaller than the smallest face: boxes are not exact.
const BOX_ERROR: f32 = 0.8;

/// From this overlap on two boxes are of one face: boxes of small faces are coarse.
const SAME_FACE: f32 = 0.3;

/// Small faces that are looked at a second time, those of the best score.
const SECOND_LOOKS: usize = 6;

/// A face detector: a network with its family's way to read it. `Send + Sync`; any number of threads may share one.
///
/// It looks at the whole frame in the model's own input first. Where that shows no face that is large there, it looks at finer
/// scales, until a face of the [`SmallestFace`] would be found. A frame with one face near the camera thus costs one run; a
/// frame without any costs them all: with the default, of 1280 × 720 pixels, some 25 times as much.
///
/// The first frame of another shape than the model's input takes some ten milliseconds more for each scale: a network for frames
/// of that shape is made then. It takes memory in proportion to its input; there are twelve at most.
pub struct Detector {
    name: String,
    model: ModelId,
    shapes: Shapes,
    family: &'static dyn Family,
    score_threshold: f32,
    overlap_threshold: f32,
    smallest: SmallestFace,
}

impl Detector {
    /// What [`Detector::with_input_size`] is asked for, in pixels.
    pub const INPUT_SIZES: RangeInclusive<usize> = 32..=4096;

    /// Loads a detector from its manifest entry and its ONNX bytes, and runs it once, so that a model whose outputs do
    /// not fit its family is refused here.
    pub fn new(entry: &ModelEntry, onnx: &[u8]) -> Result<Self, ModelError> {
        let Task::Detection { family, score_threshold, overlap_threshold } = &entry.task else {
            return Err(entry.not_for(Task::DETECTION));
        };
        let (name, family) = (family, entry.family(family, FAMILIES)?);
        let shapes = Shapes::new(onnx, &entry.input)
            .map_err(|source| ModelError::Network { name: entry.name.clone(), source })?;
        let detector = Self {
            name: entry.name.clone(),
            model: ModelId::digest([onnx, name.as_bytes(), format!("{:?}", entry.input).as_bytes()]),
            shapes,
            family,
            score_threshold: *score_threshold,
            overlap_threshold: *overlap_threshold,
            smallest: SmallestFace::default(),
        };
        detector.try_out(detector.shapes.own())?;
        Ok(detector)
    }

    /// The same detector with another score threshold, in (0, 1), than its manifest's.
    #[must_use]
    pub fn with_score_threshold(mut self, threshold: f32) -> Self {
        self.score_threshold = threshold;
        self
    }

    /// The same detector for faces from another size on.
    #[must_use]
    pub fn with_smallest_face(mut self, smallest: SmallestFace) -> Self {
        self.smallest = smallest;
        self
    }

    /// The same detector with an input whose longer side has so many pixels, a multiple of 32, in place of the model's own. A larger
    /// one sees smaller faces at the first look, and misses those that fill it; where the graph cannot be made over it is an error.
    pub fn with_input_size(mut self, side: usize) -> Result<Self, ModelError> {
        let own = &self.shapes.own().input;
        let longer = own.width.max(own.height).max(1);
        let scaled = |length: usize| (length * side / longer).next_multiple_of(STRIDES[2]).max(STRIDES[2]);
        let input = InputSpec { width: scaled(own.width), height: scaled(own.height), ..own.clone() };
        self.shapes = self.shapes.resized(input).map_err(|source| self.failed(source))?;
        self.try_out(self.shapes.own())?;
        Ok(self)
    }

    /// The smallest face that counts.
    #[must_use]
    pub fn smallest_face(&self) -> SmallestFace {
        self.smallest
    }

    /// The model's name in its manifest.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its faces depend on beside the frame, as a text: the digest of the ONNX bytes, how they are fed and read, and the
    /// thresholds.
    pub(crate) fn recipe(&self) -> String {
        let Self { model, score_threshold, overlap_threshold, smallest, .. } = self;
        let InputSpec { width, height, .. } = self.shapes.own().input;
        format!("{model} {width}x{height} score {score_threshold:?} overlap {overlap_threshold:?} from {smallest:?}")
    }

    /// The network for the model's own input, to show how it runs.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.shapes.own().network
    }

    /// The faces in a frame, best score first, in the coordinates of the upright picture.
    pub fn detect(&self, frame: &Frame<'_>) -> Result<Vec<Face>, ModelError> {
        let size = [frame.width(), frame.height()];
        if size.iter().any(|side| *side < NARROWEST) {
            return Ok(Vec::new());
        }
        let smallest = self.smallest.pixels(frame);
        let letterbox = Letterbox::new(frame, &self.shapes.own().input);
        let whole = View { origin: [0, 0], size, scaled: [letterbox.width, letterbox.height] };
        let mut scale = letterbox.scale;
        let mut faces = self.look(frame, &whole, scale)?.unwrap_or_default();
        for finer in scales::finer(size, letterbox.scale, smallest) {
            if faces.iter().any(|face| face.longer_side() * scale >= scales::ENOUGH) {
                break;
            }
            let tiles = scales::tiles(size, finer);
            let seen = tiles.iter().map(|tile| self.look(frame, tile, finer)).collect::<Result<Option<Vec<_>>, _>>()?;
            let Some(found) = seen.map(|seen| seen.concat()) else { break };
            let found = self.seen_again(frame, without_overlaps(found, self.overlap_threshold), finer)?;
            // What is too large for the finer scale was seen on the one before.
            let beside = |face: &Face| found.iter().all(|other| other.overlap(face) <= self.overlap_threshold);
            faces.retain(beside);
            faces.extend(found);
            scale = finer;
        }
        faces.retain(|face| face.longer_side() >= BOX_ERROR * smallest);
        faces.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(faces)
    }

    /// The faces in a part of a frame, in the frame's coordinates. `scale` is the exact one that the view's size was rounded from.
    /// None where the view is larger than the model's own input and its graph cannot be made over for it.
    fn look(&self, frame: &Frame<'_>, view: &View, scale: f32) -> Result<Option<Vec<Face>>, ModelError> {
        let shape = self.shapes.get(self.shapes.for_picture(view.scaled), |onnx, input| {
            let shape =
                Shape::new(onnx, input, &Options::default().refitted()).map_err(|source| self.failed(source))?;
            self.try_out(&shape).map(|()| shape)
        });
        let own = self.shapes.own();
        let Some(shape) = shape.or_else(|| own.holds(view.scaled).then(|| Arc::clone(own))) else { return Ok(None) };
        let whole = view.size == [frame.width(), frame.height()];
        let window = whole.then(|| frame.reduced(view.scaled)).flatten().unwrap_or_else(|| {
            let (origin, part) = frame.part_in_memory(view.origin, view.size);
            frame.window(origin, part)
        });
        let mut faces = shape.kept.with(&shape.input, |input| {
            scale_into(input, &window, view.scaled, &shape.input);
            self.decode(&shape, input)
        })?;
        let [left, top] = view.origin.map(|side| side as f32);
        for face in &mut faces {
            let place = |x: f32, y: f32| (x / scale + left, y / scale + top);
            let BoundingBox { x0, y0, x1, y1 } = face.bounding_box;
            let ((x0, y0), (x1, y1)) = (place(x0, y0), place(x1, y1));
            face.bounding_box = BoundingBox { x0, y0, x1, y1 };
            face.landmarks = face.landmarks.map(|p| {
                let (x, y) = place(p.x, p.y);
                Point::new(x, y)
            });
        }
        Ok(Some(faces))
    }

    /// Small faces once more, each by itself and larger: those that are not seen again are none, and the landmarks of the others
    /// are precise.
    fn seen_again(&self, frame: &Frame<'_>, faces: Vec<Face>, scale: f32) -> Result<Vec<Face>, ModelError> {
        let own = &self.shapes.own().input;
        let mut sure = Vec::new();
        let mut looks = 0;
        for face in faces {
            if face.longer_side() * scale >= scales::ENOUGH || looks == SECOND_LOOKS {
                sure.push(face);
                continue;
            }
            looks += 1;
            let centre = face.bounding_box.centre();
            let size = [frame.width(), frame.height()];
            let view = scales::closer([centre.x, centre.y], face.longer_side(), size, own.width.min(own.height));
            let again = self.look(frame, &view, view.scale())?.unwrap_or_default();
            sure.extend(again.into_iter().find(|again| again.overlap(&face) >= SAME_FACE));
        }
        Ok(sure)
    }

    fn failed(&self, source: InferError) -> ModelError {
        ModelError::Network { name: self.name.clone(), source }
    }

    /// Runs a network on an empty picture, to see that its outputs are the family's.
    fn try_out(&self, shape: &Shape) -> Result<(), ModelError> {
        self.decode(shape, &Input::zeroed(1, &shape.input)).map(drop)
    }

    fn decode(&self, shape: &Shape, input: &Input) -> Result<Vec<Face>, ModelError> {
        let run = shape.network.run(input.view());
        let outputs = run.map_err(|source| self.failed(source))?;
        let mut faces = Vec::new();
        self.family
            .decode(&outputs, &shape.input, self.score_threshold, &mut faces)
            .map_err(|problem| ModelError::Outputs { name: self.name.clone(), problem })?;
        Ok(without_overlaps(faces, self.overlap_threshold))
    }
}

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detector")
            .field("name", &self.name)
            .field("input", &self.shapes.own().input)
            .finish_non_exhaustive()
    }
}

/// Greedy non-maximum suppression, best score first; equal scores keep the order of the network's cells.
fn without_overlaps(mut faces: Vec<Face>, threshold: f32) -> Vec<Face> {
    let sound = |face: &Face| {
        let BoundingBox { x0, y0, x1, y1 } = face.bounding_box;
        let area = face.bounding_box.area();
        // A box that ends before it begins is no face, whatever its score.
        [x0, y0, x1, y1].iter().all(|value| value.is_finite())
            && (x0 < x1 && y0 < y1 && area > 0.0 && area.is_finite())
            && face.landmarks.iter().all(|point| point.x.is_finite() && point.y.is_finite())
    };
    faces.retain(sound);
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    faces.truncate(MAX_CANDIDATES);
    let mut kept: Vec<Face> = Vec::new();
    for face in faces {
        if kept.iter().all(|better| better.overlap(&face) <= threshold) {
            kept.push(face);
        }
    }
    kept
}

/// The strides of the three grids that most detectors predict on, in input pixels.
const STRIDES: [usize; 3] = [8, 16, 32];

/// The values of output `index`, which must be `rows` × `columns`.
fn values(outputs: &[ArrayD<f32>], index: usize, rows: usize, columns: usize) -> Result<&[f32], String> {
    let output = outputs.get(index).ok_or_else(|| format!("expected an output {index}, got {}", outputs.len()))?;
    match output.as_slice() {
        Some(values) if values.len() == rows * columns => Ok(values),
        _ => Err(format!("output {index}: expected {rows} x {columns} values, got shape {:?}", output.shape())),
    }
}

/// The cells of one grid in the order of the outputs: rows of cells, each cell's column and row.
fn cells(input: &InputSpec, stride: usize) -> impl Iterator<Item = (f32, f32)> {
    let (columns, rows) = grid(input, stride);
    (0..rows).flat_map(move |y| (0..columns).map(move |x| (x as f32, y as f32)))
}

fn grid(input: &InputSpec, stride: usize) -> (usize, usize) {
    (input.width.div_ceil(stride), input.height.div_ceil(stride))
}
