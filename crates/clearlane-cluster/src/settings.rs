//! How a partition's gallery keeps its templates.

use clearlane_match::{Gallery, Precision};

use crate::ClusterError;
use crate::gallery::GalleryConfig;

/// How a node or a follower keeps templates in memory.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct GallerySettings {
    precision: Precision,
    certified: bool,
    memory_limit: u64,
}

impl Default for GallerySettings {
    fn default() -> Self {
        Self { precision: Precision::F32, certified: true, memory_limit: u64::MAX }
    }
}

impl GallerySettings {
    /// How vectors are stored (default: [`Precision::F32`]). All nodes of a partition have to agree, or their scores differ in
    /// the last digits.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Whether to keep codes for [`Mode::Certified`](clearlane_match::Mode::Certified) (default: yes).
    pub fn certified_codes(mut self, keep: bool) -> Self {
        self.certified = keep;
        self
    }

    /// The most memory that the templates of one partition may take, in bytes (default: no limit).
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = bytes;
        self
    }

    pub(crate) fn build(&self, config: &GalleryConfig) -> Result<Gallery, ClusterError> {
        let builder = Gallery::builder(config.model, config.dimension as usize);
        let builder = builder.precision(self.precision).certified_codes(self.certified);
        Ok(builder.memory_limit(self.memory_limit).build()?)
    }
}
