//! Quantises floats to bytes, and dequantises them.
#![expect(clippy::cast_ptr_alignment, reason = "a row is of floats or of bytes, and read and written unaligned")]

use std::ops::Range;

use super::set::IntegerKernels;
use super::{Quantisation, ROUNDING};
use crate::kernel::memory::{Arena, Element, View};
use crate::kernel::vector::LANES;

/// Channels of a quantised image's pixel.
pub(crate) const IMAGE_LANES: usize = 4;

/// Quantises or dequantises a tensor into another of the same extents.
pub(crate) struct Recode {
    from: View,
    to: View,
    quantisation: Quantisation,
    row: RecodeKernel,
}

impl Recode {
    /// `None` if the tensors' extents or layouts do not belong together. `quantisation` is that of the
    /// quantised one.
    pub(crate) fn new(kernels: &IntegerKernels, from: View, to: View, quantisation: Quantisation) -> Option<Self> {
        let same = [from.channels, from.height, from.width] == [to.channels, to.height, to.width];
        let row = match (from.is_float(), to.is_float(), from.lanes, to.lanes) {
            (true, false, LANES, LANES) => kernels.quantise,
            (true, false, 1, IMAGE_LANES) if from.channels <= IMAGE_LANES => kernels.quantise_image,
            (false, true, LANES, LANES) => kernels.dequantise,
            (false, true, IMAGE_LANES, 1) if from.channels <= IMAGE_LANES => kernels.dequantise_image,
            _ => return None,
        };
        same.then_some(Self { from, to, quantisation, row })
    }

    pub(crate) fn run(&self, arena: &Arena, rows: Range<usize>, planes: Range<usize>) {
        let place = |view: &View, channel: usize, y: usize| match view.element {
            Element::Float => arena.at(view.at(channel, y, 0)).cast(),
            Element::Byte { .. } => arena.at_byte(view.at(channel, y, 0)),
        };
        for channel in planes.map(|plane| plane * self.to.lanes) {
            for y in rows.clone() {
                let row = RecodeRow {
                    from: place(&self.from, channel, y),
                    plane: self.from.plane_len(),
                    channels: self.from.channels,
                    to: place(&self.to, channel, y),
                    pixels: self.to.width,
                    quantisation: self.quantisation,
                };
                // SAFETY: `new` saw that the tensors have the same extents and the layouts of the kernel, which exists
                // only where the CPU has its instruction set.
                unsafe { (self.row)(&row) };
            }
        }
    }
}

/// A row of one plane, or of all planes of an image to quantise.
pub(crate) struct RecodeRow {
    from: *const u8,
    /// Floats from one of an image's planes to the next, and how many planes there are.
    plane: usize,
    channels: usize,
    to: *mut u8,
    pixels: usize,
    quantisation: Quantisation,
}

pub(crate) type RecodeKernel = unsafe fn(&RecodeRow);

/// # Safety
///
/// `from` leads to a row of blocks of floats, `to` to one of blocks of bytes.
#[inline(always)]
pub(crate) unsafe fn quantise_row(row: &RecodeRow) {
    let quantise = Quantise::new(row.quantisation);
    for pixel in 0..row.pixels {
        // SAFETY: the caller gives pointers to this pixel.
        unsafe {
            let values = row.from.cast::<[f32; LANES]>().add(pixel).read_unaligned();
            let mut bytes = [0; LANES];
            for (byte, value) in bytes.iter_mut().zip(values) {
                *byte = quantise.byte(value) as u8;
            }
            row.to.cast::<[u8; LANES]>().add(pixel).write_unaligned(bytes);
        }
    }
}

/// # Safety
///
/// `from` leads to a row of floats in each plane, `to` to a row of pixels of four bytes.
#[inline(always)]
pub(crate) unsafe fn quantise_image_row(row: &RecodeRow) {
    let quantise = Quantise::new(row.quantisation);
    let from = row.from.cast::<f32>();
    let whole = row.pixels / LANES * LANES;
    for first in (0..whole).step_by(LANES) {
        let mut pixels = [0_u32; LANES];
        for channel in 0..row.channels {
            // SAFETY: the caller gives 16 values of this plane.
            let values = unsafe { from.add(channel * row.plane + first).cast::<[f32; LANES]>().read_unaligned() };
            for (pixel, value) in pixels.iter_mut().zip(values) {
                *pixel |= quantise.byte(value) << (8 * channel);
            }
        }
        let pixels = pixels.map(u32::to_le);
        // SAFETY: the caller gives 16 pixels of four bytes.
        unsafe { row.to.cast::<[u32; LANES]>().byte_add(4 * first).write_unaligned(pixels) };
    }
    for pixel in whole..row.pixels {
        let mut bytes = [0; IMAGE_LANES];
        for (channel, byte) in bytes.iter_mut().enumerate().take(row.channels) {
            // SAFETY: the caller gives this value of this plane.
            *byte = quantise.byte(unsafe { *from.add(channel * row.plane + pixel) }) as u8;
        }
        // SAFETY: the caller gives this pixel of four bytes.
        unsafe { row.to.cast::<[u8; IMAGE_LANES]>().add(pixel).write_unaligned(bytes) };
    }
}

/// # Safety
///
/// `from` leads to a row of blocks of bytes, `to` to one of blocks of floats.
#[inline(always)]
pub(crate) unsafe fn dequantise_row(row: &RecodeRow) {
    let Quantisation { scale, zero } = row.quantisation;
    for pixel in 0..row.pixels {
        // SAFETY: the caller gives pointers to this pixel.
        unsafe {
            let bytes = row.from.cast::<[u8; LANES]>().add(pixel).read_unaligned();
            let mut values = [0.0; LANES];
            for (value, byte) in values.iter_mut().zip(bytes) {
                *value = (i32::from(byte) - i32::from(zero)) as f32 * scale;
            }
            row.to.cast::<[f32; LANES]>().add(pixel).write_unaligned(values);
        }
    }
}

/// # Safety
///
/// `from` leads to one channel of a row of pixels of four bytes, `to` to a row of floats.
#[inline(always)]
pub(crate) unsafe fn dequantise_image_row(row: &RecodeRow) {
    let Quantisation { scale, zero } = row.quantisation;
    for pixel in 0..row.pixels {
        // SAFETY: the caller gives pointers to this pixel.
        unsafe {
            let byte = *row.from.add(IMAGE_LANES * pixel);
            *row.to.cast::<f32>().add(pixel) = (i32::from(byte) - i32::from(zero)) as f32 * scale;
        }
    }
}

/// From a float to its byte, without a branch, so that the compiler makes vectors of it.
struct Quantise {
    inverse: f32,
    low: f32,
    high: f32,
    zero: i32,
}

impl Quantise {
    fn new(Quantisation { scale, zero }: Quantisation) -> Self {
        let zero_steps = f32::from(zero);
        Self { inverse: scale.recip(), low: -zero_steps, high: 255.0 - zero_steps, zero: i32::from(zero) }
    }

    /// The byte, a NaN's being the lowest.
    #[inline(always)]
    fn byte(&self, value: f32) -> u32 {
        let steps = value * self.inverse;
        let steps = if steps > self.low { steps } else { self.low };
        let steps = if steps < self.high { steps } else { self.high };
        ((steps + ROUNDING).to_bits() as i32 - ROUNDING.to_bits() as i32 + self.zero) as u32
    }
}
