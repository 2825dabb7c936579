//! From layers to a program: fusions across layers, places in memory, packed operators.

pub(crate) mod layer;
mod merge;
mod place;
mod winograd;

pub(crate) use place::program;
