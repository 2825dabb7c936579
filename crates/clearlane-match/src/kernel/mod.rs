//! The code that touches bytes: one file for each instruction set, behind safe functions. All `unsafe` of the crate is here.
//!
//! Every kernel gives the same numbers, bit for bit: scans count in integers, and scores are summed in [`LANES`] lanes of
//! fused multiply-adds that are then folded in one order (see [`portable`]). simsimd's sums depend on the instruction set, and
//! take longer: the bench `rows` sets them beside these.
#![allow(unsafe_code)]

mod append;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bandwidth;
mod loops;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pages;
mod portable;
mod prefetch;
mod scan;
#[cfg(test)]
mod tests;

use std::fmt;

use half::f16;

pub(crate) use append::{AppendBuffer, Appending, RowCount, Step};
pub use bandwidth::read_bandwidth;
pub(crate) use loops::Loops;
pub(crate) use prefetch::prefetch;
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

/// A set of search kernels that this processor can run: there is no value of this type for one that it cannot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kernel(Isa);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
    Portable,
}

macro_rules! dispatch {
    ($kernel:expr, $function:ident($($argument:expr),*)) => {
        match $kernel.0 {
            // SAFETY: a value of this type proves that the processor has the features.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => unsafe { avx512::$function($($argument),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => unsafe { avx2::$function($($argument),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(_) => unsafe { neon::$function($($argument),*) },
            Isa::Portable => portable::$function($($argument),*),
        }
    };
}

impl Kernel {
    /// The kernels that this processor can run, fastest first. The portable one is always among them.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut kernels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            kernels.extend(avx512::Avx512::new().map(Isa::Avx512));
            kernels.extend(avx2::Avx2::new().map(Isa::Avx2));
        }
        #[cfg(target_arch = "aarch64")]
        kernels.extend(neon::Neon::new().map(Isa::Neon));
        kernels.push(Isa::Portable);
        kernels.into_iter().map(Self).collect()
    }

    /// The fastest kernel that this processor can run.
    #[must_use]
    pub fn best() -> Self {
        Self::available().first().copied().unwrap_or(Self(Isa::Portable))
    }

    /// The kernel of this name (`avx512`, `avx2`, `neon`, `portable`), if the processor can run it.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::available().into_iter().find(|kernel| kernel.name() == name)
    }

    /// The kernel's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(_) => "neon",
            Isa::Portable => "portable",
        }
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
