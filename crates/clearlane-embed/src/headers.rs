//! What a picture file's headers say its decoding will take, read before a decoder takes memory or time for it.

use image::ImageFormat;

use crate::decode::{DecodeError, DecodeLimits};

/// Chunks of a PNG before its pixels: a decoder keeps each in memory, in many times its bytes where they are small.
/// Cameras and editors write some dozens.
const MAX_PNG_CHUNKS: usize = 1000;

/// What a WebP decoder holds of a picture in addition to its pixels: planes, or a frame and a canvas of RGBA.
const WEBP_BYTES_A_PIXEL: u64 = 8;

/// Refuses files whose decoding takes more passes or chunks than the limits allow, and says how many bytes of memory
/// decoding takes for itself.
pub(crate) fn check(
    bytes: &[u8],
    format: Option<ImageFormat>,
    pixels: u64,
    limits: &DecodeLimits,
) -> Result<u64, DecodeError> {
    match format {
        Some(ImageFormat::Jpeg) => {
            let jpeg = Jpeg::of(bytes, limits.max_scans);
            if jpeg.scans > limits.max_scans {
                return Err(DecodeError::TooManyScans { max_scans: limits.max_scans });
            }
            Ok(jpeg.coefficients)
        }
        Some(ImageFormat::WebP) => Ok(WEBP_BYTES_A_PIXEL * pixels),
        _ => Ok(0),
    }
}

/// Refuses a PNG with more chunks before its pixels than any writer has use for: a decoder reads them all before it
/// tells the picture's size.
pub(crate) fn check_png_chunks(bytes: &[u8]) -> Result<(), DecodeError> {
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

/// A JPEG by its markers (ITU-T T.81, annex B).
#[derive(Default)]
struct Jpeg {
    /// Each of them is a pass over the whole picture, and may take as little as a few bytes.
    scans: u32,
    /// Bytes of a progressive picture's coefficients, which a decoder holds until the last scan.
    coefficients: u64,
}

impl Jpeg {
    /// Up to one scan more than `max_scans`.
    fn of(bytes: &[u8], max_scans: u32) -> Self {
        let mut jpeg = Self::default();
        let mut at = 2;
        while let Some(&[mark, code]) = bytes.get(at..at + 2) {
            if mark != 0xFF {
                // Entropy-coded data, or damage: a decoder looks for the next marker as well.
                let next = bytes[at..].iter().position(|&byte| byte == 0xFF);
                at = next.map_or(bytes.len(), |skipped| at + skipped);
                continue;
            }
            match code {
                0xFF => at += 1,
                0xD9 if jpeg.scans > 0 => break,
                0x00 | 0x01 | 0xD0..=0xD9 => at += 2,
                _ => {
                    let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { break };
                    let end = at + 2 + usize::from(u16::from_be_bytes([high, low]));
                    match code {
                        0xC2 => {
                            let frame = bytes.get(at + 4..end).unwrap_or_default();
                            jpeg.coefficients = jpeg.coefficients.max(coefficients(frame));
                        }
                        0xDA => jpeg.scans += 1,
                        _ => {}
                    }
                    if jpeg.scans > max_scans {
                        break;
                    }
                    at = end;
                }
            }
        }
        jpeg
    }
}

/// Two bytes for each coefficient of each component (B.2.2), of which the decoder allocates whole units.
fn coefficients(frame: &[u8]) -> u64 {
    let Some(&[_, y1, y0, x1, x0, _]) = frame.first_chunk() else { return 0 };
    let [width, height] = [[x1, x0], [y1, y0]].map(|side| u64::from(u16::from_be_bytes(side)));
    let components = frame[6..].as_chunks::<3>().0;
    let sampling = |nibble: fn(u8) -> u8| components.iter().map(move |&[_, factors, _]| u64::from(nibble(factors)));
    let (across, down) = (|factors: u8| factors >> 4, |factors: u8| factors & 15);
    let largest = |nibble| sampling(nibble).max().unwrap_or(1).max(1);
    let units = width.div_ceil(8 * largest(across)) * height.div_ceil(8 * largest(down));
    let blocks: u64 = sampling(across).zip(sampling(down)).map(|(across, down)| across * down).sum();
    units * blocks * 64 * 2
}
