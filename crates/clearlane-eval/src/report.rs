//! Figures as documents: what `eval` prints and stores.

use serde::Serialize;

use crate::{
    Accuracy, AllPairs, Bootstrap, Calibrator, Comparison, DetPoint, Estimate, FmrThreshold, FnmrAtFmr, Interval,
    OperatingPoint, RULE_OF_30, Rate, ScoreError, Scores, Searches, cross_validated_accuracy, thinned,
};

/// The confidence of every interval in a report.
pub const CONFIDENCE: f64 = 0.95;

/// A 1:1 test with folds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// Mated comparisons.
    pub mated: u64,
    /// Non-mated comparisons.
    pub non_mated: u64,
    /// Cross-validated accuracy.
    pub accuracy: Accuracy,
    /// Area under the ROC.
    pub auc: f64,
    /// Equal error rate.
    pub eer: f64,
    /// The matcher set to each false match rate that was asked for.
    pub operating_points: Vec<Point>,
    /// The detection error trade-off, thinned.
    pub det: Vec<DetPoint>,
    /// Mated scores, in 200 equal bars over [-1, 1].
    pub mated_histogram: Vec<u64>,
    /// Non-mated scores, likewise.
    pub non_mated_histogram: Vec<u64>,
}

/// An operating point with its confidence intervals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Threshold and rates.
    #[serde(flatten)]
    pub at: OperatingPoint,
    /// True accept rate.
    pub tar: f64,
    /// Where the true accept rate lies with 95 % confidence (Wilson).
    pub tar_interval: Interval,
    /// Where the false match rate lies with 95 % confidence (Clopper and Pearson).
    pub fmr_interval: Interval,
}

impl Verification {
    /// The report of `comparisons`, with an operating point at each of `targets` (false match rates, in (0, 1)).
    pub fn new(comparisons: &[Comparison], targets: &[f64]) -> Result<Self, ScoreError> {
        let scores = scores(comparisons)?;
        let operating_points = points(&scores, targets)?;
        let (mated, non_mated) = scores.counts();
        let accuracy = cross_validated_accuracy(comparisons)?;
        Ok(Self {
            mated,
            non_mated,
            accuracy,
            auc: scores.auc(),
            eer: scores.eer(),
            operating_points,
            det: thinned(&scores.det(), DET_POINTS),
            mated_histogram: scores.mated_histogram(BARS),
            non_mated_histogram: scores.non_mated_histogram(BARS),
        })
    }
}

/// The matcher set to each of `targets` (false match rates, in (0, 1)), with its intervals.
pub fn points(scores: &Scores, targets: &[f64]) -> Result<Vec<Point>, ScoreError> {
    targets.iter().map(|&target| scores.at_fmr(target).map(point)).collect()
}

/// The scores of `comparisons`, whatever their fold.
pub fn scores(comparisons: &[Comparison]) -> Result<Scores, ScoreError> {
    let of = |mated: bool| comparisons.iter().filter(|c| c.mated == mated).map(|c| c.score).collect();
    Scores::new(of(true), of(false))
}

/// A 1:N test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Identification {
    /// Enrolled subjects.
    pub gallery: usize,
    /// Searches whose subject is enrolled.
    pub mated: usize,
    /// Searches whose subject is not.
    pub non_mated: usize,
    /// The mate found among the first k, without a threshold.
    pub ranks: Vec<RankRate>,
    /// The system set to each false-positive identification rate that was asked for.
    pub operating_points: Vec<SearchPoint>,
}

/// A point of the cumulative match characteristic.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RankRate {
    /// Among the first so many candidates.
    pub k: usize,
    /// Mates found there.
    pub found: Rate,
    /// Their share.
    pub rate: f64,
    /// Where it lies with 95 % confidence (Wilson).
    pub interval: Interval,
}

/// An identification system set to a false-positive identification rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SearchPoint {
    /// The rate asked for.
    pub target_fpir: f64,
    /// The lowest threshold that keeps it on these searches.
    pub threshold: f32,
    /// What these searches show there.
    pub fpir: Rate,
    /// Mates that do not come first, or come below the threshold.
    pub fnir: Rate,
    /// Where FNIR lies with 95 % confidence (Wilson).
    pub fnir_interval: Interval,
}

impl Identification {
    /// The report of `searches` against `gallery` subjects, at each of `ks` ranks and `targets` (FPIR, in (0, 1)).
    pub fn new(gallery: usize, searches: &Searches, ks: &[usize], targets: &[f64]) -> Result<Self, ScoreError> {
        let rank = |&k: &usize| {
            let found = searches.rank(k);
            RankRate { k, found, rate: found.value(), interval: found.wilson(CONFIDENCE) }
        };
        let point = |&target_fpir: &f64| {
            let threshold = searches.threshold_at_fpir(target_fpir)?;
            let (fpir, fnir) = (searches.fpir(threshold), searches.fnir(1, threshold));
            Ok(SearchPoint { target_fpir, threshold, fpir, fnir, fnir_interval: fnir.wilson(CONFIDENCE) })
        };
        let (mated, non_mated) = searches.counts();
        let operating_points = targets.iter().map(point).collect::<Result<_, _>>()?;
        Ok(Self { gallery, mated, non_mated, ranks: ks.iter().map(rank).collect(), operating_points })
    }
}

/// Points of the trade-off in a document.
const DET_POINTS: usize = 300;

/// Bars of a histogram in a document, over [-1, 1].
const BARS: usize = 200;

/// A 1:1 test of all captures against all.
#[derive(Clone, Debug, Serialize)]
pub struct AllAgainstAll {
    /// Captures that were compared.
    pub captures: usize,
    /// Subjects that they show.
    pub subjects: usize,
    /// Mated comparisons.
    pub mated: u64,
    /// Non-mated comparisons.
    pub non_mated: u64,
    /// Equal error rate.
    pub eer: f64,
    /// Area under the ROC.
    pub auc: f64,
    /// The lowest false match rate that so many comparisons show: 30 of them. No figure is given for a lower one.
    pub lowest_fmr: f64,
    /// FNMR at each false match rate that was asked for and is shown.
    pub fnmr_at_fmr: Vec<FnmrAtFmr>,
    /// The rates at the thresholds of those points, with intervals by subject.
    pub rates: Vec<RatesPoint>,
    /// The detection error trade-off, thinned.
    pub det: Vec<DetPoint>,
    /// Mated scores, in 200 equal bars over [-1, 1].
    pub mated_histogram: Vec<u64>,
    /// Non-mated scores, likewise.
    pub non_mated_histogram: Vec<u64>,
    /// Thresholds for the false match rates that a calibration was asked for.
    pub calibration: Vec<FmrThreshold>,
}

/// Rates at a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RatesPoint {
    /// The threshold.
    pub threshold: f32,
    /// False matches.
    pub fmr: Estimate,
    /// False non-matches.
    pub fnmr: Estimate,
}

impl AllAgainstAll {
    /// The report of `pairs`, with FNMR at each of `targets` and thresholds for each of `calibrated` (false match rates, in
    /// (0, 1)).
    pub fn new(pairs: &AllPairs, targets: &[f64], calibrated: &[f64]) -> Result<Self, ScoreError> {
        let scores = pairs.scores()?;
        let by_subject = pairs.by_subject();
        let (mated, non_mated) = scores.counts();
        let fnmr_at_fmr = Bootstrap::default().fnmr_at_fmr(&by_subject, targets)?;
        let rates = fnmr_at_fmr.iter().map(|point| {
            let threshold = point.threshold;
            RatesPoint { threshold, fmr: by_subject.fmr(threshold), fnmr: by_subject.fnmr(threshold) }
        });
        let calibrator = Calibrator::by_subject(&by_subject)?;
        let det = scores.det();
        Ok(Self {
            captures: pairs.sample().captures(),
            subjects: pairs.sample().subjects(),
            mated,
            non_mated,
            eer: scores.eer(),
            auc: scores.auc(),
            lowest_fmr: RULE_OF_30 as f64 / non_mated as f64,
            rates: rates.collect(),
            fnmr_at_fmr,
            det: thinned(&det, DET_POINTS),
            mated_histogram: scores.mated_histogram(BARS),
            non_mated_histogram: scores.non_mated_histogram(BARS),
            calibration: calibrated.iter().map(|&target| calibrator.at_fmr(target)).collect::<Result<_, _>>()?,
        })
    }
}

/// A 1:N test with galleries of several sizes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenSet {
    /// Enrolled subjects.
    pub gallery: usize,
    /// Searches whose subject is enrolled.
    pub mated: usize,
    /// Searches whose subject is not.
    pub non_mated: usize,
    /// Mates that come first, whatever their score.
    pub rank_one: Estimate,
    /// At each false-positive identification rate that was asked for and that so many searches show.
    pub points: Vec<OpenSetPoint>,
}

/// What a mate's absence from the candidate list means is a matter of convention; here are all three.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OpenSetPoint {
    /// The rate asked for.
    pub target_fpir: f64,
    /// The lowest threshold that keeps it on these searches.
    pub threshold: f32,
    /// What these searches show there.
    pub fpir: Estimate,
    /// Mates below the threshold, or not first.
    pub fnir_first: Estimate,
    /// Mates below the threshold, or not among the first 50, as NIST counts them (NISTIR 8271, section 3).
    pub fnir_top_50: Estimate,
    /// Mates below the threshold, whatever their rank.
    pub fnir_score: Estimate,
}

impl OpenSet {
    /// The report of `searches` against `gallery` subjects at each of `targets` (FPIR, in (0, 1)) that they show: 30
    /// non-mated searches or more above its threshold.
    pub fn new(gallery: usize, searches: &Searches, targets: &[f64]) -> Result<Self, ScoreError> {
        let (mated, non_mated) = searches.counts();
        let mut points = Vec::new();
        for &target_fpir in targets {
            if !Rate::supports(non_mated as u64, target_fpir) {
                continue;
            }
            let threshold = searches.threshold_at_fpir(target_fpir)?;
            let fnir = |k: usize| searches.fnir(k, threshold).estimate();
            points.push(OpenSetPoint {
                target_fpir,
                threshold,
                fpir: searches.fpir(threshold).estimate(),
                fnir_first: fnir(1),
                fnir_top_50: fnir(50),
                fnir_score: fnir(usize::MAX),
            });
        }
        Ok(Self { gallery, mated, non_mated, rank_one: searches.rank(1).estimate(), points })
    }
}

fn point(at: OperatingPoint) -> Point {
    let accepted = Rate::new(at.fnmr.trials - at.fnmr.events, at.fnmr.trials);
    Point {
        at,
        tar: accepted.value(),
        tar_interval: accepted.wilson(CONFIDENCE),
        fmr_interval: at.fmr.clopper_pearson(CONFIDENCE),
    }
}
