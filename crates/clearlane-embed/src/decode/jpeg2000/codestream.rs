//! The headers of a codestream (ISO/IEC 15444-1, annex A), read as the decoder reads them, so that the most that it can hold is known
//! before it begins. A codestream that two readers could take for two things is refused, whether or not the standard allows it; so is
//! what no portrait needs and what has a decoder work without end.

use super::super::{DecodeError, DecodeLimits, check_pixels, damaged, truncated, unsupported};
use super::MAX_COMPONENTS;

/// Tiles of a picture: each has lists of its own. Scanners of maps write thousands, cameras and passports one.
const MAX_TILES: u64 = 1024;

/// The decoder adds the largest precinct's side to a coordinate, in 32 bits.
const MAX_COORDINATE: u64 = 1 << 31;

/// What the decoder holds: of a pixel, while one component after the other is transformed, and of each sample of it; of a code block, in
/// its lists and trees, which double as they grow; of a quality layer of a code block, and of a segment of its codeword; of a component
/// of a tile; of a part of a tile; of a byte of a code block's data, which may be all of them, put together from its segments.
const BYTES_A_PIXEL: u64 = 20;
const BYTES_A_SAMPLE: u64 = 9;
const BYTES_A_BLOCK: u64 = 600;
const BYTES_A_LAYER: u64 = 120;
const BYTES_A_SEGMENT: u64 = 48;
const BYTES_A_COMPONENT: u64 = 1024;
const BYTES_A_PART: u64 = 256;
const BYTES_A_BYTE: u64 = 2;

/// A tag tree (B.10.2) takes the decoder as much work as if a precinct's blocks were a square with their longer side. The bound is on
/// blocks times that side, summed over all trees of a picture: some seconds' work.
const MAX_IN_TREES: u64 = 1 << 26;

/// Segments of a codeword that ends with each coding pass, and of one that ends with those that leave arithmetic coding out (table
/// A.19, D.4 and D.6): of 32 bit planes, each but the first in three passes.
const SEGMENTS_OF_PASSES: u64 = 3 * 32 - 2;
const SEGMENTS_OF_BYPASS: u64 = 2 * 32 - 2;

/// Levels of decomposition (A.6.1).
const MAX_LEVELS: usize = 32;

/// Sub-bands that have a step of quantisation (A.6.4).
const MAX_STEPS: usize = 3 * MAX_LEVELS + 1;

/// Parts of a tile (A.4.2).
const MAX_TILE_PARTS: u8 = 255;

/// Marker codes (table A.2).
const SOT: u8 = 0x90;
const SOD: u8 = 0x93;
const EOC: u8 = 0xD9;
const COD: u8 = 0x52;
const COC: u8 = 0x53;
const QCD: u8 = 0x5C;
const QCC: u8 = 0x5D;
const RGN: u8 = 0x5E;

/// What the headers say of the decoder's work.
pub(super) struct Layout {
    size: Size,
    /// For each resolution, the smallest sides of code blocks, as exponents of 2.
    blocks: [[u32; 2]; MAX_LEVELS + 1],
    /// The fewest levels that a component of a tile has, and the most.
    levels: [usize; 2],
    layers: u64,
    /// Segments of a code block beyond one for each layer.
    segments: u64,
    parts: u64,
    /// Bytes of the codestream.
    length: u64,
}

impl Layout {
    /// Refuses a picture whose trees take too much work, and one that lacks a tile, which its decoder would leave black: a face is whole or none (A.4.2).
    pub(super) fn read(codestream: &[u8], limits: &DecodeLimits) -> Result<Self, DecodeError> {
        let (size, mut rest) = Size::read(codestream, limits)?;
        let mut of_tiles = vec![0_u8; size.tiles() as usize];
        let (blocks, levels) = ([[10; 2]; MAX_LEVELS + 1], [MAX_LEVELS, 0]);
        let mut layout =
            Self { size, blocks, levels, layers: 1, segments: 0, parts: 0, length: codestream.len() as u64 };
        // A tile-part's header ends where its data begins; the main header, where the first tile-part does.
        let mut tile = layout.header(&mut rest, SOT)?;
        loop {
            let &[tile_high, tile_low, a, b, c, d, _, _] = tile else {
                return Err(damaged("a tile of the JPEG 2000 codestream has no legal header"));
            };
            let index = usize::from(u16::from_be_bytes([tile_high, tile_low]));
            let of_tile = of_tiles.get_mut(index).filter(|parts| **parts < MAX_TILE_PARTS);
            *of_tile.ok_or_else(|| damaged("the JPEG 2000 codestream has a part of a tile too many"))? += 1;
            layout.parts += 1;
            // Counted from the marker on, twelve bytes before.
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            let Some(length) = length.checked_sub(12) else {
                return Err(unsupported("JPEG 2000 with a tile that does not say its length"));
            };
            let (mut part, after) = rest.split_at_checked(length).ok_or_else(ended)?;
            layout.header(&mut part, SOD)?;
            rest = after;
            match rest.split_first_chunk::<2>() {
                Some((&[0xFF, SOT], _)) => tile = segment(&mut rest)?.1,
                Some((&[0xFF, EOC], _)) | None => break,
                Some(_) => return Err(damaged("the JPEG 2000 codestream has something between its tiles")),
            }
        }
        if of_tiles.contains(&0) {
            return Err(truncated("the JPEG 2000 codestream lacks a tile"));
        }
        if layout.in_trees() > MAX_IN_TREES {
            return Err(unsupported("JPEG 2000 with so many code blocks side by side"));
        }
        Ok(layout)
    }

    /// Takes marker segments off up to and with the marker `end`, whose segment is returned: none follows [`SOD`].
    fn header<'a>(&mut self, rest: &mut &'a [u8], end: u8) -> Result<&'a [u8], DecodeError> {
        loop {
            match rest.split_first_chunk::<2>() {
                Some((&[0xFF, SOD], after)) if end == SOD => {
                    *rest = after;
                    return Ok(&[]);
                }
                // Markers without a segment, which mean nothing (A.2).
                Some((&[0xFF, 0x30..=0x3F], after)) => {
                    *rest = after;
                    continue;
                }
                _ => {}
            }
            let (code, parameters) = segment(rest)?;
            if code == end {
                return Ok(parameters);
            }
            if !self.take(code, parameters)? {
                return Err(damaged("a header of the JPEG 2000 codestream has a segment that is not of its length"));
            }
        }
    }

    /// Notes what a marker segment asks for. Whether it has the length that its parameters take, for a picture of under 257 components:
    /// the decoder goes by one of these, and others by the other.
    fn take(&mut self, code: u8, parameters: &[u8]) -> Result<bool, DecodeError> {
        Ok(match (code, parameters) {
            (COD, &[style, _, high, low, _, ref blocks @ ..]) => {
                self.layers = self.layers.max(u64::from(u16::from_be_bytes([high, low])));
                self.take_blocks(style, blocks)
            }
            (COC, &[_, style, ref blocks @ ..]) => self.take_blocks(style, blocks),
            (QCD, &[style, ref steps @ ..]) | (QCC, &[_, style, ref steps @ ..]) => match style & 31 {
                0 => steps.len() <= MAX_STEPS,
                1 => steps.len() == 2,
                _ => steps.len().is_multiple_of(2) && steps.len() <= 2 * MAX_STEPS,
            },
            (RGN, parameters) => parameters.len() == 3,
            // Lengths of tile-parts and of packets, the registration of components, comments.
            (0x55 | 0x57 | 0x58 | 0x63 | 0x64, _) => true,
            // Each change goes through all packets once more, and each packed header is a list of its own.
            (0x5F, _) => return Err(unsupported("JPEG 2000 that changes its order of progression")),
            (0x60 | 0x61, _) => return Err(unsupported("JPEG 2000 with packed packet headers")),
            (COD | COC | QCD | QCC, _) => false,
            (code, _) => return Err(unsupported(&format!("JPEG 2000 with a segment of kind {code:02X}"))),
        })
    }

    /// Sides of code blocks, and of the precincts that cut them (A.6.1, tables A.15, A.18, A.19 and A.21; B.7).
    fn take_blocks(&mut self, style: u8, parameters: &[u8]) -> bool {
        let Some((&[levels, width, height, blocks, _], given)) = parameters.split_first_chunk() else { return false };
        let levels = usize::from(levels);
        self.levels = [self.levels[0].min(levels), self.levels[1].max(levels.min(MAX_LEVELS))];
        self.segments = self.segments.max(match blocks {
            blocks if blocks & 4 > 0 => SEGMENTS_OF_PASSES,
            blocks if blocks & 1 > 0 => SEGMENTS_OF_BYPASS,
            _ => 0,
        });
        let sides = [width, height].map(|exponent| u32::from(exponent & 15) + 2);
        let precincts = style & 1 == 1;
        for (resolution, least) in self.blocks.iter_mut().enumerate() {
            let precinct = if precincts { given.get(resolution).copied().unwrap_or(0xFF) } else { 0xFF };
            let precinct = [precinct & 15, precinct >> 4]
                .map(|exponent| u32::from(exponent).saturating_sub(u32::from(resolution > 0)));
            *least = [0, 1].map(|side| least[side].min(sides[side]).min(precinct[side]));
        }
        given.len() == if precincts { levels + 1 } else { 0 }
    }

    /// For each resolution of a component of a tile, the most code blocks that a sub-band has across and down, and how many sub-bands there
    /// are: three, of the lowest one (B.5). Blocks are up to one more than fit at either end of a side, and as many again for rounding (B.7).
    fn sub_bands(&self) -> impl Iterator<Item = ([u64; 2], u64)> {
        let [fewest, most] = self.levels;
        (0..=most).map(move |resolution| {
            let halved = if resolution == 0 { fewest } else { fewest.saturating_sub(resolution - 1).max(1) };
            let blocks = [0, 1].map(|side| (self.size.tile[side] >> halved) / (1 << self.blocks[resolution][side]) + 3);
            (blocks, if resolution == 0 { 1 } else { 3 })
        })
    }

    /// The code blocks of all tag trees, each as often as the longer side of its tree is long.
    fn in_trees(&self) -> u64 {
        let a_component = self.sub_bands().fold(0_u64, |sum, ([across, down], sub_bands)| {
            let longest = across.max(down).next_power_of_two();
            sum.saturating_add(across.saturating_mul(down).saturating_mul(longest).saturating_mul(sub_bands))
        });
        a_component.saturating_mul(self.size.components * self.size.tiles())
    }

    /// The most that decoding holds at once, in bytes, where a palette makes `channels` of the components. Tiles are decoded one after the
    /// other.
    pub(super) fn memory(&self, channels: u64) -> u64 {
        let Size { components, area, .. } = self.size;
        let blocks = self.sub_bands().fold(0_u64, |blocks, ([across, down], sub_bands)| {
            blocks.saturating_add(across.saturating_mul(down).saturating_mul(sub_bands))
        });
        let a_block = BYTES_A_BLOCK + BYTES_A_LAYER * self.layers + BYTES_A_SEGMENT * self.segments;
        [
            area.saturating_mul(BYTES_A_PIXEL + BYTES_A_SAMPLE * (components + channels)),
            blocks.saturating_mul(components * a_block),
            self.size.tiles() * components * BYTES_A_COMPONENT,
            self.parts * BYTES_A_PART,
            self.length * BYTES_A_BYTE,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

/// What the SIZ marker segment says (A.5.1), which comes first.
struct Size {
    components: u64,
    /// Pixels of the picture.
    area: u64,
    /// Tiles across and down.
    tiles: [u64; 2],
    /// The largest tile's width and height in pixels.
    tile: [u64; 2],
}

impl Size {
    /// The size, and what comes after it.
    fn read<'a>(codestream: &'a [u8], limits: &DecodeLimits) -> Result<(Self, &'a [u8]), DecodeError> {
        let illegal = || damaged("the JPEG 2000 codestream has no legal size");
        let mut rest = codestream.get(2..).unwrap_or_default();
        let (_, parameters) = segment(&mut rest)?;
        let (fields, components) = parameters.split_first_chunk::<36>().ok_or_else(illegal)?;
        let side = |at: usize| fields[at..at + 4].iter().fold(0, |side, &byte| side << 8 | u64::from(byte));
        let [right, bottom, left, top, tile_width, tile_height, tile_left, tile_top] =
            [2, 6, 10, 14, 18, 22, 26, 30].map(side);
        if right <= left || bottom <= top || tile_width == 0 || tile_height == 0 || tile_left > left || tile_top > top {
            return Err(illegal());
        }
        if right > MAX_COORDINATE || bottom > MAX_COORDINATE {
            return Err(unsupported("JPEG 2000 with coordinates beyond 2^31"));
        }
        let (width, height) = (right - left, bottom - top);
        check_pixels(width as u32, height as u32, limits)?;
        let count = u64::from(u16::from_be_bytes([fields[34], fields[35]]));
        if !(1..=MAX_COMPONENTS).contains(&count) {
            return Err(unsupported("JPEG 2000 of more than five components"));
        }
        if components.len() as u64 != 3 * count {
            return Err(illegal());
        }
        let tiles = [(right - tile_left).div_ceil(tile_width), (bottom - tile_top).div_ceil(tile_height)];
        let size = Self {
            components: count,
            area: width * height,
            tiles,
            tile: [tile_width.min(width), tile_height.min(height)],
        };
        if size.tiles() > MAX_TILES { Err(unsupported("JPEG 2000 of more than 1024 tiles")) } else { Ok((size, rest)) }
    }

    fn tiles(&self) -> u64 {
        self.tiles[0].saturating_mul(self.tiles[1])
    }
}

/// Takes the first marker segment off: its marker's code, and its parameters.
fn segment<'a>(rest: &mut &'a [u8]) -> Result<(u8, &'a [u8]), DecodeError> {
    let (&[marker, code, high, low], _) = rest.split_first_chunk().ok_or_else(ended)?;
    if marker != 0xFF {
        return Err(damaged("the JPEG 2000 codestream has no marker where one has to be"));
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length < 2 {
        return Err(damaged("a segment of the JPEG 2000 codestream is shorter than its length"));
    }
    let (this, after) = rest.split_at_checked(2 + length).ok_or_else(ended)?;
    *rest = after;
    Ok((code, &this[4..]))
}

fn ended() -> DecodeError {
    truncated("the JPEG 2000 codestream ends early")
}
