//! Intervals that heed subjects: comparisons that share a subject depend on each other, and a hundred thousand comparisons
//! of a few hundred subjects say less than their number promises.

use std::collections::HashMap;

use crate::all_pairs::{AllPairs, Cell, Pair, merged};
use crate::ordered::{Ordered, allowed};
use crate::rate::IntervalMethod;
use crate::{Estimate, Interval, Rate, Sample, ScoreError};

/// The comparisons of some pairs of groups, by subject.
///
/// The variance of a false match rate is that of a sum over pairs of subjects (dyads), in which those that share a subject
/// depend on each other: with u the errors of a pair of subjects less those expected, Σₛ(Σₜ u)² − Σ u² (Fafchamps and
/// Gubert, "The formation of risk sharing networks", Journal of Development Economics 83, 2007, section 4; Aronow, Samii
/// and Assenova, "Cluster-robust variance estimation for dyadic data", Political Analysis 23, 2015). That of a false
/// non-match rate is that of a sum over subjects. Intervals are symmetrical in the log odds, with Student's t for as many
/// subjects.
#[derive(Clone, Debug)]
pub struct BySubject<'a> {
    cells: Vec<(u16, u16, &'a Cell)>,
    non_mated: Ordered,
    /// The highest non-mated comparisons between subjects, descending; complete from a score on.
    pub(crate) highest: Vec<Pair>,
    from: f32,
    /// Of the first k highest comparisons, the sum over pairs of subjects of their number squared.
    squares: Vec<u64>,
    /// Mated comparisons by ascending score.
    pub(crate) mated: Vec<(u32, f32)>,
    members: Vec<Member>,
    subjects: usize,
    /// Non-mated comparisons that each subject takes part in.
    partners: Vec<f64>,
}

/// Captures of one subject in one group.
#[derive(Clone, Copy, Debug)]
struct Member {
    subject: u32,
    group: u16,
    captures: f64,
}

/// A threshold with where it lies.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct ThresholdInterval {
    /// The false match rate asked for.
    pub target_fmr: f64,
    /// The lowest threshold that keeps it on these scores.
    pub threshold: f32,
    /// The lowest threshold at which the rate may be the one asked for, with 95 % confidence.
    pub low: f32,
    /// The highest such threshold.
    pub high: f32,
}

const CONFIDENCE: f64 = 0.95;

impl<'a> BySubject<'a> {
    pub(crate) fn new(pairs: &'a AllPairs, cells: impl IntoIterator<Item = (u16, u16)>) -> Self {
        let sample = &pairs.sample;
        let cells: Vec<(u16, u16, &Cell)> =
            cells.into_iter().map(|(a, b)| (a, b, &pairs.cells[Sample::cell(a, b)])).collect();
        let subject = |capture: u32| sample.subjects[capture as usize];
        let from = cells.iter().map(|(_, _, cell)| cell.highest.from).fold(-1.0, f32::max);
        let highest = cells.iter().flat_map(|(_, _, cell)| &cell.highest.pairs).filter(|pair| pair.score >= from);
        let mut highest: Vec<Pair> = highest
            .map(|pair| {
                let (a, b) = (subject(pair.a), subject(pair.b));
                Pair { a: a.min(b), b: a.max(b), score: pair.score }
            })
            .collect();
        highest.sort_unstable_by(|x, y| y.score.total_cmp(&x.score).then((x.a, x.b).cmp(&(y.a, y.b))));
        let mut seen: HashMap<(u32, u32), u64> = HashMap::new();
        let mut sum = 0;
        let mut squares = vec![0];
        squares.extend(highest.iter().map(|pair| {
            let count = seen.entry((pair.a, pair.b)).or_default();
            sum += 2 * *count + 1;
            *count += 1;
            sum
        }));
        let mated = cells.iter().flat_map(|(_, _, cell)| &cell.mated);
        let mut mated: Vec<(u32, f32)> = mated.map(|pair| (subject(pair.a), pair.score)).collect();
        mated.sort_unstable_by(|x, y| x.1.total_cmp(&y.1).then(x.0.cmp(&y.0)));
        let mut owners: Vec<(u32, u16)> =
            sample.subjects.iter().zip(&sample.groups).map(|(&subject, &group)| (subject, group)).collect();
        owners.retain(|(_, group)| cells.iter().any(|(a, b, _)| a == group || b == group));
        owners.sort_unstable();
        let members: Vec<Member> = owners
            .chunk_by(|a, b| a == b)
            .map(|same| Member { subject: same[0].0, group: same[0].1, captures: same.len() as f64 })
            .collect();
        let non_mated = Ordered::Binned(merged(&cells.iter().map(|(_, _, cell)| *cell).collect::<Vec<_>>()));
        let mut by_subject = Self {
            cells,
            non_mated,
            highest,
            from,
            squares,
            mated,
            members,
            subjects: sample.subjects(),
            partners: Vec::new(),
        };
        by_subject.partners = by_subject.partners();
        by_subject
    }

    /// The lowest threshold for which false matches are known one by one.
    #[must_use]
    pub fn known_from(&self) -> f32 {
        self.from
    }

    /// How many mated and non-mated comparisons there are.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.mated.len() as u64, self.non_mated.total())
    }

    /// Subjects that take part in a comparison.
    #[must_use]
    pub fn subjects(&self) -> usize {
        self.members.chunk_by(|a, b| a.subject == b.subject).count()
    }

    /// The false match rate at `threshold`. Below [`Self::known_from`] its interval is [0, 1]: what subjects share is not
    /// known there.
    #[must_use]
    pub fn fmr(&self, threshold: f32) -> Estimate {
        if threshold < self.from {
            let total = self.non_mated.total();
            let rate = Rate::new(total - self.non_mated.below(threshold), total);
            return rate.with(Interval { low: 0.0, high: 1.0 }, IntervalMethod::BySubject);
        }
        let matches = self.matches(threshold);
        let rate = Rate::new(matches as u64, self.non_mated.total());
        rate.with(self.interval(matches), IntervalMethod::BySubject)
    }

    /// The false non-match rate at `threshold`.
    #[must_use]
    pub fn fnmr(&self, threshold: f32) -> Estimate {
        let missed = self.missed(threshold);
        let rate = Rate::new(missed as u64, self.mated.len() as u64);
        let (p, trials) = (rate.value(), rate.trials as f64);
        // Of each subject the errors less those expected.
        let mut residuals: HashMap<u32, f64> = HashMap::new();
        for (index, (subject, _)) in self.mated.iter().enumerate() {
            *residuals.entry(*subject).or_default() += f64::from(u8::from(index < missed)) - p;
        }
        let subjects = residuals.len() as f64;
        let mut squares: Vec<f64> = residuals.into_values().map(|residual| residual * residual).collect();
        squares.sort_unstable_by(f64::total_cmp);
        let variance = squares.iter().sum::<f64>() / (trials * trials) * subjects / (subjects - 1.0).max(1.0);
        rate.with(rate.with_variance(variance, subjects - 1.0, CONFIDENCE), IntervalMethod::BySubject)
    }

    /// The lowest threshold whose false match rate is at most `target`, in (0, 1), and the thresholds at which it may be:
    /// those whose interval holds the target. None where the comparisons do not support such a rate
    /// ([`Rate::supports`]), or where too few of them are known one by one.
    pub fn threshold(&self, target: f64) -> Result<Option<ThresholdInterval>, ScoreError> {
        let threshold = self.threshold_at(target)?;
        if !Rate::supports(self.non_mated.total(), target) || threshold < self.from {
            return Ok(None);
        }
        // The interval's ends fall as fewer comparisons match.
        let (low, high) = (
            partition(self.highest.len(), |matches| self.interval(matches).low <= target),
            partition(self.highest.len(), |matches| self.interval(matches).high < target),
        );
        let reached = |matches: usize| self.highest.get(matches).map_or(self.from, |pair| pair.score.next_up());
        Ok(Some(ThresholdInterval { target_fmr: target, threshold, low: reached(low), high: reached(high) }))
    }

    /// The lowest threshold that at most a share of `target`, in (0, 1), of the non-mated comparisons reaches.
    pub fn threshold_at(&self, target: f64) -> Result<f32, ScoreError> {
        if self.non_mated.total() == 0 {
            return Err(ScoreError::Empty { kind: "non-mated" });
        }
        let binned = self.non_mated.threshold_at(target)?;
        // The list has it to the last bit; the bin's upper edge lies a little above.
        let allowed = allowed(target, self.non_mated.total()) as usize;
        Ok(self.highest.get(allowed).map_or(binned, |pair| pair.score.next_up()))
    }

    /// The highest non-mated scores, descending: all from [`Self::known_from`] on.
    #[must_use]
    pub fn highest_scores(&self) -> Vec<f32> {
        self.highest.iter().map(|pair| pair.score).collect()
    }

    /// Without comparisons at or above `limit`, or [`Self::known_from`] where that is higher: near-copies, of which nobody
    /// believes that they show two people.
    #[must_use]
    pub fn without_copies(mut self, limit: f32) -> Self {
        let copies = self.matches(limit.max(self.from));
        self.highest.drain(..copies);
        let before = self.squares[copies];
        self.squares.drain(..copies);
        for sum in &mut self.squares {
            *sum -= before;
        }
        if let Ordered::Binned(distribution) = &mut self.non_mated {
            distribution.cut_highest(copies as u64);
        }
        self
    }

    pub(crate) fn non_mated(&self) -> &Ordered {
        &self.non_mated
    }

    pub(crate) fn matches(&self, threshold: f32) -> usize {
        self.highest.partition_point(|pair| pair.score >= threshold)
    }

    pub(crate) fn missed(&self, threshold: f32) -> usize {
        self.mated.partition_point(|(_, score)| *score < threshold)
    }

    fn interval(&self, matches: usize) -> Interval {
        let rate = Rate::new(matches as u64, self.non_mated.total());
        match rate.rule_of_three() {
            Some(high) => Interval { low: 0.0, high },
            None => rate.with_variance(self.variance(matches), self.subjects() as f64 - 1.0, CONFIDENCE),
        }
    }

    /// The variance of the false match rate at which the first `matches` of the highest comparisons match.
    pub(crate) fn variance(&self, matches: usize) -> f64 {
        let total = self.non_mated.total() as f64;
        let rate = matches as f64 / total;
        let mut errors = vec![0.0; self.subjects];
        for pair in &self.highest[..matches] {
            errors[pair.a as usize] += 1.0;
            errors[pair.b as usize] += 1.0;
        }
        let by_subject: f64 =
            errors.iter().zip(&self.partners).map(|(errors, partners)| (errors - rate * partners).powi(2)).sum();
        let subjects = self.subjects() as f64;
        // Of pairs of subjects alone, Σ u² is that of so many draws.
        let alone = self.squares[matches] as f64 * (1.0 - rate);
        (by_subject - alone).max(0.0) / (total * total) * subjects / (subjects - 1.0).max(1.0)
    }

    /// How many times the variance of independent comparisons theirs is, where the first `matches` of the highest match.
    pub(crate) fn design_effect(&self, matches: usize) -> f64 {
        let total = self.non_mated.total() as f64;
        let rate = matches as f64 / total;
        self.variance(matches) * total / (rate * (1.0 - rate))
    }

    /// The non-mated comparisons where each subject counts as often as `weights` says.
    pub(crate) fn weighted_total(&self, weights: &[f64]) -> f64 {
        let groups = self.groups();
        let mut sums = vec![0.0; groups];
        let mut shared = vec![0.0; groups * groups];
        for same in self.members.chunk_by(|a, b| a.subject == b.subject) {
            let weight = weights[same[0].subject as usize];
            for member in same {
                sums[usize::from(member.group)] += weight * member.captures;
                for other in same {
                    let place = usize::from(member.group) * groups + usize::from(other.group);
                    shared[place] += weight * weight * member.captures * other.captures;
                }
            }
        }
        self.cells.iter().fold(0.0, |total, &(a, b, _)| {
            let (a, b) = (usize::from(a), usize::from(b));
            let pairs = sums[a] * sums[b] - shared[a * groups + b];
            total + if a == b { pairs / 2.0 } else { pairs }
        })
    }

    fn partners(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.groups()];
        for member in &self.members {
            sums[usize::from(member.group)] += member.captures;
        }
        let mut partners = vec![0.0; self.subjects];
        for same in self.members.chunk_by(|a, b| a.subject == b.subject) {
            let own = |group: u16| same.iter().find(|member| member.group == group).map_or(0.0, |m| m.captures);
            let with = |one: u16, other: u16| own(one) * (sums[usize::from(other)] - own(other));
            partners[same[0].subject as usize] =
                self.cells.iter().map(|&(a, b, _)| with(a, b) + if a == b { 0.0 } else { with(b, a) }).sum();
        }
        partners
    }

    fn groups(&self) -> usize {
        self.cells.iter().map(|(a, b, _)| usize::from(*a.max(b)) + 1).max().unwrap_or(0)
    }

    pub(crate) fn all_subjects(&self) -> usize {
        self.subjects
    }
}

/// The largest number up to `most` that `holds` for, where it holds for all below.
pub(crate) fn partition(most: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if holds(middle) { low = middle } else { high = middle - 1 }
    }
    low
}
