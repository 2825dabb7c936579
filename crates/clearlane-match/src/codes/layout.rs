//! Where the bits of a code are stored.
//!
//! Codes are stored in blocks of 32, so that one instruction works on the same dimensions of several codes. A block holds the
//! first *unit* of each of its codes, then the second of each, and so on, so that a kernel reads memory straight on: one that
//! alternated between places half a KiB apart read a third less in a second.
//!
//! - One bit: a unit is 8 bytes, 64 dimensions, where a kernel counts bits in whole words, and one byte where it looks half
//!   bytes up in tables ([`Kernel::unit`]). A code has whole words either way.
//! - Two and four bits: a unit is 4 bytes, 16 or 8 dimensions. Byte i of them holds, in fields from the lowest bits up,
//!   dimensions i, 4 + i, 8 + i, ... of the unit's.

use crate::kernel::{BLOCK, Kernel};

/// The form of a gallery's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    bits: u32,
    dimension: usize,
    /// Bytes of one code that stand together.
    unit: usize,
}

impl Layout {
    /// The most bits a dimension, of 1, 2 and 4, with which a code of `dimension` takes at most `budget` bytes.
    pub(crate) fn within(dimension: usize, budget: usize, kernel: Kernel) -> Option<Self> {
        [4, 2, 1]
            .map(|bits| Self::new(dimension, bits, kernel))
            .into_iter()
            .find(|layout| layout.code_bytes() <= budget)
    }

    /// Codes of `bits` bits a dimension, 1, 2 or 4, that this kernel scans.
    pub(crate) fn new(dimension: usize, bits: u32, kernel: Kernel) -> Self {
        Self { bits, dimension, unit: if bits == 1 { kernel.unit() } else { 4 } }
    }

    /// The same codes with units of so many bytes, where they have one bit: others have the same for every kernel.
    pub(crate) const fn with_unit(self, unit: usize) -> Self {
        if self.bits == 1 { Self { unit, ..self } } else { self }
    }

    /// Bytes of one code that stand together.
    pub(crate) const fn unit(self) -> usize {
        self.unit
    }

    pub(crate) const fn bits(self) -> u32 {
        self.bits
    }

    /// Whether codes have second bits in addition: see [`super::refinement`].
    pub(crate) const fn is_refined(self) -> bool {
        self.bits == 1
    }

    /// Bytes of one code.
    pub(crate) const fn code_bytes(self) -> usize {
        match self.bits {
            1 => self.dimension.div_ceil(64) * 8,
            bits => self.dimension.div_ceil(32 / bits as usize) * 4,
        }
    }

    /// Bytes of a block of 32 codes.
    pub(crate) const fn block_bytes(self) -> usize {
        self.code_bytes() * BLOCK
    }

    /// Where in a block the unit of this number of the code at place `lane` begins.
    #[inline(always)]
    const fn at(self, unit: usize, lane: usize) -> usize {
        (unit * BLOCK + lane) * self.unit
    }

    /// Arranges a block of codes that has another layout's units in this one's.
    pub(crate) fn rearrange(self, from: Self, block: &[u8], arranged: &mut [u8]) {
        for lane in 0..BLOCK {
            for byte in 0..self.code_bytes() {
                let old = from.at(byte / from.unit, lane) + byte % from.unit;
                arranged[self.at(byte / self.unit, lane) + byte % self.unit] = block[old];
            }
        }
    }

    /// Writes the code with these levels to place `lane` of a block; the block's bytes there are zero.
    #[inline(always)]
    pub(crate) fn pack(self, levels: &[u8], lane: usize, block: &mut [u8]) {
        if self.bits == 1 {
            for (byte, levels) in levels.chunks(8).enumerate() {
                let bits = levels.iter().rev().fold(0, |bits, level| bits << 1 | level);
                block[self.at(byte / self.unit, lane) + byte % self.unit] = bits;
            }
            return;
        }
        for (unit, levels) in levels.chunks(32 / self.bits as usize).enumerate() {
            let at = self.at(unit, lane);
            for (i, level) in levels.iter().enumerate() {
                block[at + i % 4] |= level << (i / 4 * self.bits as usize);
            }
        }
    }
}
