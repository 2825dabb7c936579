//! Convolution of each channel by itself, a block of channels at a time: any kernel, stride 1 or 2.

use std::ops::Range;

use super::convolution::{Convolution, Corner};
use super::finish::{Finish, Finisher};
use super::isa::Isa;
use super::memory::{Arena, Block, View, blocks};
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
    finisher: Finisher,
}

impl Depthwise {
    /// `None` if the convolution reaches outside of its input's halo, or has a stride that no kernel is made for.
    pub(crate) fn new(
        isa: &Isa,
        convolution: &Convolution<'_>,
        from: View,
        to: View,
        finisher: Finisher,
    ) -> Option<Self> {
        if !convolution.fits(&from, &to) || from.lanes != LANES || convolution.stride > 2 {
            return None;
        }
        let cut = tile::cut(to.width, 1, isa.accumulators);
        let tiles = cut.iter().map(|tile| Some((tile.x, (isa.depthwise)(tile.pixels, convolution.stride * LANES)?)));
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
            tiles: tiles.collect::<Option<_>>()?,
            finisher,
        })
    }

    /// Computes rows of the output for some of its planes.
    pub(crate) fn run(&self, arena: &Arena, rows: Range<usize>, planes: Range<usize>) {
        for plane in planes {
            for y in rows.clone() {
                for &(x, kernel) in &self.tiles {
                    let tile = DepthwiseTile {
                        taps: &self.taps,
                        from: arena.at(self.corner.at(plane, y, x)),
                        weights: self.weights[plane * self.taps.len()..].as_ptr().cast(),
                        bias: self.bias[plane..].as_ptr().cast(),
                        finish: self.finisher.at(arena, &self.to, plane, 1, y, x),
                    };
                    // SAFETY: `new` saw that every tap stays inside the input, and packed weights and biases for every
                    // plane; the instruction set's kernels exist only where the CPU has it.
                    unsafe { kernel(&tile) };
                }
            }
        }
    }
}

/// What one call computes: `P` pixels of a plane.
pub(crate) struct DepthwiseTile<'a> {
    taps: &'a [usize],
    from: *const f32,
    weights: *const f32,
    bias: *const f32,
    finish: Finish,
}

/// A tile's kernel in one instruction set.
pub(crate) type DepthwiseKernel = unsafe fn(&DepthwiseTile<'_>);

/// # Safety
///
/// As for [`Vector`]; `from` leads to `P` pixels `STEP` floats apart, readable under every tap; `weights` to a block a
/// tap; `bias` to a block; `finish` as [`Finish::store`] asks.
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
        tile.finish.store::<V, P, P>(sums, 0);
    }
}
