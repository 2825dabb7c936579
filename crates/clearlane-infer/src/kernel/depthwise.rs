//! Convolution of each channel by itself, a block of channels at a time: any kernel, stride 1 or 2.

use std::ops::Range;

use super::convolution::{Convolution, Corner};
use super::epilogue::{Epilogue, TileEpilogue};
use super::memory::{Arena, Block, View, blocks};
use super::set::KernelSet;
use super::tile;
use super::vector::{LANES, Vector};

/// A depthwise convolution, packed for one instruction set and placed in an arena.
pub(crate) struct Depthwise {
    corner: Corner,
    to: View,
    taps: Vec<usize>,
    /// A block a plane and tap.
    weights: Vec<Block>,
    bias: Vec<Block>,
    tiles: Vec<(usize, DepthwiseKernel)>,
    /// Tiles of a 3 x 3 convolution with stride 1, where there are kernels for it, and how many rows they have.
    three: Option<(usize, Vec<(usize, DepthwiseKernel)>)>,
    epilogue: Epilogue,
}

impl Depthwise {
    /// `None` if the convolution reaches outside of its input's halo, or has a stride that no kernel supports.
    pub(crate) fn new(
        kernels: &KernelSet,
        convolution: &Convolution<'_>,
        from: View,
        to: View,
        epilogue: Epilogue,
    ) -> Option<Self> {
        if !convolution.fits(&from, &to) || from.lanes != LANES || convolution.stride > 2 {
            return None;
        }
        let tiles = |most: usize, kernel: &dyn Fn(usize) -> Option<DepthwiseKernel>| {
            tile::cut_row(to.width, most)?
                .iter()
                .map(|tile| Some((tile.x, kernel(tile.pixels)?)))
                .collect::<Option<Vec<_>>>()
        };
        let plain = (convolution.kernel, convolution.stride, convolution.dilation) == ([3, 3], 1, [1, 1]);
        let [rows, pixels] = kernels.depthwise_three;
        let of_three = || Some((rows, tiles(pixels, &kernels.depthwise_three_kernel)?));
        let positions = convolution.kernel[0] * convolution.kernel[1];
        let weight = |plane: usize, position: usize, lane: usize| {
            convolution.weights.get((plane * LANES + lane) * positions + position).copied().unwrap_or(0.0)
        };
        let weights = (0..to.planes() * positions)
            .map(|index| Block(std::array::from_fn(|lane| weight(index / positions, index % positions, lane))));
        Some(Self {
            corner: convolution.corner(&from),
            to,
            taps: convolution.positions(&from).collect(),
            weights: weights.collect(),
            bias: blocks(&convolution.bias),
            tiles: tiles(kernels.accumulators, &|pixels| (kernels.depthwise)(pixels, convolution.stride * LANES))?,
            three: plain.then(of_three).flatten(),
            epilogue,
        })
    }

    /// Computes rows of the output for some of its planes.
    pub(crate) fn run(&self, arena: &Arena, rows: Range<usize>, planes: Range<usize>) {
        for plane in planes {
            let mut y = rows.start;
            while y < rows.end {
                let (tiles, next) = match &self.three {
                    Some((height, tiles)) if y + height <= rows.end => (tiles, y + height),
                    _ => (&self.tiles, y + 1),
                };
                for &(x, kernel) in tiles {
                    let tile = DepthwiseTile {
                        taps: &self.taps,
                        from: arena.at(self.corner.at(plane, y, x)),
                        weights: self.weights[plane * self.taps.len()..].as_ptr().cast(),
                        bias: self.bias[plane..].as_ptr().cast(),
                        epilogue: self.epilogue.at(arena, &self.to, plane, 1, y, x),
                    };
                    // SAFETY: `new` saw that every tap stays inside the input, and packed weights and biases for every
                    // plane; the instruction set's kernels exist only where the CPU has it.
                    unsafe { kernel(&tile) };
                }
                y = next;
            }
        }
    }
}

/// What one call computes: `P` pixels of a plane, in one row or two.
pub(crate) struct DepthwiseTile<'a> {
    taps: &'a [usize],
    from: *const f32,
    weights: *const f32,
    bias: *const f32,
    epilogue: TileEpilogue,
}

/// A tile's kernel in one instruction set.
pub(crate) type DepthwiseKernel = unsafe fn(&DepthwiseTile<'_>);

/// # Safety
///
/// As for [`Vector`]; `from` leads to `P` pixels `STEP` floats apart, readable under every tap; `weights` to a block a
/// tap; `bias` to a block; `epilogue` as [`TileEpilogue::store`] asks.
#[inline(always)]
pub(crate) unsafe fn depthwise_tile<V: Vector, const P: usize, const STEP: usize>(tile: &DepthwiseTile<'_>) {
    // SAFETY: the caller gives pointers that reach what is read and written here.
    unsafe {
        let mut sums = [V::load(tile.bias); P];
        for (position, &tap) in tile.taps.iter().enumerate() {
            let weight = V::load(tile.weights.add(position * LANES));
            let from = tile.from.add(tap);
            for (pixel, sum) in sums.iter_mut().enumerate() {
                *sum = V::load(from.add(pixel * STEP)).mul_add(weight, *sum);
            }
        }
        tile.epilogue.store::<V, P, P>(sums, 0);
    }
}

/// One row or two of a 3 × 3 convolution with stride 1, register after register of a block, so that each input is read once for the
/// three sums of a row that it is a part of: the loads of [`depthwise_tile`] take longer than its products.
///
/// # Safety
///
/// As for [`depthwise_tile`], for `P` pixels in each of the rows; the taps are those of such a convolution.
#[inline(always)]
pub(crate) unsafe fn depthwise_three<V: Vector, const P: usize>(tile: &DepthwiseTile<'_>) {
    for register in 0..V::REGISTERS {
        let first = register * (LANES / V::REGISTERS);
        // SAFETY: the caller gives whole blocks, of which the register holds some channels.
        unsafe {
            let tile = DepthwiseTile {
                taps: tile.taps,
                from: tile.from.add(first),
                weights: tile.weights.add(first),
                bias: tile.bias.add(first),
                epilogue: tile.epilogue.channels_from(first),
            };
            if V::DEPTHWISE[0] == 2 {
                two_rows::<V::Register, P>(&tile);
            } else {
                one_row::<V::Register, P>(&tile);
            }
        }
    }
}

/// # Safety
///
/// As for [`depthwise_three`].
#[inline(always)]
unsafe fn one_row<V: Vector, const P: usize>(tile: &DepthwiseTile<'_>) {
    // SAFETY: the caller gives pointers that reach what is read and written here.
    unsafe {
        let mut sums = [V::load(tile.bias); P];
        for row in 0..3 {
            add_row(&mut sums, &weights::<V, 3>(tile.weights, 3 * row), tile.from.add(row * tile.taps[3]));
        }
        tile.epilogue.store::<V, P, P>(sums, 0);
    }
}

/// Two rows share their inputs as well.
///
/// # Safety
///
/// As for [`depthwise_three`].
#[inline(always)]
unsafe fn two_rows<V: Vector, const P: usize>(tile: &DepthwiseTile<'_>) {
    // SAFETY: the caller gives pointers that reach what is read and written here.
    unsafe {
        let weights = weights::<V, 9>(tile.weights, 0);
        let (mut upper, mut lower) = ([V::load(tile.bias); P], [V::load(tile.bias); P]);
        let pitch = tile.taps[3];
        // Written out: sums that a loop picks from would have to lie in memory.
        add_row(&mut upper, &weights[..3], tile.from);
        add_row(&mut upper, &weights[3..6], tile.from.add(pitch));
        add_row(&mut lower, &weights[..3], tile.from.add(pitch));
        add_row(&mut upper, &weights[6..], tile.from.add(2 * pitch));
        add_row(&mut lower, &weights[3..6], tile.from.add(2 * pitch));
        add_row(&mut lower, &weights[6..], tile.from.add(3 * pitch));
        tile.epilogue.store::<V, P, P>(upper, 0);
        tile.epilogue.below().store::<V, P, P>(lower, 0);
    }
}

/// The weights of `N` taps from number `first` on.
///
/// # Safety
///
/// As for [`Vector`]; `from` leads to a block a tap.
#[inline(always)]
unsafe fn weights<V: Vector, const N: usize>(from: *const f32, first: usize) -> [V; N] {
    // SAFETY: the caller gives a block a tap.
    std::array::from_fn(|tap| unsafe { V::load(from.add((first + tap) * LANES)) })
}

/// Adds to the sums of a row what three weights make of an input row, input after input, each loaded once.
///
/// # Safety
///
/// As for [`Vector`]; there are three weights, and `from` leads to `P + 2` pixels.
#[inline(always)]
unsafe fn add_row<V: Vector, const P: usize>(sums: &mut [V; P], weights: &[V], from: *const f32) {
    for input in 0..P + 2 {
        // SAFETY: the caller gives so many pixels, and the CPU has V's instructions.
        let value = unsafe { V::load(from.add(input * LANES)) };
        for (column, weight) in weights.iter().enumerate() {
            if let Some(sum) = input.checked_sub(column).and_then(|pixel| sums.get_mut(pixel)) {
                // SAFETY: the CPU has V's instructions.
                *sum = unsafe { value.mul_add(*weight, *sum) };
            }
        }
    }
}
