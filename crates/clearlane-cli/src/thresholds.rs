//! Which score is enough: as the user says, or as the embedder was calibrated.

use std::fmt::Write as _;

use clap::Args;
use clearlane::{Calibration, CalibrationError, Population, PopulationCalibration};
use clearlane_embed::Embedder;
use serde::Serialize;

use crate::failure::{Exit, Failure, Result};

/// The threshold of a comparison.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Threshold")]
pub(crate) struct ThresholdArgs {
    /// The least comparison score of a match, in [-1, 1] [default: calibrated, for --fmr]
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true, value_parser = score)]
    pub(crate) threshold: Option<f32>,

    /// The false match rate to calibrate for, in (0, 1)
    #[arg(long, value_name = "RATE", default_value = "1e-4", value_parser = rate, conflicts_with = "threshold")]
    pub(crate) fmr: f64,

    #[command(flatten)]
    pub(crate) population: PopulationArgs,
}

/// On whom the threshold was measured.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Threshold")]
pub(crate) struct PopulationArgs {
    /// The population on whom the threshold was measured, by its name in the models' manifest [default: of all on whom the model
    /// was measured, those who need the strictest]
    #[arg(long, value_name = "NAME", conflicts_with = "threshold")]
    pub(crate) population: Option<Population>,
}

/// A threshold, and on whom it was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Threshold {
    pub(crate) threshold: f32,
    /// `None` of a threshold that the user stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) measured: Option<Measured>,
}

/// The population that a threshold is for.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    population: Population,
    measured_on: String,
}

impl Threshold {
    fn stated(threshold: f32) -> Self {
        Self { threshold, measured: None }
    }

    fn measured((threshold, known): (f32, &PopulationCalibration)) -> Self {
        let (population, measured_on) = (known.population().clone(), known.source().to_owned());
        Self { threshold, measured: Some(Measured { population, measured_on }) }
    }

    /// The threshold, and on whom it was measured, in a few words.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("threshold {:.4}", self.threshold);
        if let Some(Measured { population, .. }) = &self.measured {
            // Writing to a String cannot fail.
            let _ = write!(text, " (measured on {population})");
        }
        text
    }
}

impl ThresholdArgs {
    /// The threshold that the user stated.
    pub(crate) fn stated(&self) -> Option<Threshold> {
        self.threshold.map(Threshold::stated)
    }

    /// The threshold of one comparison with this embedder.
    pub(crate) fn one_to_one(&self, embedder: &Embedder) -> Result<Threshold> {
        if let Some(stated) = self.stated() {
            return Ok(stated);
        }
        self.population.threshold(&calibration(embedder)?, embedder, self.fmr)
    }
}

impl PopulationArgs {
    /// The threshold at the false match rate `fmr`, of the population that was asked for or of the one that needs the strictest.
    pub(crate) fn threshold(&self, known: &Calibration, embedder: &Embedder, fmr: f64) -> Result<Threshold> {
        let chosen = match &self.population {
            Some(population) => known.for_populations(std::slice::from_ref(population)).map_err(CalibrationError::from),
            None => Ok(known.clone()),
        };
        let threshold = chosen.and_then(|chosen| chosen.strictest_for_fmr(fmr).map(Threshold::measured));
        threshold.map_err(|error| uncalibrated(embedder.name(), &error))
    }
}

/// A threshold that was stated, or the one of the population that was asked for, for searches of `entries` references.
pub(crate) fn of_search(
    stated: Option<f32>,
    population: &PopulationArgs,
    known: Option<&Calibration>,
    embedder: &Embedder,
    fpir: f64,
    entries: usize,
) -> Result<Threshold> {
    match (stated, known) {
        (Some(threshold), _) => Ok(Threshold::stated(threshold)),
        (None, Some(known)) => population.threshold(known, embedder, clearlane::fmr_for_fpir(fpir, entries)),
        (None, None) => Err(uncalibrated(embedder.name(), &CalibrationError::NoPoints)),
    }
}

/// The calibration that comes with an embedder.
pub(crate) fn calibration(embedder: &Embedder) -> Result<Calibration> {
    let known = Calibration::from_manifest(embedder.model_id(), embedder.calibrations());
    known.map_err(|error| uncalibrated(embedder.name(), &error))
}

fn uncalibrated(embedder: &str, error: &CalibrationError) -> Failure {
    Failure::new(Exit::Model, format!("model `{embedder}` gives no threshold: {error}"))
        .with_help(format!("give one with --threshold, or calibrate the model: {CALIBRATE}"))
}

/// What to do where a model was not calibrated.
pub(crate) const CALIBRATE: &str = "`clearlane calibrate` measures thresholds on captures of those people and writes them into the models' manifest.toml";

/// A comparison score on the command line.
pub(crate) fn score(text: &str) -> Result<f32, String> {
    let score = text.parse::<f32>().ok().filter(|score| (-1.0..=1.0).contains(score));
    score.ok_or_else(|| "expected a score in [-1, 1]".to_owned())
}

/// An error rate on the command line.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| *rate > 0.0 && *rate < 1.0);
    rate.ok_or_else(|| "expected a rate between 0 and 1, such as 1e-4".to_owned())
}
