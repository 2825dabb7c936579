//! Plain Rust compiled for each instruction set, for loops that the compiler vectorises well by itself.

#[cfg(target_arch = "x86_64")]
use super::Isa;
use super::Kernel;

/// Work in plain Rust that a [`Kernel`] does with its widest instructions.
///
/// Mark [`run`](Self::run), and the functions that its loops call, `#[inline(always)]`: what is not inlined keeps the
/// instructions that every processor of the target has. The results are the same with every kernel, bit for bit: the
/// compiler reorders no floating point, and fuses no product with a sum.
pub(crate) trait Loops {
    /// What the work gives.
    type Output;

    /// Does the work.
    fn run(self) -> Self::Output;
}

impl Kernel {
    /// Does the work with this kernel's instructions.
    pub(crate) fn vectorise<W: Loops>(self, work: W) -> W::Output {
        match self.0 {
            // SAFETY: a value of this type proves that the processor has the instructions.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => unsafe { avx512(work) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => unsafe { avx2(work) },
            // What every processor of the target has: on 64-bit Arm, NEON.
            _ => work.run(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn avx512<W: Loops>(work: W) -> W::Output {
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<W: Loops>(work: W) -> W::Output {
    work.run()
}
