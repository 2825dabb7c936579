//! The model manifest: what a model file is for, how to feed it, where it comes from. TOML.

use serde::{Deserialize, Serialize};

use crate::align::ALIGNED_SIDE;
use crate::error::ModelError;
use crate::population::Population;
use crate::quality::Component;

/// The models that one manifest describes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// One entry a model; names are unique.
    #[serde(default, rename = "model")]
    pub models: Vec<ModelEntry>,
}

/// One model: its file, its task and its preprocessing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// The name by which it is asked for.
    pub name: String,
    /// The ONNX file's name, in the manifest's folder.
    pub file: String,
    /// The SHA-256 digest of the file, 64 hexadecimal digits.
    pub sha256: String,
    /// What the model does, with what that task needs to know.
    pub task: Task,
    /// How pixels become the model's input.
    pub input: InputSpec,
    /// The licence of the weights, in words.
    pub licence: String,
    /// Where the weights come from.
    pub source: String,
}

/// What a model does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Task {
    /// Finds faces with five landmarks.
    Detection {
        /// How its outputs are read, such as `scrfd` or `yunet`.
        family: String,
        /// Faces of a lower score are dropped. In (0, 1).
        score_threshold: f32,
        /// Of two boxes that overlap more (intersection over union), the one of lower score is dropped. In (0, 1].
        overlap_threshold: f32,
    },
    /// Turns an aligned face into a template.
    Embedding {
        /// How many values its output has.
        dimension: usize,
        /// What was measured for it, each of one population; a population is named once.
        #[serde(default, rename = "calibration", skip_serializing_if = "Vec::is_empty")]
        calibrations: Vec<MeasuredCalibration>,
    },
    /// Presentation attack detection (PAD) on a crop around the face. Manifests may call it `liveness` too.
    #[serde(alias = "liveness")]
    Pad {
        /// How faces are cut out and its outputs are read; `minivision` where the manifest names none.
        #[serde(default = "minivision")]
        family: String,
        /// The crop's size as a multiple of the face box's.
        crop: f32,
        /// Which output is a live face.
        live_class: usize,
    },
    /// Estimates how much of an aligned face something covers: quality components of their own.
    Occlusion {
        /// What its outputs say, in their order, each as a share in [0, 1]: some of [`Component::OCCLUSION`], none twice. A
        /// component that no model gives is not assessed.
        components: Vec<Component>,
    },
}

fn minivision() -> String {
    "minivision".to_owned()
}

impl Task {
    pub(crate) const DETECTION: &str = "detection";
    pub(crate) const EMBEDDING: &str = "embedding";
    pub(crate) const PAD: &str = "pad";
    pub(crate) const OCCLUSION: &str = "occlusion";

    /// The word for it in manifests: `detection`, `embedding`, `pad` or `occlusion`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Detection { .. } => Self::DETECTION,
            Self::Embedding { .. } => Self::EMBEDDING,
            Self::Pad { .. } => Self::PAD,
            Self::Occlusion { .. } => Self::OCCLUSION,
        }
    }
}

/// How pixels become a model's input: `(value − mean) / std` for each channel, planes in the order of `colour`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The order of the planes, which is the order of `mean` and `std` too.
    pub colour: ColourOrder,
    /// Subtracted from each channel's value in 0–255.
    pub mean: [f32; 3],
    /// Divides each channel.
    pub std: [f32; 3],
}

/// The order of colour planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColourOrder {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// Thresholds that were measured on one population.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredCalibration {
    /// On whom. Policies ask for it by this name.
    pub population: Population,
    /// On which comparisons, in words.
    pub measured_on: String,
    /// The thresholds, in any order; at least one.
    pub thresholds: Vec<CalibratedThreshold>,
}

/// A threshold with the false match rate that was measured at it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibratedThreshold {
    /// The false match rate, in (0, 1).
    pub fmr: f64,
    /// The comparison score from which on two templates match, in [-1, 1].
    pub threshold: f32,
    /// What sets it apart from the others, such as other comparisons or an extrapolation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Why a manifest is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not TOML, or not a manifest; the text names line and column.
    #[error("not a model manifest: {reason}")]
    Syntax {
        /// What is wrong, with the line.
        reason: String,
    },
    /// Two entries share a name.
    #[error("two models are named `{name}`")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// Thresholds in the form of earlier versions, which did not say on whom they were measured.
    #[error(
        "model `{model}`: expected `[[model.task.embedding.calibration]]` tables, got a list `thresholds` in \
         [model.task.embedding]: move it into such a table, beside `population = \"NAME\"` and `measured_on = \"TEXT\"`, which \
         say on whom it was measured"
    )]
    NamelessThresholds {
        /// The entry.
        model: String,
    },
    /// A field's value is out of its range.
    #[error("model `{model}`: {field} {problem}")]
    Field {
        /// The entry.
        model: String,
        /// The field.
        field: &'static str,
        /// What it must be.
        problem: String,
    },
}

/// The largest side of a model's input: far above any face model, low enough that a manifest cannot ask for all memory.
const MAX_INPUT_SIDE: usize = 4096;

/// The longest name or text, in bytes.
const MAX_TEXT: usize = 1024;

/// The most calibrations of one model, and the most thresholds of one calibration: each decision goes through them.
const MAX_CALIBRATIONS: usize = 64;
const MAX_THRESHOLDS: usize = 1024;

impl Manifest {
    /// Reads and checks a manifest.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let syntax = |error: toml::de::Error| ManifestError::Syntax { reason: error.to_string() };
        let tables: toml::Value = toml::from_str(text).map_err(syntax)?;
        thresholds_have_a_population(&tables)?;
        let manifest: Self = toml::from_str(text).map_err(syntax)?;
        tables_are_tables(&tables, false)?;
        for (index, entry) in manifest.models.iter().enumerate() {
            entry.check()?;
            if manifest.models[..index].iter().any(|earlier| earlier.name == entry.name) {
                return Err(ManifestError::Duplicate { name: entry.name.clone() });
            }
        }
        Ok(manifest)
    }

    /// The manifest as text that [`parse`](Self::parse) reads.
    pub fn to_toml(&self) -> Result<String, ManifestError> {
        toml::to_string(self).map_err(|error| ManifestError::Syntax { reason: error.to_string() })
    }
}

/// Whoever has thresholds of an earlier form is told how to write them now.
fn thresholds_have_a_population(manifest: &toml::Value) -> Result<(), ManifestError> {
    let models = manifest.get("model").and_then(toml::Value::as_array).map_or(&[][..], Vec::as_slice);
    let nameless = |model: &&toml::Value| {
        let embedding = model.get("task").and_then(|task| task.get("embedding"));
        embedding.is_some_and(|embedding| embedding.get("thresholds").is_some())
    };
    let Some(model) = models.iter().find(nameless) else { return Ok(()) };
    let name = model.get("name").and_then(toml::Value::as_str).unwrap_or("?");
    Err(ManifestError::NamelessThresholds { model: name.chars().take(64).collect() })
}

/// Derived types also read a table from a list of its values, which nobody means to write: such lists are refused.
fn tables_are_tables(value: &toml::Value, list: bool) -> Result<(), ManifestError> {
    const LISTS: [&str; 6] = ["model", "mean", "std", "calibration", "thresholds", "components"];
    match value {
        toml::Value::Table(table) => {
            table.iter().try_for_each(|(key, value)| tables_are_tables(value, LISTS.contains(&key.as_str())))
        }
        toml::Value::Array(values) if list => values.iter().try_for_each(|value| tables_are_tables(value, false)),
        toml::Value::Array(values) => {
            let reason = format!("expected a table, got a list of {} values", values.len());
            Err(ManifestError::Syntax { reason })
        }
        _ => Ok(()),
    }
}

impl ModelEntry {
    /// The family that the entry names, out of those known for its task.
    pub(crate) fn family<F: Copy>(&self, family: &str, known: &[(&str, F)]) -> Result<F, ModelError> {
        let found = known.iter().find(|(name, _)| *name == family);
        found.map(|(_, family)| *family).ok_or_else(|| ModelError::Family {
            name: self.name.clone(),
            task: self.task.name(),
            family: family.to_owned(),
            known: known.iter().map(|(name, _)| (*name).to_owned()).collect(),
        })
    }

    pub(crate) fn not_for(&self, task: &'static str) -> ModelError {
        ModelError::Task { name: self.name.clone(), expected: task, found: self.task.name() }
    }

    fn check(&self) -> Result<(), ManifestError> {
        let require = |holds: bool, field: &'static str, problem: &str| {
            let error = || ManifestError::Field { model: self.name.clone(), field, problem: problem.to_owned() };
            if holds { Ok(()) } else { Err(error()) }
        };
        let digits = self.sha256.len() == 64 && self.sha256.bytes().all(|digit| digit.is_ascii_hexdigit());
        // Names and texts are printed.
        let printable = |text: &str| (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control);
        let words = format!("must be 1 to {MAX_TEXT} bytes without control characters");
        require(printable(&self.name), "name", &words)?;
        require(printable(&self.licence), "licence", &words)?;
        require(printable(&self.source), "source", &words)?;
        require(digits, "sha256", "must be 64 hexadecimal digits")?;
        // A manifest names files in its own folder, never elsewhere on the machine.
        let plain = printable(&self.file) && !self.file.contains(['/', '\\']) && self.file != ".." && self.file != ".";
        require(plain, "file", "must be a file's name without a folder")?;
        let InputSpec { width, height, mean, std, .. } = &self.input;
        let sides = (1..=MAX_INPUT_SIDE).contains(width) && (1..=MAX_INPUT_SIDE).contains(height);
        require(sides, "input", &format!("must have sides of 1 to {MAX_INPUT_SIDE} pixels"))?;
        require(mean.iter().all(|value| value.is_finite()), "input.mean", "must be finite")?;
        require(std.iter().all(|value| value.is_finite() && *value > 0.0), "input.std", "must be over 0 and finite")?;
        let aligned = *width == ALIGNED_SIDE && *height == ALIGNED_SIDE;
        match &self.task {
            Task::Detection { score_threshold, overlap_threshold, .. } => {
                require(*score_threshold > 0.0 && *score_threshold < 1.0, "score_threshold", "must be within (0, 1)")?;
                let sound = *overlap_threshold > 0.0 && *overlap_threshold <= 1.0;
                require(sound, "overlap_threshold", "must be within (0, 1]")
            }
            Task::Embedding { dimension, calibrations } => {
                let sound = (1..=clearlane_template::MAX_DIMENSION).contains(dimension);
                require(sound, "dimension", "is outside what a template may have")?;
                require(aligned, "input", "must be 112 x 112 for an embedding model")?;
                let few = calibrations.len() <= MAX_CALIBRATIONS;
                require(few, "calibration", &format!("must be of {MAX_CALIBRATIONS} populations at most"))?;
                for (index, calibration) in calibrations.iter().enumerate() {
                    let MeasuredCalibration { population, measured_on, thresholds } = calibration;
                    let first = calibrations[..index].iter().all(|earlier| earlier.population != *population);
                    require(first, "calibration", &format!("names the population `{population}` twice"))?;
                    require(printable(measured_on), "calibration.measured_on", &words)?;
                    let some = (1..=MAX_THRESHOLDS).contains(&thresholds.len());
                    require(some, "calibration.thresholds", &format!("must be 1 to {MAX_THRESHOLDS}"))?;
                    let sound = |point: &CalibratedThreshold| {
                        point.fmr > 0.0 && point.fmr < 1.0 && (-1.0..=1.0).contains(&point.threshold)
                    };
                    let range = "need fmr in (0, 1) and threshold in [-1, 1]";
                    require(thresholds.iter().all(sound), "calibration.thresholds", range)?;
                    let noted = thresholds.iter().filter_map(|point| point.note.as_deref()).all(printable);
                    require(noted, "calibration.thresholds.note", &words)?;
                }
                Ok(())
            }
            Task::Pad { crop, .. } => require((1.0..=16.0).contains(crop), "crop", "must be within [1, 16]"),
            Task::Occlusion { components } => {
                require(aligned, "input", "must be 112 x 112 for a model for occlusion")?;
                let once = |(index, component)| !components[..index].contains(component);
                let fit = !components.is_empty()
                    && components.iter().all(|component| Component::OCCLUSION.contains(component))
                    && components.iter().enumerate().all(once);
                let names = Component::OCCLUSION.map(Component::name).join(", ");
                require(fit, "components", &format!("must be some of {names}, none twice"))
            }
        }
    }
}
