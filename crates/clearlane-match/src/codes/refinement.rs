//! The second bit of one-bit codes.
//!
//! A two-bit code is o = 2 s + m, of two codes of signs. The scan reads s of all rows; where it cannot rule a row out, m of
//! that row, a cache line for 512 dimensions, rules out nearly all that are left: a vector is many lines, and thousands of
//! them would take as long as the scan. The products are those of one-bit codes: ⟨r, o⟩ = 2 ⟨r, s⟩ + ⟨r, m⟩.

use std::ops::Range;
use std::sync::Arc;

use clearlane_simd::Loops;

use super::{CodedProbe, Layout};
use crate::GalleryError;
use crate::kernel::{AppendBuffer, Appending, Kernel, RowCount, Step, Survivor, prefetch};

/// Bits of a refined code.
pub(super) const BITS: u32 = 2;

/// Changes the levels of a two-bit code to those of s, and adds m to `seconds`: bit after bit, padded to whole words.
#[inline(always)]
pub(super) fn split(levels: &mut [u8], seconds: &mut Vec<u8>) {
    let start = seconds.len();
    seconds.resize(start + levels.len().div_ceil(64) * 8, 0);
    for (byte, levels) in seconds[start..].iter_mut().zip(levels.chunks_mut(8)) {
        for (i, level) in levels.iter_mut().enumerate() {
            *byte |= (*level & 1) << i;
            *level >>= 1;
        }
    }
}

/// The second bits of one segment's rows, row after row.
pub(crate) struct Refinement {
    layout: Layout,
    codes: AppendBuffer<u8>,
}

impl Refinement {
    pub(super) fn with_capacity(layout: Layout, count: &Arc<RowCount>, rows: usize) -> Result<Self, GalleryError> {
        Ok(Self { layout, codes: AppendBuffer::with_capacity(count, Step::Block(layout.block_bytes()), rows)? })
    }

    /// Writes the second bits of one block's rows.
    pub(super) fn write(&self, appending: &mut Appending<'_>, block: usize, codes: &[u8]) {
        self.codes.write_slice(appending, block, codes);
    }

    /// The second bits of some blocks' rows.
    pub(super) fn bytes(&self, blocks: Range<usize>) -> &[u8] {
        let size = self.layout.block_bytes();
        &self.codes.as_slice()[blocks.start * size..blocks.end * size]
    }

    #[inline(always)]
    fn code(&self, row: usize) -> &[u8] {
        let size = self.layout.code_bytes();
        &self.codes.as_slice()[row * size..][..size]
    }

    /// Prefetches what refines a row's code.
    pub(super) fn prefetch(&self, row: usize) {
        prefetch(self.code(row));
    }

    /// Changes the products of some rows with their codes to those with their refined codes.
    pub(crate) fn refine(&self, kernel: Kernel, probe: &CodedProbe, rows: &mut [Survivor]) {
        kernel.vectorise(Refining { refinement: self, probe, rows });
    }
}

struct Refining<'a> {
    refinement: &'a Refinement,
    probe: &'a CodedProbe,
    rows: &'a mut [Survivor],
}

impl Loops for Refining<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for survivor in self.rows {
            if let Some(second) = self.probe.product_with(self.refinement.code(survivor.row as usize)) {
                survivor.product = 2 * survivor.product + second;
            }
        }
    }
}
