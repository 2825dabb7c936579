//! From aligned faces to templates.

use clearlane_infer::Network;
use clearlane_template::{ModelId, Template};

use crate::align::AlignedFace;
use crate::error::{ExtractError, ModelError};
use crate::manifest::{InputSpec, MeasuredCalibration, ModelEntry, Task};
use crate::tensor::batch;

/// Makes templates of aligned faces: a network, bound to its preprocessing by the [`ModelId`] that every
/// template of it carries. `Send + Sync`; any number of threads may share one.
pub struct Embedder {
    name: String,
    network: Network,
    input: InputSpec,
    dimension: usize,
    calibrations: Vec<MeasuredCalibration>,
    id: ModelId,
    flip: bool,
}

impl Embedder {
    /// Loads an embedder from its manifest entry and its ONNX bytes. A network whose output is not the entry's dimension
    /// is refused here.
    pub fn new(entry: &ModelEntry, onnx: &[u8]) -> Result<Self, ModelError> {
        let Task::Embedding { dimension, calibrations } = &entry.task else {
            return Err(entry.not_for(Task::EMBEDDING));
        };
        let network = Network::from_onnx(onnx, [3, entry.input.height, entry.input.width])
            .map_err(|source| ModelError::Network { name: entry.name.clone(), source })?;
        let sizes: Vec<usize> = network.outputs().iter().map(|output| output.shape().iter().product()).collect();
        if sizes.first() != Some(dimension) {
            let problem = format!("expected {dimension} values, got outputs of {sizes:?}");
            return Err(ModelError::Outputs { name: entry.name.clone(), problem });
        }
        Ok(Self {
            name: entry.name.clone(),
            network,
            input: entry.input.clone(),
            dimension: *dimension,
            calibrations: calibrations.clone(),
            id: ModelId::digest([onnx, preprocessing(&entry.input).as_bytes()]),
            flip: false,
        })
    }

    /// The same embedder, averaging each face with its mirror image: twice the time, a little more accuracy. The
    /// templates stay comparable to those without, and keep the same [`ModelId`].
    #[must_use]
    pub fn with_flip(mut self, flip: bool) -> Self {
        self.flip = flip;
        self
    }

    /// The model's name in its manifest.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the templates are bound to: the digest of the ONNX bytes and the preprocessing.
    #[must_use]
    pub fn model_id(&self) -> ModelId {
        self.id
    }

    /// What its templates depend on beside the face, as a text.
    pub(crate) fn recipe(&self) -> String {
        format!("{} flip {}", self.id, self.flip)
    }

    /// How many values a template has.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The thresholds that were measured for the model, by population.
    #[must_use]
    pub fn calibrations(&self) -> &[MeasuredCalibration] {
        &self.calibrations
    }

    /// The network, to show how it runs.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The template of one aligned face.
    pub fn embed(&self, face: &AlignedFace) -> Result<Template, ExtractError> {
        let mut templates = self.embed_batch(std::slice::from_ref(face))?;
        // One face in, one template out.
        templates.pop().ok_or_else(|| self.outputs_error("expected an output for the face, got none".to_owned()).into())
    }

    /// The templates of several aligned faces, in one run of the network.
    pub fn embed_batch(&self, faces: &[AlignedFace]) -> Result<Vec<Template>, ExtractError> {
        if faces.is_empty() {
            return Ok(Vec::new());
        }
        let mirrored: Vec<AlignedFace> =
            if self.flip { faces.iter().map(AlignedFace::flipped).collect() } else { Vec::new() };
        let pictures: Vec<&[u8]> = faces.iter().chain(&mirrored).map(AlignedFace::as_rgb8).collect();
        let input = batch(pictures.into_iter(), &self.input);
        let outputs =
            self.network.run(input.view()).map_err(|source| ModelError::Network { name: self.name.clone(), source })?;
        let rows = faces.len() + mirrored.len();
        let values = match outputs.first().and_then(|output| output.as_slice()) {
            Some(values) if values.len() == rows * self.dimension => values,
            _ => return Err(self.outputs_error(format!("expected {rows} x {} values", self.dimension)).into()),
        };
        let mut templates = values
            .chunks_exact(self.dimension)
            .map(|row| Template::normalised(self.id, row.to_vec()))
            .collect::<Result<Vec<_>, _>>()?;
        if self.flip {
            let flipped = templates.split_off(faces.len());
            templates = templates
                .iter()
                .zip(&flipped)
                .map(|pair| Template::mean([pair.0, pair.1]))
                .collect::<Result<_, _>>()?;
        }
        Ok(templates)
    }

    fn outputs_error(&self, problem: String) -> ModelError {
        ModelError::Outputs { name: self.name.clone(), problem }
    }
}

impl std::fmt::Debug for Embedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedder").field("name", &self.name).field("id", &self.id).finish_non_exhaustive()
    }
}

/// The text that stands for the preprocessing in a [`ModelId`]. Changing how faces are aligned or sampled means changing
/// its first line: templates from before would no longer be comparable.
fn preprocessing(input: &InputSpec) -> String {
    let InputSpec { width, height, colour, mean, std } = input;
    format!("clearlane aligned-112 bilinear 1\n{width}x{height} {colour:?} mean {mean:?} std {std:?}")
}
