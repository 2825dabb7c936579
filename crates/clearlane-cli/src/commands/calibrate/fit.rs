//! From non-mated scores, by group where they have groups, to thresholds: of several groups the worst one's count.

use std::fmt::Write as _;

use clearlane_eval::{Calibrator, FmrThreshold, Method};
use serde::Serialize;

use crate::failure::{Exit, Failure, Result};
use crate::output::table;

/// The non-mated scores of a group, or of everybody under an empty name.
pub(super) type Group<'s> = (String, Calibrator<'s>);

/// A threshold for one false match rate: that of the group that needs the highest.
#[derive(Debug, Serialize)]
pub(super) struct Fitted {
    /// The group, where there are any.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) group: String,
    #[serde(flatten)]
    pub(super) threshold: FmrThreshold,
    /// What every group needs, where there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<OfGroup>,
}

#[derive(Debug, Serialize)]
struct OfGroup {
    group: String,
    #[serde(flatten)]
    threshold: FmrThreshold,
}

/// The thresholds for `rates`.
pub(super) fn fit(groups: &[Group<'_>], rates: &[f64]) -> Result<Vec<Fitted>> {
    rates.iter().map(|&rate| worst(groups, rate)).collect()
}

fn worst(groups: &[Group<'_>], rate: f64) -> Result<Fitted> {
    let of =
        |(group, calibrator): &Group<'_>| Ok(OfGroup { group: group.clone(), threshold: calibrator.at_fmr(rate)? });
    let mut groups = groups.iter().map(of).collect::<Result<Vec<_>>>()?;
    groups.sort_by(|a, b| b.threshold.threshold.total_cmp(&a.threshold.threshold));
    let Some(OfGroup { group, threshold }) = groups.first() else {
        return Err(Failure::new(Exit::Input, "no non-mated comparisons: a false match rate is one of them"));
    };
    let (group, threshold) = (group.clone(), threshold.clone());
    if groups.len() == 1 && group.is_empty() {
        groups.clear();
    }
    Ok(Fitted { group, threshold, groups })
}

impl Fitted {
    /// How the threshold was found.
    pub(super) fn how(&self) -> String {
        let comparisons = self.threshold.observed.trials;
        let how = match &self.threshold.method {
            Method::Counted => format!("counted among {comparisons} non-mated comparisons"),
            Method::TailFit { excesses, shape, .. } => format!(
                "extrapolated from the {excesses} highest of {comparisons} non-mated scores, generalised Pareto, shape {shape:.3}"
            ),
            _ => String::new(),
        };
        if self.group.is_empty() { how } else { format!("{}, which needs the highest: {how}", self.group) }
    }

    pub(super) fn is_extrapolated(&self) -> bool {
        !matches!(self.threshold.method, Method::Counted)
    }
}

/// The thresholds as a table, and what to know of them.
pub(super) fn text(fitted: &[Fitted]) -> String {
    let row = |one: &Fitted| {
        let FmrThreshold { target_fmr, threshold, interval, .. } = &one.threshold;
        let interval = interval.map_or("-".to_owned(), |range| format!("{:.4} to {:.4}", range.low, range.high));
        vec![format!("{target_fmr:.2e}"), format!("{threshold:.4}"), interval, one.how()]
    };
    let rows: Vec<_> = fitted.iter().map(row).collect();
    let mut text = table(&["FMR", "THRESHOLD", "95 % INTERVAL", "HOW"], &[1], &rows);
    let mut said: Vec<String> = Vec::new();
    for warning in fitted.iter().flat_map(|one| &one.threshold.warnings).map(ToString::to_string) {
        if !said.contains(&warning) {
            // Writing to a String cannot fail.
            let _ = write!(text, "\nwarning: {warning}");
            said.push(warning);
        }
    }
    if !said.is_empty() {
        text.push('\n');
    }
    text
}
