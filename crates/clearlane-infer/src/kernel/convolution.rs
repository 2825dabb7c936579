//! The numbers of a convolution, before they are packed for a kernel.

use std::borrow::Cow;

use super::memory::View;

/// A convolution: weights as output x input x height x width (depthwise: output x height x width), a bias an output.
///
/// Weights and biases are floats, or INT8 and 32-bit integers where it is quantised.
#[derive(Clone, Debug)]
pub(crate) struct Convolution<'a, W: Clone = f32, B = f32> {
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    pub(crate) depthwise: bool,
    /// Height and width.
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: usize,
    /// Rows above and columns to the left that the input is extended by.
    pub(crate) pad: [usize; 2],
    pub(crate) dilation: [usize; 2],
    /// Where nothing was done to them, those of the file itself.
    pub(crate) weights: Cow<'a, [W]>,
    pub(crate) bias: Vec<B>,
}

/// An input plane under one position of the kernel: how far it lies from the window's corner, in values, and how many
/// of its channels to sum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tap {
    pub(crate) offset: usize,
    pub(crate) channels: usize,
}

/// Leads from a pixel of the output to the window of the input that it depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Corner {
    from: View,
    stride: usize,
    /// From the pixel that the stride leads to back to the window's first, in values.
    back: usize,
}

impl Corner {
    /// The window's first position, in values from the arena's start.
    pub(crate) fn at(&self, plane: usize, y: usize, x: usize) -> usize {
        self.from.pixel(plane, y * self.stride, x * self.stride) - self.back
    }

    /// Values from the window of one output row to that of the next.
    pub(crate) fn row(&self) -> usize {
        self.stride * self.from.pitch()
    }
}

impl<W: Clone, B> Convolution<'_, W, B> {
    /// How far each position of the kernel lies from the first, row by row.
    pub(crate) fn positions(&self, from: &View) -> impl Iterator<Item = usize> + use<W, B> {
        let (pitch, lanes) = (from.pitch(), from.lanes);
        let ([kh, kw], [dy, dx]) = (self.kernel, self.dilation);
        (0..kh * kw).map(move |position| position / kw * dy * pitch + position % kw * dx * lanes)
    }

    /// Where the kernel's first position lies for a pixel of the output, in the input's first plane: inside the halo,
    /// which [`fits`](Self::fits) sees to.
    pub(crate) fn corner(&self, from: &View) -> Corner {
        let [top, left] = self.pad;
        Corner { from: *from, stride: self.stride, back: top * from.pitch() + left * from.lanes }
    }

    /// The halo that an input has to have for an output of this height and width.
    pub(crate) fn halo(&self, from: [usize; 2], to: [usize; 2]) -> usize {
        let on_axis = |axis: usize| {
            let reach = (to[axis].max(1) - 1) * self.stride + (self.kernel[axis] - 1) * self.dilation[axis] + 1;
            self.pad[axis].max(reach.saturating_sub(from[axis] + self.pad[axis]))
        };
        on_axis(0).max(on_axis(1))
    }

    /// Whether the numbers belong together and every pixel that the output depends on lies inside the input's halo.
    pub(crate) fn fits(&self, from: &View, to: &View) -> bool {
        let positions = self.kernel[0] * self.kernel[1];
        let each = if self.depthwise { 1 } else { self.inputs };
        self.weights.len() == self.outputs * each * positions
            && self.bias.len() == self.outputs
            && positions > 0
            && self.inputs == from.channels
            && self.outputs == to.channels
            && self.stride > 0
            && to.lanes == super::vector::LANES
            && self.halo([from.height, from.width], [to.height, to.width]) <= from.halo
    }
}
