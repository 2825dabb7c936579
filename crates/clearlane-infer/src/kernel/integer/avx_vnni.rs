//! AVX2 with AVX-VNNI, as processors without AVX-512 have it: one instruction adds four products to each of eight sums.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm_unpackhi_epi8, _mm_unpackhi_epi16, _mm_unpacklo_epi8, _mm_unpacklo_epi16,
    _mm256_dpbusd_avx_epi32, _mm256_loadu_si256, _mm256_set_m128i, _mm256_set1_epi32,
};

use super::avx2::Wide;
use super::quads::Quads;
use crate::kernel::avx2::Avx2Block;

/// The sums of AVX2, with another way to add to them.
#[derive(Clone, Copy)]
pub(crate) struct WideVnni(Wide);

// SAFETY: each method touches what its contract says; the kernels that use it are only handed out by `IntegerKernels` for a
// token that proves that the CPU has the instructions.
unsafe impl Quads for WideVnni {
    type Float = Avx2Block;
    type Bytes = [__m256i; 2];
    type Weights = [__m256i; 2];
    const ACCUMULATORS: usize = 6;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: the caller gives 64 readable bytes, and the CPU has AVX2.
        Self(unsafe { Wide::load(from) })
    }

    #[inline(always)]
    unsafe fn splat(from: *const u8) -> [__m256i; 2] {
        // SAFETY: the caller gives four readable bytes, and the CPU has AVX2.
        unsafe { [_mm256_set1_epi32(from.cast::<i32>().read_unaligned()); 2] }
    }

    #[inline(always)]
    unsafe fn columns(from: *const u8) -> [__m256i; 2] {
        // SAFETY: the caller gives 64 readable bytes, and the CPU has AVX2.
        unsafe {
            let pixel = |index: usize| -> __m128i { _mm_loadu_si128(from.add(16 * index).cast()) };
            let (first, second) = ([pixel(0), pixel(1)], [pixel(2), pixel(3)]);
            let pairs = |[a, b]: [__m128i; 2]| [_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b)];
            let (first, second) = (pairs(first), pairs(second));
            let quads = |a, b| _mm256_set_m128i(_mm_unpackhi_epi16(a, b), _mm_unpacklo_epi16(a, b));
            [quads(first[0], second[0]), quads(first[1], second[1])]
        }
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> [__m256i; 2] {
        // SAFETY: the caller gives 64 readable bytes, and the CPU has AVX2.
        unsafe { [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())] }
    }

    #[inline(always)]
    unsafe fn dot(self, bytes: [__m256i; 2], weights: [__m256i; 2]) -> Self {
        let Self(Wide(low, high)) = self;
        // SAFETY: the CPU has AVX-VNNI.
        unsafe {
            let low = _mm256_dpbusd_avx_epi32(low, bytes[0], weights[0]);
            Self(Wide(low, _mm256_dpbusd_avx_epi32(high, bytes[1], weights[1])))
        }
    }

    #[inline(always)]
    unsafe fn to_float(self) -> Avx2Block {
        // SAFETY: the CPU has AVX2.
        unsafe { self.0.to_float() }
    }

    #[inline(always)]
    unsafe fn widen(from: *const u8) -> Avx2Block {
        // SAFETY: the caller gives 16 readable bytes, and the CPU has AVX2.
        unsafe { Wide::widen(from) }
    }

    #[inline(always)]
    unsafe fn store_bytes(values: Avx2Block, zero: i32, to: *mut u8) {
        // SAFETY: the caller gives 16 writable bytes, and the CPU has AVX2.
        unsafe { Wide::store_bytes(values, zero, to) }
    }
}
