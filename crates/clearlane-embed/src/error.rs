//! What can go wrong with models and with a frame, split by who is at fault.

use std::path::PathBuf;

use clearlane_infer::{InferError, QuantiseError};
use clearlane_template::TemplateError;

use crate::align::AlignError;
use crate::manifest::ManifestError;

/// Why a model cannot be used. The fault is in the model's files or their manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// No model of this name is at hand.
    #[error("no model is named `{name}`; at hand: {}", listed(known))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names at hand.
        known: Vec<String>,
    },
    /// No model at hand does this task.
    #[error("no {task} model is at hand: name a folder that holds one")]
    NoneForTask {
        /// The task.
        task: &'static str,
    },
    /// The manifest is wrong.
    #[error("cannot use {}", path.display())]
    Manifest {
        /// The manifest's file.
        path: PathBuf,
        /// What is wrong.
        source: ManifestError,
    },
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any face model.
    #[error("{} has {bytes} bytes, over the limit of {limit}", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The file is not the one that the manifest describes: damaged, cut short or replaced.
    #[error("model `{name}` is not the file of its manifest: its SHA-256 is {found}, not {expected}")]
    Digest {
        /// The model.
        name: String,
        /// The manifest's digest.
        expected: String,
        /// The file's digest.
        found: String,
    },
    /// The model does another task than the one it was loaded for.
    #[error("model `{name}` is not for {wanted}")]
    Task {
        /// The model.
        name: String,
        /// What it was loaded for.
        wanted: &'static str,
    },
    /// The manifest names a family of detectors that is not known here.
    #[error("model `{name}` is of the unknown detector family `{family}`; known: {}", listed(known))]
    Family {
        /// The model.
        name: String,
        /// Its family.
        family: String,
        /// The families there are.
        known: Vec<String>,
    },
    /// The network cannot be loaded or run.
    #[error("model `{name}` cannot be run")]
    Network {
        /// The model.
        name: String,
        /// Why.
        source: InferError,
    },
    /// The model cannot be quantised.
    #[error("model `{name}` cannot be quantised")]
    Quantise {
        /// The model.
        name: String,
        /// Why.
        source: QuantiseError,
    },
    /// The network's outputs are not those of its family.
    #[error("model `{name}` has other outputs than its manifest says: {problem}")]
    Outputs {
        /// The model.
        name: String,
        /// What does not fit.
        problem: String,
    },
}

/// Why a frame gave no template. The fault is in the picture, but for `Model`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// No face was found.
    #[error("no face in the picture")]
    NoFace,
    /// Several faces were found where one is wanted.
    #[error("{count} faces in the picture where one is wanted")]
    SeveralFaces {
        /// How many.
        count: usize,
    },
    /// The face is smaller than asked for.
    #[error("the face is too small: {eye_distance:.0} pixels between the eyes, {minimum:.0} are wanted")]
    FaceTooSmall {
        /// Pixels between the eyes.
        eye_distance: f32,
        /// The minimum set.
        minimum: f32,
    },
    /// The frame's border cuts the face.
    #[error("the picture's border cuts the face: {:.0} % of it is outside", 100.0 * outside)]
    FaceCut {
        /// The part of the face's box that is outside the frame, in [0, 1].
        outside: f32,
    },
    /// The landmarks give no alignment.
    #[error(transparent)]
    Align(#[from] AlignError),
    /// The embedder's output is no template: NaN, of no direction.
    #[error("the embedder gave no template")]
    Template(#[from] TemplateError),
    /// A model failed on this frame.
    #[error(transparent)]
    Model(#[from] ModelError),
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
