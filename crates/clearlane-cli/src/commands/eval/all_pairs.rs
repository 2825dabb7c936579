//! All captures against all: enough non-mated comparisons for low false match rates, and for calibration.

use std::fmt::Write as _;
use std::path::Path;

use clearlane_embed::Template;
use clearlane_eval::{Calibrator, FmrThreshold, Method, OperatingPoint, Scores};
use rayon::prelude::*;
use serde_json::json;

use super::lfw_view2::write_det;
use super::templates::Extracted;
use crate::failure::{Exit, Result};
use crate::output::{Output, percent};

const TARGET_FMRS: [f64; 4] = [1e-2, 1e-3, 1e-4, 1e-5];

/// From what one comparison needs to what a search of a million does at an FPIR of 1e-5 and less.
const CALIBRATED_FMRS: [f64; 12] = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12];

/// Compares all captures, each with the person it shows, and reports.
pub(super) fn run(
    protocol: &str,
    people: &[(&str, &Template)],
    made: &Extracted,
    det: Option<&Path>,
    output: &Output,
) -> Result<Exit> {
    let (mated, non_mated) = all_scores(people);
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
    let value = json!({ "protocol": protocol, "models": made, "figures": figures });
    output.result(&value, || made.text() + &described(protocol, &scores, &points, &thresholds))?;
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

fn described(protocol: &str, scores: &Scores, points: &[OperatingPoint], thresholds: &[FmrThreshold]) -> String {
    let (mated, non_mated) = scores.counts();
    let mut text = format!("\n{protocol}: {mated} mated, {non_mated} non-mated comparisons\n");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  EER               {}", percent(scores.eer()));
    for point in points {
        let fnmr = percent(point.fnmr.value());
        let _ = writeln!(text, "  FNMR at FMR {:.0e}  {fnmr}, threshold {:.4}", point.target_fmr, point.threshold);
    }
    text.push_str(
        "\nThresholds; `clearlane calibrate folder` writes such into a manifest, with the population they are for:\n",
    );
    for FmrThreshold { target_fmr, threshold, method, .. } in thresholds {
        let how = match method {
            Method::Counted => "counted".to_owned(),
            Method::TailFit { excesses, .. } => format!("extrapolated from the {excesses} highest scores"),
            _ => String::new(),
        };
        let _ = writeln!(text, "  FMR {target_fmr:.0e}         {threshold:.4}, {how}");
    }
    text
}
