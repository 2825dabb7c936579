//! JPEG 2000: portraits of travel documents, as JP2 files or bare codestreams (ISO/IEC 15444-1, annexes I and A).

use std::panic::{AssertUnwindSafe, catch_unwind};

use clearlane_infer::Wiped;
use hayro_jpeg2000::{
    ColorSpace, DecodeError as Error, DecodeSettings, DecoderContext, DecodingError, FormatError, Image,
};

use super::{DecodeError, DecodeLimits, check_pixels, damaged, over_white, truncated, unsupported};
use crate::frame::Frame;

const FILE: &[u8] = b"\0\0\0\x0CjP  ";
const CODESTREAM: &[u8] = b"\xFF\x4F\xFF\x51";

/// What the decoder holds of a sample, as coefficient, value and byte; of a code block, in its lists and trees, which double as
/// they grow; and of each quality layer of a code block.
const BYTES_A_SAMPLE: u64 = 24;
const BYTES_A_BLOCK: u64 = 600;
const BYTES_A_LAYER: u64 = 48;

/// Tiles of a picture: each has lists of its own. Scanners of maps write thousands, cameras and passports one.
const MAX_TILES: u64 = 1024;

/// Whether these bytes begin as JPEG 2000 does.
pub(super) fn is_jpeg2000(bytes: &[u8]) -> bool {
    bytes.starts_with(FILE) || bytes.starts_with(CODESTREAM)
}

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Frame<'static>, DecodeError> {
    let codestream = codestream(bytes)?;
    let size = Size::read(codestream, limits)?;
    let layout = Layout::read(codestream, &size)?;
    let blocks = BYTES_A_BLOCK + BYTES_A_LAYER * layout.layers;
    let memory = size.samples.saturating_mul(BYTES_A_SAMPLE + blocks.div_ceil(layout.block));
    let max_memory_bytes = limits.max_memory_bytes;
    if memory > max_memory_bytes {
        return Err(DecodeError::MemoryLimit { max_memory_bytes });
    }
    // The library means never to panic; a portrait that shows otherwise is damaged, and no reason for a lane to stop.
    let decoded = catch_unwind(AssertUnwindSafe(|| rgb(bytes)));
    decoded.unwrap_or_else(|_| Err(damaged("its decoder gave up")))
}

fn rgb(bytes: &[u8]) -> Result<Frame<'static>, DecodeError> {
    let settings = DecodeSettings { strict: true, ..DecodeSettings::default() };
    let image = Image::new(bytes, &settings).map_err(refused)?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(refused)?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let channels = decoded.components().len();
    if decoded.components().iter().any(|component| component.samples().len() != width * height) {
        return Err(unsupported("JPEG 2000 with components of different sizes"));
    }
    let mut samples = Wiped::zeroed(channels * width * height);
    decoded.store_u8_into(&mut samples);
    let colours = match image.color_space() {
        ColorSpace::Gray => 1,
        ColorSpace::RGB => 3,
        ColorSpace::CMYK => 4,
        ColorSpace::Icc { num_channels, .. } => usize::from(*num_channels),
        ColorSpace::Unknown { .. } => 0,
    };
    let mut rgb = Wiped::zeroed(3 * width * height);
    for (out, sample) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(samples.chunks_exact(channels.max(1))) {
        *out = match (colours, image.has_alpha(), sample) {
            (1, false, &[grey]) => [grey; 3],
            (1, true, &[grey, alpha]) => over_white([grey; 3], alpha),
            (3, false, &[r, g, b]) => [r, g, b],
            (3, true, &[r, g, b, alpha]) => over_white([r, g, b], alpha),
            (4, false, &[c, m, y, k]) => {
                [c, m, y].map(|ink| ((u16::from(255 - ink) * u16::from(255 - k) + 127) / 255) as u8)
            }
            _ => return Err(unsupported("JPEG 2000 of other colours than grey, RGB and CMYK")),
        };
    }
    Ok(Frame::rgb8(image.width(), image.height(), rgb.into_vec())?)
}

/// The codestream in a file's boxes (15444-1, I.4 and I.5.4), or all bytes where there are none.
fn codestream(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    let mut rest = bytes;
    while !rest.starts_with(CODESTREAM) {
        let Some((&[a, b, c, d, ref kind @ ..], _)) = rest.split_first_chunk::<8>() else {
            return Err(truncated("the JPEG 2000 file has no codestream"));
        };
        let (header, length) = match (u32::from_be_bytes([a, b, c, d]), rest.get(8..16)) {
            (0, _) => (8, rest.len() as u64),
            (1, Some(long)) => (16, long.iter().fold(0, |length, &byte| length << 8 | u64::from(byte))),
            (length, _) => (8, u64::from(length)),
        };
        if length < header {
            return Err(damaged("a box of the JPEG 2000 file is shorter than its header"));
        }
        if kind == b"jp2c" {
            return Ok(&rest[header as usize..]);
        }
        let length = usize::try_from(length).ok().filter(|&length| length <= rest.len());
        rest = &rest[length.ok_or_else(|| truncated("the JPEG 2000 file ends within a box"))?..];
    }
    Ok(rest)
}

/// What the SIZ marker segment says (A.5.1), which comes first.
struct Size {
    /// Of all components, were none subsampled.
    samples: u64,
    tiles: u64,
}

impl Size {
    fn read(codestream: &[u8], limits: &DecodeLimits) -> Result<Self, DecodeError> {
        let Some((fields, _)) = codestream.get(8..).and_then(<[u8]>::split_first_chunk::<34>) else {
            return Err(truncated("the JPEG 2000 codestream ends within its size"));
        };
        let side = |at: usize| fields[at..at + 4].iter().fold(0, |side, &byte| side << 8 | u64::from(byte));
        let [right, bottom, left, top, tile_width, tile_height, tile_left, tile_top] =
            [0, 4, 8, 12, 16, 20, 24, 28].map(side);
        if right <= left || bottom <= top || tile_width == 0 || tile_height == 0 || tile_left > left || tile_top > top {
            return Err(damaged("the JPEG 2000 codestream has no legal size"));
        }
        check_pixels((right - left) as u32, (bottom - top) as u32, limits)?;
        let components = u64::from(u16::from_be_bytes([fields[32], fields[33]]));
        if !(1..=5).contains(&components) {
            return Err(unsupported("JPEG 2000 of more than five components"));
        }
        let tiles = (right - tile_left).div_ceil(tile_width) * (bottom - tile_top).div_ceil(tile_height);
        if tiles > MAX_TILES {
            return Err(unsupported("JPEG 2000 of more than 1024 tiles"));
        }
        Ok(Self { samples: (right - left) * (bottom - top) * components, tiles })
    }
}

/// What the other marker segments say of the decoder's work.
struct Layout {
    /// Samples of the smallest code block.
    block: u64,
    layers: u64,
}

impl Layout {
    /// Refuses a picture that lacks a tile, which its decoder would leave black: a face is whole or none (A.4.2).
    fn read(codestream: &[u8], size: &Size) -> Result<Self, DecodeError> {
        let ended = || truncated("the JPEG 2000 codestream ends early");
        let mut layout = Self { block: 1 << 12, layers: 1 };
        let mut found = vec![false; size.tiles as usize];
        let mut rest = &codestream[2..];
        // Where the tile-part ends whose header this is.
        let mut part: &[u8] = &[];
        while let Some((&[0xFF, code], after)) = rest.split_first_chunk::<2>() {
            match code {
                // Data begins, up to the tile-part's end; or the codestream ends.
                0x93 => {
                    rest = std::mem::take(&mut part);
                    continue;
                }
                0xD9 => break,
                _ => {}
            }
            let (&[high, low], _) = after.split_first_chunk().ok_or_else(ended)?;
            let length = usize::from(u16::from_be_bytes([high, low])).max(2);
            let segment = after.get(2..length).ok_or_else(ended)?;
            match (code, segment) {
                (0x90, &[tile_high, tile_low, a, b, c, d, ..]) => {
                    if let Some(found) = found.get_mut(usize::from(u16::from_be_bytes([tile_high, tile_low]))) {
                        *found = true;
                    }
                    let length = match u32::from_be_bytes([a, b, c, d]) as usize {
                        0 => rest.len(),
                        length => length.max(12),
                    };
                    part = rest.get(length..).ok_or_else(ended)?;
                }
                (0x52, &[style, _, high, low, _, ref blocks @ ..]) => {
                    layout.layers = layout.layers.max(u64::from(u16::from_be_bytes([high, low])));
                    layout.take_blocks(style, blocks);
                }
                // Of under 257 components.
                (0x53, &[_, style, ref blocks @ ..]) => layout.take_blocks(style, blocks),
                _ => {}
            }
            rest = &after[length..];
        }
        if found.contains(&false) { Err(truncated("the JPEG 2000 codestream lacks a tile")) } else { Ok(layout) }
    }

    /// Sides of code blocks, and of the precincts that cut them (A.6.1, tables A.15, A.18 and A.21; B.7).
    fn take_blocks(&mut self, style: u8, parameters: &[u8]) {
        let Some(&[_, width, height, _, _]) = parameters.first_chunk() else { return };
        let block = [width, height].map(|exponent| u32::from(exponent & 15) + 2);
        let precincts = if style & 1 == 1 { &parameters[5..] } else { &[0xFF] };
        for (resolution, &precinct) in precincts.iter().enumerate() {
            let precinct = [precinct & 15, precinct >> 4]
                .map(|exponent| u32::from(exponent).saturating_sub(u32::from(resolution > 0)));
            let area = 1 << (block[0].min(precinct[0]) + block[1].min(precinct[1]));
            self.block = self.block.min(area);
        }
    }
}

fn refused(error: Error) -> DecodeError {
    match error {
        Error::Decoding(DecodingError::UnexpectedEof) => truncated("the JPEG 2000 codestream ends early"),
        Error::Format(FormatError::Unsupported) => unsupported(&error.to_string()),
        error => damaged(&error.to_string()),
    }
}
