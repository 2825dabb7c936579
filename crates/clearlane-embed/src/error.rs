//! What can go wrong with models and with a frame, split by who is at fault.

use std::path::PathBuf;

use clearlane_infer::{InferError, QuantiseError};
use clearlane_template::{TemplateError, shown};

use crate::align::AlignError;
use crate::manifest::ManifestError;

/// Why a model cannot be used. The fault is in the model's files or their manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// No model of this name is available.
    #[error("no model is named `{name}`; available: {}", listed(known))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names that are available.
        known: Vec<String>,
    },
    /// No available model does this task.
    #[error("no {task} model is available: name a folder that holds one")]
    NoneForTask {
        /// The task.
        task: &'static str,
    },
    /// The manifest is wrong.
    #[error("cannot use {}", shown(path))]
    Manifest {
        /// The manifest's file.
        path: PathBuf,
        /// What is wrong.
        source: ManifestError,
    },
    /// A file could not be read.
    #[error("cannot read {}", shown(path))]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any face model.
    #[error("{} has {bytes} bytes, over the limit of {limit}", shown(path))]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The file is not the one that the manifest describes: damaged, cut short or replaced.
    #[error("model `{name}`: expected a file with the SHA-256 {expected}, as its manifest says, got {found}")]
    Digest {
        /// The model.
        name: String,
        /// The manifest's digest.
        expected: String,
        /// The file's digest.
        found: String,
    },
    /// The model does another task than the one it was loaded for.
    #[error("model `{name}`: expected a model for {expected}, got one for {found}")]
    Task {
        /// The model.
        name: String,
        /// What it was loaded for.
        expected: &'static str,
        /// Its task in the manifest.
        found: &'static str,
    },
    /// The manifest names a family of models that is not known here.
    #[error("model `{name}`: expected one of the {task} families {}, got `{family}`", listed(known))]
    Family {
        /// The model.
        name: String,
        /// Its task.
        task: &'static str,
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
    #[error("the outputs of model `{name}` do not fit its manifest: {problem}")]
    Outputs {
        /// The model.
        name: String,
        /// What does not fit.
        problem: String,
    },
}

/// Why a frame is a failure to acquire. The fault is in the picture, but for `Model`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// No face was found.
    #[error("no face in the picture")]
    NoFace,
    /// Several faces were found.
    #[error("expected one face in the picture, got {count}")]
    SeveralFaces {
        /// How many.
        count: usize,
    },
    /// The face is smaller than asked for.
    #[error("the face is too small: expected {minimum:.0} pixels between the eyes, got {eye_distance:.0}")]
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
    /// What was found cannot be a face that stands upright: see [`Face::is_plausible`](crate::Face::is_plausible).
    #[error(
        "no usable face: the landmarks are not those of an upright face; if the picture is turned, say how, or have all four \
         orientations tried"
    )]
    NotUpright,
    /// The landmarks give no alignment.
    #[error(transparent)]
    Align(#[from] AlignError),
    /// The embedder's output has NaN, or no direction.
    #[error("the embedder's output cannot be a template")]
    Template(#[from] TemplateError),
    /// A model failed on this frame.
    #[error(transparent)]
    Model(#[from] ModelError),
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
