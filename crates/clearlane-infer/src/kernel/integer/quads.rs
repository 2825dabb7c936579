//! The sixteen sums that integer kernels compute with, each of products four at a time.

use crate::kernel::vector::Vector;

/// Sixteen 32-bit sums, in the registers of one instruction set, of products of an unsigned and a signed byte.
///
/// # Safety
///
/// Every method may use instructions of its set: callers run only where a token of `clearlane_simd` proves that the CPU has
/// them. Pointers may be unaligned, and have to lead to as much as the method says.
pub(crate) unsafe trait Quads: Copy {
    /// The same instruction set's floats.
    type Float: Vector;
    /// Four unsigned bytes for each sum.
    type Bytes: Copy;
    /// Four signed bytes for each sum.
    type Weights: Copy;
    /// Sums of a block that fit in the registers together with their operands.
    const ACCUMULATORS: usize;

    /// Sixteen sums from 64 bytes.
    unsafe fn load(from: *const i32) -> Self;
    /// The same four bytes for all sums.
    unsafe fn splat(from: *const u8) -> Self::Bytes;
    /// Of four neighbouring pixels, 64 bytes, the four values of each channel.
    unsafe fn columns(from: *const u8) -> Self::Bytes;
    /// Weights from 64 bytes, the four of the first sum first.
    unsafe fn weights(from: *const i8) -> Self::Weights;
    /// Adds the four products of each sum, exactly.
    unsafe fn dot(self, bytes: Self::Bytes, weights: Self::Weights) -> Self;
    /// The sums as floats, rounded half to even.
    unsafe fn to_float(self) -> Self::Float;
    /// Sixteen bytes as floats.
    unsafe fn widen(from: *const u8) -> Self::Float;
    /// Stores 16 bytes: `zero` plus each value, rounded half to even, all of which lie within 0 to 255.
    unsafe fn store_bytes(values: Self::Float, zero: i32, to: *mut u8);
}
