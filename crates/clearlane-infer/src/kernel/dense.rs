//! Convolution that sums over all input channels, straight from the blocked layout: any kernel, stride 1 or 2.
//!
//! A tile holds the sums of `P` neighbouring pixels of an output row for `B` output blocks in registers, while every
//! input value they depend on passes by once: a 1 x 1 convolution is a matrix product in this form, and a fully
//! connected layer is a convolution as large as its input. Padding lies in the input's halo.

use std::ops::Range;

use super::convolution::{Convolution, Corner, Tap};
use super::epilogue::{Epilogue, TileEpilogue};
use super::groups::Groups;
use super::memory::{Arena, Block, View, blocks};
use super::set::KernelSet;
use super::tile::place;
use super::vector::{LANES, Vector};

/// A dense convolution, packed for one instruction set and placed in an arena.
pub(crate) struct Dense {
    corner: Corner,
    /// Floats of the input from one output pixel to the next.
    step: usize,
    to: View,
    taps: Vec<Tap>,
    groups: Groups<DenseKernel>,
    weights: Vec<Block>,
    bias: Vec<Block>,
    epilogue: Epilogue,
}

impl Dense {
    /// `None` if the convolution reaches outside of its input's halo, or has a stride that no kernel supports.
    pub(crate) fn new(
        kernels: &KernelSet,
        convolution: &Convolution<'_>,
        from: View,
        to: View,
        epilogue: Epilogue,
    ) -> Option<Self> {
        if !convolution.fits(&from, &to) || convolution.stride > 2 {
            return None;
        }
        let step = convolution.stride * from.lanes;
        let kernel = |blocks: usize, pixels: usize, first: usize| (kernels.dense)(blocks, pixels, first, step);
        let groups = Groups::new(to.planes(), to.width, kernels.accumulators, kernels.registers, kernel)?;
        let each = convolution.inputs * convolution.kernel[0] * convolution.kernel[1];
        let mut weights = Vec::with_capacity(to.planes() * each);
        groups.blocks().for_each(|blocks| pack(convolution, from.lanes, blocks, &mut weights));
        let mut bias = blocks(&convolution.bias);
        bias.resize(to.planes(), Block::default());
        let taps = taps(convolution, &from);
        Some(Self { corner: convolution.corner(&from), step, to, taps, groups, weights, bias, epilogue })
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
            let tile = DenseTile {
                taps: &self.taps,
                from: arena.at(self.corner.at(0, y, x)),
                row: self.corner.row() - x * self.step,
                weights: self.weights[group.first * each..].as_ptr().cast(),
                bias: self.bias[group.first..].as_ptr().cast(),
                epilogue: self.epilogue.at(arena, &self.to, group.first, group.blocks, y, x).to_the_left(x),
            };
            // SAFETY: `new` saw that every tap stays inside the input, and packed weights and biases for every group;
            // the instruction set's kernels exist only where the CPU has it.
            unsafe { kernel(&tile) };
        });
    }
}

/// Where a tile's inputs lie, in the order in which they are summed.
fn taps(convolution: &Convolution<'_>, from: &View) -> Vec<Tap> {
    // Neighbours in a row of a plain tensor are read like neighbouring channels.
    let run = if from.lanes == 1 && convolution.dilation[1] == 1 { convolution.kernel[1] } else { 1 };
    let positions: Vec<_> = convolution.positions(from).step_by(run).collect();
    let tap = |plane: usize, offset: usize| Tap {
        offset: plane * from.plane_len() + offset,
        channels: run * from.lanes.min(from.channels - plane * from.lanes),
    };
    let planes = (0..from.planes()).flat_map(|plane| positions.iter().map(move |&offset| (plane, offset)));
    planes.map(|(plane, offset)| tap(plane, offset)).collect()
}

/// Appends the weights of some output blocks in the order in which a tile reads them: input plane, position, channel,
/// output.
fn pack(convolution: &Convolution<'_>, lanes: usize, blocks: Range<usize>, weights: &mut Vec<Block>) {
    let positions = convolution.kernel[0] * convolution.kernel[1];
    for plane in 0..convolution.inputs.div_ceil(lanes) {
        for position in 0..positions {
            for input in plane * lanes..((plane + 1) * lanes).min(convolution.inputs) {
                for block in blocks.clone() {
                    weights.push(Block(std::array::from_fn(|lane| {
                        let output = block * LANES + lane;
                        if output >= convolution.outputs {
                            return 0.0;
                        }
                        convolution.weights[(output * convolution.inputs + input) * positions + position]
                    })));
                }
            }
        }
    }
}

/// What one call computes: `P` pixels of `B` blocks, in one row or two.
pub(crate) struct DenseTile<'a> {
    pub(crate) taps: &'a [Tap],
    pub(crate) from: *const f32,
    /// Floats from the input of the tile's first pixel to that of the first one below.
    pub(crate) row: usize,
    pub(crate) weights: *const f32,
    pub(crate) bias: *const f32,
    pub(crate) epilogue: TileEpilogue,
}

/// A tile's kernel in one instruction set.
pub(crate) type DenseKernel = unsafe fn(&DenseTile<'_>);

/// # Safety
///
/// As for [`Vector`]; `from` leads to `P` pixels `STEP` floats apart, of which `W` are in the first row, readable under every tap;
/// `weights` to `B` x 16 floats a tap and channel; `bias` to `B` x 16 floats; `epilogue` as [`TileEpilogue::store`] asks.
#[expect(clippy::needless_range_loop, reason = "a pixel has a sum in each of the blocks")]
#[inline(always)]
pub(crate) unsafe fn dense_tile<V: Vector, const B: usize, const P: usize, const W: usize, const STEP: usize>(
    tile: &DenseTile<'_>,
) {
    // SAFETY: the caller gives pointers that reach what is read and written here.
    unsafe {
        let mut sums = [[V::splat(0.0); P]; B];
        for (block, sums) in sums.iter_mut().enumerate() {
            *sums = [V::load(tile.bias.add(block * LANES)); P];
        }
        let mut weights = tile.weights;
        for tap in tile.taps {
            let from = tile.from.add(tap.offset);
            let rows = [from, from.wrapping_add(tile.row)];
            for channel in 0..tap.channels {
                let mut weight = [V::splat(0.0); B];
                for (block, weight) in weight.iter_mut().enumerate() {
                    *weight = V::load(weights.add(block * LANES));
                }
                weights = weights.add(B * LANES);
                for pixel in 0..P {
                    let (row, at) = place(pixel, W);
                    let value = V::splat_at(rows[row].add(at * STEP + channel));
                    for block in 0..B {
                        sums[block][pixel] = weight[block].mul_add(value, sums[block][pixel]);
                    }
                }
            }
        }
        // Named one by one: sums that a loop picks from would have to lie in memory.
        tile.epilogue.store::<V, P, W>(sums[0], 0);
        if B > 1 {
            tile.epilogue.store::<V, P, W>(sums[1 % B], 1);
        }
        if B > 2 {
            tile.epilogue.store::<V, P, W>(sums[2 % B], 2);
        }
    }
}
