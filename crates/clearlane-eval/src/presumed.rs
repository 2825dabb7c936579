//! False match rates of captures that have labels and no identities.
//!
//! Two captures of such a set may show one person, and nobody knows. Those of one sex within a group give an upper figure,
//! since some false matches are true ones; those of the two sexes a lower one, since they certainly show two people, but
//! two whom it is easier to tell apart.

use serde::Serialize;

use crate::groups::{calibrated, worst};
use crate::{AllPairs, BySubject, Estimate, FmrThreshold, GroupError, GroupThreshold, ScoreError};

/// Bounds of the false match rate by group.
#[derive(Clone, Debug, Serialize)]
pub struct PresumedByGroup {
    /// The columns that make the groups, without the sex.
    pub columns: Vec<String>,
    /// Comparisons of one sex at or above this score are taken as two captures of one person, and left out.
    pub near_copies_from: f32,
    /// Each group.
    pub groups: Vec<PresumedGroup>,
    /// For each false match rate the highest threshold that a group needs by its upper figures.
    pub worst_upper: Vec<GroupThreshold>,
    /// The same by its lower figures.
    pub worst_lower: Vec<GroupThreshold>,
}

/// A group's bounds.
#[derive(Clone, Debug, Serialize)]
pub struct PresumedGroup {
    /// The group's values, one a column.
    pub values: Vec<String>,
    /// Its captures.
    pub captures: usize,
    /// Near-copies that were left out of the upper figures.
    pub near_copies: u64,
    /// From comparisons of one sex.
    pub upper: PresumedRates,
    /// From comparisons of the two sexes.
    pub lower: PresumedRates,
}

/// Rates of comparisons that are presumed to be non-mated.
#[derive(Clone, Debug, Serialize)]
pub struct PresumedRates {
    /// Comparisons.
    pub non_mated: u64,
    /// The false match rate at each threshold.
    pub fmr: Vec<Estimate>,
    /// The threshold for each false match rate.
    pub thresholds: Vec<FmrThreshold>,
}

/// Why there are no such bounds.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PresumedError {
    /// The groups do not tell the sexes apart.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The scores give no figure.
    #[error(transparent)]
    Score(#[from] ScoreError),
}

impl PresumedByGroup {
    /// The bounds at each of `thresholds`, and the thresholds for each of the false match rates `targets`, in (0, 1).
    /// `pairs` are grouped by columns of which `sex` is one.
    pub fn new(
        pairs: &AllPairs,
        sex: &str,
        near_copies_from: f32,
        thresholds: &[f32],
        targets: &[f64],
    ) -> Result<Self, PresumedError> {
        let sample = pairs.sample();
        let place = sample
            .columns()
            .iter()
            .position(|column| column == sex)
            .ok_or_else(|| GroupError::Column { column: sex.to_owned(), available: sample.columns().to_vec() })?;
        let without = |values: &[String]| {
            let mut values = values.to_vec();
            values.remove(place);
            values
        };
        let captures = sample.captures_by_group();
        // Groups that differ in nothing but the sex, by what they share.
        let mut shared: Vec<(Vec<String>, Vec<u16>)> = Vec::new();
        for (index, values) in sample.groups().iter().enumerate() {
            let values = without(values);
            match shared.iter_mut().find(|(known, _)| *known == values) {
                Some((_, sexes)) => sexes.push(index as u16),
                None => shared.push((values, vec![index as u16])),
            }
        }
        let rates = |scores: &BySubject<'_>| {
            Ok::<_, ScoreError>(PresumedRates {
                non_mated: scores.counts().1,
                fmr: thresholds.iter().map(|&threshold| scores.fmr(threshold)).collect(),
                thresholds: calibrated(scores, targets)?,
            })
        };
        let mut groups = Vec::new();
        for (values, sexes) in shared {
            let one = pairs.between(sexes.iter().map(|&sex| (sex, sex)));
            let two =
                pairs.between(sexes.iter().enumerate().flat_map(|(i, &a)| sexes[i + 1..].iter().map(move |&b| (a, b))));
            let all = one.counts().1;
            let one = one.without_copies(near_copies_from);
            groups.push(PresumedGroup {
                values,
                captures: sexes.iter().map(|&sex| captures[usize::from(sex)]).sum(),
                near_copies: all - one.counts().1,
                upper: rates(&one)?,
                lower: rates(&two)?,
            });
        }
        let worst_upper = worst(&groups.iter().map(|g| (&g.values, g.upper.thresholds.as_slice())), targets.len());
        let worst_lower = worst(&groups.iter().map(|g| (&g.values, g.lower.thresholds.as_slice())), targets.len());
        Ok(Self { columns: without(sample.columns()), near_copies_from, groups, worst_upper, worst_lower })
    }
}
