//! What search takes on this machine: latency, rate, bytes, and the share of the memory's bandwidth.
//!
//! `clearlane bench search` is a front to [`search::run`]; the criterion benches beside this library measure the parts.
#![forbid(unsafe_code)]

pub mod living;
pub mod misses;
pub mod plot;
pub mod search;
pub mod vectors;
