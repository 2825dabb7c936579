//! Convolutions of the same input that could be one.

use super::layer::Layers;

/// Joins convolutions that read the same tensor in the same way and end in flat lists.
pub(crate) fn siblings(_layers: &mut Layers) {}
