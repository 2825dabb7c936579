//! A scan's coefficients out of its bits, for each of the coding processes with Huffman codes.

use super::bits::Bits;
use super::frame::FrameHeader;
use super::huffman::Huffman;
use super::store::Store;

/// The order of a block's coefficients in a file (ITU-T T.81, figure A.6).
#[rustfmt::skip]
pub(super) const ZIGZAG: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// What a scan header says (B.2.3).
pub(super) struct Scan<'a> {
    /// Which of the frame's components, with their codes of DC and of AC.
    pub(super) components: Vec<(usize, &'a Huffman, &'a Huffman)>,
    /// The first and the last coefficient.
    pub(super) band: [usize; 2],
    /// Bits that the scan leaves out, and whether it adds one to scans before.
    pub(super) shift: u32,
    pub(super) refines: bool,
    /// Units between restart markers; 0 for none.
    pub(super) restart: u32,
}

/// What is wrong with a scan's bits.
#[derive(Clone, Copy)]
pub(super) enum Damage {
    NoSuchCode,
    BeyondBlock,
    Ended,
    Restart,
}

/// What a coding process remembers from block to block.
#[derive(Default)]
struct Memory {
    /// Of each component in the scan.
    dc: [i32; 4],
    /// Blocks to come that have nothing more in this band.
    empty: u32,
}

type Block = [i16; 64];

impl Scan<'_> {
    /// Reads all blocks of the scan into the store.
    pub(super) fn read(&self, bits: &mut Bits<'_>, frame: &FrameHeader, store: &mut Store<'_>) -> Result<(), Damage> {
        let shift = self.shift;
        let bit = 1 << shift;
        match (frame.progressive, self.band[0] == 0, self.refines) {
            (false, ..) => self.each(bits, frame, store, |bits, memory, place, dc, ac, block| {
                sequential(bits, &mut memory.dc[place], dc, ac, block)
            }),
            (true, true, false) => self.each(bits, frame, store, |bits, memory, place, dc, _, block| {
                block[0] = (dc_of(bits, &mut memory.dc[place], dc)? << shift) as i16;
                Ok(())
            }),
            (true, true, true) => self.each(bits, frame, store, |bits, _, _, _, _, block| {
                if bits.bit() {
                    block[0] |= bit;
                }
                Ok(())
            }),
            (true, false, false) => self.each(bits, frame, store, |bits, memory, _, _, ac, block| {
                first_of_band(bits, &mut memory.empty, ac, self.band, shift, block)
            }),
            (true, false, true) => self.each(bits, frame, store, |bits, memory, _, _, ac, block| {
                refined_band(bits, &mut memory.empty, ac, self.band, bit, block)
            }),
        }
    }

    /// Runs `read` for each block in the order of the scan (A.2), and takes restart markers between them (E.2.4).
    #[inline(always)]
    fn each<'b>(
        &self,
        bits: &mut Bits<'b>,
        frame: &FrameHeader,
        store: &mut Store<'_>,
        read: impl Fn(&mut Bits<'b>, &mut Memory, usize, &Huffman, &Huffman, &mut Block) -> Result<(), Damage>,
    ) -> Result<(), Damage> {
        let alone = self.components.len() == 1;
        let [units, rows] = if alone { frame.components[self.components[0].0].blocks } else { frame.units() };
        let mut memory = Memory::default();
        let (mut left, mut next) = (self.restart, 0);
        for row in 0..rows {
            for unit in 0..units {
                if self.restart > 0 {
                    if left == 0 {
                        bits.restart(next)?;
                        memory = Memory::default();
                        (left, next) = (self.restart, (next + 1) % 8);
                    }
                    left -= 1;
                }
                for (place, &(component, dc, ac)) in self.components.iter().enumerate() {
                    let factors = &frame.components[component];
                    let [across, down] = if alone { [1, 1] } else { [factors.across, factors.down] };
                    for y in 0..down {
                        for block in store.blocks(component, [row * down, y], unit * across, across) {
                            read(bits, &mut memory, place, dc, ac, block)?;
                        }
                    }
                }
            }
            if bits.overran() {
                return Err(Damage::Ended);
            }
            for &(component, ..) in &self.components {
                let down = if alone { 1 } else { frame.components[component].down };
                store.finish(component, row * down, down);
            }
        }
        Ok(())
    }
}

#[inline(always)]
fn dc_of(bits: &mut Bits<'_>, before: &mut i32, code: &Huffman) -> Result<i32, Damage> {
    bits.refill();
    let size = bits.symbol(code).filter(|&size| size < 16).ok_or(Damage::NoSuchCode)?;
    *before = before.wrapping_add(bits.signed(u32::from(size)));
    Ok(*before)
}

/// A block of a sequential scan (F.2.2).
#[inline(always)]
fn sequential(
    bits: &mut Bits<'_>,
    before: &mut i32,
    dc: &Huffman,
    ac: &Huffman,
    block: &mut Block,
) -> Result<(), Damage> {
    *block = [0; 64];
    block[0] = dc_of(bits, before, dc)? as i16;
    let mut at = 1;
    while at < 64 {
        bits.refill();
        let [value, zeros, length] = bits.whole(ac);
        if length > 0 {
            bits.skip(length as u32);
            at += zeros as usize;
            let Some(&place) = ZIGZAG.get(at) else { return Err(Damage::BeyondBlock) };
            block[usize::from(place & 63)] = i16::from(value);
            at += 1;
            continue;
        }
        let symbol = bits.symbol(ac).ok_or(Damage::NoSuchCode)?;
        let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 {
            if zeros < 15 {
                break;
            }
            at += 16;
            continue;
        }
        at += zeros;
        let Some(&place) = ZIGZAG.get(at) else { return Err(Damage::BeyondBlock) };
        block[usize::from(place & 63)] = bits.signed(size) as i16;
        at += 1;
    }
    Ok(())
}

/// The first bits of a band of coefficients (G.1.2.2).
#[inline(always)]
fn first_of_band(
    bits: &mut Bits<'_>,
    empty: &mut u32,
    ac: &Huffman,
    [mut at, last]: [usize; 2],
    shift: u32,
    block: &mut Block,
) -> Result<(), Damage> {
    if *empty > 0 {
        *empty -= 1;
        return Ok(());
    }
    while at <= last {
        bits.refill();
        let symbol = bits.symbol(ac).ok_or(Damage::NoSuchCode)?;
        let (zeros, size) = (symbol >> 4, u32::from(symbol & 15));
        if size == 0 {
            if zeros < 15 {
                *empty = (1 << zeros) - 1 + bits.take(u32::from(zeros));
                break;
            }
            at += 16;
            continue;
        }
        at += usize::from(zeros);
        if at > last {
            return Err(Damage::BeyondBlock);
        }
        block[usize::from(ZIGZAG[at] & 63)] = (bits.signed(size) << shift) as i16;
        at += 1;
    }
    Ok(())
}

/// One more bit of a band of coefficients (G.1.2.3).
#[inline(always)]
fn refined_band(
    bits: &mut Bits<'_>,
    empty: &mut u32,
    ac: &Huffman,
    [mut at, last]: [usize; 2],
    bit: i16,
    block: &mut Block,
) -> Result<(), Damage> {
    // A coefficient that scans before made something of gets its bit, away from zero.
    let refine = |bits: &mut Bits<'_>, value: &mut i16| {
        if bits.bit() && *value & bit == 0 {
            *value = value.wrapping_add(if *value >= 0 { bit } else { -bit });
        }
    };
    if *empty == 0 {
        while at <= last {
            bits.refill();
            let symbol = bits.symbol(ac).ok_or(Damage::NoSuchCode)?;
            let (mut zeros, size) = (symbol >> 4, symbol & 15);
            let mut new = 0;
            if size > 0 {
                new = if bits.bit() { bit } else { -bit };
            } else if zeros < 15 {
                *empty = (1 << zeros) + bits.take(u32::from(zeros));
                break;
            }
            // Past so many coefficients that stay zero, to the one that does not.
            loop {
                if at > last {
                    return if size > 0 { Err(Damage::BeyondBlock) } else { Ok(()) };
                }
                let value = &mut block[usize::from(ZIGZAG[at] & 63)];
                at += 1;
                if *value != 0 {
                    refine(bits, value);
                } else if zeros == 0 {
                    *value = new;
                    break;
                } else {
                    zeros -= 1;
                }
            }
        }
    }
    if *empty > 0 {
        for &place in &ZIGZAG[at..=last] {
            let value = &mut block[usize::from(place & 63)];
            if *value != 0 {
                refine(bits, value);
            }
        }
        *empty -= 1;
    }
    Ok(())
}
