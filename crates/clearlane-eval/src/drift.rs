//! Drift: whether later comparison scores still come from the distribution of earlier ones.

use serde::Serialize;

use crate::ScoreError;

/// Samples of fewer scores are not tested: a test of them would see no drift but the coarsest.
pub const FEWEST_SCORES: usize = 30;

/// Up to so many steps the distribution of the statistic is counted out; above, its limit is used, which then differs in the
/// fourth decimal.
const EXACT_STEPS: usize = 10_000_000;

/// Scores of one kind, such as those of one lane and one model: those that stand for what was expected, and later ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DriftSeries {
    /// What the later scores are compared with.
    pub reference: Vec<f32>,
    /// Later scores, in one window or several, each tested for itself.
    pub windows: Vec<Vec<f32>>,
}

/// What one window of a series shows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WindowDrift {
    /// Its scores.
    pub scores: usize,
    /// The median of its scores less that of the reference; NaN where one of them has none.
    pub shift: f64,
    /// The test; `None` where the window or the reference has fewer than [`FEWEST_SCORES`] scores.
    pub test: Option<DriftTest>,
}

/// The two-sample test of Kolmogorov and Smirnov, corrected for the number of tests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DriftTest {
    /// The largest distance of the two empirical distribution functions, in [0, 1].
    pub distance: f64,
    /// The probability of such a distance, or a larger one, of two samples of one distribution.
    pub p_value: f64,
    /// That of one so rare among all tests of the report (Bonferroni): `p_value` times their number, at most 1.
    pub corrected: f64,
    /// Whether `corrected` is at or below the false alarm rate.
    pub alarm: bool,
}

/// Compares each window of each series with the series' reference.
///
/// Of scores without drift, at most the share `false_alarm_rate`, in (0, 1), of reports has an alarm, however many series and
/// windows there are, and whatever distribution the scores have: the probability of a distance is counted out (J. L. Hodges,
/// Arkiv för Matematik 3, 1957; for large samples its limit, N. V. Smirnov 1939, with the correction of M. A. Stephens, JRSS B 32,
/// 1970), and Bonferroni's correction holds for tests that depend on each other. Equal scores make it smaller still. Scores have
/// to be independent within a series: take one of each subject.
pub fn drift(series: &[DriftSeries], false_alarm_rate: f64) -> Result<Vec<Vec<WindowDrift>>, ScoreError> {
    if !(false_alarm_rate > 0.0 && false_alarm_rate < 1.0) {
        return Err(ScoreError::Target { value: false_alarm_rate });
    }
    let tested = |one: &DriftSeries, window: &[f32]| one.reference.len().min(window.len()) >= FEWEST_SCORES;
    let tests: usize = series.iter().map(|one| one.windows.iter().filter(|window| tested(one, window)).count()).sum();
    let window = |one: &DriftSeries, reference: &[f32], window: &[f32]| {
        let ascending = in_order("window", window)?;
        let test = tested(one, window).then(|| {
            let (distance, p_value) = kolmogorov_smirnov(reference, &ascending);
            let corrected = (p_value * tests as f64).min(1.0);
            DriftTest { distance, p_value, corrected, alarm: corrected <= false_alarm_rate }
        });
        Ok(WindowDrift { scores: window.len(), shift: median(&ascending) - median(reference), test })
    };
    let all = |one: &DriftSeries| {
        let reference = in_order("reference", &one.reference)?;
        one.windows.iter().map(|later| window(one, &reference, later)).collect()
    };
    series.iter().map(all).collect()
}

/// Ascending; no scores are fine, but none may be infinite or not a number.
fn in_order(kind: &'static str, scores: &[f32]) -> Result<Vec<f32>, ScoreError> {
    if let Some((index, &value)) = scores.iter().enumerate().find(|(_, score)| !score.is_finite()) {
        return Err(ScoreError::NotFinite { kind, index, value });
    }
    let mut ascending = scores.to_vec();
    ascending.sort_unstable_by(f32::total_cmp);
    Ok(ascending)
}

fn median(ascending: &[f32]) -> f64 {
    let middle = ascending.len() / 2;
    match ascending {
        [] => f64::NAN,
        odd if odd.len() % 2 == 1 => f64::from(odd[middle]),
        even => f64::midpoint(f64::from(even[middle - 1]), f64::from(even[middle])),
    }
}

/// The distance of two samples, each ascending and not empty, and its probability.
fn kolmogorov_smirnov(a: &[f32], b: &[f32]) -> (f64, f64) {
    let (m, n) = (a.len(), b.len());
    // In whole steps of 1 / (m n), so that no rounding moves a path across the border.
    let (mut i, mut j, mut furthest) = (0_usize, 0_usize, 0_u128);
    while i < m && j < n {
        let score = a[i].min(b[j]);
        i += a[i..].iter().take_while(|&&other| other == score).count();
        j += b[j..].iter().take_while(|&&other| other == score).count();
        furthest = furthest.max(apart(i, j, m, n));
    }
    let distance = furthest as f64 / (m as f64 * n as f64);
    let exact = m.checked_mul(n).is_some_and(|steps| steps <= EXACT_STEPS);
    (distance, if exact { counted(m, n, furthest) } else { limit(m, n, distance) })
}

/// |i / m − j / n| in steps of 1 / (m n).
fn apart(i: usize, j: usize, m: usize, n: usize) -> u128 {
    (i as u128 * n as u128).abs_diff(j as u128 * m as u128)
}

/// The share of orders of `m` and `n` values that are `furthest` apart at some point, or more. An order is a path from (0, 0) to
/// (m, n); of those to (i, j), the share i / (i + j) comes by (i − 1, j).
fn counted(m: usize, n: usize, furthest: u128) -> f64 {
    let mut within = vec![0.0_f64; n + 1];
    for i in 0..=m {
        for j in 0..=n {
            within[j] = if apart(i, j, m, n) >= furthest {
                0.0
            } else if i + j == 0 {
                1.0
            } else {
                let (steps, before) = ((i + j) as f64, if j > 0 { within[j - 1] } else { 0.0 });
                let above = if i > 0 { within[j] } else { 0.0 };
                i as f64 / steps * above + j as f64 / steps * before
            };
        }
    }
    (1.0 - within[n]).clamp(0.0, 1.0)
}

fn limit(m: usize, n: usize, distance: f64) -> f64 {
    let root = (m as f64 * n as f64 / (m as f64 + n as f64)).sqrt();
    let x = distance * (root + 0.12 + 0.11 / root);
    // Where the alternating series converges slowly, the probability is 1 to 12 digits.
    if x < 0.2 {
        return 1.0;
    }
    let term = |k: i32| f64::from(1 - 2 * ((k + 1) % 2)) * (-2.0 * f64::from(k * k) * x * x).exp();
    (2.0 * (1..=100).map(term).sum::<f64>()).clamp(0.0, 1.0)
}
