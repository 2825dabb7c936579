//! Advanced SIMD of 64-bit Arm: four registers hold a block.

use std::arch::aarch64::{
    float32x4_t, vaddq_f32, vbslq_f32, vcgtq_f32, vcltq_f32, vdupq_n_f32, vfmaq_f32, vld1q_dup_f32, vld1q_f32,
    vmulq_f32, vst1q_f32,
};

use super::vector::Vector;

/// A quarter of a block.
#[derive(Clone, Copy)]
pub(crate) struct NeonRegister(float32x4_t);

#[derive(Clone, Copy)]
pub(crate) struct NeonBlock([NeonRegister; 4]);

impl NeonBlock {
    #[inline(always)]
    fn zip(self, other: Self, combine: impl Fn(NeonRegister, NeonRegister) -> NeonRegister) -> Self {
        Self(std::array::from_fn(|quarter| combine(self.0[quarter], other.0[quarter])))
    }
}

// SAFETY: each method touches what its contract says; the kernels that use it are only handed out by `KernelSet::of`
// for a token that proves that the CPU has the instructions.
unsafe impl Vector for NeonRegister {
    type Register = Self;
    const REGISTERS: usize = 1;
    const ACCUMULATORS: usize = 24;
    const DEPTHWISE: [usize; 2] = [2, 10];

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller gives 4 readable floats, and the CPU has NEON.
        Self(unsafe { vld1q_f32(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller gives 4 writable floats, and the CPU has NEON.
        unsafe { vst1q_f32(to, self.0) };
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the CPU has NEON.
        Self(unsafe { vdupq_n_f32(value) })
    }

    #[inline(always)]
    unsafe fn splat_at(from: *const f32) -> Self {
        // SAFETY: the caller gives a readable float, and the CPU has NEON.
        Self(unsafe { vld1q_dup_f32(from) })
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the CPU has NEON.
        Self(unsafe { vaddq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: the CPU has NEON.
        Self(unsafe { vmulq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: the CPU has NEON.
        Self(unsafe { vfmaq_f32(addend.0, self.0, factor.0) })
    }

    // NEON's own maximum and minimum give NaN for NaN; those of every other set give `other`.

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // SAFETY: the CPU has NEON.
        Self(unsafe { vbslq_f32(vcgtq_f32(self.0, other.0), self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        // SAFETY: the CPU has NEON.
        Self(unsafe { vbslq_f32(vcltq_f32(self.0, other.0), self.0, other.0) })
    }
}

// SAFETY: all four quarters keep the contract.
unsafe impl Vector for NeonBlock {
    type Register = NeonRegister;
    const REGISTERS: usize = 4;
    /// Twenty-four of the 32 registers; weights and values take four each.
    const ACCUMULATORS: usize = 6;
    const DEPTHWISE: [usize; 2] = NeonRegister::DEPTHWISE;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller gives 16 readable floats, and the CPU has NEON.
        Self([0, 4, 8, 12].map(|at| unsafe { Vector::load(from.add(at)) }))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        for (quarter, values) in self.0.into_iter().enumerate() {
            // SAFETY: the caller gives 16 writable floats, and the CPU has NEON.
            unsafe { values.store(to.add(4 * quarter)) };
        }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the CPU has NEON.
        Self([unsafe { Vector::splat(value) }; 4])
    }

    #[inline(always)]
    unsafe fn splat_at(from: *const f32) -> Self {
        // SAFETY: the caller gives a readable float, and the CPU has NEON.
        Self([unsafe { Vector::splat_at(from) }; 4])
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the CPU has NEON.
        self.zip(other, |a, b| unsafe { a.add(b) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: the CPU has NEON.
        self.zip(other, |a, b| unsafe { a.mul(b) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: the CPU has NEON.
        Self(std::array::from_fn(|i| unsafe { self.0[i].mul_add(factor.0[i], addend.0[i]) }))
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // SAFETY: the CPU has NEON.
        self.zip(other, |a, b| unsafe { a.max(b) })
    }

    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        // SAFETY: the CPU has NEON.
        self.zip(other, |a, b| unsafe { a.min(b) })
    }
}
