//! JPEG 2000: portraits of travel documents, as JP2 files or bare codestreams (ISO/IEC 15444-1, annexes I and A).

use std::panic::{AssertUnwindSafe, catch_unwind};

use clearlane_infer::Wiped;
use hayro_jpeg2000::{
    ColorSpace, DecodeError as Error, DecodeSettings, DecoderContext, DecodingError, FormatError, Image,
};

use super::{DecodeError, DecodeLimits, check_pixels, over_white};
use crate::frame::Frame;

const FILE: &[u8] = b"\0\0\0\x0CjP  ";
const CODESTREAM: &[u8] = b"\xFF\x4F\xFF\x51";

/// What the decoder may hold of a sample: coefficients, and the trees and lists of its code blocks, which are as small as the
/// file likes them to be.
const BYTES_A_SAMPLE: u64 = 64;

/// Tiles of a picture: each has lists of its own. Scanners of maps write thousands, cameras and passports one.
const MAX_TILES: u64 = 1024;

/// Whether these bytes begin as JPEG 2000 does.
pub(super) fn is_jpeg2000(bytes: &[u8]) -> bool {
    bytes.starts_with(FILE) || bytes.starts_with(CODESTREAM)
}

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Frame<'static>, DecodeError> {
    let codestream = codestream(bytes)?;
    let tiles = check_size(codestream, limits)?;
    check_tiles(codestream, tiles)?;
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
        _ => 0,
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

/// Refuses what takes more than the limits allow, by the SIZ marker segment (A.5.1), which comes first; says how many tiles
/// there are.
fn check_size(codestream: &[u8], limits: &DecodeLimits) -> Result<u64, DecodeError> {
    if !codestream.starts_with(CODESTREAM) {
        return Err(damaged("the JPEG 2000 codestream does not begin with its size"));
    }
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
    let channels = u64::from(u16::from_be_bytes([fields[32], fields[33]]));
    if !(1..=5).contains(&channels) {
        return Err(unsupported("JPEG 2000 of more than five components"));
    }
    let tiles = (right - tile_left).div_ceil(tile_width) * (bottom - tile_top).div_ceil(tile_height);
    if tiles > MAX_TILES {
        return Err(unsupported("JPEG 2000 of more than 1024 tiles"));
    }
    let memory = (right - left) * (bottom - top) * channels * BYTES_A_SAMPLE;
    let max_memory_bytes = limits.max_memory_bytes;
    if memory > max_memory_bytes { Err(DecodeError::MemoryLimit { max_memory_bytes }) } else { Ok(tiles) }
}

/// Refuses a picture that lacks a tile, which its decoder would leave black: a face is whole or none (A.4.2).
fn check_tiles(codestream: &[u8], tiles: u64) -> Result<(), DecodeError> {
    let mut found = vec![false; tiles as usize];
    let mut rest = &codestream[2..];
    while let Some((&[0xFF, code, high, low], segment)) = rest.split_first_chunk::<4>() {
        let mut length = 2 + usize::from(u16::from_be_bytes([high, low]));
        // A tile-part: its tile, and its length from the marker on.
        if let (0x90, Some(&[tile_high, tile_low, a, b, c, d])) = (code, segment.first_chunk()) {
            if let Some(found) = found.get_mut(usize::from(u16::from_be_bytes([tile_high, tile_low]))) {
                *found = true;
            }
            length = match u32::from_be_bytes([a, b, c, d]) as usize {
                0 => rest.len(),
                length => length.max(12),
            };
        }
        let Some(after) = rest.get(length..) else { return Err(truncated("the JPEG 2000 codestream ends early")) };
        rest = after;
    }
    if found.contains(&false) { Err(truncated("the JPEG 2000 codestream lacks a tile")) } else { Ok(()) }
}

fn refused(error: Error) -> DecodeError {
    match error {
        Error::Decoding(DecodingError::UnexpectedEof) => truncated("the JPEG 2000 codestream ends early"),
        Error::Format(FormatError::Unsupported) => unsupported(&error.to_string()),
        error => damaged(&error.to_string()),
    }
}

fn damaged(reason: &str) -> DecodeError {
    DecodeError::Damaged { reason: reason.to_owned() }
}

fn truncated(reason: &str) -> DecodeError {
    DecodeError::Truncated { reason: reason.to_owned() }
}

fn unsupported(reason: &str) -> DecodeError {
    DecodeError::Unsupported { reason: reason.to_owned() }
}
