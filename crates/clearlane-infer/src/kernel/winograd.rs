//! 3 × 3 convolutions with stride 1 by Winograd's minimal filtering F(2 × 2, 3 × 3): four outputs of sixteen products instead of
//! thirty-six (Winograd 1980; Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016, section 4.1).
//!
//! The output is cut into tiles of 2 × 2 pixels. Each depends on 4 × 4 pixels d of the input, and is
//! Aᵀ ((G g Gᵀ) ∘ (Bᵀ d B)) A, where g is a channel's weights and ∘ multiplies place by place. So there are three steps: the
//! input's tiles are transformed, each of the sixteen places is a matrix product over the channels (a convolution of 1 × 1 over
//! the tiles), and what these make is transformed back, biased and activated. The numbers of Aᵀ and Bᵀ are 0 and ±1, so that
//! single precision loses no more by it than by the order of the sums.

use std::borrow::Cow;
use std::ops::Range;

use super::convolution::Convolution;
use super::dense::Dense;
use super::epilogue::{Activation, Epilogue, TileEpilogue};
use super::memory::{Arena, Block, View, blocks};
use super::set::KernelSet;
use super::vector::{LANES, Vector};

/// Pixels of a tile's side.
const SIDE: usize = 2;
/// Pixels of the side of the input that a tile depends on.
const INPUT: usize = SIDE + 2;
/// Places of a transformed tile.
pub(crate) const PLACES: usize = INPUT * INPUT;

/// Tiles down and across an output of this height and width.
pub(crate) fn tiles([height, width]: [usize; 2]) -> [usize; 2] {
    [height.div_ceil(SIDE), width.div_ceil(SIDE)]
}

/// The halo that an input of this height and width has to have: the padding, and what the last tiles reach beyond.
pub(crate) fn halo(extents: [usize; 2]) -> usize {
    1 + extents.map(|extent| extent % SIDE).into_iter().max().unwrap_or(0)
}

/// Whether a convolution is one that this is for: 3 × 3, of all channels, with stride 1, padded to keep the input's size.
pub(crate) fn applies(convolution: &Convolution<'_>) -> bool {
    let Convolution { depthwise, kernel, stride, pad, dilation, .. } = *convolution;
    !depthwise && (kernel, stride, pad, dilation) == ([3, 3], 1, [1, 1], [1, 1])
}

/// The part of a transformed tensor of so many channels that belongs to one place.
fn of_place(transformed: &View, channels: usize, place: usize) -> View {
    let planes = channels.div_ceil(LANES);
    View { start: transformed.start + place * planes * transformed.plane_len(), channels, ..*transformed }
}

/// Whether a transformed tensor has the extents that belong to one of these channels, height and width.
fn transforms(transformed: &View, of: &View) -> bool {
    let [down, across] = tiles([of.height, of.width]);
    transformed.is_float()
        && [transformed.lanes, transformed.height, transformed.width, transformed.halo] == [LANES, 1, down * across, 0]
        && transformed.channels == PLACES * of.planes() * LANES
        && of.lanes == LANES
}

/// The transformation of an input's tiles.
pub(crate) struct TileInput {
    from: View,
    to: View,
    kernel: TileInputKernel,
}

impl TileInput {
    /// `None` if the tensors' extents do not belong together, or tiles reach outside of the input's halo.
    pub(crate) fn new(kernels: &KernelSet, from: View, to: View) -> Option<Self> {
        let fits = transforms(&to, &from) && from.is_float() && from.halo >= halo([from.height, from.width]);
        fits.then_some(Self { from, to, kernel: kernels.tile_input })
    }

    /// Rows of tiles, and planes.
    pub(crate) fn extent(&self) -> [usize; 2] {
        [tiles([self.from.height, self.from.width])[0], self.from.planes()]
    }

    pub(crate) fn run(&self, arena: &Arena, rows: Range<usize>, planes: Range<usize>) {
        let [_, across] = tiles([self.from.height, self.from.width]);
        for plane in planes {
            for y in rows.clone() {
                let row = TileInputRow {
                    from: arena.at(self.from.pixel(plane, SIDE * y, 0) - self.from.pitch() - LANES).cast_const(),
                    pitch: self.from.pitch(),
                    to: arena.at(self.to.pixel(plane, 0, y * across)),
                    place: self.from.planes() * self.to.plane_len(),
                    tiles: across,
                };
                // SAFETY: `new` saw that every tile lies inside the input's halo, and that the output has room for all.
                unsafe { (self.kernel)(&row) };
            }
        }
    }
}

/// A row of tiles of one plane of the input.
pub(crate) struct TileInputRow {
    /// The first pixel that the first tile depends on, and floats from one row of pixels to the next.
    from: *const f32,
    pitch: usize,
    /// The first tile's first place, and floats from one place to the next.
    to: *mut f32,
    place: usize,
    tiles: usize,
}

/// The kernel for a row of tiles in one instruction set.
pub(crate) type TileInputKernel = unsafe fn(&TileInputRow);

/// # Safety
///
/// As for [`Vector`]; `from` leads to four rows of two pixels a tile and two more, `to` to a block a tile in each place.
#[inline(always)]
pub(crate) unsafe fn tile_input<V: Vector>(row: &TileInputRow) {
    // SAFETY: the caller gives pointers that reach what is read and written here; the CPU has V's instructions.
    unsafe {
        let minus = V::splat(-1.0);
        // Rows of Bᵀ: which two rows of pixels are summed, and whether the second is taken off.
        for (line, (first, second, off)) in
            [(0, 2, true), (1, 2, false), (2, 1, true), (1, 3, true)].into_iter().enumerate()
        {
            let (first, second) = (row.from.add(first * row.pitch), row.from.add(second * row.pitch));
            let sum = |column: usize| {
                let (a, b) = (V::load(first.add(column * LANES)), V::load(second.add(column * LANES)));
                if off { b.mul_add(minus, a) } else { a.add(b) }
            };
            let to = row.to.add(line * INPUT * row.place);
            let mut left = [sum(0), sum(1)];
            for tile in 0..row.tiles {
                let right = [sum(SIDE * tile + 2), sum(SIDE * tile + 3)];
                let to = to.add(tile * LANES);
                right[0].mul_add(minus, left[0]).store(to);
                left[1].add(right[0]).store(to.add(row.place));
                left[1].mul_add(minus, right[0]).store(to.add(2 * row.place));
                right[1].mul_add(minus, left[1]).store(to.add(3 * row.place));
                left = right;
            }
        }
    }
}

/// The products of all places: a convolution of 1 × 1 for each.
pub(crate) struct TileProducts(Vec<Dense>);

impl TileProducts {
    /// For tensors of the convolution's channels, transformed. `None` if their extents do not belong together.
    pub(crate) fn new(kernels: &KernelSet, convolution: &Convolution<'_>, from: &View, to: &View) -> Option<Self> {
        if !applies(convolution) {
            return None;
        }
        let weights = transformed_weights(convolution);
        let products = weights.into_iter().enumerate().map(|(place, weights)| {
            let one = Convolution {
                outputs: convolution.outputs,
                inputs: convolution.inputs,
                depthwise: false,
                kernel: [1, 1],
                stride: 1,
                pad: [0, 0],
                dilation: [1, 1],
                weights: Cow::Owned(weights),
                bias: vec![0.0; convolution.outputs],
            };
            let (from, to) = (of_place(from, convolution.inputs, place), of_place(to, convolution.outputs, place));
            let epilogue = Epilogue::new(&Activation::Identity, None, false, &to)?;
            Dense::new(kernels, &one, from, to, epilogue)
        });
        products.collect::<Option<_>>().map(Self)
    }

    /// Groups of output blocks of all places.
    pub(crate) fn groups(&self) -> usize {
        self.0.iter().map(Dense::groups).sum()
    }

    pub(crate) fn run(&self, arena: &Arena, groups: Range<usize>) {
        let mut first = 0;
        for dense in &self.0 {
            let (start, end) = (groups.start.max(first), groups.end.min(first + dense.groups()));
            if start < end {
                dense.run(arena, 0..1, start - first..end - first);
            }
            first += dense.groups();
        }
    }
}

/// G g Gᵀ of each output and input, a list for each place.
fn transformed_weights(convolution: &Convolution<'_>) -> [Vec<f32>; PLACES] {
    const G: [[f64; 3]; INPUT] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];
    let mut places: [Vec<f32>; PLACES] = std::array::from_fn(|_| Vec::with_capacity(convolution.weights.len() / 9));
    let sum = |row: &[f64; 3], values: [f64; 3]| row.iter().zip(values).map(|(a, b)| a * b).sum::<f64>();
    for kernel in convolution.weights.as_chunks::<9>().0 {
        let lines = G.map(|row| [0, 1, 2].map(|x| sum(&row, [0, 3, 6].map(|y| f64::from(kernel[y + x])))));
        for (place, weights) in places.iter_mut().enumerate() {
            weights.push(sum(&G[place % INPUT], lines[place / INPUT]) as f32);
        }
    }
    places
}

/// The transformation back, and what a convolution's sums go through.
pub(crate) struct TileOutput {
    from: View,
    to: View,
    bias: Vec<Block>,
    epilogue: Epilogue,
    kernel: TileOutputKernel,
}

impl TileOutput {
    /// `None` if the tensors' extents do not belong together.
    pub(crate) fn new(kernels: &KernelSet, bias: &[f32], from: View, to: View, epilogue: Epilogue) -> Option<Self> {
        let fits = transforms(&from, &to) && to.is_float() && bias.len() == to.channels;
        fits.then(|| Self { from, to, bias: blocks(bias), epilogue, kernel: kernels.tile_output })
    }

    /// Rows of tiles, and planes.
    pub(crate) fn extent(&self) -> [usize; 2] {
        [tiles([self.to.height, self.to.width])[0], self.to.planes()]
    }

    /// The rows of pixels that rows of tiles make.
    pub(crate) fn rows(&self, tiles: &Range<usize>) -> Range<usize> {
        SIDE * tiles.start..(SIDE * tiles.end).min(self.to.height)
    }

    pub(crate) fn run(&self, arena: &Arena, rows: Range<usize>, planes: Range<usize>) {
        let View { height, width, .. } = self.to;
        let [_, across] = tiles([height, width]);
        for plane in planes {
            for y in rows.clone() {
                let row = TileOutputRow {
                    from: arena.at(self.from.pixel(plane, 0, y * across)).cast_const(),
                    place: self.to.planes() * self.from.plane_len(),
                    bias: self.bias[plane..].as_ptr().cast(),
                    epilogue: self.epilogue.at(arena, &self.to, plane, 1, SIDE * y, 0),
                    width,
                    whole: SIDE * y + 1 < height,
                };
                // SAFETY: `new` saw that the input holds every tile, and the output every pixel.
                unsafe { (self.kernel)(&row) };
            }
        }
    }
}

/// A row of tiles of one plane of the output.
pub(crate) struct TileOutputRow {
    /// The first tile's first place, and floats from one place to the next.
    from: *const f32,
    place: usize,
    bias: *const f32,
    epilogue: TileEpilogue,
    /// Pixels across.
    width: usize,
    /// Whether there is a second row of pixels.
    whole: bool,
}

/// The kernel for a row of tiles in one instruction set.
pub(crate) type TileOutputKernel = unsafe fn(&TileOutputRow);

/// # Safety
///
/// As for [`Vector`]; `from` leads to a block a tile in each place, `bias` to a block, `epilogue` as [`TileEpilogue::store`]
/// asks for so many pixels in each row.
#[inline(always)]
pub(crate) unsafe fn tile_output<V: Vector>(row: &TileOutputRow) {
    // SAFETY: the caller gives pointers that reach what is read and written here; the CPU has V's instructions.
    unsafe {
        let (minus, bias) = (V::splat(-1.0), V::load(row.bias));
        for x in (0..row.width).step_by(SIDE) {
            let from = row.from.add(x / SIDE * LANES);
            let (mut upper, mut lower) = ([bias; INPUT], [bias; INPUT]);
            for column in 0..INPUT {
                let at = |line: usize| V::load(from.add((line * INPUT + column) * row.place));
                let (second, third) = (at(1), at(2));
                upper[column] = at(0).add(second.add(third));
                lower[column] = at(3).add(third).mul_add(minus, second);
            }
            let epilogue = row.epilogue.right(x);
            store(&epilogue, upper, bias, x + 1 < row.width);
            if row.whole {
                store(&epilogue.below(), lower, bias, x + 1 < row.width);
            }
        }
    }
}

/// Adds up a row of a tile's places to its two pixels, and stores both, or the first alone.
///
/// # Safety
///
/// As for [`TileEpilogue::store`].
#[inline(always)]
unsafe fn store<V: Vector>(epilogue: &TileEpilogue, sums: [V; INPUT], bias: V, both: bool) {
    // SAFETY: as the caller says.
    unsafe {
        let left = sums[0].add(sums[1]).add(sums[2].add(bias));
        if both {
            let right = sums[2].add(sums[3]).mul_add(V::splat(-1.0), sums[1].add(bias));
            epilogue.store::<V, SIDE, SIDE>([left, right], 0);
        } else {
            epilogue.store::<V, 1, 1>([left], 0);
        }
    }
}
