//! Advanced SIMD of 64-bit Arm, which all processors have that run an operating system.

use std::arch::is_aarch64_feature_detected;

use crate::Loops;

/// Proof that this processor has Advanced SIMD, and keeps the lowest byte of a value first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neon(());

impl Neon {
    /// The proof, `None` where the processor lacks the feature or keeps the highest byte first.
    #[must_use]
    pub fn new() -> Option<Self> {
        (cfg!(target_endian = "little") && is_aarch64_feature_detected!("neon")).then_some(Self(()))
    }

    /// Does the work with Advanced SIMD instructions: the target's own.
    #[inline]
    pub fn vectorise<W: Loops>(self, work: W) -> W::Output {
        work.run()
    }
}
