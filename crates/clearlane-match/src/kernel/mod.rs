//! The code that touches bytes: one file for each instruction set, behind safe functions. All `unsafe` of the crate is here.
//!
//! Every kernel gives the same numbers, bit for bit: scans count in integers, and scores are summed in [`LANES`] lanes of
//! fused multiply-adds that are then folded in one order (see [`portable`]). simsimd's sums depend on the instruction set, and
//! take longer: the bench `rows` compares them.
#![allow(unsafe_code)]

mod append;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bandwidth;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod prefetch;
mod row_count;
mod scan;
#[cfg(test)]
mod tests;

use std::fmt;

#[cfg(target_arch = "aarch64")]
use clearlane_simd::Neon;
#[cfg(target_arch = "x86_64")]
use clearlane_simd::{Avx2, Avx512IceLake};
use clearlane_simd::{Isa, Loops};
use half::f16;

pub(crate) use append::{AppendBuffer, Step};
pub use bandwidth::read_bandwidth;
pub(crate) use prefetch::prefetch;
pub(crate) use row_count::{Appending, RowCount};
pub(crate) use scan::{BLOCK, LevelProbe, PLANES, PlaneProbe, Survivor};

/// How many partial sums a comparison score has.
pub(crate) const LANES: usize = 64;

/// How many roundings, one after the other, a term of a comparison score goes through at most: the multiply-adds of its
/// lane, six sums of lanes, and the factor of integer rows.
pub(crate) const fn score_roundings(dimension: usize) -> usize {
    dimension.div_ceil(LANES) + 6 + 1
}

/// Stored vectors, one after the other, in the precision that they are stored in.
#[derive(Clone, Copy)]
pub(crate) enum RowSlice<'a> {
    F32(&'a [f32]),
    F16(&'a [f16]),
    I8(&'a [i8]),
}

/// A set of search kernels that this processor can run: no value of this type exists for one that it cannot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kernel(Token);

/// The proof of what a kernel's instructions need.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512IceLake),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    Portable,
}

macro_rules! dispatch {
    ($kernel:expr, $function:ident($($argument:expr),*)) => {
        match $kernel.0 {
            // SAFETY: the token proves that the processor has the features.
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(_) => unsafe { avx512::$function($($argument),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) => unsafe { avx2::$function($($argument),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Token::Neon(_) => unsafe { neon::$function($($argument),*) },
            Token::Portable => portable::$function($($argument),*),
        }
    };
}

impl Kernel {
    /// The kernels that this processor can run, fastest first. The portable one is always among them.
    #[must_use]
    pub fn available() -> Vec<Self> {
        Isa::available().into_iter().filter_map(Self::of).collect()
    }

    /// The kernels for an instruction set, if it has some of its own and the processor has all that they need.
    fn of(isa: Isa) -> Option<Self> {
        let token = match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => Token::Avx512(Avx512IceLake::new()?),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(token) => Token::Avx2(token),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(token) => Token::Neon(token),
            Isa::Portable => Token::Portable,
            _ => return None,
        };
        Some(Self(token))
    }

    /// The instruction set that the kernels are for.
    fn isa(self) -> Isa {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(token) => Isa::Avx512(token.avx512()),
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(token) => Isa::Avx2(token),
            #[cfg(target_arch = "aarch64")]
            Token::Neon(token) => Isa::Neon(token),
            Token::Portable => Isa::Portable,
        }
    }

    /// How many bytes of a one-bit code stand together in a block: see [`Layout`](crate::codes::Layout). AVX-512 and plain Rust
    /// count bits in words; AVX2 and NEON look half bytes up in tables, since they have no instruction that counts in words.
    pub(crate) fn unit(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(_) => 8,
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) => 1,
            #[cfg(target_arch = "aarch64")]
            Token::Neon(_) => 1,
            Token::Portable => 8,
        }
    }

    /// The fastest kernel that this processor can run.
    #[must_use]
    pub fn best() -> Self {
        Self::available().first().copied().unwrap_or(Self(Token::Portable))
    }

    /// The kernel of this name (`avx512`, `avx2`, `neon`, `portable`), if the processor can run it.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::available().into_iter().find(|kernel| kernel.name() == name)
    }

    /// The kernel's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.isa().name()
    }

    /// Does the work with the instructions of the kernels' set.
    #[inline]
    pub(crate) fn vectorise<W: Loops>(self, work: W) -> W::Output {
        self.isa().vectorise(work)
    }

    /// The scores of `probe` with each of the rows: `rows` holds `scores.len()` rows of `probe.len()` values.
    pub(crate) fn score_rows(self, probe: &[f32], rows: RowSlice<'_>, scores: &mut [f32]) {
        match rows {
            RowSlice::F32(rows) => dispatch!(self, score_f32(probe, rows, scores)),
            RowSlice::F16(rows) => dispatch!(self, score_f16(probe, rows, scores)),
            RowSlice::I8(rows) => dispatch!(self, score_i8(probe, rows, scores)),
        }
    }

    /// Scans blocks of one-bit codes, and adds those whose product with the probe reaches their block's threshold to the
    /// survivors, in order, numbered from 0.
    pub(crate) fn scan_planes(
        self,
        probe: &PlaneProbe,
        blocks: &[u8],
        thresholds: &[i32],
        survivors: &mut Vec<Survivor>,
    ) {
        dispatch!(self, scan_planes(probe, blocks, thresholds, survivors));
    }

    /// Scans blocks of codes of two or four bits; otherwise as [`Self::scan_planes`].
    pub(crate) fn scan_levels(
        self,
        probe: &LevelProbe,
        blocks: &[u8],
        thresholds: &[i32],
        survivors: &mut Vec<Survivor>,
    ) {
        dispatch!(self, scan_levels(probe, blocks, thresholds, survivors));
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernel({})", self.name())
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
