//! Integer convolution of each channel by itself, four columns of the kernel at a time.
//!
//! Four neighbouring pixels are one load; transposed so that each channel's four values stand together, they are one step
//! of sixteen sums. A kernel of up to three columns at stride 1 needs one such load for two outputs, with the weights moved
//! one column on for the second.

use std::ops::Range;

use super::epilogue::{Epilogue, TileEpilogue};
use super::quads::Quads;
use super::set::IntegerKernels;
use super::{QuadBlock, SumBlock, sum_blocks};
use crate::kernel::convolution::{Convolution, Corner};
use crate::kernel::memory::{Arena, View};
use crate::kernel::tile;
use crate::kernel::vector::LANES;

/// A depthwise integer convolution, packed for one instruction set and placed in an arena.
pub(crate) struct IntegerDepthwise {
    corner: Corner,
    to: View,
    /// How far each four columns of each row of the kernel lie from the window's corner, in bytes.
    taps: Vec<usize>,
    /// For each plane and tap a block, or two where outputs are taken in pairs.
    weights: Vec<QuadBlock>,
    bias: Vec<SumBlock>,
    tiles: Vec<(usize, IntegerDepthwiseKernel)>,
    epilogue: Epilogue,
}

impl IntegerDepthwise {
    /// `None` if the convolution reaches outside of its input's halo, or has a layout, stride or dilation that no kernel
    /// supports.
    pub(crate) fn new(
        kernels: &IntegerKernels,
        convolution: &Convolution<'_, i8, i32>,
        from: View,
        to: View,
        epilogue: Epilogue,
    ) -> Option<Self> {
        let blocked = !from.is_float() && from.lanes == LANES;
        if !blocked || !convolution.fits(&from, &to) || !convolution.depthwise || convolution.dilation[1] != 1 {
            return None;
        }
        let [rows, columns] = convolution.kernel;
        let pairs = convolution.stride == 1 && columns <= 3;
        let cut = tile::cut_row(to.width, kernels.accumulators)?;
        let kernel = |pixels: usize| (kernels.depthwise)(pixels, convolution.stride * LANES, pairs);
        let tiles = cut.iter().map(|tile| Some((tile.x, kernel(tile.pixels)?))).collect::<Option<_>>()?;
        let weight = |channel: usize, row: usize, column: Option<usize>| match column {
            Some(column) if column < columns && channel < convolution.outputs => {
                convolution.weights[(channel * rows + row) * columns + column]
            }
            _ => 0,
        };
        let block = |plane: usize, row: usize, first: usize, moved: usize| {
            let four = |channel| std::array::from_fn(|at| weight(channel, row, (first + at).checked_sub(moved)));
            QuadBlock(std::array::from_fn(|lane| four(plane * LANES + lane)))
        };
        let mut weights = Vec::new();
        for plane in 0..to.planes() {
            for row in 0..rows {
                for first in (0..columns).step_by(4) {
                    weights.push(block(plane, row, first, 0));
                    weights.extend(pairs.then(|| block(plane, row, first, 1)));
                }
            }
        }
        let down = convolution.dilation[0] * from.pitch();
        let taps = (0..rows).flat_map(|row| (0..columns).step_by(4).map(move |first| row * down + first * LANES));
        Some(Self {
            corner: convolution.corner(&from),
            to,
            taps: taps.collect(),
            weights,
            bias: sum_blocks(&convolution.bias),
            tiles,
            epilogue,
        })
    }

    /// Computes rows of the output for some of its planes.
    pub(crate) fn run(&self, arena: &Arena, rows: Range<usize>, planes: Range<usize>) {
        let each = self.weights.len() / self.bias.len().max(1);
        for plane in planes {
            for y in rows.clone() {
                for &(x, kernel) in &self.tiles {
                    let tile = IntegerDepthwiseTile {
                        taps: &self.taps,
                        from: arena.at_byte(self.corner.at(plane, y, x)),
                        weights: self.weights[plane * each..].as_ptr().cast(),
                        bias: self.bias[plane..].as_ptr().cast(),
                        epilogue: self.epilogue.at(arena, &self.to, plane, y, x),
                    };
                    // SAFETY: `new` saw that every tap stays inside the input, of which at most three pixels more are
                    // read than the window has, and packed weights and biases for every plane; the instruction set's
                    // kernels exist only where the CPU has it.
                    unsafe { kernel(&tile) };
                }
            }
        }
    }
}

/// What one call computes: `P` pixels of a plane.
pub(crate) struct IntegerDepthwiseTile<'a> {
    taps: &'a [usize],
    from: *const u8,
    weights: *const i8,
    bias: *const i32,
    epilogue: TileEpilogue,
}

/// A tile's kernel in one instruction set.
pub(crate) type IntegerDepthwiseKernel = unsafe fn(&IntegerDepthwiseTile<'_>);

/// # Safety
///
/// As for [`Quads`]; `from` leads to `P` pixels `STEP` bytes apart, each readable with the three pixels after it under
/// every tap; `weights` to a block a tap, two where outputs are taken in `PAIRS`; `bias` to a block; `epilogue`
/// as [`TileEpilogue::store`] asks.
#[inline(always)]
pub(crate) unsafe fn depthwise_tile<S: Quads, const P: usize, const STEP: usize, const PAIRS: bool>(
    tile: &IntegerDepthwiseTile<'_>,
) {
    // SAFETY: the caller gives pointers that reach what is read and written here.
    unsafe {
        let mut sums = [S::load(tile.bias); P];
        let mut weights = tile.weights;
        for &tap in tile.taps {
            let from = tile.from.add(tap);
            let weight = S::weights(weights);
            weights = weights.add(4 * LANES);
            if PAIRS {
                let moved = S::weights(weights);
                weights = weights.add(4 * LANES);
                for pair in 0..P.div_ceil(2) {
                    let bytes = S::columns(from.add(2 * pair * STEP));
                    sums[2 * pair] = sums[2 * pair].dot(bytes, weight);
                    if 2 * pair + 1 < P {
                        sums[2 * pair + 1] = sums[2 * pair + 1].dot(bytes, moved);
                    }
                }
            } else {
                for (pixel, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.dot(S::columns(from.add(pixel * STEP)), weight);
                }
            }
        }
        tile.epilogue.store::<S, P, P>(&sums, 0);
    }
}
