//! A template as bytes, for those who keep or send them: the model's id, 32 bytes, then the values in order, four bytes each,
//! IEEE 754 single precision, the lowest byte first.

use crate::{MAX_DIMENSION, ModelId, Template, TemplateError};

/// Bytes of the model's id.
const MODEL: usize = 32;
/// Bytes of a value.
const VALUE: usize = size_of::<f32>();

impl Template {
    /// How many bytes a template of so many values takes: 32 for its model and four for each value.
    #[must_use]
    pub const fn byte_length(dimension: usize) -> usize {
        MODEL + VALUE * dimension
    }

    /// The template as bytes: its model's 32, then each value as four, the lowest first. They are a person's template in the
    /// clear: wipe them when they are no longer needed, which nobody else does.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // All room at once: what grows leaves copies behind.
        let mut bytes = Vec::with_capacity(Self::byte_length(self.dimension()));
        bytes.extend_from_slice(self.model().as_bytes());
        self.as_slice().iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
        bytes
    }

    /// The template of these bytes, as [`Template::to_bytes`] gives them: bit for bit, after the checks of
    /// [`Template::from_unit`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TemplateError> {
        let refused = || TemplateError::Length { length: bytes.len() };
        let (model, values) = bytes.split_first_chunk::<MODEL>().ok_or_else(refused)?;
        let (values, rest) = values.as_chunks::<VALUE>();
        if !rest.is_empty() || !(1..=MAX_DIMENSION).contains(&values.len()) {
            return Err(refused());
        }
        Self::from_unit(ModelId::from_bytes(*model), values.iter().map(|value| f32::from_le_bytes(*value)).collect())
    }
}
