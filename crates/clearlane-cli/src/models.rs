//! Which models a command runs with.

use std::path::PathBuf;

use clap::Args;
use clearlane::PortOptions;
use clearlane_embed::{Detector, Embedder, Extractor, Models, Occlusion, Selection, SmallestFace};

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

    /// The smallest face that counts, in pixels (60) or as a share of the picture's shorter side (5%) [default: 5%, in lanes 10%]
    #[arg(long, value_name = "SIZE", value_parser = smallest_face)]
    pub(crate) min_face: Option<SmallestFace>,

    /// The longer side of the detector's input, in pixels [default: the model's own]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(32..=4096))]
    pub(crate) detector_size: Option<u16>,
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
        if let Some(smallest) = self.min_face {
            options = options.smallest_face(smallest);
        }
        if let Some(side) = self.detector_size {
            options = options.detector_size(usize::from(side));
        }
        options.flip(self.flip)
    }

    pub(crate) fn load_detector(&self) -> Result<Detector> {
        let models = self.available()?;
        let name = self.detector.as_deref().map_or_else(|| models.default_detector(), Ok)?;
        let mut detector = models.detector(name)?;
        if let Some(side) = self.detector_size {
            detector = detector.with_input_size(usize::from(side))?;
        }
        Ok(match self.min_face {
            Some(smallest) => detector.with_smallest_face(smallest),
            None => detector,
        })
    }

    pub(crate) fn load_embedder(&self) -> Result<Embedder> {
        let models = self.available()?;
        let name = self.embedder.as_deref().map_or_else(|| models.default_embedder(), Ok)?;
        Ok(models.embedder(name)?.with_flip(self.flip))
    }

    /// The first available model for occlusion, where there is one.
    pub(crate) fn load_occlusion(&self) -> Result<Option<Occlusion>> {
        Ok(self.available()?.any_occlusion()?)
    }

    pub(crate) fn load_extractor(&self, selection: Selection) -> Result<Extractor> {
        let extractor = Extractor::new(self.load_detector()?, self.load_embedder()?).with_selection(selection);
        Ok(match self.load_occlusion()? {
            Some(occlusion) => extractor.with_occlusion(occlusion),
            None => extractor,
        })
    }
}

/// A size on the command line: pixels, or a share with a percent sign.
fn smallest_face(text: &str) -> Result<SmallestFace, String> {
    let (number, share) = text.strip_suffix('%').map_or((text, false), |number| (number, true));
    let number = number.trim().parse::<f32>().ok().filter(|number| number.is_finite());
    match number {
        Some(percent) if share && percent > 0.0 && percent <= 100.0 => Ok(SmallestFace::Share(percent / 100.0)),
        Some(pixels) if !share && pixels >= 1.0 => Ok(SmallestFace::Pixels(pixels)),
        _ => Err("expected pixels from 1 on, such as 60, or a share of the picture, such as 5%".to_owned()),
    }
}
