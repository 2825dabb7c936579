//! Picture files: JPEG, JPEG 2000, PNG, WebP, BMP and PGM/PPM from bytes or a path, within limits.

mod headers;
mod jpeg;
mod jpeg2000;
mod upright;

use std::error::Error;
use std::fs::File;
use std::io::{Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};

use clearlane_infer::Wiped;
use clearlane_template::shown;
use image::error::LimitErrorKind;
use image::{ColorType, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

pub use self::jpeg::{JpegPicture, Reduction};
use self::upright::Upright;
use crate::frame::{Frame, FrameError, check_size};
use crate::portrait::{Portrait, PortraitError};

/// Bytes for each pixel while samples become upright RGB.
const CONVERSION_BYTES_A_PIXEL: u64 = 4;

/// Bytes for a PNG's metadata and a row of it; a large colour profile has some millions.
const METADATA_BYTES: u64 = 32 << 20;

/// What a decoder may use: a picture that asks for more is refused before memory is taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Pixels, width × height.
    pub max_pixels: u64,
    /// Bytes of the encoded file.
    pub max_file_bytes: u64,
    /// Bytes that decoding may allocate.
    pub max_memory_bytes: u64,
    /// Scans of a JPEG: each is a pass over the whole picture, whatever few bytes it takes in the file.
    pub max_scans: u32,
}

impl Default for DecodeLimits {
    /// 2^26 pixels (67 millions), files of 64 MiB, 512 MiB of memory: any camera or phone, no decompression bomb. 32 scans:
    /// encoders write some ten for a progressive picture.
    fn default() -> Self {
        Self { max_pixels: 1 << 26, max_file_bytes: 64 << 20, max_memory_bytes: 512 << 20, max_scans: 32 }
    }
}

impl DecodeLimits {
    /// The same limits for pictures of so many pixels. Where these are more than the default's, the memory grows with them.
    #[must_use]
    pub fn with_max_pixels(mut self, pixels: u64) -> Self {
        let factor = pixels.div_ceil(self.max_pixels.max(1)).max(1);
        self.max_memory_bytes = self.max_memory_bytes.saturating_mul(factor);
        self.max_pixels = pixels;
        self
    }
}

/// Why a file or a buffer did not become a frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There is nothing to decode.
    #[error("the file is empty")]
    Empty,
    /// The bytes are in no format that is read here.
    #[error("not a picture: JPEG, JPEG 2000, PNG, WebP, BMP, PGM and PPM are read, and a chip's data group 2")]
    UnknownFormat,
    /// The picture is damaged.
    #[error("the picture is damaged: {reason}")]
    Damaged {
        /// What the decoder found.
        reason: String,
    },
    /// The picture ends before its last pixel.
    #[error("the picture is cut short: {reason}")]
    Truncated {
        /// What is missing.
        reason: String,
    },
    /// The format is known, but not this variant of it.
    #[error("this variant of the format is not supported: {reason}")]
    Unsupported {
        /// Which.
        reason: String,
    },
    /// The picture is larger than the limits allow.
    #[error("the picture has {width} x {height} pixels, over the limit of {max_pixels}")]
    TooManyPixels {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// The limit.
        max_pixels: u64,
    },
    /// The encoded file is larger than the limits allow.
    #[error("the file is larger than the limit of {max_file_bytes} bytes")]
    FileTooLarge {
        /// The limit.
        max_file_bytes: u64,
    },
    /// Decoding would take more memory than the limits allow.
    #[error("decoding takes more memory than the limit of {max_memory_bytes} bytes")]
    MemoryLimit {
        /// The limit.
        max_memory_bytes: u64,
    },
    /// The picture is drawn in more passes than the limits allow.
    #[error("the JPEG has more scans than the limit of {max_scans}")]
    TooManyScans {
        /// The limit.
        max_scans: u32,
    },
    /// The bytes are of a travel document's chip, and have no portrait that is read here.
    #[error(transparent)]
    Portrait(Box<PortraitError>),
    /// The part that was asked for is not within the picture.
    #[error("a region of {width} x {height} pixels at column {x}, row {y} is not within the picture")]
    Region {
        /// Its first column.
        x: u32,
        /// Its first row.
        y: u32,
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
    },
    /// The picture's sides are beyond what a frame may have.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The file could not be read.
    #[error("cannot read {}", shown(path))]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
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

impl Frame<'static> {
    /// Decodes a picture file, or the portrait in a travel document's data group 2. The frame is upright RGB8: EXIF orientation
    /// is applied, transparency is laid over white, 16-bit samples are rounded to 8, CMYK and grey become RGB.
    pub fn open(path: impl AsRef<Path>, limits: &DecodeLimits) -> Result<Self, DecodeError> {
        let path = path.as_ref();
        let io = |source| DecodeError::Io { path: path.to_owned(), source };
        let most = limits.max_file_bytes.saturating_add(1);
        let bytes = File::open(path).and_then(|file| read(file.take(most))).map_err(io)?;
        Self::decode(&bytes, limits)
    }

    /// Decodes a picture from bytes, as [`Frame::open`] does.
    pub fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Self, DecodeError> {
        match Self::decode_picture(bytes, limits) {
            Err(DecodeError::UnknownFormat) => match Portrait::find(bytes) {
                Ok(portrait) => Self::decode_picture(portrait.image(), limits),
                Err(PortraitError::NotDataGroup2) => Err(DecodeError::UnknownFormat),
                Err(error) => Err(DecodeError::Portrait(Box::new(error))),
            },
            decoded => decoded,
        }
    }

    fn decode_picture(bytes: &[u8], limits: &DecodeLimits) -> Result<Self, DecodeError> {
        check_file(bytes, limits)?;
        if jpeg2000::is_jpeg2000(bytes) {
            return jpeg2000::decode(bytes, limits);
        }
        let failed = |error| decode_error(error, limits);
        let mut reader = ImageReader::new(Cursor::new(bytes));
        // A PNG's metadata is read, and a profile in it inflated, before the picture's size is known.
        let mut memory = Limits::no_limits();
        memory.max_alloc = Some(limits.max_memory_bytes.min(METADATA_BYTES));
        reader.limits(memory.clone());
        let reader = reader.with_guessed_format().map_err(|error| failed(ImageError::IoError(error)))?;
        let format = reader.format();
        match format {
            Some(ImageFormat::Jpeg) => return jpeg::decode(bytes, limits),
            Some(ImageFormat::Png) => headers::check_png_chunks(bytes)?,
            _ => {}
        }
        let mut decoder = reader.into_decoder().map_err(failed)?;
        let (width, height) = decoder.dimensions();
        check_pixels(width, height, limits)?;
        let pixels = u64::from(width) * u64::from(height);
        memory.max_alloc = Some(limits.max_memory_bytes);
        // What the decoder holds is gone when its samples become upright RGB.
        let further = headers::memory(format, pixels).max(CONVERSION_BYTES_A_PIXEL * pixels);
        memory.reserve(decoder.total_bytes().saturating_add(further)).map_err(failed)?;
        let size = usize::try_from(decoder.total_bytes());
        let size = size.map_err(|_| DecodeError::MemoryLimit { max_memory_bytes: limits.max_memory_bytes })?;
        decoder.set_limits(memory).map_err(failed)?;
        let orientation = decoder.orientation().map_err(failed)?;
        let colour = decoder.color_type();
        // Decoded here and converted below, since the decoding library frees a picture on its way without wiping it.
        let mut samples = Wiped::zeroed(size);
        decoder.read_image(&mut samples).map_err(failed)?;
        let upright = Upright::new(orientation, [width as usize, height as usize]);
        let rgb = upright_rgb(samples, colour, upright)?;
        let [width, height] = upright.size();
        Ok(Self::rgb8(width as u32, height as u32, rgb.into_vec())?)
    }
}

/// All bytes there are, in memory that is wiped, also where they were before it had to grow.
fn read(mut from: impl Read) -> std::io::Result<Wiped<u8>> {
    let (mut bytes, mut part) = (Wiped::default(), Wiped::zeroed(1 << 16));
    loop {
        match from.read(&mut part) {
            Ok(0) => return Ok(bytes),
            Ok(count) => bytes.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Refuses a file without bytes, or with too many.
fn check_file(bytes: &[u8], limits: &DecodeLimits) -> Result<(), DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    if bytes.len() as u64 > limits.max_file_bytes {
        return Err(DecodeError::FileTooLarge { max_file_bytes: limits.max_file_bytes });
    }
    Ok(())
}

/// Refuses a picture that is larger than the limits, or than a frame can be.
fn check_pixels(width: u32, height: u32, limits: &DecodeLimits) -> Result<(), DecodeError> {
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(DecodeError::TooManyPixels { width, height, max_pixels: limits.max_pixels });
    }
    Ok(check_size(width, height)?)
}

/// Upright RGB with 8 bits of a picture's samples as the decoder gives them; transparency laid over white, as a viewer would
/// show a portrait.
fn upright_rgb(samples: Wiped<u8>, colour: ColorType, upright: Upright) -> Result<Wiped<u8>, DecodeError> {
    // 16 bits rounded to 8, as they lie in memory.
    let narrow =
        |wide: &[u8], at: usize| ((u32::from(u16::from_ne_bytes([wide[2 * at], wide[2 * at + 1]])) + 128) / 257) as u8;
    Ok(match colour {
        ColorType::Rgb8 if upright.keeps() => samples,
        ColorType::L8 => placed(&samples, upright, |&[grey]| [grey; 3]),
        ColorType::La8 => placed(&samples, upright, |&[grey, alpha]| over_white([grey; 3], alpha)),
        ColorType::Rgb8 => placed(&samples, upright, |rgb| *rgb),
        ColorType::Rgba8 => placed(&samples, upright, |&[r, g, b, alpha]| over_white([r, g, b], alpha)),
        ColorType::L16 => placed(&samples, upright, |grey: &[u8; 2]| [narrow(grey, 0); 3]),
        ColorType::La16 => {
            placed(&samples, upright, |pixel: &[u8; 4]| over_white([narrow(pixel, 0); 3], narrow(pixel, 1)))
        }
        ColorType::Rgb16 => placed(&samples, upright, |rgb: &[u8; 6]| [0, 1, 2].map(|channel| narrow(rgb, channel))),
        ColorType::Rgba16 => placed(&samples, upright, |pixel: &[u8; 8]| {
            over_white([0, 1, 2].map(|channel| narrow(pixel, channel)), narrow(pixel, 3))
        }),
        other => return Err(DecodeError::Unsupported { reason: format!("samples of {other:?}") }),
    })
}

/// A colour of this opacity over white.
fn over_white(rgb: [u8; 3], alpha: u8) -> [u8; 3] {
    rgb.map(|value| ((u32::from(value) * u32::from(alpha) + 255 * (255 - u32::from(alpha)) + 127) / 255) as u8)
}

/// A picture's pixels, each as `rgb` has it, where its orientation puts them.
fn placed<const N: usize>(samples: &[u8], upright: Upright, rgb: impl Fn(&[u8; N]) -> [u8; 3]) -> Wiped<u8> {
    let [width, height] = upright.stored_size();
    let mut placed = Wiped::zeroed(3 * width * height);
    let mut row = Wiped::zeroed(3 * width);
    for (y, pixels) in samples.as_chunks().0.chunks_exact(width).enumerate() {
        let row = row.as_chunks_mut().0;
        for (out, pixel) in row.iter_mut().zip(pixels) {
            *out = rgb(pixel);
        }
        upright.put(placed.as_chunks_mut().0, y, row);
    }
    placed
}

fn decode_error(error: ImageError, limits: &DecodeLimits) -> DecodeError {
    match error {
        ImageError::IoError(error) if ended_early(&error) => DecodeError::Truncated { reason: error.to_string() },
        ImageError::IoError(error) => DecodeError::Damaged { reason: error.to_string() },
        ImageError::Limits(error) => match error.kind() {
            LimitErrorKind::DimensionError | LimitErrorKind::InsufficientMemory => {
                DecodeError::MemoryLimit { max_memory_bytes: limits.max_memory_bytes }
            }
            _ => DecodeError::Unsupported { reason: error.to_string() },
        },
        ImageError::Unsupported(error) => match error.kind() {
            image::error::UnsupportedErrorKind::Format(_) => DecodeError::UnknownFormat,
            _ => DecodeError::Unsupported { reason: error.to_string() },
        },
        ImageError::Decoding(error) if ended_early(&error) => DecodeError::Truncated { reason: error.to_string() },
        error => DecodeError::Damaged { reason: error.to_string() },
    }
}

/// Whether an error arose from reading past the last byte.
fn ended_early(error: &(dyn Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |&cause| cause.source());
    causes.any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::UnexpectedEof)
    })
}
