//! From a model on floats to one on bytes.

use clearlane_infer::{Quantised, quantise};
use ndarray::Array4;
use sha2::{Digest, Sha256};

use crate::align::AlignedFace;
use crate::error::ModelError;
use crate::frame::Frame;
use crate::manifest::{ModelEntry, Task};
use crate::models::hex;
use crate::tensor::{batch, letterboxes};

/// A quantised model. It is another model than the one it was made from: of an embedder's, templates are never compared with
/// those of the other.
#[derive(Clone, Debug)]
pub struct QuantisedModel {
    /// The ONNX file's bytes.
    pub onnx: Vec<u8>,
    /// Its manifest entry. An embedder's has no thresholds, which have to be measured anew; a detector's has those of the
    /// detector it was made from, which have to be measured again.
    pub entry: ModelEntry,
    /// How many pictures told what its values are.
    pub pictures: usize,
    /// How many convolutions and matrix products run on bytes.
    pub operators: usize,
    /// How many values between them are bytes.
    pub values: usize,
}

/// Quantises an embedder by what its values are on some hundred aligned faces, as
/// [`clearlane_infer::quantise`] does. `file` is the name that the new model's file will have.
pub fn quantise_embedder(
    entry: &ModelEntry,
    onnx: &[u8],
    faces: &[AlignedFace],
    file: &str,
) -> Result<QuantisedModel, ModelError> {
    let Task::Embedding { dimension, .. } = entry.task else {
        return Err(ModelError::Task { name: entry.name.clone(), wanted: "embedding" });
    };
    let task = Task::Embedding { dimension, thresholds: Vec::new() };
    let faces = batch(faces.iter().map(AlignedFace::as_rgb8), &entry.input);
    quantised(entry, onnx, task, &faces, file)
}

/// Quantises a detector by what its values are on some hundred frames, each of which takes 12 bytes an input pixel meanwhile.
/// Otherwise as [`quantise_embedder`].
pub fn quantise_detector<'f>(
    entry: &ModelEntry,
    onnx: &[u8],
    frames: impl IntoIterator<Item = Frame<'f>>,
    file: &str,
) -> Result<QuantisedModel, ModelError> {
    let Task::Detection { .. } = entry.task else {
        return Err(ModelError::Task { name: entry.name.clone(), wanted: "detection" });
    };
    let inputs = letterboxes(frames, &entry.input);
    quantised(entry, onnx, entry.task.clone(), &inputs, file)
}

fn quantised(
    entry: &ModelEntry,
    onnx: &[u8],
    task: Task,
    inputs: &Array4<f32>,
    file: &str,
) -> Result<QuantisedModel, ModelError> {
    let pictures = inputs.dim().0;
    let quantised = quantise(onnx, [3, entry.input.height, entry.input.width], inputs.view())
        .map_err(|source| ModelError::Quantise { name: entry.name.clone(), source })?;
    let entry = ModelEntry {
        name: format!("{}-int8", entry.name),
        file: file.to_owned(),
        sha256: hex(&Sha256::digest(&quantised.onnx)),
        task,
        source: format!("{}, quantised on {pictures} pictures", entry.source),
        ..entry.clone()
    };
    let Quantised { onnx, operators, values } = quantised;
    Ok(QuantisedModel { onnx, entry, pictures, operators, values })
}
