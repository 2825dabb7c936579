//! Templates: unit vectors bound to the model that made them.

use std::fmt;

use zeroize::Zeroize;

use crate::ModelId;

/// The largest dimension of a template. Face models in use give 64 to 1024.
pub const MAX_DIMENSION: usize = 4096;

/// How far from 1 the squared norm of a vector may lie that is taken as a unit vector: the rounding of `f32` storage and
/// of an orthogonal transform, with room.
const UNIT_TOLERANCE: f64 = 1e-4;

/// A biometric template: a finite vector of norm 1, bound to the model that made it.
///
/// Its values are wiped from memory when it is dropped, and are not shown by `Debug`.
#[derive(Clone, PartialEq)]
pub struct Template {
    model: ModelId,
    values: Vec<f32>,
}

/// Why a vector is not a template, or why two templates cannot be compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The vector has no values, or more than [`MAX_DIMENSION`].
    #[error("expected a template of 1 to {MAX_DIMENSION} values, got {dimension}")]
    Dimension {
        /// How many values were given.
        dimension: usize,
    },
    /// There is nothing to take the mean of.
    #[error("expected one template or more, got none")]
    None,
    /// A value is NaN or infinite.
    #[error("expected finite values, got {value} as value {index} of the template")]
    NotFinite {
        /// Its place in the vector.
        index: usize,
        /// The value.
        value: f32,
    },
    /// All values are zero, or too small to give a direction.
    #[error("expected a vector with a direction, got one of norm {norm:e}")]
    ZeroNorm {
        /// The Euclidean norm.
        norm: f64,
    },
    /// A vector that is given as a unit vector is not one.
    #[error("expected a vector of norm 1, got one of norm {norm}: normalise it first")]
    NotUnit {
        /// The Euclidean norm.
        norm: f64,
    },
    /// The templates were made by different models.
    #[error("templates of different models cannot be compared: {left:.12} and {right:.12}")]
    OtherModel {
        /// The model of the first template.
        left: ModelId,
        /// The model of the second.
        right: ModelId,
    },
    /// Bytes that are no template's: see [`Template::to_bytes`].
    #[error(
        "expected the bytes of a template, 32 of its model and 4 of each of 1 to {MAX_DIMENSION} values, got {length}"
    )]
    Length {
        /// How many bytes were given.
        length: usize,
    },
    /// The templates name one model but differ in dimension.
    #[error("templates of {left} and {right} values cannot be compared")]
    OtherDimension {
        /// The dimension of the first template.
        left: usize,
        /// The dimension of the second.
        right: usize,
    },
}

impl Template {
    /// A template in the direction of `values`, the output of `model`.
    pub fn normalised(model: ModelId, mut values: Vec<f32>) -> Result<Self, TemplateError> {
        let norm = match checked_norm(&values) {
            Ok(norm) if norm > f64::from(f32::MIN_POSITIVE) => norm,
            Ok(norm) => return Err(wiped(&mut values, TemplateError::ZeroNorm { norm })),
            Err(error) => return Err(wiped(&mut values, error)),
        };
        for value in &mut values {
            *value = (f64::from(*value) / norm) as f32;
        }
        Ok(Self { model, values })
    }

    /// A template from a unit vector, as a register stores it: its norm must be 1 within rounding. The values are kept bit
    /// for bit.
    pub fn from_unit(model: ModelId, mut values: Vec<f32>) -> Result<Self, TemplateError> {
        if is_unit(&values) {
            return Ok(Self { model, values });
        }
        match checked_norm(&values) {
            Ok(norm) if (norm * norm - 1.0).abs() <= UNIT_TOLERANCE => Ok(Self { model, values }),
            Ok(norm) => Err(wiped(&mut values, TemplateError::NotUnit { norm })),
            Err(error) => Err(wiped(&mut values, error)),
        }
    }

    /// The normalised mean of several templates of one model, weighted equally: one template for several captures.
    pub fn mean<'a>(templates: impl IntoIterator<Item = &'a Self>) -> Result<Self, TemplateError> {
        let mut templates = templates.into_iter();
        let first = templates.next().ok_or(TemplateError::None)?;
        let mut sum = first.values.clone();
        for template in templates {
            if let Err(error) = first.comparable(template) {
                return Err(wiped(&mut sum, error));
            }
            for (total, value) in sum.iter_mut().zip(&template.values) {
                *total += value;
            }
        }
        Self::normalised(first.model, sum)
    }

    /// The model that made this template.
    #[must_use]
    pub fn model(&self) -> ModelId {
        self.model
    }

    /// How many values the template has.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.values.len()
    }

    /// The unit vector.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        &self.values
    }

    /// The comparison score of two templates: their cosine similarity, in [-1, 1].
    pub fn score(&self, other: &Self) -> Result<f32, TemplateError> {
        self.comparable(other)?;
        let score: f64 = self.values.iter().zip(&other.values).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        Ok(score.clamp(-1.0, 1.0) as f32)
    }

    fn comparable(&self, other: &Self) -> Result<(), TemplateError> {
        if self.model != other.model {
            return Err(TemplateError::OtherModel { left: self.model, right: other.model });
        }
        if self.dimension() != other.dimension() {
            return Err(TemplateError::OtherDimension { left: self.dimension(), right: other.dimension() });
        }
        Ok(())
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        self.values.zeroize();
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template")
            .field("model", &self.model)
            .field("dimension", &self.dimension())
            .finish_non_exhaustive()
    }
}

/// Whether the norm is 1 within rounding, which it is in all but a damaged vector of a million: summed in parts, so that no
/// addition waits for the one before. A value that is not finite leaves the sum none that is.
fn is_unit(values: &[f32]) -> bool {
    let square = |value: &f32| f64::from(*value).powi(2);
    let (parts, rest) = values.as_chunks::<16>();
    let mut sums = [0.0; 16];
    for part in parts {
        for (sum, value) in sums.iter_mut().zip(part) {
            *sum += square(value);
        }
    }
    let sum = sums.iter().sum::<f64>() + rest.iter().map(square).sum::<f64>();
    values.len() <= MAX_DIMENSION && (sum - 1.0).abs() <= UNIT_TOLERANCE
}

fn checked_norm(values: &[f32]) -> Result<f64, TemplateError> {
    if values.is_empty() || values.len() > MAX_DIMENSION {
        return Err(TemplateError::Dimension { dimension: values.len() });
    }
    if let Some((index, &value)) = values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
        return Err(TemplateError::NotFinite { index, value });
    }
    Ok(values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt())
}

/// Wipes a refused vector, which may still be a person's template.
fn wiped(values: &mut Vec<f32>, error: TemplateError) -> TemplateError {
    values.zeroize();
    error
}
