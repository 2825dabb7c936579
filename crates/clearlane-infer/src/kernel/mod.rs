//! The operators that take the time, in the blocked layout, for each instruction set.
//!
//! One algorithm an operator, generic over [`vector::Vector`]; [`set::KernelSet`] compiles it for each instruction
//! set and hands it out for the token that proves that the CPU has the set. All of the crate's `unsafe` is in this folder: operators are constructed only
//! where every access stays inside their tensors, and [`program::Program`] runs them one after the other.

pub(crate) mod allocator;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod convolution;
pub(crate) mod dense;
pub(crate) mod depthwise;
pub(crate) mod epilogue;
pub(crate) mod function;
mod groups;
pub(crate) mod integer;
pub(crate) mod layout;
pub(crate) mod lists;
pub(crate) mod memory;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
pub(crate) mod product;
pub(crate) mod program;
pub(crate) mod rowwise;
pub(crate) mod set;
mod thread_team;
mod tile;
pub(crate) mod vector;
pub(crate) mod winograd;
