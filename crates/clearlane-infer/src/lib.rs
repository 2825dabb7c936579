//! Runs ONNX networks on the CPU.
//!
//! A [`Network`] is made once from the bytes of an ONNX model and then run from any number of threads:
//!
//! ```no_run
//! use clearlane_infer::Network;
//! use ndarray::Array4;
//!
//! let bytes = std::fs::read("model.onnx")?;
//! let network = Network::from_onnx(&bytes, [3, 112, 112])?;
//! let outputs = network.run(Array4::zeros((1, 3, 112, 112)).view())?;
//! assert_eq!(outputs[0].shape()[0], 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A face and its embedding are in a run's memory only while it lasts: arenas and what tract computes are zeroed after each
//! run, [`Outputs`] when they are dropped, and arenas are left out of core dumps where the system can.
#![deny(unsafe_code)]

mod dequantised;
mod error;
mod graph;
#[allow(unsafe_code, clippy::inline_always, reason = "kernels work on raw memory, inside functions that enable an ISA")]
mod kernel;
mod lower;
mod names;
mod network;
mod options;
mod peak;
mod plan;
mod proto;
mod quantise;
mod reference;
mod refit;
mod rewrite;
mod sync;
mod wiped;

pub use clearlane_simd::{Isa, Loops, vectorised};
pub use error::{InferError, QuantiseError, UnknownBackend};
pub use kernel::allocator::WipingAllocator;
pub use network::{Network, NodeBackend, NodeInfo, OutputInfo, Outputs, StepProfile, declared_input};
pub use options::{Backend, Options};
pub use peak::fma_peak;
pub use quantise::{Quantised, quantise};
pub use wiped::{Plain, Wiped, wipe};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
