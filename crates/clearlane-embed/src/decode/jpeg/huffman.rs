//! Huffman codes of a JPEG, and the typical ones that a camera's stream leaves out.

/// Codes up to this length are looked up at once.
pub(super) const LOOKUP_BITS: u32 = 10;

/// A code of up to 256 symbols, each with 1 to 16 bits (ITU-T T.81, annex C).
#[derive(Clone)]
pub(super) struct Huffman {
    /// Symbol and length by the next bits; a length of 0 where the code is longer.
    short: Box<[[u8; 2]; 1 << LOOKUP_BITS]>,
    /// For codes of coefficients, by the next bits: value, zeros before it, and bits of code and value together; 0 where
    /// they do not fit.
    whole: Box<[[i8; 3]; 1 << LOOKUP_BITS]>,
    /// For each length: one more than its largest code, as the first of 16 bits.
    ends: [u32; 17],
    /// For each length: what its codes are less than their symbols' places.
    offsets: [i32; 17],
    symbols: [u8; 256],
}

impl Huffman {
    /// No symbol, no code.
    pub(super) fn empty() -> Self {
        Self {
            short: Box::new([[0; 2]; 1 << LOOKUP_BITS]),
            whole: Box::new([[0; 3]; 1 << LOOKUP_BITS]),
            ends: [0; 17],
            offsets: [0; 17],
            symbols: [0; 256],
        }
    }

    /// The code with so many symbols of each length from 1 on. None if it is none.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let total: usize = counts.iter().map(|&count| usize::from(count)).sum();
        if total == 0 || total > 256 || total > symbols.len() {
            return None;
        }
        let mut code = Self::empty();
        code.symbols[..total].copy_from_slice(&symbols[..total]);
        let (mut next, mut place) = (0_u32, 0_usize);
        for length in 1..=16_u32 {
            let count = u32::from(counts[length as usize - 1]);
            if next + count > 1 << length {
                return None;
            }
            code.offsets[length as usize] = place as i32 - next as i32;
            for _ in 0..count {
                if length <= LOOKUP_BITS {
                    let spare = LOOKUP_BITS - length;
                    code.short[(next << spare) as usize..][..1 << spare].fill([code.symbols[place], length as u8]);
                }
                next += 1;
                place += 1;
            }
            code.ends[length as usize] = next << (16 - length);
            next <<= 1;
        }
        code.look_up_values();
        Some(code)
    }

    fn look_up_values(&mut self) {
        for (bits, (whole, &[symbol, length])) in self.whole.iter_mut().zip(&*self.short).enumerate() {
            let (zeros, size, length) = (symbol >> 4, u32::from(symbol & 15), u32::from(length));
            if size == 0 || length == 0 || length + size > LOOKUP_BITS {
                continue;
            }
            let magnitude = (bits as i32 >> (LOOKUP_BITS - length - size)) & ((1 << size) - 1);
            let value = if magnitude >> (size - 1) == 0 { magnitude - (1 << size) + 1 } else { magnitude };
            if let Ok(value) = i8::try_from(value) {
                *whole = [value, zeros as i8, (length + size) as i8];
            }
        }
    }

    /// Symbol and length of the code that these [`LOOKUP_BITS`] begin with; a length of 0 where it is longer.
    #[inline(always)]
    pub(super) fn short(&self, bits: usize) -> [u8; 2] {
        self.short[bits & ((1 << LOOKUP_BITS) - 1)]
    }

    /// Value, zeros before it and bits in all, where these [`LOOKUP_BITS`] hold a coefficient whole; else 0 bits.
    #[inline(always)]
    pub(super) fn whole(&self, bits: usize) -> [i8; 3] {
        self.whole[bits & ((1 << LOOKUP_BITS) - 1)]
    }

    /// Symbol and length of a longer code, which these 16 bits begin with.
    pub(super) fn long(&self, bits: usize) -> Option<(u8, u32)> {
        let length = (LOOKUP_BITS as usize + 1..=16).find(|&length| bits < self.ends[length] as usize)?;
        let place = (bits >> (16 - length)) as i32 + self.offsets[length];
        Some((*self.symbols.get(usize::try_from(place).ok()?)?, length as u32))
    }
}

/// A code of ITU-T T.81, K.3, which cameras' Motion JPEG leaves out: of DC or of AC (class 1), for luma or for chroma (table 1).
/// Empty for other tables.
#[rustfmt::skip]
pub(super) fn typical(class: usize, table: usize) -> Huffman {
    const DC: [([u8; 16], [u8; 12]); 2] = [
        ([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ([0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    ];
    const AC: [([u8; 16], [u8; 162]); 2] = [
        (
            [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
            [
                0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
                0x14, 0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52, 0xD1, 0xF0, 0x24, 0x33, 0x62, 0x72,
                0x82, 0x09, 0x0A, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x34, 0x35, 0x36, 0x37,
                0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
                0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83,
                0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3,
                0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3,
                0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE1, 0xE2,
                0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
            ],
        ),
        (
            [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119],
            [
                0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
                0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33, 0x52, 0xF0, 0x15, 0x62, 0x72, 0xD1,
                0x0A, 0x16, 0x24, 0x34, 0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19, 0x1A, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x35, 0x36,
                0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
                0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A,
                0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A,
                0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA,
                0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA,
                0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
            ],
        ),
    ];
    let code = match class {
        0 => DC.get(table).and_then(|(counts, symbols)| Huffman::new(counts, symbols)),
        _ => AC.get(table).and_then(|(counts, symbols)| Huffman::new(counts, symbols)),
    };
    code.unwrap_or_else(Huffman::empty)
}
