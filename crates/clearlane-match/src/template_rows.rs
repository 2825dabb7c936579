//! Templates side by side: one against many without a gallery, for evaluation.

use std::ops::Range;

use clearlane_template::{ModelId, Template};
use zeroize::Zeroizing;

use crate::kernel::RowSlice;
use crate::{GalleryError, Kernel};

/// Templates of one model in one piece of memory, numbered from 0: comparisons of all with all, by the search's own
/// kernels. Wiped when dropped.
pub struct TemplateRows {
    model: ModelId,
    dimension: usize,
    values: Zeroizing<Vec<f32>>,
    kernel: Kernel,
}

impl TemplateRows {
    /// The templates, in order; all of the first one's model and dimension.
    pub fn new<'a>(templates: impl IntoIterator<Item = &'a Template, IntoIter: Clone>) -> Result<Self, GalleryError> {
        let templates = templates.into_iter();
        let Some(first) = templates.clone().next() else {
            let model = ModelId::digest([]);
            return Ok(Self { model, dimension: 1, values: Zeroizing::default(), kernel: Kernel::best() });
        };
        let (model, dimension) = (first.model(), first.dimension());
        // Counted first: a vector that grows would leave templates behind in memory that nobody wipes.
        let mut values = Zeroizing::new(Vec::with_capacity(templates.clone().count() * dimension));
        for template in templates {
            if template.model() != model {
                return Err(GalleryError::OtherModel { gallery: model, template: template.model() });
            }
            if template.dimension() != dimension {
                return Err(GalleryError::OtherDimension { gallery: dimension, template: template.dimension() });
            }
            values.extend_from_slice(template.as_slice());
        }
        Ok(Self { model, dimension, values, kernel: Kernel::best() })
    }

    /// Their model.
    #[must_use]
    pub fn model(&self) -> ModelId {
        self.model
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.dimension
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The scores of template `probe` with those from `first` on, as many as `scores` has places, each in [-1, 1].
    ///
    /// # Panics
    ///
    /// Where `probe`, or one of the others, is not among the templates.
    pub fn scores(&self, probe: usize, first: usize, scores: &mut [f32]) {
        let rows = |rows: Range<usize>| &self.values[rows.start * self.dimension..rows.end * self.dimension];
        self.kernel.score_rows(rows(probe..probe + 1), RowSlice::F32(rows(first..first + scores.len())), scores);
        for score in scores {
            // As in a gallery: rounding may pass 1 by an ulp, and there is one zero.
            *score = score.clamp(-1.0, 1.0) + 0.0;
        }
    }
}
