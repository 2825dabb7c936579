//! The bits of a scan: bytes without their stuffing, up to the next marker.

use super::huffman::{Huffman, LOOKUP_BITS};
use super::scan::Damage;

/// Reads bits of entropy-coded data (ITU-T T.81, F.2.2.5). Past the data's end it gives zeros, and [`overran`](Self::overran)
/// says so.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte to take; at a marker it stays there.
    at: usize,
    /// What is waiting, from the highest bit down.
    buffer: u64,
    /// Bits of the buffer that count, invented ones among them.
    count: u32,
    /// Bits invented since the data ended.
    invented: u64,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, buffer: 0, count: 0, invented: 0 }
    }

    /// Where the data that was not taken begins: at a marker, or before it.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Whether more bits were taken than there were.
    pub(super) fn overran(&self) -> bool {
        self.invented > u64::from(self.count)
    }

    /// Whether the file ends where the data does.
    pub(super) fn is_at_end(&self) -> bool {
        self.at + 1 >= self.bytes.len()
    }

    /// Makes at least 48 bits ready: a code, its magnitude and more.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        if self.count >= 48 {
            return;
        }
        if let Some(&next) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let next = u64::from_be_bytes(next);
            let inverse = !next;
            // No byte of them is 0xFF: none of the inverse is zero.
            if inverse.wrapping_sub(0x0101_0101_0101_0101) & !inverse & 0x8080_8080_8080_8080 == 0 {
                // Bits beyond the count are those that come next: taking them again changes nothing.
                self.buffer |= next >> self.count;
                let taken = (63 - self.count) / 8;
                self.at += taken as usize;
                self.count += 8 * taken;
                return;
            }
        }
        self.refill_by_bytes();
    }

    #[inline(never)]
    fn refill_by_bytes(&mut self) {
        while self.count <= 56 {
            let byte = match self.bytes.get(self.at..) {
                Some(&[0xFF, 0x00, ..]) => {
                    self.at += 2;
                    0xFF
                }
                // Fill bytes before a marker.
                Some(&[0xFF, 0xFF, ..]) => {
                    self.at += 1;
                    continue;
                }
                Some(&[0xFF, ..] | &[]) | None => {
                    self.invented += 8;
                    0
                }
                Some(&[byte, ..]) => {
                    self.at += 1;
                    byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// The next bits, which [`refill`](Self::refill) has made ready; `count` is 1 to 32.
    #[inline(always)]
    pub(super) fn peek(&self, count: u32) -> usize {
        (self.buffer >> (64 - count)) as usize
    }

    #[inline(always)]
    pub(super) fn skip(&mut self, count: u32) {
        self.buffer <<= count;
        self.count -= count;
    }

    /// The next `count` bits, up to 16, as a number.
    #[inline(always)]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        let value = self.peek(count) as u32;
        self.skip(count);
        value
    }

    /// One bit, with no refill before it.
    #[inline(always)]
    pub(super) fn bit(&mut self) -> bool {
        if self.count == 0 {
            self.refill();
        }
        self.take(1) == 1
    }

    /// A number of so many bits, up to 15, whose first one is its sign (F.2.2.1, EXTEND).
    #[inline(always)]
    pub(super) fn signed(&mut self, size: u32) -> i32 {
        let value = self.take(size) as i32;
        // All ones where the first bit is zero.
        let negative = ((value << 1) >> size) - 1;
        value + (negative & (1 - (1 << size)))
    }

    /// The coefficient that comes next, if it and its code are short: see [`Huffman::whole`].
    #[inline(always)]
    pub(super) fn whole(&self, code: &Huffman) -> [i8; 3] {
        code.whole(self.peek(LOOKUP_BITS))
    }

    /// Begins anew after the restart marker of this number, 0 to 7.
    pub(super) fn restart(&mut self, number: u8) -> Result<(), Damage> {
        if self.overran() {
            return Err(Damage::Ended);
        }
        // Bytes that nothing has asked for are no harm.
        while !matches!(self.bytes.get(self.at..), Some(&[0xFF, 1..=0xFE, ..])) {
            if self.at >= self.bytes.len() {
                return Err(Damage::Ended);
            }
            self.at += 1;
        }
        if self.bytes[self.at + 1] != 0xD0 + number {
            return Err(Damage::Restart);
        }
        *self = Self::new(self.bytes, self.at + 2);
        Ok(())
    }

    /// The next symbol of a code; none where no code begins so.
    #[inline(always)]
    pub(super) fn symbol(&mut self, code: &Huffman) -> Option<u8> {
        let [symbol, length] = code.short(self.peek(LOOKUP_BITS));
        if length > 0 {
            self.skip(u32::from(length));
            return Some(symbol);
        }
        let (symbol, length) = code.long(self.peek(16))?;
        self.skip(length);
        Some(symbol)
    }
}
