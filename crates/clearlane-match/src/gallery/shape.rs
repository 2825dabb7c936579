//! What is fixed about a gallery when it is built.

use std::path::Path;
use std::sync::Arc;

use clearlane_template::{MAX_DIMENSION, ModelId, Template};
use rayon::prelude::*;

use super::Gallery;
use super::rows::{Precision, Rows};
use crate::codes::{self, Layout, Rotation};
use crate::kernel::Kernel;
use crate::{GalleryError, GalleryFileError, GalleryFileWriter, file, gallery};

/// What all parts of one gallery agree on.
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
    /// Whether templates that come many at once are encoded by the threads of the current rayon pool.
    pub(crate) parallel: bool,
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

    /// That a matrix has a unit vector for each of so many ids.
    pub(crate) fn check_rows(&self, ids: usize, values: &[f32]) -> Result<(), GalleryError> {
        let dimension = self.dimension;
        if Some(values.len()) != ids.checked_mul(dimension) {
            return Err(GalleryError::Matrix { ids, dimension, values: values.len() });
        }
        let check = |(row, values): (usize, &[f32])| {
            let template = Template::from_unit(self.model, values.to_vec());
            template.map(drop).map_err(|source| GalleryError::Row { row, source })
        };
        if self.parallel {
            values.par_chunks_exact(dimension).enumerate().try_for_each(check)
        } else {
            values.chunks_exact(dimension).enumerate().try_for_each(check)
        }
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

    /// Bytes of memory that one template takes whose row is in a file.
    pub(crate) fn bytes_on_file(&self) -> usize {
        self.code_bytes() + gallery::BYTES_OF_IDS_ON_FILE
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
    parallel: bool,
    seed: Option<u64>,
}

impl GalleryBuilder {
    pub(crate) fn new(model: ModelId, dimension: usize) -> Self {
        Self {
            model,
            dimension,
            precision: Precision::F32,
            kernel: Kernel::best(),
            memory_limit: u64::MAX,
            code_budget: None,
            certified: true,
            parallel: true,
            seed: None,
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

    /// Whether templates that are added many at once, or compacted, are encoded by all threads of the current rayon pool (default:
    /// yes). Without it, and with searches that are not [`parallel`](crate::SearchOptions::parallel), the gallery works on
    /// the calling thread alone and starts none: for a process that is to fork.
    pub fn parallel(mut self, parallel: bool) -> Self {
        self.parallel = parallel;
        self
    }

    /// A seed for the rotation of the codes, **for tests and benchmarks only**, so that every run does the same work.
    ///
    /// Without it, the rotation is drawn from the system's randomness when the gallery is built, and stays secret: which
    /// pairs [`Mode::Sketch`](crate::Mode::Sketch) misses, within what it states, cannot be foreseen, and differs from one
    /// gallery to the next. Of a gallery with a known seed, an adversary can look for faces that it misses. The candidate
    /// lists of the other modes do not depend on the rotation.
    pub fn fixed_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// An empty gallery with these settings.
    pub fn build(self) -> Result<Gallery, GalleryError> {
        Ok(Gallery::with_shape(self.shape()?))
    }

    /// Opens a gallery from a file that [`Gallery::write_file`] or a [`GalleryFileWriter`] wrote with these settings and this
    /// secret, and gives the tag that it was written with. Codes and owners are read into memory, on all threads of the current
    /// rayon pool unless [`Self::parallel`] says otherwise; rows stay in the file, which has to stay as it is. It may be renamed
    /// or deleted while it is open.
    ///
    /// The file brings its own rotation: [`Self::fixed_seed`] has no effect.
    pub fn open_file(self, path: impl AsRef<Path>, secret: &[u8; 32]) -> Result<(Gallery, Vec<u8>), GalleryFileError> {
        let opened = file::open(&self.shape()?, path.as_ref(), secret)?;
        Ok((Gallery::of_file(opened.shape, opened.segments, opened.index), opened.tag))
    }

    /// Begins a gallery's file, for templates that need not fit in memory together: see [`GalleryFileWriter`].
    pub fn create_file(self, path: impl AsRef<Path>, secret: &[u8; 32]) -> Result<GalleryFileWriter, GalleryFileError> {
        GalleryFileWriter::new(Arc::new(self.shape()?), path.as_ref(), secret)
    }

    pub(crate) fn shape(self) -> Result<Shape, GalleryError> {
        let dimension = self.dimension;
        if !(1..=MAX_DIMENSION).contains(&dimension) {
            return Err(GalleryError::Dimension { dimension, max: MAX_DIMENSION });
        }
        let least = Layout::new(dimension, 1, self.kernel).code_bytes();
        let budget = self.code_budget.unwrap_or(CODE_BUDGET.max(least));
        let sketch = Layout::within(dimension, budget, self.kernel).ok_or(GalleryError::CodeBudget {
            dimension,
            budget,
            least,
        })?;
        let fine = Some(Layout::new(dimension, 4, self.kernel)).filter(|fine| self.certified && *fine != sketch);
        let rotation = match self.seed {
            Some(seed) => Rotation::of_seed(dimension, seed),
            None => Rotation::random(dimension)?,
        };
        Ok(Shape {
            model: self.model,
            dimension,
            precision: self.precision,
            kernel: self.kernel,
            memory_limit: self.memory_limit,
            rotation,
            sketch,
            fine,
            certified: self.certified,
            parallel: self.parallel,
        })
    }
}
