//! AVX2 with FMA: two registers hold a block.

use std::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps,
    _mm256_mul_ps, _mm256_set1_ps, _mm256_storeu_ps,
};

use super::vector::Vector;

/// Half a block.
#[derive(Clone, Copy)]
pub(crate) struct Avx2Register(pub(super) __m256);

#[derive(Clone, Copy)]
pub(crate) struct Avx2Block(pub(super) Avx2Register, pub(super) Avx2Register);

// SAFETY: each method touches what its contract says; the kernels that use it are only handed out by `KernelSet::of`
// for a token that proves that the CPU has the instructions.
unsafe impl Vector for Avx2Register {
    type Register = Self;
    const REGISTERS: usize = 1;
    const ACCUMULATORS: usize = 12;
    const DEPTHWISE: [usize; 2] = [1, 10];

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller gives 8 readable floats, and the CPU has AVX2.
        Self(unsafe { _mm256_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller gives 8 writable floats, and the CPU has AVX2.
        unsafe { _mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the CPU has AVX2.
        Self(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn splat_at(from: *const f32) -> Self {
        // SAFETY: the caller gives a readable float, and the CPU has AVX2.
        Self(unsafe { _mm256_broadcast_ss(&*from) })
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the CPU has AVX2.
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: the CPU has AVX2.
        Self(unsafe { _mm256_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: the CPU has FMA.
        Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, addend.0) })
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // SAFETY: the CPU has AVX2.
        Self(unsafe { _mm256_max_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        // SAFETY: the CPU has AVX2.
        Self(unsafe { _mm256_min_ps(self.0, other.0) })
    }
}

// SAFETY: both halves keep the contract.
unsafe impl Vector for Avx2Block {
    type Register = Avx2Register;
    const REGISTERS: usize = 2;
    const ACCUMULATORS: usize = 6;
    const DEPTHWISE: [usize; 2] = Avx2Register::DEPTHWISE;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller gives 16 readable floats, and the CPU has AVX2.
        unsafe { Self(Vector::load(from), Vector::load(from.add(8))) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller gives 16 writable floats, and the CPU has AVX2.
        unsafe {
            self.0.store(to);
            self.1.store(to.add(8));
        }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the CPU has AVX2.
        let lanes = unsafe { Vector::splat(value) };
        Self(lanes, lanes)
    }

    #[inline(always)]
    unsafe fn splat_at(from: *const f32) -> Self {
        // SAFETY: the caller gives a readable float, and the CPU has AVX2.
        let lanes = unsafe { Vector::splat_at(from) };
        Self(lanes, lanes)
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the CPU has AVX2.
        unsafe { Self(self.0.add(other.0), self.1.add(other.1)) }
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: the CPU has AVX2.
        unsafe { Self(self.0.mul(other.0), self.1.mul(other.1)) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: the CPU has FMA.
        unsafe { Self(self.0.mul_add(factor.0, addend.0), self.1.mul_add(factor.1, addend.1)) }
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // SAFETY: the CPU has AVX2.
        unsafe { Self(self.0.max(other.0), self.1.max(other.1)) }
    }

    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        // SAFETY: the CPU has AVX2.
        unsafe { Self(self.0.min(other.0), self.1.min(other.1)) }
    }
}
