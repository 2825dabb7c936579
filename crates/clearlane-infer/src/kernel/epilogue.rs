//! The epilogue of a convolution: what its sums go through in registers before they are stored, another tensor added and an
//! activation.

use super::function::Function;
use super::memory::{Arena, Block, View, blocks};
use super::tile::place;
use super::vector::{LANES, Vector};

/// A function of one value, by channel where it has parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Activation {
    Identity,
    /// `Relu`, `Relu6` and `Clip`: `max(low, min(high, x))`.
    Clamp {
        low: f32,
        high: f32,
    },
    /// `PRelu` and `LeakyRelu`: `x` where positive, else `slope * x`; a slope a channel.
    Slope(Vec<f32>),
    Function(Function),
}

/// An activation with its parameters laid out in blocks.
pub(crate) struct PackedActivation {
    kind: Kind,
    slopes: Vec<Block>,
}

#[derive(Clone, Copy)]
enum Kind {
    Identity,
    Clamp { low: f32, high: f32 },
    Slope,
    Function(Function),
}

impl PackedActivation {
    pub(crate) fn new(activation: &Activation) -> Self {
        match activation {
            Activation::Identity => Self { kind: Kind::Identity, slopes: Vec::new() },
            Activation::Clamp { low, high } => {
                Self { kind: Kind::Clamp { low: *low, high: *high }, slopes: Vec::new() }
            }
            Activation::Slope(slopes) => Self { kind: Kind::Slope, slopes: blocks(slopes) },
            Activation::Function(function) => Self { kind: Kind::Function(*function), slopes: Vec::new() },
        }
    }

    /// The activation for the channels from block `first` on, of which `blocks` are asked for.
    pub(crate) fn at(&self, first: usize, blocks: usize) -> ActivationAt {
        let slopes = match self.kind {
            Kind::Slope => self.slopes[first..first + blocks].as_ptr().cast(),
            _ => std::ptr::null(),
        };
        ActivationAt { kind: self.kind, slopes }
    }
}

/// An activation, positioned at a channel block.
#[derive(Clone, Copy)]
pub(crate) struct ActivationAt {
    kind: Kind,
    slopes: *const f32,
}

impl ActivationAt {
    /// The function that is applied, where there is one.
    pub(crate) fn function(&self) -> Option<Function> {
        if let Kind::Function(function) = self.kind { Some(function) } else { None }
    }

    /// Applies the activation to values of the block that stands `block` after the one it is positioned at.
    ///
    /// # Safety
    ///
    /// As for [`Vector`], and `block` is below the number asked of [`PackedActivation::at`].
    #[inline(always)]
    pub(crate) unsafe fn apply<V: Vector, const P: usize>(&self, values: &mut [V; P], block: usize) {
        // SAFETY: the slopes hold a block for each that was asked for; the CPU has V's instructions.
        unsafe {
            match self.kind {
                Kind::Identity => {}
                Kind::Clamp { low, high } => {
                    let (low, high) = (V::splat(low), V::splat(high));
                    for value in values {
                        *value = value.max(low).min(high);
                    }
                }
                Kind::Slope => {
                    let (slope, zero) = (V::load(self.slopes.add(block * LANES)), V::splat(0.0));
                    for value in values {
                        *value = value.min(zero).mul_add(slope, value.max(zero));
                    }
                }
                Kind::Function(function) => {
                    for value in values {
                        let mut lanes = [0.0; LANES];
                        value.store(lanes.as_mut_ptr());
                        apply_apart(function, &mut lanes);
                        *value = V::load(lanes.as_ptr());
                    }
                }
            }
        }
    }
}

/// A call, which keeps the function's registers out of the kernels that it is a part of.
#[inline(never)]
fn apply_apart(function: Function, lanes: &mut [f32; LANES]) {
    function.apply(lanes);
}

/// The epilogue of one convolution.
pub(crate) struct Epilogue {
    activation: PackedActivation,
    add: Option<View>,
    /// The tensor is added before the activation rather than after it.
    add_first: bool,
}

impl Epilogue {
    /// `None` if the tensor to add, or the slopes, are not of the output's extents.
    pub(crate) fn new(activation: &Activation, add: Option<View>, add_first: bool, to: &View) -> Option<Self> {
        let fits = |add: &View| {
            [add.lanes, add.channels, add.height, add.width] == [to.lanes, to.channels, to.height, to.width]
        };
        let slopes_fit = !matches!(activation, Activation::Slope(slopes) if slopes.len() != to.channels);
        (add.as_ref().is_none_or(fits) && slopes_fit).then(|| Self {
            activation: PackedActivation::new(activation),
            add,
            add_first,
        })
    }

    /// The epilogue of a tile of some blocks from `first` on, whose first pixel is at `y`, `x`.
    pub(crate) fn at(&self, arena: &Arena, to: &View, first: usize, blocks: usize, y: usize, x: usize) -> TileEpilogue {
        TileEpilogue {
            to: arena.at(to.pixel(first, y, x)),
            to_plane: to.plane_len(),
            to_row: to.pitch(),
            add: self.add.map_or(std::ptr::null(), |add| arena.at(add.pixel(first, y, x)).cast_const()),
            add_plane: self.add.map_or(0, |add| add.plane_len()),
            add_row: self.add.map_or(0, |add| add.pitch()),
            add_first: self.add_first,
            activation: self.activation.at(first, blocks),
        }
    }
}

/// Where a tile's sums go, and what is done to them on the way.
#[derive(Clone, Copy)]
pub(crate) struct TileEpilogue {
    /// The tile's first pixel in its first plane, and floats from one plane to the next, and to the first pixel below.
    pub(crate) to: *mut f32,
    pub(crate) to_plane: usize,
    pub(crate) to_row: usize,
    /// The same of the tensor to add; null where there is none.
    pub(crate) add: *const f32,
    pub(crate) add_plane: usize,
    pub(crate) add_row: usize,
    /// The sum is activated, rather than the activated value added to.
    pub(crate) add_first: bool,
    pub(crate) activation: ActivationAt,
}

impl TileEpilogue {
    /// The same for a tile that ends in the row below, at its left edge, and begins at column `x`.
    pub(crate) fn to_the_left(self, x: usize) -> Self {
        let row = |row: usize| row.saturating_sub(x * LANES);
        Self { to_row: row(self.to_row), add_row: row(self.add_row), ..self }
    }

    /// The same for a tile that begins so many pixels further to the right.
    pub(crate) fn right(self, pixels: usize) -> Self {
        let moved = pixels * LANES;
        let add = if self.add.is_null() { self.add } else { self.add.wrapping_add(moved) };
        Self { to: self.to.wrapping_add(moved), add, ..self }
    }

    /// The same for the channels of each block from `first` on.
    pub(crate) fn channels_from(self, first: usize) -> Self {
        let add = if self.add.is_null() { self.add } else { self.add.wrapping_add(first) };
        let activation = ActivationAt { slopes: self.activation.slopes.wrapping_add(first), ..self.activation };
        Self { to: self.to.wrapping_add(first), add, activation, ..self }
    }

    /// The same for the row below.
    pub(crate) fn below(self) -> Self {
        Self { to: self.to.wrapping_add(self.to_row), add: self.add.wrapping_add(self.add_row), ..self }
    }

    /// Runs the epilogue on `P` pixels and stores them: those of the plane that stands `plane` after the tile's first, `W` of
    /// them in the first row and the rest in the row below.
    ///
    /// # Safety
    ///
    /// As for [`Vector`]; the pointers lead to `P` pixels in that plane, readable or writable as named.
    #[inline(always)]
    pub(crate) unsafe fn store<V: Vector, const P: usize, const W: usize>(&self, mut sums: [V; P], plane: usize) {
        // SAFETY: the caller gives pointers to P pixels in this plane.
        unsafe {
            let add = self.add.wrapping_add(plane * self.add_plane);
            let to = self.to.add(plane * self.to_plane);
            if !self.add.is_null() && self.add_first {
                add_pixels::<V, P, W>(&mut sums, add, self.add_row);
            }
            self.activation.apply(&mut sums, plane);
            if !self.add.is_null() && !self.add_first {
                add_pixels::<V, P, W>(&mut sums, add, self.add_row);
            }
            for (pixel, sum) in sums.iter().enumerate() {
                let (row, at) = place(pixel, W);
                sum.store(to.add(row * self.to_row + at * LANES));
            }
        }
    }
}

/// # Safety
///
/// As for [`Vector`]; `from` leads to `P` pixels, of which `W` are in the first row.
#[inline(always)]
unsafe fn add_pixels<V: Vector, const P: usize, const W: usize>(values: &mut [V; P], from: *const f32, row: usize) {
    for (pixel, value) in values.iter_mut().enumerate() {
        let (below, at) = place(pixel, W);
        // SAFETY: the caller gives P pixels.
        unsafe { *value = value.add(V::load(from.add(below * row + at * LANES))) };
    }
}
