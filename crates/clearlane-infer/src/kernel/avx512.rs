//! AVX-512: one register holds a block.

use std::arch::x86_64::{
    __m512, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps,
    _mm512_set1_ps, _mm512_storeu_ps,
};

use super::vector::Vector;

#[derive(Clone, Copy)]
pub(crate) struct Avx512Block(pub(super) __m512);

// SAFETY: each method touches what its contract says; the kernels that use it are only handed out by `KernelSet::of`
// for a token that proves that the CPU has the instructions.
unsafe impl Vector for Avx512Block {
    type Register = Self;
    const REGISTERS: usize = 1;
    const ACCUMULATORS: usize = 28;
    const DEPTHWISE: [usize; 2] = [2, 10];

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller gives 16 readable floats, and the CPU has AVX-512.
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller gives 16 writable floats, and the CPU has AVX-512.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the CPU has AVX-512.
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn splat_at(from: *const f32) -> Self {
        // SAFETY: the caller gives a readable float, and the CPU has AVX-512.
        Self(unsafe { _mm512_set1_ps(*from) })
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the CPU has AVX-512.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: the CPU has AVX-512.
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: the CPU has AVX-512.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // SAFETY: the CPU has AVX-512.
        Self(unsafe { _mm512_max_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        // SAFETY: the CPU has AVX-512.
        Self(unsafe { _mm512_min_ps(self.0, other.0) })
    }
}
