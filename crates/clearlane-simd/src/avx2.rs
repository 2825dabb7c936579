//! AVX2 with FMA and F16C: nearly every x86-64 processor since 2013.

use std::arch::is_x86_feature_detected as has;

use crate::Loops;

/// Proof that this processor has AVX2, FMA and F16C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

impl Avx2 {
    /// The proof, `None` where the processor lacks one of the features.
    #[must_use]
    pub fn new() -> Option<Self> {
        (has!("avx2") && has!("fma") && has!("f16c")).then_some(Self(()))
    }

    /// Does the work with AVX2 instructions.
    #[inline]
    pub fn vectorise<W: Loops>(self, work: W) -> W::Output {
        // SAFETY: `self` proves that the processor has AVX2.
        unsafe { run(work) }
    }
}

#[target_feature(enable = "avx2")]
fn run<W: Loops>(work: W) -> W::Output {
    work.run()
}
