//! The kernels of each instruction set, behind the token that proves that the CPU has it.

use clearlane_simd::Isa;
#[cfg(target_arch = "aarch64")]
use clearlane_simd::Neon;
#[cfg(target_arch = "x86_64")]
use clearlane_simd::{Avx2, Avx512};

use super::dense::{DenseKernel, DenseTile, dense_tile};
use super::depthwise::{DepthwiseKernel, DepthwiseTile, depthwise_three, depthwise_tile};
use super::integer::set::IntegerKernels;
use super::product::{ProductKernel, ProductTile, product_tile};
use super::rowwise::{CombineKernel, CombineRow, PoolKernel, PoolRow, combine_row, pool_row};
use super::vector::{LANES, Vector};
use super::winograd::{TileInputKernel, TileInputRow, TileOutputKernel, TileOutputRow, tile_input, tile_output};

/// The kernels of one instruction set. Holding them proves that the CPU has the set.
#[derive(Clone, Copy)]
pub(crate) struct KernelSet {
    /// The instruction set, for loops that the compiler vectorises.
    pub(crate) isa: Isa,
    /// How many sums of a block fit in the registers.
    pub(crate) accumulators: usize,
    /// Registers of one of them.
    pub(crate) registers: usize,
    /// The dense kernel for a number of blocks, of pixels, of those of them that lie in the first row, and of floats between
    /// pixels.
    pub(crate) dense: fn(usize, usize, usize, usize) -> Option<DenseKernel>,
    /// The depthwise kernel for a number of pixels, and of floats between pixels.
    pub(crate) depthwise: fn(usize, usize) -> Option<DepthwiseKernel>,
    /// Rows of a tile of a 3 x 3 depthwise convolution with stride 1, and the most pixels of each.
    pub(crate) depthwise_three: [usize; 2],
    /// The kernel of such a tile for a number of pixels.
    pub(crate) depthwise_three_kernel: fn(usize) -> Option<DepthwiseKernel>,
    /// The kernel of a product of lists for a number of rows.
    pub(crate) product: fn(usize) -> Option<ProductKernel>,
    pub(crate) tile_input: TileInputKernel,
    pub(crate) tile_output: TileOutputKernel,
    pub(crate) combine: CombineKernel,
    pub(crate) pool: PoolKernel,
    /// The kernels for quantised tensors.
    pub(crate) integer: IntegerKernels,
    /// Multiplies and adds in registers alone, for so many rounds.
    peak: unsafe fn(usize) -> f32,
    peak_sums: usize,
}

impl KernelSet {
    /// The kernels for an instruction set.
    pub(crate) fn of(isa: Isa) -> Self {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(token) => avx512::kernels(token, isa, IntegerKernels::avx512(token)),
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni(token) => avx2::kernels(token.avx2(), isa, IntegerKernels::avx_vnni(token)),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(token) => avx2::kernels(token, isa, IntegerKernels::avx2(token)),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(token) => neon::kernels(token, isa, IntegerKernels::portable()),
            _ => portable::kernels((), isa, IntegerKernels::portable()),
        }
    }

    /// Multiplies and adds for so many rounds; gives how many operations that were.
    pub(crate) fn multiply_add(&self, rounds: usize) -> usize {
        // SAFETY: `KernelSet::of` was given the token of the instruction set.
        std::hint::black_box(unsafe { (self.peak)(rounds) });
        2 * rounds * self.peak_sums * LANES
    }
}

/// Picks an instance of a kernel by its numbers of pixels.
macro_rules! by_pixels {
    ($pixels:expr, $instance:ident $(, $before:tt)* ; $($after:tt),*) => {
        match $pixels {
            1 => Some($instance::<$($before,)* 1, $($after),*>),
            2 => Some($instance::<$($before,)* 2, $($after),*>),
            3 => Some($instance::<$($before,)* 3, $($after),*>),
            4 => Some($instance::<$($before,)* 4, $($after),*>),
            5 => Some($instance::<$($before,)* 5, $($after),*>),
            6 => Some($instance::<$($before,)* 6, $($after),*>),
            7 => Some($instance::<$($before,)* 7, $($after),*>),
            8 => Some($instance::<$($before,)* 8, $($after),*>),
            9 => Some($instance::<$($before,)* 9, $($after),*>),
            10 => Some($instance::<$($before,)* 10, $($after),*>),
            12 => Some($instance::<$($before,)* 12, $($after),*>),
            14 => Some($instance::<$($before,)* 14, $($after),*>),
            _ => None,
        }
    };
}
pub(crate) use by_pixels;

/// The kernels, compiled once for one instruction set.
macro_rules! instruction_set {
    ($module:ident, $vector:ty, $token:ty $(, $feature:meta)?) => {
        mod $module {
            use super::*;

            /// Independent sums, enough to keep the multipliers busy whatever their latency.
            const PEAK_SUMS: usize = if <$vector>::ACCUMULATORS < 12 { <$vector>::ACCUMULATORS } else { 12 };

            /// The token proves that the CPU has the set.
            pub(super) fn kernels(_token: $token, isa: Isa, integer: IntegerKernels) -> KernelSet {
                KernelSet {
                    isa,
                    accumulators: <$vector>::ACCUMULATORS,
                    registers: <$vector>::REGISTERS,
                    dense: dense_kernel,
                    depthwise: depthwise_kernel,
                    depthwise_three: <$vector>::DEPTHWISE,
                    depthwise_three_kernel,
                    product: product_kernel,
                    tile_input: tiles_in,
                    tile_output: tiles_out,
                    combine,
                    pool,
                    integer,
                    peak,
                    peak_sums: PEAK_SUMS,
                }
            }

            fn dense_kernel(blocks: usize, pixels: usize, first: usize, step: usize) -> Option<DenseKernel> {
                match (first == pixels, step) {
                    _ if pixels * blocks > <$vector>::ACCUMULATORS => None,
                    (true, 1) => dense_by_blocks::<1>(blocks, pixels),
                    (true, 2) => dense_by_blocks::<2>(blocks, pixels),
                    (true, 16) => dense_by_blocks::<16>(blocks, pixels),
                    (true, 32) => dense_by_blocks::<32>(blocks, pixels),
                    (false, 16) => two_rows::<16>(blocks, pixels, first),
                    (false, 32) => two_rows::<32>(blocks, pixels, first),
                    _ => None,
                }
            }

            fn two_rows<const STEP: usize>(blocks: usize, pixels: usize, first: usize) -> Option<DenseKernel> {
                match (blocks, pixels, first) {
                    (1, 4, 1) => Some(dense::<1, 4, 1, STEP>),
                    (1, 4, 2) => Some(dense::<1, 4, 2, STEP>),
                    (1, 4, 3) => Some(dense::<1, 4, 3, STEP>),
                    (1, 5, 1) => Some(dense::<1, 5, 1, STEP>),
                    (1, 5, 2) => Some(dense::<1, 5, 2, STEP>),
                    (1, 5, 3) => Some(dense::<1, 5, 3, STEP>),
                    (1, 5, 4) => Some(dense::<1, 5, 4, STEP>),
                    (1, 6, 1) => Some(dense::<1, 6, 1, STEP>),
                    (1, 6, 2) => Some(dense::<1, 6, 2, STEP>),
                    (1, 6, 3) => Some(dense::<1, 6, 3, STEP>),
                    (1, 6, 4) => Some(dense::<1, 6, 4, STEP>),
                    (1, 6, 5) => Some(dense::<1, 6, 5, STEP>),
                    (1, 8, 4) => Some(dense::<1, 8, 4, STEP>),
                    (1, 10, 5) => Some(dense::<1, 10, 5, STEP>),
                    (1, 14, 7) => Some(dense::<1, 14, 7, STEP>),
                    (2, 6, 3) => Some(dense::<2, 6, 3, STEP>),
                    (2, 8, 4) => Some(dense::<2, 8, 4, STEP>),
                    (2, 10, 5) => Some(dense::<2, 10, 5, STEP>),
                    (2, 14, 7) => Some(dense::<2, 14, 7, STEP>),
                    _ => None,
                }
            }

            fn dense_by_blocks<const STEP: usize>(blocks: usize, pixels: usize) -> Option<DenseKernel> {
                match blocks {
                    1 => by_pixels!(pixels, dense_row, 1; STEP),
                    2 => by_pixels!(pixels, dense_row, 2; STEP),
                    3 => by_pixels!(pixels, dense_row, 3; STEP),
                    _ => None,
                }
            }

            fn depthwise_kernel(pixels: usize, step: usize) -> Option<DepthwiseKernel> {
                match step {
                    _ if pixels > <$vector>::ACCUMULATORS => None,
                    16 => by_pixels!(pixels, depthwise; 16),
                    32 => by_pixels!(pixels, depthwise; 32),
                    _ => None,
                }
            }

            fn depthwise_three_kernel(pixels: usize) -> Option<DepthwiseKernel> {
                match pixels {
                    _ if pixels > <$vector>::DEPTHWISE[1] => None,
                    _ => by_pixels!(pixels, three; ),
                }
            }

            fn product_kernel(rows: usize) -> Option<ProductKernel> {
                match rows {
                    _ if rows > <$vector>::ACCUMULATORS => None,
                    1 => Some(product::<1>),
                    2 => Some(product::<2>),
                    3 => Some(product::<3>),
                    4 => Some(product::<4>),
                    5 => Some(product::<5>),
                    6 => Some(product::<6>),
                    7 => Some(product::<7>),
                    8 => Some(product::<8>),
                    _ => None,
                }
            }

            $(#[$feature])?
            unsafe fn product<const P: usize>(tile: &ProductTile) {
                if const { P <= <$vector>::ACCUMULATORS } {
                    // SAFETY: the caller keeps the kernel's contract; the CPU has the set.
                    unsafe { product_tile::<$vector, P>(tile) }
                }
            }

            $(#[$feature])?
            unsafe fn dense_row<const B: usize, const P: usize, const STEP: usize>(tile: &DenseTile<'_>) {
                // SAFETY: the caller keeps the kernel's contract.
                unsafe { dense::<B, P, P, STEP>(tile) }
            }

            $(#[$feature])?
            unsafe fn dense<const B: usize, const P: usize, const W: usize, const STEP: usize>(tile: &DenseTile<'_>) {
                if const { B * P <= <$vector>::ACCUMULATORS } {
                    // SAFETY: the caller keeps the kernel's contract; the CPU has the set.
                    unsafe { dense_tile::<$vector, B, P, W, STEP>(tile) }
                }
            }

            $(#[$feature])?
            unsafe fn depthwise<const P: usize, const STEP: usize>(tile: &DepthwiseTile<'_>) {
                if const { P <= <$vector>::ACCUMULATORS } {
                    // SAFETY: the caller keeps the kernel's contract; the CPU has the set.
                    unsafe { depthwise_tile::<$vector, P, STEP>(tile) }
                }
            }

            $(#[$feature])?
            unsafe fn three<const P: usize>(tile: &DepthwiseTile<'_>) {
                if const { P <= <$vector>::DEPTHWISE[1] } {
                    // SAFETY: the caller keeps the kernel's contract; the CPU has the set.
                    unsafe { depthwise_three::<$vector, P>(tile) }
                }
            }

            $(#[$feature])?
            unsafe fn peak(rounds: usize) -> f32 {
                // SAFETY: the CPU has the set.
                unsafe { multiply_add::<$vector, PEAK_SUMS>(rounds) }
            }

            $(#[$feature])?
            unsafe fn tiles_in(row: &TileInputRow) {
                // SAFETY: the caller keeps the kernel's contract; the CPU has the set.
                unsafe { tile_input::<$vector>(row) }
            }

            $(#[$feature])?
            unsafe fn tiles_out(row: &TileOutputRow) {
                // SAFETY: the caller keeps the kernel's contract; the CPU has the set.
                unsafe { tile_output::<$vector>(row) }
            }

            $(#[$feature])?
            unsafe fn combine(row: &CombineRow) {
                // SAFETY: the caller keeps the kernel's contract; the CPU has the set.
                unsafe { combine_row::<$vector>(row) }
            }

            $(#[$feature])?
            unsafe fn pool(row: &PoolRow<'_>) {
                // SAFETY: the caller keeps the kernel's contract; the CPU has the set.
                unsafe { pool_row::<$vector>(row) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
instruction_set!(avx512, crate::kernel::avx512::Avx512Block, Avx512, target_feature(enable = "avx512f"));
#[cfg(target_arch = "x86_64")]
instruction_set!(avx2, crate::kernel::avx2::Avx2Block, Avx2, target_feature(enable = "avx2,fma"));
#[cfg(target_arch = "aarch64")]
instruction_set!(neon, crate::kernel::neon::NeonBlock, Neon, target_feature(enable = "neon"));
instruction_set!(portable, crate::kernel::portable::PortableBlock, ());

/// # Safety
///
/// As for [`Vector`].
#[inline(always)]
unsafe fn multiply_add<V: Vector, const N: usize>(rounds: usize) -> f32 {
    // SAFETY: only registers and a local array are touched.
    unsafe {
        // Values that the compiler cannot know, or it would do the work itself.
        let (factor, addend) = (V::splat(std::hint::black_box(0.999)), V::splat(std::hint::black_box(0.001)));
        let mut sums = [V::splat(0.0); N];
        for sum in &mut sums {
            *sum = V::splat(std::hint::black_box(1.0));
        }
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = sum.mul_add(factor, addend);
            }
        }
        let mut total = sums[0];
        for sum in &sums[1..] {
            total = total.add(*sum);
        }
        let mut lanes = [0.0; LANES];
        total.store(lanes.as_mut_ptr());
        lanes.iter().sum()
    }
}
