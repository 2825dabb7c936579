//! An alarm of drift is as rare as stated where nothing drifts, and comes where something does.
#![allow(clippy::unwrap_used)]

use clearlane_eval::{DriftSeries, FEWEST_SCORES, Rate, ScoreError, drift};
use statrs::function::erf::erf_inv;

const RUNS: u64 = 1_000;

/// Reproducible draws (`SplitMix64`).
struct Draws(u64);

impl Draws {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Scores as of admissions: normal about `mean` with a deviation of 0.1, none below 0.5, where a lane's threshold cuts them.
    fn admissions(&mut self, mean: f64, count: usize) -> Vec<f32> {
        let mut scores = Vec::with_capacity(count);
        while scores.len() < count {
            let score = mean + 0.1 * std::f64::consts::SQRT_2 * erf_inv(2.0 * self.uniform() - 1.0);
            if (0.5..=1.0).contains(&score) {
                scores.push(score as f32);
            }
        }
        scores
    }
}

/// In how many of [`RUNS`] registers there is an alarm, each of lanes with a reference and later windows.
fn alarms(lanes: usize, reference: usize, windows: &[usize], means: (f64, f64), rate: f64) -> Rate {
    let run = |seed: u64| {
        let mut draws = Draws(seed.wrapping_mul(0x1234_5678_9abc_def1));
        let mut lane = || DriftSeries {
            reference: draws.admissions(means.0, reference),
            windows: windows.iter().map(|&count| draws.admissions(means.1, count)).collect(),
        };
        let series: Vec<_> = (0..lanes).map(|_| lane()).collect();
        let found = drift(&series, rate).unwrap();
        found.iter().flatten().any(|window| window.test.is_some_and(|test| test.alarm))
    };
    Rate::new((0..RUNS).filter(|&seed| run(seed)).count() as u64, RUNS)
}

/// Of one test the rate is the stated one, but for the steps of the statistic; of several it is not above it, and not far below.
#[test]
fn false_alarms_are_as_rare_as_stated() {
    for (lanes, reference, windows, rate) in [
        (1, 400, &[300][..], 0.05),
        (1, 1_000, &[997], 0.01),
        (1, 250, &[150, 150, 150, 150], 0.05),
        (4, 300, &[100, 200], 0.05),
        (1, 60, &[40], 0.1),
        // Above the sizes at which the probability is counted out.
        (1, 4_000, &[3_001], 0.05),
    ] {
        let found = alarms(lanes, reference, windows, (0.7, 0.7), rate);
        let interval = found.clopper_pearson(0.999);
        assert!(interval.low <= rate, "{lanes} lanes, {windows:?}: {found:?} for {rate}");
        assert!(interval.high >= rate / 2.0, "{lanes} lanes, {windows:?}: {found:?} for {rate}");
    }
}

/// A camera that takes half a standard deviation off all mated scores is seen in nearly all registers of 300 later travellers.
#[test]
fn a_drift_of_half_a_standard_deviation_is_seen_in_300_scores() {
    let found = alarms(2, 500, &[300, 300], (0.75, 0.70), 0.01);
    assert!(found.clopper_pearson(0.999).low > 0.95, "{found:?}");
    let up = alarms(1, 500, &[300], (0.70, 0.75), 0.01);
    assert!(up.clopper_pearson(0.999).low > 0.95, "{up:?}");
}

/// Two samples lie wholly apart in 2 of all orders of their values.
#[test]
fn samples_that_lie_apart_have_the_smallest_probability_and_equal_ones_the_largest() {
    let low: Vec<f32> = (0..30).map(|n| n as f32 / 100.0).collect();
    let high: Vec<f32> = low.iter().map(|score| score + 0.5).collect();
    let orders = (1..=30).fold(1.0, |orders, k| orders * f64::from(30 + k) / f64::from(k));
    let series = DriftSeries { reference: low.clone(), windows: vec![high, low.clone()] };
    let found = drift(&[series], 0.01).unwrap();
    let [apart, same] = found[0][..] else { panic!("{found:?}") };
    assert_eq!((apart.scores, apart.test.unwrap().distance), (30, 1.0));
    assert!((apart.test.unwrap().p_value - 2.0 / orders).abs() < 1e-14, "{apart:?}");
    assert!((apart.shift - 0.5).abs() < 1e-6 && apart.test.unwrap().alarm);
    assert_eq!((same.test.unwrap().distance, same.test.unwrap().p_value), (0.0, 1.0));
    assert!(!same.test.unwrap().alarm);
}

type Sizes = (usize, usize, f64);

/// `SciPy` 1.17.1, `ks_2samp(a, b, method="exact")` of float32 values i / m for i < m, and i / n + add for i < n.
const SCIPY: [(Sizes, (f64, f64)); 6] = [
    ((40, 40, 0.125), (0.125, 0.918_805_221_412_116_7)),
    ((60, 35, 0.2), (0.214_285_714_285_714_27, 0.224_729_996_969_050_6)),
    ((250, 100, 0.1), (0.102, 0.424_896_892_731_754_7)),
    ((500, 333, 0.07), (0.071_993_993_993_993_99, 0.235_674_899_141_771_06)),
    ((1200, 900, 0.05), (0.050_555_555_555_555_555, 0.140_079_890_146_036_9)),
    // Above the sizes at which the probability is counted out.
    ((4000, 3000, 0.03), (0.030_166_666_666_666_668, 0.086_752_784_688_283_85)),
];

#[test]
fn probabilities_are_scipys() {
    let grid = |count: usize, add: f64| (0..count).map(|i| (i as f64 / count as f64 + add) as f32).collect::<Vec<_>>();
    for ((m, n, add), (distance, p_value)) in SCIPY {
        let series = DriftSeries { reference: grid(m, 0.0), windows: vec![grid(n, add)] };
        let test = drift(&[series], 0.05).unwrap()[0][0].test.unwrap();
        assert!((test.distance - distance).abs() < 1e-9, "{m}, {n}: {test:?}");
        let allowed = if m * n > 10_000_000 { 5e-3 } else { 1e-9 };
        assert!((test.p_value - p_value).abs() < allowed * p_value, "{m}, {n}: {test:?}");
    }
}

#[test]
fn too_few_scores_are_not_tested_and_do_not_weaken_the_other_tests() {
    let mut draws = Draws(7);
    let few = draws.admissions(0.7, FEWEST_SCORES - 1);
    let many = draws.admissions(0.6, 200);
    let series = |windows| DriftSeries { reference: many.clone(), windows };
    let alone = drift(&[series(vec![draws.admissions(0.7, 200)])], 0.01).unwrap()[0][0];
    let window = Draws(7).admissions(0.7, 200);
    let with_few = drift(&[series(vec![few.clone(), window.clone(), Vec::new()])], 0.01).unwrap();
    assert_eq!(with_few[0].iter().map(|one| one.test.is_some()).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(with_few[0][1].test.unwrap().corrected, with_few[0][1].test.unwrap().p_value);
    assert!(alone.test.is_some() && with_few[0][2].shift.is_nan());
    let nobody = DriftSeries { reference: few, windows: vec![window] };
    assert_eq!(drift(&[nobody], 0.01).unwrap()[0][0].test, None);
}

#[test]
fn what_is_no_score_or_no_rate_is_refused() {
    let series = DriftSeries { reference: vec![0.5; 50], windows: vec![vec![0.5; 50]] };
    for rate in [0.0, 1.0, -0.1, f64::NAN] {
        assert!(matches!(drift(std::slice::from_ref(&series), rate), Err(ScoreError::Target { .. })), "{rate}");
    }
    for bad in [f32::NAN, f32::INFINITY] {
        let mut broken = series.clone();
        broken.windows[0][3] = bad;
        assert!(matches!(drift(&[broken], 0.01), Err(ScoreError::NotFinite { kind: "window", index: 3, .. })));
        let mut broken = series.clone();
        broken.reference[4] = bad;
        assert!(matches!(drift(&[broken], 0.01), Err(ScoreError::NotFinite { kind: "reference", index: 4, .. })));
    }
}
