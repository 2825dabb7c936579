//! The integer kernels of each instruction set, behind the token that proves that the CPU has it.

#[cfg(target_arch = "x86_64")]
use clearlane_simd::{Avx2, Avx512, Avx512Vnni, AvxVnni};

use super::dense::{IntegerDenseKernel, IntegerDenseTile, dense_tile};
use super::depthwise::{IntegerDepthwiseKernel, IntegerDepthwiseTile, depthwise_tile};
use super::quads::Quads;
use super::recode::{RecodeKernel, RecodeRow, dequantise_image_row, dequantise_row, quantise_image_row, quantise_row};
use crate::kernel::set::by_pixels;
use crate::kernel::vector::Vector;

/// The integer kernels of one instruction set. Holding them proves that the CPU has the set.
#[derive(Clone, Copy)]
pub(crate) struct IntegerKernels {
    /// How many sums of a block fit in the registers.
    pub(crate) accumulators: usize,
    /// Registers of one of them.
    pub(crate) registers: usize,
    /// The dense kernel for a number of blocks, of pixels, of those of them that lie in the first row, and of bytes between
    /// pixels.
    pub(crate) dense: fn(usize, usize, usize, usize) -> Option<IntegerDenseKernel>,
    /// The depthwise kernel for a number of pixels, of bytes between pixels, and for outputs in pairs or one by one.
    pub(crate) depthwise: fn(usize, usize, bool) -> Option<IntegerDepthwiseKernel>,
    pub(crate) quantise: RecodeKernel,
    pub(crate) quantise_image: RecodeKernel,
    pub(crate) dequantise: RecodeKernel,
    pub(crate) dequantise_image: RecodeKernel,
}

impl IntegerKernels {
    /// With the byte products of AVX-512 VNNI where the CPU has them, otherwise with AVX2.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn avx512(token: Avx512) -> Self {
        Avx512Vnni::new().map_or_else(|| Self::avx2(token.avx2()), avx512::kernels)
    }

    /// With the byte products of AVX-VNNI.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn avx_vnni(token: AvxVnni) -> Self {
        avx_vnni::kernels(token)
    }

    #[cfg(target_arch = "x86_64")]
    pub(crate) fn avx2(token: Avx2) -> Self {
        avx2::kernels(token)
    }

    pub(crate) fn portable() -> Self {
        portable::kernels(())
    }
}

/// The kernels, compiled once for one instruction set.
macro_rules! instruction_set {
    ($module:ident, $quads:ty, $token:ty $(, $feature:meta)?) => {
        mod $module {
            use super::*;

            /// The token proves that the CPU has the set.
            pub(super) fn kernels(_token: $token) -> IntegerKernels {
                IntegerKernels {
                    accumulators: <$quads>::ACCUMULATORS,
                    registers: <<$quads as Quads>::Float as Vector>::REGISTERS,
                    dense: dense_kernel,
                    depthwise: depthwise_kernel,
                    quantise,
                    quantise_image,
                    dequantise,
                    dequantise_image,
                }
            }

            fn dense_kernel(blocks: usize, pixels: usize, first: usize, step: usize) -> Option<IntegerDenseKernel> {
                match (first == pixels, step) {
                    _ if pixels * blocks > <$quads>::ACCUMULATORS => None,
                    (true, 4) => dense_by_blocks::<4>(blocks, pixels),
                    (true, 8) => dense_by_blocks::<8>(blocks, pixels),
                    (true, 16) => dense_by_blocks::<16>(blocks, pixels),
                    (true, 32) => dense_by_blocks::<32>(blocks, pixels),
                    (false, 16) => two_rows::<16>(blocks, pixels, first),
                    (false, 32) => two_rows::<32>(blocks, pixels, first),
                    _ => None,
                }
            }

            fn two_rows<const STEP: usize>(blocks: usize, pixels: usize, first: usize) -> Option<IntegerDenseKernel> {
                match (blocks, pixels, first) {
                    (1, 4, 1) => Some(dense::<1, 4, 1, STEP>),
                    (1, 4, 2) => Some(dense::<1, 4, 2, STEP>),
                    (1, 4, 3) => Some(dense::<1, 4, 3, STEP>),
                    (1, 14, 7) => Some(dense::<1, 14, 7, STEP>),
                    (2, 14, 7) => Some(dense::<2, 14, 7, STEP>),
                    _ => None,
                }
            }

            fn dense_by_blocks<const STEP: usize>(blocks: usize, pixels: usize) -> Option<IntegerDenseKernel> {
                match blocks {
                    1 => by_pixels!(pixels, dense_row, 1; STEP),
                    2 => by_pixels!(pixels, dense_row, 2; STEP),
                    3 => by_pixels!(pixels, dense_row, 3; STEP),
                    _ => None,
                }
            }

            fn depthwise_kernel(pixels: usize, step: usize, pairs: bool) -> Option<IntegerDepthwiseKernel> {
                match (step, pairs) {
                    _ if pixels > <$quads>::ACCUMULATORS => None,
                    (16, true) => by_pixels!(pixels, depthwise; 16, true),
                    (16, false) => by_pixels!(pixels, depthwise; 16, false),
                    (32, false) => by_pixels!(pixels, depthwise; 32, false),
                    _ => None,
                }
            }

            $(#[$feature])?
            unsafe fn dense_row<const B: usize, const P: usize, const STEP: usize>(tile: &IntegerDenseTile<'_>) {
                // SAFETY: the caller keeps the kernel's contract.
                unsafe { dense::<B, P, P, STEP>(tile) }
            }

            $(#[$feature])?
            unsafe fn dense<const B: usize, const P: usize, const W: usize, const STEP: usize>(
                tile: &IntegerDenseTile<'_>,
            ) {
                if const { B * P <= <$quads>::ACCUMULATORS } {
                    // SAFETY: the caller keeps the kernel's contract; the CPU has the set.
                    unsafe { dense_tile::<$quads, B, P, W, STEP>(tile) }
                }
            }

            $(#[$feature])?
            unsafe fn depthwise<const P: usize, const STEP: usize, const PAIRS: bool>(
                tile: &IntegerDepthwiseTile<'_>,
            ) {
                if const { P <= <$quads>::ACCUMULATORS } {
                    // SAFETY: the caller keeps the kernel's contract; the CPU has the set.
                    unsafe { depthwise_tile::<$quads, P, STEP, PAIRS>(tile) }
                }
            }

            $(#[$feature])?
            unsafe fn quantise(row: &RecodeRow) {
                // SAFETY: the caller keeps the kernel's contract.
                unsafe { quantise_row(row) }
            }

            $(#[$feature])?
            unsafe fn quantise_image(row: &RecodeRow) {
                // SAFETY: the caller keeps the kernel's contract.
                unsafe { quantise_image_row(row) }
            }

            $(#[$feature])?
            unsafe fn dequantise_image(row: &RecodeRow) {
                // SAFETY: the caller keeps the kernel's contract.
                unsafe { dequantise_image_row(row) }
            }

            $(#[$feature])?
            unsafe fn dequantise(row: &RecodeRow) {
                // SAFETY: the caller keeps the kernel's contract.
                unsafe { dequantise_row(row) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
instruction_set!(
    avx512,
    super::super::avx512::Vnni,
    Avx512Vnni,
    target_feature(enable = "avx512f,avx512bw,avx512vnni")
);
#[cfg(target_arch = "x86_64")]
instruction_set!(avx_vnni, super::super::avx_vnni::WideVnni, AvxVnni, target_feature(enable = "avx2,avxvnni"));
#[cfg(target_arch = "x86_64")]
instruction_set!(avx2, super::super::avx2::Wide, Avx2, target_feature(enable = "avx2"));
instruction_set!(portable, super::super::portable::Plain, ());
