//! By group: who is mistaken for whom, who is turned away, and the threshold that each group needs (ISO/IEC 19795-10:2024).

use serde::Serialize;

use crate::{AllPairs, BySubject, Calibrator, Estimate, FmrThreshold, ScoreError};

/// The rates of all groups, within and across.
#[derive(Clone, Debug, Serialize)]
pub struct ByGroup {
    /// The columns of labels that make the groups.
    pub columns: Vec<String>,
    /// Each group.
    pub groups: Vec<Group>,
    /// Each pair of two groups.
    pub across: Vec<Across>,
    /// At each threshold, how much the groups differ.
    pub differentials: Vec<Differential>,
    /// For each false match rate the highest threshold that a group needs: the one that keeps the rate for all.
    pub worst: Vec<GroupThreshold>,
}

/// One group.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// Its values, one a column.
    pub values: Vec<String>,
    /// Its captures.
    pub captures: usize,
    /// Subjects that these show.
    pub subjects: usize,
    /// Mated comparisons.
    pub mated: u64,
    /// Non-mated comparisons within the group.
    pub non_mated: u64,
    /// Its rates at each threshold.
    pub rates: Vec<RatesAt>,
    /// The threshold that it needs for each false match rate; none where it has no non-mated comparison.
    pub thresholds: Vec<FmrThreshold>,
}

/// The non-mated comparisons of one group with another.
#[derive(Clone, Debug, Serialize)]
pub struct Across {
    /// The one group's values.
    pub a: Vec<String>,
    /// The other's.
    pub b: Vec<String>,
    /// Non-mated comparisons.
    pub non_mated: u64,
    /// The false match rate at each threshold.
    pub fmr: Vec<Estimate>,
}

/// What a group's comparisons show at a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RatesAt {
    /// The threshold.
    pub threshold: f32,
    /// False matches.
    pub fmr: Estimate,
    /// False non-matches.
    pub fnmr: Estimate,
}

/// How much groups differ at a threshold.
#[derive(Clone, Debug, Serialize)]
pub struct Differential {
    /// The threshold.
    pub threshold: f32,
    /// Of the false match rate; none where fewer than two groups have one.
    pub fmr: Option<Ratios>,
    /// Of the false non-match rate.
    pub fnmr: Option<Ratios>,
}

/// The worst group's rate beside others'.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ratios {
    /// The group of the highest rate.
    pub worst: Vec<String>,
    /// The group of the lowest.
    pub best: Vec<String>,
    /// The highest rate over the lowest; none where the lowest group showed no error.
    pub worst_to_best: Option<f64>,
    /// The highest rate over the geometric mean of all; none where a group showed no error.
    pub worst_to_mean: Option<f64>,
}

/// The group that needs the highest threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupThreshold {
    /// The group's values.
    pub values: Vec<String>,
    /// Its threshold.
    #[serde(flatten)]
    pub threshold: FmrThreshold,
}

impl ByGroup {
    /// The rates at each of `thresholds`, and the thresholds for each of the false match rates `targets`, in (0, 1).
    pub fn new(pairs: &AllPairs, thresholds: &[f32], targets: &[f64]) -> Result<Self, ScoreError> {
        let sample = pairs.sample();
        let names = sample.groups();
        let captures = sample.captures_by_group();
        let mut groups = Vec::new();
        let mut across = Vec::new();
        for (index, values) in names.iter().enumerate() {
            let within = pairs.between([(index as u16, index as u16)]);
            let (mated, non_mated) = within.counts();
            groups.push(Group {
                values: values.clone(),
                captures: captures[index],
                subjects: within.subjects(),
                mated,
                non_mated,
                rates: thresholds
                    .iter()
                    .map(|&threshold| RatesAt { threshold, fmr: within.fmr(threshold), fnmr: within.fnmr(threshold) })
                    .collect(),
                thresholds: calibrated(&within, targets)?,
            });
            for (other, name) in names.iter().enumerate().skip(index + 1) {
                let between = pairs.between([(index as u16, other as u16)]);
                across.push(Across {
                    a: values.clone(),
                    b: name.clone(),
                    non_mated: between.counts().1,
                    fmr: thresholds.iter().map(|&threshold| between.fmr(threshold)).collect(),
                });
            }
        }
        let differentials = thresholds.iter().enumerate().map(|(place, &threshold)| Differential {
            threshold,
            fmr: Ratios::of(groups.iter().map(|group| (&group.values, &group.rates[place].fmr))),
            fnmr: Ratios::of(groups.iter().map(|group| (&group.values, &group.rates[place].fnmr))),
        });
        let differentials = differentials.collect();
        let worst = worst(&groups.iter().map(|group| (&group.values, group.thresholds.as_slice())), targets.len());
        Ok(Self { columns: sample.columns().to_vec(), groups, across, differentials, worst })
    }
}

impl Ratios {
    /// Of groups and their rates; groups without a trial are passed over.
    pub(crate) fn of<'g>(groups: impl Iterator<Item = (&'g Vec<String>, &'g Estimate)>) -> Option<Self> {
        let mut known: Vec<(f64, &Vec<String>)> =
            groups.filter_map(|(values, estimate)| Some((estimate.value?, values))).collect();
        known.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (&(lowest, best), &(highest, worst)) = (known.first()?, known.last()?);
        if known.len() < 2 {
            return None;
        }
        let logarithms: f64 = known.iter().map(|(rate, _)| rate.ln()).sum();
        Some(Self {
            worst: worst.clone(),
            best: best.clone(),
            worst_to_best: (lowest > 0.0).then(|| highest / lowest),
            worst_to_mean: (lowest > 0.0).then(|| highest / (logarithms / known.len() as f64).exp()),
        })
    }
}

/// The thresholds that some comparisons need; none where there is no non-mated one.
pub(crate) fn calibrated(scores: &BySubject<'_>, targets: &[f64]) -> Result<Vec<FmrThreshold>, ScoreError> {
    if scores.counts().1 == 0 {
        return Ok(Vec::new());
    }
    let calibrator = Calibrator::by_subject(scores)?;
    targets.iter().map(|&target| calibrator.at_fmr(target)).collect()
}

/// For each target the group that needs the highest threshold.
pub(crate) fn worst<'g>(
    groups: &(impl Iterator<Item = (&'g Vec<String>, &'g [FmrThreshold])> + Clone),
    targets: usize,
) -> Vec<GroupThreshold> {
    let highest = |place: usize| {
        let at = groups.clone().filter_map(|(values, thresholds)| Some((values, thresholds.get(place)?)));
        let (values, threshold) = at.max_by(|a, b| a.1.threshold.total_cmp(&b.1.threshold))?;
        Some(GroupThreshold { values: values.clone(), threshold: threshold.clone() })
    };
    (0..targets).filter_map(highest).collect()
}
