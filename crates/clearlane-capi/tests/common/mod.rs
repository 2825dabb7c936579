//! What the tests of the ABI share.
#![allow(dead_code, clippy::unwrap_used)]

pub(crate) mod build;
pub(crate) mod header;
#[cfg(feature = "builtin")]
pub(crate) mod port;
