//! AVX2 with AVX-VNNI: products of bytes on x86-64 processors without AVX-512, since 2021.

use std::arch::is_x86_feature_detected as has;

use crate::{Avx2, Loops};

/// Proof that this processor has AVX-VNNI besides what [`Avx2`] proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvxVnni(Avx2);

impl AvxVnni {
    /// The proof, `None` where the processor lacks one of the features.
    #[must_use]
    pub fn new() -> Option<Self> {
        Avx2::new().filter(|_| has!("avxvnni")).map(Self)
    }

    /// The proof of AVX2 alone.
    #[must_use]
    pub fn avx2(self) -> Avx2 {
        self.0
    }

    /// Does the work with AVX2 instructions: the compiler makes nothing of AVX-VNNI by itself.
    #[inline]
    pub fn vectorise<W: Loops>(self, work: W) -> W::Output {
        self.0.vectorise(work)
    }
}
