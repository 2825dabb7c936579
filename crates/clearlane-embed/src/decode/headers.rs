//! What a picture file's headers say its decoding will take, read before a decoder takes memory or time for it.

use image::ImageFormat;

use super::DecodeError;

/// Chunks of a PNG before its pixels: a decoder keeps each in memory, in many times its bytes where they are small.
/// Cameras and editors write some dozens.
const MAX_PNG_CHUNKS: usize = 1000;

/// What a WebP decoder holds of a picture in addition to its pixels: planes, or a frame and a canvas of RGBA.
const WEBP_BYTES_A_PIXEL: u64 = 8;

/// Bytes of memory that decoding takes for itself, in addition to its samples.
pub(super) fn memory(format: Option<ImageFormat>, pixels: u64) -> u64 {
    if format == Some(ImageFormat::WebP) { WEBP_BYTES_A_PIXEL * pixels } else { 0 }
}

/// Refuses a PNG with more chunks before its pixels than any writer has use for: a decoder reads them all before it
/// tells the picture's size.
pub(super) fn check_png_chunks(bytes: &[u8]) -> Result<(), DecodeError> {
    let (mut at, mut chunks) = (8, 0);
    while let Some(&[a, b, c, d, ref kind @ ..]) = bytes.get(at..at + 8) {
        if kind == b"IDAT" {
            break;
        }
        chunks += 1;
        if chunks > MAX_PNG_CHUNKS {
            return Err(DecodeError::Unsupported {
                reason: format!("a PNG with over {MAX_PNG_CHUNKS} chunks of metadata"),
            });
        }
        // Length, kind and checksum around the data.
        at += 12 + u32::from_be_bytes([a, b, c, d]) as usize;
    }
    Ok(())
}
