//! The epilogue of an integer convolution: its sums are rescaled, activated, added to another tensor, and requantised.
//!
//! Every step is one multiplication, addition, comparison or rounding in single precision, and none is fused with
//! another: the result is the same to the last bit whatever the instruction set.

use super::quads::Quads;
use super::{Quantisation, ROUNDING};
use crate::kernel::epilogue::Activation;
use crate::kernel::memory::{Arena, BYTES, Block, View, blocks};
use crate::kernel::tile::place;
use crate::kernel::vector::{LANES, Vector};

/// From sums to values.
#[derive(Clone, Debug)]
pub(crate) struct Rescale {
    /// What one unit of a sum stands for, an output channel each.
    pub(crate) scales: Vec<f32>,
    pub(crate) activation: Activation,
    /// The second tensor of the convolution, if it has one.
    pub(crate) addend: Option<Addend>,
}

/// How another tensor is added.
#[derive(Clone, Debug)]
pub(crate) struct Addend {
    /// What the convolution's own values are rounded to before.
    pub(crate) own: Quantisation,
    /// The other tensor's quantisation.
    pub(crate) other: Quantisation,
    /// Bounds of the sum.
    pub(crate) bounds: [f32; 2],
}

/// The epilogue of one convolution.
pub(crate) struct Epilogue {
    multipliers: Vec<Block>,
    slopes: Vec<Block>,
    add: Option<View>,
    numbers: Numbers,
}

/// The numbers of an epilogue that are the same for all channels. Values are counted in steps from a quantisation's zero.
#[derive(Clone, Copy)]
struct Numbers {
    /// Bounds before another tensor is added, or of the output.
    low: f32,
    high: f32,
    /// From steps of the convolution's own rounding, and of the tensor to add, to steps of the output.
    own_scale: f32,
    other_scale: f32,
    other_zero: f32,
    /// Bounds of the sum.
    sum_low: f32,
    sum_high: f32,
    /// The output's zero, `None` for floats.
    zero: Option<i32>,
}

impl Epilogue {
    /// `None` if there is no kernel for the activation, or the parts are not of the output's extents. `output` is
    /// the output's quantisation, `None` for floats.
    pub(crate) fn new(rescale: &Rescale, add: Option<View>, output: Option<Quantisation>, to: &View) -> Option<Self> {
        let fits = |add: &View| {
            !add.is_float()
                && [add.lanes, add.channels, add.height, add.width] == [to.lanes, to.channels, to.height, to.width]
        };
        let slopes = match &rescale.activation {
            Activation::Slope(slopes) => slopes.as_slice(),
            _ => &[],
        };
        let sound = rescale.scales.len() == to.channels
            && (slopes.is_empty() || slopes.len() == to.channels)
            && add.is_some() == rescale.addend.is_some()
            && add.as_ref().is_none_or(fits)
            && output.is_none() == to.is_float();
        if !sound {
            return None;
        }
        let bounds = match rescale.activation {
            Activation::Identity | Activation::Slope(_) => [f32::NEG_INFINITY, f32::INFINITY],
            Activation::Clamp { low, high } => [low, high],
            Activation::Function(_) => return None,
        };
        let steps = |of: Option<Quantisation>, bounds: [f32; 2]| match of {
            Some(of) => bounds.map(|bound| of.steps(bound)),
            None => bounds,
        };
        let scale = |of: Option<Quantisation>| of.map_or(1.0, |of| f64::from(of.scale));
        let first = rescale.addend.as_ref().map_or(output, |addend| Some(addend.own));
        let multipliers: Vec<f32> =
            rescale.scales.iter().map(|&unit| (f64::from(unit) / scale(first)) as f32).collect();
        let [low, high] = steps(first, bounds);
        let mut numbers = Numbers {
            low,
            high,
            own_scale: 1.0,
            other_scale: 0.0,
            other_zero: 0.0,
            sum_low: low,
            sum_high: high,
            zero: output.map(|output| i32::from(output.zero)),
        };
        if let Some(addend) = &rescale.addend {
            let ratio = |of: Quantisation| (f64::from(of.scale) / scale(output)) as f32;
            (numbers.own_scale, numbers.other_scale) = (ratio(addend.own), ratio(addend.other));
            numbers.other_zero = f32::from(addend.other.zero);
            [numbers.sum_low, numbers.sum_high] = steps(output, addend.bounds);
        }
        Some(Self { multipliers: blocks(&multipliers), slopes: blocks(slopes), add, numbers })
    }

    /// The epilogue of a tile of some blocks from `first` on, whose first pixel is at `y`, `x`.
    pub(crate) fn at(&self, arena: &Arena, to: &View, first: usize, y: usize, x: usize) -> TileEpilogue {
        let bytes = if to.is_float() { BYTES } else { 1 };
        TileEpilogue {
            to: arena.at_byte(to.pixel(first, y, x) * bytes),
            to_plane: to.plane_len() * bytes,
            to_row: to.pitch() * bytes,
            to_pixel: LANES * bytes,
            add: self.add.map_or(std::ptr::null(), |add| arena.at_byte(add.pixel(first, y, x)).cast_const()),
            add_plane: self.add.map_or(0, |add| add.plane_len()),
            add_row: self.add.map_or(0, |add| add.pitch()),
            multipliers: self.multipliers[first..].as_ptr().cast(),
            slopes: self
                .slopes
                .get(first..)
                .filter(|slopes| !slopes.is_empty())
                .map_or(std::ptr::null(), |slopes| slopes.as_ptr().cast()),
            numbers: self.numbers,
        }
    }
}

/// Where a tile's sums go, and what is done to them on the way.
#[derive(Clone, Copy)]
pub(crate) struct TileEpilogue {
    /// The tile's first pixel in its first plane, and bytes from one plane to the next, and to the first pixel below.
    to: *mut u8,
    to_plane: usize,
    to_row: usize,
    /// Bytes of a pixel's block.
    to_pixel: usize,
    /// The same of the tensor to add; null where there is none.
    add: *const u8,
    add_plane: usize,
    add_row: usize,
    /// A block for each of the tile's; null for no slopes.
    multipliers: *const f32,
    slopes: *const f32,
    numbers: Numbers,
}

impl TileEpilogue {
    /// The same for a tile that ends in the row below, at its left edge, and begins at column `x`.
    pub(crate) fn to_the_left(self, x: usize) -> Self {
        let to_row = self.to_row.saturating_sub(x * self.to_pixel);
        Self { to_row, add_row: self.add_row.saturating_sub(x * LANES), ..self }
    }

    /// Runs the epilogue on `P` pixels and stores them: those of the plane that stands `plane` after the tile's first, `W` of
    /// them in the first row and the rest in the row below.
    ///
    /// # Safety
    ///
    /// As for [`Quads`]; the pointers lead to `P` pixels in that plane, readable or writable as named.
    #[inline(always)]
    pub(crate) unsafe fn store<S: Quads, const P: usize, const W: usize>(&self, sums: &[S; P], plane: usize) {
        let numbers = &self.numbers;
        // SAFETY: the caller gives pointers to P pixels in this plane.
        unsafe {
            let multiplier = S::Float::load(self.multipliers.add(plane * LANES));
            let mut values = [S::Float::splat(0.0); P];
            for (value, sum) in values.iter_mut().zip(sums) {
                *value = sum.to_float().mul(multiplier);
            }
            if !self.slopes.is_null() {
                let (slope, zero) = (S::Float::load(self.slopes.add(plane * LANES)), S::Float::splat(0.0));
                for value in &mut values {
                    *value = value.max(zero).add(value.min(zero).mul(slope));
                }
            }
            let (low, high) = (S::Float::splat(numbers.low), S::Float::splat(numbers.high));
            for value in &mut values {
                *value = value.max(low).min(high);
            }
            if !self.add.is_null() {
                self.add_pixels::<S, P, W>(&mut values, plane);
            }
            let to = self.to.add(plane * self.to_plane);
            for (pixel, &value) in values.iter().enumerate() {
                let (row, at) = place(pixel, W);
                let to = to.add(row * self.to_row + at * self.to_pixel);
                match numbers.zero {
                    Some(zero) => S::store_bytes(value, zero, to),
                    None => value.store(to.cast()),
                }
            }
        }
    }

    /// Rounds the values to the steps that they would be stored in, and adds the other tensor's.
    ///
    /// # Safety
    ///
    /// As for [`Self::store`], with a tensor to add.
    #[inline(always)]
    unsafe fn add_pixels<S: Quads, const P: usize, const W: usize>(&self, values: &mut [S::Float; P], plane: usize) {
        let numbers = &self.numbers;
        // SAFETY: the caller gives pointers to P pixels in this plane.
        unsafe {
            let (up, down) = (S::Float::splat(ROUNDING), S::Float::splat(-ROUNDING));
            let (own, other) = (S::Float::splat(numbers.own_scale), S::Float::splat(numbers.other_scale));
            let zero = S::Float::splat(-numbers.other_zero);
            let (low, high) = (S::Float::splat(numbers.sum_low), S::Float::splat(numbers.sum_high));
            let from = self.add.add(plane * self.add_plane);
            for (pixel, value) in values.iter_mut().enumerate() {
                let rounded = value.add(up).add(down);
                let (row, at) = place(pixel, W);
                let bytes = S::widen(from.add(row * self.add_row + at * LANES));
                *value = rounded.mul(own).add(bytes.add(zero).mul(other)).max(low).min(high);
            }
        }
    }
}
