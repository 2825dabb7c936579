//! Tests with scores of known rates.
#![allow(dead_code, clippy::unwrap_used)]

use clearlane_eval::{AllPairs, Capture, Captures, Sample};
use statrs::distribution::{ContinuousCDF as _, Normal};

/// A normal number from a key, the same each time.
pub(crate) fn normal(key: &[u64]) -> f64 {
    let mixed = |salt: u64| {
        let mut state = salt;
        for part in key {
            // SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
            state = state.wrapping_add(*part).wrapping_add(0x9E37_79B9_7F4A_7C15);
            state = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            state = (state ^ state >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            state ^= state >> 31;
        }
        ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    };
    (-2.0 * mixed(1).ln()).sqrt() * (std::f64::consts::TAU * mixed(2)).cos()
}

pub(crate) fn uniform(key: &[u64]) -> f64 {
    cumulative(normal(key))
}

pub(crate) fn cumulative(x: f64) -> f64 {
    Normal::standard().cdf(x)
}

pub(crate) fn quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

/// Subjects with several captures each, whose scores share a part: non-mated comparisons that of their two subjects,
/// mated ones that of their one.
#[derive(Clone, Copy)]
pub(crate) struct World {
    pub(crate) subjects: usize,
    pub(crate) captures: usize,
    /// The deviation of a subject's part, and of what belongs to a comparison alone.
    pub(crate) shared: f64,
    pub(crate) own: f64,
    pub(crate) mated_mean: f64,
    /// What each group's non-mated scores have more than the group's before.
    pub(crate) step: f64,
    pub(crate) groups: usize,
}

pub(crate) const WORLD: World =
    World { subjects: 60, captures: 2, shared: 0.04, own: 0.12, mated_mean: 0.35, step: 0.0, groups: 1 };

impl World {
    pub(crate) fn captures(&self) -> Captures {
        let captures = (0..self.subjects * self.captures).map(|index| {
            let subject = index / self.captures;
            Capture {
                picture: index.to_string(),
                subject: Some(subject.to_string()),
                labels: vec![(subject % self.groups).to_string()],
            }
        });
        Captures { columns: vec!["group".to_owned()], captures: captures.collect() }
    }

    /// One draw of it.
    pub(crate) fn draw(&self, draw: u64) -> AllPairs {
        let columns: &[&str] = if self.groups > 1 { &["group"] } else { &[] };
        let sample = Sample::new(&self.captures(), columns).unwrap();
        let parts: Vec<f64> = (0..self.subjects as u64).map(|subject| self.shared * normal(&[draw, subject])).collect();
        AllPairs::compare(sample, |row, first, out| {
            let a = row / self.captures;
            for (column, out) in (first..).zip(out) {
                let b = column / self.captures;
                let own = self.own * normal(&[draw, 1 << 32 | row as u64, column as u64]);
                *out = if a == b {
                    self.mated_mean + parts[a] + own
                } else {
                    let groups = (a % self.groups + b % self.groups) as f64 / 2.0;
                    parts[a] + parts[b] + own + self.step * groups
                } as f32;
            }
        })
    }

    /// The false match rate at `threshold` between groups.
    pub(crate) fn fmr(&self, threshold: f32, a: usize, b: usize) -> f64 {
        let deviation = (self.own.powi(2) + 2.0 * self.shared.powi(2)).sqrt();
        let mean = self.step * (a + b) as f64 / 2.0;
        1.0 - cumulative((f64::from(threshold) - mean) / deviation)
    }

    pub(crate) fn threshold(&self, fmr: f64) -> f64 {
        (self.own.powi(2) + 2.0 * self.shared.powi(2)).sqrt() * quantile(1.0 - fmr)
    }

    pub(crate) fn fnmr(&self, threshold: f64) -> f64 {
        cumulative((threshold - self.mated_mean) / self.own.hypot(self.shared))
    }
}
