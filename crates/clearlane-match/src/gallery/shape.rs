//! What is fixed about a gallery when it is built.

use clearlane_template::{MAX_DIMENSION, ModelId, Template};

use super::Gallery;
use super::rows::{Precision, Rows};
use crate::codes::{self, Layout, Rotation};
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
    pub(crate) rotation: Rotation,
    /// The codes that [`Mode::Sketch`](crate::Mode::Sketch) scans.
    pub(crate) sketch: Layout,
    /// Those that [`Mode::Certified`](crate::Mode::Certified) scans, where they are not the same.
    pub(crate) fine: Option<Layout>,
    /// Whether Certified has codes at all.
    pub(crate) certified: bool,
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

    /// Bytes of one template's codes, what bounds its score included.
    pub(crate) fn code_bytes(&self) -> usize {
        let layouts = [Some(self.sketch), self.fine];
        layouts.into_iter().flatten().map(codes::bytes_a_row).sum()
    }

    /// Bytes that one template takes, all parts together.
    pub(crate) fn bytes_a_template(&self) -> usize {
        self.row_bytes() + self.code_bytes() + gallery::BYTES_OF_IDS
    }

    /// How far the score of a stored row may lie above that of a unit vector: norms may be off by what
    /// [`Template::from_unit`] allows and by the rounding of f16, and 64 lanes of sums round too.
    pub(crate) fn score_slack(&self) -> f32 {
        match self.precision {
            Precision::F32 | Precision::I8 => 3e-4,
            Precision::F16 => 1e-3,
        }
    }
}

/// Bytes of a sketch code where the builder is not told otherwise, or as few as the dimension takes.
const CODE_BUDGET: usize = 64;

/// Settings of a [`Gallery`], each with a default that serves.
#[derive(Clone, Debug)]
#[must_use]
pub struct GalleryBuilder {
    model: ModelId,
    dimension: usize,
    precision: Precision,
    kernel: Kernel,
    memory_limit: u64,
    code_budget: Option<usize>,
    certified: bool,
    seed: u64,
}

impl GalleryBuilder {
    pub(super) fn new(model: ModelId, dimension: usize) -> Self {
        Self {
            model,
            dimension,
            precision: Precision::F32,
            kernel: Kernel::best(),
            memory_limit: u64::MAX,
            code_budget: None,
            certified: true,
            seed: 0x636c_6561_726c_616e,
        }
    }

    /// How vectors are stored (default: [`Precision::F32`]).
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// The most memory that the gallery's parts may take, in bytes (default: no limit). Adding beyond it is an error.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = bytes;
        self
    }

    /// The search kernel (default: [`Kernel::best`]).
    pub fn kernel(mut self, kernel: Kernel) -> Self {
        self.kernel = kernel;
        self
    }

    /// The most bytes that the code of one template may take which [`Mode::Sketch`](crate::Mode::Sketch) scans: it gets as
    /// many bits a dimension as fit, of 1, 2 and 4 (default: 64 bytes, or 1 bit a dimension above 512 dimensions).
    pub fn code_budget(mut self, bytes: usize) -> Self {
        self.code_budget = Some(bytes);
        self
    }

    /// Whether to keep codes of 4 bits a dimension for [`Mode::Certified`](crate::Mode::Certified) (default: yes). Without
    /// them it searches as [`Mode::Exhaustive`](crate::Mode::Exhaustive) does, in less memory and more time.
    pub fn certified_codes(mut self, keep: bool) -> Self {
        self.certified = keep;
        self
    }

    /// The seed of the random rotation (default: a fixed one). Candidate lists do not depend on it, but for misses within
    /// what [`Mode::Sketch`](crate::Mode::Sketch) allows.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// An empty gallery with these settings.
    pub fn build(self) -> Result<Gallery, GalleryError> {
        let dimension = self.dimension;
        if !(1..=MAX_DIMENSION).contains(&dimension) {
            return Err(GalleryError::Dimension { dimension, max: MAX_DIMENSION });
        }
        let least = Layout::new(dimension, 1).code_bytes();
        let budget = self.code_budget.unwrap_or(CODE_BUDGET.max(least));
        let sketch = Layout::within(dimension, budget).ok_or(GalleryError::CodeBudget { dimension, budget, least })?;
        let fine = Some(Layout::new(dimension, 4)).filter(|fine| self.certified && *fine != sketch);
        Ok(Gallery::with_shape(Shape {
            model: self.model,
            dimension,
            precision: self.precision,
            kernel: self.kernel,
            memory_limit: self.memory_limit,
            rotation: Rotation::new(dimension, self.seed),
            sketch,
            fine,
            certified: self.certified,
        }))
    }
}
