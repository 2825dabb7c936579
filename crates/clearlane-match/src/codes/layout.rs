//! Where the bits of a code are stored.
//!
//! Codes are stored in blocks of 32, so that one instruction works on the same dimensions of several codes.
//!
//! - One bit: four groups of 8 codes; a group has a line of 64 bytes for each 64 dimensions, with 8 bytes of each code.
//! - Two and four bits: two groups of 16 codes; a group has a line of 64 bytes for each 16 or 8 dimensions, with 4 bytes of
//!   each code. Byte i of these holds, in fields from the lowest bits up, dimensions i, 4 + i, 8 + i, ... of the line's.
//!
//! The groups' lines alternate, so that a kernel that works on all groups at once reads memory straight on: one that
//! alternated between places half a KiB apart read a third less in a second.

use crate::kernel::BLOCK;

/// How many bytes a line has.
pub(crate) const LINE: usize = 64;

/// The form of a gallery's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    bits: u32,
    dimension: usize,
}

impl Layout {
    /// The most bits a dimension, of 1, 2 and 4, with which a code of `dimension` takes at most `budget` bytes.
    pub(crate) fn within(dimension: usize, budget: usize) -> Option<Self> {
        [4, 2, 1].map(|bits| Self { bits, dimension }).into_iter().find(|layout| layout.code_bytes() <= budget)
    }

    /// Codes of `bits` bits a dimension: 1, 2 or 4.
    pub(crate) const fn new(dimension: usize, bits: u32) -> Self {
        Self { bits, dimension }
    }

    pub(crate) const fn bits(self) -> u32 {
        self.bits
    }

    /// Whether codes have second bits in addition: see [`super::refinement`].
    pub(crate) const fn is_refined(self) -> bool {
        self.bits == 1
    }

    /// Dimensions that one line covers.
    const fn line_dimensions(self) -> usize {
        match self.bits {
            1 => 64,
            bits => 32 / bits as usize,
        }
    }

    /// Lines of one group.
    const fn lines(self) -> usize {
        self.dimension.div_ceil(self.line_dimensions())
    }

    /// Codes that share a line.
    const fn line_codes(self) -> usize {
        if self.bits == 1 { 8 } else { 16 }
    }

    /// Bytes of one code.
    pub(crate) const fn code_bytes(self) -> usize {
        self.lines() * LINE / self.line_codes()
    }

    /// Bytes of a block of 32 codes.
    pub(crate) const fn block_bytes(self) -> usize {
        self.code_bytes() * BLOCK
    }

    /// Writes the code with these levels to place `lane` of a block; the block's bytes there are zero.
    #[inline(always)]
    pub(crate) fn pack(self, levels: &[u8], lane: usize, block: &mut [u8]) {
        let (group, groups) = (lane / self.line_codes(), BLOCK / self.line_codes());
        let bytes_a_line = LINE / self.line_codes();
        let column = lane % self.line_codes() * bytes_a_line;
        for (line, levels) in levels.chunks(self.line_dimensions()).enumerate() {
            let at = (line * groups + group) * LINE + column;
            for (i, level) in levels.iter().enumerate() {
                let (byte, shift) = match self.bits {
                    1 => (i / 8, i % 8),
                    bits => (i % 4, i / 4 * bits as usize),
                };
                block[at + byte] |= level << shift;
            }
        }
    }

    /// Writes a one-bit code, bit after bit in its bytes, to place `lane` of a block.
    pub(crate) fn place(self, code: &[u8], lane: usize, block: &mut [u8]) {
        let (group, groups) = (lane / self.line_codes(), BLOCK / self.line_codes());
        let bytes_a_line = LINE / self.line_codes();
        let column = lane % self.line_codes() * bytes_a_line;
        for (line, word) in code.chunks_exact(bytes_a_line).enumerate() {
            block[(line * groups + group) * LINE + column..][..bytes_a_line].copy_from_slice(word);
        }
    }
}
