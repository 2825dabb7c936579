//! Where things are in a file.

use super::header::HEADER;
use super::seal::SEAL;
use super::{ORDER_ROWS, PIECE_ROWS};
use crate::codes;
use crate::gallery::Shape;
use crate::kernel::BLOCK;

/// Bytes of an owner: subject and template.
pub(super) const OWNER: usize = 16;

/// Where the parts of a file lie that has so many rows of this shape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    pub(super) rows: u64,
    /// Bytes of a sealed row.
    row: u64,
    /// Bytes of all codes of a block.
    block: u64,
}

impl Places {
    pub(super) fn new(shape: &Shape, rows: u64) -> Self {
        let layouts = [Some(shape.sketch), shape.fine].into_iter().flatten();
        let block: usize = layouts.map(codes::stored_bytes).sum();
        Self { rows, row: (shape.row_bytes() + SEAL) as u64, block: block as u64 }
    }

    /// Bytes of a sealed row.
    pub(super) fn row_bytes(&self) -> usize {
        self.row as usize
    }

    pub(super) fn pieces(&self) -> u64 {
        self.rows.div_ceil(PIECE_ROWS as u64)
    }

    /// The rows of a piece.
    pub(super) fn piece_rows(&self, piece: u64) -> usize {
        (self.rows - piece * PIECE_ROWS as u64).min(PIECE_ROWS as u64) as usize
    }

    /// Bytes of the sealed owners and codes of so many rows.
    pub(super) fn codes_bytes(&self, rows: usize) -> usize {
        rows * OWNER + rows / BLOCK * self.block as usize + SEAL
    }

    fn piece(&self, piece: u64) -> u64 {
        let whole = PIECE_ROWS as u64 * self.row + self.codes_bytes(PIECE_ROWS) as u64;
        HEADER as u64 + piece * whole
    }

    /// Where a row begins.
    pub(super) fn row(&self, row: u64) -> u64 {
        self.piece(row / PIECE_ROWS as u64) + row % PIECE_ROWS as u64 * self.row
    }

    /// Where the owners and codes of a piece begin.
    pub(super) fn codes(&self, piece: u64) -> u64 {
        self.piece(piece) + self.piece_rows(piece) as u64 * self.row
    }

    pub(super) fn order_pieces(&self) -> u64 {
        self.rows.div_ceil(ORDER_ROWS as u64)
    }

    /// The rows that a piece of the order by subject names.
    pub(super) fn order_rows(&self, piece: u64) -> usize {
        (self.rows - piece * ORDER_ROWS as u64).min(ORDER_ROWS as u64) as usize
    }

    /// Where a piece of the order by subject begins.
    pub(super) fn order(&self, piece: u64) -> u64 {
        let start = match self.pieces().checked_sub(1) {
            Some(last) => self.codes(last) + self.codes_bytes(self.piece_rows(last)) as u64,
            None => HEADER as u64,
        };
        start + piece * (ORDER_ROWS * size_of::<u32>() + SEAL) as u64
    }

    /// Bytes of the whole file.
    pub(super) fn end(&self) -> u64 {
        match self.order_pieces().checked_sub(1) {
            Some(last) => self.order(last) + (self.order_rows(last) * size_of::<u32>() + SEAL) as u64,
            None => HEADER as u64,
        }
    }
}
