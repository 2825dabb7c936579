//! The stored vectors: what scores are computed from.

use std::ops::Range;
use std::sync::Arc;

use half::f16;

use crate::GalleryError;
use crate::kernel::{AppendBuffer, Appending, Kernel, RowCount, RowSlice, Step, prefetch};

/// How a gallery stores its vectors. Scores are exact for the stored vector; what is lost is lost when it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precision {
    /// Four bytes a value: as given. A score's rounding error is below 1e-6.
    #[default]
    F32,
    /// Two bytes a value. A score moves by at most 5e-4, by 1e-5 as a rule.
    F16,
    /// One byte a value, scaled so that the stored vector is again a unit vector. A score moves by at most
    /// 0.5 · √dimension / 127 · (the largest magnitude among the values), by 3e-4 as a rule.
    I8,
}

impl Precision {
    /// Bytes a value.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::I8 => 1,
        }
    }
}

/// Rows of one segment.
pub(crate) struct Rows {
    dimension: usize,
    values: Values,
}

enum Values {
    F32(AppendBuffer<f32>),
    F16(AppendBuffer<f16>),
    /// With each row the factor that its sum over the integers is multiplied by.
    I8(AppendBuffer<i8>, AppendBuffer<f32>),
}

impl Rows {
    /// No rows, with room for `rows`.
    pub(crate) fn with_capacity(
        precision: Precision,
        dimension: usize,
        count: &Arc<RowCount>,
        rows: usize,
    ) -> Result<Self, GalleryError> {
        let vector = Step::Row(dimension);
        let values = match precision {
            Precision::F32 => Values::F32(AppendBuffer::with_capacity(count, vector, rows)?),
            Precision::F16 => Values::F16(AppendBuffer::with_capacity(count, vector, rows)?),
            Precision::I8 => Values::I8(
                AppendBuffer::with_capacity(count, vector, rows)?,
                AppendBuffer::with_capacity(count, Step::Row(1), rows)?,
            ),
        };
        Ok(Self { dimension, values })
    }

    /// Writes a vector to `row`; the caller has made sure that there is room.
    pub(crate) fn write(&self, appending: &mut Appending<'_>, row: usize, vector: &[f32]) {
        match &self.values {
            Values::F32(values) => values.write_slice(appending, row, vector),
            Values::F16(values) => values.write(appending, row, vector.iter().map(|&value| f16::from_f32(value))),
            Values::I8(values, scales) => {
                let largest = vector.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
                let step = 127.0 / largest;
                let quantised = |value: &f32| (value * step).round_ties_even() as i8;
                let norm: i32 = vector.iter().map(|value| i32::from(quantised(value)).pow(2)).sum();
                values.write(appending, row, vector.iter().map(quantised));
                scales.write_slice(appending, row, &[1.0 / (norm as f32).sqrt()]);
            }
        }
    }

    /// Writes row `from` of other rows to `row`, bit for bit.
    pub(crate) fn copy(&self, appending: &mut Appending<'_>, row: usize, other: &Self, from: usize) {
        let range = self.range(from);
        match (&self.values, &other.values) {
            (Values::F32(to), Values::F32(from)) => to.write_slice(appending, row, &from.as_slice()[range]),
            (Values::F16(to), Values::F16(from)) => to.write_slice(appending, row, &from.as_slice()[range]),
            (Values::I8(to, scales), Values::I8(values, from_scales)) => {
                to.write_slice(appending, row, &values.as_slice()[range]);
                scales.write_slice(appending, row, &from_scales.as_slice()[from..=from]);
            }
            _ => unreachable!("all segments of a gallery have its precision"),
        }
    }

    fn range(&self, row: usize) -> Range<usize> {
        row * self.dimension..(row + 1) * self.dimension
    }

    /// The scores of `probe` with the rows from `first` on, as many as `scores` has places.
    pub(crate) fn score(&self, kernel: Kernel, probe: &[f32], first: usize, scores: &mut [f32]) {
        let range = first * self.dimension..(first + scores.len()) * self.dimension;
        match &self.values {
            Values::F32(values) => score_slice(kernel, probe, RowSlice::F32(&values.as_slice()[range]), &[], scores),
            Values::F16(values) => score_slice(kernel, probe, RowSlice::F16(&values.as_slice()[range]), &[], scores),
            Values::I8(values, scales) => {
                let (rows, scales) = (RowSlice::I8(&values.as_slice()[range]), &scales.as_slice()[first..]);
                score_slice(kernel, probe, rows, scales, scores);
            }
        }
    }

    /// Gives a row's bytes, as it is stored: its values, little-endian, and of integers the factor of their sum.
    pub(crate) fn encode(&self, row: usize, bytes: &mut [u8]) {
        let range = self.range(row);
        match &self.values {
            Values::F32(values) => spread(&values.as_slice()[range], f32::to_le_bytes, bytes),
            Values::F16(values) => spread(&values.as_slice()[range], f16::to_le_bytes, bytes),
            Values::I8(values, scales) => {
                spread(&values.as_slice()[range], i8::to_le_bytes, bytes);
                spread(&scales.as_slice()[row..=row], f32::to_le_bytes, &mut bytes[self.dimension..]);
            }
        }
    }

    /// Writes `row` from the bytes that [`Self::encode`] gave.
    pub(crate) fn write_encoded(&self, appending: &mut Appending<'_>, row: usize, bytes: &[u8]) {
        match &self.values {
            Values::F32(values) => {
                values.write(appending, row, bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            }
            Values::F16(values) => {
                values.write(appending, row, bytes.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes)));
            }
            Values::I8(values, scales) => {
                let (bytes, scale) = bytes.split_at(self.dimension);
                values.write(appending, row, bytes.iter().map(|byte| byte.cast_signed()));
                scales.write(appending, row, scale.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            }
        }
    }

    /// Prefetches the vector of `row`.
    pub(crate) fn prefetch(&self, row: usize) {
        let range = self.range(row);
        match &self.values {
            Values::F32(values) => prefetch(&values.as_slice()[range]),
            Values::F16(values) => prefetch(&values.as_slice()[range]),
            Values::I8(values, scales) => {
                prefetch(&values.as_slice()[range]);
                prefetch(&scales.as_slice()[row..=row]);
            }
        }
    }

    /// Gives the stored vector of `row` in `vector`.
    pub(crate) fn read(&self, row: usize, vector: &mut [f32]) {
        let range = self.range(row);
        match &self.values {
            Values::F32(values) => vector.copy_from_slice(&values.as_slice()[range]),
            Values::F16(values) => widen(&values.as_slice()[range], f16::to_f32, vector),
            Values::I8(values, scales) => {
                let scale = scales.as_slice()[row];
                widen(&values.as_slice()[range], |value| f32::from(value) * scale, vector);
            }
        }
    }

    /// Gives the stored vector of `row`, which may be one that is being appended, in `vector`.
    pub(crate) fn read_unpublished(&self, appending: &Appending<'_>, row: usize, vector: &mut [f32]) {
        let range = self.range(row);
        match &self.values {
            Values::F32(values) => vector.copy_from_slice(&values.unpublished(appending)[range]),
            Values::F16(values) => widen(&values.unpublished(appending)[range], f16::to_f32, vector),
            Values::I8(values, scales) => {
                let scale = scales.unpublished(appending)[row];
                widen(&values.unpublished(appending)[range], |value| f32::from(value) * scale, vector);
            }
        }
    }

    /// Bytes that one row takes.
    pub(crate) fn bytes_a_row(precision: Precision, dimension: usize) -> usize {
        dimension * precision.bytes() + if precision == Precision::I8 { size_of::<f32>() } else { 0 }
    }
}

/// The scores of `probe` with rows that lie one after the other; integer rows have a factor each.
#[inline]
pub(crate) fn score_slice(kernel: Kernel, probe: &[f32], rows: RowSlice<'_>, scales: &[f32], scores: &mut [f32]) {
    kernel.score_rows(probe, rows, scores);
    if matches!(rows, RowSlice::I8(_)) {
        for (score, scale) in scores.iter_mut().zip(scales) {
            *score *= scale;
        }
    }
    for score in scores {
        // Rounding may pass 1 by an ulp; adding zero makes 0 of -0, so that order is the same for both.
        *score = score.clamp(-1.0, 1.0) + 0.0;
    }
}

/// Gives the bytes of values.
fn spread<T: Copy, const N: usize>(values: &[T], encode: impl Fn(T) -> [u8; N], bytes: &mut [u8]) {
    for (bytes, value) in bytes.as_chunks_mut().0.iter_mut().zip(values) {
        *bytes = encode(*value);
    }
}

fn widen<T: Copy>(stored: &[T], widen: impl Fn(T) -> f32, vector: &mut [f32]) {
    for (value, stored) in vector.iter_mut().zip(stored) {
        *value = widen(*stored);
    }
}
