//! How well a face matcher recognises: protocols of public data sets, the error rates of ISO/IEC 19795-1:2021, and
//! thresholds calibrated from scores. Scores in, figures out: this crate reads no image and runs no model.
//!
//! A comparison *matches* where its score is at or above the threshold, everywhere in this crate.
//!
//! | question | answered by |
//! |---|---|
//! | which public data sets are there? | [`datasets`] |
//! | which pairs and searches make up the test? | [`protocol`], [`lfw`] |
//! | 1:1: FMR, FNMR, DET, EER, AUC, TAR at FAR | [`Scores`] |
//! | 1:1: LFW's ten-fold accuracy | [`cross_validated_accuracy`] |
//! | 1:1: all captures against all, in bounded memory | [`AllPairs`], [`Distribution`] |
//! | 1:1: by group, within and across | [`ByGroup`]; where nobody knows who is who, [`PresumedByGroup`] |
//! | 1:N: rank-k, FPIR, FNIR, by the size of the gallery | [`Searches`], [`report::OpenSet`] |
//! | how sure is a rate of so many independent trials? | [`Rate`], [`Estimate`] |
//! | and of comparisons that share subjects? | [`BySubject`]; of a curve, [`Bootstrap`] |
//! | which threshold gives this FMR, or this FPIR? | [`Calibrator`] |
//! | does a threshold hold on subjects whom it was not fitted to? | [`Halves`] |
//! | do later scores still come from the distribution of earlier ones? | [`drift`] |
//! | what does discarding poor captures bring? | [`error_versus_discard`] |
//! | presentation attack detection: APCER, BPCER | [`PadScores`] |
//! | one document with all of it | [`report`] |
//!
//! ```
//! use clearlane_eval::Scores;
//!
//! let scores = Scores::new(vec![0.9, 0.7, 0.6, 0.3], vec![0.1, 0.0, 0.4, -0.2])?;
//! assert_eq!(scores.fnmr(0.5).value(), 0.25);
//! assert_eq!(scores.fmr(0.5).value(), 0.0);
//! assert_eq!(scores.auc(), 0.9375);
//! # Ok::<(), clearlane_eval::ScoreError>(())
//! ```
#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod all_pairs;
mod bootstrap;
mod by_subject;
mod calibration;
mod captures;
pub mod datasets;
mod discard;
mod distribution;
mod drift;
mod folds;
mod groups;
mod halves;
pub mod lfw;
mod ordered;
mod pad;
mod paired;
mod presumed;
pub mod protocol;
mod rate;
pub mod report;
mod sample;
mod scores;
mod searches;
mod tail;

pub use all_pairs::{AllPairs, Pair};
pub use bootstrap::{Bootstrap, FnmrAtFmr};
pub use by_subject::{BySubject, ThresholdInterval};
pub use calibration::{CalibrationWarning, Calibrator, FmrThreshold, Method, ThresholdRange};
pub use captures::{Capture, Captures};
pub use discard::{DiscardPoint, QualityComparison, error_versus_discard};
pub use distribution::{Distribution, FINEST};
pub use drift::{DriftSeries, DriftTest, FEWEST_SCORES, WindowDrift, drift};
pub use folds::{Accuracy, AccuracyDifference, Comparison, Fold, cross_validated_accuracy};
pub use groups::{Across, ByGroup, Differential, Group, GroupThreshold, RatesAt, Ratios};
pub use halves::{HalfPoint, Halves, Presumed, Verdict};
pub use pad::{Apcer, PadPoint, PadScores};
pub use paired::{PairedComparison, PairedPoint, PairedReport};
pub use presumed::{PresumedByGroup, PresumedError, PresumedGroup, PresumedRates};
pub use rate::{Estimate, Interval, IntervalMethod, RULE_OF_30, Rate};
pub use sample::{GroupError, MAX_GROUPS, Sample};
pub use scores::{DetPoint, OperatingPoint, ScoreError, Scores, thinned};
pub use searches::{MatedSearch, Searches};
pub use tail::Goodness;
