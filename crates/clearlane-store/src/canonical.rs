//! The canonical encoding: the one sequence of bytes that stands for a row where it is authenticated or chained.
//!
//! Each value is written as a one-byte tag, its length as eight bytes (little-endian), and its bytes; so no two different
//! sequences of values share an encoding.

use std::io::Write as _;

/// A canonical encoding in the making, of one row or of several in sequence.
pub(crate) struct Canonical(Vec<u8>);

impl Canonical {
    pub(crate) fn new() -> Self {
        // The longest row without texts, the root's, fits.
        Self(Vec::with_capacity(768))
    }

    /// The same buffer, for another row.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The text that a row begins with: its table and its encoding.
    pub(crate) fn head(&mut self, table: &str, encoding: i64) -> &mut Self {
        let from = self.0.len();
        self.text(table);
        // Writing to a Vec cannot fail.
        _ = write!(self.0, " {encoding}");
        let length = (self.0.len() - from - 9) as u64;
        self.0[from + 1..from + 9].copy_from_slice(&length.to_le_bytes());
        self
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.tagged(b'b', bytes)
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.tagged(b't', text.as_bytes())
    }

    pub(crate) fn number(&mut self, number: i64) -> &mut Self {
        self.tagged(b'n', &number.to_le_bytes())
    }

    pub(crate) fn absent(&mut self) -> &mut Self {
        self.tagged(b'-', &[])
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) -> &mut Self {
        self.0.push(tag);
        self.0.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }
}
