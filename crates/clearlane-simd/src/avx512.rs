//! AVX-512 in the steps in which processors got it.

use std::arch::is_x86_feature_detected as has;

use crate::{Avx2, Loops};

/// Proof that this processor has AVX-512 F, BW, DQ and VL besides what [`Avx2`] proves: Intel servers since 2017, AMD since
/// Zen 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512(Avx2);

/// Proof that this processor has AVX-512 VNNI, which multiplies bytes, besides what [`Avx512`] proves: Intel servers since
/// 2019, AMD since Zen 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512Vnni(Avx512);

/// Proof that this processor has AVX-512 VPOPCNTDQ, which counts bits, besides what [`Avx512Vnni`] proves: Intel since Ice
/// Lake, AMD since Zen 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512IceLake(Avx512Vnni);

impl Avx512 {
    /// The proof, `None` where the processor lacks one of the features.
    #[must_use]
    pub fn new() -> Option<Self> {
        let has = has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
        Avx2::new().filter(|_| has).map(Self)
    }

    /// The proof of AVX2 alone.
    #[must_use]
    pub fn avx2(self) -> Avx2 {
        self.0
    }

    /// Does the work with AVX-512 instructions.
    #[inline]
    pub fn vectorise<W: Loops>(self, work: W) -> W::Output {
        // SAFETY: `self` proves that the processor has AVX-512 F, BW, DQ and VL, and POPCNT.
        unsafe { run(work) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
fn run<W: Loops>(work: W) -> W::Output {
    work.run()
}

impl Avx512Vnni {
    /// The proof, `None` where the processor lacks one of the features.
    #[must_use]
    pub fn new() -> Option<Self> {
        Avx512::new().filter(|_| has!("avx512vnni")).map(Self)
    }

    /// The proof of AVX-512 without VNNI.
    #[must_use]
    pub fn avx512(self) -> Avx512 {
        self.0
    }
}

impl Avx512IceLake {
    /// The proof, `None` where the processor lacks one of the features.
    #[must_use]
    pub fn new() -> Option<Self> {
        Avx512Vnni::new().filter(|_| has!("avx512vpopcntdq")).map(Self)
    }

    /// The proof of AVX-512 without VNNI and VPOPCNTDQ.
    #[must_use]
    pub fn avx512(self) -> Avx512 {
        self.0.avx512()
    }
}
