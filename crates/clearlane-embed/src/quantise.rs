//! From an embedder on floats to one on bytes.

use clearlane_infer::quantise;
use sha2::{Digest, Sha256};

use crate::align::AlignedFace;
use crate::error::ModelError;
use crate::manifest::{ModelEntry, Task};
use crate::models::hex;
use crate::tensor::batch;

/// A quantised embedder: another model, whose templates are never compared with those of the one it was made from.
#[derive(Clone, Debug)]
pub struct QuantisedModel {
    /// The ONNX file's bytes.
    pub onnx: Vec<u8>,
    /// Its manifest entry, without thresholds: they have to be measured anew.
    pub entry: ModelEntry,
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
    let images = batch(faces.iter().map(AlignedFace::as_rgb8), &entry.input);
    let quantised = quantise(onnx, [3, entry.input.height, entry.input.width], images.view())
        .map_err(|source| ModelError::Quantise { name: entry.name.clone(), source })?;
    let entry = ModelEntry {
        name: format!("{}-int8", entry.name),
        file: file.to_owned(),
        sha256: hex(&Sha256::digest(&quantised.onnx)),
        task: Task::Embedding { dimension, thresholds: Vec::new() },
        source: format!("{}, quantised on {} faces", entry.source, faces.len()),
        ..entry.clone()
    };
    Ok(QuantisedModel { onnx: quantised.onnx, entry, operators: quantised.operators, values: quantised.values })
}
