//! Operators that look at a row at a time: sums and products of tensors, activations by themselves, pooling.

use std::ops::Range;

use super::epilogue::{Activation, ActivationAt, PackedActivation};
use super::memory::{Arena, Block, View, blocks};
use super::set::KernelSet;
use super::vector::{LANES, Vector};

/// What a tensor is combined with, value by value.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Nothing,
    Add(View),
    /// A tensor of the same extents, or of one pixel, which then scales each channel.
    Multiply(View),
    /// A factor and an addend a channel.
    Affine {
        scale: Vec<f32>,
        shift: Vec<f32>,
    },
}

/// A tensor combined with another and activated.
pub(crate) struct Combine {
    from: View,
    operand: PackedOperand,
    to: View,
    activation: PackedActivation,
    kernel: CombineKernel,
}

enum PackedOperand {
    Nothing,
    Add(View),
    Multiply(View),
    Affine { scale: Vec<Block>, shift: Vec<Block> },
}

impl Combine {
    /// `None` if the tensors' extents do not belong together.
    pub(crate) fn new(
        kernels: &KernelSet,
        from: View,
        operand: &Operand,
        to: View,
        activation: &Activation,
    ) -> Option<Self> {
        let extents = |view: &View| [view.lanes, view.channels, view.height, view.width];
        let one_pixel =
            |view: &View| [view.lanes, view.channels, view.height, view.width] == [LANES, to.channels, 1, 1];
        let operand = match operand {
            Operand::Nothing => PackedOperand::Nothing,
            Operand::Add(view) if extents(view) == extents(&to) => PackedOperand::Add(*view),
            Operand::Multiply(view) if extents(view) == extents(&to) || one_pixel(view) => {
                PackedOperand::Multiply(*view)
            }
            Operand::Affine { scale, shift } if scale.len() == to.channels && shift.len() == to.channels => {
                PackedOperand::Affine { scale: blocks(scale), shift: blocks(shift) }
            }
            _ => return None,
        };
        let slopes_fit = !matches!(activation, Activation::Slope(slopes) if slopes.len() != to.channels);
        let fits = extents(&from) == extents(&to) && from.lanes == LANES && slopes_fit;
        fits.then(|| Self { from, operand, to, activation: PackedActivation::new(activation), kernel: kernels.combine })
    }

    pub(crate) fn run(&self, arena: &Arena, rows: Range<usize>, planes: Range<usize>) {
        for plane in planes {
            for y in rows.clone() {
                let place = |view: &View| match view {
                    View { height: 1, width: 1, .. } if self.to.height * self.to.width > 1 => {
                        (arena.at(view.pixel(plane, 0, 0)).cast_const(), 0)
                    }
                    view => (arena.at(view.pixel(plane, y, 0)).cast_const(), LANES),
                };
                let (step, with) = match &self.operand {
                    PackedOperand::Nothing => (0, With::Nothing),
                    PackedOperand::Add(view) => (LANES, With::Add(place(view).0)),
                    PackedOperand::Multiply(view) => (place(view).1, With::Multiply(place(view).0)),
                    PackedOperand::Affine { scale, shift } => {
                        (0, With::Affine(scale[plane].0.as_ptr(), shift[plane].0.as_ptr()))
                    }
                };
                let row = CombineRow {
                    from: arena.at(self.from.pixel(plane, y, 0)),
                    with,
                    step,
                    to: arena.at(self.to.pixel(plane, y, 0)),
                    pixels: self.to.width,
                    activation: self.activation.at(plane, 1),
                };
                // SAFETY: `new` saw that the tensors have the same extents; the kernel exists only where the CPU has
                // its instruction set.
                unsafe { (self.kernel)(&row) };
            }
        }
    }
}

/// A row of one plane.
pub(crate) struct CombineRow {
    from: *const f32,
    with: With,
    /// Floats from one pixel of the operand to the next.
    step: usize,
    to: *mut f32,
    pixels: usize,
    activation: ActivationAt,
}

#[derive(Clone, Copy)]
enum With {
    Nothing,
    Add(*const f32),
    Multiply(*const f32),
    Affine(*const f32, *const f32),
}

pub(crate) type CombineKernel = unsafe fn(&CombineRow);

/// # Safety
///
/// As for [`Vector`]; every pointer leads to as many pixels as the row has, `step` apart for the operand.
#[inline(always)]
pub(crate) unsafe fn combine_row<V: Vector>(row: &CombineRow) {
    for pixel in 0..row.pixels {
        // SAFETY: the caller gives pointers to a row of pixels each.
        unsafe {
            let at = pixel * LANES;
            let value = V::load(row.from.add(at));
            let value = match row.with {
                With::Nothing => value,
                With::Add(with) => value.add(V::load(with.add(pixel * row.step))),
                With::Multiply(with) => value.mul(V::load(with.add(pixel * row.step))),
                With::Affine(scale, shift) => value.mul_add(V::load(scale), V::load(shift)),
            };
            let mut values = [value];
            if row.activation.function().is_none() {
                row.activation.apply(&mut values, 0);
            }
            values[0].store(row.to.add(at));
        }
    }
    if let Some(function) = row.activation.function() {
        // SAFETY: the caller gives a row of pixels, which was just written.
        function.apply(unsafe { std::slice::from_raw_parts_mut(row.to, row.pixels * LANES) });
    }
}

/// How a window is reduced to one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduction {
    Max,
    /// The mean of the values inside the tensor, or of the whole window with zeros outside.
    Mean {
        count_padding: bool,
    },
}

/// The window of a pooling operator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) pad: [usize; 2],
}

/// Pooling of windows, which may reach over the tensor's edges.
pub(crate) struct Pool {
    from: View,
    to: View,
    window: Window,
    reduction: Reduction,
    kernel: PoolKernel,
}

impl Pool {
    /// `None` if the tensors' extents do not belong together, or a window lies wholly outside.
    pub(crate) fn new(kernels: &KernelSet, from: View, to: View, window: Window, reduction: Reduction) -> Option<Self> {
        let reaches = |axis: usize, from: usize, to: usize| {
            let last = (to - 1) * window.stride[axis];
            window.pad[axis] < window.kernel[axis] && last < from + window.pad[axis]
        };
        let fits = from.lanes == LANES
            && to.lanes == LANES
            && from.channels == to.channels
            && reaches(0, from.height, to.height)
            && reaches(1, from.width, to.width);
        fits.then_some(Self { from, to, window, reduction, kernel: kernels.pool })
    }

    pub(crate) fn run(&self, arena: &Arena, rows: Range<usize>, planes: Range<usize>) {
        for plane in planes {
            for y in rows.clone() {
                let top = y * self.window.stride[0];
                let above = self.window.pad[0].saturating_sub(top);
                let top = top.saturating_sub(self.window.pad[0]);
                let height = (self.window.kernel[0] - above).min(self.from.height - top);
                let row = PoolRow {
                    from: arena.at(self.from.pixel(plane, top, 0)),
                    pitch: self.from.pitch(),
                    height,
                    width: self.from.width,
                    window: &self.window,
                    reduction: self.reduction,
                    to: arena.at(self.to.pixel(plane, y, 0)),
                    pixels: self.to.width,
                };
                // SAFETY: `new` saw that every window begins inside the tensor, and it is cut at the tensor's edges;
                // the kernel exists only where the CPU has its instruction set.
                unsafe { (self.kernel)(&row) };
            }
        }
    }
}

/// An output row of one plane, with the input rows under its windows.
pub(crate) struct PoolRow<'a> {
    from: *const f32,
    pitch: usize,
    height: usize,
    width: usize,
    window: &'a Window,
    reduction: Reduction,
    to: *mut f32,
    pixels: usize,
}

pub(crate) type PoolKernel = unsafe fn(&PoolRow<'_>);

/// # Safety
///
/// As for [`Vector`]; `from` leads to `height` rows of `width` pixels, `to` to `pixels` pixels, and no window lies
/// wholly outside of the row.
#[inline(always)]
pub(crate) unsafe fn pool_row<V: Vector>(row: &PoolRow<'_>) {
    for pixel in 0..row.pixels {
        let left = pixel * row.window.stride[1];
        let before = row.window.pad[1].saturating_sub(left);
        let left = left.saturating_sub(row.window.pad[1]);
        let right = (left + row.window.kernel[1] - before).min(row.width);
        // SAFETY: the window is cut to the rows and columns that the caller gives.
        unsafe {
            let from = row.from.add(left * LANES);
            let mut result = match row.reduction {
                Reduction::Max => reduce(from, row, right - left, V::splat(f32::NEG_INFINITY), |a, b| a.max(b)),
                Reduction::Mean { .. } => reduce(from, row, right - left, V::splat(0.0), |a, b| a.add(b)),
            };
            if let Reduction::Mean { count_padding } = row.reduction {
                let whole = row.window.kernel[0] * row.window.kernel[1];
                let count = if count_padding { whole } else { row.height * (right - left) };
                result = result.mul(V::splat(1.0 / count as f32));
            }
            result.store(row.to.add(pixel * LANES));
        }
    }
}

/// # Safety
///
/// As for [`Vector`]; `from` leads to `width` pixels in each of the row's input rows.
#[inline(always)]
unsafe fn reduce<V: Vector>(
    from: *const f32,
    row: &PoolRow<'_>,
    width: usize,
    mut result: V,
    combine: impl Fn(V, V) -> V,
) -> V {
    for y in 0..row.height {
        for x in 0..width {
            // SAFETY: the caller gives these pixels.
            result = combine(unsafe { V::load(from.add(y * row.pitch + x * LANES)) }, result);
        }
    }
    result
}
