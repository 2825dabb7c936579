//! Mutations of a file, always the same for the same seed: for runs without libFuzzer.

/// Random numbers: xorshift64* (Vigna, 2016). The seed must not be 0.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`; 0 where the limit is.
    pub fn below(&mut self, limit: usize) -> usize {
        ((self.bits() >> 16) % limit.max(1) as u64) as usize
    }
}

/// The longest file that is made.
const LONGEST: usize = 1 << 18;

/// Some mutations of `seed`; `other` is a file to take parts from.
#[must_use]
pub fn mutate(seed: &[u8], other: &[u8], pieces: &[&[u8]], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        let to = (at + random.below(40)).min(bytes.len());
        match random.below(10) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            2 if at < bytes.len() => bytes[at] = random.bits() as u8,
            3 if at < bytes.len() => {
                // Lengths and counts are small numbers, and one more or less is what is forgotten.
                let by = [1, 255, 2, 254, 16, 240][random.below(6)];
                bytes[at] = bytes[at].wrapping_add(by);
            }
            4 => drop(bytes.drain(at..to)),
            5 if random.below(4) == 0 => bytes.truncate(at),
            6 => {
                let copy = bytes[at..to].to_vec();
                let into = random.below(bytes.len() + 1);
                bytes.splice(into..into, copy.repeat(1 + random.below(8)));
            }
            7 => {
                let from = random.below(other.len() + 1);
                let part = &other[from..(from + random.below(60)).min(other.len())];
                // In place of as much, so that offsets stay.
                let end = (at + part.len()).min(bytes.len());
                bytes.splice(at..end, part.iter().copied());
            }
            kind => {
                let piece = pieces[random.below(pieces.len())];
                let end = if kind == 8 { at } else { (at + piece.len()).min(bytes.len()) };
                bytes.splice(at..end, piece.iter().copied());
            }
        }
    }
    bytes.truncate(LONGEST);
    bytes
}
