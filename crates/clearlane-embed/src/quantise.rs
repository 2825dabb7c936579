//! INT8 quantisation of detectors, embedders and models for occlusion.

use clearlane_infer::{Quantised, quantise};

use crate::align::AlignedFace;
use crate::error::ModelError;
use crate::frame::Frame;
use crate::manifest::{ModelEntry, Task};
use crate::models::digest;
use crate::tensor::{Input, Letterbox, batch};

/// The pictures by which a model is quantised: some hundred, of the kind that it will see. Each takes twelve
/// bytes a pixel of the model's input.
#[derive(Clone, Debug)]
pub struct QuantisationSamples<'m> {
    entry: &'m ModelEntry,
    onnx: &'m [u8],
    inputs: Input,
}

/// An INT8 model. It is another model than the one it was made from: an INT8 embedder's templates are never compared with those
/// of the embedder that it was made from.
#[derive(Clone, Debug)]
pub struct QuantisedModel {
    /// The ONNX file's bytes.
    pub onnx: Vec<u8>,
    /// Its manifest entry. An embedder's has no calibration, which has to be measured anew; a detector's has those of the
    /// detector it was made from, which have to be measured again.
    pub entry: ModelEntry,
    /// How many convolutions and matrix products run in INT8.
    pub operators: usize,
    /// How many values between them are INT8.
    pub values: usize,
}

impl<'m> QuantisationSamples<'m> {
    /// Begins with the model's manifest entry and its ONNX bytes.
    #[must_use]
    pub fn new(entry: &'m ModelEntry, onnx: &'m [u8]) -> Self {
        Self { entry, onnx, inputs: Input::zeroed(0, &entry.input) }
    }

    /// Adds a face, for an embedder or a model for occlusion.
    pub fn add_face(&mut self, face: &AlignedFace) -> Result<(), ModelError> {
        self.expect(Task::EMBEDDING, &[Task::OCCLUSION])?;
        self.inputs.append(&batch(std::iter::once(face.as_rgb8()), &self.entry.input));
        Ok(())
    }

    /// Adds a frame, for a detector.
    pub fn add_frame(&mut self, frame: &Frame<'_>) -> Result<(), ModelError> {
        self.expect(Task::DETECTION, &[])?;
        self.inputs.append(&Letterbox::new(frame, &self.entry.input).input(frame, &self.entry.input));
        Ok(())
    }

    /// How many pictures have been added.
    #[must_use]
    pub fn pictures(&self) -> usize {
        self.inputs.pictures()
    }

    /// Quantises the model by what its values are on the pictures, as [`clearlane_infer::quantise`] does. `file` is the name
    /// that the new model's file will have.
    pub fn quantise(&self, file: &str) -> Result<QuantisedModel, ModelError> {
        let Self { entry, onnx, inputs } = self;
        let Quantised { onnx, operators, values } =
            quantise(onnx, [3, entry.input.height, entry.input.width], inputs.view())
                .map_err(|source| ModelError::Quantise { name: entry.name.clone(), source })?;
        let task = match &entry.task {
            Task::Embedding { dimension, .. } => Task::Embedding { dimension: *dimension, calibrations: Vec::new() },
            task => task.clone(),
        };
        let entry = ModelEntry {
            name: format!("{}-int8", entry.name),
            file: file.to_owned(),
            sha256: digest(&onnx),
            task,
            source: format!("{}, quantised on {} pictures", entry.source, self.pictures()),
            ..(*entry).clone()
        };
        Ok(QuantisedModel { onnx, entry, operators, values })
    }

    /// Whether the model's task is this one or one of the others; the error names this one.
    fn expect(&self, task: &'static str, others: &[&'static str]) -> Result<(), ModelError> {
        let own = self.entry.task.name();
        if own == task || others.contains(&own) { Ok(()) } else { Err(self.entry.not_for(task)) }
    }
}
