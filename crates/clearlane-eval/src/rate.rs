//! A rate is a count out of trials, and only as sure as the trials are many.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF as _, StudentsT};
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

/// A rate as it is reported: the count behind it, and where it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The count.
    #[serde(flatten)]
    pub rate: Rate,
    /// The observed rate; none of no trials.
    pub value: Option<f64>,
    /// Where the rate lies.
    pub interval: Interval,
    /// How the interval was found.
    pub method: IntervalMethod,
}

/// How an interval was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IntervalMethod {
    /// [`Rate::wilson`], of independent trials.
    Wilson,
    /// [`Rate::clopper_pearson`], of independent trials.
    ClopperPearson,
    /// From how the errors gather on subjects: trials of one subject depend on each other.
    BySubject,
    /// No error was seen: from 0 to [`Rate::rule_of_three`], as if trials were independent. Dependent ones say less.
    RuleOfThree,
}

/// ISO/IEC 19795-1 and Doddington's rule of 30: a rate is known within ±30 % (90 % confidence) once 30 errors are seen.
pub const RULE_OF_30: u64 = 30;

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

    /// Whether so many trials can show a rate of `target`: 30 errors or more are to be expected (the rule of 30).
    #[must_use]
    pub fn supports(trials: u64, target: f64) -> bool {
        target * trials as f64 >= RULE_OF_30 as f64 * (1.0 - 1e-12)
    }

    /// Where no event was seen, the rate that trials would have shown with 95 % confidence, were it higher: 3/N (ISO/IEC
    /// 19795-1, the rule of 3). None where an event was seen, or of no trials.
    #[must_use]
    pub fn rule_of_three(&self) -> Option<f64> {
        (self.events == 0 && self.trials > 0).then(|| (3.0 / self.trials as f64).min(1.0))
    }

    /// The rate with Wilson's interval; of no event, with the rule of three.
    #[must_use]
    pub fn estimate(self) -> Estimate {
        self.with(self.wilson(0.95), IntervalMethod::Wilson)
    }

    /// The rate with the interval of Clopper and Pearson; of no event, with the rule of three.
    #[must_use]
    pub fn exact_estimate(self) -> Estimate {
        self.with(self.clopper_pearson(0.95), IntervalMethod::ClopperPearson)
    }

    pub(crate) fn with(self, interval: Interval, method: IntervalMethod) -> Estimate {
        let value = (self.trials > 0).then(|| self.value());
        match self.rule_of_three() {
            Some(high) => Estimate {
                rate: self,
                value,
                interval: Interval { low: 0.0, high },
                method: IntervalMethod::RuleOfThree,
            },
            None => Estimate { rate: self, value, interval, method },
        }
    }

    /// The interval of a rate whose variance is known otherwise than by counting, symmetrical in the log odds, as many
    /// degrees of freedom behind the variance as stated. A variance below that of independent trials is raised to it.
    pub(crate) fn with_variance(&self, variance: f64, freedom: f64, confidence: f64) -> Interval {
        let (p, n) = (self.value(), self.trials as f64);
        if self.events == 0 || self.events == self.trials {
            return self.clopper_pearson(confidence);
        }
        let independent = p * (1.0 - p) / n;
        let error = variance.max(independent).sqrt() / (p * (1.0 - p));
        let half = student(confidence, freedom) * error;
        let logit = (p / (1.0 - p)).ln();
        let expit = |x: f64| 1.0 / (1.0 + (-x).exp());
        Interval { low: expit(logit - half), high: expit(logit + half) }
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

/// How many standard errors a two-sided interval of this confidence reaches to each side, with so many degrees of freedom.
pub(crate) fn student(confidence: f64, freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom.max(1.0)).map_or(f64::INFINITY, |t| t.inverse_cdf(f64::midpoint(1.0, confidence)))
}
