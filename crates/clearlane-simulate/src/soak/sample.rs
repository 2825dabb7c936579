//! Samples of the process, and how they drift.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::process::Process;

/// The process at one moment, and the passages since the sample before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// When, in seconds from the beginning.
    pub at: f64,
    /// What the process holds.
    #[serde(flatten)]
    pub process: Process,
    /// Passages since the last sample.
    pub passages: u64,
    /// Half of them took no longer, in milliseconds.
    pub p50_ms: Option<f64>,
    /// 99 % took no longer.
    pub p99_ms: Option<f64>,
    /// Half of the pictures since the last sample took no longer from detection to template.
    pub picture_p50_ms: Option<f64>,
    /// Templates in the gallery.
    pub templates: u64,
    /// The size of the register's file.
    pub register_bytes: Option<u64>,
    /// The size of its write-ahead log.
    pub log_bytes: Option<u64>,
}

/// How a figure moved: its median in the last tenth of the time beside that in the second tenth. The first tenth is left out,
/// in which caches fill, everything is done once, and the allocator takes its memory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// Which figure.
    pub figure: &'static str,
    /// Its median in the second tenth.
    pub second_tenth: f64,
    /// In the last tenth.
    pub last_tenth: f64,
    /// Their ratio less 1; `None` where the second tenth has 0.
    pub change: Option<f64>,
}

/// Latencies since the last sample.
#[derive(Default)]
pub(super) struct Latencies {
    passages: Mutex<Vec<Duration>>,
    pictures: Mutex<Vec<Duration>>,
}

/// A figure of a sample, by its name.
type Figure = (&'static str, fn(&Sample) -> Option<f64>);

const FIGURES: [Figure; 7] = [
    ("resident", |sample| sample.process.resident.map(|bytes| bytes as f64)),
    ("handles", |sample| sample.process.handles.map(|count| count as f64)),
    ("threads", |sample| sample.process.threads.map(|count| count as f64)),
    ("p50_ms", |sample| sample.p50_ms),
    ("p99_ms", |sample| sample.p99_ms),
    ("picture_p50_ms", |sample| sample.picture_p50_ms),
    ("log_bytes", |sample| sample.log_bytes.map(|bytes| bytes as f64)),
];

impl Latencies {
    pub(super) fn passage(&self, time: Duration) {
        self.passages.lock().unwrap_or_else(PoisonError::into_inner).push(time);
    }

    pub(super) fn picture(&self, time: Duration) {
        self.pictures.lock().unwrap_or_else(PoisonError::into_inner).push(time);
    }

    pub(super) fn take(&self, at: Duration) -> Sample {
        let sorted = |times: &Mutex<Vec<Duration>>| {
            // Drained, not taken: the next sample needs no new memory.
            let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
            let mut drained: Vec<f64> = times.drain(..).map(|time| 1e3 * time.as_secs_f64()).collect();
            drop(times);
            drained.sort_unstable_by(f64::total_cmp);
            drained
        };
        let (passages, pictures) = (sorted(&self.passages), sorted(&self.pictures));
        Sample {
            at: at.as_secs_f64(),
            passages: passages.len() as u64,
            p50_ms: quantile(&passages, 0.5),
            p99_ms: quantile(&passages, 0.99),
            picture_p50_ms: quantile(&pictures, 0.5),
            ..Sample::default()
        }
    }
}

/// How the figures of `samples` moved over a run of `elapsed`: of each that the system told in both tenths.
pub(super) fn drifts(samples: &[Sample], elapsed: Duration) -> Vec<Drift> {
    let tenth = elapsed.as_secs_f64() / 10.0;
    let of = |(figure, value): Figure| {
        let median = |from: f64, until: f64| {
            let within = samples.iter().filter(|sample| sample.at > from && sample.at <= until);
            let mut values: Vec<f64> = within.filter_map(value).collect();
            values.sort_unstable_by(f64::total_cmp);
            quantile(&values, 0.5)
        };
        let (second, last) = (median(tenth, 2.0 * tenth)?, median(9.0 * tenth, f64::INFINITY)?);
        let change = (second > 0.0).then(|| last / second - 1.0);
        Some(Drift { figure, second_tenth: second, last_tenth: last, change })
    };
    FIGURES.into_iter().filter_map(of).collect()
}

/// The value that `share` of the ascending `values` do not exceed.
fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let at = (share * values.len() as f64).ceil() as usize;
    values.get(at.saturating_sub(1)).copied()
}
