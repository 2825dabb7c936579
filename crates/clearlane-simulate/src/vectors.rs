//! Random directions, templates of them, and their mates.

use clearlane_template::{ModelId, Template, TemplateError};
use rand::rngs::{SmallRng, StdRng};
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// Rows that are drawn from one generator.
const ROWS_A_SEED: usize = 1024;

/// The model that measured templates belong to.
#[must_use]
pub fn model() -> ModelId {
    ModelId::digest([b"clearlane bench".as_slice()])
}

/// Fills `rows` with unit vectors, uniform on the sphere; `first` is the number of the first row, so that a matrix may be
/// drawn in parts of whole thousands (1024).
pub fn random_rows(rows: &mut [f32], dimension: usize, seed: u64, first: usize) {
    rows.par_chunks_mut(ROWS_A_SEED * dimension).enumerate().for_each(|(part, rows)| {
        let stream = (first / ROWS_A_SEED + part) as u64;
        let mut random = SmallRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9).wrapping_add(stream));
        for row in rows.chunks_exact_mut(dimension) {
            row.fill_with(|| StandardNormal.sample(&mut random));
            normalise(row);
        }
    });
}

/// Fills `out` with unit vectors that are distributed as `rows` are, up to their second moments: each is the mean of the rows
/// and, of a few rows drawn at random, normal multiples of what sets them apart from the mean.
pub fn alike(rows: &[f32], dimension: usize, out: &mut [f32], seed: u64) {
    /// Few enough to keep some of the rows' heavier tails.
    const DRAWN: usize = 8;
    let count = rows.len() / dimension;
    let mut mean = vec![0.0; dimension];
    for row in rows.chunks_exact(dimension) {
        mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / count as f32);
    }
    out.par_chunks_mut(ROWS_A_SEED * dimension).enumerate().for_each(|(part, out)| {
        let mut random = SmallRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9).wrapping_add(part as u64));
        for row in out.chunks_exact_mut(dimension) {
            row.copy_from_slice(&mean);
            for _ in 0..DRAWN {
                let normal: f32 = StandardNormal.sample(&mut random);
                let weight = normal / (DRAWN as f32).sqrt();
                let drawn = &rows[random.random_range(0..count) * dimension..][..dimension];
                row.iter_mut().zip(drawn).zip(&mean).for_each(|((out, value), mean)| *out += weight * (value - mean));
            }
            normalise(row);
        }
    });
}

/// The template of a synthetic subject of `model`: a random direction, the same for the same `seed`.
pub fn template(model: ModelId, dimension: usize, seed: u64) -> Result<Template, TemplateError> {
    Template::normalised(model, normal(&mut StdRng::seed_from_u64(seed), dimension))
}

/// A probe of [`model`] whose score with the unit vector `row` is `score`, within rounding.
pub fn mate(row: &[f32], score: f32, seed: u64) -> Result<Template, TemplateError> {
    let mut away = vec![0.0; row.len()];
    random_rows(&mut away, row.len(), seed, 0);
    Template::normalised(model(), at_score(row, &away, score))
}

/// The unit vector whose cosine with `reference` is `score`, on the side of `away`.
pub(crate) fn at_score(reference: &[f32], away: &[f32], score: f32) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let length = dot(reference, reference).sqrt();
    let parallel = dot(away, reference) / (length * length);
    let perpendicular: Vec<f32> = away.iter().zip(reference).map(|(a, r)| a - parallel * r).collect();
    let width = dot(&perpendicular, &perpendicular).sqrt();
    let sine = (1.0 - score * score).max(0.0).sqrt();
    reference.iter().zip(&perpendicular).map(|(r, p)| score * r / length + sine * p / width).collect()
}

/// Independent normal values: a direction, uniform on the sphere, of any length.
pub(crate) fn normal(random: &mut StdRng, dimension: usize) -> Vec<f32> {
    (0..dimension).map(|_| StandardNormal.sample(random)).collect()
}

fn normalise(row: &mut [f32]) {
    let norm = row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    for value in row {
        *value = (f64::from(*value) / norm) as f32;
    }
}
