//! Which score is enough: as the user says, or as the embedder was calibrated.

use std::error::Error;

use clap::Args;
use clearlane::Calibration;
use clearlane_embed::Embedder;

use crate::failure::{Exit, Failure, Result};

/// The threshold of a comparison.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Threshold")]
pub(crate) struct ThresholdArgs {
    /// The least comparison score of a match, in [-1, 1] [default: calibrated, for --fmr]
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true, value_parser = score)]
    pub(crate) threshold: Option<f32>,

    /// The false match rate to calibrate for, in (0, 1)
    #[arg(long, value_name = "RATE", default_value = "1e-4", value_parser = rate, conflicts_with = "threshold")]
    pub(crate) fmr: f64,
}

impl ThresholdArgs {
    /// The threshold of one comparison with this embedder.
    pub(crate) fn one_to_one(&self, embedder: &Embedder) -> Result<f32> {
        self.threshold.map_or_else(|| calibrated(embedder, |known| known.threshold_for_fmr(self.fmr)), Ok)
    }
}

/// The calibration that comes with an embedder.
pub(crate) fn calibration(embedder: &Embedder) -> Result<Calibration> {
    let known = Calibration::from_manifest(embedder.model_id(), embedder.thresholds());
    known.map_err(|error| uncalibrated(embedder.name(), &error))
}

/// What `ask` finds in the calibration of an embedder.
pub(crate) fn calibrated(
    embedder: &Embedder,
    ask: impl FnOnce(&Calibration) -> Result<f32, clearlane::CalibrationError>,
) -> Result<f32> {
    ask(&calibration(embedder)?).map_err(|error| uncalibrated(embedder.name(), &error))
}

pub(crate) fn uncalibrated(embedder: &str, error: &dyn Error) -> Failure {
    Failure::new(Exit::Model, format!("model `{embedder}` gives no threshold: {error}"))
        .with_help("give one with --threshold, or put measured ones into the models' manifest.toml: `clearlane eval folder` measures them")
}

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
