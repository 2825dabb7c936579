//! Where models come from: the built-in ones and folders of ONNX files, by name, each checked against its digest.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::builtin;
use crate::detect::Detector;
use crate::embed::Embedder;
use crate::error::ModelError;
use crate::manifest::{Manifest, ManifestError, ModelEntry, Task};
use crate::pad::Pad;
use crate::quality::Occlusion;

/// The manifest of the models that this project knows: its own, and public ones whose files users bring.
const KNOWN: &str = include_str!("../models/manifest.toml");

/// The name that a manifest has in a folder of models.
const MANIFEST_FILE: &str = "manifest.toml";

/// The largest manifest that is read.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// The largest model file that is read.
const MAX_MODEL_BYTES: u64 = 1 << 30;

/// A model file's digest as manifests have it: SHA-256 in hexadecimal digits.
#[must_use]
pub fn digest(onnx: &[u8]) -> String {
    hex(&Sha256::digest(onnx))
}

/// The available models, by name.
#[derive(Clone, Debug, Default)]
pub struct Models {
    models: Vec<(ModelEntry, Location)>,
}

/// Where a model's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// Compiled into this library.
    Builtin,
    /// In a file.
    File(PathBuf),
}

impl Models {
    /// The models compiled in: none without the feature `builtin`.
    pub fn builtin() -> Result<Self, ModelError> {
        let known = known_manifest()?;
        let compiled_in = known.models.into_iter().filter(|entry| builtin::bytes(&entry.file).is_some());
        Ok(Self { models: compiled_in.map(|entry| (entry, Location::Builtin)).collect() })
    }

    /// Adds a folder's models: those of its `manifest.toml`, or where it has none those that this project's own manifest
    /// knows by file name. A name that was available already now means the folder's model.
    pub fn add_folder(&mut self, folder: impl AsRef<Path>) -> Result<(), ModelError> {
        let folder = folder.as_ref();
        let path = folder.join(MANIFEST_FILE);
        let entries = match at_most(&path, MAX_MANIFEST_BYTES) {
            Ok(bytes) => {
                let text = String::from_utf8(bytes).map_err(|error| error.utf8_error().to_string());
                let manifest =
                    text.map_err(|reason| ManifestError::Syntax { reason }).and_then(|text| Manifest::parse(&text));
                manifest.map_err(|source| ModelError::Manifest { path, source })?.models
            }
            Err(ModelError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                // Reading the folder itself tells a folder without models from one that is not there.
                std::fs::read_dir(folder).map_err(|source| ModelError::Io { path: folder.to_owned(), source })?;
                let mut known = known_manifest()?.models;
                known.retain(|entry| folder.join(&entry.file).is_file());
                known
            }
            Err(error) => return Err(error),
        };
        for entry in entries {
            let file = folder.join(&entry.file);
            self.models.retain(|(earlier, _)| earlier.name != entry.name);
            self.models.push((entry, Location::File(file)));
        }
        Ok(())
    }

    /// The entry of a public model that this project knows, by its file's digest, whatever the file is called now.
    pub fn known(onnx: &[u8]) -> Result<Option<ModelEntry>, ModelError> {
        let digest = digest(onnx);
        Ok(known_manifest()?.models.into_iter().find(|entry| entry.sha256.eq_ignore_ascii_case(&digest)))
    }

    /// Every available model.
    pub fn iter(&self) -> impl Iterator<Item = (&ModelEntry, &Location)> {
        self.models.iter().map(|(entry, location)| (entry, location))
    }

    /// A model's entry and where it is.
    pub fn get(&self, name: &str) -> Result<(&ModelEntry, &Location), ModelError> {
        let found = self.models.iter().find(|(entry, _)| entry.name == name);
        found.map(|(entry, location)| (entry, location)).ok_or_else(|| ModelError::Unknown {
            name: name.to_owned(),
            known: self.models.iter().map(|(entry, _)| entry.name.clone()).collect(),
        })
    }

    /// A model's ONNX bytes, their digest checked.
    pub fn read(&self, name: &str) -> Result<Cow<'static, [u8]>, ModelError> {
        let (entry, location) = self.get(name)?;
        let bytes = match location {
            Location::Builtin => Cow::Borrowed(builtin::bytes(&entry.file).unwrap_or_default()),
            Location::File(path) => Cow::Owned(at_most(path, MAX_MODEL_BYTES)?),
        };
        let found = digest(&bytes);
        if found.eq_ignore_ascii_case(&entry.sha256) {
            return Ok(bytes);
        }
        Err(ModelError::Digest { name: name.to_owned(), expected: entry.sha256.clone(), found })
    }

    /// Loads a detector.
    pub fn detector(&self, name: &str) -> Result<Detector, ModelError> {
        let (entry, _) = self.get(name)?;
        Detector::new(entry, &self.read(name)?)
    }

    /// Loads an embedder.
    pub fn embedder(&self, name: &str) -> Result<Embedder, ModelError> {
        let (entry, _) = self.get(name)?;
        Embedder::new(entry, &self.read(name)?)
    }

    /// Loads the PAD stage out of one or several models, whose scores are averaged.
    pub fn pad<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Pad, ModelError> {
        let mut parts = Vec::new();
        for name in names {
            let (entry, _) = self.get(name)?;
            parts.push((entry, self.read(name)?));
        }
        Pad::new(parts.iter().map(|(entry, bytes)| (*entry, &**bytes)))
    }

    /// Loads a model for occlusion.
    pub fn occlusion(&self, name: &str) -> Result<Occlusion, ModelError> {
        let (entry, _) = self.get(name)?;
        Occlusion::new(entry, &self.read(name)?)
    }

    /// The name of the detector to take where the user names none: the first available.
    pub fn default_detector(&self) -> Result<&str, ModelError> {
        self.first(Task::DETECTION)
    }

    /// The name of the embedder to take where the user names none: the first available.
    pub fn default_embedder(&self) -> Result<&str, ModelError> {
        self.first(Task::EMBEDDING)
    }

    /// The names of all available PAD models.
    pub fn pad_names(&self) -> impl Iterator<Item = &str> {
        self.names(Task::PAD)
    }

    /// The model for occlusion, loaded: of several the one that was added last, since a folder's is meant to take the place of the
    /// built-in one. `None` where there is none, and what covers a face is not assessed.
    pub fn any_occlusion(&self) -> Result<Option<Occlusion>, ModelError> {
        self.names(Task::OCCLUSION).last().map(|name| self.occlusion(name)).transpose()
    }

    fn first(&self, task: &'static str) -> Result<&str, ModelError> {
        self.names(task).next().ok_or(ModelError::NoneForTask { task })
    }

    fn names(&self, task: &'static str) -> impl Iterator<Item = &str> {
        let models = self.models.iter().filter(move |(entry, _)| entry.task.name() == task);
        models.map(|(entry, _)| entry.name.as_str())
    }
}

/// The bytes of the file at `path`, which may grow, or be a device without an end.
fn at_most(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    let io = |source| ModelError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    let too_large = |bytes| ModelError::TooLarge { path: path.to_owned(), bytes, limit };
    let stated = file.metadata().map_err(io)?.len();
    if stated > limit {
        return Err(too_large(stated));
    }
    let mut bytes = Vec::with_capacity(stated as usize);
    let read = file.take(limit + 1).read_to_end(&mut bytes).map_err(io)? as u64;
    if read > limit { Err(too_large(read)) } else { Ok(bytes) }
}

fn known_manifest() -> Result<Manifest, ModelError> {
    Manifest::parse(KNOWN).map_err(|source| ModelError::Manifest { path: PathBuf::from("(built in)"), source })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
