//! AVX-512 with VNNI: one instruction adds four products to each of sixteen sums.

use std::arch::x86_64::{
    __m512i, _mm_loadu_si128, _mm_storeu_si128, _mm512_add_epi32, _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps,
    _mm512_cvtepu8_epi32, _mm512_cvtps_epi32, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_permutexvar_epi32,
    _mm512_set1_epi32, _mm512_set4_epi32, _mm512_setr_epi32, _mm512_shuffle_epi8,
};

use super::quads::Quads;
use crate::kernel::avx512::Avx512Block;

#[derive(Clone, Copy)]
pub(crate) struct Vnni(__m512i);

// SAFETY: each method touches what its contract says; the kernels that use it are only handed out by `IntegerKernels` for a
// token that proves that the CPU has the instructions.
unsafe impl Quads for Vnni {
    type Float = Avx512Block;
    type Bytes = __m512i;
    type Weights = __m512i;
    const ACCUMULATORS: usize = 28;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: the caller gives 64 readable bytes, and the CPU has AVX-512.
        Self(unsafe { _mm512_loadu_si512(from.cast()) })
    }

    #[inline(always)]
    unsafe fn splat(from: *const u8) -> __m512i {
        // SAFETY: the caller gives four readable bytes, and the CPU has AVX-512.
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn columns(from: *const u8) -> __m512i {
        // SAFETY: the caller gives 64 readable bytes, and the CPU has AVX-512 with BW.
        unsafe {
            let pixels = _mm512_loadu_si512(from.cast());
            // A 128-bit lane for four channels of all pixels, then within each lane the pixels of each channel.
            let by_channels = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let lanes = _mm512_permutexvar_epi32(by_channels, pixels);
            _mm512_shuffle_epi8(lanes, _mm512_set4_epi32(0x0F0B_0703, 0x0E0A_0602, 0x0D09_0501, 0x0C08_0400))
        }
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> __m512i {
        // SAFETY: the caller gives 64 readable bytes, and the CPU has AVX-512.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn dot(self, bytes: __m512i, weights: __m512i) -> Self {
        // SAFETY: the CPU has AVX-512 VNNI.
        Self(unsafe { _mm512_dpbusd_epi32(self.0, bytes, weights) })
    }

    #[inline(always)]
    unsafe fn to_float(self) -> Avx512Block {
        // SAFETY: the CPU has AVX-512.
        Avx512Block(unsafe { _mm512_cvtepi32_ps(self.0) })
    }

    #[inline(always)]
    unsafe fn widen(from: *const u8) -> Avx512Block {
        // SAFETY: the caller gives 16 readable bytes, and the CPU has AVX-512.
        Avx512Block(unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast()))) })
    }

    #[inline(always)]
    unsafe fn store_bytes(values: Avx512Block, zero: i32, to: *mut u8) {
        // SAFETY: the caller gives 16 writable bytes, and the CPU has AVX-512.
        unsafe {
            let steps = _mm512_add_epi32(_mm512_cvtps_epi32(values.0), _mm512_set1_epi32(zero));
            _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(steps));
        }
    }
}
