//! Thresholds from error rates: a calibration says which comparison score gives which false match rate, and the gallery's
//! size says which false match rate an identification may have.

use clearlane_embed::{CalibratedThreshold, MeasuredCalibration, Population};
use clearlane_template::ModelId;
use serde::{Deserialize, Serialize};

use crate::policy::Policy;
use crate::proof::reaches;

/// What is known about the false match rates (FMR) of one model, of one population or several.
///
/// A rate is one of people: at one threshold, others are matched falsely at another rate. Where several populations are
/// calibrated, every threshold is that of the population that needs the strictest at this rate, so that none of them is matched
/// falsely more often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "CalibrationFile")]
pub struct Calibration {
    model: ModelId,
    /// At least one; each of another population.
    populations: Vec<PopulationCalibration>,
}

/// What is known of one population: measured points, from lenient to strict.
///
/// Between two points the threshold is interpolated linearly in the logarithm of the FMR, which is close to straight in
/// the tail of non-mated scores. Below the lowest rate nothing is known and nothing is guessed; a rate above the highest
/// gets the highest's threshold, which is stricter than asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PopulationFile")]
pub struct PopulationCalibration {
    population: Population,
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
    "the policy's `{rule}` asks for a false match rate of {fmr:.2e} (references: {entries}), and the calibration of \
     `{population}` ends at {lowest:e}; calibrate with more data"
)]
pub struct CalibrationShortfall {
    /// The policy's key.
    pub rule: &'static str,
    /// The false match rate that it asks for with so many references.
    pub fmr: f64,
    /// The population whose calibration ends first.
    pub population: Population,
    /// Its lowest calibrated rate.
    pub lowest: f64,
    /// The references that are searched; 1 for a rule of single comparisons.
    pub entries: usize,
}

/// A population was asked for, such as by a policy that serves it, and the model was not calibrated on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a calibration for {}, got {}; measure the model on them with `clearlane calibrate`",
    named(missing),
    if known.is_empty() { "none at all".to_owned() } else { format!("one for {}", named(known)) }
)]
pub struct MissingPopulation {
    /// Those without a calibration.
    pub missing: Vec<Population>,
    /// Those that the model was calibrated on.
    pub known: Vec<Population>,
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
        "no threshold is known for an FMR of {wanted:e}: the calibration of `{population}` ends at {lowest:e}; calibrate with \
         more data"
    )]
    Uncalibrated {
        /// The wanted false match rate.
        wanted: f64,
        /// The population whose calibration ends first.
        population: Population,
        /// Its lowest calibrated rate.
        lowest: f64,
    },
    /// One population has two calibrations.
    #[error("the population `{population}` is calibrated twice")]
    Twice {
        /// The population.
        population: Population,
    },
    /// Two calibrations that are to be one are of two models.
    #[error("expected calibrations of one model, got one of {one:.12} and one of {other:.12}")]
    OtherModel {
        /// The first's model.
        one: ModelId,
        /// The other's.
        other: ModelId,
    },
    /// Populations have no calibration.
    #[error(transparent)]
    Population(#[from] MissingPopulation),
}

impl Calibration {
    /// The calibration of `model` for one population, from points sorted from lenient to strict; `source` says how they were
    /// measured.
    pub fn new(
        model: ModelId,
        population: Population,
        points: Vec<CalibrationPoint>,
        source: impl Into<String>,
    ) -> Result<Self, CalibrationError> {
        Ok(Self { model, populations: vec![PopulationCalibration::new(population, points, source.into())?] })
    }

    /// The calibration of `model` that its manifest states, for all of its populations.
    pub fn from_manifest(model: ModelId, measured: &[MeasuredCalibration]) -> Result<Self, CalibrationError> {
        let populations = measured.iter().map(PopulationCalibration::from_manifest).collect::<Result<_, _>>()?;
        Self::of_populations(model, populations)
    }

    /// This calibration and `other`, which is of the same model and of other populations, as one.
    pub fn and(self, other: Self) -> Result<Self, CalibrationError> {
        if self.model != other.model {
            return Err(CalibrationError::OtherModel { one: self.model, other: other.model });
        }
        Self::of_populations(self.model, [self.populations, other.populations].concat())
    }

    /// The same for `wanted` alone, all of which must be calibrated. The model's other populations count no more.
    pub fn for_populations(&self, wanted: &[Population]) -> Result<Self, MissingPopulation> {
        let find = |wanted: &Population| self.populations.iter().find(|known| known.population == *wanted);
        let missing: Vec<_> = wanted.iter().filter(|wanted| find(wanted).is_none()).cloned().collect();
        let populations: Vec<_> = wanted.iter().filter_map(find).cloned().collect();
        // Who asks for nobody gets nobody's threshold.
        if missing.is_empty() && !populations.is_empty() {
            return Ok(Self { model: self.model, populations });
        }
        Err(MissingPopulation {
            missing,
            known: self.populations.iter().map(|known| known.population.clone()).collect(),
        })
    }

    fn of_populations(model: ModelId, populations: Vec<PopulationCalibration>) -> Result<Self, CalibrationError> {
        if populations.is_empty() {
            return Err(CalibrationError::NoPoints);
        }
        for (index, PopulationCalibration { population, .. }) in populations.iter().enumerate() {
            if populations[..index].iter().any(|earlier| earlier.population == *population) {
                return Err(CalibrationError::Twice { population: population.clone() });
            }
        }
        Ok(Self { model, populations })
    }

    /// The model whose scores are calibrated.
    #[must_use]
    pub fn model(&self) -> ModelId {
        self.model
    }

    /// What is known of each population; at least one.
    #[must_use]
    pub fn populations(&self) -> &[PopulationCalibration] {
        &self.populations
    }

    /// The threshold for a verification (1:1) at the false match rate `fmr`: finite, and never a guess. Of several
    /// populations the strictest threshold counts, and each has to reach the rate.
    pub fn threshold_for_fmr(&self, fmr: f64) -> Result<f32, CalibrationError> {
        self.strictest_for_fmr(fmr).map(|(threshold, _)| threshold)
    }

    /// The threshold as [`threshold_for_fmr`](Self::threshold_for_fmr) has it, and the population that needs it.
    pub fn strictest_for_fmr(&self, fmr: f64) -> Result<(f32, &PopulationCalibration), CalibrationError> {
        let mut strictest: Option<(f32, &PopulationCalibration)> = None;
        for population in &self.populations {
            let threshold = population.threshold_for_fmr(fmr)?;
            if strictest.is_none_or(|(highest, _)| threshold > highest) {
                strictest = Some((threshold, population));
            }
        }
        strictest.ok_or(CalibrationError::NoPoints)
    }

    /// The threshold for an identification (1:N) among `entries` references at the false positive identification rate
    /// `fpir`: that of [`fmr_for_fpir`].
    pub fn threshold_for_fpir(&self, fpir: f64, entries: usize) -> Result<f32, CalibrationError> {
        self.threshold_for_fmr(fmr_for_fpir(fpir, entries))
    }

    /// The calibration as a lane of `policy` uses it: for the populations that the policy serves, and for nobody else.
    pub fn for_policy(&self, policy: &Policy) -> Result<Self, MissingPopulation> {
        self.for_populations(policy.populations())
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
            for known in &self.populations {
                let (population, lowest) = (known.population.clone(), known.lowest());
                let shortfall = |_| CalibrationShortfall { rule, fmr, population, lowest, entries };
                known.threshold_for_fmr(fmr).map_err(shortfall)?;
            }
        }
        Ok(())
    }
}

impl PopulationCalibration {
    fn new(population: Population, points: Vec<CalibrationPoint>, source: String) -> Result<Self, CalibrationError> {
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
        Ok(Self { population, points, source })
    }

    fn from_manifest(measured: &MeasuredCalibration) -> Result<Self, CalibrationError> {
        let MeasuredCalibration { population, measured_on, thresholds } = measured;
        let point = |point: &CalibratedThreshold| CalibrationPoint { fmr: point.fmr, threshold: point.threshold };
        let mut points: Vec<_> = thresholds.iter().map(point).collect();
        points.sort_by(|a, b| b.fmr.total_cmp(&a.fmr));
        Self::new(population.clone(), points, measured_on.clone())
    }

    /// On whom it was measured.
    #[must_use]
    pub fn population(&self) -> &Population {
        &self.population
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

    /// The threshold at which this population is matched falsely at the rate `fmr`.
    pub fn threshold_for_fmr(&self, fmr: f64) -> Result<f32, CalibrationError> {
        if !(reaches(fmr, 0.0) && reaches(1.0, fmr)) {
            return Err(CalibrationError::NotARate { wanted: fmr });
        }
        let strict = self.points.iter().position(|point| reaches(fmr, point.fmr)).ok_or_else(|| {
            let (population, lowest) = (self.population.clone(), self.lowest());
            CalibrationError::Uncalibrated { wanted: fmr, population, lowest }
        })?;
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
}

/// The false match rate that each of `entries` comparisons may have, so that somebody who is not enrolled and is compared with all of them
/// is matched at the rate `fpir`: 1 − (1 − FPIR)^(1/N), the binomial model of independent comparisons, in which
/// FPIR = 1 − (1 − FMR)^N. An empty gallery counts as one entry.
#[must_use]
pub fn fmr_for_fpir(fpir: f64, entries: usize) -> f64 {
    -((-fpir).ln_1p() / entries.max(1) as f64).exp_m1()
}

fn named(populations: &[Population]) -> String {
    populations.iter().map(|population| format!("`{population}`")).collect::<Vec<_>>().join(", ")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CalibrationFile {
    model: ModelId,
    populations: Vec<PopulationCalibration>,
}

impl TryFrom<CalibrationFile> for Calibration {
    type Error = CalibrationError;

    fn try_from(file: CalibrationFile) -> Result<Self, Self::Error> {
        Self::of_populations(file.model, file.populations)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PopulationFile {
    population: Population,
    points: Vec<CalibrationPoint>,
    source: String,
}

impl TryFrom<PopulationFile> for PopulationCalibration {
    type Error = CalibrationError;

    fn try_from(file: PopulationFile) -> Result<Self, Self::Error> {
        Self::new(file.population, file.points, file.source)
    }
}
