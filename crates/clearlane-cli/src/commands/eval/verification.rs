//! Pairs of captures to a report: what all 1:1 protocols share.

use std::fmt::Write as _;

use clearlane_embed::Template;
use clearlane_eval::protocol::PairTest;
use clearlane_eval::report::{self, Point};
use clearlane_eval::{Comparison, Scores};

use crate::failure::{Exit, Failure, Result};
use crate::output::percent;

/// False match rates that are asked for where the comparisons can show them.
const TARGET_FMRS: [f64; 5] = [1e-2, 1e-3, 1e-4, 1e-5, 1e-6];

/// The false matches that a rate rests on at the least: by the rule of three, none in so many comparisons would say no more.
const FEWEST_FALSE_MATCHES: f64 = 3.0;

/// The score of two templates; the lowest where a picture gave none, so that a failure to acquire counts against the models.
pub(super) fn score(left: Option<&Template>, right: Option<&Template>) -> Result<f32> {
    match (left, right) {
        (Some(left), Some(right)) => left.score(right).map_err(|error| Failure::of(Exit::Model, &error)),
        _ => Ok(-1.0),
    }
}

/// The comparisons of a test whose captures gave `templates`.
pub(super) fn comparisons(test: &PairTest, templates: &[Option<Template>]) -> Result<Vec<Comparison>> {
    let pairs = test.pairs.iter().map(|pair| {
        let score = score(templates[pair.left].as_ref(), templates[pair.right].as_ref())?;
        Ok(Comparison { fold: pair.fold, mated: pair.mated, score })
    });
    pairs.collect()
}

/// The report of comparisons, at the false match rates that they can show.
pub(super) fn report(comparisons: &[Comparison]) -> Result<report::Verification> {
    let non_mated = comparisons.iter().filter(|comparison| !comparison.mated).count() as u64;
    Ok(report::Verification::new(comparisons, &shown_by(non_mated))?)
}

/// The operating points that scores can show.
pub(super) fn points(scores: &Scores) -> Result<Vec<Point>> {
    Ok(report::points(scores, &shown_by(scores.counts().1))?)
}

/// The false match rates that so many non-mated comparisons can show.
pub(super) fn shown_by(non_mated: u64) -> Vec<f64> {
    TARGET_FMRS.into_iter().filter(|target| target * non_mated as f64 >= FEWEST_FALSE_MATCHES - 1e-9).collect()
}

/// A report in words.
pub(super) fn described(title: &str, report: &report::Verification) -> String {
    let report::Verification { mated, non_mated, accuracy, auc, eer, operating_points, .. } = report;
    let folds = accuracy.folds.len();
    let mut text = format!("\n{title}: {mated} mated and {non_mated} non-mated pairs, {folds} folds\n");
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "  accuracy         {} ± {:.2} (standard error)",
        percent(accuracy.mean),
        100.0 * accuracy.standard_error
    );
    text + &described_curve(*auc, *eer, operating_points)
}

/// What scores without folds have.
pub(super) fn described_curve(auc: f64, eer: f64, points: &[Point]) -> String {
    let mut text = format!("  AUC              {auc:.5}\n  EER              {}\n", percent(eer));
    for point in points {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  TAR at FAR {:.0e}  {} (95 %: {} to {}), threshold {:.4}",
            point.at.target_fmr,
            percent(point.tar),
            percent(point.tar_interval.low),
            percent(point.tar_interval.high),
            point.at.threshold
        );
    }
    text
}
