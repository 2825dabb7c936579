//! The 16 floats that every kernel computes with: the lanes of one channel block.

/// Channels in a block, and lanes of a [`Vector`].
pub(crate) const LANES: usize = 16;

/// Sixteen 32-bit floats in the registers of one instruction set, or those of them that one register holds.
///
/// # Safety
///
/// Every method may use instructions of its set: callers run only where a token of `clearlane_simd` proves that the CPU has
/// them. A method that takes a pointer reads or writes [`LANES`] floats there (one for `splat_at`), or as many as one register
/// holds, aligned or not.
pub(crate) unsafe trait Vector: Copy {
    /// One register of a block, for kernels that take a block's registers one after the other.
    type Register: Vector;
    /// Registers that hold the sixteen.
    const REGISTERS: usize;
    /// Accumulators that fit in the registers together with their operands.
    const ACCUMULATORS: usize;
    /// Rows and pixels of a tile of a 3 x 3 depthwise convolution, whose sums of one register each fit in the registers together
    /// with its weights: three of them for one row, all nine for two. None where registers are few.
    const DEPTHWISE: [usize; 2];

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
