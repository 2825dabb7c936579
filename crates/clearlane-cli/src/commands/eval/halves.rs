//! Thresholds fitted on one part of the subjects and checked on the others.

use std::fmt::Write as _;

use clap::Args;
use clearlane_embed::Template;
use clearlane_eval::{Captures, HalfPoint, Halves, Presumed, RULE_OF_30, Verdict};

use super::all_pairs::compare;
use crate::failure::Result;
use crate::output::{percent, table};

/// The false positive identification rate that thresholds are checked for.
const TARGET_FPIR: f64 = 0.01;

/// The references of the galleries: from those that a few thousand captures show to a country's.
const GALLERIES: [u64; 7] = [1_000, 3_000, 10_000, 30_000, 100_000, 1_000_000, 10_000_000];

/// Whether thresholds are checked on subjects whom they have not seen.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Check")]
pub(super) struct HalvesArgs {
    /// Fit thresholds for an FPIR of 1 % to the non-mated comparisons of a share of the subjects, half or as said, and check
    /// them on those of the others, for galleries of a thousand references up to ten million
    ///
    /// A small share leaves more to check by: it shows how well a threshold holds that was extrapolated.
    #[arg(long, value_name = "SHARE", num_args = 0..=1, require_equals = true, default_missing_value = "0.5", value_parser = crate::thresholds::rate)]
    halves: Option<f64>,
}

impl HalvesArgs {
    pub(super) fn is_asked(self) -> bool {
        self.halves.is_some()
    }

    /// What was asked for of these captures, by these columns of labels.
    pub(super) fn check(
        self,
        captures: &Captures,
        templates: &[&Template],
        columns: &[&str],
        presumed: Presumed<'_>,
    ) -> Result<Option<Halves>> {
        let Some(share) = self.halves else { return Ok(None) };
        let pairs = compare(&Halves::split(captures, share), templates, &Halves::columns(columns))?;
        Ok(Some(Halves::new(&pairs, presumed, TARGET_FPIR, &GALLERIES)?))
    }
}

/// The figures in words; nothing where none were asked for.
pub(super) fn described(halves: Option<&Halves>) -> String {
    let Some(Halves { target_fpir, points }) = halves else { return String::new() };
    let mut text =
        format!("\nThresholds for FPIR {} fitted on some subjects and checked on the others\n", percent(*target_fpir));
    let row = |point: &HalfPoint| {
        let [value, low, high] = [point.fpir, point.fpir_interval.low, point.fpir_interval.high].map(percent);
        let verdict = match point.verdict {
            Verdict::Held => "held",
            Verdict::TooLow => "TOO LOW",
            Verdict::Unreachable => "above every score",
            _ => "too few to tell",
        };
        vec![
            point.group.clone(),
            point.gallery.to_string(),
            point.fitted_to.to_string(),
            format!("{:.4}{}", point.threshold, if point.extrapolated { " *" } else { "" }),
            format!("{} of {}", point.fmr.rate.events, point.fmr.rate.trials),
            format!("{value} ({low} to {high})"),
            verdict.to_owned(),
        ]
    };
    let header = ["group", "gallery", "fitted to", "threshold", "false matches", "FPIR (95 %)", ""];
    text.push_str(&table(&header, &[1, 2, 3, 4], &points.iter().map(row).collect::<Vec<_>>()));
    if points.iter().any(|point| point.extrapolated) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  * extrapolated: fewer than {RULE_OF_30} false matches would show this rate among those that it was fitted to"
        );
    }
    text
}
