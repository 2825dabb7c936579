//! The 16 floats that every kernel computes with: the lanes of one channel block.

/// Channels in a block, and lanes of a [`Vector`].
pub(crate) const LANES: usize = 16;

/// Sixteen 32-bit floats in the registers of one instruction set.
///
/// # Safety
///
/// Every method may use instructions of its set: callers run only where a token of `clearlane_simd` proves that the CPU has
/// them. A method that takes a pointer reads or writes [`LANES`] floats there (one for `splat_at`), aligned or not.
pub(crate) unsafe trait Vector: Copy {
    /// Registers that hold the sixteen.
    const REGISTERS: usize;
    /// Accumulators that fit in the registers together with their operands.
    const ACCUMULATORS: usize;

    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn splat(value: f32) -> Self;
    unsafe fn splat_at(from: *const f32) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// `self * factor + addend`.
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    unsafe fn min(self, other: Self) -> Self;
}
