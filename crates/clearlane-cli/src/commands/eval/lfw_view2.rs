//! View 2: 6,000 pairs in ten folds.

use std::collections::HashMap;
use std::path::Path;

use clearlane_embed::Template;
use clearlane_eval::lfw::{Errata, ImageName, Pairs};
use clearlane_eval::{AccuracyDifference, Comparison, Scores, report};
use clearlane_store::write_csv;
use serde_json::json;

use super::compare::write_scores;
use super::lfw::{Lfw, Made, score};
use super::quality::{self, Values};
use super::report::finish;
use super::templates::Extracted;
use super::verification::described;
use super::worst::{Scored, Worst};
use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, write_streamed};

/// With 3,000 non-mated pairs, a lower rate than one in a thousand would rest on fewer than three of them.
const TARGET_FMRS: [f64; 2] = [1e-2, 1e-3];

pub(super) fn run(lfw: &Lfw<'_>, det: Option<&Path>, beside: Option<&str>, output: &Output) -> Result<Exit> {
    let pairs = lfw.pairs()?;
    let first = Measured::new(lfw, &pairs, lfw.templates(&pairs.images())?)?;
    if let Some(path) = det {
        write_det(&report::scores(&first.raw)?, path)?;
    }
    let second = match beside {
        Some(embedder) => Some(Measured::new(lfw, &pairs, lfw.templates_beside(embedder, &pairs.images())?)?),
        None => None,
    };
    let qualities: HashMap<&ImageName, Values> =
        pairs.images().into_iter().zip(first.made.qualities.iter().copied()).collect();
    // A picture that gave no template has no quality, and its comparisons take no part.
    let mated = pairs.pairs().iter().zip(&first.raw).filter(|(pair, _)| pair.mated).map(|(pair, comparison)| {
        let quality = |image| qualities.get(image).copied().unwrap_or_default();
        (comparison.score, quality(&pair.left), quality(&pair.right))
    });
    let quality = lfw.args.quality.figures(|| Ok(report::scores(&first.raw)?), mated)?;
    let mut value =
        json!({ "protocol": "LFW View 2", "quality": quality, "models": first.made, "figures": first.figures() });
    if let Some(second) = &second {
        let less = second.accuracy_less(&first);
        value["beside"] = json!({ "models": second.made, "figures": second.figures(), "accuracy_less": less });
    }
    let shown = pairs.pairs().iter().zip(&first.raw).map(|(pair, comparison)| {
        let paths = [&pair.left, &pair.right].map(|image| lfw.path().join(image.path()));
        let [left, right] = [&pair.left, &pair.right].map(ToString::to_string);
        (comparison, Scored { left, right, score: comparison.score, paths })
    });
    let shown: Vec<_> = shown.collect();
    if let Some(path) = &lfw.args.scores {
        write_scores(shown.iter().map(|(comparison, scored)| scored.line(comparison)), path)?;
    }
    let shown = shown.into_iter().map(|(comparison, scored)| (comparison.mated, scored));
    finish(value, &Worst::of(shown), &lfw.args.run.report, output, || {
        let mut text = first.text();
        if let Some(second) = &second {
            text.extend(["\n", &second.text(), &second.compared(&first)]);
        }
        text + &quality::described(quality.as_ref())
    })
}

/// What one choice of models came to.
struct Measured {
    made: Extracted,
    raw: Vec<Comparison>,
    /// The pairs as published, and without errata, where the data set has a list of them.
    reports: Vec<(&'static str, report::Verification)>,
}

impl Measured {
    fn new(lfw: &Lfw<'_>, pairs: &Pairs, (templates, made): Made<'_>) -> Result<Self> {
        let raw = comparisons(pairs, &templates)?;
        let mut reports = vec![("raw", report::Verification::new(&raw, &TARGET_FMRS)?)];
        if lfw.errata != Errata::default() {
            let corrected = comparisons(&pairs.corrected(&lfw.errata), &templates)?;
            reports.push(("errata removed", report::Verification::new(&corrected, &TARGET_FMRS)?));
        }
        Ok(Self { made, raw, reports })
    }

    fn figures(&self) -> HashMap<String, &report::Verification> {
        self.reports.iter().map(|(name, report)| (name.replace(' ', "_"), report)).collect()
    }

    fn text(&self) -> String {
        let mut text = self.made.text();
        for (name, report) in &self.reports {
            text.push_str(&described(&format!("LFW View 2, {name}"), report));
        }
        text
    }

    /// On the pairs as published.
    fn accuracy_less(&self, other: &Self) -> Option<AccuracyDifference> {
        self.reports[0].1.accuracy.less(&other.reports[0].1.accuracy)
    }

    fn compared(&self, other: &Self) -> String {
        let Some(AccuracyDifference { mean, standard_error }) = self.accuracy_less(other) else { return String::new() };
        let (ours, theirs) = (&self.made.embedder, &other.made.embedder);
        let (mean, error) = (100.0 * mean, 100.0 * standard_error);
        format!("\n{ours} less {theirs}, raw: {mean:+.2} points ± {error:.2} (standard error over the same folds)\n")
    }
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
    write_streamed(path, |out| write_csv(out, scores.det()).map_err(|error| Failure::writing(path, &error)))
}
