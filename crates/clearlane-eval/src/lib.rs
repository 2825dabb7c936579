//! How well a face matcher recognises: protocols of public data sets, the error rates of ISO/IEC 19795-1:2021, and
//! thresholds calibrated from scores. Scores in, figures out: this crate reads no image and runs no model.
//!
//! A comparison *matches* where its score is at or above the threshold, everywhere in this crate.
//!
//! | question | answered by |
//! |---|---|
//! | which pairs and searches make up the test? | [`lfw`] |
//! | 1:1: FMR, FNMR, DET, EER, AUC, TAR at FAR | [`Scores`] |
//! | 1:1: LFW's ten-fold accuracy | [`cross_validated_accuracy`] |
//! | 1:N: rank-k, FPIR, FNIR | [`Searches`] |
//! | how sure is a rate of so many trials? | [`Rate`] |
//! | which threshold gives this false match rate? | [`Calibrator`] |
//! | do later scores still come from the distribution of earlier ones? | [`drift`] |
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

mod captures;
mod drift;
mod folds;
pub mod lfw;
mod rate;
pub mod report;
mod scores;
mod searches;
mod threshold;

pub use captures::{Capture, Captures};
pub use drift::{DriftSeries, DriftTest, FEWEST_SCORES, WindowDrift, drift};
pub use folds::{Accuracy, AccuracyDifference, Comparison, Fold, cross_validated_accuracy};
pub use rate::{Interval, Rate};
pub use scores::{DetPoint, OperatingPoint, ScoreError, Scores};
pub use searches::{MatedSearch, Searches};
pub use threshold::{Calibrator, FmrThreshold, Method};
