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
    /// Tiles of two rows, where there are kernels for them.
    two_rows: Option<Vec<(usize, DepthwiseKernel)>>,
    epilogue: Epilogue,
}

/// The most pixels in each row of a tile of two: their sums share the registers with the nine weights, of which a tile of one row
/// keeps one at a time. None where registers are few.
pub(crate) const fn two_rows(accumulators: usize) -> usize {
    accumulators.saturating_sub(8) / 2
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
        let tiles_of_two = || tiles(two_rows(kernels.accumulators), &kernels.depthwise_two_rows);
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
            two_rows: plain.then(tiles_of_two).flatten(),
            epilogue,
        })
    }

    /// Computes rows of the output for some of its planes.
    pub(crate) fn run(&self, arena: &Arena, rows: Range<usize>, planes: Range<usize>) {
        for plane in planes {
            let mut y = rows.start;
            while y < rows.end {
                let (tiles, next) = match &self.two_rows {
                    Some(tiles) if y + 1 < rows.end => (tiles, y + 2),
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

/// Two rows of a 3 × 3 convolution with stride 1, each input of which is read once: the loads of [`depthwise_tile`] take longer
/// than its products.
///
/// # Safety
///
/// As for [`depthwise_tile`], for `P` pixels in each of two rows; the taps are those of such a convolution.
#[inline(always)]
pub(crate) unsafe fn depthwise_two_rows<V: Vector, const P: usize>(tile: &DepthwiseTile<'_>) {
    // SAFETY: the caller gives pointers that reach what is read and written here.
    unsafe {
        let mut weights = [V::load(tile.weights); 9];
        for (position, weight) in weights.iter_mut().enumerate() {
            *weight = V::load(tile.weights.add(position * LANES));
        }
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

/// Adds to the sums of a row what three weights make of an input row. What is loaded twice, for a row and the one below or for
/// neighbouring pixels, the compiler loads once.
///
/// # Safety
///
/// As for [`Vector`]; there are three weights, and `from` leads to `P + 2` pixels.
#[inline(always)]
unsafe fn add_row<V: Vector, const P: usize>(sums: &mut [V; P], weights: &[V], from: *const f32) {
    for (pixel, sum) in sums.iter_mut().enumerate() {
        for (column, weight) in weights.iter().enumerate() {
            // SAFETY: the caller gives so many pixels, and the CPU has V's instructions.
            unsafe { *sum = V::load(from.add((pixel + column) * LANES)).mul_add(*weight, *sum) };
        }
    }
}
