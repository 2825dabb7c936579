//! Rows brought to a common scale: layer normalisation and softmax, over the last axes.

use clearlane_simd::Loops;

use super::reduce::{LANES, total};
use crate::kernel::function::exp;

/// `LayerNormalization` and `InstanceNormalization` of ONNX: each row less its mean, over its standard deviation, times a scale, plus
/// a shift.
pub(crate) struct Norm {
    length: usize,
    /// Factors and addends: of each value of a row, or of each row.
    scale: Vec<f32>,
    shift: Vec<f32>,
    by_row: bool,
    epsilon: f32,
}

impl Norm {
    /// Rows as long as `scale` and `shift`, which all rows share; `None` where these differ, or are empty.
    pub(crate) fn by_value(scale: Vec<f32>, shift: Vec<f32>, epsilon: f32) -> Option<Self> {
        let length = scale.len();
        (length == shift.len() && length > 0).then_some(Self { length, scale, shift, by_row: false, epsilon })
    }

    /// As many rows of so many values as `scale` and `shift` have, one of each a row; `None` where these differ, or are empty.
    pub(crate) fn by_row(length: usize, scale: Vec<f32>, shift: Vec<f32>, epsilon: f32) -> Option<Self> {
        let whole = scale.len() == shift.len() && !scale.is_empty() && length > 0;
        whole.then_some(Self { length, scale, shift, by_row: true, epsilon })
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// How many rows a list has; `None` where they are not whole, or not those that there are factors for.
    pub(super) fn rows(&self, list: usize) -> Option<usize> {
        let rows = list.is_multiple_of(self.length).then_some(list / self.length)?;
        (!self.by_row || rows == self.scale.len()).then_some(rows)
    }

    /// The work of some rows, of which the first has this number.
    pub(super) fn rows_of<'a>(&'a self, first: usize, from: &'a [f32], to: &'a mut [f32]) -> NormWork<'a> {
        NormWork { norm: self, first, from, to }
    }
}

pub(super) struct NormWork<'a> {
    norm: &'a Norm,
    first: usize,
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Loops for NormWork<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Norm { length, scale, shift, by_row, epsilon } = self.norm;
        let rows = self.from.chunks_exact(*length).zip(self.to.chunks_exact_mut(*length));
        for (row, (from, to)) in (self.first..).zip(rows) {
            let mean = total(from, |value| value) / *length as f32;
            let variance = total(from, |value| (value - mean) * (value - mean)) / *length as f32;
            let factor = 1.0 / (variance + epsilon).sqrt();
            if *by_row {
                let (factor, shift) = (factor * scale[row], shift[row]);
                to.iter_mut().zip(from).for_each(|(to, value)| *to = (value - mean) * factor + shift);
            } else {
                for (((to, value), scale), shift) in to.iter_mut().zip(from).zip(scale).zip(shift) {
                    *to = (value - mean) * factor * scale + shift;
                }
            }
        }
    }
}

/// Softmax of rows of one length.
pub(crate) struct Softmax {
    length: usize,
}

impl Softmax {
    /// `None` for rows without values.
    pub(crate) fn new(length: usize) -> Option<Self> {
        (length > 0).then_some(Self { length })
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// How many rows a list has; `None` where they are not whole.
    pub(super) fn rows(&self, list: usize) -> Option<usize> {
        list.is_multiple_of(self.length).then_some(list / self.length)
    }

    pub(super) fn rows_of<'a>(&self, from: &'a [f32], to: &'a mut [f32]) -> SoftmaxWork<'a> {
        SoftmaxWork { length: self.length, from, to }
    }
}

pub(super) struct SoftmaxWork<'a> {
    length: usize,
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Loops for SoftmaxWork<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (from, to) in self.from.chunks_exact(self.length).zip(self.to.chunks_exact_mut(self.length)) {
            let largest = largest(from);
            for (to, value) in to.iter_mut().zip(from) {
                *to = exp(value - largest);
            }
            let factor = 1.0 / total(to, |value| value);
            for to in to {
                *to *= factor;
            }
        }
    }
}

#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut largest = [f32::NEG_INFINITY; LANES];
    for block in blocks {
        for (largest, value) in largest.iter_mut().zip(block) {
            *largest = largest.max(*value);
        }
    }
    largest.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}
