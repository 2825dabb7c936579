//! Sums, means and norms over some of a list's axes.

use std::ops::Range;

use clearlane_simd::Loops;

use super::walk::Walk;

/// What is made of the values that one value of the output stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Summary {
    Sum,
    Mean,
    /// The square root of the sum of squares.
    L2,
}

pub(crate) struct Reduce {
    summary: Summary,
    /// Where each output's values begin.
    kept: Walk<1>,
    /// Where they lie from there.
    reduced: Walk<1>,
    reads: usize,
}

/// Partial sums that the compiler keeps in registers.
pub(super) const LANES: usize = 16;

impl Reduce {
    /// `axes` as extents and strides: those that stay, and those that are summed up; `None` if one has no extent.
    pub(crate) fn new(summary: Summary, kept: &[(usize, isize)], reduced: &[(usize, isize)]) -> Option<Self> {
        let walk = |axes: &[(usize, isize)], reads: usize| {
            let axes: Vec<_> = axes.iter().map(|&(extent, stride)| (extent, [stride])).collect();
            Walk::new(&axes, [0], [reads])
        };
        let reads = kept.iter().chain(reduced).map(|(extent, _)| extent).product();
        Some(Self { summary, kept: walk(kept, reads)?, reduced: walk(reduced, reads)?, reads })
    }

    pub(super) fn reads(&self) -> usize {
        self.reads
    }

    pub(super) fn makes(&self) -> usize {
        self.kept.rows() * self.kept.length
    }

    /// The work of some values of the output.
    pub(super) fn rows_of<'a>(&'a self, from: &'a [f32], values: Range<usize>, to: &'a mut [f32]) -> Work<'a> {
        Work { reduce: self, from, values, to }
    }
}

pub(super) struct Work<'a> {
    reduce: &'a Reduce,
    from: &'a [f32],
    values: Range<usize>,
    to: &'a mut [f32],
}

impl Loops for Work<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        match self.reduce.summary {
            Summary::Sum => self.each(|value| value, |sum, _| sum),
            Summary::Mean => self.each(|value| value, |sum, count| sum / count),
            Summary::L2 => self.each(|value| value * value, |sum, _| sum.sqrt()),
        }
    }
}

impl Work<'_> {
    #[inline(always)]
    fn each(self, of_value: impl Fn(f32) -> f32, of_sum: impl Fn(f32, f32) -> f32) {
        let Reduce { kept, reduced, reads, .. } = self.reduce;
        let ([by_kept], [by_reduced]) = (kept.strides, reduced.strides);
        let count = (reads / self.reduce.makes()) as f32;
        let mut to = self.to.iter_mut();
        let rows = self.values.start / kept.length..self.values.end.div_ceil(kept.length);
        let mut number = rows.start * kept.length;
        kept.visit(rows, |[start]| {
            for index in 0..kept.length {
                let wanted = self.values.contains(&number);
                number += 1;
                let Some(to) = wanted.then(|| to.next()).flatten() else { continue };
                let first = start.wrapping_add_signed(index as isize * by_kept);
                let mut sum = 0.0;
                reduced.visit(0..reduced.rows(), |[offset]| {
                    let first = first + offset;
                    sum += match by_reduced {
                        1 => total(&self.from[first..first + reduced.length], &of_value),
                        by => (0..reduced.length)
                            .map(|index| of_value(self.from[first.wrapping_add_signed(index as isize * by)]))
                            .sum(),
                    };
                });
                *to = of_sum(sum, count);
            }
        });
    }
}

/// The sum of what a function makes of each value.
#[inline(always)]
pub(super) fn total(values: &[f32], of_value: impl Fn(f32) -> f32) -> f32 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for block in blocks {
        for (sum, value) in sums.iter_mut().zip(block) {
            *sum += of_value(*value);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|value| of_value(*value)).sum::<f32>()
}
