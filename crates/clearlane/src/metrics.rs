//! Counters and latency histograms that the host can read while lanes run. They hold nothing of any traveller.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::decision::{Decision, StageTimes};

/// What one lane, or several that share it, did so far.
#[derive(Debug, Default)]
pub struct Metrics {
    admitted: AtomicU64,
    referred: AtomicU64,
    reasons: Mutex<BTreeMap<&'static str, u64>>,
    detect: Histogram,
    align: Histogram,
    quality: Histogram,
    pad: Histogram,
    embed: Histogram,
    capture: Histogram,
    claim: Histogram,
    search: Histogram,
    rules: Histogram,
    record: Histogram,
    total: Histogram,
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
    /// Finding faces in all frames of a passage.
    pub detect: Latency,
    /// Cutting out the aligned faces.
    pub align: Latency,
    /// Measuring quality.
    pub quality: Latency,
    /// Presentation attack detection.
    pub pad: Latency,
    /// Making templates.
    pub embed: Latency,
    /// Frames to template: the five stages above.
    pub capture: Latency,
    /// Reading a claim and checking it.
    pub claim: Latency,
    /// Template to candidates.
    pub search: Latency,
    /// Candidates to decision.
    pub rules: Latency,
    /// Writing the crossing record.
    pub record: Latency,
    /// Whole passages.
    pub total: Latency,
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
            detect: self.detect.latency(),
            align: self.align.latency(),
            quality: self.quality.latency(),
            pad: self.pad.latency(),
            embed: self.embed.latency(),
            capture: self.capture.latency(),
            claim: self.claim.latency(),
            search: self.search.latency(),
            rules: self.rules.latency(),
            record: self.record.latency(),
            total: self.total.latency(),
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
        let stages = [
            (&self.detect, times.detect),
            (&self.align, times.align),
            (&self.quality, times.quality),
            (&self.pad, times.pad),
            (&self.embed, times.embed),
            (&self.capture, times.capture()),
            (&self.claim, times.claim),
            (&self.search, times.search),
            (&self.rules, times.rules),
            (&self.record, times.record),
            (&self.total, times.total),
        ];
        for (histogram, time) in stages {
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
