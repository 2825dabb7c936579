//! The canonical encoding: the one sequence of bytes that stands for a row where it is authenticated or chained.
//!
//! Each value is written as a one-byte tag, its length as eight bytes (little-endian), and its bytes; so no two different
//! sequences of values share an encoding.

/// A canonical encoding in the making.
#[derive(Default)]
pub(crate) struct Canonical(Vec<u8>);

impl Canonical {
    pub(crate) fn new(kind: &str) -> Self {
        // As long as most: a thousand rows in a row need not grow theirs.
        Self(Vec::with_capacity(256)).text(kind)
    }

    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        self.tagged(b'b', bytes)
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.tagged(b't', text.as_bytes())
    }

    pub(crate) fn number(self, number: i64) -> Self {
        self.tagged(b'n', &number.to_le_bytes())
    }

    pub(crate) fn absent(self) -> Self {
        self.tagged(b'-', &[])
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn tagged(mut self, tag: u8, bytes: &[u8]) -> Self {
        self.0.push(tag);
        self.0.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }
}
