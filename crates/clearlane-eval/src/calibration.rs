//! Which threshold gives a false match rate, and how far the scores support the answer.

use std::sync::OnceLock;

use serde::Serialize;

use crate::ordered::Ordered;
use crate::tail::{Goodness, TailFit};
use crate::{BySubject, Rate, ScoreError};

/// A threshold for a false match rate, from non-mated scores.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FmrThreshold {
    /// The false match rate that was asked for.
    pub target_fmr: f64,
    /// Scores at or above it match.
    pub threshold: f32,
    /// How it was found.
    pub method: Method,
    /// What the scores themselves show at this threshold.
    pub observed: Rate,
    /// Where the threshold of this rate lies with 95 % confidence; none where the scores say nothing of it.
    pub interval: Option<ThresholdRange>,
    /// What whoever uses the threshold has to know.
    pub warnings: Vec<CalibrationWarning>,
}

/// Where a threshold lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ThresholdRange {
    /// The lower end.
    pub low: f32,
    /// The upper end.
    pub high: f32,
}

/// How a threshold was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "method", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Method {
    /// Counted: enough scores lie above it (30 or more).
    Counted,
    /// Extrapolated: too few scores lie above it, so a generalised Pareto distribution was fitted to the highest ones
    /// (probability-weighted moments; Hosking and Wallis, Technometrics 29, 1987). A shape below 0 would promise an end
    /// of the tail that nobody has seen; it is taken as 0, which errs towards a higher threshold.
    TailFit {
        /// The shape ξ, at least 0.
        shape: f64,
        /// The scale σ.
        scale: f64,
        /// The score above which the fit holds.
        from: f32,
        /// How many scores it rests on.
        excesses: u64,
        /// How well the distribution fits them.
        goodness: Goodness,
    },
}

/// Why a threshold is less sure than it looks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "warning", rename_all = "snake_case")]
#[non_exhaustive]
pub enum CalibrationWarning {
    /// The scores do not show this rate.
    #[error(
        "extrapolated: these scores show no false match rate below {lowest:.1e}; collect more, or choose a higher rate"
    )]
    Extrapolated {
        /// The lowest rate that they show (30 false matches).
        lowest: f64,
    },
    /// The tail is not of the distribution that was fitted.
    #[error("the fitted tail is not that of the scores (Anderson and Darling, p = {p:.3}): the threshold is a guess")]
    PoorFit {
        /// How likely so poor a fit would be, were the tail of this distribution.
        p: f64,
    },
    /// No comparison can reach the threshold.
    #[error("the threshold lies above 1, the highest possible score: nothing would match")]
    Unreachable,
}

/// The least probability at which a fit passes.
const POOR: f64 = 0.05;

/// Non-mated scores, ready to calibrate thresholds from.
#[derive(Clone, Debug)]
pub struct Calibrator<'a> {
    non_mated: Ordered,
    /// Descending; as many as tails are fitted to, or more.
    highest: Vec<f32>,
    subjects: Option<&'a BySubject<'a>>,
    /// Fitted when it is asked for.
    tail: OnceLock<TailFit>,
}

impl<'a> Calibrator<'a> {
    /// From non-mated scores in any order; at least one, all finite. Intervals take them as independent.
    pub fn new(non_mated: Vec<f32>) -> Result<Self, ScoreError> {
        let mut highest = non_mated.clone();
        let non_mated = Ordered::list("non-mated", non_mated)?;
        highest.sort_unstable_by(|a, b| b.total_cmp(a));
        Ok(Self { non_mated, highest, subjects: None, tail: OnceLock::new() })
    }

    /// From the non-mated comparisons of known subjects; at least one. Intervals heed that comparisons of one subject
    /// depend on each other.
    pub fn by_subject(scores: &'a BySubject<'a>) -> Result<Self, ScoreError> {
        let non_mated = scores.non_mated().clone();
        if non_mated.total() == 0 {
            return Err(ScoreError::Empty { kind: "non-mated" });
        }
        let highest = scores.highest_scores();
        Ok(Self { non_mated, highest, subjects: Some(scores), tail: OnceLock::new() })
    }

    /// The threshold whose false match rate is `target_fmr`, in (0, 1).
    pub fn at_fmr(&self, target_fmr: f64) -> Result<FmrThreshold, ScoreError> {
        let counted = match self.subjects {
            Some(scores) => scores.threshold_at(target_fmr)?,
            None => self.non_mated.threshold_at(target_fmr)?,
        };
        let total = self.non_mated.total();
        let mut warnings = Vec::new();
        let (threshold, method, interval) = if Rate::supports(total, target_fmr) {
            (counted, Method::Counted, self.counted_interval(target_fmr)?)
        } else {
            let tail = self.tail.get_or_init(|| TailFit::new(&self.highest, total));
            let TailFit { shape, scale, from, excesses, goodness } = *tail;
            warnings
                .push(CalibrationWarning::Extrapolated { lowest: (crate::RULE_OF_30 as f64 / total as f64).min(1.0) });
            if goodness.p < POOR {
                warnings.push(CalibrationWarning::PoorFit { p: goodness.p });
            }
            let quantile = tail.quantile(target_fmr, total) as f32;
            let effect = self.subjects.map_or(1.0, |scores| scores.design_effect(excesses as usize));
            let interval = tail.interval(target_fmr, total, &self.highest, effect);
            let method = Method::TailFit { shape, scale, from, excesses, goodness };
            (quantile.max(counted), method, interval)
        };
        if threshold > 1.0 {
            warnings.push(CalibrationWarning::Unreachable);
        }
        let above = match self.subjects {
            Some(scores) if threshold >= scores.known_from() => scores.matches(threshold) as u64,
            _ => total - self.non_mated.below(threshold),
        };
        Ok(FmrThreshold { target_fmr, threshold, method, observed: Rate::new(above, total), interval, warnings })
    }

    /// The threshold at which a search among `gallery` references, of none of whom the probe is, names anybody with the
    /// probability `target_fpir`, in (0, 1): that of the false match rate 1 − (1 − FPIR)^(1/N), comparisons of one search
    /// taken as independent (ISO/IEC 19795-1:2021, the relation of FPIR and FMR). `gallery` is at least 1.
    pub fn at_fpir(&self, target_fpir: f64, gallery: u64) -> Result<FmrThreshold, ScoreError> {
        if !(target_fpir > 0.0 && target_fpir < 1.0) {
            return Err(ScoreError::Target { value: target_fpir });
        }
        self.at_fmr(-f64::exp_m1(f64::ln_1p(-target_fpir) / gallery.max(1) as f64))
    }

    fn counted_interval(&self, target: f64) -> Result<Option<ThresholdRange>, ScoreError> {
        if let Some(scores) = self.subjects {
            let range = scores.threshold(target)?;
            return Ok(range.map(|range| ThresholdRange { low: range.low, high: range.high }));
        }
        // Thresholds at which the interval of the rate holds the target.
        let total = self.highest.len();
        let interval = |matches: usize| Rate::new(matches as u64, total as u64).wilson(0.95);
        let low = crate::by_subject::partition(total, |matches| interval(matches).low <= target);
        let high = crate::by_subject::partition(total, |matches| interval(matches).high < target);
        let reached = |matches: usize| self.highest[matches.min(total - 1)].next_up();
        Ok(Some(ThresholdRange { low: reached(low), high: reached(high) }))
    }
}
