//! Counters and latency histograms that the host can read while lanes run. They hold nothing of any traveller.

use std::collections::BTreeMap;
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

#[derive(Debug)]
struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    longest: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], longest: AtomicU64::new(0) }
    }
}

impl Histogram {
    fn add(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(us)].fetch_add(1, Ordering::Relaxed);
        self.longest.fetch_max(us, Ordering::Relaxed);
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
