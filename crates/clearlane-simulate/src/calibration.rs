//! The calibration of random directions.

use clearlane::{Calibration, CalibrationError, CalibrationPoint, Population};
use clearlane_template::ModelId;

/// Panels of Simpson's rule.
const PANELS: u32 = 2_000;

/// The exact calibration of random directions of `dimension` values, as templates of `model`, down to a false match rate of
/// 1e-15 or so, for each of `populations`, at least one: synthetic subjects stand for whomever a policy serves. The cosine of two has the density (1 − x²)^((D − 3)/2) up to a factor, integrated by Simpson's rule.
pub fn calibration(
    model: ModelId,
    dimension: usize,
    populations: &[Population],
) -> Result<Calibration, CalibrationError> {
    let density = |x: f64| (1.0 - x * x).max(0.0).powf((dimension as f64 - 3.0) / 2.0);
    let tail = |from: f64| {
        let step = (1.0 - from) / (2.0 * f64::from(PANELS));
        let weighted = |i: u32| {
            let weight = if i == 0 || i == 2 * PANELS {
                1.0
            } else if i % 2 == 1 {
                4.0
            } else {
                2.0
            };
            weight * density(from + f64::from(i) * step)
        };
        (0..=2 * PANELS).map(weighted).sum::<f64>() * step / 3.0
    };
    let whole = 2.0 * tail(0.0);
    let points = (0..200).map(|step| {
        let threshold = f64::from(step) / 200.0;
        CalibrationPoint { fmr: tail(threshold) / whole, threshold: threshold as f32 }
    });
    let points: Vec<_> = points.take_while(|point| point.fmr > 1e-15).collect();
    let source = format!("the exact distribution of random directions in {dimension} dimensions");
    let of = |population: &Population| Calibration::new(model, population.clone(), points.clone(), source.as_str());
    let all = populations.iter().map(of).reduce(|all, next| all?.and(next?));
    all.unwrap_or(Err(CalibrationError::NoPoints))
}
