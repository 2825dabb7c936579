//! Codes: small images of the stored vectors, scanned in place of them.
//!
//! A vector x is rotated by a random orthogonal matrix and its values are rounded to 2ᵇ levels each: its code o, odd
//! integers. A probe q is rounded likewise, to r. The scan computes ⟨r, o⟩ in integers, and [`bound`] turns a threshold on
//! ⟨q, x⟩ into one on ⟨r, o⟩, by way of two numbers for each vector, ⟨x, o⟩ and the length of what o has beside x. The
//! estimator is RaBitQ's (Gao and Long, SIGMOD 2024; Gao and others, SIGMOD 2025, for several bits).
//!
//! Codes of one bit rule out all but some thousandths of a gallery, and these are many: see [`refinement`].
#![allow(clippy::inline_always, reason = "encoding is compiled for each instruction set: see `Loops`")]

mod bound;
mod layout;
mod probe;
mod quantise;
mod refinement;
mod rotation;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use crate::GalleryError;
use crate::kernel::{AppendBuffer, BLOCK, Kernel, Loops, prefetch};
use quantise::Factors;
use refinement::Refinement;

pub(crate) use bound::{Bound, Contract};
pub(crate) use layout::Layout;
pub(crate) use probe::CodedProbe;
pub(crate) use rotation::Rotation;

/// Bytes that one row's code takes, with its factors, its share of its block's, and what refines it.
pub(crate) fn bytes_a_row(layout: Layout) -> usize {
    let factors = size_of::<Factors>() + size_of::<BlockFactors>().div_ceil(BLOCK);
    let refinement = if layout.is_refined() { layout.code_bytes() } else { 0 };
    layout.code_bytes() + factors + refinement
}

/// Rows of a block that are encoded abreast: one to each value of the widest vectors.
const ABREAST: usize = 16;

/// From this many blocks on, encoding is spread over the threads of the current rayon pool.
const PARALLEL_BLOCKS: usize = 64;

/// The codes of one segment's rows, in blocks of 32. A block is there once its rows are: the rows of the last,
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
    least_along: f32,
    most_beside: f32,
    most_length: f32,
}

struct EncodedBlock {
    bytes: Vec<u8>,
    /// The factors of the codes that the scan reads.
    scanned: Vec<Factors>,
    /// Of codes that are refined, row after row: second bits, and the factors with them.
    refined: (Vec<u8>, Vec<Factors>),
}

/// The encoding of one block for all codes of a segment: see [`Codes::encode_up_to`].
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
        let mut row = vec![0.0; self.rotation.dimension()];
        let mut vectors = vec![[0.0; ABREAST]; row.len()];
        let mut levels = vec![[0; ABREAST]; row.len()];
        for first in (0..BLOCK).step_by(ABREAST) {
            for lane in 0..ABREAST {
                (self.read)(self.block * BLOCK + first + lane, &mut row);
                vectors.iter_mut().zip(&row).for_each(|(values, value)| values[lane] = *value);
            }
            self.rotation.apply(&mut vectors);
            for (codes, block) in self.all.iter().zip(&mut encoded) {
                codes.encode(&vectors, &mut levels, block);
            }
        }
        encoded
    }
}

impl Codes {
    pub(crate) fn with_capacity(layout: Layout, rows: usize) -> Result<Self, GalleryError> {
        let blocks = rows / BLOCK;
        Ok(Self {
            layout,
            blocks: AppendBuffer::with_capacity(blocks * layout.block_bytes())?,
            rows: AppendBuffer::with_capacity(blocks * BLOCK)?,
            bounds: AppendBuffer::with_capacity(blocks)?,
            refinement: layout.is_refined().then(|| Refinement::with_capacity(layout, blocks * BLOCK)).transpose()?,
        })
    }

    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// How many blocks there are.
    pub(crate) fn len(&self) -> usize {
        self.bounds.as_slice().len()
    }

    /// Encodes the blocks of one segment's codes, which are equally many, from the next one up to `blocks`. `read` writes the
    /// stored vector of a row, which is rotated once for all codes.
    pub(crate) fn encode_up_to(
        all: &[&Self],
        blocks: usize,
        rotation: &Rotation,
        read: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        let kernel = Kernel::best();
        let encode = |block| kernel.vectorise(Encoding { all, block, rotation, read: &read });
        let append = |encoded: &[EncodedBlock]| all.iter().zip(encoded).for_each(|(codes, block)| codes.append(block));
        let from = all.first().map_or(blocks, |codes| codes.len());
        for first in (from..blocks).step_by(PARALLEL_BLOCKS * 16) {
            let group = first..(first + PARALLEL_BLOCKS * 16).min(blocks);
            if group.len() >= PARALLEL_BLOCKS {
                let encoded: Vec<_> = group.into_par_iter().map(encode).collect();
                for block in &encoded {
                    append(block);
                }
            } else {
                for block in group {
                    append(&encode(block));
                }
            }
        }
    }

    fn empty_block(&self) -> EncodedBlock {
        EncodedBlock {
            bytes: vec![0; self.layout.block_bytes()],
            scanned: Vec::new(),
            refined: (Vec::new(), Vec::new()),
        }
    }

    /// Encodes the next rows of a block, rotated; `levels` is kept from one call to the next.
    #[inline(always)]
    fn encode(&self, rotated: &[[f32; ABREAST]], levels: &mut [[u8; ABREAST]], block: &mut EncodedBlock) {
        let first = block.scanned.len();
        let bits = if self.layout.is_refined() { refinement::BITS } else { self.layout.bits() };
        let factors = quantise::nearest(rotated, bits, levels);
        if self.layout.is_refined() {
            block.refined.1.extend(factors);
            let signs = levels.iter().map(|levels| levels.map(|level| 2.0 * f32::from(level >> 1) - 1.0));
            block.scanned.extend(Factors::of(rotated, signs));
        } else {
            block.scanned.extend(factors);
        }
        for lane in 0..ABREAST {
            let mut levels: Vec<u8> = levels.iter().map(|levels| levels[lane]).collect();
            if self.layout.is_refined() {
                block.refined.0.extend(refinement::split(&mut levels));
            }
            self.layout.pack(&levels, first + lane, &mut block.bytes);
        }
    }

    fn append(&self, block: &EncodedBlock) {
        if let Some(refinement) = &self.refinement {
            refinement.append(&block.refined.0);
            self.rows.extend_from_slice(&block.refined.1);
        } else {
            self.rows.extend_from_slice(&block.scanned);
        }
        self.blocks.extend_from_slice(&block.bytes);
        let most = |value: fn(&Factors) -> f32| block.scanned.iter().map(value).fold(0.0, f32::max);
        self.bounds.extend_from_slice(&[BlockFactors {
            least_along: block.scanned.iter().map(|row| row.along).fold(f32::INFINITY, f32::min),
            most_beside: most(|row| row.beside),
            most_length: most(|row| row.length()),
        }]);
    }

    /// The bytes of some blocks.
    pub(crate) fn bytes(&self, blocks: std::ops::Range<usize>) -> &[u8] {
        let size = self.layout.block_bytes();
        &self.blocks.as_slice()[blocks.start * size..blocks.end * size]
    }

    /// What bounds the factors of some blocks.
    pub(crate) fn block_factors(&self, blocks: std::ops::Range<usize>) -> &[BlockFactors] {
        &self.bounds.as_slice()[blocks]
    }

    /// Asks for what is known of a row beside its code, and will be read soon.
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
