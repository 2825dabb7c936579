//! Plain Rust compiled for each instruction set, for loops that the compiler vectorises well by itself.

use crate::Isa;

/// Work in plain Rust that [`Isa::vectorise`] does with the instructions of one set.
///
/// Mark [`run`](Self::run), and the functions that its loops call, `#[inline(always)]`: what is not inlined keeps the
/// instructions that every processor of the target has. The results are the same with every instruction set, bit for bit:
/// the compiler reorders no floating point, and fuses no product with a sum.
pub trait Loops {
    /// What the work gives.
    type Output;

    /// Does the work.
    fn run(self) -> Self::Output;
}

/// Does the work with the widest instructions that this processor has.
#[inline]
pub fn vectorised<W: Loops>(work: W) -> W::Output {
    Isa::best().vectorise(work)
}
