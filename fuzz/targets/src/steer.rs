//! Choices that bytes make: where they end, the choices are the first ones.

/// Bytes that are read from the front.
#[derive(Clone, Debug)]
pub struct Steer<'b>(&'b [u8]);

impl<'b> Steer<'b> {
    /// Choices by these bytes.
    #[must_use]
    pub fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    /// The next byte; 0 after the last.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().map_or((0, self.0), |(first, rest)| (*first, rest));
        self.0 = rest;
        first
    }

    /// The next four bytes as a number, the lowest first.
    pub fn number(&mut self) -> u32 {
        u32::from_le_bytes([(); 4].map(|()| self.byte()))
    }

    /// A number below `limit`, by one byte; 0 where the limit is.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit.max(1)
    }

    /// Whether, in one of two cases.
    pub fn flip(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// One of several.
    pub fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// So many of the next bytes, or those that are left.
    pub fn take(&mut self, count: usize) -> &'b [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'b [u8] {
        self.take(usize::MAX)
    }

    /// Whether no byte is left.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}
