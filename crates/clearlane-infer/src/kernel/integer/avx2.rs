//! AVX2: bytes widened to 16 bits, so that no sum of two products saturates; two registers hold sixteen sums.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadl_epi64, _mm_loadu_si128, _mm_packus_epi16, _mm_storeu_si128, _mm_unpackhi_epi8,
    _mm_unpacklo_epi8, _mm256_add_epi32, _mm256_and_si256, _mm256_castsi256_si128, _mm256_cvtepi32_ps,
    _mm256_cvtepu8_epi16, _mm256_cvtepu8_epi32, _mm256_cvtps_epi32, _mm256_extracti128_si256, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_packs_epi32, _mm256_permute4x64_epi64, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_slli_epi16, _mm256_srai_epi16, _mm256_srli_epi16,
};

use super::quads::Quads;
use crate::kernel::avx2::{Avx2Block, Avx2Register};

/// Sums of eight channels, and of the eight after.
#[derive(Clone, Copy)]
pub(crate) struct Wide(pub(super) __m256i, pub(super) __m256i);

/// Of each four values the first and third, and the second and fourth, in 16 bits.
#[derive(Clone, Copy)]
pub(crate) struct Pairs {
    even: __m256i,
    odd: __m256i,
}

// SAFETY: each method touches what its contract says; the kernels that use it are only handed out by `IntegerKernels` for a
// token that proves that the CPU has the instructions.
unsafe impl Quads for Wide {
    type Float = Avx2Block;
    type Bytes = [Pairs; 2];
    type Weights = [Pairs; 2];
    const ACCUMULATORS: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: the caller gives 64 readable bytes, and the CPU has AVX2.
        unsafe { Self(_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(8).cast())) }
    }

    #[inline(always)]
    unsafe fn splat(from: *const u8) -> [Pairs; 2] {
        // SAFETY: the caller gives four readable bytes, and the CPU has AVX2.
        unsafe {
            let bytes = _mm256_set1_epi32(from.cast::<i32>().read_unaligned());
            let even = _mm256_and_si256(bytes, _mm256_set1_epi16(0xFF));
            [Pairs { even, odd: _mm256_srli_epi16(bytes, 8) }; 2]
        }
    }

    #[inline(always)]
    unsafe fn columns(from: *const u8) -> [Pairs; 2] {
        // SAFETY: the caller gives 64 readable bytes, and the CPU has AVX2.
        unsafe {
            let pixel = |index: usize| -> __m128i { _mm_loadu_si128(from.add(16 * index).cast()) };
            let (even, odd) = ([pixel(0), pixel(2)], [pixel(1), pixel(3)]);
            [
                Pairs {
                    even: _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(even[0], even[1])),
                    odd: _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(odd[0], odd[1])),
                },
                Pairs {
                    even: _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(even[0], even[1])),
                    odd: _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(odd[0], odd[1])),
                },
            ]
        }
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> [Pairs; 2] {
        // SAFETY: the caller gives 64 readable bytes, and the CPU has AVX2.
        unsafe { [signed(_mm256_loadu_si256(from.cast())), signed(_mm256_loadu_si256(from.add(32).cast()))] }
    }

    #[inline(always)]
    unsafe fn dot(self, bytes: [Pairs; 2], weights: [Pairs; 2]) -> Self {
        // SAFETY: the CPU has AVX2.
        unsafe { Self(add_products(self.0, bytes[0], weights[0]), add_products(self.1, bytes[1], weights[1])) }
    }

    #[inline(always)]
    unsafe fn to_float(self) -> Avx2Block {
        // SAFETY: the CPU has AVX2.
        unsafe { Avx2Block(Avx2Register(_mm256_cvtepi32_ps(self.0)), Avx2Register(_mm256_cvtepi32_ps(self.1))) }
    }

    #[inline(always)]
    unsafe fn widen(from: *const u8) -> Avx2Block {
        // SAFETY: the caller gives 16 readable bytes, and the CPU has AVX2.
        unsafe {
            let low = _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast()));
            let high = _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.add(8).cast()));
            Avx2Block(Avx2Register(_mm256_cvtepi32_ps(low)), Avx2Register(_mm256_cvtepi32_ps(high)))
        }
    }

    #[inline(always)]
    unsafe fn store_bytes(values: Avx2Block, zero: i32, to: *mut u8) {
        // SAFETY: the caller gives 16 writable bytes, and the CPU has AVX2.
        unsafe {
            let zero = _mm256_set1_epi32(zero);
            let low = _mm256_add_epi32(_mm256_cvtps_epi32(values.0.0), zero);
            let high = _mm256_add_epi32(_mm256_cvtps_epi32(values.1.0), zero);
            // Packing goes lane by lane: the quarters come out as 0, 2, 1, 3.
            let words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0b11_01_10_00);
            let bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
            _mm_storeu_si128(to.cast(), bytes);
        }
    }
}

/// # Safety
///
/// The CPU has AVX2.
#[inline(always)]
unsafe fn signed(bytes: __m256i) -> Pairs {
    // SAFETY: the CPU has AVX2.
    unsafe {
        let even = _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8);
        Pairs { even, odd: _mm256_srai_epi16(bytes, 8) }
    }
}

/// # Safety
///
/// The CPU has AVX2.
#[inline(always)]
unsafe fn add_products(sums: __m256i, bytes: Pairs, weights: Pairs) -> __m256i {
    // SAFETY: the CPU has AVX2.
    unsafe {
        let sums = _mm256_add_epi32(sums, _mm256_madd_epi16(bytes.even, weights.even));
        _mm256_add_epi32(sums, _mm256_madd_epi16(bytes.odd, weights.odd))
    }
}
