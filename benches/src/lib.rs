//! Measurements that the benches' examples run: a gallery that changes while it is searched, and the misses of sketches.
//!
//! `clearlane bench search` and the example `search` are fronts to [`clearlane_simulate::search`]; the criterion benches
//! beside this library measure the parts.
#![forbid(unsafe_code)]

pub mod faces;
pub mod living;
pub mod misses;
