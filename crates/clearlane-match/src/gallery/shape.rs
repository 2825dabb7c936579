//! What is fixed about a gallery when it is built.

use clearlane_template::{MAX_DIMENSION, ModelId, Template};

use super::Gallery;
use super::rows::{Precision, Rows};
use crate::kernel::Kernel;
use crate::{GalleryError, gallery};

/// What all parts of one gallery agree on.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) model: ModelId,
    pub(crate) dimension: usize,
    pub(crate) precision: Precision,
    pub(crate) kernel: Kernel,
    pub(crate) memory_limit: u64,
}

impl Shape {
    /// That a template belongs to this gallery's model and dimension.
    pub(crate) fn check(&self, template: &Template) -> Result<(), GalleryError> {
        if template.model() != self.model {
            return Err(GalleryError::OtherModel { gallery: self.model, template: template.model() });
        }
        if template.dimension() != self.dimension {
            return Err(GalleryError::OtherDimension { gallery: self.dimension, template: template.dimension() });
        }
        Ok(())
    }

    /// Bytes of one stored vector.
    pub(crate) fn row_bytes(&self) -> usize {
        Rows::bytes_a_row(self.precision, self.dimension)
    }

    /// Bytes that one template takes, all parts together.
    pub(crate) fn bytes_a_template(&self) -> usize {
        self.row_bytes() + gallery::BYTES_OF_IDS
    }
}

/// Settings of a [`Gallery`], each with a default that serves.
#[derive(Clone, Debug)]
#[must_use]
pub struct GalleryBuilder {
    shape: Shape,
}

impl GalleryBuilder {
    pub(super) fn new(model: ModelId, dimension: usize) -> Self {
        Self {
            shape: Shape {
                model,
                dimension,
                precision: Precision::F32,
                kernel: Kernel::best(),
                memory_limit: u64::MAX,
            },
        }
    }

    /// How vectors are stored (default: [`Precision::F32`]).
    pub fn precision(mut self, precision: Precision) -> Self {
        self.shape.precision = precision;
        self
    }

    /// The most memory that the gallery's parts may take, in bytes (default: no limit). Adding beyond it is an error.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.shape.memory_limit = bytes;
        self
    }

    /// The search kernel (default: [`Kernel::best`]).
    pub fn kernel(mut self, kernel: Kernel) -> Self {
        self.shape.kernel = kernel;
        self
    }

    /// An empty gallery with these settings.
    pub fn build(self) -> Result<Gallery, GalleryError> {
        if !(1..=MAX_DIMENSION).contains(&self.shape.dimension) {
            return Err(GalleryError::Dimension { dimension: self.shape.dimension, max: MAX_DIMENSION });
        }
        Ok(Gallery::with_shape(self.shape))
    }
}
