//! Codes: compact approximations of the stored vectors, scanned in place of them.
//!
//! A vector x is rotated by a random orthogonal matrix and its values are rounded to 2ᵇ levels each: its code o, odd
//! integers. A probe q is rounded likewise, to r. The scan computes ⟨r, o⟩ in integers, and [`bound`] turns a threshold on
//! ⟨q, x⟩ into one on ⟨r, o⟩, by way of two numbers for each vector: the lengths of o parallel and perpendicular to x. The
//! estimator is RaBitQ's (Gao and Long, SIGMOD 2024; Gao and others, SIGMOD 2025, for several bits).
//!
//! Codes of one bit rule out all but some thousandths of a gallery, and these are many: see [`refinement`].
#![allow(clippy::inline_always, reason = "encoding is compiled for each instruction set: see `Loops`")]

mod bound;
mod layout;
mod outward;
mod probe;
mod quantise;
mod refinement;
mod rotation;
mod stored;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod worst_alignment;

use std::ops::Range;
use std::sync::Arc;

use clearlane_simd::Loops;
use rayon::prelude::*;
use zeroize::{Zeroize, Zeroizing};

use crate::GalleryError;
use crate::gallery::Shape;
use crate::kernel::{AppendBuffer, Appending, BLOCK, Kernel, RowCount, Step, prefetch};
use quantise::{Factors, Fit};
use refinement::Refinement;

pub(crate) use bound::{Bound, Contract};
pub(crate) use layout::Layout;
pub(crate) use probe::CodedProbe;
pub(crate) use rotation::Rotation;
pub(crate) use stored::stored_bytes;

/// Bytes that one row's code takes, with its factors, its share of its block's, and what refines it.
pub(crate) fn bytes_a_row(layout: Layout) -> usize {
    let factors = size_of::<Factors>() + size_of::<BlockFactors>().div_ceil(BLOCK);
    let refinement = if layout.is_refined() { layout.code_bytes() } else { 0 };
    layout.code_bytes() + factors + refinement
}

/// Rows of a block that are encoded interleaved: one to each lane of the widest vectors.
const INTERLEAVED: usize = 16;

/// From this many blocks on, encoding is spread over the threads of the current rayon pool, where that is not forbidden.
const PARALLEL_BLOCKS: usize = 64;

/// The codes of one segment's rows, in blocks of 32. A block is there once its rows are published: the rows of the last,
/// incomplete block have no codes yet.
pub(crate) struct Codes {
    layout: Layout,
    blocks: AppendBuffer<u8>,
    /// One for each row, of its refined code where codes are refined; read only for rows that survive the scan.
    rows: AppendBuffer<Factors>,
    /// One for each block, read by the scan.
    bounds: AppendBuffer<BlockFactors>,
    refinement: Option<Refinement>,
}

/// What bounds the [`Factors`] of a block's rows.
#[derive(Clone, Copy)]
pub(crate) struct BlockFactors {
    least_parallel: f32,
    most_perpendicular: f32,
    most_length: f32,
}

impl BlockFactors {
    fn of(rows: &[Factors]) -> Self {
        let most = |value: fn(&Factors) -> f32| rows.iter().map(value).fold(0.0, f32::max);
        Self {
            least_parallel: rows.iter().map(|row| row.parallel).fold(f32::INFINITY, f32::min),
            most_perpendicular: most(|row| row.perpendicular),
            most_length: most(|row| row.length()),
        }
    }
}

struct EncodedBlock {
    bytes: Vec<u8>,
    /// The factors of the codes that the scan reads.
    scanned: Vec<Factors>,
    /// Of codes that are refined, row after row: second bits, and the factors with them.
    refined: (Vec<u8>, Vec<Factors>),
}

impl Drop for EncodedBlock {
    fn drop(&mut self) {
        self.bytes.zeroize();
        self.refined.0.zeroize();
    }
}

/// Buffers of an encoding, kept from one step to the next and wiped at the end.
struct Scratch {
    levels: Zeroizing<Vec<[u8; INTERLEAVED]>>,
    /// The levels of one row.
    row: Zeroizing<Vec<u8>>,
}

/// The encoding of one block for all codes of a segment: see [`Codes::encode`].
struct Encoding<'a, R> {
    all: &'a [&'a Codes],
    block: usize,
    rotation: &'a Rotation,
    read: &'a R,
}

impl<R: Fn(usize, &mut [f32])> Loops for Encoding<'_, R> {
    type Output = Vec<EncodedBlock>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let mut encoded: Vec<_> = self.all.iter().map(|codes| codes.empty_block()).collect();
        let mut row = Zeroizing::new(vec![0.0_f32; self.rotation.dimension()]);
        let mut vectors = Zeroizing::new(vec![[0.0_f32; INTERLEAVED]; row.len()]);
        let mut scratch = Scratch {
            levels: Zeroizing::new(vec![[0; INTERLEAVED]; row.len()]),
            row: Zeroizing::new(vec![0; row.len()]),
        };
        for first in (0..BLOCK).step_by(INTERLEAVED) {
            for lane in 0..INTERLEAVED {
                (self.read)(self.block * BLOCK + first + lane, &mut row);
                vectors.iter_mut().zip(row.iter()).for_each(|(values, value)| values[lane] = *value);
            }
            self.rotation.apply(&mut vectors);
            for (codes, block) in self.all.iter().zip(&mut encoded) {
                codes.encode_rows(&vectors, &mut scratch, block);
            }
        }
        encoded
    }
}

impl Codes {
    /// No codes, with room for those of `rows` rows.
    pub(crate) fn with_capacity(layout: Layout, count: &Arc<RowCount>, rows: usize) -> Result<Self, GalleryError> {
        Ok(Self {
            layout,
            blocks: AppendBuffer::with_capacity(count, Step::Block(layout.block_bytes()), rows)?,
            rows: AppendBuffer::with_capacity(count, Step::Block(BLOCK), rows)?,
            bounds: AppendBuffer::with_capacity(count, Step::Block(1), rows)?,
            refinement: layout.is_refined().then(|| Refinement::with_capacity(layout, count, rows)).transpose()?,
        })
    }

    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Encodes blocks of one segment for all its codes. Their rows have been written; `read` gives the stored vector of one,
    /// which is rotated once for all codes.
    pub(crate) fn encode(
        all: &[&Self],
        appending: &mut Appending<'_>,
        blocks: Range<usize>,
        shape: &Shape,
        read: impl Fn(&Appending<'_>, usize, &mut [f32]) + Sync,
    ) {
        let (kernel, rotation) = (Kernel::best(), &shape.rotation);
        let encode = |appending: &Appending<'_>, block| {
            let read = |row: usize, vector: &mut [f32]| read(appending, row, vector);
            kernel.vectorise(Encoding { all, block, rotation, read: &read })
        };
        for first in blocks.clone().step_by(PARALLEL_BLOCKS * 16) {
            let group = first..(first + PARALLEL_BLOCKS * 16).min(blocks.end);
            let encoded: Vec<_> = if shape.parallel && group.len() >= PARALLEL_BLOCKS {
                let appending = &*appending;
                group.clone().into_par_iter().map(|block| encode(appending, block)).collect()
            } else {
                group.clone().map(|block| encode(appending, block)).collect()
            };
            for (block, encoded) in group.zip(&encoded) {
                for (codes, encoded) in all.iter().zip(encoded) {
                    codes.write(appending, block, encoded);
                }
            }
        }
    }

    fn empty_block(&self) -> EncodedBlock {
        // All room at once: what grows leaves copies behind.
        let (refined, rows) = if self.layout.is_refined() { (self.layout.code_bytes(), BLOCK) } else { (0, 0) };
        EncodedBlock {
            bytes: vec![0; self.layout.block_bytes()],
            scanned: Vec::with_capacity(BLOCK),
            refined: (Vec::with_capacity(refined * rows), Vec::with_capacity(rows)),
        }
    }

    /// Encodes the next rows of a block, rotated.
    #[inline(always)]
    fn encode_rows(&self, rotated: &[[f32; INTERLEAVED]], scratch: &mut Scratch, block: &mut EncodedBlock) {
        let first = block.scanned.len();
        let bits = if self.layout.is_refined() { refinement::BITS } else { self.layout.bits() };
        let fits = quantise::nearest(rotated, bits, &mut scratch.levels);
        if self.layout.is_refined() {
            block.refined.1.extend(fits.map(Factors::new));
            let signs = scratch.levels.iter().map(|levels| levels.map(|level| 2.0 * f32::from(level >> 1) - 1.0));
            block.scanned.extend(Fit::of(rotated, signs).map(Factors::new));
        } else {
            block.scanned.extend(fits.map(Factors::new));
        }
        for lane in 0..INTERLEAVED {
            let row = &mut scratch.row;
            row.iter_mut().zip(scratch.levels.iter()).for_each(|(level, levels)| *level = levels[lane]);
            if self.layout.is_refined() {
                refinement::split(row, &mut block.refined.0);
            }
            self.layout.pack(row, first + lane, &mut block.bytes);
        }
    }

    fn write(&self, appending: &mut Appending<'_>, number: usize, block: &EncodedBlock) {
        if let Some(refinement) = &self.refinement {
            refinement.write(appending, number, &block.refined.0);
            self.rows.write_slice(appending, number, &block.refined.1);
        } else {
            self.rows.write_slice(appending, number, &block.scanned);
        }
        self.blocks.write_slice(appending, number, &block.bytes);
        self.bounds.write_slice(appending, number, &[BlockFactors::of(&block.scanned)]);
    }

    /// The bytes of some blocks.
    pub(crate) fn bytes(&self, blocks: Range<usize>) -> &[u8] {
        let size = self.layout.block_bytes();
        &self.blocks.as_slice()[blocks.start * size..blocks.end * size]
    }

    /// What bounds the factors of some blocks.
    pub(crate) fn block_factors(&self, blocks: Range<usize>) -> &[BlockFactors] {
        &self.bounds.as_slice()[blocks]
    }

    /// Prefetches what is known of a row besides its code.
    pub(crate) fn prefetch(&self, row: usize) {
        prefetch(&self.rows.as_slice()[row..=row]);
        if let Some(refinement) = &self.refinement {
            refinement.prefetch(row);
        }
    }

    /// What refines the codes, where they are refined.
    pub(crate) fn refinement(&self) -> Option<&Refinement> {
        self.refinement.as_ref()
    }

    /// The factors of a row, refined where codes are.
    pub(crate) fn row_factors(&self, row: usize) -> Factors {
        self.rows.as_slice()[row]
    }
}
