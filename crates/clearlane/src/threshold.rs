//! Thresholds from error rates: a calibration says which comparison score gives which false match rate, and the gallery's
//! size says which false match rate an identification may have.

use clearlane_embed::CalibratedThreshold;
use clearlane_template::ModelId;
use serde::{Deserialize, Serialize};

use crate::policy::Policy;
use crate::proof::reaches;

/// What is known about the false match rate (FMR) of one model: measured points, from lenient to strict.
///
/// Between two points the threshold is interpolated linearly in the logarithm of the FMR, which is close to straight in
/// the tail of non-mated scores. Below the lowest rate nothing is known and nothing is guessed; a rate above the highest
/// gets the highest's threshold, which is stricter than asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "CalibrationFile")]
pub struct Calibration {
    model: ModelId,
    points: Vec<CalibrationPoint>,
    source: String,
}

/// One point of a [`Calibration`]: at `threshold`, non-mated comparisons pass at the rate `fmr`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationPoint {
    /// The false match rate, in (0, 1].
    pub fmr: f64,
    /// The comparison score (cosine) from which on a comparison counts as a match, in [-1, 1].
    pub threshold: f32,
}

/// A rate that a policy asks for and a calibration does not reach: a lane would refer everybody, or could not compare 1:1.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "the policy's `{rule}` asks for a false match rate of {fmr:.2e} (references: {entries}), and the calibration ends at \
     {lowest:e}; calibrate with more data"
)]
pub struct CalibrationShortfall {
    /// The policy's key.
    pub rule: &'static str,
    /// The false match rate that it asks for with so many references.
    pub fmr: f64,
    /// The lowest calibrated rate.
    pub lowest: f64,
    /// The references that are searched; 1 for a rule of single comparisons.
    pub entries: usize,
}

/// Why points are no calibration, or why a calibration gives no threshold.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// No points.
    #[error("a calibration needs points: measure false match rates first")]
    NoPoints,
    /// A rate or a threshold is out of its range or not finite.
    #[error("point {index}: an FMR lies in (0, 1] and a threshold in [-1, 1], not {fmr} and {threshold}")]
    OutOfRange {
        /// The point's place in the list.
        index: usize,
        /// Its false match rate.
        fmr: f64,
        /// Its threshold.
        threshold: f32,
    },
    /// A stricter threshold does not have a lower rate: the points are not sorted from lenient to strict, or contradict
    /// each other.
    #[error("point {index}: each point needs a lower FMR and a higher threshold than the one before it")]
    NotMonotonic {
        /// The point's place in the list.
        index: usize,
    },
    /// What was asked for is not a rate.
    #[error("a false match rate lies in [0, 1], not {wanted}")]
    NotARate {
        /// The wanted false match rate.
        wanted: f64,
    },
    /// The wanted rate is lower than any that was calibrated.
    #[error(
        "no threshold is known for an FMR of {wanted:e}: the calibration ends at {lowest:e}; calibrate with more data"
    )]
    Uncalibrated {
        /// The wanted false match rate.
        wanted: f64,
        /// The lowest calibrated rate.
        lowest: f64,
    },
}

impl Calibration {
    /// A calibration of `model` from points sorted from lenient to strict; `source` says how they were measured.
    pub fn new(
        model: ModelId,
        points: Vec<CalibrationPoint>,
        source: impl Into<String>,
    ) -> Result<Self, CalibrationError> {
        if points.is_empty() {
            return Err(CalibrationError::NoPoints);
        }
        for (index, point) in points.iter().enumerate() {
            let CalibrationPoint { fmr, threshold } = *point;
            if !(fmr > 0.0 && fmr <= 1.0 && (-1.0..=1.0).contains(&threshold)) {
                return Err(CalibrationError::OutOfRange { index, fmr, threshold });
            }
        }
        let rising = |pair: &[CalibrationPoint]| pair[1].fmr < pair[0].fmr && pair[1].threshold > pair[0].threshold;
        if let Some(index) = points.windows(2).position(|pair| !rising(pair)) {
            return Err(CalibrationError::NotMonotonic { index: index + 1 });
        }
        Ok(Self { model, points, source: source.into() })
    }

    /// The calibration of `model` that its manifest states.
    pub fn from_manifest(model: ModelId, thresholds: &[CalibratedThreshold]) -> Result<Self, CalibrationError> {
        let mut points: Vec<_> =
            thresholds.iter().map(|point| CalibrationPoint { fmr: point.fmr, threshold: point.threshold }).collect();
        points.sort_by(|a, b| b.fmr.total_cmp(&a.fmr));
        let mut sources: Vec<_> = thresholds.iter().map(|point| point.measured_on.as_str()).collect();
        sources.dedup();
        Self::new(model, points, sources.join("; "))
    }

    /// The model whose scores are calibrated.
    #[must_use]
    pub fn model(&self) -> ModelId {
        self.model
    }

    /// The points, from lenient to strict.
    #[must_use]
    pub fn points(&self) -> &[CalibrationPoint] {
        &self.points
    }

    /// How the points were measured.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The threshold for a verification (1:1) at the false match rate `fmr`: finite, and never a guess.
    pub fn threshold_for_fmr(&self, fmr: f64) -> Result<f32, CalibrationError> {
        if !(reaches(fmr, 0.0) && reaches(1.0, fmr)) {
            return Err(CalibrationError::NotARate { wanted: fmr });
        }
        let strict = self
            .points
            .iter()
            .position(|point| reaches(fmr, point.fmr))
            .ok_or_else(|| CalibrationError::Uncalibrated { wanted: fmr, lowest: self.lowest() })?;
        let high = self.points[strict];
        if strict == 0 {
            return Ok(high.threshold);
        }
        let low = self.points[strict - 1];
        let part = (low.fmr.ln() - fmr.ln()) / (low.fmr.ln() - high.fmr.ln());
        // Two rates may be so close that their logarithms are equal: then the stricter threshold.
        let part = if (0.0..=1.0).contains(&part) { part } else { 1.0 };
        Ok((f64::from(low.threshold) + part * f64::from(high.threshold - low.threshold)) as f32)
    }

    fn lowest(&self) -> f64 {
        self.points.last().map_or(1.0, |point| point.fmr)
    }

    /// The threshold for an identification (1:N) among `entries` references at the false positive identification rate
    /// `fpir`: that of [`fmr_for_fpir`].
    pub fn threshold_for_fpir(&self, fpir: f64, entries: usize) -> Result<f32, CalibrationError> {
        self.threshold_for_fmr(fmr_for_fpir(fpir, entries))
    }

    /// Whether the calibration gives a threshold for each rate that a lane of `policy` needs in searches of `entries`
    /// references and in comparisons. A gallery that grows needs ever lower rates: leave room.
    pub fn serves(&self, policy: &Policy, entries: usize) -> Result<(), CalibrationShortfall> {
        let (capture, comparison) = (&policy.capture, &policy.comparison);
        let rules = [
            ("capture.agreement-fmr", capture.agreement_fmr, 1),
            ("comparison.fmr", comparison.fmr, 1),
            ("comparison.fpir", fmr_for_fpir(comparison.fpir, entries), entries),
        ];
        for (rule, fmr, entries) in rules {
            let shortfall = |_| CalibrationShortfall { rule, fmr, lowest: self.lowest(), entries };
            self.threshold_for_fmr(fmr).map_err(shortfall)?;
        }
        Ok(())
    }
}

/// The false match rate that each of `entries` comparisons may have, so that somebody who is not enrolled and is compared with all of them
/// is matched at the rate `fpir`: 1 − (1 − FPIR)^(1/N), the binomial model of independent comparisons, in which
/// FPIR = 1 − (1 − FMR)^N. An empty gallery counts as one entry.
#[must_use]
pub fn fmr_for_fpir(fpir: f64, entries: usize) -> f64 {
    -((-fpir).ln_1p() / entries.max(1) as f64).exp_m1()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CalibrationFile {
    model: ModelId,
    points: Vec<CalibrationPoint>,
    source: String,
}

impl TryFrom<CalibrationFile> for Calibration {
    type Error = CalibrationError;

    fn try_from(file: CalibrationFile) -> Result<Self, Self::Error> {
        Self::new(file.model, file.points, file.source)
    }
}
