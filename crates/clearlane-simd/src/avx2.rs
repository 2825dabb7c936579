//! AVX2 with FMA, F16C and POPCNT: nearly every x86-64 processor since 2013.

use std::arch::is_x86_feature_detected as has;

use crate::Loops;

/// Proof that this processor has AVX2, FMA, F16C and POPCNT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

impl Avx2 {
    /// The proof, `None` where the processor lacks one of the features.
    #[must_use]
    pub fn new() -> Option<Self> {
        (has!("avx2") && has!("fma") && has!("f16c") && has!("popcnt")).then_some(Self(()))
    }

    /// Does the work with AVX2 instructions.
    #[inline]
    pub fn vectorise<W: Loops>(self, work: W) -> W::Output {
        // SAFETY: `self` proves that the processor has AVX2 and POPCNT.
        unsafe { run(work) }
    }
}

#[target_feature(enable = "avx2,popcnt")]
fn run<W: Loops>(work: W) -> W::Output {
    work.run()
}
