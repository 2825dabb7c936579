//! Presentation attack detection (PAD, ISO/IEC 30107-1): whether a face in a frame is bona fide, by models whose scores are
//! averaged. This is not a certified PAD subsystem, and its error rates were measured on no benchmark here.

mod minivision;

use clearlane_infer::Network;
use ndarray::ArrayD;

use crate::detect::Face;
use crate::error::ModelError;
use crate::frame::Frame;
use crate::geometry::BoundingBox;
use crate::manifest::{InputSpec, ModelEntry, Task};
use crate::tensor::Input;

/// What a family of PAD models sees of a face, and how it lays out its outputs. A new family is one file, and a line in
/// [`FAMILIES`].
trait Family: Send + Sync {
    /// The network's input for a face of a frame. An error says what does not fit.
    fn input(&self, frame: &Frame<'_>, face: &Face, model: &PadModel) -> Result<Input, String>;

    /// The PAD score, in [0, 1]: 1 for a bona fide face. An error says what does not fit.
    fn score(&self, outputs: &[ArrayD<f32>], model: &PadModel) -> Result<f32, String>;
}

const FAMILIES: &[(&str, &dyn Family)] = &[("minivision", &minivision::Minivision)];

/// The PAD stage: one or several models. `Send + Sync`; any number of threads may share one.
#[derive(Debug)]
pub struct Pad {
    models: Vec<PadModel>,
}

/// A network with its family's way to feed and read it.
struct PadModel {
    name: String,
    network: Network,
    family: &'static dyn Family,
    input: InputSpec,
    /// As the manifest's entry has them, see [`Task::Pad`].
    crop: f32,
    live_class: usize,
}

impl Pad {
    /// Loads the stage from manifest entries with their ONNX bytes; at least one. Each is run once, so that a model whose
    /// outputs do not fit its family is refused here.
    pub fn new<'a>(models: impl IntoIterator<Item = (&'a ModelEntry, &'a [u8])>) -> Result<Self, ModelError> {
        let models =
            models.into_iter().map(|(entry, onnx)| PadModel::new(entry, onnx)).collect::<Result<Vec<_>, _>>()?;
        if models.is_empty() {
            return Err(ModelError::NoneForTask { task: Task::PAD });
        }
        Ok(Self { models })
    }

    /// The PAD score of a face in a frame: the mean of the models' scores, in [0, 1]; 1 for a bona fide face.
    pub fn assess(&self, frame: &Frame<'_>, face: &Face) -> Result<f32, ModelError> {
        let mut sum = 0.0;
        for model in &self.models {
            let input = model.family.input(frame, face, model).map_err(|problem| model.unfit(problem))?;
            sum += model.score(&input)?;
        }
        Ok(sum / self.models.len() as f32)
    }
}

impl Pad {
    /// The part of an upright frame of this size that is looked at for a face: its box enlarged, and shifted into the frame.
    pub(crate) fn seen(&self, face: &BoundingBox, [width, height]: [u32; 2]) -> BoundingBox {
        let centre = face.centre();
        let most = self.models.iter().map(|model| model.crop).fold(1.0, f32::max);
        let place = |centre: f32, length: f32, limit: u32| {
            let begin = (centre - length / 2.0).min(limit as f32 - length).max(0.0);
            (begin, begin + length)
        };
        let ((x0, x1), (y0, y1)) =
            (place(centre.x, most * face.width(), width), place(centre.y, most * face.height(), height));
        BoundingBox { x0, y0, x1, y1 }
    }
}

impl PadModel {
    fn new(entry: &ModelEntry, onnx: &[u8]) -> Result<Self, ModelError> {
        let Task::Pad { family, crop, live_class } = &entry.task else { return Err(entry.not_for(Task::PAD)) };
        let family = entry.family(family, FAMILIES)?;
        let network = Network::from_onnx(onnx, [3, entry.input.height, entry.input.width])
            .map_err(|source| ModelError::Network { name: entry.name.clone(), source })?;
        let (name, input) = (entry.name.clone(), entry.input.clone());
        let model = Self { name, network, family, input, crop: *crop, live_class: *live_class };
        model.score(&Input::zeroed(1, &model.input))?;
        Ok(model)
    }

    fn score(&self, input: &Input) -> Result<f32, ModelError> {
        let run = self.network.run(input.view());
        let outputs = run.map_err(|source| ModelError::Network { name: self.name.clone(), source })?;
        self.family.score(&outputs, self).map_err(|problem| self.unfit(problem))
    }

    fn unfit(&self, problem: String) -> ModelError {
        ModelError::Outputs { name: self.name.clone(), problem }
    }
}

impl std::fmt::Debug for PadModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PadModel").field("name", &self.name).finish_non_exhaustive()
    }
}
