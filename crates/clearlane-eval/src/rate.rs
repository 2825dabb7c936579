//! A rate is a count out of trials, and only as sure as the trials are many.

use serde::Serialize;
use statrs::function::{beta::inv_beta_reg, erf::erf_inv};

/// So many events in so many trials: an error rate as it was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// How often it happened; at most `trials`.
    pub events: u64,
    /// How often it could have happened.
    pub trials: u64,
}

/// Where a rate lies with a stated confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The lower end, in [0, 1].
    pub low: f64,
    /// The upper end, in [0, 1].
    pub high: f64,
}

const WHOLE: Interval = Interval { low: 0.0, high: 1.0 };

impl Rate {
    /// `events` out of `trials`; more events than trials are taken as all of them.
    #[must_use]
    pub fn new(events: u64, trials: u64) -> Self {
        Self { events: events.min(trials), trials }
    }

    /// The observed rate, in [0, 1]; NaN of no trials.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.events as f64 / self.trials as f64
    }

    /// Wilson's score interval (E. B. Wilson, JASA 22, 1927), without continuity correction: near its nominal coverage
    /// on average. `confidence` lies in (0, 1), such as 0.95. No trials, or a confidence outside, give [0, 1].
    #[must_use]
    pub fn wilson(&self, confidence: f64) -> Interval {
        if self.trials == 0 || !(confidence > 0.0 && confidence < 1.0) {
            return WHOLE;
        }
        let z = std::f64::consts::SQRT_2 * erf_inv(confidence);
        let (n, p) = (self.trials as f64, self.value());
        let centre = p + z * z / (2.0 * n);
        let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + z * z / n;
        Interval {
            low: if self.events == 0 { 0.0 } else { ((centre - half) / scale).max(0.0) },
            high: if self.events == self.trials { 1.0 } else { ((centre + half) / scale).min(1.0) },
        }
    }

    /// The exact interval of Clopper and Pearson (Biometrika 26, 1934): never covers less than `confidence`, in (0, 1).
    /// No trials, or a confidence outside, give [0, 1].
    #[must_use]
    pub fn clopper_pearson(&self, confidence: f64) -> Interval {
        if self.trials == 0 || !(confidence > 0.0 && confidence < 1.0) {
            return WHOLE;
        }
        let tail = (1.0 - confidence) / 2.0;
        let (k, n) = (self.events as f64, self.trials as f64);
        Interval {
            low: if self.events == 0 { 0.0 } else { inv_beta_reg(k, n - k + 1.0, tail) },
            high: if self.events == self.trials { 1.0 } else { inv_beta_reg(k + 1.0, n - k, 1.0 - tail) },
        }
    }
}
