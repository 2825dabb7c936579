//! The vectors that are searched: random ones with planted mates, or a caller's file.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use clearlane_template::{ModelId, Template, TemplateError};
use rand::rngs::SmallRng;
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

/// A probe whose score with `row` is `score`, within rounding.
pub fn mate(row: &[f32], score: f32, seed: u64) -> Result<Template, TemplateError> {
    let mut noise = vec![0.0; row.len()];
    random_rows(&mut noise, row.len(), seed, 0);
    let along: f32 = noise.iter().zip(row).map(|(a, b)| a * b).sum();
    noise.iter_mut().zip(row).for_each(|(n, r)| *n -= along * r);
    normalise(&mut noise);
    let rest = (1.0 - score * score).sqrt();
    Template::normalised(model(), noise.iter().zip(row).map(|(n, r)| score * r + rest * n).collect())
}

fn normalise(row: &mut [f32]) {
    let norm = row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    for value in row {
        *value = (f64::from(*value) / norm) as f32;
    }
}

/// Why a file of vectors cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VectorsError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file's length is not that of whole rows.
    #[error("{path}: {bytes} bytes are not a whole number of rows of {dimension} 4-byte values", path = path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// The dimension that was asked for.
        dimension: usize,
    },
}

/// A file of unit vectors: 32-bit little-endian floats, row after row, without a header.
pub struct VectorFile {
    path: PathBuf,
    reader: BufReader<File>,
    dimension: usize,
    rows: usize,
}

impl VectorFile {
    /// Opens a file, and checks its length.
    pub fn open(path: &Path, dimension: usize) -> Result<Self, VectorsError> {
        let io = |source| VectorsError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        let row = dimension as u64 * 4;
        if dimension == 0 || bytes % row != 0 {
            return Err(VectorsError::Length { path: path.to_owned(), bytes, dimension });
        }
        Ok(Self { path: path.to_owned(), reader: BufReader::new(file), dimension, rows: (bytes / row) as usize })
    }

    /// How many rows the file has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values of a row.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The next `count` rows; fails where there are fewer left.
    pub fn read(&mut self, count: usize) -> Result<Vec<f32>, VectorsError> {
        let mut bytes = vec![0; count * self.dimension * 4];
        self.reader.read_exact(&mut bytes).map_err(|source| VectorsError::Io { path: self.path.clone(), source })?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect())
    }
}
