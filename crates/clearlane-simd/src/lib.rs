//! What the SIMD kernels of clearlane share.
//!
//! - **Tokens**, such as `Avx2` on x86-64 and `Neon` on Arm: a value proves that this processor has the
//!   features, since `new()` is the only way to one. [`Isa`] is any of them, and all detection is here.
//! - **[`Loops`]**: plain Rust that the compiler vectorises, compiled for each instruction set and run with the widest.
//! - **[`Pages`]**: memory of whole pages that core dumps leave out, with huge pages where they help.
//!
//! ```
//! use clearlane_simd::{Isa, Loops, vectorised};
//!
//! struct SumOfSquares<'a>(&'a [i32]);
//!
//! impl Loops for SumOfSquares<'_> {
//!     type Output = i32;
//!
//!     #[inline(always)]
//!     fn run(self) -> i32 {
//!         self.0.iter().map(|value| value * value).sum()
//!     }
//! }
//!
//! let values: Vec<i32> = (0..100).collect();
//! assert_eq!(vectorised(SumOfSquares(&values)), 328_350);
//! // A lower instruction set than the widest, to test or to measure it.
//! for isa in Isa::available() {
//!     assert_eq!(isa.vectorise(SumOfSquares(&values)), 328_350, "{isa}");
//! }
//! ```
//!
//! An instruction set is one file here with its token, and one line in the list of [`Isa`].

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
mod isa;
mod loops;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pages;

#[cfg(target_arch = "x86_64")]
pub use avx_vnni::AvxVnni;
#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::{Avx512, Avx512IceLake, Avx512Vnni};
pub use isa::Isa;
pub use loops::{Loops, vectorised};
#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
pub use pages::{HUGE_PAGE, Pages};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
