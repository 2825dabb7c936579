//! View 2: 6,000 pairs in ten folds.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use clearlane_embed::Template;
use clearlane_eval::lfw::{Errata, ImageName, Pairs};
use clearlane_eval::{Comparison, Scores, report};
use serde_json::json;

use super::lfw::{Lfw, score};
use crate::failure::{Exit, Result};
use crate::output::{Output, percent, write_whole};

/// With 3,000 non-mated pairs, a lower rate than one in a thousand would rest on fewer than three of them.
const TARGET_FMRS: [f64; 2] = [1e-2, 1e-3];

pub(super) fn run(lfw: &Lfw<'_>, det: Option<&Path>, output: &Output) -> Result<Exit> {
    let pairs = lfw.pairs()?;
    let (templates, made) = lfw.templates(&pairs.images())?;
    let raw = comparisons(&pairs, &templates)?;
    let mut reports = vec![("raw", report::Verification::new(&raw, &TARGET_FMRS)?)];
    if lfw.errata != Errata::default() {
        let corrected = comparisons(&pairs.corrected(&lfw.errata), &templates)?;
        reports.push(("errata removed", report::Verification::new(&corrected, &TARGET_FMRS)?));
    }
    if let Some(path) = det {
        write_det(&report::scores(&raw)?, path)?;
    }
    let figures: HashMap<_, _> = reports.iter().map(|(name, report)| (name.replace(' ', "_"), report)).collect();
    let value = json!({ "protocol": "LFW View 2", "models": made, "figures": figures });
    output.result(&value, || {
        let mut text = made.text();
        for (name, report) in &reports {
            text.push_str(&described(name, report));
        }
        text
    })?;
    Ok(Exit::Yes)
}

fn comparisons(pairs: &Pairs, templates: &HashMap<&ImageName, Template>) -> Result<Vec<Comparison>> {
    let one = |pair: &clearlane_eval::lfw::Pair| {
        let score = score(templates, &pair.left, &pair.right)?;
        Ok(Comparison { fold: pair.fold, mated: pair.mated, score })
    };
    pairs.pairs().iter().map(one).collect()
}

/// Writes the whole trade-off.
pub(super) fn write_det(scores: &Scores, path: &Path) -> Result<()> {
    let mut csv = String::from("threshold,fmr,fnmr\n");
    for point in scores.det() {
        // Writing to a String cannot fail.
        let _ = writeln!(csv, "{},{},{}", point.threshold, point.fmr, point.fnmr);
    }
    write_whole(path, csv.as_bytes())
}

fn described(name: &str, report: &report::Verification) -> String {
    let report::Verification { mated, non_mated, accuracy, auc, eer, operating_points } = report;
    let folds = accuracy.folds.len();
    let mut text = format!("\nLFW View 2, {name}: {mated} mated and {non_mated} non-mated pairs, {folds} folds\n");
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "  accuracy         {} ± {:.2} (standard error)",
        percent(accuracy.mean),
        100.0 * accuracy.standard_error
    );
    let _ = writeln!(text, "  AUC              {auc:.5}");
    let _ = writeln!(text, "  EER              {}", percent(*eer));
    for point in operating_points {
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
