//! Rows that were read from a file, ready to be scored.

use half::f16;
use zeroize::{Zeroize, Zeroizing};

use crate::Precision;
use crate::gallery::score_slice;
use crate::kernel::{Kernel, RowSlice};

/// Rows in memory, one after the other, as the file has them. Wiped when dropped.
pub(crate) struct RowBuffer {
    dimension: usize,
    values: Values,
    /// Sealed rows, as they were read.
    pub(super) sealed: Zeroizing<Vec<u8>>,
}

enum Values {
    F32(Vec<f32>),
    F16(Vec<f16>),
    I8(Vec<i8>, Vec<f32>),
}

impl RowBuffer {
    /// A buffer with room for `rows` rows, so that it never moves them and leaves none behind.
    pub(crate) fn new(precision: Precision, dimension: usize, rows: usize) -> Self {
        let values = match precision {
            Precision::F32 => Values::F32(Vec::with_capacity(rows * dimension)),
            Precision::F16 => Values::F16(Vec::with_capacity(rows * dimension)),
            Precision::I8 => Values::I8(Vec::with_capacity(rows * dimension), Vec::with_capacity(rows)),
        };
        Self { dimension, values, sealed: Zeroizing::default() }
    }

    pub(crate) fn clear(&mut self) {
        match &mut self.values {
            Values::F32(values) => values.clear(),
            Values::F16(values) => values.clear(),
            Values::I8(values, scales) => {
                values.clear();
                scales.clear();
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        match &self.values {
            Values::F32(values) => values.len() / self.dimension,
            Values::F16(values) => values.len() / self.dimension,
            Values::I8(_, scales) => scales.len(),
        }
    }

    /// Adds a row from its bytes: see [`Segment::encode_row`](crate::gallery::Segment::encode_row).
    pub(super) fn push(&mut self, row: &[u8]) {
        match &mut self.values {
            Values::F32(values) => values.extend(row.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))),
            Values::F16(values) => values.extend(row.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes))),
            Values::I8(values, scales) => {
                if let Some((row, scale)) = row.split_last_chunk() {
                    values.extend(row.iter().map(|byte| byte.cast_signed()));
                    scales.push(f32::from_le_bytes(*scale));
                }
            }
        }
    }

    /// The scores of `probe` with all rows, to the bit those of the same rows in memory.
    pub(crate) fn score(&self, kernel: Kernel, probe: &[f32], scores: &mut [f32]) {
        match &self.values {
            Values::F32(values) => score_slice(kernel, probe, RowSlice::F32(values), &[], scores),
            Values::F16(values) => score_slice(kernel, probe, RowSlice::F16(values), &[], scores),
            Values::I8(values, scales) => score_slice(kernel, probe, RowSlice::I8(values), scales, scores),
        }
    }

    /// Gives the vector of the row at this place.
    pub(crate) fn read(&self, place: usize, vector: &mut [f32]) {
        let range = place * self.dimension..(place + 1) * self.dimension;
        match &self.values {
            Values::F32(values) => vector.copy_from_slice(&values[range]),
            Values::F16(values) => vector.iter_mut().zip(&values[range]).for_each(|(to, from)| *to = from.to_f32()),
            Values::I8(values, scales) => {
                let scale = scales[place];
                vector.iter_mut().zip(&values[range]).for_each(|(to, from)| *to = f32::from(*from) * scale);
            }
        }
    }
}

impl Drop for RowBuffer {
    fn drop(&mut self) {
        match &mut self.values {
            Values::F32(values) => values.zeroize(),
            Values::F16(values) => values.iter_mut().for_each(|value| *value = f16::ZERO),
            Values::I8(values, scales) => {
                values.zeroize();
                scales.zeroize();
            }
        }
    }
}
