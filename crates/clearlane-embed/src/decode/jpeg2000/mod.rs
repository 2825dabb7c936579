//! JPEG 2000: portraits of travel documents, as JP2 files or bare codestreams (ISO/IEC 15444-1, annexes I and A).

use std::panic::{AssertUnwindSafe, catch_unwind};

use clearlane_infer::Wiped;
use hayro_jpeg2000::{
    ColorSpace, DecodeError as Error, DecodeSettings, DecoderContext, DecodingError, FormatError, Image,
};

use super::{DecodeError, DecodeLimits, damaged, over_white, truncated, unsupported};
use crate::frame::Frame;
use boxes::Contents;
use codestream::Layout;

mod boxes;
mod codestream;

const FILE: &[u8] = b"\0\0\0\x0CjP  ";
const CODESTREAM: &[u8] = b"\xFF\x4F\xFF\x51";

/// Three colours or four inks, and alpha.
const MAX_COMPONENTS: u64 = 5;

/// Whether these bytes begin as JPEG 2000 does.
pub(super) fn is_jpeg2000(bytes: &[u8]) -> bool {
    bytes.starts_with(FILE) || bytes.starts_with(CODESTREAM)
}

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Frame<'static>, DecodeError> {
    let Contents { file, codestream, described, channels } = Contents::find(bytes)?;
    let max_memory_bytes = limits.max_memory_bytes;
    let memory = Layout::read(codestream, limits)?.memory(channels);
    if memory.saturating_add(described) > max_memory_bytes {
        return Err(DecodeError::MemoryLimit { max_memory_bytes });
    }
    // The library means never to panic; a portrait that shows otherwise is damaged, and no reason for a lane to stop.
    let decoded = catch_unwind(AssertUnwindSafe(|| rgb(file)));
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

fn refused(error: Error) -> DecodeError {
    match error {
        Error::Decoding(DecodingError::UnexpectedEof) => truncated("the JPEG 2000 codestream ends early"),
        Error::Format(FormatError::Unsupported) => unsupported(&error.to_string()),
        error => damaged(&error.to_string()),
    }
}
