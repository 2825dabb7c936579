//! Codes as bytes, to be kept in a file.

use zeroize::Zeroizing;

use super::{BlockFactors, Codes, Factors, Layout};
use crate::kernel::{Appending, BLOCK};

/// Bytes of a row's factors: two floats.
const FACTORS: usize = 8;
/// Bytes of what bounds a block's: three floats.
const BLOCK_FACTORS: usize = 12;

/// Bytes of a block's codes with all that belongs to them.
pub(crate) fn stored_bytes(layout: Layout) -> usize {
    let codes = if layout.is_refined() { 2 } else { 1 };
    codes * layout.block_bytes() + BLOCK * FACTORS + BLOCK_FACTORS
}

impl Codes {
    /// Adds the bytes of one block: its codes, its rows' second bits where there are some, its rows' factors and what bounds
    /// them. Floats are little-endian.
    pub(crate) fn store(&self, block: usize, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.bytes(block..block + 1));
        if let Some(refinement) = &self.refinement {
            bytes.extend_from_slice(refinement.bytes(block..block + 1));
        }
        for factors in &self.rows.as_slice()[block * BLOCK..(block + 1) * BLOCK] {
            bytes.extend_from_slice(&factors.parallel.to_le_bytes());
            bytes.extend_from_slice(&factors.perpendicular.to_le_bytes());
        }
        let BlockFactors { least_parallel, most_perpendicular, most_length } = self.bounds.as_slice()[block];
        for value in [least_parallel, most_perpendicular, most_length] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Writes a block from its bytes, in which codes have the layout `from`. Nothing where the bytes are not one block's.
    pub(crate) fn restore(&self, appending: &mut Appending<'_>, block: usize, from: Layout, bytes: &[u8]) {
        let size = self.layout.block_bytes();
        if bytes.len() != stored_bytes(self.layout) {
            return;
        }
        let (codes, mut rest) = bytes.split_at(size);
        if from == self.layout {
            self.blocks.write_slice(appending, block, codes);
        } else {
            let mut arranged = Zeroizing::new(vec![0; size]);
            self.layout.rearrange(from, codes, &mut arranged);
            self.blocks.write_slice(appending, block, &arranged);
        }
        if let Some(refinement) = &self.refinement {
            let (seconds, others) = rest.split_at(size);
            refinement.write(appending, block, seconds);
            rest = others;
        }
        let (floats, _) = rest.as_chunks::<4>();
        let (rows, bounds) = floats.split_at(2 * BLOCK);
        let rows = rows.as_chunks::<2>().0.iter().map(|pair| {
            let [parallel, perpendicular] = pair.map(f32::from_le_bytes);
            Factors { parallel, perpendicular }
        });
        self.rows.write(appending, block, rows);
        let bounds = bounds.as_chunks::<3>().0.iter().map(|bounds| {
            let [least_parallel, most_perpendicular, most_length] = bounds.map(f32::from_le_bytes);
            BlockFactors { least_parallel, most_perpendicular, most_length }
        });
        self.bounds.write(appending, block, bounds);
    }
}
