//! Integer convolution that sums over all input channels, four at a time.
//!
//! The tiles are those of the convolution on floats ([`crate::kernel::dense`]); each step takes four bytes of an input
//! pixel instead of one float.

use std::ops::Range;

use super::epilogue::{Epilogue, TileEpilogue};
use super::quads::Quads;
use super::set::IntegerKernels;
use super::{QuadBlock, SumBlock, sum_blocks};
use crate::kernel::convolution::{Convolution, Corner};
use crate::kernel::groups::Groups;
use crate::kernel::memory::{Arena, View};
use crate::kernel::tile::place;
use crate::kernel::vector::LANES;

/// A dense integer convolution, packed for one instruction set and placed in an arena.
pub(crate) struct IntegerDense {
    corner: Corner,
    /// Bytes of the input from one output pixel to the next.
    step: usize,
    to: View,
    /// How far each position of the kernel in each plane lies from the window's corner, in bytes.
    taps: Vec<usize>,
    groups: Groups<IntegerDenseKernel>,
    weights: Vec<QuadBlock>,
    bias: Vec<SumBlock>,
    epilogue: Epilogue,
}

impl IntegerDense {
    /// `None` if the convolution reaches outside of its input's halo, or has a layout or stride that no kernel supports.
    pub(crate) fn new(
        kernels: &IntegerKernels,
        convolution: &Convolution<'_, i8, i32>,
        from: View,
        to: View,
        epilogue: Epilogue,
    ) -> Option<Self> {
        if from.is_float() || !convolution.fits(&from, &to) || convolution.depthwise {
            return None;
        }
        let step = convolution.stride * from.lanes;
        let kernel = |blocks: usize, pixels: usize, first: usize| (kernels.dense)(blocks, pixels, first, step);
        let groups = Groups::new(to.planes(), to.width, kernels.accumulators, kernels.registers, kernel)?;
        let mut weights = Vec::new();
        groups.blocks().for_each(|blocks| pack(convolution, from.lanes, blocks, &mut weights));
        let positions: Vec<usize> = convolution.positions(&from).collect();
        let taps = (0..from.planes()).flat_map(|plane| positions.iter().map(move |at| plane * from.plane_len() + at));
        Some(Self {
            corner: convolution.corner(&from),
            step,
            to,
            taps: taps.collect(),
            groups,
            weights,
            bias: sum_blocks(&convolution.bias),
            epilogue,
        })
    }

    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The output planes of some groups.
    pub(crate) fn planes(&self, groups: Range<usize>) -> Range<usize> {
        self.groups.planes(groups)
    }

    /// Computes rows of the output for some of the groups.
    pub(crate) fn run(&self, arena: &Arena, rows: Range<usize>, groups: Range<usize>) {
        // Every output block takes as many weights.
        let each = self.weights.len() / self.bias.len().max(1);
        self.groups.walk(rows, groups, size_of_val(&self.weights[..]), |group, y, x, kernel| {
            let tile = IntegerDenseTile {
                taps: &self.taps,
                from: arena.at_byte(self.corner.at(0, y, x)),
                row: self.corner.row() - x * self.step,
                weights: self.weights[group.first * each..].as_ptr().cast(),
                bias: self.bias[group.first..].as_ptr().cast(),
                epilogue: self.epilogue.at(arena, &self.to, group.first, y, x).to_the_left(x),
            };
            // SAFETY: `new` saw that every tap stays inside the input, and packed weights and biases for every group;
            // the instruction set's kernels exist only where the CPU has it.
            unsafe { kernel(&tile) };
        });
    }
}

/// Appends the weights of some output blocks in the order in which a tile reads them: input plane, position, four
/// channels, output.
fn pack(convolution: &Convolution<'_, i8, i32>, lanes: usize, blocks: Range<usize>, weights: &mut Vec<QuadBlock>) {
    let positions = convolution.kernel[0] * convolution.kernel[1];
    let weight = |output: usize, input: usize, position: usize| {
        let inside = output < convolution.outputs && input < convolution.inputs;
        if inside { convolution.weights[(output * convolution.inputs + input) * positions + position] } else { 0 }
    };
    for plane in 0..convolution.inputs.div_ceil(lanes) {
        for position in 0..positions {
            for first in (plane * lanes..(plane + 1) * lanes).step_by(4) {
                weights.extend(blocks.clone().map(|block| {
                    let four = |output| std::array::from_fn(|channel| weight(output, first + channel, position));
                    QuadBlock(std::array::from_fn(|lane| four(block * LANES + lane)))
                }));
            }
        }
    }
}

/// What one call computes: `P` pixels of `B` blocks, in one row or two.
pub(crate) struct IntegerDenseTile<'a> {
    taps: &'a [usize],
    from: *const u8,
    /// Bytes from the input of the tile's first pixel to that of the first one below.
    row: usize,
    weights: *const i8,
    bias: *const i32,
    epilogue: TileEpilogue,
}

/// A tile's kernel in one instruction set.
pub(crate) type IntegerDenseKernel = unsafe fn(&IntegerDenseTile<'_>);

/// # Safety
///
/// As for [`Quads`]; `from` leads to `P` pixels `STEP` bytes apart, of which `W` are in the first row, readable under every tap;
/// `weights` to `B` x 64 bytes a tap and four channels; `bias` to `B` x 16 sums; `epilogue` as [`TileEpilogue::store`] asks.
#[expect(clippy::needless_range_loop, reason = "a pixel has a sum in each of the blocks")]
#[inline(always)]
pub(crate) unsafe fn dense_tile<S: Quads, const B: usize, const P: usize, const W: usize, const STEP: usize>(
    tile: &IntegerDenseTile<'_>,
) {
    // SAFETY: the caller gives pointers that reach what is read and written here.
    unsafe {
        let mut sums = [[S::load(tile.bias); P]; B];
        for (block, sums) in sums.iter_mut().enumerate() {
            *sums = [S::load(tile.bias.add(block * LANES)); P];
        }
        let mut weights = tile.weights;
        for &tap in tile.taps {
            let from = tile.from.add(tap);
            let rows = [from, from.wrapping_add(tile.row)];
            // A pixel is four bytes in an image, sixteen in a block.
            for quad in 0..const { if STEP < LANES { 1 } else { LANES / 4 } } {
                let mut weight = [S::weights(weights); B];
                for (block, weight) in weight.iter_mut().enumerate() {
                    *weight = S::weights(weights.add(block * 4 * LANES));
                }
                weights = weights.add(B * 4 * LANES);
                for pixel in 0..P {
                    let (row, at) = place(pixel, W);
                    let bytes = S::splat(rows[row].add(at * STEP + 4 * quad));
                    for block in 0..B {
                        sums[block][pixel] = sums[block][pixel].dot(bytes, weight[block]);
                    }
                }
            }
        }
        // Named one by one: sums that a loop picks from would have to lie in memory.
        tile.epilogue.store::<S, P, W>(&sums[0], 0);
        if B > 1 {
            tile.epilogue.store::<S, P, W>(&sums[1 % B], 1);
        }
        if B > 2 {
            tile.epilogue.store::<S, P, W>(&sums[2 % B], 2);
        }
    }
}
