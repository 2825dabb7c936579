//! From a code's modules to its text (ISO/IEC 18004, clause 12): format, mask, codewords, correction, segments.

use super::reed_solomon;
use super::tables::{alignments, blocks, version_of};

/// The characters of the alphanumeric mode, by value (table 5).
const ALPHANUMERIC: &[u8; 45] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

/// The bits that the format is masked with (7.9.1).
const FORMAT_MASK: u32 = 0b101_0100_0001_0010;

/// The generator of the format's BCH code (annex C).
const FORMAT_GENERATOR: u32 = 0b101_0011_0111;

/// Modules, dark or light, row by row.
pub(super) struct Modules {
    side: usize,
    dark: Vec<bool>,
}

impl Modules {
    /// `dark` has `side` rows of `side` modules.
    pub(super) fn new(side: usize, dark: Vec<bool>) -> Self {
        debug_assert_eq!(dark.len(), side * side, "a code is square");
        Self { side, dark }
    }

    /// The text, where enough of the modules are right.
    pub(super) fn text(&self) -> Option<String> {
        let version = version_of(self.side)?;
        let (level, mask) = self.format()?;
        let data = data(&self.codewords(version, mask), version, level)?;
        String::from_utf8(segments(&data, version)?).ok()
    }

    /// As in a mirror: rows are columns.
    pub(super) fn mirrored(&self) -> Self {
        let side = self.side;
        Self { side, dark: (0..side * side).map(|index| self.is_dark(index / side, index % side)).collect() }
    }

    fn is_dark(&self, x: usize, y: usize) -> bool {
        self.dark[y * self.side + x]
    }

    /// Level of correction and mask, from either copy, with up to three wrong bits.
    fn format(&self) -> Option<(usize, u32)> {
        let last = self.side - 1;
        let beside = |bit: usize| match bit {
            0..=5 => (8, bit),
            6 | 7 => (8, bit + 1),
            8 => (7, 8),
            _ => (14 - bit, 8),
        };
        let apart = |bit: usize| if bit < 8 { (last - bit, 8) } else { (8, last + bit - 14) };
        let read = |place: &dyn Fn(usize) -> (usize, usize)| {
            (0..15).fold(0_u32, |format, bit| {
                let (x, y) = place(bit);
                format | u32::from(self.is_dark(x, y)) << bit
            })
        };
        let copies = [read(&beside), read(&apart)];
        let differing = |format: u32| {
            let written = format_bits(format);
            copies.iter().map(|copy| (copy ^ written).count_ones()).min().unwrap_or(u32::MAX)
        };
        let format = (0..32).min_by_key(|&format| differing(format)).filter(|&format| differing(format) <= 3)?;
        Some(((format >> 3) as usize, format & 7))
    }

    /// In pairs of columns from the right, up and down by turns (7.7.3).
    fn codewords(&self, version: usize, mask: u32) -> Vec<u8> {
        let centres = alignments(version);
        let mut bits = Vec::with_capacity(self.side * self.side);
        let pairs = (1..self.side).rev().step_by(2).map(|right| if right <= 6 { right - 1 } else { right });
        for (pair, right) in pairs.enumerate() {
            for step in 0..self.side {
                let y = if pair % 2 == 0 { self.side - 1 - step } else { step };
                for x in [right, right - 1] {
                    if !is_function(x, y, self.side, version, &centres) {
                        bits.push(self.is_dark(x, y) != is_masked(x, y, mask));
                    }
                }
            }
        }
        bits.as_chunks::<8>().0.iter().map(|bits| bits.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit))).collect()
    }
}

/// The fifteen bits of a format, as they are written.
fn format_bits(format: u32) -> u32 {
    let mut rest = format << 10;
    for bit in (10..15).rev() {
        if rest >> bit & 1 == 1 {
            rest ^= FORMAT_GENERATOR << (bit - 10);
        }
    }
    (format << 10 | rest) ^ FORMAT_MASK
}

/// Whether a module holds no data (6.3).
fn is_function(x: usize, y: usize, side: usize, version: usize, centres: &[usize]) -> bool {
    let far = side - 8;
    let finder_or_format = (y <= 8 && (x <= 8 || x >= far)) || (x <= 8 && y >= far);
    let timing = x == 6 || y == 6;
    let number = version >= 7 && ((x >= side - 11 && y < 6) || (y >= side - 11 && x < 6));
    let near = |at: usize| centres.iter().find(|centre| at.abs_diff(**centre) <= 2);
    let alignment = near(x).zip(near(y)).is_some_and(|(&x, &y)| {
        // None where finders are.
        ![(6, 6), (6, side - 7), (side - 7, 6)].contains(&(x, y))
    });
    finder_or_format || timing || number || alignment
}

/// Table 10.
fn is_masked(x: usize, y: usize, mask: u32) -> bool {
    match mask {
        0 => (x + y).is_multiple_of(2),
        1 => y.is_multiple_of(2),
        2 => x.is_multiple_of(3),
        3 => (x + y).is_multiple_of(3),
        4 => (x / 3 + y / 2).is_multiple_of(2),
        5 => x * y % 2 + x * y % 3 == 0,
        6 => (x * y % 2 + x * y % 3).is_multiple_of(2),
        _ => ((x + y) % 2 + x * y % 3).is_multiple_of(2),
    }
}

/// Takes the blocks apart, which lie a codeword of each by turns, and corrects each (7.6).
fn data(codewords: &[u8], version: usize, level: usize) -> Option<Vec<u8>> {
    let (blocks, correction) = blocks(version, level);
    let shorter = codewords.len() / blocks;
    // The last blocks have one codeword of data more.
    let first_longer = blocks - codewords.len() % blocks;
    let data_length = shorter - correction;
    let mut data = Vec::with_capacity(codewords.len());
    for block in 0..blocks {
        let more = (block >= first_longer).then(|| codewords[data_length * blocks + block - first_longer]);
        let own = (0..data_length).map(|index| codewords[index * blocks + block]).chain(more);
        let code_begins = codewords.len() - correction * blocks;
        let code = (0..correction).map(|index| codewords[code_begins + index * blocks + block]);
        let mut whole: Vec<u8> = own.chain(code).collect();
        reed_solomon::correct(&mut whole, correction)?;
        data.extend_from_slice(&whole[..whole.len() - correction]);
    }
    Some(data)
}

/// The bytes of all segments (7.4). A claim is written in ASCII: kanji are none of it.
fn segments(data: &[u8], version: usize) -> Option<Vec<u8>> {
    let mut bits = Bits { data, at: 0 };
    let mut text = Vec::new();
    let wider = usize::from(version >= 10) + usize::from(version >= 27);
    while let Some(mode) = bits.take(4) {
        match mode {
            0 => break,
            1 => {
                let mut left = bits.take([10, 12, 14][wider])?;
                while left > 0 {
                    let digits = left.min(3);
                    let value = bits.take([0, 4, 7, 10][digits])?;
                    text.extend([100, 10, 1][3 - digits..].iter().map(|unit| b'0' + (value / unit % 10) as u8));
                    left -= digits;
                }
            }
            2 => {
                let mut left = bits.take([9, 11, 13][wider])?;
                while left > 0 {
                    let characters = left.min(2);
                    let value = bits.take([0, 6, 11][characters])?;
                    text.extend([45, 1][2 - characters..].iter().map(|unit| ALPHANUMERIC[value / unit % 45]));
                    left -= characters;
                }
            }
            4 => {
                let length = bits.take([8, 16, 16][wider])?;
                for _ in 0..length {
                    text.push(bits.take(8)? as u8);
                }
            }
            // Which character set bytes are in: ASCII is the same in all that are used.
            7 => {
                let more = match bits.take(8)? {
                    0..0x80 => 0,
                    0x80..0xC0 => 8,
                    _ => 16,
                };
                bits.take(more)?;
            }
            _ => return None,
        }
    }
    Some(text)
}

struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<usize> {
        let end = self.at + count;
        if end > 8 * self.data.len() {
            return None;
        }
        let value =
            (self.at..end).fold(0, |value, bit| value << 1 | usize::from(self.data[bit / 8] >> (7 - bit % 8) & 1));
        self.at = end;
        Some(value)
    }
}
