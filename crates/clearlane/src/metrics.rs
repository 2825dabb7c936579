//! Counters and latency histograms that the host can read while lanes run. They hold nothing of any traveller.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::iter;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clearlane_embed::Stage;
use serde::{Serialize, Serializer};

use crate::decision::{Decision, StageTimes};

/// What one lane, or several that share it, did so far.
#[derive(Debug, Default)]
pub struct Metrics {
    admitted: AtomicU64,
    referred: AtomicU64,
    reasons: Mutex<BTreeMap<&'static str, u64>>,
    stages: [Histogram; STAGES],
}

/// [`Metrics`] as they stood at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricsSnapshot {
    /// Passages that were admitted.
    pub admitted: u64,
    /// Passages that were referred to an officer.
    pub referred: u64,
    /// How often each reason stood in a referral, by its code. A referral may have several.
    pub reasons: BTreeMap<&'static str, u64>,
    /// How long each stage took: `capture`, which is all of an extraction, then those of [`StageTimes::iter`], then `total`. As
    /// JSON by name, beside the counters.
    #[serde(flatten, serialize_with = "by_name")]
    pub stages: Vec<(&'static str, Latency)>,
}

/// The stages of an extraction, and six more.
const STAGES: usize = Stage::ALL.len() + 6;

/// The stages that have a histogram, in its order, with the time that a passage spent in each.
fn stages(times: &StageTimes) -> impl Iterator<Item = (&'static str, Duration)> {
    iter::once(("capture", times.capture())).chain(times.iter()).chain([("total", times.total)])
}

fn by_name<S: Serializer>(stages: &[(&'static str, Latency)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(stages.iter().copied())
}

impl MetricsSnapshot {
    /// How long a stage took, by its name; `None` where no stage has it.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<Latency> {
        self.stages.iter().find(|(stage, _)| *stage == name).map(|(_, latency)| *latency)
    }
}

/// Quantiles of a stage's time, each at most an eighth too high.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// How many passages had the stage.
    pub count: u64,
    /// Half took no longer, in microseconds.
    pub p50_us: u64,
    /// 95 % took no longer.
    pub p95_us: u64,
    /// 99 % took no longer.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Metrics {
    /// What was counted so far. Counters that move meanwhile may be off by the passages under way.
    #[must_use]
    pub fn snapshot(&self) -> MetricsSnapshot {
        MetricsSnapshot {
            admitted: self.admitted.load(Ordering::Relaxed),
            referred: self.referred.load(Ordering::Relaxed),
            reasons: self.reasons.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            stages: stages(&StageTimes::default())
                .zip(&self.stages)
                .map(|((name, _), histogram)| (name, histogram.latency()))
                .collect(),
        }
    }

    /// What was counted so far in Prometheus' text format (version 0.0.4), for a host that answers `GET /metrics` itself:
    /// passages by outcome, reasons of referrals, and a histogram of each stage's time. [`Port::to_prometheus`] adds what is
    /// known of the port.
    ///
    /// Times are counted in whole microseconds. A histogram's limits are one below the powers of two of these, so that its
    /// counts are exact.
    ///
    /// [`Port::to_prometheus`]: crate::Port::to_prometheus
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        let mut page = Page::default();
        let outcomes = [("admit", &self.admitted), ("refer", &self.referred)];
        page.family("clearlane_passages_total", "counter", "Passages that were decided on, by outcome.");
        for (outcome, count) in outcomes {
            page.sample("clearlane_passages_total", &[("outcome", outcome)], count.load(Ordering::Relaxed) as f64);
        }
        let reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let name = "clearlane_referral_reasons_total";
        page.family(name, "counter", "How often each reason stood in a referral; a referral may have several.");
        for (reason, count) in reasons {
            page.sample(name, &[("reason", reason)], count as f64);
        }
        page.family("clearlane_stage_duration_seconds", "histogram", "How long the stages of a passage took.");
        for ((stage, _), histogram) in stages(&StageTimes::default()).zip(&self.stages) {
            histogram.write("clearlane_stage_duration_seconds", stage, &mut page);
        }
        page.text
    }

    pub(crate) fn count(&self, decision: &Decision, times: &StageTimes) {
        match decision {
            Decision::Admit { .. } => {
                self.admitted.fetch_add(1, Ordering::Relaxed);
            }
            Decision::Refer { reasons, .. } => {
                self.referred.fetch_add(1, Ordering::Relaxed);
                let mut counts = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
                for reason in reasons {
                    *counts.entry(reason.code()).or_default() += 1;
                }
            }
        }
        for (histogram, (_, time)) in self.stages.iter().zip(stages(times)) {
            if !time.is_zero() {
                histogram.add(time);
            }
        }
    }
}

/// Eight buckets for each power of two of microseconds, up to an hour and more.
const BUCKETS: usize = 8 * 32;

/// The limits of Prometheus' buckets: 64 µs to 34 s, as powers of two of microseconds.
const LIMITS: std::ops::RangeInclusive<u32> = 6..=25;

#[derive(Debug)]
struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    longest: AtomicU64,
    /// Of all times, in microseconds.
    sum: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], longest: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }
}

impl Histogram {
    fn add(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(us)].fetch_add(1, Ordering::Relaxed);
        self.longest.fetch_max(us, Ordering::Relaxed);
        self.sum.fetch_add(us, Ordering::Relaxed);
    }

    /// Its cumulative counts, sum and count, as Prometheus has them.
    fn write(&self, name: &str, stage: &str, page: &mut Page) {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        // All from one reading of the buckets, so that they agree while lanes run.
        let count: u64 = counts.iter().sum();
        let bucket_name = format!("{name}_bucket");
        for power in LIMITS {
            let last = (1_u64 << power) - 1;
            let within: u64 = counts[..=bucket(last)].iter().sum();
            let limit = format!("{}", last as f64 / 1e6);
            page.sample(&bucket_name, &[("stage", stage), ("le", &limit)], within as f64);
        }
        page.sample(&bucket_name, &[("stage", stage), ("le", "+Inf")], count as f64);
        let sum = self.sum.load(Ordering::Relaxed) as f64 / 1e6;
        page.sample(&format!("{name}_sum"), &[("stage", stage)], sum);
        page.sample(&format!("{name}_count"), &[("stage", stage)], count as f64);
    }

    fn latency(&self) -> Latency {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let count: u64 = counts.iter().sum();
        let max_us = self.longest.load(Ordering::Relaxed);
        let quantile = |share: f64| {
            let rank = (share * count as f64).ceil() as u64;
            let mut below = 0;
            let found = counts.iter().position(|bucket| {
                below += bucket;
                below >= rank
            });
            found.map_or(0, |bucket| highest(bucket).min(max_us))
        };
        if count == 0 {
            return Latency::default();
        }
        Latency { count, p50_us: quantile(0.5), p95_us: quantile(0.95), p99_us: quantile(0.99), max_us }
    }
}

/// Lines of Prometheus' text format.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) text: String,
}

impl Page {
    /// The head of a family of samples. `help` has no line ends and no backslashes.
    pub(crate) fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A sample. Values of labels are words of this program; what would end one early is escaped all the same.
    pub(crate) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(name);
        for (at, (label, word)) in labels.iter().enumerate() {
            let word = word.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{}{label}=\"{word}\"", if at == 0 { '{' } else { ',' });
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }
}

/// Below 8 µs a bucket for each; above, the power of two and the three bits after its highest.
fn bucket(us: u64) -> usize {
    if us < 8 {
        return us as usize;
    }
    let power = us.ilog2() as usize;
    let within = (us >> (power - 3)) as usize & 7;
    (8 * (power - 2) + within).min(BUCKETS - 1)
}

/// The longest time that falls into a bucket.
fn highest(bucket: usize) -> u64 {
    match bucket {
        0..8 => bucket as u64,
        last if last == BUCKETS - 1 => u64::MAX,
        _ => {
            let (power, within) = (bucket / 8 + 2, bucket as u64 % 8);
            ((8 + within + 1) << (power - 3)) - 1
        }
    }
}
