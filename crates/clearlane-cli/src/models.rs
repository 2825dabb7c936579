//! Which models a command runs with.

use std::path::PathBuf;

use clap::Args;
use clearlane::PortOptions;
use clearlane_embed::{Detector, Embedder, Extractor, Models, Selection};

use crate::failure::Result;

/// The choice of models.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Models")]
pub(crate) struct ModelArgs {
    /// A folder with ONNX models, and a manifest.toml that describes them; known public ones need none. May be given
    /// several times
    #[arg(long, value_name = "DIR", env = "CLEARLANE_MODELS")]
    pub(crate) models: Vec<PathBuf>,

    /// The detector, by its name in the manifest [default: the first available]
    #[arg(long, value_name = "NAME")]
    pub(crate) detector: Option<String>,

    /// The embedder, by its name in the manifest [default: the first available]
    #[arg(long, value_name = "NAME")]
    pub(crate) embedder: Option<String>,

    /// Average each template with that of the mirrored face: twice the time, a little more accurate
    #[arg(long)]
    pub(crate) flip: bool,
}

impl ModelArgs {
    /// The available models: those compiled in, and those of the folders.
    pub(crate) fn available(&self) -> Result<Models> {
        let mut models = Models::builtin()?;
        for folder in &self.models {
            models.add_folder(folder)?;
        }
        Ok(models)
    }

    /// A port with these models.
    pub(crate) fn choose(&self, mut options: PortOptions) -> PortOptions {
        for folder in &self.models {
            options = options.models(folder);
        }
        if let Some(detector) = &self.detector {
            options = options.detector(detector);
        }
        if let Some(embedder) = &self.embedder {
            options = options.embedder(embedder);
        }
        options.flip(self.flip)
    }

    pub(crate) fn load_detector(&self) -> Result<Detector> {
        let models = self.available()?;
        let name = self.detector.as_deref().map_or_else(|| models.default_detector(), Ok)?;
        Ok(models.detector(name)?)
    }

    pub(crate) fn load_embedder(&self) -> Result<Embedder> {
        let models = self.available()?;
        let name = self.embedder.as_deref().map_or_else(|| models.default_embedder(), Ok)?;
        Ok(models.embedder(name)?.with_flip(self.flip))
    }

    pub(crate) fn load_extractor(&self, selection: Selection) -> Result<Extractor> {
        Ok(Extractor::new(self.load_detector()?, self.load_embedder()?).with_selection(selection))
    }
}
