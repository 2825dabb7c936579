//! Convolutions of quantised tensors: products of UINT8 values and INT8 weights, summed exactly in 32 bits.
//!
//! One algorithm an operator, generic over [`quads::Quads`], as the operators on floats are over
//! [`Vector`](super::vector::Vector). Sums are exact, and the [`epilogue`] that requantises them multiplies, adds and
//! rounds step by step in single precision, so that every instruction set gives the same bytes.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
pub(crate) mod dense;
pub(crate) mod depthwise;
pub(crate) mod epilogue;
mod portable;
mod quads;
pub(crate) mod recode;
pub(crate) mod set;

pub(crate) use epilogue::{Addend, Rescale};

/// What the values of a quantised tensor stand for: `(byte - zero) * scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quantisation {
    pub(crate) scale: f32,
    pub(crate) zero: u8,
}

impl Quantisation {
    /// How far the byte for a value lies from `zero`, in whole steps.
    fn steps(self, value: f32) -> f32 {
        let zero = f32::from(self.zero);
        (value / self.scale).round_ties_even().clamp(-zero, 255.0 - zero)
    }
}

/// Added to a float of less than 2^22, it leaves no place for a fraction: the sum is rounded to a whole number, half to
/// even.
const ROUNDING: f32 = 12_582_912.0;

/// Sixteen groups of four signed bytes, on a cache line of their own: the weights of 16 output channels for 4 values.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct QuadBlock([[i8; 4]; super::vector::LANES]);

/// Sixteen sums.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct SumBlock([i32; super::vector::LANES]);

/// A number an output channel in blocks, the last one filled up with zeros.
fn sum_blocks(values: &[i32]) -> Vec<SumBlock> {
    let chunk = |chunk: &[i32]| SumBlock(std::array::from_fn(|lane| chunk.get(lane).copied().unwrap_or_default()));
    values.chunks(super::vector::LANES).map(chunk).collect()
}
