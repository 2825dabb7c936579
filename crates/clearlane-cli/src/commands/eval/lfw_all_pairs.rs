//! All images against all: enough non-mated comparisons for low false match rates, and for calibration.

use std::fmt::Write as _;
use std::path::Path;

use clearlane_embed::Template;
use clearlane_eval::{Calibration, Calibrator, Method, OperatingPoint, Scores};
use rayon::prelude::*;
use serde_json::json;

use super::lfw::Lfw;
use super::lfw_view2::write_det;
use crate::failure::{Exit, Result};
use crate::output::{Output, percent};

const TARGET_FMRS: [f64; 4] = [1e-2, 1e-3, 1e-4, 1e-5];

/// From what one comparison needs to what a search of a million does.
const CALIBRATED_FMRS: [f64; 9] = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9];

pub(super) fn run(lfw: &Lfw<'_>, det: Option<&Path>, output: &Output) -> Result<Exit> {
    let mut images = lfw.images()?;
    images.retain(|image| !lfw.errata.drops(image));
    let named: Vec<_> = images.iter().collect();
    let (templates, made) = lfw.templates(&named)?;
    let people: Vec<(&str, &Template)> =
        images.iter().filter_map(|image| Some((lfw.errata.person(image.person()), templates.get(image)?))).collect();
    let (mated, non_mated) = all_scores(&people);
    let calibrator = Calibrator::new(non_mated.clone())?;
    let scores = Scores::new(mated, non_mated)?;
    if let Some(path) = det {
        write_det(&scores, path)?;
    }
    let points = TARGET_FMRS.iter().map(|&target| scores.at_fmr(target)).collect::<Result<Vec<_>, _>>()?;
    let thresholds = CALIBRATED_FMRS.iter().map(|&target| calibrator.at_fmr(target)).collect::<Result<Vec<_>, _>>()?;
    let (mated, non_mated) = scores.counts();
    let figures = json!({
        "mated": mated, "non_mated": non_mated, "eer": scores.eer(), "auc": scores.auc(),
        "operating_points": points, "calibration": thresholds,
    });
    let value = json!({ "protocol": "LFW, all pairs, errata removed", "models": made, "figures": figures });
    output.result(&value, || made.text() + &described(&scores, &points, &thresholds))?;
    Ok(Exit::Yes)
}

/// Mated and non-mated scores of all pairs.
fn all_scores(people: &[(&str, &Template)]) -> (Vec<f32>, Vec<f32>) {
    let row = |index: usize| {
        let (person, template) = people[index];
        let (mut mated, mut non_mated) = (Vec::new(), Vec::with_capacity(people.len() - index - 1));
        for (other, reference) in &people[index + 1..] {
            let scores = if *other == person { &mut mated } else { &mut non_mated };
            // All templates are of one embedder, so that every comparison succeeds.
            scores.extend(template.score(reference).ok());
        }
        (mated, non_mated)
    };
    let rows: Vec<_> = (0..people.len()).into_par_iter().map(row).collect();
    let (mated, non_mated): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    (mated.concat(), non_mated.concat())
}

fn described(scores: &Scores, points: &[OperatingPoint], thresholds: &[Calibration]) -> String {
    let (mated, non_mated) = scores.counts();
    let mut text = format!("\nLFW, all pairs, errata removed: {mated} mated, {non_mated} non-mated comparisons\n");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  EER               {}", percent(scores.eer()));
    for point in points {
        let fnmr = percent(point.fnmr.value());
        let _ = writeln!(text, "  FNMR at FMR {:.0e}  {fnmr}, threshold {:.4}", point.target_fmr, point.threshold);
    }
    text.push_str("\nThresholds for a manifest (the calibrated FMR, the threshold, how it was found):\n");
    for calibration in thresholds {
        let how = match calibration.method {
            Method::Counted => "counted".to_owned(),
            Method::TailFit { excesses, shape, .. } => {
                format!("extrapolated from the {excesses} highest scores (generalised Pareto, shape {shape:.3})")
            }
            _ => String::new(),
        };
        let _ = writeln!(text, "  {:.0e}  {:.4}  {how}", calibration.target_fmr, calibration.threshold);
    }
    text
}
