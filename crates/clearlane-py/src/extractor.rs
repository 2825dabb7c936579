//! From pictures to templates, and two pictures compared.

use std::path::PathBuf;

use clearlane::embed::{Embedder, Models};
use clearlane::{Calibration, CalibrationError};
use numpy::{IntoPyArray as _, PyArray1};
use pyo3::prelude::*;

use crate::answers::Verification;
use crate::failure::{Result, detached};
use crate::pictures::Pictures;
use crate::port::{input_side, orientation, selection, smallest_face};
use crate::values::to_python;

/// Makes templates of pictures: detects, aligns and embeds the face.
///
/// models: folders of models beside those built in.
/// detector, embedder: models by name; the first ones available by default.
/// selection: whose face counts where a picture shows several: "only" (several are an error), "largest" or "central".
/// orientation: how pictures stand: "given", as they come, or "auto", whichever of four ways shows the surest face.
/// min_face: the smallest face that counts, in pixels (1 or more) or as a share of the picture's shorter side (below 1).
/// detector_size: the longer side of the detector's input in pixels, 32 to 4096; the model's own by default.
/// flip: whether each template is averaged with that of the mirrored face: twice the time, a little more accurate.
#[pyclass(frozen, module = "clearlane")]
pub(crate) struct Extractor(clearlane::Extractor);

#[pymethods]
impl Extractor {
    #[new]
    #[pyo3(signature = (
        *, models=Vec::new(), detector=None, embedder=None, selection="only", orientation="given", min_face=None,
        detector_size=None, flip=false,
    ))]
    fn new(
        py: Python<'_>,
        models: Vec<PathBuf>,
        detector: Option<&str>,
        embedder: Option<&str>,
        selection: &str,
        orientation: &str,
        min_face: Option<f32>,
        detector_size: Option<usize>,
        flip: bool,
    ) -> Result<Self> {
        let (selection, orientation) = (self::selection(selection)?, self::orientation(orientation)?);
        let min_face = min_face.map(smallest_face).transpose()?;
        let detector_size = detector_size.map(input_side).transpose()?;
        detached(py, || {
            let mut known = Models::builtin()?;
            for folder in models {
                known.add_folder(folder)?;
            }
            let mut detector = known.detector(detector.map_or_else(|| known.default_detector(), Ok)?)?;
            if let Some(side) = detector_size {
                detector = detector.with_input_size(side)?;
            }
            if let Some(smallest) = min_face {
                detector = detector.with_smallest_face(smallest);
            }
            let embedder = known.embedder(embedder.map_or_else(|| known.default_embedder(), Ok)?)?;
            let extractor = clearlane::Extractor::new(detector, embedder.with_flip(flip));
            Ok(Self(extractor.with_selection(selection).with_orientation(orientation)))
        })
    }

    /// The template of the face in a picture: a unit vector of float32. It is a biometric datum, and nobody wipes it from
    /// memory as clearlane does its own.
    #[pyo3(signature = (picture, *, order="rgb"))]
    fn template<'py>(&self, picture: &Bound<'py, PyAny>, order: &str) -> Result<Bound<'py, PyArray1<f32>>> {
        let pictures = Pictures::one("picture", picture, order)?;
        let frame = pictures.frame()?;
        let values = detached(picture.py(), || Ok(self.0.extract(&frame)?.template.as_slice().to_vec()))?;
        Ok(values.into_pyarray(picture.py()))
    }

    /// What makes scores with the face in a picture doubtful, worst first: a list of dictionaries such as
    /// `{"component": "Sharpness", "native": 3.1, "value": 1, "phrase": {"en": "blurred", "zh": "图像模糊"}}`.
    #[pyo3(signature = (picture, *, order="rgb"))]
    fn doubts<'py>(&self, picture: &Bound<'py, PyAny>, order: &str) -> Result<Bound<'py, PyAny>> {
        let pictures = Pictures::one("picture", picture, order)?;
        let frame = pictures.frame()?;
        let doubts = detached(picture.py(), || Ok(self.0.observe(&frame)?.quality.doubts()))?;
        to_python(picture.py(), &doubts)
    }

    /// Whether two pictures show one person (1:1).
    ///
    /// fmr: the false match rate that the threshold is calibrated for, in (0, 1).
    /// population: on whom that rate was measured, such as "east-asian-adults"; of all on whom the model was measured, those who
    ///     need the strictest threshold, by default.
    /// threshold: the threshold itself, a cosine in [-1, 1], in the place of `fmr` and `population`.
    #[pyo3(signature = (a, b, *, fmr=1e-4, population=None, threshold=None, order="rgb"))]
    fn verify(
        &self,
        a: &Bound<'_, PyAny>,
        b: &Bound<'_, PyAny>,
        fmr: f64,
        population: Option<&str>,
        threshold: Option<f32>,
        order: &str,
    ) -> Result<Verification> {
        let pictures = (Pictures::one("a", a, order)?, Pictures::one("b", b, order)?);
        let (one, other) = (pictures.0.frame()?, pictures.1.frame()?);
        detached(a.py(), || {
            let (threshold, population) = if let Some(threshold) = threshold {
                (threshold, None)
            } else {
                let known = calibration(self.0.embedder(), population)?;
                let (threshold, strictest) = known.strictest_for_fmr(fmr)?;
                (threshold, Some(strictest.population().to_string()))
            };
            let (one, other) = (self.0.extract(&one)?, self.0.extract(&other)?);
            let found = clearlane::verify(&one.template, &other.template, threshold)?;
            Ok(Verification { verified: found.verified, score: found.score, threshold, population })
        })
    }

    /// The number of values of a template.
    #[getter]
    fn dimension(&self) -> usize {
        self.0.embedder().dimension()
    }

    /// The id of the embedding model, 64 hexadecimal digits. Templates of different models are not comparable.
    #[getter]
    fn model(&self) -> String {
        self.0.embedder().model_id().to_string()
    }

    fn __repr__(&self) -> String {
        format!("Extractor(detector={:?}, embedder={:?})", self.0.detector().name(), self.0.embedder().name())
    }
}

/// What the embedder's manifest states, of one population where one is asked for.
fn calibration(embedder: &Embedder, population: Option<&str>) -> Result<Calibration> {
    let known = Calibration::from_manifest(embedder.model_id(), embedder.calibrations())?;
    Ok(match population {
        Some(population) => known.for_populations(&[population.parse()?]).map_err(CalibrationError::from)?,
        None => known,
    })
}

/// Whether two pictures show one person (1:1), by the built-in models. To compare many, make an `Extractor`, which loads
/// its models once.
#[pyfunction]
#[pyo3(signature = (a, b, *, fmr=1e-4, population=None, threshold=None, order="rgb"))]
pub(crate) fn verify(
    a: &Bound<'_, PyAny>,
    b: &Bound<'_, PyAny>,
    fmr: f64,
    population: Option<&str>,
    threshold: Option<f32>,
    order: &str,
) -> Result<Verification> {
    Extractor::new(a.py(), Vec::new(), None, None, "only", "given", None, None, false)?
        .verify(a, b, fmr, population, threshold, order)
}
