//! Plain arrays, which the compiler compiles to what every CPU of the target has.

use super::ROUNDING;
use super::quads::Quads;
use crate::kernel::portable::PortableBlock;
use crate::kernel::vector::LANES;

#[derive(Clone, Copy)]
pub(crate) struct Plain([i32; LANES]);

// SAFETY: each method touches what its contract says and uses no instruction beyond the target's own.
unsafe impl Quads for Plain {
    type Float = PortableBlock;
    type Bytes = [[u8; 4]; LANES];
    type Weights = [[i8; 4]; LANES];
    const ACCUMULATORS: usize = 2;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: the caller gives 64 readable bytes.
        Self(unsafe { from.cast::<[i32; LANES]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn splat(from: *const u8) -> [[u8; 4]; LANES] {
        // SAFETY: the caller gives four readable bytes.
        [unsafe { from.cast::<[u8; 4]>().read_unaligned() }; LANES]
    }

    #[inline(always)]
    unsafe fn columns(from: *const u8) -> [[u8; 4]; LANES] {
        // SAFETY: the caller gives 64 readable bytes.
        let pixels = unsafe { from.cast::<[[u8; LANES]; 4]>().read_unaligned() };
        std::array::from_fn(|channel| std::array::from_fn(|pixel| pixels[pixel][channel]))
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> [[i8; 4]; LANES] {
        // SAFETY: the caller gives 64 readable bytes.
        unsafe { from.cast::<[[i8; 4]; LANES]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn dot(self, bytes: [[u8; 4]; LANES], weights: [[i8; 4]; LANES]) -> Self {
        let product = |lane: usize, at: usize| i32::from(bytes[lane][at]) * i32::from(weights[lane][at]);
        let four = |lane: usize| product(lane, 0) + product(lane, 1) + product(lane, 2) + product(lane, 3);
        Self(std::array::from_fn(|lane| self.0[lane].wrapping_add(four(lane))))
    }

    #[inline(always)]
    unsafe fn to_float(self) -> PortableBlock {
        PortableBlock(self.0.map(|sum| sum as f32))
    }

    #[inline(always)]
    unsafe fn widen(from: *const u8) -> PortableBlock {
        // SAFETY: the caller gives 16 readable bytes.
        PortableBlock(unsafe { from.cast::<[u8; LANES]>().read_unaligned() }.map(f32::from))
    }

    #[inline(always)]
    unsafe fn store_bytes(values: PortableBlock, zero: i32, to: *mut u8) {
        let steps = values.0.map(|value| (value + ROUNDING).to_bits() as i32 - ROUNDING.to_bits() as i32 + zero);
        // SAFETY: the caller gives 16 writable bytes.
        unsafe { to.cast::<[u8; LANES]>().write_unaligned(steps.map(|step| step as u8)) };
    }
}
