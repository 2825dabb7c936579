//! Finding faces: boxes, five landmarks and scores, in the coordinates of the frame as given.

mod scrfd;
mod shapes;
mod yunet;

use clearlane_infer::{InferError, Network, Options};
use clearlane_template::ModelId;
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use shapes::{Shape, Shapes};

use crate::error::ModelError;
use crate::frame::Frame;
use crate::geometry::{BoundingBox, Point};
use crate::manifest::{InputSpec, ModelEntry, Task};
use crate::tensor::{Input, Letterbox};

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

const FAMILIES: &[(&str, &dyn Family)] = &[("scrfd", &scrfd::Scrfd), ("yunet", &yunet::YuNet)];

/// Faces that one frame may give before overlaps are removed; the rest, of lower score, is dropped. A crowd has hundreds;
/// a broken model could mark every cell, and removing overlaps takes time with the square of their number.
const MAX_CANDIDATES: usize = 2048;

/// A face detector: a network with its family's way to read it. `Send + Sync`; any number of threads may share one.
///
/// The first frame of another shape than the model's input, wider or higher, takes some ten milliseconds more: a network
/// for frames of that shape is made then, which spares the part of the input that they leave black. It takes as much memory as
/// the first; frames of all shapes make eight at most.
pub struct Detector {
    name: String,
    model: ModelId,
    shapes: Shapes,
    family: &'static dyn Family,
    score_threshold: f32,
    overlap_threshold: f32,
    minimum_face: f32,
}

impl Detector {
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
            minimum_face: 0.0,
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

    /// The same detector, dropping boxes whose longer side is under `pixels` of the frame.
    #[must_use]
    pub fn with_minimum_face(mut self, pixels: f32) -> Self {
        self.minimum_face = pixels;
        self
    }

    /// The model's name in its manifest.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its faces depend on beside the frame, as a text: the digest of the ONNX bytes, how they are fed and read, and the
    /// thresholds.
    pub(crate) fn recipe(&self) -> String {
        let Self { model, score_threshold, overlap_threshold, minimum_face, .. } = self;
        format!("{model} score {score_threshold:?} overlap {overlap_threshold:?} from {minimum_face:?}")
    }

    /// The network for the model's own input, to show how it runs.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.shapes.own().network
    }

    /// The faces in a frame, best score first.
    pub fn detect(&self, frame: &Frame<'_>) -> Result<Vec<Face>, ModelError> {
        let letterbox = Letterbox::new(frame, &self.shapes.own().input);
        let shape = self.shapes.holding(letterbox.width, letterbox.height, |onnx, input| {
            let shape =
                Shape::new(onnx, input, &Options::default().refitted()).map_err(|source| self.failed(source))?;
            self.try_out(&shape).map(|()| shape)
        });
        let mut faces = self.decode(shape, &letterbox.input(frame, &shape.input))?;
        let unscale = |value: f32| value / letterbox.scale;
        for face in &mut faces {
            let BoundingBox { x0, y0, x1, y1 } = face.bounding_box;
            face.bounding_box = BoundingBox { x0: unscale(x0), y0: unscale(y0), x1: unscale(x1), y1: unscale(y1) };
            face.landmarks = face.landmarks.map(|p| Point::new(unscale(p.x), unscale(p.y)));
        }
        let longer = |face: &Face| face.bounding_box.width().max(face.bounding_box.height());
        faces.retain(|face| longer(face) >= self.minimum_face);
        Ok(faces)
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
        if kept.iter().all(|better| better.bounding_box.overlap(&face.bounding_box) <= threshold) {
            kept.push(face);
        }
    }
    kept
}

/// The strides of the three grids that SCRFD and YuNet predict on, in input pixels.
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
