//! What a gallery takes of the machine's memory.

use super::index::Index;
use super::snapshot::Version;
use super::{Owner, Shape};

/// Memory in use, in bytes, by part. Room that was reserved for later rows and not yet written is not counted: the
/// system has not given it yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryUse {
    /// Stored vectors, but for those in a file.
    pub rows: u64,
    /// Codes, and what bounds their scores.
    pub codes: u64,
    /// Owners of rows and their withdrawal marks.
    pub owners: u64,
    /// The tables that find templates and subjects by id.
    pub index: u64,
    /// Of all these, what belongs to withdrawn rows in memory, that compaction would give back.
    pub withdrawn: u64,
}

impl MemoryUse {
    pub(super) fn of(shape: &Shape, version: &Version, index: &Index) -> Self {
        let all = version.rows as u64;
        let (on_file, withdrawn_on_file) = index.file.as_ref().map_or((0, 0), |file| (file.rows(), file.withdrawn));
        let row = shape.row_bytes() as u64;
        let code = shape.code_bytes() as u64;
        let owner = (size_of::<Owner>() + size_of::<u64>()) as u64;
        Self {
            rows: (all - on_file as u64) * row,
            codes: all * code,
            owners: all * owner,
            index: index.bytes() as u64,
            withdrawn: (version.rows - version.standing - withdrawn_on_file) as u64 * (row + code + owner),
        }
    }

    /// All parts together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rows + self.codes + self.owners + self.index
    }

    /// Whether withdrawn rows take so much that a [compaction](crate::Gallery::compact) is worth its while: a quarter of all,
    /// and 16 MiB.
    #[must_use]
    pub fn is_wasteful(&self) -> bool {
        const LEAST: u64 = 16 << 20;
        self.withdrawn > LEAST && self.withdrawn > self.total() / 4
    }
}
