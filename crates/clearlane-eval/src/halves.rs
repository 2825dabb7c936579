//! Whether a threshold keeps what it promises: fitted on the comparisons of one part of the subjects, checked on those of the
//! others, whom it has never seen.

use std::collections::BTreeSet;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use serde::Serialize;

use crate::{
    AllPairs, BySubject, Calibrator, Captures, Estimate, FmrThreshold, Interval, Method, RULE_OF_30, ScoreError,
};

/// The column that tells the parts apart.
const PART: &str = "part";
const FIT: &str = "fit";
const CHECK: &str = "check";

/// Thresholds for one false positive identification rate, in galleries of several sizes, and what the other subjects show at them.
#[derive(Clone, Debug, Serialize)]
pub struct Halves {
    /// The false positive identification rate that thresholds are for.
    pub target_fpir: f64,
    /// Each group of captures at each size.
    pub points: Vec<HalfPoint>,
}

/// A threshold of a group, for a gallery of one size.
#[derive(Clone, Debug, Serialize)]
pub struct HalfPoint {
    /// The group, and how its non-mated comparisons were chosen where nobody knows who is who.
    pub group: String,
    /// References in the gallery.
    pub gallery: u64,
    /// Non-mated comparisons that the threshold was fitted to.
    pub fitted_to: u64,
    /// The false match rate that was asked for.
    pub target_fmr: f64,
    /// The threshold.
    pub threshold: f32,
    /// Whether it was extrapolated from the tail, since too few comparisons show that rate.
    pub extrapolated: bool,
    /// The false match rate of the others' comparisons.
    pub fmr: Estimate,
    /// The false positive identification rate that this gives in a gallery of this size, comparisons of one search taken as
    /// independent.
    pub fpir: f64,
    /// Where it lies with 95 % confidence.
    pub fpir_interval: Interval,
    /// What that says of the threshold.
    pub verdict: Verdict,
}

/// What subjects whom a threshold has not seen say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// The rate that was asked for lies in the interval, or above it.
    Held,
    /// The rate is higher than was asked for, with 95 % confidence.
    TooLow,
    /// Fewer than 30 false matches were seen, and the interval reaches beyond the rate: too little to tell.
    Unknown,
    /// The threshold lies above 1, the highest possible score: it lets nobody through.
    Unreachable,
}

/// Which comparisons of a group are taken as non-mated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Presumed<'a> {
    /// Those of two subjects, who are known.
    Known,
    /// Subjects are not known: those of two values of this column for a lower figure, and those of one value for an upper one,
    /// without comparisons at or above the score, which are taken as near-copies.
    BySex {
        /// The column.
        column: &'a str,
        /// From which score on.
        near_copies_from: f32,
    },
}

impl Halves {
    /// The same captures with a first column that tells the parts apart: `share` of the subjects, in (0, 1), are in the part that
    /// thresholds are fitted to. A capture whose subject is not known is a subject of its own.
    #[must_use]
    pub fn split(captures: &Captures, share: f64) -> Captures {
        let owner = |capture: &crate::Capture| capture.subject.clone().unwrap_or_else(|| capture.picture.clone());
        let owners: BTreeSet<String> = captures.captures.iter().map(owner).collect();
        let mut owners: Vec<String> = owners.into_iter().collect();
        owners.shuffle(&mut StdRng::seed_from_u64(19_795));
        // Somebody is left to check by, where there is anybody.
        let fitted = ((share * owners.len() as f64).round() as usize).clamp(1, owners.len().saturating_sub(1).max(1));
        let fit: BTreeSet<&String> = owners.iter().take(fitted).collect();
        let mut split = captures.clone();
        split.columns.insert(0, PART.to_owned());
        for capture in &mut split.captures {
            let part = if fit.contains(&owner(capture)) { FIT } else { CHECK };
            capture.labels.insert(0, part.to_owned());
        }
        split
    }

    /// The columns that comparisons of captures that were split must be grouped by, beside those of the groups.
    #[must_use]
    pub fn columns<'c>(columns: &[&'c str]) -> Vec<&'c str> {
        std::iter::once(PART).chain(columns.iter().copied()).collect()
    }

    /// Thresholds for `target_fpir`, in (0, 1), in `galleries`, fitted and checked for all captures together and for each group that
    /// the other columns make. `pairs` are of captures that [`Halves::split`] made, grouped by [`Halves::columns`].
    pub fn new(
        pairs: &AllPairs,
        presumed: Presumed<'_>,
        target_fpir: f64,
        galleries: &[u64],
    ) -> Result<Self, ScoreError> {
        let sample = pairs.sample();
        let sex = match presumed {
            Presumed::Known => None,
            Presumed::BySex { column, .. } => sample.columns().iter().position(|name| name == column),
        };
        let name = |values: &[String]| {
            let kept = values.iter().enumerate().skip(1).filter(|(at, _)| Some(*at) != sex);
            kept.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ")
        };
        let mut names: Vec<String> = sample.groups().iter().map(|values| name(values)).collect();
        names.sort_unstable();
        names.dedup();
        // All together, and each group where there are several.
        let groups = names.iter().filter(|_| names.len() > 1).map(Some);
        let mut points = Vec::new();
        for group in std::iter::once(None).chain(groups) {
            let cells = |part: &str, one_sex: Option<bool>| {
                let groups = sample.groups().iter().enumerate();
                let of =
                    groups.filter(|(_, values)| values[0] == part && group.is_none_or(|group| name(values) == *group));
                let of: Vec<(u16, &Vec<String>)> = of.map(|(at, values)| (at as u16, values)).collect();
                let mut cells = Vec::new();
                for (place, (a, one)) in of.iter().enumerate() {
                    for (b, other) in &of[place..] {
                        let same = sex.map(|sex| one[sex] == other[sex]);
                        if one_sex.is_none() || same == one_sex {
                            cells.push((*a, *b));
                        }
                    }
                }
                let scores = pairs.between(cells);
                match (presumed, one_sex) {
                    (Presumed::BySex { near_copies_from, .. }, Some(true)) => scores.without_copies(near_copies_from),
                    _ => scores,
                }
            };
            let all = group.map_or("all", |group| if group.is_empty() { "no label" } else { group });
            let kinds: &[(Option<bool>, &str)] =
                if sex.is_some() { &[(Some(false), ", two sexes"), (Some(true), ", one sex")] } else { &[(None, "")] };
            for &(one_sex, kind) in kinds {
                let (fit, check) = (cells(FIT, one_sex), cells(CHECK, one_sex));
                let calibrator = Calibrator::by_subject(&fit)?;
                for &gallery in galleries {
                    let fitted = calibrator.at_fpir(target_fpir, gallery)?;
                    let point = point(format!("{all}{kind}"), gallery, target_fpir, &fitted, &check);
                    // Of a group with nobody left to check by, nothing is said.
                    points.extend(Some(point).filter(|point| point.fmr.rate.trials > 0));
                }
            }
        }
        Ok(Self { target_fpir, points })
    }
}

fn point(group: String, gallery: u64, target_fpir: f64, fitted: &FmrThreshold, check: &BySubject<'_>) -> HalfPoint {
    let fmr = check.fmr(fitted.threshold);
    let fpir = |fmr: f64| -f64::exp_m1(gallery as f64 * f64::ln_1p(-fmr));
    let fpir_interval = Interval { low: fpir(fmr.interval.low), high: fpir(fmr.interval.high) };
    let verdict = if fitted.threshold > 1.0 {
        Verdict::Unreachable
    } else if fpir_interval.low > target_fpir {
        Verdict::TooLow
    } else if fpir_interval.high <= target_fpir || fmr.rate.events >= RULE_OF_30 {
        Verdict::Held
    } else {
        Verdict::Unknown
    };
    HalfPoint {
        group,
        gallery,
        fitted_to: fitted.observed.trials,
        target_fmr: fitted.target_fmr,
        threshold: fitted.threshold,
        extrapolated: fitted.method != Method::Counted,
        fpir: fpir(fmr.rate.value()),
        fpir_interval,
        verdict,
        fmr,
    }
}
