//! All instruction sets, by preference.

use std::fmt;

use crate::Loops;
#[cfg(target_arch = "aarch64")]
use crate::Neon;
#[cfg(target_arch = "x86_64")]
use crate::{Avx2, Avx512, AvxVnni};

/// Makes [`Isa`] of a list of tokens, the widest first, each with the targets that have it and its name.
macro_rules! instruction_sets {
    ($($(#[doc = $doc:literal])* #[cfg($only:meta)] $token:ident $name:literal,)*) => {
        /// An instruction set that this processor has: there is no value for one that it has not.
        ///
        /// To test or to measure kernels for less than the processor has, take one of [`Isa::available`] or
        /// [`Isa::by_name`] instead of [`Isa::best`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Isa {
            $($(#[doc = $doc])* #[cfg($only)] $token($token),)*
            /// What every processor of the target has.
            Portable,
        }

        impl Isa {
            /// The names of all instruction sets that there are kernels for, on whatever processor, the widest first.
            pub const NAMES: &'static [&'static str] = &[$($name,)* Self::PORTABLE];

            /// All that this processor has, the widest first; [`Isa::Portable`] is always the last.
            #[must_use]
            pub fn available() -> Vec<Self> {
                let mut all = Vec::new();
                $(#[cfg($only)] all.extend($token::new().map(Self::$token));)*
                all.push(Self::Portable);
                all
            }

            /// The widest that this processor has.
            #[must_use]
            pub fn best() -> Self {
                $(#[cfg($only)] if let Some(token) = $token::new() {
                    return Self::$token(token);
                })*
                Self::Portable
            }

            /// Its name, one of [`Isa::NAMES`].
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(#[cfg($only)] Self::$token(_) => $name,)*
                    Self::Portable => Self::PORTABLE,
                }
            }

            /// Does the work with the instructions of this set.
            #[inline]
            pub fn vectorise<W: Loops>(self, work: W) -> W::Output {
                match self {
                    $(#[cfg($only)] Self::$token(token) => token.vectorise(work),)*
                    Self::Portable => work.run(),
                }
            }
        }
    };
}

instruction_sets! {
    /// AVX-512 F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512 "avx512",
    /// AVX2 with AVX-VNNI.
    #[cfg(target_arch = "x86_64")]
    AvxVnni "avxvnni",
    /// AVX2 with FMA, F16C and POPCNT.
    #[cfg(target_arch = "x86_64")]
    Avx2 "avx2",
    /// Advanced SIMD of 64-bit Arm.
    #[cfg(target_arch = "aarch64")]
    Neon "neon",
}

impl Isa {
    const PORTABLE: &'static str = "portable";

    /// The instruction set of this name; `None` where the processor has none of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::available().into_iter().find(|isa| isa.name() == name)
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
